"""A small department: worklist, performed procedure steps, storage and storage commitment.

    python examples/department_scp.py 127.0.0.1 11112 --directory archive

Serves ``modalitys_day.py``, until Ctrl-C. What it has to remember is in files in the directory, so
that a request for commitment survives the end of the process, and what is done is not told again.
"""

import argparse
import sys
from datetime import date
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from pynetdicom import AE, StoragePresentationContexts, evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
    Verification,
)
from pynetdicom.workflows import commitment, mpps, worklist
from pynetdicom.workflows.providing import handlers
from pynetdicom.workflows.stores import SQLiteStore


def scheduled(number: int, name: str) -> Dataset:
    """An item of today's worklist."""
    step = Dataset()
    step.Modality = "CT"
    step.ScheduledStationAETitle = "MODALITY"
    step.ScheduledProcedureStepStartDate = date.today().strftime("%Y%m%d")
    step.ScheduledProcedureStepStartTime = f"{8 + number:02}00"
    step.ScheduledProcedureStepDescription = "CT of the head"
    step.ScheduledProcedureStepID = f"SPS{number}"
    item = Dataset()
    item.SpecificCharacterSet = "ISO_IR 192"
    item.PatientName = name
    item.PatientID = f"{4710 + number}"
    item.PatientBirthDate = "19700101"
    item.PatientSex = "O"
    item.AccessionNumber = f"{1000 + number}"
    item.RequestedProcedureID = f"RP{number}"
    item.StudyInstanceUID = generate_uid(entropy_srcs=["a study of the example", str(number)])
    item.ScheduledProcedureStepSequence = [step]
    return item


def main() -> int:
    parser = argparse.ArgumentParser(description="Be the other side of a modality.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path("archive"))
    args = parser.parse_args()
    args.directory.mkdir(exist_ok=True)

    def store(event: evt.CStoreEvent) -> int:
        event.save_as(args.directory / event.file_name, sync=True)  # we will be asked to keep it
        return 0x0000

    def check(instance: Any) -> int:
        """Whether an instance is kept: 0, or why not."""
        path = args.directory / f"{instance.sop_instance}.dcm"
        if not path.is_file():
            return commitment.NO_SUCH_INSTANCE
        kept = dcmread(path, stop_before_pixels=True).SOPClassUID
        return 0 if kept == instance.sop_class else commitment.CLASS_INSTANCE_CONFLICT

    def changed(uid: str, step: Dataset, event_type: int) -> None:
        print(f"step {uid}: {mpps.EVENTS[event_type]}", flush=True)
        scheduler.changed(uid, step, event_type)  # takes it from the worklist when it is completed

    records = SQLiteStore(args.directory / "records.sqlite")
    items = [scheduled(1, "Müller^Jörg"), scheduled(2, "Citizen^Jan")]
    scheduler = worklist.Provider(items, records)
    steps = mpps.Provider(records, changed=changed)

    ae = AE("DEPARTMENT")
    for sop_class in (
        Verification,
        ModalityWorklistInformationFind,
        ModalityPerformedProcedureStep,
        StorageCommitmentPushModel,
    ):
        ae.add_supported_context(sop_class)
    for context in StoragePresentationContexts:
        ae.add_supported_context(context.abstract_syntax)
    keeper = commitment.Provider(ae, check, store=records, retrieve_ae_title="DEPARTMENT")
    try:
        ae.start_server(
            (args.host, args.port),
            evt_handlers=[*handlers(scheduler, steps, keeper), (evt.EVT_C_STORE, store)],
        )
    finally:
        keeper.close()
        records.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
