"""Outstanding operations: who waits for which response, found by Message ID.

In: messages, from the DUL thread, by `Operations.deliver`; the end of the association, from any
thread, by `Operations.end`. Out: to the one thread that waits in `Operation.wait`. A response is
given to the operation whose Message ID it carries and to no other (PS3.7 6.3.1); what is not its
answer never makes it succeed.
"""

from __future__ import annotations

import math
import threading
import time
from collections import deque
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from pynetdicom.errors import DIMSEDecodeError

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Message
    from pynetdicom.dimse.primitives import Primitive

_PENDING = frozenset((0xFF00, 0xFF01))
_WITH_PENDING = frozenset(("C-FIND", "C-GET", "C-MOVE"))
_RECENT = 256


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
    """

    __slots__ = ("_replies", "context_id", "is_finished", "last_heard", "message_id", "request")

    def __init__(self, request: Primitive, context_id: int) -> None:
        self.request = request
        self.message_id: int = request.MessageID or 0
        self.context_id = context_id
        # Never silent while it is being sent: that has a deadline of its own.
        self.last_heard = math.inf
        self.is_finished = False
        self._replies: SimpleQueue[Message | None] = SimpleQueue()

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
                return replies.get(timeout=left)
            except Empty:
                assert timeout is not None
                deadline = max(self.last_heard, heard()) + timeout
                if deadline <= time.monotonic():
                    raise TimeoutError("no response") from None


class Operations:
    """The outstanding operations of one association, and the Message IDs for new ones."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._outstanding: dict[int, Operation] = {}
        self._next_id = 1
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

    def __bool__(self) -> bool:
        return bool(self._outstanding)

    def __len__(self) -> int:
        return len(self._outstanding)

    def get(self, message_id: int) -> Operation | None:
        """The outstanding operation of that Message ID."""
        return self._outstanding.get(message_id)

    def outstanding(self) -> list[Operation]:
        """All outstanding operations, the oldest first."""
        with self._lock:
            return list(self._outstanding.values())

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
            `message_id` is outstanding already.
        TimeoutError
            There was no room in time.
        """
        with self._lock:
            if message_id is not None and message_id in self._outstanding:
                raise ValueError(f"the Message ID {message_id} is that of an outstanding operation")
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
            self._outstanding[message_id] = operation
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
        try:
            while not is_my_turn():
                last = max([begun, heard(), *(o.last_heard for o in self._outstanding.values())])
                left = None
                if timeout is not None and last < math.inf:
                    left = last + timeout - time.monotonic()
                    if left <= 0:
                        raise TimeoutError("an earlier operation has had no final response")
                self._room.wait(left)
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

    def wait_idle(self, timeout: float | None) -> bool:
        """Wait until nothing is outstanding; False when `timeout` seconds passed."""
        with self._room:
            self._waiting += 1
            try:
                return self._room.wait_for(lambda: self._ended or not self._outstanding, timeout)
            finally:
                self._waiting -= 1

    def close(self) -> None:
        """Begin no further operations; those outstanding are not touched."""
        with self._room:
            self._closed = True
            self._room.notify_all()

    def _choose(self) -> int:
        while True:
            message_id = self._next_id
            self._next_id = message_id + 1 if message_id < 0xFFFF else 1
            if message_id not in self._outstanding and message_id not in self._recent:
                return message_id

    def finish(self, operation: Operation) -> None:
        """Forget an operation: it has its final response, or nobody waits for it any more."""
        if operation.is_finished:
            return
        with self._lock:
            operation.is_finished = True
            # By then its Message ID may be another operation's.
            if self._outstanding.get(operation.message_id) is operation:
                del self._outstanding[operation.message_id]
                if self._waiting:
                    self._room.notify_all()

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
        if response.Status not in _PENDING or operation.request.name not in _WITH_PENDING:
            self.finish(operation)
        operation.put(message)
        return True

    def end(self) -> None:
        """Wake everybody: the association has ended."""
        with self._room:
            self._ended = True
            operations = list(self._outstanding.values())
            self._outstanding.clear()
            self._room.notify_all()
        for operation in operations:
            operation.put(None)
