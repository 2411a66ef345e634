"""A connection in the lobby, and what has come of it so far."""

from __future__ import annotations

import time
from datetime import datetime
from typing import TYPE_CHECKING, Any

from pynetdicom.network.connection import Connection
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.provider import Provider

if TYPE_CHECKING:
    from pynetdicom.upper_layer import pdu as pdus

_FIRST_SIZE = 4096


class Visitor:
    """A connection that has not associated yet, or that waits for its peer to close."""

    def __init__(self, connection: Connection, address: tuple[Any, ...]) -> None:
        self.connection = connection
        self.address = address
        self.opened = datetime.now()
        self.last_heard = self.deadline = time.monotonic()
        self.provider = Provider(requestor=False, framer=Framer(size=_FIRST_SIZE))
        # The transitions until it has associated; nobody is there yet whom they could be told.
        self.told = [self.provider.take("Evt5").told]
        self.gone = False
        self.raw = b""
        self.request: pdus.A_ASSOCIATE_RQ | None = None
