"""The start of a program: echoscu to nobody, against a Python that does nothing."""

from __future__ import annotations

from benchmarks.method import Bench, Contender
from benchmarks.report import Result, Verdict, add_beside

TARGET = 60.0
"""Milliseconds that echoscu takes longer."""


def measure(bench: Bench) -> Result:
    """Measure processes from their start to their end."""
    result = Result("Starting a program", ["command", "ms", "more than python -c pass"], [])
    programs = bench.applications
    if programs is None:
        return result
    contenders = [
        Contender("python -c pass", programs.plain),
        *(
            Contender(f"{name} --version", lambda name=name: programs.starts(name, "--version"))
            for name in ("echoscu", "storescu", "storescp", "findscu")
        ),
    ]
    for contender in contenders:
        contender.measure()
    found = bench.alternate(contenders)
    plain = found[0].values
    for samples in found:
        if samples.problem:
            result.problems.append(f"{samples.label}: {samples.problem}")
        if not samples.values:
            continue
        more = add_beside(result, samples, plain)
        if samples.label.startswith("echoscu"):
            result.verdicts.append(Verdict("echoscu", more, TARGET, "ms", at_least=False))
    return result
