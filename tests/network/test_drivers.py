"""The two drivers of a Provider, the lobby and the DUL: the same bytes for the same input."""

from __future__ import annotations

import socket
from contextlib import ExitStack
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pynetdicom.network.connection import Connection
from pynetdicom.network.dul import DUL
from pynetdicom.network.lobby import Lobby
from pynetdicom.network.user import User
from pynetdicom.network.visitors import Visitor
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.provider import Provider, refusal
from tests.faults.peer import RELEASE_RP, RELEASE_RQ, abort, p_data, pdv, reject, request

CHUNKS = st.sampled_from(
    [
        request(),
        request(protocol_version=2),
        pdus.A_ASSOCIATE_AC().encode(),
        reject(1, 1, 1),
        p_data(pdv(1, 3, b"x")),
        RELEASE_RQ,
        RELEASE_RP,
        abort(0, 0),
        b"GET / HTTP/1.1",
        bytes.fromhex("0100 00000002 0000"),
    ]
)


class Host:
    """Has room for an association, or has not."""

    artim = 3600.0
    tls = None

    def __init__(self, has_room: bool) -> None:
        self.has_room = has_room
        self.has_admitted = False

    most_unassociated = (1000, 1000)

    def closed_to(self, address: str) -> str:
        return ""

    def refusal(self, visitor: Visitor, request: pdus.A_ASSOCIATE_RQ) -> None:
        return None

    @property
    def door(self) -> Host:
        return self

    def reserve(self) -> bool:
        return self.has_room

    def admit(self, visitor: Visitor) -> None:
        self.has_admitted = True

    def turned_away(self, visitor: Visitor) -> None:
        pass


class Nobody(User):
    """Wants to know nothing."""

    network_timeout = None
    watches_data = watches_pdus = watches_transitions = False
    context_id = 0

    @property
    def assembler(self) -> Nobody:
        return self

    def outstanding(self) -> int:
        return 0

    def feed(self, context_id: int, control: int, data: memoryview, pdv_done: bool) -> None:
        pass

    def flush(self) -> None:
        pass


class Peer:
    """The other end of a connection, and what it has been sent."""

    def __init__(self, stack: ExitStack) -> None:
        ours, self.socket = socket.socketpair()
        self.socket.setblocking(False)
        self.connection = Connection(ours)
        stack.callback(self.socket.close)
        stack.callback(self.connection.close)

    def received(self) -> bytes:
        try:
            return self.socket.recv(65536)
        except BlockingIOError:
            return b""


def by_the_lobby(parts: list[bytes], has_room: bool) -> list[Any]:
    host = Host(has_room)
    with ExitStack() as stack:
        listener = stack.enter_context(socket.socket())
        lobby = Lobby(listener, host)
        stack.callback(lobby.close)
        peer = Peer(stack)
        visitor = Visitor(peer.connection, ("127.0.0.1", 1))
        visitor.provider.refusal = lobby._refusal
        lobby._keep(visitor, 3600)
        seen: list[Any] = []
        for part in parts:
            peer.socket.send(part)
            lobby._attend(visitor)
            seen.append((peer.received(), visitor.provider.state))
            if visitor not in lobby._visitors:
                break
        return [*seen, host.has_admitted, visitor not in lobby._visitors and not host.has_admitted]


def by_the_dul(parts: list[bytes], has_room: bool) -> list[Any]:
    def refuse(rq: pdus.A_ASSOCIATE_RQ) -> pdus.A_ASSOCIATE_RJ | None:
        return refusal(rq) or (
            None if has_room else pdus.A_ASSOCIATE_RJ(result=2, source=3, reason=2)
        )

    with ExitStack() as stack:
        peer = Peer(stack)
        provider = Provider(requestor=False)
        provider.take("Evt5")
        provider.refusal = refuse
        dul = DUL(Nobody(), provider, peer.connection)
        seen: list[Any] = []
        admitted = False
        for part in parts:
            peer.socket.send(part)
            dul._read(peer.connection, peer.connection.recv)
            seen.append((peer.received(), provider.state))
            admitted = provider.state == "Sta3"
            if admitted or dul._finished:
                break
        return [*seen, admitted, dul._finished]


@given(st.lists(CHUNKS, min_size=1, max_size=5), st.booleans(), st.data())
@settings(max_examples=150, deadline=None)
def test_the_same_bytes(chunks: list[bytes], has_room: bool, data: st.DataObject) -> None:
    sent = b"".join(chunks)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(sent)), max_size=4)))
    parts = [
        sent[start:end]
        for start, end in zip([0, *cuts], [*cuts, len(sent)], strict=True)
        if end > start
    ]
    lobby, dul = by_the_lobby(parts, has_room), by_the_dul(parts, has_room)
    # What follows a request in the same read is understood by the DUL that takes it over.
    if lobby[-2]:
        assert dul[: len(lobby) - 3] == lobby[: len(lobby) - 3]
    else:
        assert dul == lobby


@pytest.mark.parametrize("has_room", [True, False])
@pytest.mark.parametrize("version", [1, 2])
def test_a_request(version: int, has_room: bool) -> None:
    parts = [request(protocol_version=version)]
    expected = b""
    if version == 2:
        expected = reject(1, 2, 2)
    elif not has_room:
        expected = reject(2, 3, 2)
    state = "Sta13" if expected else "Sta3"
    for outcome in (by_the_lobby(parts, has_room), by_the_dul(parts, has_room)):
        assert outcome == [(expected, state), not expected, False]
