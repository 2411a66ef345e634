"""What importing the package costs: programs pay for it at each start."""

from __future__ import annotations

import json
import subprocess
import sys

import pytest

ALLOWED = 30
"""Modules, of the package and others, that are loaded in front of what is used only later."""
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
def test_how_many_modules_are_imported(statement: str, python_env: dict[str, str]) -> None:
    """More than `import pydicom` alone."""
    code = f"""
import json, sys, pydicom
before = set(sys.modules)
{statement}
print(json.dumps(sorted(set(sys.modules) - before)))
"""
    names = run(code, python_env)
    assert len(names) <= ALLOWED, names
