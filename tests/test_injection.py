"""Never stuck: Ctrl-C, or a call by a signal's handler or a finalizer, between any two bytecodes.

A sample of the boundaries, another one in each run; all with ``PYNETDICOM_INJECT=all`` in the
environment, or ``make test-injection``.
"""

from __future__ import annotations

import gc
import os
import random
import sys
import threading
import time
from collections.abc import Iterator
from typing import Any

import pytest

from tests.conftest import leaked_descriptors, leaked_threads, open_descriptors
from tests.faults.peer import until
from tests.injection import ACTIONS, CALLS, DEADLINE, Caller, Injector, in_time, serve
from tests.sampled import sampled

ALL = os.environ.get("PYNETDICOM_INJECT") == "all"
SAMPLES = int(os.environ.get("PYNETDICOM_SAMPLES", "30"))


@pytest.fixture(scope="module")
def port() -> Iterator[int]:
    ae, port = serve()
    prepare(port, "echo").ae.shutdown()  # by then the listener's thread has all that it needs
    yield port
    ae.shutdown()


def prepare(port: int, call: str) -> Caller:
    caller = Caller(port)
    if call not in ("associate", "serve"):
        caller.associate()
        assert caller.assoc.is_established, caller.assoc.ended
    return caller


def boundaries(port: int, call: str) -> int:
    """How many there are, once all is imported that is needed on the first time only."""
    for _ in range(3):
        caller = prepare(port, call)
        injector = Injector(0, lambda: None)
        assert in_time(getattr(caller, call), call, injector) is None
        caller.ae.shutdown()
    return injector.count


def check(caller: Caller, what: str, threads: set[Any], descriptors: dict[int, str]) -> None:
    """Nothing is left behind, and the association is of use or says how it has ended."""
    assoc = caller.assoc
    if assoc is not None:
        if assoc.is_established:
            if caller.responses is not None:
                caller.responses.close()
            status = in_time(assoc.send_c_echo, f"an echo after {what}")
            if assoc.is_established:  # a release may have been asked for, and come just then
                assert status.Status == 0x0000, (what, status)
                assert until(lambda: not assoc.dimse.outstanding(), DEADLINE), what
        else:
            with pytest.raises(RuntimeError, match="must be established"):
                assoc.send_c_echo()
            assert assoc.ended is not None, what
    for one in caller.ae.active_associations:
        in_time(one.abort, f"an abort after {what}")
    in_time(caller.ae.shutdown, f"the shutdown after {what}")
    caller.assoc = caller.responses = None
    left = leaked_threads(threads, time.monotonic() + DEADLINE)
    # The server's threads of that association end by themselves.
    assert not left, (what, left)
    if not until(lambda: not leaked_descriptors(descriptors), 0.2):
        gc.collect()
        assert until(lambda: not leaked_descriptors(descriptors), DEADLINE), (
            what,
            leaked_descriptors(descriptors),
        )


@pytest.fixture(autouse=True)
def unraisable(monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an exception that comes out of a finalizer Python tells, and drops it: so do we."""
    monkeypatch.setattr(sys, "unraisablehook", lambda *_: None)


@pytest.mark.filterwarnings("ignore::ResourceWarning")
@pytest.mark.timeout(24 * 3600 if ALL else 300)
@sampled("action", ACTIONS, keep=["interrupt", "shutdown"])
@sampled("call", CALLS, keep=["echo", "store", "find", "associate"])
def test_between_any_two_bytecodes(port: int, call: str, action: str) -> None:
    if action == "close" and call not in ("find", "leave", "get"):
        pytest.skip("there is nothing to close")
    count = boundaries(port, call)
    assert count > 20
    stride = 1 if ALL else max(1, count // SAMPLES)
    threads, descriptors = set(threading.enumerate()), open_descriptors()
    failures: list[str] = []
    for at in range(1 + random.randrange(stride), count + 1, stride):
        caller = prepare(port, call)
        injector = Injector(at, lambda: caller.do(action))  # noqa: B023  # called before the next
        outcome = in_time(getattr(caller, call), f"{call}, {action} at {at}", injector)
        what = f"{call}, {action} at {at} of {count}: {injector.where}, {outcome!r}"
        assert outcome is None or isinstance(outcome, (KeyboardInterrupt, RuntimeError)), what
        del outcome
        try:
            check(caller, what, threads, descriptors)
        except AssertionError as error:
            if not ALL:
                raise
            failures.append(f"{what}: {str(error)[:3000]}")
    assert not failures, "\n".join(failures)
