"""Retrieve SCU with an event handler: have a peer send a study on the same association.

    python examples/events/get_scu.py 127.0.0.1 11112 1.2.3.4

Objects are written to the current directory. Ends with 0 if all of them have come.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
)

STORAGE = [CTImageStorage, MRImageStorage]


def handle_store(event):
    """Store what the peer sends; called on the Association thread."""
    event.save_as(f"{event.request.AffectedSOPInstanceUID}.dcm")
    return 0x0000


def main():
    parser = argparse.ArgumentParser(description="Retrieve a study.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("study", help="its Study Instance UID")
    args = parser.parse_args()

    model = StudyRootQueryRetrieveInformationModelGet
    ae = AE("GET_EXAMPLE")
    ae.add_requested_context(model)
    for sop_class in STORAGE:
        ae.add_requested_context(sop_class)
    assoc = ae.associate(
        args.host,
        args.port,
        ext_neg=[build_role(sop_class, scp_role=True) for sop_class in STORAGE],
        evt_handlers=[(evt.EVT_C_STORE, handle_store)],
    )
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = args.study
    final = None
    for status, _ in assoc.send_c_get(wanted, model):
        final = status
    assoc.release()
    if final is None or "Status" not in final:
        print(f"no answer: {assoc.ended}", file=sys.stderr)
        return 1
    print(f"0x{final.Status:04X}, {final.get('NumberOfCompletedSuboperations', 0)} objects")
    return 0 if final.Status == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
