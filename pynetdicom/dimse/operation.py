"""Outstanding operations: who waits for which response, found by Message ID.

In: messages, from the DUL thread, by `Operations.deliver`; the end of the association, from any
thread, by `Operations.end`. Out: to the one thread that waits in `Operation.wait`. A response is
given to the operation whose Message ID it carries and to no other (PS3.7 6.3.1); what is not its
answer never makes it succeed.

An operation that nobody waits for any more stays outstanding until its final response, and what
arrives for it is dropped. Where responses come faster than they are consumed, reading is paused
(C-FIND), or they go into a file: when that has taken long enough, when somebody waits for the end
of this operation, and always for C-GET and C-MOVE, whose sub-operations are not to be held up.
"""

from __future__ import annotations

import logging
import math
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Protocol

from pynetdicom.dimse.backlog import Backlog
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.upper_layer.deadlines import stretch

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Message
    from pynetdicom.dimse.primitives import Primitive

PENDING = frozenset((0xFF00, 0xFF01))
_WITH_PENDING = frozenset(("C-FIND", "C-GET", "C-MOVE"))
_RECENT = 256
_ENDED_LATELY = 16

LOGGER = logging.getLogger("pynetdicom.dimse")


class Flow(Protocol):
    """What the operations ask of the association: none of it waits for anything."""

    def pause_reading(self) -> None:
        """Read no more for a while, on the thread that reads."""

    def resume_reading(self) -> None:
        """Read on, if reading is paused."""

    def cancel_later(self, operation: Operation) -> None:
        """Have a C-CANCEL sent by somebody who can."""

    def on_idle(self) -> None:
        """Nothing is outstanding any more, and nothing will be: see `Operations.close`."""


class _NoFlow:
    """Without an association."""

    def pause_reading(self) -> None:
        """Nothing."""

    def resume_reading(self) -> None:
        """Nothing."""

    def cancel_later(self, operation: Operation) -> None:
        """Nothing."""

    def on_idle(self) -> None:
        """Nothing."""


class Operation:
    """One request of ours that awaits its final response.

    Parameters
    ----------
    request : Primitive
    context_id : int
        The presentation context it is sent on.

    Attributes
    ----------
    message_id : int
    last_heard : float
        When its request was sent or its last response came, of `time.monotonic`.
    is_finished : bool
        Whether it is outstanding no more.
    is_abandoned : bool
        Whether nobody wants its responses any more.
    is_cancelled : bool
        Whether a C-CANCEL was sent.
    has_library_id : bool
        Whether the Message ID is one of the library's choice.
    problem : str or None
        Why not all of its responses could be kept.
    backlog : Backlog or None
        The responses that wait, of an operation that has several.
    """

    __slots__ = (
        "_replies",
        "backlog",
        "context_id",
        "has_library_id",
        "is_abandoned",
        "is_cancelled",
        "is_finished",
        "last_heard",
        "message_id",
        "problem",
        "request",
    )

    def __init__(self, request: Primitive, context_id: int) -> None:
        self.request = request
        self.message_id: int = request.MessageID or 0
        self.context_id = context_id
        # Never silent while it is being sent: that has a deadline of its own.
        self.last_heard = math.inf
        self.is_finished = self.is_abandoned = self.is_cancelled = self.has_library_id = False
        self.problem: str | None = None
        self.backlog = Backlog() if request.name in _WITH_PENDING else None
        self._replies: SimpleQueue[Message | None] | Backlog = self.backlog or SimpleQueue()

    @property
    def is_waiting(self) -> bool:
        """Whether it has no response for its consumer yet."""
        return self._replies.empty()

    def put(self, message: Message | None) -> None:
        """Take a response, or None when the association has ended."""
        self._replies.put(message)

    def wait(
        self,
        timeout: float | None,
        heard: Callable[[], float],
        read_while: Callable[[Callable[[], bool], float | None], bool],
    ) -> Message | None:
        """Wait for the next response; None when the association has ended.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence to allow; None for ever.
        heard : callable
            When the peer was last heard on the association: what arrives for others renews the
            time.

        read_while : callable
            Reads on this thread while something holds, until a deadline; False when another reads.

        Raises
        ------
        TimeoutError
            The peer was silent for too long.
        """
        replies = self._replies
        # What arrives for others meanwhile is looked at when that time is up.
        deadline = None if timeout is None else self.last_heard + timeout
        while True:
            if replies.empty():
                read_while(replies.empty, deadline)
            if not replies.empty():
                return replies.get()
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                # When we have read ourselves, time is up.
                return replies.get(timeout=stretch(left))
            except Empty:
                assert timeout is not None
                deadline = max(self.last_heard, heard()) + timeout
                if deadline <= time.monotonic():
                    raise TimeoutError("no response") from None


class Operations:
    """The outstanding operations of one association, and the Message IDs for new ones.

    Attributes
    ----------
    count : callable
        Tells how many there are.
    next_id : int
        The Message ID that the library is likely to choose next.
    """

    def __init__(self, flow: Flow | None = None) -> None:
        self._flow = flow or _NoFlow()
        self._lock = threading.Lock()
        self._outstanding: dict[int, Operation] = {}
        self.count = self._outstanding.__len__
        # Those with several responses that ended lately: a cancel may have crossed the last one.
        self._ended_lately: deque[int] = deque(maxlen=_ENDED_LATELY)
        self.next_id = 1
        # The last one with several responses whose Message ID is 1.
        self._one: Operation | None = None
        # Message IDs that the caller chose and that ended lately: a late answer must not fit the
        # next one.
        self._recent: deque[int] = deque(maxlen=_RECENT)
        self._room = threading.Condition(self._lock)
        self._waiting = 0
        # Who waits for room, the first one first: whoever comes back at once must not be served
        # before those who wait.
        self._queue: deque[object] = deque()
        self._ended = self._closed = False
        self.strays = 0

    def __len__(self) -> int:
        return len(self._outstanding)

    @property
    def has_get(self) -> bool:
        """Whether a C-GET is outstanding, whose sub-operations come as requests."""
        return any(operation.request.name == "C-GET" for operation in self.outstanding())

    @property
    def are_abandoned(self) -> bool:
        """Whether there are none but abandoned ones, for whose responses nobody waits."""
        return all(operation.is_abandoned for operation in self.outstanding())

    def get(self, message_id: int) -> Operation | None:
        """The outstanding operation of that Message ID."""
        return self._outstanding.get(message_id)

    def outstanding(self) -> list[Operation]:
        """All outstanding operations, the oldest first."""
        # Without the lock, which is held by whoever asks while he waits for room.
        return list(self._outstanding.copy().values())

    def begin(
        self,
        make: Callable[[int], Operation],
        message_id: int | None,
        window: int,
        timeout: float | None,
        heard: Callable[[], float] = lambda: 0.0,
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
        chosen = message_id is None
        with self._lock:
            if message_id is not None:
                earlier = self._outstanding.get(message_id)
                if earlier is not None and not earlier.is_abandoned:
                    raise ValueError(
                        f"the Message ID {message_id} is that of an outstanding operation"
                    )
            if window and (self._queue or len(self._outstanding) >= window):
                self._wait_for_room(window, timeout, heard)
            if self._ended or self._closed:
                return None
            if message_id is None:
                message_id = self._choose()
            elif message_id in self._outstanding:
                raise ValueError(f"the Message ID {message_id} is that of an outstanding operation")
            else:
                self._recent.append(message_id)
            operation = make(message_id)
            operation.has_library_id = chosen
            self._outstanding[message_id] = operation
            if message_id == 1 and operation.backlog is not None:
                self._one = operation
            return operation

    def _wait_for_room(
        self, window: int, timeout: float | None, heard: Callable[[], float]
    ) -> None:
        turn = object()
        begun = time.monotonic()

        def is_my_turn() -> bool:
            has_room = len(self._outstanding) < window and self._queue[0] is turn
            return has_room or self._ended or self._closed

        self._queue.append(turn)
        self._waiting += 1
        self._flow.resume_reading()
        try:
            while not is_my_turn():
                last = max([begun, heard(), *(o.last_heard for o in self._outstanding.values())])
                left = None
                if timeout is not None and last < math.inf:
                    left = last + timeout - time.monotonic()
                    if left <= 0:
                        raise TimeoutError("an earlier operation has had no final response")
                self._room.wait(stretch(left))
        finally:
            self._waiting -= 1
            self._queue.remove(turn)
            if self._waiting:
                self._room.notify_all()  # it may be the next one's turn

    def sent(self, operation: Operation) -> None:
        """Say that the last byte of a request was sent: from now on the peer may be too silent."""
        operation.last_heard = time.monotonic()
        if self._waiting:
            with self._room:
                self._room.notify_all()

    def close(self) -> None:
        """Begin no further operations; those outstanding are completed, and no consumer awaited.

        The last one's end is told by `Flow.on_idle`.
        """
        with self._room:
            self._closed = True
            self._room.notify_all()
        self._flow.resume_reading()

    def _choose(self) -> int:
        while True:
            message_id = self.next_id
            self.next_id = message_id + 1 if message_id < 0xFFFF else 1
            if message_id not in self._outstanding and message_id not in self._recent:
                return message_id

    def finish(self, operation: Operation) -> None:
        """Forget an operation: it has its final response, or nobody waits for it any more."""
        if operation.is_finished:
            return
        is_last = False
        with self._lock:
            operation.is_finished = True
            # By then its Message ID may be another operation's.
            if self._outstanding.get(operation.message_id) is operation:
                if operation.backlog is not None:
                    # Before it is outstanding no more: who cancels it looks there first.
                    self._ended_lately.append(operation.message_id)
                del self._outstanding[operation.message_id]
                if self._waiting:
                    self._room.notify_all()
                is_last = self._closed and not self._outstanding
        if is_last:
            self._flow.on_idle()

    def deliver(self, message: Message) -> bool:
        """Give a response to the operation that it answers; False when there is none.

        Raises
        ------
        DIMSEDecodeError
            It carries the Message ID of an operation that it cannot be the answer to.
        """
        response = message.primitive
        message_id: int = response.__dict__["MessageIDBeingRespondedTo"]
        operation = self._outstanding.get(message_id)
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
        return self._waiting > 0 or self._closed

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
        return self._outstanding.get(operation.message_id) is operation

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
        with self._room:
            self._ended = True
            operations = list(self._outstanding.values())
            self._outstanding.clear()
            self._room.notify_all()
        for operation in operations:
            operation.put(None)
        self._flow.resume_reading()
