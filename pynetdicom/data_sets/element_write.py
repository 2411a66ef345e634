"""The elements of a pydicom data set, encoded: pydicom writes them, but for their text.

Text is encoded here, as it is or not at all. What pydicom has not decoded goes out as it was read,
also to another transfer syntax, for as long as its character set is the same; how it was read it
says itself, since it may come from another data set. What is in a buffer is read when it goes out.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.data_sets.character_sets import (
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
from pynetdicom.data_sets.element_walk import LONG_VRS, UNDEFINED, Encoding, is_sequence
from pynetdicom.data_sets.pieces import Buffered, NotEncodable, Pieces, Stretch, swapped
from pynetdicom.data_sets.representations import UNITS, can_hold, is_whole, name_of, padding

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_ASCII = "ISO_IR 6"
_TEXT = TEXT_VRS | DEFAULT_VRS
WORDS = ("OW", "OF", "OD", "OL", "OV")
"""VRs whose byte order pydicom does not change."""
_SHORT = 0xFFFE
"""How long a value of a VR with a length of 16 bits is at most."""


class _Level(NamedTuple):
    """What elements are written in: the data set, or an item."""

    ds: Dataset
    encoding: Encoding
    character_set: Declared
    has_character_set: bool
    """Whether it was read with this character set."""
    is_copied: bool
    """Whether what is not decoded was read elsewhere, with a character set that is not known."""
    is_whole: bool
    """Whether it was read together with the data set that it is, or is in."""

    def takes(self, raw: Any) -> bool:
        """Tell whether an element that is not decoded is in this encoding."""
        return (raw.is_implicit_VR, raw.is_little_endian) == self.encoding[:2]

    def takes_from(self, raw: Any) -> bool:
        """Tell whether an element that is not decoded was read with the others."""
        return bool(self.ds.original_encoding[1] == raw.is_little_endian)


def write_elements(ds: Dataset, encoding: Encoding) -> bytes:
    """Encode the elements of a data set, not deflated; see `write_pieces`."""
    return write_pieces(ds, encoding).getvalue()


def write_pieces(ds: Dataset, encoding: Encoding) -> Pieces:
    """Encode the elements of a data set, not deflated.

    Raises
    ------
    NotInCharacterSet
        If a text cannot be encoded as it is.
    NotEncodable
        If another value cannot; the cause is what pydicom raised.
    """
    return _write(ds, encoding, (), ())


def _write(
    ds: Dataset,
    encoding: Encoding,
    character_set: Declared,
    ancestors: tuple[Dataset, ...],
    *,
    is_copied: bool = False,
    is_whole: bool = True,
) -> Pieces:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_data_element

    character_set = declared(ds.get("SpecificCharacterSet", character_set))
    level = _Level(
        ds,
        encoding,
        character_set,
        not is_copied and is_read_with(ds, character_set),
        is_copied or None in ds.original_encoding,
        is_whole,
    )
    ancestors = (ds, *ancestors)

    def new_file() -> DicomBytesIO:
        file = DicomBytesIO()
        file.is_implicit_VR = encoding.implicit
        file.is_little_endian = encoding.little
        return file

    pieces, file = Pieces(), new_file()
    tag: Any = None
    try:
        for tag in sorted(ds.keys(), key=int):
            if tag.element == 0 and tag.group > 6:  # a group length, which is retired (PS3.5 7.2)
                continue
            prepared = _prepared(level, ds.get_item(tag), ancestors)
            if isinstance(prepared, Pieces):
                pieces.add(file.getvalue())
                file = new_file()
                pieces.extend(prepared)
            else:
                write_data_element(file, prepared, _ASCII)
    except NotInCharacterSet as error:
        raise NotInCharacterSet(_named(tag, error)) from None
    except NotEncodable as error:
        raise NotEncodable(_named(tag, error)) from error.__cause__
    except Exception as error:  # pydicom's own text may quote a value
        raise NotEncodable(f"{name_of(tag)}: {type(error).__name__} in pydicom") from error
    pieces.add(file.getvalue())
    return pieces


def _named(tag: int, error: Exception) -> str:
    """Say in which element it is; one of an item has been named already."""
    text = str(error)
    return text if text.startswith("(") else f"{name_of(tag)} {text}"


def _prepared(level: _Level, element: Any, ancestors: tuple[Dataset, ...]) -> Any:
    """Give an element that pydicom writes as it should be, or pieces that are it."""
    is_copied = element.is_raw and level.is_copied
    if element.is_raw:
        if not (level.has_character_set and level.takes(element)):
            element = _without_decoding(level, element)
        if element.is_raw:
            return element
    if len(element.VR) > 2:
        element = _unambiguous(level, element, ancestors)
    vr = element.VR
    if hasattr(element.value, "readinto"):  # what pydicom has as buffered, and other files
        return _buffered(element, level.encoding)
    if hasattr(element.value, "read"):
        raise NotEncodable("has its value in a file that is not one of bytes")
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


def _unambiguous(level: _Level, element: Any, ancestors: tuple[Dataset, ...]) -> Any:
    """Give an element of several VRs with the one that it has here."""
    from pydicom.filewriter import correct_ambiguous_vr_element

    with suppress(Exception):  # what it depends on is not there
        correct_ambiguous_vr_element(element, level.ds, level.encoding.little, list(ancestors))
    value = element.value
    if len(element.VR) > 2 and isinstance(value, (bytes, bytearray)):
        return _raw(element, words_or_bytes(element.tag, element.VR), bytes(value))
    return element


def words_or_bytes(tag: Any, vr: str) -> str:
    """What is OW or something else is OW in implicit VR, but for curves and audio (PS3.5 A.1)."""
    if "OW" not in vr:
        return vr if len(vr) == 2 else "UN"
    return "OB" if 0x5000 <= tag.group < 0x5100 and vr != "OW" else "OW"


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
    if vr != "SQ" or not is_sequence(raw.value, (raw.is_implicit_VR, raw.is_little_endian)):
        return _copied(level, raw, vr)
    if level.is_copied:
        # Which is not kept: pydicom takes the text in it for Latin-1.
        element = convert_raw_data_element(raw, encoding=None, ds=ds)
        ds._set_pixel_representation(element)
        return element
    return ds[raw.tag]


def _copied(level: _Level, raw: Any, vr: str) -> Any:
    """Give what was read in another encoding, its value copied."""
    value = raw.value
    if raw.VR == "UN" != vr:
        return level.ds[raw.tag]
    if vr in _TEXT:
        value = value.rstrip(b" \0")  # and padded anew, as pydicom does it
    is_turned = raw.is_little_endian != level.encoding.little
    if is_turned and vr in WORDS and level.is_whole and level.takes_from(raw):
        return level.ds[raw.tag]  # as pydicom has it: such a data set is refused before
    if vr == "US or SS" and can_hold(b"US", len(value)):
        return level.ds[raw.tag]
    vr = words_or_bytes(raw.tag, vr)
    code = vr.encode()
    if is_turned and vr != "UN":
        if is_whole(code, len(value)):
            value = bytes(swapped(value, UNITS[code])) if code in UNITS else value
        elif raw.is_little_endian:
            vr = "UN"  # which is in little endian everywhere (PS3.5 6.2.2)
        else:
            raise NotEncodable("is not as its VR has it, in the other byte order")
    is_too_long = len(value) > _SHORT and code not in LONG_VRS
    if not level.encoding.implicit and (
        vr == "SQ" or is_too_long or not can_hold(code, len(value))
    ):
        vr = "UN"
    return _raw(raw, vr, value, undefined=raw.length == UNDEFINED)


def _buffered(element: Any, encoding: Encoding) -> Pieces:
    """Give an element whose value is in a buffer."""
    source = Buffered(element.value)
    undefined = element.is_undefined_length
    if undefined and element.tag == 0x7FE00010 and source.begin() != b"\xfe\xff\0\xe0":
        raise NotEncodable("is of undefined length, and not encapsulated")
    length = UNDEFINED if undefined else source.length + source.length % 2
    group, number = element.tag.group, element.tag.element
    order = "<" if encoding.little else ">"
    pieces = Pieces()
    if encoding.implicit:
        pieces.add(struct.pack(order + "HHI", group, number, length))
    else:
        pieces.add(struct.pack(order + "HH2sxxI", group, number, element.VR.encode(), length))
    pieces.keep(Stretch(source.read_into, 0, source.length))
    if source.length & 1:
        pieces.add(b"\0")
    if undefined:
        pieces.add(struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0))
    return pieces


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
        data = _write(
            item,
            level.encoding,
            level.character_set,
            ancestors,
            is_copied=is_copied,
            is_whole=level.is_whole and item.original_encoding[1] == level.ds.original_encoding[1],
        ).getvalue()
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

    if len(data) & 1 and vr in _TEXT:
        data += padding(vr.encode())
    length = UNDEFINED if undefined else len(data)
    return RawDataElement(element.tag, vr, length, data, 0, False, True)
