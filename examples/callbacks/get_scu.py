"""Retrieve SCU with a callback, in pynetdicom 1.x's style: a study on the same association.

    python examples/callbacks/get_scu.py 127.0.0.1 11112 1.2.3.4

Objects are written to the current directory. Ends with 0 if all of them have come.
"""

import argparse
import re
import sys
from collections.abc import Iterator

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
)
from pynetdicom.typing import Context, Info

STORAGE = [CTImageStorage, MRImageStorage]


def on_c_store(dataset: Dataset, context: Context, info: Info) -> int:
    """Store what the peer sends; called on the Association thread."""
    if not re.fullmatch(r"(?=.*[0-9])[0-9.]{1,64}", dataset.SOPInstanceUID):
        return 0x0117  # invalid SOP Instance: not fit for a file name
    try:
        # `dataset.file_meta` has been made by the library.
        dataset.save_as(f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True)
    except OSError as error:
        print(f"cannot store: {error.strerror}", file=sys.stderr)
        return 0xA700  # out of resources
    return 0x0000


def roles() -> Iterator[SCP_SCU_RoleSelectionNegotiation]:
    """Say that we are the SCP of what the peer sends, though we request the association."""
    for sop_class in STORAGE:
        role = SCP_SCU_RoleSelectionNegotiation()
        role.sop_class_uid = sop_class
        role.scp_role = True
        yield role


def get(assoc: Association, study: str) -> Dataset:
    """Retrieve a study; gives the final status, an empty one if there was no answer."""
    wanted = Dataset()
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = study
    # The letter stands for the study root model.
    final = Dataset()
    for status, identifier in assoc.send_c_get(wanted, query_model="S"):
        final = status
        if identifier is not None:  # comes with the final status
            print(f"not sent: {identifier.get('FailedSOPInstanceUIDList')}", file=sys.stderr)
    return final


def main() -> int:
    parser = argparse.ArgumentParser(description="Retrieve a study.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("study", help="its Study Instance UID")
    parser.add_argument("--called", default="ANY-SCP", help="the peer's AE title")
    args = parser.parse_args()

    ae = AE(ae_title=b"GET_EXAMPLE")
    ae.on_c_store = on_c_store
    ae.add_requested_context(StudyRootQueryRetrieveInformationModelGet)
    for sop_class in STORAGE:
        ae.add_requested_context(sop_class)
    assoc = ae.associate(args.host, args.port, ae_title=args.called.encode(), ext_neg=list(roles()))
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    try:
        final = get(assoc, args.study)
    except ValueError as error:  # the peer does not do C-GET with this model
        print(error, file=sys.stderr)
        final = Dataset()
    assoc.release()
    if "Status" not in final:
        print(f"no answer: {assoc.ended}", file=sys.stderr)
        return 1
    print(f"0x{final.Status:04X}, {final.get('NumberOfCompletedSuboperations', 0)} objects")
    return 0 if final.Status == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
