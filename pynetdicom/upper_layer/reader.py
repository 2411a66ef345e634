"""Who reads the connection of an association: the DUL thread, or a thread that waits.

Waking a thread costs more than all that is done for a small message, so a thread that waits takes
the reader's role if it is free, reads until what it waits for is there, and gives the role back:
always to the DUL thread, never to another waiter. The socket is in an epoll object, one shot at a
time: while somebody has the role it is not armed, and the DUL thread sleeps on. Where there is no
epoll, the DUL thread alone reads.

Races excluded. What a waiter waits for may have come while he was taking the role: he looks again
before he reads. The DUL thread may have been woken just before the role was taken: it finds it
taken and goes back to sleep; the waiter arms the socket after he has given the role back, so
nothing that arrived is forgotten. A waiter who reads is not in his queue: whoever ends the
association, or puts something into that queue, calls `wake`, which takes no lock that it would have
to wait for: it may be called by a finalizer, in the midst of anything.

While reading is paused, the socket is armed for its end only, and nobody takes the role to wait for
something.
"""

from __future__ import annotations

import select
import threading

from pynetdicom.upper_layer.deadlines import stretch
from pynetdicom.upper_layer.transport import Connection, Waker

HAS_EPOLL = hasattr(select, "epoll")

if HAS_EPOLL:
    _ARMED = select.EPOLLIN | select.EPOLLONESHOT
    _PAUSED = select.EPOLLRDHUP | select.EPOLLONESHOT
    _DISARMED = select.EPOLLONESHOT
    _OVER = select.EPOLLRDHUP | select.EPOLLHUP | select.EPOLLERR


class ReaderRole:
    """The reader's role of one connection.

    Parameters
    ----------
    connection : Connection

    Attributes
    ----------
    holder : int
        The thread that has the role, 0 when it is free.
    is_paused : bool
        Whether the DUL thread is to be woken by the connection's end only.
    has_hung_up : bool
        Whether the DUL thread was woken by that.
    """

    def __init__(self, connection: Connection) -> None:
        self._fd = connection.fileno()
        # It knows its owner, so that Ctrl-C between any two steps does not leave the role with
        # nobody.
        self._lock = threading.RLock()
        self._waking = threading.Lock()
        self.holder = 0
        self.is_paused = self.has_hung_up = False
        self._wants_wake = False
        waker = Waker()
        # None once it is closed.
        self._waker: Waker | None = waker
        # The thread that waits in `wait_readable`.
        self._poller = 0
        self._epoll = select.epoll()
        self._epoll.register(self._fd, _ARMED)
        self._poll = select.poll()
        self._poll.register(self._fd, select.POLLIN)
        self._poll.register(waker.fileno(), select.POLLIN)

    def wait(self, timeout: float | None) -> bool:
        """Wait, on the DUL thread, until there is something to read and nobody else reads it.

        True: the role is ours, until `give_back`. False: time is up, or somebody else has it.
        """
        for _, events in self._epoll.poll(stretch(timeout)):
            self.has_hung_up = bool(events & _OVER)
        return self.take()

    def take(self, *, from_dul_thread: bool = False) -> bool:
        """Take the role, if it is free; `from_dul_thread`, and let that sleep meanwhile."""
        ident = threading.get_ident()
        if self.holder == ident or not self._lock.acquire(blocking=False):
            return False
        # While somebody waits still who has it no more, the DUL thread alone may have it.
        if self._waker is None or (from_dul_thread and self._poller):
            self._lock.release()
            return False
        self.holder = ident
        if from_dul_thread:
            self._epoll.modify(self._fd, _DISARMED)
        return True

    def give_back(self, *, wake_dul_thread: bool = False) -> None:
        """Give the role to the DUL thread; wake it if there is something else to do than to read.

        Harmless for a thread that does not have the role.
        """
        ident = threading.get_ident()
        if self.holder == ident:
            self.holder = 0
            waker = self._waker
            if self._poller == ident and waker is not None:  # by a signal's handler
                waker.set()
        try:  # noqa: SIM105  # here and below: on the way of each message, where `suppress` costs more
            self._lock.release()
        except RuntimeError:
            pass  # it is not ours
        armed = _PAUSED if self.is_paused else _ARMED
        # A socket is nearly always writable: whoever waits for that is woken at once.
        self._arm(armed | select.EPOLLOUT if wake_dul_thread else armed)
        if armed == _PAUSED and not self.is_paused:
            self._arm(_ARMED)  # resumed in between

    def _arm(self, events: int) -> None:
        try:  # noqa: SIM105
            self._epoll.modify(self._fd, events)
        except (OSError, ValueError):
            pass  # the DUL thread has closed it meanwhile

    def resume(self) -> None:
        """Have the DUL thread woken by what arrives, from any thread."""
        self.is_paused = False
        self._arm(_ARMED)

    def wait_readable(self, timeout: float | None) -> bool:
        """Wait, as the role's holder, until there is something to read.

        False when time is up or `wake` was called, or when a signal's handler has given the role
        back.
        """
        waker = self._waker  # which is open for as long as somebody waits for it
        if waker is None:
            return False
        ident = self._poller = threading.get_ident()
        try:
            seconds = stretch(timeout)
            events = self._poll.poll(None if seconds is None else max(0.0, seconds) * 1000)
        finally:
            self._poller = 0
        readable = False
        for fd, _ in events:
            if fd == self._fd:
                readable = True
            else:
                waker.clear()
        return readable and self.holder == ident

    def wake(self) -> None:
        """Have the role's holder look whether what he waits for is there.

        He may be the caller, interrupted by a finalizer just before he begins to wait.
        """
        if not self.holder:
            return
        self._wants_wake = True
        # The descriptor must still be ours. Whoever has the lock looks for others when he is done.
        while self._wants_wake and self._waking.acquire(blocking=False):
            try:
                self._wants_wake = False
                if self._waker is not None:
                    self._waker.set()
            finally:
                self._waking.release()

    def close(self) -> None:
        """Give the descriptors back, once whoever reads has noticed that it is over."""
        self.wake()
        with self._lock, self._waking:
            self._epoll.close()
            # Whoever waits for it still, since a signal's handler has given the role back in his
            # thread, has it; it is closed when nobody has.
            waker, self._waker = self._waker, None
        if waker is not None:
            waker.set()
