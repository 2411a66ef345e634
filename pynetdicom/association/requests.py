"""What an association asks of its peer, beside C-STORE (`storing`): one request, one response.

In: the caller's parameters. Out: requests, written by the calling thread, and the responses that
answer them, which the DUL thread brings.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable
from functools import cache
from typing import TYPE_CHECKING

from pynetdicom import debug_log
from pynetdicom import event_types as evt
from pynetdicom.association.state import AssociationState
from pynetdicom.data_sets.data_set import for_wire
from pynetdicom.data_sets.element_walk import UNCOMPRESSED
from pynetdicom.dimse.messages import Batch, Message, fragments
from pynetdicom.dimse.operation import Operation
from pynetdicom.dimse.operations import Turn
from pynetdicom.dimse.primitives import C_ECHO, Primitive
from pynetdicom.handlers import trigger
from pynetdicom.network.deadlines import after, wait_until
from pynetdicom.network.dul import LINGER, Stopped
from pynetdicom.upper_layer.contexts import no_context
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.upper_layer.acse import PresentationContext

LOGGER = logging.getLogger("pynetdicom.assoc")

VERIFICATION = "1.2.840.10008.1.1"


class Requests(AssociationState):
    """The SCU's side of an `Association`."""

    def send_c_echo(self, msg_id: int | None = None) -> Dataset:
        """Ask the peer whether it is there.

        Parameters
        ----------
        msg_id : int, optional
            The Message ID; by default the library chooses one.

        Returns
        -------
        pydicom.dataset.Dataset
            The status; empty when there was no answer, see `ended`.

        Raises
        ------
        RuntimeError
            There is no established association.
        ValueError
            No presentation context for Verification was accepted, or `msg_id` is outstanding.

        Notes
        -----
        PS3.7 9.1.5
        """
        self._must_be_established("send_c_echo()")
        context = self._context_for(VERIFICATION)
        request = C_ECHO()
        request.__dict__["AffectedSOPClassUID"] = VERIFICATION  # which needs no check
        prepare_statuses()
        return to_status(*self._exchange(request, context, msg_id))

    # One request, one response

    def _must_be_established(self, what: str) -> None:
        self._refuse_on_dul_thread(what)
        if not self.is_established:
            ended = self.ended
            why = "" if ended is None else f": it is over, {ended}"
            raise RuntimeError(
                f"The association with a peer SCP must be established before sending{why}"
            )

    def _context_for(self, abstract_syntax: str, transfer_syntax: str = "") -> PresentationContext:
        """The accepted context for a SOP Class, of that transfer syntax if it matters."""
        key = (abstract_syntax, transfer_syntax)
        chosen = self._chosen.get(key)
        if chosen is None:
            chosen = self._chosen[key] = self._choose_context(abstract_syntax, transfer_syntax)
        return chosen

    def _choose_context(self, abstract_syntax: str, transfer_syntax: str) -> PresentationContext:
        usable = [
            context
            for context in self.accepted_contexts
            if context.abstract_uid == abstract_syntax and context.as_scu is not False
        ]
        if transfer_syntax:
            for context in usable:
                if transfer_syntax == context.transfer_uids[0]:
                    return context
            if transfer_syntax not in UNCOMPRESSED:
                usable = []
            usable = [c for c in usable if c.transfer_uids[0] in UNCOMPRESSED]
        if not usable:
            raise ValueError(no_context(abstract_syntax, transfer_syntax))
        return usable[0]

    def _exchange(
        self, request: Primitive, context: PresentationContext, msg_id: int | None
    ) -> tuple[Primitive | None, int]:
        """Send a request that has one response, and wait for it; None when none came."""
        turn = Turn(self.operations)
        try:
            with turn:
                operation = self._send_request(request, context, msg_id, turn=turn)
                response = self._response_to(operation)
                return response, 0 if operation is None else operation.message_id
        finally:  # Ctrl-C may come on the way out, too
            turn.leave()

    def _send_request(
        self,
        request: Primitive,
        context: PresentationContext,
        msg_id: int | None,
        ready: list[Batch] | None = None,
        *,
        turn: Turn | None = None,
    ) -> Operation | None:
        """Send a request, as it was made ready if it was; None when nothing can be sent.

        Unless it was, nothing is outstanding behind this.
        """
        turn = turn or Turn(self.operations)
        expected = request.__dict__.get("MessageID")
        try:
            operation = self._begin(request, context.context_id or 0, msg_id, turn)
            if operation is None:
                return None
            if operation.message_id != expected:
                ready = None
            return self._send_begun(operation, ready)
        except BaseException as error:
            if not isinstance(error, Exception) and turn.operation and turn.operation.backlog:
                # Ctrl-C; its request may be out: nobody would take the responses that come then.
                self._fail(Ended("aborted", "local", 0, 0, error=error))
            turn.leave()
            raise

    def _send_begun(self, operation: Operation, ready: list[Batch] | None) -> Operation | None:
        """Send the request of an operation that was begun; None when not all of it can be sent."""
        try:
            request, context_id = operation.request, operation.context_id
            dul = self._dul or self.dul
            dul.send_data(ready or self._fragments(request, context_id))
            # Before anybody is told: a handler may go on to the next request. And the peer has
            # nothing to do with how long that takes.
            self.operations.sent(operation)
            if self._tell_sent(request, context_id):
                operation.last_heard = time.monotonic()
            return operation
        except Stopped:
            self.operations.finish(operation)
            return None
        except Exception:
            self.operations.finish(operation)
            raise

    def _make_ready(self, request: Primitive, context: PresentationContext) -> list[Batch]:
        """Encode a request that is going to be sent, and whose data set stays in memory."""
        request.__dict__["MessageID"] = self.operations.next_id
        return list(self._fragments(request, context.context_id or 0))

    def _fragments(self, primitive: Primitive, context_id: int) -> Iterable[Batch]:
        data_set = primitive.data_set
        if data_set is not None:
            data_set = for_wire(data_set)
            if data_set.mended:
                self.note_oddities(data_set.mended, "mended as it is sent, for its")
        return fragments(context_id, primitive.encode(), data_set, self.peer_maximum)

    def note_oddities(self, oddities: Iterable[str], what: str) -> None:
        """Log what is odd in data sets, each kind once an association."""
        for oddity in oddities:
            kind = f"{what} {oddity.partition(':')[0]}"
            if kind not in self._noted:
                self._noted.add(kind)
                LOGGER.warning("a data set is %s %s (noted once)", what, oddity)

    def _response_to(self, operation: Operation | None) -> Primitive | None:
        """Wait for the one response; None when none came."""
        response = None
        if operation is not None:
            try:
                response = self._await_response(operation)
            finally:
                if not operation.is_finished:
                    self.operations.finish(operation)
        if response is None:
            self.await_end()
        return response

    def _begin(
        self, request: Primitive, context_id: int, msg_id: int | None, turn: Turn
    ) -> Operation | None:
        """Register an operation, when the window has room for it."""

        def make(message_id: int) -> Operation:
            if msg_id is None:
                request.__dict__["MessageID"] = message_id
            else:
                request.MessageID = message_id
            return Operation(request, context_id)

        try:
            operation: Operation | None = self.operations.begin(
                make, msg_id, 1, self.dimse_timeout, self._last_received, turn
            )
        except TimeoutError as error:
            self._fail(Ended("aborted", "local", 0, 0, timer="dimse_timeout", error=error))
            return None
        return operation

    def _await_response(self, operation: Operation) -> Primitive | None:
        """The next response to an operation; None when none came and the association has ended."""
        try:
            message = operation.wait(self.dimse_timeout, self._last_received)
        except TimeoutError:
            self._fail(Ended("aborted", "local", 0, 0, timer="dimse_timeout"))
            return None
        if message is None:
            return None
        if self.shows_messages:
            debug_log.show_message("received", message)
        if evt.EVT_DIMSE_RECV in self._handlers:
            trigger(self, evt.EVT_DIMSE_RECV, {"message": message})
        response = message.primitive
        if missing := response.missing():
            error = ValueError(f"{response.message_name} without {', '.join(missing)}")
            self._fail(Ended("aborted", "local", 0, 0, error=error))
            return None
        return response

    def await_end(self) -> None:
        """Wait until `ended` says why there is no answer: a release may be under way."""
        if threading.current_thread() is self:
            return
        if self.ended is None:
            wait_until(self._is_over.wait, after(self.acse_timeout, LINGER))
        elif self.inbox.is_empty:  # so the release that the peer requested is being answered
            self._is_over.wait(LINGER)

    def _last_received(self) -> float:
        return self.dul.last_received

    def send_message(self, primitive: Primitive, context_id: int, *, waits: bool = True) -> bool:
        """Send one message; False when it was not, since another thread sends and not `waits`.

        Parameters
        ----------
        primitive : Primitive
        context_id : int
        waits : bool
            As for `Sending.send_data`.

        Raises
        ------
        Stopped
            The association has ended.
        """
        dul = self._dul or self.dul
        done = dul.send_data(self._fragments(primitive, context_id), waits=waits)
        if done:
            self._tell_sent(primitive, context_id)
        return done

    def _tell_sent(self, primitive: Primitive, context_id: int) -> bool:
        """Tell those who want to know that a message was sent; whether there are any."""
        watched = evt.EVT_DIMSE_SENT in self._handlers
        if not (watched or self.shows_messages):
            return False
        message = Message(primitive, context_id)
        if self.shows_messages:
            debug_log.show_message("sent", message)
        if watched:
            trigger(self, evt.EVT_DIMSE_SENT, {"message": message})
        return True


def to_status(response: Primitive | None, message_id: int) -> Dataset:
    """The status of a response as a data set; empty when there was no response."""
    return prepare_statuses()(response, message_id)


@cache
def prepare_statuses() -> Callable[[Primitive | None, int], Dataset]:
    """Import what statuses are made of: that takes longer than an abort may, once it is awaited."""
    from pynetdicom.association.response_status import to_status

    return to_status
