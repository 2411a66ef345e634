"""A thousand C-FINDs at once in one loop, which has no thread for them."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE, aio, evt
from tests.peers import DEADLINE

FIND = "1.2.840.10008.5.1.4.1.2.2.1"
ASSOCIATIONS, WINDOW, MATCHES = 100, 10, 3
QUERIES = ASSOCIATIONS * WINDOW


def keys(number: int) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.PatientID = "STUDY", str(number)
    return ds


async def query(assoc: aio.Association, number: int) -> None:
    found = [(status.Status, ds) async for status, ds in assoc.c_find(keys(number), FIND)]
    assert found == [(0xFF00, keys(number))] * MATCHES + [(0x0000, None)]


def test_a_thousand_queries_at_once() -> None:
    threads = set(threading.enumerate())
    begun: list[str] = []

    async def test() -> None:
        all_begun = asyncio.Event()

        async def find(event: Any) -> AsyncIterator[Any]:
            begun.append(str(event.identifier.PatientID))
            if len(begun) == QUERIES:
                all_begun.set()
            await all_begun.wait()
            for _ in range(MATCHES):
                yield 0xFF00, event.identifier

        ae = AE("SCP")
        ae.window = (WINDOW, WINDOW)
        ae.maximum_associations = ASSOCIATIONS
        ae.dimse_timeout = ae.network_timeout = ae.acse_timeout = DEADLINE
        options: dict[str, Any] = {"ae": ae, "contexts": [FIND]}
        handlers = [(evt.EVT_C_FIND, find)]
        async with aio.serve(("127.0.0.1", 0), evt_handlers=handlers, **options) as server:
            port = server.server_address[1]
            opened = [
                await aio.associate("127.0.0.1", port, window=(WINDOW, WINDOW), **options)
                for _ in range(ASSOCIATIONS)
            ]
            async with asyncio.TaskGroup() as group:
                for number in range(QUERIES):
                    group.create_task(query(opened[number % ASSOCIATIONS], number))
                group.create_task(all_begun.wait())
            names = {thread.name for thread in set(threading.enumerate()) - threads}
            assert names <= {"pynetdicom-files"}
            for assoc in opened:
                await assoc.release()

    asyncio.run(test())
    assert sorted(begun, key=int) == [str(number) for number in range(QUERIES)]
