"""Unified Procedure Step (PS3.4 Annex CC): work that is scheduled, claimed, done, and watched.

Here is what SCUs do: `push` schedules a step, `find` looks for some, `claim` makes one ours to
perform, `request_cancel` asks for one not to be, `subscribe` has us told of them. The SCP is
`Provider`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import UID, generate_uid

from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.sop_class import (
    UnifiedProcedureStepPull,
    UnifiedProcedureStepPush,
    UnifiedProcedureStepQuery,
    UnifiedProcedureStepWatch,
)
from pynetdicom.workflows.attributes import check, table
from pynetdicom.workflows.providing import answer, raise_for, refusal
from pynetdicom.workflows.ups_provider import Provider
from pynetdicom.workflows.ups_rules import (
    ASSIGNED,
    CANCEL_REQUESTED,
    CANCELED,
    CHANGE_STATE,
    COMPLETED,
    IN_PROGRESS,
    PROGRESS_REPORT,
    SCHEDULED,
    STATE_REPORT,
    STATUS_CHANGE,
    UTF8,
    Rejected,
    assign,
    new_step,
    now,
    unspecified,
)
from pynetdicom.workflows.ups_watching import (
    find,
    get,
    listening,
    request_cancel,
    subscribe,
    suspend,
    taken,
    unsubscribe,
)

if TYPE_CHECKING:
    from pynetdicom.association import Association

__all__ = [
    "ASSIGNED",
    "CANCELED",
    "CANCEL_REQUESTED",
    "COMPLETED",
    "IN_PROGRESS",
    "PROGRESS_REPORT",
    "SCHEDULED",
    "STATE_REPORT",
    "STATUS_CHANGE",
    "Performance",
    "Provider",
    "Rejected",
    "claim",
    "contexts",
    "find",
    "get",
    "listening",
    "modify",
    "push",
    "request_cancel",
    "resume",
    "subscribe",
    "suspend",
    "unsubscribe",
]

_PUSH, _PULL = UnifiedProcedureStepPush, UnifiedProcedureStepPull
_CLASSES = (_PUSH, _PULL, UnifiedProcedureStepWatch, UnifiedProcedureStepQuery)
_PROGRESS = "ProcedureStepProgressInformationSequence"


def contexts() -> list[PresentationContext]:
    """Give presentation contexts for all that an SCU asks for."""
    return [build_context(uid) for uid in _CLASSES]


def push(assoc: Association, attributes: Dataset, uid: str | None = None) -> UID:
    """Schedule a step.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Push.
    attributes : pydicom.dataset.Dataset
        What has to be there and may be empty is added without a value (type 2), and the state is
        SCHEDULED.
    uid : str, optional
        The step's SOP Instance UID; by default a new one.

    Returns
    -------
    pydicom.uid.UID
        The step's SOP Instance UID.

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
    PS3.4 CC.2.5
    """
    own = new_step(attributes)
    findings = check(own, table("ups"), "n_create")
    problem = refusal(findings)
    if problem is None and findings.not_allowed:
        problem = answer(0x0105, tags=findings.not_allowed, comment="not in a step that is new")
    raise_for(problem)
    named = UID(uid or generate_uid(prefix=None))
    taken("N-CREATE", assoc.send_n_create(own, _PUSH, named))
    return named


class Performance:
    """A step that is ours to perform, as `claim` gives it.

    Attributes
    ----------
    uid : pydicom.uid.UID
        The step's SOP Instance UID.
    transaction_uid : pydicom.uid.UID
        By which the peer knows that it is ours; to be kept where the step has to outlive us.
    status : pydicom.dataset.Dataset
        The last response's. A warning, such as 0xB305, says that values were changed.
    """

    def __init__(self, assoc: Association, uid: str, transaction_uid: str) -> None:
        self._assoc = assoc
        self.uid = UID(uid)
        self.transaction_uid = UID(transaction_uid)
        self.status = Dataset()
        # Sequences are set whole: what was told of the progress has to be told again.
        self._progress = Dataset()

    def set(self, attributes: Dataset) -> None:
        """Set attributes; sequences whole, with what was in them.

        Raises
        ------
        Refused
            The peer refused it, or did not answer.
        RuntimeError
            There is no established association.

        Notes
        -----
        PS3.4 CC.2.6
        """
        sent = Dataset()
        sent.update(attributes)
        assign(sent, "TransactionUID", self.transaction_uid)
        if items := sent.get(_PROGRESS):
            self._progress = items[0]
        answered = self._assoc.send_n_set(sent, _PUSH, self.uid, meta_uid=_PULL)
        self.status = taken("N-SET", answered)

    def progress(self, percent: float, description: str | None = None, **more: Any) -> None:
        """Tell how far it is.

        Parameters
        ----------
        percent : float
        description : str, optional
        **more
            Further attributes of the progress, by keyword.

        Raises
        ------
        Refused, RuntimeError
            See `set`.
        """
        values = {"ProcedureStepProgress": f"{percent:g}", **more}
        if description is not None:
            values["ProcedureStepProgressDescription"] = description
        self._tell(**values)

    def _tell(self, **values: Any) -> None:
        item = Dataset()
        item.update(self._progress)
        for keyword, value in values.items():
            assign(item, keyword, value)
        change = Dataset()
        change.SpecificCharacterSet = UTF8
        change.ProcedureStepProgressInformationSequence = [item]
        self.set(change)

    def complete(self, attributes: Dataset | None = None) -> None:
        """End the step, which is done.

        Parameters
        ----------
        attributes : pydicom.dataset.Dataset, optional
            What is set before, such as the Unified Procedure Step Performed Procedure Sequence,
            which has to be there then.

        Raises
        ------
        Refused
            The peer refused it, or did not answer; 0xC304: the step lacks what it has to have.
        RuntimeError
            There is no established association.
        """
        if attributes is not None:
            self.set(attributes)
        self._end(COMPLETED)

    def cancel(
        self,
        reason: str | None = None,
        code: Dataset | None = None,
        attributes: Dataset | None = None,
    ) -> None:
        """End the step, which was given up.

        Parameters
        ----------
        reason : str, optional
            The Reason For Cancellation.
        code : pydicom.dataset.Dataset, optional
            The item of the Procedure Step Discontinuation Reason Code Sequence; by default it says
            that the reason is unspecified.
        attributes : pydicom.dataset.Dataset, optional
            What is set before.

        Raises
        ------
        Refused, RuntimeError
            See `set`.
        """
        if attributes is not None:
            self.set(attributes)
        values: dict[str, Any] = {
            "ProcedureStepCancellationDateTime": now(),
            "ProcedureStepDiscontinuationReasonCodeSequence": [code or unspecified()],
        }
        if reason is not None:
            values["ReasonForCancellation"] = reason
        self._tell(**values)
        self._end(CANCELED)

    def _end(self, state: str) -> None:
        self.status = _change_state(self._assoc, self.uid, state, self.transaction_uid)


def _change_state(assoc: Association, uid: str, state: str, transaction_uid: str) -> Dataset:
    information = Dataset()
    information.ProcedureStepState = state
    information.TransactionUID = transaction_uid
    answered = assoc.send_n_action(information, CHANGE_STATE, _PUSH, uid, meta_uid=_PULL)
    return taken(f"the change to {state}", answered)


def claim(assoc: Association, uid: str, transaction_uid: str | None = None) -> Performance:
    """Make a step that is scheduled ours to perform; of several who try, one succeeds.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Pull.
    uid : str
        The step's SOP Instance UID.
    transaction_uid : str, optional
        By default a new one. Who performs a step already goes on with `resume`.

    Returns
    -------
    Performance

    Raises
    ------
    Refused
        The peer refused it, or did not answer. 0xC301 or 0xC302: another one has it.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 CC.2.1
    """
    own = Performance(assoc, uid, transaction_uid or generate_uid(prefix=None))
    own.status = _change_state(assoc, own.uid, IN_PROGRESS, own.transaction_uid)
    return own


def resume(assoc: Association, uid: str, transaction_uid: str) -> Performance:
    """Go on with a step that was claimed, on another association, or in another process.

    Asks for what was told of its progress, which would be lost with the next report otherwise.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Pull.
    uid, transaction_uid : str
        As `claim` had them.

    Raises
    ------
    Refused
        The peer refused it, or did not answer.
    RuntimeError
        There is no established association.
    """
    own = Performance(assoc, uid, transaction_uid)
    if items := get(assoc, own.uid, [_PROGRESS]).get(_PROGRESS):
        own._progress = items[0]
    return own


def modify(assoc: Association, uid: str, attributes: Dataset) -> Dataset:
    """Set attributes of a step that nobody has claimed yet; sequences whole.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Pull.
    uid : str
        The step's SOP Instance UID.
    attributes : pydicom.dataset.Dataset

    Returns
    -------
    pydicom.dataset.Dataset
        The status. 0xB305: done, but values were changed.

    Raises
    ------
    Refused
        The peer refused it, or did not answer. 0xC301: somebody has claimed it.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 CC.2.6
    """
    return taken("N-SET", assoc.send_n_set(attributes, _PUSH, uid, meta_uid=_PULL))
