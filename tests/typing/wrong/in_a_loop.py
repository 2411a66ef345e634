"""Handlers in an event loop of the wrong shape: each marked line must be complained of."""

from collections.abc import AsyncIterator

from pydicom.dataset import Dataset

from pynetdicom import aio, evt


async def find(event: evt.CFindEvent) -> AsyncIterator[tuple[int, Dataset | None]]:
    yield 0xFF00, event.identifier


async def gives_text(event: evt.CStoreEvent) -> str:
    return "success"


async def yields_text(event: evt.CFindEvent) -> AsyncIterator[str]:
    yield "match"


async def main(assoc: aio.Association) -> None:
    aio.serve(("", 0), [], [(evt.EVT_C_STORE, gives_text)])  # wrong
    aio.serve(("", 0), [], [(evt.EVT_C_STORE, find)])  # wrong
    aio.serve(("", 0), [], [(evt.EVT_C_FIND, yields_text)])  # wrong
    aio.associate("", 1, evt_handlers=[(evt.EVT_C_STORE, 17)])  # wrong
    assoc.bind(evt.EVT_C_STORE, gives_text)  # wrong
    assoc.bind(evt.EVT_C_STORE, find)  # wrong
    assoc.bind(evt.EVT_C_FIND, yields_text)  # wrong
    assoc.bind(evt.EVT_C_FIND, yields_text, ["more"])  # wrong
    assoc.bind(evt.EVT_C_GET, find)  # wrong
    assoc.bind(evt.EVT_C_ECHO, find)  # wrong
    assoc.bind(evt.EVT_RELEASED, 17)  # wrong
    assoc.send_c_echo()  # wrong
    for _ in assoc.c_find(Dataset(), "S"):  # wrong
        pass
