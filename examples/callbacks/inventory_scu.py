"""Storage management SCU in pynetdicom 1.x's style: have an archive make an inventory.

    python examples/callbacks/inventory_scu.py 127.0.0.1 11112

It waits for the report on the same association, and then asks how much there is. Ends with 0 if
there is an inventory, with 1 otherwise.
"""

import argparse
import queue
import sys
from collections.abc import Callable

from pydicom import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import InventoryCreation, InventoryFind, StorageManagementInstance
from pynetdicom.status import code_to_category
from pynetdicom.typing import Context, Info, Reply

INITIATE = 11  # the Action Type ID
WITH_INSTANCES, WITHOUT_INSTANCES = 11, 13  # the Event Type IDs


class NotMade(Exception):
    """The peer refuses, or does not answer."""


def make_on_n_event_report(
    reports: queue.SimpleQueue[tuple[int, Dataset]],
) -> Callable[[Dataset, Context, Info], Reply]:
    """Make the callback; a report may come before the call that has asked for it is answered."""

    def on_n_event_report(dataset: Dataset, context: Context, info: Info) -> Reply:
        reports.put((info["parameters"]["event_type"], dataset))
        return 0x0000, None

    return on_n_event_report


def make(
    assoc: Association, reports: queue.SimpleQueue[tuple[int, Dataset]], patience: float
) -> str:
    """Have an inventory made, wait for it: its SOP Instance UID."""
    wanted = Dataset()
    wanted.TransactionUID = generate_uid(prefix=None)
    wanted.InventoryLevel = "STUDY"
    wanted.ScopeOfInventorySequence = []  # all there is
    where = InventoryCreation, StorageManagementInstance
    status, _ = assoc.send_n_action(wanted, INITIATE, *where)
    code = status.get("Status")  # None when there was no answer
    if code is None or code_to_category(code) not in ("Success", "Warning"):
        raise NotMade("no answer" if code is None else f"0x{code:04X}")
    try:
        while True:
            event_type, information = reports.get(timeout=patience)
            if information.TransactionUID != wanted.TransactionUID:
                continue
            if event_type == WITH_INSTANCES:
                return str(information.ReferencedSOPSequence[0].ReferencedSOPInstanceUID)
            if event_type == WITHOUT_INSTANCES:
                raise NotMade(information.get("TransactionStatus"))
    except queue.Empty:
        raise NotMade(f"nothing was reported within {patience} seconds") from None


def main() -> int:
    parser = argparse.ArgumentParser(description="Have an inventory made.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("--patience", type=float, default=600, help="seconds to wait for it")
    args = parser.parse_args()

    reports: queue.SimpleQueue[tuple[int, Dataset]] = queue.SimpleQueue()
    ae = AE(ae_title=b"STOCK_EXAMPLE")
    ae.add_requested_context(InventoryCreation)
    ae.add_requested_context(InventoryFind)
    # While nothing is asked for nothing is sent either.
    ae.network_timeout = None
    ae.on_n_event_report = make_on_n_event_report(reports)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    try:
        uid = make(assoc, reports, args.patience)
        keys = Dataset()
        keys.SOPInstanceUID, keys.TotalNumberOfStudyRecords = uid, None
        for _, match in assoc.send_c_find(keys, query_model=InventoryFind):
            if match is not None:
                print(match.SOPInstanceUID, match.TotalNumberOfStudyRecords, "studies")
    except (NotMade, ValueError) as error:  # or the peer makes no inventories
        print(f"not made: {error}", file=sys.stderr)
        return 1
    finally:
        assoc.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
