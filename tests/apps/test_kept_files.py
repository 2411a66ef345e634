"""pynetdicom.apps.kept_files: what is committed is there, whatever happens to the directory."""

from __future__ import annotations

import os
import shutil
import threading
from pathlib import Path

import pytest
from pydicom import dcmread

from pynetdicom.apps.kept_files import Digests, KeptFiles
from pynetdicom.workflows.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Reference,
)
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore
from tests.apps.conftest import CT, MR, SC_RLE


def reference_of(path: Path) -> Reference:
    ds = dcmread(path, stop_before_pixels=True)
    return Reference(ds.SOPClassUID, ds.SOPInstanceUID)


@pytest.fixture(params=[False, True], ids=["headers", "bytes"])
def kept(request: pytest.FixtureRequest, tmp_path: Path) -> KeptFiles:
    (tmp_path / "study" / "series").mkdir(parents=True)
    shutil.copy(CT, tmp_path / "ct")
    shutil.copy(MR, tmp_path / "study" / "series" / "mr.dcm")
    (tmp_path / "text").write_text("no DICOM")
    return KeptFiles(str(tmp_path), digests=Digests(MemoryStore()) if request.param else None)


def age(directory: Path) -> None:
    """Have a directory, and what is below, be as it is for long."""
    for folder, _, _ in os.walk(directory):
        os.utime(folder, (1e9, 1e9))


def test_what_is_there(kept: KeptFiles) -> None:
    assert kept.check(reference_of(CT)) == 0
    assert kept.check(reference_of(MR)) == 0
    assert kept.check(reference_of(SC_RLE)) == NO_SUCH_INSTANCE


def test_another_class(kept: KeptFiles) -> None:
    ct = reference_of(CT)
    wrong = Reference(reference_of(MR).sop_class, ct.sop_instance)
    assert kept.check(wrong) == CLASS_INSTANCE_CONFLICT


@pytest.mark.parametrize("is_old", [False, True])
def test_what_comes_and_goes(is_old: bool, kept: KeptFiles, tmp_path: Path) -> None:
    sc = reference_of(SC_RLE)
    if is_old:
        age(tmp_path)
    assert kept.check(sc) == NO_SUCH_INSTANCE
    new = tmp_path / "study" / "new"
    new.mkdir()
    shutil.copy(SC_RLE, new / "sc")
    assert kept.check(sc) == 0
    (new / "sc").rename(tmp_path / "moved")
    assert kept.check(sc) == 0
    shutil.copy(SC_RLE, new / "again")
    assert kept.check(reference_of(CT)) == 0
    (tmp_path / "moved").unlink()
    assert kept.check(sc) == 0
    shutil.rmtree(new)
    assert kept.check(sc) == NO_SUCH_INSTANCE


def test_a_file_that_is_written_slowly(kept: KeptFiles, tmp_path: Path) -> None:
    """Its folder does not change any more when the file is whole."""
    sc, content = reference_of(SC_RLE), SC_RLE.read_bytes()
    path = tmp_path / "slow"
    path.write_bytes(content[:20])
    age(tmp_path)
    assert kept.check(sc) == NO_SUCH_INSTANCE
    path.write_bytes(content[:-100])
    assert kept.check(sc) == PROCESSING_FAILURE  # it is cut off
    path.write_bytes(content)
    assert kept.check(sc) == 0


def test_a_file_that_becomes_another(kept: KeptFiles, tmp_path: Path) -> None:
    assert kept.check(reference_of(CT)) == 0
    shutil.copy(SC_RLE, tmp_path / "ct")
    assert kept.check(reference_of(CT)) == NO_SUCH_INSTANCE


def test_a_copy_that_is_cut_off_is_no_harm(kept: KeptFiles, tmp_path: Path) -> None:
    for name in ("a", "z"):
        (tmp_path / name).write_bytes(CT.read_bytes()[:-100])
    assert kept.check(reference_of(CT)) == 0


def test_a_folder_that_cannot_be_read(kept: KeptFiles, tmp_path: Path) -> None:
    shutil.rmtree(tmp_path)
    assert kept.check(reference_of(CT)) == NO_SUCH_INSTANCE


def test_many_threads_ask(kept: KeptFiles) -> None:
    found: list[int] = []
    threads = [
        threading.Thread(target=lambda: found.append(kept.check(reference_of(CT))))
        for _ in range(8)
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found == [0] * 8


def test_nothing_is_read_twice(
    kept: KeptFiles, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from pynetdicom.apps import kept_files

    read: list[str] = []
    whole = kept_files.read_header

    def count(path: str) -> object:
        read.append(os.path.basename(path))
        return whole(path)

    monkeypatch.setattr(kept_files, "read_header", count)
    age(tmp_path)
    for _ in range(3):
        assert kept.check(Reference("1.2.3", "1.2.404")) == NO_SUCH_INSTANCE
    assert sorted(read) == ["ct", "mr.dcm", "text"]


def flip(path: Path, bit: int = 1) -> None:
    """Change a bit near the end, as a disk may; the time of the file stays."""
    times, content = os.stat(path), bytearray(path.read_bytes())
    content[-1000] ^= bit
    path.write_bytes(content)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


def test_a_bit_that_has_changed(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """Since it was committed first, also by another process; an intact copy will do."""
    ct, objects = reference_of(CT), tmp_path / "objects"
    objects.mkdir()
    shutil.copy(CT, objects / "ct")

    def check() -> int:
        store = SQLiteStore(tmp_path / "store")
        try:
            return KeptFiles(str(objects), digests=Digests(store)).check(ct)
        finally:
            store.close()

    assert [check(), check()] == [0, 0]
    flip(objects / "ct")
    assert check() == PROCESSING_FAILURE
    assert f"{ct.sop_instance} cannot be committed: its bytes are not those" in caplog.text
    shutil.copy(CT, objects / "copy")
    assert check() == 0
    (objects / "copy").unlink()
    flip(objects / "ct")
    assert check() == 0


def changed(path: Path, position: int) -> None:
    """Change a byte in the file, as a program may; the time of the file says so."""
    content = bytearray(path.read_bytes())
    content[position] ^= 1
    path.write_bytes(content)
    os.utime(path, (2e9, 2e9))


@pytest.mark.parametrize(("position", "reason"), [(0, 0), (-1000, PROCESSING_FAILURE)])
def test_a_file_that_was_written_again(position: int, reason: int, tmp_path: Path) -> None:
    """By whoever received the object once more: what says who sent it may differ, and no more."""
    shutil.copy(CT, tmp_path / "ct")
    kept = KeptFiles(str(tmp_path), digests=Digests(MemoryStore()))
    assert kept.check(reference_of(CT)) == 0
    changed(tmp_path / "ct", position)
    for _ in range(2):
        assert kept.check(reference_of(CT)) == reason
    shutil.copy(CT, tmp_path / "ct")
    assert kept.check(reference_of(CT)) == 0


def test_without_digests_only_headers_are_looked_at(tmp_path: Path) -> None:
    shutil.copy(CT, tmp_path / "ct")
    kept = KeptFiles(str(tmp_path))
    assert kept.check(reference_of(CT)) == 0
    flip(tmp_path / "ct")
    assert kept.check(reference_of(CT)) == 0
