"""Who is in a listener's lobby, and whom the lobby asks about them."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom.network.connection import Connection
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.provider import Provider

if TYPE_CHECKING:
    import ssl


class Visitor:
    """A connection that has not associated yet, or that waits for its peer to close."""

    def __init__(self, connection: Connection, address: tuple[Any, ...]) -> None:
        self.connection = connection
        self.address = address
        self.opened = datetime.now()
        self.last_heard = self.deadline = time.monotonic()
        self.provider = Provider(requestor=False)
        # The transitions until it has associated; nobody is there yet whom they could be told.
        self.told = [self.provider.take("Evt5").told]
        self.raw = b""
        # Whether its first byte is to tell if it comes with TLS.
        self.may_be_secure = False
        self.request: pdus.A_ASSOCIATE_RQ | None = None
        # What the host lets it do, where it has rules for that.
        self.granted: Any = None


class Door(Protocol):
    """Whoever says who is let in."""

    @property
    def most_unassociated(self) -> tuple[float, float]:
        """How many connections there may be in the lobby, in all and from one address."""

    def closed_to(self, address: str) -> str:
        """Why a connection from there is closed unread; nothing if it is not."""

    def refusal(self, visitor: Visitor, request: pdus.A_ASSOCIATE_RQ) -> pdus.A_ASSOCIATE_RJ | None:
        """Give the rejection of a request, or None."""


class Host(Protocol):
    """Whoever takes the associations over from the lobby."""

    ssl_context: ssl.SSLContext | None
    """What TLS is made with, if it is."""
    plain_too: bool
    """Whether a peer may come without it."""
    accepts_at_once: int
    """How many connections are accepted at a stretch, where so many wait."""

    @property
    def artim(self) -> float:
        """Seconds from the connection to the complete A-ASSOCIATE-RQ."""

    @property
    def door(self) -> Door:
        """Who says which connections are let in."""

    def reserve(self) -> bool:
        """Make room for another association; False if it is one too many."""

    def admit(self, visitor: Visitor) -> None:
        """Take the visitor over, in Sta3."""

    def turned_away(self, visitor: Visitor) -> None:
        """An A-ASSOCIATE-RJ was sent to the visitor."""
