"""Modality Performed Procedure Step (PS3.4 Annex F): what a modality does, step by step.

The SCU begins a step and ends it, `begin`; the SCP, `Provider`, refuses what its state or the table
of its attributes forbids.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from copy import deepcopy
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, generate_uid

from pynetdicom import event_types as evt
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    ModalityPerformedProcedureStepNotification,
    ModalityPerformedProcedureStepRetrieve,
)
from pynetdicom.workflows.attributes import check, fill, table
from pynetdicom.workflows.providing import (
    Answer,
    accepted,
    answer,
    chosen,
    merged,
    only,
    pack,
    raise_for,
    refusal,
    taken,
    unpack,
)
from pynetdicom.workflows.stores import MemoryStore, Store

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event

IN_PROGRESS = "IN PROGRESS"
COMPLETED = "COMPLETED"
DISCONTINUED = "DISCONTINUED"

EVENTS = {
    1: "in progress",
    2: "completed",
    3: "discontinued",
    4: "updated",
    5: "deleted",
}
"""Event Type ID of MPPS Notification (F.9.2-1): what has happened."""

_EVENT_OF = {IN_PROGRESS: 1, COMPLETED: 2, DISCONTINUED: 3}
_UPDATED, _DELETED = 4, 5

NO_LONGER = "Performed Procedure Step Object may no longer be updated"
"""The Error Comment, with the Error ID 0xA710, of an N-SET in a final state (F.7.2.2.4)."""

_KIND = "mpps"
_STATUSES = "PROCEDURE_STEP_STATUS"
_CHARACTER_SET = Tag("SpecificCharacterSet")
_STATUS = "PerformedProcedureStepStatus"

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
        sent.update(attributes)
        step = None if known is None else merged(known, sent)
        raise_for(_set_problem(known, sent) or _final_problem(step))
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
        last.add_new(_STATUS, "CS", status)  # no other's element
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


# The rules of both


def _set_problem(stored: Dataset | None, change: Dataset) -> Answer | None:
    """Why an N-SET is refused: by the step's state, if that is known, or for what it sets."""
    if stored is not None and stored.PerformedProcedureStepStatus != IN_PROGRESS:
        return answer(0x0110, comment=NO_LONGER, ErrorID=0xA710)
    findings = check(change, table("mpps"), "n_set")
    never = sorted({*change.keys()} - {*(stored or change).keys(), _CHARACTER_SET})
    if findings.not_allowed or never:
        comment = "not to be set, or not in the N-CREATE"
        return answer(0x0105, tags=[*findings.not_allowed, *never], comment=comment)
    if change.get(_STATUS, IN_PROGRESS) not in _EVENT_OF:
        return answer(0x0106, data_set=only(change, _STATUS))
    return refusal(findings)


def _final_problem(merged: Dataset | None) -> Answer | None:
    """What a step lacks in its final state, if that is what it comes to."""
    if merged is None or merged.PerformedProcedureStepStatus == IN_PROGRESS:
        return None
    return refusal(check(merged, table("mpps"), "final"))


# The SCP


class Provider:
    """The SCP of performed procedure steps: keeps them, and tells them.

    Its handlers run on the threads of the associations; any thread may ask it.

    Parameters
    ----------
    store : Store, optional
        Where they are kept; by default in memory.
    decide : callable, optional
        ``decide(event, step)`` is asked before a step is created or changed, with the step as it
        would be, and may change it, within its attributes, or give a status that refuses it, as a
        handler would. Asked again, if another peer was faster.
    changed : callable, optional
        ``changed(uid, step, event_type)`` is told afterwards; the types are `EVENTS`.

    Notes
    -----
    PS3.4 F.7, F.8
    """

    sop_classes = frozenset(
        (ModalityPerformedProcedureStep, ModalityPerformedProcedureStepRetrieve)
    )

    def __init__(
        self,
        store: Store | None = None,
        *,
        decide: Callable[[Event, Dataset], Any] | None = None,
        changed: Callable[[str, Dataset, int], object] | None = None,
    ) -> None:
        self.store: Store = MemoryStore() if store is None else store
        self._decide = decide
        self._changed = changed

    @property
    def handlers(self) -> Mapping[evt.InterventionEvent, Callable[[Event], Any]]:
        """What handles its requests, see `providing.handlers`."""
        return {
            evt.EVT_N_CREATE: self._create,
            evt.EVT_N_SET: self._set,
            evt.EVT_N_GET: self._get,
        }

    def get(self, uid: str) -> Dataset | None:
        """Give a step; None when there is none."""
        with self.store.begin() as records:
            record = records.get(_KIND, uid)
        return None if record is None else unpack(record)

    def steps(self) -> list[tuple[str, Dataset]]:
        """Give all steps, by their SOP Instance UIDs."""
        with self.store.begin() as records:
            kept = records.items(_KIND)
        return [(uid, unpack(record)) for uid, record in kept]

    def delete(self, uid: str) -> bool:
        """Forget a step; False when there is none."""
        with self.store.begin() as records:
            record = records.get(_KIND, uid)
            records.delete(_KIND, uid)
        if record is not None:
            self._tell(uid, unpack(record), _DELETED)
        return record is not None

    def discontinue(self, uid: str, attributes: Dataset) -> bool:
        """End a step whose modality will not, with these attributes; False when it has ended.

        Raises
        ------
        ValueError
            It lacks what a step has in its final state.
        KeyError
            There is no such step.
        """
        change = Dataset()
        change.update(attributes)
        change.add_new(_STATUS, "CS", DISCONTINUED)
        with self.store.begin() as records:
            record = records.get(_KIND, uid)
            if record is None:
                raise KeyError(uid)
            stored = unpack(record)
            if stored.PerformedProcedureStepStatus != IN_PROGRESS:
                return False
            step = merged(stored, change)
            raise_for(_final_problem(step))
            records.put(_KIND, uid, pack(step))
        self._tell(uid, step, _EVENT_OF[DISCONTINUED])
        return True

    def _create(self, event: Event) -> Any:
        uid = event.request.AffectedSOPInstanceUID or generate_uid(prefix=None)
        step = event.attribute_list

        def create(stored: Dataset | None) -> Answer | Dataset:
            if stored is not None:
                return answer(0x0111)
            if problem := refusal(check(step, table("mpps"), "n_create")):
                return problem
            if step.PerformedProcedureStepStatus != IN_PROGRESS:
                return answer(0x0106, data_set=only(step, _STATUS))
            return step

        return self._change(event, uid, create)

    def _set(self, event: Event) -> Any:
        def change(stored: Dataset | None) -> Answer | Dataset:
            if stored is None:
                return answer(0x0112)
            modified = event.modification_list
            step = merged(stored, modified)
            return _set_problem(stored, modified) or _final_problem(step) or step

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
            told = _EVENT_OF[IN_PROGRESS] if before is None else _UPDATED
            # Nobody is held up while the application decides.
            decision = None if self._decide is None else self._decide(event, step)
            code = accepted(decision)
            if code is None:
                return decision
            record = pack(step)
            with self.store.begin() as records:
                if records.get(_KIND, uid) == before:
                    records.put(_KIND, uid, record)
                    break
        if step.PerformedProcedureStepStatus != IN_PROGRESS:
            told = _EVENT_OF[step.PerformedProcedureStepStatus]
        self._tell(uid, step, told)
        return answer(code, AffectedSOPInstanceUID=uid)

    def _get(self, event: Event) -> Answer:
        if event.context.abstract_syntax != ModalityPerformedProcedureStepRetrieve:
            return answer(0x0211)
        stored = self.get(event.request.RequestedSOPInstanceUID)
        if stored is None:
            return answer(0x0112)
        found, has_all = chosen(stored, event.attribute_identifiers)
        return answer(0x0000 if has_all else 0x0001, data_set=found)

    def _tell(self, uid: str, step: Dataset, event_type: int) -> None:
        if self._changed is not None:
            self._changed(uid, step, event_type)


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
