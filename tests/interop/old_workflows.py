"""The workflows' other sides, as scripts of pynetdicom 3.0.4 have them.

``python old_workflows.py scp`` keeps steps, commits to keep CT images, prints its port, and ends
with standard input. ``python old_workflows.py scu PORT CLASS=UID …`` performs a step, and asks for
commitment. What happened is printed, a line of JSON each.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # names of the table
    CTImageStorage,
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
)

STEP = "1.2.3"


def tell(*what: Any) -> None:
    print(json.dumps(what), flush=True)


def status_of(code: int) -> Dataset:
    status = Dataset()
    status.Status = code
    return status


# SCP

steps: dict[str, Dataset] = {}


def create(event: Any) -> Any:
    step = event.attribute_list
    uid = str(event.request.AffectedSOPInstanceUID)
    tell("created", uid, step.PerformedProcedureStepStatus, str(step.PatientName))
    steps[uid] = step
    return status_of(0x0000), step


def change(event: Any) -> Any:
    uid = str(event.request.RequestedSOPInstanceUID)
    if uid not in steps:
        return status_of(0x0112), None
    change = event.modification_list
    tell("set", uid, change.PerformedProcedureStepStatus)
    steps[uid].update(change)
    return status_of(0x0000), steps[uid]


def commit(event: Any) -> Any:
    request = event.action_information
    result = Dataset()
    result.TransactionUID = request.TransactionUID
    kept, failed = [], []
    for item in request.ReferencedSOPSequence:
        if item.ReferencedSOPClassUID == CTImageStorage:
            kept.append(item)
        else:
            item.FailureReason = 0x0112
            failed.append(item)
    result.ReferencedSOPSequence = kept
    if failed:
        result.FailedSOPSequence = failed
    status, _ = event.assoc.send_n_event_report(
        result,
        2 if failed else 1,
        StorageCommitmentPushModel,
        StorageCommitmentPushModelInstance,
    )
    tell("reported", status.Status)
    return status_of(0x0000), None


def scp() -> None:
    ae = AE("OLD")
    for uid in (ModalityPerformedProcedureStep, StorageCommitmentPushModel):
        ae.add_supported_context(uid)
    handlers = [
        (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, change),
        (evt.EVT_N_ACTION, commit),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    tell("port", server.server_address[1])
    sys.stdin.read()
    ae.shutdown()


# SCU


def new_step() -> Dataset:
    step = Dataset()
    step.SpecificCharacterSet = "ISO_IR 192"
    study = Dataset()
    study.StudyInstanceUID = "1.2.7"
    study.ReferencedStudySequence = []
    for keyword in (
        *("AccessionNumber", "RequestedProcedureID", "RequestedProcedureDescription"),
        *("ScheduledProcedureStepID", "ScheduledProcedureStepDescription"),
    ):
        setattr(study, keyword, "")
    study.ScheduledProtocolCodeSequence = []
    step.ScheduledStepAttributesSequence = [study]
    step.PatientName = "Dœ^J"
    for keyword in (
        *("PatientID", "PatientBirthDate", "PatientSex", "PerformedStationName", "StudyID"),
        *("PerformedLocation", "PerformedProcedureStepDescription"),
        *("PerformedProcedureTypeDescription",),
        *("PerformedProcedureStepEndDate", "PerformedProcedureStepEndTime"),
    ):
        setattr(step, keyword, "")
    step.PerformedProcedureStepID = "1"
    step.PerformedStationAETitle = "OLD"
    step.PerformedProcedureStepStartDate = "20261129"
    step.PerformedProcedureStepStartTime = "1015"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    step.Modality = "CT"
    for keyword in (
        *("ReferencedPatientSequence", "ProcedureCodeSequence", "PerformedSeriesSequence"),
        "PerformedProtocolCodeSequence",
    ):
        setattr(step, keyword, [])
    return step


def end() -> Dataset:
    series = Dataset()
    series.SeriesInstanceUID = "1.2.7.1"
    series.ProtocolName = "HEAD"
    for keyword in (
        *("RetrieveAETitle", "SeriesDescription", "PerformingPhysicianName", "OperatorsName"),
    ):
        setattr(series, keyword, "")
    series.ReferencedImageSequence = []
    series.ReferencedNonImageCompositeSOPInstanceSequence = []
    change = Dataset()
    change.PerformedProcedureStepStatus = "COMPLETED"
    change.PerformedProcedureStepEndDate = "20261129"
    change.PerformedProcedureStepEndTime = "1030"
    change.PerformedSeriesSequence = [series]
    return change


def scu(port: int, references: list[str]) -> None:
    results: queue.Queue[Dataset] = queue.Queue()

    def take(event: Any) -> Any:
        results.put(event.event_information)
        return status_of(0x0000), None

    ae = AE("OLD")
    for uid in (ModalityPerformedProcedureStep, StorageCommitmentPushModel):
        ae.add_requested_context(uid)
    role = build_role(StorageCommitmentPushModel, scu_role=True, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, take)]
    assoc = ae.associate("127.0.0.1", port, ext_neg=[role], evt_handlers=handlers)
    assert assoc.is_established
    mpps = ModalityPerformedProcedureStep
    for name, answered in (
        ("create", assoc.send_n_create(new_step(), mpps, STEP)),
        ("again", assoc.send_n_create(new_step(), mpps, STEP)),
        ("complete", assoc.send_n_set(end(), mpps, STEP)),
        ("too late", assoc.send_n_set(end(), mpps, STEP)),
    ):
        tell(name, answered[0].Status)
    request = Dataset()
    request.TransactionUID = "1.2.3.4"
    request.ReferencedSOPSequence = [Dataset() for _ in references]
    for item, reference in zip(request.ReferencedSOPSequence, references, strict=True):
        item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = reference.split("=")
    status, _ = assoc.send_n_action(
        request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    tell("requested", status.Status)
    result = results.get(timeout=60)
    tell(
        "result",
        result.TransactionUID,
        [str(item.ReferencedSOPInstanceUID) for item in result.ReferencedSOPSequence],
        [item.FailureReason for item in result.FailedSOPSequence],
    )
    assoc.release()


if __name__ == "__main__":
    scp() if sys.argv[1] == "scp" else scu(int(sys.argv[2]), sys.argv[3:])
