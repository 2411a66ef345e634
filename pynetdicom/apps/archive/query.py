"""Queries: from an identifier to SQL, and from rows to the matches (PS3.4 C.4.1, C.4.2, C.4.3).

What SQL can tell it tells; what it cannot is told by `matching`, match by match. Rows are read some
at a time, by the key of the last: a peer that takes its time holds no transaction open, and a
million matches take the memory of a few hundred.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

import sqlalchemy as sa

from pynetdicom.apps.archive import computed
from pynetdicom.apps.archive.attributes import (
    ATTRIBUTES,
    LEVELS,
    UNIQUE_KEYS,
    Attribute,
    normal_integer,
    normal_name,
)
from pynetdicom.apps.archive.index import Indexed, instances
from pynetdicom.apps.archive.matching import (
    EMPTY_VALUE,
    NOT_KEYS,
    NOTHING,
    WILDCARD_VRS,
    Options,
    attribute_matches,
    combined_range,
    fuzzy_words,
    has_wildcard,
    is_universal,
    key_values,
    name_patterns,
    range_of,
    time_keyword,
)
from pynetdicom.apps.archive.schema import PARENT_KEYS, TABLES, instance

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

    from pynetdicom.apps.archive.database import Database

ROOT = "1.2.840.10008.5.1.4.1.2."
MODELS = {
    f"{ROOT}{model}.{number}": levels
    for model, levels in (("1", LEVELS), ("2", LEVELS[1:]), ("3", LEVELS[:2]))
    for number in (1, 2, 3)
}
"""SOP Class → its levels: Patient Root, Study Root, Patient/Study Only; FIND, MOVE, GET."""

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

_ROWS_AT_ONCE = 500
_MOST_STARS = 6
"""More than these in a pattern are left to `matching.glob`, which is linear in each of them."""

Condition = sa.ColumnElement[bool]
Values = list[str]


class IdentifierError(Exception):
    """An identifier does not match its SOP Class: 0xA900; the message is the Error Comment.

    Attributes
    ----------
    tag : int
        The element that is to blame.
    """

    def __init__(self, comment: str, tag: int) -> None:
        super().__init__(comment)
        self.tag = tag


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
        raise IdentifierError(comment, 0x00080052)
    return found[0].strip().upper()


def elements(identifier: Dataset) -> Iterator[DataElement]:
    """The elements of an identifier.

    Raises
    ------
    IdentifierError
        The value of one is none of its VR.
    """
    for tag in sorted(identifier.keys()):
        try:
            yield identifier[tag]
        except Exception as error:  # pydicom has many for this
            raise IdentifierError("The value of a key cannot be decoded", tag) from error


def unique_key_conditions(
    identifier: Dataset, levels: Sequence[str], level: str, *, relational: bool, retrieve: bool
) -> list[Condition]:
    """What the unique keys of the levels above ask for, and of the level itself for a retrieve.

    Raises
    ------
    IdentifierError
        One is missing, or has several values, or a wildcard, where it has to be a single value.
    """
    conditions: list[Condition] = []
    for above in levels[: levels.index(level) + retrieve]:
        attribute = ATTRIBUTES[UNIQUE_KEYS[above]]
        tag = tag_of(attribute.keyword)
        values = [value for value in key_values(identifier.get(attribute.keyword)) if value]
        if not values and relational and above != level:
            continue
        name = attribute.keyword
        if not values:
            raise IdentifierError(f"No {name} at level {level}", tag)
        is_list = above == level and attribute.vr == "UI"
        if (len(values) > 1 and not is_list) or any(map(has_wildcard, values)):
            raise IdentifierError(f"{name} must be a single value at level {level}", tag)
        conditions.append(TABLES[above].c[attribute.column].in_(values))
    return conditions


def tag_of(keyword: str) -> int:
    """The tag of an attribute."""
    from pydicom.datadict import tag_for_keyword

    return tag_for_keyword(keyword) or 0


def joined(highest: str, level: str) -> sa.FromClause:
    """The tables from a level up to another one."""
    source: sa.FromClause = TABLES[level]
    position = LEVELS.index(level)
    while LEVELS[position] != highest:
        lower, upper = TABLES[LEVELS[position]], TABLES[LEVELS[position - 1]]
        source = source.join(upper, lower.c[PARENT_KEYS[LEVELS[position]]] == upper.c.pk)
        position -= 1
    return source


def like(
    column: sa.ColumnElement[Any], pattern: str, before: str = "", after: str = ""
) -> Condition:
    """A comparison with a pattern of ``*`` and ``?``."""
    escaped = pattern.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
    text = before + escaped.replace("*", "%").replace("?", "_") + after
    return column.like(text, escape="\\")


def condition_of(attribute: Attribute, values: Values, options: Options) -> tuple[Condition, bool]:
    """What a key asks for in SQL, and whether that is all that it asks for."""
    column = TABLES[attribute.level].c[attribute.column]
    search = TABLES[attribute.level].c[attribute.search]
    if values == [EMPTY_VALUE]:
        return column == "", True
    if attribute.keyword in SEVERAL_VALUES or attribute.vr in ("DT", "DS"):
        return column != "", False
    some = [value for value in values if value]
    if attribute.vr == "PN":
        return sa.or_(*(_name_condition(search, key, options) for key in some)), False
    if attribute.vr in ("DA", "TM"):
        return sa.or_(*(_range_condition(search, attribute.vr, key) for key in some)), True
    if attribute.vr == "IS":
        some = [normal_integer(value) for value in some]
    if attribute.vr not in WILDCARD_VRS:
        return column.in_(some), True
    if any(value.count("*") > _MOST_STARS for value in some):
        return column != "", False
    return _text_test(column, some), True


def _text_test(column: sa.ColumnElement[Any], keys: Values) -> Condition:
    """Whether a column is like one of some keys."""
    if not any(map(has_wildcard, keys)):
        return column.in_(keys)
    return sa.or_(*(like(column, key) for key in keys))


def _range_condition(column: sa.ColumnElement[Any], vr: str, key: str) -> Condition:
    within = range_of(vr, key)
    if within is None:
        return sa.false()
    if within.low == within.high:
        return column == within.low
    ends = [column > ""] if within.low is None else [column >= within.low]
    if within.high is not None:
        ends.append(column <= within.high)
    return sa.and_(*ends)


def _name_condition(column: sa.ColumnElement[Any], key: str, options: Options) -> Condition:
    """What a name that matches has to be like; not all that are like it match."""
    if options.fuzzy and not options.exact_names:
        return sa.and_(
            column != "", *(like(column, word, "%", "%") for word in fuzzy_words(key)[:8])
        )
    if "=" in key or key.count("*") > _MOST_STARS:
        return column != ""
    tests: list[Condition] = []
    for pattern in name_patterns(normal_name(key)):
        tests += [
            like(column, pattern) if has_wildcard(pattern) else column == pattern,
            like(column, pattern, after="=%"),
            like(column, pattern, before="%="),
            like(column, pattern, before="%=", after="=%"),
        ]
    return sa.or_(*tests)


class Filter(NamedTuple):
    """What is left to be told of each row."""

    attribute: Attribute
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
        levels = MODELS[sop_class]
        keys = list(elements(identifier))
        self.level = level_of(identifier, levels)
        self.is_supported = True
        self._options = options
        self._levels = levels
        self._filters: list[Filter] = []
        self._columns: dict[str, sa.ColumnElement[Any]] = {}
        self._elements: dict[str, Attribute | computed.Computed] = {}
        self._conditions = unique_key_conditions(
            identifier, levels, self.level, relational=options.relational, retrieve=False
        )
        self._highest = levels[0] if self._conditions else self.level
        self._used_levels = LEVELS[: LEVELS.index(self.level) + 1]
        for level in levels[: levels.index(self.level) + 1]:
            self._return(ATTRIBUTES[UNIQUE_KEYS[level]])
        together = self._combine(identifier) if options.combined else set()
        for key in keys:
            if key.tag not in NOT_KEYS and key.tag.element:
                self._take(key, key.keyword in together)

    def _use(self, level: str) -> None:
        if LEVELS.index(level) < LEVELS.index(self._highest):
            self._highest = level

    def _return(self, attribute: Attribute) -> None:
        self._use(attribute.level)
        self._elements[attribute.keyword] = attribute
        self._columns[attribute.keyword] = TABLES[attribute.level].c[attribute.column]

    def _take(self, key: DataElement, is_combined: bool) -> None:
        """Take a key of the identifier: what it asks for, and that it is to be returned."""
        keyword = key.keyword
        values: Values = key_values(key.value) if key.VR != "SQ" else []
        calculated = computed.COMPUTED.get(keyword)
        if calculated is not None and calculated.level in self._used_levels:
            self._use(calculated.level)
            self._elements[keyword] = calculated
            self._columns[keyword] = calculated.column
            if calculated.source is not None and not is_universal(calculated.vr, values):
                some = [value for value in values if value]
                self._conditions.append(calculated.matches(lambda column: _text_test(column, some)))
            return
        attribute = ATTRIBUTES.get(keyword)
        if attribute is None or attribute.level not in self._used_levels:
            if keyword not in RESPONSE_KEYWORDS:
                self.is_supported = False
            return
        self._return(attribute)
        if is_combined or is_universal(attribute.vr, values):
            return
        condition, is_all = condition_of(attribute, values, self._options)
        self._conditions.append(condition)
        if not is_all:
            self._filters.append(Filter(attribute, values))

    def _combine(self, identifier: Dataset) -> set[str]:
        """Take the dates and times that are points in time; gives their keywords."""
        together: set[str] = set()
        for keyword, attribute in ATTRIBUTES.items():
            other = ATTRIBUTES.get(time_keyword(keyword))
            if attribute.vr != "DA" or other is None or attribute.level not in self._used_levels:
                continue
            dates, times = (
                key_values(identifier.get(keyword)),
                key_values(identifier.get(other.keyword)),
            )
            if len(dates) != 1 or len(times) != 1:
                continue
            within = combined_range(dates[0], times[0])
            if within is None:
                continue
            table = TABLES[attribute.level]
            day = table.c[attribute.search]
            time = table.c[other.search]
            moment = day + sa.case((time == "", "000000"), else_=time)
            self._conditions.append(day > "")
            if within.low is not None:
                self._conditions += [day >= within.low[:8], moment >= within.low]
            if within.high is not None:
                self._conditions += [day <= within.high[:8], moment <= within.high]
            together |= {keyword, other.keyword}
        return together

    def statement(self) -> sa.Select[Any]:
        """The query, without the limits that make it one of many."""
        pk = TABLES[self.level].c.pk
        columns = [column.label(f"c{n}") for n, column in enumerate(self._columns.values())]
        return (
            sa.select(pk, *columns)
            .select_from(joined(self._highest, self.level))
            .where(*self._conditions)
            .order_by(pk)
        )

    def rows(self, database: Database) -> Iterator[dict[str, str]]:
        """The matches, as keyword → text."""
        statement = self.statement()
        pk = TABLES[self.level].c.pk
        keywords = list(self._columns)
        after = 0
        while True:
            with database.reading() as connection:
                rows = connection.execute(statement.where(pk > after).limit(_ROWS_AT_ONCE)).all()
            for row in rows:
                values = {
                    keyword: "" if value is None else str(value)
                    for keyword, value in zip(keywords, row[1:], strict=True)
                }
                if self._filters_pass(values):
                    yield values
            if len(rows) < _ROWS_AT_ONCE:
                return
            after = rows[-1][0]

    def _filters_pass(self, values: dict[str, str]) -> bool:
        return all(
            attribute_matches(
                attribute.vr, keys, values[attribute.keyword].split("\\"), self._options
            )
            for attribute, keys in self._filters
        )

    def matches(
        self, database: Database, retrieve_ae_title: str, character_sets: Sequence[str] = ()
    ) -> Iterator[Dataset]:
        """The matches as identifiers.

        Parameters
        ----------
        database : Database
        retrieve_ae_title : str
        character_sets : sequence of str
            The Specific Character Set of the request, which is used where it suffices.
        """
        build = self._builder()
        fixed = {
            "QueryRetrieveLevel": ("CS", self.level),
            "RetrieveAETitle": ("AE", retrieve_ae_title),
            "InstanceAvailability": ("CS", "ONLINE"),
        }
        for values in self.rows(database):
            yield build(values, fixed, character_sets)

    def _builder(self) -> Callable[..., Dataset]:
        from pydicom import config
        from pydicom.dataelem import DataElement
        from pydicom.dataset import Dataset
        from pydicom.tag import Tag

        rows = [(k, Tag(tag_of(k)), element.vr) for k, element in self._elements.items()]
        tags = {keyword: Tag(tag_of(keyword)) for keyword in RESPONSE_KEYWORDS}

        def element_of(tag: Any, vr: str, text: str) -> DataElement:
            value: Any = int(text) if vr == "US" and text.isdigit() else text
            try:
                return DataElement(tag, vr, value or None, config.IGNORE)
            except (ValueError, TypeError, OverflowError):  # what is stored is none of its VR
                return DataElement(tag, vr, None)

        def build(
            values: dict[str, str],
            fixed: dict[str, tuple[str, str]],
            character_sets: Sequence[str],
        ) -> Dataset:
            ds = Dataset()
            if not all(map(str.isascii, values.values())):
                ds.SpecificCharacterSet = _character_set(values, character_sets)
            for keyword, (vr, text) in fixed.items():
                ds[tags[keyword]] = element_of(tags[keyword], vr, text)
            for keyword, tag, vr in rows:
                ds[tag] = element_of(tag, vr, values[keyword])
            return ds

        return build


RESPONSE_KEYWORDS = ("QueryRetrieveLevel", "RetrieveAETitle", "InstanceAvailability")
"""What each match has, whether asked for or not (PS3.4 C.4.1.1.3.2)."""

UTF_8 = "ISO_IR 192"


def _character_set(values: dict[str, str], asked: Sequence[str]) -> str:
    """The Specific Character Set of a match: that of the request if it has all characters."""
    from pydicom.charset import python_encoding

    encoding = python_encoding.get(asked[0]) if len(asked) == 1 else None
    if encoding is None:
        return UTF_8
    try:
        for value in values.values():
            value.encode(encoding)
    except (UnicodeEncodeError, LookupError):
        return UTF_8
    return asked[0]


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
        if sop_class in COMPOSITE_INSTANCE_ROOT:
            levels: Sequence[str] = LEVELS[3:]
        else:
            levels = MODELS[sop_class]
        for _ in elements(identifier):  # each of which has to convert
            pass
        level = level_of(identifier, levels)
        self._where = sa.and_(
            *unique_key_conditions(
                identifier, levels, level, relational=options.relational, retrieve=True
            )
        )
        self._source = joined(levels[0], "IMAGE")

    def kinds(self, database: Database) -> tuple[int, int, list[tuple[str, str]]]:
        """How many there are, the last row of them, and their SOP Classes and transfer syntaxes.

        The most frequent kind comes first.
        """
        columns = (instance.c.sop_class_uid, instance.c.transfer_syntax_uid)
        query = (
            sa.select(*columns, sa.func.count(), sa.func.max(instance.c.pk))
            .select_from(self._source)
            .where(self._where)
            .group_by(*columns)
        )
        with database.reading() as connection:
            rows = connection.execute(query).all()
        ordered = sorted(rows, key=lambda row: -row[2])
        last = max((row[3] for row in rows), default=0)
        return sum(row[2] for row in rows), last, [(row[0], row[1]) for row in ordered]

    def instances(self, database: Database, last: int) -> Iterator[Indexed]:
        """The instances, up to the row `last`: what came since is not among them."""
        yield from instances(database, self._source, self._where, last)


COMPOSITE_INSTANCE_ROOT = frozenset((f"{ROOT}4.2", f"{ROOT}4.3"))
"""Composite Instance Root Retrieve, MOVE and GET (PS3.4 Annex Y)."""
