"""Attribute matching (PS3.4 C.2.2.2), of values as texts; no database in it.

In: the keys of an identifier, and the values of an entity. Out: whether they match. Items of
worklists, and procedure steps, are matched by this alone, see `conditions`; the archive turns what
it can of it into SQL and leaves the rest to this.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import datetime, timedelta
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.workflows.globs import Step, glob, no_step
from pynetdicom.workflows.values import (
    clean,
    fold,
    normal_date,
    normal_integer,
    normal_time,
)

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

WILDCARD_VRS = frozenset(["AE", "CS", "LO", "LT", "PN", "SH", "ST", "UC", "UR", "UT"])
"""VRs in which ``*`` and ``?`` stand for something else (PS3.4 C.2.2.2.4)."""

RANGE_VRS = frozenset(["DA", "TM", "DT"])
"""VRs in which a hyphen makes a range (PS3.4 C.2.2.2.5)."""

EMPTY_VALUE = '""'
"""The key that matches what has no value (PS3.4 C.2.2.2.7)."""

MAXIMUM_DEPTH = 16
"""How deep sequences of a key may nest."""

SPECIFIC_CHARACTER_SET = 0x00080005
QUERY_RETRIEVE_LEVEL = 0x00080052
TIMEZONE_OFFSET = 0x00080201
NOT_KEYS = frozenset((SPECIFIC_CHARACTER_SET, QUERY_RETRIEVE_LEVEL, TIMEZONE_OFFSET))
"""Elements of an identifier that say something about it, and are not matched."""


class Options(NamedTuple):
    """What was negotiated, or configured, about matching.

    Attributes
    ----------
    relational : bool
        Unique keys of the levels above may be absent (PS3.4 C.5.1.1.1).
    combined : bool
        A date and its time are one point in time (C.2.2.2.5.1).
    fuzzy : bool
        Names match by their words, in any order (C.2.2.2.1.1).
    exact_names : bool
        Names are told apart by case and accents.
    step : Step
        Called before each comparison; it may raise what ends them.
    """

    relational: bool = False
    combined: bool = False
    fuzzy: bool = False
    exact_names: bool = False
    step: Step = no_step


NOTHING = Options()
"""Nothing was negotiated."""


_LONG = 2048
"""Characters of a value that are worth another step."""


class Range(NamedTuple):
    """A range of normalised dates or times, both ends included; None: no end."""

    low: str | None
    high: str | None

    def has(self, value: str) -> bool:
        """Whether a normalised value is in the range."""
        return (
            value != ""
            and (self.low is None or self.low <= value)
            and (self.high is None or value <= self.high)
        )


def key_values(value: Any) -> list[str]:
    """The values of a key; none if it is empty."""
    text = clean(value)
    return text.split("\\") if text else []


def is_universal(vr: str, keys: Sequence[str]) -> bool:
    """Whether a key matches everything (PS3.4 C.2.2.2.3)."""
    if not any(keys):
        return True
    if vr in RANGE_VRS and any(key.strip() == "-" for key in keys):
        return True  # Tolerated: a range that is open at both ends
    if len(keys) == 1 and not keys[0].strip("*"):
        return True  # Tolerated: `*` alone also where there are no wildcards, as many ask for dates
    return vr in WILDCARD_VRS and any(key and not key.strip("*") for key in keys)


def range_of(vr: str, key: str) -> Range | None:
    """The range that a key of VR DA or TM stands for; None if it is none.

    What a time omits is any: ``10`` are all times from 10:00 until before 11:00.
    """
    low, dash, high = key.partition("-")
    if not dash:
        high = low
    normal = normal_date if vr == "DA" else normal_time
    if (low.strip() and not normal(low)) or (high.strip() and not normal(high)):
        return None
    if not low.strip() and not high.strip():
        return None
    top = normal(high) if vr == "DA" else _latest_time(high)
    return Range(normal(low) or None, top or None)


def _latest_time(text: str) -> str:
    """The latest time that a time with omitted parts stands for; empty if there is none."""
    if not normal_time(text):
        return ""
    whole, _, fraction = text.strip().replace(":", "").partition(".")
    return f"{whole}{'235959'[len(whole) :]}.{fraction}{'999999'[len(fraction) :]}"


_ZONE = r"[+-](?:0\d|1[0-4])[0-5]\d"
_POINT = rf"\d{{4}}(?:\d\d){{0,5}}(?:\.\d{{1,6}})?(?:{_ZONE})?"
# An offset comes before the hyphen of a range; -2020 is no offset, there is none below -1200.
_DT_RANGE = re.compile(rf"(?P<low>{_POINT})?(?P<dash>-)?(?P<high>{_POINT})?", re.ASCII)
_DT_POINT = re.compile(
    rf"(?P<digits>\d{{4}}(?:\d\d){{0,5}})(?:\.(?P<fraction>\d{{1,6}}))?(?P<zone>{_ZONE})?", re.ASCII
)


@lru_cache(1024)  # a key is asked for with each entity
def _point(text: str, zone: str, *, latest: bool) -> datetime | None:
    """The first or the last moment that a DT stands for, in UTC; None if it is none."""
    match = _DT_POINT.fullmatch(text.strip())
    if match is None:
        return None
    digits, fraction = match["digits"], match["fraction"] or ""
    offset = match["zone"] or zone or "+0000"
    try:
        start = datetime(*_parts(digits))
        microseconds = int(fraction.ljust(6, "0"))
        moment = start.replace(microsecond=microseconds)
        if latest:
            moment = _end(moment, digits, fraction)
        minutes = int(offset[1:3]) * 60 + int(offset[3:5])
        return moment - timedelta(minutes=-minutes if offset[0] == "-" else minutes)
    except (ValueError, OverflowError):
        return None


def _parts(digits: str) -> Any:
    parts = [int(digits[:4]), *(int(digits[n : n + 2]) for n in range(4, len(digits), 2))]
    return parts + [1] * (3 - len(parts))


def _end(moment: datetime, digits: str, fraction: str) -> datetime:
    """The last moment of the year, month, day, hour, minute or second."""
    tick = timedelta(microseconds=1)
    if len(digits) == 14:
        return moment + timedelta(microseconds=10 ** (6 - len(fraction))) - tick
    if len(digits) == 4:
        return moment.replace(year=moment.year + 1) - tick
    if len(digits) == 6:
        later = moment.replace(day=28) + timedelta(days=4)
        return later.replace(day=1) - tick
    return (
        moment
        + {8: timedelta(1), 10: timedelta(hours=1), 12: timedelta(minutes=1)}[len(digits)]
        - tick
    )


def datetime_matches(key: str, value: str, key_zone: str = "", zone: str = "") -> bool:
    """Whether a DT matches a single value or a range, each with its offset from UTC."""
    match = _DT_RANGE.fullmatch(key.strip())
    if match is None or not (match["low"] or match["high"]):
        return False
    low, high = match["low"], match["high"]
    if not match["dash"]:
        if low and high:
            return False
        high = low
    first, last = _point(value, zone, latest=False), _point(value, zone, latest=True)
    bottom = _point(low, key_zone, latest=False) if low else None
    top = _point(high, key_zone, latest=True) if high else None
    if first is None or last is None or (low and bottom is None) or (high and top is None):
        return False
    return (bottom is None or last >= bottom) and (top is None or first <= top)


@lru_cache(256)
def name_patterns(key: str) -> list[str]:
    """The patterns that a name key stands for.

    A component that may be anything may be missing: ``Doe^*`` is ``Doe`` too.
    """
    pattern = key.strip()
    shorter = pattern
    while shorter.endswith("^*"):  # of which the last star stands for what the others do
        pattern, shorter = f"{shorter[:-2]}^*", shorter[:-2]
    return list(dict.fromkeys(one.rstrip("^") for one in (pattern, shorter)))


def fuzzy_words(key: str) -> list[str]:
    """The words of a name key."""
    return [word for word in re.split(r"[\s^=,*?]+", fold(key)) if word]


def name_matches(key: str, name: str, options: Options = NOTHING) -> bool:
    """Whether a person's name matches a key.

    A key of one component group matches any group of the name; of a key of several, each group that
    is not empty has to match its own.
    """
    step = options.step
    if options.fuzzy and not options.exact_names:
        words = re.split(r"[\s^=,]+", fold(name))
        for part in fuzzy_words(key):
            step(1 + len(words) // _LONG)
            if not any(word.startswith(part) for word in words):
                return False
        return True
    if not options.exact_names:
        key, name = fold(key), fold(name)
    groups = [group.strip().rstrip("^").rstrip() for group in name.split("=")]
    if "=" not in key:
        return any(group and _group_matches(key, group, step) for group in groups)
    groups += [""] * 3
    return all(
        _group_matches(part, group, step)
        for part, group in zip(key.split("=")[:3], groups, strict=False)
        if part
    )


def _group_matches(pattern: str, group: str, step: Step) -> bool:
    return any(glob(one, group, step) for one in name_patterns(pattern))


def value_matches(
    vr: str, key: str, value: str, options: Options, key_zone: str = "", zone: str = ""
) -> bool:
    """Whether one value of an entity matches one value of a key."""
    options.step(1 + len(value) // _LONG)
    if vr == "PN":
        return value != "" and name_matches(key, value, options)
    if vr in ("DA", "TM"):
        within = range_of(vr, key)
        return within is not None and within.has(
            normal_date(value) if vr == "DA" else normal_time(value)
        )
    if vr == "DT":
        return datetime_matches(key, value, key_zone, zone)
    if vr in WILDCARD_VRS:
        return value != "" and glob(key, value, options.step)
    if vr == "IS":
        return normal_integer(key) == normal_integer(value)
    if vr == "DS":
        try:
            return float(key) == float(value)
        except ValueError:
            return key == value
    return key == value


def attribute_matches(
    vr: str,
    keys: Sequence[str],
    values: Sequence[str],
    options: Options,
    key_zone: str = "",
    zone: str = "",
) -> bool:
    """Whether an attribute matches a key; of several values on either side, one will do.

    PS3.4 C.2.2.2.
    """
    return is_universal(vr, keys) or values_match(vr, keys, values, options, key_zone, zone)


def values_match(
    vr: str,
    keys: Sequence[str],
    values: Sequence[str],
    options: Options,
    key_zone: str = "",
    zone: str = "",
) -> bool:
    """Whether an attribute matches a key that does not match everything."""
    if list(keys) == [EMPTY_VALUE]:
        return not any(values)
    return any(
        value_matches(vr, key, value, options, key_zone, zone)
        for key in keys
        if key
        for value in values
        if value
    )


def time_keyword(date_keyword: str) -> str:
    """The attribute that goes with a date: its time."""
    return date_keyword.removesuffix("Date") + "Time"


def combined_range(date_key: str, time_key: str) -> Range | None:
    """The range that a date and a time stand for together, as normalised date and time joined.

    None if one of them is not a range or a value.
    """
    dates, times = range_of("DA", date_key), range_of("TM", time_key)
    if dates is None or times is None:
        return None
    low = None if dates.low is None else dates.low + (times.low or "000000")
    high = None if dates.high is None else dates.high + (times.high or "235959.999999")
    return Range(low, high)


def returned(keys: Dataset, item: Dataset, depth: int = 0) -> Dataset:
    """What was asked for of an item (PS3.4 K.4.1.1.3): each key, empty where it has no value."""
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset as NewDataset
    from pydicom.sequence import Sequence

    answer = NewDataset()
    for tag in (SPECIFIC_CHARACTER_SET, TIMEZONE_OFFSET):
        if depth == 0 and tag in item:
            answer[tag] = item[tag]
    for key in keys:
        if key.tag in NOT_KEYS or not key.tag.element:
            continue
        found: Any = item.get(key.tag)
        if found is None:
            answer[key.tag] = DataElement(key.tag, key.VR, [] if key.VR == "SQ" else None)
        elif key.VR == "SQ" and found.VR == "SQ" and key.value and len(key.value[0]):
            # An item without keys asks for all of it.
            items = [
                returned(key.value[0], one, depth + 1)
                for one in found.value or ()
                if depth < MAXIMUM_DEPTH
            ]
            answer[key.tag] = DataElement(key.tag, "SQ", Sequence(items))
        else:
            answer[key.tag] = found
    return answer
