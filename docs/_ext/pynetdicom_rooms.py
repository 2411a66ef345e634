"""Directives that draw and list the rooms of the package, from what its modules import."""

from __future__ import annotations

import ast
import re
import tomllib
from collections.abc import Iterable, Iterator
from functools import cache
from html import escape
from itertools import chain, count
from pathlib import Path
from textwrap import wrap
from typing import Any, NamedTuple

from docutils import nodes
from docutils.parsers.rst import directives
from pynetdicom_tables import FILLED, Table, list_table
from sphinx.application import Sphinx
from sphinx.util.docutils import SphinxDirective

ROOT = Path(__file__).resolve().parents[2]
PACKAGE = ROOT / "pynetdicom"


class Room(NamedTuple):
    """A folder of the package, or modules at its root that stand side by side."""

    members: tuple[str, ...]

    @property
    def name(self) -> str:
        """What it is called: a folder's name ends with a slash."""
        return ", ".join(f"{one}/" if (PACKAGE / one).is_dir() else one for one in self.members)

    @property
    def job(self) -> str:
        """What it is for; of several modules each says it for itself."""
        return first_sentence(module_file(self.members[0])) if len(self.members) == 1 else ""

    @property
    def modules(self) -> dict[str, Path]:
        """Its modules by their names within the package."""
        found = {}
        for one in self.members:
            folder = PACKAGE / one
            paths = sorted(folder.rglob("*.py")) if folder.is_dir() else [PACKAGE / f"{one}.py"]
            for path in paths:
                name = path.relative_to(PACKAGE).with_suffix("").as_posix()
                found[name.removesuffix("/__init__")] = path
        return found


def module_file(name: str) -> Path:
    """The file of a module, or of a folder."""
    folder = PACKAGE / name
    return folder / "__init__.py" if folder.is_dir() else PACKAGE / f"{name}.py"


@cache
def first_sentence(path: Path) -> str:
    """The first sentence of a module's docstring."""
    text = ast.get_docstring(ast.parse(path.read_text())) or ""
    return " ".join(re.split(r"\n\n|(?<=\.)\s", text, maxsplit=1)[0].split())


@cache
def rooms() -> tuple[Room, ...]:
    """The rooms that the contract in ``pyproject.toml`` names, from the top down."""
    settings = tomllib.loads((ROOT / "pyproject.toml").read_text())
    [contract] = [
        one for one in settings["tool"]["importlinter"]["contracts"] if one["type"] == "layers"
    ]
    found = []
    for layer in contract["layers"]:
        members = [one for one in re.findall(r"\w+", layer) if module_file(one).exists()]
        folders = [one for one in members if (PACKAGE / one).is_dir()]
        found += [Room((one,)) for one in folders]
        if modules := tuple(one for one in members if one not in folders):
            found.append(Room(modules))
    return tuple(found)


def imported(path: Path) -> Iterator[str]:
    """The modules and folders at the package's root that a file imports, wherever in it."""
    for node in ast.walk(ast.parse(path.read_text())):
        names: Iterable[str] = ()
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            names = [f"{node.module}.{alias.name}" for alias in node.names]
        for name in names:
            parts = name.split(".")
            if parts[0] == "pynetdicom" and len(parts) > 1 and module_file(parts[1]).exists():
                yield parts[1]


@cache
def imports() -> dict[Room, frozenset[Room]]:
    """Which other rooms the modules of each import from."""
    room_of = {member: room for room in rooms() for member in room.members}
    return {
        room: frozenset(
            room_of[name] for path in room.modules.values() for name in imported(path)
        ).difference((room,))
        for room in rooms()
    }


def below(room: Room, without: Room | None = None) -> set[Room]:
    """All that a room stands on, but for what it has by its own import of `without` alone."""
    found: set[Room] = set()
    left = [one for one in imports()[room] if one != without]
    while left:
        one = left.pop()
        if one not in found:
            found.add(one)
            left += imports()[one]
    return found


@cache
def arrows() -> tuple[tuple[Room, Room], ...]:
    """The imports that do not follow from others."""
    return tuple(
        (room, other)
        for room in rooms()
        for other in rooms()
        if other in imports()[room] and other not in below(room, other)
    )


# The picture

MAIN, SIDE, SPACE, GAP, LINE = 430, 180, 24, 34, 14
MIDDLE = SIDE + SPACE + MAIN // 2


class Box(NamedTuple):
    """Where a room is drawn, with which lines of text."""

    left: int
    top: int
    width: int
    height: int
    lines: tuple[tuple[str, str], ...]

    @property
    def middle(self) -> int:
        """Half of its width from the left."""
        return self.left + self.width // 2

    @property
    def bottom(self) -> int:
        return self.top + self.height


@cache
def level(room: Room) -> int:
    """How high above the ground it stands; what nobody imports stands at the top."""
    if not any(room in others for others in imports().values()):
        return len(rooms())
    return 1 + max((level(other) for other in imports()[room]), default=-1)


def columns() -> dict[Room, int]:
    """In which column a room is: the longest way down is in column 1, others are beside it."""
    # Of those at the top the one that stands on most.
    tops = [room for room in rooms() if level(room) == len(rooms())]
    room = max(tops, key=lambda top: len(below(top)))
    found = {room: 1}
    while imports()[room]:
        room = max(imports()[room], key=level)
        found[room] = 1
    spans = {
        room: range(
            min(level(target) for origin, target in arrows() if room in (origin, target)),
            1 + max(level(origin) for origin, target in arrows() if room in (origin, target)),
        )
        for room in rooms()
        if room not in found
    }
    # The longest first; its arrows have the column to themselves.
    for room in sorted(spans, key=lambda room: len(spans[room]), reverse=True):
        taken = {found[other] for other in spans if other in found and _meet(spans, room, other)}
        found[room] = next(column for column in chain((2, 0), count(3)) if column not in taken)
    return found


def _meet(spans: dict[Room, range], room: Room, other: Room) -> bool:
    return bool(set(spans[room]) & set(spans[other]))


def left_of(column: int) -> int:
    """Where a column begins."""
    return column * (SIDE + SPACE) + (MAIN - SIDE if column > 1 else 0)


def width_of(column: int) -> int:
    """How wide its boxes are."""
    return MAIN if column == 1 else SIDE


def lines_of(room: Room, width: int) -> tuple[tuple[str, str], ...]:
    """What is written in its box, as text and class."""
    size = width // 6
    number = len(room.modules)
    texts = [(text, "state") for text in wrap(room.name, width // 8)]
    texts += [(text, "") for text in wrap(room.job.replace("`", ""), size)]
    if number > len(room.members):
        texts.append((f"{number} modules", "count"))
    return tuple(texts)


@cache
def boxes() -> dict[Room, Box]:
    """Where each room is drawn."""
    found, top = {}, 0
    where = columns()
    for height in sorted({level(room) for room in rooms()}, reverse=True):
        row = [room for room in rooms() if level(room) == height]
        texts = {room: lines_of(room, width_of(where[room])) for room in row}
        tallest = max(LINE * len(lines) for lines in texts.values()) + LINE
        for room, lines in texts.items():
            column = where[room]
            found[room] = Box(left_of(column), top, width_of(column), tallest, lines)
        top += tallest + GAP
    return found


def way(origin: Box, target: Box) -> list[tuple[int, int]]:
    """The corners of an arrow. Where it passes other boxes it does so in the column at the side."""
    if origin.middle == target.middle:
        return [(origin.middle, origin.bottom), (target.middle, target.top)]
    leaves = target.middle == MIDDLE  # the box at the side: first down, then to the middle
    shift = MAIN // 3 if origin.middle + target.middle > 2 * MIDDLE else -MAIN // 3
    start = origin.middle if leaves else origin.middle + shift
    end = target.middle + shift if leaves else target.middle
    y = target.top - GAP // 2 if leaves else origin.bottom + GAP // 2
    return [(start, origin.bottom), (start, y), (end, y), (end, target.top)]


def picture(alt: str) -> str:
    """The picture as SVG."""
    places = boxes()
    drawn = []
    for origin, target in arrows():
        points = " ".join(f"{x},{y}" for x, y in way(places[origin], places[target]))
        drawn.append(f'<polyline points="{points}" marker-end="url(#down)"/>')
    for box in places.values():
        drawn.append(
            f'<rect x="{box.left}" y="{box.top}" width="{box.width}" height="{box.height}" rx="6"/>'
        )
        for number, (text, css) in enumerate(box.lines, 1):
            y = box.top + LINE * number + 3
            drawn.append(f'<text x="{box.left + 8}" y="{y}" class="{css}">{escape(text)}</text>')
    width = max(box.left + box.width for box in places.values())
    height = max(box.bottom for box in places.values())
    head = (
        '<marker id="down" markerWidth="9" markerHeight="7" refX="9" refY="3.5" orient="auto">'
        '<polygon points="0 0, 9 3.5, 0 7" fill="currentColor"/></marker>'
    )
    return (
        f'<svg class="fsm" role="img" aria-label="{escape(alt)}"'
        f' viewBox="-1 -1 {width + 2} {height + 2}"><defs>{head}</defs>{"".join(drawn)}</svg>'
    )


class RoomsPicture(SphinxDirective):
    """``.. rooms-picture::``: the rooms from the top down to the ground, and what imports what."""

    option_spec = {"alt": directives.unchanged_required}  # noqa: RUF012

    def run(self) -> list[nodes.Node]:
        return [nodes.raw("", picture(self.options.get("alt", "")), format="html")]


class RoomsTable(Table):
    """``.. rooms-table::``: what each room imports from: the picture in words."""

    def text(self) -> str:
        rows = (
            (
                f"``{room.name}``",
                "; ".join(_short(other) for origin, other in arrows() if origin == room)
                or "nothing",
                "; ".join(_short(other) for other in unused(room)) or FILLED,
            )
            for room in rooms()
        )
        head = ("Room, from the top down", "Stands on", "Of what is below, imports nothing from")
        return list_table(head, rows)


def unused(room: Room) -> list[Room]:
    """The rooms that a room stands on, by others, and imports nothing from."""
    return [other for other in rooms() if other in below(room) - imports()[room]]


def _short(room: Room) -> str:
    """What a room is called where it is one among others."""
    if len(room.members) == 1:
        return f"``{room.name}``"
    return f"``{room.members[0]}`` and those beside it"


class RoomModules(Table):
    """``.. room-modules::``: every module, by rooms from the ground up, and what it is."""

    def text(self) -> str:
        parts = []
        for room in reversed(rooms()):
            if len(room.modules) > len(room.members):
                parts.append(f".. rubric:: {room.name}")
            else:
                parts.append(".. rubric:: At the root")
            rows = ((f"``{name}``", first_sentence(path)) for name, path in room.modules.items())
            parts.append(list_table(("Module", "What it is"), rows))
        return "\n\n".join(parts)


def setup(app: Sphinx) -> dict[str, Any]:
    """Register the directives."""
    app.add_directive("rooms-picture", RoomsPicture)
    app.add_directive("rooms-table", RoomsTable)
    app.add_directive("room-modules", RoomModules)
    return {"version": "1", "parallel_read_safe": True, "parallel_write_safe": True}
