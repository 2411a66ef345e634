"""Files by descriptor: read at an offset, without a position that others could move.

The name of a received file changes while it is looked at, from none to that of the saved file; its
descriptor stays good.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from functools import partial
from typing import Any

POSIX = os.name == "posix"
"""Whether a file may be renamed and removed while it is open, and a directory be opened: Windows
says no."""

if hasattr(os, "pread") and hasattr(os, "preadv"):
    pread = os.pread

    def pread_into(fd: int, buffer: memoryview, offset: int) -> int:
        """Read into `buffer` at `offset`."""
        return os.preadv(fd, [buffer], offset)

else:
    import threading

    _lock = threading.Lock()

    def pread(fd: int, size: int, offset: int) -> bytes:
        """Read without moving anybody else's position."""
        with _lock:
            os.lseek(fd, offset, os.SEEK_SET)
            return os.read(fd, size)

    def pread_into(fd: int, buffer: memoryview, offset: int) -> int:
        """Read into `buffer` at `offset`."""
        data = pread(fd, len(buffer), offset)
        buffer[: len(data)] = data
        return len(data)


class Descriptor:
    """A file descriptor that is closed once, by `close` or when nobody refers to it any more."""

    __slots__ = ("fd",)

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def duplicate(self) -> Descriptor:
        """Make a descriptor of the same file that is closed on its own."""
        return opened(os.dup, self.fd)

    def close(self) -> None:
        """Close it."""
        fd, self.fd = self.fd, -1
        if fd >= 0:
            os.close(fd)

    def __del__(self) -> None:
        # Ctrl-C that comes here is dropped by Python, and must not take the descriptor with it.
        try:
            if self.fd >= 0:
                self.close()
        finally:
            if self.fd >= 0:
                self.close()


def opened(call: Callable[..., int], *args: Any) -> Descriptor:
    """Make the descriptor that a system call gives when it is called with `args`."""
    made = Descriptor(-1)
    # An object's from the first: all of it is one bytecode, so that Ctrl-C cannot come while it is
    # a mere number.
    any(map(setattr, (made,), ("fd",), iter(partial(call, *args), None)))
    return made


class Section(io.RawIOBase):
    """A stretch of a file as a file of its own, with its own position."""

    def __init__(self, descriptor: Descriptor, offset: int, size: int) -> None:
        self._descriptor = descriptor
        self._offset = offset
        self._size = size
        self._position = 0

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def readinto(self, buffer: Any) -> int:
        view = memoryview(buffer)[: max(0, self._size - self._position)]
        count = pread_into(self._descriptor.fd, view, self._offset + self._position) if view else 0
        self._position += count
        return count

    def seek(self, offset: int, whence: int = 0) -> int:
        self._position = max(0, offset + (0, self._position, self._size)[whence])
        return self._position

    def tell(self) -> int:
        return self._position

    def close(self) -> None:
        if not self.closed:
            self._descriptor.close()
        super().close()

    def reopen(self) -> Section:
        """Make another on the same stretch, with a descriptor of its own."""
        return Section(self._descriptor.duplicate(), self._offset, self._size)


class Unnamed:
    """What pydicom reads from: not a `BufferedReader`, whose name it would ask for."""

    def __init__(self, section: Section) -> None:
        self._section = section
        reader = io.BufferedReader(section, 16384)
        self.read = reader.read
        self.seek = reader.seek
        self.tell = reader.tell
        self.close = reader.close

    @property
    def closed(self) -> bool:
        return self._section.closed

    def __deepcopy__(self, memo: dict[int, Any]) -> Unnamed:
        return Unnamed(self._section.reopen())

    def __reduce__(self) -> tuple[type[io.BytesIO], tuple[bytes]]:
        return io.BytesIO, (io.BufferedReader(self._section.reopen()).read(),)


def open_file(path: str) -> Descriptor:
    """Open a file for reading; a pipe that nobody writes to holds nobody up."""
    flags = os.O_RDONLY | getattr(os, "O_BINARY", 0) | getattr(os, "O_NONBLOCK", 0)
    return opened(os.open, path, flags)
