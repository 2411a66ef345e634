"""Random sequences of all that is asked of a UPS SCP, against a model of PS3.4 Annex CC.

The model is the tables of the standard and nothing else. A short run; ``PYNETDICOM_UPS`` in the
environment says how many sequences.
"""

from __future__ import annotations

import os
import random
import threading
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import (
    UnifiedProcedureStepPush,
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
)
from pynetdicom.workflows import ups
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from tests.workflows.ups_pair import ROWS, Direct, canceled, code, made, performed, step

COUNT = int(os.environ.get("PYNETDICOM_UPS", "300"))
PUSH = UnifiedProcedureStepPush
ALL, FILTERED = UPSGlobalSubscriptionInstance, UPSFilteredGlobalSubscriptionInstance
WATCHERS = ("W1", "W2", "W3")
PERFORMERS = ("1.1", "1.2", "1.3", None)
"""Their Transaction UIDs; None: one who gives none."""

NONE, SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED = (
    *("", "SCHEDULED", "IN PROGRESS"),
    *("COMPLETED", "CANCELED"),
)
STATES = (NONE, SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED)
# fmt: off
TO = {
    # Table CC.1.1-2: state that is asked for, and whether the Transaction UID is right (any is in
    # SCHEDULED): status in each state
    (SCHEDULED, True):    (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    (SCHEDULED, False):   (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    (IN_PROGRESS, True):  (0xC307, 0x0000, 0xC302, 0xC300, 0xC300),
    (IN_PROGRESS, False): (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    (COMPLETED, True):    (0xC307, 0xC310, 0x0000, 0xB306, 0xC300),
    (COMPLETED, False):   (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    (CANCELED, True):     (0xC307, 0xC310, 0x0000, 0xC300, 0xB304),
    (CANCELED, False):    (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
}
REQUEST =                 (0xC307, 0x0000, 0x0000, 0xC311, 0xB304)
CREATE =                  (0x0000, 0x0111, 0x0111, 0x0111, 0x0111)
SET = {
    # CC.2.6.3: the Transaction UID: none, right, wrong
    "none":               (0xC307, 0x0000, 0xC301, 0xC300, 0xC300),
    "right":              (0xC307, 0xC310, 0x0000, 0xC300, 0xC300),
    "wrong":              (0xC307, 0xC310, 0xC301, 0xC300, 0xC300),
}
# fmt: on

CHANGES: dict[str, tuple[Callable[[], Dataset], int]] = {
    # what an N-SET sets, and its status where the state allows it
    "performed": (performed, 0x0000),
    "canceled": (canceled, 0x0000),
    "label": (lambda: made(WorklistLabel="other"), 0x0000),
    "readiness": (lambda: made(InputReadinessState="UNAVAILABLE"), 0x0000),
    "station": (lambda: made(ScheduledStationNameCodeSequence=[code("2")]), 0x0000),
    "progress": (
        lambda: made(
            ProcedureStepProgressInformationSequence=[made(ProcedureStepProgress="50")],
        ),
        0x0000,
    ),
    "modified": (lambda: made(ScheduledProcedureStepModificationDateTime="2020"), 0xB305),
    "empty": (lambda: made(InputReadinessState=None), 0x0121),  # final states require it
    "no comment": (lambda: made(CommentsOnTheScheduledProcedureStep=None), 0x0000),
    "wrong": (lambda: made(ScheduledProcedureStepPriority="URGENT"), 0x0106),
    "state": (lambda: made(ProcedureStepState=COMPLETED), 0x0105),
    "patient": (lambda: made(PatientName="A^B"), 0x0105),
    "lacking": (
        lambda: made(UnifiedProcedureStepPerformedProcedureSequence=[Dataset()]),
        0x0120,
    ),
}
TYPE_1 = [one.keyword for one in ROWS if one.types["n_create"] == "1"]
TYPE_2 = [one.keyword for one in ROWS if one.types["n_create"] == "2"]
WRONG = {
    "ProcedureStepState": (IN_PROGRESS, 0xC309),
    "ScheduledProcedureStepPriority": ("URGENT", 0x0106),
    "InputReadinessState": ("MAYBE", 0x0106),
    "TransactionUID": ("1.2", 0x0106),
}


class ModelStep:
    """What there is to know of a step."""

    def __init__(self, is_wanted: bool, station: str) -> None:
        self.state = SCHEDULED
        self.owner: str | None = None
        self.is_wanted = is_wanted
        self.station = station
        self.readiness = "READY"
        self.progress = ""
        self.met: set[str] = set()
        self.subscribers: dict[str, bool] = {}

    @property
    def can_be_deleted(self) -> bool:
        """CC.2.1.3."""
        return self.state in (COMPLETED, CANCELED) and not any(self.subscribers.values())


class Model:
    """What an SCP answers, and tells whom."""

    def __init__(self) -> None:
        self.steps: dict[str, ModelStep] = {}
        self.globally: dict[str, tuple[bool, bool]] = {}
        self.told: dict[str, list[tuple[int, str]]] = {title: [] for title in WATCHERS}

    def state(self, uid: str) -> int:
        return STATES.index(self.steps[uid].state if uid in self.steps else NONE)

    def tell(self, uid: str, *events: int) -> None:
        for title in self.steps[uid].subscribers:
            self.told[title] += [(event, uid) for event in events]

    def create(self, uid: str, fault: int, is_wanted: bool, station: str) -> int:
        if status := CREATE[self.state(uid)] or fault:
            return status
        self.steps[uid] = one = ModelStep(is_wanted, station)
        for title, (lock, is_filtered) in self.globally.items():
            if one.is_wanted or not is_filtered:
                one.subscribers[title] = lock
        self.tell(uid, 1, *([5] if station else []))
        return 0x0000

    def change_state(self, uid: str, state: str, by: str | None) -> int:
        one = self.steps.get(uid)
        is_right = by is not None and (one is None or one.owner in (None, by))
        if status := TO[state, is_right][self.state(uid)]:
            return status
        assert one is not None
        if state in (COMPLETED, CANCELED) and state not in one.met:
            return 0xC304
        one.state, one.owner = state, by
        self.tell(uid, 1)
        return 0x0000

    def request_cancel(self, uid: str) -> int:
        if status := REQUEST[self.state(uid)]:
            return status
        one = self.steps[uid]
        if one.state == IN_PROGRESS:
            self.tell(uid, 2)
        else:
            one.state, one.owner = CANCELED, "the SCP's"
            self.tell(uid, 1, 1)
        return 0x0000

    def set(self, uid: str, what: str, by: str | None) -> int:
        one = self.steps.get(uid)
        which = "none" if by is None else "right" if one and one.owner == by else "wrong"
        status = SET[which][self.state(uid)] or CHANGES[what][1]
        if status not in (0x0000, 0xB305):
            return status
        assert one is not None
        before = one.readiness, one.progress, one.station
        if what == "performed":
            one.met.add(COMPLETED)
        elif what == "canceled":
            one.met.add(CANCELED)
            one.progress = ""  # the sequence is set whole
        elif what == "progress":
            one.met.discard(CANCELED)
            one.progress = "50"
        elif what == "readiness":
            one.readiness = "UNAVAILABLE"
        elif what == "station":
            one.station = "2"
        after = one.readiness, one.progress, one.station
        changed = [new != old for new, old in zip(after, before, strict=True)]
        self.tell(uid, *(event for event, is_so in zip((1, 3, 5), changed, strict=True) if is_so))
        return status

    def subscribe(self, title: str, uid: str, lock: bool) -> int:
        if uid in (ALL, FILTERED):
            self.globally[title] = lock, uid == FILTERED
            present = sorted(self.steps) if lock else []
            wanted = [one for one in present if uid == ALL or self.steps[one].is_wanted]
        elif uid not in self.steps:
            return 0xC307
        else:
            wanted = [uid]
        for one in wanted:
            self.steps[one].subscribers[title] = lock
            self.told[title].append((1, one))
        return 0x0000

    def unsubscribe(self, title: str, uid: str) -> int:
        if uid in (ALL, FILTERED):
            self.globally.pop(title, None)
            for one in self.steps.values():
                one.subscribers.pop(title, None)
        elif uid not in self.steps:
            return 0xC307
        else:
            self.steps[uid].subscribers.pop(title, None)
        return 0x0000

    def suspend(self, title: str, uid: str) -> int:
        if uid not in (ALL, FILTERED):
            return 0xC314
        self.globally.pop(title, None)
        return 0x0000

    def delete(self, uid: str) -> bool:
        if uid not in self.steps or not self.steps[uid].can_be_deleted:
            return False
        del self.steps[uid]
        return True


class Both:
    """Asks the provider and the model the same."""

    def __init__(self, provider: ups.Provider, rng: random.Random) -> None:
        self.provider = provider
        self.model = Model()
        self.rng = rng
        self._direct = Direct(provider)

    def _act(self, action: int, uid: str, **information: Any) -> int:
        status, _ = self._direct.send_n_action(made(**information), action, PUSH, uid)
        return int(status.Status)

    def _performer(self, uid: str) -> str | None:
        """Any, but rather the one who has claimed it."""
        owner = self.model.steps[uid].owner if uid in self.model.steps else None
        mine = [owner] * 12 if owner in PERFORMERS[:3] else []  # not what the SCP has canceled
        return self.rng.choice((*PERFORMERS, *mine))

    def create(self, uid: str) -> tuple[int, int]:
        rng = self.rng
        is_wanted, station = rng.random() < 0.5, rng.choice(("", "1"))
        sent = step(ProcedureStepState=SCHEDULED, WorklistLabel="")
        for keyword in TYPE_2:
            setattr(sent, keyword, None)
        sent.ProcedureStepLabel = "wanted" if is_wanted else "not"
        if station:
            sent.ScheduledStationNameCodeSequence = [code(station)]
        fault, what = 0x0000, rng.random()
        if what < 0.1:
            delattr(sent, rng.choice(TYPE_1 + TYPE_2))
            fault = 0x0120
        elif what < 0.2:
            setattr(sent, rng.choice(TYPE_1), None)
            fault = 0x0121
        elif what < 0.3:
            keyword = rng.choice(list(WRONG))
            value, fault = WRONG[keyword]
            setattr(sent, keyword, value)
        status, _ = self._direct.send_n_create(sent, PUSH, uid)
        return status.Status, self.model.create(uid, fault, is_wanted, station)

    def change_state(self, uid: str) -> tuple[int, int]:
        met = sorted(self.model.steps[uid].met) if uid in self.model.steps else []
        state, by = self.rng.choice((*STATES[1:], *met * 4)), self._performer(uid)
        sent = {"ProcedureStepState": state} | ({} if by is None else {"TransactionUID": by})
        return self._act(1, uid, **sent), self.model.change_state(uid, state, by)

    def wrong_state(self, uid: str) -> tuple[int, int]:
        value, status = self.rng.choice(((None, 0x0121), ("X", 0x0115), (..., 0x0120)))
        sent = {} if value is ... else {"ProcedureStepState": value}
        try:
            return self._act(1, uid, TransactionUID="1.1", **sent), status
        except AttributeError:  # which the library answers
            return 0x0120, status

    def request_cancel(self, uid: str) -> tuple[int, int]:
        return self._act(2, uid, ReasonForCancellation="so"), self.model.request_cancel(uid)

    def set(self, uid: str) -> tuple[int, int]:
        what = self.rng.choice((*CHANGES, *["performed", "canceled"] * 12))
        by = self._performer(uid)
        sent = CHANGES[what][0]()
        if by is not None:
            sent.TransactionUID = by
        status, _ = self._direct.send_n_set(sent, PUSH, uid)
        return status.Status, self.model.set(uid, what, by)

    def get(self, uid: str) -> tuple[Any, Any]:
        status, found = self._direct.send_n_get([], PUSH, uid)
        state = found.ProcedureStepState if found else NONE
        assert not found or "TransactionUID" not in found
        expected = self.model.state(uid)
        return (status.Status, state), (0x0000 if expected else 0xC307, STATES[expected])

    def subscription(self, uid: str) -> tuple[int, int]:
        title, instance = self.rng.choice(WATCHERS), self.rng.choice((uid, uid, ALL, FILTERED))
        action = self.rng.randrange(3, 6)
        sent: dict[str, Any] = {"ReceivingAE": title}
        if action == 3:
            lock = self.rng.random() < 0.5
            sent["DeletionLock"] = "TRUE" if lock else "FALSE"
            if instance == FILTERED:
                sent["ProcedureStepLabel"] = "wanted"
            return self._act(3, instance, **sent), self.model.subscribe(title, instance, lock)
        expected = self.model.unsubscribe if action == 4 else self.model.suspend
        return self._act(action, instance, **sent), expected(title, instance)

    def delete(self, uid: str) -> tuple[bool, bool]:
        return self.provider.delete(uid), self.model.delete(uid)

    def sequence(self, number: int) -> set[Any]:
        """Ask some things of two steps; which, and what was given."""
        seen = set()
        uids = [f"1.2.{number}.{one}" for one in range(2)]
        self.create(uids[0])
        for _ in range(self.rng.randrange(1, 14)):
            operation = self.rng.choice(OPERATIONS)
            given, expected = operation(self, self.rng.choice(uids))
            assert given == expected, operation.__name__
            seen.add((operation.__name__, given))
        return seen

    def check(self) -> None:
        """See that both know the same."""
        known = {uid: one.ProcedureStepState for uid, one in self.provider.steps()}
        assert known == {uid: one.state for uid, one in self.model.steps.items()}
        for uid, one in self.model.steps.items():
            assert self.provider.subscribers(uid) == one.subscribers
        globally = self.provider.globally_subscribed()
        assert {
            title: (one.lock, one.keys is not None) for title, one in globally.items()
        } == self.model.globally
        with self.provider.store.begin() as records:
            for title, expected in self.model.told.items():
                kept = [record for _, record in records.items(f"ups events {title}")]
                heads = [record.partition(b"\n")[0].decode().split(" ") for record in kept]
                assert [(int(event), uid) for event, uid in heads] == expected, title


OPERATIONS = (
    *(Both.create, Both.change_state, Both.change_state, Both.change_state, Both.wrong_state),
    *(Both.set, Both.set, Both.request_cancel, Both.get, Both.subscription, Both.delete),
)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_the_provider_is_the_model(kind: str, tmp_path: Path) -> None:
    rng = random.Random(COUNT)
    count = COUNT if kind == "memory" else COUNT // 5
    seen: set[Any] = set()
    for begun in range(0, count, 50):  # few at a time: each is compared with all that was told
        store: Store = (
            MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / f"store{begun}")
        )
        with (
            closing(store),
            closing(ups.Provider(AE("RIS"), where=nowhere, store=store)) as provider,
        ):
            both = Both(provider, rng)
            for number in range(begun, min(begun + 50, count)):
                seen |= both.sequence(number)
            both.check()
    if count >= 20_000:
        statuses = {status for _, status in seen}
        assert statuses >= {*CREATE, *REQUEST, 0xC304, 0xC309, 0xC314, 0xB305, 0x0105, 0x0106}
        assert statuses >= {status for row in TO.values() for status in row}
        assert ("delete", True) in seen


def nowhere(ae_title: str) -> Any:
    """Who asks to be told is known; where to tell them is not: events stay in the store."""
    is_telling = threading.current_thread().name.startswith("pynetdicom-ups")
    return None if is_telling else ("127.0.0.1", 1)
