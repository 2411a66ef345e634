"""Handlers: what is bound to which event, the binding of it, and the calling.

Any thread may bind, and a signal's handler in the midst of that. A thread that runs handlers sees
what was bound before, or after. What a handler may wait for depends on the thread that runs it:
each thread knows which handlers it is running.
"""

from __future__ import annotations

import contextvars
import logging
import threading
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol, Self

from pynetdicom import _config, hooks, raised
from pynetdicom.event_types import EventType
from pynetdicom.network.latch import Hold

if TYPE_CHECKING:
    from datetime import datetime
    from types import FrameType

LOGGER = logging.getLogger("pynetdicom.events")

Handler = Callable[..., Any]
HandlerSpec = tuple[Any, ...]
"""``(event, handler)`` or ``(event, handler, [args])``."""

# The handlers that a thread is running, the innermost last: whose, and of which event. The stack is
# not made by the class's `__init__`, in whose midst a signal's handler would find nothing.
_running = threading.local()


class Host(Protocol):
    """What makes events, and answers where no handler is bound: the AE."""

    def _make_event(
        self, assoc: Any, event: EventType, attrs: dict[str, Any] | None, timestamp: Any = None, /
    ) -> Any: ...

    def _ask(self, event: Any, /) -> Any: ...


class Handlers(dict[EventType, list[tuple[Handler, list[Any] | None]]]):
    """Handlers by their events, of an association or a server.

    A thread that binds or unbinds takes their lock for one change; those that call them do not.

    Parameters
    ----------
    host : Host
    evt_handlers : iterable of tuple
        What is bound from the first.
    assoc : Association, optional
        To which the events happen.
    changed : callable, optional
        Called when what is bound has changed.
    server : Handlers, optional
        Those of the server that the association came to, in the place of `evt_handlers`.

    Attributes
    ----------
    context : contextvars.Context or None
        Whose variables handlers see: those of whoever has made the association, or its server. On
        the Association thread it is entered once; on others each call has a copy of its own.
    before : callable or None
        Called before each handler, which may take as long as it likes.
    """

    before: Callable[[], None] | None = None

    def __init__(
        self,
        host: Host,
        evt_handlers: Iterable[HandlerSpec] | None = None,
        *,
        assoc: Any = None,
        changed: Callable[[Handlers], None] | None = None,
        server: Handlers | None = None,
    ) -> None:
        self._host = host
        self._assoc = assoc
        self._changed = changed
        self.context: contextvars.Context | None = None
        if server is None:
            if _config.PASS_CONTEXTVARS:
                self.context = contextvars.copy_context()
        elif server.context is not None:
            # A copy of its own: a context can be entered by one thread at a time.
            self.context = server.context.copy()
        # Changes to it, made one after another, all that follows from them included: a signal's
        # handler may ask for one in the midst of another.
        self._changes: list[Callable[[], None]] = []
        self._changing = Hold()
        given: Iterable[Any] = (evt_handlers or ()) if server is None else server.specs()
        for spec in given:
            if not isinstance(spec, (tuple, list)) or not 2 <= len(spec) <= 3:
                raise TypeError(
                    "'evt_handlers' must be a list of (event, handler) or (event, handler, [args])"
                )
            self.bind(*spec)

    def bind(self, event: EventType, handler: Handler, args: list[Any] | None = None) -> None:
        """See `Association.bind`."""
        if not isinstance(event, EventType):
            raise TypeError(f"{event!r} is not an event")
        if not callable(handler):
            raise TypeError(f"the handler of {event} must be callable")
        if args is not None and not isinstance(args, (list, tuple)):
            raise TypeError(f"what the handler of {event} is given must be a list: [args]")
        entry = (handler, None if args is None else list(args))

        def change() -> None:
            bound = self.get(event, [])
            if event.is_intervention:
                bound = [entry]
            elif not any(other == handler for other, _ in bound):
                bound = [*bound, entry]
            # A new list each time: whoever is calling the handlers goes on with the old one.
            self[event] = bound

        self._change(change)

    def unbind(self, event: EventType, handler: Handler) -> None:
        """Undo `bind`."""

        def change() -> None:
            kept = [entry for entry in self.get(event, ()) if entry[0] != handler]
            if kept:
                self[event] = kept
            else:
                self.pop(event, None)

        self._change(change)

    def _change(self, change: Callable[[], None]) -> None:
        """Make a change, from any thread; in the midst of another, when that has been made."""
        self._changes.append(change)
        while not self._changing.is_mine():
            self._changing.run(self._make_changes)
            if not self._changes:
                break

    def _make_changes(self) -> None:
        while self._changes:
            self._changes.pop(0)()
            if self._changed is not None:
                self._changed(self)

    def events(self) -> list[EventType]:
        """The events to which something is bound, by name."""
        return sorted(self, key=lambda event: event.name)

    def of(self, event: EventType) -> Any:
        """See `Association.get_handlers`."""
        bound = self.get(event)
        if event.is_intervention:
            return bound[0] if bound else (self._host._ask, None)
        return list(bound or ())

    def specs(self) -> list[HandlerSpec]:
        """What is bound, as it is given to `bind`."""
        items = list(self.items())  # another thread may bind meanwhile
        return [(event, handler, args) for event, bound in items for handler, args in bound]

    def are_told(self, event: EventType) -> bool:
        """Whether anybody is told of a notification event."""
        return event in self or (event in hooks.TOLD and hooks.are_told(self._assoc, event))

    def are_any_told(self, events: frozenset[EventType]) -> bool:
        """Whether anybody is told of one of several notification events."""
        return not events.isdisjoint(self) or any(
            hooks.are_told(self._assoc, event) for event in events & hooks.TOLD
        )

    def who_answers(self, event: EventType) -> Any:
        """What is bound to an intervention event, or assigned to the AE in its place."""
        bound = self.get(event)
        return bound[0][0] if bound else getattr(self._host, hooks.CALLBACK_OF[event])

    def trigger(
        self,
        event: EventType,
        attrs: dict[str, Any] | None = None,
        timestamp: datetime | None = None,
    ) -> Any:
        """Have an event happen to the association; see `pynetdicom.events.trigger`."""
        if event.is_intervention:
            return self.asking(event, attrs)()
        if not self.are_told(event):
            return None
        return self.run(event, self._tell, event, attrs or {}, timestamp)

    def asking(self, event: EventType, attrs: dict[str, Any] | None) -> Callable[[], Any]:
        """What asks the handler of an intervention event, when it is called."""
        handler, args = self.of(event)
        made = self._host._make_event(self._assoc, event, attrs)
        return partial(self.run, event, handler, made, *(args or ()))

    def run(self, event: EventType, call: Callable[..., Any], *args: Any) -> Any:
        """Call what is of the event's handler, or is its handler."""
        running = _running.__dict__.setdefault("stack", [])
        depth = len(running)
        before = self.before  # which the Association thread may take away meanwhile
        if before is not None:
            before()
        try:
            running.append((self, event))
            return call(*args)
        finally:
            del running[depth:]

    def _tell(self, event: EventType, attrs: dict[str, Any], timestamp: datetime | None) -> None:
        happened = None
        for handler, args in self.of(event):
            happened = happened or self._host._make_event(self._assoc, event, attrs, timestamp)
            try:
                handler(happened, *(args or ()))
            except (Exception, SystemExit) as error:
                raised.log(LOGGER, f"a handler of {event} raised", error, handler)
        hooks.tell(self._assoc, event, attrs.get("primitive") or attrs.get("_primitive"))

    def trigger_anywhere(self, event: EventType, attrs: dict[str, Any]) -> None:
        """Have an event happen on whatever thread this is, which may be the one that reads."""
        self.run_anywhere(self.trigger, event, attrs)

    def run_anywhere(self, call: Callable[..., Any], *args: Any) -> None:
        """Call what calls handlers, on whatever thread this is, with the context variables."""
        if self.context is None:
            call(*args)
        else:
            self.context.copy().run(call, *args)

    def running_here(self) -> list[EventType]:
        """The events whose handlers the calling thread is running."""
        stack = _running.__dict__.get("stack")
        return [event for owner, event in stack if owner is self] if stack else []


class _Items:
    """What an iterator gives, which is closed with this.

    Parameters
    ----------
    may_run_ahead : bool
        Whether the next item may be asked for early, see `ahead`.
    """

    def __init__(self, items: Iterator[Any], may_run_ahead: bool) -> None:
        self._items = items
        self.may_run_ahead = may_run_ahead

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        return next(self._items)

    def close(self) -> None:
        """Close it, as a generator is closed, if it is one."""
        close = getattr(self._items, "close", None)
        if close is not None:
            close()


class HandlerItems(_Items):
    """What the handler of an intervention event yields: it runs as its handler all the while."""

    def __init__(self, handlers: Handlers, event: EventType, items: Iterator[Any]) -> None:
        super().__init__(items, getattr(items, "may_run_ahead", False))
        self._run = partial(handlers.run, event)

    def __next__(self) -> Any:
        return self._run(next, self._items)

    def close(self) -> None:
        self._run(super().close)


def handled_in(frame: FrameType | None) -> EventType | None:
    """The event whose handler a thread is running, by the frame that the thread is in."""
    while frame is not None and frame.f_code is not Handlers.run.__code__:
        frame = frame.f_back
    return frame and frame.f_locals["event"]


def trigger(
    assoc: Any,
    event: EventType,
    attrs: dict[str, Any] | None = None,
    timestamp: datetime | None = None,
) -> Any:
    """Have an event happen to an association.

    Parameters
    ----------
    assoc : Association
    event : NotificationEvent or InterventionEvent
    attrs : dict, optional
        Further attributes of the `Event`.

    Returns
    -------
    object
        What the handler of an intervention event gave; None for a notification event.

    Raises
    ------
    Exception
        Whatever the handler of an intervention event raises.
    """
    return assoc._handlers.trigger(event, attrs, timestamp)


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
    return _Items(iter(items), may_run_ahead=True)
