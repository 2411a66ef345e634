"""mppsscu: what it tells, what it prints, and its exit code."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
)
from pynetdicom.workflows import mpps
from pynetdicom.workflows.providing import answer, handlers
from tests.apps.conftest import RunApp
from tests.pair import serve

BEGUN = (
    *("-k", "PerformedProcedureStepID=1", "-k", "Modality=CT", "-k", "PatientName=Doe^J"),
    *("-k", "ScheduledStepAttributesSequence[0].StudyInstanceUID=1.2.7"),
    *("-k", "ScheduledStepAttributesSequence[0].ReferencedStudySequence"),
    *("-k", "PerformedSeriesSequence"),
)
PERFORMED = (
    *("-k", "PerformedSeriesSequence[0].SeriesInstanceUID=1.2.7.1"),
    *("-k", "PerformedSeriesSequence[0].ProtocolName=HEAD"),
)


class Ris:
    """A peer that keeps steps."""

    def __init__(self) -> None:
        self.provider = mpps.Provider()
        self.ae = AE("RIS")
        self.ae.add_supported_context(ModalityPerformedProcedureStep)
        self.ae.add_supported_context(ModalityPerformedProcedureStepRetrieve)
        server = serve(self.ae, evt_handlers=handlers(self.provider))
        self.peer = ("127.0.0.1", server.server_address[1])

    def step(self, uid: str) -> Dataset:
        found = self.provider.get(uid)
        assert found is not None
        return found


@pytest.fixture
def ris() -> Iterator[Ris]:
    made = Ris()
    yield made
    made.ae.shutdown()


@pytest.mark.parametrize(
    ("action", "status"), [("complete", "COMPLETED"), ("discontinue", "DISCONTINUED")]
)
def test_a_step_from_beginning_to_end(action: str, status: str, ris: Ris, run_app: RunApp) -> None:
    begun = run_app("mppsscu", *ris.peer, "begin", *BEGUN)
    assert (begun.returncode, begun.stderr) == (0, "")
    uid, what = begun.stdout.strip().split(": ", 1)
    assert what.startswith("in progress, 0x0000")
    step = ris.step(uid)
    assert step.PerformedStationAETitle == "MPPSSCU"
    assert step.PerformedProcedureStepStatus == "IN PROGRESS"
    assert step.PerformedProcedureStepStartDate
    assert step.PerformedProcedureStepStartTime
    assert run_app("mppsscu", *ris.peer, "set", "--uid", uid, *PERFORMED).returncode == 0
    done = run_app("mppsscu", *ris.peer, action, "--uid", uid)
    assert (done.returncode, done.stderr) == (0, "")
    step = ris.step(uid)
    assert step.PerformedProcedureStepStatus == status
    assert step.PerformedProcedureStepEndDate
    assert step.PerformedSeriesSequence[0].ProtocolName == "HEAD"
    again = run_app("mppsscu", *ris.peer, action, "--uid", uid)
    assert (again.returncode, again.stdout) == (1, "")
    assert "0x0110" in again.stderr
    assert mpps.NO_LONGER in again.stderr


def test_json_in_and_out(ris: Ris, run_app: RunApp, tmp_path: Path) -> None:
    given = Dataset()
    given.SOPClassUID = ModalityPerformedProcedureStep
    given.SOPInstanceUID = "1.2.3.4"
    given.SpecificCharacterSet = "ISO_IR 192"
    given.PatientName = "Dœ^J"
    given.Modality = "MR"
    given.PerformedProcedureStepStartDate = "20200102"
    scheduled = Dataset()
    scheduled.StudyInstanceUID = "1.2.7"
    given.ScheduledStepAttributesSequence = [scheduled]
    path = tmp_path / "step.json"
    for text in (given.to_json(), f"[{given.to_json()}]"):
        path.write_text(text)
        flags = ("-f", path, "-k", "PerformedProcedureStepID=7", "--json")
        result = run_app("mppsscu", *ris.peer, "begin", *flags)
        if result.returncode:
            assert json.loads(result.stdout)["status"] == 0x0111  # it is there already
            assert result.stderr.count("\n") == 1
        else:
            done = {"action": "begin", "uid": "1.2.3.4", "status": 0, "comment": None}
            assert json.loads(result.stdout) == done
    step = ris.step("1.2.3.4")
    assert (step.PatientName, step.Modality) == ("Dœ^J", "MR")
    assert step.PerformedProcedureStepStartDate == "20200102"
    assert "SOPInstanceUID" not in step
    got = run_app("mppsscu", *ris.peer, "get", "--uid", "1.2.3.4", "--json")
    assert got.returncode == 0
    assert Dataset.from_json(got.stdout).PatientName == "Dœ^J"
    some = run_app("mppsscu", *ris.peer, "get", "--uid", "1.2.3.4", "-k", "Modality")
    assert some.returncode == 0
    assert "MR" in some.stdout
    assert "Patient" not in some.stdout


def test_a_dicom_file(ris: Ris, run_app: RunApp, tmp_path: Path) -> None:
    given = Dataset()
    given.PerformedProcedureStepID = "1"
    given.Modality = "CT"
    given.ScheduledStepAttributesSequence = [Dataset()]
    given.ScheduledStepAttributesSequence[0].StudyInstanceUID = "1.2.7"
    given.file_meta = FileMetaDataset()
    given.file_meta.MediaStorageSOPClassUID = ModalityPerformedProcedureStep
    given.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    given.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    given.save_as(tmp_path / "step.dcm", enforce_file_format=True)
    flags = ("--uid", "1.2.3", "-f", tmp_path / "step.dcm", "-aet", "CT_ROOM")
    result = run_app("mppsscu", *ris.peer, "begin", *flags)
    assert (result.returncode, result.stderr) == (0, "")
    assert ris.step("1.2.3").PerformedStationAETitle == "CT_ROOM"


def test_what_is_not_sent(ris: Ris, run_app: RunApp) -> None:
    """The table is looked at here: the peer is not asked."""
    result = run_app("mppsscu", *ris.peer, "begin", "-k", "Modality=CT")
    assert (result.returncode, result.stdout) == (1, "")
    assert "PerformedProcedureStepID" in result.stderr
    assert result.stderr.count("\n") == 1
    assert ris.provider.steps() == []
    result = run_app("mppsscu", *ris.peer, "set", "--uid", "1.2.3", "-k", "PatientID=1")
    assert result.returncode == 1
    assert "PatientID" in result.stderr


@pytest.mark.parametrize(
    "arguments",
    [
        ["complete"],
        ["begin", "-k", "NoSuchElement=1"],
        ["begin", "-f", "nothing.json"],
        ["begin", "-f", "wrong.json"],
        ["begin", "-f", "list.json"],
        ["begin", "-f", "nothing.dcm"],
        ["drop"],
    ],
)
def test_wrong_arguments(
    arguments: list[str], run_app: RunApp, free_port: int, tmp_path: Path
) -> None:
    (tmp_path / "wrong.json").write_text("{")
    (tmp_path / "list.json").write_text("[]")
    result = run_app("mppsscu", "127.0.0.1", free_port, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


def test_a_step_that_is_not_there(ris: Ris, run_app: RunApp) -> None:
    for action in ("set", "complete", "get"):
        result = run_app("mppsscu", *ris.peer, action, "--uid", "1.2.3")
        assert (result.returncode, result.stdout) == (1, "")
        assert "0x0112" in result.stderr
        assert result.stderr.count("\n") == 1


def test_a_warning_is_done(run_app: RunApp) -> None:
    def take(event: Any) -> Any:
        return answer(0x0107, tags=[0x00080060], comment="partly")

    ae = AE("RIS")
    ae.add_supported_context(ModalityPerformedProcedureStep)
    server = serve(ae, evt_handlers=[(evt.EVT_N_CREATE, take)])
    try:
        result = run_app("mppsscu", "127.0.0.1", server.server_address[1], "begin", *BEGUN)
    finally:
        ae.shutdown()
    assert (result.returncode, result.stderr) == (0, "")
    assert "0x0107" in result.stdout
    assert "partly: Modality" in result.stdout


def test_no_such_context(run_app: RunApp, serve_app: Any) -> None:
    scp = serve_app("echoscp")
    result = run_app("mppsscu", "127.0.0.1", scp.port, "begin", *BEGUN)
    assert result.returncode == 1
    assert result.stderr.count("\n") == 1
