"""SQLite's plans: neither queries nor retrieval read the whole of the table of instances."""

from __future__ import annotations

import re
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset

from pynetdicom.apps.archive.attributes import UNIQUE_KEYS
from pynetdicom.apps.archive.index import Index
from pynetdicom.apps.archive.query import Find, Retrieve
from pynetdicom.workflows.matching import NOTHING, Options

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
INSTANCE_ROOT = "1.2.840.10008.5.1.4.1.2.4."
MANY = [f"1.2.{n}" for n in range(10_000)]
COUNTED = {
    "ModalitiesInStudy": "",
    "SOPClassesInStudy": "",
    "NumberOfStudyRelatedSeries": "",
    "NumberOfStudyRelatedInstances": "",
}
PATIENT_COUNTED = [f"NumberOfPatientRelated{what}" for what in ("Studies", "Series", "Instances")]
OF_STUDIES: list[dict[str, Any]] = [
    {},
    {"PatientID": "P1"},
    {"PatientName": "Doe^*"},
    {"StudyInstanceUID": ["1.2", "1.3"]},
    {"StudyInstanceUID": MANY},
    {"StudyDate": "20200101-20200131"},
    {"AccessionNumber": "A1"},
    {"StudyID": "S1"},
    {"StudyDate": "20200101", "ModalitiesInStudy": "CT"},
    {"PatientID": "P1", "ModalitiesInStudy": "M*"},
]
OF_PATIENTS: list[dict[str, Any]] = [
    {},
    {"PatientID": "P1"},
    {"PatientName": "Doe^*"},
    {"PatientBirthDate": "19700101-19700131"},
]
RELATIONAL: list[tuple[str, dict[str, Any]]] = [
    ("SERIES", {"Modality": "CT", "PatientID": "P1"}),
    ("SERIES", {"SeriesInstanceUID": MANY}),
    ("IMAGE", {"SOPInstanceUID": "1.2"}),
    ("IMAGE", {"SOPInstanceUID": MANY}),
    ("IMAGE", {"SeriesInstanceUID": "1.2", "InstanceNumber": "1"}),
    ("IMAGE", {"StudyInstanceUID": "1.2", "InstanceNumber": "1"}),
    ("IMAGE", {"PatientID": "P1", "StudyDate": "20200101", "InstanceNumber": ""}),
]
BELOW_A_STUDY: list[tuple[str, dict[str, Any]]] = [
    ("SERIES", {"SeriesInstanceUID": "", "NumberOfSeriesRelatedInstances": ""}),
    ("IMAGE", {"SeriesInstanceUID": "1.3", "InstanceNumber": "1"}),
]
RETRIEVALS: list[tuple[str, str, list[str]]] = [
    (PATIENT_ROOT, "PATIENT", []),
    (STUDY_ROOT, "STUDY", []),
    (STUDY_ROOT, "SERIES", ["StudyInstanceUID"]),
    (STUDY_ROOT, "IMAGE", ["StudyInstanceUID", "SeriesInstanceUID"]),
    (INSTANCE_ROOT, "IMAGE", []),
]
"""What there is asked for, at each level and by each attribute that has an index."""


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


def find_plan(
    index: Index, identifier: Dataset, root: str, options: Options = NOTHING
) -> list[str]:
    """The steps of a C-FIND: which match, and what they are."""
    query = Find(identifier, f"{root}1", options)
    return plan(index, query.statement()) + plan(index, query.shown([1, 2, 3]))


def scans_instances(steps: list[str]) -> bool:
    # A stretch of row numbers is most of them.
    scan = re.compile(r"SCAN instance\b|SEARCH instance USING INTEGER PRIMARY KEY \(rowid[<>]")
    return any(map(scan.match, steps))


def test_what_a_scan_looks_like(sqlite: Index) -> None:
    """Without an index to help there is one, so the tests below can fail."""
    query = keys("IMAGE", StudyInstanceUID="1.2", SeriesInstanceUID="1.3")
    statement = Find(query, f"{STUDY_ROOT}1", NOTHING).statement()
    with sqlite.database.engine.begin() as connection:
        connection.exec_driver_sql("DROP INDEX ix_instance_series")
    assert scans_instances(plan(sqlite, statement))


@pytest.mark.parametrize("values", OF_STUDIES, ids=lambda values: str(values)[:60])
def test_a_query_for_studies(sqlite: Index, values: dict[str, Any]) -> None:
    query = keys("STUDY", **{**COUNTED, **values})
    steps = find_plan(sqlite, query, STUDY_ROOT)
    assert any("instance USING" in step for step in steps), "what is below is counted"
    assert not scans_instances(steps), steps


@pytest.mark.parametrize("values", OF_PATIENTS, ids=str)
def test_a_query_for_patients(sqlite: Index, values: dict[str, Any]) -> None:
    query = keys("PATIENT", **{**dict.fromkeys(PATIENT_COUNTED, ""), **values})
    steps = find_plan(sqlite, query, PATIENT_ROOT)
    assert any("instance USING" in step for step in steps), "what is below is counted"
    assert not scans_instances(steps), steps


@pytest.mark.parametrize(("level", "values"), RELATIONAL, ids=lambda values: str(values)[:60])
def test_a_relational_query(sqlite: Index, level: str, values: dict[str, Any]) -> None:
    relational = NOTHING._replace(relational=True)
    steps = find_plan(sqlite, keys(level, **values), STUDY_ROOT, relational)
    assert not scans_instances(steps), steps


@pytest.mark.parametrize(("level", "values"), BELOW_A_STUDY)
def test_a_query_below_a_study(sqlite: Index, level: str, values: dict[str, Any]) -> None:
    query = keys(level, StudyInstanceUID="1.2", **values)
    steps = find_plan(sqlite, query, STUDY_ROOT)
    assert not [step for step in steps if step.startswith("SCAN")], steps


@pytest.mark.parametrize("uids", ["1.2", ["1.2", "1.3"], MANY], ids=["one", "two", "many"])
@pytest.mark.parametrize(("model", "level", "above"), RETRIEVALS)
def test_a_retrieval(sqlite: Index, model: str, level: str, above: list[str], uids: Any) -> None:
    if level == "PATIENT" and uids != "1.2":
        return  # which is asked for one at a time
    seen: list[str] = []
    engine = sqlite.database.engine

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            rows = connection.connection.cursor()
            rows.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
            seen.extend(row[-1] for row in rows)
            rows.close()

    sa.event.listen(engine, "before_cursor_execute", note)
    values = {**dict.fromkeys(above, "1.2"), UNIQUE_KEYS[level]: uids}
    query = Retrieve(keys(level, **values), f"{model}2")
    assert query.choose(sqlite.database).count == 0
    assert list(sqlite.instances([1, 2])) == []
    assert any("instance USING" in step for step in seen), seen
    assert not scans_instances(seen), seen
