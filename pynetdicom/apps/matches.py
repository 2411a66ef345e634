"""How findscu shows the matches of a query: lines, a table, DICOM JSON, CSV, files."""

from __future__ import annotations

import csv
import io
import json
import os
import sys
from base64 import b64encode
from collections.abc import Iterable, Iterator, Sequence
from typing import TYPE_CHECKING, Any, Protocol
from unicodedata import combining, east_asian_width

from pynetdicom.apps import odd_values
from pynetdicom.apps.keys import parse_key
from pynetdicom.apps.options import terminal_columns
from pynetdicom.apps.progress import one_line

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

ROWS_OF_A_TABLE = 200
"""A table is as wide as its rows want, so these are held back until it can be drawn."""
GAP = "  "

Column = tuple[int, ...]
"""The tags on the way to a key."""


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


class Csv:
    """A line for each match, after one of names, and nothing else (RFC 4180).

    Several values are separated by backslashes. Items are JSON: of a sequence that was asked for
    as a whole DICOM JSON, of a key in a sequence with several items a list of texts. Bytes are
    base64, as DICOM JSON has them.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        reconfigure = getattr(sys.stdout, "reconfigure", None)
        if reconfigure is not None:
            reconfigure(newline="")  # lines end with CR LF, whatever the system's do
        self._write(map(_full_name, columns))

    def show(self, match: Dataset) -> None:
        odd_values.for_json(match)
        self._write([_cell(match, path) for path in self._columns])

    def _write(self, cells: Iterable[str]) -> None:
        csv.writer(sys.stdout).writerow(list(map(_lines_only, cells)))
        sys.stdout.flush()

    def close(self, count: int) -> None:
        pass


class Table:
    """A table with a row for each match, and a column for each key.

    Nothing in it is folded or cut. Rows that would be wider than the terminal are shown as records
    instead, with a line for each key.
    """

    def __init__(self, columns: Sequence[Column]) -> None:
        self._columns = columns
        short = [_name(path[-1]) for path in columns]
        self._names = [
            name if short.count(name) == 1 else _full_name(path)
            for name, path in zip(short, columns, strict=True)
        ]
        self._rows: list[list[str]] = []
        self._shown = 0

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
        rows = [self._names, *self._rows]
        widths = [max(map(_width, column)) for column in zip(*rows, strict=True)]
        if sum(widths) + len(GAP) * (len(widths) - 1) <= terminal_columns():
            rows.insert(1, ["-" * width for width in widths])
            for row in rows:
                cells = zip(row, widths, strict=True)
                print(GAP.join(map(_padded, cells)).rstrip())
        else:
            self._draw_records()
        self._shown += len(self._rows)
        self._rows.clear()
        sys.stdout.flush()

    def _draw_records(self) -> None:
        width = max(map(_width, self._names))
        for number, row in enumerate(self._rows, self._shown + 1):
            print(f"match {number}")
            for name, value in zip(self._names, row, strict=True):
                print(f"{GAP}{_padded((name, width))}{GAP}{value}".rstrip())


def make_output(columns: Sequence[Column], form: str | None) -> Output:
    """Choose how to show matches, by what is asked for and by who looks at it.

    Parameters
    ----------
    columns : sequence of tuple of int
        The keys of which there are columns.
    form : {'json', 'csv', None}
    """
    reconfigure = getattr(sys.stdout, "reconfigure", None)
    if reconfigure is not None:  # a character that it lacks is no reason to show nothing
        reconfigure(errors="backslashreplace")
    if form == "json":
        return JsonLines()
    if form == "csv":
        return Csv(columns)
    return Table(columns) if columns and sys.stdout.isatty() else Lines()


def _counted(count: int) -> str:
    return f"{count} match{'' if count == 1 else 'es'}"


def columns_of(query: Dataset, keys: Iterable[str]) -> list[Column]:
    """Give the columns for the keys of a query: first those of `keys`, in their order."""
    known = list(paths_of(query))
    first = [tuple(step.tag for step in parse_key(text).path) for text in keys]
    return list(dict.fromkeys((*(path for path in first if path in known), *known)))


def paths_of(query: Dataset, before: Column = ()) -> Iterator[Column]:
    """Give the tags on the way to each key of a query; of sequences, those in the first item."""
    for element in query:
        path = (*before, int(element.tag))
        if element.VR == "SQ" and element.value:
            yield from paths_of(element.value[0], path)
        elif element.keyword not in ("SpecificCharacterSet", "QueryRetrieveLevel"):
            yield path


def value_at(match: Dataset, path: Column) -> str:
    """Give what a match has there as text; several items of a sequence one after the other."""
    element: Any = match.get(path[0])
    if element is None or element.value is None:
        return ""
    if element.VR != "SQ":
        value = element.value
        return f"{len(value)} bytes" if isinstance(value, bytes) else _text(value)
    if len(path) == 1:
        return f"{len(element.value)} items" if element.value else ""
    return "; ".join(value_at(item, path[1:]) for item in element.value)


def _cell(match: Dataset, path: Column) -> str:
    """Give what a match has there as a field of CSV."""
    element: Any = match.get(path[0])
    if element is None or not element.value:
        return "" if element is None or element.value is None else _text(element.value)
    if element.VR != "SQ":
        value = element.value
        return b64encode(value).decode() if isinstance(value, bytes) else _text(value)
    if len(path) == 1:
        return json.dumps(element.to_json_dict(None, 0)["Value"], ensure_ascii=False)
    items = [_cell(item, path[1:]) for item in element.value]
    return items[0] if len(items) == 1 else json.dumps(items, ensure_ascii=False)


def _text(value: Any) -> str:
    return "\\".join(map(str, value)) if hasattr(value, "append") else str(value)


def _lines_only(text: str) -> str:
    """The text with the control characters escaped that do not end a line or fill it."""
    if text.isprintable():
        return text
    return "".join(char if char in "\r\n\t" else one_line(char) for char in text)


def _width(text: str) -> int:
    """The columns of a terminal that a text takes."""
    if text.isascii():
        return len(text)
    return sum(
        0 if combining(char) else 2 if east_asian_width(char) in "WF" else 1 for char in text
    )


def _padded(cell: tuple[str, int]) -> str:
    text, width = cell
    return text + " " * (width - _width(text))


def _full_name(path: Column) -> str:
    return ".".join(map(_name, path))


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
    file = open(name, "xb")  # noqa: SIM115  # Windows removes no open file
    try:
        with file:
            file.write(content.getvalue())
    except BaseException:
        os.unlink(name)  # a part of a match must not look like one
        raise
