"""Unified procedure steps, as a script of pynetdicom 3.0.4 has them.

``python old_ups.py scp WATCHER_PORT`` keeps steps and tells the watcher of them, prints its port,
and ends with standard input. ``python old_ups.py scu PORT`` schedules, claims and completes a step
and is told of it where it listens, which it prints first. What happened is printed, a line of JSON
each.
"""

from __future__ import annotations

import json
import queue
import sys
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # names of the table
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)

GLOBAL = "1.2.840.10008.5.1.4.34.5"
STEP = "1.2.3"
CLASSES = (
    *(UnifiedProcedureStepPush, UnifiedProcedureStepPull),
    *(UnifiedProcedureStepWatch, UnifiedProcedureStepQuery),
)
EMPTY = (
    *("TransactionUID", "WorklistLabel", "CommentsOnTheScheduledProcedureStep", "PatientName"),
    *("PatientID", "IssuerOfPatientID", "PatientBirthDate", "PatientSex", "AdmissionID"),
    "AdmittingDiagnosesDescription",
)
EMPTY_SEQUENCES = (
    *("ScheduledProcessingParametersSequence", "ScheduledStationNameCodeSequence"),
    *("ScheduledStationClassCodeSequence", "ScheduledStationGeographicLocationCodeSequence"),
    *("ScheduledWorkitemCodeSequence", "InputInformationSequence"),
    *("IssuerOfPatientIDQualifiersSequence", "IssuerOfAdmissionIDSequence"),
    *("AdmittingDiagnosesCodeSequence", "ReferencedRequestSequence"),
    *("OtherPatientIDsSequence", "UnifiedProcedureStepPerformedProcedureSequence"),
    "ProcedureStepProgressInformationSequence",
)


def tell(*what: Any) -> None:
    print(json.dumps(what), flush=True)


def made(**values: Any) -> Dataset:
    data_set = Dataset()
    for keyword, value in values.items():
        setattr(data_set, keyword, value)
    return data_set


def new_step() -> Dataset:
    return made(
        SpecificCharacterSet="ISO_IR 192",
        **dict.fromkeys(EMPTY, ""),
        **{keyword: [] for keyword in EMPTY_SEQUENCES},
        ProcedureStepState="SCHEDULED",
        ScheduledProcedureStepPriority="HIGH",
        ProcedureStepLabel="Plan, für Dœ",
        ScheduledProcedureStepStartDateTime="20261129",
        InputReadinessState="READY",
    )


def code() -> Dataset:
    return made(CodeValue="1", CodingSchemeDesignator="99X", CodeMeaning="one")


def performed(transaction_uid: str) -> Dataset:
    item = made(
        PerformedStationNameCodeSequence=[code()],
        PerformedProcedureStepStartDateTime="20261129",
        PerformedWorkitemCodeSequence=[code()],
        PerformedProcedureStepEndDateTime="20261129",
        OutputInformationSequence=[],
    )
    return made(
        TransactionUID=transaction_uid,
        UnifiedProcedureStepPerformedProcedureSequence=[item],
    )


# SCP

steps: dict[str, Dataset] = {}
owners: dict[str, str] = {}
to_tell: queue.Queue[Any] = queue.Queue()


def status_of(code: int) -> Dataset:
    return made(Status=code)


def report(uid: str) -> None:
    step = steps[uid]
    to_tell.put(
        (
            uid,
            made(
                ProcedureStepState=step.ProcedureStepState,
                InputReadinessState=step.InputReadinessState,
            ),
        )
    )


def create(event: Any) -> Any:
    step, uid = event.attribute_list, str(event.request.AffectedSOPInstanceUID)
    if uid in steps:
        return status_of(0x0111), None
    tell("created", uid, str(step.ProcedureStepLabel), str(step.PatientName))
    steps[uid] = step
    report(uid)
    return status_of(0x0000), step


def change(event: Any) -> Any:
    uid, sent = str(event.request.RequestedSOPInstanceUID), event.modification_list
    if owners.get(uid, "") != str(sent.get("TransactionUID") or ""):
        return status_of(0xC301), None
    tell("set", uid, sorted(element.keyword for element in sent))
    sent.pop("TransactionUID", None)
    steps[uid].update(sent)
    return status_of(0x0000), None


def act(event: Any) -> Any:
    uid, sent, kind = (
        str(event.request.RequestedSOPInstanceUID),
        event.action_information,
        event.action_type,
    )
    if kind != 1:
        tell("action", kind, uid, str(sent.get("ReceivingAE")), str(sent.get("DeletionLock")))
        return status_of(0x0000), None
    if uid not in steps:
        return status_of(0xC307), None
    if owners.setdefault(uid, str(sent.TransactionUID)) != str(sent.TransactionUID):
        return status_of(0xC301), None
    tell("state", uid, sent.ProcedureStepState)
    steps[uid].ProcedureStepState = sent.ProcedureStepState
    report(uid)
    return status_of(0x0000), None


def get(event: Any) -> Any:
    uid = str(event.request.RequestedSOPInstanceUID)
    if uid not in steps:
        return status_of(0xC307), None
    return status_of(0x0000), steps[uid]


def find(event: Any) -> Any:
    for uid, step in steps.items():
        if step.ProcedureStepState == event.identifier.ProcedureStepState:
            yield status_of(0xFF00), made(SOPInstanceUID=uid, ProcedureStepState="SCHEDULED")


def scp(port: int) -> None:
    ae = AE("OLD")
    for uid in CLASSES:
        ae.add_supported_context(uid)
    handlers = [
        *((evt.EVT_N_CREATE, create), (evt.EVT_N_SET, change), (evt.EVT_N_ACTION, act)),
        *((evt.EVT_N_GET, get), (evt.EVT_C_FIND, find)),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    tell("port", server.server_address[1])
    sys.stdin.read()
    contexts = [build_context(UnifiedProcedureStepEvent)]
    role = build_role(UnifiedProcedureStepEvent, scp_role=True)
    assoc = ae.associate("127.0.0.1", port, contexts=contexts, ext_neg=[role])
    while not to_tell.empty():
        uid, information = to_tell.get()
        status, _ = assoc.send_n_event_report(
            information, 1, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepEvent
        )
        tell("reported", status.Status)
    assoc.release()
    ae.shutdown()


# SCU


def scu(port: int) -> None:
    heard: queue.Queue[Any] = queue.Queue()

    def take(event: Any) -> Any:
        information = event.event_information
        state = str(information.get("ProcedureStepState"))
        heard.put(("heard", event.event_type, str(event.request.AffectedSOPInstanceUID), state))
        return status_of(0x0000), None

    ae = AE("OLD")
    ae.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, take)]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    tell("port", server.server_address[1])
    sys.stdin.readline()  # the SCP knows where this listens now
    for uid in CLASSES:
        ae.add_requested_context(uid)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established
    push, pull, watch = CLASSES[:3]

    def do(action: int, uid: str, meta_uid: str, **information: Any) -> int:
        status, _ = assoc.send_n_action(made(**information), action, push, uid, meta_uid=meta_uid)
        return int(status.Status)

    def state(wanted: str, transaction_uid: str) -> int:
        return do(1, STEP, pull, ProcedureStepState=wanted, TransactionUID=transaction_uid)

    def change(sent: Dataset) -> int:
        return int(assoc.send_n_set(sent, push, STEP, meta_uid=pull)[0].Status)

    lock = {"ReceivingAE": "OLD", "DeletionLock": "TRUE"}
    tell("subscribed", do(3, GLOBAL, watch, **lock))
    tell("pushed", assoc.send_n_create(new_step(), push, STEP)[0].Status)
    tell("again", assoc.send_n_create(new_step(), push, STEP)[0].Status)
    keys = made(ProcedureStepState="SCHEDULED", SOPInstanceUID="", ProcedureStepLabel="")
    matches = assoc.send_c_find(keys, UnifiedProcedureStepQuery)
    found = [(status.Status, match and str(match.SOPInstanceUID)) for status, match in matches]
    tell("found", found)
    tell("claimed", state("IN PROGRESS", "1.2.4"))
    tell("too late", state("IN PROGRESS", "1.2.5"))
    tell("asked", do(2, STEP, watch, ReasonForCancellation="moved"))
    tell("not mine", change(performed("1.2.5")))
    tell("not yet", state("COMPLETED", "1.2.4"))
    tell("set", change(performed("1.2.4")))
    tell("completed", state("COMPLETED", "1.2.4"))
    status, step = assoc.send_n_get([], push, STEP, meta_uid=pull)
    tell("got", status.Status, str(step.ProcedureStepLabel), "TransactionUID" in step)
    tell("cannot be canceled", do(2, STEP, watch, ReasonForCancellation="moved"))
    for _ in range(4):
        tell(*heard.get(timeout=60))
    tell("no longer subscribed", do(4, GLOBAL, watch, ReceivingAE="OLD"))
    assoc.release()
    ae.shutdown()


if __name__ == "__main__":
    (scp if sys.argv[1] == "scp" else scu)(int(sys.argv[2]))
