"""pynetdicom.dimse.operations: which operation a message belongs to, and which may begin."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import Any

import pytest

from pynetdicom import _config
from pynetdicom.dimse import waiting
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.operations import Operation, Operations
from pynetdicom.dimse.primitives import C_ECHO, C_FIND, C_GET, C_MOVE, C_STORE, Primitive
from pynetdicom.errors import DIMSEDecodeError
from tests.outstanding import Flow, Window, answer, begin, deliver, make, never
from tests.peers import DEADLINE, Call


def test_a_response_is_given_to_the_operation_that_it_answers() -> None:
    operations = Operations(Flow())
    first, second = begin(operations, window=0), begin(operations, window=0)
    assert operations.outstanding() == [first, second]
    assert operations.deliver(answer(second, 0x0107))
    assert operations.deliver(answer(first))
    for operation, status in ((first, 0), (second, 0x0107)):
        waiting.sent(operation)
        message = waiting.response_to(operation, DEADLINE, never)
        assert message is not None
        assert message.primitive.Status == status
        assert not operations.is_outstanding(operation)
    assert not operations.outstanding()


def test_what_answers_nothing_is_counted() -> None:
    operations = Operations(Flow())
    operation = begin(operations)
    assert operations.deliver(answer(operation))
    assert not operations.deliver(answer(operation))
    assert not operations.deliver(Message(C_ECHO(MessageIDBeingRespondedTo=9, Status=0), 1))
    assert operations.strays == 2


def test_a_response_of_another_kind_or_context_never_succeeds() -> None:
    operations = Operations(Flow())
    operation = begin(operations)
    wrong = C_STORE(MessageIDBeingRespondedTo=operation.message_id, Status=0)
    for message in (Message(wrong, 1), answer(operation, context_id=3)):
        with pytest.raises(DIMSEDecodeError, match="cannot answer"):
            operations.deliver(message)
    assert operations.deliver(answer(operation))


@pytest.mark.parametrize(("kind", "outstanding"), [(C_FIND, True), (C_ECHO, False)])
def test_pending_is_final_where_there_is_one_response(
    kind: type[Primitive], outstanding: bool
) -> None:
    operations = Operations(Flow())
    operation = begin(operations, kind=kind)
    operations.deliver(answer(operation, 0xFF00))
    assert bool(operations.outstanding()) is outstanding


def test_message_ids_are_counted_up_and_not_reused() -> None:
    operations = Operations(Flow())
    assert [begin(operations, window=0).message_id for _ in range(3)] == [1, 2, 3]
    chosen = begin(operations, 5, window=0)
    operations.finish(chosen)
    # 5 has just ended: a late answer to it must not fit the next one.
    assert [begin(operations, window=0).message_id for _ in range(3)] == [4, 6, 7]


def test_message_ids_begin_again_behind_the_last() -> None:
    operations = Operations(Flow())
    begin(operations, window=0)
    operations.next_id = 0xFFFF
    assert [begin(operations, window=0).message_id for _ in range(2)] == [0xFFFF, 2]


def test_a_message_id_that_is_outstanding_is_refused_at_once() -> None:
    operations = Operations(Flow())
    begin(operations, 7)
    with pytest.raises(ValueError, match="7"):
        begin(operations, 7)


@pytest.mark.parametrize("message_id", [-1, 0x10000])
def test_a_message_id_that_cannot_be_sent(message_id: int) -> None:
    operations = Operations(Flow())
    with pytest.raises(ValueError, match="MessageID"):
        begin(operations, message_id)
    assert not operations.outstanding()


def test_finishing_twice_leaves_the_next_of_that_message_id_alone() -> None:
    operations = Operations(Flow())
    old = begin(operations, 1)
    operations.finish(old)
    new = begin(operations, 1)
    operations.finish(old)
    assert operations.outstanding() == [new]
    assert operations.deliver(answer(new))


@pytest.mark.parametrize("sent", [True, False])
def test_a_late_answer_to_what_was_interrupted_does_not_fit_the_next(sent: bool) -> None:
    """Of the same Message ID: it is nobody's until the peer has answered, if it was asked."""
    operations = Operations(Flow())
    old = make(operations)
    with suppress(KeyboardInterrupt), old:
        assert waiting.begin(old, 7, 1, None, never)
        if sent:
            waiting.sent(old)
        raise KeyboardInterrupt
    assert not operations.outstanding()
    if sent:
        with pytest.raises(ValueError, match="7"):
            begin(operations, 7)
        operations.finish(begin(operations))
        assert not operations.deliver(answer(old))
    new = begin(operations, 7)
    assert operations.deliver(answer(new, 0xA700))
    message = new.replies.get()
    assert message is not None
    assert message.primitive.Status == 0xA700


class Interrupted(dict[Operation, None]):
    """A line in which something else happens before the next one leaves it."""

    happens: list[Callable[[], Any]]

    def pop(self, *args: Any) -> Any:
        while self.happens:
            self.happens.pop()()
        return super().pop(*args)


def test_finishing_in_two_threads_leaves_the_next_of_that_message_id_alone() -> None:
    """The response comes while its operation is given up, and a third thread begins the next."""
    operations = Operations(Flow())
    old = begin(operations, 1)
    new: list[Operation] = []

    def meanwhile() -> None:
        assert not operations.deliver(answer(old))
        new.append(begin(operations, 1, window=0))
        operations.finish(old)

    operations._line = Interrupted(operations._line)
    operations._line.happens = [meanwhile]
    operations.finish(old)
    assert operations.outstanding() == new
    assert operations.deliver(answer(new[0]))


def test_finishing_what_the_end_has_forgotten() -> None:
    operations = Operations(Flow())
    operation = begin(operations, kind=C_FIND)
    operations.end()
    operations.finish(operation)
    assert not operations.is_outstanding(operation)
    assert not operations.has_ended_lately(operation.message_id)


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
    operations = Operations(Flow())
    operation = begin(operations, kind=C_FIND)
    known: list[bool] = []

    class Watched(dict[Operation, None]):
        def pop(self, *args: Any) -> Any:
            known.append(operations.has_ended_lately(operation.message_id))
            return super().pop(*args)

    operations._line = Watched(operations._line)
    operations.finish(operation)
    assert known == [True]
    assert operations.has_ended_lately(operation.message_id)


def test_closing_does_not_touch_what_is_outstanding() -> None:
    operations = Operations(Flow())
    operation = begin(operations)
    operations.close()
    assert operations.deliver(answer(operation))
    assert not waiting.begin(make(operations), None, 1, None, never)


@pytest.mark.parametrize("how", ["end", "close", "finish", "abandon"])
def test_what_a_signals_handler_does_in_the_midst_of_registering(
    how: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It finds the operation registered, or not; what it interrupts looks again."""
    operations = Operations(Flow())
    earlier = begin(operations, window=0)

    def interrupted(self: C_FIND, name: str, value: Any) -> None:
        if name == "MessageID":
            getattr(operations, how)(*(() if how in ("end", "close") else (earlier,)))
        self.__dict__[name] = value

    monkeypatch.setattr(C_FIND, "__setattr__", interrupted)
    operation = Operation(operations, C_FIND(), 1)
    begun = waiting.begin(operation, 7, 0, None, never)
    if how in ("end", "close"):
        assert not begun
        assert operations.outstanding() == ([] if how == "end" else [earlier])
    else:
        assert begun
        assert operation in operations.outstanding()


# Operations with several responses


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_WAITING_RESPONSES", 4)


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
        assert waiting.response_to(operation, 0, never) is not None
        assert operation.backlog is not None
        if operation.backlog.is_paused:
            operations.consumed(operation.backlog)
    # From the third on, when no more than half as many wait.
    assert flow.said == ["pause", "resume"]
    deliver(operations, operation, 1, 0x0000)
    assert not operations.is_outstanding(operation)
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
        waiting.response_to(operation, 0, never)

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
    statuses = [waiting.response_to(operation, 0, never) for _ in range(51)]
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
        assert waiting.response_to(operation, 0, never) is not None
    assert operation.replies.empty()
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
    while not operation.replies.empty():
        message = waiting.response_to(operation, 0, never)
        assert message is not None
        statuses.append(message.primitive.Status)
    assert 4 < len(statuses) < 100
    assert statuses[-1] == 0xFE00


def test_an_abandoned_operation_is_outstanding_until_its_final_response() -> None:
    flow = Flow()
    operations = Operations(flow)
    operation = begin(operations, kind=C_FIND)
    waiting.sent(operation)
    deliver(operations, operation, 2)
    operations.abandon(operation)
    assert operations.is_outstanding(operation)
    assert waiting.response_to(operation, 0, never) is None
    deliver(operations, operation, 500)
    assert operations.strays == 0
    with pytest.raises(TimeoutError):
        begin(operations, timeout=0)
    deliver(operations, operation, 1, 0xFE00)
    assert not operations.is_outstanding(operation)
    assert begin(operations).message_id == 2


def test_which_operation_is_to_be_cancelled() -> None:
    operations = Operations(Flow())
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
