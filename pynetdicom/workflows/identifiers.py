"""Identifiers of queries, taken apart: each key has to be one, and there may not be too many.

In: the identifier of a request. Out: its elements, or what is wrong with it.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from pynetdicom.workflows.globs import has_wildcard
from pynetdicom.workflows.matching import RANGE_VRS, key_values

if TYPE_CHECKING:
    from pydicom.dataelem import DataElement
    from pydicom.dataset import Dataset

MAXIMUM_PATTERNS = 256
"""Wildcards, names and ranges of an identifier: what is compared otherwise than as it is."""

MAXIMUM_PATTERN_LENGTH = 1024
MAXIMUM_KEYS = 4096
MAXIMUM_VALUES = 1 << 16


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


def elements(identifier: Dataset) -> Iterator[DataElement]:
    """The elements of an identifier.

    Raises
    ------
    IdentifierError
        The value of one is none of its VR, or there is more than is taken.
    """
    return _elements(identifier, _Bounds())


def _elements(identifier: Dataset, bounds: _Bounds) -> Iterator[DataElement]:
    for tag in sorted(identifier.keys()):
        try:
            element = identifier[tag]
            items = list(element.value or ()) if element.VR == "SQ" else []
        except Exception as error:  # pydicom has many for this
            raise IdentifierError("The value of a key cannot be decoded", tag) from error
        bounds.take(element)
        for item in items:
            for _ in _elements(item, bounds):
                pass
        yield element


class _Bounds:
    """Counts what an identifier asks for: with a query of any length nothing else could be done."""

    def __init__(self) -> None:
        self._keys = self._values = self._patterns = 0

    def take(self, element: DataElement) -> None:
        """Count an element; raises IdentifierError where that makes too many."""
        from pydicom.datadict import dictionary_VR

        try:
            vrs = {element.VR, dictionary_VR(element.tag)}
        except KeyError:
            vrs = {element.VR}
        values = [] if element.VR == "SQ" else key_values(element.value)
        patterns = [
            value
            for value in values
            if value.strip("*")  # or else it matches everything
            if has_wildcard(value)
            or "PN" in vrs
            or ("-" in value and not vrs.isdisjoint(RANGE_VRS))
        ]
        if any(len(pattern) > MAXIMUM_PATTERN_LENGTH for pattern in patterns):
            comment = f"A pattern of more than {MAXIMUM_PATTERN_LENGTH} characters"
            raise IdentifierError(comment, element.tag)
        self._keys += 1
        self._values += len(values)
        self._patterns += len(patterns)
        for count, most, what in (
            (self._patterns, MAXIMUM_PATTERNS, "patterns"),
            (self._values, MAXIMUM_VALUES, "values"),
            (self._keys, MAXIMUM_KEYS, "keys"),
        ):
            if count > most:
                raise IdentifierError(f"More than {most} {what}", element.tag)
