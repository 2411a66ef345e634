"""A data set's element headers written anew: for another transfer syntax, or with even lengths.

Values are copied, never decoded; only their padding, and their byte order between little and big
endian, may change. Each header and the lengths of sequences and items follow from that. A value
that is not what its VR says goes as it is: as UN where the new encoding tells VRs (PS3.5 6.2.2).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pynetdicom.data_sets.element_walk import (
    ELEMENTS,
    ITEM,
    ITEM_DELIMITATION,
    ITEMS,
    LONG_VRS,
    MAXIMUM_DEPTH,
    UNDEFINED,
    Encoding,
    Level,
    Read,
    Window,
    endless,
    item_at,
    level_of,
    no_walk,
    overrun,
    walk,
)
from pynetdicom.data_sets.pieces import NotEncodable, Pieces, ReadInto, Stretch, swapped
from pynetdicom.data_sets.representations import (
    PIXEL_REPRESENTATION,
    UNITS,
    Scope,
    can_hold,
    is_creator,
    is_whole,
    name_of,
    padding,
    representation,
)
from pynetdicom.errors import DataSetDecodeError

COPIED = 4096
"""Values as short as this are copied when headers around them change."""

_OPAQUE = frozenset((b"OB", b"OD", b"OF", b"OL", b"OV", b"OW"))
"""VRs of values that may be anything, and so may look like items."""


class _Element(NamedTuple):
    """An element's header as it was read: offsets are of the old data set."""

    offset: int
    tag: int
    vr: bytes
    """Empty where it has none."""
    length: int
    value: int


def rewrite(
    read: Read,
    read_into: ReadInto,
    size: int,
    source: Encoding,
    target: Encoding | None = None,
) -> Pieces:
    """Write the element headers of a data set anew.

    Parameters
    ----------
    read, read_into : callable
        Give bytes of it.
    size : int
        Its length, without what follows the last element.
    source : Encoding
        How it is encoded; `implicit` is as its first element is.
    target : Encoding, optional
        How it is to be encoded. None for as it is, but for values of odd length, which are padded.

    Raises
    ------
    DataSetDecodeError
        If an element overruns the data set.
    NotEncodable
        If an element cannot be encoded so.
    """

    def has_signed_pixels() -> bool:
        tag = PIXEL_REPRESENTATION
        found = walk(b"", size, source, read, wanted=(tag,), stop=tag + 1, nested=False)
        return found.values.get(tag) == b"\1\0"

    window = Window(b"", size, read, source.little)
    writer = _Writer(_Source(window, read_into, source), target, Scope(None, has_signed_pixels))
    writer.elements(0, Level(ELEMENTS, size, False, source.implicit))
    return writer.out


class _GroupLength:
    """A group length (PS3.5 7.2), which stays right if it was."""

    def __init__(self, value: bytes, order: str, start: int, pieces: Pieces) -> None:
        self.cell = bytearray(value)
        pieces.add(self.cell)
        self._order = order
        self._start = start
        self._pieces = pieces
        self._new_start = pieces.size

    def end(self, offset: int, order: str) -> None:
        """The group ends at an offset of the old data set."""
        if struct.unpack(self._order + "I", self.cell)[0] == offset - self._start:
            self.cell[:] = struct.pack(order + "I", self._pieces.size - self._new_start)
        elif order != self._order:
            self.cell.reverse()


class _Source(NamedTuple):
    """The data set that is read."""

    window: Window
    read_into: ReadInto
    encoding: Encoding


class _Writer:
    """Writes elements of a data set anew: its own, or those of an item.

    Attributes
    ----------
    out : Pieces
        What was written.
    """

    def __init__(
        self, source: _Source, target: Encoding | None, scope: Scope, depth: int = 0
    ) -> None:
        self.out = Pieces()
        self._source = source
        self._window = source.window
        self._target = target
        self._scope = scope
        self._depth = depth
        self._little = source.encoding.little
        self._order = "<" if self._little else ">"
        self._new_order = self._order if target is None else "<" if target.little else ">"

    def elements(self, offset: int, level: Level) -> int:
        """Write elements until they end; give where that is."""
        _, end, delimited, implicit = level
        order = self._new_order
        group_length: _GroupLength | None = None
        group = -1
        while offset < end:
            element = _Element(offset, *self._window.header(offset, implicit))
            _, tag, vr, length, value = element
            if tag >> 16 != group:
                if group_length is not None:
                    group_length.end(offset, order)
                    group_length = None
                group = tag >> 16
            if tag == ITEM_DELIMITATION:
                if not (delimited or (value == end and end != self._window.size)):
                    raise no_walk(f"an item ends at offset {offset} where there is none")
                self.out.add(struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0))
                return value
            if length == UNDEFINED:
                offset = self._undefined(element, end)
                continue
            if value + length > end:
                raise overrun(tag, offset)
            offset = value + length
            if not tag & 0xFFFF and length == 4 and vr in (b"", b"UL"):
                self._head(element, length, vr or b"UL")
                data = self._window.bytes_at(value, 4)
                group_length = _GroupLength(data, self._order, offset, self.out)
            elif not self._sequence(element):
                self._value(element)
        if delimited:
            raise no_walk(f"an item of undefined length at offset {offset} does not end")
        if group_length is not None:
            group_length.end(offset, order)
        return offset

    def _undefined(self, element: _Element, end: int) -> int:
        """Write an element of undefined length."""
        _, tag, vr, _, value = element
        target = self._target
        level = level_of(self._window, element[1:], end)
        if level is None:
            raise overrun(tag, element.offset)
        if level.kind != ITEMS:
            if target is not None:
                raise NotEncodable(f"{name_of(tag)} is encapsulated, which only explicit VR has")
            self._head(element, UNDEFINED, vr)
            return self._fragments(value, level)
        if target is not None:
            if not vr and representation(tag, self._scope) == b"SQ":
                vr = b"SQ"
            if vr != b"SQ":
                if target.little != self._little and not self._little:
                    raise NotEncodable(f"{name_of(tag)} is of undefined length and not known")
                vr = b"UN"
        # A UN is in implicit VR little endian, whatever it is in (PS3.5 6.2.2).
        inner = target if target is None or vr == b"SQ" or target.implicit else None
        items = _Writer(self._source, inner, self._scope, self._depth)
        offset = items.items(value, level)
        length = UNDEFINED
        if inner is None and target is not None and not target.little:
            # Among big endian elements not every reader (pydicom) knows that: it gets a length.
            items.out.drop_last()  # the delimiter
            length = items.out.size
        self._head(element, length, vr)
        self.out.extend(items.out)
        return offset

    def _sequence(self, element: _Element) -> bool:
        """Write an element of defined length as a sequence, if it is one."""
        _, tag, vr, length, value = element
        if vr and vr != b"SQ":
            return False
        inner = target = self._target
        begins_with_item = length >= 8 and self._window.header(value, True)[0] == ITEM
        if not vr:
            if target is not None and not target.implicit:
                vr = representation(tag, self._scope)
                if vr != b"SQ":
                    # In its own encoding, unless it is opaque.
                    vr, inner = b"UN", None
            if not (vr == b"SQ" and not length) and not begins_with_item:
                return False
            # One that nobody knows, and that is no usual one, is left as it is unless it is odd.
            known = vr == b"SQ" or length & 1
            if not known and level_of(self._window, element[1:], value + length) is None:
                return False
            if vr == b"UN" and representation(tag, self._scope) in _OPAQUE:
                return False
        items = _Writer(self._source, inner, self._scope, self._depth)
        try:
            items.items(value, Level(ITEMS, value + length, False, not element.vr))
        except DataSetDecodeError as error:
            if element.vr and target is not None and begins_with_item:
                raise NotEncodable(f"{name_of(tag)} is a damaged sequence: {error}") from None
            return False
        self._head(element, items.out.size, vr)
        self.out.extend(items.out)
        return True

    def items(self, offset: int, level: Level) -> int:
        """Write the items of a sequence; give where they end."""
        if self._depth >= MAXIMUM_DEPTH:
            raise no_walk(f"its sequences nest deeper than {MAXIMUM_DEPTH}")
        order = self._new_order
        while offset < level.end:
            value, inner = item_at(self._window, offset, level)
            if inner is None:
                self.out.add(struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0))
                return value
            item = _Writer(self._source, self._target, Scope(self._scope), self._depth + 1)
            offset = item.elements(value, inner)
            size = UNDEFINED if inner.delimited else item.out.size
            self.out.add(struct.pack(order + "HHI", 0xFFFE, 0xE000, size))
            self.out.extend(item.out)
        if level.delimited:
            raise endless(offset)
        return offset

    def _fragments(self, offset: int, level: Level) -> int:
        """Write the fragments of encapsulated pixel data, each padded to an even length."""
        while offset < level.end:
            value, fragment = item_at(self._window, offset, level)
            if fragment is None:
                self._keep(offset, value - offset)
                return value
            length = fragment.end - value
            if length & 1:
                self.out.add(struct.pack(self._order + "HHI", 0xFFFE, 0xE000, length + 1))
                self._keep(value, length)
                self.out.add(b"\0")
            else:
                self._keep(offset, fragment.end - offset)
            offset = fragment.end
        raise endless(offset)

    def _value(self, element: _Element) -> None:
        """Write an element whose value is not looked into."""
        _, tag, vr, length, value = element
        target, scope = self._target, self._scope
        if not vr:
            if is_creator(tag) and length < COPIED:
                scope.add_creator(tag, self._window.bytes_at(value, length))
            elif tag == PIXEL_REPRESENTATION and length == 2:
                scope.is_signed = self._window.bytes_at(value, 2) == b"\1\0"
        odd = length & 1
        new_vr, unit = vr, 1
        if target is not None:
            if not target.implicit:
                new_vr = self._fitting(tag, vr, length)
            if target.little != self._little:
                new_vr, unit = self._turned(element, new_vr)
        elif vr and vr not in LONG_VRS and length == 0xFFFF:
            new_vr = b"UN"  # as which alone it can be longer
        self._head(element, length + odd, new_vr)
        self._keep(value, length, unit, copies=target is not None)
        if odd:
            self.out.add(padding(vr or representation(tag, scope)))

    def _fitting(self, tag: int, vr: bytes, length: int) -> bytes:
        """The VR that an element has in explicit VR."""
        if not vr:
            vr = representation(tag, self._scope)
            if vr == b"SQ" or not can_hold(vr, length):
                return b"UN"
        return b"UN" if length >= 0xFFFF and vr not in LONG_VRS else vr  # padded it is even

    def _turned(self, element: _Element, vr: bytes) -> tuple[bytes, int]:
        """The VR in the other byte order, and the length of the words that are turned round."""
        _, tag, old_vr, length, _ = element
        if self._little:
            # A UN is in little endian, whatever it is in (PS3.5 6.2.2).
            vr = vr if is_whole(vr, length) else b"UN"
            return vr, UNITS.get(vr, 1)
        if not is_whole(old_vr, length):
            raise NotEncodable(f"{name_of(tag)} is not as its VR has it, in the other byte order")
        return vr, UNITS.get(old_vr, 1)

    def _head(self, element: _Element, length: int, vr: bytes) -> None:
        """Write an element's header."""
        offset, tag, old_vr, old_length, value = element
        implicit = not old_vr if self._target is None else self._target.implicit
        if self._target is None:
            if length == old_length:
                self._keep(offset, value - offset)
                return
            vr = vr if vr == b"UN" else old_vr
        order, group, number = self._new_order, tag >> 16, tag & 0xFFFF
        if implicit:
            self.out.add(struct.pack(order + "HHI", group, number, length))
        elif vr in LONG_VRS:
            self.out.add(struct.pack(order + "HH2sxxI", group, number, vr, length))
        else:
            self.out.add(struct.pack(order + "HH2sH", group, number, vr, length))

    def _keep(self, offset: int, length: int, unit: int = 1, *, copies: bool = False) -> None:
        if copies and length <= COPIED:
            data = self._window.bytes_at(offset, length)
            self.out.add(data if unit == 1 else bytes(swapped(data, unit)))
        else:
            self.out.keep(Stretch(self._source.read_into, offset, length, unit))
