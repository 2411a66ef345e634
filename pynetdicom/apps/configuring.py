"""Configuration files of the SCPs, TOML that is checked key by key against a table.

What is not in the file has a default with which the app starts; what should not be there is an
error that says what may be.
"""

from __future__ import annotations

import os
import re
import tomllib
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields, replace
from fractions import Fraction
from types import MappingProxyType
from typing import Any, TypeVar

from pynetdicom.apps import options

_SHOWN = 200
"""Characters of a wrong value that are shown."""

Configured = TypeVar("Configured")
"""A dataclass with the values of a file."""


class ConfigError(Exception):
    """A configuration that cannot be used; the message names file, key and what is allowed."""


Check = Callable[[Any], Any]
"""Gives the value as it is used; raises ValueError, whose text is what is allowed."""


def whole_number(lowest: int, highest: int | None = None) -> Check:
    """A whole number in a range."""

    def check(value: Any) -> int:
        if isinstance(value, bool) or not isinstance(value, int):
            raise ValueError(allowed)
        if value < lowest or (highest is not None and value > highest):
            raise ValueError(allowed)
        return value

    allowed = f"a whole number, {lowest} or more"
    if highest is not None:
        allowed = f"a whole number from {lowest} to {highest}"
    return check


_UNITS = {
    f"{letter}{binary}B".upper(): (1024 if binary else 1000) ** power
    for power, letter in enumerate(("", "K", "M", "G", "T", "P"))
    for binary in (("", "i") if letter else ("",))
}


def byte_count(lowest: int) -> Check:
    """A number of bytes, also as a text with a unit, such as ``"500 GB"``."""

    def check(value: Any) -> int:
        if isinstance(value, str):
            found = re.fullmatch(
                r"([0-9]{1,18}(?:\.[0-9]{1,18})?) ?([KMGTP]?I?B)", value.strip().upper()
            )
            if found is None or found[2] not in _UNITS:
                raise ValueError(allowed)
            value = int(Fraction(found[1]) * _UNITS[found[2]])
        if isinstance(value, bool) or not isinstance(value, int) or value < lowest:
            raise ValueError(allowed)
        return value

    allowed = f'a number of bytes, {lowest} or more, such as 1000000 or "500 GB" or "2 TiB"'
    return check


def duration(value: Any) -> float:
    """Seconds."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= 0:
        raise ValueError("seconds, 0 or more")
    try:
        return float(value)
    except OverflowError:
        return float("inf")


def seconds(value: Any) -> float:
    """A time that something may take."""
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not value > 0:
        raise ValueError("seconds, more than 0")
    return duration(value)


def flag(value: Any) -> bool:
    """True or false."""
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def either(off: str, on: str) -> Check:
    """A check of one of two words; whether it is the second."""

    def check(value: Any) -> bool:
        if value not in (off, on):
            raise ValueError(f"{off} or {on}")
        return bool(value == on)

    return check


def some_text(value: Any) -> str:
    """A text that is not empty."""
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("a text that is not empty")
    return value


def any_text(value: Any) -> str:
    """A text."""
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("a text")
    return value


def valid_title(value: Any) -> str:
    """An AE title."""
    try:
        return options.ae_title(value)
    except Exception:
        raise ValueError("an AE title: 1 to 16 ASCII characters, no backslash") from None


TIMEOUTS: dict[str, Check] = {
    "acse_timeout": duration,
    "dimse_timeout": duration,
    "network_timeout": duration,
    "connection_timeout": duration,
}


Sections = Mapping[str, Mapping[str, tuple[str, Check]]]
"""Section → key → the field of the configuration, and the check."""


def read_text(path: str) -> str:
    """Read a configuration file.

    Raises
    ------
    ConfigError
        It cannot be read.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            return file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error


def read_toml(
    path: str,
    text: str,
    sections: Sections,
    peer: Mapping[str, Check] | None,
    needs: Mapping[str, str] = MappingProxyType({}),
    access: Mapping[str, Check] | None = None,
    needed: Iterable[str] = (),
) -> tuple[dict[str, Any], list[tuple[str, dict[str, Any]]]]:
    """Check what a file says.

    Parameters
    ----------
    path, text : str
        Where it is from, and what is in it.
    sections : Mapping
    peer : Mapping or None
        Key of a ``[[peer]]`` → check; None where there may be no such.
    needs : Mapping, optional
        Section that is not to be empty → what it needs.
    access : Mapping, optional
        Key of an ``[[access]]`` → check, where there may be such; and those that are needed.

    Returns
    -------
    tuple
        Values by field, and of each peer where it is, for messages, and its values by key. The same
        of each ``[[access]]`` is under ``"access"`` of the values, where there may be such.

    Raises
    ------
    ConfigError
        Something is wrong.
    """
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: too deeply nested") from error
    except ValueError as error:  # also what Python takes for no number
        raise ConfigError(f"{path}: {_syntax(text, error)}") from error
    lists = [f"[[{n}]]" for n, c in (("peer", peer), ("access", access)) if c is not None]
    peers: list[tuple[str, dict[str, Any]]] = []
    values: dict[str, Any] = {}
    if peer is not None:
        peers = _tables(path, "peer", document.pop("peer", []), peer, ["ae_title"])
    if access is not None:
        values["access"] = _tables(path, "access", document.pop("access", []), access, needed)
    for section, table in document.items():
        if section in sections and not isinstance(table, dict):
            keys = ", ".join(sections[section])
            raise ConfigError(
                f"{path}: {section}: is a section, [{section}], and no key; its keys are {keys}"
            )
        if section not in sections:
            raise ConfigError(
                f"{path}: [{section}]: there is no such section; there are"
                f" {', '.join([*sections, *lists[:-1]])} and {lists[-1]}"
            )
        if not table and section in needs:
            raise ConfigError(f"{path}: [{section}]: needs {needs[section]}")
        for key, value in table.items():
            where = f"{path}: [{section}] {key}"
            name, check = rule(sections[section], key, where)
            values[name] = check_value(check, value, where)
    return values, peers


_PLACE = re.compile(r"(.*) \(at (?:line (\d+), column \d+|end of document)\)", re.DOTALL)
_TWICE = re.compile("overwrite|twice|mutate|redefine", re.IGNORECASE)
_NOT_EMPTY = re.compile(r".*\S", re.DOTALL)
_A_KEY = re.compile(r"\s*\[|[^=]*\w[^=]*=")
_A_LINE = 'a line is [section], [[section]], or key = value, such as "text", 1, true or ["list"]'
_KEY = 60
"""Characters of a key that are shown."""


def _syntax(text: str, error: ValueError) -> str:
    """What is wrong with a text that is no TOML: the line, the key, and what is allowed."""
    found = _PLACE.fullmatch(str(error))
    if found is None:  # a number that Python takes for none
        return f"{error}: {_A_LINE}"
    is_twice = _TWICE.search(found[1])
    lines = text.split("\n")[: int(found[2] or 0) or None]
    # A value of several lines begins with its key; a line that is no TOML may have none.
    begins = _A_KEY if is_twice else _NOT_EMPTY
    about = next(filter(begins.match, reversed(lines)), "")
    key = _shown(about.partition("=")[0].strip(), _KEY)
    allowed = "each section and key is there once" if is_twice else _A_LINE
    return f"line {len(lines)}, {key}: {found[1]}: {allowed}"


def _shown(text: str, most: int = _SHOWN) -> str:
    return text if len(text) <= most else f"{text[:most]}…"


def _tables(
    path: str, name: str, tables: Any, checks: Mapping[str, Check], needed: Iterable[str]
) -> list[tuple[str, dict[str, Any]]]:
    """Check sections of which there may be several; the first key that is needed is their name."""
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{path}: {name}: each {name} has a section [[{name}]]")
    found: list[tuple[str, dict[str, Any]]] = []
    first, *_ = needed
    names: set[str] = set()
    for number, table in enumerate(tables, 1):
        where = f"{path}: [[{name}]] number {number}"
        values = {}
        for key, value in table.items():
            check = rule(checks, key, f"{where} {key}")
            values[key] = check_value(check, value, f"{where} {key}")
        for key in needed:
            if key not in values:
                raise ConfigError(f"{where}: {key} is missing: {allowed_by(checks[key])}")
        if values[first] in names:
            what = f"{values[first]!r} is there already; each has one of its own"
            raise ConfigError(f"{where} {first}: {what}")
        names.add(values[first])
        found.append((where, values))
    return found


def allowed_by(check: Check) -> str:
    """What a check allows."""
    try:
        check(None)  # there is no null in TOML
    except ValueError as error:
        return str(error)
    return "any value"


def rule(rules: Mapping[str, Any], key: str, where: str) -> Any:
    """What a table has for a key."""
    if key not in rules:
        raise ConfigError(f"{where}: there is no such key; there are {', '.join(rules)}")
    return rules[key]


def check_value(check: Check, value: Any, where: str) -> Any:
    """A value as it is used; ConfigError if it is wrong."""
    try:
        return check(value)
    except ValueError as error:
        raise ConfigError(f"{where}: {_shown(repr(value))} is not {error}") from None


def with_paths(config: Configured, names: Iterable[str], path: str) -> Configured:
    """Have the paths of a configuration be relative to the directory of its file."""
    directory = os.path.dirname(os.path.abspath(path))
    changes: dict[str, Any] = {}
    for name in names:
        value = getattr(config, name)
        if value is not None and "://" not in value:
            changes[name] = os.path.normpath(os.path.join(directory, value))
    return replace(config, **changes)  # type: ignore[type-var]  # a dataclass


def overridden(config: Configured, changes: Mapping[str, Any]) -> Configured:
    """What the command line says, which comes before the file."""
    known = {one.name for one in fields(config)}  # type: ignore[arg-type]  # a dataclass
    given = {n: value for n, value in changes.items() if n in known and value is not None}
    return replace(config, **given)  # type: ignore[type-var]  # a dataclass
