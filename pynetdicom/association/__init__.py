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
from typing import Self

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom.acse import ACSE
from pynetdicom.association.negotiating import Negotiation
from pynetdicom.association.scu import SCU
from pynetdicom.association.service_user import ServiceUser as ServiceUser
from pynetdicom.dimse.inbox import WE_RELEASE
from pynetdicom.dimse.messages import Message
from pynetdicom.errors import PDUTooShort
from pynetdicom.handlers import handled_in
from pynetdicom.network.deadlines import after, remaining, wait_until
from pynetdicom.network.dul import LINGER, Stopped
from pynetdicom.upper_layer.ended import Ended

LOGGER = logging.getLogger("pynetdicom.assoc")

BLOCK_ON_ABORT = 1.0


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
                self._handlers.trigger(evt.EVT_ESTABLISHED)
                self._negotiated.set()
                self._performer.serve()
        except Stopped:
            pass
        except PDUTooShort as error:  # nothing can be answered
            self._fail(Ended("aborted", "local", 0, 0, error=error))
        except BaseException as error:  # a handler may call sys.exit()
            self._fail(Ended("aborted", "local", 2, 0, error=error))
            raised.log(LOGGER, f"the association with {self._reporter.peer_name} failed:", error)
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
            self._reporter.end(ended)

    def _close(self) -> None:
        """See the connection closed."""
        if self.dul.see_closed():
            self._handlers.trigger(evt.EVT_CONN_CLOSE, {"address": self.peer_address})

    def _discard(self) -> None:
        """Drop what was received and is not wanted any more."""
        self._indications.assembler.discard()
        for item in self.inbox.drain():
            if isinstance(item, Message):
                item.close()

    # Ending

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
            self._performer.releases_after = True
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
        self._abort_sub_associations()
        if block and not self._is_ours() and self.is_alive():
            self.join(BLOCK_ON_ABORT)

    def kill(self) -> None:
        """Abort the association without giving anything the time to be completed."""
        self.wants_no_more = True
        self.dul.abort(Ended("aborted", "local", 0, 0), at_once=True)
        self._abort_sub_associations()

    def _abort_sub_associations(self) -> None:
        """Abort those that serve a C-MOVE of this one, or go on for it with what is to be sent."""
        for assoc in list(self.sub_associations):
            assoc.abort(block=False)

    def _is_ours(self) -> bool:
        """Whether the calling thread is one that the association's end waits for."""
        return (
            threading.current_thread() is self
            or self.dul.is_reading_here
            or self.dul.is_writing_here
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
        for thread in (self, self.dul):
            event = handled_in(frames.get(thread.ident or 0))
            if event is not None:
                return f"the handler of {event} does not return"
        return "unknown"

    def cut(self) -> None:
        """Shut the connection down without another word."""
        self.dul.connection.cut()


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
