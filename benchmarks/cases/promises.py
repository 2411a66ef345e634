"""How soon the library does what it promises, whatever else goes on; ours alone."""

from __future__ import annotations

import statistics
from collections.abc import Sequence

from benchmarks.method import Bench
from benchmarks.parties import Pynetdicom
from benchmarks.processes import BenchmarkError
from benchmarks.report import Result, Verdict

SILENT, SLOW = 500, 50
ASSOCIATIONS = 50
CROWDED, WOKEN, SHUT_DOWN = 100.0, 50.0, 2000.0
"""Milliseconds that are promised."""


def measure(bench: Bench) -> Result:
    note = f"“In a crowd”: {SILENT} silent connections, and {SLOW} that send a byte each second."
    result = Result("Promises", ["what", "median, ms", "p99, ms"], [], [note])
    if bench.ours is None:
        return result
    count = 20 if bench.scale.quick else 300
    try:
        for name, silent, slow in (("alone", 0, 0), ("in a crowd", SILENT, SLOW)):
            what = f"association, C-ECHO, release, {name}"
            _add(result, what, _echoes(bench, bench.ours, count, silent, slow), CROWDED)
        report = bench.ours.wake(count, ASSOCIATIONS)
        _add(result, "abort() wakes who waits for an answer", report["woken"], WOKEN)
        _add(result, f"shutdown() of {ASSOCIATIONS} associations", [report["shutdown"]], SHUT_DOWN)
    except BenchmarkError as error:
        result.problems.append(str(error))
    return result


def _echoes(bench: Bench, party: Pynetdicom, count: int, silent: int, slow: int) -> list[float]:
    with (
        bench.output() as out,
        party.serve(out, bench.log()) as scp,
        party.crowd(scp.port, silent, slow, bench.log()),
    ):
        return party.whole(scp.port, count)


def _add(result: Result, what: str, seconds: Sequence[float], bound: float) -> None:
    times = sorted(1000 * one for one in seconds)
    worst = times[int(0.99 * (len(times) - 1))]
    result.rows.append([what, f"{statistics.median(times):.2f}", f"{worst:.2f}"])
    result.figures[what] = times
    result.verdicts.append(Verdict(what, worst, bound, "ms", at_least=False))
