"""Unified procedure step SCU: give work to others, or do it.

    python examples/events/ups_scu.py 127.0.0.1 11112 --push "Plan the treatment"
    python examples/events/ups_scu.py 127.0.0.1 11112

Without --push it claims what is scheduled, and does it. Ends with 0 if all went well.
"""

import argparse
import sys
from datetime import datetime
from typing import Any

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import UnifiedProcedureStepPull, UnifiedProcedureStepPush
from pynetdicom.workflows import ups
from pynetdicom.workflows.providing import Refused


def attributes(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def push(assoc: Association, label: str) -> None:
    """Schedule a step, by an N-CREATE."""
    step = attributes(
        ProcedureStepLabel=label,
        ScheduledProcedureStepPriority="MEDIUM",
        ScheduledProcedureStepStartDateTime=datetime.now(),
        InputReadinessState="READY",
    )
    print("scheduled", ups.push(assoc, step))


def perform(assoc: Association, start: datetime) -> None:
    """Do what is scheduled."""
    code = attributes(CodeValue="1", CodingSchemeDesignator="99EXAMPLE", CodeMeaning="Planning")
    keys = attributes(ProcedureStepState="SCHEDULED", SOPInstanceUID=None, ProcedureStepLabel=None)
    for match in list(ups.find(assoc, keys)):
        try:
            own = ups.claim(assoc, match.SOPInstanceUID)  # an N-ACTION
        except Refused:
            continue  # another one was faster
        own.progress(50)  # an N-SET
        done = attributes(
            PerformedStationNameCodeSequence=[code],
            PerformedWorkitemCodeSequence=[code],
            PerformedProcedureStepStartDateTime=start,
            PerformedProcedureStepEndDateTime=datetime.now(),
            OutputInformationSequence=[],
        )
        own.complete(attributes(UnifiedProcedureStepPerformedProcedureSequence=[done]))
        print("done", match.ProcedureStepLabel)


def main() -> int:
    parser = argparse.ArgumentParser(description="Give work to others, or do it.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--push", metavar="LABEL", help="schedule a step")
    args = parser.parse_args()

    ae = AE("PLANNER")
    ae.add_requested_context(UnifiedProcedureStepPush)
    ae.add_requested_context(UnifiedProcedureStepPull)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    try:
        if args.push:
            push(assoc, args.push)
        else:
            perform(assoc, datetime.now())
    except (Refused, ValueError) as error:  # or the peer has no steps
        print(error, file=sys.stderr)
        return 1
    finally:
        assoc.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
