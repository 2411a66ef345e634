"""Several hosts that are one archive: an index and a store of objects that they share."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from pathlib import Path

import pytest

from pynetdicom.apps.archive.check import check
from tests.apps.archive.conftest import make
from tests.apps.archive.test_bad_input import Site, ask, keys, studies
from tests.peers import DEADLINE

OBJECTS = 12

pytest.importorskip("fsspec")


@pytest.fixture
def hosts(location: str, tmp_path: Path) -> Iterator[list[Site]]:
    """Two of them, whose store is one that fsspec reaches."""
    made = [Site(location, f"local://{tmp_path}/objects") for _ in range(2)]
    yield made
    for site in made:
        site.close()


def test_what_one_stores_the_other_has(hosts: list[Site]) -> None:
    one, other = hosts
    assert one.feed(make(1)) == [0x0000]
    assert other.feed(make(2), make(1)) == [0x0000, 0x0000]
    for site in hosts:
        assoc = site.associate()
        assert studies(ask(assoc, "C-FIND", keys("STUDY"))) == ["1.2.1"]
        status, _ = ask(assoc, "C-GET", keys("STUDY", StudyInstanceUID="1.2.1"))[-1]
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 2)
        assert {ds.SOPInstanceUID for ds in site.got} == {"1.2.3.1", "1.2.3.2"}


def test_both_store_the_same_at_the_same_time(hosts: list[Site]) -> None:
    """While a third one that starts makes the index agree with the objects."""
    statuses: list[int] = []

    def feed(site: Site) -> None:
        statuses.extend(site.feed(*(make(number) for number in range(OBJECTS))))

    threads = [threading.Thread(target=feed, args=(site,)) for site in hosts * 2]
    for thread in threads:
        thread.start()
    while any(thread.is_alive() for thread in threads):
        check(hosts[0].archive.index, hosts[0].store)
        threads[0].join(0.05)
    for thread in threads:
        thread.join(DEADLINE)
    assert statuses == [0x0000] * 4 * OBJECTS
    found = check(hosts[1].archive.index, hosts[1].store, full=True)
    assert (found.added, found.removed, found.unreadable) == (0, 0, 0)
    index = hosts[0].archive.index
    assert [index.count(level) for level in ("PATIENT", "STUDY", "SERIES", "IMAGE")] == [
        1, 1, 1, OBJECTS,
    ]  # fmt: skip
    answers = ask(hosts[1].associate(), "C-GET", keys("STUDY", StudyInstanceUID="1.2.1"))
    assert answers[-1][0].NumberOfCompletedSuboperations == OBJECTS


def test_a_host_that_ends_leaves_the_other_one(hosts: list[Site]) -> None:
    one, other = hosts
    one.feed(make(1))
    one.close()
    assoc = other.associate()
    assert studies(ask(assoc, "C-FIND", keys("STUDY"))) == ["1.2.1"]
    assert other.feed(make(2)) == [0x0000]
