"""What nobody asks for any more is forgotten after some time, and the store stays flat."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom.workflows import ages, availability, worklist
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from tests.workflows.test_availability import full

DAY = 86400.0


@pytest.fixture
def now(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """The time, which tests set."""
    moment = [1e9]
    clock = SimpleNamespace(time=lambda: moment[0], monotonic=lambda: moment[0])
    monkeypatch.setattr(ages, "time", clock)
    return moment


@pytest.fixture(params=["memory", "sqlite"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    made = MemoryStore() if request.param == "memory" else SQLiteStore(tmp_path / "store")
    yield made
    made.close()


def kept(store: Store, kind: str) -> int:
    with store.begin() as records:
        return len(records.items(kind))


def test_a_worklist_is_flat_over_years(now: list[float], store: Store) -> None:
    """Three a day for six years: what is remembered is that of a year."""
    provider = worklist.Provider([], store)
    for day in range(6 * 365):
        for number in range(3):
            provider.remove(f"1.2.{day}", str(number))
        now[0] += DAY
    assert 3 * 365 <= len(provider.removed()) <= 3 * (365 + 365 // 16 + 2)
    assert kept(store, "worklist since") == len(provider.removed())
    assert provider.restore(f"1.2.{6 * 365 - 1}", "0")
    assert kept(store, "worklist since") == len(provider.removed())


def test_a_worklist_may_remember_all(now: list[float], store: Store) -> None:
    provider = worklist.Provider([], store, keep=None)
    for number in range(5):
        provider.remove(f"1.2.{number}", "1")
        now[0] += 3650 * DAY
    assert len(provider.removed()) == 5
    # Another process remembers for less: what is there already, too.
    worklist.Provider([], store, keep=DAY).remove("1.3", "1")
    assert worklist.Provider([], store).removed() == [("1.3", "1")]


def test_notifications_are_deleted_in_time(now: list[float], store: Store) -> None:
    provider = availability.Provider(store, keep=DAY)
    handle: Any = next(iter(provider.handlers.values()))
    for number in range(100):
        request = SimpleNamespace(AffectedSOPInstanceUID=f"1.2.{number}")
        event = SimpleNamespace(request=request, attribute_list=full())
        assert handle(event)[0].Status == 0x0000
        now[0] += 3600.0
    uids = {uid for uid, _ in provider.notifications()}
    assert 24 <= len(uids) <= 27
    assert uids == {f"1.2.{number}" for number in range(100 - len(uids), 100)}
    assert provider.delete("1.2.99")
    assert kept(store, "availability since") == len(uids) - 1


@pytest.mark.parametrize("event_type", [1, 2, 3, 4, 5])
@pytest.mark.parametrize("removing", [(), ("COMPLETED",), ("COMPLETED", "DISCONTINUED")])
def test_what_removes_an_item(removing: tuple[str, ...], event_type: int) -> None:
    provider = worklist.Provider([], removing=removing)
    step = Dataset()
    step.ScheduledStepAttributesSequence = [Dataset()]
    [scheduled] = step.ScheduledStepAttributesSequence
    scheduled.StudyInstanceUID, scheduled.ScheduledProcedureStepID = "1.2", "S1"
    provider.changed("1.3", step, event_type)
    final = {2: "COMPLETED", 3: "DISCONTINUED"}.get(event_type)
    assert provider.removed() == ([("1.2", "S1")] if final in removing else [])


def test_only_final_states_remove() -> None:
    with pytest.raises(ValueError, match="IN PROGRESS: no final state"):
        worklist.Provider([], removing=["IN PROGRESS"])
