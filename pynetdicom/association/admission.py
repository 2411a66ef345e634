"""Who is let in: an association request against the access rules of its listener.

In: a visitor of the lobby with its request, on the lobby's thread. Out: what it may do, with the
visitor, or the rejection, and a line in the log that names the rule.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any

from pynetdicom.access import AccessRules, Granted, Refused
from pynetdicom.network.addresses import address_text
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.network.lobby import Visitor

LOGGER = logging.getLogger("pynetdicom.acse")


def refusal(
    rules: AccessRules,
    visitor: Visitor,
    request: pdus.A_ASSOCIATE_RQ,
    others: Callable[[], Iterable[Granted | None]],
) -> pdus.A_ASSOCIATE_RJ | None:
    """Give the rejection of a request, or None; `others` gives what other associations may do."""

    def certificate() -> Mapping[str, Any] | None:
        """The peer's, where there is TLS and it was verified."""
        ask = getattr(visitor.connection.socket, "getpeercert", None)
        found: Mapping[str, Any] | None = None if ask is None else ask()
        return found

    def rejected(why: str) -> None:
        who = printable(f"{request.calling_ae_title} at {address_text(visitor.address)}")
        LOGGER.warning("the association of %s was rejected: %s", who, why)

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
