"""Modality Worklist from a directory (PS3.4 Annex K): files are its items.

Files are those of the directory itself, for everybody, and of its subdirectory with the called AE
title as name, if there is one: as DCMTK's wlmscpfs has them, with the ending ``.wl``, in DICOM; or
with ``.json``, in DICOM JSON. They are looked at when a query comes.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING

from pynetdicom.apps.kept_files import SETTLED_NS, Signature, signature_of
from pynetdicom.errors import DataSetDecodeError, FileProblem

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.events import Event

LOGGER = logging.getLogger(__name__)

ENDING = ".wl"
JSON = ".json"

Known = dict[str, tuple["Signature | None", list["Dataset"]]]
"""Path → what its file was when it was read, and its items."""


def places(directory: str, ae_title: str) -> Iterator[str]:
    """The directories that may have files for an AE title."""
    yield directory
    own = os.path.join(directory, ae_title)
    # A title may have any printable character: only the name of a directory in this one will do.
    if ae_title not in ("", ".", "..") and os.path.basename(own) == ae_title:
        yield own


def called(event: Event) -> str:
    """The AE title that the requestor of the association has called."""
    asked = event.assoc.requestor.primitive
    # Its own is what the acceptor says, whatever it was called.
    return "" if asked is None else str(asked.called_ae_title).strip()


def listed(
    directory: str, ae_title: str, endings: tuple[str, ...]
) -> Iterator[tuple[str, list[str]]]:
    """The directories for an AE title that are there, each with its files in order of their names.

    Raises
    ------
    OSError
        The directory itself cannot be read.
    """
    for place in places(directory, ae_title):
        try:
            names = sorted(name for name in os.listdir(place) if name.endswith(endings))
        except (FileNotFoundError, NotADirectoryError):
            if place == directory:
                raise
        else:
            yield place, [os.path.join(place, name) for name in names if not name.startswith(".")]


def files(directory: str, ae_title: str) -> Iterator[str]:
    """The worklist files in DICOM for an AE title."""
    for _, paths in listed(directory, ae_title, (ENDING,)):
        yield from paths


def read(path: str) -> Dataset | None:
    """Read an item in DICOM; None, and a line in the log, if that cannot be done."""
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


def _read_json(path: str) -> list[Dataset]:
    """Read items in DICOM JSON, one or an array of them (PS3.18 F); none as `read` does."""
    import json

    from pydicom.dataset import Dataset

    try:
        with open(path, encoding="utf-8-sig") as file:
            found = json.load(file)
        return [Dataset.from_json(one) for one in (found if isinstance(found, list) else [found])]
    except FileNotFoundError:  # removed since
        return []
    except Exception as error:  # whatever pydicom makes of JSON that is something else
        # Its text may have what is in the file.
        LOGGER.error(
            "worklist file %s: not DICOM JSON: %s", os.path.basename(path), type(error).__name__
        )
        return []


class WorklistFiles:
    """The items of a directory, for `worklist.Provider`; a file is read again when it has changed.

    For any thread.

    Parameters
    ----------
    directory : str
    """

    def __init__(self, directory: str) -> None:
        self._directory = directory
        # Each is made anew, and then put here: a dict's own operations are atomic.
        self._known: dict[str, Known] = {}

    def __call__(self, event: Event) -> Iterable[Dataset]:
        """Give the items for the AE title that was called.

        Raises
        ------
        OSError
            The directory cannot be read.
        """
        for place, paths in listed(self._directory, called(event), (ENDING, JSON)):
            before = self._known.get(place, {})
            now = self._known[place] = {path: _read_again(path, before.get(path)) for path in paths}
            for _, items in now.values():
                yield from items


def _read_again(
    path: str, known: tuple[Signature | None, list[Dataset]] | None
) -> tuple[Signature | None, list[Dataset]]:
    from pynetdicom.workflows.providing import read_text

    signature = signature_of(path)
    if known is not None and signature is not None and known[0] == signature:
        return known
    item = None if path.endswith(JSON) else read(path)
    items = _read_json(path) if path.endswith(JSON) else [] if item is None else [item]
    for one in items:
        read_text(one)  # by one thread, before several look at it
    # What has changed a moment ago may change again, and look the same to the file system.
    is_settled = signature is not None and signature[1] < time.time_ns() - SETTLED_NS
    return signature if is_settled else None, items
