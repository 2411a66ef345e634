"""Deadlines that are further away than any call of the system waits."""

from __future__ import annotations

import threading

import pytest

from pynetdicom.network import deadlines
from pynetdicom.network.deadlines import after, remaining, stretch, wait_until


@pytest.mark.parametrize("seconds", [2**31, 1e9, 2**1000, 1e300, float("inf")])
def test_a_stretch_is_no_longer_than_the_system_waits(seconds: float) -> None:
    longest = stretch(remaining(after(seconds)))
    assert longest is not None
    assert longest * 1000 < 2**31  # poll's milliseconds
    assert longest < threading.TIMEOUT_MAX


def test_a_short_time_is_left_as_it_is() -> None:
    assert stretch(0) == 0
    assert stretch(2.5) == 2.5
    assert stretch(None) is None


def test_never_and_at_once() -> None:
    assert after(None) is None
    assert remaining(None) is None
    assert remaining(after(0)) == 0
    assert remaining(after(-1, 0.5)) == 0


def test_waiting_goes_on_after_a_stretch(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LONGEST", 0.01)
    asked: list[float | None] = []

    def wait(seconds: float | None) -> bool:
        asked.append(seconds)
        return len(asked) == 5

    assert wait_until(wait, after(1e9))
    assert asked == [0.01] * 5


def test_waiting_ends_at_the_deadline(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(deadlines, "LONGEST", 0.01)
    asked: list[float] = []

    def wait(seconds: float | None) -> bool:
        assert seconds is not None
        asked.append(seconds)
        return threading.Event().wait(seconds)

    deadline = after(0.035)
    assert not wait_until(wait, deadline)
    assert remaining(deadline) == 0
    assert asked[-1] < 0.01 == asked[0]


def test_a_wait_without_a_deadline_is_one_call() -> None:
    asked: list[float | None] = []
    assert not wait_until(asked.append, None)
    assert asked == [None]


def test_a_deadline_that_has_passed_is_looked_at_once() -> None:
    asked: list[float | None] = []
    assert not wait_until(asked.append, after(-5))
    assert asked == [0.0]
