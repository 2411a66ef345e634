"""The files that TLS is made with: whether they have changed, what is wrong with them, their end.

In: paths of certificates, keys and authorities. Out: what they hold, in an `ssl.SSLContext`.
"""

from __future__ import annotations

import os
import re
import ssl
import time
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from typing import NamedTuple

from pynetdicom.errors import TLSFileProblem

_RACY = 2.0
"""Seconds. A file may change so soon after another change that its times stay the same."""
_CERTIFICATE = re.compile(
    r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL | re.ASCII
)
_ENDINGS = re.compile(r".+\.(pem|crt|cer|[0-9])", re.ASCII | re.IGNORECASE)

Signature = list[tuple[int, ...] | None]


class Files(NamedTuple):
    """What a context is made of."""

    certificate: str | None
    key: str | None
    authorities: tuple[str, ...]
    crls: tuple[str, ...]
    """Lists of revoked certificates."""
    trusts_system: bool = False

    def all(self) -> Iterator[tuple[str, str]]:
        """What each is, and its path; of a directory of authorities, the files in it."""
        for what, path in (("certificate", self.certificate), ("key", self.key)):
            if path is not None:
                yield what, path
        for path in self.authorities:
            for one in _in_directory(path) or [path]:
                yield "authorities", one
        for path in self.crls:
            yield "crl", path

    def signature(self) -> Signature:
        """What tells that one of them is another one."""
        return [_stat(path) for _, path in self.all()]

    def contents(self) -> dict[str, bytes]:
        """What is in each of them; TLSFileProblem where one cannot be read."""
        return {path: _read(what, path) for what, path in self.all()}

    def load_into(self, context: ssl.SSLContext) -> None:
        """Have a context use them; TLSFileProblem where one is at fault."""
        if self.certificate is not None:
            _load_certificate(context, self.certificate, self.key)
        for what, path in self.all():
            if what in ("authorities", "crl"):
                _load_certificates(context, what, path)
        if self.crls:
            context.verify_flags |= ssl.VERIFY_CRL_CHECK_LEAF
        if self.trusts_system:
            context.load_default_certs()

    def expires(self, contents: Mapping[str, bytes]) -> datetime | None:
        """When the certificate ends, which is the first one in its file."""
        if self.certificate is None:
            return None
        found = _CERTIFICATE.search(contents[self.certificate].decode("latin-1"))
        try:
            return found and not_after(ssl.PEM_cert_to_DER_cert(found[0]))
        except (ValueError, IndexError):  # OpenSSL knows more than we do
            return None


def _in_directory(path: str) -> list[str]:
    """The files of a directory that look like certificates; none where it is no directory."""
    try:
        names = sorted(os.listdir(path))
    except OSError:  # what is wrong is said by whoever reads it
        return []
    return [os.path.join(path, name) for name in names if _ENDINGS.fullmatch(name)]


def _stat(path: str) -> tuple[int, ...] | None:
    try:
        stat = os.stat(path)
    except OSError:
        return None
    return stat.st_mtime_ns, stat.st_ctime_ns, stat.st_size, stat.st_ino


def settled(signature: Signature) -> Signature | None:
    """A signature, unless a file of it has changed just now."""
    latest = max((max(stat[:2]) for stat in signature if stat is not None), default=0)
    return None if abs(time.time() - latest / 1e9) < _RACY else signature


def hashes(contents: Mapping[str, bytes]) -> dict[str, int]:
    """What tells contents from others; a key is not kept for that."""
    return {path: hash(data) for path, data in contents.items()}


def not_after(certificate: bytes) -> datetime:
    """The end of a certificate in DER form (RFC 5280 4.1)."""
    at = _element(certificate, _element(certificate, 0)[1])[1]  # in Certificate, TBSCertificate
    tag, _, end = _element(certificate, at)
    at = end if tag == 0xA0 else at  # the version
    for _ in ("serialNumber", "signature", "issuer"):
        at = _element(certificate, at)[2]
    not_before = _element(certificate, _element(certificate, at)[1])
    tag, start, end = _element(certificate, not_before[2])
    text = certificate[start:end].decode("ascii")
    if tag == 0x17:  # UTCTime, whose year has two digits: from 1950 to 2049
        text = ("19" if text >= "50" else "20") + text
    return datetime.strptime(text, "%Y%m%d%H%M%SZ").replace(tzinfo=UTC)


def _element(data: bytes, at: int) -> tuple[int, int, int]:
    """The tag of an element of DER, and where its value begins and ends."""
    length, start = data[at + 1], at + 2
    if length & 0x80:
        start += length & 0x7F
        length = int.from_bytes(data[at + 2 : start])
    return data[at], start, start + length


def _load_certificate(context: ssl.SSLContext, certificate: str, key: str | None) -> None:
    _load_certificates(ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT), "certificate", certificate)
    what, path = ("certificate", certificate) if key is None else ("key", key)
    _read(what, path)
    try:
        context.load_cert_chain(certificate, key, _no_password)
    except _NeedsPassword as error:
        why = "the key is encrypted; only one without a password can be used"
        raise TLSFileProblem(what, path, why) from error
    except ssl.SSLError as error:
        reason = _reason(error)
        if error.reason == "KEY_VALUES_MISMATCH":
            why = f"not the key of the certificate {certificate}"
            raise TLSFileProblem(what, path, why) from error
        if error.reason in _WEAK:
            why = f"too weak: {_WEAK[error.reason]} ({reason})"
            raise TLSFileProblem("certificate", certificate, why) from error
        why = "no private key in PEM form" if key else "no private key in it, and there is no key"
        raise TLSFileProblem(what, path, f"{why} ({reason})") from error
    except OSError as error:  # it has gone meanwhile
        raise TLSFileProblem(what, path, _reason(error)) from error


_WEAK = {
    "EE_KEY_TOO_SMALL": "its key must have 2048 bits, or 224 of an elliptic curve",
    "CA_KEY_TOO_SMALL": "the key of its authority must have 2048 bits, or 224 of an elliptic curve",
    "CA_MD_TOO_WEAK": "it must not be signed by SHA-1 or MD5",
}


class _NeedsPassword(Exception):
    pass


def _no_password() -> str:
    # Nobody is there to be asked for it.
    raise _NeedsPassword


def _load_certificates(context: ssl.SSLContext, what: str, path: str) -> None:
    """Have a context trust the certificates of a file, and know its list of revoked ones."""
    _read(what, path)
    try:
        context.load_verify_locations(path)
    except (ssl.SSLError, OSError) as error:
        of_what = "list of revoked certificates" if what == "crl" else "certificates"
        why = f"no {of_what} in PEM form ({_reason(error)})"
        raise TLSFileProblem(what, path, why) from error


def _read(what: str, path: str) -> bytes:
    try:
        with open(path, "rb") as file:
            return file.read()
    except OSError as error:
        why = error.strerror or str(error)
        if what == "authorities" and os.path.isdir(path):
            why = "no file of this directory has a name that ends in .pem, .crt or .cer"
        raise TLSFileProblem(what, path, why) from error


def _reason(error: OSError) -> str:
    reason = getattr(error, "reason", None)
    return reason.lower().replace("_", " ") if reason else error.strerror or str(error)
