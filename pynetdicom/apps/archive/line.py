"""One connection to PostgreSQL for what many threads want to do at the same moment.

Each statement costs the way to the server and back, and each commit a disk's time: done together,
what ten associations have costs as much as what one has. Nobody waits for company: a thread that
finds the line free goes at once, and what comes meanwhile goes together after it.
"""

from __future__ import annotations

import logging
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Generic, TypeVar

from sqlalchemy.engine import Engine
from sqlalchemy.pool import PoolProxiedConnection

LOGGER = logging.getLogger(__name__)

Wish = TypeVar("Wish")


class _Waiting(Generic[Wish]):
    """What a thread waits for."""

    def __init__(self, wish: Wish) -> None:
        self.wish = wish
        self.is_over = False
        self.is_done = False


class Line(Generic[Wish]):
    """The line.

    Parameters
    ----------
    engine : sqlalchemy.Engine
        Of a database whose driver is psycopg.
    """

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        # Each thread adds to these; only the one whose turn it is takes some away.
        self._waiting: deque[_Waiting[Wish]] = deque()
        self._turn = threading.Lock()
        self._held: PoolProxiedConnection | None = None

    @property
    def waiting(self) -> int:
        """How many threads wait until it is their turn."""
        return len(self._waiting)

    def do(self, wish: Wish, work: Callable[[Any, Sequence[Wish]], Sequence[bool]]) -> bool:
        """Do what one thread wants, together with what others want.

        Parameters
        ----------
        wish : object
        work : callable
            Called with a connection of psycopg's, whose statements commit themselves, and with the
            wishes of several threads; says which it has done. If it raises an exception, none is.

        Returns
        -------
        bool
            Whether it is done, and committed.
        """
        one = _Waiting(wish)
        self._waiting.append(one)
        with self._turn:
            if not one.is_over:  # else the thread before this one has done it too
                self._do_all(work)
        return one.is_done

    def _do_all(self, work: Callable[[Any, Sequence[Wish]], Sequence[bool]]) -> None:
        some = [self._waiting.popleft() for _ in range(len(self._waiting))]
        try:
            done = work(self._connection(), [one.wish for one in some])
            for one, is_done in zip(some, done, strict=True):
                one.is_done = is_done
        except BaseException as error:
            self._drop_broken()
            # Of the driver, or what a value makes of it: each thread tries for itself, and says
            # what is wrong if that fails too.
            if not isinstance(error, Exception):
                raise
            LOGGER.debug("what %d wanted together has failed", len(some), exc_info=error)
        finally:
            for one in some:
                one.is_over = True

    def _connection(self) -> Any:
        if self._held is None:
            self._held = self._engine.raw_connection()
            connection: Any = self._held.driver_connection
            connection.autocommit = True
        return self._held.driver_connection

    def _drop_broken(self) -> None:
        """Drop a connection that is not as if nothing had happened."""
        if self._held is not None:
            connection: Any = self._held.driver_connection
            if connection is None or connection.closed or connection.info.transaction_status:
                self._drop()

    def _drop(self) -> None:
        held, self._held = self._held, None
        if held is not None:
            held.invalidate()

    def close(self) -> None:
        """Close the connection."""
        with self._turn:
            self._drop()
