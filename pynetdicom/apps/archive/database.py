"""The database of the index: one engine a process, writers one after another.

SQLite is opened in WAL mode, so that readers and a writer do not wait for each other; a writer
begins with BEGIN IMMEDIATE, since a transaction that reads first and writes then cannot wait for
another writer. What is committed survives the end of the process, however that comes about; with
`sync` it survives a power failure too.

Where the disk is full, SQLite cannot make the file by which connections share what they know of the
database. It is read alone then, by one connection at a time, until there is room again.
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

from pynetdicom.apps.archive import ownership, schema
from pynetdicom.apps.archive.extras import require
from pynetdicom.apps.archive.line import Line
from pynetdicom.apps.archive.ownership import DatabaseProblem
from pynetdicom.workflows.stores import write_ahead
from pynetdicom.workflows.watch import Cancelled, Watch

BUSY_TIMEOUT = 30.0
"""Seconds that a writer waits for those of other processes."""

CONNECTIONS = 10
"""Connections of a process. None is held while a peer is waited for, so that more would do nothing
but be too many for a server with several workers and hosts."""

CACHE_SIZE = 16 << 20
"""Bytes of SQLite's cache, of each connection; what it lacks, the system's has."""

ATTEMPTS = 20
"""How often a transaction is tried that another one has got in the way of."""

INSTRUCTIONS = 100
"""Of SQLite's machine, between two looks whether the query is still wanted."""

STATEMENT_MILLISECONDS = 50
"""What PostgreSQL has for a statement that can be asked for fewer rows."""

_NO_ROOM = frozenset(("SQLITE_FULL", "SQLITE_IOERR_SHMSIZE"))
_QUERY_CANCELED = "57014"

_FIRST_LOCK = 0x444943 << 8  # of PostgreSQL's advisory locks: any number of our own will do

Result = TypeVar("Result")


class TookLong(Exception):
    """A statement was ended since it took too long: it is to be tried for a part of the rows."""


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
    except (sa.exc.ArgumentError, ValueError):  # the latter of a port that is no number
        raise DatabaseProblem("the database's URL cannot be understood") from None
    if url.drivername in ("postgresql", "postgres"):
        url = url.set(drivername="postgresql+psycopg")
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise DatabaseProblem(f"{urlsplit(location).scheme}: neither sqlite nor postgresql")
    if url.get_backend_name() == "sqlite" and url.query:
        raise DatabaseProblem("the URL of a file of SQLite takes no options: nothing after ?")
    return url


def _engine(url: URL, **options: Any) -> sa.Engine:
    try:
        # The parameters of statements are about patients.
        return sa.create_engine(url, hide_parameters=True, **options)
    except (sa.exc.ArgumentError, ImportError) as error:
        raise DatabaseProblem(f"{url.drivername}: {error}") from error


def is_full(error: BaseException) -> bool:
    """Whether SQLite says that there is no room left."""
    return getattr(getattr(error, "orig", None), "sqlite_errorname", None) in _NO_ROOM


def _has_file(path: str | None) -> bool:
    """Whether a database's file is there, and ours; its directory is, afterwards."""
    if not path or path == ":memory:":
        raise DatabaseProblem("a database in memory is gone with its process")
    if path.startswith("file:"):
        raise DatabaseProblem("a file of SQLite is given by its path, not as file:")
    is_made = ownership.file_is_ours(path)
    try:
        os.makedirs(os.path.dirname(os.path.abspath(path)), exist_ok=True)
    except OSError as error:
        raise DatabaseProblem(f"{path}: {error.strerror or error}") from error
    return is_made


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
        # Of a file of SQLite; None: it is not in one.
        self.path = url.database if self.is_sqlite else None
        self._sync = sync
        self._writing = threading.Lock() if self.is_sqlite else contextlib.nullcontext()
        arguments: dict[str, Any] = {}
        is_made = False
        if self.is_sqlite:
            is_made = _has_file(url.database)
            arguments["timeout"] = BUSY_TIMEOUT
        elif url.drivername == "postgresql+psycopg":
            require("psycopg")
        self.engine = _engine(
            url,
            connect_args=arguments,
            poolclass=sa.QueuePool,
            pool_size=CONNECTIONS,
            max_overflow=0,
            pool_timeout=BUSY_TIMEOUT,
            pool_pre_ping=not self.is_sqlite,  # the server may have been restarted
        )
        self.line: Line[Any] | None = None
        """Where there is one: a connection for what several threads add at the same time."""
        if url.drivername == "postgresql+psycopg":
            self.line = Line(self.engine)
        sa.event.listen(self.engine, "connect", self._connected)
        sa.event.listen(self.engine, "begin", self._begun)
        # Where there is no room: one connection at a time, of this process and of all others.
        self._alone = _engine(url, connect_args=arguments, poolclass=sa.NullPool)
        sa.event.listen(self._alone, "connect", self._connected_alone)
        sa.event.listen(self._alone, "begin", self._begun)
        self._being_alone = threading.Lock()
        try:
            if not is_made:
                self._create(url)
        except DatabaseProblem:
            self.close()
            raise
        except sa.exc.SQLAlchemyError as error:
            self.close()
            cause = getattr(error, "orig", None) or error
            raise DatabaseProblem(f"the database cannot be opened: {cause}") from error

    def close(self) -> None:
        """Close all connections."""
        if self.line is not None:
            self.line.close()
        self.engine.dispose()

    def _connected(self, connection: Any, record: object) -> None:
        if not self.is_sqlite:
            return
        # Transactions are begun by `_begun`, not by the driver when it thinks fit.
        connection.isolation_level = None
        write_ahead(connection)
        for pragma in (
            f"synchronous={'FULL' if self._sync else 'NORMAL'}",
            "foreign_keys=ON",
            "case_sensitive_like=ON",
            f"cache_size=-{CACHE_SIZE >> 10}",
        ):
            connection.execute(f"PRAGMA {pragma}")

    def _connected_alone(self, connection: Any, record: object) -> None:
        connection.isolation_level = None
        for pragma in ("locking_mode=EXCLUSIVE", "case_sensitive_like=ON"):
            connection.execute(f"PRAGMA {pragma}")

    def _begun(self, connection: Connection) -> None:
        if self.is_sqlite:
            writes = connection.get_execution_options().get("writes", False)
            connection.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")

    def _create(self, url: URL) -> None:
        where = url.render_as_string(hide_password=True)
        with self._writing, self._begin() as connection:
            if not self.is_sqlite:
                # Several processes and hosts may start at the same time.
                connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_FIRST_LOCK)))
            if not ownership.is_ours(self._content(connection), where):
                schema.metadata.create_all(connection)
                values = {"name": "version", "value": str(schema.VERSION)}
                connection.execute(schema.setting.insert().values(values))

    def _content(self, connection: Connection) -> ownership.Content:
        query = ownership.TABLES_OF_SQLITE if self.is_sqlite else ownership.TABLES_OF_POSTGRESQL
        tables = connection.exec_driver_sql(query).scalars().all()
        if not ownership.has_ours(tables):
            return ownership.Content(tables, None)
        return ownership.Content(tables, connection.exec_driver_sql(ownership.VERSION_OF).scalar())

    @contextlib.contextmanager
    def _begin(self) -> Iterator[Connection]:
        with self.engine.connect() as plain:
            connection = plain.execution_options(writes=True)
            with connection.begin():
                yield connection

    @contextlib.contextmanager
    def reading(self, watch: Watch | None = None, *, in_time: bool = False) -> Iterator[Connection]:
        """A transaction that reads.

        Parameters
        ----------
        watch : Watch, optional
            Tells whether what is read is still wanted.
        in_time : bool
            Whether a statement may be ended that takes long.

        Raises
        ------
        Cancelled
            It is not wanted any more.
        TookLong
            A statement took too long.
        """
        with self._connection() as connection, connection.begin():
            if watch is None:
                yield connection
                return
            watch.look()
            try:
                with self._watched(connection, watch, in_time):
                    yield connection
            except sa.exc.DBAPIError as error:
                if getattr(error.orig, "sqlite_errorname", None) == "SQLITE_INTERRUPT":
                    raise Cancelled from error
                if in_time and getattr(error.orig, "sqlstate", None) == _QUERY_CANCELED:
                    raise TookLong from error
                raise

    @contextlib.contextmanager
    def _watched(self, connection: Connection, watch: Watch, in_time: bool) -> Iterator[None]:
        if not self.is_sqlite:
            if in_time:
                limit = f"SET LOCAL statement_timeout = {STATEMENT_MILLISECONDS}"
                connection.exec_driver_sql(limit)
            yield
            return
        driver: Any = connection.connection.driver_connection
        driver.set_progress_handler(watch.is_cancelled, INSTRUCTIONS)
        try:
            yield
        finally:
            driver.set_progress_handler(None, 0)

    @contextlib.contextmanager
    def _connection(self) -> Iterator[Connection]:
        try:
            connection = self.engine.connect()
        except sa.exc.OperationalError as error:
            if not is_full(error):
                raise
            with self._being_alone, self._alone.connect() as alone:
                yield alone
            return
        with connection:
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
