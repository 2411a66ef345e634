"""The server of an app that is SCP: started, announced, and stopped by a signal."""

from __future__ import annotations

import logging
import signal
import socket
import threading
from argparse import Namespace
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from functools import partial
from types import TracebackType
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom import raised
from pynetdicom.apps import security
from pynetdicom.apps.notify import READY, STOPPING, notify, reloading
from pynetdicom.apps.options import FAILED, Failure
from pynetdicom.apps.progress import Terminal
from pynetdicom.network import threads
from pynetdicom.network.addresses import address_text

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.transport import AssociationServer, ThreadedAssociationServer

LOGGER = logging.getLogger(__name__)


_DONE = b"\0"
"""What comes where signals do, and is none."""

Ready = Callable[[Sequence[Any]], None]
"""Is told the address, once it is listened at."""

HANGUP: signal.Signals | None = getattr(signal, "SIGHUP", None)


def _ignore(number: int, frame: object) -> None:
    pass


@contextmanager
def surviving_hangups(*, needed: bool = True) -> Iterator[None]:
    """Go on when the terminal is closed, or somebody says that there is something to read anew."""
    is_main = threading.current_thread() is threading.main_thread()
    if not needed or HANGUP is None or not is_main or signal.getsignal(HANGUP) is signal.SIG_IGN:
        yield
        return
    before = signal.signal(HANGUP, _ignore)
    try:
        yield
    finally:
        signal.signal(HANGUP, before)


class StopSignals:
    """Waits for SIGINT or SIGTERM, which do nothing else meanwhile.

    Parameters
    ----------
    reload : callable, optional
        What SIGHUP has done, on the main thread, where `surviving_hangups` lets it come here. What
        it raises is logged: then all stays as it was.
    """

    SIGNALS = (signal.SIGINT, signal.SIGTERM)
    BLOCKED = (*SIGNALS, *((HANGUP,) if HANGUP is not None else ()))
    """What a process that is being made is not to take yet."""
    has_come = False
    """Whether this process was told to stop."""

    def __init__(self, reload: Callable[[], object] | None = None) -> None:
        self._reload = reload

    def __enter__(self) -> StopSignals:
        # The interpreter writes each signal's number to the socket, which wakes the main thread on
        # every system, also on those where a signal does not interrupt a wait for a lock.
        self._reader, self._writer = socket.socketpair()
        self._writer.setblocking(False)
        StopSignals.has_come = False
        self._wakeup_before = signal.set_wakeup_fd(self._writer.fileno())
        self._before = {number: signal.signal(number, _ignore) for number in self.SIGNALS}
        return self

    def fileno(self) -> int:
        """What is readable when one has come, for whoever waits for other things too."""
        return self._reader.fileno()

    def wait(self) -> None:
        """Return when one has come."""
        while not self.take():
            pass

    def take(self) -> bool:
        """Take one that has come; whether it says stop."""
        number = self._reader.recv(1)[0]
        if number == HANGUP:
            self._read_anew()
        is_stop = number in self.SIGNALS
        StopSignals.has_come = StopSignals.has_come or is_stop
        return is_stop

    def _read_anew(self) -> None:
        if self._reload is None:
            LOGGER.warning("SIGHUP: nothing is read anew, and serving goes on")
            return
        notify(*reloading())
        try:
            self._reload()
        except Exception as error:
            LOGGER.error("SIGHUP: all stays as it was: %s", error)
            raised.show(LOGGER, error)
        else:
            LOGGER.info("SIGHUP: read anew")
        notify(READY)

    def wait_for(self, work: Callable[[], object]) -> None:
        """Have a thread do some work, and return when it is done, or when another signal comes."""

        def run() -> None:
            try:
                work()
            finally:
                with suppress(OSError):  # it is too late: nobody waits any more
                    self._writer.send(_DONE)

        threads.start("stopping", run)
        while True:
            number = self._reader.recv(1)[0]
            if number in self.SIGNALS or number == _DONE[0]:
                return

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None:
        for number, handler in self._before.items():
            signal.signal(number, handler)
        signal.set_wakeup_fd(self._wakeup_before)
        self._reader.close()
        self._writer.close()


def say_listening(address: Sequence[Any]) -> None:
    """Say where an app listens: who started it may have no other way to learn the port."""
    print(f"listening on {address_text(address)}", flush=True)
    notify(READY, f"STATUS=listening on {address_text(address)}")


@contextmanager
def measured(where: tuple[str, int] | None, server: AssociationServer) -> Iterator[None]:
    """Tell by HTTP what a server has done, and whether it listens, if that is wanted.

    Raises
    ------
    Failure
        The address cannot be listened on.
    """
    if where is None:
        yield
        return
    from pynetdicom.metrics import MetricsServer

    try:
        metrics = MetricsServer(where, [server], is_ready=lambda: not StopSignals.has_come)
    except OSError as error:
        why = error.strerror or error
        raise Failure(f"--metrics: cannot listen on {address_text(where)}: {why}") from None
    with metrics:
        LOGGER.info("metrics are at http://%s/metrics", address_text(metrics.address))
        yield


def wait_and_drain(stop: StopSignals, server: AssociationServer, seconds: float) -> None:
    """Wait for a signal, and then for the peers, for so many seconds or until another signal."""
    stop.wait()
    notify(STOPPING)
    if seconds > 0:
        stop.wait_for(partial(server.drain, seconds))


class Place(Protocol):
    """Where an app listens."""

    @property
    def bind_address(self) -> str:
        """The interface's."""

    @property
    def port(self) -> int:
        """0 for a free one."""


def sharing(listening: socket.socket) -> type[ThreadedAssociationServer]:
    """A kind of server that takes its share in a listening socket, in the place of its own."""
    from pynetdicom.transport import ThreadedAssociationServer

    class Sharing(ThreadedAssociationServer):
        accepts_at_once = 1  # the next one is for whoever is idle

        def server_bind(self) -> None:
            self.socket.close()
            self.socket = listening
            self.server_address = listening.getsockname()

        def server_activate(self) -> None:
            pass

    return Sharing


def start(
    ae: ApplicationEntity,
    address: tuple[str, int],
    listening: socket.socket | None = None,
    **server_options: Any,
) -> ThreadedAssociationServer:
    """Have an AE listen, at an address or by its share in a socket; OSError if it cannot."""
    from pynetdicom.transport import ThreadedAssociationServer

    kind = ThreadedAssociationServer
    if listening is not None:
        kind = sharing(listening)
    server = ae.make_server(address, server_class=kind, **server_options)
    assert isinstance(server, ThreadedAssociationServer)
    server.start()
    return server


def serve(
    args: Namespace | Place,
    ae: ApplicationEntity,
    terminal: Terminal,
    *,
    drain: float = 0.0,
    metrics: tuple[str, int] | None = None,
    reload: Callable[[AssociationServer], object] | None = None,
    stopping: Callable[[], object] = lambda: None,
    listening: socket.socket | None = None,
    ready: Ready = say_listening,
    **server_options: Any,
) -> int:
    """Serve until a signal says stop; 0 when it was stopped, 1 when it could not start.

    Parameters
    ----------
    args : Namespace or Place
        Where to listen.
    ae : ApplicationEntity
    terminal : Terminal
    drain : float
        Seconds that peers have, from the first signal on, to finish what they are at.
    metrics : tuple of str and int, optional
        Where to tell what was done.
    reload : callable, optional
        As for `StopSignals`, called with the server; where none is given, the files of TLS and of
        ``--access`` are read again. Where there is none of all that, SIGHUP is what it is for other
        programs, but within `surviving_hangups`.
    stopping : callable
        Called before the AE's associations end.
    listening : socket.socket, optional
        Which other processes serve, too, in the place of the address of `args`.
    ready : callable
        Called with the address once it listens.
    **server_options
        Parameters of `ApplicationEntity.start_server`.
    """
    if isinstance(args, Namespace):
        ours = security.of_listener(args, ae)
        reload = reload or security.reloading(args, ours.get("tls"))
        handlers = [*ours.pop("evt_handlers", ()), *server_options.pop("evt_handlers", ())]
        server_options |= {**ours, "evt_handlers": [*handlers, *getattr(args, "capturing", ())]}

    def read_anew() -> None:
        assert reload is not None
        assert server is not None  # signals are taken when it listens
        reload(server)

    anew = None if reload is None else read_anew
    with surviving_hangups(needed=reload is not None), StopSignals(anew) as stop:
        try:
            server = start(ae, (args.bind_address, args.port), listening, **server_options)
        except OSError as error:
            where = address_text((args.bind_address, args.port))
            terminal.problem(f"cannot listen on {where}: {error.strerror or error}")
            return FAILED
        try:
            with measured(metrics, server):
                ready(server.server_address)
                wait_and_drain(stop, server, drain)
        finally:
            stopping()
            ae.shutdown()
    LOGGER.info("stopped")
    return 0
