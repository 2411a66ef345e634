"""What the DUL service asks of an association and tells it, mostly on the thread that reads."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynetdicom import event_types as evt
from pynetdicom.association import agreeing, reporting
from pynetdicom.association.reporting import AT_THE_END
from pynetdicom.dimse.inbox import PEER_RELEASES
from pynetdicom.dimse.messages import Assembler
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.link import Link
    from pynetdicom.association.receiving import Receiving
    from pynetdicom.handlers import Handlers
    from pynetdicom.upper_layer import pdu as pdus

LOGGER = logging.getLogger("pynetdicom.assoc")


class Indications:
    """The user of an association's DUL service, see `pynetdicom.network.user.User`.

    Attributes
    ----------
    assembler : Assembler
        Of the messages that come.
    """

    def __init__(self, link: Link, invoker: Invoker, receiving: Receiving) -> None:
        self._link = link
        self._inbox = link.inbox
        self._messenger = invoker.messenger
        self._operations = operations = invoker.operations
        self.outstanding = operations.in_line
        self.assembler = Assembler(receiving.open, link.inbox.put_request, operations.deliver)
        self.watches_data = self.watches_pdus = self.watches_transitions = False

    @property
    def network_timeout(self) -> float | None:
        """That of the association."""
        return self._link._network_timeout

    def on_release(self, answer: Callable[[], bool]) -> None:
        """The peer requests release: its requests are served first, ours get no more answers.

        Where nothing is left to be served, and nobody is told, the reader answers by itself.
        """
        self._link.released_by_peer = Ended("released", "peer")
        self._operations.end()
        if (
            not self._inbox.has_nothing_to_do
            or self._link.handlers.are_any_told(AT_THE_END)
            or not answer()
        ):
            self._inbox.put(PEER_RELEASES)

    def on_paused(self) -> None:
        """Reading was paused for as long as it may be: from now on responses go into a file."""
        self._operations.spill()

    def on_ended(self) -> None:
        """The association has ended."""
        self._operations.end()
        self._link.ae._running.gives_place(self._link.thread)
        self._link.is_over.set()
        self._inbox.end()

    def on_data(self, data: bytes, sent: bool) -> None:
        """Bytes were received or sent."""
        self._tell(evt.EVT_DATA_SENT if sent else evt.EVT_DATA_RECV, {"data": data})

    def on_pdu(self, pdu: Any, sent: bool) -> None:
        """A PDU was received or sent."""
        self._tell(evt.EVT_PDU_SENT if sent else evt.EVT_PDU_RECV, {"pdu": pdu.for_user()})

    def on_transition(self, action: str, state: str, event: str, next_state: str) -> None:
        """The state machine has moved."""
        attrs = {
            "action": action,
            "current_state": state,
            "fsm_event": event,
            "next_state": next_state,
        }
        self._tell(evt.EVT_FSM_TRANSITION, attrs)

    def _tell(self, event: evt.EventType, attrs: dict[str, Any]) -> None:
        """Trigger an event on whatever thread this is, if anybody listens."""
        if event in self._link.handlers:
            self._link.handlers.trigger_anywhere(event, attrs)

    def handlers_changed(self, bound: Handlers) -> None:
        """Note who listens to what is told here, which is a lot."""
        self.watches_data = evt.EVT_DATA_RECV in bound or evt.EVT_DATA_SENT in bound
        self.watches_pdus = evt.EVT_PDU_RECV in bound or evt.EVT_PDU_SENT in bound
        self.watches_transitions = evt.EVT_FSM_TRANSITION in bound
        self._messenger.handlers_changed(bound)

    def on_associate(self, pdu: pdus.A_ASSOCIATE_AC) -> frozenset[int]:
        """Take the peer's A-ASSOCIATE-AC; on the thread that reads."""
        link = self._link
        assert link.request_pdu is not None
        link.negotiated, notes = agreeing.conclude(link.request_pdu, pdu)
        for note in notes:
            LOGGER.warning("%s", printable(note))
        link.acceptor.load(pdu)
        self._inbox.window = link.negotiated.performed
        if self._may_sleep_on():
            reporting.negotiation(link, evt.EVT_ACSE_RECV, pdu)
            reporting.accepted(link)
            link.was_established = True
            link.is_negotiated.set()
        else:
            self._inbox.put(pdu)
        return link.negotiated.context_ids

    def _may_sleep_on(self) -> bool:
        """Whether the Association thread has nothing to do yet, now that our request is accepted.

        It waits for as long as `acse_timeout` allows, or until there is something to do.
        """
        link, agreed = self._link, self._link.negotiated
        idle, wakes = link.network_timeout, link.acse_timeout
        return (
            bool(agreed.accepted)
            and agreed.performed == 1
            and (idle is None or (wakes is not None and wakes <= idle))
            and not link.handlers.are_any_told(reporting.AT_ACCEPTANCE)
        )
