"""Modality Performed Procedure Step (PS3.4 Annex F): its states and what they forbid.

In: a step, and what is asked of it. Out: why that is refused, if it is. Of `mpps`, where users find
it.
"""

from __future__ import annotations

from pydicom.dataset import Dataset
from pydicom.tag import Tag

from pynetdicom.workflows.attributes import check, table
from pynetdicom.workflows.providing import Answer, answer, only, refusal

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

EVENT_OF = {IN_PROGRESS: 1, COMPLETED: 2, DISCONTINUED: 3}
UPDATED, DELETED = 4, 5

NO_LONGER = "Performed Procedure Step Object may no longer be updated"
"""The Error Comment, with the Error ID 0xA710, of an N-SET in a final state (F.7.2.2.4)."""

STATUS = "PerformedProcedureStepStatus"

_CHARACTER_SET = Tag("SpecificCharacterSet")


def create_problem(step: Dataset) -> Answer | None:
    """Why an N-CREATE is refused, where there is no such step yet."""
    if problem := refusal(check(step, table("mpps"), "n_create")):
        return problem
    if step.PerformedProcedureStepStatus != IN_PROGRESS:
        return answer(0x0106, data_set=only(step, STATUS))
    return None


def set_problem(stored: Dataset | None, change: Dataset) -> Answer | None:
    """Why an N-SET is refused: by the step's state, if that is known, or for what it sets."""
    if stored is not None and stored.PerformedProcedureStepStatus != IN_PROGRESS:
        return answer(0x0110, comment=NO_LONGER, ErrorID=0xA710)
    findings = check(change, table("mpps"), "n_set")
    never = sorted({*change.keys()} - {*(stored or change).keys(), _CHARACTER_SET})
    if findings.not_allowed or never:
        comment = "not to be set, or not in the N-CREATE"
        return answer(0x0105, tags=[*findings.not_allowed, *never], comment=comment)
    if problem := refusal(findings):
        return problem
    if change.get(STATUS, IN_PROGRESS) not in EVENT_OF:
        return answer(0x0106, data_set=only(change, STATUS))
    return None


def final_problem(merged: Dataset | None) -> Answer | None:
    """What a step lacks in its final state, if that is what it comes to."""
    if merged is None or merged.PerformedProcedureStepStatus == IN_PROGRESS:
        return None
    return refusal(check(merged, table("mpps"), "final"))
