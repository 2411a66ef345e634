"""PostgreSQL's plans of a filled index: neither queries nor retrieval read the whole of a table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pynetdicom.apps.archive import database
from pynetdicom.apps.archive.attributes import UNIQUE_KEYS
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index
from pynetdicom.apps.archive.query import Find, Retrieve
from pynetdicom.apps.archive.schema import NAMES_OF_SEVERAL_GROUPS
from pynetdicom.workflows.matching import NOTHING
from tests.apps.archive.conftest import empty_database
from tests.apps.archive.test_plans import (
    BELOW_A_STUDY,
    COUNTED,
    MANY,
    OF_PATIENTS,
    OF_STUDIES,
    PATIENT_COUNTED,
    PATIENT_ROOT,
    RELATIONAL,
    RETRIEVALS,
    STUDY_ROOT,
    keys,
)

pytestmark = pytest.mark.slow

PATIENTS, STUDIES, SERIES, INSTANCES = 8_000, 32_000, 64_000, 128_000
FILL = f"""
INSERT INTO patient (identity, patient_id, patient_name, patient_name_search,
                     patient_birth_date, patient_birth_date_search)
SELECT 'P' || n, 'P' || n, 'Name' || n || '^X', 'name' || n || '^x', d, d
FROM generate_series(1, {PATIENTS}) AS n, to_char(date '1940-01-01' + n * 7, 'YYYYMMDD') AS d;
INSERT INTO study (patient_pk, study_instance_uid, study_date, study_date_search,
                   accession_number, study_id)
SELECT 1 + n % {PATIENTS}, '1.2.' || n, d, d, 'A' || n, 'S' || n
FROM generate_series(1, {STUDIES}) AS n, to_char(date '2000-01-01' + n, 'YYYYMMDD') AS d;
INSERT INTO series (study_pk, series_instance_uid, modality)
SELECT 1 + n % {STUDIES}, '1.3.' || n, (ARRAY['CT', 'MR', 'US', 'MG'])[1 + n % 4]
FROM generate_series(1, {SERIES}) AS n;
INSERT INTO instance (series_pk, sop_instance_uid, sop_class_uid, instance_number,
                      transfer_syntax_uid, location, folder)
SELECT 1 + n % {SERIES}, '1.4.' || n, '1.2.3', n::text, '1.2.840.10008.1.2.1', 'ab/' || n, 'ab'
FROM generate_series(1, {INSTANCES}) AS n;
ANALYZE;
"""


@pytest.fixture(scope="module")
def filled(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    with empty_database("postgresql", tmp_path_factory.mktemp("plans")) as location:
        opened = Database(location)
        with opened.engine.begin() as connection:
            for statement in FILL.strip().rstrip(";").split(";"):
                connection.exec_driver_sql(statement.replace("%", "%%"))
        yield opened
        opened.close()


@pytest.fixture
def plans(filled: Database, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[str]]:
    """The steps of what the database is asked, by its statistics."""
    # On a busy machine it would be asked for a few rows at a time, hundreds of times.
    monkeypatch.setattr(database, "STATEMENT_MILLISECONDS", 30_000)
    seen: list[str] = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            rows = connection.connection.cursor()
            rows.execute(f"EXPLAIN {statement}", parameters)
            seen.extend(row[0] for row in rows)
            rows.close()

    sa.event.listen(filled.engine, "before_cursor_execute", note)
    yield seen
    sa.event.remove(filled.engine, "before_cursor_execute", note)


def read_whole(steps: list[str]) -> set[str]:
    """The tables that are read from end to end."""
    found = (re.search(r"Seq Scan on (patient|study|series|instance)\b", step) for step in steps)
    return {match[1] for match in found if match}


def assert_indexed(steps: list[str], *may_be_read: str) -> None:
    assert any(re.search(r"Index (Only )?Scan", step) for step in steps), steps
    assert read_whole(steps) <= set(may_be_read), "\n".join(steps)


def test_what_a_scan_looks_like(filled: Database, plans: list[str]) -> None:
    """What no index helps with reads a table, so the tests below can fail."""
    with filled.reading() as connection:
        connection.execute(sa.text("SELECT pk FROM instance WHERE instance_number = '1'")).all()
    assert read_whole(plans) == {"instance"}


@pytest.mark.parametrize("values", OF_STUDIES, ids=lambda values: str(values)[:60])
def test_a_query_for_studies(filled: Database, plans: list[str], values: dict[str, Any]) -> None:
    query = Find(keys("STUDY", **{**COUNTED, **values}), f"{STUDY_ROOT}1", NOTHING)
    list(query.matches(filled, "X"))
    # Who asks for all of a level reads all of that level, and nothing below it but by an index.
    assert_indexed(plans, *(() if values else ("study", "patient")))


@pytest.mark.parametrize("values", OF_PATIENTS, ids=str)
def test_a_query_for_patients(filled: Database, plans: list[str], values: dict[str, Any]) -> None:
    identifier = keys("PATIENT", **{**dict.fromkeys(PATIENT_COUNTED, ""), **values})
    list(Find(identifier, f"{PATIENT_ROOT}1", NOTHING).matches(filled, "X"))
    assert_indexed(plans, *(() if values else ("patient",)))


@pytest.mark.parametrize(("level", "values"), RELATIONAL, ids=lambda values: str(values)[:60])
def test_a_relational_query(
    filled: Database, plans: list[str], level: str, values: dict[str, Any]
) -> None:
    relational = NOTHING._replace(relational=True)
    list(Find(keys(level, **values), f"{STUDY_ROOT}1", relational).matches(filled, "X"))
    assert_indexed(plans)


@pytest.mark.parametrize(("level", "values"), BELOW_A_STUDY)
def test_a_query_below_a_study(
    filled: Database, plans: list[str], level: str, values: dict[str, Any]
) -> None:
    identifier = keys(level, StudyInstanceUID="1.2.17", **values)
    list(Find(identifier, f"{STUDY_ROOT}1", NOTHING).matches(filled, "X"))
    assert_indexed(plans)


@pytest.mark.parametrize("uids", ["1.2", ["1.2", "1.3"], MANY], ids=["one", "two", "many"])
@pytest.mark.parametrize(("model", "level", "upper"), RETRIEVALS)
def test_a_retrieval(
    filled: Database, plans: list[str], model: str, level: str, upper: list[str], uids: Any
) -> None:
    if level == "PATIENT" and uids != "1.2":
        return  # which is asked for one at a time
    values = {**dict.fromkeys(upper, "1.2"), UNIQUE_KEYS[level]: uids}
    Retrieve(keys(level, **values), f"{model}2").choose(filled)
    list(Index(filled).instances([1, 2]))
    assert_indexed(plans)


def test_an_index_that_an_earlier_release_has_made(tmp_path: Path) -> None:
    """It gets what later ones look for names with."""

    def has_it(opened: Database) -> bool:
        found = sa.inspect(opened.engine).get_indexes("patient")
        return NAMES_OF_SEVERAL_GROUPS.name in {one["name"] for one in found}

    with empty_database("postgresql", tmp_path) as location:
        opened = Database(location)
        assert has_it(opened)
        NAMES_OF_SEVERAL_GROUPS.drop(opened.engine)
        assert not has_it(opened)
        opened.close()
        for _ in range(2):
            opened = Database(location)
            assert has_it(opened)
            opened.close()
