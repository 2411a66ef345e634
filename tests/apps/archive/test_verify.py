"""``qrscp verify``: damaged and lost objects are told, and the index is repaired."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pynetdicom.apps.archive.admin import verifying
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.schema import TABLES
from tests.apps.archive.conftest import MakeEvent, Qrscp, Start, make


@pytest.fixture
def filled(qrscp: Qrscp, store_event: MakeEvent) -> Qrscp:
    qrscp.fill(store_event, *(make(number, PatientComments="x" * 100) for number in (1, 2, 3)))
    return qrscp


def file_of(qrscp: Qrscp, number: int) -> Path:
    (path,) = (one for one in qrscp.objects() if one.stem == f"1.2.3.{number}")
    return path


def flip(path: Path) -> None:
    """Change a bit within a value, and no time."""
    times = path.stat()
    data = bytearray(path.read_bytes())
    data[data.index(b"xxx")] ^= 1
    path.write_bytes(data)
    os.utime(path, ns=(times.st_atime_ns, times.st_mtime_ns))


GOOD = "3 good, 0 damaged, 0 lost, 0 deleted meanwhile\nindex: 0 added, 0 removed, 0 unreadable"


def test_all_is_well(filled: Qrscp) -> None:
    for _ in range(2):
        assert filled("verify") == 0
        assert filled.out == GOOD


@pytest.mark.parametrize("with_commitment", [False, True])
def test_a_bit_that_has_changed(filled: Qrscp, with_commitment: bool, tmp_path: Path) -> None:
    options: list[object] = []
    if with_commitment:
        config = tmp_path / "q.toml"
        config.write_text('[commitment]\nstore = "commitment.sqlite"\nverify = "bytes"\n')
        options = ["--config", config]
    assert filled("verify", *options) == 0
    flip(file_of(filled, 2))
    assert filled("verify", *options) == 1
    assert filled.out.startswith("2 good, 1 damaged, 0 lost")
    assert "1.2.3.2: " in filled.err
    assert "not those" in filled.err
    # It stays so, until it is deleted and stored again.
    assert filled("verify", *options) == 1
    assert (tmp_path / "commitment.sqlite").exists() is with_commitment
    assert not with_commitment or not list(filled.place.glob("*-digests"))


def test_what_is_deleted_and_stored_again_is_new(
    filled: Qrscp, store_event: MakeEvent, tmp_path: Path
) -> None:
    assert filled("verify") == 0
    assert filled("delete", "--yes", "SOPInstanceUID=1.2.3.2") == 0
    filled.fill(store_event, make(2, PatientComments="another"))
    assert filled("verify") == 0


def test_a_file_that_was_cut_off(filled: Qrscp) -> None:
    path = file_of(filled, 1)
    os.truncate(path, path.stat().st_size - 10)
    assert filled("verify") == 1
    assert filled.out.startswith("2 good, 1 damaged")
    assert "1.2.3.1: " in filled.err


def test_an_object_that_is_lost(filled: Qrscp) -> None:
    file_of(filled, 3).unlink()
    assert filled("verify") == 1
    assert filled.out == (
        "2 good, 0 damaged, 1 lost, 0 deleted meanwhile\nindex: 0 added, 1 removed, 0 unreadable"
    )
    assert "1.2.3.3: " in filled.err
    assert filled.indexed() == {"1.2.3.1", "1.2.3.2"}


def test_a_file_that_is_of_another_object(filled: Qrscp) -> None:
    os.replace(file_of(filled, 1), file_of(filled, 2))
    assert filled("verify") == 1
    assert "1.2.3.2: " in filled.err
    assert "another object" in filled.err


def rows_of(qrscp: Qrscp) -> list[list[tuple[Any, ...]]]:
    """What the index has, but for keys."""
    database = Database(qrscp.config.database_location)
    with database.reading() as connection:
        found = [
            sorted(
                tuple(value for name, value in row._mapping.items() if not name.endswith("pk"))
                for row in connection.execute(sa.select(table))
            )
            for table in TABLES.values()
        ]
    database.close()
    return found


@pytest.mark.parametrize(
    "changes",
    [
        (),
        ("patient SET patient_name = 'Roe'",),
        ("study SET study_date = '19000101', study_instance_uid = '1.9'",),
        ("series SET modality = ''",),
        ("series SET series_instance_uid = '1.9'",),
        ("instance SET content_label = 'X'",),
        ("instance SET transfer_syntax_uid = '1.2.3'",),
        ("patient SET identity = 'somebody'",),
    ],
)
def test_the_index_is_repaired(filled: Qrscp, changes: tuple[str, ...]) -> None:
    before = rows_of(filled)
    database = Database(filled.config.database_location)
    with database.engine.begin() as connection:
        connection.execute(sa.text("DELETE FROM instance WHERE sop_instance_uid = '1.2.3.3'"))
        for change in changes:
            connection.execute(sa.text(f"UPDATE {change}"))
    database.close()
    assert filled("verify") == 0
    assert "index: 1 added, 0 removed" in filled.out
    assert rows_of(filled) == before
    assert filled("verify") == 0
    assert filled.out == GOOD
    assert filled.err == ""


def test_a_disk_that_is_not_there(filled: Qrscp, tmp_path: Path) -> None:
    (filled.place / "objects").rename(tmp_path / "elsewhere")
    assert filled("verify") == 1
    assert "is their disk there" in filled.err
    assert len(filled.indexed()) == 3


def test_an_object_that_is_deleted_meanwhile(
    filled: Qrscp, monkeypatch: pytest.MonkeyPatch
) -> None:
    looked: Callable[..., str] = verifying._look

    def look(archive: Any, one: Any, *others: Any) -> str:
        if one.sop_instance_uid == "1.2.3.2":
            os.unlink(archive.store_of_objects.path(one.location))
            archive.index.remove([one.location])
        return looked(archive, one, *others)

    monkeypatch.setattr(verifying, "_look", look)
    assert filled("verify") == 0
    assert filled.out.startswith("2 good, 0 damaged, 0 lost, 1 deleted meanwhile")


def test_while_the_archive_is_at_work(filled: Qrscp, start: Start) -> None:
    served = start(*filled.places)
    assert filled("verify") == 0
    assert filled.out == GOOD
    served.stop(signal.SIGTERM)
    served = start(*filled.places)
    served.stop(signal.SIGTERM)
    assert "not the archive's" not in served.errors()
