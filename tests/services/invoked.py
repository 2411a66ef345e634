"""An operation that is performed without an association, for the tests of the engines."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom.dimse.primitives import C_FIND, C_GET, C_MOVE, Primitive
from pynetdicom.network.dul import Stopped
from pynetdicom.services.engines import Invocation

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"


class Requestor:
    """What a peer sees of an operation, and when it cancels."""

    def __init__(self, request: Primitive, *, cancel_after: int | None = None) -> None:
        self.primitive = request
        self.cancel_after = cancel_after
        self.responses: list[Primitive] = []
        self.is_gone = False

    def invocation(self, handler: Callable[[], Any], transfer_syntax: str = IMPLICIT) -> Invocation:
        message: Any = self
        return Invocation(message, handler, self.send, transfer_syntax, lambda: handler)

    def send(self, response: Primitive) -> None:
        if self.is_gone:
            raise Stopped
        assert response.missing() == []
        response.encode()
        self.responses.append(response)

    @property
    def is_cancelled(self) -> bool:
        return self.cancel_after is not None and len(self.responses) >= self.cancel_after

    @property
    def statuses(self) -> list[int | None]:
        return [response.Status for response in self.responses]


class Watched:
    """A generator, and when it was closed."""

    def __init__(self, generator: Iterator[Any]) -> None:
        self._generator = generator
        self.asked = 0
        self.closed_by: list[threading.Thread] = []

    def __iter__(self) -> Watched:
        return self

    def __next__(self) -> Any:
        self.asked += 1
        return next(self._generator)

    def close(self) -> None:
        self.closed_by.append(threading.current_thread())
        self._generator.close()  # type: ignore[attr-defined]


def find(message_id: int = 7) -> C_FIND:
    return C_FIND(
        MessageID=message_id, AffectedSOPClassUID="1.2.840.10008.5.1.4.1.2.1.1", Priority=0
    )


def get(message_id: int = 7) -> C_GET:
    return C_GET(
        MessageID=message_id, AffectedSOPClassUID="1.2.840.10008.5.1.4.1.2.1.3", Priority=0
    )


def move(message_id: int = 7) -> C_MOVE:
    return C_MOVE(
        MessageID=message_id,
        AffectedSOPClassUID="1.2.840.10008.5.1.4.1.2.1.2",
        Priority=0,
        MoveDestination="DEST",
    )


def status(**elements: Any) -> Dataset:
    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds
