"""One connection to PostgreSQL for what many threads want to do at the same moment.

Each statement costs the way to the server and back, and each commit a disk's time: done together,
what ten associations have costs as much as what one has. Nobody waits for company: a thread that
finds the line free goes at once, and what comes meanwhile goes together after it.
"""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable, Sequence
from queue import SimpleQueue
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Engine

LOGGER = logging.getLogger(__name__)

IDLE = 0
"""The status of a connection that is in no transaction, by libpq's count."""

Wish = TypeVar("Wish")


Work = Callable[[Any, Sequence[Wish]], Sequence[bool]]
"""Called with a connection of psycopg's, whose statements commit themselves, and with what several
threads want; says which of it has been done. If it raises an exception, nothing has."""


class _Waiting(Generic[Wish]):
    """What a thread waits for."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        # What its thread is told: to lead (None), and whether it is done. Nothing else wakes it, so
        # that a thread whose wish is done never waits for the next ones.
        self.told: SimpleQueue[bool | None] = SimpleQueue()


class Line(Generic[Wish]):
    """The line.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        Of a database whose driver is psycopg.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Held for moments, by any thread, to change these two.
        self._lock = threading.Lock()
        self._waiting: list[_Waiting[Wish]] = []
        self._leader: _Waiting[Wish] | None = None
        # Held by the leader's thread while it works, and by the one that closes.
        self._using = threading.Lock()
        self._held: Any = None

    @property
    def waiting(self) -> int:
        """What threads want that nobody has begun to do."""
        return len(self._waiting)

    def do(self, wish: Wish, work: Work[Wish]) -> bool:
        """Do what one thread wants, together with what others want.

        Returns
        -------
        bool
            Whether it is done, and committed.
        """
        one = _Waiting(wish)
        try:
            with self._lock:
                self._waiting.append(one)
                if self._leader is None:
                    self._lead(one)
            done = one.told.get()
            if done is None:
                self._work(work)
                done = one.told.get()
            return bool(done)
        finally:
            # Also when it was interrupted: others do not wait for it in vain.
            with self._lock:
                if one in self._waiting:
                    self._waiting.remove(one)
                if self._leader is one:
                    self._lead(self._waiting[0] if self._waiting else None)

    def _lead(self, one: _Waiting[Wish] | None) -> None:
        self._leader = one
        if one is not None:
            one.told.put(None)

    def _work(self, work: Work[Wish]) -> None:
        """Do what is wanted by now, and tell everybody."""
        with self._lock:
            some, self._waiting = self._waiting, []
        done: Sequence[bool] = [False] * len(some)
        try:
            with self._using:
                try:
                    done = work(self._connection(), [one.wish for one in some])
                except BaseException:
                    self._drop_broken()
                    raise
        except Exception as error:
            # Of the driver, or what a value makes of it: each thread tries for itself, and says
            # what is wrong if that fails too.
            LOGGER.debug("what %d wanted together has failed", len(some), exc_info=error)
        finally:
            for one, is_done in zip(some, done, strict=True):
                one.told.put(is_done)

    def _connection(self) -> Any:
        if self._held is None:
            borrowed = self._engine.raw_connection()
            self._held = borrowed.driver_connection
            borrowed.detach()  # it is none of those that others wait for
            self._held.autocommit = True
        return self._held

    def _drop_broken(self) -> None:
        """Drop a connection that is not as if nothing had happened."""
        if self._held is not None and (
            self._held.closed or self._held.info.transaction_status != IDLE
        ):
            self._drop()

    def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.close()

    def close(self) -> None:
        """Close the connection."""
        with self._using:
            self._drop()
