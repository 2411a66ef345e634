"""How soon `abort` wakes who waits, and `shutdown` ends it all: ``wake.py COUNT ASSOCIATIONS``."""

from __future__ import annotations

import json
import sys
import threading
import time
from typing import Any

import pynetdicom
from pynetdicom import AE, evt

VERIFICATION = "1.2.840.10008.1.1"


def main() -> None:
    count, associations = int(sys.argv[1]), int(sys.argv[2])
    asked, go_on = threading.Event(), threading.Event()

    def wait(event: Any) -> int:
        asked.set()
        go_on.wait()
        return 0x0000

    ae = AE()
    ae.maximum_associations = associations + 1
    ae.add_supported_context(VERIFICATION)
    ae.add_requested_context(VERIFICATION)
    server: Any = ae.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_ECHO, wait)]
    )

    def wake() -> float:
        asked.clear()
        go_on.clear()
        assoc: Any = ae.associate("127.0.0.1", server.server_address[1])
        returned: list[float] = []

        def echo() -> None:
            assoc.send_c_echo()
            returned.append(time.perf_counter())

        waiter = threading.Thread(target=echo)
        waiter.start()
        asked.wait()
        start = time.perf_counter()
        assoc.abort(block=False)
        waiter.join()
        go_on.set()
        assoc.join()
        return returned[0] - start

    woken = [wake() for _ in range(count + 1)]
    for _ in range(associations):
        if not ae.associate("127.0.0.1", server.server_address[1]).is_established:
            sys.exit("no association")
    start = time.perf_counter()
    ae.shutdown()
    seconds = time.perf_counter() - start
    report = {"woken": woken[1:], "shutdown": seconds, "version": pynetdicom.__version__}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
