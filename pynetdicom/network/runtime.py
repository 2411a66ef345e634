"""What an association is run by: what waits in it, and what runs beside the caller.

For most that is threads. `pynetdicom.aio` has another runtime, for those that live in an event
loop: what would be a thread is something there that the loop runs by turns, so that where a thread
would wait the loop goes on. Whatever waits, excludes others or begins something beside the caller
asks its runtime for it, and does not know which it is.
"""

from __future__ import annotations

import selectors
from collections.abc import Callable
from queue import SimpleQueue
from threading import get_ident
from typing import Any, Protocol

from pynetdicom.network import threads
from pynetdicom.network.latch import Hold, Latch
from pynetdicom.network.waking import Waker, Watch, wait_for


class Queue(Protocol):
    """As a `queue.SimpleQueue`."""

    def put(self, item: Any, /) -> None: ...
    def get(self, block: bool = True, timeout: float | None = None) -> Any: ...
    def get_nowait(self) -> Any: ...
    def empty(self) -> bool: ...
    def qsize(self) -> int: ...


class Running(Protocol):
    """What was started: a thread, for most."""

    @property
    def ident(self) -> int | None: ...
    def is_alive(self) -> bool: ...
    def join(self, timeout: float | None = None) -> None: ...


class Start(Protocol):
    """As `network.threads.start`."""

    def __call__(
        self, name: str, call: Callable[[], Any], *, failed: Callable[[], Any] | None = None
    ) -> Running: ...


def _selector() -> selectors.BaseSelector:
    return selectors.DefaultSelector()


def _at_once(call: Callable[..., Any], *args: Any) -> Any:
    return call(*args)


class Runtime:
    """What waits, and what runs; each is a callable, with the signature of the one for threads.

    Attributes
    ----------
    queue, latch, hold : callable
        Make a queue, a `Latch`, a `Hold`.
    ident : callable
        Which thread this is.
    worker : callable
        The same, but in what a handler begins: whose handler it is.
    start : callable
        Has something called beside the caller.
    waker, watch, selector, wait_for : callable
        For waiting for sockets.
    aside : callable
        Calls what reads or writes files, where that holds nothing up.
    stops : tuple of type
        What is raised in what runs when it is not wanted any more.
    reads_ahead : bool
        Whether a small file is better read at once: each call of `aside` takes its time.
    """

    def __init__(
        self,
        queue: Callable[[], Queue] = SimpleQueue,
        latch: Callable[[], Latch] = Latch,
        hold: Callable[..., Hold] = Hold,
        ident: Callable[[], int] = get_ident,
        worker: Callable[[], int] = get_ident,
        start: Start = threads.start,
        waker: Callable[[], Waker] = Waker,
        watch: Callable[[int], Watch] = Watch,
        selector: Callable[[], selectors.BaseSelector] = _selector,
        wait_for: Callable[..., bool] = wait_for,
        aside: Callable[..., Any] = _at_once,
        stops: tuple[type[BaseException], ...] = (),
        reads_ahead: bool = False,
    ) -> None:
        self.queue = queue
        self.latch = latch
        self.hold = hold
        self.ident = ident
        self.worker = worker
        self.start = start
        self.waker = waker
        self.watch = watch
        self.selector = selector
        self.wait_for = wait_for
        self.aside = aside
        self.stops = stops
        self.reads_ahead = reads_ahead


THREADS = Runtime()
