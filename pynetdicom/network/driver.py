"""What any thread may ask of an association's upper layer: sending, aborting, telling of moves.

In: what the local user wants to send, or to be ended. Out: PDUs on the connection, by way of the
`Writer`; transitions and the end, to the user.

The state has no lock, see `upper_layer.provider`. So `abort` may be called in the midst of
anything, by the handler of a signal or by a finalizer: it waits for nobody.

A writer whose connection breaks does not say how the association ended. The peer may have said so
before it closed, and only the reader sees that.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from functools import partial
from typing import Any, Protocol

from pynetdicom.network import sending
from pynetdicom.network.connection import Buffer, Connection
from pynetdicom.network.connector import Connector
from pynetdicom.network.runtime import Runtime
from pynetdicom.network.sending import Broken, Stopped, Writer
from pynetdicom.network.user import User
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.provider import NotPossible, Provider, Received


class Reader(Protocol):
    """Who reads: the DUL."""

    @property
    def is_reading_here(self) -> bool: ...
    def read(self, goes_on: Callable[[], bool], deadline: float | None) -> None: ...
    def leave(self) -> bool: ...
    def wake(self) -> None: ...


class Driver:
    """Drives the provider of one association on behalf of the local user, on any thread.

    A thread that tells of transitions has its lock meanwhile, for which no thread waits.

    Parameters
    ----------
    user : User
    provider : Provider
    connection : Connection or Connector
        Where there is none yet, what connects.
    reader : Reader
    runtime : Runtime

    Attributes
    ----------
    last_activity : float
        When anything was sent or received.
    send_data : callable
        Sends one message, see `_write_message`; with ``waits=False``, only if no other thread is
        writing, and says whether it was sent. Raises RuntimeError if it is called from a handler of
        what is being sent.
    problem : BaseException or None
        What was found wrong with the connection, until it is known how the association ended.
    """

    def __init__(
        self,
        user: User,
        provider: Provider,
        connection: Connection | Connector,
        reader: Reader,
        runtime: Runtime,
    ) -> None:
        self._user = user
        self._provider = provider
        self._reader = reader
        self._wake = reader.wake
        self.writer = Writer(user, provider, connection, self.abort, runtime, reader.leave)
        self.last_activity = time.monotonic()
        self.send_data: Callable[..., bool] = partial(self._write_with, self._write_message)
        self.problem: BaseException | None = None
        self._ended_at: float | None = None
        self._over = runtime.latch()
        # The last move that was told.
        self._told = provider.last
        self._telling = runtime.hold()

    # Sending

    def _write_with(self, write: Callable[..., None], *args: Any, waits: bool = True) -> bool:
        """Call `write` with the writer's hold, and look after what was left to its holder.

        Not `waits`: False when another thread is writing.
        """
        writer = self.writer
        try:
            if not writer.hold.attempt(write, *args):
                if not waits:
                    return False
                self._reader.leave()  # who writes may wait for the peer, and that for us to read
                writer.hold.run(write, *args)
            self.last_activity = time.monotonic()
            return True
        except Broken as error:
            self._find_out(error.__cause__)
            raise
        finally:
            told = self._told
            # While data may be sent, as far as was told and beyond, no A-ABORT was left to this
            # thread.
            as_before = told.may_send_data and not told.later
            if not as_before or writer.connection.is_tls or writer.again or writer.departed:
                writer.after()
                self.tell()

    def perform(self, pdu: pdus.PDU, *, wakes: bool = True, waits: bool = True) -> bool:
        """Ask for what `pdu` says, and send it; False if not `waits` and another thread is writing.

        Not `wakes`: the calling thread sees to the end, if it is that, and times the peer.

        Raises
        ------
        Stopped
            The association has ended, or this is not possible any more.
        """
        data = pdu.encode()
        done = self._write_with(self._write_pdu, pdu, data, wakes, waits=waits)
        if done and self._user.watches_pdus:
            self._user.on_pdu(pdu, True)
        return done

    def _write_pdu(self, pdu: pdus.PDU, data: bytes, wakes: bool) -> None:
        try:
            try:
                move = self._provider.request(pdu, data)
            except NotPossible as error:
                self.help()
                raise Stopped from error
            if move.ends and wakes:
                self.tell_end()
            if self._user.watches_data:
                self._user.on_data(data, True)  # the peer's answer is told after it
            try:
                self.writer.put([data], move)
            finally:
                # Where no handler may hold it up, the peer first: who is woken wants the
                # interpreter lock. A peer that does not read has a second.
                if move.ends and not wakes:
                    self.tell_end(wakes=False)
        except Stopped:
            raise
        except BaseException as error:  # the state says that it was sent
            self.abort(Ended("aborted", "local", 0, 0, error=error), at_once=True)
            raise
        finally:
            self.writer.waker = None

    def _write_message(self, batches: Iterable[Sequence[Buffer]]) -> None:
        """Send one message: batches of whole P-DATA-TF PDUs (DT-1, AR-7).

        Raises
        ------
        Stopped
            The association has ended, or its release was requested: nothing or not all was sent.
        Exception
            What `batches` raises. A message that had begun cannot be taken back: the association is
            aborted.
        """
        move = self._provider.last if self._told.later else self._told
        if not move.may_send_data:
            self.help()
            raise Stopped
        user, writer = self._user, self.writer
        begun = False
        whole = True
        try:
            for batch in batches:
                if user.watches_data:
                    user.on_data(b"".join(batch), True)  # as above
                begun, whole = True, False
                writer.put(batch, move)
                whole = True
                if user.watches_pdus:
                    writer.tell_pdus(b"".join(batch))
        except Stopped:
            raise
        except BaseException as error:  # Ctrl-C as well
            if begun:
                # Where a PDU was left in its midst nobody knows how to complete it.
                ended = Ended("aborted", "local", 0, 0, error=error)
                self.abort(ended, at_once=not whole)
            raise
        finally:
            writer.waker = None

    # The connection, and what the peer says on it

    def connecting(self) -> None:
        """Say that a transport connection is being made (AE-1).

        Raises
        ------
        Stopped
            The association was aborted before.
        """
        try:
            self._provider.take("Evt1")
        except NotPossible as error:
            raise Stopped from error
        self.tell()

    def carry_out(self, received: Received) -> bool:
        """Do what the state machine says of a PDU; on the reader, which is to close if True."""
        move, writer, framer = received.move, self.writer, self._provider.framer
        closes = move.closes
        if move.ends and not closes:  # else it is told with the close
            self.tell_end(wakes=False)
        if move.data:
            if not (move.ends and move.abort):  # another A-ABORT than the one that has ended it
                writer.again = move.data
            writer.after()
        self.tell()
        if closes:
            pass
        elif move.answer is not None:
            with suppress(Stopped):
                self.perform(move.answer)
        elif move.action.label == "AE-3":
            framer.context_ids = self._user.on_associate(received.pdu)
            framer.shrink()
        elif move.action.label == "AR-2":
            self._user.on_release(self._release_at_once)
        return closes

    def _release_at_once(self) -> bool:
        """Answer the peer's wish to release; False where another thread is writing."""
        try:
            return self.perform(pdus.RELEASE_RP, wakes=False, waits=False)
        except Stopped:
            return True

    # Ending

    def abort(self, ended: Ended, *, at_once: bool = False) -> bool:
        """Abort the association; waits for nothing. False when it had ended already.

        Parameters
        ----------
        ended : Ended
            How it is to be recorded; its source and reason go into the A-ABORT. Source 2 is the
            provider.
        at_once : bool
            Do not give a PDU that has begun the time to be completed.
        """
        try:
            return self._abort(ended, at_once)
        except BaseException:  # Ctrl-C in its midst: the reader does the rest
            self.writer.connection.cut()
            raise

    def _abort(self, ended: Ended, at_once: bool) -> bool:
        move = self._provider.abort(ended)
        if move is None:
            self.help()
            if at_once:
                self.writer.connection.cut()
            return False
        self.tell_end()
        if move.closes:
            self.writer.connection.cut()
        self.writer.after()
        self.tell()
        if at_once and (self.writer.leaving or self.writer.is_finishing):
            self.writer.connection.cut()
        self._wake()  # the peer's time to take the A-ABORT is over, that to close begins
        return True

    def fail(self, ended: Ended, *, expired: bool = False) -> None:
        """Say that the transport connection is closed, broken, or did not come about."""
        is_tls = self.writer.connection.is_tls
        move = self._provider.closed(ended, is_tls=is_tls, expired=expired)
        if move is not None and move.ends:
            self.tell_end()
        self.tell()

    def lose(self, error: BaseException | None, *, expired: bool = False) -> None:
        """Say that the transport connection is closed or broken, or that its time is up."""
        self.fail(Ended("aborted", "network", error=error or self.problem), expired=expired)

    def _find_out(self, error: BaseException | None) -> None:
        """A write has failed: let the one that reads see what the peer said before it closed."""
        self.problem = error
        self._reader.leave()
        self.writer.connection.cut()
        if not self._reader.is_reading_here:
            self._over.wait(sending.LAST_PDU)
        self.lose(error)

    def tell_end(self, *, wakes: bool = True) -> None:
        """Wake everybody, unless that is done: `ended` says how the association has ended.

        Not `wakes`: the reader itself tells it, or need not know.
        """
        if self._over.is_set():
            return
        if self._ended_at is None:
            self._ended_at = time.monotonic()
        self.writer.wake()
        self._user.on_ended()
        self._over.set()
        if wakes:
            self._wake()

    def help(self) -> None:
        """Do what the thread that has ended the association has not come to.

        It may be the calling one, which a signal's handler has interrupted.
        """
        if self._provider.ended is not None:
            self.tell_end()
        if self.writer.leaving:
            self.writer.after()

    def tell(self) -> None:
        """Tell of transitions in their order, by one thread at a time, which holds no lock."""
        while self._told.later and self._telling.attempt(self._tell_moves):
            pass

    def _tell_moves(self) -> None:
        while move := self._told.later.get(""):
            self._told = move
            if self._user.watches_transitions and move.event:
                self._user.on_transition(*move.told)

    def time_left(self, linger: float) -> float:
        """Seconds that are left to the peer to take the A-ABORT, or to close the connection."""
        if self._ended_at is None:  # the thread that has ended it has not come to that
            self._ended_at = time.monotonic()
        patience = sending.LAST_PDU if self.writer.leaving else linger
        return self._ended_at + patience - time.monotonic()

    def close(self, *, expired: bool) -> None:
        """Close the connection, as the reader, and tell of the end if that is not done."""
        ended = Ended("aborted", "network", error=self.problem)
        self._provider.closed(ended, is_tls=self.writer.connection.is_tls, expired=expired)
        # Who waits for the end is woken when there is nothing left to be done.
        if not self.writer.close_at_once():
            self.tell_end()
            self.writer.close()
        self.tell_end(wakes=False)
        self.tell()
