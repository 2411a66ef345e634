"""The parameters of DIMSE messages: element number, VR, and which values they may have.

On a primitive a parameter is read as its value.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from pynetdicom.uids import checked

T = TypeVar("T")


class Parameter(Generic[T]):
    """A parameter; on a primitive it gives the value, or None."""

    keyword = ""

    def __init__(self, element: int = 0, vr: str = "") -> None:
        self.element = element
        self.vr = vr

    def __set_name__(self, owner: type, name: str) -> None:
        self.keyword = name

    def __get__(self, instance: object, owner: type) -> T | None:
        return None

    if TYPE_CHECKING:
        # There is none at run time: the value is kept in the instance's __dict__, where reading
        # finds it first.
        def __set__(self, instance: object, value: object) -> None: ...

    check: Callable[[Any], T]
    """Returns a value as it is kept, or raises TypeError or ValueError."""


class US(Parameter[int]):
    """An unsigned 16 bit number, up to `highest`."""

    def __init__(self, element: int, highest: int = 0xFFFF) -> None:
        super().__init__(element, "US")
        self.highest = highest

    def check(self, value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise TypeError(f"{self.keyword} must be an int, not {type(value).__name__}")
        if not 0 <= value <= self.highest:
            raise ValueError(f"{self.keyword} must be from 0 to {self.highest}, not {value}")
        return int(value)


class Text(Parameter[str]):
    """A UID, an AE title, or a comment, of which what does not fit is cut when it is encoded."""

    def __set_name__(self, owner: type, name: str) -> None:
        super().__set_name__(owner, name)
        self.check = partial(checked, self.vr, name=name)


class Tags(Parameter[list[int]]):
    """A list of tags."""

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


class DataSetParameter(Parameter[BytesIO]):
    """The data set under the standard's name for it: an `io.BytesIO`, or None."""

    def __get__(self, instance: object, owner: type) -> BytesIO | None:
        data_set = getattr(instance, "data_set", None)
        return None if data_set is None else BytesIO(data_set.getvalue())

    def __set__(self, instance: Any, value: Any) -> None:
        from pynetdicom.data_sets.data_set import InMemory

        if value is not None and not isinstance(value, (bytes, bytearray)):
            if not hasattr(value, "getvalue"):
                raise TypeError(f"{self.keyword} must be a BytesIO, not {type(value).__name__}")
            value = value.getvalue()
        instance.data_set = None if value is None else InMemory(bytes(value), "")


class Parameters:
    """Every parameter, which can be read from every primitive (PS3.7 E.1)."""

    AffectedSOPClassUID = Text(0x0002, "UI")
    RequestedSOPClassUID = Text(0x0003, "UI")
    CommandField: int = US(0x0100)  # type: ignore[assignment]  # none is without
    MessageID = US(0x0110)
    MessageIDBeingRespondedTo = US(0x0120)
    MoveDestination = Text(0x0600, "AE")
    Priority = US(0x0700, highest=2)
    CommandDataSetType = US(0x0800)
    Status = US(0x0900)
    OffendingElement = Tags(0x0901, "AT")
    ErrorComment = Text(0x0902, "LO")
    ErrorID = US(0x0903)
    AffectedSOPInstanceUID = Text(0x1000, "UI")
    RequestedSOPInstanceUID = Text(0x1001, "UI")
    EventTypeID = US(0x1002)
    AttributeIdentifierList = Tags(0x1005, "AT")
    ActionTypeID = US(0x1008)
    NumberOfRemainingSuboperations = US(0x1020)
    NumberOfCompletedSuboperations = US(0x1021)
    NumberOfFailedSuboperations = US(0x1022)
    NumberOfWarningSuboperations = US(0x1023)
    MoveOriginatorApplicationEntityTitle = Text(0x1030, "AE")
    MoveOriginatorMessageID = US(0x1031)


ROWS: dict[str, Parameter[Any]] = {
    name: row for name, row in vars(Parameters).items() if isinstance(row, Parameter)
}
"""The command elements in use by keyword, ascending by their number in group 0000."""
