"""A file system that is full: what cannot be kept is refused, and nothing else suffers from it."""

from __future__ import annotations

import signal
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)
from tests.apps.archive.conftest import CT, EXPLICIT, Start, make
from tests.apps.conftest import Served
from tests.peers import DEADLINE
from tests.sampled import sampled

SIZE = 4 << 20
OUT_OF_RESOURCES = 0xA700
SMALL, LARGE = 200_000, 1_500_000  # in memory, and in a file, while they are received


@pytest.fixture
def small(tmp_path: Path) -> Iterator[Path]:
    """A file system of 4 MiB."""
    place = tmp_path / "small"
    place.mkdir()
    try:
        command = ["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", str(place)]
        mounted = subprocess.run(command, capture_output=True, text=True, check=False)
    except OSError as error:
        pytest.skip(f"there is no mount: {error}")
    if mounted.returncode != 0:
        pytest.skip(f"a file system cannot be mounted: {mounted.stderr.strip()}")
    yield place
    subprocess.run(["umount", "--lazy", str(place)], check=True)


@pytest.fixture
def start(start: Start) -> Start:
    """``start(instances, index)`` starts qrscp."""

    def serve(instances: Path, index: Path) -> Served:
        return start("--instance-location", instances, "--database-location", index)

    return serve


def associate(port: int) -> Any:
    ae = AE("PEER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    ae.add_requested_context(CT, EXPLICIT)
    ae.add_requested_context(Verification)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established, assoc.ended
    return assoc


def an_object(number: int, size: int) -> Dataset:
    ds = make(number)
    ds.PixelData = number.to_bytes(2, "big") * (size // 2)
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    return ds


def fill(assoc: Any, size: int) -> list[int]:
    """Store objects until one is refused; gives those that were acknowledged."""
    acknowledged = []
    for number in range(1, 2 + 2 * SIZE // size):
        status = assoc.send_c_store(an_object(number, size))
        if status.Status != 0x0000:
            assert status.Status == OUT_OF_RESOURCES
            assert status.ErrorComment
            return acknowledged
        acknowledged.append(number)
    raise AssertionError("it is never full")


def found(assoc: Any) -> set[str]:
    ds = Dataset()
    ds.QueryRetrieveLevel = "IMAGE"
    ds.StudyInstanceUID, ds.SeriesInstanceUID, ds.SOPInstanceUID = "1.2.1", "1.2.2", ""
    answers = list(assoc.send_c_find(ds, StudyRootQueryRetrieveInformationModelFind))
    assert answers[-1][0].Status == 0x0000
    return {str(match.SOPInstanceUID) for _, match in answers[:-1]}


def assert_kept(instances: Path, numbers: list[int], size: int) -> None:
    """These are kept, whole, and there is nothing else."""
    files = {path.name: path for path in instances.rglob("*") if path.is_file()}
    assert set(files) == {f"1.2.3.{number}.dcm" for number in numbers}
    for number in numbers:
        kept = dcmread(files[f"1.2.3.{number}.dcm"])
        assert kept.PixelData == an_object(number, size).PixelData


def fill_up(path: Path) -> None:
    """Make a file that takes what room there is."""
    with path.open("wb", buffering=0) as file, suppress(OSError):
        while True:
            file.write(bytes(4096))


@sampled("size", [SMALL, LARGE])
def test_objects_on_a_full_file_system(
    small: Path, start: Start, tmp_path: Path, size: int
) -> None:
    instances, index = small / "instances", tmp_path / "index.sqlite"
    served = start(instances, index)
    assoc = associate(served.port)
    numbers = fill(assoc, size)
    assert len(numbers) >= 2
    uids = {f"1.2.3.{number}" for number in numbers}
    assert_kept(instances, numbers, size)
    # The association goes on, and so does the archive.
    for again in range(1000, 1003):
        assert assoc.send_c_store(an_object(again, size)).Status == OUT_OF_RESOURCES
    assert assoc.send_c_echo().Status == 0x0000
    assert found(assoc) == uids
    other = associate(served.port)
    assert found(other) == uids
    other.release()
    # When there is room again, it is used.
    next(instances.rglob("1.2.3.1.dcm")).unlink()
    assert assoc.send_c_store(an_object(1000, size)).Status == 0x0000
    assoc.release()
    assert served.stop(signal.SIGTERM) == 0
    numbers = [*numbers[1:], 1000]
    assert_kept(instances, numbers, size)
    assoc = associate(start(instances, index).port)
    assert found(assoc) == {f"1.2.3.{number}" for number in numbers}
    assoc.release()


@pytest.mark.slow
def test_an_index_on_a_full_file_system(small: Path, start: Start, tmp_path: Path) -> None:
    """The objects have room, the index has not: none is acknowledged that is not indexed."""
    instances, index = tmp_path / "instances", small / "index.sqlite"
    served = start(instances, index)
    assoc = associate(served.port)
    ballast = small / "ballast"
    fill_up(ballast)
    acknowledged = []
    for number in range(1, 3000):
        status = assoc.send_c_store(an_object(number, 100))
        if status.Status != 0x0000:
            break
        acknowledged.append(number)
    assert status.Status == OUT_OF_RESOURCES
    assert assoc.send_c_echo().Status == 0x0000
    ballast.unlink()
    refused = number
    assert found(assoc) == {f"1.2.3.{number}" for number in acknowledged}
    assert assoc.send_c_store(an_object(refused, 100)).Status == 0x0000
    assoc.release()
    assert served.stop(signal.SIGTERM) == 0
    with sqlite3.connect(index) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()
    assoc = associate(start(instances, index).port)
    assert found(assoc) == {f"1.2.3.{number}" for number in [*acknowledged, refused]}
    assoc.release()


@sampled("killed", [False, True])
def test_a_start_on_a_full_file_system(small: Path, start: Start, killed: bool) -> None:
    """Objects and index have no room at all: what is there is found and sent; later there is."""
    instances, index = small / "instances", small / "index.sqlite"
    served = start(instances, index)
    assoc = associate(served.port)
    assert assoc.send_c_store(an_object(1, SMALL)).Status == 0x0000
    assoc.release()
    if killed:
        served.stop(signal.SIGKILL)
        index.with_name("index.sqlite-shm").unlink()
    else:
        assert served.stop(signal.SIGTERM) == 0
    ballast = small / "ballast"
    fill_up(ballast)
    served = start(instances, index)
    assoc = associate(served.port)
    for _ in range(2):
        assert found(assoc) == {"1.2.3.1"}
        assert retrieved(served.port) == ["1.2.3.1"]
        assert assoc.send_c_store(an_object(2, SMALL)).Status == OUT_OF_RESOURCES
        if not killed:  # what it had left beside the index was room when that had been read
            assert assoc.send_c_store(an_object(3, 100)).Status == OUT_OF_RESOURCES
    assert assoc.send_c_echo().Status == 0x0000
    ballast.unlink()
    for number, size in ((2, SMALL), (3, 100)):
        assert assoc.send_c_store(an_object(number, size)).Status == 0x0000
    assert found(assoc) == {"1.2.3.1", "1.2.3.2", "1.2.3.3"}
    assoc.release()
    assert served.stop(signal.SIGTERM) == 0
    with sqlite3.connect(index) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchall() == [("ok",)]
    connection.close()


def retrieved(port: int) -> list[str]:
    """What a C-GET of the study brings."""
    got = []

    def keep(event: Any) -> int:
        got.append(str(event.dataset.SOPInstanceUID))
        return 0x0000

    ae = AE("PEER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    ae.add_requested_context(CT, EXPLICIT)
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    roles = [build_role(CT, scu_role=True, scp_role=True)]
    assoc = ae.associate("127.0.0.1", port, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, keep)])
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.StudyInstanceUID = "STUDY", "1.2.1"
    *_, (status, _) = assoc.send_c_get(ds, StudyRootQueryRetrieveInformationModelGet)
    assert status.Status == 0x0000
    assoc.release()
    return got


@pytest.mark.skipif(sys.platform == "win32", reason="there is no limit of the size of a file")
@sampled("size", [SMALL, LARGE])
def test_files_that_may_not_be_so_long(start: Start, tmp_path: Path, size: int) -> None:
    """The same without a file system of our own: the system refuses to make files longer."""
    import resource

    instances, index = tmp_path / "instances", tmp_path / "index.sqlite"
    served = start(instances, index)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    assoc = associate(served.port)
    assert assoc.send_c_store(an_object(1, size)).Status == 0x0000
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, (size // 2, limits[1]))
    for number in (2, 3):
        assert assoc.send_c_store(an_object(number, size)).Status == OUT_OF_RESOURCES
    assert_kept(instances, [1], size)
    assert found(assoc) == {"1.2.3.1"}
    resource.prlimit(served.process.pid, resource.RLIMIT_FSIZE, limits)
    assert assoc.send_c_store(an_object(2, size)).Status == 0x0000
    assert_kept(instances, [1, 2], size)
    assoc.release()
