"""C-STORE: objects of three sizes, from files, to disk; and of a peer with Nagle's algorithm on."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.data import BIG, MEDIUM, SLICE, SMALL, Shape
from benchmarks.method import Bench, Contender, verify
from benchmarks.parties import UNTIMED, Party
from benchmarks.processes import BenchmarkError
from benchmarks.report import Item, Result, Verdict, judge, timing

REFERENCES = ("DCMTK → DCMTK", "DCMTK tuned → DCMTK tuned")
STOCK_TARGET = 2.0


def slices(bench: Bench) -> Result:
    scale = bench.scale
    return _sizes(bench, SLICE, scale.slices, scale.old, 1.4)


def small(bench: Bench) -> Result:
    scale = bench.scale
    return _sizes(bench, SMALL, scale.small, scale.old, 1.1)


def big(bench: Bench) -> Result:
    scale = bench.scale
    return _sizes(bench, MEDIUM if scale.quick else BIG, scale.big, 1, 2.0)


def _sizes(bench: Bench, shape: Shape, count: int, few: int, target: float) -> Result:
    files = bench.files(shape, count + UNTIMED)
    fewer = files[: few + UNTIMED]
    contenders = [
        pairing(bench, bench.dcmtk, bench.dcmtk, files),
        pairing(bench, bench.tuned, bench.tuned, files),
    ]
    if bench.ours:
        contenders += [
            pairing(bench, bench.ours, bench.ours, files),
            pairing(bench, bench.ours, bench.tuned, files),
            pairing(bench, bench.tuned, bench.ours, files),
        ]
    contenders.append(pairing(bench, bench.stock, bench.stock, fewer))
    if bench.old:
        contenders.append(pairing(bench, bench.old, bench.old, fewer))
    found = bench.alternate(contenders)
    title = f"C-STORE of {count:,} objects of {shape.name}, file to disk"
    note = f"Time of one object. DCMTK as installed and 3.0.4 send only {few} a round."
    item = Item(size=files[0].stat().st_size)
    result = timing(title, found, REFERENCES, item, [note])
    for reference in REFERENCES[:1]:
        judge(result, f"objects of {shape.name}", found, "ours → ours", reference, target)
    return result


def stock(bench: Bench) -> Result:
    """DCMTK's storescu as installed, where every object may wait for a delayed acknowledgement."""
    files = bench.files(SMALL, bench.scale.stock + UNTIMED)
    fewer = files[: bench.scale.old + UNTIMED]
    contenders = [pairing(bench, bench.stock, bench.stock, fewer)]
    if bench.ours:
        contenders.append(pairing(bench, bench.stock, bench.ours, files))
    if bench.old:
        contenders.append(pairing(bench, bench.stock, bench.old, fewer))
    found = bench.alternate(contenders)
    note = f"Time of one object; {bench.scale.old} a round where the SCP is not ours."
    title = "C-STORE of objects of 4 KB, SCU with Nagle's algorithm on"
    result = timing(title, found, [f"{bench.stock.label} → {bench.stock.label}"], Item(), [note])
    for samples in found:
        if samples.label.endswith("→ ours") and samples.values:
            value = statistics.median(samples.values) * 1e3
            verdict = Verdict("stock storescu to us", value, STOCK_TARGET, "ms", at_least=False)
            result.verdicts.append(verdict)
    return result


def pairing(
    bench: Bench,
    scu: Party,
    scp: Party,
    files: Sequence[Path],
) -> Contender:
    label = f"{scu.label} → {scp.label}"
    return Contender(label, partial(_one_object, bench, scu, scp, files))


def _one_object(bench: Bench, scu: Party, scp: Party, files: Sequence[Path]) -> float:
    with bench.output() as out, scp.serve(out, bench.log()) as running:
        bench.settle()
        seconds = scu.store(running.port, files)
        verify(running, out, files)
    if seconds <= 0:
        raise BenchmarkError("the difference of the two runs is not positive")
    return seconds / (len(files) - UNTIMED)
