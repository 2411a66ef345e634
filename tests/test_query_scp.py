"""C-FIND as SCP, with peers that are bare sockets."""

from __future__ import annotations

import itertools
import logging
import os
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import _config, association, evt
from pynetdicom.data_sets.data_set import InFile, InMemory
from pynetdicom.dimse.primitives import C_FIND, C_GET, C_MOVE
from pynetdicom.network import dul
from tests.faces import runs_handlers
from tests.faults.peer import IMPLICIT, abort, p_data, pdv
from tests.pair import DEADLINE, Seen
from tests.query_peer import (
    CONTEXTS,
    FIND,
    FIND_WORKLIST,
    GET,
    MOVE,
    PENDING,
    STUDY_LEVEL,
    Message,
    QueryPeer,
    QueryScp,
    cancel,
    element,
    request,
)


def match(number: int) -> Dataset:
    ds = Dataset()
    ds.PatientName = "SECRET^PATIENT"
    ds.PatientID = str(number)
    return ds


@pytest.fixture
def scp(monkeypatch: pytest.MonkeyPatch) -> Iterator[QueryScp]:
    for module in (dul, association):
        monkeypatch.setattr(module, "LINGER", 0.2)
    made = QueryScp()
    yield made
    made.close()


def patient_id(received: Message) -> int:
    assert received.data is not None
    return int(InMemory(received.data, IMPLICIT).decode().PatientID)


def statuses(peer: QueryPeer, message_id: int = 1) -> list[int | None]:
    return [received.primitive.Status for received in peer.responses(message_id)]


def test_matches(scp: QueryScp) -> None:
    seen: list[Any] = []

    def handler(event: evt.Event) -> Iterator[Any]:
        seen.append((event.identifier.StudyInstanceUID, event.message_id, event.is_cancelled))
        seen.append(runs_handlers(event.assoc))
        yield PENDING, match(1)
        yield 0xFF01, match(22)

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(FIND, 5)
        responses = list(peer.responses(5))
        peer.is_still_served()
    assert [r.primitive.Status for r in responses] == [0xFF00, 0xFF01, 0x0000]
    name = element(0x00100010, b"SECRET^PATIENT")
    assert responses[0].data == name + element(0x00100020, b"1 ")
    assert responses[1].data == name + element(0x00100020, b"22")
    assert responses[2].data is None
    assert {r.context_id for r in responses} == {FIND}
    assert seen == [("1.2.3", 5, False), True]


def test_callbacks(scp: QueryScp) -> None:
    seen: list[Any] = []

    def on_c_find(dataset: Any, context: Any, info: Any) -> Iterator[Any]:
        seen.append((dataset.StudyInstanceUID, context.context_id, info["parameters"]))
        seen.append((info["cancelled"](5), info["requestor"]["ae_title"]))
        yield PENDING, match(1)

    scp.ae.on_c_find = on_c_find
    scp.server.unbind(evt.EVT_C_FIND, scp.server.get_handlers(evt.EVT_C_FIND)[0])
    with scp.connect() as peer:
        peer.request(FIND, 5, Priority=1)
        assert statuses(peer, 5) == [0xFF00, 0x0000]
        peer.request(FIND, 6, data=b"\x08\x00\x52\x00\xff\xff\xff\x7f")
        assert statuses(peer, 6) == [0xC310]
        peer.is_still_served()
    assert seen == [
        ("1.2.3", FIND, {"message_id": 5, "priority": 1}),
        (False, b"PEER            "),
    ]


@pytest.mark.parametrize(("context_id", "code"), [(FIND, 0xC311), (GET, 0xC411), (MOVE, 0xC511)])
def test_nobody_is_there_to_answer(scp: QueryScp, context_id: int, code: int) -> None:
    for event in (evt.EVT_C_FIND, evt.EVT_C_GET, evt.EVT_C_MOVE):
        scp.server.unbind(event, scp.server.get_handlers(event)[0])
    with scp.connect() as peer:
        peer.request(context_id)
        assert statuses(peer) == [code]
        peer.is_still_served()


LEVELS = [
    (FIND, element(0x00080052, b"FRAME "), 0xA900),
    (FIND, element(0x00100010, b"*"), 0x0000),
    (FIND, b"", 0x0000),
    (GET, element(0x00080052, b""), 0x0000),
    (GET, element(0x00100010, b"*"), 0x0000),
    (MOVE, element(0x00100010, b"*"), 0x0000),
    (MOVE, element(0x00080052, b"NONE"), 0xA900),
    (FIND_WORKLIST, element(0x00100010, b"*"), 0x0000),
    (FIND_WORKLIST, b"", 0x0000),
]


@pytest.mark.parametrize(("context_id", "data", "status"), LEVELS)
def test_levels(scp: QueryScp, context_id: int, data: bytes, status: int) -> None:
    asked: list[Any] = []
    items = {GET: [0], MOVE: [("127.0.0.1", 104), 0]}.get(context_id, [])
    scp.handler = lambda event: asked.append(event) or iter(items)
    with scp.connect() as peer:
        peer.request(context_id, data=data)
        final = peer.final().primitive
        peer.is_still_served()
    assert final.Status == status
    assert bool(asked) is (status == 0)
    if status:
        assert "Query/Retrieve Level" in (final.ErrorComment or "")
        assert final.OffendingElement == [0x00080052]


JUNK = [
    b"\x08\x00\x52\x00\xff\xff\xff\x7f",
    bytes(range(256)),
    b"\xff" * 50,
    b"GET / HTTP/1.1\r\n\r\n",
    element(0x00080052, b"STUDY ")[:-2],
    element(0x00080052, b"STUDY ") + b"\x10\x00\x20\x00\x01\x00\x00\x00",
    element(0x00080052, b"STUDY ") + element(0x00401101, b"\xfe\xff\x00\xe0\xff\xff\xff\xff") * 70,
]


@pytest.mark.parametrize("context_id", [FIND, GET, MOVE, FIND_WORKLIST])
@pytest.mark.parametrize("data", JUNK)
def test_junk_as_identifier(scp: QueryScp, context_id: int, data: bytes) -> None:
    """A handler that looks at it raises; nothing but the request suffers from it."""

    def handler(event: evt.Event) -> Iterator[Any]:
        event.identifier.get("StudyInstanceUID")
        yield from ()

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(context_id, data=data)
        final = peer.final().primitive
        peer.is_still_served()
    failed = {FIND: 0xC311, FIND_WORKLIST: 0xC311, GET: 0xC411, MOVE: 0xC511}[context_id]
    assert final.Status in (failed, 0xA900)
    assert final.ErrorComment


def test_a_request_without_identifier(scp: QueryScp) -> None:
    with scp.connect() as peer:
        for number, context_id in enumerate((FIND, GET, MOVE), 1):
            peer.request(context_id, number, data=None)
            assert peer.final(number).primitive.Status == 0x0212
        peer.is_still_served()


@pytest.mark.parametrize(
    ("context_id", "keyword"),
    [
        *itertools.product((FIND, GET, MOVE), ("AffectedSOPClassUID", "Priority")),
        (MOVE, "MoveDestination"),
    ],
)
def test_a_request_without_a_mandatory_parameter(
    scp: QueryScp, context_id: int, keyword: str
) -> None:
    kind: Any = {FIND: C_FIND, GET: C_GET, MOVE: C_MOVE}[context_id]
    values: dict[str, Any] = {"AffectedSOPClassUID": CONTEXTS[context_id], "Priority": 0}
    if kind is C_MOVE:
        values["MoveDestination"] = "DEST"
    del values[keyword]
    rq = kind(MessageID=1, **values)
    rq.__dict__["CommandDataSetType"] = 1
    with scp.connect() as peer:
        peer.send(p_data(pdv(context_id, 3, rq.encode()), pdv(context_id, 2, STUDY_LEVEL)))
        (response,) = peer.responses()
        assert response.primitive.Status == 0x0212
        assert response.primitive.name == rq.name
        assert keyword in (response.primitive.ErrorComment or "")
        peer.is_still_served()


def test_a_cancel_that_comes_while_the_handler_works(scp: QueryScp) -> None:
    closed = Seen()
    events = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            for number in range(10):
                yield PENDING, match(number)
                if number == 2:
                    events.add(event)
                    proceed.wait(DEADLINE)
        finally:
            closed.add((event.is_cancelled, runs_handlers(event.assoc)))

    proceed = threading.Event()
    scp.handler = handler
    with scp.connect() as peer:
        peer.request(FIND)
        (event,) = events.wait()
        assert not event.is_cancelled
        peer.cancel(FIND)
        peer.send(request(FIND, 2))  # once this is there, so is the cancel
        assert wait_for(lambda: event.is_cancelled)
        proceed.set()
        assert statuses(peer) == [PENDING, PENDING, PENDING, 0xFE00]
        assert closed.wait()[0] == (True, True)
        list(peer.responses(2))
        peer.is_still_served()


def wait_for(condition: Callable[[], bool]) -> bool:
    from tests.faults.peer import until

    return until(condition, DEADLINE)


def test_a_cancel_that_comes_while_the_request_waits(scp: QueryScp) -> None:
    asked = Seen()
    proceed = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        asked.add((event.message_id, event.is_cancelled))
        if event.message_id == 1:
            proceed.wait(DEADLINE)
        yield PENDING, match(event.message_id)

    scp.handler = handler
    with scp.connect() as peer:
        peer.send(request(FIND, 1) + request(FIND, 2) + request(FIND, 3) + cancel(FIND, 2))
        peer.send(cancel(FIND, 77) * 3)
        (assoc,) = scp.server.active_associations
        assert wait_for(lambda: assoc._performer.is_cancelled(2))
        proceed.set()
        assert statuses(peer, 1) == [PENDING, 0x0000]
        assert statuses(peer, 2) == [0xFE00]
        assert statuses(peer, 3) == [PENDING, 0x0000]
        peer.is_still_served()
    assert asked.notes == [(1, False), (2, True), (3, False)]


def test_a_cancel_of_what_has_been_answered(scp: QueryScp) -> None:
    scp.handler = lambda event: [(PENDING, match(1))]
    with scp.connect() as peer:
        for _ in range(3):  # the Message ID is used again
            peer.request(FIND, 1)
            assert statuses(peer, 1) == [PENDING, 0x0000]
            peer.cancel(FIND, 1)
        peer.is_still_served()


def test_a_storm_of_cancels(scp: QueryScp) -> None:
    proceed = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        proceed.wait(DEADLINE)
        assert wait_for(lambda: event.is_cancelled)
        yield PENDING, match(1)

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(FIND)
        for _ in range(100):
            peer.send(cancel(FIND, 1) * 50 + cancel(FIND, 999) * 50)
        proceed.set()
        assert statuses(peer)[-1] == 0xFE00
        peer.is_still_served()


@pytest.mark.parametrize("how", ["abort", "reset", "local", "shutdown"])
def test_the_handler_is_closed_in_its_own_thread_when_the_association_ends(
    scp: QueryScp, how: str
) -> None:
    told = Seen()
    proceed = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield PENDING, match(0)
            told.add(event)
            proceed.wait(DEADLINE)
            told.add(event.is_cancelled)
            while True:
                yield PENDING, match(1)
        finally:
            told.add(runs_handlers(event.assoc))

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(FIND)
        assert peer.message().primitive.Status == PENDING
        event = told.wait()[0]
        ends = {
            "abort": lambda: peer.send(abort(0, 0)),
            "reset": peer.reset,
            "local": lambda: event.assoc.abort(block=False),
            "shutdown": lambda: event.assoc.kill(),
        }
        ends[how]()
        assert wait_for(lambda: event.is_cancelled)
        proceed.set()
        assert told.wait(3)[1:] == [True, True]
        event.assoc.join(DEADLINE)
        assert not event.assoc.is_alive()


def test_a_peer_that_does_not_read_holds_the_handler_up(scp: QueryScp) -> None:
    """A million matches take the memory of a few; and then the peer's time runs out."""
    yielded = 0
    closed = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        nonlocal yielded
        event.assoc.network_timeout = 0.5
        ds = match(1)
        ds.PatientComments = "x" * 10000
        try:
            for yielded in range(1_000_000):  # noqa: B007 - told when it is over
                yield PENDING, ds
        finally:
            closed.add(yielded)

    scp.handler = handler
    peer = QueryPeer.connect(scp.server.server_address, receive_buffer=4096)
    assert isinstance(peer, QueryPeer)
    with peer.open():
        peer.request(FIND)
        assert closed.wait()[0] < 5000


def test_a_handler_that_gives_something_wrong_does_no_harm(scp: QueryScp) -> None:
    wrong = [5, [(PENDING, None)], [("x", None)], [None], object(), [(PENDING, object())]]
    with scp.connect() as peer:
        for message_id, given in enumerate(wrong, 1):
            scp.handler = lambda event, given=given: given
            peer.request(FIND, message_id)
            final = peer.final(message_id).primitive
            assert final.Status in (0x0005, 0xC002, 0xC311, 0xC312)
        scp.handler = lambda event: [(PENDING, match(1))]
        peer.request(FIND, 99)
        assert statuses(peer, 99) == [PENDING, 0x0000]
        peer.is_still_served()


def test_release_behind_a_query(scp: QueryScp) -> None:
    """The responses still go, then the release is answered."""
    proceed = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        yield PENDING, match(1)
        proceed.wait(DEADLINE)
        yield PENDING, match(2)

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(FIND)
        assert peer.message().primitive.Status == PENDING
        peer.send(bytes.fromhex("05 00 00000004 00000000"))
        proceed.set()
        assert statuses(peer) == [PENDING, 0x0000]
        assert peer.pdu()[0] == 6


@pytest.mark.parametrize("option", ["LOG_REQUEST_IDENTIFIERS", "LOG_RESPONSE_IDENTIFIERS"])
@pytest.mark.parametrize("wanted", [True, False])
@pytest.mark.parametrize("level", [logging.DEBUG, logging.INFO])
def test_identifiers_in_the_log(
    scp: QueryScp,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    option: str,
    wanted: bool,
    level: int,
) -> None:
    for name in ("LOG_REQUEST_IDENTIFIERS", "LOG_RESPONSE_IDENTIFIERS"):
        monkeypatch.setattr(_config, name, name == option and wanted)
    scp.handler = lambda event: [(PENDING, match(1))]
    with caplog.at_level(level, "pynetdicom"), scp.connect() as peer:
        peer.request(FIND, data=STUDY_LEVEL + element(0x00100010, b"ASKED^FOR "))
        assert statuses(peer) == [PENDING, 0]
        peer.request(FIND, 2, data=JUNK[0])
        assert statuses(peer, 2) == [PENDING, 0]
        peer.is_still_served()
    shows = wanted and level == logging.DEBUG
    assert ("ASKED^FOR" in caplog.text) is (shows and option == "LOG_REQUEST_IDENTIFIERS")
    assert ("SECRET^PATIENT" in caplog.text) is (shows and option == "LOG_RESPONSE_IDENTIFIERS")


@pytest.mark.threads("what the thread is called that runs it")
def test_a_generator_runs_as_a_handler_of_its_event(scp: QueryScp) -> None:
    """Also after its first item: what holds an association up can be named."""
    seen: list[Any] = []

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            for number in range(2):
                seen.append(event.assoc._handlers.running_here())
                seen.append(event.assoc._what_holds_it())
                yield PENDING, match(number)
        finally:
            seen.append(event.assoc._handlers.running_here())

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(FIND)
        assert statuses(peer) == [PENDING, PENDING, 0]
        peer.is_still_served()
    holds = "the handler of EVT_C_FIND does not return"
    assert seen == [[evt.EVT_C_FIND], holds, [evt.EVT_C_FIND], holds, [evt.EVT_C_FIND]]


@pytest.mark.parametrize("count", [0, 1, 3])
def test_a_cancel_that_races_with_the_last_response(scp: QueryScp, count: int) -> None:
    """There is one final response, whoever wins, and the next query has its own answers only."""
    scp.handler = lambda event: iter(
        [(PENDING, match(event.message_id * 100 + n)) for n in range(count)]
    )
    finals = set()
    with scp.connect() as peer:
        for message_id in range(1, 101):
            if message_id % 3:
                peer.send(request(FIND, message_id) + cancel(FIND, message_id))
            else:
                peer.request(FIND, message_id)
                peer.cancel(FIND, message_id)
            responses = list(peer.responses(message_id))
            *pending, final = (r.primitive.Status for r in responses)
            assert set(pending) <= {PENDING}
            finals.add(final)
            found = [patient_id(r) for r in responses[:-1]]
            assert found == [message_id * 100 + n for n in range(len(pending))]
        peer.is_still_served()
    assert finals <= {0x0000, 0xFE00}


def test_two_queries_have_their_own_matches(scp: QueryScp) -> None:
    """One after the other, as the window of one operation has it, and none of them mixed up."""
    scp.handler = lambda event: iter(
        [(PENDING, match(event.message_id * 1000 + n)) for n in range(20)]
    )
    with scp.connect() as peer:
        peer.send(b"".join(request(FIND, message_id) for message_id in range(1, 31)))
        for message_id in range(1, 31):
            *found, final = peer.responses(message_id)
            assert final.primitive.Status == 0
            assert [patient_id(r) for r in found] == [message_id * 1000 + n for n in range(20)]
        peer.is_still_served()


def test_a_message_id_that_is_outstanding(scp: QueryScp) -> None:
    proceed = threading.Event()

    def handler(event: evt.Event) -> Iterator[Any]:
        proceed.wait(DEADLINE)
        yield PENDING, match(1)

    scp.handler = handler
    with scp.connect() as peer:
        peer.send(request(FIND, 1) + request(FIND, 1))
        proceed.set()
        assert statuses(peer) == [PENDING, 0]
        assert statuses(peer) == [0x0210]
        peer.is_still_served()


def resident() -> int:
    """Bytes of memory that the process has."""
    pages = Path("/proc/self/statm").read_text().split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")


@pytest.mark.skipif(not os.path.exists("/proc/self/statm"), reason="nowhere to look")
def test_many_matches_take_no_more_memory_than_a_few(scp: QueryScp) -> None:
    sizes: list[int] = []
    count = 30000

    def handler(event: evt.Event) -> Iterator[Any]:
        for number in range(count):
            if number % 5000 == 1000:
                sizes.append(resident())
            yield PENDING, InMemory(element(0x00100020, b"x" * 1000), IMPLICIT)

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(FIND)
        received = sum(1 for _ in peer.responses())
        peer.is_still_served()
    assert received == count + 1
    assert sizes[-1] - sizes[0] < 4 << 20  # of 30 MB in all


@pytest.mark.parametrize("context_id", [FIND, GET, MOVE])
@pytest.mark.parametrize("what", ["release", "abort", "shutdown"])
def test_a_handler_that_ends_its_own_association(scp: QueryScp, context_id: int, what: str) -> None:
    """A release is done when all has been answered; the others at once, without waiting."""
    told = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            if context_id == MOVE:
                yield "127.0.0.1", 104
            if context_id != FIND:
                yield 0
            else:
                yield PENDING, match(1)
            {
                "release": event.assoc.release,
                "abort": event.assoc.abort,
                "shutdown": scp.ae.shutdown,
            }[what]()
            told.add(event.is_cancelled)
            yield 0x0000, None
        finally:
            told.add(runs_handlers(event.assoc))

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(context_id)
        if what == "release":
            assert peer.final().primitive.Status == 0
            assert peer.pdu()[0] == 5
            peer.send(bytes.fromhex("06 00 00000004 00000000"))
            assert peer.rest() == b""
        else:
            assert peer.rest().endswith(abort(0, 0))
        assert told.wait(2) == [what != "release", True]


def test_a_match_whose_file_is_gone(scp: QueryScp, tmp_path: Path) -> None:
    scp.handler = lambda event: iter(
        [(PENDING, match(1)), (PENDING, InFile(str(tmp_path / "gone"), 0, 10, IMPLICIT))]
    )
    with scp.connect() as peer:
        peer.request(FIND)
        assert statuses(peer) == [PENDING, 0xC312]
        peer.is_still_served()
