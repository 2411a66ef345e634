"""C-GET with roles, and C-MOVE to a server of its own."""

from pathlib import Path

from pydicom import Dataset
from pydicom.uid import UID

from pynetdicom import AE, StoragePresentationContexts, build_role, evt
from pynetdicom.pdu_primitives import SCP_SCU_RoleSelectionNegotiation
from pynetdicom.sop_class import (
    CTImageStorage,
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
)


def handle_store(event: evt.CStoreEvent, directory: Path, seen: set[str]) -> int:
    event.save_as(directory / event.file_name)
    seen.add(event.request.AffectedSOPInstanceUID)
    return 0x0000


def identifier(study: str | UID) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = study
    return ds


seen: set[str] = set()
handlers = [(evt.EVT_C_STORE, handle_store, [Path(), seen])]
ae = AE("GETTER")
ae.add_requested_context(PatientRootQueryRetrieveInformationModelGet)
ae.add_requested_context(PatientRootQueryRetrieveInformationModelMove)
ae.requested_contexts = StoragePresentationContexts[:120]
roles = [build_role(cx.abstract_syntax, scp_role=True) for cx in StoragePresentationContexts[:120]]
role = SCP_SCU_RoleSelectionNegotiation()
role.sop_class_uid = CTImageStorage
role.scu_role, role.scp_role = False, True
roles.append(role)

assoc = ae.associate("127.0.0.1", 11112, ext_neg=roles, evt_handlers=handlers)
for status, failed in assoc.send_c_get(
    identifier("1.2.3"), PatientRootQueryRetrieveInformationModelGet
):
    if status and status.Status == 0xFF00:
        print(status.NumberOfRemainingSuboperations + status.NumberOfCompletedSuboperations)
    elif failed:
        print(failed.FailedSOPInstanceUIDList)
assoc.release()

ae.supported_contexts = StoragePresentationContexts
scp = ae.start_server(("", 11113), block=False, evt_handlers=handlers)
assoc = ae.associate("127.0.0.1", 11112)
moved = 0
for status, _ in assoc.send_c_move(
    identifier(UID("1.2.3")), "GETTER", PatientRootQueryRetrieveInformationModelMove
):
    moved = status.get("NumberOfCompletedSuboperations", moved)
for status, _ in assoc.send_c_move(identifier("1.2.3"), b"GETTER", 1, query_model="P"):
    print(status.problem)
assoc.release()
scp.shutdown()
