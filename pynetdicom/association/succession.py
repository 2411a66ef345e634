"""What becomes of the rest when an association breaks on which many instances are sent.

The instance that it broke at has failed, and is not tried again; another association is made for
those after it. So one bad instance costs itself, never the others, and there is at most one
association more than instances. It ends where the peer cannot be reached again or rejects, where
the peer has released the association, where it was the local user who ended it, and where the peer
has answered nothing within the timeouts on two associations in a row.
"""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom._logging import working_on
from pynetdicom.running import Runs
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.link import Link
    from pynetdicom.upper_layer.ended import Ended

LOGGER = logging.getLogger("pynetdicom.assoc")

_SILENCES = 2
"""So many associations in a row on which nothing was answered in time are the last."""


class Party(Runs, Protocol):
    """An association, to those who send over others than their own."""

    acse_timeout: Any
    _link: Link
    _invoker: Invoker

    def release(self) -> None: ...
    def _release_later(self) -> None: ...
    def _make_successor(self) -> Party: ...


def was_wanted(ended: Ended) -> bool:
    """Whether an association ended because the local user wanted it to."""
    return ended.by == "local" and not (ended.timer or ended.error)


class Endurance:
    """Whether another association is to follow one that has ended."""

    def __init__(self) -> None:
        self._silences = 0

    def answered(self) -> None:
        """The peer has answered a request."""
        self._silences = 0

    def goes_on(self, ended: Ended | None) -> bool:
        """Whether another one is to be made."""
        if ended is None or was_wanted(ended):
            return False
        self._silences = self._silences + 1 if ended.timer else 0
        return self._silences < _SILENCES


class Succession:
    """An association on which many files are sent, and those that take its place if it breaks.

    They are like the first one: the same AE, address, contexts, titles, TLS, timeouts and handlers.
    There is one at a time, made when there is something to be sent, and released by `close`. What
    ends the first one, or the AE, from whatever thread, ends the succession: `Association.abort`
    and `release` say so in `wants_no_more`, before they look for what there is to be ended.

    Parameters
    ----------
    first : Party
    begins_beside : bool
        Whether it begins with another association like the first one, which others send on.

    Attributes
    ----------
    gone : str
        Why nothing more is sent; empty while that is not so.
    given_up : callable or None
        How to end its association, once `give_up` has been called.
    """

    def __init__(self, first: Party, *, begins_beside: bool = False) -> None:
        self.first = self.current = first
        self.endurance = Endurance()
        self.gone = ""
        self.given_up: Callable[[Party], None] | None = None
        self._begins_beside = begins_beside
        self._is_dismissed = False
        first._link.ae._running.sending.add(self)

    @property
    def is_over(self) -> bool:
        """Whether the local user has ended it."""
        ended = self.current._link.ended
        if ended is not None and ended.kind == "released":
            # Which stays so: the peer may still break the connection after it has released.
            self.gone = self.gone or str(ended)
        is_ended = ended is not None and was_wanted(ended)
        return is_ended or self.first._link.wants_no_more or self.given_up is not None

    def begin(self) -> bool:
        """Whether there is an association to begin with; it is requested where it has to be."""
        return not self._begins_beside or self._another("") is not None

    def association(self) -> Party | None:
        """The association to send on, another one if it has ended; None where there is none."""
        ended = self.current._link.ended
        if ended is None or self.gone:
            return None if self.gone else self.current
        if self.first.is_acceptor or self.is_over or not self.endurance.goes_on(ended):
            self.gone = str(ended)
            return None
        with working_on(self.current._link):
            LOGGER.warning("another association is requested for what was not sent yet")
        return self._another(f"{ended}, and ")

    def _another(self, before: str) -> Party | None:
        """Request another association; None where there is none, and `gone` says why."""
        successor = self.first._make_successor()
        self.first._link.sub_associations.discard(self.current)
        self.current = successor
        self.first._link.sub_associations.add(successor)
        # After that: who ends it now either finds the successor, or is found here.
        if self.first._link.wants_no_more or self._is_dismissed:
            self.gone = f"{before}nothing more was wanted"
            return None
        self.first._link.ae._running.request(successor)
        if successor._link.is_established:
            return successor
        self.gone = f"{before}no other association: {printable(str(successor._link.ended))}"
        return None

    def dismiss(self) -> None:
        """Have it request no other association; from another thread than the one that sends."""
        self._is_dismissed = True
        current = self.current
        if current is not self.first and not current._link.was_established:
            current.abort(block=False)

    def give_up(self, end: Callable[[Party], None]) -> None:
        """As `dismiss`; nothing more is sent, and an association of its own ended in that way."""
        self.given_up = end
        self.dismiss()
        self.first._link.ae._running.sending.discard(self)
        current = self.current
        if current is not self.first and current._link.was_established:
            end(current)

    def close(self, end: Callable[[Party], None]) -> None:
        """End the association that has taken the place of the first one, if one has."""
        self.first._link.ae._running.sending.discard(self)
        if self.current is not self.first:
            end(self.current)
            self.first._link.sub_associations.discard(self.current)
