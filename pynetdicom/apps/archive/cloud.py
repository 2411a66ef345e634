"""Objects in any store that fsspec can reach; and which store a location is."""

from __future__ import annotations

import errno
import hashlib
import os
import re
import tempfile
from collections.abc import Callable, Collection, Iterator, Mapping
from contextlib import contextmanager, suppress
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pynetdicom.apps.archive.extras import require
from pynetdicom.apps.archive.objects import (
    OF_UID,
    FileStore,
    Kept,
    ObjectFile,
    ObjectStore,
    folder_of,
)

if TYPE_CHECKING:
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.events import Event

# Where the stores that fsspec knows tell when an object came.
_TIMES = (
    "LastModified",
    "last_modified",
    "created",
    "timeCreated",
    "creation_time",
    "updated",
    "modified",
    "mtime",
)

_ASIDE = "aside"
"""Where objects are that are being deleted."""


def open_store(location: str, *, sync: bool = False) -> ObjectStore:
    """Open a store: a location with ``://`` in it is fsspec's, but for ``file://``.

    Raises
    ------
    OSError
        It cannot be written to.
    MissingExtra
        A package is missing.
    """
    if location.startswith("file://"):
        location = location.removeprefix("file://")
    if "://" in location:
        return CloudStore(location)
    return FileStore(location, sync=sync)


class CloudStore:
    """Objects in a store that fsspec can reach.

    An object's name has a digest of its bytes in it: two writers of different bytes cannot get in
    each other's way, and which was first the index says.

    Parameters
    ----------
    url : str
        Such as ``s3://bucket/prefix``.
    """

    _NAME = re.compile(rf"(?:{OF_UID})-[0-9a-f]{{32}}\.dcm", re.ASCII)

    directory: str | None = None
    spool_dir: str | None = None
    is_local = False

    def __init__(self, url: str) -> None:
        fsspec = require("fsspec")
        try:
            with _asking():
                self._files, self._root = fsspec.core.url_to_fs(url)
        except OSError as error:
            why = (
                error.__cause__ if isinstance(error.__cause__, (ImportError, ValueError)) else error
            )
            raise OSError(errno.EINVAL, f"{url.partition('://')[0]}: {why}") from error
        self._root = self._root.rstrip("/")
        with _asking():
            self._files.makedirs(self._root, exist_ok=True)

    def path(self, location: str) -> str:
        """The object's path in the store."""
        return f"{self._root}/{location}"

    def keep(self, event: Event, name: str) -> Kept:
        """Keep the object of a C-STORE request; see `ObjectStore`."""
        return self._keep(event.request.data_set, lambda: event.dataset_path, name)

    def keep_file(self, file: ObjectFile, name: str) -> Kept:
        """Keep the object of a file; see `ObjectStore`."""
        return self._keep(file.data_set, lambda: file.path, name)

    def _keep(self, data_set: EncodedDataSet, path: Callable[[], str], name: str) -> Kept:
        folder = folder_of(name)
        digest = hashlib.sha256(data_set.transfer_syntax.encode())
        for part in data_set.parts():
            digest.update(part)
        location = f"{folder}/{name}-{digest.hexdigest()[:32]}.dcm"
        is_new = not self.has(location)
        if is_new:
            with _asking():
                self._files.makedirs(self.path(folder), exist_ok=True)
                # What is put in one go appears in one go; a local file system below fsspec is the
                # exception, and for that there is `FileStore`.
                self._files.put_file(path(), self.path(location))
        return Kept(location, folder, is_new, True, self.arrived(location))

    def arrived(self, location: str) -> int:
        """The time that the store gives an object."""
        with _asking():
            return _time_of(self._files.info(self.path(location)))

    def foreign(self, folder: str | None, ours: Collection[str]) -> list[str]:
        """What is not the store's; of other folders not what is in them."""
        known = FileStore.FOLDER if folder is None else self._NAME
        place = self._root if folder is None else self.path(folder)
        before = "" if folder is None else f"{folder}/"
        names = [name for name in self._names(place) if folder is not None or name != _ASIDE]
        return [before + name for name in names if not known.fullmatch(name)]

    @contextmanager
    def fetch(self, location: str) -> Iterator[str]:
        """The path of a temporary file with the object."""
        descriptor, path = tempfile.mkstemp(prefix=".pynetdicom-", suffix=".dcm")
        os.close(descriptor)
        try:
            with _asking():
                self._files.get_file(self.path(location), path)
            yield path
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def has(self, location: str) -> bool:
        """Whether there is such an object."""
        with _asking():
            return bool(self._files.exists(self.path(location)))

    def folders(self) -> Iterator[tuple[str, str | None]]:
        """The folders; a store does not tell whether they have changed."""
        with _asking():
            self._files.invalidate_cache()
        for name in sorted(self._names(self._root)):
            if FileStore.FOLDER.fullmatch(name):
                yield name, None

    def _names(self, path: str) -> list[str]:
        try:
            with _asking():
                found = self._files.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return [entry.rstrip("/").rpartition("/")[2] for entry in found]

    def list(self, folder: str) -> list[str]:
        """The objects of a folder, the oldest first where the store tells."""
        entries = []
        with suppress(FileNotFoundError), _asking():
            entries = self._files.ls(self.path(folder), detail=True)
        names = [(_time_of(entry), entry["name"].rpartition("/")[2]) for entry in entries]
        return [f"{folder}/{name}" for _, name in sorted(names) if self._NAME.fullmatch(name)]

    def set_aside(self, location: str) -> None:
        """Move an object out of its folder."""
        with _asking():
            self._files.makedirs(self.path(_ASIDE), exist_ok=True)
            self._files.mv(self.path(location), self._aside(location))

    def _aside(self, location: str) -> str:
        return self.path(f"{_ASIDE}/{location.replace('/', '-')}")

    def is_aside(self, location: str) -> bool:
        """Whether it is there."""
        with _asking():
            return bool(self._files.exists(self._aside(location)))

    def put_back(self, location: str) -> None:
        """Move it back: what may be there now has the same bytes."""
        with _asking():
            self._files.mv(self._aside(location), self.path(location))

    def drop(self, location: str) -> None:
        """Delete an object that was set aside."""
        with _asking():
            self._files.rm_file(self._aside(location))

    def size(self) -> int:
        """The bytes of all objects, as far as the store tells."""
        total = 0
        for folder, _ in self.folders():
            with suppress(FileNotFoundError), _asking():
                entries = self._files.ls(self.path(folder), detail=True)
                total += sum(entry.get("size") or 0 for entry in entries)
        return total

    def clear(self) -> None:
        """Delete all objects."""
        for folder, _ in list(self.folders()):
            for location in self.list(folder):
                with _asking():
                    self._files.rm_file(self.path(location))


@contextmanager
def _asking() -> Iterator[None]:
    """Make an OSError of whatever a store says: each has exceptions of its own."""
    try:
        yield
    except OSError:
        raise
    except Exception as error:
        raise OSError(errno.EIO, f"the store fails: {type(error).__name__}") from error


def _time_of(entry: Mapping[str, Any]) -> int:
    """When something was put into a store, in nanoseconds, by the store's own account."""
    for key in _TIMES:
        value = entry.get(key)
        if isinstance(value, str):
            with suppress(ValueError):
                value = datetime.fromisoformat(value)
        if isinstance(value, datetime):
            value = value if value.tzinfo else value.replace(tzinfo=UTC)
            since = value - datetime.fromtimestamp(0, UTC)
            return (since // timedelta(microseconds=1)) * 1000
        if isinstance(value, (int, float)):
            return int(value * 10**9)
    return 0
