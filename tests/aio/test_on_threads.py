"""What threads do to the end for an association in a loop, so that its peer need not wait."""

from __future__ import annotations

import asyncio
import functools
import gc
import threading
import weakref
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from typing import Any

import pytest

from pynetdicom import AE, aio, evt
from pynetdicom.aio.strands import HANDLING
from tests.aio import loops
from tests.aio.loops import CONTEXTS, CT, FIND, HERE, PENDING, connect, identifier, run
from tests.peers import DEADLINE

FILE: Any = loops.FILE
SOON = 10.0


class Held:
    """What holds up a loop, from a thread, until something has happened."""

    def __init__(self) -> None:
        self.happened = threading.Event()
        self.was_in_time: list[bool] = []
        self._loop = asyncio.get_running_loop()

    def begin(self) -> None:
        """Hold it up; returns when it is."""
        is_held = threading.Event()

        def hold() -> None:
            is_held.set()
            self.was_in_time.append(self.happened.wait(SOON))

        self._loop.call_soon_threadsafe(hold)
        assert is_held.wait(SOON)


class Slow:
    """A path; on the thread that reads it, something is done first, once."""

    def __init__(self, before: Callable[[], object]) -> None:
        self._before = [before]

    def __fspath__(self) -> str:
        while self._before:
            self._before.pop()()
        return str(FILE)


def stored(port: int, times: int, then: Callable[[], None]) -> list[int]:
    ae = AE("SCU")
    ae.add_requested_context(CT)
    with ae, ae.associate("127.0.0.1", port) as assoc:
        statuses = [assoc.send_c_store(FILE).Status for _ in range(times)]
        then()
    return statuses


@pytest.mark.parametrize("times", [2, 1])
def test_a_plain_handler_that_is_known_answers_by_itself(times: int) -> None:
    """It is known by its first answer: on the same association, or on another one."""

    async def test() -> None:
        held = Held()
        served: list[Any] = []

        def store(event: Any) -> int:
            served.append(event.assoc)
            if len(served) == 2:
                held.begin()
            return 0x0000

        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, store)]) as server:
            port = server.server_address[1]
            for _ in range(2 // times):
                held.happened.clear()
                statuses = await asyncio.to_thread(stored, port, times, held.happened.set)
                assert statuses == [0x0000] * times
        assert held.was_in_time == [True]

    run(test)


class WithoutHash:
    """A handler that no dict takes."""

    __hash__ = None  # type: ignore[assignment]  # it has none

    def __call__(self, event: Any) -> int:
        return 0x0000


def test_a_handler_without_a_hash() -> None:
    async def test() -> None:
        handlers: list[Any] = [(evt.EVT_C_STORE, WithoutHash())]
        async with aio.serve(HERE, CONTEXTS, handlers) as server, connect(server) as assoc:
            assert [(await assoc.c_store(FILE)).Status for _ in range(2)] == [0x0000] * 2

    run(test)


def test_what_is_bound_to_an_association_goes_with_it() -> None:
    async def test() -> None:
        bound: list[weakref.ref[Any]] = []

        def established(event: Any) -> None:
            def store(event: Any) -> int:
                return 0x0000

            bound.append(weakref.ref(store))
            event.assoc.bind(evt.EVT_C_STORE, store)

        handlers: list[Any] = [(evt.EVT_ESTABLISHED, established)]
        async with aio.serve(HERE, CONTEXTS, handlers) as server:
            port = server.server_address[1]
            assert await asyncio.to_thread(stored, port, 2, lambda: None) == [0x0000] * 2
            async with asyncio.timeout(SOON):
                while bound[0]() is not None:
                    gc.collect()
                    await asyncio.sleep(0.01)

    run(test)


def test_a_plain_generator_that_is_known_goes_on_by_itself() -> None:
    async def test() -> None:
        held = Held()
        asked: list[int] = []

        def find(event: Any) -> Iterator[Any]:
            asked.append(1)
            yield PENDING, identifier()
            if len(asked) == 2:
                held.begin()
            yield PENDING, identifier()
            yield PENDING, identifier()

        def scu(port: int) -> list[int]:
            ae = AE("SCU")
            ae.add_requested_context(FIND)
            counts = []
            with ae, ae.associate("127.0.0.1", port) as assoc:
                for _ in range(2):
                    counts.append(len(list(assoc.send_c_find(identifier(), FIND))))
                held.happened.set()
            return counts

        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, find)]) as server:
            assert await asyncio.to_thread(scu, server.server_address[1]) == [4, 4]
        assert held.was_in_time == [True]

    run(test)


def test_who_leaves_such_a_generator_has_it_closed() -> None:
    async def test() -> None:
        ends: list[bool] = []

        def find(event: Any) -> Iterator[Any]:
            try:
                while True:
                    yield PENDING, identifier()
            finally:
                ends.append(event.is_cancelled)

        handlers: list[Any] = [(evt.EVT_C_FIND, find)]
        async with aio.serve(HERE, CONTEXTS, handlers) as server, connect(server) as assoc:
            for _ in range(3):
                async with assoc.c_find(identifier(), FIND) as responses:
                    await anext(responses)
            assert (await assoc.c_echo()).Status == 0x0000
            assert ends == [True] * 3

    run(test)


def wrapped(handler: Callable[[Any], Awaitable[int]]) -> Callable[[Any], Any]:
    @functools.wraps(handler)
    def call(event: Any) -> Any:
        return handler(event)

    return call


def test_a_handler_that_gives_a_coroutine_is_awaited_in_the_loop() -> None:
    async def test() -> None:
        here = threading.get_ident()
        threads: list[int] = []

        @wrapped
        async def store(event: Any) -> int:
            await asyncio.sleep(0)
            threads.append(threading.get_ident())
            return 0x0000

        handlers: list[Any] = [(evt.EVT_C_STORE, store)]
        async with aio.serve(HERE, CONTEXTS, handlers) as server, connect(server) as assoc:
            assert [(await assoc.c_store(FILE)).Status for _ in range(3)] == [0x0000] * 3
        assert threads == [here] * 3

    run(test)


def test_a_handler_that_gives_this_and_that() -> None:
    async def test() -> None:
        given: list[int] = []

        async def later() -> int:
            return 0x0000

        def store(event: Any) -> Any:
            given.append(1)
            return later() if len(given) % 2 == 0 else 0xB000

        handlers: list[Any] = [(evt.EVT_C_STORE, store)]
        async with aio.serve(HERE, CONTEXTS, handlers) as server, connect(server) as assoc:
            statuses = [(await assoc.c_store(FILE)).Status for _ in range(4)]
        assert statuses == [0xB000, 0x0000] * 2

    run(test)


def test_the_end_is_told_when_such_a_handler_has_ended() -> None:
    async def test() -> None:
        asked, goes_on = threading.Event(), threading.Event()
        told = asyncio.Event()
        depth: list[Any] = []

        def store(event: Any) -> int:
            asked.set()
            if event.assoc.requestor.ae_title == "LAST":
                assert goes_on.wait(DEADLINE)
            return 0x0000

        async def aborted(event: Any) -> None:
            handling = HANDLING.get()
            assert handling is not None
            depth.append([of for _, of in handling[0].running])
            await asyncio.sleep(0)
            told.set()

        handlers: list[Any] = [(evt.EVT_C_STORE, store), (evt.EVT_ABORTED, aborted)]
        async with aio.serve(HERE, CONTEXTS, handlers) as server:
            async with connect(server) as assoc:
                await assoc.c_store(FILE)
            asked.clear()
            assoc = await connect(server, ae=AE("LAST"))
            storing = asyncio.ensure_future(assoc.c_store(FILE))
            await asyncio.to_thread(asked.wait, DEADLINE)
            await assoc.abort()
            await storing
            assert not depth
            goes_on.set()
            async with asyncio.timeout(SOON):
                await told.wait()
        assert depth == [[evt.EVT_ABORTED]]

    run(test)


def serving_threads(handler: Callable[[Any], int]) -> Any:
    ae = AE("SCP")
    ae.add_supported_context(CT)
    return ae, ae.start_server(HERE, block=False, evt_handlers=[(evt.EVT_C_STORE, handler)])


def test_a_file_goes_out_from_the_thread_that_reads_it() -> None:
    async def test() -> None:
        held = Held()

        def store(event: Any) -> int:
            held.happened.set()
            return 0x0000

        ae, server = serving_threads(store)
        with ae:
            async with aio.associate("127.0.0.1", server.server_address[1], [CT]) as assoc:
                path: Any = Slow(held.begin)
                assert (await assoc.c_store(path)).Status == 0x0000
        assert held.was_in_time == [True]

    run(test)


def test_who_is_cancelled_while_a_thread_reads() -> None:
    """What it sends all the same would be answered to nobody: the association is aborted."""

    async def test() -> None:
        reads, goes_on = threading.Event(), threading.Event()

        def read() -> None:
            reads.set()
            assert goes_on.wait(DEADLINE)

        ae, server = serving_threads(lambda event: 0x0000)
        with ae:
            assoc = await aio.associate("127.0.0.1", server.server_address[1], [CT])
            path: Any = Slow(read)
            storing = asyncio.ensure_future(assoc.c_store(path))
            await asyncio.to_thread(reads.wait, DEADLINE)
            storing.cancel()
            await asyncio.sleep(0)
            goes_on.set()
            await asyncio.wait([storing])
            assert storing.cancelled()
            assert assoc.is_aborted

    run(test)


def test_files_for_one_association_wait_for_each_other_in_the_loop() -> None:
    """Not on the threads for files, which others need."""

    async def test() -> None:
        goes_on = threading.Event()
        asked = threading.Semaphore(0)

        def store(event: Any) -> int:
            asked.release()
            assert goes_on.wait(DEADLINE)
            return 0x0000

        ae, server = serving_threads(store)
        other, free = serving_threads(lambda event: 0x0000)
        with ae, other:
            address = "127.0.0.1"
            async with (
                aio.associate(address, server.server_address[1], [CT]) as assoc,
                aio.associate(address, free.server_address[1], [CT]) as another,
                asyncio.TaskGroup() as group,
            ):
                tasks = [group.create_task(assoc.c_store(FILE)) for _ in range(20)]
                assert await asyncio.to_thread(asked.acquire, timeout=DEADLINE)
                async with asyncio.timeout(SOON):
                    assert (await another.c_store(FILE)).Status == 0x0000
                goes_on.set()
            assert [task.result().Status for task in tasks] == [0x0000] * 20

    run(test)


def test_a_message_id_that_is_taken_is_refused_before_anything_is_sent() -> None:
    async def test() -> None:
        goes_on = threading.Event()

        def store(event: Any) -> int:
            assert goes_on.wait(DEADLINE)
            return 0x0000

        ae, server = serving_threads(store)
        with ae:
            async with aio.associate("127.0.0.1", server.server_address[1], [CT]) as assoc:
                first = asyncio.ensure_future(assoc.c_store(FILE, msg_id=7))
                while not assoc._inner.dimse.outstanding():
                    await asyncio.sleep(0)
                with pytest.raises(ValueError, match="7"):
                    await assoc.c_store(FILE, msg_id=7)
                goes_on.set()
                assert (await first).Status == 0x0000

    run(test)


async def numbered(count: int) -> AsyncIterator[int]:
    for number in range(count):
        yield number


def test_responses_that_are_there_come_in_their_order() -> None:
    async def test() -> None:
        async def find(event: Any) -> AsyncIterator[Any]:
            async for number in numbered(100):
                match = identifier()
                match.PatientID = str(number)
                yield PENDING, match
            yield 0x0000, None

        handlers: list[Any] = [(evt.EVT_C_FIND, find)]
        async with aio.serve(HERE, CONTEXTS, handlers) as server, connect(server) as assoc:
            found = [
                (s.Status, ds and ds.PatientID) async for s, ds in assoc.c_find(identifier(), FIND)
            ]
            assert found == [*((PENDING, str(number)) for number in range(100)), (0x0000, None)]

    run(test)
