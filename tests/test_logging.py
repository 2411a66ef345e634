"""pynetdicom._logging: what becomes of the failures of log handlers."""

from __future__ import annotations

import logging
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import pynetdicom
from pynetdicom import _logging

PACKAGE = Path(pynetdicom.__file__).parent


class Failing(logging.Handler):
    """Raises, as a handler should not."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error
        self.asked = 0

    def emit(self, record: logging.LogRecord) -> None:
        self.asked += 1
        raise self.error


@pytest.fixture
def failing() -> Iterator[Failing]:
    handler = Failing(OSError("log disk full"))
    root = logging.getLogger("pynetdicom")
    level = root.level
    root.addHandler(handler)
    root.setLevel(logging.DEBUG)
    yield handler
    root.removeHandler(handler)
    root.setLevel(level)


@pytest.mark.parametrize("name", _logging.NAMES)
def test_a_handler_that_raises_is_reported_and_no_more(
    name: str, failing: Failing, capsys: pytest.CaptureFixture[str]
) -> None:
    logging.getLogger(f"pynetdicom.{name}").info("told %d", 1)
    assert failing.asked == 1
    error = capsys.readouterr().err
    assert "--- Logging error ---" in error
    assert "log disk full" in error


def test_a_filter_that_raises(capsys: pytest.CaptureFixture[str]) -> None:
    logger = logging.getLogger("pynetdicom.assoc")

    def fail(record: logging.LogRecord) -> bool:
        raise ZeroDivisionError

    logger.addFilter(fail)
    try:
        logger.warning("told")
    finally:
        logger.removeFilter(fail)
    assert "ZeroDivisionError" in capsys.readouterr().err


def test_reports_can_be_switched_off_as_usual(
    failing: Failing, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(logging, "raiseExceptions", False)
    logging.getLogger("pynetdicom.assoc").info("told")
    assert capsys.readouterr().err == ""


def test_ctrl_c_goes_its_way(failing: Failing) -> None:
    failing.error = KeyboardInterrupt()
    with pytest.raises(KeyboardInterrupt):
        logging.getLogger("pynetdicom.assoc").info("told")


def test_all_loggers_of_the_library_are_known() -> None:
    """But those of the apps, whose handlers are their own."""
    used = set()
    for path in PACKAGE.rglob("*.py"):
        if "apps" not in path.parts:
            used |= set(re.findall(r"getLogger\((.*?)\)", path.read_text()))
    used -= {'"pynetdicom"', 'f"{ROOT}.{name}"'}
    assert used == {f'"pynetdicom.{name}"' for name in _logging.NAMES}


def test_a_program_with_loggers_of_its_own_kind() -> None:
    code = """if True:
        import logging
        class Own(logging.Logger):
            def own(self): return "own"
        class Bad(logging.Handler):
            def emit(self, record): raise ZeroDivisionError
        before = logging.getLogger("pynetdicom.assoc")
        logging.setLoggerClass(Own)
        import pynetdicom
        import importlib
        importlib.reload(pynetdicom)  # once is enough
        assert logging.getLogger("pynetdicom.assoc") is before
        logger = logging.getLogger("pynetdicom.dul")
        assert isinstance(logger, Own)
        assert (logger.own(), type(logger).__name__) == ("own", "Own")
        logging.getLogger().addHandler(Bad())
        before.warning("told")
        logger.warning("told")
    """
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    )
    assert result.stderr.count("--- Logging error ---") == 2
