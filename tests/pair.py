"""Two application entities of this library that talk to each other, for the tests of both sides."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from types import TracebackType
from typing import Any

from pynetdicom import AE, Association, evt
from pynetdicom.transport import ThreadedAssociationServer
from tests.faults.peer import until
from tests.peers import CT, DEADLINE, IMPLICIT, VERIFICATION

EXPLICIT = "1.2.840.10008.1.2.1"


def serve(ae: AE, **kwargs: Any) -> ThreadedAssociationServer:
    """Start a server of an AE on a free port."""
    server = ae.start_server(("127.0.0.1", 0), block=False, **kwargs)
    assert server is not None
    return server


@contextmanager
def associated(scp: AE, scu: AE, evt_handlers: Any, **kwargs: Any) -> Iterator[Association]:
    """An association between two AEs that a module's tests share, whatever comes between them."""
    scp.network_timeout = scu.network_timeout = None
    # Its threads are there, since handlers are called, lest a test seem to leave them behind.
    told = [(evt.EVT_ESTABLISHED, lambda event: None)]
    server = serve(scp, evt_handlers=[*told, *evt_handlers])
    kwargs["evt_handlers"] = [*told, *kwargs.get("evt_handlers", ())]
    try:
        with scu.associate("127.0.0.1", server.server_address[1], **kwargs) as assoc:
            assert until(lambda: any(one.dul.is_alive() for one in server.active_associations))
            yield assoc
    finally:
        server.shutdown()


class Pair:
    """An SCP and an SCU for Verification and CT Image Storage, and what they are told to do.

    Parameters
    ----------
    scp : ApplicationEntity, optional
        The acceptor, instead of a plain one.
    scp_handlers, scu_handlers : iterable of tuple
        Event handlers of the two sides.
    """

    def __init__(
        self,
        scp: AE | None = None,
        scp_handlers: Iterable[tuple[Any, ...]] = (),
        scu_handlers: Iterable[tuple[Any, ...]] = (),
    ) -> None:
        self.scp = AE("SCP") if scp is None else scp
        if not self.scp.supported_contexts:
            self.scp.add_supported_context(VERIFICATION)
            self.scp.add_supported_context(CT)
        self.server = serve(self.scp, evt_handlers=list(scp_handlers))
        self.port: int = self.server.server_address[1]
        self.scu = AE("SCU")
        self.scu.add_requested_context(VERIFICATION, IMPLICIT)
        self.scu.add_requested_context(CT, IMPLICIT)
        self.scu_handlers = list(scu_handlers)

    def __enter__(self) -> Pair:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def associate(self, **kwargs: Any) -> Association:
        """Associate; the outcome may be anything."""
        kwargs.setdefault("evt_handlers", self.scu_handlers)
        return self.scu.associate("127.0.0.1", self.port, **kwargs)

    def established(self, **kwargs: Any) -> Association:
        """Associate, which must succeed."""
        assoc = self.associate(**kwargs)
        assert assoc.is_established, assoc.ended
        return assoc

    def close(self) -> None:
        """End everything."""
        self.scu.shutdown()
        self.scp.shutdown()


def ended(*associations: Association) -> None:
    """Wait until all is over, also for the peer's handlers."""
    for assoc in associations:
        assoc.join(DEADLINE)
        assert not assoc.is_alive()


def acceptor_of(pair: Pair) -> Association:
    """The acceptor's end of the only association."""
    (assoc,) = pair.server.active_associations
    assoc._lifetime.negotiated.wait()
    return assoc


class Seen:
    """What handlers have noted, from whichever threads, and waiting for it."""

    def __init__(self) -> None:
        self.notes: list[Any] = []
        self._changed = threading.Condition()

    def add(self, note: Any) -> None:
        with self._changed:
            self.notes.append(note)
            self._changed.notify_all()

    def wait(self, count: int = 1) -> list[Any]:
        """The notes, once there are so many."""
        with self._changed:
            assert self._changed.wait_for(lambda: len(self.notes) >= count, DEADLINE), self.notes
            return list(self.notes)

    def wait_for(self, note: Any) -> list[Any]:
        """The notes, once this one is among them."""
        with self._changed:
            assert self._changed.wait_for(lambda: note in self.notes, DEADLINE), self.notes
            return list(self.notes)
