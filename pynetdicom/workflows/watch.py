"""Whether a query is still wanted: asked between small steps of work, so that none goes on long.

In: what tells that the peer has cancelled, or is gone, or that we stop. Out: `Cancelled`, from the
midst of matching or of a statement of the database.
"""

from __future__ import annotations

from collections.abc import Callable

STEPS = 64
"""How many values are matched between two looks."""


class Cancelled(Exception):
    """Nobody wants the answer any more."""


class Watch:
    """Looks whether a query is still wanted.

    Parameters
    ----------
    is_cancelled : callable
        Whether it is not; cheap, and may be called in any thread.
    """

    def __init__(self, is_cancelled: Callable[[], bool] = lambda: False) -> None:
        self.is_cancelled = is_cancelled
        self._left = STEPS

    def step(self, cost: int = 1) -> None:
        """Say that one value is going to be matched, or a long one that counts for several."""
        self._left -= cost
        if self._left <= 0:
            self.look()

    def look(self) -> None:
        """Raise `Cancelled` if the query is not wanted any more."""
        self._left = STEPS
        if self.is_cancelled():
            raise Cancelled
