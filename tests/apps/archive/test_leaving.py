"""Peers that leave an operation of the archive before its end: the next one has its own answers."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest
import sqlalchemy as sa

from pynetdicom.apps.archive import schema
from tests.apps.archive.conftest import CT, EXPLICIT, make
from tests.apps.archive.test_bad_input import STUDY_ROOT, Site, ask, keys, studies

STUDIES = 3000


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    """With studies of ALICE, and one of BOB."""
    made = Site(str(tmp_path / "index.sqlite"), tmp_path / "objects")
    made.archive.database.write(fill)
    made.feed(make(1, PatientID="BOB", PatientName="BOB", StudyInstanceUID="2.1"))
    yield made
    made.close()


def fill(connection: sa.Connection) -> None:
    numbers = range(1, STUDIES + 1)
    patient = {"pk": 1, "identity": "ALICE", "patient_id": "ALICE", "patient_name": "ALICE"}
    connection.execute(schema.patient.insert(), {**patient, "patient_name_search": "alice"})
    connection.execute(
        schema.study.insert(),
        [{"pk": n, "patient_pk": 1, "study_instance_uid": f"1.{n}"} for n in numbers],
    )
    connection.execute(
        schema.series.insert(),
        [{"pk": n, "study_pk": n, "series_instance_uid": f"1.{n}.1"} for n in numbers],
    )
    shared = {"sop_class_uid": CT, "transfer_syntax_uid": EXPLICIT, "folder": "abc"}
    connection.execute(
        schema.instance.insert(),
        [
            {"series_pk": n, "sop_instance_uid": f"1.{n}.1.1", "location": f"abc/{n}", **shared}
            for n in numbers
        ],
    )


@pytest.mark.parametrize("taken", [1, 20, STUDIES - 1])
def test_a_query_that_is_left(site: Site, taken: int) -> None:
    model = f"{STUDY_ROOT}1"
    assoc = site.associate()
    for _ in range(5):
        answers = assoc.send_c_find(keys("STUDY", PatientName="ALICE"), model)
        for count, (_, match) in enumerate(answers, 1):
            assert match.PatientName == "ALICE"
            if count == taken:
                break
        answers.close()
        assert studies(ask(assoc, "C-FIND", keys("STUDY", PatientName="BOB"))) == ["2.1"]


def test_a_retrieval_that_is_left(site: Site) -> None:
    """Of objects that are all missing, so that the archive could be done at once."""
    assoc = site.associate()
    uids = [f"1.{n}" for n in range(1, STUDIES + 1)]
    answers = assoc.send_c_get(keys("STUDY", StudyInstanceUID=uids), f"{STUDY_ROOT}3")
    next(answers)
    answers.close()
    status, _ = ask(assoc, "C-GET", keys("STUDY", StudyInstanceUID="2.1"))[-1]
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 1)
    assert [ds.PatientName for ds in site.got] == ["BOB"]


def test_a_peer_that_goes_away(site: Site) -> None:
    """Nothing of its operations stays, neither threads nor connections of the database."""
    for _ in range(5):
        assoc = site.associate()
        next(assoc.send_c_find(keys("STUDY", PatientName="ALICE"), f"{STUDY_ROOT}1"))
        assoc.abort()
    assert studies(ask(site.associate(), "C-FIND", keys("STUDY", PatientName="BOB"))) == ["2.1"]
    pool = site.archive.database.engine.pool
    assert pool.checkedout() == 0  # type: ignore[attr-defined]  # QueuePool's
