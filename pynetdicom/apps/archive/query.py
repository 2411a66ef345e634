"""Queries and retrieval: from an identifier to rows, and to the matches (PS3.4 C.4.1 to C.4.3).

What SQL can tell it tells (`conditions`); what it cannot is told by `matching`, match by match.
Rows are read some at a time, by the key of the last: a peer that takes its time holds no
transaction open, and a million matches take the memory of a few hundred.
"""

from __future__ import annotations

from array import array
from collections import Counter
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
    level_of,
    levels_of,
    unique_keys,
)
from pynetdicom.apps.archive.pages import pages, pieces
from pynetdicom.apps.archive.schema import TABLES, instance
from pynetdicom.data_sets.element_walk import EXPLICIT_VR_LITTLE_ENDIAN
from pynetdicom.services.retrieval import MAXIMUM_SUB_OPERATIONS
from pynetdicom.workflows.identifiers import IdentifierError, elements
from pynetdicom.workflows.matching import (
    EMPTY_VALUE,
    NOT_KEYS,
    NOTHING,
    Options,
    attribute_matches,
    combined_range,
    is_universal,
    key_values,
    time_keyword,
    values_match,
)
from pynetdicom.workflows.watch import Watch

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    from pynetdicom.apps.archive.database import Database

# What tells the two others of these of each match: their VRs.
_RESPONSE_VRS = dict(zip(RESPONSE_KEYWORDS, ("CS", "AE", "CS"), strict=True))


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
        # Keys of what all matches have.
        self._of_all: list[tuple[str, Values]] = []
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
        is_of_all = key.keyword in RESPONSE_KEYWORDS
        if not is_of_all and (one is None or one.level not in self._used_levels):
            self.is_supported = False
            return
        if key.VR == "SQ":
            raise IdentifierError(f"{key.keyword} is no sequence", key.tag)
        values = [value for value in key_values(key.value) if value]
        if one is None or is_of_all:
            self._of_all.append((key.keyword, values))
            return
        self._return(one)
        if is_combined or is_universal(one.vr, values):
            return
        if isinstance(one, Attribute):
            condition, is_all = condition_of(one, values, self._options)
        else:
            test = None
            if one.tested is not None and values != [EMPTY_VALUE]:
                test = text_test(one.vr, one.tested, values)
            is_all = test is not None
            condition = sa.true() if test is None else one.has(test)
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

    @property
    def keywords(self) -> list[str]:
        """What a row has, in its order."""
        return list(self._columns)

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

    def rows(self, database: Database, watch: Watch) -> Iterator[list[str]]:
        """The matches, as the texts of what was asked for.

        First their keys and then what is shown of them: what is counted or collected would be so of
        all that are left before they are sorted, again and again.
        """
        options = self._options._replace(step=watch.step)
        for page in pages(database, self.statement(), TABLES[self.level].c.pk, watch):
            keys = [row[0] for row in page]
            for row in pieces(database, keys, self.shown, watch):
                texts = ["" if value is None else str(value) for value in row]
                if self._filters_pass(texts, options):
                    yield texts

    def _filters_pass(self, row: Sequence[str], options: Options) -> bool:
        return all(
            values_match(vr, keys, row[column].split("\\"), options)
            for column, vr, keys in self._filters
        )

    def matches(
        self,
        database: Database,
        retrieve_ae_title: str,
        character_sets: Sequence[str] = (),
        transfer_syntax: str = EXPLICIT_VR_LITTLE_ENDIAN,
        watch: Watch | None = None,
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
        watch : Watch, optional
            Tells whether they are still wanted.

        Raises
        ------
        Cancelled
            They are not.
        """
        texts = (self.level, retrieve_ae_title, "ONLINE")
        fixed = dict(zip(RESPONSE_KEYWORDS, texts, strict=True))
        for keyword, values in self._of_all:
            if not attribute_matches(_RESPONSE_VRS[keyword], values, [fixed[keyword]], NOTHING):
                return
        vrs = {keyword: one.vr for keyword, one in self._elements.items()}
        answers = Answers(vrs, fixed, transfer_syntax, character_sets)
        yield from map(answers, self.rows(database, watch or Watch()))


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

    def choose(self, database: Database, watch: Watch | None = None) -> Chosen:
        """What there is now: what comes later is not sent.

        Of more than can be sent it is not told how many they are.

        Raises
        ------
        Cancelled
            It is not wanted any more.
        """
        columns = (instance.c.pk, instance.c.sop_class_uid, instance.c.transfer_syntax_uid)
        statement = sa.select(*columns).select_from(self._source).where(self._where)
        kinds: Counter[tuple[str, str]] = Counter()
        found = array("q")
        for page in pages(database, statement, instance.c.pk, watch or Watch()):
            for row in page:
                pk, sop_class, transfer_syntax = row
                found.append(pk)
                kinds[sop_class, transfer_syntax] += 1
            if len(found) > MAXIMUM_SUB_OPERATIONS:
                break
        ordered = [kind for kind, _ in kinds.most_common()]
        return Chosen(len(found), ordered, found[:MAXIMUM_SUB_OPERATIONS])
