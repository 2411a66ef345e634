"""Peak memory of both sides, after a small object, after slices, and after a very large object."""

from __future__ import annotations

from benchmarks.data import BIG, HUGE, LARGE, MEDIUM, SLICE, SMALL, Shape
from benchmarks.method import Bench, say, verify
from benchmarks.parties import Party
from benchmarks.processes import BenchmarkError, memory
from benchmarks.report import Result, Verdict

TARGET = 64.0
SLICES = 40


def measure(bench: Bench) -> Result:
    large = LARGE if bench.scale.quick else HUGE
    header = ["process", "4 KB", f"{SLICES} slices", "one large object", "of", "added"]
    note = "Peak resident memory in MiB. “added” is the large object's against that of 4 KB."
    result = Result("Peak memory", header, [], [note])
    _pair(bench, result, bench.tuned, bench.tuned, large)
    if bench.ours:
        _pair(bench, result, bench.ours, bench.ours, large, TARGET)
    if bench.applications:
        _pair(bench, result, bench.applications, bench.applications, large, TARGET)
    if bench.old:
        _pair(bench, result, bench.old, bench.old, MEDIUM if bench.scale.quick else BIG)
    return result


def _pair(
    bench: Bench,
    result: Result,
    scu: Party,
    scp: Party,
    large: Shape,
    bound: float | None = None,
) -> None:
    """Add the rows of an SCU and an SCP to the result."""
    label = scu.label
    say(f"  {label}")
    sets = [bench.files(SMALL, 1), bench.files(SLICE, SLICES), bench.files(large, 1)]
    sender, receiver = [], []
    try:
        with bench.output() as out, scp.serve(out, bench.log()) as running:
            for files in sets:
                sender.append(scu.peak(running.port, files) / 1024)
                receiver.append(memory(running.pid)[0] / 1024)
            verify(running, out, [path for files in sets for path in files])
    except BenchmarkError as error:
        result.problems.append(f"{label}: {error}")
        say(f"  {error}")
        return
    for role, peaks in (("SCU", sender), ("SCP", receiver)):
        name, added = f"{label}, {role}", peaks[2] - peaks[0]
        figures = [f"{value:.1f}" for value in peaks]
        result.rows.append([name, *figures, large.name, f"{added:.1f}"])
        result.figures[name] = {"peaks": peaks, "large": large.name, "added": added}
        if bound:
            what = f"{large.name} through {name}"
            result.verdicts.append(Verdict(what, added, bound, "MiB", at_least=False))
