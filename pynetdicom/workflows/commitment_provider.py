"""Storage Commitment (PS3.4 Annex J): the SCP, which checks and reports until it is heard."""

from __future__ import annotations

import logging
import time
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.utils import printable
from pynetdicom.workflows.commitment_information import (
    REFERENCED,
    Information,
    Writer,
    is_twice,
    rewritten,
    transfer_syntax_of,
    write,
)
from pynetdicom.workflows.commitment_rules import (
    FAILURES_EXIST,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESSFUL,
    Reference,
)
from pynetdicom.workflows.commitment_transactions import LEASE, Head, Transactions
from pynetdicom.workflows.delivery import DELAYS, Delivery, associated
from pynetdicom.workflows.providing import Answer, answer, is_done, refusal
from pynetdicom.workflows.stores import MemoryStore, Store

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.workflows")


class Provider:
    """The SCP of storage commitment.

    What was asked for, and not reported yet, is in the store; a new provider with the same store
    goes on with it. Of several with one store, each sees to what it was asked for, and to what was
    left by one that is no more. Its handler runs on the threads of the associations; it checks and
    reports on threads of its own, until `close`.

    What has become of an instance is decided once: however often it has to be reported, it is the
    same, as the peer may have heard it already.

    Parameters
    ----------
    ae : ApplicationEntity
        Who reports.
    check : callable
        ``check(instance)``, with a `Reference`, says whether an instance is kept: 0, or a Failure
        Reason, such as `NO_SUCH_INSTANCE`. What it raises is a `PROCESSING_FAILURE`.
    where : callable, optional
        ``where(ae_title)`` gives the address to which results for an AE go, where they cannot go on
        the association of the request any more: ``(addr, port)``, or ``(addr, port, kwargs)`` with
        keyword arguments of `AE.associate`; None if it is not known.
    store : Store, optional
        By default in memory.
    retrieve_ae_title : str, optional
        From where what is committed can be retrieved.
    delays : sequence of float
        Seconds before each attempt after the first to report; the last for all that follow.
    attempts : int
        After so many a result is given up, which the log says.
    maximum_instances : int
        A request for more is answered with 0x0213.

    Notes
    -----
    PS3.4 J.3
    """

    sop_classes = frozenset((StorageCommitmentPushModel,))

    def __init__(
        self,
        ae: ApplicationEntity,
        check: Callable[[Reference], int],
        *,
        where: Callable[[str], Any] | None = None,
        store: Store | None = None,
        retrieve_ae_title: str | None = None,
        delays: Iterable[float] = DELAYS,
        attempts: int = 30,
        maximum_instances: int = 1_000_000,
    ) -> None:
        self._ae = ae
        self._check = check
        self._where = where or (lambda ae_title: None)
        self.store: Store = MemoryStore() if store is None else store
        self._retrieve_ae_title = retrieve_ae_title
        self._attempts = attempts
        self._delays = tuple(delays)
        self._maximum_instances = maximum_instances
        self._transactions = Transactions(self.store, ae.spool_dir)
        # On which a request came, while that is there. A dict's own operations are atomic.
        self._associations: dict[str, Association] = {}
        self._delivery = Delivery(self._report, "pynetdicom-commitment", self._delays)
        for transaction_uid in self.outstanding:
            self._delivery.put(transaction_uid)

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests, see `providing.handlers`."""
        return {evt.EVT_N_ACTION: self._take}

    def close(self, timeout: float | None = None) -> None:
        """End its threads, and wait for them, so long; what was not reported is left in the store.

        Parameters
        ----------
        timeout : float, optional
            Seconds. What is under way is left to other providers only when it has ended: close it
            once more then.
        """
        if self._delivery.close(timeout):
            self._transactions.close()

    @property
    def outstanding(self) -> list[str]:
        """The Transaction UIDs of what was not reported yet, by any provider of the store."""
        return self._transactions.uids

    def _take(self, event: Event) -> Answer:
        request = Information(event.received)
        problem = refusal(request.findings(REFERENCED))
        if problem is not None:
            return problem
        if request.count(REFERENCED) > self._maximum_instances:
            return answer(RESOURCE_LIMITATION, comment="too many instances in one request")
        if is_twice(lambda: (one.sop_instance for one in request.instances(REFERENCED))):
            return answer(0x0115, comment="an instance is there twice")
        transaction_uid = request.transaction_uid
        title = event.assoc.remote["ae_title"]
        if not self._transactions.open(transaction_uid, title, event.received):
            return answer(PROCESSING_FAILURE, comment="the Transaction UID is in use")
        self._report_later(event, transaction_uid)
        return answer(0x0000)

    def _report_later(self, event: Event, transaction_uid: str) -> None:
        """Report when the response is out, or the association has ended.

        Whoever waits for that response may not put up with a request before it.
        """
        assoc, message_id = event.assoc, event.message_id

        def go_on(told: Event) -> None:
            if told.event is evt.EVT_DIMSE_SENT:
                sent = told.message.primitive
                if sent.name != "N-ACTION" or sent.MessageIDBeingRespondedTo != message_id:
                    return
                self._associations[transaction_uid] = assoc
            for event_type in (evt.EVT_DIMSE_SENT, evt.EVT_CONN_CLOSE):
                assoc.unbind(event_type, go_on)
            self._delivery.put(transaction_uid)

        for event_type in (evt.EVT_DIMSE_SENT, evt.EVT_CONN_CLOSE):
            assoc.bind(event_type, go_on)

    def _report(self, transaction_uid: str) -> bool:
        """See to a transaction; whether that is done with."""
        transactions = self._transactions
        head = transactions.claim(transaction_uid)
        if head is None:
            return True
        if isinstance(head, float):  # another provider's
            self._delivery.put(transaction_uid, head)
            return True
        if not head.event_type:
            head = self._decide(transaction_uid, head)
        result = transactions.read(transaction_uid, head)
        try:
            is_heard = self._tell(transaction_uid, head, result)
        except Exception as error:
            raised.log(LOGGER, "a result of storage commitment could not be reported:", error)
            is_heard = False
        if not is_heard:
            attempts = head.attempts + 1
            if attempts < self._attempts:
                delay = self._delays[min(attempts, len(self._delays)) - 1]
                transactions.renew(transaction_uid, head, delay, attempts=1)
                self._delivery.put(transaction_uid, delay)
                return True
            LOGGER.error(
                "the result of storage commitment %s could not be reported to %s: given up",
                printable(transaction_uid),
                printable(head.ae_title),
            )
        else:
            uid, title = printable(transaction_uid), printable(head.ae_title)
            LOGGER.info("storage commitment %s: reported to %s", uid, title)
        self._associations.pop(transaction_uid, None)
        transactions.remove(transaction_uid, head)
        return True

    def _decide(self, transaction_uid: str, head: Head) -> Head:
        """Check the instances of a request, and keep the result."""
        syntax, directory = head.transfer_syntax, self._ae.spool_dir
        request = Information(self._transactions.read(transaction_uid, head))
        committed, failed = Writer(syntax, directory), Writer(syntax, directory)
        renewal = time.monotonic() + LEASE / 4
        for instance in request.instances(REFERENCED):
            if time.monotonic() > renewal:
                head = self._transactions.renew(transaction_uid, head)
                renewal = time.monotonic() + LEASE / 4
            try:
                reason = self._check(instance)
            except Exception as error:
                LOGGER.error("an instance could not be checked: %s", type(error).__name__)
                reason = PROCESSING_FAILURE
            if reason:
                failed.add(instance, reason)
            else:
                committed.add(instance)
        LOGGER.info(
            "storage commitment %s of %s: %d kept, %d not",
            printable(transaction_uid),
            printable(head.ae_title),
            committed.count,
            failed.count,
        )
        title = self._retrieve_ae_title if committed.count else None
        result = write(syntax, transaction_uid, title, failed=failed, referenced=committed)
        event_type = FAILURES_EXIST if failed.count else SUCCESSFUL
        return self._transactions.decide(transaction_uid, head, event_type, result)

    def _tell(self, transaction_uid: str, head: Head, result: EncodedDataSet) -> bool:
        """Report on the association of the request, or on one of our own; whether it was heard."""
        ae_title, event_type = head.ae_title, head.event_type
        assoc = self._associations.pop(transaction_uid, None)
        if assoc is not None and assoc.is_established:
            try:
                heard = _send(assoc, event_type, result)
            except (RuntimeError, ValueError):  # it has ended just now
                heard = None
            if heard is not None:  # or it has ended meanwhile: peers release at our response
                return heard
        target = self._where(ae_title)
        if target is None:
            LOGGER.warning(
                "where to report storage commitment to %s is not known", printable(ae_title)
            )
            return False
        with associated(self._ae, ae_title, target, StorageCommitmentPushModel) as own:
            return own.is_established and bool(_send(own, event_type, result))


def _send(assoc: Association, event_type: int, result: EncodedDataSet) -> bool | None:
    """Report; whether that is done: taken, or refused for good. None when there is no answer."""
    result = rewritten(result, transfer_syntax_of(assoc))
    model, instance = StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    status, _ = _report_over(assoc, result, event_type, model, instance)
    if "Status" not in status:
        return None
    if not is_done(status.Status):
        LOGGER.warning("a result of storage commitment was answered with 0x%04X", status.Status)
    return status.Status not in (PROCESSING_FAILURE, RESOURCE_LIMITATION)


def _report_over(assoc: Any, *report: Any) -> tuple[Dataset, Dataset | None]:
    """Report; over an association in an event loop, the delivering thread has the loop do it."""
    answered: tuple[Dataset, Dataset | None]
    loop = getattr(assoc, "loop", None)
    if loop is None:
        answered = assoc.send_n_event_report(*report)
    else:
        import asyncio

        answered = asyncio.run_coroutine_threadsafe(assoc.n_event_report(*report), loop).result()
    return answered
