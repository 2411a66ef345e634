"""What an SCP for tests is told to do: rules, each for so many of the requests that it is for."""

from __future__ import annotations

import threading
from typing import Any, Generic, NamedTuple, TypeVar

T = TypeVar("T")


class Moment(NamedTuple):
    """Where in an association the SCP is.

    Attributes
    ----------
    place : str
        One of `PLACES`.
    operation : str
        The request that came, such as ``"C-STORE"``; empty where there is none.
    """

    place: str
    operation: str = ""


ACCEPTING, RECEIVING, ANSWERING, RELEASING = PLACES = (
    "accepting",
    "receiving",
    "answering",
    "releasing",
)


class Rule(Generic[T]):
    """Something to do at some place.

    Parameters
    ----------
    what : object
    place : str
    operations : tuple of str
        Which requests it is for; none: all.
    skip : int
        How many it lets pass first.
    times : int or None
        How many it is for; None: all from then on.
    """

    def __init__(
        self,
        what: T,
        place: str,
        operations: tuple[str, ...] = (),
        skip: int = 0,
        times: int | None = None,
    ) -> None:
        if skip < 0 or (times is not None and times < 1):
            raise ValueError("skip is 0 or more, times 1 or more")
        self.what = what
        self.place = place
        self.operations = operations
        self.skip = skip
        self.times = times

    def takes(self, moment: Moment) -> bool:
        """Whether it is for this moment; counts those that it is asked for."""
        if moment.place != self.place:
            return False
        if self.operations and moment.operation not in self.operations:
            return False
        if self.skip:
            self.skip -= 1
            return False
        if self.times is None:
            return True
        self.times -= 1
        return self.times >= 0


class Script(Generic[T]):
    """Rules, of which the newest that is for a moment is obeyed. Any thread may use it."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._rules: list[Rule[T]] = []

    def add(self, rule: Rule[T]) -> None:
        """Add a rule, before the others."""
        with self._lock:
            self._rules.insert(0, rule)

    def clear(self) -> None:
        """Forget them all."""
        with self._lock:
            self._rules.clear()

    def take(self, place: str, operation: str = "") -> T | None:
        """Give what there is to do; None if there is nothing."""
        moment = Moment(place, operation)
        with self._lock:
            for rule in self._rules:
                if rule.takes(moment):
                    return rule.what
        return None


def operations(to: str | Any | None) -> tuple[str, ...]:
    """Give names of operations, or refuse what is none."""
    from pynetdicom.testing.pdus import OPERATION_NAMES

    names = () if to is None else (to,) if isinstance(to, str) else tuple(to)
    if unknown := set(names) - OPERATION_NAMES.keys():
        known = ", ".join(OPERATION_NAMES)
        raise ValueError(f"{', '.join(sorted(unknown))}: no operation; they are {known}")
    return names
