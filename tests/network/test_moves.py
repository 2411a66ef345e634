"""pynetdicom.network.moves: the state machine, moved by any thread in the midst of anything."""

from __future__ import annotations

import sys
import threading
from types import FrameType
from typing import Any

import pytest

from pynetdicom.network import moves as module
from pynetdicom.network.moves import Move
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.fsm import UpperLayer
from tests.peers import Call

LOCAL = Ended("aborted", "local", 0, 0)


def beginning(state: str = "Sta6") -> Move:
    layer = UpperLayer(requestor=True)
    layer.state = state
    return Move(layer)


def test_what_is_true_from_then_on() -> None:
    first = beginning()
    move = first.move("Evt11")
    assert move.told == ("AR-1", "Sta6", "Evt11", "Sta7")
    assert (first.last(), first.next, move.next) == (move, move, None)
    assert (move.ends, move.ended, move.leaving) == (False, None, None)
    abort = first.move("Evt15", LOCAL, aborts=True)
    assert (abort.ends, abort.ended, abort.layer.state) == (True, LOCAL, "Sta13")
    assert abort.leaving == bytes.fromhex("07000000000400000000")
    closed = first.move("Evt17", Ended("aborted", "network"))
    assert (closed.ends, closed.ended, closed.leaving) == (False, LOCAL, abort.leaving)
    assert closed.ended_at == abort.ended_at
    assert first.layer.state == "Sta6"


@pytest.mark.parametrize(("state", "aborts"), [("Sta13", True), ("Sta2", True), ("Sta13", False)])
def test_what_is_not_possible_moves_nothing(state: str, aborts: bool) -> None:
    first = beginning(state)
    with pytest.raises(RuntimeError):
        first.move("Evt15", LOCAL, aborts=aborts)
    assert first.next is None


def test_one_of_many_threads_ends_it() -> None:
    for _ in range(50):
        first = beginning()
        start = threading.Barrier(4)

        def abort(first: Move = first, start: threading.Barrier = start) -> int:
            start.wait()
            try:
                return int(first.move("Evt15", LOCAL, aborts=True).ends)
            except RuntimeError:
                return 0

        assert sum(call.result() for call in [Call(abort) for _ in range(4)]) == 1


def test_an_abort_in_the_midst_of_another_move() -> None:
    """At each bytecode: the move counts before the abort, or is thought over and not possible."""
    outcomes = set()
    for at in range(1, 2000):
        first = beginning()
        count = 0

        def trace(frame: FrameType, event: str, arg: Any) -> Any:
            nonlocal count
            if frame.f_code.co_filename != module.__file__:
                return None
            frame.f_trace_opcodes = True
            if event == "opcode":
                count += 1
                if count == at:  # noqa: B023  # called before the next
                    first.move("Evt15", LOCAL, aborts=True)  # noqa: B023
            return trace

        sys.settrace(trace)
        try:
            move: Move | None = first.move("Evt11")
        except RuntimeError:
            move = None
        finally:
            sys.settrace(None)
        if count < at:
            break
        last = first.last()
        assert last.ended == LOCAL
        outcomes.add(move is None)
        assert last.told[1] == ("Sta6" if move is None else "Sta7")
    assert outcomes == {True, False}
