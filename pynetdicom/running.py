"""Which handlers a thread is running: what they may wait for depends on that."""

from __future__ import annotations

import threading
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

if TYPE_CHECKING:
    from pynetdicom.association.state import AssociationState
    from pynetdicom.events import EventType


class _Running(threading.local):
    """The handlers that a thread is running, the innermost last."""

    @property
    def events(self) -> list[tuple[AssociationState, EventType]]:
        # Not made in `__init__`, in whose midst a signal's handler would find nothing.
        stack: list[tuple[AssociationState, EventType]] = self.__dict__.setdefault("stack", [])
        return stack


running_handlers = _Running()


def handled_here(assoc: AssociationState) -> list[EventType]:
    """The events of an association whose handlers the calling thread is running."""
    events = running_handlers.events
    return [event for other, event in events if other is assoc] if events else []


class _Items:
    """What an iterator gives, which is closed with this."""

    def __init__(self, items: Iterator[Any]) -> None:
        self._items = items

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._items)

    def close(self) -> None:
        """Close it, as a generator is closed, if it is one."""
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


class Ahead(_Items):
    """What a handler yields, the next item of which may be asked for early, see `events.ahead`."""

    may_run_ahead = True


class HandlerItems(_Items):
    """What the handler of an intervention event yields: it runs as its handler all the while.

    Parameters
    ----------
    assoc : Association
    event : InterventionEvent
    items : iterator
    """

    def __init__(self, assoc: AssociationState, event: EventType, items: Iterator[Any]) -> None:
        super().__init__(items)
        self._running = (assoc, event)
        self.may_run_ahead = getattr(items, "may_run_ahead", False)

    def __next__(self) -> Any:
        assoc, event = self._running
        running = running_handlers.events
        depth = len(running)
        try:
            running.append((assoc, event))
            return next(self._items)
        finally:
            del running[depth:]

    def close(self) -> None:
        running = running_handlers.events
        depth = len(running)
        try:
            running.append(self._running)
            super().close()
        finally:
            del running[depth:]


def ahead(items: Iterable[Any]) -> Iterable[Any]:
    """Let the library ask a C-GET or C-MOVE handler for its next instance early.

    It is asked for and read while the peer still works on the last one, which saves that time. The
    handler must not mind: between two instances it cannot wait for what its peer does with the
    first of them. What a handler returns as a list or a tuple is read early in any case.

    Parameters
    ----------
    items : iterable
        What the handler would yield: its generator.

    Returns
    -------
    iterator
        What the handler returns instead.

    Notes
    -----
    PS3.4 C.4.2, C.4.3
    """
    return Ahead(iter(items))
