"""``qrscp backup``: a directory with objects and index, which is an archive by itself.

First the index is copied as it is at one moment, then the objects that it has: whatever comes later
is not in the backup, and what is deleted meanwhile is taken out of the copy of the index. So each
row of the copy has its object, and each object its row.
"""

from __future__ import annotations

import logging
import os
import sqlite3
import time
from argparse import Namespace
from collections.abc import Iterator
from contextlib import closing, suppress
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pynetdicom.apps import options
from pynetdicom.apps.archive.admin.files import copy, link
from pynetdicom.apps.archive.check import read_record
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index
from pynetdicom.apps.archive.objects import FileStore
from pynetdicom.apps.archive.opening import BESIDE_SQLITE
from pynetdicom.apps.archive.schema import duplicate, instance
from pynetdicom.apps.progress import Terminal
from pynetdicom.data_sets.provisional import sync_directory

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive

LOGGER = logging.getLogger(__name__)

POSITIONAL = (
    options.option(
        "directory",
        help="where the backup is to be: a directory that is empty, or not there yet, or has a"
        " backup that was not completed, which goes on",
    ),
)
OPTIONS = (
    options.option(
        "--link", action="store_true",
        help="make hard links of the objects instead of copies, where that can be: they take no"
        " room, and are gone with the disk",
    ),
)  # fmt: skip

INCOMPLETE = "INCOMPLETE"
"""The file that a backup has until it is complete."""

OBJECTS, INDEX, COMMITMENT = "objects", "index.sqlite", "commitment.sqlite"
_AT_ONCE = 1000


def run(archive: Archive, args: Namespace, terminal: Terminal) -> int:
    """Make a backup."""
    backup = _Backup(archive, args.directory, terminal, may_link=args.link)
    try:
        backup.begin()
        began = time.time_ns()
        database = backup.copy_index()
        with closing(database):
            count = backup.copy_objects(database, began)
        backup.complete()
    except (OSError, sqlite3.Error) as error:
        where = getattr(error, "filename", None) or args.directory
        raise options.Failure(f"{where}: {getattr(error, 'strerror', None) or error}") from error
    terminal.result(f"{count} objects are in {args.directory}")
    return options.FAILED if terminal.problems else 0


class _Backup:
    """A backup that is being made."""

    def __init__(
        self, archive: Archive, directory: str, terminal: Terminal, *, may_link: bool
    ) -> None:
        self._archive = archive
        self._directory = directory
        self._terminal = terminal
        self._may_link = may_link and archive.store_of_objects.is_local
        self._sync = archive.config.sync
        self._made: set[str] = set()

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def begin(self) -> None:
        """Have a directory that is a backup, and not complete."""
        os.makedirs(self._directory, exist_ok=True)
        there = os.listdir(self._directory)
        if there and INCOMPLETE not in there:
            raise options.Failure(f"{self._directory} is not empty: it is left as it is")
        with open(self._path(INCOMPLETE), "w", encoding="ascii") as file:
            file.write("This backup was not completed.\n")
        for name in (INDEX, COMMITMENT):
            for end in BESIDE_SQLITE:
                with suppress(FileNotFoundError):
                    os.unlink(self._path(name + end))

    def copy_index(self) -> Database:
        """The copy of the index; of PostgreSQL an index of what it has now, made anew."""
        source = self._archive.database.path
        if source is not None:
            copy_database(source, self._path(INDEX))
        commitment = self._archive.config.commitment_store
        if commitment is not None and os.path.exists(commitment):
            copy_database(commitment, self._path(COMMITMENT))
        return Database(self._path(INDEX), sync=self._sync)

    def copy_objects(self, database: Database, began: int) -> int:
        """Copy what the copy of the index has; how much that is."""
        index = Index(database)
        store = FileStore(self._path(OBJECTS), sync=self._sync)
        source = self._archive.database
        wanted = list(_locations(database if source.path is not None else source))
        gone: list[str] = []
        with self._terminal.counting():
            for done, (location, folder) in enumerate(wanted, 1):
                if not self._copy_object(store, location, folder):
                    gone.append(location)
                elif source.path is None:
                    _add(index, store, location, folder)
                elif store.arrived(location) >= began:  # deleted and stored again meanwhile
                    index.refresh(
                        read_record(store, location), location, folder, store.arrived(location)
                    )
                self._terminal.count(done, len(wanted))
        index.remove(gone)
        self._tell_lost(gone)
        # The folders are others, and what was seen of theirs does not hold of these.
        index.set_folder_states(dict.fromkeys(index.folder_states()))
        self._remove_others(store, {location for location, _ in wanted} - set(gone))
        return len(wanted) - len(gone)

    def _copy_object(self, store: FileStore, location: str, folder: str) -> bool:
        """Have an object in the backup; False if it is not there any more."""
        target = store.path(location)
        if folder not in self._made:
            os.makedirs(store.path(folder), exist_ok=True)
            self._made.add(folder)
        try:
            with self._archive.store_of_objects.fetch(location) as path:
                if not self._is_there(path, target) and not (
                    self._may_link and link(path, target, sync=self._sync)
                ):
                    copy(path, target, sync=self._sync)
        except OSError:
            if self._archive.store_of_objects.has(location):
                raise
            return False
        return True

    @staticmethod
    def _is_there(path: str, target: str) -> bool:
        """Whether an attempt before has copied an object; what is not like it is removed."""
        try:
            there = os.stat(target)
        except FileNotFoundError:
            return False
        now = os.stat(path)
        if (there.st_size, there.st_mtime_ns) == (now.st_size, now.st_mtime_ns):
            return True
        os.unlink(target)
        return False

    def _tell_lost(self, gone: list[str]) -> None:
        """Tell of objects that nobody has deleted."""
        lost = gone and set(gone) & {location for location, _ in _locations(self._archive.database)}
        for location in sorted(lost or ()):
            self._terminal.problem(f"{location} is lost: the index has it, and it is not there")

    @staticmethod
    def _remove_others(store: FileStore, wanted: set[str]) -> None:
        """Remove what an attempt before has copied, and was deleted since."""
        for folder, _ in list(store.folders()):
            for location in store.list(folder):
                if location not in wanted:
                    os.unlink(store.path(location))

    def complete(self) -> None:
        """Have it be complete, on the disk if that is promised of objects too."""
        if self._sync:
            for name in (OBJECTS, ""):
                sync_directory(self._path(name))
        os.unlink(self._path(INCOMPLETE))


def _add(index: Index, store: FileStore, location: str, folder: str) -> None:
    index.add(read_record(store, location), location, folder, store.arrived(location))


def copy_database(source: str, target: str) -> None:
    """Copy a file of SQLite as it is at one moment, while others write to it."""
    with (
        closing(sqlite3.connect(source, timeout=30)) as one,
        closing(sqlite3.connect(target)) as other,
    ):
        one.backup(other)


def _locations(database: Database) -> Iterator[tuple[str, str]]:
    """Where all objects are, second copies after first ones, and their folders."""
    for table in (instance, duplicate):
        after = 0
        while True:
            query = sa.select(table.c.pk, table.c.location, table.c.folder)
            query = query.where(table.c.pk > after).order_by(table.c.pk).limit(_AT_ONCE)
            with database.reading() as connection:
                rows = connection.execute(query).all()
            yield from ((row[1], row[2]) for row in rows)
            if len(rows) < _AT_ONCE:
                break
            after = rows[-1][0]
