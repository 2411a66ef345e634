"""No test compares a time with a limit: a busy machine would fail it.

What a test is about is counted: calls, bytes, wake-ups, the time-out that a wait was given. How
fast something is belongs to the benchmarks. The syntax trees of all tests are looked through for
comparisons in which a stretch of time takes part, which is a difference of readings of a clock,
whatever name it was kept under. A reading that is compared with a deadline is fine where that only
ends what hangs.
"""

from __future__ import annotations

import ast
import re
import textwrap
from collections.abc import Iterable
from pathlib import Path

import pytest
from hypothesis import settings

HERE = Path(__file__).parent
PATIENT = 300
"""Seconds that a test has at least before pytest ends it."""
CLOCKS = {
    f"{module}.{name}{suffix}"
    for module, names in {
        "time": ("monotonic", "perf_counter", "process_time", "thread_time", "time"),
        "": ("monotonic", "perf_counter", "process_time", "thread_time"),
    }.items()
    for name in names
    for suffix in ("", "_ns")
} | {"time.clock_gettime", "timeit.timeit", "timeit.default_timer", "os.times"}
CLOCKS |= {name.lstrip(".") for name in CLOCKS}
USED = {".ru_utime", ".ru_stime"}
MENTIONED = re.compile(
    r"monotonic|perf_counter|process_time|thread_time|time\.time|clock_gettime|timeit|os\.times|getrusage"
    r"|mark\.timeout"
)
ORDERS = (ast.Lt, ast.LtE, ast.Gt, ast.GtE)
KEEPERS = {"append", "appendleft", "add", "put", "insert", "extend"}


def name_of(node: ast.AST) -> str:
    """What a value is kept under: ``begun`` is of its function, ``.begun`` of some object,
    ``begun()`` comes from a function."""
    match node:
        case ast.Name(id=name):
            return name
        case ast.Attribute(attr=name):
            return f".{name}"
        case ast.Call(func=func):
            return f"{name_of(func)}()"
        case ast.Subscript(value=value) | ast.Starred(value=value):
            return name_of(value)
    return ""


def kept(tree: ast.AST) -> Iterable[tuple[str, ast.expr]]:
    """What values are kept under, and the values."""
    for node in ast.walk(tree):
        match node:
            case ast.Assign(targets=targets, value=value):
                pass
            case (
                ast.AnnAssign(target=target, value=ast.expr() as value)
                | ast.NamedExpr(target=target, value=value)
                | ast.AugAssign(target=target, value=value)
                | ast.For(target=target, iter=value)
                | ast.comprehension(target=target, iter=value)
            ):
                targets = [target]
            case ast.FunctionDef(name=name):
                for part in ast.walk(node):
                    if isinstance(part, ast.Return) and part.value is not None:
                        yield f"{name}()", part.value
                continue
            case ast.Call(func=ast.Attribute(value=keeper, attr=attr), args=args):
                if attr in KEEPERS:
                    yield from ((name_of(keeper), value) for value in args)
                continue
            case _:
                continue
        for target in targets:
            # `a, b = c, d` is two; `a, b = c` may be a stretch of time in both.
            several = isinstance(target, ast.Tuple) and isinstance(value, ast.Tuple)
            pairs = zip(target.elts, value.elts, strict=False) if several else [(target, value)]  # type: ignore[attr-defined]
            for one, its in pairs:
                ones = one.elts if isinstance(one, ast.Tuple | ast.List) else [one]
                yield from ((name_of(part), its) for part in ones)


class Readings:
    """Which names hold readings of a clock, and which stretches of time.

    Parameters
    ----------
    tree : ast.AST
        A scope of names: a function, with those in it, or a class.
    module : Readings, optional
        What is known of the objects and functions of its module.
    """

    def __init__(self, tree: ast.AST, module: Readings | None = None) -> None:
        self.readings = {name for name in module.readings if shared(name)} if module else set(USED)
        self.stretches = {name for name in module.stretches if shared(name)} if module else set()
        values = list(kept(tree))
        known = -1
        while known != (known := len(self.readings) + len(self.stretches)):
            for name, value in values:
                # A truth is no time.
                if name and not isinstance(value, ast.Compare | ast.BoolOp | ast.Lambda):
                    if self.is_stretch(value):
                        self.stretches.add(name)
                    elif self.is_reading(value):
                        self.readings.add(name)

    def is_reading(self, node: ast.AST) -> bool:
        """Whether a clock is read in it, or a name in it holds a reading."""
        return any(
            name_of(part) in self.readings
            or (isinstance(part, ast.Call) and ast.unparse(part.func) in CLOCKS)
            for part in ast.walk(node)
        )

    def is_stretch(self, node: ast.AST) -> bool:
        """Whether there is a difference of readings in it, or a name that holds one."""
        return any(
            name_of(part) in self.stretches
            or (
                isinstance(part, ast.BinOp)
                and isinstance(part.op, ast.Sub)
                and (self.is_reading(part.left) or self.is_reading(part.right))
            )
            for part in ast.walk(node)
        )


def shared(name: str) -> bool:
    """Whether a name means the same in all of a module."""
    return name.startswith(".") or name.endswith("()")


def timed(source: str) -> list[int]:
    """The lines of a module on which a stretch of time is compared, or on which a test gets little
    time."""
    tree = ast.parse(source)
    module = Readings(tree)
    found = set()
    for scope in tree.body:
        readings = Readings(scope, module)
        for node in ast.walk(scope):
            match node:
                case ast.Compare(left=left, ops=ops, comparators=comparators):
                    ordered = any(isinstance(op, ORDERS) for op in ops)
                    if ordered and any(map(readings.is_stretch, (left, *comparators))):
                        found.add(node.lineno)
                case ast.Call(args=[ast.Constant(value=int(seconds) | float(seconds))]):
                    if ast.unparse(node.func) == "pytest.mark.timeout" and seconds < PATIENT:
                        found.add(node.lineno)
    return sorted(found)


def test_no_test_compares_a_time_with_a_limit() -> None:
    found = [
        f"{path.relative_to(HERE.parent)}:{line}"
        for path in sorted(HERE.rglob("*.py"))
        if MENTIONED.search(source := path.read_text("utf-8"))
        for line in timed(source)
    ]
    assert not found, "\n".join(["a time is compared with a limit here:", *found])


def test_hypothesis_measures_nothing_either() -> None:
    assert settings.default is not None
    assert settings.default.deadline is None


@pytest.mark.parametrize(
    "body",
    [
        "begun = time.monotonic()\nassert time.monotonic() - begun < 2",
        "begun = time.monotonic()\nassert 0.1 <= time.monotonic() - begun",
        "begun = perf_counter()\ntook = perf_counter() - begun\nif took > 1: raise ValueError",
        "all = []\nfor _ in x: all.append(time.process_time() - one)\nassert min(all) < 0.05",
        "first, second = time.time(), 1\nassert second > time.time() - first",
        "def call():\n  return time.monotonic() - 5\nassert call() < 5",
        "def call():\n  begun.append(time.monotonic())\nassert begun[1] - begun[0] > 0.4",
        "at = time.perf_counter_ns()\nassert (end := time.perf_counter_ns() - at) < 5 or end",
        "x.begun = time.monotonic()\nassert x.ended - x.begun < 1",
        "assert not timeit.timeit(f) - 1 > 3",
        "before = getrusage(0)\nassert getrusage(0).ru_utime - before.ru_utime < 1",
        "while time.monotonic() - begun < 2: pass",
    ],
)
def test_what_is_found(body: str) -> None:
    assert timed("def test():\n" + textwrap.indent(body, "    "))


def test_what_objects_and_functions_hold_is_found_elsewhere_in_their_module() -> None:
    source = """
    class Thread:
        def run(self):
            self.returned = time.monotonic()

    def took():
        begun = time.monotonic()
        return time.monotonic() - begun

    def test_one():
        assert thread.returned - begun < 0.05

    def test_other():
        seconds = took()
        assert seconds < 1
    """
    assert timed(textwrap.dedent(source)) == [11, 15]


def test_little_time_for_a_test_is_found() -> None:
    assert timed("@pytest.mark.timeout(20)\ndef test(): pass") == [1]
    assert timed("@pytest.mark.timeout(900)\ndef test(): pass") == []


@pytest.mark.parametrize(
    "body",
    [
        "deadline = time.monotonic() + 60\nwhile not done(): assert time.monotonic() < deadline",
        "thread.join(max(0.0, deadline - time.monotonic()))\nassert not thread.is_alive()",
        "begun = time.monotonic()\nprint(time.monotonic() - begun)\nassert count < 5",
        "before = count()\nassert count() - before == 3",
    ],
)
def test_what_is_not(body: str) -> None:
    assert not timed("def test():\n" + textwrap.indent(body, "    "))
