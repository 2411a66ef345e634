"""DIMSE messages on their way out, and who is told of those that go out or have come.

In: primitives, from the thread that sends. Out: P-DATA-TF, written by it.
"""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING

from pynetdicom import debug_log
from pynetdicom import event_types as evt
from pynetdicom.data_sets.data_set import for_wire
from pynetdicom.dimse.messages import Batch, Message, fragments

if TYPE_CHECKING:
    from pynetdicom.association.state import AssociationState
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.assoc")


class Messenger:
    """The messages of one association, for both of its DIMSE-service-users; any thread sends."""

    def __init__(self, assoc: AssociationState) -> None:
        self._assoc = assoc
        # Asked once: messages come too often for it.
        self._shows = debug_log.is_wanted(debug_log.DIMSE)
        # Oddities of data sets that the log has told of already.
        self._noted: set[str] = set()

    def send(self, primitive: Primitive, context_id: int, *, waits: bool = True) -> bool:
        """Send one message; False when it was not, since another thread sends and not `waits`.

        Parameters
        ----------
        primitive : Primitive
        context_id : int
        waits : bool
            As for `Driver.send_data`.

        Raises
        ------
        Stopped
            The association has ended.
        """
        done = self._assoc.dul.send_data(self.fragments(primitive, context_id), waits=waits)
        if done:
            self.sent(primitive, context_id)
        return done

    def fragments(self, primitive: Primitive, context_id: int) -> Iterable[Batch]:
        """A message as P-DATA-TF PDUs that the peer takes."""
        data_set = primitive.data_set
        if data_set is not None:
            data_set = for_wire(data_set)
            if data_set.mended:
                self.note_oddities(data_set.mended, "mended as it is sent, for its")
        peer_maximum = self._assoc.negotiated.peer_maximum
        return fragments(context_id, primitive.encode(), data_set, peer_maximum)

    def note_oddities(self, oddities: Iterable[str], what: str) -> None:
        """Log what is odd in data sets, each kind once an association."""
        for oddity in oddities:
            kind = f"{what} {oddity.partition(':')[0]}"
            if kind not in self._noted:
                self._noted.add(kind)
                LOGGER.warning("a data set is %s %s (noted once)", what, oddity)

    def sent(self, primitive: Primitive, context_id: int) -> bool:
        """Tell those who want to know that a message was sent; whether there are any."""
        watched = evt.EVT_DIMSE_SENT in self._assoc._handlers
        if not (watched or self._shows):
            return False
        message = Message(primitive, context_id)
        if self._shows:
            debug_log.show_message("sent", message)
        if watched:
            self._assoc._handlers.trigger(evt.EVT_DIMSE_SENT, {"message": message})
        return True

    def received(self, message: Message) -> None:
        """Tell those who want to know that a message has come."""
        if self._shows:
            debug_log.show_message("received", message)
        if evt.EVT_DIMSE_RECV in self._assoc._handlers:
            self._assoc._handlers.trigger(evt.EVT_DIMSE_RECV, {"message": message})
