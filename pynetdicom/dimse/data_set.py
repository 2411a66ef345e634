"""An encoded data set, wherever it is: in memory, in a file, just received.

It goes out in parts (`EncodedDataSet.parts`) as it is, and is decoded only when somebody asks for
that. What is handed out decoded stands on its own: it has a descriptor of its own and outlives the
data set it came from.
"""

from __future__ import annotations

import io
import mmap
import os
import sys
import zlib
from collections.abc import Collection, Iterator
from typing import TYPE_CHECKING, Any, BinaryIO

from pynetdicom.dimse.character_sets import NotInCharacterSet
from pynetdicom.dimse.descriptor import Descriptor, Section, Unnamed, open_file, pread, pread_into
from pynetdicom.dimse.element_walk import Encoding, WalkError, WalkResult, encoding_of, walk
from pynetdicom.errors import DataSetDecodeError, TruncatedFile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Bytes = bytes | bytearray | memoryview

CHUNK = 1 << 20
"""Bytes of a file that are in memory at a time."""

DEFER_SIZE = 65536
"""Values longer than this are left in the file until they are asked for."""

INFLATED_LIMIT = 256 << 20
"""Bytes that a deflated data set may inflate to, plus 64 times its own size."""

# Buffers that files are read into, used again and again since fresh memory costs page faults. They
# begin on a page, and the file's bytes go to the same place in a page as they are at in the file:
# some processors copy ten times slower to an address a little ahead of the source's, modulo a page.
_buffers: list[memoryview] = []
_KEPT_BUFFERS = 4


class EncodedDataSet:
    """An encoded data set.

    Attributes
    ----------
    transfer_syntax : str
        How it is encoded.
    size : int
        Its length in bytes.
    """

    def __init__(self, transfer_syntax: str, size: int) -> None:
        self.transfer_syntax = transfer_syntax
        self.size = size

    def _memory(self) -> Bytes | None:
        """Give the bytes where they are in memory."""
        return None

    def _file(self) -> tuple[Descriptor, int]:
        """Give the file and the offset in it, where they are not in memory."""
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
        memory = self._memory()
        if memory is not None:
            if memory:
                yield memoryview(memory)
            return
        descriptor, offset = self._file()
        remaining = self.size
        length = max(CHUNK - CHUNK % multiple, multiple)
        buffer = _take_buffer(length)
        try:
            while remaining:
                part = _at_offset(buffer, offset, min(length, remaining))
                _fill(part, descriptor, offset)
                yield part
                offset += len(part)
                remaining -= len(part)
        finally:
            _give_back(buffer)

    def open(self) -> BinaryIO:
        """Open it for reading, as a file that begins with the data set and ends with it."""
        memory = self._memory()
        return io.BytesIO(memory) if memory is not None else io.BufferedReader(self._section())

    def getvalue(self) -> bytes:
        """Give the whole as bytes."""
        memory = self._memory()
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

        encoding = encoding_of(self.transfer_syntax)
        memory = self._memory()
        if encoding.deflated:
            memory = self._inflate()
        self._walk(memory)
        source: Any
        if memory is not None:
            source = io.BytesIO(memory)
            size = len(memory)
        else:
            source = Unnamed(self._section())
            size = self.size
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
        with_file = FileDataset(
            source,
            ds,
            is_implicit_VR=bool(implicit),
            is_little_endian=bool(little),
        )
        with_file.set_original_encoding(implicit, little, ds.original_character_set)
        # There was none: let nobody find an empty one.
        del with_file.file_meta
        return with_file

    def check(self) -> None:
        """Raise DataSetDecodeError if an element overruns the data set, or it nests too deeply."""
        self.inspect()

    def inspect(self, *wanted: int) -> WalkResult:
        """Go over it to its end once, without decoding it.

        Parameters
        ----------
        *wanted : int
            The tags of elements of the data set itself whose encoded values are picked up.

        Returns
        -------
        WalkResult
            Those values, and whether it is in implicit VR.

        Raises
        ------
        DataSetDecodeError
            If an element overruns the data set, or it nests too deeply.
        """
        deflated = encoding_of(self.transfer_syntax).deflated
        return self._walk(self._inflate() if deflated else self._memory(), wanted)

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
        deflated = encoding_of(self.transfer_syntax).deflated
        memory = self._inflate() if deflated else self._memory()
        return self._walk(memory, wanted, max(wanted) + 1).values

    def close(self) -> None:
        """Let go of the file, if there is one."""

    def read_ahead(self) -> bool:
        """Read the data set now, where that is worth it; says whether it is in memory."""
        return self._memory() is not None

    def _walk(
        self,
        memory: Bytes | None,
        wanted: Collection[int] = (),
        stop: int | None = None,
    ) -> WalkResult:
        encoding = encoding_of(self.transfer_syntax)
        read = None
        size = self.size
        if memory is None:
            read = _reader(*self._file())
        else:
            size = len(memory)
        try:
            elements = bytes(memory) if isinstance(memory, memoryview) else memory or b""
            return walk(elements, size, encoding, read=read, wanted=wanted, stop=stop)
        except WalkError as error:
            raise DataSetDecodeError(f"data set: {error}") from None

    def _section(self) -> Section:
        descriptor, offset = self._file()
        return Section(descriptor.duplicate(), offset, self.size)

    def _inflate(self) -> bytes:
        return inflate(self.parts(), INFLATED_LIMIT + 64 * self.size)

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
        super().__init__(transfer_syntax, len(data))
        self._data = data

    def _memory(self) -> bytes:
        return self._data


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
    """

    def __init__(
        self,
        file: str | os.PathLike[str] | Descriptor,
        offset: int,
        size: int,
        transfer_syntax: str,
    ) -> None:
        super().__init__(transfer_syntax, size)
        self._offset = offset
        self._path = None if isinstance(file, Descriptor) else os.fspath(file)
        self._descriptor = file if isinstance(file, Descriptor) else None
        # What was read of it ahead, and the buffer that it is in.
        self._read: memoryview | None = None
        self._buffer: memoryview | None = None

    def read_ahead(self) -> bool:
        """Read it now, if it is small enough to be kept in memory until it is sent."""
        if self._read is None and self.size <= CHUNK:
            descriptor, offset = self._file()
            self._buffer = _take_buffer(self.size)
            read = _at_offset(self._buffer, offset, self.size)
            if pread_into(descriptor.fd, read, offset) == self.size:
                self._read = read
        return self._read is not None

    def _memory(self) -> Bytes | None:
        return self._read

    def _file(self) -> tuple[Descriptor, int]:
        if self._descriptor is None or (self._descriptor.fd < 0 and self._path is not None):
            if self._path is None:
                raise ValueError("the data set is closed")
            self._descriptor = open_file(self._path)
        return self._descriptor, self._offset

    def close(self) -> None:
        """Let go of the file."""
        if self._path is not None and self._descriptor is not None:
            self._descriptor.close()
        self._descriptor = None
        buffer, self._buffer, self._read = self._buffer, None, None
        if buffer is not None:
            _give_back(buffer)


def inflate(parts: Iterator[memoryview], limit: int) -> bytes:
    """Inflate a deflated data set (PS3.5 A.5), as far as `limit` bytes.

    Raises
    ------
    DataSetDecodeError
        If it is not deflated data, is cut off, or inflates to more.
    """
    inflater = zlib.decompressobj(-zlib.MAX_WBITS)
    pieces: list[bytes] = []
    total = 0
    try:
        for part in parts:
            data: bytes | memoryview = part
            while data and not inflater.eof:
                piece = inflater.decompress(data, CHUNK)
                data = inflater.unconsumed_tail
                pieces.append(piece)
                total += len(piece)
                if total > limit:
                    raise DataSetDecodeError(f"data set: inflates to more than {limit} bytes")
        while not inflater.eof:
            piece = inflater.flush(CHUNK) if not inflater.unconsumed_tail else b""
            if not piece:
                raise DataSetDecodeError("data set: the deflated data ends early")
            pieces.append(piece)
    except zlib.error:
        raise DataSetDecodeError("data set: it does not inflate") from None
    return b"".join(pieces)


def deflate(data: bytes) -> bytes:
    """Deflate an encoded data set (PS3.5 A.5), padded to an even length."""
    deflater = zlib.compressobj(wbits=-zlib.MAX_WBITS)
    deflated = deflater.compress(data) + deflater.flush()
    return deflated + b"\0" * (len(deflated) % 2)


def encode_dataset(ds: Dataset, transfer_syntax: str) -> EncodedDataSet:
    """Encode a pydicom data set.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        Without file meta information.
    transfer_syntax : str
        Its UID.

    Returns
    -------
    EncodedDataSet

    Raises
    ------
    ValueError
        If it cannot be encoded so: pixel data is neither compressed, decompressed nor turned to
        another byte order, and text that its Specific Character Set does not have is not replaced
        by anything.
    """
    encoding = encoding_of(transfer_syntax)
    if any(tag <= 0x0002FFFF for tag in ds.keys()):  # noqa: SIM118 - its elements are not its keys
        raise ValueError("a data set has no elements of the groups 0000 and 0002")
    _check_pixel_data(ds, transfer_syntax)
    if is_in_other_byte_order(ds, encoding):
        raise ValueError("the data set has values in another byte order")
    try:
        data = write_elements(ds, encoding)
    except NotInCharacterSet as error:
        raise ValueError(f"the data set cannot be encoded: {error}") from None
    except Exception as error:
        # pydicom's own text may quote a value.
        raise ValueError(
            f"the data set cannot be encoded as {transfer_syntax}: {type(error).__name__}"
        ) from error
    return InMemory(data, transfer_syntax)


def write_elements(ds: Dataset, encoding: Encoding) -> bytes:
    """Have the elements written; raises NotInCharacterSet, or whatever pydicom raises."""
    from pynetdicom.dimse import element_write

    data = element_write.write_elements(ds, encoding)
    return deflate(data) if encoding.deflated else data


def _check_pixel_data(ds: Dataset, transfer_syntax: str) -> None:
    """Refuse pixel data that is encapsulated where it should not be, or is not where it should."""
    if "PixelData" not in ds:
        return
    from pydicom.uid import UID

    element = ds["PixelData"]
    uid = UID(transfer_syntax)
    if not uid.is_transfer_syntax or uid.is_private:
        return
    if not uid.is_compressed or encoding_of(transfer_syntax).deflated:
        if element.is_undefined_length:
            raise ValueError(f"encapsulated pixel data cannot be encoded as {transfer_syntax}")
    elif (element.value or b"")[:4] != b"\xfe\xff\x00\xe0":
        raise ValueError(f"pixel data has to be encapsulated for {transfer_syntax}")
    else:
        element.is_undefined_length = True


def is_in_other_byte_order(ds: Dataset, encoding: Encoding) -> bool:
    """Tell whether there are values that pydicom would leave in another byte order."""
    return ds.original_encoding[1] not in (None, encoding.little) and _has_words(ds)


def _has_words(ds: Dataset) -> bool:
    """Tell whether there are values that pydicom leaves in the byte order they are in."""
    from pynetdicom.dimse.element_write import vr_of

    for tag in ds.keys():  # noqa: SIM118 - its elements are not its keys
        element = ds.get_item(tag, keep_deferred=True)
        vr = vr_of(ds, element)
        if vr in ("OW", "OF", "OD", "OL", "OV"):
            if ds[tag].value:
                return True
        elif vr == "SQ" and any(map(_has_words, ds[tag].value or ())):
            return True
    return False


def _take_buffer(length: int) -> memoryview:
    """Give a buffer for `length` bytes of a file, wherever in it they are."""
    try:
        buffer = _buffers.pop()
    except IndexError:
        buffer = _new_buffer(max(length, CHUNK))
    return buffer if len(buffer) >= length + mmap.PAGESIZE else _new_buffer(length)


def _give_back(buffer: memoryview) -> None:
    """Keep a buffer for the next one who needs one."""
    if len(_buffers) < _KEPT_BUFFERS and len(buffer) <= CHUNK + mmap.PAGESIZE:
        _buffers.append(buffer)


def _at_offset(buffer: memoryview, offset: int, length: int) -> memoryview:
    """The part of a buffer for what is at an offset in a file: at the same place of a page."""
    start = offset % mmap.PAGESIZE
    return buffer[start : start + length]


def _new_buffer(size: int) -> memoryview:
    if sys.platform == "win32":
        return memoryview(mmap.mmap(-1, size + mmap.PAGESIZE))
    # Shared, as it is unless one says so, it would be one buffer for both processes after a fork.
    return memoryview(mmap.mmap(-1, size + mmap.PAGESIZE, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS))


def _fill(part: memoryview, descriptor: Descriptor, offset: int) -> None:
    """Read the whole of `part`; a file that has become shorter cannot be sent."""
    count = pread_into(descriptor.fd, part, offset)
    while count < len(part):
        more = pread_into(descriptor.fd, part[count:], offset + count)
        if not more:
            raise TruncatedFile("the file became shorter while it was read")
        count += more


def _reader(descriptor: Descriptor, offset: int) -> Any:
    return lambda position, size: pread(descriptor.fd, size, offset + position)
