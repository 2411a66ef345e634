"""What is promised, faults of peers and of the machine first: `data/promises.tsv`.

Each row names the tests that would fail if its promise were broken, beside others that may.

Whoever renames or takes away one of them has to say here what shows the promise from now on.
"""

from __future__ import annotations

import ast
import csv
from functools import cache
from pathlib import Path

import pytest

TESTS = Path(__file__).parent

with (TESTS / "data" / "promises.tsv").open() as file:
    ROWS = list(csv.DictReader(file, delimiter="\t"))


@cache
def functions_of(path: Path) -> frozenset[str]:
    """The names of the test functions of a module, those in classes too."""
    return frozenset(
        node.name
        for node in ast.walk(ast.parse(path.read_text()))
        if isinstance(node, ast.FunctionDef) and node.name.startswith("test_")
    )


@pytest.mark.parametrize("row", ROWS, ids=[row["matter"] for row in ROWS])
def test_a_promise_has_its_tests(row: dict[str, str]) -> None:
    assert row["promise"]
    named = [test.split("::") for test in row["tests"].split(" ")]
    assert named
    missing = [test for test in named if test[1] not in functions_of(TESTS / test[0])]
    assert missing == []


def test_no_row_is_there_twice() -> None:
    assert len({(row["section"], row["matter"]) for row in ROWS}) == len(ROWS)
