"""pynetdicom.dimse.inbox: the peer's requests in order, and how many may wait."""

from __future__ import annotations

from queue import Empty

import pytest

from pynetdicom import _config
from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.dimse.inbox import ENDED, Inbox
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.primitives import C_CANCEL, C_STORE
from pynetdicom.errors import DIMSEDecodeError


def request(message_id: int, size: int = 0) -> Message:
    data_set = InMemory(bytes(size), "1.2.840.10008.1.2")
    return Message(C_STORE(MessageID=message_id, data_set=data_set), 1)


def test_in_order_with_the_signals() -> None:
    inbox = Inbox()
    signal = object()
    items = [request(1), signal, request(2)]
    inbox.put_request(items[0])  # type: ignore[arg-type]
    inbox.put(signal)
    inbox.put_request(items[2])  # type: ignore[arg-type]
    assert [inbox.get(0) for _ in items] == items
    with pytest.raises(Empty):
        inbox.get(0)


def test_a_message_id_twice() -> None:
    inbox = Inbox()
    first, second = request(1), request(1)
    inbox.put_request(first)
    inbox.put_request(second)
    assert (first.is_duplicate, second.is_duplicate) == (False, True)
    assert inbox.get(0) is first
    inbox.done(first)
    third = request(1)
    inbox.put_request(third)
    assert not third.is_duplicate
    assert inbox.get(0) is second
    inbox.done(second)
    inbox.cancel(1)
    assert third.is_cancelled  # it is outstanding still


def test_cancel_also_while_it_waits() -> None:
    inbox = Inbox()
    message = request(3)
    inbox.cancel(3)
    inbox.put_request(message)
    assert not inbox.is_cancelled(3)
    inbox.cancel(3)
    assert inbox.is_cancelled(3)
    assert message.is_cancelled
    assert inbox.get(0) is message
    inbox.done(message)
    assert not inbox.is_cancelled(3)


def test_with_the_association_all_is_cancelled() -> None:
    inbox = Inbox()
    messages = [request(1), request(2)]
    for message in messages:
        inbox.put_request(message)
    inbox.done(messages[0])
    inbox.end()
    assert [message.is_cancelled for message in messages] == [False, True]
    assert [inbox.get(0) for _ in range(3)] == [*messages, ENDED]


def test_how_many_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_PENDING_REQUESTS", 4)
    inbox = Inbox()
    served = request(0)
    inbox.put_request(served)
    inbox.get(0)
    for message_id in range(1, 5):
        inbox.put_request(request(message_id))
    with pytest.raises(DIMSEDecodeError, match="too many"):
        inbox.put_request(request(5))
    inbox.done(served)
    inbox.get(0)
    inbox.put_request(request(6))
    with pytest.raises(DIMSEDecodeError, match="too many"):
        inbox.put_request(request(7))


def test_how_many_bytes_may_wait(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_PENDING_BYTES", 100)
    inbox = Inbox()
    inbox.put_request(request(1, 1000))  # nobody is before it: it does not wait
    inbox.get(0)
    inbox.put_request(request(2, 60))  # the one being served does not wait either
    inbox.put_request(request(3, 40))
    with pytest.raises(DIMSEDecodeError, match="too many"):
        inbox.put_request(request(4, 1))


def test_what_has_been_served_is_before_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_PENDING_BYTES", 100)
    inbox = Inbox()
    for message_id in range(3):
        inbox.put_request(request(message_id, 1000))
        message = inbox.get(0)
        assert not inbox.is_empty
        inbox.done(message)
        assert inbox.is_empty


def test_what_is_left() -> None:
    inbox = Inbox()
    assert inbox.is_empty
    assert inbox.is_waiting()
    message = request(1)
    inbox.put_request(message)
    assert not inbox.is_empty
    assert not inbox.is_waiting()
    assert inbox.drain() == [message]
    assert inbox.drain() == []


def test_a_cancel_that_races_with_the_answer() -> None:
    """It leaves nothing behind: the Message ID may be used again at once."""
    inbox = Inbox()
    message = request(1)

    class Racing(dict[int, Message]):
        """The request is answered right after the cancel has looked for it."""

        def __contains__(self, message_id: object) -> bool:
            found = super().__contains__(message_id)
            inbox.done(message)
            return found

        def get(self, message_id: int, default: object = None) -> object:  # type: ignore[override]
            found = super().get(message_id)
            inbox.done(message)
            return found

    inbox.put_request(message)
    inbox.get(0)
    racing = Racing(inbox._outstanding)
    inbox._outstanding = racing
    inbox.cancel(1)
    inbox._outstanding = dict(racing)
    again = request(1)
    inbox.put_request(again)
    assert not again.is_duplicate
    assert not inbox.is_cancelled(1)


def test_a_c_cancel_waits_for_nobody() -> None:
    inbox = Inbox()
    message = request(3)
    inbox.put_request(message)
    for message_id in (3, 4):
        inbox.put_request(Message(C_CANCEL(MessageIDBeingRespondedTo=message_id), 1))
    assert message.is_cancelled
    assert inbox.drain() == [message]
