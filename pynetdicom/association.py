"""An association: its thread, its life cycle, and the serving of the peer's requests.

In: from the DUL thread, complete messages and the peer's wish to release, through the inbox; from other threads,
`release`, `abort` and the `send_…` methods of `Requests`. Out: messages, written by whoever sends them.

The Association thread negotiates, then serves the peer's requests one after another and runs the users' handlers; it
also times the silence while nothing is outstanding, and sees the association to its end.
"""

from __future__ import annotations

import contextlib
import contextvars
import logging
import threading
import time
from collections.abc import Sequence
from queue import Empty
from typing import TYPE_CHECKING, Any, Literal

from pynetdicom import _config, serving
from pynetdicom import events as evt
from pynetdicom.dimse.inbox import Inbox
from pynetdicom.dimse.messages import Assembler, Message
from pynetdicom.dimse.operation import Operations
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.events import Handlers, HandlerSpec, trigger
from pynetdicom.negotiation import answers
from pynetdicom.requests import Requests
from pynetdicom.upper_layer import acse
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.dul import DUL, LINGER, Stopped
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import UpperLayer
from pynetdicom.upper_layer.service_user import ServiceUser
from pynetdicom.upper_layer.transport import (
    AddressInformation,
    Connection,
    Connector,
    remaining,
    secure,
)

if TYPE_CHECKING:
    import ssl

    from pynetdicom.ae import ApplicationEntity
    from pynetdicom.transport import AssociationServer
    from pynetdicom.upper_layer.acse import PresentationContext
    from pynetdicom.upper_layer.lobby import Visitor

LOGGER = logging.getLogger("pynetdicom.assoc")

# Signals in the inbox, beside the peer's requests and the A-ASSOCIATE-AC.
ENDED = object()
PEER_RELEASES = object()
WE_RELEASE = object()

BLOCK_ON_ABORT = 1.0


class Association(Requests, Handlers, threading.Thread):
    """An association with a peer; a thread, made by `ApplicationEntity.associate` or by a server.

    Parameters
    ----------
    ae : ApplicationEntity
    mode : {'requestor', 'acceptor'}
        The local side.

    Attributes
    ----------
    requestor, acceptor : ServiceUser
        Both sides.
    accepted_contexts, rejected_contexts : list of PresentationContext
        What was negotiated.
    network_timeout_response : {'A-ABORT', 'A-RELEASE'}
        What to do when `network_timeout` runs out while nothing is outstanding.
    """

    def __init__(
        self,
        ae: ApplicationEntity,
        mode: Literal["requestor", "acceptor"],
        *,
        server: AssociationServer | None = None,
        visitor: Visitor | None = None,
        evt_handlers: Sequence[HandlerSpec] | None = None,
    ) -> None:
        threading.Thread.__init__(self, name=f"pynetdicom-{mode}", daemon=True)
        if mode not in ("requestor", "acceptor"):
            raise ValueError("'mode' must be 'requestor' or 'acceptor'")
        self.ae = ae
        self.mode = mode
        self.lock = threading.RLock()
        self.requestor = ServiceUser(self, "requestor")
        self.acceptor = ServiceUser(self, "acceptor")
        self.accepted_contexts: list[PresentationContext] = []
        self.rejected_contexts: list[PresentationContext] = []
        self.network_timeout_response: Literal["A-ABORT", "A-RELEASE"] = "A-ABORT"
        self.acse_timeout = ae.acse_timeout
        self.dimse_timeout = ae.dimse_timeout
        self.connection_timeout = ae.connection_timeout
        self._network_timeout = ae.network_timeout
        self.contexts: dict[int, PresentationContext] = {}
        self.operations = Operations()
        self.inbox = Inbox()
        self.is_serving = False
        self.busy_with = ""
        self.watches_data = self.watches_pdus = self.watches_transitions = False
        self.peer_maximum = 0
        self.peer_address: tuple[Any, ...] = ("", 0)
        self._server = server
        self._visitor = visitor
        self._dul: DUL | None = None
        self._ended: Ended | None = None
        self._early = threading.Lock()
        self._connector = Connector()
        self._negotiated = threading.Event()
        self._is_established = False
        self._release_after = False
        self._request_pdu: pdus.A_ASSOCIATE_RQ | None = None
        self._target: tuple[Any, ...] | None = None
        self._maximum_length = 0
        self._assembler = Assembler(self._open_data_set)
        self._contextvars = contextvars.copy_context() if _config.PASS_CONTEXTVARS else None
        self._at_finish: list[Any] = []
        specs = server.handler_specs() if server is not None else evt_handlers
        Handlers.__init__(self, specs)

    # State

    @property
    def ended(self) -> Ended | None:
        """How the association ended, by whom and why; None before it has."""
        return self._ended or (self._dul.ended if self._dul is not None else None)

    @property
    def is_established(self) -> bool:
        """Whether the association is there to be used."""
        return self._is_established and self.ended is None

    @property
    def is_rejected(self) -> bool:
        """Whether the association request was rejected."""
        return self.ended is not None and self.ended.kind == "rejected"

    @property
    def is_aborted(self) -> bool:
        """Whether the association was aborted, or never came about for want of a connection."""
        return self.ended is not None and self.ended.kind in ("aborted", "failed")

    @property
    def is_released(self) -> bool:
        """Whether the association was released."""
        return self.ended is not None and self.ended.kind == "released"

    @property
    def is_requestor(self) -> bool:
        """Whether the local side requested the association."""
        return self.mode == "requestor"

    @property
    def is_acceptor(self) -> bool:
        """Whether the local side was asked for the association."""
        return self.mode == "acceptor"

    @property
    def local(self) -> dict[str, Any]:
        """The local side, as callbacks see it."""
        return (self.requestor if self.is_requestor else self.acceptor).info

    @property
    def remote(self) -> dict[str, Any]:
        """The peer, as callbacks see it."""
        return (self.acceptor if self.is_requestor else self.requestor).info

    @property
    def network_timeout(self) -> float | None:
        """Seconds that the peer may neither read nor say anything, when it should; None for ever."""
        return self._network_timeout

    @network_timeout.setter
    def network_timeout(self, value: float | None) -> None:
        self._network_timeout = value
        self.inbox.put(None)  # the Association thread may be waiting by the old value

    @property
    def acse(self) -> serving.ACSE:
        """The association control service element, for handlers that reject."""
        return serving.ACSE(self)

    @property
    def dimse(self) -> Operations:
        """The outstanding operations."""
        return self.operations

    @property
    def dul(self) -> DUL:
        """The DUL service, which is there once the association has a connection."""
        if self._dul is None:
            raise RuntimeError("the association has no connection yet")
        return self._dul

    # The thread

    def run(self) -> None:
        """Negotiate, serve, and see to the end."""
        if self._contextvars is not None:
            self._contextvars.run(self._live)
        else:
            self._live()

    def _live(self) -> None:
        try:
            established = self._respond() if self.is_acceptor else self._request()
            self._is_established = established
            if established:
                trigger(self, evt.EVT_ESTABLISHED)
            self._negotiated.set()
            if established:
                self._serve()
        except Stopped:
            pass
        except Exception as error:
            LOGGER.exception("an association failed")
            self._fail(Ended("aborted", "local", 2, 0, error=error))
        finally:
            try:
                self._finish()
            finally:
                self._negotiated.set()

    def _fail(self, ended: Ended) -> None:
        """Have the association ended, as `ended` says unless it has already."""
        with self._early:
            if self._dul is None:
                self._ended = self._ended or ended
                return
        self._dul.abort(ended)

    def _finish(self) -> None:
        """See the connection closed and tell everybody that it is over."""
        self.operations.end()
        ended = self.ended
        if ended is not None:
            self._tell_of_end(ended)
        self._negotiated.set()
        if self._dul is not None:
            self._dul.join(LINGER if ended is not None else 0)
            if self._dul.is_alive():
                self._dul.connection.cut()
                self._dul.join(LINGER)
            trigger(self, evt.EVT_CONN_CLOSE, {"address": self.peer_address})
        self._assembler.discard()
        for item in self.inbox.drain():
            if isinstance(item, Message):
                item.close()
        self.ae.associations_changed(self, added=False)
        if self._server is not None:
            self._server.association_ended(self)

    def _tell_of_end(self, ended: Ended) -> None:
        if ended.kind == "rejected":
            if self.is_requestor:
                trigger(self, evt.EVT_REJECTED, {"primitive": None})
            LOGGER.info("association %s", ended)
        elif ended.kind == "released":
            LOGGER.info("association %s", ended)
            trigger(self, evt.EVT_RELEASED)
        else:
            log = LOGGER.info if ended.by == "local" and ended.error is None else LOGGER.error
            log("association %s", ended)
            if ended.kind == "aborted":
                trigger(self, evt.EVT_ABORTED)

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
        self._maximum_length = maximum_length
        self._target = (address, bind_address, tls_args)
        self._request_pdu = request
        self.peer_address = (address.addr, address.port)

    def wait_negotiated(self) -> None:
        """Wait for the outcome of the negotiation, which has deadlines of its own."""
        self._negotiated.wait()

    def request(self) -> None:
        """Start the association as requestor and wait for the outcome."""
        self.start()
        self.wait_negotiated()

    def _request(self) -> bool:
        assert self._request_pdu is not None
        deadline = (
            None if self.acse_timeout is None else time.monotonic() + float(self.acse_timeout)
        )
        try:
            connection = self._connect(deadline)
        except OSError as error:
            timer = "connection_timeout" if isinstance(error, TimeoutError) else None
            self._fail(Ended("failed", "network", timer=timer, error=error))
            return False
        upper_layer = UpperLayer(requestor=True)
        framer = Framer(self._maximum_length)
        with self._early:
            if self._ended is not None:  # aborted meanwhile
                connection.close()
                return False
            self._dul = DUL(self, connection, upper_layer, framer, f"{self.name}-DUL")
        self.requestor.address_info = AddressInformation.from_tuple(
            connection.socket.getsockname()
        )
        self._dul.connected()
        trigger(self, evt.EVT_CONN_OPEN, {"address": self.peer_address})
        self._dul.start()
        trigger(self, evt.EVT_REQUESTED)
        self.requestor.load(self._request_pdu)
        self._dul.perform("Evt2", self._request_pdu)
        self._trigger_acse(evt.EVT_ACSE_SENT, self._request_pdu)
        return self._await_answer(deadline)

    def _connect(self, deadline: float | None) -> Connection:
        assert self._target is not None
        address, bind_address, tls_args = self._target
        limit = deadline
        if self.connection_timeout is not None:
            limit = time.monotonic() + self.connection_timeout
            limit = limit if deadline is None else min(limit, deadline)
        sock = self._connector.connect(address, limit, bind_address)
        self.acceptor.address_info = AddressInformation.from_tuple(sock.getpeername())
        if tls_args is None:
            return Connection(sock)
        context, hostname = tls_args
        return secure(sock, context, hostname, deadline, self._connector.hold)

    def _await_answer(self, deadline: float | None) -> bool:
        """Wait for A-ASSOCIATE-AC or what takes its place."""
        assert self._dul is not None
        while True:
            try:
                item = self.inbox.get(remaining(deadline))
            except Empty:
                self._dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
                return False
            if item is ENDED:
                return False
            if isinstance(item, pdus.A_ASSOCIATE_AC):
                self._trigger_acse(evt.EVT_ACSE_RECV, item)
                trigger(self, evt.EVT_ACCEPTED, self._primitive(item))
                LOGGER.info(
                    "association with %s accepted, %d of %d presentation contexts",
                    self.acceptor.ae_title,
                    len(self.accepted_contexts),
                    len(self.accepted_contexts) + len(self.rejected_contexts),
                )
                return True

    def on_associate(self, pdu: pdus.A_ASSOCIATE_AC) -> frozenset[int]:
        """Take the peer's A-ASSOCIATE-AC; on the DUL thread."""
        assert self._request_pdu is not None
        conclusion = acse.conclude(self._request_pdu, pdu)
        for note in conclusion.notes:
            LOGGER.warning("%s", note)
        self.acceptor.load(pdu)
        self.rejected_contexts = conclusion.rejected
        return self._agree(conclusion.accepted, self.acceptor)

    def _agree(self, accepted: list[PresentationContext], peer: ServiceUser) -> frozenset[int]:
        self.accepted_contexts = accepted
        self.contexts = {c.context_id: c for c in accepted if c.context_id is not None}
        self.peer_maximum = peer.maximum_length or 0
        return frozenset(self.contexts)

    # Negotiation as acceptor

    def _respond(self) -> bool:
        visitor, server = self._visitor, self._server
        assert visitor is not None and server is not None and visitor.request is not None
        rq = visitor.request
        visitor.framer.maximum_length = self.ae.maximum_pdu_size
        dul = DUL(self, visitor.connection, visitor.upper_layer, visitor.framer, f"{self.name}-DUL")
        with self._early:
            self._dul = dul
            stop = self._ended is not None
        if stop:
            dul.abort(self._ended or Ended("aborted", "local", 0, 0))
        self._introduce(visitor)
        dul.start()
        trigger(self, evt.EVT_REQUESTED, self._primitive(rq))
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
        said = answers(self, rq.user_information)
        if not said.is_verified:
            self._reject(pdus.A_ASSOCIATE_RJ(result=1, source=1, reason=1))
            return False
        unrestricted = (
            _config.UNRESTRICTED_STORAGE_SERVICE
            if server.unrestricted_storage is None
            else server.unrestricted_storage
        )
        ac, contexts = acse.accept(
            rq,
            server.contexts,
            maximum_length=self.ae.maximum_pdu_size,
            implementation_class_uid=str(self.ae.implementation_class_uid),
            implementation_version_name=self.ae.implementation_version_name,
            unrestricted=serving.may_be_storage if unrestricted else False,
            user_items=said.items,
        )
        self.acceptor.load(ac)
        self.acceptor.accepted_common_extended = said.common_extended
        self.rejected_contexts = [c for c in contexts if c.result]
        dul.framer.context_ids = self._agree([c for c in contexts if not c.result], self.requestor)
        dul.perform("Evt7", ac)
        self._trigger_acse(evt.EVT_ACSE_SENT, ac)
        trigger(self, evt.EVT_ACCEPTED, self._primitive(ac))
        LOGGER.info("association with %s accepted", rq.calling_ae_title)
        return True

    def _introduce(self, visitor: Visitor) -> None:
        """Tell of what happened in the lobby, in order."""
        rq = visitor.request
        self.peer_address = visitor.address[:2]
        self.requestor.address_info = AddressInformation.from_tuple(visitor.address)
        with contextlib.suppress(OSError):
            self.acceptor.address_info = AddressInformation.from_tuple(
                visitor.connection.socket.getsockname()
            )
        self.requestor.load(rq)
        trigger(self, evt.EVT_CONN_OPEN, {"address": self.peer_address}, visitor.opened)
        if self.watches_transitions:
            self.on_transition("AE-5", "Sta1", "Evt5", "Sta2")
            self.on_transition("AE-6", "Sta2", "Evt6", visitor.upper_layer.state)
        if self.watches_data:
            self.on_data(visitor.raw, False)
        if self.watches_pdus:
            self.on_pdu(rq, False)
        self._trigger_acse(evt.EVT_ACSE_RECV, rq)

    def reject(self, result: int = 1, source: int = 1, reason: int = 1) -> None:
        """Reject the association request, from a handler of `EVT_REQUESTED` (PS3.8 9.3.4).

        Parameters
        ----------
        result : int
            1 permanently, 2 transiently.
        source : int
            1 the service user, 2 the service provider (ACSE), 3 the service provider (presentation).
        reason : int
            As PS3.8 Table 9-21 has it for that source.

        Raises
        ------
        RuntimeError
            There is no association request to answer.
        """
        if self.is_requestor or self._dul is None or self._dul.state != "Sta3":
            raise RuntimeError("there is no association request to reject")
        self._reject(pdus.A_ASSOCIATE_RJ(result=result, source=source, reason=reason))

    def _reject(self, pdu: pdus.A_ASSOCIATE_RJ) -> None:
        assert self._dul is not None
        ended = Ended("rejected", "local", pdu.source, pdu.reason, pdu.result)
        self._dul.perform("Evt8", pdu, ended)
        self._trigger_acse(evt.EVT_ACSE_SENT, pdu)
        trigger(self, evt.EVT_REJECTED, self._primitive(pdu))

    def tell_of_rejection(self, pdu: pdus.A_ASSOCIATE_RJ) -> None:
        """Trigger the events of an association that the lobby has turned away."""
        assert self._visitor is not None
        self._ended = Ended("rejected", "local", pdu.source, pdu.reason, pdu.result)
        self._introduce(self._visitor)
        trigger(self, evt.EVT_REQUESTED, self._primitive(self._visitor.request))
        self._trigger_acse(evt.EVT_ACSE_SENT, pdu)
        trigger(self, evt.EVT_REJECTED, self._primitive(pdu))

    # Serving

    def _serve(self) -> None:
        """Do what the inbox says until the association has ended."""
        assert self._dul is not None
        while True:
            try:
                item = self.inbox.get(self._patience())
            except Empty:
                self._check_idle()
                continue
            if item is ENDED:
                return
            if item is PEER_RELEASES:
                self._answer_release()
            elif item is WE_RELEASE:
                self._release()
            elif item is not None:
                self.serve_request(item)
                if self._release_after:
                    self._release_after = False
                    self._release()

    def serve_request(self, message: Message) -> None:
        """Serve one request of the peer and send the response."""
        assert self._dul is not None
        # In this order, so that whoever aborts meanwhile either is seen here or sees that we are busy.
        self.is_serving = True
        response = None
        try:
            if self._dul.ended is not None:
                return
            if self.has_handlers(evt.EVT_DIMSE_RECV):
                trigger(self, evt.EVT_DIMSE_RECV, {"message": message})
            response = serving.answer(self, message)
        finally:
            self.is_serving = False
            self.busy_with = ""
            message.close()
            self.inbox.done(message)
        if response is not None:
            self.send_message(response, message.context_id)

    def is_request_cancelled(self, message_id: int) -> bool:
        """Whether the peer has cancelled its request of that Message ID, or is gone."""
        return self.inbox.is_cancelled(message_id) or self.ended is not None

    def _patience(self) -> float | None:
        """Seconds until the silence is too long; None while it cannot be."""
        if self._network_timeout is None:
            return None
        assert self._dul is not None
        return max(0.0, self._dul.last_activity + self._network_timeout - time.monotonic())

    def _check_idle(self) -> None:
        """Nothing was to be done for `network_timeout`: end it, unless something is outstanding."""
        assert self._dul is not None
        if self._patience() != 0.0:
            return
        if self.operations or self.in_message:
            # Other timers run for these.
            self._dul.last_activity = time.monotonic()
        elif self.network_timeout_response == "A-RELEASE":
            self._release()
        else:
            self._dul.abort(Ended("aborted", "local", 0, 0, timer="network_timeout"))

    # Ending

    def _answer_release(self) -> None:
        """Answer the peer's A-RELEASE-RQ; its requests have been served."""
        assert self._dul is not None
        self._dul.perform("Evt14", pdus.A_RELEASE_RP(), Ended("released", "peer"))

    def _release(self) -> None:
        """Send A-RELEASE-RQ once our operations have ended, and wait for the answer."""
        assert self._dul is not None
        timeout = None if self.acse_timeout is None else float(self.acse_timeout)
        deadline = None if timeout is None else time.monotonic() + timeout
        if not self.operations.wait_idle(timeout):
            self._dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
        if self._dul.state != "Sta6":
            return
        self._dul.perform("Evt11", pdus.A_RELEASE_RQ())
        while True:
            try:
                item = self.inbox.get(remaining(deadline))
            except Empty:
                self._dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
                continue
            if item is ENDED:
                self.inbox.put(ENDED)
                return
            if isinstance(item, Message):
                LOGGER.warning(
                    "a %s that crossed our A-RELEASE-RQ is dropped", item.primitive.message_name
                )
                item.close()
                self.inbox.done(item)

    def release(self) -> None:
        """Release the association: the peer's request being served is answered and our operations are waited for.

        Called from a handler, the release is done when the handler's response has been sent. If it is not done
        within `acse_timeout`, the association is aborted (PS3.8 7.2).

        Raises
        ------
        RuntimeError
            Called on the association's DUL thread, which must not be held up.
        """
        self._refuse_on_dul_thread("release()")
        if not self.is_established:
            return
        if threading.current_thread() is self:
            self._release_after = True
            return
        self.inbox.put(WE_RELEASE)
        timeout = None if self.acse_timeout is None else float(self.acse_timeout) + LINGER
        self.join(timeout)
        if self.is_alive() and self.ended is None:  # a handler does not return
            self._fail(Ended("aborted", "local", 0, 0, timer="acse_timeout"))

    def abort(self, block: bool = True) -> None:
        """Abort the association; whoever waits for something on it is woken at once (PS3.8 7.3).

        Parameters
        ----------
        block : bool
            Wait for the association's end, for at most a second; never from its own threads.
        """
        self._connector.give_up()
        self._fail(Ended("aborted", "local", 0, 0))
        current = threading.current_thread()
        if block and current is not self and current is not self._dul and self.is_alive():
            self.join(BLOCK_ON_ABORT)

    def kill(self) -> None:
        """Abort the association without giving anything the time to be completed."""
        self._connector.give_up()
        ended = Ended("aborted", "local", 0, 0)
        if self._dul is None:
            self._fail(ended)
        else:
            self._dul.abort(ended, at_once=True)

    def wait_ended(self, deadline: float) -> bool:
        """Wait until its threads have ended; at once where it would wait for itself."""
        current = threading.current_thread()
        if current is self or current is self._dul:
            return True
        if self.is_alive():
            self.join(remaining(deadline))
        return not self.is_alive()

    def what_holds_it(self) -> str:
        """What its thread is busy with, for a warning."""
        return f"the handler of {self.busy_with} does not return" if self.busy_with else "unknown"

    def cut(self) -> None:
        """Shut the connection down without another word."""
        if self._dul is not None:
            self._dul.connection.cut()

    def _refuse_on_dul_thread(self, what: str) -> None:
        if self._dul is not None and threading.current_thread() is self._dul:
            raise RuntimeError(f"{what} from a handler on the DUL thread would wait for itself")

    # What the DUL service asks or tells

    @property
    def in_message(self) -> bool:
        """Whether a message from the peer has begun and is not complete."""
        return self._assembler.in_message

    @property
    def expects_more(self) -> bool:
        """Whether the peer will send something before we do."""
        return self._assembler.in_message or bool(self.operations)

    def feed(
        self, context_id: int, control: int, data: memoryview, pdv_done: bool
    ) -> Message | None:
        """Take a part of a PDV."""
        return self._assembler.feed(context_id, control, data, pdv_done)

    def flush(self) -> None:
        """Copy or write what was fed."""
        self._assembler.flush()

    def _open_data_set(self, context_id: int, primitive: Any) -> Any:
        return serving.open_data_set(self, self._server, context_id, primitive)

    def on_message(self, message: Any) -> None:
        """Take a complete message, or the A-ASSOCIATE-AC."""
        if not isinstance(message, Message):
            self.inbox.put(message)
            return
        primitive = message.primitive
        if primitive.is_response:
            if not self.operations.deliver(message):
                LOGGER.warning("a %s that answers nothing is dropped", primitive.message_name)
                message.close()
                if self.operations.strays > _config.MAXIMUM_STRAY_RESPONSES:
                    raise DIMSEDecodeError("too many responses that answer nothing")
        elif primitive.response_field is None:
            self.inbox.cancel(primitive.MessageIDBeingRespondedTo)
        else:
            self.inbox.put_request(message)

    def on_release(self) -> None:
        """The peer requests release: its requests are served first, ours get no more answers."""
        self.inbox.put(PEER_RELEASES)
        self.operations.end()

    def on_ended(self) -> None:
        """The association has ended."""
        self.operations.end()
        self.inbox.put(ENDED)

    def on_data(self, data: bytes, sent: bool) -> None:
        """Bytes were received or sent."""
        trigger(self, evt.EVT_DATA_SENT if sent else evt.EVT_DATA_RECV, {"data": data})

    def on_pdu(self, pdu: Any, sent: bool) -> None:
        """A PDU was received or sent."""
        trigger(self, evt.EVT_PDU_SENT if sent else evt.EVT_PDU_RECV, {"pdu": pdu})

    def on_transition(self, action: str, state: str, event: str, next_state: str) -> None:
        """The state machine has moved."""
        attrs = {
            "action": action,
            "current_state": state,
            "fsm_event": event,
            "next_state": next_state,
        }
        trigger(self, evt.EVT_FSM_TRANSITION, attrs)

    def _handlers_changed(self) -> None:
        has = self.has_handlers
        self.watches_data = has(evt.EVT_DATA_RECV) or has(evt.EVT_DATA_SENT)
        self.watches_pdus = has(evt.EVT_PDU_RECV) or has(evt.EVT_PDU_SENT)
        self.watches_transitions = has(evt.EVT_FSM_TRANSITION)

    def _primitive(self, pdu: Any) -> dict[str, Any]:
        from pynetdicom.pdu_primitives import A_ASSOCIATE

        return {"primitive": A_ASSOCIATE.from_pdu(pdu)}

    def _trigger_acse(self, event: evt.EventType, pdu: Any) -> None:
        if self.has_handlers(event):
            trigger(self, event, self._primitive(pdu))
