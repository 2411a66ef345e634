"""What users see of an association in an event loop, and how they have one.

Each operation runs as a strand on behalf of the task that awaits it; what it does is that of the
methods which `pynetdicom.association.Association` has for threads.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Generator, Sequence
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, cast

from pynetdicom.ae import ApplicationEntity, _captured
from pynetdicom.aio.handling import Binds
from pynetdicom.aio.inner import LoopAssociation
from pynetdicom.aio.runtime import LoopRuntime, runtime_here
from pynetdicom.aio.scu import SCU
from pynetdicom.association.invoking import prepare_statuses
from pynetdicom.association.lifetime import BLOCK_ON_ABORT
from pynetdicom.errors import AssociationAborted, AssociationFailed, AssociationRejected
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.upper_layer.items import DEFAULT_MAX_LENGTH

if TYPE_CHECKING:
    import os
    import ssl

    from pynetdicom.aio.typing import EventHandlers
    from pynetdicom.association import ServiceUser
    from pynetdicom.capture import Capture
    from pynetdicom.stats import Stats
    from pynetdicom.upper_layer.ended import Ended

T = TypeVar("T", bound=AbstractAsyncContextManager[Any])


def _of_inner(name: str, doc: str) -> Any:
    return property(
        lambda self: getattr(self._inner, name),
        lambda self, value: setattr(self._inner, name, value),
        doc=doc,
    )


class Association(SCU, Binds):
    """An association with a peer, in an event loop; made by `associate`, or by a `Server`.

    It is an asynchronous context manager, which releases it in the end, and aborts it when an
    exception comes out of the block. Its methods are coroutines, for the loop that it was made in.
    Where the task is cancelled that awaits one, the operation is left at once: a C-FIND, C-GET or
    C-MOVE is cancelled at the peer, for any other that was sent the association is aborted, since
    nothing else would end it; one that still waits for its turn was never sent.

    Attributes
    ----------
    acse_timeout, dimse_timeout, network_timeout, connection_timeout : float or None
        Seconds; None for no limit.
    network_timeout_response : {'A-ABORT', 'A-RELEASE'}
        What to do when `network_timeout` runs out while nothing is outstanding.
    """

    acse_timeout = _of_inner("acse_timeout", "For negotiation and release.")
    dimse_timeout = _of_inner("dimse_timeout", "For the responses to our requests.")
    network_timeout = _of_inner("network_timeout", "For silence, and for writing.")
    connection_timeout = _of_inner("connection_timeout", "For connecting.")
    network_timeout_response = _of_inner("network_timeout_response", "'A-ABORT' or 'A-RELEASE'.")

    def __init__(self, inner: LoopAssociation) -> None:
        self._inner: LoopAssociation = inner
        self._runtime: LoopRuntime = inner._runtime
        # What events and callbacks ask it for.
        self._invoker = inner._invoker
        self._performer = inner._performer

    def __repr__(self) -> str:
        peer = self._inner._link.peer_name
        state = "established" if self.is_established else str(self.ended or "not established")
        return f"<Association with {peer}: {state}>"

    # State

    @property
    def loop(self) -> asyncio.AbstractEventLoop:
        """The event loop that it lives in."""
        return self._runtime.loop

    @property
    def ae(self) -> ApplicationEntity:
        """The application entity."""
        return self._inner.ae  # type: ignore[return-value]  # what it is made with

    @property
    def requestor(self) -> ServiceUser:
        """The side that has requested it."""
        return self._inner.requestor

    @property
    def acceptor(self) -> ServiceUser:
        """The side that was asked for it."""
        return self._inner.acceptor

    @property
    def ended(self) -> Ended | None:
        """How the association ended, by whom and why; None before it has."""
        return self._inner.ended

    @property
    def is_established(self) -> bool:
        """Whether the association is there to be used."""
        return self._inner.is_established

    @property
    def is_released(self) -> bool:
        """Whether the association was released."""
        return self._inner.is_released

    @property
    def is_aborted(self) -> bool:
        """Whether the association was aborted, or never came about for want of a connection."""
        return self._inner.is_aborted

    @property
    def is_rejected(self) -> bool:
        """Whether the association request was rejected."""
        return self._inner.is_rejected

    @property
    def is_requestor(self) -> bool:
        """Whether the local side requested the association."""
        return self._inner.is_requestor

    @property
    def is_acceptor(self) -> bool:
        """Whether the local side was asked for the association."""
        return self._inner.is_acceptor

    @property
    def accepted_contexts(self) -> list[PresentationContext]:
        """What was negotiated."""
        return self._inner.accepted_contexts

    @property
    def rejected_contexts(self) -> list[PresentationContext]:
        """What was proposed and not accepted."""
        return self._inner.rejected_contexts

    @property
    def stats(self) -> Stats:
        """The operations that have ended, in numbers."""
        return self._inner.stats

    @property
    def local(self) -> dict[str, Any]:
        """The local side: title, address, port, mode and maximum length, as a dict."""
        return self._inner.local

    @property
    def remote(self) -> dict[str, Any]:
        """The peer: title, address, port, mode and maximum length, as a dict."""
        return self._inner.remote

    @property
    def acse(self) -> Any:
        """The association control service element, for handlers that reject."""
        return self._inner.acse

    @property
    def dul(self) -> Any:
        """The upper layer, for handlers that look at its ``socket``, such as ``socket.is_tls``."""
        return self._inner.dul

    # Ending

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abort()
            await self._over()
        else:
            await self.release()

    async def release(self) -> None:
        """Release the association, as `pynetdicom.association.Association.release` does.

        Where the task is cancelled meanwhile, the association is aborted.
        """
        await self._runtime.run(self._inner.release, cancelled=lambda _: self.abort())

    def abort(self) -> Awaitable[None]:
        """Abort the association; whoever waits for something on it is woken at once (PS3.8 7.3).

        That is done by the call; who awaits what it gives waits for the association's end, a
        second at most. It may be called from any thread.
        """
        self._inner.abort(block=False)
        return _Over(self)

    async def _over(self) -> None:
        """Wait for its end, if somebody else is not waited for by that."""
        if not self._inner._is_ours():
            await self._runtime.run(lambda: self._inner.join(BLOCK_ON_ABORT))


class _Over:
    """The end of an association, which may be awaited, or not."""

    def __init__(self, assoc: Association) -> None:
        self._assoc = assoc

    def __await__(self) -> Generator[Any, None, None]:
        return self._assoc._over().__await__()


class Entered(Generic[T]):
    """Something that is being made: awaited, or entered with ``async with``.

    Parameters
    ----------
    make : callable
        Gives the coroutine that makes it.
    """

    def __init__(self, make: Callable[[], Coroutine[Any, Any, T]]) -> None:
        self._make = make
        self._made: T | None = None

    def __await__(self) -> Generator[Any, None, T]:
        return self._make().__await__()

    async def __aenter__(self) -> T:
        self._made = await self
        return self._made

    async def __aexit__(self, *error: Any) -> None:
        assert self._made is not None
        await self._made.__aexit__(*error)


class Associating(Entered[Association]):
    """An association that is being requested: awaited, or entered with ``async with``."""


def associate(
    addr: str | tuple[str, int, int],
    port: int,
    contexts: Sequence[PresentationContext | str] | None = None,
    ae_title: str | bytes = "ANY-SCP",
    max_pdu: int = DEFAULT_MAX_LENGTH,
    ext_neg: Sequence[Any] | None = None,
    bind_address: tuple[Any, ...] | None = None,
    tls_args: tuple[ssl.SSLContext, str] | None = None,
    evt_handlers: EventHandlers | None = None,
    *,
    window: tuple[int, int] | None = None,
    tls: str | ssl.SSLContext | None = None,
    capture: Capture | str | os.PathLike[str] | None = None,
    ae: ApplicationEntity | str | None = None,
) -> Associating:
    """Request an association with a peer: ``async with aio.associate(…) as assoc:``.

    What it gives may be awaited as well, and gives the association, which the caller releases then.

    Parameters
    ----------
    addr, port
        Where the peer is.
    contexts : sequence of PresentationContext or str, optional
        What to propose, instead of what `ae` requests; of a SOP Class UID with the usual transfer
        syntaxes.
    ae_title, max_pdu, ext_neg, bind_address, tls_args, evt_handlers, window, tls, capture
        As for `pynetdicom.AE.associate`. Handlers may be coroutine functions.
    ae : ApplicationEntity or str, optional
        Whose settings hold, or only the calling AE title.

    Returns
    -------
    Associating

    Raises
    ------
    pynetdicom.errors.AssociationRejected, AssociationAborted, AssociationFailed
        It did not come about; the attribute ``ended`` says why. Raised when it is awaited, as all
        that `pynetdicom.AE.associate` raises.

    Notes
    -----
    PS3.8 7.1
    """
    options = (ext_neg, bind_address, tls_args)

    async def request() -> Association:
        entity = entity_of(ae)
        runtime = runtime_here()
        proposed = None if contexts is None else contexts_of(contexts)
        handlers = _captured(cast(Any, evt_handlers), capture)
        given: Any = (addr, port, proposed, ae_title, max_pdu, *options, handlers, window, tls)
        with runtime.in_use():
            await runtime.run(lambda: runtime.aside_to_files(prepare_statuses))
            make = partial(LoopAssociation, Association, runtime)
            inner: Any = entity._prepare(*given, make=make)
            return await _request(entity, inner)

    return Associating(request)


def association_of(event: Any) -> Association:
    """The association of an event, for type checkers: they take it for one of threads.

    Parameters
    ----------
    event
        What a handler of `pynetdicom.aio` is given.
    """
    assoc: Association = event.assoc
    return assoc


def entity_of(ae: ApplicationEntity | str | None) -> ApplicationEntity:
    """The application entity that is given, or one of that title."""
    if isinstance(ae, ApplicationEntity):
        return ae
    return ApplicationEntity() if ae is None else ApplicationEntity(ae)


def contexts_of(contexts: Sequence[PresentationContext | str]) -> list[PresentationContext]:
    """Presentation contexts, where some are given by their abstract syntaxes only."""
    return [cx if isinstance(cx, PresentationContext) else build_context(cx) for cx in contexts]


_KINDS = {
    "rejected": AssociationRejected,
    "aborted": AssociationAborted,
    "released": AssociationAborted,
    "failed": AssociationFailed,
}


async def _request(ae: ApplicationEntity, inner: LoopAssociation) -> Association:
    await inner._runtime.run(partial(ae._running.request, inner))
    assoc: Association = inner.face
    if assoc.is_established:
        return assoc
    ended = assoc.ended
    await assoc._over()
    kind = "failed" if ended is None else ended.kind
    raise _KINDS[kind](ended)
