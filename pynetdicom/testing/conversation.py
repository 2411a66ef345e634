"""One association of an SCP for tests, from its request to its end, on one thread.

In: what the other side says, by its `ScriptedPeer`. Out: answers as the script has them, and at the
places where it has a fault, that instead.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable, Iterator
from typing import TYPE_CHECKING, Any, Protocol

from pynetdicom.errors import PynetdicomError
from pynetdicom.services.classes import CANCELLED
from pynetdicom.testing import pdus as made
from pynetdicom.testing.answers import CANNOT_UNDERSTAND, Answer, Step, steps
from pynetdicom.testing.pdus import Message
from pynetdicom.testing.peers import ScriptedPeer, Unexpected
from pynetdicom.testing.records import ReceivedAssociation, ReceivedRequest
from pynetdicom.testing.script import ACCEPTING, ANSWERING, RECEIVING, RELEASING, Script
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus

if TYPE_CHECKING:
    from pynetdicom.dimse.primitives import Primitive

IDLE = 1e6
"""Seconds an association may be idle: until its peer, or the SCP, ends it."""

Handler = Callable[["Conversation", ReceivedRequest, Answer], None]


class Over(Exception):
    """The association is over, for this reason."""


class Act(Protocol):
    """What a fault does: it says something else than what is right, and may raise `Over`."""

    name: str

    def act(self, at: Situation) -> None:
        """Do it."""


class Situation:
    """Where an association is when a fault strikes.

    Attributes
    ----------
    conversation : Conversation
    peer : ScriptedPeer
    request : ReceivedRequest or None
        What is answered.
    right : PDU or Primitive or None
        What would be said if all was well.
    context_id : int
    """

    def __init__(
        self,
        conversation: Conversation,
        right: pdus.PDU | Primitive | None,
        request: ReceivedRequest | None = None,
    ) -> None:
        self.conversation = conversation
        self.peer = conversation.peer
        self.right = right
        self.request = request
        self.context_id = 1 if request is None else request.context_id

    @property
    def data(self) -> bytes:
        """What would be said, encoded."""
        if self.right is None:
            return b""
        if isinstance(self.right, pdus.PDU):
            return self.right.encode()
        return made.message(self.context_id, self.right, self.peer.maximum_length)

    def do_right(self) -> None:
        """Say what is right."""
        if self.right is not None:
            self.peer.send(self.right, context_id=self.context_id)


class Host(Protocol):
    """What a conversation asks of its SCP."""

    faults: Script[Act]
    delays: Script[float]
    answers: Script[Answer]
    maximum_length: int
    destinations: dict[str, tuple[str, int]]

    @property
    def problems(self) -> list[BaseException]:
        """Where to put what has failed."""

    def pause(self, seconds: float) -> None:
        """Wait, but not beyond the end of the SCP."""

    def choose(self, context: items.PresentationContextRQ) -> items.PresentationContextAC:
        """Answer a proposed context."""

    def extended(self, request: pdus.A_ASSOCIATE_RQ) -> list[Any]:
        """Answer what is negotiated beyond contexts."""

    def note_association(self, association: ReceivedAssociation) -> None:
        """Take note of an association."""

    def note_request(self, request: ReceivedRequest) -> None:
        """Take note of a request, before it is answered."""

    def note_change(self) -> None:
        """Tell who waits that something has changed."""

    def default(self, operation: str) -> Answer:
        """Give what a request is answered where the script says nothing."""

    def handler(self, operation: str) -> Handler:
        """Give what answers an operation."""


class Conversation:
    """One association, as acceptor.

    Parameters
    ----------
    host : Host
    peer : ScriptedPeer
    """

    def __init__(self, host: Host, peer: ScriptedPeer) -> None:
        self.host = host
        self.peer = peer
        self.association: ReceivedAssociation | None = None

    def run(self) -> None:
        """Have it, from beginning to end."""
        how = "closed"
        try:
            self._secure()
            self._associate()
            while True:
                self._serve(self._next())
        except Over as over:
            how = str(over)
        except (OSError, EOFError):  # the peer is gone, or the SCP ends
            pass
        except (PynetdicomError, Unexpected) as error:
            how = f"aborted: {error}"
            self.host.problems.append(error)
        finally:
            if self.association is not None:
                self.association.ended = how
            self.host.note_change()

    def _secure(self) -> None:
        sock = self.peer.socket
        if isinstance(sock, ssl.SSLSocket):
            try:
                sock.do_handshake()
            except ssl.SSLError:
                # Why, the client reads if it is not told by a reset.
                self.peer.shut()
                self.peer.rest()
                raise

    def _associate(self) -> None:
        request = self.peer.receive()
        if not isinstance(request, pdus.A_ASSOCIATE_RQ):
            raise Unexpected(f"expected A-ASSOCIATE-RQ, but {request.name} came")
        self.association = ReceivedAssociation(request, self.peer.socket.getpeername())
        self.host.note_association(self.association)
        acceptance = made.acceptance(
            request,
            contexts=[self.host.choose(one) for one in made.proposed(request)],
            maximum_length=self.host.maximum_length,
            user_items=self.host.extended(request),
        )
        self.say(ACCEPTING, acceptance)
        self.association.contexts = dict(self.peer.contexts)

    def _next(self) -> Message:
        """The next request; what else may come ends the association."""
        operation = ""

        def begun(primitive: Primitive | None) -> None:
            nonlocal operation
            operation = "" if primitive is None else primitive.name
            self.strike(RECEIVING, operation, Situation(self, None))

        self.peer.timeout = IDLE
        came = self.peer.receive(begun)
        if isinstance(came, Message):
            return came
        if isinstance(came, pdus.A_RELEASE_RQ):
            self.say(RELEASING, pdus.A_RELEASE_RP())
            raise Over("released")
        if isinstance(came, pdus.A_RELEASE_RP):  # to a request of ours
            raise Over("released")
        raise Over("aborted" if isinstance(came, pdus.A_ABORT) else f"aborted: {came.name} came")

    def say(self, place: str, right: pdus.PDU | Primitive, **situation: Any) -> None:
        """Say what is right, unless a fault is due."""
        at = Situation(self, right, **situation)
        operation = "" if at.request is None else at.request.operation
        if not self.strike(place, operation, at):
            at.do_right()

    def strike(self, place: str, operation: str, at: Situation) -> bool:
        """Wait and do wrong as the script says; whether wrong was done."""
        delay = self.host.delays.take(place, operation)
        if delay:
            self.host.pause(delay)
        fault = self.host.faults.take(place, operation)
        if fault is None:
            return False
        try:
            fault.act(at)
        except (Over, OSError, EOFError, Unexpected, PynetdicomError):  # the peer had enough
            raise Over(f"fault: {fault.name}") from None
        return True

    # Requests

    def _serve(self, message: Message) -> None:
        if message.name == "C-CANCEL-RQ" or message.name.endswith("-RSP"):
            return  # of what was answered already
        assert self.association is not None
        request = ReceivedRequest(self.association, message)
        self.association.requests.append(request)
        self.host.note_request(request)
        operation = request.operation
        answer = self.host.answers.take(ANSWERING, operation)
        if answer is None:
            answer = self.host.default(operation)
        try:
            self.host.handler(operation)(self, request, answer)
        finally:
            request.is_answered = True
            self.host.note_change()

    def steps(self, answer: Answer, request: ReceivedRequest) -> Iterator[Step]:
        """Go through an answer; what it fails with is kept, and answered."""
        try:
            yield from steps(answer, request)
        except Over:  # the SCP ends while it takes its time
            raise
        except Exception as error:
            error.add_note(f"raised by what was to answer a {request.operation}-RQ")
            self.host.problems.append(error)
            yield Step(CANNOT_UNDERSTAND, None, {"ErrorComment": type(error).__name__})

    def respond(self, request: ReceivedRequest, status: int, data_set: Any, **more: Any) -> None:
        """Send the final response, or what a fault makes of it."""
        request.status = status
        self.say(ANSWERING, self.response(request, status, data_set, **more), request=request)

    def response(
        self, request: ReceivedRequest, status: int, data_set: Any = None, **elements: Any
    ) -> Primitive:
        """Make a response."""
        encoded = None if data_set is None else made.encoded(data_set, request.transfer_syntax)
        return request.command.response(status, data_set=encoded, **elements)

    def cancelled(self, request: ReceivedRequest) -> bool:
        """Whether a C-CANCEL for a request has come by now."""
        while not request.is_cancelled and self.peer.has_more():
            came = self.peer.receive()
            self.heard(came, request)
        return request.is_cancelled

    def heard(self, came: pdus.PDU | Message, request: ReceivedRequest) -> None:
        """Take what comes while a request is answered: a C-CANCEL, or the end."""
        if isinstance(came, Message):
            if came.name != "C-CANCEL-RQ":
                raise Unexpected(f"a {came.name} came before the answer to {request.operation}-RQ")
            request.is_cancelled = True
        elif isinstance(came, pdus.A_ABORT):
            raise Over("aborted")
        else:
            raise Unexpected(f"{came.name} came before the answer to {request.operation}-RQ")


def single(conversation: Conversation, request: ReceivedRequest, answer: Answer) -> None:
    """Answer what has one response."""
    last = [Step(0x0000), *conversation.steps(answer, request)][-1]
    status = 0x0000 if last.status is None else last.status
    elements = dict(last.elements)
    if request.operation == "N-CREATE" and not request.sop_instance_uid:
        from pydicom.uid import generate_uid

        elements.setdefault("AffectedSOPInstanceUID", generate_uid())
    conversation.respond(request, status, last.data_set, **elements)


def matches(conversation: Conversation, request: ReceivedRequest, answer: Answer) -> None:
    """Answer a C-FIND: a pending response for each match, and a final one."""
    final = Step(0x0000)
    for step in conversation.steps(answer, request):
        if conversation.cancelled(request):
            final = Step(CANCELLED)
            break
        if step.status is None:
            step = step._replace(status=0xFF00)
        if not step.is_pending:
            final = step
            break
        assert step.status is not None
        response = conversation.response(request, step.status, step.data_set, **step.elements)
        conversation.peer.send(response, context_id=request.context_id)
    assert final.status is not None
    conversation.respond(request, final.status, final.data_set, **final.elements)
