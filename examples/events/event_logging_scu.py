"""Application event logging SCU: have an event logged.

    python examples/events/event_logging_scu.py 127.0.0.1 11112 PID1 "catheter in place"
    python examples/events/event_logging_scu.py 127.0.0.1 11112 PID1 "10 ml" --product 4711

With a product it is an event of substance administration. Ends with 0 if it was logged, with 1
otherwise.
"""

import argparse
import sys
from datetime import datetime

from pydicom import Dataset

from pynetdicom import AE, ApplicationEventLoggingPresentationContexts
from pynetdicom.sop_class import (
    ProceduralEventLogging,
    ProceduralEventLoggingInstance,
    SubstanceAdministrationLogging,
    SubstanceAdministrationLoggingInstance,
)
from pynetdicom.status import code_to_category

RECORD = 1  # the Action Type ID of either service


def concept(value: str, meaning: str) -> Dataset:
    item = Dataset()
    item.CodeValue, item.CodingSchemeDesignator, item.CodeMeaning = value, "99EXAMPLE", meaning
    return item


def procedural_event(patient: str, study: str, text: str) -> Dataset:
    """What happened, as the content of a report (PS3.4 Table P.2-2)."""
    said = Dataset()
    said.RelationshipType, said.ValueType = "CONTAINS", "TEXT"
    said.ConceptNameCodeSequence = [concept("1", "Event")]
    said.ObservationDateTime = datetime.now()
    said.TextValue = text
    event = Dataset()
    event.PatientID, event.StudyInstanceUID = patient, study
    event.ValueType, event.ContinuityOfContent = "CONTAINER", "SEPARATE"
    event.ConceptNameCodeSequence = [concept("2", "Log")]
    event.ContentSequence = [said]
    return event


def substance_event(patient: str, product: str, text: str) -> Dataset:
    """What was given to whom."""
    event = Dataset()
    event.PatientID = patient
    event.ProductPackageIdentifier = product
    event.SubstanceAdministrationDateTime = datetime.now()
    event.SubstanceAdministrationNotes = text
    return event


def main() -> int:
    parser = argparse.ArgumentParser(description="Have an event logged.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("patient", help="the Patient ID")
    parser.add_argument("text", help="what has happened")
    parser.add_argument("--study", default="", help="the Study Instance UID")
    parser.add_argument("--product", help="the Product Package Identifier of what was given")
    args = parser.parse_args()

    ae = AE("LOG_EXAMPLE")
    ae.requested_contexts = ApplicationEventLoggingPresentationContexts
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    if args.product is None:
        event = procedural_event(args.patient, args.study, args.text)
        where = ProceduralEventLogging, ProceduralEventLoggingInstance
    else:
        event = substance_event(args.patient, args.product, args.text)
        where = SubstanceAdministrationLogging, SubstanceAdministrationLoggingInstance
    try:
        status, _ = assoc.send_n_action(event, RECORD, *where)
    except ValueError as error:  # the peer does not keep such a log
        print(error, file=sys.stderr)
        return 1
    finally:
        assoc.release()
    code = status.get("Status")  # None when there was no answer
    is_logged = code is not None and code_to_category(code) in ("Success", "Warning")
    print("logged" if is_logged else "not logged", "" if code is None else f"0x{code:04X}")
    return 0 if is_logged else 1


if __name__ == "__main__":
    sys.exit(main())
