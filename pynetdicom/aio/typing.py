"""What handlers are in an event loop, for type checkers; the rest is in `pynetdicom.typing`.

A handler gives what it gives with threads, or a coroutine of that; or it is an asynchronous
generator where it is a generator there.
"""

from __future__ import annotations

from collections.abc import AsyncIterable, Awaitable, Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, Concatenate, TypeAlias, TypeVar

if TYPE_CHECKING:
    from pynetdicom import typing as given
    from pynetdicom.event_types import EventType

    E = TypeVar("E")
    R = TypeVar("R")
    Y = TypeVar("Y")
    Handles: TypeAlias = Callable[[E], R | Awaitable[R]]
    """A handler: what it is called with, and what it gives."""
    HandlesMore: TypeAlias = Callable[Concatenate[E, ...], R | Awaitable[R]]
    """A handler that is called with more than the event."""
    Several: TypeAlias = Iterable[Y] | Awaitable[Iterable[Y]] | AsyncIterable[Y]
    """What the handler of a query gives."""
    _Bound: TypeAlias = (
        tuple[EventType[E, R], Handles[E, R]]
        | tuple[EventType[E, R], HandlesMore[E, R], list[Any] | tuple[Any, ...]]
    )
    _Yields: TypeAlias = (
        tuple[EventType[E, Iterable[Y]], Callable[[E], Several[Y]]]
        | tuple[
            EventType[E, Iterable[Y]],
            Callable[Concatenate[E, ...], Several[Y]],
            list[Any] | tuple[Any, ...],
        ]
    )
    _Instance: TypeAlias = tuple[given.Status, given.Instance | None]
    EventHandlerType: TypeAlias = (
        _Bound[given.GivenConnection, object]
        | _Bound[given.GivenAssociation, object]
        | _Bound[given.GivenACSE, object]
        | _Bound[given.GivenDIMSE, object]
        | _Bound[given.GivenPDU, object]
        | _Bound[given.GivenData, object]
        | _Bound[given.GivenTransition, object]
        | _Bound[given.GivenCEcho, given.Status]
        | _Bound[given.GivenCStore, given.Status]
        | _Yields[given.GivenCFind, tuple[given.Status, given.DataSet | None]]
        | _Yields[given.GivenCGet, int | _Instance]
        | _Yields[given.GivenCMove, given.Destination | int | _Instance]
        | _Bound[given.GivenNAction, given.Reply]
        | _Bound[given.GivenNCreate, given.Reply]
        | _Bound[given.GivenNDelete, given.Status]
        | _Bound[given.GivenNEventReport, given.Reply]
        | _Bound[given.GivenNGet, given.Reply]
        | _Bound[given.GivenNSet, given.Reply]
        | _Bound[given.GivenAsyncOps, tuple[int, int]]
        | _Bound[given.GivenSOPCommon, given.CommonAnswer]
        | _Bound[given.GivenSOPExtended, given.ExtendedAnswer]
        | _Bound[given.GivenUserID, given.UserAnswer]
    )
    EventHandlers: TypeAlias = Sequence[EventHandlerType] | given.ForgottenHandlers
else:
    EventHandlerType = tuple[Any, ...]
    EventHandlers = Sequence[EventHandlerType]
