"""The items of the A-ASSOCIATE PDUs, laid out as in PS3.8 9.3.2, 9.3.3, Annex D.1 and PS3.7 D.3.3.

The user information items are the public classes of `pynetdicom.pdu_primitives` as well: made
without arguments or with keywords, and what is assigned is checked.
"""

from __future__ import annotations

from pynetdicom.upper_layer.fields import (
    UID,
    Each,
    Flag,
    Item,
    Items,
    Octets,
    Reserved,
    Sized,
    Text,
    UInt,
    VersionName,
)
from pynetdicom.upper_layer.fields import UnknownItem as UnknownItem
from pynetdicom.upper_layer.structure import Structure

DEFAULT_MAX_LENGTH = 16382
"""The longest P-DATA-TF that is announced unless asked otherwise."""


class PresentationContextRQ(Structure, item_types=(0x20,)):
    """A proposed presentation context (PS3.8 9.3.2.2)."""

    context_id = UInt(1)
    _1 = Reserved(3)
    abstract_syntax = Item(0x30, Text())
    transfer_syntaxes = Items(0x40, Text())

    def problem(self) -> str:
        if self.context_id % 2 == 0:
            return f"presentation context ID {self.context_id} is not odd"
        return "" if self.abstract_syntax else "no abstract syntax"


class PresentationContextAC(Structure, item_types=(0x21,)):
    """The answer to a proposed presentation context (PS3.8 9.3.3.2)."""

    context_id = UInt(1)
    _1 = Reserved(1)
    result = UInt(1, 0)
    _2 = Reserved(1)
    # Tolerated: none, or several; it "shall not be significant" when the result is not 0.
    transfer_syntax = Item(0x40, Text(), tolerant=True)


class MaximumLengthNotification(Structure, item_types=(0x51,)):
    """The longest P-DATA-TF PDU that the sender takes, 0 for no limit (PS3.8 D.1)."""

    maximum_length_received = UInt(4, DEFAULT_MAX_LENGTH)


class ImplementationClassUIDNotification(Structure, item_types=(0x52,)):
    """Which implementation the sender is (PS3.7 D.3.3.2.1 and D.3.3.2.2)."""

    implementation_class_uid = UID()


class AsynchronousOperationsWindowNegotiation(Structure, item_types=(0x53,)):
    """How many operations may be outstanding, 0 for no limit (PS3.7 D.3.3.3)."""

    maximum_number_operations_invoked = UInt(2, 1)
    maximum_number_operations_performed = UInt(2, 1)


class SCP_SCU_RoleSelectionNegotiation(Structure, item_types=(0x54,)):
    """Which roles the requestor may take for a SOP Class, proposed or accepted (PS3.7 D.3.3.4)."""

    sop_class_uid = Sized(UID())
    scu_role = Flag()
    scp_role = Flag()


class ImplementationVersionNameNotification(Structure, item_types=(0x55,)):
    """The version of the sender's implementation (PS3.7 D.3.3.2.3 and D.3.3.2.4)."""

    implementation_version_name = VersionName()


class SOPClassExtendedNegotiation(Structure, item_types=(0x56,)):
    """What a service class has to say about one of its SOP Classes (PS3.7 D.3.3.5)."""

    sop_class_uid = Sized(UID())
    service_class_application_information = Octets()


class SOPClassCommonExtendedNegotiation(Structure, item_types=(0x57,)):
    """The service class of a SOP Class, and the classes it generalises to (PS3.7 D.3.3.6)."""

    sop_class_uid = Sized(UID())
    service_class_uid = Sized(UID())
    related_general_sop_class_identification = Sized(Each(Sized(UID())), [])
    _1 = Reserved()


class UserIdentityNegotiation(Structure, item_types=(0x58, 0x59)):
    """Who the requestor's user is, or, with a `server_response`, the answer (PS3.7 D.3.3.7).

    `user_identity_type`: 1 user name, 2 user name and passcode, 3 Kerberos service ticket, 4 SAML
    assertion, 5 JSON Web Token.
    """

    user_identity_type = UInt(1, allowed=range(1, 6), item_type=0x58)
    positive_response_requested = Flag(False, item_type=0x58)
    primary_field = Sized(Octets(), item_type=0x58, secret=True)
    secondary_field = Sized(Octets(), b"", item_type=0x58, secret=True)
    server_response = Sized(Octets(), item_type=0x59, secret=True)

    def item_type(self) -> int:
        return 0x59 if vars(self)["server_response"] is not None else 0x58


EXTENDED_NEGOTIATION: tuple[type[Structure], ...] = (
    AsynchronousOperationsWindowNegotiation,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassExtendedNegotiation,
    SOPClassCommonExtendedNegotiation,
    UserIdentityNegotiation,
)
"""The items that are optional, and that programs hand in (PS3.7 D.3.3)."""

USER_INFORMATION: tuple[type[Structure], ...] = (
    MaximumLengthNotification,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    *EXTENDED_NEGOTIATION,
)
"""All items of the User Information item (PS3.7 Table D.3-1)."""
