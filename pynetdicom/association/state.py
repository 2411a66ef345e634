"""What an association is made of, and what can be asked of it at any time.

The rooms of an `Association` stand on this: `negotiation`, `requests`, and `association` itself.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from pynetdicom import _config
from pynetdicom import event_types as evt
from pynetdicom.association.entity import Entity, Listener
from pynetdicom.association.indications import Indications
from pynetdicom.association.invoking import Invoker
from pynetdicom.association.messaging import Messenger
from pynetdicom.association.negotiated import Negotiated
from pynetdicom.association.performing import Performer
from pynetdicom.association.receiving import Receiving
from pynetdicom.association.reporting import Reporter
from pynetdicom.association.service_user import ServiceUser
from pynetdicom.dimse.inbox import Inbox
from pynetdicom.dimse.operations import Operations
from pynetdicom.handlers import Handler, Handlers, HandlerSpec
from pynetdicom.hooks import DebugHooks
from pynetdicom.network.connector import Connector
from pynetdicom.network.dul import DUL
from pynetdicom.network.latch import Latch
from pynetdicom.running import Runs
from pynetdicom.settings import Timeout
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.provider import Provider

if TYPE_CHECKING:
    from pynetdicom.network.lobby import Visitor
    from pynetdicom.upper_layer.contexts import PresentationContext
    from pynetdicom.upper_layer.pdu import A_ASSOCIATE_RQ

LOGGER = logging.getLogger("pynetdicom.assoc")


class AssociationState(DebugHooks, threading.Thread):
    """The attributes of an `Association`; see there."""

    acse_timeout = Timeout("acse_timeout", 30)
    dimse_timeout = Timeout("dimse_timeout", 30)
    network_timeout = Timeout("network_timeout", 60)
    connection_timeout = Timeout("connection_timeout", None, takes_zero=False)

    stores_for = ("", 0)
    """Whose C-MOVE it last was the destination of: AE title and Message ID."""

    def __init__(
        self,
        ae: Entity,
        mode: Literal["requestor", "acceptor"],
        *,
        server: Listener | None = None,
        visitor: Visitor | None = None,
        evt_handlers: Sequence[HandlerSpec] | None = None,
    ) -> None:
        threading.Thread.__init__(self, name=f"pynetdicom-{mode}", daemon=True)
        if mode not in ("requestor", "acceptor"):
            raise ValueError("'mode' must be 'requestor' or 'acceptor'")
        self.ae = ae
        self.mode = mode
        self.lock = threading.RLock()
        self.requestor: ServiceUser = ServiceUser(self, "requestor")
        self.acceptor: ServiceUser = ServiceUser(self, "acceptor")
        self.negotiated = Negotiated()
        self.network_timeout_response: Literal["A-ABORT", "A-RELEASE"] = "A-ABORT"
        self._acse_timeout: float | None = ae.acse_timeout
        self._dimse_timeout: float | None = ae.dimse_timeout
        self._connection_timeout: float | None = ae.connection_timeout
        self._network_timeout: float | None = ae.network_timeout
        self.inbox = Inbox()
        self._messenger = Messenger(self)
        self._invoker = Invoker(self, self._messenger)
        self._reporter = Reporter(self)
        self._performer = Performer(self)
        # Those that serve a C-MOVE of this one, or go on for it with what is to be sent, and do not
        # outlive an abort of it. A set's own operations are atomic.
        self.sub_associations: set[Runs] = set()
        # Whether the local user has ended it, from whatever thread: none is to take its place.
        self.wants_no_more = False
        self.peer_address: tuple[Any, ...] = ("", 0)
        self._server = server
        self._visitor = visitor
        self._connector = Connector()
        self._indications = Indications(self, Receiving(self, server))
        self.dul = DUL(
            self._indications,
            Provider(requestor=mode == "requestor") if visitor is None else visitor.provider,
            self._connector if visitor is None else visitor.connection,
            f"{self.name}-DUL",
        )
        self._released_by_peer: Ended | None = None
        self._negotiated = Latch()
        self._is_over = Latch()
        self._is_established = False
        self._request_pdu: A_ASSOCIATE_RQ | None = None
        self._target: tuple[Any, ...] | None = None
        self._timer = "acse_timeout"
        self._contextvars: contextvars.Context | None = None
        if server is not None and server.contextvars is not None:
            # A copy of its own: a context can be entered by one thread at a time.
            self._contextvars = server.contextvars.copy()
        elif server is None and _config.PASS_CONTEXTVARS:
            self._contextvars = contextvars.copy_context()
        self._handlers = Handlers(
            ae,
            server._handlers.specs() if server is not None else evt_handlers,
            assoc=self,
            changed=self._indications.handlers_changed,
            context=self._contextvars,
        )

    # Events

    def bind(self, event: evt.EventType, handler: Handler, args: list[Any] | None = None) -> None:
        """Have `handler` called as ``handler(event, *args)`` when `event` happens.

        A notification event may have several handlers; an intervention event has the last one that
        was bound.
        """
        self._handlers.bind(event, handler, args)

    def unbind(self, event: evt.EventType, handler: Handler) -> None:
        """Undo `bind`; an intervention event gets its default handler back."""
        self._handlers.unbind(event, handler)

    def get_events(self) -> list[evt.EventType]:
        """The events to which something is bound, by name."""
        return self._handlers.events()

    def get_handlers(self, event: evt.EventType) -> Any:
        """What is bound to `event`.

        Returns
        -------
        tuple or list of tuple
            ``(handler, args)``; for a notification event a list of them. An intervention event
            without a bound handler gives its default one.
        """
        return self._handlers.of(event)

    def _handlers_changed(self, bound: Handlers) -> None:
        """What is bound has changed."""

    # State

    @property
    def ended(self) -> Ended | None:
        """How the association ended, by whom and why; None before it has.

        From the moment that the peer requests release there are no more answers to our requests,
        so it counts as released by then; its own requests are still served.
        """
        return self.dul.ended or self._released_by_peer

    @property
    def has_ended(self) -> bool:
        """Whether nothing can be sent any more, not even a response."""
        return self.dul.ended is not None

    @property
    def is_established(self) -> bool:
        """Whether the association is there to be used."""
        return self._is_established and self.ended is None

    @property
    def is_rejected(self) -> bool:
        """Whether the association request was rejected."""
        return self.ended is not None and self.ended.kind == "rejected"

    @property
    def is_aborted(self) -> bool:
        """Whether the association was aborted, or never came about for want of a connection."""
        return self.ended is not None and self.ended.kind in ("aborted", "failed")

    @property
    def is_released(self) -> bool:
        """Whether the association was released."""
        return self.ended is not None and self.ended.kind == "released"

    @property
    def is_requestor(self) -> bool:
        """Whether the local side requested the association."""
        return self.mode == "requestor"

    @property
    def is_acceptor(self) -> bool:
        """Whether the local side was asked for the association."""
        return self.mode == "acceptor"

    @property
    def accepted_contexts(self) -> list[PresentationContext]:
        """What was negotiated."""
        return self.negotiated.accepted

    @property
    def rejected_contexts(self) -> list[PresentationContext]:
        """What was proposed and not accepted."""
        return self.negotiated.rejected

    @property
    def local(self) -> dict[str, Any]:
        """The local side: title, address, port, mode and maximum length, as a dict."""
        return (self.requestor if self.is_requestor else self.acceptor).info

    @property
    def remote(self) -> dict[str, Any]:
        """The peer: title, address, port, mode and maximum length, as a dict."""
        return (self.acceptor if self.is_requestor else self.requestor).info

    def _timeout_changed(self, name: str, seconds: float | None) -> None:
        """Have those look again who may be waiting by the old value."""
        if name != "network_timeout":
            return
        self.inbox.put(None)  # the Association thread
        self.dul.look_again()

    @property
    def dimse(self) -> Operations:
        """The outstanding operations."""
        return self._invoker.operations

    def _fail(self, ended: Ended) -> None:
        """Have the association ended, as `ended` says unless it has already; waits for nothing."""
        self.dul.abort(ended)

    def _refuse_on_dul_thread(self, what: str) -> None:
        if self.dul.is_reading_here or self._handlers.are_on_the_wire:
            raise RuntimeError(f"{what} from a handler on the DUL thread would wait for itself")
