"""The N-services as SCP."""

from pydicom.dataset import Dataset

from pynetdicom import AE, PrintManagementPresentationContexts, evt
from pynetdicom.sop_class import DisplaySystem, ModalityPerformedProcedureStep

STEPS: dict[str, Dataset] = {}


def handle_create(event: evt.NCreateEvent) -> tuple[int, Dataset | None]:
    uid = event.request.AffectedSOPInstanceUID
    if uid in STEPS:
        return 0x0111, None
    STEPS[uid] = event.attribute_list
    return 0x0000, event.attribute_list


def handle_set(event: evt.NSetEvent) -> tuple[Dataset, None]:
    STEPS[event.request.RequestedSOPInstanceUID].update(event.modification_list)
    status = Dataset()
    status.Status = 0x0000
    return status, None


def handle_get(event: evt.NGetEvent) -> tuple[int, Dataset]:
    ds = Dataset()
    for tag in event.attribute_identifiers:
        print(tag.group, tag.element)
    return 0x0000, ds


def handle_delete(event: evt.NDeleteEvent) -> int:
    return 0x0000 if STEPS.pop(event.request.RequestedSOPInstanceUID, None) else 0x0112


def handle_action(event: evt.NActionEvent) -> tuple[int, Dataset | None]:
    return (0x0000, event.action_information) if event.action_type == 1 else (0x0123, None)


def handle_refused(event: evt.RequestEvent) -> int:
    print(event.context.abstract_syntax.name)
    return 0x0124


ae = AE()
ae.supported_contexts = PrintManagementPresentationContexts
ae.add_supported_context(ModalityPerformedProcedureStep)
ae.add_supported_context(DisplaySystem)
handlers = [
    (evt.EVT_N_CREATE, handle_create),
    (evt.EVT_N_SET, handle_set),
    (evt.EVT_N_GET, handle_get),
    (evt.EVT_N_DELETE, handle_delete),
    (evt.EVT_N_ACTION, handle_action),
]
server = ae.make_server(("127.0.0.1", 0), evt_handlers=handlers, contexts=ae.supported_contexts)
server.bind(evt.EVT_N_ACTION, handle_refused)
server.serve_forever()
