"""Storage Commitment (PS3.4 Annex J): what both sides know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

from pydicom.dataset import Dataset

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

KIND = "commitment"


class Reference(NamedTuple):
    """A SOP Instance."""

    sop_class: str
    sop_instance: str


class Failure(NamedTuple):
    """An instance that is not committed."""

    instance: Reference
    reason: int


def item_of(instance: Reference, **more: Any) -> Dataset:
    """Give the item of a sequence that stands for an instance."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def referenced(data_set: Dataset, keyword: str) -> Iterator[tuple[Reference, Dataset]]:
    """Give what the items of a sequence stand for, with the items."""
    for item in data_set.get(keyword) or ():
        yield Reference(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID), item
