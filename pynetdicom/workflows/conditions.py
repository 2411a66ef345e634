"""Identifiers of queries against data sets (PS3.4 C.2.2.2), sequences included.

In: the keys of an identifier, taken apart once, and any number of entities. Out: which of them
match. What it is for a value to match is `matching`'s.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

from pynetdicom.workflows.matching import (
    MAXIMUM_DEPTH,
    NOT_KEYS,
    NOTHING,
    Options,
    Range,
    combined_range,
    is_universal,
    key_values,
    time_keyword,
    values_match,
)
from pynetdicom.workflows.values import clean, normal_date, normal_time

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

_EQUAL = frozenset(("AE", "CS", "LO", "SH", "UI"))
"""VRs of which a value without wildcards matches only itself."""

_is_literal = re.compile(r"[A-Za-z0-9 ._-]*", re.ASCII).fullmatch


class Conditions:
    """The keys of an identifier, sequences included, ready to be compared with many entities.

    Parameters
    ----------
    keys : pydicom.dataset.Dataset
    options : Options
    """

    def __init__(self, keys: Dataset, options: Options = NOTHING, _depth: int = 0) -> None:
        self._options = options
        self._zone = clean(keys.get("TimezoneOffsetFromUTC"))
        self._values: list[tuple[int, str, list[str]]] = []
        self._moments: list[tuple[str, str, Range]] = []
        self._sequences: list[tuple[int, Conditions]] = []
        self._can_match = _depth <= MAXIMUM_DEPTH
        if self._can_match:
            self._take(keys, _depth)

    def _take(self, keys: Dataset, depth: int) -> None:
        together = _combined_pairs(keys) if self._options.combined else {}
        times = {time for time, _ in together.values()}
        for key in keys:
            if key.tag in NOT_KEYS or not key.tag.element or key.keyword in times:
                continue
            if key.keyword in together:
                self._moments.append((key.keyword, *together[key.keyword]))
            elif key.VR == "SQ":
                self._sequences += [
                    (int(key.tag), Conditions(item, self._options, depth + 1))
                    for item in key.value or ()
                    if not is_universal_item(item, depth)
                ]
            elif not is_universal(key.VR, values := key_values(key.value)):
                self._values.append((int(key.tag), key.VR, values))
        self._has_times = any(vr == "DT" for _, vr, _ in self._values)

    def literals(self) -> list[list[bytes]]:
        """What is in an encoded entity that matches: of each list, at least one.

        The keys, as they are encoded, that only the same value matches; those whose encoding is
        the same in every character set.
        """
        found = [
            [key.encode("ascii") for key in keys if key]
            for tag, vr, keys in self._values
            if vr in _EQUAL and _vr_of(tag) in _EQUAL and all(map(_is_literal, keys))
        ]
        return found + [one for _, item in self._sequences for one in item.literals()]

    def match(self, entity: Any) -> bool:
        """Whether an entity, a data set or a `Glance` at one, matches all keys."""
        if not self._can_match:
            return False
        options = self._options
        zone = clean(entity.get("TimezoneOffsetFromUTC")) if self._has_times else ""
        for tag, vr, keys in self._values:
            options.step()
            found = entity.get(tag)
            values = [] if found is None else key_values(found.value)
            if not values_match(vr, keys, values, options, self._zone, zone):
                return False
        for date, time, within in self._moments:
            options.step()
            day = normal_date(clean(entity.get(date)))
            if not day or not within.has(day + (normal_time(clean(entity.get(time))) or "000000")):
                return False
        # One item of the entity has to match the key's item (C.2.2.2.6).
        for tag, item in self._sequences:
            options.step()
            found = entity.get(tag)
            if found is None or not any(map(item.match, found.value or ())):
                return False
        return True


def _vr_of(tag: int) -> str:
    from pydicom.datadict import dictionary_VR

    try:
        return dictionary_VR(tag)
    except KeyError:  # a private one, which may be anything
        return ""


def _combined_pairs(keys: Dataset) -> dict[str, tuple[str, Range]]:
    """Date → time, and range, of those keys that are one point in time together."""
    pairs = {}
    for key in keys:
        other = time_keyword(key.keyword)
        if key.VR != "DA" or not key.keyword.endswith("Date"):
            continue
        within = combined_range(clean(key.value), clean(keys.get(other)))
        if within is not None:
            pairs[key.keyword] = other, within
    return pairs


def is_universal_item(item: Dataset, depth: int = 0) -> bool:
    """Whether an item of keys matches everything."""
    if depth > MAXIMUM_DEPTH:
        return False
    return all(
        all(is_universal_item(inner, depth + 1) for inner in key.value or ())
        if key.VR == "SQ"
        else is_universal(key.VR, key_values(key.value))
        for key in item
        if key.tag not in NOT_KEYS and key.tag.element
    )
