"""What the index notes of objects that are being deleted."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import sqlalchemy as sa

from pynetdicom.apps.archive.schema import setting

if TYPE_CHECKING:
    from pynetdicom.apps.archive.database import Database

NOTED = "removal "
"""What the names of notes begin with."""


def noted(database: Database) -> dict[str, dict[str, int]]:
    """The notes: name → location → when that object came."""
    query = sa.select(setting.c.name, setting.c.value).where(setting.c.name.like(f"{NOTED}%"))
    with database.reading() as connection:
        return {row[0]: json.loads(row[1]) for row in connection.execute(query)}


def being_deleted(database: Database) -> set[str]:
    """The locations of all objects that are being deleted."""
    return {location for objects in noted(database).values() for location in objects}
