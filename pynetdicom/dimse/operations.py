"""Outstanding operations: who waits for which response, found by Message ID, and who may begin.

In: messages, from the DUL thread, by `Operations.deliver`; the end of the association, from any
thread, by `Operations.end`. A response is given to the operation whose Message ID it carries and to
no other (PS3.7 6.3.1); what is not its answer never makes it succeed.

There is no lock: those who wait and those who have begun stand in one line, a dict, whose own
operations are atomic, and the first of them, as many as the window is wide, may go. So all of this
may be called by the handler of a signal, or by a finalizer, in the midst of anything.

An operation that nobody waits for any more stays outstanding until its final response, and what
arrives for it is dropped. Where responses come faster than they are consumed, reading is paused
(C-FIND), or they go into a file: when that has taken long enough, when somebody waits for the end
of this operation, and always for C-GET and C-MOVE, whose sub-operations are not to be held up.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Self

from pynetdicom.dimse.backlog import Backlog
from pynetdicom.dimse.operation import PENDING, Flow, NoFlow, Operation
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.network.deadlines import stretch

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Message

_RECENT = 256
_ENDED_LATELY = 16

LOGGER = logging.getLogger("pynetdicom.dimse")


class Turn:
    """A caller's place in the line, from before its operation begins until that has ended.

    It is held in a ``with`` by whoever waits for the operation's end in there: whatever happens,
    the operation is outstanding no more behind it.

    Parameters
    ----------
    operations : Operations

    Attributes
    ----------
    operation : Operation or None
        None while it waits for its turn.
    claims : list of int
        The Message ID, once it has one.
    thread : int
        Whose turn it is.
    """

    __slots__ = ("_operations", "_woken", "claims", "operation", "thread")

    def __init__(self, operations: Operations) -> None:
        self._operations = operations
        self._woken: SimpleQueue[None] = SimpleQueue()
        self.operation: Operation | None = None
        self.claims: list[int] = []
        self.thread = threading.get_ident()

    def wait(self, timeout: float | None) -> None:
        """Wait until it is to look whether it may go."""
        with contextlib.suppress(Empty):
            self._woken.get(timeout=timeout)

    def wake(self) -> None:
        """Have it look whether it may go."""
        self._woken.put(None)

    def leave(self) -> None:
        """Leave the line; a second time it does no harm."""
        self._operations.leave(self)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *error: object) -> None:
        self.leave()


class Operations:
    """The outstanding operations of one association, and the Message IDs for new ones.

    Attributes
    ----------
    in_line : callable
        Tells how many there are, with those who wait to begin.
    next_id : int
        The Message ID that the library is likely to choose next.
    """

    def __init__(self, flow: Flow | None = None) -> None:
        self._flow = flow or NoFlow()
        # Those who wait and those whose operation is outstanding, in the order in which they came:
        # whoever comes back at once must not be served before those who wait.
        self._line: dict[Turn, None] = {}
        self.in_line = self._line.__len__
        # Whose each Message ID is.
        self._turns: dict[int, Turn] = {}
        # Those with several responses that ended lately: a cancel may have crossed the last one.
        self._ended_lately: deque[int] = deque(maxlen=_ENDED_LATELY)
        self.next_id = 1
        # The last one with several responses whose Message ID is 1.
        self._one: Operation | None = None
        # Message IDs that the caller chose and that ended lately: a late answer must not fit the
        # next one.
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._ended = self._closed = False
        self.strays = 0

    def __len__(self) -> int:
        return len(self.outstanding()) if self._line else 0

    def count(self) -> int:
        """How many there are."""
        return len(self)

    @property
    def are_abandoned(self) -> bool:
        """Whether there are none but abandoned ones, for whose responses nobody waits."""
        return all(operation.is_abandoned for operation in self.outstanding())

    def get(self, message_id: int) -> Operation | None:
        """The outstanding operation of that Message ID."""
        turn = self._turns.get(message_id)
        return turn.operation if turn in self._line else None

    def outstanding(self) -> list[Operation]:
        """All outstanding operations, the oldest first."""
        return [turn.operation for turn in list(self._line) if turn.operation is not None]

    def is_being_sent_here(self) -> bool:
        """Whether the calling thread has an operation that waits, or whose request is not out.

        So a signal's handler asks, or a finalizer, that must not wait for what it interrupts.
        """
        me = threading.get_ident()
        return any(
            turn.thread == me and (turn.operation is None or turn.operation.last_heard == math.inf)
            for turn in list(self._line)
        )

    def begin(
        self,
        make: Callable[[int], Operation],
        message_id: int | None,
        window: int,
        timeout: float | None,
        heard: Callable[[], float] = lambda: 0.0,
        turn: Turn | None = None,
    ) -> Operation | None:
        """Register a new operation, once the window has room for it.

        Parameters
        ----------
        make : callable
            Makes the operation for a Message ID.
        message_id : int or None
            As the caller wants it; None for one of the library's choice, counted up and not reused
            at once.
        window : int
            How many operations may be outstanding; 0 for any number (PS3.7 D.3.3.3).
        timeout : float or None
            Seconds of silence to allow while there is no room.
        heard : callable
            When the peer was last heard, as for `Operation.wait`.
        turn : Turn, optional
            Held by the caller, if it waits for the end of the operation.

        Returns
        -------
        Operation or None
            None when the association has ended or is being released.

        Raises
        ------
        ValueError
            `message_id` is outstanding already; one that was abandoned is waited for.
        TimeoutError
            There was no room in time.
        """
        turn = turn or Turn(self)
        try:
            operation = self._begin(turn, make, message_id, window, timeout, heard)
            if operation is None:
                self.leave(turn)
            return operation
        except BaseException:
            self.leave(turn)
            raise

    def _begin(
        self,
        turn: Turn,
        make: Callable[[int], Operation],
        message_id: int | None,
        window: int,
        timeout: float | None,
        heard: Callable[[], float],
    ) -> Operation | None:
        if message_id is not None:
            earlier = self.get(message_id)
            if earlier is not None and not earlier.is_abandoned:
                raise _is_taken(message_id)
        self._line[turn] = None
        if window and len(self._line) > window and not self._is_first(turn, window):
            self._wait_for_room(turn, window, timeout, heard)
        while not self._is_over():
            operation = make(self._choose() if message_id is None else message_id)
            operation.has_library_id = message_id is None
            turn.claims.append(operation.message_id)
            if self._turns.setdefault(operation.message_id, turn) is not turn:
                turn.claims.clear()
                if message_id is not None:
                    raise _is_taken(message_id)
                continue
            operation.turn = turn
            turn.operation = operation
            if self._is_over():  # whoever has said so may have looked before
                break
            if message_id is not None:
                self._recent.append(message_id)
            if operation.message_id == 1 and operation.backlog is not None:
                self._one = operation
            return operation
        return None

    def _is_over(self) -> bool:
        """Whether none may begin any more."""
        return self._ended or self._closed

    def _is_first(self, turn: Turn, window: int) -> bool:
        """Whether there is room in the window for one that stands there in the line."""
        return list(self._line).index(turn) < window

    def _wait_for_room(
        self, turn: Turn, window: int, timeout: float | None, heard: Callable[[], float]
    ) -> None:
        begun = time.monotonic()
        self._flow.resume_reading()
        while not (self._is_over() or self._is_first(turn, window)):
            last = max([begun, heard(), *(o.last_heard for o in self.outstanding())])
            left = None
            if timeout is not None and last < math.inf:
                left = last + timeout - time.monotonic()
                if left <= 0:
                    raise TimeoutError("an earlier operation has had no final response")
            turn.wait(stretch(left))

    def leave(self, turn: Turn) -> None:
        """Have the line close up behind one that leaves it; a second time it does no harm."""
        self._line.pop(turn, None)
        # Only one of those who have it leave gives its Message ID back: it may be another's next.
        if turn.claims:
            with contextlib.suppress(IndexError):
                message_id = turn.claims.pop()
                if self._turns.get(message_id) is turn:
                    del self._turns[message_id]
        if self._line:
            self._wake()
        if self._closed and not self.outstanding():
            self._flow.on_idle()

    def _wake(self) -> None:
        """Have those who wait look whether it is their turn."""
        for turn in list(self._line):
            if turn.operation is None:
                turn.wake()

    def sent(self, operation: Operation) -> None:
        """Say that the last byte of a request was sent: from now on the peer may be too silent."""
        operation.last_heard = time.monotonic()
        self._wake()

    def close(self) -> None:
        """Begin no further operations; those outstanding are completed, and no consumer awaited.

        The last one's end is told by `Flow.on_idle`.
        """
        self._closed = True
        self._wake()
        self._flow.resume_reading()

    def _choose(self) -> int:
        while True:
            message_id = self.next_id
            self.next_id = message_id + 1 if message_id < 0xFFFF else 1
            if message_id not in self._turns and message_id not in self._recent:
                return message_id

    def finish(self, operation: Operation) -> None:
        """Forget an operation: it has its final response, or nobody waits for it any more."""
        if operation.is_finished or operation.turn is None:
            return
        if operation.backlog is not None and operation.turn in self._line:
            # Before it is outstanding no more: who cancels it looks there first.
            self._ended_lately.append(operation.message_id)
        self.leave(operation.turn)
        operation.is_finished = True

    def deliver(self, message: Message) -> bool:
        """Give a response to the operation that it answers; False when there is none.

        Raises
        ------
        DIMSEDecodeError
            It carries the Message ID of an operation that it cannot be the answer to.
        """
        response = message.primitive
        message_id: int = response.__dict__["MessageIDBeingRespondedTo"]
        operation = self.get(message_id)
        if operation is None:
            self.strays += 1
            return False
        if (
            response.CommandField != operation.request.response_field
            or message.context_id != operation.context_id
        ):
            raise DIMSEDecodeError(
                f"{response.message_name} on context {message.context_id} cannot answer the"
                f" {operation.request.message_name} {message_id} on context {operation.context_id}"
            )
        operation.last_heard = time.monotonic()
        backlog = operation.backlog
        if response.Status not in PENDING or backlog is None:
            self.finish(operation)
            operation._replies.put(message)
        elif operation.is_abandoned or operation.problem is not None:
            message.close()
        else:
            self._add(operation, backlog, message)
        return True

    def _add(self, operation: Operation, backlog: Backlog, message: Message) -> None:
        """Keep a response that others follow; slow the peer down if too many wait already."""
        try:
            backlog.add(message)
            if not backlog.is_full:
                return
            if self._is_awaited or operation.request.name != "C-FIND":
                backlog.spill()
                return
        except OSError as error:
            message.close()
            self._give_up(operation, error)
            return
        self._flow.pause_reading()
        if not self._is_pause_due(operation, backlog):
            self._flow.resume_reading()

    def _is_pause_due(self, operation: Operation, backlog: Backlog) -> bool:
        """Look again: somebody may have consumed some, or begun to wait, before it was paused."""
        return not self._is_awaited and not operation.is_abandoned and backlog.is_full

    @property
    def _is_awaited(self) -> bool:
        """Whether somebody waits for the end of an operation: no consumer may hold that up."""
        return self._closed or any(turn.operation is None for turn in list(self._line))

    def _give_up(self, operation: Operation, error: OSError) -> None:
        """Cancel an operation whose responses cannot be kept; the final one still can."""
        operation.problem = f"cancelled, not all responses could be kept: {error.strerror}"
        LOGGER.error("%s %d %s", operation.request.name, operation.message_id, operation.problem)
        self._flow.cancel_later(operation)

    def spill(self) -> None:
        """Reading was paused for long enough: what comes now goes into files."""
        for operation in self.outstanding():
            if operation.backlog is not None and not operation.is_abandoned:
                try:
                    operation.backlog.spill()
                except OSError as error:
                    self._give_up(operation, error)

    def consumed(self, operation: Operation) -> None:
        """Say that a response was consumed: there may be room for more."""
        if operation.backlog is not None and operation.backlog.has_room:
            self._flow.resume_reading()

    def abandon(self, operation: Operation) -> None:
        """Drop the responses to an operation, those that wait and those to come."""
        operation.is_abandoned = True
        if operation.backlog is not None:
            operation.backlog.discard()
        self._flow.resume_reading()

    def is_outstanding(self, operation: Operation) -> bool:
        """Whether an operation has not had its final response, nor the association its end."""
        return operation.turn in self._line and operation.turn.operation is operation

    def to_cancel(self, message_id: int) -> Operation | None:
        """The outstanding operation that a C-CANCEL for a Message ID is meant for.

        Message ID 1 is what programs cancel that leave the numbering to a library which numbers
        all its operations so: it is then the one whose number the library has chosen. Not so while
        there is a 1 whose last response has come and was not consumed: that one is meant.
        """
        operations = [one for one in self.outstanding() if one.backlog is not None]
        for operation in operations:
            if operation.message_id == message_id:
                return operation
        if message_id != 1 or (self._one is not None and not self._one.is_waiting):
            return None
        ours = [operation for operation in operations if operation.has_library_id]
        return ours[0] if len(ours) == 1 else None

    def has_ended_lately(self, message_id: int) -> bool:
        """Whether an operation with several responses has had its final one of late."""
        return message_id in self._ended_lately

    def end(self) -> None:
        """Wake everybody: the association has ended."""
        self._ended = True
        for turn in list(self._line):
            if turn.operation is not None:
                turn.operation.put(None)
                self._line.pop(turn, None)
            turn.wake()
        self._flow.resume_reading()


def _is_taken(message_id: int) -> ValueError:
    return ValueError(f"the Message ID {message_id} is that of an outstanding operation")
