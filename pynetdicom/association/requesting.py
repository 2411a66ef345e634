"""How an association comes about that we request (PS3.8 7.1)."""

from __future__ import annotations

from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom import debug_log
from pynetdicom import event_types as evt
from pynetdicom.dimse.inbox import ENDED
from pynetdicom.errors import NothingAccepted
from pynetdicom.network.addresses import AddressInformation
from pynetdicom.network.connection import Connection
from pynetdicom.network.connector import Connector
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    import ssl

    from pynetdicom.association.link import Link
    from pynetdicom.association.reporting import Reporter


class Target(NamedTuple):
    """With whom to associate, and how."""

    address: AddressInformation
    request: pdus.A_ASSOCIATE_RQ
    maximum_length: int
    """Bytes that we take in a P-DATA-TF."""
    bind_address: tuple[Any, ...] | None
    tls_args: tuple[ssl.SSLContext, str] | None


class Requesting:
    """The negotiation of an association that we request; on its thread.

    Parameters
    ----------
    link : Link
    reporter : Reporter
    connector : Connector
    target : Target or None
        None where none is going to be requested.
    """

    def __init__(
        self, link: Link, reporter: Reporter, connector: Connector, target: Target | None
    ) -> None:
        self._link = link
        self._reporter = reporter
        self.target = target
        self._connector = connector
        self._timer = "acse_timeout"
        if target is not None:
            link.acceptor.ae_title = target.request.called_ae_title
            link.request_pdu = target.request
            link.peer_address = (target.address.addr, target.address.port)

    def negotiate(self) -> bool:
        """Connect, request the association, and wait for the answer; whether it is established."""
        link, reporter, target = self._link, self._reporter, self.target
        assert target is not None
        link.dul.framer.maximum_length = target.maximum_length
        link.dul.connecting()
        try:
            connection, deadline = self._connect()
            link.dul.attach(connection)
        except (OSError, OverflowError) as error:  # the latter for a port that is none
            link.dul.fail(Ended("failed", "network", timer=self._timer_of(error), error=error))
            return False
        link.requestor.address_info = AddressInformation.from_tuple(connection.socket.getsockname())
        link.handlers.trigger(evt.EVT_CONN_OPEN, {"address": link.peer_address})
        link.dul.start()
        link.requestor.load(target.request)
        reporter.negotiation(evt.EVT_REQUESTED, target.request)
        link.dul.perform(target.request)
        reporter.negotiation(evt.EVT_ACSE_SENT, target.request)
        return self._await_answer(deadline)

    def _connect(self) -> tuple[Connection, float | None]:
        """Connect; the connection, and until when the peer has to answer our request."""
        link, target = self._link, self.target
        assert target is not None
        deadline = after(link.acse_timeout)
        self._timer = "acse_timeout"
        limit = deadline
        if link.connection_timeout is not None:
            self._timer = "connection_timeout"
            limit = after(link.connection_timeout)
        sock = self._connector.connect(target.address, limit, target.bind_address)
        if link.connection_timeout is not None:
            self._timer = "acse_timeout"
            deadline = after(link.acse_timeout)
        try:
            link.acceptor.address_info = AddressInformation.from_tuple(sock.getpeername())
        except OSError:  # the peer has reset the connection already
            sock.close()
            raise
        if target.tls_args is None:
            return Connection(sock), deadline
        context, hostname = target.tls_args
        return self._connector.secure(sock, context, hostname, deadline), deadline

    def _timer_of(self, error: Exception) -> str | None:
        """The timer that ran out, if it was one of ours and not the kernel's."""
        ours = isinstance(error, TimeoutError) and error.errno is None
        return self._timer if ours else None

    def _await_answer(self, deadline: float | None) -> bool:
        """Wait for A-ASSOCIATE-AC or what takes its place."""
        while True:
            try:
                item = self._link.inbox.get(remaining(deadline))
            except Empty:
                self._link.dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
                return False
            if item is ENDED:
                return False
            if isinstance(item, pdus.A_ASSOCIATE_AC):
                self._reporter.negotiation(evt.EVT_ACSE_RECV, item)
                self._reporter.negotiation(evt.EVT_ACCEPTED, item)
                negotiated = self._link.negotiated
                if not negotiated.accepted:  # nothing can be sent on it (PS3.8 7.1.1.13)
                    self._link.dul.abort(
                        Ended("aborted", "local", 0, 0, error=self._nothing_accepted(item))
                    )
                    return False
                debug_log.show_contexts([*negotiated.accepted, *negotiated.rejected])
                accepted, rejected = len(negotiated.accepted), len(negotiated.rejected)
                self._reporter.summarise(
                    f"accepted, {accepted} of {accepted + rejected} presentation contexts"
                )
                return True

    def _nothing_accepted(self, answer: pdus.A_ASSOCIATE_AC) -> NothingAccepted:
        assert self.target is not None
        refusals = acse.conclude(self.target.request, answer).refusals
        return NothingAccepted(f"no presentation context was accepted: {'; '.join(refusals)}")
