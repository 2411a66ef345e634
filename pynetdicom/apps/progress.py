"""What the apps print: results, one line a problem, and how far they have come.

`rich` draws the progress where it is installed; without it, a line of plain text does. Neither is
drawn where standard error is not a terminal.
"""

from __future__ import annotations

import sys
import threading
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

    def count(self, done: int, total: int) -> None:
        """So many objects of so many are done, which somebody else counts."""

    def print(self, line: str) -> None:
        """Print a line above the display."""

    def close(self) -> None:
        """Leave the terminal as it was."""


class _NoDisplay:
    def advance(self, size: int) -> None:
        pass

    def count(self, done: int, total: int) -> None:
        pass

    def print(self, line: str) -> None:
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        pass


class _Pace:
    """Says when it is time to draw again."""

    def __init__(self) -> None:
        self._redraw_at = 0.0

    def is_due(self) -> bool:
        now = time.monotonic()
        if now < self._redraw_at:
            return False
        self._redraw_at = now + REDRAW_SECONDS
        return True


class _PlainDisplay:
    """A line that is written over and over."""

    def __init__(self, files: int = 0, size: int = 0) -> None:
        self._files, self._size = files, size
        self._files_done = self._size_done = 0
        self._started = time.monotonic()
        self._pace = _Pace()
        self._width = 0

    def advance(self, size: int) -> None:
        self._files_done += 1
        self._size_done += size
        if self._pace.is_due():
            rate = self._size_done / max(time.monotonic() - self._started, 0.001)
            self._draw(
                f"{self._files_done}/{self._files} files, {megabytes(self._size_done)} of "
                f"{megabytes(self._size)}, {megabytes(rate)}/s"
            )

    def count(self, done: int, total: int) -> None:
        if self._pace.is_due():
            self._draw(f"{done}/{total} objects")

    def print(self, line: str) -> None:
        self._draw("")
        print(line, file=sys.stderr, flush=True)

    def close(self) -> None:
        self._draw("")

    def _draw(self, text: str) -> None:
        print(f"\r{text:{self._width}}\r{text}", end="", file=sys.stderr, flush=True)
        self._width = len(text)


class _RichDisplay:
    """A bar drawn by rich, from the threads that have something to show: it starts none."""

    def __init__(self, progress: Progress, files: int = 0, size: int = 0) -> None:
        self._progress = progress
        self._files, self._files_done = files, 0
        self._task: TaskID = progress.add_task("", total=size or None, files=f"0/{files} files")
        self._pace = _Pace()
        progress.start()

    def advance(self, size: int) -> None:
        self._files_done += 1
        files = f"{self._files_done}/{self._files} files"
        self._progress.update(self._task, advance=size, files=files)
        self._refresh()

    def count(self, done: int, total: int) -> None:
        objects = f"{done}/{total} objects"
        self._progress.update(self._task, completed=done, total=total, files=objects)
        self._refresh()

    def _refresh(self) -> None:
        if self._pace.is_due():
            self._progress.refresh()

    def print(self, line: str) -> None:
        self._progress.console.print(line, markup=False, highlight=False, soft_wrap=True)

    def close(self) -> None:
        self._progress.stop()


class _Counting:
    """A display of what somebody else counts, once that is known to be a number worth showing."""

    def __init__(self) -> None:
        self._display: Display = _NoDisplay()
        self._is_made = False

    def advance(self, size: int) -> None:
        pass

    def count(self, done: int, total: int) -> None:
        if not self._is_made and total >= FEW_FILES:
            self._is_made = True
            self._display = _make_display()
        self._display.count(done, total)

    def print(self, line: str) -> None:
        self._display.print(line)

    def close(self) -> None:
        self._display.close()


def megabytes(size: float) -> str:
    """A number of bytes for people."""
    return f"{size / 1e6:.1f} MB"


def one_line(text: str) -> str:
    """The text with control characters, and file names' undecodable bytes, escaped."""
    return "".join(char if char.isprintable() else ascii(char)[1:-1] for char in text)


def _make_display(files: int = 0, size: int = 0) -> Display:
    """A display of so many files of so many bytes; without a number, of objects."""
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
    of_files = (DownloadColumn(), TransferSpeedColumn()) if files else ()
    progress = Progress(
        TextColumn("{task.fields[files]}"),
        BarColumn(),
        *of_files,
        TimeRemainingColumn(),
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
        # What arrives is served by other threads than what is asked for.
        self._lock = threading.Lock()
        self.problems = 0

    def problem(self, text: str) -> None:
        """Print what went wrong as one line on standard error."""
        with self._lock:
            self.problems += 1
        self.warning(text)

    def warning(self, text: str) -> None:
        """Print a line on standard error that is no reason for failure."""
        if not self._quiet:
            with self._lock:
                self._display.print(f"{self._app}: {one_line(text)}")

    def result(self, text: str) -> None:
        """Print a line on standard output."""
        if not self._quiet:
            print(text, flush=True)

    def count(self, done: int, total: int) -> None:
        """Show how many of how many objects are done, where `counting` lets it."""
        with self._lock:
            self._display.count(done, total)

    @contextmanager
    def progress(self, files: int, size: int) -> Iterator[Display]:
        """Show the progress of sending many files, if somebody looks at it."""
        is_shown = files >= FEW_FILES and self._is_seen
        with self._showing(_make_display(files, size) if is_shown else None):
            yield self._display

    @contextmanager
    def counting(self) -> Iterator[None]:
        """Show the progress of what is told to `count`, if somebody looks at it."""
        with self._showing(_Counting() if self._is_seen else None):
            yield

    @property
    def _is_seen(self) -> bool:
        return not self._quiet and sys.stderr.isatty()

    @contextmanager
    def _showing(self, display: Display | None) -> Iterator[None]:
        if display is not None:
            self._display = display
        try:
            yield
        finally:
            with self._lock:
                self._display.close()
                self._display = _NoDisplay()
