"""pynetdicom.workflows.commitment_transactions: who of several providers has a transaction."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest

from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.workflows import commitment_transactions
from pynetdicom.workflows.commitment_transactions import LEASE, PARTS, Head, Transactions
from pynetdicom.workflows.stores import MemoryStore

REQUEST = InMemory(b"request " * 300_000, "1.2.840.10008.1.2.1")
RESULT = InMemory(b"result", "1.2.840.10008.1.2")


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> list[float]:
    now = [1e9]
    monkeypatch.setattr(commitment_transactions.time, "time", lambda: now[0])
    return now


@pytest.fixture
def store() -> MemoryStore:
    return MemoryStore()


def opened(store: MemoryStore) -> tuple[Transactions, Transactions]:
    first, second = Transactions(store), Transactions(store)
    assert first.open("1.2", "CT_ROOM", REQUEST)
    return first, second


def claimed(transactions: Transactions) -> Head:
    head = transactions.claim("1.2")
    assert isinstance(head, Head)
    return head


def test_what_is_kept(store: MemoryStore) -> None:
    first, second = opened(store)
    assert not second.open("1.2", "MR_ROOM", RESULT)
    head = claimed(first)
    assert (head.ae_title, head.event_type) == ("CT_ROOM", 0)
    assert first.read("1.2", head).getvalue() == REQUEST.getvalue()
    head = first.decide("1.2", head, 2, RESULT)
    assert claimed(first)._replace(until=0) == head._replace(until=0)
    assert (head.event_type, head.transfer_syntax) == (2, RESULT.transfer_syntax)
    assert first.read("1.2", head).getvalue() == RESULT.getvalue()
    assert second.uids == ["1.2"]
    first.remove("1.2", head)
    assert second.claim("1.2") is None
    with store.begin() as records:
        assert records.items(PARTS) == []


def test_one_has_it_for_a_while(store: MemoryStore, clock: list[float]) -> None:
    first, second = opened(store)
    assert second.claim("1.2") == LEASE
    head = first.renew("1.2", claimed(first), 100.0, attempts=1)
    clock[0] += 150
    assert second.claim("1.2") == LEASE - 50
    clock[0] += LEASE
    assert claimed(second).attempts == head.attempts == 1
    assert first.claim("1.2") == LEASE


def test_what_is_closed_leaves_it(store: MemoryStore) -> None:
    first, second = opened(store)
    first.close()
    claimed(second)
    first.close()  # once more changes nothing
    claimed(second)


def test_what_has_died_leaves_it(store: MemoryStore, monkeypatch: pytest.MonkeyPatch) -> None:
    """A process of this host; one that had the number of this one, or of one that is there."""
    first, second = opened(store)
    host, pid, born, _ = first._owner.split("/")
    parent = os.getppid()
    done = subprocess.Popen([sys.executable, "-c", ""])
    done.wait()
    killed = subprocess.Popen([sys.executable, "-c", ""])  # and nobody has looked
    os.waitid(os.P_PID, killed.pid, os.WEXITED | os.WNOWAIT)
    died = commitment_transactions.born(killed.pid)
    for owner, is_free in (
        (f"{host}/{done.pid}/{born}/x", True),
        (f"{host}/{killed.pid}/{died}/x", True),
        (f"{host}/{pid}/{born}/x", True),
        (f"{host}/{parent}/{commitment_transactions.born(parent)}/x", False),
        (f"{host}/{parent}/1/x", True),
        (f"elsewhere/{done.pid}/{born}/x", False),
        ("", True),
    ):
        monkeypatch.setattr(first, "_owner", owner)
        first.renew("1.2", Head("CT_ROOM", REQUEST.transfer_syntax, 3))
        assert isinstance(second.claim("1.2"), Head) is is_free, owner
    killed.wait()
