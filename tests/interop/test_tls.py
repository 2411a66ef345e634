"""TLS with DCMTK's tools, in both directions."""

from __future__ import annotations

import logging
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE
from pynetdicom.sop_class import Verification
from tests.apps.conftest import CT, CT_JPEG2000, US_JPEG
from tests.examples.certificates import write_certificates
from tests.interop.test_store_scp import Scp, make_scp
from tests.interop.test_store_scu import (
    ae_for,
    assert_same_elements,
    assert_stored,
    bundled,
    read,
    stored_in_order,
)
from tests.sampled import sampled

__all__ = ["make_scp"]  # fixtures

# The suites that DCMTK offers for TLS 1.2 by default are for certificates with RSA keys.
SUITE = "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with certificates, some of them from an authority that nobody trusts."""
    directory = tmp_path_factory.mktemp("certificates")
    write_certificates(directory)
    stranger = directory / "stranger"
    stranger.mkdir()
    write_certificates(stranger)
    return directory


@pytest.fixture(autouse=True)
def has_tls(dcmtk: Any) -> None:
    """DCMTK may have been built without OpenSSL."""
    if "OpenSSL" not in dcmtk.run("echoscu", "--version").stdout:
        pytest.skip("DCMTK's tools were built without TLS")


def server_context(certificates: Path, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificates / "scp.pem", certificates / "scp.key")
    context.load_verify_locations(certificates / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return pinned(context, version)


def client_context(certificates: Path, version: ssl.TLSVersion | None = None) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    context.load_cert_chain(certificates / "scu.pem", certificates / "scu.key")
    return pinned(context, version)


def pinned(context: ssl.SSLContext, version: ssl.TLSVersion | None) -> ssl.SSLContext:
    if version is not None:
        context.minimum_version = context.maximum_version = version
    return context


def options(certificates: Path, name: str, ca: Path | None = None) -> list[object]:
    """What makes a tool of DCMTK's use TLS."""
    own = [certificates / f"{name}.key", certificates / f"{name}.pem"]
    return ["+tls", *own, "+cf", ca or certificates / "ca.pem", "+cs", SUITE]


def says(scp: Scp) -> tuple[str, str]:
    ended = scp.ended()
    return ended.kind, ended.by


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the listener warns of: of each peer once."""
    return [
        record.getMessage().partition(" failed: ")[2]
        for record in caplog.records
        if record.name == "pynetdicom.lobby" and record.levelno == logging.WARNING
    ]


# DCMTK requests


@sampled("version", VERSIONS, ids=lambda version: version.name)
def test_dcmtk_to_ours(
    dcmtk: Any, make_scp: Callable[[], Scp], certificates: Path, version: ssl.TLSVersion
) -> None:
    scp = make_scp().start(ssl_context=server_context(certificates, version))
    own = options(certificates, "scu")
    dcmtk.run("echoscu", *own, "--repeat", 5, "127.0.0.1", scp.port, check=True)
    assert says(scp) == ("released", "peer")
    files = [CT, US_JPEG]
    dcmtk.run("storescu", *own, "-xy", "127.0.0.1", scp.port, *files, check=True)
    assert says(scp) == ("released", "peer")
    for path, item in zip(files, scp.stored, strict=True):
        assert_same_elements(bundled(path), read(item.path))
    dcmtk.run("echoscu", *own, "--abort", "127.0.0.1", scp.port, check=True)
    assert says(scp) == ("aborted", "peer")


def test_dcmtk_without_a_certificate_that_we_know(
    dcmtk: Any, make_scp: Callable[[], Scp], certificates: Path
) -> None:
    scp = make_scp().start(ssl_context=server_context(certificates))
    address = ["127.0.0.1", scp.port]
    ca = certificates / "ca.pem"
    for own in ([], options(certificates / "stranger", "scu", ca), ["+tla", "+cf", ca]):
        assert dcmtk.run("echoscu", *own, *address).returncode != 0
    assert scp.associations == []
    dcmtk.run("echoscu", *options(certificates, "scu"), *address, check=True)


def test_dcmtk_without_a_certificate_where_none_is_needed(
    dcmtk: Any, make_scp: Callable[[], Scp], certificates: Path
) -> None:
    context = server_context(certificates)
    context.verify_mode = ssl.CERT_NONE
    scp = make_scp().start(ssl_context=context)
    anonymous = ["+tla", "+cf", certificates / "ca.pem"]
    dcmtk.run("echoscu", *anonymous, "127.0.0.1", scp.port, check=True)


def test_dcmtk_does_not_trust_us(
    dcmtk: Any, make_scp: Callable[[], Scp], certificates: Path
) -> None:
    scp = make_scp().start(ssl_context=server_context(certificates))
    own = options(certificates, "scu", certificates / "stranger" / "ca.pem")
    result = dcmtk.run("echoscu", *own, "127.0.0.1", scp.port)
    assert result.returncode != 0
    assert "certificate verify failed" in result.stdout
    assert scp.stored == []


def test_dcmtk_with_tls_to_a_plain_port(
    dcmtk: Any, make_scp: Callable[[], Scp], certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scp = make_scp().start()
    address = ["127.0.0.1", scp.port]
    for _ in range(2):
        assert dcmtk.run("echoscu", *options(certificates, "scu"), *address).returncode != 0
    dcmtk.run("echoscu", *address, check=True)
    assert warnings(caplog) == ["the peer asks for TLS, which this port does not speak"]


def test_dcmtk_without_tls_to_a_tls_port(
    dcmtk: Any, make_scp: Callable[[], Scp], certificates: Path, caplog: pytest.LogCaptureFixture
) -> None:
    scp = make_scp().start(ssl_context=server_context(certificates))
    address = ["127.0.0.1", scp.port]
    for _ in range(2):
        assert dcmtk.run("echoscu", *address).returncode != 0
    dcmtk.run("echoscu", *options(certificates, "scu"), *address, check=True)
    expected = "the peer has sent an A-ASSOCIATE-RQ without TLS, which this port expects"
    assert warnings(caplog) == [expected]


# We request


@sampled("version", VERSIONS, ids=lambda version: version.name)
def test_ours_to_dcmtk(dcmtk: Any, certificates: Path, version: ssl.TLSVersion) -> None:
    scp = dcmtk.storescp(*options(certificates, "scp"), "+B", "+xa", "+uf")
    files = [CT, US_JPEG, CT_JPEG2000]
    ae = ae_for(files)
    ae.add_requested_context(Verification)
    context = client_context(certificates, version)
    assoc = ae.associate("127.0.0.1", scp.port, tls_args=(context, "localhost"))
    assert assoc.is_established, assoc.ended
    assert assoc.send_c_echo().Status == 0x0000
    assert {status.Status for _, status in assoc.send_c_stores(files)} == {0x0000}
    assoc.release()
    assert str(assoc.ended) == "released by the local side"
    for path, copy in zip(files, stored_in_order(scp), strict=True):
        assert_stored(path, copy)


def echo(port: int, context: ssl.SSLContext | None, name: str = "localhost") -> Any:
    """An association that was requested of `port`."""
    ae = AE()
    ae.acse_timeout = ae.connection_timeout = 60
    ae.add_requested_context(Verification)
    return ae.associate("127.0.0.1", port, tls_args=(context, name) if context else None)


def test_who_does_not_trust_whom(dcmtk: Any, certificates: Path) -> None:
    scp = dcmtk.storescp(*options(certificates, "scp"))
    trusting = client_context(certificates)
    stranger = client_context(certificates / "stranger")
    unknown = ssl.create_default_context(cafile=str(certificates / "ca.pem"))
    unknown.load_cert_chain(
        certificates / "stranger" / "scu.pem", certificates / "stranger" / "scu.key"
    )
    nameless = ssl.create_default_context(cafile=str(certificates / "ca.pem"))

    not_theirs = echo(scp.port, stranger)
    assert not_theirs.is_aborted
    assert isinstance(not_theirs.ended.error, ssl.SSLCertVerificationError)
    wrong_name = echo(scp.port, trusting, "pacs.example.org")
    assert isinstance(wrong_name.ended.error, ssl.SSLCertVerificationError)
    for context, words in ((unknown, "TLS"), (nameless, "TLS"), (None, "expect TLS?")):
        assoc = echo(scp.port, context)
        assert not assoc.is_established
        assert assoc.is_aborted
        assert words in str(assoc.ended) or "our certificate" in str(assoc.ended)

    assoc = echo(scp.port, trusting)
    assert assoc.is_established, assoc.ended
    assoc.release()


def test_tls_to_a_plain_port(dcmtk: Any, certificates: Path) -> None:
    scp = dcmtk.storescp("-ta", "2")
    assoc = echo(scp.port, client_context(certificates))
    assert assoc.is_aborted
    assert assoc.ended.kind == "failed"
    assert "speak TLS" in str(assoc.ended)
    again = echo(scp.port, None)
    assert again.is_established
    again.release()
