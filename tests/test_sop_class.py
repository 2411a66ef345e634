from __future__ import annotations

import ast
import csv
import warnings
from pathlib import Path
from types import ModuleType

import pydicom
import pytest
from pydicom.uid import UID

from pynetdicom import service_class, service_class_n, sop_class, uids
from pynetdicom.service_class import ServiceClass, StorageServiceClass, VerificationServiceClass
from pynetdicom.services import classes
from pynetdicom.sop_class import SOPClass, register_uid, uid_to_service_class, uid_to_sop_class

DATA = Path(__file__).parent / "data"
INSTANCES = {
    "DisplaySystemInstance": "1.2.840.10008.5.1.1.40.1",
    "PrinterInstance": "1.2.840.10008.5.1.1.17",
    "PrinterConfigurationRetrievalInstance": "1.2.840.10008.5.1.1.17.376",
    "ProceduralEventLoggingInstance": "1.2.840.10008.1.40.1",
    "StorageCommitmentPushModelInstance": "1.2.840.10008.1.20.1.1",
    "StorageManagementInstance": "1.2.840.10008.5.1.4.1.1.201.1.1",
    "SubstanceAdministrationLoggingInstance": "1.2.840.10008.1.42.1",
    "UPSGlobalSubscriptionInstance": "1.2.840.10008.5.1.4.34.5",
    "UPSFilteredGlobalSubscriptionInstance": "1.2.840.10008.5.1.4.34.5.1",
}


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


SOP_CLASSES = {row["keyword"]: row for row in rows("sop_classes.tsv")}
ALIASES = {row["alias"]: row for row in rows("sop_class_aliases.tsv")}


def test_the_names_are_as_many_as_promised() -> None:
    assert (len(SOP_CLASSES), len(ALIASES), len(INSTANCES)) == (252, 63, 9)


@pytest.mark.parametrize("keyword", SOP_CLASSES)
def test_sop_class(keyword: str) -> None:
    namespace: dict[str, SOPClass] = {}
    exec(f"from pynetdicom.sop_class import {keyword}", namespace)
    found = namespace[keyword]
    assert type(found) is SOPClass
    assert found == SOP_CLASSES[keyword]["uid"]
    assert found.service_class.__name__ == SOP_CLASSES[keyword]["service_class"]
    assert found.name != found


@pytest.mark.parametrize("alias", ALIASES)
def test_alias(alias: str) -> None:
    namespace: dict[str, UID] = {}
    exec(f"from pynetdicom.sop_class import {alias}", namespace)
    assert namespace[alias] == ALIASES[alias]["uid"]
    assert namespace[alias] == getattr(sop_class, ALIASES[alias]["keyword"])


@pytest.mark.parametrize("keyword", INSTANCES)
def test_instance(keyword: str) -> None:
    found = getattr(sop_class, keyword)
    assert type(found) is UID
    assert found == INSTANCES[keyword]


def test_no_alias_hides_a_keyword() -> None:
    assert not set(sop_class.ALIASES) & set(uids.standard_names())
    assert set(sop_class.ALIASES.values()) <= set(uids.standard_names())


def test_pydicoms_keywords_are_names_too() -> None:
    worklist = sop_class.ModalityWorklistInformationModelFind
    assert worklist == sop_class.ModalityWorklistInformationFind
    assert sop_class.StandaloneOverlayStorage.service_class is StorageServiceClass


def test_all_and_dir() -> None:
    everything = {*SOP_CLASSES, *ALIASES, *INSTANCES}
    assert everything <= set(sop_class.__all__)
    assert everything <= set(dir(sop_class))
    namespace: dict[str, object] = {}
    exec("from pynetdicom.sop_class import *", namespace)
    assert set(sop_class.__all__) <= set(namespace)


@pytest.mark.skipif(pydicom.__version_info__[:2] != ("3", "0"), reason="a newer dictionary")
def test_what_type_checkers_see_is_what_there_is() -> None:
    assert sop_class.__file__
    tree = ast.parse(Path(sop_class.__file__).read_text())
    declared = [
        name.id
        for node in ast.walk(tree)
        if isinstance(node, ast.Tuple) and isinstance(node.ctx, ast.Store)
        for name in node.elts
        if isinstance(name, ast.Name)
    ]
    there = {*uids.standard_names(), *sop_class.ALIASES}
    assert len(declared) == len(set(declared))
    assert set(declared) - there == set()
    assert there - set(declared) == set()


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"'pynetdicom.sop_class' has no attribute 'Nothing'"):
        _ = sop_class.Nothing  # type: ignore[attr-defined]
    with pytest.raises(ImportError):
        exec("from pynetdicom.sop_class import Nothing")


def test_uid_to_sop_class() -> None:
    assert uid_to_sop_class("1.2.840.10008.1.1") is sop_class.Verification
    unknown = uid_to_sop_class("1.2.3")
    assert type(unknown) is SOPClass
    assert unknown.service_class is ServiceClass


def test_a_peers_uid_may_be_anything_but_is_not_kept() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        before = sop_class._sop_class.cache_info().currsize
        assert uid_to_sop_class("no uid " * 20).service_class is ServiceClass
        assert sop_class._sop_class.cache_info().currsize == before


def test_uid_to_service_class() -> None:
    assert uid_to_service_class("1.2.840.10008.1.1") is VerificationServiceClass
    assert uid_to_service_class("1.2.840.10008.5.1.4.1.1.3") is StorageServiceClass
    assert uid_to_service_class("1.2.3") is ServiceClass


@pytest.mark.usefixtures("forget_registered")
def test_register_uid() -> None:
    register_uid("1.2.246.1.1", "MyStorage", StorageServiceClass)
    mine = sop_class.MyStorage  # type: ignore[attr-defined]
    assert mine == "1.2.246.1.1"
    assert mine.service_class is StorageServiceClass
    assert uid_to_sop_class("1.2.246.1.1") is mine


def service_classes(module: ModuleType) -> set[str]:
    return {name for name in vars(module) if name.endswith("ServiceClass")}


@pytest.mark.parametrize(("module", "count"), [(service_class, 13), (service_class_n, 10)])
def test_service_class_modules(module: ModuleType, count: int) -> None:
    names = service_classes(module)
    assert len(names) == count + 1
    for name in names:
        assert getattr(module, name) is getattr(classes, name)


def test_the_service_class_modules_have_all_service_classes() -> None:
    names = service_classes(service_class) | service_classes(service_class_n)
    assert names == {"ServiceClass", *(cls.__name__ for cls in classes.SERVICE_CLASSES)}
