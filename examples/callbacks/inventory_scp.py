"""Storage management SCP with callbacks: makes inventories of the images in a directory.

    python examples/callbacks/inventory_scp.py 127.0.0.1 11112 --directory images

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys
import threading
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError
from pydicom.uid import generate_uid

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    InventoryCreation,
    InventoryFind,
    InventoryStorage,
    StorageManagementInstance,
)
from pynetdicom.typing import Context, Info, Matches, Reply

INITIATE, ASK, CANCEL, PAUSE, RESUME = 11, 12, 13, 14, 15  # the Action Type IDs
WITH_INSTANCES, STATUS, WITHOUT_INSTANCES = 11, 12, 13  # the Event Type IDs


class Job(threading.Thread):
    """An inventory in the making; it reports on the association that it was asked for on."""

    def __init__(self, keeper: "Keeper", transaction_uid: str, assoc: Association) -> None:
        super().__init__()
        self.keeper = keeper
        self.transaction_uid = transaction_uid
        self.assoc = assoc
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self.is_cancelled = False
        self.status = "PROCESSING"

    def run(self) -> None:
        studies: dict[str, Dataset] = {}  # by Study Instance UID: a record of the inventory
        for path in sorted(self.keeper.directory.rglob("*")):
            self.may_go_on.wait()
            if self.is_cancelled:
                break
            try:
                ds = dcmread(path, specific_tags=["StudyInstanceUID", "PatientID"])
            except (OSError, InvalidDicomError):
                continue  # a directory, or no image
            if "StudyInstanceUID" in ds:
                studies.setdefault(ds.StudyInstanceUID, Dataset()).update(ds)
        if self.is_cancelled:
            self.status = "CANCELED"
            self.report(WITHOUT_INSTANCES)
            return
        inventory = Dataset()
        inventory.SOPClassUID, inventory.SOPInstanceUID = (
            InventoryStorage,
            generate_uid(prefix=None),
        )
        inventory.InventoryCompletionStatus = "COMPLETE"
        inventory.TotalNumberOfStudyRecords = len(studies)
        inventory.InventoriedStudiesSequence = list(studies.values())
        self.keeper.inventories.append(inventory)
        self.status = "COMPLETE"
        self.report(WITH_INSTANCES, inventory)

    def report(self, event_type: int, inventory: Dataset | None = None) -> None:
        """An N-EVENT-REPORT; where the peer is gone, it asks for the status another time."""
        information = Dataset()
        information.TransactionUID = self.transaction_uid
        information.TransactionStatus = self.status
        if inventory is not None:
            item = Dataset()
            item.ReferencedSOPClassUID = InventoryStorage
            item.ReferencedSOPInstanceUID = inventory.SOPInstanceUID
            information.ReferencedSOPSequence = [item]
        where = InventoryCreation, StorageManagementInstance
        try:
            self.assoc.send_n_event_report(information, event_type, *where)
        except RuntimeError as error:  # there is no association any more
            print(error, file=sys.stderr)

    def cancel(self) -> None:
        self.is_cancelled = True
        self.may_go_on.set()


class Keeper:
    """All inventories: those that are there, and those in the making."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.inventories: list[Dataset] = []
        self.jobs: dict[str, Job] = {}  # by Transaction UID

    def act(self, action: int, information: Dataset, assoc: Association) -> Reply:
        """An N-ACTION (PS3.4 KK.2.2)."""
        uid = information.TransactionUID  # 0x0120 is answered if there is none
        if action == INITIATE:
            if information.InventoryLevel != "STUDY":
                return 0x0212, None  # no such level here
            begun = Job(self, uid, assoc)
            if self.jobs.setdefault(uid, begun) is not begun:
                return 0x0111, None
            begun.start()
            # All is listed, whatever the scope says: the peer is told.
            return 0xB010 if information.ScopeOfInventorySequence else 0x0000, None
        job = self.jobs.get(uid)
        if job is None:
            return 0x0112, None
        if action == ASK:
            reply = Dataset()
            reply.TransactionUID, reply.TransactionStatus = uid, job.status
            return 0x0000, reply
        if action == CANCEL:
            job.cancel()
        elif action == PAUSE:
            job.may_go_on.clear()
        else:
            job.may_go_on.set()
        return 0x0000, None

    def find(self, keys: Dataset) -> Matches:
        """A C-FIND of inventories (PS3.4 JJ): by SOP Instance UID, or all."""
        for inventory in list(self.inventories):
            if keys.get("SOPInstanceUID") in (None, "", inventory.SOPInstanceUID):
                match = Dataset()
                match.update({key.tag: inventory[key.tag] for key in keys if key.tag in inventory})
                yield 0xFF00, match

    def stop(self) -> None:
        for job in self.jobs.values():
            job.cancel()


class KeeperAE(AE):
    """An AE whose callbacks are methods; assigning functions to it does the same."""

    def __init__(self, keeper: Keeper, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.keeper = keeper

    def on_n_action(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """Answer at once; what the SCU waits for is reported later, on the same association."""
        peer = info["requestor"]["address"], info["requestor"]["port"]
        for assoc in self.active_associations:
            if (assoc.requestor.address, assoc.requestor.port) == peer:
                return self.keeper.act(info["parameters"]["action_type"], dataset, assoc)
        return 0x0110, None

    def on_c_find(self, dataset: Dataset, context: Context, info: Info) -> Matches:
        """Inventories that were made are found."""
        yield from self.keeper.find(dataset)


def main() -> int:
    parser = argparse.ArgumentParser(description="Make inventories of a directory.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path(), help="where the images are")
    args = parser.parse_args()

    keeper = Keeper(args.directory)
    ae = KeeperAE(keeper, ae_title=b"STOCK_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(InventoryCreation)
    ae.add_supported_context(InventoryFind)
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    keeper.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
