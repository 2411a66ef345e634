"""The N-services as SCU: MPPS, storage commitment, print, UPS; replies and event reports."""

from pydicom import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    BasicFilmSession,
    BasicGrayscalePrintManagementMeta,
    ModalityPerformedProcedureStep,
    Printer,
    PrinterInstance,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
)


def handle_report(event: evt.NEventReportEvent) -> tuple[int, Dataset | None]:
    information = event.event_information
    print(event.event_type == 1, information.TransactionUID)
    return 0x0000, None


def handle_report_shortly(event: evt.Event) -> int:
    return 0x0000 if event.event_information else 0x0110


ae = AE()
for sop_class in (ModalityPerformedProcedureStep, StorageCommitmentPushModel, Printer):
    ae.add_requested_context(sop_class)
ae.add_requested_context(UnifiedProcedureStepPull)
assoc = ae.associate("127.0.0.1", 104, evt_handlers=[(evt.EVT_N_EVENT_REPORT, handle_report)])
assoc.bind(evt.EVT_N_EVENT_REPORT, handle_report_shortly)
step = Dataset()
step.PerformedProcedureStepStatus = "IN PROGRESS"
uid = generate_uid()
status, attributes = assoc.send_n_create(step, ModalityPerformedProcedureStep, uid)
if status and status.Status == 0x0000:
    print(attributes and attributes.PatientID, status.AffectedSOPInstanceUID)
status, reply = assoc.send_n_set(step, ModalityPerformedProcedureStep, uid)
print(status.get("AttributeIdentifierList"), reply)
status, reply = assoc.send_n_action(
    step, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
)
status, printer = assoc.send_n_get(
    [(0x2110, 0x0010), "PrinterStatusInfo", 0x21100030],
    Printer,
    PrinterInstance,
    meta_uid=BasicGrayscalePrintManagementMeta,
)
print(printer.PrinterStatus)
gone = assoc.send_n_delete(BasicFilmSession, uid, meta_uid=BasicGrayscalePrintManagementMeta)
print(hex(gone.Status), gone.problem)
status, _ = assoc.send_n_event_report(step, 1, UnifiedProcedureStepPush, uid, msg_id=3)
status, _ = assoc.send_n_create(None, UnifiedProcedureStepPush, meta_uid=UnifiedProcedureStepPull)
assoc.release()
