"""Checks of AE titles and UIDs, and what is shown of bytes and of a peer's text."""

from __future__ import annotations

import contextvars
from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any, ParamSpec

from pynetdicom import _config
from pynetdicom._logging import printable as printable
from pynetdicom.uids import NUMERIC, checked

if TYPE_CHECKING:
    from pydicom.uid import UID

P = ParamSpec("P")

AE_TITLE_LENGTH = 16
"""Characters of an AE title, PS3.5 6.2."""


def decode_bytes(encoded_value: bytes) -> str:
    """Decode text of a PDU or a command set by the first codec of `_config.CODECS` that can.

    Raises
    ------
    ValueError
        If none can.
    """
    text = _config.by_codec(encoded_value.decode)
    if text is None:
        codecs = ", ".join(_config.CODECS)
        raise ValueError(f"'{printable(encoded_value)}' cannot be decoded ({codecs})")
    return text


def set_ae(
    value: object, name: str, allow_empty: bool = True, allow_none: bool = True
) -> str | None:
    """Return an AE title as str, if it is one.

    Parameters
    ----------
    value : str, bytes or None
        The AE title. str is kept as given; bytes are decoded, stripped and cut at 16 characters.
    name : str
        What it is, for the error.
    allow_empty, allow_none : bool
        Whether it may be empty or only spaces, and whether it may be None.

    Raises
    ------
    TypeError
        If `value` is of another type.
    ValueError
        If it has more than 16 characters, others than ASCII, control characters or backslashes, or
        is empty where it may not be, or is refused by ``_config.VALIDATORS["AE"]``.

    Notes
    -----
    PS3.5 6.2, VR AE
    """
    if value is None and allow_none:
        return None
    if isinstance(value, bytes):
        value = decode_bytes(value).strip(" \0")[:AE_TITLE_LENGTH]
    if not isinstance(value, str):
        wanted = "str, bytes or None" if allow_none else "str or bytes"
        raise TypeError(f"'{name}' must be {wanted}, not {type(value).__name__!r}")
    if not value.strip(" "):
        if allow_empty and len(value) <= AE_TITLE_LENGTH:
            return value
        raise ValueError(f"Invalid '{name}' value {value!r} - must not be empty or only spaces")
    return checked("AE", value, name, padding="")


def validate_ae_title(ae_title: str | bytes) -> bytes:
    """Return an AE title as the 16 bytes of a PDU: stripped, cut and padded with spaces.

    Raises
    ------
    TypeError
        If `ae_title` is neither str nor bytes.
    ValueError
        If it is empty or only spaces, or has control characters or backslashes.
    """
    if isinstance(ae_title, str):
        ae_title = ae_title.strip(" ")[:AE_TITLE_LENGTH]
    checked = set_ae(ae_title, "ae_title", allow_empty=False, allow_none=False) or ""
    return checked.strip(" ").encode("ascii").ljust(AE_TITLE_LENGTH)


def set_uid(
    value: object,
    name: str,
    allow_empty: bool = True,
    allow_none: bool = True,
    validate: bool = True,
) -> UID | None:
    """Return a UID as `pydicom.uid.UID`, if it is one.

    Parameters
    ----------
    value : str, bytes, pydicom.uid.UID or None
        The UID.
    name : str
        What it is, for the error.
    allow_empty, allow_none : bool
        Whether it may be empty, and whether it may be None.
    validate : bool
        Whether it is checked: 1 to 64 characters, or PS3.5 9.1 with
        `_config.ENFORCE_UID_CONFORMANCE`, or by ``_config.VALIDATORS["UI"]``.

    Raises
    ------
    TypeError
        If `value` is of another type.
    ValueError
        If it is not a UID, or empty where it may not be.
    """
    from pydicom import config
    from pydicom.uid import UID

    if value is None and allow_none:
        return None
    if isinstance(value, bytes):
        value = decode_bytes(value)
    if not isinstance(value, str):
        wanted = "str, bytes, UID or None" if allow_none else "str, bytes or UID"
        raise TypeError(f"'{name}' must be {wanted}, not {type(value).__name__!r}")
    uid = value.strip(" \0")
    if not uid and not allow_empty:
        raise ValueError(f"Invalid '{name}' value - must not be empty")
    if uid and validate:
        checked("UI", uid, name)
    return UID(uid, validation_mode=config.IGNORE)


def validate_uid(uid: str) -> bool:
    """Return whether `uid` has 1 to 64 characters, or conforms where that is enforced.

    Notes
    -----
    PS3.5 9.1; see `_config.ENFORCE_UID_CONFORMANCE`.
    """
    try:
        checked("UI", uid, "uid")
    except ValueError:
        return False
    return True


def is_file_name(uid: str) -> bool:
    """Return whether a UID that a peer sent can be a file name: 1 to 64 digits and dots."""
    # No separator, no drive, and not "." or "..".
    return len(uid) <= 64 and NUMERIC.issuperset(uid) and uid.strip(".") != ""


def pretty_bytes(
    bytestream: bytes | BytesIO,
    prefix: str = "  ",
    delimiter: str = "  ",
    items_per_line: int = 16,
    max_size: int | None = 512,
    suffix: str = "",
) -> list[str]:
    """Return lines that show bytes in hexadecimal.

    Parameters
    ----------
    bytestream : bytes or io.BytesIO
        The bytes.
    prefix, suffix : str
        What each line begins and ends with.
    delimiter : str
        What is between two bytes.
    items_per_line : int
        Bytes in a line.
    max_size : int or None
        Bytes shown at most; None for all.
    """
    data = bytestream.getvalue() if isinstance(bytestream, BytesIO) else bytestream
    lines = []
    if max_size is not None and len(data) > max_size:
        lines.append(f"{prefix}Only dumping {max_size} bytes.")
        data = data[:max_size]
    for start in range(0, len(data), items_per_line):
        row = data[start : start + items_per_line]
        lines.append(prefix + delimiter.join(f"{byte:02x}" for byte in row) + suffix)
    return lines


def make_target(target_fn: Callable[P, Any]) -> Callable[P, Any]:
    """Return a thread's target, in a copy of the caller's context if `_config.PASS_CONTEXTVARS`."""
    if not _config.PASS_CONTEXTVARS:
        return target_fn
    return partial(contextvars.copy_context().run, target_fn)


def set_timer_resolution(resolution: float | None) -> AbstractContextManager[None]:
    """Do nothing: no wait of this library depends on the timer's resolution."""
    return nullcontext()
