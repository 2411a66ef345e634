"""Runs scripts as programs of their own, in a network of their own where the port is fixed."""

from __future__ import annotations

import contextlib
import json
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from tests import warm
from tests.conftest import ROOT
from tests.interop.conftest import Dcmtk, dcmtk, is_listening
from tests.programs import DEADLINE, Program

__all__ = ["dcmtk"]  # a fixture

HERE = Path(__file__).parent
EXAMPLES = ROOT / "examples"
MANUAL_PORT = 11112
TCP_LISTEN = "0A"

# Waits, in a network namespace whose loopback interface is up, until its standard input ends.
_NAMESPACE = """
import fcntl, socket, struct, sys
with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as sock:
    request = struct.pack("16sh14x", b"lo", 0)
    flags = struct.unpack("16sh14x", fcntl.ioctl(sock, 0x8913, request))[1]
    fcntl.ioctl(sock, 0x8914, struct.pack("16sh14x", b"lo", flags | 1))
print("up", flush=True)
sys.stdin.read()
"""


def listens_in(process: int, port: int) -> bool:
    """Whether a socket listens on `port` in the network namespace of `process`."""
    for table in ("tcp", "tcp6"):
        with contextlib.suppress(OSError):
            for line in Path(f"/proc/{process}/net/{table}").read_text().splitlines()[1:]:
                _, local, _, state = line.split()[:4]
                if state == TCP_LISTEN and int(local.rpartition(":")[2], 16) == port:
                    return True
    return False


class Running(Program):
    """A program in the background that listens on a port."""

    def __init__(
        self,
        command: Sequence[str],
        port: int,
        directory: Path,
        env: dict[str, str],
        network: int | None = None,
    ) -> None:
        self.port = port
        self.directory = directory

        def listens() -> bool:
            return is_listening(port) if network is None else listens_in(network, port)

        super().__init__(command, directory / f"output-{port}.log", listens, env, directory)

    def stop(self, number: int = signal.SIGINT) -> int:
        return super().stop(number)


class Scripts:
    """Runs Python scripts, in the foreground and in the background."""

    def __init__(self, env: dict[str, str], directory: Path) -> None:
        self._env = env
        self.directory = directory
        self._started: list[Running] = []

    def run(self, script: Path, *arguments: object) -> subprocess.CompletedProcess[str]:
        """Run a script to its end."""
        result = warm.run(
            [sys.executable, str(script), *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            env=self._env,
            cwd=self.directory,
            check=False,
        )
        assert "Traceback" not in result.stderr + result.stdout, result.stderr
        return result

    def serve(self, script: Path, port: int, *arguments: object) -> Running:
        """Start a script that listens on `port` of 127.0.0.1."""
        directory = self.directory / f"served-{port}"
        directory.mkdir()
        command = [sys.executable, str(script), "127.0.0.1", str(port), *map(str, arguments)]
        running = Running(command, port, directory, self._env)
        self._started.append(running)
        return running

    def stop(self) -> None:
        for running in self._started:
            running.stop()
            assert "Traceback" not in running.output(), running.output()


@pytest.fixture
def scripts(python_env: dict[str, str], tmp_path: Path) -> Iterator[Scripts]:
    """``scripts.run(…)`` and ``scripts.serve(…)``; what is started is ended after the test."""
    started = Scripts(python_env, tmp_path)
    yield started
    started.stop()


class Network:
    """Where port 11112 is ours: a network namespace, or the machine's network with a lock held.

    Attributes
    ----------
    process : int or None
        A process in the namespace.
    prefix : list of str
        What to put in front of a command so that it runs there.
    """

    def __init__(self, process: int | None, prefix: list[str], directory: Path) -> None:
        self.process = process
        self.prefix = prefix
        self.directory = directory
        self._started: list[Running] = []

    def serve(self, command: Sequence[str], env: dict[str, str]) -> Running:
        """Start a program that listens on the port."""
        directory = self.directory / "served"
        directory.mkdir(exist_ok=True)
        running = Running(
            [*self.prefix, *command], MANUAL_PORT, directory, env, network=self.process
        )
        self._started.append(running)
        return running

    def run(self, command: Sequence[str], env: dict[str, str]) -> subprocess.CompletedProcess[str]:
        """Run a program to its end; standard error is part of ``stdout``."""
        return warm.run(
            [*self.prefix, *command],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=300,
            env=env,
            cwd=self.directory,
            check=False,
        )

    def stop(self) -> None:
        for running in self._started:
            running.stop(signal.SIGTERM)


@contextlib.contextmanager
def _namespace() -> Iterator[tuple[int, list[str]] | None]:
    """A network namespace, as a process in it and the command to enter it; None without one."""
    for options, enter in (
        ([], ["nsenter", "-n"]),
        (["-r"], ["nsenter", "-U", "--preserve-credentials", "-n"]),
    ):
        try:
            holder = subprocess.Popen(
                ["unshare", "-n", *options, sys.executable, "-c", _NAMESPACE],
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                text=True,
            )
        except OSError:
            break
        assert holder.stdout is not None
        prefix = [*enter, "-t", str(holder.pid), "--"]
        with holder:  # leaving it ends its standard input, and so the process
            if holder.stdout.readline().strip() != "up":
                continue
            try:
                entered = subprocess.run([*prefix, "true"], capture_output=True, check=False)
            except OSError:
                break
            if entered.returncode == 0:
                yield holder.pid, prefix
                return
    yield None


@contextlib.contextmanager
def _lock() -> Iterator[None]:
    """Keeps other tests of this machine from the port, as far as they ask."""
    fcntl = pytest.importorskip("fcntl")
    path = Path(tempfile.gettempdir()) / f"pynetdicom-port-{MANUAL_PORT}.lock"
    with path.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # the test's time limit bounds it
        if is_listening(MANUAL_PORT):
            pytest.skip(f"no network namespace, and port {MANUAL_PORT} is taken")
        yield


@pytest.fixture
def network(tmp_path: Path) -> Iterator[Network]:
    """A network in which port 11112 is free."""
    with _namespace() as namespace, contextlib.ExitStack() as stack:
        if namespace is None:
            stack.enter_context(_lock())
        process, prefix = namespace or (None, [])
        found = Network(process, prefix, tmp_path)
        yield found
        found.stop()


QRSCP_CONFIG = """\
NetworkTCPPort = {port}
MaxPDUSize = 16384
MaxAssociations = 16
HostTable BEGIN
workstation = (WORKSTATION, 127.0.0.1, {store_port})
HostTable END
VendorTable BEGIN
VendorTable END
AETable BEGIN
{title} {storage} RW (9, 1024mb) ANY
AETable END
"""


def qrscp_arguments(directory: Path, port: int, title: str, store_port: int = 1) -> list[str]:
    """What to start DCMTK's dcmqrscp with, which may move to the AE ``WORKSTATION``."""
    storage = directory / "storage"
    storage.mkdir()
    config = directory / "dcmqrscp.cfg"
    config.write_text(
        QRSCP_CONFIG.format(port=port, store_port=store_port, title=title, storage=storage)
    )
    return ["-v", "-c", str(config), str(port)]


def result_of(result: subprocess.CompletedProcess[str]) -> Any:
    """The last line of a program's output, which is JSON."""
    assert result.returncode == 0, result.stdout
    return json.loads(result.stdout.splitlines()[-1])


def pydicom_file(name: str) -> Path:
    """A file inside pydicom's package; none is ever downloaded."""
    import pydicom

    return Path(pydicom.__file__).parent / "data" / "test_files" / name


def wait_for_output(running: Running, text: str) -> None:
    """Return when a program in the background has printed `text`."""
    deadline = time.monotonic() + DEADLINE
    while text not in running.output():
        with contextlib.suppress(subprocess.TimeoutExpired):
            running.process.wait(timeout=0.01)
            break
        assert time.monotonic() < deadline, running.output()
    assert text in running.output()


def tool(tools: Dcmtk, name: str) -> str:
    """The path of a DCMTK tool."""
    return tools._tools[name]
