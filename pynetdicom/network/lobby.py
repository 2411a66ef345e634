"""The listener's lobby: every connection that has not associated yet, in one thread.

In: connections from the listening socket, and their bytes. Out: an A-ASSOCIATE-RQ that is complete,
with its connection, state machine and framer, to the host. Each visitor has an ARTIM deadline from
the moment it was accepted, which its bytes do not renew; its TLS handshake is fed like any other
bytes. Silent, slow and junk peers cost a socket each and hold nobody up. No user code runs here.
"""

from __future__ import annotations

import contextlib
import heapq
import itertools
import logging
import selectors
import socket
import threading
import time
from collections import Counter
from typing import Any

from pynetdicom import raised
from pynetdicom.network.complaints import Complaints
from pynetdicom.network.connection import Connection, TLSConnection
from pynetdicom.network.deadlines import remaining, stretch
from pynetdicom.network.dul import LINGER
from pynetdicom.network.runtime import THREADS, Runtime
from pynetdicom.network.visitors import Host, Visitor
from pynetdicom.network.waking import Waker
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.framing import TLSRecord
from pynetdicom.upper_layer.fsm import ACTIONS, OTHERWISE
from pynetdicom.upper_layer.provider import Move, ignore, refusal
from pynetdicom.upper_layer.tls_faults import in_words, is_handshake, is_ssl, of_handshake

LOGGER = logging.getLogger("pynetdicom.lobby")

_REQUESTED = (ACTIONS["AE-6"], OTHERWISE["AE-6"])
_RETRY = 1.0
_MANY = 64
_MOST_SELECTED = 500
"""Visitors where there is only `select`: on Windows it takes 512 sockets."""


class Lobby:
    """The connections of one listening socket.

    Parameters
    ----------
    listener : socket.socket
        Listening. It stays its owner's.
    host : Host
    runtime : Runtime
    """

    def __init__(self, listener: socket.socket, host: Host, runtime: Runtime = THREADS) -> None:
        self._runtime = runtime
        self._listener = listener
        self._host = host
        self._waker = Waker()
        self._selector = self._runtime.selector()
        self._visitors: set[Visitor] = set()
        # How many of them are from an address.
        self._from: Counter[str] = Counter()
        # Whose bytes are being taken.
        self._taken: Visitor | None = None
        self._deadlines: list[tuple[float, int, Visitor]] = []
        self._order = itertools.count()
        self._listening = False
        self._listen_at = 0.0
        self._stopping = False
        # The one that serves, while it does.
        self.thread = 0
        self.never_asked = 0
        self._complaints = Complaints(LOGGER)

    def __len__(self) -> int:
        return len(self._visitors)

    def stop(self) -> None:
        """Have `run` return."""
        # Without a lock: a signal's handler may call it.
        self._stopping = True
        self._waker.set()

    def descriptor_freed(self) -> None:
        """Try to accept again, if there were no descriptors for it."""
        if not self._listening and not self._stopping:
            self._waker.set()

    def run(self) -> None:
        """Accept connections and serve the lobby until `stop`."""
        try:
            self.thread = self._runtime.ident()
            if self._stopping:  # as soon as it was to begin; its listener is closed, perhaps
                return
            self._listener.setblocking(False)
            # One of its own: processes that were forked since it was made share the other one.
            self._selector.close()
            self._selector = self._runtime.selector()
            self._selector.register(self._waker.fileno(), selectors.EVENT_READ)
            self._listen()
            self._go_on()
        finally:
            try:
                self.close()
            except BaseException:  # Ctrl-C, or a signal's handler raises, in its midst
                self.close()
                raise
            finally:
                self.thread = 0

    def _go_on(self) -> None:
        # Not within the `try` of `run`: Python does not cover where one begins within another.
        while not self._stopping:
            try:
                self._turn()
            except BaseException as error:
                if _is_for_the_program(error) or isinstance(error, self._runtime.stops):
                    raise
                self._log_and_rest(error)

    def _log_and_rest(self, error: BaseException) -> None:
        """A defect of ours, or no memory: it must not end the listener, nor have it spin."""
        with contextlib.suppress(Exception):
            raised.log(LOGGER, "the listener has failed, and goes on:", error)
        with contextlib.suppress(Exception):
            self._runtime.wait_for(self._waker.fileno(), _RETRY)

    def _turn(self) -> None:
        """Do what there is to do, once there is something."""
        for key, _ in self._selector.select(stretch(self._patience())):
            if key.data is not None:
                self._attend(key.data)
            elif key.fd == self._waker.fileno():
                self._waker.clear()
                self._listen()
            else:
                self._accept()
        self._expire()

    def close(self) -> None:
        """Give back what it has, as `run` does at its end; for when that was never called."""
        self._stopping = True
        self._waker.close()
        for visitor in list(self._visitors):
            try:
                self._dismiss(visitor)
            except Exception as error:
                raised.log(LOGGER, f"a connection from {visitor.address[0]} was not closed:", error)
        self._deadlines.clear()
        self._selector.close()
        if self.never_asked:
            LOGGER.info("%d connections never asked for an association", self.never_asked)

    def _patience(self) -> float | None:
        """Seconds until somebody's time is up."""
        due = [] if self._listening else [self._listen_at]
        while self._deadlines and self._deadlines[0][2] not in self._visitors:
            heapq.heappop(self._deadlines)
        if self._deadlines:
            due.append(self._deadlines[0][0])
        return remaining(min(due, default=None))

    def _listen(self) -> None:
        if not self._listening:
            self._selector.register(self._listener, selectors.EVENT_READ)
            self._listening = True

    def _pause(self) -> None:
        """Stop accepting for a while: a listener that stays readable would have us spin."""
        if self._listening:
            self._selector.unregister(self._listener)
            self._listening = False
        self._listen_at = time.monotonic() + _RETRY

    def _accept(self) -> None:
        problem: OSError | None = None
        for _ in range(self._host.accepts_at_once):
            try:
                sock, address = self._listener.accept()
            except BlockingIOError:
                return
            except OSError as error:
                if self._listener.fileno() < 0:
                    self._stopping = True
                    return
                # The peer may have gone already (accept(2): treat it like EAGAIN by retrying), or
                # there is no descriptor for it.
                problem = error
                continue
            problem = None
            try:
                self._welcome(sock, address)
            except BaseException as error:
                sock.close()
                if not isinstance(error, OSError):
                    raise
                LOGGER.debug("a connection from %s failed: %s", address[0], error)
        if problem is not None:  # not one of so many could be accepted any more
            LOGGER.warning("no further connection is accepted for now: %s", problem.strerror)
            self._pause()

    def _welcome(self, sock: socket.socket, address: tuple[Any, ...]) -> None:
        why_not = self._host.door.closed_to(address[0])
        if why_not:
            self._complaints.say(address, why_not, "was closed")
            sock.close()
            return
        self._make_room(address[0])
        tls = self._host.ssl_context
        if tls is None or self._host.plain_too:
            connection = Connection(sock)
        else:
            connection = TLSConnection(sock, tls, server_side=True)
        visitor = Visitor(connection, address)
        visitor.may_be_secure = tls is not None and not connection.is_tls
        visitor.provider.refusal = self._refusal
        self._keep(visitor, self._host.artim)

    def _make_room(self, address: str) -> None:
        """Close whoever was silent longest, of all or of an address, where there are too many."""
        most, most_of_one = self._host.door.most_unassociated
        if isinstance(self._selector, selectors.SelectSelector):
            most = min(most, _MOST_SELECTED)
        if self._from[address] >= most_of_one:
            theirs = [one for one in self._visitors if one.address[0] == address]
        elif len(self._visitors) >= most:
            theirs = list(self._visitors)
        else:
            return
        self._dismiss(min(theirs, key=lambda visitor: visitor.last_heard))

    def _refusal(self, request: pdus.A_ASSOCIATE_RQ) -> pdus.A_ASSOCIATE_RJ | None:
        """Reject, as the service provider (AE-6)."""
        assert self._taken is not None
        refuses = refusal(request) or self._host.door.refusal(self._taken, request)
        if refuses is None and not self._host.reserve():
            return pdus.A_ASSOCIATE_RJ(result=2, source=3, reason=2)
        return refuses

    def _keep(self, visitor: Visitor, seconds: float) -> None:
        """Have a visitor in the lobby, for so long."""
        self._selector.register(visitor.connection.socket, selectors.EVENT_READ, visitor)
        self._visitors.add(visitor)
        self._from[visitor.address[0]] += 1
        self._set_deadline(visitor, seconds)

    def _set_deadline(self, visitor: Visitor, seconds: float) -> None:
        visitor.deadline = time.monotonic() + seconds
        heapq.heappush(self._deadlines, (visitor.deadline, next(self._order), visitor))
        if len(self._deadlines) > 2 * len(self._visitors) + _MANY:
            # Those who left early must not be kept, with their buffers, until their time would have
            # been up.
            self._deadlines = [entry for entry in self._deadlines if entry[2] in self._visitors]
            heapq.heapify(self._deadlines)

    def _expire(self) -> None:
        """Close whose time is up (Evt18)."""
        now = time.monotonic()
        while self._deadlines and self._deadlines[0][0] <= now:
            visitor = heapq.heappop(self._deadlines)[2]
            if visitor in self._visitors and visitor.deadline <= now:
                if visitor.connection.heard and not visitor.connection.is_secure:
                    late = TimeoutError("the handshake was not completed in time")
                    self._complaints.say(visitor.address, in_words(late))
                self._carry_out(visitor, visitor.provider.take("Evt18"))
        if not self._listening and self._listen_at <= now:
            self._listen()

    def _forget(self, visitor: Visitor) -> None:
        if visitor in self._visitors:
            self._visitors.discard(visitor)
            address = visitor.address[0]
            self._from[address] -= 1
            if not self._from[address]:
                del self._from[address]
        with contextlib.suppress(KeyError, ValueError):
            self._selector.unregister(visitor.connection.socket)

    def _dismiss(self, visitor: Visitor) -> None:
        self._forget(visitor)
        if visitor.request is None and not self._stopping:
            self.never_asked += 1
        try:
            visitor.connection.say_goodbye()
        finally:
            visitor.connection.close()
        if not self._stopping:
            self._listen()  # there is a descriptor again

    def _attend(self, visitor: Visitor) -> None:
        """Read what a visitor sent: once, however much it is, since others wait too."""
        if visitor not in self._visitors:  # it was dismissed for another one, just now
            return
        visitor.last_heard = time.monotonic()
        try:
            if visitor.may_be_secure:
                self._decide(visitor)
            self._read(visitor)
        except BlockingIOError:
            return
        except OSError as error:
            connection = visitor.connection
            if connection.heard and (not visitor.connection.is_secure or is_ssl(error.__cause__)):
                self._complaints.say(visitor.address, of_handshake(connection.heard, error))
            else:
                LOGGER.debug("a connection from %s failed: %s", visitor.address[0], error)
            self._dismiss(visitor)
        except BaseException as error:
            # Whatever went wrong with one must not end the others.
            if _is_for_the_program(error):
                raise
            self._dismiss(visitor)
            raised.log(LOGGER, f"a connection from {visitor.address[0]} failed:", error)

    def _decide(self, visitor: Visitor) -> None:
        """See whether a visitor comes with TLS."""
        first, tls = visitor.connection.peek(), self._host.ssl_context
        visitor.may_be_secure = False
        if is_handshake(first) and tls is not None:
            sock = visitor.connection.socket
            visitor.connection = TLSConnection(sock, tls, server_side=True)

    def _read(self, visitor: Visitor) -> None:
        """Go on with the TLS handshake, if there is one, and with what is behind it."""
        connection, framer = visitor.connection, visitor.provider.framer
        try:
            count = framer.fill(connection.recv)
            while count is not None:
                self._take(visitor, count)
                count = framer.fill(connection.recv_more) if visitor in self._visitors else None
        finally:
            # Also the alert that says why not. A client that does not even read its handshake gets
            # no more.
            if visitor in self._visitors:
                connection.flush()

    def _take(self, visitor: Visitor, count: int) -> None:
        """Take bytes that were read; none means that the peer has closed."""
        provider = visitor.provider
        if not count:
            self._carry_out(visitor, provider.take("Evt17"))
            return
        self._taken = visitor
        while visitor in self._visitors and (received := provider.receive(ignore)) is not None:
            if received.move.action in _REQUESTED:
                visitor.request, visitor.raw = received.pdu, received.data
                visitor.told.append(received.move.told)
            self._carry_out(visitor, received.move)
        self._taken = None

    def _carry_out(self, visitor: Visitor, move: Move) -> None:
        """Do what the state machine says."""
        action = move.action
        if move.ends and move.ended is not None and move.ended.error is not None:
            self._complain(visitor, move.ended.error)
        if action.artim == "start":
            self._set_deadline(visitor, LINGER)
        if move.data:
            # Little was sent before it, so that the kernel has room for it.
            visitor.connection.push([move.data])
        if move.closes:
            self._dismiss(visitor)
        elif action is OTHERWISE["AE-6"]:
            try:
                self._host.turned_away(visitor)
            except Exception as error:
                raised.log(LOGGER, "nobody could be told of a rejection:", error)
        elif action.indicate:
            self._forget(visitor)
            visitor.provider.framer.shrink()
            self._admit(visitor)

    def _complain(self, visitor: Visitor, error: BaseException) -> None:
        """Note that a peer sent no A-ASSOCIATE-RQ."""
        if isinstance(error, TLSRecord):
            what = "the peer asks for TLS, which this port does not speak"
            self._complaints.say(visitor.address, what)
        LOGGER.debug("%s sent no A-ASSOCIATE-RQ: %s", visitor.address[0], error)

    def _admit(self, visitor: Visitor) -> None:
        try:
            self._host.admit(visitor)
        except BaseException as error:  # no thread to be had, most likely
            if _is_for_the_program(error):
                raise
            raised.log(LOGGER, f"no association could be made for {visitor.address[0]}:", error)
            self._keep(visitor, LINGER)
            # Temporary congestion.
            congestion = pdus.A_ASSOCIATE_RJ(result=2, source=3, reason=1)
            self._carry_out(visitor, visitor.provider.request(congestion))


def _is_for_the_program(error: BaseException) -> bool:
    """Whether it is Ctrl-C, or what a signal's handler raises, and the program serves here."""
    is_main = threading.current_thread() is threading.main_thread()
    return is_main and not isinstance(error, Exception)
