"""What a walk over a data set shows of it, beside that it can be walked."""

from __future__ import annotations

from typing import NamedTuple

from pynetdicom.data_sets.element_walk import (
    Encoding,
    Noted,
    Read,
    WalkError,
    WalkResult,
    encoding_of,
    walk,
)
from pynetdicom.errors import DataSetDecodeError, FileProblem
from pynetdicom.uids import named


class Survey(NamedTuple):
    """What a walk over a data set has shown."""

    end: int
    """Where its last element ends; up to 7 stray bytes may follow."""
    first_odd: int
    """The tag of the first value of odd length, 0 for none."""
    odd_count: int
    implicit: bool
    """How it begins, whatever its transfer syntax says."""
    last: int = 0
    """The tag of the last element."""

    def oddities(self, size: int) -> tuple[str, ...]:
        """What is wrong with a data set of `size` bytes, and taken all the same; no values."""
        notes = []
        if self.odd_count:
            first = f"({self.first_odd >> 16:04X},{self.first_odd & 0xFFFF:04X})"
            notes.append(f"values of odd length: {self.odd_count}, the first of them {first}")
        if self.end != size:
            notes.append(f"bytes after the last element: {size - self.end}")
        return tuple(notes)


def survey(
    data: bytes | bytearray, size: int, encoding: Encoding, read: Read | None, start: int = 0
) -> Survey:
    """Go over the element headers of a data set to its end.

    Raises
    ------
    DataSetDecodeError
        If an element overruns the data set, or it nests too deeply.
    """
    noted = Noted()
    try:
        found = walk(data, size, encoding, read=read, start=start, noted=noted)
    except WalkError:
        # What is within a value of a definite length does not matter to the rest.
        noted = Noted()
        try:
            found = walk(data, size, encoding, read=read, start=start, nested=False, noted=noted)
        except WalkError as error:
            raise DataSetDecodeError(f"data set: {error}") from None
    return survey_of(found, noted)


def survey_of(found: WalkResult, noted: Noted) -> Survey:
    """Say what a walk to the end has shown."""
    odd = noted.odd
    return Survey(found.offset, odd[0] if odd else 0, len(odd), found.implicit, noted.last)


def check_encoding(implicit: bool, transfer_syntax: str) -> None:
    """Raise FileProblem if a data set is not in the VR, implicit or explicit, that it should be."""
    if implicit != encoding_of(transfer_syntax).implicit:
        kind = "implicit" if implicit else "explicit"
        raise FileProblem(
            f"the data set is in {kind} VR, which its transfer syntax, {named(transfer_syntax)},"
            " is not"
        )
