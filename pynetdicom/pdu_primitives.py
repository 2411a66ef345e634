"""The service primitives of the upper layer (PS3.8 7), and the user information items.

Events hand the primitives out. The items are what ``AE.associate(ext_neg=[…])`` takes.
"""

from __future__ import annotations

from pynetdicom.upper_layer.items import (
    AsynchronousOperationsWindowNegotiation,
    ImplementationClassUIDNotification,
    ImplementationVersionNameNotification,
    MaximumLengthNotification,
    SCP_SCU_RoleSelectionNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.upper_layer.primitives import (
    A_ABORT,
    A_ASSOCIATE,
    A_P_ABORT,
    A_RELEASE,
    P_DATA,
)

__all__ = [
    "A_ASSOCIATE",
    "A_RELEASE",
    "A_ABORT",
    "A_P_ABORT",
    "P_DATA",
    "MaximumLengthNotification",
    "ImplementationClassUIDNotification",
    "ImplementationVersionNameNotification",
    "AsynchronousOperationsWindowNegotiation",
    "SCP_SCU_RoleSelectionNegotiation",
    "SOPClassExtendedNegotiation",
    "SOPClassCommonExtendedNegotiation",
    "UserIdentityNegotiation",
]
