"""Pending responses of a C-MOVE while one of its sub-operations takes long.

The requestor hears nothing of a sub-operation: that goes over an association of its own. It would
take us for dead while the destination is slow to be reached, to receive, or to answer. So when one
has lasted for `REPORT_EVERY` seconds it is sent another response with the same counters, and again
after as many (PS3.4 C.4.2.3.1). A thread does it, one a C-MOVE: the one that serves the C-MOVE is
busy with the sub-operation. It sleeps until a report may be due, however many sub-operations end
meanwhile.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import time
from collections.abc import Callable, Iterator
from functools import partial
from queue import Empty

from pynetdicom.network.dul import Stopped
from pynetdicom.network.runtime import THREADS, Running, Runtime

LOGGER = logging.getLogger("pynetdicom.service")

REPORT_EVERY = 5.0
"""Seconds of a sub-operation after which the requestor is told that it is still on its way."""


class PendingReports:
    """Has reports sent while something lasts.

    Parameters
    ----------
    runtime : Runtime
    """

    def __init__(self, runtime: Runtime = THREADS) -> None:
        self._runtime = runtime
        # The one that reports has it meanwhile; the one that serves the C-MOVE, to end that.
        self._reporting = runtime.hold()
        self._woken = runtime.queue()
        self._report: Callable[[], None] | None = None
        self._due = 0.0
        self._is_idle = self._is_closed = False
        self._thread: Running | None = None

    @contextlib.contextmanager
    def during(self, report: Callable[[], None]) -> Iterator[None]:
        """Have `report` called, on another thread, whenever it is due; never after this.

        A call that is being made when this ends is waited for.
        """
        self._due = time.monotonic() + REPORT_EVERY
        self._report = report
        if self._thread is None:
            self._start()
        elif self._is_idle:
            self._woken.put(None)
        try:
            yield
        finally:
            self._reporting.run(self._forget)

    def _forget(self) -> None:
        self._report = None

    def close(self) -> None:
        """End the thread."""
        self._is_closed = True
        self._woken.put(None)
        if self._thread is not None:
            self._thread.join()

    def _start(self) -> None:
        # Handlers of what is sent find the same context variables as on this thread.
        run = partial(contextvars.copy_context().run, self._run)
        try:
            self._thread = self._runtime.start("C-MOVE", run)
        except RuntimeError as error:  # there are too many; the sub-operation needs none
            LOGGER.warning("no pending responses will be sent meanwhile: %s", error)

    def _run(self) -> None:
        with contextlib.suppress(Stopped):  # there is nobody to report to any more
            while not self._is_closed:
                self._is_idle = True  # before it looks: it is woken only where it is idle
                if self._report is None:
                    self._woken.get()
                    continue
                self._is_idle = False
                left = self._due - time.monotonic()
                if left > 0:
                    with contextlib.suppress(Empty):
                        self._woken.get(timeout=left)
                else:
                    # What this raises ends the thread, and spoils nothing that is being sent.
                    self._reporting.run(self._send)

    def _send(self) -> None:
        # The sub-operation does not end meanwhile, so that its counters are still true.
        if self._report is not None:
            self._report()
            self._due = time.monotonic() + REPORT_EVERY
