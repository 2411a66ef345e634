"""workflowscp is killed again and again: nothing that it has acknowledged is lost."""

from __future__ import annotations

import os
import random
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE, build_context, evt
from pynetdicom.sop_class import (
    InstanceAvailabilityNotification,
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
    StorageCommitmentPushModel,
    StorageCommitmentPushModelInstance,
    UnifiedProcedureStepEvent,
)
from pynetdicom.workflows import availability, mpps, ups
from pynetdicom.workflows.providing import Refused
from pynetdicom.workflows.stores import SQLiteStore
from tests.apps.conftest import CT, Served
from tests.apps.test_kept_files import reference_of
from tests.apps.test_workflowscp import Start, new_step, new_step_end, place, start
from tests.pair import serve
from tests.peers import DEADLINE
from tests.workflows.ups_pair import performed
from tests.workflows.ups_pair import step as new_ups

__all__ = ["place", "start"]  # fixtures

KILLS = int(os.environ.get("PYNETDICOM_TEST_KILLS", "3"))
SCUS = 3
EVENT_CLASSES = (
    UnifiedProcedureStepEvent,
    ModalityPerformedProcedureStepNotification,
    StorageCommitmentPushModel,
)
CONFIGURATION = """
[mpps]
notify = ["WATCHER"]
[commitment]
objects = "objects"
[[peer]]
ae_title = "WATCHER"
address = "127.0.0.1"
port = {port}
"""


class Watcher:
    """Hears of everything, on associations of workflowscp; also what it has asked for itself."""

    def __init__(self) -> None:
        self.heard: Counter[tuple[str, str, Any]] = Counter()
        self._changed = threading.Condition()
        self.ae = AE("WATCHER")
        for uid in EVENT_CLASSES:
            self.ae.add_supported_context(uid, scu_role=False, scp_role=True)
        self.handlers = [(evt.EVT_N_EVENT_REPORT, self._take)]
        self.port = serve(self.ae, evt_handlers=self.handlers).server_address[1]

    def _take(self, event: Any) -> Any:
        uid = str(event.request.AffectedSOPInstanceUID)
        what: Any = event.event_type
        context = event.context.abstract_syntax
        if context == StorageCommitmentPushModel:
            uid, what = str(event.event_information.TransactionUID), "result"
        elif context == UnifiedProcedureStepEvent and event.event_type == ups.STATUS_CHANGE:
            information = event.event_information
            what = f"{information.SCPStatus} {information.UnifiedProcedureStepListStatus}"
            uid = ""
        elif context == UnifiedProcedureStepEvent:
            what = event.event_information.get("ProcedureStepState")
        with self._changed:
            self.heard[context, uid, what] += 1
            self._changed.notify_all()
        return 0x0000, None

    def wait(self, is_all: Callable[[], Any]) -> bool:
        with self._changed:
            return self._changed.wait_for(is_all, DEADLINE)


class Scu:
    """Asks for all there is until the other side is gone, and remembers what was acknowledged."""

    def __init__(self) -> None:
        self.mpps: dict[str, str] = {}
        self.ups: dict[str, str] = {}
        self.notifications: set[str] = set()
        self.transactions: set[str] = set()

    def step(self, assoc: Any) -> None:
        uid = generate_uid(prefix=None)
        step = mpps.begin(assoc, new_step(), uid)
        self.mpps[uid] = mpps.IN_PROGRESS
        step.complete(new_step_end())
        self.mpps[uid] = mpps.COMPLETED

    def workitem(self, assoc: Any) -> None:
        uid = generate_uid(prefix=None)
        ups.push(assoc, new_ups(), uid)
        self.ups[uid] = ups.SCHEDULED
        own = ups.claim(assoc, uid)
        self.ups[uid] = ups.IN_PROGRESS
        own.complete(performed())
        self.ups[uid] = ups.COMPLETED

    def notification(self, assoc: Any) -> None:
        uid = generate_uid(prefix=None)
        availability.notify(assoc, availability.notification_of([CT], "ARCHIVE"), uid)
        self.notifications.add(uid)

    def commitment(self, assoc: Any) -> None:
        request = Dataset()
        request.TransactionUID = generate_uid(prefix=None)
        request.ReferencedSOPSequence = [Dataset()]
        [one] = request.ReferencedSOPSequence
        one.ReferencedSOPClassUID, one.ReferencedSOPInstanceUID = reference_of(CT)
        status, _ = assoc.send_n_action(
            request, 1, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if status.get("Status") != 0x0000:
            raise Refused("storage commitment", status)
        self.transactions.add(str(request.TransactionUID))

    def work(self, assoc: Any, seed: int, refused: list[Refused]) -> None:
        tasks = [self.step, self.workitem, self.notification, self.commitment]
        chance = random.Random(seed)
        while assoc.is_established:
            try:
                chance.choice(tasks)(assoc)
            except RuntimeError:  # it was gone before
                return
            except Refused as error:
                if error.status:
                    refused.append(error)
                return  # it does not answer any more


@pytest.fixture
def watcher() -> Iterator[Watcher]:
    made = Watcher()
    yield made
    made.ae.shutdown()


def associate(watcher: Watcher, scp: Served) -> Any:
    others = (
        ModalityPerformedProcedureStep,
        ModalityPerformedProcedureStepRetrieve,
        StorageCommitmentPushModel,
        InstanceAvailabilityNotification,
    )
    contexts = [*ups.contexts(), *map(build_context, others)]
    assoc = watcher.ae.associate("127.0.0.1", scp.port, contexts, evt_handlers=watcher.handlers)
    assert assoc.is_established, assoc.ended
    return assoc


@pytest.mark.timeout(120 + 10 * KILLS)
def test_nothing_acknowledged_is_lost(start: Start, place: Path, watcher: Watcher) -> None:
    """As many kills as ``PYNETDICOM_TEST_KILLS`` says, each while several SCUs ask for things."""
    (place / "scp.toml").write_text(CONFIGURATION.format(port=watcher.port))
    scus = [Scu() for _ in range(SCUS)]
    refused: list[Refused] = []
    random.seed(KILLS)
    for number in range(KILLS):
        scp = start("-c", "scp.toml")
        associations = [associate(watcher, scp) for _ in scus]
        if number == 0:
            ups.subscribe(associations[0], "WATCHER")
        kill = threading.Timer(random.uniform(0.0, 0.4), scp.process.kill)
        threads = [
            threading.Thread(target=scu.work, args=(assoc, number, refused))
            for scu, assoc in zip(scus, associations, strict=True)
        ]
        for thread in (kill, *threads):
            thread.start()
        for thread in (kill, *threads):
            thread.join(DEADLINE)
            assert not thread.is_alive()
        assert not refused, refused
        scp.process.communicate(timeout=DEADLINE)
    scp = start("-c", "scp.toml")
    steps = {uid: state for scu in scus for uid, state in scu.mpps.items()}
    workitems = {uid: state for scu in scus for uid, state in scu.ups.items()}
    notifications = {uid for scu in scus for uid in scu.notifications}
    transactions = {uid for scu in scus for uid in scu.transactions}
    assert steps or workitems or notifications or transactions
    with associate(watcher, scp) as assoc:
        # What was done may not have been acknowledged any more: a state may be a later one.
        final = (mpps.IN_PROGRESS, mpps.COMPLETED)
        for uid, state in steps.items():
            found = mpps.get(assoc, uid).PerformedProcedureStepStatus
            assert final.index(found) >= final.index(state)
        order = (ups.SCHEDULED, ups.IN_PROGRESS, ups.COMPLETED)
        for uid, state in workitems.items():
            found = ups.get(assoc, uid).ProcedureStepState
            assert order.index(found) >= order.index(state)
        keys = Dataset()
        keys.SOPInstanceUID = keys.ProcedureStepState = None
        assert {one.SOPInstanceUID for one in ups.find(assoc, keys)} >= workitems.keys()
    wanted = {(StorageCommitmentPushModel, uid, "result") for uid in transactions}
    events = {mpps.IN_PROGRESS: (1,), mpps.COMPLETED: (1, 2)}
    wanted |= {
        (ModalityPerformedProcedureStepNotification, uid, event)
        for uid, state in steps.items()
        for event in events[state]
    }
    wanted |= {
        (UnifiedProcedureStepEvent, uid, one)
        for uid, state in workitems.items()
        for one in order[: order.index(state) + 1]
    }
    assert watcher.wait(lambda: wanted <= watcher.heard.keys()), wanted - watcher.heard.keys()
    # Each start was told of, of those after which it was subscribed.
    restart = (UnifiedProcedureStepEvent, "", "RESTARTED WARM START")
    assert watcher.wait(lambda: watcher.heard[restart] >= KILLS), watcher.heard[restart]
    assert scp.stop() == 0
    store = SQLiteStore(place / "workflows.sqlite")
    kept = {uid for uid, _ in availability.Provider(store).notifications()}
    with store.begin() as records:
        left = records.items("commitment")
    store.close()
    assert kept >= notifications
    assert left == []
