"""The eleven DIMSE operations and C-CANCEL, declared as the standard's tables of their parameters.

Encoding, decoding, checks, `response` and `repr` come from the tables. Values that a user assigns
are checked; values that a peer sent are kept as they came, and `Primitive.missing` tells what is
absent.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Self

from pynetdicom.dimse import command
from pynetdicom.dimse.parameters import ROWS, DataSetParameter, Parameters

if TYPE_CHECKING:
    from pynetdicom.data_sets.encoded import EncodedDataSet

WITH_DATA_SET = 0x0001
"""The Command Data Set Type we send when a data set follows."""


_TABLES = (
    # PS3.7 9.1
    """
parameter                             C-STORE  C-FIND  C-GET  C-MOVE  C-ECHO  C-CANCEL
MessageID                             M/-      M/-     M/-    M/-     M/-     .
MessageIDBeingRespondedTo             -/M      -/M     -/M    -/M     -/M     M/-
AffectedSOPClassUID                   M/U=     M/U=    M/U=   M/U=    M/U=    .
AffectedSOPInstanceUID                M/U=     .       .      .       .       .
Priority                              M/-      M/-     M/-    M/-     .       .
MoveOriginatorApplicationEntityTitle  U/-      .       .      .       .       .
MoveOriginatorMessageID               U/-      .       .      .       .       .
DataSet                               M/-      .       .      .       .       .
MoveDestination                       .        .       .      M/-     .       .
Identifier                            .        M/C     M/U    M/U     .       .
Status                                -/M      -/M     -/M    -/M     -/M     .
NumberOfRemainingSuboperations        .        .       -/C    -/C     .       .
NumberOfCompletedSuboperations        .        .       -/C    -/C     .       .
NumberOfFailedSuboperations           .        .       -/C    -/C     .       .
NumberOfWarningSuboperations          .        .       -/C    -/C     .       .
OffendingElement                      -/C      -/C     -/C    -/C     .       .
ErrorComment                          -/C      -/C     -/C    -/C     -/C     .
ErrorID                               -/C      -/C     -/C    -/C     -/C     .
    """,
    # PS3.7 10.1
    """
parameter                  N-EVENT-REPORT  N-GET  N-SET  N-ACTION  N-CREATE  N-DELETE
MessageID                  M/-             M/-    M/-    M/-       M/-       M/-
MessageIDBeingRespondedTo  -/M             -/M    -/M    -/M       -/M       -/M
RequestedSOPClassUID       .               M/-    M/-    M/-       .         M/-
RequestedSOPInstanceUID    .               M/-    M/-    M/-       .         M/-
ModificationList           .               .      M/-    .         .         .
ActionTypeID               .               .      .      M/C=      .         .
ActionInformation          .               .      .      U/-       .         .
AffectedSOPClassUID        M/U=            -/U=   -/U=   -/U=      M/U=      -/U=
AffectedSOPInstanceUID     M/U=            -/U=   -/U=   -/U=      U/C=      -/U=
EventTypeID                M/C=            .      .      .         .         .
EventInformation           U/-             .      .      .         .         .
EventReply                 -/C             .      .      .         .         .
AttributeList              .               -/C    -/U    .         U/U       .
ActionReply                .               .      .      -/C       .         .
Status                     -/M             -/M    -/M    -/M       -/M       -/M
OffendingElement           -/C             -/C    -/C    -/C       -/C       -/C
ErrorComment               -/C             -/C    -/C    -/C       -/C       -/C
ErrorID                    -/C             -/C    -/C    -/C       -/C       -/C
AttributeIdentifierList    -/C             U/C    -/C    -/C       -/C       -/C
    """,
)
"""The usage of each parameter, in the request and in the response: M mandatory, U user option,
C conditional, - not there, = as in the request.
"""


def _read(table: str) -> dict[str, dict[str, tuple[str, str]]]:
    """Give operation → parameter → usage in the request, in the response."""
    header, *rows = (line.split() for line in table.strip().splitlines())
    return {
        operation: {row[0]: (row[column][0], row[column][2:]) for row in rows if row[column] != "."}
        for column, operation in enumerate(header)
        if column
    }


_USAGE = {**_read(_TABLES[0]), **_read(_TABLES[1])}


_CHECKS = {keyword: row.check for keyword, row in ROWS.items()}


class _Side(NamedTuple):
    """The requests of an operation, or its responses."""

    keywords: frozenset[str]
    layout: command.Layout
    mandatory: tuple[str, ...]
    """The first is the Message ID, the last the Command Data Set Type."""
    required: frozenset[str]
    """The same ones."""
    data_sets: tuple[str, ...]
    """The names of the data set, if it is mandatory."""


def _side(usage: dict[str, tuple[str, str]], side: int) -> _Side:
    there = [keyword for keyword, used in usage.items() if used[side] != "-"]
    mandatory = [keyword for keyword in there if usage[keyword][side] == "M"]
    keywords = frozenset(("CommandField", *there, "CommandDataSetType")).intersection(ROWS)
    needed = tuple(k for k in (*mandatory, "CommandDataSetType") if k in keywords)
    data_sets = tuple(keyword for keyword in mandatory if keyword not in keywords)
    return _Side(keywords, command.layout_of(keywords), needed, frozenset(needed), data_sets)


class Primitive(Parameters):
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
    parameters: ClassVar[Mapping[str, tuple[str, str]]] = {}
    """Keyword → usage in the request, in the response."""
    data_set_parameters: ClassVar[Mapping[str, tuple[str, str]]] = {}
    sides: ClassVar[tuple[_Side, ...]]
    """Of the request and, if there is one, of the response."""
    # What a response takes over: (keyword, the request's keywords it may come from).
    _copied: ClassVar[tuple[tuple[str, tuple[str, str]], ...]]

    data_set: EncodedDataSet | None = None
    DataSet = DataSetParameter()

    def __init_subclass__(cls, field: int) -> None:
        cls.name = cls.__name__.replace("_", "-")
        cls.request_field = field
        usage = _USAGE[cls.name]
        cls.sides = (_side(usage, 0),)
        if "Status" in usage:
            cls.response_field = field | 0x8000
            cls.sides += (_side(usage, 1),)
        cls.parameters = {k: used for k, used in usage.items() if k in ROWS}
        cls.data_set_parameters = {k: used for k, used in usage.items() if k not in ROWS}
        # An Affected … of the response is the Requested … of a request that has one instead (PS3.7
        # 10.1.2 ff.).
        cls._copied = tuple(
            (keyword, (keyword, keyword.replace("Affected", "Requested")))
            for keyword, used in usage.items()
            if used[1].endswith("=")
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
        values = self.__dict__
        if name in self.parameters:
            values[name] = None if value is None else _CHECKS[name](value)
            if name == "MessageIDBeingRespondedTo" and self.response_field is not None:
                values["CommandField"] = self.request_field | (0 if value is None else 0x8000)
        elif name == "data_set":
            values["data_set"] = value
            values["CommandDataSetType"] = command.NO_DATA_SET if value is None else WITH_DATA_SET
        elif name in ("DataSet", "extra") or name in self.data_set_parameters:
            super().__setattr__(name, value)
        else:
            raise AttributeError(f"{self.name} has no parameter {name!r}")

    @cached_property
    def extra(self) -> dict[int, bytes]:
        """Elements that are not of this message."""
        return {}

    @property
    def message_name(self) -> str:
        """The message's name, such as ``"C-STORE-RQ"``."""
        return self.name + ("-RSP" if self.CommandField >= 0x8000 else "-RQ")

    @property
    def has_data_set(self) -> bool:
        """Whether a data set follows the command set, as the Command Data Set Type says."""
        return self.CommandDataSetType not in (None, command.NO_DATA_SET)

    def missing(self) -> list[str]:
        """Name the mandatory parameters that are absent, in the standard's order."""
        values = self.__dict__
        side = self.sides[values["CommandField"] >= 0x8000]
        if (
            side.required <= values.keys()
            and None not in values.values()
            and not (side.data_sets and values["CommandDataSetType"] == command.NO_DATA_SET)
        ):
            return []
        absent = [keyword for keyword in side.mandatory if values.get(keyword) is None]
        if values.get("CommandDataSetType") == command.NO_DATA_SET:
            absent += side.data_sets
        return absent

    def encode(self) -> bytes:
        """Encode the command set, with its Command Group Length; what is None is left out."""
        values = self.__dict__
        parts: list[bytes] = []
        for keyword, pack in self.sides[values["CommandField"] >= 0x8000].layout:
            if (value := values.get(keyword)) is not None:
                parts.append(pack(value))
        if extra := values.get("extra"):
            parts = command.with_extra(parts, extra)
        body = b"".join(parts)
        return command.group_length(0, 0, 4, len(body)) + body

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
            status if type(status) is int and 0 <= status <= 0xFFFF else _CHECKS["Status"](status)
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
        keywords = self.sides[self.CommandField >= 0x8000].keywords
        pairs = [
            f"{keyword}=0x{value:04X}" if keyword == "Status" else f"{keyword}={value!r}"
            for keyword in self.parameters
            if keyword in keywords and (value := self.__dict__.get(keyword)) is not None
        ]
        if self.data_set is not None:
            pairs.append(f"data_set={self.data_set!r}")
        return f"{type(self).__name__}({', '.join(pairs)})"


class C_STORE(Primitive, field=0x0001):
    """Store a composite SOP Instance (PS3.7 9.1.1)."""


class C_FIND(Primitive, field=0x0020):
    """Find what matches an identifier (PS3.7 9.1.2)."""

    Identifier = DataSetParameter()


class C_GET(Primitive, field=0x0010):
    """Have composite SOP Instances stored on the same association (PS3.7 9.1.3)."""

    Identifier = DataSetParameter()


class C_MOVE(Primitive, field=0x0021):
    """Have composite SOP Instances stored at a third AE (PS3.7 9.1.4)."""

    Identifier = DataSetParameter()


class C_ECHO(Primitive, field=0x0030):
    """Verify that the peer answers (PS3.7 9.1.5)."""


class C_CANCEL(Primitive, field=0x0FFF):
    """Cancel a C-FIND, C-GET or C-MOVE; there is no response (PS3.7 9.3.2.3)."""


class N_EVENT_REPORT(Primitive, field=0x0100):
    """Report an event about a SOP Instance (PS3.7 10.1.1)."""

    EventInformation = DataSetParameter()
    EventReply = DataSetParameter()


class N_GET(Primitive, field=0x0110):
    """Get attributes of a SOP Instance (PS3.7 10.1.2)."""

    AttributeList = DataSetParameter()


class N_SET(Primitive, field=0x0120):
    """Set attributes of a SOP Instance (PS3.7 10.1.3)."""

    ModificationList = DataSetParameter()
    AttributeList = DataSetParameter()


class N_ACTION(Primitive, field=0x0130):
    """Have an action done on a SOP Instance (PS3.7 10.1.4)."""

    ActionInformation = DataSetParameter()
    ActionReply = DataSetParameter()


class N_CREATE(Primitive, field=0x0140):
    """Create a SOP Instance (PS3.7 10.1.5)."""

    AttributeList = DataSetParameter()


class N_DELETE(Primitive, field=0x0150):
    """Delete a SOP Instance (PS3.7 10.1.6)."""


OPERATIONS: tuple[type[Primitive], ...] = tuple(Primitive.__subclasses__())
"""The operations, in the standard's order."""
