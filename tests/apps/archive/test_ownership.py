"""Databases of others: nothing in them, and nothing beside them, is touched."""

from __future__ import annotations

import os
import shutil
import sqlite3
import sys
from contextlib import closing
from pathlib import Path

import pytest
import sqlalchemy as sa

from pynetdicom.apps.archive import schema
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.ownership import DatabaseProblem
from tests import warm
from tests.apps.archive.conftest import postgres_url
from tests.apps.conftest import RunApp, run_app

__all__ = ["run_app"]  # a fixture

OTHERS = {
    "an archive": ("CREATE TABLE patient (patient_id VARCHAR)", "CREATE TABLE image (path TEXT)"),
    "our names": tuple(f"CREATE TABLE {name} (x)" for name in schema.metadata.tables),
    "some of our names": ("CREATE TABLE patient (x)", "CREATE TABLE setting (name, value)"),
    "a view": ("CREATE VIEW v AS SELECT 1",),
    "write-ahead": ("PRAGMA journal_mode=WAL", "CREATE TABLE mine (x)"),
    "marked": ("PRAGMA application_id=7", "CREATE TABLE t (x)", "DROP TABLE t"),
}


def everything(place: Path) -> dict[str, tuple[bytes, int]]:
    return {
        str(path.relative_to(place)): (path.read_bytes(), path.stat().st_mtime_ns)
        for path in place.rglob("*")
        if path.is_file()
    }


@pytest.mark.parametrize("statements", OTHERS.values(), ids=OTHERS)
def test_another_program_s_file(tmp_path: Path, statements: tuple[str, ...]) -> None:
    path = tmp_path / "db" / "instances.sqlite"
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        for statement in statements:
            connection.execute(statement)
        connection.commit()
    before = everything(path.parent)
    with pytest.raises(DatabaseProblem, match=r"another program.*left as it is"):
        Database(str(path))
    assert everything(path.parent) == before


@pytest.mark.parametrize("statements", OTHERS.values(), ids=OTHERS)
def test_another_program_s_file_that_was_left_open(
    tmp_path: Path, statements: tuple[str, ...]
) -> None:
    """With what it has written last still beside it."""
    place = tmp_path / "db"
    (tmp_path / "there").mkdir()
    connection = sqlite3.connect(tmp_path / "there" / "i")
    connection.execute("PRAGMA journal_mode=WAL")
    for statement in statements:
        connection.execute(statement)
    connection.commit()
    shutil.copytree(tmp_path / "there", place)
    connection.close()
    assert (place / "i-wal").stat().st_size
    before = everything(place)
    with pytest.raises(DatabaseProblem, match="left as it is"):
        Database(str(place / "i"))
    assert everything(place) == before


@pytest.mark.parametrize(
    "content", [b"no database" * 100, b"SQLite format 3\0" + b"\xff" * 5000, b"x"]
)
def test_a_file_that_is_no_database(tmp_path: Path, content: bytes) -> None:
    (tmp_path / "i").write_bytes(content)
    before = everything(tmp_path)
    with pytest.raises(DatabaseProblem, match="left as it is"):
        Database(str(tmp_path / "i"))
    assert everything(tmp_path) == before


@pytest.mark.parametrize("version", [schema.VERSION + 1, schema.VERSION - 1, "x"])
def test_an_index_of_another_version(tmp_path: Path, version: object) -> None:
    place = tmp_path / "db"
    database = Database(str(place / "i"))
    database.write(lambda c: c.execute(schema.setting.update().values(value=str(version))))
    database.close()
    before = everything(place)
    newer = isinstance(version, int) and version > schema.VERSION
    with pytest.raises(DatabaseProblem, match="newer qrscp" if newer else "version|another"):
        Database(str(place / "i"))
    assert everything(place) == before


def test_an_index_that_was_killed_right_after_it_was_made(
    tmp_path: Path, python_env: dict[str, str]
) -> None:
    """All of it is beside the file still: it is ours all the same."""
    script = (
        "import os, signal, sys\n"
        "from pynetdicom.apps.archive.database import Database\n"
        "Database(sys.argv[1])\n"
        "os.kill(os.getpid(), signal.SIGKILL)\n"
    )
    path = str(tmp_path / "i")
    for _ in range(2):
        warm.run([sys.executable, "-c", script, path], env=python_env, check=False)
        assert os.path.getsize(f"{path}-wal")
    Database(path).close()


def test_an_empty_file_is_taken(tmp_path: Path) -> None:
    (tmp_path / "i").touch()
    Database(str(tmp_path / "i")).close()
    Database(str(tmp_path / "i")).close()


def test_a_schema_of_postgresql_with_tables_of_others() -> None:
    url = sa.make_url(postgres_url())
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    name = f"o{os.getpid()}"
    own = url.update_query_dict({"options": f"-csearch_path={name}"})
    location = own.render_as_string(hide_password=False)
    inspected = sa.text(
        "SELECT relname FROM pg_class WHERE relnamespace = CAST(:name AS regnamespace)"
    )
    with engine.connect() as connection:
        connection.exec_driver_sql(f"CREATE SCHEMA {name}")
        try:
            connection.exec_driver_sql(f"CREATE TABLE {name}.patient (x integer)")
            with pytest.raises(DatabaseProblem, match="another program, with tables of its own"):
                Database(location)
            assert connection.scalars(inspected, {"name": name}).all() == ["patient"]
            connection.exec_driver_sql(f"DROP TABLE {name}.patient")
            Database(location).close()
            Database(location).close()
        finally:
            connection.exec_driver_sql(f"DROP SCHEMA {name} CASCADE")


def test_the_archive_touches_nothing_and_makes_nothing(tmp_path: Path, run_app: RunApp) -> None:
    with closing(sqlite3.connect(tmp_path / "instances.sqlite")) as connection:
        connection.execute("CREATE TABLE mine (x)")
    before = everything(tmp_path)
    for flags in ((), ("--clean",), ("--check",)):
        ran = run_app("qrscp", "--port", "0", *flags)
        assert ran.returncode == 1
        assert "[database] location" in ran.stderr
        assert "database of another program, with tables of its own (mine)" in ran.stderr
    assert everything(tmp_path) == before
    assert not (tmp_path / "instances").exists()
