"""What the apps print."""

from __future__ import annotations

import builtins
import io
import threading
from contextlib import redirect_stderr
from typing import Any

import pytest
from pydicom import dcmread

from pynetdicom.apps.progress import FEW_FILES, Terminal
from tests.apps.conftest import CT
from tests.conftest import find_free_port


class Tty(io.StringIO):
    """Standard error that is a terminal."""

    def isatty(self) -> bool:
        return True


@pytest.fixture
def tty(monkeypatch: pytest.MonkeyPatch) -> Tty:
    monkeypatch.setenv("TERM", "xterm")
    return Tty()


@pytest.fixture
def without_rich(monkeypatch: pytest.MonkeyPatch) -> None:
    real = builtins.__import__

    def importing(name: str, *arguments: Any, **keywords: Any) -> Any:
        if name.startswith("rich"):
            raise ImportError(name)
        return real(name, *arguments, **keywords)

    monkeypatch.setattr(builtins, "__import__", importing)


def show(terminal: Terminal, files: int) -> None:
    with terminal.progress(files, files * 1_000_000) as display:
        for number in range(files):
            display.advance(1_000_000)
            if number == 1:
                terminal.problem("file [red]: cannot be read")


def test_a_problem_is_one_line_and_counted(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal("app")
    terminal.problem("one\ntwo\x1b[31m")
    terminal.warning("three")
    terminal.result("four")
    captured = capsys.readouterr()
    assert captured.out == "four\n"
    lines = captured.err.splitlines()
    assert len(lines) == 2
    assert "\x1b" not in captured.err
    assert terminal.problems == 1


def test_quiet_prints_nothing_but_counts(capsys: pytest.CaptureFixture[str]) -> None:
    terminal = Terminal("app", quiet=True)
    terminal.problem("one")
    terminal.warning("two")
    terminal.result("three")
    show(terminal, FEW_FILES)
    assert capsys.readouterr() == ("", "")
    assert terminal.problems == 2


def test_no_progress_where_nobody_looks(capsys: pytest.CaptureFixture[str]) -> None:
    show(Terminal("app"), 100)
    assert capsys.readouterr().err == "app: file [red]: cannot be read\n"


def test_no_progress_for_a_few_files(tty: Tty) -> None:
    with redirect_stderr(tty):
        show(Terminal("app"), FEW_FILES - 1)
    assert tty.getvalue() == "app: file [red]: cannot be read\n"


@pytest.mark.usefixtures("without_rich")
def test_plain_progress_without_rich(tty: Tty) -> None:
    with redirect_stderr(tty):
        show(Terminal("app"), 100)
    text = tty.getvalue()
    assert "1/100 files, 1.0 MB of 100.0 MB" in text
    assert "app: file [red]: cannot be read\n" in text
    assert text.endswith("\r"), "the line is wiped at the end"


def test_progress_with_rich_starts_no_thread(tty: Tty) -> None:
    pytest.importorskip("rich")
    terminal = Terminal("app")
    with redirect_stderr(tty), terminal.progress(100, 100) as display:
        before = threading.active_count()
        for _ in range(100):
            display.advance(1)
        terminal.problem("file [red]: cannot be read")
        assert threading.active_count() == before
    text = tty.getvalue()
    assert "files" in text
    assert "app: file [red]: cannot be read" in text


def count(terminal: Terminal, total: int) -> None:
    with terminal.counting():
        for number in range(total + 1):
            terminal.count(number, total)
            if number == 1:
                terminal.problem("one [red]: cannot be had")
    terminal.count(0, 0)  # nothing is shown any more


PROBLEM = "app: one [red]: cannot be had\n"


def test_nothing_is_counted_where_nobody_looks(
    tty: Tty, capsys: pytest.CaptureFixture[str]
) -> None:
    count(Terminal("app"), 100)
    assert capsys.readouterr().err == PROBLEM
    with redirect_stderr(tty):
        count(Terminal("app"), FEW_FILES - 1)
        assert tty.getvalue() == PROBLEM
        count(Terminal("app", quiet=True), 100)
    assert tty.getvalue() == PROBLEM


@pytest.mark.usefixtures("without_rich")
def test_counting_without_rich(tty: Tty) -> None:
    with redirect_stderr(tty):
        count(Terminal("app"), 100)
    text = tty.getvalue()
    assert "\r0/100 objects" in text
    assert PROBLEM in text
    assert text.endswith("\r"), "the line is wiped at the end"


def test_counting_with_rich(tty: Tty) -> None:
    pytest.importorskip("rich")
    before = threading.active_count()
    with redirect_stderr(tty):
        count(Terminal("app"), 100)
    assert threading.active_count() == before
    assert "/100 objects" in tty.getvalue()
    assert "app: one [red]: cannot be had" in tty.getvalue()


def retrieving(app: str, tty: Tty, *options: str) -> str:
    """What a retrieve of ten objects shows on a terminal."""
    from pynetdicom.apps import getscu, movescu
    from tests.apps.query_scp import QueryScp

    def handler(event: Any) -> Any:
        if app == "movescu":
            yield "127.0.0.1", port
        yield 10
        for number in range(10):
            ds = dcmread(CT)
            ds.SOPInstanceUID = f"1.2.{number}"
            yield 0xFF00, ds

    port = find_free_port()
    scp = QueryScp("C-GET" if app == "getscu" else "C-MOVE", handler)
    main = {"getscu": getscu.main, "movescu": movescu.main}[app]
    store = ["--store", "--store-port", str(port)] if app == "movescu" else []
    try:
        with redirect_stderr(tty):
            keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=1", "--ignore"]
            assert main(["127.0.0.1", str(scp.port), *keys, *store, *options]) == 0
    finally:
        scp.close()
    return tty.getvalue()


@pytest.mark.usefixtures("without_rich")
@pytest.mark.parametrize("app", ["getscu", "movescu"])
def test_retrieval_shows_how_far_it_has_come(
    app: str, tty: Tty, capsys: pytest.CaptureFixture[str]
) -> None:
    assert "\r1/10 objects" in retrieving(app, tty)
    assert capsys.readouterr().out == "10 objects received\n"


@pytest.mark.parametrize("option", ["--json", "--quiet"])
@pytest.mark.parametrize("app", ["getscu", "movescu"])
def test_retrieval_that_shows_nothing(app: str, option: str, tty: Tty) -> None:
    assert retrieving(app, tty, option) == ""
