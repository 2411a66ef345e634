"""Room for objects: what is refused before a disk is full, and what the log says of it."""

from __future__ import annotations

import shutil
import signal
from collections import namedtuple
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom.apps.archive import room as module
from pynetdicom.apps.archive.cloud import open_store
from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.apps.archive.room import Room
from tests.apps.archive.conftest import MakeEvent, Start, make
from tests.apps.archive.test_full import associate, found, small  # noqa: F401  # a fixture

Usage = namedtuple("Usage", "total used free")
TOTAL = 1_000_000
NO_ROOM = 0xA700


class Disk:
    """A disk that is as full as it is told to be.

    Attributes
    ----------
    looks : int
        How often it was looked at.
    """

    def __init__(self) -> None:
        self.free = TOTAL
        self.looks = 0

    def usage(self, path: object) -> Usage:
        self.looks += 1
        return Usage(TOTAL, TOTAL - self.free, self.free)


@pytest.fixture
def disk(monkeypatch: pytest.MonkeyPatch) -> Disk:
    faked = Disk()
    monkeypatch.setattr(shutil, "disk_usage", faked.usage)
    return faked


Make = Callable[..., Room]


@pytest.fixture
def make_room(tmp_path: Path) -> Iterator[Make]:
    opened: list[Database] = []

    def make_one(location: str | None = None, **settings: Any) -> Room:
        opened.append(Database(str(tmp_path / "index.sqlite")))
        store = open_store(location or str(tmp_path / "objects"))
        return Room(Config(**settings), opened[-1], store)

    yield make_one
    for database in opened:
        database.close()


def lines(caplog: pytest.LogCaptureFixture) -> list[str]:
    said = [one.getMessage() for one in caplog.records]
    caplog.clear()
    return said


def test_each_level_is_told_once(
    disk: Disk, make_room: Make, caplog: pytest.LogCaptureFixture
) -> None:
    room = make_room(reserve=1000)
    told = []
    for share in (0.5, 0.79, 0.80, 0.81, 0.799, 0.80, 0.96, 0.97, 0.7, 0.85, 0.99):
        disk.free = round(TOTAL * (1 - share))
        room.look()
        told.append(lines(caplog))
    expected = [[], [], ["80 % full"], [], [], [], ["96 % full"], [], [], ["85 % full"]]
    assert [[line.split("is ")[-1] for line in one] for one in told] == [*expected, ["99 % full"]]


@pytest.mark.parametrize(("settings", "reserve"), [({}, 10_000), ({"reserve": 5}, 5)])
def test_receiving_stops_before_the_disk_is_full_and_goes_on(
    disk: Disk,
    make_room: Make,
    caplog: pytest.LogCaptureFixture,
    settings: dict[str, int],
    reserve: int,
) -> None:
    room = make_room(**settings)
    disk.free = reserve
    assert room.problem(100) is None
    lines(caplog)
    disk.free = reserve - 1
    room.look()
    for _ in range(3):
        assert str(room.problem(100)).startswith("the disk of ")
    (line,) = lines(caplog)
    assert line.endswith("is used up: nothing is stored until there is room")
    disk.free = reserve + 10_000
    assert room.problem(100) is None
    assert lines(caplog) == ["there is room again: objects are stored"]


def test_a_disk_is_not_looked_at_for_each_object(
    disk: Disk, make_room: Make, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "LOOK_SECONDS", 1e6)
    room = make_room(reserve=1)
    for _ in range(100):
        assert room.problem(1000) is None
    assert disk.looks == 1
    # But before what is left can have been taken.
    disk.free = 0
    refused = [room.problem(1000) for _ in range(30)].index(str(room.problem(1)))
    assert refused * 1000 < TOTAL // module.PART_TAKEN
    monkeypatch.setattr(module, "LOOK_SECONDS", 0.0)
    disk.free = TOTAL
    looks = disk.looks
    assert [room.problem(1) for _ in range(3)] == [None] * 3
    assert disk.looks == looks + 3


@pytest.mark.parametrize("location", [None, "memory://room"])
def test_a_quota(
    disk: Disk,
    make_room: Make,
    store_event: MakeEvent,
    caplog: pytest.LogCaptureFixture,
    location: str | None,
) -> None:
    room = make_room(location, quota=1000)
    for size, said in ((500, []), (300, ["the quota is 80 % full"]), (200, ["… 100 % full"])):
        assert room.problem(size) is None
        room.took(size)
        room.look()
        assert [line.replace("the quota is 100", "… 100") for line in lines(caplog)] == said
    assert room.problem(1) == "the quota is used up"
    room.took(-200)
    assert room.problem(201) == "the quota is used up"
    assert room.problem(200) is None


def test_a_quota_is_counted_by_all_processes(disk: Disk, location: str, tmp_path: Path) -> None:
    databases = [Database(location) for _ in range(2)]
    store = open_store(str(tmp_path / "objects"))
    first, second = (Room(Config(quota=1000), database, store) for database in databases)
    for room in (first, second):
        assert room.problem(400) is None
        room.took(400)
    second.close()
    first.look()
    assert first.filled()[-1].left == 200
    assert first.problem(300) == "the quota is used up"
    for database in databases:
        database.close()


def test_other_limits_hold_from_then_on(
    disk: Disk, make_room: Make, store_event: MakeEvent, tmp_path: Path
) -> None:
    room = make_room()
    store = open_store(str(tmp_path / "objects"))
    store.keep(store_event(make(1)), "1.2.3.1")
    assert room.problem(1000) is None
    room.limit(Config(quota=store.size() + 999))
    assert room.problem(1000) == "the quota is used up"
    room.limit(Config(reserve=TOTAL + 1))
    assert str(room.problem(1)).startswith("the disk of")


def test_a_quota_is_measured_at_the_start(
    disk: Disk, make_room: Make, store_event: MakeEvent, tmp_path: Path
) -> None:
    for place in (str(tmp_path / "objects"), f"memory://{tmp_path.name}"):
        store = open_store(place)
        room = make_room(place, quota=1 << 20)
        store.keep(store_event(make(1)), "1.2.3.1")
        room.measure()
        assert room.filled()[-1].left == (1 << 20) - store.size()
        assert store.size() > 100


def test_the_archive_refuses(disk: Disk, store_event: MakeEvent, tmp_path: Path) -> None:
    places = {
        "instance_location": str(tmp_path / "o"), "database_location": str(tmp_path / "i.sqlite"),
    }  # fmt: skip
    archive = Archive(Config(quota=2000, **places))
    assert archive.store(store_event(make(1))) == 0x0000
    assert archive.store(store_event(make(1))) == 0x0000  # which takes nothing
    refused = archive.store(store_event(make(2, PatientComments="x" * 2000)))
    assert (refused.Status, refused.ErrorComment) == (NO_ROOM, "There is no room")
    disk.free = 0
    archive.room.look()
    assert archive.store(store_event(make(3))).Status == NO_ROOM
    disk.free = TOTAL
    assert archive.store(store_event(make(3))) == 0x0000
    archive.close()
    left = archive.room.filled()[-1].left
    assert left == 2000 - 2 * store_event(make(1)).request.data_set.size


def test_a_disk_that_cannot_be_looked_at(make_room: Make, monkeypatch: pytest.MonkeyPatch) -> None:
    def usage(path: object) -> None:
        raise OSError(5, "Input/output error")

    monkeypatch.setattr(shutil, "disk_usage", usage)
    assert make_room().problem(1) is None


def test_a_served_archive_with_a_quota(start: Start, tmp_path: Path) -> None:
    """Receiving stops and finding goes on; with several workers, and after a start."""
    config = tmp_path / "q.toml"
    config.write_text('[storage]\nquota = "2 kB"\n')
    objects = [make(number, PatientComments="x" * 300) for number in range(6)]
    for ds in objects:
        ds.ensure_file_meta()
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
    kept = set()
    for ended in (signal.SIGKILL, signal.SIGTERM):
        served = start("--config", config, "--workers", 2)
        assoc = associate(served.port)
        for number, ds in enumerate(objects):
            if f"1.2.3.{number}" not in kept and assoc.send_c_store(ds).Status == 0x0000:
                kept.add(f"1.2.3.{number}")
        assert 2 <= len(kept) <= 5
        assert found(assoc) == kept
        assoc.abort()
        served.stop(ended)
    assert sum(path.stat().st_size for path in tmp_path.rglob("???/*.dcm")) < 4000


def test_a_small_disk(small: Path, start: Start, tmp_path: Path) -> None:  # noqa: F811  # the fixture
    """The reserve is left free."""
    config = tmp_path / "q.toml"
    config.write_text(f'[storage]\nlocation = "{small}/objects"\nreserve = "1 MiB"\n')
    served = start("--config", config)
    assoc = associate(served.port)
    statuses = []
    for number in range(30):
        ds = make(number)
        ds.PixelData, ds["PixelData"].VR = bytes(200_000), "OB"
        ds.ensure_file_meta()
        ds.file_meta.TransferSyntaxUID = "1.2.840.10008.1.2.1"
        statuses.append(assoc.send_c_store(ds).Status)
    assert set(statuses) == {0x0000, NO_ROOM}
    assert statuses == sorted(statuses)
    assert shutil.disk_usage(small).free >= (1 << 20) - 200_000
    assert len(found(assoc)) == statuses.count(0x0000)
    assoc.release()
    assert "is used up: nothing is stored" in served.errors()
