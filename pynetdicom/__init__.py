"""DICOM networking: associations, and the services on top of them, as SCU and as SCP.

The public names are loaded when they are first used, so that importing the package costs next to
nothing.
"""

from __future__ import annotations

import logging
from importlib import import_module
from typing import Any

from pynetdicom import _logging
from pynetdicom._version import PYNETDICOM_IMPLEMENTATION_UID as PYNETDICOM_IMPLEMENTATION_UID
from pynetdicom._version import (
    PYNETDICOM_IMPLEMENTATION_VERSION as PYNETDICOM_IMPLEMENTATION_VERSION,
)
from pynetdicom._version import PYNETDICOM_UID_PREFIX as PYNETDICOM_UID_PREFIX
from pynetdicom._version import __version__ as __version__

_HERE = (
    "PYNETDICOM_IMPLEMENTATION_UID",
    "PYNETDICOM_IMPLEMENTATION_VERSION",
    "PYNETDICOM_UID_PREFIX",
    "__version__",
    "debug_logger",
    "evt",
)
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
_MODULES = frozenset((
    "_config", "_globals", "ae", "association", "dimse_primitives", "dsutils", "errors", "events",
    "identity", "pdu_primitives", "presentation", "service_class", "service_class_n", "sop_class",
    "status", "tls", "transport", "utils",
))  # fmt: skip

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
    value: Any
    if name == "evt":
        value = import_module("pynetdicom.events")
    elif name == "__all__":
        value = sorted((*_HERE, *_LAZY, *import_module("pynetdicom.presentation").CONTEXT_LISTS))
    elif name in _MODULES:
        return import_module(f"pynetdicom.{name}")
    elif name.endswith("PresentationContexts"):
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
    return sorted({*globals(), *__getattr__("__all__"), *_MODULES})
