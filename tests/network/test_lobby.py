"""The lobby on its own: a listener, a host that notes what it is given, and all kinds of
visitors."""

from __future__ import annotations

import errno
import logging
import math
import queue
import random
import socket
import ssl
import struct
import subprocess
import sys
import textwrap
import threading
from collections.abc import Callable, Iterator
from contextlib import ExitStack, suppress
from typing import Any

import pytest

from pynetdicom import _config
from pynetdicom.network import lobby as lobby_module
from pynetdicom.network import visitors
from pynetdicom.network.connection import TLSConnection
from pynetdicom.network.lobby import Lobby
from pynetdicom.network.visitors import Visitor
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended
from tests.clock import Clock
from tests.conftest import leaked_descriptors, open_descriptors
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

LOCAL = "127.0.0.1"


class Host:
    """Takes associations over, and closes them at once."""

    def __init__(self, artim: float, tls_context: ssl.SSLContext | None) -> None:
        self.artim = artim
        self.ssl_context = tls_context
        self.plain_too = False
        self.accepts_at_once = 64
        self.room = 1000
        self.most_of_one = math.inf
        self.closed: dict[str, str] = {}
        self.admitted: queue.SimpleQueue[Visitor] = queue.SimpleQueue()
        self.rejected: queue.SimpleQueue[Ended] = queue.SimpleQueue()
        self.problem: Exception | None = None
        self.keep = False

    @property
    def most_unassociated(self) -> tuple[float, float]:
        return _config.MAXIMUM_LOBBY, self.most_of_one

    def closed_to(self, address: str) -> str:
        return self.closed.get(address, "")

    def refusal(self, visitor: Visitor, request: pdus.A_ASSOCIATE_RQ) -> None:
        return None

    @property
    def door(self) -> Host:
        return self

    def reserve(self) -> bool:
        self.room -= 1
        return self.room >= 0

    def admit(self, visitor: Visitor) -> None:
        if self.problem is not None:
            raise self.problem
        assert visitor.provider.state == "Sta3"
        if not self.keep:
            visitor.connection.close()
        self.admitted.put(visitor)

    def turned_away(self, visitor: Visitor) -> None:
        if self.problem is not None:
            raise self.problem
        assert visitor.provider.ended is not None
        self.rejected.put(visitor.provider.ended)


class Place:
    def __init__(self, artim: float, tls_context: ssl.SSLContext | None) -> None:
        self.listener = socket.create_server((LOCAL, 0), backlog=256)
        self.address = self.listener.getsockname()
        self.host = Host(artim, tls_context)
        self.lobby = Lobby(self.listener, self.host)
        self.thread = threading.Thread(target=self.lobby.run)
        self.thread.start()

    def connect(self) -> Peer:
        return Peer.connect(self.address)

    def is_served(self) -> None:
        """A well-behaved visitor gets in."""
        with self.connect() as peer:
            peer.send(request())
            assert self.host.admitted.get(timeout=300).request is not None

    def later(self, clock: Clock, seconds: float) -> None:
        """Have the time go on, and the lobby look at it."""
        clock.now += seconds
        self.lobby._waker.set()

    def stop(self) -> None:
        self.lobby.stop()
        self.thread.join(60)
        assert not self.thread.is_alive()
        self.listener.close()


@pytest.fixture(autouse=True)
def nothing_by_itself(monkeypatch: pytest.MonkeyPatch) -> None:
    """However slow the machine is, only what a test is about ends a visit or a pause."""
    monkeypatch.setattr(lobby_module, "LINGER", 3600)
    monkeypatch.setattr(lobby_module, "_RETRY", 3600)


@pytest.fixture
def make() -> Iterator[Callable[..., Place]]:
    places: list[Place] = []

    def make(artim: float = 3600.0, tls_context: ssl.SSLContext | None = None) -> Place:
        places.append(Place(artim, tls_context))
        return places[-1]

    yield make
    for place in places:
        place.stop()


@pytest.fixture
def place(make: Callable[..., Place]) -> Place:
    return make()


# What Table 9-10 says of Sta2


def test_a_request_is_handed_over(place: Place) -> None:
    place.host.keep = True
    with place.connect() as peer:
        peer.send(request() + b"and more")
        visitor = place.host.admitted.get(timeout=300)
        assert visitor.raw == request()
        assert visitor.request.calling_ae_title == "PEER"
        assert visitor.provider.framer.in_pdu  # what came with it is not lost
        assert until(lambda: len(place.lobby) == 0)
        visitor.connection.close()


@pytest.mark.parametrize("size", [1, 7, 100])
def test_a_request_in_slices(place: Place, size: int) -> None:
    data = request()
    with place.connect() as peer:
        for start in range(0, len(data), size):
            peer.send(data[start : start + size])
        assert place.host.admitted.get(timeout=300).raw == data


AA_1 = {
    "A-ASSOCIATE-AC": pdus.A_ASSOCIATE_AC().encode(),
    "A-ASSOCIATE-RJ": reject(1, 1, 1),
    "P-DATA-TF": p_data(pdv(1, 3, b"x")),
    "A-RELEASE-RQ": RELEASE_RQ,
    "A-RELEASE-RP": RELEASE_RP,
    "HTTP": b"GET / HTTP/1.1\r\nHost: x\r\n\r\n",
    "TLS hello": bytes.fromhex("16 03 01 0200 01 0001fc") + bytes(300),
    "zeros": bytes(100),
    "noise": random.Random(7).randbytes(5000).replace(b"\x01", b"\xff"),
    "length of 2^32 - 1": struct.pack(">BxI", 1, 2**32 - 1),
    "request too short": struct.pack(">BxI", 1, 10) + bytes(10),
    "request of nothing": struct.pack(">BxI", 1, 0),
}


@pytest.mark.parametrize("name", AA_1)
def test_aa_1(place: Place, name: str) -> None:
    with place.connect() as peer:
        peer.send(AA_1[name])
        assert peer.exactly(10) == abort(0, 0)
        assert peer.silent(0.02)
    place.is_served()
    assert until(lambda: len(place.lobby) == 0)


def test_an_abort_first(place: Place) -> None:
    with place.connect() as peer:
        peer.send(abort(0, 0))
        assert peer.rest() == b""
    place.is_served()


def test_after_an_abort_nothing_is_heard_any_more(place: Place) -> None:
    with place.connect() as peer:
        peer.send(b"junk")
        assert peer.exactly(10) == abort(0, 0)
        with suppress(OSError):
            peer.send(request() + bytes(100_000))
        assert place.host.admitted.empty()
        place.is_served()


@pytest.mark.parametrize("sent", [b"junk", request(protocol_version=2)])
def test_a_peer_that_keeps_the_socket(
    place: Place, monkeypatch: pytest.MonkeyPatch, sent: bytes
) -> None:
    clock = Clock(monkeypatch, lobby_module, visitors)
    with place.connect() as peer:
        peer.send(sent)
        assert peer.exactly(10) in (abort(0, 0), reject(1, 2, 2))
        place.later(clock, lobby_module.LINGER - 0.1)
        assert peer.silent()
        place.later(clock, 0.2)
        assert peer.rest() == b""


def test_protocol_version(place: Place) -> None:
    with place.connect() as peer:
        peer.send(request(protocol_version=2))
        assert peer.exactly(10) == reject(1, 2, 2)
    with place.connect() as peer:
        peer.send(request(protocol_version=3))  # other bits are not tested
        assert place.host.admitted.get(timeout=300)


def test_too_many(place: Place) -> None:
    place.host.room = 0
    with place.connect() as peer:
        peer.send(request())
        assert peer.exactly(10) == reject(2, 3, 2)
        assert peer.silent(0.02)
    assert place.host.rejected.get(timeout=300).reason == 2


# ARTIM


def test_artim_is_over(make: Callable[..., Place]) -> None:
    place = make(artim=0.1)
    with place.connect() as peer:
        assert peer.rest() == b""
    assert place.lobby.never_asked == 1


@pytest.mark.parametrize("trickle", [b"", b"\x01", request()[:-1]])
def test_artim_is_not_restarted_by_bytes(
    place: Place, monkeypatch: pytest.MonkeyPatch, trickle: bytes
) -> None:
    clock = Clock(monkeypatch, lobby_module, visitors)
    place.host.artim = 30
    with place.connect() as peer:
        assert until(lambda: len(place.lobby) == 1)
        (visitor,) = place.lobby._visitors
        for byte in trickle:
            place.later(clock, 29 / len(trickle))
            peer.send(bytes([byte]))
            assert until(lambda: visitor.last_heard == clock.now)
        place.later(clock, 0.9 if trickle else 29.9)
        assert peer.silent()
        place.later(clock, 0.2)
        assert peer.rest() == b""
    assert place.lobby.never_asked == 1


def test_artim_is_over_with_an_abort(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the peer's close is not cut short by the deadline that went before it."""
    clock = Clock(monkeypatch, lobby_module, visitors)
    place.host.artim = 30
    with place.connect() as peer:
        assert until(lambda: len(place.lobby) == 1)
        place.later(clock, 20)
        peer.send(b"junk")
        assert peer.exactly(10) == abort(0, 0)
        place.later(clock, lobby_module.LINGER - 1)
        assert peer.silent()
        place.later(clock, 2)
        assert peer.rest() == b""


def test_everybody_has_an_artim_of_his_own(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, lobby_module, visitors)
    place.host.artim = 30
    with place.connect() as first:
        assert until(lambda: len(place.lobby) == 1)
        place.later(clock, 20)
        with place.connect() as second:
            assert until(lambda: len(place.lobby) == 2)
            place.later(clock, 9)
            assert first.silent()
            place.later(clock, 2)
            assert first.rest() == b""
            place.later(clock, 18)
            assert second.silent()
            place.later(clock, 2)
            assert second.rest() == b""


# Many


def test_silent_connections_are_in_nobodys_way(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_LOBBY", 60)
    with ExitStack() as stack:
        for _ in range(50):
            stack.enter_context(place.connect())
        assert until(lambda: len(place.lobby) == 50)
        for _ in range(5):
            place.is_served()
        assert len(place.lobby) == 50


def test_the_one_silent_longest_makes_room(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_LOBBY", 3)
    with ExitStack() as stack:
        peers = []
        for count in range(1, 4):
            peers.append(stack.enter_context(place.connect()))
            assert until(lambda count=count: len(place.lobby) == count)  # type: ignore[misc]
        peers[0].send(request()[:10])  # it is heard again; the second is silent longest now
        first = min(place.lobby._visitors, key=lambda one: one.opened)
        assert until(lambda: first.provider.framer.in_pdu)
        place.is_served()
        assert peers[1].rest() == b""
        assert peers[0].silent(0.02)
        assert peers[2].silent(0.02)
        peers[0].send(request()[10:])
        assert place.host.admitted.get(timeout=300)


def test_a_storm_of_resets(place: Place) -> None:
    for number in range(300):
        peer = place.connect()
        if number % 3:
            peer.send((b"\x01", request(), b"junk")[number % 3])
        peer.reset()
    assert until(lambda: len(place.lobby) == 0)
    while not place.host.admitted.empty():
        place.host.admitted.get()
    place.is_served()


def test_who_has_left_is_not_kept(place: Place) -> None:
    """Their deadlines are far, but their buffers must not be kept until then."""
    with place.connect():  # whose deadline is in front of theirs
        assert until(lambda: len(place.lobby) == 1)
        for _ in range(300):
            place.connect().close()

        def are_forgotten() -> bool:
            # Some of the 300 may not even have been accepted yet.
            place.connect().close()
            return len(place.lobby._deadlines) < 100

        assert until(are_forgotten)


def test_one_who_never_stops_is_in_nobodys_way(place: Place) -> None:
    """A flood after the A-ABORT is read and dropped, in turn with the others."""
    stop = threading.Event()
    flooder = place.connect()

    def flood() -> None:
        with suppress(OSError):
            while not stop.is_set():
                flooder.send(bytes(65536))

    thread = threading.Thread(target=flood)
    thread.start()
    for _ in range(5):
        place.is_served()
    stop.set()
    flooder.socket.shutdown(socket.SHUT_RDWR)
    thread.join(60)
    flooder.close()


# Defects, and what the machine lacks


def test_an_association_that_cannot_be_made(place: Place, caplog: pytest.LogCaptureFixture) -> None:
    place.host.problem = RuntimeError("can't start new thread")
    with place.connect() as peer:
        peer.send(request())
        assert peer.exactly(10) == reject(2, 3, 1)
    place.host.problem = None
    place.is_served()
    assert "no association could be made" in caplog.text


def test_a_rejection_that_nobody_can_be_told_of(
    place: Place, caplog: pytest.LogCaptureFixture
) -> None:
    place.host.problem = RuntimeError("can't start new thread")
    place.host.room = 0
    with place.connect() as peer:
        peer.send(request())
        assert peer.exactly(10) == reject(2, 3, 2)
    place.host.problem = None
    place.host.room = 10
    place.is_served()


def test_a_defect_with_one_visitor_leaves_the_others(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def defect(*_: Any) -> None:
        raise ZeroDivisionError

    with monkeypatch.context() as patch:
        patch.setattr(place.lobby, "_take", defect)
        with place.connect() as peer:
            peer.send(request())
            assert peer.rest() == b""
    place.is_served()
    assert any(record.levelno == logging.ERROR for record in caplog.records)


class NoDescriptors:
    """A listening socket whose accept() fails, and counts."""

    def __init__(self, listener: socket.socket) -> None:
        self._listener = listener
        self.code: int | None = errno.EMFILE
        self.calls = 0
        self.fails_at_most = math.inf

    def __getattr__(self, name: str) -> Any:
        return getattr(self._listener, name)

    def accept(self) -> Any:
        self.calls += 1
        if self.code is not None and self.calls <= self.fails_at_most:
            raise OSError(self.code, "simulated")
        return self._listener.accept()


@pytest.mark.parametrize("code", [errno.EMFILE, errno.ENFILE, errno.ENOBUFS, errno.EINVAL])
def test_without_descriptors_it_waits(make: Callable[..., Place], code: int) -> None:
    place = make()
    listener = NoDescriptors(place.listener)
    listener.code = code
    with place.connect() as watcher:  # it is in the lobby, and its bytes wake the thread
        assert until(lambda: len(place.lobby) == 1)
        place.lobby._listener = listener  # type: ignore[assignment]
        with place.connect() as peer:
            assert until(lambda: listener.calls >= 1)
            for byte in request()[:20]:
                watcher.send(bytes([byte]))
            assert watcher.silent(0.1)
            assert listener.calls == 64  # and not thousands of times
            listener.code = None
            place.lobby.descriptor_freed()
            peer.send(request())
            assert place.host.admitted.get(timeout=300)


def test_a_visitor_who_leaves_frees_a_descriptor(make: Callable[..., Place]) -> None:
    place = make()
    listener = NoDescriptors(place.listener)
    watcher = place.connect()
    assert until(lambda: len(place.lobby) == 1)
    place.lobby._listener = listener  # type: ignore[assignment]
    with place.connect() as peer:
        peer.send(request())
        assert until(lambda: listener.calls == 64)
        listener.code = None
        watcher.close()
        assert place.host.admitted.get(timeout=300)


def test_a_peer_that_had_gone_does_not_stop_it(make: Callable[..., Place]) -> None:
    place = make()
    listener = NoDescriptors(place.listener)
    listener.code = errno.ECONNABORTED
    listener.fails_at_most = 3
    with place.connect() as first:
        first.send(request())
        assert place.host.admitted.get(timeout=300)
    place.lobby._listener = listener  # type: ignore[assignment]
    with place.connect() as peer:
        peer.send(request())
        assert place.host.admitted.get(timeout=300)
    assert listener.calls > 3


EMFILE_SCRIPT = """
    import os, resource, sys
    from pynetdicom import AE
    from pynetdicom.network import lobby
    lobby._RETRY = 3600
    accepts = []
    accept = lobby.Lobby._accept
    lobby.Lobby._accept = lambda self: (accepts.append(1), accept(self))
    ae = AE()
    ae.acse_timeout = 3600
    ae.add_supported_context("1.2.840.10008.1.1")
    server = ae.start_server(("127.0.0.1", 0), block=False)
    used = max(int(name) for name in os.listdir("/proc/self/fd"))
    resource.setrlimit(resource.RLIMIT_NOFILE, (used + 40, used + 40))
    print(server.server_address[1], flush=True)
    sys.stdin.readline()
    before = len(accepts)
    sys.stdin.readline()
    print(len(accepts) - before, flush=True)
    sys.stdin.readline()
    ae.shutdown()
    print("down", flush=True)
"""


@pytest.mark.skipif(sys.platform != "linux", reason="counts descriptors in /proc")
def test_emfile_and_recovery(python_env: dict[str, str]) -> None:
    process = subprocess.Popen(
        [sys.executable, "-c", textwrap.dedent(EMFILE_SCRIPT)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        env=python_env,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def say() -> None:
        assert process.stdin is not None
        process.stdin.write("\n")
        process.stdin.flush()

    try:
        address = (LOCAL, int(process.stdout.readline()))
        with ExitStack() as stack:
            for _ in range(80):  # the kernel takes more than the process can
                stack.enter_context(Peer.connect(address))
            with Peer.connect(address) as last:
                last.send(request())
                assert last.silent(0.3)
                say()
                assert last.silent(0.3)
                say()
                assert process.stdout.readline() == "0\n"  # and not thousands
        with Peer.connect(address) as peer:
            peer.associate()
            peer.echo()
            peer.release()
        say()
        assert process.stdout.readline() == "down\n"
    finally:
        process.communicate("\n\n\n", timeout=300)


def test_stopping_with_visitors(make: Callable[..., Place]) -> None:
    place = make()
    with place.connect() as silent, place.connect() as aborted:
        aborted.send(b"junk")
        assert aborted.exactly(10) == abort(0, 0)
        assert until(lambda: len(place.lobby) == 2)
        place.stop()
        assert silent.rest() == aborted.rest() == b""
    place.lobby.stop()
    place.lobby.descriptor_freed()


def test_stopping_before_it_runs() -> None:
    listener = socket.create_server((LOCAL, 0))
    lobby = Lobby(listener, Host(5, None))
    lobby.stop()
    lobby.run()
    listener.close()


def test_disposing_of_one_that_never_runs() -> None:
    listener = socket.create_server((LOCAL, 0))
    before = open_descriptors()
    lobby = Lobby(listener, Host(5, None))
    lobby.stop()
    lobby.close()
    assert leaked_descriptors(before) == {}
    listener.close()


# TLS


@pytest.fixture
def secured(make: Callable[..., Place]) -> tuple[Place, ssl.SSLContext]:
    server, client = tls.contexts()
    return make(tls_context=server), client


def test_a_request_through_tls(secured: tuple[Place, ssl.SSLContext]) -> None:
    place, client = secured
    with place.connect() as peer, client.wrap_socket(peer.socket, server_hostname=LOCAL) as sock:
        for byte in request():
            sock.send(bytes([byte]))
        visitor = place.host.admitted.get(timeout=300)
        assert visitor.raw == request()
        assert isinstance(visitor.connection, TLSConnection)


def test_a_rejection_through_tls(secured: tuple[Place, ssl.SSLContext]) -> None:
    place, client = secured
    place.host.room = 0
    with place.connect() as peer, client.wrap_socket(peer.socket, server_hostname=LOCAL) as sock:
        sock.send(request())
        assert sock.recv(100) == reject(2, 3, 2)
        sock.settimeout(0.02)
        with suppress(OSError):
            sock.unwrap()  # close_notify, which is a close to us
        assert until(lambda: len(place.lobby) == 0)


@pytest.mark.parametrize("slow", [False, True])
def test_a_slow_handshake_is_in_nobodys_way(
    secured: tuple[Place, ssl.SSLContext], slow: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = Clock(monkeypatch, lobby_module, visitors)
    place, client = secured
    place.host.artim = 30
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    hello = client.wrap_bio(incoming, outgoing, server_hostname=LOCAL)
    with suppress(ssl.SSLWantReadError):
        hello.do_handshake()
    data = outgoing.read()
    with place.connect() as peer:
        assert until(lambda: len(place.lobby) == 1)
        (visitor,) = place.lobby._visitors
        if slow:
            peer.send(data[:50])
        with (
            place.connect() as other,
            client.wrap_socket(other.socket, server_hostname=LOCAL) as sock,
        ):
            sock.send(request())
            assert place.host.admitted.get(timeout=300)
        for number in range(50, len(data) - 1 if slow else 50):
            place.later(clock, 0.01)
            peer.send(data[number : number + 1])
            assert until(lambda: visitor.last_heard == clock.now)
        assert peer.silent()
        place.later(clock, 30)
        assert peer.rest() in (b"", b"\x15\x03\x03\x00\x02\x01\x00")  # at most a close_notify


@pytest.mark.parametrize(
    "junk", [request(), b"GET / HTTP/1.1\r\n\r\n", bytes(1000), b"\x16\x03\x01\xff\xff"]
)
def test_plaintext_to_a_tls_port(secured: tuple[Place, ssl.SSLContext], junk: bytes) -> None:
    place, client = secured
    with place.connect() as peer:
        peer.send(junk)
        answer = peer.rest()
        assert answer[:1] in (b"\x15", b"")  # an alert, where the session could make one
    with place.connect() as peer, client.wrap_socket(peer.socket, server_hostname=LOCAL) as sock:
        sock.send(request())
        assert place.host.admitted.get(timeout=300)


def test_tls_to_a_plaintext_port(place: Place) -> None:
    _, client = tls.contexts()
    with place.connect() as peer, pytest.raises(OSError):
        client.wrap_socket(peer.socket, server_hostname=LOCAL)
    place.is_served()


def test_junk_through_tls(secured: tuple[Place, ssl.SSLContext]) -> None:
    place, client = secured
    with place.connect() as peer, client.wrap_socket(peer.socket, server_hostname=LOCAL) as sock:
        sock.send(b"GET / HTTP/1.1\r\n\r\n")
        assert sock.recv(100) == abort(0, 0)
        with suppress(OSError):
            sock.send(bytes(100_000))
    assert until(lambda: len(place.lobby) == 0)
