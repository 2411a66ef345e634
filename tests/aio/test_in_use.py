"""Associations in a loop, in use: windows, files, TLS, handlers that ask, draining, threads."""

from __future__ import annotations

import asyncio
import contextvars
import itertools
import select
import subprocess
import sys
import threading
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from greenlet import getcurrent
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom import AE, aio, build_context, build_role, evt
from pynetdicom._logging import HERE as HERE_IN_LOG
from pynetdicom.aio.strands import Strand
from pynetdicom.errors import AssociationError
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from tests.aio.loops import (
    CONTEXTS,
    CT,
    FILE,
    FIND,
    HERE,
    PENDING,
    VERIFICATION,
    connect,
    identifier,
    run,
)

BIG = 3 << 20

ROLES = [build_role(VERIFICATION, scu_role=True, scp_role=True)]
BOTH: list[Any] = [build_context(VERIFICATION), CT]
BOTH[0].scu_role = BOTH[0].scp_role = True


def big(size: int = BIG) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID, ds.SOPInstanceUID, ds.PatientID = CT, "1.2.3", "1"
    ds.Rows = ds.Columns = 1
    ds.BitsAllocated = 16
    ds.PixelData = bytes(size)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    return ds


def test_a_window_has_several_at_a_time() -> None:
    async def test() -> None:
        together = asyncio.Barrier(4)

        async def store(event: Any) -> int:
            await together.wait()
            return 0x0000

        ae = AE("SCP")
        ae.window = (4, 4)
        handlers = [(evt.EVT_C_STORE, store)]
        async with (
            aio.serve(HERE, CONTEXTS, handlers, ae=ae) as server,
            connect(server, window=(4, 4)) as assoc,
        ):
            async with asyncio.TaskGroup() as group:
                tasks = [group.create_task(assoc.c_store(FILE)) for _ in range(8)]
            assert [task.result().Status for task in tasks] == [0] * 8

    run(test)


@pytest.mark.parametrize("is_plain", [False, True])
def test_what_does_not_fit_into_memory(tmp_path: Path, is_plain: bool) -> None:
    source = tmp_path / "big.dcm"
    big().save_as(source, enforce_file_format=True)

    def keep(event: Any) -> int:
        event.save_as(tmp_path / f"{event.message_id}.dcm")
        return 0x0000

    async def keep_too(event: Any) -> int:
        return await asyncio.to_thread(keep, event)

    async def test() -> None:
        handlers: list[Any] = [(evt.EVT_C_STORE, keep if is_plain else keep_too)]
        options = {"spool_dir": str(tmp_path)}
        async with (
            aio.serve(HERE, CONTEXTS, handlers, **options) as server,
            connect(server, contexts=[build_context(CT, ExplicitVRLittleEndian)]) as assoc,
        ):
            assert (await assoc.c_store(str(source))).Status == 0
            assert (await assoc.c_store(big())).Status == 0
            results = [status.Status async for _, status in assoc.c_stores([source] * 3)]
            assert results == [0] * 3

    run(test)
    written = sorted(path for path in tmp_path.iterdir() if path != source)
    assert len(written) == 5
    wanted = source.read_bytes()[-BIG:]
    assert all(path.read_bytes()[-BIG:] == wanted for path in written)


def test_many_files_over_several_associations() -> None:
    async def paths() -> AsyncIterator[str]:
        for _ in range(20):
            await asyncio.sleep(0)
            yield FILE

    stored, together = itertools.count(), asyncio.Barrier(3)

    async def store(event: Any) -> int:
        if next(stored) < 3:  # none is answered before there are three
            await together.wait()
        return 0x0000

    async def test() -> None:
        async with (
            aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, store)]) as server,
            connect(server) as assoc,
        ):
            sent = assoc.c_stores(paths(), associations=3)
            assert [status.Status async for _, status in sent] == [0] * 20

    run(test)


def test_a_slow_consumer_has_the_peer_wait() -> None:
    async def test() -> None:
        sent = 0

        async def find(event: Any) -> AsyncIterator[Any]:
            nonlocal sent
            for _ in range(3000):
                sent += 1
                yield PENDING, padded

        padded = identifier()
        padded.PatientComments = "x" * 9000
        async with (
            aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, find)]) as server,
            connect(server) as assoc,
        ):
            responses = assoc.c_find(identifier(), FIND)
            await anext(responses)
            before = -1
            while sent != before:
                before = sent
                await asyncio.sleep(0.2)
            assert sent < 3000
            count = 1
            async for _ in responses:
                count += 1
            assert count == 3001

    run(test)


@pytest.mark.skipif(not hasattr(select, "EPOLLRDHUP"), reason="the system does not tell")
def test_a_peer_that_hangs_up_while_it_waits_is_seen() -> None:
    async def test() -> None:
        async def find(event: Any) -> AsyncIterator[Any]:
            for _ in range(400):  # which the kernel has room for
                yield PENDING, identifier()
            await asyncio.sleep(60)

        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, find)]) as server:
            assoc = await connect(server)
            assoc.network_timeout = None
            responses = assoc.c_find(identifier(), FIND)
            await anext(responses)
            while not assoc._inner.dul.is_paused:
                await asyncio.sleep(0.01)
            server.active_associations[0].abort()
            while assoc.ended is None:
                await asyncio.sleep(0.01)
            assert assoc.is_aborted
            await responses.aclose()

    run(test)


def test_what_is_begun_as_the_loop_ends_is_closed() -> None:
    async def test(turns: int) -> None:
        server = await aio.serve(HERE, [VERIFICATION])
        request = connect(server, contexts=[VERIFICATION])

        async def associate() -> None:
            await request

        asyncio.get_running_loop().create_task(associate())
        for _ in range(turns):
            await asyncio.sleep(0)

    for turns in range(0, 40, 3):
        asyncio.run(test(turns))


def test_a_handler_asks_on_its_own_association_and_releases_it() -> None:
    async def test() -> None:
        asked: list[int] = []

        async def told(event: Any) -> None:
            asked.append((await event.assoc.c_echo()).Status)

        async def store(event: Any) -> int:
            await event.assoc.release()
            return 0x0000

        handlers = [(evt.EVT_ESTABLISHED, told), (evt.EVT_C_STORE, store)]
        async with aio.serve(HERE, BOTH, handlers) as server:
            assoc = await connect(server, ext_neg=ROLES)
            assert (await assoc.c_store(FILE)).Status == 0
            while assoc.ended is None:
                await asyncio.sleep(0.01)
            assert assoc.is_released
        assert asked == [0]

    run(test)


def test_a_handler_sends_on_what_it_is_sent() -> None:
    received: list[str] = []

    async def test() -> None:
        async def keep(event: Any) -> int:
            received.append(event.request.AffectedSOPInstanceUID)
            return 0x0000

        async with aio.serve(HERE, [CT], [(evt.EVT_C_STORE, keep)]) as target:

            async def send_on(event: Any) -> int:
                async with connect(target, contexts=[CT]) as assoc:
                    status = await assoc.c_store(event.received)
                assert assoc.is_released
                return int(status.Status)

            routing = aio.serve(HERE, [CT], [(evt.EVT_C_STORE, send_on)])
            async with routing as router, connect(router, contexts=[CT]) as assoc:
                for _ in range(3):
                    assert (await assoc.c_store(FILE)).Status == 0

    run(test)
    assert len(received) == 3


def test_a_plain_handler_asks_by_way_of_the_loop() -> None:
    variable = contextvars.ContextVar("variable", default="nothing")
    seen: list[Any] = []

    def store(event: Any) -> int:
        seen.append((variable.get(), threading.current_thread().name))
        asking = asyncio.run_coroutine_threadsafe(event.assoc.c_echo(), event.assoc.loop)
        seen.append(asking.result(50).Status)
        return 0x0000

    async def test() -> None:
        variable.set("here")
        roles: Any = {"ext_neg": ROLES}
        handlers = [(evt.EVT_C_STORE, store)]
        async with aio.serve(HERE, BOTH, handlers) as server, connect(server, **roles) as assoc:
            assert (await assoc.c_store(FILE)).Status == 0

    run(test)
    assert seen == [("here", "pynetdicom-handlers"), 0]


def test_a_handler_that_raises_or_is_cancelled_has_failed() -> None:
    async def store(event: Any) -> int:
        if event.message_id == 1:
            raise ValueError
        task = asyncio.ensure_future(asyncio.sleep(60))
        task.cancel()
        await task
        return 0x0000

    async def test() -> None:
        async with (
            aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, store)]) as server,
            connect(server) as assoc,
        ):
            for _ in range(2):
                assert (await assoc.c_store(FILE)).Status == 0xC211
            assert (await assoc.c_echo()).Status == 0

    run(test)


def test_draining_lets_a_peer_finish() -> None:
    async def test() -> None:
        asked = asyncio.Event()

        async def store(event: Any) -> int:
            asked.set()
            await asyncio.sleep(0.1)
            return 0x0000

        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, store)]) as server:
            assoc = await connect(server)
            storing = asyncio.create_task(assoc.c_store(FILE))
            await asked.wait()
            draining = asyncio.create_task(server.drain(50, idle=50))
            assert (await storing).Status == 0
            await assoc.release()
            assert await draining == 0

    run(test)


def test_an_abort_from_a_thread() -> None:
    async def test() -> None:
        asked = asyncio.Event()

        async def store(event: Any) -> int:
            asked.set()
            await asyncio.sleep(0.5)
            return 0x0000

        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_STORE, store)]) as server:
            assoc = await connect(server)
            storing = asyncio.create_task(assoc.c_store(FILE))
            await asked.wait()
            await asyncio.to_thread(assoc.abort)
            assert not await storing
            await assoc.abort()
            assert assoc.is_aborted

    run(test)


def test_an_ae_is_shut_down_by_a_thread() -> None:
    async def test() -> None:
        ae = AE("BOTH")
        server = await aio.serve(HERE, [VERIFICATION], ae=ae)
        assoc = await aio.associate(*server.server_address, [VERIFICATION], ae=ae)
        forever = asyncio.create_task(server.serve_forever())
        await asyncio.sleep(0)
        await asyncio.to_thread(ae.shutdown)
        assert assoc.is_aborted
        await forever

    run(test)


def test_many_at_a_time() -> None:
    async def find(event: Any) -> AsyncIterator[Any]:
        for _ in range(3):
            yield PENDING, identifier()

    async def test() -> None:
        ae = AE("MANY")
        ae.maximum_associations = 300
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, find)], ae=ae) as server:

            async def ask() -> int:
                async with connect(server, contexts=[FIND]) as assoc:
                    return len([one async for one in assoc.c_find(identifier(), FIND)])

            assert await asyncio.gather(*(ask() for _ in range(200))) == [4] * 200
            mine = {thread.name for thread in threading.enumerate()} - before
            assert mine <= {"pynetdicom-files"}

    before = {thread.name for thread in threading.enumerate()}
    run(test)


def test_tls(dicom_tls: Any) -> None:
    async def store(event: Any) -> int:
        return 0x0000

    async def test() -> None:
        handlers = [(evt.EVT_C_STORE, store)]
        async with aio.serve(HERE, CONTEXTS, handlers, tls=dicom_tls.server) as server:
            async with connect(server, tls=dicom_tls.client) as assoc:
                assert (await assoc.c_store(big())).Status == 0
                assert (await assoc.c_echo()).Status == 0
            with pytest.raises(AssociationError):
                await connect(server)

    run(test)


@pytest.mark.parametrize("event", [evt.EVT_PDU_RECV, evt.EVT_DATA_SENT, evt.EVT_FSM_TRANSITION])
@pytest.mark.parametrize("is_plain", [False, True])
def test_handlers_of_events_on_the_wire(event: Any, is_plain: bool) -> None:
    seen: list[str] = []
    refused: list[BaseException] = []

    async def told(happened: Any) -> None:
        seen.append(threading.current_thread().name)
        if happened.assoc.is_established:
            try:
                await happened.assoc.c_echo()
            except RuntimeError as error:
                refused.append(error)

    def told_too(happened: Any) -> None:
        seen.append(threading.current_thread().name)

    async def test() -> None:
        handlers: list[Any] = [(event, told_too if is_plain else told)]
        options: Any = {"contexts": [VERIFICATION], "evt_handlers": handlers}
        serving = aio.serve(HERE, [VERIFICATION], handlers)
        async with serving as server, connect(server, **options) as assoc:
            assert (await assoc.c_echo()).Status == 0

    run(test)
    assert set(seen) == {"pynetdicom-handlers" if is_plain else "MainThread"}
    assert is_plain or refused


def test_without_greenlet_it_says_what_to_install() -> None:
    code = """
import sys
sys.modules["greenlet"] = None
try:
    import pynetdicom.aio
except ImportError as error:
    assert "pip install greenlet" in str(error), error
else:
    raise AssertionError
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_waiting_outside_of_a_strand_is_refused() -> None:
    async def test() -> None:
        async with (
            aio.serve(HERE, [VERIFICATION]) as server,
            connect(server, contexts=[VERIFICATION]) as assoc,
        ):
            with pytest.raises(RuntimeError, match="event loop"):
                assoc._inner.send_c_echo()

    run(test)


@pytest.mark.parametrize("aborts", [True, False])
def test_a_loop_that_ends_closes_the_connections(aborts: bool) -> None:
    made: list[Any] = []

    async def main(address: tuple[str, int]) -> None:
        assoc = await aio.associate(*address, [VERIFICATION])
        made.append(assoc.dul.connection)
        if aborts:
            assoc.abort()

    ae = AE()
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(("127.0.0.1", 0), block=False)
    try:
        for _ in range(30):
            asyncio.run(main(server.server_address))
        assert [connection.fileno() for connection in made] == [-1] * 30
    finally:
        server.shutdown()


def test_threads_of_a_loop_that_is_just_closed_end_with_the_next() -> None:
    code = """
import asyncio, threading
from pynetdicom import aio
left = []
async def leave():
    left.append(await aio.serve(("127.0.0.1", 0), ["1.2.840.10008.1.1"]))
loop = asyncio.new_event_loop()
loop.run_until_complete(leave())
ends = [one for one in threading.enumerate() if one is not threading.main_thread()]
loop.close()
assert ends
async def test():
    async with aio.serve(("127.0.0.1", 0), ["1.2.840.10008.1.1"]):
        pass
asyncio.run(test())
for thread in ends:
    thread.join(40)
    assert not thread.is_alive()
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)


def test_handlers_are_told_of_tls(tmp_path: Path) -> None:
    pytest.importorskip("cryptography")
    from pynetdicom.identity import PasswordFile
    from pynetdicom.testing import tls_pair

    users = PasswordFile(tmp_path / "users")
    users.set("alice", "correct horse")
    user = UserIdentityNegotiation()
    user.user_identity_type = 2
    user.primary_field, user.secondary_field = b"alice", b"correct horse"
    seen: list[Any] = []

    async def accepted(event: Any) -> None:
        seen.append((event.assoc.dul.socket.is_tls, event.assoc.dul.socket.socket.version()))

    async def test() -> None:
        handlers = [(evt.EVT_USER_ID, users), (evt.EVT_ACCEPTED, accepted)]
        pair = tls_pair()
        async with aio.serve(HERE, [VERIFICATION], handlers, tls=pair.server) as server:
            client = (pair.client, "localhost")
            options = {"contexts": [VERIFICATION], "ext_neg": [user]}
            async with connect(server, tls_args=client, **options) as assoc:
                assert assoc.dul.socket.is_tls
                assert (await assoc.c_echo()).Status == 0x0000
        async with aio.serve(HERE, [VERIFICATION], handlers) as server:
            with pytest.raises(AssociationError, match="rejected"):
                await connect(server, **options)

    run(test)
    assert seen == [(True, "TLSv1.3")]


def test_a_commitment_is_reported_on_its_association() -> None:
    from pynetdicom.sop_class import StorageCommitmentPushModel as COMMITMENT
    from pynetdicom.workflows import commitment
    from pynetdicom.workflows.providing import handlers

    ae, got = AE("KEEPER"), []
    keeper = commitment.Provider(ae, lambda instance: 0)

    def ask(port: int) -> Any:
        scu = AE("MODALITY")
        scu.add_requested_context(COMMITMENT)
        with scu.associate("127.0.0.1", port) as assoc:
            return commitment.commit(assoc, [(CT, "1.2.3")], timeout=30)

    async def test() -> None:
        async with aio.serve(HERE, [COMMITMENT], handlers(keeper), ae=ae) as server:
            got.append(await asyncio.to_thread(ask, server.server_address[1]))

    try:
        run(test)
    finally:
        keeper.close()
    assert [one.sop_instance for one in got[0].committed] == ["1.2.3"]


def test_a_loop_leaves_the_log_as_it_was() -> None:
    """Also where it ends in the midst of associations."""
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    server = ae.start_server(HERE, block=False)

    async def test() -> None:
        for _ in range(3):
            assoc = await aio.associate(*server.server_address, [VERIFICATION])
            assert (await assoc.c_echo()).Status == 0x0000
            assert HERE_IN_LOG.link is None

    try:
        asyncio.run(test())
        assert HERE_IN_LOG.link is None
    finally:
        ae.shutdown()


def test_a_loop_that_ends_after_an_abort_says_nothing() -> None:
    program = """
import asyncio, sys
from pynetdicom import aio

async def main():
    (await aio.associate("127.0.0.1", int(sys.argv[1]), ["Verification"])).abort()

for _ in range(5):
    asyncio.run(main())
"""
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    port = ae.start_server(HERE, block=False).server_address[1]
    ended = subprocess.run(
        [sys.executable, "-c", program, str(port)], capture_output=True, text=True, timeout=50
    )
    ae.shutdown()
    assert (ended.returncode, ended.stderr) == (0, "")


@pytest.mark.parametrize("is_eager", [False, True])
def test_tasks_that_begin_at_once(is_eager: bool) -> None:
    """What is begun within a strand must not begin there."""
    within: list[bool] = []

    def make(loop: Any, coroutine: Any, **options: Any) -> Any:
        within.append(isinstance(getcurrent(), Strand))
        return asyncio.Task(coroutine, loop=loop, **options)

    async def find(event: Any) -> AsyncIterator[Any]:
        yield PENDING, identifier()

    async def ask(server: aio.Server) -> int:
        async with connect(server) as assoc:
            return len([one async for one in assoc.c_find(identifier(), FIND)])

    async def test() -> None:
        if is_eager and sys.version_info < (3, 12):
            pytest.skip("there are none")
        factory = make if not is_eager else vars(asyncio)["eager_task_factory"]
        asyncio.get_running_loop().set_task_factory(factory)
        async with aio.serve(HERE, CONTEXTS, [(evt.EVT_C_FIND, find)]) as server:
            assert await asyncio.gather(*(ask(server) for _ in range(3))) == [2] * 3

    run(test)
    assert is_eager or (within and not any(within))
