"""What is measured, by name, in the order in which it is measured."""

from __future__ import annotations

from collections.abc import Callable

from benchmarks.cases import (
    application,
    archives,
    echo,
    faces,
    idle,
    imports,
    memory,
    opening,
    promises,
    senders,
    several,
    starting,
    store,
    workflows,
)
from benchmarks.method import Bench
from benchmarks.report import Result

CASES: dict[str, Callable[[Bench], Result]] = {
    "import": imports.measure,
    "echo": echo.measure,
    "whole": opening.whole,
    "crowd": opening.crowd,
    "idle": idle.measure,
    "promises": promises.measure,
    "slices": store.slices,
    "small": store.small,
    "stock": store.stock,
    "application": application.measure,
    "starting": starting.measure,
    "senders": senders.measure,
    "far": several.far,
    "near": several.near,
    "big": store.big,
    "find": archives.find,
    "get": archives.get,
    "move": archives.move,
    "memory": memory.measure,
    "creations": workflows.creations,
    "commitment": workflows.committed,
    "claims": workflows.claims,
    "watchers": workflows.watchers,
    "faces": faces.measure,
}
