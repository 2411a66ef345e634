"""An association: its thread, its life cycle, and its parts, see `link`.

The Association thread negotiates, then serves the peer's requests one after another and runs the
users' handlers; it also times the silence while nothing is outstanding, and sees the association to
its end.
"""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterable
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, Any, Literal, Self, overload

from pynetdicom.acse import ACSE
from pynetdicom.association.accepting import Accepting as Accepting
from pynetdicom.association.indications import Indications
from pynetdicom.association.invoking import Invoker
from pynetdicom.association.lifetime import BLOCK_ON_ABORT, Lifetime
from pynetdicom.association.link import TIMEOUTS, Link
from pynetdicom.association.messaging import Messenger
from pynetdicom.association.performing import Performer
from pynetdicom.association.receiving import Receiving
from pynetdicom.association.reporting import AT_THE_END
from pynetdicom.association.requesting import Requesting, Target
from pynetdicom.association.scu import SCU
from pynetdicom.association.service_user import ServiceUser as ServiceUser
from pynetdicom.dimse.inbox import WE_RELEASE
from pynetdicom.dimse.operations import Operations
from pynetdicom.event_types import EventType
from pynetdicom.handlers import Handler, Handlers, HandlerSpec, handled_in
from pynetdicom.network.connection import Connection
from pynetdicom.network.connector import Connector
from pynetdicom.network.deadlines import after, remaining, wait_until
from pynetdicom.network.dul import DUL, LINGER
from pynetdicom.network.runtime import THREADS, Running, Runtime
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.provider import Provider

if TYPE_CHECKING:
    from pynetdicom.association.entity import Entity, Listener
    from pynetdicom.callbacks import DebugHooks
    from pynetdicom.event_types import E, Handles, HandlesMore, R
    from pynetdicom.network.visitors import Visitor
    from pynetdicom.upper_layer.contexts import PresentationContext
else:
    from pynetdicom.hooks import DebugHooks


@cache
def load_serving() -> ModuleType:
    """Import what serves requests: who only asks has no need of the services' tables."""
    from pynetdicom.association import serving

    return serving


def _of_link(name: str) -> Any:
    """A setting that the association's parts look at."""
    return property(
        lambda self: getattr(self._link, name),
        lambda self, value: setattr(self._link, name, value),
        doc=getattr(getattr(Link, name, None), "__doc__", None),
    )


class Association(SCU, DebugHooks, threading.Thread):
    """An association with a peer; a thread, made by `ApplicationEntity.associate` or by a server.

    Parameters
    ----------
    ae : ApplicationEntity
    mode : {'requestor', 'acceptor'}
        The local side.

    Attributes
    ----------
    requestor, acceptor : ServiceUser
        Both sides.
    accepted_contexts, rejected_contexts : list of PresentationContext
        What was negotiated.
    stats : Stats
        The operations that have ended, in numbers.
    lock : threading.RLock
        For programs, as they like; the library does not take it.
    network_timeout_response : {'A-ABORT', 'A-RELEASE'}
        What to do when `network_timeout` runs out while nothing is outstanding.
    """

    # What there is another kind of where there are no threads, see `pynetdicom.aio`.
    _runtime: Runtime = THREADS
    _performer_kind: type[Performer] = Performer
    _dul_kind: type[DUL] = DUL
    _handlers_kind: type[Handlers] = Handlers

    acse_timeout: float | None = _of_link("acse_timeout")
    dimse_timeout: float | None = _of_link("dimse_timeout")
    network_timeout: float | None = _of_link("network_timeout")
    connection_timeout: float | None = _of_link("connection_timeout")
    network_timeout_response: str = _of_link("network_timeout_response")

    def __init__(
        self,
        ae: Entity,
        mode: Literal["requestor", "acceptor"],
        *,
        target: Target | None = None,
        server: Listener | None = None,
        visitor: Visitor | None = None,
        evt_handlers: Iterable[HandlerSpec] | None = None,
    ) -> None:
        super().__init__(name=f"pynetdicom-{mode}", daemon=True)
        if mode not in ("requestor", "acceptor"):
            raise ValueError("'mode' must be 'requestor' or 'acceptor'")
        self.ae, self.mode = ae, mode
        self.lock = threading.RLock()
        link = self._link = Link(ae, mode, self, server, self._runtime)
        self.stats = link.stats
        self.requestor, self.acceptor = link.requestor, link.acceptor
        self._invoker = Invoker(link, Messenger(link))
        indications = Indications(link, self._invoker, Receiving(link))
        self._performer = self._performer_kind(link, self._invoker, indications, load_serving)
        connection: Connector | Connection
        self._negotiation: Requesting | Accepting
        if mode == "requestor":
            connection = connector = Connector(self._runtime)
            self._negotiation = Requesting(link, connector, target)
        else:
            connection = Connector(self._runtime) if visitor is None else visitor.connection
            self._negotiation = Accepting(link, indications, visitor)
        link.dul = self.dul = self._dul_kind(
            indications,
            Provider(requestor=link.is_requestor) if visitor is None else visitor.provider,
            connection,
            f"{self.name}-DUL",
            self._runtime,
        )
        self.dul.link = link
        self._lifetime = Lifetime(link, self._negotiation, self._performer, indications)
        link.handlers = self._handlers = self._handlers_kind(
            ae,
            evt_handlers,
            assoc=self,
            changed=indications.handlers_changed,
            server=None if server is None else server._handlers,
        )

    @property
    def acse(self) -> ACSE:
        """The association control service element, for handlers that reject."""
        return ACSE(self)

    def __enter__(self) -> Self:
        """Give itself; it is released at the end of the ``with``, and aborted by an exception."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abort()
            return
        try:
            self.release()
        except BaseException:  # Ctrl-C while it waits, or it was called where it cannot wait
            self.abort(block=False)
            raise

    # Events

    @overload
    def bind(self, event: EventType[E, R], handler: Handles[E, R], args: None = None) -> None: ...
    @overload
    def bind(self, event: EventType[E, R], handler: HandlesMore[E, R], args: list[Any]) -> None: ...
    def bind(self, event: EventType, handler: Handler, args: list[Any] | None = None) -> None:
        """Have `handler` called as ``handler(event, *args)`` when `event` happens.

        A notification event may have several handlers; an intervention event has the last one that
        was bound.
        """
        self._handlers.bind(event, handler, args)

    def unbind(self, event: EventType, handler: Handler) -> None:
        """Undo `bind`; an intervention event gets its default handler back."""
        self._handlers.unbind(event, handler)

    def get_events(self) -> list[EventType]:
        """The events to which something is bound, by name."""
        return self._handlers.events()

    def get_handlers(self, event: EventType) -> Any:
        """What is bound to `event`.

        Returns
        -------
        tuple or list of tuple
            ``(handler, args)``; for a notification event a list of them. An intervention event
            without a bound handler gives its default one.
        """
        return self._handlers.of(event)

    # State

    @property
    def ended(self) -> Ended | Any:  # who has seen that it has ended need not ask again
        """How the association ended, by whom and why; None before it has.

        From the moment that the peer requests release there are no more answers to our requests,
        so it counts as released by then; its own requests are still served.
        """
        return self._link.ended

    @property
    def _has_ended(self) -> bool:
        """Whether nothing can be sent any more, not even a response."""
        return self._link.has_ended

    @property
    def is_established(self) -> bool:
        """Whether the association is there to be used."""
        return self._link.is_established

    @property
    def is_rejected(self) -> bool:
        """Whether the association request was rejected."""
        ended = self.ended
        return ended is not None and ended.kind == "rejected"

    @property
    def is_aborted(self) -> bool:
        """Whether the association was aborted, or never came about for want of a connection."""
        ended = self.ended
        return ended is not None and ended.kind in ("aborted", "failed")

    @property
    def is_released(self) -> bool:
        """Whether the association was released."""
        ended = self.ended
        return ended is not None and ended.kind == "released"

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
        return self._link.own_negotiated().accepted

    @property
    def rejected_contexts(self) -> list[PresentationContext]:
        """What was proposed and not accepted."""
        return self._link.own_negotiated().rejected

    @property
    def local(self) -> dict[str, Any]:
        """The local side: title, address, port, mode and maximum length, as a dict."""
        return (self.requestor if self.is_requestor else self.acceptor).info

    @property
    def remote(self) -> dict[str, Any]:
        """The peer: title, address, port, mode and maximum length, as a dict."""
        return self._link.peer.info

    @property
    def dimse(self) -> Operations:
        """The outstanding operations."""
        return self._invoker.operations

    # The thread

    def reject(self, result: int = 1, source: int = 1, reason: int = 1) -> None:
        """As `acse.send_reject`: reject the request, from a handler of `EVT_REQUESTED`."""
        self.acse.send_reject(result, source, reason)

    def request(self) -> None:
        """Request the association, and wait for the outcome."""
        self.start()
        self._lifetime.negotiated.wait()

    @property
    def _make_another(self) -> Callable[..., Association]:
        """What makes others of this kind."""
        return type(self)

    def _make_successor(self) -> Association:
        """An association like this one, which we requested; it is not requested yet."""
        assert isinstance(self._negotiation, Requesting)
        other = self._make_another(
            self.ae,
            "requestor",
            target=self._negotiation.target,
            evt_handlers=self._handlers.specs(),
        )
        for name in (*TIMEOUTS, "network_timeout_response"):
            setattr(other, name, getattr(self, name))
        return other

    def run(self) -> None:
        """Negotiate, serve, and see to the end."""
        self._lifetime.run()

    # Ending

    def release(self) -> None:
        """Release the association.

        The peer's request being served is answered first, and our operations are waited for, while
        what the peer asks goes on being served. Called from a handler, the release is done when the
        handler's response has been sent; called by a signal's handler, or a finalizer, in the midst
        of sending a request, when that has been answered: neither waits for it. If it is not done
        within `acse_timeout`, the association is aborted (PS3.8 7.2).

        Raises
        ------
        RuntimeError
            Called on the association's DUL thread, which must not be held up.
        """
        if not self._has_ended:
            self._link.refuse_on_dul_thread("release()")
        self._link.wants_no_more = True
        if self._has_ended or not self._link.was_established:
            return
        if self._link.is_worked_on_here:
            self._performer.releases_after = True
            return
        self._link.inbox.put(WE_RELEASE)
        if self._invoker.is_sending_here() or self._handlers.running_here():
            return
        # The thread ends when it is over, unless a handler may hold it up.
        handlers, inbox = self._handlers, self._link.inbox
        may_wait = handlers or not inbox.is_empty or handlers.are_any_told(AT_THE_END)
        ends = self._link.is_over.wait if may_wait else self._joined
        wait_until(ends, after(self.acse_timeout, LINGER))
        if self.is_released:
            self.join(LINGER)
        elif not self._has_ended:  # a handler does not return
            self.dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))

    def _joined(self, seconds: float | None) -> bool:
        """Wait for the end of the thread."""
        self.join(seconds)
        return not self.is_alive()

    def _end_when_idle(self, seconds: float) -> None:
        """Have it aborted once it has had nothing to do for so long."""
        self._link.idle_timeout = seconds
        self._link.inbox.put(None)  # the Association thread, which may wait for longer

    def _release_later(self) -> None:
        """Have the association released by its own thread, and wait for nothing."""
        self._link.wants_no_more = True
        self._link.inbox.put(WE_RELEASE)

    def abort(self, block: bool = True) -> None:
        """Abort the association; whoever waits for something on it is woken at once (PS3.8 7.3).

        Parameters
        ----------
        block : bool
            Wait for the association's end, for at most a second; never from its own threads.
        """
        self._end(at_once=False)
        if block and not self._is_ours() and self.is_alive():
            self.join(BLOCK_ON_ABORT)

    def kill(self) -> None:
        """Abort the association without giving anything the time to be completed."""
        self._end(at_once=True)

    def _end(self, *, at_once: bool) -> None:
        """Abort it, and those that serve a C-MOVE of this one, or send in its place."""
        self._link.wants_no_more = True
        self.dul.abort(Ended("aborted", "local", 0, 0), at_once=at_once)
        for assoc in list(self._link.sub_associations):
            assoc.abort(block=False)

    def _is_ours(self) -> bool:
        """Whether the calling thread is one that the association's end waits for."""
        return (
            self._link.is_worked_on_here
            or self.dul.is_reading_here
            or self.dul.is_writing_here
            or bool(self._handlers.running_here())
        )

    def _wait_ended(self, deadline: float) -> bool:
        """Wait until its threads have ended; at once where it would wait for itself."""
        if self._is_ours():
            return True
        if self.is_alive():
            self.join(remaining(deadline))
        return not self.is_alive()

    def _what_holds_it(self) -> str:
        """What its threads are busy with, for a warning."""
        frames = sys._current_frames()
        threads: tuple[Running, ...] = (self, self.dul, *self._performer.workers)
        for thread in threads:
            event = handled_in(frames.get(thread.ident or 0))
            if event is not None:
                return f"the handler of {event} does not return"
        return "unknown"

    def _cut(self) -> None:
        """Shut the connection down without another word."""
        self.dul.connection.cut()
