"""Certificates for tests: an authority, and an SCP and an SCU that it vouches for."""

from __future__ import annotations

import datetime
import ipaddress
from pathlib import Path
from typing import Any

import pytest


def write_certificates(directory: Path, names: tuple[str, ...] = ("scp", "scu")) -> None:
    """Write ``ca.pem``, and ``NAME.pem`` and ``NAME.key`` for each of `names`, for localhost."""
    pytest.importorskip("cryptography")
    from cryptography import x509
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    now = datetime.datetime.now(datetime.UTC)

    def subject(name: str) -> x509.Name:
        return x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, name)])

    def builder(name: str, key: Any) -> x509.CertificateBuilder:
        return (
            x509.CertificateBuilder()
            .subject_name(subject(name))
            .issuer_name(subject("ca"))
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=1))
        )

    def write(name: str, certificate: x509.Certificate, key: Any | None) -> None:
        pem = serialization.Encoding.PEM
        (directory / f"{name}.pem").write_bytes(certificate.public_bytes(pem))
        if key is not None:
            plain = serialization.NoEncryption()
            form = serialization.PrivateFormat.PKCS8
            (directory / f"{name}.key").write_bytes(key.private_bytes(pem, form, plain))

    ca_key = ec.generate_private_key(ec.SECP256R1())
    usage = x509.KeyUsage(False, False, False, False, False, True, True, False, False)
    ca = (
        builder("ca", ca_key)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(usage, critical=True)
        .add_extension(x509.SubjectKeyIdentifier.from_public_key(ca_key.public_key()), False)
        .sign(ca_key, hashes.SHA256())
    )
    write("ca", ca, None)
    authority = x509.AuthorityKeyIdentifier.from_issuer_public_key(ca_key.public_key())
    for name in names:
        key = ec.generate_private_key(ec.SECP256R1())
        localhost = [
            x509.DNSName("localhost"),
            x509.IPAddress(ipaddress.ip_address("127.0.0.1")),
        ]
        certificate = (
            builder(name, key)
            .add_extension(x509.SubjectAlternativeName(localhost), critical=False)
            .add_extension(authority, critical=False)
            .sign(ca_key, hashes.SHA256())
        )
        write(name, certificate, key)
