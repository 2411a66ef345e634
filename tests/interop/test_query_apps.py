"""findscu, getscu and movescu, of DCMTK's archive (dcmqrscp) and worklist server (wlmscpfs)."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from tests.apps.conftest import run_app, serve_app
from tests.interop.test_other_tools import tool
from tests.interop.test_query_scu import Archive, archive, many, uncompressed, worklist
from tests.interop.test_store_scu import assert_same_elements
from tests.sampled import sampled

__all__ = ["archive", "run_app", "serve_app", "tool", "worklist"]  # fixtures

TITLE = ("-aec", "ARCHIVE")
STUDIES = ("-k", "QueryRetrieveLevel=STUDY", "-k", "StudyInstanceUID", "-k", "StudyID")
WHOLE_PATIENT = ("-k", "QueryRetrieveLevel=PATIENT")


def found_by(ran: Any) -> list[Dataset]:
    return [Dataset.from_json(line) for line in ran.stdout.splitlines()]


def check_stored(directory: Path, expected: list[Any]) -> None:
    """A directory has these instances, element by element, and nothing else."""
    stored = {str(ds.SOPInstanceUID): ds for ds in map(dcmread, directory.iterdir())}
    assert set(stored) == {str(ds.SOPInstanceUID) for ds in expected}
    for ds in expected:
        assert_same_elements(ds, stored[str(ds.SOPInstanceUID)])


@sampled("model", ["-P", "-S"])
def test_findscu(archive: Archive, run_app: Any, model: str) -> None:
    fed = archive.feed(many(7, "ALICE") + many(5, "BOB"))
    ran = run_app(
        "findscu", "127.0.0.1", archive.port, *TITLE, model, *STUDIES,
        "-k", "PatientID=ALICE", "--json",
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert {ds.StudyInstanceUID for ds in found_by(ran)} == {
        ds.StudyInstanceUID for ds in fed if ds.PatientID == "ALICE"
    }


@pytest.mark.slow
def test_findscu_shows_and_writes(archive: Archive, run_app: Any, tmp_path: Path) -> None:
    archive.feed(many(3, "ALICE"))
    before = set(tmp_path.iterdir())
    ran = run_app(
        "findscu", "127.0.0.1", archive.port, *TITLE, *STUDIES, "-k", "PatientID=ALICE", "-w"
    )
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout.endswith("3 matches\n")
    written = sorted(set(tmp_path.iterdir()) - before)
    assert [path.name for path in written] == [f"rsp00000{number}.dcm" for number in (1, 2, 3)]
    assert {dcmread(path).StudyID.strip() for path in written} == {"0", "1", "2"}


@pytest.mark.slow
def test_findscu_that_is_refused(archive: Archive, run_app: Any) -> None:
    ran = run_app("findscu", "127.0.0.1", archive.port, *TITLE, "-k", "PatientID=ALICE")
    assert ran.returncode == 1
    warning, problem = ran.stderr.splitlines()
    assert "--level STUDY" in warning
    assert "C-FIND ends with 0x" in problem


def test_findscu_that_cancels(archive: Archive, run_app: Any) -> None:
    archive.feed(many(60, "ALICE"))
    ran = run_app(
        "findscu", "127.0.0.1", archive.port, *TITLE, *STUDIES,
        "-k", "PatientID=ALICE", "--json", "--cancel", 3,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    assert len(found_by(ran)) == 3


def test_a_worklist(worklist: Any, run_app: Any) -> None:
    scp = worklist(10)
    step = "ScheduledProcedureStepSequence[0]"
    ran = run_app(
        "findscu", "127.0.0.1", scp.port, "-aec", "WORKLIST", "-W", "--json",
        "-k", "PatientName=Müller*", "-k", "PatientID", "-k", "SpecificCharacterSet=ISO_IR 100",
        "-k", f"{step}.Modality=MR", "-k", f"{step}.ScheduledProcedureStepID",
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    found = {ds.PatientID: ds for ds in found_by(ran)}
    assert set(found) == {f"PID{number}" for number in range(1, 10, 2)}
    for number in range(1, 10, 2):
        ds = found[f"PID{number}"]
        assert ds.PatientName == f"Müller^{number}"
        assert ds.ScheduledProcedureStepSequence[0].ScheduledProcedureStepID == f"SPS{number}"


def test_getscu(archive: Archive, run_app: Any, tmp_path: Path) -> None:
    """Everything bundled that is uncompressed, patient by patient."""
    fed = archive.feed(uncompressed())
    assert len(fed) > 10
    patients = sorted({str(ds.PatientID) for ds in fed})
    for number, patient in enumerate(patients):
        expected = [ds for ds in fed if ds.PatientID == patient]
        directory = tmp_path / f"retrieved{number}"
        ran = run_app(
            "getscu", "127.0.0.1", archive.port, *TITLE, *WHOLE_PATIENT,
            "-k", f"PatientID={patient}", "-od", directory,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, ""), patient
        check_stored(directory, expected)


@pytest.mark.slow
def test_getscu_of_a_study(archive: Archive, run_app: Any, tmp_path: Path) -> None:
    fed = archive.feed(many(4, "ALICE"))
    directory = tmp_path / "retrieved"
    ran = run_app(
        "getscu", "127.0.0.1", archive.port, *TITLE, "-S", "-k", "QueryRetrieveLevel=STUDY",
        "-k", f"StudyInstanceUID={fed[2].StudyInstanceUID}", "-od", directory,
    )  # fmt: skip
    assert (ran.returncode, ran.stderr) == (0, "")
    check_stored(directory, [fed[2]])


def test_movescu_to_itself(archive: Archive, run_app: Any, tmp_path: Path) -> None:
    fed = archive.feed(uncompressed())
    patients = sorted({str(ds.PatientID) for ds in fed})
    for number, patient in enumerate(patients):
        expected = [ds for ds in fed if ds.PatientID == patient]
        directory = tmp_path / f"retrieved{number}"
        ran = run_app(
            "movescu", "127.0.0.1", archive.port, *TITLE, *WHOLE_PATIENT,
            "-k", f"PatientID={patient}", "-od", directory,
            "--store", "--store-port", archive.store_port,
        )  # fmt: skip
        assert (ran.returncode, ran.stderr) == (0, ""), patient
        check_stored(directory, expected)


@pytest.mark.slow
def test_movescu_to_somebody_else(
    archive: Archive, run_app: Any, dcmtk: Any, tmp_path: Path
) -> None:
    fed = archive.feed(many(3, "ALICE"))
    scp = dcmtk.storescp(port=archive.store_port)
    patient = (*WHOLE_PATIENT, "-k", "PatientID=ALICE")
    ran = run_app("movescu", "127.0.0.1", archive.port, *TITLE, *patient)
    assert (ran.returncode, ran.stderr) == (0, "")
    assert ran.stdout == "3 objects sent to STORESCP\n"
    check_stored(scp.directory, fed)


@pytest.mark.slow
def test_movescu_to_nobody(archive: Archive, run_app: Any) -> None:
    archive.feed(many(1, "ALICE"))
    patient = (*WHOLE_PATIENT, "-k", "PatientID=ALICE")
    ran = run_app("movescu", "127.0.0.1", archive.port, *TITLE, *patient, "-aem", "NOBODY")
    assert ran.returncode == 1
    assert "0xA801" in ran.stderr
