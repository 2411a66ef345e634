"""A data set that is put together from new bytes and from stretches of what is there already.

Values of any length are neither decoded nor held in memory: they are read where they are when the
data set goes out.
"""

from __future__ import annotations

import io
from array import array
from bisect import bisect_right
from collections.abc import Callable, Iterable
from io import SEEK_END, BufferedIOBase
from itertools import accumulate, groupby
from typing import TYPE_CHECKING, BinaryIO, NamedTuple

from pynetdicom.data_sets.encoded import EncodedDataSet, InMemory
from pynetdicom.data_sets.read_buffers import CHUNK
from pynetdicom.errors import TruncatedFile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ReadInto = Callable[[memoryview, int], None]
"""Reads as many bytes as the buffer holds, from an offset: ``read_into(buffer, offset)``."""


class NotEncodable(ValueError):
    """An element that cannot be encoded so; the message names it, and not its value."""


_TYPES = {2: "H", 4: "I", 8: "Q"}


class Stretch(NamedTuple):
    """Bytes of something else; in words of `unit` bytes, whose byte order is turned round."""

    read_into: ReadInto
    offset: int
    length: int
    unit: int = 1

    def follows(self, last: Stretch) -> bool:
        """Tell whether it goes on where another ends, so that they can be one."""
        end = last.offset + last.length
        return last.unit == self.unit == 1 and (last.read_into, end) == self[:2]

    def fill(self, part: memoryview, position: int) -> None:
        """Read as many bytes as `part` holds, from a position in the stretch."""
        if self.unit == 1:
            self.read_into(part, self.offset + position)
            return
        # A part may begin and end within a word.
        start = position - position % self.unit
        stop = -(-(position + len(part)) // self.unit) * self.unit
        words = bytearray(stop - start)
        self.read_into(memoryview(words), self.offset + start)
        part[:] = swapped(words, self.unit)[position - start :][: len(part)]


def swapped(data: bytes | bytearray, unit: int) -> memoryview:
    """Turn the byte order of words of `unit` bytes round."""
    words = array(_TYPES[unit])
    words.frombytes(data)
    words.byteswap()
    return memoryview(words).cast("B")


class Buffered:
    """What a buffer (`io.BufferedIOBase`) holds from its position on.

    Parameters
    ----------
    buffer : io.BufferedIOBase
        Its position is the same after each read.

    Raises
    ------
    NotEncodable
        It is closed, or cannot be read from a position.
    """

    def __init__(self, buffer: BufferedIOBase) -> None:
        self._buffer = buffer
        try:
            self._start = buffer.tell()
            self._length = buffer.seek(0, SEEK_END) - self._start
            buffer.seek(self._start)
        except (OSError, ValueError):
            state = "is closed" if buffer.closed else "cannot be read from a position"
            raise NotEncodable(f"has its value in a buffer that {state}") from None

    def __len__(self) -> int:
        return self._length

    def begin(self) -> bytes:
        """The first four bytes."""
        data = bytearray(min(4, self._length))
        self.read_into(memoryview(data), 0)
        return bytes(data)

    def read_into(self, part: memoryview, offset: int) -> None:
        """Read as many bytes as `part` holds, from an offset."""
        buffer = self._buffer
        if buffer.closed:
            raise NotEncodable("a value is in a buffer that was closed before it was sent")
        before = buffer.tell()
        try:
            buffer.seek(self._start + offset)
            done = 0
            while done < len(part):
                count = buffer.readinto(part[done:])
                if not count:
                    raise TruncatedFile("a buffer became shorter while it was read")
                done += count
        finally:
            buffer.seek(before)


Piece = bytes | bytearray | Stretch


class Pieces:
    """Collects pieces.

    Attributes
    ----------
    size : int
        The bytes that they are together.
    """

    def __init__(self, pieces: Iterable[Piece] = ()) -> None:
        self.pieces: list[Piece] = []
        self.size = 0
        for piece in pieces:
            self.add(piece)

    def add(self, piece: Piece) -> None:
        """Add new bytes, where a bytearray may still be changed, or a stretch."""
        length = piece.length if isinstance(piece, Stretch) else len(piece)
        if not length:
            return
        self.size += length
        last = self.pieces[-1] if self.pieces else b""
        if isinstance(piece, Stretch) and isinstance(last, Stretch) and piece.follows(last):
            self.pieces[-1] = last._replace(length=last.length + length)
        else:
            self.pieces.append(piece)

    def extend(self, other: Pieces) -> None:
        """Add another's pieces."""
        size = self.size + other.size
        for piece in other.pieces[:1]:  # which may go on where the last one here ends
            self.add(piece)
        self.pieces += other.pieces[1:]
        self.size = size

    def getvalue(self) -> bytes:
        """Read and join them."""
        pieces = _joined(self.pieces)
        if len(pieces) == 1 and isinstance(pieces[0], bytes):
            return pieces[0]
        return Pieced(pieces, self.size, "").getvalue()

    def to_data_set(self, transfer_syntax: str) -> EncodedDataSet:
        """Give them as one data set: in memory, unless something long is elsewhere."""
        if self.size <= CHUNK or not any(isinstance(piece, Stretch) for piece in self.pieces):
            return InMemory(self.getvalue(), transfer_syntax)
        return Pieced(_joined(self.pieces), self.size, transfer_syntax)


def _joined(pieces: list[Piece]) -> list[Piece]:
    """Make one piece of new bytes that follow each other."""
    joined: list[Piece] = []
    for is_stretch, group in groupby(pieces, lambda piece: isinstance(piece, Stretch)):
        if is_stretch:
            joined += group
        else:
            joined.append(b"".join([piece for piece in group if not isinstance(piece, Stretch)]))
    return joined


class Pieced(EncodedDataSet):
    """A data set in pieces; what they are of is not closed with it."""

    def __init__(self, pieces: list[Piece], size: int, transfer_syntax: str) -> None:
        super().__init__(transfer_syntax, size)
        self._pieces = pieces
        lengths = [p.length if isinstance(p, Stretch) else len(p) for p in pieces]
        self._ends = list(accumulate(lengths))

    def read_into(self, part: memoryview, offset: int) -> None:
        if part and not self._pieces:
            raise ValueError("the data set is closed")
        index = bisect_right(self._ends, offset)
        done = 0
        while done < len(part):
            piece, end = self._pieces[index], self._ends[index]
            room = part[done : done + end - offset]
            if isinstance(piece, Stretch):
                piece.fill(room, offset - end + piece.length)
            else:
                start = offset - end + len(piece)
                room[:] = memoryview(piece)[start : start + len(room)]
            done += len(room)
            offset = end
            index += 1

    def open(self) -> BinaryIO:
        return io.BytesIO(self.getvalue())

    def decode(self) -> Dataset:
        return InMemory(self.getvalue(), self.transfer_syntax).decode()

    def close(self) -> None:
        """Let go of what the pieces are of."""
        self._pieces = []
        self._ends = []
