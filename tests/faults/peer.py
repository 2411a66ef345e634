"""A peer made of a bare socket: it sends any bytes and sees exactly which come back."""

from __future__ import annotations

import struct
import time
from collections.abc import Callable
from typing import Any

from pynetdicom.dimse.primitives import C_ECHO, C_STORE
from pynetdicom.testing import Message, ScriptedPeer
from pynetdicom.testing.pdus import IMPLICIT_VR_LITTLE_ENDIAN as IMPLICIT
from pynetdicom.testing.pdus import VERIFICATION, association_request, p_data, pdv
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus

__all__ = ["IMPLICIT", "VERIFICATION", "Message", "p_data", "pdv"]  # of the kit

CT = "1.2.840.10008.5.1.4.1.1.2"

RELEASE_RQ = pdus.A_RELEASE_RQ().encode()
RELEASE_RP = pdus.A_RELEASE_RP().encode()


def abort(source: int, reason: int) -> bytes:
    return pdus.A_ABORT(source=source, reason=reason).encode()


def reject(result: int, source: int, reason: int) -> bytes:
    return pdus.A_ASSOCIATE_RJ(result=result, source=source, reason=reason).encode()


def request(*contexts: items.PresentationContextRQ, **fields: Any) -> bytes:
    """An A-ASSOCIATE-RQ; for Verification as context 1 if nothing is said."""
    pdu = association_request(**fields)
    if contexts:
        pdu.presentation_contexts = list(contexts)
    return pdu.encode()


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


class Peer(ScriptedPeer):
    """The peer's end of a connection."""

    timeout = 300.0

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
            self.socket.settimeout(self.timeout)
        return False

    def associate(self, data: bytes | None = None) -> pdus.A_ASSOCIATE_AC:
        self.send(data or request())
        return self.expect("A-ASSOCIATE-AC")

    def echo(self, message_id: int = 1) -> None:
        """A C-ECHO that succeeds."""
        self.send(echo_rq(message_id))
        assert self.expect("C-ECHO-RSP").primitive.Status == 0x0000

    def release(self) -> None:
        self.send("A-RELEASE-RQ")
        self.expect("A-RELEASE-RP")


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
