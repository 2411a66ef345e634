"""pynetdicom.dimse.operation: whose response it is, and who may begin when."""

from __future__ import annotations

import math
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest

from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.operation import Operation, Operations
from pynetdicom.dimse.primitives import C_ECHO, C_FIND, C_STORE, Primitive
from pynetdicom.errors import DIMSEDecodeError
from tests.peers import DEADLINE, Call

VERIFICATION = "1.2.840.10008.1.1"


def never() -> float:
    return 0.0


def nobody_reads(is_waiting: Callable[[], bool], deadline: float | None) -> bool:
    return False


class Window(Operations):
    """Operations that tell when somebody has begun to wait for room."""

    def __init__(self) -> None:
        super().__init__()
        self.waits = threading.Semaphore(0)
        wait = self._room.wait

        def tell(timeout: float | None = None) -> bool:
            self.waits.release()
            return wait(timeout)

        self._room.wait = tell  # type: ignore[method-assign]


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
        message = operation.wait(DEADLINE, never, nobody_reads)
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
    operations._next_id = 0xFFFF
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
    begun = time.monotonic()
    with pytest.raises(TimeoutError, match="earlier operation"):
        begin(operations, timeout=0.1)
    assert 0.05 < time.monotonic() - begun < 2
    assert not operations._queue


def test_a_peer_that_is_heard_renews_the_wait() -> None:
    operations = Operations()
    operations.sent(begin(operations))
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        begin(operations, timeout=0.1, heard=lambda: begun + 0.2)
    assert time.monotonic() - begun >= 0.29


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
    call = Call(operation.wait, None, never, nobody_reads)
    operations.end()
    assert call.result() is None
    assert not operations


def test_waiting_until_nothing_is_outstanding() -> None:
    operations = Operations()
    assert operations.wait_idle(0)
    operation = begin(operations)
    assert not operations.wait_idle(0.01)
    call = Call(operations.wait_idle, DEADLINE)
    operations.finish(operation)
    assert call.result()


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
    begun = time.monotonic()
    with pytest.raises(TimeoutError):
        operation.wait(timeout, never, nobody_reads)
    assert timeout <= time.monotonic() - begun < 2


def test_what_arrives_for_others_renews_the_wait_for_an_answer() -> None:
    operation = begin(Operations())
    operation.last_heard = begun = time.monotonic()
    with pytest.raises(TimeoutError):
        operation.wait(0.05, lambda: begun + 0.15, nobody_reads)
    assert time.monotonic() - begun >= 0.19


def test_the_waiter_reads_itself_until_the_answer_is_there() -> None:
    operations = Operations()
    operation = begin(operations)
    operations.sent(operation)

    def read_while(is_waiting: Callable[[], bool], deadline: float | None) -> bool:
        assert is_waiting()
        assert deadline is not None
        operations.deliver(answer(operation))
        assert not is_waiting()
        return True

    message = operation.wait(DEADLINE, never, read_while)
    assert message is not None


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
            message = operation.wait(DEADLINE, never, nobody_reads)
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
