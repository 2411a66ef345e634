"""What two AEs have agreed on."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property

from pynetdicom.data_sets.element_walk import UNCOMPRESSED
from pynetdicom.upper_layer.contexts import PresentationContext, no_context


@dataclass(frozen=True)
class Negotiated:
    """What two AEs have agreed on; it does not change any more (PS3.8 7.1).

    Attributes
    ----------
    accepted, rejected : list of PresentationContext
    peer_maximum : int
        Bytes that the peer takes in a P-DATA-TF; 0 for any number.
    """

    accepted: list[PresentationContext] = field(default_factory=list)
    rejected: list[PresentationContext] = field(default_factory=list)
    peer_maximum: int = 0
    _chosen: dict[tuple[str, str], PresentationContext] = field(
        default_factory=dict, repr=False, compare=False
    )

    @cached_property
    def contexts(self) -> dict[int, PresentationContext]:
        """The accepted contexts by their ID."""
        return {c.context_id: c for c in self.accepted if c.context_id is not None}

    def context_for(self, abstract_syntax: str, transfer_syntax: str = "") -> PresentationContext:
        """The accepted context for a SOP Class, of that transfer syntax if it matters.

        Raises
        ------
        ValueError
            There is none in which the local side may be SCU.
        """
        key = (abstract_syntax, transfer_syntax)
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._chosen[key] = self._choose(abstract_syntax, transfer_syntax)
        return chosen

    def _choose(self, abstract_syntax: str, transfer_syntax: str) -> PresentationContext:
        usable = [
            context
            for context in self.accepted
            if context.abstract_uid == abstract_syntax and context.as_scu is not False
        ]
        if transfer_syntax:
            as_it_is = [c for c in usable if c.transfer_uids[0] == transfer_syntax]
            usable = as_it_is or [
                c for c in usable if UNCOMPRESSED.issuperset((transfer_syntax, c.transfer_uids[0]))
            ]
        if not usable:
            raise ValueError(no_context(abstract_syntax, transfer_syntax))
        return usable[0]
