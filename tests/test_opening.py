"""What it takes to open an association, use it once and release it, in counts.

They do not depend on the machine, and only ever go down.
"""

from __future__ import annotations

import gc
import os
import re
import resource
import shutil
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType
from typing import Any

import pytest

from pynetdicom import AE
from pynetdicom.presentation import AllStoragePresentationContexts
from pynetdicom.transport import ThreadedAssociationServer
from tests.conftest import open_descriptors
from tests.faults.peer import until
from tests.test_calls import Calls, calls

__all__ = ["calls"]

VERIFICATION = "1.2.840.10008.1.1"

CALLS = 876
"""Python functions of the library, on both sides together."""
SWITCHES = 14
"""Waits of the requestor's process, with those for the interpreter lock."""
OBJECTS = 230
"""That the garbage collector goes through, of both sides of an association."""
SYSTEM_CALLS = {
    # Of both sides; the waits for a socket, and the lock's calls, are a matter of chance.
    "clone3": 2, "socket": 1, "connect": 1, "accept4": 2, "socketpair": 0, "eventfd2": 2,
    "sendmsg": 6, "sendto": 0, "close": 4, "setsockopt": 2, "ioctl": 3, "getsockname": 3,
    "getpeername": 2, "epoll_ctl": 2, "openat": 0,
}  # fmt: skip


class Sides:
    """An SCP and an SCU, in one process."""

    def __init__(self) -> None:
        self.scp, self.scu = AE("SCP"), AE("SCU")
        self.scp.maximum_associations = 10_000
        for ae in (self.scp, self.scu):
            ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 300
        self.scp.add_supported_context(VERIFICATION)
        self.scu.add_requested_context(VERIFICATION)
        server = self.scp.start_server(("127.0.0.1", 0), block=False)
        assert isinstance(server, ThreadedAssociationServer)
        self.server = server

    def open(self) -> Any:
        assoc = self.scu.associate(*self.server.server_address[:2])
        assert assoc.is_established, assoc.ended
        return assoc

    def whole(self) -> None:
        """Associate, C-ECHO, release."""
        assoc = self.open()
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        assert assoc.is_released

    def settle(self, living: int = 0) -> None:
        """Wait until the threads of the others have ended."""
        here = 1 + 2 * living
        is_theirs = "pynetdicom-{}".format
        names = [is_theirs(name) for name in ("requestor", "acceptor")]

        def left() -> int:
            return sum(any(map(one.name.startswith, names)) for one in threading.enumerate())

        assert until(lambda: left() < here, 60)


@pytest.fixture
def sides() -> Iterator[Sides]:
    both = Sides()
    try:
        yield both
    finally:
        both.scu.shutdown()
        both.scp.shutdown()


def test_python_calls(calls: Calls) -> None:
    sides = Sides()
    with sides.scp, sides.scu:
        counted = []
        for _ in range(20):
            calls.codes = Counter()
            sides.whole()
            sides.settle()
            counted.append(calls.of_the_package())
        least = min(counted[3:], key=Counter.total)
    assert least.total() <= CALLS, least.most_common(60)


class Opcodes:
    """A trace function that counts the bytecodes of the package."""

    def __init__(self) -> None:
        self.count = 0

    def __call__(self, frame: FrameType, event: str, arg: Any) -> Any:
        if event == "opcode":
            self.count += 1
        elif event == "call":
            frame.f_trace_opcodes, frame.f_trace_lines = True, False
        return self


@contextmanager
def traced(opcodes: Opcodes) -> Iterator[None]:
    threading.settrace(opcodes)
    try:
        yield
    finally:
        threading.settrace(None)  # type: ignore[arg-type]  # typeshed does not know of it


def test_it_takes_as_much_beside_many_others() -> None:
    """On the listener's thread, and those of the association."""
    opcodes = Opcodes()
    with traced(opcodes):
        sides = Sides()
        with sides.scp, sides.scu:

            def least() -> int:
                counted = []
                for _ in range(10):
                    before = opcodes.count
                    sides.whole()
                    sides.settle(len(living))
                    counted.append(opcodes.count - before)
                return min(counted[2:])

            living: list[Any] = []
            alone = least()
            living += [sides.open() for _ in range(60)]
            assert least() < 1.02 * alone


def test_with_many_contexts(calls: Calls) -> None:
    """Those of a request like an earlier one are not gone through."""
    sides = Sides()
    contexts = AllStoragePresentationContexts[:127]
    with sides.scp, sides.scu:
        for context in contexts:
            sides.scp.add_supported_context(context.abstract_syntax)
        sides.server.contexts = sides.scp.supported_contexts
        sides.scu.requested_contexts = contexts
        counted = []
        for _ in range(8):
            calls.codes = Counter()
            sides.whole()
            sides.settle()
            counted.append(calls.of_the_package())
        least = min(counted[1:], key=Counter.total)
    each_once = len(contexts)  # a look at what is proposed
    assert least.total() <= CALLS + 1.5 * each_once, least.most_common(20)


def test_threads_descriptors_and_objects(sides: Sides) -> None:
    for _ in range(3):
        sides.whole()
    sides.settle()
    gc.collect()
    threads, descriptors = threading.active_count(), len(open_descriptors())
    objects = len(gc.get_objects())
    living = [sides.open() for _ in range(20)]
    for assoc in living:
        assoc.send_c_echo()
    assert threading.active_count() - threads == 2 * 20
    waker = 1 if hasattr(os, "eventfd") else 2
    if descriptors:
        assert len(open_descriptors()) - descriptors == 2 * (1 + waker) * 20
    gc.collect()
    assert len(gc.get_objects()) - objects <= OBJECTS * 20


_SCP = """
import sys
from pynetdicom import AE
ae = AE()
ae.add_supported_context("1.2.840.10008.1.1")
server = ae.start_server(("127.0.0.1", 0), block=False)
print(server.server_address[1], flush=True)
sys.stdin.read()
ae.shutdown()
"""


@contextmanager
def scp_in_a_process() -> Iterator[int]:
    pipes: Any = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
    with subprocess.Popen([sys.executable, "-c", _SCP], text=True, **pipes) as process:
        try:
            yield int(process.stdout.readline())  # type: ignore[union-attr]  # it is a pipe
        finally:
            process.communicate()


def test_context_switches() -> None:
    """How often the threads of a requestor wait."""
    scu = AE()
    scu.add_requested_context(VERIFICATION)

    def whole(port: int) -> None:
        assoc = scu.associate("127.0.0.1", port)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()

    def switches() -> int:
        return resource.getrusage(resource.RUSAGE_SELF).ru_nvcsw

    with scp_in_a_process() as port, scu:
        counted = []
        for _ in range(12):
            before = switches()
            for _ in range(10):
                whole(port)
            counted.append((switches() - before) / 10)
    assert min(counted) <= SWITCHES, counted


_BOTH = """
import contextlib, os, time
from pynetdicom import AE

def mark():
    with contextlib.suppress(OSError):
        os.rmdir("/no such directory")

scp, scu = AE(), AE()
scp.add_supported_context("1.2.840.10008.1.1")
scu.add_requested_context("1.2.840.10008.1.1")
server = scp.start_server(("127.0.0.1", 0), block=False)
for number in range(25):
    if number == 5:
        mark()
    assoc = scu.associate("127.0.0.1", server.server_address[1])
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
mark()
scp.shutdown()
"""


@pytest.mark.skipif(shutil.which("strace") is None, reason="there is no strace")
def test_system_calls(tmp_path: Path) -> None:
    path = tmp_path / "trace"
    which = f"trace=rmdir,{','.join(SYSTEM_CALLS)}"
    trace = ["strace", "-f", "--seccomp-bpf", "-qq", "-e", which, "-o", str(path)]
    run = subprocess.run([*trace, sys.executable, "-c", _BOTH], timeout=60)
    if run.returncode or not path.exists():
        pytest.skip("nothing can be traced here")
    _, between, _ = re.split(r".*\brmdir\(.*\n", path.read_text())
    calls = Counter(re.findall(r"^\d+ +(\w+)\(", between, re.MULTILINE))
    # The threads of some associations of the SCP end before, or after.
    found = {name: calls[name] / 20 for name in SYSTEM_CALLS}
    assert all(found[name] <= most + 0.2 for name, most in SYSTEM_CALLS.items()), found
