"""DCMTK's command line tools as fixtures.

``dcmtk.run("echoscu", "127.0.0.1", port)`` waits for a tool, ``dcmtk.storescp()`` starts one that
listens and is ended after the test.
"""

from __future__ import annotations

import contextlib
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import find_free_port
from tests.programs import Program

HERE = Path(__file__).parent
TCP_LISTEN = "0A"


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Every test in this folder is an interop test."""
    for item in items:
        if HERE in item.path.parents:
            item.add_marker(pytest.mark.interop)


def is_listening(port: int) -> bool:
    """Whether a socket listens on `port`; without connecting, where the system tells."""
    tables = [table for table in ("/proc/net/tcp", "/proc/net/tcp6") if os.path.exists(table)]
    for table in tables:
        for line in Path(table).read_text().splitlines()[1:]:
            _, local, _, state = line.split()[:4]
            if state == TCP_LISTEN and int(local.rpartition(":")[2], 16) == port:
                return True
    if not tables:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
            return True
    return False


class Listening(Program):
    """A tool that runs in the background and listens.

    Attributes
    ----------
    port : int
        Where it listens on 127.0.0.1.
    directory : pathlib.Path or None
        Where it stores.
    """

    def __init__(
        self,
        arguments: list[str],
        port: int,
        log: Path,
        directory: Path | None,
        env: dict[str, str],
    ) -> None:
        self.port = port
        self.directory = directory
        super().__init__(arguments, log, lambda: is_listening(port), env)

    def files(self) -> list[Path]:
        """What it has stored."""
        assert self.directory is not None
        return sorted(path for path in self.directory.iterdir() if path.is_file())


class Dcmtk:
    """Runs DCMTK's tools."""

    def __init__(self, tools: dict[str, str], scratch: Path) -> None:
        self._tools = tools
        self._scratch = scratch
        self._started: list[Listening] = []

    def _environment(self, env: dict[str, str] | None) -> dict[str, str]:
        return {**os.environ, **(env or {})}

    def run(
        self,
        tool: str,
        *arguments: object,
        timeout: float = 300,
        env: dict[str, str] | None = None,
        check: bool = False,
    ) -> subprocess.CompletedProcess[str]:
        """Runs a tool to its end; standard error is part of ``stdout``."""
        result = subprocess.run(
            [self._tools[tool], *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
            timeout=timeout,
            env=self._environment(env),
            check=False,
        )
        if check:
            assert result.returncode == 0, result.stdout
        return result

    def start(
        self,
        tool: str,
        *arguments: object,
        port: int,
        directory: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Listening:
        """Starts a tool and returns once it listens on `port`, which `arguments` must name too."""
        log = self._scratch / f"{tool}-{port}.log"
        command = [self._tools[tool], *map(str, arguments)]
        running = Listening(command, port, log, directory, self._environment(env))
        self._started.append(running)
        return running

    def storescp(
        self,
        *options: object,
        port: int | None = None,
        directory: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Listening:
        """Starts DCMTK's storescp; it answers C-ECHO too.

        Without options it takes every storage class in the uncompressed transfer syntaxes, with
        ``"+xa"`` in the compressed ones as well.
        """
        port = port or find_free_port()
        if directory is None:
            directory = self._scratch / f"stored-{port}"
            directory.mkdir()
        return self.start(
            "storescp",
            *options,
            "-v",
            "-od",
            directory,
            port,
            port=port,
            directory=directory,
            env=env,
        )

    def stop(self) -> None:
        for running in self._started:
            running.stop()


@pytest.fixture
def dcmtk(dcmtk_tools: dict[str, str], tmp_path_factory: pytest.TempPathFactory) -> Iterator[Dcmtk]:
    """DCMTK's tools; those that the test starts are ended with it."""
    tools = Dcmtk(dcmtk_tools, tmp_path_factory.mktemp("dcmtk"))
    yield tools
    tools.stop()
