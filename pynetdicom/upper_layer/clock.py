"""Deadlines that nobody is waiting at: one thread for the process, and only while one is set."""

from __future__ import annotations

import heapq
import itertools
import logging
import os
import threading
import time
from collections.abc import Callable

from pynetdicom import raised
from pynetdicom.upper_layer import threads
from pynetdicom.upper_layer.deadlines import stretch

LOGGER = logging.getLogger("pynetdicom.dul")


class Deadline:
    """A call that is made unless it is cancelled before its time."""

    __slots__ = ("_call", "at")

    def __init__(self, at: float, call: Callable[[], None]) -> None:
        self.at = at
        self._call: Callable[[], None] | None = call

    def cancel(self) -> None:
        """Do not make the call. It may be under way already."""
        self._call = None
        _clock.forget()

    def expire(self) -> None:
        """Make the call, unless it was cancelled."""
        call, self._call = self._call, None
        if call is not None:
            call()

    @property
    def is_cancelled(self) -> bool:
        """Whether nothing is left to be called."""
        return self._call is None


class _Clock:
    """The heap of deadlines and the thread that waits for the first of them."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._heap: list[tuple[float, int, Deadline]] = []
        self._order = itertools.count()
        self._running = False

    def set(self, deadline: Deadline) -> None:
        with self._changed:
            if not self._running:
                # Under the lock, so that nobody relies on a thread that could not be started.
                threads.start("pynetdicom-deadlines", self._run)
                self._running = True
            heapq.heappush(self._heap, (deadline.at, next(self._order), deadline))
            self._changed.notify()

    def forget(self) -> None:
        """Let the thread drop what was cancelled, so that it ends when nothing is left."""
        with self._changed:
            self._changed.notify()

    def _run(self) -> None:
        while (deadline := self._next()) is not None:
            try:
                deadline.expire()
            except BaseException as error:  # the other deadlines still count on this thread
                raised.log(LOGGER, "a deadline's call failed:", error)

    def _next(self) -> Deadline | None:
        with self._changed:
            while True:
                while self._heap and self._heap[0][2].is_cancelled:
                    heapq.heappop(self._heap)
                if all(deadline.is_cancelled for _, _, deadline in self._heap):
                    self._heap.clear()
                    self._running = False
                    return None
                wait = self._heap[0][0] - time.monotonic()
                if wait <= 0:
                    return heapq.heappop(self._heap)[2]
                self._changed.wait(stretch(wait))


_clock = _Clock()


def _after_fork() -> None:
    # The child has none of its parent's threads, and perhaps a lock that is held for ever.
    global _clock
    _clock = _Clock()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def call_at(at: float, call: Callable[[], None]) -> Deadline:
    """Have `call` called at `at` (of `time.monotonic`), on a thread of the library's own.

    The call must be short and must not raise.

    Raises
    ------
    RuntimeError
        No thread can be started.
    """
    deadline = Deadline(at, call)
    _clock.set(deadline)
    return deadline
