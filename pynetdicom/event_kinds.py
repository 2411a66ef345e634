"""What handlers get: an `Event`, and a class for each kind of it.

In: what happened, on which association, with which attributes. Out: the object that its handlers
are called with.
"""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

from pynetdicom import event_types as evt
from pynetdicom.event_types import EventType

if TYPE_CHECKING:
    import os
    from builtins import property as of_kind
    from datetime import datetime

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.tag import BaseTag

    from pynetdicom.association import Association
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.dimse.messages import Message
    from pynetdicom.upper_layer.contexts import PresentationContextTuple
    from pynetdicom.upper_layer.items import SOPClassCommonExtendedNegotiation


if not TYPE_CHECKING:

    class of_kind(property):  # it is one
        """A property that an event has if the table of the kinds says so."""

        def __get__(self, event: Any, owner: Any = None) -> Any:
            if event is not None:
                name = self.fget.__name__
                if name not in event.event.attributes or "request" not in event.__dict__:
                    event.__getattr__(name)
            return super().__get__(event, owner)


_UIDS = (
    "AffectedSOPClassUID", "AffectedSOPInstanceUID", "RequestedSOPClassUID",
    "RequestedSOPInstanceUID",
)  # fmt: skip


class MessageUID(str):
    """A UID in a message, for as long as nobody has pydicom, which takes its time to import."""

    def __getattr__(self, name: str) -> Any:
        from pydicom.uid import UID

        return getattr(str.__new__(UID, self), name)


class Event:
    """An event that has happened, as its handler gets it.

    It may be kept when its handler returns, for another thread for instance. What was received is
    given back when nobody holds the event, its ``request``, or a data set made of them.

    Which of the attributes below it has depends on its kind: `EventType.attributes` names them.
    Asking for another one raises `AttributeError`. A handler that says what kind of event it takes,
    such as `CStoreEvent`, has more of it checked by type checkers.

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

    address: tuple[str, int]
    """Host and port of the peer, of ``EVT_CONN_OPEN`` and ``EVT_CONN_CLOSE``."""
    primitive: Any
    """The A-ASSOCIATE, A-RELEASE, A-ABORT or A-P-ABORT primitive."""
    message: Message
    """The DIMSE message."""
    pdu: Any
    """The PDU, see `pynetdicom.upper_layer.pdu`."""
    data: bytes
    """The bytes."""
    current_state: str
    """The state that the state machine was in, such as ``"Sta6"`` (PS3.8 9.2)."""
    fsm_event: str
    """What it was told, such as ``"Evt10"``."""
    action: str
    """What it did, such as ``"DT-2"``."""
    next_state: str
    """The state that it is in now."""
    request: Any
    """The request, with the parameters of its operation by their keywords."""
    nr_invoked: int
    """How many operations at a time the requestor would like to invoke."""
    nr_performed: int
    """How many operations at a time the requestor would like to perform."""
    items: dict[str, SOPClassCommonExtendedNegotiation]
    """The items that the requestor proposes, by SOP Class UID."""
    app_info: dict[str, bytes]
    """The service class application information, by SOP Class UID."""
    user_id_type: int
    """What kind of identity it is, see PS3.7 D.3.3.7."""
    primary_field: bytes
    """The user name, or what takes its place."""
    secondary_field: bytes
    """The passcode, if there is one."""

    def __init__(
        self,
        assoc: Any,
        event: EventType,
        attrs: dict[str, Any] | None = None,
        timestamp: datetime | None = None,
    ) -> None:
        self.assoc = assoc
        self.event = event
        if timestamp is None:  # the module is for those only who have bound a handler
            from datetime import datetime

            timestamp = datetime.now()
        self.timestamp = timestamp
        self._decoded: list[Dataset] = []  # one at most
        self.__dict__.update(attrs or {})
        if "request" in self.__dict__:
            given = self.request.__dict__
            kind = getattr(sys.modules.get("pydicom.uid"), "UID", MessageUID)
            for name in _UIDS:
                value = given.get(name)
                if type(value) is str:
                    # Without a check, and a warning: it is what the peer has sent.
                    given[name] = str.__new__(kind, value)

    if not TYPE_CHECKING:  # for whom there are just the names that are declared

        def __getattr__(self, name: str) -> Any:
            # Also where a property has raised it.
            raise AttributeError(f"{self.__dict__.get('event', 'Event')} has no attribute {name!r}")

    def _check(self, name: str) -> None:
        if name not in self.event.attributes or "request" not in self.__dict__:
            raise AttributeError(f"{self.event} has no attribute {name!r}")

    def _data_set(self) -> Dataset:
        """The request's data set, decoded once."""
        if not self._decoded:
            data_set = self.received
            self._decoded.append(data_set.decode())
            if data_set.oddities:
                self.assoc._invoker.messenger.note_oddities(data_set.oddities, "received with")
        return self._decoded[0]

    @of_kind
    def context(self) -> PresentationContextTuple:
        """The presentation context of the request: its ID, abstract and transfer syntax."""
        context: PresentationContextTuple = self.__dict__["_context"].as_tuple
        return context

    @of_kind
    def message_id(self) -> int:
        """The Message ID of the request."""
        return int(self.request.MessageID)

    @of_kind
    def dataset(self) -> Dataset:
        """The data set of a C-STORE request, decoded when first asked for.

        Raises
        ------
        pynetdicom.errors.DataSetDecodeError
            It does not decode.
        """
        dataset = self._data_set()
        if not hasattr(dataset, "file_meta"):
            dataset.file_meta = self.file_meta
        return dataset

    @of_kind
    def file_meta(self) -> FileMetaDataset:
        """File meta information for the data set of a C-STORE request."""
        from pynetdicom.dsutils import create_file_meta

        request = self.request
        return create_file_meta(
            sop_class_uid=request.AffectedSOPClassUID,
            sop_instance_uid=request.AffectedSOPInstanceUID,
            transfer_syntax=self.context.transfer_syntax,
        )

    @of_kind
    def received(self) -> EncodedDataSet:
        """The data set of a request as it was received, to be sent on without being decoded.

        It goes to ``send_c_store``, ``send_c_find``, ``send_c_get`` and ``send_c_move`` of another
        association, also on another thread and after the handler has returned.
        """
        data_set: EncodedDataSet | None = self.request.data_set
        if data_set is None:
            from pydicom.dataset import Dataset

            from pynetdicom.data_sets.data_set import encode_dataset

            return encode_dataset(Dataset(), self.context.transfer_syntax)
        return data_set

    def encoded_dataset(self, include_meta: bool = True) -> bytes:
        """The data set of a C-STORE request as it was received.

        Parameters
        ----------
        include_meta : bool
            With preamble and file meta information in front: the bytes of a DICOM file.
        """
        self._check("encoded_dataset")
        data_set = self.request.data_set
        if data_set is None:
            return b""
        encoded: bytes = data_set.file_bytes() if include_meta else data_set.getvalue()
        return encoded

    @of_kind
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

        uid: str = self.request.AffectedSOPInstanceUID or ""
        if not is_file_name(uid):
            raise ValueError("the SOP Instance UID cannot be a file name")
        return f"{uid}.dcm"

    @of_kind
    def dataset_path(self) -> Any:
        """Path of a file with the data set of a C-STORE request, until the handler returns.

        Everything else of an event stays for as long as the event is held: it may be put into a
        queue, and a worker may read it when the sender has had its answer.
        """
        return self.request.data_set.path

    def save_as(
        self, path: str | os.PathLike[str], overwrite: bool = True, sync: bool = False
    ) -> None:
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
        self._check("save_as")
        self.request.data_set.save_as(path, overwrite=overwrite, sync=sync)

    @of_kind
    def identifier(self) -> Dataset:
        """The identifier of a C-FIND, C-GET or C-MOVE request."""
        return self._data_set()

    @property
    def is_cancelled(self) -> bool:
        """Whether the peer has cancelled the C-FIND, C-GET or C-MOVE, or is gone.

        False where there is nothing to be cancelled: of any other event.
        """
        if "identifier" not in self.event.attributes or "request" not in self.__dict__:
            return False
        return self.assoc._performer.is_cancelled(self.request.MessageID)

    @of_kind
    def move_destination(self) -> str:
        """The AE title that a C-MOVE sends to."""
        return str(self.request.MoveDestination or "")

    @of_kind
    def action_type(self) -> int:
        """The Action Type ID of an N-ACTION request."""
        return int(self.request.ActionTypeID)

    @of_kind
    def action_information(self) -> Dataset:
        """The Action Information of an N-ACTION request."""
        return self._data_set()

    @of_kind
    def attribute_list(self) -> Dataset:
        """The Attribute List of an N-CREATE request; of an N-SET, its `modification_list`.

        Scripts for 3.x call that so, too.
        """
        return self._data_set()

    @of_kind
    def attribute_identifiers(self) -> list[BaseTag]:
        """The tags that an N-GET request asks for; none stand for all that there are."""
        from pydicom.tag import Tag

        return [Tag(tag) for tag in self.request.AttributeIdentifierList or ()]

    @of_kind
    def event_type(self) -> int:
        """The Event Type ID of an N-EVENT-REPORT request."""
        return int(self.request.EventTypeID)

    @of_kind
    def event_information(self) -> Dataset:
        """The Event Information of an N-EVENT-REPORT request."""
        return self._data_set()

    @of_kind
    def modification_list(self) -> Dataset:
        """The Modification List of an N-SET request."""
        return self._data_set()


class RequestEvent(Event):
    """A request of the peer."""


_NOTIFICATIONS = {
    "ConnectionEvent": (evt.EVT_CONN_OPEN, evt.EVT_CONN_CLOSE),
    "AssociationEvent": (
        *(evt.EVT_REQUESTED, evt.EVT_ACCEPTED, evt.EVT_REJECTED),
        *(evt.EVT_ESTABLISHED, evt.EVT_RELEASED, evt.EVT_ABORTED),
    ),
    "ACSEEvent": (evt.EVT_ACSE_RECV, evt.EVT_ACSE_SENT),
    "DIMSEEvent": (evt.EVT_DIMSE_RECV, evt.EVT_DIMSE_SENT),
    "PDUEvent": (evt.EVT_PDU_RECV, evt.EVT_PDU_SENT),
    "DataEvent": (evt.EVT_DATA_RECV, evt.EVT_DATA_SENT),
    "TransitionEvent": (evt.EVT_FSM_TRANSITION,),
}
_NEGOTIATION = {
    "AsyncOpsEvent": (evt.EVT_ASYNC_OPS,),
    "SOPCommonEvent": (evt.EVT_SOP_COMMON,),
    "SOPExtendedEvent": (evt.EVT_SOP_EXTENDED,),
    "UserIDEvent": (evt.EVT_USER_ID,),
}
_REQUESTS = {
    f"{operation.title().replace('-', '')}Event": (event,)
    for operation, event in evt.OPERATION_EVENTS.items()
}


def _doc(events: tuple[EventType, ...]) -> str:
    return f"What handlers of {' and '.join(map(str, events))} get."


def _classes(names: dict[str, Any], base: type[Event]) -> dict[str, type[Event]]:
    return {
        name: type(name, (base,), {"__module__": "pynetdicom.events", "__doc__": _doc(events)})
        for name, events in names.items()
    }


KINDS: dict[str, type[Event]] = {
    "RequestEvent": RequestEvent,
    **_classes({**_NOTIFICATIONS, **_NEGOTIATION}, Event),
    **_classes(_REQUESTS, RequestEvent),
}
"""The classes of the kinds, by name; what they have is in `pynetdicom.typing`."""

CLASSES = {
    event: KINDS[name]
    for name, events in {**_NOTIFICATIONS, **_NEGOTIATION, **_REQUESTS}.items()
    for event in events
}
"""Which class an event is of."""
