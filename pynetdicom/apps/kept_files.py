"""A directory of DICOM files, as that which is kept: what storage commitment can be given for.

An index of the directory says where an object may be; whether it is there, the file itself says,
each time. Whether its bytes are those that it had when its object was first committed, their digest
says, which was kept then.
"""

from __future__ import annotations

import hashlib
import logging
import os
import threading
import time
from collections.abc import Iterator
from typing import IO

from pynetdicom.data_sets.descriptor import POSIX
from pynetdicom.data_sets.part10 import read_checked, read_header
from pynetdicom.data_sets.provisional import sync_directory
from pynetdicom.errors import FileProblem
from pynetdicom.utils import printable
from pynetdicom.workflows.commitment import (
    CLASS_INSTANCE_CONFLICT,
    NO_SUCH_INSTANCE,
    PROCESSING_FAILURE,
    Reference,
)
from pynetdicom.workflows.stores import Records, Store

LOGGER = logging.getLogger(__name__)

COMMITTED = 0
CHUNK = 1 << 20
SETTLED_NS = 2_000_000_000
"""A folder that changed less than so long before it was listed may have changed again since: no
file system's clock is coarser."""

_SYNCED = "rb" if POSIX else "r+b"
"""How a file is opened that is to be on the disk."""

Signature = tuple[int, int, int]
"""What another file, or another content, changes: inode, time, size."""


class Digests:
    """What the bytes of files were when they were first looked at; for any thread.

    Parameters
    ----------
    store : Store
        Where they are kept.
    """

    _KIND = "digest"

    def __init__(self, store: Store) -> None:
        self._store = store

    def is_same(self, key: str, written: int, digest: tuple[str, str]) -> bool:
        """Whether it is the digest that was kept; the first one is.

        Parameters
        ----------
        key : str
            What is where.
        written : int
            When, in nanoseconds: what was written again has to have the same data set, and may say
            otherwise who sent it.
        digest : tuple of str
            Of all of the file, and of its data set.
        """
        with self._store.begin() as records:
            return self._is_same(records, key, written, digest)

    def _is_same(self, records: Records, key: str, written: int, digest: tuple[str, str]) -> bool:
        whole, data_set = digest
        known = records.get(self._KIND, key)
        if known is not None:
            before = known.decode().split()
            if before[1] == whole:
                return True
            if before[0] == str(written) or before[2] != data_set:
                return False
        records.put(self._KIND, key, f"{written} {whole} {data_set}".encode())
        return True

    def forget(self, key: str) -> None:
        """Have something new where something was."""
        with self._store.begin() as records:
            if records.get(self._KIND, key) is not None:
                records.delete(self._KIND, key)


class KeptFiles:
    """The objects of a directory, and what is below it; for any thread.

    One lock: taken by the thread that looks for an object in the index.

    Parameters
    ----------
    directory : str
    digests : Digests, optional
        With them a file is read to its last byte before its object is committed, and has to be what
        it was; otherwise only the headers of its elements are read, to their end.
    """

    def __init__(self, directory: str, *, digests: Digests | None = None) -> None:
        self._directory = directory
        self._digests = digests
        self._lock = threading.Lock()
        self._paths: dict[str, set[str]] = {}  # by SOP Instance UID
        self._seen: dict[str, Signature] = {}  # by path
        self._unreadable: set[str] = set()
        self._listed: dict[str, tuple[int, list[str]]] = {}  # folder → its time, its folders

    def check(self, instance: Reference) -> int:
        """Whether an object is kept: 0, or a Failure Reason (PS3.3 C.14.1.1)."""
        reason = NO_SUCH_INSTANCE
        for path in self._find(instance.sop_instance):
            try:
                reason = look_into(path, instance, self._digests)
            except (FileProblem, OSError) as error:
                LOGGER.error("%s cannot be committed: %s", printable(instance.sop_instance), error)
                reason = PROCESSING_FAILURE
            if reason == COMMITTED:
                break
        return reason

    def _find(self, uid: str) -> list[str]:
        """Give the files that have an object, or had when they were looked into."""
        with self._lock:
            found = self._still_there(uid)
            if not found:
                self._look_through()
                found = self._still_there(uid)
            return found

    def _still_there(self, uid: str) -> list[str]:
        known = list(self._paths.get(uid, ()))
        for path in known:
            self._read(path)  # if it has changed, without its folder knowing of that
        return [path for path in known if os.path.exists(path)]

    def _look_through(self) -> None:
        """Have the index know of every file; only what has changed is read."""
        for path in list(self._unreadable):  # which may have been written to its end since
            self._read(path)
        for path in self._files():
            self._read(path)

    def _files(self) -> Iterator[str]:
        """Give the files of folders whose names may have changed since they were listed."""
        folders = [self._directory]
        while folders:
            folder = folders.pop()
            try:
                changed = os.stat(folder).st_mtime_ns
                is_settled = changed < time.time_ns() - SETTLED_NS
                before, below = self._listed.get(folder, (None, []))
                if changed != before:
                    with os.scandir(folder) as entries:
                        found = list(entries)
                    yield from (one.path for one in found if one.is_file())
                    below = [one.path for one in found if one.is_dir(follow_symlinks=False)]
                    if is_settled:
                        self._listed[folder] = changed, below
            except OSError as error:
                LOGGER.error("%s cannot be looked through: %s", folder, error.strerror or error)
            else:
                folders += below

    def _read(self, path: str) -> None:
        signature = signature_of(path)
        if signature is None or signature == self._seen.get(path):
            return
        self._seen[path] = signature
        try:
            with read_header(path) as header:
                self._paths.setdefault(header.sop_instance_uid, set()).add(path)
            self._unreadable.discard(path)
        except FileProblem:
            self._unreadable.add(path)


def look_into(
    path: str,
    instance: Reference,
    digests: Digests | None = None,
    *,
    key: str | None = None,
    sync: bool = True,
) -> int:
    """Whether a file has an object, whole and on the disk: 0, or a Failure Reason.

    Parameters
    ----------
    path : str
    instance : Reference
    digests : Digests, optional
        With them all bytes are read, and compared with what they were.
    key : str, optional
        Where it is; nothing else is ever written there without `Digests.forget`. Default: its path,
        where others may write it again.

    sync : bool
        Whether it has to be on the disk.

    Raises
    ------
    FileProblem, OSError
        It cannot be read; or its bytes have changed.
    """
    with read_checked(path) as header:
        if header.sop_instance_uid != instance.sop_instance:
            return NO_SUCH_INSTANCE  # it was this one's a moment ago
        if header.sop_class_uid != instance.sop_class:
            return CLASS_INSTANCE_CONFLICT
        offset = header.offset
    # Whoever has written it may not have waited for the disk, which is what is promised now.
    with open(path, _SYNCED, buffering=0) as file:
        if sync:
            os.fsync(file.fileno())
        if digests is not None:
            written = os.fstat(file.fileno()).st_mtime_ns if key is None else 0
            known_as = f"{instance.sop_instance} {path}" if key is None else key
            if not digests.is_same(known_as, written, _digest(file, offset)):
                raise FileProblem("its bytes are not those that were committed before")
    if sync:
        sync_directory(os.path.dirname(path))
    return COMMITTED


def signature_of(path: str) -> Signature | None:
    """What a file is now; None where there is none."""
    try:
        found = os.stat(path)
    except OSError:
        return None
    return found.st_ino, found.st_mtime_ns, found.st_size


def _digest(file: IO[bytes], offset: int) -> tuple[str, str]:
    """The digests of a file, and of the data set from an offset on.

    From the disk, where the system can be asked for that.
    """
    advise = getattr(os, "posix_fadvise", None)
    if advise is not None:
        advise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    whole, data_set = hashlib.sha256(file.read(offset)), hashlib.sha256()
    while piece := file.read(CHUNK):
        data_set.update(piece)
    whole.update(data_set.digest())
    return whole.hexdigest(), data_set.hexdigest()
