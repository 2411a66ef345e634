"""What those who change the library are told is true of it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.conftest import ROOT

PAGE = (ROOT / "CONTRIBUTING.rst").read_text()
INSIDE = sorted((ROOT / "docs" / "inside").glob("*.rst"))
PACKAGE = ROOT / "pynetdicom"


def test_the_files_that_it_names_are_there() -> None:
    names = set(re.findall(r"``([\w./]+(?:\.\w+|/))``", PAGE)) - {"handlers.trigger"}
    assert len(names) >= 20
    for name in names:
        assert (ROOT / name).exists() or (PACKAGE / name).exists(), name


def test_the_names_that_it_names_are_there() -> None:
    source = "\n".join(path.read_text() for path in PACKAGE.rglob("*.py"))
    names = set(re.findall(r"``([A-Z]+(?:_[A-Z]+)*|[a-z]+(?:_[a-z]+)+)``", PAGE)) - {"SCU", "SCP"}
    assert {"ANSWERS", "CALLBACK_OF", "SINGLE", "make_parser", "sop_classes"} <= names
    for name in names:
        assert re.search(rf"\b{name}\b", source), name


@pytest.mark.parametrize("page", INSIDE, ids=lambda page: page.stem)
def test_the_modules_that_the_inside_names_are_there(page: Path) -> None:
    folders = "|".join(path.name for path in PACKAGE.iterdir() if path.is_dir())
    for name in re.findall(rf"``((?:{folders})[./]\w+)``", page.read_text()):
        path = PACKAGE / name.replace(".", "/")
        assert path.is_dir() or path.with_suffix(".py").exists(), name


def test_a_test_runs_as_often_as_asked() -> None:
    """By ``--rounds``."""
    this = "tests/docs/test_contributing.py::test_the_files_that_it_names_are_there"
    asked = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", "--collect-only"]
    ran = subprocess.run(
        [*asked, "--rounds=100", this],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ran.returncode == 0, ran.stdout + ran.stderr
    assert ran.stdout.count(f"{this}[") == 100
