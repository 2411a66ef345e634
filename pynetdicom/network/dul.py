"""The DUL service of one association: its provider, the thread that reads, and what sends.

In: bytes from the connection, which the provider takes apart; what the local user wants to send.
Out: messages and indications for the user; PDUs on the connection.

Who owns what. One thread is the reader: it alone reads, runs the timers, and closes the connection,
when no thread writes. At first that is the Association thread, wherever it waits for something.
When that has to do what may take long, the DUL thread is started, which is the reader from then on,
for good. Any thread sends, by itself, see `driver`. Other threads wake the reader to have it look
again: when the association has ended, when reading is to go on after a pause, when a time-out was
changed.
"""

from __future__ import annotations

import itertools
import logging
import time
from collections.abc import Callable

from pynetdicom import raised
from pynetdicom._logging import HERE
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.network.connection import Connection
from pynetdicom.network.connector import Connector
from pynetdicom.network.driver import Driver
from pynetdicom.network.runtime import THREADS, Running, Runtime
from pynetdicom.network.sending import Stopped
from pynetdicom.network.user import User
from pynetdicom.network.waking import Watch
from pynetdicom.network.watched import Watched
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Feed, Framer
from pynetdicom.upper_layer.provider import Provider

__all__ = ["DUL", "LINGER", "Stopped"]

LOGGER = logging.getLogger("pynetdicom.dul")

LINGER = 2.0
"""Seconds that a connection in Sta13 waits for the peer to close it."""


_ALWAYS = itertools.repeat(True).__next__


class DUL:
    """The DUL service of one association, from before there is a connection to its end.

    Parameters
    ----------
    user : User
    provider : Provider
        Its framer may hold bytes that were received already.
    connection : Connection or Connector
        Where there is none yet, what connects.
    name : str
        Of the DUL thread.
    runtime : Runtime

    Attributes
    ----------
    driver : Driver
        What any thread may call.
    last_received : float
        When something was received.
    reader : int
        The thread that reads, while it does: an ident may be another thread's after that.
    """

    is_beside = False
    """Whether it reads beside the Association thread from the first."""

    # What most never have otherwise is the class's.
    _thread: Running | None = None
    """The DUL thread, once it has been started."""
    _is_left = False
    """Whether reading was left to the DUL thread, which may not have begun yet."""
    _has_begun = False
    """Whether it was read, or what had been received before was understood."""
    _finished = _expired = False
    """Whether the connection is to be closed, and whether since the peer's time to do so is up."""
    _in_midst = False
    """Whether a PDU or a message has begun and is not complete, as of the last bytes."""
    _paused_until: float | None = None
    """Until when nothing is read, since its consumer lags."""
    _watched: Watched | None = None
    """What is received of the present P-DATA-TF, for who watches PDUs."""

    def __init__(
        self,
        user: User,
        provider: Provider,
        connection: Connection | Connector,
        name: str = "DUL",
        runtime: Runtime = THREADS,
    ) -> None:
        self.name = name
        # What the log says of the DUL thread, see `pynetdicom._logging`.
        self.link: object = None
        self._user = user
        self._runtime = runtime
        self.provider = provider
        self.framer: Framer = provider.framer
        self.driver = Driver(user, provider, connection, self, runtime)
        # What any thread may call is the driver's.
        self.abort, self.fail = self.driver.abort, self.driver.fail
        self.perform, self.send_data = self.driver.perform, self.driver.send_data
        self.last_received = time.monotonic()
        self.reader = 0
        # The Association thread's ident.
        self._home = 0
        # The last move that the reader knows of.
        self._move = provider.last
        # What that waits for, and is woken by, once there is a connection.
        self._watch: Watch | None = None

    @property
    def connection(self) -> Connection:
        """The connection, or what connects while there is none."""
        return self.driver.writer.connection

    @property
    def socket(self) -> Connection:
        """The connection; its `socket` knows the peer's address and, with TLS, its certificate."""
        return self.connection

    @property
    def is_reading_here(self) -> bool:
        """Whether the calling thread is the one that reads: it must not wait for that."""
        return self._runtime.worker() == self.reader

    @property
    def is_writing_here(self) -> bool:
        """Whether the calling thread is in the midst of a message: a signal may interrupt that."""
        return self.driver.writer.hold.is_mine()

    # The connection

    def attach(self, connection: Connection) -> None:
        """Take the transport connection over, which is to be read with `start`.

        Raises
        ------
        OSError
            There are no descriptors for what wakes the DUL thread.
        """
        try:
            self._watch = self._runtime.watch(connection.fileno())
        except BaseException:
            connection.close()
            raise
        self._home = self._runtime.worker()
        # A thread that aborts moves on before it looks for what is to be cut.
        self.driver.writer.connection = connection
        if self.provider.last.closes:
            connection.cut()

    # The DUL thread

    def start(self) -> None:
        """Start the DUL thread, which reads from now on.

        Raises
        ------
        RuntimeError
            No thread can be started; the association is aborted and its connection closed.
        """
        self._is_left = True
        try:
            self._thread = self._begin()
        except RuntimeError as error:
            self.abort(Ended("aborted", "local", 2, 0, error=error))
            self._close()
            raise

    def _begin(self) -> Running:
        return self._runtime.start(self.name, self.run)

    def leave(self) -> bool:
        """Have the DUL thread read if the calling thread has; whether that is so from now on.

        The calling thread is about to do something that may take long. In the midst of reading it
        cannot leave that, and on any other thread than the Association thread there is no need.
        """
        me = self._runtime.worker()
        if self._is_left:
            return True
        if self.reader or self._watch is None or self._home != me:
            return False
        # No call up to here from where it was looked at: a finalizer may come again by any.
        self._is_left = True
        try:
            self.start()
        except RuntimeError:  # it is aborted
            return False
        return True

    @property
    def ident(self) -> int | None:
        """The DUL thread's; None before it has been started."""
        return None if self._thread is None else self._thread.ident

    def is_alive(self) -> bool:
        """Whether the DUL thread has been started, and has not ended."""
        return self._thread is not None and self._thread.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """Wait for the DUL thread's end, if it was ever started."""
        if self._thread is not None:
            self._thread.join(timeout)

    def see_closed(self) -> bool:
        """Have the connection closed, by the reader; False when there never was one."""
        connection = self.connection
        if isinstance(connection, Connector):
            return False
        if self._thread is None:
            if connection.fileno() >= 0:
                (self._close if self._watch is None else self.read)()
            return True
        self.join(LINGER)
        if self.is_alive():
            connection.cut()
            self.join(LINGER)
        return True

    def wake(self) -> None:
        """Have the reader look what there is to do; from any thread."""
        watch = self._watch
        if watch is not None:
            watch.set()

    def look_again(self) -> None:
        """Have those look at the time-outs again who wait by them: the reader, and a writer."""
        self.wake()
        self.driver.writer.wake()

    def run(self) -> None:
        """Read until the connection is closed: the DUL thread."""
        HERE.link = self.link
        self.read()

    # Reading

    def read(self, goes_on: Callable[[], bool] = _ALWAYS, deadline: float | None = None) -> None:
        """Read until the connection is closed, for as long as it goes on.

        The Association thread reads while it waits for something. Where the DUL thread does, or the
        connection is closed, it returns at once.

        Parameters
        ----------
        goes_on : callable
            Whether what is waited for has not come.
        deadline : float or None
            Until when, of `time.monotonic`.
        """
        me = self._runtime.worker()
        if self._watch is None or (self._is_left and me == self._home):
            return
        self.reader = me  # with no call since, as in `leave`
        connection = self.driver.writer.connection
        is_done = True
        try:
            self._read_while(connection, goes_on, deadline)
            is_done = self._finished
        except self._runtime.stops:
            pass  # who ends it has seen to the association
        except BaseException as error:
            # A defect of ours must not leave the peer, or a waiting thread, hanging.
            raised.log(LOGGER, "the DUL thread failed:", error)
            self.abort(Ended("aborted", "local", 2, 0, error=error))
        finally:
            try:
                if is_done:
                    self._close()
            finally:
                self.reader = 0

    def _close(self) -> None:
        self._finished = True
        try:
            self.driver.close(expired=self._expired)
            # Where Ctrl-C comes in the midst of closing it, it is closed with its last reference.
            watch, self._watch = self._watch, None
            if watch is not None:
                watch.close()
        finally:
            self.driver.writer.connection.close()
            # Held events hold their association for as long as it takes; this can be 1 MB.
            self.framer.close()

    def _read_while(
        self, connection: Connection, goes_on: Callable[[], bool], deadline: float | None
    ) -> None:
        watch = self._watch
        assert watch is not None
        if not self._has_begun:
            self._has_begun = True
            # What the lobby has received is understood before anything else is read.
            if not self.framer.is_empty:
                self._understand()
            if connection.is_tls:
                self._read(connection, connection.recv_more)
        while not self._finished and goes_on():
            if self._move.later:
                self._move = self.provider.last
            paused = self._paused_until is not None
            hurries = paused or self._in_midst or self._move.ended is not None
            left = self._patience() if hurries else None
            if deadline is not None:
                rest = deadline - time.monotonic()
                if rest <= 0:
                    return
                left = rest if left is None else min(left, rest)
            ready = watch.wait(left, end_only=paused)
            if paused and self._rests(ready):
                continue
            if ready:
                self._read(connection, connection.recv)
                if self._in_midst or self._user.outstanding():
                    connection.quick_ack()
            if not ready or self._move.later or self._move.ended is not None:
                self._check_silence()

    # Pausing

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read for the time being."""
        return self._paused_until is not None

    def pause(self, seconds: float) -> None:
        """Read no more for so long, or until `resume`; on the reader's thread.

        The connection's end is seen all the same, where the system can tell.
        """
        self._paused_until = time.monotonic() + seconds
        if self.provider.ended is not None:
            self.resume()

    def resume(self) -> None:
        """Read on, from any thread."""
        if self._paused_until is None:
            return
        # The peer was not silent: it was not listened to.
        self.last_received = time.monotonic()
        self._paused_until = None
        self.wake()

    def _rests(self, hung_up: bool) -> bool:
        """Whether reading is still paused; if its time is up, it is not."""
        until = self._paused_until
        if until is None:
            return False
        if time.monotonic() < until and not hung_up:
            return True
        self._user.on_paused()
        self.resume()
        return False

    # Silence

    def _patience(self) -> float | None:
        """Seconds until reading goes on, or the peer's silence is too long."""
        paused_until = self._paused_until
        if paused_until is not None:
            return paused_until - time.monotonic()
        if self._move.ended is not None:
            return self.driver.time_left(LINGER)
        timeout = self._user.network_timeout
        if timeout is None or not self._in_midst:
            return None
        return self.last_received + timeout - time.monotonic()

    def _check_silence(self) -> None:
        """Abort when the peer stopped in mid-message; in Sta13, close when it does not."""
        if self._finished:
            return
        self._move = self.provider.last
        ended = self._move.ended
        if ended is not None:
            self.driver.help()
        left = None if self._paused_until is not None else self._patience()
        if left is None or left > 0:
            return
        if ended is not None:
            self._finished = self._expired = True
        else:
            self.abort(Ended("aborted", "local", 0, 0, timer="network_timeout"))

    # What was read

    def _read(self, connection: Connection, recv: Callable[[memoryview], int | None]) -> None:
        """Take apart what `recv` gives, and with TLS what is deciphered with it."""
        while True:
            try:
                count = self.framer.fill(recv)
            except BlockingIOError:
                return
            except OSError as error:
                self.driver.problem = self.driver.problem or error
                count = 0
            if not count:
                break
            self._understand(count)
            if self._finished or not connection.is_tls:
                break
            recv = connection.recv_more  # nothing would tell of it any more
        if count == 0:
            self._finished = True
        elif connection.is_tls and connection.pending:
            self.driver.writer.after()

    def _understand(self, count: int = 0) -> None:
        """Take what was received apart, `count` bytes of which are new."""
        framer, user = self.framer, self._user
        if count:
            self.driver.last_activity = self.last_received = time.monotonic()
            if user.watches_data:
                user.on_data(framer.latest(count), False)
        feed: Feed[None] = user.assembler.feed
        show = None
        if user.watches_pdus:
            self._watched = self._watched or Watched(user, framer)
            feed, show = self._watched.feed, lambda pdu: user.on_pdu(pdu, False)
        while not self._finished:
            try:
                item = self.provider.receive(feed, show)
                if item is None:
                    break
                self._move = item.move  # those before it are kept by nothing else
                if self.driver.carry_out(item):
                    self._finished = True
            except DIMSEDecodeError as error:
                # What follows a message that is none is still understood, in Sta13.
                self.abort(Ended("aborted", "local", 0, 0, error=error))
        in_message = user.assembler.context_id != 0
        if in_message:
            user.assembler.flush()
        self._in_midst = in_message or (framer.in_pdu and not self._finished)
