"""pynetdicom.association: its attributes, its events in order, and how it ends."""

from __future__ import annotations

import logging
import queue
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynetdicom import AE, Association, _config, association, build_role, evt
from pynetdicom.association import performing
from pynetdicom.association.accepting import Accepting
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.network import driver, dul
from tests.conftest import leaked_descriptors, open_descriptors
from tests.faults.peer import (
    BEGUN,
    BOTH,
    RELEASE_RP,
    RELEASE_RQ,
    Peer,
    abort,
    echo_rq,
    p_data,
    pdv,
    request,
    until,
)
from tests.peers import (
    CT,
    DEADLINE,
    LONG,
    VERIFICATION,
    Acceptor,
    Call,
    ct,
    listening,
    requestor,
)

STORE_RQ = BEGUN + p_data(pdv(3, 2, bytes(500)))
NOTIFICATIONS = [event for event in evt.ALL_EVENTS.values() if event.is_notification]


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)


class Sides:
    """An acceptor and a requestor, and everything that they are notified of."""

    def __init__(self) -> None:
        self.scp, self.scu = AE("SCP"), requestor()
        self.scp.add_supported_context(VERIFICATION)
        self.scp.add_supported_context(CT)
        self.told: dict[str, list[evt.Event]] = {"scp": [], "scu": []}
        self.acceptors: list[Any] = []
        self.closed = threading.Semaphore(0)

    def serve(self, *handlers: tuple[Any, ...]) -> tuple[Any, ...]:
        server = self.scp.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=[*self.handlers("scp"), *handlers]
        )
        assert server is not None
        address: tuple[Any, ...] = server.server_address
        return address

    def associate(self, *handlers: tuple[Any, ...], scp: tuple[Any, ...] = ()) -> Association:
        return self.scu.associate(
            "127.0.0.1", self.serve(*scp)[1], evt_handlers=[*self.handlers("scu"), *handlers]
        )

    def handlers(self, side: str) -> list[tuple[Any, ...]]:
        def tell(event: evt.Event) -> None:
            self.told[side].append(event)
            if event.event is evt.EVT_CONN_OPEN and side == "scp":
                self.acceptors.append(event.assoc)
            if event.event is evt.EVT_CONN_CLOSE:
                self.closed.release()

        return [(event, tell) for event in NOTIFICATIONS]

    def names(self, side: str) -> list[str]:
        """The names of the notifications, those of bytes and transitions left out."""
        names = [event.event.name.removeprefix("EVT_") for event in self.told[side]]
        return [name for name in names if name not in ("DATA_RECV", "DATA_SENT", "FSM_TRANSITION")]

    @property
    def acceptor(self) -> Any:
        self.acceptors[-1]._lifetime.negotiated.wait()
        return self.acceptors[-1]


@pytest.fixture
def sides() -> Iterator[Sides]:
    made = Sides()
    yield made
    made.scu.shutdown()
    made.scp.shutdown()


def associated(server: tuple[Any, ...]) -> Peer:
    peer = Peer.connect(server)
    peer.associate()
    return peer


# Attributes


@pytest.mark.threads("it is a Thread")
def test_attributes(sides: Sides) -> None:
    assoc = sides.associate()
    acceptor = sides.acceptor
    assert isinstance(assoc, threading.Thread)
    assert assoc.daemon
    assert (assoc.is_requestor, assoc.is_acceptor, assoc.mode) == (True, False, "requestor")
    assert (acceptor.is_requestor, acceptor.is_acceptor, acceptor.mode) == (False, True, "acceptor")
    assert assoc.ae is sides.scu
    assert (assoc.requestor.ae_title, assoc.acceptor.ae_title) == ("SCU", "ANY-SCP")
    assert (acceptor.requestor.ae_title, acceptor.acceptor.ae_title) == ("SCU", "SCP")
    assert assoc.requestor.port == acceptor.requestor.port
    assert assoc.local["ae_title"] == "SCU"
    assert assoc.remote == assoc.acceptor.info
    assert acceptor.local == acceptor.acceptor.info
    assert acceptor.remote["address"] == "127.0.0.1"
    assert assoc.accepted_contexts[0].abstract_syntax == VERIFICATION
    assert assoc.rejected_contexts == []
    assert assoc.network_timeout_response == "A-ABORT"
    assert (assoc.acse_timeout, assoc.dimse_timeout, assoc.network_timeout) == (*LONG.values(),)
    assert assoc.connection_timeout is None
    assert assoc.ended is None
    assert bool(assoc.dimse) is False
    assert assoc.dul.provider.state == "Sta6"
    with assoc.lock:
        assert assoc.send_c_echo().Status == 0
    assert assoc.acse.assoc is assoc
    flags = (assoc.is_established, assoc.is_aborted, assoc.is_rejected, assoc.is_released)
    assert flags == (True, False, False, False)
    assoc.release()
    flags = (assoc.is_established, assoc.is_aborted, assoc.is_rejected, assoc.is_released)
    assert flags == (False, False, False, True)


def test_wrong_mode() -> None:
    with pytest.raises(ValueError):
        Association(AE(), "server")  # type: ignore[arg-type]


def test_before_there_is_a_connection() -> None:
    assoc = Association(AE(), "requestor")
    assert assoc.dul.provider.state == "Sta1"
    with pytest.raises(RuntimeError):
        assoc.send_c_echo()
    assoc.release()
    assert assoc.ended is None
    assoc.kill()
    assert assoc.is_aborted


# Notifications, in order


def test_notifications_of_a_release(sides: Sides) -> None:
    assoc = sides.associate()
    assert assoc.send_c_echo().Status == 0
    assoc.release()
    for _ in range(2):
        assert sides.closed.acquire(timeout=DEADLINE)
    # What the peer sends next may be read, by the DUL thread, before the rest of it is told.
    for side, received, sent in (("scu", "RECV", "SENT"), ("scp", "SENT", "RECV")):
        names = sides.names(side)
        assert (names.count("PDU_SENT"), names.count("PDU_RECV")) == (3, 3)
        told = [
            *("CONN_OPEN", "REQUESTED", f"ACSE_{sent}"),
            *(f"ACSE_{received}", "ACCEPTED", "ESTABLISHED"),
            *(f"DIMSE_{sent}", f"DIMSE_{received}"),
            *(f"ACSE_{sent}", f"ACSE_{received}", "RELEASED", "CONN_CLOSE"),
        ]
        if side == "scp":  # requested once it is received
            told[1:3] = reversed(told[1:3])
        assert [name for name in names if not name.startswith("PDU")] == told
        assert names.index(f"PDU_{sent}") < names.index(f"ACSE_{sent}")
        assert names.index(f"PDU_{received}") < names.index(f"ACSE_{received}")


def test_notifications_of_an_abort(sides: Sides) -> None:
    assoc = sides.associate()
    assert sides.acceptor.is_established
    assoc.abort()
    for _ in range(2):
        assert sides.closed.acquire(timeout=DEADLINE)
    assert sorted(sides.names("scu")[-4:-1]) == ["ABORTED", "ACSE_SENT", "PDU_SENT"]
    assert sides.names("scu")[-1] == "CONN_CLOSE"
    assert sides.names("scp")[-4:] == ["PDU_RECV", "ACSE_RECV", "ABORTED", "CONN_CLOSE"]
    primitive = next(
        event.primitive for event in sides.told["scp"][::-1] if event.event is evt.EVT_ACSE_RECV
    )
    assert type(primitive).__name__ == "A_ABORT"
    assert primitive.abort_source == 0


def test_notifications_of_a_rejection(sides: Sides) -> None:
    sides.scp.require_called_aet = True
    assoc = sides.associate()
    assert assoc.is_rejected
    for _ in range(2):
        assert sides.closed.acquire(timeout=DEADLINE)
    # The answer may be read, by the DUL thread, before the rest of the request is told.
    names = [name for name in sides.names("scu") if name != "PDU_RECV"]
    assert names[-4:] == ["ACSE_SENT", "ACSE_RECV", "REJECTED", "CONN_CLOSE"]
    names = sides.names("scu")
    assert names.index("PDU_RECV") < names.index("ACSE_RECV")
    assert sides.names("scp")[-4:] == ["PDU_SENT", "ACSE_SENT", "REJECTED", "CONN_CLOSE"]


def test_notifications_of_what_each_event_carries(sides: Sides) -> None:
    assoc = sides.associate()
    assoc.send_c_echo()
    assoc.release()
    for _ in range(2):
        assert sides.closed.acquire(timeout=DEADLINE)
    for event in sides.told["scu"] + sides.told["scp"]:
        assert event.event.is_notification
        assert event.assoc.ae in (sides.scp, sides.scu)
        assert event.timestamp is not None
        name = event.event.name.removeprefix("EVT_").split("_")[0]
        if name == "CONN":
            host, port = event.address
            assert (host, type(port)) == ("127.0.0.1", int)
        elif name == "ACSE":
            assert type(event.primitive).__name__ in ("A_ASSOCIATE", "A_RELEASE")
        elif name == "DIMSE":
            assert event.message.name in ("C-ECHO-RQ", "C-ECHO-RSP")
            assert event.message.command_set.MessageID if event.message.name[-1] == "Q" else True
        elif name == "PDU":
            assert event.pdu.encode()
        elif name == "DATA":
            assert isinstance(event.data, bytes)
        elif name == "FSM":
            assert (event.fsm_event[:3], event.current_state[:3]) == ("Evt", "Sta")
            assert event.action
            assert event.next_state[:3] == "Sta"
        else:
            with pytest.raises(AttributeError):
                _ = event.primitive
        for wrong in ("request", "dataset", "context", "identifier", "nonsense"):
            with pytest.raises(AttributeError):
                getattr(event, wrong)


def test_a_rejection_is_told_before_associate_returns(sides: Sides) -> None:
    sides.scp.require_called_aet = True
    address = sides.serve()
    for _ in range(20):
        sides.told["scu"].clear()
        sides.scu.associate("127.0.0.1", address[1], evt_handlers=sides.handlers("scu"))
        assert "REJECTED" in sides.names("scu")


def test_notifications_of_a_failed_connection(sides: Sides, free_port: int) -> None:
    sides.scu.associate("127.0.0.1", free_port, evt_handlers=sides.handlers("scu"))
    assert "ABORTED" in sides.names("scu")
    assert "CONN_OPEN" not in sides.names("scu")


# Release


class Held:
    """A handler of C-ECHO that answers once it is told to."""

    def __init__(self) -> None:
        self.served, self.go_on = threading.Event(), threading.Event()

    def __call__(self, event: evt.Event) -> int:
        self.served.set()
        self.go_on.wait(DEADLINE)
        return 0


def test_release_waits_for_our_operations(sides: Sides) -> None:
    held = Held()
    assoc = sides.associate(scp=((evt.EVT_C_ECHO, held),))
    echo = Call(assoc.send_c_echo)
    assert held.served.wait(DEADLINE)
    release = Call(assoc.release)
    held.go_on.set()
    assert echo.result().Status == 0
    release.result()
    assert assoc.is_released


def test_release_serves_the_peer_while_it_waits(sides: Sides) -> None:
    """The peer may need an answer before it can give us ours."""
    held = Held()
    sides.scp.add_supported_context(VERIFICATION, scu_role=True, scp_role=True)
    port = sides.serve((evt.EVT_C_ECHO, held))[1]
    role = build_role(VERIFICATION, scu_role=True, scp_role=True)
    assoc = sides.scu.associate("127.0.0.1", port, ext_neg=[role])
    echo = Call(assoc.send_c_echo)
    assert held.served.wait(DEADLINE)
    release = Call(assoc.release)
    assert until(lambda: assoc.dimse._closed)
    assert Call(sides.acceptor.send_c_echo).result().Status == 0
    held.go_on.set()
    assert echo.result().Status == 0
    release.result()
    assert assoc.is_released


@pytest.mark.threads("what waits within would hold up the loop")
def test_release_overtaken_by_the_peers(monkeypatch: pytest.MonkeyPatch) -> None:
    """The peer's A-RELEASE-RQ is there when ours is to be sent: it is answered all the same."""
    ready = threading.Event()

    def script(peer: Acceptor) -> None:
        peer.accept()
        assert ready.wait(DEADLINE)
        peer.send(RELEASE_RQ)
        assert peer.pdu() == RELEASE_RP

    with listening(script) as listener:
        assoc = requestor().associate("127.0.0.1", listener.port)
        indicated = threading.Event()
        on_release = assoc._performer._indications.on_release

        def tell(answer: Any) -> None:
            on_release(answer)
            indicated.set()

        assoc._performer._indications.on_release = tell  # type: ignore[method-assign]
        close = assoc.dimse.close

        def overtaken() -> None:
            assoc.dul.leave()
            ready.set()
            assert indicated.wait(DEADLINE)
            close()

        monkeypatch.setattr(assoc.dimse, "close", overtaken)
        assoc.release()
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.by) == ("released", "peer")


def test_release_by_the_peer_ends_our_operations_at_once() -> None:
    """While a request of the peer's is being served, and its response still goes out."""
    serving, go_on, asked = threading.Event(), threading.Event(), threading.Event()

    def script(peer: Acceptor) -> None:
        peer.accept()
        peer.send(echo_rq(7))
        assert peer.command()[1].name == "C-ECHO"
        assert serving.wait(DEADLINE)
        peer.send(RELEASE_RQ)
        asked.set()
        context_id, response = peer.command()
        assert (context_id, response.MessageIDBeingRespondedTo) == (1, 7)
        assert peer.pdu() == RELEASE_RP

    def on_echo(event: evt.Event) -> int:
        serving.set()
        go_on.wait(DEADLINE)
        cancelled.append(event.assoc._performer.is_cancelled(event.message_id))
        return 0

    def become_scp(event: evt.Event) -> None:
        for context in event.assoc.accepted_contexts:
            context.as_scp = True

    cancelled: list[bool] = []
    with listening(script) as listener:
        ae = requestor()
        handlers = [(evt.EVT_C_ECHO, on_echo), (evt.EVT_ESTABLISHED, become_scp)]
        assoc = ae.associate("127.0.0.1", listener.port, evt_handlers=handlers)
        call = Call(assoc.send_c_echo)
        assert asked.wait(DEADLINE)
        assert len(call.result()) == 0
        assert assoc.is_released  # known by then, though the handler still works
        assert not assoc.is_established
        assert ae.active_associations == [assoc]
        with pytest.raises(RuntimeError):
            assoc.send_c_echo()
        go_on.set()
        assoc.join(DEADLINE)
        assert assoc.ended is not None
        assert (assoc.ended.kind, assoc.ended.by) == ("released", "peer")
        assert cancelled == [False]
        assert ae.active_associations == []


def test_release_refuses_who_comes_late(sides: Sides) -> None:
    """Whoever asks while the release is under way gets an outcome, and no operation is begun."""
    assoc = sides.associate()
    assoc.dimse.close()
    call = Call(assoc.send_c_echo)
    assoc.release()
    assert len(call.result()) == 0
    assert assoc.is_released


def test_release_twice_and_afterwards(sides: Sides) -> None:
    assoc = sides.associate()
    calls = [Call(assoc.release) for _ in range(4)]
    for call in calls:
        call.result()
    assoc.release()
    assoc.abort()
    assert assoc.is_released


def test_release_by_both_at_the_same_time(sides: Sides) -> None:
    address = sides.serve()
    for _ in range(30):
        assoc = sides.scu.associate("127.0.0.1", address[1])
        calls = [Call(assoc.release), Call(sides.acceptor.release)]
        for call in calls:
            call.result()
        sides.acceptor.join(DEADLINE)
        assert assoc.is_released
        assert sides.acceptor.is_released


def test_idle_association_is_released_if_asked_for(sides: Sides) -> None:
    address = sides.serve(
        (evt.EVT_ESTABLISHED, lambda e: setattr(e.assoc, "network_timeout_response", "A-RELEASE"))
    )
    sides.scp.network_timeout = 0.1
    with associated(address) as peer:
        assert peer.pdu() == RELEASE_RQ
        peer.send(RELEASE_RP)
        assert peer.rest() == b""
    sides.acceptor.join(DEADLINE)
    assert (sides.acceptor.ended.kind, sides.acceptor.ended.by) == ("released", "local")


# From handlers of what is being sent or read


@pytest.mark.parametrize("event", [evt.EVT_PDU_SENT, evt.EVT_DATA_SENT, evt.EVT_FSM_TRANSITION])
def test_handlers_of_what_is_sent_cannot_wait_for_it(sides: Sides, event: evt.EventType) -> None:
    """They would hold up what they wait for, until a timer ran out."""
    problems: list[BaseException] = []
    assoc = sides.associate()

    def act(event: evt.Event) -> None:
        for call in (assoc.send_c_echo, lambda: assoc.send_c_store(ct()), assoc.release):
            try:
                call()
            except RuntimeError as error:
                problems.append(error)

    assoc.bind(event, act)
    if event is evt.EVT_FSM_TRANSITION:
        assoc.abort()
    else:
        assert Call(assoc.send_c_echo).result().Status == 0
    assert len(problems) >= 3


@pytest.mark.parametrize("event", [evt.EVT_DIMSE_SENT, evt.EVT_DIMSE_RECV])
@pytest.mark.parametrize("what", ["send_c_echo", "release", "abort"])
def test_handlers_of_messages_on_the_callers_thread(
    sides: Sides, event: evt.EventType, what: str
) -> None:
    assoc = sides.associate()
    done: list[Any] = []

    def act(event: evt.Event) -> None:
        if not done:
            done.append(None)
            done[0] = getattr(event.assoc, what)()

    assoc.bind(event, act)
    status = Call(assoc.send_c_echo).result()
    if what == "send_c_echo":
        assert (status.Status, done[0].Status) == (0, 0)
    elif what == "release":
        assert status.Status == 0
        assoc.join(DEADLINE)
        assert assoc.is_released
    else:
        assert assoc.is_aborted


@pytest.mark.parametrize("event", [evt.EVT_PDU_SENT, evt.EVT_DATA_SENT])
def test_abort_from_a_handler_of_what_is_sent_does_not_wait(
    sides: Sides, event: evt.EventType
) -> None:
    """The end waits for the writer, which is in the handler."""
    assoc = sides.associate()
    alive: list[bool] = []

    def act(event: evt.Event) -> None:
        assoc.abort()
        alive.append(assoc.dul.is_alive())

    assoc.bind(event, act)
    begun = threading.Event()
    join = assoc.join

    def tell(timeout: float | None = None) -> None:
        begun.set()
        join(timeout)

    assoc.join = tell  # type: ignore[method-assign]
    Call(assoc.send_c_echo).result()  # the answer may have been there already
    assert assoc.is_aborted
    assert alive
    assert not begun.is_set()


# No thread to be had


@pytest.mark.threads("no thread is to be had")
def test_no_thread_for_an_accepted_association(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    sides.scp.maximum_associations = 1
    address = sides.serve()

    def start(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(Association, "start", start)
        with Peer.connect(address) as peer:
            peer.send(request())
            assert peer.pdu() == bytes((3, 0, 0, 0, 0, 4, 0, 2, 3, 1))
    assert sides.scp._running.associations == set()
    assert sides.scp._running._reserved == 0
    with associated(address) as peer:  # its place is free again
        peer.echo()
        peer.release()


@pytest.mark.threads("no thread is to be had")
@pytest.mark.parametrize("side", ["scp", "scu"])
def test_no_thread_to_read_with(sides: Sides, monkeypatch: pytest.MonkeyPatch, side: str) -> None:
    start = threading.Thread.start

    def refuse(self: Any) -> None:
        if self.name == f"pynetdicom-{'acceptor' if side == 'scp' else 'requestor'}-DUL":
            raise RuntimeError("can't start new thread")
        start(self)

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", refuse)
        assoc = sides.associate()
    assert assoc.is_aborted
    assoc.join(DEADLINE)
    for _ in range(2 if side == "scp" else 1):
        assert sides.closed.acquire(timeout=DEADLINE)
    for acceptor in sides.acceptors:
        acceptor.join(DEADLINE)
    left = (sides.scp._running.associations, sides.scu._running.associations)
    assert until(lambda: not any(left), DEADLINE)


def test_a_defect_before_anything_is_read(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*_: Any) -> None:
        raise ZeroDivisionError

    monkeypatch.setattr(Accepting, "_introduce", fail)
    with Peer.connect(sides.serve()) as peer:
        peer.send(request())
        assert peer.rest() == abort(2, 0)
    assert sides.closed.acquire(timeout=DEADLINE)


# Requests of the peer


def test_a_handler_that_exits_harms_nothing(sides: Sides) -> None:
    def leave(event: evt.Event) -> int:
        raise SystemExit

    address = sides.serve((evt.EVT_C_STORE, leave), (evt.EVT_DIMSE_RECV, leave))
    assoc = sides.scu.associate("127.0.0.1", address[1])
    assert assoc.send_c_store(ct()).Status == 0xC211
    assert assoc.send_c_echo().Status == 0
    assoc.release()
    assert assoc.is_released


def test_a_request_that_crosses_our_release_is_dropped(sides: Sides) -> None:
    address = sides.serve()
    with associated(address) as peer:
        acceptor = sides.acceptor
        release = Call(acceptor.release)
        assert peer.pdu() == RELEASE_RQ
        peer.send(echo_rq())
        peer.send(RELEASE_RP)
        assert peer.rest() == b""
        release.result()
    assert acceptor.is_released


class Records(logging.Handler):
    """Waits for a log line."""

    def __init__(self, logger: str) -> None:
        super().__init__()
        self.lines: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._logger = logging.getLogger(logger)

    def emit(self, record: logging.LogRecord) -> None:
        self.lines.put(record.getMessage())

    def __enter__(self) -> Records:
        self._logger.addHandler(self)
        return self

    def __exit__(self, *error: object) -> None:
        self._logger.removeHandler(self)

    def wait_for(self, text: str) -> None:
        while text not in self.lines.get(timeout=DEADLINE):
            pass


def test_any_number_of_requests_may_cross_our_release(sides: Sides) -> None:
    """None of them waits for anything: those dropped do not count against the next."""
    address = sides.serve()
    with associated(address) as peer, Records("pynetdicom.assoc") as records:
        acceptor = sides.acceptor
        release = Call(acceptor.release)
        assert peer.pdu() == RELEASE_RQ
        for number in range(1, _config.MAXIMUM_PENDING_REQUESTS + 10):
            peer.send(echo_rq(number))
            records.wait_for("crossed our A-RELEASE-RQ")
        peer.send(RELEASE_RP)
        assert peer.rest() == b""
        release.result()
    assert acceptor.is_released


def kept_requests(assoc: Association) -> list[Any]:
    """The messages of the peer's requests, as they come; they are kept from being collected."""
    kept: list[Any] = []
    assembler = assoc._performer._indications.assembler
    put = assembler.take_request

    def keep(message: Any) -> None:
        kept.append(message)
        put(message)

    assembler.take_request = keep
    return kept


def test_the_data_set_of_a_request_that_crosses_our_release_is_given_back(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "SPOOL_THRESHOLD", 0)
    with Peer.connect(sides.serve()) as peer:
        peer.associate(BOTH)
        acceptor = sides.acceptor
        before = open_descriptors()
        kept = kept_requests(acceptor)
        release = Call(acceptor.release)
        assert peer.pdu() == RELEASE_RQ
        peer.send(STORE_RQ + RELEASE_RP)
        assert peer.rest() == b""
        release.result()
    assert [message.name for message in kept] == ["C-STORE-RQ"]
    assert acceptor.is_released
    assert leaked_descriptors(before) == {}


def test_the_data_sets_of_requests_that_wait_at_the_end_are_given_back(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "SPOOL_THRESHOLD", 0)
    served, go_on = threading.Event(), threading.Event()
    stored: list[int] = []

    def on_store(event: evt.Event) -> int:
        stored.append(event.message_id)
        served.set()
        go_on.wait(DEADLINE)
        return 0

    with Peer.connect(sides.serve((evt.EVT_C_STORE, on_store))) as peer:
        peer.associate(BOTH)
        acceptor = sides.acceptor
        before = open_descriptors()
        kept = kept_requests(acceptor)
        peer.send(STORE_RQ)
        assert served.wait(DEADLINE)
        peer.send(STORE_RQ * 3 + abort(0, 0))
        assert peer.rest() == b""
        assert acceptor._has_ended
        go_on.set()
        acceptor.join(DEADLINE)
    assert len(kept) == 4
    assert len(stored) == 1
    del kept[0]  # the one that was served lives for as long as somebody holds it, or its event
    sides.told["scp"].clear()
    assert leaked_descriptors(before) == {}


def test_what_an_association_has_open_is_given_back(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Also while somebody keeps the association, and half a request has come."""
    monkeypatch.setattr(_config, "SPOOL_THRESHOLD", 0)
    with Peer.connect(sides.serve((evt.EVT_C_STORE, lambda event: 0))) as peer:
        peer.associate(BOTH)
        acceptor = sides.acceptor
        before = open_descriptors()
        for _ in range(3):
            peer.send(STORE_RQ)
            assert peer.pdu()[0] == 4
        peer.send(BEGUN)
        assert until(lambda: acceptor._performer._indications.assembler.context_id)
        assert until(lambda: leaked_descriptors(before))
        peer.send(abort(0, 0))
        assert peer.rest() == b""
        acceptor.join(DEADLINE)
    assert not acceptor.is_alive()
    sides.told["scp"].clear()  # what was served lives for as long as somebody holds its event
    assert leaked_descriptors(before) == {}


def test_an_acceptor_that_never_gets_to_its_connection(
    sides: Sides, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It is the association's to close, whatever happens to that."""
    monkeypatch.setattr(Accepting, "negotiate", lambda self: False)
    address = sides.serve()
    with Peer.connect(address) as peer:
        peer.send(request())
        assert peer.rest() == abort(2, 0)
    assert until(lambda: not sides.scp._running.associations)


def test_associate_does_not_wait_for_the_peers_close(monkeypatch: pytest.MonkeyPatch) -> None:
    for module in (association, dul):
        monkeypatch.setattr(module, "LINGER", 3600.0)
    over = threading.Event()

    def script(peer: Acceptor) -> None:
        peer.pdu()
        assert peer.exactly(10) == abort(0, 0)
        assert over.wait(2 * DEADLINE)

    with listening(script) as listener:
        assoc = Call(requestor(acse_timeout=0.1).associate, "127.0.0.1", listener.port).result()
        assert assoc.is_aborted
        assert assoc.is_alive()  # to see it closed
        over.set()
    assoc.join(DEADLINE)
    assert not assoc.is_alive()


def test_no_handler_is_asked_once_it_is_over(
    sides: Sides, caplog: pytest.LogCaptureFixture
) -> None:
    """The association ends between the arrival of a request and its turn."""
    asked: list[Any] = []
    address = sides.serve((evt.EVT_C_ECHO, lambda event: asked.append(event) or 0))
    with associated(address) as peer:
        acceptor = sides.acceptor
        serve = acceptor._performer._serve_request

        def abort_and_serve(message: Any) -> None:
            acceptor.abort(block=False)
            serve(message)

        acceptor._performer._serve_request = abort_and_serve
        peer.send(echo_rq())
        assert peer.rest() == abort(0, 0)
        acceptor.join(DEADLINE)
    assert asked == []
    assert "failed" not in caplog.text


def test_an_ordinary_life_is_no_reason_to_warn(
    sides: Sides, caplog: pytest.LogCaptureFixture
) -> None:
    assoc = sides.associate()
    assert assoc.send_c_echo().Status == 0
    assoc.release()
    sides.acceptor.join(DEADLINE)
    assert [record for record in caplog.records if record.levelno > logging.INFO] == []


# Silence while nothing is to be done


def idle_checks(assoc: Association) -> threading.Semaphore:
    """Released each time that the Association thread has found the silence long enough."""
    checked = threading.Semaphore(0)
    performer = assoc._performer
    check = performer._check_idle

    def tell() -> None:
        due = performer._patience() == performing._SHORTEST
        check()
        if due:
            # Or else it would look again at once, and again.
            assert assoc._has_ended or performer._patience() != performing._SHORTEST
            checked.release()

    performer._check_idle = tell  # type: ignore[method-assign]
    assoc.network_timeout = 0.05
    return checked


def test_a_request_is_not_served_again_when_nothing_follows(sides: Sides) -> None:
    checked = threading.Semaphore(0)
    with associated(sides.serve()) as peer:
        performer = sides.acceptor._performer
        check = performer._check_idle

        def tell() -> None:
            check()
            checked.release()

        performer._check_idle, performer._patience = tell, lambda: 0.01
        peer.echo(1)
        for _ in range(2):
            assert checked.acquire(timeout=DEADLINE)
        del performer._patience
        peer.send(echo_rq(2))
        response = decode_command(peer.pdu()[12:])
        assert response.MessageIDBeingRespondedTo == 2
        peer.release()


def test_silence_while_an_operation_of_ours_is_outstanding() -> None:
    """That is what `dimse_timeout` is for."""
    checks: list[threading.Semaphore] = []
    ready = threading.Event()

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        assert ready.wait(DEADLINE)
        for _ in range(2):
            assert checks[0].acquire(timeout=DEADLINE)
        peer.respond(context_id, request.response(0))
        peer.rest_until_abort()

    with listening(script) as listener:
        assoc = requestor().associate("127.0.0.1", listener.port)
        call = Call(assoc.send_c_echo)
        assert until(lambda: assoc.dimse)
        checks.append(idle_checks(assoc))
        ready.set()
        status = call.result()
        assoc.network_timeout = 60
        assoc.abort()
    assert status.Status == 0


def test_no_thread_spins_where_no_silence_is_allowed() -> None:
    """As long as an operation is outstanding, for which other timers run."""
    waited: list[float | None] = []
    go_on = threading.Event()

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = peer.command()
        assert go_on.wait(DEADLINE)
        peer.respond(context_id, request.response(0))
        peer.rest_until_abort()

    with listening(script) as listener:
        assoc = requestor().associate("127.0.0.1", listener.port)
        call = Call(assoc.send_c_echo)
        assert until(lambda: assoc.dimse)
        inbox = assoc._link.inbox
        get = inbox.get

        def note(timeout: float | None) -> Any:
            waited.append(timeout)
            return get(timeout)

        inbox.get = note
        assoc.network_timeout = 0
        assert until(lambda: len(waited) > 3)
        assert all(seconds for seconds in waited)
        go_on.set()
        assert call.result().Status == 0
        assoc.join(DEADLINE)
    assert assoc.ended.timer == "network_timeout"


@pytest.mark.parametrize("response", ["A-ABORT", "A-RELEASE"])
def test_silence_in_the_midst_of_a_message_is_the_dul_threads_to_judge(
    sides: Sides, monkeypatch: pytest.MonkeyPatch, response: Any
) -> None:
    """It aborts; a release cannot be asked for in the midst of a message."""
    monkeypatch.setattr(dul.DUL, "_check_silence", lambda self: None)
    with Peer.connect(sides.serve()) as peer:
        peer.associate(BOTH)
        acceptor = sides.acceptor
        acceptor.network_timeout_response = response
        peer.send(BEGUN)
        assert until(lambda: acceptor._performer._indications.assembler.context_id)
        checked = idle_checks(acceptor)
        for _ in range(2):
            assert checked.acquire(timeout=DEADLINE)
        assert not acceptor._has_ended


def test_release_wakes_the_association_thread_that_waits(sides: Sides) -> None:
    """The acceptor's own, while it waits for requests."""
    with associated(sides.serve()) as peer:
        release = Call(sides.acceptor.release)
        assert peer.pdu() == RELEASE_RQ
        peer.send(RELEASE_RP)
        release.result()
    assert sides.acceptor.is_released


def test_contextvars_are_passed_on(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    """Also to the handlers on other threads than the association's own."""
    import contextvars

    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable", default="unset")
    seen: dict[str, str] = {}

    def look(event: evt.Event) -> int:
        seen[f"{event.event.name} {event.assoc.mode}"] = variable.get()
        return 0

    monkeypatch.setattr(_config, "PASS_CONTEXTVARS", True)
    looks = [(event, look) for event in (evt.EVT_C_ECHO, evt.EVT_PDU_RECV, evt.EVT_ESTABLISHED)]

    def run() -> None:
        variable.set("set")
        address = sides.serve(*looks)
        assoc = sides.scu.associate("127.0.0.1", address[1], evt_handlers=looks[1:])
        assert assoc.send_c_echo().Status == 0

    contextvars.copy_context().run(run)
    assert set(seen.values()) == {"set"}
    assert len(seen) == 5


def test_strays_do_not_fit_the_next_operation() -> None:
    """A late answer to an echo that was given up is not taken for that of the next one."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, first = peer.command()
        peer.respond(context_id, C_ECHO(MessageIDBeingRespondedTo=9, Status=0x0110))
        peer.respond(context_id, first.response(0))
        peer.serve_echo()
        peer.rest_until_abort()

    with listening(script) as listener:
        ae = requestor()
        assoc = ae.associate("127.0.0.1", listener.port)
        statuses = [assoc.send_c_echo() for _ in range(2)]
        assert [status.Status for status in statuses] == [0, 0]
        assert [status.message_id for status in statuses] == [1, 2]
        ae.shutdown()


def test_requests_are_served_in_order(sides: Sides) -> None:
    served: list[int] = []

    def on_echo(event: evt.Event) -> int:
        served.append(event.message_id)
        return 0

    with associated(sides.serve((evt.EVT_C_ECHO, on_echo))) as peer:
        peer.send(b"".join(echo_rq(number) for number in range(1, 31)) + RELEASE_RQ)
        answers = [peer.pdu() for _ in range(31)]
        assert answers[-1] == RELEASE_RP
    assert served == list(range(1, 31))


def test_bind_and_unbind_live(sides: Sides) -> None:
    told: list[Any] = []
    tell: Callable[[Any], None] = told.append
    assoc = sides.associate()
    assoc.bind(evt.EVT_DIMSE_SENT, tell)
    assoc.bind(evt.EVT_DIMSE_SENT, tell)
    assoc.send_c_echo()
    assert len(told) == 1
    assoc.unbind(evt.EVT_DIMSE_SENT, tell)
    assoc.send_c_echo()
    assert len(told) == 1
    sides.acceptor.bind(evt.EVT_C_ECHO, lambda event: 0x0122)
    assert assoc.send_c_echo().Status == 0x0122


@pytest.mark.threads("which thread answers")
@pytest.mark.parametrize("busy", ["serving", "answering", "writing", "told", "no"])
def test_the_peers_release_is_answered_when_all_is_done(
    monkeypatch: pytest.MonkeyPatch, busy: str
) -> None:
    """By the DUL thread, where the Association thread has nothing to do."""
    go_on, at_it = threading.Event(), threading.Event()
    by_the_reader: list[bool] = []

    def wait(event: Any) -> int:
        at_it.set()
        assert go_on.wait(DEADLINE)
        return 0

    handlers: list[Any] = [(evt.EVT_C_ECHO, wait)] if busy == "serving" else []
    if busy == "answering":
        handlers = [(evt.EVT_DIMSE_SENT, wait)]
    if busy == "told":
        handlers = [(evt.EVT_RELEASED, lambda event: None)]
    scp = AE()
    scp.add_supported_context(VERIFICATION)
    server = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    perform = driver.Driver.perform

    def performed(self: Any, pdu: Any, **how: Any) -> bool:
        done = perform(self, pdu, **how)
        if pdu.name == "A-RELEASE-RP" and done:
            by_the_reader.append(self._reader.is_reading_here)
        return done

    monkeypatch.setattr(driver.Driver, "perform", performed)
    with scp, Peer.connect(server.server_address[:2]) as peer:
        peer.associate()
        (assoc,) = server.active_associations
        assert until(lambda: assoc._link.inbox.has_nothing_to_do, DEADLINE)
        if busy == "writing":
            hold = assoc.dul.driver.writer.hold
            threading.Thread(target=hold.run, args=(wait, None), daemon=True).start()
        elif busy in ("serving", "answering"):
            peer.send(echo_rq(7))
        if busy not in ("no", "told"):
            assert at_it.wait(DEADLINE)
        if busy == "answering":
            assert peer.pdu()[0] == 4
        peer.send(RELEASE_RQ)
        assert until(lambda: assoc.ended is not None, DEADLINE)
        if busy not in ("no", "told"):
            assert peer.silent(0.02)
            go_on.set()
        if busy == "serving":
            assert peer.pdu()[0] == 4
        assert peer.pdu() == RELEASE_RP
        peer.close()
        assoc.join(DEADLINE)
        assert not assoc.is_alive()
    assert by_the_reader == [busy == "no"]
