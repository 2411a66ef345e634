"""Who an application entity is, its limits, and what it proposes and supports."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pynetdicom._version import (
    PYNETDICOM_IMPLEMENTATION_UID,
    PYNETDICOM_IMPLEMENTATION_VERSION,
)
from pynetdicom.ae_contexts import Requested, Supported, Syntaxes, checked
from pynetdicom.hooks import Callbacks
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.running import Running
from pynetdicom.timeouts import timeout
from pynetdicom.upper_layer.items import DEFAULT_MAX_LENGTH
from pynetdicom.utils import set_ae, set_uid

if TYPE_CHECKING:
    from pydicom.uid import UID

    from pynetdicom.association import Association

LOGGER = logging.getLogger("pynetdicom.ae")

MAXIMUM_PDU_SIZE = 0xFFFFFFFF  # what the item has room for, PS3.8 D.1.1


class Settings(Callbacks):
    """The attributes of an `ApplicationEntity`; see there."""

    acse_timeout = timeout("acse_timeout", 30)
    dimse_timeout = timeout("dimse_timeout", 30)
    network_timeout = timeout("network_timeout", 60)
    connection_timeout = timeout("connection_timeout", None, takes_zero=False)

    def __init__(self, ae_title: str | bytes = "PYNETDICOM", port: int = 0) -> None:
        self._running = Running()
        self.ae_title = ae_title
        self.port = port
        self.bind_addr = ""
        self.extended_negotiation: list[Any] = []
        self.local_socket: Any = None
        self.maximum_object_bytes: int | None = None
        self.spool_dir: str | None = None
        self._require_calling_aet: list[str] = []
        self._require_called_aet = False
        self.require_user_identity = False
        self._maximum_associations = 10
        self._maximum_pdu_size = DEFAULT_MAX_LENGTH
        self._implementation_uid = PYNETDICOM_IMPLEMENTATION_UID
        self._implementation_version: str | None = PYNETDICOM_IMPLEMENTATION_VERSION
        self._requested = Requested()
        self._supported = Supported()

    def _timeout_changed(self, name: str, seconds: float | None) -> None:
        """Have the live associations follow."""
        for assoc in self._running.active:
            setattr(assoc, name, seconds)

    # Copies

    def __getstate__(self) -> dict[str, Any]:
        """Give what is to be pickled or copied: all but what runs, and that only while none does.

        Raises
        ------
        RuntimeError
            The AE has a server or an association.
        """
        if self._running.servers or self._running.active:
            raise RuntimeError(
                "an AE with a server or an association can be neither pickled nor copied:"
                " do so before or after, or shut it down"
            )
        state = vars(self).copy()
        del state["_running"]
        # A copy's are its own, also where it is not a deep one.
        for name in ("_requested", "_supported", "_require_calling_aet", "extended_negotiation"):
            state[name] = state[name].copy()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._running = Running()
        vars(self).update(state)

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
        if not _is_number(value, 0, int):
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
    def implementation_version_name(self) -> str | None:
        """Get or set the version name that peers are told, at most 16 characters, or None."""
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
        if not _is_number(value, 1, int):
            LOGGER.warning("maximum_associations must be an int of 1 or more; it is 1 now")
            value = 1
        self._maximum_associations = value

    @property
    def maximum_pdu_size(self) -> int:
        """Get or set the longest P-DATA-TF that is taken; 0 for no limit."""
        return self._maximum_pdu_size

    @maximum_pdu_size.setter
    def maximum_pdu_size(self, value: int) -> None:
        if not _is_number(value, 0, int) or value > MAXIMUM_PDU_SIZE:
            LOGGER.warning("maximum_pdu_size must be an int of 0 to 2**32 - 1; it stays as it was")
            return
        self._maximum_pdu_size = value

    @property
    def require_calling_aet(self) -> list[str]:
        """Get or set the accepted calling AE titles; none means all.

        A lone title will do; an empty one, or None, is none.
        """
        return self._require_calling_aet

    @require_calling_aet.setter
    def require_calling_aet(self, value: str | bytes | Iterable[str | bytes] | None) -> None:
        if isinstance(value, (str, bytes)):
            # Scripts of the first generation ask for no restriction so.
            title = set_ae(value, "require_calling_aet", allow_none=False) or ""
            value = [title] if title.strip(" ") else []
        titles = list(value or ())
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
        if contexts is self._requested:  # += has added to it already
            return
        added = list(contexts or ())
        if added:
            self._requested += added
        else:
            self._requested = Requested()

    def add_requested_context(self, abstract_syntax: str, transfer_syntax: Syntaxes = None) -> None:
        """Add a presentation context to propose.

        Parameters
        ----------
        abstract_syntax : str or pydicom.uid.UID
            Usually a SOP Class: its UID, or its keyword such as ``"CTImageStorage"``.
        transfer_syntax : str or pydicom.uid.UID or sequence of them, optional
            UIDs or keywords; default `DEFAULT_TRANSFER_SYNTAXES`.

        Raises
        ------
        ValueError
            There are 128 already, or what is given is neither a valid UID nor a keyword.
        """
        self._requested.add(abstract_syntax, transfer_syntax)

    def remove_requested_context(
        self, abstract_syntax: str, transfer_syntax: Syntaxes = None
    ) -> None:
        """Remove proposed contexts of `abstract_syntax`, or only transfer syntaxes of them."""
        # A new list: the caller may be going through the old one.
        self._requested = self._requested.without(abstract_syntax, transfer_syntax)

    @property
    def supported_contexts(self) -> list[PresentationContext]:
        """Get what is supported; assigning adds to it, assigning nothing clears it."""
        return self._supported.in_order()

    @supported_contexts.setter
    def supported_contexts(self, contexts: Iterable[PresentationContext] | None) -> None:
        added = checked(contexts)
        if not added:
            self._supported = Supported()
        for context in added:
            self._supported.add(context.copy())

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
            Usually a SOP Class: its UID, or its keyword such as ``"CTImageStorage"``.
        transfer_syntax : str or pydicom.uid.UID or sequence of them, optional
            UIDs or keywords, the preferred one first; default `DEFAULT_TRANSFER_SYNTAXES`.
        scu_role, scp_role : bool, optional
            Whether a requestor that proposes to be SCU, or SCP, is accepted as such. Both or none.

        Raises
        ------
        TypeError
            A role is neither bool nor None.
        ValueError
            What is given is neither a valid UID nor a keyword.

        Notes
        -----
        PS3.7 D.3.3.4
        """
        context = build_context(abstract_syntax, transfer_syntax)
        context.scu_role, context.scp_role = scu_role, scp_role
        self._supported.add(context)

    def remove_supported_context(
        self, abstract_syntax: str, transfer_syntax: Syntaxes = None
    ) -> None:
        """Remove the supported context of `abstract_syntax`, or only transfer syntaxes of it."""
        self._supported.remove(abstract_syntax, transfer_syntax)

    @property
    def active_associations(self) -> list[Association]:
        """The associations that have not ended."""
        return self._running.active

    def __str__(self) -> str:
        """Several lines on who the AE is and what it does."""
        accepted = sum(assoc.is_acceptor for assoc in self.active_associations)
        lines = [
            f"Application Entity '{self.ae_title}'",
            "",
            f"  Accepted associations: {accepted} of at most {self._maximum_associations}",
            f"  Maximum PDU size: {self._maximum_pdu_size or 'no limit'}",
            f"  ACSE timeout (s): {self.acse_timeout}",
            f"  DIMSE timeout (s): {self.dimse_timeout}",
            f"  Network timeout (s): {self.network_timeout}",
            f"  Connection timeout (s): {self.connection_timeout}",
            f"  Calling AE titles: {', '.join(self._require_calling_aet) or 'any'}",
            f"  Called AE title must match: {self._require_called_aet}",
            f"  User identity required: {self.require_user_identity}",
        ]
        for heading, contexts in (
            ("Requested", self._requested),
            ("Supported", self.supported_contexts),
        ):
            lines += ["", f"  {heading} presentation contexts: {len(contexts) or 'none'}"]
            for context in contexts:
                lines += [f"    {line}" for line in str(context).splitlines()]
        return "\n".join(lines)


def _is_number(value: object, least: float, kind: type | tuple[type, ...] = (int, float)) -> bool:
    """Whether a value that a program assigned is a number, and not too small."""
    return (
        isinstance(value, kind) and not isinstance(value, bool) and value >= least  # type: ignore[operator]  # kind is numeric
    )
