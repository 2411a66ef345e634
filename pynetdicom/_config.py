"""Defaults that apply where an AE, a server or a call says nothing else.

Set them before use: ``pynetdicom._config.UNRESTRICTED_STORAGE_SERVICE = True``.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")

_CONFORMANT_UID = re.compile(r"(0|[1-9][0-9]*)(\.(0|[1-9][0-9]*))*")

LOG_HANDLER_LEVEL: str = "standard"
"""``"standard"`` logs association and message summaries, ``"none"`` leaves logging to bound
handlers.
"""

ENFORCE_UID_CONFORMANCE: bool = False
"""Refuse UIDs that PS3.5 9.1 does not allow, instead of accepting whatever fits into 64 characters.
"""

USE_SHORT_DIMSE_AET: bool = True
"""Send AE titles in command sets without padding to 16 characters."""

LOG_REQUEST_IDENTIFIERS: bool = True
"""Show the identifiers of C-FIND, C-GET and C-MOVE requests, at DEBUG only."""

LOG_RESPONSE_IDENTIFIERS: bool = True
"""Show the identifiers of C-FIND responses, at DEBUG only."""

DECODE_STORE_DATASETS: bool = True
"""Decode the data sets of C-STORE requests for ``on_c_store``; with False it gets the bytes that
were received, without File Meta Information. Event handlers have both in any case.
"""

STORE_SEND_CHUNKED_DATASET: bool = False
"""Without effect: files are always sent in chunks."""

STORE_RECV_CHUNKED_DATASET: bool = False
"""Without effect: data sets are always received in chunks, `Event.dataset_path` always works."""

PASS_CONTEXTVARS: bool = False
"""Run an association's threads in a copy of the `contextvars` context of whoever made it."""

UNRESTRICTED_STORAGE_SERVICE: bool = False
"""Accept private and unlisted SOP Classes as storage; `AE.start_server` can say it for one server.
"""

STRICT_ROLES: bool = False
"""Refuse what a peer sends for a C-GET of ours (0x0122) if it has not answered our proposal to be
SCP of its SOP Class (PS3.7 D.3.3.4). Otherwise that is taken and noted once, since there are
archives that answer no role selection. Where a peer has answered that we are not SCP, what it sends
is always refused.
"""

WINDOWS_TIMER_RESOLUTION: int | None = 1
"""Without effect: no wait of this library depends on the timer's resolution."""

CODECS: tuple[str, ...] = ("ascii",)
"""Codecs tried in turn for text in PDUs and command sets."""


def validate_ae(value: str) -> tuple[bool, str]:
    """Tell whether `value` is an AE title, and why not (PS3.5 6.2)."""
    if not 1 <= len(value) <= 16:
        return False, f"must have 1 to 16 characters, not {len(value)}"
    if "\\" in value or not value.isprintable():
        return False, "must not contain control characters or backslashes"
    if not value.isascii() and by_codec(value.encode) is None:
        return False, f"must only contain characters of {', '.join(CODECS)}"
    return True, ""


def by_codec(convert: Callable[[str], T]) -> T | None:
    """Give what `convert` makes with the first of `CODECS` that it can be called with, if any."""
    for codec in CODECS:
        try:
            return convert(codec)
        except (UnicodeError, LookupError):
            continue
    return None


def validate_ui(value: str) -> tuple[bool, str]:
    """Tell whether `value` is a UID, and why not (PS3.5 9.1, see `ENFORCE_UID_CONFORMANCE`)."""
    if not 1 <= len(value) <= 64:
        return False, f"must have 1 to 64 characters, not {len(value)}"
    if not value.isascii() or not value.isprintable():
        return False, "must be printable ASCII"
    if ENFORCE_UID_CONFORMANCE and not _CONFORMANT_UID.fullmatch(value):
        return False, "must conform to PS3.5 9.1"
    return True, ""


VALIDATORS: dict[str, Callable[[str], tuple[bool, str]]] = {"AE": validate_ae, "UI": validate_ui}
"""Checks by VR: ``f(value) -> (valid, why not)``. Put another in the place of one, or let it call
the one that was there.
"""

SPOOL_THRESHOLD: int = 65536
"""Bytes of a received data set that are kept in memory before a spool file is used."""

MAXIMUM_COMMAND_SET: int = 65536
"""Bytes that a peer's command set may take."""

MAXIMUM_ASSOCIATE_PDU: int = 262144
"""Bytes that an A-ASSOCIATE PDU may take: 128 contexts of 60 transfer syntaxes are legal."""

MAXIMUM_CONTEXTS: int = 128
"""Presentation contexts that a peer's A-ASSOCIATE PDU may have. Beyond 128 none has an ID left; in
an A-ASSOCIATE-AC the same ID may occur again, and that context counts as rejected.
"""

MAXIMUM_USER_ITEMS: int = 255
"""User information items that a peer's A-ASSOCIATE PDU may have, and items of unknown type that it,
or an item in it, may have beside them.
"""

ARTIM: float = 30.0
"""Seconds from a connection to its complete A-ASSOCIATE-RQ, for an AE whose `acse_timeout` is None.
"""

MAXIMUM_LOBBY: int = 1000
"""Connections of one listener that have not associated yet."""

MAXIMUM_PENDING_REQUESTS: int = 64
"""Requests of a peer that may wait to be served."""

MAXIMUM_PENDING_BYTES: int = 256 * 1024 * 1024
"""Bytes of data sets of a peer's requests that may wait to be served."""

MAXIMUM_STRAY_RESPONSES: int = 100
"""Responses that answer nothing, before the association is aborted."""

MAXIMUM_WAITING_RESPONSES: int = 256
"""Responses to one operation that wait in memory, before a slow consumer slows the peer down."""

MAXIMUM_WAITING_BYTES: int = 8 * 1024 * 1024
"""Bytes of identifiers of responses to one operation that wait in memory."""

MAXIMUM_SPOOLED_RESPONSES: int = 4 * 1024 * 1024 * 1024
"""Bytes of responses that wait in a file for their consumer, before the operation is cancelled."""

MAXIMUM_IDENTIFIER: int = 16 * 1024 * 1024
"""Bytes that the identifier of a response may take."""
