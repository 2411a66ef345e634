"""Retrieve SCU with an event handler: have a peer send a study on the same association.

    python examples/events/get_scu.py 127.0.0.1 11112 1.2.3.4

Objects are written to the current directory. Ends with 0 if all of them have come.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, build_role, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
)

MODEL = StudyRootQueryRetrieveInformationModelGet
STORAGE = [CTImageStorage, MRImageStorage]


def handle_store(event: evt.CStoreEvent) -> int:
    """Store what the peer sends; called on the Association thread."""
    uid = event.request.AffectedSOPInstanceUID
    try:
        event.save_as(event.file_name)
    except ValueError as error:
        # A peer may send anything as a UID, "../../x" too: file_name is never that.
        print(f"refused: {error}", file=sys.stderr)
        return 0x0117  # invalid SOP Instance
    except OSError as error:
        print(f"cannot store {uid}: {error.strerror}", file=sys.stderr)
        return 0xA700  # out of resources
    return 0x0000


def get(assoc: Association, study: str) -> Dataset:
    """Retrieve a study; gives the final status, an empty one if there was no answer."""
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = study
    final = Dataset()
    for status, identifier in assoc.send_c_get(wanted, MODEL):
        final = status
        if identifier is not None:  # comes with the final status
            print(f"not sent: {identifier.get('FailedSOPInstanceUIDList')}", file=sys.stderr)
    return final


def main() -> int:
    parser = argparse.ArgumentParser(description="Retrieve a study.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("study", help="its Study Instance UID")
    parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
    args = parser.parse_args()

    ae = AE("GET_EXAMPLE")
    ae.add_requested_context(MODEL)
    for sop_class in STORAGE:
        ae.add_requested_context(sop_class)
        # Compressed images come as they are if there is a context that has them so.
        ae.add_requested_context(sop_class, ALL_TRANSFER_SYNTAXES[4:])
    assoc = ae.associate(
        args.host,
        args.port,
        ae_title=args.called,
        # The peer is to send to us: we are the SCP of these, though we request the association.
        ext_neg=[build_role(sop_class, scp_role=True) for sop_class in STORAGE],
        evt_handlers=[(evt.EVT_C_STORE, handle_store)],
    )
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    try:
        final = get(assoc, args.study)
    except ValueError as error:  # the peer does not do C-GET with this model
        print(error, file=sys.stderr)
        final = Dataset()
    assoc.release()
    if "Status" not in final:
        print(f"no answer: {assoc.ended}", file=sys.stderr)
        return 1
    print(f"0x{final.Status:04X}, {final.get('NumberOfCompletedSuboperations', 0)} objects")
    return 0 if final.Status == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
