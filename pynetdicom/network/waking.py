"""Waiting for sockets, and being woken meanwhile."""

from __future__ import annotations

import contextlib
import os
import select
import selectors
import socket
from collections.abc import Callable
from functools import partial
from typing import Any, Protocol

from pynetdicom.data_sets.descriptor import opened
from pynetdicom.network.deadlines import LONGEST, after, wait_until

# Needs no descriptor of its own; on Windows there is only `select`.
_Selector = getattr(selectors, "PollSelector", selectors.SelectSelector)


class _Closable(Protocol):
    def close(self) -> None: ...


class Shared:
    """Descriptors that any thread may use in the midst of anything, and one thread closes.

    It takes no lock, so that the handler of a signal may use them. The descriptors must not be
    somebody else's by the time that a thread uses them: a thread that finds another one at that
    leaves closing them to it. A dict's own operations are atomic.
    """

    def __init__(self, *descriptors: _Closable) -> None:
        self._descriptors = descriptors
        self._is_closed = False
        self._users: dict[object, None] = {}

    def use(self, call: Callable[..., Any], *args: Any) -> None:
        """Call something that uses them, unless they are closed; its OSError is no matter."""
        me = object()
        try:
            try:
                self._users[me] = None
                if not self._is_closed:
                    with contextlib.suppress(OSError):
                        call(*args)
            finally:
                self._users.pop(me, None)
                if self._is_closed:
                    self.close()
        finally:  # Ctrl-C may come on the way out, too, or in the midst of closing
            self._users.pop(me, None)
            if self._is_closed:
                self.close()

    def close(self) -> None:
        """Give the descriptors back. Nobody may be waiting for them."""
        self._is_closed = True
        if not self._users:
            for one in self._descriptors:
                one.close()


class Waker(Shared):
    """Something a thread can wait for beside its socket, which any thread can set.

    Linux has a descriptor for that. Elsewhere it is a pair of sockets: on Windows nothing else can
    be waited for together with a socket.
    """

    def __init__(self) -> None:
        self._put: Callable[[], object]
        self._take: Callable[[], object]
        if hasattr(os, "eventfd"):
            event = opened(os.eventfd, 0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
            super().__init__(event)
            self._fd = event.fd
            self._put = partial(os.eventfd_write, event.fd, 1)
            self._take = partial(os.eventfd_read, event.fd)
        else:
            read, write = socket.socketpair()
            super().__init__(read, write)
            read.setblocking(False)
            write.setblocking(False)
            self._fd = read.fileno()
            self._put = partial(write.send, b".")
            self._take = partial(read.recv, 4096)

    def fileno(self) -> int:
        """Its descriptor, which is readable once it was set; -1 when it is closed."""
        return -1 if self._is_closed else self._fd

    def set(self) -> None:
        """Wake the thread that waits."""
        self.use(self._put)  # it may be set many times over

    def clear(self) -> None:
        """Forget that it was set."""
        self.use(self._take)

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it could not be made
            self.close()


def wait_for(
    fd: int, timeout: float | None, *, write: bool = False, waker: Waker | None = None
) -> bool:
    """Wait until a socket is readable or writable; False when time is up or `waker` was set."""
    with _Selector() as selector:
        selector.register(fd, selectors.EVENT_WRITE if write else selectors.EVENT_READ)
        if waker is not None:
            selector.register(waker, selectors.EVENT_READ)
        ready = wait_until(selector.select, after(timeout))
    return any(key.fd == fd for key, _ in ready)


class Watch(Waker):
    """What the reader waits for: its connection, and a word of other threads.

    Parameters
    ----------
    fd : int
        The connection's.
    """

    def __init__(self, fd: int) -> None:
        super().__init__()
        self._connection = fd
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(self.fileno(), select.POLLIN)
            self._poll.register(fd, select.POLLIN)
        self._end_only = False

    def wait(self, timeout: float | None, *, end_only: bool = False) -> bool:
        """Wait until there is something to read; False when time is up or the waker was set.

        With `end_only` what there is to read is no reason to wake, but that the peer has hung up,
        where the system can tell the one from the other.
        """
        if self._poll is None:
            if end_only:
                wait_for(self.fileno(), timeout)
            elif wait_for(self._connection, timeout, waker=self):
                return True
            self.clear()
            return False
        if end_only is not self._end_only:
            self._end_only = end_only
            events = getattr(select, "POLLRDHUP", 0) if end_only else select.POLLIN
            self._poll.modify(self._connection, events)
        ready = False
        # At a stretch, as by `deadlines.stretch`, which would be a call a message.
        left = None if timeout is None else max(0.0, min(timeout, LONGEST)) * 1000
        for fd, _ in self._poll.poll(left):
            if fd == self._connection:
                ready = True
            else:
                self.clear()
        return ready
