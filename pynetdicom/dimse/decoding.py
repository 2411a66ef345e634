"""Command sets → primitives.

A peer's command sets are nearly all alike: they differ in the Message ID, and those of C-STORE in
the Affected SOP Instance UID, which is their end. One that is like an earlier one is not taken
apart again; it is compared with it, and becomes a copy.
"""

from __future__ import annotations

from typing import Any, NamedTuple

from pynetdicom.dimse import command
from pynetdicom.dimse.parameters import ROWS
from pynetdicom.dimse.primitives import OPERATIONS, Primitive
from pynetdicom.errors import DIMSEDecodeError

# Command Field → class, the keyword of the Message ID without which nobody can be answered, the
# keywords of the message.
_MESSAGES = {
    operation.request_field | response: (operation, side.mandatory[0], side.keywords)
    for operation in OPERATIONS
    for response, side in zip((0, 0x8000), operation.sides, strict=False)
}


class _Alike(NamedTuple):
    """What command sets have in common that are alike."""

    operation: type[Primitive]
    values: dict[str, Any]
    """All but the Message ID and the SOP Instance UID."""
    message_id: str
    instance_uid: str
    """The keyword of the SOP Instance UID at the end, empty if there is none."""
    length: int


_LIMIT = 256
_alike: dict[bytes, _Alike] = {}

# Bytes before the value of the Message ID, beside a SOP Class UID of no length: Command Group
# Length, the header of the UID, Command Field, the Message ID's own header.
_BEFORE_ID = 12 + 8 + 10 + 8
# After it: two elements with one number each, the header of the SOP Instance UID.
_AFTER_ID = 10 + 10 + 8
_INSTANCE_UIDS = {
    command.encode_element(keyword, "")[:4]: keyword
    for keyword in ("AffectedSOPInstanceUID", "RequestedSOPInstanceUID")
}


def decode_command(data: bytes) -> Primitive:
    """Decode a command set to the primitive that it is.

    Mandatory parameters may be missing (see `Primitive.missing`); elements that the message does
    not have are kept in `Primitive.extra`.

    Raises
    ------
    DIMSEDecodeError
        If it does not decode, or has no or an unknown Command Field, or no Message ID.
    """
    # The low byte of the length of what should be the SOP Class UID tells where the Message ID is;
    # it is in the key, so keys that are equal were cut at the same places.
    at = _BEFORE_ID + (data[16] if len(data) > 16 else 0)
    key = data[:at] + data[at + 2 : at + 2 + _AFTER_ID]
    alike = _alike.get(key)
    if alike is None or alike.length != len(data):
        primitive, message_id = _decode(data)
        _remember(primitive, message_id, data, key, at)
        return primitive
    values = alike.values.copy()
    values[alike.message_id] = data[at] | data[at + 1] << 8
    if alike.instance_uid and (uid := data[at + 2 + _AFTER_ID :].decode("latin-1").strip(" \0")):
        values[alike.instance_uid] = uid
    primitive = alike.operation.__new__(alike.operation)
    object.__setattr__(primitive, "__dict__", values)
    return primitive


def _decode(data: bytes) -> tuple[Primitive, str]:
    """Decode a command set; also the keyword of its Message ID."""
    values, extra = command.decode(data)
    field = values.get("CommandField")
    if field not in _MESSAGES:
        what = "no Command Field" if field is None else f"unknown Command Field {field:#06x}"
        raise DIMSEDecodeError(f"command set: {what}")
    operation, message_id, keywords = _MESSAGES[field]
    if message_id not in values:
        raise DIMSEDecodeError(f"{operation.name}: no {message_id}")
    for keyword in values.keys() - keywords:
        extra[ROWS[keyword].element] = command.encode_element(keyword, values.pop(keyword))[8:]
    if extra:
        values["extra"] = extra
    primitive = operation.__new__(operation)
    object.__setattr__(primitive, "__dict__", values)
    return primitive, message_id


def _remember(primitive: Primitive, message_id: str, data: bytes, key: bytes, at: int) -> None:
    """Keep what others may be like: numbers and UIDs, with what differs at its places."""
    end = at + 2 + _AFTER_ID
    instance_uid = ""
    if int.from_bytes(data[end - 4 : end], "little") == len(data) - end:
        instance_uid = _INSTANCE_UIDS.get(data[end - 8 : end - 4], "")
    values = primitive.__dict__
    if (
        (instance_uid or len(data) <= end)
        and data[at - 8 : at] == command.encode_element(message_id, 0)[:8]
        and all(type(value) is int or keyword.endswith("UID") for keyword, value in values.items())
        and primitive.encode() == data  # each element is there once, in the standard's order
    ):
        known = {k: v for k, v in values.items() if k not in (message_id, instance_uid)}
        if len(_alike) >= _LIMIT:
            _alike.clear()
        _alike[key] = _Alike(type(primitive), known, message_id, instance_uid, len(data))
