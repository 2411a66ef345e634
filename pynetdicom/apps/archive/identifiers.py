"""Identifiers as their SOP Class wants them (PS3.4 C.4.1.1.3, C.4.2.1.4, C.6, Y.6): no SQL in it.

In: the identifier of a C-FIND, C-GET or C-MOVE. Out: its level and its unique keys, or
what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import cache
from typing import TYPE_CHECKING

from pynetdicom.apps.archive.attributes import ATTRIBUTES, LEVELS, UNIQUE_KEYS
from pynetdicom.workflows.globs import has_wildcard
from pynetdicom.workflows.identifiers import IdentifierError
from pynetdicom.workflows.matching import QUERY_RETRIEVE_LEVEL, key_values

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ROOT = "1.2.840.10008.5.1.4.1.2."
MODELS = {
    f"{ROOT}{model}.{number}": levels
    for model, levels in (("1", LEVELS), ("2", LEVELS[1:]), ("3", LEVELS[:2]))
    for number in (1, 2, 3)
}
"""SOP Class → its levels: Patient Root, Study Root, Patient/Study Only; FIND, MOVE, GET."""

COMPOSITE_INSTANCE_ROOT = frozenset((f"{ROOT}4.2", f"{ROOT}4.3"))
"""Composite Instance Root Retrieve, MOVE and GET (PS3.4 Annex Y)."""

RESPONSE_KEYWORDS = ("QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability")
"""What each match has, whether asked for or not (PS3.4 C.4.1.1.3.2)."""


@cache
def tag_of(keyword: str) -> int:
    """The tag of an attribute."""
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword) or 0


def levels_of(sop_class: str) -> Sequence[str]:
    """The levels that a SOP Class has, from the highest on."""
    return LEVELS[3:] if sop_class in COMPOSITE_INSTANCE_ROOT else MODELS[sop_class]


def level_of(identifier: Dataset, levels: Sequence[str]) -> str:
    """The Query/Retrieve Level of an identifier.

    Raises
    ------
    IdentifierError
        It has none, or none of its model.
    """
    found = key_values(identifier.get("QueryRetrieveLevel"))
    if len(found) != 1 or found[0].strip().upper() not in levels:
        what = "No Query/Retrieve Level" if not found else "Query/Retrieve Level is"
        comment = what if not found else f"{what} none of {', '.join(levels)}"
        raise IdentifierError(comment, QUERY_RETRIEVE_LEVEL)
    return found[0].strip().upper()


def unique_keys(
    identifier: Dataset, levels: Sequence[str], level: str, *, relational: bool, retrieve: bool
) -> dict[str, list[str]]:
    """The unique keys of the levels above, and of the level itself for a retrieve.

    Returns
    -------
    dict
        Level → values.

    Raises
    ------
    IdentifierError
        One is missing, or has several values, or a wildcard, where it has to be a single value.
    """
    found: dict[str, list[str]] = {}
    for above in levels[: levels.index(level) + retrieve]:
        name = UNIQUE_KEYS[above]
        values = [value for value in key_values(identifier.get(name)) if value]
        if not values and relational and above != level:
            continue
        if not values:
            raise IdentifierError(f"No {name} at level {level}", tag_of(name))
        is_list = above == level and ATTRIBUTES[name].vr == "UI"
        if (len(values) > 1 and not is_list) or any(map(has_wildcard, values)):
            comment = f"{name} must be a single value at level {level}"
            raise IdentifierError(comment, tag_of(name))
        found[above] = values
    return found
