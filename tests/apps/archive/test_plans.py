"""SQLite's plans: neither queries nor retrieval read the whole of the table of instances."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset

from pynetdicom.apps.archive.index import Index
from pynetdicom.apps.archive.matching import NOTHING
from pynetdicom.apps.archive.query import Find, Retrieve

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
COUNTED = {
    "ModalitiesInStudy": "",
    "SOPClassesInStudy": "",
    "NumberOfStudyRelatedSeries": "",
    "NumberOfStudyRelatedInstances": "",
}


def keys(level: str, **values: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def plan(index: Index, statement: sa.Select[Any]) -> list[str]:
    """The steps of a query."""
    engine = index.database.engine
    text = statement.compile(engine, compile_kwargs={"literal_binds": True}).string
    with index.database.reading() as connection:
        return [row[-1] for row in connection.exec_driver_sql(f"EXPLAIN QUERY PLAN {text}")]


def scans_instances(steps: list[str]) -> bool:
    return any(re.match(r"SCAN (TABLE )?instance\b", step) for step in steps)


def test_what_a_scan_looks_like(sqlite: Index) -> None:
    """Without an index to help there is one, so the tests below can fail."""
    query = keys("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.3")
    statement = Find(query, f"{STUDY_ROOT}1", NOTHING).statement()
    with sqlite.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_instance_series")
    assert scans_instances(plan(sqlite, statement))


@pytest.mark.parametrize(
    "values",
    [
        {},
        {"PatientID": "P1"},
        {"PatientName": "Doe^*"},
        {"StudyInstanceUID": ["1.2", "1.3"]},
        {"StudyDate": "20200101-20200131"},
        {"AccessionNumber": "A1"},
        {"StudyDate": "20200101", "ModalitiesInStudy": "CT"},
        {"PatientID": "P1", "ModalitiesInStudy": "M*"},
    ],
    ids=str,
)
def test_a_query_for_studies(sqlite: Index, values: dict[str, Any]) -> None:
    query = keys("STUDY", **{**COUNTED, **values})
    steps = plan(sqlite, Find(query, f"{STUDY_ROOT}1", NOTHING).statement())
    assert any("instance USING" in step for step in steps), "what is below is counted"
    assert not scans_instances(steps), steps


@pytest.mark.parametrize("level", ["SERIES", "IMAGE"])
def test_a_query_below_a_study(sqlite: Index, level: str) -> None:
    query = keys(level, StudyInstanceUID="1.2", SeriesInstanceUID="")
    if level == "IMAGE":
        query.SeriesInstanceUID = "1.3"
        query.InstanceNumber = "1"
    else:
        query.NumberOfSeriesRelatedInstances = ""
    steps = plan(sqlite, Find(query, f"{STUDY_ROOT}1", NOTHING).statement())
    assert not [step for step in steps if step.startswith("SCAN")], steps


@pytest.mark.parametrize("level", ["STUDY", "SERIES", "IMAGE"])
def test_a_retrieval(sqlite: Index, level: str) -> None:
    uids = {"STUDY": "StudyInstanceUID", "SERIES": "SeriesInstanceUID", "IMAGE": "SOPInstanceUID"}
    names = list(uids.values())[: list(uids).index(level) + 1]
    seen: list[str] = []
    engine = sqlite.database.engine

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            rows = connection.connection.cursor()
            rows.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            seen.extend(row[-1] for row in rows)
            rows.close()

    sa.event.listen(engine, "before_cursor_execute", note)
    query = Retrieve(keys(level, **dict.fromkeys(names, "1.2")), f"{STUDY_ROOT}2")
    assert query.kinds(sqlite.database)[0] == 0
    assert list(query.instances(sqlite.database, 10)) == []
    assert any("instance USING" in step for step in seen), seen
    assert not scans_instances(seen), seen
