"""pynetdicom.network.connector: connecting with a deadline, TLS handshake included."""

from __future__ import annotations

import socket
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import suppress
from typing import Any

import pytest

from pynetdicom.network.addresses import AddressInformation, resolve
from pynetdicom.network.connection import TLSConnection
from pynetdicom.network.connector import Connector
from pynetdicom.network.runtime import THREADS
from pynetdicom.network.waking import wait_for
from tests.faults import tls

LOCAL = "127.0.0.1"


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    with socket.create_server((LOCAL, 0)) as sock:
        sock.settimeout(60)
        yield sock


@pytest.fixture(scope="module")
def contexts() -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return tls.contexts()


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


def test_giving_up_while_it_connects(
    deaf: tuple[str, int], monkeypatch: pytest.MonkeyPatch
) -> None:
    connector = Connector()
    waits = threading.Event()

    def wait(*args: Any, **kwargs: Any) -> bool:
        waits.set()
        return wait_for(*args, **kwargs)

    monkeypatch.setattr(THREADS, "wait_for", wait)
    problems: list[OSError] = []

    def run() -> None:
        try:
            connector.connect(AddressInformation(*deaf), None)
        except OSError as error:
            problems.append(error)

    thread = threading.Thread(target=run)
    thread.start()
    assert waits.wait(60)
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
        Connector().secure(ours, contexts[1], LOCAL, time.monotonic() + 0.1)
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
        Connector().secure(ours, contexts[1], LOCAL, time.monotonic() + 60)
    assert ours.fileno() == -1
    theirs.close()


def test_the_wrong_host_name(contexts: Any) -> None:
    with pytest.raises(OSError):
        _handshake(contexts, "elsewhere.example")


def test_no_host_name_where_one_is_checked(contexts: Any) -> None:
    ours, theirs = socket.socketpair()
    with pytest.raises(ConnectionError, match="host name"):
        Connector().secure(ours, contexts[1], None, time.monotonic() + 60)
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
        return Connector().secure(ours, contexts[1], hostname, time.monotonic() + 60)
    finally:
        thread.join(60)
        theirs.close()


def test_giving_up_during_the_handshake(contexts: Any) -> None:
    connector = Connector()
    ours, theirs = socket.socketpair()
    problems: list[OSError] = []

    def run() -> None:
        try:
            connector.secure(ours, contexts[1], LOCAL, None)
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
    connection = connector.secure(ours, client, LOCAL, time.monotonic() + 60)
    thread.join(60)
    connector.cut()
    assert connection.push([b"A-ABORT"]) == 7
    assert result[0].recv(10) == b"A-ABORT"
    connection.close()
    result[0].close()
