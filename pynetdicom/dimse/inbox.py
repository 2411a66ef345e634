"""What the Association thread has to do: the peer's requests in order, and a few signals.

The reader puts requests, any thread a signal; the Association thread alone gets. What may wait
is bounded.
"""

from __future__ import annotations

import time
from queue import Empty
from typing import Any

from pynetdicom import _config
from pynetdicom.dimse.messages import Message
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.network.deadlines import LONGEST
from pynetdicom.network.driver import Reader
from pynetdicom.network.runtime import THREADS, Queue, Runtime

# Signals to the Association thread, beside the peer's requests and the A-ASSOCIATE-AC.
ENDED = object()
PEER_RELEASES = object()
WE_RELEASE = object()


class Inbox:
    """The peer's requests that wait or are being served.

    A request is outstanding from `put_request` until `done`.

    Attributes
    ----------
    is_waiting : callable
        Tells whether there is nothing to get.
    outstanding : callable
        Tells how many requests there are.
    reader : Reader or None
        By which the Association thread reads while it waits; None where the DUL thread does.
    window : int
        How many requests the peer may have outstanding. Where that is more than one they go into
        `work`, for several threads, and what is beyond the window to the Association thread.
    work : Queue
    last_done : float
        When a request was last done with, of `time.monotonic`.
    """

    reader: Reader | None = None

    def __init__(self, runtime: Runtime = THREADS) -> None:
        self._items = runtime.queue()
        self.is_waiting = self._items.empty
        # By Message ID. A dict's own operations are atomic, and a cancel does not write to it: the
        # request may have been answered meanwhile.
        self._outstanding: dict[int, Message] = {}
        # All that wait or are served, those with a Message ID of another's too.
        self._open: dict[Message, None] = {}
        self.outstanding = self._open.__len__
        # Each of these is written by one thread only.
        self._taken = self._begun = 0
        self._bytes_taken = self._bytes_begun = 0
        self.window = 1
        self.work: Queue = runtime.queue()
        self.last_done = 0.0
        # Whether the Association thread is in `get`.
        self._is_waited_at = False

    def put(self, item: Any) -> None:
        """Add something else than a request; from any thread, in the midst of anything."""
        self._items.put(item)
        # After that: the Association thread looks whether there is something before it reads on.
        reader = self.reader
        if reader is not None:
            reader.wake()

    def put_request(self, message: Message) -> None:
        """Add a request; a C-CANCEL marks the one that it is about.

        Raises
        ------
        DIMSEDecodeError
            More wait than may.
        """
        request, size = message.primitive, message.size
        if request.response_field is None:
            self.cancel(request.MessageIDBeingRespondedTo or 0)
            return
        window = self.window  # which the Association thread may close meanwhile
        message.is_beyond = 1 < window <= len(self._open)
        if window == 1 or message.is_beyond:
            # The one being served does not wait; one that nobody is before does not either.
            waiting = self._taken - self._begun
            if self._open and (
                waiting >= _config.MAXIMUM_PENDING_REQUESTS
                or self._bytes_taken - self._bytes_begun + size > _config.MAXIMUM_PENDING_BYTES
            ):
                raise DIMSEDecodeError("too many requests wait to be served")
            self._taken += 1
            self._bytes_taken += size
        message_id = request.MessageID or 0
        message.is_duplicate = self._outstanding.setdefault(message_id, message) is not message
        self._open[message] = None
        (self._items if window == 1 or message.is_beyond else self.work).put(message)

    def get(self, timeout: float | None) -> Any:
        """Wait for the next item, which waits no more then.

        Raises
        ------
        queue.Empty
            `timeout` seconds passed.
        """
        deadline = None if timeout is None else time.monotonic() + timeout
        while True:
            self._is_waited_at = True
            reader = self.reader
            if reader is not None:
                reader.read(self.is_waiting, deadline)
                if deadline is not None:
                    timeout = max(0.0, deadline - time.monotonic())
            try:
                item = self._items.get(timeout=None if timeout is None else min(timeout, LONGEST))
            except Empty:
                if deadline is None or (timeout := deadline - time.monotonic()) <= 0:
                    raise
            else:
                self._is_waited_at = False
                if isinstance(item, Message):
                    self._begun += 1
                    self._bytes_begun += item.size
                return item

    def done(self, message: Message) -> None:
        """Say that a request has been served."""
        self.last_done = time.monotonic()
        self._open.pop(message, None)
        if not message.is_duplicate:
            self._outstanding.pop(message.primitive.MessageID or 0, None)

    def cancel(self, message_id: int) -> None:
        """Mark a request as cancelled, if there is one of that Message ID."""
        message = self._outstanding.get(message_id)
        if message is not None:
            message.is_cancelled = True

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer has cancelled a request, or its time is up."""
        message = self._outstanding.get(message_id)
        if message is None:
            return False
        deadline = message.deadline
        return message.is_cancelled or (deadline is not None and time.monotonic() >= deadline)

    def end(self) -> None:
        """Say that the association has ended, and with it what the peer has requested.

        Whoever tells it wakes the thread that reads.
        """
        for message in list(self._outstanding.values()):
            message.is_cancelled = True
        self._items.put(ENDED)

    @property
    def has_nothing_to_do(self) -> bool:
        """Whether the Association thread waits, and has sent the response to the last request.

        So the reader asks, without which it gets no other.
        """
        return self._is_waited_at and self.is_waiting() and not self._open and self.window == 1

    @property
    def is_empty(self) -> bool:
        """Whether no request waits or is being served."""
        return not self._open

    def drain(self) -> list[Any]:
        """Take out whatever is left, on the Association thread."""
        return [self._items.get_nowait() for _ in range(self._items.qsize())]
