"""How findscu shows the matches of a query: lines, a table, DICOM JSON, files."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom.apps import odd_values
from pynetdicom.apps.progress import one_line

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ROWS_OF_A_TABLE = 200
"""A table is as wide as its rows want, so these are held back until it can be drawn."""


class Output(Protocol):
    """Where matches go."""

    def show(self, match: Dataset) -> None:
        """Show one; it is changed so that it can be."""

    def close(self, count: int) -> None:
        """Show what was held back, and how many there were."""


class JsonLines:
    """DICOM JSON, one object a line, and nothing else (PS3.18 F)."""

    def show(self, match: Dataset) -> None:
        odd_values.for_json(match)
        print(match.to_json(), flush=True)

    def close(self, count: int) -> None:
        pass


class Lines:
    """A line for each element."""

    def __init__(self) -> None:
        self._number = 0

    def show(self, match: Dataset) -> None:
        from pynetdicom.dsutils import pretty_dataset

        odd_values.for_text(match)
        self._number += 1
        print(f"match {self._number}")
        for line in pretty_dataset(match, 1):
            print(one_line(line))
        sys.stdout.flush()

    def close(self, count: int) -> None:
        print(_counted(count), flush=True)


class Table:
    """A table with a row for each match, and a column for each key, drawn by rich."""

    def __init__(self, query: Dataset) -> None:
        self._columns = list(paths_of(query))
        self._rows: list[list[str]] = []

    def show(self, match: Dataset) -> None:
        odd_values.for_text(match)
        self._rows.append([one_line(value_at(match, path)) for path in self._columns])
        if len(self._rows) == ROWS_OF_A_TABLE:
            self._draw()

    def close(self, count: int) -> None:
        if self._rows:
            self._draw()
        print(_counted(count), flush=True)

    def _draw(self) -> None:
        from rich.console import Console
        from rich.table import Table as RichTable
        from rich.text import Text

        table = RichTable()
        for path in self._columns:
            table.add_column(Text(_name(path[-1])), overflow="fold")
        for row in self._rows:
            table.add_row(*map(Text, row))
        Console().print(table)
        self._rows.clear()


def make_output(query: Dataset, *, json: bool) -> Output:
    """Choose how to show matches, by what is asked for and by who looks at it."""
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a character that it lacks is no reason to show nothing
        reconfigure(errors="backslashreplace")
    if json:
        return JsonLines()
    if sys.stdout.isatty():
        try:
            import rich  # noqa: F401
        except ImportError:
            pass
        else:
            return Table(query)
    return Lines()


def _counted(count: int) -> str:
    return f"{count} match{'' if count == 1 else 'es'}"


def paths_of(query: Dataset, before: tuple[int, ...] = ()) -> Iterator[tuple[int, ...]]:
    """Give the tags on the way to each key of a query; of sequences, those in the first item."""
    for element in query:
        path = (*before, int(element.tag))
        if element.VR == "SQ" and element.value:
            yield from paths_of(element.value[0], path)
        elif element.keyword not in ("SpecificCharacterSet", "QueryRetrieveLevel"):
            yield path


def value_at(match: Dataset, path: tuple[int, ...]) -> str:
    """Give what a match has there as text; several items of a sequence one after the other."""
    element: Any = match.get(path[0])
    if element is None or element.value is None:
        return ""
    if element.VR != "SQ":
        value = element.value
        if hasattr(value, "append"):
            return "\\".join(map(str, value))
        return f"{len(value)} bytes" if isinstance(value, bytes) else str(value)
    if len(path) == 1:
        return f"{len(element.value)} items" if element.value else ""
    return "; ".join(value_at(item, path[1:]) for item in element.value)


def _name(tag: int) -> str:
    from pydicom.datadict import keyword_for_tag

    return keyword_for_tag(tag) or f"({tag >> 16:04X},{tag & 0xFFFF:04X})"


def file_name(number: int) -> str:
    """The name of the file for a match."""
    return f"rsp{number:06d}.dcm"


def write_match(match: Dataset, number: int, sop_class: str) -> None:
    """Write a match to a file in the current directory; it is changed so that it can be.

    Raises
    ------
    OSError
        It cannot be written; also when there is such a file already.
    """
    from pydicom.dataset import FileMetaDataset
    from pydicom.filewriter import dcmwrite
    from pydicom.uid import UID, ExplicitVRLittleEndian, generate_uid

    odd_values.for_file(match)
    meta = FileMetaDataset()
    meta.MediaStorageSOPClassUID = UID(sop_class)
    meta.MediaStorageSOPInstanceUID = generate_uid(prefix=None)
    meta.TransferSyntaxUID = ExplicitVRLittleEndian
    match.file_meta = meta
    content = io.BytesIO()
    dcmwrite(content, match, enforce_file_format=True)
    name = file_name(number)
    with open(name, "xb") as file:
        try:
            file.write(content.getvalue())
            file.flush()
        except BaseException:
            os.unlink(name)  # a part of a match must not look like one
            raise
