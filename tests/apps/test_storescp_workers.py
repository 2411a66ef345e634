"""storescp with several processes: all is stored, whoever takes it, and all stop together."""

from __future__ import annotations

import os
import signal
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, Verification
from tests.apps.conftest import CT
from tests.faults.peer import until
from tests.sampled import sampled

WORKERS = 2

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="the processes of another one are read from /proc"
)


def processes_of(pid: int) -> set[int]:
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def send(port: int, uids: list[str]) -> list[int]:
    """Store copies of an image under other UIDs, on one association."""
    ae = AE()
    ae.add_requested_context(CTImageStorage)
    data_set = dcmread(CT)
    statuses = []
    with ae.associate("127.0.0.1", port) as assoc:
        for uid in uids:
            data_set.SOPInstanceUID = data_set.file_meta.MediaStorageSOPInstanceUID = uid
            statuses.append(assoc.send_c_store(data_set).Status)
    return statuses


def test_all_is_stored(serve_app: Any) -> None:
    served = serve_app("storescp", "--workers", WORKERS)
    assert len(processes_of(served.process.pid)) == WORKERS
    shares = [[f"1.2.{sender}.{number}" for number in range(10)] for sender in range(8)]
    with ThreadPoolExecutor(len(shares)) as senders:
        for statuses in senders.map(lambda uids: send(served.port, uids), shares):
            assert statuses == [0x0000] * 10
    assert served.files() == sorted(f"{uid}.dcm" for uids in shares for uid in uids)


def test_who_is_idle_takes_the_next_one(serve_app: Any) -> None:
    """One that cannot run takes no connection, and none waits for it."""
    served = serve_app("storescp", "--workers", WORKERS)
    stopped, _ = processes_of(served.process.pid)
    os.kill(stopped, signal.SIGSTOP)
    try:
        for number in range(4):
            assert send(served.port, [f"1.2.{number}"]) == [0x0000]
    finally:
        os.kill(stopped, signal.SIGCONT)


def test_another_one_in_the_stead_of_one_that_is_killed(serve_app: Any) -> None:
    served = serve_app("storescp", "--workers", WORKERS)
    before = processes_of(served.process.pid)
    victim = min(before)
    os.kill(victim, signal.SIGKILL)
    assert until(lambda: len(processes_of(served.process.pid) - before) == 1), served.errors()
    assert send(served.port, ["1.2.3"]) == [0x0000]
    assert f"worker {victim} has ended" in served.errors()


@sampled("number", [signal.SIGTERM, signal.SIGINT])
def test_all_stop_together(serve_app: Any, number: int) -> None:
    served = serve_app("storescp", "--workers", WORKERS, "--drain", "0")
    ae = AE()
    ae.add_requested_context(Verification)
    assocs = [ae.associate("127.0.0.1", served.port) for _ in range(4)]
    assert all(assoc.is_established for assoc in assocs)
    pids = processes_of(served.process.pid)
    assert served.stop(number) == 0, served.errors()
    assert not any(Path(f"/proc/{pid}/cwd").exists() for pid in pids)
    for assoc in assocs:
        assoc.abort()


def test_a_command_of_each_object(serve_app: Any, tmp_path: Path) -> None:
    told = tmp_path / "told"
    told.mkdir()
    command = f"touch {told}/#f"
    served = serve_app("storescp", "--workers", WORKERS, "--exec-on-receive", command)
    uids = [f"1.2.{number}" for number in range(4)]
    for uid in uids:
        assert send(served.port, [uid]) == [0x0000]
    names = {f"{uid}.dcm" for uid in uids}
    assert until(lambda: {path.name for path in told.iterdir()} == names)


def test_a_study_has_no_end_where_several_take_it(run_app: Any) -> None:
    done = run_app("storescp", "0", "--workers", 2, "--exec-on-study", "true")
    assert done.returncode == 2
    assert "--exec-on-study" in done.stderr


def test_a_port_that_is_taken(serve_app: Any, run_app: Any) -> None:
    served = serve_app("storescp", "--workers", WORKERS)
    done = run_app("storescp", served.port, "-ba", "127.0.0.1", "--workers", 2)
    assert done.returncode == 1
    assert "cannot listen" in done.stderr
