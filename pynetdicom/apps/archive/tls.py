"""What TLS is made with, from the files that the configuration names: each fault names its key."""

from __future__ import annotations

import ssl
from typing import NamedTuple

from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.configuring import ConfigError


class Security(NamedTuple):
    """The archive's TLS.

    Attributes
    ----------
    server : ssl.SSLContext or None
        What it listens with; None: without TLS.
    destinations : ssl.SSLContext or None
        What it sends with to peers that want TLS; None if none of them does.
    """

    server: ssl.SSLContext | None = None
    destinations: ssl.SSLContext | None = None


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
    """What TLS with move destinations is made with; None if none of them has it."""
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
