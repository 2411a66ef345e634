"""``qrscp verify``: each object is read to its last byte, and the index made to agree with them."""

from __future__ import annotations

import logging
from argparse import Namespace
from collections import Counter
from typing import TYPE_CHECKING

from pynetdicom.apps import options
from pynetdicom.apps.archive.admin.digests import digests_of, key_of
from pynetdicom.apps.archive.check import NoObjects, check
from pynetdicom.apps.archive.opening import beside_objects
from pynetdicom.apps.archive.removal import Remover
from pynetdicom.apps.kept_files import COMMITTED, Digests, look_into
from pynetdicom.apps.progress import Terminal
from pynetdicom.errors import FileProblem
from pynetdicom.workflows.commitment import Reference

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive
    from pynetdicom.apps.archive.index import Indexed

LOGGER = logging.getLogger(__name__)

POSITIONAL: tuple[options.Option, ...] = ()
OPTIONS: tuple[options.Option, ...] = ()

GOOD, DAMAGED, LOST, DELETED = "good", "damaged", "lost", "deleted meanwhile"
TOLD_EVERY = 1000


def run(archive: Archive, args: Namespace, terminal: Terminal) -> int:
    """Look into all objects, then repair the index; 0 if no object is damaged or lost."""
    Remover(archive.index, archive.store_of_objects, archive.room).finish()
    counts: Counter[str] = Counter()
    total = archive.index.count("IMAGE")
    with digests_of(archive, make=True) as digests, terminal.counting():
        for done, one in enumerate(archive.index.everything(), 1):
            counts[_look(archive, one, digests, terminal)] += 1
            terminal.count(done, total)
            if done % TOLD_EVERY == 0:
                LOGGER.info("%d of %d objects", done, total)
    shown = (GOOD, DAMAGED, LOST, DELETED)
    terminal.result(", ".join(f"{counts[name]} {name}" for name in shown))
    ours = beside_objects(archive.config)
    try:
        found = check(
            archive.index, archive.store_of_objects, full=True, only_wrong=True, ours=ours
        )
    except NoObjects as error:
        raise options.Failure(str(error)) from error
    terminal.result(
        f"index: {found.added} added, {found.removed} removed, {found.unreadable} unreadable"
    )
    return options.FAILED if terminal.problems or found.unreadable else 0


def _look(archive: Archive, one: Indexed, digests: Digests | None, terminal: Terminal) -> str:
    """Read an object; what it is like."""
    store = archive.store_of_objects
    instance = Reference(one.sop_class_uid, one.sop_instance_uid)
    try:
        key = key_of(archive, one.location)
        with store.fetch(one.location) as path:
            if look_into(path, instance, digests, key=key, sync=False) == COMMITTED:
                return GOOD
        why = "it is another object than it was"
    except (FileProblem, OSError) as error:
        why = getattr(error, "strerror", None) or str(error)
    if archive.index.location_of(one.sop_instance_uid) != one.location:
        return DELETED
    is_there = store.has(one.location)
    terminal.problem(f"{one.sop_instance_uid}: {one.location}: {why}")
    return DAMAGED if is_there else LOST
