"""Transfers that are interrupted: gone on with, aborted by us, and as the apps tell of it.

A transfer is held in its middle by a stopped peer and an object that the buffers of two sockets
cannot take.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Future
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.sop_class import Verification
from tests.apps.conftest import CT, MR, RunApp, ServeApp, run_app, serve_app
from tests.faults.peer import until
from tests.interop.test_faults import MIB, SIZE, after, needs_proc, write_large
from tests.interop.test_store_scp import NO_DELAY, Scp, make_scp
from tests.interop.test_store_scu import (
    ae_for,
    assert_same_elements,
    assert_stored,
    bundled,
    data_set_bytes,
    read,
    stored_in_order,
)
from tests.peers import DEADLINE

__all__ = ["make_scp", "run_app", "serve_app"]  # fixtures


@pytest.fixture(scope="module")
def large(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    path = tmp_path_factory.mktemp("large") / "large.dcm"
    write_large(path)
    yield path
    path.unlink()


@pytest.fixture
def ae() -> AE:
    """An AE that proposes what the large object and the small ones need."""
    ae = ae_for([CT, MR])
    ae.add_requested_context(Verification)
    return ae


def in_a_thread(function: Callable[..., Any], *arguments: Any) -> Future[Any]:
    """What a call gives that another thread makes."""
    future: Future[Any] = Future()

    def call() -> None:
        try:
            future.set_result(function(*arguments))
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=call).start()
    return future


@contextlib.contextmanager
def stopped(process: Any) -> Iterator[None]:
    """A process stands still; afterwards it goes on, or can at least be ended."""
    process.send_signal(signal.SIGSTOP)
    try:
        yield
    finally:
        process.send_signal(signal.SIGCONT)


@contextlib.contextmanager
def held(assoc: Any, scp: Any, large: Path) -> Iterator[Future[Any]]:
    """The answer to a large object, which is on its way to a storescp that stands still."""
    begun = threading.Event()
    assert assoc.is_established, assoc.ended
    assoc.bind(evt.EVT_DATA_SENT, after(MIB, begun.set))
    with stopped(scp.process):
        answer = in_a_thread(assoc.send_c_store, large)
        assert begun.wait(DEADLINE)
        assert not answer.done() or assoc.ended
        yield answer


def assert_is_served(ae: AE, scp: Any) -> None:
    """What became of one association does not matter to the next."""
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.send_c_store(MR).Status == 0x0000
    assoc.release()
    assert assoc.is_released


# We send


def test_they_go_on(dcmtk: Any, ae: AE, large: Path) -> None:
    scp = dcmtk.storescp("+B", "+uf")
    assoc = ae.associate("127.0.0.1", scp.port)
    with held(assoc, scp, large) as answer:
        pass
    assert answer.result(DEADLINE).Status == 0x0000
    assert assoc.send_c_store(MR).Status == 0x0000
    assoc.release()
    assert assoc.is_released
    stored, small = stored_in_order(scp)
    assert data_set_bytes(stored) == data_set_bytes(large)
    assert_stored(MR, small)


def test_we_abort(dcmtk: Any, ae: AE, large: Path) -> None:
    scp = dcmtk.storescp("+B")
    assoc = ae.associate("127.0.0.1", scp.port)
    with held(assoc, scp, large) as answer:
        assoc.abort()
        assert "Status" not in answer.result(DEADLINE)
    assert (assoc.ended.kind, assoc.ended.by, assoc.ended.timer) == ("aborted", "local", None)
    assert_is_served(ae, scp)


def test_our_shutdown(dcmtk: Any, ae: AE, large: Path) -> None:
    scp = dcmtk.storescp("+B")
    assoc = ae.associate("127.0.0.1", scp.port)
    with held(assoc, scp, large) as answer:
        ae.shutdown()
        assert "Status" not in answer.result(DEADLINE)
    assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "local")
    assert_is_served(ae, scp)


def run_out(assoc: Any) -> None:
    """Have the time run out soon, once something is being sent."""

    def set_timeout() -> None:
        assoc.network_timeout = 0.5

    assoc.bind(evt.EVT_DATA_SENT, after(1, set_timeout))


def test_our_timeout(dcmtk: Any, ae: AE, large: Path) -> None:
    scp = dcmtk.storescp("+B")
    assoc = ae.associate("127.0.0.1", scp.port)
    run_out(assoc)
    with held(assoc, scp, large) as answer:
        assert "Status" not in answer.result(DEADLINE)
    assert assoc.ended.timer == "network_timeout"
    assert_is_served(ae, scp)


def test_they_are_killed_while_nothing_is_asked(dcmtk: Any, ae: AE) -> None:
    scp = dcmtk.storescp()
    assoc = ae.associate("127.0.0.1", scp.port)
    scp.process.kill()
    assoc.join(DEADLINE)
    assert not assoc.is_alive()
    assert (assoc.ended.kind, assoc.ended.by) == ("aborted", "network")


def test_they_sleep_after_an_object(dcmtk: Any, ae: AE) -> None:
    """The first is answered at once, the second when they wake."""
    scp = dcmtk.storescp("--sleep-after", "1", "+B", "+uf")
    assoc = ae.associate("127.0.0.1", scp.port)

    def set_timeout(seconds: float) -> None:
        assoc.network_timeout = seconds

    # Only while they are awaited.
    assoc.bind(evt.EVT_DIMSE_SENT, lambda event: set_timeout(0.5))
    assoc.bind(evt.EVT_DIMSE_RECV, lambda event: set_timeout(60))
    assert {status.Status for _, status in assoc.send_c_stores([CT, MR])} == {0x0000}
    assoc.release()
    for path, stored in zip([CT, MR], stored_in_order(scp), strict=True):
        assert_stored(path, stored)


# storescu sends. Its peer stands still, or dies, as soon as the first object has arrived.


def test_storescu_and_a_killed_peer(run_app: RunApp, dcmtk: Any, large: Path) -> None:
    scp = dcmtk.storescp("-xcr", "kill -KILL $PPID", "-xs")
    result = run_app("storescu", "127.0.0.1", scp.port, CT, large, MR)
    assert result.returncode == 1
    assert scp.process.wait(DEADLINE) == -signal.SIGKILL
    assert "connection lost" in result.stderr
    assert f"storescu: {MR}: not sent: " in result.stderr
    assert " of 3 files were not stored" in result.stderr


@pytest.mark.slow
def test_storescu_and_a_peer_that_stands_still(run_app: RunApp, dcmtk: Any, large: Path) -> None:
    scp = dcmtk.storescp("-xcr", "kill -STOP $PPID", "-xs")
    timeouts = ["-tn", "1", "-td", "1", "-ta", "15"]
    try:
        result = run_app("storescu", *timeouts, "127.0.0.1", scp.port, CT, large, MR)
    finally:
        scp.process.kill()
    assert result.returncode == 1
    assert "_timeout ran out" in result.stderr
    assert f"storescu: {MR}: not sent: " in result.stderr


# They send

Send = Callable[..., "subprocess.Popen[str]"]


@pytest.fixture
def send(dcmtk_tools: dict[str, str]) -> Iterator[Send]:
    """Starts DCMTK's storescu, which is killed after the test."""
    started: list[subprocess.Popen[str]] = []

    def start(port: int, *files: Path, options: Iterable[object] = ()) -> subprocess.Popen[str]:
        command = [dcmtk_tools["storescu"], *map(str, (*options, "127.0.0.1", port, *files))]
        started.append(
            subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.STDOUT,
                env={**os.environ, **NO_DELAY},
                text=True,
            )
        )
        return started[-1]

    yield start
    for process in started:
        process.kill()
        process.communicate()


class Receiving:
    """A Storage SCP of ours that tells when some of an object has arrived."""

    def __init__(self, scp: Scp, **options: Any) -> None:
        self._arrived = threading.Semaphore(0)
        self.scp = scp
        handlers = [(evt.EVT_CONN_OPEN, self._open)]
        scp.start(evt_handlers=handlers, spool_dir=str(scp.directory), **options)

    def _open(self, event: Any) -> None:
        event.assoc.bind(evt.EVT_DATA_RECV, after(MIB, self._arrived.release))

    def wait(self) -> None:
        assert self._arrived.acquire(timeout=DEADLINE)


def test_senders_that_stand_still_hold_nobody_up(
    send: Send, dcmtk: Any, make_scp: Callable[[], Scp], large: Path
) -> None:
    receiving = Receiving(make_scp())
    scp = receiving.scp
    with contextlib.ExitStack() as stack:
        for _ in range(3):
            process = send(scp.port, large)
            receiving.wait()
            stack.enter_context(stopped(process))
        dcmtk.run("storescu", "127.0.0.1", scp.port, CT, MR, check=True)
        assert len(scp.stored) == 2
        scp.ae.shutdown()
        assert scp.ae.active_associations == []


def spooled(process: Any, directory: Path) -> int:
    """Bytes in files of a directory, with a name or without, that a process has open."""
    total = 0
    for number in Path(f"/proc/{process.pid}/fd").iterdir():
        with contextlib.suppress(OSError):
            if os.readlink(number).startswith(f"{directory}/"):
                total += number.stat().st_size
    return total


@needs_proc
def test_storescp_keeps_no_part_of_an_object(
    send: Send, serve_app: ServeApp, dcmtk: Any, large: Path
) -> None:
    scp = serve_app("storescp")
    process = send(scp.port, *[large] * 10)
    assert until(lambda: spooled(scp.process, scp.directory) > MIB, DEADLINE)
    process.kill()
    dcmtk.run("storescu", "127.0.0.1", scp.port, MR, check=True)
    assert until(lambda: spooled(scp.process, scp.directory) == 0, DEADLINE)
    stored = {name.removesuffix(".dcm"): scp.directory / name for name in scp.files()}
    assert_same_elements(bundled(MR), read(stored.pop(bundled(MR).SOPInstanceUID)))
    for path in stored.values():  # the first ones may have been complete
        assert data_set_bytes(path)[-SIZE:] == data_set_bytes(large)[-SIZE:]
