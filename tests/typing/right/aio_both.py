"""Over asyncio: as SCU and as SCP, with coroutines and plain functions as handlers."""

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path

from pydicom import Dataset

from pynetdicom import AE, aio, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    Verification,
)


def store(event: evt.CStoreEvent) -> int:
    event.save_as(event.file_name)
    return 0x0000


async def echo(event: evt.CEchoEvent) -> int:
    await asyncio.sleep(0)
    print(event.assoc.requestor.ae_title)
    return 0x0000


async def find(event: evt.CFindEvent) -> AsyncIterator[tuple[int, Dataset | None]]:
    yield 0xFF00, event.identifier


async def any_store(event: evt.Event) -> int:
    return 0x0000 if event.dataset.PatientID else 0xA900


async def ask(keys: Dataset) -> None:
    ae = AE("MY_SCU")
    contexts = [Verification, CTImageStorage, StudyRootQueryRetrieveInformationModelFind]
    async with aio.associate("127.0.0.1", 11112, contexts, ae=ae) as assoc:
        status = await assoc.c_echo()
        print(status.Status, status.problem, status.message_id)
        stored = await assoc.c_store("ct.dcm")
        print(f"0x{stored.Status:04X}")
        async for status, match in assoc.c_find(keys, StudyRootQueryRetrieveInformationModelFind):
            if status.Status in (0xFF00, 0xFF01):
                print(match.PatientName)
        async for path, status in assoc.c_stores([Path("a.dcm"), Path("b.dcm")]):
            print(path.name, status.problem)
    handlers = [(evt.EVT_C_STORE, any_store)]
    roles = [build_role(CTImageStorage, scp_role=True)]
    assoc = await aio.associate(
        "127.0.0.1",
        11112,
        [CTImageStorage, StudyRootQueryRetrieveInformationModelGet],
        ext_neg=roles,
        evt_handlers=handlers,
    )
    async for status, _ in assoc.c_get(keys, StudyRootQueryRetrieveInformationModelGet):
        print(status.Status)
    await assoc.release()


async def main() -> None:
    async with aio.serve(
        ("127.0.0.1", 11112),
        [Verification, CTImageStorage, StudyRootQueryRetrieveInformationModelFind],
        evt_handlers=[
            (evt.EVT_C_ECHO, echo),
            (evt.EVT_C_STORE, store),
            (evt.EVT_C_FIND, find),
        ],
    ) as server:
        print(server.server_address[1])
        await ask(Dataset())


asyncio.run(main())
