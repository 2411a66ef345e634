"""What becomes of an association, for the log, the events of the negotiation, and its end.

All of it is told on the Association thread.
"""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, debug_log, hooks
from pynetdicom import event_types as evt
from pynetdicom._logging import about
from pynetdicom.uids import named, named_all
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.association.link import Link
    from pynetdicom.dimse.primitives import Primitive
    from pynetdicom.upper_layer.ended import Ended

LOGGER = logging.getLogger("pynetdicom.assoc")

_PRIMITIVES = frozenset((evt.EVT_ACSE_RECV, evt.EVT_ACSE_SENT))


AT_ACCEPTANCE = frozenset((evt.EVT_ACSE_RECV, evt.EVT_ACCEPTED, evt.EVT_ESTABLISHED))
"""What is told when our request is accepted."""
AT_THE_END = frozenset(
    (evt.EVT_ACSE_RECV, evt.EVT_ACSE_SENT, evt.EVT_RELEASED, evt.EVT_CONN_CLOSE, *evt.ON_THE_WIRE)
)
"""What is told when an association is released."""


def summarise(link: Link, what: str, *, level: int = logging.INFO) -> None:
    """Log what became of the association, at INFO unless that is left to handlers."""
    is_wanted = level > logging.INFO or _config.LOG_HANDLER_LEVEL != "none"
    if is_wanted and LOGGER.isEnabledFor(level):
        LOGGER.log(level, "association with %s: %s", link.peer_name, printable(what))


def operation(how: str, request: Primitive, response: Primitive, begun: float) -> None:
    """Log an operation that has ended: in one line, with its numbers as attributes.

    Parameters
    ----------
    how : {'performed', 'invoked'}
    request, response : Primitive
        Of the response the status is told.
    begun : float
        Since when it was performed, or its response awaited.
    """
    facts = about(request)
    if not facts["sop_instance"]:  # of an N-CREATE it may be the performer's choice
        created = getattr(response, "AffectedSOPInstanceUID", None)
        facts["sop_instance"] = printable(created or "", 64)
    milliseconds = round((time.monotonic() - begun) * 1000, 1)
    status = f"0x{response.Status:04X}"
    data_set = request.data_set
    size = 0 if data_set is None else data_set.size
    debug_log.OPERATIONS.info(
        "%s %s %s%s%s: %s, %d bytes, %.1f ms",
        how,
        facts["operation"],
        facts["message_id"],
        f" of {named(facts['sop_class'])}" if facts["sop_class"] else "",
        f" {facts['sop_instance']}" if facts["sop_instance"] else "",
        status,
        size,
        milliseconds,
        extra={**facts, "bytes": size, "milliseconds": milliseconds, "status": status},
    )


def accepted(link: Link) -> None:
    """Log what was agreed on, and why nothing if it is nothing."""
    negotiated = link.negotiated
    count, contexts = len(negotiated.accepted), [*negotiated.accepted, *negotiated.rejected]
    debug_log.show_contexts(contexts)
    access = link.access
    what = "accepted" if access is None else f"accepted by the access rule {access.rule}"
    if negotiated.rejected or link.is_requestor:
        what += f", {count} of {len(contexts)} presentation contexts"
    connection: Any = link.dul.connection
    if connection.is_tls:
        what += f", over {connection.socket.version()}"
    if contexts and not count:
        # All of them are answered, in the order in which they were proposed.
        why = acse.refusals(link.requestor.requested_contexts, contexts)
        what += f": {'; '.join(why)}"
    elif access is not None:
        uids = dict.fromkeys(one.abstract_uid for one in negotiated.rejected)
        refused = [uid for uid in uids if not access.may_have(uid, is_scp=False)]
        what += f"; not allowed: {named_all(refused)}" if refused else ""
    summarise(link, what)
    if link.is_requestor:
        _unanswered_roles(link)


def _unanswered_roles(link: Link) -> None:
    """Log at once that the peer leaves us without the role that we need (PS3.7 D.3.3.4)."""
    proposed = link.requestor.role_selection
    unanswered = [
        context.abstract_uid
        for context in link.negotiated.accepted
        if context.scp_unanswered and not proposed[context.abstract_uid].scu_role
    ]
    if unanswered:
        LOGGER.warning(
            "the peer has not answered the role selection for %s%s: it may take us for SCU only",
            named(unanswered[0]),
            f" and {len(unanswered) - 1} more" * (len(unanswered) > 1),
        )


def negotiation(link: Link, event: evt.EventType, pdu: Any) -> None:
    """Trigger an event of the negotiation, with the primitive of `pdu` if anybody listens."""
    if event in _PRIMITIVES:
        debug_log.show_pdu("received" if event is evt.EVT_ACSE_RECV else "sent", pdu)
    if link.handlers.are_told(event):
        from pynetdicom.pdu_primitives import A_ASSOCIATE

        # Callbacks are given it with the other events too.
        name = "primitive" if event in _PRIMITIVES else "_primitive"
        link.handlers.trigger(event, {name: A_ASSOCIATE.from_pdu(pdu)})


def release(link: Link, *, sent: bool) -> None:
    """Trigger the event of an A-RELEASE request or indication, if anybody listens."""
    event = evt.EVT_ACSE_SENT if sent else evt.EVT_ACSE_RECV
    if event in link.handlers:
        from pynetdicom.pdu_primitives import A_RELEASE

        link.handlers.trigger(event, {"primitive": A_RELEASE()})


def end(link: Link, ended: Ended) -> None:
    """Tell how the association has ended."""
    if ended.kind == "rejected":
        if link.is_requestor:
            pdu = pdus.A_ASSOCIATE_RJ(
                result=ended.result or 1, source=ended.source or 1, reason=ended.reason or 1
            )
            link.acceptor.load(pdu)
            negotiation(link, evt.EVT_ACSE_RECV, pdu)
            negotiation(link, evt.EVT_REJECTED, pdu)
        # Who asked is to see why it came to nothing, as with all else that goes wrong.
        summarise(link, str(ended), level=logging.ERROR if link.is_requestor else logging.INFO)
        return
    if ended.kind == "released":
        summarise(link, str(ended))
        is_sent, event = ended.by == "peer", evt.EVT_RELEASED
    else:
        is_wanted = ended.by == "local" and ended.error is None
        summarise(link, str(ended), level=logging.INFO if is_wanted else logging.ERROR)
        is_sent, event = ended.by == "local" and ended.source != 2, evt.EVT_ABORTED
    of_primitive = evt.EVT_ACSE_SENT if is_sent else evt.EVT_ACSE_RECV
    if of_primitive in link.handlers:
        link.handlers.trigger(of_primitive, {"primitive": hooks.primitive_of(ended)})
    link.handlers.trigger(event)
