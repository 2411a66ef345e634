"""What the server of the workflows is told: its configuration file, against one table."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from pynetdicom.apps import options
from pynetdicom.apps.configuring import (
    TIMEOUTS,
    Check,
    ConfigError,
    Sections,
    any_text,
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
        Where results for it are sent to; None: only on associations that it has made.
    port : int
    """

    ae_title: str
    address: str | None = None
    port: int = 104


@dataclass(frozen=True)
class Config:
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
    objects: str | None = None
    verify_bytes: bool = False
    retrieve_ae_title: str | None = None
    peers: Mapping[str, Peer] = field(default_factory=dict)


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
    },
    "commitment": {
        "objects": ("objects", some_text),
        "verify": ("verify_bytes", either("headers", "bytes")),
        "retrieve_ae_title": ("retrieve_ae_title", valid_title),
    },
}

PEER: dict[str, Check] = {
    "ae_title": valid_title,
    "address": some_text,
    "port": whole_number(1, 65535),
}


def load(path: str) -> Config:
    """Read a configuration file; paths in it are relative to its directory.

    Raises
    ------
    ConfigError
        It cannot be read, or something in it is wrong.
    """
    values, tables = read_toml(path, read_text(path), SECTIONS, PEER)
    config = Config(**values, peers={table["ae_title"]: Peer(**table) for _, table in tables})
    if config.known_peers_only and not config.peers:
        # An AE that requires none of the titles would take any.
        raise ConfigError(f"{path}: [workflows] known_peers_only: there is no [[peer]]")
    return with_paths(config, ("store", "objects"), path)


def override(config: Config, changes: Mapping[str, Any]) -> Config:
    """What the command line says, which comes before the file."""
    return overridden(config, changes)
