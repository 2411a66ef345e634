"""Data sets as they are in a store, looked at: what is asked for is decoded, the rest is not.

In: a record, as `providing.pack` has made it. Out: those of its elements that a query matches by
and gives. Thousands of steps are looked through in the time in which some would be decoded. What is
not plain here is pydicom's to decode.
"""

from __future__ import annotations

import struct
from collections.abc import Collection
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom.datadict import tag_for_keyword

from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.data_sets.element_walk import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    ITEM,
    ITEM_DELIMITATION,
    LONG_VRS,
    SEQUENCE_DELIMITATION,
    UNDEFINED,
)
from pynetdicom.workflows.matching import SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_UTF8 = b"ISO_IR 192"
_TEXT = {
    # VR → what its characters are encoded in
    **dict.fromkeys((b"LO", b"LT", b"PN", b"SH", b"ST", b"UC", b"UT"), "utf-8"),
    **dict.fromkeys((b"AE", b"AS", b"CS", b"DA", b"DS", b"DT", b"IS", b"TM", b"UI"), "latin-1"),
}
_ONE_VALUE = frozenset((b"LT", b"ST", b"UT"))
_header = struct.Struct("<HH2sH").unpack_from
_item = struct.Struct("<HHI").unpack_from
_long = struct.Struct("<I").unpack_from


class _NotPlainError(Exception):
    """It is pydicom's to decode."""


class Element(NamedTuple):
    """An element, by the names that pydicom's has."""

    VR: str
    value: Any


class Glance:
    """A data set in a record, or an item of it, by `get` as pydicom's; for one thread.

    Parameters
    ----------
    record : bytes
    start, end : int
        Where in the record its elements are.
    hidden : int, optional
        The tag of an element that is as if it were not there.
    """

    def __init__(
        self, record: bytes, start: int = 0, end: int | None = None, *, hidden: int | None = None
    ) -> None:
        self._record = record
        self._bounds = start, len(record) if end is None else end
        self._decoded: Dataset | None = None
        self._places: dict[int, _Place] = {}
        try:
            self._places, _ = _elements(record, *self._bounds)
            declared = self._places.get(SPECIFIC_CHARACTER_SET)
            if declared is not None and record[declared[2] : declared[3]].strip() != _UTF8:
                raise _NotPlainError
        except (_NotPlainError, struct.error):
            self._decoded = _decode(record[slice(*self._bounds)])
        if hidden is not None:
            self._places.pop(hidden, None)
            if self._decoded is not None:
                self._decoded.pop(hidden, None)

    def part(self, tags: Collection[int]) -> Dataset:
        """Decode those of some elements that are there, and what says how to read them."""
        if self._decoded is not None:
            return self._decoded
        wanted = {SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET, *tags}
        places = (place for tag, place in self._places.items() if tag in wanted)
        parts = [self._record[start:end] for start, _, _, end in places]
        return _decode(b"".join(parts))

    def get(self, key: int | str) -> Any:
        """Give the element of a tag, or the value of a keyword; None when there is none."""
        if self._decoded is not None:
            return self._decoded.get(key)
        if isinstance(key, str):
            return getattr(self.get(tag_for_keyword(key) or 0), "value", None)
        place = self._places.get(key)
        if place is None:
            return None
        _, vr, start, end = place
        if vr == b"SQ":
            return Element("SQ", _items(self._record, start, end))
        data = self._record[start:end]
        if vr not in _TEXT or b"\x1b" in data:
            return self.part([key])[key]
        try:
            text = data.decode(_TEXT[vr])
        except UnicodeDecodeError:
            return self.part([key])[key]
        is_list = "\\" in text and vr not in _ONE_VALUE
        return Element(vr.decode(), text.split("\\") if is_list else text)


def _decode(data: bytes) -> Dataset:
    return InMemory(data, EXPLICIT_VR_LITTLE_ENDIAN).decode()


_Place = tuple[int, bytes, int, int]
"""Of an element: where it starts, its VR, and where its value starts and ends."""


def _elements(record: bytes, start: int, end: int) -> tuple[dict[int, _Place], int]:
    """Where which element is, and where the last one, or what ends an item, does."""
    places: dict[int, _Place] = {}
    while start < end:
        group, element, vr, length = _header(record, start)
        tag, value = group << 16 | element, start + 8
        if vr in LONG_VRS:
            (length,) = _long(record, value)
            value += 4
        if tag == ITEM_DELIMITATION:
            return places, start + 8
        if length == UNDEFINED:
            if vr != b"SQ":
                raise _NotPlainError
            after = _sequence_end(record, value, end)
        else:
            after = value + length
        places[tag] = start, vr, value, after
        start = after
    if start != end:
        raise _NotPlainError
    return places, end


def _sequence_end(record: bytes, start: int, end: int) -> int:
    while True:
        after, _, _ = _next_item(record, start, end)
        if after == start:
            return start + 8
        start = after


def _next_item(record: bytes, start: int, end: int) -> tuple[int, int, int]:
    """Where the next item is, and what is in it; the first is `start` when there is none."""
    group, element, length = _item(record, start)
    tag, value = group << 16 | element, start + 8
    if tag == SEQUENCE_DELIMITATION:
        return start, value, value
    if tag != ITEM:
        raise _NotPlainError
    if length != UNDEFINED:
        return value + length, value, value + length
    _, after = _elements(record, value, end)
    return after, value, after - 8


def _items(record: bytes, start: int, end: int) -> list[Glance]:
    items = []
    while start < end:
        after, first, last = _next_item(record, start, end)
        if after == start:
            break
        items.append(Glance(record, first, last))
        start = after
    return items
