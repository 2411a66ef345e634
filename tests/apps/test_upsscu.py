"""upsscu: what it asks, what it prints, and its exit code."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom.apps import upsscu
from pynetdicom.sop_class import UnifiedProcedureStepPush
from pynetdicom.workflows import ups
from tests import warm
from tests.apps.conftest import RunApp
from tests.faults.peer import until
from tests.workflows.ups_pair import RIS, code, made, performed, ris, step

NEW = ("-k", "ProcedureStepLabel=Plan", "-k", "InputReadinessState=READY")


@pytest.fixture
def office() -> Iterator[RIS]:
    with ris() as one:
        one.provide()
        yield one


@pytest.fixture
def run(office: RIS, run_app: RunApp) -> Any:
    def run(*arguments: object) -> subprocess.CompletedProcess[str]:
        return run_app("upsscu", "127.0.0.1", office.port, *arguments)

    return run


def told(result: subprocess.CompletedProcess[str]) -> Any:
    assert (result.returncode, result.stderr) == (0, "")
    return json.loads(result.stdout)


def known(office: RIS, uid: str) -> Dataset:
    found = office.providers[0].get(uid)
    assert found is not None
    return found


def test_a_step_from_its_beginning_to_its_end(office: RIS, run: Any, tmp_path: Path) -> None:
    pushed = told(run("push", *NEW, "--json"))
    uid = pushed["uid"]
    assert pushed == {"action": "push", "uid": uid, "status": 0, "comment": None}
    new = known(office, uid)
    assert (new.ProcedureStepState, new.ScheduledProcedureStepPriority) == ("SCHEDULED", "MEDIUM")
    assert new.ScheduledProcedureStepStartDateTime
    assert run("set", "--uid", uid, "-k", "ProcedureStepLabel=other").returncode == 0
    assert known(office, uid).ProcedureStepLabel == "other"

    claimed = told(run("claim", "--uid", uid, "--json"))
    mine = ("--uid", uid, "--transaction", claimed["transaction"])
    again = run("claim", "--uid", uid)
    assert (again.returncode, again.stdout) == (1, "")
    assert "0xC301" in again.stderr
    progress = "ProcedureStepProgressInformationSequence[0].ProcedureStepProgress"
    assert run("set", *mine, "-k", f"{progress}=50").returncode == 0
    assert run("set", "--uid", uid, "-k", f"{progress}=60").returncode == 1
    lacking = run("complete", *mine)
    assert (lacking.returncode, lacking.stdout) == (1, "")
    assert "0xC304" in lacking.stderr
    (tmp_path / "performed.json").write_text(performed().to_json())
    done = run("complete", *mine, "-f", tmp_path / "performed.json")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith(f"{uid}: completed, 0x0000")
    item = known(office, uid).ProcedureStepProgressInformationSequence[0]
    assert (known(office, uid).ProcedureStepState, item.ProcedureStepProgress) == ("COMPLETED", 50)
    again = run("complete", *mine)
    assert (again.returncode, again.stderr) == (0, "")
    assert "0xB306" in again.stdout


def test_a_step_that_is_given_up(office: RIS, run: Any) -> None:
    uid = office.providers[0].schedule(step())
    printed = run("claim", "--uid", uid, "--transaction", "1.2.4", "-k", "ProcedureStepLabel=mine")
    assert (printed.returncode, printed.stderr) == (0, "")
    assert printed.stdout.startswith(f"{uid}: in progress, --transaction 1.2.4, 0x0000")
    assert known(office, uid).ProcedureStepLabel == "mine"
    mine = ("--uid", uid, "--transaction", "1.2.4")
    progress = "ProcedureStepProgressInformationSequence[0].ProcedureStepProgress=50"
    assert run("set", *mine, "-k", progress).returncode == 0
    assert run("cancel", *mine, "--reason", "no film").returncode == 0
    item = known(office, uid).ProcedureStepProgressInformationSequence[0]
    assert (item.ReasonForCancellation, item.ProcedureStepProgress) == ("no film", 50)
    assert known(office, uid).ProcedureStepState == "CANCELED"


def test_a_request_to_cancel(office: RIS, run: Any) -> None:
    uid = office.providers[0].schedule(step())
    sequence = "ProcedureStepDiscontinuationReasonCodeSequence[0]"
    keys = [f"{sequence}.{one.keyword}={one.value}" for one in code("7")]
    result = run(
        *("request-cancel", "--uid", uid, "--reason", "moved", "--contact", "Dr. No"),
        *("--contact-uri", "tel:1", *(part for key in keys for part in ("-k", key))),
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith(f"{uid}: asked to be canceled, 0x0000")
    item = known(office, uid).ProcedureStepProgressInformationSequence[0]
    assert item.ReasonForCancellation == "moved"
    assert item.ProcedureStepDiscontinuationReasonCodeSequence[0].CodeValue == "7"
    assert item.ProcedureStepCommunicationsURISequence[0].ContactDisplayName == "Dr. No"
    again = run("request-cancel", "--uid", uid, "--json")
    assert told(again)["status"] == 0xB304


def test_what_is_found(office: RIS, run: Any) -> None:
    provider = office.providers[0]
    names = {"ISO_IR 192": "Dœ^J", "ISO_IR 100": "Müller"}
    uids = [
        provider.schedule(step(PatientName=name, SpecificCharacterSet=character_set))
        for character_set, name in names.items()
    ]
    keys = ("-k", "SOPInstanceUID", "-k", "PatientName=d*", "-k", "ProcedureStepState=SCHEDULED")
    found = told(run("find", *keys, "--json"))
    assert Dataset.from_json(found).SOPInstanceUID == uids[0]
    assert Dataset.from_json(found).PatientName == "Dœ^J"
    lines = run("find", "-k", "SOPInstanceUID")
    assert (lines.returncode, lines.stderr) == (0, "")
    assert lines.stdout.splitlines()[-1] == "2 matches"
    got = Dataset.from_json(run("get", "--uid", uids[1], "--json").stdout)
    assert (got.PatientName, got.ProcedureStepState) == ("Müller", "SCHEDULED")
    some = run("get", "--uid", uids[1], "-k", "ProcedureStepState")
    assert "SCHEDULED" in some.stdout
    assert "Patient" not in some.stdout


def test_a_step_in_a_dicom_file(office: RIS, run: Any, tmp_path: Path) -> None:
    given = step(SOPClassUID=UnifiedProcedureStepPush, SOPInstanceUID="1.2.3", PatientID="7")
    given.file_meta = FileMetaDataset()
    given.file_meta.MediaStorageSOPClassUID = UnifiedProcedureStepPush
    given.file_meta.MediaStorageSOPInstanceUID = "1.2.3"
    given.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    given.save_as(tmp_path / "step.dcm", enforce_file_format=True)
    result = run("push", "-f", tmp_path / "step.dcm", "-k", "PatientID=8")
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.startswith("1.2.3: scheduled, 0x0000")
    assert known(office, "1.2.3").PatientID == "8"
    assert known(office, "1.2.3").ScheduledProcedureStepPriority == "HIGH"
    again = run("push", "-f", tmp_path / "step.dcm", "--json")
    assert json.loads(again.stdout)["status"] == 0x0111
    assert again.returncode == 1
    assert again.stderr.count("\n") == 1


def test_subscriptions(office: RIS, run: Any) -> None:
    provider = office.providers[0]
    uid = provider.schedule(step())
    office.watch("WALL")
    office.watch("UPSSCU")
    wall = ("--receiver", "WALL")
    assert told(run("subscribe", *wall, "--lock", "--json"))["uid"] is None
    assert run("subscribe", "--uid", uid).stdout.startswith(f"{uid}: subscribed")
    assert provider.subscribers(uid) == {"WALL": True, "UPSSCU": False}
    assert run("unsubscribe", *wall, "--uid", uid).returncode == 0
    assert provider.subscribers(uid) == {"UPSSCU": False}
    assert provider.globally_subscribed()["WALL"].lock
    assert run("suspend", *wall).returncode == 0
    assert provider.globally_subscribed() == {}
    assert run("subscribe", *wall, "-k", "WorklistLabel=CT").returncode == 0
    keys = provider.globally_subscribed()["WALL"].keys
    assert keys is not None
    assert keys.WorklistLabel == "CT"
    assert run("unsubscribe", *wall).stdout.startswith("all steps: no longer subscribed")
    assert provider.globally_subscribed() == {}
    unknown = run("subscribe", "--receiver", "NOBODY")
    assert (unknown.returncode, unknown.stdout) == (1, "")
    assert "0xC308" in unknown.stderr


@pytest.mark.parametrize("keep", [False, True])
def test_watch(keep: bool, office: RIS, python_env: dict[str, str]) -> None:
    provider = office.providers[0]
    addresses: dict[str, tuple[str, int]] = {"WALL": ("127.0.0.1", 1)}
    provider._where = provider._reporter._where = addresses.get
    process = warm.Popen(
        [
            *(sys.executable, "-m", "pynetdicom", "upsscu", "127.0.0.1", str(office.port), "watch"),
            *("-aet", "WALL", "--listen", "0", "-ba", "127.0.0.1", "-k", "WorklistLabel=CT"),
            *(["--keep"] if keep else []),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        env=python_env,
    )
    assert process.stdout is not None
    addresses["WALL"] = "127.0.0.1", int(process.stdout.readline().rpartition(":")[2])
    assert until(lambda: "WALL" in provider.globally_subscribed())
    provider.schedule(step(WorklistLabel="MR"))
    uid = provider.schedule(step(WorklistLabel="CT", PatientName="Dœ^J"))
    provider.cancel(uid, made(ReasonForCancellation="weg, äh"))
    events = [json.loads(process.stdout.readline()) for _ in range(3)]
    assert [(one["uid"], one["event"]) for one in events] == [(uid, 1)] * 3
    assert events[0]["name"] == "state report"
    states = [Dataset.from_json(one["information"]).ProcedureStepState for one in events]
    assert states == ["SCHEDULED", "IN PROGRESS", "CANCELED"]
    assert Dataset.from_json(events[2]["information"]).ReasonForCancellation == "weg, äh"
    assert until(lambda: provider.outstanding == {})
    process.send_signal(signal.SIGTERM)
    _, errors = process.communicate(timeout=60)
    assert (process.returncode, errors) == (0, "")
    assert ("WALL" in provider.globally_subscribed()) is keep


def test_watch_without_a_subscription(run: Any) -> None:
    result = run("watch", "--listen", "0", "-aet", "NOBODY", "-ba", "127.0.0.1")
    assert result.returncode == 1
    assert "0xC308" in result.stderr
    assert result.stderr.count("\n") == 1


def test_watch_where_nobody_can_listen(run: Any, office: RIS) -> None:
    result = run("watch", "--listen", office.port, "-ba", "127.0.0.1")
    assert (result.returncode, result.stdout) == (1, "")
    assert "cannot listen on" in result.stderr


def test_the_events_are_the_standards() -> None:
    assert list(upsscu.EVENTS) == [
        *(ups.STATE_REPORT, ups.CANCEL_REQUESTED, ups.PROGRESS_REPORT),
        *(ups.STATUS_CHANGE, ups.ASSIGNED),
    ]


def test_what_is_not_sent(office: RIS, run: Any) -> None:
    """The table is looked at here: the peer is not asked."""
    result = run("push", "-k", "ProcedureStepLabel=Plan")
    assert (result.returncode, result.stdout) == (1, "")
    assert "InputReadinessState" in result.stderr
    assert result.stderr.count("\n") == 1
    assert list(office.providers[0].steps()) == []


@pytest.mark.parametrize(
    "arguments",
    [
        ["claim"],
        ["get"],
        ["set", "-k", "PatientID=1"],
        ["complete", "--uid", "1.2.3"],
        ["cancel", "--uid", "1.2.3"],
        ["request-cancel"],
        ["subscribe", "--uid", "1.2.3", "-k", "PatientID=1"],
        ["watch"],
        ["push", "-k", "NoSuchElement=1"],
        ["push", "-f", "nothing.json"],
        ["drop"],
    ],
)
def test_wrong_arguments(arguments: list[str], run_app: RunApp, free_port: int) -> None:
    result = run_app("upsscu", "127.0.0.1", free_port, *arguments)
    assert (result.returncode, result.stdout) == (2, "")
    assert result.stderr.count("\n") == 1


def test_a_step_that_is_not_there(run: Any) -> None:
    mine = ("--uid", "1.2.3", "--transaction", "1.2.4")
    for action in ("get", "claim", "set", "complete", "cancel", "request-cancel"):
        result = run(action, *mine)
        assert (result.returncode, result.stdout) == (1, "")
        assert "0xC307" in result.stderr
        assert result.stderr.count("\n") == 1


def test_no_such_context(run_app: RunApp, serve_app: Any) -> None:
    scp = serve_app("echoscp")
    for action in ("find", "push"):
        result = run_app("upsscu", "127.0.0.1", scp.port, action, *NEW)
        assert result.returncode == 1
        assert result.stderr.count("\n") == 1
