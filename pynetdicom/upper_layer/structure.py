"""How the formats of PS3.8 are declared: `Structure`, its items, what has structures in it.

A PDU or item is a class body of fields in the order of the standard's table. Decoding, encoding,
equality, `repr` and the log dump are made from it, here and once.
"""

from __future__ import annotations

from collections.abc import Iterator
from itertools import chain
from typing import Any, ClassVar, Self, TypeVar, cast

from pynetdicom import _config
from pynetdicom.upper_layer.fields import (
    Field,
    Flag,
    ListOf,
    Reader,
    Reserved,
    UnknownItem,
    Wrapper,
    listed,
    with_length,
)

S = TypeVar("S", bound="Structure")
T = TypeVar("T")

_SHOWN_BYTES = 32


class Item(Wrapper[T]):
    """An item with a header of its own, behind the fixed fields; not sent while it is empty.

    A second one is an error, or is kept like an unknown item (`tolerant`).
    """

    def __init__(
        self, item_type: int, kind: Field[T], default: Any = "", *, tolerant: bool = False
    ) -> None:
        super().__init__(kind, default)
        self.number = item_type
        self.tolerant = tolerant

    def most(self) -> int:
        """So many of them are taken from a peer."""
        return 1

    def keep(self, values: dict[str, Any], reader: Reader) -> None:
        """Read the item into an instance's values."""
        values[self.name] = self.kind.read(reader)

    def write(self, value: T) -> bytes:
        return self.encode_one(value) if value else b""

    def encode_one(self, value: Any) -> bytes:
        encoded = self.kind.write(value)
        return bytes((self.number, 0)) + with_length(encoded, 2, self.name)


class Items(Item[list[T]]):
    """Items of one type that have a header each; at most so many, or as many as a setting says."""

    def __init__(self, item_type: int, kind: Field[T], most: int | str = 1 << 16) -> None:
        super().__init__(item_type, cast(Any, kind), [])
        self._most = most

    def most(self) -> int:
        most: int = getattr(_config, self._most) if isinstance(self._most, str) else self._most
        return most

    def check(self, value: Any) -> list[T]:
        return [self.kind.check(one) for one in listed(value, self.name)]

    def keep(self, values: dict[str, Any], reader: Reader) -> None:
        values[self.name].append(self.kind.read(reader))

    def write(self, value: list[T]) -> bytes:
        return b"".join([self.encode_one(one) for one in value])


class Structure:
    """A PDU or item: its fields are the class body, in the standard's order.

    Constructors take the fields by position or keyword.
    """

    item_types: ClassVar[tuple[int, ...]]
    """Its type in the header, the usual one first."""
    length_size: ClassVar[int] = 2
    fields: ClassVar[tuple[Field[Any], ...]] = ()
    """The fields in front of the items."""
    items: ClassVar[dict[int, Item[Any]]] = {}
    """The items by type, in the order they are sent."""
    names: ClassVar[tuple[str, ...]] = ()
    _defaults: ClassVar[dict[str, Any]] = {}
    _unsent: ClassVar[dict[str, Any]] = {}
    """The same where a peer sends what is set: items that it leaves out are empty."""
    _lists: ClassVar[tuple[str, ...]] = ()
    """The fields that are lists, empty at first: each instance has its own."""
    unknown_items: list[UnknownItem]

    def __init_subclass__(cls, item_types: tuple[int, ...] = ()) -> None:
        cls.item_types = item_types
        declared = [value for value in vars(cls).values() if isinstance(value, Field)]
        if declared:
            cls.fields = tuple(field for field in declared if not isinstance(field, Item))
            cls.items = {field.number: field for field in declared if isinstance(field, Item)}
            cls.names = tuple(f.name for f in declared if not isinstance(f, Reserved))
            cls._defaults = {f.name: f.default for f in declared if f.name in cls.names}
            empty = {item.name: type(item.default)() for item in cls.items.values()}
            cls._unsent = cls._defaults | empty
            lists = [name for name, value in cls._defaults.items() if isinstance(value, list)]
            cls._lists = (*lists, *(["unknown_items"] if cls.items else ()))

    def __init__(self, *args: Any, **values: Any) -> None:
        if len(args) > len(self.names):
            raise TypeError(f"{type(self).__name__} has {len(self.names)} fields")
        self._begin(self._defaults)
        for name, value in chain(zip(self.names, args, strict=False), values.items()):
            if name not in vars(self):
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
            setattr(self, name, value)

    def _begin(self, defaults: dict[str, Any]) -> None:
        values = vars(self)
        values.update(defaults)
        for name in self._lists:
            values[name] = []

    @classmethod
    def read(cls, reader: Reader, item_type: int = 0) -> Self:
        """Decode what follows the header, to the reader's end."""
        self = cls.__new__(cls)
        self._begin(cls._unsent)
        values = vars(self)
        start = reader.at
        for field in cls.fields:
            if not field.item_type or field.item_type == item_type:
                reader.place = field.place
                value = field.read(reader)
                if field.name in values:
                    values[field.name] = value
        if cls.items:
            self._read_items(reader)
        if problem := self.problem():
            reader.place = cls.__name__
            raise reader.error(problem, at=start)
        return self

    def _read_items(self, reader: Reader) -> None:
        values = vars(self)
        counts: dict[int, int] = {}
        for item_type in reader.items(f"{type(self).__name__}, its items"):
            counts[item_type] = count = counts.get(item_type, 0) + 1
            item = self.items.get(item_type)
            if item is None or (item.tolerant and values[item.name]):
                if len(self.unknown_items) >= (most := _config.MAXIMUM_USER_ITEMS):
                    raise reader.error(f"more than {most} unknown items", 5)
                self.unknown_items.append(UnknownItem.read(reader, item_type))
            elif count > (most := item.most()) and not item.tolerant:
                raise reader.error(f"more than {most} of item type 0x{item_type:02X}", 5)
            else:
                reader.place = item.place
                item.keep(values, reader)

    def problem(self) -> str:
        """Return what the standard forbids in it, if anything (peers are judged by it, not we)."""
        return ""

    def item_type(self) -> int:
        """Return the type in the header when it is sent."""
        return self.item_types[0]

    def write(self) -> bytes:
        """Return it encoded, without the header."""
        values = vars(self)
        item_type = self.item_type() if self.item_types else 0
        parts = []
        for field in (*self.fields, *self.items.values()):
            if not field.item_type or field.item_type == item_type:
                value = values.get(field.name)
                # a flag that was never set is no: role selection sets one of its two
                if value is None and not isinstance(field, (Flag, Reserved)):
                    raise ValueError(f"{field.place} has not been set")
                parts.append(field.write(value))
        parts += [item.encode() for item in values.get("unknown_items", ())]
        return b"".join(parts)

    def encode(self) -> bytes:
        """Return it encoded, with the header."""
        header = bytes((self.item_type(), 0)) if self.item_types else b""
        return header + with_length(self.write(), self.length_size, type(self).__name__)

    def __eq__(self, other: object) -> bool:
        if type(self) is not type(other):
            return NotImplemented
        return vars(self) == vars(other)

    __hash__ = None  # type: ignore[assignment]

    def _shown(self) -> Iterator[tuple[str, Any]]:
        secret = {field.name for field in self.fields if field.secret}
        for name, value in vars(self).items():
            if name in secret and value is not None:
                yield name, f"<{len(value)} bytes>"
            elif name != "unknown_items" or value:
                yield name, value

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={value!r}" for name, value in self._shown())
        return f"{type(self).__name__}({fields})"

    def dump(self, indent: str = "") -> str:
        """Return it in several lines, for the log; credentials and tokens are left out."""
        lines = [f"{indent}{type(self).__name__}"]
        for name, value in self._shown():
            values = value if isinstance(value, list) else [value]
            if any(isinstance(one, Structure) for one in values):
                lines.append(f"{indent}  {name}:")
                for one in values:
                    deeper = isinstance(one, Structure)
                    lines.append(one.dump(indent + "    ") if deeper else f"{indent}    {one!r}")
            elif isinstance(value, bytes) and len(value) > _SHOWN_BYTES:
                lines.append(f"{indent}  {name}: {value[:_SHOWN_BYTES]!r}… ({len(value)} bytes)")
            else:
                lines.append(f"{indent}  {name}: {value!r}")
        return "\n".join(lines)


class Nested(Field[S]):
    """A structure to the end of the item."""

    def __init__(self, structure: type[S]) -> None:
        super().__init__()
        self.structure = structure
        self.types = (structure,)

    def read(self, reader: Reader) -> S:
        return self.structure.read(reader)

    def write(self, value: S) -> bytes:
        return value.write()


class Choice(ListOf):
    """Items of several types to the end, in any order; unknown ones are kept."""

    def __init__(self, *structures: type[Structure]) -> None:
        super().__init__(*structures, UnknownItem)
        self.table = {number: cls for cls in structures for number in cls.item_types}

    def read(self, reader: Reader) -> list[Any]:
        values: list[Any] = []
        for item_type in reader.items(self.place):
            if len(values) >= _config.MAXIMUM_USER_ITEMS:
                raise reader.error(f"more than {_config.MAXIMUM_USER_ITEMS} items", 5)
            values.append(self.table.get(item_type, UnknownItem).read(reader, item_type))
        return values

    def write(self, value: list[Any]) -> bytes:
        return b"".join([item.encode() for item in value])
