"""Where a data set goes while it is received, and what becomes of it then.

`Spool` takes the slices of the socket's buffer: into memory up to a threshold, beyond it into a
file that begins with preamble and meta information and so is a Part 10 file from its first byte
on. `ReceivedDataSet` is the result; saving it is a link or a rename. The reader of the association
owns the spool, whoever serves the message owns the data set.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import lru_cache, partial
from typing import NamedTuple

from pynetdicom import _config
from pynetdicom.data_sets import descriptor
from pynetdicom.data_sets.descriptor import Descriptor
from pynetdicom.data_sets.encoded import EncodedDataSet
from pynetdicom.data_sets.provisional import (
    ProvisionalFile,
    copy_file,
    remove_parts,
    system_directory,
    write_all,
)

__all__ = ["Place", "ReceivedDataSet", "Spool", "received", "remove_parts"]

MEMORY_BACKED_WARNING = 64 << 20
"""From this size on, an object in a directory that is in fact memory is worth a warning."""


class Place(NamedTuple):
    """What is the same for the data sets that are received on a presentation context.

    Attributes
    ----------
    transfer_syntax : str
        How they are encoded.
    directory : str or None
        Where files go; None for the system's directory for such files.
    threshold : int
        Bytes that are kept in memory before a file is used; 0 for a file from the first byte on.
    maximum : int or None
        Bytes that are taken at all.
    """

    transfer_syntax: str
    directory: str | None = None
    threshold: int = _config.SPOOL_THRESHOLD
    maximum: int | None = None


def received(place: Place, header: bytes, data: bytes | memoryview) -> ReceivedDataSet:
    """Take a data set that came in one piece, which needs no spool if it is small."""
    size = len(data)
    if size <= place.threshold and (place.maximum is None or size <= place.maximum):
        return ReceivedDataSet(header, place.transfer_syntax, size, bytes(data))
    return Spool(place, header).finish(data)


class Spool:
    """Takes a data set that is being received.

    Parameters
    ----------
    place : Place
    header : bytes
        Preamble and meta information, which come before the data set in a file.

    Attributes
    ----------
    add : callable
        Take a slice of the data set. It is not copied before `flush`.
    error : OSError or None
        Why it is of no use any more; the rest of the data set is let pass.
    """

    def __init__(self, place: Place, header: bytes) -> None:
        self.place = place
        self.header = header
        self.error: OSError | None = None
        self._slices: list[memoryview] = []
        # One call a fragment: nothing but the list's own method.
        self.add = self._slices.append
        self._memory: bytearray | None = bytearray()
        self._part: ProvisionalFile | None = None
        self._size = 0

    @property
    def size(self) -> int:
        """How many bytes there are so far."""
        return self._size + sum(map(len, self._slices))

    def is_filing(self, more: int) -> bool:
        """Whether there is a file, or may be one with so many more bytes."""
        return self._memory is None or self._size + more > self.place.threshold

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
        _, directory, threshold, maximum = self.place
        if maximum is not None and size > maximum:
            raise OSError(errno.EFBIG, f"the data set is longer than {maximum} bytes")
        memory = self._memory
        if memory is not None:
            if size <= threshold:
                for piece in slices:
                    memory += piece
                return
            self._part = part = ProvisionalFile(directory or system_directory())
            self._memory = None
            before = [self.header, memory] if memory else [self.header]
            write_all(part.descriptor.fd, [*before, *slices])
        else:
            assert self._part is not None
            write_all(self._part.fd, slices)
        if size > MEMORY_BACKED_WARNING and directory is None:
            _warn_if_memory_backed(self._part.directory)

    def _fail(self, error: OSError) -> None:
        self.error = error
        self._memory = None
        if self._part is not None:
            self._part.close()
            self._part = None

    def finish(self, last: bytes | memoryview = b"") -> ReceivedDataSet:
        """Give the data set that was received, of which `last` is the end.

        After an error it has nothing but its `error`.
        """
        self._slices.append(memoryview(last))
        self.flush()
        data_set = ReceivedDataSet(
            self.header,
            self.place.transfer_syntax,
            self._size,
            self._memory,
            self._part,
            error=self.error,
        )
        self._memory = self._part = None
        return data_set

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
        part: ProvisionalFile | None = None,
        *,
        error: OSError | None = None,
    ) -> None:
        self.transfer_syntax = transfer_syntax
        self.size = size
        self.header = header
        self._offset = len(header)
        self.error = error
        self.memory = memory
        self._part = part
        # The file is somebody's: what was saved must not be saved under a second name, it may be
        # changed under the first.
        self._given_away = False
        self._readable: ProvisionalFile | None = None
        self._saved: ProvisionalFile | None = None

    def parts(self, multiple: int = 1) -> Iterator[memoryview]:
        if self.memory is None:
            self._file()  # there is one, or a word why there is nothing
        return super().parts(multiple)

    def _file(self) -> Descriptor:
        if self._part is None:
            raise self.error or ValueError("the data set is closed")
        return self._part.descriptor

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
        part = self._part
        # Windows renames no open file.
        if part is not None and not self._given_away and descriptor.POSIX:
            try:
                part.publish(target, overwrite=overwrite, sync=sync)
            except OSError as error:
                if error.errno not in (errno.EXDEV, errno.EPERM, errno.EMLINK):
                    raise
            else:
                self._given_away = True
                return
        # Closing it is left to `handled`, which is called when the peer has had its answer.
        self._saved = self._copy(
            os.path.dirname(target) or os.curdir,
            partial(ProvisionalFile.publish, target=target, overwrite=overwrite, sync=sync),
        )

    @property
    def path(self) -> str:
        """A Part 10 file with the data set, to be read only, that is there until `handled`."""
        readable = self._readable or self._part
        if readable is not None:
            # It can have no name once it is what was saved, wherever somebody has put that since.
            with suppress(FileNotFoundError):
                name = readable.name_it()
                self._readable = readable
                return name
        self._readable = readable = self._copy(system_directory(), ProvisionalFile.name_it)
        return readable.name_it()

    def handled(self) -> None:
        """Let go of what only the handler may use: `path`, and what was saved.

        The rest lives for as long as anybody holds this object, on whatever thread.
        """
        readable, self._readable = self._readable, None
        if readable is not None and readable is self._part:
            readable.take_name()
        self._saved = None  # which closes it, as nobody else refers to it

    def close(self) -> None:
        """Let go of the file or the memory."""
        self._part = self._readable = self._saved = self.memory = None

    def _copy(self, directory: str, then: Callable[[ProvisionalFile], object]) -> ProvisionalFile:
        """Write it to a new file, and have something done to that."""
        memory = self.memory
        copy = ProvisionalFile(directory)
        try:
            if memory is not None:
                write_all(copy.descriptor.fd, [self.header, memory])
            else:
                copy_file(self._file().fd, copy.fd, self._offset + self.size)
            then(copy)
        except BaseException:
            copy.close()
            raise
        return copy


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

            logging.getLogger("pynetdicom.dimse").warning(
                "Large objects are spooled to %s, which is in memory: set spool_dir", directory
            )
            return
