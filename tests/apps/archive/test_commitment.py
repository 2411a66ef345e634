"""qrscp as SCP of storage commitment: what its index and its files say, and where results go."""

from __future__ import annotations

import itertools
import os
import random
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import SimpleQueue
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from pynetdicom.workflows.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Failure,
    Reference,
    commit,
)
from tests.apps.archive.conftest import Start
from tests.apps.archive.test_durability import kill_all
from tests.apps.conftest import CT, MR, RunApp
from tests.apps.test_kept_files import flip, reference_of
from tests.faults.peer import until
from tests.pair import serve
from tests.peers import DEADLINE
from tests.workflows.test_commitment import request

KILLS = int(os.environ.get("PYNETDICOM_TEST_KILLS", "3"))
STORE = '[commitment]\nstore = "commitment.sqlite"\n'


@pytest.fixture
def scu() -> Iterator[AE]:
    ae = AE("CT_ROOM")
    ae.add_requested_context(StorageCommitmentPushModel)
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    yield ae
    ae.shutdown()


def configured(tmp_path: Path, text: str) -> tuple[str, str]:
    path = tmp_path / "qrscp.toml"
    path.write_text(text.replace('"commitment.sqlite"', f'"{tmp_path}/commitment.sqlite"'))
    return "-c", str(path)


@pytest.mark.parametrize("verify", ["index", "bytes"])
@pytest.mark.parametrize("workers", [1, 2])
def test_what_is_kept(
    workers: int, verify: str, start: Start, run_app: RunApp, scu: AE, tmp_path: Path
) -> None:
    how = configured(tmp_path, f'{STORE}verify = "{verify}"')
    places = ("--instance-location", tmp_path / "objects", "--workers", workers)
    archive = start(*how, *places)
    assert run_app("storescu", "127.0.0.1", archive.port, CT, MR).returncode == 0
    ct, mr = reference_of(CT), reference_of(MR)
    [lost] = (tmp_path / "objects").rglob(f"{mr.sop_instance}.dcm")
    with scu.associate("127.0.0.1", archive.port) as assoc:
        everything = commit(assoc, [ct, mr], timeout=DEADLINE)
        assert everything.is_complete
        assert everything.retrieve_ae_titles == {ct: "QRSCP", mr: "QRSCP"}
        lost.write_bytes(lost.read_bytes()[:-100])
        wrong = Reference(MRImageStorage, ct.sop_instance)
        unknown = Reference(CTImageStorage, "1.2.404")
        result = commit(assoc, [mr, wrong, unknown], timeout=DEADLINE)
        assert result.failed == [
            Failure(mr, PROCESSING_FAILURE),
            Failure(wrong, CLASS_INSTANCE_CONFLICT),
            Failure(unknown, NO_SUCH_INSTANCE),
        ]
        lost.unlink()
        assert commit(assoc, [mr], timeout=DEADLINE).failed == [Failure(mr, PROCESSING_FAILURE)]
    assert run_app("stgcmtscu", "127.0.0.1", archive.port, CT).returncode == 0


@pytest.mark.parametrize("is_told", [False, True], ids=["by the disk", "by a program"])
def test_a_bit_that_has_changed(
    is_told: bool, start: Start, run_app: RunApp, scu: AE, tmp_path: Path
) -> None:
    """Also while the archive was down, whatever the file's time; what comes after that is new."""
    how = configured(tmp_path, f'{STORE}verify = "bytes"')
    places = ("--instance-location", tmp_path / "objects", "--database-location", tmp_path / "db")
    archive = start(*how, *places)
    assert run_app("storescu", "127.0.0.1", archive.port, CT, MR).returncode == 0
    ct, mr = reference_of(CT), reference_of(MR)
    [damaged] = (tmp_path / "objects").rglob(f"{mr.sop_instance}.dcm")
    with scu.associate("127.0.0.1", archive.port) as assoc:
        assert commit(assoc, [ct, mr], timeout=DEADLINE).is_complete
    assert archive.stop(signal.SIGTERM) == 0
    flip(damaged)
    if is_told:
        os.utime(damaged)
    archive = start(*how, *places)
    with scu.associate("127.0.0.1", archive.port) as assoc:
        result = commit(assoc, [ct, mr], timeout=DEADLINE)
        assert (result.committed, result.failed) == ([ct], [Failure(mr, PROCESSING_FAILURE)])
    assert archive.stop(signal.SIGTERM) == 0
    assert "its bytes are not those that were committed before" in archive.errors()
    damaged.unlink()
    archive = start(*how, *places)
    assert run_app("storescu", "127.0.0.1", archive.port, MR).returncode == 0
    with scu.associate("127.0.0.1", archive.port) as assoc:
        assert commit(assoc, [ct, mr], timeout=DEADLINE).is_complete


def test_without_a_store_it_is_not_accepted(start: Start, run_app: RunApp) -> None:
    archive = start()
    assert run_app("stgcmtscu", "127.0.0.1", archive.port, CT).returncode == 1


def test_whoever_may_not_store(start: Start, scu: AE, tmp_path: Path) -> None:
    archive = start(*configured(tmp_path, f'[archive]\nunknown_peers = ["find"]\n{STORE}'))
    with scu.associate("127.0.0.1", archive.port) as assoc:
        assert [one.result for one in assoc.rejected_contexts] == [1]


def test_the_result_goes_to_the_peer_also_after_a_kill(
    start: Start, scu: AE, free_port: int, tmp_path: Path
) -> None:
    """When the archive is killed, nobody listens yet."""
    peer = '[[peer]]\nae_title = "CT_ROOM"\naddress = "127.0.0.1"\nport = '
    archive = start(*configured(tmp_path, f"{STORE}{peer}{free_port}"))
    busy = [(evt.EVT_N_EVENT_REPORT, lambda event: (0x0110, None))]
    assoc = scu.associate("127.0.0.1", archive.port, evt_handlers=busy)
    status, _ = assoc.send_n_action(
        request(), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    assert status.Status == 0x0000
    archive.process.kill()
    archive.process.communicate(timeout=DEADLINE)
    heard: SimpleQueue[Any] = SimpleQueue()

    def take(event: Any) -> Any:
        heard.put(event.event_information)
        return 0x0000, None

    server = serve(scu, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    again = start(*configured(tmp_path, f"{STORE}{peer}{server.server_address[1]}"))
    result = heard.get(timeout=DEADLINE)
    assert result.TransactionUID == request().TransactionUID
    assert [item.FailureReason for item in result.FailedSOPSequence] == [NO_SUCH_INSTANCE]
    assert again.stop(signal.SIGTERM) == 0


def kill_rounds(
    start: Start, scu: AE, tmp_path: Path, workers: int, rounds: int
) -> tuple[set[str], dict[str, list[Any]]]:
    """Kill the archive in the midst of requests, and of results.

    Returns
    -------
    tuple of set and dict
        What was acknowledged, and what was told of each transaction.
    """
    told: dict[str, list[Any]] = {}

    def take(event: Any) -> Any:
        said = event.event_type, event.event_information
        told.setdefault(event.event_information.TransactionUID, []).append(said)
        return 0x0000, None

    handlers = [(evt.EVT_N_EVENT_REPORT, take)]
    port = serve(scu, evt_handlers=handlers).server_address[1]
    peer = f'[[peer]]\nae_title = "CT_ROOM"\naddress = "127.0.0.1"\nport = {port}\n'
    options = (*configured(tmp_path, f"{STORE}{peer}"), "--workers", workers)
    acknowledged: set[str] = set()
    for number in range(rounds):
        archive = start(*options)
        kill = threading.Timer(random.uniform(0.0, 0.3), kill_all, (archive,))
        assoc = scu.associate("127.0.0.1", archive.port, evt_handlers=handlers)
        kill.start()
        for count in itertools.count():
            uid = f"1.2.{number}.{count}"
            wanted = [Reference(CTImageStorage, f"1.2.840.{n}") for n in range(50)]
            try:
                status, _ = assoc.send_n_action(
                    request(uid, *wanted),
                    *(1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance),
                )
            except RuntimeError:  # it is gone
                break
            if "Status" not in status:
                break
            assert status.Status == 0x0000
            acknowledged.add(uid)
        kill.join()
    start(*options)
    assert until(lambda: acknowledged <= set(told))
    return acknowledged, told


@pytest.mark.timeout(60 + 30 * KILLS)
@pytest.mark.parametrize("workers", [1, 2])
def test_it_is_killed_again_and_again(workers: int, start: Start, scu: AE, tmp_path: Path) -> None:
    """What it has acknowledged is reported, and whatever is reported again says the same."""
    acknowledged, told = kill_rounds(start, scu, tmp_path, workers, KILLS)
    assert acknowledged
    for said in list(told.values()):  # results of before the last kill may still come
        assert said == [said[0]] * len(said)
        assert said[0][0] == 2
        assert len(said[0][1].FailedSOPSequence) == 50


def test_a_store_that_is_something_else(run_app: RunApp, tmp_path: Path) -> None:
    (tmp_path / "commitment.sqlite").write_text("no database")
    result = run_app("qrscp", "--port", "0", *configured(tmp_path, STORE))
    assert result.returncode == 1
    assert "[commitment] store" in result.stderr
    assert result.stderr.count("\n") == 1
