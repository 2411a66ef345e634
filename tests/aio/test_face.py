"""What `pynetdicom.aio` offers: associating, operations, serving, handlers of each kind."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, aio, build_context, build_role, evt
from pynetdicom.errors import AssociationFailed, AssociationRejected
from tests.aio.loops import (
    CONTEXTS,
    CT,
    FILE,
    FIND,
    GET,
    HERE,
    MOVE,
    MPPS,
    PENDING,
    VERIFICATION,
    connect,
    identifier,
    run,
)


async def stored(event: Any) -> int:
    await asyncio.sleep(0)
    return 0x0000


def test_what_does_not_come_about_is_raised_with_its_reason(free_port: int) -> None:
    async def test() -> None:
        with pytest.raises(AssociationFailed) as failed:
            async with aio.associate("127.0.0.1", free_port, [VERIFICATION]):
                raise AssertionError
        assert failed.value.ended.kind == "failed"
        ae = AE("SCP")
        ae.require_called_aet = True
        async with aio.serve(HERE, [VERIFICATION], ae=ae) as server:
            with pytest.raises(AssociationRejected) as rejected:
                await connect(server, ae_title="OTHER")
            assert rejected.value.ended.reason == 7

    run(test)


def test_each_operation() -> None:
    async def find(event: Any) -> AsyncIterator[Any]:
        for _ in range(3):
            await asyncio.sleep(0)
            yield PENDING, identifier()

    async def created(event: Any) -> Any:
        return 0x0000, event.attribute_list

    async def test() -> None:
        handlers: list[Any] = [
            (evt.EVT_C_STORE, stored), (evt.EVT_C_FIND, find), (evt.EVT_N_CREATE, created),
        ]  # fmt: skip
        async with aio.serve(HERE, CONTEXTS, handlers) as server:
            async with connect(server) as assoc:
                assert (await assoc.c_echo()).Status == 0
                assert (await assoc.c_store(FILE)).Status == 0
                found = [status.Status async for status, _ in assoc.c_find(identifier(), FIND)]
                assert found == [PENDING] * 3 + [0]
                status, made = await assoc.n_create(identifier(), MPPS, "1.2.3")
                assert (status.Status, made) == (0, identifier())
                results = [status.Status async for _, status in assoc.c_stores([FILE] * 5)]
                assert results == [0] * 5
                assert server.active_associations[0].is_acceptor
            assert assoc.is_released
        assert sum(done.count for done in server.stats.operations.values()) == 9

    run(test)


def test_plain_handlers_run_on_a_thread() -> None:
    where: list[str] = []

    def find(event: Any) -> Iterator[Any]:
        for _ in range(2):
            where.append(threading.current_thread().name)
            yield PENDING, event.identifier

    def store(event: Any) -> int:
        where.append(threading.current_thread().name)
        return 0x0000

    def told(event: Any) -> None:
        where.append(threading.current_thread().name)

    async def test() -> None:
        handlers: list[Any] = [
            (evt.EVT_C_STORE, store), (evt.EVT_C_FIND, find), (evt.EVT_RELEASED, told),
        ]  # fmt: skip
        async with aio.serve(HERE, CONTEXTS, handlers) as server, connect(server) as assoc:
            assert (await assoc.c_store(FILE)).Status == 0
            async for _ in assoc.c_find(identifier(), FIND):
                pass

    run(test)
    assert where == ["pynetdicom-handlers"] * 4


def test_a_get_and_a_move(tmp_path: Path) -> None:
    received: list[str] = []

    async def keep(event: Any) -> int:
        received.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    async def get(event: Any) -> AsyncIterator[Any]:
        yield 2
        for _ in range(2):
            yield PENDING, FILE

    async def test() -> None:
        async with aio.serve(HERE, [CT], [(evt.EVT_C_STORE, keep)]) as target:

            async def move(event: Any) -> AsyncIterator[Any]:
                yield target.server_address
                yield 2
                for _ in range(2):
                    yield PENDING, FILE

            handlers = [(evt.EVT_C_GET, get), (evt.EVT_C_MOVE, move)]
            both = build_context(CT)
            both.scu_role = both.scp_role = True
            contexts = [GET, MOVE, both]
            async with aio.serve(HERE, contexts, handlers) as server:
                options = {
                    "ext_neg": [build_role(CT, scp_role=True)],
                    "evt_handlers": [(evt.EVT_C_STORE, keep)],
                }
                async with connect(server, **options) as assoc:
                    *_, (status, _) = [one async for one in assoc.c_get(identifier(), GET)]
                    assert status.NumberOfCompletedSuboperations == 2
                    moved = assoc.c_move(identifier(), "DEST", MOVE)
                    *_, (status, _) = [one async for one in moved]
                    assert status.NumberOfCompletedSuboperations == 2

    run(test)
    assert len(received) == 4


@pytest.mark.parametrize("is_plain", [False, True])
def test_threads_and_loops_understand_each_other(is_plain: bool) -> None:
    async def test() -> None:
        async with aio.serve(HERE, [VERIFICATION, CT], [(evt.EVT_C_STORE, stored)]) as server:

            def ask() -> Any:
                ae = AE("THREADS")
                ae.add_requested_context(CT)
                with ae.associate("127.0.0.1", server.server_address[1]) as assoc:
                    return assoc.send_c_store(FILE).Status

            assert await asyncio.to_thread(ask) == 0

    run(test)
