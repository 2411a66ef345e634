"""The walk over a data set's element headers, values skipped.

pydicom raises on nothing, neither a data set that was cut off nor random bytes. So before one is
sent from a file or handed out decoded, this goes over its element headers to the end: an element
that overruns what it is in is a fault. It also picks up the values of a few elements on the way.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Collection
from typing import NamedTuple

MAXIMUM_DEPTH = 64
"""How deep sequences may nest."""

WINDOW = 8192
"""Bytes that are read at a time."""

UNDEFINED = 0xFFFFFFFF
ITEM = 0xFFFEE000
ITEM_DELIMITATION = 0xFFFEE00D
SEQUENCE_DELIMITATION = 0xFFFEE0DD
PIXEL_DATA = (0x7FE00010, 0x7FE00008, 0x7FE00009)

Read = Callable[[int, int], bytes]
"""Gives (at most) so many bytes from an offset: ``read(offset, size)``."""

_LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""VRs with a length of 32 bits (PS3.5 7.1.2)."""

_SEQUENCE_VRS = (b"SQ", b"UN")


class Encoding(NamedTuple):
    """What a transfer syntax says about the encoding of elements."""

    implicit: bool
    little: bool
    deflated: bool


_EXPLICIT = Encoding(False, True, False)
_DEFLATED = Encoding(False, True, True)

_ENCODINGS = {
    "1.2.840.10008.1.2": Encoding(True, True, False),
    "1.2.840.10008.1.2.2": Encoding(False, False, False),
    "1.2.840.10008.1.2.1.99": _DEFLATED,
    # JPIP Referenced Deflate, JPIP HTJ2K Referenced Deflate
    "1.2.840.10008.1.2.4.95": _DEFLATED,
    "1.2.840.10008.1.2.4.205": _DEFLATED,
    # GE's private one: but for its pixel data it is little endian.
    "1.2.840.113619.5.2": Encoding(True, True, False),
    # None known: as PS3.5 has it for whatever is not known better.
    "": Encoding(True, True, False),
}


def encoding_of(transfer_syntax: str) -> Encoding:
    """Give the encoding; of a transfer syntax that is not known it is Explicit VR Little Endian."""
    return _ENCODINGS.get(transfer_syntax, _EXPLICIT)


class WalkError(Exception):
    """An element overruns what it is in, or the nesting is too deep."""


class WalkResult(NamedTuple):
    """Where a walk ended, and what it found."""

    offset: int
    values: dict[int, bytes]
    implicit: bool


class _Window:
    """The bytes around the walk's position, and the unpacking of headers."""

    def __init__(self, data: bytes | bytearray, size: int, read: Read | None, little: bool) -> None:
        self.data = data
        self.base = 0
        self.size = size
        self.read = read
        order = "<" if little else ">"
        self.tag = struct.Struct(order + "HH").unpack_from
        self.short = struct.Struct(order + "H").unpack_from
        self.long = struct.Struct(order + "I").unpack_from

    def at(self, offset: int, size: int) -> int:
        """Have `size` bytes from `offset` on in `data`; give the index of the first."""
        index = offset - self.base
        if index >= 0 and index + size <= len(self.data):
            return index
        if offset + size > self.size or self.read is None:
            raise WalkError(f"it ends within an element header at offset {offset}")
        self.data = self.read(offset, max(WINDOW, size))
        self.base = offset
        if len(self.data) < size:
            raise WalkError(f"it ends within an element header at offset {offset}")
        return 0


class _Level(NamedTuple):
    """What the walk is in: elements (a data set, an item), items, or fragments."""

    kind: int
    end: int
    delimited: bool
    implicit: bool


_ELEMENTS, _ITEMS, _FRAGMENTS = range(3)


def walk(
    data: bytes | bytearray,
    size: int,
    encoding: Encoding,
    *,
    read: Read | None = None,
    wanted: Collection[int] = (),
    start: int = 0,
    stop: int | None = None,
    nested: bool = True,
) -> WalkResult:
    """Go over the element headers of a data set.

    Parameters
    ----------
    data : bytes or bytearray
        Its first bytes, or all of them.
    size : int
        Its length.
    encoding : Encoding
        How it is encoded. As pydicom does it, a data set that begins otherwise is taken for what
        it is.
    read : callable, optional
        Gives more of it where `data` is not all.
    wanted : collection of int
        Tags of elements of the data set itself whose values are to be returned.
    start : int
        Where to begin, which has to be at an element of the data set itself.
    stop : int, optional
        The walk ends before the first element of the data set itself with a tag from this on.
    nested : bool
        Whether sequences of defined length are looked into.

    Raises
    ------
    WalkError
        If an element overruns what it is in, or sequences nest deeper than `MAXIMUM_DEPTH`.
    """
    window = _Window(data, size, read, encoding.little)
    implicit = encoding.implicit
    if size - start >= 6:
        index = window.at(start, 6)
        vr = window.data[index + 4 : index + 6]
        implicit = not (b"AA" <= vr <= b"ZZ" and 0x41 <= vr[1] <= 0x5A)
    values: dict[int, bytes] = {}
    levels = [_Level(_ELEMENTS, size, False, implicit)]
    offset = start
    while True:
        level = levels[-1]
        if level.kind == _ELEMENTS:
            offset, inner = _elements(
                window,
                offset,
                level,
                wanted if len(levels) == 1 else (),
                stop if len(levels) == 1 else None,
                nested,
                values,
            )
        else:
            offset, inner = _items(window, offset, level)
        if inner is not None:
            if len(levels) >= MAXIMUM_DEPTH * 2:
                raise WalkError(f"its sequences nest deeper than {MAXIMUM_DEPTH}")
            levels.append(inner)
        elif len(levels) == 1:
            return WalkResult(offset, values, implicit)
        else:
            levels.pop()


def _elements(
    window: _Window,
    offset: int,
    level: _Level,
    wanted: Collection[int],
    stop: int | None,
    nested: bool,
    values: dict[int, bytes],
) -> tuple[int, _Level | None]:
    """Walk elements until they end (None) or one of them has to be gone into (its level)."""
    _, end, delimited, implicit = level
    unpack_tag, unpack_short, unpack_long = window.tag, window.short, window.long
    data, base = window.data, window.base
    while offset < end:
        index = offset - base
        # 12 bytes, since the length of 32 bits of an explicit VR ends there; the last element may
        # be shorter.
        if index < 0 or index + 12 > len(data):
            index = window.at(offset, min(12, max(8, window.size - offset)))
            data, base = window.data, window.base
        group, element = unpack_tag(data, index)
        vr = bytes(data[index + 4 : index + 6])
        header = 8
        if implicit or not (b"AA" <= vr <= b"ZZ"):
            # Tolerated: some writers change to implicit VR within sequences; delimiters have no VR
            # at all.
            vr = b""
            (length,) = unpack_long(data, index + 4)
        elif vr in _LONG_VRS:
            header = 12
            (length,) = (
                unpack_long(data, window.at(offset, 12) + 8)
                if index + 12 > len(data)
                else unpack_long(data, index + 8)
            )
        else:
            (length,) = unpack_short(data, index + 6)
        tag = group << 16 | element
        if tag == ITEM_DELIMITATION:
            if delimited or (offset + 8 == end and end != window.size):
                return offset + 8, None
            raise WalkError(f"an item ends at offset {offset} where there is none")
        if stop is not None and tag >= stop:
            return offset, None
        begin = offset + header
        if length == UNDEFINED:
            if begin > end:
                raise _overrun(tag, offset)
            return begin, _undefined(window, begin, end, tag, vr, implicit)
        offset = begin + length
        if offset > end:
            raise _overrun(tag, begin - header)
        if tag in wanted:
            at = window.at(begin, length) if length else 0
            values[tag] = bytes(window.data[at : at + length])
            data, base = window.data, window.base
        elif (
            nested
            and length
            and (vr == b"SQ" or (not vr and _may_be_sequence(window, begin, length, tag)))
        ):
            return begin, _Level(_ITEMS, offset, False, implicit or not vr)
    if delimited:
        raise WalkError(f"an item of undefined length at offset {offset} does not end")
    return offset, None


def _may_be_sequence(window: _Window, begin: int, length: int, tag: int) -> bool:
    """Tell whether a value without a VR is a sequence: it begins with an item, in a usual group."""
    if tag & 0x10000 or tag >= 0x50000000 or length < 8:
        return False
    index = window.at(begin, 8)
    group, element = window.tag(window.data, index)
    size: int = window.long(window.data, index + 4)[0]
    return bool(group << 16 | element == ITEM) and (size == UNDEFINED or size <= length - 8)


def _undefined(
    window: _Window, begin: int, end: int, tag: int, vr: bytes, implicit: bool
) -> _Level:
    """Say what an element of undefined length holds: items, or fragments of pixel data."""
    if vr in _SEQUENCE_VRS or (not vr and tag not in PIXEL_DATA):
        # An undefined length UN is a sequence in implicit VR (PS3.5 6.2.2); each item shows what
        # it is.
        return _Level(_ITEMS, end, True, implicit or vr == b"" or vr == b"UN")
    return _Level(_FRAGMENTS, end, True, implicit)


def _items(window: _Window, offset: int, level: _Level) -> tuple[int, _Level | None]:
    """Walk items until they end (None) or one of them has to be gone into (its level)."""
    kind, end, delimited, implicit = level
    while offset < end:
        if end - offset < 8:
            raise WalkError(f"a sequence ends within an item header at offset {offset}")
        index = window.at(offset, 8)
        group, element = window.tag(window.data, index)
        (length,) = window.long(window.data, index + 4)
        tag = group << 16 | element
        if tag == SEQUENCE_DELIMITATION and delimited:
            return offset + 8, None
        if tag != ITEM:
            raise WalkError(
                f"({group:04X},{element:04X}) at offset {offset} is not an item of the sequence"
            )
        begin = offset + 8
        if length == UNDEFINED and kind == _ITEMS:
            return begin, _Level(
                _ELEMENTS, end, True, _item_is_implicit(window, begin, end, implicit)
            )
        offset = begin + length
        if offset > end:
            raise _overrun(tag, begin - 8)
        if kind == _ITEMS and length:
            return begin, _Level(
                _ELEMENTS, offset, False, _item_is_implicit(window, begin, offset, implicit)
            )
    if delimited:
        raise WalkError(f"a sequence of undefined length at offset {offset} does not end")
    return offset, None


def _item_is_implicit(window: _Window, begin: int, end: int, implicit: bool) -> bool:
    """Look at an item's first element where the data set's own encoding does not decide."""
    if not implicit or end - begin < 8:
        return implicit
    index = window.at(begin, 6)
    vr = window.data[index + 4 : index + 6]
    return not (b"AA" <= vr <= b"ZZ" and 0x41 <= vr[1] <= 0x5A)


def _overrun(tag: int, offset: int) -> WalkError:
    return WalkError(
        f"element ({tag >> 16:04X},{tag & 0xFFFF:04X}) at offset {offset} overruns what it is in"
    )
