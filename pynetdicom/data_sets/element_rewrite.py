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
    LONG_VRS,
    UNDEFINED,
    Encoding,
    Level,
    Survey,
    Window,
    check_depth,
    encoding_of,
    ended,
    no_walk,
    overrun,
)
from pynetdicom.data_sets.encoded import EncodedDataSet
from pynetdicom.data_sets.pieces import NotEncodable, Pieces, ReadInto, Stretch, swapped
from pynetdicom.data_sets.representations import (
    PIXEL_REPRESENTATION,
    Scope,
    heads_for,
    is_creator,
    name_of,
    padding,
    recoded,
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


def rewrite(data_set: EncodedDataSet, found: Survey, target: Encoding | None = None) -> Pieces:
    """Write the element headers of a data set anew.

    Parameters
    ----------
    data_set : EncodedDataSet
        Not deflated.
    found : Survey
        What a walk has shown of it.
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
        return data_set.peek(PIXEL_REPRESENTATION).get(PIXEL_REPRESENTATION) == b"\1\0"

    little = encoding_of(data_set.transfer_syntax).little
    window = Window(b"", found.end, data_set.read_at, little)
    writer = _Writer(window, data_set.read_into, target, Scope(has_signed_pixels))
    writer.elements(0, Level("elements", found.end, False, found.implicit))
    return writer.out


class _GroupLength(NamedTuple):
    """A group length (PS3.5 7.2), and where what it counts begins, before and now."""

    cell: bytearray
    start: int
    new_start: int


class _Writer:
    """Writes elements of a data set anew: its own, or those of an item.

    Attributes
    ----------
    out : Pieces
        What was written.
    """

    def __init__(
        self, window: Window, read_into: ReadInto, target: Encoding | None, scope: Scope
    ) -> None:
        self.out = Pieces()
        self._window = window
        self._read_into = read_into
        self._target = target
        self._scope = scope
        new_little = window.little if target is None else target.little
        self._order, self._new_order = (
            "<" if little else ">" for little in (window.little, new_little)
        )

    def elements(self, offset: int, level: Level) -> int:
        """Write elements until they end; give where that is."""
        _, end, delimited, implicit = level
        group_length: _GroupLength | None = None
        group = -1
        while offset < end:
            element = _Element(offset, *self._window.header(offset, implicit))
            _, tag, vr, length, value = element
            if tag >> 16 != group:
                self._end_group(group_length, offset)
                group_length, group = None, tag >> 16
            if tag == ITEM_DELIMITATION:
                if not (delimited or (value == end and end != self._window.size)):
                    raise no_walk(f"an item ends at offset {offset} where there is none")
                self._item(0xE00D, 0)
                return value
            if length == UNDEFINED:
                offset = self._undefined(element, end)
                continue
            if value + length > end:
                raise overrun(tag, offset)
            offset = value + length
            if not tag & 0xFFFF and length == 4 and vr in (b"", b"UL"):
                self._head(element, length, vr or b"UL")
                cell = bytearray(self._window.bytes_at(value, 4))
                self.out.add(cell)
                group_length = _GroupLength(cell, offset, self.out.size)
            elif not self._sequence(element):
                self._value(element)
        self._end_group(group_length, offset)
        return ended(level, offset)

    def _end_group(self, length: _GroupLength | None, offset: int) -> None:
        """Have the length of a group, which ends here, stay right if it was."""
        if length is None:
            return
        cell, start, new_start = length
        if struct.unpack(self._order + "I", cell)[0] == offset - start:
            cell[:] = struct.pack(self._new_order + "I", self.out.size - new_start)
        elif self._new_order != self._order:
            cell.reverse()

    def _undefined(self, element: _Element, end: int) -> int:
        """Write an element of undefined length."""
        _, tag, vr, _, value = element
        target = self._target
        level = self._window.level_of(element[1:], end)
        if level is None:
            raise overrun(tag, element.offset)
        if target is not None:
            if level.kind == "fragments":
                raise NotEncodable(f"{name_of(tag)} is encapsulated, which only explicit VR has")
            if not vr and representation(tag, self._scope) == b"SQ":
                vr = b"SQ"
            if vr != b"SQ":
                if target.little and not self._window.little:
                    raise NotEncodable(f"{name_of(tag)} is of undefined length and not known")
                vr = b"UN"
        # A UN is in implicit VR little endian, whatever it is in (PS3.5 6.2.2).
        inner = target if target is None or vr == b"SQ" or target.implicit else None
        items = _Writer(self._window, self._read_into, inner, self._scope)
        offset = items.items(value, level)
        # Among big endian elements not every reader (pydicom) knows that: it gets a length.
        has_length = inner is None and target is not None and not target.little
        self._head(element, items.out.size if has_length else UNDEFINED, vr)
        self.out.extend(items.out)
        if not has_length:
            self._item(0xE0DD, 0)
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
            if not known and self._window.level_of(element[1:], value + length) is None:
                return False
            if vr == b"UN" and representation(tag, self._scope) in _OPAQUE:
                return False
        items = _Writer(self._window, self._read_into, inner, self._scope)
        try:
            items.items(value, Level("items", value + length, False, not element.vr))
        except DataSetDecodeError as error:
            if element.vr and target is not None and begins_with_item:
                raise NotEncodable(f"{name_of(tag)} is a damaged sequence: {error}") from None
            return False
        self._head(element, items.out.size, vr)
        self.out.extend(items.out)
        return True

    def items(self, offset: int, level: Level) -> int:
        """Write the items of a sequence, or fragments, which are padded; give where they end."""
        check_depth(self._scope.depth)
        while offset < level.end:
            value, inner = self._window.item_at(offset, level)
            if inner is None:
                return value
            if level.kind == "fragments":
                length = inner.end - value
                if length & 1:
                    self._item(0xE000, length + 1)
                else:  # with its header it goes on where the last one ends: both are one stretch
                    self._keep(offset, value - offset)
                self._keep(value, length)
                self.out.add(b"\0" * (length & 1))
                offset = inner.end
                continue
            scope = Scope(self._scope.has_signed_pixels, self._scope.depth + 1)
            item = _Writer(self._window, self._read_into, self._target, scope)
            offset = item.elements(value, inner)
            self._item(0xE000, UNDEFINED if inner.delimited else item.out.size)
            self.out.extend(item.out)
        return ended(level, offset)

    def _item(self, number: int, length: int) -> None:
        """Write the header of an item, or a delimiter."""
        self.out.add(struct.pack(self._new_order + "HHI", 0xFFFE, number, length))

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
            little = self._window.little
            # In big endian nobody knows what words an element without a VR is of.
            old_vr = representation(tag, scope) if little and not vr else vr
            found = recoded(old_vr, length, little, target)
            if found is None:
                raise NotEncodable(
                    f"{name_of(tag)} is not as its VR has it, in the other byte order"
                )
            new_vr, unit = found
        elif vr and vr not in LONG_VRS and length == 0xFFFF:
            new_vr = b"UN"  # as which alone it can be longer
        self._head(element, length + odd, new_vr)
        self._keep(value, length, unit)
        if odd:
            self.out.add(padding(vr or representation(tag, scope)))

    def _head(self, element: _Element, length: int, vr: bytes) -> None:
        """Write an element's header."""
        offset, tag, old_vr, old_length, value = element
        encoding = self._target
        if encoding is None:
            if length == old_length:
                self._keep(offset, value - offset)
                return
            vr = vr if vr == b"UN" else old_vr
            encoding = Encoding(not old_vr, self._window.little, False)
        self.out.add(heads_for(encoding)(tag, vr.decode(), length))

    def _keep(self, offset: int, length: int, unit: int = 1) -> None:
        if self._target is not None and length <= COPIED:
            data = self._window.bytes_at(offset, length)
            self.out.add(data if unit == 1 else bytes(swapped(data, unit)))
        else:
            self.out.add(Stretch(self._read_into, offset, length, unit))
