"""storescu as a user runs it: from the start of its process to the end."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from pathlib import Path

from benchmarks.data import SLICE
from benchmarks.method import Bench, Contender, verify
from benchmarks.parties import DCMTK, Applications
from benchmarks.report import Item, Result, judge, timing

TARGET = 1.2
REFERENCES = ("DCMTK → DCMTK", "DCMTK tuned → DCMTK tuned")


def measure(bench: Bench) -> Result:
    files = bench.files(SLICE, bench.scale.slices + 1)
    contenders = [
        pairing(bench, bench.dcmtk, bench.dcmtk, files),
        pairing(bench, bench.tuned, bench.tuned, files),
    ]
    if bench.applications:
        contenders += [
            pairing(bench, bench.applications, bench.applications, files),
            pairing(bench, bench.applications, bench.tuned, files),
            pairing(bench, bench.tuned, bench.applications, files),
        ]
    found = bench.alternate(contenders)
    count = len(files) - 1
    note = f"{count} objects of {SLICE.name}, from the start of storescu's process to its end."
    item = Item(size=count * files[0].stat().st_size, rate=False)
    result = timing(f"storescu, {count} slices, whole process", found, REFERENCES, item, [note])
    judge(
        result,
        "storescu as a whole",
        found,
        "our applications → our applications",
        REFERENCES[0],
        TARGET,
    )
    return result


def pairing(
    bench: Bench,
    scu: DCMTK | Applications,
    scp: DCMTK | Applications,
    files: Sequence[Path],
) -> Contender:
    label = f"{scu.label} → {scp.label}"
    return Contender(label, partial(_whole, bench, scu, scp, files))


def _whole(
    bench: Bench, scu: DCMTK | Applications, scp: DCMTK | Applications, files: Sequence[Path]
) -> float:
    with bench.output() as out, scp.serve(out, bench.log()) as running:
        # The first association of an SCP's life is not the one to look at.
        scu.whole(running.port, files[:1])
        bench.settle()
        seconds = scu.whole(running.port, files[1:])
        verify(running, out, files)
    return seconds
