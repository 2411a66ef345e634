"""The manual's page on threads and locks names every one that the library has."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

from tests.conftest import ROOT

PAGE = (ROOT / "docs" / "inside" / "threads.rst").read_text()
PACKAGE = ROOT / "pynetdicom"
MODULES = [path for path in sorted(PACKAGE.rglob("*.py")) if "apps" not in path.parts]
KINDS = {
    "Barrier", "BoundedSemaphore", "Condition", "Event", "Hold", "Latch", "LifoQueue", "Lock",
    "PriorityQueue", "Queue", "RLock", "Semaphore", "SimpleQueue", "hold", "latch", "queue",
}  # fmt: skip


def name_of(call: ast.AST) -> str:
    """The last part of the name of what is called."""
    if not isinstance(call, ast.Call):
        return ""
    called = call.func.value if isinstance(call.func, ast.Subscript) else call.func
    return getattr(called, "attr", getattr(called, "id", ""))


def held(path: Path) -> Iterator[str]:
    """What the objects of a module have to exclude others by, or to wait for, and the module."""
    tree = ast.parse(path.read_text())
    owner = {
        node: one.name
        for one in tree.body
        if isinstance(one, ast.ClassDef)
        for node in ast.walk(one)
    }
    in_function = {
        node for one in ast.walk(tree) if isinstance(one, ast.FunctionDef) for node in ast.walk(one)
    }
    for node in ast.walk(tree):
        if not isinstance(node, (ast.Assign, ast.AnnAssign)) or node.value is None:
            continue
        if not any(name_of(part) in KINDS for part in ast.walk(node.value)):
            continue
        for target in node.targets if isinstance(node, ast.Assign) else [node.target]:
            if isinstance(target, ast.Attribute) and isinstance(target.value, ast.Name):
                whose = target.value.id
                yield f"{owner[node] if whose == 'self' else whose.capitalize()}.{target.attr}"
            elif isinstance(target, ast.Name) and node not in in_function:
                yield f"{owner.get(node, path.stem)}.{target.id}"


def test_all_locks_latches_and_queues_are_named_and_no_other() -> None:
    # What is in `latch` is what the others are made of.
    found = {name for path in MODULES if path.stem != "latch" for name in held(path)}
    assert found == set(re.findall(r"^   \* - ``(\w+\.\w+)``$", PAGE, re.MULTILINE))


def test_all_threads_are_named() -> None:
    names = {
        argument.value
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if name_of(node) == "start" and isinstance(node, ast.Call)
        for argument in node.args[:1]
        if isinstance(argument, ast.Constant)
    }
    assert len(names) >= 5
    for name in {*names, "pynetdicom-requestor", "pynetdicom-acceptor"}:
        assert f"``{name}``" in PAGE


def is_thread(node: ast.AST) -> bool:
    """Whether it is a class that is a thread."""
    bases = node.bases if isinstance(node, ast.ClassDef) else []
    return any(getattr(base, "attr", "") == "Thread" for base in bases)


def test_threads_are_started_where_the_page_knows_of_it() -> None:
    made = {
        path.relative_to(PACKAGE).as_posix()
        for path in MODULES
        for node in ast.walk(ast.parse(path.read_text()))
        if name_of(node) in ("Thread", "Timer", "ThreadPoolExecutor") or is_thread(node)
    }
    assert made == {"association/__init__.py", "network/threads.py"}
