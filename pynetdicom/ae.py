"""The application entity: who we are, what we propose and support, and the ways into an association."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom._version import (
    PYNETDICOM_IMPLEMENTATION_UID,
    PYNETDICOM_IMPLEMENTATION_VERSION,
)
from pynetdicom.presentation import DEFAULT_TRANSFER_SYNTAXES, PresentationContext
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer.transport import AddressInformation
from pynetdicom.utils import set_ae, set_uid

if TYPE_CHECKING:
    import ssl

    from pydicom.uid import UID

    from pynetdicom.association import Association
    from pynetdicom.events import HandlerSpec
    from pynetdicom.transport import AssociationServer, ThreadedAssociationServer

LOGGER = logging.getLogger("pynetdicom.ae")

MAXIMUM_CONTEXTS = 128
DEFAULT_PDU_SIZE = 16382
# shutdown() returns within 2 s. Peers get half a second to take the A-ABORT and close.
_POLITE = 0.5
_SHUTDOWN = 1.8

Syntaxes = str | Sequence[str] | None


class Callbacks:
    """The callbacks of an `ApplicationEntity`: assign a function to the instance, or override the method.

    A bound event handler takes the place of the callback. ``context`` is a named tuple (context_id, abstract_syntax,
    transfer_syntax); ``info`` a dict on the association and the request, with AE titles as padded bytes.
    """

    def on_c_echo(self, context: Any, info: Any) -> Any:
        """A C-ECHO request: return its status."""
        return 0x0000

    def on_c_store(self, dataset: Any, context: Any, info: Any) -> Any:
        """A C-STORE request: return its status."""
        raise NotImplementedError

    def on_c_find(self, dataset: Any, context: Any, info: Any) -> Any:
        """A C-FIND request: yield (status, identifier)."""
        raise NotImplementedError

    def on_c_get(self, dataset: Any, context: Any, info: Any) -> Any:
        """A C-GET request: yield the number of sub-operations, then (status, dataset)."""
        raise NotImplementedError

    def on_c_move(self, dataset: Any, move_aet: Any, context: Any, info: Any) -> Any:
        """A C-MOVE request: yield (addr, port), the number of sub-operations, then (status, dataset)."""
        raise NotImplementedError

    def on_c_find_cancel(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    def on_c_get_cancel(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    def on_c_move_cancel(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    def on_n_action(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-ACTION request: return (status, dataset)."""
        raise NotImplementedError

    def on_n_create(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-CREATE request: return (status, dataset)."""
        raise NotImplementedError

    def on_n_delete(self, context: Any, info: Any) -> Any:
        """An N-DELETE request: return its status."""
        raise NotImplementedError

    def on_n_event_report(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-EVENT-REPORT request: return (status, dataset)."""
        raise NotImplementedError

    def on_n_get(self, attr: Any, context: Any, info: Any) -> Any:
        """An N-GET request for a list of tags: return (status, dataset)."""
        raise NotImplementedError

    def on_n_set(self, dataset: Any, context: Any, info: Any) -> Any:
        """An N-SET request: return (status, dataset)."""
        raise NotImplementedError

    def on_async_ops_window(self, nr_invoked: int, nr_performed: int) -> Any:
        """An asynchronous operations window is proposed: return (int, int) to have it answered."""
        raise NotImplementedError

    def on_sop_class_common_extended(self, items: Any) -> Any:
        """SOP class common extended negotiation: return the accepted ones of ``items``."""
        return {}

    def on_sop_class_extended(self, app_info: Any) -> Any:
        """SOP class extended negotiation: return a dict of SOP Class UID to bytes, or None."""
        return None

    def on_user_identity(
        self, user_id_type: int, primary_field: bytes, secondary_field: bytes, info: Any
    ) -> Any:
        """A user identity is given: return (whether it is accepted, response)."""
        raise NotImplementedError

    def on_association_requested(self, primitive: Any) -> Any:
        """An association is requested."""

    def on_association_accepted(self, primitive: Any) -> Any:
        """An association was accepted."""

    def on_association_rejected(self, primitive: Any) -> Any:
        """An association was rejected."""

    def on_association_released(self, primitive: Any = None) -> Any:
        """An association was released."""

    def on_association_aborted(self, primitive: Any = None) -> Any:
        """An association was aborted."""

    def on_receive_connection(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError

    def on_make_connection(self) -> Any:
        """Kept for scripts that have it; never called."""
        raise NotImplementedError


def _timeout(name: str, otherwise: float | None) -> Any:
    """A property for seconds ≥ 0 or None, which live associations follow; anything else is `otherwise`."""
    field = f"_{name}"

    def get(self: ApplicationEntity) -> float | None:
        return self.__dict__.get(field, otherwise)  # type: ignore[no-any-return]  # set below, checked

    def set_(self: ApplicationEntity, value: float | None) -> None:
        least = 0 if name != "connection_timeout" else 1e-9
        if value is not None and (
            isinstance(value, bool) or not isinstance(value, (int, float)) or not value >= least
        ):
            LOGGER.warning("%s must be a number of seconds or None; it is %s now", name, otherwise)
            value = otherwise
        self.__dict__[field] = value
        for assoc in self.active_associations:
            setattr(assoc, name, value)

    return property(get, set_, doc=f"Seconds of the `{name}`, None for no limit.")


class ApplicationEntity(Callbacks):
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
    spool_dir : str or None
        Where received data sets are kept that do not fit into memory; None for the system's temporary directory.
    bind_addr : str
        The interface that `start` listens on.
    """

    acse_timeout = _timeout("acse_timeout", 30)
    dimse_timeout = _timeout("dimse_timeout", 30)
    network_timeout = _timeout("network_timeout", 60)
    connection_timeout = _timeout("connection_timeout", None)

    def __init__(self, ae_title: str | bytes = "PYNETDICOM", port: int = 0) -> None:
        self._lock = threading.Lock()
        self._servers: list[AssociationServer] = []
        self._reserved = 0
        self._associations: set[Association] = set()
        self.ae_title = ae_title  # type: ignore[assignment]  # the setter takes bytes as well
        self.port = port
        self.bind_addr = ""
        self.extended_negotiation: list[Any] = []
        self.local_socket: Any = None
        self.maximum_object_bytes: int | None = None
        self.spool_dir: str | None = None
        self._require_calling_aet: list[str] = []
        self._require_called_aet = False
        self._maximum_associations = 10
        self._maximum_pdu_size = DEFAULT_PDU_SIZE
        self._implementation_uid = PYNETDICOM_IMPLEMENTATION_UID
        self._implementation_version: str | None = PYNETDICOM_IMPLEMENTATION_VERSION
        self._requested: list[PresentationContext] = []
        self._supported: dict[str, PresentationContext] = {}

    # Who we are

    @property
    def ae_title(self) -> str:
        """Get or set the AE title, as given; bytes are decoded, stripped and cut at 16."""
        return self._ae_title

    @ae_title.setter
    def ae_title(self, value: str | bytes) -> None:
        title = set_ae(value, "ae_title", allow_empty=False, allow_none=False)
        assert title is not None
        self._ae_title = title

    @property
    def port(self) -> int:
        """Get or set the port that `start` listens on."""
        return self._port

    @port.setter
    def port(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            raise ValueError("'port' must be an int, 0 or more")
        self._port = value

    @property
    def address(self) -> str:
        """The address of this machine's host name."""
        if "_address" not in self.__dict__:
            import socket

            try:
                self._address = socket.gethostbyname(socket.gethostname())
            except OSError:
                self._address = "127.0.0.1"
        return self._address

    @address.setter
    def address(self, value: str) -> None:
        self._address = value

    @property
    def implementation_class_uid(self) -> UID:
        """Get or set the implementation class UID that peers are told (PS3.7 D.3.3.2)."""
        from pydicom.uid import UID

        return UID(self._implementation_uid)

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: str) -> None:
        uid = set_uid(value, "implementation_class_uid", False, False, True)
        assert uid is not None
        self._implementation_uid = str(uid)

    @property
    def implementation_uid(self) -> str:
        """The implementation class UID as plain str."""
        return self._implementation_uid

    @property
    def implementation_version_name(self) -> str | None:
        """Get or set the implementation version name that peers are told, at most 16 characters, or None."""
        return self._implementation_version

    @implementation_version_name.setter
    def implementation_version_name(self, value: str | bytes | None) -> None:
        if isinstance(value, bytes):
            value = value.decode("ascii").strip()
        if value is not None and not isinstance(value, str):
            raise TypeError("'implementation_version_name' must be str or None")
        if value is not None and (not 1 <= len(value) <= 16 or not value.isascii()):
            raise ValueError("'implementation_version_name' has 1 to 16 ASCII characters")
        self._implementation_version = value

    # Limits

    @property
    def maximum_associations(self) -> int:
        """Get or set how many accepted associations there may be at a time."""
        return self._maximum_associations

    @maximum_associations.setter
    def maximum_associations(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 1:
            LOGGER.warning("maximum_associations must be an int of 1 or more; it is 1 now")
            value = 1
        self._maximum_associations = value

    @property
    def maximum_pdu_size(self) -> int:
        """Get or set the longest P-DATA-TF that is taken; 0 for no limit."""
        return self._maximum_pdu_size

    @maximum_pdu_size.setter
    def maximum_pdu_size(self, value: int) -> None:
        if isinstance(value, bool) or not isinstance(value, int) or value < 0:
            LOGGER.warning("maximum_pdu_size must be an int of 0 or more; it stays as it was")
            return
        self._maximum_pdu_size = value

    @property
    def require_calling_aet(self) -> list[str]:
        """Get or set the calling AE titles that are accepted; none means all. A lone title will do."""
        return self._require_calling_aet

    @require_calling_aet.setter
    def require_calling_aet(self, value: str | bytes | Iterable[str | bytes]) -> None:
        titles = [value] if isinstance(value, (str, bytes)) else list(value or ())
        checked = [set_ae(title, "require_calling_aet", False, False) for title in titles]
        self._require_calling_aet = [title for title in checked if title is not None]

    @property
    def require_called_aet(self) -> bool:
        """Get or set whether the called AE title must be ours."""
        return self._require_called_aet

    @require_called_aet.setter
    def require_called_aet(self, value: bool) -> None:
        self._require_called_aet = bool(value)

    # Presentation contexts

    @property
    def requested_contexts(self) -> list[PresentationContext]:
        """Get what is proposed; assigning contexts adds them to it, assigning nothing clears it."""
        return self._requested

    @requested_contexts.setter
    def requested_contexts(self, contexts: Iterable[PresentationContext] | None) -> None:
        added = list(contexts or ())
        if not added:
            self._requested = []
            return
        for context in added:
            if not isinstance(context, PresentationContext):
                raise ValueError("'contexts' must be PresentationContext items")
        if len(self._requested) + len(added) > MAXIMUM_CONTEXTS:
            raise ValueError(
                f"an association has at most {MAXIMUM_CONTEXTS} presentation contexts;"
                f" there are {len(self._requested)} and {len(added)} would be added"
            )
        for context in added:
            self.add_requested_context(context.abstract_uid, context.transfer_uids)

    def add_requested_context(self, abstract_syntax: str, transfer_syntax: Syntaxes = None) -> None:
        """Add a presentation context to propose.

        Parameters
        ----------
        abstract_syntax : str or pydicom.uid.UID
            Usually a SOP Class UID.
        transfer_syntax : str or pydicom.uid.UID or sequence of them, optional
            Default `DEFAULT_TRANSFER_SYNTAXES`.

        Raises
        ------
        ValueError
            There are 128 already, or a UID is not valid.
        """
        if len(self._requested) >= MAXIMUM_CONTEXTS:
            raise ValueError(f"an association has at most {MAXIMUM_CONTEXTS} presentation contexts")
        self._requested.append(PresentationContext(abstract_syntax, _listed(transfer_syntax)))

    def remove_requested_context(
        self, abstract_syntax: str, transfer_syntax: Syntaxes = None
    ) -> None:
        """Remove proposed contexts of `abstract_syntax`, or only transfer syntaxes of them."""
        self._requested = [
            context
            for context in self._requested
            if context.abstract_uid != str(abstract_syntax) or _reduce(context, transfer_syntax)
        ]

    @property
    def supported_contexts(self) -> list[PresentationContext]:
        """Get what is supported, by abstract syntax; assigning adds, assigning nothing clears it."""
        return [self._supported[uid] for uid in sorted(self._supported)]

    @supported_contexts.setter
    def supported_contexts(self, contexts: Iterable[PresentationContext] | None) -> None:
        added = list(contexts or ())
        if not added:
            self._supported = {}
        for context in added:
            if not isinstance(context, PresentationContext):
                raise ValueError("'contexts' must be PresentationContext items")
        for context in added:
            self.add_supported_context(
                context.abstract_uid, context.transfer_uids, context.scu_role, context.scp_role
            )

    def add_supported_context(
        self,
        abstract_syntax: str,
        transfer_syntax: Syntaxes = None,
        scu_role: bool | None = None,
        scp_role: bool | None = None,
    ) -> None:
        """Add a presentation context to support; its transfer syntaxes are merged with those there.

        Parameters
        ----------
        abstract_syntax : str or pydicom.uid.UID
            Usually a SOP Class UID.
        transfer_syntax : str or pydicom.uid.UID or sequence of them, optional
            The preferred one first; default `DEFAULT_TRANSFER_SYNTAXES`.
        scu_role, scp_role : bool, optional
            Whether a requestor that proposes to be SCU, or SCP, is accepted as such. Both or none.

        Raises
        ------
        TypeError
            A role is neither bool nor None.
        ValueError
            A UID is not valid.

        Notes
        -----
        PS3.7 D.3.3.4
        """
        context = PresentationContext(abstract_syntax, _listed(transfer_syntax))
        context.scu_role, context.scp_role = scu_role, scp_role
        known = self._supported.get(context.abstract_uid)
        if known is None:
            context.context_id = 1
            self._supported[context.abstract_uid] = context
            return
        for uid in context.transfer_uids:
            known.add_transfer_syntax(uid)
        known.scu_role, known.scp_role = scu_role, scp_role

    def remove_supported_context(
        self, abstract_syntax: str, transfer_syntax: Syntaxes = None
    ) -> None:
        """Remove the supported context of `abstract_syntax`, or only transfer syntaxes of it."""
        context = self._supported.get(str(abstract_syntax))
        if context is not None and not _reduce(context, transfer_syntax):
            del self._supported[context.abstract_uid]

    # As requestor

    def associate(
        self,
        addr: str | tuple[str, int, int],
        port: int,
        contexts: Sequence[PresentationContext] | None = None,
        ae_title: str | bytes = "ANY-SCP",
        max_pdu: int = DEFAULT_PDU_SIZE,
        ext_neg: Sequence[Any] | None = None,
        bind_address: tuple[Any, ...] | None = None,
        tls_args: tuple[ssl.SSLContext, str] | None = None,
        evt_handlers: Sequence[HandlerSpec] | None = None,
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
        evt_handlers : sequence of tuple, optional
            ``(event, handler)`` or ``(event, handler, [args])``.

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

        Notes
        -----
        PS3.8 7.1
        """
        from pynetdicom.association import Association

        address = _peer(addr, port)
        if bind_address is not None and not isinstance(bind_address, tuple):
            raise TypeError("'bind_address' must be a tuple (host, port)")
        if bind_address is not None:
            AddressInformation.from_tuple(bind_address)
        _check_tls(tls_args)
        title = set_ae(ae_title, "ae_title", allow_empty=False, allow_none=False)
        assert title is not None
        request = acse.request(
            called_ae_title=title,
            calling_ae_title=self.ae_title,
            contexts=self._proposed(contexts),
            maximum_length=max_pdu,
            implementation_class_uid=self._implementation_uid,
            implementation_version_name=self._implementation_version,
            ext_neg=ext_neg or self.extended_negotiation or (),
        )
        assoc = Association(self, "requestor", evt_handlers=evt_handlers)
        assoc.prepare(address, request, max_pdu, bind_address, tls_args)
        self.associations_changed(assoc, added=True)
        try:
            assoc.request()
        except BaseException:  # Ctrl-C
            assoc.abort(block=False)
            raise
        return assoc

    def _proposed(
        self, contexts: Sequence[PresentationContext] | None
    ) -> list[PresentationContext]:
        """Copies of the contexts to propose, with their IDs."""
        chosen = self._requested if contexts is None else contexts
        if not chosen:
            raise RuntimeError("at least one presentation context must be requested")
        if len(chosen) > MAXIMUM_CONTEXTS:
            raise ValueError(f"an association has at most {MAXIMUM_CONTEXTS} presentation contexts")
        copies = []
        for index, context in enumerate(chosen):
            if not isinstance(context, PresentationContext):
                raise ValueError("'contexts' must be PresentationContext items")
            copy = context.copy()
            copy.context_id = 2 * index + 1
            copies.append(copy)
        return copies

    # As acceptor

    def start(self, select_timeout: float = 0.5) -> None:
        """Listen on `bind_addr` and `port` until `stop` is called from another thread, or Ctrl-C.

        Parameters
        ----------
        select_timeout : float
            Without effect: nothing polls.
        """
        self.start_server((self.bind_addr, self.port), block=True)

    def start_server(
        self,
        address: tuple[Any, ...],
        block: bool = True,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: Sequence[HandlerSpec] | None = None,
        ae_title: str | bytes | None = None,
        contexts: Sequence[PresentationContext] | None = None,
        *,
        spool_dir: str | None = None,
        spool_threshold: int | None = None,
        unrestricted_storage: bool | None = None,
    ) -> ThreadedAssociationServer | None:
        """Listen for association requests.

        Parameters
        ----------
        address : tuple
            ``(host, port)`` or ``(host, port, flowinfo, scope_id)``; host ``""`` for all of IPv4, ``"::"`` for IPv6
            too; port 0 for a free one.
        block : bool
            Serve until `shutdown` is called from another thread, or Ctrl-C; otherwise return at once.
        ssl_context : ssl.SSLContext, optional
            Serve TLS with it.
        evt_handlers : sequence of tuple, optional
            ``(event, handler)`` or ``(event, handler, [args])``.
        ae_title : str or bytes, optional
            The AE title of this server, instead of the AE's.
        contexts : sequence of PresentationContext, optional
            What this server supports, instead of `supported_contexts`.
        spool_dir : str, optional
            Where received data sets are kept that do not fit into memory, instead of the AE's `spool_dir`. Saving to
            the same file system then takes no copy.
        spool_threshold : int, optional
            Bytes of a data set that are kept in memory; default ``_config.SPOOL_THRESHOLD``.
        unrestricted_storage : bool, optional
            Accept every SOP Class that no other service has as storage; default
            ``_config.UNRESTRICTED_STORAGE_SERVICE``.

        Returns
        -------
        ThreadedAssociationServer or None
            The running server; None after serving with `block`.

        Raises
        ------
        ValueError
            Nothing is supported, or only one of the two roles of a context is set.
        OSError
            The address cannot be listened on.
        """
        from pynetdicom.transport import ThreadedAssociationServer

        server = self.make_server(
            address,
            ae_title,
            contexts,
            ssl_context,
            evt_handlers,
            ThreadedAssociationServer,
            spool_dir=spool_dir,
            spool_threshold=spool_threshold,
            unrestricted_storage=unrestricted_storage,
        )
        assert isinstance(server, ThreadedAssociationServer)
        if not block:
            server.start()
            return server
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            pass
        finally:
            self.stop_servers([server])
        return None

    def make_server(
        self,
        address: tuple[Any, ...],
        ae_title: str | bytes | None = None,
        contexts: Sequence[PresentationContext] | None = None,
        ssl_context: ssl.SSLContext | None = None,
        evt_handlers: Sequence[HandlerSpec] | None = None,
        server_class: type[AssociationServer] | None = None,
        **kwargs: Any,
    ) -> AssociationServer:
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

        server_class = server_class or AssociationServer
        if not (isinstance(server_class, type) and issubclass(server_class, AssociationServer)):
            raise TypeError("'server_class' must be a subclass of AssociationServer")
        unrestricted = kwargs.get("unrestricted_storage")
        if unrestricted is None:
            unrestricted = _config.UNRESTRICTED_STORAGE_SERVICE
        supported = self.supported_contexts if contexts is None else list(contexts)
        if not supported and not unrestricted:
            raise ValueError("no presentation contexts are supported")
        for context in supported:
            if (context.scu_role is None) != (context.scp_role is None):
                raise ValueError(
                    f"only one of scu_role and scp_role is set for {context.abstract_uid}"
                )
        title = set_ae(ae_title, "ae_title", allow_empty=False) or self.ae_title
        return server_class(
            self,
            address,
            title,
            [context.copy() for context in supported],
            ssl_context,
            evt_handlers,
            **kwargs,
        )

    # Ending

    def shutdown(self) -> None:
        """Abort all associations and stop all servers; it takes at most 2 s.

        Called from a handler, it does not wait for that handler's own association.
        """
        with self._lock:
            servers, associations = list(self._servers), list(self._associations)
        self._end(servers, associations)

    stop = shutdown
    quit = shutdown

    def stop_servers(self, servers: Iterable[AssociationServer]) -> None:
        """Stop servers and abort their associations."""
        servers = list(servers)
        self._end(servers, [a for server in servers for a in server.all_associations()])

    def _end(self, servers: list[AssociationServer], associations: list[Association]) -> None:
        begun = time.monotonic()
        for server in servers:
            server.stop_listening()
        for server in servers:  # none is admitted after this
            server.wait_stopped(begun + _POLITE)
            associations += [a for a in server.all_associations() if a not in associations]
        for assoc in associations:
            assoc.abort(block=False)
        for assoc in associations:
            assoc.wait_ended(begun + 2 * _POLITE)
        for assoc in associations:
            if assoc.is_alive():
                assoc.cut()
        deadline = begun + _SHUTDOWN
        for assoc in associations:
            if not assoc.wait_ended(deadline):
                LOGGER.warning("%s has not ended: %s", assoc.name, assoc.what_holds_it())
        for server in servers:
            server.server_close()

    def cleanup_associations(self) -> None:
        """Do nothing: associations that have ended are forgotten by themselves."""

    @property
    def active_associations(self) -> list[Association]:
        """The associations that have not ended."""
        with self._lock:
            return [assoc for assoc in self._associations if assoc.ended is None]

    def reserve(self) -> bool:
        """Make room for an association that is about to be accepted; False if there is none."""
        with self._lock:
            live = sum(a.is_acceptor for a in self._associations if a.ended is None)
            if live + self._reserved >= self._maximum_associations:
                return False
            self._reserved += 1
            return True

    @property
    def has_callbacks(self) -> bool:
        """Whether a callback was assigned, or is overridden."""
        from pynetdicom.events import is_assigned

        return any(is_assigned(self, name) for name in vars(Callbacks) if name.startswith("on_"))

    def associations_changed(self, assoc: Association, *, added: bool) -> None:
        """Take note of an association that begins or ends."""
        with self._lock:
            (self._associations.add if added else self._associations.discard)(assoc)
            if added and assoc.is_acceptor:
                self._reserved -= 1

    def servers_changed(self, server: AssociationServer, *, added: bool) -> None:
        """Take note of a server that begins or ends."""
        with self._lock:
            if added:
                self._servers.append(server)
            elif server in self._servers:
                self._servers.remove(server)

    def __str__(self) -> str:
        """Several lines on who the AE is and what it does."""
        lines = [
            f"Application Entity '{self.ae_title}'",
            "",
            f"  Accepted associations: {sum(a.is_acceptor for a in self.active_associations)}"
            f" of at most {self._maximum_associations}",
            f"  Maximum PDU size: {self._maximum_pdu_size or 'no limit'}",
            f"  Timeouts (s): ACSE {self.acse_timeout}, DIMSE {self.dimse_timeout},"
            f" network {self.network_timeout}, connection {self.connection_timeout}",
            f"  Calling AE titles: {', '.join(self._require_calling_aet) or 'any'}",
            f"  Called AE title must match: {self._require_called_aet}",
        ]
        for heading, contexts in (
            ("Requested", self._requested),
            ("Supported", self.supported_contexts),
        ):
            lines += ["", f"  {heading} presentation contexts: {len(contexts) or 'none'}"]
            for context in contexts:
                lines += [f"    {line}" for line in str(context).splitlines()]
        return "\n".join(lines)


def _listed(transfer_syntax: Syntaxes) -> list[str]:
    if transfer_syntax is None:
        return list(DEFAULT_TRANSFER_SYNTAXES)
    if isinstance(transfer_syntax, (str, bytes)):
        return [transfer_syntax]
    return list(transfer_syntax)


def _reduce(context: PresentationContext, transfer_syntax: Syntaxes) -> bool:
    """Remove transfer syntaxes from a context, all if None; whether any are left."""
    if transfer_syntax is None:
        return False
    gone = set(_listed(transfer_syntax))
    context.transfer_uids = [uid for uid in context.transfer_uids if uid not in gone]
    return bool(context.transfer_uids)


def _peer(addr: str | tuple[str, int, int], port: int) -> AddressInformation:
    """The peer's address, checked."""
    if isinstance(addr, tuple):
        if len(addr) != 3 or not isinstance(addr[0], str):
            raise TypeError("'addr' must be str or (host, flowinfo, scope_id)")
    elif not isinstance(addr, str):
        raise TypeError("'addr' must be str or (host, flowinfo, scope_id)")
    if isinstance(port, bool) or not isinstance(port, int):
        raise TypeError("'port' must be int")
    return AddressInformation.from_addr_port(addr, port)


def _check_tls(tls_args: tuple[ssl.SSLContext, str] | None) -> None:
    if tls_args is None:
        return
    import ssl

    if (
        not isinstance(tls_args, (tuple, list))
        or len(tls_args) != 2
        or not isinstance(tls_args[0], ssl.SSLContext)
        or not isinstance(tls_args[1], (str, type(None)))
    ):
        raise TypeError("'tls_args' must be (ssl.SSLContext, host name)")
