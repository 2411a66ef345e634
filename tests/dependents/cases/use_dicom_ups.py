"""dicom-ups: creates, finds, reads and changes unified procedure steps of workflowscp."""

from __future__ import annotations

import os

from given import HOST, PATIENT_ID, PATIENT_NAME, WORK, WORKFLOWS, done

servers = WORK / "servers.toml"
servers.write_text(f'[server.conductor]\nhost = "{HOST}"\nport = {WORKFLOWS}\nae = "PYNETDICOM"\n')
os.environ["SERVERS_TOML"] = str(servers)

from dicom_ups import ups_steps  # noqa: E402  # it reads that file
from dicom_ups.options import ActionType  # noqa: E402
from pydicom import Dataset  # noqa: E402

from pynetdicom.sop_class import UnifiedProcedureStepPull  # noqa: E402
from pynetdicom.sop_class import UnifiedProcedureStepPush as Push  # noqa: E402

UID = "2.25.80"


def item(**elements: str) -> Dataset:
    """A data set."""
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


step = item(
    SOPInstanceUID=UID, ProcedureStepState="SCHEDULED", ProcedureStepLabel="Plan",
    ScheduledProcedureStepPriority="MEDIUM", WorklistLabel="W", InputReadinessState="READY",
    ScheduledProcedureStepStartDateTime="20240102",
    PatientID=PATIENT_ID, PatientName=PATIENT_NAME,
)  # fmt: skip
for empty in (
    "TransactionUID", "CommentsOnTheScheduledProcedureStep", "IssuerOfPatientID",
    "PatientBirthDate", "PatientSex", "AdmissionID", "AdmittingDiagnosesDescription",
):  # fmt: skip
    setattr(step, empty, "")
for sequence in (
    "ScheduledProcessingParameters", "ScheduledStationNameCode", "ScheduledStationClassCode",
    "ScheduledStationGeographicLocationCode", "ScheduledWorkitemCode", "InputInformation",
    "IssuerOfPatientIDQualifiers", "OtherPatientIDs", "IssuerOfAdmissionID",
    "AdmittingDiagnosesCode", "ReferencedRequest", "ProcedureStepProgressInformation",
    "UnifiedProcedureStepPerformedProcedure",
):  # fmt: skip
    setattr(step, f"{sequence}Sequence", [])
ups_steps.create_step(step, Push)
assert ups_steps.get_step(UID, UnifiedProcedureStepPull).PatientID == PATIENT_ID
done("N-CREATE; N-GET")
ups_steps.set_step(item(ProcedureStepLabel="Other"), UID, UnifiedProcedureStepPull)
assert ups_steps.get_step(UID, UnifiedProcedureStepPull).ProcedureStepLabel == "Other"
done("N-SET")
assert ups_steps.ups_query() == []  # it asks for steps of SOP Class Query, which none is
done("C-FIND")
# Action 2 is a request to cancel; who asked for one that nobody has claimed has it canceled.
ups_steps.action_step(item(ReasonForCancellation="no film"), UID, Push, ActionType.RESTART)
assert ups_steps.get_step(UID, UnifiedProcedureStepPull).ProcedureStepState == "CANCELED"
done("N-ACTION")
