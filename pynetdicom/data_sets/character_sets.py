"""Text in the Specific Character Set of its data set (PS3.5 6.1): all of it, or an error.

pydicom writes ``?`` for what a character set lacks, and Latin-1 where none is declared. That would
be another patient's name, so whatever is not ASCII is encoded here.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

Declared = tuple[str, ...]
"""The values of a Specific Character Set; none is the default repertoire, which is ASCII."""

TEXT_VRS = frozenset(("LO", "LT", "PN", "SH", "ST", "UC", "UT"))
"""VRs of text in the Specific Character Set."""

DEFAULT_VRS = frozenset(("AE", "AS", "CS", "DA", "DS", "DT", "IS", "TM", "UI", "UR"))
"""VRs of text that is always in the default repertoire."""

# Python's names, as pydicom gives them. It takes the default repertoire for Latin-1.
_DEFAULT = "iso8859"
_KATAKANA = "shift_jis"
_WITH_ESCAPES = ("iso2022_jp", "iso2022_jp_2")
_EXTENSIONS = (*_WITH_ESCAPES, "euc_kr", "iso_ir_58")
_UTF_8 = "UTF8"
_CHINESE = ("GB18030", "GBK")

_ESCAPE = b"\x1b"
_ASCII_IN_G0 = b"\x1b(B"
_ROMAJI_IN_G0 = b"\x1b(J"
# Before and after each of them the character sets of value 1 are active (PS3.5 6.1.2.5.3).
_TEXT_DELIMITERS = frozenset(map(chr, range(0x20))) - {"\x1b"}
_NAME_DELIMITERS = _TEXT_DELIMITERS | {"\\", "^", "="}
_REPLACEMENT = "\N{REPLACEMENT CHARACTER}"


class NotInCharacterSet(ValueError):
    """A text has a character that its character set lacks; the message does not quote it."""


def declared(value: Any) -> Declared:
    """Give the values of a Specific Character Set."""
    if not value:
        return ()
    values = (value,) if isinstance(value, str) else tuple(map(str, value))
    return values if any(values) else ()


@lru_cache(64)
def encodings_of(character_set: Declared) -> tuple[str, ...]:
    """Give Python's encodings, as pydicom has them."""
    from pydicom.charset import convert_encodings

    return tuple(convert_encodings(list(character_set) or None))


def is_read_with(ds: Dataset, character_set: Declared) -> bool:
    """Tell whether a data set was read with the character set that is now in force."""
    original = ds.original_character_set
    names = (original,) if isinstance(original, str) else tuple(original)
    return names == encodings_of(character_set)


def encode_text(
    text: str, character_set: Declared, delimiters: frozenset[str] = _TEXT_DELIMITERS
) -> bytes:
    """Encode a text: one value of an element.

    Raises
    ------
    NotInCharacterSet
        If a character is not in the character set, or was lost when the text was decoded.
    """
    if text.isascii():
        return text.encode("ascii")
    encodings = encodings_of(character_set)
    if _REPLACEMENT in text:
        raise NotInCharacterSet("has a character that was lost when it was decoded")
    if len(encodings) > 1 or encodings[0] in _EXTENSIONS:
        data = _encode_with_extensions(text, encodings, delimiters)
    else:
        data = _encode(text, encodings[0])
    if data is None:
        raise _lacking(character_set)
    return data


def encode_name(name: Any, character_set: Declared) -> bytes:
    """Encode a pydicom `PersonName`; raises NotInCharacterSet as `encode_text`."""
    text = "=".join(name.components)
    if not text.isascii() and not name.encodings:
        given = bytes(name.original_string or b"")
        encoding = encodings_of(character_set)[0]
        # Given as bytes, which pydicom reads as Latin-1; or given as text, which pydicom has once
        # encoded as Latin-1. What is UTF-8 cannot be the latter.
        if given.decode("latin-1").rstrip("=") == text and _is_encoded(given, encoding):
            if encoding == _UTF_8:
                return given
            if encoding in _CHINESE:
                raise NotInCharacterSet("was encoded before, nobody knows in which character set")
    return encode_text(text, character_set, _NAME_DELIMITERS)


def is_plain(data: bytes) -> bool:
    """Tell whether encoded text is the same in every character set."""
    return data.isascii() and _ESCAPE not in data


def check_encoded(data: bytes, character_set: Declared) -> None:
    """Raise NotInCharacterSet if bytes cannot be text in a character set."""
    encodings = encodings_of(character_set)
    if len(encodings) == 1 and encodings[0] not in _EXTENSIONS and not is_plain(data):
        encoding = "ascii" if encodings[0] == _DEFAULT else encodings[0]
        if _ESCAPE in data or not _is_encoded(data, encoding):
            raise _lacking(character_set)


def check_default(text: str) -> None:
    """Raise NotInCharacterSet if a text is not in the default repertoire."""
    if not text.isascii():
        raise NotInCharacterSet("has a character outside ASCII, which its VR does not allow")


def _lacking(character_set: Declared) -> NotInCharacterSet:
    if not character_set:
        return NotInCharacterSet(
            "has a character outside ASCII, and no Specific Character Set is declared"
        )
    # Cut, since it may be anything.
    name = "\\".join(character_set)[:80]
    return NotInCharacterSet(f"has a character that is not in the Specific Character Set {name!r}")


def _is_encoded(data: bytes, encoding: str) -> bool:
    try:
        data.decode(encoding)
    except UnicodeError:
        return False
    return True


def _exactly(text: str, encoding: str) -> bytes | None:
    """Encode a text in one of Python's encodings; None if it is not the same when decoded."""
    try:
        data = text.encode(encoding)
        return data if data.decode(encoding) == text else None
    except UnicodeError:
        return None


def _encode(text: str, encoding: str) -> bytes | None:
    """Encode a text in the only character set there is."""
    data = None if encoding == _DEFAULT else _exactly(text, encoding)
    # JIS X 0201 is the part of Shift JIS with one byte a character.
    is_other = encoding == _KATAKANA and data is not None and len(data) != len(text)
    return None if is_other else data


def _encode_with_extensions(
    text: str, encodings: tuple[str, ...], delimiters: frozenset[str]
) -> bytes | None:
    """Encode a text with escape sequences from one character set to another (PS3.5 6.1.2.5).

    Before each delimiter, and at the end, the initial sets are designated again, to G0 and to G1.
    """
    from pydicom.charset import ENCODINGS_TO_CODES

    if "\x1b" in text:  # pydicom leaves some escape sequences in what it decodes
        for name in encodings:
            text = text.replace(ENCODINGS_TO_CODES.get(name, b"").decode("ascii"), "")
    first = encodings[0]
    g0_at_first = g0 = _ROMAJI_IN_G0 if first == _KATAKANA else _ASCII_IN_G0
    g1_at_first = None if first == _DEFAULT or first in _EXTENSIONS else first
    g1 = g1_at_first
    # G1 keeps what it has when something is designated to G0, but not every reader (pydicom) knows.
    is_known = True
    parts: list[bytes] = []
    for character in text:
        encoding, data = _find(character, g1, encodings)
        if data is None:
            return None
        escape = ENCODINGS_TO_CODES[encoding] if encoding else b""
        if encoding in _WITH_ESCAPES:
            if g0 != escape:
                parts.append(escape)
                g0 = escape
            parts.append(data)
            continue
        if g0 != g0_at_first:
            parts.append(g0_at_first)
            g0, is_known = g0_at_first, False
        if encoding:
            if g1 != encoding or not is_known:
                parts.append(escape)
                g1, is_known = encoding, True
        elif character in delimiters and g1 != g1_at_first:
            if g1_at_first is not None:
                parts.append(ENCODINGS_TO_CODES[g1_at_first])
                is_known = True
            g1 = g1_at_first
        parts.append(data)
    if g0 != g0_at_first:
        parts.append(g0_at_first)
        is_known = first == _KATAKANA
    if g1_at_first is not None and (g1 != g1_at_first or not is_known):
        parts.append(ENCODINGS_TO_CODES[g1_at_first])
    return b"".join(parts)


def _find(
    character: str, active: str | None, encodings: tuple[str, ...]
) -> tuple[str | None, bytes | None]:
    """Find a character's set, the active one if it is in that, and its code; ASCII needs none."""
    if character.isascii():
        return None, character.encode("ascii")
    for encoding in (active, *encodings) if active else encodings:
        code = _code(character, encoding)
        if code is not None:
            return encoding, code
    return None, None


@lru_cache(4096)
def _code(character: str, encoding: str) -> bytes | None:
    """The code of a character that is not ASCII in one of the sets of a code extension."""
    from pydicom.charset import ENCODINGS_TO_CODES

    escape = ENCODINGS_TO_CODES.get(encoding)
    if escape is None or encoding == _DEFAULT:
        return None
    data = _exactly(character, encoding)
    if data is None:
        return None
    if encoding in _WITH_ESCAPES:
        # As Python has it, with the escape sequences to the set and back.
        return data[len(escape) : -3] if data.startswith(escape) else None
    if data[0] < 0xA0 or len(data) != (2 if encoding in _EXTENSIONS else 1):
        return None
    return data
