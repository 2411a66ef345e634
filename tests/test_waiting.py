"""What a thread waits for is brought to it by another, with real associations."""

from __future__ import annotations

import math
import signal
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynetdicom import AE, evt, running
from pynetdicom.dimse import waiting as waiting_module
from pynetdicom.dimse.inbox import WE_RELEASE
from tests.faults.peer import until
from tests.peers import DEADLINE, interrupted_when

VERIFICATION = "1.2.840.10008.1.1"


def patient() -> AE:
    """An AE whose time-outs end nothing here."""
    ae = AE()
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
    return ae


class Peers:
    """An SCP whose C-ECHO handler waits until it is told, and an association with it."""

    def __init__(self) -> None:
        self.served = threading.Event()
        self.go_on = threading.Event()
        self.acceptors: list[Any] = []
        self.scp = patient()
        self.scp.add_supported_context(VERIFICATION)
        server = self.scp.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, self._serve)]
        )
        assert server is not None
        self.scu = patient()
        self.scu.add_requested_context(VERIFICATION)
        self.assoc = self.scu.associate("127.0.0.1", server.server_address[1])
        assert self.assoc.is_established

    def _serve(self, event: evt.Event) -> int:
        self.acceptors.append(event.assoc)
        self.served.set()
        self.go_on.wait(DEADLINE)
        return 0x0000

    def close(self) -> None:
        self.go_on.set()
        self.scu.shutdown()
        self.scp.shutdown()


@pytest.fixture
def peers() -> Iterator[Peers]:
    peers = Peers()
    yield peers
    peers.close()


def started(call: Callable[[], Any]) -> tuple[threading.Thread, list[Any]]:
    results: list[Any] = []
    thread = threading.Thread(target=lambda: results.append(call()))
    thread.start()
    return thread, results


def test_waiter_gets_its_answer_and_the_next_caller_his(peers: Peers) -> None:
    peers.go_on.set()
    for _ in range(20):
        assert peers.assoc.send_c_echo().Status == 0x0000
        thread, results = started(peers.assoc.send_c_echo)
        thread.join(DEADLINE)
        assert results[0].Status == 0x0000


def test_abort_wakes_the_waiter_who_reads(peers: Peers) -> None:
    thread, results = started(peers.assoc.send_c_echo)
    assert peers.served.wait(DEADLINE)
    peers.assoc.abort(block=False)
    thread.join(DEADLINE)
    assert results == [{}] or len(results[0]) == 0
    assert (peers.assoc.ended.kind, peers.assoc.ended.by) == ("aborted", "local")


def test_peers_abort_wakes_the_waiter_and_closes_the_connection(peers: Peers) -> None:
    thread, results = started(peers.assoc.send_c_echo)
    assert peers.served.wait(DEADLINE)
    peers.acceptors[0].abort(block=False)
    thread.join(DEADLINE)
    assert len(results[0]) == 0
    assert (peers.assoc.ended.kind, peers.assoc.ended.by) == ("aborted", "peer")
    peers.assoc.join(DEADLINE)
    assert not peers.assoc.is_alive()


def test_lost_connection_is_seen_by_the_waiter_who_reads(peers: Peers) -> None:
    thread, results = started(peers.assoc.send_c_echo)
    assert peers.served.wait(DEADLINE)
    peers.acceptors[0].dul.connection.cut()
    thread.join(DEADLINE)
    assert len(results[0]) == 0
    assert (peers.assoc.ended.kind, peers.assoc.ended.by) == ("aborted", "network")
    peers.assoc.join(DEADLINE)
    assert not peers.assoc.is_alive()


@pytest.mark.parametrize("how", ["release", "abort", "shutdown", "echo"])
def test_a_signals_handler_uses_the_association_its_thread_waits_on(peers: Peers, how: str) -> None:
    """He reads, or has others read, while the wait that he interrupts goes on."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are handled by the main thread")
    nested: list[Any] = []
    handled = threading.Event()

    def handle(*_: Any) -> None:
        if handled.is_set():
            return
        handled.set()
        peers.go_on.set()
        if how == "echo":
            nested.append(peers.assoc.send_c_echo().Status)
        elif how == "shutdown":
            peers.scu.shutdown()
        else:
            getattr(peers.assoc, how)()

    def is_waiting() -> bool:
        return all(one.last_heard < math.inf for one in peers.assoc.dimse.outstanding())

    def interrupt() -> None:
        main = threading.main_thread().ident or 0
        if peers.served.wait(DEADLINE) and until(is_waiting):
            # One that comes just before the system call is seen after it only.
            signal.pthread_kill(main, signal.SIGUSR1)
            while not handled.wait(0.1):
                signal.pthread_kill(main, signal.SIGUSR1)

    before = signal.signal(signal.SIGUSR1, handle)
    try:
        thread, _ = started(interrupt)
        status = peers.assoc.send_c_echo()
        thread.join(DEADLINE)
    finally:
        signal.signal(signal.SIGUSR1, before)
    if how == "echo":
        assert (status.Status, nested) == (0x0000, [0x0000])
        assert peers.assoc.send_c_echo().Status == 0x0000
    elif how == "release":
        assert status.Status == 0x0000
        assert peers.assoc.is_released
    else:
        assert peers.assoc.is_aborted


def test_a_signals_handler_does_not_wait_for_what_it_interrupts(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Shut down in the midst of sending: the connection is closed when that goes on."""
    connection = peers.assoc.dul.connection
    push = connection.push
    # If it waited for its thread's own association, it would wait for ever.
    for bound in ("_POLITE", "_SHUTDOWN"):
        monkeypatch.setattr(running, bound, 3600)
    returned: list[bool] = []

    def interrupted(buffers: Any) -> int:
        monkeypatch.setattr(connection, "push", push)
        peers.assoc.release()
        peers.scu.shutdown()
        returned.append(True)
        return push(buffers)

    monkeypatch.setattr(connection, "push", interrupted)
    assert len(peers.assoc.send_c_echo()) == 0
    assert returned
    monkeypatch.undo()
    peers.assoc.join(DEADLINE)
    assert not peers.assoc.is_alive()


def test_a_release_by_a_signals_handler_in_the_midst_of_sending(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is done when the request that it interrupts has been answered."""
    peers.go_on.set()
    connection = peers.assoc.dul.connection
    push = connection.push

    def interrupted(buffers: Any) -> int:
        monkeypatch.undo()
        peers.assoc.release()
        assert peers.assoc.is_established
        return push(buffers)

    monkeypatch.setattr(connection, "push", interrupted)
    assert peers.assoc.send_c_echo().Status == 0x0000
    peers.assoc.join(DEADLINE)
    assert peers.assoc.is_released


@pytest.mark.parametrize("where", ["fragments", "push"])
def test_a_request_by_a_signals_handler_in_the_midst_of_sending(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, where: str
) -> None:
    """It is refused: it could not go out before the one that waits for the handler."""
    peers.go_on.set()
    owner = peers.assoc._messenger if where == "fragments" else peers.assoc.dul.connection
    name = "fragments" if where == "fragments" else "push"
    call = getattr(owner, name)
    refused: list[str] = []

    def interrupted(*args: Any) -> Any:
        monkeypatch.undo()
        with pytest.raises(RuntimeError, match="would wait for the request that it interrupts"):
            peers.assoc.send_c_echo()
        refused.append(name)
        return call(*args)

    monkeypatch.setattr(owner, name, interrupted)
    assert peers.assoc.send_c_echo().Status == 0x0000
    assert refused
    assert peers.assoc.send_c_echo().Status == 0x0000


def test_a_request_by_a_handler_of_what_was_sent(peers: Peers) -> None:
    """It waits for the one that was sent, which needs nobody here."""
    peers.go_on.set()
    nested: list[int] = []

    def on_sent(event: evt.Event) -> None:
        if not nested:
            nested.append(0)
            nested.append(peers.assoc.send_c_echo().Status)

    peers.assoc.bind(evt.EVT_DIMSE_SENT, on_sent)
    assert peers.assoc.send_c_echo().Status == 0x0000
    assert nested == [0, 0x0000]


@pytest.mark.parametrize("how", ["release", "abort", "shutdown", "echo"])
def test_a_signals_handler_interrupts_the_end_of_the_association(
    peers: Peers, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    """Its thread has ended it, and told nobody yet: that it has ended is known all the same."""
    monkeypatch.setattr(peers.scu, "acse_timeout", 3600.0)
    peers.assoc.acse_timeout = peers.assoc.dimse_timeout = 3600.0
    thread, _ = started(peers.assoc.send_c_echo)
    assert peers.served.wait(DEADLINE)
    driver = peers.assoc.dul.driver
    tell_end = driver.tell_end
    handled: list[str] = []

    def interrupted() -> None:
        monkeypatch.undo()
        if how == "shutdown":
            peers.scu.shutdown()
        elif how == "echo":
            with pytest.raises(RuntimeError, match="must be established"):
                peers.assoc.send_c_echo()
        else:
            getattr(peers.assoc, how)()
        handled.append(how)
        tell_end()

    monkeypatch.setattr(driver, "tell_end", interrupted)
    ending, _ = started(peers.assoc.kill)
    ending.join(DEADLINE)
    assert handled
    thread.join(DEADLINE)
    assert not thread.is_alive()
    assert peers.assoc.ended.by == "local"


def test_waiter_who_reads_ends_by_his_deadline(peers: Peers) -> None:
    peers.assoc.dimse_timeout = 0.2
    status = peers.assoc.send_c_echo()
    assert len(status) == 0
    assert peers.assoc.ended.timer == "dimse_timeout"


def test_waiter_reads_what_others_wait_for(peers: Peers) -> None:
    """The peer releases while the caller reads: the Association thread answers."""
    peers.go_on.set()
    assert peers.assoc.send_c_echo().Status == 0x0000
    peers.go_on.clear()
    peers.served.clear()
    thread, _ = started(peers.assoc.send_c_echo)
    assert peers.served.wait(DEADLINE)
    releasing, _ = started(peers.acceptors[0].release)  # it waits for its handler
    peers.go_on.set()
    thread.join(DEADLINE)
    releasing.join(DEADLINE)
    peers.assoc.join(DEADLINE)
    assert not peers.assoc.is_alive()
    assert peers.assoc.is_released


def test_release_wakes_the_idle_association_thread_of_the_acceptor(peers: Peers) -> None:
    peers.go_on.set()
    assert peers.assoc.send_c_echo().Status == 0x0000
    peers.acceptors[0].release()
    assert peers.acceptors[0].is_released
    peers.assoc.join(DEADLINE)
    assert (peers.assoc.ended.kind, peers.assoc.ended.by) == ("released", "peer")


@pytest.mark.parametrize("in_handler", [False, True])
def test_release_asked_for_between_an_answer_and_reading_on(peers: Peers, in_handler: bool) -> None:
    """The acceptor has taken the reader's role by then, and leaves it to others to be answered."""
    peers.go_on.set()
    assert peers.assoc.send_c_echo().Status == 0x0000
    acceptor = peers.acceptors[0]
    if in_handler:
        acceptor.bind(evt.EVT_C_ECHO, lambda event: event.assoc.release() or 0x0000)
    else:
        # Called after an answer; maybe still after the first one.
        serve = acceptor._performer._serve_request

        def serve_and_release(request: Any) -> None:
            serve(request)
            if len(peers.acceptors) == 2:
                acceptor.inbox.put(WE_RELEASE)

        acceptor._performer._serve_request = serve_and_release
    assert peers.assoc.send_c_echo().Status == 0x0000
    acceptor.join(DEADLINE)
    assert acceptor.is_released


@pytest.mark.parametrize("last", [evt.EVT_DIMSE_SENT, None])
def test_an_answer_that_does_not_come_and_one_that_a_handler_waits_for(
    peers: Peers, last: Any
) -> None:
    """Whoever claims to read gives that up whatever becomes of his request."""
    peers.go_on.set()
    assoc = peers.assoc
    echoes: list[Any] = []
    if last is not None:

        def on_sent(event: evt.Event) -> None:
            assoc.unbind(last, on_sent)
            # Which is sent when the answer to the first one has been read.
            echoes.append(assoc.send_c_echo().Status)

        assoc.bind(last, on_sent)
    assert assoc.send_c_echo().Status == 0x0000
    assert echoes == ([0x0000] if last else [])
    assert not assoc.dul.is_reading_here
    peers.acceptors[0].abort()
    assert len(assoc.send_c_echo() if assoc.is_established else {}) == 0
    assert not assoc.dul.is_reading_here


def test_timeout_set_while_idle_takes_effect(peers: Peers) -> None:
    peers.go_on.set()
    assert peers.assoc.send_c_echo().Status == 0x0000
    acceptor = peers.acceptors[0]
    acceptor.network_timeout = 0.1
    acceptor.join(DEADLINE)
    assert acceptor.ended.timer == "network_timeout"
    peers.assoc.join(DEADLINE)
    assert peers.assoc.ended.by == "peer"


def test_handlers_of_what_is_read_may_not_wait_for_it(peers: Peers) -> None:
    problems: list[Exception] = []

    def on_pdu(event: evt.Event) -> None:
        for call in (event.assoc.send_c_echo, event.assoc.release):
            try:
                call()
            except RuntimeError as error:
                problems.append(error)

    peers.go_on.set()
    peers.assoc.bind(evt.EVT_PDU_RECV, on_pdu)
    assert peers.assoc.send_c_echo().Status == 0x0000
    assert len(problems) == 2


def test_abort_from_a_handler_of_what_is_read_does_not_wait_for_itself(peers: Peers) -> None:
    peers.go_on.set()
    peers.assoc.bind(evt.EVT_DATA_RECV, lambda event: event.assoc.abort())
    assert len(peers.assoc.send_c_echo()) == 0
    assert peers.assoc.is_aborted


def test_ctrl_c_reaches_the_waiting_caller_and_leaves_the_association_in_order(
    peers: Peers, monkeypatch: pytest.MonkeyPatch
) -> None:
    waiting = threading.Event()
    response_to = waiting_module.response_to

    def waits(*args: Any) -> Any:
        waiting.set()
        return response_to(*args)

    monkeypatch.setattr(waiting_module, "response_to", waits)
    with (
        pytest.raises(KeyboardInterrupt),
        # Not while the request is being sent: what of it has left would not be known.
        interrupted_when(lambda: waiting.wait(DEADLINE) and peers.served.wait(DEADLINE)),
    ):
        peers.assoc.send_c_echo()
    assert peers.assoc.is_established
    peers.go_on.set()
    # The late answer is dropped; the next operation gets its own.
    assert peers.assoc.send_c_echo().Status == 0x0000


def test_many_threads_get_their_own_answers(peers: Peers) -> None:
    peers.go_on.set()
    message_ids: list[int] = []

    def echo_often() -> bool:
        for _ in range(50):
            status = peers.assoc.send_c_echo()
            if status.Status != 0x0000:
                return False
            message_ids.append(status.message_id)
        return True

    runs = [started(echo_often) for _ in range(4)]
    for thread, results in runs:
        thread.join(4 * DEADLINE)
        assert results == [True]
    assert sorted(message_ids) == list(range(1, 201))


@pytest.mark.parametrize("ends", ["release", "abort", "release by the peer", "shutdown"])
def test_an_acceptor_who_answers_by_himself(ends: str) -> None:
    """He reads all the while, as no handler is asked; whoever ends the association is heard."""
    acceptors: list[Any] = []
    scp = patient()
    scp.add_supported_context(VERIFICATION)
    server = scp.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_ESTABLISHED, lambda event: acceptors.append(event.assoc))],
    )
    assert server is not None
    scu = patient()
    scu.add_requested_context(VERIFICATION)
    assoc = scu.associate("127.0.0.1", server.server_address[1])
    for _ in range(20):
        assert assoc.send_c_echo().Status == 0x0000
    acceptor = acceptors[0]
    if ends == "shutdown":
        scp.shutdown()
    else:
        {"release": acceptor.release, "abort": acceptor.abort}.get(ends, assoc.release)()
    for one in (acceptor, assoc):
        one.join(DEADLINE)
        assert not one.is_alive()
    assert acceptor.is_released == ("release" in ends)
    scu.shutdown()
    scp.shutdown()


def test_a_handler_that_is_bound_in_between(peers: Peers) -> None:
    """An acceptor who has answered by himself has others read while the handler works."""
    acceptor_ended = threading.Event()
    peers.go_on.set()
    assert peers.assoc.send_c_echo().Status == 0x0000
    acceptor = peers.acceptors[0]
    acceptor.unbind(evt.EVT_C_ECHO, peers._serve)
    for _ in range(3):
        assert peers.assoc.send_c_echo().Status == 0x0000

    def waits(event: evt.Event) -> int:
        peers.served.set()
        until = time.monotonic() + DEADLINE
        while event.assoc.ended is None and time.monotonic() < until:
            acceptor_ended.wait(0.01)
        if event.assoc.ended is not None:
            acceptor_ended.set()
        return 0x0000

    peers.served.clear()
    acceptor.bind(evt.EVT_C_ECHO, waits)
    thread, results = started(peers.assoc.send_c_echo)
    assert peers.served.wait(DEADLINE)
    peers.assoc.abort()
    assert acceptor_ended.wait(DEADLINE)
    thread.join(DEADLINE)
    assert results
