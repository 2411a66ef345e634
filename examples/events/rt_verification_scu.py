"""RT machine verification SCU: have it verified how a machine is set.

    python examples/events/rt_verification_scu.py 127.0.0.1 11112 1.2.3.4 --meterset 100

It shows the messages: nobody is to be treated on its word. Ends with 0 if it is verified, with 1
otherwise.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE, RTMachineVerificationPresentationContexts
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    RTConventionalMachineVerification,
    RTIonMachineVerification,
    RTIonPlanStorage,
    RTPlanStorage,
)
from pynetdicom.status import code_to_category

VERIFY = 1  # the Action Type ID


class NotVerified(Exception):
    """The peer refuses, or does not answer."""


def checked(what: str, status: Dataset) -> None:
    code = status.get("Status")  # None when there was no answer
    if code is None or code_to_category(code) not in ("Success", "Warning"):
        raise NotVerified(f"{what}: {'no answer' if code is None else f'0x{code:04X}'}")


def verify(assoc: Association, args: argparse.Namespace) -> str | None:
    """The Treatment Verification Status (PS3.3 C.36.1)."""
    sop_class = RTIonMachineVerification if args.ion else RTConventionalMachineVerification
    plan = Dataset()
    plan.ReferencedSOPClassUID = RTIonPlanStorage if args.ion else RTPlanStorage
    plan.ReferencedSOPInstanceUID = args.plan
    beam = Dataset()
    beam.ReferencedRTPlanSequence = [plan]
    beam.ReferencedFractionGroupNumber = args.fraction_group
    beam.ReferencedBeamNumber = args.beam
    status, _ = assoc.send_n_create(beam, sop_class)
    checked("the beam", status)
    uid = status.get("AffectedSOPInstanceUID")  # which the peer has chosen
    if uid is None:
        raise NotVerified("the peer does not name the verification")

    setting = Dataset()
    setting.SpecifiedPrimaryMeterset = args.meterset
    status, _ = assoc.send_n_set(setting, sop_class, uid)
    checked("the setting", status)
    status, _ = assoc.send_n_action(None, VERIFY, sop_class, uid)
    checked("the verification", status)
    status, found = assoc.send_n_get(["TreatmentVerificationStatus"], sop_class, uid)
    checked("the result", status)
    checked("the end", assoc.send_n_delete(sop_class, uid))
    return str(found.TreatmentVerificationStatus)


def main() -> int:
    parser = argparse.ArgumentParser(description="Have it verified how a machine is set.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("plan", help="the SOP Instance UID of the RT plan")
    parser.add_argument("--fraction-group", type=int, default=1)
    parser.add_argument("--beam", type=int, default=1)
    parser.add_argument("--meterset", type=float, required=True, help="how the machine is set")
    parser.add_argument("--ion", action="store_true", help="it is an ion machine")
    args = parser.parse_args()

    ae = AE("VERIFY_EXAMPLE")
    ae.requested_contexts = RTMachineVerificationPresentationContexts
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    try:
        result = verify(assoc, args)
    except (NotVerified, ValueError) as error:  # or the peer does not verify
        print(f"not verified: {error}", file=sys.stderr)
        return 1
    finally:
        assoc.release()
    print(result)
    return 0 if result == "VERIFIED" else 1


if __name__ == "__main__":
    sys.exit(main())
