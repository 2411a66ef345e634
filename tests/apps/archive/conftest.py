"""An index on each database there is, and objects as they are received."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import sys
import uuid
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom import Dataset

from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.apps.archive.index import Index
from pynetdicom.apps.qrscp import main
from pynetdicom.data_sets.data_set import encode_dataset
from pynetdicom.data_sets.part10 import header_builder
from pynetdicom.data_sets.spool import Place, ReceivedDataSet, Spool
from tests.apps.conftest import Served
from tests.conftest import REQUIRE_INTEROP

POSTGRES = "PYNETDICOM_TEST_POSTGRES"
EXPLICIT = "1.2.840.10008.1.2.1"
CT = "1.2.840.10008.5.1.4.1.1.2"


def postgres_url() -> str:
    """The URL of the PostgreSQL that tests may use; without one a skip, or a failure in CI."""
    url = os.environ.get(POSTGRES)
    if not url:
        reason = f"{POSTGRES} does not say where there is a PostgreSQL"
        if os.environ.get(REQUIRE_INTEROP):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return url


@contextlib.contextmanager
def empty_database(kind: str, directory: Path) -> Iterator[str]:
    """Where an empty database of a kind is: for PostgreSQL a schema that goes afterwards."""
    if kind == "sqlite":
        yield str(directory / "index.sqlite")
        return
    url = sa.make_url(postgres_url())
    name = f"t{uuid.uuid4().hex}"
    engine = sa.create_engine(url, poolclass=sa.NullPool, isolation_level="AUTOCOMMIT")
    with engine.connect() as connection:
        connection.execute(sa.text(f"CREATE SCHEMA {name}"))
    own = url.update_query_dict({"options": f"-csearch_path={name}"})
    yield own.render_as_string(hide_password=False)
    with engine.connect() as connection:
        connection.execute(sa.text(f"DROP SCHEMA {name} CASCADE"))


Start = Callable[..., Served]


@pytest.fixture
def start(python_env: dict[str, str], tmp_path: Path) -> Iterator[Start]:
    """``start("--workers", 3)`` starts qrscp on a free port, each time in the same directory."""
    started: list[Served] = []
    place = tmp_path / "qrscp"
    place.mkdir()

    def serve(*options: object) -> Served:
        command = [sys.executable, "-m", "pynetdicom", "qrscp", "--port", "0", "-ba", "127.0.0.1"]
        started.append(Served([*command, *map(str, options)], python_env, place))
        return started[-1]

    yield serve
    for served in started:
        if served.process.poll() is None:
            served.stop(signal.SIGTERM)
        assert "Traceback" not in served.errors()


KINDS = ["sqlite", pytest.param("postgresql", marks=pytest.mark.slow)]


@pytest.fixture(params=KINDS)
def location(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[str]:
    """Where an empty database is, of each kind."""
    with empty_database(request.param, tmp_path) as location:
        yield location


Fill = Callable[[Index], Any]


def nothing(index: Index) -> None:
    """Fills an index with nothing."""


@pytest.fixture(scope="session")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Callable[[Fill, str], None]:
    """``prepared(fill, path)``: an SQLite file that `fill` has filled, once for all tests."""
    directory = tmp_path_factory.mktemp("prepared")
    made: dict[Fill, Path] = {}

    def prepare(fill: Fill, path: str) -> None:
        if fill not in made:
            original = directory / str(len(made))
            opened = Database(str(original))
            fill(Index(opened))
            opened.close()
            made[fill] = original
        shutil.copyfile(made[fill], path)

    return prepare


@pytest.fixture
def open_filled(
    location: str, prepared: Callable[[Fill, str], None]
) -> Iterator[Callable[[Fill], Database]]:
    """``open_filled(fill)``: a database that `fill` has filled."""
    opened: list[Database] = []

    def open_one(fill: Fill) -> Database:
        if "://" not in location:
            prepared(fill, location)
        opened.append(Database(location))
        if not opened[-1].is_sqlite:
            fill(Index(opened[-1]))
        return opened[-1]

    yield open_one
    for database in opened:
        database.close()


@pytest.fixture
def database(open_filled: Callable[[Fill], Database]) -> Database:
    """An empty database."""
    return open_filled(nothing)


@pytest.fixture
def index(database: Database) -> Index:
    """An empty index."""
    return Index(database)


@pytest.fixture
def sqlite(tmp_path: Path, prepared: Callable[[Fill, str], None]) -> Iterator[Index]:
    """An empty index where it does not matter of which kind."""
    prepared(nothing, str(tmp_path / "index.sqlite"))
    database = Database(str(tmp_path / "index.sqlite"))
    yield Index(database)
    database.close()


def make(number: int | str = 1, **attributes: Any) -> Dataset:
    """A data set with the UIDs that an object needs."""
    ds = Dataset()
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = f"1.2.3.{number}"
    ds.PatientID = "P1"
    ds.PatientName = "Doe^Jane"
    ds.StudyInstanceUID = "1.2.1"
    ds.SeriesInstanceUID = "1.2.2"
    ds.Modality = "CT"
    for keyword, value in attributes.items():
        setattr(ds, keyword, value)
    return ds


def receive(
    ds: Dataset, uid: str | None = None, syntax: str = EXPLICIT, threshold: int = 1 << 20
) -> ReceivedDataSet:
    """A data set as the library hands it to a handler."""
    header = header_builder(syntax, implementation_class_uid="1.2.3")(
        ds.get("SOPClassUID", CT), uid or ds.get("SOPInstanceUID", "")
    )
    spool = Spool(Place(syntax, threshold=threshold), header)
    spool.add(memoryview(encode_dataset(ds, syntax).getvalue()))
    return spool.finish()


def assoc(calling: str = "PEER", called: str = "QRSCP", **negotiated: bytes) -> Any:
    """An association, as far as a handler looks at it."""
    return SimpleNamespace(
        requestor=SimpleNamespace(
            ae_title=calling, primitive=SimpleNamespace(called_ae_title=called)
        ),
        acceptor=SimpleNamespace(ae_title=called, sop_class_extended=negotiated),
    )


class StoreEvent(SimpleNamespace):
    """A C-STORE request, as far as a handler looks at it."""

    def __init__(self, ds: Dataset, uid: str | None = None, *, calling: str = "PEER") -> None:
        received = receive(ds, uid)
        name = ds.SOPInstanceUID if uid is None else uid
        super().__init__(
            request=SimpleNamespace(name="C-STORE", AffectedSOPInstanceUID=name, data_set=received),
            context=SimpleNamespace(abstract_syntax=ds.SOPClassUID, transfer_syntax=EXPLICIT),
            assoc=assoc(calling),
        )

    @property
    def dataset(self) -> Dataset:
        return self.request.data_set.decode()

    @property
    def dataset_path(self) -> str:
        return str(self.request.data_set.path)

    def save_as(self, path: str, overwrite: bool = True, sync: bool = False) -> None:
        self.request.data_set.save_as(path, overwrite=overwrite, sync=sync)


MakeEvent = Callable[..., StoreEvent]


@pytest.fixture
def store_event() -> Iterator[MakeEvent]:
    """``store_event(ds)``: a C-STORE request, closed afterwards as the library does it."""
    events: list[StoreEvent] = []

    def event(*arguments: Any, **named: Any) -> StoreEvent:
        events.append(StoreEvent(*arguments, **named))
        return events[-1]

    yield event
    for one in events:
        one.request.data_set.close()


class Qrscp:
    """Runs qrscp with an archive of its own.

    Attributes
    ----------
    out, err : str
        What it has printed.
    """

    def __init__(self, place: Path, captured: pytest.CaptureFixture[str]) -> None:
        self.place = place
        self._captured = captured
        self.out = self.err = ""
        self.config = Config(
            instance_location=str(place / "objects"), database_location=str(place / "index.sqlite")
        )
        self.places = ("--instance-location", self.config.instance_location)
        self.places += ("--database-location", self.config.database_location)

    def __call__(self, verb: str, *arguments: object) -> int:
        self._captured.readouterr()
        try:
            return main([verb, *map(str, arguments), *self.places])
        finally:
            out, self.err = self._captured.readouterr()
            self.out = out.rstrip("\n")

    def objects(self) -> list[Path]:
        return sorted((self.place / "objects").glob("???/*.dcm"))

    def indexed(self) -> set[str]:
        database = Database(self.config.database_location)
        try:
            return {one.sop_instance_uid for one in Index(database).everything()}
        finally:
            database.close()

    def fill(self, event: MakeEvent, *datasets: object) -> None:
        """Store objects, as if they were received."""
        archive = Archive(self.config)
        for ds in datasets:
            assert archive.store(event(ds)) == 0x0000
        archive.close()


@pytest.fixture
def qrscp(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Qrscp:
    place = tmp_path / "archive"
    place.mkdir()
    return Qrscp(place, capsys)
