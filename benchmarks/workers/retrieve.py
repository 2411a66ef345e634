"""Query or retrieve a study: ``retrieve.py find|get|move PORT STORE_PORT STUDY OUT``."""

from __future__ import annotations

import json
import os
import sys
import time
from typing import Any

from pydicom.dataset import Dataset

import pynetdicom
from pynetdicom import AE, build_role, evt

CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
EXPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2.1"
FIND, MOVE, GET = (f"1.2.840.10008.5.1.4.1.2.2.{number}" for number in (1, 2, 3))


def main() -> None:
    operation, port, store_port = sys.argv[1], int(sys.argv[2]), int(sys.argv[3])
    study, out = sys.argv[4:]
    query = Dataset()
    query.QueryRetrieveLevel = "IMAGE" if operation == "find" else "STUDY"
    query.StudyInstanceUID = study
    if operation == "find":
        query.SeriesInstanceUID = query.SOPInstanceUID = query.InstanceNumber = None
    stored = 0

    def save(event: Any) -> int:
        nonlocal stored
        event.save_as(os.path.join(out, event.request.AffectedSOPInstanceUID))
        stored += 1
        return 0x0000

    ae = AE(ae_title="MOVESCU")
    ae.spool_dir = out
    ae.maximum_pdu_size = 1 << 20
    ae.add_requested_context({"find": FIND, "get": GET, "move": MOVE}[operation])
    options: dict[str, Any] = {"max_pdu": 1 << 20}
    if operation == "get":
        ae.add_requested_context(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)
        options["ext_neg"] = [build_role(CT_IMAGE_STORAGE, scp_role=True)]
        options["evt_handlers"] = [(evt.EVT_C_STORE, save)]
    if operation == "move":
        ae.add_supported_context(CT_IMAGE_STORAGE, EXPLICIT_VR_LITTLE_ENDIAN)
        address = ("127.0.0.1", store_port)
        ae.start_server(address, block=False, evt_handlers=[(evt.EVT_C_STORE, save)])
    assoc: Any = ae.associate("127.0.0.1", port, ae_title="ARCHIVE", **options)
    if not assoc.is_established:
        sys.exit("no association")
    start = time.perf_counter()
    if operation == "find":
        responses = assoc.send_c_find(query, FIND)
    elif operation == "get":
        responses = assoc.send_c_get(query, GET)
    else:
        responses = assoc.send_c_move(query, "MOVESCU", MOVE)
    matches = 0
    final = None
    for status, identifier in responses:
        final = status.get("Status")
        matches += identifier is not None
    seconds = time.perf_counter() - start
    if final != 0x0000:
        sys.exit(f"the operation ended with {final}")
    assoc.release()
    ae.shutdown()
    count = matches if operation == "find" else stored
    report = {"seconds": seconds, "count": count, "version": pynetdicom.__version__}
    print(json.dumps(report))


if __name__ == "__main__":
    main()
