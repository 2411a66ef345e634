"""The short way of an object into PostgreSQL: few statements, for all that come at the same time.

In: objects with what they say. Out: their rows, and those of new patients, studies and series.
First a look at what there is of those, unless it is known; then one transaction. What this cannot
do goes the long way, alone (`index`): an object that is there already or has a second copy, one
that changes what a patient, study or series says, or one that another process got in the way of.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from typing import Any, NamedTuple

from pynetdicom.apps.archive import said
from pynetdicom.apps.archive.attributes import LEVELS
from pynetdicom.apps.archive.line import Line
from pynetdicom.apps.archive.said import LATE, Arrival
from pynetdicom.apps.archive.schema import PARENT_KEYS, TABLES

_REMEMBERED = 256

Lineage = tuple[str, ...]
"""What an object says of its patient, study and series."""

Values = Mapping[str, Mapping[str, str]]
"""Level → column → value."""

Insert = tuple[int, Sequence[str]]
"""A level, and the parameters of `_statement`."""


class Series:
    """Rows of series that are known, so that the next object need not ask for them.

    Any thread may ask and tell. A row may be gone since, of which the database's references tell.
    """

    def __init__(self) -> None:
        # Lineage → the row of the series, and when an object came that says all of that.
        self._known: dict[Lineage, tuple[int, Arrival]] = {}

    def row(self, lineage: Lineage, arrival: Arrival) -> int | None:
        """The row for an object that came at some time, if it changes nothing above it."""
        parent, since = self._known.get(lineage, (None, LATE))
        return parent if arrival >= since else None

    def note(self, lineage: Lineage, parent: int, arrival: Arrival) -> None:
        """Note that a row has what an object says."""
        before, since = self._known.get(lineage, (parent, arrival))
        if len(self._known) >= _REMEMBERED:
            self._known.clear()
        self._known[lineage] = parent, min(since, arrival) if before == parent else arrival

    def take(self, lineage: Lineage) -> tuple[int | None, Arrival]:
        """Take out what is known: nothing, should the row turn out to be gone."""
        return self._known.pop(lineage, (None, LATE))

    def clear(self) -> None:
        """Forget all rows."""
        self._known.clear()


class New(NamedTuple):
    """An object that comes."""

    values: Values
    lineage: Lineage
    arrival: Arrival
    instance: Mapping[str, object]
    """Its row, but for that of its series."""

    @property
    def location(self) -> str:
        return self.arrival[1]

    @property
    def patient(self) -> str:
        return self.values["PATIENT"]["identity"]


class Ingest:
    """The short way.

    Parameters
    ----------
    line : Line
    series : Series
    """

    def __init__(self, line: Line[New], series: Series) -> None:
        self._line = line
        self._series = series

    def add(self, new: New) -> bool:
        """Add an object, if there is none of its UID; whether that was done, and is committed."""
        return self._line.do(new, self._add)

    def _add(self, connection: Any, news: Sequence[New]) -> list[bool]:
        """Add the objects of several threads, on the thread of one of them."""
        added: dict[str, int] = {}
        left = list(news)
        while left:
            inserts, left = self._next(connection, left)
            rows = dict(_executed(connection, inserts))
            added |= rows
            for new in news:
                if new.location in rows:
                    self._series.note(new.lineage, rows[new.location], new.arrival)
        return [new.location in added for new in news]

    def _next(self, connection: Any, news: Sequence[New]) -> tuple[list[Insert], list[New]]:
        """What can be inserted in one transaction; and the objects that have to wait for that."""
        ready: list[Mapping[str, object]] = []
        unknown = []
        for new in news:
            parent = self._series.row(new.lineage, new.arrival)
            if parent is None:
                unknown.append(new)
            else:
                ready.append({**new.instance, "series_pk": parent})
        # Two of one patient could not both make the rows that they share. And all processes make
        # rows in one order, or two of them would wait for each other.
        first = {new.patient: new for new in reversed(unknown)}
        inserts = []
        for new, rows in _with_rows(connection, [first[patient] for patient in sorted(first)]):
            if len(rows) == len(LEVELS) - 1:
                ready.append({**new.instance, "series_pk": rows[-1]["pk"]})
            else:
                inserts.append(_branch(new, rows))
        if ready:
            ready.sort(key=lambda row: str(row["sop_instance_uid"]))
            inserts.append((LEVELS.index("IMAGE"), [_json(ready)]))
        return inserts, [new for new in unknown if first[new.patient] is not new]


def _with_rows(
    connection: Any, news: Sequence[New]
) -> Iterator[tuple[New, list[Mapping[str, Any]]]]:
    """Objects, and what rows there are of theirs; but for objects that change one of these."""
    if not news:
        return
    with connection.pipeline():
        cursors = [connection.execute(_ABOVE, _uids(new)) for new in news]
    for new, cursor in zip(news, cursors, strict=True):
        rows = [row for row in cursor.fetchone() or () if row is not None]
        if not any(
            said.merged(level, row, new.values[level], new.arrival)
            for level, row in zip(LEVELS, rows, strict=False)
        ):
            yield new, rows


def _uids(new: New) -> tuple[str, str, str]:
    return (
        new.values["STUDY"]["study_instance_uid"],
        new.values["SERIES"]["series_instance_uid"],
        new.patient,
    )


def _branch(new: New, there: Sequence[Mapping[str, Any]]) -> Insert:
    """The insert of an object and of those rows above it that are not there."""
    top = len(there)
    rows: list[dict[str, object]] = [
        {**new.values[level], "said": said.first(level, new.values[level], new.arrival)}
        for level in LEVELS[top:-1]
    ]
    if there:
        rows[0][PARENT_KEYS[LEVELS[top]]] = there[-1]["pk"]
    return top, [_json(row) for row in (*rows, new.instance)]


def _json(rows: object) -> str:
    return json.dumps(rows, ensure_ascii=False)


def _executed(connection: Any, inserts: Sequence[Insert]) -> Iterator[tuple[str, int]]:
    """Insert, in one transaction; gives the objects that were not there, and their series."""
    if len(inserts) < 2:  # which is a transaction without being told
        cursors = [connection.execute(_statement(top), rows) for top, rows in inserts]
    else:
        with connection.pipeline(), connection.transaction():
            cursors = [connection.execute(_statement(top), rows) for top, rows in inserts]
    for cursor in cursors:
        yield from cursor.fetchall()


_ABOVE = """
SELECT to_json(patient), to_json(study), to_json(series) FROM patient
LEFT JOIN study ON study.patient_pk = patient.pk AND study.study_instance_uid = %s
LEFT JOIN series ON series.study_pk = study.pk AND series.series_instance_uid = %s
WHERE patient.identity = %s
"""
"""What there is of the patient, the study and the series of an object."""


@cache
def _statement(top: int) -> str:
    """The statement that inserts a row at a level and one at each below it, given as JSON.

    At the lowest level: any number of rows.
    """
    # Of a set PostgreSQL expects a hundred rows, of one in another so many that it compiles.
    given = "recordset" if LEVELS[top] == "IMAGE" else "record"
    steps: list[str] = []
    for level in LEVELS[top:]:
        table = TABLES[level]
        columns = [column.name for column in table.columns if not column.primary_key]
        values = [f"given.{name}" for name in columns]
        source = f"json_populate_{given}(NULL::{table.name}, %s) AS given"
        if steps:
            upper = PARENT_KEYS[level].replace("_pk", "")
            values[columns.index(PARENT_KEYS[level])] = f"new_{upper}.pk"
            source = f"new_{upper}, {source}"
        steps.append(
            f"INSERT INTO {table.name} ({', '.join(columns)})"
            f" SELECT {', '.join(values)} FROM {source}"
        )
    *above, last = steps
    if not above:
        return f"{last} ON CONFLICT DO NOTHING {_RETURNED}"
    named = (
        f"new_{TABLES[level].name} AS ({step} RETURNING pk)"
        for level, step in zip(LEVELS[top:], above, strict=False)
    )
    # Where there is an object of that UID, nothing is made above it: the whole of it is undone.
    return f"WITH {', '.join(named)} {last} {_RETURNED}"


_RETURNED = "RETURNING location, series_pk"
