"""Where the objects themselves are: files in hashed folders, or any store that fsspec can reach.

An object is visible under its name only when it is complete, and nothing is ever replaced: a second
copy with other bytes is kept beside the first. The name is that of the SOP Instance UID; the index
can be made anew from the objects.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import os
import re
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pynetdicom import _config
from pynetdicom.apps.archive.extras import require
from pynetdicom.apps.storescp import HASHED, name_of, same_data_set
from pynetdicom.dimse.provisional import remove_parts, sync_directory

if TYPE_CHECKING:
    from pynetdicom.events import Event

FOLDER_DIGITS = 3
"""Hexadecimal digits of a folder's name: 4096 folders, each with 2,500 files of 10 million."""

SETTLED = 5 * 10**9
"""Nanoseconds after which a folder's time of change can be trusted to tell of the next change."""

# The UID itself, or its digest.
_OF_UID = rf"[0-9.]{{1,64}}?|{HASHED}[0-9a-f]{{64}}"


class InvalidUID(Exception):
    """A UID that gives no name."""


class Kept(NamedTuple):
    """What became of an object that was to be stored.

    Attributes
    ----------
    location : str
        Its place in the store.
    folder : str
    is_new : bool
        Whether it was not there yet.
    is_first : bool
        Whether no other object had its SOP Instance UID, as far as the store knows.
    """

    location: str
    folder: str
    is_new: bool
    is_first: bool


class ObjectStore(Protocol):
    """Keeps objects."""

    spool_dir: str | None
    """Where to receive objects, so that keeping them takes no copy."""

    def keep(self, event: Event, name: str) -> Kept:
        """Keep the object of a C-STORE request, whose SOP Instance UID gives it that name.

        Raises
        ------
        OSError
            It cannot be kept; nothing of it is visible.
        """

    def fetch(self, location: str) -> Any:
        """A context manager that gives the path of a file with an object.

        Raises
        ------
        OSError
            The object cannot be read.
        """

    def has(self, location: str) -> bool:
        """Whether there is such an object."""

    def folders(self) -> Iterator[tuple[str, str | None]]:
        """All folders, and what changes when something is added or removed; None: not known."""

    def list(self, folder: str) -> list[str]:
        """The objects of a folder: first copies before second ones."""

    def clear(self) -> None:
        """Delete all objects."""


def folder_of(name: str) -> str:
    """The folder of what has the name of a SOP Instance UID."""
    return hashlib.sha256(name.encode("ascii")).hexdigest()[:FOLDER_DIGITS]


def uid_and_name(uid: Any, *, hashed: bool = False) -> tuple[str, str]:
    """A UID that a peer sent, without its padding, and the name that it gives.

    Parameters
    ----------
    uid : str or None
    hashed : bool
        Whether what is not 1 to 64 digits and dots gives one by its digest; see `name_of`.

    Raises
    ------
    InvalidUID
        It gives none.
    """
    text = str(uid or "").rstrip("\0 ")
    name = name_of(text, hashed=hashed)
    if name is None:
        raise InvalidUID("the SOP Instance UID is not digits and dots")
    # The library sends no such UID: what was taken here, nobody could ever get.
    is_sendable, why = _config.VALIDATORS.get("UI", _config.validate_ui)(text)
    if name != text and not is_sendable:
        raise InvalidUID(f"the SOP Instance UID {why}")
    return text, name


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


class FileStore:
    """Objects in files below a directory of the local file system.

    Parameters
    ----------
    directory : str
        Made if need be.
    sync : bool
        Whether an object has to be on the disk before its storing is answered.
    """

    _NAME = re.compile(rf"({_OF_UID})(?:_([0-9]+))?\.dcm", re.ASCII)
    _FOLDER = re.compile(rf"[0-9a-f]{{{FOLDER_DIGITS}}}", re.ASCII)

    def __init__(self, directory: str, *, sync: bool = False) -> None:
        self.directory = os.path.abspath(directory)
        self._sync = sync
        self._made: set[str] = set()
        # On the same file system, and no folder of objects.
        incoming = os.path.join(self.directory, "incoming")
        self.spool_dir: str | None = incoming
        os.makedirs(incoming, exist_ok=True)
        remove_parts(incoming)
        with tempfile.TemporaryFile(dir=incoming):
            pass

    def path(self, location: str) -> str:
        """The file of an object."""
        return os.path.join(self.directory, *location.split("/"))

    def keep(self, event: Event, name: str) -> Kept:
        """Keep the object of a C-STORE request; see `ObjectStore`."""
        folder = folder_of(name)
        self._make(folder)
        for count in itertools.count(1):
            # No name has an underscore: the second copy of one never takes that of another.
            location = f"{folder}/{name}.dcm" if count == 1 else f"{folder}/{name}_{count}.dcm"
            try:
                event.save_as(self.path(location), overwrite=False, sync=self._sync)
            except FileExistsError:
                if same_data_set(event.request.data_set, self.path(location)):
                    return Kept(location, folder, False, count == 1)
            else:
                return Kept(location, folder, True, count == 1)
        raise AssertionError  # pragma: no cover - the count has no end

    def _make(self, folder: str) -> None:
        if folder in self._made:
            return
        path = self.path(folder)
        with suppress(FileExistsError):
            os.mkdir(path)
            if self._sync:
                sync_directory(self.directory)
        self._made.add(folder)

    @contextmanager
    def fetch(self, location: str) -> Iterator[str]:
        """The path of an object's file."""
        path = self.path(location)
        os.stat(path)
        yield path

    def has(self, location: str) -> bool:
        """Whether there is such a file."""
        return os.path.exists(self.path(location))

    def folders(self) -> Iterator[tuple[str, str | None]]:
        """The folders, with the time of their last change where it is long enough ago."""
        import time

        now = time.time_ns()
        for entry in os.scandir(self.directory):
            if self._FOLDER.fullmatch(entry.name) and entry.is_dir():
                changed = entry.stat().st_mtime_ns
                yield entry.name, str(changed) if changed < now - SETTLED else None

    def list(self, folder: str) -> list[str]:
        """The objects of a folder."""
        path = self.path(folder)
        found = []
        with suppress(FileNotFoundError):
            remove_parts(path)
            for name in os.listdir(path):
                match = self._NAME.fullmatch(name)
                if match is not None:
                    found.append((int(match[2] or 1), name))
        return [f"{folder}/{name}" for _, name in sorted(found)]

    def clear(self) -> None:
        """Delete all files that are objects."""
        for folder, _ in list(self.folders()):
            for location in self.list(folder):
                os.unlink(self.path(location))


class CloudStore:
    """Objects in a store that fsspec can reach.

    An object's name has a digest of its bytes in it: two writers of different bytes cannot get in
    each other's way, and which was first the index says.

    Parameters
    ----------
    url : str
        Such as ``s3://bucket/prefix``.
    """

    _NAME = re.compile(rf"(?:{_OF_UID})-[0-9a-f]{{32}}\.dcm", re.ASCII)

    spool_dir: str | None = None

    def __init__(self, url: str) -> None:
        fsspec = require("fsspec")
        try:
            self._files, self._root = fsspec.core.url_to_fs(url)
        except (ImportError, ValueError) as error:
            raise OSError(errno.EINVAL, f"{url.partition('://')[0]}: {error}") from error
        self._root = self._root.rstrip("/")
        self._files.makedirs(self._root, exist_ok=True)

    def path(self, location: str) -> str:
        """The object's path in the store."""
        return f"{self._root}/{location}"

    def keep(self, event: Event, name: str) -> Kept:
        """Keep the object of a C-STORE request; see `ObjectStore`."""
        folder = folder_of(name)
        data_set = event.request.data_set
        digest = hashlib.sha256(data_set.transfer_syntax.encode())
        for part in data_set.parts():
            digest.update(part)
        location = f"{folder}/{name}-{digest.hexdigest()[:32]}.dcm"
        if self.has(location):
            return Kept(location, folder, False, True)
        path = self.path(location)
        self._files.makedirs(self.path(folder), exist_ok=True)
        try:
            # What is put in one go appears in one go; a local file system below fsspec is the
            # exception, and for that there is `FileStore`.
            self._files.put_file(event.dataset_path, path)
        except OSError:
            raise
        except Exception as error:  # each store has its own
            raise OSError(errno.EIO, f"the store fails: {type(error).__name__}") from error
        return Kept(location, folder, True, True)

    @contextmanager
    def fetch(self, location: str) -> Iterator[str]:
        """The path of a temporary file with the object."""
        descriptor, path = tempfile.mkstemp(prefix=".pynetdicom-", suffix=".dcm")
        os.close(descriptor)
        try:
            try:
                self._files.get_file(self.path(location), path)
            except OSError:
                raise
            except Exception as error:
                raise OSError(errno.EIO, f"the store fails: {type(error).__name__}") from error
            yield path
        finally:
            with suppress(FileNotFoundError):
                os.unlink(path)

    def has(self, location: str) -> bool:
        """Whether there is such an object."""
        return bool(self._files.exists(self.path(location)))

    def folders(self) -> Iterator[tuple[str, str | None]]:
        """The folders; a store does not tell whether they have changed."""
        self._files.invalidate_cache()
        for name in sorted(self._names(self._root)):
            if FileStore._FOLDER.fullmatch(name):
                yield name, None

    def _names(self, path: str) -> list[str]:
        try:
            found = self._files.ls(path, detail=False)
        except FileNotFoundError:
            return []
        return [entry.rstrip("/").rpartition("/")[2] for entry in found]

    def list(self, folder: str) -> list[str]:
        """The objects of a folder, the oldest first where the store tells."""
        entries = []
        with suppress(FileNotFoundError):
            entries = self._files.ls(self.path(folder), detail=True)
        names = [
            (str(e.get("created") or e.get("LastModified") or ""), e["name"].rpartition("/")[2])
            for e in entries
        ]
        return [f"{folder}/{name}" for _, name in sorted(names) if self._NAME.fullmatch(name)]

    def clear(self) -> None:
        """Delete all objects."""
        for folder, _ in list(self.folders()):
            for location in self.list(folder):
                self._files.rm_file(self.path(location))
