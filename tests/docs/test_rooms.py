"""The map of the rooms is made from the imports: nothing is left out, and all of it goes down."""

from __future__ import annotations

import itertools
import re
import sys
import xml.etree.ElementTree as ET

import pytest

from tests.conftest import ROOT

pytest.importorskip("sphinx", reason="the documentation is built with the docs extra")
sys.path.insert(0, str(ROOT / "docs" / "_ext"))
import pynetdicom_rooms as rooms

PACKAGE = ROOT / "pynetdicom"
AT_THE_ROOT = {
    path.stem
    for path in PACKAGE.iterdir()
    if (path.suffix == ".py" or (path / "__init__.py").exists()) and path.stem != "__init__"
}


def drawn() -> ET.Element:
    return ET.fromstring(rooms.picture("what is said to who cannot see it"))


def ways() -> list[list[tuple[int, int]]]:
    found = []
    for line in drawn().iter("polyline"):
        corners = [corner.split(",") for corner in line.attrib["points"].split()]
        found.append([(int(x), int(y)) for x, y in corners])
    return found


def test_every_folder_and_module_has_a_room() -> None:
    members = [member for room in rooms.rooms() for member in room.members]
    assert sorted(members) == sorted(AT_THE_ROOT)
    files = {path for room in rooms.rooms() for path in room.modules.values()}
    assert files == {*PACKAGE.rglob("*.py")} - {PACKAGE / "__init__.py"}


def test_every_room_is_drawn_by_its_name() -> None:
    text = " ".join(element.text or "" for element in drawn().iter("text"))
    for room in rooms.rooms():
        assert room.name in text
    assert len(list(drawn().iter("rect"))) == len(rooms.rooms())


def test_no_arrow_goes_up() -> None:
    assert len(ways()) == len(rooms.arrows()) >= len(rooms.rooms()) - 1
    for corners in ways():
        heights = [y for _, y in corners]
        assert heights == sorted(heights)
        assert heights[0] < heights[-1]


def test_no_import_goes_up() -> None:
    places = rooms.boxes()
    for room, others in rooms.imports().items():
        for other in others:
            assert places[room].bottom < places[other].top, (room.name, other.name)


def test_what_is_not_drawn_follows_from_what_is() -> None:
    reached: dict[rooms.Room, set[rooms.Room]] = {}
    for room in reversed(rooms.rooms()):
        nexts = {target for origin, target in rooms.arrows() if origin == room}
        reached[room] = nexts.union(*(reached[one] for one in nexts))
    for room, others in rooms.imports().items():
        assert others <= reached[room]


def test_boxes_and_arrows_do_not_cross() -> None:
    boxes = list(rooms.boxes().values())
    for one, other in itertools.combinations(boxes, 2):
        apart = one.left + one.width <= other.left or other.left + other.width <= one.left
        assert apart or one.bottom <= other.top or other.bottom <= one.top
    for corners in ways():
        for (x1, y1), (x2, y2) in itertools.pairwise(corners):
            left, right = sorted((x1, x2))
            for box in boxes:
                beside = right <= box.left or left >= box.left + box.width
                assert beside or y2 <= box.top or y1 >= box.bottom


def test_the_boxes_hold_their_text() -> None:
    for box in rooms.boxes().values():
        assert rooms.LINE * len(box.lines) < box.height
        assert all(len(text) * 6 <= box.width for text, _ in box.lines)


def test_an_import_is_seen_wherever_it_stands() -> None:
    seen = {*rooms.imported(PACKAGE / "association" / "serving.py")}
    assert "dimse" in seen  # for type checking
    assert "association" in seen  # in a function
    assert {"_config", "services"} <= seen


def test_the_tables_have_every_room_and_module() -> None:
    table = object.__new__(rooms.RoomsTable).text()
    for room in rooms.rooms():
        assert f"* - ``{room.name}``" in table
        assert rooms.imports()[room] | {*rooms.unused(room)} == rooms.below(room)
    names = re.findall(r"\* - ``([\w/]+)``\n     - \S", object.__new__(rooms.RoomModules).text())
    assert len(names) == len({*PACKAGE.rglob("*.py")}) - 1
