"""Data sets outside of messages: encoding, decoding, showing, and the meta information of files."""

from __future__ import annotations

import os
from collections.abc import Iterator
from io import BytesIO
from typing import TYPE_CHECKING, Any

from pynetdicom._version import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.data_sets.character_sets import NotInCharacterSet
from pynetdicom.data_sets.data_set import EncodedDataSet as EncodedDataSet
from pynetdicom.data_sets.data_set import InFile as InFile
from pynetdicom.data_sets.data_set import InMemory as InMemory
from pynetdicom.data_sets.data_set import encode_dataset as encode_dataset
from pynetdicom.data_sets.data_set import write_elements
from pynetdicom.data_sets.element_walk import MAXIMUM_DEPTH, UNCOMPRESSED, Encoding, encoding_of
from pynetdicom.data_sets.part10 import same_data_set as same_data_set
from pynetdicom.data_sets.pieces import NotEncodable
from pynetdicom.services.instances import KnownPath as KnownPath

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset, FileMetaDataset

_TRANSFER_SYNTAXES = {encoding_of(uid): uid for uid in UNCOMPRESSED}

_NO_ENCODING = "what is in big endian or deflated is in explicit VR, and not in both"

_BINARY_VRS = frozenset(("OB", "OD", "OF", "OL", "OV", "OW", "UN"))
_SHOWN = 512


def decode(
    bytestring: BytesIO | bytes | bytearray | memoryview,
    is_implicit_vr: bool,
    is_little_endian: bool,
    deflated: bool = False,
) -> Dataset:
    """Decode a data set.

    Parameters
    ----------
    bytestring : io.BytesIO or bytes-like
        The encoded data set, all of it.
    is_implicit_vr, is_little_endian, deflated : bool
        How it is encoded.

    Raises
    ------
    ValueError
        If there is no such encoding.
    pynetdicom.errors.DataSetDecodeError
        If an element overruns the data set, or it nests too deeply.
    """
    encoding = Encoding(bool(is_implicit_vr), bool(is_little_endian), bool(deflated))
    transfer_syntax = _TRANSFER_SYNTAXES.get(encoding)
    if transfer_syntax is None:
        raise ValueError(_NO_ENCODING)
    data = bytestring.getvalue() if isinstance(bytestring, BytesIO) else bytes(bytestring)
    return InMemory(data, transfer_syntax).decode()


def encode(
    ds: Dataset, is_implicit_vr: bool, is_little_endian: bool, deflated: bool = False
) -> bytes | None:
    """Encode a data set.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
    is_implicit_vr, is_little_endian, deflated : bool
        How it is to be encoded.

    Returns
    -------
    bytes or None
        None if it cannot be encoded so, in which case the reason is logged: a text in it has
        characters that its Specific Character Set lacks, or it was read in another byte order than
        its words are to have, for instance. `encode_dataset` raises an error instead.
    """
    encoding = Encoding(bool(is_implicit_vr), bool(is_little_endian), bool(deflated))
    try:
        _check_encoding(ds, encoding)
        return write_elements(ds, encoding)
    except (NotInCharacterSet, NotEncodable) as error:
        why = str(error)
    except Exception as error:
        # pydicom's own text may quote a value.
        why = f"{type(error).__name__} in pydicom"
    import logging

    logging.getLogger("pynetdicom.dsutils").error("The data set cannot be encoded: %s", why)
    return None


def _check_encoding(ds: Dataset, encoding: Encoding) -> None:
    """Refuse what pydicom would encode wrongly."""
    if encoding not in _TRANSFER_SYNTAXES:
        raise NotEncodable(_NO_ENCODING)
    is_encapsulated = "PixelData" in ds and ds["PixelData"].is_undefined_length
    if is_encapsulated and (encoding.implicit or not encoding.little or encoding.deflated):
        raise NotEncodable("encapsulated pixel data is in Explicit VR Little Endian")


def encode_element(
    elem: DataElement, is_implicit_vr: bool = True, is_little_endian: bool = True
) -> bytes:
    """Encode one element of a data set, text in the default character set.

    Parameters
    ----------
    elem : pydicom.dataelem.DataElement
    is_implicit_vr, is_little_endian : bool
        How it is to be encoded.

    Raises
    ------
    ValueError
        If its text is not ASCII.
    Exception
        What pydicom raises when it cannot be encoded.
    """
    from pydicom.dataset import Dataset

    ds = Dataset()
    ds.add(elem)
    return write_elements(ds, Encoding(bool(is_implicit_vr), bool(is_little_endian), False))


def create_file_meta(
    *,
    sop_class_uid: str,
    sop_instance_uid: str,
    transfer_syntax: str,
    implementation_uid: str = PYNETDICOM_IMPLEMENTATION_UID,
    implementation_version: str | None = PYNETDICOM_IMPLEMENTATION_VERSION,
) -> FileMetaDataset:
    """Make the meta information of a file with a data set (PS3.10 7.1).

    Parameters
    ----------
    sop_class_uid, sop_instance_uid, transfer_syntax : str
        UIDs of what is in the file.
    implementation_uid : str
        The Implementation Class UID of who writes it, by default that of this library.
    implementation_version : str, optional
        Its Implementation Version Name; None for none.

    Returns
    -------
    pydicom.dataset.FileMetaDataset
        Its group length is 0 until it is encoded.
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.uid import UID

    meta = FileMetaDataset()
    meta.FileMetaInformationGroupLength = 0
    meta.FileMetaInformationVersion = b"\x00\x01"
    meta.MediaStorageSOPClassUID = UID(sop_class_uid)
    meta.MediaStorageSOPInstanceUID = UID(sop_instance_uid)
    meta.TransferSyntaxUID = UID(transfer_syntax)
    meta.ImplementationClassUID = UID(implementation_uid)
    if implementation_version:
        meta.ImplementationVersionName = implementation_version
    return meta


def encode_file_meta(file_meta: FileMetaDataset) -> bytes:
    """Encode meta information; without preamble and ``DICM`` prefix.

    Parameters
    ----------
    file_meta : pydicom.dataset.FileMetaDataset
        It gets its group length, and what it has to have and can be known (PS3.10 7.1).

    Raises
    ------
    AttributeError
        If it lacks the SOP Class UID, the SOP Instance UID or the Transfer Syntax UID.
    ValueError
        If it has other elements than those of group 0002, or text that is not ASCII.
    """
    from pydicom.dataset import validate_file_meta

    uid, name = map(file_meta.get, ("ImplementationClassUID", "ImplementationVersionName"))
    validate_file_meta(file_meta, enforce_standard=True)
    if uid and not name:  # pydicom has given its own name to somebody else's implementation
        file_meta.pop("ImplementationVersionName", None)
    file_meta.FileMetaInformationGroupLength = 0
    encoded = write_elements(file_meta, Encoding(implicit=False, little=True, deflated=False))
    head, rest = encoded[:8], encoded[12:]  # between them is the length
    file_meta.FileMetaInformationGroupLength = len(rest)
    return head + len(rest).to_bytes(4, "little") + rest


def split_dataset(path: str | os.PathLike[str]) -> tuple[Dataset, int]:
    """Read the meta information of a file.

    Returns
    -------
    tuple of Dataset and int
        The meta information, and where in the file the data set begins.

    Raises
    ------
    pynetdicom.errors.NotDICOM
        If there is no meta information.
    pynetdicom.errors.FileProblem
        If the file cannot be read, or ends within its meta information.
    """
    from pydicom.filereader import read_dataset

    from pynetdicom.data_sets.part10 import read_header
    from pynetdicom.errors import NotDICOM

    with read_header(path) as header:
        raw = header.meta()
        offset = header.offset
    if not raw:
        raise NotDICOM("there is no File Meta Information")
    implicit = not raw[4:6].isalpha()
    return read_dataset(BytesIO(raw), implicit, True), offset


def pretty_dataset(ds: Dataset, indent: int = 0, indent_char: str = "  ") -> list[str]:
    """Show a data set: one line an element, items of sequences indented.

    Parameters
    ----------
    ds : pydicom.dataset.Dataset
        The data set.
    indent : int
        How many times to indent.
    indent_char : str
        What to indent with.
    """
    return list(_pretty_lines(ds, indent, indent_char))


def _pretty_lines(ds: Dataset, indent: int, indent_char: str) -> Iterator[str]:
    margin = indent_char * indent
    for tag in sorted(ds.keys()):
        raw: Any = ds.get_item(tag, keep_deferred=True)
        if raw.value is None and getattr(raw, "length", False):
            # It is long and still in its file, where a line of text is no reason to get it from.
            size = "" if raw.length == 0xFFFFFFFF else f"{raw.length} bytes "
            value = f"({size}not read yet)"
            yield f"{margin}({tag.group:04X},{tag.element:04X}) {raw.VR or '??'} {value}"
            continue
        element = ds[tag]
        yield margin + pretty_element(element)
        if element.VR != "SQ" or not element.value:
            continue
        for number, item in enumerate(element.value, 1):
            yield f"{margin}{indent_char}(Sequence item #{number})"
            if indent < 2 * MAXIMUM_DEPTH:
                yield from _pretty_lines(item, indent + 2, indent_char)


def pretty_element(elem: DataElement) -> str:
    """Show an element in one line: tag, VR, value, number of values, keyword."""
    tag = f"({elem.tag.group:04X},{elem.tag.element:04X})"
    count = 1 if elem.VR == "SQ" else elem.VM
    return f"{tag} {elem.VR} {_shown(elem):<40} # {count} {elem.keyword or elem.name}"


def _shown(elem: DataElement) -> str:
    value: Any = elem.value
    if elem.VR == "SQ":
        count = len(value or ())
        return f"(Sequence with {count} item{'' if count == 1 else 's'})"
    if value is None or (hasattr(value, "__len__") and not len(value)):
        return "(no value available)"
    if elem.VR in _BINARY_VRS and isinstance(value, (bytes, bytearray)):
        return f"({len(value)} bytes of binary data)"
    values = value if elem.VM > 1 else [value]
    text = "\\".join(map(str, values))
    if len(text) > _SHOWN and elem.VR != "UI":  # a part of a UID is another one
        text = text[:_SHOWN] + "..."
    # One element is one line, whatever is in it.
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return f"[{shown}]"
