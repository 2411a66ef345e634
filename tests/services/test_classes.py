from __future__ import annotations

import pytest

from pynetdicom.services import classes, statuses
from pynetdicom.services.classes import ANSWERS, SERVICE_CLASSES, ServiceClass

# fmt: off
OPERATIONS = [
    "C-ECHO", "C-STORE", "C-FIND", "C-GET", "C-MOVE",
    "N-EVENT-REPORT", "N-GET", "N-SET", "N-ACTION", "N-CREATE", "N-DELETE",
]
# fmt: on


def test_the_service_classes() -> None:
    assert len(SERVICE_CLASSES) == len(set(SERVICE_CLASSES)) == 23


@pytest.mark.parametrize("service_class", SERVICE_CLASSES)
def test_a_service_class_is_complete(service_class: type[ServiceClass]) -> None:
    assert issubclass(service_class, ServiceClass)
    assert service_class.__name__ == service_class.name.replace(" ", "") + "ServiceClass"
    assert ", PS3.4 Annex" in (service_class.__doc__ or "")
    assert set(service_class.operations) <= set(OPERATIONS)
    used = {name for names in service_class.sop_classes.values() for name in names}
    assert used == set(service_class.operations)
    assert len(used) == len(service_class.operations)
    assert service_class.status_table in statuses.TABLES


def test_the_names_of_services() -> None:
    assert classes.StorageCommitmentServiceClass.name == "Storage Commitment"
    assert classes.RTMachineVerificationServiceClass.name == "RT Machine Verification"
    assert classes.NonPatientObjectStorageServiceClass.name == "Non Patient Object Storage"


def test_a_service_class_of_ones_own_says_how_it_is_called() -> None:
    class OwnServiceClass(classes.StorageServiceClass):
        name = "Archive of slides"

    assert OwnServiceClass.name == "Archive of slides"
    assert OwnServiceClass.operations == ("C-STORE",)


def test_no_sop_class_belongs_to_two_services() -> None:
    uids = [uid for service_class in SERVICE_CLASSES for uid in service_class.sop_classes]
    assert len(uids) == len(set(uids))


def test_information_models() -> None:
    inventory = classes.InventoryQueryRetrieveServiceClass.sop_classes
    root = "1.2.840.10008.5.1.4.1.1.201."
    assert inventory == {root + "2": ("C-FIND",), root + "3": ("C-MOVE",), root + "4": ("C-GET",)}


def test_every_operation_has_its_answers() -> None:
    assert list(ANSWERS) == OPERATIONS


def test_the_library_answers_with_failures_only() -> None:
    for name, answers in ANSWERS.items():
        for field, code in answers._asdict().items():
            if name == "C-ECHO" and field in ("failed", "no_status", "bad_status"):
                assert code == 0x0000
            elif code:
                assert statuses.code_to_category(code) == "Failure"


@pytest.mark.parametrize(
    ("name", "field", "code"),
    [
        ("C-STORE", "undecodable", 0xC210),
        ("C-FIND", "undecodable", 0xC310),
        ("C-GET", "undecodable", 0xC410),
        ("C-MOVE", "undecodable", 0xC510),
        ("C-STORE", "failed", 0xC211),
        ("C-FIND", "failed", 0xC311),
        ("C-GET", "failed", 0xC411),
        ("C-MOVE", "failed", 0xC511),
        ("N-ACTION", "failed", 0x0110),
        ("N-GET", "not_encodable", 0x0110),
        ("C-STORE", "no_status", 0xC001),
        ("C-STORE", "bad_status", 0xC002),
        ("C-FIND", "not_encodable", 0xC312),
        ("C-GET", "bad_count", 0xC413),
        ("C-MOVE", "bad_count", 0xC513),
        ("C-GET", "too_many", 0xC416),
        ("C-MOVE", "too_many", 0xC516),
        ("C-MOVE", "no_destination", 0xC514),
        ("C-MOVE", "bad_destination", 0xC515),
        ("C-MOVE", "unknown_destination", 0xA801),
        ("C-STORE", "no_resources", 0xA700),
    ],
)
def test_answers(name: str, field: str, code: int) -> None:
    assert getattr(ANSWERS[name], field) == code
