"""Of many cases that are alike, ``make test`` takes a few, and ``make test-all`` takes all."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import pytest


def sampled(
    names: str | tuple[str, ...],
    cases: Iterable[Any],
    *,
    count: int = 1,
    keep: Iterable[Any] = (),
    **options: Any,
) -> pytest.MarkDecorator:
    """As `pytest.mark.parametrize`, with all cases but a few marked as slow.

    Parameters
    ----------
    names : str or tuple of str
        As `pytest.mark.parametrize` takes them.
    cases : iterable
        The values of the argument, or tuples of values of several.
    count : int
        How many are not slow, from the first to the last at even distances.
    keep : iterable
        These cases instead of `count` of them.
    options
        For `pytest.mark.parametrize`.
    """
    cases, kept = list(cases), list(keep)
    assert all(case in cases for case in kept)
    chosen = (
        {index for index, case in enumerate(cases) if case in kept}
        if kept
        else {round(number * (len(cases) - 1) / max(1, count - 1)) for number in range(count)}
    )
    alone = isinstance(names, str) and "," not in names
    params = [
        pytest.param(
            *([case] if alone else case), marks=[] if index in chosen else pytest.mark.slow
        )
        for index, case in enumerate(cases)
    ]
    return pytest.mark.parametrize(names, params, **options)
