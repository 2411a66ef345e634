"""The kinds of events: what happens, and what a handler finds in the `Event` of it.

Notification events tell what happened: any number of handlers, whose exceptions are logged and go
no further. An intervention event asks one handler for an answer; unless one is bound, the matching
``on_…`` callback of the AE is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Generic

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable
    from typing import Concatenate, TypeAlias

    from pydicom.dataset import Dataset
    from typing_extensions import TypeVar

    from pynetdicom.data_sets.encoded import EncodedDataSet
    from pynetdicom.upper_layer.items import SOPClassCommonExtendedNegotiation

    E = TypeVar("E", default=Any)
    R = TypeVar("R", default=Any)
    Handles: TypeAlias = Callable[[E], R]
    """A handler: what it is called with, and what it gives."""
    HandlesMore: TypeAlias = Callable[Concatenate[E, ...], R]
    """A handler that is called with more than the event."""

    # What they give

    Path: TypeAlias = str | os.PathLike[str]

    Status: TypeAlias = int | Dataset
    """A status: its code, or a data set with Status and what else is to be said."""
    DataSet: TypeAlias = Dataset | EncodedDataSet
    """A data set to be sent: one of pydicom's, or one that is encoded already."""
    Instance: TypeAlias = DataSet | Path
    """A SOP Instance to be sent."""
    Matches: TypeAlias = Iterable[tuple[Status, DataSet | None]]
    """What a C-FIND handler yields: ``(status, identifier)`` for each match."""
    Instances: TypeAlias = Iterable[int | tuple[Status, Instance | None]]
    """What a C-GET handler yields: a number, then ``(status, dataset)`` for each instance."""
    Destination: TypeAlias = tuple[str | None, int | None] | tuple[str, int, dict[str, Any]]
    Retrieval: TypeAlias = Iterable[Destination | int | tuple[Status, Instance | None]]
    """What a C-MOVE handler yields: ``(addr, port)``, a number, then as for a C-GET."""
    Reply: TypeAlias = Status | tuple[Status, DataSet | None]
    """What the handler of an N-service returns: ``(status, dataset)``, or the status alone."""
    ExtendedAnswer: TypeAlias = dict[Any, bytes] | None
    CommonAnswer: TypeAlias = dict[Any, SOPClassCommonExtendedNegotiation]
    Info: TypeAlias = dict[str, Any]
    """What callbacks are told of the association and the request."""
    UserAnswer: TypeAlias = tuple[bool, bytes | None]
else:
    from typing import TypeVar

    E, R = TypeVar("E"), TypeVar("R")


class EventType(Generic[E, R]):
    """A kind of event, such as `EVT_C_STORE`.

    For type checkers it says what its handlers are called with, and what they give.

    Attributes
    ----------
    name : str
    description : str
    attributes : tuple of str
        What its `Event` has beside ``assoc``, ``event`` and ``timestamp``.
    """

    is_intervention = False
    is_notification = False

    def __init__(self, name: str, description: str, attributes: str = "") -> None:
        self.name = name
        self.description = description
        self.attributes = tuple(attributes.split())

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{self.name}: {self.description}>"

    def __reduce__(self) -> str:
        return self.name


class NotificationEvent(EventType[E, R]):
    """A kind of event that tells what happened."""

    is_notification = True


class InterventionEvent(EventType[E, R]):
    """A kind of event that asks its handler for an answer."""

    is_intervention = True


_REQUEST = "request context message_id received is_cancelled"

OPERATION_EVENTS: dict[str, InterventionEvent] = {}
"""DIMSE operation: the event that its request is."""


def _request(operation: str, attributes: str = "") -> InterventionEvent:
    """The kind of event that a request of a DIMSE operation is."""
    event = InterventionEvent(
        f"EVT_{operation.replace('-', '_')}",
        f"{operation} request received",
        f"{_REQUEST} {attributes}",
    )
    OPERATION_EVENTS[operation] = event
    return event


EVT_CONN_OPEN = NotificationEvent("EVT_CONN_OPEN", "Connection with the peer opened", "address")
EVT_CONN_CLOSE = NotificationEvent("EVT_CONN_CLOSE", "Connection with the peer closed", "address")
EVT_REQUESTED = NotificationEvent("EVT_REQUESTED", "Association requested")
EVT_ACCEPTED = NotificationEvent("EVT_ACCEPTED", "Association accepted")
EVT_REJECTED = NotificationEvent("EVT_REJECTED", "Association rejected")
EVT_ESTABLISHED = NotificationEvent("EVT_ESTABLISHED", "Association established")
EVT_RELEASED = NotificationEvent("EVT_RELEASED", "Association released")
EVT_ABORTED = NotificationEvent("EVT_ABORTED", "Association aborted")
EVT_ACSE_RECV = NotificationEvent("EVT_ACSE_RECV", "ACSE primitive received", "primitive")
EVT_ACSE_SENT = NotificationEvent("EVT_ACSE_SENT", "ACSE primitive sent", "primitive")
EVT_DIMSE_RECV = NotificationEvent("EVT_DIMSE_RECV", "DIMSE message received", "message")
EVT_DIMSE_SENT = NotificationEvent("EVT_DIMSE_SENT", "DIMSE message sent", "message")
EVT_PDU_RECV = NotificationEvent("EVT_PDU_RECV", "PDU received", "pdu")
EVT_PDU_SENT = NotificationEvent("EVT_PDU_SENT", "PDU sent", "pdu")
EVT_DATA_RECV = NotificationEvent("EVT_DATA_RECV", "Bytes received", "data")
EVT_DATA_SENT = NotificationEvent("EVT_DATA_SENT", "Bytes sent", "data")
EVT_FSM_TRANSITION = NotificationEvent(
    "EVT_FSM_TRANSITION", "The state machine has moved", "current_state fsm_event action next_state"
)

EVT_C_ECHO = _request("C-ECHO")
EVT_C_STORE = _request(
    "C-STORE", "dataset file_meta file_name dataset_path encoded_dataset save_as"
)
EVT_C_FIND = _request("C-FIND", "identifier")
EVT_C_GET = _request("C-GET", "identifier")
EVT_C_MOVE = _request("C-MOVE", "identifier move_destination")
EVT_N_ACTION = _request("N-ACTION", "action_type action_information")
EVT_N_CREATE = _request("N-CREATE", "attribute_list")
EVT_N_DELETE = _request("N-DELETE")
EVT_N_EVENT_REPORT = _request("N-EVENT-REPORT", "event_type event_information")
EVT_N_GET = _request("N-GET", "attribute_identifiers")
EVT_N_SET = _request("N-SET", "modification_list attribute_list")
EVT_ASYNC_OPS = InterventionEvent(
    "EVT_ASYNC_OPS", "Asynchronous operations window proposed", "nr_invoked nr_performed"
)
EVT_SOP_COMMON = InterventionEvent("EVT_SOP_COMMON", "SOP class common extended proposed", "items")
EVT_SOP_EXTENDED = InterventionEvent("EVT_SOP_EXTENDED", "SOP class extended proposed", "app_info")
EVT_USER_ID = InterventionEvent(
    "EVT_USER_ID", "User identity proposed", "user_id_type primary_field secondary_field"
)

ALL_EVENTS: dict[str, EventType] = {
    name: event for name, event in globals().items() if isinstance(event, EventType)
}

ON_THE_WIRE = frozenset(
    (EVT_DATA_RECV, EVT_DATA_SENT, EVT_PDU_RECV, EVT_PDU_SENT, EVT_FSM_TRANSITION)
)
"""Events in the midst of reading or writing: their handlers cannot wait for either."""
