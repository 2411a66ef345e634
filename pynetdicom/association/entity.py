"""What an association asks of the AE and of the server that it belongs to, who stand above it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom.handlers import Handlers, Host
from pynetdicom.running import Running
from pynetdicom.upper_layer.contexts import PresentationContext

if TYPE_CHECKING:
    from pynetdicom.access import AccessRules


class Entity(Host, Protocol):
    """The application entity; what has an underscore is not for users."""

    acse_timeout: Any
    dimse_timeout: Any
    network_timeout: Any
    connection_timeout: Any
    ae_title: str
    implementation_version_name: str | None
    maximum_associations: int
    window: tuple[int, int]
    maximum_object_bytes: int | None
    maximum_pdu_size: int
    requested_contexts: list[PresentationContext]
    require_called_aet: bool
    require_calling_aet: list[str]
    require_user_identity: bool
    spool_dir: str | None
    _implementation_uid: str
    _running: Running

    def associate(self, *args: Any, **kwargs: Any) -> Any:
        """See `ApplicationEntity.associate`; so for `shutdown`: handlers ask it for both."""

    def shutdown(self) -> None: ...

    def _prepare(self, *args: Any, **kwargs: Any) -> Any:
        """Makes an association, from the parameters of `associate`, that is not requested yet."""


class Listener(Protocol):
    """The server that an association request came to."""

    ae_title: str
    contexts: list[PresentationContext]
    spool_dir: str | None
    spool_threshold: int
    unrestricted_storage: bool | None
    access: AccessRules | None
    _handlers: Handlers

    @property
    def active_associations(self) -> list[Any]: ...

    def association_ended(self, assoc: Any) -> None: ...
