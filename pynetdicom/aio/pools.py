"""Threads for what would hold up an event loop: files, and plain handlers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Job:
    """A call, and what has come of it.

    Attributes
    ----------
    is_done : bool
        On the loop's thread.
    result : object
    problem : BaseException or None
        What was raised.
    waiter : object
        What is woken when it is done.
    """

    def __init__(self, call: Callable[[], Any]) -> None:
        self.call = call
        self.is_done = False
        self.result: Any = None
        self.problem: BaseException | None = None
        self.waiter: Any = None

    def outcome(self) -> Any:
        """What the call has given, or what it has raised."""
        problem, self.problem = self.problem, None
        if problem is not None:
            try:
                raise problem
            finally:
                del problem
        return self.result


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
        self._jobs: SimpleQueue[Job | None] = SimpleQueue()
        self._threads = self._busy = 0
        self._is_closed = False

    def call(self, call: Callable[[], Any]) -> Job:
        """Have something called on a thread."""
        job = Job(call)
        self._busy += 1
        self._jobs.put(job)
        if self._busy > self._threads and self._threads < self._most:
            self._threads += 1
            try:
                self._start(self._name, self._work)
            except RuntimeError as error:  # no thread to be had
                self._threads -= 1
                if not self._threads:
                    self._jobs.get_nowait()
                    job.problem = error
                    self._take(job)
        if self._is_closed:
            self._jobs.put(None)
            self._threads = 0
        return job

    def _work(self) -> None:
        while (job := self._jobs.get()) is not None:
            try:
                job.result = job.call()
            except BaseException as error:
                job.problem = error
            try:
                self._loop.call_soon_threadsafe(self._take, job)
            except RuntimeError:  # the loop is closed
                return
            del job  # which others may hold no longer

    def _take(self, job: Job) -> None:
        self._busy -= 1
        job.is_done = True
        if job.waiter is not None and not job.waiter.done():
            job.waiter.set_result(True)

    def close(self) -> None:
        """Have the threads end when they are done; those of later calls, too."""
        self._is_closed = True
        for _ in range(self._threads):
            self._jobs.put(None)
        self._threads = 0
