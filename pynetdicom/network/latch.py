"""Waiting and excluding that a signal's handler or a finalizer may meet in the midst of anything.

`threading.Event`, `Condition` and `Lock` are not for that: a handler that sets an event, or takes a
lock, which the thread that it interrupts is just using waits for its own thread for ever.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from queue import Empty, SimpleQueue
from typing import Any


class Latch:
    """Something that happens once, and that any thread may wait for or make happen.

    A `SimpleQueue` may be put to in the midst of its own `put` and `get`; a dict's own operations
    are atomic.

    Parameters
    ----------
    queue : callable
        Makes what a thread waits by.
    """

    __slots__ = ("_is_set", "_queue", "_waiters")

    def __init__(self, queue: Callable[[], Any] = SimpleQueue) -> None:
        self._is_set = False
        self._queue = queue
        self._waiters: dict[Any, None] = {}

    def is_set(self) -> bool:
        """Whether it has happened."""
        return self._is_set

    def set(self) -> None:
        """Make it happen."""
        self._is_set = True
        for waiter in list(self._waiters):
            waiter.put(None)

    def wait(self, timeout: float | None = None) -> bool:
        """Wait until it has happened; False when `timeout` seconds have passed before."""
        if self._is_set:
            return True
        waiter = self._queue()
        try:
            self._waiters[waiter] = None
            # It may have happened before the waiter was known.
            if not self._is_set:
                waiter.get(timeout=None if timeout is None else max(0.0, timeout))
        except Empty:
            pass
        finally:
            self._waiters.pop(waiter, None)
        return self._is_set


class Hold:
    """What one thread at a time may do; its own thread is refused instead of waiting for itself.

    The lock knows its owner, and is looked after twice: Ctrl-C may come on the way out, too, and
    must not leave it with nobody.

    Parameters
    ----------
    refusal : str
        What a thread is told that comes again; none, where it may.

    Attributes
    ----------
    is_mine : callable
        Whether the calling thread has it: a handler or a finalizer may interrupt that.
    """

    __slots__ = ("_lock", "_refusal", "is_mine")

    def __init__(self, refusal: str = "it would wait for itself") -> None:
        self._refusal = refusal
        self._lock = threading.RLock()
        # As `threading.Condition` asks it; in one step, unlike an attribute of ours.
        self.is_mine: Callable[[], bool] = self._lock._is_owned  # type: ignore[attr-defined]

    def run(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call `call` when nobody else does.

        Raises
        ------
        RuntimeError
            The calling thread is at it, and may not come again.
        """
        if self.is_mine():
            if not self._refusal:
                return call(*args)
            raise RuntimeError(self._refusal)
        try:
            with self._lock:
                return call(*args)
        finally:
            if self.is_mine():
                self._lock.release()

    def attempt(self, call: Callable[..., Any], *args: Any, seconds: float = 0.0) -> bool:
        """Call `call`, but only if nobody is at it by then, the calling thread included."""
        if self.is_mine():
            return False
        # Neither a `try` nor a `return` of a constant while it is taken: these are steps that no
        # `try` covers.
        taken = False
        try:
            try:
                taken = self._lock.acquire(timeout=seconds)
                if taken:
                    call(*args)
            finally:
                if self.is_mine():
                    self._lock.release()
        finally:
            if self.is_mine():
                self._lock.release()
        return taken

    def __reduce__(self) -> tuple[type[Hold], tuple[str]]:
        return Hold, (self._refusal,)  # whose copy nobody has
