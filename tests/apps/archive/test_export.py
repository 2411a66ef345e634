"""``qrscp export``, ``list`` and ``stats``."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from pydicom import dcmread

from tests.apps.archive.conftest import MakeEvent, Qrscp, make

OTHERS = {
    3: {"SeriesInstanceUID": "1.2.4", "Modality": "MR"},
    4: {"PatientID": "../P/2", "PatientName": "Müller^Jörg", "StudyInstanceUID": "1.8"},
    5: {"IssuerOfPatientID": "B", "StudyInstanceUID": "1.7", "SeriesInstanceUID": "1.7.1"},
    6: {"PatientID": "", "StudyInstanceUID": "1.6", "SeriesInstanceUID": "1.6.1"},
}


@pytest.fixture
def filled(qrscp: Qrscp, store_event: MakeEvent) -> Qrscp:
    objects = [make(1), make(2), *(make(n, **attributes) for n, attributes in OTHERS.items())]
    for ds in objects:
        ds.SpecificCharacterSet = "ISO_IR 192"
    qrscp.fill(store_event, *objects)
    return qrscp


def files(place: Path) -> dict[str, Path]:
    return {str(path.relative_to(place)): path for path in place.rglob("*") if path.is_file()}


ALL = {
    "P1/1.2.1/1.2.2/1.2.3.1.dcm",
    "P1/1.2.1/1.2.2/1.2.3.2.dcm",
    "P1/1.2.1/1.2.4/1.2.3.3.dcm",
    "%2E.%2FP%2F2/1.8/1.2.2/1.2.3.4.dcm",
    "P1@B/1.7/1.7.1/1.2.3.5.dcm",
    "%none/1.6/1.6.1/1.2.3.6.dcm",
}


@pytest.mark.parametrize(
    ("keys", "numbers"),
    [
        ("", "123456"),
        ("StudyInstanceUID=1.2.1", "123"),
        ("PatientID=P1", "1235"),
        ("SeriesInstanceUID=1.7.1", "5"),
        ("PatientName=muller*", "4"),
        ("Modality=MR", "3"),
    ],
)
def test_what_is_exported(filled: Qrscp, tmp_path: Path, keys: str, numbers: str) -> None:
    place = tmp_path / "out" / "there"
    assert filled("export", place, *keys.split()) == 0
    assert set(files(place)) == {name for name in ALL if name[-5] in numbers}
    assert filled.out == (
        f"{len(numbers)} exported, 0 there already, 0 there with other bytes, 0 deleted meanwhile,"
        " 0 failed"
    )
    kept = {path.name: path for path in filled.objects()}
    for path in files(place).values():
        assert path.read_bytes() == kept[path.name].read_bytes()
        assert path.stat().st_mtime == kept[path.name].stat().st_mtime
    assert len(files(tmp_path / "out")) == len(numbers)


def test_an_export_goes_on_and_replaces_nothing(filled: Qrscp, tmp_path: Path) -> None:
    place = tmp_path / "out"
    assert filled("export", place) == 0
    first, second, *_ = sorted(files(place).values())
    first.unlink()
    second.write_bytes(b"mine")
    assert filled("export", place) == 1
    assert filled.out.startswith("1 exported, 4 there already, 1 there with other bytes")
    assert f"{second} is there with other bytes" in filled.err
    assert second.read_bytes() == b"mine"


def test_an_object_that_is_gone(filled: Qrscp, tmp_path: Path) -> None:
    (path,) = (one for one in filled.objects() if one.name == "1.2.3.1.dcm")
    path.unlink()
    assert filled("export", tmp_path / "out") == 1
    assert filled.out.startswith("5 exported")
    assert filled.out.endswith("1 failed")
    assert "1.2.3.1: " in filled.err


def test_nothing_is_like_that(filled: Qrscp, tmp_path: Path) -> None:
    assert filled("export", tmp_path / "out", "PatientID=nobody") == 1
    assert "there is no such object" in filled.err


@pytest.mark.parametrize(
    ("key", "why"),
    [
        ("Nonsense=1", "there is no element 'Nonsense'"),
        ("KVP=1", "KVP is not indexed at level IMAGE, nor above it"),
        ("StudyDate=yesterday", "StudyDate: neither a date nor a range"),
        ("QueryRetrieveLevel=STUDY", "QueryRetrieveLevel is not indexed"),
    ],
)
def test_keys_that_cannot_be(filled: Qrscp, tmp_path: Path, key: str, why: str) -> None:
    assert filled("export", tmp_path / "out", key) == 1
    assert why in filled.err


@pytest.mark.parametrize(
    ("level", "count"), [("PATIENT", 4), ("STUDY", 4), ("SERIES", 5), ("IMAGE", 6)]
)
def test_each_level_is_listed(filled: Qrscp, level: str, count: int) -> None:
    assert filled("list", "--level", level) == 0
    assert filled.out.endswith(f"{count} matches")
    assert filled("list", "--level", level, "--json") == 0
    assert len([json.loads(line) for line in filled.out.splitlines()]) == count


def test_studies_as_csv(filled: Qrscp) -> None:
    assert filled("list", "PatientID=P1", "StudyInstanceUID", "--csv") == 0
    rows = list(csv.DictReader(filled.out.splitlines()))
    assert [(row["StudyInstanceUID"], row["NumberOfStudyRelatedInstances"]) for row in rows] == [
        ("1.2.1", "3"), ("1.7", "1"),
    ]  # fmt: skip
    assert rows[0]["ModalitiesInStudy"] in ("CT\\MR", "MR\\CT")
    assert filled("list", "PatientName=jörg*", "--csv") == 0
    assert "1.8" not in filled.out
    assert filled("list", "PatientName=müller^jörg", "--csv") == 0
    assert "Müller^Jörg" in filled.out


def test_keys_of_levels_below(filled: Qrscp) -> None:
    assert filled("list", "--level", "PATIENT", "StudyDate=20260101") == 1
    assert "StudyDate is not indexed at level PATIENT, nor above it" in filled.err


def test_how_much_there_is(filled: Qrscp, store_event: MakeEvent) -> None:
    filled.fill(store_event, make(1, PatientComments="again"))
    assert filled("stats") == 0
    assert filled.out.splitlines()[:5] == [
        "patients: 4", "studies: 4", "series: 5", "objects: 6", "second copies: 1",
    ]  # fmt: skip
    assert "the disk of " in filled.out
    assert filled("stats", "--json") == 0
    told = json.loads(filled.out)
    assert told["bytes"] == sum(path.stat().st_size for path in filled.objects())
    assert told["room"][0]["share"] <= 1


def test_the_exported_are_dicom_files(filled: Qrscp, tmp_path: Path) -> None:
    filled("export", tmp_path / "out", "PatientID=P1", "IssuerOfPatientID=B")
    (path,) = files(tmp_path / "out").values()
    assert dcmread(path).SOPInstanceUID == "1.2.3.5"
