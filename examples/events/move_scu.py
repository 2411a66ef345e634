"""Retrieve SCU with an event handler: have a study moved to ourselves.

    python examples/events/move_scu.py 127.0.0.1 11112 1.2.3.4 --store-port 11113

The peer must know the title WORKSTATION at this host and port. Objects are written to the current
directory. Ends with 0 if the peer says that all of them were sent, and all have arrived.
"""

import argparse
import sys

from pydicom import Dataset

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, StoragePresentationContexts, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelMove

MODEL = StudyRootQueryRetrieveInformationModelMove


def handle_store(event: evt.CStoreEvent, stored: set[str]) -> int:
    """Store what the peer sends, on an association of its own."""
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
    stored.add(uid)
    return 0x0000


def move(ae: AE, args: argparse.Namespace) -> Dataset:
    """Have a study moved; gives the final status, an empty one if there was no answer."""
    assoc = ae.associate(args.host, args.port, ae_title=args.called)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return Dataset()
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = args.study
    final = Dataset()
    try:
        for status, _ in assoc.send_c_move(wanted, ae.ae_title, MODEL):
            final = status
            print(f"{status.get('NumberOfRemainingSuboperations', 0)} to go")
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
    parser.add_argument("--store-host", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("--store-port", type=int, default=11113)
    args = parser.parse_args()

    stored: set[str] = set()
    ae = AE("WORKSTATION")
    ae.add_requested_context(MODEL)
    for context in StoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
    # The same AE asks and listens.
    ae.start_server(
        (args.store_host, args.store_port),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, handle_store, [stored])],
    )
    try:
        final = move(ae, args)
    finally:
        ae.shutdown()
    if "Status" not in final:
        return 1
    sent = final.get("NumberOfCompletedSuboperations", 0)
    print(f"0x{final.Status:04X}, {sent} objects")
    if len(stored) < sent:  # to somebody else, whom the peer has under our title?
        print(f"only {len(stored)} have arrived", file=sys.stderr)
        return 1
    return 0 if final.Status == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
