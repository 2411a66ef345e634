"""Importing the package, against importing pydicom."""

from __future__ import annotations

from functools import partial

from benchmarks.method import Bench, Contender
from benchmarks.parties import Pynetdicom
from benchmarks.report import Result, Verdict, add_beside

TARGET = 60.0
STATEMENTS = (
    "import pydicom",
    "import pynetdicom",
    "from pynetdicom import AE, evt; import pydicom",
    "from pynetdicom import AE, evt, StoragePresentationContexts; import pydicom",
)

# Importing the names as well, so that nothing is won by doing the work a moment later.
JUDGED = STATEMENTS[1:3]


def measure(bench: Bench) -> Result:
    parties = [party for party in (bench.ours, bench.old) if party]
    contenders = [
        Contender(f"{party.label}: {statement}", partial(_run, party, statement))
        for party in parties
        for statement in STATEMENTS
    ]
    _warm(parties)
    found = bench.alternate(contenders)
    result = Result("Imports", ["statement", "ms", "more than pydicom"], [])
    pydicom = {
        samples.label.partition(":")[0]: samples.values
        for samples in found
        if samples.label.endswith(f": {STATEMENTS[0]}")
    }
    for samples in found:
        if samples.problem:
            result.problems.append(f"{samples.label}: {samples.problem}")
        if not samples.values:
            continue
        party = samples.label.partition(":")[0]
        more = add_beside(result, samples, pydicom[party])
        if bench.ours and party == bench.ours.label and samples.label[len(party) + 2 :] in JUDGED:
            what = f"{samples.label.partition(': ')[2]}, more than pydicom alone"
            result.verdicts.append(Verdict(what, more, TARGET, "ms", at_least=False))
    return result


def _warm(parties: list[Pynetdicom]) -> None:
    """Have byte code written and files read once."""
    for party in parties:
        party.statement("import pydicom")


def _run(party: Pynetdicom, statement: str) -> float:
    return party.statement(statement)
