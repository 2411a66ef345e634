"""dicom-mcp: C-ECHO, C-FIND at each level, and C-MOVE to a listener of ours."""

from __future__ import annotations

import contextlib
import io
from typing import Any

from dicom_mcp.dicom_client import DicomClient
from given import (
    ARCHIVE,
    ARCHIVES,
    DESTINATION,
    HOST,
    INSTANCES,
    LISTEN,
    PATIENT_ID,
    SERIES,
    STUDY,
    done,
)
from mover import start

from pynetdicom import AE, AllStoragePresentationContexts, evt

came: list[str] = []


def handle(event: Any) -> int:
    """Note what comes."""
    came.append(event.request.AffectedSOPInstanceUID)
    return 0x0000


ae = AE(DESTINATION)
ae.supported_contexts = AllStoragePresentationContexts
server = ae.start_server((HOST, LISTEN), block=False, evt_handlers=[(evt.EVT_C_STORE, handle)])
for name, port in ARCHIVES.items():
    client = DicomClient(HOST, port, "DICOM_MCP", ARCHIVE)
    ok, told = client.verify_connection()
    assert ok, told
    done(f"C-ECHO to {name}")
    # With more attributes the archives say 0xFF01: they lack one. It takes 0xFF00 alone.
    with contextlib.redirect_stdout(io.StringIO()):
        [patient] = client.query_patient(patient_id=PATIENT_ID, attribute_preset="minimal")
        [study] = client.query_study(patient_id=PATIENT_ID)
        series = client.query_series(STUDY)
    assert patient["PatientID"] == PATIENT_ID
    assert study["StudyInstanceUID"] == STUDY
    assert {one["SeriesInstanceUID"] for one in series} == {*SERIES}
    done(f"C-FIND at {name}")
mover = start()
client = DicomClient(HOST, mover.server_address[1], "DICOM_MCP", ARCHIVE)
result = client.move_study(DESTINATION, STUDY)
assert result["success"], result
assert len(came) == INSTANCES * len(SERIES), came
done("C-MOVE")
mover.shutdown()
server.shutdown()
