"""``qrscp delete``: what it deletes; no storing suffers from it, and no kill leaves a half."""

from __future__ import annotations

import io
import signal
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.apps.archive.notes import noted
from pynetdicom.apps.archive.presence import InUse, in_turn
from pynetdicom.apps.archive.removal import Remover
from tests import warm
from tests.apps.archive.conftest import MakeEvent, Qrscp, Start, empty_database, make
from tests.apps.archive.test_full import associate, found
from tests.peers import DEADLINE

OTHERS = {
    4: {"SeriesInstanceUID": "1.2.4"},
    5: {"StudyInstanceUID": "1.9", "SeriesInstanceUID": "1.9.1"},
    6: {"PatientID": "P2", "StudyInstanceUID": "1.8", "SeriesInstanceUID": "1.8.1"},
    7: {"IssuerOfPatientID": "B", "StudyInstanceUID": "1.7", "SeriesInstanceUID": "1.7.1"},
}


@pytest.fixture
def filled(qrscp: Qrscp, store_event: MakeEvent) -> Qrscp:
    """Objects 1 to 3 of a series, and one each of another series, study, patient and issuer."""
    qrscp.fill(
        store_event, *(make(n) for n in (1, 2, 3)), *(make(n, **a) for n, a in OTHERS.items())
    )
    return qrscp


@pytest.mark.parametrize(
    ("keys", "gone"),
    [
        ("SOPInstanceUID=1.2.3.2", {2}),
        ("SeriesInstanceUID=1.2.2", {1, 2, 3}),
        ("StudyInstanceUID=1.2.1", {1, 2, 3, 4}),
        ("PatientID=P1", {1, 2, 3, 4, 5, 7}),
        ("PatientID=P1 IssuerOfPatientID=B", {7}),
        ("PatientID=P1 StudyInstanceUID=1.9", {5}),
        ("(0010,0020)=P2", {6}),
    ],
)
def test_what_is_deleted(filled: Qrscp, keys: str, gone: set[int]) -> None:
    assert filled("delete", "--yes", *keys.split()) == 0
    left = {f"1.2.3.{number}" for number in {*range(1, 8)} - gone}
    assert filled.indexed() == left
    assert {path.stem for path in filled.objects()} == left
    assert filled.out.startswith(f"deleted {len(gone)} objects: of ")
    assert "W: deleting" in filled.err
    assert "P1" not in filled.err
    # Nothing is found again.
    assert filled("delete", "--yes", *keys.split()) == 1
    assert "there is no such object" in filled.err


@pytest.mark.parametrize(
    ("keys", "why"),
    [
        ("PatientID=P*", "needs one value, without wildcards"),
        ("PatientID=", "needs one value"),
        ("StudyInstanceUID", "needs one value"),
        ("StudyInstanceUID=1.2\\1.3", "needs one value"),
        ("PatientName=Doe", "by that nothing is deleted, but by PatientID, StudyInstanceUID"),
        ("Nonsense=1", "there is no element 'Nonsense'"),
        ("IssuerOfPatientID=B", "says not whose"),
        ("PatientID=P1 PatientID=P2", "there is another PatientID already"),
    ],
)
def test_keys_that_do_not_say_exactly_what(filled: Qrscp, keys: str, why: str) -> None:
    assert filled("delete", "--yes", *keys.split()) == 1
    assert why in filled.err
    assert len(filled.objects()) == 7


def test_it_asks(filled: Qrscp, monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = io.StringIO("no\n")
    monkeypatch.setattr("sys.stdin", terminal)
    assert filled("delete", "PatientID=P2") == 1
    assert "say --yes" in filled.err
    monkeypatch.setattr(terminal, "isatty", lambda: True)
    assert filled("delete", "PatientID=P2") == 1
    assert "Delete 1 objects: of 1 patients, 1 studies, 1 series? [yes/no]" in filled.out
    assert len(filled.objects()) == 7
    terminal.write("yes\n")
    terminal.seek(3)
    assert filled("delete", "PatientID=P2") == 0
    assert len(filled.objects()) == 6


def test_second_copies(qrscp: Qrscp, store_event: MakeEvent) -> None:
    """Those of what is deleted go too; what only has the UID in common is found from then on."""
    qrscp.fill(
        store_event,
        make(1),
        make(1, PatientComments="again"),
        make(1, PatientID="P2", StudyInstanceUID="1.9"),
    )
    assert qrscp("delete", "--yes", "StudyInstanceUID=1.2.1") == 0
    (kept,) = qrscp.objects()
    assert dcmread(kept).PatientID == "P2"
    assert qrscp.indexed() == {"1.2.3.1"}
    assert qrscp("delete", "--yes", "PatientID=P2") == 0
    assert qrscp.objects() == []


def test_what_only_a_deleted_object_said_is_not_said_any_more(
    qrscp: Qrscp, store_event: MakeEvent
) -> None:
    qrscp.fill(store_event, make(1, StudyDescription="A"), make(2))
    assert qrscp("delete", "--yes", "SOPInstanceUID=1.2.3.1") == 0
    archive = Archive(qrscp.config)
    with archive.database.reading() as connection:
        rows = connection.exec_driver_sql("SELECT study_description FROM study").scalars().all()
    archive.close()
    assert rows == [""]


@pytest.fixture(params=["files", "memory", pytest.param("postgresql", marks=pytest.mark.slow)])
def archive(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Archive]:
    place = f"memory://{tmp_path.name}" if request.param == "memory" else str(tmp_path / "o")
    kind = "postgresql" if request.param == "postgresql" else "sqlite"
    with empty_database(kind, tmp_path) as location:
        one = Archive(Config(instance_location=place, database_location=location, quota=10**9))
        yield one
        one.close()


def delete_all(archive: Archive) -> None:
    remover = Remover(archive.index, archive.store_of_objects, archive.room)
    remover.remove(list(archive.index.everything()), lambda record: True)


def assert_whole(archive: Archive) -> None:
    """Each row has its object, and each object its row."""
    store, index = archive.store_of_objects, archive.index
    objects = {location for folder, _ in store.folders() for location in store.list(folder)}
    assert {
        location for folder in index.folders() for location in index.locations(folder)
    } == objects
    assert noted(archive.database) == {}


STEPS = ["arrived", "set_aside", "is_aside", "drop"]


@pytest.mark.parametrize("comments", ["", "other bytes"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("step", STEPS)
def test_what_is_stored_meanwhile_is_kept(
    archive: Archive,
    store_event: MakeEvent,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    when: str,
    comments: str,
) -> None:
    """Whoever has had success finds the object, at whatever step of deleting that was."""
    assert archive.store(store_event(make(1))) == 0x0000
    again = make(1, PatientComments=comments) if comments else make(1)
    done = getattr(archive.store_of_objects, step)
    stored = []

    def meanwhile(location: str) -> Any:
        is_first = not stored
        stored.append(step)
        if is_first and when == "before":
            assert archive.store(store_event(again)) == 0x0000
        try:
            return done(location)
        finally:
            if is_first and when == "after":
                assert archive.store(store_event(again)) == 0x0000

    monkeypatch.setattr(archive.store_of_objects, step, meanwhile)
    objects = list(archive.index.everything())
    Remover(archive.index, archive.store_of_objects, archive.room).remove(objects, lambda r: True)
    assert stored
    # Before the rows are gone it was there already, and is deleted with what there was.
    is_deleted = step == "arrived" and not comments
    left = list(archive.index.everything())
    assert len(left) == (0 if is_deleted else 1)
    for one in left:
        with archive.store_of_objects.fetch(one.location) as path:
            assert dcmread(path).get("PatientComments", "") == comments
    assert_whole(archive)


@pytest.mark.parametrize("other", [False, True])
@pytest.mark.parametrize("step", ["keep", "add", "add_duplicate"])
def test_deleting_while_an_object_is_stored(
    archive: Archive,
    store_event: MakeEvent,
    monkeypatch: pytest.MonkeyPatch,
    step: str,
    other: bool,
) -> None:
    assert archive.store(store_event(make(1))) == 0x0000
    owner: Any = archive.store_of_objects if step == "keep" else archive.index
    done = getattr(owner, step)
    deleted = []

    def then_delete(*arguments: Any) -> Any:
        result = done(*arguments) if step == "keep" else None
        if not deleted:
            deleted.append(step)
            delete_all(archive)
        return result if step == "keep" else done(*arguments)

    monkeypatch.setattr(owner, step, then_delete)
    event = store_event(make(1, PatientComments="x") if other else make(1))
    assert archive.store(event) == 0x0000
    (left,) = archive.index.everything()
    with archive.store_of_objects.fetch(left.location) as path:
        assert dcmread(path).get("PatientComments", "") == ("x" if other and deleted else "")
    assert_whole(archive)


def test_an_object_that_is_deleted_again_and_again_is_refused(
    archive: Archive, store_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynetdicom.apps.archive.handlers.has_gone", lambda *_: True)
    assert archive.store(store_event(make(1))) == 0x0000
    assert archive.store(store_event(make(1))).Status == 0xA700


def test_deleted_objects_give_their_room_back(archive: Archive, store_event: MakeEvent) -> None:
    for number in range(3):
        assert archive.store(store_event(make(number))) == 0x0000
    assert archive.room.filled()[-1].left < 10**9
    delete_all(archive)
    assert archive.room.filled()[-1].left == 10**9


def test_one_at_a_time(filled: Qrscp, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(in_turn, "__kwdefaults__", {"patience": 0})
    archive = Archive(filled.config)
    with in_turn(archive.database, "removal"):
        assert filled("delete", "--yes", "PatientID=P2") == 1
        assert "another removal is at work" in filled.err
        with pytest.raises(InUse), in_turn(archive.database, "removal", patience=0):
            pass
    archive.close()
    assert filled("delete", "--yes", "PatientID=P2") == 0


KILLED_AT = """
    import os, signal, sys
    from pynetdicom.apps.archive import database, objects
    from pynetdicom.apps.qrscp import main
    left = int(sys.argv.pop(1))

    def killing(function):
        def counted(*arguments):
            global left
            result = function(*arguments)
            left -= 1
            if left == 0:
                os.kill(os.getpid(), signal.SIGKILL)
            return result
        return counted

    database.Database.write = killing(database.Database.write)
    for name in ("set_aside", "drop"):
        setattr(objects.FileStore, name, killing(getattr(objects.FileStore, name)))
    sys.exit(main())
"""


def test_it_is_killed_at_each_step(
    filled: Qrscp, store_event: MakeEvent, start: Start, python_env: dict[str, str], tmp_path: Path
) -> None:
    """No row is ever without its object; when the archive starts anew, no object is without row."""
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED_AT))
    served = start(*filled.places)
    for step in range(1, 100):
        filled.fill(store_event, make(1), make(2))  # which may be there, by half
        command = [sys.executable, str(script), str(step), "delete", "--yes"]
        ran = warm.run(
            [*command, "SeriesInstanceUID=1.2.2", *filled.places],
            env=python_env, capture_output=True, text=True, timeout=DEADLINE,
        )  # fmt: skip
        assert ran.returncode in (-signal.SIGKILL, 0), ran.stderr
        assert filled.indexed() <= {path.stem for path in filled.objects()}
        if ran.returncode == 0:
            break
    else:
        pytest.fail("it was killed each time")
    assert step > 5
    assert filled.indexed() == {f"1.2.3.{number}" for number in (4, 5, 6, 7)}
    served.stop(signal.SIGKILL)
    served = start(*filled.places)
    assert filled.indexed() == {path.stem for path in filled.objects()} != set()
    assert not list((filled.place / "objects" / "incoming").iterdir())
    assert "the index was repaired" not in served.errors()


def test_a_kill_is_made_up_for_at_the_start(
    filled: Qrscp, start: Start, python_env: dict[str, str], tmp_path: Path
) -> None:
    script = tmp_path / "killed.py"
    script.write_text(textwrap.dedent(KILLED_AT))
    command = [sys.executable, str(script), "1", "delete", "--yes", "StudyInstanceUID=1.2.1"]
    warm.run([*command, *filled.places], env=python_env, timeout=DEADLINE, check=False)
    left = {f"1.2.3.{number}" for number in (5, 6, 7)}
    assert filled.indexed() == left
    assert len(filled.objects()) == 7
    served = start(*filled.places)
    assert {path.stem for path in filled.objects()} == filled.indexed() == left
    assert "deleting 4 objects was begun, and is completed" in served.errors()
    assoc = associate(served.port)
    assert found(assoc) == set()  # of study 1.2.1
    assoc.release()
