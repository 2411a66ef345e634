"""pynetdicom.data_sets.pieces: data sets of new bytes and of stretches of something else."""

from __future__ import annotations

import io
import struct

import pytest

from pynetdicom.data_sets.pieces import Buffered, NotEncodable, Pieced, Pieces, Stretch, swapped
from pynetdicom.data_sets.read_buffers import CHUNK
from pynetdicom.errors import TruncatedFile

EXPLICIT = "1.2.840.10008.1.2.1"
SOURCE = bytes(range(256)) * 16


def read_into(part: memoryview, offset: int) -> None:
    part[:] = SOURCE[offset : offset + len(part)]


@pytest.mark.parametrize("unit", [2, 4, 8])
def test_words_are_turned_round(unit: int) -> None:
    data = bytes(range(16))
    expected = b"".join(data[at : at + unit][::-1] for at in range(0, 16, unit))
    assert bytes(swapped(data, unit)) == expected
    stretch = Stretch(read_into, 8, 64, unit)
    whole = bytearray(64)
    stretch.fill(memoryview(whole), 0)
    assert whole == bytes(swapped(SOURCE[8:72], unit))
    for position in range(20):
        for length in (1, 3, 8, 17):
            part = bytearray(length)
            stretch.fill(memoryview(part), position)
            assert part == whole[position : position + length]


def test_stretches_that_follow_each_other_are_one() -> None:
    pieces = Pieces()
    for start in range(0, 100, 10):
        pieces.add(Stretch(read_into, start, 10))
    pieces.add(Stretch(read_into, 100, 0))
    assert pieces.pieces == [Stretch(read_into, 0, 100)]
    pieces.add(Stretch(read_into, 200, 4, 2))
    pieces.add(Stretch(read_into, 204, 4, 2))
    other = Pieces()
    other.extend(pieces)
    assert other.pieces == pieces.pieces
    assert other.size == 108
    assert other.getvalue() == SOURCE[:100] + bytes(swapped(SOURCE[200:208], 2))


def test_parts_are_as_long_as_they_can_be() -> None:
    pieces = Pieces()
    pieces.add(b"head")
    for _ in range(700):
        pieces.add(Stretch(read_into, 0, 4000))
        pieces.add(bytearray(b"xy"))
    whole = b"head" + (SOURCE[:4000] + b"xy") * 700
    data_set = pieces.to_data_set(EXPLICIT)
    assert isinstance(data_set, Pieced)
    assert data_set.getvalue() == whole
    for multiple in (1, 2, 16376, CHUNK, 3 * CHUNK):
        parts = [bytes(part) for part in data_set.parts(multiple)]
        assert b"".join(parts) == whole
        assert all(len(part) % multiple == 0 for part in parts[:-1])
    assert data_set.read_at(3, 6) == whole[3:9]
    assert data_set.read_at(len(whole) - 2, 10) == b"xy"
    with data_set.open() as file:
        assert file.read() == whole
    data_set.close()
    with pytest.raises(ValueError, match="closed"):
        data_set.getvalue()


def test_what_is_read_in_the_end_is_one_data_set() -> None:
    element = struct.pack("<HH2sH", 0x0010, 0x0020, b"LO", 2) + b"ab"
    value = bytes(2 * CHUNK)
    pieces = Pieces()
    pieces.add(element + struct.pack("<HH2sxxI", 0x7FE0, 0x0010, b"OB", len(value)))
    pieces.add(Stretch(Buffered(io.BytesIO(value)).read_into, 0, len(value)))
    data_set = pieces.to_data_set(EXPLICIT)
    assert isinstance(data_set, Pieced)
    data_set.check()
    assert data_set.peek(0x00100020) == {0x00100020: b"ab"}
    assert data_set.decode().PixelData == value


def test_buffers() -> None:
    file = io.BytesIO(b"..abcdef")
    file.seek(2)
    buffered = Buffered(file)
    assert len(buffered) == 6
    assert buffered.begin() == b"abcd"
    part = bytearray(7)
    with pytest.raises(TruncatedFile):
        buffered.read_into(memoryview(part), 0)
    assert file.tell() == 2
    file.close()
    with pytest.raises(NotEncodable, match="closed"):
        buffered.begin()
    with pytest.raises(NotEncodable, match="closed"):
        Buffered(file)
