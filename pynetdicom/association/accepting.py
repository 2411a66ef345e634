"""How an association comes about that a peer requests (PS3.8 7.1)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pynetdicom import _config
from pynetdicom import event_types as evt
from pynetdicom.association import agreeing, reporting
from pynetdicom.network.addresses import AddressInformation
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer import pdu as pdus

if TYPE_CHECKING:
    from pynetdicom.association.entity import Listener
    from pynetdicom.association.indications import Indications
    from pynetdicom.association.link import Link
    from pynetdicom.network.visitors import Visitor


class Accepting:
    """The negotiation of an association that a peer requests; on its thread.

    Parameters
    ----------
    link : Link
    indications : Indications
    visitor : Visitor or None
        Who has come from the lobby.
    """

    def __init__(self, link: Link, indications: Indications, visitor: Visitor | None) -> None:
        self._link = link
        self._indications = indications
        self._visitor = visitor
        self.first = None
        self._access = link.access = None if visitor is None else visitor.granted

    def negotiate(self) -> bool:
        """Answer the association request; whether the association is established."""
        link, visitor, server = self._link, self._visitor, self._link.server
        assert visitor is not None
        assert server is not None
        link.dul.attach(visitor.connection)
        link.read_here()
        rq = self._introduce(visitor, server)
        reporting.negotiation(link, evt.EVT_REQUESTED, rq)
        rejection = acse.check_request(
            rq,
            ae_title=server.ae_title,
            require_called_aet=link.ae.require_called_aet,
            require_calling_aet=link.ae.require_calling_aet,
        )
        if link.ended is not None:
            return False
        answer = rejection or self._answer(rq, server)
        if isinstance(answer, pdus.A_ASSOCIATE_RJ):
            self.reject(answer)
            return False
        link.dul.framer.maximum_length = link.acceptor.maximum_length
        link.acceptor.load(answer)
        link.dul.framer.context_ids = link.negotiated.context_ids
        link.dul.perform(answer)
        reporting.negotiation(link, evt.EVT_ACSE_SENT, answer)
        reporting.negotiation(link, evt.EVT_ACCEPTED, answer)
        reporting.accepted(link)
        return True

    def _answer(
        self, rq: pdus.A_ASSOCIATE_RQ, server: Listener
    ) -> pdus.A_ASSOCIATE_AC | pdus.A_ASSOCIATE_RJ:
        """Agree on what can be agreed on."""
        # Only an acceptor answers, and serves.
        from pynetdicom.association.extended_negotiation import answers, fits
        from pynetdicom.association.serving import may_be_storage

        ours = self._link.acceptor
        refusal = pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=1)
        items = answers(self._link)
        if items is None:
            return refusal
        unrestricted = server.unrestricted_storage
        if unrestricted is None:
            unrestricted = _config.UNRESTRICTED_STORAGE_SERVICE
        ac, self._link.negotiated = agreeing.answer(
            rq,
            ours.supported_contexts,
            maximum_length=ours.maximum_length,
            implementation_class_uid=ours.implementation_uid,
            implementation_version_name=ours.implementation_version_name,
            unrestricted=may_be_storage if unrestricted else None,
            permitted=None if self._access is None else self._access.may_have,
            user_items=items,
        )
        if items and not fits(ac):
            return refusal
        self._link.inbox.window = self._link.negotiated.performed
        return ac

    def _introduce(self, visitor: Visitor, server: Listener) -> pdus.A_ASSOCIATE_RQ:
        """Tell of what happened in the lobby, in order, and give the request."""
        link, acceptor, rq = self._link, self._link.acceptor, visitor.request
        assert rq is not None
        link.peer_address = visitor.address[:2]
        link.requestor.address_info = AddressInformation(*visitor.address)
        with contextlib.suppress(OSError):
            acceptor.address_info = AddressInformation(*visitor.connection.socket.getsockname())
        link.requestor.load(rq)
        link.handlers.trigger(evt.EVT_CONN_OPEN, {"address": link.peer_address}, visitor.opened)
        told = self._indications
        if told.watches_transitions:
            for transition in visitor.told:
                told.on_transition(*transition)
        if told.watches_data:
            told.on_data(visitor.raw, False)
        if told.watches_pdus:
            told.on_pdu(rq, False)
        reporting.negotiation(link, evt.EVT_ACSE_RECV, rq)
        # Who the acceptor is; a handler of `EVT_REQUESTED` may change it.
        maximum_length = link.ae.maximum_pdu_size
        if self._access is not None:
            maximum_length = self._access.pdu_length(maximum_length)
            self._indications.assembler.maximum_command = self._access.limits.command_set_bytes
        acceptor.is_to_say(server.ae_title, maximum_length, server.contexts, link.ae)
        return rq

    def reject(self, pdu: pdus.A_ASSOCIATE_RJ, *, is_sent: bool = False) -> None:
        """Reject the association request, and tell of it; the lobby may have sent that already."""
        self._link.acceptor.load(pdu)
        if is_sent:
            self._indications.on_data(pdu.encode(), True)
            self._indications.on_pdu(pdu, True)
        else:
            self._link.dul.perform(pdu)
        reporting.negotiation(self._link, evt.EVT_ACSE_SENT, pdu)
        reporting.negotiation(self._link, evt.EVT_REJECTED, pdu)

    def tell_of_rejection(self) -> None:
        """Trigger the events of an association that the lobby has turned away."""
        ended = self._link.ended
        assert self._visitor is not None
        assert self._link.server is not None
        assert ended is not None
        pdu = pdus.A_ASSOCIATE_RJ(ended.result or 0, ended.source or 0, ended.reason or 0)
        rq = self._introduce(self._visitor, self._link.server)
        reporting.negotiation(self._link, evt.EVT_REQUESTED, rq)
        self.reject(pdu, is_sent=True)
        self._link.handlers.trigger(evt.EVT_CONN_CLOSE, {"address": self._link.peer_address})
