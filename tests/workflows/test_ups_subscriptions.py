"""Subscriptions to procedure steps, and what is told of them, in order, also after a restart."""

from __future__ import annotations

import os
import random
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepWatch,
    UPSFilteredGlobalSubscriptionInstance,
    UPSGlobalSubscriptionInstance,
    Verification,
)
from pynetdicom.workflows import ups, ups_rules
from pynetdicom.workflows.providing import Refused
from pynetdicom.workflows.reporting import Outbox
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore, Store
from pynetdicom.workflows.ups_rules import Event
from tests import warm
from tests.conftest import find_free_port
from tests.faults.peer import until
from tests.pair import Seen, serve
from tests.peers import DEADLINE
from tests.workflows.ups_pair import (
    RIS,
    at_once,
    canceled,
    code,
    made,
    performed,
    ris,
    step,
)

ALL, FILTERED = UPSGlobalSubscriptionInstance, UPSFilteredGlobalSubscriptionInstance
STATE, CANCEL, PROGRESS, STATUS, ASSIGNED = range(1, 6)


@pytest.fixture
def office() -> Iterator[RIS]:
    with ris() as one:
        yield one


# The table: CC.2.3-2. Global state before, action → global state after, and each AE's steps


def act(assoc: Any, action: str, ae_title: str, uid: str = "") -> int:
    """Do ``what, lock`` for an AE."""
    what, _, lock = action.partition(" ")
    number = {"subscribe": 3, "unsubscribe": 4, "suspend": 5}[what]
    information = made(ReceivingAE=ae_title)
    if number == 3:
        information.DeletionLock = {"": "FALSE", "lock": "TRUE"}[lock]
        if uid == FILTERED:
            information.ProcedureStepLabel = "wanted*"
    status, _ = assoc.send_n_action(
        information, number, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepWatch
    )
    return int(status.Status)


GLOBALS = {"none": None, "lock": "subscribe lock", "no lock": "subscribe"}
NONE, LOCK, NO_LOCK = None, True, False
# fmt: off
AFTER = {
    # action: global state, from each of (none, lock, no lock), and whether a present step is
    # subscribed to then, where it was not (None: no) and where it was, with or without lock
    "subscribe lock": (LOCK, LOCK, LOCK),
    "subscribe":      (NO_LOCK, NO_LOCK, NO_LOCK),
    "unsubscribe":    (NONE, NONE, NONE),
    "suspend":        (NONE, NONE, NONE),
}
STEPS = {
    "subscribe lock": {None: True, True: True, False: True},
    "subscribe":      {None: None, True: True, False: False},
    "unsubscribe":    {None: None, True: None, False: None},
    "suspend":        {None: None, True: True, False: False},
}
# fmt: on


@pytest.mark.parametrize("instance", [ALL, FILTERED])
@pytest.mark.parametrize("own", [None, True, False])
@pytest.mark.parametrize("before", GLOBALS)
@pytest.mark.parametrize("action", AFTER)
def test_a_cell_of_the_table_of_subscriptions(
    action: str, before: str, own: bool | None, instance: str, shared: Any
) -> None:
    office, assoc = shared
    provider = office.providers[0]
    if setting := GLOBALS[before]:
        assert act(assoc, setting, "ANY", instance) == 0x0000
    uid = ups.push(assoc, step(ProcedureStepLabel="wanted"))
    other = ups.push(assoc, step(ProcedureStepLabel="other"))
    act(assoc, "unsubscribe", "ANY", uid)
    act(assoc, "unsubscribe", "ANY", other)
    if own is not None:
        assert act(assoc, "subscribe lock" if own else "subscribe", "ANY", uid) == 0x0000

    assert act(assoc, action, "ANY", instance) == 0x0000

    after = AFTER[action][list(GLOBALS).index(before)]
    subscription = provider.globally_subscribed().get("ANY")
    assert (None if subscription is None else subscription.lock) is after
    assert provider.subscribers(uid).get("ANY") is STEPS[action][own]
    is_new = action == "subscribe lock" and instance == ALL
    assert provider.subscribers(other).get("ANY") is (True if is_new else None)
    # a step that comes
    for label, is_wanted in (("wanted", True), ("other", instance == ALL)):
        later = ups.push(assoc, step(ProcedureStepLabel=label))
        assert provider.subscribers(later).get("ANY") is (after if is_wanted else None)


@pytest.fixture
def shared(office: RIS) -> Iterator[Any]:
    office.watch("ANY")
    office.provide()
    with office.associate() as assoc:
        yield office, assoc


@pytest.mark.parametrize("action", ["subscribe", "subscribe lock", "unsubscribe", "suspend"])
def test_an_action_on_one_step(action: str, shared: Any) -> None:
    office, assoc = shared
    uid = ups.push(assoc, step())
    expected = 0xC314 if action == "suspend" else 0x0000
    assert act(assoc, action, "ANY", uid) == expected
    assert act(assoc, action, "ANY", "1.2.3") == (expected or 0xC307)
    lock = {"subscribe": False, "subscribe lock": True}.get(action)
    assert office.providers[0].subscribers(uid).get("ANY") is lock


@pytest.mark.parametrize(
    ("information", "action", "uid", "expected"),
    [
        (made(DeletionLock="TRUE"), 3, ALL, 0x0120),
        (made(ReceivingAE=None, DeletionLock="TRUE"), 3, ALL, 0x0121),
        (made(ReceivingAE="ANY"), 3, ALL, 0x0120),
        (made(ReceivingAE="ANY", DeletionLock=None), 3, ALL, 0x0121),
        (made(ReceivingAE="ANY", DeletionLock="YES"), 3, ALL, 0x0115),
        (made(ReceivingAE="ANY", DeletionLock="TRUE"), 3, FILTERED, 0x0115),
        (
            made(ReceivingAE="ANY", DeletionLock="TRUE", PatientName=["a*"] * 300),
            3,
            FILTERED,
            0x0115,
        ),
        (made(ReceivingAE="NOBODY", DeletionLock="TRUE"), 3, ALL, 0xC308),
        (made(PatientID="1"), 4, ALL, 0x0120),
        (made(PatientID="1"), 5, ALL, 0x0120),
        (made(ReceivingAE=None), 4, ALL, 0x0121),
        (made(ReceivingAE="NOBODY"), 4, ALL, 0x0000),
    ],
)
def test_what_cannot_be_asked(
    information: Dataset, action: int, uid: str, expected: int, shared: Any
) -> None:
    _, assoc = shared
    status, _ = assoc.send_n_action(
        information, action, UnifiedProcedureStepPush, uid, meta_uid=UnifiedProcedureStepWatch
    )
    assert status.Status == expected


def test_keys_for_one_step(shared: Any) -> None:
    with pytest.raises(ValueError, match="not to one"):
        ups.subscribe(shared[1], "ANY", "1.2.3", keys=made(PatientID="1"))


def test_nobody_can_be_told(office: RIS) -> None:
    office.provide(where=None)
    with office.associate() as assoc:
        for ask in (ups.subscribe, ups.unsubscribe):
            with pytest.raises(Refused, match="0xC315"):
                ask(assoc, "WS")
        with pytest.raises(Refused, match="0xC315"):
            ups.suspend(assoc, "WS")


def test_no_locks_are_given(office: RIS) -> None:
    watcher = office.watch("WS")
    provider = office.provide(locks=False)
    with office.associate() as assoc:
        uid = ups.push(assoc, step())
        assert ups.subscribe(assoc, "WS", lock=True).Status == 0xB301
        assert ups.subscribe(assoc, "WS").Status == 0x0000
        assert provider.subscribers(uid) == {"WS": False}
        ups.request_cancel(assoc, uid)
    assert provider.delete(uid)
    assert provider.subscribers(uid) == {}
    assert watcher.events(3) == [(uid, STATE)] * 3


def test_a_lock_keeps_a_step(office: RIS) -> None:
    for name in ("WS", "OTHER"):
        office.watch(name)
    provider = office.provide()
    with office.associate() as assoc:
        uid = ups.push(assoc, step())
        ups.subscribe(assoc, "WS", uid, lock=True)
        ups.subscribe(assoc, "OTHER", lock=True)
        assert not provider.delete(uid)
        ups.request_cancel(assoc, uid)
        for title in ("WS", "OTHER"):
            assert provider.delete_finished() == []
            ups.unsubscribe(assoc, title)
        assert provider.delete_finished() == [uid]
        with pytest.raises(Refused, match="0xC307"):
            ups.get(assoc, uid)


def test_old_steps_are_forgotten(office: RIS, monkeypatch: pytest.MonkeyPatch) -> None:
    """Once they have been in a final state for so long, and nobody has a lock."""
    office.watch("WS")
    provider = office.provide()
    monkeypatch.setattr(ups_rules, "now", lambda: "20260101000000.000000+0000")
    old, locked, open_ = (provider.schedule(step()) for _ in range(3))
    with office.associate() as assoc:
        ups.subscribe(assoc, "WS", locked, lock=True)
        for uid in (old, locked):
            provider.cancel(uid)
        monkeypatch.undo()
        new = provider.schedule(step())
        provider.cancel(new)
        assert provider.delete_finished(older_than=3600) == [old]
        ups.unsubscribe(assoc, "WS", locked)
    assert provider.delete_finished(older_than=3600) == [locked]
    assert provider.delete_finished() == [new]
    assert [uid for uid, _ in provider.steps()] == [open_]


class Model:
    """Who is subscribed, of several AEs and steps."""

    def __init__(self) -> None:
        self.globally: dict[str, tuple[bool, bool]] = {}
        self.steps: dict[str, dict[str, bool]] = {}
        self.wanted: set[str] = set()

    def do(self, action: str, ae_title: str, uid: str) -> None:
        if uid in self.steps:
            if action.startswith("subscribe"):
                self.steps[uid][ae_title] = action == "subscribe lock"
            elif action == "unsubscribe":
                self.steps[uid].pop(ae_title, None)
            return
        self.globally.pop(ae_title, None)
        if action == "unsubscribe":
            for subscribers in self.steps.values():
                subscribers.pop(ae_title, None)
        elif action != "suspend":
            self.globally[ae_title] = action == "subscribe lock", uid == FILTERED
            for name, subscribers in self.steps.items():
                if action == "subscribe lock" and (uid == ALL or name in self.wanted):
                    subscribers[ae_title] = True

    def create(self, uid: str, is_wanted: bool) -> None:
        if is_wanted:
            self.wanted.add(uid)
        self.steps[uid] = {
            ae_title: lock
            for ae_title, (lock, is_filtered) in self.globally.items()
            if is_wanted or not is_filtered
        }


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_random_sequences_against_a_model(kind: str, office: RIS, tmp_path: Path) -> None:
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "store")
    random.seed(3)
    model, titles = Model(), ["W1", "W2", "W3"]
    for title in titles:
        office.watch(title)
    provider = office.provide(store=store)
    with office.associate() as assoc:
        for _ in range(250):
            if random.random() < 0.1 or not model.steps:
                is_wanted = random.random() < 0.5
                uid = ups.push(assoc, step(ProcedureStepLabel="wanted" if is_wanted else "not"))
                model.create(uid, is_wanted)
            action, title = random.choice(list(AFTER)), random.choice(titles)
            instance = random.choice([ALL, FILTERED, *random.sample(list(model.steps), 1) * 2])
            assert act(assoc, action, title, instance) == (
                0xC314 if action == "suspend" and instance in model.steps else 0x0000
            )
            model.do(action, title, instance)
        assert {uid: provider.subscribers(uid) for uid in model.steps} == model.steps
        globally = provider.globally_subscribed()
        assert {
            title: (one.lock, one.keys is not None) for title, one in globally.items()
        } == model.globally
    provider.close()
    store.close()


# What is told


def test_the_events_of_a_step(office: RIS) -> None:
    """In their order, and with what each has to have."""
    watcher = office.watch("WS")
    office.provide()
    with office.associate() as assoc:
        ups.subscribe(assoc, "WS")
        uid = ups.push(assoc, step(ScheduledStationNameCodeSequence=[code("CT1")]))
        own = ups.claim(assoc, uid)
        own.progress(
            50, "hälfte", ProcedureStepCommunicationsURISequence=[made(ContactURI="tel:1")]
        )
        own.set(made(ProcedureStepLabel="nobody is told"))
        own.set(made(InputReadinessState="UNAVAILABLE"))
        own.set(
            made(
                ScheduledHumanPerformersSequence=[
                    made(
                        HumanPerformerCodeSequence=[code("P1")],
                        HumanPerformerName="Mueller",
                        HumanPerformerOrganization="Ward",
                    )
                ]
            )
        )
        ups.request_cancel(assoc, uid, "moved", contact_uri="tel:2", contact="Dr. Nö")
        own.cancel("as asked")
    heard = watcher.heard.wait(8)
    assert [event for _, event, _ in heard] == [
        STATE,
        ASSIGNED,
        STATE,
        PROGRESS,
        STATE,
        ASSIGNED,
        CANCEL,
        STATE,
    ]
    assert {name for name, _, _ in heard} == {uid}
    told = [information for _, _, information in heard]
    assert (told[0].ProcedureStepState, told[0].InputReadinessState) == ("SCHEDULED", "READY")
    assert told[1].ScheduledStationNameCodeSequence[0].CodeValue == "CT1"
    assert told[2].ProcedureStepState == "IN PROGRESS"
    progress = told[3].ProcedureStepProgressInformationSequence[0]
    assert (progress.ProcedureStepProgress, progress.ProcedureStepProgressDescription) == (
        50,
        "hälfte",
    )
    assert progress.ProcedureStepCommunicationsURISequence[0].ContactURI == "tel:1"
    assert told[4].InputReadinessState == "UNAVAILABLE"
    assert told[5].HumanPerformerCodeSequence[0].CodeValue == "P1"
    assert told[5].HumanPerformerOrganization == "Ward"
    assert (told[6].RequestingAE, told[6].ReasonForCancellation) == ("WS", "moved")
    assert (told[6].ContactURI, told[6].ContactDisplayName) == ("tel:2", "Dr. Nö")
    assert "ProcedureStepDiscontinuationReasonCodeSequence" not in told[6]
    assert (told[7].ProcedureStepState, told[7].ReasonForCancellation) == ("CANCELED", "as asked")
    assert all("TransactionUID" not in information for information in told)


def test_what_is_canceled_before_it_was_begun(office: RIS) -> None:
    watcher = office.watch("WS")
    office.provide()
    with office.associate() as assoc:
        uid = ups.push(assoc, step())
        ups.subscribe(assoc, "WS", uid)
        ups.request_cancel(assoc, uid, "moved")
    states = [told.ProcedureStepState for _, _, told in watcher.heard.wait(3)]
    assert states == ["SCHEDULED", "IN PROGRESS", "CANCELED"]


def test_each_present_step_is_told_with_a_lock_only(office: RIS) -> None:
    with_lock, without = office.watch("LOCK"), office.watch("NONE")
    office.provide()
    with office.associate() as assoc:
        uids = [ups.push(assoc, step()) for _ in range(100)]
        ups.subscribe(assoc, "NONE")
        ups.subscribe(assoc, "LOCK", lock=True)
        last = ups.push(assoc, step())
    assert sorted(with_lock.events(101)) == sorted((uid, STATE) for uid in (*uids, last))
    assert without.events(1) == [(last, STATE)]


def test_a_step_that_comes_to_match(office: RIS) -> None:
    watcher = office.watch("WS")
    provider = office.provide()
    with office.associate() as assoc:
        ups.subscribe(assoc, "WS", keys=made(WorklistLabel="CT*"), lock=True)
        uid = ups.push(assoc, step(WorklistLabel="MR"))
        provider.modify(uid, made(WorklistLabel="CT 1"))
        provider.modify(uid, made(WorklistLabel="CT 2"))
        provider.modify(uid, made(WorklistLabel="MR"))  # once subscribed, it stays so
        ups.claim(assoc, uid)
    assert [told.ProcedureStepState for _, _, told in watcher.heard.wait(2)] == [
        "SCHEDULED",
        "IN PROGRESS",
    ]
    assert provider.subscribers(uid) == {"WS": True}


def test_each_subscriber_is_told_in_order(office: RIS) -> None:
    """Many changes by several threads, and several subscribers; each hears the same, in order."""
    watchers = [office.watch(f"W{number}") for number in range(5)]
    provider = office.provide()
    with office.associate() as assoc:
        for number in range(5):
            ups.subscribe(assoc, f"W{number}")
        uids = [ups.push(assoc, step()) for _ in range(4)]

        def work(uid: str) -> None:
            for number in range(20):
                provider.modify(
                    uid,
                    made(
                        ProcedureStepProgressInformationSequence=[
                            made(ProcedureStepProgress=str(number))
                        ]
                    ),
                )

        at_once(*(lambda uid=uid: work(uid) for uid in uids))
    for watcher in watchers:
        heard = watcher.heard.wait(84)
        assert len(heard) == 84
        for uid in uids:
            of_one = [told for name, event, told in heard if name == uid and event == PROGRESS]
            numbers = [
                int(told.ProcedureStepProgressInformationSequence[0].ProcedureStepProgress)
                for told in of_one
            ]
            assert numbers == list(range(20))


MANY_STEPS = int(os.environ.get("PYNETDICOM_UPS_STEPS", "100"))
MANY_WATCHERS = int(os.environ.get("PYNETDICOM_UPS_WATCHERS", "20"))


def test_many_watchers_are_told_of_many_steps(office: RIS) -> None:
    """Each of each, once and in order, each on an association to where it listens.

    ``PYNETDICOM_UPS_STEPS`` and ``PYNETDICOM_UPS_WATCHERS`` in the environment say how many.
    """
    titles = [f"W{number}" for number in range(MANY_WATCHERS)]
    watchers = [office.watch(title) for title in titles]
    provider = office.provide(limit=2 * MANY_STEPS)
    with office.associate() as assoc:
        for title in titles:
            ups.subscribe(assoc, title)
        uids = [ups.push(assoc, step()) for _ in range(MANY_STEPS)]
        for uid in uids:
            ups.claim(assoc, uid)
    within = DEADLINE + MANY_STEPS * MANY_WATCHERS / 20
    assert until(lambda: provider.outstanding == {}, within)
    for watcher in watchers:
        assert [(uid, event) for uid, event, _ in watcher.heard.notes] == [
            (uid, STATE) for uid in uids * 2
        ]


def test_it_is_tried_again_until_it_is_heard(office: RIS) -> None:
    """The peer breaks off in the midst; nothing is lost, and nothing is out of order."""
    heard: list[str] = []

    def take(event: Any) -> Any:
        if len(heard) in (2, 5) and heard[-1] != "broken off":
            heard.append("broken off")
            event.assoc.abort()
            return 0x0000, None
        heard.append(str(event.event_information.ProcedureStepState))
        return 0x0110 if len(heard) == 1 else 0x0000, None  # which it has heard all the same

    ae = AE("WS")
    ae.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)
    server = serve(ae, evt_handlers=[(evt.EVT_N_EVENT_REPORT, take)])
    provider = office.provide(where={"WS": server.server_address[:2]}.get)
    with office.associate() as assoc:
        ups.subscribe(assoc, "WS")
        own = ups.claim(assoc, ups.push(assoc, step()))
        own.complete(performed())
        other = ups.claim(assoc, ups.push(assoc, step()))
        other.set(canceled())
        other.cancel()
    assert until(lambda: provider.outstanding == {})
    states = [state for state in heard if state != "broken off"]
    assert states == [
        *("SCHEDULED", "IN PROGRESS", "COMPLETED"),
        *("SCHEDULED", "IN PROGRESS", "CANCELED"),
    ]
    assert heard.count("broken off") == 2
    ae.shutdown()


def test_watchers_that_refuse_or_are_not_there_hold_up_nobody_else(office: RIS) -> None:
    """One refuses associations, one the role, one is away; they come back one after another."""
    titles = ("AWAY", "REFUSES", "NO_ROLE")
    away = {"AWAY": ("127.0.0.1", find_free_port())}
    refuses = AE("REFUSES")
    refuses.add_supported_context(Verification)
    no_role = AE("NO_ROLE")
    no_role.add_supported_context(Verification)
    for ae in (refuses, no_role):
        away[ae.ae_title] = serve(ae).server_address[:2]
    here = office.watch("HERE")
    provider = office.provide(where=lambda title: away.get(title) or office.where(title))
    with office.associate() as assoc:
        for title in (*titles, "HERE"):
            ups.subscribe(assoc, title)
        uids = [ups.push(assoc, step()) for _ in range(3)]
    assert here.events(3) == [(uid, STATE) for uid in uids]
    assert until(lambda: provider.outstanding == dict.fromkeys(titles, 3))
    for title in titles:
        watcher = office.watch(title)
        del away[title]
        assert watcher.events(3) == [(uid, STATE) for uid in uids]
    assert until(lambda: provider.outstanding == {})
    refuses.shutdown()
    no_role.shutdown()


def test_it_is_given_up(office: RIS, caplog: pytest.LogCaptureFixture) -> None:
    addresses: dict[str, Any] = {"WS": ("127.0.0.1", 1, {"connection_timeout": 1})}
    provider = office.provide(where=lambda ae_title: addresses.get(ae_title), attempts=3)
    with office.associate() as assoc:
        ups.subscribe(assoc, "WS")
        del addresses["WS"]
        ups.push(assoc, step())
        assert until(lambda: provider.outstanding == {})
        assert caplog.text.count("events could not be reported to WS: given up") == 1
        # and goes on with what comes then
        watcher = office.watch("WS")
        addresses["WS"] = watcher.address
        uid = ups.push(assoc, step())
        assert watcher.events(1) == [(uid, STATE)]


def test_a_queue_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    store = MemoryStore()
    with store.begin() as records:
        outbox = Outbox(records, 3)
        for number in range(5):
            outbox.tell(["WS"], f"1.{number}", Event(STATE, Dataset()))
        assert outbox.queues() == {"WS": 3}
        left = [record.split()[1] for _, record in outbox.waiting("WS")]
        outbox.told("WS", 4)
        assert [number for number, _ in outbox.waiting("WS")] == [4]
        outbox.told("WS")
        assert outbox.queues() == {}
        assert records.items("ups events WS") == []
    assert left == [b"1.2", b"1.3", b"1.4"]
    assert caplog.text.count("an event for WS is lost: 3 are waiting") == 2


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_after_a_restart(kind: str, office: RIS, tmp_path: Path) -> None:
    """What was not heard yet comes first, then that the SCP is there again."""
    store: Store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "store")
    cold = office.watch("FIRST")
    known: dict[str, Any] = {"FIRST": cold.address, "WS": ("127.0.0.1", 1)}
    first = office.provide(store=store, where=known.get, watchers=["FIRST"], delays=(3600.0,))
    with office.associate() as assoc:
        ups.subscribe(assoc, "WS", keys=made(WorklistLabel="CT"), lock=True)
        uid = ups.push(assoc, step(WorklistLabel="CT"))
        own = ups.claim(assoc, uid)
    ((name, event, told),) = cold.heard.wait(1)
    assert (name, event, told.SCPStatus) == (ALL, STATUS, "RESTARTED")
    assert told.SubscriptionListStatus == told.UnifiedProcedureStepListStatus == "COLD START"
    first.going_down()
    first.close()
    assert first.outstanding["WS"] == 3

    watcher = office.watch("WS")
    second = office.provide(store=store)
    events = watcher.heard.wait(4)
    assert [event for _, event, _ in events] == [STATE, STATE, STATUS, STATUS]
    assert [told.SCPStatus for _, event, told in events if event == STATUS] == [
        "GOING DOWN",
        "RESTARTED",
    ]
    assert events[-1][2].SubscriptionListStatus == "WARM START"
    # all is as it was: whose the step is, who is subscribed, and to what
    with office.associate() as assoc:
        with pytest.raises(Refused, match="0xC301"):
            ups.claim(assoc, uid)
        ups.Performance(assoc, uid, own.transaction_uid).complete(performed())
        later = ups.push(assoc, step(WorklistLabel="CT"))
        ups.push(assoc, step(WorklistLabel="MR"))
    assert watcher.events(6)[4:] == [(uid, STATE), (later, STATE)]
    assert second.subscribers(later) == {"WS": True}
    assert until(lambda: "WS" not in second.outstanding)
    second.close()
    store.close()


def test_events_come_on_the_watchers_own_association(office: RIS) -> None:
    """The watcher listens to nothing else; once it is gone, what it has missed waits for it."""
    office.scp.add_supported_context(UnifiedProcedureStepEvent)
    provider = office.provide()
    heard = Seen()
    bound = ups.listening(lambda uid, event, told: heard.add((uid, event)))
    contexts = [*ups.contexts(), build_context(UnifiedProcedureStepEvent)]
    with office.associate(contexts=contexts, evt_handlers=bound) as assoc:
        assert ups.subscribe(assoc, "WS").Status == 0x0000
        uid = ups.push(assoc, step())
        assert heard.wait_for((uid, STATE))
        with pytest.raises(Refused, match="0xC308"):
            ups.subscribe(assoc, "OTHER")
        assert until(lambda: provider.outstanding == {})
    later = provider.schedule(step())
    assert until(lambda: provider.outstanding == {"WS": 1})
    with office.associate(contexts=contexts, evt_handlers=bound) as assoc:
        assert ups.subscribe(assoc, "WS").Status == 0x0000
        assert heard.wait_for((later, STATE))
    assert heard.notes == [(uid, STATE), (later, STATE)]


def test_steps_come_and_go_while_all_are_subscribed_to(office: RIS) -> None:
    """None is forgotten between looking at those that there are and those to come."""
    watcher = office.watch("WS")
    provider = office.provide()
    uids: list[str] = []

    def push() -> None:
        with office.associate() as assoc:
            uids.extend(ups.push(assoc, step()) for _ in range(50))

    def subscribe() -> None:
        with office.associate() as assoc:
            ups.subscribe(assoc, "WS", lock=True)

    at_once(push, push, subscribe)
    assert Counter(watcher.events(100)) == Counter((uid, STATE) for uid in uids)
    assert all(provider.subscribers(uid) == {"WS": True} for uid in uids)


def test_the_threads_end(office: RIS) -> None:
    before = set(threading.enumerate())
    provider = office.provide()
    assert any(one.name.startswith("pynetdicom-ups") for one in set(threading.enumerate()) - before)
    provider.close()
    left = set(threading.enumerate()) - before
    assert not any(one.name.startswith("pynetdicom-ups") for one in left)


def test_closing_does_not_wait_for_a_watcher_that_does_not_answer(office: RIS) -> None:
    """Longer than it is told to; and once it answers, it is told no more."""
    office.watch("WS")
    goes_on, heard = threading.Event(), Seen()

    def hear(uid: str, event_type: int, information: Dataset) -> None:
        heard.add((uid, event_type))
        goes_on.wait(DEADLINE)

    watcher = AE("WS")
    watcher.add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)
    address = serve(watcher, evt_handlers=ups.listening(hear)).server_address
    provider = office.provide(where=lambda ae_title: address)
    with office.associate() as assoc:
        ups.subscribe(assoc, "WS")
        uids = [ups.push(assoc, step()) for _ in range(2)]
        heard.wait(1)
        provider.close(timeout=0.0)
        goes_on.set()
        provider.close()
    assert heard.notes == [(uids[0], STATE)]
    assert provider.outstanding == {"WS": 1}
    watcher.shutdown()


KILLED = """
import sys
from pydicom import Dataset
from pynetdicom import AE
from pynetdicom.workflows import ups, ups_rules
from pynetdicom.workflows.stores import SQLiteStore
from tests.workflows.ups_pair import Direct, made, step

addresses = {"WS": ("127.0.0.1", int(sys.argv[2]))}
provider = ups.Provider(AE("RIS"), where=addresses.get, store=SQLiteStore(sys.argv[1]))
subscription = made(ReceivingAE="WS", DeletionLock="TRUE")
push = "1.2.840.10008.5.1.4.34.6.1"
Direct(provider).send_n_action(subscription, 3, push, "1.2.840.10008.5.1.4.34.5")
while True:
    print(provider.schedule(step()), flush=True)
"""


def test_what_was_acknowledged_outlives_a_kill(
    office: RIS, tmp_path: Path, python_env: dict[str, str]
) -> None:
    """Each step is there, and is told, whether before or after; in order, though perhaps twice."""
    watcher = office.watch("WS")
    known: list[str] = []
    for _ in range(3):
        process = warm.Popen(
            [sys.executable, "-c", KILLED, str(tmp_path / "store"), str(watcher.address[1])],
            stdout=subprocess.PIPE,
            text=True,
            env=python_env,
        )
        assert process.stdout is not None
        known += [process.stdout.readline().strip() for _ in range(15)]
        process.kill()
        known += process.stdout.read().split("\n")[:-1]
        process.stdout.close()
        process.wait()
    store = SQLiteStore(tmp_path / "store")
    provider = office.provide(store=store)
    assert until(lambda: provider.outstanding == {})
    steps = {uid for uid, _ in provider.steps()}
    assert set(known) <= steps
    assert all(provider.subscribers(uid) == {"WS": True} for uid in steps)
    told = [uid for uid, event, _ in watcher.heard.notes if event == STATE]
    assert set(told) >= steps
    first = dict.fromkeys(uid for uid in told if uid in known)
    assert list(first) == known
    provider.close()
    store.close()
