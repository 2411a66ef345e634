"""Pages that are read with the hands on the keyboard print what they say they print.

Such a page is run from top to bottom in one directory: what is to be written into a file is, each
command is run, and the lines of a literal block after the word "prints" have to be what was printed
by the last command, or by a server of the page. What a reader is told to do otherwise stands in a
comment: ``.. do: end 11113``, or ``.. do: $ command``.
"""

from __future__ import annotations

import re
import shlex
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.conftest import ROOT, find_free_port
from tests.docs.conftest import IN_ORDER
from tests.examples.conftest import MANUAL_PORT, Running, pydicom_file
from tests.peers import DEADLINE
from tests.sampled import sampled

SERVERS = {"receive.py", "qrscp", "storescp", "department_scp.py", "ai_pipeline.py", "router.py"}
NOT_HERE = re.compile(r"pip |source |python -m venv |.*example\.org")
PORTS = range(MANUAL_PORT, MANUAL_PORT + 3)
_PIECE = re.compile(
    r"(?P<before>.*?)^"
    r"(?:\.\. code-block:: (?P<language>\w+)|\.\. do: (?P<do>[^\n]*)|(?P<end>[^\n]*::))\n"
    r"(?:\n(?P<text>(?: +[^\n]*\n|\n)+))?",
    re.MULTILINE | re.DOTALL,
)
_FILE = re.compile(r"``(\w+\.(?:py|csv))``")
_VARIES = (
    (re.compile(r"[\d.]+ ms"), r"[\d.]+ ms"),
    (re.compile(r"(?:2\.25|1\.2\.826)[\d.]{8,}…?"), r"[\d.]+"),  # UIDs that are made
    (re.compile(r"\d objects wait"), r"\d objects wait"),
    (re.compile(r"P[0-9a-f]{12}"), r"P[0-9a-f]{12}"),
)


def pieces(page: Path) -> Iterator[tuple[str, str, str]]:
    """Give the paragraph in front of each block, its language, "do" or "", and its text."""
    for found in _PIECE.finditer(page.read_text()):
        before = (found["before"] + (found["end"] or "")).rstrip().rpartition("\n\n")[2]
        text = textwrap.dedent(found["text"] or "").strip("\n")
        if found["do"]:
            yield before, "do", found["do"]
        else:
            yield before, found["language"] or "", text


def pattern_of(line: str) -> str:
    """What fits a printed line, whatever varies in it."""
    parts = {}
    for number, (varies, fits) in enumerate(_VARIES):
        parts[f"V{number}V"] = fits
        line = varies.sub(f"V{number}V", line)
    pattern = re.escape(line)
    for part, fits in parts.items():
        pattern = pattern.replace(part, fits)
    return f"^{pattern} *$"


class Reader:
    """Does what a page says, on ports that are free."""

    def __init__(self, place: Path, env: dict[str, str]) -> None:
        self.place, self.env = place, env
        self.ports = {str(port): find_free_port() for port in PORTS}
        self.servers: dict[int, Running] = {}
        self.printed = ""

    def write(self, name: str, text: str) -> None:
        (self.place / name).write_text(self._here(text) + "\n")

    def run(self, line: str) -> None:
        line = line.removeprefix("$ ")
        if NOT_HERE.match(line):
            return
        words = shlex.split(self._here(line))
        assert words[0] == "python"
        words = [sys.executable, *(self._path(word) for word in words[1:])]
        if SERVERS.intersection(Path(word).name for word in words):
            own = int(self.ports[str(MANUAL_PORT)])
            port = next((int(word) for word in words if word.isdigit()), own)
            self.end(port)
            self.servers[port] = Running(words, port, self.place, self.env)
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
        assert ran.returncode in (0, 1), ran.stderr
        assert "Traceback" not in ran.stderr
        self.printed = ran.stdout

    def do(self, what: str) -> None:
        if what.startswith("$ "):
            self.run(what)
        else:
            self.end(int(self._here(what.removeprefix("end "))))

    def compare(self, text: str) -> None:
        """Wait until all lines that a page says are printed have been."""
        deadline = time.monotonic() + DEADLINE
        for line in self._here(text).splitlines():
            pattern = re.compile(pattern_of(line), re.MULTILINE)
            while not any(pattern.search(output) for output in self._outputs()):
                assert time.monotonic() < deadline, (line, self._outputs())
                for server in self.servers.values():
                    try:
                        server.process.wait(timeout=0.01)
                    except subprocess.TimeoutExpired:
                        continue

    def end(self, *ports: int) -> None:
        for port in ports or [*self.servers]:
            if server := self.servers.pop(port, None):
                assert server.stop(signal.SIGINT) == 0, server.output()
                assert "Traceback" not in server.output()

    def _outputs(self) -> list[str]:
        return [self.printed, *(server.output() for server in self.servers.values())]

    def _here(self, text: str) -> str:
        for port, free in self.ports.items():
            text = text.replace(port, str(free))
        return text

    def _path(self, word: str) -> str:
        return str(ROOT / word) if word.startswith("examples/") else word


@sampled("page", IN_ORDER)
def test_a_page_prints_what_it_says(page: str, tmp_path: Path, python_env: dict[str, str]) -> None:
    pytest.importorskip("sqlalchemy")
    pytest.importorskip("numpy")
    if page != IN_ORDER[0]:
        for name in ("CT_small.dcm", "MR_small.dcm"):
            shutil.copy(pydicom_file(name), tmp_path)
    reader = Reader(tmp_path, python_env)
    compared = 0
    try:
        for before, language, text in pieces(ROOT / page):
            names = _FILE.findall(before)
            if language == "do":
                reader.do(text)
            elif language == "console":
                for line in text.splitlines():
                    reader.run(line)
            elif names and (language == "python" or "into ``" in before):
                reader.write(names[-1], text)
            elif not language and "print" in before:
                reader.compare(text)
                compared += 1
    finally:
        reader.end()
    assert compared == len(re.findall("print.*::\n", (ROOT / page).read_text()))
