"""Asking a retrieve handler for its next instance while the peer works on the last one."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import evt
from pynetdicom.association.sub_operations import make_ready
from pynetdicom.data_sets.data_set import InFile
from pynetdicom.dimse.primitives import C_GET, Primitive
from pynetdicom.services.engines import Invocation
from pynetdicom.services.instances import Instance
from pynetdicom.services.retrieval import Outcome, retrieve

SYNTAX = "1.2.840.10008.1.2"
GET = C_GET(AffectedSOPClassUID="1.2.840.10008.5.1.4.1.2.1.3", MessageID=1, Priority=2)


class Destination:
    """Notes in which order things happen; each instance is sent, and answered after that."""

    def __init__(self, log: list[Any]) -> None:
        self.log = log

    def make_ready(self, data_set: Any) -> Any:
        self.log.append(("ready", data_set))
        return f"ready {data_set}"

    def store(self, data_set: Any, report: Any, meanwhile: Any) -> Outcome:
        self.log.append(("sent", data_set))
        if meanwhile is not None:
            meanwhile()
        self.log.append(("answered", data_set))
        return Outcome(0x0000, "1.2")

    def close(self) -> None:
        self.log.append("closed")


def perform(handler: Any, cancelled: threading.Event | None = None) -> tuple[list[Any], Primitive]:
    log: list[Any] = []

    def send(response: Primitive) -> None:
        log.append(("pending", response.NumberOfRemainingSuboperations))

    is_cancelled = (cancelled or threading.Event()).is_set
    invocation = Invocation(GET, lambda: handler(log), send, is_cancelled, SYNTAX)
    final = retrieve(invocation, lambda ask, ahead: Destination(log))
    return log, final


def three(log: list[Any]) -> Iterator[Any]:
    yield 3
    for name in "abc":
        log.append(("asked", name))
        yield 0xFF00, name


EARLY = [
    ("asked", "a"),
    ("sent", "a"),
    ("asked", "b"),
    ("ready", "b"),
    ("answered", "a"),
    ("pending", 2),
    ("sent", "ready b"),
    ("asked", "c"),
    ("ready", "c"),
    ("answered", "ready b"),
    ("pending", 1),
    ("sent", "ready c"),
    ("answered", "ready c"),
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
    log, final = perform(lambda log: [3, *((0xFF00, name) for name in "abc")])
    assert log == [entry for entry in EARLY if entry[0] != "asked"]
    assert final.Status == 0


def test_what_it_raises_counts_after_the_answer_to_its_last_instance() -> None:
    def fails(log: list[Any]) -> Iterator[Any]:
        yield 2
        yield 0xFF00, "a"
        raise ValueError("no more")

    log, final = perform(lambda log: evt.ahead(fails(log)))
    assert log == [("sent", "a"), ("answered", "a"), ("pending", 1), "closed"]
    assert (final.Status, final.NumberOfCompletedSuboperations) == (0xC411, 1)
    assert final.NumberOfFailedSuboperations == 1


def test_a_cancel_that_comes_meanwhile_leaves_the_next_one_unsent() -> None:
    cancelled = threading.Event()
    closed: list[str] = []

    class Closable(str, Instance):
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    class Slow(Destination):
        def make_ready(self, data_set: Any) -> Any:
            return Closable(data_set)

        def store(self, data_set: Any, report: Any, meanwhile: Any) -> Outcome:
            outcome = super().store(data_set, report, meanwhile)
            cancelled.set()
            return outcome

    log: list[Any] = []
    invocation = Invocation(
        GET, lambda: evt.ahead(three(log)), lambda response: None, cancelled.is_set, SYNTAX
    )
    final = retrieve(invocation, lambda ask, ahead: Slow(log))
    assert ("sent", "b") not in log
    assert closed == ["b"]
    assert (final.Status, final.NumberOfRemainingSuboperations) == (0xFE00, 2)


def test_what_was_read_early_and_is_not_needed_is_closed() -> None:
    closed: list[str] = []

    class Closable(str, Instance):
        def __init__(self, name: str) -> None:
            self.name = name

        def close(self) -> None:
            closed.append(self.name)

    class Fails(Destination):
        def make_ready(self, data_set: Any) -> Any:
            return Closable(data_set)

        def store(self, data_set: Any, report: Any, meanwhile: Any) -> Outcome:
            super().store(data_set, report, meanwhile)
            raise ZeroDivisionError

    log: list[Any] = []
    invocation = Invocation(
        GET, lambda: evt.ahead(three(log)), lambda response: None, lambda: False, SYNTAX
    )
    with pytest.raises(ZeroDivisionError):
        retrieve(invocation, lambda ask, ahead: Fails(log))
    assert closed == ["b"]
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
    what = make_ready(path)
    path.unlink()
    assert isinstance(what, Instance)
    assert isinstance(what._content, InFile)
    assert what._content._memory() is not None
    what.close()
    missing = make_ready(path)
    assert isinstance(missing, Outcome)
    assert "No such file" in missing.problem
