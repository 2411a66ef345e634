"""Who is let in: connections and association requests against the access rules of their listener.

In: on the lobby's thread, an address, and later a visitor with its request. Out: whether it is let
in, what it may do, and a line in the log that names the rule: one a minute and peer, as a stranger
may come as often as it likes. Where there are no rules, nothing is loaded, and all is let in.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from pynetdicom import _config
from pynetdicom.network.complaints import Complaints
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.access import AccessRules, Granted
    from pynetdicom.association.entity import Listener
    from pynetdicom.network.visitors import Visitor


def checked(name: str, value: AccessRules | None) -> AccessRules | None:
    """Access rules as they are kept."""
    if value is not None:
        from pynetdicom.access import AccessRules

        given: object = value
        if not isinstance(given, AccessRules):
            raise TypeError(f"{name!r} must be AccessRules or None")
    return value


class Admission:
    """What the lobby of a listener asks; see `pynetdicom.network.visitors.Door`.

    Parameters
    ----------
    listener : Listener
        Whose `access` may be replaced at any time: it is looked at once for each question.
    """

    def __init__(self, listener: Listener) -> None:
        self._listener = listener
        self._complaints = Complaints(logging.getLogger("pynetdicom.acse"))

    @property
    def most_unassociated(self) -> tuple[float, float]:
        """How many connections may be in the lobby, in all and from one address."""
        rules = self._listener.access
        if rules is None:
            return _config.MAXIMUM_LOBBY, math.inf
        most, most_of_one = rules.unassociated, rules.unassociated_per_address
        return most or _config.MAXIMUM_LOBBY, most_of_one or math.inf

    def closed_to(self, address: str) -> str:
        """Why a connection from there is closed unread; nothing if it is not."""
        rules = self._listener.access
        return "" if rules is None else rules.closed_to(address)

    def refusal(self, visitor: Visitor, request: pdus.A_ASSOCIATE_RQ) -> pdus.A_ASSOCIATE_RJ | None:
        """Give the rejection of a request; or None, and the visitor what it may do."""
        rules = self._listener.access
        if rules is None:
            return None
        from pynetdicom.access import Granted, Refused

        def certificate() -> Mapping[str, Any] | None:
            """The peer's, where there is TLS and it was verified."""
            ask = getattr(visitor.connection.socket, "getpeercert", None)
            found: Mapping[str, Any] | None = None if ask is None else ask()
            return found

        title = request.calling_ae_title
        decided = rules.decide(visitor.address[0], title, request.called_ae_title, certificate)
        if isinstance(decided, Granted):
            # On the one thread that adds to them.
            too_many = decided.too_many(self._others)
            if not too_many:
                visitor.granted = decided
                return None
            decided = Refused(2, 3, 2, f"the access rule {decided.rule} is for {too_many}")
        who = f"the association of {printable(title)} at"
        self._complaints.say(visitor.address, decided.why, "was rejected", who)
        return pdus.A_ASSOCIATE_RJ(decided.result, decided.source, decided.reason)

    def _others(self) -> list[Granted | None]:
        """What the associations of the listener may do."""
        return [assoc._link.access for assoc in self._listener.active_associations]
