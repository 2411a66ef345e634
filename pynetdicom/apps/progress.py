"""What the apps print: results, one line a problem, and how far they have come.

`rich` draws the progress where it is installed; without it, a line of plain text does. Neither is
drawn where standard error is not a terminal.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from rich.progress import Progress, TaskID

REDRAW_SECONDS = 0.1
FEW_FILES = 5


class Display(Protocol):
    """A display of progress."""

    def advance(self, size: int) -> None:
        """One more file of `size` bytes is done."""

    def print(self, line: str) -> None:
        """Print a line above the display."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class _NoDisplay:
    def advance(self, size: int) -> None:
        pass

    def print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _PlainDisplay:
    """A line that is written over and over."""

    def __init__(self, files: int, size: int) -> None:
        self._files, self._size = files, size
        self._files_done = self._size_done = 0
        self._started = time.monotonic()
        self._redraw_at = 0.0
        self._width = 0

    def advance(self, size: int) -> None:
        self._files_done += 1
        self._size_done += size
        now = time.monotonic()
        if now >= self._redraw_at:
            self._redraw_at = now + REDRAW_SECONDS
            rate = self._size_done / max(now - self._started, 0.001)
            self._draw(
                f"{self._files_done}/{self._files} files, {megabytes(self._size_done)} of "
                f"{megabytes(self._size)}, {megabytes(rate)}/s"
            )

    def print(self, line: str) -> None:
        self._draw("")
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        self._draw("")

    def _draw(self, text: str) -> None:
        print(f"\r{text:{self._width}}\r{text}", end="", file=sys.stderr, flush=True)
        self._width = len(text)


class _RichDisplay:
    """A bar drawn by rich, from this thread: it starts none of its own."""

    def __init__(self, progress: Progress, files: int, size: int) -> None:
        self._progress = progress
        self._files, self._files_done = files, 0
        self._task: TaskID = progress.add_task("", total=size, files=f"0/{files}")
        self._redraw_at = 0.0
        progress.start()

    def advance(self, size: int) -> None:
        self._files_done += 1
        self._progress.update(self._task, advance=size, files=f"{self._files_done}/{self._files}")
        now = time.monotonic()
        if now >= self._redraw_at:
            self._redraw_at = now + REDRAW_SECONDS
            self._progress.refresh()

    def print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


def megabytes(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:.1f} MB"


def one_line(text: str) -> str:
    """The text with control characters, and file names' undecodable bytes, escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _make_display(files: int, size: int) -> Display:
    try:
        from rich.console import Console
        from rich.progress import (
            BarColumn,
            DownloadColumn,
            Progress,
            TextColumn,
            TimeRemainingColumn,
            TransferSpeedColumn,
        )
    except ImportError:
        return _PlainDisplay(files, size)
    columns = (
        TextColumn("{task.fields[files]} files"),
        BarColumn(),
        DownloadColumn(),
        TransferSpeedColumn(),
        TimeRemainingColumn(),
    )
    progress = Progress(
        *columns,
        console=Console(stderr=True),
        auto_refresh=False,
        transient=True,
        redirect_stdout=False,
        redirect_stderr=False,
    )
    return _RichDisplay(progress, files, size)


class Terminal:
    """Where an app prints to.

    Parameters
    ----------
    app : str
        The name in front of each problem.
    quiet : bool
        Print nothing.

    Attributes
    ----------
    problems : int
        How many there were.
    """

    def __init__(self, app: str, *, quiet: bool = False) -> None:
        self._app = app
        self._quiet = quiet
        self._display: Display = _NoDisplay()
        self.problems = 0

    def problem(self, text: str) -> None:
        """Print what went wrong as one line on standard error."""
        self.problems += 1
        self.warning(text)

    def warning(self, text: str) -> None:
        """Print a line on standard error that is no reason for failure."""
        if not self._quiet:
            self._display.print(f"{self._app}: {one_line(text)}")

    def result(self, text: str) -> None:
        """Print a line on standard output."""
        if not self._quiet:
            print(text, flush=True)

    @contextmanager
    def progress(self, files: int, size: int) -> Iterator[Display]:
        """Show the progress of sending many files, if somebody looks at it."""
        if files >= FEW_FILES and not self._quiet and sys.stderr.isatty():
            self._display = _make_display(files, size)
        try:
            yield self._display
        finally:
            self._display.close()
            self._display = _NoDisplay()
