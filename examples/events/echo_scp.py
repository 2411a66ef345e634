"""Verification SCP with an event handler: answer whoever asks whether we are there.

    python examples/events/echo_scp.py 127.0.0.1 11112

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification


def handle_echo(event: evt.CEchoEvent) -> int:
    """Answer a C-ECHO request; without a handler the library answers 0x0000 by itself."""
    requestor = event.assoc.requestor
    print(f"C-ECHO from {requestor.ae_title} at {requestor.address}", flush=True)
    return 0x0000


def main() -> int:
    parser = argparse.ArgumentParser(description="Answer C-ECHO requests.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("ECHO_EXAMPLE")
    ae.add_supported_context(Verification)
    # With block=False the server runs in a thread of its own, and we go on here.
    server = ae.start_server(
        (args.host, args.port), block=False, evt_handlers=[(evt.EVT_C_ECHO, handle_echo)]
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
