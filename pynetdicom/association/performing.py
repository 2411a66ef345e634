"""The performing DIMSE-service-user of an association, and its release: the Association thread's.

In: the inbox, with the peer's requests, its wish to release, and ours. Out: responses, and how the
association ends in order.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from contextlib import suppress
from queue import Empty
from types import ModuleType
from typing import TYPE_CHECKING, Any

from pynetdicom import _config, raised
from pynetdicom._logging import HERE
from pynetdicom.association import reporting
from pynetdicom.dimse.inbox import ENDED, PEER_RELEASES, WE_RELEASE
from pynetdicom.dimse.messages import Message
from pynetdicom.errors import DIMSEDecodeError
from pynetdicom.network.deadlines import after, remaining
from pynetdicom.network.dul import Stopped
from pynetdicom.network.runtime import Running
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended

if TYPE_CHECKING:
    from pynetdicom.association.indications import Indications
    from pynetdicom.association.invoking import Invoker
    from pynetdicom.association.link import Link
    from pynetdicom.dimse.primitives import Primitive

LOGGER = logging.getLogger("pynetdicom.assoc")

_SHORTEST = 0.001


class Performer:
    """The performing DIMSE-service-user of one association (PS3.7 6.3).

    It is the Association thread's. Where the peer may have several requests outstanding, other
    threads serve them, as many as it takes: a handler that does not return holds up one of these.

    Attributes
    ----------
    workers : list of Running
        These.
    """

    def __init__(
        self,
        link: Link,
        invoker: Invoker,
        indications: Indications,
        load_serving: Callable[[], ModuleType],
    ) -> None:
        self.link = link
        self.invoker = invoker
        self.messenger = invoker.messenger
        self._inbox = link.inbox
        self._indications = indications
        self._load_serving = load_serving
        self.workers: list[Running] = []
        self._done = link.stats.rows
        # Idents of those that serve. A set's own operations are atomic.
        self._busy: set[int] = set()
        # How many requests were beyond what may be outstanding.
        self._beyond = 0
        # Whether the peer has requested release, which is answered when its requests are; and
        # whether it, or we, wait for that.
        self._peer_releases = self._is_releasing = False
        # Release was asked for in a handler, of a request or of EVT_ESTABLISHED.
        self.releases_after = False
        # What a peer is tolerated to do is noted once.
        self.told_of_roles = False

    def serve(self, item: Any = None) -> None:
        """Do what the inbox says, `item` first, until the association has ended."""
        inbox = self._inbox
        if inbox.window > 1:
            self._start_worker()
        while True:
            if not self.invoker.to_cancel.empty():
                self.invoker.cancel_abandoned()
            if self.releases_after:
                self.releases_after = False
                self._release()
            if item is None:
                try:
                    item = inbox.get(self._patience() if inbox.is_waiting() else None)
                except Empty:
                    self._check_idle()
                    continue
            if item is ENDED:
                return
            if item is PEER_RELEASES:
                self._peer_releases = self._is_releasing = True
            elif item is WE_RELEASE:
                self._release()
            elif item is not None:
                self._serve_request(item)
                if item.is_beyond:
                    self._refused()
            if self._peer_releases and not self._is_serving():
                self._peer_releases = False
                reporting.release(self.link, sent=False)
                is_told = self.link.handlers.are_any_told(reporting.AT_THE_END)
                self.link.dul.perform(pdus.RELEASE_RP, wakes=is_told)
            item = None  # which nobody else may hold any more

    def _refused(self) -> None:
        """Take note of another request beyond the window."""
        self._beyond += 1
        if self._beyond > _config.MAXIMUM_PENDING_REQUESTS:
            error = DIMSEDecodeError("too many requests beyond the window")
            self.link.dul.abort(Ended("aborted", "local", 0, 0, error=error))

    def _is_serving(self) -> bool:
        """Whether a request waits, or is being served, its response included."""
        return bool(self._busy) or not self._inbox.is_empty

    def _start_worker(self) -> None:
        """Have another thread serve, beside the Association thread."""
        name = f"{self.link.thread.name}-{len(self.workers) + 1}"
        self.workers.append(self.link.runtime.start(name, self._work))

    def _work(self) -> None:
        """Serve requests until the association has ended; one more thread than is busy waits."""
        inbox, busy, run = self._inbox, self._busy, self.link.handlers.run_anywhere
        ident = self.link.runtime.worker()
        HERE.link = self.link
        self.link.workers.add(ident)
        try:
            while (message := inbox.work.get()) is not None:
                busy.add(ident)
                # The list may lack one that has begun already.
                if len(busy) >= len(self.workers) and len(self.workers) < inbox.window:
                    with suppress(RuntimeError):  # no thread to be had
                        self._start_worker()
                try:
                    run(self._serve_request, message)
                except Stopped:
                    pass
                except BaseException as error:  # a handler may call sys.exit()
                    self.link.dul.abort(Ended("aborted", "local", 2, 0, error=error))
                    raised.log(LOGGER, f"serving {self.link.peer_name} failed:", error)
                message = None  # which nobody else may hold any more
                busy.discard(ident)
                if self.releases_after or (self._is_releasing and not self._is_serving()):
                    inbox.put(None)  # the Association thread waits for that
        finally:
            busy.discard(ident)
            self.link.workers.discard(ident)
            inbox.work.put(None)  # for the next one

    def end(self) -> None:
        """Have the threads end that serve beside the Association thread, when they are done."""
        self._inbox.work.put(None)

    def _serve_request(self, message: Message) -> None:
        """Serve one request of the peer and send the response."""
        response: Primitive | None = None
        HERE.request = request = message.primitive
        data_set = request.data_set
        begun = time.monotonic()
        try:
            try:
                # As `link.has_ended`, which is a call a message.
                if self.link.dul.provider.last.ended is None:
                    if self.messenger.tells_received:
                        self.messenger.received(message)
                    response = self._load_serving().answer(self, message)
            finally:
                # Before the response is sent: with that its Message ID is the peer's again.
                self._inbox.done(message)
            if response is not None:
                self.messenger.send(response, message.context_id)
                done = self._done[
                    threading.get_ident(), "performed", request.name, response.Status or 0
                ]
                done[0] += 1
                done[1] += 0 if data_set is None else data_set.size
                done[2] += time.monotonic() - begun
                if self.messenger.logs:
                    reporting.operation("performed", request, response, begun)
        finally:
            HERE.request = None
            if data_set is not None:
                data_set.handled()

    def is_cancelled(self, message_id: int) -> bool:
        """Whether the peer has cancelled its request of that Message ID, or is gone."""
        return self._inbox.is_cancelled(message_id) or self.link.has_ended

    def _patience(self) -> float | None:
        """Seconds until the silence is too long; None while it cannot be.

        Never 0, or else the thread would spin while something is outstanding.
        """
        idle = self.link.idle_timeout
        timeout = self.link._network_timeout if idle is None else idle
        if timeout is None:
            return None
        return max(_SHORTEST, self.link.dul.driver.last_activity + timeout - time.monotonic())

    def _check_idle(self) -> None:
        """Nothing was to be done for long enough: end it, unless something is outstanding."""
        link = self.link
        if self._patience() != _SHORTEST:
            return
        outstanding = self.invoker.operations.outstanding()
        are_awaited = not all(operation.is_abandoned for operation in outstanding)
        if are_awaited or self._is_serving() or self._indications.assembler.context_id:
            # Other timers run for these, or none.
            link.dul.driver.last_activity = time.monotonic()
        elif link.idle_timeout is not None:
            link.dul.abort(Ended("aborted", "local", 0, 0))
        elif link.network_timeout_response == "A-RELEASE":
            self._release()
        else:
            link.dul.abort(Ended("aborted", "local", 0, 0, timer="network_timeout"))

    # Release (PS3.8 7.2)

    def _release(self) -> None:
        """Send A-RELEASE-RQ once our operations have ended, and wait for the answer."""
        link = self.link
        deadline = after(link.acse_timeout)
        self.invoker.operations.close()
        self._complete_operations(deadline)
        self._inbox.window = 1  # what crosses it comes here, to be dropped
        try:
            link.dul.perform(pdus.RELEASE_RQ)
        except Stopped:
            return  # it has ended, or the peer requested release first: the inbox tells
        reporting.release(self.link, sent=True)
        while True:
            item = self._get_by(deadline)
            if item is ENDED:
                self._inbox.put(ENDED)
                return
            if isinstance(item, Message):
                LOGGER.warning(
                    "a %s that crossed our A-RELEASE-RQ is dropped", item.primitive.message_name
                )
                item.close()

    def _get_by(self, deadline: float | None) -> Any:
        """The inbox's next item; once the time is up the association is aborted, and that is it."""
        try:
            return self._inbox.get(remaining(deadline))
        except Empty:
            self.link.dul.abort(Ended("aborted", "local", 0, 0, timer="acse_timeout"))
            return self._inbox.get(None)  # its end, or what came before

    def _complete_operations(self, deadline: float | None) -> None:
        """Wait until our operations have ended, and serve the peer's requests meanwhile.

        It may wait for the answer to one of them before it answers us: to a sub-operation of our
        C-GET, or when it releases, too, and has operations of its own.
        """
        self._is_releasing = True
        while True:
            self.invoker.cancel_abandoned()
            if not self.invoker.operations and not (self.workers and self._is_serving()):
                return
            item = self._get_by(deadline)
            if item is ENDED or item is PEER_RELEASES:
                self._inbox.put(item)  # nothing is left to be waited for
                return
            if isinstance(item, Message):
                self._serve_request(item)
            item = None
