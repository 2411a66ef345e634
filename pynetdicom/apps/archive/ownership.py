"""Whether a database is the archive's: what belongs to others is left as it is, to the last byte.

A file of SQLite is looked at without opening it as a database that may be written: that alone would
make files beside it, and change it where another program has left something to be completed.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Collection
from contextlib import closing, suppress
from typing import NamedTuple
from urllib.parse import quote

from pynetdicom.apps.archive import schema
from pynetdicom.utils import printable

_MAGIC = b"SQLite format 3\0"
_SHOWN_TABLES = 5

TABLES_OF_SQLITE = (
    "SELECT name FROM sqlite_master WHERE type IN ('table', 'view') AND name NOT LIKE 'sqlite\\_%'"
    " ESCAPE '\\'"
)
TABLES_OF_POSTGRESQL = (
    "SELECT relname FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace"
    " WHERE nspname = current_schema() AND relkind IN ('r', 'p', 'v', 'm', 'f') AND NOT EXISTS"
    " (SELECT 1 FROM pg_depend WHERE classid = 'pg_class'::regclass AND objid = pg_class.oid"
    " AND deptype = 'e')"
)
"""What extensions have brought is nobody's."""

VERSION_OF = "SELECT value FROM setting WHERE name = 'version'"


class DatabaseProblem(Exception):
    """The database cannot be opened, or is not ours."""


class Content(NamedTuple):
    """What a database has: its tables, and the version that ours say.

    Attributes
    ----------
    is_marked : bool
        Whether a program has put its number into a file of SQLite.
    """

    tables: Collection[str]
    version: str | None
    is_marked: bool = False


def is_ours(content: Content, where: str) -> bool:
    """Whether a database is an index; False if it is empty.

    Raises
    ------
    DatabaseProblem
        It is something else, or an index of another version.
    """
    if not content.tables:
        return False
    version = content.version
    if not isinstance(version, str) or not version.isdecimal():
        names = sorted(content.tables)
        shown = ", ".join(map(printable, names[:_SHOWN_TABLES]))
        more = ", …" if len(names) > _SHOWN_TABLES else ""
        raise DatabaseProblem(
            f"{where} is the database of another program, with tables of its own ({shown}{more}):"
            " it is left as it is. Give the archive a database that is empty, or not there yet"
        )
    if int(version) > schema.VERSION:
        raise DatabaseProblem(
            f"the index is of version {version}, made by a newer qrscp than this one, which knows"
            f" version {schema.VERSION}: it is left as it is. It is {where}"
        )
    if int(version) < schema.VERSION:
        raise DatabaseProblem(
            f"the index is of version {version}, not {schema.VERSION}: delete the database"
            f" (not the objects), and it is made anew. It is {where}"
        )
    return True


def has_ours(tables: Collection[str]) -> bool:
    """Whether all tables of an index are there."""
    return set(schema.metadata.tables) <= set(tables)


def file_is_ours(path: str) -> bool:
    """Whether a file of SQLite is an index; False if there is none, or an empty one.

    Raises
    ------
    DatabaseProblem
        It is something else; or cannot be read.
    """
    try:
        with open(path, "rb") as file:
            header = file.read(len(_MAGIC))
    except FileNotFoundError:
        return False
    except OSError as error:
        raise DatabaseProblem(f"{path}: {error.strerror or error}") from error
    if not header:
        return False
    if not header.startswith(_MAGIC):
        raise DatabaseProblem(f"{path} is no SQLite database: it is left as it is")
    content = _read(f"file:{quote(path)}?immutable=1")
    if content is None or content.version is None:
        # What was written last may not be in the file yet: that is seen in a copy.
        content = _read_copy(path) if _size(f"{path}-wal") else content
    if content is None:
        raise DatabaseProblem(f"{path} is a damaged SQLite database: it is left as it is")
    if not content.tables and content.is_marked:
        raise DatabaseProblem(f"{path} is the database of another program: it is left as it is")
    return is_ours(content, path)


def _read(uri: str) -> Content | None:
    """What a file has; None if it cannot be read."""
    try:
        with closing(sqlite3.connect(uri, uri=True)) as connection:
            tables = [row[0] for row in connection.execute(TABLES_OF_SQLITE)]
            (mark,) = connection.execute("PRAGMA application_id").fetchone()
            version = None
            if has_ours(tables):
                with suppress(sqlite3.Error):  # a table of that name that is another
                    (version,) = connection.execute(VERSION_OF).fetchone() or (None,)
            return Content(tables, version, bool(mark))
    except sqlite3.Error:
        return None


def _read_copy(path: str) -> Content | None:
    with tempfile.TemporaryDirectory(prefix="pynetdicom-") as place:
        copy = os.path.join(place, "copy")
        for suffix in ("", "-wal"):
            shutil.copyfile(path + suffix, copy + suffix)
        return _read(f"file:{quote(copy)}")


def _size(path: str) -> int:
    try:
        return os.path.getsize(path)
    except OSError:
        return 0
