"""What the tests of `pynetdicom.aio` have in common."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable, Coroutine
from typing import Any

from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pynetdicom import aio

VERIFICATION = "1.2.840.10008.1.1"
CT = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
GET = "1.2.840.10008.5.1.4.1.2.2.3"
MOVE = "1.2.840.10008.5.1.4.1.2.2.2"
MPPS = "1.2.840.10008.3.1.2.3.3"
CONTEXTS = [VERIFICATION, CT, FIND, GET, MOVE, MPPS]
FILE = get_testdata_file("CT_small.dcm")
HERE = ("127.0.0.1", 0)
PENDING = 0xFF00

Test = Callable[[], Coroutine[Any, Any, None]]


def run(test: Test) -> None:
    """Run a test in a loop of its own; nothing of it may be left there."""

    async def all_of_it() -> None:
        async with asyncio.timeout(50):
            await test()
            while len(asyncio.all_tasks()) > 1:  # an association that was aborted
                await asyncio.sleep(0.01)

    asyncio.run(all_of_it())
    names = [thread.name for thread in threading.enumerate()]
    assert not [name for name in names if "requestor" in name or "acceptor" in name]


def identifier() -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel, ds.PatientID = "STUDY", "1"
    return ds


def connect(server: aio.Server, **options: Any) -> aio.Associating:
    options.setdefault("contexts", CONTEXTS)
    return aio.associate("127.0.0.1", server.server_address[1], **options)
