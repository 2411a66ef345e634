"""``python -m benchmarks.compare COMMIT``: this checkout against an earlier commit of it.

Old and new are measured in alternation, each to itself. The ratio of a round is the time of the old
one by that of the new one: above 1 the new one is faster. ``--record`` adds the medians to
``history.tsv``.
"""

from __future__ import annotations

import argparse
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path

from benchmarks import environment, parties
from benchmarks.cases import echo, opening, store
from benchmarks.data import SLICE, SMALL
from benchmarks.method import QUICK, Bench, Contender, Scale
from benchmarks.processes import BenchmarkError
from benchmarks.report import ratios, table
from benchmarks.run import TOOLS

HISTORY = Path(__file__).resolve().parent / "history.tsv"
COLUMNS = ("date", "commit", "against", "case", "ratio", "lowest", "highest", "rounds")

Case = Callable[[Bench, parties.Pynetdicom], Contender]


def _opened(bench: Bench, party: parties.Pynetdicom, contexts: int = 1) -> Contender:
    count = bench.scale.opened
    return Contender(
        party.label, partial(opening.one_after_another, bench, party, party, count, contexts)
    )


def _crowd(bench: Bench, party: parties.Pynetdicom, what: str) -> Contender:
    number = 100 if bench.scale.quick else 1000
    return Contender(party.label, lambda: opening.at_once(bench, party, number)[what])


def _stored(bench: Bench, party: parties.Pynetdicom, *, small: bool) -> Contender:
    shape, count = (SMALL, bench.scale.small) if small else (SLICE, bench.scale.slices)
    return store.pairing(bench, party, party, bench.files(shape, count))


CASES: dict[str, Case] = {
    "echo": lambda bench, party: echo.pairing(bench, party, party, bench.scale.echoes),
    "echo from DCMTK": lambda bench, party: echo.pairing(
        bench, bench.dcmtk, party, bench.scale.echoes
    ),
    "store 4 KB": partial(_stored, small=True),
    "store 512 KB": partial(_stored, small=False),
    "associate, echo, release": _opened,
    "the same, 128 contexts": partial(_opened, contexts=128),
    "1,000 associations": partial(_crowd, what="opened"),
    "an echo on each of them": partial(_crowd, what="echoes"),
}


def arguments() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    parser = argparse.ArgumentParser(prog="benchmarks.compare", description=__doc__.split("\n")[0])
    parser.add_argument("commit", help="what to compare with, such as HEAD~20")
    parser.add_argument("--rounds", type=int, default=9, metavar="N", help="alternating rounds (9)")
    cases = "; ".join(CASES)  # some have a comma
    parser.add_argument(
        "--only", action="append", metavar="CASE", help=f"may be repeated; out of: {cases}"
    )
    parser.add_argument("--quick", action="store_true", help="small, to see whether it works")
    parser.add_argument("--record", action="store_true", help="add the medians to history.tsv")
    return parser


def git(*command: str) -> str:
    """Ask Git about this checkout."""
    done = subprocess.run(
        ["git", *command], cwd=parties.ROOT, check=True, capture_output=True, text=True
    )
    return done.stdout.strip()


def main(argv: list[str] | None = None) -> int:
    """Compare, and print a table; 0 if all could be measured."""
    parser = arguments()
    options = parser.parse_args(argv)
    names = options.only or list(CASES)
    if unknown := [name for name in names if name not in CASES]:
        parser.error(f"no such case: {'; '.join(unknown)}")
    tools = {tool: environment.find_dcmtk(tool) or "" for tool in TOOLS}
    scale = QUICK if options.quick else Scale()
    scale = Scale(**{**vars(scale), "rounds": 1 if options.quick else options.rounds})
    work = Path(tempfile.mkdtemp(prefix="benchmarks-"))
    try:
        old_commit = git("rev-parse", "--short", options.commit)
        git("worktree", "add", "--detach", str(work / "old"), old_commit)
        new, old = parties.ours(), parties.another_checkout(work / "old")
        bench = Bench(work, scale, tools, (new, parties.our_applications()), None)
        rows = [row for name in names if (row := _compared(name, bench, old, new))]
    except subprocess.CalledProcessError as error:
        print(f"benchmarks.compare: {error.stderr.strip()}", file=sys.stderr)
        return 2
    finally:
        subprocess.run(
            ["git", "worktree", "remove", "--force", str(work / "old")],
            cwd=parties.ROOT, check=False, capture_output=True,
        )  # fmt: skip
        shutil.rmtree(work, ignore_errors=True)
    print(
        f"{_this_commit()} against {old_commit}; busy with something else: {environment.busy()}\n"
    )
    print(table(("case", "ratio", "lowest", "highest", "rounds"), rows))
    if options.record:
        _record(rows, old_commit)
    return int(len(rows) < len(names))


def _this_commit() -> str:
    return git("rev-parse", "--short", "HEAD") + ("+" if git("status", "--porcelain") else "")


def _compared(
    name: str, bench: Bench, old: parties.Pynetdicom, new: parties.Pynetdicom
) -> list[str] | None:
    """Measure one case; a row of the table."""
    found = bench.alternate([CASES[name](bench, old), CASES[name](bench, new)])
    if problem := next((samples.problem for samples in found if samples.problem), ""):
        print(f"{name}: {problem}", file=sys.stderr)
        return None
    each = ratios(found[0], found[1])
    if not each:
        raise BenchmarkError(f"{name}: nothing was measured")
    figures = (statistics.median(each), min(each), max(each))
    return [name, *(f"{value:.3f}" for value in figures), str(len(each))]


def _record(rows: list[list[str]], against: str) -> None:
    """Add to the history what was found."""
    if not HISTORY.exists():
        HISTORY.write_text("\t".join(COLUMNS) + "\n")
    with HISTORY.open("a") as history:
        for row in rows:
            line = (time.strftime("%Y-%m-%d"), _this_commit(), against, *row)
            history.write("\t".join(line) + "\n")


if __name__ == "__main__":
    sys.exit(main())
