"""pynetdicom.data_sets.element_write: what is plain goes out as the bytes that pydicom writes."""

from __future__ import annotations

import datetime
import random
import warnings
from pathlib import Path
from typing import Any
from unittest import mock

import pydicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence
from pydicom.valuerep import DSfloat

from pynetdicom.data_sets import element_write
from pynetdicom.data_sets.character_sets import NotInCharacterSet
from pynetdicom.data_sets.data_set import InMemory, write_elements
from pynetdicom.data_sets.element_walk import encoding_of
from pynetdicom.data_sets.pieces import NotEncodable

WORDS = ("OW", "OF", "OD", "OL", "OV")
SYNTAXES = {
    "implicit": "1.2.840.10008.1.2",
    "explicit": "1.2.840.10008.1.2.1",
    "big endian": "1.2.840.10008.1.2.2",
}
DATA = Path(pydicom.__file__).parent / "data"
FILES = sorted(str(path) for path in DATA.rglob("*.dcm"))


@pytest.fixture(params=SYNTAXES)
def syntax(request: pytest.FixtureRequest) -> str:
    return SYNTAXES[request.param]


def by_pydicom(ds: Dataset, syntax: str) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = encoding_of(syntax)[:2]
    write_dataset(file, ds)
    return bytes(file.getvalue())


def same(ds: Dataset, syntax: str) -> bytes | None:
    """Our bytes, which are pydicom's; None if it has written some of them."""
    with (
        warnings.catch_warnings(),
        mock.patch.object(element_write, "_by_pydicom", wraps=element_write._by_pydicom) as others,
    ):
        warnings.simplefilter("ignore")
        encoded = write_elements(ds, encoding_of(syntax))
        expected = by_pydicom(ds, syntax)
        if encoded != expected:  # escape sequences where it needs none, and the other way round
            assert InMemory(encoded, syntax).decode() == InMemory(expected, syntax).decode()
    return None if others.called else encoded


def test_real_data_sets() -> None:
    """Of each file of pydicom's, what is plain: element by element, and all of it at once."""
    encoded = tried = in_character_sets = 0
    for name in FILES:
        try:
            ds = dcmread(name, stop_before_pixels=True)
            ds.decode()
        except Exception:  # files that are broken on purpose
            continue
        plain = Dataset()
        if "SpecificCharacterSet" in ds:
            plain.SpecificCharacterSet = ds.SpecificCharacterSet
        for element in ds:
            one = Dataset()
            if "SpecificCharacterSet" in ds:
                one.SpecificCharacterSet = ds.SpecificCharacterSet
            one.add(element)
            tried += 1
            if same(one, SYNTAXES["explicit"]) is not None:
                encoded += 1
                plain.add(element)
        for syntax in SYNTAXES.values():
            items = [item for one in plain if one.VR == "SQ" for item in one.value]
            words = any(one.VR in WORDS for item in items for one in item.iterall())
            if words and NAMES[syntax] == "big endian":
                with pytest.raises(NotEncodable, match="byte order"):
                    same(plain, syntax)
            else:
                assert same(plain, syntax) is not None
        in_character_sets += "charset_files" in name
    assert encoded > 4000
    assert encoded > 0.9 * tried
    assert in_character_sets > 15


def test_what_was_read_and_not_decoded(syntax: str) -> None:
    """Goes out as it was read, if that was in the same encoding and character set."""
    encoded = 0
    for name in FILES:
        try:
            ds = dcmread(name, stop_before_pixels=True)
            by_pydicom(ds, syntax)
        except Exception:  # files that are broken on purpose
            continue
        if ds.original_encoding != encoding_of(syntax)[:2]:
            continue
        encoded += same(ds, syntax) is not None
        if "PatientName" in ds:
            ds["PatientName"].value  # one that is decoded, among others that are not
            same(ds, syntax)
    assert encoded > {"implicit": 2, "explicit": 40, "big endian": 1}[NAMES[syntax]]


NAMES = {syntax: name for name, syntax in SYNTAXES.items()}
TEXTS = ["", "A", "AB", "Müller", "山田", "Люкceмбypг", "a\\b", " ", "~", "x" * 63, "김희중"]
CHARACTER_SETS: list[Any] = [
    None,
    "",
    "ISO_IR 100",
    "ISO_IR 192",
    "ISO_IR 144",
    "ISO_IR 13",
    "GB18030",
    ["", "ISO 2022 IR 87"],
    ["ISO 2022 IR 13", "ISO 2022 IR 87"],
    ["", "ISO 2022 IR 149"],
    ["ISO 2022 IR 6", "ISO 2022 IR 100"],
]


HAS = {
    "None": "",
    "": "",
    "ISO_IR 100": ["Müller"],
    "ISO_IR 144": ["Люкceмбypг"],
    "ISO_IR 13": "",
    "['', 'ISO 2022 IR 87']": ["山田", "Люкceмбypг"],
    "['ISO 2022 IR 13', 'ISO 2022 IR 87']": ["山田", "Люкceмбypг"],
    "['', 'ISO 2022 IR 149']": ["김희중", "山田", "Люкceмбypг"],
    "['ISO 2022 IR 6', 'ISO 2022 IR 100']": ["Müller"],
}


@pytest.mark.parametrize("character_set", CHARACTER_SETS, ids=str)
def test_text_in_character_sets(syntax: str, character_set: Any) -> None:
    for text in TEXTS:
        ds = Dataset()
        if character_set is not None:
            ds.SpecificCharacterSet = character_set
        ds.PatientName = text.replace("\\", "^")
        ds.PatientID = text
        ds.StudyDescription = [text, "x"]
        ds.PatientComments = text
        item = Dataset()
        item.CodeMeaning = text
        other = Dataset()
        other.SpecificCharacterSet = "ISO_IR 192"
        other.CodeMeaning = text
        ds.ProcedureCodeSequence = [item, other]
        if text.isascii() or text in HAS.get(str(character_set), TEXTS):
            assert same(ds, syntax) is not None
        else:
            with pytest.raises(NotInCharacterSet):
                same(ds, syntax)


def everything() -> Dataset:
    ds = Dataset()
    ds.RetrieveAETitle = ["ONE", "TWO"]
    ds.PatientAge = "030Y"
    ds.Modality = "CT"
    ds.StudyDate = "20200101"
    ds.AcquisitionDateTime = "20200101120000.5+0100"
    ds.StudyTime = ""
    ds.SliceThickness = "1.50"
    ds.PixelSpacing = [0.1, DSfloat("2.500")]
    ds.ImagePositionPatient = [1, 2.5, -3e-10]
    ds.InstanceNumber = 7
    ds.NumberOfFrames = None
    ds.ReferencedFrameNumber = [1, "2"]
    ds.PatientName = "Yamada^Tarou=山田^太郎=やまだ^たろう"
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.OtherPatientNames = ["A^B", "C^D=="]
    ds.SOPInstanceUID = "1.2.3"
    ds.FailedSOPInstanceUIDList = ["1.2", "1.2.3"]
    ds.Rows = 512
    ds.SimpleFrameList = [1, 2, 3]
    ds.ReferencePixelX0 = -5
    ds.RecommendedDisplayFrameRateInFloat = 2.5
    ds.RealWorldValueSlope = [1.5, -2.5]
    ds.RetrieveURI = "https://example.org/x"
    ds.PatientComments = "text\r\nmore"
    ds.LongCodeValue = "abc"
    ds.ScheduledProcedureStepSequence = []
    empty, nested = Dataset(), Dataset()
    nested.ReferencedStudySequence = [Dataset(), empty]
    nested.Modality = "MR"
    ds.RequestAttributesSequence = [nested, empty]
    ds.add_new(0x00091001, "LO", "private")
    ds.add_new(0x00091002, "UV", 1 << 40)
    ds.add_new(0x00091003, "SV", [-1, 1])
    return ds


def test_every_vr(syntax: str) -> None:
    ds = everything()
    encoded = same(ds, syntax)
    assert encoded is not None
    decoded = InMemory(encoded, syntax).decode()
    assert [element.tag for element in decoded] == [element.tag for element in ds]
    if syntax == SYNTAXES["explicit"]:
        assert decoded == ds
    assert same(Dataset(), syntax) == b""


def test_random_selections(syntax: str) -> None:
    choose = random.Random(5)
    elements = list(everything())
    for _ in range(200):
        ds = Dataset()
        for element in choose.sample(elements, choose.randrange(len(elements))):
            ds.add(element)
        ds.SpecificCharacterSet = "ISO_IR 192"
        assert same(ds, syntax) is not None


def odd(**values: Any) -> Dataset:
    ds = Dataset()
    ds.PatientID = "1"
    for keyword, value in values.items():
        setattr(ds, keyword, "1" if keyword == "PatientID" else None)
        ds[keyword]._value = value
    return ds


def undefined_length() -> Dataset:
    ds = Dataset()
    ds.RequestAttributesSequence = Sequence([Dataset()])
    ds["RequestAttributesSequence"].is_undefined_length = True
    return ds


def undefined_item() -> Dataset:
    item = Dataset()
    item.is_undefined_length_sequence_item = True
    ds = Dataset()
    ds.RequestAttributesSequence = [item]
    return ds


def with_element(tag: int, vr: str, value: Any) -> Dataset:
    ds = Dataset()
    ds.add_new(tag, vr, value)
    return ds


def endless() -> Dataset:
    ds = Dataset()
    inner = ds
    for _ in range(100):
        item = Dataset()
        inner.RequestAttributesSequence = [item]
        inner = item
    return ds


NOT_PLAIN: dict[str, Dataset] = {
    "a tag": with_element(0x00720026, "AT", 0x00100010),
    "bytes of odd length": with_element(0x7FE00010, "OB", b"abc"),
    "bytes as text": odd(PatientID=b"5"),
    "a date": odd(StudyDate=datetime.date(2020, 1, 1)),
    "a signed number": with_element(0x00280106, "SS", -1),
}
REFUSED: dict[str, Dataset] = {
    "an object": odd(PatientID=object()),
    "a number as text": odd(PatientID=5),
    "a number too large": odd(Rows=1 << 20),
    "text as number": odd(Rows="x"),
    "a UID that is not ASCII": odd(SOPInstanceUID="1.2.é"),
    "a sequence of something else": odd(RequestAttributesSequence=[1]),
}
WRITTEN: dict[str, Dataset] = {
    "undefined length": undefined_length(),
    "an item of undefined length": undefined_item(),
    "meta information": with_element(0x00020010, "UI", "1.2"),
    "bytes": with_element(0x7FE00010, "OB", b"ab"),
    "unknown": with_element(0x00091001, "UN", b"ab"),
    "a group length": with_element(0x00080000, "UL", 10),
    "nested deeply": endless(),
}


@pytest.mark.parametrize("what", WRITTEN)
def test_what_is_not_left_to_pydicom(syntax: str, what: str) -> None:
    assert same(WRITTEN[what], syntax) is not None


@pytest.mark.parametrize("what", NOT_PLAIN)
def test_what_is_left_to_pydicom(syntax: str, what: str) -> None:
    assert same(NOT_PLAIN[what], syntax) is None


@pytest.mark.parametrize("what", REFUSED)
def test_what_is_refused(syntax: str, what: str) -> None:
    with pytest.raises((NotEncodable, NotInCharacterSet)):
        write_elements(REFUSED[what], encoding_of(syntax))


def test_values_that_are_too_long_for_their_vr() -> None:
    ds = with_element(0x00104000, "LT", "x" * 70000)
    assert same(ds, SYNTAXES["implicit"]) is not None
    assert same(ds, SYNTAXES["explicit"]) is not None
