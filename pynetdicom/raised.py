"""What the log says of an exception that a program's code has raised, and of that code.

Where and what kind at ERROR, in one line. What the exception itself says may be about the patient:
that is for DEBUG.
"""

from __future__ import annotations

import logging
import traceback
from collections.abc import Iterator
from functools import partial
from types import CodeType, TracebackType
from typing import Any

from pynetdicom._logging import printable

_OURS = ("pynetdicom", "pynetdicom3")

_FRAMES = 5
"""Frames that are shown from either end of a long chain, such as that of a recursion."""
_CAUSES = 3
_LONGEST_NAME = 200
_LONGEST = 2000


def log(logger: logging.Logger, what: str, error: BaseException, code: Any = None) -> None:
    """Log what kind of exception was raised and where, at ERROR; at DEBUG all of it.

    Parameters
    ----------
    what : str
        What it happened to, such as ``"a handler of EVT_ACCEPTED raised"``.
    code : callable, optional
        What was called, for an exception that was raised before it ran.
    """
    logger.error("%s %s", what, describe(error, code))
    show(logger, error)


def show(logger: logging.Logger, error: BaseException) -> None:
    """Log all of an exception, a record a line, at DEBUG."""
    if logger.isEnabledFor(logging.DEBUG):
        try:
            text = "".join(traceback.format_exception(error))
        except Exception as problem:  # its class may be anything
            text = f"the exception cannot be shown: {_name(type(problem))}"
        for line in text.rstrip("\n").split("\n"):
            logger.debug("%s", printable(line))


def describe(error: BaseException, code: Any = None) -> str:
    """Return the kind of an exception, the way from the program's own code to where it was raised.

    Without what the exception says. In one line, whatever it is.
    """
    try:
        text = "; caused by ".join(_causes(error, code))
    except Exception:  # the exception's class may be anything
        text = _name(type(error))
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}..."


def named(code: Any) -> str:
    """Return what a message calls a callable: its name, and where it is."""
    try:
        name, where = _code_of(code)
    except Exception:  # it has none, or its class may be anything
        return f"a {_name(type(code))}"
    return f"{_escaped(name)} at {_escaped(where.co_filename)}:{where.co_firstlineno}"


def kind(value: Any) -> str:
    """Return what a message calls a value that it must not show."""
    if value is None:
        return "None"
    name = _name(type(value))
    return f"{'an' if name[:1].lower() in 'aeio' else 'a'} {name}"


def _code_of(code: Any) -> tuple[str, CodeType]:
    """The name and the code of a callable, through whatever wraps it."""
    for _ in range(10):
        if isinstance(code, partial):
            code = code.func
        else:
            code = getattr(code, "__wrapped__", None) or getattr(code, "__func__", code)
    where = getattr(code, "__code__", None)
    if isinstance(where, CodeType):
        return str(getattr(code, "__qualname__", where.co_name)), where
    call = getattr(type(code), "__call__", None)  # noqa: B004  # what it is, not whether
    where = getattr(call, "__code__", None)
    if not isinstance(where, CodeType):
        raise TypeError("it is not in Python")
    return type(code).__name__, where


def _causes(error: BaseException, code: Any = None) -> Iterator[str]:
    """The exception, and those that led to it."""
    seen: set[int] = set()
    cause: BaseException | None = error
    while cause is not None and id(cause) not in seen and len(seen) <= _CAUSES:
        seen.add(id(cause))
        frames, has_program = _chain(cause.__traceback__)
        if not has_program:
            if cause is not error and cause is not error.__cause__:
                return  # it is an accident that the library was handling something
            if code is not None:
                frames = [f"the call of {named(code)}"]
        yield _one(cause, frames)
        known = cause.__cause__
        if known is None and not cause.__suppress_context__:
            known = cause.__context__ if isinstance(cause.__context__, Exception) else None
        cause = known  # a GeneratorExit is no cause


def _one(error: BaseException, frames: list[str]) -> str:
    text = _name(type(error))
    if isinstance(error, SyntaxError) and isinstance(error.filename, str):
        text += f" ({_escaped(error.filename)}:{error.lineno or 0})"
    if isinstance(error, BaseExceptionGroup):
        text += f" of {len(error.exceptions)} ({', '.join(_members(error))})"
    return f"{text} at {' > '.join(frames)}" if frames else text


def _members(group: BaseExceptionGroup[Any]) -> Iterator[str]:
    """The first exceptions of a group, and where they were raised."""
    for error in group.exceptions[:_CAUSES]:
        if isinstance(error, BaseExceptionGroup):
            yield f"{_name(type(error))} of {len(error.exceptions)}"
        else:
            frames, _ = _chain(error.__traceback__)
            yield _one(error, frames[-1:])
    if len(group.exceptions) > _CAUSES:
        yield "..."


def _chain(trace: TracebackType | None) -> tuple[list[str], bool]:
    """The way from the program's first frame to the innermost one, and whether it has one.

    Where there is none it is the way through the library.
    """
    frames: list[str] = []
    has_program = False
    for frame, line in traceback.walk_tb(trace):
        code = frame.f_code
        if not has_program and not _is_ours(frame.f_globals.get("__name__")):
            has_program = True
            frames.clear()
        if not code.co_filename.startswith("<frozen "):  # of the import system
            file = _escaped(code.co_filename)
            frames.append(f"{file}:{line} in {_escaped(code.co_name)}")
    if len(frames) > 2 * _FRAMES:
        left_out = f"... {len(frames) - 2 * _FRAMES} more ..."
        frames = [*frames[:_FRAMES], left_out, *frames[-_FRAMES:]]
    return frames, has_program


def _is_ours(module: Any) -> bool:
    package, *rooms = str(module).split(".")
    return package in _OURS and rooms[:1] != ["apps"]  # their handlers are as a program's


def _name(cls: type) -> str:
    return _escaped(cls.__name__)


def _escaped(name: str) -> str:
    """A name of the program's own as part of one line; the end of a long one."""
    shown = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in name)
    return shown if len(shown) <= _LONGEST_NAME else f"...{shown[-_LONGEST_NAME:]}"
