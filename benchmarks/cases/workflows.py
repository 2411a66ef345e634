"""What the workflows' SCPs take, and whether that, or memory, grows with how much there is.

Ours alone, but for a bare N-CREATE, which 3.0.4 has, too.
"""

from __future__ import annotations

from collections.abc import Callable
from statistics import median

from benchmarks.method import Bench, Contender, say
from benchmarks.parties import Pynetdicom
from benchmarks.processes import BenchmarkError
from benchmarks.report import Item, Result, Verdict, judge, timing

PYDICOM = "pydicom alone"
PROVIDER = "MPPS provider, no network"
CREATIONS = 2000.0
"""A second, of a processor that has nothing else to do."""

SHARE = 0.5
"""How fast at least, of how fast pydicom reads and writes the same: on any machine."""

GROWTH = 20.0
"""MiB that many instances take beyond few; as objects of pydicom, 100,000 would take 600."""

ALIKE = 0.7
"""How fast it has to be with much, of how fast it is with little."""


def _each(party: Pynetdicom, name: str, count: int, *before: int) -> Callable[[], float]:
    """Measure one of `count` that a worker does."""

    def measure() -> float:
        return float(party.workflow(name, *before, count)["seconds"]) / count

    return measure


def _bare(party: Pynetdicom, count: int) -> Callable[[], float]:
    return lambda: party.create(count) / count


def creations(bench: Bench) -> Result:
    count = bench.scale.creations
    title = f"Creation of {count:,} performed procedure steps"
    if bench.ours is None:
        return Result(title, ["SCU → SCP"], [])
    contenders = [
        Contender(PYDICOM, _each(bench.ours, "pydicom", count)),
        Contender(PROVIDER, _each(bench.ours, "mpps", count)),
    ]
    for party, some in ((bench.ours, count), (bench.old, bench.scale.old)):
        if party is not None:
            label = f"bare N-CREATE over loopback, {party.label}"
            contenders.append(Contender(label, _bare(party, some)))
    found = bench.alternate(contenders)
    result = timing(title, found, [PYDICOM], Item(), ["The provider checks each attribute."])
    judge(result, PROVIDER, found, PROVIDER, PYDICOM, SHARE)
    if values := found[1].values:
        result.verdicts.append(Verdict(PROVIDER, 1 / median(values), CREATIONS, "a second"))
    return result


def claims(bench: Bench) -> Result:
    count, held = bench.scale.claims, bench.scale.held
    title = f"Creation and claim of {count:,} unified procedure steps, no network"
    if bench.ours is None:
        return Result(title, ["SCU → SCP"], [])
    none, many = "no steps", f"{held:,} steps"
    found = bench.alternate(
        [
            Contender(none, _each(bench.ours, "claims", count, 0)),
            Contender(many, _each(bench.ours, "claims", count, held)),
        ]
    )
    result = timing(title, found, [none], Item(), ["With so many steps that are there already."])
    judge(result, many, found, many, none, ALIKE)
    return result


def watchers(bench: Bench) -> Result:
    scale = bench.scale
    title = f"{scale.told:,} unified procedure steps that all watchers are told of, over loopback"
    if bench.ours is None:
        return Result(title, ["SCU → SCP"], [])
    party, reports = bench.ours, scale.told * scale.watchers

    def all_are_told(steps: int, count: int) -> Callable[[], float]:
        seconds = _each(party, "reports", count, scale.held, steps)
        return lambda: seconds() / steps

    one, many = "one watcher", f"{scale.watchers} watchers"
    found = bench.alternate(
        [
            Contender(one, all_are_told(reports, 1)),
            Contender(many, all_are_told(scale.told, scale.watchers)),
        ]
    )
    note = f"Time of one report, of {reports:,}, with {scale.held:,} steps that are there already."
    result = timing(title, found, [one], Item(), [note])
    judge(result, many, found, many, one, ALIKE)
    return result


def committed(bench: Bench) -> Result:
    count = bench.scale.committed
    title = f"Storage commitment of {count:,} instances, over loopback"
    header = ["what", "seconds", "µs an instance", "× few", "MiB more"]
    note = "Request and result, both sides in one process, against 3,000 instances; medians."
    result = Result(title, header, [], [note])
    if bench.ours is None:
        return result
    found = []
    for number in range(bench.scale.rounds):
        say(f"  round {number + 1}")
        try:
            found.append(bench.ours.workflow("commitment", count))
        except BenchmarkError as error:
            result.problems.append(str(error))
            return result
    ratio = median(one["few"] / one["many"] for one in found)
    grown = median(one["grown"] / 1024 for one in found)
    seconds = median(one["seconds"] for one in found)
    row = [f"{seconds:.2f}", f"{seconds / count * 1e6:.0f}", f"{ratio:.2f}", f"{grown:.1f}"]
    result.rows.append([f"{count:,} instances", *row])
    result.figures["commitment"] = found
    result.verdicts.append(Verdict("as fast an instance as with few", ratio, ALIKE))
    result.verdicts.append(Verdict("memory", grown, GROWTH, "MiB", at_least=False))
    return result
