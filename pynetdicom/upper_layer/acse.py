"""Association control as values: a request in, an acceptance, a rejection or a conclusion out.

PS3.8 7.1 and 9.3, PS3.7 Annex D.3. Contexts and their negotiation are in `contexts`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from itertools import repeat
from typing import Any, NamedTuple, TypeVar

from pynetdicom.uids import named, named_all
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.contexts import (
    ACCEPTED,
    MAXIMUM_CONTEXTS,
    NO_TRANSFER_SYNTAX,
    RESULTS,
    PresentationContext,
    conclude_contexts,
    negotiate,
)
from pynetdicom.upper_layer.structure import Structure

Item = TypeVar("Item", bound=Structure)

_WINDOW = items.AsynchronousOperationsWindowNegotiation


def check_request(
    rq: pdus.A_ASSOCIATE_RQ,
    *,
    ae_title: str,
    require_called_aet: bool = False,
    require_calling_aet: Sequence[str] = (),
) -> pdus.A_ASSOCIATE_RJ | None:
    """Return the rejection that a request deserves before its contexts are looked at, or None.

    That the provider itself accepts its protocol version is asked before. PS3.8 9.3.4
    """
    if rq.application_context_name != pdus.APPLICATION_CONTEXT:
        return pdus.A_ASSOCIATE_RJ(1, 1, 2)
    if require_called_aet and rq.called_ae_title != ae_title.strip():
        return pdus.A_ASSOCIATE_RJ(1, 1, 7)
    if require_calling_aet and rq.calling_ae_title not in [t.strip() for t in require_calling_aet]:
        return pdus.A_ASSOCIATE_RJ(1, 1, 3)
    return None


def accept(
    rq: pdus.A_ASSOCIATE_RQ,
    supported: Sequence[PresentationContext],
    *,
    maximum_length: int,
    implementation_class_uid: str,
    implementation_version_name: str | None,
    unrestricted: Callable[[str], bool] | None = None,
    permitted: Callable[[str, bool], bool] | None = None,
    user_items: Sequence[Any] = (),
) -> tuple[pdus.A_ASSOCIATE_AC, list[PresentationContext]]:
    """Return the acceptance of a request, and the outcome for each context that it proposes.

    Parameters
    ----------
    unrestricted : callable, optional
        Abstract syntaxes to accept in any transfer syntax besides the supported contexts: those for
        which it returns True.
    permitted : callable, optional
        Whether the requestor may have an abstract syntax at all, as SCP too or not.
    user_items : sequence
        The answers to extended negotiation and user identity; role selection is answered here.
    """
    proposed = contexts_of(rq)
    answers, roles = negotiate(proposed, supported, roles_in(rq), unrestricted, permitted)
    others = (*roles, *user_items)
    ac = pdus.A_ASSOCIATE_AC(
        called_ae_title=rq.called_ae_title,
        calling_ae_title=rq.calling_ae_title,
        application_context_name=rq.application_context_name,
        presentation_contexts=[
            items.PresentationContextAC(cx.context_id, cx.result, cx.transfer_uids[0])
            for cx in answers
        ],
        user_information=_user_information(
            maximum_length, implementation_class_uid, implementation_version_name, others
        ),
    )
    return ac, answers


def request(
    *,
    called_ae_title: str,
    calling_ae_title: str,
    contexts: Sequence[PresentationContext],
    maximum_length: int,
    implementation_class_uid: str,
    implementation_version_name: str | None,
    ext_neg: Sequence[Any] = (),
) -> pdus.A_ASSOCIATE_RQ:
    """Return a request for an association; contexts without an ID are given the free ones in order.

    Raises
    ------
    ValueError
        If there are no contexts or more than 128, an ID twice, or one lacks its syntaxes; or if
        `ext_neg` proposes different roles for one SOP Class.
    TypeError
        If something in `ext_neg` is no extended negotiation item.
    """
    if not 0 < len(contexts) <= MAXIMUM_CONTEXTS:
        raise ValueError(f"1 to {MAXIMUM_CONTEXTS} presentation contexts, not {len(contexts)}")
    taken = [cx.context_id for cx in contexts if cx.context_id is not None]
    if len(taken) != len(set(taken)):
        raise ValueError("A presentation context ID occurs twice")
    free = iter([number for number in range(1, 256, 2) if number not in taken])
    for cx in contexts:
        if not cx.abstract_uid or not cx.transfer_uids:
            what = f"the presentation context of {named(cx.abstract_uid)} has no transfer syntaxes"
            raise ValueError(what if cx.abstract_uid else f"{cx!r} has no abstract syntax")
    for item in ext_neg:
        if not isinstance(item, items.EXTENDED_NEGOTIATION):
            raise TypeError(f"{item!r} is not a valid extended negotiation item")
    return pdus.A_ASSOCIATE_RQ(
        called_ae_title=called_ae_title,
        calling_ae_title=calling_ae_title,
        presentation_contexts=[
            items.PresentationContextRQ(
                cx.context_id or next(free), cx.abstract_uid, cx.transfer_uids
            )
            for cx in contexts
        ],
        user_information=_user_information(
            maximum_length,
            implementation_class_uid,
            implementation_version_name,
            _without_repeated_roles(ext_neg),
        ),
    )


def _without_repeated_roles(ext_neg: Iterable[Any]) -> Iterator[Any]:
    """PS3.7 D.3.3.4: one item for a SOP Class, which holds for all of its contexts."""
    roles: dict[str, Any] = {}
    for item in ext_neg:
        if isinstance(item, items.SCP_SCU_RoleSelectionNegotiation):
            known = roles.setdefault(item.sop_class_uid, item)
            if known != item:
                raise ValueError(f"different roles are proposed for {named(item.sop_class_uid)}")
            if known is not item:
                continue
        yield item


def _user_information(
    maximum_length: int, class_uid: str, version_name: str | None, others: Iterable[Any]
) -> list[Any]:
    """Return the items by item type, the order in which PS3.7 Annex D lists them."""
    said = [
        items.MaximumLengthNotification(maximum_length),
        items.ImplementationClassUIDNotification(class_uid),
        *others,
    ]
    if version_name:
        said.append(items.ImplementationVersionNameNotification(version_name))
    return sorted(said, key=lambda item: item.item_type())


def item_of(among: Iterable[Any], cls: type[Item]) -> Item | None:
    """Return the first of the user information items that is of a class, if any."""
    return next((item for item in among if isinstance(item, cls)), None)


def contexts_of(rq: pdus.A_ASSOCIATE_RQ) -> list[PresentationContext]:
    """Return the contexts that a request proposes."""
    return [
        PresentationContext.from_wire(cx.context_id, cx.abstract_syntax, cx.transfer_syntaxes)
        for cx in rq.presentation_contexts
    ]


def results_of(ac: pdus.A_ASSOCIATE_AC) -> list[PresentationContext]:
    """Return the answered contexts; an A-ASSOCIATE-AC does not repeat the abstract syntaxes."""
    results = []
    for answer in ac.presentation_contexts:
        syntaxes = [answer.transfer_syntax] if answer.transfer_syntax else []
        context = PresentationContext.from_wire(answer.context_id, "", syntaxes)
        context.result = answer.result
        results.append(context)
    return results


def roles_in(pdu: pdus.A_ASSOCIATE_RQ | pdus.A_ASSOCIATE_AC) -> dict[str, tuple[bool, bool]]:
    """Return the roles that a PDU proposes or accepts: SOP Class UID → (SCU, SCP)."""
    return {
        item.sop_class_uid: (bool(item.scu_role), bool(item.scp_role))
        for item in pdu.user_information
        if isinstance(item, items.SCP_SCU_RoleSelectionNegotiation)
    }


def maximum_length_in(pdu: pdus.A_ASSOCIATE_RQ | pdus.A_ASSOCIATE_AC) -> int:
    """Return the longest P-DATA-TF the sender of `pdu` takes, 0 for no limit (PS3.8 D.1)."""
    item = item_of(pdu.user_information, items.MaximumLengthNotification)
    return 0 if item is None else item.maximum_length_received


class Conclusion(NamedTuple):
    """What a requestor makes of an acceptance."""

    accepted: list[PresentationContext]
    rejected: list[PresentationContext]
    notes: list[str]
    """What was wrong with it and how it was taken, for the log."""
    refusals: list[str]
    """Which contexts were not accepted and why."""


MAXIMUM_WINDOW = 64
"""As many operations are outstanding at a time where there is no other limit."""


def agreed_window(
    offer: items.AsynchronousOperationsWindowNegotiation | None,
    answer: items.AsynchronousOperationsWindowNegotiation | None,
) -> tuple[int, int]:
    """Give how many operations the requestor may invoke, and perform, at a time (PS3.7 D.3.3.3)."""
    if offer is None or answer is None:
        return 1, 1
    offered, answered = (
        (item.maximum_number_operations_invoked, item.maximum_number_operations_performed)
        for item in (offer, answer)
    )
    # An answer beyond the offer breaks the rule: what was offered counts.
    invoked, performed = map(within, offered, answered)
    return min(invoked or MAXIMUM_WINDOW, MAXIMUM_WINDOW), min(
        performed or MAXIMUM_WINDOW, MAXIMUM_WINDOW
    )


def window_between(rq: pdus.A_ASSOCIATE_RQ, ac: pdus.A_ASSOCIATE_AC) -> tuple[int, int]:
    """Give what a request and its answer have agreed on; see `agreed_window`."""
    return agreed_window(
        item_of(rq.user_information, _WINDOW), item_of(ac.user_information, _WINDOW)
    )


def within(offer: int, answer: int) -> int:
    """What of an answer is within the offer; 0 is any number, in both."""
    return min(offer or answer, answer or offer)


def conclude(rq: pdus.A_ASSOCIATE_RQ, ac: pdus.A_ASSOCIATE_AC) -> Conclusion:
    """Return what a requestor makes of the answer to its request: never more than it proposed."""
    unasked: tuple[type[Structure], ...] = (_WINDOW, items.UserIdentityNegotiation)
    notes: list[str] = []
    proposed_roles, accepted_roles = roles_in(rq), roles_in(ac)
    proposed = contexts_of(rq)
    concluded = conclude_contexts(
        proposed, ac.presentation_contexts, proposed_roles, accepted_roles
    )
    for cx, problem in concluded:
        if problem:
            how = "" if cx.result == ACCEPTED else " counts as rejected"
            which = f"{named(cx.abstract_uid)}: presentation context {cx.context_id}"
            notes.append(f"{which}{how}: {problem}")
    theirs = {answer.context_id for answer in ac.presentation_contexts}
    for number in sorted(theirs - {cx.context_id for cx in proposed}):
        notes.append(f"presentation context {number} was not proposed: ignored")
    for uid in accepted_roles:
        if uid not in proposed_roles:
            notes.append(f"roles for {named(uid)} were not proposed: ignored")
    for cls in unasked:
        if item_of(ac.user_information, cls) and not item_of(rq.user_information, cls):
            notes.append(f"{cls.__name__} was not proposed: ignored")
    return Conclusion(
        [cx for cx, _ in concluded if cx.result == ACCEPTED],
        [cx for cx, _ in concluded if cx.result != ACCEPTED],
        notes,
        refusals(proposed, *zip(*concluded, strict=True)),
    )


def refusals(
    proposed: Iterable[PresentationContext],
    answers: Iterable[PresentationContext],
    problems: Iterable[str] = repeat(""),
) -> list[str]:
    """Say which of the proposed contexts were not accepted, and why."""
    said = []
    for rq, answer, problem in zip(proposed, answers, problems, strict=False):
        why = problem or RESULTS.get(answer.result or 0, f"result {answer.result}").lower()
        if answer.result == NO_TRANSFER_SYNTAX and not problem:
            why = f"none of the transfer syntaxes is supported: {named_all(rq.transfer_uids)}"
        if answer.result != ACCEPTED:
            said.append(f"{named(rq.abstract_uid)}: {why}")
    return said
