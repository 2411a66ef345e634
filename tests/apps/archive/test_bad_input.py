"""What peers and people may do to an archive, over the network; it goes on in each case."""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from pydicom.dataset import Dataset, FileMetaDataset

from pynetdicom import AE, build_role, evt
from pynetdicom.apps.archive import schema
from pynetdicom.apps.archive.config import Config
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.handlers import Archive
from pynetdicom.apps.archive.objects import FileStore
from pynetdicom.apps.qrscp import make_ae
from pynetdicom.data_sets.data_set import InMemory
from tests.apps.archive.conftest import CT, make
from tests.apps.conftest import RunApp, run_app
from tests.peers import DEADLINE

__all__ = ["run_app"]  # a fixture

IMPLICIT, EXPLICIT = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
PATIENT_ROOT, STUDY_ROOT = "1.2.840.10008.5.1.4.1.2.1.", "1.2.840.10008.5.1.4.1.2.2."
OPERATIONS = {"C-FIND": "1", "C-MOVE": "2", "C-GET": "3"}
MANY = 10_000


class Site:
    """An archive that listens, and a peer of it."""

    def __init__(self, location: str, objects: Path | str) -> None:
        self.config = Config(
            bind_address="127.0.0.1", instance_location=str(objects), database_location=location
        )
        self.got: list[Dataset] = []
        self._peers: list[Any] = []
        self.archive = Archive(self.config)
        self.store: Any = self.archive.store_of_objects
        self._ae = make_ae(self.config)
        self._server = self._ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=self.archive.handlers(),
            spool_dir=self.store.spool_dir,
            unrestricted_storage=True,
        )

    def associate(self, syntax: str = EXPLICIT, *negotiated: Any) -> Any:
        ae = AE("PEER")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
        for model in (PATIENT_ROOT, STUDY_ROOT):
            for number in OPERATIONS.values():
                ae.add_requested_context(f"{model}{number}", syntax)
        ae.add_requested_context(CT, EXPLICIT)

        def keep(event: Any) -> int:
            self.got.append(event.dataset)
            return 0x0000

        assert self._server is not None
        assoc = ae.associate(
            "127.0.0.1",
            self._server.server_address[1],
            ext_neg=[build_role(CT, scu_role=True, scp_role=True), *negotiated],
            evt_handlers=[(evt.EVT_C_STORE, keep)],
        )
        assert assoc.is_established, assoc.ended
        self._peers.append(assoc)
        return assoc

    def feed(self, *data_sets: Dataset) -> list[int]:
        assoc = self.associate()
        statuses = [assoc.send_c_store(with_meta(ds)).Status for ds in data_sets]
        assoc.release()
        return statuses

    def close(self) -> None:
        for assoc in self._peers:
            if assoc.is_established:
                assoc.release()
        self._ae.shutdown()
        self.archive.close()


def with_meta(ds: Dataset) -> Dataset:
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = EXPLICIT
    return ds


@pytest.fixture
def site(location: str, tmp_path: Path) -> Iterator[Site]:
    made = Site(location, tmp_path / "objects")
    yield made
    made.close()


def ask(assoc: Any, operation: str, identifier: Any, root: str = STUDY_ROOT) -> list[Any]:
    """All responses to an operation."""
    model = f"{root}{OPERATIONS[operation]}"
    if operation == "C-MOVE":
        return list(assoc.send_c_move(identifier, "NOWHERE", model))
    send = assoc.send_c_find if operation == "C-FIND" else assoc.send_c_get
    return list(send(identifier, model))


def keys(level: str | None, **values: Any) -> Dataset:
    ds = Dataset()
    if level is not None:
        ds.QueryRetrieveLevel = level
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def studies(answers: list[Any]) -> list[str]:
    assert answers[-1][0].Status == 0x0000, answers[-1][0]
    return [str(match.StudyInstanceUID) for _, match in answers[:-1]]


def element(tag: int, vr: bytes, value: bytes, length: int | None = None) -> bytes:
    head = struct.pack("<HH", tag >> 16, tag & 0xFFFF)
    return head + vr + struct.pack("<H", len(value) if length is None else length) + value


LEVEL = element(0x00080052, b"CS", b"STUDY ")


# Identifiers

UNDECODABLE = {
    "nothing": b"",
    "it overruns": LEVEL + element(0x0020000D, b"UI", b"1.2\0", 400),
    "half a header": LEVEL + struct.pack("<HH2sH", 0x0020, 0x000D, b"OB", 0),
    "no VR": LEVEL + element(0x0020000D, b"\x00\x01", b"1.2\0"),
    "noise": bytes(range(256)),
    "a sequence without end": LEVEL + struct.pack("<HH2sHI", 0x0040, 0x0100, b"SQ", 0, 0xFFFFFFFF),
}


@pytest.mark.parametrize("operation", OPERATIONS)
@pytest.mark.parametrize("name", UNDECODABLE)
def test_an_identifier_that_does_not_decode(site: Site, operation: str, name: str) -> None:
    site.feed(make())
    assoc = site.associate()
    answers = ask(assoc, operation, InMemory(UNDECODABLE[name], EXPLICIT))
    ((status, found),) = answers
    assert status.Status in (0xA900, 0xC310, 0xC410, 0xC510), hex(status.Status)
    assert status.ErrorComment
    # A refused retrieve has an empty list of what has failed.
    assert found is None or [str(one.value or "") for one in found] == [""]
    assert studies(ask(assoc, "C-FIND", keys("STUDY"))) == ["1.2.1"], "the association goes on"


ODD = {
    # what is no fault: stray bytes, and a value of another length than its VR has
    "stray bytes": LEVEL + b"\x20\x00\x0d",
    "a number that is none": LEVEL + element(0x00280010, b"US", b"abcd"),
}


@pytest.mark.parametrize("name", ODD)
def test_an_identifier_that_is_odd(site: Site, name: str) -> None:
    site.feed(make())
    answers = ask(site.associate(), "C-FIND", InMemory(ODD[name], EXPLICIT))
    assert studies(answers) == ["1.2.1"]


@pytest.mark.parametrize(
    ("operations", "root", "identifier", "tag"),
    [
        (OPERATIONS, STUDY_ROOT, keys(None, StudyInstanceUID="1"), 0x00080052),
        (OPERATIONS, STUDY_ROOT, keys("", StudyInstanceUID="1"), 0x00080052),
        (OPERATIONS, STUDY_ROOT, keys("PATIENT", PatientID="1"), 0x00080052),
        (OPERATIONS, STUDY_ROOT, keys("FRAME", StudyInstanceUID="1"), 0x00080052),
        (OPERATIONS, STUDY_ROOT, keys(["STUDY", "SERIES"], StudyInstanceUID="1"), 0x00080052),
        (OPERATIONS, STUDY_ROOT, keys("SERIES"), 0x0020000D),
        (OPERATIONS, STUDY_ROOT, keys("SERIES", StudyInstanceUID=["1", "2"]), 0x0020000D),
        (OPERATIONS, STUDY_ROOT, keys("IMAGE", StudyInstanceUID="1"), 0x0020000E),
        (OPERATIONS, STUDY_ROOT, keys("SERIES", StudyInstanceUID="1.*"), 0x0020000D),
        (OPERATIONS, STUDY_ROOT, keys("SERIES", StudyInstanceUID="*"), 0x0020000D),
        (OPERATIONS, PATIENT_ROOT, keys("STUDY"), 0x00100020),
        (OPERATIONS, PATIENT_ROOT, keys("STUDY", PatientID="P?"), 0x00100020),
        (["C-MOVE", "C-GET"], STUDY_ROOT, keys("STUDY"), 0x0020000D),
        (["C-MOVE", "C-GET"], STUDY_ROOT, keys("STUDY", StudyInstanceUID="*"), 0x0020000D),
        (["C-MOVE", "C-GET"], STUDY_ROOT, keys("STUDY", StudyInstanceUID="1.2?"), 0x0020000D),
        (["C-MOVE", "C-GET"], PATIENT_ROOT, keys("PATIENT", PatientID="*"), 0x00100020),
        (["C-FIND"], STUDY_ROOT, keys("STUDY", StudyDate="2020-01-01"), 0x00080020),
        (["C-FIND"], STUDY_ROOT, keys("STUDY", StudyDate="20200101-x"), 0x00080020),
        (["C-FIND"], STUDY_ROOT, keys("STUDY", StudyTime="25 o'clock"), 0x00080030),
    ],
)
def test_an_identifier_that_does_not_match(
    site: Site, operations: Any, root: str, identifier: Dataset, tag: int
) -> None:
    site.feed(make())
    assoc = site.associate()
    for operation in operations:
        ((status, _),) = ask(assoc, operation, identifier, root)
        assert status.Status == 0xA900, operation
        assert status.ErrorComment
        assert status.OffendingElement == tag
    assert site.got == []
    assert studies(ask(assoc, "C-FIND", keys("STUDY"))) == ["1.2.1"]


def test_keys_that_nobody_knows(site: Site) -> None:
    """Matches say that not all keys were looked at, and have those that were."""
    site.feed(make())
    identifier = keys("STUDY", PatientName="", InterpretationText="x", ProcedureCodeSequence=[])
    identifier.add_new(0x00091001, "LO", "private")
    identifier.add_new(0x00200ABC, "UN", b"what is this")
    (status, match), (last, _) = ask(site.associate(), "C-FIND", identifier)
    assert (status.Status, last.Status) == (0xFF01, 0x0000)
    assert (match.StudyInstanceUID, match.PatientName) == ("1.2.1", "Doe^Jane")
    assert "InterpretationText" not in match


@pytest.mark.parametrize("syntax", [IMPLICIT, EXPLICIT])
def test_a_list_of_very_many_uids(site: Site, syntax: str) -> None:
    """Explicit VR has no UI of that length: it goes out as UN."""
    site.feed(
        *(make(n, StudyInstanceUID=f"1.2.{n}.1", SeriesInstanceUID=f"1.{n}") for n in range(4))
    )
    uids = [f"1.2.826.0.1.3680043.8.498.{n}" for n in range(MANY)]
    uids[0], uids[MANY // 2], uids[-1] = "1.2.0.1", "1.2.2.1", "1.2.3.1"
    assoc = site.associate(syntax)
    identifier = keys("STUDY", StudyInstanceUID=uids)
    assert studies(ask(assoc, "C-FIND", identifier)) == ["1.2.0.1", "1.2.2.1", "1.2.3.1"]
    status, _ = ask(assoc, "C-GET", identifier)[-1]
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 3)
    assert sorted(ds.SOPInstanceUID for ds in site.got) == ["1.2.3.0", "1.2.3.2", "1.2.3.3"]


# Objects


def test_the_same_object_twice(site: Site) -> None:
    """Equal or not, the first one stays: it is found and sent, and no byte of the other is lost."""
    first, other = make(1), make(1, PatientName="Roe^Richard")
    assert site.feed(first, first, other, other, first) == [0x0000] * 5
    assert site.archive.index.count("IMAGE") == 1
    assoc = site.associate()
    (_, match), _ = ask(assoc, "C-FIND", keys("STUDY", PatientName=""))
    assert match.PatientName == "Doe^Jane"
    status, _ = ask(assoc, "C-GET", keys("STUDY", StudyInstanceUID="1.2.1"))[-1]
    assert status.NumberOfCompletedSuboperations == 1
    assert [ds.PatientName for ds in site.got] == ["Doe^Jane"]
    kept = [one for folder, _ in site.store.folders() for one in site.store.list(folder)]
    assert [one.partition("/")[2] for one in kept] == ["1.2.3.1.dcm", "1.2.3.1_2.dcm"]


def test_a_study_of_two_patients(site: Site) -> None:
    """It is two studies: nobody's images are found, or sent, as those of the other one."""
    site.feed(
        make(1, PatientID="P1", PatientName="Doe^Jane"),
        make(2, PatientID="P2", PatientName="Roe^Richard"),
        make(3, PatientID="P1", PatientName="Doe^Jane", IssuerOfPatientID="ELSEWHERE"),
    )
    assoc = site.associate()
    shown = {"PatientName": "", "PatientID": "", "NumberOfStudyRelatedInstances": ""}
    answers = ask(assoc, "C-FIND", keys("STUDY", StudyInstanceUID="1.2.1", **shown))
    assert [
        (match.PatientID, match.PatientName, match.NumberOfStudyRelatedInstances)
        for _, match in answers[:-1]
    ] == [("P1", "Doe^Jane", 1), ("P2", "Roe^Richard", 1), ("P1", "Doe^Jane", 1)]
    ask(assoc, "C-GET", keys("STUDY", PatientID="P2", StudyInstanceUID="1.2.1"), PATIENT_ROOT)
    assert [ds.PatientName for ds in site.got] == ["Roe^Richard"]


@pytest.mark.parametrize(
    "harm",
    [Path.unlink, lambda path: path.write_bytes(path.read_bytes()[:-10]), Path.touch],
    ids=["removed", "cut off", "untouched"],
)
def test_objects_that_are_harmed_behind_its_back(site: Site, harm: Callable[[Path], Any]) -> None:
    """They fail and are listed, the rest is sent."""
    site.feed(*(make(number, ImageComments="x" * 800) for number in (1, 2, 3)))
    places = {one.sop_instance_uid: one.location for one in site.archive.index.everything()}
    harm(Path(site.store.path(places["1.2.3.2"])))
    status, failed = ask(site.associate(), "C-GET", keys("STUDY", StudyInstanceUID="1.2.1"))[-1]
    if harm is Path.touch:
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 3)
        return
    assert status.Status == 0xB000
    assert status.NumberOfCompletedSuboperations == 2
    assert status.NumberOfFailedSuboperations == 1
    assert failed.FailedSOPInstanceUIDList == "1.2.3.2"
    assert [ds.SOPInstanceUID for ds in site.got] == ["1.2.3.1", "1.2.3.3"]


def test_objects_that_are_gone_all(site: Site) -> None:
    site.feed(make(1), make(2))
    for path in Path(site.config.instance_location).rglob("*.dcm"):
        path.unlink()
    assoc = site.associate()
    status, failed = ask(assoc, "C-GET", keys("STUDY", StudyInstanceUID="1.2.1"))[-1]
    assert (status.Status, status.NumberOfFailedSuboperations) == (0xA702, 2)
    assert list(failed.FailedSOPInstanceUIDList) == ["1.2.3.1", "1.2.3.2"]
    assert site.got == []
    assert site.feed(make(1)) == [0x0000], "it can be stored again"
    status, _ = ask(assoc, "C-GET", keys("STUDY", StudyInstanceUID="1.2.1"))[-1]
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0xB000, 1)


# The index


@pytest.mark.parametrize("location", ["postgresql"], indirect=True)
def test_a_database_that_ends_connections(location: str, tmp_path: Path) -> None:
    """As when its server is started again: what comes next has new ones."""
    url = sa.make_url(location)
    engine = sa.create_engine(url, poolclass=sa.NullPool)
    named = url.update_query_dict({"application_name": "to be ended"})
    end = sa.text(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
        " WHERE application_name = 'to be ended'"
    )
    site = Site(named.render_as_string(hide_password=False), tmp_path / "objects")
    try:
        site.feed(make(1))
        assoc = site.associate()
        assert studies(ask(assoc, "C-FIND", keys("STUDY"))) == ["1.2.1"]
        with engine.connect() as connection:
            assert connection.execute(end).all()
        assert site.feed(make(2, StudyInstanceUID="1.2.5")) == [0x0000]
        assert studies(ask(assoc, "C-FIND", keys("STUDY"))) == ["1.2.1", "1.2.5"]
    finally:
        site.close()


def test_an_index_of_the_future(location: str, run_app: RunApp, tmp_path: Path) -> None:
    """It is left alone, and so are the objects; the archive says what to do and ends."""
    database = Database(location)
    database.write(
        lambda c: c.execute(schema.setting.update().values(value=str(schema.VERSION + 1)))
    )
    database.close()
    store = FileStore(str(tmp_path / "objects"))
    kept = Path(store.path("abc/1.2.3.dcm"))
    kept.parent.mkdir()
    kept.write_bytes(b"not read")
    result = run_app(
        "qrscp", "--port", 0, "--database-location", location,
        "--instance-location", tmp_path / "objects",
    )  # fmt: skip
    assert result.returncode == 1
    assert f"the index is of version {schema.VERSION + 1}" in result.stderr
    assert kept.read_bytes() == b"not read"


def test_a_key_that_is_misspelt(run_app: RunApp, tmp_path: Path) -> None:
    config = tmp_path / "q.toml"
    config.write_text('[archive]\nae_tilte = "ME"\n')
    result = run_app("qrscp", "-c", config)
    assert result.returncode == 1
    assert (
        f"{config}: [archive] ae_tilte: there is no such key; there are ae_title" in result.stderr
    )
    assert not (tmp_path / "instances").exists()
