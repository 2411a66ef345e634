"""Whether an archive is at work, or its administration: locks tell, which no kill leaves behind.

Whoever works with an index holds a lock that many can have, and whoever must be alone one that
nobody else has. For an index in SQLite they are those of an empty database beside it, since SQLite
has such locks on every system; in PostgreSQL an advisory lock, of each connection of the pool.
"""

from __future__ import annotations

import logging
import sqlite3
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pynetdicom.apps.archive.database import Database

LOGGER = logging.getLogger(__name__)

SUFFIX = "-inuse"
"""What the name of the file ends with that has the locks."""

PATIENCE = 10.0
"""Seconds in which somebody who is alone should be done."""

_KEY = 0x444943  # of PostgreSQL's advisory locks; the second half is the schema's
_SCHEMA = "hashtext(current_schema())"

_SHARED = ("BEGIN", "SELECT count(*) FROM sqlite_master")
_EXCLUSIVE = ("BEGIN EXCLUSIVE",)


class InUse(Exception):
    """An archive is at work, or somebody who must be alone is."""


@contextmanager
def at_work(database: Database) -> Iterator[None]:
    """Have everybody know that the index is in use.

    Raises
    ------
    InUse
        Somebody is alone with it, and goes on being.
    """
    path = database.path
    if path is None:
        _lock_connections(database)
        yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(path + SUFFIX, PATIENCE, _SHARED))
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                raise InUse(f"somebody is alone with {path}, such as --clean") from error
            # Such as a disk without room for an empty file: what is there can be found and sent.
            LOGGER.warning("%s%s: %s: nobody can see that it is in use", path, SUFFIX, error)
        yield


@contextmanager
def alone(database: Database) -> Iterator[None]:
    """Be the only one that uses the index.

    Raises
    ------
    InUse
        Somebody else does.
    """
    path = database.path
    if path is None:
        with _advisory(database, f"{_KEY}, {_SCHEMA}", "an archive"):
            yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(path + SUFFIX, 0, _EXCLUSIVE))
        except sqlite3.OperationalError as error:
            if _is_locked(error):
                raise InUse(f"an archive is at work with {path}") from error
            raise InUse(f"{path}{SUFFIX}: {error}: who is at work cannot be told") from error
        yield


@contextmanager
def in_turn(database: Database, what: str, *, patience: float = PATIENCE) -> Iterator[None]:
    """Be the only one that does something of a kind, whatever else is done.

    Raises
    ------
    InUse
        Somebody else does it, and is not done in time.
    """
    path = database.path
    if path is None:
        lock = f"{_KEY}, hashtext(current_schema() || '{what}')"
        with _advisory(database, lock, f"another {what}"):
            yield
        return
    with ExitStack() as stack:
        try:
            stack.enter_context(_locked(f"{path}-{what}", patience, _EXCLUSIVE))
        except sqlite3.OperationalError as error:
            raise InUse(f"another {what} is at work with {path}") from error
        yield


@contextmanager
def _advisory(database: Database, lock: str, who: str) -> Iterator[None]:
    """Hold a lock of PostgreSQL; InUse says who has it."""
    with database.engine.connect() as held:
        if not held.exec_driver_sql(f"SELECT pg_try_advisory_lock({lock})").scalar():
            raise InUse(f"{who} is at work with this index")
        try:
            yield
        finally:
            held.exec_driver_sql(f"SELECT pg_advisory_unlock({lock})")


@contextmanager
def _locked(path: str, timeout: float, statements: tuple[str, ...]) -> Iterator[None]:
    with closing(
        sqlite3.connect(path, timeout=timeout, isolation_level=None, check_same_thread=False)
    ) as connection:
        for statement in statements:
            connection.execute(statement).fetchall()
        yield


def _is_locked(error: sqlite3.OperationalError) -> bool:
    return getattr(error, "sqlite_errorname", "").startswith("SQLITE_BUSY")


def _lock_connections(database: Database) -> None:
    """Have each connection of the pool hold the lock, also those made when the server is back."""
    import sqlalchemy as sa

    def connected(connection: Any, record: object) -> None:
        with connection.cursor() as cursor:
            cursor.execute(f"SELECT pg_advisory_lock_shared({_KEY}, {_SCHEMA})")
        connection.commit()

    database.engine.dispose()
    sa.event.listen(database.engine, "connect", connected)
    with database.engine.connect():
        pass  # from here on it is in the pool, which keeps it
