"""Programs that run in the background and listen."""

from __future__ import annotations

import contextlib
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import pytest

from tests import warm
from tests.peers import DEADLINE


class Program:
    """A program in the background, whose output goes to a file: a pipe that nobody reads fills up.

    Parameters
    ----------
    listens : callable
        Whether it listens; it does when the constructor returns.
    """

    def __init__(
        self,
        command: Sequence[str],
        log: Path,
        listens: Callable[[], bool],
        env: dict[str, str],
        directory: Path | None = None,
    ) -> None:
        self._log = log
        with log.open("ab") as output:
            self.process = warm.Popen(
                list(command),
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=subprocess.STDOUT,
                env=env,
                cwd=directory,
            )
        deadline = time.monotonic() + DEADLINE
        while not listens():
            with contextlib.suppress(subprocess.TimeoutExpired):
                code = self.process.wait(timeout=0.01)
                pytest.fail(f"{command} ended with {code}: {self.output()}")
            if time.monotonic() > deadline:
                self.kill()
                pytest.fail(f"{command} does not listen: {self.output()}")

    def output(self) -> str:
        """What it has printed so far."""
        return self._log.read_text(errors="replace")

    def kill(self) -> None:
        self.process.kill()
        self.process.wait()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """End it by a signal and give its exit code."""
        if self.process.poll() is None:
            self.process.send_signal(number)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.kill()
                pytest.fail(f"it did not end: {self.output()}")
        return self.process.returncode
