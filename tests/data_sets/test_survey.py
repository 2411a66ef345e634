"""pynetdicom.data_sets.survey: what a walk shows."""

from __future__ import annotations

import struct

import pytest

from pynetdicom.data_sets.element_walk import encoding_of
from pynetdicom.data_sets.survey import Survey, check_encoding, survey
from pynetdicom.errors import DataSetDecodeError, FileProblem

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


def short(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def seen(data: bytes) -> Survey:
    return survey(data, len(data), encoding_of(EXPLICIT), None)


def test_what_is_seen() -> None:
    odd = short(0x00100020, b"LO", b"abc")
    assert seen(b"") == Survey(0, 0, 0, False)
    assert seen(odd) == Survey(11, 0x00100020, 1, False, 0x00100020)
    item = struct.pack("<HHI", 0xFFFE, 0xE000, 2 * len(odd)) + odd + odd
    sequence = struct.pack("<HH2sxxI", 0x0008, 0x1140, b"SQ", len(item)) + item
    found = seen(sequence + b"\0\0")
    assert found == Survey(len(sequence), 0x00100020, 2, False, 0x00081140)
    assert found.oddities(len(sequence) + 2) == (
        "values of odd length: 2, the first of them (0010,0020)",
        "bytes after the last element: 2",
    )
    assert found.oddities(len(sequence)) == (
        "values of odd length: 2, the first of them (0010,0020)",
    )


def test_a_sequence_that_is_none_is_no_fault() -> None:
    text = struct.pack("<HH2sxxI", 0x0012, 0x0064, b"SQ", 4) + b"text"
    assert seen(text).end == len(text)
    with pytest.raises(DataSetDecodeError):
        seen(text[:-1])


def test_encodings() -> None:
    check_encoding(True, IMPLICIT)
    check_encoding(False, EXPLICIT)
    with pytest.raises(FileProblem, match="in implicit VR"):
        check_encoding(True, EXPLICIT)
