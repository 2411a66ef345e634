"""Each thread of the library, and what is raised on it: one association ends, nothing else does."""

from __future__ import annotations

import errno
import logging
import os
import socket
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import pytest

from pynetdicom import AE, Association, evt
from pynetdicom.association import accepting, reporting
from pynetdicom.association.indications import Indications
from pynetdicom.association.lifetime import Lifetime
from pynetdicom.association.link import Link
from pynetdicom.association.pending_reports import PendingReports
from pynetdicom.association.performing import Performer
from pynetdicom.association.requesting import Requesting
from pynetdicom.network import addresses, lobby, waking
from pynetdicom.network import connection as connections
from pynetdicom.network.dul import DUL
from pynetdicom.network.lobby import Lobby
from pynetdicom.network.runtime import THREADS
from pynetdicom.upper_layer import framing
from tests.faults.peer import Peer, request, until
from tests.pair import VERIFICATION, Pair, ended
from tests.peers import DEADLINE, Acceptor, ct, listening
from tests.sampled import sampled


class Injected(Exception):
    """What no code of the library expects."""


FAULTS: list[Callable[[], BaseException]] = [
    Injected,
    MemoryError,
    RecursionError,
    SystemExit,
    KeyboardInterrupt,
    lambda: OSError(errno.EMFILE, "injected"),
    lambda: OSError(errno.ENOBUFS, "injected"),
    lambda: OSError(errno.EBADF, "injected"),
]
names = sampled(
    "fault",
    FAULTS,
    keep=[Injected, SystemExit],
    ids=["other", "memory", "recursion", "exit", "interrupt", "EMFILE", "ENOBUFS", "EBADF"],
)


@pytest.fixture(autouse=True)
def nothing_escapes() -> Iterator[None]:
    """Fails where an exception leaves a thread."""
    escaped: list[Any] = []
    before = threading.excepthook
    threading.excepthook = escaped.append
    try:
        yield
    finally:
        threading.excepthook = before
    assert escaped == []


def link_of(part: Any) -> Any:
    """The link of a part of an association, or what is one."""
    if isinstance(part, Link):
        return part
    return part.link if isinstance(part, Performer) else part._link


class Injection:
    """A function that raises, once or always, where `when` says so; it counts its calls there."""

    def __init__(
        self,
        monkeypatch: pytest.MonkeyPatch,
        owner: Any,
        name: str,
        fault: Callable[[], BaseException],
        when: Callable[..., bool] = lambda *args: True,
        *,
        times: float = 1,
    ) -> None:
        self.calls = 0
        self.times = times
        original = getattr(owner, name)

        def call(*args: Any, **kwargs: Any) -> Any:
            if when(*args):
                self.calls += 1
                if self.calls <= self.times:
                    raise fault()
            return original(*args, **kwargs)

        monkeypatch.setattr(owner, name, call)

    def stop(self) -> None:
        self.times = 0


@contextmanager
def others_go_on(pair: Pair) -> Iterator[Any]:
    """An association that is hurt; another one, and the listener, are not."""
    bystander = pair.established()
    victim = pair.established()
    yield victim
    assert bystander.send_c_echo().Status == 0
    assert bystander.send_c_store(ct()).Status == 0
    another = pair.established()
    assert another.send_c_echo().Status == 0
    for assoc in (bystander, another):
        assoc.release()
        assert assoc.is_released, assoc.ended
    ended(bystander, victim, another)
    assert until(lambda: not pair.server.all_associations(), DEADLINE)
    assert until(lambda: not pair.scu._running.associations, DEADLINE)


@pytest.fixture
def pair() -> Iterator[Pair]:
    def store(event: evt.Event) -> int:
        return 0

    scp = AE("SCP")
    with Pair(scp, scp_handlers=[(evt.EVT_C_STORE, store)]) as one:
        yield one


def acceptor_of(pair: Pair, victim: Association) -> Association:
    port = victim.requestor.port
    (found,) = [one for one in pair.server.all_associations() if one.requestor.port == port]
    return found


# The threads of an association


READING: dict[str, Any] = {
    "next": framing.Framer,
    "fill": framing.Framer,
    "_understand": DUL,
    "_read": DUL,
}


@names
@pytest.mark.parametrize("side", ["requestor", "acceptor"])
@pytest.mark.parametrize("place", READING)
def test_reading_fails(
    pair: Pair,
    place: str,
    side: str,
    fault: Callable[[], BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    with others_go_on(pair) as victim:
        acceptor = acceptor_of(pair, victim)
        hurt = victim if side == "requestor" else acceptor
        Injection(
            monkeypatch,
            READING[place],
            place,
            fault,
            lambda self, *args: self in (hurt.dul, hurt.dul.framer),
        )
        # On the side of the requestor, it may be this thread that reads.
        with suppress(type(fault())):
            victim.send_c_echo()  # another thread may still have read it, and answered
        for one in (victim, acceptor):
            one.join(DEADLINE)
            assert one.is_aborted, one.ended
        if side == "acceptor" and not isinstance(fault(), OSError):
            assert isinstance(hurt.ended.error, type(fault()))
        assert hurt.dul.connection.fileno() == -1
        assert any(record.levelno == logging.ERROR for record in caplog.records)


@names
@pytest.mark.parametrize("place", ["serve", "_serve_request", "end", "_check_idle"])
def test_serving_fails(
    pair: Pair,
    place: str,
    fault: Callable[[], BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair.scp.maximum_associations = 2
    if place == "_check_idle":
        pair.scp.network_timeout = 60
    with others_go_on(pair) as victim:
        acceptor = acceptor_of(pair, victim)
        owner: Any = reporting if place == "end" else Performer
        Injection(
            monkeypatch, owner, place, fault, lambda part, *args: link_of(part).thread is acceptor
        )
        if place == "_check_idle":
            acceptor.network_timeout = 0
        elif place in ("serve", "end"):
            victim.abort()
        else:
            assert not victim.send_c_echo()
        for one in (victim, acceptor):
            one.join(DEADLINE)
            assert one.ended is not None
        assert acceptor.dul.connection.fileno() == -1
        assert any(record.levelno == logging.ERROR for record in caplog.records)


@names
@pytest.mark.parametrize("place", ["_close", "_discard", "end"])
@pytest.mark.parametrize("side", ["requestor", "acceptor"])
def test_ending_fails(
    pair: Pair,
    place: str,
    side: str,
    fault: Callable[[], BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The slot is given back, the connection is closed, and nobody waits in vain."""
    pair.scp.maximum_associations = 2
    with others_go_on(pair) as victim:
        acceptor = acceptor_of(pair, victim)
        hurt = victim if side == "requestor" else acceptor
        owner: Any = reporting if place == "end" else Lifetime
        Injection(
            monkeypatch, owner, place, fault, lambda part, *args: link_of(part).thread is hurt
        )
        victim.release()
        for one in (victim, acceptor):
            one.join(DEADLINE)
            assert not one.is_alive()
            assert one.is_released
            one.dul.join(DEADLINE)
            assert one.dul.connection.fileno() == -1
        assert "did not end in order" in caplog.text


@names
@pytest.mark.parametrize("place", ["_introduce", "negotiate"])
def test_accepting_fails(
    pair: Pair,
    place: str,
    fault: Callable[[], BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pair.scp.maximum_associations = 1
    with monkeypatch.context() as patch:
        Injection(patch, accepting.Accepting, place, fault)
        assoc = pair.associate()
        assert assoc.is_aborted, assoc.ended
        ended(assoc)
    assert until(lambda: not pair.server.all_associations(), DEADLINE)
    again = pair.established()
    assert again.send_c_echo().Status == 0
    again.release()
    ended(again)


@names
@pytest.mark.parametrize("place", ["negotiate", "_connect", "_await_answer", "on_associate"])
def test_requesting_fails(
    pair: Pair, place: str, fault: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as patch:
        Injection(patch, Indications if place == "on_associate" else Requesting, place, fault)
        assoc = pair.associate()
        # The DUL thread, which takes the answer, may have seen to it before the other one fails.
        assert place == "_await_answer" or assoc.is_aborted, assoc.ended
        ended(assoc)
        assert assoc.is_aborted, assoc.ended
    again = pair.established()
    again.release()
    ended(again)


def test_who_waits_is_woken(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """Two threads wait for answers when what reads them fails."""
    asked = threading.Semaphore(0)
    go_on = threading.Event()

    def echo(event: evt.Event) -> int:
        asked.release()
        assert go_on.wait(DEADLINE)
        return 0

    pair.server.bind(evt.EVT_C_ECHO, echo)
    victim = pair.established()
    outcomes: list[Any] = []

    def ask() -> None:
        try:
            outcomes.append(victim.send_c_echo())
        except Injected as error:  # on the thread that read
            outcomes.append(error)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    assert asked.acquire(timeout=DEADLINE)
    Injection(monkeypatch, DUL, "_understand", Injected, lambda self: self is victim.dul)
    go_on.set()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert len(outcomes) == 2
    assert victim.is_aborted
    ended(victim)


# The listener


@pytest.fixture
def restless(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(lobby, "_RETRY", 0.01)


@names
@pytest.mark.parametrize(
    "place",
    [
        "_turn", "_patience", "_expire", "_accept", "_welcome", "_keep", "_attend", "_take",
        "_refusal", "_carry_out", "_admit", "_forget", "_listen",
    ],
)  # fmt: skip
def test_the_listener_fails(
    pair: Pair,
    restless: None,
    place: str,
    fault: Callable[[], BaseException],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Whoever was being attended to may suffer, nobody else does."""
    bystander = pair.established()
    with monkeypatch.context() as patch:
        injection = Injection(patch, Lobby, place, fault)
        with socket.create_connection(("127.0.0.1", pair.port)) as sock:
            peer = Peer(sock)
            with suppress(OSError):  # it is closed already
                peer.send(request())
                peer.socket.shutdown(socket.SHUT_WR)
            peer.rest()
        pair.server._lobby._waker.set()
        assert until(lambda: injection.calls or place == "_listen", DEADLINE)
    assert bystander.send_c_echo().Status == 0
    another = pair.established()
    for assoc in (bystander, another):
        assoc.release()
        assert assoc.is_released
    ended(bystander, another)


@pytest.mark.parametrize("fault", [Injected, MemoryError, lambda: OSError(errno.ENOMEM, "x")])
def test_a_listener_that_always_fails_does_not_spin(
    pair: Pair, fault: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """It rests after each failure, and can be stopped meanwhile."""
    rests: list[float] = []
    resting = threading.Event()
    real = waking.wait_for

    def rest(fd: int, timeout: float) -> bool:
        rests.append(timeout)
        resting.set()
        return real(fd, timeout)

    monkeypatch.setattr(THREADS, "wait_for", rest)
    injection = Injection(monkeypatch, Lobby, "_turn", fault, times=float("inf"))
    pair.server._lobby._waker.set()
    assert resting.wait(DEADLINE)
    pair.server.shutdown()
    assert rests[0] == lobby._RETRY > 0
    assert injection.calls <= len(rests) + 1


GONE = ["ECONNABORTED", "EPERM", "EPROTO", "ECONNRESET", "EINTR", "ENETDOWN", "EHOSTUNREACH"]
SHORT = ["EMFILE", "ENFILE", "ENOBUFS", "ENOMEM", "EINVAL", "EFAULT", "EACCES", "ENOTSOCK"]


class Accepting:
    """A listening socket whose `accept` fails for a while."""

    def __init__(self, sock: socket.socket, error: BaseException, times: float) -> None:
        self._sock = sock
        self._error = error
        self.times = times
        self.calls = 0
        self.called = threading.Event()

    def __getattr__(self, name: str) -> Any:
        return getattr(self._sock, name)

    def accept(self) -> Any:
        self.calls += 1
        self.called.set()
        if self.calls <= self.times:
            raise self._error
        return self._sock.accept()


@sampled("times", [1, 3, 100], count=2)
@sampled("name", [*GONE, *SHORT, "MemoryError", "RuntimeError", "SystemExit"], count=3)
def test_accept_fails(pair: Pair, restless: None, name: str, times: int) -> None:
    code = getattr(errno, name, None)
    error: BaseException = (
        {"MemoryError": MemoryError, "RuntimeError": RuntimeError, "SystemExit": SystemExit}[name]()
        if code is None
        else OSError(code, os.strerror(code))
    )
    one = pair.server._lobby
    accepting = Accepting(one._listener, error, times)
    one._listener = accepting  # type: ignore[assignment]
    assoc = pair.established()
    assert accepting.calls > times
    assert assoc.send_c_echo().Status == 0
    assoc.release()
    ended(assoc)


@sampled("name", [*GONE, *SHORT], count=2)
def test_accept_that_always_fails_does_not_spin(pair: Pair, name: str) -> None:
    """The listener leaves what is waited for, until it tries again."""
    code = getattr(errno, name)
    one = pair.server._lobby
    accepting = Accepting(one._listener, OSError(code, os.strerror(code)), float("inf"))
    one._listener = accepting  # type: ignore[assignment]
    with socket.create_connection(("127.0.0.1", pair.port)):
        assert accepting.called.wait(DEADLINE)
        assert until(lambda: not one._listening, DEADLINE)
        accepting.times = 0
        one.descriptor_freed()
        assert until(lambda: len(one) == 1, DEADLINE)
    assoc = pair.established()
    assoc.release()
    ended(assoc)


def test_ctrl_c_ends_a_listener_on_the_main_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    ae = AE("SCP")
    ae.add_supported_context(VERIFICATION)
    Injection(monkeypatch, Lobby, "_turn", KeyboardInterrupt)
    ae.start_server(("127.0.0.1", 0), block=True)
    Injection(monkeypatch, Lobby, "_turn", SystemExit)
    with pytest.raises(SystemExit):
        ae.start_server(("127.0.0.1", 0), block=True)
    assert ae._running.servers == set()


# Threads that do one thing


@names
def test_writing_the_last_pdu_fails(
    fault: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """A peer that reads nothing, an abort, and what writes it fails: the connection is cut."""

    def is_aborting(*args: Any) -> bool:
        return threading.current_thread().name == "pynetdicom-abort"

    Injection(monkeypatch, connections.Connection, "push", fault, is_aborting, times=float("inf"))
    blocked = threading.Event()
    real = connections.Connection.wait_writable

    def wait_writable(*args: Any, **kwargs: Any) -> bool:
        blocked.set()
        return real(*args, **kwargs)

    monkeypatch.setattr(connections.Connection, "wait_writable", wait_writable)
    done = threading.Event()

    def deaf(peer: Acceptor) -> None:
        peer.accept()
        assert done.wait(DEADLINE)

    with listening(deaf, receive_buffer=4096) as listener:
        ae = AE("SCU")
        ae.add_requested_context(VERIFICATION)
        ae.add_requested_context(ct().SOPClassUID)
        assoc = ae.associate("127.0.0.1", listener.port)
        thread = threading.Thread(target=assoc.send_c_store, args=(ct(16 << 20),))
        thread.start()
        assert blocked.wait(DEADLINE)
        assoc.abort()
        thread.join(DEADLINE)
        ended(assoc)
        assert assoc.is_aborted
        done.set()


@names
def test_telling_of_a_rejection_fails(
    pair: Pair,
    fault: Callable[[], BaseException],
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    pair.scp.maximum_associations = 1
    pair.server.bind(evt.EVT_REJECTED, print)
    assoc = pair.established()
    injection = Injection(monkeypatch, accepting.Accepting, "tell_of_rejection", fault)
    rejected = pair.associate()
    assert rejected.is_rejected
    assert until(lambda: injection.calls and "pynetdicom-rejected" in caplog.text, DEADLINE)
    assert assoc.send_c_echo().Status == 0
    assoc.release()
    ended(assoc, rejected)


@names
def test_a_look_up_fails(
    fault: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody waits for its answer until time is up, or for ever."""
    ae = AE("SCU")
    ae.add_requested_context(VERIFICATION)
    ae.acse_timeout = None
    Injection(monkeypatch, addresses.socket, "getaddrinfo", fault, times=float("inf"))
    assoc = ae.associate("somewhere.test", 104)
    assert assoc.ended is not None
    assert assoc.ended.kind == "failed"
    ended(assoc)


@names
def test_a_pending_report_fails(
    fault: Callable[[], BaseException], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.0)
    reports = PendingReports()
    called = threading.Event()

    def report() -> None:
        called.set()
        raise fault()

    with reports.during(report):
        assert called.wait(DEADLINE)
    with reports.during(report):
        pass
    reports.close()


# No threads to be had


@pytest.mark.parametrize("which", ["requestor", "acceptor", "requestor-DUL", "acceptor-DUL"])
def test_no_thread_for_an_association(
    pair: Pair, which: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    pair.scp.maximum_associations = 1
    real = threading.Thread.start
    failed: list[str] = []

    def start(self: threading.Thread) -> None:
        if self.name.endswith(which) and not failed:
            failed.append(self.name)
            raise RuntimeError("can't start new thread")
        real(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        # That a handler is called is what the DUL thread is needed for.
        told: Any = [(evt.EVT_ESTABLISHED, lambda event: None)]
        pair.server.bind(*told[0])
        try:
            assoc = pair.associate(evt_handlers=told)
        except RuntimeError:
            assert which == "requestor"
        else:
            ended(assoc)  # it may have been accepted before there was no thread to read with
            assert not assoc.is_released
    assert failed
    assert until(lambda: not pair.server.all_associations(), DEADLINE)
    assert not pair.scu.active_associations
    again = pair.established()
    again.release()
    ended(again)


@pytest.mark.parametrize("name", ["pynetdicom-abort", "pynetdicom-rejected", "pynetdicom-resolver"])
def test_no_thread_for_one_thing(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    real = threading.Thread.start

    def start(self: threading.Thread) -> None:
        if self.name == name:
            raise RuntimeError("can't start new thread")
        real(self)

    monkeypatch.setattr(threading.Thread, "start", start)
    monkeypatch.setattr(
        addresses.socket,
        "getaddrinfo",
        lambda *args, **kwargs: [(socket.AF_INET, None, 0, "", ("127.0.0.1", args[1]))],
    )
    scp = AE("SCP")
    scp.maximum_associations = 1
    with Pair(scp, scp_handlers=[(evt.EVT_REJECTED, print)]) as pair:
        assoc = pair.established()
        assert pair.associate().is_rejected
        elsewhere = pair.scu.associate("somewhere.test", pair.port)
        assert elsewhere.ended is not None
        assert elsewhere.ended.kind == ("failed" if name == "pynetdicom-resolver" else "rejected")
        assert assoc.send_c_echo().Status == 0
        assoc.abort()
        ended(assoc, elsewhere)


# A log that cannot be written


class Broken(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise Injected


def test_a_log_that_raises(
    pair: Pair, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    logger = logging.getLogger("pynetdicom")
    handler = Broken()
    logger.addHandler(handler)
    try:
        with others_go_on(pair) as victim:
            acceptor = acceptor_of(pair, victim)
            with monkeypatch.context() as patch:
                Injection(
                    patch,
                    Performer,
                    "_serve_request",
                    Injected,
                    lambda part, *a: link_of(part).thread is acceptor,
                )
                assert not victim.send_c_echo()
            victim.join(DEADLINE)
            assert victim.is_aborted
    finally:
        logger.removeHandler(handler)


@pytest.mark.parametrize("event", [evt.EVT_C_ECHO, evt.EVT_REQUESTED, evt.EVT_CONN_CLOSE])
def test_a_handler_that_exits(pair: Pair, event: evt.EventType) -> None:
    """Its sys.exit() is the end of its association at most, not of the process."""

    def leave(event: evt.Event) -> None:
        sys.exit(3)

    pair.server.bind(event, leave)
    assoc = pair.associate()
    if assoc.is_established:
        assoc.send_c_echo()
    assoc.abort()
    ended(assoc)
    pair.server.unbind(event, leave)
    again = pair.established()
    assert again.send_c_echo().Status == 0
    again.release()
    ended(again)
