"""Keys as conditions of SQL (PS3.4 C.2.2.2), and the tables that they are about.

In: an attribute and the values of its key. Out: a condition that everything passes that matches,
and whether only that does: what SQL cannot tell is left to `matching`, match by match.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from itertools import product
from typing import Any

import sqlalchemy as sa
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

from pynetdicom.apps.archive.attributes import (
    ATTRIBUTES,
    HEAD_LENGTH,
    LEVELS,
    UNIQUE_KEYS,
    Attribute,
)
from pynetdicom.apps.archive.identifiers import tag_of
from pynetdicom.apps.archive.schema import HEADS, PARENT_KEYS, SEVERAL_GROUPS, TABLES, Head
from pynetdicom.workflows.globs import has_wildcard, in_order
from pynetdicom.workflows.identifiers import IdentifierError
from pynetdicom.workflows.matching import (
    EMPTY_VALUE,
    WILDCARD_VRS,
    Options,
    Range,
    fuzzy_words,
    name_patterns,
    range_of,
)
from pynetdicom.workflows.values import normal_integer, normal_name

Column = sa.ColumnElement[Any]
Condition = sa.ColumnElement[bool]
Values = Sequence[str]

SEVERAL_VALUES = frozenset(
    (
        "ImageType",
        "NameOfPhysiciansReadingStudy",
        "PerformingPhysicianName",
        "OperatorsName",
        "AdmittingDiagnosesDescription",
    )
)
"""Attributes that may have several values, each of which may match: SQL cannot tell."""

_MOST_STARS = 6
_LONGEST_PATTERN = 64
"""Beyond these a pattern is left to `globs.glob`: one step of a database stays short."""

_MOST_TESTS = 50
"""More patterns or ranges than these are left to `matching`: databases limit how much an expression
may hold."""

_MOST_PARAMETERS = 500
"""A list of more values than these is one parameter: databases limit how many a statement has."""


def joined(highest: str, level: str) -> sa.FromClause:
    """The tables from a level up to another one."""
    source: sa.FromClause = TABLES[level]
    position = LEVELS.index(level)
    while LEVELS[position] != highest:
        lower, upper = TABLES[LEVELS[position]], TABLES[LEVELS[position - 1]]
        source = source.join(upper, lower.c[PARENT_KEYS[LEVELS[position]]] == upper.c.pk)
        position -= 1
    return source


class _Listed(FunctionElement[str]):
    """The texts of a JSON array, as rows."""

    type = sa.Text()
    inherit_cache = True


@compiles(_Listed, "sqlite")
def _in_sqlite(element: _Listed, compiler: Any, **options: Any) -> str:
    return f"(SELECT value FROM json_each({compiler.process(element.clauses, **options)}))"


@compiles(_Listed, "postgresql")
def _in_postgresql(element: _Listed, compiler: Any, **options: Any) -> str:
    array = f"CAST({compiler.process(element.clauses, **options)} AS jsonb)"
    return f"(SELECT jsonb_array_elements_text({array}))"


class _Begins(FunctionElement[bool]):
    """Whether a text begins so, for databases whose index has beginnings only."""

    type = sa.Boolean()
    inherit_cache = True


@compiles(_Begins, "sqlite")
def _always(element: _Begins, compiler: Any, **options: Any) -> str:
    return "1"


@compiles(_Begins, "postgresql")
def _begins(element: _Begins, compiler: Any, **options: Any) -> str:
    column, pattern = element.clauses
    head = compiler.process(Head(column), **options)
    return f"{head} LIKE {compiler.process(pattern, **options)} ESCAPE '\\'"


def one_of(column: Column, values: Values) -> Condition:
    """Whether a column is one of some values, however many."""
    if column not in HEADS:
        return _one_of(column, values)
    if all(len(value) < HEAD_LENGTH for value in values):
        return _one_of(Head(column), values)
    if len(values) > _MOST_TESTS:
        return _one_of(column, values)
    literals = [sa.literal(value) for value in values]
    return sa.or_(*(sa.and_(Head(column) == Head(one), column == one) for one in literals))


def _one_of(column: Column, values: Values) -> Condition:
    if len(values) <= _MOST_PARAMETERS:
        return column.in_(values)
    test: Condition = column.op("IN", is_comparison=True)(_Listed(sa.literal(json.dumps(values))))
    return test


def unique(keys: dict[str, list[str]]) -> list[Condition]:
    """What the unique keys of some levels ask for."""
    return [
        one_of(TABLES[level].c[ATTRIBUTES[UNIQUE_KEYS[level]].column], values)
        for level, values in keys.items()
    ]


def like(column: Column, pattern: str, before: str = "", after: str = "") -> Condition:
    """A comparison with a pattern of ``*`` and ``?``."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    text = before + escaped.replace("*", "%").replace("?", "_") + after
    test = column.like(text, escape="\\")
    beginning = re.match(r"(?:[^\\%_]|\\.)*", text, re.DOTALL)
    if column in HEADS and beginning is not None and beginning[0]:
        return sa.and_(_Begins(column, sa.literal(f"{beginning[0]}%")), test)
    return test


def _is_simple(pattern: str) -> bool:
    """Whether a database can be asked for a pattern."""
    return pattern.count("*") <= _MOST_STARS and len(pattern) <= _LONGEST_PATTERN


def text_test(vr: str, column: Column, keys: Values) -> Condition | None:
    """Whether a column is like one of some keys; None if SQL is not to be asked."""
    if vr not in WILDCARD_VRS or not any(map(has_wildcard, keys)):
        return one_of(column, keys)
    # SQLite takes long for what begins with a character that may be any one.
    keys = [in_order(key) for key in keys]
    if len(keys) > _MOST_TESTS or not all(map(_is_simple, keys)):
        return None
    return sa.or_(*(like(column, key) for key in keys))


def condition_of(attribute: Attribute, values: Values, options: Options) -> tuple[Condition, bool]:
    """What a key asks for in SQL, and whether that is all that it asks for.

    Raises
    ------
    IdentifierError
        It is a date or a time, and none.
    """
    table = TABLES[attribute.level]
    column, search = table.c[attribute.column], table.c[attribute.search]
    some = [value for value in values if value]
    if some == [EMPTY_VALUE]:
        return column == "", True
    if attribute.vr in ("DA", "TM"):
        ranges = [_range(attribute, key) for key in some]
        if len(ranges) <= _MOST_TESTS:
            return sa.or_(*(_within(search, one) for one in ranges)), True
    elif attribute.vr == "PN" and attribute.keyword not in SEVERAL_VALUES:
        if len(some) <= _MOST_TESTS:
            return sa.or_(*(_name_condition(search, key, options) for key in some)), False
    elif attribute.vr == "IS":
        return one_of(column, [normal_integer(value) for value in some]), True
    elif attribute.keyword not in SEVERAL_VALUES and attribute.vr not in ("DT", "DS"):
        test = text_test(attribute.vr, column, some)
        if test is not None:
            return test, True
    return column != "", False


def _range(attribute: Attribute, key: str) -> Range:
    within = range_of(attribute.vr, key)
    if within is None:
        what = {"DA": "date", "TM": "time"}[attribute.vr]
        comment = f"{attribute.keyword}: neither a {what} nor a range"
        raise IdentifierError(comment[:64], tag_of(attribute.keyword))
    return within


def _within(column: Column, within: Range) -> Condition:
    if within.low == within.high:
        return column == within.low
    ends = [column > ""] if within.low is None else [column >= within.low]
    if within.high is not None:
        ends.append(column <= within.high)
    return sa.and_(*ends)


def moment_within(day: Column, time: Column, within: Range) -> Iterator[Condition]:
    """What a date and a time have to be to be in a range together."""
    moment = day + sa.case((time == "", "000000"), else_=time)
    yield day > ""
    if within.low is not None:
        yield from (day >= within.low[:8], moment >= within.low)
    if within.high is not None:
        yield from (day <= within.high[:8], moment <= within.high)


def _name_condition(column: Column, key: str, options: Options) -> Condition:
    """What a name that matches has to be like; not all that are like it match."""
    if options.fuzzy and not options.exact_names:
        return sa.and_(
            column != "", *(like(column, word, "%", "%") for word in fuzzy_words(key)[:8])
        )
    if "=" in key or not _is_simple(key):
        return column != ""
    tests: list[Condition] = []
    for pattern in name_patterns(normal_name(key)):
        # As one of several groups, which have = between them, or as the only one.
        pattern = in_order(pattern)
        befores = [""] if pattern.startswith("*") else ["", "%="]
        afters = [""] if pattern.endswith("*") else ["", "=%"]
        for before, after in product(befores, afters):
            test = like(column, pattern, before, after)
            tests.append(sa.and_(column.like(SEVERAL_GROUPS), test) if before else test)
    return sa.or_(*tests)
