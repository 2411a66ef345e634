"""Storage Commitment (PS3.4 Annex J): the SCP, which checks and reports until it is heard."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset

from pynetdicom import event_types as evt
from pynetdicom.presentation import build_context, build_role
from pynetdicom.services.statuses import FAILURE, code_to_category
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.workflows.commitment_rules import (
    FAILURES_EXIST,
    KIND,
    PROCESSING_FAILURE,
    RESOURCE_LIMITATION,
    SUCCESSFUL,
    Reference,
    item_of,
    referenced,
)
from pynetdicom.workflows.delivery import DELAYS, Delivery
from pynetdicom.workflows.providing import Answer, answer, pack, unpack
from pynetdicom.workflows.stores import MemoryStore, Store

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.workflows")


class Provider:
    """The SCP of storage commitment.

    What was asked for, and not reported yet, is in the store; a new provider with the same store
    goes on with it. Its handler runs on the threads of the associations; it checks and reports on
    threads of its own, until `close`.

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
    ) -> None:
        self._ae = ae
        self._check = check
        self._where = where or (lambda ae_title: None)
        self.store: Store = MemoryStore() if store is None else store
        self._retrieve_ae_title = retrieve_ae_title
        self._attempts = attempts
        self._tried: dict[str, int] = {}
        # On which a request came, while that is there. A dict's own operations are atomic.
        self._associations: dict[str, Association] = {}
        self._delivery = Delivery(self._report, "pynetdicom-commitment", tuple(delays))
        for transaction_uid in self.outstanding:
            self._delivery.put(transaction_uid)

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests, see `providing.handlers`."""
        return {evt.EVT_N_ACTION: self._take}

    def close(self, timeout: float | None = None) -> None:
        """End its threads, and wait for them; what was not reported yet is left in the store."""
        self._delivery.close(timeout)

    @property
    def outstanding(self) -> list[str]:
        """The Transaction UIDs of what was not reported yet."""
        with self.store.begin() as records:
            return [transaction_uid for transaction_uid, _ in records.items(KIND)]

    def _take(self, event: Event) -> Answer:
        request = event.action_information
        transaction_uid = str(request.TransactionUID or "")
        references = [one for one, _ in referenced(request, "ReferencedSOPSequence")]
        if not request.ReferencedSOPSequence or not transaction_uid:
            empty = "ReferencedSOPSequence" if transaction_uid else "TransactionUID"
            data_set = Dataset()
            setattr(data_set, empty, None)
            return answer(0x0121, data_set=data_set)
        if len({one.sop_instance for one in references}) < len(references):
            return answer(0x0115, comment="an instance is there twice")
        kept = Dataset()
        kept.update(request)
        kept.ReceivingAE = event.assoc.remote["ae_title"]
        record = pack(kept)
        with self.store.begin() as records:
            if records.get(KIND, transaction_uid) is not None:
                return answer(0x0110, comment="the Transaction UID is in use")
            records.put(KIND, transaction_uid, record)
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
        """Check the instances of a request and report; whether that is done with."""
        with self.store.begin() as records:
            record = records.get(KIND, transaction_uid)
        if record is None:
            return True
        request = unpack(record)
        event_type, result = self._checked(request)
        if self._tell(transaction_uid, request.ReceivingAE, event_type, result):
            LOGGER.info(
                "storage commitment %s: %d kept, %d not, reported to %s",
                transaction_uid,
                *(
                    len(result.get(one, ()))
                    for one in ("ReferencedSOPSequence", "FailedSOPSequence")
                ),
                request.ReceivingAE,
            )
        else:
            tried = self._tried[transaction_uid] = self._tried.get(transaction_uid, 0) + 1
            if tried < self._attempts:
                return False
            LOGGER.error(
                "the result of storage commitment %s could not be reported to %s: given up",
                transaction_uid,
                request.ReceivingAE,
            )
        self._tried.pop(transaction_uid, None)
        self._associations.pop(transaction_uid, None)
        with self.store.begin() as records:
            records.delete(KIND, transaction_uid)
        return True

    def _checked(self, request: Dataset) -> tuple[int, Dataset]:
        """The event's type, and information."""
        committed, failed = [], []
        for instance, _ in referenced(request, "ReferencedSOPSequence"):
            try:
                reason = self._check(instance)
            except Exception as error:
                LOGGER.error("an instance could not be checked: %s", type(error).__name__)
                reason = PROCESSING_FAILURE
            if reason:
                failed.append(item_of(instance, FailureReason=reason))
            else:
                committed.append(item_of(instance))
        result = Dataset()
        result.TransactionUID = request.TransactionUID
        if self._retrieve_ae_title and committed:
            result.RetrieveAETitle = self._retrieve_ae_title
        if committed:
            result.ReferencedSOPSequence = committed
        if failed:
            result.FailedSOPSequence = failed
        return FAILURES_EXIST if failed else SUCCESSFUL, result

    def _tell(self, transaction_uid: str, ae_title: str, event_type: int, result: Dataset) -> bool:
        """Report on the association of the request, or on one of our own; whether it was heard."""
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
            LOGGER.warning("where to report storage commitment to %s is not known", ae_title)
            return False
        addr, port, *options = target
        with self._ae.associate(
            addr,
            port,
            **{
                "ae_title": ae_title,
                "contexts": [build_context(StorageCommitmentPushModel)],
                "ext_neg": [build_role(StorageCommitmentPushModel, scp_role=True)],
                **(options[0] if options else {}),
            },
        ) as own:
            return own.is_established and bool(_send(own, event_type, result))


def _send(assoc: Association, event_type: int, result: Dataset) -> bool | None:
    """Report; whether that is done: taken, or refused for good. None when there is no answer."""
    status, _ = assoc.send_n_event_report(
        result, event_type, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
    )
    if "Status" not in status:
        return None
    if code_to_category(status.Status) == FAILURE:
        LOGGER.warning("a result of storage commitment was answered with 0x%04X", status.Status)
    return status.Status not in (PROCESSING_FAILURE, RESOURCE_LIMITATION)
