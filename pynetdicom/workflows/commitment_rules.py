"""Storage Commitment (PS3.4 Annex J): what both sides know."""

from __future__ import annotations

from typing import NamedTuple

REQUEST = 1
"""Action Type ID: Request Storage Commitment."""

SUCCESSFUL, FAILURES_EXIST = 1, 2
"""Event Type IDs."""

PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
DUPLICATE_TRANSACTION = 0x0131
RESOURCE_LIMITATION = 0x0213
"""Failure Reasons (PS3.3 C.14.1.1)."""


class Reference(NamedTuple):
    """A SOP Instance."""

    sop_class: str
    sop_instance: str


class Failure(NamedTuple):
    """An instance that is not committed."""

    instance: Reference
    reason: int
