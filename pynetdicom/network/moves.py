"""The moves of one association's state machine, which any thread may make in the midst of anything.

In: events. Out: a chain of values, the last of which says what is true. A move counts once it has
its place behind the last one; a thread whose move comes too late thinks again, from there. So there
is no lock that the handler of a signal could wait for, and nobody finds half of a move.
"""

from __future__ import annotations

import time

from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.fsm import TABLE, Action, UpperLayer


class Move:
    """A move of the state machine, and all that is true from then on.

    Parameters
    ----------
    layer : UpperLayer
        The state machine as it stands then; it is not moved any more.

    Attributes
    ----------
    action : Action or None
        What the move is; None for where it all begins.
    told : tuple of str
        The action, the state before, the event, and the state from then on.
    ends : bool
        Whether the association ends by it.
    ended : Ended or None
        How the association has ended.
    ended_at : float
        When, of `time.monotonic`.
    leaving : bytes or None
        The A-ABORT that is sent for it.
    """

    __slots__ = ("_action", "_next", "ended", "ended_at", "ends", "layer", "leaving", "told")

    def __init__(self, layer: UpperLayer) -> None:
        self.layer = layer
        self._action: Action | None = None
        self.told = ("", "", "", "")
        self.ends = False
        self.ended: Ended | None = None
        self.ended_at = 0.0
        self.leaving: bytes | None = None
        # A dict's own operations are atomic: `setdefault` tells whose move counts.
        self._next: dict[str, Move] = {}

    @property
    def action(self) -> Action:
        """What is to be done for it."""
        assert self._action is not None
        return self._action

    @property
    def next(self) -> Move | None:
        """The move that follows, if there is one."""
        return self._next.get("")

    def last(self) -> Move:
        """The last move that follows, or this one."""
        move = self
        while move._next:
            move = move._next[""]
        return move

    def move(self, event: str, ended: Ended | None = None, *, aborts: bool = False) -> Move:
        """Move on from the last move that follows this one.

        Raises
        ------
        RuntimeError
            The event is not possible any more; or, with `aborts`, it is no reason to abort the
            association, or not the first.
        """
        abort = None
        if ended is not None and ended.kind == "aborted":
            abort = pdus.A_ABORT(source=ended.source or 0, reason=ended.reason or 0).encode()
        while True:
            last = self.last()
            move = last._thought_of(event, ended, abort, aborts=aborts)
            if last._next.setdefault("", move) is move:
                return move

    def _thought_of(
        self, event: str, ended: Ended | None, abort: bytes | None, *, aborts: bool
    ) -> Move:
        """The move that would follow this one."""
        before = self.layer.state
        if aborts:
            found = TABLE.get((event, before))
            if self.ended is not None or found is None or not (found.send or found.close):
                raise RuntimeError("there is nothing to abort")
        move = Move(self.layer.copy())
        action = move._action = move.layer.take(event)
        move.told = (action.label, before, event, move.layer.state)
        move.ended, move.ended_at, move.leaving = self.ended, self.ended_at, self.leaving
        if ended is not None and self.ended is None:
            move.ends, move.ended, move.ended_at = True, ended, time.monotonic()
            if action.send == "A-ABORT":
                move.leaving = abort
        return move
