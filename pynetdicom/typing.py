"""Names for annotations: what handlers and callbacks are, and what the library takes and gives.

For type checkers; nothing of the library needs it when it runs.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Never, Protocol, TypeAlias, TypedDict, TypeVar

if TYPE_CHECKING:
    import ssl
    from datetime import datetime

    from pydicom.dataset import Dataset, FileMetaDataset
    from pydicom.tag import BaseTag

    from pynetdicom.access import AccessRules
    from pynetdicom.association import Association
    from pynetdicom.association.response_status import ResponseStatus as ResponseStatus
    from pynetdicom.association.responses import Responses as Responses
    from pynetdicom.capture import Capture
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.dimse.messages import Message
    from pynetdicom.event_kinds import Event
    from pynetdicom.event_types import CommonAnswer as CommonAnswer
    from pynetdicom.event_types import DataSet as DataSet
    from pynetdicom.event_types import Destination as Destination
    from pynetdicom.event_types import EventType, Handles, HandlesMore
    from pynetdicom.event_types import ExtendedAnswer as ExtendedAnswer
    from pynetdicom.event_types import Info as Info
    from pynetdicom.event_types import Instance as Instance
    from pynetdicom.event_types import Instances as Instances
    from pynetdicom.event_types import Matches as Matches
    from pynetdicom.event_types import Path as Path
    from pynetdicom.event_types import Reply as Reply
    from pynetdicom.event_types import Retrieval as Retrieval
    from pynetdicom.event_types import Status as Status
    from pynetdicom.event_types import UserAnswer as UserAnswer
    from pynetdicom.upper_layer.contexts import PresentationContext, PresentationContextTuple
    from pynetdicom.upper_layer.items import SOPClassCommonExtendedNegotiation

# What `pynetdicom.events` has, too.
__all__ = [
    "ConnectionEvent", "AssociationEvent", "ACSEEvent", "DIMSEEvent", "PDUEvent", "DataEvent",
    "TransitionEvent", "AsyncOpsEvent", "SOPCommonEvent", "SOPExtendedEvent", "UserIDEvent",
    "RequestEvent", "CEchoEvent", "CStoreEvent", "CFindEvent", "CGetEvent", "CMoveEvent",
    "NActionEvent", "NCreateEvent", "NDeleteEvent", "NEventReportEvent", "NGetEvent", "NSetEvent",
    "EventHandlerType",
]  # fmt: skip

if TYPE_CHECKING:
    Context: TypeAlias = PresentationContextTuple

    # What handlers get: what an event of each kind has

    class _AnyEvent:
        assoc: Association
        """The association where it happened."""
        event: EventType
        """Its kind."""
        timestamp: datetime
        """When it happened."""

    class ConnectionEvent(_AnyEvent):
        """``EVT_CONN_OPEN``, ``EVT_CONN_CLOSE``: the connection with the peer."""

        address: tuple[str, int]
        """Host and port of the peer."""

    class AssociationEvent(_AnyEvent):
        """``EVT_REQUESTED``, ``EVT_ACCEPTED``, ``EVT_ESTABLISHED`` and so on: the association."""

    class ACSEEvent(_AnyEvent):
        """``EVT_ACSE_RECV``, ``EVT_ACSE_SENT``: a primitive of the association's service."""

        primitive: Any
        """The A-ASSOCIATE, A-RELEASE, A-ABORT or A-P-ABORT primitive."""

    class DIMSEEvent(_AnyEvent):
        """``EVT_DIMSE_RECV``, ``EVT_DIMSE_SENT``: a message."""

        message: Message
        """The DIMSE message."""

    class PDUEvent(_AnyEvent):
        """``EVT_PDU_RECV``, ``EVT_PDU_SENT``: a protocol data unit."""

        pdu: Any
        """The PDU, see `pynetdicom.upper_layer.pdu`."""

    class DataEvent(_AnyEvent):
        """``EVT_DATA_RECV``, ``EVT_DATA_SENT``: bytes."""

        data: bytes
        """The bytes."""

    class TransitionEvent(_AnyEvent):
        """``EVT_FSM_TRANSITION``: the state machine has moved."""

        current_state: str
        """The state that the state machine was in, such as ``"Sta6"`` (PS3.8 9.2)."""
        fsm_event: str
        """What it was told, such as ``"Evt10"``."""
        action: str
        """What it did, such as ``"DT-2"``."""
        next_state: str
        """The state that it is in now."""

    class AsyncOpsEvent(_AnyEvent):
        """``EVT_ASYNC_OPS``: the requestor proposes an asynchronous operations window."""

        nr_invoked: int
        """How many operations at a time the requestor would like to invoke."""
        nr_performed: int
        """How many operations at a time the requestor would like to perform."""

    class SOPCommonEvent(_AnyEvent):
        """``EVT_SOP_COMMON``: SOP class common extended negotiation."""

        items: dict[str, SOPClassCommonExtendedNegotiation]
        """The items that the requestor proposes, by SOP Class UID."""

    class SOPExtendedEvent(_AnyEvent):
        """``EVT_SOP_EXTENDED``: SOP class extended negotiation."""

        app_info: dict[str, bytes]
        """The service class application information, by SOP Class UID."""

    class UserIDEvent(_AnyEvent):
        """``EVT_USER_ID``: the requestor says who its user is."""

        user_id_type: int
        """What kind of identity it is, see PS3.7 D.3.3.7."""
        primary_field: bytes
        """The user name, or what takes its place."""
        secondary_field: bytes
        """The passcode, if there is one."""

    class RequestEvent(_AnyEvent):
        """A request of the peer: what the events of all operations have."""

        request: Any
        """The request, with the parameters of its operation by their keywords."""
        context: PresentationContextTuple
        """The presentation context of the request: its ID, abstract and transfer syntax."""
        message_id: int
        """The Message ID of the request."""
        received: EncodedDataSet
        """The data set of the request as it was received, to be sent on without being decoded."""
        is_cancelled: bool
        """Whether the peer has cancelled a C-FIND, C-GET or C-MOVE, or is gone."""

    class CEchoEvent(RequestEvent):
        """``EVT_C_ECHO``: its handler returns a status."""

    class CStoreEvent(RequestEvent):
        """``EVT_C_STORE``: its handler keeps the data set, and returns a status."""

        dataset: Dataset
        """The data set, decoded when first asked for."""
        file_meta: FileMetaDataset
        """File meta information for the data set."""
        file_name: str
        """A name for its file: its SOP Instance UID, and ``.dcm``; ValueError if it can be none."""
        dataset_path: Any
        """Path of a file with the data set, until the handler returns."""

        def encoded_dataset(self, include_meta: bool = True) -> bytes:
            """The data set as it was received; with meta information, the bytes of a file."""

        def save_as(self, path: Path, overwrite: bool = True, sync: bool = False) -> None:
            """Save the data set as a DICOM file, without decoding it."""

    class CFindEvent(RequestEvent):
        """``EVT_C_FIND``: its handler yields ``(status, identifier)`` for each match."""

        identifier: Dataset
        """What is looked for."""

    class CGetEvent(RequestEvent):
        """``EVT_C_GET``: its handler yields a number, then ``(status, dataset)`` for each."""

        identifier: Dataset
        """Which instances are asked for."""

    class CMoveEvent(RequestEvent):
        """``EVT_C_MOVE``: its handler yields ``(addr, port)``, then as for a C-GET."""

        identifier: Dataset
        """Which instances are asked for."""
        move_destination: str
        """The AE title that they are to be sent to."""

    class NActionEvent(RequestEvent):
        """``EVT_N_ACTION``: its handler returns ``(status, action reply)``."""

        action_type: int
        """The Action Type ID."""
        action_information: Dataset
        """The Action Information."""

    class NCreateEvent(RequestEvent):
        """``EVT_N_CREATE``: its handler returns ``(status, attribute list)``."""

        attribute_list: Dataset
        """The Attribute List."""

    class NDeleteEvent(RequestEvent):
        """``EVT_N_DELETE``: its handler returns a status."""

    class NEventReportEvent(RequestEvent):
        """``EVT_N_EVENT_REPORT``: its handler returns ``(status, event reply)``."""

        event_type: int
        """The Event Type ID."""
        event_information: Dataset
        """The Event Information."""

    class NGetEvent(RequestEvent):
        """``EVT_N_GET``: its handler returns ``(status, attribute list)``."""

        attribute_identifiers: list[BaseTag]
        """The tags that are asked for; none stand for all that there are."""

    class NSetEvent(RequestEvent):
        """``EVT_N_SET``: its handler returns ``(status, attribute list)``."""

        modification_list: Dataset
        """The Modification List."""
        attribute_list: Dataset
        """The same, as scripts for 3.x may call it."""

    # What handlers are given: one may take an event of its kind, or `Event`, which has it all

    class GivenConnection(ConnectionEvent, Event): ...

    class GivenAssociation(AssociationEvent, Event): ...

    class GivenACSE(ACSEEvent, Event): ...

    class GivenDIMSE(DIMSEEvent, Event): ...

    class GivenPDU(PDUEvent, Event): ...

    class GivenData(DataEvent, Event): ...

    class GivenTransition(TransitionEvent, Event): ...

    class GivenAsyncOps(AsyncOpsEvent, Event): ...

    class GivenSOPCommon(SOPCommonEvent, Event): ...

    class GivenSOPExtended(SOPExtendedEvent, Event): ...

    class GivenUserID(UserIDEvent, Event): ...

    class GivenCEcho(CEchoEvent, Event): ...

    class GivenCStore(CStoreEvent, Event): ...

    class GivenCFind(CFindEvent, Event): ...

    class GivenCGet(CGetEvent, Event): ...

    class GivenCMove(CMoveEvent, Event): ...

    class GivenNAction(NActionEvent, Event): ...

    class GivenNCreate(NCreateEvent, Event): ...

    class GivenNDelete(NDeleteEvent, Event): ...

    class GivenNEventReport(NEventReportEvent, Event): ...

    class GivenNGet(NGetEvent, Event): ...

    class GivenNSet(NSetEvent, Event): ...

    # Servers

    class KeywordOptions(TypedDict, total=False):
        """What `ApplicationEntity.start_server` takes by keyword only."""

        spool_dir: str | None
        spool_threshold: int | None
        unrestricted_storage: bool | None
        preload: bool
        tls: ssl.SSLContext | None
        plain_too: bool
        access: AccessRules | None
        capture: Capture | Path | None

    class ServerOptions(KeywordOptions, total=False):
        """What `ApplicationEntity.start_server` takes beside its first two parameters."""

        ssl_context: ssl.SSLContext | None
        evt_handlers: EventHandlers | None
        ae_title: str | bytes | None
        contexts: Sequence[PresentationContext] | None

    # Handlers and their events

    E = TypeVar("E")
    R = TypeVar("R")
    _Bound: TypeAlias = (
        tuple[EventType[E, R], Handles[E, R]]
        | tuple[EventType[E, R], HandlesMore[E, R], list[Any] | tuple[Any, ...]]
    )
    EventHandlerType: TypeAlias = (
        _Bound[GivenConnection, object]
        | _Bound[GivenAssociation, object]
        | _Bound[GivenACSE, object]
        | _Bound[GivenDIMSE, object]
        | _Bound[GivenPDU, object]
        | _Bound[GivenData, object]
        | _Bound[GivenTransition, object]
        | _Bound[GivenCEcho, Status]
        | _Bound[GivenCStore, Status]
        | _Bound[GivenCFind, Matches]
        | _Bound[GivenCGet, Instances]
        | _Bound[GivenCMove, Retrieval]
        | _Bound[GivenNAction, Reply]
        | _Bound[GivenNCreate, Reply]
        | _Bound[GivenNDelete, Status]
        | _Bound[GivenNEventReport, Reply]
        | _Bound[GivenNGet, Reply]
        | _Bound[GivenNSet, Reply]
        | _Bound[GivenAsyncOps, tuple[int, int]]
        | _Bound[GivenSOPCommon, CommonAnswer]
        | _Bound[GivenSOPExtended, ExtendedAnswer]
        | _Bound[GivenUserID, UserAnswer]
    )

    # Of a list of handlers of several events that is not annotated, mypy keeps no more than that it
    # is of objects and functions. Such a list is known by that another event's handler may be added
    # to it; it has to do.

    Item = TypeVar("Item", contravariant=True)
    Kept = TypeVar("Kept", covariant=True)

    class _AnotherEvent: ...

    class _Function(Protocol):
        @property
        def __name__(self) -> str: ...

    class _Forgotten(Protocol[Item, Kept]):
        def append(self, item: Item, /) -> None: ...
        def __iter__(self) -> Iterator[Kept]: ...

    ForgottenHandlers: TypeAlias = (
        _Forgotten[tuple[_AnotherEvent, Callable[..., Never]], tuple[object, _Function]]
        | _Forgotten[
            tuple[_AnotherEvent, Callable[..., Never], list[Any]], tuple[object, _Function, object]
        ]
        | _Forgotten[tuple[()], tuple[object, ...]]
    )
    EventHandlers: TypeAlias = Sequence[EventHandlerType] | ForgottenHandlers
else:
    from pynetdicom.event_kinds import KINDS

    globals().update(KINDS)
    Path = Status = DataSet = Instance = Matches = Instances = Destination = Retrieval = Any
    Context = Info = Responses = ResponseStatus = Reply = ExtendedAnswer = CommonAnswer = (
        UserAnswer
    ) = Any
    EventHandlerType = tuple[Any, ...]
    EventHandlers = Sequence[EventHandlerType]
