"""Media creation SCP with callbacks: a robot that burns discs; this one writes lists.

    python examples/callbacks/media_creation_scp.py 127.0.0.1 11112 --directory media

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys
import threading
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.tag import BaseTag
from pydicom.uid import UID, generate_uid

from pynetdicom import AE
from pynetdicom.sop_class import MediaCreationManagement
from pynetdicom.typing import Context, Info, Reply

INITIATE, CANCEL = 1, 2  # the Action Type IDs


class Robot:
    """The requests of all peers, and what becomes of them."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.lock = threading.Lock()  # each association has a thread of its own
        self.requests: dict[str, Dataset] = {}  # by SOP Instance UID: the attributes

    def create(self, uid: str | None, attributes: Dataset) -> Reply:
        """An N-CREATE: what is to be on the medium (PS3.4 S.3.2.1)."""
        if uid is not None and not UID(uid).is_valid:  # it becomes the name of a file
            return 0x0117, None
        if not attributes.ReferencedSOPSequence:  # 0x0120 is answered where it is not there
            return 0x0121, attributes
        status = Dataset()
        status.Status = 0x0000
        status.AffectedSOPInstanceUID = uid or generate_uid(prefix=None)  # the SCU may not name it
        attributes.ExecutionStatus, attributes.ExecutionStatusInfo = "IDLE", "NORMAL"
        with self.lock:
            if status.AffectedSOPInstanceUID in self.requests:
                return 0x0111, None
            self.requests[status.AffectedSOPInstanceUID] = attributes
        return status, attributes

    def act(self, uid: str, action: int, information: Dataset) -> Reply:
        """An N-ACTION: begin with it, or leave it (PS3.4 S.3.2.2)."""
        with self.lock:
            if uid not in self.requests:
                return 0x0112, None
            request = self.requests[uid]
            if action == CANCEL:
                if request.ExecutionStatus == "DONE":
                    return 0xC201, None
                del self.requests[uid]
                return 0x0000, None
            if request.ExecutionStatus != "IDLE":
                return 0xA510, None
            copies = int(information.get("NumberOfCopies") or 1)
            self.burn(uid, request, copies)
        return 0x0000, None

    def burn(self, uid: str, request: Dataset, copies: int) -> None:
        """Write the list; a robot would take a while, and be PENDING and CREATING."""
        items = request.ReferencedSOPSequence
        lines = [
            f"{item.ReferencedSOPClassUID} {item.ReferencedSOPInstanceUID}\n" for item in items
        ]
        try:
            (self.directory / f"{uid}.txt").write_text("".join(lines) * copies)
        except OSError as error:
            print(error, flush=True)
            request.ExecutionStatus, request.ExecutionStatusInfo = "FAILURE", "SUPPLY EMPTY"
        else:
            request.ExecutionStatus = "DONE"
            request.TotalNumberOfPiecesOfMediaCreated = copies

    def get(self, uid: str, tags: list[BaseTag]) -> Reply:
        """An N-GET (PS3.4 S.3.2.3): the attributes that are asked for, or all."""
        found = Dataset()
        with self.lock:
            if uid not in self.requests:
                return 0x0112, None
            request = self.requests[uid]
            found.update({t: request[t] for t in tags or request.keys() if t in request})
        return 0x0000 if all(tag in found for tag in tags) else 0x0107, found


class RobotAE(AE):
    """An AE whose callbacks are methods; assigning functions to it does the same."""

    def __init__(self, robot: Robot, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.robot = robot

    def on_n_create(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """A request is created: return a status and a data set, or None."""
        return self.robot.create(instance(info), dataset)

    def on_n_action(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """It is to be burned, or not any more."""
        return self.robot.act(instance(info), info["parameters"]["action_type"], dataset)

    def on_n_get(self, attr: list[BaseTag], context: Context, info: Info) -> Reply:
        """Tell how it is with a request; `attr` is a list of tags, empty for all."""
        return self.robot.get(instance(info), attr)


def instance(info: Info) -> Any:
    return info["parameters"]["requested_sop_instance_uid"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Write lists of what is to be put on media.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path(), help="where the lists go")
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)

    ae = RobotAE(Robot(args.directory), ae_title=b"MEDIA_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(MediaCreationManagement)
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
