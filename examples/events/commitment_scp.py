"""Storage commitment SCP with event handlers: says which instances are kept.

    python examples/events/commitment_scp.py 127.0.0.1 11112 --directory incoming

Those are kept that ``store_scp.py`` has stored there. By hand, and so the result is told once, on
the association of the request, and is lost with the process;
``pynetdicom.workflows.commitment`` tells it until it is heard. Runs until Ctrl-C, then ends with 0.
"""

import argparse
import sys
import threading
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.typing import Reply


def look(item: Dataset, directory: Path) -> int | None:
    """Why an instance is not kept; None if it is."""
    uid = UID(item.ReferencedSOPInstanceUID)
    if not uid.is_valid or not (directory / f"{uid}.dcm").is_file():  # it is the name of a file
        return 0x0112
    kept = dcmread(directory / f"{uid}.dcm", stop_before_pixels=True)
    return None if kept.SOPClassUID == item.ReferencedSOPClassUID else 0x0119


def result_of(request: Dataset, directory: Path) -> tuple[Dataset, int]:
    """The event's type, and what it says (PS3.4 J.3.3)."""
    result = Dataset()
    result.TransactionUID = request.TransactionUID
    committed, failed = [], []
    for item in request.ReferencedSOPSequence:
        item.FailureReason = look(item, directory)
        if item.FailureReason is None:
            del item.FailureReason
            committed.append(item)
        else:
            failed.append(item)
    if committed:
        result.ReferencedSOPSequence = committed
    if failed:
        result.FailedSOPSequence = failed
    return result, 2 if failed else 1


def report(assoc: Association, result: Dataset, event_type: int) -> None:
    status, _ = assoc.send_n_event_report(
        result, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    print("told:", status.get("Status"), flush=True)


def handle_action(event: evt.NActionEvent, directory: Path) -> Reply:
    result, event_type = result_of(event.action_information, directory)
    # The request is answered first.
    threading.Thread(target=report, args=(event.assoc, result, event_type)).start()
    return 0x0000, None


def main() -> int:
    parser = argparse.ArgumentParser(description="Say which instances are kept.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path("incoming"))
    args = parser.parse_args()

    ae = AE("ARCHIVE")
    ae.add_supported_context(StorageCommitmentPushModel)
    handlers = [(evt.EVT_N_ACTION, handle_action, [args.directory])]
    ae.start_server((args.host, args.port), evt_handlers=handlers)  # returns after Ctrl-C
    return 0


if __name__ == "__main__":
    sys.exit(main())
