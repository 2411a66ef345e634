"""Extended negotiation with the archive (PS3.4 C.5): what is agreed on is done, nothing else."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from tests.apps.archive.conftest import make
from tests.apps.archive.test_bad_input import (
    EXPLICIT,
    PATIENT_ROOT,
    STUDY_ROOT,
    Site,
    ask,
    keys,
    studies,
)

OBJECTS = [
    make(
        number, PatientID=patient, PatientName=name, StudyInstanceUID=study,
        SeriesInstanceUID=f"{study}.1", StudyDate=date, StudyTime=time, Modality=modality,
    )
    for number, patient, name, study, date, time, modality in (
        (1, "P1", "Doe^Jane", "1.1", "20200101", "2300", "CT"),
        (2, "P2", "Roe^Jane", "2.1", "20200102", "0100", "MR"),
        (3, "P2", "Roe^Jane", "2.2", "20200102", "1200", "CT"),
    )
]  # fmt: skip


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(str(tmp_path / "index.sqlite"), tmp_path / "objects")
    made.feed(*OBJECTS)
    yield made
    made.close()


def wish(sop_class: str, information: bytes) -> SOPClassExtendedNegotiation:
    item = SOPClassExtendedNegotiation()
    item.sop_class_uid = sop_class
    item.service_class_application_information = information
    return item


def associate(site: Site, number: str, information: bytes, root: str = STUDY_ROOT) -> Any:
    """An association on which an operation has been negotiated."""
    return site.associate(EXPLICIT, wish(f"{root}{number}", information))


@pytest.mark.parametrize(
    ("number", "asked", "agreed"),
    [
        ("1", b"\x01", b"\x01"),
        ("1", b"\x01\x01\x01", b"\x01\x01\x01"),
        ("1", b"\x00\x00\x00", b"\x00\x00\x00"),
        ("1", b"\x01\x01\x01\x01\x01", b"\x01\x01\x01\x00\x00"),
        ("1", b"\xff" * 9, b"\x01\x01\x01\x00\x00"),
        ("2", b"\x01\x01", b"\x01\x00"),
        ("3", b"\x01", b"\x01"),
    ],
)
def test_what_is_agreed_on(site: Site, number: str, asked: bytes, agreed: bytes) -> None:
    """As much as was asked for, and no more than there is."""
    assoc = associate(site, number, asked)
    assert assoc.acceptor.sop_class_extended == {f"{STUDY_ROOT}{number}": agreed}


def test_relational_queries(site: Site) -> None:
    identifier = keys("SERIES", Modality="CT", PatientName="")
    ((status, _),) = ask(site.associate(), "C-FIND", identifier)
    assert status.Status == 0xA900, "which it was not negotiated for"
    answers = ask(associate(site, "1", b"\x01"), "C-FIND", identifier)
    assert studies(answers) == ["1.1", "2.2"]
    assert [str(match.PatientName) for _, match in answers[:-1]] == ["Doe^Jane", "Roe^Jane"]


def test_a_date_and_its_time(site: Site) -> None:
    identifier = keys("STUDY", StudyDate="20200101-20200102", StudyTime="2200-0200")
    assert studies(ask(site.associate(), "C-FIND", identifier)) == []
    assert studies(ask(associate(site, "1", b"\x00\x01"), "C-FIND", identifier)) == ["1.1", "2.1"]


def test_names_by_their_words(site: Site) -> None:
    identifier = keys("STUDY", PatientName="jan ro")
    assert studies(ask(site.associate(), "C-FIND", identifier)) == []
    found = studies(ask(associate(site, "1", b"\x00\x00\x01"), "C-FIND", identifier))
    assert found == ["2.1", "2.2"]


def test_relational_retrieval(site: Site) -> None:
    identifier = keys("SERIES", SeriesInstanceUID=["1.1.1", "2.2.1"])
    ((status, _),) = ask(site.associate(), "C-GET", identifier, PATIENT_ROOT)
    assert status.Status == 0xA900
    assoc = associate(site, "3", b"\x01", PATIENT_ROOT)
    status, _ = ask(assoc, "C-GET", identifier, PATIENT_ROOT)[-1]
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 2)
    assert [ds.SOPInstanceUID for ds in site.got] == ["1.2.3.1", "1.2.3.3"]


def test_what_was_negotiated_for_one_model_is_not_for_another(site: Site) -> None:
    assoc = associate(site, "1", b"\x01\x01\x01", PATIENT_ROOT)
    ((status, _),) = ask(assoc, "C-FIND", keys("SERIES"), STUDY_ROOT)
    assert status.Status == 0xA900
