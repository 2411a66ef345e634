"""The parties: ours, DCMTK in three settings, and 3.0.4, each as SCU and as SCP."""

from __future__ import annotations

import os
import sys
from collections.abc import Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

from benchmarks.environment import OLD_VERSION, PYDCM_VERSION
from benchmarks.processes import BenchmarkError, Finished, Peer, free_port, peer, run

ROOT = Path(__file__).resolve().parent.parent
WORKERS = Path(__file__).resolve().parent / "workers"
HOST = "127.0.0.1"

UNTIMED = 3
"""Objects at the start of a list of files that are sent but not counted."""


class DCMTK:
    """DCMTK's tools.

    Parameters
    ----------
    label : str
        Its name in the tables.
    tools : dict of str to str
        Paths of ``echoscu``, ``storescu`` and ``storescp``.
    no_delay : bool
        Switch Nagle's algorithm off, by ``TCP_NODELAY=1`` in the environment.
    tuned : bool
        Announce PDUs of 128 KB, and let the SCP write each data set as it arrives (``+B``).
    """

    def __init__(
        self, label: str, tools: dict[str, str], *, no_delay: bool = True, tuned: bool = False
    ) -> None:
        self.label = label
        self._tools = tools
        self._pdu = ["-pdu", "131072"] if tuned else []
        self._scp_options = ["+B", *self._pdu] if tuned else []
        self._environment = {k: v for k, v in os.environ.items() if k != "TCP_NODELAY"}
        if no_delay:
            self._environment["TCP_NODELAY"] = "1"

    def serve(self, out: Path, errors: Path, *options: str) -> AbstractContextManager[Peer]:
        """Start an SCP that stores into `out`."""
        port = free_port()
        command = [self._tools["storescp"], *options, *self._scp_options]
        command += ["-od", str(out), str(port)]
        return peer(command, self._environment, errors, port=port)

    def echo(self, port: int, count: int) -> float:
        """Send `count` C-ECHO requests and one more that is not counted; give the seconds."""
        command = [self._tools["echoscu"], "--repeat"]
        one = run([*command, "1", HOST, str(port)], self._environment)
        more = run([*command, str(count + 1), HOST, str(port)], self._environment)
        return more.seconds - one.seconds

    def store(self, port: int, files: Sequence[Path]) -> float:
        """Send all files; give the seconds of all but the first `UNTIMED`."""
        # What an SCP does in its first association only belongs to neither of the two runs.
        first, second = UNTIMED - 2, UNTIMED - 1
        self._storescu(port, files[:first])
        one = self._storescu(port, files[first:second])
        more = self._storescu(port, files[second:])
        return more.seconds - one.seconds

    def whole(self, port: int, files: Sequence[Path]) -> float:
        """Send all files; give the seconds from the start of the process to its end."""
        return self._storescu(port, files).seconds

    def peak(self, port: int, files: Sequence[Path]) -> int:
        """Send all files; give the SCU's peak memory in KiB."""
        return self._storescu(port, files, watch_memory=True).peak

    def _storescu(
        self, port: int, files: Sequence[Path], *, watch_memory: bool = False
    ) -> Finished:
        command = [self._tools["storescu"], *self._pdu, HOST, str(port), *map(str, files)]
        return run(command, self._environment, watch_memory=watch_memory)


class Pynetdicom:
    """Ours or 3.0.4, through the same worker scripts.

    Parameters
    ----------
    label : str
        Its name in the tables.
    interpreter : str
        The Python that runs it.
    version : str
        What its version has to begin with: a guard against measuring the wrong one.
    path : Path or None
        Directory from which it is imported, None for what is installed.
    """

    def __init__(self, label: str, interpreter: str, version: str, path: Path | None) -> None:
        self.label = label
        self._interpreter = interpreter
        self._version = version
        self._environment = {k: v for k, v in os.environ.items() if not k.startswith("PYTHON")}
        # Otherwise -c and -m would import from the working directory before anything else.
        self._environment["PYTHONSAFEPATH"] = "1"
        if path is not None:
            self._environment["PYTHONPATH"] = str(path)

    def serve(self, out: Path, errors: Path) -> AbstractContextManager[Peer]:
        """Start an SCP that stores into `out`."""
        return peer(self._worker("scp", str(out)), self._environment, errors)

    def hold(self, port: int, count: int, errors: Path) -> AbstractContextManager[Peer]:
        """Start a process that opens `count` associations and leaves them idle."""
        command = self._worker("idle", str(port), str(count))
        return peer(command, self._environment, errors)

    def crowd(
        self, port: int, silent: int, slow: int, errors: Path
    ) -> AbstractContextManager[Peer]:
        """Start a process that holds connections which never associate."""
        command = self._worker("crowd", str(port), str(silent), str(slow))
        return peer(command, self._environment, errors)

    def whole(self, port: int, count: int, contexts: int = 1) -> list[float]:
        """Give the seconds of each of so many associations with a C-ECHO."""
        return list(self._run("whole", str(port), str(count), str(contexts))["each"])

    def many_associations(self, port: int, count: int) -> dict[str, Any]:
        """Open so many, echo on each, release them; give the seconds of each step."""
        return self._run("opened", str(port), str(count))

    def wake(self, count: int, associations: int) -> dict[str, Any]:
        """Give how soon `abort` and `shutdown` end what goes on."""
        return self._run("wake", str(count), str(associations))

    def echo(self, port: int, count: int) -> float:
        """Send `count` C-ECHO requests and one more that is not counted; give the seconds."""
        return float(self._run("echo", str(port), str(count))["seconds"])

    def store(self, port: int, files: Sequence[Path]) -> float:
        """Send all files; give the seconds of all but the first `UNTIMED`."""
        return float(self._run("store", str(port), str(UNTIMED), *map(str, files))["seconds"])

    def relay(self, port: int, delay: float, errors: Path) -> AbstractContextManager[Peer]:
        """Start a process that hands on to `port` what comes, so many seconds later each way."""
        return peer(self._worker("relay", str(port), str(delay)), self._environment, errors)

    def many(self, port: int, window: int, associations: int, files: Sequence[Path]) -> float:
        """Send files several at a time; give the seconds of all but the first `UNTIMED`."""
        how = map(str, (port, window, associations, UNTIMED))
        return float(self._run("many", *how, *map(str, files))["seconds"])

    def serve_through(self, face: str, out: Path, errors: Path) -> AbstractContextManager[Peer]:
        """Start an SCP of threads, or one in an event loop."""
        return peer(self._worker("faces", face, "scp", str(out)), self._environment, errors)

    def ask_through(
        self, face: str, what: str, port: int, count: int, associations: int, files: Sequence[Path]
    ) -> float:
        """Have so many associations do something at once; give the seconds."""
        how = map(str, (face, what, port, count, associations))
        return float(self._run("faces", *how, *map(str, files))["seconds"])

    def cancelled(self, count: int) -> list[float]:
        """Cancel so many tasks; give the seconds until the peer knew of each."""
        return list(self._run("faces", "asyncio", "cancelled", str(count))["taken"])

    def create(self, count: int) -> float:
        """Create so many instances by N-CREATE over loopback; give the seconds."""
        return float(self._run("create", str(count))["seconds"])

    def workflow(self, name: str, *numbers: int) -> dict[str, Any]:
        """Do one of the works of ``workers/workflows.py``; give its report."""
        return self._run("workflows", name, *map(str, numbers))

    def peak(self, port: int, files: Sequence[Path]) -> int:
        """Send all files; give the SCU's peak memory in KiB."""
        return int(self._run("store", str(port), "0", *map(str, files))["peak"])

    def check(self) -> None:
        """Raise `BenchmarkError` unless it is the version that it should be."""
        command = [self._interpreter, "-c", "import pynetdicom; print(pynetdicom.__version__)"]
        self._compare(run(command, self._environment).output.strip())

    def statement(self, statement: str) -> float:
        """Run a Python statement in a new process; give its own seconds, without the start."""
        code = (
            "import time\nstart = time.perf_counter()\n"
            f"{statement}\n"
            "print(time.perf_counter() - start)"
        )
        return float(run([self._interpreter, "-c", code], self._environment).output)

    def _worker(self, name: str, *arguments: str) -> list[str]:
        return [self._interpreter, str(WORKERS / f"{name}.py"), *arguments]

    def _run(self, name: str, *arguments: str) -> dict[str, Any]:
        report = run(self._worker(name, *arguments), self._environment).json()
        self._compare(str(report["version"]))
        return report

    def _compare(self, version: str) -> None:
        if not version.startswith(self._version):
            raise BenchmarkError(f"{self.label} turned out to be version {version}")


class Applications(Pynetdicom):
    """The same by its applications storescu and storescp, with their default options."""

    def serve(  # type: ignore[override]  # of these there are options
        self, out: Path, errors: Path, *options: str
    ) -> AbstractContextManager[Peer]:
        """Start an SCP that stores into `out`."""
        port = free_port()
        command = [*self._application("storescp"), *options, "-od", str(out), str(port)]
        return peer(command, self._environment, errors, port=port)

    def whole(self, port: int, files: Sequence[Path]) -> float:
        """Send all files; give the seconds from the start of the process to its end."""
        return self._storescu(port, files).seconds

    def peak(self, port: int, files: Sequence[Path]) -> int:
        """Send all files; give the SCU's peak memory in KiB."""
        return self._storescu(port, files, watch_memory=True).peak

    def _application(self, name: str) -> list[str]:
        return [self._interpreter, "-m", "pynetdicom", name, "--quiet"]

    def _storescu(
        self, port: int, files: Sequence[Path], *, watch_memory: bool = False
    ) -> Finished:
        command = [*self._application("storescu"), HOST, str(port), *map(str, files)]
        return run(command, self._environment, watch_memory=watch_memory)

    def starts(self, *arguments: str) -> float:
        """Give the seconds of a program from the start of its process to its end."""
        return run([self._interpreter, "-m", "pynetdicom", *arguments], self._environment).seconds

    def plain(self) -> float:
        """Give those of a Python that does nothing."""
        return run([self._interpreter, "-c", "pass"], self._environment).seconds


Party = DCMTK | Pynetdicom


def ours() -> Pynetdicom:
    """Give the checkout in which this file lies, under the Python that runs it."""
    return Pynetdicom("ours", sys.executable, "4.", ROOT)


def our_applications() -> Applications:
    """Give the applications of the same checkout."""
    return Applications("our applications", sys.executable, "4.", ROOT)


def pydcm(interpreter: str) -> Pynetdicom:
    """Give pydcm in its own environment, under the names that the workers know."""
    standins = Path(__file__).resolve().parent / "standins"
    return Pynetdicom("pydcm", interpreter, f"pydcm {PYDCM_VERSION}", standins)


def another_checkout(path: Path) -> Pynetdicom:
    """Give another checkout, such as one of an earlier commit."""
    return Pynetdicom("old", sys.executable, "4.", path)


def old_version(interpreter: str) -> Pynetdicom:
    """Give pynetdicom 3.0.4 in its own environment."""
    return Pynetdicom(OLD_VERSION, interpreter, OLD_VERSION, None)
