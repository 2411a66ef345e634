"""Have many associations at once: ``opened.py PORT COUNT``; the seconds of each step, and memory.

So many threads request them, and each then sends a C-ECHO on its own. What a process does the first
time, such as importing pydicom for the first status, is not counted.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pynetdicom
from pynetdicom import AE

VERIFICATION = "1.2.840.10008.1.1"
REQUESTORS = 16


def resident() -> int:
    """Give the resident memory of this process in KiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def timed(step: Callable[[], object]) -> float:
    start = time.perf_counter()
    step()
    return time.perf_counter() - start


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    ae = AE(ae_title="BENCHSCU")
    ae.acse_timeout = ae.dimse_timeout = 120
    ae.add_requested_context(VERIFICATION)
    threading.stack_size(256 * 1024)
    associations: list[Any] = []

    def opened(_: int) -> None:
        associations.append(ae.associate("127.0.0.1", port))

    def echo(assoc: Any) -> int:
        return int(assoc.send_c_echo().Status)

    with ThreadPoolExecutor(REQUESTORS) as pool:
        list(pool.map(opened, range(REQUESTORS)))
        list(pool.map(echo, associations))
        before = resident()
        seconds = timed(lambda: list(pool.map(opened, range(count))))
        if not all(assoc.is_established for assoc in associations):
            sys.exit("not all associations were accepted")
        each = (resident() - before) / count
        statuses: list[int] = []
        echoes = timed(lambda: statuses.extend(pool.map(echo, associations)))
        if any(statuses):
            sys.exit("a C-ECHO failed")
        released = timed(lambda: list(pool.map(lambda assoc: assoc.release(), associations)))
    report = {"opened": seconds, "echoes": echoes, "released": released, "KiB": each}
    print(json.dumps(report | {"version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
