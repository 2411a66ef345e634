"""One request of ours, and the responses to it.

In: responses, from the DUL thread, which finds the operation among the `Operations`. Out: to the
one thread that waits in `Operation.wait`.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom.dimse.backlog import Backlog
from pynetdicom.network.deadlines import stretch

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Message
    from pynetdicom.dimse.primitives import Primitive

PENDING = frozenset((0xFF00, 0xFF01))
_WITH_PENDING = frozenset(("C-FIND", "C-GET", "C-MOVE"))


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
    turn : Turn or None
        Its place in the line.
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
        "turn",
    )

    def __init__(self, request: Primitive, context_id: int) -> None:
        self.request = request
        self.message_id: int = request.MessageID or 0
        self.context_id = context_id
        # Never silent while it is being sent: that has a deadline of its own.
        self.last_heard = math.inf
        self.is_finished = self.is_abandoned = self.is_cancelled = self.has_library_id = False
        self.problem: str | None = None
        self.turn: Any = None
        self.backlog = Backlog() if request.name in _WITH_PENDING else None
        self._replies: SimpleQueue[Message | None] | Backlog = self.backlog or SimpleQueue()

    @property
    def is_waiting(self) -> bool:
        """Whether it has no response for its consumer yet."""
        return self._replies.empty()

    def put(self, message: Message | None) -> None:
        """Take a response, or None when the association has ended."""
        self._replies.put(message)

    def wait(self, timeout: float | None, heard: Callable[[], float]) -> Message | None:
        """Wait for the next response; None when the association has ended.

        Parameters
        ----------
        timeout : float or None
            Seconds of silence to allow; None for ever.
        heard : callable
            When the peer was last heard on the association: what arrives for others renews the
            time.

        Raises
        ------
        TimeoutError
            The peer was silent for too long.
        """
        # What arrives for others meanwhile is looked at when that time is up.
        deadline = None if timeout is None else self.last_heard + timeout
        while True:
            left = None if deadline is None else max(0.0, deadline - time.monotonic())
            try:
                return self._replies.get(timeout=stretch(left))
            except Empty:
                assert timeout is not None
                deadline = max(self.last_heard, heard()) + timeout
                if deadline <= time.monotonic():
                    raise TimeoutError("no response") from None


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


class NoFlow:
    """Without an association."""

    def pause_reading(self) -> None:
        """Nothing."""

    def resume_reading(self) -> None:
        """Nothing."""

    def cancel_later(self, operation: Operation) -> None:
        """Nothing."""

    def on_idle(self) -> None:
        """Nothing."""
