"""pynetdicom.raised: what the log says of exceptions and of a program's code."""

from __future__ import annotations

import functools
import logging
import re
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any
from unittest.mock import MagicMock

import pytest
from pydicom.dataset import Dataset

from pynetdicom import raised
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.services.engines import Yielded, single

HERE = re.escape(__file__)
LOGGER = logging.getLogger("pynetdicom.service")


def caught(call: Callable[[], Any]) -> BaseException:
    try:
        call()
    except BaseException as error:
        return error
    raise AssertionError("it raises nothing")


def through_the_library(handler: Callable[[], Any]) -> BaseException:
    """What is raised in a handler that the library calls, as the library has it."""
    error = caught(lambda: Yielded(iter(handler, None)).next())
    trace = error.__traceback__
    while trace is not None and "pynetdicom" not in str(trace.tb_frame.f_globals["__name__"]):
        trace = trace.tb_next  # this test, which has called the library
    assert trace is not None
    return error.with_traceback(trace)


def fail() -> None:
    raise ValueError("Doe^Jane")


def fail_deeper() -> None:
    fail()


def test_from_the_programs_frame_to_the_innermost() -> None:
    text = raised.describe(through_the_library(fail_deeper))
    assert re.fullmatch(rf"ValueError at {HERE}:\d+ in fail_deeper > {HERE}:\d+ in fail", text)
    assert "Doe" not in text


def test_frames_of_the_library_behind_the_programs_are_shown() -> None:
    def handler() -> None:
        Yielded(iter(fail_deeper, None)).next()

    text = raised.describe(through_the_library(handler))
    way = [step.partition(" in ")[2] for step in text.split(" > ")]
    assert way == ["handler", "next", "fail_deeper", "fail"]


def test_the_innermost_frame_may_be_pydicoms() -> None:
    def handler() -> None:
        Dataset().PatientID  # raises

    text = raised.describe(through_the_library(handler))
    assert re.search(rf"AttributeError at {HERE}:\d+ in handler > \S+dataset\.py:\d+ in ", text)


def test_apps_are_programs() -> None:
    namespace = {"__name__": "pynetdicom.apps.storescp", "fail": fail}
    exec(compile("def store():\n    fail()", "storescp.py", "exec"), namespace)
    error = through_the_library(namespace["store"])  # type: ignore[arg-type]  # it is callable
    assert raised.describe(error).startswith("ValueError at storescp.py:2 in store > ")


def test_a_recursion_is_shown_from_both_ends() -> None:
    def recurse(n: int) -> int:
        return recurse(n + 1)

    text = raised.describe(through_the_library(lambda: recurse(0)))
    assert text.startswith("RecursionError at ")
    assert re.search(r" > \.\.\. \d{2,} more \.\.\. > ", text)
    assert text.count(" > ") == 10
    assert len(text) < 2100


@pytest.mark.parametrize("how", ["from", "context", "suppressed"])
def test_causes(how: str) -> None:
    def handler() -> None:
        try:
            {}["Doe^Jane"]
        except KeyError as error:
            if how == "from":
                raise RuntimeError("Doe^Jane") from error
            if how == "suppressed":
                raise RuntimeError("Doe^Jane") from None
            raise RuntimeError("Doe^Jane")  # noqa: B904  # that is the test

    text = raised.describe(through_the_library(handler))
    assert text.startswith("RuntimeError at ")
    assert bool(re.search(rf"; caused by KeyError at {HERE}:\d+ in handler", text)) == (
        how != "suppressed"
    )
    assert "Doe" not in text


def test_causes_that_go_in_a_circle_or_on_and_on() -> None:
    first, second = ValueError(), KeyError()
    first.__cause__, second.__cause__ = second, first
    assert raised.describe(first) == "ValueError; caused by KeyError"
    error: BaseException = ValueError()
    for _ in range(1000):
        another = KeyError()
        another.__cause__ = error
        error = another
    assert raised.describe(error).count("caused by") < 5


def test_what_the_library_was_handling_is_no_cause() -> None:
    class Empty(Exception):
        pass

    def handler() -> None:
        raise ValueError

    try:
        raise Empty
    except Empty:
        error = through_the_library(handler)
    assert error.__context__ is not None
    error.__context__.__traceback__ = None
    assert "Empty" not in raised.describe(error)


def test_groups() -> None:
    def handler() -> None:
        errors: list[Exception] = [caught(fail), caught(lambda: {}["x"])]  # type: ignore[list-item]  # they are
        raise ExceptionGroup("Doe^Jane", [*errors, ExceptionGroup("Doe^Jane", errors), *errors])

    text = raised.describe(through_the_library(handler))
    members = rf"ValueError at {HERE}:\d+ in fail, KeyError at {HERE}:\d+ in <lambda>"
    assert re.match(rf"ExceptionGroup of 5 \({members}, ExceptionGroup of 2, \.\.\.\) at ", text)
    assert "Doe" not in text


def test_a_syntax_error_says_where_it_is(tmp_path: Path) -> None:
    path = tmp_path / "broken_module.py"
    path.write_text("x = 1\nname = 'Doe^Jane\n")

    def handler() -> None:
        sys.path.insert(0, str(tmp_path))
        try:
            __import__("broken_module")
        finally:
            sys.path.remove(str(tmp_path))

    text = raised.describe(through_the_library(handler))
    assert text.startswith(f"SyntaxError ({path}:2) at ")
    assert re.search(r":\d+ in handler", text)
    assert "Doe" not in text
    assert "frozen" not in text


class Nasty(Exception):
    def __str__(self) -> str:
        raise RuntimeError("Doe^Jane")

    __repr__ = __str__


class Nastier(Exception):
    @property
    def __cause__(self) -> Any:  # type: ignore[override]  # that is the test
        raise RuntimeError("Doe^Jane")


@pytest.mark.parametrize("kind", [Nasty, Nastier])
def test_exceptions_that_cannot_be_shown(
    kind: type[Exception], caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level(logging.DEBUG, "pynetdicom"):
        raised.log(LOGGER, "a handler raised", kind())
    head, *rest = caplog.records
    assert head.getMessage().startswith(f"a handler raised {kind.__name__}")
    assert rest


def test_one_line_with_nothing_but_printable_characters(caplog: pytest.LogCaptureFixture) -> None:
    namespace: dict[str, Any] = {"Class": type("Bad\nERROR: name\x1b[2J", (Exception,), {})}
    source = "def handler():\n    raise Class('Doe^Jane\\nERROR: x')"
    exec(compile(source, "a\nb\x1b\udcff.py", "exec"), namespace)
    with caplog.at_level(logging.DEBUG, "pynetdicom"):
        raised.log(LOGGER, "a handler raised", through_the_library(namespace["handler"]))
    for record in caplog.records:
        assert record.getMessage().isprintable()
        assert len(record.getMessage()) <= 2200
    assert "Doe" not in caplog.records[0].getMessage()
    assert any("Doe^Jane\\nERROR: x" in text or "Doe^Jane" in text for text in caplog.messages[1:])


def test_all_of_it_at_debug_only(caplog: pytest.LogCaptureFixture) -> None:
    error = through_the_library(fail)
    with caplog.at_level(logging.INFO, "pynetdicom"):
        raised.log(LOGGER, "a handler raised", error)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]
    caplog.clear()
    with caplog.at_level(logging.DEBUG, "pynetdicom"):
        raised.log(LOGGER, "a handler raised", error)
    assert caplog.records[0].levelno == logging.ERROR
    assert {record.levelno for record in caplog.records[1:]} == {logging.DEBUG}
    assert caplog.messages[1] == "Traceback (most recent call last):"
    assert caplog.messages[-1] == "ValueError: Doe^Jane"


def test_a_handler_that_cannot_be_called_so(caplog: pytest.LogCaptureFixture) -> None:
    """No frame of the program is in the traceback, since its code never ran."""
    with caplog.at_level(logging.INFO, "pynetdicom"):
        single(C_ECHO(MessageID=1), partial(fail, 1), bound=lambda: fail)
    found = rf"the handler of the C-ECHO-RQ raised TypeError at the call of fail at {HERE}:\d+"
    assert re.fullmatch(found, caplog.messages[0])


class Handler:
    def method(self) -> None: ...

    @classmethod
    def of_class(cls) -> None: ...

    @staticmethod
    def static() -> None: ...

    def __call__(self) -> None: ...


def decorated(function: Any) -> Any:
    @functools.wraps(function)
    def wrapper() -> None:
        function()

    return wrapper


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (fail, "fail"),
        (lambda: None, "<lambda>"),
        (Handler().method, "Handler.method"),
        (Handler.of_class, "Handler.of_class"),
        (Handler.static, "Handler.static"),
        (Handler(), "Handler"),
        (functools.partial(fail), "fail"),
        (functools.partial(functools.partial(Handler().method)), "Handler.method"),
        (decorated(fail), "fail"),
        (functools.lru_cache(fail), "fail"),
    ],
)
def test_named(code: Any, name: str) -> None:
    assert re.fullmatch(rf"{re.escape(name)} at {HERE}:\d+", raised.named(code))


@pytest.mark.parametrize("code", [print, [].append, dict, MagicMock(), 5, None])
def test_named_whatever_it_is(code: Any) -> None:
    text = raised.named(code)
    assert text.isprintable()
    assert " at 0x" not in text


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (None, "None"),
        ("Doe", "a str"),
        (5, "an int"),
        (OSError(), "an OSError"),
        (Dataset(), "a Dataset"),
    ],
)
def test_kind(value: Any, text: str) -> None:
    assert raised.kind(value) == text
