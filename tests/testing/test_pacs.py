"""`MockPACS`: queries and retrieves at each level, worklists, storage, and how quickly it is up."""

from __future__ import annotations

import os
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pydicom
import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityWorklistInformationFind,
    MRImageStorage,
    PatientRootQueryRetrieveInformationModelFind,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
    StudyRootQueryRetrieveInformationModelFind,
)
from pynetdicom.testing import DicomFactory, DicomSCP, MockPACS, ScriptedPeers
from pynetdicom.workflows import worklist
from tests.conftest import find_free_port

FIND = PatientRootQueryRetrieveInformationModelFind
GET = PatientRootQueryRetrieveInformationModelGet
MOVE = PatientRootQueryRetrieveInformationModelMove
STUDY_FIND = StudyRootQueryRetrieveInformationModelFind
KINDS = ["CTImageStorage", "MRImageStorage"]


@pytest.fixture
def pacs(mock_pacs: MockPACS, dicom_factory: DicomFactory) -> MockPACS:
    """Two patients: two studies of one, of two series each, one of the other."""
    one = {"PatientID": "1", "PatientName": "Müller^Jörg"}
    mock_pacs.add(dicom_factory.study(KINDS, 2, StudyDate="20240101", **one))
    mock_pacs.add(dicom_factory.study(KINDS, 2, StudyDate="20240301", **one))
    mock_pacs.add(dicom_factory.study(1, 1, PatientID="2", PatientName="山田^太郎"))
    return mock_pacs


class Asking:
    """An SCU of queries and retrieves."""

    def __init__(self, pacs: MockPACS, **options: Any) -> None:
        ae = AE("SCU")
        ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
        self.got: list[Dataset] = []
        models = (FIND, GET, MOVE, STUDY_FIND, ModalityWorklistInformationFind)
        for uid in (*models, CTImageStorage, MRImageStorage):
            ae.add_requested_context(uid)
        roles = [
            build_role(uid, scu_role=True, scp_role=True)
            for uid in (CTImageStorage, MRImageStorage)
        ]
        self.assoc = ae.associate(
            *pacs.address,
            ext_neg=[*roles, *options.pop("ext_neg", ())],
            evt_handlers=[(evt.EVT_C_STORE, self._store)],
        )
        assert self.assoc.is_established, self.assoc.ended

    def _store(self, event: Any) -> int:
        self.got.append(event.dataset)
        return 0x0000

    def find(self, level: str, model: str = FIND, **elements: Any) -> list[Dataset]:
        *found, (status, _) = self.assoc.send_c_find(keys(level, **elements), model)
        self.status = status
        return [ds for _, ds in found if ds is not None]


def keys(level: str, **elements: Any) -> Dataset:
    ds = Dataset()
    ds.SpecificCharacterSet = "ISO_IR 192"
    if level:
        ds.QueryRetrieveLevel = level
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


@pytest.fixture
def asking(pacs: MockPACS) -> Iterator[Asking]:
    asking = Asking(pacs)
    yield asking
    asking.assoc.release()


def test_each_level_is_found(asking: Asking, pacs: MockPACS) -> None:
    patients = asking.find(
        "PATIENT", PatientID="", PatientName="", NumberOfPatientRelatedStudies=""
    )
    assert [(p.PatientID, p.NumberOfPatientRelatedStudies) for p in patients] == [
        ("1", 2),
        ("2", 1),
    ]
    assert [str(p.PatientName) for p in patients] == ["Müller^Jörg", "山田^太郎"]
    studies = asking.find(
        "STUDY",
        PatientID="1",
        StudyInstanceUID="",
        ModalitiesInStudy="",
        NumberOfStudyRelatedSeries="",
        NumberOfStudyRelatedInstances="",
        SeriesDescription="",
    )
    assert len(studies) == 2
    for study in studies:
        assert study.ModalitiesInStudy == ["CT", "MR"]
        assert (study.NumberOfStudyRelatedSeries, study.NumberOfStudyRelatedInstances) == (2, 4)
        assert study.SeriesDescription == ""  # of a level below
        assert study.RetrieveAETitle == "ANY-SCP"
    uids = {"PatientID": "1", "StudyInstanceUID": studies[0].StudyInstanceUID}
    series = asking.find(
        "SERIES", **uids, SeriesInstanceUID="", Modality="", NumberOfSeriesRelatedInstances=""
    )
    assert sorted(one.Modality for one in series) == ["CT", "MR"]
    assert {int(one.NumberOfSeriesRelatedInstances) for one in series} == {2}
    uids["SeriesInstanceUID"] = series[0].SeriesInstanceUID
    images = asking.find("IMAGE", **uids, SOPInstanceUID="", InstanceNumber="", Rows="")
    assert [(int(one.InstanceNumber), one.Rows) for one in images] == [(1, 8), (2, 8)]
    assert asking.status.Status == 0x0000


@pytest.mark.parametrize(
    ("elements", "count"),
    [
        ({"PatientName": "MULLER*"}, 1),
        ({"PatientName": "*太郎"}, 1),
        ({"PatientID": "1\\2"}, 2),
        ({"PatientID": "?"}, 2),
        ({"PatientName": "Nobody"}, 0),
    ],
)
def test_keys_are_matched(elements: dict[str, str], count: int, asking: Asking) -> None:
    assert len(asking.find("PATIENT", **elements)) == count


@pytest.mark.parametrize(
    ("date", "count"), [("20240101", 1), ("20240102-", 2), ("-20240201", 2), ("2023-", 0)]
)
def test_ranges_are_matched(date: str, count: int, asking: Asking) -> None:
    assert len(asking.find("STUDY", STUDY_FIND, StudyDate=date)) == count


@pytest.mark.parametrize(
    ("level", "elements", "comment"),
    [
        ("STUDY", {}, "No PatientID at level STUDY"),
        ("SERIES", {"PatientID": "1", "StudyInstanceUID": ""}, "No StudyInstanceUID"),
        ("", {"PatientID": "1"}, "No Query/Retrieve Level"),
        ("STUDY", {"PatientID": "1*"}, "PatientID must be a single value"),
    ],
)
def test_what_a_query_lacks_is_said(
    level: str, elements: dict[str, str], comment: str, asking: Asking
) -> None:
    assert asking.find(level, **elements) == []
    assert asking.status.Status == 0xA900
    assert asking.status.ErrorComment.startswith(comment)


@pytest.mark.parametrize("operation", ["C-FIND", "C-GET"])
def test_a_model_that_it_does_not_know(
    operation: Any, mock_pacs: MockPACS, scripted_peer: ScriptedPeers
) -> None:
    peer = scripted_peer.connect(mock_pacs.address)
    peer.send("A-ASSOCIATE-RQ", ["1.2.3"])
    peer.expect("A-ASSOCIATE-AC")
    peer.send(f"{operation}-RQ", AffectedSOPClassUID="1.2.3", data_set=keys("PATIENT"))
    assert peer.receive().primitive.Status == 0x0122
    peer.send("A-ABORT")


def test_relational_queries_are_granted_to_who_asks(pacs: MockPACS) -> None:
    relational = SOPClassExtendedNegotiation(
        sop_class_uid=FIND, service_class_application_information=b"\1\0\0"
    )
    asking = Asking(pacs, ext_neg=[relational])
    assert asking.assoc.acceptor.sop_class_extended[FIND][:1] == b"\1"
    assert len(asking.find("STUDY", StudyInstanceUID="")) == 3
    asking.assoc.release()


@pytest.mark.parametrize(
    ("level", "count"), [("PATIENT", 8), ("STUDY", 4), ("SERIES", 2), ("IMAGE", 1)]
)
@pytest.mark.parametrize("model", [GET, MOVE], ids=["C-GET", "C-MOVE"])
def test_each_level_is_retrieved(
    level: str, count: int, model: str, asking: Asking, pacs: MockPACS
) -> None:
    instance = pacs.instances[0]
    names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID", "SOPInstanceUID")
    upto = ("PATIENT", "STUDY", "SERIES", "IMAGE").index(level) + 1
    identifier = keys(level, **{name: instance[name].value for name in names[:upto]})
    with DicomSCP() as destination:
        pacs.destinations["DEST"] = destination.address
        if model == GET:
            *_, (status, _) = asking.assoc.send_c_get(identifier, GET)
            got = asking.got
        else:
            *_, (status, _) = asking.assoc.send_c_move(identifier, "DEST", MOVE)
            got = [one.dataset for one in destination.stored]
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, count)
    assert len(got) == count
    by_uid = {one.SOPInstanceUID: one for one in pacs.instances}
    assert all(by_uid[one.SOPInstanceUID] == one for one in got)


def test_a_list_of_uids_is_retrieved(asking: Asking, pacs: MockPACS) -> None:
    uids = sorted({one.StudyInstanceUID for one in pacs.instances if one.PatientID == "1"})
    *_, (status, _) = asking.assoc.send_c_get(
        keys("STUDY", PatientID="1", StudyInstanceUID=uids), GET
    )
    assert status.NumberOfCompletedSuboperations == 8


def test_what_is_stored_is_found(mock_pacs: MockPACS, dicom_factory: DicomFactory) -> None:
    asking = Asking(mock_pacs)
    ct = dicom_factory(PatientID="9")
    assert asking.assoc.send_c_store(ct).Status == 0x0000
    assert asking.assoc.send_c_store(ct).Status == 0x0000
    [found] = asking.find("PATIENT", PatientID="", NumberOfPatientRelatedInstances="")
    asking.assoc.release()
    assert (found.PatientID, found.NumberOfPatientRelatedInstances) == ("9", 1)
    assert [one.status for one in mock_pacs.stored] == [0x0000, 0x0000]


def test_a_worklist(mock_pacs: MockPACS, dicom_factory: DicomFactory) -> None:
    for date in ("20240101", "20240102"):
        item = dicom_factory.worklist_item(ScheduledProcedureStepStartDate=date)
        assert worklist.lacking(item) == []
        mock_pacs.worklist.append(item)
    asking = Asking(mock_pacs)
    step = Dataset()
    step.ScheduledProcedureStepStartDate = "20240102"
    [found] = worklist.find(asking.assoc, keys("", ScheduledProcedureStepSequence=[step]))
    asking.assoc.release()
    assert found.StudyInstanceUID == mock_pacs.worklist[1].StudyInstanceUID


def test_faults_of_a_pacs(pacs: MockPACS, asking: Asking) -> None:
    pacs.fault("bad sub-operation counts", times=1)
    *_, (status, _) = asking.assoc.send_c_get(keys("PATIENT", PatientID="2"), GET)
    assert (status.NumberOfRemainingSuboperations, len(asking.got)) == (3, 1)
    pacs.respond(0xA701, to="C-GET", times=1)
    *_, (status, _) = asking.assoc.send_c_get(keys("PATIENT", PatientID="2"), GET)
    assert (status.Status, len(asking.got)) == (0xA701, 1)


# Folders

FILES = Path(pydicom.__file__).parent / "data" / "test_files"


def test_a_folder(tmp_path: Path, dicom_factory: DicomFactory) -> None:
    dicom_factory.write(dicom_factory.study(PatientID="1"), tmp_path / "deep" / "down")
    [path] = dicom_factory.write(dicom_factory(PatientID="2"), tmp_path)
    (tmp_path / "README").write_text("no DICOM")
    with MockPACS(tmp_path) as pacs:
        asking = Asking(pacs)
        found = asking.find("PATIENT", PatientID="")
        assert sorted(one.PatientID for one in found) == ["1", "2"]
        *_, (status, _) = asking.assoc.send_c_get(keys("PATIENT", PatientID="2"), GET)
        asking.assoc.release()
    assert status.Status == 0x0000
    assert asking.got == [pydicom.dcmread(path)]


def test_a_folder_that_there_is_not() -> None:
    with pytest.raises(FileNotFoundError, match="there is no nowhere"):
        MockPACS("nowhere")


def test_files_as_they_are_met(capsys: pytest.CaptureFixture[str]) -> None:
    """Up at once, whatever there is: files are read when somebody asks for them."""
    read: list[Any] = []
    original = pydicom.dcmread

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(pydicom, "dcmread", lambda *a, **k: read.append(a) or original(*a, **k))
        began = time.perf_counter()
        with MockPACS(FILES) as pacs:
            took = time.perf_counter() - began
            assert read == []
            asking = Asking(pacs)
            first = len(asking.find("PATIENT", PatientID=""))
            count = len(read)
            assert len(asking.find("PATIENT", PatientID="")) == first > 10
            assert len(read) == count == sum(len(files) for _, _, files in os.walk(FILES))
            asking.assoc.release()
    with capsys.disabled():
        print(f"\nup in {1000 * took:.1f} ms with {count} files", end=" ")


@pytest.mark.interop
def test_dcmtk_asks_it(
    mock_pacs: MockPACS, dicom_factory: DicomFactory, dcmtk_tools: dict[str, str], tmp_path: Path
) -> None:
    """Stores an instance, finds its study, and has it moved to itself."""
    [path] = dicom_factory.write(dicom_factory(PatientID="77"), tmp_path)
    port = find_free_port()
    mock_pacs.destinations["DCMTK"] = ("127.0.0.1", port)
    where = [mock_pacs.host, str(mock_pacs.port)]
    keys = ["-k", "QueryRetrieveLevel=PATIENT", "-k", "PatientID=77"]
    moved = tmp_path / "moved"
    moved.mkdir()
    for tool, *arguments in (
        ("storescu", *where, path),
        ("findscu", "-P", *keys, "-k", "NumberOfPatientRelatedInstances", *where),
        ("movescu", "-P", *keys, "-aem", "DCMTK", "+P", str(port), "-od", str(moved), *where),
    ):
        done = subprocess.run(
            [dcmtk_tools[tool], "-v", *arguments],
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        if tool == "findscu":
            assert "(0020,1204) IS [1 ]" in done.stdout + done.stderr
    [received] = moved.iterdir()
    assert pydicom.dcmread(received) == pydicom.dcmread(path)
    assert [one.status for one in mock_pacs.received] == [0x0000] * 3
