"""The alias package: the same modules under the library's first name."""

from __future__ import annotations

import importlib
import subprocess
import sys

import pytest

import pynetdicom
import pynetdicom3

MODULES = [
    "ae",
    "association",
    "dsutils",
    "events",
    "pdu_primitives",
    "presentation",
    "sop_class",
    "status",
    "upper_layer.pdu",
    "utils",
]


@pytest.mark.parametrize("name", MODULES)
def test_submodules_are_the_same_objects(name: str) -> None:
    real = importlib.import_module(f"pynetdicom.{name}")
    assert importlib.import_module(f"pynetdicom3.{name}") is real
    assert real.__name__ == f"pynetdicom.{name}"
    assert real.__spec__ is not None
    assert real.__spec__.name == f"pynetdicom.{name}"


def test_public_names_are_those_of_the_library() -> None:
    assert issubclass(pynetdicom3.AE, pynetdicom.AE)
    assert pynetdicom3.__version__ == pynetdicom.__version__
    assert set(pynetdicom.__all__) <= set(dir(pynetdicom3))


def test_star_import_gives_the_public_names() -> None:
    names: dict[str, object] = {}
    exec("from pynetdicom3 import *", names)
    assert names["AE"] is pynetdicom3.AE


@pytest.mark.parametrize(
    "statement",
    [
        "import pynetdicom3.ae; assert pynetdicom3.ae is sys.modules['pynetdicom.ae']",
        "from pynetdicom3 import ae; assert ae is sys.modules['pynetdicom.ae']",
        "from pynetdicom3.sop_class import VerificationSOPClass",
        "import pynetdicom3 as p; assert p.applicationentity.ApplicationEntity is p.AE",
        "from pynetdicom3 import applicationentity; applicationentity.ApplicationEntity()",
        "from pynetdicom3.applicationentity import ApplicationEntity as AE; AE(scu_sop_class=[])",
        "from pynetdicom3 import AE, VerificationPresentationContexts",
        "import pynetdicom3.ae as ae, pynetdicom; assert ae.ApplicationEntity is pynetdicom.AE",
    ],
)
def test_imports_work_in_a_fresh_interpreter(statement: str, python_env: dict[str, str]) -> None:
    code = f"import sys; {statement}; assert sys.modules['pynetdicom3'].__spec__ is not None"
    subprocess.run([sys.executable, "-W", "error", "-c", code], env=python_env, check=True)


def test_import_brings_in_no_more_than_the_library(python_env: dict[str, str]) -> None:
    code = "import sys, pynetdicom3; print(*(m for m in ('pydicom', 'numpy') if m in sys.modules))"
    result = subprocess.run(
        [sys.executable, "-c", code], env=python_env, check=True, capture_output=True, text=True
    )
    assert result.stdout.split() == []


def test_what_does_not_exist_is_missing_under_both_names() -> None:
    with pytest.raises(ModuleNotFoundError, match=r"pynetdicom3\.nothing"):
        importlib.import_module("pynetdicom3.nothing")
    with pytest.raises(AttributeError, match="nothing"):
        _ = pynetdicom3.nothing
    with pytest.raises(ImportError):
        exec("from pynetdicom3 import nothing")
