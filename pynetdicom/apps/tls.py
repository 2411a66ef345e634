"""TLS of the servers, from the files that their configurations name: each fault names its key."""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from typing import Any, NamedTuple, Protocol, TypeVar

from pynetdicom.apps.configuring import Check, ConfigError, some_text

SECTION: Mapping[str, tuple[str, Check]] = {
    "certificate": ("tls_certificate", some_text),
    "key": ("tls_key", some_text),
    "authorities": ("tls_authorities", some_text),
}
"""The keys of ``[tls]``, with the fields of the configuration that they are for."""

PATHS = tuple(name for name, _ in SECTION.values())


class Peer(Protocol):
    """An application entity that is known."""

    @property
    def address(self) -> str | None:
        """Where it listens."""

    @property
    def tls(self) -> bool:
        """Whether with TLS."""


class Config(Protocol):
    """What a configuration has of TLS."""

    @property
    def tls_certificate(self) -> str | None:
        """A file; None: without TLS."""

    @property
    def tls_key(self) -> str | None:
        """A file; None where the key is in that of the certificate."""

    @property
    def tls_authorities(self) -> str | None:
        """A file with the certificates of those who vouch for peers."""

    @property
    def peers(self) -> Mapping[str, Peer]:
        """By AE title."""


Checked = TypeVar("Checked", bound=Config)


class Security(NamedTuple):
    """What TLS is made with.

    Attributes
    ----------
    server : ssl.SSLContext or None
        What the server listens with; None: without TLS.
    destinations : ssl.SSLContext or None
        What it sends with to peers that want TLS; None if none of them does.
    """

    server: ssl.SSLContext | None = None
    destinations: ssl.SSLContext | None = None

    def to(self, peer: Peer) -> dict[str, Any]:
        """What an association with a peer is made with, as a parameter of `AE.associate`."""
        return {"tls_args": (self.destinations, peer.address)} if peer.tls else {}


def checked(config: Checked, source: str) -> Checked:
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
            f"{source}: [tls] authorities: needs a certificate too: without one, the server would"
            " listen without TLS, and let everybody in"
        )
    return config


def security(config: Config, source: str = "configuration") -> Security:
    """Make both; ConfigError if a file is at fault, with `source` in front."""
    try:
        return Security(server_tls(config), destination_tls(config))
    except ConfigError as error:
        raise ConfigError(f"{source}: {error}") from error


def server_tls(config: Config) -> ssl.SSLContext | None:
    """What the server's TLS is made with; None without a certificate."""
    if config.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    _load_certificate(context, config)
    if config.tls_authorities is not None:
        _check_certificates("authorities", config.tls_authorities)
        context.load_verify_locations(config.tls_authorities)
        context.verify_mode = ssl.CERT_REQUIRED
    return context


def destination_tls(config: Config) -> ssl.SSLContext | None:
    """What TLS with peers is made with; None if none of them has it."""
    if not any(peer.tls for peer in config.peers.values()):
        return None
    if config.tls_authorities is not None:
        _check_certificates("authorities", config.tls_authorities)
    context = ssl.create_default_context(cafile=config.tls_authorities)
    _load_certificate(context, config)
    return context


def _load_certificate(context: ssl.SSLContext, config: Config) -> None:
    certificate, key = config.tls_certificate, config.tls_key
    if certificate is None:
        return
    _check_certificates("certificate", certificate)
    name, path = ("certificate", certificate) if key is None else ("key", key)
    _readable(name, path)
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except _NeedsPassword as error:
        why = "the key is encrypted; only one without a password can be used"
        raise _fault(name, path, why) from error
    except ssl.SSLError as error:
        if error.reason == "KEY_VALUES_MISMATCH":
            raise _fault(name, path, f"not the key of the certificate {certificate}") from error
        if error.reason in _WEAK:
            why = f"too weak for this system's OpenSSL ({_reason(error)})"
            raise _fault("certificate", certificate, why) from error
        what = "no private key in PEM form" if key else "no private key in it, and there is no key"
        raise _fault(name, path, f"{what} ({_reason(error)})") from error


_WEAK = ("EE_KEY_TOO_SMALL", "CA_KEY_TOO_SMALL", "CA_MD_TOO_WEAK")


class _NeedsPassword(Exception):
    pass


def _no_password() -> str:
    # Nobody is there to be asked for it.
    raise _NeedsPassword


def _check_certificates(name: str, path: str) -> None:
    """See whether a file has certificates."""
    _readable(name, path)
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        raise _fault(name, path, f"no certificates in PEM form ({_reason(error)})") from error


def _readable(name: str, path: str) -> None:
    try:
        with open(path, "rb") as file:
            file.read(1)
    except OSError as error:
        raise _fault(name, path, error.strerror or str(error)) from error


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if reason else error.strerror or str(error)


def _fault(name: str, path: str, why: str) -> ConfigError:
    return ConfigError(f"[tls] {name}: {path}: {why}")
