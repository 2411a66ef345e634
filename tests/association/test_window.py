"""The asynchronous operations window: several operations outstanding, either way.

``PYNETDICOM_OPERATIONS`` in the environment says how many are answered in random order;
``make test-window`` has a million answered.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.pdu_primitives import AsynchronousOperationsWindowNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    Verification,
)
from pynetdicom.upper_layer.acse import agreed_window
from tests.faults.peer import until
from tests.pair import serve
from tests.peers import DEADLINE, Call, ct

FIND = PatientRootQueryRetrieveInformationModelFind
GET = PatientRootQueryRetrieveInformationModelGet
Window = AsynchronousOperationsWindowNegotiation
OPERATIONS = int(os.environ.get("PYNETDICOM_OPERATIONS", "480"))


@contextmanager
def associated(
    *handlers: Any, window: Any = (4, 1), scp_window: Any = (4, 4), scu: Any = (), **how: Any
) -> Iterator[Any]:
    scp, requestor = AE("SCP"), AE("SCU")
    scp.window = scp_window
    for uid in (Verification, CTImageStorage, FIND, GET):
        scp.add_supported_context(uid, scu_role=True, scp_role=True)
        requestor.add_requested_context(uid)
    server = serve(scp, evt_handlers=list(handlers))
    try:
        assoc = requestor.associate(
            *server.server_address[:2], window=window, evt_handlers=list(scu), **how
        )
        assert assoc.is_established
        with assoc:
            yield assoc
    finally:
        server.shutdown()
        requestor.shutdown()


# What is agreed on


@pytest.mark.parametrize(
    ("offer", "answer", "agreed"),
    [
        (None, None, (1, 1)),
        ((4, 4), None, (1, 1)),
        (None, (4, 4), (1, 1)),
        ((1, 1), (1, 1), (1, 1)),
        ((8, 4), (2, 3), (2, 3)),
        ((8, 1), (8, 1), (8, 1)),
        ((0, 0), (0, 0), (64, 64)),
        ((0, 0), (5, 100), (5, 64)),
        ((200, 200), (200, 65), (64, 64)),
        ((3, 3), (9, 0), (3, 3)),  # which breaks the rule
    ],
)
def test_what_is_agreed_on(offer: Any, answer: Any, agreed: tuple[int, int]) -> None:
    items = (None if one is None else Window(*one) for one in (offer, answer))
    assert agreed_window(*items) == agreed


def negotiated(assoc: Any) -> tuple[int, int]:
    return assoc._link.negotiated.invoked, assoc._link.negotiated.performed


@pytest.mark.parametrize(
    ("window", "scp_window", "ours"),
    [
        (None, (1, 1), (1, 1)),
        ((8, 2), (1, 1), (1, 1)),  # the acceptor has none to give: no answer
        ((8, 2), (3, 4), (4, 2)),
        ((8, 0), (0, 0), (8, 64)),
        ((0, 0), (2, 9), (9, 2)),
        ((1, 1), (8, 8), (1, 1)),
    ],
)
def test_both_sides_agree(window: Any, scp_window: Any, ours: tuple[int, int]) -> None:
    acceptors: list[Any] = []
    bound = (evt.EVT_ESTABLISHED, lambda event: acceptors.append(event.assoc))
    with associated(bound, window=window, scp_window=scp_window) as assoc:
        assert negotiated(assoc) == ours
        assert until(lambda: acceptors)
        assert negotiated(acceptors[0]) == ours[::-1]
        assert assoc.send_c_echo().Status == 0x0000
        offered = [type(item) for item in assoc.requestor.extended_negotiation]
        assert (Window in offered) == (window not in (None, (1, 1)))


def test_the_window_of_the_ae_is_offered_and_can_be_switched_off() -> None:
    ae = AE("SCU")
    ae.add_requested_context(Verification)
    ae.window = (5, 6)
    scp = AE("SCP")
    scp.add_supported_context(Verification)
    scp.window = (0, 0)
    server = serve(scp)
    for how, agreed in [
        ({}, (5, 6)),
        ({"window": (2, 2)}, (2, 2)),
        ({"window": (1, 1)}, (1, 1)),
        ({"ext_neg": [Window(3, 3)]}, (3, 3)),
        ({"ext_neg": [Window(3, 3)], "window": (2, 2)}, (2, 2)),
        ({"ext_neg": [Window(3, 3)], "window": (1, 1)}, (1, 1)),
    ]:
        with ae.associate(*server.server_address[:2], **how) as assoc:  # type: ignore[arg-type]
            assert negotiated(assoc) == agreed
            offered = [x for x in assoc.requestor.extended_negotiation if isinstance(x, Window)]
            assert len(offered) == (agreed != (1, 1))
    server.shutdown()


@pytest.mark.parametrize("window", [(1,), (1, 2, 3), 4, (-1, 1), (1, 65536), ("1", 1), (True, 1)])
def test_what_is_no_window(window: Any) -> None:
    ae = AE()
    with pytest.raises((TypeError, ValueError)):
        ae.window = window
    assert ae.window == (1, 1)


@pytest.mark.parametrize(
    ("answer", "ours"),
    [
        *[((2, 3), (2, 3)), ([9, 9], (4, 5)), ((0, 0), (4, 5)), ("no", (1, 1)), ((1, 1), (1, 1))],
        # Those of the AE count where the handler has none.
        *[(None, (4, 5)), (ValueError("mine"), (4, 5))],
    ],
)
def test_a_handler_answers(answer: Any, ours: tuple[int, int]) -> None:
    def answers(event: Any) -> Any:
        assert (event.nr_invoked, event.nr_performed) == (4, 5)
        if isinstance(answer, Exception):
            raise answer
        return answer

    handler = (evt.EVT_ASYNC_OPS, answers)
    with associated(handler, window=(4, 5), scp_window=(8, 8)) as assoc:
        assert negotiated(assoc) == ours


# Several at once


def test_many_are_outstanding() -> None:
    """None is answered before as many are there as may be."""
    together = threading.Barrier(4)

    def store(event: Any) -> int:
        together.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        calls = [Call(assoc.send_c_store, ct()) for _ in range(12)]
        assert [call.result(DEADLINE).Status for call in calls] == [0x0000] * 12


def test_answers_come_in_any_order() -> None:
    second_is_answered = threading.Event()

    def store(event: Any) -> int:
        if event.request.Priority == 1:
            assert second_is_answered.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        first = Call(assoc.send_c_store, ct(), priority=1)
        assert until(lambda: assoc.dimse.outstanding())
        assert assoc.send_c_store(ct()).Status == 0x0000
        second_is_answered.set()
        assert first.result(DEADLINE).Status == 0x0000


def test_a_handler_that_does_not_return_holds_up_nobody_else() -> None:
    released = threading.Event()

    def store(event: Any) -> int:
        if event.request.Priority == 1:
            released.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        stuck = Call(assoc.send_c_store, ct(), priority=1)
        assert until(lambda: assoc.dimse.outstanding())
        calls = [Call(assoc.send_c_store, ct()) for _ in range(20)]
        assert [call.result(DEADLINE).Status for call in calls] == [0x0000] * 20
        released.set()
        assert stuck.result(DEADLINE).Status == 0x0000


def test_a_query_does_not_hold_up_what_is_done_with_its_matches() -> None:
    def find(event: Any) -> Iterator[Any]:
        for number in range(50):
            match = Dataset()
            match.QueryRetrieveLevel, match.PatientID = "PATIENT", str(number)
            yield 0xFF00, match

    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.PatientID = "PATIENT", ""
    stored = (evt.EVT_C_STORE, lambda event: 0x0000)
    with associated((evt.EVT_C_FIND, find), stored) as assoc:
        for status, _ in assoc.send_c_find(wanted, FIND):
            if status.Status == 0xFF00:
                assert assoc.send_c_store(ct()).Status == 0x0000


@pytest.mark.timeout(60 + OPERATIONS // 50)
def test_each_answer_to_its_owner() -> None:
    """Answered in random order; the originator of a request says whose it is."""
    owners = 8

    def store(event: Any) -> Any:
        threading.Event().wait(random.random() / 500)
        status = Dataset()
        status.Status = 0xB000
        status.ErrorComment = event.request.MoveOriginatorApplicationEntityTitle
        return status

    def send(assoc: Any, owner: int) -> None:
        ds = ct(10)
        for number in range(OPERATIONS // owners):
            whose = f"{owner} {number}"
            assert assoc.send_c_store(ds, originator_aet=whose).ErrorComment == whose

    with associated((evt.EVT_C_STORE, store), window=(8, 1), scp_window=(1, 8)) as assoc:
        for call in [Call(send, assoc, owner) for owner in range(owners)]:
            call.result(DEADLINE + OPERATIONS)


def copies(tmp_path: Path, count: int) -> list[Path]:
    source = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    paths = [tmp_path / f"{number}.dcm" for number in range(count)]
    for path in paths:
        path.write_bytes(source)
    return paths


def test_many_files_keep_the_window_full(tmp_path: Path) -> None:
    together = threading.Barrier(4)
    paths = copies(tmp_path, 12)

    def store(event: Any) -> int:
        together.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        results = list(assoc.send_c_stores(paths))
    assert [path for path, _ in results] == paths
    assert [status.Status for _, status in results] == [0x0000] * 12


def test_the_peer_aborts_in_the_midst_of_many_files(tmp_path: Path) -> None:
    """Those that were sent have failed; those that were not go on another association."""
    paths = copies(tmp_path, 12)
    taken: list[int] = []

    def store(event: Any) -> int:
        taken.append(1)
        if len(taken) == 3:
            event.assoc.abort()
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        results = list(assoc.send_c_stores(paths))
    assert [path for path, _ in results] == paths
    failed = [status.problem for _, status in results if "Status" not in status]
    assert 1 <= len(failed) <= 4
    assert all(problem.startswith("no answer: ") for problem in failed)


def test_a_loop_over_many_files_is_left(tmp_path: Path) -> None:
    with associated((evt.EVT_C_STORE, lambda event: 0x0000)) as assoc:
        for _ in assoc.send_c_stores(copies(tmp_path, 12)):
            break
        assert assoc.send_c_echo().Status == 0x0000


@pytest.mark.threads("names the threads")
def test_sub_operations_of_a_c_get_come_on_several_threads() -> None:
    names: set[str] = set()

    def get(event: Any) -> Iterator[Any]:
        yield 6
        for _ in range(6):
            yield 0xFF00, ct()

    def store(event: Any) -> int:
        names.add(threading.current_thread().name)
        return 0x0000

    wanted = Dataset()
    wanted.QueryRetrieveLevel, wanted.PatientID = "PATIENT", "1"
    with associated(
        (evt.EVT_C_GET, get),
        scu=[(evt.EVT_C_STORE, store)],
        window=(2, 4),
        ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
    ) as assoc:
        *_, (status, _) = assoc.send_c_get(wanted, GET)
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 6)
    assert all(name.startswith("pynetdicom-requestor-") for name in names)


@pytest.mark.parametrize("performed", [1, 2])
def test_sub_operations_of_a_c_get_count(performed: int) -> None:
    """The archive stores something else meanwhile: together they are as many as was agreed."""
    both = threading.Barrier(2)
    lock, running, most = threading.Lock(), 0, 0
    others: list[Call] = []

    def get(event: Any) -> Iterator[Any]:
        yield 1
        others.append(Call(event.assoc.send_c_store, ct()))
        yield 0xFF00, ct()

    def store(event: Any) -> int:
        nonlocal running, most
        with lock:
            running += 1
            most = max(most, running)
        if performed == 2:
            both.wait(DEADLINE)
        with lock:
            running -= 1
        return 0x0000

    with associated(
        (evt.EVT_C_GET, get),
        scu=[(evt.EVT_C_STORE, store)],
        window=(2, performed),
        ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
    ) as assoc:
        for _ in range(1 if performed == 2 else 20):
            *_, (status, _) = assoc.send_c_get(wanted(), GET)
            assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 1)
            assert others.pop().result(DEADLINE).Status == 0x0000
    assert most == performed


def wanted() -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.PatientID = "PATIENT", ""
    return ds


def endless(event: Any) -> Iterator[Any]:
    """Matches until it is cancelled."""
    while not event.is_cancelled:
        yield 0xFF00, event.identifier
        threading.Event().wait(0.001)
    yield 0xFE00, None


def test_one_of_several_queries_is_cancelled() -> None:
    with associated((evt.EVT_C_FIND, endless)) as assoc:
        queries = [assoc.send_c_find(wanted(), FIND) for _ in range(3)]
        for query in queries:
            assert next(query)[0].Status == 0xFF00
        second = assoc.dimse.outstanding()[1].message_id
        assoc.send_c_cancel(second)
        *_, (status, _) = queries[1]
        assert status.Status == 0xFE00
        for query in (queries[0], queries[2]):
            assert next(query)[0].Status == 0xFF00
            query.close()
        assert until(lambda: not assoc.dimse.outstanding())


def test_queries_that_are_left_give_their_place_back() -> None:
    """More of them than the window is wide, one after another."""
    stored = (evt.EVT_C_STORE, lambda event: 0x0000)
    with associated((evt.EVT_C_FIND, endless), stored, window=(2, 1)) as assoc:
        for _ in range(10):
            for _ in assoc.send_c_find(wanted(), FIND):
                break
        assert assoc.send_c_store(ct()).Status == 0x0000
        assert until(lambda: not assoc.dimse.outstanding())


def test_the_acceptor_has_several_outstanding() -> None:
    """As many as the requestor performs, from any threads of its own."""
    together = threading.Barrier(3)
    acceptors: list[Any] = []

    def store(event: Any) -> int:
        together.wait(DEADLINE)
        return 0x0000

    bound = (evt.EVT_ESTABLISHED, lambda event: acceptors.append(event.assoc))
    with associated(
        bound,
        scu=[(evt.EVT_C_STORE, store)],
        window=(1, 3),
        ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
    ) as assoc:
        assert until(lambda: acceptors)
        calls = [Call(acceptors[0].send_c_store, ct()) for _ in range(6)]
        assert [call.result(DEADLINE).Status for call in calls] == [0x0000] * 6
        assert assoc.is_established


def test_silence_while_several_are_outstanding() -> None:
    """It ends all of them, and says by what."""
    released = threading.Event()

    def store(event: Any) -> int:
        assert released.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        assoc.dimse_timeout = 0.2
        calls = [Call(assoc.send_c_store, ct()) for _ in range(4)]
        assert ["Status" in call.result(DEADLINE) for call in calls] == [False] * 4
        assert "dimse_timeout" in str(assoc.ended)
        released.set()


def test_an_abort_ends_all_that_is_outstanding() -> None:
    begun, released = threading.Semaphore(0), threading.Event()

    def store(event: Any) -> int:
        begun.release()
        assert released.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        calls = [Call(assoc.send_c_store, ct()) for _ in range(4)]
        for _ in calls:
            assert begun.acquire(timeout=DEADLINE)
        assoc.abort()
        assert ["Status" in call.result(DEADLINE) for call in calls] == [False] * 4
        assert str(assoc.ended) == "aborted by the local side"
        released.set()


def test_a_release_that_takes_too_long_does_not_spin(monkeypatch: pytest.MonkeyPatch) -> None:
    """Once the time is up the Association thread waits for the end, which another one makes."""
    released = threading.Event()

    def store(event: Any) -> int:
        assert released.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        call = Call(assoc.send_c_store, ct())
        assert until(lambda: assoc.dimse.outstanding())
        assoc.acse_timeout = 0.1
        aborts: list[Any] = []
        abort = assoc.dul.abort

        def later(ended: Any, **how: Any) -> None:
            """As if another thread were just writing."""
            aborts.append(ended)
            if len(aborts) == 1:
                threading.Timer(0.3, abort, [ended]).start()

        monkeypatch.setattr(assoc.dul, "abort", later)
        assoc._release_later()
        assert "Status" not in call.result(DEADLINE)
        assoc.join(DEADLINE)
        assert len(aborts) <= 2
        monkeypatch.undo()
        released.set()


# Beyond the window


def flood(assoc: Any, count: int) -> list[Any]:
    """Send requests without regard to the window, and wait for the answers."""
    assoc._link.negotiated = assoc._link.negotiated.__class__(
        assoc._link.negotiated.accepted, [], 0, invoked=count
    )
    return [Call(assoc.send_c_store, ct()) for _ in range(count)]


def test_what_is_beyond_the_window_is_refused() -> None:
    released = threading.Event()

    def store(event: Any) -> int:
        assert released.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        calls = flood(assoc, 10)
        assert until(lambda: sum(call.is_alive() for call in calls) == 4)
        released.set()
        statuses = sorted(call.result(DEADLINE).Status for call in calls)
        assert statuses == [0x0000] * 4 + [0x0213] * 6
        assert assoc.send_c_echo().Status == 0x0000


def test_who_goes_on_beyond_the_window_is_aborted() -> None:
    released = threading.Event()

    def store(event: Any) -> int:
        released.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        calls = flood(assoc, 100)
        for call in calls:
            try:
                call.result(DEADLINE)
            except RuntimeError:  # it was over by then
                continue
        assert assoc.is_aborted
        released.set()


def test_without_a_window_they_are_served_one_by_one() -> None:
    served: list[int] = []
    names: set[str] = set()

    def store(event: Any) -> int:
        served.append(1)
        names.add(threading.current_thread().name)
        assert len(served) == 1
        served.pop()
        return 0x0000

    with associated((evt.EVT_C_STORE, store), window=(1, 1)) as assoc:
        for call in flood(assoc, 10):
            assert call.result(DEADLINE).Status == 0x0000
    assert names == {"pynetdicom-acceptor"}


# Its end


@pytest.mark.parametrize("who", ["requestor", "acceptor"])
def test_release_waits_for_what_is_being_served(who: str) -> None:
    begun, released = threading.Semaphore(0), threading.Event()
    acceptors: list[Any] = []

    def store(event: Any) -> int:
        begun.release()
        assert released.wait(DEADLINE)
        return 0x0000

    bound = (evt.EVT_ESTABLISHED, lambda event: acceptors.append(event.assoc))
    with associated((evt.EVT_C_STORE, store), bound) as assoc:
        calls = [Call(assoc.send_c_store, ct()) for _ in range(3)]
        for _ in calls:
            assert begun.acquire(timeout=DEADLINE)
        releasing = Call((assoc if who == "requestor" else acceptors[0]).release)
        assert until(lambda: assoc.dimse._closed or who == "acceptor")
        released.set()
        assert [call.result(DEADLINE).Status for call in calls] == [0x0000] * 3
        releasing.result(DEADLINE)
        assert assoc.is_released


def test_a_handler_releases() -> None:
    def store(event: Any) -> int:
        event.assoc.release()
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        assert assoc.send_c_store(ct()).Status == 0x0000
        assert until(lambda: assoc.is_released)


@pytest.mark.parametrize("how", ["abort", "shutdown", "exit"])
def test_a_handler_ends_it(how: str) -> None:
    begun = threading.Semaphore(0)

    def store(event: Any) -> int:
        begun.release()
        if event.request.Priority != 1:
            return 0x0000
        for _ in range(2):
            assert begun.acquire(timeout=DEADLINE)
        if how == "exit":
            raise SystemExit
        getattr(event.assoc if how == "abort" else event.assoc.ae, how)()
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        first = Call(assoc.send_c_store, ct(), priority=1)
        assert assoc.send_c_store(ct()).get("Status") in (0x0000, None)
        status = first.result(DEADLINE)
        assert ("Status" in status) == (how == "exit")
        assert assoc.is_aborted == (how != "exit")


def test_silence_is_measured_when_nobody_is_served() -> None:
    """A handler may take longer than the network_timeout."""
    released = threading.Event()

    def store(event: Any) -> int:
        event.assoc.network_timeout = 0.05
        assert not released.wait(0.5)
        return 0x0000

    with associated((evt.EVT_C_STORE, store)) as assoc:
        assert assoc.send_c_store(ct()).Status == 0x0000
        assert until(lambda: assoc.is_aborted)


def test_requests_that_are_none_are_answered_in_a_window() -> None:
    """A Message ID twice at a time."""
    released, begun = threading.Event(), threading.Event()

    def echo(event: Any) -> int:
        begun.set()
        assert released.wait(DEADLINE)
        return 0x0000

    with associated((evt.EVT_C_ECHO, echo)) as assoc:
        first = Call(assoc.send_c_echo, 7)
        assert begun.wait(DEADLINE)
        (context,) = (c for c in assoc.accepted_contexts if c.abstract_syntax == Verification)
        again = C_ECHO(MessageID=7, AffectedSOPClassUID=Verification)
        assoc._invoker.messenger.send(again, context.context_id)
        # Whose answer it is cannot be told: the peer says that it is a duplicate.
        assert first.result(DEADLINE).Status == 0x0210
        released.set()
