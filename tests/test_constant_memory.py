"""Very many matches, very many instances, a very large object: neither side's memory grows with it.

`MATCHES`, `INSTANCES` and `LARGE` say how many and how large; a million, 10,000 and 1 GiB take some
minutes.
"""

from __future__ import annotations

import os
import select
import shutil
import signal
import struct
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset

from pynetdicom.data_sets.part10 import read_header
from tests.apps.conftest import Served
from tests.memory import PEAK, peak

pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(
        not Path("/proc/self/statm").exists(), reason="memory of another process is read from /proc"
    ),
]

MATCHES = int(os.environ.get("PYNETDICOM_TEST_MATCHES", "8000"))
INSTANCES = int(os.environ.get("PYNETDICOM_TEST_INSTANCES", "800"))
DEADLINE = 600.0 + MATCHES / 1000 + INSTANCES / 20
MIB = 1 << 20
GROWTH = 6.0
"""MiB that may come and go."""

CT = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"

SCP = """
import sys, threading
from pydicom.dataset import Dataset
from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as MODEL

yielded = 0

def find(event):
    global yielded
    for number in range(int(event.identifier.StudyID)):
        ds = Dataset()
        ds.QueryRetrieveLevel = "STUDY"
        ds.PatientName = f"Doe^Jane{number}"
        ds.StudyInstanceUID = f"1.2.826.0.1.3680043.8.498.{number}"
        ds.PatientComments = "x" * 10_000
        yielded = number + 1
        yield 0xFF00, ds

ae = AE()
ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
ae.add_supported_context(MODEL)
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_FIND, find)])
print(server.server_address[1], flush=True)
for line in sys.stdin:
    print(yielded, flush=True)
ae.shutdown()
"""

SCU = """
import sys
from pydicom.dataset import Dataset
from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as MODEL

port, count = int(sys.argv[1]), int(sys.argv[2])
ae = AE()
ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
ae.add_requested_context(MODEL)
assoc = ae.associate("127.0.0.1", port)
ds = Dataset()
ds.QueryRetrieveLevel = "STUDY"
ds.StudyID = str(count)
taken = 0
for status, match in assoc.send_c_find(ds, MODEL):
    if match is None:
        break
    assert match.StudyInstanceUID.endswith(f".{taken}")
    taken += 1
    if taken % max(1, count // 20) == 0:
        print(taken, flush=True)
        sys.stdin.readline()
print("end", taken, hex(status.Status), flush=True)
assoc.release()
"""


def resident(pid: int) -> float:
    """The memory that a process has, in MiB."""
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / MIB


@contextmanager
def running(env: dict[str, str], program: str, *arguments: object) -> Iterator[Any]:
    process = subprocess.Popen(
        [sys.executable, "-c", program, *map(str, arguments)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=env,
    )
    with process:
        try:
            yield process
            assert process.stdin is not None
            process.stdin.close()
            assert process.wait(DEADLINE) == 0
        finally:
            process.kill()


def line_of(process: Any) -> str:
    ready, _, _ = select.select([process.stdout], [], [], DEADLINE)
    assert ready, "it says nothing"
    return str(process.stdout.readline()).strip()


def say(process: Any) -> None:
    process.stdin.write("\n")
    process.stdin.flush()


def standstill(scp: Any) -> int:
    """How many matches its handler has yielded when it yields no more, since nobody takes them."""
    before = -1
    deadline = time.monotonic() + DEADLINE
    while True:
        say(scp)
        count = int(line_of(scp))
        if count == before:
            return count
        assert time.monotonic() < deadline, "the handler never stops"
        before = count
        select.select([], [], [], 0.2)


def assert_flat(name: str, samples: list[float]) -> None:
    """Memory does not grow after the beginning, in which buffers and caches come to be."""
    print(name, "MiB:", *(f"{sample:.1f}" for sample in samples))
    assert len(samples) > 3, "it was over too soon"
    assert max(samples) - samples[0] < GROWTH, (name, samples)


@pytest.mark.timeout(DEADLINE * 2)
def test_very_many_matches(python_env: dict[str, str]) -> None:
    """With each pause of the SCU the SCP's handler pauses too."""
    sides: dict[str, list[float]] = {"SCU": [], "SCP": []}
    ahead = []
    begun = time.monotonic()
    with running(python_env, SCP) as scp:
        port = line_of(scp)
        with running(python_env, SCU, port, MATCHES) as scu:
            while not (line := line_of(scu)).startswith("end"):
                ahead.append(standstill(scp) - int(line))
                sides["SCU"].append(resident(scu.pid))
                sides["SCP"].append(resident(scp.pid))
                say(scu)
            assert line == f"end {MATCHES} 0x0"
    print(f"{MATCHES} matches in {time.monotonic() - begun:.1f} s, ahead by at most {max(ahead)}")
    for name, samples in sides.items():
        assert_flat(name, samples[4:])
    # What is on the way is in the system's buffers, which are 37 MiB at most where tests have run.
    assert max(ahead) < 5000


def write_objects(place: Path, count: int) -> None:
    place.mkdir()
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CT
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "P1", "1.2.1", "1.2.2"
    ds.PixelData = bytes(20_000)
    ds["PixelData"].VR = "OB"
    for number in range(count):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        ds.save_as(place / f"{number}.dcm", enforce_file_format=True)


def count_files(place: Path) -> int:
    return sum(len(files) for _, _, files in os.walk(place))


@pytest.mark.timeout(DEADLINE * 4)
def test_very_many_instances(python_env: dict[str, str], tmp_path: Path) -> None:
    """Stored in qrscp by storescu, and got from it by getscu."""
    sent, got, place = tmp_path / "sent", tmp_path / "got", tmp_path / "qrscp"
    write_objects(sent, INSTANCES)
    place.mkdir()
    app = [sys.executable, "-m", "pynetdicom"]
    served = Served([*app, "qrscp", "--port", "0", "-ba", "127.0.0.1"], python_env, place)
    address = ["127.0.0.1", str(served.port)]
    keys = ["-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID=1.2.1"]
    commands = {
        "storescu": [*app, "storescu", *address, str(sent), "-r"],
        "getscu": [*app, "getscu", *address, "-S", *keys, "-od", str(got)],
    }
    try:
        for name, where in (("storescu", place / "instances"), ("getscu", got)):
            begun = time.monotonic()
            own, of_qrscp = watch(
                commands[name], python_env, served.process.pid, partial(count_files, where)
            )
            print(f"{INSTANCES} by {name} in {time.monotonic() - begun:.1f} s")
            assert_flat(name, own)
            assert_flat(f"qrscp for {name}", of_qrscp)
        assert count_files(got) == INSTANCES
    finally:
        assert served.stop() == 0, served.errors()


def watch(
    command: list[str], env: dict[str, str], pid: int, done: Callable[[], int]
) -> tuple[list[float], list[float]]:
    """The memory of a program, and of another process, from a fifth of what is to be done on."""
    process = subprocess.Popen(command, env=env)
    own, other = [], []
    try:
        deadline = time.monotonic() + DEADLINE
        while process.poll() is None:
            assert time.monotonic() < deadline
            # What is watched stands still while files are counted: it must not be over by then.
            process.send_signal(signal.SIGSTOP)
            if done() > INSTANCES // 5:
                own.append(resident(process.pid))
                other.append(resident(pid))
            process.send_signal(signal.SIGCONT)
            select.select([], [], [], 0.05)
    finally:
        process.kill()
    assert process.wait() == 0
    own = [sample for sample in own if sample]  # it has none when it has just ended
    return own[:: len(own) // 20 or 1], other[:: len(other) // 20 or 1]


# A very large object

LARGE = int(os.environ.get("PYNETDICOM_TEST_LARGE", str(256 << 20)))
MORE = 64.0
"""MiB that a very large object may take more than a tiny one."""
END = b"the very end of it."
LARGE_DEADLINE = 600.0

# The app, which tells its peak before it ends.
APP = (
    PEAK
    + """
import runpy, sys
try:
    runpy.run_module("pynetdicom", run_name="__main__", alter_sys=True)
finally:
    print(peak() / 2**20)
"""
)

STORE_SCU = (
    PEAK
    + """
import sys
from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage

ae = AE()
ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
ae.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.1")
assoc = ae.associate("127.0.0.1", int(sys.argv[1]))
assert assoc.is_established
status = assoc.send_c_store(sys.argv[2])
assoc.release()
assert status.Status == 0x0000, status
print(peak() / 2**20)
"""
)

STORE_SCP = """
import sys
from pynetdicom import AE, evt
from pynetdicom.sop_class import CTImageStorage

def store(event):
    event.save_as(f"{sys.argv[1]}/{event.request.AffectedSOPInstanceUID}.dcm")
    return 0x0000

ae = AE()
ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
ae.add_supported_context(CTImageStorage, "1.2.840.10008.1.2.1")
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, store)])
print(server.server_address[1], flush=True)
sys.stdin.read()
ae.shutdown()
"""


def peak_of(pid: int) -> float:
    """The most memory that a process has had, in MiB."""
    return peak(pid) / MIB


def write_sparse(path: Path, size: int) -> None:
    """A CT image whose pixel data are so many bytes: zeros, which take no room, and `END`."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = CT
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    ds.save_as(path, enforce_file_format=True)
    with path.open("r+b") as file:
        file.seek(0, os.SEEK_END)
        file.write(struct.pack("<HH2sHL", 0x7FE0, 0x0010, b"OB", 0, size))
        file.seek(size - len(END), os.SEEK_CUR)
        file.write(END)


def data_set_of(path: Path) -> tuple[int, bytes]:
    """The size of the data set in a file, and its last bytes."""
    with read_header(str(path)) as header, path.open("rb") as file:
        file.seek(-len(END), os.SEEK_END)
        return header.size, file.read()


@pytest.fixture
def room(tmp_path: Path) -> Iterator[Path]:
    """A directory with room for it, which is emptied afterwards."""
    place = tmp_path / "room"
    place.mkdir()
    if shutil.disk_usage(place).free < LARGE * 5 // 4:
        pytest.skip(f"less than 1.25 GiB are free in {place}")
    yield place
    shutil.rmtree(place)


Peaks = dict[str, float]
"""Program → the most memory that it had, in MiB."""


def by_apps(env: dict[str, str], sent: Path, place: Path) -> Peaks:
    """Have a file sent by storescu and stored by storescp, each a process of its own."""
    scp = Served(
        [sys.executable, "-m", "pynetdicom", "storescp", "0", "-ba", "127.0.0.1"], env, place
    )
    try:
        with running(env, APP, "storescu", "127.0.0.1", scp.port, sent) as scu:
            scu_peak = last_line_of(scu)
        return {"storescu": scu_peak, "storescp": peak_of(scp.process.pid)}
    finally:
        assert scp.stop() == 0, scp.errors()


def by_scripts(env: dict[str, str], sent: Path, place: Path) -> Peaks:
    """Have a file sent by `send_c_store`, and stored by a handler of `EVT_C_STORE`."""
    # Which receives in the directory for temporary files: here, one that has the room.
    with running({**env, "TMPDIR": str(place.parent)}, STORE_SCP, place) as scp:
        port = line_of(scp)
        with running(env, STORE_SCU, port, sent) as scu:
            scu_peak = last_line_of(scu)
        return {"SCU": scu_peak, "SCP": peak_of(scp.pid)}


def last_line_of(process: Any) -> float:
    """What a program says last of all, which is a number."""
    said, _ = process.communicate(timeout=LARGE_DEADLINE)
    assert process.returncode == 0, said
    return float(said.splitlines()[-1])


@pytest.mark.timeout(LARGE_DEADLINE * 3)
@pytest.mark.parametrize("send", [by_apps, by_scripts])
def test_a_very_large_object(
    send: Callable[[dict[str, str], Path, Path], Peaks], python_env: dict[str, str], room: Path
) -> None:
    """It adds under 64 MiB to the process that sends it, and to the one that receives it."""
    peaks = []
    for size in (1024, LARGE):
        sent, place = room / f"{size}.dcm", room / f"stored{size}"
        write_sparse(sent, size)
        place.mkdir()
        begun = time.monotonic()
        peaks.append(send(python_env, sent, place))
        print(f"{size} bytes in {time.monotonic() - begun:.1f} s:", peaks[-1])
        assert data_set_of(place / "1.2.3.dcm") == data_set_of(sent)
        assert data_set_of(sent)[0] > size
    tiny, large = peaks
    for name in tiny:
        assert large[name] - tiny[name] < MORE, (name, peaks)
