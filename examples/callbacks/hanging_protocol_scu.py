"""Hanging Protocol SCU with a callback: find protocols by name, and retrieve what matches.

    python examples/callbacks/hanging_protocol_scu.py 127.0.0.1 11112 "Chest*"

Each is retrieved while the query goes on, on the same association. They are written to the current
directory. Ends with 0 if all that was found has come.
"""

import argparse
import re
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.sop_class import (
    HangingProtocolInformationModelFind,
    HangingProtocolInformationModelGet,
    HangingProtocolStorage,
)
from pynetdicom.status import code_to_category
from pynetdicom.typing import Context, Info


def on_c_store(dataset: Dataset, context: Context, info: Info) -> int:
    """Store what the peer sends; called on the Association thread."""
    uid = dataset.SOPInstanceUID
    if not re.fullmatch(r"(?=.*[0-9])[0-9.]{1,64}", uid):
        return 0x0117  # invalid SOP Instance: not fit for a file name
    try:
        dataset.save_as(f"{uid}.dcm", enforce_file_format=True)
    except OSError as error:
        print(f"cannot store {uid}: {error.strerror}", file=sys.stderr)
        return 0xA700  # out of resources
    return 0x0000


def get(assoc: Association, uid: str) -> int | None:
    """Retrieve one; gives the final status, None if there was no answer."""
    wanted = Dataset()
    wanted.SOPInstanceUID = uid
    final = None
    for status, _ in assoc.send_c_get(wanted, query_model="H"):
        final = status.get("Status")
    return final


def find_and_get(assoc: Association, name: str) -> int | None:
    """Retrieve all that match; gives how many did not come, None if the query failed."""
    wanted = Dataset()  # there are no levels
    wanted.HangingProtocolName = name
    wanted.SOPInstanceUID = ""
    missing, final = 0, None
    for status, match in assoc.send_c_find(wanted, query_model="H"):
        final = status.get("Status")
        if final is not None and code_to_category(final) == "Pending":
            got = get(assoc, match.get("SOPInstanceUID"))
            missing += got != 0x0000
            outcome = "no answer" if got is None else f"0x{got:04X}"
            print(match.get("HangingProtocolName"), match.get("SOPInstanceUID"), outcome)
    return missing if final == 0x0000 else None


def main() -> int:
    parser = argparse.ArgumentParser(description="Find and retrieve hanging protocols.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("name", nargs="?", default="*", help="its name, with wildcards")
    args = parser.parse_args()

    ae = AE(ae_title=b"HANG_EXAMPLE")
    ae.on_c_store = on_c_store
    ae.add_requested_context(HangingProtocolInformationModelFind)
    ae.add_requested_context(HangingProtocolInformationModelGet)
    ae.add_requested_context(HangingProtocolStorage)
    role = SCP_SCU_RoleSelectionNegotiation()
    role.sop_class_uid = HangingProtocolStorage
    role.scp_role = True
    assoc = ae.associate(args.host, args.port, ext_neg=[role])
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    missing = None
    try:
        missing = find_and_get(assoc, args.name)
    except ValueError as error:  # the peer has no hanging protocols
        print(error, file=sys.stderr)
    assoc.release()
    if missing is None:
        print(f"the query failed: {assoc.ended}", file=sys.stderr)
    return 0 if missing == 0 and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
