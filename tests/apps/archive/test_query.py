"""C-FIND and retrieval against each database (PS3.4 C.4.1 to C.4.3, C.6)."""

from __future__ import annotations

import itertools
import re
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import Dataset
from pydicom.dataelem import DataElement, RawDataElement
from pydicom.tag import Tag

from pynetdicom.apps.archive import database as database_module
from pynetdicom.apps.archive import schema
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index, NotIndexable, record_of
from pynetdicom.apps.archive.query import Find, Retrieve
from pynetdicom.workflows.identifiers import IdentifierError
from pynetdicom.workflows.matching import Options
from tests.apps.archive.conftest import CT, EXPLICIT, KINDS, Fill, empty_database, make
from tests.workflows.test_matching import data_set_matches

NONE = Options()
PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
PATIENT_STUDY_ONLY = "1.2.840.10008.5.1.4.1.2.3."
INSTANCE_ROOT_GET = "1.2.840.10008.5.1.4.1.2.4.3"
MR = "1.2.840.10008.5.1.4.1.1.4"

OBJECTS = [
    make(1, PatientID="P1", PatientName="Doe^Jane", StudyDate="20200101", StudyTime="1000",
         StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", AccessionNumber="A1", Modality="CT",
         StudyDescription="Head_1", InstanceNumber="1", ImageType=["ORIGINAL", "PRIMARY"]),
    make(2, PatientID="P1", PatientName="Doe^Jane", StudyDate="20200101", StudyTime="1000",
         StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1", AccessionNumber="A1", Modality="CT",
         StudyDescription="Head_1", InstanceNumber="02", ImageType=["DERIVED", "SECONDARY"]),
    make(3, PatientID="P1", PatientName="Doe^Jane", StudyDate="20200101", StudyTime="1000",
         StudyInstanceUID="1.1", SeriesInstanceUID="1.1.2", AccessionNumber="A1", Modality="MR",
         StudyDescription="Head_1", SOPClassUID=MR),
    make(4, PatientID="P1", PatientName="Doe^Jane", StudyDate="20200103", StudyTime="0300",
         StudyInstanceUID="1.2", SeriesInstanceUID="1.2.1", AccessionNumber="A2", Modality="MR",
         StudyDescription="HeadX1", SOPClassUID=MR),
    make(5, PatientID="P2", PatientName="Müller^Jörg=山田^太郎", StudyDate="20210601", StudyTime="",
         StudyInstanceUID="2.1", SeriesInstanceUID="2.1.1", AccessionNumber="", Modality="US",
         SpecificCharacterSet="ISO_IR 192", PatientBirthDate="19700102", PatientSex="M"),
    make(6, PatientID="p2", PatientName="Doering^Max", StudyDate="", StudyTime="235959.5",
         StudyInstanceUID="3.1", SeriesInstanceUID="3.1.1", AccessionNumber="A%", Modality="",
         OperatorsName=["Roe^A", "Poe^B"]),
]  # fmt: skip


def add_objects(index: Index) -> None:
    for number, ds in enumerate(OBJECTS, 1):
        index.add(record_of(ds, EXPLICIT if number != 4 else "1.2.4"), f"abc/{number}", "abc")


@pytest.fixture
def filled(open_filled: Callable[[Fill], Database]) -> Database:
    """A database with `OBJECTS`."""
    return open_filled(add_objects)


def keys(level: str | None, **values: Any) -> Dataset:
    ds = Dataset()
    if level is not None:
        ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def find(
    database: Database, root: str, level: str, options: Options = NONE, **values: Any
) -> list[Dataset]:
    return list(Find(keys(level, **values), f"{root}1", options).matches(database, "ME"))


def studies(database: Database, options: Options = NONE, **values: Any) -> list[str]:
    return [ds.StudyInstanceUID for ds in find(database, STUDY_ROOT, "STUDY", options, **values)]


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"PatientID": "P2"}, ["2.1"]),
        ({"PatientID": "P*"}, ["1.1", "1.2", "2.1"]),
        ({"PatientID": "?2"}, ["2.1", "3.1"]),
        ({"PatientName": "doe^jane"}, ["1.1", "1.2"]),
        ({"PatientName": "DOE*"}, ["1.1", "1.2", "3.1"]),
        ({"PatientName": "doe^*"}, ["1.1", "1.2"]),
        ({"PatientName": "muller*"}, ["2.1"]),
        ({"PatientName": "山田*"}, ["2.1"]),
        ({"PatientName": "=山田*"}, ["2.1"]),
        ({"PatientName": "muller*=山田*"}, ["2.1"]),
        ({"PatientName": "*o*e*r*i*n*g*^*m*"}, ["3.1"]),
        ({"StudyDescription": "Head_1"}, ["1.1"]),
        ({"StudyDescription": "Head_*"}, ["1.1"]),
        ({"StudyDescription": "head*"}, []),
        ({"AccessionNumber": "A%"}, ["3.1"]),
        ({"AccessionNumber": "A%*"}, ["3.1"]),
        ({"AccessionNumber": '""'}, ["2.1"]),
        ({"AccessionNumber": "*A*1*******"}, ["1.1"]),
        ({"AccessionNumber": "x' OR 1=1 --"}, []),
        ({"StudyInstanceUID": ["1.1", "3.1", "9"]}, ["1.1", "3.1"]),
        ({"StudyInstanceUID": "1.*"}, []),
        ({"StudyDate": "20200101"}, ["1.1"]),
        ({"StudyDate": "20200101-20200103"}, ["1.1", "1.2"]),
        ({"StudyDate": "20200102-"}, ["1.2", "2.1"]),
        ({"StudyDate": "-20200103"}, ["1.1", "1.2"]),
        ({"StudyDate": '""'}, ["3.1"]),
        ({"StudyDate": "*", "StudyInstanceUID": "*"}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"StudyDate": "20200103-20200101"}, []),
        ({"StudyTime": "10"}, ["1.1"]),
        ({"StudyTime": "2359-"}, ["3.1"]),
        ({"StudyTime": "-10"}, ["1.1", "1.2"]),
        ({"ModalitiesInStudy": "MR"}, ["1.1", "1.2"]),
        ({"ModalitiesInStudy": ["CT", "US"]}, ["1.1", "2.1"]),
        ({"ModalitiesInStudy": "?R"}, ["1.1", "1.2"]),
        ({"SOPClassesInStudy": MR}, ["1.1", "1.2"]),
        ({"PatientBirthDate": "19700101-19700103", "PatientSex": "M"}, ["2.1"]),
    ],
)
def test_studies(filled: Database, values: dict[str, Any], expected: list[str]) -> None:
    assert studies(filled, **values) == expected


def test_names_as_they_are(filled: Database) -> None:
    exact = Options(exact_names=True)
    assert studies(filled, exact, PatientName="Doe^Jane") == ["1.1", "1.2"]
    assert studies(filled, exact, PatientName="doe^jane") == []
    assert studies(filled, exact, PatientName="Muller*") == []
    assert studies(filled, exact, PatientName="Müller*") == ["2.1"]


def test_names_by_their_words(filled: Database) -> None:
    fuzzy = Options(fuzzy=True)
    assert studies(filled, fuzzy, PatientName="jane d") == ["1.1", "1.2"]
    assert studies(filled, fuzzy, PatientName="jorg mul") == ["2.1"]
    assert studies(filled, fuzzy, PatientName="jane x") == []
    assert studies(filled, PatientName="jane d") == []


def test_a_date_and_its_time_together(filled: Database) -> None:
    both = {"StudyDate": "20200101-20200103", "StudyTime": "0900-1100"}
    assert studies(filled, **both) == ["1.1"]
    assert studies(filled, Options(combined=True), **both) == ["1.1", "1.2"]
    late = {"StudyDate": "20200101-20200103", "StudyTime": "1001-0259"}
    assert studies(filled, Options(combined=True), **late) == []


@pytest.mark.slow
def test_sql_and_python_say_the_same(filled: Database) -> None:
    """Every combination of these keys, by the database and by the matcher of worklist items."""
    choices: dict[str, list[Any]] = {
        "PatientName": ["", "doe*", "*^J*", "山田^太郎", "d?e^jane"],
        "PatientID": ["", "p*", "?1"],
        "StudyDate": ["", "20200101-20201231", "-20200101", '""'],
        "StudyTime": ["", "10-11", "-0300"],
        "AccessionNumber": ["", "A*", "A%", '""'],
    }
    every = {ds.StudyInstanceUID: ds for ds in reversed(OBJECTS)}
    tried = found = 0
    for combination in itertools.product(*choices.values()):
        asked = dict(zip(choices, combination, strict=True))
        expected = [
            uid for uid, ds in every.items() if data_set_matches(keys(None, **asked), ds, NONE)
        ]
        assert sorted(studies(filled, **asked)) == sorted(expected), asked
        tried += 1
        found += len(expected)
    assert tried == 720
    assert found > 100


def test_what_a_match_has(filled: Database) -> None:
    (match,) = find(
        filled, STUDY_ROOT, "STUDY", PatientID="P1", StudyDate="20200101", PatientName="",
        NumberOfStudyRelatedInstances="", NumberOfStudyRelatedSeries="",
        NumberOfPatientRelatedStudies="", NumberOfPatientRelatedSeries="",
        NumberOfPatientRelatedInstances="", ModalitiesInStudy="", SOPClassesInStudy="",
        AccessionNumber="",
    )  # fmt: skip
    got = {element.keyword: element.value for element in match}
    assert sorted(got.pop("ModalitiesInStudy")) == ["CT", "MR"]
    assert sorted(got.pop("SOPClassesInStudy")) == [CT, MR]
    assert got == {
        "StudyDate": "20200101",
        "AccessionNumber": "A1",
        "QueryRetrieveLevel": "STUDY",
        "RetrieveAETitle": "ME",
        "InstanceAvailability": "ONLINE",
        "PatientName": "Doe^Jane",
        "PatientID": "P1",
        "StudyInstanceUID": "1.1",
        "NumberOfPatientRelatedStudies": 2,
        "NumberOfPatientRelatedSeries": 3,
        "NumberOfPatientRelatedInstances": 4,
        "NumberOfStudyRelatedSeries": 2,
        "NumberOfStudyRelatedInstances": 3,
    }


def test_what_has_no_value_is_empty(filled: Database) -> None:
    (match,) = find(
        filled, STUDY_ROOT, "STUDY", StudyInstanceUID="3.1", ModalitiesInStudy="", StudyDate=""
    )
    assert match["ModalitiesInStudy"].is_empty
    assert match["StudyDate"].is_empty


def test_character_sets(filled: Database) -> None:
    def of(asked: list[str]) -> Any:
        query = Find(keys("STUDY", PatientID="P2", PatientName=""), f"{STUDY_ROOT}1", NONE)
        (match,) = query.matches(filled, "ME", asked)
        assert str(match.PatientName) == "Müller^Jörg=山田^太郎"
        return match.SpecificCharacterSet

    for asked in ([], ["ISO_IR 192"], ["ISO_IR 100"], ["nonsense"], ["", "ISO 2022 IR 87"]):
        assert of(asked) == "ISO_IR 192"
    assert of(["GB18030"]) == "GB18030"
    (match,) = find(filled, STUDY_ROOT, "STUDY", StudyInstanceUID="1.1", PatientName="")
    assert "SpecificCharacterSet" not in match


def test_levels(filled: Database) -> None:
    patients = find(filled, PATIENT_ROOT, "PATIENT", NumberOfPatientRelatedInstances="")
    assert {ds.PatientID: ds.NumberOfPatientRelatedInstances for ds in patients} == {
        "P1": 4, "P2": 1, "p2": 1,
    }  # fmt: skip
    both = find(filled, PATIENT_ROOT, "STUDY", PatientID="P1")
    assert [ds.StudyInstanceUID for ds in both] == ["1.1", "1.2"]
    only = find(filled, PATIENT_STUDY_ONLY, "STUDY", PatientID="P1", StudyDate="20200103")
    assert [ds.StudyInstanceUID for ds in only] == ["1.2"]
    series = find(
        filled, STUDY_ROOT, "SERIES", StudyInstanceUID="1.1", Modality="",
        NumberOfSeriesRelatedInstances="", ModalitiesInStudy="MR",
    )  # fmt: skip
    assert [(ds.Modality, ds.NumberOfSeriesRelatedInstances) for ds in series] == [
        ("CT", 2), ("MR", 1),
    ]  # fmt: skip
    images = find(
        filled, STUDY_ROOT, "image ", StudyInstanceUID="1.1", SeriesInstanceUID="1.1.1",
        InstanceNumber="2", SOPClassUID="", AvailableTransferSyntaxUID="",
    )  # fmt: skip
    assert [ds.SOPInstanceUID for ds in images] == ["1.2.3.2"]
    assert (images[0].QueryRetrieveLevel, images[0].SOPClassUID) == ("IMAGE", CT)
    assert images[0].AvailableTransferSyntaxUID == EXPLICIT


def test_attributes_of_several_values(filled: Database) -> None:
    one = {"StudyInstanceUID": "1.1", "SeriesInstanceUID": "1.1.1"}
    for key in ("PRIMARY", "P*Y"):
        found = find(filled, STUDY_ROOT, "IMAGE", ImageType=key, **one)
        assert [ds.SOPInstanceUID for ds in found] == ["1.2.3.1"]
        assert found[0].ImageType == ["ORIGINAL", "PRIMARY"]
    found = find(filled, STUDY_ROOT, "SERIES", StudyInstanceUID="3.1", OperatorsName="poe*")
    assert [ds.SeriesInstanceUID for ds in found] == ["3.1.1"]


def test_relational_queries(filled: Database) -> None:
    relational = Options(relational=True)
    found = find(filled, PATIENT_ROOT, "SERIES", relational, Modality="MR", PatientName="doe*")
    assert {(ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID) for ds in found} == {
        ("P1", "1.1", "1.1.2"), ("P1", "1.2", "1.2.1"),
    }  # fmt: skip


def test_keys_that_are_not_supported_are_told_and_do_not_match() -> None:
    def is_supported(**values: Any) -> bool:
        return Find(keys("STUDY", **values), f"{STUDY_ROOT}1", NONE).is_supported

    assert is_supported(PatientName="", RetrieveAETitle="", InstanceAvailability="")
    assert is_supported(NumberOfStudyRelatedSeries="5")
    assert not is_supported(InterpretationText="x")
    assert not is_supported(SeriesInstanceUID="1")
    assert not is_supported(ProcedureCodeSequence=[Dataset()])
    ds = keys("STUDY")
    ds.add_new(0x00091001, "LO", "private")
    assert not Find(ds, f"{STUDY_ROOT}1", NONE).is_supported


@pytest.mark.parametrize(
    ("root", "identifier", "comment", "tag"),
    [
        (STUDY_ROOT, keys(None), "No Query/Retrieve Level", 0x00080052),
        (STUDY_ROOT, keys(""), "No Query/Retrieve Level", 0x00080052),
        (STUDY_ROOT, keys("PATIENT"), "Query/Retrieve Level is none of STUDY", 0x00080052),
        (STUDY_ROOT, keys("STUDIES"), "Query/Retrieve Level is none of STUDY", 0x00080052),
        (PATIENT_STUDY_ONLY, keys("SERIES"), "none of PATIENT, STUDY", 0x00080052),
        (PATIENT_ROOT, keys("STUDY"), "No PatientID at level STUDY", 0x00100020),
        (PATIENT_ROOT, keys("STUDY", PatientID="P*"), "PatientID must be a single", 0x00100020),
        (STUDY_ROOT, keys("SERIES"), "No StudyInstanceUID", 0x0020000D),
        (STUDY_ROOT, keys("SERIES", StudyInstanceUID=["1", "2"]), "single value", 0x0020000D),
        (STUDY_ROOT, keys("IMAGE", StudyInstanceUID="1"), "No SeriesInstanceUID", 0x0020000E),
    ],
)
def test_identifiers_that_do_not_match_the_sop_class(
    root: str, identifier: Dataset, comment: str, tag: int
) -> None:
    for operation in (
        lambda: Find(identifier, f"{root}1", NONE),
        lambda: Retrieve(identifier, f"{root}3"),
    ):
        with pytest.raises(IdentifierError, match=comment) as caught:
            operation()
        assert caught.value.tag == tag
        assert len(str(caught.value)) <= 64


@pytest.mark.parametrize(
    ("keyword", "value", "tag"),
    [
        ("StudyDate", "yesterday", 0x00080020),
        ("StudyDate", "2020-01-01", 0x00080020),
        ("StudyDate", "20200101-20200102-20200103", 0x00080020),
        ("StudyDate", ["20200101", "202001"], 0x00080020),
        ("StudyDate", "2020*", 0x00080020),
        ("StudyTime", "noon", 0x00080030),
        ("StudyTime", "10-11-12", 0x00080030),
    ],
)
def test_what_is_no_date_or_time_is_refused(keyword: str, value: Any, tag: int) -> None:
    with pytest.raises(IdentifierError, match=r"neither a (date|time) nor a range") as caught:
        Find(keys("STUDY", **{keyword: value}), f"{STUDY_ROOT}1", NONE)
    assert caught.value.tag == tag
    assert len(str(caught.value)) <= 64


def test_a_key_that_does_not_convert_is_the_identifiers_fault() -> None:
    ds = keys("STUDY")
    tag = Tag("NumberOfFrames")
    ds[tag] = RawDataElement(tag, "IS", 4, b"12.5", 0, False, True, True)
    tag = Tag("Rows")
    ds[tag] = RawDataElement(tag, "US", 3, b"abc", 0, False, True, True)
    with pytest.raises(IdentifierError, match="cannot be decoded") as caught:
        Find(ds, f"{STUDY_ROOT}1", NONE)
    assert caught.value.tag in (0x00280008, 0x00280010)


def locations(
    database: Database, identifier: Dataset, sop_class: str, **options: bool
) -> list[str]:
    chosen = Retrieve(identifier, sop_class, Options(**options)).choose(database)
    found = list(Index(database).instances(chosen.keys))
    assert chosen.count == len(found)
    assert {(one.sop_class_uid, one.transfer_syntax_uid) for one in found} == set(chosen.kinds)
    return [one.location[-1] for one in found]


def test_retrieving(filled: Database) -> None:
    get = f"{STUDY_ROOT}3"
    assert locations(filled, keys("STUDY", StudyInstanceUID="1.1"), get) == ["1", "2", "3"]
    several = keys("STUDY", StudyInstanceUID=["1.2", "2.1"])
    assert locations(filled, several, get) == ["4", "5"]
    series = keys("SERIES", StudyInstanceUID="1.1", SeriesInstanceUID=["1.1.1", "1.1.2"])
    assert locations(filled, series, get) == ["1", "2", "3"]
    elsewhere = keys("SERIES", StudyInstanceUID="1.2", SeriesInstanceUID="1.1.1")
    assert locations(filled, elsewhere, get) == []
    patient = keys("PATIENT", PatientID="P1")
    assert locations(filled, patient, f"{PATIENT_ROOT}2") == ["1", "2", "3", "4"]
    wrong_patient = keys("STUDY", PatientID="P2", StudyInstanceUID="1.1")
    assert locations(filled, wrong_patient, f"{PATIENT_ROOT}2") == []
    alone = keys("SERIES", SeriesInstanceUID="1.1.2")
    assert locations(filled, alone, get, relational=True) == ["3"]
    instances = keys("IMAGE", SOPInstanceUID=["1.2.3.1", "1.2.3.6"])
    assert locations(filled, instances, INSTANCE_ROOT_GET) == ["1", "6"]


def test_a_retrieve_without_what_to_retrieve() -> None:
    for level, values in (
        ("STUDY", {}),
        ("STUDY", {"StudyInstanceUID": ""}),
        ("STUDY", {"StudyInstanceUID": "1.*"}),
        ("STUDY", {"PatientID": "P1"}),
    ):
        for options in (NONE, Options(relational=True)):
            with pytest.raises(IdentifierError):
                Retrieve(keys(level, **values), f"{STUDY_ROOT}2", options)


def test_what_comes_after_the_count_is_not_sent(filled: Database) -> None:
    query = Retrieve(keys("STUDY", StudyInstanceUID="1.1"), f"{STUDY_ROOT}3")
    chosen = query.choose(filled)
    Index(filled).add(record_of(make(9, StudyInstanceUID="1.1"), EXPLICIT), "abc/9", "abc")
    assert len(list(Index(filled).instances(chosen.keys))) == chosen.count == 3


def test_matches_are_read_some_at_a_time(index: Index, monkeypatch: pytest.MonkeyPatch) -> None:
    from pynetdicom.apps.archive import index as index_module
    from pynetdicom.apps.archive import pages as pages_module

    monkeypatch.setattr(pages_module, "ROWS_AT_ONCE", 1)
    monkeypatch.setattr(pages_module, "KEYS_AT_ONCE", 2)
    monkeypatch.setattr(index_module, "_ROWS_AT_ONCE", 2)
    for number in range(5):
        ds = make(number, StudyInstanceUID=f"1.{number}", StudyDate="20200101")
        index.add(record_of(ds, EXPLICIT), f"abc/{number}", "abc")
    pool: Any = index.database.engine.pool
    held = pool.checkedout()  # what adds objects to PostgreSQL keeps a connection
    found = iter(Find(keys("STUDY"), f"{STUDY_ROOT}1", NONE).matches(index.database, "ME"))
    uids = [next(found).StudyInstanceUID]
    # Nothing is open meanwhile: what is added is found, what is removed is not.
    assert pool.checkedout() == held <= 1
    index.add(record_of(make(5, StudyInstanceUID="1.5"), EXPLICIT), "abc/5", "abc")
    index.remove(["abc/3"])
    uids += [ds.StudyInstanceUID for ds in found]
    assert uids == ["1.0", "1.1", "1.2", "1.4", "1.5"]
    assert len(list(index.everything())) == 5


# ------------------------------------------------------------ keys of what is counted or collected


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        ({"NumberOfStudyRelatedInstances": "3"}, ["1.1"]),
        ({"NumberOfStudyRelatedInstances": "03"}, ["1.1"]),
        ({"NumberOfStudyRelatedInstances": ["3", "7"]}, ["1.1"]),
        ({"NumberOfStudyRelatedInstances": "2"}, []),
        ({"NumberOfStudyRelatedSeries": "2"}, ["1.1"]),
        ({"NumberOfStudyRelatedSeries": "1", "PatientID": "P1"}, ["1.2"]),
        ({"NumberOfStudyRelatedSeries": "2", "NumberOfStudyRelatedInstances": "1"}, []),
        ({"NumberOfPatientRelatedStudies": "2"}, ["1.1", "1.2"]),
        ({"NumberOfPatientRelatedSeries": "3"}, ["1.1", "1.2"]),
        ({"NumberOfPatientRelatedInstances": "4"}, ["1.1", "1.2"]),
        ({"ModalitiesInStudy": "US"}, ["2.1"]),
        ({"ModalitiesInStudy": '""'}, ["3.1"]),
        ({"SOPClassesInStudy": MR}, ["1.1", "1.2"]),
        ({"InstanceAvailability": "ONLINE"}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"InstanceAvailability": "NEARLINE"}, []),
        ({"InstanceAvailability": ["NEARLINE", "ON*"]}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"RetrieveAETitle": "ME"}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"RetrieveAETitle": "M?"}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"RetrieveAETitle": "YOU"}, []),
        ({"StudyDate": "-"}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"StudyDate": " - ", "StudyTime": "-"}, ["1.1", "1.2", "2.1", "3.1"]),
        ({"StudyDate": "-", "StudyTime": "02-11"}, ["1.1", "1.2"]),
        ({"StudyDate": ["20200101", "-"]}, ["1.1", "1.2", "2.1", "3.1"]),
    ],
    ids=str,
)
@pytest.mark.filterwarnings("ignore:Invalid value for VR")
@pytest.mark.filterwarnings("ignore:A value of type")
def test_keys_of_what_is_made(
    filled: Database, values: dict[str, Any], expected: list[str]
) -> None:
    for options in (NONE, Options(combined=True)):
        query = Find(keys("STUDY", **values), f"{STUDY_ROOT}1", options)
        assert query.is_supported
        assert [ds.StudyInstanceUID for ds in query.matches(filled, "ME")] == expected


@pytest.mark.parametrize(
    ("level", "values", "count"),
    [
        ("SERIES", {"StudyInstanceUID": "1.1", "NumberOfSeriesRelatedInstances": "2"}, 1),
        ("SERIES", {"StudyInstanceUID": "1.1", "NumberOfStudyRelatedInstances": "2"}, 0),
        (
            "IMAGE",
            {
                "StudyInstanceUID": "1.2",
                "SeriesInstanceUID": "1.2.1",
                "AvailableTransferSyntaxUID": EXPLICIT,
            },
            0,
        ),
    ],
)
def test_keys_of_what_is_made_below(
    filled: Database, level: str, values: dict[str, Any], count: int
) -> None:
    assert len(find(filled, STUDY_ROOT, level, **values)) == count


def test_no_key_with_a_value_is_ignored_in_silence(filled: Database) -> None:
    """Each attribute of the dictionary: what no match has is not matched, or is not supported."""
    from pydicom.datadict import DicomDictionary

    for tag, (vr, *_, keyword) in DicomDictionary.items():
        if not keyword or vr not in ("AE", "CS", "LO", "SH", "UI", "IS", "PN", "LT", "ST", "UT"):
            continue
        if keyword in ("QueryRetrieveLevel", "SpecificCharacterSet", "TimezoneOffsetFromUTC"):
            continue
        ds = keys("STUDY")
        ds.add_new(tag, vr, "77" if vr == "IS" else "1.9.9" if vr == "UI" else "NOBODY")
        query = Find(ds, f"{STUDY_ROOT}1", NONE)
        assert not query.is_supported or list(query.matches(filled, "ME")) == [], keyword


def test_a_sequence_where_there_is_none_is_refused(filled: Database) -> None:
    ds = keys("STUDY")
    ds.add_new("PatientID", "SQ", [Dataset()])
    with pytest.raises(IdentifierError, match="PatientID is no sequence"):
        Find(ds, f"{STUDY_ROOT}1", NONE)


@pytest.mark.parametrize("keyword", ["PatientComments", "AccessionNumber", "PatientID", "StudyID"])
@pytest.mark.parametrize("syntax", [EXPLICIT, "1.2.840.10008.1.2"])
def test_long_values_come_back_whole(index: Index, keyword: str, syntax: str) -> None:
    """Incompressible ones too, of which no index of a database could have all."""
    texts = ["".join(chr(0x100 + (n * seed) % 4001) for n in range(6000)) for seed in (7, 11)]
    texts.append(texts[0][:5999])
    for number, text in enumerate(texts):
        ds = make(number, StudyInstanceUID=f"1.{number}", SpecificCharacterSet="ISO_IR 192")
        ds.PatientID = f"P{number}"
        setattr(ds, keyword, text)
        index.add(record_of(ds, EXPLICIT), f"abc/{number}", "abc")
    query = Find(keys("STUDY", **{keyword: ""}), f"{STUDY_ROOT}1", NONE)
    found = list(query.matches(index.database, "ME", (), syntax))
    assert {str(ds[keyword].value) for ds in found} == set(texts)
    for pattern, count in ((f"{texts[0][:60]}*", 2), (f"*{texts[1][-40:]}", 1), (texts[1], 1)):
        values = {keyword: pattern, "SpecificCharacterSet": "ISO_IR 192"}
        assert len(find(index.database, STUDY_ROOT, "STUDY", NONE, **values)) == count


def test_values_that_are_longer_than_an_explicit_one_can_be(index: Index) -> None:
    ds = make(1, ImageComments="ü" * 16000, SpecificCharacterSet="ISO_IR 192")
    index.add(record_of(ds, EXPLICIT), "abc/1", "abc")
    below = {"StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.2", "ImageComments": ""}
    (match,) = find(index.database, STUDY_ROOT, "IMAGE", NONE, **below)
    assert match.ImageComments == "ü" * 16000
    for keyword in ("ImageComments", "StudyInstanceUID", "OperatorsName"):
        long = make(2)
        text = "1" * (16385 if keyword != "StudyInstanceUID" else 513)
        long.add(DataElement(keyword, "LT", text))
        with pytest.raises(NotIndexable, match=f"{keyword} is too long"):
            record_of(long, EXPLICIT)


# ----------------------------------------------------------------------------- what it costs


def fill(connection: sa.Connection) -> None:
    """100,000 instances of 1,000 studies."""
    numbers = range(1, 1001)
    tables = (
        (schema.patient, [
            {"pk": n, "identity": str(n), "patient_id": f"P{n}", "patient_name": f"Doe{n}",
             "patient_name_search": f"doe{n}"} for n in numbers
        ]),
        (schema.study, [
            {"pk": n, "patient_pk": n, "study_instance_uid": f"1.{n}",
             "study_date": f"20{n % 20:02d}0101", "study_date_search": f"20{n % 20:02d}0101",
             "accession_number": f"A{n}"} for n in numbers
        ]),
        (schema.series, [
            {"pk": n, "study_pk": n, "series_instance_uid": f"1.{n}.1", "modality": "CT"}
            for n in numbers
        ]),
        (schema.instance, [
            {"series_pk": n, "sop_instance_uid": f"1.{n}.1.{m}", "sop_class_uid": CT,
             "transfer_syntax_uid": EXPLICIT, "location": f"{n}/{m}", "folder": "abc"}
            for n in numbers for m in range(100)
        ]),
    )  # fmt: skip
    for table, rows in tables:
        connection.execute(table.insert(), rows)


@pytest.fixture(scope="module", params=KINDS)
def large_location(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[str]:
    """Where a large database is, of each kind; nothing is changed in it."""
    with empty_database(request.param, tmp_path_factory.mktemp("large")) as location:
        database = Database(location)
        database.write(fill)
        if not database.is_sqlite:
            with database.engine.connect() as connection:
                connection.execution_options(isolation_level="AUTOCOMMIT")
                connection.exec_driver_sql("ANALYZE")
        database.close()
        yield location


@pytest.fixture
def large(large_location: str) -> Iterator[Database]:
    opened = Database(large_location)
    yield opened
    opened.close()


# fmt: off
SHOWN = [
    "PatientID", "PatientName", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime",
    "AccessionNumber", "StudyID", "StudyDescription", "ReferringPhysicianName",
    "ModalitiesInStudy", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
]
# fmt: on
BELOW = {"StudyInstanceUID": "1.500"}
RELATED = [f"NumberOfPatientRelated{what}" for what in ("Studies", "Series", "Instances")]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("level", "shown", "values", "count"),
    [
        ("STUDY", SHOWN, {}, 1000),
        ("STUDY", SHOWN, {"PatientID": "P7"}, 1),
        ("STUDY", SHOWN, {"PatientName": "doe99*"}, 11),
        ("STUDY", SHOWN, {"PatientName": "*e*"}, 1000),
        ("STUDY", SHOWN, {"StudyDate": "20070101"}, 50),
        ("STUDY", SHOWN, {"StudyDate": "19000101-", "ModalitiesInStudy": "CT"}, 1000),
        ("STUDY", SHOWN, {"AccessionNumber": "A500"}, 1),
        ("STUDY", SHOWN, {"StudyInstanceUID": "1.500"}, 1),
        ("STUDY", SHOWN, {"StudyInstanceUID": [f"1.{n}" for n in range(1000)]}, 999),
        ("PATIENT", ["PatientName", "PatientSex", *RELATED], {}, 1000),
        ("PATIENT", ["PatientName", "PatientSex", *RELATED], {"PatientID": "P7"}, 1),
        ("SERIES", ["Modality", "NumberOfSeriesRelatedInstances"], BELOW, 1),
        ("IMAGE", ["InstanceNumber"], {**BELOW, "SeriesInstanceUID": "1.500.1"}, 100),
    ],
    ids=lambda value: str(value)[:40],
)
def test_100000_instances_are_queried_in_few_statements(
    large: Database,
    level: str,
    shown: list[str],
    values: dict[str, Any],
    count: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """And none reads the table of instances through; how fast that is, `make bench` says."""
    # On a busy machine they are asked again for less when their time is up.
    monkeypatch.setattr(database_module, "STATEMENT_MILLISECONDS", 0)  # no limit
    statements = []

    def note(connection: Any, cursor: Any, statement: str, parameters: Any, *rest: Any) -> None:
        if statement.startswith("SELECT"):
            explain = "EXPLAIN QUERY PLAN" if large.is_sqlite else "EXPLAIN"
            rows = connection.connection.cursor()
            rows.execute(f"{explain} {statement}", parameters)
            statements.append([row[-1] for row in rows.fetchall()])
            rows.close()

    sa.event.listen(large.engine, "before_cursor_execute", note)
    identifier = keys(level, **{**dict.fromkeys(shown, ""), **values})
    root = PATIENT_ROOT if level == "PATIENT" else STUDY_ROOT
    query = Find(identifier, f"{root}1", NONE)
    assert sum(1 for _ in query.matches(large, "ME")) == count
    # One for the keys of all, and one for what 500 of them are like.
    assert len(statements) == 1 + -(-count // 500)
    scan = re.compile(r"SCAN instance|Seq Scan on instance")
    assert not [step for steps in statements for step in steps if scan.search(step)], statements


@pytest.mark.slow
def test_the_database_looks_up_and_does_not_scan(large: Database) -> None:
    for values in (
        {"PatientID": "P7"},
        {"StudyDate": "20070101"},
        {"AccessionNumber": "A500", "NumberOfStudyRelatedInstances": ""},
        {"StudyInstanceUID": "1.500", "ModalitiesInStudy": "", "SOPClassesInStudy": ""},
        {"NumberOfStudyRelatedInstances": ""},
    ):
        query = Find(keys("STUDY", **values), f"{STUDY_ROOT}1", NONE)
        explain = "EXPLAIN QUERY PLAN" if large.is_sqlite else "EXPLAIN"
        for statement in (query.statement(), query.shown([500])):
            text = statement.compile(large.engine, compile_kwargs={"literal_binds": True}).string
            with large.reading() as connection:
                plan = [row[-1] for row in connection.exec_driver_sql(f"{explain} {text}")]
            scan = re.compile(r"SCAN instance|Seq Scan on instance")
            assert not any(map(scan.search, plan)), (values, plan)
            if large.is_sqlite and len(values) and "" not in list(values.values())[:1]:
                assert not [step for step in plan if step.startswith("SCAN")], (values, plan)
