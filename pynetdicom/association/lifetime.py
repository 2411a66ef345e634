"""The work of an Association thread, from negotiation to the end."""

from __future__ import annotations

import atexit
import logging
import os
import time
from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING, Any

from pynetdicom import event_types as evt
from pynetdicom import raised
from pynetdicom._logging import HERE
from pynetdicom.association import reporting
from pynetdicom.dimse.messages import Message
from pynetdicom.errors import PDUTooShort
from pynetdicom.network.dul import Stopped
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    from pynetdicom.association.accepting import Accepting
    from pynetdicom.association.indications import Indications
    from pynetdicom.association.link import Link
    from pynetdicom.association.performing import Performer
    from pynetdicom.association.requesting import Requesting

LOGGER = logging.getLogger("pynetdicom.assoc")

BLOCK_ON_ABORT = 1.0

# Associations whose threads have begun and not ended. A set's own operations are atomic.
_living: set[Any] = set()


class Lifetime:
    """What an Association thread does.

    Attributes
    ----------
    negotiated : Latch
        Whether the outcome of the negotiation is there, for who waits for that.
    """

    def __init__(
        self,
        link: Link,
        negotiation: Requesting | Accepting,
        performer: Performer,
        indications: Indications,
    ) -> None:
        self._link = link
        self._negotiation = negotiation
        self._performer = performer
        self._indications = indications
        self.negotiated = link.is_negotiated

    def run(self) -> None:
        """Negotiate, serve, and see to the end."""
        thread = self._link.thread
        HERE.link = self._link
        _living.add(thread)
        workers = self._link.workers
        workers.add(self._link.runtime.worker())
        try:
            context = self._link.handlers.context
            if context is not None:
                context.run(self._live)
            else:
                self._live()
        except self._link.runtime.stops:
            pass  # the loop has ended while we waited for the connection's end: all was done
        except BaseException as error:
            raised.log(LOGGER, "an association did not end in order:", error)
        finally:
            _living.discard(thread)
            workers.clear()  # the system may give an ident to another thread

    def _live(self) -> None:
        try:
            established = self._negotiation.negotiate()
            self._link.was_established = established
            if established:
                if not self.negotiated.is_set():
                    self._link.handlers.trigger(evt.EVT_ESTABLISHED)
                    self.negotiated.set()
                self._performer.serve(self._negotiation.first)
        except Stopped:
            pass
        except self._link.runtime.stops:
            self._link.dul.abort(Ended("aborted", "local", 0, 0))
        except PDUTooShort as error:  # nothing can be answered
            self._link.dul.abort(Ended("aborted", "local", 0, 0, error=error))
        except BaseException as error:  # a handler may call sys.exit()
            self._link.dul.abort(Ended("aborted", "local", 2, 0, error=error))
            raised.log(LOGGER, f"the association with {self._link.peer_name} failed:", error)
        finally:
            self._finish()

    def _finish(self) -> None:
        """See the connection closed and tell everybody that it is over."""
        link = self._link
        left: list[Callable[[], Any]] = [
            self._tell_end,
            self.negotiated.set,
            self._close,
            self._performer.end,
            self._discard,
            self._tell_moves,
            partial(link.ae._running.discard, link.thread),
        ]
        if link.server is not None:
            left.append(partial(link.server.association_ended, link.thread))
        problem: BaseException | None = None
        for call in left:  # each is done, whatever those before it raise
            try:
                call()
            except BaseException as error:
                problem = error
        if problem is not None:
            link.dul.leave()  # the DUL thread sees the connection closed
            raise problem

    def _tell_end(self) -> None:
        link = self._link
        if not link.has_ended:
            link.dul.abort(Ended("aborted", "local", 2, 0))
        ended = link.ended
        assert ended is not None
        reporting.end(link, ended)

    def _close(self) -> None:
        """See the connection closed."""
        if self._link.dul.see_closed():
            self._link.handlers.trigger(evt.EVT_CONN_CLOSE, {"address": self._link.peer_address})

    def _tell_moves(self) -> None:
        """Tell the operations that had their sub-operations here; before it is out of the list."""
        if self._link.stores_for[1]:
            for other in list(self._link.ae._running.associations):
                other._invoker.stores_no_more(self._link)

    def _discard(self) -> None:
        """Drop what was received and is not wanted any more."""
        self._indications.assembler.discard()
        for item in self._link.inbox.drain():
            if isinstance(item, Message):
                item.close()


def _abort_living() -> None:
    """The interpreter exits: say so to the peers."""
    living = list(_living)
    for assoc in living:
        assoc.abort(block=False)
    deadline = time.monotonic() + BLOCK_ON_ABORT
    for assoc in living:
        assoc._wait_ended(deadline)


atexit.register(_abort_living)
if hasattr(os, "register_at_fork"):
    # They are the parent's, and so are their connections.
    os.register_at_fork(after_in_child=_living.clear)
