"""A consumer that lags slows its peer down, for a while; nothing that arrives is lost by it."""

from __future__ import annotations

import os
import select
import socket
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import _config
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.network import dul
from tests.clock import Clock
from tests.faults import tls
from tests.faults.peer import until
from tests.peers import DEADLINE, Call
from tests.scp import FIND, GET, MOVE, PENDING, Scp, associated, encoded, identifier


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)
    monkeypatch.setattr(_config, "MAXIMUM_WAITING_RESPONSES", 16)


def match(number: int, size: int = 4000) -> bytes:
    """An encoded identifier of that many bytes with that number as Patient ID."""
    elements = ((0x0020, b"%08d" % number), (0x4000, b"X" * size))
    return b"".join(struct.pack("<HHI", 0x10, tag, len(value)) + value for tag, value in elements)


class Flood:
    """An SCP that answers a query with matches of 4 KB without end, until cancelled or `count`.

    Attributes
    ----------
    sent : int
        The matches that the kernel has taken.
    stalls : int
        How often it would take no more for a while.
    """

    def __init__(self, count: int = 1 << 60, status: int = PENDING) -> None:
        self.count, self.status = count, status
        self.sent = self.stalls = 0
        self.cancelled = threading.Event()
        self.has_ended = threading.Event()

    def __call__(self, peer: Scp) -> None:
        # What the kernels keep between us does not count as read.
        peer.socket.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 8192)
        context_id, request, _ = peer.message()
        try:
            self._send(peer, context_id, request)
        except ConnectionError:
            self.has_ended.set()
            return
        finally:
            peer.socket.settimeout(peer.timeout)
        status = 0xFE00 if self.cancelled.is_set() else 0x0000
        peer.answer(context_id, request.response(status))
        peer.serve(self._later(peer))

    def _later(self, peer: Scp) -> Callable[[int, Primitive, Dataset | None], None]:
        def handle(context_id: int, request: Primitive, asked: Dataset | None) -> None:
            if request.name == "C-CANCEL":
                self.cancelled.set()
                return
            peer.answer(context_id, request.response(0x0000))

        return handle

    def _send(self, peer: Scp, context_id: int, request: Primitive) -> None:
        while self.sent < self.count:
            found = match(self.sent) if request.name == "C-FIND" else None
            response = request.response(self.status)
            data = memoryview(encoded(context_id, response, found))
            while data:
                peer.socket.settimeout(0.02)
                try:
                    data = data[peer.socket.send(data) :]
                except TimeoutError:
                    self.stalls += 1
                    if self._is_cancelled(peer):
                        peer.socket.settimeout(peer.timeout)
                        peer.send(bytes(data))
                        return
            self.sent += 1
            if self.sent % 50 == 0 and self._is_cancelled(peer):
                return

    def _is_cancelled(self, peer: Scp) -> bool:
        peer.socket.setblocking(False)
        try:
            data = peer.socket.recv(65536)
        except BlockingIOError:
            return False
        if not data:
            raise ConnectionResetError
        if data[0] == 7:
            raise ConnectionAbortedError
        if data[0] == 5:  # a release request: later
            peer._buffer += data
            return False
        # C-CANCEL, or the next request behind one.
        peer._buffer += data
        peer.socket.settimeout(peer.timeout)
        _, message, _ = peer.message()
        assert message.name == "C-CANCEL", message
        self.cancelled.set()
        return True

    def stops(self, assoc: Any) -> int:
        """How many had been sent when no more were, since nothing is read."""
        assert until(lambda: assoc.dul.is_paused)
        before = -1
        while before != self.sent:
            before, stalls = self.sent, self.stalls
            assert until(lambda stalls=stalls: self.stalls > stalls + 2)  # type: ignore[misc]
        assert assoc.dul.is_paused
        return before


def in_order(responses: Any, start: int = 0) -> int:
    """How many matches there are, which are all that were sent, in their order."""
    count = start
    for _, found in responses:
        if found is not None:
            assert int(found.PatientID) == count
            count += 1
    return count


def test_a_peer_waits_for_a_slow_consumer_and_goes_on_with_a_quick_one() -> None:
    scp = Flood()
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        assert int(next(responses)[1].PatientID) == 0
        assert 16 <= scp.stops(assoc) < 3000
        assert assoc.dul.is_paused
        for number in range(1, 5000):
            assert int(next(responses)[1].PatientID) == number
        assert scp.sent >= 4999
        responses.close()
        assert scp.cancelled.wait(DEADLINE)
        assert assoc.send_c_echo().Status == 0


def test_waiting_costs_no_processor_time() -> None:
    scp = Flood()
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        scp.stops(assoc)
        looks: list[float | None] = []
        patience = assoc.dul._patience

        def look() -> Any:
            looks.append(patience())
            return looks[-1]

        assoc.dul._patience = look
        threading.Event().wait(0.5)
        assert len(looks) < 3, "the DUL thread has woken again and again"
        responses.close()


def pauses(assoc: Any, seconds: float | None = None) -> list[float]:
    """For how long reading is to pause; it pauses for as long, or for so many seconds."""
    asked: list[float] = []
    pause = assoc.dul.pause

    def note(allowed: float) -> None:
        asked.append(allowed)
        pause(allowed if seconds is None else seconds)

    assoc.dul.pause = note
    return asked


def test_after_a_quarter_of_network_timeout_it_goes_into_a_file(tmp_path: Path) -> None:
    scp = Flood(2000)
    with associated(scp, network_timeout=3600) as assoc:
        assoc.ae.spool_dir = str(tmp_path)
        asked = pauses(assoc, 0.2)
        responses = assoc.send_c_find(identifier(), FIND)
        assert until(lambda: scp.sent == 2000)
        assert set(asked) == {900}
        assert in_order(responses) == 2000
        assert assoc.send_c_echo().Status == 0


@pytest.mark.parametrize("what", ["begin", "release", "close"])
def test_it_is_read_on_at_once_when_somebody_waits(what: str) -> None:
    scp = Flood(1000)
    with associated(scp, network_timeout=3600) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        scp.stops(assoc)
        assert assoc.dul.is_paused
        if what == "begin":
            assert Call(assoc.send_c_echo).result().Status == 0
            backlog = responses._operation.backlog
            assert backlog._added - backlog._taken < 200  # the rest is not in memory
            assert in_order(responses) == 1000
        elif what == "release":
            Call(assoc.release).result()
            assert assoc.is_released
            assert in_order(responses) == 1000
        else:
            responses.close()
            assert Call(assoc.send_c_echo).result().Status == 0
        assert scp.sent == 1000 or what == "close"


def test_abort_does_not_wait() -> None:
    scp = Flood()
    with associated(scp, network_timeout=3600) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        scp.stops(assoc)
        assoc.abort()
        assoc.join(DEADLINE)
        assert not assoc.is_alive()
        assert scp.has_ended.wait(DEADLINE)
        results = list(responses)
        assert len(results[-1][0]) == 0


@pytest.mark.skipif(not hasattr(select, "POLLRDHUP"), reason="the system cannot tell")
@pytest.mark.parametrize("how", ["reset", "shutdown", "abort"])
def test_the_peers_end_is_seen_while_nothing_is_read(how: str) -> None:
    stop, gone = threading.Event(), threading.Event()

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        for number in range(40):
            found = identifier("X", PatientID=str(number))
            peer.answer(context_id, request.response(PENDING), found)
        assert stop.wait(DEADLINE)
        if how == "reset":
            peer.reset()
        elif how == "abort":
            peer.send(bytes.fromhex("07 00 00000004 0000 02 00"))
            peer.socket.shutdown(socket.SHUT_WR)
        else:
            peer.socket.shutdown(socket.SHUT_WR)
        gone.set()

    with associated(script, network_timeout=3600) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        assert until(lambda: assoc.dul.is_paused, DEADLINE)
        stop.set()
        assert gone.wait(DEADLINE)
        assoc.join(60)
        assert not assoc.is_alive()
        assert assoc.ended.by == ("peer" if how == "abort" else "network")
        assert len(list(responses)[-1][0]) == 0


def test_no_timer_runs_against_a_peer_that_is_not_read(monkeypatch: pytest.MonkeyPatch) -> None:
    """It is in the midst of a message all the while."""
    scp = Flood()
    clock = Clock(monkeypatch)
    with associated(scp, network_timeout=2000, dimse_timeout=1000) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        count = 0
        for _ in range(3):
            scp.stops(assoc)
            clock.later(450, assoc)  # less than the pause may last
            while assoc.dul.last_received != clock.now:  # until it is read on
                assert int(next(responses)[1].PatientID) == count
                count += 1
        assert assoc.is_established
        responses.close()


@pytest.mark.parametrize("model", [GET, MOVE])
def test_retrieval_is_not_held_up(model: str) -> None:
    scp = Flood(5000)
    with associated(scp, model, network_timeout=3600) as assoc:
        where = ["DESTINATION"] if model == MOVE else []
        send = assoc.send_c_get if model == GET else assoc.send_c_move
        responses = send(identifier(), *where, model)
        assert until(lambda: scp.sent == 5000, DEADLINE)
        assert [status.Status for status, _ in responses] == [PENDING] * 5000 + [0]


def test_more_than_may_be_kept_is_cancelled_and_said(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_SPOOLED_RESPONSES", 500_000)
    scp = Flood()
    with associated(scp) as assoc:
        pauses(assoc, 0.1)
        responses = assoc.send_c_find(identifier(), FIND)
        assert scp.cancelled.wait(DEADLINE)
        results = list(responses)
        count = in_order(results)
        assert 50 < count < scp.sent
        assert [found for _, found in results[count:]] == [None]
        assert results[-1][0].Status == 0xFE00
        assert "more responses wait than may be kept" in results[-1][0].problem
        assert "more responses wait than may be kept" in caplog.text
        assert assoc.send_c_echo().Status == 0


def test_a_disk_that_takes_no_more(monkeypatch: pytest.MonkeyPatch) -> None:
    from pynetdicom.dimse import backlog

    def full(fd: int, buffers: Any) -> None:
        raise OSError(28, os.strerror(28))

    monkeypatch.setattr(backlog, "write_all", full)
    scp = Flood()
    with associated(scp) as assoc:
        pauses(assoc, 0.1)
        results = list(_slowly(assoc.send_c_find(identifier(), FIND), scp.cancelled))
        assert in_order(results) >= 16
        assert os.strerror(28) in results[-1][0].problem
        assert assoc.send_c_echo().Status == 0


def _slowly(responses: Any, after: threading.Event) -> Any:
    assert after.wait(DEADLINE)
    yield from responses


@pytest.mark.slow
def test_matches_without_end_take_no_more_memory() -> None:
    import tracemalloc

    scp = Flood(6000)
    with associated(scp) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        for _ in range(1000):
            next(responses)
        tracemalloc.start()
        try:
            for _ in range(1000):
                next(responses)
            before, _ = tracemalloc.get_traced_memory()
            tracemalloc.reset_peak()
            for _ in range(3000):
                next(responses)
            _, peak = tracemalloc.get_traced_memory()
        finally:
            tracemalloc.stop()
        assert peak - before < 4 << 20
        assert in_order(responses, 5000) == 6000


def test_pausing_and_resuming_lose_nothing() -> None:
    """By a consumer that is as quick as the peer: pauses begin and end all the time."""
    scp = Flood(4000)
    with associated(scp, network_timeout=3600) as assoc:
        assert in_order(assoc.send_c_find(identifier(), FIND)) == 4000


def test_nested_use_of_a_query_that_lags() -> None:
    scp = Flood(600)
    with associated(scp, network_timeout=3600) as assoc:
        count = 0
        for _, found in assoc.send_c_find(identifier(), FIND):
            if found is not None:
                assert int(found.PatientID) == count
                count += 1
            assert assoc.send_c_echo().Status == 0
        assert count == 600


def test_over_tls() -> None:
    """What TLS has deciphered already is not forgotten when reading goes on."""

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        for number in range(2000):
            peer.answer(context_id, request.response(PENDING), match(number))
        peer.answer(context_id, request.response(0x0000))
        peer.serve(lambda context_id, request, _: peer.answer(context_id, request.response(0)))

    with associated(script, network_timeout=3600, tls=tls.contexts()) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        assert until(lambda: assoc.dul.is_paused, DEADLINE)
        assert in_order(responses) == 2000
        assert assoc.send_c_echo().Status == 0


def test_a_peer_that_was_not_listened_to_was_not_silent(monkeypatch: pytest.MonkeyPatch) -> None:
    go_on = threading.Event()
    clock = Clock(monkeypatch)

    def script(peer: Scp) -> None:
        context_id, request, _ = peer.message()
        data = [
            encoded(context_id, request.response(PENDING), match(number, 0)) for number in range(20)
        ]
        peer.send(b"".join(data))
        assert go_on.wait(DEADLINE)
        peer.answer(context_id, request.response(0x0000))
        peer.rest_until_abort()

    with associated(script, network_timeout=3600, dimse_timeout=100) as assoc:
        responses = assoc.send_c_find(identifier(), FIND)
        assert until(lambda: assoc.dul.is_paused, DEADLINE)
        clock.later(110, assoc)
        for number in range(20):
            assert int(next(responses)[1].PatientID) == number
        timer = threading.Timer(0.2, go_on.set)
        timer.start()
        assert [status.Status for status, _ in responses] == [0x0000]
        timer.join()
