"""Deleting objects, while others store the very same ones, and whenever the process is killed.

First, in one transaction, the rows go, and the index notes which objects are to be deleted: from
then on they are neither found nor sent. Then each is set aside, which takes it from its place in
one step, and is deleted if no row has it by then: whoever has stored it again meanwhile, and found
it to be there already, has added a row, and looks afterwards whether it is still there
(`has_gone`). One of the two sees the other. What a killed process has noted is seen to by the next
one that starts.
"""

from __future__ import annotations

import json
import logging
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pynetdicom.apps.archive.check import UNREADABLE, read_record, settle
from pynetdicom.apps.archive.index import Index, Indexed, Record, remove_from
from pynetdicom.apps.archive.notes import NOTED, noted
from pynetdicom.apps.archive.objects import Kept, ObjectStore, first_of
from pynetdicom.apps.archive.presence import InUse, in_turn
from pynetdicom.apps.archive.schema import duplicate, instance, setting

if TYPE_CHECKING:
    from sqlalchemy.engine import Connection

    from pynetdicom.apps.archive.room import Room

LOGGER = logging.getLogger(__name__)

AT_ONCE = 100
"""Objects of a transaction."""

KIND = "removal"

Belongs = Callable[[Record], bool]


class Remover:
    """Deletes objects of an archive.

    Parameters
    ----------
    index : Index
    store : ObjectStore
    room : Room
    """

    def __init__(self, index: Index, store: ObjectStore, room: Room) -> None:
        self._index = index
        self._store = store
        self._room = room

    def remove(self, objects: Sequence[Indexed], belongs: Belongs) -> None:
        """Delete objects, and second copies of them.

        A second copy that is of something else, since its UID was given twice, becomes the one that
        is found and sent.

        Parameters
        ----------
        objects : sequence of Indexed
        belongs : callable
            Whether a second copy is to be deleted too.

        Raises
        ------
        InUse
            Somebody else deletes objects.
        """
        with in_turn(self._index.database, KIND):
            self._finish_all()
            for start in range(0, len(objects), AT_ONCE):
                self._remove(objects[start : start + AT_ONCE], belongs)
        settle(self._index, self._store)
        self._room.measure()

    def finish(self) -> None:
        """Complete what a killed process has begun, if any has."""
        if not noted(self._index.database):
            return
        with suppress(InUse), in_turn(self._index.database, KIND, patience=0):
            self._finish_all()

    def _finish_all(self) -> None:
        for name, objects in noted(self._index.database).items():
            LOGGER.warning("deleting %d objects was begun, and is completed", len(objects))
            self._finish(name, objects)

    def _remove(self, objects: Sequence[Indexed], belongs: Belongs) -> None:
        uids = [one.sop_instance_uid for one in objects]
        locations = [one.location for one in objects]
        locations += [
            location for location, _ in self._copies(uids) if self._is_one(location, belongs)
        ]
        # The time of an object tells it from another one that is there when this is completed.
        arrived = {location: self._arrived(location) for location in locations}
        name = f"{NOTED}{uuid.uuid4().hex}"
        note = setting.insert().values(name=name, value=json.dumps(arrived))

        def work(connection: Connection) -> None:
            remove_from(connection, locations)
            connection.execute(note)

        self._index.database.write(work)
        self._finish(name, arrived)
        self._promote(uids)

    def _is_one(self, location: str, belongs: Belongs) -> bool:
        """Whether a second copy is to be deleted too."""
        try:
            return belongs(read_record(self._store, location))
        except UNREADABLE as error:
            LOGGER.error("%s cannot be read: %s", location, error)
            return False

    def _arrived(self, location: str) -> int:
        try:
            return self._store.arrived(location)
        except OSError:
            return -1

    def _finish(self, name: str, objects: Mapping[str, int]) -> None:
        for location, arrived in objects.items():
            self._delete(location, arrived)
        self._index.database.write(
            lambda connection: connection.execute(setting.delete().where(setting.c.name == name))
        )

    def _delete(self, location: str, arrived: int) -> None:
        if self._arrived(location) == arrived != -1 and not self._has_row(location):
            with suppress(FileNotFoundError):
                self._store.set_aside(location)
        if not self._store.is_aside(location):
            return
        if self._has_row(location):
            self._store.put_back(location)
        else:
            self._store.drop(location)

    def _has_row(self, location: str) -> bool:
        with self._index.database.reading() as connection:
            return any(
                connection.scalar(sa.select(table.c.pk).where(table.c.location == location))
                for table in (instance, duplicate)
            )

    def _copies(self, uids: Iterable[str]) -> list[tuple[str, str]]:
        """The second copies of some objects, and their folders."""
        query = sa.select(duplicate.c.location, duplicate.c.folder, duplicate.c.sop_instance_uid)
        query = query.where(duplicate.c.sop_instance_uid.in_(uids)).order_by(duplicate.c.pk)
        with self._index.database.reading() as connection:
            return [(row[0], row[1]) for row in connection.execute(query)]

    def _promote(self, uids: Sequence[str]) -> None:
        """Have second copies found, of what there is no first one of any more."""
        for location, folder in self._copies(uids):
            promote(self._index, self._store, location, folder)


def promote(index: Index, store: ObjectStore, location: str, folder: str) -> None:
    """Have a second copy be found and sent, if there is no first one any more."""
    try:
        record = read_record(store, location)
        arrived = store.arrived(location)
    except UNREADABLE as error:
        LOGGER.error("%s cannot be read: %s", location, error)
        return
    if index.location_of(record.sop_instance_uid) is None:
        index.remove([location])
        index.add(record, location, folder, arrived)


def has_gone(index: Index, store: ObjectStore, kept: Kept) -> bool:
    """Whether an object that was there already, and is indexed now, was deleted meanwhile."""
    if not kept.is_first and not store.has(first_of(kept.location)):
        promote(index, store, kept.location, kept.folder)
    return not store.has(kept.location)
