"""Threads of the library's own: what goes wrong on one is logged there, and ends nothing else."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable
from typing import Any

from pynetdicom import raised

LOGGER = logging.getLogger("pynetdicom.dul")


class AtMost:
    """Threads for what need not be done: no more than so many at a time.

    Parameters
    ----------
    most : int
    start : callable
        As the function of that name.
    """

    def __init__(self, most: int, start: Callable[..., Any]) -> None:
        self._most = most
        self._start = start
        # One thing for each of them. A set's own operations are atomic.
        self._running: set[object] = set()

    def __len__(self) -> int:
        return len(self._running)

    def start(self, name: str, call: Callable[[], Any]) -> None:
        """Have `call` called on a thread, unless there are so many.

        Raises
        ------
        RuntimeError
            No thread can be started.
        """
        if len(self._running) >= self._most:
            return
        one = object()

        def run() -> None:
            try:
                call()
            finally:
                self._running.discard(one)

        self._running.add(one)
        try:
            self._start(name, run)
        except BaseException:
            self._running.discard(one)
            raise


def start(
    name: str, call: Callable[[], Any], *, failed: Callable[[], Any] | None = None
) -> threading.Thread:
    """Have `call` called on a daemon thread, and `failed` on it when that raises.

    Raises
    ------
    RuntimeError
        No thread can be started.
    """
    thread = threading.Thread(target=guarded(name, call, failed), name=name, daemon=True)
    thread.start()
    return thread


def guarded(
    name: str, call: Callable[[], Any], failed: Callable[[], Any] | None = None
) -> Callable[[], None]:
    """What a thread runs that calls `call`, and `failed` when that raises."""

    def run() -> None:
        try:
            call()
        except BaseException as error:  # SystemExit, too: a handler may have been called
            try:
                raised.log(LOGGER, f"the thread {name} failed:", error)
            finally:
                if failed is not None:
                    failed()

    return run
