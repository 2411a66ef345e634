"""Verification SCP with a callback: answer whoever asks whether we are there.

    python examples/callbacks/echo_scp.py 127.0.0.1 11112

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys

from pynetdicom import AE
from pynetdicom.sop_class import Verification
from pynetdicom.typing import Context, Info


def on_c_echo(context: Context, info: Info) -> int:
    """Answer a C-ECHO request; without a callback the library answers 0x0000 by itself."""
    requestor = info["requestor"]
    # AE titles are padded bytes in `info`.
    title = requestor["ae_title"].decode().strip()
    print(f"C-ECHO from {title} at {requestor['address']}", flush=True)
    return 0x0000


def main() -> int:
    parser = argparse.ArgumentParser(description="Answer C-ECHO requests.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = AE(ae_title=b"ECHO_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(Verification)
    ae.on_c_echo = on_c_echo
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
