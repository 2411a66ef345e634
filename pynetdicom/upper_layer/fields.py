"""What the formats of PS3.8 are made of: a bounds-checked reader and the kinds of field.

What a peer sent is taken over unchecked but for its lengths; what a program assigns is checked.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from struct import Struct
from typing import TYPE_CHECKING, Any, Generic, NamedTuple, Self, TypeVar, cast, overload

from pynetdicom.errors import PDUDecodeError
from pynetdicom.uids import checked, text_of

T = TypeVar("T")

_ITEM_HEADER = Struct(">BxH")


class Reader:
    """A cursor over received bytes that never goes beyond the end of what it is in."""

    __slots__ = ("data", "at", "end", "pdu", "place")

    def __init__(self, data: memoryview, at: int, pdu: str) -> None:
        self.data = data
        self.at = at
        self.end = len(data)
        self.pdu = pdu
        self.place = ""

    def error(self, message: str, reason: int = 6, at: int | None = None) -> PDUDecodeError:
        offset = self.at if at is None else at
        return PDUDecodeError(message, pdu=self.pdu, field=self.place, offset=offset, reason=reason)

    def take(self, length: int | None = None) -> memoryview:
        """Return so many bytes; without a length, all that is left."""
        start, end = self.at, self.end if length is None else self.at + length
        if end > self.end:
            raise self.error(f"needs {length} bytes, {self.end - start} are left")
        self.at = end
        return self.data[start:end]

    def uint(self, size: int) -> int:
        return int.from_bytes(self.take(size), "big")

    def enter(self, length: int) -> int:
        """Narrow the reader to the next `length` bytes, return what `leave` is to be given."""
        outer, end = self.end, self.at + length
        if end > outer:
            raise self.error(f"length {length}, but {outer - self.at} bytes are left")
        self.end = end
        return outer

    def leave(self, outer: int) -> None:
        if self.at != self.end:
            raise self.error(f"{self.end - self.at} bytes more than the format has")
        self.end = outer

    def items(self, place: str) -> Iterator[int]:
        """Yield the type of each item to the end; its content is to be read before the next."""
        while self.at < self.end:
            self.place = place
            item_type, length = _ITEM_HEADER.unpack(self.take(4))
            outer = self.enter(length)
            yield item_type
            self.leave(outer)


class Field(Generic[T]):
    """A field: how it is checked, read and written. Values live in the instance's `__dict__`.

    Without a `__get__`, reading an attribute costs what a plain one does.

    Parameters
    ----------
    default
        The value of an instance made without one; None stands for "not set".
    item_type : int, optional
        The only item type in which the field occurs, for items that have two layouts.
    secret : bool
        Whether logs show the length only.
    """

    name = ""
    place = ""

    def __init__(self, default: Any = None, *, item_type: int = 0, secret: bool = False) -> None:
        self.default = default
        self.item_type = item_type
        self.secret = secret

    def __set_name__(self, owner: type, name: str) -> None:
        self.name = name
        self.place = f"{owner.__name__}.{name}"

    if TYPE_CHECKING:

        @overload
        def __get__(self, obj: None, owner: type) -> Self: ...
        @overload
        def __get__(self, obj: object, owner: type) -> T: ...
        def __get__(self, obj: object, owner: type) -> Any: ...

    def __set__(self, obj: object, value: Any) -> None:
        # What is None by default can be unset again.
        is_set = value is not None or self.default is not None
        vars(obj)[self.name] = self.check(value) if is_set else None

    types: tuple[type, ...] = ()

    def check(self, value: Any) -> T:
        """Return what is to be kept of an assigned value."""
        if not isinstance(value, self.types):
            names = " or ".join(one.__name__ for one in self.types)
            raise TypeError(f"{self.name!r} must be {names}, not {type(value).__name__!r}")
        return cast(T, value)

    def read(self, reader: Reader) -> T:
        """Return the value at the reader."""
        raise NotImplementedError

    def write(self, value: T) -> bytes:
        """Return the encoded value."""
        raise NotImplementedError


class Reserved(Field[None]):
    """Bytes sent as zero and not tested on receipt; without a size, all that is left."""

    def __init__(self, size: int | None = None) -> None:
        super().__init__()
        self.size = size

    def read(self, reader: Reader) -> None:
        reader.take(self.size)

    def write(self, value: None) -> bytes:
        return bytes(self.size or 0)


class UInt(Field[int]):
    """An unsigned integer of `size` bytes, big endian; `allowed` limits what is assigned."""

    types = (int,)

    def __init__(
        self, size: int, default: int | None = None, allowed: range | None = None, **options: Any
    ) -> None:
        super().__init__(default, **options)
        self.size = size
        self.allowed = allowed or range(256**size)

    def check(self, value: Any) -> int:
        if super().check(value) not in self.allowed:
            raise ValueError(f"{self.name!r} must be {self.allowed[0]} to {self.allowed[-1]}")
        return int(value)

    def read(self, reader: Reader) -> int:
        return reader.uint(self.size)

    def write(self, value: int) -> bytes:
        return value.to_bytes(self.size, "big")


class Flag(Field[bool | None]):
    """A byte that is 1 for yes; one that is not set is sent as no."""

    types = (bool,)

    def read(self, reader: Reader) -> bool:
        return reader.uint(1) == 1

    def write(self, value: bool | None) -> bytes:
        return b"\x01" if value else b"\x00"


class Octets(Field[bytes]):
    """Bytes to the end of the item."""

    types = (bytes, bytearray, memoryview)

    def check(self, value: Any) -> bytes:
        return bytes(super().check(value))

    def read(self, reader: Reader) -> bytes:
        return bytes(reader.take())

    def write(self, value: bytes) -> bytes:
        return value


class Text(Field[str]):
    """`size` characters, or all to the end; latin-1, so that all that came can be sent back."""

    maximum: int | None = None
    size: int | None = None

    def check(self, value: Any) -> str:
        text = self.strip(text_of(value, self.name))
        if self.maximum is not None and len(text) > self.maximum:
            raise ValueError(f"{self.name!r} must not exceed {self.maximum} characters: {text!r}")
        text.encode("latin-1")
        return text

    def strip(self, text: str) -> str:
        # Tolerated: UIDs padded to even length, as they are in a data set.
        return text.rstrip("\0 ")

    def read(self, reader: Reader) -> str:
        return self.strip(str(reader.take(self.size), "latin-1"))

    def write(self, value: str) -> bytes:
        return value.encode("latin-1").ljust(self.size or 0)


class UID(Text):
    """A UID to the end of the item, that must be one when assigned."""

    def check(self, value: Any) -> str:
        return checked("UI", value, self.name)


class AETitle(Text):
    """16 characters, leading and trailing spaces not significant."""

    maximum = size = 16

    def strip(self, text: str) -> str:
        return text.strip("\0 ")  # Tolerated: padded with NUL.


class ListOf(Field[list[Any]]):
    """Values of some types."""

    def __init__(self, *types: type) -> None:
        super().__init__([])
        self.types = types

    def check(self, value: Any) -> list[Any]:
        return [super(ListOf, self).check(one) for one in listed(value, self.name)]


class Wrapper(Field[T]):
    """A field that has something around another kind of field, or has it several times."""

    def __init__(self, kind: Field[Any], default: Any = None, **options: Any) -> None:
        super().__init__(default, **options)
        self.kind = kind

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self.kind.__set_name__(owner, name)

    def check(self, value: Any) -> T:
        return cast(T, self.kind.check(value))


class Sized(Wrapper[T]):
    """A length of `size` bytes in front."""

    def __init__(
        self, kind: Field[T], default: Any = None, *, size: int = 2, **options: Any
    ) -> None:
        super().__init__(kind, default, **options)
        self.size = size

    def read(self, reader: Reader) -> T:
        outer = reader.enter(reader.uint(self.size))
        value = self.kind.read(reader)
        reader.leave(outer)
        return cast(T, value)

    def write(self, value: T) -> bytes:
        return with_length(self.kind.write(value), self.size, self.name)


class Each(Wrapper[list[T]]):
    """One value after another to the end."""

    def __init__(self, kind: Field[T]) -> None:
        super().__init__(kind, [])

    def check(self, value: Any) -> list[T]:
        return [self.kind.check(one) for one in listed(value, self.name)]

    def read(self, reader: Reader) -> list[T]:
        values = []
        while reader.at < reader.end:
            values.append(self.kind.read(reader))
        return values

    def write(self, value: list[T]) -> bytes:
        return b"".join(map(self.kind.write, value))


class UnknownItem(NamedTuple):
    """An item of a type that this library does not know: kept, and skipped by everybody."""

    item_type: int
    data: bytes

    @classmethod
    def read(cls, reader: Reader, item_type: int) -> Self:
        return cls(item_type, bytes(reader.take()))

    def encode(self) -> bytes:
        """Return the item with its header."""
        return bytes((self.item_type, 0)) + with_length(self.data, 2, "data")


def with_length(encoded: bytes, size: int, name: str) -> bytes:
    """Return `encoded` with its length of `size` bytes in front."""
    if len(encoded) >= 256**size:
        raise ValueError(f"{name} takes {len(encoded)} bytes, too many for its length field")
    return len(encoded).to_bytes(size, "big") + encoded


def listed(value: Any, name: str) -> Iterable[Any]:
    """Return `value`, if it is a list."""
    if not isinstance(value, (list, tuple)):
        raise TypeError(f"{name!r} must be a list")
    return value
