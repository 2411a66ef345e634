"""Notification handlers of every kind."""

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification


def opened(event: evt.ConnectionEvent) -> None:
    host, port = event.address
    print(host.upper(), port + 1)


def primitive(event: evt.ACSEEvent) -> None:
    print(type(event.primitive).__name__)


def message(event: evt.DIMSEEvent) -> None:
    print(event.message)


def pdu(event: evt.PDUEvent, direction: str) -> None:
    print(direction, event.pdu)


def data(event: evt.DataEvent) -> None:
    print(event.data.hex(" "), event.assoc.is_acceptor)


def moved(event: evt.TransitionEvent) -> None:
    print(f"{event.current_state} {event.fsm_event} {event.action} {event.next_state}")


ae = AE()
ae.add_requested_context(Verification)
assoc = ae.associate(
    "127.0.0.1",
    11112,
    evt_handlers=[
        (evt.EVT_CONN_OPEN, opened),
        (evt.EVT_CONN_CLOSE, opened),
        (evt.EVT_ACSE_RECV, primitive),
        (evt.EVT_ACSE_SENT, primitive),
        (evt.EVT_DIMSE_RECV, message),
        (evt.EVT_DIMSE_SENT, message),
        (evt.EVT_PDU_RECV, pdu, ["received"]),
        (evt.EVT_PDU_SENT, pdu, ("sent",)),
        (evt.EVT_DATA_RECV, data),
        (evt.EVT_DATA_SENT, data),
        (evt.EVT_FSM_TRANSITION, moved),
        (evt.EVT_ESTABLISHED, lambda event: print(event.assoc.requestor.ae_title)),
    ],
)
if evt.EVT_C_STORE.is_intervention:
    print(evt.EVT_C_STORE.name)
events: list[evt.EventType] = assoc.get_events()
kinds: dict[evt.EventType, str] = {evt.EVT_C_STORE: "storage", evt.EVT_ABORTED: "gone"}
