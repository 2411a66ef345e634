"""Storage SCP with event handlers: each says what kind of event it takes."""

import logging
from pathlib import Path
from queue import Queue

from pydicom.dataset import Dataset

from pynetdicom import AE, AllStoragePresentationContexts, evt
from pynetdicom.events import CEchoEvent, CStoreEvent
from pynetdicom.sop_class import SecondaryCaptureImageStorage, Verification

LOGGER = logging.getLogger("pacs")


def handle_store(event: CStoreEvent, directory: Path) -> int:
    if event.context.abstract_syntax == SecondaryCaptureImageStorage:
        return 0xA700
    try:
        event.save_as(directory / event.file_name, overwrite=False)
    except FileExistsError:
        return 0x0111
    ds = event.dataset
    LOGGER.info("%s from %s", ds.SOPInstanceUID, event.assoc.requestor.ae_title)
    return 0x0000


def handle_store_as_status(event: evt.CStoreEvent) -> Dataset:
    ds = event.dataset
    ds.file_meta = event.file_meta
    ds.save_as(event.file_name, enforce_file_format=True)
    status = Dataset()
    status.Status = 0xB000
    status.ErrorComment = f"kept {len(event.encoded_dataset())} bytes"
    return status


def queue_it(event: evt.Event, queue: "Queue[evt.Event]") -> int:
    queue.put(event)
    return 0x0000


def handle_echo(event: CEchoEvent) -> int:
    print(event.timestamp.isoformat(), event.message_id, event.assoc.remote["address"])
    return 0


ae = AE("STORESCP")
ae.supported_contexts = AllStoragePresentationContexts
ae.add_supported_context(Verification)
ae.maximum_pdu_size = 128 * 1024
ae.require_called_aet = True
ae.require_calling_aet = ["MY_SCU", b"ANOTHER"]

server = ae.start_server(
    ("", 11112),
    block=False,
    evt_handlers=[(evt.EVT_C_STORE, handle_store, [Path("in")]), (evt.EVT_C_ECHO, handle_echo)],
    spool_dir="in",
)
host, port = server.server_address[:2]
print(f"listening on {host}:{port}, {len(server.active_associations)} associations")
server.bind(evt.EVT_C_STORE, handle_store_as_status)
server.unbind(evt.EVT_C_STORE, handle_store_as_status)
queue: "Queue[evt.Event]" = Queue()
server.bind(evt.EVT_C_STORE, queue_it, [queue])
print(queue.get().dataset.PatientName, server.drain(10))
server.shutdown()
ae.start_server(("", 11112), evt_handlers=[(evt.EVT_C_STORE, handle_store_as_status)])
