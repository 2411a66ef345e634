"""A peer made of a bare socket: it sends any bytes and sees exactly which come back."""

from __future__ import annotations

import contextlib
import socket
import struct
import time
from collections.abc import Callable
from types import TracebackType
from typing import Any, NamedTuple

from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.primitives import C_ECHO, C_STORE, Primitive
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
IMPLICIT = "1.2.840.10008.1.2"

RELEASE_RQ = bytes.fromhex("05 00 00000004 00000000")
RELEASE_RP = bytes.fromhex("06 00 00000004 00000000")


def abort(source: int, reason: int) -> bytes:
    return bytes((7, 0, 0, 0, 0, 4, 0, 0, source, reason))


def reject(result: int, source: int, reason: int) -> bytes:
    return bytes((3, 0, 0, 0, 0, 4, 0, result, source, reason))


def request(*contexts: items.PresentationContextRQ, **fields: Any) -> bytes:
    """An A-ASSOCIATE-RQ; for Verification as context 1 if nothing is said."""
    given: dict[str, Any] = {"called_ae_title": "ANY-SCP", "calling_ae_title": "PEER", **fields}
    return pdus.A_ASSOCIATE_RQ(
        presentation_contexts=list(contexts)
        or [
            items.PresentationContextRQ(
                context_id=1, abstract_syntax=VERIFICATION, transfer_syntaxes=[IMPLICIT]
            )
        ],
        user_information=[
            items.MaximumLengthNotification(maximum_length_received=16382),
            items.ImplementationClassUIDNotification(implementation_class_uid="1.2.3"),
        ],
        **given,
    ).encode()


def pdv(context_id: int, control: int, data: bytes) -> bytes:
    return struct.pack(">IBB", len(data) + 2, context_id, control) + data


def p_data(*pdvs: bytes) -> bytes:
    body = b"".join(pdvs)
    return struct.pack(">BxI", 4, len(body)) + body


def echo_rq(message_id: int = 1, context_id: int = 1) -> bytes:
    command = C_ECHO(MessageID=message_id, AffectedSOPClassUID=VERIFICATION).encode()
    return p_data(pdv(context_id, 3, command))


def changed(data: bytes, at: int, to: bytes) -> bytes:
    return data[:at] + to + data[at + len(to) :]


def context(
    context_id: int, uid: str = VERIFICATION, *transfer: str
) -> items.PresentationContextRQ:
    return items.PresentationContextRQ(
        context_id=context_id, abstract_syntax=uid, transfer_syntaxes=list(transfer or (IMPLICIT,))
    )


STORE = C_STORE(MessageID=1, AffectedSOPClassUID=CT, Priority=2, AffectedSOPInstanceUID="1.2.3.4")


def store_command() -> bytes:
    """The command set of a C-STORE-RQ that says a data set follows."""
    encoded = STORE.encode()
    # Command Data Set Type
    at = encoded.index(struct.pack("<HHI", 0, 0x0800, 2)) + 8
    return changed(encoded, at, struct.pack("<H", 0x0001))


BOTH = request(context(1), context(3, CT), context(5, "1.2.3.4.5"))
BEGUN = p_data(pdv(3, 3, store_command())) + p_data(pdv(3, 0, bytes(500)))


class Received(NamedTuple):
    """A message that was received."""

    context_id: int
    primitive: Primitive
    data: bytes | None


class Peer:
    """The peer's end of a connection.

    Reading raises `TimeoutError` when what was expected does not come within `patience` seconds.
    """

    patience = 300.0

    def __init__(self, sock: socket.socket) -> None:
        self.socket = sock
        sock.settimeout(self.patience)
        self._buffer = b""

    @classmethod
    def connect(cls, address: tuple[Any, ...], *, receive_buffer: int | None = None) -> Peer:
        family = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        sock = socket.socket(family)
        if receive_buffer is not None:
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        sock.settimeout(cls.patience)
        try:
            sock.connect(address)
        except BaseException:
            sock.close()
            raise
        return cls(sock)

    def __enter__(self) -> Peer:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        self.socket.close()

    def reset(self) -> None:
        """Close with RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def send(self, data: bytes) -> None:
        self.socket.sendall(data)

    def exactly(self, count: int) -> bytes:
        while len(self._buffer) < count:
            data = self.socket.recv(65536)
            if not data:
                raise EOFError(f"closed after {self._buffer!r}")
            self._buffer += data
        data, self._buffer = self._buffer[:count], self._buffer[count:]
        return data

    def pdu(self) -> bytes:
        """The next whole PDU."""
        header = self.exactly(6)
        return header + self.exactly(int.from_bytes(header[2:], "big"))

    def message(self) -> Received:
        """The next whole message."""
        command = data = b""
        primitive = None
        while True:
            pdu = self.pdu()
            assert pdu[0] == 4, pdu
            start = 6
            while start < len(pdu):
                length, context_id, control = struct.unpack_from(">IBB", pdu, start)
                part = pdu[start + 6 : start + 4 + length]
                start += 4 + length
                if control & 1:
                    command += part
                    if control & 2:
                        primitive = decode_command(command)
                        if not primitive.has_data_set:
                            return Received(context_id, primitive, None)
                else:
                    data += part
                    if control & 2:
                        assert primitive is not None
                        return Received(context_id, primitive, data)

    def rest(self) -> bytes:
        """All that comes until the connection is closed; a reset counts as that."""
        data = self._buffer
        self._buffer = b""
        with contextlib.suppress(ConnectionError):
            while more := self.socket.recv(65536):
                data += more
        return data

    def rest_until_abort(self) -> bytes:
        """All that comes up to an A-ABORT, and with it, or until the connection is closed."""
        data, self._buffer = self._buffer, b""
        while data[-10:-2] != bytes((7, 0, 0, 0, 0, 4, 0, 0)):
            more = self.socket.recv(65536)
            if not more:
                break
            data += more
        return data

    def silent(self, seconds: float = 0.05) -> bool:
        """Whether nothing comes for so long, neither bytes nor a close."""
        if self._buffer:
            return False
        self.socket.settimeout(seconds)
        try:
            self._buffer = self.socket.recv(65536)
        except TimeoutError:
            return True
        finally:
            self.socket.settimeout(self.patience)
        return False

    def associate(self, data: bytes | None = None) -> pdus.A_ASSOCIATE_AC:
        self.send(data or request())
        answer = pdus.decode_pdu(self.pdu())
        assert isinstance(answer, pdus.A_ASSOCIATE_AC), answer
        return answer

    def echo(self, message_id: int = 1) -> None:
        """A C-ECHO that succeeds."""
        self.send(echo_rq(message_id))
        answer = self.pdu()
        assert answer[0] == 4, answer
        assert struct.pack("<HHIH", 0, 0x0900, 2, 0) in answer

    def release(self) -> None:
        self.send(RELEASE_RQ)
        assert self.pdu() == RELEASE_RP


def is_served(address: tuple[Any, ...]) -> None:
    """The server at `address` serves a well-behaved peer, from beginning to end."""
    with Peer.connect(address) as peer:
        peer.associate()
        peer.echo()
        peer.release()


def until(condition: Callable[[], Any], seconds: float = 300.0) -> bool:
    """Whether `condition` comes true by the deadline; for what has nothing to wait on, such as the
    kernel."""
    deadline = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > deadline:
            return False
        time.sleep(0.002)
    return True
