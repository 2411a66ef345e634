"""Idle associations: processor time, wake-ups and memory of both sides."""

from __future__ import annotations

import time

from benchmarks.method import Bench, say
from benchmarks.parties import Pynetdicom
from benchmarks.processes import BenchmarkError, Peer, memory, processor_seconds, wake_ups
from benchmarks.report import Result, Verdict

ASSOCIATIONS = 50
TARGET = 1.0
SETTLE = 1.0


def measure(bench: Bench) -> Result:
    header = ["process", "% of a core", "wake-ups per s", "KiB each"]
    note = (
        f"{ASSOCIATIONS} associations, watched for {bench.scale.idle:g} s. “KiB each” is what the"
        " process is larger than with one association, divided by their number."
    )
    result = Result(f"{ASSOCIATIONS} idle associations", header, [], [note])
    # 100 threads that poll take long to start and to stop: not in a smoke run.
    old = None if bench.scale.quick else bench.old
    for party in (bench.ours, old):
        if party:
            say(f"  {party.label}")
            try:
                _watch(bench, result, party)
            except BenchmarkError as error:
                result.problems.append(f"{party.label}: {error}")
                say(f"  {error}")
    return result


def _watch(bench: Bench, result: Result, party: Pynetdicom) -> None:
    with bench.output() as out, party.serve(out, bench.log()) as scp:
        with party.hold(scp.port, 1, bench.log()) as scu:
            before = [memory(side.pid)[1] for side in (scp, scu)]
        with party.hold(scp.port, ASSOCIATIONS, bench.log()) as scu:
            sides: list[tuple[str, Peer]] = [("SCP", scp), ("SCU", scu)]
            time.sleep(SETTLE)
            start = time.perf_counter()
            used = [processor_seconds(side.pid) for _, side in sides]
            woken = [wake_ups(side.pid) for _, side in sides]
            time.sleep(bench.scale.idle)
            seconds = time.perf_counter() - start
            for index, (role, side) in enumerate(sides):
                side.alive()
                name = f"{party.label}, {role}"
                share = (processor_seconds(side.pid) - used[index]) / seconds * 100
                rate = (wake_ups(side.pid) - woken[index]) / seconds
                each = (memory(side.pid)[1] - before[index]) / (ASSOCIATIONS - 1)
                result.rows.append([name, f"{share:.2f}", f"{rate:.1f}", f"{each:.0f}"])
                figures = {"percent": share, "wake-ups per second": rate, "KiB each": each}
                result.figures[name] = figures
                if party is bench.ours:
                    verdict = Verdict(name, share, TARGET, "% of a core", at_least=False)
                    result.verdicts.append(verdict)
