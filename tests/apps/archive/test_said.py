"""Objects that disagree: a rebuilt index says what the one before said."""

from __future__ import annotations

import os
import random
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from pynetdicom.apps.archive import cloud
from pynetdicom.apps.archive.attributes import OF_LEVEL
from pynetdicom.apps.archive.check import check
from pynetdicom.apps.archive.cloud import CloudStore
from pynetdicom.apps.archive.conditions import joined
from pynetdicom.apps.archive.database import Database
from pynetdicom.apps.archive.index import Index, record_of
from pynetdicom.apps.archive.objects import FileStore, ObjectStore
from pynetdicom.apps.archive.schema import TABLES, duplicate, instance
from tests.apps.archive.conftest import EXPLICIT, MakeEvent, make
from tests.sampled import sampled


def content(index: Index) -> dict[str, dict[str, str]]:
    """The whole index, without the numbers of its rows: location → what it and all above it say."""
    columns = {
        f"{level}.{column.name}": column
        for level, table in TABLES.items()
        for column in table.c
        if column.name != "pk" and not column.name.endswith("_pk")
    }
    query = sa.select(*(c.label(f"c{n}") for n, c in enumerate(columns.values())))
    with index.database.reading() as connection:
        rows = connection.execute(query.select_from(joined("PATIENT", "IMAGE"))).all()
        found = [dict(zip(columns, row, strict=True)) for row in rows]
        copies = connection.execute(sa.select(duplicate.c.location, duplicate.c.sop_instance_uid))
        return {
            **{row["IMAGE.location"]: row for row in found},
            **{location: {"copy of": uid} for location, uid in copies},
        }


def disagreeing(chance: random.Random, number: int) -> Any:
    """An object that says, or does not say, this or that of its patient, study and series."""

    def some(*values: str) -> str:
        return chance.choice(("", *values))

    patient = chance.choice("AB")
    study = chance.choice("12")
    return make(
        number,
        PatientID=patient,
        PatientName=some("Doe^Jane", "Roe^Richard", "Poe^E"),
        PatientBirthDate=some("19700101", "19800101"),
        PatientSex=some("M", "F"),
        StudyInstanceUID=f"1.{study}",
        StudyDescription=some("Head", "Foot"),
        StudyDate=some("20200101", "20200102"),
        SeriesInstanceUID=f"1.{study}.{chance.choice('12')}",
        SeriesDescription=some("x", "y", "z"),
        Modality=some("CT", "MR"),
    )


def store_of(kind: str, place: Path, seed: int) -> ObjectStore:
    return FileStore(str(place)) if kind == "files" else CloudStore(f"memory://said{seed}")


def stored(index: Index, store: ObjectStore, event: Any, ds: Any) -> str:
    kept = store.keep(event, ds.SOPInstanceUID)
    if kept.is_first:
        index.add(record_of(ds, EXPLICIT), kept.location, kept.folder, kept.arrived)
    else:
        index.add_duplicate(ds.SOPInstanceUID, kept.location, kept.folder)
    return kept.location


@pytest.mark.parametrize("kind", ["files", "cloud"])
@sampled("seed", range(4))
def test_a_rebuilt_index_says_the_same(
    tmp_path: Path, store_event: MakeEvent, kind: str, seed: int
) -> None:
    chance = random.Random(seed)
    store = store_of(kind, tmp_path / "objects", seed)
    before = Index(Database(str(tmp_path / "before")))
    for number in range(40):
        ds = disagreeing(chance, number % 36)  # some of them twice
        stored(before, store, store_event(ds), ds)
    said = content(before)
    assert len(said) == 40
    rebuilt = Index(Database(str(tmp_path / "rebuilt")))
    check(rebuilt, store)
    assert content(rebuilt) == said
    # Reading all anew changes nothing either, and nor does what is indexed in another order.
    check(before, store, full=True)
    assert content(before) == said
    store.clear()
    for index in (before, rebuilt):
        index.database.close()


@sampled("seed", range(4))
def test_what_only_a_deleted_object_said_is_not_said_any_more(
    tmp_path: Path, store_event: MakeEvent, seed: int
) -> None:
    chance = random.Random(seed)
    store = FileStore(str(tmp_path / "objects"))
    before = Index(Database(str(tmp_path / "before")))
    locations = []
    for number in range(30):
        ds = disagreeing(chance, number)
        locations.append(stored(before, store, store_event(ds), ds))
    for location in chance.sample(locations, 12):
        os.unlink(store.path(location))
    check(before, store)
    rebuilt = Index(Database(str(tmp_path / "rebuilt")))
    check(rebuilt, store)
    assert content(before) == content(rebuilt)
    for index in (before, rebuilt):
        index.database.close()


def test_an_object_that_says_something_else_now(tmp_path: Path, store_event: MakeEvent) -> None:
    """Its file was replaced while the archive was stopped: others count where they came before."""
    store = FileStore(str(tmp_path / "objects"))
    index = Index(Database(str(tmp_path / "before")))
    first, second = make(1, PatientSex="M"), make(2, PatientSex="F")
    for ds in (first, second):
        stored(index, store, store_event(ds), ds)
    other = FileStore(str(tmp_path / "other"))
    changed = make(1, PatientSex="O")
    kept = other.keep(store_event(changed), "1.2.3.1")
    os.replace(other.path(kept.location), store.path(kept.location))
    check(index, store, full=True)
    rebuilt = Index(Database(str(tmp_path / "rebuilt")))
    check(rebuilt, store)
    assert content(index) == content(rebuilt)
    with index.database.reading() as connection:
        assert connection.scalar(sa.select(TABLES["PATIENT"].c.patient_sex)) == "F"
    for one in (index, rebuilt):
        one.database.close()


def test_the_order_in_which_objects_are_indexed_does_not_matter(index: Index) -> None:
    """Several processes index what has come in another order than it came; ties go by location."""
    chance = random.Random(1)
    objects = [(record_of(disagreeing(chance, n), EXPLICIT), f"abc/{n}", n // 3) for n in range(30)]
    contents = []
    for _ in range(3):
        index.clear()
        index = Index(index.database)
        for record, location, arrived in objects:
            index.add(record, location, "abc", arrived)
        contents.append(content(index))
        chance.shuffle(objects)
    assert contents[0] == contents[1] == contents[2]
    first = OF_LEVEL["PATIENT"][0].column
    assert any(row[f"PATIENT.{first}"] for row in contents[0].values())


def test_arrivals_are_told_apart(tmp_path: Path, store_event: MakeEvent) -> None:
    store = FileStore(str(tmp_path / "objects"))
    kept = [store.keep(store_event(make(n)), f"1.2.3.{n}") for n in range(50)]
    assert [one.arrived for one in kept] == sorted({one.arrived for one in kept})
    assert [store.arrived(one.location) for one in kept] == [one.arrived for one in kept]
    again = store.keep(store_event(make(7)), "1.2.3.7")
    assert (again.is_new, again.arrived) == (False, kept[7].arrived)


@pytest.mark.parametrize(
    ("entry", "expected"),
    [
        ({"LastModified": "2020-01-01T00:00:01+00:00"}, 1577836801 * 10**9),
        ({"mtime": 1.5, "name": "x"}, 1500000000),
        ({"created": 2}, 2 * 10**9),
        ({"updated": "junk"}, 0),
        ({}, 0),
    ],
)
def test_times_of_stores(entry: dict[str, Any], expected: int) -> None:
    assert cloud._time_of(entry) == expected


def test_instances_are_not_in_doubt(index: Index) -> None:
    assert list(index.in_doubt()) == []
    assert instance.c.get("said") is None
