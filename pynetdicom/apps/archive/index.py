"""The index: what objects there are, and of which series, study and patient.

Any number of associations and processes may add objects of the same study at the same time.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, NamedTuple

import sqlalchemy as sa

from pynetdicom.apps.archive import said
from pynetdicom.apps.archive.attributes import (
    ATTRIBUTES,
    HEAD_LENGTH,
    LEVELS,
    MAXIMUM_LENGTH,
    patient_identity,
    values_of,
)
from pynetdicom.apps.archive.conditions import joined
from pynetdicom.apps.archive.ingest import Ingest, New, Series, Values
from pynetdicom.apps.archive.said import Arrival
from pynetdicom.apps.archive.schema import PARENT_KEYS, TABLES, duplicate, folder, instance

if TYPE_CHECKING:
    from pydicom.dataset import Dataset
    from sqlalchemy.engine import Connection

    from pynetdicom.apps.archive.database import Database

LOGGER = logging.getLogger(__name__)

_UIDS = ("StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID", "SOPClassUID")
_ROWS_AT_ONCE = 500


class NotIndexable(Exception):
    """An object cannot be indexed: it lacks something; the message says what."""


class Record(NamedTuple):
    """An object as it is indexed.

    Attributes
    ----------
    values : dict
        Level → column → value.
    transfer_syntax_uid : str
    """

    values: Mapping[str, dict[str, str]]
    transfer_syntax_uid: str

    @property
    def sop_instance_uid(self) -> str:
        return self.values["IMAGE"]["sop_instance_uid"]


class Indexed(NamedTuple):
    """Where an object is, by the index."""

    pk: int
    sop_instance_uid: str
    sop_class_uid: str
    transfer_syntax_uid: str
    location: str


def record_of(ds: Dataset, transfer_syntax_uid: str) -> Record:
    """Take from a data set what is indexed.

    Raises
    ------
    NotIndexable
        It lacks one of the UIDs, or has a value that is too long.
    """
    values = {level: values_of(ds, level) for level in LEVELS}
    for attribute in ATTRIBUTES.values():
        most = HEAD_LENGTH if attribute.keyword in _UIDS else MAXIMUM_LENGTH
        if len(values[attribute.level][attribute.column]) > most:
            raise NotIndexable(f"{attribute.keyword} is too long")
    for level, column, name in (
        ("STUDY", "study_instance_uid", "Study Instance UID"),
        ("SERIES", "series_instance_uid", "Series Instance UID"),
        ("IMAGE", "sop_instance_uid", "SOP Instance UID"),
        ("IMAGE", "sop_class_uid", "SOP Class UID"),
    ):
        value = values[level][column]
        if not value or "\\" in value:
            raise NotIndexable(f"No {name}" if not value else f"Several values of {name}")
    patient = values["PATIENT"]
    patient["identity"] = patient_identity(
        patient["patient_id"],
        patient["issuer_of_patient_id"],
        values["STUDY"]["study_instance_uid"],
    )
    return Record(values, transfer_syntax_uid)


def _new(record: Record, arrival: Arrival, folder_name: str) -> New:
    """An object that comes, to a folder."""
    values = record.values
    lineage = tuple(value for level in LEVELS[:-1] for value in values[level].values())
    row: dict[str, object] = {
        **values["IMAGE"],
        "transfer_syntax_uid": record.transfer_syntax_uid,
        "location": arrival[1],
        "folder": folder_name,
    }
    return New(values, lineage, arrival, row)


class Index:
    """The rows of the database.

    Parameters
    ----------
    database : Database
    """

    def __init__(self, database: Database) -> None:
        self.database = database
        self._series = Series()
        self._short_way = Ingest(database.line, self._series) if database.line else None

    def add(
        self, record: Record, location: str, folder_name: str, arrived: int | None = None
    ) -> bool:
        """Add an object; returns when that is committed. One that is there already is left alone.

        Parameters
        ----------
        record : Record
        location : str
            Where the object is, in its store.
        folder_name : str
            The part of the store that it is in.
        arrived : int, optional
            When it came, in nanoseconds; default: now.

        Returns
        -------
        bool
            Whether it is the one that is found and sent: False for a second copy, elsewhere, of an
            object that is there.
        """
        arrival = time.time_ns() if arrived is None else arrived, location
        new = _new(record, arrival, folder_name)
        if self._short_way is not None and self._short_way.add(new):
            return True
        return self.database.write(lambda connection: self._add(connection, new))

    def _add(self, connection: Connection, new: New) -> bool:
        # Taken out meanwhile: if that row is no more, the next attempt looks for another one.
        parent, since = self._series.take(new.lineage)
        if parent is None or new.arrival < since:
            # What a second copy says does not count.
            if self._has_other(connection, new):
                self._add_duplicate(connection, new.instance)
                return False
            parent = self._merge(connection, new.values, new.arrival)
        insert = self.database.insert(instance).returning(instance.c.pk)
        row = {**new.instance, "series_pk": parent}
        is_new = connection.scalar(insert, row) is not None
        self._series.note(new.lineage, parent, min(since, new.arrival))
        if not is_new and self._has_other(connection, new):
            self._add_duplicate(connection, new.instance)
            return False
        return True

    @staticmethod
    def _has_other(connection: Connection, new: New) -> bool:
        """Whether there is an object of the same UID at another location."""
        uid = instance.c.sop_instance_uid
        query = sa.select(instance.c.location).where(uid == new.instance[uid.name])
        return connection.scalar(query) not in (None, new.location)

    def _merge(self, connection: Connection, values: Values, arrival: Arrival) -> int:
        """Merge what an object says of its patient, study and series; the row of the series."""
        parent: int | None = None
        for level in LEVELS[:-1]:
            parent = self._ancestor(connection, level, values[level], parent, arrival)
        assert parent is not None
        return parent

    def _ancestor(
        self,
        connection: Connection,
        level: str,
        values: Mapping[str, object],
        parent: int | None,
        arrival: Arrival,
    ) -> int:
        """The row of a patient, study or series, made if there is none."""
        table = TABLES[level]
        row: dict[str, object] = dict(values)
        if parent is None:
            same = table.c.identity == values["identity"]
        else:
            row[PARENT_KEYS[level]] = parent
            uid = f"{level.lower()}_instance_uid"
            same = sa.and_(table.c[uid] == values[uid], table.c[PARENT_KEYS[level]] == parent)
        found = connection.execute(sa.select(table).where(same)).mappings().first()
        if found is None:
            row["said"] = said.first(level, row, arrival)
            connection.execute(self.database.insert(table), row)
            found = connection.execute(sa.select(table).where(same)).mappings().first()
            if found is None:  # deleted since, by another process
                raise sa.exc.IntegrityError("row", None, Exception("deleted meanwhile"))
        # The first object to say something is believed; others add what it did not say.
        pk: int = found["pk"]
        if said.merged(level, found, row, arrival):
            # Seldom: once more, with nobody else changing it meanwhile.
            here = table.c.pk == pk
            locked = sa.select(table).where(here).with_for_update(key_share=True)
            now = connection.execute(locked).mappings().first()
            changes = {} if now is None else said.merged(level, now, row, arrival)
            if changes:
                connection.execute(table.update().where(here).values(changes))
        return pk

    def merge(self, record: Record, location: str, arrived: int) -> None:
        """Merge what an object that is there says of its patient, study and series."""
        self.database.write(lambda c: self._merge(c, record.values, (arrived, location)))

    def in_doubt(self) -> Iterator[tuple[str, int, list[str]]]:
        """The rows with values of objects that are gone, and the locations of what they have."""
        for level in LEVELS[:-1]:
            table = TABLES[level]
            query = sa.select(table.c.pk).where(table.c.said.like(said.IS_DOUBTED))
            with self.database.reading() as connection:
                keys = connection.scalars(query).all()
            for pk in keys:
                below = sa.select(instance.c.location).select_from(joined(level, "IMAGE"))
                with self.database.reading() as connection:
                    yield level, pk, list(connection.scalars(below.where(table.c.pk == pk)))

    def settle(self, level: str, pk: int) -> None:
        """Forget what a row has of objects that are gone: no other one has said it."""

        def work(connection: Connection) -> None:
            table = TABLES[level]
            here = table.c.pk == pk
            query = sa.select(table).where(here).with_for_update()
            found = connection.execute(query).mappings().first()
            if found is not None:
                changes = said.forgotten(level, found)
                connection.execute(table.update().where(here).values(changes))

        self.database.write(work)

    def _add_duplicate(self, connection: Connection, row: Mapping[str, object]) -> None:
        copy = {name: row[name] for name in ("sop_instance_uid", "location", "folder")}
        connection.execute(self.database.insert(duplicate), copy)

    def add_duplicate(self, uid: str, location: str, folder_name: str) -> None:
        """Note a second copy of an object, which differs from the first."""
        row = {"sop_instance_uid": uid, "location": location, "folder": folder_name}
        self.database.write(lambda c: self._add_duplicate(c, row))

    def location_of(self, sop_instance_uid: str) -> str | None:
        """Where the object with a UID is; None if there is none."""
        query = sa.select(instance.c.location).where(
            instance.c.sop_instance_uid == sop_instance_uid
        )
        with self.database.reading() as connection:
            return connection.scalar(query)

    def find(self, sop_instance_uid: str) -> Indexed | None:
        """The object with a UID; None if there is none."""
        query = _INDEXED.where(instance.c.sop_instance_uid == sop_instance_uid)
        with self.database.reading() as connection:
            row = connection.execute(query).first()
        return None if row is None else Indexed(*row)

    def locations(self, folder_name: str) -> set[str]:
        """What the index has in a folder, second copies included."""
        with self.database.reading() as connection:
            return {
                location
                for table in (instance, duplicate)
                for location in connection.scalars(
                    sa.select(table.c.location).where(table.c.folder == folder_name)
                )
            }

    def folders(self) -> set[str]:
        """The folders that the index has something in."""
        with self.database.reading() as connection:
            return {
                name
                for table in (instance, duplicate)
                for name in connection.scalars(sa.select(table.c.folder).distinct())
            }

    def remove(self, locations: Iterable[str]) -> None:
        """Forget objects, and the series, studies and patients that have none left."""
        gone = list(locations)
        for start in range(0, len(gone), _ROWS_AT_ONCE):
            some = gone[start : start + _ROWS_AT_ONCE]
            self.database.write(partial(remove_from, locations=some))
        if gone:
            self._series.clear()

    def refresh(self, record: Record, location: str, folder_name: str, arrived: int) -> None:
        """Index an object anew, by what it says now."""

        def work(connection: Connection) -> None:
            was_there = connection.scalar(
                sa.select(duplicate.c.pk).where(duplicate.c.location == location)
            )
            if was_there is None:
                doubted = remove_from(connection, [location])
                self._add(connection, _new(record, (arrived, location), folder_name))
                # What it says otherwise now, others may have said before.
                for (level, pk), before in doubted.items():
                    if _said(connection, level, pk) != before:
                        _doubt(connection, level, [pk], [location])

        self._series.clear()
        self.database.write(work)

    def folder_states(self) -> dict[str, str]:
        """What the folders were like when they were looked at last."""
        with self.database.reading() as connection:
            rows = connection.execute(sa.select(folder.c.name, folder.c.state))
            return {row[0]: row[1] for row in rows}

    def set_folder_states(self, states: Mapping[str, str | None]) -> None:
        """Note what folders are like; None: not known."""
        if not states:
            return

        def work(connection: Connection) -> None:
            for name, state in states.items():
                connection.execute(folder.delete().where(folder.c.name == name))
                if state is not None:
                    connection.execute(folder.insert().values(name=name, state=state))

        self.database.write(work)

    def clear(self) -> None:
        """Forget everything."""

        def work(connection: Connection) -> None:
            for table in (*reversed(list(TABLES.values())), duplicate, folder):
                connection.execute(table.delete())

        self.database.write(work)

    def count(self, level: str) -> int:
        """How many patients, studies, series or objects there are."""
        with self.database.reading() as connection:
            query = sa.select(sa.func.count()).select_from(TABLES[level])
            return connection.scalar(query) or 0

    def everything(self) -> Iterator[Indexed]:
        """All objects, in the order of their arrival, read some at a time."""
        after = 0
        while True:
            query = _INDEXED.where(instance.c.pk > after).limit(_ROWS_AT_ONCE)
            with self.database.reading() as connection:
                rows = connection.execute(query).all()
            yield from (Indexed(*row) for row in rows)
            if len(rows) < _ROWS_AT_ONCE:
                return
            after = rows[-1][0]

    def instances(self, keys: Sequence[int]) -> Iterator[Indexed]:
        """The objects of some rows, as far as these are still there, read some at a time.

        A peer that takes its time holds no transaction open, and memory stays flat.
        """
        for start in range(0, len(keys), _ROWS_AT_ONCE):
            some = keys[start : start + _ROWS_AT_ONCE]
            with self.database.reading() as connection:
                rows = connection.execute(_INDEXED.where(instance.c.pk.in_(some))).all()
            yield from (Indexed(*row) for row in rows)


_INDEXED = sa.select(*(instance.c[name] for name in Indexed._fields)).order_by(instance.c.pk)


def remove_from(connection: Connection, locations: list[str]) -> dict[tuple[str, int], str]:
    """Delete objects, and of what they belong to that which has nothing left.

    Returns
    -------
    dict
        Level and key of the rows whose values are in doubt now → what their `said` was.
    """
    in_doubt: dict[tuple[str, int], str] = {}
    gone = instance.c.location.in_(locations)
    for level in LEVELS[:-1]:  # from above, as those change these rows that add objects
        keys = sa.select(TABLES[level].c.pk).select_from(joined(level, "IMAGE")).where(gone)
        in_doubt |= _doubt(connection, level, connection.scalars(keys.distinct()).all(), locations)
    connection.execute(duplicate.delete().where(duplicate.c.location.in_(locations)))
    keys_below = _delete(connection, "IMAGE", gone)
    for level, below in (("SERIES", "IMAGE"), ("STUDY", "SERIES"), ("PATIENT", "STUDY")):
        table, lower = TABLES[level], TABLES[below]
        # Two transactions that each remove the last object but the other's would leave an empty
        # series: the second one waits here, and sees then what the first one has removed.
        rows = sa.select(table.c.pk).where(table.c.pk.in_(keys_below)).order_by(table.c.pk)
        connection.execute(rows.with_for_update())
        used = sa.exists().where(lower.c[PARENT_KEYS[below]] == table.c.pk)
        keys_below = _delete(connection, level, sa.and_(table.c.pk.in_(keys_below), ~used))
    return in_doubt


def _delete(connection: Connection, level: str, where: sa.ColumnElement[bool]) -> list[int]:
    """Delete rows; the keys of the rows that they belonged to."""
    table = TABLES[level]
    if level == "PATIENT":
        connection.execute(table.delete().where(where))
        return []
    column = table.c[PARENT_KEYS[level]]
    deleted = connection.scalars(table.delete().where(where).returning(column))
    return sorted(set(deleted))


def _doubt(
    connection: Connection, level: str, keys: Sequence[int], locations: Sequence[str]
) -> dict[tuple[str, int], str]:
    """Doubt what rows have of some objects; which rows that are, and what their `said` was."""
    table = TABLES[level]
    in_doubt = {}
    for found in connection.execute(sa.select(table).where(table.c.pk.in_(keys))).mappings().all():
        now = said.doubted(level, found, locations)
        if now != found["said"]:
            in_doubt[level, found["pk"]] = found["said"]
            change = table.update().where(table.c.pk == found["pk"])
            connection.execute(change.values(said=now))
    return in_doubt


def _said(connection: Connection, level: str, pk: int) -> str | None:
    table = TABLES[level]
    return connection.scalar(sa.select(table.c.said).where(table.c.pk == pk))
