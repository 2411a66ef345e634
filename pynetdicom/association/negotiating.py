"""How an association comes about: asked for by us, or by the peer (PS3.8 7.1)."""

from __future__ import annotations

import contextlib
import logging
from queue import Empty
from typing import TYPE_CHECKING, Any, cast

from pynetdicom import _config, debug_log
from pynetdicom import event_types as evt
from pynetdicom.association.negotiated import Negotiated
from pynetdicom.association.state import AssociationState
from pynetdicom.dimse.inbox import ENDED
from pynetdicom.errors import NothingAccepted
from pynetdicom.network.addresses import AddressInformation
from pynetdicom.network.connection import Connection
from pynetdicom.network.connector import secure
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    import ssl

    from pynetdicom.association import Association
    from pynetdicom.association.entity import Listener
    from pynetdicom.network.lobby import Visitor

LOGGER = logging.getLogger("pynetdicom.acse")


class Negotiation(AssociationState):
    """The negotiation of an `Association`, as requestor and as acceptor."""

    # Negotiation as requestor

    def prepare(
        self,
        address: AddressInformation,
        request: pdus.A_ASSOCIATE_RQ,
        maximum_length: int,
        bind_address: tuple[Any, ...] | None,
        tls_args: tuple[ssl.SSLContext, str] | None,
    ) -> None:
        """Say with whom to associate, before the thread is started."""
        self.dul.framer.maximum_length = maximum_length
        self._target = (address, bind_address, tls_args)
        self._request_pdu = request
        self.peer_address = (address.addr, address.port)

    def make_successor(self) -> Association:
        """An association like this one, which we requested; it is not requested yet."""
        assert self._target is not None
        assert self._request_pdu is not None
        address, bind_address, tls_args = self._target
        made = type(self)(self.ae, "requestor", evt_handlers=self._handlers.specs())
        other = cast("Association", made)
        other.acceptor.ae_title = self._request_pdu.called_ae_title
        maximum_length = self.dul.framer.maximum_length
        other.prepare(address, self._request_pdu, maximum_length, bind_address, tls_args)
        for name in ("acse_timeout", "dimse_timeout", "connection_timeout", "_network_timeout"):
            setattr(other, name, getattr(self, name))
        other.network_timeout_response = self.network_timeout_response
        return other

    def wait_negotiated(self) -> None:
        """Wait for the outcome of the negotiation, which has deadlines of its own."""
        self._negotiated.wait()

    def request(self) -> None:
        """Start the association as requestor and wait for the outcome."""
        self.start()
        self.wait_negotiated()

    def _request(self) -> bool:
        assert self._request_pdu is not None
        dul = self.dul
        dul.connecting()
        try:
            connection, deadline = self._connect()
            dul.attach(connection)
        except (OSError, OverflowError) as error:  # the latter for a port that is none
            dul.fail(Ended("failed", "network", timer=self._timer_of(error), error=error))
            return False
        self.requestor.address_info = AddressInformation.from_tuple(connection.socket.getsockname())
        self._handlers.trigger(evt.EVT_CONN_OPEN, {"address": self.peer_address})
        dul.start()
        self.requestor.load(self._request_pdu)
        self._reporter.negotiation(evt.EVT_REQUESTED, self._request_pdu)
        dul.perform(self._request_pdu)
        self._reporter.negotiation(evt.EVT_ACSE_SENT, self._request_pdu)
        return self._await_answer(deadline)

    def _connect(self) -> tuple[Connection, float | None]:
        """Connect; the connection, and until when the peer has to answer our request."""
        assert self._target is not None
        address, bind_address, tls_args = self._target
        deadline = after(self.acse_timeout)
        self._timer = "acse_timeout"
        limit = deadline
        if self.connection_timeout is not None:
            self._timer = "connection_timeout"
            limit = after(self.connection_timeout)
        sock = self._connector.connect(address, limit, bind_address)
        if self.connection_timeout is not None:
            self._timer = "acse_timeout"
            deadline = after(self.acse_timeout)
        try:
            self.acceptor.address_info = AddressInformation.from_tuple(sock.getpeername())
        except OSError:  # the peer has reset the connection already
            sock.close()
            raise
        if tls_args is None:
            return Connection(sock), deadline
        context, hostname = tls_args
        return secure(sock, context, hostname, deadline, self._connector.hold), deadline

    def _timer_of(self, error: Exception) -> str | None:
        """The timer that ran out, if it was one of ours and not the kernel's."""
        ours = isinstance(error, TimeoutError) and error.errno is None
        return self._timer if ours else None

    def _await_answer(self, deadline: float | None) -> bool:
        """Wait for A-ASSOCIATE-AC or what takes its place."""
        while True:
            try:
                item = self.inbox.get(remaining(deadline))
            except Empty:
                self.dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
                return False
            if item is ENDED:
                return False
            if isinstance(item, pdus.A_ASSOCIATE_AC):
                self._reporter.negotiation(evt.EVT_ACSE_RECV, item)
                self._reporter.negotiation(evt.EVT_ACCEPTED, item)
                if not self.accepted_contexts:  # nothing can be sent on it (PS3.8 7.1.1.13)
                    self._fail(Ended("aborted", "local", 0, 0, error=self._nothing_accepted(item)))
                    return False
                debug_log.show_contexts([*self.accepted_contexts, *self.rejected_contexts])
                accepted, rejected = len(self.accepted_contexts), len(self.rejected_contexts)
                self._reporter.summarise(
                    f"accepted, {accepted} of {accepted + rejected} presentation contexts"
                )
                return True

    def _nothing_accepted(self, answer: pdus.A_ASSOCIATE_AC) -> NothingAccepted:
        assert self._request_pdu is not None
        refusals = acse.conclude(self._request_pdu, answer).refusals
        return NothingAccepted(f"no presentation context was accepted: {'; '.join(refusals)}")

    # Negotiation as acceptor

    def _respond(self) -> bool:
        visitor, server = self._visitor, self._server
        assert visitor is not None
        assert server is not None
        assert visitor.request is not None
        rq = visitor.request
        dul = self.dul
        dul.attach(visitor.connection)
        self._introduce(visitor)
        self._seed(server)
        dul.start()
        self._reporter.negotiation(evt.EVT_REQUESTED, rq)
        rejection = acse.check_request(
            rq,
            ae_title=server.ae_title,
            require_called_aet=self.ae.require_called_aet,
            require_calling_aet=self.ae.require_calling_aet,
        )
        if self.ended is not None:
            return False
        if rejection is not None:
            self._reject(rejection)
            return False
        # Only an acceptor answers, and serves.
        from pynetdicom.association.extended_negotiation import answers, fits
        from pynetdicom.association.serving import may_be_storage

        said = answers(self, rq.user_information)
        if not said.is_verified:
            self._reject(pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=1))
            return False
        unrestricted = (
            _config.UNRESTRICTED_STORAGE_SERVICE
            if server.unrestricted_storage is None
            else server.unrestricted_storage
        )
        ours = self.acceptor
        dul.framer.maximum_length = ours.maximum_length
        ac, contexts = acse.accept(
            rq,
            ours.supported_contexts,
            maximum_length=ours.maximum_length,
            implementation_class_uid=ours.implementation_uid,
            implementation_version_name=ours.implementation_version_name,
            unrestricted=may_be_storage if unrestricted else False,
            user_items=said.items,
        )
        if said.items and not fits(ac):
            self._reject(pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=1))
            return False
        self.acceptor.load(ac)
        self.acceptor.accepted_common_extended = said.common_extended
        self.negotiated = Negotiated(
            [c for c in contexts if not c.result],
            [c for c in contexts if c.result],
            self.requestor.maximum_length or 0,
        )
        dul.framer.context_ids = frozenset(self.negotiated.contexts)
        dul.perform(ac)
        self._reporter.negotiation(evt.EVT_ACSE_SENT, ac)
        self._reporter.negotiation(evt.EVT_ACCEPTED, ac)
        self._summarise_answer(acse.refusals(acse.contexts_of(rq), contexts))
        return True

    def _summarise_answer(self, refusals: list[str]) -> None:
        """Log what we have accepted, and why nothing if it is nothing."""
        debug_log.show_contexts([*self.accepted_contexts, *self.rejected_contexts])
        accepted = len(self.accepted_contexts)
        what = f"accepted, {accepted} of {accepted + len(refusals)} presentation contexts"
        if not refusals:
            self._reporter.summarise("accepted")
        else:
            self._reporter.summarise(what if accepted else f"{what}: {'; '.join(refusals)}")

    def _seed(self, server: Listener) -> None:
        """Say who the acceptor is; a handler of `EVT_REQUESTED` may change it."""
        acceptor = self.acceptor
        acceptor.ae_title = server.ae_title
        acceptor.maximum_length = self.ae.maximum_pdu_size
        acceptor.supported_contexts = server.contexts
        acceptor.implementation_class_uid = self.ae._implementation_uid
        acceptor.implementation_version_name = self.ae.implementation_version_name

    def _introduce(self, visitor: Visitor) -> None:
        """Tell of what happened in the lobby, in order."""
        rq = visitor.request
        assert rq is not None
        self.peer_address = visitor.address[:2]
        self.requestor.address_info = AddressInformation.from_tuple(visitor.address)
        with contextlib.suppress(OSError):
            self.acceptor.address_info = AddressInformation.from_tuple(
                visitor.connection.socket.getsockname()
            )
        self.requestor.load(rq)
        self._handlers.trigger(evt.EVT_CONN_OPEN, {"address": self.peer_address}, visitor.opened)
        if self._indications.watches_transitions:
            for transition in visitor.told:
                self._indications.on_transition(*transition)
        if self._indications.watches_data:
            self._indications.on_data(visitor.raw, False)
        if self._indications.watches_pdus:
            self._indications.on_pdu(rq, False)
        self._reporter.negotiation(evt.EVT_ACSE_RECV, rq)

    def reject(self, result: int = 1, source: int = 1, reason: int = 1) -> None:
        """Reject the association request, from a handler of `EVT_REQUESTED` (PS3.8 9.3.4).

        Parameters
        ----------
        result : int
            1 permanently, 2 transiently.
        source : int
            1 the service user, 2 the service provider (ACSE), 3 the service provider
            (presentation).
        reason : int
            As PS3.8 Table 9-21 has it for that source.

        Raises
        ------
        RuntimeError
            There is no association request to answer.
        """
        if not self.dul.provider.may("Evt8"):
            raise RuntimeError("there is no association request to reject")
        self._reject(pdus.A_ASSOCIATE_RJ(result=result, source=source, reason=reason))

    def _reject(self, pdu: pdus.A_ASSOCIATE_RJ) -> None:
        self.acceptor.rejects(pdu)
        self.dul.perform(pdu)
        self._reporter.negotiation(evt.EVT_ACSE_SENT, pdu)
        self._reporter.negotiation(evt.EVT_REJECTED, pdu)

    def tell_of_rejection(self) -> None:
        """Trigger the events of an association that the lobby has turned away."""
        assert self._visitor is not None
        ended = self.dul.ended
        assert ended is not None
        pdu = pdus.A_ASSOCIATE_RJ(ended.result or 0, ended.source or 0, ended.reason or 0)
        self._introduce(self._visitor)
        if self._server is not None:
            self._seed(self._server)
        self._reporter.negotiation(evt.EVT_REQUESTED, self._visitor.request)
        self.acceptor.rejects(pdu)
        if self._indications.watches_data:
            self._indications.on_data(pdu.encode(), True)
        if self._indications.watches_pdus:
            self._indications.on_pdu(pdu, True)
        self._reporter.negotiation(evt.EVT_ACSE_SENT, pdu)
        self._reporter.negotiation(evt.EVT_REJECTED, pdu)
        self._handlers.trigger(evt.EVT_CONN_CLOSE, {"address": self.peer_address})
