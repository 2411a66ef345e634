"""pynetdicom.data_sets.element_walk: element headers to the end."""

from __future__ import annotations

import contextlib
import struct
import tracemalloc

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from pynetdicom.data_sets.element_walk import (
    MAXIMUM_DEPTH,
    WINDOW,
    Encoding,
    Survey,
    encoding_of,
    walk,
)
from pynetdicom.errors import DataSetDecodeError

IMPLICIT = encoding_of("1.2.840.10008.1.2")
EXPLICIT = encoding_of("1.2.840.10008.1.2.1")
BIG = encoding_of("1.2.840.10008.1.2.2")
UNDEFINED = 0xFFFFFFFF


def short(tag: int, vr: bytes, value: bytes, order: str = "<") -> bytes:
    return struct.pack(order + "HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def long(tag: int, vr: bytes, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    return struct.pack(order + "HH2sxxI", tag >> 16, tag & 0xFFFF, vr, length) + value


def implicit(tag: int, value: bytes, length: int | None = None, order: str = "<") -> bytes:
    length = len(value) if length is None else length
    return struct.pack(order + "HHI", tag >> 16, tag & 0xFFFF, length) + value


def item(value: bytes, length: int | None = None, order: str = "<") -> bytes:
    return implicit(0xFFFEE000, value, length, order)


END_ITEM = implicit(0xFFFEE00D, b"")
END_SEQUENCE = implicit(0xFFFEE0DD, b"")
CLASS = short(0x00080016, b"UI", b"1.2\0")
NAME = short(0x00100010, b"PN", b"A^B ")
CLASS_IMPLICIT = implicit(0x00080016, b"1.2\0")
NAME_IMPLICIT = implicit(0x00100010, b"A^B ")

GOOD = {
    "explicit": (CLASS + NAME + long(0x7FE00010, b"OW", bytes(100)), EXPLICIT),
    "implicit": (CLASS_IMPLICIT + NAME_IMPLICIT + implicit(0x7FE00010, bytes(100)), IMPLICIT),
    "big": (
        short(0x00080016, b"UI", b"1.2\0", ">")
        + long(0x00081140, b"SQ", item(short(0x00080005, b"CS", b"", ">"), None, ">"), None, ">")
        + long(0x7FE00010, b"OW", bytes(100), None, ">"),
        BIG,
    ),
    "sequence": (CLASS + long(0x00081140, b"SQ", item(NAME) + item(b"")) + NAME, EXPLICIT),
    "undefined sequence": (
        CLASS + long(0x00081140, b"SQ", item(NAME + END_ITEM, UNDEFINED) + END_SEQUENCE, UNDEFINED),
        EXPLICIT,
    ),
    "undefined item of a defined sequence": (
        CLASS + long(0x00081140, b"SQ", item(NAME + END_ITEM, UNDEFINED)) + NAME,
        EXPLICIT,
    ),
    "defined item with a delimiter in it": (
        CLASS + long(0x00081140, b"SQ", item(NAME + END_ITEM)) + NAME,
        EXPLICIT,
    ),
    "implicit sequence": (
        CLASS_IMPLICIT
        + implicit(0x00081140, item(NAME_IMPLICIT))
        + implicit(0x00081140, item(NAME_IMPLICIT + END_ITEM, UNDEFINED) + END_SEQUENCE, UNDEFINED),
        IMPLICIT,
    ),
    "implicit items in an explicit sequence": (
        CLASS + long(0x00081140, b"SQ", item(NAME_IMPLICIT)) + NAME,
        EXPLICIT,
    ),
    "undefined UN, implicit": (
        CLASS + long(0x00091140, b"UN", item(NAME_IMPLICIT) + END_SEQUENCE, UNDEFINED) + NAME,
        EXPLICIT,
    ),
    "undefined UN, explicit": (
        CLASS + long(0x00091140, b"UN", item(NAME) + END_SEQUENCE, UNDEFINED) + NAME,
        EXPLICIT,
    ),
    "encapsulated": (
        CLASS
        + long(0x7FE00010, b"OB", item(b"") + item(bytes(50)) + END_SEQUENCE, UNDEFINED)
        + short(0xFFFCFFFC, b"ZZ", b"\0\0"),
        EXPLICIT,
    ),
    "said to be implicit, is explicit": (CLASS + NAME, IMPLICIT),
    "said to be explicit, is implicit": (CLASS_IMPLICIT + NAME_IMPLICIT, EXPLICIT),
    "empty": (b"", EXPLICIT),
    "private binary that looks like an item": (
        CLASS_IMPLICIT + implicit(0x00091140, item(b"abc")),
        IMPLICIT,
    ),
}


@pytest.mark.parametrize("name", GOOD)
def test_good(name: str) -> None:
    data, encoding = GOOD[name]
    result = walk(data, len(data), encoding, wanted=(0x00080016,))
    assert result.end == len(data)
    assert result.values == ({0x00080016: b"1.2\0"} if data else {})
    assert walk(data, len(data), encoding, nested=False).end == len(data)


@pytest.mark.parametrize("name", [name for name in GOOD if name != "empty"])
def test_cut_off_at_any_place(name: str) -> None:
    data, encoding = GOOD[name]
    # Without its last bytes a data set is as good as before if they were an element of their own.
    boundaries = set()
    offset = 0
    while offset < len(data):
        boundaries.add(offset)
        with contextlib.suppress(DataSetDecodeError):
            offset = next(
                cut for cut in range(offset + 1, len(data) + 1) if _walks(data[:cut], encoding)
            )
    for cut in range(len(data)):
        assert _walks(data[:cut], encoding) == (cut in boundaries), cut


def _walks(data: bytes, encoding: Encoding) -> bool:
    try:
        walk(data, len(data), encoding)
    except DataSetDecodeError:
        return False
    return True


@pytest.mark.parametrize(
    ("data", "text"),
    [
        (CLASS + b"\x10\0\x10\0OB\0\0", "ends within an element header at offset 12"),
        (CLASS + short(0x00100010, b"PN", b"A^B ")[:-1], r"\(0010,0010\) at offset 12 overruns"),
        (CLASS + long(0x7FE00010, b"OB", b"", 1000), r"\(7FE0,0010\) at offset 12 overruns"),
        (CLASS + long(0x00081140, b"SQ", item(NAME, 100)) + bytes(200), r"\(FFFE,E000\) .* over"),
        (CLASS + long(0x00081140, b"SQ", item(NAME[:-4])) + NAME, r"\(0010,0010\) .* overruns"),
        (CLASS + long(0x00081140, b"SQ", NAME) + NAME, "not an item"),
        (CLASS + long(0x00081140, b"SQ", b"abc") + NAME, "within an item header"),
        (CLASS + long(0x00081140, b"SQ", item(NAME), UNDEFINED), "sequence .* does not end"),
        (CLASS + long(0x00081140, b"SQ", item(NAME, UNDEFINED)), "item .* does not end"),
        (CLASS + long(0x00081140, b"SQ", item(b"", UNDEFINED)), "item .* does not end"),
        (CLASS + END_ITEM + NAME, "an item ends at offset 12"),
        (CLASS + long(0x7FE00010, b"OB", bytes(64), UNDEFINED), "not an item"),
        (CLASS + long(0x7FE00010, b"OB", item(bytes(64), 65), UNDEFINED), "overruns"),
    ],
)
def test_faults(data: bytes, text: str) -> None:
    with pytest.raises(DataSetDecodeError, match=text):
        walk(data, len(data), EXPLICIT)


def nested(depth: int) -> bytes:
    data = b""
    for _ in range(depth):
        data = long(0x00081140, b"SQ", item(data))
    return data


def test_depth() -> None:
    data = nested(MAXIMUM_DEPTH)
    walk(data, len(data), EXPLICIT)
    data = nested(MAXIMUM_DEPTH + 1)
    with pytest.raises(DataSetDecodeError, match="deeper"):
        walk(data, len(data), EXPLICIT)
    opening = (long(0x00081140, b"SQ", b"", UNDEFINED) + item(b"", UNDEFINED)) * 3000
    with pytest.raises(DataSetDecodeError, match="deeper"):
        walk(opening, len(opening), EXPLICIT)


def test_reads_no_values() -> None:
    big = 50_000_000
    head = CLASS + long(0x7FE00010, b"OW", b"", big)
    tail = short(0xFFFCFFFC, b"OB", b"")
    size = len(head) + big + len(tail)
    taken = []

    def read(offset: int, length: int) -> bytes:
        taken.append(length)
        return (head[offset:] if offset < len(head) else tail)[:length]

    head_only = walk(b"", len(head) + big, EXPLICIT, read=read)
    assert head_only.end == len(head) + big
    assert sum(taken) <= 2 * WINDOW
    with pytest.raises(DataSetDecodeError):
        walk(head, size + 5, EXPLICIT, read=lambda offset, length: b"")


def test_window_gives_the_same_as_the_whole() -> None:
    for data, encoding in GOOD.values():
        for step in (12, 13, 20, 40):

            def read(offset: int, length: int, data: bytes = data, step: int = step) -> bytes:
                return data[offset : offset + min(max(step, 12), length)]

            assert walk(b"", len(data), encoding, read=read, wanted=(0x00080016,)) == walk(
                data, len(data), encoding, wanted=(0x00080016,)
            )


def test_stop() -> None:
    data = CLASS + NAME
    first = walk(data, len(data), EXPLICIT, wanted=(0x00080016,), stop=0x00080018)
    assert (first.end, first.values) == (len(CLASS), {0x00080016: b"1.2\0"})


def test_what_is_seen() -> None:
    odd = short(0x00100020, b"LO", b"abc")
    assert walk(b"", 0, EXPLICIT) == Survey(0, 0, 0, False, 0, b"", {}, True)
    assert walk(odd, 11, EXPLICIT) == Survey(11, 0x00100020, 1, False, 0x00100020, b"", {}, True)
    sequence = long(0x00081140, b"SQ", item(odd + odd))
    for stray in b"\0\0", b"":
        found = walk(sequence + stray, len(sequence) + len(stray), EXPLICIT)
        assert found == (len(sequence), 0x00100020, 2, False, 0x00081140, stray, {}, True)
        assert found.oddities == (
            "values of odd length: 2, the first of them (0010,0020)",
            *["bytes after the last element: 2"] * bool(stray),
        )


def test_vrs_are_those_of_pydicom() -> None:
    from pydicom.valuerep import EXPLICIT_VR_LENGTH_16, EXPLICIT_VR_LENGTH_32

    from pynetdicom.data_sets import element_walk

    assert {vr.decode() for vr in element_walk.LONG_VRS} == set(EXPLICIT_VR_LENGTH_32)
    assert {vr.decode() for vr in element_walk._SHORT_VRS} == set(EXPLICIT_VR_LENGTH_16)


def test_encodings_are_those_of_pydicom() -> None:
    from pydicom.uid import AllTransferSyntaxes

    for uid in AllTransferSyntaxes:
        encoding = encoding_of(str(uid))
        assert encoding.implicit == uid.is_implicit_VR
        assert encoding.little == uid.is_little_endian
        assert not uid.is_deflated or encoding.deflated


@given(st.binary(max_size=120), st.sampled_from([IMPLICIT, EXPLICIT, BIG]))
@example(b"\x08\0\x16\0OB\0\0\xff\xff\xff\xff", EXPLICIT)
def test_any_bytes_walk_or_raise(data: bytes, encoding: Encoding) -> None:
    with contextlib.suppress(DataSetDecodeError):
        end = walk(data, len(data), encoding).end
        assert end or not data
        assert len(data) - 8 < end <= len(data)


def test_values_of_odd_length_take_no_memory() -> None:
    """However many there are: a peer may send nothing else."""
    data = short(0x00100020, b"LO", b"1") * 20_000
    tracemalloc.start()
    try:
        found = walk(data, len(data), EXPLICIT)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.first_odd, found.odd_count) == (0x00100020, 20_000)
    assert peak < 20_000


def test_a_wanted_value_of_any_length_takes_no_memory() -> None:
    size = 1 << 30  # which nobody has, and nobody asks for
    head = struct.pack("<HH2sxxI", 0x0008, 0x0018, b"UN", size)
    asked: list[int] = []

    def read(offset: int, count: int) -> bytes:
        asked.append(count)
        return (head + bytes(WINDOW))[offset : offset + count]

    found = walk(head, len(head) + size, EXPLICIT, read, wanted=(0x00080018,))
    assert (found.end, found.values) == (len(head) + size, {})
    assert not asked
    uid = short(0x00080018, b"UI", b"1" * WINDOW)
    assert walk(uid, len(uid), EXPLICIT, wanted=(0x00080018,)).values == {0x00080018: uid[8:]}
