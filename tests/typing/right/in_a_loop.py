"""Asking and serving with asyncio, with handlers of each kind."""

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

from pydicom.dataset import Dataset

from pynetdicom import AE, aio, evt
from pynetdicom.sop_class import CTImageStorage, Verification
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND


async def store(event: evt.CStoreEvent, directory: str) -> int:
    await aio.association_of(event).c_echo()
    await asyncio.to_thread(event.save_as, os.path.join(directory, event.file_name))
    return 0x0000


async def find(event: evt.CFindEvent) -> AsyncIterator[tuple[int, Dataset | None]]:
    yield 0xFF00, event.identifier


def find_on_a_thread(event: evt.CFindEvent) -> Iterator[tuple[int, Dataset | None]]:
    yield 0xFF00, event.identifier


async def get(event: evt.CGetEvent, number: int) -> AsyncIterator[int | tuple[int, Path]]:
    yield number
    yield 0xFF00, Path("ct.dcm")


async def known(event: evt.UserIDEvent) -> tuple[bool, bytes | None]:
    return event.primary_field == b"me", None


async def created(event: evt.NCreateEvent) -> tuple[int, Dataset | None]:
    return 0x0000, event.attribute_list


async def told(event: evt.Event) -> None:
    print(event.assoc.remote["ae_title"])


async def ask(port: int, paths: list[Path]) -> list[str]:
    wanted = Dataset()
    found: list[str] = []
    async with aio.associate("127.0.0.1", port, [FIND, CTImageStorage], ae="ME") as assoc:
        async for status, match in assoc.c_find(wanted, FIND):
            if status.Status == 0xFF00:
                found.append(match.StudyInstanceUID)
        async for path, status in assoc.c_stores(paths):
            if status.problem is not None:
                print(path.name, status.problem)
        status, made = await assoc.n_create(wanted, "1.2.840.10008.3.1.2.3.3")
        print(status.Status, made)
    assert assoc.ended is not None
    return found


async def main() -> None:
    handlers = [(evt.EVT_C_FIND, find), (evt.EVT_N_CREATE, created), (evt.EVT_RELEASED, told)]
    ae = AE("SERVER")
    async with aio.serve(("127.0.0.1", 0), [Verification, FIND], handlers, ae=ae) as server:
        server.bind(evt.EVT_C_FIND, find_on_a_thread)
        server.bind(evt.EVT_C_FIND, find)
        server.bind(evt.EVT_C_FIND, lambda event: [(0xFF00, event.identifier)])
        server.bind(evt.EVT_C_GET, get, [1])
        server.bind(evt.EVT_C_STORE, store, ["."])
        server.bind(evt.EVT_N_CREATE, created)
        server.bind(evt.EVT_RELEASED, told)
        server.bind(evt.EVT_C_ECHO, lambda event: 0x0000)
        server.bind(evt.EVT_USER_ID, known)
        print(await ask(server.server_address[1], []))
        left: int = await server.drain()
        print(left)
    serving = aio.serve(
        ("127.0.0.1", 0), [CTImageStorage], [(evt.EVT_C_STORE, store, ["."])], ae_title="STORE"
    )
    other = await serving
    await other.shutdown()


asyncio.run(main())
