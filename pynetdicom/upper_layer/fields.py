"""How the formats of PS3.8 are declared: a bounds-checked reader, kinds of field, and `Structure`."""

from __future__ import annotations

import re

from pynetdicom import _config

_UID_PATTERN = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")


def checked_uid(value: object, name: str) -> str:
    """Return a UID given as str, bytes or `pydicom.uid.UID` as plain str, or raise what is wrong with it."""
    if isinstance(value, bytes):
        value = value.decode("latin-1")
    if not isinstance(value, str):
        raise TypeError(f"{name!r} must be str, bytes or UID, not {type(value).__name__!r}")
    uid = str.__str__(value).rstrip("\0 ")
    valid, why = True, ""
    if validator := _config.VALIDATORS.get("UI"):
        valid, why = validator(uid)
    elif not 0 < len(uid) <= 64:
        valid, why = False, "must have 1 to 64 characters"
    elif not uid.isascii():
        valid, why = False, "must be ASCII"
    elif _config.ENFORCE_UID_CONFORMANCE and not _UID_PATTERN.fullmatch(uid):
        valid, why = False, "must conform to PS3.5 9.1"
    if not valid:
        raise ValueError(f"Invalid {name!r} value {uid!r} - {why}")
    return uid
