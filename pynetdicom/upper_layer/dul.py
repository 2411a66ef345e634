"""The DUL service of one association: its reader thread, and writing by whoever has to.

In: bytes from the connection, which `Framer` takes apart; PDUs become events of the state machine,
PDVs go to the user's `feed`. Out: PDUs and batches of P-DATA-TF, written by the calling thread
under the write lock.

Who owns what. The DUL thread alone reads, and alone closes the connection. The write lock covers a
whole message: what goes on the wire is decided while holding it. The state lock covers the state
and `ended`, and is never held while a socket blocks; it is taken after the write lock, never
before. Transitions are told when neither is held.

An A-ABORT is written by whoever can: the aborter if nobody is writing, else the writer, who looks
for it before every write, and who looks once more after he has given the write lock back, since the
aborter may have found it taken.

A writer whose connection breaks does not say how the association ended. The peer may have said so
before it closed, and only the reader sees that.
"""

from __future__ import annotations

import contextlib
import logging
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Any

from pynetdicom.errors import DIMSEDecodeError, PDUDecodeError
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.buffers import Buffer, advance, rest_of_pdu
from pynetdicom.upper_layer.clock import Deadline, call_at
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import (
    DATA_STATES,
    EVENT_OF_PDU,
    SENDING_STATES,
    TABLE,
    Action,
    UpperLayer,
)
from pynetdicom.upper_layer.reader import HAS_EPOLL, ReaderRole
from pynetdicom.upper_layer.transport import Connection, TLSConnection, Waker, remaining
from pynetdicom.upper_layer.user import User

LOGGER = logging.getLogger("pynetdicom.dul")

LINGER = 2.0
"""Seconds that a connection in Sta13 waits for the peer to close it."""

LAST_PDU = 1.0
"""Seconds that a PDU which has begun may take once the association is aborted."""

# The kernel counts in ticks of up to 10 ms.
_TICK = 0.02

_P_DATA_TF = 0x04

# The actions whose PDU has to be understood before the event is known: a malformed one is Evt19.
_DECODED = frozenset(("AE-3", "AE-4", "AE-6", "AA-2", "AA-3"))


class Stopped(Exception):
    """The association has ended, or is being released: nothing more can be sent."""


class _Broken(Stopped):
    """A write failed, for its cause."""


class DUL(threading.Thread):
    """The DUL service of one association.

    Parameters
    ----------
    user : User
    connection : Connection
    upper_layer : UpperLayer
    framer : Framer
        May hold bytes that were received already.
    name : str
        Of the thread.

    Attributes
    ----------
    ended : Ended or None
        How the association ended; set once, before anybody is woken.
    """

    def __init__(
        self,
        user: User,
        connection: Connection,
        upper_layer: UpperLayer,
        framer: Framer,
        name: str = "DUL",
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._user = user
        self.connection = connection
        self.upper_layer = upper_layer
        self.framer = framer
        self.ended: Ended | None = None
        self.last_activity = self.last_received = time.monotonic()
        self._reader: ReaderRole | None = None
        if HAS_EPOLL:
            with contextlib.suppress(OSError):  # no descriptor for it: the DUL thread alone reads
                self._reader = ReaderRole(connection)
        self._has_begun = False
        self._write = threading.Lock()
        self._state = threading.Lock()
        # The thread that holds the write lock for a message.
        self._writer = 0
        # The A-ABORT that waits to be written by whoever has the write lock, and the one that was.
        self._leaving: bytes | None = None
        self._departed: bytes | None = None
        # Another A-ABORT, for what came in Sta13 (AA-7).
        self._again: bytes | None = None
        self._finishing = False
        self._waker: Waker | None = None
        self._over = threading.Event()
        self._requested = threading.Event()
        self._ended_at = 0.0
        self._finished = False
        self._expired = False
        self._deaf = False
        self._problem: BaseException | None = None
        self._cut_off: Deadline | None = None
        self._transitions: deque[tuple[str, str, str, str]] = deque()
        self._telling = threading.Lock()
        self._pdvs: list[pdus.PDV] = []
        self._pdv = bytearray()

    # The state machine

    @property
    def state(self) -> str:
        """The state of the state machine, such as ``"Sta6"``."""
        return self.upper_layer.state

    def _take(self, event: str, ended: Ended | None = None, *, aborts: bool = False) -> Action:
        """Move the state machine, and note how the association ends if it does so by this.

        Raises
        ------
        RuntimeError
            The event is not possible any more; or, with `aborts`, it is no reason to abort the
            association, or not the first.
        """
        with self._state:
            before = self.upper_layer.state
            if aborts:
                found = TABLE.get((event, before))
                if self.ended is not None or found is None or not (found.send or found.close):
                    raise RuntimeError("there is nothing to abort")
            action = self.upper_layer.take(event)
            after = self.upper_layer.state
            self.framer.accepts_data = after in DATA_STATES
            ends = ended is not None and self.ended is None
            if ends:
                self.ended = ended
                self._ended_at = time.monotonic()
            if action.send == "A-ABORT" and ended is not None and ends:
                self._leaving = pdus.A_ABORT(
                    source=ended.source or 0, reason=ended.reason or 0
                ).encode()
                if self._waker is not None:
                    self._waker.set()
            if self._user.watches_transitions:
                self._transitions.append((action.label, before, event, after))
        if before == "Sta4":
            self._requested.set()
        if ends:
            self._over.set()
            self._user.on_ended()
            self.wake_reader()
        return action

    def _tell(self) -> None:
        """Tell of transitions in their order, by one thread at a time, which holds no lock."""
        while self._transitions and self._telling.acquire(blocking=False):
            try:
                while self._transitions:
                    self._user.on_transition(*self._transitions.popleft())
            finally:
                self._telling.release()

    # Sending

    def connected(self) -> None:
        """Say that the transport connection is there (AE-1); start the thread after this."""
        self._take("Evt1")
        self._tell()

    @contextlib.contextmanager
    def _writing(self) -> Iterator[None]:
        """Hold the write lock, and look after what was left to its holder."""
        ident = threading.get_ident()
        if self._writer == ident:
            raise RuntimeError(
                "a handler of what is being sent cannot send on the same association"
            )
        try:
            with self._write:
                self._writer = ident
                try:
                    yield
                finally:
                    self._writer = 0
                    if self._waker is not None:
                        self._drop_waker()
        except _Broken as error:
            self._find_out(error.__cause__)
            raise
        finally:
            self._after_write()
            self._tell()

    def perform(self, event: str, pdu: Any, ended: Ended | None = None) -> None:
        """Do what the local user asks for by `event`: take it and send its PDU.

        Raises
        ------
        Stopped
            The association has ended, or the event is not possible any more.
        """
        data = pdu.encode()
        with self._writing():
            try:
                self._take(event, ended)
            except RuntimeError as error:
                raise Stopped from error
            self._put([data])
        self.last_activity = time.monotonic()
        if self._user.watches_data:
            self._user.on_data(data, True)
        if self._user.watches_pdus:
            self._user.on_pdu(pdu, True)

    def send_data(self, batches: Iterable[Sequence[Buffer]]) -> None:
        """Send one message: batches of whole P-DATA-TF PDUs (DT-1, AR-7).

        Raises
        ------
        Stopped
            The association has ended, or its release was requested: nothing or not all was sent.
        RuntimeError
            Called from a handler of what is being sent.
        Exception
            What `batches` raises. A message that had begun cannot be taken back: the association is
            aborted.
        """
        user = self._user
        begun = False
        whole = True
        with self._writing():
            if self.upper_layer.state not in SENDING_STATES or self.ended is not None:
                raise Stopped
            try:
                for batch in batches:
                    begun, whole = True, False
                    self._put(batch)
                    whole = True
                    if user.watches_data or user.watches_pdus:
                        self._show(batch)
            except Stopped:
                raise
            except BaseException as error:  # Ctrl-C as well
                if begun:
                    # Where a PDU was left in its midst nobody knows how to complete it.
                    ended = Ended("aborted", "local", 0, 0, error=error)
                    self.abort(ended, at_once=not whole)
                raise
        self.last_activity = time.monotonic()

    def _put(self, buffers: Sequence[Buffer]) -> None:
        """Write buffers; each PDU begins at the start of one. The write lock is held."""
        connection = self.connection
        total = sum(map(len, buffers))
        sent = 0
        rest: Sequence[Buffer] = buffers
        while True:
            if self._leaving is not None:
                self._leave(buffers, sent)
                raise Stopped
            try:
                count = connection.push(rest)
            except OSError as error:
                raise _Broken from error
            sent += count
            if sent >= total and not connection.pending:
                return
            if count:
                rest = advance(rest, count)
                if connection.is_tls and not connection.pending:
                    continue
            self._wait_writable()

    def _wait_writable(self) -> None:
        """Wait until the peer reads on, for as long as `network_timeout` allows."""
        timeout = self._user.network_timeout
        with self._state:
            if self._leaving is not None:
                return
            if self.ended is not None:  # by the PDU that is being written
                timeout = LAST_PDU if timeout is None else min(timeout, LAST_PDU)
            if self._waker is None:
                with contextlib.suppress(
                    OSError
                ):  # no descriptor for it: woken by the cut, in the end
                    self._waker = Waker()
            waker = self._waker
        if self.connection.wait_writable(timeout, waker) or self._leaving is not None:
            return
        ended = Ended("aborted", "local", 0, 0, timer="network_timeout")
        if not self.abort(ended) and self._leaving is None:
            raise _Broken from TimeoutError("the peer does not read")

    def _drop_waker(self) -> None:
        with self._state:
            waker, self._waker = self._waker, None
        if waker is not None:
            waker.close()

    def _show(self, batch: Sequence[Buffer]) -> None:
        """Trigger the events of a batch of P-DATA-TF that was sent."""
        data = b"".join(batch)
        if self._user.watches_data:
            self._user.on_data(data, True)
        start = 0
        while start < len(data) and self._user.watches_pdus:
            end = start + 6 + int.from_bytes(data[start + 2 : start + 6], "big")
            self._user.on_pdu(pdus.decode_pdu(data[start:end]), True)
            start = end

    # Aborting

    def abort(self, ended: Ended, *, at_once: bool = False, event: str = "") -> bool:
        """Abort the association (AA-1, AA-8); waits for nothing. False when it had ended already.

        Parameters
        ----------
        ended : Ended
            How it is to be recorded; its source and reason go into the A-ABORT. Source 2 is the
            provider.
        at_once : bool
            Do not give a PDU that has begun the time to be completed.
        event : str
            The event that is the cause, if it is not what `ended` says.
        """
        if not event:  # in Sta4 nothing can have been received that would be invalid
            invalid = ended.source == 2 and self.upper_layer.knows("Evt19")
            event = "Evt19" if invalid else "Evt15"
        try:
            action = self._take(event, ended, aborts=True)
        except RuntimeError:
            if at_once:
                self.connection.cut()
            return False
        if action.close:
            self.connection.cut()
        self._after_write()
        self._tell()
        if at_once and (self._leaving is not None or self._finishing):
            self.connection.cut()
            return True
        patience = LAST_PDU if self._leaving is not None else LINGER
        try:
            self._cut_off = call_at(time.monotonic() + patience, self._expire)
        except RuntimeError:  # no thread to be had
            self.connection.cut()
        if self._finished and self._cut_off is not None:
            self._cut_off.cancel()
        return True

    def _expire(self) -> None:
        """The peer had its time to close the connection, or to take the A-ABORT."""
        self._expired = True
        self.connection.cut()

    def _after_write(self) -> None:
        """Do what was left to the holder of the write lock: an A-ABORT, or TLS's own messages."""
        flushed = False
        while (
            self._leaving is not None
            or (self._again is not None and not self._finishing)
            or (self.connection.pending and not flushed)
        ):
            if not self._write.acquire(blocking=False):
                break  # its holder comes by here
            try:
                if self._leaving is not None:
                    self._leave((), 0)
                elif self._again is not None and not self._finishing:
                    again, self._again = self._again, None
                    if not self._finished:
                        self._send_last([again])
                else:
                    # What the kernel does not take now goes in front of the next write.
                    flushed = True
                    if not self._finished:
                        self.connection.push(())
            except OSError:
                flushed = True
            finally:
                self._write.release()
        if self._departed is not None:
            with self._state:
                abort, self._departed = self._departed, None
            if abort is not None:
                self._tell_abort(abort)

    def _leave(self, buffers: Sequence[Buffer], sent: int) -> None:
        """Complete the PDU that has begun and write the A-ABORT. The write lock is held."""
        abort, self._leaving = self._leaving, None
        if abort is None or self._finished:
            return
        self._send_last([*rest_of_pdu(buffers, sent), abort])

    def _send_last(self, left: list[Buffer]) -> None:
        """Write what is left to be said, an A-ABORT at the end. The write lock is held."""
        abort = bytes(left[-1])
        try:
            while left and (count := self.connection.push(left)):
                left = advance(left, count)
        except OSError:
            return
        if not left and not self.connection.pending:
            self._departed = abort
            return
        # The peer does not read. Whoever was sending is not to wait for that.
        self._finishing = True
        try:
            threading.Thread(
                target=self._finish_writing,
                args=(left, abort),
                name="pynetdicom-abort",
                daemon=True,
            ).start()
        except RuntimeError:  # no thread to be had
            self.connection.cut()

    def _finish_writing(self, left: list[Buffer], abort: bytes) -> None:
        """Write the last bytes to a peer that does not read, until `LAST_PDU` has passed."""
        deadline = time.monotonic() + LAST_PDU
        done = False
        with self._write, contextlib.suppress(OSError):
            while not self._finished:
                count = self.connection.push(left)
                left = advance(left, count) if count else left
                done = not left and not self.connection.pending
                if done or not (
                    count or self.connection.wait_writable(max(0.0, deadline - time.monotonic()))
                ):
                    break
        if not done:
            self.connection.cut()
            return
        self._finishing = False
        self._tell_abort(abort)
        self._after_write()

    def _tell_abort(self, abort: bytes) -> None:
        """Trigger the events of an A-ABORT that was sent."""
        if self._user.watches_data:
            self._user.on_data(abort, True)
        if self._user.watches_pdus:
            self._user.on_pdu(pdus.decode_pdu(abort), True)

    def _find_out(self, error: BaseException | None) -> None:
        """A write has failed: let the reader see what the peer said before it closed."""
        self._problem = error
        self.connection.cut()
        if not self.is_reading_here and self.is_alive():
            self._over.wait(LAST_PDU)
        self._lost(error)

    def _lost(self, error: BaseException | None) -> None:
        """The transport connection is closed or broken (Evt17), or its time is up (Evt18)."""
        event = "Evt18" if self._expired and self.state == "Sta13" else "Evt17"
        with contextlib.suppress(RuntimeError):  # it is known already
            self._take(event, Ended("aborted", "network", error=error or self._problem))
        self._tell()

    # Receiving, on the DUL thread

    def run(self) -> None:
        """Read until the connection is closed."""
        try:
            if self.state == "Sta4":
                # A peer that speaks before it was asked is answered by the states after this one.
                self._requested.wait()
            # What the lobby has received is ours to understand, before anybody else reads on.
            self._understand()
            self._drain()
            self._has_begun = True
            while not self._finished:
                if self._reader is None:
                    self.connection.set_read_timeout(self._patience())
                    self._read(self.connection.recv_into)
                elif self._reader.wait(self._patience()):
                    try:
                        self._read(self.connection.recv_now)
                    finally:
                        self._reader.give_back()
        except Exception as error:
            # A defect of ours must not leave the peer, or a waiting thread, hanging.
            LOGGER.exception("the DUL thread failed")
            self.abort(Ended("aborted", "local", 2, 0, error=error))
        finally:
            self._close()

    def _patience(self) -> float | None:
        """Seconds until the DUL thread looks whether the silence is too long."""
        if self.ended is None:
            timeout = self._user.network_timeout
            return timeout if timeout is None else self._silence_left(timeout)
        return max(0.001, self._ended_at + LINGER - time.monotonic())

    def _silence_left(self, timeout: float) -> float:
        """Seconds of silence that are left to the peer; in mid-message since its last bytes."""
        if not (self._user.in_message or self.framer.in_pdu):
            return timeout
        return max(0.001, self.last_received + timeout - time.monotonic())

    def _close(self) -> None:
        self._finished = True
        self._lost(None)
        if self._reader is not None:
            self._reader.close()
        if not self._write.acquire(blocking=False):
            # A writer is woken by the cut. The descriptor goes only when he is out, lest he write
            # to its next owner.
            self.connection.cut()
            self._write.acquire()
        try:
            self.connection.say_goodbye()
            self.connection.close()
        finally:
            self._write.release()
        if self._cut_off is not None:
            self._cut_off.cancel()

    def read_while(self, is_waiting: Callable[[], bool], deadline: float | None) -> bool:
        """Read on the calling thread until what it waits for is there, or `deadline` has passed.

        False when somebody else reads, or nobody can any more: then wait for it to be brought.
        """
        reader = self._reader
        if reader is None or self._finished or not self._has_begun:
            return False
        reading = False
        try:
            if not reader.take_from_dul_thread():
                return False
            while is_waiting() and not self._finished:
                if reader.wait_readable(self._reading_time(deadline)):
                    reading = True
                    self._read(self.connection.recv_now)
                    reading = False
                    continue
                # Before the caller's time is up: nobody else looks at the peer's while he reads.
                self._check_silence()
                if deadline is not None and time.monotonic() >= deadline:
                    break
            reader.give_back(wake_dul_thread=self._finished)
        except BaseException as error:
            # Ctrl-C, or a defect. What was being received is lost, if it was being taken apart.
            if reading or isinstance(error, Exception):
                self._deaf = True
                self.abort(Ended("aborted", "local", 2, 0, error=error))
            # Ctrl-C may also come while the role is being taken or given back.
            reader.give_back(wake_dul_thread=True)
            raise
        return True

    def _reading_time(self, deadline: float | None) -> float | None:
        """Seconds to wait for the peer's next bytes."""
        left = remaining(deadline)
        timeout = self._user.network_timeout
        if timeout is None or not (self._user.in_message or self.framer.in_pdu):
            return left
        timeout = self._silence_left(timeout)
        return timeout if left is None else min(left, timeout)

    @property
    def is_reading_here(self) -> bool:
        """Whether the calling thread is the one that reads: it must not wait for that."""
        return threading.current_thread() is self or (
            self._reader is not None and self._reader.is_mine
        )

    def wake_reader(self) -> None:
        """Have a thread that reads while it waits look whether its waiting is over."""
        if self._reader is not None:
            self._reader.wake()

    def _read(self, recv: Callable[[memoryview], int]) -> None:
        user, connection = self._user, self.connection
        view = self.framer.space()
        try:
            count = recv(view)
        except BlockingIOError:
            self._check_silence()
            return
        except OSError as error:
            self._problem = self._problem or error
            self._finished = True
            return
        if not count:
            self._finished = True
            return
        self._received(view, count)
        if connection.is_tls:
            self._drain()
        if user.expects_more or self.framer.in_pdu:
            connection.quick_ack()
        if connection.pending:
            self._after_write()

    def _received(self, view: memoryview, count: int) -> None:
        """Take note of bytes that were read into `view`, and take them apart."""
        self.last_activity = self.last_received = time.monotonic()
        if self._user.watches_data:
            self._user.on_data(bytes(view[:count]), False)
        if not self._deaf:
            self.framer.received(count)
            self._understand()

    def _drain(self) -> None:
        """Read what TLS has deciphered already: nothing would tell of it any more."""
        connection = self.connection
        if not isinstance(connection, TLSConnection):
            return
        try:
            while not self._finished:
                view = self.framer.space()
                count = connection.read_clear(view)
                if count is None:
                    return
                if count:
                    self._received(view, count)
                else:
                    self._finished = True
        except OSError as error:
            self._problem = self._problem or error
            self._finished = True

    def _understand(self) -> None:
        """Take what was received apart."""
        try:
            while not self._take_apart():
                pass
        except PDUDecodeError as error:
            self._deaf = True  # where the next PDU begins is not known
            self._invalid(error)
        self._user.flush()

    def _take_apart(self) -> bool:
        """False when a message was none: what follows it is still understood, in Sta13."""
        user = self._user
        feed = user.feed if not user.watches_pdus else self._feed_and_show
        try:
            for item in self.framer.frames(feed if self.ended is None else _ignore):
                if type(item) is bytes:
                    self._on_pdu(item)
                    if self._finished or self._deaf:
                        break
                elif self.ended is None:
                    user.on_message(item)
        except DIMSEDecodeError as error:
            self.abort(Ended("aborted", "local", 0, 0, error=error))
            return False
        return True

    def _feed_and_show(self, context_id: int, control: int, data: memoryview, done: bool) -> Any:
        """As the user's `feed`, collecting the P-DATA-TF for those who watch PDUs."""
        self._pdv += data
        if done:
            self._pdvs.append(pdus.PDV(context_id, control, bytes(self._pdv)))
            self._pdv.clear()
            if not self.framer.in_p_data:
                shown, self._pdvs = self._pdvs, []
                self._user.on_pdu(pdus.P_DATA_TF(pdvs=shown), False)
        return self._user.feed(context_id, control, data, done)

    def _invalid(self, error: PDUDecodeError) -> None:
        """Evt19: AA-8, or AA-7 when the association has ended already."""
        if self.abort(Ended("aborted", "local", 2, error.reason, error=error)):
            return
        with contextlib.suppress(RuntimeError):
            self._take("Evt19")
            self._push_abort(2, error.reason)
        self._tell()

    def _push_abort(self, source: int, reason: int) -> None:
        """Send another A-ABORT (AA-7)."""
        self._again = pdus.A_ABORT(source=source, reason=reason).encode()
        self._after_write()

    def _on_pdu(self, data: bytes) -> None:
        """A PDU is complete that is not P-DATA-TF in its place."""
        event = EVENT_OF_PDU[data[0]]
        found = TABLE.get((event, self.state))
        if found is None:  # the connection was lost to a writer meanwhile
            return
        label = found.label
        pdu: Any = None
        if label in _DECODED or (self._user.watches_pdus and data[0] != _P_DATA_TF):
            try:
                pdu = pdus.decode_pdu(data)
            except PDUDecodeError as error:
                self._invalid(error)
                return
            if self._user.watches_pdus:
                self._user.on_pdu(pdu, False)
        # P-DATA-TF comes here when it was not expected at its beginning; its content is lost,
        # whatever the state is now.
        if label == "AA-8" or label in ("DT-2", "AR-6"):
            unexpected = PDUDecodeError(
                f"not expected in {self.state}", pdu=f"PDU of type {data[0]:#04x}", reason=2
            )
            cause = event if label == "AA-8" else "Evt19"
            ended = Ended("aborted", "local", 2, 2, error=unexpected)
            if self.abort(ended, event=cause) or self.ended is not None:
                return
            self._on_pdu(data)  # our own release request was sent meanwhile
            return
        if label == "AE-3":
            self.framer.context_ids = self._user.on_associate(pdu)
        try:
            # Another thread may have moved on meanwhile: what was taken counts, not what was looked
            # up.
            label = self._take(event, _ended_by(label, pdu)).label
        except RuntimeError:
            return
        self._tell()
        if label == "AE-3":
            self._user.on_message(pdu)
        elif label in ("AE-4", "AA-2", "AA-3", "AR-3"):
            self._finished = True
        elif label == "AR-2":
            self._user.on_release()
        elif label in ("AR-8", "AR-10"):
            self._collide()
        elif label == "AA-7":
            self._push_abort(2, 2)

    def _collide(self) -> None:
        """Answer a release collision: the requestor first, the acceptor when it got its answer."""
        if self.state == "Sta10":
            return
        ended = Ended("released", "local") if self.state == "Sta12" else None
        with contextlib.suppress(Stopped):
            self.perform("Evt14", pdus.A_RELEASE_RP(), ended)

    def _check_silence(self) -> None:
        """Abort when the peer stopped in mid-message; in Sta13, close when it does not."""
        timeout = self._user.network_timeout
        now = time.monotonic()
        if self.ended is not None:
            if now - self._ended_at >= LINGER - _TICK:
                self._finished = self._expired = True
        elif timeout is None or not (self._user.in_message or self.framer.in_pdu):
            return
        elif now - self.last_received >= timeout - _TICK:
            self.abort(Ended("aborted", "local", 0, 0, timer="network_timeout"))


def _ended_by(label: str, pdu: Any) -> Ended | None:
    """How an action that follows a PDU of the peer ends the association, if it does."""
    if label == "AE-4":
        return Ended("rejected", "peer", pdu.source, pdu.reason, pdu.result)
    if label == "AA-3":
        return Ended("aborted", "peer", pdu.source, pdu.reason)
    if label == "AR-3":
        return Ended("released", "local")
    return None


def _ignore(context_id: int, control: int, data: memoryview, done: bool) -> None:
    """Take PDVs that nobody waits for any more."""
