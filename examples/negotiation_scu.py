"""Associates with extended negotiation, proposes to be SCP, and is sent files over the association.

    python examples/negotiation_scu.py 127.0.0.1 11112

The counterpart of ``negotiation_scp.py``. Ends with 0 if files came, with 1 otherwise.
"""

import argparse
import sys

from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import SOPClassExtendedNegotiation, UserIdentityNegotiation
from pynetdicom.sop_class import CTImageStorage, MRImageStorage

CLASSES = (CTImageStorage, MRImageStorage)


def handle_store(event: evt.CStoreEvent, received: list[str]) -> int:
    """Take a file that the acceptor sends; the requestor of the association is the SCP here."""
    received.append(event.dataset.SOPInstanceUID)
    return 0x0000


def main() -> int:
    parser = argparse.ArgumentParser(description="Associate to be sent files.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--user", default="alice")
    parser.add_argument("--passcode", default="correct horse")
    args = parser.parse_args()

    ae = AE("ROLE_EXAMPLE")
    for sop_class in CLASSES:
        ae.add_requested_context(sop_class)

    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2  # user name and passcode
    identity.primary_field = args.user.encode()
    identity.secondary_field = args.passcode.encode()

    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CTImageStorage
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"  # PS3.4 B.3.1

    # SCP and not SCU, for each class: without this item we would be SCU only (PS3.7 D.3.3.4).
    roles = [build_role(sop_class, scp_role=True) for sop_class in CLASSES]

    received: list[str] = []
    assoc = ae.associate(
        args.host,
        args.port,
        ext_neg=[*roles, extended, identity],
        evt_handlers=[(evt.EVT_C_STORE, handle_store, [received])],
    )
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    for context in assoc.accepted_contexts:
        print(f"{context.abstract_syntax.name}: SCU {context.as_scu}, SCP {context.as_scp}")
    for uid, information in assoc.acceptor.sop_class_extended.items():
        print(f"extended negotiation of {uid} answered with {information!r}")

    # Requests of the acceptor are served by the Association thread, which ends when the acceptor
    # releases the association, or by its time-outs.
    assoc.join()
    print(f"{len(received)} received, {assoc.ended}")
    return 0 if received and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
