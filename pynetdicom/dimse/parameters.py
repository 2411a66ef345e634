"""The rows of which the operations' tables consist: a parameter each, by its VR.

A row is read on a primitive as the parameter's value, and knows which values it may have.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING, Any, ClassVar, Generic, Self, TypeVar, overload

from pynetdicom import _config
from pynetdicom.dimse import command

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
    def check(self, value: Any) -> str:
        if isinstance(value, bytes):
            value = value.decode("latin-1")
        if not isinstance(value, str):
            raise TypeError(f"{self.keyword} must be a str, not {type(value).__name__}")
        text = str(value).strip(" \0")
        validator = _config.VALIDATORS.get(self.vr)
        if validator is not None:
            valid, reason = validator(text)
        else:
            reason = self.fault(text)
            valid = not reason
        if not valid:
            raise ValueError(f"{self.keyword} is not valid: {reason}")
        return text

    def fault(self, text: str) -> str:
        """Say what is wrong with `text`, or nothing."""
        return ""


class UI(_Text):
    """A UID."""

    vr = "UI"

    def fault(self, text: str) -> str:
        """A UID has 1 to 64 characters; more is asked only where `_config` says so."""
        if not 1 <= len(text) <= 64:
            return f"a UID has 1 to 64 characters, not {len(text)}"
        if not text.isascii() or not text.isprintable():
            return "a UID consists of digits and dots"
        if _config.ENFORCE_UID_CONFORMANCE and not is_conformant_uid(text):
            return "it does not conform to PS3.5 9.1"
        return ""


class AE(_Text):
    """An AE title."""

    vr = "AE"

    def fault(self, text: str) -> str:
        """An AE title has 1 to 16 characters, none of them a control character or a backslash."""
        if not 1 <= len(text) <= 16:
            return f"an AE title has 1 to 16 characters, not {len(text)}"
        if not text.isprintable() or "\\" in text:
            return "an AE title has neither control characters nor backslashes"
        if "?" not in text and b"?" in command.encode_text(text):
            return f"an AE title must be encodable in {', '.join(_config.CODECS)}"
        return ""


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
        from pynetdicom.dimse.data_set import InMemory

        if value is not None and not isinstance(value, (bytes, bytearray)):
            if not hasattr(value, "getvalue"):
                raise TypeError(f"{self.keyword} must be a BytesIO, not {type(value).__name__}")
            value = value.getvalue()
        instance.data_set = None if value is None else InMemory(bytes(value), "")


def is_conformant_uid(text: str) -> bool:
    """Tell whether `text` is a UID as PS3.5 9.1 has it."""
    parts = text.split(".")
    return len(text) <= 64 and all(
        part.isascii() and part.isdigit() and (part == "0" or part[0] != "0") for part in parts
    )
