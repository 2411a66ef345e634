"""Storage SCP with an event handler: write what comes to files, without decoding it.

    python examples/events/store_scp.py 127.0.0.1 11112 --directory incoming

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import signal
import sys
import threading
from pathlib import Path

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, StoragePresentationContexts, evt
from pynetdicom.sop_class import Verification


def handle_store(event: evt.CStoreEvent, directory: Path) -> int:
    """Store an instance; what is returned is the status that the peer gets."""
    uid = event.request.AffectedSOPInstanceUID
    try:
        # The name appears when the file is complete, never before.
        event.save_as(directory / event.file_name)
    except ValueError as error:
        # A peer may send anything as a UID, "../../x" too: file_name is never that.
        print(f"refused: {error}", file=sys.stderr)
        return 0x0117  # invalid SOP Instance
    except OSError as error:
        print(f"cannot store {uid}: {error.strerror}", file=sys.stderr, flush=True)
        return 0xA700  # out of resources
    print(f"stored {uid} from {event.assoc.requestor.ae_title}", flush=True)
    return 0x0000


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what peers send to files.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path("incoming"))
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("STORE_EXAMPLE")
    ae.add_supported_context(Verification)
    for context in StoragePresentationContexts:
        # Compressed images, too: they are stored as they come.
        ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)

    server = ae.start_server(
        (args.host, args.port),
        block=False,
        # What follows the handler are further arguments for it.
        evt_handlers=[(evt.EVT_C_STORE, handle_store, [args.directory])],
        # Large objects are received on the same file system: save_as() then only gives a name.
        spool_dir=str(args.directory),
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
