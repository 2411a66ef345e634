"""The half of the DUL service that any thread may call: its state, sending, and aborting.

In: PDUs and batches of P-DATA-TF, written by the calling thread under the write lock; aborts, from
any thread. Out: whole PDUs on the connection, and the state of the association, which the reading
half, in `dul`, moves too.

The write lock covers a whole message: what goes on the wire is decided while holding it. The state
has no lock: each move of the state machine is one value, which takes its number or comes too late
and is thought over again. So `abort` may be called in the midst of anything, by the handler of a
signal or by a finalizer: it waits for nobody, and finds no half of a move.

An A-ABORT is written by whoever can: the aborting thread if nobody is writing, else the writing
one, which looks for it before every write, and once more after it has given the write lock back,
since the aborting thread may have found it taken. What is left undone, as Ctrl-C may come between
any two steps, the DUL thread does when the peer's time is up.

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

from pynetdicom.network import threads
from pynetdicom.network.buffers import Buffer, advance, rest_of_pdu
from pynetdicom.network.connection import Connection, Waker
from pynetdicom.network.latch import Hold, Latch
from pynetdicom.network.moves import Move
from pynetdicom.network.user import User
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended, unanswered
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import DATA_STATES, SENDING_STATES, Action, UpperLayer

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
        self.framer = framer
        # The last move, or one of late; and the last one that was told.
        self._recent = self._told = Move(upper_layer)
        self.last_activity = self.last_received = time.monotonic()
        # What the DUL thread is woken by, None once it has ended. It is closed when nobody uses it.
        self._waker: Waker | None = Waker()
        self._write = Hold("a handler of what is being sent cannot send on the same association")
        # The A-ABORT that waits to be written by whoever has the write lock.
        self._leaving: bytes | None = None
        # Whether the A-ABORT was written, or given to the kernel in part.
        self._has_left = False
        # Those that were written and not told of.
        self._departed: deque[bytes] = deque()
        # Another A-ABORT, for what came in Sta13 (AA-7).
        self._again: bytes | None = None
        self._finishing = False
        # What a writer is woken by that waits for the peer to read.
        self._write_waker: Waker | None = None
        self._over = Latch()
        self._requested = Latch()
        self._finished = False
        self._expired = False
        self._problem: BaseException | None = None
        self._telling = Hold()

    # The state machine

    @property
    def _last(self) -> Move:
        last = self._recent = self._recent.last()
        return last

    @property
    def upper_layer(self) -> UpperLayer:
        """The state machine as it stands; it is not moved but replaced."""
        return self._last.layer

    @property
    def state(self) -> str:
        """The state of the state machine, such as ``"Sta6"``."""
        return self._last.layer.state

    @property
    def ended(self) -> Ended | None:
        """How the association has ended; None before it has.

        True as soon as the move is made that ends it: a signal's handler may interrupt the thread
        that has made it and not yet told of it, and must not wait for that.
        """
        return self._last.ended

    def _take(self, event: str, ended: Ended | None = None, *, aborts: bool = False) -> Action:
        """Move the state machine, and note how the association ends if it does so by this.

        Raises
        ------
        RuntimeError
            The event is not possible any more; or, with `aborts`, it is no reason to abort the
            association, or not the first.
        """
        move = self._last.move(event, ended, aborts=aborts)
        while True:  # another thread, or a handler in this one, may move on meanwhile
            last = self._last
            self.framer.accepts_data = last.layer.state in DATA_STATES
            if last is self._last:
                break
        if move.told[1] == "Sta4":
            self._requested.set()
        if move.ends:
            self._tell_end()
        return move.action

    def _tell_end(self) -> None:
        """Wake everybody: `ended` says how the association has ended."""
        self._leaving = self._last.leaving
        if self._has_left:  # by another thread, or a handler in this one
            self._leaving = None
        waker = self._write_waker
        if waker is not None:
            waker.set()
        self._user.on_ended()
        self._over.set()
        self.wake()

    def _tell(self) -> None:
        """Tell of transitions in their order, by one thread at a time, which holds no lock."""
        while self._told.next is not None and self._telling.attempt(self._tell_moves):
            pass

    def _tell_moves(self) -> None:
        while (move := self._told.next) is not None:
            self._told = move
            if self._user.watches_transitions:
                self._user.on_transition(*move.told)

    # Sending

    def connected(self) -> None:
        """Say that the transport connection is there (AE-1); start the thread after this."""
        self._take("Evt1")
        self._tell()

    def _write_with(self, write: Callable[..., None], *args: Any, waits: bool = True) -> bool:
        """Call `write` with the write lock, and look after what was left to its holder.

        Not `waits`: False when another thread is writing.
        """
        try:
            if not waits:
                return self._write.attempt(write, *args)
            self._write.run(write, *args)
            return True
        except _Broken as error:
            self._find_out(error.__cause__)
            raise
        finally:
            if self.connection.is_tls or self._leaving or self._again or self._departed:
                self._after_write()
            if self._told is not self._recent:
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
            try:
                self._take(event, ended)
            except RuntimeError as error:
                self._help()
                raise Stopped from error
            self._put([data])
        except Stopped:
            raise
        except BaseException as error:  # the state says that it was sent
            self.abort(Ended("aborted", "local", 0, 0, error=error), at_once=True)
            raise
        finally:
            self._write_waker = None

    def send_data(self, batches: Iterable[Sequence[Buffer]], *, waits: bool = True) -> bool:
        """Send one message: batches of whole P-DATA-TF PDUs (DT-1, AR-7).

        Parameters
        ----------
        batches : iterable of sequence of buffers
        waits : bool
            Wait while another thread is writing; otherwise False says that nothing was sent.

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
        done = self._write_with(self._write_message, batches, waits=waits)
        self.last_activity = time.monotonic()
        return done

    def _write_message(self, batches: Iterable[Sequence[Buffer]]) -> None:
        last = self._last
        if last.layer.state not in SENDING_STATES or last.ended is not None:
            self._help()
            raise Stopped
        user = self._user
        begun = False
        whole = True
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
        finally:
            self._write_waker = None

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
            self._wait_writable()

    def _wait_writable(self) -> None:
        """Wait until the peer reads on, for as long as `network_timeout` allows."""
        if self._write_waker is None:
            with contextlib.suppress(OSError):  # no descriptor for it: woken by the cut, in the end
                self._write_waker = Waker()
        waker, before = self._write_waker, self.ended
        begun, waited = time.monotonic(), 0.0
        # Whoever aborts, or changes the time-out, looks for the waker after this is set.
        while self._leaving is None and self.ended is before:
            timeout = self._user.network_timeout
            if before is not None:  # by the PDU that is being written
                timeout = LAST_PDU if timeout is None else min(timeout, LAST_PDU)
            left = None if timeout is None else max(0.0, timeout - waited)
            if self.connection.wait_writable(left, waker):
                return
            waited = time.monotonic() - begun
            if timeout is not None and waited >= timeout:
                break
            if waker is not None:
                waker.clear()
        if self._leaving is not None:
            return
        ended = Ended("aborted", "local", 0, 0, timer="network_timeout")
        if not self.abort(ended) and self._leaving is None:
            raise _Broken from TimeoutError("the peer does not read")

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
        try:
            return self._abort(ended, at_once, event)
        except BaseException:  # Ctrl-C in its midst: the DUL thread does the rest
            self.connection.cut()
            raise

    def _abort(self, ended: Ended, at_once: bool, event: str) -> bool:
        if not event:  # in Sta4 nothing can have been received that would be invalid
            invalid = ended.source == 2 and self.upper_layer.knows("Evt19")
            event = "Evt19" if invalid else "Evt15"
        try:
            action = self._take(event, ended, aborts=True)
        except RuntimeError:
            self._help()
            if at_once:
                self.connection.cut()
            return False
        if action.close:
            self.connection.cut()
        self._after_write()
        self._tell()
        if at_once and (self._leaving is not None or self._finishing):
            self.connection.cut()
        self.wake()  # the peer's time to take the A-ABORT is over, that to close begins
        return True

    def _help(self) -> None:
        """Do what the thread that has ended the association has not come to.

        It may be the calling one, which a signal's handler has interrupted.
        """
        if not self._over.is_set() and self._last.ended is not None:
            self._tell_end()
        if self._leaving is not None:
            self._after_write()

    def _time_left(self, linger: float) -> float:
        """Seconds that are left to the peer to take the A-ABORT, or to close the connection."""
        patience = linger if self._leaving is None else LAST_PDU
        return self._last.ended_at + patience - time.monotonic()

    def _after_write(self) -> None:
        """Do what was left to the holder of the write lock: an A-ABORT, or TLS's own messages."""
        flushed = False
        while True:
            write = self._write_left
            if self._leaving is None and (self._again is None or self._finishing):
                if flushed or not self.connection.pending:
                    break
                write, flushed = self._write_pending, True
            if not self._write.attempt(write):
                break  # its holder comes by here
        while self._departed:
            with contextlib.suppress(IndexError):  # another thread was faster
                self._tell_abort(self._departed.popleft())

    def _write_left(self) -> None:
        if self._leaving is not None:
            self._leave((), 0)
        elif self._again is not None and not self._finishing:
            again, self._again = self._again, None
            if not self._finished:
                self._send_last([again])

    def _write_pending(self) -> None:
        # What the kernel does not take now goes in front of the next write.
        if not self._finished:
            with contextlib.suppress(OSError):
                self.connection.push(())

    def _leave(self, buffers: Sequence[Buffer], sent: int) -> None:
        """Complete the PDU that has begun and write the A-ABORT. The write lock is held."""
        # Who tells of the end a second time may not know yet that it was written.
        abort = None if self._has_left else self._leaving
        self._has_left = True
        self._leaving = None
        if abort is not None:
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
            self._departed.append(abort)
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
        if not self._write.run(self._write_rest, left):
            self.connection.cut()
            return
        self._finishing = False
        self._tell_abort(abort)
        self._after_write()

    def _write_rest(self, left: list[Buffer]) -> bool:
        deadline = time.monotonic() + LAST_PDU
        with contextlib.suppress(OSError):
            while not self._finished:
                count = self.connection.push(left)
                left = advance(left, count) if count else left
                if not left and not self.connection.pending:
                    return True
                if not count and not self.connection.wait_writable(
                    max(0.0, deadline - time.monotonic())
                ):
                    break
        return False

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

    @property
    def is_reading_here(self) -> bool:
        """Whether the calling thread is the one that reads: it must not wait for that."""
        # Once a thread has ended, the system may give its ident to another one.
        return threading.get_ident() == self.ident and self.is_alive()

    @property
    def is_writing_here(self) -> bool:
        """Whether the calling thread is in the midst of a message: a signal may interrupt that."""
        return self._write.is_mine

    def wake(self) -> None:
        """Have the DUL thread look what there is to do."""
        waker = self._waker
        if waker is not None:
            waker.set()

    def look_again(self) -> None:
        """Have those look at the time-outs again who wait by them: the DUL thread, and a writer."""
        self.wake()
        waker = self._write_waker
        if waker is not None:
            waker.set()
