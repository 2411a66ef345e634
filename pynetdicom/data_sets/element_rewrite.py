"""A data set's element headers written anew: for another transfer syntax, or with even lengths.

Values are copied, never decoded; only their padding, and their byte order between little and big
endian, may change. Each header and the lengths of sequences and items follow from that. A value
that is not what its VR says goes as it is: as UN where the new encoding tells VRs (PS3.5 6.2.2).
"""

from __future__ import annotations

import struct
from typing import NamedTuple

from pynetdicom.data_sets.element_walk import (
    ITEM,
    ITEM_DELIMITATION,
    ITEMS,
    LONG_VRS,
    MAXIMUM_DEPTH,
    SEQUENCE_DELIMITATION,
    UNDEFINED,
    Encoding,
    Level,
    Read,
    WalkError,
    Window,
    item_is_implicit,
    may_be_sequence,
    overrun,
    undefined_level,
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
    WalkError
        If an element overruns the data set.
    NotEncodable
        If an element cannot be encoded so.
    """

    def has_signed_pixels() -> bool:
        tag = PIXEL_REPRESENTATION
        found = walk(b"", size, source, read=read, wanted=(tag,), stop=tag + 1, nested=False)
        return found.values.get(tag) == b"\1\0"

    out = Pieces()
    scope = Scope(None, has_signed_pixels)
    writer = _Writer(read, read_into, size, source)
    writer.elements(0, Level(0, size, False, source.implicit), out, target, scope, 0)
    return out


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


class _Writer:
    """Reads one data set, and writes its elements anew."""

    def __init__(self, read: Read, read_into: ReadInto, size: int, source: Encoding) -> None:
        self._window = Window(b"", size, read, source.little)
        self._read_into = read_into
        self._size = size
        self._little = source.little
        self._order = "<" if source.little else ">"

    def elements(
        self,
        offset: int,
        level: Level,
        out: Pieces,
        target: Encoding | None,
        scope: Scope,
        depth: int,
    ) -> int:
        """Write elements until they end; give where that is."""
        _, end, delimited, implicit = level
        header = self._window.header
        order = self._order if target is None else "<" if target.little else ">"
        group_length: _GroupLength | None = None
        group = -1
        while offset < end:
            element = _Element(offset, *header(offset, implicit))
            _, tag, vr, length, value = element
            if tag >> 16 != group:
                if group_length is not None:
                    group_length.end(offset, order)
                    group_length = None
                group = tag >> 16
            if tag == ITEM_DELIMITATION:
                if not (delimited or (value == end and end != self._size)):
                    raise WalkError(f"an item ends at offset {offset} where there is none")
                out.add(struct.pack(order + "HHI", 0xFFFE, 0xE00D, 0))
                return value
            if length == UNDEFINED:
                offset = self._undefined(element, end, out, target, scope, depth)
                continue
            if value + length > end:
                raise overrun(tag, offset)
            offset = value + length
            if not tag & 0xFFFF and length == 4 and vr in (b"", b"UL"):
                self._head(element, length, vr or b"UL", out, target)
                data = self._window.bytes_at(value, 4)
                group_length = _GroupLength(data, self._order, offset, out)
            elif not self._sequence(element, out, target, scope, depth):
                self._value(element, out, target, scope)
        if delimited:
            raise WalkError(f"an item of undefined length at offset {offset} does not end")
        if group_length is not None:
            group_length.end(offset, order)
        return offset

    def _undefined(
        self,
        element: _Element,
        end: int,
        out: Pieces,
        target: Encoding | None,
        scope: Scope,
        depth: int,
    ) -> int:
        """Write an element of undefined length."""
        _, tag, vr, _, value = element
        level = undefined_level(value, end, tag, vr)
        if level.kind != ITEMS:
            if target is not None:
                raise NotEncodable(f"{name_of(tag)} is encapsulated, which only explicit VR has")
            self._head(element, UNDEFINED, vr, out, None)
            return self._fragments(value, level, out)
        if target is not None:
            if not vr and representation(tag, scope) == b"SQ":
                vr = b"SQ"
            if vr != b"SQ":
                if target.little != self._little and not self._little:
                    raise NotEncodable(f"{name_of(tag)} is of undefined length and not known")
                vr = b"UN"
        inner = target if target is None or vr == b"SQ" or target.implicit else None
        if inner is not None or target is None or target.little:
            self._head(element, UNDEFINED, vr, out, target)
            # A UN is in implicit VR little endian, whatever it is in (PS3.5 6.2.2).
            return self._items(value, level, out, inner, scope, depth)
        # Among big endian elements not every reader (pydicom) knows that: it gets a length.
        items = Pieces()
        offset = self._items(value, level, items, None, scope, depth)
        items.drop_last()  # the delimiter
        self._head(element, items.size, vr, out, target)
        out.extend(items)
        return offset

    def _sequence(
        self, element: _Element, out: Pieces, target: Encoding | None, scope: Scope, depth: int
    ) -> bool:
        """Write an element of defined length as a sequence, if it is one."""
        _, tag, vr, length, value = element
        if vr and vr != b"SQ":
            return False
        inner = target
        if not vr:
            if target is not None and not target.implicit:
                vr = representation(tag, scope)
                if vr != b"SQ":
                    # In its own encoding, unless it is opaque.
                    vr, inner = b"UN", None
            if not (vr == b"SQ" and not length) and not self._begins_with_item(value, length):
                return False
            # One that nobody knows, and that is no usual one, is left as it is unless it is odd.
            known = vr == b"SQ" or length & 1
            if not known and not may_be_sequence(self._window, value, length, tag):
                return False
            if vr == b"UN" and representation(tag, scope) in _OPAQUE:
                return False
        items = Pieces()
        level = Level(ITEMS, value + length, False, not element.vr)
        try:
            self._items(value, level, items, inner, scope, depth)
        except WalkError as error:
            if element.vr and target is not None and self._begins_with_item(value, length):
                raise NotEncodable(f"{name_of(tag)} is a damaged sequence: {error}") from None
            return False
        self._head(element, items.size, vr, out, target)
        out.extend(items)
        return True

    def _begins_with_item(self, value: int, length: int) -> bool:
        return length >= 8 and self._window.header(value, True)[0] == ITEM

    def _items(
        self,
        offset: int,
        level: Level,
        out: Pieces,
        target: Encoding | None,
        scope: Scope,
        depth: int,
    ) -> int:
        _, end, delimited, implicit = level
        if depth >= MAXIMUM_DEPTH:
            raise WalkError(f"its sequences nest deeper than {MAXIMUM_DEPTH}")
        order = self._order if target is None else "<" if target.little else ">"
        while offset < end:
            if end - offset < 8:
                raise WalkError(f"a sequence ends within an item header at offset {offset}")
            tag, _, length, value = self._window.header(offset, True)
            if tag == SEQUENCE_DELIMITATION and delimited:
                out.add(struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0))
                return value
            if tag != ITEM:
                raise WalkError(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) at {offset} is not an item")
            undefined = length == UNDEFINED
            inner_end = end if undefined else value + length
            if inner_end > end:
                raise overrun(tag, offset)
            is_implicit = implicit and (
                not length or item_is_implicit(self._window, value, inner_end)
            )
            item = Pieces()
            inner = Level(0, inner_end, undefined, is_implicit)
            offset = self.elements(value, inner, item, target, Scope(scope), depth + 1)
            size = UNDEFINED if undefined else item.size
            out.add(struct.pack(order + "HHI", 0xFFFE, 0xE000, size))
            out.extend(item)
        if delimited:
            raise WalkError(f"a sequence of undefined length at offset {offset} does not end")
        return offset

    def _fragments(self, offset: int, level: Level, out: Pieces) -> int:
        """Write the fragments of encapsulated pixel data, each padded to an even length."""
        while offset < level.end:
            tag, _, length, value = self._window.header(offset, True)
            if tag not in (ITEM, SEQUENCE_DELIMITATION) or value + length > level.end:
                raise overrun(tag, offset)
            if length & 1:
                out.add(struct.pack(self._order + "HHI", 0xFFFE, 0xE000, length + 1))
                self._keep(value, length, out)
                out.add(b"\0")
            else:
                self._keep(offset, value + length - offset, out)
            offset = value + length
            if tag == SEQUENCE_DELIMITATION:
                return offset
        raise WalkError("encapsulated pixel data does not end")

    def _value(self, element: _Element, out: Pieces, target: Encoding | None, scope: Scope) -> None:
        """Write an element whose value is not looked into."""
        _, tag, vr, length, value = element
        if not vr:
            if is_creator(tag) and length < COPIED:
                scope.add_creator(tag, self._window.bytes_at(value, length))
            elif tag == PIXEL_REPRESENTATION and length == 2:
                scope.is_signed = self._window.bytes_at(value, 2) == b"\1\0"
        odd = length & 1
        new_vr, unit = vr, 1
        if target is not None:
            if not target.implicit:
                new_vr = self._fitting(tag, vr, length + odd, length, scope)
            if target.little != self._little:
                new_vr, unit = self._turned(element, new_vr)
        elif vr and vr not in LONG_VRS and length == 0xFFFF:
            new_vr = b"UN"  # as which alone it can be longer
        self._head(element, length + odd, new_vr, out, target)
        self._keep(value, length, out, unit, copies=target is not None)
        if odd:
            out.add(padding(vr or representation(tag, scope)))

    def _fitting(self, tag: int, vr: bytes, size: int, length: int, scope: Scope) -> bytes:
        """The VR that an element has in explicit VR."""
        if not vr:
            vr = representation(tag, scope)
            if vr == b"SQ" or not can_hold(vr, length):
                return b"UN"
        return b"UN" if size > 0xFFFF and vr not in LONG_VRS else vr

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

    def _head(
        self, element: _Element, length: int, vr: bytes, out: Pieces, target: Encoding | None
    ) -> None:
        """Write an element's header."""
        offset, tag, old_vr, old_length, value = element
        if target is None:
            if length == old_length:
                self._keep(offset, value - offset, out)
                return
            order, implicit = self._order, not old_vr
            vr = vr if vr == b"UN" else old_vr
        else:
            order, implicit = "<" if target.little else ">", target.implicit
        group, number = tag >> 16, tag & 0xFFFF
        if implicit:
            out.add(struct.pack(order + "HHI", group, number, length))
        elif vr in LONG_VRS:
            out.add(struct.pack(order + "HH2sxxI", group, number, vr, length))
        else:
            out.add(struct.pack(order + "HH2sH", group, number, vr, length))

    def _keep(
        self, offset: int, length: int, out: Pieces, unit: int = 1, *, copies: bool = False
    ) -> None:
        if copies and length <= COPIED:
            data = self._window.bytes_at(offset, length)
            out.add(data if unit == 1 else bytes(swapped(data, unit)))
        else:
            out.keep(Stretch(self._read_into, offset, length, unit))
