"""The rows of which the operations' tables consist: a parameter each, by its VR.

A row is read on a primitive as the parameter's value, and knows which values it may have.
"""

from __future__ import annotations

from collections.abc import Callable
from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from pynetdicom import _config

if TYPE_CHECKING:
    from pynetdicom.dimse.primitives import Primitive

T = TypeVar("T")


class Parameter(Generic[T]):
    """A row of an operation's table; on a primitive it gives the value, or None."""

    # No __set__ at run time: the value is kept in the instance's __dict__, where reading finds it
    # first.
    vr: ClassVar[str]

    def __init__(self, request: str, response: str) -> None:
        self.usage = (request, response)
        self.keyword = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.keyword = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Primitive, owner: type) -> T | None: ...
    def __get__(self, instance: Primitive | None, owner: type) -> Self | T | None:
        return self if instance is None else None

    if TYPE_CHECKING:

        def __set__(self, instance: Primitive, value: object) -> None: ...

    def check(self, value: Any) -> T:
        """Return `value` as it is kept, or raise TypeError or ValueError."""
        raise NotImplementedError


class US(Parameter[int]):
    """An unsigned 16 bit number."""

    vr = "US"

    def __init__(
        self, request: str, response: str, *, among: tuple[int, ...] | None = None
    ) -> None:
        super().__init__(request, response)
        self.among = among

    def check(self, value: Any) -> int:
        """Take an int from 0 to 65535, of those allowed."""
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{self.keyword} must be an int, not {type(value).__name__}")
        if not 0 <= value <= 0xFFFF or (self.among and value not in self.among):
            allowed = f"one of {self.among}" if self.among else "from 0 to 65535"
            raise ValueError(f"{self.keyword} must be {allowed}, not {value}")
        return int(value)


class _Text(Parameter[str]):
    validator: Callable[[str], tuple[bool, str]] | None = None

    def check(self, value: Any) -> str:
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if not isinstance(value, str):
            raise TypeError(f"{self.keyword} must be a str, not {type(value).__name__}")
        text = str(value).strip(" \0")
        validator = _config.VALIDATORS.get(self.vr, self.validator)
        if validator is not None:
            valid, why = validator(text)
            if not valid:
                raise ValueError(f"{self.keyword} {why}")
        return text


class UI(_Text):
    """A UID."""

    vr = "UI"
    validator = staticmethod(_config.validate_ui)


class AE(_Text):
    """An AE title."""

    vr = "AE"
    validator = staticmethod(_config.validate_ae)


class LO(_Text):
    """A comment; what does not fit is cut when it is encoded."""

    vr = "LO"


class AT(Parameter[list[int]]):
    """A list of tags."""

    vr = "AT"

    def check(self, value: Any) -> list[int]:
        """Take a tag or several: int, (group, element), or whatever pydicom makes a tag of."""
        if isinstance(value, (int, str)) or (
            isinstance(value, tuple)
            and len(value) == 2
            and all(type(part) is int and part <= 0xFFFF for part in value)
        ):
            value = [value]
        try:
            return [self._tag(tag) for tag in value]
        except TypeError:
            raise TypeError(f"{self.keyword} must be a list of tags") from None

    def _tag(self, tag: Any) -> int:
        if isinstance(tag, int) and not isinstance(tag, bool):
            if not 0 <= tag <= 0xFFFFFFFF:
                raise ValueError(f"{self.keyword}: {tag} is not a tag")
            return int(tag)
        from pydicom.tag import Tag

        return int(Tag(tag))


class DataSetParameter:
    """The row of the data set under the standard's name for it: an `io.BytesIO`, or None."""

    def __init__(self, request: str, response: str) -> None:
        self.usage = (request, response)
        self.keyword = ""

    def __set_name__(self, owner: type, name: str) -> None:
        self.keyword = name

    @overload
    def __get__(self, instance: None, owner: type) -> Self: ...
    @overload
    def __get__(self, instance: Primitive, owner: type) -> BytesIO | None: ...
    def __get__(self, instance: Primitive | None, owner: type) -> Self | BytesIO | None:
        if instance is None:
            return self
        data_set = instance.data_set
        return None if data_set is None else BytesIO(data_set.getvalue())

    def __set__(self, instance: Primitive, value: BytesIO | bytes | None) -> None:
        from pynetdicom.data_sets.data_set import InMemory

        if value is not None and not isinstance(value, (bytes, bytearray)):
            if not hasattr(value, "getvalue"):
                raise TypeError(f"{self.keyword} must be a BytesIO, not {type(value).__name__}")
            value = value.getvalue()
        instance.data_set = None if value is None else InMemory(bytes(value), "")
