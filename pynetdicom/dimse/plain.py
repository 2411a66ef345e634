"""Plain data sets, such as the matches of a query, encoded by ourselves: pydicom takes longer.

Plain is what has text, numbers and sequences only, in definite lengths, and what was read in the
same encoding and not looked at since. What is not plain is left to pydicom, and so is whatever
looks odd: the bytes are the same either way.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pynetdicom.dimse.element_walk import LONG_VRS, MAXIMUM_DEPTH, UNDEFINED, Encoding

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_NUMBERS = {"US": "H", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
# Text in the character set of the data set, and text that has always the default one.
_TEXT = frozenset(("LO", "LT", "SH", "ST", "UC", "UT"))
_ASCII = frozenset(("AE", "AS", "CS", "DA", "DT", "TM", "UI", "UR"))
_DEFAULT_CHARACTER_SET = "iso8859"
_LONG = frozenset(vr.decode() for vr in LONG_VRS)


class _NotPlain(Exception):
    """Left to pydicom."""


def encode_plain(ds: Dataset, encoding: Encoding) -> bytes | None:
    """Encode a data set, not deflated; None if it is not plain."""
    try:
        return _elements(ds, encoding, _DEFAULT_CHARACTER_SET, 0)
    except _NotPlain:
        return None
    except Exception:  # of a value that is not what its VR says: pydicom has a better word for it
        return None


def _elements(ds: Dataset, encoding: Encoding, character_set: Any, depth: int) -> bytes:
    if depth > MAXIMUM_DEPTH:
        raise _NotPlain
    elements = sorted(ds.values(), key=_number)
    if elements and elements[0].tag <= 0x00080005:
        if elements[0].tag <= 0x0002FFFF:
            raise _NotPlain
        character_set = ds.get("SpecificCharacterSet", character_set)
    heads = _heads(encoding)
    parts: list[bytes] = []
    element: Any
    for element in elements:
        vr = element.VR
        value = element.value
        if not element.tag & 0xFFFF:
            raise _NotPlain
        if element.is_raw:
            if value is None or element.length == UNDEFINED or not _is_as_read(ds, encoding):
                raise _NotPlain
            parts.append(heads(element.tag, vr, len(value)))
            parts.append(value)
            continue
        if element.is_undefined_length:
            raise _NotPlain
        if vr == "SQ":
            data = _items(value, encoding, character_set, depth)
        elif value is None or value == "":
            data = b""
        else:
            data = _value(vr, value, encoding, character_set)
        parts.append(heads(element.tag, vr, len(data)))
        parts.append(data)
    return b"".join(parts)


def _is_as_read(ds: Dataset, encoding: Encoding) -> bool:
    """Whether what was not decoded can go out as it was read."""
    return ds.original_encoding == encoding[:2] and ds.original_character_set == ds._character_set


def _number(element: Any) -> int:
    return int(element.tag)  # pydicom compares its tags in Python


def _items(items: Any, encoding: Encoding, character_set: Any, depth: int) -> bytes:
    head = struct.Struct("<HHI" if encoding.little else ">HHI")
    parts = []
    for item in items or ():
        if getattr(item, "is_undefined_length_sequence_item", False):
            raise _NotPlain
        data = _elements(item, encoding, character_set, depth + 1)
        parts.append(head.pack(0xFFFE, 0xE000, len(data)))
        parts.append(data)
    return b"".join(parts)


def _value(vr: str, value: Any, encoding: Encoding, character_set: Any) -> bytes:
    """The value of an element that has one."""
    if vr in _NUMBERS:
        return _numbers(vr, value, encoding)
    values = [value] if isinstance(value, str) or not hasattr(value, "append") else list(value)
    if not values:
        return b""
    if vr in ("IS", "DS"):
        text = "\\".join(getattr(v, "original_string", None) or str(v) for v in values)
    elif vr == "PN":
        encodings = _encodings(_hashable(character_set))
        data = b"\\".join([v.encode(encodings) for v in values])
        return data + b" " if len(data) & 1 else data
    elif vr in _ASCII or vr in _TEXT:
        text = "\\".join(values)  # a date is none, and left to pydicom like all that is odd
    else:
        raise _NotPlain
    is_ascii = text.isascii()
    if vr in _TEXT and not (is_ascii and _has_ascii(_hashable(character_set))):
        data = _text(values, _encodings(_hashable(character_set)))
    elif is_ascii:
        data = text.encode("ascii")
    else:
        raise _NotPlain
    if len(data) & 1:
        data += b"\0" if vr == "UI" else b" "
    return data


def _numbers(vr: str, value: Any, encoding: Encoding) -> bytes:
    order = "<" if encoding.little else ">"
    values = value if hasattr(value, "append") else [value]
    return struct.pack(f"{order}{len(values)}{_NUMBERS[vr]}", *values)


def _text(values: list[str], encodings: list[str]) -> bytes:
    from pydicom.charset import encode_string

    return b"\\".join([encode_string(value, encodings) for value in values])


def _hashable(character_set: Any) -> Any:
    return character_set if isinstance(character_set, str) else tuple(character_set or ())


@lru_cache(64)
def _encodings(character_set: str | tuple[str, ...]) -> list[str]:
    """Python's encodings for a Specific Character Set."""
    from pydicom.charset import convert_encodings

    given = character_set if isinstance(character_set, str) else list(character_set)
    return list(convert_encodings(given or _DEFAULT_CHARACTER_SET))


@lru_cache(64)
def _has_ascii(character_set: str | tuple[str, ...]) -> bool:
    """Whether ASCII is encoded as itself, without an escape sequence."""
    sample = bytes(range(32, 127))
    return _text([sample.decode("ascii")], _encodings(character_set)) == sample


@lru_cache(8)
def _heads(encoding: Encoding) -> Callable[[int, str, int], bytes]:
    """Make a function that gives the header of an element, for its tag, VR and length."""
    order = "<" if encoding.little else ">"
    with_long = struct.Struct(order + "HHI").pack
    explicit_short = struct.Struct(order + "HH2sH").pack
    explicit_long = struct.Struct(order + "HH2s2xI").pack

    def implicit(tag: int, vr: str, length: int) -> bytes:
        return with_long(tag >> 16, tag & 0xFFFF, length)

    def explicit(tag: int, vr: str, length: int) -> bytes:
        if vr in _LONG:
            return explicit_long(tag >> 16, tag & 0xFFFF, vr.encode(), length)
        # Which fails for a value that is too long; pydicom knows what to do then.
        return explicit_short(tag >> 16, tag & 0xFFFF, vr.encode(), length)

    return implicit if encoding.implicit else explicit
