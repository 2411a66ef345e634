"""DICOM networking: associations, and the services on top of them, as SCU and as SCP.

The public names are loaded when they are first used, so that importing the package costs next to
nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from pynetdicom import _logging
from pynetdicom._version import (
    PYNETDICOM_IMPLEMENTATION_UID,
    PYNETDICOM_IMPLEMENTATION_VERSION,
    PYNETDICOM_UID_PREFIX,
    __version__,
)

_CONTEXT_LISTS = [
    f"{name}PresentationContexts"
    for name in [
        "AllStorage",
        "ApplicationEventLogging",
        "BasicWorklistManagement",
        "ColorPalette",
        "DefinedProcedureProtocol",
        "DisplaySystem",
        "HangingProtocol",
        "ImplantTemplate",
        "InstanceAvailability",
        "MediaCreationManagement",
        "MediaStorage",
        "ModalityPerformed",
        "NonPatientObject",
        "PrintManagement",
        "ProcedureStep",
        "ProtocolApproval",
        "QueryRetrieve",
        "RTMachineVerification",
        "RelevantPatientInformation",
        "Storage",
        "StorageCommitment",
        "SubstanceAdministration",
        "UnifiedProcedure",
        "Verification",
    ]
]
_LAZY: dict[str, str] = {
    # name: module, or module:name where it differs
    "AE": "ae:ApplicationEntity",
    "Association": "association",
    "register_uid": "services.registry",
    **dict.fromkeys(
        ("build_context", "build_role", "DEFAULT_TRANSFER_SYNTAXES", "ALL_TRANSFER_SYNTAXES"),
        "presentation",
    ),
}
_MODULES = frozenset(
    [
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
    ]
)

__all__ = [  # noqa: PLE0604  # all of them are str
    "PYNETDICOM_IMPLEMENTATION_UID",
    "PYNETDICOM_IMPLEMENTATION_VERSION",
    "PYNETDICOM_UID_PREFIX",
    "__version__",
    "debug_logger",
    "evt",
    *_LAZY,
    *_CONTEXT_LISTS,
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


def __getattr__(name: str) -> Any:
    if name == "evt":
        value: Any = import_module("pynetdicom.events")
    elif name in _MODULES:
        return import_module(f"pynetdicom.{name}")
    elif name in _CONTEXT_LISTS:
        # Not kept: each time a new list, whose contexts are the caller's own.
        return getattr(import_module("pynetdicom.presentation"), name)
    elif name in _LAZY:
        module, _, attribute = _LAZY[name].partition(":")
        value = getattr(import_module(f"pynetdicom.{module}"), attribute or name)
    else:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__, *_MODULES})
