"""What has to be told to others, and is tried again, later and later, until it has been."""

from __future__ import annotations

import heapq
import logging
import threading
import time
from collections.abc import Callable, Hashable, Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom import raised
from pynetdicom.network import threads
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.presentation import build_context, build_role

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association

LOGGER = logging.getLogger("pynetdicom.workflows")

DELAYS = (1.0, 5.0, 30.0, 120.0, 600.0, 3600.0)
"""Seconds after a failed attempt; the last one for all further attempts."""


class Delivery:
    """Attempts to deliver, by a few threads of its own; for any thread.

    One condition: taken by whoever puts or takes, for no longer than that.

    Parameters
    ----------
    attempt : callable
        ``attempt(key)`` delivers, and says whether that is done; what it raises is logged, and it
        was not.
    name : str
        What its threads are called.
    delays : sequence of float
        See `DELAYS`.
    workers : int
        How many attempts there are at a time, so that one slow peer does not hold up the others.
    """

    def __init__(
        self,
        attempt: Callable[[Any], bool],
        name: str,
        delays: Sequence[float] = DELAYS,
        workers: int = 4,
    ) -> None:
        self._attempt = attempt
        self._delays = delays
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Hashable]] = []
        self._failures: dict[Hashable, int] = {}
        self._hastened: set[Hashable] = set()
        self._count = 0
        self._is_closed = False
        self._threads = [threads.start(f"{name}-{n}", self._work) for n in range(workers)]

    def put(self, key: Hashable, delay: float = 0.0) -> None:
        """Have something delivered, as soon as may be after so many seconds."""
        with self._changed:
            self._push(key, delay)

    def _push(self, key: Hashable, delay: float) -> None:
        self._count += 1  # those of the same time are in order
        heapq.heappush(self._due, (time.monotonic() + delay, self._count, key))
        self._changed.notify()

    def hasten(self, key: Hashable) -> None:
        """Try at once what waits to be tried again, or is being tried, in vain."""
        with self._changed:
            self._hastened.add(key)
            self._due = [(0.0 if k == key else at, count, k) for at, count, k in self._due]
            heapq.heapify(self._due)
            self._changed.notify()

    def close(self, timeout: float | None = None) -> bool:
        """Begin no more attempts, and wait for those under way, so long; what is left is left.

        Returns
        -------
        bool
            Whether its threads have ended.
        """
        with self._changed:
            self._is_closed = True
            self._changed.notify_all()
        deadline = after(timeout)
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(remaining(deadline))
        return not any(thread.is_alive() for thread in self._threads)

    def _next(self) -> Any:
        """Wait for what is due; None when it is closed."""
        with self._changed:
            while not self._is_closed:
                wait = self._due[0][0] - time.monotonic() if self._due else None
                if wait is not None and wait <= 0:
                    key = heapq.heappop(self._due)[2]
                    self._hastened.discard(key)
                    return key
                self._changed.wait(None if wait is None else min(wait, threading.TIMEOUT_MAX))
            return None

    def _work(self) -> None:
        while (key := self._next()) is not None:
            try:
                is_done = self._attempt(key)
            except Exception as error:
                is_done = False
                raised.log(LOGGER, "an attempt to deliver failed:", error)
            if is_done:
                self._failures.pop(key, None)
                continue
            failures = self._failures[key] = self._failures.get(key, 0) + 1
            delay = self._delays[min(failures, len(self._delays)) - 1]
            with self._changed:
                # What has changed since this attempt began may be what it lacked.
                self._push(key, 0.0 if key in self._hastened else delay)


def associated(
    ae: ApplicationEntity, ae_title: str, target: Sequence[Any], sop_class: str
) -> Association:
    """Request an association with who is to be told, as SCP of a SOP Class.

    `target` is what the application's ``where`` has given: ``(addr, port)``, or with keyword
    arguments of `AE.associate`, which come before ours.
    """
    addr, port, *options = target
    ours: dict[str, Any] = {
        "ae_title": ae_title,
        "contexts": [build_context(sop_class)],
        "ext_neg": [build_role(sop_class, scp_role=True)],
    }
    return ae.associate(addr, port, **(ours | (options[0] if options else {})))
