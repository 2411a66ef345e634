"""A server that many peers come to, abort and vanish from, ends with what it began with.

A short soak; ``make soak`` is one of 30 minutes. ``PYNETDICOM_SOAK`` in the environment has the
seconds.
"""

from __future__ import annotations

import json
import os
import random
import subprocess
import sys

import pytest

from tests.conftest import ROOT
from tests.soak import PEERS, Peers

SECONDS = float(os.environ.get("PYNETDICOM_SOAK", "15"))

MEMORY = 16 << 20
"""Bytes: of the pages that are in use in part."""
OBJECTS = 100
"""Of Python; each association that left one behind would be more, and each has hundreds."""
DESCRIPTORS = 2
"""What Python keeps open from its first use on."""


@pytest.mark.slow
@pytest.mark.timeout(600 + 2 * SECONDS)
@pytest.mark.skipif(sys.platform != "linux", reason="memory and descriptors are counted in /proc")
def test_memory_threads_and_descriptors_are_flat(python_env: dict[str, str]) -> None:
    """Of the server, and of its peers: they are counted when all are gone."""
    command = [sys.executable, "-m", "tests.soak", str(SECONDS), str(random.randrange(1 << 30))]
    # With an arena for each of many threads, what is in use in part is most of the memory.
    env = {**python_env, "PYTHONPATH": str(ROOT), "MALLOC_ARENA_MAX": "2"}
    ran = subprocess.run(command, env=env, cwd=ROOT, capture_output=True, text=True, check=False)
    assert ran.returncode == 0, (command, ran.stderr)
    found = json.loads(ran.stdout)
    print(found)
    for side in ("server", "peers"):
        before, after = found["before"][side], found["after"][side]
        assert after["threads"] == before["threads"], (side, found)
        assert after["descriptors"] <= before["descriptors"] + DESCRIPTORS, (side, found)
        assert after["objects"] <= before["objects"] + OBJECTS, (side, found)
        assert after["memory"] <= before["memory"] + MEMORY, (side, found)
    done = found["done"]
    assert {service.__name__ for service in Peers.SERVICES} | {"release", "abort", "vanish"} == {
        *done
    }
    assert done["release"] + done["abort"] >= PEERS
