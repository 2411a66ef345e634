"""The digests of an archive's objects: of storage commitment, or of ``qrscp verify``."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING

from pynetdicom.apps import options
from pynetdicom.apps.kept_files import Digests
from pynetdicom.workflows.stores import SQLiteStore, Store

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive


GATHERED = 200
"""Digests that are written at a time."""


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
    with closing(store), closing(Gathered(store)) as digests:
        yield digests


class Gathered(Digests):
    """Digests of which those that are new are written some at a time: each time waits for the disk.

    Parameters
    ----------
    store : Store
    """

    def __init__(self, store: Store) -> None:
        super().__init__(store)
        self._new: dict[str, tuple[int, tuple[str, str]]] = {}

    def is_same(self, key: str, written: int, digest: tuple[str, str]) -> bool:
        """See `Digests.is_same`."""
        with self._store.begin() as records:
            is_new = records.get(self._KIND, key) is None
        if not is_new:
            return super().is_same(key, written, digest)
        self._new[key] = written, digest
        if len(self._new) == GATHERED:
            self.close()
        return True

    def close(self) -> None:
        """Write those that are not written yet."""
        new, self._new = self._new, {}
        if new:
            with self._store.begin() as records:
                for key, (written, digest) in new.items():
                    self._is_same(records, key, written, digest)


def key_of(archive: Archive, location: str) -> str:
    """By what the digest of an object is kept.

    Where storage commitment compares bytes, it is by its place, and whatever is new there is made
    known. Otherwise nobody does that, and what came at another time is something else.
    """
    if archive.config.commitment_store is not None and archive.config.verify_bytes:
        return location
    return f"{location} {archive.store_of_objects.arrived(location)}"
