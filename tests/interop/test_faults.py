"""DCMTK's tools as peers that misbehave, die or stand still, and large objects."""

from __future__ import annotations

import os
import queue
import signal
import struct
import subprocess
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom import evt
from pynetdicom.sop_class import Verification
from tests.apps.conftest import CT, MR
from tests.conftest import find_free_port
from tests.interop.test_store_scp import NO_DELAY, Scp, make_scp, scp
from tests.interop.test_store_scu import ae_for, assert_stored, data_set_bytes, stored_in_order
from tests.memory import PEAK
from tests.sampled import sampled

__all__ = ["make_scp", "scp"]  # fixtures

MIB = 1 << 20
SIZE = 96 * MIB
FLAT = 64 * MIB

needs_proc = pytest.mark.skipif(
    not os.path.exists("/proc/self/status"), reason="reads a process's memory in /proc"
)


def write_large(path: Path) -> None:
    """A CT image with many bytes of pixel data, no two MiB of which are the same."""
    ds = dcmread(CT)
    del ds.PixelData
    del ds[0xFFFC, 0xFFFC]
    ds.save_as(path)
    with path.open("ab") as file:
        file.write(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OW", 0, SIZE))
        for number in range(SIZE // MIB):
            file.write(number.to_bytes(4, "little") * (MIB // 4))


@pytest.fixture
def large(tmp_path: Path) -> Iterator[Path]:
    path = tmp_path / "large.dcm"
    write_large(path)
    yield path
    path.unlink()


def after(count: int, act: Callable[[], object]) -> Callable[[Any], None]:
    """A handler that calls `act` once that many bytes have passed."""
    left = [count]

    def handle(event: Any) -> None:
        before = left[0]
        left[0] -= len(event.data)
        if before > 0 >= left[0]:
            act()

    return handle


# A storescp that misbehaves


@sampled("option", ["--abort-after", "--abort-during"])
def test_the_peer_aborts(dcmtk: Any, option: str) -> None:
    scp = dcmtk.storescp(option)
    ae = ae_for([CT, MR])
    assoc = ae.associate("127.0.0.1", scp.port)
    assert "Status" not in assoc.send_c_store(CT)
    ended = assoc.ended
    assert (ended.kind, ended.by, ended.source) == ("aborted", "peer", 0)
    with pytest.raises(RuntimeError):
        assoc.send_c_store(MR)

    assoc = ae.associate("127.0.0.1", scp.port)
    # It aborts on each association that is made in the place of the last.
    results = list(assoc.send_c_stores([CT, MR]))
    assert [path for path, _ in results] == [CT, MR]
    assert [status.problem for _, status in results] == ["no answer: aborted by the peer"] * 2
    assert assoc.is_aborted


@sampled("option", ["--abort-after", "--abort-during"])
def test_the_peer_aborts_a_large_object(dcmtk: Any, large: Path, option: str) -> None:
    scp = dcmtk.storescp(option)
    assoc = ae_for([large]).associate("127.0.0.1", scp.port)
    assert "Status" not in assoc.send_c_store(large)
    assert str(assoc.ended) == "aborted by the peer"


def test_the_peer_sleeps(dcmtk: Any) -> None:
    scp = dcmtk.storescp("--sleep-during", "30")
    ae = ae_for([CT])
    ae.dimse_timeout = 0.4
    assoc = ae.associate("127.0.0.1", scp.port)
    assert "Status" not in assoc.send_c_store(CT)
    ended = assoc.ended
    assert (ended.kind, ended.by, ended.timer) == ("aborted", "local", "dimse_timeout")
    scp.process.kill()


def test_the_peer_answers_slowly(dcmtk: Any) -> None:
    scp = dcmtk.storescp("--sleep-during", "1")
    ae = ae_for([MR])
    ae.dimse_timeout = 60
    assoc = ae.associate("127.0.0.1", scp.port)

    def set_timeout(seconds: float) -> None:
        assoc.network_timeout = seconds

    # Only while it is awaited.
    assoc.bind(evt.EVT_DIMSE_SENT, lambda event: set_timeout(0.4))
    assoc.bind(evt.EVT_DIMSE_RECV, lambda event: set_timeout(60))
    assert assoc.send_c_store(MR).Status == 0x0000
    assoc.release()
    assert assoc.is_released


# A storescp that dies or stands still


@sampled("at", [1, MIB, 40 * MIB])
def test_the_peer_dies_in_mid_transfer(dcmtk: Any, large: Path, at: int) -> None:
    scp = dcmtk.storescp("+B")
    assoc = ae_for([large]).associate("127.0.0.1", scp.port)
    assert assoc.is_established
    assoc.bind(evt.EVT_DATA_SENT, after(at, scp.process.kill))
    assert "Status" not in assoc.send_c_store(large)
    ended = assoc.ended
    assert (ended.kind, ended.by, ended.timer) == ("aborted", "network", None)
    assert str(ended).startswith("connection lost")
    assert not assoc.is_established


def test_the_peer_dies_between_objects(dcmtk: Any) -> None:
    scp = dcmtk.storescp()
    assoc = ae_for([CT, MR]).associate("127.0.0.1", scp.port)

    def paths() -> Iterator[Path]:
        yield CT
        yield MR

    answers = assoc.send_c_stores(paths())
    assert next(answers)[1].Status == 0x0000
    scp.process.kill()
    scp.process.wait(300)
    ((path, status),) = answers
    assert path == MR
    assert status.problem
    assert str(assoc.ended).startswith("connection lost")


def test_the_peer_stands_still_in_mid_transfer(dcmtk: Any, large: Path) -> None:
    scp = dcmtk.storescp("+B")
    ae = ae_for([large])
    ae.dimse_timeout = ae.network_timeout = None
    assoc = ae.associate("127.0.0.1", scp.port)

    def stop() -> None:
        scp.process.send_signal(signal.SIGSTOP)
        assoc.network_timeout = 0.5

    assoc.bind(evt.EVT_DATA_SENT, after(4 * MIB, stop))
    assert "Status" not in assoc.send_c_store(large)
    ended = assoc.ended
    assert (ended.kind, ended.by, ended.timer) == ("aborted", "local", "network_timeout")
    scp.process.kill()


def test_the_peer_stands_still_before_it_answers(dcmtk: Any) -> None:
    scp = dcmtk.storescp()
    ae = ae_for([MR])
    ae.add_requested_context(Verification)
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.send_c_echo().Status == 0x0000
    scp.process.send_signal(signal.SIGSTOP)
    assoc.dimse_timeout = 0.5
    assert "Status" not in assoc.send_c_store(MR)
    assert assoc.ended.timer == "dimse_timeout"
    scp.process.kill()


def test_the_peer_stands_still_before_it_accepts(dcmtk: Any) -> None:
    scp = dcmtk.storescp()
    scp.process.send_signal(signal.SIGSTOP)
    ae = ae_for([MR])
    ae.acse_timeout = 0.5
    assoc = ae.associate("127.0.0.1", scp.port)
    assert not assoc.is_established
    assert assoc.ended.timer == "acse_timeout"
    scp.process.kill()


def test_the_peer_stands_still_at_the_release(dcmtk: Any) -> None:
    scp = dcmtk.storescp()
    ae = ae_for([MR])
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.send_c_store(MR).Status == 0x0000
    scp.process.send_signal(signal.SIGSTOP)
    assoc.acse_timeout = 0.5
    assoc.release()
    assert assoc.ended.timer == "acse_timeout"
    scp.process.kill()


# A storescu that dies or stands still


@sampled("number", [signal.SIGKILL, signal.SIGSTOP], ids=lambda n: n.name)
def test_the_sender_stops(
    dcmtk: Any,
    dcmtk_tools: dict[str, str],
    make_scp: Callable[[], Scp],
    tmp_path: Path,
    large: Path,
    number: signal.Signals,
) -> None:
    """Nothing is stored, nothing is left, and others are served."""
    spool = tmp_path / "spool"
    spool.mkdir()
    sender: queue.SimpleQueue[Any] = queue.SimpleQueue()
    stopped = threading.Event()

    def act() -> None:
        sender.get(timeout=300).send_signal(number)
        stopped.set()

    count = after(20 * MIB, act)

    def stop(event: Any) -> None:
        count(event)
        if stopped.is_set():
            event.assoc.network_timeout = 0.5

    scp = make_scp()
    scp.start(evt_handlers=[(evt.EVT_DATA_RECV, stop)], spool_dir=str(spool))
    command = [dcmtk_tools["storescu"], "127.0.0.1", str(scp.port), str(large)]
    process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        sender.put(process)
        ended = scp.ended()
    finally:
        process.kill()
        process.wait()
    assert ended.kind == "aborted"
    if number == signal.SIGSTOP:
        assert (ended.by, ended.timer) == ("local", "network_timeout")
    else:
        assert (ended.by, ended.timer) == ("network", None)
    assert scp.stored == []
    assert list(spool.iterdir()) == []
    dcmtk.run("storescu", "127.0.0.1", scp.port, CT, check=True)
    assert len(scp.stored) == 1


# Large objects

SCU = (
    PEAK
    + """
import sys
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

ae = AE()
ae.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
assoc = ae.associate("127.0.0.1", int(sys.argv[1]))
codes = [assoc.send_c_store(sys.argv[2]).Status]
before = peak()
codes += [status.Status for _, status in assoc.send_c_stores([sys.argv[3]])]
codes.append(assoc.send_c_store(sys.argv[3]).Status)
assoc.release()
assert codes == [0, 0, 0], codes
print(peak() - before)
"""
)

SCP = (
    PEAK
    + """
import itertools, sys
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

names = itertools.count()

def store(event):
    event.save_as(f"{sys.argv[2]}/{next(names)}.dcm")
    assert event.dataset.SOPInstanceUID
    return 0

ae = AE()
ae.add_supported_context(CTImageStorage)
done = lambda event: print(peak(), flush=True)
handlers = [(evt.EVT_C_STORE, store), (evt.EVT_CONN_CLOSE, done)]
ae.start_server(
    ("127.0.0.1", int(sys.argv[1])), block=False, evt_handlers=handlers, spool_dir=sys.argv[2]
)
print("ready", flush=True)
sys.stdin.read()
ae.shutdown()
"""
)


@pytest.mark.slow
@needs_proc
def test_a_large_object_out(dcmtk: Any, large: Path, python_env: dict[str, str]) -> None:
    scp = dcmtk.storescp("+B", "+uf", env=NO_DELAY)
    result = subprocess.run(
        [sys.executable, "-c", SCU, str(scp.port), str(CT), str(large)],
        capture_output=True,
        text=True,
        timeout=300,
        env=python_env,
        check=False,
    )
    assert result.returncode == 0, result.stderr
    assert int(result.stdout) < FLAT
    stored = stored_in_order(scp)
    assert len(stored) == 3
    assert_stored(CT, stored[0])
    expected = data_set_bytes(large)
    for path in stored[1:]:
        assert data_set_bytes(path) == expected
        path.unlink()


@needs_proc
def test_a_large_object_in(
    dcmtk: Any, large: Path, tmp_path: Path, python_env: dict[str, str]
) -> None:
    directory = tmp_path / "stored"
    directory.mkdir()
    port = find_free_port()
    with subprocess.Popen(
        [sys.executable, "-c", SCP, str(port), str(directory)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=python_env,
    ) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "ready\n"
            peaks = []
            for path in (CT, large):
                dcmtk.run("storescu", "-pdu", 131072, "127.0.0.1", port, path, check=True)
                peaks.append(int(process.stdout.readline()))
            process.communicate("", timeout=300)
        finally:
            process.kill()
    assert process.returncode == 0
    assert peaks[1] - peaks[0] < FLAT
    reference = dcmtk.storescp("+B", env=NO_DELAY)
    dcmtk.run("storescu", "127.0.0.1", reference.port, large, env=NO_DELAY, check=True)
    (theirs,) = reference.files()
    stored = directory / "1.dcm"
    size = len(data_set_bytes(theirs))
    with theirs.open("rb") as one, stored.open("rb") as other:
        one.seek(theirs.stat().st_size - size)
        other.seek(stored.stat().st_size - size)
        assert one.read() == other.read()
