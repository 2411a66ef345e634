"""Storage commitment SCP with callbacks: says which instances are kept.

    python examples/callbacks/commitment_scp.py 127.0.0.1 11112 --directory incoming

Those are kept that ``store_scp.py`` has stored there. By hand, and so the result is told once, on
an association of its own, and is lost with the process;
``pynetdicom.workflows.commitment`` tells it until it is heard. Runs until Ctrl-C, then ends with 0.
"""

import argparse
import sys
import threading
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import UID

from pynetdicom import AE, build_role
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.typing import Context, Info, Reply


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


class ArchiveAE(AE):
    """An AE whose callbacks are methods; assigning functions to it does the same."""

    def __init__(self, directory: Path, report_port: int, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.directory, self.report_port = directory, report_port

    def on_n_action(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        result, event_type = result_of(dataset, self.directory)
        peer = info["requestor"]
        threading.Thread(target=self.report, args=(peer, result, event_type)).start()
        return 0x0000, None

    def report(self, peer: Any, result: Dataset, event_type: int) -> None:
        """Tell the result as the SCP, though it is we who associate."""
        role = build_role(StorageCommitmentPushModel, scp_role=True)
        assoc = self.associate(
            peer["address"], self.report_port, ae_title=peer["ae_title"], ext_neg=[role]
        )
        if not assoc.is_established:
            print(f"not told: {assoc.ended}", flush=True)
            return
        status, _ = assoc.send_n_event_report(
            result, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        assoc.release()
        print("told:", status.get("Status"), flush=True)


def main() -> int:
    parser = argparse.ArgumentParser(description="Say which instances are kept.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path("incoming"))
    parser.add_argument("--report-port", type=int, default=11113)
    args = parser.parse_args()

    ae = ArchiveAE(args.directory, args.report_port, ae_title=b"ARCHIVE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(StorageCommitmentPushModel)
    ae.add_requested_context(StorageCommitmentPushModel)  # on which it reports
    ae.start()  # returns after Ctrl-C
    return 0


if __name__ == "__main__":
    sys.exit(main())
