"""Instance Availability Notification (PS3.4 Annex R): an archive says what can be had from where.

The SCU, which is the archive, makes a notification of instances, `notification_of`, and tells it,
`notify`. The SCP, `Provider`, refuses what the table of its attributes forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from os import PathLike
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom import event_types as evt
from pynetdicom.sop_class import InstanceAvailabilityNotification, ModalityPerformedProcedureStep
from pynetdicom.workflows.ages import Ages
from pynetdicom.workflows.attributes import check, fill, table
from pynetdicom.workflows.providing import (
    Answer,
    accepted,
    answer,
    kept,
    only,
    pack,
    raise_for,
    refusal,
    taken,
)
from pynetdicom.workflows.stores import MemoryStore, Store

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

ONLINE = "ONLINE"
NEARLINE = "NEARLINE"
OFFLINE = "OFFLINE"
UNAVAILABLE = "UNAVAILABLE"
AVAILABILITIES = (ONLINE, NEARLINE, OFFLINE, UNAVAILABLE)
"""What Instance Availability may be (PS3.3 C.4.23.1.1)."""

AT_MOST_ONE = ("ReferencedPerformedProcedureStepSequence", "PerformedWorkitemCodeSequence")
"""The sequences of which there is one item, or none (R.3.2-1)."""

_KIND = "availability"

# The SCU


def notification_of(
    instances: Iterable[Any],
    retrieve_ae_title: str,
    availability: str = ONLINE,
    *,
    step: str | None = None,
    workitem: Dataset | None = None,
) -> Dataset:
    """Make the notification of instances of one study, all of which are to be had in one way.

    Parameters
    ----------
    instances : iterable
        Data sets, or paths of DICOM files, with the UIDs of study, series and instance.
    retrieve_ae_title : str
        From where they can be retrieved.
    availability : str
        See `AVAILABILITIES`.
    step : str, optional
        The SOP Instance UID of the performed procedure step that they are of.
    workitem : pydicom.dataset.Dataset, optional
        The code of its workitem.

    Raises
    ------
    ValueError
        There are no instances, or they are of several studies, or one lacks a UID.
    """
    notification = Dataset()
    studies, series = set(), dict[str, Dataset]()
    for instance in map(_header, instances):
        studies.add(instance.StudyInstanceUID)
        of_series = series.setdefault(instance.SeriesInstanceUID, Dataset())
        of_series.SeriesInstanceUID = instance.SeriesInstanceUID
        item = Dataset()
        item.ReferencedSOPClassUID = instance.SOPClassUID
        item.ReferencedSOPInstanceUID = instance.SOPInstanceUID
        item.InstanceAvailability = availability
        item.RetrieveAETitle = retrieve_ae_title
        of_series.setdefault("ReferencedSOPSequence", []).value.append(item)
    if len(studies) != 1:
        raise ValueError(f"a notification is of one study, and not of {len(studies)}")
    if step is not None:
        performed = Dataset()
        performed.ReferencedSOPClassUID = ModalityPerformedProcedureStep
        performed.ReferencedSOPInstanceUID = step
        performed.PerformedWorkitemCodeSequence = [] if workitem is None else [workitem]
        notification.ReferencedPerformedProcedureStepSequence = [performed]
    [notification.StudyInstanceUID] = studies
    notification.ReferencedSeriesSequence = list(series.values())
    return notification


def _header(instance: Any) -> Dataset:
    header: Dataset = instance
    keywords = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    if isinstance(instance, (str, PathLike)):
        from pydicom import dcmread

        header = dcmread(instance, stop_before_pixels=True, specific_tags=keywords)
    if missing := [keyword for keyword in keywords if not header.get(keyword)]:
        raise ValueError(f"an instance without {', '.join(missing)}")
    return header


def notify(assoc: Association, notification: Dataset, uid: str | None = None) -> Dataset:
    """Tell the peer what can be had from where.

    Parameters
    ----------
    assoc : Association
        With a presentation context for Instance Availability Notification.
    notification : pydicom.dataset.Dataset
        See `notification_of`. What has to be there and may be empty is added without a value.
    uid : str, optional
        The notification's SOP Instance UID; by default a new one.

    Returns
    -------
    pydicom.dataset.Dataset
        The status: success, or a warning, such as 0x0107, that it was taken in part.

    Raises
    ------
    ValueError
        An attribute is not one of a notification's, or lacks what it has to have. Nothing is sent.
    Refused
        The peer refused it, or did not answer.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 R.3.2.1
    """
    sent = Dataset()
    sent.update(notification)
    fill(sent, table("ian"), "n_create")
    raise_for(_problem(sent))
    sop_class = InstanceAvailabilityNotification
    answered = assoc.send_n_create(sent, sop_class, uid or generate_uid(prefix=None))
    return taken("an instance availability notification", answered)


# The rules of both


def _problem(notification: Dataset) -> Answer | None:
    """Why a notification is refused."""
    findings = check(notification, table("ian"), "n_create", is_complete=True)
    if findings.not_allowed:
        return answer(0x0105, tags=findings.not_allowed, comment="not of a notification")
    if problem := refusal(findings):
        return problem
    steps = notification.ReferencedPerformedProcedureStepSequence or []
    instances = (
        instance
        for series in notification.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    )
    wrong = [
        (item, keyword)
        for item in (notification, *steps)
        for keyword in AT_MOST_ONE
        if len(item.get(keyword) or ()) > 1
    ] + [
        (instance, "InstanceAvailability")
        for instance in instances
        if instance.InstanceAvailability not in AVAILABILITIES
    ]
    return answer(0x0106, data_set=only(*wrong[0])) if wrong else None


# The SCP


class Provider:
    """The SCP of instance availability notifications: keeps them, and tells them.

    Its handler runs on the threads of the associations; any thread may ask it.

    Parameters
    ----------
    store : Store, optional
        Where they are kept until `delete`; by default in memory.
    decide : callable, optional
        ``decide(event, notification)`` is asked before one is kept, and may give a status that
        refuses it, as a handler would.
    notified : callable, optional
        ``notified(uid, notification)`` is told afterwards.
    keep : float, optional
        Seconds after which one is deleted; by default it never is.

    Notes
    -----
    PS3.4 R.3
    """

    sop_classes = frozenset((InstanceAvailabilityNotification,))

    def __init__(
        self,
        store: Store | None = None,
        *,
        decide: Callable[[Event, Dataset], Any] | None = None,
        notified: Callable[[str, Dataset], object] | None = None,
        keep: float | None = None,
    ) -> None:
        self.store: Store = MemoryStore() if store is None else store
        self._decide = decide
        self._notified = notified
        self._ages = Ages(_KIND, keep)

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests, see `providing.handlers`."""
        return {evt.EVT_N_CREATE: self._create}

    def notifications(self) -> list[tuple[str, Dataset]]:
        """Give all that are kept, by their SOP Instance UIDs."""
        return kept(self.store, _KIND)

    def delete(self, uid: str) -> bool:
        """Forget one, which then can be told again; False when there is none."""
        with self.store.begin() as records:
            is_there = records.get(_KIND, uid) is not None
            records.delete(_KIND, uid)
            self._ages.forget(records, uid)
        return is_there

    def _create(self, event: Event) -> Any:
        uid = event.request.AffectedSOPInstanceUID or generate_uid(prefix=None)
        with self.store.begin() as records:
            if records.get(_KIND, uid) is not None:
                return answer(0x0111)
        notification = event.attribute_list
        if problem := _problem(notification):
            return problem
        # Nobody is held up while the application decides.
        decision = None if self._decide is None else self._decide(event, notification)
        code = accepted(decision)
        if code is None:
            return decision
        record = pack(notification)
        with self.store.begin() as records:
            if records.get(_KIND, uid) is not None:  # another peer was faster
                return answer(0x0111)
            records.put(_KIND, uid, record)
            self._ages.note(records, uid)
            for old in self._ages.old(records):
                records.delete(_KIND, old)
        if self._notified is not None:
            self._notified(uid, notification)
        return answer(code, AffectedSOPInstanceUID=uid)
