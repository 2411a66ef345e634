"""Results as tables in Markdown and as JSON."""

from __future__ import annotations

import math
import re
import statistics
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import date
from typing import Any

from benchmarks.method import Samples, Scale


@dataclass(frozen=True)
class Verdict:
    """A figure of ours and the bound that it has to keep."""

    what: str
    value: float
    bound: float
    unit: str = ""
    at_least: bool = True

    @property
    def kept(self) -> bool:
        return self.value >= self.bound if self.at_least else self.value <= self.bound

    def __str__(self) -> str:
        relation = "at least" if self.at_least else "at most"
        result = "kept" if self.kept else "MISSED"
        unit = f" {self.unit}" if self.unit else ""
        return f"{self.what}: {self.value:.3g}{unit}, {relation} {self.bound:g}{unit}: {result}"


@dataclass
class Result:
    """What one case found."""

    title: str
    header: Sequence[str]
    rows: list[Sequence[str]]
    notes: list[str] = field(default_factory=list)
    verdicts: list[Verdict] = field(default_factory=list)
    figures: dict[str, Any] = field(default_factory=dict)
    problems: list[str] = field(default_factory=list)

    def markdown(self) -> str:
        """Give title, table, notes and verdicts."""
        parts = [f"## {self.title}", table(self.header, self.rows)]
        parts += self.notes
        parts += ["\n".join(f"* {verdict}" for verdict in self.verdicts)]
        parts += ["\n".join(f"* not measured: {problem}" for problem in self.problems)]
        return "\n\n".join(part for part in parts if part)

    def rst(self) -> str:
        """Give title, table and notes in reStructuredText; what missed a target is not hidden."""
        parts = [f".. rubric:: {self.title}", rst_table(self.header, self.rows)]
        parts += [_escaped(note) for note in self.notes]
        # Not where on this machine it was.
        problems = (re.sub(r"/\S+/", "…/", one) for one in self.problems)
        parts += ["\n".join(f"* not measured: {_escaped(one)}" for one in problems)]
        return "\n\n".join(part for part in parts if part)

    def record(self) -> dict[str, Any]:
        """Give the same for JSON, with every sample."""
        return {
            "title": self.title,
            "notes": self.notes,
            "figures": self.figures,
            "verdicts": [asdict(verdict) | {"kept": verdict.kept} for verdict in self.verdicts],
            "problems": self.problems,
        }


def table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a Markdown table, the first column to the left, figures to the right."""
    widths = [max(map(len, column)) for column in zip(header, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        first = cells[0].ljust(widths[0])
        rest = (cell.rjust(width) for cell, width in zip(cells[1:], widths[1:], strict=True))
        return "| " + " | ".join((first, *rest)) + " |"

    rule = ["-" * widths[0], *("-" * (width - 1) + ":" for width in widths[1:])]
    return "\n".join((line(header), line(rule), *map(line, rows)))


def rst_table(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Lay out a table in reStructuredText."""
    lines = [".. list-table::", "   :header-rows: 1", ""]
    for row in (header, *rows):
        lines += [
            f"   {'  -' if number else '* -'} {_escaped(cell)}".rstrip()
            for number, cell in enumerate(row)
        ]
    return "\n".join(lines)


def _escaped(text: str) -> str:
    for character in "\\*`_|":
        text = text.replace(character, f"\\{character}")
    return text


def page(facts: dict[str, str], scale: Scale, results: dict[str, Result]) -> str:
    """Give what the manual includes: when, where and how it was measured, and the tables."""
    smoke = " A smoke run: small, and not to be relied on." if scale.quick else ""
    when = f"Measured on {date.today().isoformat()}, {scale.rounds} alternating rounds"
    lines = [
        ".. Written by python -m benchmarks --page; whatever is changed here is lost.",
        "",
        f"{when}; a figure is their median, beside it the smallest and the largest.{smoke}",
        "",
        *(f"* {_escaped(name)}: {_escaped(value)}" for name, value in facts.items()),
    ]
    return "\n\n".join(["\n".join(lines), *(result.rst() for result in results.values())]) + "\n"


def figure(value: float) -> str:
    """Write a number with three digits, or more before the point."""
    digits = 0 if value == 0 else max(0, 2 - math.floor(math.log10(abs(value))))
    return f"{value:,.{digits}f}"


def ratios(reference: Samples, samples: Samples) -> list[float]:
    """Say how many times as fast as the reference each round was; samples are durations."""
    pairs = zip(reference.values, samples.values, strict=False)
    return [base / value for base, value in pairs]


@dataclass(frozen=True)
class Item:
    """What the durations of a timing belong to."""

    unit: str = "ms"
    scale: float = 1e3
    size: int = 0
    """Bytes, for a rate in MB/s."""
    rate: bool = True
    """Whether a rate of items makes sense."""


def timing(
    title: str,
    found: Sequence[Samples],
    references: Sequence[str],
    item: Item,
    notes: Sequence[str] = (),
) -> Result:
    """Make the table of a timed case: medians, and ratios to each of the reference contenders."""
    bases = [samples for samples in found if samples.label in references and samples.values]
    header = ["SCU → SCP", "rounds", item.unit, "min – max"]
    header += ["per s"] if item.rate else []
    header += ["MB/s"] if item.size else []
    header += [f"× {base.label.partition(' → ')[0]}" for base in bases]
    result = Result(title, header, [], list(notes))
    for samples in found:
        if samples.problem:
            result.problems.append(f"{samples.label}: {samples.problem}")
        if not samples.values:
            continue
        middle = statistics.median(samples.values)
        low, high = min(samples.values) * item.scale, max(samples.values) * item.scale
        row = [samples.label, str(len(samples.values)), figure(middle * item.scale)]
        row.append(f"{figure(low)} – {figure(high)}")
        row += [figure(1 / middle)] if item.rate else []
        row += [figure(item.size / middle / 1e6)] if item.size else []
        figures: dict[str, Any] = {"seconds": samples.values, "median": middle}
        for base in bases:
            ratio = statistics.median(ratios(base, samples))
            row.append(figure(ratio))
            figures[f"ratio to {base.label}"] = ratio
        result.rows.append(row)
        result.figures[samples.label] = figures
    return result


def add_beside(result: Result, samples: Samples, base: Sequence[float]) -> float:
    """Add a row with durations, and by how much they are more than others; gives that, in ms."""
    pairs = zip(samples.values, base, strict=False)
    more = statistics.median([value - other for value, other in pairs] or [0.0]) * 1e3
    middle = statistics.median(samples.values) * 1e3
    result.rows.append([samples.label, f"{middle:.0f}", f"{more:+.0f}"])
    result.figures[samples.label] = {"seconds": samples.values, "more": more / 1e3}
    return more


def judge(
    result: Result, what: str, found: Sequence[Samples], label: str, reference: str, bound: float
) -> None:
    """Add the verdict that `label` is at least `bound` times as fast as `reference`."""
    by_label = {samples.label: samples for samples in found}
    ours, base = by_label.get(label), by_label.get(reference)
    if ours and base and ours.values and base.values:
        value = statistics.median(ratios(base, ours))
        result.verdicts.append(Verdict(f"{what}, ratio to {reference}", value, bound))
