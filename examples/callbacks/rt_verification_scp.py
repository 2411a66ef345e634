"""RT machine verification SCP with callbacks: compares how a machine is set with the plan.

    python examples/callbacks/rt_verification_scp.py 127.0.0.1 11112

It shows the messages: nobody is to be treated on its word.
Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys
import threading
from typing import Any

from pydicom import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import generate_uid

from pynetdicom import AE, RTMachineVerificationPresentationContexts
from pynetdicom.typing import Context, Info, Reply

PLANS = {"1.2.3.4": {1: {1: 100.0, 2: 80.5}}}  # plan → fraction group → beam: the meterset
TOLERANCE = 0.1


class Verifier:
    """The verifications of all peers."""

    def __init__(self) -> None:
        self.lock = threading.Lock()  # each association has a thread of its own
        self.verifications: dict[str, Dataset] = {}  # by SOP Instance UID: the attributes

    def create(self, uid: str, attributes: Dataset) -> Reply:
        """An N-CREATE: which beam is to be verified (PS3.4 DD.3.2.1)."""
        refusal = self.refusal(attributes)
        if refusal:
            return refusal, None
        status = Dataset()
        status.Status = 0x0000
        status.AffectedSOPInstanceUID = uid or generate_uid(prefix=None)  # the SCU may not name it
        attributes.TreatmentVerificationStatus = "NOT_VERIFIED"
        with self.lock:
            if status.AffectedSOPInstanceUID in self.verifications:
                return 0x0111, None
            self.verifications[status.AffectedSOPInstanceUID] = attributes
        return status, attributes

    def refusal(self, attributes: Dataset) -> int | None:
        """Why there is no such beam, as a status; None if there is one."""
        (plan,) = attributes.ReferencedRTPlanSequence
        groups = PLANS.get(plan.ReferencedSOPInstanceUID)
        if groups is None:
            return 0xC227
        beams = groups.get(attributes.ReferencedFractionGroupNumber)
        if beams is None:
            return 0xC221
        return None if attributes.ReferencedBeamNumber in beams else 0xC224

    def change(self, uid: str, attributes: Dataset) -> Reply:
        """An N-SET: how the machine is set."""
        with self.lock:
            if uid not in self.verifications:
                return 0x0112, None
            self.verifications[uid].update(attributes)
            self.verifications[uid].TreatmentVerificationStatus = "NOT_VERIFIED"
        return 0x0000, None

    def verify(self, uid: str) -> Reply:
        """An N-ACTION: compare with the plan."""
        with self.lock:
            if uid not in self.verifications:
                return 0xC112, None
            asked = self.verifications[uid]
            beams = PLANS[asked.ReferencedRTPlanSequence[0].ReferencedSOPInstanceUID]
            planned = beams[asked.ReferencedFractionGroupNumber][asked.ReferencedBeamNumber]
            is_set = asked.get("SpecifiedPrimaryMeterset")
            good = is_set is not None and abs(float(is_set) - planned) <= TOLERANCE
            asked.TreatmentVerificationStatus = "VERIFIED" if good else "NOT_VERIFIED"
        return 0x0000, None

    def get(self, uid: str, tags: list[BaseTag]) -> Reply:
        """An N-GET: the attributes that are asked for, or all."""
        found = Dataset()
        with self.lock:
            if uid not in self.verifications:
                return 0x0112, None
            known = self.verifications[uid]
            found.update({t: known[t] for t in tags or known.keys() if t in known})
        return 0x0000 if all(tag in found for tag in tags) else 0x0107, found

    def delete(self, uid: str) -> int:
        """An N-DELETE."""
        with self.lock:
            return 0x0112 if self.verifications.pop(uid, None) is None else 0x0000


class VerifierAE(AE):
    """An AE whose callbacks are methods; assigning functions to it does the same."""

    def __init__(self, verifier: Verifier, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.verifier = verifier

    def on_n_create(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """A beam is to be verified: return a status and a data set, or None."""
        return self.verifier.create(instance(info), dataset)

    def on_n_set(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """The machine tells how it is set."""
        return self.verifier.change(instance(info), dataset)

    def on_n_action(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """Compare; the only type is the one that begins a verification."""
        return self.verifier.verify(instance(info))

    def on_n_get(self, attr: list[BaseTag], context: Context, info: Info) -> Reply:
        """Tell the result; `attr` is a list of tags, empty for all."""
        return self.verifier.get(instance(info), attr)

    def on_n_delete(self, context: Context, info: Info) -> int:
        """It is not needed any more: return a status."""
        return self.verifier.delete(instance(info))


def instance(info: Info) -> Any:
    return info["parameters"]["requested_sop_instance_uid"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Compare how a machine is set with the plan.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = VerifierAE(Verifier(), ae_title=b"VERIFY_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.supported_contexts = RTMachineVerificationPresentationContexts
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
