"""What qrscp has acknowledged is there when it starts again, also if it was killed."""

from __future__ import annotations

import shutil
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset

from pynetdicom import AE
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index
from tests.apps.archive.conftest import CT, EXPLICIT, make
from tests.apps.conftest import Served

DEADLINE = 20.0
SENDERS = 3
BEFORE_THE_END = 20
"""Stores that are acknowledged before the archive is killed."""

Start = Callable[..., Served]


@pytest.fixture
def start(python_env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """``start("--check")`` starts qrscp with the same objects and index each time."""
    started: list[Served] = []
    place = tmp_path / "qrscp"
    place.mkdir()

    def serve(*options: object) -> Served:
        command = [sys.executable, "-m", "pynetdicom", "qrscp", "--port", "0", "-ba", "127.0.0.1"]
        served = Served([*command, *map(str, options)], python_env, place)
        started.append(served)
        return served

    yield serve
    for served in started:
        if served.process.poll() is None:
            served.stop(signal.SIGTERM)
        assert "Traceback" not in served.errors()


def associate(port: int) -> Any:
    ae = AE("PEER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    ae.add_requested_context(CT, EXPLICIT)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established, assoc.ended
    return assoc


def an_object(number: str) -> Dataset:
    """One that does not fit in memory while it is received, whose bytes tell which it is."""
    ds = make(number, InstanceNumber=1)
    ds.PixelData = number.ljust(100, "0").encode() * 2000
    ds["PixelData"].VR = "OB"
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    return ds


class Senders:
    """Store one object after another, until the archive is no more."""

    def __init__(self, port: int) -> None:
        self.acknowledged: list[str] = []
        self.refused: list[int] = []
        self.enough = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(associate(port), number))
            for number in range(1, SENDERS + 1)
        ]
        for thread in self._threads:
            thread.start()

    def _send(self, assoc: Any, sender: int) -> None:
        for count in range(100_000):
            number = f"{sender}.{count}"
            status = assoc.send_c_store(an_object(number)) if assoc.is_established else Dataset()
            if "Status" not in status:
                break
            if status.Status != 0x0000:
                self.refused.append(status.Status)
                continue
            self.acknowledged.append(number)
            if len(self.acknowledged) >= BEFORE_THE_END:
                self.enough.set()
        assoc.abort()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(DEADLINE)
            assert not thread.is_alive()
        assert self.refused == []


def stored(place: Path) -> dict[str, Path]:
    """SOP Instance UID → the file that is visible."""
    return {path.stem: path for path in (place / "instances").rglob("*.dcm")}


def indexed(place: Path) -> set[str]:
    database = Database(str(place / "instances.sqlite"))
    try:
        return {one.sop_instance_uid for one in Index(database).everything()}
    finally:
        database.close()


@pytest.mark.parametrize("attempt", range(3))
def test_what_was_acknowledged_outlives_a_kill(start: Start, attempt: int) -> None:
    served = start()
    senders = Senders(served.port)
    assert senders.enough.wait(DEADLINE), served.errors()
    served.process.kill()
    served.process.communicate(timeout=DEADLINE)
    senders.join()
    promised = {f"1.2.3.{number}" for number in senders.acknowledged}
    again = start()
    files = stored(again.directory)
    assert promised <= set(files)
    assert indexed(again.directory) == set(files)
    for uid, path in files.items():  # nothing is half-written
        number = uid.removeprefix("1.2.3.")
        assert dcmread(path).PixelData == an_object(number).PixelData
    assert list((again.directory / "instances" / "incoming").iterdir()) == []
    # And it goes on.
    assoc = associate(again.port)
    assert assoc.send_c_store(an_object("9.9")).Status == 0x0000
    assoc.release()


def feed(served: Served, *numbers: str) -> None:
    assoc = associate(served.port)
    for number in numbers:
        assert assoc.send_c_store(an_object(number)).Status == 0x0000
    assoc.release()


@pytest.fixture
def place(start: Start) -> Path:
    """Where an archive of three objects has been, which was stopped."""
    served = start()
    feed(served, "1", "2", "3")
    assert served.stop(signal.SIGTERM) == 0
    return served.directory


def test_a_file_that_was_deleted(start: Start, place: Path) -> None:
    stored(place)["1.2.3.2"].unlink()
    start()
    assert indexed(place) == {"1.2.3.1", "1.2.3.3"}


def test_a_file_that_was_added_by_hand(start: Start, place: Path) -> None:
    ds = an_object("4")
    ds.file_meta.MediaStorageSOPClassUID = CT
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(stored(place)["1.2.3.1"].with_name("1.2.3.4.dcm"), enforce_file_format=True)
    start()
    assert indexed(place) == {"1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"}


@pytest.mark.parametrize("options", [(), ("--check",)])
def test_an_index_that_was_deleted(start: Start, place: Path, options: tuple[str, ...]) -> None:
    for path in place.glob("instances.sqlite*"):
        path.unlink()
    start(*options)
    assert indexed(place) == {"1.2.3.1", "1.2.3.2", "1.2.3.3"}


def test_objects_that_were_deleted_all(start: Start, place: Path) -> None:
    shutil.rmtree(place / "instances")
    start()
    assert indexed(place) == set()
