"""What an SCP of a workflow has to remember: records of bytes by kind and key.

Whatever is read and written together is done in one ``with store.begin() as records``: by one at a
time, and all of it or nothing.
"""

from __future__ import annotations

import logging
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import AbstractContextManager, ExitStack, contextmanager
from os import PathLike, fspath
from typing import Protocol

LOGGER = logging.getLogger("pynetdicom.workflows")


class Records(Protocol):
    """The records, for as long as the ``with`` lasts."""

    def get(self, kind: str, key: str) -> bytes | None:
        """The record; None when there is none."""

    def put(self, kind: str, key: str, value: bytes) -> None:
        """Make the record what is given."""

    def delete(self, kind: str, key: str) -> None:
        """Have the record no more, if there is one."""

    def items(self, kind: str) -> list[tuple[str, bytes]]:
        """Keys and records of a kind, in the order of the keys."""


class Store(Protocol):
    """Where the records are; for any thread."""

    def begin(self) -> AbstractContextManager[Records]:
        """Read and write, alone; an exception out of the ``with`` undoes what was written."""

    def close(self) -> None:
        """Be done with it."""


class MemoryStore:
    """Records that end with the process.

    One lock: taken by the thread that is in `begin`.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._kinds: dict[str, dict[str, bytes]] = {}

    @contextmanager
    def begin(self) -> Iterator[Records]:
        """See `Store.begin`."""
        with self._lock:
            records = _InMemory(self._kinds)
            try:
                yield records
            except BaseException:
                records.undo()
                raise

    def close(self) -> None:
        """See `Store.close`."""


class _InMemory:
    def __init__(self, kinds: dict[str, dict[str, bytes]]) -> None:
        self._kinds = kinds
        self._before: list[tuple[str, str, bytes | None]] = []

    def get(self, kind: str, key: str) -> bytes | None:
        return self._kinds.get(kind, {}).get(key)

    def put(self, kind: str, key: str, value: bytes) -> None:
        self._before.append((kind, key, self.get(kind, key)))
        self._kinds.setdefault(kind, {})[key] = value

    def delete(self, kind: str, key: str) -> None:
        self._before.append((kind, key, self.get(kind, key)))
        self._kinds.get(kind, {}).pop(key, None)

    def items(self, kind: str) -> list[tuple[str, bytes]]:
        return sorted(self._kinds.get(kind, {}).items())

    def undo(self) -> None:
        for kind, key, value in reversed(self._before):
            if value is None:
                self._kinds.get(kind, {}).pop(key, None)
            else:
                self._kinds[kind][key] = value


class SQLiteStore:
    """Records in a file, which several processes may share.

    What was written is on the disk when `begin` ends, whatever happens to the process, or to the
    machine, then. One lock: taken by the thread that is in `begin`.

    Parameters
    ----------
    path : str or os.PathLike
        The file; made if it is not there.
    timeout : float
        Seconds to wait for another process that is in `begin`.

    Raises
    ------
    ValueError
        The file is something else.
    """

    _APPLICATION = 0x70796E64  # "pynd"

    def __init__(self, path: str | PathLike[str], timeout: float = 30.0) -> None:
        self._lock = threading.Lock()
        self._path = fspath(path)
        with ExitStack() as undone:
            try:
                self._db = sqlite3.connect(
                    self._path, timeout=timeout, isolation_level=None, check_same_thread=False
                )
                undone.callback(self._db.close)
                self._prepare()
            except sqlite3.DatabaseError as error:
                raise ValueError(f"{self._path} is no store of workflows: {error}") from error
            undone.pop_all()

    def _prepare(self) -> None:
        db = self._db
        # Others may open it for the first time, too.
        db.execute("BEGIN IMMEDIATE")
        try:
            (application,) = db.execute("PRAGMA application_id").fetchone()
            (tables,) = db.execute("SELECT count(*) FROM sqlite_master").fetchone()
            if application != self._APPLICATION and (application or tables):
                raise sqlite3.DatabaseError("it is another program's")
            db.execute(f"PRAGMA application_id = {self._APPLICATION}")
            db.execute(
                "CREATE TABLE IF NOT EXISTS records (kind TEXT, key TEXT, value BLOB NOT NULL,"
                " PRIMARY KEY (kind, key)) WITHOUT ROWID"
            )
            db.execute("COMMIT")
        finally:
            if db.in_transaction:
                db.execute("ROLLBACK")
        write_ahead(db)
        db.execute("PRAGMA synchronous = FULL")

    @contextmanager
    def begin(self) -> Iterator[Records]:
        """See `Store.begin`."""
        with self._lock:
            try:
                self._db.execute("BEGIN IMMEDIATE")
                yield _InSQLite(self._db)
                self._db.execute("COMMIT")
            except sqlite3.Error as error:  # it says nothing of what is kept
                LOGGER.error("%s: %s", self._path, error)
                raise
            finally:
                if self._db.in_transaction:
                    self._db.execute("ROLLBACK")

    def close(self) -> None:
        """See `Store.close`."""
        with self._lock:
            self._db.close()


def write_ahead(db: sqlite3.Connection) -> None:
    """Have a database keep a write-ahead log, also when several open it for the first time.

    Only one of them can switch, and the others are told at once that it is locked, whatever their
    time-out. A transaction is what they can wait with.
    """
    for is_last in (*[False] * 9, True):
        try:
            db.execute("PRAGMA journal_mode = WAL")
            return
        except sqlite3.OperationalError:
            if is_last:
                raise
        db.execute("BEGIN IMMEDIATE")
        db.execute("COMMIT")


class _InSQLite:
    def __init__(self, db: sqlite3.Connection) -> None:
        self._db = db

    def get(self, kind: str, key: str) -> bytes | None:
        row = self._db.execute(
            "SELECT value FROM records WHERE kind = ? AND key = ?", (kind, key)
        ).fetchone()
        return None if row is None else row[0]

    def put(self, kind: str, key: str, value: bytes) -> None:
        self._db.execute("REPLACE INTO records VALUES (?, ?, ?)", (kind, key, value))

    def delete(self, kind: str, key: str) -> None:
        self._db.execute("DELETE FROM records WHERE kind = ? AND key = ?", (kind, key))

    def items(self, kind: str) -> list[tuple[str, bytes]]:
        return self._db.execute(
            "SELECT key, value FROM records WHERE kind = ? ORDER BY key", (kind,)
        ).fetchall()
