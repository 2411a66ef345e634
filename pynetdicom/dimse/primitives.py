"""The eleven DIMSE operations and C-CANCEL, declared as the standard's tables of their parameters.

A class body is that table: one row a parameter, with its usage in the request and in the response
(M mandatory, U user option, C conditional, ``-`` not there, ``=`` as in the request). Encoding,
decoding, checks, `response` and `repr` come from it. Values that a user assigns are checked;
values that a peer sent are kept as they came, `Primitive.missing` tells what is absent.
"""

from __future__ import annotations

from collections.abc import Mapping, Set
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, Self

from pynetdicom.dimse import command
from pynetdicom.dimse.parameters import AE, AT, LO, UI, US, DataSetParameter, Parameter

if TYPE_CHECKING:
    from pynetdicom.data_sets.encoded import EncodedDataSet

WITH_DATA_SET = 0x0001
"""The Command Data Set Type we send when a data set follows."""


class Primitive:
    """A request or a response of one DIMSE operation.

    The parameters are given by keyword; naming `MessageIDBeingRespondedTo` makes it a response.
    Parameters without a value are None.

    Attributes
    ----------
    extra : dict of int to bytes
        Elements that are not of this message: tag → value. Of other groups than 0000 there should
        be none in a command set.
    """

    name: ClassVar[str] = ""
    request_field: ClassVar[int] = 0
    response_field: ClassVar[int | None] = None
    parameters: ClassVar[Mapping[str, Parameter[Any]]] = {}
    data_set_parameters: ClassVar[tuple[DataSetParameter, ...]] = ()
    # Each of them by direction: [request, response].
    _layouts: ClassVar[tuple[command.Layout, command.Layout]]
    _keywords: ClassVar[tuple[frozenset[str], frozenset[str]]]
    _mandatory: ClassVar[tuple[tuple[str, ...], tuple[str, ...]]]
    _required: ClassVar[tuple[Set[str], Set[str]]]
    _needs_data_set: ClassVar[tuple[bool, bool]]
    # What a response takes over: (keyword, the request's keywords it may come from).
    _copied: ClassVar[tuple[tuple[str, tuple[str, str]], ...]]

    if TYPE_CHECKING:
        CommandField: int
        data_set: EncodedDataSet | None
    else:
        data_set = None

    # Every parameter can be read from every primitive; an operation's own table says which it has.
    MessageID = US("-", "-")
    MessageIDBeingRespondedTo = US("-", "-")
    AffectedSOPClassUID = UI("-", "-")
    AffectedSOPInstanceUID = UI("-", "-")
    RequestedSOPClassUID = UI("-", "-")
    RequestedSOPInstanceUID = UI("-", "-")
    Priority = US("-", "-")
    MoveDestination = AE("-", "-")
    MoveOriginatorApplicationEntityTitle = AE("-", "-")
    MoveOriginatorMessageID = US("-", "-")
    EventTypeID = US("-", "-")
    ActionTypeID = US("-", "-")
    AttributeIdentifierList = AT("-", "-")
    DataSet = DataSetParameter("-", "-")
    Status = US("-", "-")
    NumberOfRemainingSuboperations = US("-", "-")
    NumberOfCompletedSuboperations = US("-", "-")
    NumberOfFailedSuboperations = US("-", "-")
    NumberOfWarningSuboperations = US("-", "-")
    OffendingElement = AT("-", "-")
    ErrorComment = LO("-", "-")
    ErrorID = US("-", "-")

    def __init_subclass__(cls) -> None:
        rows = [row for row in vars(cls).values() if isinstance(row, Parameter)]
        data_sets = tuple(row for row in vars(cls).values() if isinstance(row, DataSetParameter))
        cls.parameters = {row.keyword: row for row in rows}
        cls.data_set_parameters = data_sets
        always = ("CommandField", "CommandDataSetType")
        keywords = [
            (*(row.keyword for row in rows if row.usage[side] != "-"), *always) for side in (0, 1)
        ]
        cls._keywords = (frozenset(keywords[0]), frozenset(keywords[1]))
        cls._layouts = (command.layout_of(keywords[0]), command.layout_of(keywords[1]))
        mandatory = [
            tuple(row.keyword for row in rows if row.usage[side][0] == "M") for side in (0, 1)
        ]
        cls._mandatory = (mandatory[0], mandatory[1])
        always_there = {"CommandDataSetType"}
        cls._required = (always_there.union(mandatory[0]), always_there.union(mandatory[1]))
        needs = [any(row.usage[side][0] == "M" for row in data_sets) for side in (0, 1)]
        cls._needs_data_set = (needs[0], needs[1])
        # An Affected … of the response is the Requested … of a request that has one instead (PS3.7
        # 10.1.2 ff.).
        cls._copied = tuple(
            (row.keyword, (row.keyword, row.keyword.replace("Affected", "Requested")))
            for row in rows
            if row.usage[1].endswith("=")
        )

    def __init__(self, *, data_set: EncodedDataSet | None = None, **parameters: Any) -> None:
        values = self.__dict__
        values["CommandField"] = self.request_field
        values["CommandDataSetType"] = command.NO_DATA_SET
        for keyword, value in parameters.items():
            setattr(self, keyword, value)
        if data_set is not None:
            self.data_set = data_set

    def __setattr__(self, name: str, value: Any) -> None:
        row = self.parameters.get(name)
        if row is not None:
            self.__dict__[name] = None if value is None else row.check(value)
            if name == "MessageIDBeingRespondedTo" and self.response_field is not None:
                self.__dict__["CommandField"] = (
                    self.request_field if value is None else self.response_field
                )
        elif name == "data_set":
            self.__dict__["data_set"] = value
            self.__dict__["CommandDataSetType"] = (
                command.NO_DATA_SET if value is None else WITH_DATA_SET
            )
        elif name in ("DataSet", "extra") or isinstance(
            getattr(type(self), name, None), DataSetParameter
        ):
            super().__setattr__(name, value)
        else:
            raise AttributeError(f"{self.name} has no parameter {name!r}")

    @cached_property
    def extra(self) -> dict[int, bytes]:
        """Elements that are not of this message."""
        return {}

    @property
    def command_field(self) -> int:
        """The Command Field, which says what message it is."""
        return self.CommandField

    @property
    def is_response(self) -> bool:
        """Whether it is a response."""
        return self.CommandField >= 0x8000

    @property
    def message_name(self) -> str:
        """The message's name, such as ``"C-STORE-RQ"``."""
        return self.name + ("-RSP" if self.CommandField >= 0x8000 else "-RQ")

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows the command set, as the Command Data Set Type says."""
        return bool(
            self.__dict__.get("CommandDataSetType", command.NO_DATA_SET) != command.NO_DATA_SET
        )

    def missing(self) -> list[str]:
        """Name the mandatory parameters that are absent, in the standard's order."""
        values = self.__dict__
        side = values["CommandField"] >= 0x8000
        if (
            self._required[side] <= values.keys()
            and None not in values.values()
            and (
                not self._needs_data_set[side]
                or values["CommandDataSetType"] != command.NO_DATA_SET
            )
        ):
            return []
        get = values.get
        absent = [keyword for keyword in self._mandatory[side] if get(keyword) is None]
        if get("CommandDataSetType") is None:
            absent.append("CommandDataSetType")
        elif not self.has_data_set:
            absent += [row.keyword for row in self.data_set_parameters if row.usage[side][0] == "M"]
        return absent

    def encode(self) -> bytes:
        """Encode the command set."""
        values = self.__dict__
        return command.encode(
            values, self._layouts[values["CommandField"] >= 0x8000], values.get("extra")
        )

    def response(
        self, status: int, *, data_set: EncodedDataSet | None = None, **parameters: Any
    ) -> Self:
        """Make the response to this request.

        It has `status`, and whatever the standard takes over from the request.

        Parameters
        ----------
        status : int
            The Status.
        data_set : EncodedDataSet, optional
            The data set that goes with it.
        **parameters
            Further parameters by keyword, such as ``ErrorComment``.
        """
        if self.response_field is None:
            raise ValueError(f"there is no response to {self.name}")
        request = self.__dict__
        rsp = type(self).__new__(type(self))
        values = rsp.__dict__
        values["CommandField"] = self.response_field
        values["CommandDataSetType"] = command.NO_DATA_SET
        values["MessageIDBeingRespondedTo"] = request.get("MessageID")
        values["Status"] = (
            status
            if type(status) is int and 0 <= status <= 0xFFFF
            else self.parameters["Status"].check(status)
        )
        for keyword, origins in self._copied:
            for origin in origins:
                if (value := request.get(origin)) is not None:
                    values[keyword] = value
                    break
        for keyword, value in parameters.items():
            setattr(rsp, keyword, value)
        if data_set is not None:
            rsp.data_set = data_set
        return rsp

    def __eq__(self, other: object) -> bool:
        if type(other) is not type(self):
            return NotImplemented
        return self._comparable() == other._comparable()

    __hash__ = None  # type: ignore[assignment]

    def _comparable(self) -> dict[str, Any]:
        return {
            key: value
            for key, value in self.__dict__.items()
            if value not in (None, {}) and key != "data_set"
        }

    def __repr__(self) -> str:
        side = self.CommandField >= 0x8000
        pairs = [
            f"{keyword}=0x{value:04X}" if keyword == "Status" else f"{keyword}={value!r}"
            for keyword in self.parameters
            if keyword in self._keywords[side] and (value := self.__dict__.get(keyword)) is not None
        ]
        if self.data_set is not None:
            pairs.append(f"data_set={self.data_set!r}")
        return f"{type(self).__name__}({', '.join(pairs)})"


class C_STORE(Primitive):
    """Store a composite SOP Instance (PS3.7 9.1.1)."""

    name = "C-STORE"
    request_field, response_field = 0x0001, 0x8001

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    AffectedSOPClassUID = UI("M", "U=")
    AffectedSOPInstanceUID = UI("M", "U=")
    Priority = US("M", "-", among=(0, 1, 2))
    MoveOriginatorApplicationEntityTitle = AE("U", "-")
    MoveOriginatorMessageID = US("U", "-")
    DataSet = DataSetParameter("M", "-")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")


class C_FIND(Primitive):
    """Find what matches an identifier (PS3.7 9.1.2)."""

    name = "C-FIND"
    request_field, response_field = 0x0020, 0x8020

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    AffectedSOPClassUID = UI("M", "U=")
    Priority = US("M", "-", among=(0, 1, 2))
    Identifier = DataSetParameter("M", "C")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")


class C_GET(Primitive):
    """Have composite SOP Instances stored on the same association (PS3.7 9.1.3)."""

    name = "C-GET"
    request_field, response_field = 0x0010, 0x8010

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    AffectedSOPClassUID = UI("M", "U=")
    Priority = US("M", "-", among=(0, 1, 2))
    Identifier = DataSetParameter("M", "U")
    Status = US("-", "M")
    NumberOfRemainingSuboperations = US("-", "C")
    NumberOfCompletedSuboperations = US("-", "C")
    NumberOfFailedSuboperations = US("-", "C")
    NumberOfWarningSuboperations = US("-", "C")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")


class C_MOVE(Primitive):
    """Have composite SOP Instances stored at a third AE (PS3.7 9.1.4)."""

    name = "C-MOVE"
    request_field, response_field = 0x0021, 0x8021

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    AffectedSOPClassUID = UI("M", "U=")
    Priority = US("M", "-", among=(0, 1, 2))
    MoveDestination = AE("M", "-")
    Identifier = DataSetParameter("M", "U")
    Status = US("-", "M")
    NumberOfRemainingSuboperations = US("-", "C")
    NumberOfCompletedSuboperations = US("-", "C")
    NumberOfFailedSuboperations = US("-", "C")
    NumberOfWarningSuboperations = US("-", "C")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")


class C_ECHO(Primitive):
    """Verify that the peer answers (PS3.7 9.1.5)."""

    name = "C-ECHO"
    request_field, response_field = 0x0030, 0x8030

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    AffectedSOPClassUID = UI("M", "U=")
    Status = US("-", "M")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")


class C_CANCEL(Primitive):
    """Cancel a C-FIND, C-GET or C-MOVE; there is no response (PS3.7 9.3.2.3)."""

    name = "C-CANCEL"
    request_field = 0x0FFF

    MessageIDBeingRespondedTo = US("M", "-")


class N_EVENT_REPORT(Primitive):
    """Report an event about a SOP Instance (PS3.7 10.1.1)."""

    name = "N-EVENT-REPORT"
    request_field, response_field = 0x0100, 0x8100

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    AffectedSOPClassUID = UI("M", "U=")
    AffectedSOPInstanceUID = UI("M", "U=")
    EventTypeID = US("M", "C=")
    EventInformation = DataSetParameter("U", "-")
    EventReply = DataSetParameter("-", "C")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")
    AttributeIdentifierList = AT("-", "C")


class N_GET(Primitive):
    """Get attributes of a SOP Instance (PS3.7 10.1.2)."""

    name = "N-GET"
    request_field, response_field = 0x0110, 0x8110

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    RequestedSOPClassUID = UI("M", "-")
    RequestedSOPInstanceUID = UI("M", "-")
    AttributeIdentifierList = AT("U", "C")
    AffectedSOPClassUID = UI("-", "U=")
    AffectedSOPInstanceUID = UI("-", "U=")
    AttributeList = DataSetParameter("-", "C")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")


class N_SET(Primitive):
    """Set attributes of a SOP Instance (PS3.7 10.1.3)."""

    name = "N-SET"
    request_field, response_field = 0x0120, 0x8120

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    RequestedSOPClassUID = UI("M", "-")
    RequestedSOPInstanceUID = UI("M", "-")
    ModificationList = DataSetParameter("M", "-")
    AttributeList = DataSetParameter("-", "U")
    AffectedSOPClassUID = UI("-", "U=")
    AffectedSOPInstanceUID = UI("-", "U=")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")
    AttributeIdentifierList = AT("-", "C")


class N_ACTION(Primitive):
    """Have an action done on a SOP Instance (PS3.7 10.1.4)."""

    name = "N-ACTION"
    request_field, response_field = 0x0130, 0x8130

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    RequestedSOPClassUID = UI("M", "-")
    RequestedSOPInstanceUID = UI("M", "-")
    ActionTypeID = US("M", "C=")
    ActionInformation = DataSetParameter("U", "-")
    AffectedSOPClassUID = UI("-", "U=")
    AffectedSOPInstanceUID = UI("-", "U=")
    ActionReply = DataSetParameter("-", "C")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")
    AttributeIdentifierList = AT("-", "C")


class N_CREATE(Primitive):
    """Create a SOP Instance (PS3.7 10.1.5)."""

    name = "N-CREATE"
    request_field, response_field = 0x0140, 0x8140

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    AffectedSOPClassUID = UI("M", "U=")
    AffectedSOPInstanceUID = UI("U", "C=")
    AttributeList = DataSetParameter("U", "U")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")
    AttributeIdentifierList = AT("-", "C")


class N_DELETE(Primitive):
    """Delete a SOP Instance (PS3.7 10.1.6)."""

    name = "N-DELETE"
    request_field, response_field = 0x0150, 0x8150

    MessageID = US("M", "-")
    MessageIDBeingRespondedTo = US("-", "M")
    RequestedSOPClassUID = UI("M", "-")
    RequestedSOPInstanceUID = UI("M", "-")
    AffectedSOPClassUID = UI("-", "U=")
    AffectedSOPInstanceUID = UI("-", "U=")
    Status = US("-", "M")
    OffendingElement = AT("-", "C")
    ErrorComment = LO("-", "C")
    ErrorID = US("-", "C")
    AttributeIdentifierList = AT("-", "C")


OPERATIONS: tuple[type[Primitive], ...] = (
    C_STORE,
    C_FIND,
    C_GET,
    C_MOVE,
    C_ECHO,
    C_CANCEL,
    N_EVENT_REPORT,
    N_GET,
    N_SET,
    N_ACTION,
    N_CREATE,
    N_DELETE,
)
"""The operations, in the standard's order."""
