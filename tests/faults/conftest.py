"""Fixtures for the tests of faults: servers to be harmed, and what their associations say."""

from __future__ import annotations

import contextlib
import queue
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from pynetdicom import AE, evt
from tests.faults.peer import CT, VERIFICATION, Peer


class Server:
    """A running SCP, and the associations that it had."""

    def __init__(self, **kwargs: Any) -> None:
        self.ae = AE("ANY-SCP")
        self.ae.add_supported_context(VERIFICATION)
        self.ae.add_supported_context(CT)
        self.ae.acse_timeout = 3600
        self.ae.network_timeout = 3600
        self.opened: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.ended: queue.SimpleQueue[Any] = queue.SimpleQueue()
        self.stored: list[bytes] = []
        self.assocs: dict[int, Any] = {}
        """Those that were requested, by the port of the peer."""
        self._kwargs = kwargs
        self.server: Any = None

    def start(self, address: tuple[Any, ...] = ("127.0.0.1", 0)) -> Server:
        handlers = [
            (evt.EVT_CONN_OPEN, lambda event: self.opened.put(event.assoc)),
            (evt.EVT_CONN_CLOSE, lambda event: self.ended.put(event.assoc)),
            (evt.EVT_REQUESTED, self._requested),
            (evt.EVT_C_STORE, self._store),
            *self._kwargs.pop("evt_handlers", ()),
        ]
        self.server = self.ae.start_server(
            address, block=False, evt_handlers=handlers, **self._kwargs
        )
        return self

    def _store(self, event: Any) -> int:
        self.stored.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    def _requested(self, event: Any) -> None:
        self.assocs[event.assoc.requestor.port] = event.assoc

    def forget(self) -> None:
        """Keep no association."""
        self.assocs.clear()
        for kept in (self.opened, self.ended):
            with contextlib.suppress(queue.Empty):
                while True:
                    kept.get_nowait()

    @property
    def address(self) -> tuple[Any, ...]:
        address: tuple[Any, ...] = self.server.server_address
        return address

    def connect(self, **kwargs: Any) -> Peer:
        return Peer.connect(self.address, **kwargs)

    def assoc(self) -> Any:
        """The next association that has begun."""
        return self.opened.get(timeout=60)

    def end(self) -> Any:
        """How the next association to end has ended."""
        return self.ended.get(timeout=60).ended


@pytest.fixture
def make_server() -> Iterator[Callable[..., Server]]:
    made: list[Server] = []

    def make(**kwargs: Any) -> Server:
        server = Server(**kwargs)
        made.append(server)
        return server

    yield make
    for server in made:
        server.ae.shutdown()


@pytest.fixture
def server(make_server: Callable[..., Server]) -> Server:
    return make_server().start()
