"""Queries and retrieval by us, of DCMTK's archive (dcmqrscp) and worklist server (wlmscpfs)."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from tests.conftest import find_free_port
from tests.interop.test_other_tools import tool
from tests.interop.test_store_scu import (
    ae_for,
    assert_same_elements,
    bundled,
    read,
    sendable,
)
from tests.peers import DEADLINE, Call

__all__ = ["tool"]  # a fixture

UNCOMPRESSED = ("1.2.840.10008.1.2", "1.2.840.10008.1.2.1")
FIND = PatientRootQueryRetrieveInformationModelFind
GET = PatientRootQueryRetrieveInformationModelGet
MOVE = PatientRootQueryRetrieveInformationModelMove
MATCHES = 60


class Archive:
    """DCMTK's dcmqrscp, which may move to the AE ``STORESCP`` on `store_port`."""

    def __init__(self, tool: Any, directory: Path) -> None:
        self.directory = directory / "archive"
        self.directory.mkdir()
        self.port = find_free_port()
        self.store_port = find_free_port()
        config = directory / "dcmqrscp.cfg"
        config.write_text(
            f"NetworkTCPPort = {self.port}\nMaxPDUSize = 16384\nMaxAssociations = 4\n"
            f"HostTable BEGIN\nours = (STORESCP, 127.0.0.1, {self.store_port})\nHostTable END\n"
            "VendorTable BEGIN\nVendorTable END\n"
            f"AETable BEGIN\nARCHIVE {self.directory} RW (500, 1024mb) ANY\nAETable END\n"
        )
        self.process = tool("dcmqrscp").start(
            "dcmqrscp", "-v", "-c", config, port=self.port, directory=self.directory
        )

    def associate(self, ae: AE, **kwargs: Any) -> Any:
        assoc = ae.associate("127.0.0.1", self.port, ae_title="ARCHIVE", **kwargs)
        assert assoc.is_established, assoc.ended
        return assoc

    def feed(self, datasets: list[Any]) -> list[Any]:
        """Store what it takes; returns that."""
        ae = ae_for([])
        contexts = {(str(ds.SOPClassUID), str(ds.file_meta.TransferSyntaxUID)) for ds in datasets}
        for sop_class, syntax in contexts:
            ae.add_requested_context(sop_class, syntax)
        assoc = self.associate(ae)
        accepted = {context.abstract_syntax for context in assoc.accepted_contexts}
        datasets = [ds for ds in datasets if ds.SOPClassUID in accepted]
        for ds in datasets:
            assert assoc.send_c_store(ds).Status == 0x0000
        assoc.release()
        return datasets


@pytest.fixture
def archive(tool: Any, tmp_path: Path) -> Archive:
    return Archive(tool, tmp_path)


def uncompressed() -> list[Any]:
    """What is bundled in an uncompressed transfer syntax, and can be asked for."""
    found = {}
    for path in sendable():
        ds = bundled(path)
        keys = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
        if ds.file_meta.get("TransferSyntaxUID") in UNCOMPRESSED and all(map(ds.get, keys)):
            found[str(ds.SOPInstanceUID)] = ds
    return list(found.values())


def many(count: int, name: str) -> list[Any]:
    """Instances of as many studies of one patient."""
    datasets = []
    for number in range(count):
        ds = Dataset()
        ds.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
        ds.SOPInstanceUID = generate_uid()
        ds.StudyInstanceUID = generate_uid()
        ds.SeriesInstanceUID = generate_uid()
        ds.PatientName = name
        ds.PatientID = name
        ds.StudyID = str(number)
        ds.StudyDate = "20200101"
        ds.StudyTime = "120000"
        ds.AccessionNumber = str(number)
        ds.SeriesNumber = 1
        ds.InstanceNumber = 1
        ds.Modality = "OT"
        ds.file_meta = FileMetaDataset()
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        datasets.append(ds)
    return datasets


def querying(*models: str) -> AE:
    ae = AE("QUERY")
    ae.dimse_timeout = ae.acse_timeout = DEADLINE
    for model in models:
        ae.add_requested_context(model)
    return ae


def studies_of(name: str) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientID = name
    ds.PatientName = None
    ds.StudyInstanceUID = None
    ds.StudyID = None
    return ds


def whole(ds: Any, level: str = "IMAGE") -> Dataset:
    """An identifier for the instance, or for what it belongs to."""
    identifier = Dataset()
    identifier.QueryRetrieveLevel = level
    identifier.PatientID = ds.PatientID
    if level != "PATIENT":
        identifier.StudyInstanceUID = ds.StudyInstanceUID
    if level == "IMAGE":
        identifier.SeriesInstanceUID = ds.SeriesInstanceUID
        identifier.SOPInstanceUID = ds.SOPInstanceUID
    return identifier


# C-FIND


def test_queries_of_an_archive(archive: Archive) -> None:
    fed = archive.feed(many(MATCHES, "ALICE") + many(MATCHES, "BOB"))
    ae = querying(FIND, StudyRootQueryRetrieveInformationModelFind)
    assoc = archive.associate(ae)
    # The test to begin with: one match of ALICE, and then only BOB's.
    for status, found in assoc.send_c_find(studies_of("ALICE"), FIND):
        assert status.Status == 0xFF00
        assert found.PatientID == "ALICE"
        break
    for model in ("P", "S", StudyRootQueryRetrieveInformationModelFind):
        results = list(assoc.send_c_find(studies_of("BOB"), model))
        assert results[-1][0].Status == 0x0000
        assert {found.PatientID for _, found in results[:-1]} == {"BOB"}
        assert {found.StudyInstanceUID for _, found in results[:-1]} == {
            ds.StudyInstanceUID for ds in fed if ds.PatientID == "BOB"
        }
    assert [found for _, found in assoc.send_c_find(studies_of("NOBODY"), "P")] == [None]
    assert assoc.dimse.strays == 0
    assoc.release()
    assert assoc.is_released


def test_cancelling_a_query_of_an_archive(archive: Archive) -> None:
    """Whatever it has come to by then, there is a final response."""
    archive.feed(many(MATCHES, "ALICE"))
    assoc = archive.associate(querying(FIND))
    for _ in range(5):
        responses = assoc.send_c_find(studies_of("ALICE"), FIND)
        next(responses)
        assoc.send_c_cancel(responses.message_id)
        assert list(responses)[-1][0].Status in (0xFE00, 0x0000)
    assert len(list(assoc.send_c_find(studies_of("ALICE"), FIND))) == MATCHES + 1
    assoc.release()


def test_queries_within_a_query_of_an_archive(archive: Archive) -> None:
    archive.feed(many(10, "ALICE"))
    assoc = archive.associate(querying(FIND))
    studies = 0
    for _, study in assoc.send_c_find(studies_of("ALICE"), FIND):
        if study is None:
            continue
        studies += 1
        series = Dataset()
        series.QueryRetrieveLevel = "SERIES"
        series.PatientID = "ALICE"
        series.StudyInstanceUID = study.StudyInstanceUID
        series.SeriesInstanceUID = None
        found = [one for _, one in assoc.send_c_find(series, FIND) if one is not None]
        assert [one.StudyInstanceUID for one in found] == [study.StudyInstanceUID]
    assert studies == 10
    assoc.release()


def test_an_identifier_that_an_archive_refuses(archive: Archive) -> None:
    assoc = archive.associate(querying(FIND))
    without_level = studies_of("ALICE")
    del without_level.QueryRetrieveLevel
    ((status, found),) = list(assoc.send_c_find(without_level, FIND))
    assert found is None
    assert status.Status & 0xF000 in (0xA000, 0xC000)
    assert assoc.is_established
    assoc.release()


# C-GET


class Stored:
    """A store handler that keeps what it is given."""

    def __init__(self) -> None:
        self.datasets: dict[str, Any] = {}
        self.requests: list[Any] = []
        self.threads: set[Any] = set()

    def __call__(self, event: Any) -> int:
        ds = event.dataset
        ds.file_meta = event.file_meta
        self.datasets[str(ds.SOPInstanceUID)] = ds
        self.requests.append(event.request)
        self.threads.add(threading.current_thread())
        return 0x0000


def retrieving(fed: list[Any], *models: str) -> tuple[AE, list[Any]]:
    ae = querying(*models)
    classes = sorted({str(ds.SOPClassUID) for ds in fed})
    for sop_class in classes:
        ae.add_requested_context(sop_class, list(UNCOMPRESSED))
    return ae, [build_role(sop_class, scp_role=True) for sop_class in classes]


def test_retrieving_from_an_archive(archive: Archive) -> None:
    """Each instance that pydicom bundles and the archive takes, element by element."""
    fed = archive.feed(uncompressed())
    assert len(fed) > 20
    stored = Stored()
    ae, roles = retrieving(fed, GET, StudyRootQueryRetrieveInformationModelGet)
    assoc = archive.associate(ae, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, stored)])
    for ds in fed:
        results = list(assoc.send_c_get(whole(ds), GET))
        final = results[-1][0]
        assert final.Status == 0x0000
        assert final.NumberOfCompletedSuboperations == 1
        assert final.NumberOfFailedSuboperations == 0
        assert_same_elements(ds, stored.datasets[str(ds.SOPInstanceUID)])
    assert stored.threads == {assoc}
    assoc.release()


def test_retrieving_many_while_the_caller_pauses(archive: Archive) -> None:
    fed = archive.feed(many(MATCHES, "ALICE"))
    stored = Stored()
    ae, roles = retrieving(fed, GET)
    assoc = archive.associate(ae, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, stored)])
    responses = assoc.send_c_get(whole(fed[0], "PATIENT"), GET)
    assoc.send_c_get(whole(fed[1]), GET).close()  # which waits for the first one's end
    assert len(stored.datasets) >= MATCHES
    results = list(responses)
    assert results[-1][0].Status == 0x0000
    assert results[-1][0].NumberOfCompletedSuboperations == MATCHES
    assoc.release()


def test_retrieving_what_there_is_no_context_for(archive: Archive) -> None:
    fed = archive.feed(many(3, "ALICE"))
    ae, _ = retrieving([], GET)
    ae.add_requested_context("1.2.840.10008.5.1.4.1.1.2")
    assoc = archive.associate(ae)
    results = list(assoc.send_c_get(whole(fed[0], "PATIENT"), GET))
    final, identifier = results[-1]
    assert final.Status in (0xB000, 0xA702)
    assert final.NumberOfFailedSuboperations == 3
    assert set(identifier.FailedSOPInstanceUIDList) == {ds.SOPInstanceUID for ds in fed}
    assoc.release()


def test_leaving_a_retrieval_early(archive: Archive) -> None:
    fed = archive.feed(many(MATCHES, "ALICE"))
    stored = Stored()
    ae, roles = retrieving(fed, GET, FIND)
    assoc = archive.associate(ae, ext_neg=roles, evt_handlers=[(evt.EVT_C_STORE, stored)])
    for _ in assoc.send_c_get(whole(fed[0], "PATIENT"), GET):
        break
    found = [one for _, one in assoc.send_c_find(studies_of("ALICE"), FIND) if one is not None]
    assert len(found) == MATCHES
    assoc.release()
    assert assoc.is_released


# C-MOVE


@pytest.fixture
def destination(archive: Archive) -> Iterator[tuple[AE, Stored]]:
    """Our own AE, which listens where the archive believes ``STORESCP`` to be."""
    stored = Stored()
    ae = AE("STORESCP")
    ae.dimse_timeout = ae.acse_timeout = DEADLINE
    for model in (MOVE, StudyRootQueryRetrieveInformationModelMove):
        ae.add_requested_context(model)
    for ds in [*uncompressed(), *many(1, "ANY")]:
        ae.add_supported_context(ds.SOPClassUID, list(UNCOMPRESSED))
    server = ae.start_server(
        ("127.0.0.1", archive.store_port), block=False, evt_handlers=[(evt.EVT_C_STORE, stored)]
    )
    assert server is not None
    yield ae, stored
    ae.shutdown()
    stored.datasets.clear()  # they have descriptors of their own
    stored.requests.clear()


def test_moving_to_ourselves(archive: Archive, destination: tuple[AE, Stored]) -> None:
    ae, stored = destination
    fed = archive.feed(uncompressed())
    assert len(fed) > 20
    assoc = archive.associate(ae)
    for ds in fed:
        responses = assoc.send_c_move(whole(ds), "STORESCP", MOVE)
        final = list(responses)[-1][0]
        assert final.Status == 0x0000
        assert final.NumberOfCompletedSuboperations == 1
        assert_same_elements(ds, stored.datasets[str(ds.SOPInstanceUID)])
        assert stored.requests[-1].MoveOriginatorMessageID == responses.message_id
    assoc.release()


def test_moving_many(archive: Archive, destination: tuple[AE, Stored]) -> None:
    ae, stored = destination
    fed = archive.feed(many(MATCHES, "ALICE"))
    assoc = archive.associate(ae)
    results = list(assoc.send_c_move(whole(fed[0], "PATIENT"), "STORESCP", "P"))
    assert [status.Status for status, _ in results[:-1]] == [0xFF00] * (len(results) - 1)
    assert results[-1][0].Status == 0x0000
    assert results[-1][0].NumberOfCompletedSuboperations == MATCHES
    assert len(stored.datasets) == MATCHES
    assoc.release()


def test_a_destination_that_is_not_known(archive: Archive) -> None:
    fed = archive.feed(many(1, "ALICE"))
    assoc = archive.associate(querying(MOVE))
    ((status, _),) = list(assoc.send_c_move(whole(fed[0]), "NOBODY", MOVE))
    assert status.Status == 0xA801
    assoc.release()


def test_a_destination_that_does_not_listen(archive: Archive) -> None:
    fed = archive.feed(many(2, "ALICE"))
    assoc = archive.associate(querying(MOVE))
    results = list(assoc.send_c_move(whole(fed[0], "PATIENT"), "STORESCP", MOVE))
    assert results[-1][0].Status not in (0x0000, 0xFF00)
    assoc.release()
    assert assoc.is_released


# Modality worklist


@pytest.fixture
def worklist(tool: Any, tmp_path: Path) -> Callable[[int], Any]:
    """Starts wlmscpfs with a worklist of that many items."""

    def start(count: int) -> Any:
        items = tmp_path / "worklists" / "WORKLIST"
        items.mkdir(parents=True)
        (items / "lockfile").touch()
        for number in range(count):
            dcmwrite(items / f"{number}.wl", item(number), enforce_file_format=True)
        port = find_free_port()
        return tool("wlmscpfs").start(
            "wlmscpfs", "-v", "-dfp", items.parent, port, port=port, directory=items
        )

    return start


def item(number: int) -> Dataset:
    step = Dataset()
    step.Modality = "MR" if number % 2 else "CT"
    step.ScheduledStationAETitle = "SCANNER"
    step.ScheduledProcedureStepStartDate = "20240102"
    step.ScheduledProcedureStepStartTime = "101500"
    step.ScheduledPerformingPhysicianName = "House^Gregory"
    step.ScheduledProcedureStepDescription = "Head"
    step.ScheduledProcedureStepID = f"SPS{number}"
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.file_meta.MediaStorageSOPClassUID = ModalityWorklistInformationFind
    ds.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    ds.SpecificCharacterSet = "ISO_IR 100"
    ds.AccessionNumber = str(number)
    ds.ReferringPhysicianName = "Wilson^James"
    ds.PatientName = f"Müller^{number}"
    ds.PatientID = f"PID{number}"
    ds.PatientBirthDate = "19700101"
    ds.PatientSex = "F"
    ds.StudyInstanceUID = f"1.2.3.{number}"
    ds.RequestedProcedureDescription = "MRI of the head"
    ds.RequestedProcedureID = f"RP{number}"
    ds.RequestedProcedurePriority = "LOW"
    ds.ScheduledProcedureStepSequence = [step]
    return ds


def asking_for(modality: str) -> Dataset:
    step = Dataset()
    step.Modality = modality
    for keyword in (
        "ScheduledStationAETitle",
        "ScheduledProcedureStepStartDate",
        "ScheduledProcedureStepID",
    ):
        setattr(step, keyword, None)
    ds = Dataset()
    ds.PatientName = "*"
    ds.PatientID = None
    ds.StudyInstanceUID = None
    ds.ScheduledProcedureStepSequence = [step]
    return ds


def test_a_worklist(worklist: Any) -> None:
    scp = worklist(40)
    ae = querying(ModalityWorklistInformationFind)
    assoc = ae.associate("127.0.0.1", scp.port, ae_title="WORKLIST")
    assert assoc.is_established, assoc.ended
    for model in ("W", ModalityWorklistInformationFind):
        results = list(assoc.send_c_find(asking_for("MR"), model))
        assert results[-1][0].Status == 0x0000
        found = {ds.PatientID: ds for _, ds in results if ds is not None}
        assert set(found) == {f"PID{number}" for number in range(1, 40, 2)}
        for number in range(1, 40, 2):
            ds = found[f"PID{number}"]
            assert ds.PatientName == f"Müller^{number}"
            step = ds.ScheduledProcedureStepSequence[0]
            assert (step.Modality, step.ScheduledProcedureStepID) == ("MR", f"SPS{number}")
    for _ in assoc.send_c_find(asking_for("CT"), "W"):
        break
    found = [ds for _, ds in assoc.send_c_find(asking_for("MR"), "W") if ds is not None]
    assert {ds.ScheduledProcedureStepSequence[0].Modality for ds in found} == {"MR"}
    assoc.release()
    assert assoc.is_released


def test_cancelling_a_worklist_query_from_another_thread(worklist: Any) -> None:
    scp = worklist(40)
    assoc = querying(ModalityWorklistInformationFind).associate(
        "127.0.0.1", scp.port, ae_title="WORKLIST"
    )
    responses = assoc.send_c_find(asking_for(""), "W")
    next(responses)
    Call(assoc.send_c_cancel, 1).result()
    assert list(responses)[-1][0].Status in (0xFE00, 0x0000)
    assoc.release()
    assert assoc.is_released


def test_what_is_stored_can_be_read(archive: Archive) -> None:
    """The archive's own files are what we sent it."""
    (ds, *_) = archive.feed(uncompressed())
    stored = {
        str(read(path).SOPInstanceUID): path
        for path in archive.directory.iterdir()
        if path.name != "index.dat"
    }
    assert_same_elements(ds, read(stored[str(ds.SOPInstanceUID)]))
