"""What qrscp has acknowledged is there when it starts again, also if it was killed."""

from __future__ import annotations

import os
import shutil
import signal
import sys
import threading
from functools import partial
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset, FileMetaDataset

from pynetdicom import AE
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index
from pynetdicom.apps.archive.schema import metadata
from tests import warm
from tests.apps.archive.conftest import CT, EXPLICIT, Start, make
from tests.apps.archive.test_workers import workers_of
from tests.apps.conftest import Served
from tests.faults.peer import until
from tests.peers import DEADLINE
from tests.sampled import sampled

SENDERS = 3
BEFORE_THE_END = 20
"""Stores that are acknowledged before the archive is killed."""


@pytest.fixture
def start(start: Start, location: str) -> Start:
    """``start("--check")`` starts qrscp with the same objects and index each time."""
    return partial(start, "--database-location", location)


def associate(port: int) -> Any:
    ae = AE("PEER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    ae.add_requested_context(CT, EXPLICIT)
    assoc = ae.associate("127.0.0.1", port)
    while isinstance(getattr(assoc.ended, "error", None), ConnectionResetError):
        # It was given to a worker that is being killed; the others have queues of their own.
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

    def __init__(self, port: int, prefix: str = "") -> None:
        self._prefix = prefix
        self.acknowledged: list[str] = []
        self.refused: list[int] = []
        self.enough = threading.Event()
        self._threads = [
            threading.Thread(target=self._send, args=(associate(port), number))
            for number in range(1, SENDERS + 1)
        ]
        self._stopped = threading.Event()
        for thread in self._threads:
            thread.start()

    def stop(self) -> None:
        """Have those whose archive is still there stop too."""
        self._stopped.set()

    def _send(self, assoc: Any, sender: int) -> None:
        for count in range(100_000):
            if self._stopped.is_set():
                break
            number = f"{self._prefix}{sender}.{count}"
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


def indexed(location: str) -> set[str]:
    database = Database(location)
    try:
        return {one.sop_instance_uid for one in Index(database).everything()}
    finally:
        database.close()


def kill_all(served: Served) -> None:
    """Kill an archive, and its workers at the same time."""
    for pid in (served.process.pid, *workers_of(served)):
        os.kill(pid, signal.SIGKILL)
    served.process.communicate(timeout=DEADLINE)


def assert_whole(served: Served, location: str, senders: Senders) -> None:
    """What was acknowledged is there, nothing is half-written, and the index has what there is."""
    promised = {f"1.2.3.{number}" for number in senders.acknowledged}
    files = stored(served.directory)
    assert promised <= set(files)
    assert indexed(location) == set(files)
    for uid, path in files.items():
        number = uid.removeprefix("1.2.3.")
        assert dcmread(path).PixelData == an_object(number).PixelData
    # And it goes on.
    assoc = associate(served.port)
    assert assoc.send_c_store(an_object("9.9")).Status == 0x0000
    assoc.release()


WORKERS = [(), ("--workers", 3)]


@sampled("options", WORKERS, ids=["one process", "workers"])
@sampled("attempt", range(3))
def test_what_was_acknowledged_outlives_a_kill(
    start: Start, location: str, options: tuple[object, ...], attempt: int
) -> None:
    served = start(*options)
    senders = Senders(served.port)
    assert senders.enough.wait(DEADLINE), served.errors()
    kill_all(served)
    senders.join()
    again = start(*options)
    assert list((again.directory / "instances" / "incoming").iterdir()) == []
    assert_whole(again, location, senders)


@pytest.mark.slow
def test_workers_are_killed_one_after_another(start: Start, location: str) -> None:
    """Others go on meanwhile, and start in their stead; nothing that was acknowledged is lost."""
    served = start("--workers", 3)
    before = workers_of(served)
    all_sent = []
    for turn, pid in enumerate(before):
        senders = Senders(served.port, prefix=f"{turn}.")
        all_sent.append(senders)
        assert senders.enough.wait(DEADLINE), served.errors()
        os.kill(pid, signal.SIGKILL)
        senders.stop()
        senders.join()
    assert until(lambda: len(workers_of(served) - before) == 3)
    promised = {f"1.2.3.{number}" for senders in all_sent for number in senders.acknowledged}
    assert promised <= indexed(location) <= set(stored(served.directory))
    assert served.stop(signal.SIGTERM) == 0
    again = start("--workers", 3)
    for senders in all_sent:
        assert_whole(again, location, senders)
    assert "Traceback" not in served.errors()


@pytest.mark.slow
def test_an_index_that_is_older_than_the_objects(start: Start, location: str, place: Path) -> None:
    """As after its backup was restored: what it lacks is added, what it has too much is removed."""
    database = Database(location)
    index = Index(database)
    found = {one.sop_instance_uid: one.location for one in index.everything()}
    index.remove([found["1.2.3.2"]])
    database.close()
    stored(place)["1.2.3.3"].unlink()
    start("--check")
    assert indexed(location) == {"1.2.3.1", "1.2.3.2"}


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


@pytest.mark.slow
def test_a_file_that_was_deleted(start: Start, location: str, place: Path) -> None:
    stored(place)["1.2.3.2"].unlink()
    start()
    assert indexed(location) == {"1.2.3.1", "1.2.3.3"}


@pytest.mark.slow
def test_a_file_that_was_added_by_hand(start: Start, location: str, place: Path) -> None:
    ds = an_object("4")
    ds.file_meta.MediaStorageSOPClassUID = CT
    ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID
    ds.save_as(stored(place)["1.2.3.1"].with_name("1.2.3.4.dcm"), enforce_file_format=True)
    start()
    assert indexed(location) == {"1.2.3.1", "1.2.3.2", "1.2.3.3", "1.2.3.4"}


@sampled("options", [(), ("--check",)])
def test_an_index_that_was_deleted(
    start: Start, location: str, place: Path, options: tuple[str, ...]
) -> None:
    if "://" in location:
        database = Database(location)
        metadata.drop_all(database.engine)
        database.close()
    else:
        for path in Path(location).parent.glob("index.sqlite*"):
            path.unlink()
    start(*options)
    assert indexed(location) == {"1.2.3.1", "1.2.3.2", "1.2.3.3"}


@pytest.mark.slow
def test_a_disk_that_is_missing_does_not_empty_the_index(
    location: str, place: Path, start: Start, python_env: dict[str, str]
) -> None:
    """Nothing is served; who means it begins anew."""
    shutil.rmtree(place / "instances")
    before = indexed(location)
    command = [sys.executable, "-m", "pynetdicom", "qrscp", "--port", "0", "-ba", "127.0.0.1"]
    command += ["--database-location", location]
    ran = warm.run(
        command, env=python_env, cwd=place, capture_output=True, text=True, timeout=DEADLINE
    )
    assert ran.returncode == 1
    assert "is their disk there" in ran.stderr
    assert "Traceback" not in ran.stderr
    assert indexed(location) == before != set()
    ran = warm.run([*command, "--clean", "--yes"], env=python_env, cwd=place, timeout=DEADLINE)
    assert ran.returncode == 0
    start()
    assert indexed(location) == set()
