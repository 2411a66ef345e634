"""Several processes on one port: others start in the stead of those that end, all stop together."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import pytest

from pynetdicom import AE
from pynetdicom.sop_class import Verification
from tests.apps.archive.conftest import Start
from tests.apps.conftest import Served
from tests.faults.peer import until
from tests.peers import DEADLINE
from tests.sampled import sampled

WORKERS = 3

pytestmark = pytest.mark.skipif(
    not Path("/proc/self/task").exists(), reason="the processes of another one are read from /proc"
)


@pytest.fixture
def served(start: Start) -> Served:
    """A qrscp with workers."""
    return start("--workers", WORKERS, "-v")


@pytest.mark.skipif(not hasattr(signal, "SIGHUP"), reason="there is no SIGHUP")
@sampled("workers", [1, WORKERS])
def test_a_hangup_ends_nothing(start: Start, workers: int) -> None:
    """All read anew, also what is not their parent's, and serving goes on."""
    served = start("--workers", workers, "-v")
    processes = {served.process.pid, *workers_of(served)}
    assert len(processes) == (1 if workers == 1 else 1 + workers)
    served.process.send_signal(signal.SIGHUP)
    told = "SIGHUP: read anew"
    assert until(lambda: served.errors().count(told) == len(processes))
    ae = AE()
    ae.add_requested_context(Verification)
    for _ in range(4):
        assoc = ae.associate("127.0.0.1", served.port)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
    assert {served.process.pid, *workers_of(served)} == processes
    assert served.stop(signal.SIGTERM) == 0, served.errors()


def workers_of(served: Served) -> set[int]:
    """The processes that serve."""
    pid = served.process.pid
    return set(map(int, Path(f"/proc/{pid}/task/{pid}/children").read_text().split()))


def is_there(pid: int) -> bool:
    """Whether a process runs; one that has ended and was not waited for does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def echo(served: Served) -> bool:
    ae = AE()
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = DEADLINE
    ae.add_requested_context(Verification)
    assoc = ae.associate("127.0.0.1", served.port)
    if not assoc.is_established:
        return False
    status = assoc.send_c_echo()
    assoc.release()
    return "Status" in status and status.Status == 0x0000


def test_all_are_started_and_serve(served: Served) -> None:
    assert len(workers_of(served)) == WORKERS
    assert all(echo(served) for _ in range(10))


@sampled("number", [signal.SIGKILL, signal.SIGTERM])
def test_another_one_starts_in_the_stead_of_one_that_ends(served: Served, number: int) -> None:
    before = workers_of(served)
    (victim, *others) = before
    os.kill(victim, number)
    assert until(lambda: len(workers_of(served) - before) == 1), served.errors()
    now = workers_of(served)
    assert victim not in now
    assert set(others) <= now
    assert f"worker {victim} has ended" in served.errors()
    assert all(echo(served) for _ in range(10))


@sampled("number", [signal.SIGTERM, signal.SIGINT])
def test_all_stop_together(served: Served, number: int) -> None:
    pids = workers_of(served)
    assert served.stop(number) == 0, served.errors()
    assert not any(map(is_there, pids))


def test_all_stop_with_an_association_open(served: Served) -> None:
    pids = workers_of(served)
    ae = AE()
    ae.add_requested_context(Verification)
    open_ones = [ae.associate("127.0.0.1", served.port) for _ in range(6)]
    assert all(assoc.is_established for assoc in open_ones)
    assert served.stop(signal.SIGTERM) == 0, served.errors()
    assert not any(map(is_there, pids))
    for assoc in open_ones:
        assoc.abort()


def test_workers_end_when_their_parent_is_killed(served: Served) -> None:
    pids = workers_of(served)
    served.process.kill()
    served.process.communicate(timeout=DEADLINE)
    assert until(lambda: not any(map(is_there, pids)))
