"""The same work through threads and through asyncio; ours only.

``faces.py FACE scp OUT`` serves C-ECHO, C-STORE and C-FIND until its standard input ends;
``faces.py FACE WORK PORT COUNT ASSOCIATIONS PATH…`` asks: each association does WORK, which is
``echo``, ``store`` or ``find``, COUNT times, all of them at once. ``faces.py asyncio cancelled
COUNT`` cancels so many tasks.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

import pynetdicom
from pynetdicom import AE, evt

VERIFICATION = "1.2.840.10008.1.1"
CT_IMAGE_STORAGE = "1.2.840.10008.5.1.4.1.1.2"
FIND = "1.2.840.10008.5.1.4.1.2.2.1"
SYNTAXES = ["1.2.840.10008.1.2.1", "1.2.840.10008.1.2"]
HERE = ("127.0.0.1", 0)
PENDING = 0xFF00
A_ABORT = 7
MOST_MATCHES = 1000


def entity() -> AE:
    ae = AE(ae_title="BENCH")
    ae.maximum_associations = 10_000
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 120
    for uid in (VERIFICATION, CT_IMAGE_STORAGE, FIND):
        ae.add_supported_context(uid, SYNTAXES)
        ae.add_requested_context(uid, SYNTAXES)
    return ae


def identifier(number: int = 0) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = f"1.2.3.{number}"
    ds.PatientName = "Doe^Jane"
    ds.StudyDate = "20260101"
    return ds


MATCHES = [identifier(number) for number in range(MOST_MATCHES)]


# ------------------------------------------------------------------------------------- as an SCP


def save(event: Any, out: str) -> int:
    event.save_as(os.path.join(out, event.request.AffectedSOPInstanceUID))
    return 0x0000


def find(event: Any) -> Iterator[tuple[int, Dataset | None]]:
    for match in MATCHES[: int(event.identifier.InstanceNumber)]:
        yield PENDING, match


async def find_in_loop(event: Any) -> AsyncIterator[tuple[int, Dataset | None]]:
    for match in find(event):
        yield match


def tell(port: int) -> None:
    print(json.dumps({"port": port, "version": pynetdicom.__version__}), flush=True)


def serve(out: str) -> None:
    ae = entity()
    handlers = [(evt.EVT_C_STORE, save, [out]), (evt.EVT_C_FIND, find)]
    server: Any = ae.start_server(HERE, block=False, evt_handlers=handlers, spool_dir=out)
    tell(server.server_address[1])
    sys.stdin.read()
    ae.shutdown()


async def serve_in_loop(out: str) -> None:
    from pynetdicom import aio

    handlers: list[Any] = [(evt.EVT_C_STORE, save, [out]), (evt.EVT_C_FIND, find_in_loop)]
    async with aio.serve(HERE, ae=entity(), evt_handlers=handlers, spool_dir=out) as server:
        tell(server.server_address[1])
        await asyncio.to_thread(sys.stdin.read)


# ------------------------------------------------------------------------------------- as an SCU


def query(count: int) -> Dataset:
    keys = identifier()
    keys.InstanceNumber = str(count)
    return keys


def work(assoc: Any, what: str, count: int, paths: list[str]) -> None:
    if what == "find":
        found = sum(status.Status == PENDING for status, _ in assoc.send_c_find(query(count), FIND))
        assert found == count
    elif what == "store":
        for path in paths:
            assert assoc.send_c_store(path).Status == 0x0000
    else:
        for _ in range(count):
            assert assoc.send_c_echo().Status == 0x0000


async def work_in_loop(assoc: Any, what: str, count: int, paths: list[str]) -> None:
    if what == "find":
        found = 0
        async for status, _ in assoc.c_find(query(count), FIND):
            found += status.Status == PENDING
        assert found == count
    elif what == "store":
        for path in paths:
            assert (await assoc.c_store(path)).Status == 0x0000
    else:
        for _ in range(count):
            assert (await assoc.c_echo()).Status == 0x0000


def ask(what: str, port: int, count: int, associations: int, paths: list[str]) -> float:
    ae = entity()
    threading.stack_size(256 * 1024)
    opened = [ae.associate("127.0.0.1", port) for _ in range(associations)]
    with ThreadPoolExecutor(associations) as pool:
        list(pool.map(lambda assoc: work(assoc, "echo", 1, []), opened))
        start = time.perf_counter()
        list(pool.map(lambda assoc: work(assoc, what, count, paths), opened))
        seconds = time.perf_counter() - start
        list(pool.map(lambda assoc: assoc.release(), opened))
    return seconds


async def ask_in_loop(
    what: str, port: int, count: int, associations: int, paths: list[str]
) -> float:
    from pynetdicom import aio

    ae = entity()
    opened = [await aio.associate("127.0.0.1", port, ae=ae) for _ in range(associations)]
    await asyncio.gather(*(work_in_loop(assoc, "echo", 1, []) for assoc in opened))
    start = time.perf_counter()
    await asyncio.gather(*(work_in_loop(assoc, what, count, paths) for assoc in opened))
    seconds = time.perf_counter() - start
    await asyncio.gather(*(assoc.release() for assoc in opened))
    return seconds


async def cancelled(count: int) -> list[float]:
    """Give the seconds from a task's cancelling until the peer knows, of C-FINDs and of stores."""
    from pynetdicom import aio

    begun, over = asyncio.Event(), asyncio.Event()

    async def endless(event: Any) -> AsyncIterator[tuple[int, Dataset | None]]:
        begun.set()
        try:
            while True:
                yield PENDING, MATCHES[0]
                await asyncio.sleep(0.001)
        finally:
            over.set()

    async def holding(event: Any) -> int:
        begun.set()
        await over.wait()
        return 0x0000

    async def received(event: Any) -> None:
        if event.pdu.pdu_type == A_ABORT:
            over.set()

    async def ask_all(assoc: Any) -> None:
        async for _ in assoc.c_find(identifier(), FIND):
            pass

    image = identifier()
    image.file_meta = FileMetaDataset()
    image.file_meta.TransferSyntaxUID = UID(SYNTAXES[0])
    image.SOPClassUID, image.SOPInstanceUID = CT_IMAGE_STORAGE, "1.2.3"
    handlers: list[Any] = [
        (evt.EVT_C_FIND, endless),
        (evt.EVT_C_STORE, holding),
        (evt.EVT_PDU_RECV, received),
    ]
    taken = []
    async with aio.serve(HERE, ae=entity(), evt_handlers=handlers) as server:
        port, ae, assoc = server.server_address[1], entity(), None
        for number in range(count):
            if assoc is None or not assoc.is_established:
                assoc = await aio.associate("127.0.0.1", port, ae=ae)
            begun.clear()
            over.clear()
            work = assoc.c_store(image) if number % 2 else ask_all(assoc)
            task = asyncio.ensure_future(work)
            await begun.wait()
            start = time.perf_counter()
            task.cancel()
            await over.wait()
            taken.append(time.perf_counter() - start)
            await asyncio.wait([task])
    return taken


def main() -> None:
    face, what, *rest = sys.argv[1:]
    if what == "scp":
        if face == "asyncio":
            asyncio.run(serve_in_loop(rest[0]))
        else:
            serve(rest[0])
        return
    if what == "cancelled":
        logging.disable()  # of each that is aborted there is a line
        taken = asyncio.run(cancelled(int(rest[0])))
        print(json.dumps({"taken": taken, "version": pynetdicom.__version__}))
        return
    port, count, associations = map(int, rest[:3])
    paths = rest[3:]
    if face == "asyncio":
        seconds = asyncio.run(ask_in_loop(what, port, count, associations, paths))
    else:
        seconds = ask(what, port, count, associations, paths)
    print(json.dumps({"seconds": seconds, "version": pynetdicom.__version__}))


if __name__ == "__main__":
    main()
