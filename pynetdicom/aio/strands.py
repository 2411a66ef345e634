"""Strands: what would be threads elsewhere, run by an event loop in turns.

The library's code waits where it has to, in the midst of whatever it is at. Here it runs in
greenlets, which keep their place in the midst of a call while something else runs: where a thread
would wait, a strand is suspended and the loop goes on, until what it waits for wakes it. There is
one runtime a loop, which makes strands and wakes them; the loop's thread runs all of this, and
other threads, those for files and for plain handlers, may wake a strand, or wait for one.

Most strands are tasks of the loop, or belong to the task that has called: what they wait for is
awaited by that. The ones that read are resumed by the loop's callbacks themselves, which saves a
turn of the loop each time.
"""

from __future__ import annotations

import asyncio
import itertools
from collections.abc import Callable
from contextvars import Context, ContextVar, copy_context
from queue import Empty, SimpleQueue
from threading import get_ident, local
from typing import Any

from greenlet import GreenletExit, getcurrent, greenlet

from pynetdicom._logging import HERE

# Below those of threads, which are not negative.
_idents = itertools.count(-1, -1)


def new_ident() -> int:
    """An ident that no strand, and no thread, has had."""
    return next(_idents)


Entry = tuple[Any, Any]
"""A handler that runs: whose, and of which event."""

HANDLING: ContextVar[tuple[Strand, Entry] | None] = ContextVar("HANDLING", default=None)
"""The handler in which this runs, or has been begun, and the strand that waits for it."""


class Strand(greenlet):
    """A call that may be suspended.

    Attributes
    ----------
    ident : int
        As a thread's.
    worker : int
        That of the strand whose handler has begun it; its own, if none has.
    running : list of Entry
        The handlers that it runs, the innermost last.
    is_stepped : bool
        Whether callbacks of the loop resume it, instead of a task.
    """

    def __init__(self, call: Callable[..., Any], ident: int | None = None) -> None:
        super().__init__(call)
        self.ident = self.worker = new_ident() if ident is None else ident
        self.running: list[Entry] = []
        self.is_stepped = False
        handling = HANDLING.get()
        # A task that a handler has begun may outlive it.
        if handling is not None and any(entry is handling[1] for entry in handling[0].running):
            self.worker = handling[0].worker
            self.running = list(handling[0].running)

    # The ones that read

    def step(self, value: Any = None) -> None:
        """Go on until it waits again; in a callback of the loop."""
        self._wait_for(self.switch(value))

    def begin(self) -> None:
        """As `step`, for the first time."""
        self.parent = getcurrent()
        self.is_stepped = True
        self._wait_for(self.switch())

    def _resume(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._wait_for(self.throw(asyncio.CancelledError()))
        elif (error := future.exception()) is not None:
            self._wait_for(self.throw(error))
        else:
            self.step(future.result())

    def _wait_for(self, awaited: Any) -> None:
        """Take note of what it waits for; of nothing, where something else will resume it."""
        if awaited is not None and not self.dead:
            asyncio.ensure_future(awaited).add_done_callback(self._resume)


_place = local()


def here() -> Strand | None:
    """The strand that runs, or for which this thread works; None elsewhere."""
    current = getcurrent()
    if isinstance(current, Strand):
        return current
    return getattr(_place, "strand", None)


def ident() -> int:
    """As `threading.get_ident`, of the strand if one runs."""
    return getattr(getcurrent(), "ident", 0) or get_ident()


def worker() -> int:
    """As `ident`, of the strand whose handler this is in, or has been begun by."""
    strand = here()
    return get_ident() if strand is None else strand.worker


def suspend(awaited: Any) -> Any:
    """Have the loop go on until something is there; gives what that gives."""
    hub = getcurrent().parent
    assert hub is not None
    link, request = HERE.link, HERE.request
    HERE.link = HERE.request = None
    try:
        return hub.switch(awaited)
    finally:
        HERE.link, HERE.request = link, request


async def drive(strand: Strand, cancelled: Callable[[], object] | None = None) -> Any:
    """Run a strand to its end, on behalf of the task that awaits this.

    Where the task is cancelled, `cancelled` is called before the strand is told.
    """
    hub = getcurrent()
    strand.parent, strand.gr_context = hub, hub.gr_context
    awaited = strand.switch()
    while not strand.dead:
        try:
            value = await awaited
        except GeneratorExit:  # the loop is gone
            while not strand.dead:
                strand.throw(GreenletExit)
            raise
        except BaseException as error:
            if cancelled is not None and isinstance(error, asyncio.CancelledError):
                cancelled()
            awaited = strand.throw(error)
        else:
            awaited = strand.switch(value)
    return awaited


class ThreadWait:
    """What a thread waits by that is not the loop's; as an `asyncio.Future`."""

    def __init__(self) -> None:
        self._queue: SimpleQueue[bool] = SimpleQueue()
        self.done = lambda: False
        self.set_result = self._queue.put

    def wait(self, timeout: float | None) -> bool:
        """Wait until there is a result; False when time is up."""
        try:
            return self._queue.get(timeout=timeout)
        except Empty:
            return False


def settle(waiter: Any, value: Any = True) -> None:
    """Give a waiter its result, unless it has one; on the loop's thread."""
    if not waiter.done():
        waiter.set_result(value)


class Begun:
    """A strand that was begun beside the caller; see `network.runtime.Running`."""

    def __init__(self, ident: int, over: Any) -> None:
        self.ident = ident
        self._over = over

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end; not for one's own."""
        if ident() != self.ident:
            self._over.wait(timeout)


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
        """Have the threads end when they are done."""
        for _ in range(self._threads):
            self._calls.put(None)
        self._threads = 0


class Stop(Exception):
    """A generator has ended, with a value."""


def on_behalf_of(strand: Strand, call: Callable[..., Any], *args: Any) -> Callable[[], Any]:
    """What a thread calls on behalf of a strand, with its context variables."""
    link, request = HERE.link, HERE.request
    context: Context = copy_context()

    def run() -> Any:
        _place.strand, HERE.link, HERE.request = strand, link, request
        try:
            return context.run(call, *args)
        finally:
            _place.strand = HERE.link = HERE.request = None

    return run
