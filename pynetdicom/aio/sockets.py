"""Waiting for sockets in an event loop: what `network.waking` has for threads."""

from __future__ import annotations

import contextlib
import select
import selectors
from collections.abc import Iterator, Mapping
from typing import Any, Protocol

from greenlet import getcurrent

from pynetdicom.aio.strands import Strand, settle, suspend
from pynetdicom.network.waking import Waker, Watch


class Wakes(Protocol):
    """The runtime."""

    loop: Any

    def wake(self, waiter: Any, value: Any = True) -> None: ...
    def soon(self, call: Any, *args: Any) -> None: ...
    def step(self, strand: Strand, value: Any) -> None: ...


class LoopWaker(Waker):
    """Something a strand can wait for beside its socket; see `Waker`.

    Parameters
    ----------
    runtime : LoopRuntime
    """

    def __init__(self, runtime: Wakes) -> None:
        self._runtime = runtime
        self._is_set = False
        self._waiter: Any = None

    def is_set_for(self, waiter: Any) -> bool:
        """Whether it is set; if it is not, the waiter is woken when it is."""
        self._waiter = waiter
        return self._is_set

    def set(self) -> None:
        """Wake the strand that waits."""
        self._is_set = True
        waiter = self._waiter
        if waiter is not None:
            self._runtime.wake(waiter, False)

    def clear(self) -> None:
        """Forget that it was set."""
        self._is_set = False

    def close(self) -> None:
        """Do nothing: it has no descriptors."""


class _Resumed:
    """A strand that waits, and is resumed by callbacks of the loop."""

    def __init__(self, runtime: Wakes) -> None:
        self._runtime = runtime
        # Who waits: a strand that callbacks step, or the future of one that is a task's.
        self._waits: Any = None

    def _wait(self, timeout: float | None) -> Any:
        """Wait until `_go_on`, and give what that was given; False when time is up."""
        strand = getcurrent()
        loop = self._runtime.loop
        assert isinstance(strand, Strand)
        self._waits = waits = strand if strand.is_stepped else loop.create_future()
        timer = None if timeout is None else loop.call_later(max(0.0, timeout), self._go_on, False)
        try:
            return suspend(None if strand.is_stepped else waits)
        finally:
            self._waits = None
            if timer is not None:
                timer.cancel()

    def _go_on(self, value: Any) -> None:
        """Have the strand go on, if it waits; in a callback of the loop."""
        waits, self._waits = self._waits, None
        if isinstance(waits, Strand):
            self._runtime.step(waits, value)
        elif waits is not None:
            settle(waits, value)


class LoopWatch(_Resumed, Watch):
    """What reads a connection waits by; see `Watch`.

    Parameters
    ----------
    runtime : LoopRuntime
    fd : int
        The connection's.
    """

    def __init__(self, runtime: Wakes, fd: int) -> None:
        super().__init__(runtime)
        self._fd = fd
        self._is_set = self._listens = False

    def wait(self, timeout: float | None, *, end_only: bool = False) -> bool:
        """As `Watch.wait`."""
        if self._is_set:
            self._is_set = False
            return False
        if end_only:
            self._listen_no_more()
            with self._end_watched():
                return self._ready(timeout)
        if not self._listens:
            self._runtime.loop.add_reader(self._fd, self._readable)
            self._listens = True
        return self._ready(timeout)

    def _ready(self, timeout: float | None) -> bool:
        ready = bool(self._wait(timeout))
        if not ready:
            self._is_set = False
        return ready

    @contextlib.contextmanager
    def _end_watched(self) -> Iterator[None]:
        """Have it go on meanwhile when the peer hangs up, where the system can tell."""
        if not hasattr(select, "EPOLLRDHUP"):
            yield
            return
        # What the loop asks for is what there is to read. So it asks another one, which is readable
        # when that has something to tell.
        loop = self._runtime.loop
        with select.epoll() as poll:
            poll.register(self._fd, select.EPOLLRDHUP)
            loop.add_reader(poll.fileno(), self._go_on, True)
            try:
                yield
            finally:
                loop.remove_reader(poll.fileno())

    def _readable(self) -> None:
        if self._waits is None:  # it is at something else, and would be told over and over
            self._listen_no_more()
        else:
            self._go_on(True)

    def _listen_no_more(self) -> None:
        if self._listens:
            self._listens = False
            self._runtime.loop.remove_reader(self._fd)

    def set(self) -> None:
        """Wake it, from any thread."""
        if not self._is_set:
            self._is_set = True
            self._runtime.soon(self._go_on, False)

    def clear(self) -> None:
        """Forget that it was woken."""
        self._is_set = False

    def close(self) -> None:
        """Listen no more."""
        self._listen_no_more()

    def __del__(self) -> None:
        """Do nothing: it has no descriptors."""


class LoopSelector(_Resumed, selectors.BaseSelector):
    """What a lobby waits by, as a selector.

    Parameters
    ----------
    runtime : LoopRuntime
    """

    def __init__(self, runtime: Wakes) -> None:
        super().__init__(runtime)
        self._keys: dict[int, selectors.SelectorKey] = {}
        self._ready: dict[int, None] = {}

    def register(self, fileobj: Any, events: int, data: Any = None) -> selectors.SelectorKey:
        """As other selectors; for reading."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        if fd in self._keys:
            raise KeyError(f"{fileobj!r} is registered already")
        self._runtime.loop.add_reader(fd, self._readable, fd)
        key = self._keys[fd] = selectors.SelectorKey(fileobj, fd, events, data)
        return key

    def unregister(self, fileobj: Any) -> selectors.SelectorKey:
        """As other selectors."""
        fd = fileobj if isinstance(fileobj, int) else fileobj.fileno()
        key = self._keys.pop(fd)
        self._runtime.loop.remove_reader(fd)
        self._ready.pop(fd, None)
        return key

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        """As other selectors."""
        if not self._ready:
            self._wait(timeout)
        ready, self._ready = self._ready, {}
        return [(self._keys[fd], selectors.EVENT_READ) for fd in ready if fd in self._keys]

    def _readable(self, fd: int) -> None:
        self._ready[fd] = None
        self._go_on(True)

    def close(self) -> None:
        """Listen to none of them any more."""
        for fd in list(self._keys):
            self._keys.pop(fd)
            self._runtime.loop.remove_reader(fd)

    def get_map(self) -> Mapping[Any, selectors.SelectorKey]:
        """As other selectors."""
        return {key.fileobj: key for key in self._keys.values()}
