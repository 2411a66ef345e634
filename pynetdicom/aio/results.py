"""What comes one after the other, as asynchronous iterators: responses, results of many files."""

from __future__ import annotations

from collections import deque
from collections.abc import AsyncIterable, AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Self

from pynetdicom.aio.runtime import LoopRuntime
from pynetdicom.aio.strands import new_ident

if TYPE_CHECKING:
    from pynetdicom.association.responses import Response

_END: Any = object()
_MOST_READY = 16

Ask = Callable[..., Awaitable[Any]]
"""Runs an operation, see `SCU`."""


class Results(AsyncIterator[Any]):
    """What an iterator of the library gives, asked for by a task.

    Leaving it early, by ``break``, an exception, `aclose`, or dropping it, leaves that.

    Parameters
    ----------
    ask : callable
    begin : callable
        Makes the iterator, when the first is asked for.
    """

    def __init__(self, ask: Ask, begin: Callable[[], Iterator[Any]]) -> None:
        self._ask = ask
        self._begin = begin
        self._items: Any = None
        # What was asked for with the one before it, and what was raised in the place of the next.
        self._ready: deque[Any] = deque()
        self._problem: Exception | None = None
        self._is_over = False
        # All that is sent for it is sent by the same strand, to those who ask.
        self._ident = new_ident()

    def __aiter__(self) -> Self:
        return self

    async def __anext__(self) -> Any:
        while not self._ready:  # another task may have taken it
            if self._is_over:
                raise StopAsyncIteration
            if self._problem is not None:
                self._is_over = True
                raise self._problem
            await self._ask(self._fetch, ident=self._ident)
        item = self._ready.popleft()
        if item is _END:
            self._is_over = True
            raise StopAsyncIteration
        return item

    def _fetch(self) -> None:
        """Have the next one ready, and those that there are already: each strand takes its time."""
        if self._items is None:
            self._items = self._begin()
        self._ready.append(next(self._items, _END))
        try:
            while len(self._ready) < _MOST_READY and self._is_another_there():
                self._ready.append(next(self._items, _END))
        except Exception as error:
            self._problem = error

    def _is_another_there(self) -> bool:
        """Whether the next one is there without waiting for it."""
        return False

    async def aclose(self) -> None:
        """Leave it; what goes on is cancelled, or left."""
        self._is_over = True
        self._ready.clear()
        if self._items is not None:
            await self._ask(self._items.close, ident=self._ident)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.aclose()


class Responses(Results):
    """The responses to a C-FIND, C-GET or C-MOVE: an asynchronous iterator.

    It gives ``(status, identifier)`` as `pynetdicom.association.responses.Responses` does. Leaving
    it before the final response has a C-CANCEL sent (PS3.7 9.3.2.3).
    """

    if TYPE_CHECKING:

        async def __anext__(self) -> Response: ...

    def _is_another_there(self) -> bool:
        return bool(self._items._is_another_there)

    @property
    def message_id(self) -> int:
        """The Message ID of the request; 0 until it is sent, with the first that is asked for."""
        return 0 if self._items is None else int(self._items.message_id)


def in_turn(runtime: LoopRuntime, paths: Iterable[Any] | AsyncIterable[Any]) -> Iterable[Any]:
    """Paths as an iterable, also where they are asked for asynchronously; in a strand."""
    if not isinstance(paths, AsyncIterable):
        return paths
    return _awaited(runtime, aiter(paths))


def _awaited(runtime: LoopRuntime, paths: AsyncIterator[Any]) -> Iterator[Any]:
    while (path := runtime.await_here(_next_of(paths))) is not _END:
        yield path


async def _next_of(paths: AsyncIterator[Any]) -> Any:
    return await anext(paths, _END)
