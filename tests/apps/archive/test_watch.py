"""Queries that nobody wants any more end, whatever they ask for: steps are counted, not seconds."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom import AE, evt
from pynetdicom.apps.archive import database as database_module
from pynetdicom.apps.archive import handlers, pages, worklist
from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.apps.archive.index import Index, record_of
from pynetdicom.apps.archive.query import Find, Retrieve
from pynetdicom.apps.qrscp import make_ae
from pynetdicom.workflows.matching import Options
from pynetdicom.workflows.watch import STEPS, Cancelled, Watch
from tests.apps.archive.conftest import EXPLICIT, Fill, make
from tests.peers import DEADLINE

STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.2."
WORKLIST = worklist.SOP_CLASS
PATTERNS = [f"*{n}*0*0*0*0*0*0*z" for n in range(256)]


class Counting(Watch):
    """Cancelled from the n-th look on; counts the looks and steps after that."""

    def __init__(self, after: int) -> None:
        super().__init__(self._look)
        self._after = after
        self.looks = self.steps = 0

    def _look(self) -> bool:
        self.looks += 1
        return self.looks > self._after

    def step(self, cost: int = 1) -> None:
        self.steps += cost
        super().step(cost)


def keys(level: str, **values: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def add_studies(index: Index) -> None:
    for number in range(300):
        ds = make(
            number,
            StudyInstanceUID=f"1.{number}",
            SeriesInstanceUID=f"1.{number}.1",
            StudyDescription="0" * 60,
            PatientID=f"P{number}",
        )
        index.add(record_of(ds, EXPLICIT), f"abc/{number}", "abc")


@pytest.fixture
def filled(open_filled: Callable[[Fill], Database]) -> Index:
    return Index(open_filled(add_studies))


def test_matching_in_python_ends(filled: Index) -> None:
    """256 patterns that SQL is not asked for, over 300 studies: 76,800 comparisons otherwise."""
    query = Find(keys("STUDY", StudyDescription=PATTERNS), f"{STUDY_ROOT}1", Options())
    watch = Counting(after=20)
    with pytest.raises(Cancelled):
        list(query.matches(filled.database, "ME", watch=watch))
    assert watch.looks == 21
    assert watch.steps <= 21 * STEPS
    watch = Counting(after=10**9)
    assert list(query.matches(filled.database, "ME", watch=watch)) == []
    assert watch.steps == 300 * 256


def test_a_statement_of_sqlite_ends(sqlite: Index) -> None:
    """It asks every few instructions of its machine."""
    watch = Counting(after=50)
    endless = sa.text(
        "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x + 1 FROM n) SELECT count(*) FROM n"
    )
    with pytest.raises(Cancelled), sqlite.database.reading(watch) as connection:
        connection.execute(endless)
    assert watch.looks == 51
    # The next reader of the connection is not ended by it.
    assert sqlite.count("IMAGE") == 0


def test_a_statement_that_takes_long_is_asked_for_fewer_rows(
    filled: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    if filled.database.is_sqlite:
        return  # which is ended otherwise
    monkeypatch.setattr(pages, "_FIRST_RANGE", 64)
    query = Find(keys("STUDY"), f"{STUDY_ROOT}1", Options())
    # 10 ms a row: 3 s in one go.
    slow = sa.text("pg_sleep(0.01 * (length(study.study_description) / 60)) IS NOT NULL")
    query._conditions.append(slow)  # type: ignore[arg-type]  # as good as a condition
    watch = Counting(after=10**9)
    found = [ds.StudyInstanceUID for ds in query.matches(filled.database, "ME", watch=watch)]
    assert found == [f"1.{number}" for number in range(300)]
    assert watch.looks > 60
    watch = Counting(after=10)
    with pytest.raises(Cancelled):
        list(query.matches(filled.database, "ME", watch=watch))
    assert watch.looks == 11


def test_one_row_has_all_the_time_that_it_needs(
    filled: Index, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(database_module, "STATEMENT_MILLISECONDS", 1)
    below = {"StudyInstanceUID": "1.7", "NumberOfSeriesRelatedInstances": "1"}
    query = Find(keys("SERIES", **below), f"{STUDY_ROOT}1", Options())
    if not filled.database.is_sqlite:
        query._conditions.append(sa.text("pg_sleep(0.02) IS NOT NULL"))  # type: ignore[arg-type]
    assert len(list(query.matches(filled.database, "ME"))) == 1


@pytest.mark.parametrize("values", [{}, {"StudyInstanceUID": "1.7"}])
def test_what_is_chosen_ends_too(filled: Index, values: dict[str, Any]) -> None:
    query = Retrieve(
        keys("STUDY", **{"StudyInstanceUID": ["1.7", "1.8"], **values}), f"{STUDY_ROOT}2"
    )
    with pytest.raises(Cancelled):
        query.choose(filled.database, Watch(lambda: True))
    assert query.choose(filled.database).count == 2 - len(values)


def write_items(directory: Path, count: int) -> None:
    directory.mkdir()
    for number in range(count):
        item = Dataset()
        item.SOPClassUID, item.SOPInstanceUID = WORKLIST, f"1.2.{number}"
        item.PatientID = "0" * 60
        step = Dataset()
        step.ScheduledProcedureStepDescription = "0" * 60
        item.ScheduledProcedureStepSequence = [step] * 20
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.save_as(directory / f"{number:03}.wl", enforce_file_format=True)


@pytest.mark.parametrize("nested", [False, True])
def test_the_worklist_ends(tmp_path: Path, nested: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    write_items(tmp_path / "w", 12)
    asked, item = Dataset(), Dataset()
    asked.PatientID = "*" if nested else PATTERNS
    if nested:
        item.ScheduledProcedureStepDescription = PATTERNS[:250]
        asked.ScheduledProcedureStepSequence = [item]
    read = []
    real = worklist.read

    def count(path: str) -> Dataset | None:
        read.append(path)
        return real(path)

    monkeypatch.setattr(worklist, "read", count)
    watch = Counting(after=6)
    with pytest.raises(Cancelled):
        list(worklist.find(str(tmp_path / "w"), "ME", asked, Options(), watch))
    assert watch.looks == 7
    assert watch.steps <= 7 * STEPS
    assert len(read) < 12


# Over the network: the handler is in the midst of matching when the peer has enough of it.


class Held:
    """Tells when a query has begun to match, and lets it go on then, in steps that are counted."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.begun, self.go_on, self.ended = (threading.Event() for _ in range(3))
        self.looks = 0
        held = self

        class HeldWatch(Watch):
            def look(self) -> None:
                held.begun.set()
                assert held.go_on.wait(DEADLINE)
                held.looks += 1
                try:
                    super().look()
                except Cancelled:
                    held.ended.set()
                    raise

        monkeypatch.setattr(handlers, "Watch", HeldWatch)


@pytest.fixture
def site(
    tmp_path: Path, prepared: Callable[[Fill, str], None]
) -> Iterator[tuple[Any, int, threading.Event]]:
    """An archive's AE, its port, and what tells that the connection with the peer has ended."""
    write_items(tmp_path / "w", 12)
    config = Config(
        bind_address="127.0.0.1",
        instance_location=str(tmp_path / "objects"),
        database_location=str(tmp_path / "index.sqlite"),
        worklist_directory=str(tmp_path / "w"),
    )
    prepared(add_studies, config.database_location)
    archive = Archive(config)
    ae = make_ae(config)
    gone = threading.Event()

    def note(event: Any) -> None:
        if event.next_state in ("Sta1", "Sta13"):
            gone.set()

    told = [*archive.handlers(), (evt.EVT_FSM_TRANSITION, note)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=told)
    assert server is not None
    yield ae, server.server_address[1], gone
    ae.shutdown()
    archive.close()


@pytest.mark.parametrize("way", ["cancel", "abort", "close", "shutdown"])
@pytest.mark.parametrize("model", [f"{STUDY_ROOT}1", WORKLIST])
def test_nobody_waits_for_a_query(
    site: tuple[Any, int, threading.Event], monkeypatch: pytest.MonkeyPatch, way: str, model: str
) -> None:
    held = Held(monkeypatch)
    served, port, gone = site
    ae = AE("PEER")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    ae.add_requested_context(model, EXPLICIT)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established, assoc.ended
    identifier, item = keys("STUDY", StudyDescription=PATTERNS), Dataset()
    if model == WORKLIST:
        identifier = Dataset()
        item.ScheduledProcedureStepDescription = PATTERNS
        identifier.ScheduledProcedureStepSequence = [item]
    answers = assoc.send_c_find(identifier, model, msg_id=7)
    assert held.begun.wait(DEADLINE)
    (served_assoc,) = served.active_associations
    if way == "cancel":
        come = threading.Event()
        real = served_assoc._link.inbox.cancel
        served_assoc._link.inbox.cancel = lambda message_id: (real(message_id), come.set())
        assoc.send_c_cancel(7)
        assert come.wait(DEADLINE)
        held.go_on.set()
        assert [status.Status for status, _ in answers] == [0xFE00]
        assoc.release()
    elif way == "shutdown":
        stopping = threading.Thread(target=served.shutdown)
        stopping.start()
        assert gone.wait(DEADLINE)
        held.go_on.set()
        stopping.join(DEADLINE)
        assert not stopping.is_alive()
    else:
        assoc.abort() if way == "abort" else assoc.kill()
        assert gone.wait(DEADLINE)
        held.go_on.set()
    assert held.ended.wait(DEADLINE)
    # Of 900 and more: the thread that tells of the end may come to it a little later.
    assert held.looks <= 500
