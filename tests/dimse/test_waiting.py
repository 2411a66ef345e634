"""pynetdicom.dimse.waiting: who waits, and for how long."""

from __future__ import annotations

import math
import threading
import time
from queue import SimpleQueue
from typing import Any

import pytest

from pynetdicom.dimse import waiting
from pynetdicom.dimse.operations import Operation, Operations
from pynetdicom.network.runtime import THREADS
from tests.clock import Clock
from tests.outstanding import Flow, Window, answer, begin, make, never
from tests.peers import DEADLINE, Call


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
    operations = Operations(Flow())
    waiting.sent(begin(operations))
    with pytest.raises(TimeoutError, match="earlier operation"):
        begin(operations, timeout=0.1)
    assert operations.in_line() == 1


def test_a_peer_that_is_heard_renews_the_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    clock = Clock(monkeypatch, waiting)
    begun = clock.now
    operations = Operations(Flow())
    waiting.sent(begin(operations))
    waits: list[float] = []

    class Queue(SimpleQueue[None]):
        def get(self, block: bool = True, timeout: float | None = None) -> None:
            waits.append(round(timeout or 0))
            clock.now += round(timeout or 0)

    monkeypatch.setattr(THREADS, "queue", Queue)
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
    waiting.sent(first)
    with pytest.raises(TimeoutError):
        call.result()


@pytest.mark.parametrize("how", ["end", "close"])
def test_the_end_wakes_who_waits_for_room(how: str) -> None:
    operations = Window()
    begin(operations)
    calls = [Call(waiting.begin, make(operations), None, 1, None, never) for _ in range(3)]
    for _ in calls:
        assert operations.waits.acquire(timeout=DEADLINE)
    getattr(operations, how)()
    for call in calls:
        assert not call.result()
    assert not waiting.begin(make(operations), None, 1, None, never)
    assert operations.in_line() == (how == "close")


def test_the_end_wakes_who_waits_for_an_answer() -> None:
    operations = Operations(Flow())
    operation = begin(operations)
    waiting.sent(operation)
    call = Call(waiting.response_to, operation, None, never)
    operations.end()
    assert call.result() is None
    assert not operations.outstanding()


@pytest.mark.parametrize("timeout", [0, 0.05])
def test_silence_ends_the_wait_for_an_answer(timeout: float) -> None:
    operation = begin(Operations(Flow()))
    operation.last_heard = time.monotonic()
    with pytest.raises(TimeoutError):
        waiting.response_to(operation, timeout, never)


def test_what_arrives_for_others_renews_the_wait_for_an_answer(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, waiting)
    operation = begin(Operations(Flow()))
    operation.last_heard = begun = clock.now
    looks: list[float] = []

    def heard() -> float:
        looks.append(clock.now)
        # So long it has waited when it has been told; what came just then is no silence.
        clock.now = begun + 1.0
        return begun + (0.2, 1.0, 0.2)[len(looks) - 1]

    with pytest.raises(TimeoutError):
        waiting.response_to(operation, 0.05, heard)
    assert looks == [begun, begun + 1.0, begun + 1.0]


def test_the_time_goes_on_while_somebody_who_waits_for_room_asks(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    clock = Clock(monkeypatch, waiting)
    begun = clock.now
    operations = Operations(Flow())
    waiting.sent(begin(operations))
    looks: list[float] = []

    def heard() -> float:
        looks.append(clock.now)
        clock.now = begun + 1.0
        return begun

    with pytest.raises(TimeoutError):
        begin(operations, timeout=0.05, heard=heard)
    assert looks == [begun, begun + 1.0]


def test_a_turn_that_is_left_in_the_midst_of_anything() -> None:
    """Also twice, and before it was ever taken; those who wait come next."""
    operations = Window()
    calls: list[Call] = []

    def interrupted() -> None:
        with make(operations) as operation:
            waiting.begin(operation, None, 1, None, never)
            calls.append(Call(begin, operations))
            assert operations.waits.acquire(timeout=DEADLINE)
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        interrupted()
    call = calls[0]
    assert call.result().message_id == 2
    operation = make(operations)
    for _ in range(2):
        operations.finish(operation)
    assert operations.in_line() == 1


def test_two_threads_get_their_own_answers() -> None:
    """A peer that answers as soon as it is asked, with the Message ID as the comment."""
    operations = Operations(Flow())
    asked: list[Operation] = []
    more = threading.Semaphore(0)

    def ask() -> list[Any]:
        wrong = []
        for _ in range(200):
            operation = begin(operations, window=3)
            waiting.sent(operation)
            asked.append(operation)
            more.release()
            message = waiting.response_to(operation, DEADLINE, never)
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
