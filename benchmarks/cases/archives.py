"""C-FIND, C-GET and C-MOVE: matches, and 400 slices, from an archive to who asks it."""

from __future__ import annotations

import sys
import tempfile
from functools import partial
from pathlib import Path

from benchmarks.archives import DCMTKArchive, Objects, OurArchive
from benchmarks.data import SLICE, SMALL, Shape
from benchmarks.method import Bench, Contender, verify
from benchmarks.parties import ROOT
from benchmarks.processes import BenchmarkError
from benchmarks.report import Item, Result, judge, timing

Party = DCMTKArchive | OurArchive
REFERENCE = "DCMTK → DCMTK"


def find(bench: Bench) -> Result:
    result = _measure(bench, "find", SMALL, bench.scale.matches, 1 / 1.5)
    result.notes.append("Our archive's handler yields data sets that it has at hand.")
    return result


def get(bench: Bench) -> Result:
    return _measure(bench, "get", SLICE, bench.scale.slices, 1.0)


def move(bench: Bench) -> Result:
    return _measure(bench, "move", SLICE, bench.scale.slices, 1.0)


def _measure(bench: Bench, operation: str, shape: Shape, count: int, target: float) -> Result:
    objects = _objects(bench.files(shape, count))
    theirs = DCMTKArchive("DCMTK", bench.tools)
    pairs: list[tuple[Party, Party]] = [(theirs, theirs)]
    if bench.ours:
        ours = OurArchive("ours", sys.executable, "4.", ROOT)
        pairs += [(ours, ours), (theirs, ours)]
        if operation != "find":  # whose DCMTK index has what our SCU would ask for
            pairs.append((ours, theirs))
    contenders = [
        Contender(f"{scu.label} → {scp.label}", partial(_one, bench, operation, scu, scp, objects))
        for scu, scp in pairs
    ]
    found = bench.alternate(contenders)
    what = f"{count:,} matches" if operation == "find" else f"{count} objects of {shape.name}"
    size = 0 if operation == "find" else objects.files[0].stat().st_size
    item = Item("µs", 1e6, size) if operation == "find" else Item(size=size)
    result = timing(f"C-{operation.upper()}, {what}", found, [REFERENCE], item, ["Time of one."])
    judge(result, f"C-{operation.upper()}", found, "ours → ours", REFERENCE, target)
    return result


def _objects(files: list[Path]) -> Objects:
    import pydicom

    first = pydicom.dcmread(files[0], stop_before_pixels=True)
    return Objects(files, str(first.StudyInstanceUID), str(first.SOPInstanceUID))


def _one(bench: Bench, operation: str, scu: Party, scp: Party, objects: Objects) -> float:
    with (
        tempfile.TemporaryDirectory(dir=bench.work) as work,
        bench.output() as out,
        scp.archive(objects, Path(work), bench.log()) as running,
    ):
        bench.settle()
        seconds = scu.ask(operation, running, objects, out)
        if operation != "find":
            verify(running.peer, out, objects.files)
    if seconds <= 0:
        raise BenchmarkError("the difference of the two runs is not positive")
    return seconds / len(objects.files)
