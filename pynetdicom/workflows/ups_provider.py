"""The SCP of Unified Procedure Steps (PS3.4 Annex CC): requests, the store, and who is told."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import event_types as evt
from pynetdicom.sop_class import (
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)
from pynetdicom.workflows import ups_rules as rules
from pynetdicom.workflows.conditions import Conditions
from pynetdicom.workflows.delivery import DELAYS
from pynetdicom.workflows.identifiers import IdentifierError, elements
from pynetdicom.workflows.matching import Options, returned
from pynetdicom.workflows.providing import Answer, answer, chosen, merged
from pynetdicom.workflows.reporting import UPS, Outbox, Reporter
from pynetdicom.workflows.stores import MemoryStore, Store
from pynetdicom.workflows.ups_rules import FINAL, STATES, Change, Rejected, Step, assign
from pynetdicom.workflows.ups_subscriptions import (
    ALL,
    FILTERED,
    STEPS,
    Subscription,
    Subscriptions,
    fulfil,
    wish,
)
from pynetdicom.workflows.watch import Cancelled, Watch

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.events import Event

_STARTS = "ups starts"

Work = Callable[[Step | None], Change]


class Provider:
    """The SCP of procedure steps: keeps them, lets one performer have each, and tells subscribers.

    Its handlers run on the threads of the associations, and it reports on threads of its own, until
    `close`; any thread may ask it. All that it has to remember is in the store, also events that
    were not delivered yet; a new provider with the same store goes on with it, and tells all
    subscribers that it was restarted. Of several at a time each delivers: events come twice.

    Parameters
    ----------
    ae : ApplicationEntity
        Who reports.
    where : callable, optional
        ``where(ae_title)`` gives the address to which events for an AE go, ``(addr, port)``, or
        ``(addr, port, kwargs)`` with keyword arguments of `AE.associate`; None if it is not known,
        and then the AE cannot be subscribed, but on an association of its own with a presentation
        context for UPS Event. Without it nobody can.
    store : Store, optional
        By default in memory.
    decide : callable, optional
        ``decide(event, step)`` is asked before a request creates or changes a step, or asks for one
        to be canceled, with the step as it would be, and may change it, or give a status that
        refuses it, as a handler would: 0xC312 for a performer that cannot be reached. Asked again,
        if another peer was faster.
    changed : callable, optional
        ``changed(uid, step, event_type)`` is told afterwards, as subscribers are.
    locks : bool
        Whether subscribers may keep steps from being deleted.
    watchers : iterable of str
        AE titles that are told of starts, though they are not subscribed.
    worklist_label : str
        For steps that have none.
    delays : sequence of float
        Seconds before each attempt after the first to report; the last for all that follow.
    attempts : int
        After so many in vain, all that waits for an AE is given up, which the log says.
    limit : int
        Events that wait for an AE; beyond it the oldest are lost, which the log says.

    Notes
    -----
    PS3.4 CC.2
    """

    sop_classes = frozenset(
        (
            UnifiedProcedureStepPush,
            UnifiedProcedureStepPull,
            UnifiedProcedureStepWatch,
            UnifiedProcedureStepQuery,
        )
    )

    def __init__(
        self,
        ae: ApplicationEntity,
        *,
        where: Callable[[str], Any] | None = None,
        store: Store | None = None,
        decide: Callable[[Event, Dataset], Any] | None = None,
        changed: Callable[[str, Dataset, int], object] | None = None,
        locks: bool = True,
        watchers: Iterable[str] = (),
        worklist_label: str = "WORKLIST",
        delays: Iterable[float] = DELAYS,
        attempts: int = 30,
        limit: int = 10_000,
    ) -> None:
        self.store: Store = MemoryStore() if store is None else store
        self._where = where
        self._decide = decide
        self._changed = changed
        self._locks = locks
        self._watchers = frozenset(watchers)
        self._worklist_label = worklist_label
        self._limit = limit
        self._reporter = Reporter(
            UPS, ae, self.store, where or (lambda ae_title: None), tuple(delays), attempts, limit
        )
        with self.store.begin() as records:
            is_warm = records.get(_STARTS, "") is not None
            records.put(_STARTS, "", b"")
            left = Outbox(records, limit).queues()
        self._reporter.wake(left)
        self._tell_all("RESTARTED", "WARM START" if is_warm else "COLD START")

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests, see `providing.handlers`."""
        return {
            evt.EVT_N_CREATE: _answering(self._create),
            evt.EVT_N_SET: _answering(self._set),
            evt.EVT_N_GET: _answering(self._get),
            evt.EVT_N_ACTION: _answering(self._act),
            evt.EVT_C_FIND: self._find,
        }

    def close(self, timeout: float | None = None) -> None:
        """End its threads, and wait for them; what was not reported yet is left in the store."""
        self._reporter.close(timeout)

    def going_down(self) -> None:
        """Tell subscribers that there will be no answer for a while; before `close`."""
        self._tell_all("GOING DOWN", "WARM START")

    # What the application asks

    def get(self, uid: str) -> Dataset | None:
        """Give a step; None when there is none."""
        with self.store.begin() as records:
            record = records.get(STEPS, uid)
        return None if record is None else Step.decode(record).attributes

    def steps(self) -> Iterator[tuple[str, Dataset]]:
        """Give all steps, by their SOP Instance UIDs."""
        with self.store.begin() as records:
            kept = records.items(STEPS)
        return ((uid, Step.decode(record).attributes) for uid, record in kept)

    def subscribers(self, uid: str) -> dict[str, bool]:
        """Give who is subscribed to a step: AE title → whether that keeps it from being deleted."""
        with self.store.begin() as records:
            return Subscriptions(records).of(uid)

    def globally_subscribed(self) -> dict[str, Subscription]:
        """Give who is subscribed to all steps, or to those that match."""
        with self.store.begin() as records:
            return Subscriptions(records).globally()

    @property
    def outstanding(self) -> dict[str, int]:
        """How many events were not delivered yet, by AE title."""
        with self.store.begin() as records:
            return Outbox(records, self._limit).queues()

    def schedule(self, attributes: Dataset, uid: str | None = None) -> str:
        """Add a step, as `ups.push` has a peer do, and give its SOP Instance UID.

        Raises
        ------
        Rejected
            It cannot be so.
        """
        named = uid or str(generate_uid(prefix=None))
        new = rules.new_step(attributes)
        self._change(named, lambda step: rules.create(step, new, named, self._worklist_label))
        return named

    def modify(self, uid: str, attributes: Dataset) -> None:
        """Set attributes of a step, whoever performs it.

        Raises
        ------
        Rejected
            There is no such step, it is in a final state, or it cannot be so.
        """

        def set_them(step: Step | None) -> Change:
            sent = merged(attributes, Dataset())
            if step is not None and step.transaction_uid:
                assign(sent, "TransactionUID", step.transaction_uid)
            return rules.modify(step, sent)

        self._change(uid, set_them)

    def cancel(self, uid: str, information: Dataset | None = None) -> None:
        """Cancel a step that will not be performed, or whose performer is gone (CC.2.1.3).

        Parameters
        ----------
        uid : str
        information : pydicom.dataset.Dataset, optional
            The reasons, and whom to contact, as of a request (Table CC.2.2-1).

        Raises
        ------
        Rejected
            There is no such step, or it is in a final state.
        """

        def end(step: Step | None) -> Change:
            if step is None or step.state in FINAL:
                raise Rejected(answer(rules.REQUESTS_TO_CANCEL[rules.state_of(step)]))
            return rules.cancel(step, information or Dataset())

        self._change(uid, end)

    def delete(self, uid: str) -> bool:
        """Forget a step; False where it is not in a final state, or a subscriber has a lock."""
        with self.store.begin() as records:
            record = records.get(STEPS, uid)
            if record is None or Step.decode(record).state not in FINAL:
                return False
            subscriptions = Subscriptions(records)
            if any(subscriptions.of(uid).values()):
                return False
            records.delete(STEPS, uid)
            subscriptions.forget(uid)
            return True

    def delete_finished(self, older_than: float = 0.0) -> list[str]:
        """Forget all that `delete` would, and give their SOP Instance UIDs.

        Parameters
        ----------
        older_than : float
            Only what has been in its final state for so many seconds.
        """
        until = datetime.now().astimezone() - timedelta(seconds=older_than)
        with self.store.begin() as records:
            kept = records.items(STEPS)
        old = (uid for uid, record in kept if rules.finished(Step.glance(record), until))
        return [uid for uid in old if self.delete(uid)]

    # Requests

    def _create(self, event: Event) -> Answer:
        uid = str(event.request.AffectedSOPInstanceUID or generate_uid(prefix=None))
        if uid in (ALL, FILTERED):
            return answer(0x0117, comment="it is that of subscriptions")
        code = self._change(
            uid,
            lambda step: rules.create(step, event.attribute_list, uid, self._worklist_label),
            event,
        )
        return answer(code, AffectedSOPInstanceUID=uid)

    def _set(self, event: Event) -> Answer:
        uid = str(event.request.RequestedSOPInstanceUID)
        code = self._change(uid, lambda step: rules.modify(step, event.modification_list), event)
        return answer(code)

    def _get(self, event: Event) -> Answer:
        step = self.get(event.request.RequestedSOPInstanceUID)
        if step is None:
            return answer(rules.NO_SUCH_STEP)
        found, has_all = chosen(step, event.attribute_identifiers)
        return answer(0x0000 if has_all else 0x0001, data_set=found)

    def _act(self, event: Event) -> Answer:
        uid = str(event.request.RequestedSOPInstanceUID)
        information = event.action_information
        if event.action_type == rules.CHANGE_STATE:
            asked = rules.value(information, "ProcedureStepState", *STATES[1:])
            by = str(information.get("TransactionUID") or "")
            return answer(self._change(uid, lambda it: rules.change_state(it, asked, by), event))
        if event.action_type == rules.REQUEST_CANCEL:
            by = str(event.assoc.remote["ae_title"])
            return answer(
                self._change(uid, lambda it: rules.request_cancel(it, information, by), event)
            )
        return self._subscription(event, uid, information)

    def _find(self, event: Event) -> Iterator[Any]:
        keys = event.identifier
        try:
            list(elements(keys))  # each of which has to convert
        except IdentifierError as error:
            yield answer(0xA900, comment=str(error), OffendingElement=[error.tag])
            return
        with self.store.begin() as records:
            kept = records.items(STEPS)
        watch = Watch(lambda: event.is_cancelled)
        conditions = Conditions(keys, Options(step=watch.step))
        literals = conditions.literals()
        asked = frozenset(map(int, keys.keys()))
        try:
            for _, record in kept:
                watch.step()
                # Most steps are told apart by a search of their bytes.
                if not all(any(one in record for one in values) for values in literals):
                    continue
                step = Step.glance(record)
                if conditions.match(step):
                    yield 0xFF00, returned(keys, step.part(asked))
        except Cancelled:  # which the library answers, if there is somebody to answer
            return

    def _change(self, uid: str, work: Work, event: Event | None = None) -> int:
        """Make of a step what the work does, and tell of it; nobody else does meanwhile.

        Gives the status; a warning, if it was done with other values.
        """
        while True:
            with self.store.begin() as records:
                record = records.get(STEPS, uid)
            change = work(None if record is None else Step.decode(record))
            # Nobody is held up while the application decides.
            if event is not None and self._decide is not None:
                decision = self._decide(event, change.states[-1].attributes)
                if decision is not None:
                    raise Rejected(_as_answer(decision))
            told = self._write(uid, record, change)
            if told is not None:
                break
        if self._changed is not None:
            for one in told:
                self._changed(uid, change.states[-1].attributes, one.event_type)
        return change.code

    def _write(self, uid: str, record: bytes | None, change: Change) -> list[rules.Event] | None:
        """Write a change, and queue its events; None if there was another one since."""
        # Read anew: what the application has changed may be in both.
        before = None if record is None else Step.decode(record)
        made = change.states[-1].encode()
        told = list(change.events)
        for state, following in zip([before, *change.states], change.states, strict=False):
            told += rules.events(state, following)
        with self.store.begin() as records:
            if records.get(STEPS, uid) != record:
                return None
            records.put(STEPS, uid, made)
            subscriptions, outbox = Subscriptions(records), Outbox(records, self._limit)
            after = change.states[-1]
            new = subscriptions.add(uid, before, after)
            if rules.STATE_REPORT not in (one.event_type for one in told):
                outbox.tell(new, uid, rules.state_report(after))
            subscribers = subscriptions.of(uid)
            for one in told:
                outbox.tell(subscribers, uid, one)
        self._reporter.wake(outbox.woken)
        return told

    def _subscription(self, event: Event, uid: str, information: Dataset) -> Answer:
        if self._where is None:
            return answer(0xC315)
        wanted = wish(event.action_type, uid, information)
        if (
            wanted.action == rules.SUBSCRIBE
            and not self._reporter.may_use(wanted.ae_title, event.assoc)
            and self._where(wanted.ae_title) is None
        ):
            return answer(0xC308)
        given, woken = fulfil(self.store, self._limit, wanted, grants=self._locks)
        self._reporter.wake(woken)
        return given

    def _tell_all(self, status: str, start: str) -> None:
        with self.store.begin() as records:
            outbox = Outbox(records, self._limit)
            receivers = Subscriptions(records).receivers() | self._watchers
            outbox.tell(receivers, ALL, rules.status_change(status, start))
        self._reporter.wake(outbox.woken)


def _answering(handler: Callable[[Event], Answer]) -> Callable[[Event], Answer]:
    """A handler that answers what is rejected, and what is asked of another SOP Class."""

    def handle(event: Event) -> Answer:
        request = event.request
        side = "Affected" if request.name == "N-CREATE" else "Requested"
        # CC.3.1: the class is UPS Push. Tolerated: that of the context.
        if getattr(request, f"{side}SOPClassUID") not in Provider.sop_classes:
            return answer(0x0118)
        try:
            return handler(event)
        except Rejected as rejected:
            return rejected.answer

    return handle


def _as_answer(decision: Any) -> Answer:
    """What the application has decided, as a handler's answer."""
    status, data_set = decision if isinstance(decision, tuple) else (decision, None)
    return answer(status, data_set=data_set) if isinstance(status, int) else (status, data_set)
