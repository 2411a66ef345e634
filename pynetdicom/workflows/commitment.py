"""Storage Commitment, the push model (PS3.4 Annex J): who answers for images from now on.

The SCU asks, and waits for the result, `commit`, which comes on the same association or on another
one, `Results`. The SCP, `Provider`, checks each instance, and reports until it has been heard.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from os import PathLike
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import event_types as evt
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.presentation import build_context, build_role
from pynetdicom.services.statuses import FAILURE, code_to_category
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.workflows.delivery import DELAYS, Delivery
from pynetdicom.workflows.providing import Answer, Refused, answer, pack, unpack
from pynetdicom.workflows.stores import MemoryStore, Store

if TYPE_CHECKING:
    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.association import Association
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.workflows")

REQUEST = 1
"""Action Type ID: Request Storage Commitment."""

SUCCESSFUL, FAILURES_EXIST = 1, 2
"""Event Type IDs."""

PROCESSING_FAILURE = 0x0110
NO_SUCH_INSTANCE = 0x0112
CLASS_INSTANCE_CONFLICT = 0x0119
SOP_CLASS_NOT_SUPPORTED = 0x0122
DUPLICATE_TRANSACTION = 0x0131
RESOURCE_LIMITATION = 0x0213
"""Failure Reasons (PS3.3 C.14.1.1)."""

_KIND = "commitment"
_FAILED = "FailedSOPSequence"


class Reference(NamedTuple):
    """A SOP Instance."""

    sop_class: str
    sop_instance: str


class Failure(NamedTuple):
    """An instance that is not committed."""

    instance: Reference
    reason: int


@dataclass(frozen=True)
class Result:
    """What became of a request.

    Attributes
    ----------
    transaction_uid : str
    committed : list of Reference
    failed : list of Failure
    missing : list of Reference
        What was asked for, and is in neither list.
    retrieve_ae_titles : dict of Reference to str
        From where instances can be retrieved, of those for which that is said.
    """

    transaction_uid: str
    committed: list[Reference]
    failed: list[Failure]
    missing: list[Reference]
    retrieve_ae_titles: dict[Reference, str]

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for is committed."""
        return not self.failed and not self.missing


# The SCU


class Results:
    """Results of requests, and who waits for them; for any thread.

    Bind its `handlers` to the associations on which requests are made, and to the server to which
    peers come with results on associations of their own.
    """

    def __init__(self) -> None:
        # A dict's own operations are atomic.
        self._waiting: dict[str, SimpleQueue[Dataset | None]] = {}

    @property
    def handlers(self) -> list[tuple[evt.InterventionEvent, Callable[[Event], Any]]]:
        """For `AE.associate` and `AE.start_server`."""
        return [(evt.EVT_N_EVENT_REPORT, self.take)]

    def take(self, event: Event) -> Any:
        """Handle an N-EVENT-REPORT."""
        result = event.event_information
        queue = self._waiting.get(result.TransactionUID)
        if queue is None:
            peer = event.assoc.remote["ae_title"]
            LOGGER.warning("%s reports a storage commitment that nobody waits for", peer)
            return answer(0x0115, comment="no such transaction")
        queue.put(result)
        return answer(0x0000)


def reference_of(instance: Any) -> Reference:
    """Give the reference to an instance: a pair of UIDs, a data set, or the path of a file."""
    if isinstance(instance, (str, PathLike)):
        from pydicom import dcmread

        keywords = ["SOPClassUID", "SOPInstanceUID"]
        instance = dcmread(instance, stop_before_pixels=True, specific_tags=keywords)
    if isinstance(instance, Dataset):
        return Reference(instance.SOPClassUID, instance.SOPInstanceUID)
    sop_class, sop_instance = instance
    return Reference(str(sop_class), str(sop_instance))


def commit(
    assoc: Association,
    instances: Iterable[Any],
    *,
    results: Results | None = None,
    release: bool = False,
    timeout: float | None = 60.0,
) -> Result:
    """Ask the peer to commit itself to keep instances, and wait for its result.

    Parameters
    ----------
    assoc : Association
        With a presentation context for Storage Commitment.
    instances : iterable
        Pairs of SOP Class UID and SOP Instance UID, data sets, or paths of DICOM files; each
        instance once.
    results : Results, optional
        Where the result comes, if not on this association alone: then its handlers are bound to a
        server of yours, which the peer has to know.
    release : bool
        Whether to release the association once the request was taken, and wait for the result on
        another one: there are peers that report only then. Needs `results`.
    timeout : float, optional
        Seconds to wait for the result; None for ever.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        There are no instances, or the same one twice; or nothing would hear the result.
    Refused
        The peer refused the request, or did not answer it.
    TimeoutError
        There was no result in time. The peer may still report one.
    ConnectionError
        The association ended, and no result can come any more.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 J.3
    """
    wanted = [reference_of(instance) for instance in instances]
    if not wanted or len({one.sop_instance for one in wanted}) < len(wanted):
        raise ValueError("storage commitment is asked for instances, each of them once")
    if release and results is None:
        raise ValueError("without `results`, the result comes on the association of the request")
    request = Dataset()
    request.TransactionUID = generate_uid(prefix=None)
    request.ReferencedSOPSequence = list(map(_item, wanted))
    own = results or Results()
    queue: SimpleQueue[Dataset | None] = SimpleQueue()
    own._waiting[request.TransactionUID] = queue

    def ended(event: Event) -> None:
        queue.put(None)

    before = assoc.get_handlers(evt.EVT_N_EVENT_REPORT)
    try:
        assoc.bind(evt.EVT_N_EVENT_REPORT, own.take)
        if results is None:
            for event_type in (evt.EVT_RELEASED, evt.EVT_ABORTED):
                assoc.bind(event_type, ended)
        status, reply = assoc.send_n_action(
            request, REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        if code_to_category(status.get("Status", PROCESSING_FAILURE)) == FAILURE:
            raise Refused("a request for storage commitment", status, reply)
        if release:
            assoc.release()
        deadline = after(timeout)
        try:
            result = queue.get(timeout=remaining(deadline))
        except Empty:
            raise TimeoutError("there is no result of the storage commitment yet") from None
        if result is None:
            raise ConnectionError(f"no result of the storage commitment: {assoc.ended}")
        return _result(result, wanted)
    finally:
        del own._waiting[request.TransactionUID]
        for event_type in (evt.EVT_RELEASED, evt.EVT_ABORTED):
            assoc.unbind(event_type, ended)
        assoc.unbind(evt.EVT_N_EVENT_REPORT, own.take)
        if before[0] != assoc.get_handlers(evt.EVT_N_EVENT_REPORT)[0]:
            assoc.bind(evt.EVT_N_EVENT_REPORT, *before)


def _item(instance: Reference, **more: Any) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = instance
    for keyword, value in more.items():
        setattr(item, keyword, value)
    return item


def _references(data_set: Dataset, keyword: str) -> Iterator[tuple[Reference, Dataset]]:
    for item in data_set.get(keyword) or ():
        yield Reference(item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID), item


def _result(event: Dataset, wanted: Iterable[Reference]) -> Result:
    committed = list(_references(event, "ReferencedSOPSequence"))
    failed = [
        Failure(one, item.FailureReason) for one, item in _references(event, "FailedSOPSequence")
    ]
    told = {one.sop_instance for one, _ in committed} | {one.sop_instance for one, _ in failed}
    everywhere = event.get("RetrieveAETitle")
    titles = {one: item.get("RetrieveAETitle") or everywhere for one, item in committed}
    return Result(
        event.TransactionUID,
        [one for one, _ in committed],
        failed,
        [one for one in wanted if one.sop_instance not in told],
        {one: title for one, title in titles.items() if title},
    )


# The SCP


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
            return [transaction_uid for transaction_uid, _ in records.items(_KIND)]

    def _take(self, event: Event) -> Answer:
        request = event.action_information
        transaction_uid = str(request.TransactionUID or "")
        references = [one for one, _ in _references(request, "ReferencedSOPSequence")]
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
            if records.get(_KIND, transaction_uid) is not None:
                return answer(0x0110, comment="the Transaction UID is in use")
            records.put(_KIND, transaction_uid, record)
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
            record = records.get(_KIND, transaction_uid)
        if record is None:
            return True
        request = unpack(record)
        event_type, result = self._checked(request)
        if self._tell(transaction_uid, request.ReceivingAE, event_type, result):
            LOGGER.info(
                "storage commitment %s: %d kept, %d not, reported to %s",
                transaction_uid,
                *(len(result.get(one, ())) for one in ("ReferencedSOPSequence", _FAILED)),
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
            records.delete(_KIND, transaction_uid)
        return True

    def _checked(self, request: Dataset) -> tuple[int, Dataset]:
        """The event's type, and information."""
        committed, failed = [], []
        for instance, _ in _references(request, "ReferencedSOPSequence"):
            try:
                reason = self._check(instance)
            except Exception as error:
                LOGGER.error("an instance could not be checked: %s", type(error).__name__)
                reason = PROCESSING_FAILURE
            if reason:
                failed.append(_item(instance, FailureReason=reason))
            else:
                committed.append(_item(instance))
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
