"""What goes on and on lets the event loop have its turns."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, aio, evt
from pynetdicom.aio import runtime
from tests.aio.loops import CONTEXTS, FIND, HERE, PENDING, connect, identifier, run

RESPONSES = 300  # which the kernel has room for


class Turns:
    """Counts the turns of the running loop."""

    def __init__(self) -> None:
        self.count = 0
        self._next()

    def _next(self) -> None:
        self.count += 1
        self._handle = asyncio.get_running_loop().call_soon(self._next)

    def stop(self) -> None:
        self._handle.cancel()


def spent(taken: list[int]) -> int:
    """The most that was done in one turn."""
    return max(taken.count(turn) for turn in set(taken))


@pytest.mark.parametrize("are_many", [False, True])
def test_a_handler_that_never_awaits(monkeypatch: pytest.MonkeyPatch, are_many: bool) -> None:
    monkeypatch.setattr(runtime, "_STRETCH", 0.0)
    taken: list[list[int]] = []

    async def find(event: Any) -> AsyncIterator[tuple[int, Dataset]]:
        mine: list[int] = []
        taken.append(mine)
        for _ in range(RESPONSES):
            mine.append(turns.count)
            yield PENDING, identifier()

    async def ask(server: aio.Server) -> int:
        async with connect(server, contexts=[FIND]) as assoc:
            return len([one async for one in assoc.c_find(identifier(), FIND)])

    async def test() -> None:
        nonlocal turns
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, find)]) as server:
            turns = Turns()
            count = 3 if are_many else 1
            answered = await asyncio.gather(*(ask(server) for _ in range(count)))
            assert answered == [RESPONSES + 1] * count
            turns.stop()
        assert all(spent(mine) <= 2 for mine in taken)

    turns: Turns
    run(test)


def test_a_cancel_is_read_while_a_handler_never_awaits() -> None:
    """It goes on until it is told, and the peer reads as fast as it sends."""

    async def find(event: Any) -> AsyncIterator[tuple[int, Dataset]]:
        while not event.is_cancelled:
            yield PENDING, identifier()
        yield 0xFE00, Dataset()

    def ask(port: int) -> list[int]:
        ae = AE("ASKS")
        ae.add_requested_context(FIND)
        assoc = ae.associate("127.0.0.1", port)
        statuses = []
        for status, _ in assoc.send_c_find(identifier(), FIND, msg_id=7):
            if not statuses:
                assoc.send_c_cancel(7, query_model=FIND)
            statuses.append(status.Status)
        assoc.release()
        return statuses

    async def test() -> None:
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, find)]) as server:
            statuses = await asyncio.to_thread(ask, server.server_address[1])
            assert statuses[-1] == 0xFE00

    run(test)
