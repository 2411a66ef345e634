"""The elements of a pydicom data set, encoded: what is plain here, the rest by pydicom.

Plain is text, numbers, sequences and bytes. Text is encoded as it is or not at all. What pydicom
has not decoded goes out as it was read, also to another transfer syntax, for as long as its
character set is the same; how it was read it says itself, since it may come from another data set.
Words that it has decoded do not say their byte order, and are refused in another one. What is in a
buffer is read when it goes out.
"""

from __future__ import annotations

import struct
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

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
from pynetdicom.data_sets.element_walk import UNDEFINED, Encoding, encoding_of, is_sequence
from pynetdicom.data_sets.pieces import Buffered, NotEncodable, Pieces, Stretch, swapped
from pynetdicom.data_sets.representations import (
    Heads,
    can_hold,
    heads_for,
    name_of,
    padding,
    recoded,
    words_or_bytes,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_TEXT = TEXT_VRS | DEFAULT_VRS
_NUMBERS = {"US": "H", "UL": "L", "SL": "l", "FL": "f", "FD": "d", "UV": "Q", "SV": "q"}
_WORDS = frozenset(("OW", "OF", "OD", "OL", "OV"))
"""VRs whose byte order pydicom does not change."""
_BYTES = _WORDS | {"OB", "UN"}
_NUMBERS_AS_TEXT = frozenset(("DS", "IS"))
_SPECIFIC_CHARACTER_SET = 0x00080005
_PIXEL_DATA = 0x7FE00010


class Level:
    """What elements are written in: the data set, or an item."""

    is_buffered = False
    """Whether some of its parts are still in a buffer."""
    is_as_read = False
    """Whether something in it may be as somebody else has encoded it."""

    def __init__(
        self, ds: Dataset, encoding: Encoding, outer: Level | None = None, is_copied: bool = False
    ) -> None:
        self.ds = ds
        self.encoding = encoding
        self.outer = outer
        # pydicom compares its tags in Python.
        self.elements: dict[int, Any] = dict(zip(map(int, ds.keys()), ds.values(), strict=True))
        self.character_set: Declared = () if outer is None else outer.character_set
        if _SPECIFIC_CHARACTER_SET in self.elements:
            self.character_set = declared(ds.get("SpecificCharacterSet"))
        self._is_of_copy = is_copied

    @cached_property
    def has_character_set(self) -> bool:
        """Whether it was read with this character set."""
        return not self._is_of_copy and is_read_with(self.ds, self.character_set)

    @cached_property
    def is_copied(self) -> bool:
        """Whether what is not decoded was read elsewhere, nobody knows in which character set."""
        return self._is_of_copy or None in self.ds.original_encoding

    @cached_property
    def is_whole(self) -> bool:
        """Whether it was read together with the data set that it is, or is in."""
        outer = self.outer
        order = self.ds.original_encoding[1]
        return outer is None or (outer.is_whole and order == outer.ds.original_encoding[1])

    @cached_property
    def order(self) -> bool | None:
        """The byte order that decoded words are in: True for little endian, None if nobody says."""
        order = self.ds.original_encoding[1]
        if order is None and self.outer is not None:
            order = self.outer.order
        if order is None:
            syntax = (getattr(self.ds, "file_meta", None) or {}).get("TransferSyntaxUID")
            order = encoding_of(str(syntax)).little if syntax else None
        return order

    def takes(self, raw: Any) -> bool:
        """Tell whether an element that is not decoded is in this encoding."""
        return (raw.is_implicit_VR, raw.is_little_endian) == self.encoding[:2]

    def check_order(self, vr: str, value: Any) -> None:
        """Refuse words that were decoded, if they are in another byte order."""
        if vr in _WORDS and self.order not in (None, self.encoding.little) and value != b"":
            raise NotEncodable("has values in another byte order")

    def parts(self) -> list[Any]:
        """Encode the elements, not deflated: `bytes`, and `Stretch` where something is in a buffer.

        Raises
        ------
        NotInCharacterSet
            If a text cannot be encoded as it is.
        NotEncodable
            If another value cannot; the cause is what pydicom raised.
        """
        heads = heads_for(self.encoding)
        parts: list[Any] = []
        elements = self.elements
        form = self.encoding[:2]
        tag = 0
        try:
            for tag in sorted(elements):
                if tag >= 0x70000 and not tag & 0xFFFF:  # a group length: retired (PS3.5 7.2)
                    continue
                element = elements[tag]
                data: bytes | None = None
                if not element.is_raw:
                    data = _plain(self, element)
                elif (
                    (element.is_implicit_VR, element.is_little_endian) == form
                    and self.has_character_set
                    and element.length != UNDEFINED
                ):
                    data = element.value  # None if it is empty, or still in its file
                    self.is_as_read = True
                if data is None:
                    self.is_as_read = True
                    parts += _others(self, heads, element)
                else:
                    parts += heads(tag, element.VR, len(data)), data
        except (NotInCharacterSet, NotEncodable) as error:
            raise type(error)(_named(tag, error)) from error.__cause__
        except Exception as error:  # pydicom's own text may quote a value
            raise NotEncodable(f"{name_of(tag)}: {type(error).__name__} in pydicom") from error
        return parts

    def encoded(self) -> bytes:
        """Encode the elements, and read what is in buffers; raises as `parts`."""
        parts = self.parts()
        return Pieces(parts).getvalue() if self.is_buffered else b"".join(parts)


def _named(tag: int, error: Exception) -> str:
    """Say in which element it is; one of an item has been named already."""
    text = str(error)
    return text if text.startswith("(") else f"{name_of(tag)} {text}"


def _plain(level: Level, element: Any) -> bytes | None:
    """The value of an element that has text, numbers, items or bytes; None of what is not plain."""
    vr, value = element.VR, element.value
    if element.is_undefined_length:
        return None
    if value is None:
        return b""
    if vr == "SQ":
        return _items(level, value)
    if vr in _BYTES and type(value) is bytes and not len(value) & 1:
        level.check_order(vr, value)
        return value
    try:
        values = value if hasattr(value, "append") else [value]
        if vr in _NUMBERS:
            order = "<" if level.encoding.little else ">"
            return struct.pack(f"{order}{len(values)}{_NUMBERS[vr]}", *values)
        if vr == "PN":
            text = "\\".join(["=".join(name.components) for name in values])
        elif vr in _NUMBERS_AS_TEXT:
            text = "\\".join([getattr(n, "original_string", None) or str(n) for n in values])
        elif vr in _TEXT:
            text = "\\".join(values)
        else:
            return None
    except Exception:  # a value that is not what its VR says: pydicom has a better word for it
        return None
    if text.isascii():
        data = text.encode("ascii")
    else:
        if vr in DEFAULT_VRS:
            check_default(text)
        encode = encode_name if vr == "PN" else encode_text
        data = b"\\".join([encode(one, level.character_set) for one in values])
    if len(data) & 1:
        data += b"\0" if vr == "UI" else b" "
    return data


def _items(level: Level, items: Any, *, is_copied: bool = False) -> bytes:
    head = struct.Struct("<HHI" if level.encoding.little else ">HHI").pack
    parts: list[bytes] = []
    for item in items:
        inner = Level(item, level.encoding, level, is_copied=is_copied)
        data = inner.encoded()
        level.is_as_read |= inner.is_as_read
        if getattr(item, "is_undefined_length_sequence_item", False):
            parts += head(0xFFFE, 0xE000, UNDEFINED), data, head(0xFFFE, 0xE00D, 0)
        else:
            parts += head(0xFFFE, 0xE000, len(data)), data
    return b"".join(parts)


def _others(level: Level, heads: Heads, element: Any) -> list[Any]:
    """Write an element that is neither plain nor as it was read."""
    is_copied = element.is_raw and level.is_copied
    if element.is_raw:
        element = _without_decoding(level, element)
        if not (element.is_raw or element.VR == "SQ"):
            plain = _plain(level, element)
            if plain is not None:
                return [heads(int(element.tag), element.VR, len(plain)), plain]
    if not element.is_raw:
        element = _prepared(level, element, is_copied=is_copied)
    if not element.is_raw:
        return [_by_pydicom(element, level.encoding)]
    order = "<" if level.encoding.little else ">"
    tag, value = int(element.tag), element.value
    length, pad, data = len(value), b"", value
    if isinstance(value, Buffered):
        data = Stretch(value.read_into, 0, length)
        pad = b"\0" * (length & 1)
        level.is_buffered = True
    if element.length != UNDEFINED:
        return [heads(tag, element.VR, length + len(pad)), data, pad]
    first = value.begin() if isinstance(value, Buffered) else value[:4]
    if tag == _PIXEL_DATA and first != struct.pack(order + "HH", 0xFFFE, 0xE000):
        raise NotEncodable("is of undefined length, and not encapsulated")
    end = struct.pack(order + "HHI", 0xFFFE, 0xE0DD, 0)
    return [heads(tag, element.VR, UNDEFINED), data, pad, end]


def _by_pydicom(element: Any, encoding: Encoding) -> bytes:
    from pydicom.filebase import DicomBytesIO
    from pydicom.filewriter import write_data_element

    file = DicomBytesIO()
    file.is_implicit_VR, file.is_little_endian = encoding[:2]
    write_data_element(file, element, "ISO_IR 6")
    return file.getvalue()


def _prepared(level: Level, element: Any, *, is_copied: bool) -> Any:
    """Give an element as pydicom should write it, or with its value encoded."""
    vr, value = element.VR, element.value
    if len(vr) > 2:
        is_bytes = isinstance(value, bytes)
        level.check_order(words_or_bytes(element.tag, vr) if is_bytes else vr, value)
        element = _unambiguous(level, element)
        vr = element.VR
    level.check_order(vr, value)
    if hasattr(value, "readinto"):  # what pydicom has as buffered, and other files
        return _raw(element, vr, Buffered(value), undefined=element.is_undefined_length)
    if hasattr(value, "read"):
        raise NotEncodable("has its value in a file that is not one of bytes")
    if vr == "SQ":
        data = _items(level, value or (), is_copied=is_copied)
        return _raw(element, "SQ", data, undefined=element.is_undefined_length)
    if vr in _TEXT:  # and odd: pydicom would write "?" for what is not ASCII
        values = value if hasattr(value, "append") or isinstance(value, tuple) else [value]
        texts = [getattr(one, "original_string", one) for one in values]
        check_default("".join([text for text in texts if isinstance(text, str)]))
    return element


def _unambiguous(level: Level, element: Any) -> Any:
    """Give an element of several VRs with the one that it has here."""
    from pydicom.filewriter import correct_ambiguous_vr_element

    ancestors = [level.ds]
    outer = level.outer
    while outer is not None:
        ancestors.append(outer.ds)
        outer = outer.outer
    with suppress(Exception):  # what it depends on is not there
        correct_ambiguous_vr_element(element, level.ds, level.encoding.little, ancestors)
    value = element.value
    if len(element.VR) > 2 and isinstance(value, (bytes, bytearray)):
        return _raw(element, words_or_bytes(element.tag, element.VR), bytes(value))
    return element


def _without_decoding(level: Level, raw: Any) -> Any:
    """Give what can go out as it was read as that, the rest decoded."""
    from pydicom.dataelem import convert_raw_data_element

    ds = level.ds
    if raw.value is None:
        return ds[raw.tag]
    if level.has_character_set and level.takes(raw):
        return raw
    vr = _vr_of(ds, raw)
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


def _copied(level: Level, raw: Any, vr: str) -> Any:
    """Give what was read in another encoding, its value copied."""
    value = raw.value
    if raw.VR == "UN" != vr:
        return level.ds[raw.tag]
    if vr in _TEXT:
        value = value.rstrip(b" \0")  # and padded anew, as pydicom does it
    is_turned = raw.is_little_endian != level.encoding.little
    if is_turned and level.is_whole and raw.is_little_endian == level.ds.original_encoding[1]:
        level.check_order(vr, value)  # as if it were decoded: whether it is must not matter
    if vr == "US or SS" and can_hold(b"US", len(value)):
        return level.ds[raw.tag]
    vr = words_or_bytes(raw.tag, vr)
    found = recoded(vr.encode(), len(value), raw.is_little_endian, level.encoding)
    if found is None:
        raise NotEncodable("is not as its VR has it, in the other byte order")
    code, unit = found
    data = value if unit == 1 else bytes(swapped(value, unit))
    return _raw(raw, code.decode(), data, undefined=raw.length == UNDEFINED)


def _vr_of(ds: Dataset, element: Any) -> str:
    """The VR of an element that was not decoded."""
    if element.VR not in (None, "UN"):
        return str(element.VR)
    from pydicom.hooks import hooks

    found: dict[str, Any] = {}
    hooks.raw_element_vr(element, found, encoding=None, ds=ds, **hooks.raw_element_kwargs)
    return str(found["VR"])


def _raw(element: Any, vr: str, data: bytes | Buffered, *, undefined: bool = False) -> Any:
    """An element whose value is encoded already."""
    from pydicom.dataelem import RawDataElement

    if isinstance(data, bytes) and len(data) & 1 and vr in _TEXT:
        data += padding(vr.encode())
    length = UNDEFINED if undefined else len(data)
    value: Any = data
    return RawDataElement(element.tag, vr, length, value, 0, False, True)
