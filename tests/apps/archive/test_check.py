"""The start-up check: index and objects agree afterwards."""

from __future__ import annotations

import os
import shutil
import uuid
from pathlib import Path

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from pynetdicom.apps.archive import check as check_module
from pynetdicom.apps.archive.check import Findings, NoObjects, check, read_record
from pynetdicom.apps.archive.cloud import CloudStore
from pynetdicom.apps.archive.index import Index
from pynetdicom.apps.archive.objects import FileStore, ObjectStore, folder_of
from tests.apps.archive.conftest import MakeEvent, make


def keep(store: ObjectStore, event: MakeEvent, *numbers: int) -> list[str]:
    return [store.keep(event(make(n)), f"1.2.3.{n}").location for n in numbers]


def age(store: FileStore) -> None:
    """Have the folders changed long ago."""
    for name, _ in store.folders():
        os.utime(store.path(name), (1e9, 1e9))


@pytest.fixture
def store(tmp_path: Path) -> FileStore:
    return FileStore(str(tmp_path / "objects"))


def test_what_is_not_indexed_is_added(
    index: Index, store: FileStore, store_event: MakeEvent
) -> None:
    locations = keep(store, store_event, 1, 2, 3)
    assert check(index, store)[1:] == (3, 0, 0)
    assert {one.location for one in index.everything()} == set(locations)
    assert check(index, store)[1:] == (0, 0, 0)


def test_rows_of_objects_that_are_gone_are_removed(
    index: Index, store: FileStore, store_event: MakeEvent
) -> None:
    first, second = keep(store, store_event, 1, 2)
    check(index, store)
    os.unlink(store.path(first))
    assert check(index, store)[1:] == (0, 1, 0)
    shutil.rmtree(store.path(second.partition("/")[0]))
    assert check(index, store)[1:] == (0, 1, 0)
    assert [index.count(level) for level in ("PATIENT", "STUDY", "SERIES", "IMAGE")] == [0] * 4


def test_files_that_are_not_ours_are_counted(
    index: Index, store: FileStore, store_event: MakeEvent, caplog: pytest.LogCaptureFixture
) -> None:
    keep(store, store_event, 1)
    ours = Path(store.directory) / "index.sqlite"
    ours.touch()
    check(index, store, ours=[str(ours)])
    assert "not the archive's" not in caplog.text
    (folder,) = (Path(store.path(name)) for name, _ in store.folders())
    strangers = [
        Path(store.directory) / "a\nb.txt",
        Path(store.directory) / "incoming" / "x.dcm",
        Path(store.directory) / "backup" / "0c2" / "1.2.3.dcm",
        folder / "1.2.3.bak",
    ]
    for path in strangers:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    for _ in range(2):  # also where nothing has changed since
        caplog.clear()
        age(store)
        check(index, store, ours=[str(ours)])
        (line,) = [one.getMessage() for one in caplog.records if "passed over" in one.getMessage()]
        assert line.startswith("4 files are among the objects not the archive's")
        assert "a\\nb.txt" in line
        assert "\n" not in line
    for number in range(30):
        (folder / f"{number}.txt").touch()
    caplog.clear()
    check(index, store, ours=[str(ours)])
    assert "34 files" in caplog.text
    assert "…" in caplog.text
    assert index.count("IMAGE") == 1


def test_things_that_are_not_ours_in_a_cloud_store(
    index: Index, store_event: MakeEvent, caplog: pytest.LogCaptureFixture
) -> None:
    store = CloudStore("memory://strangers")
    keep(store, store_event, 1)
    files = MemoryFileSystem()
    files.pipe_file("/strangers/readme", b"x")
    (folder,) = (name for name, _ in store.folders())
    files.pipe_file(f"/strangers/{folder}/readme", b"x")
    check(index, store)
    assert "2 files are among the objects not the archive's" in caplog.text
    store.clear()


def test_a_disk_that_is_missing_does_not_empty_the_index(
    index: Index, store: FileStore, store_event: MakeEvent
) -> None:
    for location in keep(store, store_event, 1, 2):
        assert store.has(location)
    check(index, store)
    root = store.path("")
    for folder in os.listdir(root):
        shutil.rmtree(os.path.join(root, folder))
    for full in (False, True):
        with pytest.raises(NoObjects, match="is their disk there"):
            check(index, store, full=full)
    assert len(list(index.everything())) == 2
    index.clear()
    assert check(index, store) == Findings()


def test_second_copies_stay_second(index: Index, store: FileStore, store_event: MakeEvent) -> None:
    for name in ("A", "B", "C"):
        store.keep(store_event(make(1, PatientName=name)), "1.2.3.1")
    for full in (False, True):
        check(index, store, full=full)
        (found,) = index.everything()
        assert found.location.endswith("/1.2.3.1.dcm")
        assert len(index.locations(folder_of("1.2.3.1"))) == 3


def test_only_folders_that_have_changed_are_looked_into(
    index: Index, store: FileStore, store_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, store_event, 1, 2, 3)
    age(store)
    read: list[str] = []
    monkeypatch.setattr(
        check_module, "read_record", lambda s, place: read.append(place) or read_record(s, place)
    )
    assert check(index, store) == Findings(3, 3, 0, 0)
    assert check(index, store) == Findings()
    assert len(read) == 3
    (new,) = keep(store, store_event, 4)
    # It changed just now: the next change may bear the same time, so it is not believed yet.
    assert check(index, store) == Findings(1, 1, 0, 0)
    assert check(index, store) == Findings(1, 0, 0, 0)
    assert read[3:] == [new]
    assert check(index, store, full=True) == Findings(4, 0, 0, 0)
    assert len(read) == 8


def test_a_full_check_reads_what_has_changed(
    index: Index, store: FileStore, store_event: MakeEvent
) -> None:
    (location,) = keep(store, store_event, 1)
    check(index, store)
    other = store.keep(store_event(make(1, StudyInstanceUID="1.9")), "1.2.3.1").location
    os.replace(store.path(other), store.path(location))
    check(index, store, full=True)
    (record,) = [read_record(store, one.location) for one in index.everything()]
    assert record.values["STUDY"]["study_instance_uid"] == "1.9"
    assert index.count("STUDY") == 1


def test_objects_that_cannot_be_indexed_are_left(
    index: Index, store: FileStore, store_event: MakeEvent, caplog: pytest.LogCaptureFixture
) -> None:
    keep(store, store_event, 1)
    folder = Path(store.path(folder_of("1.2.3.1")))
    (folder / "1.5.dcm").write_bytes(b"junk")
    (folder / "1.6.dcm").write_bytes(b"")
    (folder / "1.7.dcm").mkdir()
    age(store)
    for _ in range(2):  # and are tried again
        assert check(index, store).unreadable == 3
    assert index.count("IMAGE") == 1
    assert (folder / "1.5.dcm").exists()
    assert "1.5.dcm cannot be indexed" in caplog.text


def test_what_is_stored_meanwhile_is_not_removed(
    index: Index, store: FileStore, store_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    keep(store, store_event, 1)
    listed = store.list

    def list_then_store(folder: str) -> list[str]:
        found = listed(folder)
        kept = store.keep(store_event(make(1, PatientName="B")), "1.2.3.1")
        index.add_duplicate("1.2.3.1", kept.location, kept.folder)
        return found

    monkeypatch.setattr(store, "list", list_then_store)
    assert check(index, store).removed == 0
    assert len(index.locations(folder_of("1.2.3.1"))) == 2


def test_a_cloud_store(index: Index, store_event: MakeEvent) -> None:
    store = CloudStore(f"memory://{uuid.uuid4().hex}")
    first, _ = keep(store, store_event, 1, 2)
    assert check(index, store)[1:] == (2, 0, 0)
    MemoryFileSystem().rm_file(store.path(first))
    assert check(index, store)[1:] == (0, 1, 0)
    store.clear()
    assert check(index, store)[1:] == (0, 1, 0)


def test_progress(index: Index, store: FileStore, store_event: MakeEvent) -> None:
    keep(store, store_event, 1, 2)
    told: list[tuple[int, int]] = []
    check(index, store, progress=lambda done, total: told.append((done, total)))
    assert told == [(0, 2), (1, 2), (2, 2)]
