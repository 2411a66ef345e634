"""pynetdicom.dimse.backlog: responses in their order, from memory and from a file."""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Iterator
from pathlib import Path
from queue import Empty

import pytest

from pynetdicom import _config
from pynetdicom.data_sets.provisional import ProvisionalFile
from pynetdicom.data_sets.spool import ReceivedDataSet
from pynetdicom.dimse import backlog as module
from pynetdicom.dimse.backlog import Backlog
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.primitives import C_FIND, C_GET
from tests.peers import DEADLINE, Call

IMPLICIT = "1.2.840.10008.1.2"


@pytest.fixture(autouse=True)
def few(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_WAITING_RESPONSES", 4)


def message(number: int, size: int = 10, status: int = 0xFF00) -> Message:
    response = C_FIND(MessageIDBeingRespondedTo=1, Status=status, ErrorID=number)
    data = number.to_bytes(4, "big") + bytes(size)
    response.data_set = ReceivedDataSet(b"", IMPLICIT, len(data), data)
    return Message(response, 3)


def number_of(message: Message | None) -> int:
    assert message is not None
    assert message.context_id == 3
    data_set = message.primitive.data_set
    assert data_set is not None
    assert data_set.transfer_syntax == IMPLICIT
    number = message.primitive.ErrorID
    assert data_set.getvalue()[:4] == (number or 0).to_bytes(4, "big")
    assert number is not None
    return number


def rest_of(backlog: Backlog) -> Iterator[int]:
    while not backlog.empty():
        yield number_of(backlog.get(0))


def test_memory_only() -> None:
    backlog = Backlog()
    assert backlog.empty()
    for number in range(4):
        assert not backlog.is_full
        backlog.add(message(number))
    assert backlog.is_full
    assert not backlog.has_room
    assert number_of(backlog.get(0)) == 0
    assert not backlog.is_full
    assert not backlog.has_room
    assert [number_of(backlog.get(0)) for _ in range(2)] == [1, 2]
    assert backlog.has_room
    backlog.put(message(9, status=0))
    backlog.put(None)
    assert [number_of(backlog.get(0)) for _ in range(2)] == [3, 9]
    assert backlog.get(0) is None
    with pytest.raises(Empty):
        backlog.get(0)


def test_full_by_bytes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_WAITING_BYTES", 1000)
    backlog = Backlog()
    backlog.add(message(1, size=990))
    assert not backlog.is_full
    backlog.add(message(2, size=10))
    assert backlog.is_full


def test_through_the_file_and_back_to_memory(tmp_path: Path) -> None:
    backlog = Backlog()
    backlog.directory = str(tmp_path)
    backlog.add(message(0))
    for _ in range(3):
        backlog.spill()
        backlog.spill()
        for number in range(1, 300):
            backlog.add(message(number, size=number))
            assert not backlog.is_full
        assert list(rest_of(backlog)) == [*([0] if _ == 0 else []), *range(1, 300)]
        for number in range(4):
            backlog.add(message(number))
            assert backlog._file() is None
        assert backlog.is_full
        assert list(rest_of(backlog)) == [0, 1, 2, 3]


def test_a_file_that_nothing_came_into() -> None:
    backlog = Backlog()
    backlog.spill()
    backlog.put(message(5, status=0))
    assert number_of(backlog.get(0)) == 5
    assert backlog._file() is None


def test_the_end_comes_after_the_file() -> None:
    backlog = Backlog()
    backlog.spill()
    for number in range(10):
        backlog.add(message(number))
    backlog.put(message(10, status=0))
    backlog.put(None)
    assert [number_of(backlog.get(0)) for _ in range(11)] == list(range(11))
    assert backlog.get(0) is None


def test_messages_of_all_kinds_come_out_as_they_went_in() -> None:
    backlog = Backlog()
    backlog.spill()
    counters = C_GET(
        MessageIDBeingRespondedTo=1,
        Status=0xFF00,
        NumberOfRemainingSuboperations=5,
        ErrorComment="what",
        OffendingElement=[0x00100010],
    )
    counters.extra[0x5110] = b"AB"
    empty = C_FIND(MessageIDBeingRespondedTo=1, Status=0xFF00)
    empty.data_set = ReceivedDataSet(b"", IMPLICIT, 0, b"")
    lost = C_FIND(MessageIDBeingRespondedTo=1, Status=0xFF00)
    lost.data_set = ReceivedDataSet(b"", IMPLICIT, 0, None, error=OSError(28, "disk full"))
    large = message(7, size=200_000)
    for one in (Message(counters, 3), Message(empty, 3), Message(lost, 3), large):
        backlog.add(one)
    back = [backlog.get(0) for _ in range(4)]
    assert all(back)
    first, second, third, fourth = (one.primitive for one in back if one is not None)
    assert first == counters
    assert first.data_set is None
    assert second.data_set is not None
    assert second.data_set.getvalue() == b""
    with pytest.raises(OSError, match="could not be kept"):
        third.data_set.getvalue()  # type: ignore[union-attr]
    assert fourth.data_set is not None
    assert fourth.data_set.size == 200_004


def test_nothing_is_left_of_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from pynetdicom.data_sets import provisional

    monkeypatch.setattr(provisional, "_has_unnamed_files", lambda: False)
    for end in ("read", "discard", "drop"):
        backlog = Backlog()
        backlog.directory = str(tmp_path)
        backlog.spill()
        backlog.add(message(1))
        assert len(os.listdir(tmp_path)) == 1
        if end == "read":
            assert number_of(backlog.get(0)) == 1
        elif end == "discard":
            backlog.discard()
        else:
            del backlog
        assert os.listdir(tmp_path) == []


def test_more_than_the_file_may_take(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_SPOOLED_RESPONSES", 5000)
    backlog = Backlog()
    backlog.spill()
    backlog.add(message(1, size=4000))
    with pytest.raises(OSError, match="more responses wait"):
        backlog.add(message(2, size=4000))
    backlog.put(message(3, status=0))
    assert list(rest_of(backlog)) == [1, 3]


def test_a_file_that_cannot_be_made(tmp_path: Path) -> None:
    backlog = Backlog()
    backlog.directory = str(tmp_path / "nowhere")
    with pytest.raises(FileNotFoundError):
        backlog.spill()
    backlog.add(message(1))
    assert number_of(backlog.get(0)) == 1


def test_a_file_that_becomes_shorter(tmp_path: Path) -> None:
    backlog = Backlog()
    backlog.spill()
    backlog.add(message(1))
    assert backlog._file() is not None
    os.ftruncate(backlog._file().fd, 5)
    with pytest.raises(OSError, match="became shorter"):
        backlog.get(0)


def test_discarding() -> None:
    backlog = Backlog()
    kept = [message(number) for number in range(2)]
    for one in kept:
        backlog.add(one)
    waiting = Backlog()
    for one in (backlog, waiting):
        call = Call(one.get, DEADLINE) if one is waiting else None
        one.discard()
        if one is not waiting:  # its consumer may have taken what has woken it
            assert not one.empty()
        assert one.get(0) is None
        assert one.get(0) is None
        if call is not None:
            assert call.result() is None
    late = message(3)
    backlog.add(late)
    backlog.put(late)
    for one in [*kept, late]:
        with pytest.raises(ValueError, match="closed"):
            one.primitive.data_set.getvalue()  # type: ignore[union-attr]


@pytest.mark.parametrize("seed", range(8))
def test_a_reader_and_a_consumer(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """In order and complete, wherever each message was kept."""
    monkeypatch.setattr(module, "_CHUNK", 100)
    count = 3000
    backlog = Backlog()
    chance = random.Random(seed)
    spilled = threading.Event()

    def read() -> None:
        for number in range(count):
            if chance.random() < 0.01:
                backlog.spill()
                spilled.set()
            backlog.add(message(number, size=chance.randrange(50)))
        backlog.put(message(count, status=0))

    reader = Call(read)
    assert [number_of(backlog.get(DEADLINE)) for _ in range(count + 1)] == list(range(count + 1))
    reader.result()
    assert spilled.is_set()
    assert backlog.empty()


def test_nobody_is_given_a_file_that_is_being_closed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The consumer's thread lets go of it while the DUL thread looks where the next one goes."""
    backlog = Backlog()
    found: list[object] = []
    close = ProvisionalFile.close

    def closing(file: ProvisionalFile) -> None:
        found.append(backlog._file())
        close(file)

    monkeypatch.setattr(ProvisionalFile, "close", closing)
    backlog.spill()
    backlog.add(message(1))
    assert list(rest_of(backlog)) == [1]
    assert found == [None]
    backlog.add(message(2))
    assert list(rest_of(backlog)) == [2]
