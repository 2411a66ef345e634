"""The archive's answers, by handlers that are called with events."""

from __future__ import annotations

import errno
import hashlib
import os
import shutil
import socket
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from fsspec.implementations.memory import MemoryFileSystem
from pydicom.config import IGNORE
from pydicom.dataelem import DataElement
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom import AE
from pynetdicom.apps.archive import worklist
from pynetdicom.apps.archive.check import check
from pynetdicom.apps.archive.config import Config, Peer
from pynetdicom.apps.archive.handlers import Archive, contexts_for
from pynetdicom.apps.qrscp import make_ae
from pynetdicom.errors import TruncatedFile
from pynetdicom.services.instances import take
from pynetdicom.workflows.values import clean
from tests.apps.archive.conftest import CT, EXPLICIT, MakeEvent, assoc, make

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
PEERS = {"STORES": Peer("STORES"), "DEST": Peer("DEST", "192.0.2.1", 104)}


@pytest.fixture
def archive(tmp_path: Path) -> Iterator[Archive]:
    config = Config(
        instance_location=str(tmp_path / "objects"),
        database_location=str(tmp_path / "index.sqlite"),
        peers=PEERS,
    )
    opened = Archive(config)
    yield opened
    opened.close()


def request(name: str, identifier: Dataset, calling: str, destination: str = "DEST") -> Any:
    """A request with an identifier, as far as a handler looks at it."""
    number = {"C-FIND": 1, "C-MOVE": 2, "C-GET": 3}[name]
    return SimpleNamespace(
        request=SimpleNamespace(name=name),
        identifier=identifier,
        is_cancelled=False,
        move_destination=destination,
        context=SimpleNamespace(
            abstract_syntax=f"{PATIENT_ROOT}{number}", transfer_syntax=EXPLICIT
        ),
        assoc=assoc(calling),
    )


def of_level(level: str | None, **keys: Any) -> Dataset:
    ds = Dataset()
    if level is not None:
        ds.QueryRetrieveLevel = level
    for keyword, value in keys.items():
        setattr(ds, keyword, value)
    return ds


def files(archive: Archive) -> list[str]:
    store = archive.store_of_objects
    return sorted(one for folder, _ in store.folders() for one in store.list(folder))


def code(status: Any) -> int:
    return int(status if isinstance(status, int) else status.Status)


def test_what_came_with_the_beginning_of_an_element(
    archive: Archive, store_event: MakeEvent
) -> None:
    """It was answered with success, so it is sent; another file that ends so was cut off."""
    assert code(archive.store(store_event(make(), calling="STORES"))) == 0x0000
    _, (_, path) = archive.get(request("C-GET", of_level("PATIENT", PatientID="P1"), "DEST"))
    data = Path(path).read_bytes()
    for stray in (b"\xe0\x7f", b"\xe0\x7f\x10\0O"):
        Path(path).write_bytes(data + stray)
        assert take(path).sop_instance == "1.2.3.1"
        with pytest.raises(TruncatedFile):
            take(str(path))


def test_each_operation(archive: Archive, store_event: MakeEvent) -> None:
    assert code(archive.store(store_event(make(), calling="STORES"))) == 0x0000
    identifier = of_level("PATIENT", PatientID="P1")
    ((status, match),) = archive.find(request("C-FIND", identifier, "FINDS"))
    assert (code(status), match.PatientID) == (0xFF00, "P1")
    count, (status, path) = archive.get(request("C-GET", identifier, "DEST"))
    assert (count, code(status)) == (1, 0xFF00)
    assert path.endswith("1.2.3.1.dcm")
    where, count, (status, path) = archive.move(request("C-MOVE", identifier, "DEST"))
    assert (where[:2], count, code(status)) == (("192.0.2.1", 104), 1, 0xFF00)
    assert path.endswith("1.2.3.1.dcm")


@pytest.mark.parametrize("destination", ["NOBODY", "STORES", "", "dest"])
def test_a_destination_that_is_not_known(archive: Archive, destination: str) -> None:
    identifier = of_level("PATIENT", PatientID="P1")
    event = request("C-MOVE", identifier, "DEST", destination)
    assert list(archive.move(event)) == [(None, None)]


@pytest.mark.parametrize("uid", ["../../x", "1.2/3", "", "..", "1.2.x", "1" * 65, "1.2\n", "١.٢"])
def test_a_uid_that_is_no_uid(archive: Archive, store_event: MakeEvent, uid: str) -> None:
    event = store_event(make(), calling="STORES")
    event.request.AffectedSOPInstanceUID = uid
    assert code(archive.store(event)) == 0x0117
    assert (files(archive), archive.index.count("IMAGE")) == ([], 0)


@pytest.mark.parametrize("uid", ["../../x", "1.2/3", "..", "1.2.x", "a b"])
def test_a_uid_that_is_hashed(
    archive: Archive, store_event: MakeEvent, uid: str, caplog: pytest.LogCaptureFixture
) -> None:
    """It is found and sent by what it is, and by nothing else."""
    archive.config = replace(archive.config, hash_uids=True)
    caplog.set_level("INFO")

    def send(**values: Any) -> int:
        ds = make(2, **values)
        ds["SOPInstanceUID"]._value = uid
        return code(archive.store(store_event(ds, calling="STORES")))

    stem = f"sha256-{hashlib.sha256(uid.encode()).hexdigest()}"
    assert code(archive.store(store_event(make(1), calling="STORES"))) == 0x0000
    assert [send(), send(), send(PatientName="Other"), send(PatientName="Other")] == [0x0000] * 4
    stored = {one.partition("/")[2] for one in files(archive)}
    assert stored == {"1.2.3.1.dcm", f"{stem}.dcm", f"{stem}_2.dcm"}
    # Those that are there are still found when no more are taken.
    archive.config = replace(archive.config, hash_uids=False)
    assert send() == 0x0117
    ours = [one for one in caplog.records if one.name.startswith("pynetdicom")]
    assert len(ours) == 6
    assert not any(uid in one.getMessage() for one in ours)
    above = {"PatientID": "P1", "StudyInstanceUID": "1.2.1", "SeriesInstanceUID": "1.2.2"}
    for wanted, found in ((uid, [uid]), (stem, []), ("", ["1.2.3.1", uid])):
        identifier = of_level("IMAGE", **above)
        identifier.add(DataElement("SOPInstanceUID", "UI", wanted, validation_mode=IGNORE))
        matches = list(archive.find(request("C-FIND", identifier, "FINDS")))
        assert [clean(match.SOPInstanceUID) for _, match in matches] == found
        if wanted:
            count, *sent = archive.get(request("C-GET", identifier, "DEST"))
            assert count == len(sent) == len(found)
            assert all(path.endswith(f"/{stem}.dcm") for _, path in sent)
    assert check(archive.index, archive.store_of_objects, full=True)[1:] == (0, 0, 0)
    archive.index.clear()
    assert check(archive.index, archive.store_of_objects)[1:] == (3, 0, 0)
    location = archive.index.location_of(uid)
    assert location is not None
    assert location.endswith(f"/{stem}.dcm"), "the first copy"


@pytest.mark.parametrize("uid", ["", "1" * 65, "1.2\n3", "1\x002", "\xe9.1"])
def test_a_uid_that_nobody_could_get(archive: Archive, store_event: MakeEvent, uid: str) -> None:
    archive.config = replace(archive.config, hash_uids=True)
    event = store_event(make(1), calling="STORES")
    event.request.AffectedSOPInstanceUID = uid
    assert code(archive.store(event)) == 0x0117
    assert (files(archive), archive.index.count("IMAGE")) == ([], 0)


def test_several_uids(archive: Archive, store_event: MakeEvent) -> None:
    archive.config = replace(archive.config, hash_uids=True)
    ds = make(1)
    ds["SOPInstanceUID"]._value = "1.2\\3"
    assert code(archive.store(store_event(ds, calling="STORES"))) == 0xA900
    assert (files(archive), archive.index.count("IMAGE")) == ([], 0)


def test_another_uid_than_that_of_the_data_set(archive: Archive, store_event: MakeEvent) -> None:
    event = store_event(make(1), calling="STORES")
    event.request.AffectedSOPInstanceUID = "1.2.3.2"
    assert code(archive.store(event)) == 0xA900
    assert files(archive) == []


@pytest.mark.parametrize("keyword", ["StudyInstanceUID", "SeriesInstanceUID"])
def test_what_cannot_be_indexed_is_not_kept(
    archive: Archive, store_event: MakeEvent, keyword: str
) -> None:
    ds = make()
    delattr(ds, keyword)
    assert code(archive.store(store_event(ds, calling="STORES"))) == 0xA900
    assert files(archive) == []


def test_other_bytes_are_kept_beside(
    archive: Archive, store_event: MakeEvent, caplog: pytest.LogCaptureFixture
) -> None:
    for name in ("Doe^Jane", "Roe^Richard", "Doe^Jane", "Roe^Richard"):
        event = store_event(make(PatientName=name), calling="STORES")
        assert code(archive.store(event)) == 0x0000
    assert [one.partition("/")[2] for one in files(archive)] == ["1.2.3.1.dcm", "1.2.3.1_2.dcm"]
    (one,) = archive.index.everything()
    assert one.location.endswith("/1.2.3.1.dcm"), "the first one is found"
    assert caplog.text.count("differs from what is stored already") == 1
    assert "Roe" not in caplog.text


def test_a_full_disk(
    archive: Archive, store_event: MakeEvent, monkeypatch: pytest.MonkeyPatch
) -> None:
    event = store_event(make(), calling="STORES")

    def full(*arguments: Any, **named: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(event, "save_as", full, raising=False)
    assert code(archive.store(event)) == 0xA700
    assert (files(archive), archive.index.count("IMAGE")) == ([], 0)
    assert code(archive.store(store_event(make(), calling="STORES"))) == 0x0000


def test_an_index_that_fails(archive: Archive, store_event: MakeEvent) -> None:
    """What cannot be indexed is not acknowledged; sent again, it is."""
    with archive.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE instance RENAME TO away")
    assert code(archive.store(store_event(make(), calling="STORES"))) == 0xA700
    identifier = of_level("IMAGE", PatientID="P1", StudyInstanceUID="1.2.1")
    identifier.SeriesInstanceUID = "1.2.2"
    ((status, _),) = archive.find(request("C-FIND", identifier, "FINDS"))
    assert code(status) == 0xA700
    ((status, _),) = archive.move(request("C-MOVE", identifier, "DEST"))
    assert code(status) in (0xA701, 0xA900)
    with archive.database.engine.begin() as connection:
        connection.exec_driver_sql("ALTER TABLE away RENAME TO instance")
    assert code(archive.store(store_event(make(), calling="STORES"))) == 0x0000
    assert archive.index.count("IMAGE") == 1


@pytest.mark.parametrize("level", [None, "", "NONSENSE", "STUDY\\SERIES"])
@pytest.mark.parametrize("name", ["C-FIND", "C-GET", "C-MOVE"])
def test_no_level(archive: Archive, name: str, level: str | None) -> None:
    calling = "FINDS" if name == "C-FIND" else "DEST"
    handler = {"C-FIND": archive.find, "C-GET": archive.get, "C-MOVE": archive.move}[name]
    identifier = of_level(level and level.split("\\") if level else level, PatientID="P1")
    ((status, found),) = handler(request(name, identifier, calling))
    assert (code(status), found) == (0xA900, None)
    assert status.OffendingElement == 0x00080052


def test_a_file_that_is_gone_is_reported(archive: Archive, store_event: MakeEvent) -> None:
    for number in (1, 2):
        archive.store(store_event(make(number), calling="STORES"))
    store: Any = archive.store_of_objects
    Path(store.path(next(one for one in files(archive) if "1.2.3.1.dcm" in one))).unlink()
    count, *sent, (status, failed) = archive.get(
        request("C-GET", of_level("PATIENT", PatientID="P1"), "DEST")
    )
    assert count == 2
    assert sorted(path is None for _, path in sent) == [False, True]
    assert code(status) == 0x0000, "which the library makes a warning"
    assert failed.FailedSOPInstanceUIDList == "1.2.3.1" or list(
        failed.FailedSOPInstanceUIDList
    ) == ["1.2.3.1"]


# Extended negotiation, and the worklist


@pytest.mark.parametrize(
    ("sop_class", "asked", "answer"),
    [
        (f"{PATIENT_ROOT}1", b"\1\1\1\1\1", b"\1\1\1\0\0"),
        (f"{PATIENT_ROOT}1", b"\0\1", b"\0\1"),
        (f"{PATIENT_ROOT}2", b"\1\1", b"\1\0"),
        (f"{PATIENT_ROOT}3", b"\1\1\1", b"\1\0"),
        (worklist.SOP_CLASS, b"\1\1\1\1", b"\1\1\1\0"),
        (worklist.SOP_CLASS, b"\1\1", b"\1\1"),
        (f"{PATIENT_ROOT}1", b"", b""),
        ("1.2.840.10008.1.1", b"\1", None),
    ],
)
def test_what_is_agreed_to(
    archive: Archive, sop_class: str, asked: bytes, answer: bytes | None
) -> None:
    event: Any = SimpleNamespace(app_info={sop_class: asked})
    assert archive.negotiate(event).get(sop_class) == answer


@pytest.mark.parametrize(
    ("date", "time", "found"),
    [
        # From 10 h of the first day to 18 h of the last one: not from 10 to 18 h of each day.
        ("20240105-20240107", "1000-1800", ["2", "3"]),
        ("20240105-20240107", "", ["1", "2", "3", "4"]),
        ("20240106", "", ["2"]),
    ],
)
def test_the_start_of_a_step_is_one_point_in_time(
    tmp_path: Path, date: str, time: str, found: list[str]
) -> None:
    directory = tmp_path / "worklist"
    directory.mkdir()
    starts = [
        ("20240105", "0900"),
        ("20240106", "2200"),
        ("20240107", "0700"),
        ("20240107", "1900"),
    ]
    for number, (day, hour) in enumerate(starts, 1):
        step = Dataset()
        step.ScheduledProcedureStepStartDate, step.ScheduledProcedureStepStartTime = day, hour
        item = Dataset()
        item.SOPClassUID, item.SOPInstanceUID = worklist.SOP_CLASS, f"1.2.{number}"
        item.PatientID = str(number)
        item.ScheduledProcedureStepSequence = [step]
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.save_as(directory / f"{number}.wl", enforce_file_format=True)
    keys, query = Dataset(), Dataset()
    keys.ScheduledProcedureStepStartDate, keys.ScheduledProcedureStepStartTime = date, time
    query.PatientID = ""
    query.ScheduledProcedureStepSequence = [keys]
    event = request("C-FIND", query, "FINDS")
    event.context.abstract_syntax = worklist.SOP_CLASS
    config = Config(
        instance_location=str(tmp_path / "objects"),
        database_location=str(tmp_path / "index.sqlite"),
        worklist_directory=str(directory),
    )
    archive = Archive(config)
    try:
        assert [match.PatientID for _, match in archive.find(event)] == found
    finally:
        archive.close()


def test_a_worklist_that_disappears(tmp_path: Path) -> None:
    """An empty worklist would be an answer, and no true one."""
    directory = tmp_path / "worklist"
    config = Config(
        instance_location=str(tmp_path / "objects"),
        database_location=str(tmp_path / "index.sqlite"),
        worklist_directory=str(directory),
    )
    archive = Archive(config)
    event = request("C-FIND", Dataset(), "FINDS")
    event.context.abstract_syntax = worklist.SOP_CLASS

    def answered() -> list[tuple[int, str]]:
        return [(code(status), status.ErrorComment) for status, _ in archive.find(event)]

    try:
        assert answered() == [(0xA700, "The worklist cannot be read")]
        directory.touch()
        assert answered() == [(0xA700, "The worklist cannot be read")]
        directory.unlink()
        directory.mkdir()
        assert answered() == []
        # In the midst of it: the files were there when the directory was listed.
        for name in ("1.wl", "2.wl"):
            (directory / name).touch()
        real = worklist.read

        def disappear(path: str) -> Dataset | None:
            shutil.rmtree(directory, ignore_errors=True)
            return real(path)

        worklist.read = disappear
        try:
            assert answered() == [(0xA700, "The worklist cannot be read")]
        finally:
            worklist.read = real
    finally:
        archive.close()


class Down(Exception):
    """What a store says that is down; each has exceptions of its own."""


@pytest.mark.parametrize("method", ["exists", "makedirs", "put_file", "info"])
def test_a_store_that_is_down(
    tmp_path: Path, store_event: MakeEvent, monkeypatch: pytest.MonkeyPatch, method: str
) -> None:
    config = Config(
        instance_location="memory://down", database_location=str(tmp_path / "index.sqlite")
    )
    archive = Archive(config)

    def fail(*arguments: Any, **named: Any) -> None:
        raise Down("credentials expired")

    try:
        assert code(archive.store(store_event(make(1)))) == 0x0000
        with monkeypatch.context() as patched:
            for name in {method, "get_file"}:
                patched.setattr(MemoryFileSystem, name, fail, raising=False)
            status = archive.store(store_event(make(2)))
            assert (code(status), status.ErrorComment) == (0xA700, "Cannot be stored")
            found = list(archive.find(request("C-FIND", of_level("PATIENT", PatientID=""), "X")))
            assert [code(status) for status, _ in found] == [0xFF00]
            count, sent, (status, failed) = archive.get(
                request("C-GET", of_level("PATIENT", PatientID="P1"), "X")
            )
            assert (count, sent) == (1, (0xFF00, None))
            assert failed.FailedSOPInstanceUIDList in ("1.2.3.1", ["1.2.3.1"])
        assert code(archive.store(store_event(make(2)))) == 0x0000
    finally:
        archive.store_of_objects.clear()
        archive.close()


def test_a_folder_that_somebody_has_taken_away(archive: Archive, store_event: MakeEvent) -> None:
    for _ in range(2):
        assert code(archive.store(store_event(make(1), calling="STORES"))) == 0x0000
        store: Any = archive.store_of_objects
        for name, _ in list(store.folders()):
            shutil.rmtree(store.path(name))


def test_an_identifier_that_is_too_long(archive: Archive) -> None:
    event = request("C-FIND", of_level("STUDY"), "FINDS")
    event.request.data_set = SimpleNamespace(size=(1 << 20) + 1)
    ((status, _),) = archive.find(event)
    assert (code(status), status.ErrorComment) == (
        0xA900,
        "An identifier of more than 1048576 bytes",
    )


def test_a_destination_is_proposed_all_that_it_will_be_sent() -> None:
    """Compressed as it is, the rest in other uncompressed encodings too; all 200 kinds of it."""
    implicit, explicit = "1.2.840.10008.1.2", "1.2.840.10008.1.2.1"
    kinds = [(f"1.2.{n}", f"1.2.840.10008.1.2.4.{50 + n % 2}") for n in range(150)]
    kinds += [(f"1.3.{n}", (explicit, implicit)[n % 2]) for n in range(50)]
    contexts = contexts_for(kinds)
    proposed = {(str(c.abstract_syntax), tuple(map(str, c.transfer_syntax))) for c in contexts}
    assert {(sop_class, (syntax,)) for sop_class, syntax in kinds} <= proposed
    assert {(f"1.3.{n}", ((implicit, explicit)[n % 2],)) for n in range(50)} <= proposed
    assert len(contexts) == 150 + 2 * 50
    assert contexts_for([]) == []


# Destinations


def silent_port() -> int:
    """A port of this machine that nobody listens on."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
        return port


def test_a_destination_that_cannot_be_reached(tmp_path: Path, store_event: MakeEvent) -> None:
    """It is known, so 0xA801 would be wrong: 0xA702, and why, but not where to."""
    picky = AE("PICKY")
    picky.add_supported_context(CT)
    picky.require_called_aet = True
    refuses = picky.start_server(("127.0.0.1", 0), block=False)
    assert refuses is not None
    config = Config(
        bind_address="127.0.0.1",
        instance_location=str(tmp_path / "objects"),
        database_location=str(tmp_path / "index.sqlite"),
        peers={
            "SILENT": Peer("SILENT", "127.0.0.1", silent_port()),
            "REFUSES": Peer("REFUSES", "127.0.0.1", refuses.server_address[1]),
            "NOADDRESS": Peer("NOADDRESS"),
        },
    )
    archive = Archive(config)
    for number in (1, 2, 3):
        archive.store(store_event(make(number)))
    ae = make_ae(config)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=archive.handlers())
    assert server is not None
    scu = AE("SCU")
    scu.add_requested_context(f"{PATIENT_ROOT}2")
    assoc = scu.associate("127.0.0.1", server.server_address[1])
    try:
        answers = {}
        for title in ("SILENT", "REFUSES", "NOADDRESS", "UNKNOWN"):
            identifier = of_level("PATIENT", PatientID="P1")
            *_, (status, _) = assoc.send_c_move(identifier, title, f"{PATIENT_ROOT}2")
            failed = status.get("NumberOfFailedSuboperations")
            answers[title] = (status.Status, status.ErrorComment, failed)
        assert answers["SILENT"] == (
            0xA702,
            f"The move destination cannot be reached: {os.strerror(errno.ECONNREFUSED)}",
            3,
        )
        assert answers["REFUSES"] == (
            0xA702,
            "The move destination refuses: called AE title not recognised",
            3,
        )
        unknown = (0xA801, "Unknown move destination", None)
        assert answers["NOADDRESS"] == answers["UNKNOWN"] == unknown
        assert assoc.is_established
    finally:
        assoc.release()
        ae.shutdown()
        picky.shutdown()
        archive.close()
