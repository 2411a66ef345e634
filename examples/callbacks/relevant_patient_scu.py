"""Relevant Patient Information SCU in pynetdicom 1.x's style: ask what is known of one patient.

    python examples/callbacks/relevant_patient_scu.py 127.0.0.1 11112 PID1

Ends with 0 if the peer knows the patient, with 1 otherwise.
"""

import argparse
import sys
from typing import Any

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import GeneralRelevantPatientInformationQuery
from pynetdicom.status import code_to_category

REASONS = {
    0xC100: "there are several patients with this ID",
    0xC200: "the peer does not know the template",
}


def query(patient_id: str) -> Dataset:
    """What is asked for: the one patient, and what is to be told (PS3.4 Q.4)."""
    template = Dataset()
    template.MappingResource = "DCMR"
    template.TemplateIdentifier = "9007"  # General Relevant Patient Information (PS3.16)
    wanted = Dataset()
    wanted.PatientID = patient_id
    wanted.PatientName = wanted.PatientBirthDate = wanted.PatientSex = ""
    wanted.ContentTemplateSequence = [template]
    wanted.ContentSequence = []
    return wanted


def on_association_aborted(primitive: Any = None) -> None:
    print("aborted", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask what is known of a patient.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("patient", help="the Patient ID, without wildcards")
    args = parser.parse_args()

    ae = AE(ae_title=b"INFO_EXAMPLE")
    ae.on_association_aborted = on_association_aborted
    ae.add_requested_context(GeneralRelevantPatientInformationQuery)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    final = found = None
    try:
        # The letter stands for general relevant patient information.
        for status, match in assoc.send_c_find(query(args.patient), query_model="G"):
            final = status.get("Status")  # None when there was no answer
            if final is not None and code_to_category(final) == "Pending":
                found = match
    except ValueError as error:  # the peer does not answer such queries
        print(error, file=sys.stderr)
    assoc.release()
    if final != 0x0000:
        print(REASONS.get(final or 0, f"the query failed: {assoc.ended}"), file=sys.stderr)
        return 1
    if found is None:
        print("the peer does not know the patient")
        return 1
    print(found.PatientName, found.PatientBirthDate, found.PatientSex)
    return 0


if __name__ == "__main__":
    sys.exit(main())
