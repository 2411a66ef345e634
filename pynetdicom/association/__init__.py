"""An association: its thread, its life cycle, and the serving of the peer's requests.

In: from the DUL thread, complete messages and the peer's wish to release, through the inbox; from
other threads, `release`, `abort` and the `send_…` methods of `Requests`. Out: messages, written by
whoever sends them.

The Association thread negotiates, then serves the peer's requests one after another and runs the
users' handlers; it also times the silence while nothing is outstanding, and sees the association to
its end.
"""

from __future__ import annotations

import atexit
import logging
import os
import sys
import threading
import time
from contextlib import ExitStack
from functools import cache
from queue import Empty
from types import ModuleType
from typing import TYPE_CHECKING, Any, Self

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom.acse import ACSE
from pynetdicom.association.negotiating import Negotiation
from pynetdicom.association.scu import SCU
from pynetdicom.association.service_user import ServiceUser as ServiceUser
from pynetdicom.association.state import ENDED, PEER_RELEASES, WE_RELEASE
from pynetdicom.dimse.messages import Message
from pynetdicom.errors import PDUTooShort
from pynetdicom.handlers import handled_in, trigger
from pynetdicom.network.deadlines import after, remaining, wait_until
from pynetdicom.network.dul import DUL, LINGER, Stopped
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.assoc")

BLOCK_ON_ABORT = 1.0


@cache
def load_serving() -> ModuleType:
    """Import what serves requests: who only asks has no need of the services' tables."""
    from pynetdicom.association import serving

    return serving


# Those whose threads have begun and not ended. A set's own operations are atomic.
_living: set[Association] = set()


class Association(Negotiation, SCU):
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

    @property
    def acse(self) -> ACSE:
        """The association control service element, for handlers that reject."""
        return ACSE(self)

    def __enter__(self) -> Self:
        """Give itself; it is released at the end of the ``with``, and aborted by an exception."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        if kind is not None:
            self.abort()
            return
        try:
            self.release()
        except BaseException:  # Ctrl-C while it waits, or it was called where it cannot wait
            self.abort(block=False)
            raise

    # The thread

    def run(self) -> None:
        """Negotiate, serve, and see to the end."""
        _living.add(self)
        try:
            if self._contextvars is not None:
                self._contextvars.run(self._live)
            else:
                self._live()
        except BaseException as error:
            raised.log(LOGGER, "an association did not end in order:", error)
        finally:
            _living.discard(self)

    def _live(self) -> None:
        try:
            established = self._respond() if self.is_acceptor else self._request()
            self._is_established = established
            if established:
                trigger(self, evt.EVT_ESTABLISHED)
                self._negotiated.set()
                self._serve()
        except Stopped:
            pass
        except PDUTooShort as error:  # nothing can be answered
            self._fail(Ended("aborted", "local", 0, 0, error=error))
        except BaseException as error:  # a handler may call sys.exit()
            self._fail(Ended("aborted", "local", 2, 0, error=error))
            raised.log(LOGGER, f"the association with {self._peer_name()} failed:", error)
        finally:
            self._finish()

    def _finish(self) -> None:
        """See the connection closed and tell everybody that it is over."""
        # The last one first; each is done, whatever those before it raise.
        with ExitStack() as left:
            if self._server is not None:
                left.callback(self._server.association_ended, self)
            left.callback(self.ae._running.associations.discard, self)
            left.callback(self._discard)
            left.callback(self._close)
            left.callback(self._negotiated.set)
            if not self.has_ended:
                self._fail(Ended("aborted", "local", 2, 0))
            ended = self.ended
            assert ended is not None
            self._tell_of_end(ended)

    def _close(self) -> None:
        """See the connection closed."""
        if self._dul is not None:
            self._see_closed(self._dul)
            trigger(self, evt.EVT_CONN_CLOSE, {"address": self.peer_address})
        elif self._visitor is not None:
            self._visitor.connection.close()

    def _discard(self) -> None:
        """Drop what was received and is not wanted any more."""
        self._assembler.discard()
        for item in self.inbox.drain():
            if isinstance(item, Message):
                item.close()

    @staticmethod
    def _see_closed(dul: DUL) -> None:
        """Have the connection closed, by its DUL thread."""
        if dul.ident is None:  # it was never started
            if dul.connection.fileno() >= 0:
                dul.run()
            return
        dul.join(LINGER)
        if dul.is_alive():
            dul.connection.cut()
            dul.join(LINGER)

    def _tell_of_end(self, ended: Ended) -> None:
        if ended.kind == "rejected":
            if self.is_requestor:
                self._tell_of_rejection(ended)
            # Who asked is to see why it came to nothing, as with all else that goes wrong.
            self.summarise(str(ended), level=logging.ERROR if self.is_requestor else logging.INFO)
        elif ended.kind == "released":
            self.summarise(str(ended))
            self._tell_acse(ended.by == "peer", "A_RELEASE", result="affirmative")
            trigger(self, evt.EVT_RELEASED)
        else:
            is_wanted = ended.by == "local" and ended.error is None
            self.summarise(str(ended), level=logging.INFO if is_wanted else logging.ERROR)
            if ended.source == 2 or ended.by == "network":
                self._tell_acse(False, "A_P_ABORT", provider_reason=ended.reason)
            else:
                self._tell_acse(ended.by == "local", "A_ABORT", abort_source=ended.source)
            trigger(self, evt.EVT_ABORTED)

    def _tell_acse(self, sent: bool, name: str, **parameters: Any) -> None:
        """Trigger the event of a primitive other than A-ASSOCIATE, if anybody listens."""
        event = evt.EVT_ACSE_SENT if sent else evt.EVT_ACSE_RECV
        if event in self._handlers:
            from pynetdicom import pdu_primitives

            primitive = getattr(pdu_primitives, name)()
            for parameter, value in parameters.items():
                if value is not None:
                    setattr(primitive, parameter, value)
            trigger(self, event, {"primitive": primitive})

    def _tell_of_rejection(self, ended: Ended) -> None:
        pdu = pdus.A_ASSOCIATE_RJ(
            result=ended.result or 1, source=ended.source or 1, reason=ended.reason or 1
        )
        self.acceptor.rejects(pdu)
        self.notify(evt.EVT_ACSE_RECV, pdu)
        self.notify(evt.EVT_REJECTED, pdu)

    # Serving

    def _serve(self) -> None:
        """Do what the inbox says until the association has ended."""
        inbox = self.inbox
        while True:
            self._invoker.cancel_abandoned()
            if self._release_after:  # asked for in a handler, of a request or of EVT_ESTABLISHED
                self._release_after = False
                self._release()
            try:
                item = inbox.get(self._patience() if inbox.is_waiting() else None)
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
            item = None  # which nobody else may hold any more

    def serve_request(self, message: Message) -> None:
        """Serve one request of the peer and send the response."""
        try:
            response = self._answer(message)
            if response is not None:
                self._messenger.send(response, message.context_id)
        finally:
            message.handled()

    def _answer(self, message: Message) -> Primitive | None:
        assert self._dul is not None
        self.inbox.begin(message)
        try:
            if self._dul.ended is not None:
                return None
            self._messenger.received(message)
            response: Primitive | None = load_serving().answer(self, message)
            return response
        finally:
            # Before the response is sent: with that its Message ID is the peer's again.
            self.inbox.done(message)

    def is_request_cancelled(self, message_id: int) -> bool:
        """Whether the peer has cancelled its request of that Message ID, or is gone."""
        return self.inbox.is_cancelled(message_id) or self.has_ended

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
        if not self._invoker.operations.are_abandoned or self.in_message:
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
        self._tell_acse(False, "A_RELEASE")
        self._dul.perform("Evt14", pdus.A_RELEASE_RP(), Ended("released", "peer"))

    def _release(self) -> None:
        """Send A-RELEASE-RQ once our operations have ended, and wait for the answer."""
        assert self._dul is not None
        deadline = after(self.acse_timeout)
        self._invoker.operations.close()
        self._complete_operations(deadline)
        try:
            self._dul.perform("Evt11", pdus.A_RELEASE_RQ())
        except Stopped:
            return  # it has ended, or the peer requested release first: the inbox tells
        self._tell_acse(True, "A_RELEASE")
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
                self.inbox.begin(item)  # it does not wait: any number of them may cross
                LOGGER.warning(
                    "a %s that crossed our A-RELEASE-RQ is dropped", item.primitive.message_name
                )
                item.close()

    def _complete_operations(self, deadline: float | None) -> None:
        """Wait until our operations have ended, and serve the peer's requests meanwhile.

        It may wait for the answer to one of them before it answers us: to a sub-operation of our
        C-GET, or when it releases, too, and has operations of its own.
        """
        while True:
            self._invoker.cancel_abandoned()
            if not self._invoker.operations.count():
                return
            left = remaining(deadline)
            try:
                item = self.inbox.get(left)
            except Empty:
                item = None
            if left == 0:
                self._fail(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
            if item is ENDED or item is PEER_RELEASES:
                self.inbox.put(item)  # nothing is left to be waited for
                return
            if isinstance(item, Message):
                self.serve_request(item)
            item = None

    def release(self) -> None:
        """Release the association.

        The peer's request being served is answered first, and our operations are waited for, while
        what the peer asks goes on being served. Called from a handler, the release is done when the
        handler's response has been sent; called by a signal's handler, or a finalizer, in the midst
        of sending a request, when that has been answered: neither waits for it. If it is not done
        within `acse_timeout`, the association is aborted (PS3.8 7.2).

        Raises
        ------
        RuntimeError
            Called on the association's DUL thread, which must not be held up.
        """
        if self.has_ended:
            self.wants_no_more = True
            return
        self._refuse_on_dul_thread("release()")
        self.wants_no_more = True
        if not self._is_established:
            return
        if threading.current_thread() is self:
            self._release_after = True
            return
        self.inbox.put(WE_RELEASE)
        if self._invoker.is_sending_here():
            return
        wait_until(self._is_over.wait, after(self.acse_timeout, LINGER))
        if self.is_released:
            self.join(LINGER)
        elif not self.has_ended:  # a handler does not return
            self._fail(Ended("aborted", "local", 0, 0, timer="acse_timeout"))

    def release_later(self) -> None:
        """Have the association released by its own thread, and wait for nothing."""
        self.wants_no_more = True
        self.inbox.put(WE_RELEASE)

    def abort(self, block: bool = True) -> None:
        """Abort the association; whoever waits for something on it is woken at once (PS3.8 7.3).

        Parameters
        ----------
        block : bool
            Wait for the association's end, for at most a second; never from its own threads.
        """
        self.wants_no_more = True
        self._fail(Ended("aborted", "local", 0, 0))
        # After that, or else the connection attempt would end it with a reason of its own.
        self._connector.give_up()
        self._abort_sub_associations()
        if block and not self._is_ours() and self.is_alive():
            self.join(BLOCK_ON_ABORT)

    def kill(self) -> None:
        """Abort the association without giving anything the time to be completed."""
        self.wants_no_more = True
        ended = Ended("aborted", "local", 0, 0)
        if self._dul is None:
            self._fail(ended)
        else:
            self._dul.abort(ended, at_once=True)
        self._connector.give_up()
        self._abort_sub_associations()

    def _abort_sub_associations(self) -> None:
        """Abort those that serve a C-MOVE of this one, or go on for it with what is to be sent."""
        for assoc in list(self.sub_associations):
            assoc.abort(block=False)

    def _is_ours(self) -> bool:
        """Whether the calling thread is one that the association's end waits for."""
        return (
            threading.current_thread() is self
            or (self._dul is not None and (self._dul.is_reading_here or self._dul.is_writing_here))
            or bool(self._handlers.running_here())
        )

    def wait_ended(self, deadline: float) -> bool:
        """Wait until its threads have ended; at once where it would wait for itself."""
        if self._is_ours():
            return True
        if self.is_alive():
            self.join(remaining(deadline))
        return not self.is_alive()

    def what_holds_it(self) -> str:
        """What its threads are busy with, for a warning."""
        frames = sys._current_frames()
        for thread in (self, self._dul):
            event = handled_in(frames.get((thread and thread.ident) or 0))
            if event is not None:
                return f"the handler of {event} does not return"
        return "unknown"

    def cut(self) -> None:
        """Shut the connection down without another word."""
        if self._dul is not None:
            self._dul.connection.cut()


def _abort_living() -> None:
    """The interpreter exits: say so to the peers."""
    living = list(_living)
    for assoc in living:
        assoc.abort(block=False)
    deadline = time.monotonic() + BLOCK_ON_ABORT
    for assoc in living:
        assoc.wait_ended(deadline)


atexit.register(_abort_living)
if hasattr(os, "register_at_fork"):
    # They are the parent's, and so are their connections.
    os.register_at_fork(after_in_child=_living.clear)
