"""Asking a retrieve handler for its next instance while the peer works on the last one."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import evt
from pynetdicom.data_sets.data_set import InFile
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.primitives import C_GET, Primitive
from pynetdicom.services.engines import Invocation
from pynetdicom.services.instances import Instance
from pynetdicom.services.retrieval import Outcome, retrieve, taken

SYNTAX = "1.2.840.10008.1.2"
GET = C_GET(AffectedSOPClassUID="1.2.840.10008.5.1.4.1.2.1.3", MessageID=1, Priority=2)


class Item(Instance):
    """What a handler yields."""

    def __init__(self, log: list[Any], name: str) -> None:
        self.log = log
        self.name = name
        self.is_closed = False

    def read_ahead(self) -> bool:
        self.log.append(("ready", self.name))
        return True

    def close(self) -> None:
        self.is_closed = True


class Destination:
    """Notes in which order things happen; each instance is sent, and answered after that."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def store(self, what: Any, report: Any, meanwhile: Any) -> Outcome:
        self.log.append(("sent", what.name))
        if meanwhile is not None:
            meanwhile()
        self.log.append(("answered", what.name))
        return Outcome(0x0000, "1.2")

    def close(self) -> None:
        self.log.append("closed")


def perform(handler: Any) -> tuple[list[Any], Primitive]:
    log: list[Any] = []

    def send(response: Primitive) -> None:
        log.append(("pending", response.NumberOfRemainingSuboperations))

    invocation = Invocation(Message(GET, 1), lambda: handler(log), send, SYNTAX, lambda: handler)
    final = retrieve(invocation, lambda ask, ahead: Destination(log))
    return log, final


def three(log: list[Any]) -> Iterator[Any]:
    yield 3
    for name in "abc":
        log.append(("asked", name))
        yield 0xFF00, Item(log, name)


EARLY = [
    ("asked", "a"),
    ("sent", "a"),
    ("asked", "b"),
    ("ready", "b"),
    ("answered", "a"),
    ("pending", 2),
    ("sent", "b"),
    ("asked", "c"),
    ("ready", "c"),
    ("answered", "b"),
    ("pending", 1),
    ("sent", "c"),
    ("answered", "c"),
    ("pending", 0),
    "closed",
]


def test_a_generator_is_asked_when_its_last_instance_has_been_dealt_with() -> None:
    log, final = perform(three)
    assert log[:5] == [
        ("asked", "a"), ("sent", "a"), ("answered", "a"), ("pending", 2), ("asked", "b"),
    ]  # fmt: skip
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0, 3)


def test_one_that_may_run_ahead_is_asked_early() -> None:
    log, final = perform(lambda log: evt.ahead(three(log)))
    assert log == EARLY
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0, 3)


def test_a_list_is_read_early() -> None:
    log, final = perform(lambda log: [3, *((0xFF00, Item(log, name)) for name in "abc")])
    assert log == [entry for entry in EARLY if entry[0] != "asked"]
    assert final.Status == 0


def test_what_it_raises_counts_after_the_answer_to_its_last_instance() -> None:
    def fails(log: list[Any]) -> Iterator[Any]:
        yield 2
        yield 0xFF00, Item(log, "a")
        raise ValueError("no more")

    log, final = perform(lambda log: evt.ahead(fails(log)))
    assert log == [("sent", "a"), ("answered", "a"), ("pending", 1), "closed"]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0xC411, 1)
    assert final.NumberOfFailedSuboperations == 1


@pytest.fixture
def items(monkeypatch: pytest.MonkeyPatch) -> dict[str, Item]:
    """The items that are yielded, by name."""
    made: dict[str, Item] = {}

    class Kept(Item):
        def __init__(self, log: list[Any], name: str) -> None:
            super().__init__(log, name)
            made[name] = self

    monkeypatch.setattr(sys.modules[__name__], "Item", Kept)
    return made


def test_a_cancel_that_comes_meanwhile_leaves_the_next_one_unsent(items: dict[str, Item]) -> None:
    message = Message(GET, 1)

    class Slow(Destination):
        def store(self, what: Any, report: Any, meanwhile: Any) -> Outcome:
            outcome = super().store(what, report, meanwhile)
            message.is_cancelled = True
            return outcome

    log: list[Any] = []
    invocation = Invocation(
        message, lambda: evt.ahead(three(log)), lambda response: None, SYNTAX, lambda: three
    )
    final = retrieve(invocation, lambda ask, ahead: Slow(log))
    assert ("sent", "b") not in log
    assert items["a"].is_closed
    assert items["b"].is_closed
    assert (final.Status, final.NumberOfRemainingSuboperations) == (0xFE00, 2)


def test_what_was_read_early_and_is_not_needed_is_closed(items: dict[str, Item]) -> None:
    class Fails(Destination):
        def store(self, what: Any, report: Any, meanwhile: Any) -> Outcome:
            super().store(what, report, meanwhile)
            raise ZeroDivisionError

    log: list[Any] = []
    invocation = Invocation(
        Message(GET, 1), lambda: evt.ahead(three(log)), lambda response: None, SYNTAX, lambda: three
    )
    with pytest.raises(ZeroDivisionError):
        retrieve(invocation, lambda ask, ahead: Fails(log))
    assert items["a"].is_closed
    assert items["b"].is_closed
    assert log[-1] == "closed"


def test_the_handler_is_closed_through_what_says_that_it_may_run_ahead() -> None:
    ended: list[bool] = []

    def generator() -> Iterator[int]:
        try:
            yield 1
        finally:
            ended.append(True)

    items = evt.ahead(generator())
    assert next(iter(items)) == 1
    items.close()  # type: ignore[attr-defined]
    assert ended == [True]
    evt.ahead([1, 2]).close()  # type: ignore[attr-defined]


def test_what_is_made_ready(tmp_path: Path) -> None:
    """A file is open and in memory, so that the handler may remove it; problems come up later."""
    from pydicom.data import get_testdata_file

    path = tmp_path / "ct.dcm"
    path.write_bytes(Path(str(get_testdata_file("CT_small.dcm"))).read_bytes())
    what = taken(path)
    assert isinstance(what, Instance)
    what.read_ahead()
    path.unlink()
    assert isinstance(what.content, InFile)
    assert what.content.memory is not None
    what.close()
    missing = taken(path)
    assert isinstance(missing, Outcome)
    assert "No such file" in missing.problem
