"""pynetdicom.association.responses: leaving an iterator early, from wherever, spoils nothing."""

from __future__ import annotations

import contextlib
import gc
import queue
import random
import socket
import threading
from collections.abc import Callable
from functools import partial
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.association import responses as module
from pynetdicom.dimse.primitives import C_GET, Primitive
from pynetdicom.network import dul
from pynetdicom.services.retrieval import failed_list, failed_uids
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from tests.faults.peer import IMPLICIT, RELEASE_RP, echo_rq, request, until
from tests.pair import serve
from tests.peers import DEADLINE, Call, interrupted_when
from tests.scp import FIND, GET, MOVE, PENDING, Scp, associated, encoded, identifier, matching


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)


def names(responses: Any) -> list[str]:
    return [str(found.PatientName) for _, found in responses if found is not None]


class Cancellable:
    """An SCP whose C-FIND of ALICE goes on until it is cancelled; others have `count` matches."""

    def __init__(self, count: int = 3, first: int = 5) -> None:
        self.count, self.first = count, first
        self.cancelled: list[int] = []
        self.got_cancel = threading.Event()

    def __call__(self, peer: Scp) -> None:
        waiting: dict[int, tuple[int, Primitive]] = {}

        def handle(context_id: int, request: Primitive, asked: Dataset | None) -> None:
            if request.name == "C-CANCEL":
                number = request.MessageIDBeingRespondedTo
                assert number is not None
                self.cancelled.append(number)
                if number in waiting:
                    _, found = waiting.pop(number)
                    # What had been found by then, and the end.
                    data = encoded(context_id, found.response(PENDING), identifier("ALICE"))
                    peer.send(data * 7)
                    peer.answer(context_id, found.response(0xFE00))
                self.got_cancel.set()
                return
            name = "" if asked is None else str(asked.PatientName)
            forever = name == "ALICE"
            for _ in range(self.first if forever else self.count if name else 0):
                peer.answer(context_id, request.response(PENDING), identifier(name))
            if forever:
                waiting[request.MessageID or 0] = (context_id, request)
            else:
                peer.answer(context_id, request.response(0x0000))

        peer.serve(handle)


# The next operation gets its own answers


def test_leaving_a_query_early_does_not_spoil_the_next() -> None:
    with associated(lambda peer: peer.serve(matching(peer))) as assoc:
        for status, found in assoc.send_c_find(identifier("ALICE"), FIND):
            assert (status.Status, str(found.PatientName)) == (PENDING, "ALICE")
            break
        results = list(assoc.send_c_find(identifier("BOB"), FIND))
        assert [status.Status for status, _ in results] == [PENDING] * 20 + [0]
        assert names(results) == ["BOB"] * 20
        assoc.release()
        assert assoc.is_released


def by_break(assoc: Any) -> None:
    for _ in assoc.send_c_find(identifier(), FIND):
        break


def by_exception(assoc: Any) -> None:
    with contextlib.suppress(ZeroDivisionError):
        for _ in assoc.send_c_find(identifier(), FIND):
            raise ZeroDivisionError


def by_close(assoc: Any) -> None:
    responses = assoc.send_c_find(identifier(), FIND)
    next(responses)
    responses.close()
    responses.close()
    assert list(responses) == []


def by_throw(assoc: Any) -> None:
    responses = assoc.send_c_find(identifier(), FIND)
    assert responses.send(None)[0].Status == PENDING
    with pytest.raises(KeyError, match="why"):
        responses.throw(KeyError("why"))
    assert list(responses) == []


def by_context_manager(assoc: Any) -> None:
    with assoc.send_c_find(identifier(), FIND) as responses:
        next(responses)


def by_never_starting(assoc: Any) -> None:
    assoc.send_c_find(identifier(), FIND)


def by_a_cycle(assoc: Any) -> None:
    class Cycle:
        pass

    cycle = Cycle()
    cycle.responses = assoc.send_c_find(identifier(), FIND)  # type: ignore[attr-defined]
    cycle.itself = cycle  # type: ignore[attr-defined]
    del cycle
    gc.collect()


def by_another_thread(assoc: Any) -> None:
    responses = assoc.send_c_find(identifier(), FIND)
    next(responses)
    Call(responses.close).result()


WAYS = [
    by_break,
    by_exception,
    by_close,
    by_throw,
    by_context_manager,
    by_never_starting,
    by_a_cycle,
    by_another_thread,
]


@pytest.mark.parametrize("leave", WAYS)
def test_every_way_to_leave_cancels_once_and_swallows_the_rest(
    leave: Callable[[Any], None],
) -> None:
    scp = Cancellable()
    with associated(scp) as assoc:
        for _ in range(5):
            leave(assoc)
            assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 3
        assert assoc.dimse.strays == 0
        assoc.release()
        assert assoc.is_released
    assert scp.cancelled == [1, 3, 5, 7, 9]


def test_a_query_that_is_dropped_is_cancelled_though_nobody_sends() -> None:
    """By the Association thread, which is woken for it."""
    for _ in range(20):
        scp = Cancellable()
        with associated(scp) as assoc:
            by_break(assoc)
            assert scp.got_cancel.wait(DEADLINE)


def test_an_acceptors_association_thread_is_woken_too() -> None:
    """It reads itself, and the peer says nothing. Roles are such that the acceptor may query."""
    ae = AE("SCP")
    ae.add_supported_context(FIND, scu_role=True, scp_role=True)
    asked: queue.SimpleQueue[Any] = queue.SimpleQueue()

    def query(assoc: Any) -> None:
        asked.put((assoc, [assoc.send_c_find(identifier(), FIND)]))

    server = serve(ae, evt_handlers=[(evt.EVT_ESTABLISHED, lambda event: Call(query, event.assoc))])
    rq = pdus.decode_pdu(
        request(
            items.PresentationContextRQ(
                context_id=1, abstract_syntax=FIND, transfer_syntaxes=[IMPLICIT]
            )
        )
    )
    assert isinstance(rq, pdus.A_ASSOCIATE_RQ)
    rq.user_information.append(build_role(FIND, scu_role=True, scp_role=True))
    try:
        with Scp.connect(server.server_address) as peer:
            peer.associate(rq.encode())
            assert isinstance(peer, Scp)
            assert peer.message()[1].name == "C-FIND"
            _, held = asked.get(timeout=DEADLINE)
            held.clear()
            assert peer.message()[1].name == "C-CANCEL"
    finally:
        ae.shutdown()


def test_the_finalizer_takes_no_lock() -> None:
    """It runs here while every lock of the association is held, the write lock by a writer."""
    scp = Cancellable()
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        next(responses)

        def finalize() -> None:
            with assoc.lock:
                Call(responses.__del__).result(DEADLINE)

        driver = assoc.dul.driver
        holds = [
            driver.writer.hold,
            driver._telling,
            assoc.ae._running._counting,
            assoc._handlers._changing,
        ]
        for hold in holds:
            finalize = partial(hold.run, finalize)  # type: ignore[assignment]
        finalize()
        assert scp.got_cancel.wait(DEADLINE)
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 3


@pytest.mark.threads("names the threads")
def test_the_finalizer_on_the_dul_thread_while_a_writer_holds_the_write_lock() -> None:
    """The DUL thread goes on; the C-CANCEL is sent once the writer is done."""
    go_on = threading.Event()
    said: list[str] = []

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(PENDING), identifier())
        assert go_on.wait(DEADLINE)
        for number in (1, 2):
            peer.send(echo_rq(number))
        for _ in range(3):
            said.append(peer.message()[1].message_name)
        peer.answer(context_id, request.response(0xFE00))
        peer.serve(matching(peer))

    held: list[Any] = []
    dropped = threading.Event()
    here: list[bool] = []

    def drop(event: Any) -> None:
        if held:
            held.clear()
            gc.collect()
            here.append(event.assoc.dul.is_reading_here)
            dropped.set()

    with associated(script) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        next(responses)
        held.append([responses])
        held[0].append(held[0])  # a cycle
        del responses
        assoc.bind(evt.EVT_DATA_RECV, drop)

        def write() -> None:
            go_on.set()
            assert dropped.wait(DEADLINE)
            assert here == [True]
            assert said == []

        assoc.dul.driver.writer.hold.run(write)
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 20
    assert sorted(said) == ["C-CANCEL-RQ", "C-ECHO-RSP", "C-ECHO-RSP"]


def test_close_on_the_dul_thread_leaves_the_cancel_to_others() -> None:
    go_on = threading.Event()

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        assert go_on.wait(DEADLINE)
        peer.answer(context_id, request.response(PENDING), identifier())
        assert peer.message()[1].name == "C-CANCEL"
        peer.answer(context_id, request.response(0xFE00))
        peer.serve(matching(peer, 3))

    with associated(script) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        assoc.bind(evt.EVT_DATA_RECV, lambda event: responses.close())
        go_on.set()
        assert list(responses) == []
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 3


def test_closing_wakes_who_waits() -> None:
    scp = Cancellable(first=1)
    for _ in range(20):
        with associated(scp) as assoc:
            responses = assoc.send_c_find(identifier(), FIND)
            next(responses)
            waiting = Call(list, responses)
            responses.close()
            assert waiting.result() == []


def test_two_threads_cannot_ask_for_the_next_response_at_once() -> None:
    scp = Cancellable(first=0)
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        asked = threading.Event()
        assoc._invoker.check_wait = lambda: asked.set()
        waiting = Call(next, responses, None)
        assert asked.wait(DEADLINE)
        with pytest.raises(ValueError, match="another thread"):
            next(responses)
        responses.close()
        assert waiting.result() is None


@pytest.mark.threads("Ctrl-C")
def test_ctrl_c_while_waiting_cancels() -> None:
    scp = Cancellable(first=1)
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        next(responses)
        with (
            pytest.raises(KeyboardInterrupt),
            interrupted_when(lambda: not threading.Event().wait(0.1)),
        ):
            next(responses)
        assert scp.got_cancel.wait(DEADLINE)
        assert list(responses) == []
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 3


@pytest.mark.threads("Ctrl-C")
@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError])
def test_a_cancel_that_was_left_to_a_thread_which_is_interrupted(
    monkeypatch: pytest.MonkeyPatch, error: type[BaseException]
) -> None:
    """By Ctrl-C; or it is a signal's handler that asks, in the midst of what is being sent."""
    scp = Cancellable()
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        next(responses)
        invoker, driver = assoc._invoker, assoc.dul.driver
        with monkeypatch.context() as patch:
            patch.setattr(assoc._link.inbox, "put", lambda item: None)
            del responses
        send_cancel = invoker.send_cancel

        def interrupted(*args: Any, **kwargs: Any) -> bool:
            monkeypatch.undo()
            if error is KeyboardInterrupt:
                raise KeyboardInterrupt
            driver.writer.hold.run(lambda: send_cancel(*args, **kwargs))
            return True

        monkeypatch.setattr(invoker, "send_cancel", interrupted)
        with pytest.raises(error):
            assoc.send_c_find(identifier("BOB"), FIND)
        assert scp.got_cancel.wait(DEADLINE)
        assert names(assoc.send_c_find(identifier("BOB"), FIND)) == ["BOB"] * 3
        assert scp.cancelled == [1]


def test_nothing_is_cancelled_when_all_has_arrived() -> None:
    cancelled: list[Primitive] = []

    def script(peer: Scp) -> None:
        find = matching(peer, 3)

        def handle(context_id: int, request: Primitive, asked: Dataset | None) -> None:
            if request.name == "C-CANCEL":
                cancelled.append(request)
            find(context_id, request, asked)

        peer.serve(handle)

    with associated(script) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        assoc.send_c_echo()  # so by now the final response is there
        next(responses)
        responses.close()
        assert list(responses) == []
        assert len(list(assoc.send_c_find(identifier(), FIND))) == 4
        assoc.release()
    assert cancelled == []


def test_a_message_id_that_was_abandoned_is_waited_for() -> None:
    scp = Cancellable()
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND, msg_id=1)
        with pytest.raises(ValueError, match="1 is that of an outstanding"):
            assoc.send_c_find(identifier("BOB"), FIND, msg_id=1)
        responses.close()
        again = assoc.send_c_find(identifier("BOB"), FIND, msg_id=1)
        assert again.message_id == 1
        assert names(again) == ["BOB"] * 3


def test_a_peer_that_ignores_the_cancel_is_heard_out() -> None:
    with associated(lambda peer: peer.serve(matching(peer, 3000))) as assoc:
        by_break(assoc)
        assert names(assoc.send_c_find(identifier("BOB"), FIND))[:2] == ["BOB", "BOB"]


def test_a_peer_that_falls_silent_after_the_cancel() -> None:
    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(PENDING), identifier())
        peer.rest_until_abort()

    with associated(script) as assoc:
        by_break(assoc)
        assoc.dimse_timeout = 0.2
        ((status, found),) = list(assoc.send_c_find(identifier("BOB"), FIND))
        assert (len(status), found) == (0, None)
        assert assoc.ended.timer == "dimse_timeout"


def test_an_abandoned_operation_does_not_keep_a_silent_association() -> None:
    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(PENDING), identifier())
        peer.rest_until_abort()

    with associated(script) as assoc:
        by_break(assoc)
        assoc.network_timeout = 0.3
        assoc.join(DEADLINE)
        assert not assoc.is_alive()
        assert assoc.ended.timer == "network_timeout"


@pytest.mark.parametrize("seed", range(4))
def test_threads_that_leave_at_random_get_their_own_answers(seed: int) -> None:
    """On one association, in every way there is to leave."""

    def use(assoc: Any, number: int) -> int:
        chance = random.Random(seed * 100 + number)
        count = 0
        for turn in range(25):
            name = f"{number}-{turn}"
            leave_after = chance.choice((0, 1, 5, 1000))
            how = chance.choice(("break", "close", "close elsewhere", "cancel"))
            responses = assoc.send_c_find(identifier(name), FIND)
            for _, found in responses:
                if found is not None:
                    assert found.PatientName == name
                    count += 1
                leave_after -= 1
                if leave_after == 0 and how == "close":
                    responses.close()
                elif leave_after == 0 and how == "close elsewhere":
                    Call(responses.close).result()
                elif leave_after == 0 and how == "cancel":
                    assoc.send_c_cancel(responses.message_id)
                elif leave_after <= 0 and how == "break":
                    break
            del responses
            if chance.random() < 0.3:
                assert assoc.send_c_echo().Status == 0
        return count

    with associated(lambda peer: peer.serve(matching(peer, 30))) as assoc:
        calls = [Call(use, assoc, number) for number in range(4)]
        assert all(call.result() > 0 for call in calls)
        assert assoc.dimse.strays == 0
        assoc.release()
        assert assoc.is_released


# Nested use


@pytest.mark.parametrize("what", ["send_c_echo", "send_c_find", "send_c_move", "send_c_get"])
def test_other_operations_within_the_loop(what: str) -> None:
    models = {"send_c_find": FIND, "send_c_move": MOVE, "send_c_get": GET}

    def nested(assoc: Any) -> int:
        if what == "send_c_echo":
            return int(assoc.send_c_echo().Status)
        where = ["STORESCP"] if what == "send_c_move" else []
        results = list(getattr(assoc, what)(identifier("BOB"), *where, models[what]))
        return int(results[-1][0].Status)

    with associated(lambda peer: peer.serve(matching(peer, 30)), FIND, MOVE, GET) as assoc:
        seen = []
        for status, found in assoc.send_c_find(identifier(), FIND):
            assert nested(assoc) == 0
            seen.append((status.Status, found and found.PatientID))
        assert seen == [*((PENDING, str(number)) for number in range(30)), (0, None)]


def test_storing_within_the_loop() -> None:
    from tests.peers import CT, ct

    def script(peer: Scp) -> None:
        peer.serve(matching(peer, 5))

    with associated(script, FIND, CT) as assoc:
        matches = 0
        for _ in assoc.send_c_find(identifier(), FIND):
            matches += 1
            assert assoc.send_c_store(ct()).Status == 0
        assert matches == 6


def test_the_wait_for_an_operation_that_waits_for_the_handler_is_refused() -> None:
    from pynetdicom.dimse.primitives import C_STORE
    from tests.peers import CT, ct
    from tests.scp import requestor

    said: list[BaseException] = []
    asked, handled = threading.Event(), threading.Event()

    def store(event: Any) -> int:
        assert asked.wait(DEADLINE)
        for call in (event.assoc.send_c_echo, lambda: event.assoc.send_c_get(identifier(), GET)):
            with pytest.raises(RuntimeError, match=r"C-(ECHO|GET)-RQ .*C-GET 1") as caught:
                call()
            said.append(caught.value)
        with pytest.raises(RuntimeError, match="waiting for a response"):
            next(responses)
        handled.set()
        return 0

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        sub = C_STORE(MessageID=7, AffectedSOPClassUID=CT, AffectedSOPInstanceUID="1.2", Priority=2)
        peer.answer(5, sub, ct())
        _, response = peer.command()
        assert (response.name, response.Status) == ("C-STORE", 0)
        done = request.response(0)
        done.NumberOfCompletedSuboperations = 1
        peer.answer(context_id, done)
        peer.serve(matching(peer))

    def accept(peer: Scp) -> None:
        accept_with_roles(peer, items.SCP_SCU_RoleSelectionNegotiation, CT)

    with associated(
        script,
        ae=requestor(GET, CT),
        ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, store)],
        accept=accept,
    ) as assoc:
        responses = assoc.send_c_get(identifier(), GET)
        asked.set()
        assert handled.wait(DEADLINE)
        ((status, _),) = list(responses)
        assert status.NumberOfCompletedSuboperations == 1
        assert len(said) == 2
        assert assoc.send_c_echo().Status == 0


def accept_with_roles(peer: Scp, role: Any, *uids: str) -> None:
    """Accept all, with the requestor as SCP of these SOP Classes."""
    from pynetdicom.testing.pdus import acceptance

    ac = acceptance(peer.expect("A-ASSOCIATE-RQ"))
    for uid in uids:
        ac.user_information.append(role(sop_class_uid=uid, scu_role=False, scp_role=True))
    peer.send(ac.encode())


# Ends of the association


def test_abort_wakes_who_waits_at_once() -> None:
    scp = Cancellable(first=0)
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        waiting = Call(list, responses)
        assoc.abort()
        ((status, found),) = waiting.result()
        assert (len(status), found) == (0, None)
        assert "aborted" in status.problem


def test_release_waits_for_the_query_whose_consumer_gets_everything() -> None:
    with associated(lambda peer: peer.serve(matching(peer, 700))) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        next(responses)
        assoc.release()
        assert assoc.is_released
        assert len(list(responses)) == 700


@pytest.mark.parametrize("how", ["release", "abort", "close"])
def test_the_peer_ends_it(how: str) -> None:
    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(PENDING), identifier())
        if how == "release":
            peer.send(bytes.fromhex("05 00 00000004 00000000"))
            assert peer.pdu()[0] == 6
        elif how == "abort":
            peer.send(bytes.fromhex("07 00 00000004 00000000"))
        peer.socket.shutdown(socket.SHUT_WR)

    with associated(script) as assoc:
        results = list(assoc.send_c_find(identifier(), FIND))
        assert [len(status) for status, _ in results] == [1, 0]
        assert results[1][1] is None
        assert results[1][0].problem
        assert not assoc.is_established


def test_dimse_timeout_yields_an_empty_status_once() -> None:
    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        peer.answer(context_id, request.response(PENDING), identifier())
        peer.rest_until_abort()

    with associated(script) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        results = [next(responses)]
        assoc.dimse_timeout = 0.2
        results += responses
        assert [len(status) for status, _ in results] == [1, 0]
        assert "dimse_timeout" in results[1][0].problem
        assert assoc.is_aborted


@pytest.mark.parametrize("count", [0, 1, 3, 2000])
@pytest.mark.parametrize("syntax", ["1.2.840.10008.1.2", "1.2.840.10008.1.2.1"])
def test_a_list_of_failed_instances_of_any_length(count: int, syntax: str) -> None:
    """One of more than 64 KiB comes as UN, and is given out as any other."""
    uids = [f"1.2.840.10008.{10**30 + number}" for number in range(count)]
    asked = C_GET(AffectedSOPClassUID="1.2.840.10008.5.1.4.1.2.1.3", MessageID=1, Priority=2)
    response = asked.response(0xB000, data_set=failed_list(uids, syntax))
    found = module._identifier(response, Dataset())
    assert found is not None
    assert failed_uids(found) == uids
    value = found.FailedSOPInstanceUIDList
    assert ([value] if value and isinstance(value, str) else list(value or [])) == uids


def test_a_query_while_we_release_says_why_it_is_not_answered() -> None:
    go_on = threading.Event()

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        assert go_on.wait(DEADLINE)
        peer.answer(context_id, request.response(0x0000))
        assert peer.pdu()[0] == 5
        peer.send(RELEASE_RP)

    with associated(script) as assoc:
        first = assoc.send_c_find(identifier(), FIND)
        release = Call(assoc.release)
        assert until(lambda: assoc.dimse._closed, DEADLINE)
        second = Call(list, assoc.send_c_find(identifier(), FIND))
        go_on.set()
        ((status, found),) = second.result()
        assert (len(status), found) == (0, None)
        assert status.problem == "no answer: released by the local side"
        release.result()
        assert [status.Status for status, _ in first] == [0x0000]


def test_what_is_said_where_the_end_cannot_be_awaited() -> None:
    """A handler on the Association thread, which is about to release."""
    with associated(lambda peer: peer.rest_until_abort()) as assoc:
        assert assoc._invoker.why_no_answer() == "not sent: the association is being released"
        assoc.abort()
        assert assoc._invoker.why_no_answer() == "no answer: aborted by the local side"
