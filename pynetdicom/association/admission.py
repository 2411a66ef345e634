"""Who is let in: an association request against the access rules of its listener.

In: a visitor of the lobby with its request, on the lobby's thread. Out: what it may do, with the
visitor, or the rejection, and a line in the log that names the rule: one a minute and peer, as a
stranger may come as often as it likes.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pynetdicom.access import AccessRules, Granted, Refused
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.network.complaints import Complaints
    from pynetdicom.network.lobby import Visitor


def refusal(
    rules: AccessRules,
    visitor: Visitor,
    request: pdus.A_ASSOCIATE_RQ,
    others: Callable[[], Iterable[Granted | None]],
    complaints: Complaints,
) -> pdus.A_ASSOCIATE_RJ | None:
    """Give the rejection of a request, or None.

    Parameters
    ----------
    rules, visitor, request
    others : callable
        Gives what the other associations of the listener may do.
    complaints : Complaints
        Takes note of it.
    """

    def certificate() -> Mapping[str, Any] | None:
        """The peer's, where there is TLS and it was verified."""
        ask = getattr(visitor.connection.socket, "getpeercert", None)
        found: Mapping[str, Any] | None = None if ask is None else ask()
        return found

    def rejected(why: str) -> None:
        who = f"the association of {printable(request.calling_ae_title)} at"
        complaints.say(visitor.address, why, "was rejected", who)

    decided = rules.decide(
        visitor.address[0], request.calling_ae_title, request.called_ae_title, certificate
    )
    if isinstance(decided, Refused):
        rejected(decided.why)
        return pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=decided.reason)
    too_many = decided.too_many(others)
    if too_many:
        rejected(f"the access rule {decided.rule} is for {too_many}")
        return pdus.A_ASSOCIATE_RJ(result=2, source=3, reason=2)
    visitor.granted = decided
    return None
