"""The library under its first name: ``pynetdicom3.x`` is the module ``pynetdicom.x``, no copy.

Its `AE` takes the arguments of version 0.9 as well, and there are that version's names.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Sequence
from importlib.machinery import ModuleSpec
from types import ModuleType

import pynetdicom

_REAL = pynetdicom.__name__


class _AliasLoader:
    """Gives the module that the real name stands for."""

    def __init__(self, real: str) -> None:
        self._real = real
        self._spec: ModuleSpec | None = None

    def create_module(self, spec: ModuleSpec) -> ModuleType:
        module = importlib.import_module(self._real)
        self._spec = module.__spec__
        return module

    def exec_module(self, module: ModuleType) -> None:
        # The import system has just put the alias's spec there; the module keeps its own.
        module.__spec__ = self._spec


class _AliasFinder:
    """Answers for ``pynetdicom3.…`` and nothing else."""

    @staticmethod
    def find_spec(
        fullname: str, path: Sequence[str] | None = None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if not fullname.startswith(f"{__name__}."):
            return None
        from importlib.util import find_spec

        real = _REAL + fullname[len(__name__) :]
        if real not in sys.modules and find_spec(real) is None:
            return None
        return ModuleSpec(fullname, _AliasLoader(real))


if not any(getattr(finder, "__module__", "") == __name__ for finder in sys.meta_path):
    # In front of the path finder, which would load the files a second time under the other name.
    sys.meta_path.insert(0, _AliasFinder())

# Where the names of version 0.9 are that the library itself does not have.
_OLD = {
    "AE": ("pynetdicom3.applicationentity", "ApplicationEntity"),
    "QueryRetrieveSOPClassList": ("pynetdicom.sop_class", "QR_CLASS_LIST"),
    "StorageSOPClassList": ("pynetdicom.sop_class", "STORAGE_CLASS_LIST"),
    "VerificationSOPClass": ("pynetdicom.sop_class", "Verification"),
    "pynetdicom_implementation_uid": ("pynetdicom", "PYNETDICOM_IMPLEMENTATION_UID"),
    "pynetdicom_uid_prefix": ("pynetdicom", "PYNETDICOM_UID_PREFIX"),
    "pynetdicom_version": ("pynetdicom", "PYNETDICOM_IMPLEMENTATION_VERSION"),
}


def __getattr__(name: str) -> object:
    if name == "applicationentity":
        return importlib.import_module(f"{__name__}.{name}")
    if name in _OLD:
        module, attribute = _OLD[name]
        value: object = getattr(importlib.import_module(module), attribute)
        return value
    return getattr(pynetdicom, name)


def __dir__() -> list[str]:
    return sorted({*dir(pynetdicom), *_OLD, "applicationentity"})
