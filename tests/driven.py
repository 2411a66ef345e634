"""The asyncio face as threads use the other: what tests say once is then shown of both.

A loop runs in a thread of its own, and `faces` has what `AE.associate` and `AE.start_server` do
done there by `pynetdicom.aio`. What they give has the names of the face for threads; each call is a
coroutine of the asyncio face which the calling thread waits for. Handlers are plain ones.
"""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Callable
from contextvars import ContextVar
from typing import Any

from pynetdicom import AE, aio
from pynetdicom.errors import AssociationError
from tests.peers import DEADLINE

DONE: Any = object()

MADE: ContextVar[list[Any] | None] = ContextVar("MADE", default=None)
"""Where an association is put that is being requested."""


class Loop:
    """An event loop in a thread."""

    def __init__(self) -> None:
        self.loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self.loop.run_forever, name="loop")
        self._thread.start()

    def run(self, make: Callable[[], Any]) -> Any:
        """Have it await what `make` gives, and wait for the outcome."""
        return waited(self.loop, make)

    def close(self) -> None:
        self.loop.call_soon_threadsafe(self.loop.stop)
        self._thread.join()
        self.loop.close()


def waited(loop: asyncio.AbstractEventLoop, make: Callable[[], Any]) -> Any:
    """What a coroutine gives that runs in a loop, to another thread."""

    async def call() -> Any:
        return await make()

    return asyncio.run_coroutine_threadsafe(call(), loop).result(DEADLINE)


class Answers:
    """An asynchronous iterator, as a thread uses it."""

    def __init__(self, loop: asyncio.AbstractEventLoop, items: Any) -> None:
        self._loop = loop
        self._items = items

    def __getattr__(self, name: str) -> Any:
        return getattr(self._items, name)

    def __iter__(self) -> Answers:
        return self

    def __next__(self) -> Any:
        item = waited(self._loop, lambda: anext(self._items, DONE))
        if item is DONE:
            raise StopIteration
        return item

    def close(self) -> None:
        waited(self._loop, self._items.aclose)

    def send(self, value: None) -> Any:
        return next(self)

    def throw(self, error: BaseException) -> None:
        self.close()
        raise error

    def __enter__(self) -> Answers:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def __del__(self) -> None:
        # Dropped as the one for threads is: the loop sees to it.
        items, loop = self._items, self._loop
        with contextlib.suppress(RuntimeError):
            loop.call_soon_threadsafe(lambda: loop.create_task(items.aclose()))


class Driven(aio.Association):
    """An association in a loop, as a thread uses it; what the face has not is the inner one's."""

    def __init__(self, inner: Any) -> None:
        super().__init__(inner)
        made = MADE.get()
        if made is not None:
            made.append(self)

    def __getattr__(self, name: str) -> Any:
        if name == "_inner":
            raise AttributeError(name)
        return getattr(self._inner, name)

    def __eq__(self, other: object) -> bool:
        return other is self or other is self._inner

    def __hash__(self) -> int:
        return hash(self._inner)

    def __enter__(self) -> Driven:
        return self

    def __exit__(self, kind: Any, error: Any, trace: Any) -> None:
        waited(self.loop, lambda: self.__aexit__(kind, error, trace))

    def join(self, timeout: float | None = None) -> None:
        self._inner.join(timeout)

    def release(self) -> Any:
        if asyncio._get_running_loop() is self.loop:
            return super().release()
        return waited(self.loop, super().release)

    def abort(self, block: bool = True) -> Any:
        end = super().abort()
        # Asked here: a task of the loop would not know for which handler it waits.
        may_wait = not self._inner._is_ours() and asyncio._get_running_loop() is not self.loop
        if block and may_wait:

            async def over() -> None:
                await end

            waited(self.loop, over)
        return end


def _coroutine(name: str) -> Any:
    def call(self: Driven, *args: Any, **kwargs: Any) -> Any:
        return waited(self.loop, lambda: getattr(self, name)(*args, **kwargs))

    return call


def _iterator(name: str) -> Any:
    def call(self: Driven, *args: Any, **kwargs: Any) -> Any:
        items = getattr(self, name)(*args, **kwargs)

        def begin() -> None:
            items._items = items._begin()

        # A coroutine's request is sent with the first that is asked for, a thread's at the call.
        waited(self.loop, lambda: items._ask(begin, ident=items._ident))
        return Answers(self.loop, items)

    return call


for _name in ("find", "get", "move", "stores"):
    setattr(Driven, f"send_c_{_name}", _iterator(f"c_{_name}"))
for _name in ("c_echo", "c_store", "n_action", "n_create", "n_delete", "n_event_report", "n_get"):
    setattr(Driven, f"send_{_name}", _coroutine(_name))
Driven.send_n_set = _coroutine("n_set")  # type: ignore[attr-defined]
Driven.send_c_cancel = _coroutine("cancel")  # type: ignore[attr-defined]


def associate_in(loop: Loop) -> Callable[..., Driven]:
    """What stands for `AE.associate`."""
    names = ("contexts", "ae_title", "max_pdu", "ext_neg", "bind_address", "tls_args")

    def associate(ae: AE, addr: Any, port: int, *args: Any, **options: Any) -> Driven:
        options |= dict(zip((*names, "evt_handlers"), args, strict=False))
        made: list[Driven] = []

        async def request() -> None:
            MADE.set(made)
            with contextlib.suppress(AssociationError):
                await aio.associate(addr, port, ae=ae, **options)

        loop.run(request)
        return made[-1]

    return associate


class DrivenServer:
    """A server in a loop, as a thread uses it; what the face has not is the inner one's."""

    def __init__(self, loop: Loop, server: aio.Server) -> None:
        self._loop = loop
        self._face = server

    def __getattr__(self, name: str) -> Any:
        return getattr(self._face if hasattr(self._face, name) else self._face._inner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if name.startswith("_"):
            super().__setattr__(name, value)
        else:
            setattr(self._face, name, value)

    def shutdown(self) -> None:
        self._loop.run(self._face.shutdown)

    def drain(self, *args: Any, **options: Any) -> int:
        left: int = self._loop.run(lambda: self._face.drain(*args, **options))
        return left


def start_server_in(loop: Loop) -> Callable[..., DrivenServer]:
    """What stands for `AE.start_server`."""
    names = ("ssl_context", "evt_handlers", "ae_title", "contexts")

    def start_server(
        ae: AE, address: Any, block: bool = True, *args: Any, **options: Any
    ) -> DrivenServer:
        assert not block
        options |= dict(zip(names, args, strict=False))
        options.pop("preload", None)
        if "ssl_context" in options:
            options["tls"] = options.pop("ssl_context")
        return DrivenServer(loop, loop.run(lambda: aio.serve(address, ae=ae, **options)))

    return start_server
