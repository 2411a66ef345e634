"""The presentation contexts that an application entity proposes, and those that it supports."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Self

from pynetdicom.presentation import PresentationContext, build_context
from pynetdicom.uids import abstract_syntax_uid, named, transfer_syntax_uid
from pynetdicom.upper_layer.contexts import MAXIMUM_CONTEXTS

Syntaxes = str | Sequence[str] | None

_TOO_MANY = f"an association has at most {MAXIMUM_CONTEXTS} presentation contexts"


def checked(contexts: Iterable[PresentationContext] | None) -> list[PresentationContext]:
    """Contexts that a program gave, if they are such."""
    given = list(contexts or ())
    if not all(isinstance(context, PresentationContext) for context in given):
        raise ValueError("'contexts' must be PresentationContext items: build_context()")
    return given


class Requested(list[PresentationContext]):
    """The contexts to propose: ``ae.requested_contexts += […]`` adds copies, all or none."""

    def __iadd__(self, contexts: Iterable[PresentationContext]) -> Self:  # type: ignore[override,misc]  # checked here
        added = checked(contexts)
        if len(self) + len(added) > MAXIMUM_CONTEXTS:
            raise ValueError(f"{_TOO_MANY}; there are {len(self)} and {len(added)} would be added")
        self.extend(PresentationContext(cx.abstract_uid, cx.transfer_uids) for cx in added)
        return self

    def add(self, abstract_syntax: str, transfer_syntax: Syntaxes) -> None:
        """See `ApplicationEntity.add_requested_context`."""
        if len(self) >= MAXIMUM_CONTEXTS:
            raise ValueError(_TOO_MANY)
        self.append(build_context(abstract_syntax, transfer_syntax))

    def without(self, abstract_syntax: str, transfer_syntax: Syntaxes) -> Requested:
        """A new list, without an abstract syntax, or without transfer syntaxes of it."""
        uid = abstract_syntax_uid(abstract_syntax)
        gone = _uids(transfer_syntax)
        return Requested(cx for cx in self if cx.abstract_uid != uid or _reduce(cx, gone))


def proposed(contexts: Sequence[PresentationContext]) -> list[PresentationContext]:
    """Contexts that are to be proposed, if they can be."""
    if not contexts:
        raise RuntimeError(
            "at least one presentation context must be requested: add_requested_context()"
        )
    if len(contexts) > MAXIMUM_CONTEXTS:
        raise ValueError(_TOO_MANY)
    return checked(contexts)


def served(
    contexts: Iterable[PresentationContext], *, may_be_none: bool
) -> list[PresentationContext]:
    """Copies of contexts, for a server that supports them."""
    copies = [context.copy() for context in checked(contexts)]
    if not copies and not may_be_none:
        raise ValueError("no presentation contexts are supported: add_supported_context()")
    for copy in copies:
        if (copy.scu_role is None) != (copy.scp_role is None):
            which = named(copy.abstract_uid)
            raise ValueError(f"only one of scu_role and scp_role is set for {which}")
    return copies


class Supported(dict[str, PresentationContext]):
    """The contexts that are supported, by abstract syntax."""

    def add(self, context: PresentationContext) -> None:
        """Add a context; its transfer syntaxes are merged with those that are there."""
        known = self.get(context.abstract_uid)
        if known is None:
            context.context_id = 1
            self[context.abstract_uid] = context
            return
        for uid in context.transfer_uids:
            known.add_transfer_syntax(uid)
        known.scu_role, known.scp_role = context.scu_role, context.scp_role

    def remove(self, abstract_syntax: str, transfer_syntax: Syntaxes) -> None:
        """See `ApplicationEntity.remove_supported_context`."""
        context = self.get(abstract_syntax_uid(abstract_syntax))
        gone = _uids(transfer_syntax)
        if context is not None and not _reduce(context, gone):
            del self[context.abstract_uid]


def _uids(transfer_syntax: Syntaxes) -> set[str] | None:
    """The UIDs of transfer syntaxes that are to be removed; None for all."""
    if transfer_syntax is None:
        return None
    given = [transfer_syntax] if isinstance(transfer_syntax, (str, bytes)) else transfer_syntax
    return set(map(transfer_syntax_uid, given))


def _reduce(context: PresentationContext, gone: set[str] | None) -> bool:
    """Remove transfer syntaxes from a context, all if None; whether any are left."""
    if gone is None:
        return False
    context.transfer_uids = [uid for uid in context.transfer_uids if uid not in gone]
    return bool(context.transfer_uids)
