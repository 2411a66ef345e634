"""Matches, from texts to data sets of encoded elements (PS3.4 C.4.1.1.3.2).

They are encoded for the presentation context that they go out on, which the library then leaves as
it is: making pydicom's elements, and encoding those, takes ten times as long as the query.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from pynetdicom.apps.archive.identifiers import tag_of
from pynetdicom.data_sets.element_walk import encoding_of

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

UTF_8 = "ISO_IR 192"

_SPECIFIC_CHARACTER_SET = 0x00080005
_TEXT_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""VRs whose values are in the Specific Character Set (PS3.5 6.1.2.3)."""

_NUMBERS = {
    "IS": re.compile(r"[+-]?\d{1,12}", re.ASCII),
    "DS": re.compile(r"[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?", re.ASCII),
    "US": re.compile(r"\d{1,4}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d\d|655[0-2]\d|6553[0-5]", re.ASCII),
}

_SHORT = frozenset(
    ["AE", "AS", "CS", "DA", "DS", "IS", "LO", "LT", "PN", "SH", "ST", "TM", "UI", "US"]
)
"""VRs whose length has 16 bits."""

Encode = Callable[[str, str], bytes]
"""Encodes a value, of a VR; raises UnicodeError where it lacks a character."""


class Answers:
    """Makes the matches of a query.

    Parameters
    ----------
    vrs : mapping
        Keyword → VR of what rows have, in their order.
    fixed : mapping
        Keyword → text of what all matches have.
    transfer_syntax : str
        How they are encoded.
    character_sets : sequence of str
        The Specific Character Set of the request, which is used where it suffices.
    """

    def __init__(
        self,
        vrs: Mapping[str, str],
        fixed: Mapping[str, str],
        transfer_syntax: str,
        character_sets: Sequence[str] = (),
    ) -> None:
        from pydicom.charset import default_encoding
        from pydicom.datadict import dictionary_VR
        from pydicom.dataelem import RawDataElement
        from pydicom.dataset import Dataset as NewDataset
        from pydicom.tag import Tag

        self._new, self._raw = NewDataset, RawDataElement
        self._encoding = encoding_of(transfer_syntax)
        self._fixed = {
            tag: self._element(tag, dictionary_VR(tag), text, _encode_ascii)
            for tag, text in ((Tag(tag_of(keyword)), text) for keyword, text in fixed.items())
        }
        self._rows = [(Tag(tag_of(keyword)), vr) for keyword, vr in vrs.items()]
        self._empty = {tag: self._element(tag, vr, "", _encode_ascii) for tag, vr in self._rows}
        self._texts = [number for number, vr in enumerate(vrs.values()) if vr in _TEXT_VRS]
        self._default = default_encoding
        self._asked = _known(character_sets)

    def __call__(self, row: Sequence[str]) -> Dataset:
        """Make a match of a row."""
        if all(row[number].isascii() for number in self._texts):
            return self._data_set(row, _encode_ascii, {}, self._default)
        if self._asked is not None:
            terms, encodings = self._asked
            try:
                return self._in(row, terms, encodings)
            except UnicodeError:
                pass
        return self._in(row, (UTF_8,), ("UTF8",))

    def _in(
        self, row: Sequence[str], terms: tuple[str, ...], encodings: tuple[str, ...]
    ) -> Dataset:
        from pydicom.dataelem import DataElement

        element = DataElement(_SPECIFIC_CHARACTER_SET, "CS", list(terms))
        return self._data_set(row, _encoder(encodings), {element.tag: element}, list(encodings))

    def _data_set(
        self, row: Sequence[str], encode: Encode, first: dict[Any, Any], character_set: Any
    ) -> Dataset:
        elements = {**first, **self._fixed, **self._empty}
        for (tag, vr), text in zip(self._rows, row, strict=True):
            if text:
                elements[tag] = self._element(tag, vr, text, encode)
        ds = self._new(elements)
        ds.set_original_encoding(self._encoding.implicit, self._encoding.little, character_set)
        return ds

    def _element(self, tag: Any, vr: str, text: str, encode: Encode) -> Any:
        # What is stored may be none of its VR, and is not returned then.
        pattern = _NUMBERS.get(vr)
        if (pattern is not None and not all(map(pattern.fullmatch, text.split("\\")))) or (
            vr not in _TEXT_VRS and not text.isascii()
        ):
            text = ""
        if vr == "US" and text:
            order = "<" if self._encoding.little else ">"
            data = b"".join(struct.pack(f"{order}H", int(one)) for one in text.split("\\"))
        else:
            data = encode(text, vr)
        if len(data) & 1:
            data += b"\0" if vr == "UI" else b" "
        implicit, little, _ = self._encoding
        if len(data) > 0xFFFF and not implicit and vr in _SHORT:
            vr = "UN"  # longer than an explicit one can be (PS3.5 6.2.2)
        return self._raw(tag, vr, len(data), data, 0, implicit, little)


def _encode_ascii(text: str, vr: str) -> bytes:
    return text.encode("ascii")


def _known(terms: Sequence[str]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Defined terms and Python's names of them; None if one of them is not known."""
    from pydicom.charset import STAND_ALONE_ENCODINGS, python_encoding

    if not any(terms) or any(term not in python_encoding for term in terms):
        return None
    if len(terms) > 1 and any(term in STAND_ALONE_ENCODINGS for term in terms):
        return None  # which cannot be used with others
    return tuple(terms), tuple(python_encoding[term] for term in terms)


@lru_cache(16)
def _encoder(encodings: tuple[str, ...]) -> Encode:
    """Make what encodes texts in a character set, with code extensions where there are several."""

    def single(text: str, vr: str) -> bytes:
        if vr not in _TEXT_VRS or text.isascii():
            return _encode_ascii(text, vr)
        _check(text, encodings)
        return text.encode(encodings[0])

    def extended(text: str, vr: str) -> bytes:
        if vr not in _TEXT_VRS or text.isascii():
            return _encode_ascii(text, vr)
        # Escape sequences last until the next delimiter at most (PS3.5 6.1.2.5.3).
        parts = re.split(r"([\\^=])" if vr == "PN" else r"(\\)", text)
        return b"".join(_encode_extended(part, encodings) for part in parts)

    return single if len(encodings) == 1 else extended


def _encode_extended(text: str, encodings: tuple[str, ...]) -> bytes:
    """Encode with code extensions (PS3.5 6.1.2.5); raises UnicodeError if that cannot be done."""
    from pydicom.charset import decode_bytes, encode_string

    if text.isascii():
        return text.encode("ascii")
    _check(text, encodings)
    data = encode_string(text, encodings)
    if decode_bytes(data, encodings, set()) != text:
        raise UnicodeError
    return data


def _check(text: str, encodings: tuple[str, ...]) -> None:
    """Raise UnicodeError if a character is in none of some character sets."""
    for character in text:
        if not any(_has(encoding, character) for encoding in encodings):
            raise UnicodeError


@lru_cache(4096)
def _has(encoding: str, character: str) -> bool:
    # Python's encodings have more than DICOM's: ISO IR 6 is ASCII, ISO IR 13 of one byte each.
    try:
        size = len(character.encode("ascii" if encoding == "iso8859" else encoding))
    except UnicodeError:
        return False
    return encoding != "shift_jis" or size == 1
