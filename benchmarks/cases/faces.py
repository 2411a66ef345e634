"""The same work through asyncio and through threads, ours to ours."""

from __future__ import annotations

from functools import partial

from benchmarks.data import SLICE, SMALL, Shape
from benchmarks.method import Bench, Contender, verify
from benchmarks.parties import Pynetdicom
from benchmarks.report import Item, Result, Verdict, judge, timing

THREADS, ASYNCIO = "threads", "asyncio"
ONE, MANY = 1, 200
SLOWEST = {ONE: 1 / 1.3, MANY: 1.0}
"""How many times as fast as threads asyncio is to be, by the number of associations at once."""
MATCHES = 1000
CANCELLED = 10_000
SOON = 0.05
"""Seconds."""

Work = tuple[str, int, Shape | None, int]
"""What is done, how often, with which files, and on how many associations at once."""


def measure(bench: Bench) -> Result:
    """Measure each work; the verdicts of all, and the table of medians."""
    scale = bench.scale
    works: dict[str, Work] = {
        "C-ECHO": ("echo", scale.echoes, None, ONE),
        "C-STORE, 4 KB": ("store", scale.small, SMALL, ONE),
        "C-STORE, 512 KB": ("store", scale.slices, SLICE, ONE),
        f"C-FIND, {MATCHES:,} matches": ("find", MATCHES, None, ONE),
        f"C-ECHO, {MANY} associations": ("echo", max(1, scale.echoes // MANY), None, MANY),
        f"C-FIND, {MANY} associations": ("find", MATCHES // 20, None, MANY),
    }
    whole = Result("asyncio against threads", ["", THREADS, ASYNCIO, "asyncio ÷ threads"], [])
    if bench.ours is None:
        return whole
    for title, work in works.items():
        contenders = [
            Contender(face, partial(_one, bench, bench.ours, face, work))
            for face in (THREADS, ASYNCIO)
        ]
        found = bench.alternate(contenders)
        part = timing(title, found, [THREADS], Item())
        judge(part, title, found, ASYNCIO, THREADS, SLOWEST[work[-1]])
        whole.problems += [f"{title}, {problem}" for problem in part.problems]
        whole.figures[title] = part.figures
        if part.verdicts:
            _add(whole, title, part)
    taken = bench.ours.cancelled(400 if scale.quick else CANCELLED)
    what = f"until the peer knows of a cancelled task, the slowest of {len(taken):,}"
    whole.verdicts.append(Verdict(what, max(taken), SOON, "s", at_least=False))
    whole.figures["cancelled"] = {"seconds": taken}
    return whole


def _add(whole: Result, title: str, part: Result) -> None:
    """Say how long asyncio took, as a multiple of threads."""
    [verdict] = part.verdicts
    whole.verdicts.append(
        Verdict(f"{title}, asyncio ÷ threads", 1 / verdict.value, 1 / verdict.bound, at_least=False)
    )
    medians = [f"{1e3 * part.figures[face]['median']:.3g} ms" for face in (THREADS, ASYNCIO)]
    whole.rows.append([title, *medians, f"{1 / verdict.value:.2f}"])


def _one(bench: Bench, ours: Pynetdicom, face: str, work: Work) -> float:
    what, count, shape, associations = work
    files = bench.files(shape, count) if shape else []
    with bench.output() as out, ours.serve_through(face, out, bench.log()) as running:
        bench.settle()
        seconds = ours.ask_through(face, what, running.port, count, associations, files)
        verify(running, out, files)
    return seconds
