"""TLS by the profiles: what is offered, files at fault, files that change, and the end of a
certificate."""

from __future__ import annotations

import contextlib
import datetime
import logging
import os
import shutil
import ssl
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom import AE
from pynetdicom.errors import TLSFileProblem
from pynetdicom.sop_class import Verification
from pynetdicom.tls import PROFILES, Context, client_context, server_context
from pynetdicom.tls_files import not_after
from tests.examples.certificates import revoke, write_certificates
from tests.faults.peer import until

LOCAL = "127.0.0.1"


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Certificates of one authority; of another one; of RSA; of a weak one; that end soon."""
    place = tmp_path_factory.mktemp("made")
    for name, options in {
        ".": {"days": 100}, "other": {"days": 100}, "rsa": {"rsa": 2048}, "weak": {"rsa": 1024},
        "soon": {"days": 10.5}, "late": {"days": -3.5},
    }.items():  # fmt: skip
        (place / name).mkdir(exist_ok=True)
        write_certificates(place / name, **options)  # type: ignore[arg-type]  # any of them
    both = [(place / name).read_text() for name in ("scp.pem", "scp.key")]
    (place / "both.pem").write_text("".join(both))
    (place / "junk").write_text("junk")
    (place / "empty").touch()
    (place / "bare").mkdir()
    command = ["openssl", "pkcs8", "-topk8", "-in", "scp.key", "-out", "locked.key"]
    subprocess.run([*command, "-passout", "pass:x"], cwd=place, check=True, capture_output=True)
    return place


@pytest.fixture
def place(made: Path, tmp_path: Path) -> Path:
    """A directory of one's own with them."""
    shutil.copytree(made, tmp_path / "own")
    return tmp_path / "own"


def server(place: Path, **options: Any) -> Context:
    return server_context(certificate=place / "scp.pem", key=place / "scp.key", **options)


def client(place: Path, **options: Any) -> Context:
    return client_context(authorities=place / "ca.pem", **options)


def handshake(
    theirs: ssl.SSLContext, ours: ssl.SSLContext, name: str = "localhost"
) -> tuple[ssl.SSLObject, ssl.SSLObject]:
    """Without a network: both sides, the listening one first."""
    a, b = ssl.MemoryBIO(), ssl.MemoryBIO()
    sides = theirs.wrap_bio(a, b, server_side=True), ours.wrap_bio(b, a, server_hostname=name)
    waiting = {sides[1], sides[0]}
    for _ in range(10):
        for side in (sides[1], sides[0]):
            try:
                side.do_handshake()
                waiting.discard(side)
            except ssl.SSLWantReadError:
                continue
    assert not waiting
    with contextlib.suppress(ssl.SSLWantReadError):
        sides[1].read(1)  # with TLS 1.3 the server's refusal comes with the first data
    return sides


def serial(theirs: ssl.SSLContext, ours: ssl.SSLContext) -> str:
    """That of the certificate that the server shows."""
    certificate: Any = handshake(theirs, ours)[1].getpeercert()
    return str(certificate["serialNumber"])


def renew(place: Path, source: Path) -> None:
    """Another certificate and key, and the authority of it, in the files."""
    for name in ("scp.pem", "scp.key", "ca.pem"):
        shutil.copy(source / name, place / name)


def texts(caplog: pytest.LogCaptureFixture, level: int) -> list[str]:
    return [
        one.getMessage()
        for one in caplog.records
        if one.name == "pynetdicom.tls" and one.levelno == level
    ]


# Profiles

SUITES = [(profile, suite) for profile in PROFILES for suite in PROFILES[profile].cipher_suites]


@pytest.mark.parametrize(("profile", "suite"), SUITES)
def test_each_suite_of_a_profile(made: Path, profile: str, suite: str) -> None:
    place = made if "ECDSA" in suite else made / "rsa"
    theirs = server(place, profile=profile)
    ours = client(place, profile=profile)
    ours.maximum_version = ssl.TLSVersion.TLSv1_2
    ours.set_ciphers(suite)
    for side in handshake(theirs, ours):
        cipher: Any = side.cipher()
        assert (cipher[0], side.version(), side.compression()) == (suite, "TLSv1.2", None)


@pytest.mark.parametrize("profile", PROFILES)
def test_nothing_else_is_offered(made: Path, profile: str) -> None:
    for context in (server(made, profile=profile), client(made, profile=profile)):
        offered = {one["name"] for one in context.get_ciphers()}
        assert {name for name in offered if not name.startswith("TLS_")} == set(
            PROFILES[profile].cipher_suites
        )
        assert context.minimum_version == ssl.TLSVersion.TLSv1_2
        assert context.security_level == 2
        wanted = ssl.OP_NO_COMPRESSION | ssl.OP_NO_RENEGOTIATION | ssl.OP_NO_TICKET
        assert context.options & wanted == wanted


@pytest.mark.parametrize("profile", PROFILES)
def test_the_newest_version_is_taken(made: Path, profile: str) -> None:
    theirs, ours = handshake(server(made, profile=profile), client(made, profile=profile))
    assert theirs.version() == ours.version() == "TLSv1.3"
    assert ours.session is None or not ours.session.has_ticket


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize("suite", ["AES128-GCM-SHA256", "ECDHE-ECDSA-AES128-SHA256"])
def test_other_suites_and_versions_are_refused(made: Path, profile: str, suite: str) -> None:
    old = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    old.load_verify_locations(made / "ca.pem")
    old.set_ciphers(suite)
    old.maximum_version = ssl.TLSVersion.TLSv1_2
    with pytest.raises(ssl.SSLError):
        handshake(server(made, profile=profile), old)


def test_it_is_to_be_had_from_the_package() -> None:
    import pynetdicom

    assert pynetdicom.tls.server_context is server_context
    assert pynetdicom.identity.PasswordFile


def test_what_is_no_profile(made: Path) -> None:
    for make in (server, client):
        with pytest.raises(ValueError, match="no TLS profile 'x'; there are bcp195, bcp195-mod"):
            make(made, profile="x")


# Who is verified


def test_the_host_name_is_verified(made: Path) -> None:
    with pytest.raises(ssl.SSLCertVerificationError, match="Hostname mismatch"):
        handshake(server(made), client(made), "elsewhere")
    handshake(server(made), client(made), LOCAL)
    handshake(server(made), client(made, check_hostname=False), "elsewhere")


def test_the_authority_is_verified(made: Path) -> None:
    for ours in (client(made / "other"), client_context()):
        with pytest.raises(ssl.SSLCertVerificationError):
            handshake(server(made), ours)
    handshake(server(made), client(made / "other", verify=False), "elsewhere")
    both = [made / "other" / "ca.pem", made / "ca.pem"]
    handshake(server(made), client_context(authorities=both))
    handshake(server(made), client_context(authorities=made))


@pytest.mark.parametrize(
    ("clients", "own", "is_let_in"),
    [
        (None, "", True), (None, "none", False), (None, "other", False),
        ("require", "", True), ("require", "none", False), ("require", "other", False),
        ("verify", "", True), ("verify", "none", True), ("verify", "other", False),
        ("ignore", "", True), ("ignore", "none", True), ("ignore", "other", True),
    ],
)  # fmt: skip
def test_which_clients_are_let_in(made: Path, clients: Any, own: str, is_let_in: bool) -> None:
    theirs = server(made, authorities=made / "ca.pem", clients=clients)
    names = {"certificate": made / own / "scu.pem", "key": made / own / "scu.key"}
    ours = client(made, **(names if own != "none" else {}))
    if is_let_in:
        handshake(theirs, ours)
    else:
        with pytest.raises(ssl.SSLError):
            handshake(theirs, ours)


def test_arguments_that_do_not_go_together(made: Path) -> None:
    with pytest.raises(ValueError, match="needs authorities that vouch for them"):
        server(made, clients="require")
    with pytest.raises(ValueError, match="one of require, verify, ignore"):
        server(made, clients="x")
    with pytest.raises(ValueError, match="'key' needs a certificate too"):
        client(made, key="scu.key")


# Files

WRONG = [
    (("missing", "scp.key", None), "certificate", "missing", "No such file"),
    (("junk", "scp.key", None), "certificate", "junk", "no certificates in PEM form"),
    (("empty", "scp.key", None), "certificate", "empty", "no certificates in PEM form"),
    (("scp.key", "scp.key", None), "certificate", "scp.key", "no certificates in PEM form"),
    (("scp.pem", None, None), "certificate", "scp.pem", "no private key in it"),
    (("scp.pem", "missing", None), "key", "missing", "No such file"),
    (("scp.pem", "junk", None), "key", "junk", "no private key in PEM form"),
    (("scp.pem", "scp.pem", None), "key", "scp.pem", "no private key in PEM form"),
    (("scp.pem", "locked.key", None), "key", "locked.key", "the key is encrypted"),
    (("scp.pem", "scu.key", None), "key", "scu.key", "not the key of the certificate"),
    (("weak/scp.pem", "weak/scp.key", None), "certificate", "weak/scp.pem", "must have 2048 bits"),
    (("scp.pem", "scp.key", "missing"), "authorities", "missing", "No such file"),
    (("scp.pem", "scp.key", "junk"), "authorities", "junk", "no certificates in PEM form"),
    (("scp.pem", "scp.key", "scp.key"), "authorities", "scp.key", "no certificates in PEM form"),
    (("scp.pem", "scp.key", "bare"), "authorities", "bare", "no file of this directory"),
    (("scp.pem", "scp.key", "ca.pem", "junk"), "crl", "junk", "no list of revoked certificates"),
    (("scp.pem", "scp.key", "ca.pem", "missing"), "crl", "missing", "No such file"),
]


@pytest.mark.parametrize(("names", "what", "file", "why"), WRONG, ids=str)
@pytest.mark.parametrize("make", [server_context, client_context])
def test_files_that_are_at_fault(
    made: Path, make: Callable[..., Context], names: tuple[str, ...], what: str, file: str, why: str
) -> None:
    options = {
        option: made / one
        for option, one in zip(("certificate", "key", "authorities", "crls"), names, strict=False)
        if one is not None
    }
    with pytest.raises(TLSFileProblem) as caught:
        make(**options)
    assert str(caught.value).startswith(f"{what}: {made / file}: ")
    assert why in caught.value.why
    assert (caught.value.what, caught.value.path) == (what, str(made / file))


def test_key_and_certificate_in_one_file(made: Path) -> None:
    handshake(server_context(certificate=made / "both.pem"), client(made))


# Files that change


@pytest.mark.parametrize("settles", [True, False])
def test_the_next_handshake_has_the_files_as_they_are(place: Path, settles: bool) -> None:
    theirs, ours = server(place, authorities=place / "ca.pem", clients="verify"), client(place)
    before = serial(theirs, ours)
    if settles:
        age(place)
    assert serial(theirs, ours) == before
    renew(place, place / "other")
    if settles:
        age(place, 50)
    after = serial(theirs, ours)
    assert after != before
    assert after == serial(server(place / "other"), client(place / "other"))
    assert serial(theirs, ours) == after


def age(place: Path, seconds: float = 100) -> None:
    """Have the files be as old as that: their times are then not those of now."""
    for path in place.glob("*.*"):
        os.utime(path, (time.time() - seconds,) * 2)


def test_who_is_no_longer_trusted(place: Path) -> None:
    own = {"certificate": place / "other" / "scu.pem", "key": place / "other" / "scu.key"}
    trusted = place / "trusted.d"
    trusted.mkdir()
    for name in (".", "other"):
        shutil.copy(place / name / "ca.pem", trusted / f"{name.strip('.') or 'own'}.pem")
    theirs = server(place, authorities=trusted)
    handshake(theirs, client(place, **own))
    (trusted / "other.pem").unlink()
    with pytest.raises(ssl.SSLError):
        handshake(theirs, client(place, **own))


def test_who_is_revoked(place: Path) -> None:
    path = revoke(place, "scp")
    own = {"certificate": place / "scu.pem", "key": place / "scu.key"}
    theirs = server(place, authorities=place / "ca.pem", crls=path)
    handshake(theirs, client(place, **own))
    with pytest.raises(ssl.SSLCertVerificationError, match="certificate revoked"):
        handshake(theirs, client(place, **own, crls=[path]))
    for names, days in ((("scu",), 1), ((), -1)):
        revoke(place, *names, days=days)
        with pytest.raises(ssl.SSLError):
            handshake(theirs, client(place, **own))
    revoke(place)
    handshake(theirs, client(place, **own, crls=path))
    both = [place / "ca.pem", place / "other" / "ca.pem"]
    with pytest.raises(ssl.SSLCertVerificationError, match="CRL"):
        handshake(server(place / "other"), client_context(authorities=both, crls=path))


FAULTS: dict[str, Callable[[Path], object]] = {
    "No such file": lambda place: (place / "scp.key").unlink(),
    "not the key of": lambda place: shutil.copy(place / "scu.key", place / "scp.key"),
    "no certificates": lambda place: (place / "scp.pem").write_text("junk"),
    "too weak": lambda place: renew(place, place / "weak"),
    "authorities: ": lambda place: (place / "ca.pem").write_text(""),
}


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("settles", [True, False])
def test_new_files_that_are_at_fault(
    made: Path, place: Path, fault: str, settles: bool, caplog: pytest.LogCaptureFixture
) -> None:
    ours = client_context(authorities=[made / "ca.pem", made / "other" / "ca.pem"])
    theirs = server(place, authorities=place / "ca.pem", clients="verify")
    before = serial(theirs, ours)
    FAULTS[fault](place)
    if settles:
        age(place)
    for _ in range(3):
        assert serial(theirs, ours) == before
    (said,) = texts(caplog, logging.ERROR)
    assert said.startswith("TLS goes on with the files that were read before: ")
    assert fault in said
    with pytest.raises(TLSFileProblem, match=fault):
        theirs.reload()
    assert serial(theirs, ours) == before
    renew(place, made / "other")
    assert serial(theirs, ours) == serial(server(made / "other"), ours) != before
    renew(place, made)
    assert serial(theirs, ours) == before
    assert len(texts(caplog, logging.ERROR)) == 1


def test_reload_on_request(place: Path, caplog: pytest.LogCaptureFixture) -> None:
    theirs = server(place)
    caplog.set_level(logging.INFO, "pynetdicom.tls")
    theirs.reload()
    assert [one for one in texts(caplog, logging.INFO) if "read again" in one]
    handshake(theirs, client(place))


def test_what_is_set_is_kept(place: Path) -> None:
    theirs, ours = server(place), client(place)
    theirs.maximum_version = ssl.TLSVersion.TLSv1_2
    theirs.set_ciphers("ECDHE-ECDSA-AES256-GCM-SHA384")
    renew(place, place / "other")
    for version, later in (("TLSv1.2", "TLSv1_3"), ("TLSv1.3", "TLSv1_2"), ("TLSv1.2", "TLSv1_2")):
        side = handshake(theirs, ours)[1]
        assert side.version() == version
        assert version != "TLSv1.2" or side.cipher()[0] == "ECDHE-ECDSA-AES256-GCM-SHA384"  # type: ignore[index]
        theirs.maximum_version = ssl.TLSVersion[later]
    ours.check_hostname = False
    handshake(theirs, ours, "elsewhere")
    theirs.verify_mode = ssl.CERT_REQUIRED
    with pytest.raises(ssl.SSLError):
        handshake(theirs, ours)


# The end of a certificate


@pytest.mark.parametrize("name", [".", "soon", "late", "rsa"])
def test_when_it_ends(made: Path, name: str) -> None:
    said = subprocess.run(
        ["openssl", "x509", "-noout", "-enddate", "-in", made / name / "scp.pem"],
        check=True, capture_output=True, text=True,
    ).stdout  # fmt: skip
    end = server(made / name).expires
    assert end is not None
    assert end.tzinfo is datetime.UTC
    assert f"notAfter={end:%b} {end.day:2} {end:%H:%M:%S %Y} GMT" == said.strip()
    assert client(made).expires is None


@pytest.mark.parametrize("year", [1950, 1999, 2000, 2026, 2049, 2050, 2100, 9999])
def test_ends_of_all_times(year: int) -> None:
    x509 = pytest.importorskip("cryptography.x509")
    from cryptography.hazmat.primitives import hashes, serialization
    from cryptography.hazmat.primitives.asymmetric import ec

    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "n" * 64)] * 3)
    end = datetime.datetime(year, 12, 31, 23, 59, 59, tzinfo=datetime.UTC)
    certificate = (
        x509.CertificateBuilder().subject_name(name).issuer_name(name)
        .public_key(key.public_key()).serial_number(x509.random_serial_number())
        .not_valid_before(end - datetime.timedelta(hours=1)).not_valid_after(end)
        .sign(key, hashes.SHA256())
    )  # fmt: skip
    der = certificate.public_bytes(serialization.Encoding.DER)
    assert not_after(der) == end


@given(st.binary())
def test_junk_is_no_certificate(data: bytes) -> None:
    with pytest.raises((ValueError, IndexError)):
        not_after(data)


@pytest.mark.parametrize(
    ("name", "level", "words"),
    [
        (".", logging.INFO, "in 100 days"),
        ("soon", logging.WARNING, "in 10 days"),
        ("late", logging.ERROR, "4 days ago"),
    ],
)
def test_the_log_has_the_end(
    made: Path, name: str, level: int, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO, "pynetdicom.tls")
    context = server(made / name)
    (one,) = caplog.records
    assert one.levelno == level
    assert words in one.getMessage()
    assert str(made / name / "scp.pem") in one.getMessage()
    handshake(context, client(made / name, verify=False))
    assert caplog.records == [one]


def test_the_log_has_the_end_when_it_comes(
    made: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    context, ours = server(made), client(made, verify=False)
    day, now = 86400.0, time.time()
    said = []
    for later in (10, 69, 71, 71.5, 73, 99.5, 100.5, 100.7, 102):
        monkeypatch.setattr(time, "time", lambda later=later: now + later * day)
        caplog.clear()
        handshake(context, ours)
        said.append((later, [one.levelname for one in caplog.records]))
    warned, failed = ["WARNING"], ["ERROR"]
    assert said == [
        (10, []), (69, []), (71, warned), (71.5, []), (73, warned), (99.5, warned),
        (100.5, failed), (100.7, []), (102, failed),
    ]  # fmt: skip


# Of an application entity, and its server


@pytest.fixture
def ae() -> Iterator[AE]:
    with AE("BOTH") as entity:
        entity.acse_timeout = entity.connection_timeout = 60
        entity.add_supported_context(Verification)
        entity.add_requested_context(Verification)
        yield entity


def port_of(ae: AE, **options: Any) -> int:
    listener = ae.start_server((LOCAL, 0), block=False, **options)
    assert listener is not None
    return int(listener.server_address[1])


def test_associate_and_serve(made: Path, ae: AE, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO, "pynetdicom")
    port = port_of(ae, tls=server(made, authorities=made / "ca.pem"))
    own = {"certificate": made / "scu.pem", "key": made / "scu.key"}
    assoc = ae.associate(LOCAL, port, tls=client(made, **own))
    assert assoc.is_established, assoc.ended
    assert assoc.dul.socket.is_tls
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    said = [one.getMessage() for one in caplog.records if "over TLS" in one.getMessage()]
    assert len(said) == 2  # on each side
    assert all(one.endswith(", over TLSv1.3") for one in said)


def test_the_host_name_is_that_of_the_address(tmp_path: Path, ae: AE) -> None:
    write_certificates(tmp_path, host="pacs.example.org")
    port = port_of(ae, tls=server(tmp_path))
    assoc = ae.associate(LOCAL, port, tls=client(tmp_path))
    assert not assoc.is_established
    assert "IP address mismatch" in str(assoc.ended)
    assoc = ae.associate(LOCAL, port, tls_args=(client(tmp_path), "pacs.example.org"))
    assert assoc.is_established
    assoc.release()


@pytest.mark.parametrize("profile", PROFILES)
def test_a_profile_by_its_keyword(made: Path, ae: AE, profile: str) -> None:
    port = port_of(ae, tls=server(made))
    assoc = ae.associate(LOCAL, port, tls=profile)
    assert not assoc.is_established  # the system does not know that authority
    assert "certificate is not accepted" in str(assoc.ended)


@pytest.mark.threads("names arguments of this face")
def test_what_is_no_tls(made: Path, ae: AE) -> None:
    ours, theirs = client(made), server(made)
    for tls, error, words in (
        ("x", ValueError, "no TLS profile"),
        (1, TypeError, "keyword of a profile or an ssl.SSLContext"),
        (theirs, ValueError, "context of a server: PROTOCOL_TLS_CLIENT"),
    ):
        with pytest.raises(error, match=words):
            ae.associate(LOCAL, 1, tls=tls)  # type: ignore[arg-type]  # on purpose
    with pytest.raises(ValueError, match="not to be given both"):
        ae.associate(LOCAL, 1, tls=ours, tls_args=(ours, "localhost"))
    for tls, error, words in (
        ("bcp195", ValueError, r"give it pynetdicom.tls.server_context\('bcp195'"),
        ("x", ValueError, "no TLS profile"),
        (1, TypeError, "keyword of a profile or an ssl.SSLContext"),
        (ours, ValueError, "context of a client: PROTOCOL_TLS_SERVER"),
    ):
        with pytest.raises(error, match=words):
            port_of(ae, tls=tls)
    with pytest.raises(ValueError, match="not to be given both"):
        port_of(ae, tls=theirs, ssl_context=theirs)
    with pytest.raises(ValueError, match="'plain_too' is about a server that has TLS"):
        port_of(ae, plain_too=True)


def test_one_port_for_both_when_told_so(made: Path, ae: AE) -> None:
    listener = ae.start_server((LOCAL, 0), block=False, tls=server(made), plain_too=True)
    assert listener is not None
    port = listener.server_address[1]
    for tls in (client(made), None, client(made), None):
        assoc = ae.associate(LOCAL, port, tls=tls)
        assert assoc.is_established, assoc.ended
        assert assoc.dul.socket.is_tls is (tls is not None)
        assert assoc.send_c_echo().Status == 0x0000
        (theirs,) = listener.active_associations
        assert theirs.dul.socket.is_tls is (tls is not None)
        assoc.release()
        theirs.join(60)
    assoc = ae.associate(LOCAL, port_of(ae, tls=server(made)))
    assert not assoc.is_established


SILENT = """
import socket, sys
port, count = map(int, sys.argv[1:])
hello = bytes.fromhex("16030100c8010000c40303")  # the beginning of a ClientHello
peers = [socket.create_connection(("127.0.0.1", port)) for _ in range(count)]
for peer in peers[::2]:
    peer.sendall(hello)
print("ready", flush=True)
sys.stdin.read()
"""


@pytest.mark.parametrize("plain_too", [False, True])
def test_500_silent_handshakes_delay_nobody(made: Path, ae: AE, plain_too: bool) -> None:
    ae.acse_timeout = 3600
    listener = ae.start_server((LOCAL, 0), block=False, tls=server(made), plain_too=plain_too)
    assert listener is not None
    port = listener.server_address[1]
    with subprocess.Popen(
        [sys.executable, "-c", SILENT, str(port), "500"],
        stdin=subprocess.PIPE, stdout=subprocess.PIPE,
    ) as silent:  # fmt: skip
        assert silent.stdout is not None
        assert silent.stdin is not None
        assert silent.stdout.readline() == b"ready\n"
        for tls in [client(made)] * 5 + [None] * plain_too:
            assoc = ae.associate(LOCAL, port, tls=tls)
            assert assoc.is_established, assoc.ended
            assert assoc.send_c_echo().Status == 0x0000
            assoc.release()
        assert until(lambda: len(listener._lobby) == 500)
        silent.stdin.close()


def test_files_change_during_100_associations(
    made: Path, place: Path, ae: AE, caplog: pytest.LogCaptureFixture
) -> None:
    """Each has what is there when it begins; those that are there already go on."""
    sources = [made, made / "other"]
    pairs = [
        "".join((one / name).read_text() for name in ("scp.pem", "scp.key")) for one in sources
    ]
    path = place / "both.pem"
    port = port_of(ae, tls=server_context(certificate=path))
    ours = client_context(authorities=[one / "ca.pem" for one in sources])
    due = [serial(server(one), client(one)) for one in sources]
    ae.maximum_associations = 200
    kept = []
    for number in range(50):
        (place / "new").write_text(pairs[number // 5 % 2])
        (place / "new").replace(path)
        with ThreadPoolExecutor(2) as pool:
            made_now = [pool.submit(ae.associate, LOCAL, port, tls=ours) for _ in range(2)]
        for future in made_now:
            assoc = future.result()
            assert assoc.is_established, assoc.ended
            certificate = assoc.dul.socket.socket.getpeercert()
            assert certificate["serialNumber"] == due[number // 5 % 2]
            kept.append(assoc)
    assert len(kept) == 100
    for assoc in kept:
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
    assert texts(caplog, logging.ERROR) == []
