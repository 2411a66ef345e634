"""pynetdicom.data_sets.element_write: pydicom's bytes, but for text: as it is, or not at all."""

from __future__ import annotations

import contextlib
import io
import os
import struct
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.filebase import DicomBytesIO
from pydicom.filewriter import write_dataset
from pydicom.sequence import Sequence

from pynetdicom.data_sets.character_sets import TEXT_VRS, NotInCharacterSet
from pynetdicom.data_sets.data_set import (
    InMemory,
    change_syntax,
    encode_dataset,
    for_wire,
    write_elements,
)
from pynetdicom.data_sets.element_walk import Encoding, encoding_of
from pynetdicom.data_sets.pieces import NotEncodable, Pieced
from pynetdicom.data_sets.read_buffers import CHUNK
from pynetdicom.errors import TruncatedFile
from pynetdicom.services.matching import encoded as encoded_match

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
BIG = "1.2.840.10008.1.2.2"
DATA = Path(pydicom.__file__).parent / "data"
FILES = sorted(str(path) for path in DATA.rglob("*.dcm"))

Encode = Callable[[Dataset, str], Any]


@pytest.fixture(params=[encode_dataset, encoded_match], ids=["data set", "match"])
def encode(request: pytest.FixtureRequest) -> Encode:
    """Both ways a data set is encoded: that of C-STORE and identifiers, that of matches."""
    function: Encode = request.param
    return function


@pytest.fixture(autouse=True)
def without_warnings() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        yield


def by_pydicom(ds: Dataset, encoding: Encoding) -> bytes:
    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = encoding[:2]
    write_dataset(file, ds)
    return bytes(file.getvalue())


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("is_decoded", [False, True])
def test_real_data_sets(syntax: str, is_decoded: bool) -> None:
    """What pydicom writes, where it loses nothing."""
    compared = not_ascii = words_in_another_order = 0
    encoding = encoding_of(syntax)
    for name in FILES:
        if "charset_files" in name:
            continue  # see below
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            try:
                one, other = (dcmread(name, stop_before_pixels=True) for _ in range(2))
                if is_decoded:
                    one.decode(), other.decode()
                expected = by_pydicom(one, encoding)
            except Exception:  # files that are broken on purpose
                continue
            try:
                assert write_elements(other, encoding) == expected, name
            except NotEncodable as error:
                words_in_another_order += "byte order" in str(error)
                continue
            except NotInCharacterSet:
                assert is_decoded
                not_ascii += 1
                continue
        compared += 1
    assert compared > 60
    assert not_ascii < 10
    assert (0 < words_in_another_order < 20) == (syntax == BIG)


def test_texts_of_real_data_sets() -> None:
    """In whatever character set they are, decoded and encoded again they are the same."""
    compared = 0
    for name in FILES:
        if "charset_files" not in name:
            continue
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            ds = dcmread(name)
            ds.decode()
            try:
                again = encode_dataset(ds, EXPLICIT).decode()
            except ValueError:  # pydicom has not decoded all of it
                assert "\N{REPLACEMENT CHARACTER}" in str(ds) or "SpecificCharacterSet" not in ds
                continue
            for element in again.iterall():
                compared += element.VR in TEXT_VRS
            for element in again:
                assert element.value == ds[element.tag].value, name
        compared += 1
    assert compared > 15


def patient(name: Any = "Müller^Jörg", character_set: Any = None) -> Dataset:
    ds = Dataset()
    if character_set is not None:
        ds.SpecificCharacterSet = character_set
    ds.PatientName = name
    return ds


def item_of(ds: Dataset) -> Dataset:
    outer = Dataset()
    outer.PatientID = "1"
    outer.RequestAttributesSequence = [ds]
    return outer


LOST: dict[str, Callable[[], Dataset]] = {
    "no set": patient,
    "another set": lambda: patient("Łukasz", "ISO_IR 100"),
    "one of several names": lambda: patient(["A", "Łukasz"], "ISO_IR 100"),
    "not in the extensions": lambda: patient("Müller=山", ["", "ISO 2022 IR 87"]),
    "in an item": lambda: item_of(patient()),
    "in an item with a set": lambda: item_of(patient("Łukasz", "ISO_IR 100")),
    "in an item of an item": lambda: item_of(item_of(patient())),
}


@pytest.mark.parametrize("what", LOST)
@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT, BIG])
def test_a_name_is_not_replaced(encode: Encode, what: str, syntax: str) -> None:
    ds = LOST[what]()
    for _ in range(2):  # nothing is left of the first attempt
        with pytest.raises(ValueError, match=r"\(0010,0010\) PatientName has a char") as caught:
            encode(ds, syntax)
        for part in "Müller", "ukasz", "Jörg":
            assert part not in str(caught.value)
        assert "Sequence" not in str(caught.value)


@pytest.mark.parametrize(
    ("keyword", "vr"),
    [
        ("AccessionNumber", "SH"),
        ("PatientID", "LO"),
        ("AdmittingDiagnosesDescription", "LO"),
        ("InstitutionAddress", "ST"),
        ("PatientComments", "LT"),
        ("LongCodeValue", "UC"),
        ("TextValue", "UT"),
    ],
)
def test_text_of_every_vr(encode: Encode, keyword: str, vr: str) -> None:
    ds = Dataset()
    setattr(ds, keyword, "Łódź")
    assert vr == ds[keyword].VR
    with pytest.raises(ValueError, match=rf"\) {keyword} has a character outside ASCII, and no"):
        encode(ds, EXPLICIT)
    ds.SpecificCharacterSet = "ISO_IR 100"
    with pytest.raises(ValueError, match=rf"\) {keyword} .* Character Set 'ISO_IR 100'"):
        encode(ds, EXPLICIT)
    ds.SpecificCharacterSet = "ISO_IR 101"
    assert encode(ds, EXPLICIT).decode()[keyword].value == "Łódź"


@pytest.mark.parametrize(
    "keyword", ["Modality", "RetrieveAETitle", "SOPInstanceUID", "RetrieveURI"]
)
def test_what_has_always_the_default_repertoire(encode: Encode, keyword: str) -> None:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    setattr(ds, keyword, None)
    ds[keyword]._value = "É"
    with pytest.raises(ValueError, match=rf"\) {keyword} has a character outside ASCII, which"):
        encode(ds, EXPLICIT)


def test_numbers_and_dates_in_other_digits(encode: Encode) -> None:
    for keyword, value in (
        ("StudyDate", "２０２００１０１"),
        ("SliceThickness", "１"),
        ("SeriesNumber", "１"),
    ):
        ds = Dataset()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            setattr(ds, keyword, value)
        with pytest.raises(ValueError, match=rf"\) {keyword} has a character outside ASCII"):
            encode(ds, EXPLICIT)


def test_items_have_the_set_of_what_they_are_in_or_their_own(encode: Encode) -> None:
    ds = item_of(patient("Łukasz", "ISO_IR 101"))
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.PatientName = "Müller"
    ds.RequestAttributesSequence.append(patient("Jörg"))
    ds.RequestAttributesSequence.append(item_of(patient("山", "ISO_IR 192")))
    again = encode(ds, EXPLICIT).decode()
    first, second, third = again.RequestAttributesSequence
    assert str(again.PatientName) == "Müller"
    assert str(first.PatientName) == "Łukasz"
    assert str(second.PatientName) == "Jörg"
    assert str(third.RequestAttributesSequence[0].PatientName) == "山"


def test_items_of_undefined_length() -> None:
    ds = item_of(patient("Jörg", "ISO_IR 100"))
    ds.RequestAttributesSequence[0].is_undefined_length_sequence_item = True
    ds["RequestAttributesSequence"].is_undefined_length = True
    for syntax in IMPLICIT, EXPLICIT, BIG:
        encoded = encode_dataset(ds, syntax)
        assert encoded.getvalue() == by_pydicom(ds, encoding_of(syntax))
        assert str(encoded.decode().RequestAttributesSequence[0].PatientName) == "Jörg"


def test_the_set_may_be_declared_after_a_failure(encode: Encode) -> None:
    ds = patient()
    with pytest.raises(ValueError, match="no Specific Character Set"):
        encode(ds, EXPLICIT)
    for character_set in "ISO_IR 100", "ISO_IR 192", "ISO_IR 109":
        ds.SpecificCharacterSet = character_set
        assert str(encode(ds, EXPLICIT).decode().PatientName) == "Müller^Jörg"


def read(data: bytes, syntax: str = EXPLICIT) -> Dataset:
    return InMemory(data, syntax).decode()


SET_100 = b"\x08\x00\x05\x00CS\x0a\x00ISO_IR 100"
NAME = b"\x10\x00\x10\x00PN\x06\x00M\xfcller"
MODALITY = b"\x08\x00\x60\x00CS\x02\x00\xc9 "
PATIENTS = b"\x40\x00\x75\x02SQ\x00\x00\x16\x00\x00\x00\xfe\xff\x00\xe0\x0e\x00\x00\x00" + NAME


def test_what_was_not_decoded_goes_out_as_it_was_read(encode: Encode) -> None:
    """Whatever it is, also to another transfer syntax, and that as often as one likes."""
    data = SET_100.replace(b"100", b"192") + MODALITY + NAME + PATIENTS
    ds = read(data)
    assert encode(ds, EXPLICIT).getvalue() == data
    for _ in range(2):
        again = encode(ds, IMPLICIT).getvalue()
        assert again.count(b"M\xfcller") == 2
        assert b"\xc9 " in again
    assert ds.get_item("PatientName").is_raw
    assert encode(read(again, IMPLICIT), EXPLICIT).getvalue() == data
    assert encode(read(again, IMPLICIT), BIG).getvalue().count(b"M\xfcller") == 2
    undeclared = read(NAME)
    assert encode(undeclared, EXPLICIT).getvalue() == NAME


def test_what_was_decoded_and_has_lost_something(encode: Encode) -> None:
    ds = read(SET_100.replace(b"100", b"192") + NAME)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        assert ds.PatientName
    with pytest.raises(ValueError, match="PatientName has a character that was lost"):
        encode(ds, EXPLICIT)


def test_another_set_than_it_was_read_with(encode: Encode) -> None:
    """pydicom lets what is in items be as it was."""
    for is_seen in False, True:
        ds = read(SET_100 + NAME + PATIENTS)
        if is_seen:
            assert len(ds.RequestAttributesSequence) == 1
        ds.SpecificCharacterSet = "ISO_IR 192"
        again = encode(ds, EXPLICIT).decode()
        assert str(again.PatientName) == "Müller"
        assert str(again.RequestAttributesSequence[0].PatientName) == "Müller"
        ds.SpecificCharacterSet = "ISO_IR 144"
        with pytest.raises(ValueError, match=r"PatientName .*'ISO_IR 144'"):
            encode(ds, EXPLICIT)


def test_another_set_than_one_with_escape_sequences(encode: Encode) -> None:
    """Whose bytes look like ASCII."""
    source = patient("Yamada=山^太", ["", "ISO 2022 IR 87"])
    source.RequestAttributesSequence = [patient("山^太")]
    encoded = encode_dataset(source, EXPLICIT).getvalue()
    for syntax in EXPLICIT, IMPLICIT:
        ds = read(encoded)
        assert encode(ds, IMPLICIT).getvalue().count(b"\x1b$B;3\x1b(B") == 2
        ds = read(encoded)
        ds.SpecificCharacterSet = "ISO_IR 192"
        again = encode(ds, syntax).decode()
        assert str(again.PatientName) == "Yamada=山^太"
        assert str(again.RequestAttributesSequence[0].PatientName) == "山^太"
        del ds.SpecificCharacterSet
        with pytest.raises(ValueError, match="no Specific Character Set"):
            encode(ds, syntax)
    ds = Dataset()
    ds.update(read(encoded))
    for _ in range(2):
        assert encode(ds, EXPLICIT).getvalue() == encoded
    del ds.SpecificCharacterSet
    with pytest.raises(ValueError, match="no Specific Character Set"):
        encode(ds, EXPLICIT)


def test_items_of_another_data_set(encode: Encode) -> None:
    source = read(SET_100 + PATIENTS)
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.RequestAttributesSequence = Sequence(source.RequestAttributesSequence)
    again = encode(ds, EXPLICIT).decode()
    assert str(again.RequestAttributesSequence[0].PatientName) == "Müller"
    del ds.SpecificCharacterSet
    with pytest.raises(ValueError, match="PatientName has a character outside ASCII, and no"):
        encode(ds, EXPLICIT)


def test_elements_copied_undecoded_from_another_data_set(encode: Encode) -> None:
    """pydicom would read them as Latin-1."""
    data = SET_100.replace(b"100", b"192")
    data += (NAME + PATIENTS).replace(b"M\xfclle", b"M\xc3\xbcll")
    ds = Dataset()
    ds.update(read(data))
    for syntax in EXPLICIT, IMPLICIT, BIG:
        assert ds.get_item("PatientName").is_raw
        again = encode(ds, syntax).decode()
        assert str(again.PatientName) == "Müllr"
        assert str(again.RequestAttributesSequence[0].PatientName) == "Müllr"
    for element in NAME, PATIENTS:
        ds = Dataset()
        ds.update(read(SET_100 + element))
        assert encode(ds, EXPLICIT).getvalue() == SET_100 + element
        for character_set in None, "ISO_IR 192":
            ds.SpecificCharacterSet = character_set
            with pytest.raises(ValueError, match="PatientName has a character"):
                encode(ds, EXPLICIT)


def test_whether_pixel_values_are_signed_in_items(encode: Encode) -> None:
    """Which the data set says, that they are in."""
    item = Dataset()
    item.add_new(0x00280106, "SS", -5)
    ds = item_of(item)
    ds.PixelRepresentation = 1
    made = item_of(Dataset())
    made.PixelRepresentation = 1
    made.RequestAttributesSequence[0].SmallestImagePixelValue = -5
    copied = Dataset()
    encoded = encode(ds, IMPLICIT).getvalue()
    copied.update(read(encoded, IMPLICIT))
    for one in ds, made, copied, read(encoded, IMPLICIT):
        again = encode(one, EXPLICIT).decode()
        element = again.RequestAttributesSequence[0]["SmallestImagePixelValue"]
        assert (element.VR, element.value) == ("SS", -5)


def test_bytes_go_out_as_they_were_given() -> None:
    ds = patient(b"M\xfcller", "ISO_IR 100")
    ds.add_new(0x00100020, "LO", None)
    ds["PatientID"]._value = b"\xfc "
    assert encode_dataset(ds, EXPLICIT).getvalue().count(b"\xfc") == 2


def test_private_elements_are_named_by_their_tag(encode: Encode) -> None:
    ds = Dataset()
    ds.add_new(0x00091001, "LO", "é")
    with pytest.raises(ValueError, match=r"\(0009,1001\) has a character outside ASCII"):
        encode(ds, EXPLICIT)


# Elements that are not decoded, of other encodings than their data set's


def raw_sample() -> Dataset:
    ds = Dataset()
    ds.PatientID = "ab"
    ds.Rows = 258
    ds.RedPaletteColorLookupTableData = b"\1\2\3\4"
    ds.FrameIncrementPointer = 0x00181063
    ds.RecommendedDisplayFrameRateInFloat = 1.5
    item = Dataset()
    item.Columns = 258
    item.add_new(0x00281201, "OW", b"\1\2")
    ds.ReferencedImageSequence = [item]
    ds.add_new(0x00660016, "OF", b"\1\2\3\4")
    return ds


@pytest.mark.parametrize("source", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT, BIG])
@pytest.mark.parametrize("way", ["update", "to a new one", "as an item", "an item of it"])
def test_a_raw_element_says_how_it_is_encoded(
    source: str, target: str, way: str, encode: Encode
) -> None:
    """The data set that it was moved to does not know."""
    sent = change_syntax(encode_dataset(raw_sample(), EXPLICIT), source)
    moved = sent.decode()
    expected = change_syntax(sent, target).getvalue()
    if way == "update":
        ds = InMemory(b"", target).decode() if target == IMPLICIT else Dataset()
        ds.PatientName = "x"
        ds = encode_dataset(ds, target).decode()
        ds.update(moved)
        del ds.PatientName
    elif way == "to a new one":
        ds = Dataset()
        ds.update(moved)
    elif way == "as an item":
        ds = Dataset()
        ds.ReferencedImageSequence = Sequence([moved])
    else:
        ds = Dataset()
        ds.ReferencedImageSequence = Sequence(moved.ReferencedImageSequence)
        expected = expected[expected.index(b"\xfe\xff" if target != BIG else b"\xff\xfe") :][8:20]
    assert expected in encode(ds, target).getvalue()


@pytest.mark.parametrize("tag", [0x00143050, 0x00281200, 0x00283006, 0x7FE00010])
@pytest.mark.parametrize("in_item", [False, True])
def test_decoded_words_of_several_vrs_in_another_byte_order(tag: int, in_item: bool) -> None:
    """Decoded they are as they were read; not decoded they can be turned round."""
    value = struct.pack("<HHI", tag >> 16, tag & 0xFFFF, 4) + b"\1\2\3\4"
    data = value
    if in_item:
        data = struct.pack("<HHIHHI", 8, 0x1140, 20, 0xFFFE, 0xE000, 12) + value
    ds = InMemory(data, IMPLICIT).decode()
    if tag != 0x7FE00010:  # which has one VR in implicit VR
        assert b"\2\1\4\3" in encode_dataset(ds, BIG).getvalue()
    holder = ds.ReferencedImageSequence[0] if in_item else ds
    with contextlib.suppress(AttributeError):  # in pydicom, which lacks what it depends on
        holder[tag]
    assert b"\1\2\3\4" in encode_dataset(ds, EXPLICIT).getvalue()
    with pytest.raises(ValueError, match=rf"\({tag >> 16:04X},{tag & 0xFFFF:04X}\).*byte order"):
        encode_dataset(ds, BIG)


@pytest.mark.parametrize("said", [EXPLICIT, BIG, None])
@pytest.mark.parametrize("in_item", [False, True])
@pytest.mark.parametrize("in_buffer", [False, True])
def test_words_are_in_the_byte_order_of_the_meta_information(
    said: str | None, in_item: bool, in_buffer: bool
) -> None:
    """If the data set was made, and not read."""
    ds = holder = Dataset()
    if in_item:
        holder = Dataset()
        ds.IconImageSequence = [holder]
    holder.add_new(0x7FE00010, "OW", io.BytesIO(b"\1\2") if in_buffer else b"\1\2")
    if said:
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = said
    for target in (EXPLICIT, IMPLICIT, BIG):
        if said is None or (said == BIG) == (target == BIG):
            assert b"\1\2" in encode_dataset(ds, target).getvalue()
        else:
            with pytest.raises(ValueError, match=r"\(7FE0,0010\) PixelData.*byte order"):
                encode_dataset(ds, target)
    # What is not decoded says itself what it is in.
    raw = InMemory(encode_dataset(raw_sample(), EXPLICIT).getvalue(), EXPLICIT).decode()
    ds = Dataset()
    ds.update(raw)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    assert b"\2\1\4\3" in encode_dataset(ds, BIG).getvalue()


@pytest.mark.parametrize("value", [None, b""])
def test_empty_words_are_in_no_byte_order(encode: Encode, value: bytes | None) -> None:
    ds = Dataset()
    ds.add_new(0x00640009, "OF", value)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    assert encode(ds, BIG).size == 12


def test_other_files_than_buffers(tmp_path: Path) -> None:
    (tmp_path / "pixels").write_bytes(b"ab")
    for target in (EXPLICIT, IMPLICIT, BIG):
        with (tmp_path / "pixels").open("rb", buffering=0) as raw:
            assert b"ab" in encode_dataset(with_pixels(raw), target).getvalue()
        with pytest.raises(ValueError, match=r"\(7FE0,0010\) PixelData has .* not one of bytes"):
            encode_dataset(with_pixels(io.StringIO("ab")), target)
    with pytest.raises(ValueError, match="encapsulated"):
        encode_dataset(with_pixels(io.StringIO("ab")), JPEG)


@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT, BIG])
def test_odd_raw_elements_are_sent(target: str, encode: Encode) -> None:
    """Also those that pydicom cannot decode: their values are copied."""
    header = struct.Struct("<HHI").pack
    data = b"".join(
        header(tag >> 16, tag & 0xFFFF, len(value)) + value
        for tag, value in (
            (0x00010001, b"ABCD"),
            (0x00120064, b"text, no sequence "),
            (0x00189073, b"1234"),
            (0x00280010, b"123"),
            (0x00280106, b"123"),
            (0x00283006, b"\1\2"),
            (0x50003000, b"\1\2"),
        )
    )
    ds = InMemory(data, IMPLICIT).decode()
    sent = for_wire(encode(ds, target))
    assert sent.getvalue() == change_syntax(InMemory(data, IMPLICIT), target).getvalue() or (
        target == IMPLICIT and sent.getvalue() == for_wire(InMemory(data, IMPLICIT)).getvalue()
    )


def test_words_too_many_for_their_vr_are_not_turned_round() -> None:
    """They go as UN, which is in little endian everywhere."""
    value = struct.pack("<H", 258) * 32768
    data = struct.pack("<HHI", 0x0028, 0x0010, len(value)) + value
    sent = encode_dataset(read(data, IMPLICIT), BIG).getvalue()
    assert sent == b"\0\x28\0\x10UN\0\0" + struct.pack(">I", len(value)) + value
    assert sent == change_syntax(InMemory(data, IMPLICIT), BIG).getvalue()


def test_the_element_that_cannot_be_encoded_is_named(encode: Encode) -> None:
    ds = Dataset()
    ds.PatientID = "secret"
    ds.Rows = 1
    ds["Rows"]._value = "secret"
    with pytest.raises(ValueError, match=r"\(0028,0010\) Rows") as caught:
        encode(ds, EXPLICIT)
    assert "secret" not in str(caught.value)
    outer = Dataset()
    outer.ReferencedImageSequence = [ds]
    with pytest.raises(ValueError, match=r"\(0028,0010\) Rows"):
        encode(outer, EXPLICIT)


# Values in buffers


def with_pixels(value: Any, *, undefined: bool = False) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = "1.2"
    ds.BitsAllocated = 8
    ds.PixelData = value
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = undefined
    ds.add_new(0xFFFCFFFC, "OB", b"ab")
    return ds


JPEG = "1.2.840.10008.1.2.4.50"


@pytest.mark.parametrize("size", [0, 4, 5, 3 * CHUNK + 1])
@pytest.mark.parametrize("start", [0, 3])
@pytest.mark.parametrize("target", [IMPLICIT, EXPLICIT, BIG, JPEG])
@pytest.mark.parametrize("in_file", [False, True])
def test_a_value_in_a_buffer(
    tmp_path: Path, encode: Encode, size: int, start: int, target: str, in_file: bool
) -> None:
    pixels = bytes(range(250)) * (size // 250 + 1)
    value = pixels[:size]
    if target == JPEG:
        value = b"\xfe\xff\0\xe0\0\0\0\0\xfe\xff\0\xe0" + struct.pack("<L", size) + value
    (tmp_path / "pixels").write_bytes(b"xyz"[:start] + value)
    with (
        (tmp_path / "pixels").open("rb") if in_file else io.BytesIO(b"xyz"[:start] + value) as file
    ):
        file.seek(start)
        sent = for_wire(encode(with_pixels(file, undefined=target == JPEG), target))
        expected = for_wire(encode(with_pixels(value, undefined=target == JPEG), target))
        assert sent.getvalue() == expected.getvalue()
        assert max(map(len, sent.parts(16376))) <= CHUNK
        assert sent.size == expected.size
        assert sent.size % 2 == 0
        assert file.tell() == start
        if size > CHUNK:
            assert isinstance(sent, Pieced)


def test_a_buffer_in_an_item() -> None:
    icon = with_pixels(io.BytesIO(b"abcde"))
    ds = Dataset()
    ds.IconImageSequence = [icon]
    assert encode_dataset(ds, EXPLICIT).decode().IconImageSequence[0].PixelData == b"abcde\0"


def test_buffered_pixel_data_is_encapsulated_or_not() -> None:
    with pytest.raises(ValueError, match="encapsulated"):
        encode_dataset(with_pixels(io.BytesIO(b"abcd")), JPEG)
    with pytest.raises(ValueError, match="encapsulated"):
        encode_dataset(with_pixels(io.BytesIO(b"abcd"), undefined=True), EXPLICIT)
    encapsulated = io.BytesIO(b"\xfe\xff\0\xe0\0\0\0\0")
    assert (
        encode_dataset(with_pixels(encapsulated), JPEG).getvalue().count(b"\xff\xff\xff\xff") == 1
    )


@pytest.mark.parametrize("target", [EXPLICIT, JPEG])
def test_a_closed_buffer(target: str, tmp_path: Path) -> None:
    file = io.BytesIO(b"\xfe\xff\0\xe0\0\0\0\0")
    ds = with_pixels(file)
    file.close()
    with pytest.raises(ValueError, match=r"\(7FE0,0010\) PixelData .* closed"):
        encode_dataset(ds, target)


def test_a_buffer_that_changes_before_it_is_sent(tmp_path: Path) -> None:
    (tmp_path / "x").write_bytes(bytes(2 * CHUNK))
    with (tmp_path / "x").open("rb") as file:
        sent = encode_dataset(with_pixels(file), EXPLICIT)
        os.truncate(tmp_path / "x", CHUNK)
        with pytest.raises(TruncatedFile):
            sent.getvalue()
    with pytest.raises(ValueError, match="closed"):
        sent.getvalue()


def test_a_buffer_that_cannot_be_sought() -> None:
    class Pipe(io.BufferedReader):
        def seek(self, *args: Any) -> int:
            raise io.UnsupportedOperation("seek")

    ds = with_pixels(b"")
    with open(os.devnull, "rb", buffering=0) as raw, Pipe(raw) as pipe:
        ds["PixelData"]._value = pipe
        with pytest.raises(ValueError, match=r"PixelData .* cannot be read from a position"):
            encode_dataset(ds, EXPLICIT)


def test_decoded_elements_of_several_vrs(encode: Encode) -> None:
    """Whatever their VR depends on is not there."""
    for tag, vr in ((0x50003000, b"OB"), (0x00283006, b"OW"), (0x54001010, b"OW")):
        ds = Dataset()
        ds.add_new(tag, "OB or OW" if tag != 0x00283006 else "US or OW", b"\1\2")
        data = encode(ds, EXPLICIT).getvalue()
        assert data[4:6] == vr
        assert data.endswith(b"\2\0\0\0\1\2")
