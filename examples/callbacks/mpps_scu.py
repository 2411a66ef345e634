"""Performed procedure step SCU in pynetdicom 1.x's style: tell what a modality does.

    python examples/callbacks/mpps_scu.py 127.0.0.1 11112 4711 "Citizen^Jan"

An examination begins, and is done. Ends with 0 if both was heard, with 1 otherwise.
"""

import argparse
import sys
from datetime import datetime
from typing import Any

from pydicom import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import ModalityPerformedProcedureStep
from pynetdicom.workflows import mpps  # which adds what may be empty, and has to be there
from pynetdicom.workflows.providing import Refused


def attributes(**values: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in values.items():
        setattr(ds, keyword, value)
    return ds


def examine(assoc: Association, patient_id: str, patient_name: str) -> None:
    today, now = datetime.now().strftime("%Y%m%d %H%M%S").split()
    beginning = attributes(
        SpecificCharacterSet="ISO_IR 192",
        ScheduledStepAttributesSequence=[attributes(StudyInstanceUID=generate_uid())],
        PatientID=patient_id,
        PatientName=patient_name,
        PerformedProcedureStepID="PPS1",
        PerformedStationAETitle="CT_ROOM",
        PerformedProcedureStepStartDate=today,
        PerformedProcedureStepStartTime=now,
        Modality="CT",
    )
    step = mpps.begin(assoc, beginning)  # an N-CREATE
    print("begun", step.uid)
    end = attributes(
        PerformedProcedureStepEndDate=today,
        PerformedProcedureStepEndTime=now,
        PerformedSeriesSequence=[attributes(SeriesInstanceUID=generate_uid(), ProtocolName="Head")],
    )
    step.complete(end)  # an N-SET, the last one
    print("done", step.uid)


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell of an examination.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("patient_id")
    parser.add_argument("patient_name")
    args = parser.parse_args()

    ae = AE(ae_title=b"CT_ROOM")
    ae.add_requested_context(ModalityPerformedProcedureStep)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    try:
        examine(assoc, args.patient_id, args.patient_name)
    except (Refused, ValueError) as error:  # or the peer hears of no steps
        print(error, file=sys.stderr)
        return 1
    finally:
        assoc.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
