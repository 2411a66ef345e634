"""Events: their table and their triggering, with the AE's callbacks as default handlers.

Notification events tell what happened: any number of handlers, whose exceptions are logged and go
no further. An intervention event asks one handler for an answer; unless one is bound, the matching
``on_…`` callback of the AE is asked.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from functools import cache
from typing import TYPE_CHECKING, Any

from pynetdicom import raised
from pynetdicom.running import HandlerItems, running_handlers
from pynetdicom.running import ahead as ahead
from pynetdicom.running import handled_here as handled_here

if TYPE_CHECKING:
    from datetime import datetime

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.tag import BaseTag

    from pynetdicom.association import Association
    from pynetdicom.association.state import AssociationState
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.upper_layer.contexts import PresentationContextTuple

LOGGER = logging.getLogger("pynetdicom.events")

Handler = Callable[..., Any]
HandlerSpec = tuple[Any, ...]
"""``(event, handler)`` or ``(event, handler, [args])``."""
EventHandlerType = HandlerSpec


class EventType:
    """A kind of event, such as `EVT_C_STORE`.

    Attributes
    ----------
    name : str
    description : str
    """

    __slots__ = ("description", "name")
    is_intervention = False
    is_notification = False

    def __init__(self, name: str, description: str) -> None:
        self.name = name
        self.description = description

    def __str__(self) -> str:
        return self.name

    def __repr__(self) -> str:
        return f"<{self.name}: {self.description}>"

    def __reduce__(self) -> str:
        return self.name


class NotificationEvent(EventType):
    """A kind of event that tells what happened."""

    __slots__ = ()
    is_notification = True


class InterventionEvent(EventType):
    """A kind of event that asks its handler for an answer."""

    __slots__ = ()
    is_intervention = True


EVT_CONN_OPEN = NotificationEvent("EVT_CONN_OPEN", "Connection with the peer opened")
EVT_CONN_CLOSE = NotificationEvent("EVT_CONN_CLOSE", "Connection with the peer closed")
EVT_REQUESTED = NotificationEvent("EVT_REQUESTED", "Association requested")
EVT_ACCEPTED = NotificationEvent("EVT_ACCEPTED", "Association accepted")
EVT_REJECTED = NotificationEvent("EVT_REJECTED", "Association rejected")
EVT_ESTABLISHED = NotificationEvent("EVT_ESTABLISHED", "Association established")
EVT_RELEASED = NotificationEvent("EVT_RELEASED", "Association released")
EVT_ABORTED = NotificationEvent("EVT_ABORTED", "Association aborted")
EVT_ACSE_RECV = NotificationEvent("EVT_ACSE_RECV", "ACSE primitive received")
EVT_ACSE_SENT = NotificationEvent("EVT_ACSE_SENT", "ACSE primitive sent")
EVT_DIMSE_RECV = NotificationEvent("EVT_DIMSE_RECV", "DIMSE message received")
EVT_DIMSE_SENT = NotificationEvent("EVT_DIMSE_SENT", "DIMSE message sent")
EVT_PDU_RECV = NotificationEvent("EVT_PDU_RECV", "PDU received")
EVT_PDU_SENT = NotificationEvent("EVT_PDU_SENT", "PDU sent")
EVT_DATA_RECV = NotificationEvent("EVT_DATA_RECV", "Bytes received")
EVT_DATA_SENT = NotificationEvent("EVT_DATA_SENT", "Bytes sent")
EVT_FSM_TRANSITION = NotificationEvent("EVT_FSM_TRANSITION", "The state machine has moved")

EVT_C_ECHO = InterventionEvent("EVT_C_ECHO", "C-ECHO request received")
EVT_C_STORE = InterventionEvent("EVT_C_STORE", "C-STORE request received")
EVT_C_FIND = InterventionEvent("EVT_C_FIND", "C-FIND request received")
EVT_C_GET = InterventionEvent("EVT_C_GET", "C-GET request received")
EVT_C_MOVE = InterventionEvent("EVT_C_MOVE", "C-MOVE request received")
EVT_N_ACTION = InterventionEvent("EVT_N_ACTION", "N-ACTION request received")
EVT_N_CREATE = InterventionEvent("EVT_N_CREATE", "N-CREATE request received")
EVT_N_DELETE = InterventionEvent("EVT_N_DELETE", "N-DELETE request received")
EVT_N_EVENT_REPORT = InterventionEvent("EVT_N_EVENT_REPORT", "N-EVENT-REPORT request received")
EVT_N_GET = InterventionEvent("EVT_N_GET", "N-GET request received")
EVT_N_SET = InterventionEvent("EVT_N_SET", "N-SET request received")
EVT_ASYNC_OPS = InterventionEvent("EVT_ASYNC_OPS", "Asynchronous operations window proposed")
EVT_SOP_COMMON = InterventionEvent("EVT_SOP_COMMON", "SOP class common extended proposed")
EVT_SOP_EXTENDED = InterventionEvent("EVT_SOP_EXTENDED", "SOP class extended proposed")
EVT_USER_ID = InterventionEvent("EVT_USER_ID", "User identity proposed")

ALL_EVENTS: dict[str, EventType] = {
    name: event for name, event in globals().items() if isinstance(event, EventType)
}

OPERATION_EVENTS: dict[str, InterventionEvent] = {
    # DIMSE operation: the event that its request is
    "C-ECHO": EVT_C_ECHO,
    "C-STORE": EVT_C_STORE,
    "C-FIND": EVT_C_FIND,
    "C-GET": EVT_C_GET,
    "C-MOVE": EVT_C_MOVE,
    "N-ACTION": EVT_N_ACTION,
    "N-CREATE": EVT_N_CREATE,
    "N-DELETE": EVT_N_DELETE,
    "N-EVENT-REPORT": EVT_N_EVENT_REPORT,
    "N-GET": EVT_N_GET,
    "N-SET": EVT_N_SET,
}

ON_THE_WIRE = frozenset(
    (EVT_DATA_RECV, EVT_DATA_SENT, EVT_PDU_RECV, EVT_PDU_SENT, EVT_FSM_TRANSITION)
)
"""Events in the midst of reading or writing: their handlers cannot wait for either."""


@cache
def _clock() -> Callable[[], datetime]:
    """Give what tells the time; whoever has bound no handler does without the module."""
    from datetime import datetime

    return datetime.now


_IDENTIFIED = ("C-FIND", "C-GET", "C-MOVE")


class Event:
    """An event that has happened, as its handler gets it.

    It may be kept when its handler returns, for another thread for instance. What was received is
    given back when nobody holds the event, its ``request``, or a data set made of them.

    The attributes below depend on the event, see the reference of the events; asking for one that
    the event does not have raises `AttributeError`.

    Attributes
    ----------
    assoc : Association
    event : NotificationEvent or InterventionEvent
        The kind of event.
    timestamp : datetime.datetime
    """

    assoc: Association
    event: EventType
    timestamp: datetime

    def __init__(
        self,
        assoc: Any,
        event: EventType,
        attrs: dict[str, Any] | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        self.assoc = assoc
        self.event = event
        self.timestamp = timestamp or _clock()()
        self._decoded: Any = None
        if attrs:
            self.__dict__.update(attrs)

    def __getattr__(self, name: str) -> Any:
        raise AttributeError(f"{self.__dict__.get('event', 'Event')} has no attribute {name!r}")

    def _request(self, name: str, *operations: str) -> Any:
        """The request, if it is of one of `operations`."""
        request = self.__dict__.get("request")
        if request is None or (operations and request.name not in operations):
            raise AttributeError(f"{self.event.name} has no attribute {name!r}")
        return request

    def _data_set(self, name: str, *operations: str) -> Dataset:
        """The request's data set, decoded once."""
        request = self._request(name, *operations)
        if self._decoded is None:
            from pydicom.dataset import Dataset

            data_set = request.data_set
            self._decoded = Dataset() if data_set is None else data_set.decode()
            if data_set is not None and data_set.oddities:
                self.assoc._messenger.note_oddities(data_set.oddities, "received with")
        decoded: Dataset = self._decoded
        return decoded

    @property
    def context(self) -> PresentationContextTuple:
        """The presentation context of the request: its ID, abstract and transfer syntax."""
        self._request("context")
        context: PresentationContextTuple = self.__dict__["_context"].as_tuple
        return context

    @property
    def message_id(self) -> int:
        """The Message ID of the request."""
        return int(self._request("message_id").MessageID)

    @property
    def dataset(self) -> Dataset:
        """The data set of a C-STORE request, decoded when first asked for.

        Raises
        ------
        pynetdicom.errors.DataSetDecodeError
            It does not decode.
        """
        dataset = self._data_set("dataset", "C-STORE")
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = self.file_meta
        return dataset

    @property
    def file_meta(self) -> FileMetaDataset:
        """File meta information for the data set of a C-STORE request."""
        request = self._request("file_meta", "C-STORE")
        from pynetdicom.dsutils import create_file_meta

        return create_file_meta(
            sop_class_uid=request.AffectedSOPClassUID,
            sop_instance_uid=request.AffectedSOPInstanceUID,
            transfer_syntax=self.context.transfer_syntax,
        )

    @property
    def received(self) -> EncodedDataSet:
        """The data set of a request as it was received, to be sent on without being decoded.

        It goes to ``send_c_store``, ``send_c_find``, ``send_c_get`` and ``send_c_move`` of another
        association, also on another thread and after the handler has returned.
        """
        request = self._request("received")
        if request.data_set is None:
            from pynetdicom.data_sets.data_set import InMemory

            return InMemory(b"", self.context.transfer_syntax)
        data_set: EncodedDataSet = request.data_set
        return data_set

    def encoded_dataset(self, include_meta: bool = True) -> bytes:
        """The data set of a C-STORE request as it was received.

        Parameters
        ----------
        include_meta : bool
            With preamble and file meta information in front: the bytes of a DICOM file.
        """
        data_set = self._request("encoded_dataset", "C-STORE").data_set
        if data_set is None:
            return b""
        encoded: bytes = data_set.file_bytes() if include_meta else data_set.getvalue()
        return encoded

    @property
    def file_name(self) -> str:
        """A name for the file of a C-STORE request: its SOP Instance UID, and ``.dcm``.

        What peers send as a UID may be anything, ``../../x`` too.

        Raises
        ------
        ValueError
            It cannot be a file name: it is not of 1 to 64 digits and dots. A handler that lets this
            pass answers 0xC211.
        """
        from pynetdicom.utils import is_file_name

        uid: str = self._request("file_name", "C-STORE").AffectedSOPInstanceUID or ""
        if not is_file_name(uid):
            raise ValueError("the SOP Instance UID cannot be a file name")
        return f"{uid}.dcm"

    @property
    def dataset_path(self) -> Any:
        """Path of a file with the data set of a C-STORE request, until the handler returns.

        Everything else of an event stays for as long as the event is held: it may be put into a
        queue, and a worker may read it when the sender has had its answer.
        """
        return self._request("dataset_path", "C-STORE").data_set.path

    def save_as(self, path: Any, overwrite: bool = True, sync: bool = False) -> None:
        """Save the data set of a C-STORE request as a DICOM file, without decoding it.

        Nobody sees an incomplete file under that name.

        Parameters
        ----------
        path : str or os.PathLike
        overwrite : bool
            Whether a file of that name may be replaced.
        sync : bool
            Return only when file and name are on the disk.

        Raises
        ------
        FileExistsError
            There is such a file, and `overwrite` is False.
        OSError
            It cannot be written; no part of it is left.
        """
        self._request("save_as", "C-STORE").data_set.save_as(path, overwrite=overwrite, sync=sync)

    @property
    def identifier(self) -> Dataset:
        """The identifier of a C-FIND, C-GET or C-MOVE request."""
        return self._data_set("identifier", *_IDENTIFIED)

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer has cancelled the C-FIND, C-GET or C-MOVE, or is gone.

        False where there is nothing to be cancelled: of any other event.
        """
        request = self.__dict__.get("request")
        if request is None or request.name not in _IDENTIFIED:
            return False
        return self.assoc.is_request_cancelled(request.MessageID)

    @property
    def move_destination(self) -> str:
        """The AE title that a C-MOVE sends to."""
        return str(self._request("move_destination", "C-MOVE").MoveDestination or "")

    @property
    def action_type(self) -> int:
        """The Action Type ID of an N-ACTION request."""
        return int(self._request("action_type", "N-ACTION").ActionTypeID)

    @property
    def action_information(self) -> Dataset:
        """The Action Information of an N-ACTION request."""
        return self._data_set("action_information", "N-ACTION")

    @property
    def attribute_list(self) -> Dataset:
        """The Attribute List of an N-CREATE request."""
        return self._data_set("attribute_list", "N-CREATE")

    @property
    def attribute_identifiers(self) -> list[BaseTag]:
        """The tags that an N-GET request asks for."""
        from pydicom.tag import Tag

        tags = self._request("attribute_identifiers", "N-GET").AttributeIdentifierList
        return [Tag(tag) for tag in tags or ()]

    @property
    def event_type(self) -> int:
        """The Event Type ID of an N-EVENT-REPORT request."""
        return int(self._request("event_type", "N-EVENT-REPORT").EventTypeID)

    @property
    def event_information(self) -> Dataset:
        """The Event Information of an N-EVENT-REPORT request."""
        return self._data_set("event_information", "N-EVENT-REPORT")

    @property
    def modification_list(self) -> Dataset:
        """The Modification List of an N-SET request."""
        return self._data_set("modification_list", "N-SET")


def trigger(
    assoc: AssociationState,
    event: EventType,
    attrs: dict[str, Any] | None = None,
    timestamp: datetime | None = None,
) -> Any:
    """Have an event happen to an association.

    Parameters
    ----------
    assoc : Association
    event : NotificationEvent or InterventionEvent
    attrs : dict, optional
        Further attributes of the `Event`.

    Returns
    -------
    object
        What the handler of an intervention event gave; None for a notification event.

    Raises
    ------
    Exception
        Whatever the handler of an intervention event raises.
    """
    running = running_handlers.events
    depth = len(running)
    try:
        running.append((assoc, event))
        if event.is_intervention:
            bound = assoc._handlers.get(event)
            handler, args = bound[0] if bound else (get_default_handler(event), None)
            return handler(Event(assoc, event, attrs), *(args or ()))
        _notify(assoc, event, attrs or {}, timestamp)
        return None
    finally:
        del running[depth:]


RUNNING_HANDLERS = frozenset((trigger.__code__, HandlerItems.__next__.__code__))
"""The code of what runs handlers; the local variable ``event`` says of which event."""


def _notify(
    assoc: AssociationState, event: EventType, attrs: dict[str, Any], timestamp: datetime | None
) -> None:
    from pynetdicom import callbacks

    happened = None
    for handler, args in assoc.get_handlers(event):
        happened = happened or Event(assoc, event, attrs, timestamp)
        try:
            handler(happened, *(args or ()))
        except (Exception, SystemExit) as error:
            raised.log(LOGGER, f"a handler of {event} raised", error, handler)
    callbacks.tell(assoc, event, attrs.get("primitive") or attrs.get("_primitive"))


@cache
def get_default_handler(event: EventType) -> Handler:
    """The handler of an intervention event while none is bound: ask the AE's callback."""
    from pynetdicom import callbacks

    if event not in callbacks.CALLBACKS:
        raise ValueError(f"{event} has no default handler")
    return callbacks.ask
