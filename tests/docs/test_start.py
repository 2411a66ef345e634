"""Pages that are read with the hands on the keyboard print what they say they print.

Such a page is run from top to bottom in one directory: what is to be written into a file is, each
command is run, and the lines of a literal block have to be what was printed before it.
"""

from __future__ import annotations

import re
import shlex
import signal
import subprocess
import sys
import textwrap
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port
from tests.docs.conftest import IN_ORDER
from tests.examples.conftest import MANUAL_PORT, Running, wait_for_output
from tests.peers import DEADLINE

SERVERS = {"receive.py", "qrscp"}
INSTALLING = {"pip", "source"}
_PIECE = re.compile(
    r"(?P<before>.*?)^(?:\.\. code-block:: (?P<language>\w+)\n|(?P<end>[^\n]*::)\n)"
    r"\n(?P<text>(?: +[^\n]*\n|\n)+)",
    re.MULTILINE | re.DOTALL,
)
_TIME = re.compile(r"[\d.]+ ms")
_FILE = re.compile(r"``(\w+\.py)``")


def pieces(page: Path) -> Iterator[tuple[str, str, str]]:
    """Give what stands in front of each block, its language or "", and its text."""
    for found in _PIECE.finditer(page.read_text()):
        before = found["before"] + (found["end"] or "")
        yield before, found["language"] or "", textwrap.dedent(found["text"]).strip("\n")


class Reader:
    """Does what a page says, on a port that is free."""

    def __init__(self, place: Path, env: dict[str, str]) -> None:
        self.place, self.env = place, env
        self.port = find_free_port()
        self.server: Running | None = None
        self.printed = ""

    def write(self, name: str, text: str) -> None:
        (self.place / name).write_text(self._here(text) + "\n")

    def run(self, line: str) -> None:
        words = shlex.split(self._here(line.removeprefix("$ ")))
        if words[0] in INSTALLING or words[1:3] == ["-m", "venv"]:
            return
        assert words[0] == "python"
        words[0] = sys.executable
        if SERVERS.intersection(words):
            self.stop()
            self.server = Running(words, self.port, self.place, self.env)
            self.printed = self.server.output()
            return
        ran = subprocess.run(
            words,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=DEADLINE,
            env=self.env,
            cwd=self.place,
            check=False,
        )
        assert ran.returncode == 0, ran.stderr
        self.printed = ran.stdout

    def compare(self, text: str, *, is_of_server: bool) -> None:
        """Hold what a page says against what was printed; figures of time may be others."""
        for line in self._here(text).splitlines():
            if is_of_server:
                assert self.server is not None
                wait_for_output(self.server, line)
            else:
                pattern = re.escape(_TIME.sub("TIME", line)).replace("TIME", r"[\d.]+ ms")
                assert re.search(f"^{pattern}$", self.printed, re.MULTILINE), self.printed

    def stop(self) -> None:
        if self.server is not None:
            assert self.server.stop(signal.SIGINT) == 0, self.server.output()
            self.server = None

    def _here(self, text: str) -> str:
        return text.replace(str(MANUAL_PORT), str(self.port))


@pytest.mark.parametrize("page", IN_ORDER)
def test_a_page_prints_what_it_says(page: str, tmp_path: Path, python_env: dict[str, str]) -> None:
    pytest.importorskip("sqlalchemy")
    reader = Reader(tmp_path, python_env)
    compared = 0
    try:
        for before, language, text in pieces(ROOT / page):
            if language == "python":
                if names := _FILE.findall(before.rstrip().rpartition("\n\n")[2]):
                    reader.write(names[-1], text)
            elif language == "console":
                for line in text.splitlines():
                    reader.run(line)
            else:
                reader.compare(text, is_of_server="first terminal there is" in before)
                compared += 1
    finally:
        reader.stop()
    assert compared >= 8
