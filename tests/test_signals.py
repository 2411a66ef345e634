"""Real signals, at moments of chance, whose handlers end what their thread is at.

Each process is sent a few hundred; ``PYNETDICOM_SIGNALS`` in the environment says how many in all,
``make test-signals`` sends 10,000.
"""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE
from tests.injection import VERIFICATION

COUNT = int(os.environ.get("PYNETDICOM_SIGNALS", "400"))
PROCESSES = 2
DEADLINE = 20.0

pytestmark = pytest.mark.skipif(not hasattr(signal, "setitimer"), reason="no interval timers")


@pytest.mark.slow
@pytest.mark.timeout(300 + COUNT)
def test_signals_at_any_moment(python_env: dict[str, str]) -> None:
    """Nothing hangs, no thread and no descriptor is left, and the server serves to the end."""
    processes = []
    for _ in range(PROCESSES):
        seed = str(random.randrange(1 << 30))
        command = [sys.executable, "-m", "tests.signalled", seed, str(COUNT // PROCESSES)]
        env = {**python_env, "PYTHONPATH": str(Path(__file__).parent.parent)}
        processes.append(
            subprocess.Popen(
                command, env=env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
        )
    for process in processes:
        out, err = process.communicate()
        assert process.returncode == 0, (process.args, err)
        handled, alive, descriptors = map(int, out.split())
        assert handled >= COUNT // PROCESSES
        assert alive == 0
        # Those that every Python has, what pydicom keeps open, and the one that lists them.
        assert descriptors < 10


def interrupt_main(ready: threading.Event, done: threading.Event) -> None:
    """Send the main thread a signal when it is about to wait, and until it has been handled."""
    assert ready.wait(DEADLINE)
    main = threading.main_thread().ident or 0
    while not done.wait(0.05):
        signal.pthread_kill(main, signal.SIGUSR1)


@pytest.mark.parametrize("how", ["shutdown", "server"])
def test_shutdown_by_a_signal_in_the_thread_that_serves(how: str) -> None:
    """`start` and `start_server` with `block` return, and leave nothing behind."""
    if threading.current_thread() is not threading.main_thread():
        pytest.skip("signals are handled by the main thread")
    ae = AE()
    ae.add_supported_context(VERIFICATION)
    handled: list[float] = []
    ready, done = threading.Event(), threading.Event()

    def handle(*_: Any) -> None:
        if handled:
            return
        begun = time.monotonic()
        if how == "shutdown":
            ae.shutdown()
        else:
            next(iter(ae._running.servers)).shutdown()
        handled.append(time.monotonic() - begun)
        done.set()

    def connect() -> None:
        scu = AE()
        scu.add_requested_context(VERIFICATION)
        while not ae._running.servers:
            pass
        assoc = scu.associate("127.0.0.1", next(iter(ae._running.servers)).server_address[1])
        ready.set()
        assoc.join(DEADLINE)
        scu.shutdown()

    before = signal.signal(signal.SIGUSR1, handle)
    threads = [
        threading.Thread(target=connect),
        threading.Thread(target=interrupt_main, args=(ready, done)),
    ]
    try:
        for thread in threads:
            thread.start()
        ae.start_server(("127.0.0.1", 0), block=True)
    finally:
        done.set()
        for thread in threads:
            thread.join(DEADLINE)
        signal.signal(signal.SIGUSR1, before)
    assert handled
    assert not ae._running.servers
    assert not ae.active_associations
