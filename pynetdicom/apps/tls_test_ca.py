"""tls-test-ca: an authority, and certificates of a server and a client, to try TLS with."""

from __future__ import annotations

import ipaddress
import os
import socket
import sys
from argparse import Namespace
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from pynetdicom.apps import options
from pynetdicom.apps.archive.extras import MissingExtra, require
from pynetdicom.apps.progress import Terminal

if TYPE_CHECKING:
    from cryptography import x509

NAMES = ("ca", "server", "client")

PLACE = (
    options.option("directory", metavar="DIRECTORY", help="where to; it is made if need be"),
)  # fmt: skip
CERTIFICATES = (
    options.option(
        "--days", type=options._at_least(1), default=365, metavar="N",
        help="they are good for so many days (default: {default})",
    ),
    options.option(
        "--host", action="append", default=[], metavar="NAME",
        help="a host name or address of the server, beside localhost, 127.0.0.1, ::1 and this"
        " machine's name; may be given several times",
    ),
    options.option(
        "--server-title", type=options.ae_title, metavar="TITLE",
        help="the server's AE title, as dicom:TITLE among its names",
    ),
    options.option(
        "--client-title", type=options.ae_title, metavar="TITLE",
        help="the client's AE title, as dicom:TITLE among its names",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "tls-test-ca",
        "Makes an authority and the certificates of a server and of a client, to try TLS with; for"
        " patients' data, have those of your site's authority. Writes ca.pem, server.pem,"
        " server.key, client.pem and client.key; the key of the authority is not kept. Never"
        " overwrites anything.",
        PLACE,
    )
    parser.add_options("certificates", CERTIFICATES)
    return parser


def make(args: Namespace, terminal: Terminal) -> int:
    """Make them all."""
    try:
        require("cryptography")
    except MissingExtra as error:
        raise options.Failure(str(error)) from None
    directory = args.directory
    paths = [f"{name}{end}" for name in NAMES for end in (".pem", ".key")]
    there = [path for path in paths if os.path.lexists(os.path.join(directory, path))]
    if there:
        raise options.Failure(f"{directory}: {', '.join(there)}: there already, nothing is written")
    authority = Authority(timedelta(days=args.days))
    files = {"ca.pem": authority.pem}
    for name, hosts, title in (
        ("server", names_of_host(args.host), args.server_title),
        ("client", names_of_host([]), args.client_title),
    ):
        files[f"{name}.pem"], files[f"{name}.key"] = authority.issue(name, hosts, title)
    try:
        os.makedirs(directory, exist_ok=True)
        for path, data in files.items():
            _write(os.path.join(directory, path), data)
    except OSError as error:
        raise options.Failure(f"{error.filename or directory}: {error.strerror}") from None
    terminal.result(f"{directory}: {', '.join(files)}")
    terminal.result("a server: +tls server.key server.pem +cf ca.pem")
    terminal.result("a client: +tls client.key client.pem +cf ca.pem")
    return 0


def _write(path: str, data: bytes) -> None:
    """Write a new file; a key is its owner's alone."""
    mode = 0o600 if path.endswith(".key") else 0o644
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(handle, "wb") as file:
        file.write(data)


def names_of_host(others: Sequence[str]) -> list[str]:
    """The names and addresses of this machine, and others, each once."""
    return list(dict.fromkeys(["localhost", "127.0.0.1", "::1", socket.gethostname(), *others]))


def rsa_key() -> Any:
    """Make a key that every program takes."""
    # DCMTK's tools offer suites for RSA only with some of their profiles.
    from cryptography.hazmat.primitives.asymmetric import rsa

    return rsa.generate_private_key(65537, 3072)


def elliptic_key() -> Any:
    """Make a key in no time."""
    from cryptography.hazmat.primitives.asymmetric import ec

    return ec.generate_private_key(ec.SECP256R1())


class Authority:
    """An authority for as long as it is there: nobody has its key afterwards."""

    def __init__(self, lasts: timedelta, new_key: Callable[[], Any] = rsa_key) -> None:
        from cryptography import x509

        self._lasts = lasts
        self._new_key = new_key
        self._key = self._new_key()
        key = self._key.public_key()
        usage = dict.fromkeys(
            (
                "digital_signature", "content_commitment", "key_encipherment", "data_encipherment",
                "key_agreement", "encipher_only", "decipher_only",
            ),
            False,
        )  # fmt: skip
        self._name = self._subject("authority for tests")
        self.pem = self._sign(
            "authority for tests",
            key,
            (x509.BasicConstraints(ca=True, path_length=0), True),
            (x509.KeyUsage(key_cert_sign=True, crl_sign=True, **usage), True),
            (x509.SubjectKeyIdentifier.from_public_key(key), False),
        )

    @staticmethod
    def _subject(name: str) -> x509.Name:
        from cryptography import x509

        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def _sign(self, name: str, key: Any, *extensions: tuple[Any, bool]) -> bytes:
        from cryptography import x509
        from cryptography.hazmat.primitives import hashes, serialization

        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(self._subject(name))
            .issuer_name(self._name)
            .public_key(key)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(hours=1))  # the peer's clock may be behind
            .not_valid_after(now + self._lasts)
        )
        for extension, critical in extensions:
            builder = builder.add_extension(extension, critical)
        signed = builder.sign(self._key, hashes.SHA256())
        return signed.public_bytes(serialization.Encoding.PEM)

    def issue(self, name: str, hosts: Sequence[str], title: str | None) -> tuple[bytes, bytes]:
        """Give the certificate and the key of a server or a client."""
        from cryptography import x509
        from cryptography.hazmat.primitives import serialization
        from cryptography.x509.oid import ExtendedKeyUsageOID

        key = self._new_key()
        names = [_general_name(host) for host in hosts]
        if title is not None:
            from urllib.parse import quote

            names.append(x509.UniformResourceIdentifier(f"dicom:{quote(title)}"))
        # Whoever listens may also connect, and the other way round: an archive does both.
        purposes = [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]
        issuer = x509.AuthorityKeyIdentifier.from_issuer_public_key(self._key.public_key())
        certificate = self._sign(
            name,
            key.public_key(),
            (x509.SubjectAlternativeName(names), False),
            (x509.ExtendedKeyUsage(purposes), False),
            (x509.BasicConstraints(ca=False, path_length=None), True),
            (issuer, False),
        )
        plain = serialization.NoEncryption()
        form = serialization.PrivateFormat.PKCS8
        return certificate, key.private_bytes(serialization.Encoding.PEM, form, plain)


def _general_name(host: str) -> Any:
    from cryptography import x509

    try:
        return x509.IPAddress(ipaddress.ip_address(host))
    except ValueError:
        pass
    try:
        return x509.DNSName(host)
    except ValueError:
        raise options.Failure(f"--host {host}: no host name of ASCII letters") from None


def main(argv: Sequence[str] | None = None) -> int:
    """Run tls-test-ca; gives its exit code."""
    return options.run(make_parser(), make, argv)


if __name__ == "__main__":
    sys.exit(main())
