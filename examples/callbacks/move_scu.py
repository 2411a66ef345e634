"""Retrieve SCU with a callback, in pynetdicom 1.x's style: have a study moved to ourselves.

    python examples/callbacks/move_scu.py 127.0.0.1 11112 1.2.3.4 --store-port 11113

The peer must know the title WORKSTATION at this host and port. Objects are written to the current
directory. Ends with 0 if the peer says that all of them were sent.
"""

import argparse
import re
import sys

from pydicom import Dataset

from pynetdicom import AE, StoragePresentationContexts
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove
from pynetdicom.typing import Context, Info


def on_c_store(dataset: Dataset, context: Context, info: Info) -> int:
    """Store what the peer sends, on an association of its own."""
    if not re.fullmatch(r"(?=.*[0-9])[0-9.]{1,64}", dataset.SOPInstanceUID):
        return 0x0117  # invalid SOP Instance: not fit for a file name
    try:
        dataset.save_as(f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
    except OSError as error:
        print(f"cannot store: {error.strerror}", file=sys.stderr)
        return 0xA700  # out of resources
    return 0x0000


def move(ae: AE, args: argparse.Namespace) -> Dataset:
    """Have a study moved; gives the final status, an empty one if there was no answer."""
    assoc = ae.associate(args.host, args.port, ae_title=args.called.encode())
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return Dataset()
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = args.study
    final = Dataset()
    try:
        # The letter stands for the study root model.
        for status, _ in assoc.send_c_move(wanted, b"WORKSTATION", query_model="S"):
            final = status
    except ValueError as error:  # the peer does not do C-MOVE with this model
        print(error, file=sys.stderr)
    assoc.release()
    if "Status" not in final:
        print(f"no answer: {assoc.ended}", file=sys.stderr)
    return final


def main() -> int:
    parser = argparse.ArgumentParser(description="Have a study moved to ourselves.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("study", help="its Study Instance UID")
    parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
    parser.add_argument("--store-port", type=int, default=11113)
    args = parser.parse_args()

    ae = AE(ae_title=b"WORKSTATION", port=args.store_port)
    ae.supported_contexts = StoragePresentationContexts
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelMove)
    ae.on_c_store = on_c_store
    # As start(), but in a thread of its own: it listens when this returns.
    ae.start_server((ae.bind_addr, ae.port), block=False)
    try:
        final = move(ae, args)
    finally:
        ae.stop()
    if "Status" not in final:
        return 1
    print(f"0x{final.Status:04X}, {final.get('NumberOfCompletedSuboperations', 0)} objects")
    return 0 if final.Status == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
