"""A storage and verification SCP that stores into a directory, until its standard input ends."""

from __future__ import annotations

import json
import os
import sys
from typing import Any

import pynetdicom
from pynetdicom import AE, evt

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
VERIFICATION = "1.2.840.10008.1.1"
TRANSFER_SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
MAXIMUM_PDU = 1 << 20
IS_OURS = pynetdicom.__version__.startswith("4.")


def save(event: Any, out: str) -> int:
    """Store an object as our applications do: the spool file becomes the file."""
    event.save_as(os.path.join(out, event.request.AffectedSOPInstanceUID))
    return 0x0000


def write(event: Any, out: str) -> int:
    """Store an object the fastest way that 3.0.4 has: encoded as it came."""
    with open(os.path.join(out, event.request.AffectedSOPInstanceUID), "wb") as file:
        file.write(event.encoded_dataset())
    return 0x0000


def main() -> None:
    out = sys.argv[1]
    ae = AE(ae_title="BENCHSCP")
    ae.maximum_associations = 10_000
    ae.maximum_pdu_size = MAXIMUM_PDU
    if IS_OURS:  # for those who offer one
        ae.window = (1, 8)
    options: dict[str, Any] = {"spool_dir": out} if IS_OURS else {}
    ae.add_supported_context(VERIFICATION, TRANSFER_SYNTAXES)
    ae.add_supported_context(CT_IMAGE_STORAGE, TRANSFER_SYNTAXES)
    handlers = [(evt.EVT_C_STORE, save if IS_OURS else write, [out])]
    server: Any = ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=handlers, **options)
    report = {"port": server.server_address[1], "version": pynetdicom.__version__}
    print(json.dumps(report), flush=True)
    sys.stdin.read()
    ae.shutdown()


if __name__ == "__main__":
    main()
