"""Queries: each way to say which model, and what comes back."""

import csv
import sys

from pydicom import Dataset
from pydicom.sequence import Sequence

from pynetdicom import AE, BasicWorklistManagementPresentationContexts
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    ModalityWorklistInformationFind,
    PatientRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelFind,
)


def studies(assoc: Association, patient: str) -> list[Dataset]:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.PatientID = patient
    found = []
    for status, identifier in assoc.send_c_find(ds, StudyRootQueryRetrieveInformationModelFind):
        if status and status.Status in (0xFF00, 0xFF01):
            found.append(identifier)
        elif not status:
            raise ConnectionError(status.problem)
    return found


ae = AE(ae_title=b"FINDER")
ae.requested_contexts = BasicWorklistManagementPresentationContexts
ae.add_requested_context(PatientRootQueryRetrieveInformationModelFind)
ae.add_requested_context(StudyRootQueryRetrieveInformationModelFind)
assoc = ae.associate("127.0.0.1", 11112)
writer = csv.writer(sys.stdout)
writer.writerows([study.StudyInstanceUID, study.get("StudyDate")] for study in studies(assoc, "1"))

item = Dataset()
item.Modality = "CT"
keys = Dataset()
keys.ScheduledProcedureStepSequence = Sequence([item])
responses = assoc.send_c_find(keys, query_model=ModalityWorklistInformationFind, msg_id=5)
with responses:
    for status, match in responses:
        if match is not None:
            print(match.PatientName, responses.message_id)
            break
for status, match in assoc.send_c_find(keys, query_model="W"):
    print(status.Status, match and match.AccessionNumber)
for _, match in assoc.send_c_find(keys, 1, 2, "P"):  # as in pynetdicom 1.x
    print(match)
first = next(assoc.send_c_find(keys))
print(first[0].Status, first[1])
assoc.send_c_cancel(5, query_model="W")
assoc.send_c_cancel_find(1)
assoc.release()
