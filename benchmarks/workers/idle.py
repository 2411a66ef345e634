"""Hold idle associations until the standard input ends: ``idle.py PORT COUNT``."""

from __future__ import annotations

import json
import sys
from typing import Any

import pynetdicom
from pynetdicom import AE

VERIFICATION = "1.2.840.10008.1.1"


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    ae = AE(ae_title="BENCHSCU")
    ae.add_requested_context(VERIFICATION)
    associations: list[Any] = [ae.associate("127.0.0.1", port) for _ in range(count)]
    if not all(assoc.is_established for assoc in associations):
        sys.exit("not all associations were accepted")
    print(json.dumps({"version": pynetdicom.__version__}), flush=True)
    sys.stdin.read()
    for assoc in associations:
        assoc.release()


if __name__ == "__main__":
    main()
