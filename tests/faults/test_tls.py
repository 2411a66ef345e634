"""TLS that does not come about: what both sides say of it."""

from __future__ import annotations

import contextlib
import datetime
import logging
import queue
import socket
import ssl
import struct
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE
from pynetdicom.network import dul
from pynetdicom.network.complaints import Complaints
from tests.examples.certificates import write_certificates
from tests.faults.peer import request
from tests.pair import DEADLINE

LOCAL = "127.0.0.1"
VERSIONS = [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3]
LOGGER = logging.getLogger("pynetdicom.lobby")


@pytest.fixture(scope="module")
def certificates(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A directory with certificates, some from an authority that nobody trusts, some expired."""
    directory = tmp_path_factory.mktemp("certificates")
    write_certificates(directory)
    (directory / "stranger").mkdir()
    write_certificates(directory / "stranger")
    return directory


def server_context(directory: Path, trusted: Path | None = None, **options: Any) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(directory / "scp.pem", directory / "scp.key")
    context.load_verify_locations((trusted or directory) / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED
    return with_options(context, **options)


def client_context(trusted: Path, own: Path | None = None, **options: Any) -> ssl.SSLContext:
    context = ssl.create_default_context(cafile=str(trusted / "ca.pem"))
    if own is not None:
        context.load_cert_chain(own / "scu.pem", own / "scu.key")
    return with_options(context, **options)


def with_options(context: ssl.SSLContext, version: ssl.TLSVersion) -> ssl.SSLContext:
    context.minimum_version = context.maximum_version = version
    return context


class Warnings(logging.Handler):
    """What the lobby warns of."""

    def __init__(self) -> None:
        super().__init__(logging.WARNING)
        self.texts: queue.Queue[str] = queue.Queue()

    def emit(self, record: logging.LogRecord) -> None:
        assert record.levelno == logging.WARNING, record.getMessage()
        self.texts.put(record.getMessage())

    def next(self) -> str:
        return self.texts.get(timeout=DEADLINE)


@pytest.fixture
def warnings(monkeypatch: pytest.MonkeyPatch) -> Iterator[Warnings]:
    monkeypatch.setattr(dul, "LINGER", 0.2)
    handler = Warnings()
    LOGGER.addHandler(handler)
    yield handler
    LOGGER.removeHandler(handler)


@contextlib.contextmanager
def serving(context: ssl.SSLContext | None, acse_timeout: float = 30) -> Iterator[Any]:
    scp = AE("SCP")
    scp.acse_timeout = acse_timeout
    scp.add_supported_context("Verification")
    server = scp.start_server((LOCAL, 0), block=False, ssl_context=context)
    assert server is not None
    try:
        yield server
    finally:
        scp.shutdown()


def associate(port: int, context: ssl.SSLContext | None, name: str = "localhost") -> Any:
    scu = AE("SCU")
    scu.add_requested_context("Verification")
    assoc = scu.associate(LOCAL, port, tls_args=(context, name) if context else None)
    scu.shutdown()
    return assoc


def outcome(server: Any, context: ssl.SSLContext | None, name: str = "localhost") -> str:
    """How an association that does not come about has ended, in words."""
    assoc = associate(server.server_address[1], context, name)
    assert not assoc.is_established
    assert assoc.is_aborted
    assert str(assoc.ended).isprintable()
    return str(assoc.ended)


PLAIN_TO_TLS = "the peer has sent an A-ASSOCIATE-RQ without TLS, which this port expects"


@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
class TestBothSides:
    def test_a_plain_client(
        self, certificates: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        with serving(server_context(certificates, version=version)) as server:
            text = outcome(server, None)
            assert text == "connection lost: the peer closed the connection: does it expect TLS?"
            said = warnings.next()
            assert said.startswith("a connection from 127.0.0.1:")
            assert said.endswith(f" failed: {PLAIN_TO_TLS}")

    def test_a_plain_server(
        self, certificates: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        with serving(None) as server:
            context = client_context(certificates, version=version)
            assert "TLS: the peer does not speak TLS" in outcome(server, context)
            assert warnings.next().endswith("the peer asks for TLS, which this port does not speak")

    def test_no_certificate(
        self, certificates: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        with serving(server_context(certificates, version=version)) as server:
            text = outcome(server, client_context(certificates, version=version))
            assert "certificate" in text
            assert "the peer has sent no certificate" in warnings.next()

    def test_a_certificate_of_a_stranger(
        self, certificates: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        stranger = certificates / "stranger"
        with serving(server_context(certificates, version=version)) as server:
            text = outcome(server, client_context(certificates, stranger, version=version))
            assert "our certificate" in text
            assert "the peer's certificate is not accepted: " in warnings.next()

    def test_a_server_that_is_a_stranger(
        self, certificates: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        stranger = certificates / "stranger"
        with serving(server_context(stranger, certificates, version=version)) as server:
            text = outcome(server, client_context(certificates, certificates, version=version))
            assert "no connection: TLS: the peer's certificate is not accepted: " in text
            assert "does not trust the authority of our certificate" in warnings.next()

    def test_a_wrong_name(
        self, certificates: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        with serving(server_context(certificates, version=version)) as server:
            context = client_context(certificates, certificates, version=version)
            text = outcome(server, context, "pacs.example.org")
            assert "not valid for 'pacs.example.org'" in text
            assert "does not accept our certificate" in warnings.next()

    def test_no_version_in_common(
        self, certificates: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        (other,) = set(VERSIONS) - {version}
        with serving(server_context(certificates, version=version)) as server:
            context = client_context(certificates, certificates, version=other)
            assert "none of the TLS versions that we offer" in outcome(server, context)
            assert "no TLS version that is allowed here" in warnings.next()

    def test_an_expired_certificate(
        self, tmp_path: Path, version: ssl.TLSVersion, warnings: Warnings
    ) -> None:
        write_expired(tmp_path)
        server_side = server_context(tmp_path, version=version)
        with serving(server_side) as server:
            text = outcome(server, client_context(tmp_path, tmp_path, version=version))
            assert "not accepted: certificate has expired" in text
            assert "our certificate has expired" in warnings.next()


def write_expired(directory: Path) -> None:
    """Certificates that were valid until yesterday."""

    class Earlier(datetime.datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.datetime.now(tz) - datetime.timedelta(days=3)

    from tests.examples import certificates as module

    class Fake:
        UTC, timedelta, datetime = datetime.UTC, datetime.timedelta, Earlier

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "datetime", Fake)
        write_certificates(directory)


def connect(server: Any) -> socket.socket:
    return socket.create_connection(server.server_address, timeout=DEADLINE)


def test_one_warning_a_minute(certificates: Path, warnings: Warnings) -> None:
    now = 0.0
    with serving(server_context(certificates, version=VERSIONS[1])) as server:
        server._lobby._complaints = Complaints(LOGGER, clock=lambda: now)
        for _ in range(5):
            outcome(server, None)
        assert warnings.next().endswith(PLAIN_TO_TLS)
        now = 60.0
        outcome(server, None)
        assert warnings.next().endswith("(4 more from there since were not logged)")
        assert warnings.texts.empty()
        context = client_context(certificates, certificates, version=VERSIONS[1])
        assoc = associate(server.server_address[1], context)
        assert assoc.ended.kind == "aborted"  # by its shutdown: it had been established
        assert assoc.accepted_contexts


def test_who_says_nothing_is_no_reason_for_a_warning(
    certificates: Path, warnings: Warnings
) -> None:
    """A look whether the port is open, or a peer that is slow to begin."""
    with serving(server_context(certificates, version=VERSIONS[1])) as server:
        with connect(server):
            pass
        reset = connect(server)
        reset.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        reset.close()
        outcome(server, None)  # which is attended to after them
        assert warnings.next().endswith(PLAIN_TO_TLS)
    assert warnings.texts.empty()


HELLO = bytes.fromhex("16030100c8010000c40303") + bytes(20)


def test_the_peer_gives_up_in_the_midst(certificates: Path, warnings: Warnings) -> None:
    with serving(server_context(certificates, version=VERSIONS[1])) as server:
        with connect(server) as peer:
            peer.sendall(HELLO)
        assert "the peer closed the connection in the midst of the handshake" in warnings.next()


def test_a_handshake_that_takes_too_long(certificates: Path, warnings: Warnings) -> None:
    with serving(server_context(certificates, version=VERSIONS[1]), 0.2) as server:
        with connect(server) as peer:
            peer.sendall(HELLO)
            assert peer.recv(1) == b""
        assert "the handshake was not completed in time" in warnings.next()


def test_junk_on_a_plain_port_is_no_reason_for_a_warning(warnings: Warnings) -> None:
    with serving(None) as server:
        with connect(server) as peer:
            peer.sendall(b"GET / HTTP/1.1\r\n\r\n")
            assert peer.recv(10)[:1] == b"\x07"
        with connect(server) as peer:
            peer.sendall(HELLO)
            assert peer.recv(10)[:1] == b"\x07"
        assert "asks for TLS" in warnings.next()
    assert warnings.texts.empty()


@pytest.mark.parametrize("alert", [True, False])
def test_servers_of_others_that_expect_tls(alert: bool) -> None:
    """One that sends a TLS alert to a plain client, and one that resets the connection."""
    with socket.create_server((LOCAL, 0)) as listener:
        scu = AE("SCU")
        scu.add_requested_context("Verification")

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                if alert:
                    peer.recv(65536)
                    peer.sendall(bytes.fromhex("15030100020246"))
                    peer.settimeout(DEADLINE)
                    while peer.recv(100):
                        pass
                else:
                    peer.recv(1)
                    reset = struct.pack("ii", 1, 0)
                    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, reset)

        thread = threading.Thread(target=serve)
        thread.start()
        assoc = scu.associate(LOCAL, listener.getsockname()[1])
        assert str(assoc.ended).endswith("expect TLS?")
        thread.join(DEADLINE)
        scu.shutdown()
    assert not thread.is_alive()


def test_a_server_that_closes_during_the_handshake(certificates: Path) -> None:
    with socket.create_server((LOCAL, 0)) as listener:

        def serve() -> None:
            peer, _ = listener.accept()
            with peer:
                peer.recv(65536)

        thread = threading.Thread(target=serve)
        thread.start()
        context = client_context(certificates, version=VERSIONS[1])
        assoc = associate(listener.getsockname()[1], context)
        thread.join(DEADLINE)
        assert "closed the connection during the handshake: does it speak TLS?" in str(assoc.ended)


def test_a_request_is_still_taken_after_all_that(warnings: Warnings) -> None:
    with serving(None) as server, connect(server) as peer:
        peer.sendall(request())
        assert peer.recv(1) == b"\x02"
    assert warnings.texts.empty()
