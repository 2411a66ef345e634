"""Handlers of events in an event loop.

Coroutine functions and asynchronous generators run in the loop, awaited by the strand that serves;
plain functions and generators run on a thread, so that they may take their time. What is asked of
nobody's handler takes neither.
"""

from __future__ import annotations

import asyncio
import contextlib
import contextvars
import inspect
import logging
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any, Self, overload

from pynetdicom import hooks, raised
from pynetdicom.aio.runtime import LoopRuntime
from pynetdicom.aio.strands import HANDLING, here
from pynetdicom.event_types import EventType
from pynetdicom.handlers import Handler, Handlers, HandlerSpec

if TYPE_CHECKING:
    from typing import Concatenate

    from pynetdicom.aio.typing import E, Handles, HandlesMore, R, Several, Y

LOGGER = logging.getLogger("pynetdicom.events")

_ERRORS = (Exception, SystemExit)
_END: Any = object()
_COROUTINE, _GENERATOR, _PLAIN = "coroutine", "generator", "plain"
_PROVEN = "plain, and what it has given was so, too"


class Binds:
    """What binds handlers: an association, and a server for its associations."""

    _inner: Any

    @overload
    def bind(self, event: EventType[E, R], handler: Handles[E, R], args: None = None) -> None: ...
    @overload
    def bind(self, event: EventType[E, R], handler: HandlesMore[E, R], args: list[Any]) -> None: ...
    @overload
    def bind(
        self, event: EventType[E, Iterable[Y]], handler: Callable[[E], Several[Y]]
    ) -> None: ...
    @overload
    def bind(
        self,
        event: EventType[E, Iterable[Y]],
        handler: Callable[Concatenate[E, ...], Several[Y]],
        args: list[Any],
    ) -> None: ...
    def bind(self, event: EventType, handler: Handler, args: list[Any] | None = None) -> None:
        """Have `handler` called as ``handler(event, *args)`` when `event` happens.

        Coroutine functions and asynchronous generators run in the loop, others on a thread. What is
        bound to a server holds on the associations that are there already, too.
        """
        self._inner.bind(event, handler, args)

    def unbind(self, event: EventType, handler: Handler) -> None:
        """Undo `bind`; an intervention event gets its default handler back."""
        self._inner.unbind(event, handler)

    def get_events(self) -> list[EventType]:
        """The events to which something is bound, by name."""
        found: list[EventType] = self._inner.get_events()
        return found

    def get_handlers(self, event: EventType) -> Any:
        """What is bound to `event`, see `pynetdicom.association.Association.get_handlers`."""
        return self._inner.get_handlers(event)


class LoopHandlers(Handlers):
    """Handlers by their events, of an association in a loop; see `Handlers`.

    Attributes
    ----------
    variables : contextvars.Context
        What handlers see.
    """

    def __init__(
        self,
        host: Any,
        evt_handlers: Iterable[HandlerSpec] | None = None,
        *,
        assoc: Any = None,
        changed: Callable[[Handlers], None] | None = None,
        server: Handlers | None = None,
    ) -> None:
        super().__init__(host, evt_handlers, assoc=assoc, changed=changed, server=server)
        # Of those of the server, what was found out on one association holds for the next; what is
        # bound to an association only goes with it.
        self._server: Any = server
        self._kinds: dict[Any, str] = dict(getattr(server, "_kinds", ()))
        # Its strand has the variables from the first.
        self.context = None
        given: contextvars.Context | None = getattr(server, "variables", None)
        self.variables = contextvars.copy_context() if given is None else given.copy()
        # Where a handler has made it, nothing of it is in that handler.
        self.variables.run(HANDLING.set, None)

    @property
    def _runtime(self) -> LoopRuntime:
        runtime: LoopRuntime = self._assoc._runtime
        return runtime

    def asking(self, event: EventType, attrs: dict[str, Any] | None) -> Callable[[], Any]:
        """As `Handlers.asking`."""
        handler, args = self.of(event)
        made = self._host._make_event(self._assoc.face, event, attrs)
        return partial(self.run, event, self._call, event, handler, made, *(args or ()))

    def are_plain(self, event: EventType) -> bool:
        """Whether what is bound to an intervention event has been seen to run on a thread only."""
        bound = self.get(event)
        return bound is not None and self._kind_of(bound[0][0]) == _PROVEN

    def _call(self, event: EventType, handler: Callable[..., Any], *args: Any) -> Any:
        """Call a handler where it belongs, and wait for what it gives."""
        kind = self._kind_of(handler)
        if kind == _COROUTINE:
            try:
                return self._runtime.await_here(handler(*args))
            except asyncio.CancelledError as error:
                raise _who_was_cancelled(error) from None
        if kind == _GENERATOR:
            return AsyncItems(self._runtime, handler(*args))
        ask = self._host._ask
        if handler is ask and not hooks.is_assigned(self._assoc.ae, hooks.CALLBACK_OF[event]):
            return handler(*args)
        given = self._runtime.aside_to_handlers(handler, *args)
        if inspect.isawaitable(given):
            return self._runtime.await_here(_run(given))
        if hasattr(given, "__anext__"):
            return AsyncItems(self._runtime, given)
        if kind == _PLAIN and handler is not ask:
            self._prove(event, handler)
        return Items(self._runtime, given) if hasattr(given, "__next__") else given

    def _prove(self, event: EventType, handler: Callable[..., Any]) -> None:
        """Remember that what a plain handler has given was so, too."""
        with contextlib.suppress(TypeError):  # it has no hash
            self._kinds[handler] = _PROVEN
            bound = () if self._server is None else self._server.get(event, ())
            if any(one == handler for one, _ in bound):
                self._server._kinds[handler] = _PROVEN

    def _kind_of(self, handler: Callable[..., Any]) -> str:
        """What a handler is; to find out takes longer than to remember."""
        try:
            kind = self._kinds.get(handler)
            if kind is None:
                kind = self._kinds[handler] = kind_of(handler)
        except TypeError:  # it has no hash
            kind = kind_of(handler)
        return kind

    def _tell(self, event: EventType, attrs: dict[str, Any], timestamp: datetime | None) -> None:
        happened = None
        for handler, args in self.of(event):
            made = self._host._make_event
            happened = happened or made(self._assoc.face, event, attrs, timestamp)
            try:
                self._call(event, handler, happened, *(args or ()))
            except _ERRORS as error:
                raised.log(LOGGER, f"a handler of {event} raised", error, handler)
        if any(hooks.told_of(self._assoc, event)):
            primitive = attrs.get("primitive") or attrs.get("_primitive")
            self._runtime.aside_to_handlers(hooks.tell, self._assoc, event, primitive)

    def run(self, event: EventType, call: Callable[..., Any], *args: Any) -> Any:
        """As `Handlers.run`."""
        strand = here()
        if strand is None:  # a thread of somebody's, or a callback of the loop
            return super().run(event, call, *args)
        running = strand.running
        entry = (self, event)
        token = HANDLING.set((strand, entry))
        try:
            running.append(entry)
            return call(*args)
        finally:
            # On a thread the strand may have been told to go on without it.
            with contextlib.suppress(ValueError):
                running.remove(entry)
            HANDLING.reset(token)

    def running_here(self) -> list[EventType]:
        """As `Handlers.running_here`."""
        strand = here()
        if strand is None:
            return super().running_here()
        return [event for owner, event in strand.running if owner is self]

    def trigger_anywhere(self, event: EventType, attrs: dict[str, Any]) -> None:
        """As `Handlers.trigger_anywhere`."""
        self.trigger(event, attrs)


def kind_of(handler: Any) -> str:
    """Whether calling a handler gives a coroutine, or an asynchronous generator."""
    called = handler
    if not (inspect.isroutine(handler) or isinstance(handler, (partial, type))):
        called = type(handler).__call__
    if inspect.iscoroutinefunction(called):
        return _COROUTINE
    return _GENERATOR if inspect.isasyncgenfunction(called) else _PLAIN


class Cancelled(Exception):
    """What a handler awaited was cancelled."""


async def _run(awaitable: Any) -> Any:
    """Await a handler; where it was not the handler that was cancelled, it has failed."""
    try:
        return await awaitable
    except asyncio.CancelledError as error:
        raise _who_was_cancelled(error) from None


def _who_was_cancelled(error: asyncio.CancelledError) -> BaseException:
    task = asyncio.current_task()
    if task is not None and task.cancelling():
        return error
    return Cancelled("what the handler awaited was cancelled")


class Items:
    """What a plain handler yields; asked for on a thread, one after the other.

    Parameters
    ----------
    runtime : LoopRuntime
    items : iterator
    """

    def __init__(self, runtime: LoopRuntime, items: Iterator[Any]) -> None:
        self._runtime = runtime
        self._items = items
        self.may_run_ahead = getattr(items, "may_run_ahead", False)
        # Taken for an instant, by the loop's thread and by the one that runs the handler.
        self._lock = threading.Lock()
        self._is_running = self._is_left = False

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        self._is_running = True
        return self._runtime.aside_to_handlers(self._step)

    def _step(self) -> Any:
        try:
            return next(self._items)
        finally:
            with self._lock:
                self._is_running = False
            if self._is_left:
                try:
                    self._close()
                except _ERRORS as error:
                    raised.log(LOGGER, "closing a handler raised", error, self._close)

    def _close(self) -> None:
        close = getattr(self._items, "close", None)
        if close is not None:
            close()

    def close(self) -> None:
        """Close it, as a generator is closed, if it is one.

        Who leaves in the midst of a step, as the handler may have the association aborted, does not
        wait for that: the thread closes it when it comes out.
        """
        with self._lock:
            self._is_left = True
            if self._is_running:
                return
        self._runtime.aside_to_handlers(self._close)


class AsyncItems:
    """What an asynchronous generator yields.

    Parameters
    ----------
    runtime : LoopRuntime
    items : async iterator
    """

    may_run_ahead = False

    def __init__(self, runtime: LoopRuntime, items: AsyncIterator[Any]) -> None:
        self._runtime = runtime
        self._items = items

    def __iter__(self) -> Self:
        return self

    def __next__(self) -> Any:
        item = self._runtime.await_here(self._next())
        if item is _END:
            raise StopIteration
        return item

    async def _next(self) -> Any:
        try:
            return await anext(self._items, _END)
        except asyncio.CancelledError as error:
            raise _who_was_cancelled(error) from None

    def close(self) -> None:
        """Close it, as a generator is closed, if it is one."""
        close = getattr(self._items, "aclose", None)
        if close is not None:
            self._runtime.await_here(_run(close()))
