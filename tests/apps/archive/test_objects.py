"""Objects in files and in a cloud store: nothing is replaced, nothing leads out of the folders."""

from __future__ import annotations

import hashlib
import os
import re
import sys
import tomllib
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pydicom import dcmread

from pynetdicom.apps.archive import extras
from pynetdicom.apps.archive.cloud import CloudStore, open_store
from pynetdicom.apps.archive.extras import MissingExtra
from pynetdicom.apps.archive.objects import (
    FileStore,
    InvalidUID,
    ObjectStore,
    folder_of,
    uid_and_name,
)
from tests.apps.archive.conftest import MakeEvent, make
from tests.conftest import ROOT


@pytest.fixture(params=["files", "cloud"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[ObjectStore]:
    """An empty store of each kind."""
    if request.param == "files":
        yield open_store(str(tmp_path / "objects"))
        return
    opened = open_store(f"memory://{uuid.uuid4().hex}")
    yield opened
    opened.clear()


def names(store: ObjectStore) -> list[str]:
    return [location for folder, _ in store.folders() for location in store.list(folder)]


def test_an_object_is_kept_once(store: ObjectStore, store_event: MakeEvent) -> None:
    ds = make(1)
    kept = store.keep(store_event(ds), ds.SOPInstanceUID)
    assert kept.is_new
    assert kept.is_first
    assert kept.folder == folder_of(ds.SOPInstanceUID)
    again = store.keep(store_event(ds), ds.SOPInstanceUID)
    assert (again.location, again.is_new) == (kept.location, False)
    assert names(store) == [kept.location]
    assert store.has(kept.location)
    assert not store.has(f"{kept.folder}/other.dcm")
    with store.fetch(kept.location) as path:
        assert dcmread(path) == ds
        assert dcmread(path).file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID


def test_a_copy_that_differs_is_kept_beside_the_first(
    store: ObjectStore, store_event: MakeEvent
) -> None:
    kept = [
        store.keep(store_event(make(1, PatientName=name)), "1.2.3.1")
        for name in ("A", "B", "C", "B", "A")
    ]
    assert [one.is_new for one in kept] == [True, True, True, False, False]
    assert kept[3].location == kept[1].location
    assert sorted(names(store)) == sorted({one.location for one in kept})
    assert len(names(store)) == 3
    for one, name in zip(kept, "ABC", strict=False):
        with store.fetch(one.location) as path:
            assert dcmread(path).PatientName == name


def test_what_is_missing_cannot_be_fetched(store: ObjectStore) -> None:
    with pytest.raises(OSError), store.fetch("abc/1.2.dcm"):
        pass
    assert store.list("abc") == []


def test_files_lie_in_hashed_folders(tmp_path: Path, store_event: MakeEvent) -> None:
    store = FileStore(str(tmp_path))
    for number in range(20):
        store.keep(store_event(make(number)), f"1.2.3.{number}")
    paths = [path.relative_to(tmp_path) for path in tmp_path.rglob("*.dcm")]
    assert sorted(map(str, paths)) == sorted(names(store))
    assert {str(path.parent) for path in paths} == {folder_of(f"1.2.3.{n}") for n in range(20)}


def test_second_copies_come_after_first_ones(tmp_path: Path, store_event: MakeEvent) -> None:
    store = FileStore(str(tmp_path))
    for number in range(12):
        store.keep(store_event(make(1, PatientName=str(number))), "1.2.3.1")
    folder = folder_of("1.2.3.1")
    assert store.list(folder)[0] == f"{folder}/1.2.3.1.dcm"
    assert store.list(folder)[-1] == f"{folder}/1.2.3.1_12.dcm"


def test_other_files_are_left_alone(tmp_path: Path, store_event: MakeEvent) -> None:
    store = FileStore(str(tmp_path))
    store.keep(store_event(make(1)), "1.2.3.1")
    (tmp_path / "notes.txt").touch()
    (tmp_path / folder_of("1.2.3.1") / "notes.dcm").touch()
    assert len(names(store)) == 1
    store.clear()
    assert names(store) == []
    assert {p.name for p in tmp_path.rglob("*") if p.is_file()} == {"notes.txt", "notes.dcm"}


def test_a_large_object_is_linked_and_not_copied(tmp_path: Path, store_event: MakeEvent) -> None:
    store = FileStore(str(tmp_path))
    event = store_event(make(1))
    event.request.data_set.close()
    from pynetdicom.data_sets.data_set import encode_dataset
    from pynetdicom.data_sets.spool import Place, Spool

    ds = make(1, PixelData=bytes(1 << 20))
    ds["PixelData"].VR = "OB"
    spool = Spool(Place("1.2.840.10008.1.2.1", store.spool_dir, 0), b"")
    spool.add(memoryview(encode_dataset(ds, "1.2.840.10008.1.2.1").getvalue()))
    event.request.data_set = spool.finish()
    inode = os.fstat(event.request.data_set._part.fd).st_ino
    kept = store.keep(event, "1.2.3.1")
    assert os.stat(store.path(kept.location)).st_ino == inode


@pytest.mark.parametrize("uid", ["1", "1.2.3", "1" * 64, "1.2\0", "1.2 "])
def test_uids(uid: str) -> None:
    text = uid.rstrip("\0 ")
    assert uid_and_name(uid) == uid_and_name(uid, hashed=True) == (text, text)


@pytest.mark.parametrize(
    "uid", ["", None, ".", "..", "1" * 65, "../1", "1/2", "1\\2", "/1", "1\n2", "1a", "٣", "1_2"]
)
def test_uids_that_cannot_be_names(uid: Any) -> None:
    with pytest.raises(InvalidUID):
        uid_and_name(uid)


SENDABLE = ["..", "../1", "1/2", "/1", "1 2", "1a", "1_2", "CON", "sha256-1"]


@pytest.mark.parametrize("uid", SENDABLE)
def test_the_digest_of_a_uid_is_a_name(uid: str) -> None:
    digest = hashlib.sha256(uid.encode()).hexdigest()
    assert uid_and_name(f"{uid}\0", hashed=True) == (uid, f"sha256-{digest}")


@pytest.mark.parametrize("uid", ["", None, "1" * 65, "1\n2", "1\0" + "2", "\xe9.1"])
def test_what_the_library_does_not_send_gives_no_name(uid: Any) -> None:
    with pytest.raises(InvalidUID):
        uid_and_name(uid, hashed=True)


def test_what_has_the_name_of_a_digest_is_kept_like_others(
    store: ObjectStore, store_event: MakeEvent
) -> None:
    locations = []
    for uid in SENDABLE:
        _, name = uid_and_name(uid, hashed=True)
        one, other = (store_event(make(1, PatientName=name)) for name in ("A", "B"))
        for event in (one, other):
            kept = store.keep(event, name)
            assert kept.is_new
            assert kept.location.startswith(f"{kept.folder}/{name}")
            assert not store.keep(event, name).is_new
            locations.append(kept.location)
    assert sorted(names(store)) == sorted(locations)
    store.clear()
    assert names(store) == []


def test_stores_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for location in (str(tmp_path / "file"), "/proc/objects", "nonsense://x"):
        with pytest.raises(OSError):
            open_store(location)
    assert isinstance(open_store(f"file://{tmp_path}/new"), FileStore)
    assert isinstance(open_store("memory://x"), CloudStore)


@pytest.mark.parametrize(
    ("package", "extra"), [("fsspec", "cloud"), ("psycopg", "postgres"), ("sqlalchemy", "apps")]
)
def test_a_missing_package_is_named_with_the_command(
    monkeypatch: pytest.MonkeyPatch, package: str, extra: str
) -> None:
    monkeypatch.setitem(sys.modules, package, None)
    requirement = extras.REQUIREMENTS[package]
    with pytest.raises(MissingExtra, match=re.escape(f"pip install '{requirement}'")):
        extras.require(package)
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    assert requirement in project["optional-dependencies"][extra]
    if package == "fsspec":
        with pytest.raises(MissingExtra):
            open_store("memory://x")


def test_a_store_that_fails_in_its_own_way(
    monkeypatch: pytest.MonkeyPatch, store_event: MakeEvent
) -> None:
    store = CloudStore("memory://failing")

    def fail(*arguments: object) -> None:
        raise RuntimeError("the bucket is gone")

    monkeypatch.setattr(MemoryFileSystem, "put_file", fail)
    monkeypatch.setattr(MemoryFileSystem, "get_file", fail)
    with pytest.raises(OSError, match="RuntimeError"):
        store.keep(store_event(make(1)), "1.2.3.1")
    with pytest.raises(OSError, match="RuntimeError"), store.fetch("abc/1.dcm"):
        pass
