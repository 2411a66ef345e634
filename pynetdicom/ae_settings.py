"""Who an application entity is, its limits, and what it proposes and supports."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from copy import deepcopy
from functools import cached_property
from typing import TYPE_CHECKING, Any

from pynetdicom._version import PYNETDICOM_IMPLEMENTATION_UID, PYNETDICOM_IMPLEMENTATION_VERSION
from pynetdicom.ae_contexts import Requested, Supported, Syntaxes, checked
from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.running import Running
from pynetdicom.settings import Setting, Timeouts, window_of
from pynetdicom.upper_layer.items import DEFAULT_MAX_LENGTH
from pynetdicom.utils import set_ae, set_uid

if TYPE_CHECKING:
    from pydicom.uid import UID

    from pynetdicom.association import Association
    from pynetdicom.callbacks import Callbacks
else:
    from pynetdicom.hooks import Callbacks

LOGGER = logging.getLogger("pynetdicom.ae")

MAXIMUM_PDU_SIZE = 0xFFFFFFFF  # what the item has room for, PS3.8 D.1.1


def title_of(name: str, value: str | bytes) -> str:
    """An AE title as it is kept."""
    return set_ae(value, name, allow_empty=False, allow_none=False) or ""


def _port(name: str, value: int) -> int:
    if not _is_number(value, 0):
        raise ValueError("'port' must be an int, 0 or more")
    return value


def _version_name(name: str, value: str | bytes | None) -> str | None:
    if isinstance(value, bytes):
        value = value.decode("ascii").strip()
    if value is not None and not isinstance(value, str):
        raise TypeError(f"{name!r} must be str or None")
    if value is not None and (not 1 <= len(value) <= 16 or not value.isascii()):
        raise ValueError(f"{name!r} has 1 to 16 ASCII characters")
    return value


def _at_least_one(name: str, value: int) -> int:
    if _is_number(value, 1):
        return value
    LOGGER.warning("%s must be an int of 1 or more; it is 1 now", name)
    return 1


def _titles(name: str, value: str | bytes | Iterable[str | bytes] | None) -> list[str]:
    if isinstance(value, (str, bytes)):
        # Scripts of the first generation ask for no restriction so.
        title = set_ae(value, name, allow_none=False) or ""
        value = [title] if title.strip(" ") else []
    return [title_of(name, title) for title in value or ()]


def _bool(name: str, value: bool) -> bool:
    return bool(value)


def _is_number(value: object, least: int) -> bool:
    """Whether a value that a program assigned is an int, and not too small."""
    return isinstance(value, int) and not isinstance(value, bool) and value >= least


class Settings(Callbacks, Timeouts):
    """The attributes of an `ApplicationEntity`; see there."""

    ae_title = Setting(title_of, "", "The AE title, as given; bytes are stripped and cut at 16.")
    port = Setting(_port, 0, "The port that `start` listens on.")
    implementation_version_name = Setting(
        _version_name,
        PYNETDICOM_IMPLEMENTATION_VERSION,
        "The version name that peers are told, at most 16 characters, or None.",
    )
    maximum_associations = Setting(
        _at_least_one, 10, "How many accepted associations there may be at a time."
    )
    window = Setting(
        window_of,
        (1, 1),
        """How many operations the AE invokes, and performs, at a time; 0 for up to 64.

        As requestor it offers that, unless it is (1, 1), and as acceptor it agrees to that, unless
        a handler of ``EVT_ASYNC_OPS`` says otherwise (PS3.7 D.3.3.3).
        """,
    )
    require_calling_aet = Setting(
        _titles,
        [],
        """The accepted calling AE titles; none means all.

        A lone title will do; an empty one, or None, is none.
        """,
    )
    require_called_aet = Setting(_bool, False, "Whether the called AE title must be ours.")

    def __init__(self, ae_title: str | bytes = "PYNETDICOM", port: int = 0) -> None:
        self._running = Running()
        self.ae_title = ae_title
        self.port = port
        self.bind_addr = ""
        self.extended_negotiation: list[Any] = []
        self.local_socket: Any = None
        self.maximum_object_bytes: int | None = None
        self.spool_dir: str | None = None
        self.require_calling_aet = None
        self.require_user_identity = False
        self._maximum_pdu_size = DEFAULT_MAX_LENGTH
        self._implementation_uid = PYNETDICOM_IMPLEMENTATION_UID
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
            state[name] = deepcopy(state[name])
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self._running = Running()
        vars(self).update(state)

    @cached_property
    def address(self) -> str:
        """Get or set the address of this machine; at first that of its host name."""
        import socket

        try:
            return socket.gethostbyname(socket.gethostname())
        except OSError:
            return "127.0.0.1"

    @property
    def implementation_class_uid(self) -> UID:
        """Get or set the implementation class UID that peers are told (PS3.7 D.3.3.2)."""
        from pydicom.uid import UID

        return UID(self._implementation_uid)

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: str) -> None:
        self._implementation_uid = str(set_uid(value, "implementation_class_uid", False, False))

    @property
    def maximum_pdu_size(self) -> int:
        """Get or set the longest P-DATA-TF that is taken; 0 for no limit."""
        return self._maximum_pdu_size

    @maximum_pdu_size.setter
    def maximum_pdu_size(self, value: int) -> None:
        if not _is_number(value, 0) or value > MAXIMUM_PDU_SIZE:
            LOGGER.warning("maximum_pdu_size must be an int of 0 to 2**32 - 1; it stays as it was")
            return
        self._maximum_pdu_size = value

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
        return [self._supported[uid] for uid in sorted(self._supported)]

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
            f"  Accepted associations: {accepted} of at most {self.maximum_associations}",
            f"  Maximum PDU size: {self.maximum_pdu_size or 'no limit'}",
            f"  ACSE timeout (s): {self.acse_timeout}",
            f"  DIMSE timeout (s): {self.dimse_timeout}",
            f"  Network timeout (s): {self.network_timeout}",
            f"  Connection timeout (s): {self.connection_timeout}",
            f"  Calling AE titles: {', '.join(self.require_calling_aet) or 'any'}",
            f"  Called AE title must match: {self.require_called_aet}",
            f"  User identity required: {self.require_user_identity}",
        ]
        offered = {"Requested": self._requested, "Supported": self.supported_contexts}
        for heading, contexts in offered.items():
            lines += ["", f"  {heading} presentation contexts: {len(contexts) or 'none'}"]
            for context in contexts:
                lines += [f"    {line}" for line in str(context).splitlines()]
        return "\n".join(lines)
