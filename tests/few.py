"""Of many cases that are alike, ``make test`` takes a few, and ``make test-all`` takes all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def a_few(cases: Iterable[Any], count: int = 2, *, keep: Iterable[Any] = ()) -> list[Any]:
    """The cases for `pytest.mark.parametrize`; all but a few are marked as slow.

    Parameters
    ----------
    cases : iterable
        A tuple is the values of several arguments.
    count : int
        How many are not slow, from the first to the last at even distances.
    keep : iterable
        These instead of `count` of them.
    """
    cases = list(cases)
    kept = list(keep)
    chosen = (
        {index for index, case in enumerate(cases) if case in kept}
        if kept
        else {round(number * (len(cases) - 1) / max(1, count - 1)) for number in range(count)}
    )
    assert len(chosen) >= len(kept), "a case to keep is not among the cases"
    return [
        pytest.param(
            *(case if isinstance(case, tuple) else (case,)),
            marks=[] if index in chosen else pytest.mark.slow,
        )
        for index, case in enumerate(cases)
    ]
