"""Several processes that serve one port: the parent starts them, and others in their stead.

They share the parent's listening socket, so that whoever is idle takes the next connection, and no
connection that waits is lost with a worker. The parent waits for signals and for its workers: each
has the writing end of a pipe, writes a byte when it serves, and closes the pipe when it ends,
however that comes about. Each also has the reading end of a pipe that the parent closes, and stops
when that happens.
"""

from __future__ import annotations

import logging
import os
import selectors
import signal
import socket
import sys
import threading
import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom import raised
from pynetdicom.apps import notify
from pynetdicom.apps.acceptor import Ready, StopSignals
from pynetdicom.apps.options import FAILED
from pynetdicom.apps.progress import Terminal
from pynetdicom.network.addresses import AddressInformation, address_text

if TYPE_CHECKING:
    from argparse import Namespace

LOGGER = logging.getLogger(__name__)

STOPPING = 10.0
"""Seconds that workers have to stop, after those that their peers have."""

SHORT_LIFE = 10.0
"""Seconds before the end of which a worker should not end."""

LONGEST_PAUSE = 30.0

Serve = Callable[[socket.socket, Ready, int], int]
"""Serves a listening socket until a signal says stop, calls what it is given once it does, and
knows its place among the workers, from 0."""


class _Worker:
    """A process that serves, in the place of one of the workers."""

    def __init__(self, pid: int, pipe: int, place: int) -> None:
        self.pid = pid
        self.pipe = pipe
        self.place = place
        self.started = time.monotonic()
        self.is_ready = False


class Workers:
    """The workers of a parent.

    Parameters
    ----------
    number : int
        How many.
    listening : socket.socket
        What they share.
    serve : callable
        What each of them does.
    drain : float
        Seconds that the peers of each have, when it is to stop.
    """

    def __init__(
        self, number: int, listening: socket.socket, serve: Serve, drain: float = 0.0
    ) -> None:
        self._number = number
        self._listening = listening
        self._serve = serve
        self._patience_to_stop = drain + STOPPING
        self._selector = selectors.DefaultSelector()
        self._alive_read, self._alive_write = os.pipe()
        self._workers: dict[int, _Worker] = {}
        # When another one starts, and in which place.
        self._pauses: list[tuple[float, int]] = []
        self._short_lives = 0

    def run(self, stop: StopSignals, announce: Callable[[], None]) -> int:
        """Serve until a signal says stop; the exit code."""
        self._selector.register(stop.fileno(), selectors.EVENT_READ)
        announced = False
        try:
            for place in range(self._number):
                self._start(place)
            while True:
                for key, _ in self._selector.select(self._patience()):
                    if key.fd == stop.fileno():
                        if stop.take():
                            notify.notify(notify.STOPPING)
                            return 0
                        continue
                    if not self._hear(self._workers[key.fd]) and not announced:
                        return FAILED  # which it has said why
                self._start_due()
                if not announced and all(one.is_ready for one in self._workers.values()):
                    announced = True
                    announce()
        finally:
            self._stop(stop)

    def reload(self) -> None:
        """Have each worker read anew what it reads."""
        self._signal(signal.SIGHUP)

    def _signal(self, number: int) -> None:
        for worker in self._workers.values():
            os.kill(worker.pid, number)

    def _patience(self) -> float | None:
        if not self._pauses:
            return None
        return max(0.0, min(self._pauses)[0] - time.monotonic())

    def _start_due(self) -> None:
        now = time.monotonic()
        due = [place for moment, place in self._pauses if moment <= now]
        self._pauses = [pause for pause in self._pauses if pause[0] > now]
        for place in due:
            self._start(place)

    def _start(self, place: int) -> None:
        reader, writer = os.pipe()
        # A signal that comes before the worker can take it waits until it can.
        signal.pthread_sigmask(signal.SIG_BLOCK, StopSignals.BLOCKED)
        pid = os.fork()
        if pid == 0:
            os.close(reader)
            self._work(writer, place)
        signal.pthread_sigmask(signal.SIG_UNBLOCK, StopSignals.BLOCKED)
        os.close(writer)
        self._workers[reader] = _Worker(pid, reader, place)
        self._selector.register(reader, selectors.EVENT_READ)

    def _work(self, writer: int, place: int) -> None:
        """Be a worker; does not return."""
        code = FAILED
        try:
            os.setpgid(0, 0)  # Ctrl-C on a terminal comes from the parent, once
            os.environ.pop(notify.SOCKET, None)  # the service manager hears the parent alone
            os.close(self._alive_write)
            for pipe in self._workers:
                os.close(pipe)
            self._selector.close()
            threading.Thread(
                target=_stop_without_parent, args=(self._alive_read,), daemon=True
            ).start()

            def ready(address: Sequence[Any]) -> None:
                signal.pthread_sigmask(signal.SIG_UNBLOCK, StopSignals.BLOCKED)
                os.write(writer, b".")

            code = self._serve(self._listening, ready, place)
        except BaseException as error:
            raised.log(LOGGER, "a worker ends:", error)
        finally:
            sys.stdout.flush()
            sys.stderr.flush()
            os._exit(code)

    def _hear(self, worker: _Worker) -> bool:
        """Take what a worker says; False when it has ended."""
        if os.read(worker.pipe, 1):
            worker.is_ready = True
            return True
        status = self._forget(worker)
        lived = time.monotonic() - worker.started
        self._short_lives = self._short_lives + 1 if lived < SHORT_LIFE else 0
        pause = (
            min(LONGEST_PAUSE, 0.1 * 2 ** min(self._short_lives, 16)) if self._short_lives else 0
        )
        LOGGER.error(
            "worker %d has ended (%s); another one starts in %.1f s", worker.pid, status, pause
        )
        self._pauses.append((time.monotonic() + pause, worker.place))
        return False

    def _forget(self, worker: _Worker) -> str:
        self._selector.unregister(worker.pipe)
        os.close(worker.pipe)
        del self._workers[worker.pipe]
        _, status = os.waitpid(worker.pid, 0)
        code = os.waitstatus_to_exitcode(status)
        return f"signal {-code}" if code < 0 else f"exit code {code}"

    def _stop(self, stop: StopSignals) -> None:
        """Stop all workers, if need be by force."""
        self._listening.close()  # nobody gets in any more, as soon as the workers have no share
        os.close(self._alive_write)  # by which each has a SIGTERM, once
        deadline = time.monotonic() + self._patience_to_stop
        for worker in list(self._workers.values()):
            while not self._has_ended(worker, deadline, stop):
                LOGGER.error("worker %d does not stop: killed", worker.pid)
                os.kill(worker.pid, signal.SIGKILL)
                deadline = time.monotonic() + STOPPING
            self._forget(worker)
        self._selector.close()
        os.close(self._alive_read)

    def _has_ended(self, worker: _Worker, deadline: float, stop: StopSignals) -> bool:
        """Wait for the end of a worker; False when time is up. Workers get another signal, too."""
        with selectors.DefaultSelector() as selector:
            selector.register(worker.pipe, selectors.EVENT_READ)
            selector.register(stop.fileno(), selectors.EVENT_READ)
            while events := selector.select(max(0.0, deadline - time.monotonic())):
                for key, _ in events:
                    if key.fd == stop.fileno():
                        if stop.take():
                            self._signal(signal.SIGTERM)
                    elif not os.read(worker.pipe, 1):
                        return True
        return False


def _stop_without_parent(alive: int) -> None:
    os.read(alive, 1)
    if not StopSignals.has_come:  # a service manager may have told all of us
        os.kill(os.getpid(), signal.SIGTERM)


def listen(where: AddressInformation) -> socket.socket:
    """Listen at an address, for those who share it.

    Raises
    ------
    OSError
        It cannot be had.
    """
    from pynetdicom.transport import ThreadedAssociationServer

    listening = socket.socket(where.address_family, socket.SOCK_STREAM)
    try:
        if where.address_family == socket.AF_INET6 and where.addr == "::":
            listening.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind(where.as_tuple)
        listening.listen(ThreadedAssociationServer.request_queue_size)
        # Whoever was faster has taken the connection: nobody is to wait for the next one instead.
        listening.setblocking(False)
    except BaseException:
        listening.close()
        raise
    return listening


def in_place(args: Namespace, place: int) -> Namespace:
    """The command line of a worker: each tells its own numbers, at a port of its own."""
    if args.metrics is None:
        return args
    host, port = args.metrics
    return type(args)(**{**vars(args), "metrics": (host, port + place if port else 0)})


def serve_with_workers(
    number: int,
    address: tuple[str, int],
    terminal: Terminal,
    serve: Serve,
    tell: Ready,
    *,
    drain: float = 0.0,
    reloads: bool = False,
) -> int:
    """Serve with several processes until a signal says stop; the exit code.

    `drain` is as for `Workers`; `reloads` says whether they read something anew on SIGHUP.
    """
    if not hasattr(os, "fork"):
        terminal.problem("several workers need a system with fork")
        return FAILED
    try:
        listening = listen(AddressInformation.from_tuple(address))
    except OSError as error:
        terminal.problem(f"cannot listen on {address_text(address)}: {error.strerror or error}")
        return FAILED
    with listening:
        workers = Workers(number, listening, serve, drain)
        with StopSignals(workers.reload if reloads else None) as stop:
            code = workers.run(stop, lambda: tell(listening.getsockname()))
    LOGGER.info("stopped")
    return code
