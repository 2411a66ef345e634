"""Those who look for procedure steps, and are told of them (PS3.4 CC.2.2 to CC.2.4, CC.2.7).

Of `ups`, where users find it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pydicom.dataset import Dataset
from pydicom.uid import UID

from pynetdicom import event_types as evt
from pynetdicom.services.classes import PENDING
from pynetdicom.sop_class import UnifiedProcedureStepEvent, UnifiedProcedureStepQuery
from pynetdicom.sop_class import UnifiedProcedureStepPull as _PULL
from pynetdicom.sop_class import UnifiedProcedureStepPush as _PUSH
from pynetdicom.sop_class import UnifiedProcedureStepWatch as _WATCH
from pynetdicom.sop_class import UPSFilteredGlobalSubscriptionInstance as _FILTERED
from pynetdicom.sop_class import UPSGlobalSubscriptionInstance as _GLOBAL
from pynetdicom.workflows import providing
from pynetdicom.workflows.ups_rules import (
    REQUEST_CANCEL,
    SUBSCRIBE,
    SUSPEND,
    UNSUBSCRIBE,
    UTF8,
    assign,
)

if TYPE_CHECKING:
    from pynetdicom.association import Association
    from pynetdicom.events import Event


_STATUSES = "UNIFIED_PROCEDURE_STEP_SERVICE_CLASS_STATUS"


def carrier(assoc: Association, *uids: UID) -> UID:
    """The first of these SOP Classes that the peer has accepted a context of."""
    accepted = {context.abstract_syntax for context in assoc.accepted_contexts}
    return next((uid for uid in uids if uid in accepted), uids[0])


def taken(what: str, answered: tuple[Dataset, Dataset | None]) -> Dataset:
    """The status; a warning is left to the caller.

    Raises
    ------
    Refused
    """
    return providing.taken(f"{what} of a procedure step", answered, _STATUSES)


def find(assoc: Association, keys: Dataset) -> Iterator[Dataset]:
    """Look for steps; give what is asked for of each.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Query, UPS Pull or UPS Watch.
    keys : pydicom.dataset.Dataset
        What they have to match, and, without values, what else is wanted.

    Raises
    ------
    Refused
        The peer refused it, or did not answer, also in the midst of the matches.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 CC.2.8
    """
    sop_class = carrier(assoc, UnifiedProcedureStepQuery, _PULL, _WATCH)
    for status, match in assoc.send_c_find(keys, sop_class):
        if status.get("Status") not in PENDING:
            taken("C-FIND", (status, None))
        elif match is not None:
            yield match


def get(assoc: Association, uid: str, keywords: Iterable[str] = ()) -> Dataset:
    """Ask the peer for a step.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Pull, UPS Watch or UPS Push.
    uid : str
        The step's SOP Instance UID.
    keywords : iterable of str
        The attributes that are wanted, sequences whole; all by default.

    Raises
    ------
    Refused
        The peer refused it, or did not answer.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 CC.2.7
    """
    meta_uid = carrier(assoc, _PULL, _WATCH, _PUSH)
    status, step = assoc.send_n_get(list(keywords), _PUSH, uid, meta_uid=meta_uid)
    taken("N-GET", (status, step))
    return Dataset() if step is None else step


def request_cancel(
    assoc: Association,
    uid: str,
    reason: str | None = None,
    *,
    code: Dataset | None = None,
    contact_uri: str | None = None,
    contact: str | None = None,
) -> Dataset:
    """Ask for a step not to be performed.

    One that is scheduled is canceled; who performs one that is in progress is told, and may go on.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Watch or UPS Push.
    uid : str
        The step's SOP Instance UID.
    reason : str, optional
        The Reason For Cancellation.
    code : pydicom.dataset.Dataset, optional
        The item of the Procedure Step Discontinuation Reason Code Sequence.
    contact_uri, contact : str, optional
        Who can be asked about it.

    Returns
    -------
    pydicom.dataset.Dataset
        The status. 0xB304: it is canceled already.

    Raises
    ------
    Refused
        The peer refused it, or did not answer.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 CC.2.2
    """
    information = Dataset()
    for keyword, value in {
        "SpecificCharacterSet": UTF8,
        "ReasonForCancellation": reason,
        "ProcedureStepDiscontinuationReasonCodeSequence": code and [code],
        "ContactURI": contact_uri,
        "ContactDisplayName": contact,
    }.items():
        if value is not None:
            setattr(information, keyword, value)
    meta_uid = carrier(assoc, _WATCH, _PUSH)
    answered = assoc.send_n_action(information, REQUEST_CANCEL, _PUSH, uid, meta_uid=meta_uid)
    return taken("the request to cancel", answered)


def subscribe(
    assoc: Association,
    ae_title: str,
    uid: str | None = None,
    *,
    lock: bool = False,
    keys: Dataset | None = None,
) -> Dataset:
    """Have an AE told of a step, or of all, from now on.

    Parameters
    ----------
    assoc : Association
        With a presentation context for UPS Watch.
    ae_title : str
        Who is told; see `listening`.
    uid : str, optional
        The step's SOP Instance UID; without it, all steps.
    lock : bool
        Whether the steps are to be kept in their final states, until the subscription ends. Only
        with it all steps that there are already are subscribed to, too.
    keys : pydicom.dataset.Dataset, optional
        All steps that match them, instead of all.

    Returns
    -------
    pydicom.dataset.Dataset
        The status. 0xB301: subscribed, but without lock.

    Raises
    ------
    ValueError
        There are keys for one step.
    Refused
        The peer refused it, or did not answer. 0xC308: it does not know the AE.
    RuntimeError
        There is no established association.

    Notes
    -----
    PS3.4 CC.2.3
    """
    if uid is not None and keys is not None:
        raise ValueError("keys are for a subscription to several steps, not to one")
    information = Dataset()
    information.update(keys or {})
    assign(information, "DeletionLock", "TRUE" if lock else "FALSE")
    everywhere = _GLOBAL if keys is None else _FILTERED
    return _subscription(assoc, SUBSCRIBE, uid or everywhere, ae_title, information)


def unsubscribe(assoc: Association, ae_title: str, uid: str | None = None) -> Dataset:
    """Have an AE not told any more of a step, or of anything; see `subscribe`."""
    instance = uid or _GLOBAL
    return _subscription(assoc, UNSUBSCRIBE, instance, ae_title)


def suspend(assoc: Association, ae_title: str) -> Dataset:
    """Have an AE not told of further steps; of those it was told of it still is."""
    return _subscription(assoc, SUSPEND, _GLOBAL, ae_title)


def _subscription(
    assoc: Association, action: int, uid: str, ae_title: str, information: Dataset | None = None
) -> Dataset:
    asked = information or Dataset()
    assign(asked, "ReceivingAE", ae_title)
    answered = assoc.send_n_action(asked, action, _PUSH, uid, meta_uid=_WATCH)
    return taken("a subscription", answered)


def listening(
    heard: Callable[[str, int, Dataset], object],
) -> list[tuple[evt.InterventionEvent, Callable[[Event], Any]]]:
    """Give the event handlers of who is told of steps.

    Parameters
    ----------
    heard : callable
        ``heard(uid, event_type, information)`` is called with each event; the types are
        `STATE_REPORT`, `CANCEL_REQUESTED`, `PROGRESS_REPORT`, `STATUS_CHANGE` and `ASSIGNED`. An
        event may come twice.

    Returns
    -------
    list of tuple
        For `AE.start_server`, of an AE with
        ``add_supported_context(UnifiedProcedureStepEvent, scu_role=False, scp_role=True)``.
    """

    def take(event: Event) -> Any:
        if event.context.abstract_syntax != UnifiedProcedureStepEvent:
            return 0x0211, None
        uid = str(event.request.AffectedSOPInstanceUID)
        heard(uid, event.event_type, event.event_information)
        return 0x0000, None

    return [(evt.EVT_N_EVENT_REPORT, take)]
