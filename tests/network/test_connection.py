"""pynetdicom.network.connection: connections, and TLS over memory BIOs."""

from __future__ import annotations

import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pynetdicom.network.connection import Connection, TLSConnection
from pynetdicom.network.connector import Connector
from pynetdicom.network.sending import advance
from pynetdicom.network.waking import wait_for
from pynetdicom.upper_layer.framing import Framer
from tests.faults import tls

LOCAL = "127.0.0.1"


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    yield connection, theirs
    connection.close()
    theirs.close()


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return tls.contexts()


# TCP


def test_a_read_never_waits(pair: tuple[Connection, socket.socket]) -> None:
    connection, theirs = pair
    with pytest.raises(BlockingIOError):
        connection.recv_now(memoryview(bytearray(10)))
    theirs.send(b"abc")
    assert connection.recv_now(memoryview(bytearray(10))) == 3
    with pytest.raises(BlockingIOError):
        Framer().fill(connection.recv)


def test_push_never_blocks(pair: tuple[Connection, socket.socket]) -> None:
    connection, theirs = pair
    total = 0
    while count := connection.push([bytes(1000)] * 100):
        total += count
    assert not connection.wait_writable(0.01)
    while total > 0:
        total -= len(theirs.recv(1 << 20))
    assert total == 0
    assert connection.wait_writable(60)


def test_cut_wakes_reader_and_writer(pair: tuple[Connection, socket.socket]) -> None:
    connection, _ = pair
    while connection.push([bytes(100_000)]):
        pass
    woken: list[Any] = []
    threads = [
        threading.Thread(target=lambda: woken.append(wait_for(connection.fileno(), None))),
        threading.Thread(target=lambda: woken.append(connection.wait_writable(None))),
    ]
    for thread in threads:
        thread.start()
    connection.cut()
    for thread in threads:
        thread.join(60)
    assert woken == [True, True]
    assert connection.recv_now(memoryview(bytearray(1))) == 0


def test_a_closed_connection_is_not_cut_again() -> None:
    """Its descriptor's number may be somebody else's by then."""
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    fd = connection.fileno()
    connection.close()
    others, far = socket.socketpair()
    if others.fileno() != fd:
        os.dup2(others.fileno(), fd)
    connection.cut()
    connection.close()
    far.send(b"still there")
    assert os.read(fd, 20) == b"still there"
    if others.fileno() != fd:
        os.close(fd)
    for sock in (others, far, theirs):
        sock.close()


# TLS


class Secured:
    """A TLS connection of ours, and Python's own at the other end."""

    def __init__(
        self, contexts: tuple[ssl.SSLContext, ssl.SSLContext], version: Any = None
    ) -> None:
        server, client = contexts
        ours, theirs = socket.socketpair()
        theirs.settimeout(60)
        result: list[ssl.SSLSocket] = []
        thread = threading.Thread(
            target=lambda: result.append(server.wrap_socket(theirs, server_side=True))
        )
        thread.start()
        self.connection = Connector().secure(ours, client, LOCAL, time.monotonic() + 60)
        thread.join(60)
        self.peer = result[0]

    def close(self) -> None:
        self.connection.close()
        self.peer.close()


@pytest.fixture(params=["TLSv1_2", "TLSv1_3"])
def secured(request: pytest.FixtureRequest) -> Iterator[Secured]:
    server, client = tls.contexts()
    server.maximum_version = server.minimum_version = ssl.TLSVersion[request.param]
    both = Secured((server, client))
    yield both
    both.close()


def read_clear(connection: TLSConnection, view: memoryview) -> int:
    """Wait for plaintext; 0 when the peer has closed."""
    while (count := connection.recv_more(view)) is None:
        assert wait_for(connection.fileno(), 60)
        with suppress(BlockingIOError):
            connection.receive()
    return count


def test_bytes_both_ways(secured: Secured) -> None:
    data = os.urandom(300_000)
    received = bytearray()

    def read() -> None:
        while len(received) < len(data):
            received.extend(secured.peer.recv(65536))

    thread = threading.Thread(target=read)
    thread.start()
    rest: Any = [data[:12], memoryview(data)[12:]]
    while rest:
        count = secured.connection.push(rest)
        rest = advance(rest, count)
        if not count:
            assert secured.connection.wait_writable(60)
    while secured.connection.pending:
        assert secured.connection.wait_writable(60)
        secured.connection.push(())
    thread.join(60)
    assert received == data

    thread = threading.Thread(target=secured.peer.sendall, args=(data,))
    thread.start()
    view = memoryview(bytearray(5000))
    got = b""
    while len(got) < len(data):
        got += view[: read_clear(secured.connection, view)]
    thread.join(60)
    assert got == data


def test_close_notify_goes_out_and_is_understood(secured: Secured) -> None:
    secured.connection.say_goodbye()
    secured.connection.cut()
    assert secured.peer.recv(10) == b""  # and no "EOF occurred in violation of protocol"


def test_the_peers_close_notify_is_its_close(secured: Secured) -> None:
    secured.peer.settimeout(0.02)
    with suppress(OSError):
        secured.peer.unwrap()
    assert read_clear(secured.connection, memoryview(bytearray(10))) == 0


def test_a_close_without_notice_is_a_close(secured: Secured) -> None:
    secured.peer.close()
    with suppress(ConnectionError):
        assert read_clear(secured.connection, memoryview(bytearray(10))) == 0


def test_reading_and_writing_at_the_same_time(secured: Secured) -> None:
    """One session object, two threads; both directions are busy."""
    size = 1_000_000
    problems: list[BaseException] = []

    def guarded(work: Callable[[], None]) -> threading.Thread:
        def run() -> None:
            try:
                work()
            except BaseException as error:
                problems.append(error)

        thread = threading.Thread(target=run)
        thread.start()
        return thread

    def write() -> None:
        left = size
        while left or secured.connection.pending:
            count = secured.connection.push([bytes(min(left, 3001))] if left else ())
            left -= count
            if not count and not secured.connection.wait_writable(60):
                raise TimeoutError

    def read() -> None:
        view, left = memoryview(bytearray(4096)), size
        while left:
            left -= read_clear(secured.connection, view)

    def echo() -> None:
        left = size
        while left:
            data = secured.peer.recv(10_000)
            left -= len(data)
            secured.peer.sendall(data)

    threads = [guarded(work) for work in (write, read, echo)]
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    assert not problems


class Records:
    """A TLS connection of ours that is fed by hand, and what the peer's records are made of."""

    def __init__(
        self, contexts: tuple[ssl.SSLContext, ssl.SSLContext], sock: socket.socket
    ) -> None:
        self.ours = TLSConnection(sock, contexts[0], server_side=True)
        self._in, self._out = ssl.MemoryBIO(), ssl.MemoryBIO()
        self.peer = contexts[1].wrap_bio(self._in, self._out, server_hostname="127.0.0.1")
        secure = False
        while not (self.ours.handshake() and secure):
            with suppress(ssl.SSLWantReadError):
                self.peer.do_handshake()
                secure = True
            if hello := self._out.read():  # nothing would mean the end of the connection
                self.ours.feed(hello)
            self._in.write(self.ours._out.read())

    def made(self, *records: bytes) -> bytes:
        for record in records:
            self.peer.write(record)
        return self._out.read()


@pytest.fixture
def records(contexts: Any) -> Iterator[Records]:
    ours, peer = socket.socketpair()
    made = Records(contexts, ours)
    yield made
    made.ours.close()
    peer.close()


def test_records_are_read_together(records: Records) -> None:
    view = memoryview(bytearray(100))
    records.ours.feed(records.made(b"one", b"two", b"three"))
    assert records.ours.recv_more(view) == 11
    assert bytes(view[:11]) == b"onetwothree"
    assert records.ours.recv_more(view) is None
    records.ours.feed(records.made(b"x" * 70, b"y" * 70))
    assert records.ours.recv_more(view) == 100
    assert records.ours.recv_more(view) == 40


def test_what_comes_before_the_peers_close_counts(records: Records) -> None:
    view = memoryview(bytearray(100))
    sent = records.made(b"one", b"two")
    with suppress(ssl.SSLWantReadError):
        records.peer.unwrap()
    records.ours.feed(sent + records.made())
    assert records.ours.recv_more(view) == 6
    for _ in range(3):
        assert records.ours.recv_more(view) == 0


def test_what_comes_before_the_end_of_the_connection_counts(records: Records) -> None:
    view = memoryview(bytearray(100))
    records.ours.feed(records.made(b"one", b"two"))
    records.ours.feed(b"")
    assert records.ours.recv_more(view) == 6
    for _ in range(3):
        assert records.ours.recv_more(view) == 0


def test_what_comes_before_junk_counts(records: Records) -> None:
    view = memoryview(bytearray(100))
    records.ours.feed(records.made(b"one", b"two") + b"junk" * 10)
    assert records.ours.recv_more(view) == 6
    for _ in range(3):
        with pytest.raises(ConnectionError, match="TLS"):
            records.ours.recv_more(view)


def test_junk_instead_of_ciphertext() -> None:
    secured = Secured(tls.contexts())
    fd = secured.peer.detach()
    with socket.socket(fileno=fd) as raw:
        raw.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError, match="TLS"):
            read_clear(secured.connection, memoryview(bytearray(10)))
    secured.connection.close()
