"""Events: their kinds, what their handlers get, and what is given as ``evt_handlers``.

Notification events tell what happened: any number of handlers, whose exceptions are logged and go
no further. An intervention event asks one handler for an answer; unless one is bound, the matching
``on_…`` callback of the AE is asked.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pynetdicom import event_types as evt
from pynetdicom.event_types import ALL_EVENTS as ALL_EVENTS
from pynetdicom.event_types import ON_THE_WIRE as ON_THE_WIRE
from pynetdicom.event_types import OPERATION_EVENTS as OPERATION_EVENTS
from pynetdicom.event_types import EventType as EventType
from pynetdicom.event_types import InterventionEvent as InterventionEvent
from pynetdicom.event_types import NotificationEvent as NotificationEvent
from pynetdicom.handlers import Handler as Handler
from pynetdicom.handlers import HandlerSpec as HandlerSpec
from pynetdicom.handlers import ahead as ahead
from pynetdicom.handlers import trigger as trigger
from pynetdicom.hooks import ask as ask
from pynetdicom.hooks import get_default_handler as get_default_handler

if TYPE_CHECKING:
    from pynetdicom import typing
    from pynetdicom.event_kinds import Event as Event
    from pynetdicom.typing import *  # noqa: F403  # the kinds of events, by their names
else:

    def __getattr__(name: str) -> Any:
        from importlib import import_module

        where = import_module(f"pynetdicom.{'event_kinds' if name == 'Event' else 'typing'}")
        if name != "Event" and name not in where.__all__:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        return globals().setdefault(name, getattr(where, name))

    def __dir__() -> list[str]:
        from pynetdicom.typing import __all__ as kinds

        return sorted({*globals(), "Event", *kinds})


EVT_CONN_OPEN: NotificationEvent[typing.GivenConnection, object] = evt.EVT_CONN_OPEN
"""The connection with the peer has been opened."""
EVT_CONN_CLOSE: NotificationEvent[typing.GivenConnection, object] = evt.EVT_CONN_CLOSE
"""The connection with the peer has been closed."""
EVT_REQUESTED: NotificationEvent[typing.GivenAssociation, object] = evt.EVT_REQUESTED
"""An association is requested; a handler may reject or abort it, by ``event.assoc``."""
EVT_ACCEPTED: NotificationEvent[typing.GivenAssociation, object] = evt.EVT_ACCEPTED
"""The association was accepted."""
EVT_REJECTED: NotificationEvent[typing.GivenAssociation, object] = evt.EVT_REJECTED
"""The association was rejected."""
EVT_ESTABLISHED: NotificationEvent[typing.GivenAssociation, object] = evt.EVT_ESTABLISHED
"""The association is there to be used."""
EVT_RELEASED: NotificationEvent[typing.GivenAssociation, object] = evt.EVT_RELEASED
"""The association was released."""
EVT_ABORTED: NotificationEvent[typing.GivenAssociation, object] = evt.EVT_ABORTED
"""The association was aborted, by either side or the network."""
EVT_ACSE_RECV: NotificationEvent[typing.GivenACSE, object] = evt.EVT_ACSE_RECV
"""A primitive of the association's service was received."""
EVT_ACSE_SENT: NotificationEvent[typing.GivenACSE, object] = evt.EVT_ACSE_SENT
"""A primitive of the association's service was sent."""
EVT_DIMSE_RECV: NotificationEvent[typing.GivenDIMSE, object] = evt.EVT_DIMSE_RECV
"""A DIMSE message was received."""
EVT_DIMSE_SENT: NotificationEvent[typing.GivenDIMSE, object] = evt.EVT_DIMSE_SENT
"""A DIMSE message was sent."""
EVT_PDU_RECV: NotificationEvent[typing.GivenPDU, object] = evt.EVT_PDU_RECV
"""A PDU was received (PS3.8 9.3)."""
EVT_PDU_SENT: NotificationEvent[typing.GivenPDU, object] = evt.EVT_PDU_SENT
"""A PDU was sent (PS3.8 9.3)."""
EVT_DATA_RECV: NotificationEvent[typing.GivenData, object] = evt.EVT_DATA_RECV
"""Bytes were received; a handler must be quick."""
EVT_DATA_SENT: NotificationEvent[typing.GivenData, object] = evt.EVT_DATA_SENT
"""Bytes are about to be sent; a handler must be quick."""
EVT_FSM_TRANSITION: NotificationEvent[typing.GivenTransition, object] = evt.EVT_FSM_TRANSITION
"""The state machine has moved (PS3.8 9.2)."""
EVT_C_ECHO: InterventionEvent[typing.GivenCEcho, typing.Status] = evt.EVT_C_ECHO
"""A C-ECHO request: the handler returns a status, such as 0x0000."""
EVT_C_STORE: InterventionEvent[typing.GivenCStore, typing.Status] = evt.EVT_C_STORE
"""A C-STORE request: the handler keeps ``event.dataset`` and returns a status."""
EVT_C_FIND: InterventionEvent[typing.GivenCFind, typing.Matches] = evt.EVT_C_FIND
"""A C-FIND request: the handler yields ``(0xFF00, identifier)`` for each match."""
EVT_C_GET: InterventionEvent[typing.GivenCGet, typing.Instances] = evt.EVT_C_GET
"""A C-GET request: the handler yields how many, then ``(0xFF00, dataset)`` for each."""
EVT_C_MOVE: InterventionEvent[typing.GivenCMove, typing.Retrieval] = evt.EVT_C_MOVE
"""A C-MOVE request: the handler yields ``(addr, port)``, then as for a C-GET."""
EVT_N_ACTION: InterventionEvent[typing.GivenNAction, typing.Reply] = evt.EVT_N_ACTION
"""An N-ACTION request: the handler returns ``(status, action reply or None)``."""
EVT_N_CREATE: InterventionEvent[typing.GivenNCreate, typing.Reply] = evt.EVT_N_CREATE
"""An N-CREATE request: the handler returns ``(status, attribute list or None)``."""
EVT_N_DELETE: InterventionEvent[typing.GivenNDelete, typing.Status] = evt.EVT_N_DELETE
"""An N-DELETE request: the handler returns a status."""
EVT_N_EVENT_REPORT: InterventionEvent[typing.GivenNEventReport, typing.Reply] = (
    evt.EVT_N_EVENT_REPORT
)
"""An N-EVENT-REPORT request: the handler returns ``(status, event reply or None)``."""
EVT_N_GET: InterventionEvent[typing.GivenNGet, typing.Reply] = evt.EVT_N_GET
"""An N-GET request: the handler returns ``(status, attribute list)``."""
EVT_N_SET: InterventionEvent[typing.GivenNSet, typing.Reply] = evt.EVT_N_SET
"""An N-SET request: the handler returns ``(status, attribute list or None)``."""
EVT_ASYNC_OPS: InterventionEvent[typing.GivenAsyncOps, tuple[int, int]] = evt.EVT_ASYNC_OPS
"""A window is proposed: the handler returns how many operations of each kind it allows."""
EVT_SOP_COMMON: InterventionEvent[typing.GivenSOPCommon, typing.CommonAnswer] = evt.EVT_SOP_COMMON
"""SOP class common extended negotiation: the handler returns what it accepts of the items."""
EVT_SOP_EXTENDED: InterventionEvent[typing.GivenSOPExtended, typing.ExtendedAnswer] = (
    evt.EVT_SOP_EXTENDED
)
"""SOP class extended negotiation: the handler returns bytes by SOP Class UID, or None."""
EVT_USER_ID: InterventionEvent[typing.GivenUserID, typing.UserAnswer] = evt.EVT_USER_ID
"""A user identity: the handler returns ``(whether it is accepted, response or None)``."""
