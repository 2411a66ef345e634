"""Plain data sets, such as the matches of a query, encoded by ourselves: pydicom takes longer.

Plain is what has text, numbers and sequences only, in definite lengths, and what was read in the
same encoding and not looked at since. What is not plain is left to pydicom, and so is whatever
looks odd, such as text that is not in its character set: the bytes are the same either way.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pynetdicom.data_sets.character_sets import (
    DEFAULT_VRS,
    TEXT_VRS,
    Declared,
    declared,
    encode_name,
    encode_text,
    is_read_with,
)
from pynetdicom.data_sets.element_walk import LONG_VRS, MAXIMUM_DEPTH, UNDEFINED, Encoding

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_NUMBERS = {"US": "H", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_LONG = frozenset(vr.decode() for vr in LONG_VRS)


class _NotPlain(Exception):
    """Left to pydicom."""


def encode_plain(ds: Dataset, encoding: Encoding) -> bytes | None:
    """Encode a data set, not deflated; None if it is not plain."""
    try:
        return _elements(ds, encoding, (), 0)
    except _NotPlain:
        return None
    except Exception:  # of a value that is not what its VR says: pydicom has a better word for it
        return None


def _elements(ds: Dataset, encoding: Encoding, character_set: Declared, depth: int) -> bytes:
    if depth > MAXIMUM_DEPTH:
        raise _NotPlain
    elements = sorted(ds.values(), key=_number)
    if elements and elements[0].tag <= 0x00080005:
        if elements[0].tag <= 0x0002FFFF:
            raise _NotPlain
        character_set = declared(ds.get("SpecificCharacterSet", character_set))
    heads = _heads(encoding)
    is_as_read: bool | None = None
    parts: list[bytes] = []
    element: Any
    for element in elements:
        vr = element.VR
        value = element.value
        if not element.tag & 0xFFFF:
            raise _NotPlain
        if element.is_raw:
            if is_as_read is None:
                is_as_read = is_read_with(ds, character_set)
            if (
                value is None
                or element.length == UNDEFINED
                or not is_as_read
                or (element.is_implicit_VR, element.is_little_endian) != encoding[:2]
                or len(value) & 1
            ):
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


def _number(element: Any) -> int:
    return int(element.tag)  # pydicom compares its tags in Python


def _items(items: Any, encoding: Encoding, character_set: Declared, depth: int) -> bytes:
    head = struct.Struct("<HHI" if encoding.little else ">HHI")
    parts = []
    for item in items or ():
        if getattr(item, "is_undefined_length_sequence_item", False):
            raise _NotPlain
        data = _elements(item, encoding, character_set, depth + 1)
        parts.append(head.pack(0xFFFE, 0xE000, len(data)))
        parts.append(data)
    return b"".join(parts)


def _value(vr: str, value: Any, encoding: Encoding, character_set: Declared) -> bytes:
    """The value of an element that has one."""
    if vr in _NUMBERS:
        return _numbers(vr, value, encoding)
    values = [value] if isinstance(value, str) or not hasattr(value, "append") else list(value)
    if not values:
        return b""
    if vr in ("IS", "DS"):
        text = "\\".join(getattr(v, "original_string", None) or str(v) for v in values)
    elif vr == "PN":
        text = "\\".join(["=".join(v.components) for v in values])
    elif vr in DEFAULT_VRS or vr in TEXT_VRS:
        text = "\\".join(values)  # a date is none, and left to pydicom like all that is odd
    else:
        raise _NotPlain
    if text.isascii():
        data = text.encode("ascii")
    elif vr in TEXT_VRS:
        encode = encode_name if vr == "PN" else encode_text
        data = b"\\".join([encode(v, character_set) for v in values])
    else:
        raise _NotPlain
    if len(data) & 1:
        data += b"\0" if vr == "UI" else b" "
    return data


def _numbers(vr: str, value: Any, encoding: Encoding) -> bytes:
    order = "<" if encoding.little else ">"
    values = value if hasattr(value, "append") else [value]
    return struct.pack(f"{order}{len(values)}{_NUMBERS[vr]}", *values)


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
