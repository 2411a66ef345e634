"""Runs the apps as programs of their own, and files to send."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pydicom
import pytest

from tests import warm
from tests.faults.peer import until

TEST_FILES = Path(pydicom.__file__).parent / "data" / "test_files"

CT = TEST_FILES / "CT_small.dcm"
MR = TEST_FILES / "MR_small.dcm"
CT_JPEG2000 = TEST_FILES / "693_J2KI.dcm"
SC_RLE = TEST_FILES / "SC_rgb_rle.dcm"
US_JPEG = TEST_FILES / "examples_ybr_color.dcm"
MR_TRUNCATED = TEST_FILES / "MR_truncated.dcm"
WITHOUT_UIDS = TEST_FILES / "priv_SQ.dcm"

# Has an app list on standard error what it imports.
LIST_IMPORTS = {"PYTHONPROFILEIMPORTTIME": "1"}


def imported(errors: str) -> set[str]:
    """The modules that an app imported."""
    return {line.rpartition("|")[2].strip() for line in errors.splitlines()}


def copies(image: Path, directory: Path, count: int) -> list[Path]:
    """So many instances of an image, ``1.2.3.N``, in files of their own."""
    ds = pydicom.dcmread(image)
    directory.mkdir()
    paths = []
    for number in range(count):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
        paths.append(directory / f"{number}.dcm")
        ds.save_as(paths[-1])
    return paths


RunApp = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def run_app(python_env: dict[str, str], tmp_path: Path) -> RunApp:
    """``run_app("echoscu", …)`` runs an app to its end."""

    def run(
        app: str, *arguments: object, timeout: float = 300, env: dict[str, str] | None = None
    ) -> subprocess.CompletedProcess[str]:
        result = warm.run(
            [sys.executable, "-m", "pynetdicom", app, *map(str, arguments)],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=timeout,
            env={**python_env, **(env or {})},
            cwd=tmp_path,
            check=False,
        )
        assert "Traceback" not in result.stderr + result.stdout, result.stderr
        return result

    return run


class Served:
    """An app that runs in the background and listens."""

    def __init__(self, command: list[str], env: dict[str, str], directory: Path) -> None:
        self.directory = directory
        self._log = directory.parent / f"{directory.name}.stderr"
        with self._log.open("wb") as log:
            self.process = warm.Popen(
                command, stdout=subprocess.PIPE, stderr=log, env=env, cwd=directory, text=True
            )
        assert self.process.stdout is not None
        line = self.process.stdout.readline()
        if not line.startswith("listening on "):
            self.stop()
            pytest.fail(f"{command} says {line!r}, {self.errors()!r}")
        self.port = int(line.rpartition(":")[2])

    def errors(self) -> str:
        """What it has written to standard error so far."""
        return self._log.read_text()

    def files(self) -> list[str]:
        """Names in its directory."""
        return sorted(path.name for path in self.directory.iterdir())

    def hang_up(self, words: str, times: int = 1) -> None:
        """Have it read anew, and wait until it has said so, each of its processes."""
        before = self.errors().count(words)
        self.process.send_signal(signal.SIGHUP)
        assert until(lambda: self.errors().count(words) == before + times), self.errors()

    def stop(self, number: int = signal.SIGTERM) -> int:
        """Stop it and give its exit code."""
        self.process.send_signal(number)
        try:
            self.process.communicate(timeout=300)
        finally:
            self.process.kill()
        return self.process.returncode


ServeApp = Callable[..., Served]


@pytest.fixture
def serve_app(python_env: dict[str, str], tmp_path: Path) -> Iterator[ServeApp]:
    """``serve_app("storescp", …)`` starts an app on a free port in a directory of its own."""
    started: list[Served] = []

    def serve(
        app: str,
        *options: object,
        directory: Path | None = None,
        env: dict[str, str] | None = None,
    ) -> Served:
        directory = directory or tmp_path / f"served{len(started)}"
        directory.mkdir(exist_ok=True)
        command = [sys.executable, "-m", "pynetdicom", app, "0", "-ba", "127.0.0.1"]
        environment = {**python_env, **(env or {})}
        served = Served([*command, *map(str, options)], environment, directory)
        started.append(served)
        return served

    yield serve
    for served in started:
        if served.process.poll() is None:
            assert served.stop() == 0, served.errors()
        assert "Traceback" not in served.errors()
