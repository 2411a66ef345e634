"""How an association comes about that a peer requests (PS3.8 7.1)."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING

from pynetdicom import _config, debug_log
from pynetdicom import event_types as evt
from pynetdicom.association.negotiated import Negotiated
from pynetdicom.network.addresses import AddressInformation
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer import pdu as pdus

if TYPE_CHECKING:
    from pynetdicom.association.entity import Listener
    from pynetdicom.association.indications import Indications
    from pynetdicom.association.link import Link
    from pynetdicom.association.reporting import Reporter
    from pynetdicom.network.lobby import Visitor


class Accepting:
    """The negotiation of an association that a peer requests; on its thread.

    Parameters
    ----------
    link : Link
    reporter : Reporter
    indications : Indications
    visitor : Visitor or None
        Who has come from the lobby.
    server : Listener or None
    """

    def __init__(
        self,
        link: Link,
        reporter: Reporter,
        indications: Indications,
        visitor: Visitor | None,
        server: Listener | None,
    ) -> None:
        self._link = link
        self._reporter = reporter
        self._indications = indications
        self._visitor = visitor
        self._server = server

    def negotiate(self) -> bool:
        """Answer the association request; whether the association is established."""
        link, visitor, server = self._link, self._visitor, self._server
        assert visitor is not None
        assert server is not None
        assert visitor.request is not None
        rq = visitor.request
        link.dul.attach(visitor.connection)
        self._introduce(visitor)
        self._seed(server)
        link.dul.start()
        self._reporter.negotiation(evt.EVT_REQUESTED, rq)
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
        link.acceptor.load(answer)
        link.dul.framer.maximum_length = link.acceptor.maximum_length
        link.dul.framer.context_ids = frozenset(link.negotiated.contexts)
        link.dul.perform(answer)
        self._reporter.negotiation(evt.EVT_ACSE_SENT, answer)
        self._reporter.negotiation(evt.EVT_ACCEPTED, answer)
        self._summarise(rq)
        return True

    def _answer(
        self, rq: pdus.A_ASSOCIATE_RQ, server: Listener
    ) -> pdus.A_ASSOCIATE_AC | pdus.A_ASSOCIATE_RJ:
        """Agree on what can be agreed on."""
        # Only an acceptor answers, and serves.
        from pynetdicom.association.extended_negotiation import answers, fits
        from pynetdicom.association.serving import may_be_storage

        ours = self._link.acceptor
        said = answers(self._link, rq.user_information)
        if not said.is_verified:
            return pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=1)
        unrestricted = server.unrestricted_storage
        if unrestricted is None:
            unrestricted = _config.UNRESTRICTED_STORAGE_SERVICE
        ac, contexts = acse.accept(
            rq,
            ours.supported_contexts,
            maximum_length=ours.maximum_length,
            implementation_class_uid=ours.implementation_uid,
            implementation_version_name=ours.implementation_version_name,
            unrestricted=may_be_storage if unrestricted else None,
            user_items=said.items,
        )
        if said.items and not fits(ac):
            return pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=1)
        ours.accepted_common_extended = said.common_extended
        self._link.negotiated = Negotiated(
            [c for c in contexts if not c.result],
            [c for c in contexts if c.result],
            self._link.requestor.maximum_length or 0,
        )
        return ac

    def _summarise(self, rq: pdus.A_ASSOCIATE_RQ) -> None:
        """Log what we have accepted, and why nothing if it is nothing."""
        negotiated = self._link.negotiated
        debug_log.show_contexts([*negotiated.accepted, *negotiated.rejected])
        proposed = {context.context_id: context for context in acse.contexts_of(rq)}
        rejected = negotiated.rejected
        refusals = acse.refusals((proposed[c.context_id] for c in rejected), rejected)
        accepted = len(negotiated.accepted)
        what = f"accepted, {accepted} of {accepted + len(refusals)} presentation contexts"
        if not refusals:
            self._reporter.summarise("accepted")
        else:
            self._reporter.summarise(what if accepted else f"{what}: {'; '.join(refusals)}")

    def _seed(self, server: Listener) -> None:
        """Say who the acceptor is; a handler of `EVT_REQUESTED` may change it."""
        acceptor = self._link.acceptor
        acceptor.ae_title = server.ae_title
        acceptor.maximum_length = self._link.ae.maximum_pdu_size
        acceptor.supported_contexts = server.contexts
        acceptor.implementation_class_uid = self._link.ae._implementation_uid
        acceptor.implementation_version_name = self._link.ae.implementation_version_name

    def _introduce(self, visitor: Visitor) -> None:
        """Tell of what happened in the lobby, in order."""
        rq = visitor.request
        assert rq is not None
        self._link.peer_address = visitor.address[:2]
        self._link.requestor.address_info = AddressInformation.from_tuple(visitor.address)
        with contextlib.suppress(OSError):
            self._link.acceptor.address_info = AddressInformation.from_tuple(
                visitor.connection.socket.getsockname()
            )
        self._link.requestor.load(rq)
        self._link.handlers.trigger(
            evt.EVT_CONN_OPEN, {"address": self._link.peer_address}, visitor.opened
        )
        if self._indications.watches_transitions:
            for transition in visitor.told:
                self._indications.on_transition(*transition)
        if self._indications.watches_data:
            self._indications.on_data(visitor.raw, False)
        if self._indications.watches_pdus:
            self._indications.on_pdu(rq, False)
        self._reporter.negotiation(evt.EVT_ACSE_RECV, rq)

    def reject(self, pdu: pdus.A_ASSOCIATE_RJ) -> None:
        """Reject the association request."""
        self._link.acceptor.rejects(pdu)
        self._link.dul.perform(pdu)
        self._reporter.negotiation(evt.EVT_ACSE_SENT, pdu)
        self._reporter.negotiation(evt.EVT_REJECTED, pdu)

    def tell_of_rejection(self) -> None:
        """Trigger the events of an association that the lobby has turned away."""
        assert self._visitor is not None
        ended = self._link.ended
        assert ended is not None
        pdu = pdus.A_ASSOCIATE_RJ(ended.result or 0, ended.source or 0, ended.reason or 0)
        self._introduce(self._visitor)
        if self._server is not None:
            self._seed(self._server)
        self._reporter.negotiation(evt.EVT_REQUESTED, self._visitor.request)
        self._link.acceptor.rejects(pdu)
        if self._indications.watches_data:
            self._indications.on_data(pdu.encode(), True)
        if self._indications.watches_pdus:
            self._indications.on_pdu(pdu, True)
        self._reporter.negotiation(evt.EVT_ACSE_SENT, pdu)
        self._reporter.negotiation(evt.EVT_REJECTED, pdu)
        self._link.handlers.trigger(evt.EVT_CONN_CLOSE, {"address": self._link.peer_address})
