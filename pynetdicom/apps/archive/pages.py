"""Rows read some at a time: no statement takes long, whatever it asks for.

SQLite asks between its steps whether the query is still wanted. PostgreSQL is given little time for
a statement; one that takes longer is asked again for fewer rows, by ranges of their keys, so that
a query that looks at all rows and finds none is looked after too.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from pynetdicom.apps.archive.database import TookLong

if TYPE_CHECKING:
    from pynetdicom.apps.archive.database import Database
    from pynetdicom.workflows.watch import Watch

ROWS_AT_ONCE = 500
KEYS_AT_ONCE = 20 * ROWS_AT_ONCE
_FIRST_RANGE = 4096


def pages(
    database: Database, statement: sa.Select[Any], pk: sa.Column[int], watch: Watch
) -> Iterator[Sequence[Any]]:
    """The rows of a statement whose first column is `pk`, in the order of that."""
    after, last = 0, None
    span: int | None = None  # of keys that a statement looks at; None: all that there are
    while True:
        part = statement.where(pk > after).order_by(pk).limit(KEYS_AT_ONCE)
        if span is not None:
            part = part.where(pk <= after + span)
        try:
            # One key is as little as there is: that has all the time it needs.
            with database.reading(watch, in_time=span != 1) as connection:
                rows = connection.execute(part).all()
        except TookLong:
            if span is None:
                with database.reading(watch) as connection:
                    last = connection.scalar(sa.select(sa.func.max(pk))) or 0
            span = _FIRST_RANGE if span is None else max(1, span // 4)
            continue
        yield rows
        if len(rows) == KEYS_AT_ONCE:
            after = rows[-1][0]
        elif span is None or last is None or after + span >= last:
            return
        else:
            after += span
            span *= 2


def pieces(
    database: Database,
    keys: Sequence[int],
    statement: Callable[[Sequence[int]], sa.Select[Any]],
    watch: Watch,
) -> Iterator[Any]:
    """What a statement gives of some keys, asked for some of them at a time."""
    start, size = 0, ROWS_AT_ONCE
    while start < len(keys):
        try:
            with database.reading(watch, in_time=size != 1) as connection:
                rows = connection.execute(statement(keys[start : start + size])).all()
        except TookLong:
            size = max(1, size // 4)
            continue
        yield from rows
        start += size
        size = min(ROWS_AT_ONCE, size * 2)
