"""Modality Worklist from a directory (PS3.4 Annex K): one file with the ending ``.wl`` an item.

Files are those of the directory itself, for everybody, and of its subdirectory with the called AE
title as name, if there is one. They are read when a query comes, one after another.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from pynetdicom.errors import DataSetDecodeError, FileProblem
from pynetdicom.workflows.matching import Options, returned
from pynetdicom.workflows.watch import Watch
from pynetdicom.workflows.worklist import matching

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

LOGGER = logging.getLogger(__name__)

SOP_CLASS = "1.2.840.10008.5.1.4.31"
ENDING = ".wl"


def files(directory: str, ae_title: str) -> Iterator[str]:
    """The worklist files for an AE title, in the order of their names."""
    own = os.path.join(directory, ae_title)
    # A title may have any printable character: only the name of a directory in this one will do.
    is_name = ae_title not in ("", ".", "..") and os.path.basename(own) == ae_title
    for place in (directory, own) if is_name else (directory,):
        try:
            names = sorted(os.listdir(place))
        except (FileNotFoundError, NotADirectoryError):
            if place == directory:
                raise
            continue
        for name in names:
            if name.endswith(ENDING) and not name.startswith("."):
                yield os.path.join(place, name)


def read(path: str) -> Dataset | None:
    """Read an item; None, and a line in the log, if that cannot be done."""
    from contextlib import closing

    from pynetdicom.data_sets.part10 import read_header

    try:
        with read_header(path) as header, closing(header.data_set()) as data_set:
            return data_set.decode()
    except (FileProblem, DataSetDecodeError, OSError) as error:
        if not os.path.lexists(path):  # removed since; but was the directory, too?
            os.stat(os.path.dirname(path))
            return None
        LOGGER.error("worklist file %s: %s", os.path.basename(path), error)
        return None


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
