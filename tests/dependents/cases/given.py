"""What a case is given; the others import it. It runs where the package under test is installed."""

from __future__ import annotations

import contextlib
import json
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

_given = json.loads(sys.argv[1])
HOST: str = _given["HOST"]
ARCHIVE: str = _given["ARCHIVE"]
DESTINATION: str = _given["DESTINATION"]
PATIENT_ID: str = _given["PATIENT_ID"]
PATIENT_NAME: str = _given["PATIENT_NAME"]
STUDY: str = _given["STUDY"]
SERIES: list[str] = _given["SERIES"]
INSTANCES: int = _given["INSTANCES"]
ARCHIVES: dict[str, int] = _given["archives"]
STORES: dict[str, tuple[int, str]] = _given["stores"]
WORKFLOWS: int = _given["workflows"]
LISTEN: int = _given["listen"]
FILES = [Path(path) for path in _given["files"]]
WORK = Path(_given["work"])
del sys.argv[1:]


def done(what: str) -> None:
    """Say that a step of the work is done."""
    print(f"+ {what}", flush=True)


def app(name: str, *arguments: Any) -> str:
    """Run one of our programs against what the package serves; give its output."""
    ran = subprocess.run(
        [*_given["apps"], name, *map(str, arguments)],
        env=_given["environment"],
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    if ran.returncode:
        raise AssertionError(f"{name} ended with {ran.returncode}: {ran.stderr.strip()[-300:]}")
    return ran.stdout


def until_listening(port: int, listener: subprocess.Popen[Any]) -> None:
    """Wait for a program to listen."""
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline and listener.poll() is None:
        with contextlib.suppress(OSError), socket.create_connection((HOST, port), 1):
            return
        time.sleep(0.05)
    raise AssertionError(f"{listener.args} does not listen")


WORK.mkdir(exist_ok=True)
os.chdir(WORK)
