"""Negotiations that are like an earlier one, and are not worked out again.

A device asks for the same each time, and is answered the same. What is given here is shared by all
associations that are alike, so that nobody may change it: programs get copies of it.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Iterable, Sequence
from copy import deepcopy
from typing import Any, TypeVar

from pynetdicom.association.negotiated import Negotiated
from pynetdicom.uids import registrations
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer.contexts import PresentationContext
from pynetdicom.upper_layer.items import EXTENDED_NEGOTIATION, UserIdentityNegotiation
from pynetdicom.upper_layer.pdu import A_ASSOCIATE_AC, A_ASSOCIATE_RQ

T = TypeVar("T")

_LIMIT = 64


class _Lately(dict[Hashable, T]):
    """What was worked out lately, by what it follows from; for any thread."""

    def keep(self, key: Hashable, value: T) -> T:
        """Keep it, for those like it."""
        # A dict's own operations are atomic; two threads may do the same work.
        if len(self) >= _LIMIT:
            self.clear()
        self[key] = value
        return value


_requests: _Lately[A_ASSOCIATE_RQ] = _Lately()
_answers: _Lately[tuple[A_ASSOCIATE_AC, Negotiated]] = _Lately()
_conclusions: _Lately[tuple[Negotiated, list[str]]] = _Lately()


def _spelt_out(contexts: Iterable[PresentationContext]) -> tuple[Any, ...]:
    """What contexts say that a program may change."""
    return tuple([(c.abstract_uid, c.scu_role, c.scp_role, *c.transfer_uids) for c in contexts])


def request(
    contexts: Sequence[PresentationContext], ext_neg: Sequence[Any], **others: Any
) -> A_ASSOCIATE_RQ:
    """Return a request, see `acse.request`; what IDs the contexts have is no matter.

    Raises
    ------
    TypeError, ValueError
        As `acse.request`; also what cannot be encoded.
    """
    key: Hashable = None
    if not any(isinstance(item, UserIdentityNegotiation) for item in ext_neg):
        are_items = all(isinstance(item, EXTENDED_NEGOTIATION) for item in ext_neg)
        said = tuple([item.encode() for item in ext_neg]) if are_items else ()
        key = (_spelt_out(contexts), said, *others.values())
        known = _requests.get(key) if are_items else None
        if known is not None:
            return known
    copies = [
        PresentationContext.from_wire(None, c.abstract_uid, c.transfer_uids) for c in contexts
    ]
    rq = acse.request(contexts=copies, ext_neg=deepcopy(ext_neg), **others)
    wire = rq.encode()
    return rq if key is None else _requests.keep(key, rq.kept(wire))


def answer(
    rq: A_ASSOCIATE_RQ,
    supported: Sequence[PresentationContext],
    *,
    user_items: Sequence[Any] = (),
    unrestricted: Callable[[str], bool] | None = None,
    permitted: Callable[[str, bool], bool] | None = None,
    **others: Any,
) -> tuple[A_ASSOCIATE_AC, Negotiated]:
    """Return the acceptance of a request, see `acse.accept`, and what is agreed on by that."""
    key: Hashable = None
    if rq.wire and not (user_items or permitted):
        # What is storage may have been made known meanwhile.
        which = unrestricted and (unrestricted, len(registrations))
        key = (rq.wire, _spelt_out(supported), which, *others.values())
        known = _answers.get(key)
        if known is not None:
            return known
    ac, contexts = acse.accept(
        rq,
        supported,
        unrestricted=unrestricted,
        permitted=permitted,
        user_items=user_items,
        **others,
    )
    performed, invoked = acse.window_between(rq, ac)
    negotiated = Negotiated(
        [c for c in contexts if not c.result],
        [c for c in contexts if c.result],
        acse.maximum_length_in(rq),
        invoked,
        performed,
        is_shared=key is not None,
    )
    if key is None:
        return ac, negotiated
    return _answers.keep(key, (ac.kept(ac.encode()), negotiated))


def conclude(rq: A_ASSOCIATE_RQ, ac: A_ASSOCIATE_AC) -> tuple[Negotiated, list[str]]:
    """Return what is agreed on by the answer to a request, and what was wrong with that."""
    key = (rq.wire, ac.wire)
    is_kept = all(key)
    known = _conclusions.get(key)
    if known is not None:
        return known
    concluded = acse.conclude(rq, ac)
    negotiated = Negotiated(
        concluded.accepted,
        concluded.rejected,
        acse.maximum_length_in(ac),
        *acse.window_between(rq, ac),
        is_shared=is_kept,
    )
    made = negotiated, concluded.notes
    return _conclusions.keep(key, made) if is_kept else made
