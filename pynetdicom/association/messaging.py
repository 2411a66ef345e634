"""DIMSE messages on their way out, and who is told of those that go out or have come.

In: primitives, from the thread that sends. Out: P-DATA-TF, written by it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any

from pynetdicom import debug_log
from pynetdicom import event_types as evt
from pynetdicom._logging import working_on
from pynetdicom.data_sets.data_set import for_wire
from pynetdicom.dimse.messages import Batch, Message, fragments

if TYPE_CHECKING:
    from pynetdicom.association.link import Link
    from pynetdicom.dimse.primitives import Primitive
    from pynetdicom.handlers import Handlers

LOGGER = logging.getLogger("pynetdicom.assoc")


def _read_by(aside: Callable[..., Any], batches: Iterable[Batch]) -> Iterator[Batch]:
    """Batches that are read from a file."""
    batch: Batch | None
    iterator = iter(batches)
    while (batch := aside(next, iterator, None)) is not None:
        yield batch


class Messenger:
    """The messages of one association, for both of its DIMSE-service-users; any thread sends."""

    def __init__(self, link: Link) -> None:
        self._link = link
        # Asked once: messages come too often for it.
        self._shows = debug_log.is_wanted(debug_log.DIMSE)
        # Whether anybody wants to know what is sent, and what has come.
        self.tells_sent = self.tells_received = self._shows
        # Whether the log has a line of each operation.
        self.logs = debug_log.are_operations_wanted()
        # Oddities of data sets that the log has told of already.
        self._noted: tuple[str, ...] = ()

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
        done = self._link.dul.send_data(self.fragments(primitive, context_id), waits=waits)
        if done and self.tells_sent:
            self.sent(primitive, context_id)
        return done

    def fragments(self, primitive: Primitive, context_id: int) -> Iterable[Batch]:
        """A message as P-DATA-TF PDUs that the peer takes."""
        data_set = primitive.data_set
        if data_set is not None and not data_set.is_even:
            data_set = for_wire(data_set)
            if data_set.mended:
                self.note_oddities(data_set.mended, "mended as it is sent, for its")
        peer_maximum = self._link.negotiated.peer_maximum
        batches = fragments(context_id, primitive.encode(), data_set, peer_maximum)
        if data_set is not None and data_set.memory is None:
            return _read_by(self._link.runtime.aside, batches)
        return batches

    def note_oddities(self, oddities: Iterable[str], what: str) -> None:
        """Log what is odd in data sets, each kind once an association."""
        for oddity in oddities:
            kind = f"{what} {oddity.partition(':')[0]}"
            if kind not in self._noted:
                self._noted += (kind,)
                with working_on(self._link):
                    LOGGER.warning("a data set is %s %s (noted once)", what, oddity)

    def handlers_changed(self, bound: Handlers) -> None:
        """Note who listens."""
        self.tells_sent = self._shows or evt.EVT_DIMSE_SENT in bound
        self.tells_received = self._shows or evt.EVT_DIMSE_RECV in bound

    def sent(self, primitive: Primitive, context_id: int) -> None:
        """Tell those who want to know that a message was sent."""
        self._tell("sent", evt.EVT_DIMSE_SENT, Message(primitive, context_id))

    def received(self, message: Message) -> None:
        """Tell those who want to know that a message has come."""
        self._tell("received", evt.EVT_DIMSE_RECV, message)

    def _tell(self, what: str, event: evt.EventType, message: Message) -> None:
        if self._shows:
            with working_on(self._link):
                debug_log.show_message(what, message)
        if event in self._link.handlers:
            self._link.handlers.trigger(event, {"message": message})
