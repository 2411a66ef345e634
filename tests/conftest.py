"""Fixtures for all tests: nothing may be left behind, and what the machine has to offer."""

from __future__ import annotations

import gc
import itertools
import os
import shutil
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, settings

from pynetdicom import uids
from pynetdicom.services import registry
from tests import faces as _faces
from tests import warm
from tests.faces import faces, loop

__all__ = ["faces", "loop"]  # fixtures
ROOT = Path(__file__).parent.parent
LONG = ("test_soak", "test_signals", "test_walk", "test_interrupted", "test_durability_s3")
LEAK_DEADLINE = 120.0
REQUIRE_INTEROP = "PYNETDICOM_REQUIRE_INTEROP"
DCMTK_TOOLS = (
    *("echoscu", "storescu", "storescp", "dcmdump", "dcmqrscp", "findscu", "movescu"),
    *("dcmprscp", "dcmprscu", "dcmpsprt"),
)


def open_descriptors() -> dict[int, str]:
    """Descriptor → what it refers to; empty where the system does not tell."""
    directory = "/proc/self/fd"
    found = {}
    try:
        numbers = os.listdir(directory)
    except OSError:
        return {}
    for number in numbers:
        try:
            found[int(number)] = os.readlink(f"{directory}/{number}")
        except OSError:  # the one that listed the directory
            continue
    return found


def is_locked() -> bool:
    """Whether this Python has its global lock."""
    return bool(getattr(sys, "_is_gil_enabled", lambda: True)())


def leaked_threads(before: set[threading.Thread], deadline: float) -> list[threading.Thread]:
    """Threads that are not in `before` and do not end by the deadline."""
    before = before | {threading.current_thread()}
    while left := [thread for thread in threading.enumerate() if thread not in before]:
        if time.monotonic() > deadline:
            break
        for thread in left:
            thread._started.wait(deadline - time.monotonic())  # which begins cannot be joined
            thread.join(max(0.0, deadline - time.monotonic()))
    return left


def leaked_descriptors(before: dict[int, str]) -> dict[int, str]:
    """Descriptors that `before` lacks."""
    if not is_locked():
        gc.collect()  # what another thread has let go of may wait for the one that made it
    return {fd: what for fd, what in open_descriptors().items() if before.get(fd) != what}


@pytest.fixture(autouse=True)
def nothing_left_behind() -> Iterator[None]:
    """Fails a test that leaves a thread or a descriptor behind."""
    threads = set(threading.enumerate())
    descriptors = open_descriptors()
    yield
    left = leaked_threads(threads, time.monotonic() + LEAK_DEADLINE)
    open_still = leaked_descriptors(descriptors)
    if open_still:
        gc.collect()  # a frame kept by an exception may hold them
        open_still = leaked_descriptors(descriptors)
    if left or open_still:
        pytest.fail(f"left behind: threads {left}, descriptors {open_still}", pytrace=False)


def pytest_addoption(parser: pytest.Parser) -> None:
    parser.addoption("--rounds", type=int, default=1, help="run each test so many times")


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    _faces.pytest_generate_tests(metafunc)
    rounds = metafunc.config.getoption("rounds")
    if rounds > 1:
        metafunc.fixturenames.append("round_number")
        metafunc.parametrize("round_number", range(rounds))


def pytest_configure() -> None:
    # An example gets 200 ms otherwise, and making examples must not be slow.
    slow = [HealthCheck.too_slow]
    settings.register_profile("quick", deadline=None, suppress_health_check=slow, max_examples=30)
    settings.register_profile("thorough", settings.get_profile("quick"), max_examples=200)
    # `--hypothesis-profile`, which `make test-all` gives, is obeyed after this.
    settings.load_profile("quick")
    # A shell has what runs in its background ignore SIGINT, nohup SIGHUP, and that is inherited.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    if hasattr(signal, "SIGHUP"):
        signal.signal(signal.SIGHUP, signal.SIG_DFL)


@pytest.hookimpl(optionalhook=True)
def pytest_xdist_auto_num_workers() -> int:
    """Two workers a processor: half of the time a test waits for a peer or for a program."""
    return 2 * (os.cpu_count() or 1)


@pytest.hookimpl(trylast=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes a minute comes first, so that nobody waits for it in the end."""
    items.sort(key=lambda item: item.path.stem not in LONG)


def pytest_collection_finish() -> None:
    # Ten thousand tests are millions of objects, which each full collection would look through.
    gc.collect()
    gc.freeze()


def _ports() -> Iterator[int]:
    # Below the range that the kernel gives to outgoing connections, and apart for each worker.
    first, size = 20000, 12000
    worker = int(os.environ.get("PYTEST_XDIST_WORKER", "gw0").lstrip("gw") or 0)
    start = (os.getpid() * 37 + worker * 997) % size
    for count in itertools.count(start):
        yield first + count % size


_candidates = _ports()


def find_free_port(host: str = "127.0.0.1") -> int:
    """A TCP port that nobody listens on, and that no other test is given."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    for port in itertools.islice(_candidates, 1000):
        with socket.socket(family, socket.SOCK_STREAM) as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((host, port))
            except OSError:
                continue
        return port
    raise RuntimeError("no free port")


@pytest.fixture
def forget_registered() -> Iterator[None]:
    """Takes away what a test registers."""
    known, registered = dict(registry._known), dict(uids.registered)
    yield
    for kept, before in ((registry._known, known), (uids.registered, registered)):
        kept.clear()
        kept.update(before)  # type: ignore[arg-type]


@pytest.fixture
def free_port() -> int:
    """A TCP port that nobody listens on."""
    return find_free_port()


@pytest.fixture
def free_ports() -> Callable[[int], list[int]]:
    """``free_ports(n)``: as many different ports that nobody listens on."""
    return lambda count: [find_free_port() for _ in range(count)]


@pytest.fixture(scope="session")
def python_env() -> dict[str, str]:
    """The environment for a Python of its own that imports this copy of the package."""
    path = os.pathsep.join(filter(None, [str(ROOT), os.environ.get("PYTHONPATH")]))
    env = {**os.environ, "PYTHONPATH": path, "PYTHONUNBUFFERED": "1", "COLUMNS": "200"}
    warm.start(env)
    return env


@pytest.fixture(scope="session")
def dcmtk_tools() -> dict[str, str]:
    """Paths of the DCMTK tools by name; without them, a skip, or a failure where they must run."""
    # console scripts of our own, installed in front of them, have the same names
    ours = str(Path(sys.executable).parent)
    path = os.pathsep.join(
        part for part in os.environ.get("PATH", os.defpath).split(os.pathsep) if part != ours
    )
    found = {tool: shutil.which(tool, path=path) for tool in DCMTK_TOOLS}
    missing = [tool for tool, where in found.items() if where is None]
    if missing:
        reason = f"DCMTK's tools are not installed: {', '.join(missing)}"
        if os.environ.get(REQUIRE_INTEROP):
            pytest.fail(reason, pytrace=False)
        pytest.skip(reason)
    return {tool: where for tool, where in found.items() if where is not None}


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Iterator[Any]:
    """Where interoperation is required, a skipped interop test is a failed one."""
    report = yield
    required = os.environ.get(REQUIRE_INTEROP) and item.get_closest_marker("interop")
    if required and report.skipped and not hasattr(report, "wasxfail"):
        report.outcome = "failed"
        report.longrepr = f"{REQUIRE_INTEROP} is set, but: {report.longrepr}"
    return report
