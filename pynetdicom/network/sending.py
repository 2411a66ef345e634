"""Who writes on an association's connection, and what is written when it ends.

In: PDUs and batches of P-DATA-TF, by whatever thread holds `Writer.hold`; the A-ABORT that the
provider says is due. Out: whole PDUs on the connection.

The hold covers a whole message: what goes on the wire is decided while holding it. An A-ABORT is
written by whatever thread can: the aborting one if no thread is writing, else the writing one,
which looks for it before every write, and once more after it has given the hold back, since the
aborting thread may have found it taken. What is left undone, as Ctrl-C may come between any two
steps, the reader does when the peer's time is up.
"""

from __future__ import annotations

import contextlib
import time
from collections.abc import Callable, Sequence
from functools import partial
from typing import cast

from pynetdicom.network.connection import Buffer, Connection
from pynetdicom.network.connector import Connector
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.network.runtime import Runtime
from pynetdicom.network.user import User
from pynetdicom.network.waking import Waker
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.provider import Move, Provider

LAST_PDU = 1.0
"""Seconds that a PDU which has begun may take once the association is aborted."""


class Stopped(Exception):
    """The association has ended, or is being released: nothing more can be sent."""


class Broken(Stopped):
    """A write failed, for its cause."""


class Writer:
    """Writes on one association's connection: one thread at a time, the one that has the hold.

    Parameters
    ----------
    user : User
    provider : Provider
    connection : Connection or Connector
        Where there is none yet, what connects.
    abort : callable
        Aborts the association; whether it had not ended already.
    runtime : Runtime
    leave : callable
        Has somebody else read, if the calling thread has.

    Attributes
    ----------
    hold : Hold
        The write lock: a thread takes it for a message or a PDU, or for what is left to be written.
    again : bytes
        Another A-ABORT that waits to be written, for what came in Sta13 (AA-7).
    departed : list of bytes
        The A-ABORTs that were written and not told of.
    waker : Waker or None
        What wakes a thread that waits for the peer to read.
    """

    def __init__(
        self,
        user: User,
        provider: Provider,
        connection: Connection | Connector,
        abort: Callable[[Ended], bool],
        runtime: Runtime,
        leave: Callable[[], object],
    ) -> None:
        self._user = user
        self._runtime = runtime
        self._leave_reading = leave
        self._provider = provider
        # Until there is one, it is asked for nothing but whether it is TLS, and to be cut.
        self.connection = cast(Connection, connection)
        self._abort = abort
        self.hold = runtime.hold(
            "a handler of what is being sent cannot send on the same association"
        )
        self.again = b""
        self.departed: list[bytes] = []
        self.waker: Waker | None = None
        # Whether the A-ABORT was written, or given to the kernel in part.
        self._has_left = False
        # Whether a thread of its own writes the last bytes to a peer that does not read.
        self.is_finishing = False

    @property
    def leaving(self) -> bytes:
        """The A-ABORT that waits to be written by whatever thread has the hold."""
        return b"" if self._has_left else self._provider.last.abort

    def wake(self) -> None:
        """Have a thread look again that waits for the peer to read."""
        waker = self.waker
        if waker is not None:
            waker.set()

    def put(self, buffers: Sequence[Buffer], move: Move) -> None:
        """Write buffers, as `move` allows; each PDU begins at the start of one. With the hold."""
        connection = self.connection
        total = sum(map(len, buffers))
        sent = 0
        rest: Sequence[Buffer] = buffers
        while True:
            if move.later and self.leaving:
                self._leave(buffers, sent)
                raise Stopped
            try:
                count = connection.push(rest)
            except OSError as error:
                raise Broken from error
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
        self._leave_reading()  # the peer may wait for us to read, too
        if self.waker is None:
            with contextlib.suppress(OSError):  # no descriptor for it: woken by the cut, in the end
                self.waker = self._runtime.waker()
        provider, waker, before = self._provider, self.waker, self._provider.ended
        begun, waited = time.monotonic(), 0.0
        # A thread that aborts, or changes the time-out, looks for the waker after this is set.
        while not self.leaving and provider.ended is before:
            timeout = self._user.network_timeout
            if before is not None:  # by the PDU that is being written
                timeout = LAST_PDU if timeout is None else min(timeout, LAST_PDU)
            left = None if timeout is None else max(0.0, timeout - waited)
            if self.connection.wait_writable(left, waker, self._runtime.wait_for):
                return
            waited = time.monotonic() - begun
            if timeout is not None and waited >= timeout:
                break
            if waker is not None:
                waker.clear()
        if self.leaving:
            return
        ended = Ended("aborted", "local", 0, 0, timer="network_timeout")
        if not self._abort(ended) and not self.leaving:
            raise Broken from TimeoutError("the peer does not read")

    # What is left to whatever thread has the hold

    def after(self) -> None:
        """Write what was left to the thread that has the hold: an A-ABORT, TLS's own messages."""
        flushed = False
        while True:
            write = self._write_left
            if not self.leaving and (not self.again or self.is_finishing):
                if flushed or not self.connection.pending:
                    break
                write, flushed = self._write_pending, True
            if not self.hold.attempt(write):
                break  # the thread that has it comes by here
        while self.departed:
            with contextlib.suppress(IndexError):  # another thread was faster
                self.tell(self.departed.pop(0))

    def _write_left(self) -> None:
        if self.leaving:
            self._leave((), 0)
        elif self.again and not self.is_finishing:
            again, self.again = self.again, b""
            self._send_last([again])

    def _write_pending(self) -> None:
        # What the kernel does not take now goes in front of the next write.
        with contextlib.suppress(OSError):
            self.connection.push(())

    def _leave(self, buffers: Sequence[Buffer], sent: int) -> None:
        """Complete the PDU that has begun and write the A-ABORT. With the hold."""
        abort = self.leaving
        self._has_left = True
        if abort:
            self._send_last([*rest_of_pdu(buffers, sent), abort])

    def _send_last(self, left: list[Buffer]) -> None:
        """Write what is left to be said, an A-ABORT at the end. With the hold."""
        abort = bytes(left[-1])
        try:
            while left and (count := self.connection.push(left)):
                left = advance(left, count)
        except OSError:
            return
        if not left and not self.connection.pending:
            self.departed.append(abort)
            return
        # The peer does not read. The thread that was sending is not to wait for that, nor are its
        # buffers.
        left = [b"".join(left)]
        self.is_finishing = True
        try:
            finish = partial(self._finish, left, abort)
            self._runtime.start("pynetdicom-abort", finish, failed=self.connection.cut)
        except RuntimeError:  # no thread to be had
            self.connection.cut()

    def _finish(self, left: list[Buffer], abort: bytes) -> None:
        """Write the last bytes to a peer that does not read, until `LAST_PDU` has passed."""
        if not self.hold.run(self._write_rest, left):
            self.connection.cut()
            return
        self.is_finishing = False
        self.tell(abort)
        self.after()

    def _write_rest(self, left: list[Buffer]) -> bool:
        deadline, wait = after(LAST_PDU), self.connection.wait_writable
        with contextlib.suppress(OSError):  # the connection was cut, too
            while True:
                count = self.connection.push(left)
                left = advance(left, count) if count else left
                if not left and not self.connection.pending:
                    return True
                if not count and not wait(remaining(deadline), None, self._runtime.wait_for):
                    break
        return False

    def tell(self, data: bytes) -> None:
        """Trigger the events of an A-ABORT that was sent."""
        if self._user.watches_data:
            self._user.on_data(data, True)
        self.tell_pdus(data)

    def tell_pdus(self, data: bytes) -> None:
        """Trigger the events of PDUs that were sent, but for that of their bytes."""
        user = self._user
        start = 0
        while start < len(data) and user.watches_pdus:
            end = start + 6 + int.from_bytes(data[start + 2 : start + 6], "big")
            user.on_pdu(pdus.decode_pdu(data[start:end]), True)
            start = end

    def close_at_once(self) -> bool:
        """Close the connection, as the reader, unless another thread is writing."""
        if not self.hold.attempt(self._close):
            return False
        self.after()
        self.waker = None
        return True

    def close(self) -> None:
        """Close the connection, as the reader, when no other is writing any more."""
        # A writer is woken by the cut. The descriptor goes only when it is out, lest it write to
        # the next owner's.
        # One that has an A-ABORT to write, after a defect of the reader, has the time for it.
        seconds = LAST_PDU if self.leaving else 0.0
        if not self.hold.attempt(self._close, seconds=seconds):
            self.connection.cut()
            self.hold.run(self._close)
        self.after()
        self.waker = None  # a thread that is about to use it keeps it open

    def _close(self) -> None:
        if self.leaving:  # another thread was writing until now
            self._leave((), 0)
        self.connection.say_goodbye()
        self.connection.close()


# Where a write that the kernel took only in part goes on


def advance(buffers: Sequence[Buffer], count: int) -> list[Buffer]:
    """What is left of `buffers` after `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:], *buffers[index + 1 :]]
        count -= len(buffer)
    return []


def rest_of_pdu(buffers: Sequence[Buffer], sent: int) -> list[Buffer]:
    """The bytes that complete the PDU in whose middle `sent` lies; none at a boundary."""
    data = memoryview(b"".join(buffers))
    end = 0
    while end < sent:
        end += 6 + int.from_bytes(data[end + 2 : end + 6], "big")
    return [data[sent:end]] if end > sent else []
