"""How a figure comes about: files, outputs put away, memory warmed, alternating rounds."""

from __future__ import annotations

import itertools
import os
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from benchmarks.data import SLICE, Shape, endings, write_files
from benchmarks.parties import DCMTK, Applications, Pynetdicom
from benchmarks.processes import BenchmarkError, Peer, run

PUT_AWAY_BELOW = 16 << 20
"""Stored files of at least this size are deleted after their run, smaller ones at the end."""

_TOUCH = (
    "import mmap, sys; mmap.mmap(-1, int(sys.argv[1]) << 20,"
    " flags=mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS | getattr(mmap, 'MAP_POPULATE', 0x8000))"
)


@dataclass(frozen=True)
class Scale:
    """How much of everything is measured."""

    rounds: int = 5
    warm: int = 1400
    """MiB of memory that are touched before each run."""
    echoes: int = 3000
    opened: int = 300
    """Associations, one after another."""
    slices: int = 400
    small: int = 1000
    big: int = 6
    matches: int = 5000
    stock: int = 200
    """Small objects of a peer that has Nagle's algorithm on."""
    old: int = 40
    """Slices, small objects and N-CREATEs of 3.0.4; the former of DCMTK as installed, too."""
    idle: float = 10.0
    """Seconds for which idle associations are watched."""
    creations: int = 3000
    """Of performed procedure steps, and other N-CREATEs."""
    committed: int = 100_000
    """Instances of one request for storage commitment."""
    held: int = 10_000
    """Unified procedure steps that are there already."""
    claims: int = 500
    told: int = 100
    """Unified procedure steps that each watcher is told of."""
    watchers: int = 100
    quick: bool = False

    @property
    def room(self) -> int:
        """Bytes of disk for sources and for all that is put away until the end."""
        runs_of_slices = 10 * self.rounds
        return runs_of_slices * self.slices * SLICE.pixel_bytes + (1 << 32)


QUICK = Scale(
    *(1, 200, 2000, 30, 60, 150, 2, 300, 40, 10, 2.0),
    *(300, 10_000, 1000, 100, 20, 20),
    quick=True,
)


@dataclass
class Contender:
    """Something to be measured in alternation with others."""

    label: str
    measure: Callable[[], float]
    rounds: int | None = None
    """At most so many rounds."""


@dataclass
class Samples:
    """What came of a contender: one figure a round, or why there is none."""

    label: str
    values: list[float] = field(default_factory=list)
    problem: str = ""


class Bench:
    """The parties, the scale, and a directory to work in."""

    def __init__(
        self,
        work: Path,
        scale: Scale,
        tools: dict[str, str],
        ours: tuple[Pynetdicom, Applications] | None,
        old: Pynetdicom | None,
        pydcm: Pynetdicom | None = None,
    ) -> None:
        self.scale = scale
        self.tools = tools
        self.work = work
        self.ours = ours[0] if ours else None
        self.applications = ours[1] if ours else None
        self.old = old
        self.pydcm = pydcm
        self.dcmtk = DCMTK("DCMTK", tools)
        self.tuned = DCMTK("DCMTK tuned", tools, tuned=True)
        self.stock = DCMTK("DCMTK as installed", tools, no_delay=False)
        self._work = work
        self._numbers = itertools.count()
        self._files: dict[str, list[Path]] = {}
        self._retired = work / "retired"
        self._retired.mkdir()

    def files(self, shape: Shape, count: int) -> list[Path]:
        """Give `count` files of a shape; they are in the page cache."""
        have = self._files.get(shape.name, [])
        if len(have) < count:
            directory = self._work / f"in{next(self._numbers)}"
            have = self._files[shape.name] = write_files(directory, shape, count)
        for path in have[:count]:
            with path.open("rb", buffering=0) as file:
                while file.read(1 << 20):
                    pass
        return have[:count]

    def log(self) -> Path:
        """Give a new file for what a process says."""
        return self._work / f"log{next(self._numbers)}"

    @contextmanager
    def output(self) -> Iterator[Path]:
        """Give a directory to store into; its contents are put away afterwards."""
        out = self._work / f"out{next(self._numbers)}"
        out.mkdir()
        try:
            yield out
        finally:
            largest = max((path.stat().st_size for path in out.iterdir()), default=0)
            if largest >= PUT_AWAY_BELOW:
                shutil.rmtree(out)
            else:
                out.rename(self._retired / out.name)

    def settle(self) -> None:
        """Flush what earlier runs have written, and have memory at hand."""
        os.sync()
        run([sys.executable, "-c", _TOUCH, str(self.scale.warm)])

    def alternate(self, contenders: Sequence[Contender]) -> list[Samples]:
        """Measure all contenders in turn, round after round; who fails is left out of the next."""
        found = [Samples(contender.label) for contender in contenders]
        for number in range(self.scale.rounds):
            # Nobody always comes after the same one.
            order = [(number + i) % len(contenders) for i in range(len(contenders))]
            for index in order:
                contender, samples = contenders[index], found[index]
                limit = contender.rounds
                if samples.problem or (limit is not None and number >= limit):
                    continue
                say(f"  round {number + 1}: {contender.label}")
                try:
                    samples.values.append(contender.measure())
                except BenchmarkError as error:
                    samples.problem = str(error)
                    say(f"  {error}")
        return found


def verify(running: Peer, out: Path, sent: Sequence[Path]) -> None:
    """Raise `BenchmarkError` unless what was sent, and nothing else, has been stored."""
    running.alive()
    stored = [path for path in out.iterdir() if path.is_file()]
    if len(stored) != len(sent):
        raise BenchmarkError(f"{len(sent)} objects were sent and {len(stored)} stored")
    if endings(stored) != endings(list(sent)):
        raise BenchmarkError("what was stored is not what was sent")


def say(text: str) -> None:
    """Tell on standard error what is going on."""
    print(text, file=sys.stderr, flush=True)
