"""How the formats of PS3.8 are declared: `Structure`, and the fields that have structures in them.

A PDU or item is a class body of fields in the order of the standard's table. Decoding, encoding,
equality, `repr` and the log dump are made from it, here and once.
"""

from __future__ import annotations

from collections.abc import Iterator
from copy import copy
from itertools import chain
from typing import Any, ClassVar, Self, TypeVar

from pynetdicom import _config
from pynetdicom.upper_layer.fields import (
    Field,
    Flag,
    Item,
    ListOf,
    Reader,
    Reserved,
    UnknownItem,
    with_length,
)

S = TypeVar("S", bound="Structure")

_SHOWN_BYTES = 32


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
    unknown_items: list[UnknownItem]

    def __init_subclass__(cls, item_types: tuple[int, ...] = ()) -> None:
        cls.item_types = item_types
        declared = [value for value in vars(cls).values() if isinstance(value, Field)]
        if declared:
            cls.fields = tuple(field for field in declared if not isinstance(field, Item))
            cls.items = {field.number: field for field in declared if isinstance(field, Item)}
            cls.names = tuple(f.name for f in declared if not isinstance(f, Reserved))

    def __init__(self, *args: Any, **values: Any) -> None:
        if len(args) > len(self.names):
            raise TypeError(f"{type(self).__name__} has {len(self.names)} fields")
        self._set_defaults()
        for name, value in chain(zip(self.names, args, strict=False), values.items()):
            if name not in vars(self):
                raise TypeError(f"{type(self).__name__} has no field {name!r}")
            setattr(self, name, value)

    def _set_defaults(self) -> None:
        values = vars(self)
        for field in (*self.fields, *self.items.values()):
            if not isinstance(field, Reserved):
                values[field.name] = copy(field.default)
        if self.items:
            values["unknown_items"] = []

    @classmethod
    def read(cls, reader: Reader, item_type: int = 0) -> Self:
        """Decode what follows the header, to the reader's end."""
        self = cls.__new__(cls)
        self._set_defaults()
        values = vars(self)
        values.update({item.name: type(item.default)() for item in cls.items.values()})
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
