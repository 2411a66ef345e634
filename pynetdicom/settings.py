"""Attributes that are checked when they are assigned, such as time-outs."""

from __future__ import annotations

import logging
from collections.abc import Callable
from numbers import Number
from typing import Any, Generic, Self, TypeVar, overload

LOGGER = logging.getLogger("pynetdicom.ae")

G = TypeVar("G")
S = TypeVar("S")


class Setting(Generic[G, S]):
    """An attribute whose values are checked, and brought into form, when they are assigned.

    Parameters
    ----------
    check : callable
        Called with its name and a value, gives what is kept.
    default : object
        What it is until it is assigned.
    doc : str
    """

    def __init__(self, check: Callable[[str, S], G], default: Any, doc: str) -> None:
        self._check = check
        self._default = default
        self.__doc__ = doc

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        self._field = f"_{name}"

    @overload
    def __get__(self, owner: None, kind: type) -> Self: ...
    @overload
    def __get__(self, owner: object, kind: type) -> G: ...
    def __get__(self, owner: object | None, kind: type) -> Self | G:
        if owner is None:
            return self
        value: G = owner.__dict__.get(self._field, self._default)
        return value

    def __set__(self, owner: Any, value: S) -> None:
        owner.__dict__[self._field] = self._check(self._name, value)


class Timeout(Setting[float | None, Any]):
    """Seconds, None for no limit.

    Any number will do, of whatever type; infinity is no limit. What is no number of seconds becomes
    the default, with a warning. Its owner has a method `_timeout_changed`, which is called with the
    name and the new value.
    """

    def __init__(self, name: str, default: float | None, *, takes_zero: bool = True) -> None:
        def check(name: str, value: Any) -> float | None:
            try:
                return seconds_of(value, takes_zero=takes_zero)
            except (TypeError, ValueError):
                LOGGER.warning(
                    "%s must be a number of seconds or None; it is %s now", name, default
                )
                return default

        super().__init__(check, default, f"Seconds of the `{name}`, None for no limit.")

    def __set__(self, owner: Any, value: Any) -> None:
        super().__set__(owner, value)
        owner._timeout_changed(self._name, getattr(owner, self._name))


class Timeouts:
    """Those of an application entity, and of each of its associations."""

    acse_timeout = Timeout("acse_timeout", 30)
    dimse_timeout = Timeout("dimse_timeout", 30)
    network_timeout = Timeout("network_timeout", 60)
    connection_timeout = Timeout("connection_timeout", None, takes_zero=False)


def seconds_of(value: Any, *, takes_zero: bool = True) -> float | None:
    """A number that can be reckoned with, as it is given if it can be; None for ever.

    Raises
    ------
    TypeError, ValueError
        It is no number of seconds.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Number):
        raise ValueError("no number")
    try:
        number = float(value)  # type: ignore[arg-type]  # a complex number has none
    except OverflowError:  # an int or a fraction of more than 308 digits
        number = float("inf") if value > 0 else -1.0  # type: ignore[operator]  # it is real
    if not number >= 0 or (number == 0 and not takes_zero):  # NaN is neither
        raise ValueError("less than nothing")
    if number == float("inf"):
        return None
    return value if isinstance(value, (int, float)) else number


def window_of(name: str, value: Any) -> tuple[int, int]:
    """How many operations are invoked, and performed, at a time; 0 for any number.

    Raises
    ------
    TypeError, ValueError
        It is no such pair.
    """
    invoked, performed = value
    for number in (invoked, performed):
        if isinstance(number, bool) or not isinstance(number, int):
            raise TypeError(f"'{name}' must be (int, int)")
        if not 0 <= number <= 0xFFFF:
            raise ValueError(f"'{name}' must be of 0 to 65535")
    return invoked, performed
