"""``qrscp import``: what becomes of the files of a directory."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import ExplicitVRLittleEndian, ImplicitVRLittleEndian

from pynetdicom.apps.archive.admin import importing
from pynetdicom.apps.qrscp import main
from pynetdicom.dsutils import create_file_meta
from tests.apps.archive.conftest import Qrscp, make


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "source"
    path.mkdir()
    return path


def write(path: Path, ds: Dataset, syntax: str = ExplicitVRLittleEndian) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    ds.file_meta = create_file_meta(
        sop_class_uid=ds.SOPClassUID, sop_instance_uid=ds.SOPInstanceUID, transfer_syntax=syntax
    )
    ds.save_as(path, enforce_file_format=True)
    os.utime(path, ns=(10**18, 10**18))
    return path


@pytest.fixture
def three(source: Path) -> list[Path]:
    """Three objects, in folders and with names of all kinds."""
    return [
        write(source / "1.2.3.1", make(1)),
        write(source / "below" / "two.dcm", make(2)),
        write(source / "below" / "deeper" / "IM3", make(3), ImplicitVRLittleEndian),
    ]


@pytest.mark.parametrize("option", [(), ("--link",)])
def test_files_become_objects(
    qrscp: Qrscp, source: Path, three: list[Path], option: tuple[str, ...]
) -> None:
    before = {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in three}
    (source / "readme.txt").write_text("no object")
    assert qrscp("import", source, *option) == 0
    assert qrscp.out == (
        "3 imported, 0 there already, 0 there with other bytes, 0 refused, 0 failed,"
        " 1 no DICOM objects"
    )
    kept = qrscp.objects()
    assert {path.name for path in kept} == {f"1.2.3.{number}.dcm" for number in (1, 2, 3)}
    assert {path.read_bytes() for path in kept} == {path.read_bytes() for path in three}
    assert all(path.stat().st_nlink == 1 + bool(option) for path in kept)
    # Which values of a patient hold is decided by when objects came: there they came first.
    assert all(path.stat().st_mtime_ns == 10**18 for path in kept)
    assert {path: (path.read_bytes(), path.stat().st_mtime_ns) for path in three} == before
    assert qrscp.indexed() == {f"1.2.3.{number}" for number in (1, 2, 3)}
    # Once more, after some was added: only that is taken.
    write(source / "4", make(4))
    assert qrscp("import", source, *option) == 0
    assert qrscp.out.startswith("1 imported, 3 there already, 0")


def test_an_import_that_was_ended_goes_on(
    qrscp: Qrscp, source: Path, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    taken = importing.Importer.take

    def take(self: importing.Importer, path: str) -> str:
        if path == str(three[2]):
            raise KeyboardInterrupt
        return taken(self, path)

    with monkeypatch.context() as patched:
        patched.setattr(importing.Importer, "take", take)
        assert qrscp("import", source) == 130
    assert len(qrscp.objects()) < 3
    assert qrscp("import", source) == 0
    assert len(qrscp.objects()) == 3


def test_an_object_that_was_kept_and_not_indexed(qrscp: Qrscp, source: Path) -> None:
    write(source / "1", make(1))
    assert qrscp("import", source) == 0
    for path in qrscp.place.glob("index.sqlite*"):
        path.unlink()
    assert qrscp("import", source) == 0
    assert qrscp.out.startswith("1 imported")
    assert qrscp.indexed() == {"1.2.3.1"}
    assert len(qrscp.objects()) == 1


def test_other_bytes_of_a_uid_are_told_and_replace_nothing(qrscp: Qrscp, source: Path) -> None:
    write(source / "1", make(1))
    other = write(source / "2", make(1, PatientName="Roe^Richard"))
    assert qrscp("import", source) == 1
    assert qrscp.out.startswith("1 imported, 0 there already, 1 there with other bytes")
    assert f"{other}: " in qrscp.err
    assert "Roe" not in qrscp.err
    (kept,) = qrscp.objects()
    assert dcmread(kept).PatientName == "Doe^Jane"


def test_what_cannot_be_imported_is_told(qrscp: Qrscp, source: Path) -> None:
    good = write(source / "good", make(1))
    data = good.read_bytes()
    (source / "cut").write_bytes(data[:-3])
    write(source / "no study", make(2, StudyInstanceUID=""))
    assert qrscp("import", source) == 1
    assert qrscp.out.startswith("1 imported, 0 there already, 0 there with other bytes, 2 refused")
    assert f"{source / 'cut'}: the file is truncated" in qrscp.err
    assert f"{source / 'no study'}: No Study Instance UID" in qrscp.err


@pytest.mark.parametrize("option", [(), ("--link",)])
def test_a_data_set_without_meta_information(
    qrscp: Qrscp, source: Path, option: tuple[str, ...]
) -> None:
    ds = make(1)
    ds.save_as(source / "bare", implicit_vr=True, little_endian=True)
    assert qrscp("import", source, *option) == 0
    (kept,) = qrscp.objects()
    read = dcmread(kept)
    assert read.file_meta.TransferSyntaxUID == ImplicitVRLittleEndian
    assert read.file_meta.MediaStorageSOPInstanceUID == "1.2.3.1"
    assert read == ds


def test_where_there_can_be_no_links_there_are_copies(
    qrscp: Qrscp, source: Path, three: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    link = os.link

    def on_another_disk(src: str, dst: str, **named: object) -> None:
        if str(src).startswith(str(source)):
            raise OSError(18, "Invalid cross-device link")
        link(src, dst, **named)  # type: ignore[arg-type]  # as it was called

    monkeypatch.setattr(os, "link", on_another_disk)
    assert qrscp("import", source, "--link") == 0
    assert len(qrscp.objects()) == 3
    assert all(path.stat().st_nlink == 1 for path in qrscp.objects())


def test_into_a_store_of_fsspec(tmp_path: Path, source: Path, three: list[Path]) -> None:
    make(4).save_as(source / "bare", implicit_vr=True, little_endian=True)
    places = ["--instance-location", f"memory://{tmp_path.name}"]
    places += ["--database-location", str(tmp_path / "cloud.sqlite")]
    assert main(["import", str(source), *places]) == 0
    assert main(["import", str(source), "--link", *places]) == 0


def test_the_store_of_pynetdicom_3(qrscp: Qrscp, tmp_path: Path) -> None:
    """A directory of files that are named by their UIDs, and its index."""
    store = tmp_path / "instances"
    for number in range(3):
        write(store / f"1.2.3.{number}", make(number))
    shutil.copy(store / "1.2.3.0", tmp_path / "0")
    (tmp_path / "instances.sqlite").write_bytes(b"SQLite format 3\0" + bytes(100))
    before = {path: path.stat() for path in [store, *store.iterdir()]}
    assert qrscp("import", store) == 0
    assert qrscp.indexed() == {f"1.2.3.{number}" for number in range(3)}
    after = {path: path.stat() for path in [store, *store.iterdir()]}
    assert {p: (s.st_mtime_ns, s.st_ctime_ns) for p, s in before.items()} == {
        p: (s.st_mtime_ns, s.st_ctime_ns) for p, s in after.items()
    }


def test_a_directory_that_is_not_there(qrscp: Qrscp, tmp_path: Path) -> None:
    assert qrscp("import", tmp_path / "nowhere") == 1
    assert "nowhere is no directory" in qrscp.err
