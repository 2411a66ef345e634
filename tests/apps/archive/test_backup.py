"""``qrscp backup``: a backup is an archive, whatever happens while it is made."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom.apps.archive.admin import backing_up
from pynetdicom.apps.archive.check import Findings, check
from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.apps.qrscp import main
from tests.apps.archive.conftest import MakeEvent, Qrscp, Start, empty_database, make
from tests.apps.archive.test_full import associate


@pytest.fixture
def filled(qrscp: Qrscp, store_event: MakeEvent) -> Qrscp:
    qrscp.fill(
        store_event, *(make(number) for number in range(5)), make(1, PatientComments="again")
    )
    return qrscp


@pytest.fixture
def place(tmp_path: Path) -> Path:
    return tmp_path / "backup"


def objects(place: Path) -> dict[str, Path]:
    return {path.name: path for path in (place / "objects").glob("???/*.dcm")}


def assert_whole(place: Path) -> set[str]:
    """Each row has its object and the reverse; gives the SOP Instance UIDs."""
    assert not (place / "INCOMPLETE").exists()
    archive = Archive(
        Config(
            instance_location=str(place / "objects"), database_location=str(place / "index.sqlite")
        )
    )
    try:
        found = check(archive.index, archive.store_of_objects, full=True)
        assert found == Findings(found.folders, 0, 0, 0)
        return {one.sop_instance_uid for one in archive.index.everything()}
    finally:
        archive.close()


@pytest.mark.parametrize("option", [(), ("--link",)])
def test_a_backup_is_an_archive(filled: Qrscp, place: Path, option: tuple[str, ...]) -> None:
    assert filled("backup", place, *option) == 0
    assert filled.out == f"6 objects are in {place}"
    assert assert_whole(place) == filled.indexed()
    kept = {path.name: path for path in filled.objects()}
    assert {name: path.read_bytes() for name, path in objects(place).items()} == {
        name: path.read_bytes() for name, path in kept.items()
    }
    for name, path in objects(place).items():
        assert path.stat().st_mtime_ns == kept[name].stat().st_mtime_ns
        assert path.samefile(kept[name]) is bool(option)
    places = ["--instance-location", str(place / "objects")]
    places += ["--database-location", str(place / "index.sqlite")]
    assert main(["verify", *places]) == 0


def test_it_is_restored(filled: Qrscp, place: Path, start: Start, store_event: MakeEvent) -> None:
    assert filled("backup", place) == 0
    filled("--clean", "--yes")
    served = start(
        "--instance-location", place / "objects", "--database-location", place / "index.sqlite"
    )
    assert "the index was repaired" not in served.errors()
    assert assert_whole(place) == {f"1.2.3.{number}" for number in range(5)}


def test_what_is_there_is_left_as_it_is(filled: Qrscp, place: Path) -> None:
    assert filled("backup", place) == 0
    before = {path: path.stat().st_mtime_ns for path in place.rglob("*")}
    assert filled("backup", place) == 1
    assert "is not empty: it is left as it is" in filled.err
    assert {path: path.stat().st_mtime_ns for path in place.rglob("*")} == before


Meanwhile = Callable[[Archive, MakeEvent], Any]


def add(archive: Archive, event: MakeEvent) -> None:
    assert archive.store(event(make(9))) == 0x0000


def delete(archive: Archive, event: MakeEvent) -> None:
    location = archive.index.location_of("1.2.3.4")
    assert location is not None
    archive.index.remove([location])
    Path(archive.store_of_objects.path(location)).unlink()  # type: ignore[attr-defined]  # files


def replace(archive: Archive, event: MakeEvent) -> None:
    delete(archive, event)
    assert archive.store(event(make(4, StudyInstanceUID="1.9"))) == 0x0000


@pytest.mark.parametrize(
    ("meanwhile", "numbers"), [(add, "01234"), (delete, "0123"), (replace, "01234")]
)
def test_what_happens_meanwhile(
    filled: Qrscp,
    place: Path,
    store_event: MakeEvent,
    monkeypatch: pytest.MonkeyPatch,
    meanwhile: Meanwhile,
    numbers: str,
) -> None:
    copied = backing_up._Backup.copy_index

    def copy_index(self: Any) -> Any:
        database = copied(self)
        archive = Archive(filled.config)
        meanwhile(archive, store_event)
        archive.close()
        return database

    monkeypatch.setattr(backing_up._Backup, "copy_index", copy_index)
    assert filled("backup", place) == 0
    assert assert_whole(place) == {f"1.2.3.{number}" for number in numbers}


def test_a_lost_object_is_told(filled: Qrscp, place: Path) -> None:
    next(path for path in filled.objects() if path.stem == "1.2.3.3").unlink()
    assert filled("backup", place) == 1
    assert "1.2.3.3.dcm is lost" in filled.err
    assert len(assert_whole(place)) == 4


def test_a_backup_that_was_ended_goes_on(
    filled: Qrscp, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = backing_up._Backup._copy_object
    count = 0

    def copy_object(self: Any, *arguments: Any) -> bool:
        nonlocal count
        count += 1
        if count == 4:
            raise KeyboardInterrupt
        return done(self, *arguments)

    with monkeypatch.context() as patched:
        patched.setattr(backing_up._Backup, "_copy_object", copy_object)
        assert filled("backup", place) == 130
    assert (place / "INCOMPLETE").exists()
    was_there = {name: path.stat().st_ino for name, path in objects(place).items()}
    assert len(was_there) == 3
    name, victim = next(iter(objects(place).items()))
    victim.write_bytes(b"half")
    uid = dcmread(filled.objects()[0]).SOPInstanceUID
    assert filled("delete", "--yes", f"SOPInstanceUID={uid}") == 0
    assert filled("backup", place) == 0
    assert assert_whole(place) == filled.indexed()
    kept = [file for file in was_there if file in objects(place) and file != name]
    assert all(objects(place)[file].stat().st_ino == was_there[file] for file in kept)


def test_other_stores(
    tmp_path: Path, place: Path, store_event: MakeEvent, capsys: pytest.CaptureFixture[str]
) -> None:
    """Objects in a store of fsspec, and what storage commitment has."""
    config = tmp_path / "q.toml"
    config.write_text(
        f'[storage]\nlocation = "memory://{tmp_path.name}"\n[database]\nlocation = "i.sqlite"\n'
        '[commitment]\nstore = "c.sqlite"\nverify = "bytes"\n'
    )
    archive = Archive(
        Config(
            instance_location=f"memory://{tmp_path.name}",
            database_location=str(tmp_path / "i.sqlite"),
        )
    )
    for number in range(3):
        assert archive.store(store_event(make(number))) == 0x0000
    archive.close()
    assert main(["verify", "--config", str(config)]) == 0
    assert main(["backup", str(place), "--config", str(config)]) == 0
    with closing(sqlite3.connect(place / "commitment.sqlite")) as copy:
        assert copy.execute("SELECT count(*) FROM records").fetchone() == (3,)
    files = list((place / "objects").glob("???/*.dcm"))
    assert {dcmread(path).SOPInstanceUID for path in files} == {f"1.2.3.{n}" for n in range(3)}


@pytest.mark.slow
def test_an_index_in_postgresql(tmp_path: Path, place: Path, store_event: MakeEvent) -> None:
    with empty_database("postgresql", tmp_path) as location:
        objects = str(tmp_path / "o")
        archive = Archive(Config(instance_location=objects, database_location=location))
        for ds in (make(1), make(2), make(1, PatientComments="again")):
            assert archive.store(store_event(ds)) == 0x0000
        archive.close()
        places = ["--instance-location", objects, "--database-location", location]
        assert main(["backup", str(place), *places]) == 0
        assert assert_whole(place) == {"1.2.3.1", "1.2.3.2"}
        assert main(["verify", *places]) == 0
        assert main(["delete", "--yes", "PatientID=P1", *places]) == 0
        assert main(["--clean", "--yes", *places]) == 0


def test_while_the_archive_is_at_work(
    filled: Qrscp, place: Path, start: Start, store_event: MakeEvent
) -> None:
    served = start(*filled.places, "--workers", 2)
    acknowledged: list[int] = []
    has_begun, is_over = threading.Event(), threading.Event()

    def store() -> None:
        assoc = associate(served.port)
        for number in range(100, 3000):
            ds = make(number)
            ds.ensure_file_meta()
            ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
            if assoc.send_c_store(ds).Status != 0x0000 or is_over.is_set():
                break
            acknowledged.append(number)
            has_begun.set()
        assoc.release()

    thread = threading.Thread(target=store)
    thread.start()
    assert has_begun.wait(30)
    before = list(acknowledged)
    assert filled("backup", place) == 0
    is_over.set()
    thread.join(30)
    there = assert_whole(place)
    assert {f"1.2.3.{number}" for number in before} <= there
    assert there <= {f"1.2.3.{number}" for number in [*range(5), *acknowledged]}
    assert served.stop(signal.SIGTERM) == 0
