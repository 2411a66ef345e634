"""``qrscp stats``: how much there is, and how much room."""

from __future__ import annotations

import json
from argparse import Namespace
from collections.abc import Iterator
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pynetdicom.apps import options
from pynetdicom.apps.archive.attributes import LEVELS
from pynetdicom.apps.archive.schema import duplicate
from pynetdicom.apps.progress import Terminal, megabytes

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive

POSITIONAL: tuple[options.Option, ...] = ()
OPTIONS = (options.option("--json", action="store_true", help="as a JSON object, in bytes"),)

_NAMES = dict(zip(LEVELS, ("patients", "studies", "series", "objects"), strict=True))


def run(archive: Archive, args: Namespace, terminal: Terminal) -> int:
    """Show how much there is."""
    counts = {_NAMES[level]: archive.index.count(level) for level in LEVELS}
    with archive.database.reading() as connection:
        query = sa.select(sa.func.count()).select_from(duplicate)
        counts["second copies"] = connection.scalar(query) or 0
    size = archive.store_of_objects.size()
    if args.json:
        filled = [one._asdict() for one in archive.room.filled()]
        terminal.result(json.dumps({**counts, "bytes": size, "room": filled}))
        return 0
    for name, count in counts.items():
        terminal.result(f"{name}: {count}")
    terminal.result(f"size of all objects: {megabytes(size)}")
    for line in _room(archive):
        terminal.result(line)
    return 0


def _room(archive: Archive) -> Iterator[str]:
    for one in archive.room.filled():
        yield f"{one.name}: {one.share:.0%} full, {megabytes(max(0, one.left))} may still be taken"
