"""What comes at the same time goes into PostgreSQL together, and says there what it says alone."""

from __future__ import annotations

import random
import threading
import uuid
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pynetdicom.apps.archive import schema
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index, record_of
from pynetdicom.apps.archive.line import Line
from tests.apps.archive.conftest import EXPLICIT, empty_database, make
from tests.faults.peer import until
from tests.peers import DEADLINE

pytestmark = pytest.mark.slow
LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    with empty_database("postgresql", tmp_path) as location:
        # By which the connections of a test are known among those of others.
        url = sa.make_url(location).update_query_dict({"application_name": uuid.uuid4().hex})
        opened = Database(url.render_as_string(hide_password=False))
        yield opened
        opened.close()


@pytest.fixture
def index(database: Database) -> Index:
    return Index(database)


def add(index: Index, number: int | str = 1, place: str | None = None, **attributes: Any) -> bool:
    record = record_of(make(number, **attributes), EXPLICIT)
    return index.add(record, place or f"abc/{number}", "abc")


def counts(index: Index) -> list[int]:
    return [index.count(level) for level in LEVELS]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, database: Database) -> list[str]:
    """What the server is asked, on either way: SELECT, INSERT, WITH …"""
    import psycopg

    seen: list[str] = []
    execute = psycopg.Connection.execute

    def note(self: Any, query: str, *arguments: Any, **named: Any) -> Any:
        seen.append(query.split()[0])
        return execute(self, query, *arguments, **named)

    def note_long(connection: Any, cursor: Any, statement: str, *rest: Any) -> None:
        seen.append(f"long way: {statement.split()[0]}")

    monkeypatch.setattr(psycopg.Connection, "execute", note)
    sa.event.listen(database.engine, "before_cursor_execute", note_long)
    return seen


def test_how_often_the_server_is_asked(index: Index, asked: list[str]) -> None:
    """Of a series that is known once, which is the commit too; of a new one twice."""
    for number, level, uid in (
        (1, "PatientID", "P1"),
        (2, "StudyInstanceUID", "1.2.8"),
        (3, "SeriesInstanceUID", "1.2.9"),
    ):
        asked.clear()
        assert add(index, number, **{level: uid})
        assert asked == ["SELECT", "WITH"]
        asked.clear()
        assert add(index, f"{number}.1", **{level: uid})
        assert asked == ["INSERT"]


def test_a_series_that_another_process_has_made(
    index: Index, database: Database, asked: list[str]
) -> None:
    add(Index(database), 1)
    asked.clear()
    assert add(index, 2)
    assert asked == ["SELECT", "INSERT"]
    assert counts(index) == [1, 1, 1, 2]


def test_what_an_object_adds_to_what_there_is(index: Index, asked: list[str]) -> None:
    add(index, 1)
    asked.clear()
    assert add(index, 2, StudyDescription="Head", SeriesInstanceUID="1.2.9")
    assert any(one.startswith("long way") for one in asked)
    with index.database.reading() as connection:
        assert connection.scalars(sa.select(schema.study.c.study_description)).all() == ["Head"]
    assert counts(index) == [1, 1, 2, 2]


def test_a_second_copy_makes_nothing_above_it(index: Index) -> None:
    assert add(index, 1)
    assert not add(index, 1, "abc/other", PatientID="P2", StudyInstanceUID="1.2.8")
    assert not add(index, 1, "abc/third", SeriesInstanceUID="1.2.9")
    assert counts(index) == [1, 1, 1, 1]
    assert index.locations("abc") == {"abc/1", "abc/other", "abc/third"}


def test_the_connection_is_cut(index: Index, database: Database) -> None:
    """The next object is added all the same, and those after it go the short way again."""
    add(index, 1)
    with database.engine.connect() as connection:
        cut = connection.exec_driver_sql(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()"
            " AND application_name = current_setting('application_name')"
        )
        assert True in cut.scalars().all()
    for number in (2, 3, 4):
        assert add(index, number)
    assert counts(index) == [1, 1, 1, 4]


def rows(index: Index) -> dict[str, list[tuple[Any, ...]]]:
    """All that the index says, whatever the numbers of its rows."""
    said = {}
    for level in LEVELS:
        table = schema.TABLES[level]
        columns = [c for c in table.columns if c.name != "pk" and not c.name.endswith("_pk")]
        with index.database.reading() as connection:
            said[level] = sorted(map(tuple, connection.execute(sa.select(*columns))))
    return said


@pytest.mark.parametrize("seed", range(3))
def test_any_order_from_many_threads_says_what_one_after_another_says(
    index: Index, sqlite: Index, seed: int
) -> None:
    """Patients, studies and series that disagree, and come in any order of their arrival."""
    pick = random.Random(seed)
    objects = []
    for number in range(150):
        patient, study, one_series = pick.randrange(3), pick.randrange(3), pick.randrange(3)
        ds = make(number, PatientID=f"P{patient}", InstanceNumber=number)
        ds.StudyInstanceUID = f"1.4.{study}"  # of more than one patient
        ds.SeriesInstanceUID = f"1.5.{study}.{one_series}"
        ds.PatientName = pick.choice(["", "Doe^Jane", "Doe^J", "Döe"])
        ds.StudyDescription = pick.choice(["", "Head", "Neck"])
        ds.Modality = pick.choice(["CT", "MR"])
        objects.append((record_of(ds, EXPLICIT), f"ab/{number}", f"f{number % 7}", number + 1))
    for one in objects:
        assert sqlite.add(*one)
    pick.shuffle(objects)
    with ThreadPoolExecutor(8) as threads:
        assert all(threads.map(lambda one: index.add(*one), objects))
    assert rows(index) == rows(sqlite)


class Held:
    """Work that goes on when it is told to."""

    def __init__(self) -> None:
        self.go = threading.Event()
        self.begun = threading.Event()
        self.seen: list[list[int]] = []

    def __call__(self, connection: Any, wishes: Any) -> list[bool]:
        self.seen.append(list(wishes))
        self.begun.set()
        assert self.go.wait(DEADLINE)
        if 13 in wishes:
            raise ValueError("thirteen")
        return [wish % 2 == 0 for wish in wishes]


@pytest.mark.parametrize("has_thirteen", [False, True])
def test_what_comes_meanwhile_goes_together(database: Database, has_thirteen: bool) -> None:
    """And each thread is told of its own; of none if all has failed."""
    line: Line[int] = Line(database.engine)
    work = Held()
    wishes = [1, 2, 3, 4, 5, 13] if has_thirteen else [1, 2, 3, 4, 5, 6]
    with ThreadPoolExecutor(len(wishes) + 1) as threads:
        first = threads.submit(line.do, 0, work)
        assert work.begun.wait(DEADLINE)
        others = [threads.submit(line.do, wish, work) for wish in wishes]
        assert until(lambda: line.waiting == len(wishes))
        work.go.set()
        assert first.result(DEADLINE) is True
        done = [one.result(DEADLINE) for one in others]
    assert [sorted(some) for some in work.seen] == [[0], wishes]
    assert done == [not has_thirteen and wish % 2 == 0 for wish in wishes]
    assert line.waiting == 0
    line.close()


def test_a_thread_that_is_interrupted_leaves_nobody_waiting(database: Database) -> None:
    line: Line[int] = Line(database.engine)

    def interrupted(connection: Any, wishes: Any) -> list[bool]:
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        line.do(1, interrupted)
    assert line.do(2, lambda connection, wishes: [wishes == [2]])
    line.close()
