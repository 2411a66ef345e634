"""Certificates for tests: an authority, and an SCP and an SCU that it vouches for."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest


def write_certificates(
    directory: Path,
    names: tuple[str, ...] = ("scp", "scu"),
    *,
    days: float = 1,
    rsa: int | None = None,
    host: str = "localhost",
) -> None:
    """Write ``ca.pem``, and ``NAME.pem`` and ``NAME.key`` for each of `names`, for localhost.

    They are good for so many days, for `host` and for 127.0.0.1, unless `host` is another one; the
    keys are of RSA with so many bits, if that is given.
    """
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec
    from cryptography.hazmat.primitives.asymmetric import rsa as of_rsa

    now = datetime.datetime.now(datetime.UTC)

    def new_key() -> Any:
        if rsa is not None:
            return of_rsa.generate_private_key(65537, rsa)
        return ec.generate_private_key(ec.SECP256R1())

    def subject(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def builder(name: str, key: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject(name))
            .issuer_name(subject("ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=max(1, 1 - days)))
            .not_valid_after(now + datetime.timedelta(days=days))
        )

    def write(name: str, certificate: x509.Certificate, key: Any | None) -> None:
        pem = serialization.Encoding.PEM
        (directory / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
        if key is not None:
            plain = serialization.NoEncryption()
            form = serialization.PrivateFormat.PKCS8
            (directory / f"{name}.key").write_bytes(key.private_bytes(pem, form, plain))

    ca_key = new_key()
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    ca = (
        builder("ca", ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)
        .sign(ca_key, hashes.SHA256())
    )
    write("ca", ca, ca_key)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    for name in names:
        key = new_key()
        names_of_host: list[x509.GeneralName] = [x509.DNSName(host)]
        if host == "localhost":
            names_of_host.append(x509.IPAddress(ipaddress.ip_address("127.0.0.1")))
        certificate = (
            builder(name, key)
            .add_extension(x509.SubjectAlternativeName(names_of_host), critical=False)
            .add_extension(authority, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        write(name, certificate, key)


def revoke(place: Path, *names: str, days: float = 1, source: str = ".") -> Path:
    """Write a list of the authority that has certificates of these names on it."""
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization

    ca = x509.load_pem_x509_certificate((place / source / "ca.pem").read_bytes())
    key = serialization.load_pem_private_key((place / source / "ca.key").read_bytes(), None)
    now = datetime.datetime.now(datetime.UTC)
    builder = x509.CertificateRevocationListBuilder().issuer_name(ca.subject)
    builder = builder.last_update(now - datetime.timedelta(days=2))
    builder = builder.next_update(now + datetime.timedelta(days=days))
    for name in names:
        one = x509.load_pem_x509_certificate((place / f"{name}.pem").read_bytes())
        revoked = x509.RevokedCertificateBuilder().serial_number(one.serial_number)
        builder = builder.add_revoked_certificate(revoked.revocation_date(now).build())
    crl = builder.sign(key, hashes.SHA256())
    (place / "crl.pem").write_bytes(crl.public_bytes(serialization.Encoding.PEM))
    return place / "crl.pem"
