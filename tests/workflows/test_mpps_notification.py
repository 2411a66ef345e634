"""Who is told of performed procedure steps: subscribers, and the application, also after a kill."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)
from pynetdicom.workflows import ages, mpps, mpps_provider, worklist
from pynetdicom.workflows.providing import Refused, handlers
from pynetdicom.workflows.stores import MemoryStore, SQLiteStore
from tests.pair import Seen, serve
from tests.workflows.test_mpps import change, full

NOTIFICATION = ModalityPerformedProcedureStepNotification
UIDS = (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve, NOTIFICATION)
IN_PROGRESS, COMPLETED, DISCONTINUED, UPDATED, DELETED = range(1, 6)
COMMENT = change(CommentsOnThePerformedProcedureStep="late")


class Subscriber:
    """An AE that is notified of steps."""

    def __init__(self, title: str) -> None:
        self.ae, self.heard = AE(title), Seen()
        self.ae.add_supported_context(NOTIFICATION, scu_role=False, scp_role=True)
        self.ae.requested_contexts = []
        for uid in UIDS:
            self.ae.add_requested_context(uid)

    def hear(self, uid: str, event_type: int) -> None:
        self.heard.add((uid, event_type))

    def listen(self) -> Any:
        return serve(self.ae, evt_handlers=mpps.listening(self.hear)).server_address[:2]


class Office:
    """An SCP, a modality, and subscribers as they are wanted."""

    def __init__(self) -> None:
        self.scp, self.scu = AE("RIS"), AE("CT_ROOM")
        for uid in UIDS:
            self.scp.add_supported_context(uid)
            self.scu.add_requested_context(uid)
        self.known: dict[str, Any] = {}
        self.subscribers: dict[str, Subscriber] = {}
        self.providers: list[mpps.Provider] = []

    def subscriber(self, title: str) -> Subscriber:
        self.subscribers[title] = made = Subscriber(title)
        return made

    def provide(self, **how: Any) -> mpps.Provider:
        how = {"where": self.known.get, "subscribers": ("VIEWER",), "delays": (0.05,), **how}
        provider = mpps.Provider(how.pop("store", None), ae=self.scp, **how)
        self.providers.append(provider)
        self.port = serve(self.scp, evt_handlers=handlers(provider)).server_address[1]
        return provider

    def associate(self, ae: AE | None = None, **how: Any) -> Any:
        assoc = (ae or self.scu).associate("127.0.0.1", self.port, ae_title="RIS", **how)
        assert assoc.is_established, assoc.ended
        return assoc

    def close(self) -> None:
        for provider in self.providers:
            provider.close()
        for ae in (self.scp, self.scu, *(one.ae for one in self.subscribers.values())):
            ae.shutdown()
        for provider in self.providers:
            provider.store.close()


@pytest.fixture
def office() -> Iterator[Office]:
    made = Office()
    yield made
    made.close()


def test_each_change_in_order_and_the_step_is_there_to_be_got(office: Office) -> None:
    viewers = [office.subscriber(title) for title in ("VIEWER", "BILLING")]
    office.known = {"VIEWER": viewers[0].listen(), "BILLING": viewers[1].listen()}
    provider = office.provide(subscribers=office.known.keys())
    with office.associate() as assoc:
        step = mpps.begin(assoc, full())
        step.update(COMMENT)
        step.complete()
        lost = mpps.begin(assoc, full())
        with pytest.raises(Refused):  # of what is refused nobody is told
            mpps.begin(assoc, full(), lost.uid)
        provider.discontinue(lost.uid, Dataset())
        provider.delete(lost.uid)
        for viewer in viewers:
            assert viewer.heard.wait(6) == [
                *((step.uid, event) for event in (IN_PROGRESS, UPDATED, COMPLETED)),
                *((lost.uid, event) for event in (IN_PROGRESS, DISCONTINUED, DELETED)),
            ]
    with office.associate(viewers[0].ae) as assoc:
        found = mpps.get(assoc, step.uid, ["PerformedProcedureStepStatus"])
    assert found.PerformedProcedureStepStatus == "COMPLETED"


def test_a_subscriber_is_notified_on_its_own_association(office: Office) -> None:
    """Nothing listens there; what happened before is told, too."""
    viewer = office.subscriber("VIEWER")
    provider = office.provide(delays=(3600.0,))
    with office.associate() as assoc:
        step = mpps.begin(assoc, full())
        with office.associate(viewer.ae, evt_handlers=mpps.listening(viewer.hear)):
            assert viewer.heard.wait(1) == [(step.uid, IN_PROGRESS)]
            step.complete()
            assert viewer.heard.wait(2)[-1] == (step.uid, COMPLETED)
        assert provider.outstanding == {}


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_what_was_not_notified_a_new_provider_notifies(
    kind: str, office: Office, tmp_path: Path
) -> None:
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "steps")
    provider = office.provide(store=store)
    with office.associate() as assoc:
        step = mpps.begin(assoc, full())
        step.complete()
    provider.close()
    assert provider.outstanding == {"VIEWER": 2}
    viewer = office.subscriber("VIEWER")
    office.known = {"VIEWER": viewer.listen()}
    office.provide(store=store)
    assert viewer.heard.wait(2) == [(step.uid, IN_PROGRESS), (step.uid, COMPLETED)]


def test_of_too_many_the_oldest_are_lost(office: Office, caplog: pytest.LogCaptureFixture) -> None:
    provider = office.provide(limit=2, delays=(3600.0,))
    with office.associate() as assoc:
        steps = [mpps.begin(assoc, full()) for _ in range(3)]
        assert provider.outstanding == {"VIEWER": 2}
        viewer = office.subscriber("VIEWER")
        with office.associate(viewer.ae, evt_handlers=mpps.listening(viewer.hear)):
            assert viewer.heard.wait(2) == [(step.uid, IN_PROGRESS) for step in steps[1:]]
    assert "an event for VIEWER is lost: 2 are waiting" in caplog.text


def test_it_is_given_up_in_the_end(office: Office) -> None:
    given_up = Seen()

    class Handler(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            if "given up" in record.getMessage():
                given_up.add(record.getMessage())

    handler = Handler()
    logging.getLogger("pynetdicom.workflows").addHandler(handler)
    try:
        provider = office.provide(attempts=2, delays=(0.0,))
        with office.associate() as assoc:
            mpps.begin(assoc, full())
        assert given_up.wait(1) == ["events could not be reported to VIEWER: given up"]
    finally:
        logging.getLogger("pynetdicom.workflows").removeHandler(handler)
    provider.close()
    assert provider.outstanding == {}


def test_subscribers_are_notified_by_an_ae() -> None:
    with pytest.raises(ValueError, match="by an AE"):
        mpps.Provider(subscribers=["VIEWER"])


# The application, by way of `changed`


class Killed(BaseException):
    """The process ends here."""


def ask(provider: mpps.Provider, event_name: str, uid: str, sent: Dataset) -> Any:
    """Ask a provider as an association does, without a network."""
    names = {"N_CREATE": "AffectedSOPInstanceUID", "N_SET": "RequestedSOPInstanceUID"}
    event: Any = SimpleNamespace(
        request=SimpleNamespace(**{names[event_name]: uid}),
        attribute_list=sent,
        modification_list=sent,
    )
    [handler] = [h for e, h in provider.handlers.items() if e.name == f"EVT_{event_name}"]
    return handler(event)


@pytest.mark.parametrize("kind", ["memory", "sqlite"])
def test_a_worklist_item_goes_though_the_process_was_killed(kind: str, tmp_path: Path) -> None:
    """Between the step that is written, completed, and the worklist that is told."""
    store = MemoryStore() if kind == "memory" else SQLiteStore(tmp_path / "steps")
    created = full()
    scheduled = created.ScheduledStepAttributesSequence[0]
    scheduled.StudyInstanceUID, scheduled.ScheduledProcedureStepID = "1.2.7", "SPS1"

    def killed(uid: str, step: Dataset, event_type: int) -> None:
        raise Killed

    uid = generate_uid(prefix=None)
    provider = mpps.Provider(store)
    assert ask(provider, "N_CREATE", uid, created)[0].Status == 0x0000
    end = change(PerformedProcedureStepStatus="COMPLETED")
    provider = mpps.Provider(store, changed=killed)
    with pytest.raises(Killed):
        ask(provider, "N_SET", uid, end)
    scheduler = worklist.Provider([], store)
    assert scheduler.removed() == []
    mpps.Provider(store, changed=scheduler.changed)
    assert scheduler.removed() == [("1.2.7", "SPS1")]
    scheduler.restore("1.2.7", "SPS1")
    mpps.Provider(store, changed=scheduler.changed)  # told once
    assert scheduler.removed() == []
    store.close()


def test_what_the_application_could_not_take_is_told_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The peer is not told that its request was refused: it was not."""
    store, told = MemoryStore(), []

    def fail(*what: Any) -> None:
        raise OSError("no room")

    uid = generate_uid(prefix=None)
    provider = mpps.Provider(store, changed=fail)
    assert ask(provider, "N_CREATE", uid, full())[0].Status == 0x0000
    assert ask(provider, "N_SET", uid, COMMENT)[0].Status == 0x0000
    assert provider.delete(uid)
    assert "could not take a change" in caplog.text
    mpps.Provider(store, changed=lambda *what: told.append(what))
    assert [(one, event) for one, _, event in told] == [
        (uid, event) for event in (IN_PROGRESS, UPDATED, DELETED)
    ]
    assert told[0][1].get("CommentsOnThePerformedProcedureStep") != "late"
    assert told[2][1].CommentsOnThePerformedProcedureStep == "late"


def test_the_clock_is_put_back(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is told again is told in the order that it came in."""
    store, told = MemoryStore(), []
    clock = iter(range(10_000, 0, -1000))
    monkeypatch.setattr(mpps_provider, "time", SimpleNamespace(time_ns=lambda: next(clock)))

    def fail(*what: Any) -> None:
        raise OSError("no room")

    provider = mpps.Provider(store, changed=fail)
    uid = generate_uid(prefix=None)
    assert ask(provider, "N_CREATE", uid, full())[0].Status == 0x0000
    assert ask(provider, "N_SET", uid, COMMENT)[0].Status == 0x0000
    mpps.Provider(store, changed=lambda uid, step, event_type: told.append(event_type))
    assert told == [IN_PROGRESS, UPDATED]


def test_steps_that_have_ended_are_deleted_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    now, told = [1000.0], Seen()
    clock = SimpleNamespace(time=lambda: now[0], monotonic=lambda: now[0])
    monkeypatch.setattr(ages, "time", clock)
    provider = mpps.Provider(
        keep=100.0, changed=lambda uid, step, event_type: told.add((uid, event_type))
    )
    end = change(PerformedProcedureStepStatus="COMPLETED")
    for number in range(40):
        uid = f"1.2.{number}"
        ask(provider, "N_CREATE", uid, full())
        if number % 2:
            ask(provider, "N_SET", uid, end)
        now[0] += 10.0
        states = [step.PerformedProcedureStepStatus for _, step in provider.steps()]
        assert states.count("COMPLETED") <= 8
    # Those in progress stay, however old they are.
    assert {f"1.2.{number}" for number in range(0, 40, 2)} <= {uid for uid, _ in provider.steps()}
    deleted = [uid for uid, event in told.wait(1) if event == DELETED]
    assert deleted[0] == "1.2.1"
    assert set(deleted).isdisjoint(uid for uid, _ in provider.steps())
