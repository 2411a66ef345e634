"""pynetdicom.upper_layer.provider: bytes and requests in, messages and moves out, without I/O."""

from __future__ import annotations

import io
import itertools
import sys
import threading
from types import FrameType
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pynetdicom.errors import PDUDecodeError
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer import provider as module
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import (
    EVENT_OF_PDU,
    EVENT_OF_REQUEST,
    EVENTS,
    STATES,
    TABLE,
    TABLES,
)
from pynetdicom.upper_layer.provider import Move, NotPossible, Provider, Received
from tests.faults.peer import RELEASE_RP, RELEASE_RQ, abort, p_data, pdv, reject, request
from tests.peers import Call

LOCAL = Ended("aborted", "local", 0, 0)
LOST = Ended("aborted", "network")
BY_NAME = {cls.name: cls for cls in pdus.PDU_TYPES.values()}
OPEN = [state for state in STATES if state not in ("Sta1", "Sta4")]


def make(state: str = "Sta6", *, requestor: bool = True) -> Provider:
    framer = Framer(16384)
    framer.context_ids = frozenset((1,))
    return Provider(requestor=requestor, framer=framer, state=state)


def feed(context_id: int, control: int, data: memoryview, done: bool) -> Any:
    return (context_id, control, bytes(data)) if done else None


def receive(provider: Provider, data: bytes) -> list[Any]:
    """What comes of bytes: messages and moves."""
    provider.framer.fill(io.BytesIO(data).readinto)
    found = []
    while (item := provider.receive(feed)) is not None:
        found.append(item.move if isinstance(item, Received) else item)
    return found


# Table 9-10


@pytest.mark.parametrize("requestor", [True, False])
@pytest.mark.parametrize(("event", "state"), sorted(TABLE))
def test_each_cell(event: str, state: str, requestor: bool) -> None:
    provider = make(state, requestor=requestor)
    assert provider.may(event)
    move = provider.take(event)
    assert move.action is TABLES["requestor" if requestor else "acceptor"][event, state]
    assert move.action.label == TABLE[event, state].label
    assert move.told == (move.action.label, state, event, provider.state)
    assert (provider.ended is not None) is bool(move.action.ends)


def test_there_are_no_others() -> None:
    for event, state in set(itertools.product(EVENTS, STATES)) - set(TABLE):
        provider = make(state)
        assert not provider.may(event)
        with pytest.raises(NotPossible, match=state):
            provider.take(event)
        assert provider.state == state


PDUS = {
    "Evt3": pdus.A_ASSOCIATE_AC().encode(),
    "Evt4": reject(2, 3, 1),
    "Evt6": request(),
    "Evt10": p_data(pdv(1, 3, b"x")),
    "Evt12": RELEASE_RQ,
    "Evt13": RELEASE_RP,
    "Evt16": abort(2, 4),
    "Evt19": b"GET / HTTP/1.1",
}


@pytest.mark.parametrize("state", OPEN)
@pytest.mark.parametrize("event", PDUS)
def test_whatever_the_peer_sends(event: str, state: str) -> None:
    provider = make(state)
    found = receive(provider, PDUS[event])
    action = TABLE[event, state]
    if action.label in ("DT-2", "AR-6"):
        assert found == [(1, 3, b"x")]
        return
    (move,) = found
    assert move.told == (action.label, state, event, action.next_state)
    reason = 1 if event == "Evt19" else 2
    sent = {"AA-1": abort(0, 0), "AA-7": abort(2, reason), "AA-8": abort(2, reason)}
    assert move.data == sent.get(action.label, b"")
    assert move.ends is bool(action.ends)
    assert move.abort == (move.data if move.ends else b"")
    if action.label == "AA-3":
        assert provider.ended == Ended("aborted", "peer", 2, 4)
    elif action.label == "AE-4":
        assert provider.ended == Ended("rejected", "peer", 3, 1, 2)
    elif action.label == "AR-3":
        assert provider.ended == Ended("released", "local")
    elif action.label == "AA-8":
        assert provider.ended is not None
        assert provider.ended[:4] == ("aborted", "local", 2, reason)
        assert isinstance(provider.ended.error, PDUDecodeError)


# What the local side wants


@pytest.mark.parametrize("name", EVENT_OF_REQUEST)
def test_requests(name: str) -> None:
    event = EVENT_OF_REQUEST[name]
    pdu = BY_NAME[name]()
    for state in STATES:
        provider = make(state)
        if (event, state) in TABLE:
            move = provider.request(pdu)
            assert move.action.send == pdu.name
            assert move.data == pdu.encode()
        else:
            with pytest.raises(NotPossible):
                provider.request(pdu)


def test_a_rejection_of_ours() -> None:
    provider = make("Sta3", requestor=False)
    provider.request(pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=7))
    assert provider.ended == Ended("rejected", "local", 1, 7, 1)


def test_the_peer_releases() -> None:
    provider = make()
    (move,) = receive(provider, RELEASE_RQ)
    assert (provider.state, move.answer) == ("Sta8", None)
    assert provider.last.may_send_data
    provider.request(pdus.A_RELEASE_RP())
    assert provider.ended == Ended("released", "peer")


@pytest.mark.parametrize("requestor", [True, False])
def test_a_release_collision_is_answered(requestor: bool) -> None:
    provider = make(requestor=requestor)
    provider.request(pdus.A_RELEASE_RQ())
    (move,) = receive(provider, RELEASE_RQ)
    if not requestor:
        assert move.answer is None
        (move,) = receive(provider, RELEASE_RP)
    assert provider.request(move.answer).answer is None
    assert provider.state == ("Sta11" if requestor else "Sta13")
    if requestor:
        receive(provider, RELEASE_RP)
    assert provider.ended == Ended("released", "local")


@pytest.mark.parametrize("state", sorted(set(STATES) - {"Sta13"}))
@pytest.mark.parametrize("ended", [LOCAL, Ended("aborted", "local", 2, 0)])
def test_abort(state: str, ended: Ended) -> None:
    provider = make(state)
    move = provider.abort(ended)
    if state == "Sta2" and ended.source == 0:
        assert move is None
        assert provider.ended is None
        return
    assert move is not None
    assert provider.ended == ended
    assert provider.abort(Ended("aborted", "local", 0, 1)) is None
    if state in ("Sta1", "Sta4"):
        assert (move.data, move.closes) == (b"", True)
    elif state != "Sta2":
        assert move.data == abort(ended.source or 0, 0)
        assert (provider.state, move.closes) == ("Sta13", False)


def test_what_was_aborted_before_it_was_asked_for() -> None:
    provider = make("Sta1")
    assert provider.abort(LOCAL) is not None
    for event in ("Evt1", "Evt5"):
        with pytest.raises(NotPossible):
            provider.take(event)
    assert provider.ended == LOCAL


def test_no_connection() -> None:
    provider = make("Sta4")
    failed = Ended("failed", "network", timer="acse_timeout")
    move = provider.closed(failed)
    assert move is not None
    assert move.told == ("AA-4", "Sta4", "Evt17", "Sta1")
    assert provider.ended == failed
    assert provider.closed(LOST) is None


def test_a_lost_connection() -> None:
    provider = make("Sta5")
    assert provider.closed(LOST, expired=True) is not None
    assert provider.ended is not None
    assert "expect TLS?" in str(provider.ended)
    provider = make("Sta5")
    assert provider.closed(LOST, is_tls=True) is not None
    assert "accept our certificate?" in str(provider.ended)


@pytest.mark.parametrize(("expired", "label"), [(True, "AA-2"), (False, "AR-5")])
def test_the_end_of_sta13(expired: bool, label: str) -> None:
    provider = make()
    provider.abort(LOCAL)
    move = provider.closed(LOST, expired=expired)
    assert move is not None
    assert (move.action.label, move.ends, move.ended) == (label, False, LOCAL)


# What the peer sends


def test_what_the_provider_itself_rejects() -> None:
    provider = make("Sta2", requestor=False)
    (move,) = receive(provider, request(protocol_version=2))
    assert move.told == ("AE-6", "Sta2", "Evt6", "Sta13")
    assert move.data == reject(1, 2, 2)
    assert move.action.artim == "start"
    assert provider.ended == Ended("rejected", "local", 2, 2, 1)


def test_only_a_request_in_its_place_is_asked_about() -> None:
    provider = make("Sta2", requestor=False)
    asked = []
    provider.refusal = lambda rq: asked.append(rq)  # type: ignore[func-returns-value]
    assert [move.state for move in receive(provider, request())] == ["Sta3"]
    assert [move.state for move in receive(provider, request())] == ["Sta13"]
    assert [move.state for move in receive(provider, request())] == ["Sta13"]
    assert len(asked) == 1


def test_what_follows_junk_is_not_understood() -> None:
    provider = make()
    (move,) = receive(provider, b"junk!!" + abort(0, 0))
    assert move.data == abort(2, 1)
    assert receive(provider, abort(0, 0)) == []
    assert provider.state == "Sta13"


def test_nor_is_what_follows_a_malformed_pdu() -> None:
    provider = make("Sta2", requestor=False)
    moves = receive(provider, bytes.fromhex("0100 00000002 0000") + b"rest of it")
    assert [move.action.label for move in moves] == ["AA-1"]
    assert moves[0].data == abort(0, 0)


def test_data_that_began_before_the_acceptance() -> None:
    """It is a fault also when the acceptance crosses it, and is never dropped without a word."""
    provider = make("Sta3", requestor=False)
    real = provider.framer.next

    def understood_in_sta3(feed: Any) -> Any:
        item = real(feed)
        provider.request(pdus.A_ASSOCIATE_AC())
        return item

    provider.framer.next = understood_in_sta3  # type: ignore[method-assign,assignment]
    provider.framer.fill(io.BytesIO(p_data(pdv(1, 3, b"early"))).readinto)
    received = provider.receive(feed)
    assert isinstance(received, Received)
    assert received.move.told == ("AA-8", "Sta6", "Evt19", "Sta13")
    assert received.move.data == abort(2, 2)


def test_data_is_not_fed_any_more_after_the_end() -> None:
    provider = make()
    assert receive(provider, p_data(pdv(1, 0, b"abc"))[:-1]) == []
    provider.abort(LOCAL)
    (move,) = receive(provider, b"c" + abort(0, 0))
    assert move.told == ("AA-2", "Sta13", "Evt16", "Sta1")


def test_each_pdu_is_shown_before_it_has_an_effect() -> None:
    provider = make()
    shown: list[tuple[str, str]] = []
    provider.framer.fill(io.BytesIO(RELEASE_RQ + RELEASE_RQ).readinto)
    while provider.receive(feed, lambda pdu: shown.append((pdu.name, provider.state))) is not None:
        pass
    assert shown == [("A-RELEASE-RQ", "Sta6"), ("A-RELEASE-RQ", "Sta8")]


def test_a_connection_that_a_writer_found_lost() -> None:
    provider = make()
    provider.closed(LOST)
    assert receive(provider, RELEASE_RQ) == []
    assert provider.ended == LOST


# Any order of events and bytes

CHUNKS = st.sampled_from([*PDUS.values(), request(protocol_version=2), bytes(3)])
STEPS = st.one_of(
    CHUNKS,
    st.tuples(CHUNKS, st.integers(0, 20)),
    st.sampled_from(sorted(EVENT_OF_REQUEST)),
    st.sampled_from(["Evt1", "Evt5", "abort", "fault", "closed", "expired"]),
)


def step(provider: Provider, what: Any) -> list[Any]:
    """Do something that either side may do; the moves and messages that it caused."""
    if what in BY_NAME:
        return [provider.request(BY_NAME[what]())]
    if isinstance(what, tuple):
        return receive(provider, what[0][: what[1]])
    if isinstance(what, bytes):
        return receive(provider, what)
    if what in ("abort", "fault"):
        return [provider.abort(Ended("aborted", "local", 0 if what == "abort" else 2, 0))]
    if what in ("closed", "expired"):
        return [provider.closed(LOST, expired=what == "expired")]
    return [provider.take(what)]


@given(st.booleans(), st.sampled_from(sorted(STATES)), st.lists(STEPS, max_size=12))
def test_it_moves_by_the_table_or_refuses(requestor: bool, state: str, steps: list[Any]) -> None:
    provider = make(state, requestor=requestor)
    first = provider.last
    for what in steps:
        before = provider.last
        try:
            found = step(provider, what)
        except NotPossible:
            assert provider.last is before
            continue
        moves = [item for item in found if isinstance(item, Move)]
        last = before
        for move in moves:
            assert last.later[""] is move
            assert move.before == last.state
            if move.event:
                assert TABLE[move.event, move.before].label == move.action.label
            if last.ended is not None:
                assert (move.ended, move.abort) == (last.ended, last.abort)
                assert not move.ends
            last = move
        assert provider.last is last
        if last is not first:
            assert (last.ended is not None) is (last.state in ("Sta1", "Sta13")) or (
                state in ("Sta1", "Sta13") and last.ended is None
            )
        for item in found:
            if item is not None and not isinstance(item, Move):
                assert before.state in ("Sta6", "Sta7") or last.state in ("Sta6", "Sta7")


@given(st.booleans(), st.sampled_from(OPEN), st.binary(max_size=60), st.data())
def test_how_bytes_are_cut_makes_no_difference(
    requestor: bool, state: str, junk: bytes, data: st.DataObject
) -> None:
    sent = b"".join(data.draw(st.lists(CHUNKS, max_size=4))) + junk
    cut = data.draw(st.integers(0, len(sent)))
    whole, halves = make(state, requestor=requestor), make(state, requestor=requestor)

    def outcome(provider: Provider, *parts: bytes) -> list[Any]:
        found = []
        for part in parts:
            found += receive(provider, part)
        return [(i.told, i.data, i.ended) if isinstance(i, Move) else i for i in found]

    def without_errors(found: list[Any]) -> list[Any]:
        return [(i[0], i[1], i[2] and i[2][:-1]) if isinstance(i[0], tuple) else i for i in found]

    assert without_errors(outcome(whole, sent)) == without_errors(
        outcome(halves, sent[:cut], sent[cut:])
    )


# Many threads, and a signal in the midst of anything


def test_what_is_true_from_then_on() -> None:
    provider = make()
    first = provider.last
    move = provider.take("Evt11")
    assert move.told == ("AR-1", "Sta6", "Evt11", "Sta7")
    assert (provider.last, first.later, move.later) == (move, {"": move}, {})
    assert (move.ends, move.ended, move.abort) == (False, None, b"")
    aborted = provider.abort(LOCAL)
    assert aborted is not None
    assert (aborted.ends, aborted.ended, aborted.state) == (True, LOCAL, "Sta13")
    assert aborted.abort == bytes.fromhex("07000000000400000000")
    closed = provider.closed(LOST)
    assert closed is not None
    assert (closed.ends, closed.ended, closed.abort) == (False, LOCAL, aborted.abort)
    assert first.state == "Sta6"


def test_one_of_many_threads_ends_it() -> None:
    for _ in range(50):
        provider = make()
        start = threading.Barrier(4)

        def abort(provider: Provider = provider, start: threading.Barrier = start) -> bool:
            start.wait()
            return provider.abort(LOCAL) is not None

        assert sum(call.result() for call in [Call(abort) for _ in range(4)]) == 1


def test_an_abort_in_the_midst_of_another_move() -> None:
    """At each bytecode: the move counts before the abort, or is thought over and not possible."""
    outcomes = set()
    for at in range(1, 4000):
        provider = make()
        count = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal count
            if frame.f_code.co_filename != module.__file__:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                count += 1
                if count == at:  # noqa: B023  # called before the next
                    provider.abort(LOCAL)  # noqa: B023
            return trace

        sys.settrace(trace)
        try:
            move: Move | None = provider.take("Evt11")
        except NotPossible:
            move = None
        finally:
            sys.settrace(None)
        if count < at:
            break
        assert provider.ended == LOCAL
        outcomes.add(move is None)
        assert provider.last.before == ("Sta6" if move is None else "Sta7")
    assert outcomes == {True, False}


def test_every_event_of_a_pdu_is_sent_here() -> None:
    assert set(EVENT_OF_PDU.values()) | {"Evt19"} == set(PDUS)
    assert EVENT_OF_REQUEST == {
        "A-ASSOCIATE-RQ": "Evt2",
        "A-ASSOCIATE-AC": "Evt7",
        "A-ASSOCIATE-RJ": "Evt8",
        "A-RELEASE-RQ": "Evt11",
        "A-RELEASE-RP": "Evt14",
    }
