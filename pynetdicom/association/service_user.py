"""One side of an association: its title and address, and what it says in the negotiation.

Before the negotiation a `ServiceUser` is written to; then `ServiceUser.load` takes over what was
really said, from the A-ASSOCIATE PDU, and it is read-only.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any, Literal

from pynetdicom.upper_layer.acse import contexts_of, item_of, maximum_length_in, results_of
from pynetdicom.upper_layer.contexts import PresentationContext, to_uid
from pynetdicom.upper_layer.items import (
    DEFAULT_MAX_LENGTH,
    EXTENDED_NEGOTIATION,
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RJ, A_ASSOCIATE_RQ

if TYPE_CHECKING:
    from pydicom.uid import UID

    from pynetdicom.association.entity import Entity
    from pynetdicom.upper_layer.primitives import A_ASSOCIATE

_SAID: dict[str, tuple[type, Callable[[Any], list[PresentationContext]]]] = {
    "pcdl": (A_ASSOCIATE_RQ, contexts_of),
    "pcdrl": (A_ASSOCIATE_AC, results_of),
}
"""The contexts that are of what was said: made when somebody asks for them."""


class ServiceUser:
    """The requestor or the acceptor of an association.

    Parameters
    ----------
    assoc : Association or None
        The association it is a side of.
    mode : {'requestor', 'acceptor'}
        Which side.

    Attributes
    ----------
    address_info : AddressInformation or None
        Its address and port.
    mode : {'requestor', 'acceptor'}
    is_requestor, is_acceptor : bool
    """

    address_info: Any = None

    # What it is going to say, until that is set.
    _ae_title = ""
    _maximum_length = DEFAULT_MAX_LENGTH
    _class_uid: str | None = None
    _version_name: str | None = None
    _items: tuple[Any, ...] = ()
    _accepted_common_extended: dict[str, Any] | None = None
    _pdu: A_ASSOCIATE_RQ | A_ASSOCIATE_AC | A_ASSOCIATE_RJ | None = None
    """What it has said; PDUs that are alike are shared, so that nobody changes them."""
    _said: A_ASSOCIATE_RQ | A_ASSOCIATE_AC | None = None
    """The same, but for a rejection."""

    def __init__(self, assoc: Any, mode: Literal["requestor", "acceptor"]) -> None:
        if mode not in ("requestor", "acceptor"):
            raise ValueError("'mode' must be 'requestor' or 'acceptor'")
        self.assoc = assoc
        self.mode = mode
        self.is_requestor, self.is_acceptor = mode == "requestor", mode == "acceptor"
        self._contexts: dict[str, list[PresentationContext]] = (
            {"requested": []} if mode == "requestor" else {}
        )

    @property
    def ae_title(self) -> str:
        """Get or set the AE title; bytes are decoded, stripped and cut at 16."""
        return self._ae_title

    @ae_title.setter
    def ae_title(self, value: str | bytes) -> None:
        if isinstance(value, bytes):
            value = value.decode("latin-1").strip(" \0")[:16]
        self._ae_title = value

    @property
    def primitive(self) -> A_ASSOCIATE | None:
        """What this side has said, as the A-ASSOCIATE primitive; None before it has.

        The acceptor's says by `result_str`, `source_str` and `reason_str` why it rejects.
        """
        if self._pdu is None:
            return None
        # Few ask for it, and each association would have to wait for it.
        from pynetdicom.upper_layer.primitives import A_ASSOCIATE

        return A_ASSOCIATE.from_pdu(self._pdu)

    def is_to_say(
        self, title: str, maximum_length: int, contexts: list[PresentationContext], ae: Entity
    ) -> None:
        """Take over what an acceptor is going to say, which its AE has checked."""
        self._ae_title = title
        self._maximum_length = maximum_length
        self._contexts["supported"] = list(contexts)
        self._class_uid = ae._implementation_uid
        self._version_name = ae.implementation_version_name

    def load(self, pdu: A_ASSOCIATE_RQ | A_ASSOCIATE_AC | A_ASSOCIATE_RJ) -> None:
        """Take over what this side said in its A-ASSOCIATE PDU; from now on it is read-only.

        The acceptor's title is taken from there only when nobody has set it: an A-ASSOCIATE-AC has
        reserved bytes in its place (PS3.8 9.3.3).
        """
        self._pdu = pdu
        if isinstance(pdu, A_ASSOCIATE_RJ):
            return
        self._said = pdu
        if isinstance(pdu, A_ASSOCIATE_RQ):
            self._ae_title = pdu.calling_ae_title
            if not self._contexts.get("requested"):
                self._contexts.pop("requested", None)
        else:
            self._ae_title = self._ae_title or pdu.called_ae_title
        said = pdu.user_information
        own = [deepcopy(item) for item in said if isinstance(item, EXTENDED_NEGOTIATION)]
        self._items = tuple(own)

    @property
    def writeable(self) -> bool:
        """Whether the negotiation has not started yet."""
        return self._pdu is None

    def _check_writeable(self, what: str) -> None:
        if not self.writeable:
            raise RuntimeError(f"Can't set the {what} after negotiation has started")

    @property
    def address(self) -> str:
        """Return the address; ValueError when it is not known yet."""
        return str(self._known_address().address)

    @property
    def port(self) -> int:
        """Return the port; ValueError when it is not known yet."""
        return int(self._known_address().port)

    def _known_address(self) -> Any:
        if self.address_info is None:
            raise ValueError("No address information has been set")
        return self.address_info

    @property
    def info(self) -> dict[str, Any]:
        """Return title, address, port, mode and maximum length as a dict."""
        where = self.address_info
        return {
            "ae_title": self.ae_title,
            "address": None if where is None else where.address,
            "port": None if where is None else where.port,
            "mode": self.mode,
            "pdv_size": self.maximum_length,
        }

    @property
    def maximum_length(self) -> int:
        """Get or set the longest P-DATA-TF this side takes, 0 for no limit (PS3.8 D.1)."""
        return self._maximum_length if self._said is None else maximum_length_in(self._said)

    @maximum_length.setter
    def maximum_length(self, value: int) -> None:
        self._check_writeable("Maximum Length")
        self._maximum_length = MaximumLengthNotification(value).maximum_length_received

    @property
    def implementation_class_uid(self) -> UID | None:
        """Get or set the implementation class UID (PS3.7 D.3.3.2)."""
        uid = self.implementation_uid
        return to_uid(uid) if uid else None

    @implementation_class_uid.setter
    def implementation_class_uid(self, value: str) -> None:
        self._check_writeable("Implementation Class UID")
        item = ImplementationClassUIDNotification(value)
        self._class_uid = item.implementation_class_uid

    @property
    def implementation_uid(self) -> str:
        """The implementation class UID as plain str; empty when there is none."""
        if self._said is None:
            return self._class_uid or ""
        item = item_of(self._said.user_information, ImplementationClassUIDNotification)
        return "" if item is None else item.implementation_class_uid or ""

    @property
    def implementation_version_name(self) -> str | None:
        """Get or set the implementation version name; None leaves it out (PS3.7 D.3.3.2)."""
        if self._said is None:
            return self._version_name
        item = item_of(self._said.user_information, ImplementationVersionNameNotification)
        return None if item is None else item.implementation_version_name

    @implementation_version_name.setter
    def implementation_version_name(self, value: str | None) -> None:
        self._check_writeable("Implementation Version Name")
        item = ImplementationVersionNameNotification(value)
        self._version_name = item.implementation_version_name

    def get_contexts(self, cx_type: str) -> list[PresentationContext]:
        """Return presentation contexts.

        Parameters
        ----------
        cx_type : {'requested', 'supported', 'pcdl', 'pcdrl'}
            What the local requestor is to propose, what the local acceptor supports, what the
            requestor has proposed, what the acceptor has answered.

        Raises
        ------
        ValueError
            If this side has none of that kind (yet).
        """
        if cx_type not in self._contexts and cx_type in _SAID and self._said is not None:
            said_in, made = _SAID[cx_type]
            if isinstance(self._said, said_in):
                self._contexts[cx_type] = made(self._said)
        if cx_type not in self._contexts:
            kind = f"{cx_type!r} presentation contexts"
            raise ValueError(f"No {kind} are available for the {self.mode} service user")
        return self._contexts[cx_type]

    @property
    def requested_contexts(self) -> list[PresentationContext]:
        """Get or set the requestor's contexts; what it has proposed after the negotiation."""
        return self.get_contexts("requested" if self.writeable else "pcdl")

    @requested_contexts.setter
    def requested_contexts(self, contexts: Iterable[PresentationContext]) -> None:
        self._set_contexts("requested", "requestor", contexts)

    @property
    def supported_contexts(self) -> list[PresentationContext]:
        """Get or set the acceptor's contexts; of a peer, what it has answered."""
        return self.get_contexts("pcdrl" if "supported" not in self._contexts else "supported")

    @supported_contexts.setter
    def supported_contexts(self, contexts: Iterable[PresentationContext]) -> None:
        self._set_contexts("supported", "acceptor", contexts)

    def _set_contexts(self, kind: str, mode: str, contexts: Iterable[PresentationContext]) -> None:
        if self.mode != mode:
            raise AttributeError(f"'{kind}_contexts' can only be set for the association {mode}")
        self._check_writeable(f"{kind} presentation contexts")
        contexts = list(contexts)
        for context in contexts:
            if not isinstance(context, PresentationContext):
                raise TypeError(f"{context!r} is not a PresentationContext")
        self._contexts[kind] = contexts

    # Extended negotiation

    @property
    def extended_negotiation(self) -> list[Any]:
        """Return a list of the extended negotiation items."""
        return list(self._items)

    def add_negotiation_item(self, item: Any) -> None:
        """Add an extended negotiation item; before the negotiation only (PS3.7 D.3.3)."""
        self._check_item(item)
        self._items += (item,)

    def remove_negotiation_item(self, item: Any) -> None:
        """Remove an extended negotiation item, if it is there; before the negotiation only."""
        self._check_item(item)
        if item in self._items:
            items = list(self._items)
            items.remove(item)
            self._items = tuple(items)

    def reset_negotiation_items(self) -> None:
        """Remove all extended negotiation items; before the negotiation only."""
        self._check_writeable("extended negotiation items")
        self._items = ()

    def _check_item(self, item: Any) -> None:
        self._check_writeable("extended negotiation items")
        if not isinstance(item, EXTENDED_NEGOTIATION):
            raise TypeError("'item' is not a valid extended negotiation item")

    @property
    def asynchronous_operations(self) -> tuple[int, int]:
        """Return how many operations may be (invoked, performed) at a time (PS3.7 D.3.3.3)."""
        item = item_of(self._items, AsynchronousOperationsWindowNegotiation)
        if item is None:
            return 1, 1
        return item.maximum_number_operations_invoked, item.maximum_number_operations_performed

    def _by_sop_class(self, kind: type[Any]) -> dict[str, Any]:
        return {item.sop_class_uid: item for item in self._items if isinstance(item, kind)}

    @property
    def role_selection(self) -> dict[str, SCP_SCU_RoleSelectionNegotiation]:
        """Return the role selection items by SOP Class UID (PS3.7 D.3.3.4)."""
        return self._by_sop_class(SCP_SCU_RoleSelectionNegotiation)

    @property
    def sop_class_extended(self) -> dict[str, bytes]:
        """Return the service class application information by SOP Class UID (PS3.7 D.3.3.5)."""
        items = self._by_sop_class(SOPClassExtendedNegotiation)
        return {uid: item.service_class_application_information for uid, item in items.items()}

    @property
    def sop_class_common_extended(self) -> dict[str, SOPClassCommonExtendedNegotiation]:
        """Return the common extended negotiation items by SOP Class UID (PS3.7 D.3.3.6)."""
        return self._by_sop_class(SOPClassCommonExtendedNegotiation)

    @property
    def accepted_common_extended(self) -> dict[str, Any]:
        """Get or set what the acceptor took of the requestor's common extended negotiation."""
        self._check_acceptor()
        if self._accepted_common_extended is None:
            self._accepted_common_extended = {}
        return self._accepted_common_extended

    @accepted_common_extended.setter
    def accepted_common_extended(self, items: Mapping[str, Any]) -> None:
        self._check_acceptor()
        self._accepted_common_extended = dict(items)

    def _check_acceptor(self) -> None:
        if not self.is_acceptor:
            raise RuntimeError("'accepted_common_extended' is only available for the 'acceptor'")

    @property
    def user_identity(self) -> UserIdentityNegotiation | None:
        """Return the user identity item, if there is one (PS3.7 D.3.3.7)."""
        return item_of(self._items, UserIdentityNegotiation)

    @property
    def user_information(self) -> list[Any]:
        """Return the user information items: those to be sent, or those that were."""
        if self._pdu is not None:
            return deepcopy(getattr(self._pdu, "user_information", []))
        items: list[Any] = [MaximumLengthNotification(self._maximum_length)]
        if self._class_uid:
            items.append(ImplementationClassUIDNotification(self._class_uid))
        if self._version_name:
            items.append(ImplementationVersionNameNotification(self._version_name))
        return [*items, *self._items]
