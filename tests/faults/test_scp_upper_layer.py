"""Faults, section 1 as SCP: what a peer does wrong, and the bytes it gets for it.

Each row ends with a C-ECHO by another peer: the server is unharmed.
"""

from __future__ import annotations

import random
import socket
import struct
import threading
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pynetdicom import association, evt
from pynetdicom.dimse.primitives import C_CANCEL, C_ECHO
from pynetdicom.network import dul, lobby
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from tests.faults.conftest import Server
from tests.faults.peer import (
    BEGUN,
    BOTH,
    CT,
    IMPLICIT,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    Peer,
    abort,
    changed,
    context,
    echo_rq,
    is_served,
    p_data,
    pdv,
    reject,
    request,
    store_command,
    until,
)

AC = pdus.A_ASSOCIATE_AC().encode()
RJ = reject(1, 1, 1)
DATA = p_data(pdv(1, 3, b"x"))
HTTP = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the peer's close takes 0.2 s instead of 2."""
    for module in (association, dul, lobby):
        monkeypatch.setattr(module, "LINGER", 0.2)


def never(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the peer's close does not end in this test."""
    for module in (association, dul, lobby):
        monkeypatch.setattr(module, "LINGER", 3600)


def bodied(body: bytes) -> bytes:
    """An A-ASSOCIATE-RQ with a body of these bytes."""
    return struct.pack(">BxI", 1, len(body)) + body


def raw_context(context_id: int, *sub_items: bytes) -> bytes:
    body = bytes((context_id, 0, 0, 0)) + b"".join(sub_items)
    return struct.pack(">BxH", 0x20, len(body)) + body


def sub_item(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxH", kind, len(data)) + data


ABSTRACT = sub_item(0x30, VERIFICATION.encode())
TRANSFER = sub_item(0x40, IMPLICIT.encode())
FIXED = request()[6:74]
APPLICATION = sub_item(0x10, b"1.2.840.10008.3.1.1.1")
USER = sub_item(0x50, sub_item(0x51, struct.pack(">I", 16382)) + sub_item(0x52, b"1.2.3"))


def whole(*contexts: bytes) -> bytes:
    return bodied(FIXED + APPLICATION + b"".join(contexts) + USER)


# Sta2

STA2 = {
    "junk": b"\x42" * 50,
    "HTTP": HTTP,
    "TLS hello": bytes.fromhex("16 03 01 0200 01 0001fc") + bytes(200),
    "P-DATA": DATA,
    "RELEASE-RQ": RELEASE_RQ,
    "RELEASE-RP": RELEASE_RP,
    "AC": AC,
    "RJ": RJ,
    "fixed part short": bodied(FIXED[:60]),
    "item overruns": bodied(FIXED + struct.pack(">BxH", 0x10, 500) + b"1.2.840.10008.3.1.1.1"),
    "sub-item overruns": whole(raw_context(1, struct.pack(">BxH", 0x30, 99) + b"1.2", TRANSFER)),
    "item cut off": bodied(FIXED + APPLICATION + b"\x20\0"),
    "length too small": changed(request(), 2, struct.pack(">I", len(request()) - 10)),
    "length over the cap": bodied(b"")[:2] + struct.pack(">I", 256 * 1024 + 1),
    "length 2^32 - 1": bodied(b"")[:2] + b"\xff\xff\xff\xff",
    "context ID even": request(context(2)),
    "context ID 0": request(context(0)),
    "context ID twice": request(context(1), context(1, CT)),
    "no abstract syntax": whole(raw_context(1, TRANSFER)),
}


@pytest.mark.parametrize("name", STA2)
def test_sta2_aa_1(server: Server, name: str) -> None:
    with server.connect() as peer:
        peer.send(STA2[name])
        assert peer.rest() == abort(0, 0)  # closed when ARTIM, of this state, is over
    is_served(server.address)


def test_sta2_aa_1_the_peer_closes(server: Server) -> None:
    with server.connect() as peer:
        peer.send(HTTP)
        assert peer.exactly(10) == abort(0, 0)
    is_served(server.address)


def test_sta2_abort(server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    never(monkeypatch)
    with server.connect() as peer:
        peer.send(abort(0, 0))
        assert peer.rest() == b""
    is_served(server.address)


@pytest.mark.parametrize("sent", [0, 1, 5, 6, 100])
def test_sta2_artim(server: Server, sent: int) -> None:
    server.ae.acse_timeout = 0.2
    with server.connect() as peer:
        peer.send(request()[:sent])
        assert peer.rest() == b""
    server.ae.acse_timeout = 3600
    is_served(server.address)


@pytest.mark.parametrize(
    ("data", "answer"),
    [
        (request(protocol_version=0), reject(1, 2, 2)),
        (request(protocol_version=0xFFFE), reject(1, 2, 2)),
        (request(application_context_name="1.2.3"), reject(1, 1, 2)),
    ],
)
def test_rejections(server: Server, data: bytes, answer: bytes) -> None:
    with server.connect() as peer:
        peer.send(data)
        assert peer.rest() == answer
    is_served(server.address)


def test_other_version_bits_are_not_tested(server: Server) -> None:
    with server.connect() as peer:
        peer.associate(request(protocol_version=0xFFFF))
        peer.release()


def test_called_ae_title(server: Server) -> None:
    server.ae.require_called_aet = True
    with server.connect() as peer:
        peer.send(request(called_ae_title="ELSEWHERE"))
        assert peer.rest() == reject(1, 1, 7)
    assert server.end().kind == "rejected"
    is_served(server.address)


def test_calling_ae_title(server: Server) -> None:
    server.ae.require_calling_aet = ["FRIEND"]
    with server.connect() as peer:
        peer.send(request())
        assert peer.rest() == reject(1, 1, 3)
    with server.connect() as peer:
        peer.associate(request(calling_ae_title="FRIEND"))
        peer.echo()
        peer.release()


def test_too_many_associations(server: Server) -> None:
    server.ae.maximum_associations = 1
    with server.connect() as first:
        first.associate()
        with server.connect() as second:
            second.send(request())
            assert second.rest() == reject(2, 3, 2)
        first.echo()
        first.release()
    server.end()
    is_served(server.address)


def test_a_context_without_a_transfer_syntax(server: Server) -> None:
    with server.connect() as peer:
        ac = peer.associate(whole(raw_context(1, ABSTRACT), raw_context(3, ABSTRACT, TRANSFER)))
        assert [(c.context_id, c.result) for c in ac.presentation_contexts] == [(1, 4), (3, 0)]
        peer.release()


def test_what_is_unknown_is_skipped(server: Server) -> None:
    unknown = sub_item(0x7F, b"whatever")
    user = sub_item(
        0x50, sub_item(0x51, struct.pack(">I", 16382)) + unknown + sub_item(0x52, b"1.2.3")
    )
    fixed = changed(FIXED, 36, b"\xaa" * 32)
    data = bodied(
        fixed + APPLICATION + unknown + raw_context(1, ABSTRACT, TRANSFER) + unknown + user
    )
    with server.connect() as peer:
        peer.associate(changed(data, 1, b"\xff"))
        peer.echo()
        peer.release()


def test_reserved_bytes_are_not_tested(server: Server) -> None:
    with server.connect() as peer:
        peer.associate()
        peer.send(b"\x05\xff\0\0\0\x04\xff\xff\xff\xff")
        assert peer.pdu() == RELEASE_RP


# Sta3


@pytest.fixture
def hesitant(make_server: Callable[..., Server]) -> Iterator[tuple[Server, threading.Event]]:
    """A server that stays in Sta3 until the event is set."""
    go_on, asked = threading.Event(), threading.Event()

    def on_requested(event: Any) -> None:
        asked.set()
        go_on.wait(60)

    server = make_server(evt_handlers=[(evt.EVT_REQUESTED, on_requested)])
    server.asked = asked  # type: ignore[attr-defined]
    server.start()
    yield server, go_on
    go_on.set()


STA3 = {
    "A-ASSOCIATE-RQ": (request(), abort(2, 2)),
    "AC": (AC, abort(2, 2)),
    "RJ": (RJ, abort(2, 2)),
    "P-DATA": (DATA, abort(2, 2)),
    "RELEASE-RQ": (RELEASE_RQ, abort(2, 2)),
    "RELEASE-RP": (RELEASE_RP, abort(2, 2)),
    "junk": (HTTP, abort(2, 1)),
    "A-ABORT": (abort(0, 0), b""),
}


@pytest.mark.parametrize("name", STA3)
@pytest.mark.parametrize("together", [False, True])
def test_sta3(hesitant: tuple[Server, threading.Event], name: str, together: bool) -> None:
    server, go_on = hesitant
    sent, answer = STA3[name]
    with server.connect() as peer:
        peer.send(request() + sent if together else request())
        assoc = server.assoc()
        assert server.asked.wait(60)  # type: ignore[attr-defined]
        if not together:
            peer.send(sent)
        assert peer.exactly(len(answer)) == answer
        assert until(lambda: assoc.ended is not None)
        go_on.set()
        assert peer.rest() == b""  # no A-ASSOCIATE-AC after that
    assert server.end().kind == "aborted"
    is_served(server.address)


def test_sta3_the_peer_closes(hesitant: tuple[Server, threading.Event]) -> None:
    server, go_on = hesitant
    with server.connect() as peer:
        peer.send(request())
        assoc = server.assoc()
        peer.reset()
        assert server.asked.wait(60)  # type: ignore[attr-defined]
        go_on.set()
    assert server.end().by == "network"
    assert not assoc.is_established
    is_served(server.address)


# Sta6

ECHO = C_ECHO(MessageID=1, AffectedSOPClassUID=VERIFICATION).encode()


def without(command: bytes, element: int) -> bytes:
    """A command set with one element of group 0000 left out."""
    out, at = b"", 0
    while at < len(command):
        _, number, length = struct.unpack_from("<HHI", command, at)
        if number != element:
            out += command[at : at + 8 + length]
        at += 8 + length
    return out


STA6 = {
    "junk": (HTTP, abort(2, 1)),
    "type 8": (b"\x08" + bytes(9), abort(2, 1)),
    "A-ASSOCIATE-RQ": (request(), abort(2, 2)),
    "AC": (AC, abort(2, 2)),
    "RJ": (RJ, abort(2, 2)),
    "RELEASE-RP": (RELEASE_RP, abort(2, 2)),
    "RQ in a message": (BEGUN + request(), abort(2, 2)),
    "AC in a message": (BEGUN + AC, abort(2, 2)),
    "RJ in a message": (BEGUN + RJ, abort(2, 2)),
    "RELEASE-RP in a message": (BEGUN + RELEASE_RP, abort(2, 2)),
    "junk in a message": (BEGUN + b"\0", abort(2, 1)),
    "PDU over the maximum": (struct.pack(">BxI", 4, 16383), abort(2, 6)),
    "PDU of 2^32 - 1": (struct.pack(">BxI", 4, 2**32 - 1), abort(2, 6)),
    "PDU without PDV": (struct.pack(">BxI", 4, 0), abort(2, 6)),
    "RELEASE-RQ of 2^32 - 1": (struct.pack(">BxI", 5, 2**32 - 1), abort(2, 6)),
    "PDV of length 0": (p_data(bytes.fromhex("00000000 01 03")), abort(2, 6)),
    "PDV of length 1": (p_data(bytes.fromhex("00000001 01 03")), abort(2, 6)),
    "PDV overruns": (p_data(bytes.fromhex("000000ff 01 03") + b"abc"), abort(2, 6)),
    "context unknown": (p_data(pdv(7, 3, ECHO)), abort(2, 5)),
    "context rejected": (p_data(pdv(5, 3, ECHO)), abort(2, 5)),
    "context even": (p_data(pdv(2, 3, ECHO)), abort(2, 5)),
    "data first": (p_data(pdv(3, 2, b"data")), abort(0, 0)),
    "interleaved": (BEGUN + p_data(pdv(3, 3, ECHO)), abort(0, 0)),
    "context switched": (BEGUN + p_data(pdv(1, 2, b"data")), abort(0, 0)),
    "context switched in a command": (
        p_data(pdv(3, 1, ECHO[:20]), pdv(1, 3, ECHO[20:])),
        abort(0, 0),
    ),
    "command undecodable": (p_data(pdv(1, 3, b"\xff" * 50)), abort(0, 0)),
    "command empty": (p_data(pdv(1, 3, b"")), abort(0, 0)),
    "no Command Field": (p_data(pdv(1, 3, without(ECHO, 0x0100))), abort(0, 0)),
    "no Message ID": (p_data(pdv(1, 3, without(ECHO, 0x0110))), abort(0, 0)),
    "A-ABORT": (abort(2, 0), b""),
    "A-ABORT in a message": (BEGUN + abort(0, 0), b""),
}


@pytest.mark.parametrize("name", STA6)
@pytest.mark.parametrize("slow", [False, True])
def test_sta6(server: Server, name: str, slow: bool) -> None:
    sent, answer = STA6[name]
    with server.connect() as peer:
        peer.associate(BOTH)
        if slow and len(sent) < 400:
            for byte in sent:
                with suppress(ConnectionError):
                    peer.send(bytes([byte]))
        else:
            peer.send(sent)
        assert peer.exactly(len(answer)) == answer
        assert peer.rest() in (b"", answer)  # what follows in slices may earn the same again (AA-7)
    ended = server.end()
    assert ended.kind == "aborted"
    if answer:
        assert (ended.by, ended.source, ended.reason) == ("local", answer[8], answer[9])
    else:
        assert ended.by == "peer"
    assert server.stored == []
    is_served(server.address)


@pytest.mark.parametrize("reset", [False, True])
@pytest.mark.parametrize("sent", [b"", BEGUN, b"\x04\0\0"])
def test_sta6_the_peer_closes(server: Server, reset: bool, sent: bytes) -> None:
    with server.connect() as peer:
        peer.associate(BOTH)
        peer.send(sent)
        (peer.reset if reset else peer.close)()
    ended = server.end()
    assert (ended.kind, ended.by) == ("aborted", "network")
    assert server.stored == []
    is_served(server.address)


def test_sta6_the_largest_pdu_is_taken(server: Server) -> None:
    with server.connect() as peer:
        peer.associate(BOTH)
        peer.send(p_data(pdv(3, 3, store_command())) + p_data(pdv(3, 2, bytes(16382 - 6))))
        assert peer.pdu()[0] == 4
        peer.release()
    assert server.stored == [bytes(16376)]


def test_sta6_no_limit_is_no_limit(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.ae.maximum_pdu_size = 0
    server.start()
    with server.connect() as peer:
        peer.associate(BOTH)
        peer.send(p_data(pdv(3, 3, store_command())) + p_data(pdv(3, 2, bytes(3_000_000))))
        assert peer.pdu()[0] == 4
        peer.release()
    assert [len(data) for data in server.stored] == [3_000_000]


def test_sta6_cancel_storm(server: Server) -> None:
    cancel = C_CANCEL(MessageIDBeingRespondedTo=77).encode()
    with server.connect() as peer:
        peer.associate()
        peer.send(p_data(pdv(1, 3, cancel)) * 3000)
        peer.echo()
        peer.release()


def test_sta6_an_endless_command_set(server: Server) -> None:
    with server.connect() as peer:
        peer.associate()
        with suppress(ConnectionError):
            for _ in range(10):
                peer.send(p_data(pdv(1, 1, bytes(16000))))
        assert peer.exactly(10) == abort(0, 0)
    is_served(server.address)


def test_sta6_too_many_requests(make_server: Callable[..., Server]) -> None:
    """More wait than may: the peer is aborted, once it does not wait for answers."""
    held = threading.Event()
    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, lambda event: (held.wait(60) and 0) or 0)])
    server.start()
    with server.connect() as peer:
        peer.associate()
        for number in range(1, 70):
            peer.send(echo_rq(number))
        assert peer.exactly(10) == abort(0, 0)
        held.set()
    assert server.end().kind == "aborted"
    held.set()
    is_served(server.address)


# Sta8


@pytest.fixture
def busy(make_server: Callable[..., Server]) -> Iterator[tuple[Server, threading.Event]]:
    """A server whose C-ECHO handler does not return until the event is set."""
    go_on = threading.Event()

    def on_echo(event: Any) -> int:
        go_on.wait(60)
        return 0x0000

    yield make_server(evt_handlers=[(evt.EVT_C_ECHO, on_echo)]).start(), go_on
    go_on.set()


def test_sta8_responses_still_go(busy: tuple[Server, threading.Event]) -> None:
    server, go_on = busy
    with server.connect() as peer:
        peer.associate()
        peer.send(echo_rq(1) + echo_rq(2) + RELEASE_RQ)
        assert peer.silent(0.05)
        go_on.set()
        assert [peer.pdu()[0] for _ in range(2)] == [4, 4]
        assert peer.pdu() == RELEASE_RP
    ended = server.end()
    assert (ended.kind, ended.by) == ("released", "peer")
    is_served(server.address)


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (RELEASE_RQ, abort(2, 2)),
        (RELEASE_RP, abort(2, 2)),
        (echo_rq(3), abort(2, 2)),
        (request(), abort(2, 2)),
        (AC, abort(2, 2)),
        (RJ, abort(2, 2)),
        (HTTP, abort(2, 1)),
        (abort(0, 0), b""),
    ],
    ids=["RELEASE-RQ", "RELEASE-RP", "P-DATA", "RQ", "AC", "RJ", "junk", "A-ABORT"],
)
def test_sta8(busy: tuple[Server, threading.Event], sent: bytes, answer: bytes) -> None:
    server, go_on = busy
    with server.connect() as peer:
        peer.associate()
        peer.send(echo_rq(1) + RELEASE_RQ + sent)
        assert peer.exactly(len(answer)) == answer
        if not answer:  # so nothing tells that it was read
            (assoc,) = server.assocs.values()
            assert until(lambda: assoc.is_aborted)
        go_on.set()
        assert peer.rest() == b""  # neither the response nor an A-RELEASE-RP
    assert server.end().kind == "aborted"
    is_served(server.address)


# Sta13


@pytest.mark.parametrize(
    ("sent", "answer"),
    [
        (RELEASE_RQ, b""),
        (RELEASE_RP, b""),
        (echo_rq(3), b""),
        (AC, b""),
        (RJ, b""),
        (abort(0, 0), b""),
        (request(), abort(2, 2)),
        (HTTP, abort(2, 1)),
        (struct.pack(">BxI", 5, 2**32 - 1), abort(2, 6)),
    ],
    ids=["RELEASE-RQ", "RELEASE-RP", "P-DATA", "AC", "RJ", "A-ABORT", "RQ", "junk", "too long"],
)
@pytest.mark.parametrize("how", ["released", "aborted"])
def test_sta13(
    server: Server, monkeypatch: pytest.MonkeyPatch, sent: bytes, answer: bytes, how: str
) -> None:
    never(monkeypatch)
    with server.connect() as peer:
        peer.associate()
        if how == "released":
            peer.release()
        else:
            peer.send(RJ)
            assert peer.exactly(10) == abort(2, 2)
        peer.send(sent)
        assert peer.exactly(len(answer)) == answer
        if sent == abort(0, 0):
            assert peer.rest() == b""
        else:
            assert peer.silent()  # it stays until ARTIM
    assert server.end().kind == how
    is_served(server.address)


@pytest.mark.parametrize("how", ["rejected", "released", "aborted"])
def test_sta13_the_peer_keeps_the_socket(server: Server, how: str) -> None:
    with server.connect() as peer:
        if how == "rejected":
            peer.send(request(application_context_name="1.2.3"))
            assert peer.exactly(10) == reject(1, 1, 2)
        else:
            peer.associate()
            peer.send({"released": RELEASE_RQ, "aborted": HTTP}[how])
            assert peer.pdu() in (RELEASE_RP, abort(2, 1))
        assert peer.rest() == b""
    assert server.end().kind == how
    is_served(server.address)


# Sta7 and the collision: the SCP releases


def releasing(server: Server, peer: Peer, acse_timeout: float = 3600) -> Any:
    peer.associate()
    assoc = server.assoc()
    peer.echo()
    assoc.acse_timeout = acse_timeout
    thread = threading.Thread(target=assoc.release)
    thread.start()
    assert peer.pdu() == RELEASE_RQ
    return assoc, thread


def test_sta7_collision(server: Server) -> None:
    with server.connect() as peer:
        _, thread = releasing(server, peer)
        peer.send(RELEASE_RQ)
        assert peer.silent(0.02)  # the acceptor waits for its answer first
        peer.send(RELEASE_RP)
        assert peer.pdu() == RELEASE_RP
    thread.join(60)
    assert server.end().kind == "released"
    is_served(server.address)


def test_sta7_a_request_that_crosses(server: Server) -> None:
    with server.connect() as peer:
        _, thread = releasing(server, peer)
        peer.send(echo_rq(2) + RELEASE_RP)
        assert peer.rest() == b""
    thread.join(60)
    assert server.end().kind == "released"
    is_served(server.address)


@pytest.mark.parametrize(
    ("sent", "answer"), [(HTTP, abort(2, 1)), (request(), abort(2, 2)), (RJ, abort(2, 2))]
)
def test_sta7(server: Server, sent: bytes, answer: bytes) -> None:
    with server.connect() as peer:
        _, thread = releasing(server, peer)
        peer.send(sent)
        assert peer.exactly(10) == answer
    thread.join(60)
    assert server.end().kind == "aborted"
    is_served(server.address)


@pytest.mark.parametrize("collide", [False, True])
def test_sta7_no_answer(server: Server, collide: bool) -> None:
    with server.connect() as peer:
        _, thread = releasing(server, peer, 0.3)
        if collide:
            peer.send(RELEASE_RQ)
        assert peer.exactly(10) == abort(0, 0)
    thread.join(60)
    ended = server.end()
    assert (ended.kind, ended.timer) == ("aborted", "acse_timeout")
    is_served(server.address)


# Any bytes at any moment


@pytest.mark.parametrize("seed", range(12))
def test_any_bytes_at_any_moment(server: Server, seed: int) -> None:
    chance = random.Random(seed)
    pieces = [
        request(), AC, RJ, echo_rq(1), BEGUN, RELEASE_RQ, RELEASE_RP, abort(0, 0), HTTP, DATA,
        chance.randbytes(60),
    ]  # fmt: skip
    for _ in range(4):
        with server.connect() as peer:
            if chance.random() < 0.7:
                peer.associate(BOTH)
            for _ in range(chance.randrange(1, 5)):
                data = bytearray(chance.choice(pieces))
                for _ in range(chance.choice((0, 0, 1, 3))):
                    data[chance.randrange(len(data))] = chance.randrange(256)
                with suppress(ConnectionError):
                    peer.send(bytes(data[: chance.randrange(1, len(data) + 1)]))
            with suppress(OSError):
                peer.socket.shutdown(socket.SHUT_WR)
            answer = peer.rest()
            while answer:  # whatever comes back, it is whole PDUs
                length = 6 + int.from_bytes(answer[2:6], "big")
                pdus.decode_pdu(answer[:length])
                answer = answer[length:]
    is_served(server.address)


def test_the_user_items_are_what_they_were() -> None:
    """The raw request that the rows above are made of is a good one."""
    rq = pdus.decode_pdu(whole(raw_context(1, ABSTRACT, TRANSFER)))
    assert isinstance(rq, pdus.A_ASSOCIATE_RQ)
    assert isinstance(rq.user_information[0], items.MaximumLengthNotification)
