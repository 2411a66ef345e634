"""DICOM networking: associations, and the services on top of them, as SCU and as SCP.

The public names are loaded when they are first used, so that importing the package costs next to
nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import TYPE_CHECKING, Any

from pynetdicom import _logging
from pynetdicom._version import (
    PYNETDICOM_IMPLEMENTATION_UID,
    PYNETDICOM_IMPLEMENTATION_VERSION,
    PYNETDICOM_UID_PREFIX,
    __version__,
)

if TYPE_CHECKING:
    from pynetdicom import events as evt
    from pynetdicom.ae import ApplicationEntity as AE
    from pynetdicom.association import Association
    from pynetdicom.presentation import (
        ALL_TRANSFER_SYNTAXES,
        DEFAULT_TRANSFER_SYNTAXES,
        AllStoragePresentationContexts,
        ApplicationEventLoggingPresentationContexts,
        BasicWorklistManagementPresentationContexts,
        ColorPalettePresentationContexts,
        DefinedProcedureProtocolPresentationContexts,
        DisplaySystemPresentationContexts,
        HangingProtocolPresentationContexts,
        ImplantTemplatePresentationContexts,
        InstanceAvailabilityPresentationContexts,
        MediaCreationManagementPresentationContexts,
        MediaStoragePresentationContexts,
        ModalityPerformedPresentationContexts,
        NonPatientObjectPresentationContexts,
        PrintManagementPresentationContexts,
        ProcedureStepPresentationContexts,
        ProtocolApprovalPresentationContexts,
        QueryRetrievePresentationContexts,
        RelevantPatientInformationPresentationContexts,
        RTMachineVerificationPresentationContexts,
        StorageCommitmentPresentationContexts,
        StoragePresentationContexts,
        SubstanceAdministrationPresentationContexts,
        UnifiedProcedurePresentationContexts,
        VerificationPresentationContexts,
        build_context,
        build_role,
    )
    from pynetdicom.services.registry import register_uid

_LAZY: dict[str, str] = {
    # name: module, or module:name where it differs
    "AE": "pynetdicom.ae:ApplicationEntity",
    "Association": "pynetdicom.association",
    "register_uid": "pynetdicom.services.registry",
    **dict.fromkeys(
        ("build_context", "build_role", "DEFAULT_TRANSFER_SYNTAXES", "ALL_TRANSFER_SYNTAXES"),
        "pynetdicom.presentation",
    ),
}
_MODULES = frozenset(
    (
        "_config",
        "_globals",
        "ae",
        "association",
        "dimse_primitives",
        "dsutils",
        "errors",
        "events",
        "pdu_primitives",
        "presentation",
        "service_class",
        "service_class_n",
        "sop_class",
        "status",
        "transport",
        "utils",
    )
)

__all__ = [
    "AE",
    "ALL_TRANSFER_SYNTAXES",
    "AllStoragePresentationContexts",
    "ApplicationEventLoggingPresentationContexts",
    "Association",
    "BasicWorklistManagementPresentationContexts",
    "ColorPalettePresentationContexts",
    "DEFAULT_TRANSFER_SYNTAXES",
    "DefinedProcedureProtocolPresentationContexts",
    "DisplaySystemPresentationContexts",
    "HangingProtocolPresentationContexts",
    "ImplantTemplatePresentationContexts",
    "InstanceAvailabilityPresentationContexts",
    "MediaCreationManagementPresentationContexts",
    "MediaStoragePresentationContexts",
    "ModalityPerformedPresentationContexts",
    "NonPatientObjectPresentationContexts",
    "PYNETDICOM_IMPLEMENTATION_UID",
    "PYNETDICOM_IMPLEMENTATION_VERSION",
    "PYNETDICOM_UID_PREFIX",
    "PrintManagementPresentationContexts",
    "ProcedureStepPresentationContexts",
    "ProtocolApprovalPresentationContexts",
    "QueryRetrievePresentationContexts",
    "RTMachineVerificationPresentationContexts",
    "RelevantPatientInformationPresentationContexts",
    "StorageCommitmentPresentationContexts",
    "StoragePresentationContexts",
    "SubstanceAdministrationPresentationContexts",
    "UnifiedProcedurePresentationContexts",
    "VerificationPresentationContexts",
    "__version__",
    "build_context",
    "build_role",
    "debug_logger",
    "evt",
    "register_uid",
]

# No handler is added, not even one that does nothing: where a program has not configured logging,
# Python's last resort prints warnings and errors, so that they are seen.
_logging.guard()


def debug_logger() -> None:
    """Show all that the library logs, on standard error; this may include values of data sets."""
    logger = logging.getLogger("pynetdicom")
    handler = logging.StreamHandler()
    handler.setFormatter(logging.Formatter("%(levelname).1s: %(message)s"))
    logger.handlers = [handler]
    logger.setLevel(logging.DEBUG)


def _load(name: str) -> Any:
    if name == "evt":
        value: Any = import_module("pynetdicom.events")
    elif name in _MODULES:
        return import_module(f"pynetdicom.{name}")
    elif name.endswith("PresentationContexts"):
        # Not kept: each time a new list, whose contexts are the caller's own.
        return getattr(import_module("pynetdicom.presentation"), name)
    elif name in _LAZY:
        module, _, attribute = _LAZY[name].partition(":")
        value = getattr(import_module(module), attribute or name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


if not TYPE_CHECKING:
    __getattr__ = _load


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
