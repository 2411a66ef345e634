"""The database of the index: one engine a process, writers one after another.

SQLite is opened in WAL mode, so that readers and a writer do not wait for each other; a writer
begins with BEGIN IMMEDIATE, since a transaction that reads first and writes then cannot wait for
another writer. What is committed survives the end of the process, however that comes about; with
`sync` it survives a power failure too.
"""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from typing import Any, TypeVar
from urllib.parse import urlsplit

import sqlalchemy as sa
from sqlalchemy.engine import URL, Connection, make_url

from pynetdicom.apps.archive import schema
from pynetdicom.apps.archive.extras import require

BUSY_TIMEOUT = 30.0
"""Seconds that a writer waits for those of other processes."""

CONNECTIONS = 10
"""Connections of a process. None is held while a peer is waited for, so that more would do nothing
but be too many for a server with several workers and hosts."""

CACHE_SIZE = 16 << 20
"""Bytes of SQLite's cache, of each connection; what it lacks, the system's has."""

ATTEMPTS = 20
"""How often a transaction is tried that another one has got in the way of."""

_FIRST_LOCK = 0x444943 << 8  # of PostgreSQL's advisory locks: any number of our own will do

Result = TypeVar("Result")


class DatabaseProblem(Exception):
    """The database cannot be opened, or is not ours."""


def database_url(location: str) -> URL:
    """The URL of a database: what has ``://`` in it is one, anything else is a file of SQLite.

    Raises
    ------
    DatabaseProblem
        It is not a database of a kind that the archive can use.
    """
    if "://" not in location:
        return URL.create("sqlite", database=os.path.abspath(location))
    try:
        url = make_url(location)
    except sa.exc.ArgumentError:
        raise DatabaseProblem("the database's URL cannot be understood") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseProblem(f"{urlsplit(location).scheme}: neither sqlite nor postgresql")
    return url


def _was_in_the_way(error: sa.exc.DBAPIError) -> bool:
    """Whether another transaction was in the way, which means that that one has got on.

    It has deleted a row that this one refers to, or there was a deadlock.
    """
    if isinstance(error, sa.exc.IntegrityError):
        return True
    return getattr(error.orig, "sqlstate", None) in ("40001", "40P01")


class Database:
    """A database with the tables of the index.

    Parameters
    ----------
    location : str
        A file of SQLite, or a URL such as ``postgresql+psycopg://user@host/archive``.
    sync : bool
        Whether what is committed has to survive a power failure.

    Raises
    ------
    DatabaseProblem
        It cannot be opened.
    """

    def __init__(self, location: str, *, sync: bool = False) -> None:
        url = database_url(location)
        self.is_sqlite = url.get_backend_name() == "sqlite"
        self._sync = sync
        self._writing = threading.Lock() if self.is_sqlite else contextlib.nullcontext()
        arguments: dict[str, Any] = {}
        if self.is_sqlite:
            if not url.database or url.database == ":memory:":
                raise DatabaseProblem("a database in memory is gone with its process")
            os.makedirs(os.path.dirname(url.database), exist_ok=True)
            arguments["timeout"] = BUSY_TIMEOUT
        elif url.drivername == "postgresql+psycopg":
            require("psycopg")
        self.engine = sa.create_engine(
            url,
            connect_args=arguments,
            poolclass=sa.QueuePool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT,
            pool_pre_ping=not self.is_sqlite,  # the server may have been restarted
            hide_parameters=True,  # they are about patients
        )
        sa.event.listen(self.engine, "connect", self._connected)
        sa.event.listen(self.engine, "begin", self._begun)
        try:
            self._create()
        except DatabaseProblem:
            self.close()
            raise
        except sa.exc.SQLAlchemyError as error:
            self.close()
            cause = getattr(error, "orig", None) or error
            raise DatabaseProblem(f"the database cannot be opened: {cause}") from error

    def close(self) -> None:
        """Close all connections."""
        self.engine.dispose()

    def _connected(self, connection: Any, record: object) -> None:
        if not self.is_sqlite:
            return
        # Transactions are begun by `_begun`, not by the driver when it thinks fit.
        connection.isolation_level = None
        for pragma in (
            "journal_mode=WAL",
            f"synchronous={'FULL' if self._sync else 'NORMAL'}",
            "foreign_keys=ON",
            "case_sensitive_like=ON",
            f"cache_size=-{CACHE_SIZE >> 10}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def _begun(self, connection: Connection) -> None:
        if self.is_sqlite:
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def _create(self) -> None:
        with self._writing, self._begin() as connection:
            if not self.is_sqlite:
                # Several processes and hosts may start at the same time.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_FIRST_LOCK)))
            schema.metadata.create_all(connection)
            version = sa.select(schema.setting.c.value).where(schema.setting.c.name == "version")
            found = connection.scalar(version)
            if found is None:
                values = {"name": "version", "value": str(schema.VERSION)}
                connection.execute(schema.setting.insert().values(values))
            elif found != str(schema.VERSION):
                raise DatabaseProblem(
                    f"the index is of version {found}, not {schema.VERSION}: delete the database"
                    " (not the objects), and it is made anew"
                )

    @contextlib.contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def reading(self) -> Iterator[Connection]:
        """A transaction that reads."""
        with self.engine.connect() as connection, connection.begin():
            yield connection

    def write(self, work: Callable[[Connection], Result]) -> Result:
        """Do something in a transaction, again if another one got in its way.

        Parameters
        ----------
        work : callable
            Called with the connection; what it gives is given when it has been committed.
        """
        attempt = 1
        while True:
            try:
                with self._writing, self._begin() as connection:
                    return work(connection)
            except sa.exc.DBAPIError as error:
                if attempt == ATTEMPTS or not _was_in_the_way(error):
                    raise
            attempt += 1

    def insert(self, table: sa.Table) -> Any:
        """An INSERT that leaves what is there already as it is."""
        if self.is_sqlite:
            from sqlalchemy.dialects.sqlite import insert as sqlite_insert

            return sqlite_insert(table).on_conflict_do_nothing()
        from sqlalchemy.dialects.postgresql import insert as postgresql_insert

        return postgresql_insert(table).on_conflict_do_nothing()
