"""The command: ``python -m benchmarks``, or ``python benchmarks/run.py``."""

from __future__ import annotations

import argparse
import contextlib
import dataclasses
import json
import os
import shutil
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

if __package__ in (None, ""):
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from benchmarks import environment, parties
from benchmarks.cases import CASES
from benchmarks.method import QUICK, Bench, Scale, say
from benchmarks.processes import BenchmarkError
from benchmarks.report import Result, page

TOOLS = (
    "echoscu", "storescu", "storescp", "findscu", "getscu", "movescu", "dcmqrscp", "dcmqridx",
)  # fmt: skip


PAGE_CASES = (
    "import", "starting", "echo", "whole", "crowd", "idle", "slices", "small", "stock", "senders",
    "big", "find", "get", "move", "memory",
)  # fmt: skip
"""What the manual compares, if nothing else is asked for."""


def arguments() -> argparse.ArgumentParser:
    """Make the parser of the command line."""
    what = "Measure ours, DCMTK, pydcm and pynetdicom 3.0.4 side by side."
    parser = argparse.ArgumentParser(prog="benchmarks", description=what)
    parser.add_argument("--rounds", type=int, metavar="N", help="alternating rounds (5)")
    parser.add_argument("--quick", action="store_true", help="a smoke run: small, one round")
    parser.add_argument(
        "--only", metavar="CASE,…", help=f"measure only these, out of {', '.join(CASES)}"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write every sample to FILE")
    parser.add_argument(
        "--page",
        type=Path,
        metavar="FILE",
        help="write the tables to FILE for the manual; without --only, of what others do as well:"
        f" {', '.join(PAGE_CASES)}",
    )
    parser.add_argument(
        "--workdir", type=Path, metavar="DIR", help="where files are made and stored (temporary)"
    )
    parser.add_argument(
        "--cache",
        type=Path,
        metavar="DIR",
        default=environment.default_cache(),
        help="where pynetdicom 3.0.4 is installed (a directory of the user's cache)",
    )
    parser.add_argument("--without-old", action="store_true", help="leave 3.0.4 out")
    parser.add_argument("--without-pydcm", action="store_true", help="leave pydcm out")
    parser.add_argument("--without-ours", action="store_true", help="only the others: baselines")
    parser.add_argument("--warm", type=int, metavar="MIB", help="memory touched before a run")
    parser.add_argument(
        "--check", action="store_true", help="end with 1 when a target is missed or unmeasured"
    )
    return parser


def main(argv: list[str] | None = None) -> int:
    """Measure what the command line asks for; 0 if all that was asked for could be measured."""
    try:
        return _main(argv)
    except BenchmarkError as error:
        print(f"benchmarks: {error}", file=sys.stderr)
        return 2


def _main(argv: list[str] | None) -> int:
    parser = arguments()
    options = parser.parse_args(argv)
    names = list(PAGE_CASES if options.page else CASES)
    names = options.only.split(",") if options.only else names
    unknown = [name for name in names if name not in CASES]
    if unknown:
        parser.error(f"no such case: {', '.join(unknown)}; there are {', '.join(CASES)}")
    tools = {tool: environment.find_dcmtk(tool) or "" for tool in TOOLS}
    missing = [tool for tool, path in tools.items() if not path]
    if missing:
        print(f"benchmarks: DCMTK's {', '.join(missing)} not found on the PATH", file=sys.stderr)
        return 2
    scale = _scale(options)
    facts = environment.machine() | {"DCMTK": environment.dcmtk_version(tools["storescu"])}
    ours = None if options.without_ours else (parties.ours(), parties.our_applications())
    old, reason = None, "left out"
    if not options.without_old:
        say(f"pynetdicom {environment.OLD_VERSION}: looking for it, or installing it")
        interpreter, reason = environment.install_old_version(options.cache)
        old = parties.old_version(interpreter) if interpreter else None
    pydcm, why_not = None, "left out"
    if not options.without_pydcm:
        interpreter, why_not = environment.install_pydcm(options.cache)
        pydcm = parties.pydcm(interpreter) if interpreter else None
    for party in (*(ours or ()), old, pydcm):
        if party:
            party.check()
    facts["pynetdicom 3.0.4"] = "installed" if old else reason
    facts["pydcm"] = environment.PYDCM_VERSION if pydcm else why_not
    facts["pages of memory touched"] = f"{scale.warm} MiB before each run"
    facts["busy with something else, before"] = environment.busy()
    work = Path(tempfile.mkdtemp(prefix="benchmarks-", dir=options.workdir))
    try:
        if shutil.disk_usage(work).free < scale.room:
            print(f"benchmarks: {scale.room >> 30} GiB needed; try --workdir", file=sys.stderr)
            return 2
        bench = Bench(work, scale, tools, ours, old, pydcm)
        results = {name: _case(name, bench) for name in names}
    finally:
        say("deleting what was written")
        shutil.rmtree(work, ignore_errors=True)
    facts["busy with something else, after"] = environment.busy()
    _print(facts, scale, results)
    if options.json:
        record = _record(facts, scale, results)
        options.json.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n")
    if options.page:
        options.page.write_text(page(facts, scale, results))
    return _exit_code(results, check=options.check)


def _scale(options: argparse.Namespace) -> Scale:
    scale = QUICK if options.quick else Scale()
    if options.rounds is not None:
        scale = dataclasses.replace(scale, rounds=max(1, options.rounds))
    if options.warm is not None:
        scale = dataclasses.replace(scale, warm=max(1, options.warm))
    with contextlib.suppress(ValueError, OSError):
        free = os.sysconf("SC_AVPHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
        scale = dataclasses.replace(scale, warm=max(1, min(scale.warm, free // 2)))
    return scale


def _case(name: str, bench: Bench) -> Result:
    say(f"{name}:")
    start = time.monotonic()
    result = CASES[name](bench)
    say(f"  {time.monotonic() - start:.0f} s")
    return result


def _print(facts: dict[str, str], scale: Scale, results: dict[str, Result]) -> None:
    print(f"# Benchmarks, {scale.rounds} rounds\n")
    for name, value in facts.items():
        print(f"* {name}: {value}")
    for result in results.values():
        print(f"\n{result.markdown()}")


def _record(facts: dict[str, str], scale: Scale, results: dict[str, Result]) -> dict[str, Any]:
    return {
        "environment": facts,
        "scale": dataclasses.asdict(scale),
        "cases": {name: result.record() for name, result in results.items()},
    }


def _exit_code(results: dict[str, Result], *, check: bool) -> int:
    if any(result.problems for result in results.values()):
        return 1
    kept = all(verdict.kept for result in results.values() for verdict in result.verdicts)
    return int(check and not kept)


if __name__ == "__main__":
    sys.exit(main())
