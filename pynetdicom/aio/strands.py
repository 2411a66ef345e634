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


class Idle:
    """Strands that have nothing to run.

    One that is suspended for good would stay, since it holds itself: so each of them is ended.
    """

    def __init__(self) -> None:
        self._strands: list[Strand] = []
        self._kept = 0
        self._most = _MOST_IDLE

    def take(self) -> Strand:
        """Give one of them, or a new one."""
        if not self._strands:
            return Strand(self)
        self._kept -= 1
        return self._strands.pop()

    def keeps(self) -> bool:
        """Whether another one is kept, which is added when its outcome was taken."""
        if self._kept >= self._most:
            return False
        self._kept += 1
        return True

    def add(self, strand: Strand) -> None:
        """Add one that is kept."""
        strand.gr_context = None
        self._strands.append(strand)
        if not self._most:
            self.close()

    def close(self) -> None:
        """End them, and keep none any more."""
        self._most = 0
        while self._strands:
            self._kept -= 1
            strand = self._strands.pop()
            strand.parent = getcurrent()
            strand.throw(GreenletExit)


_MOST_IDLE = 64


class Strand(greenlet):
    """Runs calls that may be suspended, one after the other.

    A new greenlet takes as long as all the rest of a short call, so that they are used again.

    Attributes
    ----------
    ident : int
        As a thread's, of the call.
    worker : int
        That of the strand whose handler has begun the call; its own, if none has.
    running : list of Entry
        The handlers that it runs, the innermost last.
    is_over : bool
        Whether the call has ended, with a `result` or a `problem`.
    is_stepped : bool
        Whether the loop's callbacks resume it, and not the task that has called.
    turn : Turn or None
        What it waits for, if it is stepped.
    home : asyncio.Future or None
        By which the task waits that the strand has for what has to be awaited, if it has one.
    """

    ident = worker = 0
    hub: greenlet
    is_stepped = False
    turn: Turn | None = None
    home: asyncio.Future[Any] | None = None

    def __init__(self, idle: Idle) -> None:
        super().__init__()
        self._idle = idle

    def take(self, call: Callable[[], Any], ident: int = 0, *, is_own: bool = False) -> None:
        """Have it run a call, from the next switch on; `is_own` where no handler waits for it."""
        self.call = call
        self.ident = self.worker = ident or new_ident()
        self.running: list[Entry] = []
        self.is_over = False
        self.result: Any = None
        self.problem: BaseException | None = None
        handling = None if is_own else HANDLING.get()
        # A task that a handler has begun may outlive it.
        if handling is not None and any(entry is handling[1] for entry in handling[0].running):
            self.worker = handling[0].worker
            self.running = list(handling[0].running)

    def run(self, *_: object) -> None:
        """Run the calls."""
        while True:
            try:
                self.result = self.call()
            except BaseException as error:
                self.problem = error
            del self.call
            # What a thread would take with it.
            HERE.link = HERE.request = None
            self.is_over = True
            if not self._idle.keeps():
                return
            self.hub.switch()

    def outcome(self) -> Any:
        """What the call has given, or what it has raised."""
        error, result = self.problem, self.result
        self.problem = self.result = self.home = self.turn = None
        self.is_stepped = False
        if not self.dead:
            self._idle.add(self)
        if error is not None:
            try:
                raise error
            finally:
                del error  # or else its traceback would hold this frame, and this it
        return result

    def enter(self) -> None:
        """Be run by the greenlet that is about to switch to it, with its context variables."""
        self.parent = self.hub = getcurrent()

    def step(self, value: Any = None) -> None:
        """Go on until it waits again; in a callback of the loop."""
        self._wait_for(self.switch(value))

    def _wait_for(self, awaited: Any) -> None:
        """Have something awaited that it waits for, if it is for that."""
        home = self.home
        if home is not None:
            if (awaited is not None or self.is_over) and not home.done():
                home.set_result(awaited)
        elif self.is_over:
            self.outcome()
        elif awaited is not None:
            if not asyncio.isfuture(awaited):
                context = self.gr_context
                copy = None if context is None else context.copy()
                awaited = asyncio.get_running_loop().create_task(awaited, context=copy)
            awaited.add_done_callback(self._resume)

    def _resume(self, future: asyncio.Future[Any]) -> None:
        if future.cancelled():
            self._wait_for(self.throw(asyncio.CancelledError()))
        elif (error := future.exception()) is not None:
            self._wait_for(self.throw(error))
        else:
            self.step(future.result())


class Turn:
    """What a strand waits by that is stepped; as an `asyncio.Future`."""

    __slots__ = ("_turns", "is_done", "strand", "value")

    def __init__(self, strand: Strand, turns: Callable[[Turn], object]) -> None:
        self.strand = strand
        self.is_done = False
        self.value: Any = None
        self._turns = turns
        strand.turn = self

    def done(self) -> bool:
        """Whether it has its result."""
        return self.is_done

    def set_result(self, value: Any) -> None:
        """Have the strand go on, when it is its turn."""
        self.is_done, self.value = True, value
        self._turns(self)

    def take(self) -> None:
        """Have the strand go on, if this is still what it waits for."""
        strand = self.strand
        if strand.turn is self:
            strand.turn = None
            strand.step(self.value)


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
    strand = getcurrent()
    link, request = HERE.link, HERE.request
    HERE.link = HERE.request = None
    try:
        return strand.hub.switch(awaited)  # type: ignore[attr-defined]  # a strand's
    finally:
        HERE.link, HERE.request = link, request


async def drive(strand: Strand, cancelled: Callable[[int], object] | None = None) -> Any:
    """Run a call to its end, on behalf of the task that awaits this.

    Where the task is cancelled, `cancelled` is called with the strand's ident before it is told.
    """
    strand.enter()
    strand.gr_context = strand.hub.gr_context
    awaited = strand.switch()
    while not strand.is_over:
        try:
            value = await awaited
        except GeneratorExit:  # the loop is gone
            _end(strand)
            raise
        except BaseException as error:
            if cancelled is not None and isinstance(error, asyncio.CancelledError):
                cancelled(strand.ident)
            awaited = strand.throw(error)
        else:
            awaited = strand.switch(value)
    return strand.outcome()


async def inhabit(strand: Strand) -> Any:
    """Run a call to its end, in a task of its own.

    Callbacks of the loop resume it, so that the task is woken only for what has to be awaited, such
    as a coroutine, and at the end.
    """
    strand.enter()
    strand.gr_context = strand.hub.gr_context
    strand.is_stepped = True
    awaited = strand.switch()
    while not strand.is_over:
        try:
            if awaited is None:
                strand.home = asyncio.get_running_loop().create_future()
                awaited = await strand.home
                continue
            value = await awaited
        except GeneratorExit:
            _end(strand)
            raise
        except BaseException as error:
            if strand.home is not None and strand.home.done() and not strand.home.cancelled():
                _never_mind(strand.home.result())
            strand.home = strand.turn = None
            awaited = strand.throw(error)
        else:
            strand.home = None
            awaited = strand.switch(value)
    return strand.outcome()


def _never_mind(awaited: Any) -> None:
    """Let go of what is not going to be awaited."""
    close = getattr(awaited, "close", None)
    if close is not None:
        close()


def _end(strand: Strand) -> None:
    """End a strand that nothing will resume any more, whatever it waits for."""
    while not strand.is_over and not strand.dead:
        _never_mind(strand.throw(GreenletExit))


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
        self.task: asyncio.Task[Any] | None = None
        self.strand: Strand | None = None

    def cancel(self) -> None:
        """Cancel its task, if it is one; on the loop's thread."""
        if self.task is not None:
            self.task.cancel()

    def end(self) -> None:
        """End its strand at once, if it is no task; in another strand of the loop."""
        strand = self.strand
        if strand is not None and self.is_alive():
            strand.enter()
            _end(strand)
            strand.outcome()

    def is_alive(self) -> bool:
        """Whether it has not ended."""
        return not self._over.is_set()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end; not for one's own."""
        if ident() != self.ident:
            self._over.wait(timeout)


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
