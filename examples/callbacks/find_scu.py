"""Query SCU in pynetdicom 1.x's style: ask a peer for studies by the patient's name.

    python examples/callbacks/find_scu.py 127.0.0.1 11112 "CITIZEN*"

Ends with 0 if the peer answered to the end with success, with 1 otherwise.
"""

import argparse
import sys
from typing import Any

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind
from pynetdicom.status import code_to_category


def on_association_aborted(primitive: Any = None) -> None:
    print("aborted", file=sys.stderr)


def find(assoc: Association, wanted: Dataset) -> int | None:
    """Print what matches; gives the final status, None if there was none."""
    final = None
    # The letter stands for the study root model; without it, the patient root is asked.
    for status, match in assoc.send_c_find(wanted, query_model="S"):
        final = status.get("Status")
        if final is not None and code_to_category(final) == "Pending":
            print(match.get("PatientName"), match.get("StudyInstanceUID"))
    return final


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a peer for studies.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
    parser.add_argument("name", nargs="?", default="*", help="the patient's name, with wildcards")
    args = parser.parse_args()

    ae = AE(ae_title=b"FIND_EXAMPLE")
    ae.on_association_aborted = on_association_aborted
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
    assoc = ae.associate(args.host, args.port, ae_title=args.called.encode())
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.PatientName = args.name
    wanted.StudyInstanceUID = ""  # empty: to be told

    final = None
    try:
        final = find(assoc, wanted)
    except ValueError as error:  # the peer does not answer queries of this model
        print(error, file=sys.stderr)
    else:
        answer = f"no answer: {assoc.ended}" if final is None else f"answered with 0x{final:04X}"
        print(answer, file=sys.stdout if final == 0x0000 else sys.stderr)
    assoc.release()
    return 0 if final == 0x0000 and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
