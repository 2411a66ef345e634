"""What an association asks of the AE and of the server that it belongs to, who stand above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom.handlers import Handlers, Host
from pynetdicom.running import Running
from pynetdicom.upper_layer.contexts import PresentationContext

if TYPE_CHECKING:
    import contextvars


class Entity(Host, Protocol):
    """The application entity; what has an underscore is not for users."""

    acse_timeout: Any
    dimse_timeout: Any
    network_timeout: Any
    connection_timeout: Any
    maximum_object_bytes: int | None
    require_user_identity: bool
    spool_dir: str | None
    _implementation_uid: str
    _running: Running

    @property
    def ae_title(self) -> str: ...
    @property
    def active_associations(self) -> list[Any]: ...
    @property
    def implementation_version_name(self) -> str | None: ...
    @property
    def maximum_associations(self) -> int: ...
    @property
    def maximum_pdu_size(self) -> int: ...
    @property
    def requested_contexts(self) -> list[PresentationContext]: ...
    @property
    def require_called_aet(self) -> bool: ...
    @property
    def require_calling_aet(self) -> list[str]: ...

    @property
    def associate(self) -> Any:
        """See `ApplicationEntity.associate`; so for `shutdown`: handlers ask it for both."""

    def shutdown(self) -> None: ...

    @property
    def _prepare(self) -> Any:
        """Makes an association, from the parameters of `associate`, that is not requested yet."""


class Listener(Protocol):
    """The server that an association request came to."""

    contexts: list[PresentationContext]
    contextvars: contextvars.Context | None
    spool_dir: str | None
    spool_threshold: int
    unrestricted_storage: bool | None
    _handlers: Handlers

    @property
    def ae_title(self) -> str: ...

    def association_ended(self, assoc: Any) -> None: ...
