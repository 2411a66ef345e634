"""Handlers: what is bound to which event, and the binding and unbinding of it.

Any thread may bind, and a signal's handler in the midst of that. A thread that runs handlers sees
what was bound before, or after.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from typing import Any

from pynetdicom.events import EventType, Handler, HandlerSpec, get_default_handler
from pynetdicom.network.latch import Hold


class Handlers:
    """Handlers bound to events; what `Association` and the servers have in common."""

    def __init__(self, evt_handlers: Iterable[HandlerSpec] | None = None) -> None:
        self._handlers: dict[EventType, list[tuple[Handler, list[Any] | None]]] = {}
        # Changes to it, made one after another, all that follows from them included: a signal's
        # handler may ask for one in the midst of another.
        self._changes: deque[Callable[[], None]] = deque()
        self._changing = Hold()
        given: Iterable[Any] = evt_handlers or ()
        for spec in given:
            if not isinstance(spec, (tuple, list)) or not 2 <= len(spec) <= 3:
                raise TypeError(
                    "'evt_handlers' must be a list of (event, handler) or (event, handler, [args])"
                )
            self.bind(*spec)

    def bind(self, event: EventType, handler: Handler, args: list[Any] | None = None) -> None:
        """Have `handler` called as ``handler(event, *args)`` when `event` happens.

        A notification event may have several handlers; an intervention event has the last one that
        was bound.
        """
        if not isinstance(event, EventType):
            raise TypeError(f"{event!r} is not an event")
        if not callable(handler):
            raise TypeError(f"the handler of {event} must be callable")
        if args is not None and not isinstance(args, (list, tuple)):
            raise TypeError(f"what the handler of {event} is given must be a list: [args]")
        entry = (handler, None if args is None else list(args))

        def change() -> None:
            bound = self._handlers.get(event, [])
            if event.is_intervention:
                bound = [entry]
            elif not any(other == handler for other, _ in bound):
                bound = [*bound, entry]
            # A new list each time: whoever is calling the handlers goes on with the old one.
            self._handlers[event] = bound

        self._change(change)
        if event.name.startswith("EVT_N_"):  # the tables of services are loaded by few
            from pynetdicom import unserved

            unserved.note_event(event.name)

    def unbind(self, event: EventType, handler: Handler) -> None:
        """Undo `bind`; an intervention event gets its default handler back."""

        def change() -> None:
            kept = [entry for entry in self._handlers.get(event, ()) if entry[0] != handler]
            if kept:
                self._handlers[event] = kept
            else:
                self._handlers.pop(event, None)

        self._change(change)

    def _change(self, change: Callable[[], None]) -> None:
        """Make a change, from any thread; in the midst of another, when that has been made."""
        self._changes.append(change)
        while not self._changing.is_mine:
            self._changing.run(self._make_changes)
            if not self._changes:
                break

    def _make_changes(self) -> None:
        while self._changes:
            self._changes.popleft()()
            self._handlers_changed()

    def get_events(self) -> list[EventType]:
        """The events to which something is bound, by name."""
        return sorted(self._handlers, key=lambda event: event.name)

    def get_handlers(self, event: EventType) -> Any:
        """What is bound to `event`.

        Returns
        -------
        tuple or list of tuple
            ``(handler, args)``; for a notification event a list of them. An
            intervention event without a bound
            handler gives its default one.
        """
        bound = self._handlers.get(event)
        if event.is_intervention:
            return bound[0] if bound else (get_default_handler(event), None)
        return list(bound or ())

    def handler_specs(self) -> list[HandlerSpec]:
        """What is bound, as it is given to `bind`."""
        return [
            (event, handler, args)
            for event, bound in list(self._handlers.items())  # another thread may bind meanwhile
            for handler, args in bound
        ]

    def has_handlers(self, event: EventType) -> bool:
        """Whether anything is bound to `event`."""
        return event in self._handlers

    def _handlers_changed(self) -> None:
        """What is bound has changed."""
