"""Deadlines: called at their time, not called when cancelled, and no thread when there are none."""

from __future__ import annotations

import logging
import os
import threading
import time
from typing import Any

import pytest

from pynetdicom.upper_layer import clock
from pynetdicom.upper_layer.clock import call_at
from tests.faults.peer import until


def running() -> list[threading.Thread]:
    return [t for t in threading.enumerate() if t.name == "pynetdicom-deadlines"]


def test_a_call_is_made_at_its_time() -> None:
    called: list[bool] = []
    done = threading.Event()
    at = time.monotonic() + 0.05

    def call() -> None:
        called.append(time.monotonic() >= at)
        done.set()

    deadline = call_at(at, call)
    assert done.wait(60)
    assert called == [True]  # and not earlier
    assert deadline.is_cancelled


def test_calls_are_made_in_the_order_of_their_times() -> None:
    called: list[int] = []
    done = threading.Event()
    now = time.monotonic()
    for number in (3, 1, 2):
        call_at(now + number / 50, lambda n=number: called.append(n))  # type: ignore[misc]
    call_at(now + 0.09, done.set)
    assert done.wait(60)
    assert called == [1, 2, 3]


def test_an_earlier_one_is_not_kept_waiting() -> None:
    far = call_at(time.monotonic() + 3600, lambda: None)
    assert running()
    threading.Event().wait(0.05)  # the thread waits for that one by now
    done = threading.Event()
    call_at(time.monotonic(), done.set)
    assert done.wait(60)
    far.cancel()


def test_what_is_cancelled_is_not_called_and_leaves_no_thread() -> None:
    called: list[int] = []
    deadline = call_at(time.monotonic() + 3600, lambda: called.append(1))
    assert running()
    deadline.cancel()
    assert until(lambda: not running())
    assert not called


def test_one_thread_for_all() -> None:
    deadlines = [call_at(time.monotonic() + 3600, lambda: None) for _ in range(50)]
    assert len(running()) == 1
    for deadline in deadlines:
        deadline.cancel()
    assert until(lambda: not running())


def test_one_that_is_set_while_the_thread_ends() -> None:
    for _ in range(200):
        call_at(time.monotonic() + 3600, lambda: None).cancel()
        done = threading.Event()
        call_at(time.monotonic(), done.set)
        assert done.wait(60)


def test_a_call_that_raises_does_not_end_the_others(caplog: pytest.LogCaptureFixture) -> None:
    done = threading.Event()

    def call() -> None:
        raise ZeroDivisionError

    now = time.monotonic()
    call_at(now, call)
    call_at(now + 0.01, done.set)
    assert done.wait(60)
    assert [record.levelno for record in caplog.records] == [logging.ERROR]


def test_no_thread_to_be_had_is_said_and_does_not_last(monkeypatch: pytest.MonkeyPatch) -> None:
    def start(self: Any) -> None:
        raise RuntimeError("can't start new thread")

    with monkeypatch.context() as patch:
        patch.setattr(threading.Thread, "start", start)
        with pytest.raises(RuntimeError):
            call_at(time.monotonic(), lambda: None)
    done = threading.Event()
    call_at(time.monotonic(), done.set)
    assert done.wait(60)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="needs fork")
def test_a_forked_child_has_a_clock_of_its_own() -> None:
    parents = clock._clock
    deadline = call_at(time.monotonic() + 3600, lambda: None)
    try:
        clock._after_fork()
        assert clock._clock is not parents
        done = threading.Event()
        call_at(time.monotonic(), done.set)
        assert done.wait(60)
    finally:
        clock._clock = parents
        deadline.cancel()
