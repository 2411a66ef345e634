"""Command sets: bytes of the command fragments ↔ values by keyword.

A command set is always in Implicit VR Little Endian and holds group 0000 only (PS3.7 6.3.1), so
two words of header and a handful of value kinds are all there is to it. What comes in is decoded
whatever its order; what goes out is in ascending order with a Command Group Length.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterable, Mapping
from functools import lru_cache, partial
from typing import Any

from pynetdicom import _config
from pynetdicom.dimse.parameters import ROWS
from pynetdicom.errors import DIMSEDecodeError

NO_DATA_SET = 0x0101
"""The Command Data Set Type that says that no data set follows; any other value says that one
does.
"""

Packer = Callable[[Any], bytes]
"""Encodes one element, header and value."""

Layout = tuple[tuple[str, Packer], ...]
"""How the command set of one message is encoded: keywords and packers, ascending by tag."""

_header = struct.Struct("<HHI").pack
# The tag is read as one word: the group in its lower half, the element number in the upper.
_read_header = struct.Struct("<II").unpack_from
group_length = struct.Struct("<HHII").pack


def _decode_text(raw: bytes) -> str:
    text = _config.by_codec(raw.decode)
    # Tolerated: text in a repertoire nobody told us about; Latin-1 takes any byte.
    return (raw.decode("latin-1") if text is None else text).strip(" \0")


def _encode_text(text: str) -> bytes:
    """Encode by the first of `_config.CODECS` that has all characters, else with ``?`` in it."""
    raw = _config.by_codec(text.encode)
    return text.encode("ascii", "replace") if raw is None else raw


def _decode_uid(raw: bytes) -> str:
    return raw.decode("latin-1").strip(" \0")


def _decode_number(raw: bytes) -> int:
    # Tolerated: a length other than 2; the first value counts.
    return int.from_bytes(raw[:2], "little")


def _decode_tags(raw: bytes) -> list[int]:
    words = struct.unpack_from(f"<{len(raw) // 4 * 2}H", raw)
    return [group << 16 | element for group, element in zip(words[::2], words[1::2], strict=True)]


def decode(data: bytes) -> tuple[dict[str, Any], dict[int, bytes]]:
    """Decode a command set.

    Order, padding and lengths are taken as they come, elements without a value as absent, and the
    Command Group Length as a hint nobody needs.

    Returns
    -------
    tuple of dict
        The values by keyword, and what there is besides as tag → bytes. Tolerated: elements of
        other groups, which some archives add; they mean nothing here.

    Raises
    ------
    DIMSEDecodeError
        If an element overruns the command set.
    """
    values: dict[str, Any] = {}
    extra: dict[int, bytes] = {}
    known = _BY_WIRE_TAG.get
    offset = 0
    end = len(data)
    try:
        while offset < end:
            tag, length = _read_header(data, offset)
            start = offset + 8
            offset = start + length
            if offset > end:
                element = f"({tag & 0xFFFF:04X},{tag >> 16:04X})"
                raise DIMSEDecodeError(
                    f"command set: element {element} at offset {start - 8} overruns the command set"
                )
            entry = known(tag)
            if entry is not None:
                keyword, read = entry
                if read is None and length == 2:
                    values[keyword] = data[start] | data[start + 1] << 8
                elif length:
                    value = (read or _decode_number)(data[start:offset])
                    if value or read is None:
                        values[keyword] = value
            elif tag != 0:  # the Command Group Length
                extra[(tag & 0xFFFF) << 16 | tag >> 16] = data[start:offset]
    except struct.error:
        raise DIMSEDecodeError(
            f"command set: ends within an element header at offset {offset}"
        ) from None
    return values, extra


def with_extra(parts: list[bytes], extra: Mapping[int, bytes]) -> list[bytes]:
    """Return encoded elements with further ones, in ascending order."""
    elements = {part[:4]: part for part in parts}
    for tag, raw in extra.items():
        part = _header(tag >> 16, tag & 0xFFFF, len(raw)) + raw
        elements.setdefault(part[:4], part)
    return sorted(elements.values(), key=lambda part: struct.unpack_from("<HH", part))


def layout_of(keywords: Iterable[str]) -> Layout:
    """Make the layout of a message that may have the elements `keywords`."""
    return tuple((keyword, _PACKERS[keyword]) for keyword in ROWS if keyword in set(keywords))


def encode_element(keyword: str, value: Any) -> bytes:
    """Encode one element with its header."""
    return _PACKERS[keyword](value)


def _pack_ui(element: int, value: str) -> bytes:
    raw = value.encode("latin-1")
    if len(raw) & 1:
        raw += b"\0"
    return _header(0, element, len(raw)) + raw


def _pack_ae(element: int, value: str) -> bytes:
    raw = _encode_text(value)
    raw = raw + b" " * (len(raw) % 2) if _config.USE_SHORT_DIMSE_AET else raw.ljust(16)
    return _header(0, element, len(raw)) + raw


def _pack_lo(element: int, value: str) -> bytes:
    # A long string has no control characters, and at most 64 others; the backslash divides values
    # (PS3.5 6.2).
    text = "".join(c if c.isprintable() and c != "\\" else " " for c in value)
    raw = _encode_text(text[:64])
    raw += b" " * (len(raw) % 2)
    return _header(0, element, len(raw)) + raw


def _pack_at(element: int, value: list[int]) -> bytes:
    raw = b"".join(struct.pack("<HH", tag >> 16, tag & 0xFFFF) for tag in value)
    return _header(0, element, len(raw)) + raw


_pack_us = struct.Struct("<HHIH").pack

_CODECS: dict[str, tuple[Callable[[bytes], Any], Callable[[int, Any], bytes]]] = {
    # Not US, which is by far the most frequent: its values are decoded in the loop.
    "UI": (_decode_uid, _pack_ui),
    "AE": (_decode_text, _pack_ae),
    "LO": (_decode_text, _pack_lo),
    "AT": (_decode_tags, _pack_at),
}


def _packer(keyword: str, element: int, vr: str) -> Packer:
    pack: Packer = partial(_pack_us, 0, element, 2)
    if vr in _CODECS:
        pack = partial(_CODECS[vr][1], element)
    # Message IDs and SOP Instances hardly come again; of what else is a number or a UID there is
    # little.
    is_frequent = vr in ("US", "UI") and not keyword.startswith("MessageID")
    return lru_cache(256)(pack) if is_frequent and "Instance" not in keyword else pack


_BY_WIRE_TAG = {
    row.element << 16: (keyword, _CODECS.get(row.vr, (None,))[0]) for keyword, row in ROWS.items()
}
_PACKERS = {keyword: _packer(keyword, row.element, row.vr) for keyword, row in ROWS.items()}
