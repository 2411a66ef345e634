"""pynetdicom.data_sets.data_set: encoded data sets in memory and in files."""

from __future__ import annotations

import copy
import gc
import os
import pickle
import struct
import zlib
from collections.abc import Callable
from io import SEEK_CUR, SEEK_END
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset
from pydicom.sequence import Sequence

from pynetdicom.data_sets import encoded as module
from pynetdicom.data_sets import read_buffers
from pynetdicom.data_sets.data_set import (
    EncodedDataSet,
    InFile,
    InMemory,
    encode_dataset,
)
from pynetdicom.data_sets.descriptor import Descriptor
from pynetdicom.data_sets.encoded import DEFER_SIZE, deflate
from pynetdicom.data_sets.read_buffers import CHUNK
from pynetdicom.errors import DataSetDecodeError, TruncatedFile

IMPLICIT = "1.2.840.10008.1.2"
EXPLICIT = "1.2.840.10008.1.2.1"
DEFLATED = "1.2.840.10008.1.2.1.99"
BIG = "1.2.840.10008.1.2.2"

Make = Callable[[bytes, str], EncodedDataSet]


@pytest.fixture(params=["memory", "file", "descriptor"])
def make(request: pytest.FixtureRequest, tmp_path: Path) -> Make:
    def in_memory(data: bytes, transfer_syntax: str) -> EncodedDataSet:
        return InMemory(data, transfer_syntax)

    def in_file(data: bytes, transfer_syntax: str) -> EncodedDataSet:
        path = tmp_path / "data"
        path.write_bytes(b"before" + data + b"after")
        if request.param == "file":
            return InFile(path, 6, len(data), transfer_syntax)
        descriptor = Descriptor(os.open(path, os.O_RDONLY))
        return InFile(descriptor, 6, len(data), transfer_syntax)

    return in_memory if request.param == "memory" else in_file


def sample(pixels: int = 16) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.2"
    ds.SOPInstanceUID = "1.2.3"
    ds.PatientName = "Müller^Ä"
    ds.ReferencedStudySequence = Sequence([Dataset(), Dataset()])
    ds.ReferencedStudySequence[0].ReferencedSOPInstanceUID = "1.2.4"
    ds.BitsAllocated = 8
    ds.PixelData = bytes(range(256)) * (pixels // 256) + bytes(pixels % 256)
    # In implicit VR there is no other.
    ds["PixelData"].VR = "OW"
    return ds


def descriptors() -> int:
    gc.collect()
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [0, 1, 1000, CHUNK - 1, CHUNK, CHUNK + 1, 2 * CHUNK + 12345])
def test_bytes(make: Make, size: int) -> None:
    data = (b"abcdefg" * (size // 7 + 1))[:size]
    encoded = make(data, EXPLICIT)
    assert encoded.size == size
    for _ in range(2):
        assert b"".join(map(bytes, encoded.parts())) == data
    for multiple in (3, 16376, CHUNK, 3 * CHUNK):
        parts = [bytes(part) for part in encoded.parts(multiple)]
        assert b"".join(parts) == data
        if isinstance(encoded, InFile):
            assert all(len(part) % multiple == 0 for part in parts[:-1])
    assert encoded.getvalue() == data
    with encoded.open() as file:
        assert file.read() == data
        assert file.read(1) == b""
        file.seek(size // 2)
        assert file.read() == data[size // 2 :]
        assert file.seek(0, SEEK_END) == size
        assert file.tell() == size
        file.seek(-size, SEEK_CUR)
        assert file.read(10) == data[:10]
    assert str(size) in repr(encoded)
    encoded.close()


def test_parts_of_a_file_are_bounded(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(3 * CHUNK))
    assert max(map(len, InFile(path, 0, 3 * CHUNK, IMPLICIT).parts())) <= CHUNK
    assert len(read_buffers._buffers) <= read_buffers._KEPT_BUFFERS


def test_two_readers_at_once(make: Make) -> None:
    data = os.urandom(2 * CHUNK)
    encoded = make(data, EXPLICIT)
    taken = bytearray()
    for part in encoded.parts():
        assert encoded.getvalue() == data
        taken += part
    assert taken == data


def test_read_ahead(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"abcdef")
    encoded = InFile(path, 2, 4, IMPLICIT)
    encoded.read_ahead()
    path.write_bytes(b"")
    assert encoded.getvalue() == b"cdef"
    InMemory(b"", IMPLICIT).read_ahead()


def test_file_that_became_shorter(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(bytes(100))
    with pytest.raises(TruncatedFile):
        InFile(path, 0, 101, IMPLICIT).getvalue()


@pytest.mark.parametrize("transfer_syntax", [IMPLICIT, EXPLICIT, BIG, DEFLATED])
@pytest.mark.parametrize("pixels", [16, DEFER_SIZE + 256])
def test_decode(make: Make, transfer_syntax: str, pixels: int) -> None:
    ds = sample(pixels)
    data = encode_dataset(ds, transfer_syntax).getvalue()
    decoded = make(data, transfer_syntax).decode()
    assert decoded == ds
    assert decoded.PatientName == "Müller^Ä"
    assert decoded.original_encoding == (transfer_syntax == IMPLICIT, transfer_syntax != BIG)
    assert not hasattr(decoded, "file_meta")


def test_large_values_stay_in_the_file_until_asked_for(tmp_path: Path) -> None:
    ds = sample(3_000_000)
    data = encode_dataset(ds, EXPLICIT).getvalue()
    path = tmp_path / "data"
    path.write_bytes(data)
    encoded = InFile(path, 0, len(data), EXPLICIT)
    before = descriptors()
    decoded = encoded.decode()
    assert decoded.get_item("PixelData", keep_deferred=True).value is None
    assert descriptors() == before + 2
    encoded.close()
    path.rename(tmp_path / "elsewhere")
    assert decoded.PixelData == ds.PixelData
    del decoded
    assert descriptors() == before


@pytest.mark.parametrize("duplicate", [copy.deepcopy, lambda ds: pickle.loads(pickle.dumps(ds))])
def test_copies_have_their_values(make: Make, duplicate: Callable[[Any], Any]) -> None:
    ds = sample(200_000)
    decoded = make(encode_dataset(ds, EXPLICIT).getvalue(), EXPLICIT).decode()
    other = duplicate(decoded)
    del decoded
    assert other.PixelData == ds.PixelData


def test_a_decoded_data_set_can_be_saved(make: Make, tmp_path: Path) -> None:
    ds = sample(200_000)
    decoded = make(encode_dataset(ds, EXPLICIT).getvalue(), EXPLICIT).decode()
    assert encode_dataset(decoded, IMPLICIT).decode() == ds
    path = tmp_path / "saved.dcm"
    decoded.save_as(path, implicit_vr=False, little_endian=True)
    assert pydicom.dcmread(path, force=True) == ds


@pytest.mark.parametrize(
    ("data", "transfer_syntax"),
    [
        (b"\x08\0\x16\0UI\x04\x001.2", EXPLICIT),
        (b"\x08\0\x16\0UI\x04\x001.2\0\x10\0\x10\0OB\0\0", EXPLICIT),
        (b"\x08\0\x16\0\xff\0\0\0abc", IMPLICIT),
        (b"random" * 1000, IMPLICIT),
        (b"not deflated", DEFLATED),
        (deflate(b"\x08\0\x16\0UI\x04\x001.2\0" * 100)[:-4], DEFLATED),
        (b"", DEFLATED),
        (deflate(b"\x08\0\x16\0UI\x04\x001.2"), DEFLATED),
    ],
)
def test_undecodable(make: Make, data: bytes, transfer_syntax: str) -> None:
    encoded = make(data, transfer_syntax)
    with pytest.raises(DataSetDecodeError):
        encoded.decode()
    with pytest.raises(DataSetDecodeError):
        encoded.check()


def test_a_sequence_that_is_none_is_no_fault(make: Make) -> None:
    text = struct.pack("<HH2sxxI", 0x0012, 0x0064, b"SQ", 4) + b"text"
    found = make(text, EXPLICIT).survey()
    assert (found.end, found.nested) == (len(text), False)
    with pytest.raises(DataSetDecodeError):
        make(text[:-1], EXPLICIT).survey()


def test_deflate_bomb(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "INFLATED_LIMIT", 1 << 20)
    value = bytes(1 << 26)
    element = struct.pack("<HH2sxxI", 0x7FE0, 0x10, b"OB", len(value)) + value
    encoded = InMemory(deflate(element), DEFLATED)
    with pytest.raises(DataSetDecodeError, match="more than"):
        encoded.decode()


def test_deflated_is_padded_and_raw() -> None:
    for size in range(1, 40):
        data = bytes(range(size))
        deflated = deflate(data)
        assert len(deflated) % 2 == 0
        assert zlib.decompressobj(-zlib.MAX_WBITS).decompress(deflated) == data
        assert InMemory(deflated, DEFLATED).inflated() == data


def test_encode_dataset_refuses() -> None:
    ds = sample()
    ds.add_new(0x00020010, "UI", EXPLICIT)
    with pytest.raises(ValueError, match="groups 0000 and 0002"):
        encode_dataset(ds, EXPLICIT)
    ds = sample()
    ds.PatientID = "secret"
    ds["PatientID"]._value = object()
    with pytest.raises(ValueError, match="cannot be encoded") as caught:
        encode_dataset(ds, EXPLICIT)
    assert "secret" not in str(caught.value)


def test_compressed_pixel_data_is_encapsulated() -> None:
    from pydicom.encaps import encapsulate

    jpeg = "1.2.840.10008.1.2.4.50"
    ds = sample()
    with pytest.raises(ValueError, match="encapsulated"):
        encode_dataset(ds, jpeg)
    ds.PixelData = encapsulate([b"\xff\xd8abcd"])
    encoded = encode_dataset(ds, jpeg)
    encoded.check()
    assert encoded.decode().get("PixelData") == ds.PixelData
    with pytest.raises(ValueError, match="encapsulated"):
        encode_dataset(encoded.decode(), EXPLICIT)


def test_byte_order_is_not_changed() -> None:
    ds = encode_dataset(sample(), EXPLICIT).decode()
    with pytest.raises(ValueError, match=r"\(7FE0,0010\) PixelData .* byte order"):
        encode_dataset(ds, BIG)
    del ds.PixelData
    assert encode_dataset(ds, BIG).decode() == ds


def test_closed(tmp_path: Path) -> None:
    path = tmp_path / "data"
    path.write_bytes(b"abcd")
    encoded = InFile(Descriptor(os.open(path, os.O_RDONLY)), 0, 4, IMPLICIT)
    encoded.close()
    with pytest.raises(ValueError, match="closed"):
        encoded.getvalue()


def test_descriptor_closes_once() -> None:
    first = Descriptor(os.open(os.devnull, os.O_RDONLY))
    second = first.duplicate()
    assert first.fd != second.fd
    first.close()
    first.close()
    assert first.fd == -1
    os.fstat(second.fd)
    fd = second.fd
    del second
    with pytest.raises(OSError):
        os.fstat(fd)
