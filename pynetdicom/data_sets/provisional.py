"""Files that nobody sees before they are complete.

Where there is `O_TMPFILE` such a file has no name at all, and a kill leaves nothing behind;
elsewhere it has a provisional one that `remove_parts` knows. It becomes visible by a link or a
rename, whole or not at all.

A provisional name tells whose file it is, the host as well as the process: several hosts may have
a directory in common, and the processes of another one are not to be seen.
"""

from __future__ import annotations

import errno
import os
import time
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from pynetdicom.data_sets import descriptor
from pynetdicom.data_sets.descriptor import Descriptor, opened, pread

IOV_MAX = 1024
"""How many buffers one `writev` takes."""

PART_PREFIX = ".pynetdicom-"
PART_SUFFIX = ".part"

_COPY_CHUNK = 1 << 20
_OLD = 86400
"""Seconds after which a name that does not tell the host is nobody's any more."""
_NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS)

_kept_open: set[str] = set()
"""What could not be removed on Windows, as it is still read: when the next one is closed."""

Buffer = bytes | bytearray | memoryview


class ProvisionalFile:
    """A file that has no name yet, or a provisional one: nobody looks at it before `publish`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.name: str | None = None
        # The published file's permissions, where they are not those it has now.
        self._mode: int | None = None
        # Somebody was told the name, and counts on it.
        self._is_known = False
        self._is_published = False
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        self.descriptor = Descriptor(-1)
        if _has_unnamed_files():
            try:
                # The mode is the published file's, less the umask; without a name it lets nobody
                # in.
                self.descriptor = opened(os.open, directory, flags | os.O_TMPFILE, 0o666)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                    raise
        self.unnamed = self.fd >= 0
        if not self.unnamed:
            self.name = _provisional(directory)
            self.descriptor = opened(os.open, self.name, flags | os.O_CREAT | os.O_EXCL, 0o666)
            self._hide()

    @property
    def fd(self) -> int:
        return self.descriptor.fd

    def _hide(self) -> None:
        """Let nobody else read it under a provisional name: the directory may be everybody's."""
        if hasattr(os, "fchmod"):
            if self._mode is None:
                self._mode = os.fstat(self.fd).st_mode & 0o777
            os.fchmod(self.fd, 0o600)

    def name_it(self) -> str:
        """Give it a provisional name, which it keeps until it is closed.

        Raises
        ------
        FileNotFoundError
            If it can have none: its name is the published one, or was taken from it.
        """
        self._is_known = True
        if self.name is None:
            if not self.unnamed:
                raise FileNotFoundError(errno.ENOENT, "the file has no provisional name")
            if not self._is_published:
                self._hide()
            name = _provisional(self.directory)
            self._link(name)
            self.name = name
        return self.name

    def take_name(self) -> None:
        """Take the name from it that it was given; it can have no other after that."""
        if self.unnamed and self.name is not None:
            name, self.name = self.name, None
            self.unnamed = False
            with suppress(FileNotFoundError):
                os.unlink(name)

    def _link(self, name: str) -> None:
        # With a descriptor given, Python calls linkat with AT_SYMLINK_FOLLOW; an absolute path
        # makes no other use of it.
        fd = self.descriptor.fd
        os.link(f"/proc/self/fd/{fd}", name, src_dir_fd=fd, follow_symlinks=True)

    def publish(self, target: str, *, overwrite: bool, sync: bool) -> None:
        """Make it visible as `target`, all at once."""
        if self._mode is not None and hasattr(os, "fchmod"):
            os.fchmod(self.fd, self._mode)
        if sync:
            os.fsync(self.fd)
        if self.unnamed:
            self._publish_by_link(target, overwrite)
        else:
            self._publish_by_rename(target, overwrite)
        self._is_published = True
        if sync:
            sync_directory(os.path.dirname(target) or os.curdir)

    def _publish_by_link(self, target: str, overwrite: bool) -> None:
        try:
            self._link(target)
        except FileExistsError:
            if not overwrite:
                raise
        else:
            return
        provisional = _provisional(os.path.dirname(target) or os.curdir)
        self._link(provisional)
        try:
            os.replace(provisional, target)
        except BaseException:
            os.unlink(provisional)
            raise

    def _publish_by_rename(self, target: str, overwrite: bool) -> None:
        if self.name is None or self._is_known:
            # It has got its final name already, or has to keep this one: as if on another disk.
            raise OSError(errno.EXDEV, "the file cannot be renamed")
        if not descriptor.POSIX:
            self.descriptor.close()
        if not overwrite:
            try:
                if not hasattr(os, "link"):
                    raise OSError(errno.ENOSYS, "no links")
                os.link(self.name, target)
            except OSError as error:
                if error.errno not in _NO_LINKS:
                    raise
                # Where there are no links, the name is taken first, by an empty file.
                os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o666))
            else:
                os.unlink(self.name)
                self.name = None
                return
        os.replace(self.name, target)
        self.name = None

    def close(self) -> None:
        """Close it, and remove its provisional name."""
        name, self.name = self.name, None
        self.descriptor.close()
        if name is not None:
            _remove(name)
        for other in list(_kept_open):
            _remove(other)

    def __del__(self) -> None:
        with suppress(AttributeError):  # it could not be made
            self.close()


def _remove(name: str) -> None:
    try:
        os.unlink(name)
    except FileNotFoundError:
        pass
    except PermissionError:
        if descriptor.POSIX:
            raise
        _kept_open.add(name)
        return
    _kept_open.discard(name)


def write_all(fd: int, buffers: Sequence[Buffer]) -> None:
    """Write all buffers, by as few calls as there may be."""
    for start in range(0, len(buffers), IOV_MAX):
        batch = buffers[start : start + IOV_MAX]
        written = os.writev(fd, batch) if hasattr(os, "writev") else 0
        if written != sum(map(len, batch)):
            _write_rest(fd, batch, written)


def _write_rest(fd: int, batch: Sequence[Buffer], written: int) -> None:
    """Go on after a partial write: the disk is full, or there was a signal."""
    for buffer in batch:
        if written >= len(buffer):
            written -= len(buffer)
            continue
        view = memoryview(buffer)[written:]
        written = 0
        while view:
            view = view[os.write(fd, view) :]


def remove_parts(directory: str) -> int:
    """Remove the provisional files of this host's processes that are no more; give their number."""
    count = 0
    for name in os.listdir(directory):
        if name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX):
            path = os.path.join(directory, name)
            *host, owner, _ = ("-" + name[len(PART_PREFIX) :]).split("-")[-3:]
            if not owner.isdecimal() or is_alive(int(owner)):
                continue
            with suppress(OSError):
                is_old = os.stat(path).st_mtime < time.time() - _OLD
                if host == [this_host()] or (host == [""] and is_old):
                    os.unlink(path)
                    count += 1
    return count


@lru_cache(1)
def this_host() -> str:
    """What tells this host from others that may have a directory in common with it.

    It stays the same when the host starts anew. Process IDs are those of a PID namespace, so
    containers are told apart as hosts are.
    """
    import hashlib
    import socket

    known = [socket.gethostname()]
    for path in ("/etc/machine-id", "/var/lib/dbus/machine-id"):
        with suppress(OSError), open(path, encoding="utf-8", errors="replace") as file:
            known.append(file.read().strip())
            break
    with suppress(OSError):
        known.append(os.readlink("/proc/self/ns/pid"))
    return hashlib.blake2s("\0".join(known).encode(errors="replace"), digest_size=6).hexdigest()


def is_alive(pid: int) -> bool:
    """Whether a process may be there; Windows' are not looked for: they keep their files."""
    if not descriptor.POSIX:  # where that signal would be Ctrl-C; and no file is removed in use
        return pid == os.getpid()
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except OSError:
        pass  # it is somebody else's
    # One that was killed is there until its parent has looked, which in a container may be never.
    return _stat(pid)[:1] not in (["Z"], ["X"])


def born(pid: int) -> str:
    """When a process began, where the system tells: its number may be another one's by now."""
    return "".join(_stat(pid)[19:20])


def _stat(pid: int) -> list[str]:
    with suppress(OSError), open(f"/proc/{pid}/stat", "rb") as file:
        # What is before it has the name, in parentheses, and that may have any characters.
        return file.read().rpartition(b")")[2].decode().split()
    return []


def _provisional(directory: str) -> str:
    name = f"{PART_PREFIX}{this_host()}-{os.getpid()}-{os.urandom(8).hex()}{PART_SUFFIX}"
    return os.path.join(directory, name)


@lru_cache(1)
def _has_unnamed_files() -> bool:
    return hasattr(os, "O_TMPFILE") and hasattr(os, "link") and os.path.isdir("/proc/self/fd")


def copy_file(source: int, destination: int, size: int) -> None:
    """Copy the first `size` bytes of a file to an empty one, in the kernel if it can."""
    offset = 0
    if hasattr(os, "copy_file_range"):
        try:
            count = -1
            while offset < size and count:
                count = os.copy_file_range(source, destination, size - offset, offset, offset)
                offset += count
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
    os.lseek(destination, offset, os.SEEK_SET)
    while offset < size:
        data = pread(source, min(_COPY_CHUNK, size - offset), offset)
        if not data:
            raise OSError(errno.EIO, "the spool file became shorter")
        write_all(destination, [data])
        offset += len(data)


def sync_directory(path: str) -> None:
    """Have the names in a directory on the disk; Windows sees to that itself."""
    if descriptor.POSIX:
        directory = opened(os.open, path, os.O_RDONLY)
        os.fsync(directory.fd)
        directory.close()


def system_directory() -> str:
    """The system's directory for files that nobody has to find."""
    # Not at the top: it takes longer to import than all of this package.
    import tempfile

    return tempfile.gettempdir()
