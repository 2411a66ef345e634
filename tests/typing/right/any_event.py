"""Handlers that take events of any kind, in lists that are put together beforehand."""

import sys
from typing import Any

from pynetdicom import AE, evt
from pynetdicom.events import Event, EventHandlerType


def handle_store(event: Event) -> int:
    ds = event.dataset
    ds.file_meta = event.file_meta
    ds.save_as(ds.SOPInstanceUID, enforce_file_format=True)
    return 0x0000


def handle_open(event: evt.Event) -> None:
    msg = "Connected with remote at {}".format(event.address[0])
    print(msg, event.address[1] + 1)


def handle_any(event: evt.Event, prefix: str, *more: Any) -> None:
    print(prefix, event.event.name, event.event.description, event.timestamp)


class Log:
    def __init__(self) -> None:
        self.lines: list[str] = []

    def accepted(self, event: evt.Event) -> None:
        self.lines.append(event.assoc.requestor.ae_title)

    def __call__(self, event: Event) -> None:
        self.lines.append(event.event.name)


log = Log()
handlers = [(evt.EVT_C_STORE, handle_store)]
several = [
    (evt.EVT_C_STORE, handle_store),
    (evt.EVT_CONN_OPEN, handle_open),
    (evt.EVT_ACCEPTED, log.accepted),
]
with_arguments = [
    (evt.EVT_C_STORE, handle_store),
    (evt.EVT_CONN_CLOSE, handle_any, ["closed"]),
    (evt.EVT_RELEASED, handle_any, ["released", 1, 2]),
]
only_arguments = [
    (evt.EVT_CONN_OPEN, handle_any, ["opened"]),
    (evt.EVT_PDU_RECV, handle_any, ["received", sys.stderr]),
]
annotated: list[EventHandlerType] = [
    (evt.EVT_C_STORE, handle_store),
    (evt.EVT_ESTABLISHED, log),
    (evt.EVT_PDU_SENT, handle_any, ["sent"]),
]
annotated.append((evt.EVT_C_ECHO, lambda event: 0x0000))
annotated += [(evt.EVT_ABORTED, print)]

ae = AE()
for contexts in ("1.2.840.10008.1.1", "1.2.840.10008.5.1.4.1.1.2"):
    ae.add_supported_context(contexts)
servers = [
    ae.start_server(("", 11112), block=False, evt_handlers=handlers),
    ae.start_server(("", 11113), block=False, evt_handlers=several),
    ae.start_server(("", 11114), block=False, evt_handlers=with_arguments),
    ae.start_server(("", 11115), block=False, evt_handlers=only_arguments),
    ae.start_server(("", 11116), block=False, evt_handlers=annotated),
    ae.start_server(("", 11117), False, None, annotated),
]
for server in servers:
    if server is not None:
        print(server.server_address, server.get_events(), server.get_handlers(evt.EVT_C_STORE))
assoc = ae.associate("127.0.0.1", 11112, evt_handlers=several)
assoc.bind(evt.EVT_DATA_RECV, lambda event: print(len(event.data)))
assoc.bind(evt.EVT_FSM_TRANSITION, handle_any, ["state"])
assoc.unbind(evt.EVT_FSM_TRANSITION, handle_any)
ae.shutdown()
