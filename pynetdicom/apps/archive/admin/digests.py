"""The digests of an archive's objects: of storage commitment, or of ``qrscp verify``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from pynetdicom.apps import options
from pynetdicom.apps.kept_files import Digests
from pynetdicom.workflows.stores import SQLiteStore

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive


@contextmanager
def digests_of(archive: Archive, *, make: bool) -> Iterator[Digests | None]:
    """Where digests are kept: the store of storage commitment, or else a file beside the index.

    None if there is none of them, and it is not made.

    Raises
    ------
    Failure
        The file is something else.
    """
    path = archive.config.commitment_store
    if path is None and archive.database.path is not None:
        path = f"{archive.database.path}-digests"
    if path is None or not (make or os.path.exists(path)):
        yield None
        return
    try:
        store = SQLiteStore(path)
    except ValueError as error:
        raise options.Failure(str(error)) from error
    with closing(store):
        yield Digests(store)


def key_of(archive: Archive, location: str) -> str:
    """By what the digest of an object is kept.

    Where storage commitment compares bytes, it is by its place, and whatever is new there is made
    known. Otherwise nobody does that, and what came at another time is something else.
    """
    if archive.config.commitment_store is not None and archive.config.verify_bytes:
        return location
    return f"{location} {archive.store_of_objects.arrived(location)}"
