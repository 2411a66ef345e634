"""The index, on each database: nothing is lost or mixed up, whoever adds at the same time."""

from __future__ import annotations

import subprocess
import sys
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pynetdicom.apps.archive import schema
from pynetdicom.apps.archive.database import Database, DatabaseProblem, database_url
from pynetdicom.apps.archive.index import Index, NotIndexable, record_of
from tests import warm
from tests.apps.archive.conftest import EXPLICIT, make

LEVELS = ("PATIENT", "STUDY", "SERIES", "IMAGE")


def add(index: Index, number: int | str = 1, place: str | None = None, **attributes: Any) -> bool:
    record = record_of(make(number, **attributes), EXPLICIT)
    return index.add(record, place or f"abc/{number}", "abc")


def counts(index: Index) -> list[int]:
    return [index.count(level) for level in LEVELS]


def test_adding_again_changes_nothing(index: Index) -> None:
    assert add(index, 1)
    assert add(index, 1)
    assert add(index, 2)
    assert counts(index) == [1, 1, 1, 2]
    assert index.location_of("1.2.3.1") == "abc/1"
    assert index.location_of("1.2.3.9") is None
    assert [one.location for one in index.everything()] == ["abc/1", "abc/2"]


def test_a_second_copy_elsewhere_is_noted_and_not_found(index: Index) -> None:
    assert add(index, 1, "abc/first")
    assert not add(index, 1, "abc/second")
    index.add_duplicate("1.2.3.1", "abc/third", "abc")
    index.add_duplicate("1.2.3.1", "abc/third", "abc")
    assert [one.location for one in index.everything()] == ["abc/first"]
    assert index.locations("abc") == {"abc/first", "abc/second", "abc/third"}


def test_patients_with_the_same_id_of_different_issuers(index: Index) -> None:
    add(index, 1, IssuerOfPatientID="A")
    add(index, 2, IssuerOfPatientID="B", StudyInstanceUID="1.2.9")
    add(index, 3, IssuerOfPatientID="B", StudyInstanceUID="1.2.9")
    assert counts(index) == [2, 2, 2, 3]


def test_patients_without_id_are_never_the_same(index: Index) -> None:
    add(index, 1, PatientID="", PatientName="A")
    add(index, 2, PatientID="", PatientName="B", StudyInstanceUID="1.2.9")
    add(index, 3, PatientID=None, PatientName="B", StudyInstanceUID="1.2.9")
    assert counts(index) == [2, 2, 2, 3]


def test_a_study_of_two_patients_is_two_studies(index: Index) -> None:
    """Nobody's images become somebody else's, also where a UID was used twice."""
    add(index, 1, PatientID="A")
    add(index, 2, PatientID="B")
    assert counts(index) == [2, 2, 2, 2]


def test_what_the_first_object_does_not_say_others_add(index: Index) -> None:
    add(index, 1, PatientName="", StudyDescription="")
    add(index, 2, PatientName="Doe^Jane", StudyDescription="Head")
    add(index, 3, PatientName="Roe^Jane", StudyDescription="")
    with index.database.reading() as connection:
        row = connection.execute(sa.select(schema.patient)).mappings().one()
        study = connection.execute(sa.select(schema.study)).mappings().one()
    assert (row["patient_name"], row["patient_name_search"]) == ("Doe^Jane", "doe^jane")
    assert study["study_description"] == "Head"


@pytest.mark.parametrize(
    "missing", ["StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID"]
)
def test_an_object_without_its_uids_cannot_be_indexed(missing: str) -> None:
    for value in (None, ""):
        with pytest.raises(NotIndexable, match=r"^No "):
            record_of(make(**{missing: value}), EXPLICIT)
    with pytest.raises(NotIndexable, match="Several"):
        record_of(make(**{missing: ["1.2", "1.3"]}), EXPLICIT)


def test_removing(index: Index) -> None:
    add(index, 1)
    add(index, 2, SeriesInstanceUID="1.2.7")
    add(index, 3, StudyInstanceUID="1.2.8")
    add(index, 4, PatientID="P2", StudyInstanceUID="1.2.9")
    index.remove(["abc/1", "abc/nothing"])
    assert counts(index) == [2, 3, 3, 3]
    index.remove(["abc/4", "abc/3"])
    assert counts(index) == [1, 1, 1, 1]
    assert [one.location for one in index.everything()] == ["abc/2"]
    index.clear()
    assert counts(index) == [0, 0, 0, 0]


def test_a_series_that_was_removed_by_another_process(index: Index) -> None:
    """One that is remembered may be gone, or have become another row."""
    index.add(record_of(make(1), EXPLICIT), "abc/1", "abc")
    other = Index(index.database)
    other.remove(["abc/1"])
    assert index.add(record_of(make(2), EXPLICIT), "abc/2", "abc")
    other.remove(["abc/2"])
    assert other.add(record_of(make(3), EXPLICIT), "abc/3", "abc")
    assert index.add(record_of(make(4), EXPLICIT), "abc/4", "abc")
    assert [index.count(level) for level in LEVELS] == [1, 1, 1, 2]
    index.clear()
    assert index.add(record_of(make(5), EXPLICIT), "abc/5", "abc")
    assert [index.count(level) for level in LEVELS] == [1, 1, 1, 1]


def test_a_key_is_not_given_twice(index: Index) -> None:
    """Somebody may have read it before, and would take another study for his."""
    seen: set[int] = set()
    for number in range(3):
        add(index, number)
        (found,) = index.everything()
        assert found.pk not in seen
        seen.add(found.pk)
        index.remove([found.location])


def test_refreshing(index: Index) -> None:
    add(index, 1, StudyDescription="old")
    index.add_duplicate("1.2.3.1", "abc/1_2", "abc")
    record = record_of(make(1, StudyDescription="new"), EXPLICIT)
    index.refresh(record, "abc/1", "abc", 1)
    index.refresh(record, "abc/1_2", "abc", 2)
    with index.database.reading() as connection:
        assert connection.scalars(sa.select(schema.study.c.study_description)).all() == ["new"]
    assert counts(index) == [1, 1, 1, 1]


def test_many_threads_add_and_remove_objects_of_one_study(index: Index) -> None:
    """Every object is there once, in one study, and no call fails, whoever deletes meanwhile."""
    start = threading.Barrier(8)

    def work(worker: int) -> None:
        start.wait(10)
        for number in range(12):
            add(index, f"{worker}.{number}", SeriesInstanceUID=f"1.2.2.{number % 3}")
            add(index, f"0.{number}", f"abc/0.{number}", SeriesInstanceUID=f"1.2.2.{number % 3}")
            # Its series comes and goes, each time with all that is above it.
            add(index, f"9.{worker}", PatientID="P9", StudyInstanceUID="1.2.9")
            index.remove([f"abc/9.{worker}"])

    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(work, worker) for worker in range(8)]:
            done.result(60)
    assert counts(index) == [1, 1, 3, 96]


ADDER = """
import sys
from tests.apps.archive.test_index import add
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index
location, worker = sys.argv[1:]
index = Index(Database(location))
print("ready", flush=True)
sys.stdin.readline()
for number in range(25):
    add(index, f"{worker}.{number}")
    add(index, f"5.{number}", f"abc/{worker}/{number}")
"""


@pytest.mark.slow
def test_many_processes_add_objects_of_one_study(
    location: str, index: Index, python_env: dict[str, str]
) -> None:
    adders = [
        warm.Popen(
            [sys.executable, "-c", ADDER, location, str(worker)],
            env=python_env,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        for worker in range(4)
    ]
    for adder in adders:
        assert adder.stdout is not None
        assert adder.stdout.readline() == "ready\n"
    for adder in adders:
        assert adder.stdin is not None
        adder.stdin.write("\n")
        adder.stdin.flush()
    for adder in adders:
        adder.communicate(timeout=90)
        assert adder.returncode == 0
    assert counts(index) == [1, 1, 1, 125]
    with index.database.reading() as connection:
        assert connection.scalar(sa.select(sa.func.count()).select_from(schema.duplicate)) == 75


def test_many_may_make_the_tables_at_the_same_time(location: str) -> None:
    start = threading.Barrier(6)

    def work() -> None:
        start.wait(10)
        Database(location).close()

    with ThreadPoolExecutor(6) as pool:
        for done in [pool.submit(work) for _ in range(6)]:
            done.result(60)


def test_what_was_added_survives_a_kill(location: str, python_env: dict[str, str]) -> None:
    script = (
        "import os, sys, signal\n"
        "from tests.apps.archive.test_index import add\n"
        "from pynetdicom.apps.archive.database import Database\n"
        "from pynetdicom.apps.archive.index import Index\n"
        "add(Index(Database(sys.argv[1])), 1)\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    command = [sys.executable, "-c", script, location]
    assert warm.run(command, env=python_env, timeout=60, check=False).returncode == -9
    database = Database(location)
    assert Index(database).location_of("1.2.3.1") == "abc/1"
    database.close()


def test_sqlite_is_opened_for_readers_beside_a_writer(tmp_path: Path) -> None:
    for sync, level in ((False, 1), (True, 2)):
        database = Database(str(tmp_path / "i"), sync=sync)
        with database.reading() as connection:
            found = [
                connection.exec_driver_sql(f"PRAGMA {name}").scalar()
                for name in ("journal_mode", "synchronous", "foreign_keys")
            ]
        assert found == ["wal", level, 1]
        database.close()


def test_a_writer_does_not_wait_for_readers(index: Index) -> None:
    add(index, 1)
    with index.database.reading() as connection:
        count = sa.select(sa.func.count()).select_from(schema.instance)
        assert connection.scalar(count) == 1
        add(index, 2)
    assert index.count("IMAGE") == 2


def test_databases_that_cannot_be_used(tmp_path: Path) -> None:
    (tmp_path / "text").write_text("no database" * 100)
    (tmp_path / "directory").mkdir()
    for location in (
        str(tmp_path / "text"),
        str(tmp_path / "directory"),
        "mysql://localhost/x",
        "://",
        "sqlite://",
        f"sqlite:///{tmp_path}/x?mode=ro",
        "postgresql://somebody@host:port/x",
        "postgresql://somebody@host/x?port=abc",
        "postgresql+nonesuch://host/x",
        "postgresql+psycopg://nobody@127.0.0.1:1/x?connect_timeout=2",
    ):
        with pytest.raises(DatabaseProblem):
            Database(location)
    assert database_url("postgresql://h/x").drivername == "postgresql+psycopg"


def test_an_index_of_another_version_is_not_used(location: str) -> None:
    database = Database(location)
    database.write(lambda c: c.execute(schema.setting.update().values(value="0")))
    database.close()
    with pytest.raises(DatabaseProblem, match="version 0"):
        Database(location)


def test_errors_have_no_values_in_them(sqlite: Index) -> None:
    """They are about patients, and errors are logged."""
    with pytest.raises(sa.exc.IntegrityError) as caught:
        sqlite.database.write(
            lambda c: c.execute(schema.study.insert().values(patient_pk=99, study_id="SECRET"))
        )
    assert "SECRET" not in str(caught.value)
