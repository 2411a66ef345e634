"""A requestor made of a bare socket that queries and retrieves, and an SCP for it."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.dimse.primitives import (
    C_CANCEL,
    C_FIND,
    C_GET,
    C_MOVE,
)
from pynetdicom.upper_layer import items
from tests.faults.peer import CT, VERIFICATION, Message, Peer, p_data, pdv

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
WORKLIST = "1.2.840.10008.5.1.4.31"
MR = "1.2.840.10008.5.1.4.1.1.4"
EXPLICIT = "1.2.840.10008.1.2.1"
PENDING = 0xFF00

# The presentation contexts of the requestor.
ECHO, FIND, MOVE, GET, FIND_WORKLIST, STORE_CT, STORE_MR = 1, 3, 5, 7, 9, 11, 13
CONTEXTS = {
    ECHO: VERIFICATION,
    FIND: PATIENT_ROOT + "1",
    MOVE: PATIENT_ROOT + "2",
    GET: PATIENT_ROOT + "3",
    FIND_WORKLIST: WORKLIST,
    STORE_CT: CT,
    STORE_MR: MR,
}


def element(tag: int, value: bytes) -> bytes:
    """An element in Implicit VR Little Endian."""
    padded = value + b"\0" * (len(value) % 2)
    return struct.pack("<HHI", tag >> 16, tag & 0xFFFF, len(padded)) + padded


STUDY_LEVEL = element(0x00080052, b"STUDY ") + element(0x0020000D, b"1.2.3")


class QueryPeer(Peer):
    """Requests an association for queries, retrieves and CT storage."""

    def open(self, *, role: bool = True) -> QueryPeer:
        roles = [
            items.SCP_SCU_RoleSelectionNegotiation(uid, False, True) for uid in (CT, MR) if role
        ]
        self.send("A-ASSOCIATE-RQ", CONTEXTS.values(), user_items=roles)
        self.expect("A-ASSOCIATE-AC")
        return self

    def request(self, context_id: int, message_id: int = 1, **options: Any) -> None:
        """Send a C-FIND, C-GET or C-MOVE, on the context for it."""
        self.send(request(context_id, message_id, **options))

    def cancel(self, context_id: int, message_id: int = 1) -> None:
        self.send(cancel(context_id, message_id))

    def responses(self, message_id: int = 1) -> Iterator[Message]:
        """The responses to a request to the final one; sub-operations are refused."""
        return self.serve(lambda received: 0xA700, message_id)

    def serve(
        self, store: Callable[[Message], int | None], message_id: int = 1
    ) -> Iterator[Message]:
        """As `responses`; a sub-operation is answered with what `store` returns, if it does."""
        while True:
            received = self.message()
            primitive = received.primitive
            if primitive.message_name.endswith("-RQ"):
                assert primitive.name == "C-STORE"
                status = store(received)
                if status is not None:
                    self.respond(received, status)
                continue
            assert primitive.MessageIDBeingRespondedTo == message_id
            yield received
            if primitive.Status not in (0xFF00, 0xFF01):
                return

    def final(self, message_id: int = 1) -> Message:
        """The final response."""
        return list(self.responses(message_id))[-1]

    def is_still_served(self, message_id: int = 900) -> None:
        """The association goes on."""
        self.echo(message_id)
        self.release()


def request(
    context_id: int, message_id: int = 1, *, data: bytes | None = STUDY_LEVEL, **parameters: Any
) -> bytes:
    """A C-FIND-RQ, C-GET-RQ or C-MOVE-RQ."""
    kind: Any = {MOVE: C_MOVE, GET: C_GET}.get(context_id, C_FIND)
    if kind is C_MOVE:
        parameters.setdefault("MoveDestination", "DEST")
    parameters.setdefault("Priority", 0)
    rq = kind(MessageID=message_id, AffectedSOPClassUID=CONTEXTS[context_id], **parameters)
    if data is not None:
        rq.__dict__["CommandDataSetType"] = 1
    message = p_data(pdv(context_id, 3, rq.encode()))
    return message if data is None else message + p_data(pdv(context_id, 2, data))


def cancel(context_id: int, message_id: int = 1) -> bytes:
    rq = C_CANCEL(MessageIDBeingRespondedTo=message_id)
    return p_data(pdv(context_id, 3, rq.encode()))


class QueryScp:
    """An SCP whose one handler for queries and retrieves can be changed at any time."""

    def __init__(self) -> None:
        self.ae = AE("ANY-SCP")
        for uid in (VERIFICATION, WORKLIST):
            self.ae.add_supported_context(uid)
        for model in (PATIENT_ROOT, STUDY_ROOT):
            for number in "123":
                self.ae.add_supported_context(model + number)
        for uid in (CT, MR):
            self.ae.add_supported_context(uid, scu_role=True, scp_role=True)
        self.handler: Callable[[Any], Any] = lambda event: iter(())
        handlers = [
            (event, lambda event: self.handler(event))
            for event in (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE)
        ]
        server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
        assert server is not None
        self.server = server

    def connect(self, **options: Any) -> QueryPeer:
        peer = QueryPeer.connect(self.server.server_address)
        assert isinstance(peer, QueryPeer)
        try:
            return peer.open(**options)
        except BaseException:
            peer.close()
            raise

    def close(self) -> None:
        self.ae.shutdown()
