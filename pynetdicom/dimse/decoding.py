"""Command sets → primitives.

A peer's command sets are nearly all alike: they differ in the Message ID, and those of C-STORE in
the Affected SOP Instance UID, which is their end. One that is like an earlier one is not taken
apart again; it is compared with it, and becomes a copy.
"""

from __future__ import annotations

import struct
from typing import Any, NamedTuple

from pynetdicom.dimse import command
from pynetdicom.dimse.primitives import C_CANCEL, OPERATIONS, Primitive
from pynetdicom.errors import DIMSEDecodeError

# Command Field → class, the keyword of the Message ID without which nobody can be answered, the
# keywords of the message.
_MESSAGES: dict[int, tuple[type[Primitive], str, frozenset[str]]] = {}
for _class in OPERATIONS:
    _MESSAGES[_class.request_field] = (
        _class,
        "MessageIDBeingRespondedTo" if _class is C_CANCEL else "MessageID",
        _class.sides[0].keywords,
    )
    if _class.response_field is not None:
        _MESSAGES[_class.response_field] = (
            _class,
            "MessageIDBeingRespondedTo",
            _class.sides[1].keywords,
        )


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
_INSTANCE_UIDS = {0x1000: "AffectedSOPInstanceUID", 0x1001: "RequestedSOPInstanceUID"}


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
        operation, values = _decode(data, key, at)
    else:
        operation, known, message_id, instance_uid, _ = alike
        values = known.copy()
        values[message_id] = data[at] | data[at + 1] << 8
        if instance_uid and (uid := data[at + 2 + _AFTER_ID :].decode("latin-1").strip(" \0")):
            values[instance_uid] = uid
    primitive = operation.__new__(operation)
    object.__setattr__(primitive, "__dict__", values)
    return primitive


def _decode(data: bytes, key: bytes, at: int) -> tuple[type[Primitive], dict[str, Any]]:
    values, extra = command.decode(data)
    entry = _MESSAGES.get(values.get("CommandField", -1))
    if entry is None:
        field = values.get("CommandField")
        raise DIMSEDecodeError(
            "command set: no Command Field"
            if field is None
            else f"command set: unknown Command Field {field:#06x}"
        )
    operation, message_id, keywords = entry
    if message_id not in values:
        raise DIMSEDecodeError(f"{operation.name}: no {message_id}")
    if not values.keys() <= keywords:
        for keyword in values.keys() - keywords:
            element = command.ELEMENTS[keyword][0]
            extra[element] = command.encode_element(keyword, values.pop(keyword))[8:]
    if extra:
        values["extra"] = extra
    _remember(data, key, at, operation, values, message_id)
    return operation, values


def _remember(
    data: bytes,
    key: bytes,
    at: int,
    operation: type[Primitive],
    values: dict[str, Any],
    message_id: str,
) -> None:
    """Keep what others may be like: numbers and UIDs, with what differs at its places."""
    elements = _elements(data)
    found = dict(elements)
    last, start = elements[-1]
    instance_uid = _INSTANCE_UIDS.get(last, "") if start == at + 2 + _AFTER_ID - 8 else ""
    if (
        (instance_uid or len(data) <= at + 2 + _AFTER_ID)
        and [element for element, _ in elements] == sorted(found)
        and found[command.ELEMENTS[message_id][0]] == at - 8
        and data[at - 4 : at] == b"\2\0\0\0"
        and all(type(value) is int or keyword.endswith("UID") for keyword, value in values.items())
    ):
        known = {k: v for k, v in values.items() if k not in (message_id, instance_uid)}
        if len(_alike) >= _LIMIT:
            _alike.clear()
        _alike[key] = _Alike(operation, known, message_id, instance_uid, len(data))


def _elements(data: bytes) -> list[tuple[int, int]]:
    """The elements of a command set that decodes: element number, and where its header begins."""
    elements = []
    offset = 0
    while offset < len(data):
        _, element, length = struct.unpack_from("<HHI", data, offset)
        elements.append((element, offset))
        offset += 8 + length
    return elements
