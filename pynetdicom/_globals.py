"""Constants under the name by which scripts import them; each has its home elsewhere."""

from __future__ import annotations

from pynetdicom.presentation import ALL_TRANSFER_SYNTAXES, DEFAULT_TRANSFER_SYNTAXES
from pynetdicom.status import (
    STATUS_CANCEL,
    STATUS_FAILURE,
    STATUS_PENDING,
    STATUS_SUCCESS,
    STATUS_UNKNOWN,
    STATUS_WARNING,
)
from pynetdicom.upper_layer.items import DEFAULT_MAX_LENGTH
from pynetdicom.upper_layer.pdu import APPLICATION_CONTEXT as APPLICATION_CONTEXT_NAME

MODE_ACCEPTOR = "acceptor"
MODE_REQUESTOR = "requestor"

__all__ = [
    "ALL_TRANSFER_SYNTAXES",
    "APPLICATION_CONTEXT_NAME",
    "DEFAULT_MAX_LENGTH",
    "DEFAULT_TRANSFER_SYNTAXES",
    "MODE_ACCEPTOR",
    "MODE_REQUESTOR",
    "STATUS_CANCEL",
    "STATUS_FAILURE",
    "STATUS_PENDING",
    "STATUS_SUCCESS",
    "STATUS_UNKNOWN",
    "STATUS_WARNING",
]
