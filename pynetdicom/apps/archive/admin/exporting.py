"""``qrscp export``: objects as files in folders of patient, study and series."""

from __future__ import annotations

import filecmp
import logging
import os
from argparse import Namespace
from collections import Counter
from typing import TYPE_CHECKING

from pynetdicom.apps import options
from pynetdicom.apps.archive.admin.files import copy
from pynetdicom.apps.archive.admin.selection import Found, chosen
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.sorting import ISSUER, PATIENT_ID, SERIES, SORTED, STUDY, folder, safe_name
from pynetdicom.data_sets.provisional import remove_parts

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive

LOGGER = logging.getLogger(__name__)

POSITIONAL = (
    options.option("directory", help="where the files are to be; made if it is not there"),
    options.option(
        "key", nargs="*", metavar="KEY",
        help="which objects, as for findscu -k: PatientID=4711, StudyInstanceUID=1.2.3,"
        " StudyDate=20260101-; of several keys each must hold (default: all)",
    ),
)  # fmt: skip
OPTIONS: tuple[options.Option, ...] = ()

EXPORTED, THERE, DIFFERS, GONE, FAILED = (
    "exported", "there already", "there with other bytes", "deleted meanwhile", "failed",
)  # fmt: skip
SHOWN = (EXPORTED, THERE, DIFFERS, GONE, FAILED)


def run(archive: Archive, args: Namespace, terminal: Terminal) -> int:
    """Export the objects that the keys choose."""
    found = list(chosen(archive, args.key))
    counts: Counter[str] = Counter()
    if not found:
        terminal.problem("there is no such object")
    try:
        with terminal.counting():
            for done, one in enumerate(found, 1):
                counts[_export(archive, args.directory, one, terminal)] += 1
                terminal.count(done, len(found))
    finally:
        terminal.result(", ".join(f"{counts[name]} {name}" for name in SHOWN))
    return options.FAILED if terminal.problems else 0


def _export(archive: Archive, directory: str, found: Found, terminal: Terminal) -> str:
    """Write a file; what became of it."""
    indexed = archive.index.find(found.sop_instance_uid)
    if indexed is None:
        return GONE
    values = {
        PATIENT_ID: found.patient_id, ISSUER: found.issuer,
        STUDY: found.study, SERIES: found.series,
    }  # fmt: skip
    encoded = {tag: value.encode() for tag, value in values.items()}
    place = folder(directory, encoded, SORTED["patient"])
    target = os.path.join(place, f"{safe_name(found.sop_instance_uid.encode())}.dcm")
    try:
        if not os.path.isdir(place):
            os.makedirs(place, exist_ok=True)
        else:
            remove_parts(place)
        with archive.store_of_objects.fetch(indexed.location) as path:
            try:
                copy(path, target)
            except FileExistsError:
                if filecmp.cmp(path, target, shallow=False):
                    return THERE
                terminal.problem(f"{target} is there with other bytes, and is left as it is")
                return DIFFERS
    except OSError as error:
        if archive.index.find(found.sop_instance_uid) is None:
            return GONE
        where = error.filename or indexed.location
        terminal.problem(f"{found.sop_instance_uid}: {where}: {error.strerror or error}")
        return FAILED
    LOGGER.info("exported %s", found.sop_instance_uid)
    return EXPORTED
