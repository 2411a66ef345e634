"""Send files several at a time: ``many.py PORT WINDOW ASSOCIATIONS UNTIMED PATH…``; ours only.

The first UNTIMED of them are not counted; that the further associations are made is.
"""

from __future__ import annotations

import json
import sys
import time

import pynetdicom
from pynetdicom import AE
from pynetdicom.association import Association

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"


def store(assoc: Association, paths: list[str], associations: int) -> None:
    statuses = assoc.send_c_stores(paths, send_ahead=True, associations=associations)
    stored = sum(status.get("Status") == 0x0000 for _, status in statuses)
    if stored != len(paths):
        sys.exit(f"{stored} of {len(paths)} files were stored")


def main() -> None:
    port, window, associations, untimed = map(int, sys.argv[1:5])
    paths = sys.argv[5:]
    ae = AE(ae_title="BENCHSCU")
    ae.add_requested_context(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)
    assoc = ae.associate("127.0.0.1", port, window=(window, 1))
    if not assoc.is_established:
        sys.exit("no association")
    store(assoc, paths[:untimed], 1)
    start = time.perf_counter()
    store(assoc, paths[untimed:], associations)
    seconds = time.perf_counter() - start
    assoc.release()
    print(json.dumps({"seconds": seconds, "version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
