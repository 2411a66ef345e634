"""Processes to be measured: started, timed, watched through /proc, and ended."""

from __future__ import annotations

import json
import os
import socket
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

TIME_LIMIT = 600.0
"""Seconds after which a measured process is ended and its figure given up."""

START_LIMIT = 20.0
_LOOK_AGAIN = 0.01


class BenchmarkError(Exception):
    """A party did not do what was to be measured; the message says what it did instead."""


@dataclass(frozen=True)
class Finished:
    """A process that ended well: its duration from start to end, and what it printed."""

    seconds: float
    output: str
    peak: int
    """Peak resident memory in KiB, 0 if it was not watched."""

    def json(self) -> dict[str, Any]:
        """Read the last line of the output, where a worker reports."""
        line = self.output.strip().rpartition("\n")[2]
        try:
            return dict(json.loads(line))
        except ValueError as error:
            raise BenchmarkError(f"a worker reported {line[:200]!r}") from error


def run(
    command: Sequence[str],
    environment: Mapping[str, str] | None = None,
    *,
    watch_memory: bool = False,
    limit: float = TIME_LIMIT,
) -> Finished:
    """Run a command to its end.

    Raises
    ------
    BenchmarkError
        If it fails or takes longer than `limit` seconds.
    """
    start = time.perf_counter()
    process = subprocess.Popen(
        command,
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        errors="replace",
    )
    # Not communicate(timeout=…): that looks for the end at intervals, which would be measured.
    alarm = threading.Timer(limit, process.kill)
    alarm.start()
    watch = _PeakWatch(process.pid) if watch_memory else None
    try:
        output, errors = process.communicate()
        seconds = time.perf_counter() - start
    finally:
        alarm.cancel()
        peak = watch.stop() if watch else 0
        _kill(process)
    if process.returncode:
        last = (errors or output).strip().rpartition("\n")[2]
        name = " ".join(os.path.basename(part) for part in command[:4])
        raise BenchmarkError(f"{name} … ended with {process.returncode}: {last[:300]}")
    return Finished(seconds, output, peak)


class _PeakWatch:
    """Reads a process's peak memory until it ends: afterwards the kernel no longer tells."""

    def __init__(self, pid: int) -> None:
        self._pid = pid
        self._peak = 0
        self._done = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while True:
            try:
                self._peak = max(self._peak, memory(self._pid)[0])
            except BenchmarkError:
                return
            if self._done.wait(_LOOK_AGAIN):
                return

    def stop(self) -> int:
        self._done.set()
        self._thread.join()
        return self._peak


@dataclass
class Peer:
    """A running process: an SCP, or a worker that holds associations."""

    process: subprocess.Popen[str]
    port: int
    errors: Path
    report: dict[str, Any] = field(default_factory=dict)

    @property
    def pid(self) -> int:
        return self.process.pid

    def alive(self) -> None:
        """Raise `BenchmarkError` if the process has ended."""
        if self.process.poll() is not None:
            last = self.errors.read_text(errors="replace").strip().rpartition("\n")[2]
            raise BenchmarkError(f"the SCP ended with {self.process.returncode}: {last[:300]}")


@contextmanager
def peer(
    command: Sequence[str],
    environment: Mapping[str, str] | None,
    errors: Path,
    *,
    port: int | None = None,
) -> Iterator[Peer]:
    """Start a process and wait until it listens on `port`, or has reported in a line of JSON."""
    with errors.open("w") as log:
        process = subprocess.Popen(
            command,
            env=environment,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE if port is None else log,
            stderr=log,
            text=True,
        )
    running = Peer(process, port or 0, errors)
    try:
        if port is None:
            assert process.stdout is not None
            line = process.stdout.readline()
            if not line:
                process.wait()
                running.alive()
            running.report = json.loads(line)
            running.port = running.report.get("port", 0)
        else:
            _wait_until_listening(running)
        yield running
    finally:
        _end(process)


def _wait_until_listening(running: Peer) -> None:
    deadline = time.monotonic() + START_LIMIT
    while not _is_listening(running.port):
        running.alive()
        if time.monotonic() > deadline:
            raise BenchmarkError(f"nobody listens after {START_LIMIT:g} s")
        time.sleep(_LOOK_AGAIN)


def _is_listening(port: int) -> bool:
    """Look into the kernel's table: to an SCP, a trial connection is a failed association."""
    ending, listen = f":{port:04X}", "0A"
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            lines = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for line in lines:
            columns = line.split()
            if columns[1].endswith(ending) and columns[3] == listen:
                return True
    return False


def free_port() -> int:
    """Give a port on which nobody listens now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def _end(process: subprocess.Popen[str]) -> None:
    """End a peer: workers at the end of their standard input, the others by a signal."""
    if process.stdin is not None:
        process.stdin.close()
    if process.stdout is None:
        process.terminate()
    try:
        process.wait(5)
    except subprocess.TimeoutExpired:
        _kill(process)
    if process.stdout is not None:
        process.stdout.close()


def _kill(process: subprocess.Popen[str]) -> None:
    if process.poll() is None:
        process.kill()
        process.wait()


def memory(pid: int) -> tuple[int, int]:
    """Give peak and present resident memory of a process in KiB."""
    peak = present = 0
    try:
        for line in Path(f"/proc/{pid}/status").read_text().splitlines():
            if line.startswith("VmHWM:"):
                peak = int(line.split()[1])
            elif line.startswith("VmRSS:"):
                present = int(line.split()[1])
    except OSError as error:
        raise BenchmarkError(f"process {pid} is gone") from error
    return peak, present


def processor_seconds(pid: int) -> float:
    """Give the processor time that a process has used."""
    # The name, in parentheses, may contain spaces.
    columns = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(columns[11]) + int(columns[12])) / os.sysconf("SC_CLK_TCK")


def wake_ups(pid: int) -> int:
    """Count how often the threads of a process have gone to sleep by themselves."""
    count = 0
    for task in Path(f"/proc/{pid}/task").iterdir():
        for line in (task / "status").read_text().splitlines():
            if line.startswith("voluntary_ctxt_switches:"):
                count += int(line.split()[1])
    return count
