from __future__ import annotations

import csv
import subprocess
import sys
from pathlib import Path

import pydicom
import pytest
from pydicom.uid import UID

from pynetdicom import uids
from pynetdicom.services import classes, registry
from pynetdicom.services.classes import (
    QueryRetrieveServiceClass,
    ServiceClass,
    StorageServiceClass,
    VerificationServiceClass,
)

DATA = Path(__file__).parents[1] / "data"


def rows(name: str) -> list[dict[str, str]]:
    with (DATA / name).open() as file:
        return list(csv.DictReader(file, delimiter="\t"))


SOP_CLASSES = rows("sop_classes.tsv")
ROOT = "1.2.840.10008."
CT = ROOT + "5.1.4.1.1.2"


def test_the_service_classes_of_the_standards_table() -> None:
    wrong = {
        row["keyword"]: found
        for row in SOP_CLASSES
        if (found := registry.service_class_of(row["uid"]).__name__) != row["service_class"]
    }
    assert wrong == {}


def test_what_is_known_without_pydicom_agrees_with_the_whole_dictionary() -> None:
    dictionary = uids.uid_dictionary()
    for uid in StorageServiceClass.sop_classes:
        assert registry._is_storage_row(dictionary[uid])
        assert registry.service_class_of(uid) is StorageServiceClass
    for service_class in classes.SERVICE_CLASSES:
        for uid in service_class.sop_classes:
            assert dictionary[uid][1] in ("SOP Class", "Meta SOP Class")


def test_the_operations_agree_with_the_keywords() -> None:
    dictionary = uids.uid_dictionary()
    for service_class in classes.SERVICE_CLASSES:
        for uid, operations in service_class.sop_classes.items():
            keyword = dictionary[uid][4]
            for ending in ("Find", "Get", "Move"):
                if keyword.endswith(ending):
                    assert operations == (f"C-{ending.upper()}",)
            if registry._is_storage_row(dictionary[uid]):
                assert operations == ("C-STORE",)


def test_a_private_uid_cannot_be_in_the_dictionary() -> None:
    named = ("SOP Class", "Meta SOP Class")
    ours = [uid for uid, row in uids.uid_dictionary().items() if row[1] in named]
    assert all(uid.startswith(ROOT) for uid in ours)


def test_nothing_but_sop_classes_has_a_service() -> None:
    for uid, row in uids.uid_dictionary().items():
        if row[1] not in ("SOP Class", "Meta SOP Class"):
            assert registry.service_class_of(uid) is ServiceClass
            assert registry.operations(uid) == ()


@pytest.mark.parametrize(
    ("uid", "storage"),
    [
        (CT, True),
        ("5.1.4.1.1.2.3", True),  # CT for processing, which pydicom lacks
        ("5.1.4.1.1.66.7", True),
        ("5.1.4.34.10", True),
        ("5.1.4.1.1.9", True),  # retired
        ("5.1.1.27", True),  # retired, "… Storage SOP Class"
        ("5.1.4.1.1.77.1", True),  # retired, trial
        ("5.1.4.1.1.501.2.1", True),  # DICOS, for presentation
        ("5.1.4.1.1.601.1", True),  # DICONDE
        ("5.1.4.38.1", True),  # non-patient object
        ("5.1.4.1.1.200.1", True),
        ("5.1.4.1.1.201.1", True),
        ("5.1.4.1.1.200.4", False),  # a query among the storage classes
        ("5.1.4.1.1.201.5", False),
        ("5.1.4.1.1.9999", False),
        ("5.1.4.1.2.1.1", False),
        ("1.20.1", False),  # storage commitment
        ("1.20.2", False),
        ("1.3.10", False),  # media storage directory
        ("4.2", False),  # the storage service class itself
        ("1.1", False),
        ("1.2", False),
        ("1.2.3", False),
        ("", False),
    ],
)
def test_is_storage(uid: str, storage: bool) -> None:
    uid = uid if uid.startswith(ROOT) else ROOT + uid
    assert registry.is_storage(uid) is storage


def test_unknown() -> None:
    for uid in ("1.2.3.4", "", "x" * 200, ROOT + "5.1.4.1.1.2.9"):
        assert registry.service_class_of(uid) is ServiceClass
        assert registry.operations(uid) == ()


def test_operations() -> None:
    assert registry.operations(ROOT + "1.1") == ("C-ECHO",)
    assert registry.operations(UID(CT)) == ("C-STORE",)
    assert registry.operations(ROOT + "5.1.4.1.2.2.2") == ("C-MOVE",)
    assert registry.operations(ROOT + "5.1.4.34.6.2") == ("C-FIND", "N-GET", "N-ACTION")
    assert registry.operations(ROOT + "1.20.1") == ("N-EVENT-REPORT", "N-ACTION")


@pytest.mark.skipif(pydicom.__version_info__[:2] != ("3", "0"), reason="a newer dictionary")
def test_all_storage() -> None:
    listed = {r["uid"] for r in SOP_CLASSES if r["service_class"] == "StorageServiceClass"}
    assert len(registry.all_storage()) == 170
    assert set(registry.all_storage()) == listed
    assert registry.all_storage()[0] == CT


def test_the_additions_are_those_of_the_standard() -> None:
    ours = [(ROOT + uid, name, kind) for uid, name, kind in uids.ADDITIONS]
    listed = [(r["uid"], r["name"], r["kind"].split(" (")[0]) for r in rows("uid_additions.tsv")]
    assert ours == listed


def test_the_additions_have_names_in_pydicom() -> None:
    uids.uid_dictionary()
    jpeg_xl = UID(ROOT + "1.2.4.110")
    assert jpeg_xl.name == "JPEG XL Lossless"
    assert jpeg_xl.keyword == "JPEGXLLossless"
    assert jpeg_xl.is_transfer_syntax
    label_map = UID(ROOT + "5.1.4.1.1.66.7")
    assert label_map.keyword == "LabelMapSegmentationStorage"
    processing = UID(ROOT + "5.1.4.1.1.2.3")
    assert processing.keyword == "CTImageStorageForProcessing"


def test_names() -> None:
    assert uids.uid_of("CTImageStorage") == CT
    assert uids.uid_of("PrinterInstance") == ROOT + "5.1.1.17"
    assert uids.uid_of("ImplicitVRLittleEndian") is None
    assert registry.is_named(CT)
    assert not registry.is_named("1.2.3")
    assert registry.is_sop_instance(ROOT + "5.1.1.17")
    assert not registry.is_sop_instance(CT)


@pytest.mark.usefixtures("forget_registered")
class TestRegister:
    def test_storage(self) -> None:
        registry.register_uid("1.2.3.4", "MyStorage", StorageServiceClass)
        assert registry.is_storage("1.2.3.4")
        assert registry.service_class_of("1.2.3.4") is StorageServiceClass
        assert uids.uid_of("MyStorage") == "1.2.3.4"
        assert registry.is_named("1.2.3.4")

    def test_again(self) -> None:
        registry.register_uid("1.2.3.4", "Mine", StorageServiceClass)
        registry.register_uid("1.2.3.4", "Mine", VerificationServiceClass)
        assert registry.operations("1.2.3.4") == ("C-ECHO",)

    @pytest.mark.parametrize("operation", ["C-FIND", "C-GET", "C-MOVE"])
    def test_one_operation_of_query_retrieve(self, operation: str) -> None:
        registry.register_uid("1.2.3.4", "MyModel", QueryRetrieveServiceClass, operation)
        assert registry.operations("1.2.3.4") == (operation,)

    @pytest.mark.parametrize("operation", ["", "C-STORE", "find"])
    def test_query_retrieve_needs_an_operation(self, operation: str) -> None:
        with pytest.raises(ValueError, match="one of C-FIND, C-GET, C-MOVE"):
            registry.register_uid("1.2.3.4", "MyModel", QueryRetrieveServiceClass, operation)
        assert not registry.is_named("1.2.3.4")

    def test_worklist_has_one_operation_only(self) -> None:
        worklist = classes.BasicWorklistManagementServiceClass
        registry.register_uid("1.2.3.4", "MyWorklist", worklist)
        assert registry.operations("1.2.3.4") == ("C-FIND",)

    def test_a_subclass_of_ones_own(self) -> None:
        class Mine(ServiceClass):
            operations = ("N-GET",)

        registry.register_uid(UID("1.2.3.4"), "MyService", Mine)
        assert registry.operations("1.2.3.4") == ("N-GET",)
        assert type(uids.uid_of("MyService")) is str

    @pytest.mark.parametrize("keyword", ["My Storage", "class", "", "2D"])
    def test_bad_keyword(self, keyword: str) -> None:
        with pytest.raises(ValueError, match="not a Python identifier"):
            registry.register_uid("1.2.3.4", keyword, StorageServiceClass)

    def test_the_standards_keywords_keep_their_meaning(self) -> None:
        with pytest.raises(ValueError, match=r"is that of 1.2.840.10008.5.1.4.1.1.2"):
            registry.register_uid("1.2.3.4", "CTImageStorage", StorageServiceClass)
        registry.register_uid(CT, "CTImageStorage", VerificationServiceClass)
        assert registry.operations(CT) == ("C-ECHO",)

    @pytest.mark.parametrize("service_class", [int, 5, StorageServiceClass(), None])
    def test_bad_service_class(self, service_class: type[ServiceClass]) -> None:
        with pytest.raises(TypeError, match="subclass of ServiceClass"):
            registry.register_uid("1.2.3.4", "MyStorage", service_class)


def test_the_usual_is_answered_without_pydicom() -> None:
    code = """
import sys
from pynetdicom.services import classes, registry
assert registry.operations("1.2.840.10008.1.1") == ("C-ECHO",)
assert not registry.is_storage("1.3.6.1.4.1.5962.301.9")
for service_class in classes.SERVICE_CLASSES:
    for uid in service_class.sop_classes:
        assert registry.service_class_of(uid) is service_class
assert "pydicom" not in sys.modules
"""
    subprocess.run([sys.executable, "-c", code], check=True)
