"""Outstanding operations: which one a message belongs to, and which may begin.

In: messages, from the reader, by `Operations.deliver`; the end of the association, from any
thread, by `Operations.end`. A response is given to the operation whose Message ID it carries and to
no other (PS3.7 6.3.1); what is not its answer never makes it succeed. Nothing here waits, looks at
a clock or takes a lock: that is done in `waiting`.

All operations stand in one line, a dict, whose own operations are atomic, from before they begin
until their final response; the first of them, as many as the window is wide, may begin. So all of
this may be called by the handler of a signal, or by a finalizer, in the midst of anything.

An operation that nobody waits for any more stays outstanding until its final response, and what
arrives for it is dropped. Where responses come faster than they are consumed, reading is paused
(C-FIND), or they go into a file: when that has taken long enough, when somebody waits for the end
of this operation, and always for C-GET and C-MOVE, whose sub-operations are not to be held up.
"""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Protocol, Self

from pynetdicom import _config
from pynetdicom.dimse.backlog import Backlog
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.network.runtime import THREADS, Queue, Runtime

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


class Operation:
    """One request of ours, from before it may be sent until its final response.

    It is made by the thread that sends the request, and held in a ``with``: when an exception comes
    out of there, Ctrl-C included, it is outstanding no more; if it was sent, its Message ID is
    nobody's until the peer has answered. Otherwise nothing has to be done: its final response has
    ended it, or the association's end.

    Parameters
    ----------
    operations : Operations
    request : Primitive
    context_id : int
        The presentation context it is sent on.

    Attributes
    ----------
    message_id : int
        0 until it has begun.
    has_begun : bool
        Whether it has its turn and its Message ID.
    has_library_id : bool
        Whether the Message ID is one of the library's choice.
    claims : list of int
        The Message ID that is to be given back.
    thread : int
        Which thread made it.
    last_heard : float
        When its request was sent, of `time.monotonic`.
    is_abandoned : bool
        Whether nobody wants its responses any more.
    is_cancelled : bool
        Whether a C-CANCEL was sent.
    problem : str or None
        Why not all of its responses could be kept.
    backlog : Backlog or None
        The responses that wait, of an operation that has several.
    replies : Queue or Backlog
        The responses, and None when the association has ended.
    woken : Queue or None
        Where the thread that made it waits for its turn.
    """

    def __init__(self, operations: Operations, request: Primitive, context_id: int | None) -> None:
        self.operations = operations
        self.request = request
        self.context_id = context_id or 0
        self.message_id = 0
        self.has_begun = self.has_library_id = self.is_abandoned = self.is_cancelled = False
        self.claims: list[int] = []
        runtime = operations.runtime
        self.thread = runtime.ident()
        # Never silent while it is being sent: that has a deadline of its own.
        self.last_heard = math.inf
        self.problem: str | None = None
        self.woken: Queue | None = None
        self.backlog = Backlog(runtime) if request.name in _WITH_PENDING else None
        self.replies: Queue | Backlog = self.backlog or runtime.queue()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, *error: object) -> None:
        if kind is not None:
            self.operations.finish(self, keeps_id=self.last_heard < math.inf)


class Operations:
    """The operations of one association, and the Message IDs for new ones.

    Attributes
    ----------
    flow : Flow
    runtime : Runtime
        What they wait by.
    in_line : callable
        Tells how many there are, with those who wait to begin.
    next_id : int
        The Message ID that the library is likely to choose next.
    is_over : bool
        Whether none may begin any more.
    strays : int
        How many responses have answered nothing.
    """

    def __init__(self, flow: Flow, runtime: Runtime = THREADS) -> None:
        self.flow = flow
        self.runtime = runtime
        # In the order in which they came: whoever comes back at once must not be served before
        # those who wait.
        self._line: dict[Operation, None] = {}
        self.in_line = self._line.__len__
        # Whose each Message ID is.
        self._by_id: dict[int, Operation] = {}
        # Those with several responses that ended lately: a cancel may have crossed the last one.
        self._ended_lately: list[int] = []
        self.next_id = 1
        # The last one with several responses whose Message ID is 1.
        self._one: Operation | None = None
        # Message IDs that the caller chose and that ended lately: a late answer must not fit the
        # next one.
        self._recent: list[int] = []
        self.is_over = self._closed = self._has_ended = False
        self.strays = 0

    def __len__(self) -> int:
        return len(self.outstanding()) if self._line else 0

    def outstanding(self) -> list[Operation]:
        """All outstanding operations, the oldest first."""
        return [operation for operation in list(self._line) if operation.has_begun]

    def is_outstanding(self, operation: Operation) -> bool:
        """Whether an operation has not had its final response, nor the association its end."""
        return operation.has_begun and operation in self._line

    def is_being_sent_by(self, thread: int) -> bool:
        """Whether a thread has an operation that waits to begin, or whose request is not out.

        So a signal's handler asks, or a finalizer, that must not wait for what it interrupts.
        """
        return any(one.thread == thread and one.last_heard == math.inf for one in list(self._line))

    # Beginning and ending

    def begin(self, operation: Operation, message_id: int | None, window: int) -> bool:
        """Register an operation, if the window has room for it; see `waiting.begin`.

        If not, it stands in the line: it is to be tried again when it is woken, or to be finished
        if `is_over`.

        Parameters
        ----------
        operation : Operation
        message_id : int or None
            As the caller wants it; None for one of the library's choice, counted up and not reused
            at once.
        window : int
            How many operations may be outstanding; 0 for any number (PS3.7 D.3.3.3).

        Raises
        ------
        ValueError
            `message_id` is outstanding already; one that was abandoned is waited for.
        """
        line, request = self._line, operation.request
        if operation not in line:
            earlier = None if message_id is None else self._by_id.get(message_id)
            if earlier is not None and not earlier.is_abandoned:
                raise _is_taken(earlier.message_id)
            line[operation] = None
        if window and len(line) > window and list(line).index(operation) >= window:
            return False
        while True:
            chosen = message_id
            if chosen is None:
                chosen = self.next_id
                self.next_id = chosen + 1 if chosen < 0xFFFF else 1
                if chosen in self._by_id or chosen in self._recent:
                    continue
                request.__dict__["MessageID"] = chosen
            else:
                request.MessageID = chosen  # which checks it
            operation.claims.append(chosen)
            if self._by_id.setdefault(chosen, operation) is operation:
                break
            operation.claims.clear()
            if message_id is not None:
                raise _is_taken(chosen)
        operation.message_id, operation.has_library_id = chosen, message_id is None
        operation.has_begun = True
        if message_id is not None:
            self._recent.append(chosen)
            del self._recent[:-_RECENT]
        if chosen == 1 and operation.backlog is not None:
            self._one = operation
        return not self.is_over  # last: whoever has said so may have looked before

    def finish(self, operation: Operation, *, keeps_id: bool = False) -> None:
        """Forget an operation: it has its final response, or nobody waits for it any more.

        Also one that has not begun. A second time it does no harm. With `keeps_id` no other has its
        Message ID while the answer is still to come, which would fit that one.
        """
        if operation.backlog is not None and self.is_outstanding(operation):
            # Before it is outstanding no more: who cancels it looks there first.
            self._ended_lately.append(operation.message_id)
            del self._ended_lately[:-_ENDED_LATELY]
        try:
            # Only one of those who finish it gives its Message ID back: it may be another's next.
            message_id = None if keeps_id else operation.claims.pop()
        except IndexError:
            pass
        else:
            if message_id is not None and self._by_id.get(message_id) is operation:
                del self._by_id[message_id]
        self._line.pop(operation, None)
        if self._line:
            self.wake()
        if self._closed and not self.outstanding():
            self.flow.on_idle()

    def wake(self) -> None:
        """Have those who wait look whether it is their turn."""
        for operation in list(self._line):
            if operation.woken is not None:
                operation.woken.put(None)

    def close(self) -> None:
        """Begin no further operations; those outstanding are completed, and no consumer awaited.

        The last one's end is told by `Flow.on_idle`.
        """
        self.is_over = self._closed = True
        self.wake()
        self.flow.resume_reading()

    def end(self) -> None:
        """Wake everybody: the association has ended."""
        self.is_over = self._has_ended = True
        for operation in self.outstanding():
            operation.replies.put(None)
            self._line.pop(operation, None)
        self.wake()
        self.flow.resume_reading()

    # Responses

    def deliver(self, message: Message) -> bool:
        """Give a response to the operation that it answers; False, and dropped, when there is none.

        Raises
        ------
        DIMSEDecodeError
            It carries the Message ID of an operation that it cannot be the answer to; or too many
            have answered nothing.
        """
        response = message.primitive
        message_id: int = response.__dict__["MessageIDBeingRespondedTo"]
        operation = self._by_id.get(message_id)
        if operation is None or operation not in self._line:
            if operation is not None:  # somebody has waited for it
                self.finish(operation)
            self._drop(message)
            return False
        if (
            response.CommandField != operation.request.response_field
            or message.context_id != operation.context_id
        ):
            raise DIMSEDecodeError(
                f"{response.message_name} on context {message.context_id} cannot answer the"
                f" {operation.request.message_name} {message_id} on context {operation.context_id}"
            )
        backlog = operation.backlog
        if backlog is None or response.Status not in PENDING:
            self.finish(operation)
            operation.replies.put(message)
        elif operation.is_abandoned or operation.problem is not None:
            message.close()
        else:
            try:
                if backlog.add(message):
                    self._slow_down(operation, backlog)
            except OSError as error:
                message.close()
                self._give_up(operation, error)
        return True

    def _drop(self, message: Message) -> None:
        message.close()
        if self._has_ended:  # in the midst of what was received with it
            return
        self.strays += 1
        LOGGER.warning("a %s that answers nothing is dropped", message.name)
        if self.strays > _config.MAXIMUM_STRAY_RESPONSES:
            raise DIMSEDecodeError("too many responses that answer nothing")

    def _slow_down(self, operation: Operation, backlog: Backlog) -> None:
        """Too many responses wait: have the peer wait, too, or put what comes into a file."""
        if self._is_awaited() or operation.request.name != "C-FIND":
            backlog.spill()
            return
        backlog.is_paused = True
        self.flow.pause_reading()
        # Somebody may have consumed some, or begun to wait, before it was paused.
        if self._is_awaited() or operation.is_abandoned or not backlog.is_full:
            self.flow.resume_reading()

    def _is_awaited(self) -> bool:
        """Whether somebody waits for the end of an operation: no consumer may hold that up."""
        return self._closed or not all(operation.has_begun for operation in list(self._line))

    def _give_up(self, operation: Operation, error: OSError) -> None:
        """Cancel an operation whose responses cannot be kept; the final one still can."""
        operation.problem = f"cancelled, not all responses could be kept: {error.strerror}"
        LOGGER.error("%s %d %s", operation.request.name, operation.message_id, operation.problem)
        self.flow.cancel_later(operation)

    def spill(self) -> None:
        """Reading was paused for long enough: what comes now goes into files."""
        for operation in self.outstanding():
            if operation.backlog is not None and not operation.is_abandoned:
                try:
                    operation.backlog.spill()
                except OSError as error:
                    self._give_up(operation, error)

    def consumed(self, backlog: Backlog) -> None:
        """Say that a response was consumed while reading is paused: there may be room for more."""
        if backlog.has_room:
            backlog.is_paused = False
            self.flow.resume_reading()

    def abandon(self, operation: Operation) -> None:
        """Drop the responses to an operation, those that wait and those to come."""
        operation.is_abandoned = True
        if operation.backlog is not None:
            operation.backlog.discard()
        self.flow.resume_reading()

    # Cancelling

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
        if message_id != 1 or (self._one is not None and not self._one.replies.empty()):
            return None
        ours = [operation for operation in operations if operation.has_library_id]
        return ours[0] if len(ours) == 1 else None

    def has_ended_lately(self, message_id: int) -> bool:
        """Whether an operation with several responses has had its final one of late."""
        return message_id in self._ended_lately


def _is_taken(message_id: int) -> ValueError:
    return ValueError(f"the Message ID {message_id} is that of an outstanding operation")
