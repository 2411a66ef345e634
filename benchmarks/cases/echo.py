"""C-ECHO: the round trip of a request and its response."""

from __future__ import annotations

from functools import partial

from benchmarks.method import Bench, Contender
from benchmarks.parties import Party
from benchmarks.processes import BenchmarkError
from benchmarks.report import Item, Result, judge, timing

TARGET = 0.6
REFERENCE = "DCMTK → DCMTK"


def measure(bench: Bench) -> Result:
    count = bench.scale.echoes
    few = max(count // 100, 10)
    contenders = [pairing(bench, bench.dcmtk, bench.dcmtk, count)]
    if bench.ours:
        contenders += [
            pairing(bench, bench.ours, bench.ours, count),
            pairing(bench, bench.ours, bench.dcmtk, count),
            pairing(bench, bench.dcmtk, bench.ours, count),
        ]
    contenders.append(pairing(bench, bench.stock, bench.stock, few))
    if bench.pydcm:
        contenders += [
            pairing(bench, bench.pydcm, bench.pydcm, count),
            pairing(bench, bench.dcmtk, bench.pydcm, count),
        ]
    if bench.old:
        contenders.append(pairing(bench, bench.old, bench.old, few))
    found = bench.alternate(contenders)
    note = f"{count:,} a round; DCMTK as installed and 3.0.4 send only {few}."
    item = Item("µs", 1e6)
    result = timing("C-ECHO round trip", found, [REFERENCE], item, [note])
    judge(result, "C-ECHO", found, "ours → ours", REFERENCE, TARGET)
    return result


def pairing(bench: Bench, scu: Party, scp: Party, count: int) -> Contender:
    label = f"{scu.label} → {scp.label}"
    return Contender(label, partial(_round_trip, bench, scu, scp, count))


def _round_trip(bench: Bench, scu: Party, scp: Party, count: int) -> float:
    with bench.output() as out, scp.serve(out, bench.log()) as running:
        scu.echo(running.port, 10)
        seconds = scu.echo(running.port, count)
        running.alive()
    if seconds <= 0:
        raise BenchmarkError("the difference of the two runs is not positive")
    return seconds / count
