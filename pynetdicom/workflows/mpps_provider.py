"""Modality Performed Procedure Step (PS3.4 Annex F): the SCP, which keeps steps and tells of them.

What has to be told is written to the store together with the step that it is about: whatever ends
the process in between, the next one tells it.
"""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Collection, Iterable, Mapping
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import uuid4

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)
from pynetdicom.workflows.ages import Ages
from pynetdicom.workflows.delivery import DELAYS
from pynetdicom.workflows.mpps_rules import (
    DELETED,
    DISCONTINUED,
    EVENT_OF,
    IN_PROGRESS,
    STATUS,
    UPDATED,
    create_problem,
    final_problem,
    set_problem,
)
from pynetdicom.workflows.providing import (
    Answer,
    accepted,
    answer,
    chosen,
    kept,
    merged,
    pack,
    raise_for,
    unpack,
)
from pynetdicom.workflows.reporting import MPPS, Outbox, Reporter
from pynetdicom.workflows.stores import MemoryStore, Records, Store

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.workflows")

_KIND = "mpps"
_CHANGES = "mpps changes"


class _Notification(NamedTuple):
    event_type: int
    information: Dataset | None = None  # F.9.2: there is none


class _Change(NamedTuple):
    """What has been written of a step, and is to be told."""

    uid: str
    event_type: int
    key: str
    """Of the record that says so."""
    subscribers: Collection[str]


class Provider:
    """The SCP of performed procedure steps: keeps them, and tells them.

    Its handlers run on the threads of the associations; any thread may ask it. It notifies
    subscribers on threads of its own, until `close`. What was not told yet is in the store; a new
    provider with the same store goes on with it.

    Parameters
    ----------
    store : Store, optional
        Where they are kept; by default in memory.
    decide : callable, optional
        ``decide(event, step)`` is asked before a step is created or changed, with the step as it
        would be, and may change it, within its attributes, or give a status that refuses it, as a
        handler would. Asked again, if another peer was faster.
    changed : callable, optional
        ``changed(uid, step, event_type)`` is told afterwards; the types are `EVENTS`. At least
        once: of what it was told last when the process was killed, or when it raised something, it
        is told again by the next provider with this store, as that is made.
    ae : ApplicationEntity, optional
        Who notifies subscribers.
    subscribers : collection of str
        AE titles that are notified of each change. It may be changed at any time. Each is on an
        association that it has made, with a presentation context for MPPS Notification, or else on
        a new one.
    where : callable, optional
        ``where(ae_title)`` gives the address at which a subscriber is notified, ``(addr, port)``,
        or ``(addr, port, kwargs)`` with keyword arguments of `AE.associate`; None if it is not
        known.
    keep : float, optional
        Seconds after which a step that has ended is deleted; by default it never is.
    delays : sequence of float
        Seconds before each attempt after the first to notify; the last for all that follow.
    attempts : int
        After so many in vain, all that waits for a subscriber is given up, which the log says.
    limit : int
        Notifications that wait for a subscriber; beyond it the oldest are lost, which the log says.

    Raises
    ------
    ValueError
        There are subscribers, but no `ae`.

    Notes
    -----
    PS3.4 F.7, F.8, F.9
    """

    def __init__(
        self,
        store: Store | None = None,
        *,
        decide: Callable[[Event, Dataset], Any] | None = None,
        changed: Callable[[str, Dataset, int], object] | None = None,
        ae: ApplicationEntity | None = None,
        subscribers: Collection[str] = (),
        where: Callable[[str], Any] | None = None,
        keep: float | None = None,
        delays: Iterable[float] = DELAYS,
        attempts: int = 30,
        limit: int = 10_000,
    ) -> None:
        if subscribers and ae is None:
            raise ValueError("subscribers are notified by an AE")
        self.store: Store = MemoryStore() if store is None else store
        self.sop_classes = frozenset(
            (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve)
        )
        self._decide = decide
        self._changed = changed
        self._subscribers = subscribers
        self._ages = Ages(_KIND, keep)
        self._limit = limit
        self._last = 0
        self._reporter: Reporter | None = None
        if ae is not None:
            self.sop_classes |= {ModalityPerformedProcedureStepNotification}
            self._reporter = Reporter(
                MPPS, ae, self.store, where or (lambda title: None), tuple(delays), attempts, limit
            )
            self._reporter.wake(self.outstanding)
        self._tell_the_rest()

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests, see `providing.handlers`."""
        return {
            evt.EVT_N_CREATE: self._create,
            evt.EVT_N_SET: self._set,
            evt.EVT_N_GET: self._get,
        }

    def established(self, event: Event) -> None:
        """Notify a subscriber on the association that it has made, see `providing.handlers`."""
        title = str(event.assoc.remote["ae_title"])
        if (
            self._reporter is not None
            and title in self._subscribers
            and self._reporter.may_use(title, event.assoc)
        ):
            self._reporter.wake([title])

    def close(self, timeout: float | None = None) -> None:
        """End its threads, and wait for them; what was not told yet is left in the store."""
        if self._reporter is not None:
            self._reporter.close(timeout)

    # What the application asks

    @property
    def outstanding(self) -> dict[str, int]:
        """How many notifications were not delivered yet, by AE title."""
        with self.store.begin() as records:
            return Outbox(records, self._limit, MPPS).queues()

    def get(self, uid: str) -> Dataset | None:
        """Give a step; None when there is none."""
        with self.store.begin() as records:
            record = records.get(_KIND, uid)
        return None if record is None else unpack(record)

    def steps(self) -> list[tuple[str, Dataset]]:
        """Give all steps, by their SOP Instance UIDs."""
        return kept(self.store, _KIND)

    def delete(self, uid: str) -> bool:
        """Forget a step; False when there is none."""
        with self.store.begin() as records:
            record = records.get(_KIND, uid)
            if record is None:
                return False
            records.delete(_KIND, uid)
            self._ages.forget(records, uid)
            change = self._to_tell(records, uid, record, DELETED)
        self._tell(change, unpack(record))
        return True

    def discontinue(self, uid: str, attributes: Dataset) -> bool:
        """End a step whose modality will not, with these attributes; False when it has ended.

        Raises
        ------
        ValueError
            It lacks what a step has in its final state.
        KeyError
            There is no such step.
        """
        wanted = Dataset()
        wanted.update(attributes)
        wanted.add_new(STATUS, "CS", DISCONTINUED)
        with self.store.begin() as records:
            record = records.get(_KIND, uid)
            if record is None:
                raise KeyError(uid)
            stored = unpack(record)
            if stored.PerformedProcedureStepStatus != IN_PROGRESS:
                return False
            step = merged(stored, wanted)
            raise_for(final_problem(step))
            change, old = self._put(records, uid, step, pack(step), UPDATED)
        self._tell(change, step)
        self._delete_all(old)
        return True

    # Requests

    def _create(self, event: Event) -> Any:
        uid = event.request.AffectedSOPInstanceUID or generate_uid(prefix=None)
        step = event.attribute_list

        def create(stored: Dataset | None) -> Answer | Dataset:
            return answer(0x0111) if stored is not None else create_problem(step) or step

        return self._change(event, uid, create)

    def _set(self, event: Event) -> Any:
        def change(stored: Dataset | None) -> Answer | Dataset:
            if stored is None:
                return answer(0x0112)
            modified = event.modification_list
            if problem := set_problem(stored, modified):
                return problem
            step = merged(stored, modified)
            return final_problem(step) or step

        return self._change(event, event.request.RequestedSOPInstanceUID, change)

    def _change(
        self, event: Event, uid: str, work: Callable[[Dataset | None], Answer | Dataset]
    ) -> Any:
        """Make a step of what is stored, unless that is refused; nobody else does meanwhile."""
        while True:
            with self.store.begin() as records:
                before = records.get(_KIND, uid)
            step = work(None if before is None else unpack(before))
            if isinstance(step, tuple):
                return step
            # Nobody is held up while the application decides.
            decision = None if self._decide is None else self._decide(event, step)
            code = accepted(decision)
            if code is None:
                return decision
            record = pack(step)
            otherwise = EVENT_OF[IN_PROGRESS] if before is None else UPDATED
            with self.store.begin() as records:
                if records.get(_KIND, uid) == before:
                    change, old = self._put(records, uid, step, record, otherwise)
                    break
        self._tell(change, step)
        self._delete_all(old)
        return answer(code, AffectedSOPInstanceUID=uid)

    def _get(self, event: Event) -> Answer:
        if event.context.abstract_syntax != ModalityPerformedProcedureStepRetrieve:
            return answer(0x0211)
        stored = self.get(event.request.RequestedSOPInstanceUID)
        if stored is None:
            return answer(0x0112)
        found, has_all = chosen(stored, event.attribute_identifiers)
        return answer(0x0000 if has_all else 0x0001, data_set=found)

    # Who is told

    def _put(
        self, records: Records, uid: str, step: Dataset, record: bytes, otherwise: int
    ) -> tuple[_Change, list[str]]:
        """Write a step and what is to be told of it; give that, and steps that are too old."""
        records.put(_KIND, uid, record)
        state, old = step.PerformedProcedureStepStatus, []
        if state != IN_PROGRESS:
            self._ages.note(records, uid)
            otherwise = EVENT_OF[state]
            old = self._ages.old(records)
        return self._to_tell(records, uid, record, otherwise), old

    def _to_tell(self, records: Records, uid: str, record: bytes, event_type: int) -> _Change:
        key, subscribers = "", tuple(self._subscribers)
        if self._changed is not None:
            # In the order that they came in, though the clock may have been put back.
            self._last = max(time.time_ns(), self._last + 1)
            key = f"{self._last:020} {uuid4().hex}"
            records.put(_CHANGES, key, f"{event_type} {uid}\n".encode() + record)
        if subscribers:
            outbox = Outbox(records, self._limit, MPPS)
            outbox.tell(subscribers, uid, _Notification(event_type))
        return _Change(uid, event_type, key, subscribers)

    def _tell(self, change: _Change, step: Dataset) -> None:
        if self._reporter is not None:
            self._reporter.wake(change.subscribers)
        if self._changed is None:
            return
        try:
            self._changed(change.uid, step, change.event_type)
        except Exception as error:
            # The peer's request is done all the same: it must not take it for refused.
            raised.log(LOGGER, "the application could not take a change of a step:", error)
            return
        with self.store.begin() as records:
            records.delete(_CHANGES, change.key)

    def _tell_the_rest(self) -> None:
        """Tell what another process has written, and not told any more."""
        if self._changed is None:
            return
        with self.store.begin() as records:
            left = records.items(_CHANGES)
        for key, record in left:
            head, _, step = record.partition(b"\n")
            event_type, _, uid = head.decode("ascii").partition(" ")
            self._tell(_Change(uid, int(event_type), key, ()), unpack(step))

    def _delete_all(self, uids: Iterable[str]) -> None:
        for uid in uids:
            self.delete(uid)
