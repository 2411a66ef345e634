"""The half of the DUL service that any thread may call: its state, sending, and aborting.

In: PDUs and batches of P-DATA-TF, written by the calling thread under the write lock; aborts, from
any thread. Out: whole PDUs on the connection, and the state of the association, which the reading
half, in `dul`, moves too.

The write lock covers a whole message: what goes on the wire is decided while holding it. The state
lock covers the state and `ended`, and is never held while a socket blocks; it is taken after the
write lock, never before. Transitions are told when neither is held.

An A-ABORT is written by whoever can: the aborter if nobody is writing, else the writer, who looks
for it before every write, and who looks once more after he has given the write lock back, since the
aborter may have found it taken.

A writer whose connection breaks does not say how the association ended. The peer may have said so
before it closed, and only the reader sees that.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer import threads
from pynetdicom.upper_layer.buffers import Buffer, advance, rest_of_pdu
from pynetdicom.upper_layer.clock import Deadline, call_at
from pynetdicom.upper_layer.ended import Ended, unanswered
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import DATA_STATES, SENDING_STATES, TABLE, Action, UpperLayer
from pynetdicom.upper_layer.reader import ReaderRole
from pynetdicom.upper_layer.transport import Connection, Waker
from pynetdicom.upper_layer.user import User

LAST_PDU = 1.0
"""Seconds that a PDU which has begun may take once the association is aborted."""


class Stopped(Exception):
    """The association has ended, or is being released: nothing more can be sent."""


class _Broken(Stopped):
    """A write failed, for its cause."""


class Sending(threading.Thread):
    """What `DUL` says of itself, but for reading."""

    def __init__(
        self,
        user: User,
        connection: Connection,
        upper_layer: UpperLayer,
        framer: Framer,
        name: str,
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._user = user
        self.connection = connection
        self.upper_layer = upper_layer
        self.framer = framer
        self.ended: Ended | None = None
        self.last_activity = self.last_received = time.monotonic()
        self._reader: ReaderRole | None = None
        # Whether the one who has the reader's role is reading, and not just about to.
        self._is_reading = False
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
        self._problem: BaseException | None = None
        self._cut_off: Deadline | None = None
        self._transitions: deque[tuple[str, str, str, str]] = deque()
        self._telling = threading.Lock()

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

    def _write_with(self, write: Callable[..., None], *args: Any) -> None:
        """Call `write` with the write lock, and look after what was left to its holder."""
        ident = threading.get_ident()
        if self._writer == ident:
            raise RuntimeError(
                "a handler of what is being sent cannot send on the same association"
            )
        try:
            with self._write:
                self._writer = ident
                try:
                    write(*args)
                finally:
                    self._writer = 0
                    if self._waker is not None:
                        self._drop_waker()
        except _Broken as error:
            self.unclaim_reading()
            self._find_out(error.__cause__)
            raise
        finally:
            if self.connection.is_tls or not (
                self._leaving is self._again is self._departed is None
            ):
                self._after_write()
            if self._transitions:
                self._tell()

    def perform(self, event: str, pdu: Any, ended: Ended | None = None) -> None:
        """Do what the local user asks for by `event`: take it and send its PDU.

        Raises
        ------
        Stopped
            The association has ended, or the event is not possible any more.
        """
        data = pdu.encode()
        self._write_with(self._write_pdu, event, data, ended)
        self.last_activity = time.monotonic()
        if self._user.watches_data:
            self._user.on_data(data, True)
        if self._user.watches_pdus:
            self._user.on_pdu(pdu, True)

    def _write_pdu(self, event: str, data: bytes, ended: Ended | None) -> None:
        try:
            self._take(event, ended)
        except RuntimeError as error:
            raise Stopped from error
        self._put([data])

    def send_data(self, batches: Iterable[Sequence[Buffer]], *, then_reads: bool = False) -> None:
        """Send one message: batches of whole P-DATA-TF PDUs (DT-1, AR-7).

        Parameters
        ----------
        batches : iterable of sequence of buffers
        then_reads : bool
            The caller is going to read at once what the peer has to say to this, and takes the
            reader's role before the peer can: else the DUL thread would be woken for nothing. He
            calls `DUL.read_while`, or `unclaim_reading`.

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
        self._write_with(self._write_message, batches, then_reads)
        self.last_activity = time.monotonic()

    def _write_message(self, batches: Iterable[Sequence[Buffer]], then_reads: bool) -> None:
        if self.upper_layer.state not in SENDING_STATES or self.ended is not None:
            raise Stopped
        user = self._user
        begun = False
        whole = True
        try:
            if then_reads:
                self._claim_reading()
            for batch in batches:
                begun, whole = True, False
                self._put(batch)
                whole = True
                if user.watches_data or user.watches_pdus:
                    self._show(batch)
        except Stopped:
            self.unclaim_reading()
            raise
        except BaseException as error:  # Ctrl-C as well
            self.unclaim_reading()
            if begun:
                # Where a PDU was left in its midst nobody knows how to complete it.
                ended = Ended("aborted", "local", 0, 0, error=error)
                self.abort(ended, at_once=not whole)
            raise

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
            if sent >= total and not (connection.is_tls and connection.pending):
                return
            if count:
                rest = advance(rest, count)
                if connection.is_tls and not connection.pending:
                    continue
            self.unclaim_reading()  # the peer may wait for us to read before he does
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
        patience = LAST_PDU if self._leaving is not None else self._lingering()
        try:
            self._cut_off = call_at(time.monotonic() + patience, self._expire)
        except RuntimeError:  # no thread to be had
            self.connection.cut()
        if self._finished and self._cut_off is not None:
            self._cut_off.cancel()
        return True

    def _lingering(self) -> float:
        """Seconds that the peer has left to close the connection, in Sta13."""
        raise NotImplementedError

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
        # The peer does not read. Whoever was sending is not to wait for that, nor are his buffers.
        left = [b"".join(left)]
        self._finishing = True
        try:
            threads.start(
                "pynetdicom-abort",
                lambda: self._finish_writing(left, abort),
                failed=self.connection.cut,
            )
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
        problem = error or self._problem
        if self.state == "Sta5":
            problem = unanswered(problem, self.connection.is_tls)
        with contextlib.suppress(RuntimeError):  # it is known already
            self._take(event, Ended("aborted", "network", error=problem))
        self._tell()

    # The reader, whoever it is

    @property
    def is_reading_here(self) -> bool:
        """Whether the calling thread is the one that reads: it must not wait for that."""
        caller = threading.get_ident()
        if self._reader is not None and self._reader.holder == caller and self._is_reading:
            return True
        # Once a thread has ended, the system may give its ident to another one.
        return caller == self.ident and self.is_alive()

    @property
    def is_writing_here(self) -> bool:
        """Whether the calling thread is in the midst of a message: a signal may interrupt that."""
        return self._writer == threading.get_ident()

    def _claim_reading(self) -> None:
        """Take the reader's role for the calling thread, if it can be had."""
        raise NotImplementedError

    def unclaim_reading(self) -> None:
        """Leave reading to the DUL thread, if the calling thread has the role and does not read."""
        raise NotImplementedError

    def wake_reader(self) -> None:
        """Have a thread that reads while it waits look whether its waiting is over."""
        if self._reader is not None:
            self._reader.wake()
