"""Several objects at a time, by a window or by associations, against one by one; ours alone.

Over a long way, which a relay makes of this machine, what is waited for is the way; without it,
the other side.
"""

from __future__ import annotations

import contextlib
from functools import partial

from benchmarks.data import SMALL
from benchmarks.method import Bench, Contender, verify
from benchmarks.parties import UNTIMED, Pynetdicom
from benchmarks.report import Item, Result, judge, timing

DELAY = 0.02
"""Seconds that the relay takes, each way."""

ONE = "window 1"
FAR = {ONE: (1, 1), "window 8": (8, 1), "4 associations": (1, 4)}
NEAR = {ONE: (1, 1), "window 4": (4, 1), "window 8": (8, 1), "4 associations": (1, 4)}
"""Window and number of associations."""

FAR_TARGETS = {"window 8": 1 / 0.2, "4 associations": 1 / 0.3}
NEAR_TARGETS = {"window 4": 1.3}
"""How many times as fast as one after another."""


def far(bench: Bench) -> Result:
    title = f"C-STORE of {bench.scale.small:,} objects of 4 KB over {DELAY * 1e3:g} ms each way"
    return _measure(bench, title, FAR, FAR_TARGETS, DELAY)


def near(bench: Bench) -> Result:
    title = f"C-STORE of {bench.scale.small:,} objects of 4 KB, several at a time"
    return _measure(bench, title, NEAR, NEAR_TARGETS, 0.0)


def _measure(
    bench: Bench,
    title: str,
    ways: dict[str, tuple[int, int]],
    targets: dict[str, float],
    delay: float,
) -> Result:
    if bench.ours is None:
        return Result(title, ["SCU → SCP"], [])
    contenders = [
        Contender(label, partial(_one_object, bench, bench.ours, *how, delay))
        for label, how in ways.items()
    ]
    found = bench.alternate(contenders)
    result = timing(title, found, [ONE], Item(), ["Time of one object, file to disk."])
    for label, target in targets.items():
        judge(result, label, found, label, ONE, target)
    return result


def _one_object(
    bench: Bench, party: Pynetdicom, window: int, associations: int, delay: float
) -> float:
    files = bench.files(SMALL, bench.scale.small + UNTIMED)
    with contextlib.ExitStack() as stack:
        out = stack.enter_context(bench.output())
        scp = stack.enter_context(party.serve(out, bench.log()))
        port = scp.port
        if delay:
            port = stack.enter_context(party.relay(port, delay, bench.log())).port
        bench.settle()
        seconds = party.many(port, window, associations, files)
        verify(scp, out, files)
    return seconds / (len(files) - UNTIMED)
