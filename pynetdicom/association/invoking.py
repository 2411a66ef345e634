"""The invoking DIMSE-service-user of an association: its operations, and waiting for responses.

In: requests, from the threads that call, which write them. Out: the responses that answer them,
which the reader brings.

An operation that is left early stays outstanding until its final response. Its C-CANCEL is sent by
whoever leaves it; where that cannot be, as in a finalizer, by the Association thread or by whoever
sends next.
"""

from __future__ import annotations

import contextlib
import logging
import math
import threading
import time
from collections.abc import Callable
from functools import cache
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

from pynetdicom import event_types as evt
from pynetdicom._logging import working_on
from pynetdicom.association import reporting
from pynetdicom.dimse import waiting
from pynetdicom.dimse.messages import Batch
from pynetdicom.dimse.operations import PENDING, Operation, Operations
from pynetdicom.dimse.primitives import C_CANCEL, Primitive
from pynetdicom.network.deadlines import after, wait_until
from pynetdicom.network.dul import LINGER, Stopped
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.utils import printable

if TYPE_CHECKING:
    from pynetdicom.association.link import Link
    from pynetdicom.association.messaging import Messenger
    from pynetdicom.association.response_status import ResponseStatus
    from pynetdicom.upper_layer.contexts import PresentationContext

LOGGER = logging.getLogger("pynetdicom.assoc")

LONGEST_PAUSE = 60.0
"""What takes the place of `network_timeout`, where there is none, as the measure of a pause."""


class Invoker:
    """The invoking DIMSE-service-user of one association (PS3.7 6.3); for any thread."""

    def __init__(self, link: Link, messenger: Messenger) -> None:
        self.link = link
        self.messenger = messenger
        self.operations = Operations(self, link.runtime)
        # Whether a C-GET was requested, so that the peer has reason to send objects.
        self.has_asked_for_objects = False
        # Operations whose C-CANCEL is left to the Association thread, or to whoever sends next.
        self.to_cancel: SimpleQueue[Operation] = SimpleQueue()
        # What a peer is tolerated to do is noted once.
        self._told_of_instances = False

    # One request, one response

    def must_be_established(self, what: str) -> None:
        """Raise RuntimeError if nothing can be sent, or if the calling thread must not wait."""
        self.link.refuse_on_dul_thread(what)
        ended = self.link.ended
        if ended is not None or not self.link.was_established:
            why = "" if ended is None else f": it is over, {ended}"
            raise RuntimeError(
                f"The association with a peer SCP must be established before sending{why}"
            )

    def exchange(
        self,
        request: Primitive,
        context: PresentationContext,
        msg_id: int | None,
        meanwhile: Callable[[], None] | None = None,
    ) -> tuple[Primitive | None, int]:
        """Send a request that has one response, and wait for it; None when none came.

        `meanwhile` is called before it waits.
        """
        with Operation(self.operations, request, context.context_id) as operation:
            sent = self.send_request(operation, msg_id)
            if meanwhile is not None:
                meanwhile()
            return self.response_to(sent), 0 if sent is None else operation.message_id

    def send_request(
        self, operation: Operation, msg_id: int | None, *, waits: bool = True
    ) -> Operation | None:
        """Send a request; None when nothing can be sent, or not `waits` and it would have to.

        If it raises, nothing is outstanding.
        """
        begin = self.begin if waits else self._begin_at_once
        try:
            return self.send_begun(operation) if begin(operation, msg_id) else None
        except BaseException as error:
            # What is told to stop is told where it waits: it knows whether its request is out.
            is_unsent = (
                isinstance(error, self.link.runtime.stops) and operation.last_heard == math.inf
            )
            is_ours = operation.has_begun and operation.backlog and not is_unsent
            if is_ours and not isinstance(error, Exception):
                # Ctrl-C; its request may be out: nobody would take the responses that come then.
                self.link.dul.abort(Ended("aborted", "local", 0, 0, error=error))
            self.operations.finish(operation)
            raise

    def begin(self, operation: Operation, msg_id: int | None) -> bool:
        """Register an operation, when the window has room for it; False when it is over by then."""
        if not self.to_cancel.empty():
            self.cancel_abandoned()
        window = self.link.negotiated.invoked
        if in_line := self.operations.in_line():
            what = f"a {operation.request.message_name}"
            if in_line >= window:
                self._refuse_endless_wait(what)
            if self.is_sending_here():
                # By a signal's handler, or a finalizer: what it interrupts goes on only after it.
                raise RuntimeError(f"{what} would wait for the request that it interrupts")
        link = self.link
        if operation.backlog is not None:
            operation.backlog.directory = link.ae.spool_dir
        try:
            return self.operations.begin(operation, msg_id, window) or waiting.begin(
                operation, msg_id, window, link._dimse_timeout, self._last_received
            )
        except TimeoutError as error:
            self.operations.finish(operation)
            link.dul.abort(Ended("aborted", "local", 0, 0, timer="dimse_timeout", error=error))
            return False

    def _begin_at_once(self, operation: Operation, msg_id: int | None) -> bool:
        """As `begin`, but False where it would wait."""
        operations = self.operations
        if operations.in_line() or operations.is_over or not self.to_cancel.empty():
            return False
        if operations.begin(operation, msg_id, self.link.negotiated.invoked):
            return True
        operations.finish(operation)
        return False

    def send_begun(
        self, operation: Operation, ready: list[Batch] | None = None
    ) -> Operation | None:
        """Send the request of an operation that was begun; None when not all of it can be sent."""
        try:
            request, context_id = operation.request, operation.context_id
            self.link.dul.send_data(ready or self.messenger.fragments(request, context_id))
            # Before anybody is told: a handler may go on to the next request. And the peer has
            # nothing to do with how long that takes.
            waiting.sent(operation)
            if self.messenger.tells_sent:
                self.messenger.sent(request, context_id)
                operation.last_heard = time.monotonic()
            return operation
        except Stopped:
            self.operations.finish(operation)
            return None

    def make_ready(self, request: Primitive, context: PresentationContext) -> list[Batch]:
        """Encode a request that is going to be sent, and whose data set stays in memory."""
        request.__dict__["MessageID"] = self.operations.next_id
        return list(self.messenger.fragments(request, context.context_id or 0))

    def response_to(self, operation: Operation | None) -> Primitive | None:
        """Wait for the next response; None when none comes, or nobody wants it any more."""
        if operation is None:  # a release may be under way
            self.await_end()
            return None
        link = self.link
        message = None
        try:
            message = waiting.response_to(operation, link._dimse_timeout, self._last_received)
        except TimeoutError:
            link.dul.abort(Ended("aborted", "local", 0, 0, timer="dimse_timeout"))
        if message is not None:
            if operation.backlog is not None and operation.backlog.is_paused:
                self.operations.consumed(operation.backlog)
            if self.messenger.tells_received:
                self.messenger.received(message)
            response = message.primitive
            is_match = response.name == "C-FIND" and response.Status in PENDING
            if is_match and response.data_set is not None:  # it lacks nothing
                return response
            missing = response.missing()
            if is_match:
                missing.append("identifier")
            if not missing:
                if response.Status not in PENDING:
                    request, begun = operation.request, operation.last_heard
                    asked = request.__dict__.get("AffectedSOPInstanceUID")  # of N-CREATE, perhaps
                    if asked and (response.AffectedSOPInstanceUID or asked) != asked:
                        self._note_instance(request, response)
                    done = link.stats.rows[
                        threading.get_ident(), "invoked", request.name, response.Status or 0
                    ]
                    done[0] += 1
                    done[1] += 0 if request.data_set is None else request.data_set.size
                    done[2] += time.monotonic() - begun
                    if self.messenger.logs:
                        with working_on(link):
                            reporting.operation("invoked", request, response, begun)
                return response
            error = ValueError(f"{response.message_name} without {', '.join(missing)}")
            link.dul.abort(Ended("aborted", "local", 0, 0, error=error))
        if not operation.is_abandoned:
            self.operations.finish(operation)
            self.await_end()
        return None

    def _note_instance(self, request: Primitive, response: Primitive) -> None:
        """Note that a response has a request's Message ID, but not its instance (PS3.7 9.1)."""
        if not self._told_of_instances:
            self._told_of_instances = True
            with working_on(self.link):
                LOGGER.warning(
                    "the peer's response to %s %d is about another instance, %s: it is taken for"
                    " that to %s",
                    request.name,
                    request.MessageID,
                    printable(response.AffectedSOPInstanceUID or "", 64),
                    printable(request.AffectedSOPInstanceUID or "", 64),
                )

    def await_end(self) -> None:
        """Wait until `ended` says why there is no answer: a release may be under way."""
        link = self.link
        if link.is_worked_on_here:
            return
        if link.ended is None:
            wait_until(link.is_over.wait, after(link.acse_timeout, LINGER))
        elif link.inbox.is_empty:  # so the release that the peer requested is being answered
            link.is_over.wait(LINGER)

    def why_no_answer(self) -> str:
        """Say why a request of ours was not sent, or not answered."""
        if self.link.ended is None:
            return "not sent: the association is being released"
        return f"no answer: {self.link.ended}"

    # How long, and whether, to wait

    def is_sending_here(self) -> bool:
        """Whether the calling thread is at a request that is not out yet.

        So a signal's handler, or a finalizer, that must not wait for what it interrupts.
        """
        is_sending = self.operations.is_being_sent_by(self.link.runtime.ident())
        return is_sending or self.link.dul.is_writing_here

    def _last_received(self) -> float:
        """When the peer was last heard, or had to wait for us to store what we want to have."""
        link = self.link
        heard = link.dul.last_received
        for operation in self.operations.outstanding():
            if operation.request.name == "C-GET":
                heard = max(heard, self._last_stored())
                continue
            # Of a sub-operation of a C-MOVE to ourselves we hear on another association.
            for other in list(link.ae._running.associations):
                if self._is_stored_by(operation, other._link):
                    heard = max(heard, other._invoker._last_stored())
        return heard

    def _is_stored_by(self, move: Operation, other: Link) -> bool:
        """Whether what a C-MOVE of ours brings comes on that association."""
        ours = (self.link.requestor.ae_title, move.message_id)
        return other.stores_for == ours and move.request.name == "C-MOVE"

    def stores_no_more(self, other: Link) -> None:
        """Take note that an association of this AE ends: a C-MOVE of ours hears of it no more."""
        for operation in self.operations.outstanding():
            if self._is_stored_by(operation, other) and operation.last_heard < math.inf:
                operation.last_heard = time.monotonic()

    def _last_stored(self) -> float:
        """When something to be stored was last received, or stored."""
        link = self.link
        # On its own thread nobody serves what the peer asks meanwhile.
        if link.inbox.is_empty or link.has_ended or link.is_worked_on_here:
            return max(link.dul.last_received, link.inbox.last_done)
        return time.monotonic()

    def _refuse_endless_wait(self, what: str) -> None:
        """Refuse to wait, in the handler of a sub-operation, for the operation that it is of."""
        if evt.EVT_C_STORE not in self.link.handlers.running_here():
            return
        for operation in self.operations.outstanding():
            if operation.request.name == "C-GET":
                raise RuntimeError(
                    f"{what} would wait for the end of the C-GET {operation.message_id}, which"
                    " waits for this handler of its C-STORE sub-operation"
                )

    # Several responses

    def check_wait(self) -> None:
        """Raise RuntimeError if waiting for a response would never end, here and now."""
        what = "waiting for a response"
        if evt.EVT_C_STORE in self.link.refuse_on_dul_thread(what):
            self._refuse_endless_wait(what)

    def abandon(self, operation: Operation) -> None:
        """Want no more responses to an operation; cancel it, if it is outstanding."""
        self.operations.abandon(operation)
        if not self.operations.is_outstanding(operation):
            return
        try:
            self.link.refuse_on_dul_thread("a C-CANCEL")
        except RuntimeError:
            self.cancel_later(operation)
        else:
            # A signal's handler may have interrupted a thread that is sending, or whatever
            # another waits for: it waits for nobody.
            if self.is_sending_here() or not self.cancel(operation, waits=False):
                self.cancel_later(operation)

    def cancel_abandoned(self) -> None:
        """Send the C-CANCELs that were left to others."""
        while not self.to_cancel.empty():
            try:
                operation = self.to_cancel.get_nowait()
            except Empty:  # somebody else was faster
                return
            try:
                if operation.is_abandoned:
                    self.operations.abandon(operation)
                if not operation.is_cancelled:
                    self.cancel(operation)
            except BaseException:  # Ctrl-C; or a signal's handler asks, in the midst of sending
                self.cancel_later(operation)
                raise

    def cancel(self, operation: Operation, *, waits: bool = True) -> bool:
        """Send the C-CANCEL of an operation; False if it has to be done later."""
        if not self.operations.is_outstanding(operation):
            return True
        done = self.send_cancel(operation.message_id, operation.context_id, waits=waits)
        operation.is_cancelled = operation.is_cancelled or done
        return done

    def send_cancel(self, message_id: int, context_id: int, *, waits: bool = True) -> bool:
        """Send a C-CANCEL, if there is still somebody to take it; False as for `Messenger.send`."""
        cancel = C_CANCEL(MessageIDBeingRespondedTo=message_id)
        with contextlib.suppress(Stopped):
            return self.messenger.send(cancel, context_id, waits=waits)
        return True

    # What `operations` ask for

    def pause_reading(self) -> None:
        """Have the peer wait for a slow consumer, but not for longer than it may put up with."""
        timeout = self.link.network_timeout
        self.link.dul.pause((LONGEST_PAUSE if timeout is None else timeout) / 4)

    def resume_reading(self) -> None:
        """Read on, if reading is paused."""
        self.link.dul.resume()

    def cancel_later(self, operation: Operation) -> None:
        """Leave a C-CANCEL to the Association thread, or to whoever sends next.

        Called by finalizers, in the midst of anything: it takes no lock.
        """
        self.to_cancel.put(operation)
        self.link.inbox.put(None)

    def on_idle(self) -> None:
        """Have the Association thread release, which has waited for our operations to end."""
        self.link.inbox.put(None)


@cache
def prepare_statuses() -> Callable[[Primitive | None, int], ResponseStatus]:
    """What makes statuses: to import it takes longer than an abort may, once it is awaited."""
    from pynetdicom.association.response_status import to_status

    return to_status
