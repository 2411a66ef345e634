"""Query/Retrieve SCP with event handlers: generators, lists, refusals, statuses as data sets."""

from collections.abc import Generator, Iterable, Iterator
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread

from pynetdicom import AE, QueryRetrievePresentationContexts, StoragePresentationContexts, evt
from pynetdicom.dsutils import EncodedDataSet

INSTANCES = [dcmread(path) for path in Path("images").glob("*.dcm")]
PEERS: dict[str, tuple[str, int]] = {"STORESCP": ("127.0.0.1", 11113)}


def handle_find(event: evt.CFindEvent) -> Iterator[tuple[int, Dataset | None]]:
    keys = event.identifier
    if "QueryRetrieveLevel" not in keys:
        yield 0xC000, None
        return
    for instance in INSTANCES:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        match = Dataset()
        match.StudyInstanceUID = instance.StudyInstanceUID
        yield 0xFF00, match


def handle_find_as_list(event: evt.Event) -> list[tuple[int, Dataset]]:
    return [(0xFF00, ds) for ds in INSTANCES if ds.PatientID == event.identifier.PatientID]


def handle_find_untold(event: evt.Event) -> Generator[Any, None, None]:
    status = Dataset()
    status.Status = 0xFF01
    yield status, event.identifier


def handle_get(event: evt.CGetEvent) -> Iterator[int | tuple[int, Dataset | None]]:
    yield len(INSTANCES)
    for instance in INSTANCES:
        yield 0xFF00, instance


def paths(event: evt.CGetEvent) -> Iterator[int | tuple[int, Path]]:
    yield 1
    yield 0xFF00, Path("ct.dcm")


def handle_move(
    event: evt.CMoveEvent,
) -> Iterator[tuple[str, int] | tuple[None, None] | int | tuple[int, Dataset]]:
    peer = PEERS.get(event.move_destination)
    if peer is None:
        yield None, None
        return
    yield peer
    yield 1
    yield 0xFF00, INSTANCES[0]


def handle_move_with_more(event: evt.Event) -> Iterable[Any]:
    yield "127.0.0.1", 11113, {"ae_title": event.move_destination, "tls": "bcp195"}
    yield from paths_of(event.received)


def paths_of(received: EncodedDataSet) -> Iterator[int | tuple[int, str]]:
    yield 1
    yield 0xFF00, received.transfer_syntax


def get_ahead(event: evt.CGetEvent) -> Iterable[int | tuple[int, Path]]:
    return evt.ahead(paths(event))


ae = AE()
ae.supported_contexts = QueryRetrievePresentationContexts
for cx in StoragePresentationContexts:
    ae.add_supported_context(cx.abstract_syntax, cx.transfer_syntax, scu_role=True, scp_role=True)
with ae:
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            (evt.EVT_C_FIND, handle_find),
            (evt.EVT_C_GET, handle_get),
            (evt.EVT_C_MOVE, handle_move),
        ],
    )
    server.bind(evt.EVT_C_FIND, handle_find_as_list)
    server.bind(evt.EVT_C_FIND, handle_find_untold)
    server.bind(evt.EVT_C_GET, paths)
    server.bind(evt.EVT_C_GET, get_ahead)
    server.bind(evt.EVT_C_MOVE, handle_move_with_more)
