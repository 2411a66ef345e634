"""Waiting for sockets, and being woken meanwhile."""

from __future__ import annotations

import contextlib
import select
import socket
from collections.abc import Callable
from typing import Any

from pynetdicom.network.deadlines import after, stretch, wait_until


class Shared:
    """Sockets that any thread may use in the midst of anything, and one thread closes.

    It takes no lock, so that the handler of a signal may use them. The descriptors must not be
    somebody else's by the time that a thread uses them: a thread that finds another one at that
    leaves closing them to it. A set's own operations are atomic.
    """

    def __init__(self, *sockets: socket.socket) -> None:
        self._sockets = sockets
        self._is_closed = False
        self._users: set[object] = set()

    def use(self, call: Callable[..., Any], *args: Any) -> None:
        """Call something that uses a socket, unless they are closed; its OSError is no matter."""
        me = object()
        try:
            try:
                self._users.add(me)
                if not self._is_closed:
                    with contextlib.suppress(OSError):
                        call(*args)
            finally:
                self._users.discard(me)
        finally:  # Ctrl-C may come on the way out, too
            self._users.discard(me)
            if self._is_closed:
                self.close()

    def close(self) -> None:
        """Give the descriptors back. Nobody may be waiting for them."""
        self._is_closed = True
        if not self._users:
            for sock in self._sockets:
                sock.close()


class Waker(Shared):
    """Something a thread can wait for beside its socket, which any thread can set.

    A pair of sockets: on Windows nothing else can be waited for together with a socket.
    """

    def __init__(self) -> None:
        self._read, self._write = socket.socketpair()
        super().__init__(self._read, self._write)
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        return self._read.fileno()

    def set(self) -> None:
        """Wake the thread that waits."""
        self.use(self._write.send, b".")  # it may be set many times over

    def clear(self) -> None:
        """Forget that it was set."""
        with contextlib.suppress(OSError):
            self._read.recv(4096)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it could not be made
            self.close()


def wait_for(
    fd: int, timeout: float | None, *, write: bool = False, waker: Waker | None = None
) -> bool:
    """Wait until a socket is readable or writable; False when time is up or `waker` was set."""
    wait = _wait_by_poll if hasattr(select, "poll") else _wait_by_select
    ready = wait_until(
        lambda seconds: wait(fd, seconds, write, None if waker is None else waker.fileno()),
        after(timeout),
    )
    return fd in ready


def _wait_by_poll(fd: int, timeout: float | None, write: bool, waker: int | None) -> list[int]:
    """Wait for a socket, and for a waker's to be readable; which of them are ready."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT if write else select.POLLIN)
    if waker is not None:
        poll.register(waker, select.POLLIN)
    return [ready for ready, _ in poll.poll(None if timeout is None else timeout * 1000)]


def _wait_by_select(fd: int, timeout: float | None, write: bool, waker: int | None) -> list[int]:
    """The same where there is only `select`, on Windows."""
    wakers = [] if waker is None else [waker]
    # That connecting has failed is an exceptional condition there; to a reader it would be urgent
    # data, which nobody reads.
    ready = select.select(
        wakers if write else [fd, *wakers], [fd] if write else [], [fd] if write else [], timeout
    )
    return [one for several in ready for one in several]


class Watch:
    """What the DUL thread waits for: its connection, and a word of other threads.

    Parameters
    ----------
    fd : int
        The connection's.
    waker : Waker
    """

    def __init__(self, fd: int, waker: Waker) -> None:
        self._fd = fd
        self._waker: Waker | None = waker
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(waker.fileno(), select.POLLIN)
            self._poll.register(fd, select.POLLIN)
        self._end_only = False

    def wait(self, timeout: float | None, *, end_only: bool = False) -> bool:
        """Wait until there is something to read; False when time is up or the waker was set.

        With `end_only` what there is to read is no reason to wake, but that the peer has hung up,
        where the system can tell the one from the other.
        """
        assert self._waker is not None
        if self._poll is None:
            if end_only:
                wait_for(self._waker.fileno(), timeout)
                ready = False
            else:
                ready = wait_for(self._fd, timeout, waker=self._waker)
            if not ready:
                self._waker.clear()
            return ready
        if end_only is not self._end_only:
            self._end_only = end_only
            events = getattr(select, "POLLRDHUP", 0) if end_only else select.POLLIN
            self._poll.modify(self._fd, events)
        ready = False
        for fd, _ in self._poll.poll(None if timeout is None else (stretch(timeout) or 0.0) * 1000):
            if fd == self._fd:
                ready = True
            else:
                self._waker.clear()
        return ready

    def forget(self) -> None:
        """Let go of the waker: nobody waits any more."""
        self._waker = None
