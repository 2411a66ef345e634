"""The elements of a pydicom data set, encoded: pydicom writes them, but for their text.

Text is encoded here, as it is or not at all. What pydicom has not decoded goes out as it was read,
also to another transfer syntax, for as long as its character set is the same.
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.dimse.character_sets import (
    DEFAULT_VRS,
    TEXT_VRS,
    Declared,
    NotInCharacterSet,
    check_default,
    check_encoded,
    declared,
    encode_name,
    encode_text,
    is_plain,
    is_read_with,
)
from pynetdicom.dimse.element_walk import UNDEFINED, Encoding

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_ASCII = "ISO_IR 6"
_TEXT = TEXT_VRS | DEFAULT_VRS


class _Level(NamedTuple):
    """What elements are written in: the data set, or an item."""

    ds: Dataset
    encoding: Encoding
    character_set: Declared
    has_encoding: bool
    """Whether it was read in this encoding."""
    has_character_set: bool
    """Whether it was read with this character set."""
    is_copied: bool
    """Whether what is not decoded was read elsewhere, with a character set that is not known."""

    def takes(self, raw: Any) -> bool:
        """Tell whether an element that is not decoded is in this encoding."""
        return self.has_encoding and bool(raw.VR or self.encoding.implicit)


def write_elements(ds: Dataset, encoding: Encoding) -> bytes:
    """Encode the elements of a data set, not deflated.

    Raises
    ------
    NotInCharacterSet
        If a text cannot be encoded as it is.
    Exception
        Whatever pydicom raises.
    """
    return _write(ds, encoding, (), ())


def _write(
    ds: Dataset,
    encoding: Encoding,
    character_set: Declared,
    ancestors: tuple[Dataset, ...],
    *,
    is_copied: bool = False,
) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import correct_ambiguous_vr_element, write_data_element
    from pydicom.valuerep import AMBIGUOUS_VR

    character_set = declared(ds.get("SpecificCharacterSet", character_set))
    level = _Level(
        ds,
        encoding,
        character_set,
        ds.original_encoding == encoding[:2],
        not is_copied and is_read_with(ds, character_set),
        is_copied or None in ds.original_encoding,
    )
    ancestors = (ds, *ancestors)
    if not level.has_encoding:
        for element in ds.elements():
            if element.VR in AMBIGUOUS_VR:
                correct_ambiguous_vr_element(element, ds, encoding.little, list(ancestors))
    file = DicomBytesIO()
    file.is_implicit_VR = encoding.implicit
    file.is_little_endian = encoding.little
    for tag in sorted(ds.keys(), key=int):
        if tag.element == 0 and tag.group > 6:  # a group length, which is retired (PS3.5 7.2)
            continue
        try:
            prepared = _prepared(level, ds.get_item(tag), ancestors)
        except NotInCharacterSet as error:
            raise NotInCharacterSet(_named(tag, error)) from None
        write_data_element(file, prepared, _ASCII)
    return bytes(file.getvalue())


def _named(tag: Any, error: NotInCharacterSet) -> str:
    """Say in which element it is; one of an item has been named already."""
    from pydicom.datadict import keyword_for_tag

    text = str(error)
    if text.startswith("("):
        return text
    keyword = keyword_for_tag(tag)
    name = f"({tag.group:04X},{tag.element:04X})"
    return f"{name} {keyword} {text}" if keyword else f"{name} {text}"


def _prepared(level: _Level, element: Any, ancestors: tuple[Dataset, ...]) -> Any:
    """Give an element that pydicom writes as it should be."""
    is_copied = element.is_raw and level.is_copied
    if element.is_raw:
        if level.has_character_set and level.takes(element):
            return element
        element = _without_decoding(level, element)
        if element.is_raw:
            return element
    vr = element.VR
    if vr == "SQ":
        return _sequence(level, element, ancestors, is_copied=is_copied)
    if vr in TEXT_VRS:
        data = _text(element, level.character_set)
        return element if data is None else _raw(element, vr, data)
    if vr in DEFAULT_VRS:
        # Numbers and dates are ASCII, but may keep the text that they were made from.
        values = _values(element.value)
        check_default("".join([_text_of(value) for value in values]))
    return element


def _without_decoding(level: _Level, raw: Any) -> Any:
    """Give what can go out as it was read as that, the rest decoded."""
    from pydicom.dataelem import convert_raw_data_element

    ds = level.ds
    if raw.value is None:
        return ds[raw.tag]
    vr = vr_of(ds, raw)
    if vr in _TEXT and not is_plain(raw.value):
        if vr in TEXT_VRS and not level.has_character_set:
            if not level.is_copied:
                return ds[raw.tag]
            # With its character set or without.
            check_encoded(raw.value, level.character_set)
        return _raw(raw, vr, raw.value)
    if vr != "SQ" and level.takes(raw):
        return raw
    if vr == "SQ" and level.is_copied:
        # Which is not kept: pydicom takes the text in it for Latin-1.
        element = convert_raw_data_element(raw, encoding=None, ds=ds)
        ds._set_pixel_representation(element)
        return element
    return ds[raw.tag]


def vr_of(ds: Dataset, element: Any) -> str:
    """The VR of an element, also if it was not decoded."""
    if not element.is_raw or element.VR not in (None, "UN"):
        return str(element.VR)
    from pydicom.hooks import hooks

    found: dict[str, Any] = {}
    hooks.raw_element_vr(element, found, encoding=None, ds=ds, **hooks.raw_element_kwargs)
    return str(found["VR"])


def _sequence(
    level: _Level, element: Any, ancestors: tuple[Dataset, ...], *, is_copied: bool
) -> Any:
    head = struct.Struct("<HHI" if level.encoding.little else ">HHI").pack
    parts: list[bytes] = []
    for item in element.value or ():
        data = _write(item, level.encoding, level.character_set, ancestors, is_copied=is_copied)
        if getattr(item, "is_undefined_length_sequence_item", False):
            parts += head(0xFFFE, 0xE000, UNDEFINED), data, head(0xFFFE, 0xE00D, 0)
        else:
            parts += head(0xFFFE, 0xE000, len(data)), data
    return _raw(element, "SQ", b"".join(parts), undefined=element.is_undefined_length)


def _values(value: Any) -> list[Any]:
    if value is None:
        return []
    return list(value) if hasattr(value, "append") or isinstance(value, tuple) else [value]


def _text_of(value: Any) -> str:
    return value if isinstance(value, str) else getattr(value, "original_string", None) or ""


def _text(element: Any, character_set: Declared) -> bytes | None:
    """The encoded text of an element; None if it is ASCII, or bytes."""
    values = _values(element.value)
    if any(isinstance(value, bytes) for value in values) or "".join(map(str, values)).isascii():
        return None
    encode = encode_name if element.VR == "PN" else encode_text
    return b"\\".join([encode(value, character_set) for value in values])


def _raw(element: Any, vr: str, data: bytes, *, undefined: bool = False) -> Any:
    """An element whose value is encoded already."""
    from pydicom.dataelem import RawDataElement

    if len(data) & 1 and vr != "SQ":
        data += b"\0" if vr == "UI" else b" "
    length = UNDEFINED if undefined else len(data)
    return RawDataElement(element.tag, vr, length, data, 0, False, True)
