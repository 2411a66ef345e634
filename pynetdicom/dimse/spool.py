"""Where a data set goes while it is received, and what becomes of it then.

`Spool` takes the slices of the socket's buffer: into memory up to a threshold, beyond it into a
file that begins with preamble and meta information and so is a Part 10 file from its first byte
on. `ReceivedDataSet` is the result; saving it is a link or a rename. The reader of the association
owns the spool, whoever serves the message owns the data set.
"""

from __future__ import annotations

import errno
import os
import secrets
import sys
import tempfile
from collections.abc import Sequence
from contextlib import suppress
from functools import lru_cache

from pynetdicom import _config
from pynetdicom.dimse.data_set import CHUNK, EncodedDataSet
from pynetdicom.dimse.descriptor import Descriptor, pread

IOV_MAX = 1024
"""How many buffers one `writev` takes."""

MEMORY_BACKED_WARNING = 64 << 20
"""From this size on, an object in a directory that is in fact memory is worth a warning."""

PART_PREFIX = ".pynetdicom-"
PART_SUFFIX = ".part"

Buffer = bytes | bytearray | memoryview


class Spool:
    """Takes a data set that is being received.

    Parameters
    ----------
    header : bytes
        Preamble and meta information, which come before the data set in a file.
    transfer_syntax : str
        How the data set is encoded.
    directory : str or None
        Where the file goes; None for the system's directory for such files.
    threshold : int
        Bytes that are kept in memory before a file is used; 0 for a file from the first byte on.
    maximum : int or None
        Bytes that are taken at all.

    Attributes
    ----------
    add : callable
        Take a slice of the data set. It is not copied before `flush`.
    error : OSError or None
        Why it is of no use any more; the rest of the data set is let pass.
    """

    def __init__(
        self,
        header: bytes,
        transfer_syntax: str,
        *,
        directory: str | None = None,
        threshold: int = _config.SPOOL_THRESHOLD,
        maximum: int | None = None,
    ) -> None:
        self.header = header
        self.transfer_syntax = transfer_syntax
        self.error: OSError | None = None
        self._directory = directory
        self._threshold = threshold
        self._maximum = maximum
        self._slices: list[memoryview] = []
        # One call a fragment: nothing but the list's own method.
        self.add = self._slices.append
        self._memory: bytearray | None = bytearray()
        self._part: _Part | None = None
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes there are so far."""
        return self._size + sum(map(len, self._slices))

    def flush(self) -> None:
        """Copy or write the slices, after which their buffer may be used for something else."""
        slices = self._slices
        if not slices:
            return
        self._size = size = self.size
        try:
            if self.error is None:
                self._take(slices, size)
        except OSError as error:
            self._fail(error)
        slices.clear()

    def _take(self, slices: list[memoryview], size: int) -> None:
        if self._maximum is not None and size > self._maximum:
            raise OSError(errno.EFBIG, f"the data set is longer than {self._maximum} bytes")
        memory = self._memory
        if memory is not None:
            if size <= self._threshold:
                for piece in slices:
                    memory += piece
                return
            self._part = part = _Part(self._directory or tempfile.gettempdir())
            self._memory = None
            write_all(part.fd, [self.header, memory, *slices] if memory else [self.header, *slices])
        else:
            assert self._part is not None
            write_all(self._part.fd, slices)
        if size > MEMORY_BACKED_WARNING and self._directory is None:
            _warn_if_memory_backed(self._part.directory)

    def _fail(self, error: OSError) -> None:
        self.error = error
        self._memory = None
        if self._part is not None:
            self._part.close()
            self._part = None

    def finish(self) -> ReceivedDataSet:
        """Give the data set that was received; after an error it has nothing but its `error`."""
        self.flush()
        received = ReceivedDataSet(
            self.header,
            self.transfer_syntax,
            self._size,
            self._memory,
            self._part,
            error=self.error,
        )
        self._memory = self._part = None
        return received

    def discard(self) -> None:
        """Drop what there is, for good."""
        self._slices.clear()
        self._fail(OSError(errno.ECANCELED, "the message was dropped"))


class ReceivedDataSet(EncodedDataSet):
    """A data set that was received.

    Attributes
    ----------
    header : bytes
        Preamble and meta information, which come before the data set in a file.
    error : OSError or None
        Why it could not be kept; then there is nothing to read.
    """

    def __init__(
        self,
        header: bytes,
        transfer_syntax: str,
        size: int,
        memory: bytes | bytearray | None,
        part: _Part | None = None,
        *,
        error: OSError | None = None,
    ) -> None:
        super().__init__(transfer_syntax, size)
        self.header = header
        self.error = error
        self._data = memory
        self._part = part
        # The file is somebody's: what was saved must not be saved under a second name, it may be
        # changed under the first.
        self._given_away = False
        self._readable: _Part | None = None

    def _memory(self) -> bytes | bytearray | None:
        if self._data is None and self._part is None:
            raise self.error or ValueError("the data set is closed")
        return self._data

    def _file(self) -> tuple[Descriptor, int]:
        if self._part is None:
            raise self.error or ValueError("the data set is closed")
        return self._part.descriptor, len(self.header)

    def file_bytes(self) -> bytes:
        """Give the whole Part 10 file as bytes."""
        return self.header + self.getvalue()

    def save_as(
        self, path: str | os.PathLike[str], *, overwrite: bool = True, sync: bool = False
    ) -> None:
        """Save it as a Part 10 file, which nobody ever sees half written.

        Where the spool file is in the same file system, it becomes that file, without a copy;
        further calls make copies.

        Parameters
        ----------
        path : str or path-like
            The file.
        overwrite : bool
            Whether a file of that name is replaced.
        sync : bool
            Whether to return only when it is on the disk.

        Raises
        ------
        FileExistsError
            If there is one and `overwrite` is False.
        OSError
            If it cannot be written.
        """
        target = os.fspath(path)
        directory = os.path.dirname(target) or os.curdir
        if self._memory() is None and not self._given_away:
            part, _ = self._part, self._file()
            assert part is not None
            try:
                part.publish(target, overwrite=overwrite, sync=sync)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                    raise
            else:
                self._given_away = True
                return
        copy = self._copy(directory)
        try:
            copy.publish(target, overwrite=overwrite, sync=sync)
        finally:
            copy.close()

    @property
    def path(self) -> str:
        """A Part 10 file with the data set, to be read only, that is there until `close`."""
        if self._readable is None:
            self._memory()
            self._readable = self._part or self._copy(tempfile.gettempdir())
        return self._readable.name_it()

    def close(self) -> None:
        """Let go of the file or the memory."""
        part, readable = self._part, self._readable
        self._part = self._readable = self._data = None
        for one in (part, readable):
            if one is not None:
                one.close()

    def __del__(self) -> None:
        self.close()

    def _copy(self, directory: str) -> _Part:
        """Write it to a new file."""
        memory = self._memory()
        copy = _Part(directory)
        try:
            if memory is not None:
                write_all(copy.fd, [self.header, memory])
            else:
                descriptor, offset = self._file()
                _copy_file(descriptor.fd, copy.fd, offset + self.size)
        except BaseException:
            copy.close()
            raise
        return copy


class _Part:
    """A file that has no name yet, or a provisional one: nobody looks at it before `publish`."""

    def __init__(self, directory: str) -> None:
        self.directory = directory
        self.name: str | None = None
        flags = os.O_RDWR | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_BINARY", 0)
        fd = -1
        if _has_unnamed_files():
            try:
                # The mode is the published file's, less the umask; without a name it lets nobody
                # in.
                fd = os.open(directory, flags | os.O_TMPFILE, 0o666)
            except OSError as error:
                if error.errno not in (errno.EOPNOTSUPP, errno.EISDIR, errno.EINVAL):
                    raise
        self.unnamed = fd >= 0
        if not self.unnamed:
            self.name = _provisional(directory)
            fd = os.open(self.name, flags | os.O_CREAT | os.O_EXCL, 0o666)
        self.descriptor = Descriptor(fd)
        self._mode = os.fstat(fd).st_mode & 0o777 if not self.unnamed else None
        if not self.unnamed:
            self._hide()

    @property
    def fd(self) -> int:
        return self.descriptor.fd

    def _hide(self) -> None:
        """Let nobody else read it under a provisional name: the directory may be everybody's."""
        if sys.platform != "win32":
            if self._mode is None:
                self._mode = os.fstat(self.fd).st_mode & 0o777
            os.fchmod(self.fd, 0o600)

    def name_it(self) -> str:
        """Give it a provisional name, which it keeps until it is closed."""
        if self.name is None:
            self._hide()
            name = _provisional(self.directory)
            self._link(name)
            self.name = name
        return self.name

    def _link(self, name: str) -> None:
        # With a descriptor given, Python calls linkat with AT_SYMLINK_FOLLOW; an absolute path
        # makes no other use of it.
        os.link(f"/proc/self/fd/{self.fd}", name, src_dir_fd=self.fd, follow_symlinks=True)

    def publish(self, target: str, *, overwrite: bool, sync: bool) -> None:
        """Make it visible as `target`, all at once."""
        if self._mode is not None and sys.platform != "win32":
            os.fchmod(self.fd, self._mode)
        if sync:
            os.fsync(self.fd)
        if self.unnamed:
            self._publish_by_link(target, overwrite)
        else:
            self._publish_by_rename(target, overwrite)
        if sync and sys.platform != "win32":
            directory = os.open(os.path.dirname(target) or os.curdir, os.O_RDONLY)
            try:
                os.fsync(directory)
            finally:
                os.close(directory)

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
        if self.name is None:
            # It was renamed away before.
            raise OSError(errno.EXDEV, "the file has its name already")
        if overwrite:
            os.replace(self.name, target)
        else:
            os.link(self.name, target)
            os.unlink(self.name)
        self.name = None

    def close(self) -> None:
        """Close it, and remove its provisional name."""
        name, self.name = self.name, None
        self.descriptor.close()
        if name is not None:
            with suppress(FileNotFoundError):
                os.unlink(name)


def write_all(fd: int, buffers: Sequence[Buffer]) -> None:
    """Write all buffers, by as few calls as there may be."""
    for start in range(0, len(buffers), IOV_MAX):
        batch = buffers[start : start + IOV_MAX]
        written = os.writev(fd, batch)
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
    """Remove the provisional files of processes that are no more; give their number."""
    count = 0
    for name in os.listdir(directory):
        if name.startswith(PART_PREFIX) and name.endswith(PART_SUFFIX):
            owner = name[len(PART_PREFIX) :].partition("-")[0]
            if owner.isdigit() and not _is_alive(int(owner)):
                try:
                    os.unlink(os.path.join(directory, name))
                    count += 1
                except OSError:
                    continue
    return count


def _is_alive(pid: int) -> bool:
    if pid == os.getpid():
        return True
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except OSError:
        return True
    return True


def _provisional(directory: str) -> str:
    return os.path.join(
        directory, f"{PART_PREFIX}{os.getpid()}-{secrets.token_hex(8)}{PART_SUFFIX}"
    )


@lru_cache(1)
def _has_unnamed_files() -> bool:
    return hasattr(os, "O_TMPFILE") and os.path.isdir("/proc/self/fd")


def _copy_file(source: int, destination: int, size: int) -> None:
    """Copy the first `size` bytes of a file to an empty one, in the kernel if it can."""
    offset = 0
    if hasattr(os, "copy_file_range"):
        try:
            while offset < size:
                count = os.copy_file_range(source, destination, size - offset, offset, offset)
                if not count:
                    break
                offset += count
        except OSError as error:
            if error.errno not in (errno.EXDEV, errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP):
                raise
    os.lseek(destination, offset, os.SEEK_SET)
    while offset < size:
        data = pread(source, min(CHUNK, size - offset), offset)
        if not data:
            raise OSError(errno.EIO, "the spool file became shorter")
        write_all(destination, [data])
        offset += len(data)


@lru_cache(8)
def _warn_if_memory_backed(directory: str) -> None:
    """Say once that large objects go to a file system that is in memory."""
    try:
        with open("/proc/self/mountinfo", encoding="utf-8", errors="replace") as file:
            lines = file.read().splitlines()
        device = os.stat(directory).st_dev
    except OSError:
        return
    number = f"{os.major(device)}:{os.minor(device)}"
    for line in lines:
        mount, _, kind = line.partition(" - ")
        if mount.split()[2] == number and kind.split()[0] in ("tmpfs", "ramfs"):
            import logging

            logging.getLogger(__name__).warning(
                "Large objects are spooled to %s, which is in memory: set spool_dir",
                directory,
            )
            return
