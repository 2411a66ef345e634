"""What the archive is told: its configuration file, checked key by key against one table.

TOML, or the ini file that pynetdicom 3.0's qrscp took. What is not in the file has a default with
which the archive starts; what should not be there is an error that says what may be.
"""

from __future__ import annotations

import configparser
import os
import tomllib
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, fields, replace
from typing import Any

from pynetdicom.apps import options

_SHOWN = 200
"""Characters of a wrong value that are shown."""

OPERATIONS = ("store", "find", "get", "move")


class ConfigError(Exception):
    """A configuration that cannot be used; the message names file, key and what is allowed."""


@dataclass(frozen=True)
class Peer:
    """An application entity that is known.

    Attributes
    ----------
    ae_title : str
    address : str or None
        Where a C-MOVE sends to; None: it is no move destination.
    port : int
    tls : bool
        Whether it is sent to over TLS.
    may : frozenset of str
        What it may request, of `OPERATIONS`.
    acse_timeout, dimse_timeout, network_timeout, connection_timeout : float or None
        Seconds, while sending to it; None for those of the archive.
    """

    ae_title: str
    address: str | None = None
    port: int = 104
    tls: bool = False
    may: frozenset[str] = frozenset(OPERATIONS)
    acse_timeout: float | None = None
    dimse_timeout: float | None = None
    network_timeout: float | None = None
    connection_timeout: float | None = None


@dataclass(frozen=True)
class Config:
    """The configuration of an archive; see the documentation of qrscp for each of them."""

    ae_title: str = "QRSCP"
    bind_address: str = ""
    port: int = 11112
    workers: int = 1
    maximum_associations: int = 50
    maximum_object_bytes: int | None = None
    max_pdu: int = options.MAX_PDU
    acse_timeout: float = 30.0
    dimse_timeout: float = 30.0
    network_timeout: float = 30.0
    connection_timeout: float = 30.0
    unknown_peers: frozenset[str] = frozenset(OPERATIONS)
    instance_location: str = "instances"
    sync: bool = False
    hash_uids: bool = False
    database_location: str = "instances.sqlite"
    worklist_directory: str | None = None
    exact_names: bool = False
    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_authorities: str | None = None
    peers: Mapping[str, Peer] = field(default_factory=dict)

    def may(self, ae_title: str, operation: str) -> bool:
        """Whether a peer may request an operation."""
        peer = self.peers.get(ae_title.strip())
        return operation in (self.unknown_peers if peer is None else peer.may)


Check = Callable[[Any], Any]
"""Gives the value as it is used; raises ValueError, whose text is what is allowed."""


def _whole(lowest: int, highest: int | None = None) -> Check:
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


def _seconds(value: Any) -> float:
    if isinstance(value, bool) or not isinstance(value, (int, float)) or not 0 <= value < 1e9:
        raise ValueError("seconds, 0 or more")
    return float(value)


def _flag(value: Any) -> bool:
    if not isinstance(value, bool):
        raise ValueError("true or false")
    return value


def _text(value: Any) -> str:
    if not isinstance(value, str) or not value.strip() or "\0" in value:
        raise ValueError("a text that is not empty")
    return value


def _any_text(value: Any) -> str:
    if not isinstance(value, str) or "\0" in value:
        raise ValueError("a text")
    return value


def _title(value: Any) -> str:
    try:
        return options.ae_title(value)
    except Exception:
        raise ValueError("an AE title: 1 to 16 ASCII characters, no backslash") from None


def _operations(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or any(one not in OPERATIONS for one in value):
        raise ValueError(f"a list of some of {', '.join(OPERATIONS)}")
    return frozenset(value)


def _names(value: Any) -> bool:
    if value not in ("folded", "exact"):
        raise ValueError("folded or exact")
    return bool(value == "exact")


TIMEOUTS: dict[str, Check] = {
    "acse_timeout": _seconds,
    "dimse_timeout": _seconds,
    "network_timeout": _seconds,
    "connection_timeout": _seconds,
}

SECTIONS: dict[str, dict[str, tuple[str, Check]]] = {
    # section → key → (field of `Config`, check)
    "archive": {
        "ae_title": ("ae_title", _title),
        "bind_address": ("bind_address", _any_text),
        "port": ("port", _whole(0, 65535)),
        "workers": ("workers", _whole(1, 256)),
        "unknown_peers": ("unknown_peers", _operations),
    },
    "limits": {
        "maximum_associations": ("maximum_associations", _whole(1)),
        "maximum_object_bytes": ("maximum_object_bytes", _whole(1)),
        "max_pdu": ("max_pdu", _whole(0, 0xFFFFFFFF)),
        **{name: (name, check) for name, check in TIMEOUTS.items()},
    },
    "storage": {
        "location": ("instance_location", _text),
        "sync": ("sync", _flag),
        "hash_uids": ("hash_uids", _flag),
    },
    "database": {"location": ("database_location", _text)},
    "worklist": {"directory": ("worklist_directory", _text)},
    "matching": {"names": ("exact_names", _names)},
    "tls": {
        "certificate": ("tls_certificate", _text),
        "key": ("tls_key", _text),
        "authorities": ("tls_authorities", _text),
    },
}

PEER: dict[str, Check] = {
    "ae_title": _title,
    "address": _text,
    "port": _whole(1, 65535),
    "tls": _flag,
    "may": _operations,
    **TIMEOUTS,
}

INI: dict[str, tuple[str, Check]] = {
    # key of [DEFAULT] → (field of `Config`, check)
    "ae_title": ("ae_title", _title),
    "port": ("port", _whole(0, 65535)),
    "max_pdu": ("max_pdu", _whole(0, 0xFFFFFFFF)),
    **{name: (name, check) for name, check in TIMEOUTS.items()},
    "bind_address": ("bind_address", _any_text),
    "instance_location": ("instance_location", _text),
    "database_location": ("database_location", _text),
    "log_identifier": ("", _flag),
}

_PATHS = (
    "instance_location",
    "database_location",
    "worklist_directory",
    "tls_certificate",
    "tls_key",
    "tls_authorities",
)


def load(path: str) -> Config:
    """Read a configuration file: TOML if its name ends so, otherwise the ini format of 3.0.

    Paths in it are relative to its directory.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it is wrong.
    """
    try:
        with open(path, encoding="utf-8-sig") as file:
            text = file.read()
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: {getattr(error, 'strerror', None) or error}") from error
    config = _from_toml(path, text) if path.endswith(".toml") else _from_ini(path, text)
    directory = os.path.dirname(os.path.abspath(path))
    changes: dict[str, Any] = {}
    for name in _PATHS:
        value = getattr(config, name)
        if value is not None and "://" not in value:
            changes[name] = os.path.normpath(os.path.join(directory, value))
    return checked(replace(config, **changes), path)


def checked(config: Config, source: str) -> Config:
    """Check what depends on several keys.

    Raises
    ------
    ConfigError
        They do not go together.
    """
    if config.tls_key is not None and config.tls_certificate is None:
        raise ConfigError(f"{source}: [tls] key: needs a certificate too")
    if config.tls_authorities is not None and config.tls_certificate is None:
        raise ConfigError(
            f"{source}: [tls] authorities: needs a certificate too: without one, the archive would"
            " listen without TLS, and let everybody in"
        )
    return config


def _from_toml(path: str, text: str) -> Config:
    try:
        document = tomllib.loads(text)
    except RecursionError as error:
        raise ConfigError(f"{path}: too deeply nested") from error
    except ValueError as error:  # also what Python takes for no number
        raise ConfigError(f"{path}: {error}") from error
    peers = document.pop("peer", [])
    values: dict[str, Any] = {}
    for section, table in document.items():
        if section in SECTIONS and not isinstance(table, dict):
            raise ConfigError(f"{path}: {section}: is a section, [{section}], and no key")
        if section not in SECTIONS:
            raise ConfigError(
                f"{path}: [{section}]: there is no such section; there are"
                f" {', '.join(SECTIONS)} and [[peer]]"
            )
        for key, value in table.items():
            where = f"{path}: [{section}] {key}"
            name, check = _rule(SECTIONS[section], key, where)
            values[name] = _checked(check, value, where)
    if document.get("tls") == {}:
        raise ConfigError(f"{path}: [tls]: needs a certificate")
    return Config(**values, peers=_peers(path, peers))


def _rule(rules: Mapping[str, Any], key: str, where: str) -> Any:
    if key not in rules:
        raise ConfigError(f"{where}: there is no such key; there are {', '.join(rules)}")
    return rules[key]


def _checked(check: Check, value: Any, where: str) -> Any:
    try:
        return check(value)
    except ValueError as error:
        shown = repr(value)
        shown = shown if len(shown) <= _SHOWN else f"{shown[:_SHOWN]}…"
        raise ConfigError(f"{where}: {shown} is not {error}") from None


def _peers(path: str, tables: Any) -> dict[str, Peer]:
    if not isinstance(tables, list) or not all(isinstance(table, dict) for table in tables):
        raise ConfigError(f"{path}: each peer has a section [[peer]]")
    peers: dict[str, Peer] = {}
    for number, table in enumerate(tables, 1):
        where = f"{path}: [[peer]] number {number}"
        values = {}
        for key, value in table.items():
            check = _rule(PEER, key, f"{where} {key}")
            values[key] = _checked(check, value, f"{where} {key}")
        if "ae_title" not in values:
            raise ConfigError(f"{where}: ae_title is missing")
        peer = Peer(**values)
        if peer.tls and peer.address is None:
            raise ConfigError(f"{where} tls: needs an address too")
        if peer.ae_title in peers:
            raise ConfigError(f"{where} ae_title: {peer.ae_title!r} is there already")
        peers[peer.ae_title] = peer
    return peers


def _from_ini(path: str, text: str) -> Config:
    parser = configparser.ConfigParser(interpolation=None)
    try:
        parser.read_string(text)
    except configparser.Error as error:
        line = str(error).splitlines()[0]
        raise ConfigError(f"{path}: {line} (a TOML file has a name that ends in .toml)") from error
    values: dict[str, Any] = {}
    for key, value in parser.defaults().items():
        where = f"{path}: [DEFAULT] {key}"
        name, check = _rule(INI, key, where)
        if value == "" and check is not _any_text:
            continue
        typed = value if check in (_title, _text, _any_text) else _typed(value)
        checked_value = _checked(check, typed, where)
        if name:
            values[name] = checked_value
    peers: dict[str, Peer] = {}
    for section in parser.sections():
        own = parser[section]
        keys = {key: own[key] for key in own if key not in INI or key == "port"}
        where = f"{path}: [{section}]"
        for key in keys:
            _rule({"address": None, "port": None}, key, f"{where} {key}")
        if "address" not in keys or "port" not in parser._sections[section]:  # type: ignore[attr-defined]  # its own keys, without the defaults
            raise ConfigError(f"{where}: a move destination has address and port")
        title = _checked(_title, section, where)
        port = _checked(_whole(1, 65535), _typed(keys["port"]), f"{where} port")
        peers[title] = Peer(title, keys["address"], port)
    return Config(**values, peers=peers)


def _typed(value: str) -> Any:
    """A value of an ini file, where all are texts, as what it looks like."""
    lowered = value.lower()
    if lowered in ("true", "yes", "on", "false", "no", "off"):
        return lowered in ("true", "yes", "on")
    for kind in (int, float):
        try:
            return kind(value)
        except ValueError:
            continue
    return value


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """What the command line says, which comes before the file."""
    known = {one.name for one in fields(Config)}
    given = {n: value for n, value in changes.items() if n in known and value is not None}
    return checked(replace(config, **given), "command line")
