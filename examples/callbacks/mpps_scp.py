"""Performed procedure step SCP with callbacks: hears what modalities do.

    python examples/callbacks/mpps_scp.py 127.0.0.1 11112

By hand, and so it looks at the states only, and forgets all when it ends: for the attributes, and
for a store, there is ``pynetdicom.workflows.mpps``. Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys
import threading

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import ModalityPerformedProcedureStep
from pynetdicom.typing import Context, Info, Reply

STATES = ("IN PROGRESS", "COMPLETED", "DISCONTINUED")
STEPS: dict[str, Dataset] = {}  # by SOP Instance UID
LOCK = threading.Lock()  # each association has a thread of its own


def create(uid: str, step: Dataset) -> Reply:
    """An N-CREATE: a modality begins (PS3.4 F.7.2.1)."""
    if step.PerformedProcedureStepStatus != "IN PROGRESS":  # 0x0120 is answered if there is none
        return 0x0106, None
    with LOCK:
        if STEPS.setdefault(uid, step) is not step:
            return 0x0111, None
    print("IN PROGRESS", step.get("PatientID"), flush=True)
    return 0x0000, None


def change(uid: str, changes: Dataset) -> Reply:
    """An N-SET: it goes on, or has ended (PS3.4 F.7.2.2)."""
    with LOCK:
        if uid not in STEPS:
            return 0x0112, None
        step = STEPS[uid]
        if step.PerformedProcedureStepStatus != "IN PROGRESS":  # what has ended stays as it is
            status = Dataset()
            status.Status, status.ErrorID = 0x0110, 0xA710
            return status, None
        if changes.get("PerformedProcedureStepStatus", "IN PROGRESS") not in STATES:
            return 0x0106, None
        step.update(changes)
    print(step.PerformedProcedureStepStatus, step.get("PatientID"), flush=True)
    return 0x0000, None


def on_n_create(dataset: Dataset, context: Context, info: Info) -> Reply:
    return create(info["parameters"]["requested_sop_instance_uid"], dataset)


def on_n_set(dataset: Dataset, context: Context, info: Info) -> Reply:
    return change(info["parameters"]["requested_sop_instance_uid"], dataset)


def main() -> int:
    parser = argparse.ArgumentParser(description="Hear what modalities do.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = AE(ae_title=b"RIS", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(ModalityPerformedProcedureStep)
    ae.on_n_create, ae.on_n_set = on_n_create, on_n_set
    ae.start()  # returns after Ctrl-C
    return 0


if __name__ == "__main__":
    sys.exit(main())
