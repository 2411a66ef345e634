"""Patterns of ``*`` and ``?`` (PS3.4 C.2.2.2.4), matched in little time, whatever they are.

In: a pattern and a text. Out: whether they match.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache
from typing import NamedTuple

Step = Callable[..., None]
"""``step(cost=1)`` is called between small pieces of work; it may raise what ends them."""


def no_step(cost: int = 1) -> None:
    """Go on."""


_COMPARED_AT_ONCE = 1 << 16
"""Characters, between two steps in a long text."""


def has_wildcard(key: str) -> bool:
    """Whether a key of a VR with wildcards has one."""
    return "*" in key or "?" in key


def in_order(pattern: str) -> str:
    """A pattern that matches the same, in which no ``*`` is followed by a ``*`` or a ``?``."""
    return re.sub(r"\*[*?]+", lambda run: "?" * run[0].count("?") + "*", pattern)


def glob(pattern: str, text: str, step: Step = no_step) -> bool:
    """Whether a text matches a pattern of ``*`` and ``?``.

    What stands between stars is looked for one after the other, each once and never again before
    where the last one was found; in a long text with a `step` now and then.
    """
    first, *rest = _parts_of(pattern)
    if not rest:
        return len(first.text) == len(text) and first.find(text, 0, len(text)) == 0
    last = rest.pop()
    start, end = len(first.text), len(text) - len(last.text)
    if start > end or first.find(text, 0, start) != 0 or last.find(text, end, len(text)) != end:
        return False
    for part in rest:
        found = part.search(text, start, end, step)
        if found < 0:
            return False
        start = found + len(part.text)
    return True


class _Part(NamedTuple):
    """What stands between two stars of a pattern."""

    text: str
    expression: re.Pattern[str] | None
    """Where it has a ``?``."""

    def find(self, text: str, start: int, end: int) -> int:
        """Where it first is in a part of a text; -1 if it is not."""
        if self.expression is None:
            return text.find(self.text, start, end)
        match = self.expression.search(text, start, end)
        return -1 if match is None else match.start()

    def search(self, text: str, start: int, end: int, step: Step) -> int:
        """As `find`, at some of the places at a time."""
        size = len(self.text)
        places = _COMPARED_AT_ONCE // (1 if self.expression is None else size) or 1
        while end - start - size >= places:
            found = self.find(text, start, start + places - 1 + size)
            if found >= 0:
                return found
            start += places
            step()
        return self.find(text, start, end)


@lru_cache(512)
def _parts_of(pattern: str) -> tuple[_Part, ...]:
    return tuple(
        _Part(part, _expression(part) if "?" in part else None)
        for part in in_order(pattern).split("*")
    )


def _expression(part: str) -> re.Pattern[str]:
    return re.compile("".join("." if one == "?" else re.escape(one) for one in part), re.DOTALL)
