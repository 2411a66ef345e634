"""dicomforge: takes what arrives at a server of the library by C-STORE and C-FIND."""

from __future__ import annotations

from typing import Any

from dicomforge.adapt import from_pynetdicom_event
from given import ARCHIVE, FILES, HOST, PATIENT_ID, app, done

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind

came: list[str] = []


def handle(event: Any) -> int:
    """Note what a data set of the package says."""
    came.append(str(from_pynetdicom_event(event).get("PatientID")))
    return 0x0000


def handle_find(event: Any) -> Any:
    """Answer with nothing."""
    handle(event)
    yield from ()


ae = AE(ARCHIVE)
ae.supported_contexts = AllStoragePresentationContexts
ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
server = ae.start_server(
    (HOST, 0),
    block=False,
    evt_handlers=[(evt.EVT_C_STORE, handle), (evt.EVT_C_FIND, handle_find)],
)
port = server.server_address[1]
app("storescu", HOST, port, *FILES)
assert came == [PATIENT_ID] * len(FILES), came
done("events of C-STORE")
app("findscu", HOST, port, "-S", "-k", "QueryRetrieveLevel=STUDY", "-k", f"PatientID={PATIENT_ID}")
assert came[-1] == PATIENT_ID
assert len(came) == len(FILES) + 1
done("event of C-FIND")
server.shutdown()
