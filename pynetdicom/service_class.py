"""The C-service classes of PS3.4, as arguments of `pynetdicom.register_uid`."""

from __future__ import annotations

from pynetdicom.services.classes import (
    BasicWorklistManagementServiceClass,
    ColorPaletteQueryRetrieveServiceClass,
    DefinedProcedureProtocolQueryRetrieveServiceClass,
    HangingProtocolQueryRetrieveServiceClass,
    ImplantTemplateQueryRetrieveServiceClass,
    InventoryQueryRetrieveServiceClass,
    NonPatientObjectStorageServiceClass,
    ProtocolApprovalQueryRetrieveServiceClass,
    QueryRetrieveServiceClass,
    RelevantPatientInformationQueryServiceClass,
    ServiceClass,
    StorageServiceClass,
    SubstanceAdministrationQueryServiceClass,
    VerificationServiceClass,
)

__all__ = [
    "ServiceClass",
    "VerificationServiceClass",
    "StorageServiceClass",
    "QueryRetrieveServiceClass",
    "BasicWorklistManagementServiceClass",
    "RelevantPatientInformationQueryServiceClass",
    "HangingProtocolQueryRetrieveServiceClass",
    "SubstanceAdministrationQueryServiceClass",
    "ColorPaletteQueryRetrieveServiceClass",
    "ImplantTemplateQueryRetrieveServiceClass",
    "NonPatientObjectStorageServiceClass",
    "DefinedProcedureProtocolQueryRetrieveServiceClass",
    "ProtocolApprovalQueryRetrieveServiceClass",
    "InventoryQueryRetrieveServiceClass",
]
