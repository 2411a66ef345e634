"""Router: receive objects, and forward each to another SCP without decoding it.

    python examples/events/router_scp.py 127.0.0.1 11112 --to-host 127.0.0.1 --to-port 11113

A sender gets the answer of the destination, and 0xA700 where there is none, so that it knows that
it has to send the object again: the router keeps nothing.

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, StoragePresentationContexts, build_context, evt
from pynetdicom.association import Association
from pynetdicom.errors import PynetdicomError
from pynetdicom.sop_class import Verification
from pynetdicom.typing import Status

OUT_OF_RESOURCES = 0xA700


class Router:
    """Forwards what senders send, with an association to the destination for each of them."""

    def __init__(self, ae: AE, host: str, port: int, ae_title: str) -> None:
        self.ae = ae
        self.destination = host, port
        self.ae_title = ae_title
        # The association of each sender, and the one that its objects go on by. Both run in the
        # sender's thread, one object after another.
        self.onward: dict[Association, Association] = {}

    def association_for(self, sender: Association) -> Association:
        """Give the association to the destination, a new one if the last has ended."""
        assoc = self.onward.get(sender)
        if assoc is None or not assoc.is_established:
            # What was agreed on with the sender, so that its objects can go on as they come.
            contexts = [
                build_context(context.abstract_syntax, context.transfer_syntax)
                for context in sender.accepted_contexts
                if context.abstract_syntax != Verification
            ]
            assoc = self.ae.associate(*self.destination, contexts, ae_title=self.ae_title)
            self.onward[sender] = assoc
        return assoc

    def handle_store(self, event: evt.CStoreEvent) -> Status:
        """Forward an object; what is returned is the status that the sender gets."""
        request = event.request
        uid = request.AffectedSOPInstanceUID
        assoc = self.association_for(event.assoc)
        if not assoc.is_established:
            print(f"{uid}: no association, {assoc.ended}", file=sys.stderr, flush=True)
            return OUT_OF_RESOURCES
        try:
            status = assoc.send_c_store(
                event.received,
                priority=request.Priority,
                originator_aet=request.MoveOriginatorApplicationEntityTitle,
                originator_id=request.MoveOriginatorMessageID,
            )
        except (RuntimeError, ValueError, OSError, PynetdicomError) as error:
            # The destination takes no such objects, or the object is damaged.
            print(f"{uid}: not forwarded, {error}", file=sys.stderr, flush=True)
            return OUT_OF_RESOURCES
        if "Status" not in status:
            print(f"{uid}: no answer, {assoc.ended}", file=sys.stderr, flush=True)
            return OUT_OF_RESOURCES
        print(f"{uid}: 0x{status.Status:04X}", flush=True)
        return status

    def handle_close(self, event: evt.Event) -> None:
        """A sender is gone: nothing more comes for its association."""
        assoc = self.onward.pop(event.assoc, None)
        if assoc is not None:
            assoc.release()


def main() -> int:
    parser = argparse.ArgumentParser(description="Forward what peers send.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--to-host", default="127.0.0.1", help="where the destination is")
    parser.add_argument("--to-port", type=int, default=11113)
    parser.add_argument("--to-title", default="ANY-SCP", help="its AE title")
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("ROUTER_EXAMPLE")
    ae.add_supported_context(Verification)
    for context in StoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)

    router = Router(ae, args.to_host, args.to_port, args.to_title)
    server = ae.start_server(
        (args.host, args.port),
        block=False,
        evt_handlers=[
            (evt.EVT_C_STORE, router.handle_store),
            (evt.EVT_CONN_CLOSE, router.handle_close),
        ],
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
