"""The service primitives of the upper layer (PS3.8 7), and the user information items.

Events hand the primitives out. The items are what ``AE.associate(ext_neg=[…])`` takes.
"""

from __future__ import annotations

from pynetdicom.upper_layer import items as _items
from pynetdicom.upper_layer import primitives as _primitives

A_ASSOCIATE = _primitives.A_ASSOCIATE
A_RELEASE = _primitives.A_RELEASE
A_ABORT = _primitives.A_ABORT
A_P_ABORT = _primitives.A_P_ABORT
P_DATA = _primitives.P_DATA
MaximumLengthNotification = _items.MaximumLengthNotification
ImplementationClassUIDNotification = _items.ImplementationClassUIDNotification
ImplementationVersionNameNotification = _items.ImplementationVersionNameNotification
AsynchronousOperationsWindowNegotiation = _items.AsynchronousOperationsWindowNegotiation
SCP_SCU_RoleSelectionNegotiation = _items.SCP_SCU_RoleSelectionNegotiation
SOPClassExtendedNegotiation = _items.SOPClassExtendedNegotiation
SOPClassCommonExtendedNegotiation = _items.SOPClassCommonExtendedNegotiation
UserIdentityNegotiation = _items.UserIdentityNegotiation
