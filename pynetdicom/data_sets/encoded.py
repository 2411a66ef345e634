"""An encoded data set, wherever it is: in memory, in a file, just received.

It goes out in parts (`EncodedDataSet.parts`) as it is, and is decoded only when somebody asks for
that. What is handed out decoded stands on its own: it has a descriptor of its own and outlives the
data set it came from.
"""

from __future__ import annotations

import io
import os
import zlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from pynetdicom.data_sets.descriptor import Descriptor, Section, Unnamed, open_file, pread_into
from pynetdicom.data_sets.element_walk import Encoding, Read, Survey, encoding_of, walk
from pynetdicom.data_sets.read_buffers import CHUNK, at_offset, fill, give_back, take_buffer
from pynetdicom.errors import DataSetDecodeError, FileProblem
from pynetdicom.uids import named

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Bytes = bytes | bytearray | memoryview

DEFER_SIZE = 65536
"""Values longer than this are left in the file until they are asked for."""

SOP_CLASS_UID = 0x00080016
SOP_INSTANCE_UID = 0x00080018
UIDS = (SOP_CLASS_UID, SOP_INSTANCE_UID)

INFLATED_LIMIT = 256 << 20
"""Bytes that a deflated data set may inflate to, plus 64 times its own size."""


class EncodedDataSet:
    """An encoded data set.

    Attributes
    ----------
    transfer_syntax : str
        How it is encoded.
    size : int
        Its length in bytes.
    memory : bytes or None
        Its bytes, where they are in memory.
    mended : tuple of str
        What was mended in it to make it fit to be sent, without values.
    """

    memory: Bytes | None = None
    mended: tuple[str, ...] = ()
    is_even = False
    """Whether it is of our own making, with values of even length and nothing after the last."""
    _survey: Survey | None = None
    """What a walk to the end has shown; None before there was one."""
    _head: bytes = b""
    """Its first bytes, where it is in a file and they are known."""

    def __init__(self, transfer_syntax: str, size: int) -> None:
        self.transfer_syntax = transfer_syntax
        self.size = size

    _offset = 0
    """Where in its file it begins."""

    def _file(self) -> Descriptor:
        """Give the file, where the bytes are not in memory."""
        raise NotImplementedError

    def parts(self, multiple: int = 1) -> Iterator[memoryview]:
        """Iterate over the bytes; may be called again.

        Parameters
        ----------
        multiple : int
            Parts of files are as long as a multiple of this, but for the last.

        Yields
        ------
        memoryview
            A part, of at most 1 MiB where it comes from a file. It is valid until the next one is
            asked for.
        """
        memory = self.memory
        if memory is not None:
            if memory:
                yield memoryview(memory)
            return
        length = max(CHUNK - CHUNK % multiple, multiple)
        buffer = take_buffer(length)
        try:
            for offset in range(0, self.size, length):
                part = at_offset(buffer, self._offset + offset, min(length, self.size - offset))
                self.read_into(part, offset)
                yield part
        finally:
            give_back(buffer)

    def open(self) -> BinaryIO:
        """Open it for reading, as a file that begins with the data set and ends with it."""
        memory = self.memory
        if memory is None:
            return io.BufferedReader(self._section(self.size))
        return io.BytesIO(memory)

    def getvalue(self) -> bytes:
        """Give the whole as bytes."""
        memory = self.memory
        if memory is not None:
            return bytes(memory)
        return b"".join(map(bytes, self.parts()))

    def decode(self) -> Dataset:
        """Decode it.

        The result has a descriptor of its own where values are still in the file, and so outlives
        this object.

        Raises
        ------
        DataSetDecodeError
            If an element overruns the data set, or it nests too deeply.
        """
        from pydicom.filereader import read_dataset

        data, size, encoding, read = self._to_walk()
        found = self._survey
        if found is None or not found.nested:
            found = self._survey = walk(data, size, encoding, read, wanted=UIDS)
        size = found.end  # what follows the last element is none of pydicom's affair
        source: Any
        if read is None:
            source = io.BytesIO(memoryview(data)[:size])
        else:
            source = Unnamed(self._section(size))
        try:
            ds = read_dataset(
                source,
                encoding.implicit,
                encoding.little,
                defer_size=DEFER_SIZE if size > DEFER_SIZE else None,
            )
        except Exception as error:
            raise DataSetDecodeError(f"data set: {type(error).__name__} in pydicom") from error
        if size <= DEFER_SIZE:
            return ds
        from pydicom.dataset import FileDataset

        implicit, little = ds.original_encoding
        backed = FileDataset(
            source, ds, is_implicit_VR=bool(implicit), is_little_endian=bool(little)
        )
        backed.set_original_encoding(implicit, little, ds.original_character_set)
        # There was none: let nobody find an empty one.
        del backed.file_meta
        return backed

    def check(self) -> None:
        """Raise DataSetDecodeError if an element overruns the data set, or it nests too deeply."""
        self.survey()

    def survey(self) -> Survey:
        """Go over the element headers, once.

        A value of a sequence's VR that is none is no fault: it need not be read to be sent.

        Raises
        ------
        DataSetDecodeError
            If an element overruns the data set, or it nests too deeply.
        """
        if self._survey is None:
            place = self._to_walk()
            try:
                self._survey = walk(*place, wanted=UIDS)
            except DataSetDecodeError:
                # What is within a value of a definite length does not matter to the rest.
                self._survey = walk(*place, wanted=UIDS, nested=False)
        return self._survey

    @property
    def oddities(self) -> tuple[str, ...]:
        """What is odd in it, without values, as far as its elements have been gone over."""
        if self._survey is None or encoding_of(self.transfer_syntax).deflated:
            return ()
        return self._survey.oddities

    def take_survey(self, found: Survey) -> None:
        """Take what is known already: the data set is not walked then."""
        self._survey = found

    def check_encoding(self) -> None:
        """See whether it is encoded as the transfer syntax says.

        Raises
        ------
        FileProblem
            If it is in implicit VR and should not be, or the other way round. Reading takes it for
            what it is, but a peer is told the transfer syntax and nothing else.
        DataSetDecodeError
            As for `check`.
        """
        implicit = self.survey().implicit
        if implicit != encoding_of(self.transfer_syntax).implicit:
            raise FileProblem(
                f"the data set is in {'implicit' if implicit else 'explicit'} VR, which its"
                f" transfer syntax, {named(self.transfer_syntax)}, is not"
            )

    def peek(self, *wanted: int) -> dict[int, bytes]:
        """Give the encoded values of elements of the data set itself, without decoding it.

        Parameters
        ----------
        *wanted : int
            Their tags.

        Raises
        ------
        DataSetDecodeError
            If an element up to the last of them overruns the data set.
        """
        if self._survey is not None and set(wanted).issubset(UIDS):
            values = self._survey.values
            return {tag: values[tag] for tag in wanted if tag in values}
        return walk(*self._to_walk(), wanted=wanted, stop=max(wanted) + 1, nested=False).values

    def text(self, tag: int) -> str:
        """The value of an element, as `peek` gives it, without padding; empty if there is none."""
        return self.peek(tag).get(tag, b"").decode("latin-1").strip(" \0")

    def handled(self) -> None:
        """Say that the handler of the message that it came with has returned."""

    def close(self) -> None:
        """Let go of the file, if there is one."""

    def reopened(self) -> EncodedDataSet:
        """Give one that may be closed when this one is still needed, where it can; or this one."""
        return self

    def read_ahead(self) -> bool:
        """Read the data set now, where that is worth it; says whether it is in memory."""
        return self.memory is not None

    def _to_walk(self) -> tuple[bytes | bytearray, int, Encoding, Read | None]:
        """The bytes that are in memory, how many there are in all, and how to get the others."""
        encoding = encoding_of(self.transfer_syntax)
        memory = self.inflated() if encoding.deflated else self.memory
        if memory is None:
            return self._head, self.size, encoding, self.read_at
        data = bytes(memory) if isinstance(memory, memoryview) else memory
        return data, len(data), encoding, None

    def read_at(self, offset: int, size: int) -> bytes:
        """Read (at most) so many bytes from an offset."""
        data = bytearray(max(0, min(size, self.size - offset)))
        self.read_into(memoryview(data), offset)
        return bytes(data)

    def read_into(self, part: memoryview, offset: int) -> None:
        """Read as many bytes as `part` holds, from an offset."""
        memory = self.memory
        if memory is not None:
            part[:] = memoryview(memory)[offset : offset + len(part)]
        else:
            fill(part, self._file(), self._offset + offset)

    def _section(self, size: int) -> Section:
        return Section(self._file().duplicate(), self._offset, size)

    def inflated(self) -> bytes:
        """Inflate it (PS3.5 A.5).

        Raises
        ------
        DataSetDecodeError
            If it is not deflated data, is cut off, or inflates to more than is allowed.
        """
        limit = INFLATED_LIMIT + 64 * self.size
        inflater = zlib.decompressobj(-zlib.MAX_WBITS)
        pieces: list[bytes] = []
        total = 0
        try:
            for part in self.parts():
                data: bytes | memoryview = part
                while data and not inflater.eof:
                    piece = inflater.decompress(data, CHUNK)
                    data = inflater.unconsumed_tail
                    pieces.append(piece)
                    total += len(piece)
                    if total > limit:
                        raise DataSetDecodeError(f"data set: inflates to more than {limit} bytes")
            pieces.append(inflater.flush())
            if not inflater.eof:
                raise DataSetDecodeError("data set: the deflated data ends early")
        except zlib.error:
            raise DataSetDecodeError("data set: it does not inflate") from None
        return b"".join(pieces)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.size} bytes, {self.transfer_syntax}>"


class InMemory(EncodedDataSet):
    """A data set in memory.

    Parameters
    ----------
    data : bytes
        The encoded data set.
    transfer_syntax : str
        How it is encoded.
    """

    def __init__(self, data: bytes, transfer_syntax: str) -> None:
        self.transfer_syntax = transfer_syntax
        self.size = len(data)
        self.memory = data


class InFile(EncodedDataSet):
    """A data set that is a stretch of a file.

    Parameters
    ----------
    file : str, path-like or Descriptor
        The file; a descriptor is shared, and not closed by `close`.
    offset : int
        Where in the file the data set begins.
    size : int
        Its length in bytes.
    transfer_syntax : str
        How it is encoded.
    head : bytes
        Its first bytes, as far as they have been read.
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | Descriptor,
        offset: int,
        size: int,
        transfer_syntax: str,
        *,
        head: bytes = b"",
    ) -> None:
        super().__init__(transfer_syntax, size)
        self._head = head
        self._offset = offset
        self._path = None if isinstance(file, Descriptor) else os.fspath(file)
        self._descriptor = file if isinstance(file, Descriptor) else None
        # The buffer that it is in, if it was read ahead.
        self._buffer: memoryview | None = None

    def read_ahead(self) -> bool:
        """Read it now, if it is small enough to be kept in memory until it is sent."""
        if self.memory is None and self.size <= CHUNK:
            descriptor = self._file()
            self._buffer = take_buffer(self.size)
            read = at_offset(self._buffer, self._offset, self.size)
            if pread_into(descriptor.fd, read, self._offset) == self.size:
                self.memory = read
        return self.memory is not None

    def duplicate(self) -> InFile:
        """Make another one, with a descriptor of its own."""
        descriptor = self._file().duplicate()
        other = InFile(descriptor, self._offset, self.size, self.transfer_syntax)
        other._survey = self._survey
        return other

    def reopened(self) -> EncodedDataSet:
        """Give another one that opens the file by its path; without a path this one."""
        if self._path is None or type(self) is not InFile:
            return self
        return InFile(self._path, self._offset, self.size, self.transfer_syntax)

    def _file(self) -> Descriptor:
        if self._descriptor is None:
            if self._path is None:
                raise ValueError("the data set is closed")
            self._descriptor = open_file(self._path)
        return self._descriptor

    def close(self) -> None:
        """Let go of the file."""
        descriptor, self._descriptor = self._descriptor, None
        if self._path is not None and descriptor is not None:
            descriptor.close()
        buffer, self._buffer, self.memory = self._buffer, None, None
        if buffer is not None:
            give_back(buffer)


def deflate(data: bytes) -> bytes:
    """Deflate an encoded data set (PS3.5 A.5), padded to an even length."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(data) + deflater.flush()
    return deflated + b"\0" * (len(deflated) % 2)
