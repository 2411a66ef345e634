"""Unified Procedure Step (PS3.4 Annex CC): its tables, and what follows from them.

In: a step, and what is asked of it. Out: what it is then and who is told what, or `Rejected`. There
is no store, no association and no thread here.
"""

from __future__ import annotations

from collections.abc import Iterable
from copy import deepcopy
from datetime import datetime
from typing import NamedTuple

from pydicom.datadict import keyword_for_tag, tag_for_keyword
from pydicom.dataset import Dataset
from pydicom.uid import generate_uid

from pynetdicom.sop_class import UnifiedProcedureStepPush
from pynetdicom.workflows.attributes import check, fill, is_empty, table
from pynetdicom.workflows.glance import Glance
from pynetdicom.workflows.providing import (
    Answer,
    answer,
    empty,
    merged,
    only,
    pack,
    read_text,
    refusal,
    unpack,
)
from pynetdicom.workflows.values import clean

UTF8 = "ISO_IR 192"
"""The Specific Character Set of what has texts of ours."""

SCHEDULED = "SCHEDULED"
IN_PROGRESS = "IN PROGRESS"
COMPLETED = "COMPLETED"
CANCELED = "CANCELED"

CHANGE_STATE, REQUEST_CANCEL, SUBSCRIBE, UNSUBSCRIBE, SUSPEND = range(1, 6)
"""Action Type IDs (CC.2.1 to CC.2.3)."""

STATE_REPORT, CANCEL_REQUESTED, PROGRESS_REPORT, STATUS_CHANGE, ASSIGNED = range(1, 6)
"""Event Type IDs (Table CC.2.4-1)."""

STATES = ("", SCHEDULED, IN_PROGRESS, COMPLETED, CANCELED)
"""The columns of the tables that follow; the first is that there is no such step."""

FINAL = {COMPLETED: "completed", CANCELED: "canceled"}
"""The final states: the column of the attributes' table that says what a step has in it."""

NO_SUCH_STEP = 0xC307
NOT_MET = 0xC304

# fmt: off
TRANSITIONS = {
    # Table CC.1.1-2: state asked for: the status in each state, with the right Transaction UID
    SCHEDULED:   (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    IN_PROGRESS: (0xC307, 0x0000, 0xC302, 0xC300, 0xC300),
    COMPLETED:   (0xC307, 0xC310, 0x0000, 0xB306, 0xC300),
    CANCELED:    (0xC307, 0xC310, 0x0000, 0xC300, 0xB304),
}
WITHOUT_RIGHT = {
    # and with a wrong one, or none
    SCHEDULED:   (0xC307, 0xC303, 0xC303, 0xC303, 0xC303),
    IN_PROGRESS: (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    COMPLETED:   (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
    CANCELED:    (0xC307, 0xC301, 0xC301, 0xC301, 0xC301),
}
REQUESTS_TO_CANCEL = (0xC307, 0x0000, 0x0000, 0xC311, 0xB304)
CREATIONS =          (0x0000, 0x0111, 0x0111, 0x0111, 0x0111)
MODIFICATIONS = {
    # CC.2.6.3: the Transaction UID of an N-SET: the status in each state
    "none":  (0xC307, 0x0000, 0xC301, 0xC300, 0xC300),
    "wrong": (0xC307, 0xC310, 0xC301, 0xC300, 0xC300),
    "right": (0xC307, 0xC310, 0x0000, 0xC300, 0xC300),
}
# fmt: on

VALUES = {
    "ScheduledProcedureStepPriority": ("HIGH", "MEDIUM", "LOW"),
    "InputReadinessState": ("INCOMPLETE", "UNAVAILABLE", "READY"),
}
"""Enumerated Values."""

_TRANSACTION_UID = 0x00081195
_PROGRESS = "ProcedureStepProgressInformationSequence"
_MODIFIED = "ScheduledProcedureStepModificationDateTime"
_REASONS = ("ReasonForCancellation", "ProcedureStepDiscontinuationReasonCodeSequence")
_CONTACT = ("ContactURI", "ContactDisplayName")
_REPORTED = (
    "ProcedureStepProgress",
    "ProcedureStepProgressDescription",
    "ProcedureStepProgressParametersSequence",
    "ProcedureStepCommunicationsURISequence",
)


class Rejected(Exception):
    """What is asked cannot be.

    Attributes
    ----------
    answer : tuple
        The response.
    """

    def __init__(self, given: Answer) -> None:
        super().__init__(f"0x{given[0].Status:04X} {given[0].get('ErrorComment', '')}".strip())
        self.answer = given


class Step(NamedTuple):
    """A step as the SCP has it."""

    attributes: Dataset
    """Without the Transaction UID, which is never told (CC.2.7.3)."""
    transaction_uid: str = ""
    """Of who has claimed it."""

    @property
    def state(self) -> str:
        """The Procedure Step State."""
        return str(self.attributes.ProcedureStepState)

    def with_values(self, **values: object) -> Step:
        """The step with other values, as of now."""
        attributes = merged(self.attributes, Dataset())
        for keyword, value in {**values, _MODIFIED: now()}.items():
            assign(attributes, keyword, value)
        return Step(attributes, self.transaction_uid)

    def encode(self) -> bytes:
        """Make a record of it."""
        kept = Dataset()
        kept.update(self.attributes)
        if self.transaction_uid:
            kept.TransactionUID = self.transaction_uid
        return pack(kept)

    @classmethod
    def decode(cls, record: bytes) -> Step:
        """Give the step of a record."""
        attributes = unpack(record)
        transaction_uid = str(attributes.get("TransactionUID") or "")
        attributes.pop("TransactionUID", None)
        return cls(attributes, transaction_uid)

    @staticmethod
    def glance(record: bytes) -> Glance:
        """Look at the attributes of a record without decoding them all."""
        return Glance(record, hidden=_TRANSACTION_UID)


class Event(NamedTuple):
    """What subscribers are told."""

    event_type: int
    information: Dataset


class Change(NamedTuple):
    """What is done with a step."""

    states: list[Step]
    """What it is, one after another; usually one."""
    code: int = 0x0000
    """The Status."""
    events: tuple[Event, ...] = ()
    """Other than those that follow from the states."""


_DT = "%Y%m%d%H%M%S.%f%z"


def now() -> str:
    """The date and time, as a DT."""
    return datetime.now().astimezone().strftime(_DT)


def finished(step: Glance, until: datetime) -> bool:
    """Whether a step was in a final state by then."""
    state, modified = (clean(step.get(keyword)) for keyword in ("ProcedureStepState", _MODIFIED))
    # Nothing of a step in a final state is modified any more.
    return state in FINAL and datetime.strptime(modified, _DT) <= until


def assign(data_set: Dataset, keyword: str, value: object) -> None:
    """Give an attribute a value, and leave alone the data sets that share its element till now."""
    if keyword in data_set:
        del data_set[keyword]
    setattr(data_set, keyword, value)


def value(information: Dataset, keyword: str, *values: str) -> str:
    """The value of an attribute that has to have one; one of these, if any are given.

    Raises
    ------
    Rejected
        It has none.
    AttributeError
        It is not there.
    """
    text = str(getattr(information, keyword) or "").strip()
    if not text:
        raise Rejected(answer(0x0121, data_set=empty([information[keyword].tag])))
    if values and text not in values:
        raise Rejected(answer(0x0115, comment=f"a {keyword} that there is not"))
    return text


def _pass(code: int) -> None:
    if code:
        raise Rejected(answer(code))


def _has(data_set: Dataset, keyword: str) -> bool:
    return keyword in data_set and not is_empty(data_set[keyword])


def _check(sent: Dataset, operation: str) -> None:
    findings = check(sent, table("ups"), operation)
    if problem := refusal(findings):
        raise Rejected(problem)
    if findings.not_allowed:
        raise Rejected(answer(0x0105, tags=findings.not_allowed, comment="not to be set"))
    for keyword, values in VALUES.items():
        if keyword in sent and sent[keyword].value not in values:
            raise Rejected(answer(0x0106, data_set=only(sent, keyword)))


def state_of(step: Step | None) -> int:
    """The column of a step in the tables."""
    return STATES.index(step.state if step else "")


def new_step(attributes: Dataset) -> Dataset:
    """A new step of these attributes: scheduled, and with all that may be empty (type 2)."""
    new = deepcopy(attributes)
    new.ProcedureStepState = SCHEDULED
    fill(new, table("ups"), "n_create")
    return new


def create(step: Step | None, sent: Dataset, uid: str, worklist_label: str) -> Change:
    """Create a step (CC.2.5)."""
    _pass(CREATIONS[state_of(step)])
    _check(sent, "n_create")
    named = {"SOPClassUID": str(UnifiedProcedureStepPush), "SOPInstanceUID": uid}
    for keyword, wanted in {**named, "TransactionUID": ""}.items():
        if _has(sent, keyword) and sent[keyword].value != wanted:
            raise Rejected(answer(0x0106, data_set=only(sent, keyword)))
    if sent.ProcedureStepState != SCHEDULED:
        raise Rejected(answer(0xC309))
    code = 0xB300 if _has(sent, _MODIFIED) else 0x0000
    if not _has(sent, "WorklistLabel"):
        named["WorklistLabel"] = worklist_label  # type 2/1: the SCP has one
    read_text(sent)  # by its own character set
    attributes = Dataset()
    attributes.update(sent)
    del attributes.TransactionUID
    return Change([Step(attributes).with_values(**named)], code)


def modify(step: Step | None, sent: Dataset) -> Change:
    """Set attributes of a step (CC.2.6), sequences whole."""
    given = str(sent.get("TransactionUID") or "")
    is_right = step is not None and given == step.transaction_uid
    which = "none" if not given else "right" if is_right else "wrong"
    _pass(MODIFICATIONS[which][state_of(step)])
    assert step is not None
    _check(sent, "n_set")
    code = 0xB305 if _has(sent, _MODIFIED) else 0x0000
    attributes = merged(step.attributes, sent)
    attributes.pop("TransactionUID", None)
    return Change([Step(attributes, step.transaction_uid).with_values()], code)


def change_state(step: Step | None, asked: str, transaction_uid: str) -> Change:
    """Change the state (CC.2.1)."""
    own = step.transaction_uid if step else ""
    is_right = bool(transaction_uid) and own in ("", transaction_uid)
    rows = TRANSITIONS if is_right else WITHOUT_RIGHT
    _pass(rows[asked][state_of(step)])
    assert step is not None
    if asked in FINAL:
        check_final(step, asked)
    return Change(
        [step._replace(transaction_uid=transaction_uid).with_values(ProcedureStepState=asked)]
    )


def check_final(step: Step, state: str) -> None:
    """See that a step has what it has to have in a final state."""
    findings = check(step.attributes, table("ups"), FINAL[state])
    if lacking := [*findings.absent, *findings.empty]:
        names = ", ".join(keyword_for_tag(tag) for tag in lacking)
        raise Rejected(answer(NOT_MET, comment=f"no {names}"))


def request_cancel(step: Step | None, information: Dataset, ae_title: str) -> Change:
    """Ask for a step not to be performed (CC.2.2).

    Nobody performs one that is scheduled: it is canceled. Otherwise who performs it is told.
    """
    _pass(REQUESTS_TO_CANCEL[state_of(step)])
    assert step is not None
    if step.state == IN_PROGRESS:
        told = _chosen(information, (*_REASONS, *_CONTACT))
        told.RequestingAE = ae_title
        return Change([step], events=(Event(CANCEL_REQUESTED, told),))
    return cancel(step, information)


def cancel(step: Step, information: Dataset) -> Change:
    """Cancel a step as the SCP, which meets what its final state requires (CC.2.2.3)."""
    states = []
    if step.state == SCHEDULED:
        claimed = step._replace(transaction_uid=str(generate_uid(prefix=None)))
        step = claimed.with_values(ProcedureStepState=IN_PROGRESS)
        states.append(step)
    item = _chosen(_item(step), [element.keyword for element in _item(step)])
    assign(item, "ProcedureStepCancellationDateTime", now())
    for element in _chosen(information, _REASONS):
        item[element.tag] = element
    if not _has(item, _REASONS[1]):
        assign(item, _REASONS[1], [unspecified()])
    if _has(information, "ContactURI"):
        assign(item, _REPORTED[-1], [_chosen(information, _CONTACT)])
    states.append(step.with_values(**{_PROGRESS: [item], "ProcedureStepState": CANCELED}))
    return Change(states)


def unspecified() -> Dataset:
    """The code for what is discontinued for no reason that is told (PS3.16 CID 9300)."""
    code = Dataset()
    code.CodeValue = "110513"
    code.CodingSchemeDesignator = "DCM"
    code.CodeMeaning = "Discontinued for unspecified reason"
    return code


# Events (CC.2.4)


def _chosen(data_set: Dataset, keywords: Iterable[str]) -> Dataset:
    """Those of some attributes that have values."""
    chosen = Dataset()
    for keyword in keywords:
        if _has(data_set, keyword):
            chosen[keyword] = data_set[keyword]
    return chosen


def _item(step: Step) -> Dataset:
    """The item of the progress information."""
    items = step.attributes.get(_PROGRESS) or [Dataset()]
    item: Dataset = items[0]
    return item


_STATE = ("ProcedureStepState", "InputReadinessState")
REPORTED = frozenset(tag_for_keyword(keyword) or 0 for keyword in (*_STATE, _PROGRESS))
"""The attributes of a step that `state_report` looks at."""


def state_report(step: Step) -> Event:
    """What the state of a step is."""
    told = _chosen(step.attributes, _STATE)
    told.update(_chosen(_item(step), _REASONS))
    return Event(STATE_REPORT, told)


def _progress(step: Step) -> Event:
    told = Dataset()
    told.ProcedureStepProgressInformationSequence = [_chosen(_item(step), _REPORTED)]
    return Event(PROGRESS_REPORT, told)


def _assigned(step: Step) -> Event:
    told = _chosen(step.attributes, ("ScheduledStationNameCodeSequence",))
    people = step.attributes.get("ScheduledHumanPerformersSequence") or ()
    for person in people:
        for code in person.get("HumanPerformerCodeSequence") or ():
            if "HumanPerformerCodeSequence" not in told:
                told.HumanPerformerCodeSequence = []
            told.HumanPerformerCodeSequence.append(code)
    if people and _has(people[0], "HumanPerformerOrganization"):
        told.HumanPerformerOrganization = people[0].HumanPerformerOrganization
    return Event(ASSIGNED, told)


def events(before: Step | None, after: Step) -> list[Event]:
    """What subscribers are told of a change (CC.2.4.3)."""
    told = []
    assigned = _assigned(after)
    is_assigned = any(element.VR == "SQ" for element in assigned.information)
    if before is None:
        return [state_report(after), *([assigned] if is_assigned else [])]
    if any(before.attributes.get(keyword) != after.attributes.get(keyword) for keyword in _STATE):
        told.append(state_report(after))
    if _progress(before) != _progress(after):
        told.append(_progress(after))
    if _assigned(before) != assigned:
        told.append(assigned)
    return told


def status_change(status: str, start: str) -> Event:
    """That the SCP is up again, ``RESTARTED``, or about to be down, ``GOING DOWN``.

    Parameters
    ----------
    status : str
    start : str
        ``WARM START``: it still has the subscriptions and the steps; ``COLD START``: it has not.
    """
    told = Dataset()
    told.SCPStatus = status
    told.SubscriptionListStatus = told.UnifiedProcedureStepListStatus = start
    return Event(STATUS_CHANGE, told)
