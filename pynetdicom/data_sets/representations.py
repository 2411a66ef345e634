"""The value representations of elements that do not say theirs, by pydicom's dictionaries."""

from __future__ import annotations

import struct
from collections.abc import Callable
from functools import lru_cache
from typing import Literal

from pynetdicom.data_sets.element_walk import LONG_VRS, Encoding, is_vr

UNITS = {
    # Bytes of a word, for each VR of which the byte order matters (PS3.5 6.2, 7.3).
    **dict.fromkeys((b"US", b"SS", b"OW", b"AT"), 2),
    **dict.fromkeys((b"UL", b"SL", b"FL", b"OL", b"OF"), 4),
    **dict.fromkeys((b"FD", b"OD", b"OV", b"UV", b"SV"), 8),
}

_MULTIPLES = {**UNITS, b"AT": 4}

# Padded with a space (PS3.5 6.2); all others are with a zero byte.
_TEXT = frozenset(b"AE AS CS DA DS DT IS LO LT PN SH ST TM UC UR UT".split(b" "))
_WITHOUT_ITEMS = _TEXT | UNITS.keys() | {b"OB", b"UI", b"UN"}

_LONG_VRS = frozenset(vr.decode() for vr in LONG_VRS)

_SHORT = 0xFFFE
"""How long a value of a VR with a length of 16 bits is at most, padded."""

PIXEL_REPRESENTATION = 0x00280103
_CURVES = range(0x5000, 0x5100)


class Scope:
    """What a data set or an item says that VRs depend on, as far as it has been read.

    Parameters
    ----------
    look_up : callable
        Tells whether the pixels are signed, where it has not come to that yet: of an item that is
        what it is in.
    depth : int
        How many sequences it is in.
    """

    def __init__(self, look_up: Callable[[], bool], depth: int = 0) -> None:
        self._look_up = look_up
        self.depth = depth
        self._creators: dict[int, str] = {}
        self.is_signed: bool | None = None

    def creator(self, tag: int) -> str | None:
        """The creator of the block that a private element is in (PS3.5 7.8.1)."""
        return self._creators.get(tag >> 8)

    def add_creator(self, tag: int, value: bytes) -> None:
        """Take a private creator's element."""
        self._creators[tag >> 16 << 8 | (tag & 0xFF)] = value.decode("latin-1").strip(" \0")

    def has_signed_pixels(self) -> bool:
        """Whether the Pixel Representation, here or further out, says so."""
        if self.is_signed is None:
            self.is_signed = self._look_up()
        return self.is_signed


def is_creator(tag: int) -> bool:
    """Tell whether an element reserves a block of private elements."""
    return bool(tag & 0x10000) and 0x10 <= tag & 0xFFFF <= 0xFF and tag >> 16 > 8


def representation(tag: int, scope: Scope) -> bytes:
    """Give the VR of an element; UN if it is not known."""
    from pydicom.datadict import dictionary_VR, private_dictionary_VR

    if not tag & 0xFFFF:
        return b"UL"
    try:
        if tag & 0x10000:
            if is_creator(tag):
                return b"LO"
            creator = scope.creator(tag)
            vr = str(private_dictionary_VR(tag, creator)) if creator else "UN"
        else:
            vr = str(dictionary_VR(tag))
    except KeyError:
        return b"UN"
    if vr == "US or SS":
        return b"SS" if scope.has_signed_pixels() else b"US"
    return words_or_bytes(tag, vr).encode()


def words_or_bytes(tag: int, vr: str) -> str:
    """What is OW or something else is OW in implicit VR, but for curves and audio (PS3.5 A.1)."""
    if "OW" not in vr:
        return vr if len(vr) == 2 else "UN"
    return "OB" if tag >> 16 in _CURVES and vr != "OW" else "OW"


def can_hold(vr: bytes, length: int) -> bool:
    """Tell whether a value of a VR may have a length; other bytes and words are padded."""
    return vr == b"OW" or length % _MULTIPLES.get(vr, 1) == 0


def is_whole(vr: bytes, length: int) -> bool:
    """Tell whether a value is of whole words of its VR, so that they can be turned round."""
    return vr in _WITHOUT_ITEMS and length % _MULTIPLES.get(vr, 1) == 0


def recoded(vr: bytes, length: int, little: bool, target: Encoding) -> tuple[bytes, int] | None:
    """The VR of a value in another encoding, and the length of its words that are turned round.

    None where it is in big endian, and not as its VR has it.
    """
    is_too_long = length > _SHORT and vr not in LONG_VRS
    new_vr = vr
    if not target.implicit and (vr == b"SQ" or is_too_long or not can_hold(vr, length)):
        new_vr = b"UN"
    if little == target.little:
        return new_vr, 1
    if little:
        # A UN is in little endian, whatever it is in (PS3.5 6.2.2).
        new_vr = new_vr if is_whole(new_vr, length) else b"UN"
        return new_vr, UNITS.get(new_vr, 1)
    return (new_vr, UNITS.get(vr, 1)) if is_whole(vr, length) else None


def padding(vr: bytes) -> bytes:
    """What a value of odd length is padded with."""
    return b" " if vr in _TEXT else b"\0"


Heads = Callable[[int, str, int], bytes]


@lru_cache(8)
def heads_for(encoding: Encoding) -> Heads:
    """Make a function that gives the header of an element, for its tag, VR and length."""
    order = "<" if encoding.little else ">"
    with_long = struct.Struct(order + "HHI").pack
    explicit_short = struct.Struct(order + "HH2sH").pack
    explicit_long = struct.Struct(order + "HH2s2xI").pack

    # The headers of what is sent again and again are alike.
    @lru_cache(4096)
    def head(tag: int, vr: str, length: int) -> bytes:
        group, number = tag >> 16, tag & 0xFFFF
        if encoding.implicit:
            return with_long(group, number, length)
        if vr in _LONG_VRS:
            return explicit_long(group, number, vr.encode(), length)
        if length > 0xFFFF:  # as which alone it can be so long (PS3.5 6.2.2)
            return explicit_long(group, number, b"UN", length)
        return explicit_short(group, number, vr.encode(), length)

    return head


def name_of(tag: int) -> str:
    """An element's tag, and its keyword where it has one."""
    from pydicom.datadict import keyword_for_tag

    keyword = keyword_for_tag(tag)
    name = f"({tag >> 16:04X},{tag & 0xFFFF:04X})"
    return f"{name} {keyword}" if keyword else name


def begins_element(data: bytes, last: int, encoding: Encoding) -> bool:
    """Tell whether bytes too few for an element are the beginning of one, cut off.

    Parameters
    ----------
    data : bytes
        The 1 to 7 bytes that follow the last element of a data set.
    last : int
        The tag of that element.
    encoding : Encoding
        That of the data set.
    """
    if len(set(data)) == 1:  # as padding is
        return False
    order: Literal["little", "big"] = "little" if encoding.little else "big"
    group = int.from_bytes(data[:2], order)
    if len(data) < 4:
        return group == last >> 16 or (group > last >> 16 and group in _groups())
    tag = group << 16 | int.from_bytes(data[2:4], order)
    # A private group begins with a creator (PS3.5 7.8.1), or should.
    is_next = group == last >> 16 or group in _groups() or is_creator(tag)
    may_go_on = encoding.implicit or len(data) < 6 or is_vr(data[4:6]) is not None
    return tag > last and is_next and may_go_on


@lru_cache(1)
def _groups() -> frozenset[int]:
    """The groups of the standard, and those of the private elements that are known."""
    from pydicom._dicom_dict import DicomDictionary
    from pydicom._private_dict import private_dictionaries

    private = {tag[:4] for tags in private_dictionaries.values() for tag in tags}
    standard = {tag >> 16 for tag in DicomDictionary} - {0, 2, 4, 0xFFFE}
    return frozenset(standard | {int(group, 16) for group in private if "x" not in group})
