"""Performed procedure steps by hand, for pynetdicom 3.0.4: it has no workflows.

``python steps.py scp`` listens, prints its port and whatever it is asked; it keeps steps without
judging them. ``python steps.py scu PORT`` reads calls as JSON, and prints the answers.
"""

from __future__ import annotations

import json
import sys
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (  # type: ignore[attr-defined]  # names of the table
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)

UIDS = (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepRetrieve,
    ModalityPerformedProcedureStepNotification,
)


def tell(*what: Any) -> None:
    print(json.dumps(what), flush=True)


def scp() -> None:
    steps: dict[str, Dataset] = {}

    def create(event: Any) -> Any:
        uid, step = event.request.AffectedSOPInstanceUID, event.attribute_list
        tell("N-CREATE", uid, step.to_json_dict())
        if uid in steps:
            return 0x0111, None
        steps[uid] = step
        return 0x0000, None

    def change(event: Any) -> Any:
        uid, modified = event.request.RequestedSOPInstanceUID, event.modification_list
        tell("N-SET", uid, modified.to_json_dict())
        steps[uid].update(modified)
        return 0x0000, modified

    def get(event: Any) -> Any:
        uid, tags = event.request.RequestedSOPInstanceUID, event.attribute_identifiers
        tell("N-GET", uid, [str(tag) for tag in tags])
        found = Dataset()
        found.update({tag: steps[uid][tag] for tag in tags or list(steps[uid].keys())})
        return 0x0000, found

    def report(event: Any) -> Any:
        tell("N-EVENT-REPORT", event.request.AffectedSOPInstanceUID, event.event_type)
        return 0x0000, None

    ae = AE("RIS")
    for uid in UIDS:
        ae.add_supported_context(uid, scu_role=True, scp_role=True)
    handlers = [
        (evt.EVT_N_CREATE, create),
        (evt.EVT_N_SET, change),
        (evt.EVT_N_GET, get),
        (evt.EVT_N_EVENT_REPORT, report),
    ]
    server = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers)
    assert server is not None
    tell("port", server.server_address[1])
    sys.stdin.read()
    ae.shutdown()


def scu(port: int) -> None:
    def report(event: Any) -> Any:
        tell("N-EVENT-REPORT", event.request.AffectedSOPInstanceUID, event.event_type)
        return 0x0000, None

    ae = AE("CT_ROOM")
    for uid in UIDS:
        ae.add_requested_context(uid)
    roles = [build_role(UIDS[-1], scu_role=True, scp_role=False)]
    handlers = [(evt.EVT_N_EVENT_REPORT, report)]
    assoc = ae.associate("127.0.0.1", port, ext_neg=roles, evt_handlers=handlers)
    assert assoc.is_established
    for name, uid, given in json.load(sys.stdin):
        if name == "get":
            answered = assoc.send_n_get(given, ModalityPerformedProcedureStepRetrieve, uid)
        else:
            call = {"create": assoc.send_n_create, "set": assoc.send_n_set}[name]
            answered = call(Dataset.from_json(given), ModalityPerformedProcedureStep, uid)
        tell(name, *(None if part is None else part.to_json_dict() for part in answered))
    assoc.release()


if __name__ == "__main__":
    scp() if sys.argv[1] == "scp" else scu(int(sys.argv[2]))
