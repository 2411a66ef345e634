"""pynetdicom.services.retrieval: counters and statuses of C-GET and C-MOVE (PS3.4 C.4)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from io import BytesIO
from typing import Any, NamedTuple

import pytest
from pydicom.dataset import Dataset
from pydicom.filereader import read_dataset

from pynetdicom.dimse.primitives import Primitive
from pynetdicom.network.dul import Stopped
from pynetdicom.services import retrieval
from pynetdicom.services.retrieval import (
    Begin,
    Outcome,
    Refusal,
    failed_list,
    retrieve,
)
from tests.services.invoked import EXPLICIT, IMPLICIT, Requestor, Watched, get, move, status

PENDING = 0xFF00


class Given(NamedTuple):
    """What stands for an instance: the status that the destination is to answer with."""

    data_set: Any
    sop_instance: str = "1.2.0"

    @classmethod
    def of(cls, data_set: Any) -> Given:
        return data_set if isinstance(data_set, Given) else cls(data_set)


@pytest.fixture(autouse=True, scope="module")
def anything_is_an_instance() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(retrieval, "taken", Given.of)
        yield


class Store:
    """A destination: what it is given are the statuses that it answers with."""

    def __init__(self, *, is_reachable: bool = True) -> None:
        self.stored: list[Any] = []
        self.is_closed = False
        self.is_reachable = is_reachable
        self.target: Any = None
        self.reports = 0

    def store(
        self, what: Any, report: Callable[[], None], meanwhile: Callable[[], None] | None
    ) -> Outcome:
        data_set = what.data_set
        assert not self.is_closed
        if meanwhile is not None:
            meanwhile()
        for _ in range(self.reports):
            report()
        uid = f"1.2.{len(self.stored)}"
        if not self.is_reachable:
            raise Refusal(0xA801, "refused")
        self.stored.append(data_set)
        return Outcome(data_set, uid) if data_set is not None else Outcome(None, "", "no data set")

    def close(self) -> None:
        self.is_closed = True

    def begin_get(self, ask: Callable[[str], Any], ahead: Any) -> Store:
        return self

    def begin_move(self, ask: Callable[[str], Any], ahead: Any) -> Store:
        self.target = ask("no destination")
        if self.target == (None, None):
            raise Refusal(0xA801, "unknown")
        return self


def run(
    request: Primitive, handler: Any, store: Store | None = None, **options: Any
) -> tuple[Primitive, Requestor, Store]:
    peer = Requestor(request, **options)
    store = store or Store()
    begin: Begin = store.begin_get if request.name == "C-GET" else store.begin_move
    invocation = peer.invocation(handler if callable(handler) else lambda: handler)
    return retrieve(invocation, begin), peer, store


def counters(response: Primitive) -> tuple[int | None, ...]:
    """Remaining, completed, failed, warning."""
    return (
        response.NumberOfRemainingSuboperations,
        response.NumberOfCompletedSuboperations,
        response.NumberOfFailedSuboperations,
        response.NumberOfWarningSuboperations,
    )


def failed_uids(response: Primitive) -> list[str] | None:
    if response.data_set is None:
        return None
    ds = response.data_set.decode()
    assert [element.keyword for element in ds] == ["FailedSOPInstanceUIDList"]
    uids = ds.FailedSOPInstanceUIDList or []
    return [uids] if isinstance(uids, str) else list(uids)


def stores(*statuses: int | None, announced: int | None = None, end: Any = None) -> list[Any]:
    """What a handler yields to have instances stored that are answered with these statuses."""
    items: list[Any] = [len(statuses) if announced is None else announced]
    items += [(PENDING, status) for status in statuses]
    return items if end is None else [*items, end]


@pytest.fixture(params=["C-GET", "C-MOVE"])
def asked(request: pytest.FixtureRequest) -> Callable[..., Any]:
    """Runs a retrieve of either kind with what the handler yields from the count on."""

    def call(items: Any, **options: Any) -> Any:
        if request.param == "C-GET":
            return run(get(), items, **options)
        if isinstance(items, list):
            return run(move(), [("host", 104), *items], **options)

        def handler() -> Iterator[Any]:
            yield "host", 104
            yield from items()

        return run(move(), handler, **options)

    return call


CASES: dict[str, tuple[list[Any], int, tuple[int | None, ...], list[str] | None]] = {
    # what is yielded: the final status, its counters, the UIDs that failed
    "all completed": (stores(0, 0, 0), 0x0000, (None, 3, 0, 0), None),
    "none wanted": (stores(), 0x0000, (None, 0, 0, 0), None),
    "the handler says success": (stores(0, end=(0, None)), 0x0000, (None, 1, 0, 0), None),
    "a warning": (stores(0, 0xB000), 0xB000, (None, 1, 0, 1), None),
    "all warnings": (stores(0xB007, 0xB006), 0xB000, (None, 0, 0, 2), None),
    "one failed": (stores(0, 0xA700, 0), 0xB000, (None, 2, 1, 0), ["1.2.1"]),
    "a warning, a failure": (stores(0xC000, 0xB000), 0xB000, (None, 0, 1, 1), ["1.2.0"]),
    "all failed": (stores(0xA900, 0x0122), 0xA702, (None, 0, 2, 0), ["1.2.0", "1.2.1"]),
    "failed, called a success": (
        stores(0, 0xA700, end=(0, None)),
        0xB000,
        (None, 1, 1, 0),
        ["1.2.1"],
    ),
    "an unknown status": (stores(0x1234), 0xA702, (None, 0, 1, 0), ["1.2.0"]),
    "a pending status": (stores(0xFF00), 0xA702, (None, 0, 1, 0), ["1.2.0"]),
    "no data set": (stores(0, None), 0xB000, (None, 1, 1, 0), None),
    "fewer": (stores(0, 0, announced=5), 0xB000, (None, 2, 3, 0), None),
    "none at all": (stores(announced=2), 0xA702, (None, 0, 2, 0), None),
    "fewer, called a success": (
        stores(0, announced=3, end=(0x0000, None)),
        0xB000,
        (None, 1, 2, 0),
        None,
    ),
    "more": (stores(0, 0, 0, announced=2), 0xB000, (None, 2, 1, 0), None),
    "more than none": (stores(0, announced=0), 0xB000, (None, 0, 1, 0), None),
    "a failure of its own": (
        stores(0, announced=3, end=(0xA701, None)),
        0xA701,
        (None, 1, 2, 0),
        None,
    ),
    "a warning of its own": (stores(0, end=(0xB000, None)), 0xB000, (None, 1, 0, 0), None),
    "cancelled by itself": (
        stores(0, 0xA700, announced=4, end=(0xFE00, None)),
        0xFE00,
        (2, 1, 1, 0),
        ["1.2.1"],
    ),
    "a bad status": (stores(0, announced=2, end=("x", None)), 0xC002, (None, 1, 1, 0), None),
    "no status": (stores(0, announced=1, end=(Dataset(), None)), 0xC001, (None, 1, 0, 0), None),
    "no pair": (stores(0, announced=1, end=7), 0xC002, (None, 1, 0, 0), None),
}


@pytest.mark.parametrize("what", CASES)
def test_counters_and_statuses(asked: Callable[..., Any], what: str) -> None:
    items, final, counted, uids = CASES[what]
    response, peer, store = asked(items)
    assert response.Status == final
    assert counters(response) == counted
    # A warning, failure or cancel has an empty list where nothing failed.
    assert failed_uids(response) == (uids or ([] if response.Status else None))
    assert response.missing() == []
    response.encode()
    assert store.is_closed
    announced = items[0]
    for done, pending in enumerate(peer.responses, 1):
        assert pending.Status == PENDING
        assert pending.data_set is None
        assert pending.NumberOfRemainingSuboperations == announced - done
        assert sum(n or 0 for n in counters(pending)) == announced
        assert pending.MessageIDBeingRespondedTo == 7
    assert len(peer.responses) == len(store.stored)
    if final != 0 and not what.startswith("more"):
        assert sum(n or 0 for n in counters(response)) == announced


def test_more_than_announced_is_told_and_the_handler_closed() -> None:
    handler = Watched(iter(stores(0, 0, 0, announced=1)))
    response, _, store = run(get(), handler)
    assert len(store.stored) == 1
    assert "1 announced" in response.ErrorComment
    assert handler.asked == 3
    assert len(handler.closed_by) == 1


BAD_COUNTS = [None, "2", -1, 2.0, True, (PENDING, 0), Dataset(), [], b"1"]


@pytest.mark.parametrize("count", BAD_COUNTS, ids=repr)
def test_bad_counts(count: Any) -> None:
    for request, code in ((get(), 0xC413), (move(), 0xC513)):
        items = [count] if request.name == "C-GET" else [("host", 104), count]
        response, peer, store = run(request, iter(items))
        assert response.Status == code
        assert response.ErrorComment
        assert counters(response) == (None, None, None, None)
        assert failed_uids(response) == []
        assert peer.responses == store.stored == []


def test_too_many() -> None:
    for request, code in ((get(), 0xC416), (move(), 0xC516)):
        for count, final in ((65536, code), (1 << 70, code), (65535, 0xA702)):
            items = [count] if request.name == "C-GET" else [("host", 104), count]
            response, _, _ = run(request, items)
            assert response.Status == final
            if final == 0xA702:
                assert response.NumberOfFailedSuboperations == 65535
            response.encode()


def test_one_more_than_can_be_counted() -> None:
    items = [65535, *[(PENDING, 0xA700)] * 65536]
    response, _, store = run(get(), items)
    assert response.Status == 0xB000
    assert len(store.stored) == 65535
    assert response.NumberOfFailedSuboperations == 65535
    uids = failed_uids(response)
    assert uids is not None
    assert len(uids) == 65535


def test_a_handler_that_yields_nothing() -> None:
    assert run(get(), [])[0].Status == 0xC413
    assert run(move(), [])[0].Status == 0xC514
    assert run(move(), [("host", 104)])[0].Status == 0xC514


def test_a_handler_that_refuses_before_it_counts() -> None:
    """By yielding a status where a destination or a number is due, as many scripts do."""
    own = status(Status=0xC000, ErrorComment="no level")
    for make in (
        lambda: [(0xA900, None)],
        lambda: iter([(0xA900, None)]),
        lambda: 0xA900,
        lambda: (0xA900, None),
    ):
        for request in (get(), move()):
            response, _, _ = run(request, make)
            assert response.Status == 0xA900
            assert counters(response) == (None, None, None, None)
            assert failed_uids(response) == []
    response, _, store = run(move(), [("host", 104), (own, None)])
    assert (response.Status, response.ErrorComment) == (0xC000, "no level")
    assert store.is_closed


def test_an_unknown_destination() -> None:
    for items in ([(None, None), 2, (PENDING, 0)], lambda: (None, None)):
        response, _, _ = run(move(), items)
        assert response.Status == 0xA801
        assert failed_uids(response) == []
    assert response.ErrorComment


def test_a_destination_that_cannot_be_reached() -> None:
    handler = Watched(iter([("host", 104), *stores(0, 0, 0)]))
    response, peer, store = run(move(), handler, Store(is_reachable=False))
    assert response.Status == 0xA801
    assert counters(response) == (None, 0, 3, 0)
    assert failed_uids(response) == ["1.2.0"]
    assert peer.responses == []
    assert store.is_closed
    assert len(handler.closed_by) == 1


def test_a_destination_that_is_not_needed_is_not_reached() -> None:
    response, _, _ = run(move(), [("host", 104), 0], Store(is_reachable=False))
    assert response.Status == 0x0000


@pytest.mark.parametrize("after", [0, 1, 2, 3])
def test_a_handler_that_raises(asked: Callable[..., Any], after: int) -> None:
    def handler() -> Iterator[Any]:
        items = stores(0, 0xA700)
        yield from items[:after]
        raise ValueError("Doe^John")

    response, _, _ = asked(handler)
    assert response.Status == {"C-GET": 0xC411, "C-MOVE": 0xC511}[response.name]
    assert response.ErrorComment == "Unable to process"
    if after:
        assert counters(response) == (None, min(1, after - 1), 2 - min(1, after - 1), 0)
    assert failed_uids(response) == (["1.2.1"] if after == 3 else [])


def test_a_function_that_raises_or_gives_nothing() -> None:
    def raises() -> Any:
        raise NotImplementedError

    for handler in (raises, lambda: None, lambda: object()):
        for request, code in ((get(), 0xC411), (move(), 0xC511)):
            response, _, _ = run(request, handler)
            assert response.Status == code
            assert failed_uids(response) == []


@pytest.mark.parametrize("done", [0, 1, 2])
def test_cancelled(asked: Callable[..., Any], done: int) -> None:
    """What was sent is counted; the handler's next item is asked for and not sent."""
    response, _, store = asked(stores(0xB000, 0xA700, 0, 0), cancel_after=done)
    assert response.Status == 0xFE00
    assert len(store.stored) == done
    if done == 0:  # before the handler was asked how many there will be
        assert counters(response) == (None, None, None, None)
        assert failed_uids(response) == []
    else:
        assert counters(response) == (4 - done, 0, done - 1, 1)
        assert failed_uids(response) == (["1.2.1"] if done == 2 else [])


@pytest.mark.parametrize("at", [0, 1, 2])
def test_cancelled_handlers_are_asked_once_more_and_closed(at: int) -> None:
    items = [("host", 104), *stores(0, 0)]
    handler = Watched(iter(items))

    class Cancelling(Requestor):
        asked = 0

        @property
        def is_cancelled(self) -> bool:
            self.asked += 1
            return self.asked > at

    invocation = Cancelling(move()).invocation(lambda: handler)
    response = retrieve(invocation, Store().begin_move)
    assert response.Status == 0xFE00
    assert handler.asked == at + 1
    assert handler.closed_by == [threading.current_thread()]


def test_a_handler_that_answers_the_cancel_itself(asked: Callable[..., Any]) -> None:
    own = status(Status=0xFE00, ErrorComment="stopped")
    response, _, _ = asked(stores(0, announced=3, end=(own, None)), cancel_after=1)
    assert (response.Status, response.ErrorComment) == (0xFE00, "stopped")
    assert counters(response) == (2, 1, 0, 0)


def test_the_handler_is_closed_when_the_peer_is_gone(asked: Callable[..., Any]) -> None:
    handler = Watched(iter(stores(0, 0)))
    peer = Requestor(get())
    peer.is_gone = True
    store = Store()
    with pytest.raises(Stopped):
        retrieve(peer.invocation(lambda: handler), store.begin_get)
    assert handler.closed_by == [threading.current_thread()]
    assert store.is_closed


def test_what_the_handler_says_has_failed_is_listed_too() -> None:
    own = status(FailedSOPInstanceUIDList=["1.2.0", "9.9"])
    response, _, _ = run(get(), stores(0xA700, 0, end=(0xB000, own)))
    assert failed_uids(response) == ["1.2.0", "9.9"]
    own = status(FailedSOPInstanceUIDList="9.9")
    response, _, _ = run(get(), stores(0, announced=2, end=(0x0000, own)))
    assert response.Status == 0xB000
    assert failed_uids(response) == ["9.9"]


def test_a_list_is_known_ahead_and_a_generator_is_not() -> None:
    seen: list[Any] = []

    def begin(ask: Callable[[str], Any], ahead: Any) -> Store:
        seen.append(list(ahead))
        return Store()

    items = stores(0, 0)
    retrieve(Requestor(get()).invocation(lambda: items), begin)
    retrieve(Requestor(get()).invocation(lambda: iter(items)), begin)
    assert seen == [items, []]


SYNTAXES = {
    "implicit": IMPLICIT,
    "explicit": EXPLICIT,
    "big endian": "1.2.840.10008.1.2.2",
}


@pytest.mark.parametrize("count", [1, 2, 3, 1500])
@pytest.mark.parametrize("name", SYNTAXES)
def test_failed_lists(name: str, count: int) -> None:
    syntax = SYNTAXES[name]
    uids = [f"1.2.840.113619.2.{n:044d}" for n in range(count)]
    encoded = failed_list(uids, syntax)
    ds = read_dataset(BytesIO(encoded.getvalue()), syntax == IMPLICIT, name != "big endian")
    value = ds.FailedSOPInstanceUIDList
    if isinstance(value, bytes):  # too long for an explicit UI
        value = value.decode().rstrip("\0").split("\\")
    assert ([value] if isinstance(value, str) else list(value)) == uids
    assert encoded.size % 2 == 0


def test_a_deflated_failed_list() -> None:
    encoded = failed_list(["1.2.3"], "1.2.840.10008.1.2.1.99")
    assert encoded.decode().FailedSOPInstanceUIDList == "1.2.3"


def test_reports_while_a_large_one_is_on_its_way(asked: Callable[..., Any]) -> None:
    store = Store()
    store.reports = 2
    response, peer, _ = asked(stores(0, 0xA700), store=store)
    assert response.Status == 0xB000
    assert peer.statuses == [PENDING] * 6
    assert [counters(r) for r in peer.responses] == [
        (2, 0, 0, 0),
        (2, 0, 0, 0),
        (1, 1, 0, 0),
        (1, 1, 0, 0),
        (1, 1, 0, 0),
        (0, 1, 1, 0),
    ]
