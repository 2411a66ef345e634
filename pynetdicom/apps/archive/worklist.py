"""Modality Worklist from a directory (PS3.4 Annex K): one file with the ending ``.wl`` an item.

Files are those of the directory itself, for everybody, and of its subdirectory with the called AE
title as name, if there is one. They are read when a query comes, one after another.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pynetdicom.apps.worklist_files import files, read
from pynetdicom.workflows.matching import Options, returned
from pynetdicom.workflows.watch import Watch
from pynetdicom.workflows.worklist import matching

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

SOP_CLASS = "1.2.840.10008.5.1.4.31"


def find(
    directory: str, ae_title: str, keys: Dataset, options: Options, watch: Watch | None = None
) -> Iterator[Dataset]:
    """The items that match the keys of an identifier, as they are to be returned.

    Raises
    ------
    IdentifierError
        The identifier asks for what cannot be, or for too much.
    Cancelled
        They are not wanted any more.
    OSError
        The directory cannot be read.
    """
    items = (read(path) for path in files(directory, ae_title))
    return (returned(keys, item) for item in matching(keys, items, options, watch or Watch()))
