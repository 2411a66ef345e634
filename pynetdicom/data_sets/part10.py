"""DICOM files (PS3.10): what is in front of the data set, read and written without pydicom.

`read_header` reads the beginning of a file once and gives a `Part10`: which SOP Instance it is, by
its data set and not by its meta information (they differ in real files), how it is encoded, and
where the data set is. `header_builder` is for what comes before a data set in a file.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Callable
from contextlib import closing
from functools import lru_cache, partial
from typing import Self

from pynetdicom.data_sets.descriptor import Descriptor, open_file, pread
from pynetdicom.data_sets.element_walk import (
    EXPLICIT_VR_BIG_ENDIAN,
    EXPLICIT_VR_LITTLE_ENDIAN,
    IMPLICIT_VR_LITTLE_ENDIAN,
    Window,
    encoding_of,
    is_vr,
)
from pynetdicom.data_sets.encoded import (
    SOP_CLASS_UID,
    SOP_INSTANCE_UID,
    UIDS,
    EncodedDataSet,
    InFile,
    InMemory,
)
from pynetdicom.data_sets.representations import begins_element, heads_for, padding
from pynetdicom.errors import DataSetDecodeError, FileProblem, MissingUID, NotDICOM, TruncatedFile

FIRST_READ = 16384
"""Bytes that are read at once: the whole header of most files, and the whole of small ones."""

MAXIMUM_META = 1 << 20
"""Bytes that the meta information may take."""

CHUNK = 1 << 20

TRANSFER_SYNTAX_UID = 0x00020010


class Part10:
    """A DICOM file whose header was read.

    Attributes
    ----------
    transfer_syntax : str
        How the data set is encoded.
    offset, size : int
        Where the data set is in the file, and its length in bytes.
    """

    def __init__(self, descriptor: Descriptor, head: bytes, file_size: int, prefix: int) -> None:
        self._descriptor = descriptor
        self._prefix = prefix
        transfer_syntax, self.offset = _read_meta(head, descriptor, file_size, prefix)
        self.size = file_size - self.offset
        data = head[self.offset :]
        self.transfer_syntax = transfer_syntax or _guess_transfer_syntax(data)
        self._data_set: EncodedDataSet
        if len(head) == file_size:
            self._data_set = InMemory(data, self.transfer_syntax)
        else:
            self._data_set = InFile(
                descriptor, self.offset, self.size, self.transfer_syntax, head=data
            )
        self._values: dict[int, bytes] | None = None

    @property
    def sop_class_uid(self) -> str:
        """The SOP Class UID of the data set.

        Raises
        ------
        MissingUID
            If it has none.
        """
        return self._uid(SOP_CLASS_UID, "SOP Class UID")

    @property
    def sop_instance_uid(self) -> str:
        """The SOP Instance UID of the data set.

        Raises
        ------
        MissingUID
            If it has none.
        """
        return self._uid(SOP_INSTANCE_UID, "SOP Instance UID")

    def check(self, *, is_whole: bool = False) -> None:
        """Go over the data set to its end.

        Parameters
        ----------
        is_whole : bool
            Whether it is known that the file was not cut off, whatever follows the last element.

        Raises
        ------
        TruncatedFile
            If an element reaches beyond the end of the file, or beyond what it is in.
        MissingUID
            If there is no SOP Class UID or SOP Instance UID.
        """
        try:
            found = self._data_set.survey()
        except DataSetDecodeError as error:
            self.uids()  # which says it if this is no DICOM file at all
            raise _truncated(error) from None
        if found.stray and not is_whole:
            encoding = encoding_of(self.transfer_syntax)._replace(implicit=found.implicit)
            if begins_element(found.stray, found.last, encoding):
                raise _truncated("it ends within an element header")
        self._uid(SOP_CLASS_UID, "SOP Class UID")
        self._uid(SOP_INSTANCE_UID, "SOP Instance UID")

    def check_encoding(self) -> None:
        """See whether the data set is encoded as the transfer syntax says.

        Raises
        ------
        FileProblem
            If it is in implicit VR and should not be, or the other way round. Reading takes it for
            what it is, but a peer is told the transfer syntax and nothing else.
        """
        self._data_set.check_encoding()

    def meta(self) -> bytes:
        """The encoded meta information; empty where there is none."""
        return pread(self._descriptor.fd, self.offset - self._prefix, self._prefix)

    def data_set(self) -> EncodedDataSet:
        """Give the data set as it is encoded in the file; it stays readable after `close`."""
        data_set = self._data_set
        return data_set.duplicate() if isinstance(data_set, InFile) else data_set

    def close(self) -> None:
        """Close the file."""
        self._descriptor.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def uids(self) -> dict[int, bytes]:
        """The UIDs in the data set, as they are encoded.

        Raises
        ------
        FileProblem
            If an element up to them overruns the data set; NotDICOM where nothing else speaks for a
            DICOM file.
        """
        if self._values is None:
            try:
                self._values = self._data_set.peek(*UIDS)
            except DataSetDecodeError as error:
                raise (_truncated(error) if self._prefix else _not_dicom()) from None
        return self._values

    def _uid(self, tag: int, name: str) -> str:
        value = self.uids().get(tag, b"").decode("latin-1").strip(" \0")
        if not value:
            raise MissingUID(f"the data set has no {name}")
        return value


def read_header(path: str | os.PathLike[str]) -> Part10:
    """Read the header of a DICOM file, as far as the SOP Instance UID.

    A file without preamble and meta information is taken if it may well be a bare data set.

    Raises
    ------
    NotDICOM
        If it is no DICOM file, or a directory, or empty.
    TruncatedFile
        If it ends too early.
    FileProblem
        If it cannot be read.
    """
    return _opened(path, Part10.uids)


def read_checked(path: str | os.PathLike[str], *, is_whole: bool = False) -> Part10:
    """Read a DICOM file, its element headers to the end; see `Part10.check`."""
    return _opened(path, partial(Part10.check, is_whole=is_whole))


def _opened(path: str | os.PathLike[str], look: Callable[[Part10], object]) -> Part10:
    descriptor = None
    try:
        descriptor = open_file(os.fspath(path))
        header = _header_of(descriptor)
        look(header)
    except BaseException as error:
        if descriptor is not None:  # whoever keeps the exception would keep the file open
            descriptor.close()
        if isinstance(error, OSError):
            why = error.strerror or type(error).__name__
            raise FileProblem(f"it cannot be read: {why}") from None
        raise
    return header


def _header_of(descriptor: Descriptor) -> Part10:
    status = os.fstat(descriptor.fd)
    if stat.S_ISDIR(status.st_mode):
        raise NotDICOM("it is a directory")
    if not stat.S_ISREG(status.st_mode):
        raise NotDICOM("it is not a regular file")
    head = pread(descriptor.fd, FIRST_READ, 0)
    if not head:
        raise NotDICOM("the file is empty")
    prefix = 132 if head[128:132] == b"DICM" else 0
    if not prefix and not _is_plausible(head):
        raise _not_dicom()
    try:
        return Part10(descriptor, head, status.st_size, prefix)
    except TruncatedFile:
        if not prefix:
            raise _not_dicom() from None
        raise


def _not_dicom() -> NotDICOM:
    return NotDICOM("it is not a DICOM file")


def _truncated(why: object) -> TruncatedFile:
    return TruncatedFile(f"the file is truncated or damaged: {why}")


def _is_plausible(head: bytes) -> bool:
    """Tell whether a file without "DICM" begins as meta information or a data set does."""
    if len(head) < 8:
        return False
    if head[:2] in (b"\x02\0", b"\x08\0"):
        return True
    # Big endian, explicit VR.
    return head[:2] == b"\0\x08" and is_vr(head[4:6]) is not None


def _read_meta(head: bytes, descriptor: Descriptor, file_size: int, prefix: int) -> tuple[str, int]:
    """Read the meta information: transfer syntax, and where the data set begins.

    That is where the group length says, also if elements of group 0002 follow (PS3.10 7.1). It is
    not believed where it is wrong: not at the end of an element, or before the transfer syntax, or
    before an element that is encoded as the meta information is and not as the data set; nor is
    there always one. Then it ends before the first element of another group.
    """
    window = Window(head, file_size, lambda offset, size: pread(descriptor.fd, size, offset), True)
    # Tolerated: meta information in implicit VR.
    implicit = not is_vr(head[prefix + 4 : prefix + 6])
    transfer_syntax, announced, offset = "", -1, prefix
    try:
        while offset < file_size:
            tag, vr, length, value = window.header(offset, implicit)
            if tag >> 16 != 0x0002:
                break
            if not vr and not implicit:  # Tolerated: a VR that is none.
                length = int.from_bytes(window.bytes_at(offset + 6, 2), "little")
            if offset > MAXIMUM_META:
                raise NotDICOM("its meta information is too long")
            if offset == announced and transfer_syntax:
                vr = window.bytes_at(offset + 4, 2)
                if _is_of_data_set(vr, implicit, transfer_syntax):
                    break
            offset = value + length
            if offset > file_size:
                raise TruncatedFile("the file ends within its meta information")
            if tag == 0x00020000 and length == 4:
                announced = offset + int.from_bytes(window.bytes_at(value, 4), "little")
            elif tag == TRANSFER_SYNTAX_UID and length <= MAXIMUM_META:
                transfer_syntax = window.bytes_at(value, length).decode("latin-1").strip(" \0")
    except DataSetDecodeError:
        # Or within the first element of the data set, which is not looked at here.
        if pread(descriptor.fd, 2, offset) == b"\x02\0":
            raise TruncatedFile("the file ends within its meta information") from None
    return transfer_syntax, offset


def _is_of_data_set(vr: bytes, meta_is_implicit: bool, transfer_syntax: str) -> bool:
    """Tell whether an element of group 0002 that follows the meta information is none of it."""
    encoding = encoding_of(transfer_syntax)
    if encoding.deflated or not encoding.little:
        return encoding.deflated
    is_implicit = not is_vr(vr)
    return is_implicit == encoding.implicit or is_implicit != meta_is_implicit


def _guess_transfer_syntax(data: bytes) -> str:
    """Guess how a data set is encoded of which nobody says it, by its first element."""
    if is_vr(data[4:6]):
        big = data[:1] == b"\0" and data[1:2] != b"\0"
        return EXPLICIT_VR_BIG_ENDIAN if big else EXPLICIT_VR_LITTLE_ENDIAN
    return IMPLICIT_VR_LITTLE_ENDIAN


_head = heads_for(encoding_of(EXPLICIT_VR_LITTLE_ENDIAN))
_PREFIX = bytes(128) + b"DICM"
_VERSION = _head(0x00020001, "OB", 2) + b"\0\1"


def _element(number: int, vr: str, value: str) -> bytes:
    raw = value.encode("latin-1", "replace")
    if len(raw) & 1:
        raw += padding(vr.encode())
    return _head(0x00020000 | number, vr, len(raw)) + raw


_class_element = lru_cache(256)(partial(_element, 0x0002, "UI"))


def header_builder(
    transfer_syntax: str,
    *,
    implementation_class_uid: str,
    implementation_version_name: str | None = None,
    source_ae_title: str | None = None,
    sending_ae_title: str | None = None,
    receiving_ae_title: str | None = None,
) -> Callable[[str, str], bytes]:
    """Give a function that makes what comes before a data set in a file.

    It is called with SOP Class UID and SOP Instance UID, and returns preamble, prefix and meta
    information (PS3.10 7.1).
    """
    elements_after = (
        (0x0010, "UI", transfer_syntax),
        (0x0012, "UI", implementation_class_uid),
        (0x0013, "SH", implementation_version_name),
        (0x0016, "AE", source_ae_title),
        (0x0017, "AE", sending_ae_title),
        (0x0018, "AE", receiving_ae_title),
    )
    after = b"".join([_element(number, vr, value) for number, vr, value in elements_after if value])

    def build(sop_class_uid: str, sop_instance_uid: str) -> bytes:
        uid = sop_instance_uid.encode("latin-1", "replace")
        uid += b"\0" * (len(uid) & 1)
        instance = _head(0x00020003, "UI", len(uid))
        elements = b"".join((_VERSION, _class_element(sop_class_uid), instance, uid, after))
        length = len(elements).to_bytes(4, "little")
        return b"".join((_PREFIX, _head(0x00020000, "UL", 4), length, elements))

    return build


def same_data_set(received: EncodedDataSet, path: str | os.PathLike[str]) -> bool:
    """Whether a file holds the very bytes of a data set, in the same transfer syntax.

    It is the question when an object is received of which there is a file already: the same one
    again, or another one with the same UID. Both are read in parts, and neither is decoded.

    Parameters
    ----------
    received : EncodedDataSet
        Such as ``event.received``.
    path : str or os.PathLike

    Returns
    -------
    bool
        False also where the file cannot be read.
    """
    try:
        with read_header(path) as stored:
            if (stored.transfer_syntax, stored.size) != (received.transfer_syntax, received.size):
                return False
            with closing(stored.data_set()) as data_set:
                return _same_bytes(data_set, received)
    except (FileProblem, OSError):
        return False


def _same_bytes(first: EncodedDataSet, second: EncodedDataSet) -> bool:
    """Whether two data sets of the same size have the same bytes."""
    with first.open() as one, second.open() as other:
        while chunk := one.read(CHUNK):
            if chunk != other.read(CHUNK):
                return False
    return True
