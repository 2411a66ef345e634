"""Verification SCU: ask a peer whether it is there, and watch what happens by event handlers.

    python examples/events/echo_scu.py 127.0.0.1 11112

Ends with 0 if the peer answered with success, with 1 otherwise.
"""

import argparse
import sys

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification


def on_established(event: evt.AssociationEvent) -> None:
    contexts = ", ".join(cx.abstract_syntax.name for cx in event.assoc.accepted_contexts)
    print(f"established with {event.assoc.acceptor.ae_title}, who accepts: {contexts}")


def on_closed(event: evt.ConnectionEvent) -> None:
    # `ended` is there before any of the events of the association's end.
    print(f"the association has ended: {event.assoc.ended}")


def main() -> int:
    parser = argparse.ArgumentParser(description="Ask a peer whether it is there.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = AE("ECHO_EXAMPLE")
    ae.add_requested_context(Verification)

    # associate() does not raise when there is no peer: it says so.
    assoc = ae.associate(
        args.host,
        args.port,
        evt_handlers=[(evt.EVT_ESTABLISHED, on_established), (evt.EVT_CONN_CLOSE, on_closed)],
    )
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    try:
        status = assoc.send_c_echo()
    except ValueError as error:  # the peer accepted the association, but not Verification
        assoc.release()
        print(error, file=sys.stderr)
        return 1

    # An empty status means that there was no answer.
    if "Status" in status:
        print(f"the peer answered with 0x{status.Status:04X}")
    assoc.release()
    assoc.join()  # until the last event has been handled
    return 0 if assoc.is_released and status.get("Status") == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
