"""What the parts of an association share.

An `Association` has a `Link`, and parts that stand on it: its negotiation (`requesting`,
`accepting`), what is received (`indications`), the two DIMSE-service-users (`invoking`,
`performing`), messages on their way out (`messaging`), and what is told of it all (`reporting`).
"""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any, Literal

from pynetdicom.association.negotiated import NOTHING, Negotiated
from pynetdicom.association.service_user import ServiceUser
from pynetdicom.dimse.inbox import Inbox
from pynetdicom.event_types import ON_THE_WIRE, EventType
from pynetdicom.network.addresses import address_text
from pynetdicom.network.runtime import Runtime
from pynetdicom.settings import Timeouts
from pynetdicom.stats import Stats
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.access import Granted
    from pynetdicom.association.entity import Entity, Listener
    from pynetdicom.handlers import Handlers
    from pynetdicom.network.dul import DUL
    from pynetdicom.running import Runs
    from pynetdicom.upper_layer.ended import Ended
    from pynetdicom.upper_layer.pdu import A_ASSOCIATE_RQ


TIMEOUTS = ("acse_timeout", "dimse_timeout", "network_timeout", "connection_timeout")


_numbers = itertools.count(1)


class Link(Timeouts):
    """What the parts of one association share; for any thread.

    Attributes
    ----------
    number : int
        Which of the process's associations it is, for the log.
    stats : Stats
        What has been done on it.
    runtime : Runtime
        What it is run by.
    thread : Association
        The Association thread.
    server : Listener or None
        To which the peer's request came.
    dul : DUL
    handlers : Handlers
        What is bound to its events.
    inbox : Inbox
        What the Association thread has to do.
    is_over : Latch
        Whether it has ended, for those who wait for that.
    is_negotiated : Latch
        Whether the outcome of the negotiation is there, for who waits for that.
    stores_for : tuple of str and int
        Whose C-MOVE it last was the destination of: AE title and Message ID.
    """

    dul: DUL
    handlers: Handlers

    # What most never have otherwise is the class's.
    idle_timeout: float | None = None
    """While its server is drained: after so many seconds with nothing to do it is aborted."""
    was_established = False
    released_by_peer: Ended | None = None
    request_pdu: A_ASSOCIATE_RQ | None = None
    stores_for = ("", 0)
    access: Granted | None = None
    """What the peer may do, where its listener has rules for that."""
    wants_no_more = False
    """Whether the local user has ended it, from whatever thread: none is to take its place."""

    def __init__(
        self,
        ae: Entity,
        mode: Literal["requestor", "acceptor"],
        thread: Any,
        server: Listener | None,
        runtime: Runtime,
    ) -> None:
        self.runtime = runtime
        self.number = next(_numbers)
        self.stats = Stats()
        self.ae = ae
        self.server = server
        self.is_requestor = mode == "requestor"
        self.thread = thread
        # Idents of the threads that work for it. A set's own operations are atomic.
        self.workers: set[int] = set()
        self.requestor: ServiceUser = ServiceUser(thread, "requestor")
        self.acceptor: ServiceUser = ServiceUser(thread, "acceptor")
        self.peer = self.acceptor if self.is_requestor else self.requestor
        self.peer_address: tuple[Any, ...] = ("", 0)
        self.negotiated = NOTHING
        self.network_timeout_response: Literal["A-ABORT", "A-RELEASE"] = "A-ABORT"
        self._acse_timeout: float | None = ae.acse_timeout
        self._dimse_timeout: float | None = ae.dimse_timeout
        self._connection_timeout: float | None = ae.connection_timeout
        self._network_timeout: float | None = ae.network_timeout
        self.inbox = Inbox(runtime)
        self.is_over = runtime.latch()
        self.is_negotiated = runtime.latch()
        # Those that serve a C-MOVE of this one, or go on for it with what is to be sent, and do not
        # outlive an abort of it. A set's own operations are atomic.
        self.sub_associations: set[Runs] = set()

    @property
    def ended(self) -> Ended | None:
        """How the association ended, by whom and why; None before it has."""
        return self.dul.provider.last.ended or self.released_by_peer

    @property
    def has_ended(self) -> bool:
        """Whether nothing can be sent any more, not even a response."""
        return self.dul.provider.last.ended is not None

    def own_negotiated(self) -> Negotiated:
        """What was agreed on, for programs, which may change it: from now on it is its own."""
        if self.negotiated is NOTHING:
            return NOTHING.copy()
        if self.negotiated.is_shared:
            # The same for all threads that ask.
            self.negotiated = vars(self).setdefault("_own", self.negotiated.copy())
        return self.negotiated

    @property
    def is_established(self) -> bool:
        """Whether the association is there to be used."""
        return self.was_established and self.ended is None

    @property
    def peer_name(self) -> str:
        """The peer's AE title and, once it is known, its address."""
        where = self.peer.address_info
        if where is None:
            return printable(self.peer.ae_title)
        return printable(f"{self.peer.ae_title} at {address_text((where.address, where.port))}")

    @property
    def is_worked_on_here(self) -> bool:
        """Whether the calling thread is one that negotiates, serves, and runs handlers for it."""
        return self.runtime.worker() in self.workers

    def refuse_on_dul_thread(self, what: str) -> list[EventType]:
        """Raise RuntimeError if `what` would have the DUL thread wait for itself.

        So would a handler in the midst of writing. Gives the events whose handlers run here.
        """
        running = self.handlers.running_here()
        worker = self.runtime.worker()
        if worker == self.dul.reader or not ON_THE_WIRE.isdisjoint(running):
            raise RuntimeError(f"{what} from a handler on the DUL thread would wait for itself")
        if self.inbox.reader is not None and worker in self.workers:
            self._leave()  # a finalizer is about to wait, on the Association thread
        return running

    def read_here(self) -> None:
        """Have the Association thread read, wherever it waits, until a handler is to be called."""
        dul = self.dul
        if dul.is_beside:
            dul.start()
        else:
            self.inbox.reader, self.handlers.before = dul, self._leave

    def _leave(self) -> None:
        if self.dul.leave():
            self.inbox.reader = self.handlers.before = None

    def _timeout_changed(self, name: str, seconds: float | None) -> None:
        """Have those look again who may be waiting by the old value."""
        if name == "network_timeout":
            self.inbox.put(None)  # the Association thread
            self.dul.look_again()
