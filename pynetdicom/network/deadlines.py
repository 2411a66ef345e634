"""Points in time until which something is waited for, however far away they are.

A deadline is a value of `time.monotonic`, None for never. The system's calls take less than a
deadline may be away: `poll` 24.8 days, a lock on Windows 49. So a thread waits for no longer than
`LONGEST` at a stretch and then waits again: in a loop that it has anyway, with `stretch`, or by
`wait_until`.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TypeVar

LONGEST = 1e6
"""Seconds that every call of every system can wait for: 11.6 days."""

Outcome = TypeVar("Outcome")


def after(seconds: float | None, more: float = 0.0) -> float | None:
    """The deadline that is so many seconds away; None for never."""
    return None if seconds is None else time.monotonic() + seconds + more


def remaining(deadline: float | None) -> float | None:
    """Seconds until `deadline`, not below 0; None for never."""
    return None if deadline is None else max(0.0, deadline - time.monotonic())


def stretch(seconds: float | None) -> float | None:
    """How long to wait at a stretch, where `seconds` are left; the caller waits again."""
    return seconds if seconds is None or seconds < LONGEST else LONGEST


def wait_until(wait: Callable[[float | None], Outcome], deadline: float | None) -> Outcome:
    """Call `wait` with a number of seconds until what it gives is true, or the deadline is there.

    What it gave last is returned. It is called at least once.
    """
    while True:
        left = remaining(deadline)
        outcome = wait(stretch(left))
        if outcome or left is None or left < LONGEST:
            return outcome
