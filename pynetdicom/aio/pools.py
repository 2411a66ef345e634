"""Threads for what would hold up an event loop: files, and plain handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Pool:
    """Threads that are begun as they are needed, and end when the pool is closed.

    The loop's thread hands calls in, and takes what has come of them.

    Parameters
    ----------
    loop : asyncio.AbstractEventLoop
    name : str
        Of the threads.
    most : int
        How many there may be; what is beyond that waits.
    start : callable
        As `threads.start`.
    """

    def __init__(
        self, loop: asyncio.AbstractEventLoop, name: str, most: int, start: Callable[..., Any]
    ) -> None:
        self._loop = loop
        self._name = name
        self._most = most
        self._start = start
        self._calls: SimpleQueue[Any] = SimpleQueue()
        self._threads = self._busy = 0
        self._is_closed = False

    def call(self, call: Callable[[], Any]) -> asyncio.Future[Any]:
        """Have something called on a thread; what it gives is the result of the future."""
        future: asyncio.Future[Any] = self._loop.create_future()
        self._busy += 1
        self._calls.put((call, future))
        if self._busy > self._threads and self._threads < self._most:
            self._threads += 1
            try:
                self._start(self._name, self._work)
            except RuntimeError as error:  # no thread to be had
                self._threads -= 1
                if not self._threads:
                    self._busy -= 1
                    self._calls.get_nowait()
                    future.set_exception(error)
        if self._is_closed:
            self._calls.put(None)
            self._threads = 0
        return future

    def _work(self) -> None:
        while (item := self._calls.get()) is not None:
            call, future = item
            result: Any = None
            error: BaseException | None = None
            try:
                result = call()
            except BaseException as problem:
                error = problem
            try:
                self._loop.call_soon_threadsafe(self._take, future, result, error)
            except RuntimeError:  # the loop is closed
                return
            item = call = future = result = error = None  # which others may hold no longer

    def _take(self, future: asyncio.Future[Any], result: Any, error: BaseException | None) -> None:
        self._busy -= 1
        if future.done():
            return
        if error is None:
            future.set_result(result)
        elif isinstance(error, StopIteration):  # which no future may have
            future.set_exception(Stop(error.value))
        else:
            future.set_exception(error)

    def close(self) -> None:
        """Have the threads end when they are done; those of later calls, too."""
        self._is_closed = True
        for _ in range(self._threads):
            self._calls.put(None)
        self._threads = 0


class Stop(Exception):
    """A generator has ended, with a value."""
