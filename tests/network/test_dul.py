"""The DUL service over a pair of sockets: who ends it, who is woken, and what is on the wire
then."""

from __future__ import annotations

import gc
import itertools
import os
import random
import shutil
import socket
import struct
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pynetdicom.errors import DIMSEDecodeError, PDUDecodeError
from pynetdicom.network import dul as dul_module
from pynetdicom.network import sending
from pynetdicom.network.addresses import AddressInformation
from pynetdicom.network.connection import Connection, TLSConnection
from pynetdicom.network.connector import Connector
from pynetdicom.network.dul import DUL, Stopped
from pynetdicom.network.runtime import THREADS
from pynetdicom.network.waking import wait_for
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.provider import Move, Provider
from tests.faults import tls
from tests.faults.peer import (
    RELEASE_RP,
    RELEASE_RQ,
    Peer,
    abort,
    p_data,
    pdv,
    reject,
    request,
    until,
)

LOCAL = Ended("aborted", "local", 0, 0)
NEVER = 3600.0
"""No wait of a test lasts so long: what ends it has woken it."""


class User:
    """What the DUL service asks and tells."""

    def __init__(self) -> None:
        self.network_timeout: float | None = NEVER
        self.watches_data = self.watches_pdus = self.watches_transitions = False
        self.context_id = 0
        self.messages: list[Any] = []
        self.transitions: list[tuple[str, str, str, str]] = []
        self.seen: list[tuple[str, bool, Any]] = []
        self.ended = threading.Event()
        self.endings = 0
        self.released = threading.Event()
        self.arrived = threading.Semaphore(0)
        self.on_pdu_do: Callable[[Any, bool], None] | None = None
        self.on_transition_do: Callable[..., None] | None = None
        self._data = b""

    @property
    def assembler(self) -> User:
        return self

    def feed(self, context_id: int, control: int, data: memoryview, pdv_done: bool) -> None:
        self._data += data
        self.context_id = context_id
        if not pdv_done or not control & 2:
            return
        self.context_id = 0
        whole, self._data = self._data, b""
        if whole == b"nonsense":
            raise DIMSEDecodeError("nonsense")
        self.take((context_id, whole))

    def flush(self) -> None:
        pass

    def outstanding(self) -> int:
        return 0

    def take(self, message: Any) -> None:
        self.messages.append(message)
        self.arrived.release()

    def on_associate(self, pdu: Any) -> frozenset[int]:
        self.take(pdu)
        return frozenset((1,))

    def on_release(self, answer: Callable[[], bool]) -> None:
        self.released.set()

    def on_ended(self) -> None:
        self.endings += 1
        self.ended.set()

    def on_data(self, data: bytes, sent: bool) -> None:
        self.seen.append(("data", sent, data))

    def on_pdu(self, pdu: Any, sent: bool) -> None:
        self.seen.append(("pdu", sent, pdu))
        if self.on_pdu_do is not None:
            self.on_pdu_do(pdu, sent)

    def on_transition(self, *transition: str) -> None:
        self.transitions.append(transition)  # type: ignore[arg-type]
        if self.on_transition_do is not None:
            self.on_transition_do(*transition)


class Side:
    """A DUL service in some state, its user, and the peer's end of the connection."""

    def __init__(self, state: str, requestor: bool, small: bool) -> None:
        ours, theirs = socket.socketpair()
        if small:
            # The smallest that there is: a write is taken in parts.
            ours.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1)
        self.peer = Peer(theirs)
        self.user = User()
        framer = Framer(16384)
        framer.context_ids = frozenset((1,))
        self.provider = Provider(requestor=requestor, framer=framer, state=state)
        self.serve(Connection(ours))

    def serve(self, connection: Connection) -> None:
        self.dul = DUL(self.user, self.provider, connection)
        self.dul.attach(connection)

    def start(self) -> Side:
        self.dul.start()
        return self

    @property
    def ended(self) -> Ended | None:
        return self.dul.provider.ended


@pytest.fixture(autouse=True)
def nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, only what a test is about ends a wait."""
    monkeypatch.setattr(dul_module, "LINGER", NEVER)
    monkeypatch.setattr(sending, "LAST_PDU", NEVER)


@pytest.fixture
def make() -> Iterator[Callable[..., Side]]:
    sides: list[Side] = []

    def make(
        state: str = "Sta6", *, requestor: bool = True, small: bool = False, start: bool = True
    ) -> Side:
        side = Side(state, requestor, small)
        sides.append(side)
        return side.start() if start else side

    yield make
    for side in sides:
        side.peer.close()
        if side.dul.ident is None:
            side.dul.connection.close()
        else:
            side.dul.join(60)
            assert not side.dul.is_alive()


def message(data: bytes, size: int = 1024) -> list[list[bytes]]:
    """A message in batches of two P-DATA-TF each."""
    pieces = [data[i : i + size] for i in range(0, len(data), size)] or [b""]
    whole = [
        b
        for i, p in enumerate(pieces)
        for b in (p_data(pdv(1, 2 * (i == len(pieces) - 1), p))[:12], p)
    ]
    return [whole[i : i + 4] for i in range(0, len(whole), 4)]


class Sender(threading.Thread):
    """A thread that sends a message, and notes how that ended."""

    def __init__(self, side: Side, batches: Any) -> None:
        super().__init__()
        self.side, self.batches = side, batches
        self.outcome: BaseException | None = None
        self.saw: Ended | None = None
        self.start()

    def run(self) -> None:
        try:
            self.side.dul.send_data(self.batches)
        except BaseException as error:
            self.outcome = error
        self.saw = self.side.ended


def is_blocked(side: Side) -> bool:
    """Wait until a writer waits for the peer to read."""
    return until(lambda: side.dul.driver.writer.waker is not None)


def blocked(side: Side, size: int = 4_000_000) -> Sender:
    # Longer PDUs than the kernel takes at a time, so that the last one has been taken in part.
    sender = Sender(side, message(bytes(size), 60_001))
    assert is_blocked(side)
    return sender


def whole_pdus(data: bytes) -> list[bytes]:
    found = []
    while data:
        end = 6 + int.from_bytes(data[2:6], "big")
        assert len(data) >= end, f"cut off: {len(data)} of {end} bytes of a PDU of type {data[0]}"
        found.append(data[:end])
        data = data[end:]
    return found


# Writing


def test_a_message_in_parts(make: Any) -> None:
    side = make(small=True)
    data = random.Random(1).randbytes(300_000)
    sender = Sender(side, message(data, 5000))
    received = b""
    while len(received) < len(data):
        pdu = side.peer.pdu()
        received += pdu[12:]
    sender.join(60)
    assert sender.outcome is None
    assert received == data


def test_messages_of_two_threads_never_mix(make: Any) -> None:
    side = make(small=True)
    contents = [bytes([n]) * 9000 for n in range(1, 9)]
    senders = [Sender(side, message(data, 700)) for data in contents]
    received = []
    for _ in contents:
        data = b""
        while True:
            pdu = side.peer.pdu()
            data += pdu[12:]
            if pdu[11] & 2:
                break
        received.append(data)
    for sender in senders:
        sender.join(60)
    assert sorted(received) == contents


@pytest.mark.parametrize("reads_on", [True, False])
def test_abort_wakes_a_writer_at_once(
    make: Any, monkeypatch: pytest.MonkeyPatch, reads_on: bool
) -> None:
    side = make()
    sender = blocked(side)
    if not reads_on:
        monkeypatch.setattr(sending, "LAST_PDU", 0.1)
    assert side.dul.abort(LOCAL)
    assert side.user.ended.wait(60)
    sender.join(60)
    assert isinstance(sender.outcome, Stopped)
    assert sender.saw == LOCAL
    if reads_on:
        found = whole_pdus(side.peer.exactly(6) + side.peer.rest_until_abort())
        assert found[-1] == abort(0, 0)
        assert {pdu[0] for pdu in found[:-1]} == {4}
    else:
        side.dul.join(60)
        assert not side.dul.is_alive()


def test_aa_7_while_the_last_pdu_is_completed(make: Any) -> None:
    side = make()
    sender = blocked(side)
    assert side.dul.abort(LOCAL)
    side.peer.send(b"junk!!")
    sender.join(60)
    assert until(lambda: side.dul.driver.writer.again)
    data = side.peer.rest_until_abort()
    if not data.endswith(abort(2, 1)):
        data += side.peer.exactly(10)
    found = whole_pdus(data)
    assert found[-2:] == [abort(0, 0), abort(2, 1)]
    assert {pdu[0] for pdu in found[:-2]} == {4}


def test_abort_at_once_does_not_wait_for_the_pdu(make: Any) -> None:
    side = make()
    sender = blocked(side)
    assert side.dul.abort(LOCAL, at_once=True)
    sender.join(60)
    side.dul.join(60)
    assert not sender.is_alive()
    assert not side.dul.is_alive()


def test_no_data_after_a_release_request(make: Any) -> None:
    side = make()
    side.dul.perform(pdus.A_RELEASE_RQ())
    with pytest.raises(Stopped):
        side.dul.send_data(message(b"late"))
    side.peer.send(RELEASE_RP)
    assert side.peer.rest() == RELEASE_RQ


def test_a_release_request_waits_for_the_message(make: Any) -> None:
    side = make(small=True)
    sender = Sender(side, message(bytes(50_000)))
    assert is_blocked(side)
    releaser = threading.Thread(target=side.dul.perform, args=(pdus.A_RELEASE_RQ(),))
    releaser.start()
    found = []
    while not found or found[-1][0] != 5:
        found.append(side.peer.pdu())
    assert sum(len(pdu) - 12 for pdu in found[:-1]) == 50_000
    side.peer.send(RELEASE_RP)
    sender.join(60)
    releaser.join(60)
    assert side.peer.rest() == b""


def test_no_data_after_an_abort(make: Any) -> None:
    side = make()
    side.dul.abort(LOCAL)
    with pytest.raises(Stopped):
        side.dul.send_data(message(b"late"))
    with pytest.raises(Stopped):
        side.dul.perform(pdus.A_RELEASE_RQ())
    assert side.peer.exactly(10) == abort(0, 0)
    assert side.peer.silent()


def test_a_peer_that_does_not_read_is_aborted(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sending, "LAST_PDU", 0.1)
    side = make()
    side.user.network_timeout = 0.2
    sender = Sender(side, message(bytes(4_000_000), 16000))
    sender.join(60)
    assert isinstance(sender.outcome, Stopped)
    assert sender.saw == Ended("aborted", "local", 0, 0, timer="network_timeout")
    side.dul.join(60)
    assert not side.dul.is_alive()


def test_a_slow_reader_is_not_aborted(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Each time that he has read something he has the whole time again."""
    side = make(small=True)
    waits: list[float | None] = []
    real = side.dul.connection.wait_writable

    def wait_writable(timeout: float | None, *args: Any) -> bool:
        waits.append(timeout)
        return real(timeout, *args)

    monkeypatch.setattr(side.dul.connection, "wait_writable", wait_writable)
    sender = Sender(side, message(bytes(30_000)))
    assert is_blocked(side)
    total = 0
    while total < 30_000:
        total += len(side.peer.pdu()) - 12
    sender.join(60)
    assert sender.outcome is None
    assert set(waits) == {NEVER}  # however many there were


@pytest.mark.parametrize("timeout", [0.1, None])
def test_an_answer_that_nobody_reads_ends_all_the_same(
    make: Any, monkeypatch: pytest.MonkeyPatch, timeout: float | None
) -> None:
    monkeypatch.setattr(sending, "LAST_PDU", 0.1)
    side = make("Sta8", requestor=False)
    side.user.network_timeout = timeout
    filler = b"\0" * 65536
    side.dul.connection.socket.setblocking(False)
    with suppress(BlockingIOError):
        while True:
            side.dul.connection.socket.send(filler)
    with suppress(BlockingIOError):
        while True:
            side.dul.connection.socket.send(b"\0")
    side.dul.connection.socket.setblocking(True)
    ended = Ended("released", "peer")
    with pytest.raises(Stopped):
        side.dul.perform(pdus.A_RELEASE_RP())
    assert side.ended == ended
    side.dul.join(60)
    assert not side.dul.is_alive()


# What the source of a message does


def test_a_source_that_fails_at_once_harms_nothing(make: Any) -> None:
    side = make()

    def batches() -> Iterator[Any]:
        raise OSError("no such file")
        yield

    with pytest.raises(OSError, match="no such"):
        side.dul.send_data(batches())
    assert side.ended is None
    side.dul.send_data(message(b"next"))
    assert side.peer.pdu()[12:] == b"next"


def test_a_source_that_fails_in_the_midst_aborts(make: Any) -> None:
    side = make()

    def batches() -> Iterator[Any]:
        yield [p_data(pdv(1, 0, b"first"))]
        raise OSError("disk gone")

    with pytest.raises(OSError, match="disk gone"):
        side.dul.send_data(batches())
    assert side.peer.pdu()[12:] == b"first"
    assert side.peer.exactly(10) == abort(0, 0)
    assert side.ended is not None
    assert isinstance(side.ended.error, OSError)


def test_ctrl_c_in_the_midst_of_a_pdu_cuts(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    side = make()
    real = side.dul.connection.push

    def push(buffers: Any) -> int:
        real([bytes(buffers[0])[:7]])
        raise KeyboardInterrupt

    monkeypatch.setattr(side.dul.connection, "push", push)
    with pytest.raises(KeyboardInterrupt):
        side.dul.send_data(message(b"whatever"))
    monkeypatch.undo()
    assert len(side.peer.rest()) == 7
    assert side.ended is not None


def test_an_abort_from_the_source_itself(make: Any) -> None:
    side = make()

    def batches() -> Iterator[Any]:
        yield [p_data(pdv(1, 0, b"first"))]
        assert side.dul.abort(LOCAL)
        yield [p_data(pdv(1, 2, b"second"))]

    with pytest.raises(Stopped):
        side.dul.send_data(batches())
    assert side.peer.pdu()[12:] == b"first"
    assert side.peer.exactly(10) == abort(0, 0)


def test_a_handler_of_what_is_being_sent_cannot_send(make: Any) -> None:
    side = make()
    problems: list[RuntimeError] = []

    def on_pdu(pdu: Any, sent: bool) -> None:
        side.user.watches_pdus = False
        try:
            side.dul.send_data(message(b"nested"))
        except RuntimeError as error:
            problems.append(error)

    side.user.watches_pdus = True
    side.user.on_pdu_do = on_pdu
    side.dul.send_data([[p_data(pdv(1, 3, b"outer"))]])
    assert problems
    assert side.peer.pdu()[12:] == b"outer"


def test_a_handler_of_a_transition_may_abort_and_send(make: Any) -> None:
    side = make("Sta3", requestor=False)
    side.user.watches_transitions = True

    def on_transition(action: str, *_: str) -> None:
        if action == "AE-7":
            side.dul.send_data(message(b"at once"))
            side.dul.abort(LOCAL)

    side.user.on_transition_do = on_transition
    side.dul.perform(pdus.A_ASSOCIATE_AC())
    assert [side.peer.pdu()[0] for _ in range(3)] == [2, 4, 7]
    assert [t[0] for t in side.user.transitions[:2]] == ["AE-7", "AA-1"]


# How it ends, as the peer has it


def test_what_the_peer_said_before_it_closed_counts(make: Any) -> None:
    """A writer finds the connection broken before the reader has seen the A-ABORT."""
    for _ in range(10):
        side = make()
        sender = blocked(side)
        side.peer.send(abort(2, 4))
        side.peer.close()
        sender.join(60)
        assert isinstance(sender.outcome, Stopped)
        assert sender.saw == Ended("aborted", "peer", 2, 4)


def test_a_writer_reports_nothing_that_the_reader_has_still_to_read(make: Any) -> None:
    """As before, with the reader held up in a handler while the write fails."""
    side = make()
    side.user.watches_transitions = True
    reading, failed = threading.Event(), threading.Event()

    def on_data(data: bytes, sent: bool) -> None:
        if not sent:
            reading.set()
            failed.wait(60)

    side.user.on_data = on_data  # type: ignore[method-assign]
    side.user.watches_data = True
    side.peer.send(abort(2, 4))
    assert reading.wait(60)
    side.peer.close()
    sender = Sender(side, message(b"x"))
    assert until(lambda: side.dul.driver.problem is not None)
    failed.set()
    sender.join(60)
    assert sender.saw == Ended("aborted", "peer", 2, 4)


def test_a_lost_connection(make: Any) -> None:
    side = make()
    side.peer.close()
    assert side.user.ended.wait(60)
    assert side.ended is not None
    assert (side.ended.kind, side.ended.by) == ("aborted", "network")
    side.dul.join(60)
    assert side.user.endings == 1
    assert side.dul.provider.state == "Sta1"


def test_a_lost_connection_wakes_a_writer(make: Any) -> None:
    side = make()
    sender = blocked(side)
    side.peer.close()
    sender.join(60)
    assert sender.saw is not None
    assert sender.saw.by == "network"


@pytest.mark.parametrize("watched", [False, True])
@pytest.mark.parametrize(
    ("state", "sent", "answer", "ended"),
    [
        ("Sta5", abort(2, 1), b"", Ended("aborted", "peer", 2, 1)),
        ("Sta5", reject(1, 1, 7), b"", Ended("rejected", "peer", 1, 7, 1)),
        ("Sta6", abort(0, 0), b"", Ended("aborted", "peer", 0, 0)),
        ("Sta7", RELEASE_RP, b"", Ended("released", "local")),
        ("Sta11", RELEASE_RP, b"", Ended("released", "local")),
        ("Sta8", abort(0, 0), b"", Ended("aborted", "peer", 0, 0)),
    ],
)
def test_the_peer_ends_it(
    make: Any, state: str, sent: bytes, answer: bytes, ended: Ended, watched: bool
) -> None:
    side = make(state, start=False)
    side.user.watches_pdus = side.user.watches_data = side.user.watches_transitions = watched
    side.start()
    side.peer.send(sent)
    assert side.peer.rest() == answer
    assert side.ended == ended
    assert side.user.ended.wait(60)
    assert side.user.endings == 1


UNEXPECTED = {
    "A-ASSOCIATE-RQ": (request(), set()),
    "A-ASSOCIATE-AC": (pdus.A_ASSOCIATE_AC().encode(), {"Sta5"}),
    "A-ASSOCIATE-RJ": (reject(1, 1, 1), {"Sta5"}),
    "P-DATA-TF": (p_data(pdv(1, 3, b"x")), {"Sta6", "Sta7"}),
    "A-RELEASE-RQ": (RELEASE_RQ, {"Sta6", "Sta7"}),
    "A-RELEASE-RP": (RELEASE_RP, {"Sta7", "Sta10", "Sta11"}),
}
STATES = ["Sta3", "Sta5", "Sta6", "Sta7", "Sta8", "Sta9", "Sta10", "Sta11", "Sta12"]


@pytest.mark.parametrize(
    ("state", "name"),
    [(s, n) for s, n in itertools.product(STATES, UNEXPECTED) if s not in UNEXPECTED[n][1]],
)
def test_an_unexpected_pdu(make: Any, state: str, name: str) -> None:
    side = make(state)
    side.peer.send(UNEXPECTED[name][0])
    assert side.peer.exactly(10) == abort(2, 2)
    assert side.user.ended.wait(60)
    assert side.ended is not None
    assert side.ended[:4] == ("aborted", "local", 2, 2)
    assert side.dul.provider.state == "Sta13"
    assert isinstance(side.ended.error, PDUDecodeError)


@pytest.mark.parametrize("state", STATES)
@pytest.mark.parametrize(
    ("junk", "reason"),
    [(b"GET / HTTP/1.1\r\n", 1), (struct.pack(">BxI", 7, 2**32 - 1), 6)],
)
def test_an_invalid_pdu(make: Any, state: str, junk: bytes, reason: int) -> None:
    side = make(state)
    side.peer.send(junk)
    assert side.peer.exactly(10) == abort(2, reason)
    assert side.user.ended.wait(60)
    assert side.ended is not None
    assert side.ended[:4] == ("aborted", "local", 2, reason)


def test_a_message_that_is_none(make: Any) -> None:
    side = make()
    side.peer.send(p_data(pdv(1, 2, b"nonsense")) + p_data(pdv(1, 2, b"more")) + abort(0, 0))
    assert side.peer.exactly(10) == abort(0, 0)
    assert side.peer.rest() == b""  # its A-ABORT has been understood: AA-2
    assert side.user.messages == []
    assert side.ended is not None
    assert isinstance(side.ended.error, DIMSEDecodeError)


def test_two_thousand_pdvs_in_slices(make: Any) -> None:
    side = make()
    data = b"".join(p_data(pdv(1, 2, bytes([n % 251]) * (n % 40))) for n in range(2000))
    for start in range(0, len(data), 977):
        side.peer.send(data[start : start + 977])
    for _ in range(2000):
        assert side.user.arrived.acquire(timeout=60)
    assert side.user.messages == [(1, bytes([n % 251]) * (n % 40)) for n in range(2000)]


# In Sta13


def in_sta13(make: Any) -> Any:
    side = make()
    side.user.watches_transitions = True
    side.dul.abort(LOCAL)
    assert side.peer.exactly(10) == abort(0, 0)
    return side


@pytest.mark.parametrize(
    ("sent", "reason"),
    [(request(), 2), (b"GET / HTTP", 1), (b"\x05\0\0\0\0\x05", 6)],
)
def test_aa_7(make: Any, sent: bytes, reason: int) -> None:
    side = in_sta13(make)
    side.peer.send(sent)
    assert side.peer.exactly(10) == abort(2, reason)
    assert side.peer.silent()
    assert side.dul.provider.state == "Sta13"
    assert side.ended == LOCAL


def test_aa_7_while_somebody_still_writes(make: Any) -> None:
    """The peer has our last PDU before the thread that sent it has given the write lock back."""
    side = make("Sta8", requestor=False)
    sent, go_on = threading.Event(), threading.Event()
    real = side.dul.connection.push

    def push(buffers: Any) -> int:
        count: int = real(buffers)
        sent.set()
        go_on.wait(60)
        return count

    side.dul.connection.push = push
    args = (pdus.A_RELEASE_RP(),)
    thread = threading.Thread(target=side.dul.perform, args=args)
    thread.start()
    assert sent.wait(60)
    side.dul.connection.push = real
    side.user.watches_transitions = True
    side.peer.send(b"junk!!")
    assert side.peer.exactly(10) == RELEASE_RP
    assert until(lambda: side.dul.driver.writer.again)
    go_on.set()
    assert side.peer.exactly(10) == abort(2, 1)
    thread.join(60)


@pytest.mark.parametrize("sent", [RELEASE_RQ, RELEASE_RP, reject(1, 1, 1), p_data(pdv(9, 3, b"x"))])
def test_aa_6(make: Any, sent: bytes) -> None:
    side = in_sta13(make)
    side.peer.send(sent + sent)
    assert until(lambda: [t[0] for t in side.user.transitions][-2:] == ["AA-6", "AA-6"])
    assert side.peer.silent(0.02)
    assert side.user.messages == []
    assert side.ended == LOCAL


def test_a_flood_in_sta13_is_not_kept(make: Any) -> None:
    kept: list[int] = []

    def count(*_: str) -> None:
        if len(side.user.transitions) % 700 == 0:  # in the midst of what was read at once
            kept.append(sum(isinstance(thing, Move) for thing in gc.get_objects()))

    side = in_sta13(make)
    side.user.on_transition_do = count
    gc.collect()  # what the tests before this one have left
    side.peer.send(RELEASE_RQ * 5000)
    assert until(lambda: len(side.user.transitions) == 5001)
    assert len(kept) == 7
    assert max(kept) <= kept[0] + 50


def test_an_abort_in_sta13_closes(make: Any) -> None:
    side = in_sta13(make)
    side.peer.send(abort(0, 0))
    assert side.peer.rest() == b""
    side.dul.join(60)
    assert side.user.transitions[-1] == ("AA-2", "Sta13", "Evt16", "Sta1")


@pytest.mark.parametrize("network_timeout", [None, 0.05, NEVER])
def test_a_peer_that_keeps_the_socket(
    make: Any, monkeypatch: pytest.MonkeyPatch, network_timeout: float | None
) -> None:
    monkeypatch.setattr(dul_module, "LINGER", 0.2)
    side = make(start=False)
    side.user.network_timeout = network_timeout
    side.start()
    side.dul.abort(LOCAL)
    assert side.peer.rest() == abort(0, 0)


def test_a_peer_that_keeps_the_socket_after_a_release(
    make: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dul_module, "LINGER", 0.2)
    side = make("Sta8", requestor=False, start=False)
    side.user.network_timeout = 0.1
    side.user.watches_transitions = True
    side.start()
    side.dul.perform(pdus.A_RELEASE_RP())
    assert side.peer.rest() == RELEASE_RP
    side.dul.join(60)
    assert [t[0] for t in side.user.transitions] == ["AR-4", "AA-2"]


# Release


def test_a_pause_that_is_over_is_no_silence_of_the_peer(make: Any) -> None:
    """Also where the DUL thread looks at the silence in the same turn, after another's move."""
    side = make(start=False)

    def take(message: Any) -> None:
        side.dul.perform(pdus.A_RELEASE_RQ())
        side.dul.pause(0)

    side.user.take = take
    side.user.on_paused = side.user.arrived.release
    side.start()
    side.peer.send(p_data(pdv(1, 3, b"response")))
    assert side.peer.exactly(10) == RELEASE_RQ
    assert side.user.arrived.acquire(timeout=60)
    side.peer.send(RELEASE_RP)
    side.dul.join(60)
    assert side.ended == Ended("released", "local")


def test_the_peer_releases(make: Any) -> None:
    side = make(requestor=False)
    side.peer.send(RELEASE_RQ)
    assert side.user.released.wait(60)
    assert side.dul.provider.state == "Sta8"
    side.dul.send_data(message(b"response"))  # AR-7
    side.dul.perform(pdus.A_RELEASE_RP())
    assert side.peer.pdu()[12:] == b"response"
    assert side.peer.exactly(10) == RELEASE_RP
    side.peer.close()
    side.dul.join(60)
    assert side.ended == Ended("released", "peer")


def test_a_request_that_crosses_our_release(make: Any) -> None:
    side = make()
    side.dul.perform(pdus.A_RELEASE_RQ())
    side.peer.send(p_data(pdv(1, 2, b"crossing")) + RELEASE_RP)
    assert side.peer.rest() == RELEASE_RQ
    assert side.user.messages == [(1, b"crossing")]
    assert side.ended == Ended("released", "local")


def test_release_collision_as_requestor(make: Any) -> None:
    side = make(requestor=True, start=False)
    side.user.watches_transitions = True
    side.start()
    side.dul.perform(pdus.A_RELEASE_RQ())
    side.peer.send(RELEASE_RQ)
    assert side.peer.exactly(20) == RELEASE_RQ + RELEASE_RP
    assert side.dul.provider.state == "Sta11"
    side.peer.send(RELEASE_RP)
    assert side.peer.rest() == b""
    side.dul.join(60)
    assert [t[0] for t in side.user.transitions] == ["AR-1", "AR-8", "AR-9", "AR-3"]
    assert side.ended == Ended("released", "local")


def test_release_collision_as_acceptor(make: Any) -> None:
    side = make(requestor=False, start=False)
    side.user.watches_transitions = True
    side.start()
    side.dul.perform(pdus.A_RELEASE_RQ())
    side.peer.send(RELEASE_RQ)
    assert side.peer.exactly(10) == RELEASE_RQ
    assert side.peer.silent(0.02)
    assert until(lambda: side.dul.provider.state == "Sta10")
    side.peer.send(RELEASE_RP)
    assert side.peer.exactly(10) == RELEASE_RP
    side.peer.close()
    side.dul.join(60)
    assert [t[0] for t in side.user.transitions] == ["AR-1", "AR-8", "AR-10", "AR-4", "AR-5"]
    assert side.ended == Ended("released", "local")


@pytest.mark.parametrize("requestor", [True, False])
def test_abort_in_the_midst_of_a_collision(make: Any, requestor: bool) -> None:
    side = make(requestor=requestor)
    side.dul.perform(pdus.A_RELEASE_RQ())
    side.peer.send(RELEASE_RQ)
    state = "Sta11" if requestor else "Sta10"
    assert until(lambda: side.dul.provider.state == state)
    assert side.dul.abort(LOCAL)
    expected = RELEASE_RQ + RELEASE_RP * requestor + abort(0, 0)
    assert side.peer.exactly(len(expected)) == expected


# Silence


@pytest.mark.parametrize(
    "sent", [b"\x04\0", p_data(pdv(1, 0, b"first")), p_data(pdv(1, 2, b"xyz"))[:-1]]
)
def test_silence_in_the_midst(make: Any, sent: bytes) -> None:
    side = make(start=False)
    side.user.network_timeout = 0.2
    side.start()
    side.peer.send(sent)
    assert side.peer.exactly(10) == abort(0, 0)
    assert side.ended == Ended("aborted", "local", 0, 0, timer="network_timeout")


@pytest.mark.parametrize("error", [ZeroDivisionError])
def test_a_defect_while_what_was_read_is_taken_apart(
    make: Any, monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """What was taken apart is lost, so the association cannot go on."""
    side = make(start=False)

    def fail(count: int = 0) -> None:
        if count:
            raise error

    monkeypatch.setattr(side.dul, "_understand", fail)
    side.start()
    side.peer.send(p_data(pdv(1, 2, b"hello")))
    assert side.peer.exactly(10) == abort(2, 0)
    side.dul.join(60)
    assert (side.ended.kind, side.ended.by) == ("aborted", "local")
    assert isinstance(side.ended.error, error)


def test_a_defect_while_another_thread_writes(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """The A-ABORT is not lost for that: it is written when that thread is done."""
    side = make(start=False)
    monkeypatch.setattr(sending, "LAST_PDU", 3600)

    def fail(count: int = 0) -> None:
        if count:
            raise ZeroDivisionError

    monkeypatch.setattr(side.dul, "_understand", fail)
    done = threading.Event()
    writer = threading.Thread(target=side.dul.driver.writer.hold.run, args=(done.wait,))
    writer.start()
    side.start()
    side.peer.send(p_data(pdv(1, 2, b"hello")))
    try:
        assert until(lambda: side.dul._finished)
    finally:
        done.set()
    assert side.peer.exactly(10) == abort(2, 0)
    writer.join(60)
    side.dul.join(60)


def test_silence_in_between_is_not_ours_to_judge(make: Any) -> None:
    side = make(start=False)
    side.user.network_timeout = 0.05
    side.start()
    assert side.peer.silent(0.2)
    side.peer.send(p_data(pdv(1, 2, b"hello")))
    assert side.user.arrived.acquire(timeout=60)
    assert side.ended is None


# As requestor


def test_a_peer_that_speaks_first_is_heard_when_it_was_asked(make: Any) -> None:
    side = make("Sta1", start=False)
    side.dul.driver.connecting()
    side.peer.send(b"220 mail.example.org ESMTP\r\n")
    rq = pdus.A_ASSOCIATE_RQ()
    side.dul.perform(rq)
    assert side.peer.pdu() == rq.encode()
    assert side.ended is None
    side.start()
    assert side.peer.exactly(10) == abort(2, 1)
    assert side.user.ended.wait(60)


def test_a_peer_that_says_why_it_closes_before_it_is_read(make: Any) -> None:
    """A write that fails before the DUL thread was started is followed by reading."""
    side = make("Sta1", start=False)
    side.dul.driver.connecting()
    side.peer.send(reject(1, 1, 1))
    side.peer.close()
    side.dul.driver.writer.connection.socket.shutdown(socket.SHUT_WR)
    with pytest.raises(Stopped):
        side.dul.perform(pdus.A_ASSOCIATE_RQ())
    assert side.user.ended.wait(60)
    assert side.ended is not None
    assert side.ended.kind == "rejected"


@pytest.mark.parametrize("started", [False, True])
def test_abort_before_the_request_is_sent(make: Any, started: bool) -> None:
    side = make("Sta1", start=False)
    side.dul.driver.connecting()
    if started:
        side.start()
    assert side.dul.abort(Ended("aborted", "local", 2, 0))
    assert side.dul.see_closed()
    assert side.peer.rest() == b""
    with pytest.raises(Stopped):
        side.dul.perform(pdus.A_ASSOCIATE_RQ())


@pytest.mark.parametrize("asked", [False, True])
def test_abort_before_there_is_a_connection(asked: bool) -> None:
    user, connector = User(), Connector()
    dul = DUL(user, Provider(requestor=True), connector)
    if asked:
        dul.driver.connecting()
    assert dul.abort(LOCAL)
    assert not dul.abort(LOCAL)
    assert (dul.provider.ended, user.endings) == (LOCAL, 1)
    if not asked:
        with pytest.raises(Stopped):
            dul.driver.connecting()
    with pytest.raises(OSError, match="given up"):
        connector.connect(AddressInformation("127.0.0.1", 1), None)
    assert not dul.see_closed()


def test_abort_while_the_connection_comes_about() -> None:
    """The thread that connects has the connection already, and not said so."""
    ours, theirs = socket.socketpair()
    user = User()
    dul = DUL(user, Provider(requestor=True), Connector())
    dul.driver.connecting()
    assert dul.abort(LOCAL)
    dul.attach(Connection(ours))
    with Peer(theirs) as peer:
        assert peer.rest() == b""
        with pytest.raises(Stopped):
            dul.perform(pdus.A_ASSOCIATE_RQ())
        assert dul.see_closed()
    assert (dul.provider.ended, user.endings, dul.connection.fileno()) == (LOCAL, 1, -1)


def test_no_connection_comes_about() -> None:
    user = User()
    dul = DUL(user, Provider(requestor=True), Connector())
    dul.driver.connecting()
    failed = Ended("failed", "network", timer="acse_timeout")
    dul.fail(failed)
    assert (dul.provider.ended, user.endings, dul.provider.state) == (failed, 1, "Sta1")
    assert not dul.abort(LOCAL)
    assert not dul.see_closed()
    dul.join(1)
    dul.resume()
    dul.look_again()


def test_the_acceptance(make: Any) -> None:
    side = make("Sta5")
    side.dul.framer.context_ids = frozenset()
    side.peer.send(pdus.A_ASSOCIATE_AC().encode() + p_data(pdv(1, 3, b"at once")))
    for _ in range(2):
        assert side.user.arrived.acquire(timeout=60)
    assert isinstance(side.user.messages[0], pdus.A_ASSOCIATE_AC)
    assert side.user.messages[1] == (1, b"at once")


# Events


def test_what_is_shown(make: Any) -> None:
    side = make(start=False)
    user = side.user
    user.watches_data = user.watches_pdus = user.watches_transitions = True
    side.start()
    side.dul.send_data([[p_data(pdv(1, 1, b"ab")), p_data(pdv(1, 2, b"cd"))]])
    incoming = p_data(pdv(1, 0, b"12"), pdv(1, 2, b"34"))
    side.peer.send(incoming)
    assert user.arrived.acquire(timeout=60)
    side.dul.abort(LOCAL)
    shown = [pdu for kind, sent, pdu in user.seen if kind == "pdu" and sent]
    assert [type(pdu).__name__ for pdu in shown] == ["P_DATA_TF", "P_DATA_TF", "A_ABORT"]
    received = [pdu for kind, sent, pdu in user.seen if kind == "pdu" and not sent]
    assert [(p.context_id, p.control, p.data) for p in received[0].pdvs] == [
        (1, 0, b"12"),
        (1, 2, b"34"),
    ]
    out = b"".join(data for kind, sent, data in user.seen if kind == "data" and sent)
    assert out == side.peer.exactly(len(out))
    assert (
        b"".join(data for kind, sent, data in user.seen if kind == "data" and not sent) == incoming
    )


def test_an_a_abort_left_to_the_writer_is_shown_too(make: Any) -> None:
    side = make(small=True)
    side.user.watches_pdus = True
    sender = Sender(side, message(bytes(20_000)))
    assert is_blocked(side)
    side.dul.abort(LOCAL)
    side.peer.rest_until_abort()
    sender.join(60)
    assert until(lambda: any(isinstance(pdu, pdus.A_ABORT) for _, _, pdu in side.user.seen))


def test_a_defect_of_ours_ends_it(make: Any, caplog: pytest.LogCaptureFixture) -> None:
    side = make()

    def feed(*_: Any) -> None:
        raise ZeroDivisionError

    side.user.feed = feed  # type: ignore[method-assign]
    side.peer.send(p_data(pdv(1, 2, b"x")))
    assert side.peer.rest() == abort(2, 0)
    assert side.ended is not None
    assert isinstance(side.ended.error, ZeroDivisionError)
    assert "DUL thread failed" in caplog.text


def test_no_thread_to_be_had(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    side = make("Sta3", requestor=False, start=False)

    def start(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            side.dul.start()
        side.dul.join(1)
    assert side.peer.rest() == abort(2, 0)
    assert side.ended is not None
    assert isinstance(side.ended.error, RuntimeError)


# Races


def test_only_the_first_abort_counts(make: Any) -> None:
    for _ in range(20):
        side = make()
        gate = threading.Barrier(4)
        won: list[bool] = []

        def run(number: int, side: Side = side, gate: Any = gate, won: list[bool] = won) -> None:
            gate.wait(60)
            won.append(side.dul.abort(Ended("aborted", "local", number % 2 * 2, 0)))

        threads = [threading.Thread(target=run, args=(n,)) for n in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert won.count(True) == 1
        assert side.ended is not None
        assert side.peer.exactly(10) == abort(side.ended.source or 0, 0)
        side.peer.close()
        side.dul.join(60)
        assert side.user.endings >= 1


@pytest.mark.parametrize("seed", range(30))
def test_all_at_once(make: Any, seed: int, caplog: pytest.LogCaptureFixture) -> None:
    """Writers, an abort or a release, and the peer's doings, all at the same time.

    Whatever comes first: there are whole PDUs on the wire in an order that the state machine
    allows, everybody is woken, and everything is given back.
    """
    chance = random.Random(seed)
    side = make(requestor=chance.random() < 0.5, small=chance.random() < 0.5)
    side.user.watches_transitions = True
    gate = threading.Barrier(4)
    doing = chance.choice(["abort", "release", "nothing"])
    theirs = chance.choice(["abort", "close", "release", "junk"])

    def local() -> None:
        gate.wait(60)
        if doing == "abort":
            side.dul.abort(LOCAL)
        elif doing == "release":
            try:
                side.dul.perform(pdus.A_RELEASE_RQ())
            except Stopped:
                if theirs == "release":  # its request came first, and is there to be answered
                    assert side.user.released.wait(60)
                    with suppress(Stopped):
                        side.dul.perform(pdus.A_RELEASE_RP())

    def answer() -> None:
        # As an association does: answer a release request, when it comes.
        gate.wait(60)
        certain = doing == "nothing" and theirs == "release"
        if side.user.released.wait(60 if certain else 0.05):
            with suppress(Stopped):
                side.dul.perform(pdus.A_RELEASE_RP())

    def peer() -> None:
        gate.wait(60)
        with suppress(OSError):
            if theirs == "close":
                side.peer.socket.shutdown(socket.SHUT_WR)
            else:
                side.peer.send(
                    {"abort": abort(0, 0), "release": RELEASE_RQ, "junk": b"junk!!"}[theirs]
                )

    threads = [threading.Thread(target=t) for t in (local, answer, peer)]
    for thread in threads:
        thread.start()
    senders = [Sender(side, message(bytes(3000))), Sender(side, gated(gate, message(bytes(3000))))]
    received = b""
    with suppress(OSError):
        while data := side.peer.socket.recv(65536):
            received += data
            if received.endswith(RELEASE_RP) and RELEASE_RQ not in received:
                break
            if received.endswith((abort(0, 0), abort(2, 1), abort(2, 2))):
                break
            if RELEASE_RQ in received:
                side.peer.socket.settimeout(0.1)
    for thread in (*threads, *senders):
        thread.join(60)
        assert not thread.is_alive()
    side.peer.close()
    side.dul.join(60)
    assert not side.dul.is_alive()
    assert side.ended is not None
    assert side.user.endings >= 1
    assert not caplog.records
    for sender in senders:
        assert sender.outcome is None or isinstance(sender.outcome, Stopped), sender.outcome
    kinds = [pdu[0] for pdu in whole_pdus(received[: len(received) - cut_off(received)])]
    if 5 in kinds:
        assert 4 not in kinds[kinds.index(5) :]
    if 7 in kinds:
        assert set(kinds[kinds.index(7) :]) == {7}


def gated(gate: threading.Barrier, batches: list[list[bytes]]) -> Iterator[list[bytes]]:
    # With the write lock held, so that the others find it taken.
    gate.wait(60)
    yield from batches


def cut_off(data: bytes) -> int:
    """How many bytes at the end belong to a PDU that is not complete."""
    while len(data) >= 6 and len(data) >= 6 + int.from_bytes(data[2:6], "big"):
        data = data[6 + int.from_bytes(data[2:6], "big") :]
    return len(data)


def test_the_descriptor_is_not_given_back_under_a_writer(make: Any) -> None:
    """Closed between two writes: the second must not go to whoever gets the number next."""
    side = make()
    inside, go_on = threading.Event(), threading.Event()

    def batches() -> Iterator[Any]:
        yield [p_data(pdv(1, 0, b"first"))]
        inside.set()
        go_on.wait(60)
        yield [p_data(pdv(1, 2, b"second"))]

    sender = Sender(side, batches())
    assert inside.wait(60)
    fd = side.dul.connection.fileno()
    side.peer.close()
    assert side.user.ended.wait(60)
    side.dul.join(0.05)
    assert side.dul.is_alive()
    os.fstat(fd)
    go_on.set()
    sender.join(60)
    side.dul.join(60)
    assert isinstance(sender.outcome, Stopped)
    assert side.dul.connection.fileno() == -1


def test_no_descriptor_is_left_for_waking(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a descriptor for the waker a blocked writer is still woken, by the cut."""

    def none() -> Any:
        raise OSError(24, "Too many open files")

    monkeypatch.setattr(sending, "LAST_PDU", 0.1)
    side = make()
    monkeypatch.setattr(THREADS, "waker", none)
    sender = Sender(side, message(bytes(4_000_000), 16000))
    assert sender.is_alive()
    assert until(lambda: not side.dul.driver.writer.hold.attempt(lambda: None))
    assert side.dul.abort(LOCAL)
    sender.join(60)
    assert isinstance(sender.outcome, Stopped)
    assert sender.saw == LOCAL


# TLS


class SecuredSide(Side):
    """As `Side`, with TLS between; the peer uses Python's own."""

    def __init__(self) -> None:
        super().__init__("Sta6", True, False)
        server, client = tls.contexts()
        raw = self.peer.socket
        result: list[Any] = []
        thread = threading.Thread(
            target=lambda: result.append(
                # An end without close_notify is an error here.
                server.wrap_socket(raw, server_side=True, suppress_ragged_eofs=False)
            )
        )
        thread.start()
        plain = self.dul.connection.socket
        connection = Connector().secure(plain, client, "127.0.0.1", time.monotonic() + 60)
        thread.join(60)
        self.peer = Peer(result[0])
        self.serve(connection)


@pytest.fixture
def secured() -> Iterator[SecuredSide]:
    side = SecuredSide()
    side.start()
    yield side
    side.peer.close()
    side.dul.join(60)
    assert not side.dul.is_alive()


def test_tls_messages_both_ways(secured: SecuredSide) -> None:
    data = random.Random(2).randbytes(500_000)
    secured.user.network_timeout = None
    sender = Sender(secured, message(data, 16000))
    received = b""
    while len(received) < len(data):
        received += secured.peer.pdu()[12:]
    sender.join(60)
    assert received == data
    # All of it in few records: what is deciphered does not wait for the next bytes on the socket.
    for _ in range(20):
        secured.peer.send(b"".join(p_data(pdv(1, 2, bytes(n))) for n in range(0, 4000, 100)))
        for _ in range(40):
            assert secured.user.arrived.acquire(timeout=60)


def test_tls_records_that_came_with_the_handshake() -> None:
    side = SecuredSide()
    side.peer.send(p_data(pdv(1, 2, b"early")) + p_data(pdv(1, 2, bytes(15000))))
    assert isinstance(side.dul.connection, TLSConnection)
    assert wait_for(side.dul.connection.fileno(), 60)
    side.dul.connection.receive()  # as the lobby may have done
    side.start()
    for _ in range(2):
        assert side.user.arrived.acquire(timeout=60)
    side.peer.close()
    side.dul.join(60)


def test_tls_says_goodbye(secured: SecuredSide) -> None:
    secured.peer.send(abort(0, 0))
    assert secured.peer.socket.recv(10) == b""  # a close_notify: no error for a missing one
    assert secured.user.ended.wait(60)


def test_tls_release(secured: SecuredSide) -> None:
    secured.dul.perform(pdus.A_RELEASE_RQ())
    assert secured.peer.exactly(10) == RELEASE_RQ
    secured.peer.send(RELEASE_RP)
    assert secured.peer.socket.recv(10) == b""
    assert secured.ended == Ended("released", "local")


def test_tls_abort_wakes_a_writer(secured: SecuredSide) -> None:
    sender = blocked(secured)
    assert secured.dul.abort(LOCAL)
    sender.join(60)
    assert not sender.is_alive()
    found = whole_pdus(secured.peer.rest_until_abort())
    assert found[-1] == abort(0, 0)
    assert {pdu[0] for pdu in found[:-1]} == {4}


def test_tls_abort_of_a_writer_whose_ciphertext_alone_is_left(
    secured: SecuredSide, monkeypatch: pytest.MonkeyPatch
) -> None:
    """He must not spin while he waits for that to leave."""
    monkeypatch.setattr(sending, "LAST_PDU", 0.3)
    connection = secured.dul.connection
    while connection.push([p_data(pdv(1, 0, bytes(1000)))]):
        pass
    assert connection.pending
    sender = Sender(secured, [[p_data(pdv(1, 2, b"x"))]])
    assert is_blocked(secured)
    pushes: list[int] = []
    real = connection.push

    def push(buffers: Any) -> int:
        pushes.append(real(buffers))
        return pushes[-1]

    monkeypatch.setattr(connection, "push", push)
    assert secured.dul.abort(LOCAL)
    sender.join(60)
    assert isinstance(sender.outcome, Stopped)
    secured.dul.join(60)
    assert not secured.dul.is_alive()
    assert len(pushes) < 10


def test_an_abort_is_not_lost_to_a_flush(make: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    """Somebody aborts while the lock is taken for TLS's own messages: he leaves it to them."""
    side = make(start=False)
    connection = side.dul.connection
    real = connection.push
    pending = [True]

    def push(buffers: Any) -> int:
        if not buffers:
            pending[0] = False
            aborter = threading.Thread(target=side.dul.abort, args=(LOCAL,))
            aborter.start()
            aborter.join(60)
            return 0
        return real(buffers)

    monkeypatch.setattr(type(connection), "pending", property(lambda self: pending[0]))
    monkeypatch.setattr(connection, "push", push)
    side.dul.driver.writer.after()
    assert side.peer.exactly(10) == abort(0, 0)
    side.start()


def test_tls_key_update() -> None:
    """OpenSSL's own client asks for new keys ("K"); both directions go on with them."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the openssl command is not installed")
    server_context, _ = tls.contexts()
    ours = socket.create_server(("127.0.0.1", 0))
    port = ours.getsockname()[1]
    process = subprocess.Popen(
        [openssl, "s_client", "-connect", f"127.0.0.1:{port}", "-tls1_3"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    ours.settimeout(60)
    sock, _ = ours.accept()
    ours.close()
    connection = TLSConnection(sock, server_context, server_side=True)
    try:
        while not connection.handshake():
            connection.flush()
            assert wait_for(sock.fileno(), 60)
            connection.receive()
        connection.flush()
        view = memoryview(bytearray(100))
        for n in range(5):
            process.stdin.write(b"K\n")
            process.stdin.flush()
            assert wait_for(sock.fileno(), 60)
            connection.receive()
            assert connection.recv_more(view) is None  # new keys, and no data
            process.stdin.write(b"line %d\n" % n)
            process.stdin.flush()
            got = b""
            while not got.endswith(b"\n"):
                count = connection.recv_more(view)
                if count is None:
                    assert wait_for(sock.fileno(), 60)
                    connection.receive()
                got += view[: count or 0]
            assert got == b"line %d\n" % n
            assert connection.push([b"answer %d\n" % n])
            for line in process.stdout:
                if line.startswith(b"answer"):
                    assert line == b"answer %d\n" % n
                    break
    finally:
        process.kill()
        process.communicate()
        connection.close()
