"""pynetdicom.dsutils: data sets outside of messages."""

from __future__ import annotations

import logging
from io import BytesIO
from pathlib import Path

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pynetdicom import dsutils
from pynetdicom.data_sets.data_set import InFile
from pynetdicom.errors import DataSetDecodeError, NotDICOM

CT = Path(pydicom.__file__).parent / "data" / "test_files" / "CT_small.dcm"


def sample() -> Dataset:
    ds = Dataset()
    ds.PatientName = "A^B"
    ds.PatientID = ""
    ds.Rows = 5
    ds.PixelSpacing = ["1", "2"]
    ds.FrameIncrementPointer = 0x00100010
    ds.ReferencedStudySequence = Sequence([Dataset(), Dataset()])
    ds.ReferencedStudySequence[0].PatientID = "x\r\ny"
    ds.PatientSpeciesCodeSequence = Sequence([])
    ds.add_new("PixelData", "OW", bytes(24))
    return ds


@pytest.mark.parametrize(
    "encoding",
    [(True, True), (False, True), (False, False), (False, True, True), (False, True, False)],
)
def test_encode_decode(encoding: tuple[bool, ...]) -> None:
    raw = dsutils.encode(sample(), *encoding)
    assert raw is not None
    assert dsutils.decode(raw, *encoding) == sample()
    assert dsutils.decode(BytesIO(raw), *encoding) == sample()


def test_encode_gives_none(caplog: pytest.LogCaptureFixture) -> None:
    ds = sample()
    ds["PatientName"]._value = object()
    with caplog.at_level(logging.ERROR):
        assert dsutils.encode(ds, True, True) is None
    assert "cannot be encoded" in caplog.text


@pytest.mark.parametrize("encoding", [(True, False), (True, True, True), (False, False, True)])
def test_there_is_no_such_encoding(
    encoding: tuple[bool, ...], caplog: pytest.LogCaptureFixture
) -> None:
    """Nobody could read it."""
    assert dsutils.encode(sample(), *encoding) is None
    assert "is in explicit VR" in caplog.text
    with pytest.raises(ValueError, match="explicit VR"):
        dsutils.decode(b"", *encoding)


def test_what_would_be_lost(caplog: pytest.LogCaptureFixture) -> None:
    ds = sample()
    ds.PatientName = "Łukasz"
    for character_set in None, "ISO_IR 100":
        ds.SpecificCharacterSet = character_set
        caplog.clear()
        assert dsutils.encode(ds, False, True) is None
        assert "(0010,0010) PatientName has a character" in caplog.text
        assert "ukasz" not in caplog.text
    ds.SpecificCharacterSet = "ISO_IR 101"
    encoded = dsutils.encode(ds, False, True)
    assert encoded is not None
    assert b"\xa3ukasz" in encoded
    with pytest.raises(ValueError, match="PatientName has a character outside ASCII"):
        dsutils.encode_element(ds["PatientName"])


def test_words_in_another_byte_order(caplog: pytest.LogCaptureFixture) -> None:
    """pydicom would leave them as they are."""
    encoded = dsutils.encode(sample(), False, True)
    assert encoded is not None
    ds = dsutils.decode(encoded, False, True)
    assert dsutils.encode(ds, False, False) is None
    assert "another byte order" in caplog.text
    ds.PixelData = b""
    ds.ReferencedStudySequence[1].add_new(0x00091002, "OF", bytes(4))
    assert dsutils.encode(ds, False, False) is None
    del ds.ReferencedStudySequence
    assert dsutils.encode(ds, False, False) is not None


def test_encapsulated_pixel_data(caplog: pytest.LogCaptureFixture) -> None:
    ds = sample()
    ds["PixelData"].VR = "OB"
    ds["PixelData"].is_undefined_length = True
    ds.PixelData = b"\xfe\xff\x00\xe0\0\0\0\0"
    assert dsutils.encode(ds, False, True) is not None
    for encoding in (True, True), (False, False), (False, True, True):
        caplog.clear()
        assert dsutils.encode(ds, *encoding) is None
        assert "encapsulated" in caplog.text


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview, BytesIO])
def test_what_is_decoded(kind: type) -> None:
    assert dsutils.decode(kind(b"\x28\0\x10\0\2\0\0\0\5\0"), True, True).Rows == 5


def test_encoded_data_sets_are_public() -> None:
    encoded = dsutils.encode_dataset(sample(), "1.2.840.10008.1.2")
    assert isinstance(encoded, dsutils.InMemory)
    assert issubclass(dsutils.InFile, dsutils.EncodedDataSet)
    assert issubclass(dsutils.KnownPath, str)


def test_decode_faults() -> None:
    with pytest.raises(DataSetDecodeError):
        dsutils.decode(b"\x08\0\x16\0\xff\0\0\0abc", True, True)
    with pytest.raises(ValueError, match="explicit"):
        dsutils.decode(b"", True, False)


def test_encode_element() -> None:
    element = sample()["Rows"]
    assert dsutils.encode_element(element) == b"\x28\0\x10\0\2\0\0\0\5\0"
    assert dsutils.encode_element(element, False, True) == b"\x28\0\x10\0US\2\0\5\0"
    assert dsutils.encode_element(element, False, False) == b"\0\x28\0\x10US\0\2\0\5"


def test_pretty_dataset() -> None:
    assert dsutils.pretty_dataset(sample(), 1, "-") == [
        "-(0008,1110) SQ (Sequence with 2 items)                  # 1 ReferencedStudySequence",
        "--(Sequence item #1)",
        r"---(0010,0020) LO [x\r\ny]                                 # 1 PatientID",
        "--(Sequence item #2)",
        "-(0010,0010) PN [A^B]                                    # 1 PatientName",
        "-(0010,0020) LO (no value available)                     # 0 PatientID",
        "-(0010,2202) SQ (Sequence with 0 items)                  # 1 PatientSpeciesCodeSequence",
        "-(0028,0009) AT [(0010,0010)]                            # 1 FrameIncrementPointer",
        "-(0028,0010) US [5]                                      # 1 Rows",
        "-(0028,0030) DS [1\\2]                                    # 2 PixelSpacing",
        "-(7FE0,0010) OW (24 bytes of binary data)                # 1 PixelData",
    ]
    assert dsutils.pretty_dataset(Dataset()) == []


def test_pretty_dataset_shows_every_bundled_file() -> None:
    for path in CT.parent.glob("*.dcm"):
        for line in dsutils.pretty_dataset(pydicom.dcmread(path, force=True)):
            assert line.isprintable()


def test_pretty_dataset_is_short_and_reads_no_bulk(tmp_path: Path) -> None:
    ds = sample()
    ds.ImageComments = "x" * 10000
    ds.PixelData = bytes(100_000)
    raw = dsutils.encode(ds, False, True)
    assert raw is not None
    path = tmp_path / "data"
    path.write_bytes(raw)
    decoded = InFile(path, 0, len(raw), "1.2.840.10008.1.2.1").decode()
    lines = dsutils.pretty_dataset(decoded)
    assert max(map(len, lines)) < 700
    assert lines[-1] == "(7FE0,0010) OW (100000 bytes not read yet)"
    assert decoded.PixelData == ds.PixelData


def test_file_meta() -> None:
    meta = dsutils.create_file_meta(
        sop_class_uid="1.2", sop_instance_uid="1.3", transfer_syntax="1.2.840.10008.1.2"
    )
    assert meta.MediaStorageSOPClassUID == "1.2"
    assert meta.MediaStorageSOPInstanceUID == "1.3"
    assert meta.TransferSyntaxUID.is_implicit_VR
    assert meta.ImplementationClassUID
    assert meta.ImplementationVersionName
    raw = dsutils.encode_file_meta(meta)
    assert raw[:8] == b"\2\0\0\0UL\4\0"
    assert int.from_bytes(raw[8:12], "little") == len(raw) - 12
    other = dsutils.create_file_meta(
        sop_class_uid="1.2",
        sop_instance_uid="1.3",
        transfer_syntax="1.2.840.10008.1.2",
        implementation_uid="1.9",
        implementation_version=None,
    )
    assert other.ImplementationClassUID == "1.9"
    assert "ImplementationVersionName" not in other


def test_encode_file_meta() -> None:
    meta = dsutils.create_file_meta(
        sop_class_uid="1.2",
        sop_instance_uid="1.3",
        transfer_syntax="1.2.840.10008.1.2",
        implementation_uid="1.9",
        implementation_version=None,
    )
    for _ in range(2):
        raw = dsutils.encode_file_meta(meta)
        decoded = dsutils.decode(raw, False, True)
        assert decoded == Dataset(meta)
        assert decoded.FileMetaInformationGroupLength == len(raw) - 12
        assert decoded.ImplementationClassUID == "1.9"
        assert "ImplementationVersionName" not in decoded  # nobody has given it one
    del meta.ImplementationClassUID
    assert b"PYDICOM" in dsutils.encode_file_meta(meta)
    meta.ImplementationVersionName = "MÜLLER_1"
    with pytest.raises(ValueError, match="ImplementationVersionName has a character"):
        dsutils.encode_file_meta(meta)
    del meta.ImplementationVersionName
    del meta.TransferSyntaxUID
    with pytest.raises(AttributeError):
        dsutils.encode_file_meta(meta)


def test_split_dataset(tmp_path: Path) -> None:
    meta, offset = dsutils.split_dataset(CT)
    ds = pydicom.dcmread(CT)
    assert {element.tag: element.value for element in meta} == {
        element.tag: element.value for element in ds.file_meta
    }
    assert dsutils.decode(CT.read_bytes()[offset:], False, True) == Dataset(ds)
    with pytest.raises(NotDICOM):
        dsutils.split_dataset(CT.parent / "rtstruct.dcm")
    empty = tmp_path / "empty"
    empty.touch()
    with pytest.raises(NotDICOM):
        dsutils.split_dataset(empty)
