"""Storage Commitment, the push model (PS3.4 Annex J): who answers for images from now on.

The SCU asks, and waits for the result, `commit`, which comes on the same association or on another
one, `Results`. The SCP, `Provider`, checks each instance, and reports until it has been heard.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from os import PathLike
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, NamedTuple

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import event_types as evt
from pynetdicom.data_sets.part10 import read_header
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
from pynetdicom.utils import printable
from pynetdicom.workflows.commitment_information import (
    FAILED,
    REFERENCED,
    Information,
    Told,
    Writer,
    is_twice,
    transfer_syntax_of,
    untold,
    write,
)
from pynetdicom.workflows.commitment_provider import Provider as Provider
from pynetdicom.workflows.commitment_rules import CLASS_INSTANCE_CONFLICT as CLASS_INSTANCE_CONFLICT
from pynetdicom.workflows.commitment_rules import DUPLICATE_TRANSACTION as DUPLICATE_TRANSACTION
from pynetdicom.workflows.commitment_rules import FAILURES_EXIST as FAILURES_EXIST
from pynetdicom.workflows.commitment_rules import NO_SUCH_INSTANCE as NO_SUCH_INSTANCE
from pynetdicom.workflows.commitment_rules import PROCESSING_FAILURE as PROCESSING_FAILURE
from pynetdicom.workflows.commitment_rules import REQUEST as REQUEST
from pynetdicom.workflows.commitment_rules import RESOURCE_LIMITATION as RESOURCE_LIMITATION
from pynetdicom.workflows.commitment_rules import SOP_CLASS_NOT_SUPPORTED as SOP_CLASS_NOT_SUPPORTED
from pynetdicom.workflows.commitment_rules import SUCCESSFUL as SUCCESSFUL
from pynetdicom.workflows.commitment_rules import Failure as Failure
from pynetdicom.workflows.commitment_rules import Reference as Reference
from pynetdicom.workflows.providing import answer, refusal, taken

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.data_sets.data_set import EncodedDataSet
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.workflows")


COMMITTED, NOT_COMMITTED, MISSING = "committed", "failed", "missing"
"""What an instance has become, see `Outcome`."""


class Outcome(NamedTuple):
    """What became of an instance."""

    instance: Reference
    became: str
    """``"committed"``, ``"failed"``, or ``"missing"``: of which the peer has said nothing."""
    reason: int | None = None
    retrieve_ae_title: str | None = None


class Result:
    """What became of a request; it is read from what the peer has said when it is asked for.

    Attributes
    ----------
    transaction_uid : str
    committed : sequence of Reference
    failed : sequence of Failure
    missing : list of Reference
        What was asked for, and is in neither list.
    """

    def __init__(self, said: Information, wanted: Iterable[Reference]) -> None:
        self._said = said
        self.transaction_uid = said.transaction_uid
        # What is in both lists is not committed.
        self._refused: Collection[str] = ()
        count = said.count(REFERENCED)
        if said.count(FAILED) and is_twice(lambda: self._uids(REFERENCED, FAILED)):
            self._refused = set(self._uids(FAILED))
            count = sum(1 for _ in self._committed())
        self.committed: Sequence[Reference] = Told(
            lambda: (one.instance for one in self._committed()), count
        )
        self.failed: Sequence[Failure] = Told(
            lambda: (Failure(item.instance, item.reason) for item in said.items(FAILED)),
            said.count(FAILED),
        )
        self.missing = untold(wanted, said.instances(REFERENCED), said.instances(FAILED))

    @property
    def is_complete(self) -> bool:
        """Whether all that was asked for is committed."""
        return not self.failed and not self.missing

    @cached_property
    def retrieve_ae_titles(self) -> dict[Reference, str]:
        """From where instances can be retrieved, of those for which that is said.

        Where several AEs are said, they are separated by backslashes.
        """
        outcomes = self._committed()
        return {one.instance: one.retrieve_ae_title for one in outcomes if one.retrieve_ae_title}

    def outcomes(self) -> Iterator[Outcome]:
        """Give what became of each instance: the committed ones first, the missing ones last."""
        yield from self._committed()
        for instance, reason in self.failed:
            yield Outcome(instance, NOT_COMMITTED, reason)
        for instance in self.missing:
            yield Outcome(instance, MISSING)

    def _committed(self) -> Iterator[Outcome]:
        for instance, _, title in self._said.items(REFERENCED):
            if instance.sop_instance not in self._refused:
                yield Outcome(instance, COMMITTED, retrieve_ae_title=title or None)

    def _uids(self, *lists: int) -> Iterator[str]:
        return (one.sop_instance for tag in lists for one in self._said.instances(tag))

    def __repr__(self) -> str:
        counts = f"{len(self.committed)} committed, {len(self.failed)} failed"
        return f"<{type(self).__name__} {counts}, {len(self.missing)} missing>"


# The SCU


class Results:
    """Results of requests, and who waits for them; for any thread.

    Bind its `handlers` to the associations on which requests are made, and to the server to which
    peers come with results on associations of their own.
    """

    def __init__(self) -> None:
        # A dict's own operations are atomic.
        self._waiting: dict[str, SimpleQueue[Information | None]] = {}

    @property
    def handlers(self) -> list[tuple[evt.InterventionEvent, Callable[[Event], Any]]]:
        """For `AE.associate` and `AE.start_server`."""
        return [(evt.EVT_N_EVENT_REPORT, self.take)]

    def take(self, event: Event) -> Any:
        """Handle an N-EVENT-REPORT."""
        result = Information(event.received)
        problem = refusal(result.findings(REFERENCED, FAILED))
        if problem is not None:
            return problem
        queue = self._waiting.get(result.transaction_uid)
        if queue is None:
            peer = printable(event.assoc.remote["ae_title"])
            LOGGER.warning("%s reports a storage commitment that nobody waits for", peer)
            return answer(0x0115, comment="no such transaction")
        queue.put(result)
        return answer(0x0000)

    @contextmanager
    def _expecting(self, transaction_uid: str) -> Iterator[SimpleQueue[Information | None]]:
        queue: SimpleQueue[Information | None] = SimpleQueue()
        if self._waiting.setdefault(transaction_uid, queue) is not queue:
            raise ValueError(f"the result of {transaction_uid} is waited for already")
        try:
            yield queue
        finally:
            del self._waiting[transaction_uid]

    def wait(
        self, transaction_uid: str, instances: Iterable[Any] = (), timeout: float | None = 60.0
    ) -> Result:
        """Wait for the result of a request that was made before, such as by another process.

        Parameters
        ----------
        transaction_uid : str
        instances : iterable
            What was asked for, as for `commit`: what the peer says nothing of is missing.
        timeout : float, optional
            Seconds; None for ever.

        Returns
        -------
        Result

        Raises
        ------
        TimeoutError
            There was no result in time. The peer may still report one.
        """
        with self._expecting(transaction_uid) as queue:
            said = _get(queue, transaction_uid, timeout)
        assert said is not None
        return Result(said, map(reference_of, instances))


def _get(
    queue: SimpleQueue[Information | None], transaction_uid: str, timeout: float | None
) -> Information | None:
    try:
        return queue.get(timeout=remaining(after(timeout)))
    except Empty:
        why = f"there is no result of the storage commitment yet: {transaction_uid}"
        raise TimeoutError(why) from None


def reference_of(instance: Any) -> Reference:
    """Give the reference to an instance: a pair of UIDs, a data set, or the path of a file."""
    if isinstance(instance, (str, PathLike)):
        with read_header(instance) as header:
            return Reference(header.sop_class_uid, header.sop_instance_uid)
    if isinstance(instance, Dataset):
        for keyword in ("SOPClassUID", "SOPInstanceUID"):
            if not instance.get(keyword):
                raise ValueError(f"an instance without {keyword}")
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
    transaction_uid: str | None = None,
) -> Result:
    """Ask the peer to commit itself to keep instances, and wait for its result.

    Parameters
    ----------
    assoc : Association
        With a presentation context for Storage Commitment.
    instances : iterable
        Pairs of SOP Class UID and SOP Instance UID, data sets, or paths of DICOM files; each
        instance once. They are asked for one after another, and not kept.
    results : Results, optional
        Where the result comes, if not on this association alone: then its handlers are bound to a
        server of yours, which the peer has to know.
    release : bool
        Whether to release the association once the request was taken, and wait for the result on
        another one: there are peers that report only then. Needs `results`.
    timeout : float, optional
        Seconds to wait for the result; None for ever.
    transaction_uid : str, optional
        What the request and its result are known by, see `Results.wait`; by default a new one.

    Returns
    -------
    Result

    Raises
    ------
    ValueError
        There are no instances, or the same one twice; or nothing would hear the result.
    FileProblem
        A file cannot be read.
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
    if release and results is None:
        raise ValueError("without `results`, the result comes on the association of the request")
    uid = transaction_uid or generate_uid(prefix=None)
    request = _request(instances, uid, transfer_syntax_of(assoc))
    own = results or Results()
    with own._expecting(uid) as queue, _taking_results(assoc, own, results is None, queue):
        answered = assoc.send_n_action(
            request, REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        taken("a request for storage commitment", answered)
        if release:
            assoc.release()
        said = _get(queue, uid, timeout)
    if said is None:
        raise ConnectionError(f"no result of the storage commitment: {assoc.ended}")
    return Result(said, Information(request).instances(REFERENCED))


def _request(
    instances: Iterable[Any], transaction_uid: str, transfer_syntax: str
) -> EncodedDataSet:
    wanted = Writer(transfer_syntax)
    for instance in instances:
        wanted.add(reference_of(instance))
    request = write(transfer_syntax, transaction_uid, None, referenced=wanted)
    asked = Information(request)
    is_repeated = is_twice(lambda: (one.sop_instance for one in asked.instances(REFERENCED)))
    if not wanted.count or is_repeated:
        raise ValueError("storage commitment is asked for instances, each of them once")
    return request


@contextmanager
def _taking_results(
    assoc: Association, results: Results, is_only: bool, queue: SimpleQueue[Information | None]
) -> Iterator[None]:
    """Have results taken on an association too: if on it only, None comes when it ends."""

    def ended(event: Event) -> None:
        queue.put(None)

    before = assoc.get_handlers(evt.EVT_N_EVENT_REPORT)
    try:
        assoc.bind(evt.EVT_N_EVENT_REPORT, results.take)
        if is_only:
            for event_type in (evt.EVT_RELEASED, evt.EVT_ABORTED):
                assoc.bind(event_type, ended)
        yield
    finally:
        for event_type in (evt.EVT_RELEASED, evt.EVT_ABORTED):
            assoc.unbind(event_type, ended)
        assoc.unbind(evt.EVT_N_EVENT_REPORT, results.take)
        if before[0] != assoc.get_handlers(evt.EVT_N_EVENT_REPORT)[0]:
            assoc.bind(evt.EVT_N_EVENT_REPORT, *before)
