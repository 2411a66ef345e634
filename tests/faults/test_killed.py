"""Faults: a storescp that is killed, in the midst of an object and after."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from tests.faults.peer import BOTH, CT, Peer, p_data, pdv, store_command, until

SIZE = 1_000_000
WITHOUT_UNNAMED_FILES = "provisional._has_unnamed_files = lambda: False"
MAIN = """
from pynetdicom.apps import storescp
from pynetdicom.data_sets import provisional
{}
storescp.main(["0", "-ba", "127.0.0.1"])
"""

needs_proc = pytest.mark.skipif(
    not os.path.isdir("/proc/self/fd"), reason="looks at another's descriptors in /proc"
)

Start = Callable[[str], "subprocess.Popen[str]"]


@pytest.fixture
def start(python_env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """Starts a storescp that stores into `tmp_path`, after a line of code."""
    started: list[subprocess.Popen[str]] = []

    def serve(line: str) -> subprocess.Popen[str]:
        process = subprocess.Popen(
            [sys.executable, "-c", MAIN.format(line)],
            env=python_env,
            cwd=tmp_path,
            stdout=subprocess.PIPE,
            text=True,
        )
        started.append(process)
        return process

    yield serve
    for process in started:
        process.kill()
        process.communicate(timeout=300)


def address(process: subprocess.Popen[str]) -> tuple[str, int]:
    assert process.stdout is not None
    line = process.stdout.readline()
    assert line.startswith("listening on "), line
    return "127.0.0.1", int(line.rpartition(":")[2])


def kill(process: subprocess.Popen[str]) -> None:
    process.kill()
    assert process.wait(300) == -signal.SIGKILL


def written(process: subprocess.Popen[str], directory: Path) -> int:
    """Bytes in the files of a directory that a process has open, those without a name too."""
    total = 0
    for number in Path(f"/proc/{process.pid}/fd").iterdir():
        try:
            if os.readlink(number).startswith(f"{directory}/"):
                total += number.stat().st_size
        except OSError:  # closed meanwhile
            continue
    return total


def begin(peer: Peer) -> None:
    """Half an object."""
    peer.associate(BOTH)
    peer.send(p_data(pdv(3, 3, store_command())))
    for _ in range(SIZE // 2 // 10_000):
        peer.send(p_data(pdv(3, 0, bytes(10_000))))


@needs_proc
@pytest.mark.parametrize("line", ["", WITHOUT_UNNAMED_FILES], ids=["unnamed", "named"])
def test_killed_in_mid_store(start: Start, tmp_path: Path, line: str) -> None:
    """Nothing is visible under its final name, and after the next start nothing is left at all."""
    first = start(line)
    with Peer.connect(address(first)) as peer:
        begin(peer)
        assert until(lambda: written(first, tmp_path) >= SIZE // 2, 10)
        kill(first)
    left = [path.name for path in tmp_path.iterdir()]
    assert not [name for name in left if not name.endswith(".part")]
    assert bool(left) is bool(line)
    address(start(line))
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("line", ["", WITHOUT_UNNAMED_FILES], ids=["unnamed", "named"])
def test_killed_after_success(start: Start, tmp_path: Path, line: str) -> None:
    """What was answered with success is there, whole."""
    process = start(line)
    with Peer.connect(address(process)) as peer:
        begin(peer)
        peer.send(p_data(pdv(3, 2, b"the end.")))
        answer = peer.pdu()
        kill(process)
    assert b"\x00\x00\x00\x09\x02\x00\x00\x00\x00\x00" in answer  # Status 0000H
    (path,) = tmp_path.iterdir()
    assert path.name == "1.2.3.4.dcm"
    data = path.read_bytes()
    assert data[128:132] == b"DICM"
    assert CT.encode() in data[:1000]
    assert data.endswith(bytes(SIZE // 2) + b"the end.")
