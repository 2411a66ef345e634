"""A listener for association requests in an event loop."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from importlib import import_module
from typing import TYPE_CHECKING, Any, Self

from pynetdicom.aio.association import Association, Entered, contexts_of, entity_of
from pynetdicom.aio.handling import Binds, LoopHandlers
from pynetdicom.aio.inner import LoopAssociation
from pynetdicom.aio.runtime import STOPS, LoopRuntime, runtime_here
from pynetdicom.aio.strands import Begun
from pynetdicom.transport import AssociationServer

if TYPE_CHECKING:
    import os
    import ssl

    from pynetdicom.access import AccessRules
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.aio.typing import EventHandlers
    from pynetdicom.capture import Capture
    from pynetdicom.presentation import PresentationContext
    from pynetdicom.stats import ServerStats


class LoopServer(AssociationServer):
    """An `AssociationServer` whose lobby, and whose associations, an event loop runs."""

    _runtime: LoopRuntime
    _handlers_kind = LoopHandlers
    thread: Begun | None = None

    def __init__(self, *args: Any, **given: Any) -> None:
        self._runtime = runtime_here()
        super().__init__(*args, **given)

    @property
    def _make(self) -> Callable[..., LoopAssociation]:  # type: ignore[override]  # as it is called
        return partial(LoopAssociation, Association, self._runtime)

    def start(self) -> None:
        """Serve in the loop."""
        self._claim()
        self._runtime.lives(self)
        never = self._never_ran
        self.thread = self._runtime.begin("pynetdicom-listener", self._serve, never=never)

    def _never_ran(self) -> None:
        """The loop was shut down before it could begin."""
        self._lobby.close()
        self._stopped.set()
        self.server_close()
        self._runtime.lives_no_more(self)

    def stop_soon(self) -> None:
        """As `shutdown`, waiting for nothing."""
        self.stop_listening()
        for assoc in self.all_associations():
            assoc.abort(block=False)
        if self._stopped.is_set():
            self.server_close()
        else:
            self._closes = True  # when the lobby has ended

    def _serve(self) -> None:
        try:
            super()._serve()
        except STOPS:  # the loop is shut down
            self.server_close()
            raise
        finally:
            self._runtime.soon(self._runtime.lives_no_more, self)


class Server(Binds):
    """A listener for association requests, in an event loop; made by `serve`.

    It is an asynchronous context manager, which shuts it down in the end.

    Attributes
    ----------
    ae_title : str
        The AE title to be known by, from the next association on.
    access : AccessRules or None
        Who may do what, from the next association on.
    """

    def __init__(self, inner: LoopServer) -> None:
        self._inner: LoopServer = inner

    @property
    def ae(self) -> ApplicationEntity:
        """The application entity."""
        return self._inner.ae  # type: ignore[return-value]  # what it is made with

    @property
    def server_address(self) -> tuple[str, int]:
        """Where it listens; the port is the real one."""
        return self._inner.server_address

    @property
    def ae_title(self) -> str:
        """The AE title to be known by, from the next association on."""
        return self._inner.ae_title

    @ae_title.setter
    def ae_title(self, title: str | bytes) -> None:
        self._inner.ae_title = title

    @property
    def access(self) -> AccessRules | None:
        """Who may do what, from the next association on; None: all."""
        return self._inner.access

    @access.setter
    def access(self, rules: AccessRules | None) -> None:
        self._inner.access = rules

    @property
    def stats(self) -> ServerStats:
        """What has been done on its associations, in numbers."""
        return self._inner.stats

    @property
    def active_associations(self) -> list[Association]:
        """The associations of this server that have not ended."""
        faces: list[Any] = self._inner.active_associations
        return [inner.face for inner in faces]

    async def serve_forever(self) -> None:
        """Wait until the server is shut down, which it is when the task is cancelled."""
        try:
            await self._inner._runtime.run(self._inner._stopped.wait)
        finally:
            await self.shutdown()

    async def shutdown(self) -> None:
        """Stop listening, abort the associations and close the socket.

        Called from a handler, it does not wait for that handler's own association.
        """
        await self._stop(self._inner.shutdown)

    async def drain(self, timeout: float = 30.0, *, idle: float = 1.0) -> int:
        """Stop listening, and let the peers finish what they are at, before the rest is aborted.

        As `pynetdicom.transport.AssociationServer.drain`.

        Returns
        -------
        int
            How many were aborted since the time was up.
        """
        left: int = await self._stop(partial(self._inner.drain, timeout, idle=idle))
        return left

    async def _stop(self, stop: Callable[[], Any]) -> Any:
        try:
            return await self._inner._runtime.run(stop)
        except BaseException:  # what waits no more has at least been told
            self._inner.stop_soon()
            raise

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        await self.shutdown()


class Serving(Entered[Server]):
    """A server that is being started: awaited, or entered with ``async with``."""


_LOADED = (
    "pydicom",
    "pynetdicom.association.destinations",
    "pynetdicom.association.extended_negotiation",
    "pynetdicom.association.response_status",
    "pynetdicom.association.serving",
    "pynetdicom.dsutils",
    "pynetdicom.pdu_primitives",
)


def serve(
    address: tuple[Any, ...],
    contexts: Sequence[PresentationContext | str] | None = None,
    evt_handlers: EventHandlers | None = None,
    *,
    ae: ApplicationEntity | str | None = None,
    ae_title: str | bytes | None = None,
    spool_dir: str | None = None,
    spool_threshold: int | None = None,
    unrestricted_storage: bool | None = None,
    tls: ssl.SSLContext | None = None,
    plain_too: bool = False,
    access: AccessRules | None = None,
    capture: Capture | str | os.PathLike[str] | None = None,
) -> Serving:
    """Listen for association requests: ``async with aio.serve(…) as server:``.

    What it gives may be awaited as well, and gives the server, which the caller shuts down then.

    Parameters
    ----------
    address : tuple
        ``(host, port)`` or ``(host, port, flowinfo, scope_id)``; port 0 for a free one.
    contexts : sequence of PresentationContext or str, optional
        What is supported, instead of what `ae` supports; of a SOP Class UID with the usual transfer
        syntaxes.
    evt_handlers : sequence of tuple, optional
        ``(event, handler)`` or ``(event, handler, [args])``. Coroutine functions and asynchronous
        generators run in the loop, plain functions and generators on a thread.
    ae : ApplicationEntity or str, optional
        Whose settings hold, or only its AE title.
    ae_title, spool_dir, spool_threshold, unrestricted_storage, tls, plain_too, access, capture
        As for `pynetdicom.AE.start_server`.

    Returns
    -------
    Serving

    Raises
    ------
    ValueError, OSError
        As `pynetdicom.AE.start_server`, when it is awaited.
    """

    async def start() -> Server:
        entity = entity_of(ae)
        supported = None if contexts is None else contexts_of(contexts)
        options: dict[str, Any] = {
            "spool_dir": spool_dir,
            "spool_threshold": spool_threshold,
            "unrestricted_storage": unrestricted_storage,
            "preload": False,
            "tls": tls,
            "plain_too": plain_too,
            "access": access,
            "capture": capture,
        }
        runtime = runtime_here()
        with runtime.in_use():
            # Beside the loop, which it would hold up.
            await runtime.run(lambda: runtime.aside_to_files(_load))
            given: Any = (address, ae_title, supported, None, evt_handlers, LoopServer)
            inner = entity.make_server(*given, **options)
            assert isinstance(inner, LoopServer)
            inner.start()
            return Server(inner)

    return Serving(start)


def _load() -> None:
    for name in _LOADED:
        import_module(name)
