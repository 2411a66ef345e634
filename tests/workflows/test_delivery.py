"""pynetdicom.workflows.delivery: attempts, again and again, and sooner if there is reason."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from typing import Any

import pytest

from pynetdicom.workflows.delivery import Delivery
from tests.pair import Seen
from tests.peers import DEADLINE


class Attempts:
    """Attempts that are in vain until it is said otherwise."""

    def __init__(self) -> None:
        self.seen, self.is_possible = Seen(), False
        self.delivery = Delivery(self.attempt, "pynetdicom-test", (3600.0,), workers=2)
        self.during: Any = lambda: None

    def attempt(self, key: str) -> bool:
        is_possible = self.is_possible
        self.during()
        self.seen.add((key, is_possible))
        return is_possible


@pytest.fixture
def attempts() -> Iterator[Attempts]:
    made = Attempts()
    yield made
    assert made.delivery.close(DEADLINE)


def test_what_waits_is_hastened(attempts: Attempts) -> None:
    for key in ("A", "B"):
        attempts.delivery.put(key)
    assert sorted(attempts.seen.wait(2)) == [("A", False), ("B", False)]
    attempts.is_possible = True
    attempts.delivery.hasten("B")
    assert attempts.seen.wait(3)[-1] == ("B", True)


def test_what_is_being_tried_is_hastened(attempts: Attempts) -> None:
    """What it lacked comes while the attempt is under way."""
    begun, going_on = threading.Event(), threading.Event()

    def during() -> None:
        begun.set()
        assert going_on.wait(DEADLINE)

    attempts.during = during
    attempts.delivery.put("A")
    assert begun.wait(DEADLINE)
    attempts.is_possible = True
    attempts.delivery.hasten("A")
    going_on.set()
    assert attempts.seen.wait(2) == [("A", False), ("A", True)]


def test_what_does_not_wait_is_not_tried(attempts: Attempts) -> None:
    attempts.is_possible = True
    attempts.delivery.hasten("A")
    attempts.delivery.put("B")
    assert attempts.seen.wait(1) == [("B", True)]
