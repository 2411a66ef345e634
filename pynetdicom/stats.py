"""What has been done on associations, in numbers.

Each thread counts for itself, in rows that no other thread writes to, so that none waits for
another; who reads adds them up. A server adds what an association has done when that has ended.
"""

from __future__ import annotations

import threading
from collections import Counter, defaultdict
from collections.abc import Iterable
from typing import Any, Protocol

Kind = tuple[str, str, int]
"""``"performed"`` or ``"invoked"``, the operation, such as ``"C-STORE"``, and its status."""


class Done:
    """Operations that have ended.

    Parameters
    ----------
    count : int
    bytes : int
    seconds : float
    """

    __slots__ = ("_row",)

    def __init__(self, count: int, bytes: int, seconds: float) -> None:
        self._row = (count, bytes, seconds)

    @property
    def count(self) -> int:
        """How many."""
        return self._row[0]

    @property
    def bytes(self) -> int:
        """Of the data sets of their requests."""
        return self._row[1]

    @property
    def seconds(self) -> float:
        """From the last byte of each request to its response."""
        return self._row[2]

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Done) and self._row == other._row

    def __hash__(self) -> int:
        return hash(self._row)

    def __repr__(self) -> str:
        return "Done(count={}, bytes={}, seconds={})".format(*self._row)


Row = list[Any]
"""Those of a `Done`, to be added to."""

Tally = defaultdict[Kind, Row]


def _row() -> Row:
    return [0, 0, 0.0]


def _add(rows: Iterable[tuple[Kind, Row]], to: Tally) -> None:
    for kind, row in rows:
        total = to[kind]
        for number, value in enumerate(row):
            total[number] += value


def _done(rows: Iterable[tuple[Kind, Row]]) -> dict[Kind, Done]:
    total: Tally = defaultdict(_row)
    _add(rows, total)
    return {kind: Done(*row) for kind, row in total.items()}


class Stats:
    """What has been done on an association; for any thread.

    Attributes
    ----------
    rows : dict
        By the ident of the thread that counts, and then as a `Kind` has it.
    """

    def __init__(self) -> None:
        self.rows: defaultdict[tuple[int, str, str, int], Row] = defaultdict(_row)

    def by_kind(self) -> list[tuple[Kind, Row]]:
        """The rows of all threads, one of which may add another one meanwhile."""
        return [(key[1:], row) for key, row in list(self.rows.items())]

    @property
    def operations(self) -> dict[Kind, Done]:
        """The operations that have ended, by side, name and status."""
        return _done(self.by_kind())


class Counted(Protocol):
    """An association."""

    stats: Stats

    @property
    def ended(self) -> Any: ...


class ServerStats:
    """What has been done on the associations of a server; for any thread.

    Its lock is taken by an Association thread at its end, and by who reads.
    """

    def __init__(self, associations: set[Any]) -> None:
        self._associations = associations
        self._lock = threading.Lock()
        self._ended: Counter[tuple[str, str]] = Counter()
        self._total: Tally = defaultdict(_row)

    def take(self, assoc: Counted) -> None:
        """Add what an association has done, which has ended."""
        with self._lock:
            self._associations.discard(assoc)
            ended = assoc.ended
            if ended is not None:
                self._ended[ended.kind, ended.by] += 1
            _add(assoc.stats.by_kind(), self._total)

    def turned_away(self) -> None:
        """Count an association that was rejected before there was one."""
        with self._lock:
            self._ended["rejected", "local"] += 1

    @property
    def active(self) -> int:
        """How many associations there are."""
        return len(self._associations)

    @property
    def ended(self) -> dict[tuple[str, str], int]:
        """How many have ended, by how and by whom: as `Ended` has them."""
        with self._lock:
            return dict(self._ended)

    @property
    def operations(self) -> dict[Kind, Done]:
        """The operations that have ended, by side, name and status."""
        with self._lock:
            rows = list(self._total.items())
            for assoc in list(self._associations):
                rows += assoc.stats.by_kind()
            return _done(rows)
