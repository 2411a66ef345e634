"""Relevant Patient Information SCP with a callback: tell what is known of one patient.

    python examples/callbacks/relevant_patient_scp.py 127.0.0.1 11112

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import GeneralRelevantPatientInformationQuery
from pynetdicom.typing import Context, Info, Matches

PATIENTS = (
    ("PID1", "CITIZEN^JAN", "19700101", "F"),
    ("PID2", "CITIZEN^SNIPS", "19800102", "M"),
    ("PID2", "OTHER^ANNE", "19900103", "F"),  # somebody has given an ID twice
)
TEMPLATE = "9007"  # General Relevant Patient Information (PS3.16)


def on_c_find(dataset: Dataset, context: Context, info: Info) -> Matches:
    """Yield at most one patient, and that only if it is certain who is meant (PS3.4 Q.4)."""
    template = (dataset.get("ContentTemplateSequence") or [Dataset()])[0]
    if template.get("TemplateIdentifier", TEMPLATE) != TEMPLATE:
        yield 0xC200, None  # unable to support the template
        return
    found = [patient for patient in PATIENTS if patient[0] == dataset.get("PatientID")]
    if len(found) > 1:
        yield 0xC100, None  # more than one match
        return
    for patient_id, name, birth_date, sex in found:
        match = Dataset()
        match.PatientID = patient_id
        match.PatientName = name
        match.PatientBirthDate = birth_date
        match.PatientSex = sex
        match.ContentTemplateSequence = dataset.get("ContentTemplateSequence")
        match.ContentSequence = []  # what the template says: observations about the patient
        yield 0xFF00, match


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell what is known of a patient.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = AE(ae_title=b"INFO_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(GeneralRelevantPatientInformationQuery)
    ae.on_c_find = on_c_find
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
