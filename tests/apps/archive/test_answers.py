"""Matches as they go out: as rows say, in each transfer syntax, and not encoded once more."""

from __future__ import annotations

from unittest import mock

import pytest

from pynetdicom.apps.archive.answers import Answers
from pynetdicom.data_sets import element_write
from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.services.matching import encoded

IMPLICIT, EXPLICIT, BIG = (f"1.2.840.10008.1.2{end}" for end in ("", ".1", ".2"))
VRS = {
    "PatientName": "PN",
    "StudyInstanceUID": "UI",
    "Rows": "US",
    "InstanceNumber": "IS",
    "PatientWeight": "DS",
    "ImageType": "CS",
    "StudyDate": "DA",
    "PatientComments": "LT",
}
ROW = ["Müller^Zoë", "1.2.3", "512", "7", "71.5", "ORIGINAL\\PRIMARY", "20200101", ""]


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("asked", ["", "ISO_IR 100", "ISO_IR 192", "\\ISO 2022 IR 100"])
def test_each_transfer_syntax(syntax: str, asked: str) -> None:
    answers = Answers(VRS, {"RetrieveAETitle": "ME"}, syntax, asked.split("\\"))
    match = answers(ROW)
    with mock.patch.object(element_write, "_others", side_effect=AssertionError("slow")):
        encoded(match, syntax)
    for there in (InMemory(encoded(match, syntax).getvalue(), syntax).decode(), match):
        assert {e.keyword: e.value for e in there if e.tag > 0x00080005} == {
            "PatientName": "Müller^Zoë",
            "StudyInstanceUID": "1.2.3",
            "Rows": 512,
            "InstanceNumber": 7,
            "PatientWeight": 71.5,
            "ImageType": ["ORIGINAL", "PRIMARY"],
            "StudyDate": "20200101",
            "PatientComments": "",
            "RetrieveAETitle": "ME",
        }


def test_in_another_transfer_syntax_than_was_said() -> None:
    match = Answers(VRS, {}, EXPLICIT)(ROW)
    for syntax in (IMPLICIT, BIG):
        there = InMemory(encoded(match, syntax).getvalue(), syntax).decode()
        assert (there.PatientName, there.Rows) == ("Müller^Zoë", 512)


@pytest.mark.parametrize(
    ("vr", "keyword", "text"),
    [
        ("IS", "InstanceNumber", "1.5"),
        ("IS", "InstanceNumber", "1\\x"),
        ("DS", "PatientWeight", "heavy"),
        ("DS", "PatientWeight", "NaN"),
        ("US", "Rows", "65536"),
        ("US", "Rows", "-1"),
        ("CS", "Modality", "Ü"),
        ("UI", "SeriesInstanceUID", "1.2.٣"),
        ("AE", "RetrieveAETitle", "ARCHÍV"),
    ],
)
def test_what_is_none_of_its_vr_is_empty(vr: str, keyword: str, text: str) -> None:
    match = Answers({keyword: vr}, {}, EXPLICIT)([text])
    there = InMemory(encoded(match, EXPLICIT).getvalue(), EXPLICIT).decode()
    assert there[keyword].is_empty
