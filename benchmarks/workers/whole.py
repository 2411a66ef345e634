"""Associate, send a C-ECHO, release: ``whole.py PORT COUNT [CONTEXTS]``; the seconds of each."""

from __future__ import annotations

import json
import sys
import time

import pynetdicom
from pynetdicom import AE

VERIFICATION = "1.2.840.10008.1.1"
STORAGE = "1.2.840.10008.5.1.4.1.1."


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    others = int(sys.argv[3]) - 1 if len(sys.argv) > 3 else 0
    ae = AE(ae_title="BENCHSCU")
    ae.add_requested_context(VERIFICATION)
    for number in range(others):
        ae.add_requested_context(f"{STORAGE}{number + 1}")
    seconds = []
    for _ in range(count + 1):
        start = time.perf_counter()
        assoc = ae.associate("127.0.0.1", port)
        if not assoc.is_established or assoc.send_c_echo().Status != 0x0000:
            sys.exit("a C-ECHO failed")
        assoc.release()
        seconds.append(time.perf_counter() - start)
    # The first one loads what is only needed once an association is made.
    print(json.dumps({"each": seconds[1:], "version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
