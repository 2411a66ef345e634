"""What Storage Commitment says, as it is encoded (PS3.4 J.3): its lists, an item at a time.

In: references to instances, written one after another, into a file when they are many. Out: an
encoded data set, which is read in the same way; so a request for 100,000 instances takes the memory
of one. Nothing here is changed once it is made, and any thread may read it.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import lru_cache
from itertools import islice, pairwise
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, TypeVar, overload

from pynetdicom.data_sets.data_set import EncodedDataSet, InMemory, change_syntax
from pynetdicom.data_sets.element_walk import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    ITEM,
    ITEM_DELIMITATION,
    UNCOMPRESSED,
    UNDEFINED,
    Encoding,
    Level,
    Window,
    check_depth,
    encoding_of,
    ended,
    is_vr,
    no_walk,
    overrun,
)
from pynetdicom.data_sets.pieces import Pieces, Stretch
from pynetdicom.data_sets.read_buffers import CHUNK
from pynetdicom.data_sets.spool import Place, Spool
from pynetdicom.sop_class import StorageCommitmentPushModel
from pynetdicom.workflows.attributes import Findings
from pynetdicom.workflows.commitment_rules import Reference

if TYPE_CHECKING:
    from pynetdicom.association import Association

RETRIEVE_AE_TITLE = 0x00080054
REFERENCED_CLASS = 0x00081150
REFERENCED_INSTANCE = 0x00081155
TRANSACTION_UID = 0x00081195
FAILURE_REASON = 0x00081197
FAILED = 0x00081198
REFERENCED = 0x00081199

LISTS = {
    # The lists of instances, and what is of type 1 in their items.
    FAILED: (REFERENCED_CLASS, REFERENCED_INSTANCE, FAILURE_REASON),
    REFERENCED: (REFERENCED_CLASS, REFERENCED_INSTANCE),
}

_WANTED = frozenset(
    (RETRIEVE_AE_TITLE, REFERENCED_CLASS, REFERENCED_INSTANCE, TRANSACTION_UID, FAILURE_REASON)
)
_LONGEST = 1024
"""Bytes of a value; a UID has 64, several Retrieve AE Titles are possible."""

_Values = dict[int, bytes]
_Places = dict[int, tuple[int, Level]]
T = TypeVar("T")


class Item(NamedTuple):
    """What is said of an instance."""

    instance: Reference
    reason: int
    retrieve_ae_title: str


def transfer_syntax_of(assoc: Association) -> str:
    """In which transfer syntax an association takes what is said here, most likely."""
    for context in assoc.accepted_contexts:
        if context.abstract_syntax == StorageCommitmentPushModel:
            return context.transfer_syntax[0]
    return EXPLICIT_VR_LITTLE_ENDIAN


class Information:
    """What a request or a report says.

    Parameters
    ----------
    data_set : EncodedDataSet

    Raises
    ------
    DataSetDecodeError
        An element overruns what it is in; the items are looked at when they are asked for.
    """

    def __init__(self, data_set: EncodedDataSet) -> None:
        encoding = encoding_of(data_set.transfer_syntax)
        if encoding.deflated:
            data_set = InMemory(data_set.inflated(), EXPLICIT_VR_LITTLE_ENDIAN)
        self._data_set = data_set
        self._counts: dict[int, int] = {}
        self._little = encoding.little
        window = self._window()
        implicit = encoding.implicit
        if data_set.size >= 6:  # as for `walk`
            implicit = not is_vr(window.bytes_at(4, 2))
        top = Level("elements", data_set.size, False, implicit)
        _, self._values, self._places = _read(window, 0, top, 0)

    @property
    def transaction_uid(self) -> str:
        """The Transaction UID; empty if there is none."""
        return _text(self._values.get(TRANSACTION_UID))

    def findings(self, *needed: int) -> Findings:
        """What is missing of what has to be said, one of some lists too; looks at all items."""
        absent: set[int] = set()
        empty: set[int] = set()

        def look(values: _Values, tags: Iterable[int]) -> None:
            for tag in tags:
                if not (value := values.get(tag)):
                    (absent if value is None else empty).add(tag)

        look(self._values, [TRANSACTION_UID])
        for tag, wanted in LISTS.items():
            self._counts[tag] = 0
            for values in self._items(tag):
                self._counts[tag] += 1
                look(values, wanted)
        if not any(map(self.count, needed)):
            (empty if needed[0] in self._values else absent).add(needed[0])
        return Findings(sorted(absent), sorted(empty), [])

    def count(self, tag: int) -> int:
        """How many items a list has."""
        if tag not in self._counts:
            self._counts[tag] = sum(1 for _ in self._items(tag))
        return self._counts[tag]

    def items(self, tag: int) -> Iterator[Item]:
        """Give what the items of a list say."""
        order = "little" if self._little else "big"
        everywhere = _text(self._values.get(RETRIEVE_AE_TITLE))
        for values in self._items(tag):
            yield Item(
                Reference(
                    _text(values.get(REFERENCED_CLASS)), _text(values.get(REFERENCED_INSTANCE))
                ),
                int.from_bytes(values.get(FAILURE_REASON, b""), order),  # type: ignore[arg-type]  # one of both
                _text(values.get(RETRIEVE_AE_TITLE)) or everywhere,
            )

    def instances(self, tag: int) -> Iterator[Reference]:
        """Give the instances that the items of a list stand for."""
        return (item.instance for item in self.items(tag))

    def _items(self, tag: int) -> Iterator[_Values]:
        if tag not in self._places:
            return
        offset, level = self._places[tag]
        window = self._window()
        while offset < level.end:
            offset, item = window.item_at(offset, level)
            if item is None:
                return
            offset, values, _ = _read(window, offset, item, 1)
            yield values
        ended(level, offset)

    def _window(self) -> Window:
        data_set = self._data_set
        memory = data_set.memory
        if memory is None:
            return Window(b"", data_set.size, data_set.read_at, self._little)
        data = bytes(memory) if isinstance(memory, memoryview) else memory
        return Window(data, data_set.size, None, self._little)


def _read(window: Window, offset: int, level: Level, depth: int) -> tuple[int, _Values, _Places]:
    """Read an item, or the data set: where it ends, the values in it, and where its lists are."""
    _, end, delimited, implicit = level
    values: _Values = {}
    places: _Places = {}
    while offset < end:
        if not depth and end - offset < 8:
            break  # stray bytes
        header = window.header(offset, implicit)
        tag, vr, length, value = header
        if tag == ITEM_DELIMITATION and delimited:
            return value, values, places
        is_value = tag in _WANTED and length != UNDEFINED
        inner = None if is_value else window.level_of(header, end)
        if inner is None and tag in LISTS and vr == b"UN" and 0 < length <= end - value:
            inner = Level("items", value + length, False, True)  # PS3.5 6.2.2
        if inner is not None:
            places[tag] = value, inner
            offset = _skip(window, value, inner, depth)
            continue
        if value + length > end:
            raise overrun(tag, offset)
        if tag in _WANTED and length <= _LONGEST:
            values[tag] = window.bytes_at(value, length)
        elif tag in _WANTED or (tag in LISTS and length):
            raise no_walk(f"({tag >> 16:04X},{tag & 0xFFFF:04X}) is not what it should be")
        elif tag in LISTS:
            values[tag] = b""
        offset = value + length
    return (ended(level, offset) if delimited else offset), values, places


def _skip(window: Window, offset: int, level: Level, depth: int) -> int:
    """Give where a sequence ends."""
    check_depth(depth)
    if not level.delimited:
        return level.end
    while offset < level.end:
        offset, item = window.item_at(offset, level)
        if item is None:
            return offset
        offset = _read(window, offset, item, depth + 1)[0] if item.delimited else item.end
    return ended(level, offset)


def _text(value: bytes | None) -> str:
    return (value or b"").decode("latin-1").strip(" \0")


class Writer:
    """Writes a list of instances.

    Parameters
    ----------
    transfer_syntax : str
        Of what the list is for.
    directory : str, optional
        Where its file is, if it is long; by default the system's directory for such files.
    """

    def __init__(self, transfer_syntax: str, directory: str | None = None) -> None:
        self._encoding = encoding_of(transfer_syntax)
        self._spool = Spool(Place("", directory, CHUNK), b"")
        self._buffer = bytearray()
        self.count = 0

    def add(self, instance: Reference, reason: int | None = None) -> None:
        """Write an item.

        Raises
        ------
        ValueError
            A UID cannot be encoded.
        OSError
            There is no room for it.
        """
        encoding = self._encoding
        sop_class = _uid_element(encoding, REFERENCED_CLASS, instance.sop_class)
        item = sop_class + _uid(encoding, REFERENCED_INSTANCE, instance.sop_instance)
        if reason is not None:
            value = struct.pack("<H" if encoding.little else ">H", reason)
            item += _head(encoding, FAILURE_REASON, b"US", 2) + value
        self._buffer += _head(encoding, ITEM, b"", len(item)) + item
        self.count += 1
        if len(self._buffer) >= CHUNK // 4:
            self._flush()

    def _flush(self) -> None:
        full, self._buffer = self._buffer, bytearray()
        self._spool.add(memoryview(full))
        self._spool.flush()
        if self._spool.error is not None:
            raise self._spool.error

    def finish(self) -> EncodedDataSet:
        """Give the items."""
        self._flush()
        return self._spool.finish()


def write(
    transfer_syntax: str, transaction_uid: str, retrieve_ae_title: str | None, **lists: Writer
) -> EncodedDataSet:
    """Make a request, or a report.

    Parameters
    ----------
    transfer_syntax : str
        The one that the lists were written for.
    transaction_uid : str
    retrieve_ae_title : str or None
    **lists
        ``failed`` and ``referenced``; one without items is left out.
    """
    encoding = encoding_of(transfer_syntax)
    pieces = Pieces()
    if retrieve_ae_title:
        title = retrieve_ae_title.encode("latin-1")
        title += b" " * (len(title) % 2)
        pieces.add(_head(encoding, RETRIEVE_AE_TITLE, b"AE", len(title)) + title)
    pieces.add(_uid(encoding, TRANSACTION_UID, transaction_uid))
    for name, tag in (("failed", FAILED), ("referenced", REFERENCED)):  # in the order of their tags
        if name in lists and lists[name].count:
            items = lists[name].finish()
            pieces.add(_head(encoding, tag, b"SQ", items.size))
            pieces.add(Stretch(items.read_into, 0, items.size))
    is_deflated = encoding.deflated
    data_set = pieces.to_data_set(EXPLICIT_VR_LITTLE_ENDIAN if is_deflated else transfer_syntax)
    if is_deflated:
        return change_syntax(data_set, transfer_syntax)
    data_set.is_even = True
    return data_set


def rewritten(data_set: EncodedDataSet, transfer_syntax: str) -> EncodedDataSet:
    """Give a report of ours as it is in another transfer syntax."""
    if data_set.transfer_syntax == transfer_syntax or transfer_syntax not in UNCOMPRESSED:
        return data_set
    said = Information(data_set)
    referenced, failed = Writer(transfer_syntax), Writer(transfer_syntax)
    title = ""
    for item in said.items(REFERENCED):
        referenced.add(item.instance)
        title = item.retrieve_ae_title
    for item in said.items(FAILED):
        failed.add(item.instance, item.reason)
    uid = said.transaction_uid
    return write(transfer_syntax, uid, title, referenced=referenced, failed=failed)


@lru_cache(64)  # most instances are of few classes
def _uid_element(encoding: Encoding, tag: int, uid: str) -> bytes:
    return _uid(encoding, tag, uid)


def _uid(encoding: Encoding, tag: int, uid: str) -> bytes:
    value = uid.encode("latin-1")
    if len(value) > _LONGEST:
        raise ValueError("a UID has at most 64 characters")
    if len(value) % 2:
        value += b"\0"
    return _head(encoding, tag, b"UI", len(value)) + value


def _head(encoding: Encoding, tag: int, vr: bytes, length: int) -> bytes:
    order = "<" if encoding.little else ">"
    where = tag >> 16, tag & 0xFFFF
    if encoding.implicit or tag == ITEM:
        return struct.pack(f"{order}HHI", *where, length)
    if vr == b"SQ":
        return struct.pack(f"{order}HH2sHI", *where, vr, 0, length)
    return struct.pack(f"{order}HH2sH", *where, vr, length)


_PARTS = 64


def is_twice(uids: Callable[[], Iterable[str]]) -> bool:
    """Whether one of many UIDs is there twice; they are gone through again where that may be.

    Of each UID there are 8 bytes in memory, in parts that are put in order one at a time.
    """
    parts = [array("q") for _ in range(_PARTS)]
    for uid in uids():
        number = hash(uid)
        parts[number % _PARTS].append(number)
    same = {one for part in parts for one, other in pairwise(sorted(part)) if one == other}
    if not same:
        return False
    seen: set[str] = set()
    for uid in uids():
        if hash(uid) in same:
            if uid in seen:
                return True
            seen.add(uid)
    return False


def untold(wanted: Iterable[Reference], *told: Iterable[Reference]) -> list[Reference]:
    """What is wanted and in none of the lists; in little memory where these are in its order."""
    lists = [iter(one) for one in told]
    heads = [next(one, None) for one in lists]
    left: dict[Reference, None] = {}
    for one in wanted:
        if one in heads:
            number = heads.index(one)
            heads[number] = next(lists[number], None)
        else:
            left[one] = None
    for head, others in zip(heads, lists, strict=True):
        if head is not None:
            left.pop(head, None)
        for one in others:
            left.pop(one, None)
    return list(left)


class Told(Sequence[T], Generic[T]):
    """A list of a report, read anew each time; equal to any sequence of the same items."""

    def __init__(self, read: Callable[[], Iterator[T]], length: int) -> None:
        self._read = read
        self._length = length

    def __iter__(self) -> Iterator[T]:
        return self._read()

    def __len__(self) -> int:
        return self._length

    @overload
    def __getitem__(self, index: int) -> T: ...
    @overload
    def __getitem__(self, index: slice) -> list[T]: ...
    def __getitem__(self, index: int | slice) -> T | list[T]:
        if isinstance(index, slice):
            return list(self)[index]
        number = range(self._length)[index]  # IndexError, or counted from the end
        return next(islice(self._read(), number, None))

    def __eq__(self, other: Any) -> bool:
        if not isinstance(other, Sequence) or len(self) != len(other):
            return NotImplemented if not isinstance(other, Sequence) else False
        return all(one == another for one, another in zip(self, other, strict=True))

    __hash__ = None  # type: ignore[assignment]  # as a list's

    def __repr__(self) -> str:
        return f"<{type(self).__name__} of {self._length}>"
