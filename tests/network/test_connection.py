"""Addresses, connections, TLS over memory BIOs, and connecting with a deadline."""

from __future__ import annotations

import gc
import os
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from typing import Any

import pytest

from pynetdicom.network.addresses import AddressInformation, resolve
from pynetdicom.network.buffers import advance
from pynetdicom.network.connection import Connection, TLSConnection
from pynetdicom.network.connector import Connector, secure
from pynetdicom.network.waking import Waker, wait_for
from pynetdicom.upper_layer.framing import Framer
from tests.faults import tls
from tests.faults.peer import until

LOCAL = "127.0.0.1"


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    ours, theirs = socket.socketpair()
    connection = Connection(ours)
    yield connection, theirs
    connection.close()
    theirs.close()


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOCAL, 0)) as sock:
        sock.settimeout(60)
        yield sock


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return tls.contexts()


# Addresses


@pytest.mark.parametrize(
    ("host", "family"),
    [
        (LOCAL, socket.AF_INET),
        ("::1", socket.AF_INET6),
        ("", socket.AF_INET),
        ("::", socket.AF_INET6),
    ],
)
def test_the_family_of_an_address(host: str, family: int) -> None:
    where = AddressInformation(host, 104)
    assert where.address_family == family
    assert where.is_ipv6 == (family == socket.AF_INET6)
    assert where.is_ipv4 != where.is_ipv6
    assert where.as_tuple == ((host, 104, 0, 0) if where.is_ipv6 else (host, 104))
    assert AddressInformation.from_tuple(where.as_tuple) == where


def test_a_host_name_is_looked_up() -> None:
    assert AddressInformation("localhost", 104).address in (LOCAL, "::1")


def test_from_what_users_give() -> None:
    assert AddressInformation.from_addr_port("a", 1) == AddressInformation("a", 1)
    assert AddressInformation.from_addr_port(("a", 2, 3), 1) == AddressInformation("a", 1, 2, 3)
    for wrong in ((), ("a",), ("a", "b"), (1, 2), ("a", 1, 2)):
        with pytest.raises(TypeError):
            AddressInformation.from_tuple(wrong)


def test_an_address_can_be_changed_and_is_shown() -> None:
    where = AddressInformation("a", 1)
    where.address = "b"
    assert repr(where) == "AddressInformation('b', 1, 0, 0)"
    assert where != "b"


# Waiting


def test_a_waker_wakes() -> None:
    ours, theirs = socket.socketpair()
    waker = Waker()
    try:
        threading.Timer(0.02, waker.set).start()
        assert not wait_for(ours.fileno(), 3600, waker=waker)
        for _ in range(3):
            waker.set()
        waker.clear()
        waker.clear()
        assert not wait_for(ours.fileno(), 0.01, waker=waker)
        theirs.send(b"x")
        waker.set()
        assert wait_for(ours.fileno(), 60, waker=waker)
    finally:
        waker.close()
        ours.close()
        theirs.close()


def test_a_waker_gives_its_descriptors_back(monkeypatch: pytest.MonkeyPatch) -> None:
    before = len(os.listdir("/proc/self/fd")) if os.path.isdir("/proc/self/fd") else 0
    waker = Waker()
    waker.close()
    waker.close()
    Waker()
    gc.collect()
    with monkeypatch.context() as patch:
        patch.delattr(os, "eventfd", raising=False)
        pipes = Waker()
        pipes.set()
        pipes.clear()
        pipes.close()
    if before:
        assert len(os.listdir("/proc/self/fd")) == before


# TCP


def test_a_read_never_waits(pair: tuple[Connection, socket.socket]) -> None:
    connection, theirs = pair
    with pytest.raises(BlockingIOError):
        connection.recv_now(memoryview(bytearray(10)))
    theirs.send(b"abc")
    assert connection.recv_now(memoryview(bytearray(10))) == 3
    with pytest.raises(BlockingIOError):
        connection.fill(Framer())


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
        self.connection = secure(ours, client, LOCAL, time.monotonic() + 60)
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
    while (count := connection.read_clear(view)) is None:
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
    assert records.ours.read_clear(view) == 11
    assert bytes(view[:11]) == b"onetwothree"
    assert records.ours.read_clear(view) is None
    records.ours.feed(records.made(b"x" * 70, b"y" * 70))
    assert records.ours.read_clear(view) == 100
    assert records.ours.read_clear(view) == 40


def test_what_comes_before_the_peers_close_counts(records: Records) -> None:
    view = memoryview(bytearray(100))
    sent = records.made(b"one", b"two")
    with suppress(ssl.SSLWantReadError):
        records.peer.unwrap()
    records.ours.feed(sent + records.made())
    assert records.ours.read_clear(view) == 6
    for _ in range(3):
        assert records.ours.read_clear(view) == 0


def test_what_comes_before_the_end_of_the_connection_counts(records: Records) -> None:
    view = memoryview(bytearray(100))
    records.ours.feed(records.made(b"one", b"two"))
    records.ours.feed(b"")
    assert records.ours.read_clear(view) == 6
    for _ in range(3):
        assert records.ours.read_clear(view) == 0


def test_what_comes_before_junk_counts(records: Records) -> None:
    view = memoryview(bytearray(100))
    records.ours.feed(records.made(b"one", b"two") + b"junk" * 10)
    assert records.ours.read_clear(view) == 6
    for _ in range(3):
        with pytest.raises(ConnectionError, match="TLS"):
            records.ours.read_clear(view)


def test_junk_instead_of_ciphertext() -> None:
    secured = Secured(tls.contexts())
    fd = secured.peer.detach()
    with socket.socket(fileno=fd) as raw:
        raw.send(b"GET / HTTP/1.1\r\n\r\n")
        with pytest.raises(ConnectionError, match="TLS"):
            read_clear(secured.connection, memoryview(bytearray(10)))
    secured.connection.close()


# Making connections


def test_connect(listener: socket.socket) -> None:
    sock = Connector().connect(AddressInformation(*listener.getsockname()), None, (LOCAL, 0))
    assert sock.getpeername() == listener.getsockname()
    sock.close()


def test_connect_to_nobody(free_port: int) -> None:
    with pytest.raises(ConnectionRefusedError, match=str(free_port)):
        Connector().connect(AddressInformation(LOCAL, free_port), time.monotonic() + 60)


@pytest.fixture
def deaf() -> Iterator[tuple[str, int]]:
    """An address where connections are neither accepted nor refused."""
    with socket.socket() as sock:
        sock.bind((LOCAL, 0))
        sock.listen(0)
        waiting = []
        for _ in range(4):  # its backlog
            one = socket.socket()
            one.setblocking(False)
            one.connect_ex(sock.getsockname())
            waiting.append(one)
        yield sock.getsockname()
        for one in waiting:
            one.close()


def test_connect_in_time(deaf: tuple[str, int]) -> None:
    with pytest.raises(TimeoutError):
        Connector().connect(AddressInformation(*deaf), time.monotonic() + 0.1)


def test_giving_up_while_it_connects(deaf: tuple[str, int]) -> None:
    connector = Connector()
    problems: list[OSError] = []

    def run() -> None:
        try:
            connector.connect(AddressInformation(*deaf), None)
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert until(lambda: connector._waker is not None)
    connector.cut()
    thread.join(60)
    assert problems
    with pytest.raises(ConnectionAbortedError):
        connector.connect(AddressInformation(*deaf), None)


@pytest.fixture
def slow_resolver(monkeypatch: pytest.MonkeyPatch) -> Iterator[threading.Event]:
    """A name service that does not answer until the test is over."""
    asked, over = threading.Event(), threading.Event()

    def getaddrinfo(*_: Any, **__: Any) -> Any:
        asked.set()
        over.wait(60)
        raise socket.gaierror("no such name")

    monkeypatch.setattr(socket, "getaddrinfo", getaddrinfo)
    yield asked
    over.set()


def test_a_look_up_in_time(slow_resolver: threading.Event) -> None:
    with pytest.raises(TimeoutError, match="look-up"):
        resolve(AddressInformation("somewhere.example", 104), time.monotonic() + 0.05)


def test_giving_up_while_it_looks_up(slow_resolver: threading.Event) -> None:
    connector = Connector()
    problems: list[OSError] = []

    def run() -> None:
        try:
            connector.connect(AddressInformation("somewhere.example", 104), None)
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert slow_resolver.wait(60)
    connector.cut()
    thread.join(60)
    assert not thread.is_alive()
    assert isinstance(problems[0], ConnectionAbortedError)


def test_an_unknown_name() -> None:
    with pytest.raises(OSError, match=r"does-not-exist\.invalid"):
        resolve(AddressInformation("does-not-exist.invalid", 104), time.monotonic() + 60)


def test_a_name_that_is_none() -> None:
    with pytest.raises(OSError, match="looked up"):
        resolve(AddressInformation("x" * 300, 104), time.monotonic() + 60)


def test_all_addresses_are_tried(
    listener: socket.socket, monkeypatch: pytest.MonkeyPatch, free_port: int
) -> None:
    found = [
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", (LOCAL, free_port)),
        (socket.AF_INET, socket.SOCK_STREAM, 6, "", listener.getsockname()),
    ]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_, **__: found)
    sock = Connector().connect(AddressInformation("twice.example", 104), time.monotonic() + 60)
    assert sock.getpeername() == listener.getsockname()
    sock.close()


# The TLS handshake as the connecting side


def test_a_silent_server(contexts: Any) -> None:
    ours, theirs = socket.socketpair()
    with pytest.raises(TimeoutError, match="handshake"):
        secure(ours, contexts[1], LOCAL, time.monotonic() + 0.1)
    assert ours.fileno() == -1
    theirs.close()


@pytest.mark.parametrize(
    "said", [b"220 mail.example.org ESMTP\r\n", b"\x07\0\0\0\0\4\0\0\2\1", b""]
)
def test_a_server_without_tls(contexts: Any, said: bytes) -> None:
    ours, theirs = socket.socketpair()
    theirs.send(said)
    theirs.shutdown(socket.SHUT_WR)
    with pytest.raises(OSError):
        secure(ours, contexts[1], LOCAL, time.monotonic() + 60)
    assert ours.fileno() == -1
    theirs.close()


def test_the_wrong_host_name(contexts: Any) -> None:
    with pytest.raises(OSError):
        _handshake(contexts, "elsewhere.example")


def test_no_host_name_where_one_is_checked(contexts: Any) -> None:
    ours, theirs = socket.socketpair()
    with pytest.raises(ConnectionError, match="host name"):
        secure(ours, contexts[1], None, time.monotonic() + 60)
    assert ours.fileno() == -1
    theirs.close()


def _handshake(contexts: Any, hostname: str) -> TLSConnection:
    ours, theirs = socket.socketpair()
    theirs.settimeout(60)

    def serve() -> None:
        with suppress(OSError):
            contexts[0].wrap_socket(theirs, server_side=True).close()

    thread = threading.Thread(target=serve)
    thread.start()
    try:
        return secure(ours, contexts[1], hostname, time.monotonic() + 60)
    finally:
        thread.join(60)
        theirs.close()


def test_giving_up_during_the_handshake(contexts: Any) -> None:
    connector = Connector()
    ours, theirs = socket.socketpair()
    problems: list[OSError] = []

    def run() -> None:
        try:
            secure(ours, contexts[1], LOCAL, None, connector.hold)
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert theirs.recv(1)  # the client's hello
    connector.cut()
    thread.join(60)
    assert problems
    theirs.close()


def test_giving_up_has_no_power_over_a_connection_that_is_made() -> None:
    """Or else the A-ABORT could not be sent any more."""
    connector = Connector()
    server, client = tls.contexts()
    ours, theirs = socket.socketpair()
    result: list[ssl.SSLSocket] = []
    thread = threading.Thread(
        target=lambda: result.append(server.wrap_socket(theirs, server_side=True))
    )
    thread.start()
    connection = secure(ours, client, LOCAL, time.monotonic() + 60, connector.hold)
    thread.join(60)
    connector.cut()
    assert connection.push([b"A-ABORT"]) == 7
    assert result[0].recv(10) == b"A-ABORT"
    connection.close()
    result[0].close()
