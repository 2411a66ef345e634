"""Several TLS records in one segment: no event of the socket tells of the second one."""

from __future__ import annotations

import socket
import ssl
from pathlib import Path

import pytest

from pynetdicom import AE, build_context
from pynetdicom.dimse.messages import fragments
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.upper_layer import acse, pdu
from tests.examples.certificates import write_certificates

VERIFICATION = "1.2.840.10008.1.1"


class Peer:
    """A requestor that decides what leaves together."""

    def __init__(self, sock: socket.socket, context: ssl.SSLContext) -> None:
        self._socket = sock
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self._object = context.wrap_bio(self._in, self._out, server_hostname="localhost")

    def _wait(self) -> None:
        self._socket.sendall(self._out.read())
        received = self._socket.recv(65536)
        assert received, "closed"
        self._in.write(received)

    def handshake(self) -> None:
        while True:
            try:
                return self._object.do_handshake()
            except ssl.SSLWantReadError:
                self._wait()

    def send(self, *records: bytes) -> None:
        """Send each part as a record of its own, all in one segment."""
        for record in records:
            self._object.write(record)
        self._socket.sendall(self._out.read())

    def receive(self) -> bytes:
        while True:
            try:
                return self._object.read(65536)
            except ssl.SSLWantReadError:
                self._wait()


@pytest.mark.parametrize("cut", [1, 6, 20])
def test_a_message_in_two_records(cut: int, tmp_path: Path) -> None:
    write_certificates(tmp_path, ("scp",))
    server_context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server_context.load_cert_chain(tmp_path / "scp.pem", tmp_path / "scp.key")
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False, ssl_context=server_context)
    try:
        with socket.create_connection(server.server_address[:2], 10) as sock:
            peer = Peer(sock, ssl.create_default_context(cafile=str(tmp_path / "ca.pem")))
            peer.handshake()
            context = build_context(VERIFICATION)
            context.context_id = 1
            request = acse.request(
                called_ae_title="ANY-SCP",
                calling_ae_title="PEER",
                contexts=[context],
                maximum_length=16382,
                implementation_class_uid="1.2.3",
                implementation_version_name=None,
            )
            peer.send(request.encode())
            assert isinstance(pdu.decode_pdu(peer.receive()), pdu.A_ASSOCIATE_AC)
            for message_id in (1, 2):
                echo = C_ECHO(AffectedSOPClassUID=VERIFICATION, MessageID=message_id)
                batches = fragments(1, echo.encode(), None, 16382)
                data = b"".join(bytes(part) for batch in batches for part in batch)
                peer.send(data[:cut], data[cut:])
                assert isinstance(pdu.decode_pdu(peer.receive()), pdu.P_DATA_TF)
            peer.send(pdu.A_RELEASE_RQ().encode())
            assert isinstance(pdu.decode_pdu(peer.receive()), pdu.A_RELEASE_RP)
    finally:
        ae.shutdown()
