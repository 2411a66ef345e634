"""The runtime of an event loop: what `network.runtime` has for threads.

All of it may be used by the loop's own thread and by others: what wakes somebody does so at once on
the loop's thread, and by way of the loop on another. What would wait on the loop's thread outside
a strand raises RuntimeError instead of holding up the loop.
"""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections import deque
from collections.abc import Callable, Coroutine, Iterator
from contextvars import Context, copy_context
from functools import partial
from threading import get_ident
from typing import Any

from greenlet import GreenletExit, getcurrent

from pynetdicom.aio.pools import Pool
from pynetdicom.aio.sockets import LoopSelector, LoopWaker, LoopWatch
from pynetdicom.aio.strands import (
    Begun,
    Idle,
    Strand,
    ThreadWait,
    Turn,
    drive,
    here,
    ident,
    inhabit,
    new_ident,
    on_behalf_of,
    settle,
    suspend,
    worker,
)
from pynetdicom.aio.waits import LoopHold, LoopQueue, Timers
from pynetdicom.network import threads, waking
from pynetdicom.network.latch import Latch
from pynetdicom.network.runtime import Runtime

STOPS = (asyncio.CancelledError, GreenletExit)
"""What ends a strand that is not wanted any more, as when its loop is shut down."""

_TURNS = 100
_STRETCH = 0.02
"""Seconds that all who would go on and on may do so before the loop looks for others."""

_MOST_FOR_FILES = 4
_MOST_FOR_HANDLERS = 128


class LoopRuntime(Runtime):
    """What waits, and what runs, in an event loop.

    Attributes
    ----------
    loop : asyncio.AbstractEventLoop
    thread : int
        The loop's.
    living : set
        The servers and associations that have not ended; when the last one has, the threads end.
    """

    def __init__(self, loop: asyncio.AbstractEventLoop) -> None:
        super().__init__(
            queue=partial(LoopQueue, self),
            latch=partial(Latch, partial(LoopQueue, self)),
            hold=partial(LoopHold, self),
            ident=ident,
            worker=worker,
            start=self.begin,
            waker=partial(LoopWaker, self),
            watch=partial(LoopWatch, self),
            selector=partial(LoopSelector, self),
            wait_for=self.wait_for_socket,
            aside=self.aside_to_files,
            stops=STOPS,
            reads_ahead=True,
        )
        self.loop = loop
        self.thread = get_ident()
        self.living: set[object] = set()
        self._tasks: set[asyncio.Task[Any]] = set()
        self._idle = Idle()
        self._turns: deque[Turn] = deque()
        self._takes_turns = False
        # When a strand that sends lets others have a turn, and how many strands do.
        self._stretch_over = 0.0
        self._giving_way = 0
        self._timers = Timers(loop)
        self._files = Pool(loop, "pynetdicom-files", _MOST_FOR_FILES, threads.start)
        self._handlers = Pool(loop, "pynetdicom-handlers", _MOST_FOR_HANDLERS, threads.start)

    @property
    def is_here(self) -> bool:
        """Whether this is the loop's thread."""
        return get_ident() == self.thread

    # Living

    def lives(self, one: object) -> None:
        """Take note of a server or an association that begins."""
        _runtimes[self.loop] = self
        self.living.add(one)

    def lives_no_more(self, one: object) -> None:
        """Take note that it has ended."""
        self.living.discard(one)
        if not self.living:
            _runtimes.pop(self.loop, None)
            self.end_threads()
            self._timers.close()
            self._idle.close()

    def end_threads(self) -> None:
        """Have its threads end when they are done."""
        self._files.close()
        self._handlers.close()

    @contextlib.contextmanager
    def in_use(self) -> Iterator[None]:
        """Have it be that of its loop meanwhile, though nothing lives yet."""
        me = object()
        self.lives(me)
        try:
            yield
        finally:
            self.lives_no_more(me)

    def strand(self, call: Callable[[], Any], ident: int = 0, *, is_own: bool = False) -> Strand:
        """Give a strand that is about to run a call."""
        strand = self._idle.take()
        strand.take(call, ident, is_own=is_own)
        return strand

    def run(
        self,
        call: Callable[[], Any],
        ident: int = 0,
        cancelled: Callable[[int], object] | None = None,
    ) -> Coroutine[Any, Any, Any]:
        """Run a call on behalf of the task that awaits this.

        Where that is cancelled, `cancelled` is called with the strand's ident before the strand is
        told.
        """
        return drive(self.strand(call, ident), cancelled)

    # Turns

    def _add_turn(self, turn: Turn) -> None:
        self._turns.append(turn)
        if not self._takes_turns:
            self._takes_turns = True
            self.soon(self._take_turns)

    def _take_turns(self) -> None:
        """Have those go on that were woken; in a callback of the loop."""
        turns = self._turns
        try:
            for _ in range(_TURNS):
                if not turns:
                    break
                turns.popleft().take()
        finally:
            self._takes_turns = bool(turns)
            if turns:  # the loop has other things to do as well
                self.loop.call_soon(self._take_turns)

    def step(self, strand: Strand, value: Any) -> None:
        """Have a strand go on at once, and those that it wakes; in a callback of the loop."""
        if self._takes_turns:
            strand.step(value)
            return
        self._takes_turns = True
        try:
            strand.step(value)
        finally:
            self._take_turns()

    def give_way(self) -> None:
        """Let the loop have a turn, if it has had none for long; in whatever sends or goes on."""
        if time.monotonic() < self._stretch_over or not isinstance(getcurrent(), Strand):
            return
        waiter = self.waiter()
        self.loop.call_soon(settle, waiter)
        self._giving_way += 1
        try:
            self.park(waiter, None)
        finally:
            self._giving_way -= 1
            # Those that give way as well have their part of it in the same turn of the loop.
            self._stretch_over = time.monotonic() + _STRETCH / (1 + self._giving_way)

    # Waiting

    def waiter(self) -> Any:
        """What is waited by, here: see `park`.

        Raises
        ------
        RuntimeError
            The event loop would be held up.
        """
        strand = getcurrent()
        if isinstance(strand, Strand):
            return Turn(strand, self._add_turn) if strand.is_stepped else self.loop.create_future()
        if get_ident() == self.thread:
            raise RuntimeError("this would hold up the event loop: await it")
        return ThreadWait()

    def park(self, waiter: Any, timeout: float | None) -> bool:
        """Wait until a waiter is woken, and give what with; False when time is up."""
        if isinstance(waiter, ThreadWait):
            return waiter.wait(timeout)
        if timeout is not None:
            self._timers.add(timeout, waiter)
        return bool(suspend(None if type(waiter) is Turn else waiter))

    def wake(self, waiter: Any, value: Any = True) -> None:
        """Have whoever waits go on, with a value; from any thread."""
        if get_ident() == self.thread or isinstance(waiter, ThreadWait):
            with contextlib.suppress(RuntimeError):  # the loop is closed
                settle(waiter, value)
        else:
            self.soon(settle, waiter, value)

    def soon(self, call: Callable[..., object], *args: Any) -> None:
        """Have the loop call something; from any thread, and to no effect once it is closed."""
        with contextlib.suppress(RuntimeError):
            if get_ident() == self.thread:
                self.loop.call_soon(call, *args)
            else:
                self.loop.call_soon_threadsafe(call, *args)

    def wait_for_socket(
        self, fd: int, timeout: float | None, *, write: bool = False, waker: Any = None
    ) -> bool:
        """As `network.waking.wait_for`."""
        if not self.is_here:
            return waking.wait_for(fd, timeout, write=write)
        waiter = self.waiter()
        loop = self.loop
        if waker is not None and waker.is_set_for(waiter):
            return False
        (loop.add_writer if write else loop.add_reader)(fd, settle, waiter)
        try:
            return self.park(waiter, timeout)
        finally:
            (loop.remove_writer if write else loop.remove_reader)(fd)
            if waker is not None:
                waker.is_set_for(None)

    # Running

    def begin(
        self,
        name: str,
        call: Callable[[], Any],
        *,
        failed: Callable[[], Any] | None = None,
        context: Context | None = None,
        never: Callable[[], Any] | None = None,
    ) -> Begun:
        """As `network.threads.start`: have something called as a task of its own.

        Where that is cancelled before it has begun, `never` is called instead.
        """
        run = threads.guarded(name, _unless_stopped(call), failed)
        return self._begin(name, run, context, partial(self._begin_task, never))

    def begin_reader(self, name: str, call: Callable[[], Any], context: Context) -> Begun:
        """As `begin`, of what waits for sockets; callbacks of the loop resume it."""
        run = threads.guarded(name, _unless_stopped(call))
        return self._begin(name, run, context, self._begin_strand)

    def _begin(
        self,
        name: str,
        call: Callable[[], Any],
        context: Context | None,
        how: Callable[..., None],
    ) -> Begun:
        over = self.latch()
        begun = Begun(new_ident(), over)
        given = (name, call, begun, over, context or copy_context())
        if self.is_here:
            how(*given)
        else:
            self.soon(how, *given)
        return begun

    def _begin_task(
        self,
        never: Callable[[], Any] | None,
        name: str,
        call: Callable[[], Any],
        begun: Begun,
        over: Latch,
        context: Context,
    ) -> None:
        not_begun = [never]

        async def run() -> None:
            not_begun.clear()
            await inhabit(self.strand(call, begun.ident, is_own=True))

        # Not by the loop's factory, which may begin it at once, in the strand that asks for it.
        task = asyncio.Task(run(), loop=self.loop, name=name, context=context)
        begun.task = task
        self._tasks.add(task)
        task.add_done_callback(partial(self._task_ended, over, not_begun))

    def _task_ended(self, over: Latch, not_begun: list[Any], task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        over.set()
        for never in not_begun:
            if never is not None:
                never()
        if not task.cancelled():
            task.exception()

    def _begin_strand(
        self, name: str, call: Callable[[], Any], begun: Begun, over: Latch, context: Context
    ) -> None:
        def run() -> None:
            try:
                call()
            finally:
                begun.strand = None  # which is another's after that
                over.set()

        begun.strand = strand = self.strand(run, begun.ident, is_own=True)
        strand.gr_context = context
        strand.is_stepped = True
        self.loop.call_soon(self._begin_to_step, strand)

    def _begin_to_step(self, strand: Strand) -> None:
        strand.enter()
        self.step(strand, None)

    # Beside the loop

    def aside_to_files(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call what reads or writes files, on a thread; see `Runtime.aside`."""
        return self._aside(self._files, call, *args)

    def aside_to_handlers(self, call: Callable[..., Any], *args: Any) -> Any:
        """Call a plain handler, on a thread."""
        return self._aside(self._handlers, call, *args)

    def _aside(self, pool: Pool, call: Callable[..., Any], *args: Any) -> Any:
        strand = here()
        if strand is None or not self.is_here:
            return call(*args)
        job = pool.call(on_behalf_of(strand, call, *args))
        interrupted: BaseException | None = None
        while not job.is_done:
            # A file is used until the thread is done with it, whatever comes meanwhile.
            job.waiter = self.waiter()
            try:
                self.park(job.waiter, None)
            except BaseException as error:
                if pool is self._handlers:  # which may never return
                    raise
                interrupted = error
        if not self.living:  # its threads were begun for what outlives the last association
            pool.close()
        if interrupted is not None:
            raise interrupted
        return job.outcome()

    def await_here(self, awaitable: Any) -> Any:
        """Wait, in a strand or on a thread, for what coroutines await."""
        if self.is_here:
            return suspend(awaitable)
        return asyncio.run_coroutine_threadsafe(_of(awaitable), self.loop).result()


def _unless_stopped(call: Callable[[], Any]) -> Callable[[], None]:
    def run() -> None:
        with contextlib.suppress(*STOPS):
            call()

    return run


async def _of(awaitable: Any) -> Any:
    return await awaitable


_runtimes: dict[asyncio.AbstractEventLoop, LoopRuntime] = {}
"""Those of loops in which something lives."""


def runtime_here() -> LoopRuntime:
    """The runtime of the running loop.

    Raises
    ------
    RuntimeError
        No loop is running, or it cannot wait for sockets.
    """
    loop = asyncio.get_running_loop()
    runtime = _runtimes.get(loop)
    if runtime is None:
        for one in list(_runtimes):
            if one.is_closed():  # with what lived in it
                _runtimes.pop(one).end_threads()
        _check(loop)
        runtime = LoopRuntime(loop)
    return runtime


def _check(loop: asyncio.AbstractEventLoop) -> None:
    """Raise RuntimeError for a loop that cannot tell when a socket is readable."""
    proactor = getattr(asyncio, "ProactorEventLoop", None)
    if proactor is not None and isinstance(loop, proactor):
        raise RuntimeError(
            "pynetdicom.aio needs an event loop that waits for sockets, which the proactor loop of"
            " Windows does not: run it with asyncio.SelectorEventLoop, as by"
            " asyncio.Runner(loop_factory=asyncio.SelectorEventLoop)"
        )
