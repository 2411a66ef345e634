"""pynetdicom.network.latch: what a signal's handler may meet in the midst of anything."""

from __future__ import annotations

import copy
import pickle
import sys
import threading
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest

from pynetdicom.network import latch as module
from pynetdicom.network.latch import Hold, Latch
from tests.peers import DEADLINE, Call


def at_each_step(call: Callable[[], Any], act: Callable[[], Any]) -> int:
    """Call `call` again and again, with `act` at another of its bytecodes each time.

    Gives the greatest number of those that there were. All of it on a thread of its own: one into
    which a trace function has raised in an ``except`` takes its exception for handled ever after.
    """
    most: int = Call(_at_each_step, call, act).result()
    return most


def _at_each_step(call: Callable[[], Any], act: Callable[[], Any]) -> int:
    most = 0
    for at in range(1, 150):
        count = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal count
            if frame.f_code.co_filename != module.__file__ or frame.f_code.co_name == "__init__":
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                count += 1
                if count == at:  # noqa: B023  # called before the next
                    act()
            return trace

        sys.settrace(trace)
        try:
            call()
        except KeyboardInterrupt:
            pass
        finally:
            sys.settrace(None)
        most = max(most, count)
    return most


def interrupt() -> None:
    raise KeyboardInterrupt


def test_a_latch_wakes_all_who_wait() -> None:
    latch = Latch()
    assert not latch.wait(0)
    calls = [Call(latch.wait, DEADLINE) for _ in range(5)]
    latch.set()
    assert [call.result() for call in calls] == [True] * 5
    assert latch.is_set()
    assert latch.wait(0)


def test_a_latch_is_set_in_the_midst_of_waiting_for_it() -> None:
    """By the handler of a signal; where it was not set before, it is then."""

    latches: list[Latch] = []

    def wait() -> None:
        latch = Latch()
        latches.append(latch)

        def run() -> None:
            while not (latch._waiters or latch.is_set()):
                pass
            latch.set()

        setter = threading.Thread(target=run)
        setter.start()
        assert latch.wait(DEADLINE)
        setter.join()

    assert at_each_step(wait, lambda: latches[-1].set()) > 10


def test_a_waiter_that_is_interrupted_does_no_harm() -> None:
    latch = Latch()

    def wait() -> None:
        latch.wait(0)

    assert at_each_step(wait, interrupt) > 10
    latch.set()
    assert latch.wait(0)


def free(hold: Hold) -> bool:
    """Whether another thread can have it."""
    return bool(Call(hold.attempt, lambda: None).result())


@pytest.mark.parametrize("how", ["run", "attempt"])
def test_ctrl_c_at_any_step_leaves_it_with_nobody(how: str) -> None:
    hold = Hold()
    done: list[int] = []

    def call() -> None:
        try:
            getattr(hold, how)(done.append, 1)
        finally:
            sys.settrace(None)
            assert not hold.is_mine()
            assert free(hold)

    assert at_each_step(call, interrupt) > 10
    assert done


@pytest.mark.parametrize("how", ["run", "attempt"])
def test_whoever_comes_again_does_not_wait_for_itself(how: str) -> None:
    hold = Hold("not twice")
    came: list[str] = []

    def again() -> None:
        assert hold.is_mine()
        assert not hold.attempt(lambda: None)
        with pytest.raises(RuntimeError, match="not twice"):
            hold.run(lambda: None)
        came.append("again")
        assert hold.is_mine()

    getattr(hold, how)(again)
    assert came == ["again"]
    assert not hold.is_mine()


def test_whoever_comes_again_may_where_nothing_is_refused() -> None:
    hold = Hold("")
    came: list[str] = []
    hold.run(lambda: hold.run(came.append, "again"))
    assert came == ["again"]
    assert free(hold)


def test_one_thread_at_a_time() -> None:
    hold = Hold()
    entered, go_on = threading.Event(), threading.Event()
    order: list[int] = []

    def first() -> None:
        entered.set()
        go_on.wait(DEADLINE)
        order.append(1)

    one = Call(hold.run, first)
    assert entered.wait(DEADLINE)
    assert not hold.attempt(order.append, 0)
    two = Call(hold.run, order.append, 2)
    go_on.set()
    one.result()
    two.result()
    assert order == [1, 2]


def test_what_is_called_may_raise() -> None:
    hold = Hold()
    for how in (hold.run, hold.attempt):
        with pytest.raises(ZeroDivisionError):
            how(lambda: 1 / 0)
        assert free(hold)
    assert hold.run(lambda: 5) == 5


def test_a_copy_is_nobodys() -> None:
    hold = Hold("why")
    copies: list[Hold] = []
    hold.run(lambda: copies.extend((copy.deepcopy(hold), pickle.loads(pickle.dumps(hold)))))
    assert [one.is_mine() for one in copies] == [False, False]
    assert all(one._refusal == "why" for one in copies)
