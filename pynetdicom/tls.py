"""TLS by the profiles of PS3.15: contexts made of files, which follow the files when these change.

In: a profile and the paths of certificates, keys and authorities. Out: an `ssl.SSLContext` for
`AE.associate` and `AE.start_server`. Each handshake asks it whether its files are still as they
were, on the thread that begins the handshake: the lobby's, or that of the association. No lock:
what was read is one value, which is replaced as a whole.

What Python's `ssl` cannot choose is not promised: the cipher suites of TLS 1.3 are those that
OpenSSL has switched on (before Python 3.15), which leaves out the CCM suites of B.13, and OpenSSL
has no Camellia GCM suites.
"""

from __future__ import annotations

import logging
import math
import os
import ssl
import time
from collections.abc import Sequence
from datetime import datetime
from functools import cache
from typing import Any, Literal, NamedTuple

from pynetdicom._logging import printable
from pynetdicom.errors import TLSFileProblem
from pynetdicom.tls_files import Files, Signature, hashes, settled

LOGGER = logging.getLogger("pynetdicom.tls")

Path = str | os.PathLike[str]
Clients = Literal["require", "verify", "ignore"]


class Profile(NamedTuple):
    """A TLS Secure Transport Connection Profile, as far as `ssl` can be told it."""

    name: str
    clause: str
    cipher_suites: tuple[str, ...]
    """Those of TLS 1.2, the preferred ones first, by OpenSSL's names."""


# fmt: off
PROFILES = {
    "bcp195": Profile(
        "BCP 195 RFC 8996, 9325 TLS", "PS3.15 B.12",
        (
            "ECDHE-ECDSA-AES128-GCM-SHA256", "ECDHE-RSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES256-GCM-SHA384", "ECDHE-RSA-AES256-GCM-SHA384",
        ),
    ),
    "bcp195-modified": Profile(
        "Modified BCP 195 RFC 8996, 9325 TLS", "PS3.15 B.13",
        (
            "ECDHE-RSA-AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-GCM-SHA256",
            "ECDHE-ECDSA-AES128-CCM", "ECDHE-ECDSA-AES128-CCM8",
            "ECDHE-RSA-AES256-GCM-SHA384", "ECDHE-ECDSA-AES256-GCM-SHA384",
            "ECDHE-RSA-CHACHA20-POLY1305", "ECDHE-ECDSA-CHACHA20-POLY1305",
            "ECDHE-ECDSA-AES256-CCM", "ECDHE-ECDSA-AES256-CCM8",
        ),
    ),
}
# fmt: on
"""Keyword → profile. Both have TLS 1.2 and 1.3, neither anything older."""

_STRENGTH = 2
"""OpenSSL's level: RSA and DH of 2048 bits and more, elliptic curves of 224, no SHA-1."""
_OPTIONS = (
    ssl.OP_NO_COMPRESSION
    | ssl.OP_NO_RENEGOTIATION
    | ssl.OP_CIPHER_SERVER_PREFERENCE
    # RFC 9325 wants the keys of tickets changed now and then, and OpenSSL does not change them.
    | ssl.OP_NO_TICKET
)
_VERIFY = {"require": ssl.CERT_REQUIRED, "verify": ssl.CERT_OPTIONAL, "ignore": ssl.CERT_NONE}

# What a program may set on a context, in an order in which it can be set on another one.
_SETTINGS = (
    *("options", "verify_flags", "minimum_version", "maximum_version", "check_hostname"),
    *("verify_mode", "hostname_checks_common_name", "sni_callback", "keylog_filename"),
    "post_handshake_auth",
)

_DAY = 86400.0
_SOON = 30 * _DAY


class _Made(NamedTuple):
    """What was made of the files at a time."""

    context: ssl.SSLContext
    expires: datetime | None
    hashes: dict[str, int] | str
    """Of the files that were looked at last, or what is wrong with them."""
    signature: Signature | None
    """Of those; None where it may not tell of the next change."""


class Context(ssl.SSLContext):
    """A context that reads its files again when they have changed, for the next handshake.

    Made by `client_context` and `server_context`. What is set on it afterwards is kept. Where new
    files are at fault those before them stay in use, and that is logged once, as an error. The log
    has the end of a certificate that is in use: as a warning from 30 days before, once a day, and
    as an error from then on.
    """

    def __init__(self, protocol: int, profile: Profile, files: Files) -> None:
        self._files = files
        signature = settled(files.signature())
        contents = files.contents()
        self._fill(self, profile.cipher_suites)
        self._made = _Made(self, files.expires(contents), hashes(contents), signature)
        self._tell_of_expiry(logging.INFO)

    @property
    def expires(self) -> datetime | None:
        """When the certificate in use ends, in UTC; None without one."""
        return self._made.expires

    def reload(self) -> None:
        """Read the files again now, whether they seem to have changed or not.

        Raises
        ------
        TLSFileProblem
            One of them is at fault; what was read before stays in use.
        """
        self._read_again(self._files.signature(), always=True)

    def wrap_bio(self, *args: Any, **kwargs: Any) -> ssl.SSLObject:
        """As `ssl.SSLContext.wrap_bio`, with the files as they are now."""
        context = self._current()
        own = super().wrap_bio
        return (own if context is self else context.wrap_bio)(*args, **kwargs)

    def wrap_socket(self, *args: Any, **kwargs: Any) -> ssl.SSLSocket:
        """As `ssl.SSLContext.wrap_socket`, with the files as they are now."""
        context = self._current()
        own = super().wrap_socket
        return (own if context is self else context.wrap_socket)(*args, **kwargs)

    def _current(self) -> ssl.SSLContext:
        """What the next handshake is made with."""
        signature = self._files.signature()
        if signature != self._made.signature:
            try:
                self._read_again(signature)
            except TLSFileProblem as error:
                self._go_on(signature, str(error))
        if time.time() >= self._say_again:
            self._tell_of_expiry()
        context = self._made.context
        if context is not self:
            self._hand_on(context)
        return context

    def _read_again(self, signature: Signature, *, always: bool = False) -> None:
        taken = settled(signature)
        contents = self._files.contents()
        if hashes(contents) == self._made.hashes and not always:
            self._made = self._made._replace(signature=taken)
            return
        fresh = ssl.SSLContext(self.protocol)
        self._fill(fresh, [one["name"] for one in self.get_ciphers()], self.security_level)
        self._hand_on(fresh)  # whoever finds it must not find it without checks
        self._made = _Made(fresh, self._files.expires(contents), hashes(contents), taken)
        LOGGER.info("the TLS files were read again: %s", ", ".join(map(printable, contents)))
        self._tell_of_expiry(logging.INFO)

    def _go_on(self, signature: Signature, why: str) -> None:
        """Go on with what was read before; only what is there next is looked at."""
        before = self._made
        self._made = before._replace(hashes=why, signature=settled(signature))
        if before.hashes != why:
            LOGGER.error("TLS goes on with the files that were read before: %s", printable(why))

    def _fill(
        self, context: ssl.SSLContext, suites: Sequence[str], strength: int = _STRENGTH
    ) -> None:
        """Apply the profile, and load the files."""
        context.minimum_version = ssl.TLSVersion.TLSv1_2
        context.options |= _OPTIONS
        # Those of TLS 1.3 are not for this call, and not lost by it.
        chosen = [suite for suite in suites if not suite.startswith("TLS_")]
        context.set_ciphers(":".join([*chosen, f"@SECLEVEL={strength}"]))
        if context.protocol == ssl.PROTOCOL_TLS_SERVER:
            context.num_tickets = 0
        self._files.load_into(context)

    def _hand_on(self, context: ssl.SSLContext) -> None:
        """Set on a context what is set on this one."""
        for name in _SETTINGS:
            # Other threads may be about to begin a handshake with it.
            if (value := getattr(self, name)) != getattr(context, name):
                setattr(context, name, value)

    def _tell_of_expiry(self, least: int = logging.DEBUG) -> None:
        """Log until when the certificate in use is good; at `least`, where that is long."""
        now, expires = time.time(), self.expires
        self._say_again = math.inf
        if expires is None:
            return
        left = expires.timestamp() - now
        days, date = round(abs(left) / _DAY), f"{expires:%Y-%m-%d}"
        which = printable(str(self._files.certificate))
        if left <= 0:
            self._say_again = now + _DAY
            LOGGER.error("the certificate %s has expired on %s, %d days ago", which, date, days)
        elif left <= _SOON:
            self._say_again = now + min(left, _DAY)
            LOGGER.warning("the certificate %s expires on %s, in %d days", which, date, days)
        else:
            self._say_again = now + left - _SOON
            LOGGER.log(least, "the certificate %s expires on %s, in %d days", which, date, days)


def client_context(
    profile: str = "bcp195",
    *,
    authorities: Path | Sequence[Path] | None = None,
    certificate: Path | None = None,
    key: Path | None = None,
    crls: Path | Sequence[Path] | None = None,
    verify: bool = True,
    check_hostname: bool = True,
) -> Context:
    """Make the context of a side that connects.

    Parameters
    ----------
    profile : str
        ``"bcp195"`` or ``"bcp195-modified"``, see `PROFILES`.
    authorities : path or sequence of paths, optional
        Files with the certificates of who vouches for peers, in PEM form, or directories of them;
        None for the authorities that the system trusts.
    certificate, key : path, optional
        Ours, in PEM form, for peers that require one; without `key`, it is in `certificate`.
    crls : path or sequence of paths, optional
        Files with lists of revoked certificates, in PEM form. With any, an authority whose list is
        not there, or is out of date, vouches for nobody.
    verify : bool
        Whether the peer must have a certificate that an authority vouches for. Without that,
        who is on the way may read and change what is sent.
    check_hostname : bool
        Whether that certificate must be for the host that is connected to.

    Returns
    -------
    Context
        An `ssl.SSLContext`.

    Raises
    ------
    TLSFileProblem
        A file is at fault; the message names it.

    Notes
    -----
    PS3.15 B.12, B.13
    """
    if key is not None and certificate is None:
        raise ValueError("'key' needs a certificate too")
    files = _files(certificate, key, authorities, crls)
    files = files._replace(trusts_system=verify and authorities is None)
    context = Context(ssl.PROTOCOL_TLS_CLIENT, _profile(profile), files)
    context.check_hostname = verify and check_hostname
    context.verify_mode = ssl.CERT_REQUIRED if verify else ssl.CERT_NONE
    return context


def server_context(
    profile: str = "bcp195",
    *,
    certificate: Path,
    key: Path | None = None,
    authorities: Path | Sequence[Path] | None = None,
    crls: Path | Sequence[Path] | None = None,
    clients: Clients | None = None,
) -> Context:
    """Make the context of a side that listens.

    Parameters
    ----------
    profile : str
        ``"bcp195"`` or ``"bcp195-modified"``, see `PROFILES`.
    certificate, key : path
        Ours, in PEM form; without `key`, it is in `certificate`.
    authorities : path or sequence of paths, optional
        Files with the certificates of who vouches for clients, in PEM form, or directories of them.
    crls : path or sequence of paths, optional
        Files with lists of revoked certificates, in PEM form. With any, an authority whose list is
        not there, or is out of date, vouches for nobody.
    clients : {'require', 'verify', 'ignore'}, optional
        Whether a client must have a certificate that an authority vouches for; with ``"verify"`` it
        may have none. Default: it must if there are `authorities`, or else none is asked for.

    Returns
    -------
    Context
        An `ssl.SSLContext`.

    Raises
    ------
    TLSFileProblem
        A file is at fault; the message names it.

    Notes
    -----
    PS3.15 B.12, B.13
    """
    if clients is None:
        clients = "ignore" if authorities is None else "require"
    if clients not in _VERIFY:
        raise ValueError(f"'clients' must be one of {', '.join(_VERIFY)}")
    if authorities is None and clients != "ignore":
        raise ValueError(f"{clients!r} for 'clients' needs authorities that vouch for them")
    files = _files(certificate, key, authorities, crls)
    context = Context(ssl.PROTOCOL_TLS_SERVER, _profile(profile), files)
    context.verify_mode = _VERIFY[clients]
    return context


def context_of(tls: object, *, is_server: bool = False) -> ssl.SSLContext:
    """Give what the parameter `tls` of `AE.associate` and of a server stands for.

    Raises
    ------
    TypeError, ValueError
        It is none, or that of the other side.
    """
    if isinstance(tls, str):
        if is_server:
            _profile(tls)
            made = f"pynetdicom.tls.server_context({tls!r}, certificate=…, key=…)"
            raise ValueError(f"'tls' of a server needs a certificate: give it {made}")
        return _usual(tls)
    if not isinstance(tls, ssl.SSLContext):
        raise TypeError("'tls' must be the keyword of a profile or an ssl.SSLContext")
    if tls.protocol == (ssl.PROTOCOL_TLS_CLIENT if is_server else ssl.PROTOCOL_TLS_SERVER):
        theirs, due = ("client", "SERVER") if is_server else ("server", "CLIENT")
        raise ValueError(f"'tls' is the context of a {theirs}: PROTOCOL_TLS_{due} is due here")
    return tls


def args_of(tls_args: object, tls: object, host: str) -> tuple[ssl.SSLContext, Any]:
    """Give the context and the host name to be verified, by either parameter of `AE.associate`.

    Raises
    ------
    TypeError, ValueError
        Both were given, or one is wrong.
    """
    if tls is not None:
        if tls_args is not None:
            raise ValueError("'tls' and 'tls_args' are not to be given both")
        return context_of(tls), host
    match tls_args:
        case (ssl.SSLContext() as context, (str() | None) as name):
            if context.protocol == ssl.PROTOCOL_TLS_SERVER:
                what = "the context of a server: PROTOCOL_TLS_CLIENT is for clients"
                raise ValueError(f"'tls_args' has {what}")
            return context, name
        case _:
            raise TypeError("'tls_args' must be (ssl.SSLContext, host name)")


@cache
def _usual(profile: str) -> Context:
    return client_context(profile)


def _profile(keyword: str) -> Profile:
    try:
        return PROFILES[keyword]
    except KeyError:
        known = ", ".join(PROFILES)
        raise ValueError(f"there is no TLS profile {keyword!r}; there are {known}") from None


def _files(
    certificate: Path | None,
    key: Path | None,
    authorities: Path | Sequence[Path] | None,
    crls: Path | Sequence[Path] | None,
) -> Files:
    return Files(
        None if certificate is None else os.fspath(certificate),
        None if key is None else os.fspath(key),
        _paths(authorities),
        _paths(crls),
    )


def _paths(given: Path | Sequence[Path] | None) -> tuple[str, ...]:
    if given is None:
        return ()
    if isinstance(given, (str, os.PathLike)):
        return (os.fspath(given),)
    return tuple(os.fspath(path) for path in given)
