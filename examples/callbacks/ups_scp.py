"""Unified procedure step SCP with callbacks: has work, and says whose it is.

    python examples/callbacks/ups_scp.py 127.0.0.1 11112

By hand, and so it is for those who push, look and perform; it tells nobody, looks at few
attributes, and forgets all when it ends. ``pynetdicom.workflows.ups`` does all of it. Runs until
Ctrl-C, and then ends with 0.
"""

import argparse
import sys
import threading
from typing import Any

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import UnifiedProcedureStepPull, UnifiedProcedureStepPush
from pynetdicom.typing import Context, Info, Matches, Reply

STEPS: dict[str, Dataset] = {}  # by SOP Instance UID
# The Transaction UIDs of those in progress, which only their performers know.
OWNERS: dict[str, str] = {}
LOCK = threading.Lock()  # each association has a thread of its own
CHANGE_STATE = 1  # the Action Type ID
# By the state that it has, and the one that it is to have: the status (PS3.4 Table CC.1.1-2).
CHANGES = {
    "SCHEDULED": {"IN PROGRESS": 0x0000, "COMPLETED": 0xC310, "CANCELED": 0xC310},
    "IN PROGRESS": {"IN PROGRESS": 0xC302, "COMPLETED": 0x0000, "CANCELED": 0x0000},
    "COMPLETED": {"IN PROGRESS": 0xC300, "COMPLETED": 0xB306, "CANCELED": 0xC300},
    "CANCELED": {"IN PROGRESS": 0xC300, "COMPLETED": 0xC300, "CANCELED": 0xB304},
}


def create(uid: str, step: Dataset) -> Reply:
    """An N-CREATE: there is work (PS3.4 CC.2.5)."""
    if step.ProcedureStepState != "SCHEDULED":
        return 0xC309, None
    with LOCK:
        return (0x0000 if STEPS.setdefault(uid, step) is step else 0x0111), None


def change(uid: str, changes: Dataset) -> Reply:
    """An N-SET: the performer tells how far it is (PS3.4 CC.2.6)."""
    key = changes.get("TransactionUID")
    with LOCK:
        if uid not in STEPS:
            return 0xC307, None
        if STEPS[uid].ProcedureStepState in ("COMPLETED", "CANCELED"):
            return 0xC300, None
        if OWNERS.get(uid) != key:
            return 0xC301, None
        STEPS[uid].update(changes)
        STEPS[uid].pop("TransactionUID", None)  # it is never told
    return 0x0000, None


def act(uid: str, action: int, information: Dataset) -> Reply:
    """An N-ACTION: it is claimed, or has ended (PS3.4 CC.2.1)."""
    if action != CHANGE_STATE:
        return 0x0123, None
    state, transaction_uid = information.ProcedureStepState, information.TransactionUID
    with LOCK:
        if uid not in STEPS:
            return 0xC307, None
        step = STEPS[uid]
        code = CHANGES[step.ProcedureStepState].get(state, 0xC303)
        if code != 0xC303 and OWNERS.get(uid, transaction_uid) != transaction_uid:
            code = 0xC301
        if code == 0x0000:
            OWNERS[uid] = transaction_uid  # of several who try, the first one has it
            step.ProcedureStepState = state
            print(state, step.get("ProcedureStepLabel"), flush=True)
    return code, None


def find(keys: Dataset) -> list[Any]:
    """A C-FIND; the state is its only matching key here."""
    matches = []
    with LOCK:
        for uid, step in STEPS.items():
            if keys.get("ProcedureStepState") in (None, "", step.ProcedureStepState):
                match = Dataset()
                match.update({key.tag: step[key.tag] for key in keys if key.tag in step})
                match.SOPInstanceUID = uid
                matches.append((0xFF00, match))
    return matches


class StepAE(AE):
    """An AE whose callbacks are methods; assigning functions to it does the same."""

    def on_n_create(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        return create(instance(info), dataset)

    def on_n_set(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        return change(instance(info), dataset)

    def on_n_action(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        return act(instance(info), info["parameters"]["action_type"], dataset)

    def on_c_find(self, dataset: Dataset, context: Context, info: Info) -> Matches:
        return find(dataset)


def instance(info: Info) -> Any:
    return info["parameters"]["requested_sop_instance_uid"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Have work for others.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = StepAE(ae_title=b"RIS", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(UnifiedProcedureStepPush)
    ae.add_supported_context(UnifiedProcedureStepPull)
    ae.start()  # returns after Ctrl-C
    return 0


if __name__ == "__main__":
    sys.exit(main())
