"""What runs of an application entity: its servers and its associations, and how they are ended."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterable
from typing import Any, Protocol

from pynetdicom.network.latch import Hold

LOGGER = logging.getLogger("pynetdicom.ae")

# shutdown() returns within 2 s. Peers get half a second to take the A-ABORT and close.
_POLITE = 0.5
_SHUTDOWN = 1.8


class Runs(Protocol):
    """An association, to be requested and ended."""

    name: str

    @property
    def ident(self) -> int | None: ...
    @property
    def is_acceptor(self) -> bool: ...
    @property
    def _has_ended(self) -> bool: ...
    def request(self) -> None: ...
    def abort(self, block: bool = True) -> None: ...
    def _end_when_idle(self, seconds: float) -> None: ...
    def _cut(self) -> None: ...
    def is_alive(self) -> bool: ...
    def _wait_ended(self, deadline: float) -> bool: ...
    def _what_holds_it(self) -> str: ...


class Listens(Protocol):
    """A server, to be ended."""

    def all_associations(self) -> list[Any]: ...
    def stop_listening(self) -> None: ...
    def wait_stopped(self, deadline: float) -> None: ...
    def server_close(self) -> None: ...


class Running:
    """The servers and associations of an AE.

    Only the threads of lobbies take its one lock, to count how many associations there are. What
    `shutdown` needs, which may interrupt any of them, are sets, whose own operations are atomic.
    """

    def __init__(self) -> None:
        self.servers: set[Any] = set()
        self.associations: set[Any] = set()
        # Those of them that were accepted and have not ended, to be counted at once.
        self.accepted: set[Any] = set()
        # What goes on when an association ends on which many files are being sent.
        self.sending: set[Any] = set()
        self._counting = Hold()
        self._reserved = 0

    @property
    def active(self) -> list[Any]:
        """The associations that have not ended."""
        return [assoc for assoc in list(self.associations) if not assoc._has_ended]

    def reserve(self, maximum: int) -> bool:
        """Make room for an association that is about to be accepted; False if there is none."""
        return bool(self._counting.run(self._reserve, maximum))

    def _reserve(self, maximum: int) -> bool:
        if len(self.accepted) + self._reserved >= maximum:
            return False
        self._reserved += 1
        return True

    def take_place(self, assoc: Runs | None) -> None:
        """Take note of what becomes of a place that `reserve` gave: an association, or nothing."""
        self._counting.run(self._take_place, assoc)

    def _take_place(self, assoc: Runs | None) -> None:
        if assoc is not None:
            self.associations.add(assoc)
            self.accepted.add(assoc)
        self._reserved -= 1

    def gives_place(self, assoc: object) -> None:
        """Take note that an association has ended, and its thread is about to."""
        self.accepted.discard(assoc)

    def discard(self, assoc: object) -> None:
        """Take note that the thread of an association ends, or was never started."""
        self.associations.discard(assoc)
        self.accepted.discard(assoc)

    def request(self, assoc: Runs) -> None:
        """Request an association and wait for the outcome."""
        try:
            self.associations.add(assoc)
            assoc.request()
        except BaseException:  # Ctrl-C, or no thread to be had
            self.forget(assoc)
            raise

    def forget(self, assoc: Runs) -> None:
        """Give up an association that nobody would have."""
        assoc.abort(block=False)
        if assoc.ident is None:  # it was never started
            self.discard(assoc)

    def shutdown(self) -> None:
        """Abort all associations and stop all servers."""
        for succession in list(self.sending):
            # First of all, or else others would take their places.
            succession.first.abort(block=False)
        self.stop(self.servers, self.associations)

    @classmethod
    def drain(cls, server: Listens, timeout: float, idle: float) -> int:
        """Stop a server, and let its associations come to an end before; see its `drain`."""
        deadline = time.monotonic() + timeout
        server.stop_listening()
        server.server_close()
        living = server.all_associations()  # none is admitted after that
        LOGGER.info("no more associations are accepted, %d go on for %g s", len(living), timeout)
        for assoc in living:
            assoc._end_when_idle(idle)
        for assoc in living:
            assoc._wait_ended(deadline)
        left = [assoc for assoc in living if not assoc._has_ended]
        if left:
            LOGGER.warning("%d associations are aborted, their time is up", len(left))
        cls.stop([server], living)
        return len(left)

    @staticmethod
    def stop(servers: Iterable[Listens], associations: Iterable[Runs] = ()) -> None:
        """Stop servers, and abort their associations and those that are given."""
        begun = time.monotonic()
        listening, living = list(servers), set(associations)
        for server in listening:
            living.update(server.all_associations())
            server.stop_listening()
        for server in listening:  # none is admitted after this
            server.wait_stopped(begun + _POLITE)
            living.update(server.all_associations())
        for assoc in living:
            assoc.abort(block=False)
        for assoc in living:
            assoc._wait_ended(begun + 2 * _POLITE)
        for assoc in living:
            if assoc.is_alive():
                assoc._cut()
        for assoc in living:
            if not assoc._wait_ended(begun + _SHUTDOWN):
                LOGGER.warning("%s has not ended: %s", assoc.name, assoc._what_holds_it())
        for server in listening:
            server.server_close()
