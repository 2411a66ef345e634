"""Query SCU: ask a peer for studies by the patient's name.

    python examples/events/find_scu.py 127.0.0.1 11112 "CITIZEN*"

Ends with 0 if the peer answered to the end with success, with 1 otherwise.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind
from pynetdicom.status import code_to_category


def main():
    parser = argparse.ArgumentParser(description="Ask a peer for studies.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("name", nargs="?", default="*", help="the patient's name, with wildcards")
    args = parser.parse_args()

    ae = AE("FIND_EXAMPLE")
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    # What is asked for: values to match, and empty elements for what is to be told.
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.PatientName = args.name
    wanted.StudyInstanceUID = ""

    final = None
    model = StudyRootQueryRetrieveInformationModelFind
    for status, match in assoc.send_c_find(wanted, query_model=model):
        final = status.get("Status")  # None when there was no answer
        if final is not None and code_to_category(final) == "Pending":
            print(match.get("PatientName"), match.get("StudyInstanceUID"))
    if final is None:
        print(f"no answer: {assoc.ended}", file=sys.stderr)
    else:
        print(f"the peer answered with 0x{final:04X}")
    if assoc.is_established:
        assoc.release()
    return 0 if final == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
