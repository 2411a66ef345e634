"""Presentation contexts, and what becomes of them when both sides have spoken.

PS3.8 7.1.1.13 and 9.3, PS3.7 D.3.3.4.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom.uids import abstract_syntax_uid, checked, named, transfer_syntax_uid
from pynetdicom.upper_layer.fields import Field, Flag
from pynetdicom.upper_layer.items import PresentationContextAC, SCP_SCU_RoleSelectionNegotiation

if TYPE_CHECKING:
    from pydicom.uid import UID

RESULTS = {
    0: "Accepted",
    1: "User Rejected",
    2: "Provider Rejected",
    3: "Abstract Syntax Not Supported",
    4: "Transfer Syntax(es) Not Supported",
}
"""Result of a presentation context, PS3.8 Table 9-18."""
ACCEPTED, USER_REJECTED, PROVIDER_REJECTED, NO_ABSTRACT_SYNTAX, NO_TRANSFER_SYNTAX = RESULTS

IMPLICIT_VR_LITTLE_ENDIAN = "1.2.840.10008.1.2"

MAXIMUM_CONTEXTS = 128
"""As many as there are IDs: odd, 1 to 255 (PS3.8 9.3.2.2)."""

Roles = Mapping[str, tuple[bool | None, bool | None]]
"""SOP Class UID → whether the requestor may be SCU, SCP."""


def to_uid(uid: str) -> UID:
    """Return a UID as the public interface shows it, whatever it looks like."""
    from pydicom import config
    from pydicom.uid import UID

    # What a peer sent is shown as it is: pydicom shall not warn about it.
    return UID(uid, validation_mode=config.IGNORE)


def no_context(abstract_uid: str, transfer_uid: str = "") -> str:
    """Say that nothing was accepted on which something could be sent."""
    with_syntax = f" with transfer syntax {named(transfer_uid)}" if transfer_uid else ""
    return f"no accepted presentation context for {named(abstract_uid)}{with_syntax}"


class PresentationContextTuple(NamedTuple):
    """The accepted presentation context of a message, as handlers see it."""

    context_id: int
    abstract_syntax: UID
    transfer_syntax: UID


class _ContextID(Field[int | None]):
    types = (int,)

    def check(self, value: Any) -> int | None:
        if super().check(value) not in range(1, 256, 2):
            raise ValueError("'context_id' must be an odd integer between 1 and 255, inclusive")
        return int(value)


_UNSET = {
    **dict.fromkeys(("context_id", "result", "scu_role", "scp_role", "as_scu", "as_scp")),
    "abstract_uid": "",
    "scp_unanswered": False,
}


class PresentationContext:
    """A presentation context: a kind of object or service, and the encodings it may use.

    Parameters
    ----------
    abstract_syntax : str, bytes or pydicom.uid.UID, optional
        The abstract syntax, usually a SOP Class: its UID, or its keyword such as
        ``"CTImageStorage"``.
    transfer_syntax : sequence of str, bytes or pydicom.uid.UID, optional
        The transfer syntaxes, by UID or keyword, the preferred one first.
    context_id : int, optional
        Odd, 1 to 255.

    Attributes
    ----------
    result : int or None
        0 accepted, 1 user rejected, 2 provider rejected, 3 abstract syntax not supported,
        4 transfer syntaxes not supported; None before the negotiation.
    as_scu, as_scp : bool or None
        Whether the local side may act in that role on the accepted context.
    scp_unanswered : bool
        Whether the local side, the requestor, has proposed to be SCP, and the acceptor has accepted
        the context without a word on roles.

    Notes
    -----
    PS3.8 7.1.1.13 and 9.3.2.2
    """

    context_id = _ContextID()
    """The presentation context ID, odd and 1 to 255 (PS3.8 9.3.2.2)."""
    scu_role = Flag()
    """Whether the requestor may be SCU, as proposed or as accepted."""
    scp_role = Flag()
    """Whether the requestor may be SCP, as proposed or as accepted."""

    abstract_uid: str
    transfer_uids: list[str]
    result: int | None
    as_scu: bool | None
    as_scp: bool | None
    scp_unanswered: bool

    def __init__(
        self,
        abstract_syntax: str | bytes | None = None,
        transfer_syntax: Sequence[str | bytes] = (),
        context_id: int | None = None,
    ) -> None:
        vars(self).update(_UNSET, transfer_uids=[])
        if abstract_syntax is not None:
            self.abstract_syntax = abstract_syntax
        if transfer_syntax:
            self.transfer_syntax = transfer_syntax
        if context_id is not None:
            self.context_id = context_id

    def __setattr__(self, name: str, value: Any) -> None:
        # A misspelt role or syntax must not pass as one that was set. Classes derived from this
        # one may have attributes of their own.
        cls = PresentationContext
        if type(self) is cls and name not in vars(self) and not hasattr(cls, name):
            raise AttributeError(f"{cls.__name__!r} object has no attribute {name!r}")
        super().__setattr__(name, value)

    @classmethod
    def from_wire(
        cls, context_id: int | None, abstract_uid: str, transfer_uids: Iterable[str]
    ) -> PresentationContext:
        """Return a context of what a peer sent, unchecked."""
        self = cls.__new__(cls)
        syntaxes = list(dict.fromkeys(transfer_uids))
        vars(self).update(
            _UNSET, context_id=context_id, abstract_uid=abstract_uid, transfer_uids=syntaxes
        )
        return self

    @property
    def abstract_syntax(self) -> UID:
        """Get or set the abstract syntax; `abstract_uid` is the same as plain str.

        One that was made without has none yet.
        """
        # Not so for type checkers: nobody asks for it then.
        return to_uid(self.abstract_uid) if self.abstract_uid else None  # type: ignore[return-value]

    @abstract_syntax.setter
    def abstract_syntax(self, value: str | bytes) -> None:
        self.abstract_uid = checked("UI", abstract_syntax_uid(value), "abstract_syntax")

    @property
    def transfer_syntax(self) -> list[UID]:
        """Get or set the transfer syntaxes; the list is a copy, see `add_transfer_syntax`."""
        return [to_uid(uid) for uid in self.transfer_uids]

    @transfer_syntax.setter
    def transfer_syntax(self, value: Sequence[str | bytes]) -> None:
        if isinstance(value, (str, bytes)) or not isinstance(value, Sequence):
            raise TypeError("'transfer_syntax' must be a list")
        self.transfer_uids = list(dict.fromkeys(map(_checked_syntax, value)))

    def add_transfer_syntax(self, syntax: str | bytes) -> None:
        """Append a transfer syntax, unless it is there already."""
        uid = _checked_syntax(syntax)
        if uid not in self.transfer_uids:
            self.transfer_uids.append(uid)

    @property
    def status(self) -> str:
        """Return `result` in words."""
        return "Pending" if self.result is None else RESULTS.get(self.result, "Unknown")

    @property
    def as_tuple(self) -> PresentationContextTuple:
        """Return the context ID, the abstract syntax and the first transfer syntax."""
        if self.context_id is None or not self.abstract_uid or not self.transfer_uids:
            raise ValueError("The presentation context has no ID, abstract or transfer syntax yet")
        return PresentationContextTuple(
            self.context_id, to_uid(self.abstract_uid), to_uid(self.transfer_uids[0])
        )

    def copy(self) -> PresentationContext:
        """Return an independent copy."""
        other = PresentationContext.__new__(PresentationContext)
        vars(other).update(vars(self), transfer_uids=list(self.transfer_uids))
        return other

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, PresentationContext):
            return NotImplemented
        return vars(self) == vars(other)

    def __hash__(self) -> int:
        return hash((self.abstract_uid, tuple(self.transfer_uids)))

    def __repr__(self) -> str:
        return (
            f"<PresentationContext {self.context_id}: {self.abstract_uid or None},"
            f" {self.transfer_uids}, {self.status}>"
        )

    def __str__(self) -> str:
        syntax = self.abstract_syntax
        lines = [f"Abstract Syntax: {syntax.name}"] if syntax else []
        if self.context_id is not None:
            lines.insert(0, f"ID: {self.context_id}")
        if self.transfer_uids:
            lines += ["Transfer Syntax(es):", *(f"    ={uid.name}" for uid in self.transfer_syntax)]
        if self.scu_role is not None or self.scp_role is not None:
            lines.append(f"SCP/SCU Role: {self.scp_role}/{self.scu_role}")
        if self.result is not None:
            lines.append(f"Result: {self.status}")
        return "\n".join(lines)


Contexts = Sequence[PresentationContext]
Answered = tuple[list[PresentationContext], list[SCP_SCU_RoleSelectionNegotiation]]
"""The answers to proposed contexts, and the role selection items to send with them."""
Unrestricted = Callable[[str], bool]
"""Whether an abstract syntax is taken in any encoding."""
Permitted = Callable[[str, bool], bool]
"""Whether the requestor may have an abstract syntax, as its SCP too or not."""


def _checked_syntax(value: object) -> str:
    return checked("UI", transfer_syntax_uid(value), "transfer_syntax")


def negotiate_as_acceptor(
    rq_contexts: Contexts, ac_contexts: Contexts, roles: Roles | None = None
) -> Answered:
    """Answer the proposed contexts, each once and in order.

    Parameters
    ----------
    rq_contexts : list of PresentationContext
        What the requestor proposes.
    ac_contexts : list of PresentationContext
        What the acceptor supports; the first of its transfer syntaxes that is proposed is taken.
        Their `scu_role` and `scp_role` say which proposed roles it lets the requestor have; None
        means that role selection is not answered, so that the default roles apply.
    roles : dict, optional
        The roles the requestor proposes: SOP Class UID → (SCU, SCP).

    Returns
    -------
    tuple of (list of PresentationContext, list of SCP_SCU_RoleSelectionNegotiation)
        The answers, and the role selection items to send with them. PS3.8 7.1.1.13, PS3.7 D.3.3.4
    """
    return negotiate(rq_contexts, ac_contexts, roles or {}, None)


def negotiate_unrestricted(
    rq_contexts: Contexts, ac_contexts: Contexts, roles: Roles | None = None
) -> Answered:
    """Answer like `negotiate_as_acceptor`, but take any other abstract syntax as storage."""
    known = {context.abstract_uid for context in ac_contexts}
    return negotiate(rq_contexts, ac_contexts, roles or {}, lambda uid: uid not in known)


def negotiate(
    proposed: Contexts,
    supported: Contexts,
    roles: Roles,
    unrestricted: Unrestricted | None,
    permitted: Permitted | None = None,
) -> Answered:
    """Answer like `negotiate_as_acceptor`; any encoding of what is `unrestricted` is taken.

    What is not `permitted` to the requestor is rejected by the user.
    """
    by_uid = {context.abstract_uid: context for context in reversed(supported)}
    answers = []
    items: dict[str, SCP_SCU_RoleSelectionNegotiation] = {}
    for rq in proposed:
        uid = rq.abstract_uid
        context = by_uid.get(uid)
        result, syntax = _choose(rq, context, unrestricted)
        as_scu = as_scp = False
        if result == ACCEPTED:
            offered = roles.get(uid)
            accepted = (context.scu_role, context.scp_role) if context else (True, True)
            # The requestor is SCU where we are SCP, and the other way round.
            as_scp, as_scu = roles_of_requestor(offered, accepted)
            is_permitted = permitted is None or permitted(uid, as_scu)
            if not (as_scp or as_scu) or not is_permitted:
                result = USER_REJECTED
            elif offered is not None and None not in accepted and _is_uid(uid):
                items[uid] = SCP_SCU_RoleSelectionNegotiation(uid, as_scp, as_scu)
        answer = PresentationContext.from_wire(rq.context_id, uid, [syntax])
        answer.result, answer.as_scu, answer.as_scp = result, as_scu, as_scp
        answers.append(answer)
    return answers, list(items.values())


def _choose(
    rq: PresentationContext, context: PresentationContext | None, unrestricted: Unrestricted | None
) -> tuple[int, str]:
    """Return the result for a proposed context, but for roles, and the transfer syntax to send."""
    if not rq.transfer_uids:
        # One must be sent, although it is not significant (PS3.8 9.3.3.2).
        return NO_TRANSFER_SYNTAX, IMPLICIT_VR_LITTLE_ENDIAN
    for uid in context.transfer_uids if context else ():
        if uid in rq.transfer_uids:
            return ACCEPTED, uid
    if unrestricted and _is_uid(rq.abstract_uid) and unrestricted(rq.abstract_uid):
        for uid in filter(_is_uid, rq.transfer_uids):
            return ACCEPTED, uid
    return (NO_TRANSFER_SYNTAX if context else NO_ABSTRACT_SYNTAX), rq.transfer_uids[0]


def _is_uid(uid: str) -> bool:
    try:
        return checked("UI", uid, "UID") == uid
    except ValueError:
        return False


def roles_of_requestor(
    proposed: tuple[bool | None, bool | None] | None,
    accepted: tuple[bool | None, bool | None] | None,
) -> tuple[bool, bool]:
    """Return whether the requestor is SCU, and SCP, of a SOP Class (PS3.7 D.3.3.4).

    What was not proposed or not answered leaves the default: the requestor is SCU.
    """
    if proposed is None or accepted is None or None in (*proposed, *accepted):
        return True, False
    return bool(proposed[0] and accepted[0]), bool(proposed[1] and accepted[1])


def negotiate_as_requestor(
    rq_contexts: Contexts, ac_contexts: Contexts, roles: Roles | None = None
) -> list[PresentationContext]:
    """Return what became of the proposed contexts, in their order.

    Parameters
    ----------
    rq_contexts : list of PresentationContext
        What was proposed; `scu_role` and `scp_role` are the proposed roles.
    ac_contexts : list of PresentationContext
        What the acceptor answered.
    roles : dict, optional
        The roles the acceptor answered: SOP Class UID → (SCU, SCP).
    """
    if not rq_contexts:
        raise ValueError("Requestor contexts are required")
    proposed = {
        cx.abstract_uid: (cx.scu_role, cx.scp_role)
        for cx in rq_contexts
        if cx.scu_role is not None or cx.scp_role is not None
    }
    answers = [
        PresentationContextAC(
            cx.context_id, cx.result, cx.transfer_uids[0] if cx.transfer_uids else ""
        )
        for cx in ac_contexts
    ]
    return [cx for cx, _ in conclude_contexts(rq_contexts, answers, proposed, roles or {})]


def conclude_contexts(
    proposed: Contexts,
    answers: Sequence[PresentationContextAC],
    proposed_roles: Roles,
    accepted_roles: Roles,
) -> list[tuple[PresentationContext, str]]:
    """Return what became of the proposed contexts, and what was wrong with the answers to them."""
    by_id = {answer.context_id: answer for answer in answers}
    counts = Counter(answer.context_id for answer in answers)
    concluded = []
    for rq in proposed:
        uid, answer = rq.abstract_uid, by_id.get(rq.context_id or 0)
        cx = PresentationContext.from_wire(rq.context_id, uid, rq.transfer_uids[:1])
        cx.as_scu = cx.as_scp = False
        problem = _problem_of_answer(rq, answer, counts[rq.context_id or 0])
        cx.result = PROVIDER_REJECTED if answer is None or problem else answer.result
        if answer is not None and cx.result == ACCEPTED:
            cx.transfer_uids = [answer.transfer_syntax]
            roles = roles_of_requestor(proposed_roles.get(uid), accepted_roles.get(uid))
            cx.as_scu, cx.as_scp = roles
            offered = proposed_roles.get(uid)
            cx.scp_unanswered = bool(offered and offered[1]) and uid not in accepted_roles
            if not any(roles):
                problem = "both roles were refused"
        concluded.append((cx, problem))
    return concluded


def _problem_of_answer(
    rq: PresentationContext, answer: PresentationContextAC | None, count: int
) -> str:
    if answer is None:
        return "it was not answered"
    if count > 1:
        return "it was answered more than once"
    if answer.result != ACCEPTED:
        return ""
    if answer.unknown_items and any(item.item_type == 0x40 for item in answer.unknown_items):
        return "it was accepted with several transfer syntaxes"
    if answer.transfer_syntax not in rq.transfer_uids:
        return "it was accepted with a transfer syntax that was not proposed"
    return ""
