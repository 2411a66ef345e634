"""Extended negotiation on both sides, and rejecting."""

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
)
from pynetdicom.sop_class import MRImageStorage, PatientRootQueryRetrieveInformationModelFind

extended = SOPClassExtendedNegotiation()
extended.sop_class_uid = PatientRootQueryRetrieveInformationModelFind
extended.service_class_application_information = b"\x01\x01"
common = SOPClassCommonExtendedNegotiation()
common.sop_class_uid = MRImageStorage
common.service_class_uid = "1.2.840.10008.4.2"
common.related_general_sop_class_identification = ["1.2.840.10008.5.1.4.1.1.88.22"]
window = AsynchronousOperationsWindowNegotiation()
window.maximum_number_operations_invoked = 5

Items = dict[str, SOPClassCommonExtendedNegotiation]


def handle_user(event: evt.UserIDEvent) -> tuple[bool, bytes | None]:
    return event.user_id_type == 2 and event.primary_field == b"alice", None


def handle_extended(event: evt.SOPExtendedEvent) -> dict[str, bytes]:
    return {uid: information[:1] for uid, information in event.app_info.items()}


def handle_common(event: evt.SOPCommonEvent) -> Items:
    return {uid: item for uid, item in event.items.items() if item.service_class_uid}


def handle_window(event: evt.AsyncOpsEvent) -> tuple[int, int]:
    return min(event.nr_invoked, 4), event.nr_performed


def handle_requested(event: evt.AssociationEvent) -> None:
    if event.assoc.requestor.ae_title == "STRANGER":
        event.assoc.acse.send_reject(1, 1, 3)
    if not event.assoc.requestor.user_identity:
        event.assoc.reject()


def handle_accepted(event: evt.Event) -> None:
    print([cx.abstract_syntax.name for cx in event.assoc.accepted_contexts])
    event.assoc.abort(block=False)


ae = AE()
ae.window = (4, 4)
ae.require_user_identity = True
ae.requested_contexts = [build_context(MRImageStorage)]
ae.requested_contexts[0].scp_role = True
ae.add_supported_context(MRImageStorage, scu_role=True, scp_role=True)
server = ae.start_server(
    ("::", 11112, 0, 0),
    block=False,
    evt_handlers=[
        (evt.EVT_USER_ID, handle_user),
        (evt.EVT_SOP_EXTENDED, handle_extended),
        (evt.EVT_SOP_COMMON, handle_common),
        (evt.EVT_ASYNC_OPS, handle_window),
        (evt.EVT_REQUESTED, handle_requested),
        (evt.EVT_ACCEPTED, handle_accepted),
    ],
)
assoc = ae.associate(
    ("::1", 0, 0),
    11112,
    ext_neg=[extended, common, window, build_role(MRImageStorage, True, True)],
    bind_address=("::1", 0),
)
for uid, selected in assoc.acceptor.role_selection.items():
    print(uid, selected.scu_role)
print(assoc.requestor.sop_class_extended.get(MRImageStorage, b"").hex(), assoc.rejected_contexts)
