"""The time-outs of an application entity and of an association, as attributes."""

from __future__ import annotations

import logging
from numbers import Number
from typing import Any

LOGGER = logging.getLogger("pynetdicom.ae")


def timeout(name: str, otherwise: float | None, *, takes_zero: bool = True) -> Any:
    """A property for seconds, None for no limit.

    Any number will do, of whatever type; infinity is no limit. What is no number of seconds becomes
    `otherwise`, with a warning. Its owner has a method `_timeout_changed`, which is called with the
    name and the new value.
    """
    field = f"_{name}"

    def get(self: Any) -> float | None:
        value: float | None = self.__dict__.get(field, otherwise)
        return value

    def set_(self: Any, value: Any) -> None:
        try:
            seconds = seconds_of(value, takes_zero=takes_zero)
        except ValueError:
            LOGGER.warning("%s must be a number of seconds or None; it is %s now", name, otherwise)
            seconds = otherwise
        self.__dict__[field] = seconds
        self._timeout_changed(name, seconds)

    return property(get, set_, doc=f"Seconds of the `{name}`, None for no limit.")


def seconds_of(value: Any, *, takes_zero: bool = True) -> float | None:
    """A number that can be reckoned with, as it is given if it can be; None for ever.

    Raises
    ------
    ValueError
        It is no number of seconds.
    """
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, Number):
        raise ValueError("no number")
    try:
        number = float(value)  # type: ignore[arg-type]  # a complex number has none
    except TypeError as error:
        raise ValueError("no real number") from error
    except OverflowError:  # an int or a fraction of more than 308 digits
        number = float("inf") if value > 0 else -1.0  # type: ignore[operator]  # it is real
    if not number >= 0 or (number == 0 and not takes_zero):  # NaN is neither
        raise ValueError("less than nothing")
    if number == float("inf"):
        return None
    return value if isinstance(value, (int, float)) else number
