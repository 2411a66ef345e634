"""The application entity: who we are, what we propose and support, and how we associate."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Literal, Self, Unpack, overload

from pynetdicom import events
from pynetdicom.ae_contexts import proposed, served
from pynetdicom.ae_settings import Settings, title_of
from pynetdicom.network.addresses import AddressInformation
from pynetdicom.presentation import PresentationContext
from pynetdicom.settings import window_of
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer.items import DEFAULT_MAX_LENGTH, AsynchronousOperationsWindowNegotiation

if TYPE_CHECKING:
    import os
    import ssl

    from typing_extensions import TypeVar

    from pynetdicom.access import AccessRules
    from pynetdicom.association import Association
    from pynetdicom.capture import Capture
    from pynetdicom.transport import AssociationServer, ThreadedAssociationServer
    from pynetdicom.typing import EventHandlers, KeywordOptions, ServerOptions

    S = TypeVar("S", bound=AssociationServer, default=AssociationServer)


def prepare(
    ae: ApplicationEntity,
    addr: str | tuple[str, int, int],
    port: int,
    contexts: Sequence[PresentationContext] | None = None,
    ae_title: str | bytes = "ANY-SCP",
    max_pdu: int = DEFAULT_MAX_LENGTH,
    ext_neg: Sequence[Any] | None = None,
    bind_address: tuple[Any, ...] | None = None,
    tls_args: tuple[ssl.SSLContext, str] | None = None,
    evt_handlers: EventHandlers | None = None,
    window: tuple[int, int] | None = None,
    tls: str | ssl.SSLContext | None = None,
    *,
    make: Callable[..., Any] | None = None,
) -> Association:
    """Make an association that is not requested yet; see `ApplicationEntity.associate`.

    Where it is to be of another kind, `make` is called in the place of `Association`.
    """
    from pynetdicom.association import Association, agreeing
    from pynetdicom.association.requesting import Target

    address = _peer(addr, port)
    if bind_address is not None and not isinstance(bind_address, tuple):
        raise TypeError("'bind_address' must be a tuple (host, port)")
    if bind_address is not None:
        AddressInformation.from_tuple(bind_address)
    if tls is not None or tls_args is not None:
        from pynetdicom.tls import args_of

        tls_args = args_of(tls_args, tls, address.addr)
    items = list(ext_neg or ae.extended_negotiation or ())
    if window is not None:  # of this item there is one at most (PS3.7 D.3.3.3.1)
        items = [x for x in items if not isinstance(x, AsynchronousOperationsWindowNegotiation)]
    if acse.item_of(items, AsynchronousOperationsWindowNegotiation) is None:
        offered = window_of("window", ae.window if window is None else window)
        if offered != (1, 1):  # there are devices that break when it is offered
            items.append(AsynchronousOperationsWindowNegotiation(*offered))
    # What cannot be sent is the caller's mistake, not the association's end.
    request = agreeing.request(
        proposed(ae.requested_contexts if contexts is None else contexts),
        items,
        called_ae_title=title_of("ae_title", ae_title),
        calling_ae_title=ae.ae_title,
        maximum_length=max_pdu,
        implementation_class_uid=ae._implementation_uid,
        implementation_version_name=ae.implementation_version_name,
    )
    target = Target(address, request, max_pdu, bind_address, tls_args)
    made: Association = (make or Association)(
        ae, "requestor", target=target, evt_handlers=evt_handlers
    )
    return made


def _peer(addr: Any, port: Any) -> AddressInformation:
    """The peer's address, checked."""
    host = addr[0] if isinstance(addr, tuple) and len(addr) == 3 else addr
    if not isinstance(host, str):
        raise TypeError("'addr' must be str or (host, flowinfo, scope_id)")
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError("'port' must be int")
    return AddressInformation.from_addr_port(addr, port)


def _captured(
    evt_handlers: EventHandlers | None, capture: Capture | str | os.PathLike[str] | None
) -> EventHandlers | None:
    if capture is None:
        return evt_handlers
    from pynetdicom.capture import captured

    return captured(evt_handlers, capture)


class ApplicationEntity(Settings):
    """A DICOM application entity, as SCU and as SCP.

    Parameters
    ----------
    ae_title : str or bytes
        1 to 16 characters, without control characters and backslashes.
    port : int
        Where `start` listens.

    Attributes
    ----------
    acse_timeout, dimse_timeout, network_timeout, connection_timeout : float or None
        Seconds; None for no limit. Defaults 30, 30, 60 and None (what is left of `acse_timeout`).
    window : tuple of int and int
        How many operations it invokes, and performs, at a time; default (1, 1), see `associate`.
    maximum_associations : int
        Accepted associations at a time, over all servers of the AE; default 10.
    maximum_pdu_size : int
        The longest P-DATA-TF that is taken, 0 for no limit; default 16382.
    maximum_object_bytes : int or None
        The longest data set that is taken; a longer one is answered with 0xA700.
    require_calling_aet : list of str
        If not empty, the calling AE titles that are accepted.
    require_called_aet : bool
        Whether the called AE title must be ours.
    require_user_identity : bool
        Whether a peer must say by user identity negotiation who its user is, and a handler of
        ``EVT_USER_ID`` let that user in; default False: who says nothing is let in.
    spool_dir : str or None
        Where received data sets are kept that do not fit into memory; None for the system's
        temporary directory.
    bind_addr : str
        The interface that `start` listens on.
    """

    # What its associations ask of it, see `Entity`.
    @staticmethod
    def _make_event(
        assoc: Any, event: events.EventType, attrs: dict[str, Any] | None, timestamp: Any = None
    ) -> events.Event:
        from pynetdicom.event_kinds import CLASSES  # the first event has it loaded

        return CLASSES[event](assoc, event, attrs, timestamp)

    _ask = staticmethod(events.ask)
    _prepare = prepare

    # As requestor

    def associate(
        self,
        addr: str | tuple[str, int, int],
        port: int,
        contexts: Sequence[PresentationContext] | None = None,
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
    ) -> Association:
        """Request an association with a peer and wait for the outcome.

        Parameters
        ----------
        addr : str or tuple
            The peer's host name or address, or ``(host, flowinfo, scope_id)`` for IPv6.
        port : int
        contexts : sequence of PresentationContext, optional
            What to propose instead of `requested_contexts`; 1 to 128.
        ae_title : str or bytes
            The called AE title.
        max_pdu : int
            The longest P-DATA-TF that the peer may send; 0 for no limit.
        ext_neg : sequence, optional
            Extended negotiation items, see `pynetdicom.pdu_primitives`.
        bind_address : tuple, optional
            The local ``(host, port)`` to connect from.
        tls_args : tuple of ssl.SSLContext and str, optional
            Use TLS; the peer's certificate must be for that host name, if the context checks it.
            Where the host name is that of `addr`, `tls` is simpler.
        evt_handlers : sequence of tuple, optional
            ``(event, handler)`` or ``(event, handler, [args])``.
        window : tuple of int and int, optional
            How many operations to invoke, and to perform, at a time, instead of `window` of the AE
            and of what `ext_neg` says of it; 0 for up to 64. ``(1, 1)`` offers nothing, for peers
            that break when they are offered it (PS3.7 D.3.3.3). What the peer agrees to, counts.
        tls : str or ssl.SSLContext, optional
            Use TLS, and verify that the peer's certificate is for `addr`: a context such as
            `pynetdicom.tls.client_context` makes, or ``"bcp195"`` or ``"bcp195-modified"``, for
            the authorities that the system trusts and no certificate of ours.
        capture : Capture or str or path-like, optional
            What is sent and received goes into it, deciphered, see `pynetdicom.capture`: a file
            that is made, and must not be there.

        Returns
        -------
        Association
            Ask its `is_established`; if it is not, `ended` says why.

        Raises
        ------
        TypeError
            A parameter is of the wrong type.
        ValueError
            A parameter has a value that cannot be sent.
        RuntimeError
            There is nothing to propose.
        OSError
            The file of the `capture` cannot be made, or is there already.

        Notes
        -----
        PS3.8 7.1
        """
        evt_handlers = _captured(evt_handlers, capture)
        options = (ext_neg, bind_address, tls_args, evt_handlers, window, tls)
        assoc = self._prepare(addr, port, contexts, ae_title, max_pdu, *options)
        try:
            self._running.request(assoc)
            return assoc
        except BaseException:  # Ctrl-C: nobody would have it
            self._running.forget(assoc)
            raise

    # As acceptor

    def start(self, select_timeout: float = 0.5) -> None:
        """Listen on `bind_addr` and `port` until `stop` is called from another thread, or Ctrl-C.

        Parameters
        ----------
        select_timeout : float
            Without effect: nothing polls.
        """
        self.start_server((self.bind_addr, self.port), block=True)

    @overload
    def start_server(
        self, address: tuple[Any, ...], block: Literal[True] = True, **more: Unpack[ServerOptions]
    ) -> None: ...
    @overload
    def start_server(
        self, address: tuple[Any, ...], block: Literal[False], **more: Unpack[ServerOptions]
    ) -> ThreadedAssociationServer: ...
    @overload
    def start_server(
        self,
        address: tuple[Any, ...],
        block: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: EventHandlers | None = None,
        ae_title: str | bytes | None = None,
        contexts: Sequence[PresentationContext] | None = None,
        **more: Unpack[KeywordOptions],
    ) -> ThreadedAssociationServer | None: ...
    def start_server(
        self,
        address: tuple[Any, ...],
        block: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: EventHandlers | None = None,
        ae_title: str | bytes | None = None,
        contexts: Sequence[PresentationContext] | None = None,
        *,
        spool_dir: str | None = None,
        spool_threshold: int | None = None,
        unrestricted_storage: bool | None = None,
        preload: bool = True,
        tls: ssl.SSLContext | None = None,
        plain_too: bool = False,
        access: AccessRules | None = None,
        capture: Capture | str | os.PathLike[str] | None = None,
    ) -> ThreadedAssociationServer | None:
        """Listen for association requests.

        Parameters
        ----------
        address : tuple
            ``(host, port)`` or ``(host, port, flowinfo, scope_id)``; host ``""`` for all of IPv4,
            ``"::"`` for IPv6 too; port 0 for a free one.
        block : bool
            Serve until `shutdown` is called from another thread, or Ctrl-C; otherwise return at
            once.
        ssl_context : ssl.SSLContext, optional
            Serve TLS with it; the same as `tls`.
        evt_handlers : sequence of tuple, optional
            ``(event, handler)`` or ``(event, handler, [args])``.
        ae_title : str or bytes, optional
            The AE title of this server, instead of the AE's.
        contexts : sequence of PresentationContext, optional
            What this server supports, instead of `supported_contexts`.
        spool_dir : str, optional
            Where received data sets are kept that do not fit into memory, instead of the AE's
            `spool_dir`. Saving to the same file system then takes no copy.
        spool_threshold : int, optional
            Bytes of a data set that are kept in memory; default ``_config.SPOOL_THRESHOLD``.
        unrestricted_storage : bool, optional
            Accept every SOP Class that no other service has as storage; default
            ``_config.UNRESTRICTED_STORAGE_SERVICE``.
        preload : bool
            Load pydicom before listening, if there are handlers or callbacks, so that the first
            peer does not wait for it. False suits handlers that decode nothing.
        tls : ssl.SSLContext, optional
            Serve TLS, with a context such as `pynetdicom.tls.server_context` makes.
        plain_too : bool
            Serve peers that come without TLS as well, on the same port: an association's
            ``dul.socket.is_tls`` tells which it is.
        access : AccessRules, optional
            Who may do what, see `pynetdicom.access`; default: all may do all.
        capture : Capture or str or path-like, optional
            What is sent and received goes into it, deciphered, see `pynetdicom.capture`: a file
            that is made, and must not be there.

        Returns
        -------
        ThreadedAssociationServer or None
            The running server; None after serving with `block`.

        Raises
        ------
        ValueError
            Nothing is supported, or only one of the two roles of a context is set.
        OSError
            The address cannot be listened on, or the file of the `capture` not be made.
        """
        from pynetdicom.transport import ThreadedAssociationServer

        before = self._running.servers.copy()
        try:
            given = (address, ae_title, contexts, ssl_context, evt_handlers)
            server = self.make_server(
                *given,
                ThreadedAssociationServer,
                spool_dir=spool_dir,
                spool_threshold=spool_threshold,
                unrestricted_storage=unrestricted_storage,
                preload=preload,
                tls=tls,
                plain_too=plain_too,
                access=access,
                capture=capture,
            )
            if not block:
                server.start()
                return server
            server.serve_forever()
            self._running.stop([server])
        except BaseException as error:
            # Ctrl-C may come as soon as it is made, and on the way out, too.
            mine = [one for one in self._running.servers - before if one.is_made_here]
            self._running.stop(mine)
            if not (block and isinstance(error, KeyboardInterrupt)):
                raise
        return None

    def make_server(
        self,
        address: tuple[Any, ...],
        ae_title: str | bytes | None = None,
        contexts: Sequence[PresentationContext] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: EventHandlers | None = None,
        server_class: type[S] | None = None,
        *,
        tls: ssl.SSLContext | None = None,
        capture: Capture | str | os.PathLike[str] | None = None,
        **kwargs: Any,
    ) -> S:
        """Make a server without running it; see `start_server` for the parameters.

        Parameters
        ----------
        server_class : type, optional
            A subclass of `AssociationServer`, which is the default.

        Raises
        ------
        TypeError
            `server_class` is not such a subclass.
        """
        from pynetdicom import _config
        from pynetdicom.transport import AssociationServer

        if tls is not None:
            if ssl_context is not None:
                raise ValueError("'tls' and 'ssl_context' are not to be given both")
            from pynetdicom.tls import context_of

            ssl_context = context_of(tls, is_server=True)
        made_of: Any = server_class or AssociationServer
        if not isinstance(made_of, type) or not issubclass(made_of, AssociationServer):
            raise TypeError("'server_class' must be a subclass of AssociationServer")
        unrestricted = kwargs.get("unrestricted_storage")
        if unrestricted is None:
            unrestricted = _config.UNRESTRICTED_STORAGE_SERVICE
        supported = self.supported_contexts if contexts is None else contexts
        server: Any = made_of(
            self,
            address,
            self.ae_title if ae_title is None else title_of("ae_title", ae_title),
            served(supported, may_be_none=unrestricted),
            ssl_context,
            _captured(evt_handlers, capture),
            **kwargs,
        )
        made: S = server
        return made

    # Ending

    def __enter__(self) -> Self:
        """Give itself; it is shut down at the end of the ``with``."""
        return self

    def __exit__(self, *_: object) -> None:
        self.shutdown()

    def shutdown(self) -> None:
        """Abort all associations and stop all servers; it takes at most 2 s.

        Called from a handler, it does not wait for that handler's own association.
        """
        self._running.shutdown()

    stop = shutdown
    quit = shutdown

    def cleanup_associations(self) -> None:
        """Do nothing: associations that have ended are forgotten by themselves."""
