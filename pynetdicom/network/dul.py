"""The DUL service of one association: its provider, the thread that reads, and what sends.

In: bytes from the connection, which the provider takes apart; what the local user wants to send.
Out: messages and indications for the user; PDUs on the connection.

Who owns what. The DUL thread alone reads, runs the timers, and closes the connection, when no
thread writes. Any thread sends, by itself, see `driver`. Other threads wake the DUL thread to have
it look again: when the association has ended, when reading is to go on after a pause, when a
time-out was changed.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections.abc import Callable

from pynetdicom import raised
from pynetdicom._logging import HERE
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.network.connection import Connection
from pynetdicom.network.connector import Connector
from pynetdicom.network.driver import Driver
from pynetdicom.network.runtime import THREADS, Runtime
from pynetdicom.network.sending import Stopped
from pynetdicom.network.user import User
from pynetdicom.network.waking import Watch
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Feed, Framer
from pynetdicom.upper_layer.provider import NotPossible, Provider, Received

__all__ = ["DUL", "LINGER", "Stopped"]

LOGGER = logging.getLogger("pynetdicom.dul")

LINGER = 2.0
"""Seconds that a connection in Sta13 waits for the peer to close it."""


class DUL(threading.Thread):
    """The DUL service of one association, from before there is a connection to its end.

    Parameters
    ----------
    user : User
    provider : Provider
        Its framer may hold bytes that were received already.
    connection : Connection or Connector
        Where there is none yet, what connects.
    name : str
        Of the thread.
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

    # What most never have otherwise is the class's.
    _finished = _expired = False
    """Whether the connection is to be closed, and whether since the peer's time to do so is up."""
    _in_midst = False
    """Whether a PDU or a message has begun and is not complete, as of the last bytes."""
    _paused_until: float | None = None
    """Until when nothing is read, since its consumer lags."""
    _pdvs: tuple[pdus.PDV, ...] = ()
    """Those of the present P-DATA-TF, for who watches PDUs."""
    _pdv = b""

    def __init__(
        self,
        user: User,
        provider: Provider,
        connection: Connection | Connector,
        name: str = "DUL",
        runtime: Runtime = THREADS,
    ) -> None:
        super().__init__(name=name, daemon=True)
        # What the log says of this thread, see `pynetdicom._logging`.
        self.link: object = None
        self._user = user
        self._runtime = runtime
        self.provider = provider
        self.framer: Framer = provider.framer
        self.driver = Driver(user, provider, connection, self, self.wake, runtime)
        # What any thread may call is the driver's.
        self.abort, self.fail = self.driver.abort, self.driver.fail
        self.perform, self.send_data = self.driver.perform, self.driver.send_data
        self.last_received = time.monotonic()
        self.reader = 0
        # The last move that the DUL thread knows of.
        self._move = provider.last
        # What it waits for, and is woken by, once there is a connection.
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

    def connecting(self) -> None:
        """Say that a transport connection is being made (AE-1).

        Raises
        ------
        Stopped
            The association was aborted before.
        """
        try:
            self.provider.take("Evt1")
        except NotPossible as error:
            raise Stopped from error
        self.driver.tell()

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
        # A thread that aborts moves on before it looks for what is to be cut.
        self.driver.writer.connection = connection
        if self.provider.last.closes:
            connection.cut()

    def start(self) -> None:
        """Start to read, once the peer has asked for the association or was asked.

        One that speaks before it was asked is answered by the states after that.

        Raises
        ------
        RuntimeError
            No thread can be started; the association is aborted and its connection closed.
        """
        try:
            super().start()
        except RuntimeError as error:
            self.abort(Ended("aborted", "local", 2, 0, error=error))
            self._close()
            raise

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end, if it was ever started."""
        if self.ident is not None:
            super().join(timeout)

    def see_closed(self) -> bool:
        """Have the connection closed, by the DUL thread; False when there never was one."""
        connection = self.connection
        if isinstance(connection, Connector):
            return False
        if self.ident is None:  # it was never started
            if connection.fileno() >= 0:
                (self._close if self._watch is None else self.run)()
            return True
        self.join(LINGER)
        if self.is_alive():
            connection.cut()
            self.join(LINGER)
        return True

    def wake(self) -> None:
        """Have the DUL thread look what there is to do; from any thread."""
        watch = self._watch
        if watch is not None:
            watch.set()

    def look_again(self) -> None:
        """Have those look at the time-outs again who wait by them: the DUL thread, and a writer."""
        self.wake()
        self.driver.writer.wake()

    def run(self) -> None:
        """Read until the connection is closed."""
        HERE.link = self.link
        self.reader = self._runtime.worker()
        connection = self.connection
        try:
            self._read_until_finished(connection)
        except self._runtime.stops:
            pass  # who ends it has seen to the association
        except BaseException as error:
            # A defect of ours must not leave the peer, or a waiting thread, hanging.
            raised.log(LOGGER, "the DUL thread failed:", error)
            self.abort(Ended("aborted", "local", 2, 0, error=error))
        finally:
            try:
                self._close()
            finally:
                connection.close()
                # Held events hold their association for as long as it takes; this can be 1 MB.
                self.framer.close()
                self.reader = 0

    def _close(self) -> None:
        self._finished = True
        self.driver.close(expired=self._expired)
        # Where Ctrl-C comes in the midst of closing it, it is closed with its last reference.
        watch, self._watch = self._watch, None
        if watch is not None:
            watch.close()

    def _read_until_finished(self, connection: Connection) -> None:
        watch = self._watch
        assert watch is not None
        # What the lobby has received is understood before anything else is read.
        if not self.framer.is_empty:
            self._understand()
        if connection.is_tls:
            self._read(connection, connection.recv_more)
        while not self._finished:
            if self._move.later:
                self._move = self.provider.last
            paused = self._paused_until is not None
            hurries = paused or self._in_midst or self._move.ended is not None
            ready = watch.wait(self._patience() if hurries else None, end_only=paused)
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
        """Read no more for so long, or until `resume`; on the DUL thread.

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
        if self.provider.ended is not None:
            return self.driver.time_left(LINGER)
        timeout = self._user.network_timeout
        if timeout is None or not self._in_midst:
            return None
        return self.last_received + timeout - time.monotonic()

    def _check_silence(self) -> None:
        """Abort when the peer stopped in mid-message; in Sta13, close when it does not."""
        ended = self.provider.ended
        if self._finished:
            return
        if ended is not None:
            self.driver.help()
        left = None if self.is_paused else self._patience()
        if left is None or left > 0:
            return
        if ended is not None:
            self._finished = self._expired = True
        else:
            self.abort(Ended("aborted", "local", 0, 0, timer="network_timeout"))

    # Reading

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
        watched = user.watches_pdus
        feed: Feed[None] = self._feed_and_show if watched else user.assembler.feed
        show = (lambda pdu: user.on_pdu(pdu, False)) if watched else None
        while not self._finished:
            try:
                item = self.provider.receive(feed, show)
                if item is None:
                    break
                self._carry_out(item)
            except DIMSEDecodeError as error:
                # What follows a message that is none is still understood, in Sta13.
                self.abort(Ended("aborted", "local", 0, 0, error=error))
        in_message = user.assembler.context_id != 0
        if in_message:
            user.assembler.flush()
        self._in_midst = in_message or (framer.in_pdu and not self._finished)

    def _feed_and_show(self, context_id: int, control: int, data: memoryview, done: bool) -> None:
        """As the user's `feed`, collecting the P-DATA-TF for those who watch PDUs."""
        self._pdv += data
        if done:
            self._pdvs += (pdus.PDV(context_id, control, self._pdv),)
            self._pdv = b""
            if not self.framer.in_p_data:
                shown, self._pdvs = self._pdvs, ()
                self._user.on_pdu(pdus.P_DATA_TF(pdvs=list(shown)), False)
        self._user.assembler.feed(context_id, control, data, done)

    def _carry_out(self, received: Received) -> None:
        """Do what the state machine says of a PDU of the peer."""
        driver, move = self.driver, received.move
        self._move = move  # those before it are kept by nothing else
        action = move.action
        if move.ends and not move.closes:  # else it is told with the close
            driver.tell_end(wakes=False)
        if move.data:
            if not (move.ends and move.abort):  # another A-ABORT than the one that has ended it
                driver.writer.again = move.data
            driver.writer.after()
        driver.tell()
        if move.closes:
            self._finished = True
        elif move.answer is not None:
            with contextlib.suppress(Stopped):
                driver.perform(move.answer)
        elif action.label == "AE-3":
            self.framer.context_ids = self._user.on_associate(received.pdu)
            self.framer.shrink()
        elif action.label == "AR-2":
            self._user.on_release(self._release_at_once)

    def _release_at_once(self) -> bool:
        """Answer the peer's wish to release; False where another thread is writing."""
        try:
            return self.driver.perform(pdus.RELEASE_RP, wakes=False, waits=False)
        except Stopped:
            return True
