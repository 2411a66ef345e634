"""What strands wait by, and exclude others with: queues, holds, and until when."""

from __future__ import annotations

import asyncio
import contextlib
import heapq
import itertools
import math
import time
from collections import deque
from collections.abc import Callable
from queue import Empty
from typing import Any, Protocol

from pynetdicom.aio.strands import here, ident, settle
from pynetdicom.network.latch import Hold

_MANY_TIMERS = 256


class Waits(Protocol):
    """The runtime."""

    def waiter(self) -> Any: ...
    def park(self, waiter: Any, timeout: float | None) -> bool: ...
    def wake(self, waiter: Any, value: Any = True) -> None: ...


class Timers:
    """Until when is waited for: few of these times ever come, so that one timer does for all.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        self._loop = loop
        self._numbers = itertools.count()
        self._heap: list[tuple[float, int, Any]] = []
        self._many = _MANY_TIMERS
        self._timer: asyncio.TimerHandle | None = None
        self._due = math.inf

    def add(self, seconds: float, waiter: Any) -> None:
        """Have a waiter told False when so many seconds have passed, unless it has its result."""
        due = time.monotonic() + seconds
        heap = self._heap
        heapq.heappush(heap, (due, next(self._numbers), waiter))
        if due < self._due:
            self._set(due)
        if len(heap) > self._many:
            heap[:] = [entry for entry in heap if not entry[2].done()]
            heapq.heapify(heap)
            self._many = max(_MANY_TIMERS, 2 * len(heap))

    def _set(self, due: float) -> None:
        if self._timer is not None:
            self._timer.cancel()
        self._due = due
        self._timer = self._loop.call_later(max(0.0, due - time.monotonic()), self._expire)

    def _expire(self) -> None:
        heap = self._heap
        now = time.monotonic()
        self._timer, self._due = None, math.inf
        while heap and (heap[0][0] <= now or heap[0][2].done()):
            settle(heapq.heappop(heap)[2], False)
        if heap:
            self._set(heap[0][0])

    def close(self) -> None:
        """Wait for none of them any more."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer, self._due = None, math.inf


class LoopQueue:
    """As a `queue.SimpleQueue`; see `network.runtime.Queue`."""

    __slots__ = ("_items", "_runtime", "_waiters")

    def __init__(self, runtime: Waits) -> None:
        self._runtime = runtime
        self._items: deque[Any] = deque()
        # One, for the most part.
        self._waiters: list[Any] = []

    def put(self, item: Any) -> None:
        """Add an item, from any thread."""
        self._items.append(item)
        if self._waiters:
            self._wake_one()

    def _wake_one(self) -> None:
        try:
            waiter = self._waiters.pop(0)
        except IndexError:  # another thread was faster
            return
        self._runtime.wake(waiter)

    def get_nowait(self) -> Any:
        """Give the next item, if there is one."""
        try:
            return self._items.popleft()
        except IndexError:
            raise Empty from None

    def get(self, block: bool = True, timeout: float | None = None) -> Any:
        """Wait for the next item."""
        items = self._items
        deadline: float | None = None
        while True:
            try:
                return items.popleft()
            except IndexError:
                pass
            if timeout is not None:
                if deadline is None:
                    deadline = time.monotonic() + timeout
                else:
                    timeout = deadline - time.monotonic()
                if timeout <= 0:
                    raise Empty
            waiter = self._runtime.waiter()
            self._waiters.append(waiter)
            if items:  # it may have come before the waiter was known
                self._forget(waiter)
                continue
            try:
                self._runtime.park(waiter, timeout)
            except BaseException:
                self._forget(waiter)
                if items:  # what it was woken for is another's
                    self._wake_one()
                raise
            if not items:
                self._forget(waiter)

    def _forget(self, waiter: Any) -> None:
        with contextlib.suppress(ValueError):
            self._waiters.remove(waiter)

    def empty(self) -> bool:
        """Whether there is nothing to get."""
        return not self._items

    def qsize(self) -> int:
        """How many items there are."""
        return len(self._items)


class LoopHold(Hold):
    """What one strand at a time may do; see `Hold`."""

    __slots__ = ("_free", "_owner")

    def __init__(self, runtime: Waits, refusal: str = "it would wait for itself") -> None:
        self._refusal = refusal
        self._owner = 0
        self._free = LoopQueue(runtime)
        self._free.put(None)
        self.is_mine = self._is_mine

    def _is_mine(self) -> bool:
        return self._owner == ident()

    def run(self, call: Callable[..., Any], *args: Any) -> Any:
        """As `Hold.run`."""
        me = ident()
        if self._owner == me:
            if not self._refusal:
                return call(*args)
            raise RuntimeError(self._refusal)
        self._free.get()
        try:
            self._owner = me
            return call(*args)
        finally:
            self._owner = 0
            self._free.put(None)

    def attempt(self, call: Callable[..., Any], *args: Any, seconds: float = 0.0) -> bool:
        """As `Hold.attempt`."""
        me = ident()
        if self._owner == me:
            return False
        try:
            if seconds > 0 and here() is not None:
                self._free.get(timeout=seconds)
            else:
                self._free.get_nowait()
        except Empty:
            return False
        try:
            self._owner = me
            call(*args)
        finally:
            self._owner = 0
            self._free.put(None)
        return True
