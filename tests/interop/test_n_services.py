"""The six N-services with pynetdicom 3.0.4, which lives in an environment of its own."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from benchmarks.environment import install_old_version
from tests.peers import DEADLINE

SCRIPT = str(Path(__file__).with_name("n_services.py"))

pytestmark = pytest.mark.slow


@pytest.fixture(scope="session")
def old_python(tmp_path_factory: pytest.TempPathFactory) -> str:
    """The interpreter that has pynetdicom 3.0.4, installed once for all workers."""
    shared = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        shared = shared.parent
    with (shared / "old.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        python, problem = install_old_version(shared / "old")
    if python is None:
        pytest.skip(problem)
    return python


class Side:
    """A script as SCP, run by one of the two."""

    def __init__(self, python: str, env: dict[str, str], script: str = SCRIPT) -> None:
        self.process = subprocess.Popen(
            [python, script, "scp"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            env=env,
            text=True,
        )
        assert self.process.stdout is not None
        (_, self.port) = json.loads(self.process.stdout.readline())

    def told(self) -> list[Any]:
        """End it; what it has told."""
        out, _ = self.process.communicate(timeout=DEADLINE)
        assert self.process.returncode == 0
        return [json.loads(line) for line in out.splitlines()]


def ask(
    python: str, env: dict[str, str], port: int, *others: str, script: str = SCRIPT
) -> list[Any]:
    done = subprocess.run(
        [python, script, "scu", str(port), *others],
        stdout=subprocess.PIPE,
        env=env,
        text=True,
        timeout=DEADLINE,
        check=True,
    )
    return [json.loads(line) for line in done.stdout.splitlines()]


@pytest.fixture(scope="session")
def sides(old_python: str, python_env: dict[str, str]) -> dict[str, tuple[str, dict[str, str]]]:
    bare = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    return {"ours": (sys.executable, python_env), "theirs": (old_python, bare)}


@pytest.fixture(scope="session")
def told_by_ours(sides: dict[str, tuple[str, dict[str, str]]]) -> Iterator[tuple[Any, Any]]:
    """What both sides tell when both are ours."""
    scp = Side(*sides["ours"])
    asked = ask(*sides["ours"], scp.port)
    return asked, scp.told()


@pytest.mark.parametrize(("scp_is", "scu_is"), [("theirs", "ours"), ("ours", "theirs")])
def test_all_six(
    scp_is: str,
    scu_is: str,
    sides: dict[str, tuple[str, dict[str, str]]],
    told_by_ours: tuple[Any, Any],
) -> None:
    """Both sides tell the same whoever is on them."""
    scp = Side(*sides[scp_is])
    try:
        asked = ask(*sides[scu_is], scp.port)
    finally:
        served = scp.told()
    assert (asked, served) == told_by_ours
    assert [row[0] for row in asked] == [
        *("EVT_N_EVENT_REPORT", "action", "create", "meta", "delete", "event", "get", "set"),
        *("ups push", "EVT_N_EVENT_REPORT", "EVT_N_EVENT_REPORT", "ups subscribe"),
        *("ups claim", "ups change", "ups look", "ups cancel", "ups forget"),
        "released",
    ]
    assert [row[0] for row in served] == [
        *("EVT_N_ACTION", "reported", "EVT_N_CREATE", "EVT_N_CREATE", "EVT_N_DELETE"),
        *("EVT_N_EVENT_REPORT", "EVT_N_GET", "EVT_N_SET"),
        *("EVT_N_CREATE", "EVT_N_ACTION", "reported", "reported", "EVT_N_ACTION", "EVT_N_SET"),
        *("EVT_N_GET", "EVT_N_ACTION", "EVT_N_ACTION"),
    ]
