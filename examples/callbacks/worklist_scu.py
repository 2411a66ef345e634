"""Worklist SCU in pynetdicom 1.x's style: ask what is scheduled for a modality.

    python examples/callbacks/worklist_scu.py 127.0.0.1 11112 --modality CT --date 20240101-20240131

Ends with 0 if the peer answered to the end with success, with 1 otherwise.
"""

import argparse
import sys
from typing import Any

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import ModalityWorklistInformationFind
from pynetdicom.status import code_to_category


def query(args: argparse.Namespace) -> Dataset:
    """What is asked for: values to match, and empty elements for what is to be told."""
    # A worklist has no levels. Values about the step are in an item of this sequence (PS3.4 K.6).
    step = Dataset()
    step.ScheduledStationAETitle = args.station
    step.Modality = args.modality
    step.ScheduledProcedureStepStartDate = args.date
    step.ScheduledProcedureStepStartTime = ""
    step.ScheduledProcedureStepID = ""
    wanted = Dataset()
    wanted.ScheduledProcedureStepSequence = [step]
    wanted.PatientName = "*"
    wanted.PatientID = ""
    wanted.AccessionNumber = ""
    wanted.StudyInstanceUID = ""  # the images are to have this one
    return wanted


def show(match: Dataset) -> None:
    # What the peer does not know may be empty or missing, the sequence as well.
    step = (match.get("ScheduledProcedureStepSequence") or [Dataset()])[0]
    when = step.get("ScheduledProcedureStepStartDate") or "no date"
    print(when, step.get("Modality"), match.get("PatientID"), match.get("PatientName"))


def on_association_rejected(primitive: Any) -> None:
    print("rejected: does the peer know our AE title?", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask what is scheduled.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
    parser.add_argument("--station", default="", help="the AE title of the modality")
    parser.add_argument("--modality", default="", help="such as CT")
    parser.add_argument("--date", default="", help="a day, or two with a hyphen between them")
    args = parser.parse_args()

    ae = AE(ae_title=b"WORK_EXAMPLE")
    ae.on_association_rejected = on_association_rejected
    ae.add_requested_context(ModalityWorklistInformationFind)
    assoc = ae.associate(args.host, args.port, ae_title=args.called.encode())
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    final = None
    try:
        # The letter stands for the modality worklist.
        for status, match in assoc.send_c_find(query(args), query_model="W"):
            final = status.get("Status")  # None when there was no answer
            if final is not None and code_to_category(final) == "Pending":
                show(match)
    except ValueError as error:  # the peer has no worklist
        print(error, file=sys.stderr)
    else:
        if final is None:
            print(f"no answer: {assoc.ended}", file=sys.stderr)
        else:
            print(f"the peer answered with 0x{final:04X}")
    assoc.release()
    return 0 if final == 0x0000 and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
