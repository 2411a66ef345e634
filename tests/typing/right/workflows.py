"""The workflows: a worklist, performed procedure steps, storage commitment, UPS; both sides."""

from pathlib import Path

from pydicom import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.workflows import availability, commitment, mpps, ups, worklist
from pynetdicom.workflows.providing import Refused, handlers
from pynetdicom.workflows.stores import MemoryStore


def work(assoc: Association, directory: Path) -> None:
    for item in worklist.find(assoc, Dataset()):
        print(item.PatientName, worklist.lacking(item))
        attributes = worklist.performed(item)
        attributes.PerformedProcedureStepID = "PPS1"
        try:
            step = mpps.begin(assoc, attributes, generate_uid())
            step.update(attributes)
            step.complete()
        except Refused as error:
            print(error)
    paths = sorted(directory.glob("*.dcm"))
    stored = [path for path, status in assoc.send_c_stores(paths) if status.get("Status") == 0]
    result = commitment.commit(assoc, stored, timeout=60)
    for instance in result.committed:
        print(instance.sop_class, instance.sop_instance)
    print(result.is_complete)


def perform(assoc: Association) -> None:
    for step in ups.find(assoc, Dataset()):
        performance = ups.claim(assoc, step.SOPInstanceUID)
        performance.progress(50, "half of it")
        performance.complete()


def store(event: evt.CStoreEvent, directory: Path) -> int:
    event.save_as(directory / event.file_name, sync=True)
    return 0x0000


def changed(uid: str, step: Dataset, event_type: int) -> None:
    print(uid, step.PerformedProcedureStepStatus, mpps.EVENTS[event_type])


def main() -> None:
    records = MemoryStore()
    ae = AE("DEPARTMENT")
    steps = mpps.Provider(records, changed=changed)
    scheduler = worklist.Provider([Dataset()], records)
    keeper = commitment.Provider(ae, lambda instance: 0, store=records)
    server = ae.start_server(
        ("", 11112),
        block=False,
        evt_handlers=[*handlers(steps, scheduler, keeper), (evt.EVT_C_STORE, store, [Path()])],
    )
    told = ae.start_server(
        ("", 11113), block=False, evt_handlers=mpps.listening(lambda uid, kind: print(uid, kind))
    )
    assoc = ae.associate("127.0.0.1", 11112)
    work(assoc, Path("images"))
    perform(assoc)
    notification = availability.notification_of(["ct.dcm"], "ONLINE", "DEPARTMENT")
    availability.notify(assoc, notification)
    assoc.release()
    for each in (server, told):
        each.shutdown()


main()
