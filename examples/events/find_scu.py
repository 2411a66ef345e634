"""Query SCU: ask a peer for studies by the patient's name.

    python examples/events/find_scu.py 127.0.0.1 11112 "CITIZEN*" --most 10

Ends with 0 if the peer answered to the end, or to as many matches as were wanted; with 1 otherwise.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind
from pynetdicom.status import code_to_category

MODEL = StudyRootQueryRetrieveInformationModelFind


def find(assoc: Association, wanted: Dataset, most: int) -> int | None:
    """Print what matches, at most so many; gives the last status, None if there was none."""
    shown = 0
    last = None
    for status, match in assoc.send_c_find(wanted, MODEL):
        last = status.get("Status")  # None when there was no answer
        if last is None or code_to_category(last) != "Pending":
            continue
        print(match.get("PatientName"), match.get("StudyInstanceUID"))
        shown += 1
        if shown == most:
            break  # which cancels the query: the association can be used as if it had ended
    return last


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a peer for studies.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
    parser.add_argument("name", nargs="?", default="*", help="the patient's name, with wildcards")
    parser.add_argument("--most", type=int, help="how many matches are enough")
    args = parser.parse_args()

    ae = AE("FIND_EXAMPLE")
    ae.add_requested_context(MODEL)
    assoc = ae.associate(args.host, args.port, ae_title=args.called)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    # What is asked for: values to match, and empty elements for what is to be told.
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.PatientName = args.name
    wanted.StudyInstanceUID = ""

    last = None
    try:
        last = find(assoc, wanted, args.most)
    except ValueError as error:  # the peer does not answer queries of this model
        print(error, file=sys.stderr)
    else:
        if last is None:
            print(f"no answer: {assoc.ended}", file=sys.stderr)
        else:
            print(f"the peer answered with 0x{last:04X}")
    assoc.release()
    succeeded = last is not None and code_to_category(last) in ("Success", "Pending")
    return 0 if succeeded and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
