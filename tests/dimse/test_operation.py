"""pynetdicom.dimse.operation: whose response it is, and who may begin when."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pynetdicom import _config
from pynetdicom.dimse import operation as operation_module
from pynetdicom.dimse import operations as operations_module
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.operation import Operation
from pynetdicom.dimse.operations import Operations, Turn
from pynetdicom.dimse.primitives import C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE, Primitive
from pynetdicom.errors import DIMSEDecodeError
from tests.clock import Clock
from tests.peers import DEADLINE, Call

VERIFICATION = "1.2.840.10008.1.1"


def never() -> float:
    return 0.0


class Window(Operations):
    """Operations that tell when somebody has begun to wait for room."""

    def __init__(self, flow: Any = None) -> None:
        super().__init__(flow)
        self.waits = threading.Semaphore(0)

    def _wait_for_room(self, turn: Turn, *args: Any) -> None:
        waits = self.waits

        class Told(Turn):
            __slots__ = ()

            def wait(self, timeout: float | None) -> None:
                waits.release()
                super().wait(timeout)

        turn.__class__ = Told
        super()._wait_for_room(turn, *args)


def make(kind: type[Primitive] = C_ECHO, context_id: int = 1) -> Callable[[int], Operation]:
    def made(message_id: int) -> Operation:
        request = kind(MessageID=message_id, AffectedSOPClassUID=VERIFICATION)
        return Operation(request, context_id)

    return made


def begin(
    operations: Operations,
    message_id: int | None = None,
    window: int = 1,
    timeout: float | None = DEADLINE,
    heard: Callable[[], float] = never,
    kind: type[Primitive] = C_ECHO,
) -> Operation:
    operation = operations.begin(make(kind), message_id, window, timeout, heard)
    assert operation is not None
    return operation


def answer(operation: Operation, status: int = 0, context_id: int = 1) -> Message:
    return Message(operation.request.response(status), context_id)


def test_a_response_is_given_to_the_operation_that_it_answers() -> None:
    operations = Operations()
    first, second = begin(operations, window=0), begin(operations, window=0)
    assert operations.outstanding() == [first, second]
    assert operations.deliver(answer(second, 0x0107))
    assert operations.deliver(answer(first))
    for operation, status in ((first, 0), (second, 0x0107)):
        operations.sent(operation)
        message = operation.wait(DEADLINE, never)
        assert message is not None
        assert message.primitive.Status == status
        assert operation.is_finished
    assert not operations


def test_what_answers_nothing_is_counted() -> None:
    operations = Operations()
    operation = begin(operations)
    assert operations.deliver(answer(operation))
    assert not operations.deliver(answer(operation))
    assert not operations.deliver(Message(C_ECHO(MessageIDBeingRespondedTo=9, Status=0), 1))
    assert operations.strays == 2


def test_a_response_of_another_kind_or_context_never_succeeds() -> None:
    operations = Operations()
    operation = begin(operations)
    wrong = C_STORE(MessageIDBeingRespondedTo=operation.message_id, Status=0)
    for message in (Message(wrong, 1), answer(operation, context_id=3)):
        with pytest.raises(DIMSEDecodeError, match="cannot answer"):
            operations.deliver(message)
    assert operations.get(operation.message_id) is operation


@pytest.mark.parametrize(("kind", "outstanding"), [(C_FIND, True), (C_ECHO, False)])
def test_pending_is_final_where_there_is_one_response(
    kind: type[Primitive], outstanding: bool
) -> None:
    operations = Operations()
    operation = begin(operations, kind=kind)
    operations.deliver(answer(operation, 0xFF00))
    assert bool(operations) is outstanding


def test_message_ids_are_counted_up_and_not_reused() -> None:
    operations = Operations()
    assert [begin(operations, window=0).message_id for _ in range(3)] == [1, 2, 3]
    chosen = begin(operations, 5, window=0)
    operations.finish(chosen)
    # 5 has just ended: a late answer to it must not fit the next one.
    assert [begin(operations, window=0).message_id for _ in range(3)] == [4, 6, 7]


def test_message_ids_begin_again_behind_the_last() -> None:
    operations = Operations()
    begin(operations, window=0)
    operations.next_id = 0xFFFF
    assert [begin(operations, window=0).message_id for _ in range(2)] == [0xFFFF, 2]


def test_a_message_id_that_is_outstanding_is_refused_at_once() -> None:
    operations = Operations()
    begin(operations, 7)
    with pytest.raises(ValueError, match="7"):
        begin(operations, 7)


@pytest.mark.parametrize("message_id", [-1, 0x10000])
def test_a_message_id_that_cannot_be_sent(message_id: int) -> None:
    operations = Operations()
    with pytest.raises(ValueError, match="MessageID"):
        begin(operations, message_id)
    assert not operations


def test_finishing_twice_leaves_the_next_of_that_message_id_alone() -> None:
    operations = Operations()
    old = begin(operations, 1)
    operations.finish(old)
    new = begin(operations, 1)
    operations.finish(old)
    assert operations.get(1) is new


class Interrupted(dict[Turn, None]):
    """A line in which something else happens before the next one leaves it."""

    happens: list[Callable[[], Any]]

    def pop(self, *args: Any) -> Any:
        while self.happens:
            self.happens.pop()()
        return super().pop(*args)


def test_finishing_in_two_threads_leaves_the_next_of_that_message_id_alone() -> None:
    """The response comes while its operation is given up, and a third thread begins the next."""
    operations = Operations()
    old = begin(operations, 1)
    new: list[Operation] = []

    def meanwhile() -> None:
        operations.deliver(answer(old))
        new.append(begin(operations, 1))

    operations._line = Interrupted(operations._line)
    operations._line.happens = [meanwhile]
    operations.finish(old)
    assert operations.get(1) is new[0]
    assert not new[0].is_finished


def test_finishing_what_the_end_has_forgotten() -> None:
    operations = Operations()
    operation = begin(operations, kind=C_FIND)
    operations.end()
    operations.finish(operation)
    assert operation.is_finished
    assert not operations.has_ended_lately(operation.message_id)


def test_a_message_id_that_another_has_taken_while_we_waited_for_room() -> None:
    operations = Window()
    held = [begin(operations, window=0) for _ in range(2)]
    first = Call(begin, operations, 7, window=2)
    assert operations.waits.acquire(timeout=DEADLINE)
    second = Call(begin, operations, 7, window=2)
    assert operations.waits.acquire(timeout=DEADLINE)
    for operation in held:
        operations.finish(operation)
    outcomes: list[Any] = []
    for call in (first, second):  # there is room for both at once: one of them has it
        try:
            outcomes.append(call.result())
        except ValueError:
            continue
    assert operations.outstanding() == outcomes
    assert len(outcomes) == 1


def test_the_window_makes_the_next_one_wait() -> None:
    operations = Window()
    first = begin(operations)
    call = Call(begin, operations)
    assert operations.waits.acquire(timeout=DEADLINE)
    assert len(operations) == 1
    operations.deliver(answer(first))
    assert call.result().message_id == 2


def test_those_who_wait_come_before_those_who_come_back() -> None:
    """Whoever sends in a loop must not keep the others waiting for ever."""
    for _ in range(50):
        operations = Window()
        first = begin(operations)
        call = Call(begin, operations)
        assert operations.waits.acquire(timeout=DEADLINE)
        operations.finish(first)
        again = Call(begin, operations)
        second = call.result()
        assert second.message_id == 2
        operations.finish(second)
        assert again.result().message_id == 3


def test_many_wait_in_order() -> None:
    operations = Window()
    held = begin(operations)
    order: list[int] = []

    def run(number: int) -> None:
        operation = begin(operations)
        order.append(number)
        operations.finish(operation)

    calls = []
    for number in range(10):
        calls.append(Call(run, number))
        assert operations.waits.acquire(timeout=DEADLINE)
    operations.finish(held)
    for call in calls:
        call.result()
    assert order == list(range(10))


def test_a_window_without_room_times_out_by_silence() -> None:
    operations = Operations()
    operations.sent(begin(operations))
    with pytest.raises(TimeoutError, match="earlier operation"):
        begin(operations, timeout=0.1)
    assert len(operations._line) == 1


def test_a_peer_that_is_heard_renews_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, operations_module)
    begun = clock.now
    operations = Operations()
    operations.sent(begin(operations))
    waits: list[float] = []

    def wait(turn: Turn, timeout: float) -> None:
        waits.append(round(timeout))
        clock.now += round(timeout)

    monkeypatch.setattr(Turn, "wait", wait)
    with pytest.raises(TimeoutError):
        begin(operations, timeout=100, heard=lambda: begun + 200 * bool(waits))
    assert waits == [100, 200]


def test_an_upload_is_not_silence() -> None:
    """However long a request takes to be sent, those behind it begin to count when it is out."""
    operations = Window()
    first = begin(operations)
    assert first.last_heard == math.inf
    call = Call(begin, operations, timeout=0.05)
    assert operations.waits.acquire(timeout=DEADLINE)
    assert not operations.waits.acquire(timeout=0.2)  # it has not woken since
    operations.sent(first)
    with pytest.raises(TimeoutError):
        call.result()


@pytest.mark.parametrize("how", ["end", "close"])
def test_the_end_wakes_who_waits_for_room(how: str) -> None:
    operations = Window()
    begin(operations)
    calls = [Call(operations.begin, make(), None, 1, None, never) for _ in range(3)]
    for _ in calls:
        assert operations.waits.acquire(timeout=DEADLINE)
    getattr(operations, how)()
    for call in calls:
        assert call.result() is None
    assert operations.begin(make(), None, 1, None, never) is None


def test_the_end_wakes_who_waits_for_an_answer() -> None:
    operations = Operations()
    operation = begin(operations)
    operations.sent(operation)
    call = Call(operation.wait, None, never)
    operations.end()
    assert call.result() is None
    assert not operations


def test_once_closed_the_end_of_the_last_operation_is_told() -> None:
    flow = Flow()
    operations = Operations(flow)
    operations.finish(begin(operations))
    first, last = begin(operations), begin(operations, window=2)
    operations.close()
    assert operations.deliver(answer(first))
    assert "idle" not in flow.said
    assert operations.deliver(answer(last))
    assert flow.said == ["resume", "idle"]


def test_an_operation_is_outstanding_or_has_ended_lately() -> None:
    operations = Operations()
    operation = begin(operations, kind=C_FIND)
    known: list[bool] = []

    class Watched(dict[Turn, None]):
        def pop(self, *args: Any) -> Any:
            known.append(operations.has_ended_lately(operation.message_id))
            return super().pop(*args)

    operations._line = Watched(operations._line)
    operations.finish(operation)
    assert known == [True]
    assert operations.has_ended_lately(operation.message_id)


def test_closing_does_not_touch_what_is_outstanding() -> None:
    operations = Operations()
    operation = begin(operations)
    operations.close()
    assert operations.deliver(answer(operation))
    assert operations.begin(make(), None, 1, None, never) is None


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_silence_ends_the_wait_for_an_answer(timeout: float) -> None:
    operation = begin(Operations())
    operation.last_heard = time.monotonic()
    with pytest.raises(TimeoutError):
        operation.wait(timeout, never)


def test_what_arrives_for_others_renews_the_wait_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, operation_module)
    operation = begin(Operations())
    operation.last_heard = begun = clock.now
    looks: list[float] = []

    def heard() -> float:
        clock.now = begun + (0.1, 1.0)[len(looks)]  # so long it has waited by then
        looks.append(clock.now)
        return begun + 0.2

    with pytest.raises(TimeoutError):
        operation.wait(0.05, heard)
    assert len(looks) == 2


def test_a_turn_that_is_left_in_the_midst_of_anything() -> None:
    """Also twice, and before it was ever taken; those who wait come next."""
    operations = Window()
    calls: list[Call] = []

    def interrupted() -> None:
        with Turn(operations) as turn:
            operations.begin(make(), None, 1, None, never, turn)
            calls.append(Call(begin, operations))
            assert operations.waits.acquire(timeout=DEADLINE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    call = calls[0]
    assert call.result().message_id == 2
    with Turn(operations):
        pass
    assert len(operations) == 1


@pytest.mark.parametrize("how", ["end", "close", "finish", "abandon"])
def test_what_a_signals_handler_does_in_the_midst_of_registering(how: str) -> None:
    """It finds the operation registered, or not; what it interrupts looks again."""
    operations = Operations()
    earlier = begin(operations, window=0)
    made = make(C_FIND)

    def interrupted(message_id: int) -> Operation:
        if how in ("end", "close"):
            getattr(operations, how)()
        else:
            getattr(operations, how)(earlier)
        return made(message_id)

    operation = operations.begin(interrupted, None, 0, None, never)
    if how in ("end", "close"):
        assert operation is None
        assert operations.outstanding() == ([] if how == "end" else [earlier])
    else:
        assert operation in operations.outstanding()


def test_two_threads_get_their_own_answers() -> None:
    """A peer that answers as soon as it is asked, with the Message ID as the comment."""
    operations = Operations()
    asked: list[Operation] = []
    more = threading.Semaphore(0)

    def ask() -> list[Any]:
        wrong = []
        for _ in range(200):
            operation = begin(operations, window=3)
            operations.sent(operation)
            asked.append(operation)
            more.release()
            message = operation.wait(DEADLINE, never)
            assert message is not None
            if message.primitive.ErrorComment != str(operation.message_id):
                wrong.append(operation)
        return wrong

    calls = [Call(ask) for _ in range(4)]
    for _ in range(800):
        assert more.acquire(timeout=DEADLINE)
        message = answer(asked.pop(0))
        message.primitive.ErrorComment = str(message.primitive.MessageIDBeingRespondedTo)
        assert operations.deliver(message)
    for call in calls:
        assert call.result() == []


# Operations with several responses


class Flow:
    """What is asked of the association; `meanwhile` happens while reading is being paused."""

    def __init__(self) -> None:
        self.said: list[str] = []
        self.to_cancel: list[Operation] = []
        self.meanwhile: Callable[[], Any] = lambda: None

    def pause_reading(self) -> None:
        self.meanwhile()
        self.said.append("pause")

    def resume_reading(self) -> None:
        self.said.append("resume")

    def cancel_later(self, operation: Operation) -> None:
        self.to_cancel.append(operation)

    def on_idle(self) -> None:
        self.said.append("idle")


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_WAITING_RESPONSES", 4)


def deliver(operations: Operations, operation: Operation, count: int, status: int = 0xFF00) -> None:
    for _ in range(count):
        assert operations.deliver(answer(operation, status))


@pytest.mark.usefixtures("few")
def test_reading_is_paused_when_too_many_matches_wait() -> None:
    flow = Flow()
    operations = Operations(flow)
    operation = begin(operations, kind=C_FIND)
    deliver(operations, operation, 3)
    assert flow.said == []
    deliver(operations, operation, 1)
    assert flow.said == ["pause"]
    for _ in range(3):
        assert operation.wait(0, never) is not None
        operations.consumed(operation)
    # From the third on, when no more than half as many wait.
    assert flow.said == ["pause", "resume"]
    deliver(operations, operation, 1, 0x0000)
    assert operation.is_finished
    assert flow.said == ["pause", "resume"]


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("how", ["consume", "wait", "abandon"])
def test_what_happens_while_reading_is_being_paused(how: str) -> None:
    """Whoever consumes then finds nothing paused that he could resume."""
    flow = Flow()
    operations = Window(flow)
    operation = begin(operations, kind=C_FIND)
    calls: list[Call] = []

    def wait() -> None:
        calls.append(Call(begin, operations))
        assert operations.waits.acquire(timeout=DEADLINE)

    def consume() -> None:
        operation.wait(0, never)

    happens = {"consume": consume, "wait": wait, "abandon": lambda: operations.abandon(operation)}
    flow.meanwhile = happens[how]
    deliver(operations, operation, 4)
    assert flow.said[-2:] == ["pause", "resume"]
    deliver(operations, operation, 1, 0x0000)
    for call in calls:
        call.result()


@pytest.mark.usefixtures("few")
@pytest.mark.parametrize("kind", [C_GET, C_MOVE])
def test_reading_is_never_paused_for_a_retrieval(kind: type[Primitive]) -> None:
    flow = Flow()
    operations = Operations(flow)
    operation = begin(operations, kind=kind)
    deliver(operations, operation, 50)
    deliver(operations, operation, 1, 0xB000)
    assert flow.said == []
    statuses = [operation.wait(0, never) for _ in range(51)]
    assert [one and one.primitive.Status for one in statuses] == [0xFF00] * 50 + [0xB000]


@pytest.mark.usefixtures("few")
def test_what_comes_after_a_pause_goes_into_a_file() -> None:
    flow = Flow()
    operations = Operations(flow)
    operation = begin(operations, kind=C_FIND)
    deliver(operations, operation, 4)
    operations.spill()
    deliver(operations, operation, 100)
    assert flow.said == ["pause"]
    for _ in range(104):
        assert operation.wait(0, never) is not None
    assert operation.is_waiting
    # And then into memory again.
    deliver(operations, operation, 4)
    assert flow.said == ["pause", "pause"]


@pytest.mark.usefixtures("few")
def test_more_than_can_be_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_SPOOLED_RESPONSES", 1000)
    flow = Flow()
    operations = Operations(flow)
    operation = begin(operations, kind=C_GET)
    deliver(operations, operation, 100)
    assert flow.to_cancel == [operation]
    assert operation.problem is not None
    deliver(operations, operation, 1, 0xFE00)
    statuses = []
    while not operation.is_waiting:
        message = operation.wait(0, never)
        assert message is not None
        statuses.append(message.primitive.Status)
    assert 4 < len(statuses) < 100
    assert statuses[-1] == 0xFE00


def test_an_abandoned_operation_is_outstanding_until_its_final_response() -> None:
    flow = Flow()
    operations = Operations(flow)
    operation = begin(operations, kind=C_FIND)
    deliver(operations, operation, 2)
    operations.abandon(operation)
    assert operations.are_abandoned
    assert operations.is_outstanding(operation)
    assert operation.wait(0, never) is None
    deliver(operations, operation, 500)
    assert operations.strays == 0
    with pytest.raises(TimeoutError):
        begin(operations, timeout=0)
    deliver(operations, operation, 1, 0xFE00)
    assert not operations.is_outstanding(operation)
    assert begin(operations).message_id == 2


def test_which_operation_is_to_be_cancelled() -> None:
    operations = Operations()
    assert operations.to_cancel(1) is None
    assert begin(operations, window=0).message_id == 1  # a C-ECHO
    assert operations.to_cancel(1) is None
    ours = begin(operations, window=0, kind=C_FIND)
    given = begin(operations, 9, window=0, kind=C_MOVE)
    assert operations.to_cancel(9) is given
    assert operations.to_cancel(2) is ours
    assert operations.to_cancel(1) is ours
    assert operations.to_cancel(3) is None
    begin(operations, window=0, kind=C_GET)
    assert operations.to_cancel(1) is None  # which?
    operations.finish(given)
    assert operations.has_ended_lately(9)
    assert not operations.has_ended_lately(2)
