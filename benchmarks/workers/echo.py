"""Send C-ECHO requests: ``echo.py PORT COUNT``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

import pynetdicom
from pynetdicom import AE

VERIFICATION = "1.2.840.10008.1.1"


def echo(assoc: Any, count: int) -> None:
    for _ in range(count):
        if assoc.send_c_echo().Status != 0x0000:
            sys.exit("a C-ECHO failed")


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    ae = AE(ae_title="BENCHSCU")
    ae.add_requested_context(VERIFICATION)
    assoc: Any = ae.associate("127.0.0.1", port)
    if not assoc.is_established:
        sys.exit("no association")
    echo(assoc, 1)
    start = time.perf_counter()
    echo(assoc, count)
    seconds = time.perf_counter() - start
    assoc.release()
    print(json.dumps({"seconds": seconds, "version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
