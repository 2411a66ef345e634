"""Send files: ``store.py PORT UNTIMED PATH…``; the first UNTIMED of them are not counted."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Iterator
from typing import Any

import pynetdicom
from pynetdicom import AE

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
IS_OURS = pynetdicom.__version__.startswith("4.")


def one_by_one(assoc: Any, paths: list[str]) -> Iterator[tuple[str, Any]]:
    for path in paths:
        yield path, assoc.send_c_store(path)


def store(assoc: Any, paths: list[str]) -> None:
    responses = assoc.send_c_stores(paths, send_ahead=True) if IS_OURS else one_by_one(assoc, paths)
    count = 0
    for path, status in responses:
        if "Status" not in status or status.Status != 0x0000:
            sys.exit(f"{path} was not stored: {status}")
        count += 1
    if count != len(paths):
        sys.exit(f"{count} of {len(paths)} files were answered")


def peak_memory() -> int:
    """Give the peak resident memory of this process in KiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmHWM:"))


def main() -> None:
    port, untimed, paths = int(sys.argv[1]), int(sys.argv[2]), sys.argv[3:]
    ae = AE(ae_title="BENCHSCU")
    ae.add_requested_context(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)
    assoc: Any = ae.associate("127.0.0.1", port)
    if not assoc.is_established:
        sys.exit("no association")
    store(assoc, paths[:untimed])
    start = time.perf_counter()
    store(assoc, paths[untimed:])
    seconds = time.perf_counter() - start
    assoc.release()
    report = {"seconds": seconds, "peak": peak_memory(), "version": pynetdicom.__version__}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
