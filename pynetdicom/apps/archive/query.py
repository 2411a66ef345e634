"""Queries and retrieval: from an identifier to rows, and to the matches (PS3.4 C.4.1 to C.4.3).

What SQL can tell it tells (`conditions`); what it cannot is told by `matching`, match by match.
Rows are read some at a time, by the key of the last: a peer that takes its time holds no
transaction open, and a million matches take the memory of a few hundred.
"""

from __future__ import annotations

from array import array
from collections.abc import Collection, Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from pynetdicom.apps.archive import computed
from pynetdicom.apps.archive.answers import Answers
from pynetdicom.apps.archive.attributes import ATTRIBUTES, LEVELS, UNIQUE_KEYS, Attribute
from pynetdicom.apps.archive.conditions import (
    Condition,
    Values,
    condition_of,
    joined,
    moment_within,
    text_test,
    unique,
)
from pynetdicom.apps.archive.identifiers import (
    RESPONSE_KEYWORDS,
    elements,
    level_of,
    levels_of,
    unique_keys,
)
from pynetdicom.apps.archive.matching import (
    NOT_KEYS,
    NOTHING,
    Options,
    combined_range,
    is_universal,
    key_values,
    time_keyword,
    values_match,
)
from pynetdicom.apps.archive.schema import TABLES, instance
from pynetdicom.dimse.element_walk import EXPLICIT_VR_LITTLE_ENDIAN
from pynetdicom.services.retrieval import MAXIMUM_SUB_OPERATIONS

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    from pynetdicom.apps.archive.database import Database

_ROWS_AT_ONCE = 500
_KEYS_AT_ONCE = 20 * _ROWS_AT_ONCE


class Filter(NamedTuple):
    """What is left to be told of each row."""

    column: int
    vr: str
    values: Values


class Find:
    """The C-FIND of a Query/Retrieve information model.

    Parameters
    ----------
    identifier : pydicom.dataset.Dataset
    sop_class : str
        One of `MODELS`.
    options : Options

    Attributes
    ----------
    level : str
    is_supported : bool
        Whether all keys are supported; if not, matches have the status 0xFF01.

    Raises
    ------
    IdentifierError
        The identifier does not match the SOP Class.
    """

    def __init__(self, identifier: Dataset, sop_class: str, options: Options) -> None:
        levels = levels_of(sop_class)
        keys = list(elements(identifier))
        self.level = level_of(identifier, levels)
        self.is_supported = True
        self._options = options
        self._filters: list[Filter] = []
        # What a row has, in this order.
        self._elements: dict[str, Attribute | computed.Computed] = {}
        self._columns: dict[str, sa.ColumnElement[Any]] = {}
        above = unique_keys(
            identifier, levels, self.level, relational=options.relational, retrieve=False
        )
        self._conditions = unique(above)
        self._tested = set(above)
        self._used_levels = LEVELS[: LEVELS.index(self.level) + 1]
        for level in levels[: levels.index(self.level) + 1]:
            self._return(ATTRIBUTES[UNIQUE_KEYS[level]])
        together = self._combine(identifier) if options.combined else set()
        for key in keys:
            if key.tag not in NOT_KEYS and key.tag.element:
                self._take(key, key.keyword in together)

    def _return(self, one: Attribute | computed.Computed) -> None:
        """Have an attribute in each match."""
        self._elements[one.keyword] = one
        self._columns[one.keyword] = (
            TABLES[one.level].c[one.column] if isinstance(one, Attribute) else one.column
        )

    def _take(self, key: DataElement, is_combined: bool) -> None:
        """Take a key of the identifier: what it asks for, and that it is to be returned."""
        one = computed.COMPUTED.get(key.keyword) or ATTRIBUTES.get(key.keyword)
        if one is None or one.level not in self._used_levels:
            self.is_supported = self.is_supported and key.keyword in RESPONSE_KEYWORDS
            return
        self._return(one)
        values = [value for value in key_values(key.value) if value] if key.VR != "SQ" else []
        if is_combined or is_universal(one.vr, values):
            return
        if isinstance(one, Attribute):
            condition, is_all = condition_of(one, values, self._options)
        elif one.tested is not None:
            test = text_test(one.vr, one.tested, values)
            is_all = test is not None
            condition = sa.true() if test is None else one.has(test)
        else:
            return
        self._conditions.append(condition)
        self._tested.add(one.level)
        if not is_all:
            self._filters.append(Filter(list(self._columns).index(one.keyword), one.vr, values))

    def _combine(self, identifier: Dataset) -> set[str]:
        """Take the dates and times that are points in time; gives their keywords."""
        together: set[str] = set()
        for keyword, attribute in ATTRIBUTES.items():
            other = ATTRIBUTES.get(time_keyword(keyword))
            if attribute.vr != "DA" or other is None or attribute.level not in self._used_levels:
                continue
            dates, times = (key_values(identifier.get(k)) for k in (keyword, other.keyword))
            if len(dates) != 1 or len(times) != 1:
                continue
            within = combined_range(dates[0], times[0])
            if within is not None:
                table = TABLES[attribute.level]
                moment = moment_within(table.c[attribute.search], table.c[other.search], within)
                self._conditions += moment
                self._tested.add(attribute.level)
                together |= {keyword, other.keyword}
        return together

    def statement(self) -> sa.Select[Any]:
        """The query for the keys of the rows that match, as far as SQL can tell."""
        pk = TABLES[self.level].c.pk
        tested = joined(_highest(self._tested, self.level), self.level)
        return sa.select(pk).select_from(tested).where(*self._conditions).order_by(pk)

    def shown(self, keys: Sequence[int]) -> sa.Select[Any]:
        """The query for what is shown of some rows."""
        pk = TABLES[self.level].c.pk
        columns = [column.label(f"c{n}") for n, column in enumerate(self._columns.values())]
        source = joined(
            _highest({one.level for one in self._elements.values()}, self.level), self.level
        )
        return sa.select(*columns).select_from(source).where(pk.in_(keys)).order_by(pk)

    def rows(self, database: Database) -> Iterator[list[str]]:
        """The matches, as the texts of what was asked for.

        First their keys and then what is shown of them: what is counted or collected would be so of
        all that are left before they are sorted, again and again.
        """
        statement = self.statement().limit(_KEYS_AT_ONCE)
        after = 0
        while True:
            with database.reading() as connection:
                keys = connection.scalars(statement.where(TABLES[self.level].c.pk > after)).all()
            for start in range(0, len(keys), _ROWS_AT_ONCE):
                with database.reading() as connection:
                    rows = connection.execute(self.shown(keys[start : start + _ROWS_AT_ONCE])).all()
                for row in rows:
                    texts = ["" if value is None else str(value) for value in row]
                    if self._filters_pass(texts):
                        yield texts
            if len(keys) < _KEYS_AT_ONCE:
                return
            after = keys[-1]

    def _filters_pass(self, row: Sequence[str]) -> bool:
        return all(
            values_match(vr, keys, row[column].split("\\"), self._options)
            for column, vr, keys in self._filters
        )

    def matches(
        self,
        database: Database,
        retrieve_ae_title: str,
        character_sets: Sequence[str] = (),
        transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
    ) -> Iterator[Dataset]:
        """The matches as identifiers.

        Parameters
        ----------
        database : Database
        retrieve_ae_title : str
        character_sets : sequence of str
            The Specific Character Set of the request, which is used where it suffices.
        transfer_syntax : str
            That of the presentation context that they go out on.
        """
        texts = (self.level, retrieve_ae_title, "ONLINE")
        fixed = dict(zip(RESPONSE_KEYWORDS, texts, strict=True))
        vrs = {keyword: one.vr for keyword, one in self._elements.items()}
        yield from map(Answers(vrs, fixed, transfer_syntax, character_sets), self.rows(database))


def _highest(levels: Collection[str], level: str) -> str:
    """The highest of some levels, none of which is below another one."""
    return min({*levels, level}, key=LEVELS.index)


@dataclass(frozen=True)
class Chosen:
    """The instances that a C-GET or C-MOVE is about.

    Attributes
    ----------
    count : int
    kinds : list of (str, str)
        Their SOP Classes and transfer syntaxes, the most frequent first.
    keys : sequence of int
        Their rows, as many as can be sent.
    """

    count: int
    kinds: list[tuple[str, str]]
    keys: Sequence[int]


class Retrieve:
    """The instances of a C-GET or C-MOVE.

    Parameters
    ----------
    identifier : pydicom.dataset.Dataset
    sop_class : str
    options : Options
        Of which only `relational` matters.

    Raises
    ------
    IdentifierError
        The identifier does not match the SOP Class.
    """

    def __init__(self, identifier: Dataset, sop_class: str, options: Options = NOTHING) -> None:
        levels = levels_of(sop_class)
        for _ in elements(identifier):  # each of which has to convert
            pass
        level = level_of(identifier, levels)
        keys = unique_keys(identifier, levels, level, relational=options.relational, retrieve=True)
        self._where: Condition = sa.and_(*unique(keys))
        self._source = joined(levels[0], "IMAGE")

    def choose(self, database: Database) -> Chosen:
        """What there is now: what comes later is not sent."""
        columns = (instance.c.sop_class_uid, instance.c.transfer_syntax_uid)
        kinds = sa.select(*columns, sa.func.count()).group_by(*columns)
        keys = sa.select(instance.c.pk).order_by(instance.c.pk).limit(MAXIMUM_SUB_OPERATIONS)
        with database.reading() as connection:
            rows = connection.execute(kinds.select_from(self._source).where(self._where)).all()
            pks = connection.scalars(keys.select_from(self._source).where(self._where))
            found = array("q", pks)
        rows = sorted(rows, key=lambda row: -row[2])
        return Chosen(sum(row[2] for row in rows), [(row[0], row[1]) for row in rows], found)
