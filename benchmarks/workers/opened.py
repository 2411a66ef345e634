"""Have many associations at once: ``opened.py PORT COUNT``; the seconds of each step, and memory.

So many threads request them, and each then sends a C-ECHO on its own. What a process does the first
time, such as importing pydicom for the first status, is not counted.
"""

from __future__ import annotations

import json
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import Any

import pynetdicom
from pynetdicom import AE

VERIFICATION = "1.2.840.10008.1.1"
REQUESTORS = 16


def resident() -> int:
    """Give the resident memory of this process in KiB."""
    with open("/proc/self/status") as status:
        return next(int(line.split()[1]) for line in status if line.startswith("VmRSS:"))


def each(call: Callable[[Any], Any], items: Sequence[Any]) -> tuple[float, list[Any]]:
    """Call something with each, on so many threads that have a share of them; seconds and results.

    No executor: what it makes for each call takes a quarter of a C-ECHO's time.
    """
    results: list[Any] = []

    def work(share: Sequence[Any]) -> None:
        for item in share:
            results.append(call(item))

    threads = [
        threading.Thread(target=work, args=(items[first::REQUESTORS],))
        for first in range(REQUESTORS)
    ]
    start = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    seconds = time.perf_counter() - start
    if len(results) < len(items):
        sys.exit("a thread has failed")
    return seconds, results


def main() -> None:
    port, count = int(sys.argv[1]), int(sys.argv[2])
    ae = AE(ae_title="BENCHSCU")
    ae.acse_timeout = ae.dimse_timeout = 120
    ae.add_requested_context(VERIFICATION)
    threading.stack_size(256 * 1024)

    def associate(_: int) -> Any:
        return ae.associate("127.0.0.1", port)

    def echo(assoc: Any) -> int:
        return int(assoc.send_c_echo().Status)

    _, first = each(associate, range(REQUESTORS))
    each(echo, first)
    before = resident()
    opened, associations = each(associate, range(count))
    associations += first
    if not all(assoc.is_established for assoc in associations):
        sys.exit("not all associations were accepted")
    memory = (resident() - before) / count
    echoes, statuses = each(echo, associations)
    if any(statuses):
        sys.exit("a C-ECHO failed")
    released, _ = each(lambda assoc: assoc.release(), associations)
    report = {"opened": opened, "echoes": echoes, "released": released, "KiB": memory}
    print(json.dumps(report | {"version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
