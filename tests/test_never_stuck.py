"""Nobody waits for ever: each wait has a deadline, and `abort` or `shutdown` end it before that."""

from __future__ import annotations

import contextlib
import logging
import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, association, build_role, evt, running
from pynetdicom.association import invoking, serving
from pynetdicom.network import dul, sending
from tests.clock import Clock
from tests.conftest import leaked_descriptors, leaked_threads, open_descriptors
from tests.faults.peer import (
    CT,
    IMPLICIT,
    RELEASE_RP,
    RELEASE_RQ,
    VERIFICATION,
    Peer,
    abort,
    echo_rq,
    p_data,
    pdv,
    request,
    until,
)
from tests.peers import DEADLINE, Acceptor, Call, ct, interrupted_when, listening, requestor
from tests.sampled import sampled

FIND = "1.2.840.10008.5.1.4.1.2.1.1"
LARGE = 16 << 20  # more than the kernel's buffers of both ends take
ABORT = abort(0, 0)


class Scene:
    """A script's view of a test: what it is to wait for."""

    def __init__(self) -> None:
        self.reached = threading.Event()
        self.over = threading.Event()


@pytest.fixture
def scene() -> Iterator[Scene]:
    scene = Scene()
    yield scene
    scene.over.set()


@pytest.fixture
def aes() -> Iterator[Callable[..., AE]]:
    """Makes AEs that are shut down in the end."""
    made: list[AE] = []

    def make(**timeouts: float) -> AE:
        ae = requestor(**timeouts)
        ae.add_supported_context(VERIFICATION)
        ae.add_supported_context(CT)
        made.append(ae)
        return ae

    yield make
    for ae in made:
        ae.shutdown()


@pytest.fixture
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the peer's close takes 0.2 s instead of 2."""
    for module in (association, dul):
        monkeypatch.setattr(module, "LINGER", 0.2)


@contextlib.contextmanager
def peer_with(script: Callable[[Acceptor], Any], scene: Scene, **kwargs: Any) -> Iterator[int]:
    """A listener whose script may wait for `scene.over`."""
    with listening(script, **kwargs) as listener:
        try:
            yield listener.port
        finally:
            scene.over.set()


def stops_answering(scene: Scene) -> Callable[[Acceptor], None]:
    """Accepts, takes whatever comes and never answers."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.pdu()
        scene.reached.set()
        peer.rest_until_abort()

    return script


def stops_reading(scene: Scene) -> Callable[[Acceptor], None]:
    """Accepts, and takes no more than the beginning of a request."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.pdu()
        scene.reached.set()
        scene.over.wait(DEADLINE * 2)

    return script


# abort() from another thread


@pytest.mark.parametrize("what", ["C-ECHO", "C-STORE", "C-FIND"])
def test_abort_wakes_who_waits_for_an_answer(
    what: str, scene: Scene, aes: Callable[..., AE]
) -> None:
    ae = aes()
    ae.add_requested_context(FIND)
    data_set = ct()
    with peer_with(stops_answering(scene), scene) as port:
        assoc = ae.associate("127.0.0.1", port)
        if what == "C-ECHO":
            call = Call(assoc.send_c_echo)
        elif what == "C-STORE":
            call = Call(assoc.send_c_store, data_set)
        else:
            call = Call(lambda: next(assoc.send_c_find(data_set, FIND))[0])
        assert scene.reached.wait(DEADLINE)
        assoc.abort(block=False)
        assert len(call.result()) == 0
        assert assoc.ended is not None
        ended = assoc.ended
        assert (ended.kind, ended.by, ended.timer) == ("aborted", "local", None)


def test_abort_wakes_who_writes_to_a_peer_that_does_not_read(
    scene: Scene, aes: Callable[..., AE], monkeypatch: pytest.MonkeyPatch
) -> None:
    """At once, and not when the PDU that has begun had its time."""
    monkeypatch.setattr(sending, "LAST_PDU", 3600)
    with peer_with(stops_reading(scene), scene, receive_buffer=4096) as port:
        assoc = aes().associate("127.0.0.1", port)
        blocked = Blocking(assoc)
        call = Call(assoc.send_c_store, ct(LARGE))
        assert blocked.wait(DEADLINE)
        assoc.abort(block=False)
        assert len(call.result()) == 0
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
        scene.over.set()
        assoc.join(DEADLINE)
        assert not assoc.is_alive()


def test_abort_wakes_who_waits_for_the_release(scene: Scene, aes: Callable[..., AE]) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        assert peer.pdu() == RELEASE_RQ
        scene.reached.set()
        scene.over.wait(DEADLINE)  # and leaves the connection open

    with peer_with(script, scene) as port:
        assoc = aes().associate("127.0.0.1", port)
        call = Call(assoc.release)
        assert scene.reached.wait(DEADLINE)
        assoc.abort(block=False)
        call.result()
        assert assoc.is_aborted
        scene.over.set()
        assoc.join(DEADLINE)


class Blocking(threading.Event):
    """Set once a writer of an association waits for the peer to read; then its time is set."""

    def __init__(self, assoc: Any, network_timeout: float | None = None) -> None:
        super().__init__()
        self._wait = assoc.dul.connection.wait_writable
        self._assoc, self._network_timeout = assoc, network_timeout
        assoc.dul.connection.wait_writable = self._waits

    def _waits(self, *args: Any) -> Any:
        if self._network_timeout is not None and not self.is_set():
            self._assoc.network_timeout = self._network_timeout
            self.set()
            return True  # it tries again, and waits by its new time
        self.set()
        return self._wait(*args)


def test_abort_wakes_many(scene: Scene, aes: Callable[..., AE]) -> None:
    """One waits for its answer, the others for their turn."""
    with peer_with(stops_answering(scene), scene) as port:
        assoc = aes().associate("127.0.0.1", port)
        calls = [Call(assoc.send_c_echo) for _ in range(8)]
        assert scene.reached.wait(DEADLINE)
        assoc.abort()
        for call in calls:
            with contextlib.suppress(RuntimeError):  # those that had not begun
                assert len(call.result()) == 0


def test_abort_ends_a_connection_attempt(aes: Callable[..., AE]) -> None:
    ae = aes()
    with socket.socket() as full, contextlib.ExitStack() as stack:
        full.bind(("127.0.0.1", 0))
        full.listen(0)
        for _ in range(4):
            waiting = stack.enter_context(socket.socket())
            waiting.setblocking(False)
            waiting.connect_ex(full.getsockname())
        call = Call(ae.associate, "127.0.0.1", full.getsockname()[1])
        assert until(lambda: any(a.is_alive() for a in ae._running.associations))
        for assoc in list(ae._running.associations):
            assoc.abort()
        assoc = call.result()
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")


# Each peer ends by its deadline


def test_peer_that_stops_reading(scene: Scene, aes: Callable[..., AE], tmp_path: Path) -> None:
    path = tmp_path / "large.dcm"  # a data set would have to be encoded first
    ct(LARGE).save_as(path, enforce_file_format=True)
    with peer_with(stops_reading(scene), scene, receive_buffer=4096) as port:
        assoc = aes().associate("127.0.0.1", port)
        Blocking(assoc, network_timeout=0.3)
        call = Call(assoc.send_c_store, path)
        assert len(call.result()) == 0
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "network_timeout")
        assoc.join(DEADLINE)
        assert not assoc.is_alive()


def test_a_timeout_that_is_set_while_a_peer_does_not_read(
    scene: Scene, aes: Callable[..., AE], tmp_path: Path
) -> None:
    """It counts from when the peer was last seen to read, as if it had been set before."""
    path = tmp_path / "large.dcm"
    ct(LARGE).save_as(path, enforce_file_format=True)
    waits = threading.Event()
    with peer_with(stops_reading(scene), scene, receive_buffer=4096) as port:
        assoc = aes().associate("127.0.0.1", port)
        assoc.network_timeout = None
        wait_writable = assoc.dul.connection.wait_writable

        def waiting(*args: Any) -> bool:
            waits.set()
            return bool(wait_writable(*args))

        assoc.dul.connection.wait_writable = waiting
        call = Call(assoc.send_c_store, path)
        assert waits.wait(DEADLINE)
        assert scene.reached.wait(DEADLINE)
        assoc.network_timeout = 0.3
        assert len(call.result()) == 0
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "network_timeout")


@pytest.mark.parametrize("waits", [False, True], ids=["idle", "while we wait"])
def test_a_timeout_that_is_set_in_the_midst_of_a_pdu(
    waits: bool, scene: Scene, aes: Callable[..., AE]
) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        if waits:
            peer.pdu()
        peer.send(p_data(pdv(1, 3, bytes(100)))[:50])
        scene.reached.set()
        assert peer.exactly(10) == ABORT

    with peer_with(script, scene) as port:
        assoc = aes().associate("127.0.0.1", port)
        assoc.network_timeout = None
        call = Call(assoc.send_c_echo if waits else assoc.join)
        assert scene.reached.wait(DEADLINE)
        assert until(lambda: assoc.dul._in_midst, DEADLINE)
        assoc.network_timeout = 0.3
        assert not call.result()
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "network_timeout")


def test_peer_that_never_answers(scene: Scene, aes: Callable[..., AE]) -> None:
    with peer_with(stops_answering(scene), scene) as port:
        assoc = aes(dimse_timeout=0.3).associate("127.0.0.1", port)
        assert len(assoc.send_c_echo()) == 0
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "dimse_timeout")


@pytest.mark.parametrize("waits", [False, True], ids=["idle", "while we wait"])
def test_peer_that_sends_half_a_pdu(waits: bool, scene: Scene, aes: Callable[..., AE]) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        if waits:
            peer.pdu()
        scene.reached.set()
        assert is_set.wait(DEADLINE)
        peer.send(p_data(pdv(1, 3, bytes(100)))[:50])
        assert peer.exactly(10) == ABORT

    is_set = threading.Event()
    with peer_with(script, scene) as port:
        assoc = aes().associate("127.0.0.1", port)
        call = Call(assoc.send_c_echo if waits else assoc.join)
        assert scene.reached.wait(DEADLINE)
        assoc.network_timeout = 0.3
        is_set.set()
        assert not call.result()
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "network_timeout")


def test_peer_that_never_answers_the_association_request(
    scene: Scene, aes: Callable[..., AE]
) -> None:
    def script(peer: Acceptor) -> None:
        peer.pdu()
        assert peer.exactly(10) == ABORT

    with peer_with(script, scene) as port:
        assoc = aes(acse_timeout=0.3).associate("127.0.0.1", port)
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "acse_timeout")


def test_peer_that_never_answers_the_release(scene: Scene, aes: Callable[..., AE]) -> None:
    def script(peer: Acceptor) -> None:
        peer.accept()
        assert peer.pdu() == RELEASE_RQ
        assert peer.exactly(10) == ABORT
        scene.over.wait(DEADLINE)  # nor closes the connection

    with peer_with(script, scene) as port:
        assoc = aes().associate("127.0.0.1", port)
        assoc.acse_timeout = 0.3
        assoc.release()
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.timer) == ("aborted", "acse_timeout")


@pytest.mark.parametrize("sent", [b"", request()[:40]], ids=["nothing", "half a request"])
def test_peer_that_connects_and_says_nothing(sent: bytes, aes: Callable[..., AE]) -> None:
    server = aes(acse_timeout=0.3).start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    with Peer.connect(server.server_address) as peer:
        peer.send(sent)
        assert peer.rest() == b""


def test_silent_peer_of_the_server(aes: Callable[..., AE]) -> None:
    server = aes(network_timeout=0.3).start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    with Peer.connect(server.server_address) as peer:
        peer.associate()
        assert peer.exactly(10) == ABORT


def test_a_long_upload_is_not_silence(
    scene: Scene, aes: Callable[..., AE], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Another's request waits for its turn longer than `dimse_timeout`, and nobody is aborted."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, store = peer.command()
        scene.reached.set()
        scene.over.wait(DEADLINE)
        while peer.pdu()[11] != 2:
            pass
        peer.respond(context_id, store.response(0))
        peer.serve_echo()
        assert peer.pdu() == RELEASE_RQ
        peer.send(RELEASE_RP)

    with peer_with(script, scene, receive_buffer=4096) as port:
        clock = Clock(monkeypatch)
        assoc = aes(dimse_timeout=1000).associate("127.0.0.1", port)
        blocked = Blocking(assoc)
        store = Call(assoc.send_c_store, ct(16 << 20))
        assert blocked.wait(DEADLINE)
        echo = Call(assoc.send_c_echo)
        assert until(lambda: assoc.dimse.in_line() > 1)
        clock.later(2000, assoc)  # twice its timeout
        echo.join(0.1)
        assert echo.is_alive()
        scene.over.set()
        assert store.result().Status == 0
        assert echo.result().Status == 0
        assoc.release()
        assert assoc.is_released


# shutdown()


def associated(address: tuple[Any, ...], patience: float = DEADLINE) -> Peer:
    peer = Peer.connect(address, receive_buffer=4096)
    peer.associate(request())
    return peer


def test_shutdown_with_all_of_them(scene: Scene, caplog: pytest.LogCaptureFixture) -> None:
    threads, descriptors = set(threading.enumerate()), open_descriptors()

    def never_accepts(peer: Acceptor) -> None:
        peer.pdu()
        never_asked.set()
        scene.over.wait(DEADLINE * 2)

    def half(peer: Acceptor) -> None:
        peer.accept()
        peer.send(p_data(pdv(1, 3, bytes(100)))[:50])
        scene.over.wait(DEADLINE * 2)

    def keeps_silent(peer: Acceptor) -> None:
        peer.accept()
        peer.pdu()
        unanswered.set()
        scene.over.wait(DEADLINE * 2)

    never_asked, unanswered = threading.Event(), threading.Event()
    go_on, in_handler = threading.Event(), threading.Event()

    def hangs(event: Any) -> int:
        in_handler.set()
        go_on.wait(DEADLINE * 2)
        return 0x0000

    ae = requestor()
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, hangs)])
    assert server is not None
    with contextlib.ExitStack() as stack:
        enter = stack.enter_context
        reading = enter(peer_with(stops_reading(scene), scene, receive_buffer=4096))
        ports = [enter(peer_with(script, scene)) for script in (never_accepts, half, keeps_silent)]
        # as requestor
        stuck = ae.associate("127.0.0.1", reading)
        blocked = Blocking(stuck)
        calls = [Call(stuck.send_c_store, ct(LARGE)), Call(ae.associate, "127.0.0.1", ports[0])]
        ae.associate("127.0.0.1", ports[1])
        calls.append(Call(ae.associate("127.0.0.1", ports[2]).send_c_echo))
        assert all(event.wait(DEADLINE) for event in (blocked, never_asked, unanswered))
        # as acceptor
        address = server.server_address
        peers = [enter(Peer.connect(address)) for _ in range(3)]
        peers[1].send(request()[:30])
        peers[2].send(b"\x16\x03\x01")
        peers += [enter(associated(address)) for _ in range(3)]
        peers[3].send(echo_rq()[:30])
        peers[4].send(echo_rq())
        assert in_handler.wait(DEADLINE)

        Call(ae.shutdown).result()
        named = [r.getMessage() for r in caplog.records if r.levelno == logging.WARNING]
        assert [text for text in named if "EVT_C_ECHO" in text], named
        # Its socket is closed all the same.
        assert peers[4].rest().endswith(ABORT)
        assert all(len(call.result()) == 0 for call in (calls[0], calls[2]))
        assert calls[1].result().is_aborted
        for peer in peers:
            peer.rest()
        with pytest.raises(OSError):
            Peer.connect(address)
        scene.over.set()
        go_on.set()
    assert leaked_threads(threads, time.monotonic() + DEADLINE) == []
    assert leaked_descriptors(descriptors) == {}


def wake_ups() -> dict[int, int]:
    """How often each thread of this process but the calling one has gone to sleep so far."""
    found = {}
    for thread in threading.enumerate():
        if thread is not threading.current_thread() and thread.native_id is not None:
            status = Path(f"/proc/self/task/{thread.native_id}/status").read_text()
            found[thread.native_id] = sum(
                int(line.split()[1]) for line in status.splitlines() if "ctxt_switches" in line
            )
    return found


@pytest.mark.skipif(sys.platform != "linux", reason="counts wake-ups in /proc")
def test_idle_associations_cost_nothing() -> None:
    """Fifty, both sides of each: none of their threads wakes, once they have gone to sleep."""
    ae = requestor()
    ae.maximum_associations = 50
    ae.add_supported_context(VERIFICATION)
    handlers: Any = [(evt.EVT_C_ECHO, lambda event: 0x0000)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    assocs = [ae.associate("127.0.0.1", server.server_address[1]) for _ in range(50)]
    assert all(assoc.send_c_echo().Status == 0 for assoc in assocs)

    def all_sleep() -> bool:
        before = wake_ups()
        threading.Event().wait(0.6)
        return wake_ups() == before

    assert until(all_sleep)
    assert len(wake_ups()) >= 150  # those whose handler was called have two
    assert len(ae.active_associations) == 100
    ae.shutdown()


def test_shutdown_leaves_nothing(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Without a handler that hangs, there is nothing to wait for where peers close."""
    for bound in ("_POLITE", "_SHUTDOWN"):
        monkeypatch.setattr(running, bound, 3600)
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    ae = requestor()
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    for _ in range(10):
        assert ae.associate("127.0.0.1", server.server_address[1]).is_established
    Call(ae.shutdown).result()
    assert leaked_threads(threads, time.monotonic() + DEADLINE) == []
    assert leaked_descriptors(descriptors) == {}


def test_hanging_notification_handler_is_named(caplog: pytest.LogCaptureFixture) -> None:
    go_on, reached = threading.Event(), threading.Event()

    def hangs(event: Any) -> None:
        reached.set()
        go_on.wait(DEADLINE)

    ae = requestor()
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_ESTABLISHED, hangs)]
    )
    assert server is not None
    assert ae.associate("127.0.0.1", server.server_address[1]).is_established
    assert reached.wait(DEADLINE)
    Call(ae.shutdown).result()
    assert "EVT_ESTABLISHED" in caplog.text
    go_on.set()


# From handlers


ASSOCIATION_THREAD = ["EVT_C_ECHO", "EVT_DIMSE_RECV", "EVT_DIMSE_SENT", "EVT_ESTABLISHED"]
READER = ["EVT_PDU_RECV", "EVT_DATA_RECV"]
ENDING = ["EVT_RELEASED", "EVT_ABORTED", "EVT_CONN_CLOSE"]


@pytest.fixture
def no_bounds(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whoever waits for itself waits for ever."""
    monkeypatch.setattr(invoking, "LINGER", 3600)
    monkeypatch.setattr(association, "BLOCK_ON_ABORT", 3600)
    for bound in ("_POLITE", "_SHUTDOWN"):
        monkeypatch.setattr(running, bound, 3600)


def acts_on(event_name: str, act: Callable[[Any], Any], ae: AE) -> tuple[Any, list[Any]]:
    """A server that acts in a handler, and what came of that."""
    done: list[Any] = []
    finished = threading.Event()

    def handler(event: Any) -> int:
        if done or (event_name in READER and event.assoc.dul.provider.state != "Sta6"):
            return 0x0000
        done.append(None)
        try:
            done[0] = act(event)
        except Exception as error:
            done[0] = error
        finished.set()
        return 0x0000

    server: Any = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(getattr(evt, event_name), handler)]
    )
    server.finished = finished
    return server, done


@pytest.mark.usefixtures("quick", "no_bounds")
@pytest.mark.parametrize("what", ["abort", "release", "shutdown", "kill"])
@pytest.mark.parametrize("name", ASSOCIATION_THREAD + READER)
def test_from_handlers(what: str, name: str, aes: Callable[..., AE]) -> None:
    ae = aes()

    def act(event: Any) -> Any:
        return ae.shutdown() if what == "shutdown" else getattr(event.assoc, what)()

    server, done = acts_on(name, act, ae)
    with Peer.connect(server.server_address) as peer:
        peer.associate()
        if name != "EVT_ESTABLISHED":
            peer.send(echo_rq())
        data = b""
        if what == "release" and name not in READER:
            while (pdu := peer.pdu())[0] != 5:
                data += pdu
            peer.send(RELEASE_RP)
            # The handler's own request was answered first.
            assert name == "EVT_ESTABLISHED" or b"\x30\x80" in data
        elif what == "release":
            assert peer.pdu()[0] == 4
            peer.release()
        assert server.finished.wait(DEADLINE)
        peer.rest()
    if what == "release" and name in READER:
        assert isinstance(done[0], RuntimeError)  # it would wait for itself
    else:
        assert done[0] is None
    Call(ae.shutdown).result()


@pytest.mark.usefixtures("quick", "no_bounds")
@pytest.mark.parametrize("what", ["abort", "release", "shutdown"])
@pytest.mark.parametrize("name", ENDING)
def test_from_handlers_of_the_end(what: str, name: str, aes: Callable[..., AE]) -> None:
    ae = aes()

    def act(event: Any) -> Any:
        return ae.shutdown() if what == "shutdown" else getattr(event.assoc, what)()

    server, done = acts_on(name, act, ae)
    with associated(server.server_address) as peer:
        peer.send(ABORT if name == "EVT_ABORTED" else RELEASE_RQ)
        peer.rest()
        assert server.finished.wait(DEADLINE)
    assert done[0] is None


@pytest.mark.parametrize("what", ["abort", "release", "shutdown"])
def test_from_handlers_of_the_requestor(what: str, aes: Callable[..., AE]) -> None:
    ae = aes()
    server: Any = ae.start_server(("127.0.0.1", 0), block=False)

    def handler(event: Any) -> None:
        ae.shutdown() if what == "shutdown" else getattr(event.assoc, what)()

    assoc = ae.associate(
        "127.0.0.1", server.server_address[1], evt_handlers=[(evt.EVT_ESTABLISHED, handler)]
    )
    assoc.join(DEADLINE)
    assert assoc.ended is not None
    assert assoc.ended.kind == ("released" if what == "release" else "aborted")


def test_release_lets_the_peers_request_be_answered(scene: Scene, aes: Callable[..., AE]) -> None:
    associations: list[Any] = []

    def serve(event: Any) -> int:
        associations.append(event.assoc)
        scene.reached.set()
        scene.over.wait(DEADLINE)
        return 0x0000

    server: Any = aes().start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, serve)]
    )
    with associated(server.server_address) as peer:
        peer.send(echo_rq(1))
        assert scene.reached.wait(DEADLINE)
        call = Call(associations[0].release)
        assert peer.silent()
        scene.over.set()
        answer = peer.pdu()
        assert answer[0] == 4
        assert peer.pdu() == RELEASE_RQ
        peer.send(RELEASE_RP)
        peer.close()
        call.result()
    assert associations[0].is_released


# Exceptions


@pytest.mark.parametrize("error", [RuntimeError("a defect"), SystemExit(1), MemoryError()])
def test_exception_in_the_association_thread(
    error: BaseException, monkeypatch: pytest.MonkeyPatch, aes: Callable[..., AE]
) -> None:
    """It is over, the peer is told, and whoever waits is woken."""

    def fails(*args: Any) -> None:
        raise error

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.pdu()
        peer.send(echo_rq(1))
        assert peer.exactly(10)[:9] == abort(2, 0)[:9]

    monkeypatch.setattr(serving, "answer", fails)
    with listening(script) as listener:
        assoc = aes().associate("127.0.0.1", listener.port)
        assert len(assoc.send_c_echo()) == 0
        assoc.join(DEADLINE)
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
        assert assoc.ended.error is error


def test_exception_in_the_dul_thread(
    monkeypatch: pytest.MonkeyPatch, aes: Callable[..., AE]
) -> None:
    def fails(*args: Any) -> None:
        raise RuntimeError("a defect")

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.pdu()
        peer.send(p_data(pdv(1, 3, b"x")))
        assert peer.exactly(10)[:9] == abort(2, 0)[:9]

    with listening(script) as listener:
        assoc = aes().associate("127.0.0.1", listener.port)
        monkeypatch.setattr(assoc._performer._indications.assembler, "feed", fails)
        with contextlib.suppress(RuntimeError):  # the one who reads sees it
            assert len(assoc.send_c_echo()) == 0
        assoc.join(DEADLINE)
        assert not assoc.is_alive()
        assert assoc.ended is not None
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")


def test_ctrl_c_during_associate(scene: Scene, aes: Callable[..., AE]) -> None:
    def script(peer: Acceptor) -> None:
        peer.pdu()
        scene.reached.set()
        assert peer.exactly(10) == ABORT

    ae = aes()
    with peer_with(script, scene) as port:
        with (
            pytest.raises(KeyboardInterrupt),
            interrupted_when(lambda: scene.reached.wait(DEADLINE)),
        ):
            ae.associate("127.0.0.1", port)
        assert until(lambda: not ae._running.associations)


# Two threads on one association


def test_two_threads_get_their_own_answers(aes: Callable[..., AE]) -> None:
    """C-ECHO and C-STORE mixed, as many times as they come to wait for each other."""
    ae = aes()
    server: Any = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            (evt.EVT_C_STORE, lambda event: 0xB000 + int(event.request.Priority)),
        ],
    )
    assoc = ae.associate("127.0.0.1", server.server_address[1])
    ids: list[int] = []

    def echo() -> set[int]:
        found = set()
        for _ in range(60):
            status = assoc.send_c_echo()
            ids.append(status.message_id)
            found.add(status.Status)
        return found

    def store(priority: int, size: int) -> set[int]:
        found = set()
        ds = ct(size)
        for _ in range(60):
            status = assoc.send_c_store(ds, priority=priority)
            ids.append(status.message_id)
            found.add(status.Status)
        return found

    calls = [Call(echo), Call(store, 0, 100), Call(echo), Call(store, 1, 100_000)]
    assert [call.result() for call in calls] == [{0}, {0xB000}, {0}, {0xB001}]
    assert sorted(ids) == list(range(1, 241))
    assoc.release()
    assert assoc.is_released


def test_answers_meet_in_mid_air(aes: Callable[..., AE]) -> None:
    """Both sides ask each other on one association."""
    ae = aes()
    answers: list[int] = []

    def ask_back(event: Any) -> int:
        answers.append(event.assoc.send_c_echo().Status)
        return 0x0000

    scp = AE()
    scp.add_supported_context(VERIFICATION, IMPLICIT, scu_role=True, scp_role=True)
    listening_server: Any = scp.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, ask_back)]
    )
    try:
        assoc = ae.associate(
            "127.0.0.1",
            listening_server.server_address[1],
            ext_neg=[build_role(VERIFICATION, scu_role=True, scp_role=True)],
        )
        for _ in range(20):
            assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert assoc.is_released
    finally:
        scp.shutdown()
    assert answers == [0] * 20


# The interpreter's exit


EXIT = """
import sys, threading
sys.path.insert(0, {root!r})
from pynetdicom import AE, evt
ae = AE()
ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
ae.add_requested_context({uid!r})
assoc = ae.associate("127.0.0.1", {port})
assert assoc.is_established
if {waits}:
    threading.Thread(target=assoc.send_c_echo, daemon=True).start()
    sys.stdin.readline()
{end}
"""


@sampled("end", ["", "sys.exit(3)", "raise KeyboardInterrupt"])
@sampled("waits", [False, True])
def test_interpreter_exit(end: str, waits: bool, scene: Scene) -> None:
    seen: list[bytes] = []

    def script(peer: Acceptor) -> None:
        peer.accept()
        if waits:
            peer.pdu()
            scene.reached.set()
        seen.append(peer.exactly(10))

    root = str(Path(__file__).parent.parent)
    with listening(script) as listener:
        code = EXIT.format(root=root, uid=VERIFICATION, port=listener.port, waits=waits, end=end)
        with subprocess.Popen(
            [sys.executable, "-c", code], stdin=subprocess.PIPE, stderr=subprocess.PIPE
        ) as process:
            assert process.stdin is not None
            assert process.stderr is not None
            if waits:
                assert scene.reached.wait(60)
            process.stdin.write(b"\n")
            process.stdin.close()
            errors = process.stderr.read()
            process.wait(300)
        assert b"Fatal" not in errors, errors
    assert seen == [ABORT]


def test_interpreter_exit_of_a_server(scene: Scene) -> None:
    """With an association whose handler hangs: the process ends all the same, and says so."""
    code = f"""
import sys, threading
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from pynetdicom import AE, evt
ae = AE()
ae.add_supported_context({VERIFICATION!r})
def hang(event):
    print("in handler", flush=True)
    threading.Event().wait()
server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, hang)])
print(server.server_address[1], flush=True)
sys.stdin.readline()
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        with associated(("127.0.0.1", int(process.stdout.readline()))) as peer:
            peer.send(echo_rq())
            assert process.stdout.readline() == b"in handler\n"
            process.stdin.close()
            assert peer.exactly(10) == ABORT
            process.wait(300)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_exit_of_a_forked_child() -> None:
    """The associations are the parent's: the child's exit does not abort them."""
    child = """
import os
child = os.fork()
if not child:
    sys.exit(0)
os.waitpid(child, 0)
assert assoc.is_established
assert assoc.send_c_echo().Status == 0
"""
    seen: list[bytes] = []

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.serve_echo()
        seen.append(peer.exactly(10))

    root = str(Path(__file__).parent.parent)
    with listening(script) as listener:
        code = EXIT.format(root=root, uid=VERIFICATION, port=listener.port, waits=False, end=child)
        result = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, timeout=300, check=False
        )
    assert result.returncode == 0, result.stderr
    assert seen == [ABORT]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="there is no fork")
def test_each_forked_child_serves() -> None:
    """What the server was made with before is common to all of them: they are in nobody's way."""
    code = f"""
import os, signal, sys
sys.path.insert(0, {str(Path(__file__).parent.parent)!r})
from pynetdicom import AE
ae = AE()
ae.add_supported_context({VERIFICATION!r})
server = ae.make_server(("127.0.0.1", 0))
print(server.server_address[1], flush=True)
child = 0
for _ in sys.stdin:
    last, child = child, os.fork()
    if not child:
        server.serve_forever()
    if last:
        os.kill(last, signal.SIGKILL)
        os.waitpid(last, 0)
    print(child, flush=True)
os.kill(child, signal.SIGKILL)
"""
    with subprocess.Popen(
        [sys.executable, "-c", code], stdin=subprocess.PIPE, stdout=subprocess.PIPE
    ) as process:
        assert process.stdin is not None
        assert process.stdout is not None
        address = ("127.0.0.1", int(process.stdout.readline()))
        for _ in range(3):  # another one each time
            process.stdin.write(b"\n")
            process.stdin.flush()
            assert process.stdout.readline()
            with associated(address) as peer:
                peer.send(echo_rq())
                assert peer.pdu()[0] == 4
