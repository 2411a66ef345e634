"""TLS and users of the servers that have a configuration: each fault names its key."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol, TypeVar

from pynetdicom.apps import security as command_line
from pynetdicom.apps.configuring import Check, ConfigError, flag, some_text
from pynetdicom.errors import TLSFileProblem

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.tls import Clients, Context


def _one_of(*allowed: str) -> Check:
    def check(value: Any) -> str:
        if value not in allowed:
            raise ValueError(f"one of {', '.join(allowed)}")
        return str(value)

    return check


SECTION: Mapping[str, tuple[str, Check]] = {
    "certificate": ("tls_certificate", some_text),
    "key": ("tls_key", some_text),
    "authorities": ("tls_authorities", some_text),
    "crl": ("tls_crl", some_text),
    "profile": ("tls_profile", _one_of("bcp195", "bcp195-modified")),
    "clients": ("tls_peers", _one_of("require", "verify", "ignore")),
    "plain_too": ("tls_plain_too", flag),
}
"""The keys of ``[tls]``, with the fields of `Settings` that they are for."""

IDENTITY: Mapping[str, tuple[str, Check]] = {
    "passwords": ("passwords", some_text),
    "in_clear": ("password_in_clear", flag),
}
"""The keys of ``[identity]``."""

PATHS = ("tls_certificate", "tls_key", "tls_authorities", "tls_crl", "passwords")


class Peer(Protocol):
    """An application entity that is known."""

    @property
    def address(self) -> str | None:
        """Where it listens."""

    @property
    def tls(self) -> bool:
        """Whether with TLS."""


@dataclass(frozen=True)
class Settings:
    """What a configuration has of both; see `pynetdicom.tls` and `pynetdicom.identity`."""

    tls_certificate: str | None = None
    tls_key: str | None = None
    tls_authorities: str | Sequence[str] | None = None
    tls_crl: str | Sequence[str] | None = None
    tls_profile: str = "bcp195"
    tls_peers: Clients | None = None
    tls_plain_too: bool = False
    passwords: str | None = None
    password_in_clear: bool = False
    peers: Mapping[str, Peer] = field(default_factory=dict)


Checked = TypeVar("Checked", bound=Settings)
Known = TypeVar("Known", bound=Peer)


class Security(NamedTuple):
    """What TLS is made with.

    Attributes
    ----------
    server : Context or None
        What the server listens with; None: without TLS.
    destinations : Context or None
        What it sends with to peers that want TLS; None if none of them does.
    """

    server: Context | None = None
    destinations: Context | None = None

    def to(self, peer: Peer) -> dict[str, Any]:
        """What an association with a peer is made with, as a parameter of `AE.associate`."""
        return {"tls_args": (self.destinations, peer.address)} if peer.tls else {}


def peers_of(
    tables: Iterable[tuple[str, dict[str, Any]]], kind: Callable[..., Known]
) -> dict[str, Known]:
    """Make the peers of a file, by AE title, of where each is and its values.

    Raises
    ------
    ConfigError
        One with TLS has no address.
    """
    peers: dict[str, Known] = {}
    for where, table in tables:
        peer = peers[table["ae_title"]] = kind(**table)
        if peer.tls and peer.address is None:
            raise ConfigError(f"{where} tls: needs an address too")
    return peers


def checked(config: Checked, source: str) -> Checked:
    """Check what depends on several keys.

    Raises
    ------
    ConfigError
        They do not go together.
    """
    certificate, authorities = config.tls_certificate, config.tls_authorities
    wrong = {
        "[tls] key: needs a certificate too": config.tls_key and not certificate,
        "[tls] authorities: needs a certificate too: without one, the server would"
        " listen without TLS, and let everybody in": authorities and not certificate,
        "[tls] crl: needs authorities too": config.tls_crl and not authorities,
        "[tls] plain_too: needs a certificate too": config.tls_plain_too and not certificate,
        f"[tls] clients: {config.tls_peers} needs authorities that vouch for them": (
            config.tls_peers not in (None, "ignore") and not authorities
        ),
        "[identity] passwords: needs TLS, or in_clear = true": (
            config.passwords and not (certificate or config.password_in_clear)
        ),
    }
    for why, is_so in wrong.items():
        if is_so:
            raise ConfigError(f"{source}: {why}")
    return config


def security(config: Settings, source: str = "configuration") -> Security:
    """Make both; ConfigError if a file is at fault, with `source` in front."""
    try:
        return Security(server_tls(config), destination_tls(config))
    except TLSFileProblem as problem:
        raise ConfigError(f"{source}: [tls] {problem}") from problem


def server_tls(config: Settings) -> Context | None:
    """What the server's TLS is made with; None without a certificate."""
    if config.tls_certificate is None:
        return None
    from pynetdicom.tls import server_context

    return server_context(
        config.tls_profile,
        certificate=config.tls_certificate,
        key=config.tls_key,
        authorities=config.tls_authorities,
        crls=config.tls_crl,
        clients=config.tls_peers,
    )


def destination_tls(config: Settings) -> Context | None:
    """What TLS with peers is made with; None if none of them has it."""
    if not any(peer.tls for peer in config.peers.values()):
        return None
    from pynetdicom.tls import client_context

    return client_context(
        config.tls_profile,
        certificate=config.tls_certificate,
        key=config.tls_key,
        authorities=config.tls_authorities,
        crls=config.tls_crl,
    )


def users(config: Settings, ae: ApplicationEntity) -> list[tuple[Any, Any]]:
    """Have an AE let in only the users of the file, if there is one; gives handlers for that."""
    if config.passwords is None:
        return []
    return [command_line.users(config.passwords, ae, in_clear=config.password_in_clear)]


def check_users(config: Settings, source: str) -> None:
    """See whether the file of users can be read."""
    if config.passwords is not None:
        try:
            open(config.passwords, "rb").close()
        except OSError as error:
            why = f"{config.passwords}: {error.strerror or error}"
            raise ConfigError(f"{source}: [identity] passwords: {why}") from error
