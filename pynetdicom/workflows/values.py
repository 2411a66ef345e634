"""Values of attributes in the forms in which they are compared (PS3.4 C.2.2.2)."""

from __future__ import annotations

import re
import unicodedata
from typing import Any


def clean(value: Any) -> str:
    """A value of a pydicom element as a text, as it is indexed and compared."""
    if value is None:
        return ""
    if isinstance(value, bytes):  # a list too long for its VR, which came as UN (PS3.5 6.2.2)
        value = value.decode("latin-1").split("\\")
    values = value if hasattr(value, "append") and not isinstance(value, str) else [value]
    text = "\\".join("" if one is None else str(one).strip(" \0") for one in values)
    # PostgreSQL has no NUL in its texts, and neither database what is not Unicode.
    return text.replace("\0", "").encode("utf-8", "replace").decode("utf-8")


_DATE = re.compile(r"(\d{4})(\d\d)(\d\d)|(\d{4})\.(\d\d)\.(\d\d)", re.ASCII)
_TIME = re.compile(r"(\d\d):?(\d\d)?:?(\d\d)?(?:\.(\d{1,6}))?", re.ASCII)


def normal_date(text: str) -> str:
    """A date as YYYYMMDD, also that of ACR-NEMA, YYYY.MM.DD; empty if it is none."""
    match = _DATE.fullmatch(text.strip())
    return "".join(part for part in match.groups() if part) if match else ""


def normal_time(text: str) -> str:
    """A time in a form that sorts: HHMMSS, and a fraction without zeros at its end.

    Empty if it is none. Omitted minutes and seconds are zero.
    """
    match = _TIME.fullmatch(text.strip())
    if match is None:
        return ""
    hour, minute, second, fraction = match.groups()
    fraction = (fraction or "").rstrip("0")
    return f"{hour}{minute or '00'}{second or '00'}" + (f".{fraction}" if fraction else "")


# Letters that differ from others by case, or by a stroke, without being made of them and a mark.
_ALIKE = str.maketrans("ςıłøđħŧ", "σilodht")


def fold(text: str) -> str:
    """A text as names are compared: without case and accents, character by character."""
    if text.isascii():
        return text.lower()
    decomposed = unicodedata.normalize("NFD", text.lower().translate(_ALIKE))
    # Of the combining marks only the accents: those of other scripts tell letters apart.
    return unicodedata.normalize("NFC", re.sub("[\u0300-\u036f]", "", decomposed))


def normal_name(text: str) -> str:
    """A person's name as it is compared: folded, its groups without delimiters at their ends."""
    return "\\".join(
        "=".join(group.strip().rstrip("^").rstrip() for group in fold(name).split("=")).rstrip("=")
        for name in text.split("\\")
    )


def normal_integer(text: str) -> str:
    """An integer string without leading zeros and plus sign; what is none stays as it is."""
    return str(int(text)) if re.fullmatch(r"[+-]?[0-9]{1,12}", text, re.ASCII) else text
