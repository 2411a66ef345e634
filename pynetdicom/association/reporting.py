"""What becomes of an association, for the log, the events of the negotiation, and its end."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, debug_log
from pynetdicom import event_types as evt
from pynetdicom.network.addresses import address_text
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.association.state import AssociationState
    from pynetdicom.upper_layer.ended import Ended

LOGGER = logging.getLogger("pynetdicom.assoc")

_PRIMITIVES = frozenset((evt.EVT_ACSE_RECV, evt.EVT_ACSE_SENT))


class Reporter:
    """Tells of what becomes of one association; on its thread."""

    def __init__(self, assoc: AssociationState) -> None:
        self._assoc = assoc

    @property
    def peer_name(self) -> str:
        """The peer's AE title and, once it is known, its address."""
        assoc = self._assoc
        peer = assoc.acceptor if assoc.is_requestor else assoc.requestor
        where = peer.address_info
        if where is None:
            return printable(peer.ae_title)
        return printable(f"{peer.ae_title} at {address_text((where.address, where.port))}")

    def summarise(self, what: str, *, level: int = logging.INFO) -> None:
        """Log what became of the association, at INFO unless that is left to handlers."""
        if level > logging.INFO or _config.LOG_HANDLER_LEVEL != "none":
            LOGGER.log(level, "association with %s: %s", self.peer_name, printable(what))

    def negotiation(self, event: evt.EventType, pdu: Any) -> None:
        """Trigger an event of the negotiation, with the primitive of `pdu` if anybody listens."""
        if event in _PRIMITIVES:
            debug_log.show_pdu("received" if event is evt.EVT_ACSE_RECV else "sent", pdu)
        if self._assoc._handlers.are_told(event):
            from pynetdicom.pdu_primitives import A_ASSOCIATE

            # Callbacks are given it with the other events too.
            name = "primitive" if event in _PRIMITIVES else "_primitive"
            self._assoc._handlers.trigger(event, {name: A_ASSOCIATE.from_pdu(pdu)})

    def primitive(self, sent: bool, name: str, **parameters: Any) -> None:
        """Trigger the event of a primitive other than A-ASSOCIATE, if anybody listens."""
        event = evt.EVT_ACSE_SENT if sent else evt.EVT_ACSE_RECV
        if event in self._assoc._handlers:
            from pynetdicom import pdu_primitives

            primitive = getattr(pdu_primitives, name)()
            for parameter, value in parameters.items():
                if value is not None:
                    setattr(primitive, parameter, value)
            self._assoc._handlers.trigger(event, {"primitive": primitive})

    def end(self, ended: Ended) -> None:
        """Tell how the association has ended."""
        assoc = self._assoc
        if ended.kind == "rejected":
            if assoc.is_requestor:
                pdu = pdus.A_ASSOCIATE_RJ(
                    result=ended.result or 1, source=ended.source or 1, reason=ended.reason or 1
                )
                assoc.acceptor.rejects(pdu)
                self.negotiation(evt.EVT_ACSE_RECV, pdu)
                self.negotiation(evt.EVT_REJECTED, pdu)
            # Who asked is to see why it came to nothing, as with all else that goes wrong.
            self.summarise(str(ended), level=logging.ERROR if assoc.is_requestor else logging.INFO)
        elif ended.kind == "released":
            self.summarise(str(ended))
            self.primitive(ended.by == "peer", "A_RELEASE", result="affirmative")
            assoc._handlers.trigger(evt.EVT_RELEASED)
        else:
            is_wanted = ended.by == "local" and ended.error is None
            self.summarise(str(ended), level=logging.INFO if is_wanted else logging.ERROR)
            if ended.source == 2 or ended.by == "network":
                self.primitive(False, "A_P_ABORT", provider_reason=ended.reason)
            else:
                self.primitive(ended.by == "local", "A_ABORT", abort_source=ended.source)
            assoc._handlers.trigger(evt.EVT_ABORTED)
