"""Threads that use, leave and end the same associations by chance: nobody waits for ever.

A short walk; ``make test-walk`` goes further, as far as ``PYNETDICOM_WALK`` in the environment.
"""

from __future__ import annotations

import os
import random
import subprocess
import sys
from pathlib import Path

import pytest

COUNT = int(os.environ.get("PYNETDICOM_WALK", "400"))


@pytest.mark.slow
@pytest.mark.timeout(300 + COUNT)
def test_a_random_walk(python_env: dict[str, str]) -> None:
    """No action hangs, and no thread and no descriptor is left."""
    command = [sys.executable, "-m", "tests.walk", str(random.randrange(1 << 30)), str(COUNT)]
    env = {**python_env, "PYTHONPATH": str(Path(__file__).parent.parent)}
    done = subprocess.run(command, env=env, capture_output=True, text=True, check=False)
    assert done.returncode == 0, (command, done.stderr)
    threads, descriptors = map(int, done.stdout.split())
    assert threads <= 0, command
    assert descriptors <= 2, command  # what Python and pydicom keep open from their first use on
