"""What becomes of an association, for the log, the events of the negotiation, and its end."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, debug_log, hooks
from pynetdicom import event_types as evt
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.association.link import Link
    from pynetdicom.upper_layer.ended import Ended

LOGGER = logging.getLogger("pynetdicom.assoc")

_PRIMITIVES = frozenset((evt.EVT_ACSE_RECV, evt.EVT_ACSE_SENT))


class Reporter:
    """Tells of what becomes of one association; on its thread."""

    def __init__(self, link: Link) -> None:
        self._link = link

    def summarise(self, what: str, *, level: int = logging.INFO) -> None:
        """Log what became of the association, at INFO unless that is left to handlers."""
        if level > logging.INFO or _config.LOG_HANDLER_LEVEL != "none":
            LOGGER.log(level, "association with %s: %s", self._link.peer_name, printable(what))

    def accepted(self, refusals: Iterable[str] = ()) -> None:
        """Log what was agreed on, and why nothing if it is nothing."""
        accepted, rejected = self._link.negotiated.accepted, self._link.negotiated.rejected
        debug_log.show_contexts([*accepted, *rejected])
        what = "accepted"
        if rejected or self._link.is_requestor:
            total = len(accepted) + len(rejected)
            what += f", {len(accepted)} of {total} presentation contexts"
        self.summarise(what if accepted else f"{what}: {'; '.join(refusals)}")

    def negotiation(self, event: evt.EventType, pdu: Any) -> None:
        """Trigger an event of the negotiation, with the primitive of `pdu` if anybody listens."""
        if event in _PRIMITIVES:
            debug_log.show_pdu("received" if event is evt.EVT_ACSE_RECV else "sent", pdu)
        if self._link.handlers.are_told(event):
            from pynetdicom.pdu_primitives import A_ASSOCIATE

            # Callbacks are given it with the other events too.
            name = "primitive" if event in _PRIMITIVES else "_primitive"
            self._link.handlers.trigger(event, {name: A_ASSOCIATE.from_pdu(pdu)})

    def release(self, *, sent: bool) -> None:
        """Trigger the event of an A-RELEASE request or indication, if anybody listens."""
        event = evt.EVT_ACSE_SENT if sent else evt.EVT_ACSE_RECV
        if event in self._link.handlers:
            from pynetdicom.pdu_primitives import A_RELEASE

            self._link.handlers.trigger(event, {"primitive": A_RELEASE()})

    def end(self, ended: Ended) -> None:
        """Tell how the association has ended."""
        link = self._link
        if ended.kind == "rejected":
            if link.is_requestor:
                pdu = pdus.A_ASSOCIATE_RJ(
                    result=ended.result or 1, source=ended.source or 1, reason=ended.reason or 1
                )
                link.acceptor.rejects(pdu)
                self.negotiation(evt.EVT_ACSE_RECV, pdu)
                self.negotiation(evt.EVT_REJECTED, pdu)
            # Who asked is to see why it came to nothing, as with all else that goes wrong.
            self.summarise(str(ended), level=logging.ERROR if link.is_requestor else logging.INFO)
            return
        if ended.kind == "released":
            self.summarise(str(ended))
            is_sent, event = ended.by == "peer", evt.EVT_RELEASED
        else:
            is_wanted = ended.by == "local" and ended.error is None
            self.summarise(str(ended), level=logging.INFO if is_wanted else logging.ERROR)
            is_sent, event = ended.by == "local" and ended.source != 2, evt.EVT_ABORTED
        of_primitive = evt.EVT_ACSE_SENT if is_sent else evt.EVT_ACSE_RECV
        handlers = self._link.handlers
        if of_primitive in handlers:
            handlers.trigger(of_primitive, {"primitive": hooks.primitive_of(ended)})
        handlers.trigger(event)
