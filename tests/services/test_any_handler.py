"""The engines with handlers that yield anything: one final response, and counters that add up."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from hypothesis import given
from hypothesis import strategies as st
from pydicom.dataset import Dataset

from pynetdicom.services.matching import matches
from pynetdicom.services.retrieval import retrieve
from tests.services.invoked import Requestor, Watched, find, get, move, status
from tests.services.test_retrieval import Store, anything_is_an_instance, counters

__all__ = ["anything_is_an_instance"]


class Raise:
    """Has the handler raise."""


def known(code: int) -> Dataset:
    return status(Status=code)


STATUSES = st.one_of(
    st.sampled_from([0xFF00, 0xFF01, 0x0000, 0xFE00, 0xA700, 0xB000, 0xC123, 0x1234]),
    st.sampled_from([0xFF00, 0x0000, 0xFE00]).map(known),
    st.sampled_from([None, "x", True, -1, 0x10000, 1.5]),
    st.builds(Dataset),
)
# A destination answers with what it is given, so these are the statuses of sub-operations.
DATA_SETS = st.sampled_from([0, 0, 0xB007, 0xA700, 0x0122, None])
IDENTIFIERS = st.one_of(
    st.builds(Dataset), st.builds(lambda: status(PatientID="1")), st.none(), st.just("x")
)
ODD = st.sampled_from([None, 5, "text", (), (0xFF00,), (1, 2, 3), [0xFF00, 0], Raise])
COUNTS = st.one_of(st.integers(0, 6), st.sampled_from([-1, 65535, 65536, None, "3", True, Raise]))
TARGETS = st.sampled_from([("host", 104), ("host", 104, {}), (None, None), None, 5, Raise])


def yielding(items: list[Any]) -> Iterator[Any]:
    for item in items:
        if item is Raise:
            raise ValueError
        yield item


@given(
    items=st.lists(st.one_of(st.tuples(STATUSES, IDENTIFIERS), ODD), max_size=6),
    cancel_after=st.one_of(st.none(), st.integers(0, 4)),
)
def test_matches(items: list[Any], cancel_after: int | None) -> None:
    peer = Requestor(find(), cancel_after=cancel_after)
    handler = Watched(yielding(items))
    response = matches(peer.invocation(lambda: handler))
    assert len(handler.closed_by) == 1
    assert response.Status not in (0xFF00, 0xFF01)
    assert response.data_set is None
    assert response.missing() == []
    response.encode()
    for sent in peer.responses:
        assert sent.Status in (0xFF00, 0xFF01)
        assert sent.data_set is not None
    if cancel_after is not None:
        assert len(peer.responses) <= cancel_after


@given(
    request=st.sampled_from([get(), move()]),
    target=TARGETS,
    count=COUNTS,
    items=st.lists(st.one_of(st.tuples(STATUSES, DATA_SETS), ODD), max_size=8),
    cancel_after=st.one_of(st.none(), st.integers(0, 4)),
    is_reachable=st.booleans(),
)
def test_retrieve(
    request: Any,
    target: Any,
    count: Any,
    items: list[Any],
    cancel_after: int | None,
    is_reachable: bool,
) -> None:
    peer = Requestor(request, cancel_after=cancel_after)
    store = Store(is_reachable=is_reachable)
    first = [target] if request.name == "C-MOVE" else []
    handler = Watched(yielding([*first, count, *items]))
    begin: Any = store.begin_get if request.name == "C-GET" else store.begin_move
    response = retrieve(peer.invocation(lambda: handler), begin)
    assert len(handler.closed_by) == 1
    assert response.Status not in (0xFF00, 0xFF01)
    assert response.missing() == []
    response.encode()
    assert len(peer.responses) == len(store.stored)
    for done, sent in enumerate(peer.responses, 1):
        assert sent.Status in (0xFF00, 0xFF01)
        assert sent.data_set is None
        assert sent.NumberOfRemainingSuboperations == count - done
        assert sum(n or 0 for n in counters(sent)) == count
    remaining, completed, failed, warning = counters(response)
    if completed is None:
        assert peer.responses == []
        assert (response.data_set is not None) is (response.Status != 0)
        return
    assert failed is not None
    assert warning is not None
    assert (response.data_set is not None) is (response.Status != 0)
    total = completed + failed + warning + (remaining or 0)
    assert total == count or (total == count + 1 and response.Status == 0xB000)
    assert (remaining is not None) is (response.Status == 0xFE00)
    if response.Status == 0x0000:
        assert failed == warning == 0
        assert response.data_set is None
