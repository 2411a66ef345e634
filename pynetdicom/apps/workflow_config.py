"""What the server of the workflows is told: its configuration file, against one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pynetdicom.access import AccessRules, Rule
from pynetdicom.apps import access, options, tls
from pynetdicom.apps.configuring import (
    TIMEOUTS,
    Check,
    ConfigError,
    Sections,
    any_text,
    duration,
    either,
    flag,
    overridden,
    read_text,
    read_toml,
    some_text,
    valid_title,
    whole_number,
    with_paths,
)

__all__ = ["PEER", "SECTIONS", "Config", "ConfigError", "Peer", "load", "override"]


@dataclass(frozen=True)
class Peer:
    """An application entity that is known.

    Attributes
    ----------
    ae_title : str
    address : str or None
        Where results, notifications and events for it are sent to; None: only on associations that
        it has made.
    port : int
    tls : bool
        Whether they are sent over TLS.
    """

    ae_title: str
    address: str | None = None
    port: int = 104
    tls: bool = False


@dataclass(frozen=True)
class Config(tls.Settings):
    """The configuration; see the documentation of workflowscp for each of them."""

    ae_title: str = "WORKFLOWSCP"
    bind_address: str = ""
    port: int = 11113
    known_peers_only: bool = False
    store: str = "workflows.sqlite"
    maximum_associations: int = 50
    max_pdu: int = options.MAX_PDU
    acse_timeout: float = 30.0
    dimse_timeout: float = 30.0
    network_timeout: float = 30.0
    connection_timeout: float = 30.0
    shutdown_timeout: float = 10.0
    keep_days: int = 365
    mpps: bool = True
    notify: tuple[str, ...] = ()
    availability: bool = True
    worklist: str | None = None
    removed_by: tuple[str, ...] = ("COMPLETED",)
    exact_names: bool = False
    ups: bool = True
    deletion_locks: bool = True
    watchers: tuple[str, ...] = ()
    worklist_label: str = "WORKLIST"
    objects: str | None = None
    verify_bytes: bool = False
    retrieve_ae_title: str | None = None
    peers: Mapping[str, Peer] = field(default_factory=dict)
    access: tuple[Rule, ...] = ()


FINAL = ("COMPLETED", "DISCONTINUED")
"""The states of a performed procedure step that may remove an item of the worklist."""


_TITLES = "a list of AE titles: 1 to 16 ASCII characters, no backslash"


def _titles(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list):
        raise ValueError(_TITLES)
    try:
        return tuple(map(valid_title, value))
    except ValueError:
        raise ValueError(_TITLES) from None


def _states(value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or any(one not in FINAL for one in value):
        raise ValueError(f"a list of some of {', '.join(FINAL)}")
    return tuple(value)


SECTIONS: Sections = {
    "workflows": {
        "ae_title": ("ae_title", valid_title),
        "bind_address": ("bind_address", any_text),
        "port": ("port", whole_number(0, 65535)),
        "known_peers_only": ("known_peers_only", flag),
        "store": ("store", some_text),
    },
    "limits": {
        "maximum_associations": ("maximum_associations", whole_number(1)),
        "max_pdu": ("max_pdu", whole_number(0, 0xFFFFFFFF)),
        **{name: (name, check) for name, check in TIMEOUTS.items()},
        "shutdown_timeout": ("shutdown_timeout", duration),
        "keep_days": ("keep_days", whole_number(0)),
    },
    "mpps": {
        "enabled": ("mpps", flag),
        "notify": ("notify", _titles),
    },
    "worklist": {
        "directory": ("worklist", some_text),
        "removed_by": ("removed_by", _states),
        "names": ("exact_names", either("folded", "exact")),
    },
    "availability": {"enabled": ("availability", flag)},
    "ups": {
        "enabled": ("ups", flag),
        "deletion_locks": ("deletion_locks", flag),
        "watchers": ("watchers", _titles),
        "worklist_label": ("worklist_label", some_text),
    },
    "commitment": {
        "objects": ("objects", some_text),
        "verify": ("verify_bytes", either("headers", "bytes")),
        "retrieve_ae_title": ("retrieve_ae_title", valid_title),
    },
    "tls": tls.SECTION,
    "identity": tls.IDENTITY,
}

FROM_THE_START = frozenset(
    (
        "ae_title", "bind_address", "port", "store", "keep_days", "mpps", "notify", "worklist",
        "removed_by", "exact_names", "availability", "ups", "deletion_locks", "watchers",
        "worklist_label", "objects", "verify_bytes", "retrieve_ae_title", "tls_plain_too",
        "passwords", "password_in_clear",
    )
)  # fmt: skip
"""What holds as long as it runs: how it listens, what it provides, and where it keeps what it has.

The files of TLS and of users are read again by themselves, when they change.
"""

_PATHS = ("store", "objects", "worklist", *tls.PATHS)

PEER: dict[str, Check] = {
    "ae_title": valid_title,
    "address": some_text,
    "port": whole_number(1, 65535),
    "tls": flag,
}


def load(path: str) -> Config:
    """Read a configuration file; paths in it are relative to its directory.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it is wrong.
    """
    needs, text = {"tls": "a certificate"}, read_text(path)
    values, tables = read_toml(path, text, SECTIONS, PEER, needs, access.ACCESS, access.NEEDED)
    access.make_rules(values)
    peers = tls.peers_of(tables, Peer)
    config = Config(**values, peers=peers)
    if config.known_peers_only and not config.peers:
        # An AE that requires none of the titles would take any.
        raise ConfigError(f"{path}: [workflows] known_peers_only: there is no [[peer]]")
    for key, titles in (("[mpps] notify", config.notify), ("[ups] watchers", config.watchers)):
        for title in titles:
            if title not in peers:
                raise ConfigError(f"{path}: {key}: there is no [[peer]] {title!r}")
    return tls.checked(with_paths(config, _PATHS, path), path)


def access_rules(config: Config) -> AccessRules | None:
    """Who may do what: the ``[[access]]``; None, all, where there are none."""
    return AccessRules(config.access) if config.access else None


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """What the command line says, which comes before the file."""
    return tls.checked(overridden(config, changes), "command line")
