"""What two AEs have agreed on."""

from __future__ import annotations

from functools import cached_property

from pynetdicom import _config
from pynetdicom.data_sets.element_walk import UNCOMPRESSED
from pynetdicom.upper_layer.contexts import PresentationContext, no_context


class Negotiated:
    """What two AEs have agreed on; it does not change any more (PS3.8 7.1).

    Attributes
    ----------
    accepted, rejected : list of PresentationContext
    peer_maximum : int
        Bytes that the peer takes in a P-DATA-TF; 0 for any number.
    invoked, performed : int
        How many operations the local side may have outstanding, and the peer (PS3.7 D.3.3.3).
    is_shared : bool
        Whether other associations have it too: nobody may change its contexts.
    """

    def __init__(
        self,
        accepted: list[PresentationContext] | None = None,
        rejected: list[PresentationContext] | None = None,
        peer_maximum: int = 0,
        invoked: int = 1,
        performed: int = 1,
        is_shared: bool = False,
    ) -> None:
        self.accepted = [] if accepted is None else accepted
        self.rejected = [] if rejected is None else rejected
        self.peer_maximum = peer_maximum
        self.invoked = invoked
        self.performed = performed
        self.is_shared = is_shared
        self._chosen: dict[tuple[str, str, bool, bool], PresentationContext] = {}

    def copy(self) -> Negotiated:
        """Return one of its own, for an association whose program may change the contexts."""
        return Negotiated(
            [context.copy() for context in self.accepted],
            [context.copy() for context in self.rejected],
            self.peer_maximum,
            self.invoked,
            self.performed,
        )

    @cached_property
    def contexts(self) -> dict[int, PresentationContext]:
        """The accepted contexts by their ID."""
        return {c.context_id: c for c in self.accepted if c.context_id is not None}

    @cached_property
    def context_ids(self) -> frozenset[int]:
        """The IDs of the accepted contexts."""
        return frozenset(self.contexts)

    def context_for(
        self, abstract_syntax: str, transfer_syntax: str = "", *, as_scp: bool = False
    ) -> PresentationContext:
        """The accepted context for a SOP Class, of that transfer syntax if it matters.

        Raises
        ------
        ValueError
            There is none in which the local side may be SCU, or SCP if that is asked for.
        """
        key = (abstract_syntax, transfer_syntax, as_scp, _config.STRICT_ROLES)
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._chosen[key] = self._choose(*key[:3])
        return chosen

    def _choose(
        self, abstract_syntax: str, transfer_syntax: str, as_scp: bool
    ) -> PresentationContext:
        usable = [
            context
            for context in self.accepted
            if context.abstract_uid == abstract_syntax and _may_be(context, as_scp)
        ]
        if transfer_syntax:
            as_it_is = [c for c in usable if c.transfer_uids[0] == transfer_syntax]
            usable = as_it_is or [
                c for c in usable if UNCOMPRESSED.issuperset((transfer_syntax, c.transfer_uids[0]))
            ]
        if not usable:
            in_role = " in which we are SCP, see build_role()" if as_scp else ""
            raise ValueError(f"{no_context(abstract_syntax, transfer_syntax)}{in_role}")
        return usable[0]


def _may_be(context: PresentationContext, as_scp: bool) -> bool:
    """Whether the local side may have that role; as SCP also where the peer has not said so."""
    if not as_scp:
        return context.as_scu is not False
    return context.as_scp is not False or (context.scp_unanswered and not _config.STRICT_ROLES)


NOTHING = Negotiated(is_shared=True)
"""What is agreed on before the negotiation."""
