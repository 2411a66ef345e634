from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator

import pytest

from pynetdicom import status
from pynetdicom.services import statuses
from pynetdicom.status import Status, code_to_category, code_to_status


@pytest.fixture
def restore_status() -> Iterator[None]:
    """Takes away what a test adds to `Status`."""
    before = set(Status.__members__)
    yield
    for name in set(Status.__members__) - before:
        member = Status._member_map_.pop(name)
        type.__delattr__(Status, name)
        if member._name_ == name:
            Status._member_names_.remove(name)
            del Status._value2member_map_[member._value_]


@pytest.mark.parametrize("name", statuses.TABLES)
def test_a_dict_of_every_table(name: str) -> None:
    table = getattr(status, name)
    assert table[0x0000] == ("Success", "")
    assert table[0x0122] == ("Failure", "Refused: SOP Class not supported")
    assert getattr(status, name) is table
    assert name in dir(status)
    assert name in status.__all__


def test_the_tables_are_declared_for_type_checkers() -> None:
    assert set(status.__annotations__) >= set(statuses.TABLES)


def test_what_is_not_there() -> None:
    with pytest.raises(AttributeError, match=r"'pynetdicom.status' has no attribute 'NOTHING'"):
        _ = status.NOTHING  # type: ignore[attr-defined]


def test_code_to_status_gives_a_dataset_with_the_status_alone() -> None:
    ds = code_to_status(0xA700)
    assert [element.keyword for element in ds] == ["Status"]
    assert ds.Status == 0xA700


@pytest.mark.parametrize("code", [-1, "0", None])
def test_code_to_status_of_what_is_no_code(code: int) -> None:
    with pytest.raises(ValueError):
        code_to_status(code)


def test_status_members() -> None:
    assert [(s.name, s.value) for s in Status] == [
        ("SUCCESS", 0),
        ("CANCEL", 0xFE00),
        ("PENDING", 0xFF00),
        ("MOVE_DESTINATION_UNKNOWN", 0xA801),
    ]
    assert code_to_category(Status.CANCEL) == "Cancel"


@pytest.mark.usefixtures("restore_status")
def test_status_add() -> None:
    Status.add("UNABLE_TO_PROCESS", 0xC000)
    added = Status["UNABLE_TO_PROCESS"]
    assert isinstance(added, Status)
    assert added == 0xC000
    assert added.name == "UNABLE_TO_PROCESS"
    assert getattr(Status, "UNABLE_TO_PROCESS") is Status(0xC000) is added  # noqa: B009
    assert list(Status)[-1] is added
    Status.add("UNABLE_TO_PROCESS", 0xC000)
    assert len(list(Status)) == 5


@pytest.mark.usefixtures("restore_status")
def test_status_add_a_second_name() -> None:
    Status.add("FINE", 0x0000)
    assert Status["FINE"] is Status.SUCCESS
    assert len(list(Status)) == 4


@pytest.mark.parametrize(
    ("name", "code"), [("SUCCESS", 1), ("add", 1), ("two words", 1), ("X", -1), ("X", 0x10000)]
)
def test_status_add_refuses(name: str, code: int) -> None:
    with pytest.raises(ValueError):
        Status.add(name, code)
    assert len(Status.__members__) == 4


def test_import_does_not_import_pydicom() -> None:
    code = "import sys, pynetdicom.status; assert 'pydicom' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
