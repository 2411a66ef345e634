"""What becomes of an operation whose task is cancelled, or whose iterator is left."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any

import pytest

from pynetdicom import AE, aio, evt
from tests.aio.loops import CONTEXTS, FILE, FIND, HERE, PENDING, connect, identifier, run


class Matches:
    """A handler of C-FINDs with no end; notes how each of them came to its end."""

    def __init__(self) -> None:
        self.ends: asyncio.Queue[bool] = asyncio.Queue()
        self.asked = asyncio.Event()

    async def find(self, event: Any) -> AsyncIterator[Any]:
        self.asked.set()
        try:
            while True:
                yield PENDING, identifier()
                await asyncio.sleep(0.001)
        finally:
            self.ends.put_nowait(event.is_cancelled)


class Blocked:
    """A handler that does not return before it is told to."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()
        self.goes_on = asyncio.Event()

    async def __call__(self, event: Any) -> int:
        self.asked.set()
        await self.goes_on.wait()
        return 0x0000


async def all_of(responses: aio.Responses) -> int:
    return len([one async for one in responses])


async def divided(responses: aio.Responses) -> None:
    async for _ in responses:
        1 / 0  # which raises


@pytest.fixture
def deaf() -> Iterator[tuple[str, int]]:
    """An address where connections are neither accepted nor refused."""
    with socket.socket() as sock:
        sock.bind(HERE)
        sock.listen(0)
        waiting = [socket.socket() for _ in range(4)]  # its backlog
        for one in waiting:
            one.setblocking(False)
            one.connect_ex(sock.getsockname())
        yield sock.getsockname()
        for one in waiting:
            one.close()


@pytest.mark.parametrize("how", ["cancel", "break", "close", "timeout", "raise"])
def test_a_find_that_is_left_is_cancelled_at_the_peer(how: str) -> None:
    async def leave(assoc: aio.Association, matches: Matches) -> None:
        responses = assoc.c_find(identifier(), FIND)
        match how:
            case "cancel":
                task = asyncio.create_task(all_of(responses))
                await matches.asked.wait()
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
            case "break":
                async for _ in responses:
                    break
                del responses
            case "close":
                async with responses:
                    await anext(responses)
                with pytest.raises(StopAsyncIteration):
                    await anext(responses)
            case "timeout":
                with pytest.raises(TimeoutError):
                    async with asyncio.timeout(0.05):
                        await all_of(responses)
            case _:
                with pytest.raises(ZeroDivisionError):
                    await divided(responses)
                del responses

    async def test() -> None:
        matches = Matches()
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, matches.find)]) as server:
            async with connect(server) as assoc:
                await leave(assoc, matches)
                assert await matches.ends.get() is True
                assert (await assoc.c_echo()).Status == 0
            assert assoc.is_released

    run(test)


def test_a_store_that_is_left_aborts_the_association() -> None:
    async def test() -> None:
        blocked = Blocked()
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, blocked)]) as server:
            assoc = await connect(server)
            task = asyncio.create_task(assoc.c_store(FILE))
            await blocked.asked.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert assoc.ended is not None
            assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
            blocked.goes_on.set()

    run(test)


def test_what_waits_for_its_turn_leaves_the_line() -> None:
    async def test() -> None:
        blocked = Blocked()
        handlers = [(evt.EVT_C_STORE, blocked)]
        async with aio.serve(HERE, CONTEXTS, handlers) as server, connect(server) as assoc:
            first = asyncio.create_task(assoc.c_store(FILE))
            await blocked.asked.wait()
            second = asyncio.create_task(assoc.c_echo())
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert assoc.is_established
            blocked.goes_on.set()
            assert (await first).Status == 0
            assert (await assoc.c_echo()).Status == 0

    run(test)


def test_a_find_that_was_never_sent_is_left() -> None:
    """Something else is being sent; nothing of it was."""

    async def test() -> None:
        blocked, matches = Blocked(), Matches()
        ae = AE("SCP")
        ae.window = (4, 4)
        serving = aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, matches.find)], ae=ae)
        async with serving as server, connect(server, window=(4, 4)) as assoc:
            assoc.bind(evt.EVT_DATA_SENT, blocked)
            first = asyncio.create_task(assoc.c_echo())
            await blocked.asked.wait()
            second = asyncio.create_task(all_of(assoc.c_find(identifier(), FIND)))
            await asyncio.sleep(0)
            second.cancel()
            with pytest.raises(asyncio.CancelledError):
                await second
            assert assoc.is_established
            blocked.goes_on.set()
            assert (await first).Status == 0
            assert (await assoc.c_echo()).Status == 0
            assert not matches.asked.is_set()

    run(test)


@pytest.mark.parametrize("how", ["break", "cancel", "abort", "several"])
def test_files_that_are_left(how: str) -> None:
    async def send(assoc: aio.Association, sent: list[Any]) -> None:
        many = 3 if how == "several" else 1
        async for _, status in assoc.c_stores([FILE] * 50, associations=many):
            sent.append(status)
            if how == "break":
                break
            if how == "abort":
                assoc.abort()

    async def test() -> None:
        asked = 0
        goes_on = asyncio.Event()

        async def store(event: Any) -> int:
            nonlocal asked
            asked += 1
            if asked > 1 and how in ("cancel", "several"):
                await goes_on.wait()
            return 0x0000

        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, store)]) as server:
            assoc = await connect(server)
            sent: list[Any] = []
            task = asyncio.create_task(send(assoc, sent))
            if how in ("cancel", "several"):
                while asked < (2 if how == "cancel" else 4):  # each has one outstanding
                    await asyncio.sleep(0.01)
                task.cancel()
            await asyncio.wait([task])
            goes_on.set()
            assert len(sent) < 50
            if how == "break":
                await assoc.release()
                assert assoc.is_released
            else:
                assert assoc.is_aborted

    run(test)


def test_one_of_a_group_that_fails_ends_the_others() -> None:
    async def fail(blocked: Blocked) -> None:
        await blocked.asked.wait()
        raise ValueError

    async def both(assoc: aio.Association, blocked: Blocked) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(assoc.c_store(FILE))
            group.create_task(fail(blocked))

    async def test() -> None:
        blocked = Blocked()
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, blocked)]) as server:
            assoc = await connect(server)
            with pytest.raises(ExceptionGroup):
                await both(assoc, blocked)
            assert assoc.is_aborted
            blocked.goes_on.set()

    run(test)


def test_cancelling_while_it_associates(deaf: tuple[str, int]) -> None:
    async def test() -> None:
        request = aio.associate(*deaf, CONTEXTS)

        async def associate() -> None:
            await request

        task = asyncio.create_task(associate())
        await asyncio.sleep(0.05)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)

    run(test)


def test_a_cancelled_block_aborts() -> None:
    async def test() -> None:
        async with aio.serve(HERE, CONTEXTS) as server:
            seen: list[aio.Association] = []

            async def hold() -> None:
                async with connect(server) as assoc:
                    seen.append(assoc)
                    await asyncio.sleep(60)

            task = asyncio.create_task(hold())
            while not seen:
                await asyncio.sleep(0)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert seen[0].is_aborted

    run(test)


def test_a_server_that_is_shut_down_ends_its_handlers() -> None:
    async def test() -> None:
        blocked = Blocked()
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, blocked)]) as server:
            assoc = await connect(server)
            task = asyncio.create_task(assoc.c_store(FILE))
            await blocked.asked.wait()
        assert not (await task)
        assert assoc.is_aborted

    run(test)


def test_a_plain_handler_that_does_not_return_is_left() -> None:
    """Its thread is nobody's then, and the loop ends without it."""
    returns = threading.Event()

    def store(event: Any) -> int:
        asked.set()
        returns.wait(60)
        return 0x0000

    async def test() -> None:
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, store)]) as server:
            assoc = await connect(server)
            task = asyncio.create_task(assoc.c_store(FILE))
            await asyncio.to_thread(asked.wait, 50)
        assert not (await task)

    asked = threading.Event()
    try:
        run(test)
    finally:
        returns.set()


def test_what_was_left_open_ends_with_the_loop() -> None:
    left: list[Any] = []

    async def test() -> None:
        server = await aio.serve(HERE, CONTEXTS)
        left.extend((server, await connect(server)))

    asyncio.run(test())
    assert left[1].is_aborted


@pytest.mark.filterwarnings("error")
def test_cancelling_while_a_server_is_shut_down() -> None:
    """At whatever moment: its socket is closed."""

    async def serve_and_stop() -> None:
        async with aio.serve(HERE, CONTEXTS) as server:
            addresses.append(server.server_address)

    async def test() -> None:
        for turns in range(20):
            task = asyncio.create_task(serve_and_stop())
            while len(addresses) <= turns:
                await asyncio.sleep(0)
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            await asyncio.wait([task])
        while len(asyncio.all_tasks()) > 1:
            await asyncio.sleep(0.01)
        for address in addresses:  # nobody listens there
            with socket.socket() as sock:
                sock.bind(address)

    addresses: list[tuple[Any, ...]] = []
    run(test)
