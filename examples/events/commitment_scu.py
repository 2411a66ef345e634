"""Storage commitment SCU: ask an archive whether it keeps images.

    python examples/events/commitment_scu.py 127.0.0.1 11112 image1.dcm image2.dcm

The result may come on the same association, or on one that the archive makes to --report-port.
Ends with 0 if all are kept, and may be deleted here; with 1 otherwise.
"""

import argparse
import queue
import sys
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.typing import Reply

RESULTS: queue.SimpleQueue[Dataset] = queue.SimpleQueue()


def handle_report(event: evt.NEventReportEvent) -> Reply:
    RESULTS.put(event.event_information)
    return 0x0000, None


def request_for(paths: list[Path]) -> Dataset:
    """What is to be kept (PS3.4 J.3.2); each request has its own Transaction UID."""
    request = Dataset()
    request.TransactionUID = generate_uid()
    request.ReferencedSOPSequence = []
    for path in paths:
        image = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"])
        item = Dataset()
        item.ReferencedSOPClassUID = image.SOPClassUID
        item.ReferencedSOPInstanceUID = image.SOPInstanceUID
        request.ReferencedSOPSequence.append(item)
    return request


def ask(assoc: Association, request: Dataset) -> bool:
    """Ask, and wait for the result; whether all is kept."""
    status, _ = assoc.send_n_action(
        request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    if status.get("Status") != 0x0000:  # None when there was no answer
        return False
    result = RESULTS.get(timeout=60)
    if result.TransactionUID != request.TransactionUID:  # that of somebody else
        return False
    for item in result.get("ReferencedSOPSequence", []):
        print(item.ReferencedSOPInstanceUID, "is kept")
    for item in result.get("FailedSOPSequence", []):
        print(item.ReferencedSOPInstanceUID, f"is not kept: 0x{item.FailureReason:04X}")
    asked = {item.ReferencedSOPInstanceUID for item in request.ReferencedSOPSequence}
    kept = {item.ReferencedSOPInstanceUID for item in result.get("ReferencedSOPSequence", [])}
    return asked == kept and not result.get("FailedSOPSequence")


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask whether images are kept.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", nargs="+", help="DICOM images")
    parser.add_argument("--report-port", type=int, default=11113)
    args = parser.parse_args()
    try:
        request = request_for(args.file)
    except (OSError, InvalidDicomError) as error:
        print(error, file=sys.stderr)
        return 1

    ae = AE("CT_ROOM")
    ae.add_requested_context(StorageCommitmentPushModel)
    # The archive is the SCP, also where it is the one that associates.
    ae.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    handlers = [(evt.EVT_N_EVENT_REPORT, handle_report)]
    server = ae.start_server(("", args.report_port), block=False, evt_handlers=handlers)
    assoc = ae.associate(args.host, args.port, evt_handlers=handlers)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    try:
        return 0 if ask(assoc, request) else 1
    except (queue.Empty, ValueError) as error:  # or the peer keeps nothing
        print(f"no result: {error}", file=sys.stderr)
        return 1
    finally:
        assoc.release()
        server.drain(10)  # the archive releases its association itself
        ae.shutdown()


if __name__ == "__main__":
    sys.exit(main())
