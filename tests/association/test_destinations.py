"""association.destinations: C-MOVE as SCP, and the associations with its destinations."""

from __future__ import annotations

import contextvars
import socket
import threading
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from pynetdicom import AE, association, build_context, evt
from pynetdicom.association.destinations import MoveDestination, plan
from pynetdicom.association.pending_reports import PendingReports
from pynetdicom.association.sub_operations import originator
from pynetdicom.data_sets.data_set import InMemory, encode_dataset
from pynetdicom.dimse.primitives import C_STORE
from pynetdicom.network import dul
from pynetdicom.network.dul import Stopped
from pynetdicom.presentation import StoragePresentationContexts
from tests.faces import runs_handlers
from tests.faults.peer import CT, IMPLICIT, RELEASE_RP, RELEASE_RQ, VERIFICATION, abort, reject
from tests.faults.tls import contexts as tls_contexts
from tests.pair import DEADLINE, Seen
from tests.peers import Acceptor, Call, listening
from tests.query_peer import (
    EXPLICIT,
    MOVE,
    MR,
    PENDING,
    Message,
    QueryScp,
    element,
)

JPEG_2000 = "1.2.840.10008.1.2.4.91"
JPEG_LS = "1.2.840.10008.1.2.4.80"
SC = "1.2.840.10008.5.1.4.1.1.7"


def image(uid: str = "1.2.3.4", sop_class: str = CT, syntax: str = "") -> Any:
    """An instance, which is encoded already if a transfer syntax is given."""
    if syntax:
        held: Any = InMemory(b"\x10\x00\x10\x00PN\x04\x00A^B ", syntax)
        held.sop_class_uid, held.sop_instance_uid = sop_class, uid
        return held
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid
    return ds


@pytest.fixture
def scp(monkeypatch: pytest.MonkeyPatch) -> Iterator[QueryScp]:
    for module in (dul, association):
        monkeypatch.setattr(module, "LINGER", 0.2)
    made = QueryScp()
    yield made
    made.close()


class Store:
    """A destination: an SCP of this library."""

    def __init__(self, classes: Any = (CT, MR), syntaxes: Any = None, **options: Any) -> None:
        self.ae = AE("DEST")
        for uid in classes:
            self.ae.add_supported_context(uid, syntaxes)
        self.stored: list[C_STORE] = []
        self.syntaxes: list[str] = []
        self.associations: list[Any] = []
        self.handler: Callable[[Any], int] = lambda event: 0
        server = self.ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_ESTABLISHED, lambda event: self.associations.append(event.assoc)),
            ],
            **options,
        )
        assert server is not None
        self.port: int = server.server_address[1]

    def _store(self, event: evt.Event) -> int:
        self.stored.append(event.request)
        self.syntaxes.append(event.context.transfer_syntax)
        return self.handler(event)

    @property
    def uids(self) -> list[str | None]:
        return [request.AffectedSOPInstanceUID for request in self.stored]

    def close(self) -> None:
        self.ae.shutdown()


@pytest.fixture
def destination() -> Iterator[Callable[..., Store]]:
    made: list[Store] = []

    def make(*args: Any, **options: Any) -> Store:
        made.append(Store(*args, **options))
        return made[-1]

    yield make
    for store in made:
        store.close()


def counters(received: Message) -> tuple[int | None, ...]:
    """Status, remaining, completed, failed, warning."""
    rsp = received.primitive
    return (
        rsp.Status,
        rsp.NumberOfRemainingSuboperations,
        rsp.NumberOfCompletedSuboperations,
        rsp.NumberOfFailedSuboperations,
        rsp.NumberOfWarningSuboperations,
    )


def moved(scp: QueryScp, items: Any, **parameters: Any) -> Message:
    """The final response to a C-MOVE whose handler yields `items`, after which all goes on."""
    scp.handler = items if callable(items) else lambda event: iter(items)
    with scp.connect() as peer:
        peer.request(MOVE, 8, **parameters)
        final = peer.final(8)
        peer.is_still_served()
    return final


def moves(port: int, *images: Any, options: dict[str, Any] | None = None) -> list[Any]:
    target: tuple[Any, ...] = ("127.0.0.1", port)
    if options is not None:
        target = (*target, options)
    return [target, len(images), *((PENDING, i) for i in images)]


def test_one_association_serves_all(scp: QueryScp, destination: Any) -> None:
    store = destination()
    uids = [f"1.2.{number}" for number in range(20)]
    images = [image(uid, (CT, MR)[n % 2], EXPLICIT) for n, uid in enumerate(uids)]
    scp.handler = lambda event: iter(moves(store.port, *images))
    with scp.connect() as peer:
        peer.request(MOVE, 8, Priority=1)
        responses = list(peer.responses(8))
        peer.is_still_served()
    assert [counters(r) for r in responses] == [
        *((PENDING, 19 - n, n + 1, 0, 0) for n in range(20)),
        (0, None, 20, 0, 0),
    ]
    assert store.uids == uids
    assert len(store.associations) == 1
    assoc = store.associations[0]
    assert assoc.acceptor.ae_title == "DEST"
    assert assoc.requestor.ae_title == "ANY-SCP"
    for request in store.stored:
        assert request.Priority == 1
        assert request.MoveOriginatorApplicationEntityTitle == "PEER"
        assert request.MoveOriginatorMessageID == 8
    # Nothing was encoded anew: each has its own transfer syntax.
    assert set(store.syntaxes) == {EXPLICIT}
    assoc.join(DEADLINE)
    assert assoc.is_released


def test_the_callback_is_given_the_destination(scp: QueryScp, destination: Any) -> None:
    store = destination()
    seen: list[Any] = []

    def on_c_move(dataset: Any, move_aet: Any, context: Any, info: Any) -> Iterator[Any]:
        seen.append((move_aet, dataset.StudyInstanceUID, info["parameters"]["message_id"]))
        yield from moves(store.port, image())

    scp.ae.on_c_move = on_c_move
    scp.server.unbind(evt.EVT_C_MOVE, scp.server.get_handlers(evt.EVT_C_MOVE)[0])
    with scp.connect() as peer:
        peer.request(MOVE)
        assert counters(peer.final()) == (0, None, 1, 0, 0)
    assert seen == [(b"DEST            ", "1.2.3", 1)]


def test_the_destination_may_be_our_own(scp: QueryScp) -> None:
    stored: list[Any] = []
    scp.server.bind(evt.EVT_C_STORE, lambda event: stored.append(event.request) or 0)
    final = moved(scp, moves(scp.server.server_address[1], image("1.2.1"), image("1.2.2")))
    assert counters(final) == (0, None, 2, 0, 0)
    assert len(stored) == 2


def test_what_a_handler_may_give(scp: QueryScp, destination: Any) -> None:
    """Data sets, paths, encoded data sets, and things that cannot be sent."""
    store = destination([CT, MR])
    path = get_testdata_file("CT_small.dcm")
    bad = [None, 5, "/nowhere^DOE", image("1.2.9", SC)]
    final = moved(
        scp, moves(store.port, path, Path(str(path)), image(), image("1.2", CT, IMPLICIT), *bad)
    )
    assert counters(final) == (0xB000, None, 4, 4, 0)
    assert final.data == element(0x00080058, b"1.2.9")
    assert len(store.stored) == 4


def test_statuses_of_the_destination(scp: QueryScp, destination: Any) -> None:
    store = destination()
    answers = {"1.2.0": 0, "1.2.1": 0xB000, "1.2.2": 0xA700, "1.2.3": 0xC000}
    store.handler = lambda event: answers[event.request.AffectedSOPInstanceUID]
    final = moved(scp, moves(store.port, *map(image, answers)))
    assert counters(final) == (0xB000, None, 1, 2, 1)
    assert final.data == element(0x00080058, b"1.2.2\\1.2.3")


BAD_TARGETS: list[tuple[Any, int]] = [
    ((None, None), 0xA801),
    ((None, None, {}), 0xA801),
    (None, 0xC515),
    ("host", 0xC515),
    (("host",), 0xC515),
    (("host", "104"), 0xC515),
    (("host", None), 0xC515),
    ((None, 104), 0xC515),
    ((b"host", 104), 0xC515),
    (("host", 104, {}, 1), 0xC515),
    (("host", 104, 5), 0xC515),
    (("host", 104, {"colour": "red"}), 0xC515),
    (("host", 104, {"contexts": []}), 0xC515),
    (("host", 104, {"contexts": ["CT"]}), 0xC515),
    (("host", 104, {"tls_args": "yes"}), 0xC515),
    (("host", 104, {"ae_title": "x" * 17}), 0xC515),
    (("host", 104, {"bind_address": "lo"}), 0xC515),
    (5.0, 0xC515),
    ((0xFF00, None), 0xC515),
    ((0xA900, None), 0xA900),
]


@pytest.mark.parametrize(("target", "status"), BAD_TARGETS, ids=repr)
def test_bad_destinations(scp: QueryScp, target: Any, status: int) -> None:
    final = moved(scp, [target, 1, (PENDING, image())]).primitive
    assert final.Status == status
    assert final.NumberOfFailedSuboperations is None
    if status != 0xA900:
        assert final.ErrorComment


TOLD = [
    (("host", "104"), "(a str, a str) instead of (address, port) or"),
    ("SECRET", "a str instead of (address, port) or"),
    (["host"], "(a str) instead of"),
    (("SECRET", b"104"), "(a str, a bytes) instead of"),
    (("host", 104, {"colour": "red"}), "unexpected keyword argument 'colour'"),
    (("host", 104, {"tls_args": "yes"}), "'tls_args' must be (ssl.SSLContext, host name)"),
]


@pytest.mark.parametrize(("target", "words"), TOLD, ids=repr)
def test_the_log_says_what_is_wrong_with_a_destination(
    scp: QueryScp, target: Any, words: str, caplog: pytest.LogCaptureFixture
) -> None:
    with caplog.at_level("INFO", "pynetdicom"):
        moved(scp, [target, 1, (PENDING, image())])
    (line,) = [text for text in caplog.messages if "Invalid move destination" in text]
    assert words in line
    assert "SECRET" not in caplog.text


def test_an_unreachable_destination_is_told_of_once(
    scp: QueryScp, caplog: pytest.LogCaptureFixture
) -> None:
    with socket.socket() as unused, caplog.at_level("INFO", "pynetdicom"):
        unused.bind(("127.0.0.1", 0))
        moved(scp, moves(unused.getsockname()[1], image()))
    told = [text for text in caplog.messages if "association with" in text]
    assert sum("no connection" in text for text in told) == 1


def test_no_destination_and_no_count(scp: QueryScp, destination: Any) -> None:
    store = destination()
    assert moved(scp, []).primitive.Status == 0xC514
    assert moved(scp, [("127.0.0.1", store.port)]).primitive.Status == 0xC514
    assert moved(scp, [("127.0.0.1", store.port), "x"]).primitive.Status == 0xC513
    assert moved(scp, [("127.0.0.1", store.port), 65536]).primitive.Status == 0xC516
    assert moved(scp, [("127.0.0.1", store.port), 0]).primitive.Status == 0x0000
    assert store.associations == []


def test_nobody_listens_there(scp: QueryScp) -> None:
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        final = moved(scp, moves(unused.getsockname()[1], image("1.2.1"), image("1.2.2")))
    assert counters(final) == (0xA801, None, 0, 2, 0)
    assert final.data == element(0x00080058, b"1.2.1")
    assert final.primitive.ErrorComment


def test_the_destination_rejects(scp: QueryScp) -> None:
    with listening(rejected) as listener:
        final = moved(scp, moves(listener.port, image()))
    assert counters(final) == (0xA801, None, 0, 1, 0)


def test_the_destination_takes_none_of_the_contexts(scp: QueryScp, destination: Any) -> None:
    store = destination([VERIFICATION])
    final = moved(scp, moves(store.port, image("1.2.1"), image("1.2.2")))
    assert counters(final) == (0xA702, None, 0, 2, 0)
    # What it has refused is not proposed to it again.
    assert len(store.associations) == 1


def test_the_destination_takes_none_of_the_contexts_that_were_tried_first(
    scp: QueryScp, destination: Any
) -> None:
    """What it takes is sent to it all the same, however many kinds it has refused before."""
    scp.ae.add_requested_context("PositronEmissionTomographyImageStorage")
    # The last one is no UID: what is in a file is proposed as it is.
    refused = ["1.3.6.1.4.1.99999.1", "1.3.6.1.4.1.99999.2", "CTImageStorage"]
    store = destination([MR])
    images = [image(f"1.2.{n}", sop_class) for n, sop_class in enumerate([*refused, MR])]
    final = moved(scp, moves(store.port, *images))
    assert counters(final) == (0xB000, None, 1, 3, 0)


def stores_first(count: int, then: Callable[[Acceptor], Any]) -> Callable[[Acceptor], None]:
    """A script for a destination that takes so many instances."""

    def script(peer: Acceptor) -> None:
        peer.accept()
        for _ in range(count):
            answer(peer)
        then(peer)

    return script


def request_of(peer: Acceptor) -> tuple[int, Any]:
    """The next C-STORE-RQ, whose data set is one PDU."""
    context_id, request = peer.command()
    assert peer.pdu()[11] == 2
    return context_id, request


def answer(peer: Acceptor) -> None:
    context_id, request = request_of(peer)
    peer.respond(context_id, request.response(0))


def rejected(peer: Acceptor) -> None:
    peer.pdu()
    peer.send(reject(1, 1, 7))


def released(peer: Acceptor) -> None:
    assert peer.pdu()[0] == 5
    peer.send(bytes.fromhex("06 00 00000004 00000000"))


def gone(peer: Acceptor) -> None:
    peer.pdu()
    peer.close()


def aborted(peer: Acceptor) -> None:
    peer.pdu()
    peer.send(abort(0, 0))
    peer.rest()


def web(peer: Acceptor) -> None:
    peer.pdu()
    peer.send(b"HTTP/1.1 400 Bad Request\r\n\r\n")
    peer.rest()


def alert(peer: Acceptor) -> None:
    peer.pdu()
    peer.send(bytes.fromhex("15 0301 0002 02 46"))
    peer.rest()


@pytest.mark.parametrize(
    ("script", "why"),
    [
        (rejected, "refuses: called AE title not recognised"),
        (gone, "cannot be reached: connection closed"),
        (aborted, "cannot be reached: it aborts"),
        (web, "cannot be reached: it speaks no DICOM"),
        (alert, "cannot be reached: it expects TLS"),
    ],
)
def test_the_comment_says_why_there_is_no_destination(
    scp: QueryScp, script: Callable[[Acceptor], None], why: str
) -> None:
    with listening(script) as listener:
        final = moved(scp, moves(listener.port, image()))
    assert final.primitive.ErrorComment == f"The move destination {why}"


def test_the_comment_says_that_a_name_is_not_known(scp: QueryScp) -> None:
    final = moved(scp, [("a..b", 104), 1, (PENDING, image())]).primitive
    assert final.ErrorComment == "The move destination cannot be reached: its name is not known"


DEATHS: dict[str, Callable[[Acceptor], Any]] = {
    "aborts": lambda peer: (request_of(peer), peer.send(abort(0, 0))),
    "closes": lambda peer: request_of(peer),
    "resets": lambda peer: (request_of(peer), peer.reset()),
    "releases": lambda peer: (request_of(peer), peer.send(bytes.fromhex("0500000000 0400000000"))),
}


@pytest.mark.parametrize("how", DEATHS)
def test_a_destination_that_dies_half_way_and_comes_back(scp: QueryScp, how: str) -> None:
    """What it died at has failed; the rest is still sent, over another association."""
    scripts = [stores_first(2, DEATHS[how]), stores_first(2, released)]
    with listening(lambda peer: scripts.pop(0)(peer)) as listener:
        final = moved(scp, moves(listener.port, *(image(f"1.2.{n}") for n in range(5))))
    assert counters(final) == (0xB000, None, 4, 1, 0)
    assert final.data == element(0x00080058, b"1.2.2")


def test_a_destination_that_dies_again_and_again(scp: QueryScp) -> None:
    """Each time it costs the instance that it died at, and no other."""
    scripts = [
        stores_first(1, DEATHS["aborts"]),
        stores_first(0, DEATHS["resets"]),
        stores_first(1, DEATHS["closes"]),
        stores_first(1, released),
    ]
    with listening(lambda peer: scripts.pop(0)(peer)) as listener:
        final = moved(scp, moves(listener.port, *(image(f"1.2.{n}") for n in range(6))))
    assert counters(final) == (0xB000, None, 3, 3, 0)
    assert final.data == element(0x00080058, b"1.2.1\\1.2.2\\1.2.4")
    assert scripts == []


def test_a_destination_that_answers_nothing_in_time(scp: QueryScp) -> None:
    """Twice in a row is enough: the others are not tried."""

    def silent(peer: Acceptor) -> None:
        peer.accept()
        request_of(peer)
        assert peer.pdu() == abort(0, 0)

    scripts = [stores_first(1, DEATHS["aborts"]), silent, silent]
    options = {"dimse_timeout": 0.1}
    with listening(lambda peer: scripts.pop(0)(peer)) as listener:
        items = moves(listener.port, *(image(f"1.2.{n}") for n in range(6)), options=options)
        final = moved(scp, items)
    assert counters(final) == (0xB000, None, 1, 5, 0)
    assert scripts == []


def test_a_destination_that_dies_for_good(scp: QueryScp) -> None:
    scripts = [
        stores_first(1, DEATHS["aborts"]),
        lambda peer: peer.send(peer.pdu()[:0] + reject(1, 1, 1)),
    ]
    with listening(lambda peer: scripts.pop(0)(peer)) as listener:
        final = moved(scp, moves(listener.port, *(image(f"1.2.{n}") for n in range(4))))
    assert counters(final) == (0xB000, None, 1, 3, 0)
    assert final.data == element(0x00080058, b"1.2.1\\1.2.2\\1.2.3")


def test_timeouts_of_its_own(scp: QueryScp) -> None:
    """A destination that answers nothing holds the C-MOVE up only as long as its own time."""
    scp.ae.acse_timeout = scp.ae.dimse_timeout = 3600
    with listening(lambda peer: peer.rest_until_abort()) as listener:
        final = moved(scp, moves(listener.port, image(), options={"acse_timeout": 0.2}))
    assert final.primitive.Status == 0xA801
    with listening(
        stores_first(0, lambda peer: (request_of(peer), peer.rest_until_abort()))
    ) as listener:
        options = {"dimse_timeout": 0.2, "network_timeout": 60, "connection_timeout": 60}
        final = moved(scp, moves(listener.port, image("1.2.1"), options=options))
    assert counters(final) == (0xA702, None, 0, 1, 0)


def test_a_destination_that_does_not_answer_the_release(
    scp: QueryScp, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynetdicom.association.destinations.RELEASE_PATIENCE", 0.2)
    scp.ae.acse_timeout = 3600
    script = stores_first(1, lambda peer: peer.rest_until_abort())
    with listening(script) as listener:
        final = moved(scp, moves(listener.port, image()))
    assert counters(final) == (0, None, 1, 0, 0)


@pytest.mark.parametrize("with_name", [False, True])
def test_tls_of_its_own(scp: QueryScp, destination: Any, with_name: bool) -> None:
    server, client = tls_contexts()
    store = destination(ssl_context=server)
    tls = {"tls_args": (client, "localhost")} if with_name else {"tls": client}
    options = {**tls, "ae_title": "SECRET"}
    final = moved(scp, moves(store.port, image(), options=options))
    assert counters(final) == (0, None, 1, 0, 0)
    assert store.associations[0].acceptor.ae_title == "DEST"
    final = moved(scp, moves(store.port, image(), options={"acse_timeout": 1}))
    assert final.primitive.Status == 0xA801


def test_other_options_of_associate(scp: QueryScp, destination: Any) -> None:
    store = destination()
    seen: list[Any] = []
    options = {
        "max_pdu": 4096,
        "bind_address": ("127.0.0.1", 0),
        "evt_handlers": [(evt.EVT_ESTABLISHED, lambda event: seen.append(event.assoc))],
        "ae_title": b"OTHER",
    }
    final = moved(scp, moves(store.port, image(), options=options))
    assert counters(final) == (0, None, 1, 0, 0)
    assert store.associations[0].requestor.maximum_length == 4096
    assert seen[0].acceptor.ae_title == "OTHER"
    assert seen[0].acse_timeout <= 5


def test_cancelled_in_a_sub_operation(scp: QueryScp, destination: Any) -> None:
    store = destination()
    closed = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield from moves(store.port, *(image(f"1.2.{n}") for n in range(5)))
        finally:
            closed.add((event.is_cancelled, runs_handlers(event.assoc)))

    scp.handler = handler
    with scp.connect() as peer:

        def cancel(event: evt.Event) -> int:
            if event.request.AffectedSOPInstanceUID == "1.2.1":
                peer.cancel(MOVE)
                (assoc,) = scp.server.active_associations
                assert until_true(lambda: assoc._performer.is_cancelled(1))
            return 0

        store.handler = cancel
        peer.request(MOVE)
        final = peer.final()
        peer.is_still_served()
    assert counters(final) == (0xFE00, 3, 2, 0, 0)
    assert closed.wait() == [(True, True)]
    store.associations[0].join(DEADLINE)
    assert store.associations[0].is_released


@pytest.mark.parametrize("end", ["abort", "kill", "shutdown"])
@pytest.mark.parametrize("stuck", ["associating", "storing", "connecting"])
def test_an_abort_does_not_wait_for_the_destination(scp: QueryScp, end: str, stuck: str) -> None:
    """Whoever hangs on the destination is woken at once."""
    at = Seen()
    closed = Seen()

    def script(peer: Acceptor) -> None:
        if stuck == "storing":
            peer.accept()
            request_of(peer)
        else:
            peer.pdu()
        at.add(peer)
        peer.rest()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield address
            yield 2
            if stuck == "connecting":
                at.add(event)
            yield PENDING, image()
            yield PENDING, image()
        finally:
            closed.add(event.is_cancelled)

    scp.handler = handler
    scp.ae.acse_timeout = scp.ae.dimse_timeout = scp.ae.network_timeout = 3600
    with listening(script) as listener, full_backlog() as full, scp.connect() as peer:
        address = ("127.0.0.1", full if stuck == "connecting" else listener.port)
        peer.request(MOVE)
        at.wait()
        (assoc,) = scp.server.active_associations
        if stuck == "connecting":
            assert until_true(lambda: assoc._link.sub_associations)
        {
            "abort": lambda: assoc.abort(block=False),
            "kill": assoc.kill,
            "shutdown": scp.ae.shutdown,
        }[end]()
        peer.rest()
        assoc.join(DEADLINE)
        # A shutdown may end the association with the destination first.
        assert closed.wait() == [True] or end == "shutdown"
        assert not assoc.is_alive()


def until_true(condition: Callable[[], Any]) -> bool:
    from tests.faults.peer import until

    return until(condition, DEADLINE)


class full_backlog:
    """A port that takes connections and accepts none of them."""

    def __enter__(self) -> int:
        self._listener = socket.socket()
        self._listener.bind(("127.0.0.1", 0))
        self._listener.listen(0)
        self._waiting = []
        for _ in range(4):
            sock = socket.socket()
            sock.setblocking(False)
            sock.connect_ex(self._listener.getsockname())
            self._waiting.append(sock)
        port: int = self._listener.getsockname()[1]
        return port

    def __exit__(self, *args: object) -> None:
        for sock in (*self._waiting, self._listener):
            sock.close()


@pytest.mark.parametrize("every", [60.0, 0.001])
@pytest.mark.parametrize("end", ["resets", "aborts", "closes"])
def test_a_peer_that_is_gone(
    scp: QueryScp, monkeypatch: pytest.MonkeyPatch, end: str, every: float
) -> None:
    """What is being sent is completed, and the destination released; nothing more is sent."""
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", every)
    closed = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield from moves(listener.port, image(), image())
        finally:
            closed.add(event.is_cancelled)

    proceed = threading.Event()
    arrived = Seen()
    done = Seen()

    def script(peer: Acceptor) -> None:
        peer.accept()
        context_id, request = request_of(peer)
        arrived.add(1)
        assert proceed.wait(DEADLINE)
        peer.respond(context_id, request.response(0))
        released(peer)
        done.add("released")

    with listening(script) as listener:
        scp.handler = handler
        with scp.connect() as peer:
            peer.request(MOVE)
            arrived.wait()
            (assoc,) = scp.server.active_associations
            {
                "resets": peer.reset,
                "aborts": lambda: peer.send(abort(0, 0)),
                "closes": peer.close,
            }[end]()
        assert until_true(lambda: assoc._has_ended)
        proceed.set()
        done.wait()
        assoc.join(DEADLINE)
        assert not assoc.is_alive()
        assert closed.wait() == [True]


# What is proposed


def proposed(store: Store) -> list[list[tuple[str, tuple[str, ...]]]]:
    """What was proposed to a destination, by association."""
    return [
        [(str(c.abstract_uid), tuple(c.transfer_uids)) for c in assoc.requestor.requested_contexts]
        for assoc in store.associations
    ]


def test_planned_from_the_first_instance(scp: QueryScp, destination: Any) -> None:
    store = destination([CT, MR, SC], [IMPLICIT, EXPLICIT, JPEG_2000, JPEG_LS])
    images = [
        image("1.2.1", CT, JPEG_2000),
        image("1.2.2", MR, EXPLICIT),
        image("1.2.3", MR, JPEG_2000),
        image("1.2.4", SC, JPEG_2000),
        image("1.2.5", CT, EXPLICIT),
    ]
    final = moved(scp, moves(store.port, *images))
    assert counters(final) == (0, None, 5, 0, 0)
    (contexts,) = proposed(store)
    assert contexts[0] == (CT, (JPEG_2000,))
    assert len(contexts) == 128
    assert {uid for uid, _ in contexts} == {c.abstract_uid for c in StoragePresentationContexts}


@pytest.mark.parametrize("order", [[IMPLICIT, EXPLICIT], [EXPLICIT, IMPLICIT]])
@pytest.mark.parametrize("first", [IMPLICIT, EXPLICIT])
@pytest.mark.parametrize("returned", [False, True])
def test_objects_go_out_as_they_are(
    scp: QueryScp, destination: Any, order: list[str], first: str, returned: bool
) -> None:
    """Whichever transfer syntax the destination prefers, if it takes the other one too."""
    store = destination([CT, MR], order)
    other = IMPLICIT if first == EXPLICIT else EXPLICIT
    images = [
        image("1.2.1", CT, first),
        image("1.2.2", CT, first),
        image("1.2.3", MR, first),
        image("1.2.4", CT, other),
    ]
    items = moves(store.port, *images)
    final = moved(scp, (lambda event: items) if returned else items)
    assert counters(final) == (0, None, 4, 0, 0)
    assert store.uids == [f"1.2.{n}" for n in (1, 2, 3, 4)]
    assert store.syntaxes == [first, first, first, other]
    assert len(store.associations) == 1


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_a_destination_that_knows_one_encoding_only(
    scp: QueryScp, destination: Any, syntax: str
) -> None:
    """What it does not take as it is goes out as it takes it."""
    store = destination([CT, MR], [syntax])
    other = IMPLICIT if syntax == EXPLICIT else EXPLICIT
    images = [
        encode_dataset(image("1.2.7", CT), other),
        encode_dataset(image("1.2.8", MR), other),
        encode_dataset(image("1.2.9", MR), other),
    ]
    final = moved(scp, moves(store.port, *images))
    assert counters(final) == (0, None, 3, 0, 0)
    assert store.syntaxes == [syntax] * 3


def test_planned_from_what_the_ae_requests(scp: QueryScp, destination: Any) -> None:
    store = destination()
    scp.ae.add_requested_context(VERIFICATION)
    scp.ae.add_requested_context(MR, [EXPLICIT])
    final = moved(scp, moves(store.port, image("1.2.1", CT, IMPLICIT), image("1.2.2", MR)))
    assert counters(final) == (0, None, 2, 0, 0)
    (contexts,) = proposed(store)
    assert contexts == [
        (CT, (IMPLICIT,)),
        (CT, (EXPLICIT,)),
        (MR, (EXPLICIT,)),
        (MR, (IMPLICIT,)),
    ]


def test_planned_from_a_list(scp: QueryScp, destination: Any) -> None:
    """Which a handler returns: nothing is proposed but what is in it."""
    store = destination([CT, MR], [IMPLICIT, EXPLICIT, JPEG_2000])
    items = moves(
        store.port,
        image("1.2.1", CT, JPEG_2000),
        None,
        image("1.2.2", MR, EXPLICIT),
        image("1.2.3", CT, JPEG_2000),
    )
    final = moved(scp, lambda event: items)
    assert counters(final) == (0xB000, None, 3, 1, 0)
    (contexts,) = proposed(store)
    assert contexts == [(CT, (JPEG_2000,)), (MR, (EXPLICIT,)), (MR, (IMPLICIT,))]


def test_an_instance_that_no_context_fits(scp: QueryScp, destination: Any) -> None:
    """Another association takes the place of the first; what is refused is not tried again."""
    private = "1.2.3.4.5.6"
    store = destination([CT, private], [EXPLICIT, JPEG_2000])
    images = [
        image("1.2.1", CT, EXPLICIT),
        image("1.2.2", private, EXPLICIT),
        image("1.2.3", CT, EXPLICIT),
        image("1.2.4", private, EXPLICIT),
        image("1.2.5", CT, JPEG_LS),
        image("1.2.6", CT, JPEG_LS),
        image("1.2.7", CT, EXPLICIT),
    ]
    final = moved(scp, moves(store.port, *images))
    assert counters(final) == (0xB000, None, 5, 2, 0)
    assert final.data == element(0x00080058, b"1.2.5\\1.2.6")
    assert store.uids == ["1.2.1", "1.2.2", "1.2.3", "1.2.4", "1.2.7"]
    assert len(store.associations) == 3
    assert [c[0] for c in proposed(store)] == [
        (CT, (EXPLICIT,)),
        (private, (EXPLICIT,)),
        (CT, (JPEG_LS,)),
    ]
    # One at a time.
    assert all(assoc.is_released for assoc in store.associations[:2])


def test_more_kinds_than_an_association_has_contexts(scp: QueryScp, destination: Any) -> None:
    classes = [f"1.2.3.{number}" for number in range(300)]
    store = destination(classes, [JPEG_LS])
    images = [image(f"1.2.9.{n}", uid, JPEG_LS) for n, uid in enumerate(classes)]
    items = moves(store.port, *images)
    final = moved(scp, lambda event: items)
    assert counters(final) == (0, None, 300, 0, 0)
    assert len(store.associations) == 3
    store.associations.clear()
    final = moved(scp, lambda event: iter(moves(store.port, *images[:10])))
    assert counters(final) == (0, None, 10, 0, 0)
    assert len(store.associations) == 10


def test_the_contexts_that_a_handler_gives(scp: QueryScp, destination: Any) -> None:
    classes = [f"1.2.3.{number}" for number in range(200)]
    store = destination([*classes, CT], [EXPLICIT, JPEG_LS])
    contexts = [build_context(uid, JPEG_LS) for uid in classes]
    images = [
        image("1.2.9.1", classes[0], JPEG_LS),
        image("1.2.9.2", classes[199], JPEG_LS),
        image("1.2.9.3", classes[150], JPEG_LS),
        image("1.2.9.4", CT, EXPLICIT),
        image("1.2.9.5", classes[151], EXPLICIT),
    ]
    final = moved(scp, moves(store.port, *images, options={"contexts": contexts}))
    assert counters(final) == (0xB000, None, 3, 2, 0)
    assert [len(c) for c in proposed(store)][:2] == [128, 72]
    asked = {context for c in proposed(store) for context in c}
    assert asked == {(uid, (JPEG_LS,)) for uid in classes}


def test_plans() -> None:
    assert plan([]) == []
    contexts = plan([(CT, EXPLICIT), (MR, JPEG_LS), (CT, EXPLICIT)], [build_context(SC, EXPLICIT)])
    assert [(c.abstract_uid, c.transfer_uids) for c in contexts] == [
        (CT, [EXPLICIT]),
        (MR, [JPEG_LS]),
        (CT, [IMPLICIT]),
        (SC, [EXPLICIT]),
        (SC, [JPEG_LS]),
    ]
    assert len(plan([(f"1.2.{n}", IMPLICIT) for n in range(500)])) == 128
    big = plan([(CT, "1.2.840.10008.1.2.2")])
    assert [c.transfer_uids for c in big] == [["1.2.840.10008.1.2.2"], [EXPLICIT, IMPLICIT]]


def test_a_data_set_that_says_how_it_is_encoded(scp: QueryScp, destination: Any) -> None:
    store = destination([CT], [JPEG_2000, EXPLICIT])
    ds = image()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(JPEG_2000)
    final = moved(scp, moves(store.port, ds))
    assert counters(final) == (0, None, 1, 0, 0)
    assert store.syntaxes == [JPEG_2000]


def test_a_requestor_whose_title_a_command_set_cannot_hold() -> None:
    request = C_STORE(Priority=0, MessageID=7)
    assert originator(request, "OK").originator_aet == "OK"
    assert originator(request, "OK").originator_id == 7
    assert originator(request).originator_id is None
    odd = originator(request, "x" * 17)
    assert odd.originator_aet is None
    request.__dict__["Priority"] = 77  # what the peer has sent
    assert originator(request).priority == 0


def test_two_moves_at_once(scp: QueryScp, destination: Any) -> None:
    store = destination()
    scp.handler = lambda event: iter(
        moves(store.port, *(image(f"1.2.{event.message_id}.{n}") for n in range(20)))
    )

    def move(message_id: int) -> Message:
        with scp.connect() as peer:
            peer.request(MOVE, message_id)
            return peer.final(message_id)

    calls = [Call(move, message_id) for message_id in (1, 2, 3)]
    for call in calls:
        assert counters(call.result()) == (0, None, 20, 0, 0)
    assert len(store.stored) == 60
    assert len(store.associations) == 3


def test_nothing_is_left_of_a_destination(scp: QueryScp, destination: Any) -> None:
    store = destination()
    with scp.connect() as peer:
        scp.handler = lambda event: iter(moves(store.port, image()))
        peer.request(MOVE)
        peer.final()
        (assoc,) = scp.server.active_associations
        assert assoc._link.sub_associations == set()
        assert scp.ae.active_associations == [assoc]
    with pytest.raises(TypeError):
        MoveDestination(assoc._link, originator(C_STORE(Priority=0)), ("host", "x"), "DEST", ())


# What the requestor hears of a sub-operation that takes long


@pytest.mark.parametrize("stage", ["associating", "receiving", "answering"])
def test_a_slow_sub_operation_is_reported(
    scp: QueryScp, monkeypatch: pytest.MonkeyPatch, stage: str
) -> None:
    """Or else the requestor would take us for dead."""
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.05)
    proceed = threading.Event()

    def wait_if(now: str) -> None:
        assert stage != now or proceed.wait(DEADLINE)

    def script(peer: Acceptor) -> None:
        wait_if("associating")
        peer.accept()
        context_id, request = peer.command()
        wait_if("receiving")
        while not peer.pdu()[11] & 2:
            pass
        wait_if("answering")
        peer.respond(context_id, request.response(0))
        released(peer)

    instance = image()
    instance.EncapsulatedDocument = bytes(1 << 23)  # more than the kernel takes
    with listening(script, receive_buffer=8192) as listener:
        scp.handler = lambda event: iter(moves(listener.port, instance))
        with scp.connect() as peer:
            peer.request(MOVE)
            responses = peer.responses()
            early = [counters(next(responses)) for _ in range(4)]
            proceed.set()
            *late, last, final = map(counters, responses)
            peer.is_still_served()
    assert {*early, *late} == {(PENDING, 1, 0, 0, 0)}
    assert (last, final) == ((PENDING, 0, 1, 0, 0), (0, None, 1, 0, 0))


@pytest.mark.parametrize("every", [0.1, 60.0])
def test_a_requestor_that_bears_no_silence(
    scp: QueryScp, destination: Any, monkeypatch: pytest.MonkeyPatch, every: float
) -> None:
    """It hears of an operation that goes on; without that it would give up."""
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", every)
    store = destination()
    gone_on = threading.Event()
    store.handler = lambda event: int(gone_on.wait(DEADLINE) and 0)
    scp.handler = lambda event: iter(moves(store.port, image("1.2.1"), image("1.2.2")))
    ae = AE("IMPATIENT")
    ae.dimse_timeout = 3600 if every < 1 else 0.3
    ae.add_requested_context("1.2.840.10008.5.1.4.1.2.1.2")
    assoc = ae.associate(*scp.server.server_address[:2])
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "PATIENT"
    wanted.PatientID = "1"
    responses = assoc.send_c_move(wanted, "DEST", "P")
    if every < 1:
        for _ in range(3):
            assert next(responses)[0].Status == PENDING
        gone_on.set()
    *_, (status, _) = responses
    if every < 1:
        assert status.Status == 0x0000
        assert status.NumberOfCompletedSuboperations == 2
        assoc.release()
    else:
        assert str(assoc.ended).endswith("dimse_timeout ran out")
    gone_on.set()
    assoc.join(DEADLINE)


def test_reports_never_contradict_what_was_said_before(
    scp: QueryScp, destination: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.0002)
    store = destination()
    count = 200
    scp.handler = lambda event: iter(
        moves(store.port, *(image(f"1.2.{n}", CT, IMPLICIT) for n in range(count)))
    )
    with scp.connect() as peer:
        peer.request(MOVE)
        *pending, final = map(counters, peer.responses())
        peer.is_still_served()
    assert final == (0, None, count, 0, 0)
    assert len(pending) > count
    done = [completed for _, _, completed, _, _ in pending]
    assert done == sorted(done, key=lambda number: number or 0)
    assert all(remaining == count - completed for _, remaining, completed, _, _ in pending)


@pytest.mark.threads("on one of two threads")
def test_a_release_by_who_is_told_of_a_report(
    scp: QueryScp, destination: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On the thread that reports, which the one that serves waits for: it is done afterwards."""
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.01)
    scp.ae.acse_timeout = 3600
    store = destination()
    told = threading.Event()
    store.handler = lambda event: int(told.wait(DEADLINE) and 0)
    scp.handler = lambda event: iter(moves(store.port, image("1.2.1"), image("1.2.2")))

    def release(event: evt.Event) -> None:
        if threading.current_thread() is not event.assoc and not told.is_set():
            event.assoc.release()
            told.set()

    scp.server.bind(evt.EVT_DIMSE_SENT, release)
    with scp.connect() as peer:
        peer.request(MOVE)
        *_, final = map(counters, peer.responses())
        assert final == (0, None, 2, 0, 0)
        assert peer.pdu() == RELEASE_RQ
        peer.send(RELEASE_RP)


def test_reports_come_when_due_and_end_with_what_they_are_of(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.01)
    reports = PendingReports()
    seen = Seen()
    for number in range(3):
        with reports.during(partial(seen.add, number)):
            seen.wait_for(number)
    reports.close()
    assert seen.notes == sorted(seen.notes)


def test_reports_have_the_context_of_what_they_are_of(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.01)
    variable: contextvars.ContextVar[str] = contextvars.ContextVar("variable")
    variable.set("here")
    reports = PendingReports()
    seen = Seen()
    with reports.during(lambda: seen.add(variable.get("nowhere"))):
        assert seen.wait()[0] == "here"
    reports.close()


def test_a_sub_operation_does_not_need_reports(
    scp: QueryScp, destination: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where the system gives no more threads."""
    real = threading.Thread.start

    def start(thread: threading.Thread) -> None:
        if thread.name == "C-MOVE":
            raise RuntimeError("can't start new thread")
        real(thread)

    monkeypatch.setattr(threading.Thread, "start", start)
    final = moved(scp, moves(destination().port, image("1.2.1"), image("1.2.2")))
    assert counters(final) == (0, None, 2, 0, 0)


@pytest.mark.parametrize("error", [Stopped, RuntimeError])
def test_a_report_that_cannot_be_sent_does_no_harm(
    monkeypatch: pytest.MonkeyPatch, error: type[Exception]
) -> None:
    """What is on its way is not to suffer from a requestor that is gone."""
    monkeypatch.setattr("pynetdicom.association.pending_reports.REPORT_EVERY", 0.001)
    reports = PendingReports()
    seen = Seen()

    def report() -> None:
        seen.add(1)
        raise error

    for _ in range(2):
        with reports.during(report):
            seen.wait()
    reports.close()
    assert seen.notes == [1]


def test_an_abort_just_before_the_destination_is_asked(
    scp: QueryScp, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Nobody would abort an association that is requested after that."""
    closed = Seen()
    made: list[Any] = []
    prepare = scp.ae._prepare

    def prepare_and_abort(*args: Any, **kwargs: Any) -> Any:
        made.append(prepare(*args, **kwargs))
        if len(made) == 2:  # the first one only checks the handler's parameters
            scp.server.active_associations[0].abort(block=False)
        return made[-1]

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield from moves(port, image())
        finally:
            closed.add(event.is_cancelled)

    monkeypatch.setattr(scp.ae, "_prepare", prepare_and_abort)
    scp.handler = handler
    with full_backlog() as port, scp.connect() as peer:
        peer.request(MOVE)
        assert closed.wait() == [True]
        peer.rest()
    assert len(made) == 2
    assert made[1].ident is None
