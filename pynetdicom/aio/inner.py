"""An association in an event loop: the one that threads have, run by strands.

What it does is that of `pynetdicom.association`; what is here says what takes the place of its
threads. Users see the `Association` of this package, its `face`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import Any

from pynetdicom import _config, association
from pynetdicom.aio.handling import LoopHandlers
from pynetdicom.aio.runtime import STOPS, LoopRuntime
from pynetdicom.aio.strands import Begun
from pynetdicom.association.performing import Performer
from pynetdicom.dimse.messages import Batch, Message
from pynetdicom.event_types import OPERATION_EVENTS
from pynetdicom.network.connection import Connection
from pynetdicom.network.dul import DUL
from pynetdicom.upper_layer.ended import Ended

_ON_THREADS = OPERATION_EVENTS.keys() - {"C-GET", "C-MOVE"}
"""What a plain handler has all to do with; a retrieve has associations and files of its own."""


class Begins:
    """What is a thread elsewhere, and is begun in the loop here."""

    _begun: Begun | None = None

    @property
    def ident(self) -> int | None:
        """As a thread's."""
        return None if self._begun is None else self._begun.ident

    def is_alive(self) -> bool:
        """As a thread's."""
        return self._begun is not None and self._begun.is_alive()

    def join(self, timeout: float | None = None) -> None:
        """As a thread's."""
        if self._begun is not None:
            self._begun.join(timeout)


class LoopDUL(DUL):
    """The DUL service of an association in a loop; callbacks of the loop have it read."""

    is_beside = True
    _runtime: LoopRuntime
    # Bytes of a data set that go into no file, so that the loop itself may take them.
    _most_in_memory = 0

    def __init__(self, *args: Any, **given: Any) -> None:
        super().__init__(*args, **given)
        self.send_data = self._send_data

    def _send_data(self, batches: Iterable[Batch], waits: bool = True) -> bool:
        """As `Driver.send_data`; a peer that reads as fast does not keep the loop from others."""
        if not waits:  # it may be a finalizer that sends
            return self.driver.send_data(batches, waits=False)
        give_way = self._runtime.give_way
        give_way()
        if isinstance(batches, tuple):  # all at once
            return self.driver.send_data(batches)
        return self.driver.send_data(_giving_way(batches, give_way))

    def _begin(self) -> Begun:
        link: Any = self.link
        server = link.server
        self._most_in_memory = _config.SPOOL_THRESHOLD if server is None else server.spool_threshold
        variables = link.handlers.variables.copy()
        return self._runtime.begin_reader(self.name, self.run, variables)

    def see_closed(self) -> bool:
        """As `DUL.see_closed`; at once, where the loop is shut down meanwhile."""
        try:
            return super().see_closed()
        except STOPS:
            if isinstance(self._thread, Begun):
                self._thread.end()
            if self.connection.fileno() >= 0:  # it had not begun to read
                self._close()
            raise

    def _understand(self, count: int = 0) -> None:
        assembler: Any = self._user.assembler
        if count > self._most_in_memory or assembler.is_filing(count):
            # A data set goes into a file, or may: on a thread, while nothing more is read.
            self._runtime.aside_to_files(_understand_files, self, super()._understand, count)
        else:
            super()._understand(count)

    def _close(self) -> None:
        watch = self._watch
        if watch is not None:
            # Before the connection is closed: its descriptor may be another's after that.
            watch.close()
        super()._close()


def _giving_way(batches: Iterable[Batch], give_way: Callable[[], None]) -> Iterator[Batch]:
    is_first = True
    for batch in batches:
        if not is_first:
            give_way()
        is_first = False
        yield batch


def _understand_files(dul: LoopDUL, understand: Callable[[int], None], count: int) -> None:
    """Understand what was received, and what comes meanwhile for the same file; on a thread."""
    understand(count)
    connection = dul.connection
    assembler: Any = dul._user.assembler
    while assembler.is_filing(0) and not (dul._finished or connection.is_tls or dul.is_paused):
        connection.quick_ack()
        try:
            count = dul.framer.fill(connection.recv) or 0
        except BlockingIOError:
            break
        except OSError as error:
            dul.driver.problem = dul.driver.problem or error
            count = 0
        if not count:
            dul._finished = True
        else:
            understand(count)


class LoopPerformer(Performer):
    """The performing DIMSE-service-user of an association in a loop."""

    def _serve_request(self, message: Message) -> None:
        """Serve one request; with a plain handler on a thread, which sends the response itself.

        It would have to wait for the loop otherwise, and the peer for both.
        """
        handlers: Any = self.link.handlers
        name = message.primitive.name
        if name in _ON_THREADS and handlers.are_plain(OPERATION_EVENTS[name]):
            runtime: Any = self.link.runtime
            runtime.aside_to_handlers(super()._serve_request, message)
        else:
            super()._serve_request(message)


class LoopAssociation(Begins, association.Association):
    """An association in a loop.

    Parameters
    ----------
    make_face : callable
        Makes what users see of it.
    runtime : LoopRuntime
    ae, mode, **given
        As for `pynetdicom.association.Association`.

    Attributes
    ----------
    face
        What users see of it.
    """

    _runtime: LoopRuntime
    _dul_kind = LoopDUL
    _performer_kind = LoopPerformer
    _handlers_kind = LoopHandlers

    def __init__(
        self,
        make_face: Callable[[Any], Any],
        runtime: LoopRuntime,
        ae: Any,
        mode: Any,
        **given: Any,
    ) -> None:
        self._runtime = runtime
        self._make_face = make_face
        super().__init__(ae, mode, **given)
        self.face = make_face(self)

    @property
    def _make_another(self) -> Callable[..., association.Association]:
        return partial(LoopAssociation, self._make_face, self._runtime)

    def start(self) -> None:
        """As a thread's."""
        handlers: Any = self._handlers
        self._runtime.lives(self)
        try:
            self._begun = self._runtime.begin(
                self.name, self.run, context=handlers.variables, never=self._never_ran
            )
        except BaseException:
            self._runtime.lives_no_more(self)
            raise

    def _never_ran(self) -> None:
        """The loop was shut down before it could begin."""
        self.dul.abort(Ended("aborted", "local", 0, 0))
        if isinstance(self.dul.connection, Connection):
            self.dul.connection.close()
        self._link.ae._running.discard(self)
        if self._link.server is not None:
            self._link.server.association_ended(self)
        self._runtime.lives_no_more(self)

    def run(self) -> None:
        """Negotiate, serve, and see to the end."""
        try:
            super().run()
        finally:
            self._runtime.soon(self._runtime.lives_no_more, self)

    def _cut(self) -> None:
        """Shut the connection down; what still runs for it, such as a handler, is cancelled."""
        super()._cut()
        for begun in (self._begun, *self._performer.workers):
            if isinstance(begun, Begun):
                self._runtime.soon(begun.cancel)

    def _wait_ended(self, deadline: float) -> bool:
        """Wait until it has ended; the loop may have before."""
        return not self._runtime.loop.is_running() or super()._wait_ended(deadline)

    def _what_holds_it(self) -> str:
        """What it is busy with, for a warning."""
        return "a handler does not return"
