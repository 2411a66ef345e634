"""Buffers that files are read into, used again and again."""

from __future__ import annotations

import mmap
import sys

from pynetdicom.data_sets.descriptor import Descriptor, pread_into
from pynetdicom.errors import TruncatedFile

CHUNK = 1 << 20
"""Bytes of a file that are in memory at a time."""

# Buffers that files are read into, used again and again since fresh memory costs page faults. They
# begin on a page, and the file's bytes go to the same place in a page as they are at in the file:
# some processors copy ten times slower to an address a little ahead of the source's, modulo a page.
_buffers: list[memoryview] = []
_KEPT_BUFFERS = 4


def take_buffer(length: int) -> memoryview:
    """Give a buffer for `length` bytes of a file, wherever in it they are."""
    try:
        buffer = _buffers.pop()
    except IndexError:
        buffer = _new_buffer(max(length, CHUNK))
    return buffer if len(buffer) >= length + mmap.PAGESIZE else _new_buffer(length)


def give_back(buffer: memoryview) -> None:
    """Keep a buffer for the next one who needs one."""
    if len(_buffers) < _KEPT_BUFFERS and len(buffer) <= CHUNK + mmap.PAGESIZE:
        _buffers.append(buffer)


def at_offset(buffer: memoryview, offset: int, length: int) -> memoryview:
    """The part of a buffer for what is at an offset in a file: at the same place of a page."""
    start = offset % mmap.PAGESIZE
    return buffer[start : start + length]


def _new_buffer(size: int) -> memoryview:
    if sys.platform == "win32":
        return memoryview(mmap.mmap(-1, size + mmap.PAGESIZE))
    # Shared, as it is unless one says so, it would be one buffer for both processes after a fork.
    return memoryview(mmap.mmap(-1, size + mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def fill(part: memoryview, descriptor: Descriptor, offset: int) -> None:
    """Read the whole of `part`; a file that has become shorter cannot be sent."""
    count = 0
    while count < len(part):
        more = pread_into(descriptor.fd, part[count:], offset + count)
        if not more:
            raise TruncatedFile("the file became shorter while it was read")
        count += more
