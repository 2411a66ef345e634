"""Type checkers find nothing wrong with what is right, and whatever is wrong.

``right`` has programs as users write them, in both styles; ``wrong`` has lines with ``# wrong`` at
their ends, of which a checker must complain, and of no others. The examples and the blocks of the
manual are right, too: a part of them in each run, all with ``PYNETDICOM_TYPING=all``.
"""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.typing import checkers
from tests.typing.checkers import Complaint


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """All that is checked."""
    checkers.write(tmp_path, everything=os.environ.get("PYNETDICOM_TYPING") == "all")
    return tmp_path


def compare(check: Callable[[Path], list[Complaint]], directory: Path) -> None:
    found = check(directory)
    due = checkers.marked(check.__name__)
    assert [str(one) for one in found if (one.module, one.line) not in due] == []
    assert due - {(one.module, one.line) for one in found} == set()


def test_there_are_enough() -> None:
    assert len(checkers.RIGHT) >= 15
    assert len(checkers.marked("mypy")) >= 100


def test_mypy(directory: Path) -> None:
    compare(checkers.mypy, directory)


def test_pyright(directory: Path) -> None:
    try:
        compare(checkers.pyright, directory)
    except OSError as error:  # it is a program for Node.js, which it brings along from the network
        pytest.xfail(str(error))
