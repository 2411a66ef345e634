"""Verification SCU: ask a peer whether it is there, and watch what happens by callbacks.

    python examples/callbacks/echo_scu.py 127.0.0.1 11112

Ends with 0 if the peer answered with success, with 1 otherwise.
"""

import argparse
import sys
from typing import Any

from pynetdicom import AE
from pynetdicom.sop_class import Verification


def on_association_accepted(primitive: Any) -> None:
    print(f"accepted by {primitive.called_ae_title}")


def on_association_rejected(primitive: Any) -> None:
    print("rejected", file=sys.stderr)


def on_association_aborted(primitive: Any = None) -> None:
    print("aborted", file=sys.stderr)


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a peer whether it is there.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = AE(ae_title=b"ECHO_EXAMPLE")
    ae.add_requested_context(Verification)
    # Callbacks are assigned to the AE, and hold for all its associations.
    ae.on_association_accepted = on_association_accepted
    ae.on_association_rejected = on_association_rejected
    ae.on_association_aborted = on_association_aborted

    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    try:
        status = assoc.send_c_echo()
    except ValueError as error:  # the peer accepted the association, but not Verification
        assoc.release()
        print(error, file=sys.stderr)
        return 1
    if "Status" in status:  # empty when there was no answer
        print(f"the peer answered with 0x{status.Status:04X}")
    assoc.release()
    return 0 if assoc.is_released and status.get("Status") == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
