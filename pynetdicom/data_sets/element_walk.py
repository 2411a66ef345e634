"""The walk over a data set's element headers, values skipped.

pydicom raises on nothing, neither a data set that was cut off nor random bytes. So before one is
sent from a file or handed out decoded, this goes over its element headers to the end: an element
that overruns what it is in is a fault. It also picks up the values of a few elements on the way,
and says which values are of odd length.

Up to 7 bytes after the last element, too few for another one, are none of the data set's.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Collection
from functools import lru_cache
from typing import Literal, NamedTuple

from pynetdicom.errors import DataSetDecodeError

_NO_TAG = 1 << 32
"""Beyond every tag."""

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

LONG_VRS = frozenset(
    (b"OB", b"OD", b"OF", b"OL", b"OV", b"OW", b"SQ", b"SV", b"UC", b"UN", b"UR", b"UT", b"UV")
)
"""VRs with a length of 32 bits (PS3.5 7.1.2)."""

is_vr = re.compile(rb"[A-Z]{2}").fullmatch
"""Tells whether bytes can be a VR."""

_SHORT_VRS = frozenset(
    b"AE AS AT CS DA DS DT FD FL IS LO LT PN SH SL SS ST TM UI UL US".split(b" ")
)


class Encoding(NamedTuple):
    """What a transfer syntax says about the encoding of elements."""

    implicit: bool
    little: bool
    deflated: bool


IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
EXPLICIT_VR_BIG_ENDIAN = "1.2.840.10008.1.2.2"
DEFLATED = "1.2.840.10008.1.2.1.99"

UNCOMPRESSED = frozenset(
    (EXPLICIT_VR_LITTLE_ENDIAN, IMPLICIT_VR_LITTLE_ENDIAN, EXPLICIT_VR_BIG_ENDIAN, DEFLATED)
)
"""The transfer syntaxes that a data set can be re-encoded to, and from, pixels left as they are."""

_EXPLICIT = Encoding(False, True, False)
_DEFLATED = Encoding(False, True, True)

_ENCODINGS = {
    IMPLICIT_VR_LITTLE_ENDIAN: Encoding(True, True, False),
    EXPLICIT_VR_BIG_ENDIAN: Encoding(False, False, False),
    DEFLATED: _DEFLATED,
    # JPIP Referenced Deflate, JPIP HTJ2K Referenced Deflate
    "1.2.840.10008.1.2.4.95": _DEFLATED,
    "1.2.840.10008.1.2.4.205": _DEFLATED,
    # GE's private one: but for its pixel data it is little endian.
    "1.2.840.113619.5.2": Encoding(True, True, False),
    # None known: as PS3.5 has it for whatever is not known better.
    "": Encoding(True, True, False),
}


@lru_cache(64)  # asked for each data set
def encoding_of(transfer_syntax: str) -> Encoding:
    """Give the encoding; of a transfer syntax that is not known it is Explicit VR Little Endian."""
    return _ENCODINGS.get(transfer_syntax, _EXPLICIT)


def no_walk(why: str) -> DataSetDecodeError:
    """Make the error for a data set whose elements cannot be told from each other."""
    return DataSetDecodeError(f"data set: {why}")


class Survey(NamedTuple):
    """What a walk over a data set has shown."""

    end: int
    """Where the last element ends."""
    first_odd: int
    """The tag of the first value of odd length, 0 for none; of a fragment that of an item."""
    odd_count: int
    implicit: bool
    """How it begins, whatever its transfer syntax says."""
    last: int
    """The tag of the last element of the data set itself, 0 for none."""
    stray: bytes
    """Up to 7 bytes after it, too few for another one."""
    values: dict[int, bytes]
    """The values that were wanted."""
    nested: bool
    """Whether sequences of defined length were looked into."""

    @property
    def oddities(self) -> tuple[str, ...]:
        """What is wrong with the data set, and taken all the same; no values."""
        notes = []
        if self.odd_count:
            first = f"({self.first_odd >> 16:04X},{self.first_odd & 0xFFFF:04X})"
            notes.append(f"values of odd length: {self.odd_count}, the first of them {first}")
        if self.stray:
            notes.append(f"bytes after the last element: {len(self.stray)}")
        return tuple(notes)


class Level(NamedTuple):
    """What the walk is in: elements (a data set, an item), items, or fragments."""

    kind: Literal["elements", "items", "fragments"]
    end: int
    delimited: bool
    implicit: bool


_FORMS = {
    order == "<": tuple(struct.Struct(order + form).unpack_from for form in ("HH2sH", "HHI", "I"))
    for order in "<>"
}
"""Little endian or not → what takes headers apart: explicit, implicit, a length of 32 bits."""


class Window:
    """The bytes around the walk's position, and the unpacking of headers."""

    def __init__(self, data: bytes | bytearray, size: int, read: Read | None, little: bool) -> None:
        self.data = data
        self.base = 0
        self.size = size
        self.read = read
        self.little = little
        self.explicit, self.implicit, self.long = _FORMS[little]
        # Whether sequences of defined length are looked into.
        self.nested = True
        # What the walk has come by: values of odd length (of which there may be as many as fit, and
        # none is kept), and what was wanted.
        self.first_odd = self.odd_count = 0
        self.values: dict[int, bytes] = {}

    def at(self, offset: int, size: int) -> int:
        """Have `size` bytes from `offset` on in `data`; give the index of the first."""
        index = offset - self.base
        if index >= 0 and index + size <= len(self.data):
            return index
        if offset + size <= self.size and self.read is not None:
            self.data = self.read(offset, min(max(WINDOW, size), self.size - offset))
            self.base = offset
            if len(self.data) >= size:
                return 0
        raise no_walk(f"it ends within an element header at offset {offset}")

    def note_odd(self, tag: int) -> None:
        """Count a value of odd length."""
        self.first_odd = self.first_odd or tag
        self.odd_count += 1

    def bytes_at(self, offset: int, size: int) -> bytes:
        """Give some bytes."""
        index = self.at(offset, size) if size else 0
        return bytes(self.data[index : index + size])

    def header(self, offset: int, implicit: bool) -> tuple[int, bytes, int, int]:
        """Give an element's tag, VR (empty where there is none), length, and the value's offset."""
        index = self.at(offset, 8)
        group, element, vr, length = self.explicit(self.data, index)
        tag, value = group << 16 | element, offset + 8
        if implicit or (vr not in _SHORT_VRS and not is_vr(vr)):
            return tag, b"", self.long(self.data, index + 4)[0], value
        if vr in LONG_VRS:
            index = self.at(offset, 12)  # which may be in the next window
            return tag, vr, self.long(self.data, index + 8)[0], offset + 12
        return tag, vr, length, value

    def level_of(self, header: tuple[int, bytes, int, int], end: int) -> Level | None:
        """What an element (tag, VR, length, offset of the value) holds: None for a mere value.

        A value without a VR is a sequence if it begins with an item, in a usual group.
        """
        tag, vr, length, value = header
        if length == UNDEFINED and value <= end:
            if vr == b"SQ":
                return Level("items", end, True, False)
            # A UN of undefined length is a sequence in implicit VR (PS3.5 6.2.2).
            if vr == b"UN" or (not vr and tag not in PIXEL_DATA):
                return Level("items", end, True, True)
            return Level("fragments", end, True, False)
        if not self.nested or not 0 < length <= end - value:
            return None
        if vr == b"SQ":
            return Level("items", value + length, False, False)
        if vr or tag & 0x10000 or 0x50000000 <= tag < 0x51000000 or tag >= 0x60000000 or length < 8:
            return None
        index = self.at(value, 8)
        group, element, size = self.implicit(self.data, index)
        if group << 16 | element == ITEM and (size == UNDEFINED or size <= length - 8):
            return Level("items", value + length, False, True)
        return None

    def item_at(self, offset: int, level: Level) -> tuple[int, Level | None]:
        """Where what an item, or a fragment, holds begins, and what it is; None for no more."""
        kind, end, delimited, implicit = level
        if end - offset < 8:
            raise no_walk(f"a sequence ends within an item header at offset {offset}")
        index = self.at(offset, 8)
        group, element, length = self.implicit(self.data, index)
        tag, value = group << 16 | element, offset + 8
        if tag == SEQUENCE_DELIMITATION and delimited:
            return value, None
        if tag != ITEM:
            raise no_walk(f"({group:04X},{element:04X}) at offset {offset} is not an item")
        undefined = length == UNDEFINED and kind == "items"
        inner_end = end if undefined else value + length
        if inner_end > end:
            raise overrun(tag, offset)
        if implicit and inner_end - value >= 8:
            # Its sequence's VR does not say what it is in: its first element does.
            index = self.at(value, 6)
            implicit = not is_vr(self.data[index + 4 : index + 6])
        return value, Level("elements", inner_end, undefined, implicit)


def walk(
    data: bytes | bytearray,
    size: int,
    encoding: Encoding,
    read: Read | None = None,
    *,
    wanted: Collection[int] = (),
    stop: int = _NO_TAG,
    nested: bool = True,
) -> Survey:
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
        Tags of elements of the data set itself whose values are to be returned; not what is longer
        than `WINDOW`, as no UID is.
    stop : int, optional
        The walk ends before the first element of the data set itself with a tag from this on.
    nested : bool
        Whether sequences of defined length are looked into.

    Raises
    ------
    DataSetDecodeError
        If an element overruns what it is in, or sequences nest deeper than `MAXIMUM_DEPTH`.
    """
    window = Window(data, size, read, encoding.little)
    window.nested = nested
    implicit = encoding.implicit
    if size >= 6:
        if len(data) < 6:
            window.at(0, 6)
        implicit = not is_vr(window.data[4:6])
    top = Level("elements", size, False, implicit)
    end, last = _elements(window, 0, top, wanted=wanted, stop=stop)
    stray = window.bytes_at(end, size - end) if 0 < size - end < 8 else b""
    odd = window.first_odd, window.odd_count
    return Survey(end, *odd, implicit, last, stray, window.values, nested)


def _elements(
    window: Window,
    offset: int,
    level: Level,
    depth: int = 0,
    *,
    wanted: Collection[int] = (),
    stop: int = _NO_TAG,
) -> tuple[int, int]:
    """Walk elements until they end; give where that is, and the tag of the last one."""
    _, end, delimited, implicit = level
    unpack, unpack_implicit, unpack_long = window.explicit, window.implicit, window.long
    vr, last, data, base = b"", 0, window.data, window.base
    while offset < end:
        index = offset - base
        if index + 8 > len(data):
            if not depth and end - offset < 8 and offset:
                break  # stray bytes
            index = window.at(offset, 8)
            data, base = window.data, window.base
        value = offset + 8
        if implicit:
            group, element, length = unpack_implicit(data, index)
        else:
            group, element, vr, length = unpack(data, index)
        tag = group << 16 | element
        if tag >= stop:
            break
        if implicit or vr not in _SHORT_VRS:
            if vr in LONG_VRS:
                value = offset + 12
                at = window.at(offset, 12) + 8  # which may be in the next window
                (length,) = unpack_long(window.data, at)
            elif not implicit and not is_vr(vr):
                # Tolerated: implicit VR within sequences. Delimiters have no VR at all.
                vr = b""
                (length,) = unpack_long(data, index + 4)
            if tag == ITEM_DELIMITATION:
                if delimited or (value == end and end != window.size):
                    return value, last
                raise no_walk(f"an item ends at offset {offset} where there is none")
            # Without a VR it is a mere value if it is too short to hold an item.
            may_hold = length == UNDEFINED or (vr == b"SQ" if vr else length >= 8)
            inner = window.level_of((tag, vr, length, value), end) if may_hold else None
            if inner is not None:
                offset, last = _items(window, value, inner, depth), tag
                data, base = window.data, window.base
                continue
        if value + length > end:
            raise overrun(tag, offset)
        if length & 1:
            window.note_odd(tag)
        if tag in wanted and length <= WINDOW:
            window.values[tag] = window.bytes_at(value, length)
        offset, last = value + length, tag
    return (ended(level, offset) if delimited else offset), last


def is_sequence(value: bytes, encoding: tuple[bool | None, bool | None]) -> bool:
    """Tell whether a value is items, encoded in implicit VR or not, in little endian or not."""
    implicit, little = encoding
    order = "<" if little else ">"
    form = order + ("HHI" if implicit else "HH2sxxI")
    vr = () if implicit else (b"SQ",)
    header = struct.pack(form, 0x0008, 0x1140, *vr, len(value))
    data = header + value
    if value[:4] != struct.pack(order + "HH", 0xFFFE, 0xE000):
        return not value
    try:
        walk(data, len(data), Encoding(bool(implicit), bool(little), False))
    except DataSetDecodeError:
        return False
    return True


def _items(window: Window, offset: int, level: Level, depth: int) -> int:
    """Walk the items of a sequence, or fragments; give where they end."""
    check_depth(depth)
    while offset < level.end:
        offset, item = window.item_at(offset, level)
        if item is None:
            return offset
        if level.kind == "items":
            offset, _ = _elements(window, offset, item, depth + 1)
        else:
            if item.end - offset & 1:
                window.note_odd(ITEM)
            offset = item.end
    return ended(level, offset)


def check_depth(depth: int) -> None:
    """Refuse a sequence that is within too many others."""
    if depth >= MAXIMUM_DEPTH:
        raise no_walk(f"its sequences nest deeper than {MAXIMUM_DEPTH}")


def ended(level: Level, offset: int) -> int:
    """Give where a level ends, unless it had to have a delimiter there."""
    if level.delimited:
        what = "an item" if level.kind == "elements" else "a sequence"
        raise no_walk(f"{what} of undefined length at offset {offset} does not end")
    return offset


def overrun(tag: int, offset: int) -> DataSetDecodeError:
    """Make the error for an element that is longer than what it is in."""
    name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return no_walk(f"element {name} at offset {offset} overruns what it is in")
