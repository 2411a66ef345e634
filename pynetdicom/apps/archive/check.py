"""The start-up check: the index is made to agree with the objects.

An object is kept before it is indexed, and its storing is answered when it is indexed. So whenever
a process is killed, an object that was acknowledged is in both; one that was not may be in the
store only, and is indexed now.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Sequence
from typing import NamedTuple

import sqlalchemy as sa

from pynetdicom.apps.archive import said
from pynetdicom.apps.archive.attributes import LEVELS
from pynetdicom.apps.archive.conditions import joined
from pynetdicom.apps.archive.index import Index, NotIndexable, Record, record_of
from pynetdicom.apps.archive.notes import being_deleted
from pynetdicom.apps.archive.objects import ObjectStore
from pynetdicom.apps.archive.schema import TABLES, instance
from pynetdicom.errors import DataSetDecodeError, FileProblem
from pynetdicom.utils import printable

LOGGER = logging.getLogger(__name__)


_SHOWN_FOREIGN = 5

UNREADABLE = (NotIndexable, DataSetDecodeError, FileProblem, OSError)


class NoObjects(Exception):
    """The index knows of objects, and there are none at all."""


class Findings(NamedTuple):
    """What a check found.

    Attributes
    ----------
    folders : int
        How many were looked into.
    added, removed : int
        Objects that the index lacked, and rows of objects that are gone.
    unreadable : int
        Objects that cannot be indexed; they are left where they are.
    """

    folders: int = 0
    added: int = 0
    removed: int = 0
    unreadable: int = 0


Progress = Callable[[int, int], None]
"""Called with the folders that are done, and all of them."""


def check(
    index: Index,
    store: ObjectStore,
    *,
    full: bool = False,
    only_wrong: bool = False,
    progress: Progress | None = None,
    ours: Collection[str] = (),
) -> Findings:
    """Make the index agree with the store; other processes may be storing meanwhile.

    Parameters
    ----------
    index : Index
    store : ObjectStore
    full : bool
        Look into all folders and read all objects; otherwise only into folders that have changed,
        and only what the index lacks is read.
    only_wrong : bool
        Of what is read, index anew only what the index does not have right.
    progress : callable, optional
    ours : collection of str
        Paths of what else is the archive's, and may be among the objects.

    Raises
    ------
    NoObjects
        The store has nothing of what the index knows: it is another one, or its disk is missing.
    """
    known = {} if full else index.folder_states()
    present = dict(store.folders())
    indexed = index.folders()
    if indexed and not present:
        raise NoObjects(
            f"the index knows of objects in {len(indexed)} folders, and there are none where they"
            " should be: is their disk there, and is this their archive? --clean begins anew"
        )
    for name in indexed - present.keys():
        present[name] = None
    findings = Findings()
    foreign = store.foreign(None, ours)
    for done, (name, state) in enumerate(sorted(present.items())):
        if progress is not None:
            progress(done, len(present))
        if state is not None and known.get(name) == state:
            continue
        found = _check_folder(index, store, name, full=full, only_wrong=only_wrong)
        findings = Findings(*(a + b for a, b in zip(findings, found, strict=True)))
        strangers = store.foreign(name, ours)
        foreign += strangers
        # What could not be read is tried again next time, and what is not ours told again.
        is_over = not (found.unreadable or strangers)
        index.set_folder_states({name: state if is_over else None})
    settle(index, store)
    if progress is not None:
        progress(len(present), len(present))
    _tell(findings, foreign)
    return findings


def _tell(findings: Findings, foreign: Sequence[str]) -> None:
    """Log what was found, and what else is among the objects."""
    if findings.added or findings.removed or findings.unreadable:
        LOGGER.warning(
            "the index was repaired: %d objects added, %d rows removed, %d objects unreadable",
            findings.added,
            findings.removed,
            findings.unreadable,
        )
    if foreign:
        shown = ", ".join(map(printable, foreign[:_SHOWN_FOREIGN]))
        LOGGER.warning(
            "%d %s among the objects not the archive's, and passed over: %s%s",
            len(foreign),
            "file is" if len(foreign) == 1 else "files are",
            shown,
            ", …" if len(foreign) > _SHOWN_FOREIGN else "",
        )


def settle(index: Index, store: ObjectStore) -> None:
    """Have what objects said that are gone said by others, if any does."""
    for level, pk, locations in index.in_doubt():
        for location in locations:
            try:
                record = read_record(store, location)
                index.merge(record, location, store.arrived(location))
            except UNREADABLE as error:
                LOGGER.error("%s cannot be read: %s", location, error)
        index.settle(level, pk)


def _check_folder(
    index: Index, store: ObjectStore, name: str, *, full: bool, only_wrong: bool
) -> Findings:
    locations = store.list(name)
    indexed = index.locations(name)
    # What was stored since the folder was listed is indexed, and not in the list.
    gone = [one for one in indexed.difference(locations) if not store.has(one)]
    index.remove(gone)
    added = unreadable = 0
    if not indexed.issuperset(locations):
        doomed = being_deleted(index.database)
        locations = [one for one in locations if one in indexed or one not in doomed]
    for location in locations:
        if location in indexed and not full:
            continue
        try:
            record = read_record(store, location)
            arrived = store.arrived(location)
        except UNREADABLE as error:
            LOGGER.error("%s cannot be indexed: %s", location, error)
            unreadable += 1
            continue
        if location in indexed and only_wrong and _is_right(index, record, location):
            continue
        if location in indexed:
            index.refresh(record, location, name, arrived)
        else:
            index.add(record, location, name, arrived)
            added += 1
    return Findings(1, added, len(gone), unreadable)


def _is_right(index: Index, record: Record, location: str) -> bool:
    """Whether the index has what an object says."""
    query = sa.select(*TABLES.values()).select_from(joined("PATIENT", "IMAGE"))
    with index.database.reading() as connection:
        row = connection.execute(query.where(instance.c.location == location)).first()
    if row is None:  # a second copy
        return False
    rows = {
        level: {column.name: row._mapping[column] for column in table.c}
        for level, table in TABLES.items()
    }
    exact = {"PATIENT": {"identity"}, "STUDY": {"study_instance_uid"}}
    exact |= {"SERIES": {"series_instance_uid"}, "IMAGE": set(record.values["IMAGE"])}
    is_right = (
        rows["IMAGE"]["transfer_syntax_uid"] == record.transfer_syntax_uid
        and all(rows[at][one] == record.values[at][one] for at in exact for one in exact[at])
        and all(said.agrees(at, rows[at], record.values[at], location) for at in LEVELS[:-1])
    )
    if not is_right:
        LOGGER.warning("%s: the index had something else of it", location)
    return is_right


def read_record(store: ObjectStore, location: str) -> Record:
    """Read what is indexed of an object."""
    from contextlib import closing

    from pynetdicom.data_sets.part10 import read_header

    with (
        store.fetch(location) as path,
        read_header(path) as header,
        closing(header.data_set()) as data_set,
    ):
        return record_of(data_set.decode(), header.transfer_syntax)
