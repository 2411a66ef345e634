"""The listener's lobby: every connection that has not associated yet, in one thread.

In: connections from the listening socket, and their bytes. Out: an A-ASSOCIATE-RQ that is complete, with its connection,
state machine and framer, to the host. Each visitor has an ARTIM deadline from the moment it was accepted, which its bytes
do not renew; its TLS handshake is fed like any other bytes. Silent, slow and junk peers cost a socket each and hold
nobody up. No user code runs here.
"""

from __future__ import annotations

import contextlib
import errno
import heapq
import itertools
import logging
import selectors
import socket
import threading
import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom import _config
from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.dul import LINGER
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import EVENT_OF_PDU, UpperLayer
from pynetdicom.upper_layer.transport import Connection, TLSConnection, Waker

if TYPE_CHECKING:
    import ssl

LOGGER = logging.getLogger("pynetdicom.lobby")

_NO_DESCRIPTORS = frozenset((errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.ENOMEM))
_ACCEPTS_AT_ONCE = 64
_FIRST_SIZE = 4096
_RETRY = 1.0


class Visitor:
    """A connection that has not associated yet, or that waits for its peer to close."""

    __slots__ = (
        "address",
        "connection",
        "deadline",
        "framer",
        "gone",
        "is_secure",
        "last_heard",
        "opened",
        "raw",
        "request",
        "upper_layer",
    )

    def __init__(self, connection: Connection, address: tuple[Any, ...]) -> None:
        self.connection = connection
        self.address = address
        self.opened = datetime.now()
        self.last_heard = self.deadline = time.monotonic()
        self.framer = Framer(size=_FIRST_SIZE)
        self.upper_layer = UpperLayer(requestor=False)
        self.upper_layer.take("Evt5")
        self.is_secure = not isinstance(connection, TLSConnection)
        self.gone = False
        self.raw = b""
        self.request: pdus.A_ASSOCIATE_RQ | None = None


class Host(Protocol):
    """Whoever takes the associations over from the lobby."""

    @property
    def artim(self) -> float:
        """Seconds from the connection to the complete A-ASSOCIATE-RQ."""

    @property
    def tls(self) -> ssl.SSLContext | None:
        """What TLS is made with, if it is."""

    def reserve(self) -> bool:
        """Make room for another association; False if it is one too many."""

    def admit(self, visitor: Visitor) -> None:
        """Take the visitor over, in Sta3."""

    def turned_away(self, visitor: Visitor, pdu: pdus.A_ASSOCIATE_RJ) -> None:
        """An A-ASSOCIATE-RJ was sent to the visitor."""


class Lobby:
    """The connections of one listening socket.

    Parameters
    ----------
    listener : socket.socket
        Listening. It stays its owner's.
    host : Host
    """

    def __init__(self, listener: socket.socket, host: Host) -> None:
        self._listener = listener
        self._host = host
        self._waker = Waker()
        self._visitors: dict[int, Visitor] = {}
        self._deadlines: list[tuple[float, int, Visitor]] = []
        self._order = itertools.count()
        self._listening = False
        self._stopping = False
        self._lock = threading.Lock()
        self.turned_away = 0
        self.never_asked = 0

    def __len__(self) -> int:
        return len(self._visitors)

    def stop(self) -> None:
        """Have `run` return."""
        with self._lock:
            if not self._stopping:
                self._stopping = True
                self._waker.set()

    def dispose(self) -> None:
        """Give back what `run` would have, when it was never called."""
        with self._lock:
            self._waker.close()

    def descriptor_freed(self) -> None:
        """Try to accept again, if there were no descriptors for it."""
        with self._lock:
            if not self._listening and not self._stopping:
                self._waker.set()

    def run(self) -> None:
        """Accept connections and serve the lobby until `stop`."""
        self._listener.setblocking(False)
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._waker.fileno(), selectors.EVENT_READ)
        self._listen()
        try:
            while not self._stopping:
                for key, _ in self._selector.select(self._patience()):
                    if key.data is not None:
                        self._attend(key.data)
                    elif key.fd == self._waker.fileno():
                        self._waker.clear()
                        self._listen()
                    else:
                        self._accept()
                self._expire()
        finally:
            self._close()

    def _close(self) -> None:
        for visitor in list(self._visitors.values()):
            self._dismiss(visitor)
        self._selector.close()
        with self._lock:
            self._stopping = True
            self._waker.close()
        if self.never_asked:
            LOGGER.info("%d connections never asked for an association", self.never_asked)

    def _patience(self) -> float | None:
        """Seconds until somebody's time is up."""
        wait = None
        while self._deadlines and self._deadlines[0][2].gone:
            heapq.heappop(self._deadlines)
        if self._deadlines:
            wait = max(0.0, self._deadlines[0][0] - time.monotonic())
        if not self._listening:
            wait = _RETRY if wait is None else min(wait, _RETRY)
        return wait

    def _listen(self) -> None:
        if not self._listening:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._listening = True

    def _accept(self) -> None:
        for _ in range(_ACCEPTS_AT_ONCE):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if error.errno in _NO_DESCRIPTORS:
                    # A listener that stays readable would keep this thread spinning.
                    LOGGER.warning("no descriptor for another connection: %s", error.strerror)
                    self._selector.unregister(self._listener)
                    self._listening = False
                    return
                if self._listener.fileno() < 0:
                    self._stopping = True
                    return
                continue  # that peer has gone already
            try:
                self._welcome(sock, address)
            except OSError:
                sock.close()

    def _welcome(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        if len(self._visitors) >= _config.MAXIMUM_LOBBY:
            self._dismiss(min(self._visitors.values(), key=lambda v: v.last_heard))
            self.never_asked += 1
        tls = self._host.tls
        connection = (
            Connection(sock) if tls is None else TLSConnection(sock, tls, server_side=True)
        )
        visitor = Visitor(connection, address)
        self._visitors[id(visitor)] = visitor
        self._selector.register(sock, selectors.EVENT_READ, visitor)
        self._set_deadline(visitor, self._host.artim)

    def _set_deadline(self, visitor: Visitor, seconds: float) -> None:
        visitor.deadline = time.monotonic() + seconds
        heapq.heappush(self._deadlines, (visitor.deadline, next(self._order), visitor))

    def _expire(self) -> None:
        """Close whose time is up: ARTIM in Sta2, the wait for the peer's close in Sta13 (Evt18, AA-2)."""
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            visitor = heapq.heappop(self._deadlines)[2]
            if not visitor.gone and visitor.deadline <= now:
                self.never_asked += visitor.upper_layer.state == "Sta2"
                visitor.upper_layer.take("Evt18")
                self._dismiss(visitor)
        if not self._listening:
            self._listen()

    def _forget(self, visitor: Visitor) -> None:
        visitor.gone = True
        self._visitors.pop(id(visitor), None)
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(visitor.connection.socket)

    def _dismiss(self, visitor: Visitor) -> None:
        self._forget(visitor)
        visitor.connection.say_goodbye()
        visitor.connection.close()

    def _attend(self, visitor: Visitor) -> None:
        """Read what a visitor sent."""
        if visitor.gone:
            return
        visitor.last_heard = time.monotonic()
        try:
            if not self._secure(visitor):
                return
            while not visitor.gone:
                view = visitor.framer.space()
                count = visitor.connection.recv_now(view)
                if not count:
                    visitor.upper_layer.take("Evt17")
                    self.never_asked += visitor.request is None
                    self._dismiss(visitor)
                    return
                if visitor.upper_layer.state == "Sta2":
                    visitor.framer.received(count)
                    self._understand(visitor)
                elif not visitor.connection.is_tls:
                    return
        except BlockingIOError:
            return
        except OSError as error:
            LOGGER.debug("a connection from %s failed: %s", visitor.address[0], error)
            self._dismiss(visitor)

    def _secure(self, visitor: Visitor) -> bool:
        """Go on with the TLS handshake; whether it is done."""
        connection = visitor.connection
        if visitor.is_secure or not isinstance(connection, TLSConnection):
            return True
        try:
            connection.receive()
            visitor.is_secure = connection.handshake()
        finally:
            # Also the alert that says why not. A client that does not even read its handshake gets no more.
            connection.flush()
        return visitor.is_secure

    def _understand(self, visitor: Visitor) -> None:
        """Take what was received apart, in Sta2."""
        try:
            for data in visitor.framer.frames(_nothing):
                self._on_pdu(visitor, data)
                return
        except PDUDecodeError as error:
            LOGGER.debug("%s sent no A-ASSOCIATE-RQ: %s", visitor.address[0], error)
            self._abort(visitor, "Evt19")

    def _on_pdu(self, visitor: Visitor, data: bytes) -> None:
        event = EVENT_OF_PDU[data[0]]
        if event == "Evt16":
            visitor.upper_layer.take(event)
            self._dismiss(visitor)
            return
        if event != "Evt6":
            self._abort(visitor, event)
            return
        request = pdus.decode_pdu(data)
        assert isinstance(request, pdus.A_ASSOCIATE_RQ)
        visitor.request, visitor.raw = request, data
        if not request.protocol_version & 1:
            self._turn_away(visitor, pdus.A_ASSOCIATE_RJ(result=1, source=2, reason=2))
        elif not self._host.reserve():
            self._turn_away(visitor, pdus.A_ASSOCIATE_RJ(result=2, source=3, reason=2))
        else:
            visitor.upper_layer.take(event)
            self._forget(visitor)
            self._host.admit(visitor)

    def _turn_away(self, visitor: Visitor, pdu: pdus.A_ASSOCIATE_RJ) -> None:
        """Reject, as the service provider (AE-6)."""
        visitor.upper_layer.take("Evt6", otherwise=True)
        self.turned_away += 1
        visitor.connection.push([pdu.encode()])
        self._set_deadline(visitor, LINGER)
        self._host.turned_away(visitor, pdu)

    def _abort(self, visitor: Visitor, event: str) -> None:
        """Send A-ABORT (AA-1) and wait for the peer's close."""
        visitor.upper_layer.take(event)
        self.never_asked += 1
        self._set_deadline(visitor, LINGER)
        visitor.connection.push([pdus.A_ABORT(source=0, reason=0).encode()])


def _nothing(context_id: int, control: int, data: memoryview, pdv_done: bool) -> None:
    """P-DATA-TF is never understood in the lobby."""
