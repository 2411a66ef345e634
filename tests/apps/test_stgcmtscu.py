"""stgcmtscu: what it asks, what it prints, and its exit code."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)
from pynetdicom.workflows.commitment import NO_SUCH_INSTANCE, Provider, Reference
from pynetdicom.workflows.providing import handlers
from tests import warm
from tests.apps.conftest import CT, MR, RunApp
from tests.apps.query_scp import started
from tests.pair import serve
from tests.peers import DEADLINE

LOST = "1.2.404"


class Archive:
    """A peer that keeps everything but what is `LOST`."""

    def __init__(self, **how: Any) -> None:
        self.asked: list[Reference] = []
        self.may_check = threading.Event()
        self.may_check.set()
        self.where: dict[str, tuple[str, int]] = {}
        self.ae = AE("ARCHIVE")
        self.ae.add_supported_context(StorageCommitmentPushModel)
        how.setdefault("delays", (0.05,))
        self.provider = Provider(self.ae, self.check, where=self.where.get, **how)
        server = serve(self.ae, evt_handlers=handlers(self.provider))
        self.peer = ("127.0.0.1", server.server_address[1])

    def check(self, instance: Reference) -> int:
        assert self.may_check.wait(DEADLINE)
        self.asked.append(instance)
        return NO_SUCH_INSTANCE if instance.sop_instance == LOST else 0

    def close(self) -> None:
        self.provider.close()
        self.ae.shutdown()


@pytest.fixture
def archive() -> Iterator[Archive]:
    made = Archive(retrieve_ae_title="ARCHIVE")
    yield made
    made.close()


def reference_of(path: Path) -> Reference:
    ds = dcmread(path, stop_before_pixels=True)
    return Reference(ds.SOPClassUID, ds.SOPInstanceUID)


def test_all_is_committed(archive: Archive, run_app: RunApp, tmp_path: Path) -> None:
    images = tmp_path / "images"
    (images / "more").mkdir(parents=True)
    (images / "more" / "mr.dcm").write_bytes(MR.read_bytes())
    (images / "ct.dcm").write_bytes(CT.read_bytes())
    flags = ("-r", CT, images, "CTImageStorage=1.2.3")
    result = run_app("stgcmtscu", *archive.peer, *flags)
    assert (result.returncode, result.stderr) == (0, "")
    wanted = {Reference(CTImageStorage, "1.2.3"), reference_of(CT), reference_of(MR)}
    assert set(archive.asked) == wanted
    assert len(archive.asked) == 3
    *lines, last = result.stdout.splitlines()
    assert sorted(lines) == sorted(
        f"{one.sop_instance}: committed, to be had from ARCHIVE" for one in wanted
    )
    assert last == "3 objects committed"


def test_some_are_not(archive: Archive, run_app: RunApp) -> None:
    flags = (f"CTImageStorage={LOST}", f"{CTImageStorage}=1.2.3")
    result = run_app("stgcmtscu", *archive.peer, *flags)
    assert result.returncode == 1
    assert f"{LOST}: failed, 0x0112 (no such object instance)" in result.stdout
    assert "1.2.3: committed" in result.stdout
    assert result.stderr == "stgcmtscu: 1 of 2 objects are not committed\n"
    result = run_app("stgcmtscu", *archive.peer, *flags, "--json")
    assert result.returncode == 1
    of_ct = {"sop_class": CTImageStorage}
    assert [json.loads(line) for line in result.stdout.splitlines()] == [
        {**of_ct, "sop_instance": "1.2.3", "result": "committed", "retrieve_ae_title": "ARCHIVE"},
        {**of_ct, "sop_instance": LOST, "result": "failed", "reason": 0x0112},
    ]


@contextmanager
def bare(handle: Callable[[Any], Any]) -> Iterator[tuple[str, int]]:
    """A peer that does with requests what a function does."""
    ae = AE("BARE")
    ae.add_supported_context(StorageCommitmentPushModel)
    server = serve(ae, evt_handlers=[(evt.EVT_N_ACTION, handle)])
    try:
        yield ("127.0.0.1", server.server_address[1])
    finally:
        ae.shutdown()


def test_what_the_peer_does_not_mention(run_app: RunApp) -> None:
    def handle(event: Any) -> Any:
        result = event.action_information
        del result.ReferencedSOPSequence[0]
        event.assoc.send_n_event_report(
            result, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        return 0x0000, None

    flags = ("CTImageStorage=1.2.3", "CTImageStorage=1.2.4")
    with bare(handle) as peer:
        result = run_app("stgcmtscu", *peer, *flags)
    assert result.returncode == 1
    assert "1.2.3: missing" in result.stdout
    assert "1 of 2 objects are not committed" in result.stderr


@pytest.mark.parametrize(
    ("status", "said"),
    [(0x0000, "no result of the storage commitment yet"), (0x0213, "answered with 0x0213")],
)
def test_no_result(status: int, said: str, run_app: RunApp) -> None:
    flags = ("CTImageStorage=1.2.3", "--timeout", "0.1")
    with bare(lambda event: (status, None)) as peer:
        result = run_app("stgcmtscu", *peer, *flags)
    assert (result.returncode, result.stdout) == (1, "")
    assert said in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("from_where", ["file.jsonl", "-"])
def test_lines_of_json(
    from_where: str, archive: Archive, python_env: dict[str, str], tmp_path: Path
) -> None:
    """What getscu has printed."""
    rows = [reference_of(CT), reference_of(MR)]
    text = "".join(
        json.dumps(
            {
                "00080016": {"vr": "UI", "Value": [one.sop_class]},
                "00080018": {"vr": "UI", "Value": [one.sop_instance]},
            }
        )
        + "\n"
        for one in rows
    )
    (tmp_path / "file.jsonl").write_text(text)
    done = warm.run(
        [
            *(sys.executable, "-m", "pynetdicom", "stgcmtscu"),
            *map(str, archive.peer),
            from_where,
        ],
        input=text,
        capture_output=True,
        text=True,
        env=python_env,
        cwd=tmp_path,
        timeout=DEADLINE,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    assert archive.asked == rows


@pytest.mark.parametrize("release", [(), ("--release",)])
def test_the_result_on_another_association(
    release: tuple[str, ...], archive: Archive, python_env: dict[str, str], tmp_path: Path
) -> None:
    flags = ("CTImageStorage=1.2.3", "--listen", 0, "-ba", "127.0.0.1", *release)
    with started("stgcmtscu", *archive.peer, *flags, env=python_env, cwd=tmp_path) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        assert line.startswith("listening on 127.0.0.1:")
        archive.where["STGCMTSCU"] = ("127.0.0.1", int(line.rpartition(":")[2]))
        output, errors = process.communicate(timeout=DEADLINE)
    assert (process.returncode, errors) == (0, "")
    assert "1.2.3: committed" in output


def test_what_cannot_be_read_is_not_asked_for(
    archive: Archive, run_app: RunApp, tmp_path: Path
) -> None:
    (tmp_path / "text").write_text("no DICOM")
    result = run_app("stgcmtscu", *archive.peer, tmp_path / "text", CT)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
    assert archive.asked == [reference_of(CT)]
    result = run_app("stgcmtscu", *archive.peer, tmp_path / "text")
    assert result.returncode == 1
    assert "no objects" in result.stderr
    result = run_app("stgcmtscu", *archive.peer, "NoSuchClass=1.2.3")
    assert "CLASS=UID: Invalid 'CLASS' value 'NoSuchClass'" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ([], 2),
        (["NoSuchClass=1.2.3"], 1),
        (["CTImageStorage=x"], 1),
        (["CTImageStorage=1.2.3", "--release"], 2),
        (["CTImageStorage=1.2.3", "--wait", "1.2.3"], 2),
        (["nothing.jsonl"], 1),
        (["wrong.jsonl"], 1),
    ],
)
def test_wrong_arguments(
    arguments: list[str], code: int, run_app: RunApp, free_port: int, tmp_path: Path
) -> None:
    (tmp_path / "wrong.jsonl").write_text('\n{"00080016": 1}\n')
    result = run_app("stgcmtscu", "127.0.0.1", free_port, *arguments)
    assert (result.returncode, result.stdout) == (code, "")
    assert result.stderr.count("\n") == 1


def test_no_such_context(run_app: RunApp, serve_app: Any) -> None:
    scp = serve_app("echoscp")
    result = run_app("stgcmtscu", "127.0.0.1", scp.port, CT)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1


def test_waiting_for_what_was_asked_before(
    archive: Archive, python_env: dict[str, str], run_app: RunApp, tmp_path: Path
) -> None:
    """The first one gives up, and says which transaction it has waited for."""
    archive.may_check.clear()
    listen = ("--listen", 0, "-ba", "127.0.0.1")
    objects = ("CTImageStorage=1.2.3", "CTImageStorage=1.2.4")
    asked = run_app("stgcmtscu", *archive.peer, *objects, *listen, "--timeout", "0.1")
    assert asked.returncode == 1
    uid = asked.stderr.split()[-1]
    assert asked.stderr.endswith(f"there is no result of the storage commitment yet: {uid}\n")
    flags = (objects[0], "CTImageStorage=1.2.5", "--wait", uid, *listen)
    with started("stgcmtscu", *archive.peer, *flags, env=python_env, cwd=tmp_path) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        archive.where["STGCMTSCU"] = ("127.0.0.1", int(line.rpartition(":")[2]))
        archive.may_check.set()
        output, errors = process.communicate(timeout=DEADLINE)
    assert process.returncode == 1
    retrieved = "committed, to be had from ARCHIVE"
    assert output.splitlines() == [f"1.2.3: {retrieved}", f"1.2.4: {retrieved}", "1.2.5: missing"]
    assert errors == "stgcmtscu: 1 of 3 objects are not committed\n"
