"""Storage Commitment, the push model (PS3.4 Annex J): who answers for images from now on.

The SCU asks, and waits for the result, `commit`, which comes on the same association or on another
one, `Results`. The SCP, `Provider`, checks each instance, and reports until it has been heard.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from os import PathLike
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import event_types as evt
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.sop_class import StorageCommitmentPushModel, StorageCommitmentPushModelInstance
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
from pynetdicom.workflows.commitment_rules import item_of, referenced
from pynetdicom.workflows.providing import answer, taken

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

LOGGER = logging.getLogger("pynetdicom.workflows")


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
    request.ReferencedSOPSequence = list(map(item_of, wanted))
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
        answered = assoc.send_n_action(
            request, REQUEST, StorageCommitmentPushModel, StorageCommitmentPushModelInstance
        )
        taken("a request for storage commitment", answered)
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


def _result(event: Dataset, wanted: Iterable[Reference]) -> Result:
    committed = list(referenced(event, "ReferencedSOPSequence"))
    failed = [
        Failure(one, item.FailureReason) for one, item in referenced(event, "FailedSOPSequence")
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
