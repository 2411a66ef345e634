"""Telling subscribers of steps (PS3.4 CC.2.4, F.9): in order, until they have heard.

Events are queued in the store, together with what they tell of: a restart loses none. Threads of
the `Reporter` deliver them.
"""

from __future__ import annotations

import json
import logging
import threading
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple, Protocol

from pydicom.dataset import Dataset

from pynetdicom import raised
from pynetdicom.services.statuses import FAILURE, code_to_category
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStepNotification,
    UnifiedProcedureStepEvent,
    UnifiedProcedureStepPush,
)
from pynetdicom.workflows.delivery import DELAYS, Delivery, associated
from pynetdicom.workflows.providing import pack, unpack
from pynetdicom.workflows.stores import Records, Store

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association

LOGGER = logging.getLogger("pynetdicom.workflows")

_BATCH = 64
"""Events that are read of a queue at a time."""


class Service(NamedTuple):
    """Whose events are reported.

    Attributes
    ----------
    name : str
        Of the queues in the store, and of the threads.
    context : str
        The SOP Class of the presentation context on which they go.
    sop_class : str
        The Affected SOP Class UID of the messages.
    """

    name: str
    context: str
    sop_class: str


UPS = Service("ups", UnifiedProcedureStepEvent, UnifiedProcedureStepPush)
MPPS = Service("mpps", *[ModalityPerformedProcedureStepNotification] * 2)


class Event(Protocol):
    """What subscribers are told."""

    @property
    def event_type(self) -> int:
        """The Event Type ID."""

    @property
    def information(self) -> Dataset | None:
        """The Event Information, if there is any."""


def encode(uid: str, event: Event) -> bytes:
    """Make a record of an event of a step."""
    information = b"" if event.information is None else pack(event.information)
    return f"{event.event_type} {uid}\n".encode() + information


def decode(record: bytes) -> tuple[str, int, Dataset | None]:
    """Give the SOP Instance UID, the type and the information of an event."""
    head, _, information = record.partition(b"\n")
    event_type, _, uid = head.decode("ascii").partition(" ")
    return uid, int(event_type), unpack(information) if information else None


class Outbox:
    """The queues in the records of a store, while these are open.

    Of each there are the numbers of the first event and of the next one, and a record an event.

    Parameters
    ----------
    records : Records
    limit : int
        Events in a queue; beyond it the oldest are lost, which the log says.
    service : Service
    """

    def __init__(self, records: Records, limit: int, service: Service = UPS) -> None:
        self._records = records
        self._limit = limit
        self._queues = f"{service.name} queues"
        self._events = f"{service.name} events"
        self.woken: set[str] = set()
        """The AEs for which there are new events."""

    def _ends(self, ae_title: str) -> tuple[int, int]:
        record = self._records.get(self._queues, ae_title)
        first, following = (0, 0) if record is None else json.loads(record)
        return first, following

    def _write(self, ae_title: str, first: int, following: int) -> None:
        self._records.put(self._queues, ae_title, json.dumps((first, following)).encode())

    def tell(self, ae_titles: Iterable[str], uid: str, event: Event) -> None:
        """Have an event delivered to these."""
        record = b""
        for ae_title in ae_titles:
            record = record or encode(uid, event)
            self.put(ae_title, record)

    def put(self, ae_title: str, record: bytes) -> None:
        """As `tell`, of an event that is encoded already."""
        first, following = self._ends(ae_title)
        self._records.put(self._queue(ae_title), _number(following), record)
        if following - first >= self._limit:
            LOGGER.error("an event for %s is lost: %d are waiting", ae_title, self._limit)
            self._records.delete(self._queue(ae_title), _number(first))
            first += 1
        self._write(ae_title, first, following + 1)
        self.woken.add(ae_title)

    def waiting(self, ae_title: str) -> list[tuple[int, bytes]]:
        """The first events for an AE, and their numbers."""
        first, following = self._ends(ae_title)
        numbers = range(first, min(following, first + _BATCH))
        records = ((one, self._records.get(self._queue(ae_title), _number(one))) for one in numbers)
        return [(number, record) for number, record in records if record is not None]

    def told(self, ae_title: str, until: int | None = None) -> None:
        """Forget the events before a number, or all."""
        first, following = self._ends(ae_title)
        until = following if until is None else max(first, until)
        for number in range(first, until):
            self._records.delete(self._queue(ae_title), _number(number))
        # The numbers go on, also where none is left: another process may know the last one.
        self._write(ae_title, until, following)

    def _queue(self, ae_title: str) -> str:
        return f"{self._events} {ae_title}"

    def queues(self) -> dict[str, int]:
        """How many events wait for whom."""
        read = ((ae, json.loads(record)) for ae, record in self._records.items(self._queues))
        return {ae: following - first for ae, (first, following) in read if first < following}


def _number(number: int) -> str:
    return f"{number:016d}"


class Reporter:
    """Delivers what is queued, in order, on associations of the receivers, or of its own.

    Parameters
    ----------
    service : Service
    ae, where, delays, attempts, limit
        See `ups.Provider`.
    store : Store
    """

    def __init__(
        self,
        service: Service,
        ae: ApplicationEntity,
        store: Store,
        where: Callable[[str], Any],
        delays: Sequence[float] = DELAYS,
        attempts: int = 30,
        limit: int = 10_000,
    ) -> None:
        self._service = service
        self._ae = ae
        self._store = store
        self._where = where
        self._attempts = attempts
        self._limit = limit
        self._lock = threading.Lock()
        # Of whom a thread works off the queue, or will when it tries again: no other one may, or
        # events were out of order. True: there are new ones since it began.
        self._under_way: dict[str, bool] = {}
        # Only the one thread that works off a queue touches its count.
        self._failures: dict[str, int] = {}
        # On which a receiver takes events. A dict's own operations are atomic.
        self._associations: dict[str, Association] = {}
        self._is_closed = False
        self._delivery = Delivery(self._attempt, f"pynetdicom-{service.name}", delays)

    def may_use(self, ae_title: str, assoc: Association) -> bool:
        """Report to an AE on an association that it has requested, if it takes events there."""
        is_fit = assoc.remote["ae_title"] == ae_title and any(
            context.abstract_syntax == self._service.context and context.as_scp
            for context in assoc.accepted_contexts
        )
        if is_fit:
            self._associations[ae_title] = assoc
            self._delivery.hasten(ae_title)
        return is_fit

    def wake(self, ae_titles: Iterable[str]) -> None:
        """See that the queues of these are worked off; after they were written."""
        for ae_title in ae_titles:
            with self._lock:
                is_new = ae_title not in self._under_way
                self._under_way[ae_title] = not is_new
            if is_new:
                self._delivery.put(ae_title)

    def close(self, timeout: float | None = None) -> None:
        """End its threads, and wait for them; what was not delivered is left in the store."""
        self._is_closed = True
        self._delivery.close(timeout)

    def _attempt(self, ae_title: str) -> bool:
        """Work off a queue; whether that is done with."""
        while True:
            self._failures[ae_title] = self._failures.get(ae_title, 0) + 1
            try:
                is_done = self._work_off(ae_title)
            except Exception as error:
                is_done = False
                raised.log(LOGGER, f"events could not be reported to {ae_title}:", error)
            if not is_done:
                if self._is_closed or self._failures[ae_title] < self._attempts:
                    return False
                LOGGER.error("events could not be reported to %s: given up", ae_title)
                with self._store.begin() as records:
                    self._outbox(records).told(ae_title)
            del self._failures[ae_title]
            with self._lock:
                if not self._under_way[ae_title]:
                    del self._under_way[ae_title]
                    return True
                self._under_way[ae_title] = False

    def _outbox(self, records: Records) -> Outbox:
        return Outbox(records, self._limit, self._service)

    def _waiting(self, ae_title: str, until: int = 0) -> list[tuple[int, bytes]]:
        """The next events, once those before a number are forgotten."""
        with self._store.begin() as records:
            outbox = self._outbox(records)
            if until:
                outbox.told(ae_title, until)
            return outbox.waiting(ae_title)

    def _work_off(self, ae_title: str) -> bool:
        waiting = self._waiting(ae_title)
        if not waiting:
            return True
        theirs = self._associations.get(ae_title)
        if theirs is not None:
            if theirs.is_established:
                return self._send_all(theirs, ae_title, waiting)
            self._associations.pop(ae_title, None)
        target = self._where(ae_title)
        if target is None:
            LOGGER.warning("where to report events to %s is not known", ae_title)
            return False
        with associated(self._ae, ae_title, target, self._service.context) as assoc:
            return self._send_all(assoc, ae_title, waiting)

    def _send_all(
        self, assoc: Association, ae_title: str, waiting: list[tuple[int, bytes]]
    ) -> bool:
        """Report what is waiting, and what comes meanwhile; whether that is done."""
        while waiting and assoc.is_established:
            until = 0
            try:
                for number, record in waiting:
                    if self._is_closed or not self._send(assoc, ae_title, record):
                        return False
                    until = number + 1
            finally:
                waiting = self._waiting(ae_title, until)
                if until:
                    self._failures[ae_title] = 1
        return not waiting

    def _send(self, assoc: Association, ae_title: str, record: bytes) -> bool:
        """Report an event; whether it was answered."""
        uid, event_type, information = decode(record)
        status, _ = assoc.send_n_event_report(
            information,
            event_type,
            self._service.sop_class,
            uid,
            meta_uid=self._service.context,
        )
        if "Status" in status and code_to_category(status.Status) == FAILURE:
            LOGGER.warning("%s answered an event with 0x%04X", ae_title, status.Status)
        return "Status" in status
