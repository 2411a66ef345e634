"""Several of DCMTK's storescu at once, different objects, to one SCP."""

from __future__ import annotations

import statistics
import threading
import time
from functools import partial
from pathlib import Path

from benchmarks.data import SLICE
from benchmarks.method import Bench, Contender, verify
from benchmarks.parties import DCMTK, Applications
from benchmarks.processes import BenchmarkError
from benchmarks.report import Item, Result, Verdict, judge, timing

SENDERS = (4, 8)
REFERENCE = "DCMTK --fork"
SHARE = 0.7
"""What part of its share each sender gets at least."""


def measure(bench: Bench) -> Result:
    """Measure the time from the first sender's start to the last one's end."""
    shares: dict[str, list[float]] = {}
    contenders = []
    for senders in SENDERS[: 1 if bench.scale.quick else None]:
        parties: list[tuple[str, DCMTK | Applications, tuple[str, ...]]] = [
            (REFERENCE, bench.dcmtk, ("--fork",))
        ]
        if bench.applications:
            parties += [
                ("ours", bench.applications, ()),
                ("ours --workers 2", bench.applications, ("--workers", "2")),
            ]
        for name, scp, options in parties:
            label = f"{name}, {senders} senders"
            how = partial(_send, bench, scp, options, senders, shares.setdefault(label, []))
            contenders.append(Contender(label, how))
    found = bench.alternate(contenders)
    size = bench.scale.slices // 8 * 8 * SLICE.pixel_bytes
    note = (
        f"{bench.scale.slices // 8 * 8} objects of {SLICE.name} in all. A sender's share is the"
        " time of all senders, on average, against its own."
    )
    references = [f"{REFERENCE}, {senders} senders" for senders in SENDERS]
    item = Item("s", 1, size=size, rate=False)
    result = timing("Several senders at once", found, references, item, [note])
    for senders in SENDERS:
        label = f"ours --workers 2, {senders} senders"
        judge(result, "all of them", found, label, f"{REFERENCE}, {senders} senders", 1.0)
        if shares.get(label):
            lowest = statistics.median(shares[label])
            what = f"the slowest of {senders}, as part of its share"
            result.verdicts.append(Verdict(what, lowest, SHARE))
    return result


def _send(
    bench: Bench,
    scp: DCMTK | Applications,
    options: tuple[str, ...],
    senders: int,
    shares: list[float],
) -> float:
    files = bench.files(SLICE, bench.scale.slices // 8 * 8)
    with bench.output() as out, scp.serve(out, bench.log(), *options) as running:
        bench.settle()
        begun = time.perf_counter()
        ended: list[float] = []
        problems: list[BenchmarkError] = []

        def send(mine: list[Path]) -> None:
            try:
                bench.dcmtk.whole(running.port, mine)
            except BenchmarkError as error:
                problems.append(error)
            ended.append(time.perf_counter() - begun)

        threads = [
            threading.Thread(target=send, args=(files[number::senders],))
            for number in range(senders)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        if problems:
            raise problems[0]
        verify(running, out, files)
    shares.append(statistics.mean(ended) / max(ended))
    return max(ended)
