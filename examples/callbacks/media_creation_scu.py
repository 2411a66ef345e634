"""Media creation SCU in pynetdicom 1.x's style: have a robot put instances on a disc.

    python examples/callbacks/media_creation_scu.py 127.0.0.1 11112 image1.dcm image2.dcm --copies 2

The robot must have the images, or know where to get them: only their UIDs are sent. Ends with 0 if
the disc was made, with 1 otherwise.
"""

import argparse
import sys
import threading
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import MediaCreationManagement
from pynetdicom.status import code_to_category

INITIATE = 1  # the Action Type ID
PROFILE = "STD-GEN-CD"  # the Media Application Profile (PS3.11)


class NotMade(Exception):
    """The robot refuses, fails, or does not answer."""


def checked(what: str, status: Dataset) -> None:
    code = status.get("Status")  # None when there was no answer
    if code is None or code_to_category(code) not in ("Success", "Warning"):
        raise NotMade(f"{what}: {'no answer' if code is None else f'0x{code:04X}'}")


def reference(path: Path) -> Dataset:
    """What the request says of an image."""
    ds = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"])
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
    item.RequestedMediaApplicationProfile = PROFILE
    return item


def make(assoc: Association, references: list[Dataset], copies: int) -> int:
    """Have it made, and wait for it: the number of discs."""
    request = Dataset()
    request.ReferencedSOPSequence = references
    status, _ = assoc.send_n_create(request, MediaCreationManagement)
    checked("the request", status)
    uid = status.get("AffectedSOPInstanceUID")  # which the robot has chosen
    if uid is None:
        raise NotMade("the robot does not name the request")

    how = Dataset()
    how.NumberOfCopies = copies
    how.RequestPriority = "MED"
    status, _ = assoc.send_n_action(how, INITIATE, MediaCreationManagement, uid)
    checked("the beginning", status)

    wanted = ["ExecutionStatus", "ExecutionStatusInfo", "TotalNumberOfPiecesOfMediaCreated"]
    while True:  # the service has no events: who wants to know asks now and then
        status, state = assoc.send_n_get(wanted, MediaCreationManagement, uid)
        checked("the state", status)
        if state.ExecutionStatus == "FAILURE":
            raise NotMade(state.get("ExecutionStatusInfo"))
        if state.ExecutionStatus == "DONE":
            return int(state.get("TotalNumberOfPiecesOfMediaCreated", copies))
        threading.Event().wait(5)


def main() -> int:
    parser = argparse.ArgumentParser(description="Have a disc made.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", nargs="+", help="DICOM images")
    parser.add_argument("--copies", type=int, default=1)
    args = parser.parse_args()
    try:
        references = [reference(path) for path in args.file]
    except (OSError, InvalidDicomError) as error:
        print(error, file=sys.stderr)
        return 1

    ae = AE(ae_title=b"MEDIA_EXAMPLE")
    ae.add_requested_context(MediaCreationManagement)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    try:
        print("discs:", make(assoc, references, args.copies))
    except (NotMade, ValueError) as error:  # or the peer is no such robot
        print(f"not made: {error}", file=sys.stderr)
        return 1
    finally:
        assoc.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
