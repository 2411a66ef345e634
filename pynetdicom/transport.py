"""The listeners of an `ApplicationEntity`, and addresses.

A server owns the listening socket and its `Lobby`; complete association requests become
`Association` threads.
"""

from __future__ import annotations

import logging
import math
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Callable
from importlib import import_module
from typing import TYPE_CHECKING, Any, overload

from pynetdicom import _config, hooks
from pynetdicom.ae_settings import title_of
from pynetdicom.association import Accepting, Association, admission
from pynetdicom.association.entity import Entity
from pynetdicom.event_types import EventType
from pynetdicom.handlers import Handler, Handlers
from pynetdicom.network import threads
from pynetdicom.network.addresses import OURS_ALONE, AddressInformation, address_text
from pynetdicom.network.deadlines import remaining
from pynetdicom.network.lobby import Lobby
from pynetdicom.network.runtime import THREADS, Runtime
from pynetdicom.network.visitors import Visitor
from pynetdicom.services import registry
from pynetdicom.settings import Setting, seconds_of
from pynetdicom.stats import ServerStats
from pynetdicom.upper_layer.contexts import PresentationContext
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.access import AccessRules
    from pynetdicom.event_types import E, Handles, HandlesMore, R
    from pynetdicom.typing import EventHandlers

__all__ = ["AddressInformation", "AssociationServer", "ThreadedAssociationServer"]

LOGGER = logging.getLogger("pynetdicom.ae")

_CLOSING = 0.5
_MOST_TOLD = 100
"""Rejections that handlers are told of at a time."""

# Everything is loaded when it is first used, so that importing the package costs next to nothing.
# For a server that would be while its first peer waits; so before it listens it loads what any
# association of an acceptor uses, and what is used where handlers are called, or by them.
_SERVING = (
    "pynetdicom.association.extended_negotiation",
    "pynetdicom.association.serving",
    "pynetdicom.event_kinds",
    "pynetdicom.upper_layer.primitives",
)
_HANDLING = (
    "pydicom",
    "pynetdicom.association.destinations",
    "pynetdicom.association.response_status",
    "pynetdicom.dsutils",
    "pynetdicom.pdu_primitives",
)
_OURS = ("process_request", "finish_request", "verify_request", "get_request")


def _check_tls(ssl_context: object) -> None:
    if ssl_context is not None and not isinstance(ssl_context, ssl.SSLContext):
        raise TypeError("'ssl_context' must be an ssl.SSLContext")
    if ssl_context is not None and ssl_context.protocol == ssl.PROTOCOL_TLS_CLIENT:
        raise ValueError("'ssl_context' is that of a client: PROTOCOL_TLS_SERVER is for servers")


class AssociationServer(socketserver.TCPServer):
    """A listener for association requests.

    Made by `ApplicationEntity.make_server` and `ApplicationEntity.start_server`.

    Parameters
    ----------
    ae : ApplicationEntity
    address : tuple
        ``(host, port)`` or ``(host, port, flowinfo, scope_id)``; port 0 takes a free one.
        The host ``"::"`` serves
        IPv4 as well, where the system can.
    ae_title : str
        The AE title to be known by.
    contexts : list of PresentationContext
        What is supported.
    ssl_context : ssl.SSLContext, optional
        Serve TLS with it.
    evt_handlers : list of tuple, optional
        ``(event, handler)`` or ``(event, handler, [args])``, bound on each
        association of this server.
    spool_dir : str, optional
        Where received data sets are kept that do not fit into memory.
    spool_threshold : int
        Bytes of a data set that are kept in memory.
    unrestricted_storage : bool, optional
        Accept every SOP Class that no other service has as storage; None for
        ``_config.UNRESTRICTED_STORAGE_SERVICE``.
    preload : bool
        Load pydicom before listening, if there are handlers or callbacks.
    plain_too : bool
        Serve peers that come without TLS as well.
    access : AccessRules, optional
        Who may do what; assign others to `access` to have them hold from the next association on.

    Attributes
    ----------
    stats : ServerStats
        What has been done on its associations, in numbers.
    server_address : tuple
        Where it listens; the port is the real one.

    Raises
    ------
    OSError
        The address cannot be listened on.
    """

    if TYPE_CHECKING:
        server_address: tuple[str, int]  # and two more ints for IPv6

    allow_reuse_address = OURS_ALONE == socket.SO_REUSEADDR
    request_queue_size = 256
    accepts_at_once = 64
    timeout = 60
    ae_title = Setting(title_of, "", "The AE title to be known by, from the next association on.")
    # What there is another kind of where there are no threads, see `pynetdicom.aio`.
    _runtime: Runtime = THREADS
    _make: Callable[..., Association] = Association
    _handlers_kind: type[Handlers] = Handlers
    access = Setting(
        admission.checked, None, "Who may do what, from the next association on; None: all."
    )

    def __init_subclass__(cls) -> None:
        for name in _OURS:
            if name in cls.__dict__:
                raise TypeError(f"{cls.__name__}.{name}: connections never pass through it")

    def __init__(
        self,
        ae: Entity,
        address: tuple[Any, ...],
        ae_title: str,
        contexts: list[PresentationContext],
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: EventHandlers | None = None,
        *,
        spool_dir: str | None = None,
        spool_threshold: int | None = None,
        unrestricted_storage: bool | None = None,
        preload: bool = True,
        plain_too: bool = False,
        access: AccessRules | None = None,
    ) -> None:
        _check_tls(ssl_context)
        if plain_too and ssl_context is None:
            raise ValueError("'plain_too' is about a server that has TLS")
        self.access = access
        where = AddressInformation.from_tuple(address)
        self.address_family = where.address_family
        self.ae = ae
        self.ae_title = ae_title
        self.contexts = contexts
        self.ssl_context = ssl_context
        self.plain_too = plain_too
        self.spool_dir = spool_dir if spool_dir is not None else ae.spool_dir
        self.spool_threshold = (
            _config.SPOOL_THRESHOLD if spool_threshold is None else spool_threshold
        )
        self.unrestricted_storage = unrestricted_storage
        # A set's own operations are atomic.
        self._associations: set[Association] = set()
        self.stats = ServerStats(self._associations)
        self._handlers = self._handlers_kind(ae, evt_handlers)
        self.door = admission.Admission(self)
        self._telling = threads.AtMost(_MOST_TOLD, self._runtime.start)
        self._maker = self._runtime.ident()
        self._stopped = self._runtime.latch()
        # What is taken by the one thread that serves, or by the one that stops it before that. A
        # dict's own operations are atomic.
        self._unstarted = {"lobby": True}
        # Whether the thread that serves is to close the socket.
        self._closes = False
        super().__init__(where.as_tuple, socketserver.BaseRequestHandler, bind_and_activate=False)
        try:
            self._prepare(preload)
            if self.address_family == socket.AF_INET6 and where.addr == "::":
                self.socket.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            self.server_bind()
            self.server_activate()
            self._lobby = Lobby(self.socket, self, self._runtime)
        except BaseException:  # the lobby may find no descriptor for itself
            self.socket.close()
            raise
        ae._running.servers.add(self)

    def _prepare(self, preload: bool) -> None:
        """Load what the first peer would wait for."""
        handles = preload and bool(self._handlers or hooks.assigned(self.ae))
        for name in _SERVING + _HANDLING if handles else _SERVING:
            import_module(name)
        printable("")  # its codec
        for context in self.contexts:
            registry.operations(context.abstract_uid)

    @property
    def address_info(self) -> AddressInformation:
        """Where it listens, as `server_address`."""
        return AddressInformation.from_tuple(self.server_address)

    # What the lobby asks its host

    @property
    def artim(self) -> float:
        """Seconds from a connection to its complete A-ASSOCIATE-RQ."""
        given = self.ae.acse_timeout
        seconds = seconds_of(_config.ARTIM) if given is None else given
        return math.inf if seconds is None else seconds

    @property
    def is_made_here(self) -> bool:
        """Whether the calling thread has made it."""
        return self._maker == self._runtime.ident()

    def reserve(self) -> bool:
        """Make room for an association; False if the AE has as many as it may."""
        return self.ae._running.reserve(self.ae.maximum_associations)

    def admit(self, visitor: Visitor) -> None:
        """Make an association of an A-ASSOCIATE-RQ."""
        assoc = None
        try:
            while True:
                specs = self._handlers.specs()
                assoc = self._make(self.ae, "acceptor", server=self, visitor=visitor)
                self._associations.add(assoc)
                # What is bound from here on is bound on it, too.
                if specs == self._handlers.specs():
                    break
                self._associations.discard(assoc)
            self.ae._running.take_place(assoc)
            assoc.start()
        except BaseException as error:
            if assoc is None or assoc.ident is None:  # no thread to be had, or Ctrl-C
                self._give_up(assoc)
                if not isinstance(error, Exception):  # or else the lobby has it again
                    visitor.connection.close()
            raise

    def _give_up(self, assoc: Association | None) -> None:
        """Forget an association that could not be started."""
        if assoc is not None:
            self._associations.discard(assoc)
        running = self.ae._running
        if assoc is not None and assoc in running.associations:
            running.discard(assoc)
        else:
            running.take_place(None)

    def turned_away(self, visitor: Visitor) -> None:
        """Trigger the events of a rejection by the lobby, in a thread of their own.

        Where handlers do not return, they are told of no more: those who are rejected may be
        strangers, and come as often as they like.
        """
        self.stats.turned_away()
        if not self._handlers and not hooks.assigned(self.ae):
            return
        assoc = self._make(self.ae, "acceptor", server=self, visitor=visitor)
        negotiation = assoc._negotiation
        assert isinstance(negotiation, Accepting)
        self._telling.start("pynetdicom-rejected", negotiation.tell_of_rejection)

    def association_ended(self, assoc: Association) -> None:
        """Forget an association, from its own thread."""
        self.stats.take(assoc)
        self._lobby.descriptor_freed()

    # What users call

    def all_associations(self) -> list[Association]:
        """The associations of this server whose threads have not ended."""
        return list(self._associations)

    @property
    def active_associations(self) -> list[Association]:
        """The associations of this server that have not ended."""
        return [assoc for assoc in list(self._associations) if not assoc._has_ended]

    @overload
    def bind(self, event: EventType[E, R], handler: Handles[E, R], args: None = None) -> None: ...
    @overload
    def bind(self, event: EventType[E, R], handler: HandlesMore[E, R], args: list[Any]) -> None: ...
    def bind(self, event: EventType, handler: Handler, args: list[Any] | None = None) -> None:
        """Bind a handler, also on the associations that are there already."""
        self._handlers.bind(event, handler, args)
        for assoc in list(self._associations):
            assoc._handlers.bind(event, handler, args)

    def unbind(self, event: EventType, handler: Handler) -> None:
        """Unbind a handler, also on the associations that are there already."""
        self._handlers.unbind(event, handler)
        for assoc in list(self._associations):
            assoc.unbind(event, handler)

    def get_events(self) -> list[EventType]:
        """The events to which something is bound, by name."""
        return self._handlers.events()

    def get_handlers(self, event: EventType) -> Any:
        """What is bound to `event`, see `Association.get_handlers`."""
        return self._handlers.of(event)

    def server_bind(self) -> None:
        """Bind the socket; nobody else has its port, unless that is asked for."""
        if not self.allow_reuse_address:
            self.socket.setsockopt(socket.SOL_SOCKET, OURS_ALONE, 1)
        super().server_bind()

    def serve_forever(self, poll_interval: float = 0.5) -> None:
        """Serve until `shutdown` is called from another thread; `poll_interval` has no meaning."""
        self._claim()
        self._serve()

    def _claim(self) -> None:
        if not self._unstarted.pop("lobby", False):
            raise RuntimeError("a server serves once")

    def _serve(self) -> None:
        where = address_text(self.server_address)
        how = "" if self.ssl_context is None else " with TLS"
        LOGGER.info("%s listens on %s%s", printable(self.ae_title), where, how)
        try:
            self._lobby.run()
        finally:
            self._stopped.set()
            if self._closes:
                self.server_close()

    def shutdown(self) -> None:
        """Stop listening, abort the associations and close the socket.

        May be called from a handler: it then does not wait for that handler's association.
        """
        self.ae._running.stop([self])

    def drain(self, timeout: float = 30.0, *, idle: float = 1.0) -> int:
        """Stop listening, and let the peers finish what they are at, before the rest is aborted.

        Who is connected goes on being served, until it releases the association. It is aborted
        when nothing is outstanding on it, and was not for a while, or when the time is up. To be
        called from a thread that is none of the library's, so not from a handler; `shutdown` from
        another thread ends it at once.

        Parameters
        ----------
        timeout : float
            Seconds that they have in all.
        idle : float
            Seconds without anything to do after which an association is aborted.

        Returns
        -------
        int
            How many were aborted since the time was up.
        """
        return self.ae._running.drain(self, timeout, idle)

    def stop_listening(self) -> None:
        """Have the lobby's thread end; `wait_stopped` waits for it."""
        self._lobby.stop()
        if self._unstarted.pop("lobby", False):
            self._lobby.close()
            self._stopped.set()

    def wait_stopped(self, deadline: float) -> None:
        """Wait until the lobby has closed what it held, and its thread has ended.

        In a signal's handler which interrupts that thread, it does so after the handler.
        """
        if self._lobby.thread == self._runtime.ident():
            return
        self._stopped.wait(remaining(deadline))
        thread = getattr(self, "thread", None)
        if thread is not None and thread.ident != self._runtime.ident():
            thread.join(remaining(deadline))

    def server_close(self) -> None:
        """Stop listening, and close the listening socket."""
        if not self._stopped.is_set():
            self.stop_listening()
            self.wait_stopped(time.monotonic() + _CLOSING)
        if self._lobby.thread == self._runtime.ident():
            self._closes = True  # when what is being interrupted goes on
            return
        socketserver.TCPServer.server_close(self)
        self.ae._running.servers.discard(self)


class ThreadedAssociationServer(socketserver.ThreadingMixIn, AssociationServer):
    """An `AssociationServer` with a thread of its own, see `start_server(block=False)`."""

    thread: threading.Thread | None = None

    def start(self) -> None:
        """Serve in a daemon thread."""
        self._claim()  # here, so that it can be stopped before the thread gets that far
        try:
            self.thread = threads.start("pynetdicom-listener", self._serve)
        except RuntimeError:  # no thread to be had
            self._unstarted["lobby"] = True
            self.server_close()
            raise
