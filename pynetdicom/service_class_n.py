"""The N-service classes of PS3.4, as arguments of `pynetdicom.register_uid`."""

from __future__ import annotations

from pynetdicom.services.classes import (
    ApplicationEventLoggingServiceClass,
    DisplaySystemManagementServiceClass,
    InstanceAvailabilityNotificationServiceClass,
    MediaCreationManagementServiceClass,
    PrintManagementServiceClass,
    ProcedureStepServiceClass,
    RTMachineVerificationServiceClass,
    ServiceClass,
    StorageCommitmentServiceClass,
    StorageManagementServiceClass,
    UnifiedProcedureStepServiceClass,
)

__all__ = [
    "ServiceClass",
    "ProcedureStepServiceClass",
    "PrintManagementServiceClass",
    "StorageCommitmentServiceClass",
    "ApplicationEventLoggingServiceClass",
    "InstanceAvailabilityNotificationServiceClass",
    "MediaCreationManagementServiceClass",
    "UnifiedProcedureStepServiceClass",
    "RTMachineVerificationServiceClass",
    "DisplaySystemManagementServiceClass",
    "StorageManagementServiceClass",
]
