"""Folders for received objects: of patient, study and series, by names that are safe to use.

In: the values of a peer's data set, as its bytes are. Out: names that lead nowhere else, on any
file system; and no two values come to the same one.
"""

from __future__ import annotations

import logging
import os
from hashlib import sha256
from typing import TYPE_CHECKING

from pynetdicom.errors import DataSetDecodeError

if TYPE_CHECKING:
    from pynetdicom.data_sets.data_set import EncodedDataSet

LOGGER = logging.getLogger(__name__)

PATIENT_ID = 0x00100020
ISSUER = 0x00100021
STUDY = 0x0020000D
SERIES = 0x0020000E

SORTED = {"study": (STUDY,), "series": (STUDY, SERIES), "patient": (PATIENT_ID, STUDY, SERIES)}
"""By what can be sorted, and what the folders are of then, from the outermost."""

NOTHING = "%none"
"""The folder of what has no value; of a value it would have been ``%25none``."""

_LONGEST = 128
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_.")
_DEVICES = frozenset(
    ("CON", "PRN", "AUX", "NUL", *(f"{name}{n}" for name in ("COM", "LPT") for n in range(10)))
)


def safe_name(value: bytes) -> str:
    """Give the name for a value: itself, if it is of letters, digits, ``-``, ``_`` and ``.``.

    Other bytes are written as ``%`` and two hexadecimal digits, and so is what makes a name
    special: a dot or a hyphen at the beginning, a dot at the end, the devices of Windows.
    """
    codes = [chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in value]
    if not codes:
        return NOTHING
    is_device = "".join(codes).partition(".")[0].upper() in _DEVICES
    for at, is_special in ((0, codes[0] in ".-" or is_device), (-1, codes[-1] == ".")):
        if is_special:
            codes[at] = f"%{value[at]:02X}"
    name = "".join(codes)
    return name if len(name) <= _LONGEST else f"%sha256-{sha256(value).hexdigest()}"


def values_of(data_set: EncodedDataSet) -> dict[int, bytes]:
    """The values that folders are of, without padding; none of a data set that does not decode."""
    try:
        found = data_set.peek(PATIENT_ID, ISSUER, STUDY, SERIES)
    except (DataSetDecodeError, OSError) as error:
        LOGGER.warning(
            "an object does not decode, its patient, study and series are not known: %s", error
        )
        return {}
    return {tag: value.strip(b" \0") for tag, value in found.items()}


def folder(directory: str, values: dict[int, bytes], tags: tuple[int, ...]) -> str:
    """The folder within a directory for an object of such values."""
    names = [safe_name(values.get(tag, b"")) for tag in tags]
    issuer = values.get(ISSUER)
    if issuer and tags[:1] == (PATIENT_ID,):  # who has that number elsewhere is somebody else
        names[0] += f"@{safe_name(issuer)}"
    return os.path.join(directory, *names)


def study_folder(directory: str, values: dict[int, bytes], sort: str | None) -> str:
    """The folder that has the whole study, and nothing else if it is sorted."""
    tags = SORTED[sort] if sort else ()
    return folder(directory, values, tags[: tags.index(STUDY) + 1] if tags else ())
