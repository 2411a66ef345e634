"""Keys of queries: what is one, what is not, and what becomes of it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmwrite
from pydicom.dataset import FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom.apps.keys import WrongKey, make_query
from pynetdicom.dsutils import decode, encode
from tests.apps.conftest import CT


def sent(*keys: str, path: str | None = None) -> Dataset:
    """What the peer gets of such keys."""
    data = encode(make_query(path, keys), False, True)
    assert data is not None
    return decode(data, False, True)


@pytest.mark.parametrize(
    ("key", "keyword", "value"),
    [
        ("PatientName=Doe^J*", "PatientName", "Doe^J*"),
        ("PatientName", "PatientName", ""),
        ("PatientName=", "PatientName", ""),
        ("(0010,0010)=Doe", "PatientName", "Doe"),
        ("(0010, 0010)=Doe", "PatientName", "Doe"),
        ("(0010,0010)", "PatientName", ""),
        ("0010,0010=Doe", "PatientName", "Doe"),
        ("0010,0010", "PatientName", ""),
        ("PatientComments=a=b\\c", "PatientComments", "a=b\\c"),
        ("PatientName=a=b", "PatientName", "a=b"),
        ("StudyDate=20200101-20201231", "StudyDate", "20200101-20201231"),
        ("StudyDate=-20201231", "StudyDate", "-20201231"),
        ("StudyTime=10-12", "StudyTime", "10-12"),
        ("ModalitiesInStudy=CT\\MR", "ModalitiesInStudy", ["CT", "MR"]),
        ("StudyInstanceUID=1.2.3\\1.2.4", "StudyInstanceUID", ["1.2.3", "1.2.4"]),
        ("SOPInstanceUID=*", "SOPInstanceUID", "*"),
        ("Rows=512", "Rows", 512),
        ("SeriesNumber=7", "SeriesNumber", 7),
        ("PatientWeight=70.5", "PatientWeight", 70.5),
        ("SliceThickness", "SliceThickness", None),
        ("RecommendedDisplayFrameRateInFloat=1.5", "RecommendedDisplayFrameRateInFloat", 1.5),
        ("FrameIncrementPointer=(0018,1063)", "FrameIncrementPointer", 0x00181063),
        ("PatientID= 12 ", "PatientID", " 12"),
    ],
)
def test_keys(key: str, keyword: str, value: Any) -> None:
    found = sent(key)
    assert len(found) == 1
    assert found[keyword].value == value


def test_items_of_sequences() -> None:
    step = "ScheduledProcedureStepSequence"
    found = sent(
        f"{step}[0].Modality=MR",
        f"{step}[0].ScheduledStationAETitle",
        "(0040,0100)[0].ScheduledProtocolCodeSequence[0].CodeValue=1",
        f"{step}[1].Modality=CT",
        "ReferencedStudySequence",
        "RequestedProcedureCodeSequence[0]",
    )
    first, second = found.ScheduledProcedureStepSequence
    assert (first.Modality, second.Modality) == ("MR", "CT")
    assert first.ScheduledStationAETitle == ""
    assert first.ScheduledProtocolCodeSequence[0].CodeValue == "1"
    assert list(found.ReferencedStudySequence) == []


def test_the_last_of_two_equal_keys_counts() -> None:
    assert sent("PatientID=1", "PatientID=2").PatientID == "2"


def test_a_private_key() -> None:
    found = sent("(0009,0010)=ACME", "(0009,1001)=ABC")
    assert found[0x00090010].value == "ACME"
    assert found[0x00091001].value == b"ABC "


@pytest.mark.parametrize(
    "key",
    [
        "", "=1", "PatientNam=1", "Patient Name=1", "(0010,001)=1", "(0010,0010=1", "0010,0010)=1",
        "PatientName[0]=1", "PatientName[0].Modality=1", "PatientName.Modality=1",
        "ScheduledProcedureStepSequence=1", "ScheduledProcedureStepSequence[0]=1",
        "ScheduledProcedureStepSequence.Modality=1", "ScheduledProcedureStepSequence[1].Modality=1",
        "ScheduledProcedureStepSequence[-1].Modality=1", "ScheduledProcedureStepSequence[0].=1",
        "ScheduledProcedureStepSequence[0]Modality=1", "ScheduledProcedureStepSequence[x].Modality",
        "ScheduledProcedureStepSequence[99999].Modality=1",
        "Rows=many", "SeriesNumber=x", "PatientWeight=heavy", "PixelData=1",
        "FrameIncrementPointer=zz", "(0002,0010)=1.2", "(0000,0002)=1", "(0010,0000)=1",
        "(FFFE,E000)=1", "(0009,1001)=é",
    ],
)  # fmt: skip
def test_what_is_no_key(key: str) -> None:
    with pytest.raises(WrongKey) as caught:
        make_query(None, [key])
    assert len(str(caught.value).splitlines()) == 1
    assert len(str(caught.value)) > 15


@pytest.mark.parametrize("key", ["Rows=99999999", "Rows=-1"])
def test_numbers_out_of_range(key: str) -> None:
    with pytest.raises(WrongKey):
        make_query(None, [key])


def test_characters_beyond_ascii_get_a_character_set_that_has_them() -> None:
    found = sent("PatientName=Müller^日本")
    assert found.SpecificCharacterSet == "ISO_IR 192"
    assert found.PatientName == "Müller^日本"
    found = sent("PatientName=Müller", "SpecificCharacterSet=ISO_IR 100")
    assert found.SpecificCharacterSet == "ISO_IR 100"
    assert found.PatientName == "Müller"
    assert "SpecificCharacterSet" not in sent("PatientName=Miller")


def test_characters_that_the_named_character_set_does_not_have() -> None:
    with pytest.raises(WrongKey, match="日"):
        make_query(None, ["SpecificCharacterSet=ISO_IR 100", "PatientName=日本"])


# --------------------------------------------------------------------------------------- files


@pytest.fixture
def query_file(tmp_path: Path) -> Path:
    step = Dataset()
    step.Modality = "MR"
    query = Dataset()
    query.QueryRetrieveLevel = "STUDY"
    query.PatientID = "1"
    query.ScheduledProcedureStepSequence = [step]
    query.file_meta = FileMetaDataset()
    query.file_meta.MediaStorageSOPClassUID = "1.2.3"
    query.file_meta.MediaStorageSOPInstanceUID = "1.2.3.4"
    query.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    path = tmp_path / "query.dcm"
    dcmwrite(path, query, enforce_file_format=True)
    return path


def test_a_file_whose_keys_are_overridden(query_file: Path) -> None:
    found = sent(
        "PatientID=2", "PatientName", "ScheduledProcedureStepSequence[0].Modality=CT",
        path=str(query_file),
    )  # fmt: skip
    assert (found.QueryRetrieveLevel, found.PatientID, found.PatientName) == ("STUDY", "2", "")
    assert found.ScheduledProcedureStepSequence[0].Modality == "CT"
    assert len(found) == 4


def test_a_file_without_preamble(tmp_path: Path) -> None:
    query = Dataset()
    query.PatientID = "1"
    path = tmp_path / "raw"
    path.write_bytes(encode(query, True, True) or b"")
    assert sent(path=str(path)).PatientID == "1"


def test_files_that_are_none(tmp_path: Path) -> None:
    text = tmp_path / "text"
    text.write_text("PatientName=Doe\n" * 20)
    empty = tmp_path / "empty"
    empty.touch()
    cut = tmp_path / "cut"
    cut.write_bytes(CT.read_bytes()[:140])
    for path in (text, empty, cut, tmp_path / "missing", tmp_path):
        with pytest.raises(WrongKey) as caught:
            make_query(str(path), ())
        assert str(caught.value).startswith(f"{path}: ")
