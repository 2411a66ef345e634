"""How an association comes about that we request (PS3.8 7.1)."""

from __future__ import annotations

from queue import Empty
from typing import TYPE_CHECKING, Any, NamedTuple

from pynetdicom import event_types as evt
from pynetdicom.association import reporting
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
    connector : Connector
    target : Target or None
        None where none is going to be requested.
    """

    def __init__(self, link: Link, connector: Connector, target: Target | None) -> None:
        self._link = link
        self.target = target
        self._connector = connector
        self._timer = "acse_timeout"
        # What came first for the Association thread to do, once it was established.
        self.first: Any = None
        if target is not None:
            link.acceptor.ae_title = target.request.called_ae_title
            link.request_pdu = target.request
            link.peer_address = (target.address.addr, target.address.port)

    def negotiate(self) -> bool:
        """Connect, request the association, and wait for the answer; whether it is established."""
        link, target = self._link, self.target
        assert target is not None
        link.dul.framer.maximum_length = target.maximum_length
        link.dul.driver.connecting()
        try:
            connection, deadline = self._connect(target)
            link.dul.attach(connection)
        except (OSError, OverflowError) as error:  # the latter for a port that is none
            # The kernel has timers, too: what it says has an errno.
            is_ours = isinstance(error, TimeoutError) and error.errno is None
            timer = self._timer if is_ours else None
            link.dul.fail(Ended("failed", "network", timer=timer, error=error))
            return False
        link.requestor.address_info = AddressInformation(*connection.socket.getsockname())
        link.handlers.trigger(evt.EVT_CONN_OPEN, {"address": link.peer_address})
        link.requestor.load(target.request)
        reporting.negotiation(link, evt.EVT_REQUESTED, target.request)
        link.dul.perform(target.request)
        link.read_here()
        reporting.negotiation(link, evt.EVT_ACSE_SENT, target.request)
        return self._await_answer(target, deadline)

    def _connect(self, target: Target) -> tuple[Connection, float | None]:
        """Connect; the connection, and until when the peer has to answer our request."""
        link = self._link
        deadline = after(link.acse_timeout)
        if link.connection_timeout is None:
            sock = self._connector.connect(target.address, deadline, target.bind_address)
        else:
            self._timer = "connection_timeout"
            limit = after(link.connection_timeout)
            sock = self._connector.connect(target.address, limit, target.bind_address)
            self._timer = "acse_timeout"
            deadline = after(link.acse_timeout)
        try:
            link.acceptor.address_info = AddressInformation(*sock.getpeername())
        except OSError:  # the peer has reset the connection already
            sock.close()
            raise
        if target.tls_args is None:
            return Connection(sock), deadline
        context, hostname = target.tls_args
        return self._connector.secure(sock, context, hostname, deadline), deadline

    def _await_answer(self, target: Target, deadline: float | None) -> bool:
        """Wait for A-ASSOCIATE-AC or what takes its place."""
        link = self._link
        while True:
            try:
                item = link.inbox.get(remaining(deadline))
            except Empty:
                item = None
                if not link.was_established:
                    link.dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
                    return False
            if link.was_established:  # the reader has seen to it, see `Indications`
                self.first = item
                return True
            if item is ENDED:
                return False
            if isinstance(item, pdus.A_ASSOCIATE_AC):
                reporting.negotiation(link, evt.EVT_ACSE_RECV, item)
                reporting.negotiation(link, evt.EVT_ACCEPTED, item)
                if not link.negotiated.accepted:
                    # Nothing can be sent on it (PS3.8 7.1.1.13).
                    why = "; ".join(acse.conclude(target.request, item).refusals)
                    error = NothingAccepted(f"no presentation context was accepted: {why}")
                    link.dul.abort(Ended("aborted", "local", 0, 0, error=error))
                    return False
                reporting.accepted(link)
                return True
