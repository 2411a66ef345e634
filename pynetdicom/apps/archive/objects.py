"""Where the objects themselves are: files in hashed folders; `cloud` has the other kind of store.

An object is visible under its name only when it is complete, and nothing is ever replaced: a second
copy with other bytes is kept beside the first. The name is that of the SOP Instance UID; the index
can be made anew from the objects.
"""

from __future__ import annotations

import errno
import hashlib
import itertools
import logging
import os
import re
import tempfile
import time
from collections.abc import Callable, Collection, Iterator
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pynetdicom import _config
from pynetdicom.apps.storescp import HASHED, name_of
from pynetdicom.data_sets.part10 import same_data_set
from pynetdicom.data_sets.provisional import PART_PREFIX, remove_parts, sync_directory

if TYPE_CHECKING:
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.events import Event

LOGGER = logging.getLogger(__name__)

FOLDER_DIGITS = 3
"""Hexadecimal digits of a folder's name: 4096 folders, each with 2,500 files of 10 million."""

SETTLED = 5 * 10**9
"""Nanoseconds after which a folder's time of change can be trusted to tell of the next change."""

MOST_FOREIGN = 10_000
"""Files that are not ours, of which it is told how many they are."""

# The UID itself, or its digest.
OF_UID = rf"[0-9.]{{1,64}}?|{HASHED}[0-9a-f]{{64}}"


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
    arrived : int
        When it came, in nanoseconds, as `arrived` of the store tells ever after.
    """

    location: str
    folder: str
    is_new: bool
    is_first: bool
    arrived: int = 0


class ObjectFile(Protocol):
    """A file with an object that is to be kept."""

    data_set: EncodedDataSet

    @property
    def path(self) -> str:
        """The path of a Part 10 file with it."""

    def save_as(self, path: str, overwrite: bool = True, sync: bool = False) -> None:
        """Have it under another path too, all at once, as `Event.save_as` does."""


class ObjectStore(Protocol):
    """Keeps objects."""

    spool_dir: str | None
    """Where to receive objects, so that keeping them takes no copy."""

    @property
    def directory(self) -> str | None:
        """Where objects are, if that is on a disk of this machine."""

    is_local: bool
    """Whether fetching an object takes no copy."""

    def keep(self, event: Event, name: str) -> Kept:
        """Keep the object of a C-STORE request, whose SOP Instance UID gives it that name.

        Raises
        ------
        OSError
            It cannot be kept; nothing of it is visible.
        """

    def keep_file(self, file: ObjectFile, name: str) -> Kept:
        """Keep the object of a file, as `keep` does that of a request."""

    def fetch(self, location: str) -> Any:
        """A context manager that gives the path of a file with an object.

        Raises
        ------
        OSError
            The object cannot be read.
        """

    def has(self, location: str) -> bool:
        """Whether there is such an object."""

    def arrived(self, location: str) -> int:
        """When an object came, in nanoseconds.

        Raises
        ------
        OSError
            It cannot be told.
        """

    def foreign(self, folder: str | None, ours: Collection[str]) -> list[str]:
        """What is there that is not the store's, but for some paths: in a folder, or beside all."""

    def folders(self) -> Iterator[tuple[str, str | None]]:
        """All folders, and what changes when something is added or removed; None: not known."""

    def list(self, folder: str) -> list[str]:
        """The objects of a folder: first copies before second ones."""

    def set_aside(self, location: str) -> None:
        """Have an object that is to be deleted be nobody's, in one step.

        Raises
        ------
        OSError
            It is not there; or it cannot be done.
        """

    def is_aside(self, location: str) -> bool:
        """Whether an object was set aside."""

    def put_back(self, location: str) -> None:
        """Have an object that was set aside where it was, unless another one is there now."""

    def drop(self, location: str) -> None:
        """Delete an object that was set aside."""

    def size(self) -> int:
        """The bytes of all objects."""

    def clear(self) -> None:
        """Delete all objects."""


def folder_of(name: str) -> str:
    """The folder of what has the name of a SOP Instance UID."""
    return hashlib.sha256(name.encode("ascii")).hexdigest()[:FOLDER_DIGITS]


def first_of(location: str) -> str:
    """Where the first copy is, or was, of what may be a second one."""
    return re.sub(r"_[0-9]+\.dcm$", ".dcm", location)


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


class FileStore:
    """Objects in files below a directory of the local file system.

    Parameters
    ----------
    directory : str
        Made if need be.
    sync : bool
        Whether an object has to be on the disk before its storing is answered.
    """

    _NAME = re.compile(rf"({OF_UID})(?:_([0-9]+))?\.dcm", re.ASCII)
    is_local = True
    directory: str
    FOLDER = re.compile(rf"[0-9a-f]{{{FOLDER_DIGITS}}}", re.ASCII)

    def __init__(self, directory: str, *, sync: bool = False) -> None:
        self.directory = os.path.abspath(directory)
        self._sync = sync
        self._made: set[str] = set()
        self._last_arrival = 0
        # On the same file system, and no folder of objects.
        incoming = os.path.join(self.directory, "incoming")
        self.spool_dir: str | None = incoming
        os.makedirs(incoming, exist_ok=True)
        remove_parts(incoming)
        try:
            with tempfile.TemporaryFile(dir=incoming):
                pass
        except OSError as error:
            if error.errno not in (errno.ENOSPC, errno.EDQUOT):
                raise
            # What is there can be found and sent; there may be room again.
            LOGGER.warning("%s: %s: nothing can be stored", self.directory, error.strerror)

    def path(self, location: str) -> str:
        """The file of an object."""
        return os.path.join(self.directory, *location.split("/"))

    def keep(self, event: Event, name: str) -> Kept:
        """Keep the object of a C-STORE request; see `ObjectStore`."""
        return self._keep(event.save_as, event.request.data_set, name, self._stamp)

    def keep_file(self, file: ObjectFile, name: str) -> Kept:
        """Keep the object of a file, with its time; see `ObjectStore`."""
        return self._keep(file.save_as, file.data_set, name, self.arrived)

    def _keep(
        self,
        save_as: Callable[..., None],
        data_set: EncodedDataSet,
        name: str,
        arrival: Callable[[str], int],
    ) -> Kept:
        folder = folder_of(name)
        self._make(folder)
        for count in itertools.count(1):
            # No name has an underscore: the second copy of one never takes that of another.
            location = f"{folder}/{name}.dcm" if count == 1 else f"{folder}/{name}_{count}.dcm"
            try:
                self._save(save_as, folder, location)
            except FileExistsError:
                if same_data_set(data_set, self.path(location)):
                    arrived = self.arrived(location)
                    return Kept(location, folder, False, count == 1, arrived)
            else:
                return Kept(location, folder, True, count == 1, arrival(location))
        raise AssertionError  # pragma: no cover - the count has no end

    def _save(self, save_as: Callable[..., None], folder: str, location: str) -> None:
        try:
            save_as(self.path(location), overwrite=False, sync=self._sync)
        except FileNotFoundError:
            if folder not in self._made:
                raise
            self._made.discard(folder)  # which somebody has taken away
            self._make(folder)
            save_as(self.path(location), overwrite=False, sync=self._sync)

    def _stamp(self, location: str) -> int:
        """Note on a file when it came: the system's own times are too coarse to tell the order."""
        self._last_arrival = now = max(time.time_ns(), self._last_arrival + 1)
        with suppress(OSError):
            os.utime(self.path(location), ns=(now, now))
        return self.arrived(location)

    def arrived(self, location: str) -> int:
        """The time of the file."""
        return os.stat(self.path(location)).st_mtime_ns

    def foreign(self, folder: str | None, ours: Collection[str]) -> list[str]:
        """The files that are not the store's."""
        place = self.directory if folder is None else self.path(folder)
        return list(itertools.islice(self._foreign(folder, place, ours), MOST_FOREIGN))

    def _foreign(self, folder: str | None, place: str, ours: Collection[str]) -> Iterator[str]:
        known = self.FOLDER if folder is None else self._NAME
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(place)):
                path = os.path.join(place, name)
                if (
                    path in ours
                    or name.startswith(PART_PREFIX)
                    or (known.fullmatch(name) and os.path.isdir(path) is (not folder))
                ):
                    continue
                if not os.path.isdir(path):
                    yield os.path.relpath(path, self.directory)
                for above, directories, names in os.walk(path):
                    directories[:] = [d for d in directories if os.path.join(above, d) not in ours]
                    for one in names:
                        is_ours = one.startswith(PART_PREFIX) or os.path.join(above, one) in ours
                        if not is_ours:
                            yield os.path.relpath(os.path.join(above, one), self.directory)

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
        now = time.time_ns()
        for entry in os.scandir(self.directory):
            if self.FOLDER.fullmatch(entry.name) and entry.is_dir():
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

    def set_aside(self, location: str) -> None:
        """Give a file a name by which it is no object."""
        os.replace(self.path(location), self._aside(location))

    def _aside(self, location: str) -> str:
        name = location.replace("/", "-")
        return os.path.join(self.directory, "incoming", f"{PART_PREFIX}{name}.aside")

    def is_aside(self, location: str) -> bool:
        """Whether there is a file of that name."""
        return os.path.exists(self._aside(location))

    def put_back(self, location: str) -> None:
        """Give a file its name again, if that is free."""
        aside, path = self._aside(location), self.path(location)
        try:
            os.link(aside, path)
        except FileExistsError:
            pass
        except OSError:  # there are no links
            if not os.path.exists(path):
                os.rename(aside, path)
                return
        os.unlink(aside)

    def drop(self, location: str) -> None:
        """Delete a file that was set aside."""
        os.unlink(self._aside(location))

    def size(self) -> int:
        """The bytes of all files that are objects."""
        total = 0
        for folder, _ in self.folders():
            with suppress(FileNotFoundError), os.scandir(self.path(folder)) as entries:
                for entry in entries:
                    with suppress(FileNotFoundError):
                        total += entry.stat().st_size
        return total

    def clear(self) -> None:
        """Delete all files that are objects."""
        for folder, _ in list(self.folders()):
            for location in self.list(folder):
                os.unlink(self.path(location))
