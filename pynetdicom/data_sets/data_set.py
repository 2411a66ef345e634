"""Data sets and their encodings: a pydicom data set encoded, an encoded one in another encoding."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pynetdicom.data_sets.character_sets import NotInCharacterSet
from pynetdicom.data_sets.element_rewrite import rewrite
from pynetdicom.data_sets.element_walk import (
    EXPLICIT_VR_LITTLE_ENDIAN,
    UNCOMPRESSED,
    UNDEFINED,
    Encoding,
    Survey,
    encoding_of,
)
from pynetdicom.data_sets.element_write import Level
from pynetdicom.data_sets.encoded import EncodedDataSet, InFile, InMemory, deflate
from pynetdicom.data_sets.pieces import Buffered, NotEncodable, Pieces
from pynetdicom.errors import DataSetDecodeError
from pynetdicom.uids import named

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

__all__ = ["EncodedDataSet", "InFile", "InMemory", "change_syntax", "encode_dataset", "for_wire"]


def for_wire(data_set: EncodedDataSet) -> EncodedDataSet:
    """Give a data set as it is sent: its values of even length, and nothing after the last.

    Its elements are not looked at again if they were before, as by `EncodedDataSet.check`. One in
    which they cannot be told from each other is left as it is.

    Parameters
    ----------
    data_set : EncodedDataSet
        If it is long, it is still needed to read the result.

    Returns
    -------
    EncodedDataSet
        The same one where there is nothing to mend.
    """
    if encoding_of(data_set.transfer_syntax).deflated:
        return data_set  # as a whole it is padded on its way (PS3.5 A.5)
    try:
        found = data_set.survey()
        if not found.odd_count and not found.stray:
            return data_set
        pieces = rewrite(data_set, found)
    except (DataSetDecodeError, NotImplementedError):
        return data_set
    return _mended(pieces, data_set.transfer_syntax, found, data_set.oddities)


def change_syntax(data_set: EncodedDataSet, transfer_syntax: str) -> EncodedDataSet:
    """Encode a data set in another transfer syntax, by its element headers; values are copied.

    Parameters
    ----------
    data_set : EncodedDataSet
        Not compressed. If it is long, it is still needed to read the result, and not closed by it.
    transfer_syntax : str
        Of one that is not compressed.

    Returns
    -------
    EncodedDataSet
        The same one if it is in that transfer syntax.

    Raises
    ------
    ValueError
        If it cannot be encoded so; the message names the element.
    DataSetDecodeError
        If an element overruns the data set.
    """
    syntax = data_set.transfer_syntax
    if syntax == transfer_syntax:
        return data_set
    if not UNCOMPRESSED.issuperset((syntax, transfer_syntax)):
        raise ValueError(
            f"a data set is not re-encoded from {named(syntax)} to {named(transfer_syntax)}"
        )
    source, target = encoding_of(syntax), encoding_of(transfer_syntax)
    found = data_set.survey()
    notes = data_set.oddities
    if source.deflated:
        data_set = InMemory(data_set.inflated(), EXPLICIT_VR_LITTLE_ENDIAN)
    is_other = (found.implicit, source.little) != target[:2]
    pieces = rewrite(data_set, found, target if is_other else None)
    return _mended(pieces, transfer_syntax, found._replace(implicit=target.implicit), notes)


def _mended(
    pieces: Pieces, transfer_syntax: str, found: Survey, notes: tuple[str, ...]
) -> EncodedDataSet:
    """Make a data set of what was written anew, and need not be walked again."""
    data_set = pieces.to_data_set(transfer_syntax)
    if encoding_of(transfer_syntax).deflated:
        data_set = InMemory(deflate(data_set.getvalue()), transfer_syntax)
    else:
        data_set.take_survey(found._replace(end=data_set.size, first_odd=0, odd_count=0, stray=b""))
    data_set.mended = notes
    return data_set


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
    level = Level(ds, encoding)
    first = min(level.elements, default=0x00080000)
    if first < 0x00030000 and any(tag >> 16 in (0, 2) for tag in level.elements):
        raise ValueError("a data set has no elements of the groups 0000 and 0002")
    if 0x7FE00010 in level.elements:
        _check_pixel_data(ds, transfer_syntax)
    try:
        if encoding.deflated:
            return InMemory(deflate(level.encoded()), transfer_syntax)
        parts = level.parts()
        if level.is_buffered:
            return Pieces(parts).to_data_set(transfer_syntax)
        data_set = InMemory(b"".join(parts), transfer_syntax)
        data_set.is_even = not level.is_as_read
        return data_set
    except (NotInCharacterSet, NotEncodable) as error:
        how = f" as {named(transfer_syntax)}" if isinstance(error, NotEncodable) else ""
        raise ValueError(f"the data set cannot be encoded{how}: {error}") from error.__cause__


def write_elements(ds: Dataset, encoding: Encoding) -> bytes:
    """Have the elements written; raises NotInCharacterSet or NotEncodable."""
    data = Level(ds, encoding).encoded()
    return deflate(data) if encoding.deflated else data


def _check_pixel_data(ds: Dataset, transfer_syntax: str) -> None:
    """Refuse pixel data that is encapsulated where it should not be, or is not where it should."""
    from pydicom.uid import UID

    uid = UID(transfer_syntax)
    if not uid.is_transfer_syntax or uid.is_private:
        return
    element: Any = ds.get_item("PixelData", keep_deferred=True)
    if element.is_raw:
        is_encapsulated = element.length == UNDEFINED
    else:
        is_encapsulated = element.is_undefined_length
    if not uid.is_compressed or encoding_of(transfer_syntax).deflated:
        if is_encapsulated:
            raise ValueError(
                f"encapsulated pixel data cannot be encoded as {named(transfer_syntax)}: decompress"
                " it first"
            )
    elif element.value is None and is_encapsulated:
        return  # it is still in its file
    elif _beginning(element.value) != b"\xfe\xff\x00\xe0":
        raise ValueError(
            f"pixel data has to be encapsulated for {named(transfer_syntax)}: compress it first"
        )
    elif not is_encapsulated:
        ds["PixelData"].is_undefined_length = True


def _beginning(value: Any) -> bytes:
    if not hasattr(value, "read"):
        return bytes((value or b"")[:4])
    if not hasattr(value, "readinto"):
        return b""
    try:
        return Buffered(value).begin()
    except NotEncodable as error:
        raise ValueError(f"(7FE0,0010) PixelData {error}") from None
