"""All six N-services, as SCP or SCU, with the names that pynetdicom 3.0.4 has too.

Run by either library: ``python n_services.py scp`` listens and prints its port, ``python
n_services.py scu PORT`` asks for each. What happened is printed, a line of JSON each.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # names of the table
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    RTConventionalMachineVerification,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
    UPSGlobalSubscriptionInstance,
)

RT = RTConventionalMachineVerification
ATTRIBUTES = {
    "EVT_N_ACTION": ("action_type", "action_information"),
    "EVT_N_CREATE": ("attribute_list",),
    "EVT_N_EVENT_REPORT": ("event_type", "event_information"),
    "EVT_N_GET": ("attribute_identifiers",),
    "EVT_N_SET": ("modification_list",),
}
UPS = UnifiedProcedureStepPush  # the class in the messages of all of its contexts
UIDS = (
    *(RT, BasicGrayscalePrintManagementMeta, StorageCommitmentPushModel),
    *(UPS, UnifiedProcedureStepPull, UnifiedProcedureStepWatch, UnifiedProcedureStepEvent),
)


def tell(*what: Any) -> None:
    print(json.dumps(what), flush=True)


def data_set(name: str) -> Dataset:
    made = Dataset()
    made.PatientName = name
    item = Dataset()
    item.ReferencedSOPInstanceUID = "1.2.3"
    made.ReferencedSOPSequence = [item]
    return made


def as_json(data_set: Any) -> Any:
    return None if data_set is None else data_set.to_json_dict()


def handle(event: Any) -> Any:
    request = event.request
    name = event.event.name
    found: dict[str, Any] = {}
    for attribute in ATTRIBUTES.get(name, ()):
        value = getattr(event, attribute)
        found[attribute] = as_json(value) if isinstance(value, Dataset) else value
    uids = [
        str(getattr(request, keyword))
        for keyword in (
            "AffectedSOPClassUID",
            "AffectedSOPInstanceUID",
            "RequestedSOPClassUID",
            "RequestedSOPInstanceUID",
        )
        if getattr(request, keyword, None) is not None
    ]
    tell(name, event.context.abstract_syntax, sorted(uids), found)
    if name == "EVT_N_DELETE":
        return 0x0112
    status = Dataset()
    status.Status = 0x0107 if name == "EVT_N_SET" else 0x0000
    if name == "EVT_N_SET":
        status.AttributeIdentifierList = [0x00100010, 0x00100020]
        status.ErrorComment = "partly"
    if name == "EVT_N_ACTION" and event.action_type == 3:
        for number in (1, 5):
            report, _ = event.assoc.send_n_event_report(
                data_set("Report"), number, UPS, "1.2.840.3", meta_uid=UnifiedProcedureStepEvent
            )
            tell("reported", report.Status)
    if name == "EVT_N_ACTION" and event.context.abstract_syntax == StorageCommitmentPushModel:
        report, _ = event.assoc.send_n_event_report(
            data_set("Report"), 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        tell("reported", report.Status)
    return status, data_set("Reply")


HANDLERS = [
    (getattr(evt, f"EVT_N_{name}"), handle)
    for name in ("ACTION", "CREATE", "DELETE", "EVENT_REPORT", "GET", "SET")
]


def scp() -> None:
    ae = AE("SCP")
    for uid in UIDS:
        ae.add_supported_context(uid, scu_role=True, scp_role=True)
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=HANDLERS)
    assert server is not None
    tell("port", server.server_address[1])
    sys.stdin.read()
    ae.shutdown()


def answered(name: str, given: Any) -> None:
    status, reply = given if isinstance(given, tuple) else (given, None)
    others = [
        (keyword, str(getattr(status, keyword)))
        for keyword in ("ErrorComment", "AttributeIdentifierList")
        if keyword in status
    ]
    tell(name, status.Status, others, as_json(reply))


def scu(port: int) -> None:
    ae = AE("SCU")
    for uid in UIDS:
        ae.add_requested_context(uid)
    roles = [build_role(uid, scu_role=True, scp_role=True) for uid in UIDS]
    assoc = ae.associate("127.0.0.1", port, ext_neg=roles, evt_handlers=HANDLERS)
    assert assoc.is_established
    sent = data_set("Sent")
    meta = BasicGrayscalePrintManagementMeta
    commitment, instance = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    answered("action", assoc.send_n_action(sent, 1, commitment, instance))
    answered("create", assoc.send_n_create(sent, RT, "1.2.840.1"))
    answered("meta", assoc.send_n_create(sent, BasicFilmSession, "1.2.840.2", meta_uid=meta))
    answered("delete", assoc.send_n_delete(RT, "1.2.840.1"))
    answered("event", assoc.send_n_event_report(sent, 2, RT, "1.2.840.1"))
    answered("get", assoc.send_n_get([(0x0010, 0x0010), (0x0008, 0x1199)], RT, "1.2.840.1"))
    answered("set", assoc.send_n_set(sent, RT, "1.2.840.1"))
    pull, watch = UnifiedProcedureStepPull, UnifiedProcedureStepWatch
    everything = UPSGlobalSubscriptionInstance
    answered("ups push", assoc.send_n_create(sent, UPS, "1.2.840.3"))
    answered("ups subscribe", assoc.send_n_action(sent, 3, UPS, everything, meta_uid=watch))
    answered("ups claim", assoc.send_n_action(sent, 1, UPS, "1.2.840.3", meta_uid=pull))
    answered("ups change", assoc.send_n_set(sent, UPS, "1.2.840.3", meta_uid=pull))
    answered("ups look", assoc.send_n_get([0x00741000], UPS, "1.2.840.3", meta_uid=watch))
    answered("ups cancel", assoc.send_n_action(sent, 2, UPS, "1.2.840.3", meta_uid=watch))
    answered("ups forget", assoc.send_n_action(sent, 4, UPS, "1.2.840.3", meta_uid=watch))
    assoc.release()
    tell("released", assoc.is_released)


if __name__ == "__main__":
    scp() if sys.argv[1] == "scp" else scu(int(sys.argv[2]))
