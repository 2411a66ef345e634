"""What the archive is told: its configuration file, checked key by key against one table.

TOML, or the ini file that pynetdicom 3.0's qrscp took. What is not in the file has a default with
which the archive starts; what should not be there is an error that says what may be.
"""

from __future__ import annotations

import configparser
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pynetdicom.access import AccessRules, Limits, Rule
from pynetdicom.apps import access, options, tls
from pynetdicom.apps.configuring import (
    TIMEOUTS,
    Check,
    ConfigError,
    Sections,
    any_text,
    byte_count,
    check_value,
    either,
    flag,
    overridden,
    read_text,
    read_toml,
    rule,
    some_text,
    valid_title,
    whole_number,
    with_paths,
)

OPERATIONS = ("store", "find", "get", "move")


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
    may : frozenset of str or None
        What it may request, of `OPERATIONS`; None: all, where there is no ``[[access]]``.
    acse_timeout, dimse_timeout, network_timeout, connection_timeout : float or None
        Seconds, while sending to it; None for those of the archive.
    """

    ae_title: str
    address: str | None = None
    port: int = 104
    tls: bool = False
    may: frozenset[str] | None = None
    acse_timeout: float | None = None
    dimse_timeout: float | None = None
    network_timeout: float | None = None
    connection_timeout: float | None = None


@dataclass(frozen=True)
class Config(tls.Settings):
    """The configuration of an archive; see the documentation of qrscp for each of them."""

    ae_title: str = "QRSCP"
    bind_address: str = ""
    port: int = 11112
    workers: int = 1
    maximum_associations: int = 50
    maximum_object_bytes: int | None = None
    max_pdu: int = options.MAX_PDU
    window: int = 1
    acse_timeout: float = 30.0
    dimse_timeout: float = 30.0
    network_timeout: float = 30.0
    connection_timeout: float = 30.0
    unknown_peers: frozenset[str] | None = None
    instance_location: str = "instances"
    sync: bool = False
    hash_uids: bool = False
    quota: int | None = None
    reserve: int | None = None
    database_location: str = "instances.sqlite"
    worklist_directory: str | None = None
    exact_names: bool = False
    commitment_store: str | None = None
    verify_bytes: bool = False
    peers: Mapping[str, Peer] = field(default_factory=dict)
    access: tuple[Rule, ...] = ()
    maximum_unassociated: int | None = None
    maximum_unassociated_per_address: int | None = None
    maximum_associations_per_peer: int | None = None
    maximum_command_bytes: int | None = None
    maximum_query_seconds: float | None = None
    maximum_matches: int | None = None

    @property
    def names_peers(self) -> bool:
        """Whether it says of anybody what they may do."""
        return bool(self.access or self.peers) or self.unknown_peers is not None


def access_rules(config: Config) -> AccessRules:
    """Who may do what: the ``[[access]]``, then the peers, then ``unknown_peers``.

    Where there is an ``[[access]]``, a peer is no more than a move destination unless it says what
    it may do: whoever uses its title would come in with it.
    """
    rules = list(config.access)
    for peer in config.peers.values():
        may = peer.may
        if may is None and not config.access:
            may = frozenset(OPERATIONS)
        if may is not None:
            title = access.title(peer.ae_title)
            rules.append(Rule(f"[[peer]] {peer.ae_title}", calling=[title], may=_roles(may)))
    others = config.unknown_peers
    if others is None:
        others = frozenset()
        rules.append(Rule("[this machine]", networks=["loopback"]))
    limits = {name: getattr(config, key) for key, (name, _) in access.LIMITS.items()}
    return AccessRules(
        rules,
        otherwise=_roles(others),
        limits=Limits(**limits),
        unassociated=config.maximum_unassociated,
        unassociated_per_address=config.maximum_unassociated_per_address,
    )


def _roles(operations: frozenset[str]) -> list[str]:
    """The roles of those who may do that: C-ECHO is answered to everybody."""
    committed = ["commitment"] if "store" in operations else []
    return ["echo", *operations, *committed]


def _operations(value: Any) -> frozenset[str]:
    if not isinstance(value, list) or any(one not in OPERATIONS for one in value):
        raise ValueError(f"a list of some of {', '.join(OPERATIONS)}")
    return frozenset(value)


SECTIONS: Sections = {
    "archive": {
        "ae_title": ("ae_title", valid_title),
        "bind_address": ("bind_address", any_text),
        "port": ("port", whole_number(0, 65535)),
        "workers": ("workers", whole_number(1, 256)),
        "unknown_peers": ("unknown_peers", _operations),
    },
    "limits": {
        "maximum_associations": ("maximum_associations", whole_number(1)),
        "maximum_object_bytes": ("maximum_object_bytes", whole_number(1)),
        "max_pdu": ("max_pdu", whole_number(0, 0xFFFFFFFF)),
        "window": ("window", whole_number(1, options.MOST_OUTSTANDING)),
        **{name: (name, check) for name, check in access.UNASSOCIATED.items()},
        **{name: (name, check) for name, (_, check) in access.LIMITS.items()},
        **{name: (name, check) for name, check in TIMEOUTS.items()},
    },
    "storage": {
        "location": ("instance_location", some_text),
        "sync": ("sync", flag),
        "hash_uids": ("hash_uids", flag),
        "quota": ("quota", byte_count(1)),
        "reserve": ("reserve", byte_count(0)),
    },
    "database": {"location": ("database_location", some_text)},
    "worklist": {"directory": ("worklist_directory", some_text)},
    "matching": {"names": ("exact_names", either("folded", "exact"))},
    "commitment": {
        "store": ("commitment_store", some_text),
        "verify": ("verify_bytes", either("index", "bytes")),
    },
    "tls": tls.SECTION,
    "identity": tls.IDENTITY,
}

PEER: dict[str, Check] = {
    "ae_title": valid_title,
    "address": some_text,
    "port": whole_number(1, 65535),
    "tls": flag,
    "may": _operations,
    **TIMEOUTS,
}

INI: dict[str, tuple[str, Check]] = {
    # key of [DEFAULT] → (field of `Config`, check)
    "ae_title": ("ae_title", valid_title),
    "port": ("port", whole_number(0, 65535)),
    "max_pdu": ("max_pdu", whole_number(0, 0xFFFFFFFF)),
    **{name: (name, check) for name, check in TIMEOUTS.items()},
    "bind_address": ("bind_address", any_text),
    "instance_location": ("instance_location", some_text),
    "database_location": ("database_location", some_text),
    "log_identifier": ("", flag),
}

_PATHS = (
    "instance_location",
    "database_location",
    "worklist_directory",
    "commitment_store",
    *tls.PATHS,
)


def load(path: str) -> Config:
    """Read a configuration file: TOML if its name ends so, otherwise the ini format of 3.0.

    Paths in it are relative to its directory.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it is wrong.
    """
    text = read_text(path)
    config = _from_toml(path, text) if path.endswith(".toml") else _from_ini(path, text)
    return tls.checked(with_paths(config, _PATHS, path), path)


def _from_toml(path: str, text: str) -> Config:
    needs = {"tls": "a certificate"}
    values, tables = read_toml(path, text, SECTIONS, PEER, needs, access.ACCESS, access.NEEDED)
    access.make_rules(values)
    return Config(**values, peers=tls.peers_of(tables, Peer))


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
        name, check = rule(INI, key, where)
        if value == "" and check is not any_text:
            continue
        typed = value if check in (valid_title, some_text, any_text) else _typed(value)
        value = check_value(check, typed, where)
        if name:
            values[name] = value
    peers: dict[str, Peer] = {}
    for section in parser.sections():
        own = parser[section]
        keys = {key: own[key] for key in own if key not in INI or key == "port"}
        where = f"{path}: [{section}]"
        for key in keys:
            rule({"address": None, "port": None}, key, f"{where} {key}")
        if "address" not in keys or "port" not in parser._sections[section]:  # type: ignore[attr-defined]  # its own keys, without the defaults
            raise ConfigError(f"{where}: a move destination has address and port")
        title = check_value(valid_title, section, where)
        port = check_value(whole_number(1, 65535), _typed(keys["port"]), f"{where} port")
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
    return tls.checked(overridden(config, changes), "command line")
