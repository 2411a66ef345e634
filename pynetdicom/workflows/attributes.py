"""The standard's tables of the attributes of normalized SOP Instances, to be executed.

A table has a row an attribute: how deep it is in sequences, and its type in each operation, for the
SCU and the SCP (PS3.5 7.4, PS3.7 5.4).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from functools import cache
from importlib.resources import files
from typing import TYPE_CHECKING, NamedTuple

from pydicom.datadict import dictionary_VR, tag_for_keyword

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

NOT_ALLOWED = "-"


class Row(NamedTuple):
    """An attribute, and those of the items of it."""

    keyword: str
    types: dict[str, str]
    """Operation → the attribute's type for the SCU, such as ``"1"`` or ``"2"``."""
    items: list[Row]

    @property
    def tag(self) -> int:
        """Its tag."""
        return _tag_of(self.keyword)

    @property
    def is_sequence(self) -> bool:
        """Whether its VR is SQ."""
        return _is_sequence(self.keyword)


@cache
def _tag_of(keyword: str) -> int:
    tag = tag_for_keyword(keyword)
    assert tag is not None, keyword
    return tag


@cache
def _is_sequence(keyword: str) -> bool:
    return dictionary_VR(_tag_of(keyword)) == "SQ"


class Findings(NamedTuple):
    """What is wrong with a data set: the tags of attributes, each once, in order."""

    absent: list[int]
    """Not there, of type 1 or 2."""
    empty: list[int]
    """Without a value, of type 1 or 1C."""
    not_allowed: list[int]
    wrong: Sequence[int] = ()
    """A sequence that is none, or something else that is one, or what cannot be decoded."""

    def __bool__(self) -> bool:
        return any(self)


@cache
def table(name: str) -> tuple[Row, ...]:
    """Read one of the tables of this package, such as ``"mpps"``."""
    text = (files("pynetdicom.workflows") / "tables" / f"{name}.tsv").read_text("ascii")
    head, *lines = (line.split("\t") for line in text.splitlines())
    levels: list[list[Row]] = [[]]
    for line in lines:
        level, keyword, *types = line
        of_scu = {
            operation: kind.split("/")[0] for operation, kind in zip(head[2:], types, strict=True)
        }
        row = Row(keyword, of_scu, [])
        del levels[int(level) + 1 :]
        levels[-1].append(row)
        levels.append(row.items)
    return tuple(levels[0])


def check(
    data_set: Dataset,
    rows: tuple[Row, ...] | list[Row],
    operation: str,
    *,
    is_complete: bool = False,
) -> Findings:
    """Check a data set by a table; items of sequences too, where there are any.

    Parameters
    ----------
    data_set : pydicom.dataset.Dataset
    rows : sequence of Row
    operation : str
        The column of the table.
    is_complete : bool
        What has no row is not allowed. A sequence whose items have no rows may have any.
    """
    problems = list(_problems(data_set, rows, operation, is_complete))
    return Findings(
        *(
            list(dict.fromkeys(tag for tag, kind in problems if kind == wanted))
            for wanted in Findings._fields
        )
    )


def _problems(
    data_set: Dataset, rows: tuple[Row, ...] | list[Row], operation: str, is_complete: bool
) -> Iterator[tuple[int, str]]:
    present = data_set.keys()  # of which pydicom makes no tags
    for row in rows:
        kind = row.types[operation]
        if row.tag not in present:
            if kind in ("1", "2"):
                yield row.tag, "absent"
            continue
        if kind == NOT_ALLOWED:
            yield row.tag, "not_allowed"
            continue
        try:
            element = data_set[row.tag]
        except Exception:  # whatever pydicom makes of bytes that are something else
            yield row.tag, "wrong"
            continue
        if (element.VR == "SQ") != row.is_sequence:
            yield row.tag, "wrong"
        elif is_empty(element):
            # Nobody is helped by refusing what has no character set to tell.
            if kind[0] == "1" and row.keyword != "SpecificCharacterSet":
                yield row.tag, "empty"
        elif element.VR == "SQ":
            for item in element.value:
                yield from _problems(item, row.items, operation, is_complete)
    if is_complete and rows:
        known = {row.tag for row in rows}
        for tag in sorted(data_set.keys()):
            if tag not in known and tag.element:  # a group's length is no attribute
                yield tag, "not_allowed"


def is_empty(element: DataElement) -> bool:
    """Whether an element has no value; blanks are none (PS3.5 7.4.1)."""
    value = element.value
    if element.VR == "SQ":
        return not value
    return value is None or (hasattr(value, "__len__") and not len(value)) or not str(value).strip()


def fill(data_set: Dataset, rows: tuple[Row, ...] | list[Row], operation: str) -> None:
    """Add, without values, what has to be there and may be empty (type 2), in items too."""
    present = data_set.keys()
    for row in rows:
        if row.tag not in present:
            if row.types[operation] == "2":
                data_set.add_new(row.tag, dictionary_VR(row.tag), None)
        elif data_set[row.tag].VR == "SQ":
            for item in data_set[row.tag].value:
                fill(item, row.items, operation)
