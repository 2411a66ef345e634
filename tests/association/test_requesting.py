"""pynetdicom.association.requesting: how an association comes about, or does not."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pynetdicom import AE, _config, association, build_context, evt
from pynetdicom.association import Association
from pynetdicom.errors import NothingAccepted
from pynetdicom.network import deadlines as deadlines_module
from pynetdicom.network import dul
from pynetdicom.upper_layer import pdu as pdus
from tests.clock import Clock
from tests.faults.peer import RELEASE_RP, RELEASE_RQ, Peer, until
from tests.peers import CT, DEADLINE, VERIFICATION, Call, listening, requestor

PRIVATE = "1.3.6.1.4.1.99999.1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)


class Sides:
    def __init__(self) -> None:
        self.scp, self.scu = AE("SCP"), requestor()
        self.scp.add_supported_context(VERIFICATION)
        self.scp.add_supported_context(CT)
        self.problems: list[BaseException] = []
        self.handlers: list[tuple[Any, ...]] = []

    def associate(self, *handlers: tuple[Any, ...], **kwargs: Any) -> Association:
        server = self.scp.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=list(handlers), **kwargs
        )
        assert server is not None
        port = server.server_address[1]
        return self.scu.associate("127.0.0.1", port, evt_handlers=self.handlers)


@pytest.fixture
def sides() -> Iterator[Sides]:
    made = Sides()
    yield made
    made.scu.shutdown()
    made.scp.shutdown()
    assert made.problems == []


def values(assoc: Association) -> tuple[Any, ...]:
    assert assoc.ended is not None
    ended = assoc.ended
    return (ended.kind, ended.by, ended.result, ended.source, ended.reason)


# In handlers of EVT_REQUESTED


@pytest.mark.parametrize("result", [1, 2])
@pytest.mark.parametrize(("source", "reason"), [(1, 1), (1, 3), (2, 1), (3, 2)])
@pytest.mark.parametrize("how", ["acse.send_reject", "reject"])
def test_a_handler_rejects(sides: Sides, how: str, result: int, source: int, reason: int) -> None:
    def reject(event: evt.Event) -> None:
        target: Any = event.assoc
        for name in how.split("."):
            target = getattr(target, name)
        target(result, source, reason)

    assoc = sides.associate((evt.EVT_REQUESTED, reject))
    assert assoc.is_rejected
    assert values(assoc) == ("rejected", "peer", result, source, reason)


@pytest.mark.parametrize("how", ["abort", "kill", "acse.send_abort"])
def test_a_handler_aborts(sides: Sides, how: str) -> None:
    def abort(event: evt.Event) -> None:
        target: Any = event.assoc
        for name in how.split("."):
            target = getattr(target, name)
        target()

    assoc = sides.associate((evt.EVT_REQUESTED, abort))
    assert assoc.is_aborted
    assert not assoc.is_established


def test_a_second_rejection_is_refused(sides: Sides) -> None:
    refused = threading.Event()

    def reject(event: evt.Event) -> None:
        event.assoc.reject()
        try:
            event.assoc.reject()
        except RuntimeError:
            refused.set()

    assert sides.associate((evt.EVT_REQUESTED, reject)).is_rejected
    assert refused.wait(DEADLINE)


def test_a_rejection_of_what_is_established(sides: Sides) -> None:
    assoc = sides.associate()
    with pytest.raises(RuntimeError):
        assoc.reject()
    with pytest.raises(RuntimeError):
        assoc.acse.send_reject(1, 1, 1)
    assert assoc.send_c_echo().Status == 0


def test_a_handler_may_change_what_is_answered(sides: Sides) -> None:
    def change(event: evt.Event) -> None:
        acceptor = event.assoc.acceptor
        acceptor.maximum_length = 4000
        acceptor.implementation_version_name = "CHANGED"
        acceptor.implementation_class_uid = "1.2.3.4"
        acceptor.supported_contexts = [build_context(CT)]

    assoc = sides.associate((evt.EVT_REQUESTED, change))
    assert assoc.acceptor.maximum_length == 4000
    assert assoc.acceptor.implementation_version_name == "CHANGED"
    assert assoc.acceptor.implementation_class_uid == "1.2.3.4"
    assert [cx.abstract_syntax for cx in assoc.accepted_contexts] == [CT]


def test_what_each_side_is_told_of_the_other(sides: Sides) -> None:
    sides.scp.maximum_pdu_size = 5000
    sides.scp.implementation_version_name = "SCP_1"
    sides.scu.implementation_version_name = None
    met: list[Any] = []
    assoc = sides.associate((evt.EVT_ESTABLISHED, lambda event: met.append(event.assoc)))
    assert assoc.acceptor.maximum_length == 5000
    assert assoc.acceptor.implementation_version_name == "SCP_1"
    assert assoc.send_c_echo().Status == 0
    assert met[0].requestor.implementation_version_name is None
    assert met[0].requestor.maximum_length == 16382
    for side in (assoc.requestor, assoc.acceptor, met[0].requestor, met[0].acceptor):
        assert not side.writeable
        with pytest.raises(RuntimeError):
            side.maximum_length = 5


def test_titles_that_are_required(sides: Sides) -> None:
    sides.scp.require_calling_aet = ["OTHER"]
    assert values(sides.associate())[2:] == (1, 1, 3)
    sides.scp.require_calling_aet = ["SCU"]
    sides.scp.require_called_aet = True
    assert values(sides.associate())[2:] == (1, 1, 7)
    sides.scp.require_called_aet = False
    assert sides.associate().is_established


def test_no_context_in_common(sides: Sides, caplog: pytest.LogCaptureFixture) -> None:
    """The association is aborted before anybody uses it, and both sides say why."""
    caplog.set_level("INFO", "pynetdicom")
    over = threading.Event()
    seen: list[Any] = []
    for event in (evt.EVT_ACCEPTED, evt.EVT_ABORTED, evt.EVT_ESTABLISHED):
        sides.handlers.append((event, seen.append))
    told = (evt.EVT_ABORTED, lambda event: over.set())
    assoc = sides.associate(told, contexts=[build_context(PRIVATE)])
    assert not assoc.is_established
    assert assoc.is_aborted
    assert assoc.accepted_contexts == []
    assert [cx.result for cx in assoc.rejected_contexts] == [3, 3]
    assert values(assoc) == ("aborted", "local", None, 0, 0)
    assert isinstance(assoc.ended.error, NothingAccepted)
    assert str(assoc.ended) == (
        "aborted by the local side: no presentation context was accepted:"
        " Verification (1.2.840.10008.1.1): abstract syntax not supported;"
        f" CTImageStorage ({CT}): abstract syntax not supported"
    )
    assert [event.event for event in seen] == [evt.EVT_ACCEPTED, evt.EVT_ABORTED]
    with pytest.raises(
        RuntimeError, match="it is over, aborted by the local side: no presentation"
    ):
        assoc.send_c_echo()
    assert over.wait(DEADLINE)
    named = "accepted, 0 of 2 presentation contexts: Verification (1.2.840.10008.1.1): abstract"
    assert any(named in text for text in caplog.messages)


def test_nothing_proposed_is_nothing_to_explain(
    sides: Sides, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO", "pynetdicom")
    server = sides.scp.start_server(("127.0.0.1", 0), block=False)
    assert server is not None
    with Peer.connect(server.server_address) as peer:
        peer.send(pdus.A_ASSOCIATE_RQ(called_ae_title="SCP", calling_ae_title="SCU").encode())
        assert peer.pdu()[0] == 2
        peer.send(RELEASE_RQ)
        assert peer.pdu() == RELEASE_RP
    assert until(lambda: any(text.endswith(": accepted") for text in caplog.messages))


@pytest.mark.parametrize("how", ["server", "config"])
def test_unrestricted_storage(sides: Sides, how: str, monkeypatch: pytest.MonkeyPatch) -> None:
    sides.scu.add_requested_context(PRIVATE)
    find = "1.2.840.10008.5.1.4.1.2.1.1"
    sides.scu.add_requested_context(find)
    if how == "config":
        monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", True)
        assoc = sides.associate()
    else:
        assoc = sides.associate(unrestricted_storage=True)
    assert [cx.abstract_syntax for cx in assoc.rejected_contexts] == [find]
    assert PRIVATE in [cx.abstract_syntax for cx in assoc.accepted_contexts]


def test_restricted_on_one_server(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    sides.scu.add_requested_context(PRIVATE)
    monkeypatch.setattr(_config, "UNRESTRICTED_STORAGE_SERVICE", True)
    assoc = sides.associate(unrestricted_storage=False)
    assert [cx.abstract_syntax for cx in assoc.rejected_contexts] == [PRIVATE]


# Time


class Late(association.Connector):
    """Connects when its time has nearly run out."""

    deadlines: list[float | None]

    def connect(self, address: Any, deadline: float | None, *args: Any) -> socket.socket:
        self.deadlines.append(deadline)
        return super().connect(address, deadline, *args)


@pytest.fixture
def deadlines(monkeypatch: pytest.MonkeyPatch) -> list[float | None]:
    Late.deadlines = []
    monkeypatch.setattr("pynetdicom.association.Connector", Late)
    return Late.deadlines


@pytest.mark.parametrize(
    ("acse_timeout", "connection_timeout", "allowed"),
    [(5, None, 5), (5, 20, 20), (5, 2, 2), (None, 3, 3), (None, None, None), (0.5, 600, 600)],
)
def test_how_long_connecting_may_take(
    sides: Sides,
    monkeypatch: pytest.MonkeyPatch,
    deadlines: list[float | None],
    acse_timeout: Any,
    connection_timeout: Any,
    allowed: Any,
) -> None:
    """`connection_timeout` alone if there is one, also if it is longer; else `acse_timeout`."""
    sides.scu.acse_timeout, sides.scu.connection_timeout = acse_timeout, connection_timeout
    with monkeypatch.context() as patch:
        begun = Clock(patch, deadlines_module).now
        sides.associate()
    [deadline] = deadlines
    assert deadline == (None if allowed is None else begun + allowed)


@pytest.mark.parametrize("connection_timeout", [None, 0.1])
def test_the_timer_that_ran_out_is_named(
    monkeypatch: pytest.MonkeyPatch, connection_timeout: float | None
) -> None:
    go_on = threading.Event()

    def look_up(*args: Any, **kwargs: Any) -> Any:
        go_on.wait(DEADLINE)
        raise OSError("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    ae = requestor(acse_timeout=0.1, connection_timeout=connection_timeout)
    assoc = ae.associate("slow.example", 104)
    assert not go_on.is_set()
    go_on.set()
    assert assoc.ended is not None
    assert assoc.ended.kind == "failed"
    assert assoc.ended.timer == (
        "acse_timeout" if connection_timeout is None else "connection_timeout"
    )


def test_what_the_kernel_gave_up_is_not_our_timer(monkeypatch: pytest.MonkeyPatch) -> None:
    def connect(self: Any, *args: Any) -> Any:
        raise TimeoutError(110, "Connection timed out")

    monkeypatch.setattr(association.Connector, "connect", connect)
    assoc = requestor().associate("127.0.0.1", 104)
    assert assoc.ended is not None
    assert assoc.ended.timer is None
    assert "timed out" in str(assoc.ended)


def test_a_peer_that_resets_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """The connection is gone before we have asked who is at its other end."""

    class Gone(socket.socket):
        def getpeername(self) -> Any:
            raise OSError(107, "Transport endpoint is not connected")

    monkeypatch.setattr(socket, "socket", Gone)
    with listening(lambda peer: peer.rest()) as listener:
        assoc = requestor().associate("127.0.0.1", listener.port)
    assert assoc.ended is not None
    assert assoc.ended.kind == "failed"


def test_abort_while_connecting(sides: Sides, monkeypatch: pytest.MonkeyPatch) -> None:
    looking, go_on = threading.Event(), threading.Event()

    def look_up(*args: Any, **kwargs: Any) -> Any:
        looking.set()
        go_on.wait(DEADLINE)
        raise OSError("unknown")

    monkeypatch.setattr(socket, "getaddrinfo", look_up)
    call = Call(sides.scu.associate, "slow.example", 104)
    assert looking.wait(DEADLINE)
    sides.scu.shutdown()
    assoc = call.result()
    go_on.set()
    assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")


def test_shutdown_between_the_connection_and_the_answer(sides: Sides) -> None:
    """The acceptor takes its time; `associate` ends at once."""
    asked, go_on = threading.Event(), threading.Event()

    def slow(event: evt.Event) -> None:
        asked.set()
        go_on.wait(DEADLINE)

    call = Call(sides.associate, (evt.EVT_REQUESTED, slow))
    assert asked.wait(DEADLINE)
    sides.scu.shutdown()
    assert call.result().is_aborted
    go_on.set()
