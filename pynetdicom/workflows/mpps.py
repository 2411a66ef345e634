"""Modality Performed Procedure Step (PS3.4 Annex F): what a modality does, step by step.

The SCU begins a step and ends it, `begin`; the SCP, `Provider`, refuses what its state or the table
of its attributes forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from pynetdicom import event_types as evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)
from pynetdicom.workflows.attributes import check, fill, table
from pynetdicom.workflows.mpps_provider import Provider
from pynetdicom.workflows.mpps_rules import (
    COMPLETED,
    DISCONTINUED,
    EVENTS,
    IN_PROGRESS,
    NO_LONGER,
    STATUS,
    final_problem,
    set_problem,
)
from pynetdicom.workflows.providing import merged, raise_for, refusal, taken

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

__all__ = [
    "COMPLETED",
    "DISCONTINUED",
    "EVENTS",
    "IN_PROGRESS",
    "NO_LONGER",
    "Provider",
    "Step",
    "begin",
    "get",
    "listening",
    "notify",
    "resume",
]

_STATUSES = "PROCEDURE_STEP_STATUS"

# The SCU


class Step:
    """A step of ours, which the peer keeps.

    Attributes
    ----------
    uid : pydicom.uid.UID
        Its SOP Instance UID.
    attributes : pydicom.dataset.Dataset or None
        What has been told of it; None if that is not known, see `resume`.
    status : pydicom.dataset.Dataset
        The last response's. A warning, such as 0x0107, says that it was done in part.
    """

    def __init__(self, assoc: Association, uid: str, attributes: Dataset | None) -> None:
        self._assoc = assoc
        self.uid = UID(uid)
        self.attributes = attributes
        self.status = Dataset()

    def update(self, attributes: Dataset) -> None:
        """Set attributes; sequences whole, with what was in them.

        Parameters
        ----------
        attributes : pydicom.dataset.Dataset
            What has to be in an item of a sequence and may be empty is added (type 2).

        Raises
        ------
        ValueError
            An attribute cannot be set, was not there when the step began, or has to have a value in
            the state that is set (F.7.2-1). Nothing is sent.
        Refused
            The peer refused it, or did not answer.
        RuntimeError
            There is no established association.

        Notes
        -----
        PS3.4 F.7.2.2
        """
        known, sent = self.attributes, Dataset()
        if known is not None and "SpecificCharacterSet" in known:
            sent.SpecificCharacterSet = known.SpecificCharacterSet
        sent.update(deepcopy(attributes))
        fill(sent, table("mpps"), "n_set")  # in items: at the top, nothing has to be set
        step = None if known is None else merged(known, sent)
        raise_for(set_problem(known, sent) or final_problem(step))
        sop_class = ModalityPerformedProcedureStep
        self._taken("N-SET", self._assoc.send_n_set(sent, sop_class, self.uid))
        self.attributes = step

    def complete(self, attributes: Dataset | None = None) -> None:
        """End the step, which is done; see `update`. The end's date and time have to be there."""
        self._end(COMPLETED, attributes)

    def discontinue(self, attributes: Dataset | None = None) -> None:
        """End the step, which was given up; see `complete`."""
        self._end(DISCONTINUED, attributes)

    def _end(self, status: str, attributes: Dataset | None) -> None:
        last = Dataset()
        last.update(attributes or {})
        last.add_new(STATUS, "CS", status)  # no other's element
        self.update(last)

    def _taken(self, what: str, answered: tuple[Dataset, Dataset | None]) -> None:
        self.status = answered[0]
        taken(f"{what} of a performed procedure step", answered, _STATUSES)


def begin(assoc: Association, attributes: Dataset, uid: str | None = None) -> Step:
    """Tell the peer that a step has begun.

    Parameters
    ----------
    assoc : Association
        With a presentation context for Modality Performed Procedure Step.
    attributes : pydicom.dataset.Dataset
        What has to be there and may be empty is added without a value (type 2), so that it can be
        set later, and the status is IN PROGRESS.
    uid : str, optional
        The step's SOP Instance UID; by default a new one.

    Returns
    -------
    Step

    Raises
    ------
    ValueError
        An attribute that has to have a value has none (type 1). Nothing is sent.
    Refused
        The peer refused it, or did not answer.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 F.7.2.1
    """
    own = deepcopy(attributes)
    own.PerformedProcedureStepStatus = IN_PROGRESS
    fill(own, table("mpps"), "n_create")
    raise_for(refusal(check(own, table("mpps"), "n_create")))
    step = Step(assoc, uid or generate_uid(prefix=None), own)
    step._taken("N-CREATE", assoc.send_n_create(own, ModalityPerformedProcedureStep, step.uid))
    return step


def resume(assoc: Association, uid: str, attributes: Dataset | None = None) -> Step:
    """Go on with a step that was begun on another association, or by another process.

    Parameters
    ----------
    assoc, uid
        As `begin` has them.
    attributes : pydicom.dataset.Dataset, optional
        What has been told of it, `Step.attributes`. Without, it is left to the peer to refuse what
        was not there when the step began, and what lacks in its final state.
    """
    return Step(assoc, uid, attributes)


def listening(
    heard: Callable[[str, int], object],
) -> list[tuple[evt.InterventionEvent, Callable[[Event], Any]]]:
    """Give the event handlers of who is notified of steps.

    Parameters
    ----------
    heard : callable
        ``heard(uid, event_type)`` is called with each notification; the types are `EVENTS`. One may
        come twice. What the step is now, `get` tells.

    Returns
    -------
    list of tuple
        For `AE.associate`, or for `AE.start_server`, of an AE with
        ``add_supported_context(ModalityPerformedProcedureStepNotification, scu_role=False,
        scp_role=True)``.
    """

    def take(event: Event) -> Any:
        if event.context.abstract_syntax != ModalityPerformedProcedureStepNotification:
            return 0x0211, None
        heard(str(event.request.AffectedSOPInstanceUID), event.event_type)
        return 0x0000, None

    return [(evt.EVT_N_EVENT_REPORT, take)]


def notify(assoc: Association, uid: str, event_type: int) -> Dataset:
    """Tell a subscriber what has happened to a step, as its SCP.

    Parameters
    ----------
    assoc : Association
        With a presentation context for MPPS Notification.
    uid : str
        The step's SOP Instance UID.
    event_type : int
        See `EVENTS`.

    Returns
    -------
    pydicom.dataset.Dataset
        The status.

    Notes
    -----
    PS3.4 F.9
    """
    sop_class = ModalityPerformedProcedureStepNotification
    status, _ = assoc.send_n_event_report(None, event_type, sop_class, uid)
    return status


def get(assoc: Association, uid: str, keywords: Iterable[str] = ()) -> Dataset:
    """Ask the peer for a step.

    Parameters
    ----------
    assoc : Association
        With a presentation context for MPPS Retrieve.
    uid : str
        The step's SOP Instance UID.
    keywords : iterable of str
        The attributes that are wanted; all by default.

    Raises
    ------
    Refused
        The peer refused it, or did not answer.

    Notes
    -----
    PS3.4 F.8
    """
    sop_class = ModalityPerformedProcedureStepRetrieve
    status, step = assoc.send_n_get(list(keywords), sop_class, uid)
    taken("N-GET of a performed procedure step", (status, step), _STATUSES)
    return Dataset() if step is None else step
