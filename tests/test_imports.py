"""What importing the package costs: programs pay for it at each start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ALLOWED = 0.060
"""Seconds that `import pynetdicom` may take more than `import pydicom` alone."""
HEAVY = {"pydicom", "numpy", "ssl", "asyncio", "sqlalchemy", "rich", "fsspec", "multiprocessing"}


def run(code: str, env: dict[str, str]) -> list[str]:
    result = subprocess.run(
        [sys.executable, "-c", code], env=env, check=True, capture_output=True, text=True
    )
    found: list[str] = json.loads(result.stdout)
    return found


@pytest.mark.parametrize("statement", ["import pynetdicom", "from pynetdicom import AE, evt"])
def test_what_is_imported(statement: str, python_env: dict[str, str]) -> None:
    names = run(f"{statement}; import json, sys; print(json.dumps(list(sys.modules)))", python_env)
    assert HEAVY.isdisjoint(names)


@pytest.mark.parametrize("statement", ["import pynetdicom", "from pynetdicom import AE, evt"])
def test_how_long_it_takes(statement: str, python_env: dict[str, str]) -> None:
    """At its best, since others use the machine too."""
    code = f"""
import json, pydicom, time
begun = time.perf_counter()
{statement}
print(json.dumps([time.perf_counter() - begun]))
"""
    best = 1.0
    for _ in range(10):
        (seconds,) = run(code, python_env)
        best = min(best, float(seconds))
        if best < ALLOWED:
            break
    assert best < ALLOWED
