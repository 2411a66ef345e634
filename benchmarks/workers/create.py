"""Create instances by N-CREATE over loopback, both sides in this process: ``create.py COUNT``."""

from __future__ import annotations

import json
import sys
import time
from typing import Any

from pydicom.dataset import Dataset

import pynetdicom
from pynetdicom import AE, evt

STEP = "1.2.840.10008.3.1.2.3.3"  # Modality Performed Procedure Step


def main() -> None:
    count = int(sys.argv[1])
    created: dict[str, Dataset] = {}

    def create(event: Any) -> tuple[int, None]:
        created[event.request.AffectedSOPInstanceUID] = event.attribute_list
        return 0x0000, None

    step = Dataset()
    step.PatientID = "4711"
    step.PerformedProcedureStepID = "PPS1"
    step.PerformedProcedureStepStatus = "IN PROGRESS"
    scp, scu = AE(ae_title="BENCHSCP"), AE(ae_title="BENCHSCU")
    scp.add_supported_context(STEP)
    scu.add_requested_context(STEP)
    bound = [(evt.EVT_N_CREATE, create)]
    server: Any = scp.start_server(("127.0.0.1", 0), block=False, evt_handlers=bound)
    assoc: Any = scu.associate("127.0.0.1", server.server_address[1])
    if not assoc.is_established:
        sys.exit("no association")

    def ask(first: int, last: int) -> None:
        for number in range(first, last):
            if assoc.send_n_create(step, STEP, f"1.2.{number}")[0].Status != 0x0000:
                sys.exit("an N-CREATE was refused")

    ask(0, 1)
    start = time.perf_counter()
    ask(1, count + 1)
    seconds = time.perf_counter() - start
    assoc.release()
    server.shutdown()
    print(json.dumps({"seconds": seconds, "version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
