"""Who waits for an operation, and for how long: for its turn, and for its responses.

The threads that call wait here; the reader, the end of the association, or whoever leaves the
line before them wakes them.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from typing import TYPE_CHECKING

from pynetdicom.network.deadlines import LONGEST, stretch

if TYPE_CHECKING:
    from pynetdicom.dimse.messages import Message
    from pynetdicom.dimse.operations import Operation


def begin(
    operation: Operation,
    message_id: int | None,
    window: int,
    timeout: float | None,
    heard: Callable[[], float],
) -> bool:
    """Register an operation, once the window has room for it.

    Parameters
    ----------
    operation : Operation
        Held in a ``with`` by the caller, or finished if this raises.
    message_id, window
        As for `Operations.begin`.
    timeout : float or None
        Seconds of silence to allow while there is no room.
    heard : callable
        When the peer was last heard, as for `response_to`.

    Returns
    -------
    bool
        False when the association has ended or is being released; then it is finished.

    Raises
    ------
    ValueError
        As `Operations.begin`.
    TimeoutError
        There was no room in time.
    """
    operations = operation.operations
    begun = 0.0
    while True:
        if operations.is_over:
            operations.finish(operation)
            return False
        if operations.begin(operation, message_id, window):
            return True
        if operation.woken is None:
            operation.woken = operations.runtime.queue()
            begun = time.monotonic()
            operations.flow.resume_reading()
            continue  # there may have come to be room before anybody could wake it
        now = time.monotonic()  # before asking: whatever is heard from then on is no silence
        last = max([begun, heard(), *(one.last_heard for one in operations.outstanding())])
        left = None
        if timeout is not None and last < math.inf:
            left = last + timeout - now
            if left <= 0:
                raise TimeoutError("an earlier operation has had no final response")
        with suppress(Empty):
            operation.woken.get(timeout=stretch(left))


def sent(operation: Operation) -> None:
    """Say that the last byte of a request was sent: from now on the peer may be too silent."""
    operation.last_heard = time.monotonic()
    if operation.operations.in_line() > 1:
        operation.operations.wake()


def response_to(
    operation: Operation, timeout: float | None, heard: Callable[[], float]
) -> Message | None:
    """Wait for the next response; None when the association has ended.

    Parameters
    ----------
    operation : Operation
    timeout : float or None
        Seconds of silence to allow; None for ever.
    heard : callable
        When the peer was last heard on the association: what arrives for others renews the time.

    Raises
    ------
    TimeoutError
        The peer was silent for too long.
    """
    # What arrives meanwhile is looked at when that time is up.
    deadline = math.inf if timeout is None else operation.last_heard + timeout
    while True:
        left = max(0.0, min(LONGEST, deadline - time.monotonic()))
        try:
            return operation.replies.get(timeout=left)
        except Empty:
            if timeout is not None:
                now = time.monotonic()  # before asking, as above
                deadline = max(heard(), operation.last_heard) + timeout
                if deadline <= now:
                    raise TimeoutError("no response") from None
