"""Which object each value of a patient, study or series is of: the first one that had any.

Objects come in any order, from several processes, and once more when the index is made anew. What
they say is merged by the time of their arrival, not by the order in which they are indexed: so it
comes out the same whatever that was.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Collection, Mapping
from typing import Any

from pynetdicom.apps.archive.attributes import OF_LEVEL

Arrival = tuple[int, str]
"""When an object came, in nanoseconds, and where it is, which decides between equals."""

Row = Mapping[Any, Any]

LATE: Arrival = (2**63 - 1, "")
"""Of a value whose object is gone: it holds until another object has one."""

IS_DOUBTED = f"%{LATE[0]}%"
"""What a row is like that has such a value."""


def merged(
    level: str, found: Row, row: Mapping[str, object], arrival: Arrival
) -> dict[str, object]:
    """What changes in a row when an object is merged into it."""
    said = _unpacked(level, found)
    changes: dict[str, object] = {}
    for attribute in OF_LEVEL[level]:
        column = attribute.column
        if row[column] and (not found[column] or arrival < said[column]):
            changes |= {name: row[name] for name in {column, attribute.search}}
            said[column] = arrival
    return {**changes, "said": _packed(said)} if changes else {}


def agrees(level: str, found: Row, row: Mapping[str, object], location: str) -> bool:
    """Whether a row has what an object says, as far as it was that one that was believed."""
    said = _unpacked(level, found)
    return all(
        found[column] == row[column] or (found[column] and said[column][1] != location)
        for column in (attribute.column for attribute in OF_LEVEL[level])
    )


def first(level: str, row: Mapping[str, object], arrival: Arrival) -> str:
    """What the row of the first object has."""
    return _packed({a.column: arrival for a in OF_LEVEL[level] if row[a.column]})


def doubted(level: str, found: Row, locations: Collection[str]) -> str:
    """What a row has when some objects are gone."""
    said = _unpacked(level, found)
    return _packed({column: LATE if one[1] in locations else one for column, one in said.items()})


def forgotten(level: str, found: Row) -> dict[str, object]:
    """What changes in a row when no object has the values that are in doubt."""
    said = _unpacked(level, found)
    gone = {column for column, one in said.items() if one == LATE}
    changes: dict[str, object] = {
        name: "" for a in OF_LEVEL[level] if a.column in gone for name in (a.column, a.search)
    }
    changes["said"] = _packed({column: one for column, one in said.items() if column not in gone})
    return changes


def _unpacked(level: str, found: Row) -> dict[str, Arrival]:
    packed = json.loads(str(found["said"]) or "{}")
    said = {}
    for attribute in OF_LEVEL[level]:
        if found[attribute.column]:
            time, location = packed.get(attribute.column) or packed.get("") or LATE
            said[attribute.column] = time, location
    return said


def _packed(said: Mapping[str, Arrival]) -> str:
    """As JSON: most values are of the same object, which is named once."""
    if not said:
        return ""
    usual = min(Counter(said.values()).items(), key=lambda item: (-item[1], item[0]))[0]
    others = {column: one for column, one in said.items() if one != usual}
    return json.dumps({"": usual, **others}, separators=(",", ":"))
