"""Associations: opened, used once and released; and many of them at a time."""

from __future__ import annotations

import statistics
from collections.abc import Callable
from functools import partial

from benchmarks.method import Bench, Contender
from benchmarks.parties import DCMTK, Pynetdicom
from benchmarks.processes import Peer, memory
from benchmarks.report import Item, Result, Verdict, timing

FEW, MANY_CONTEXTS = 1, 128
OURS, TO_DCMTK = "ours → ours", "ours → DCMTK"
BOUNDS = {OURS: 1.6, TO_DCMTK: 1.2}
"""Milliseconds of association, C-ECHO and release."""

MANY = {1000: 0.8, 2000: 1.7}
"""Associations at a time, and the seconds in which they are to be opened."""
ECHOES = 0.4
"""Seconds of a C-ECHO on each of the largest number."""
EACH = 50.0
"""KiB of an association, on each side."""


def whole(bench: Bench) -> Result:
    """Measure association, C-ECHO and release."""
    count = bench.scale.opened
    contenders = []
    for scu, scp, contexts in _pairs(bench):
        label = f"{scu.label} → {scp.label}" + (f", {contexts} contexts" if contexts > 1 else "")
        contenders.append(
            Contender(label, partial(one_after_another, bench, scu, scp, count, contexts))
        )
    found = bench.alternate(contenders)
    note = f"{count:,} a round, one after another; median of each round."
    result = timing("Association, C-ECHO, release", found, ["pydcm → pydcm"], Item(), [note])
    middle = {one.label: 1e3 * statistics.median(one.values) for one in found if one.values}
    for label, bound in BOUNDS.items():
        if label in middle:
            result.verdicts.append(Verdict(label, middle[label], bound, "ms", at_least=False))
        with_many = middle.get(f"{label}, {MANY_CONTEXTS} contexts")
        if with_many:
            what = f"{label}, {MANY_CONTEXTS} contexts ÷ {FEW}"
            result.verdicts.append(Verdict(what, with_many / middle[label], 2.0, at_least=False))
    return result


def _pairs(bench: Bench) -> list[tuple[Pynetdicom, DCMTK | Pynetdicom, int]]:
    found: list[tuple[Pynetdicom, DCMTK | Pynetdicom, int]] = []
    for party in (bench.ours, bench.pydcm):
        if party:
            found += [(party, party, FEW), (party, bench.dcmtk, FEW)]
    if bench.ours:
        found += [
            (bench.ours, bench.ours, MANY_CONTEXTS),
            (bench.ours, bench.dcmtk, MANY_CONTEXTS),
        ]
    return found


def one_after_another(
    bench: Bench, scu: Pynetdicom, scp: DCMTK | Pynetdicom, count: int, contexts: int
) -> float:
    with bench.output() as out, scp.serve(out, bench.log()) as running:
        return statistics.median(scu.whole(running.port, count, contexts))


def crowd(bench: Bench) -> Result:
    """Measure many associations at a time."""
    header = ["", "opened, s", "a C-ECHO on each, s", "released, s", "KiB, SCU", "KiB, SCP"]
    note = "From 16 threads, to one SCP; KiB is what each association adds to its process."
    result = Result("Many associations at a time", header, [], [note])
    parties = [party for party in (bench.ours, bench.pydcm) if party]
    numbers = [100] if bench.scale.quick else list(MANY)
    figures: dict[str, dict[str, list[float]]] = {}
    contenders = [
        Contender(
            f"{party.label}, {number:,}",
            _noting(figures, f"{party.label}, {number:,}", partial(at_once, bench, party, number)),
        )
        for number in numbers
        for party in parties
    ]
    for samples in bench.alternate(contenders):
        if samples.problem:
            result.problems.append(f"{samples.label}: {samples.problem}")
        if samples.values:
            found = {what: statistics.median(all_) for what, all_ in figures[samples.label].items()}
            cells = [f"{found[what]:.3g}" for what in ("opened", "echoes", "released")]
            cells += [f"{found[what]:.0f}" for what in ("KiB", "KiB of SCP")]
            result.rows.append([samples.label, *cells])
            result.figures[samples.label] = figures[samples.label]
            _judge(result, samples.label, found)
    return result


def _judge(result: Result, label: str, found: dict[str, float]) -> None:
    for number, bound in MANY.items():
        if label != f"ours, {number:,}":
            continue
        what = f"{number:,} opened"
        result.verdicts.append(Verdict(what, found["opened"], bound, "s", at_least=False))
        if number == max(MANY):
            what = f"a C-ECHO on each of {number:,}"
            result.verdicts.append(Verdict(what, found["echoes"], ECHOES, "s", at_least=False))
        for side, key in (("SCU", "KiB"), ("SCP", "KiB of SCP")):
            what = f"KiB of each of {number:,}, {side}"
            result.verdicts.append(Verdict(what, found[key], EACH, at_least=False))


def _noting(
    figures: dict[str, dict[str, list[float]]], label: str, measure: Callable[[], dict[str, float]]
) -> Callable[[], float]:
    def noting() -> float:
        found = measure()
        for what, value in found.items():
            figures.setdefault(label, {}).setdefault(what, []).append(value)
        return found["opened"]

    return noting


def at_once(bench: Bench, party: Pynetdicom, number: int) -> dict[str, float]:
    with bench.output() as out, party.serve(out, bench.log()) as running:
        report = party.many_associations(running.port, 1)
        before = memory(running.pid)[1]
        report = party.many_associations(running.port, number)
        return {
            **{what: float(report[what]) for what in ("opened", "echoes", "released", "KiB")},
            "KiB of SCP": _added(running, before) / number,
        }


def _added(running: Peer, before: int) -> float:
    """KiB that the SCP has grown by, at most."""
    return float(max(0, memory(running.pid)[0] - before))
