"""The DUL service of one association: its reader thread, and writing by whoever has something to send.

In: bytes from the connection, which `Framer` takes apart; PDUs become events of the state machine, PDVs go to the
user's `feed`. Out: PDUs and batches of P-DATA-TF, written by the calling thread under the write lock.

Who owns what. The DUL thread alone reads, and alone closes the connection. The write lock covers a whole message:
what goes on the wire is decided while holding it. The state lock covers the state and `ended`, and is never held while a
socket blocks; it is taken after the write lock, never before. Callbacks of the user run with neither.

An A-ABORT is written by whoever can: the aborter if nobody is writing, else the writer, who looks for it before
every write, and who looks once more after he has given the write lock back, since the aborter may have found it taken.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Iterable, Sequence
from typing import Any, Protocol

from pynetdicom.errors import DIMSEDecodeError, PDUDecodeError
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.clock import Deadline, call_at
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import (
    DATA_STATES,
    EVENT_OF_PDU,
    SENDING_STATES,
    TABLE,
    Action,
    UpperLayer,
)
from pynetdicom.upper_layer.transport import Buffer, Connection, Waker

LINGER = 2.0
"""Seconds that a connection in Sta13 waits for the peer to close it."""

LAST_PDU = 1.0
"""Seconds that a PDU which has begun may take once the association is aborted."""

# The actions whose PDU has to be understood before the event is known: a malformed one is Evt19.
_DECODED = frozenset(("AE-3", "AE-4", "AE-6", "AA-2", "AA-3"))


class Stopped(Exception):
    """The association has ended, or is being released: nothing more can be sent."""


class User(Protocol):
    """What the DUL service needs of the association that uses it. All but `feed` and `flush` must be quick."""

    network_timeout: float | None
    watches_data: bool
    watches_pdus: bool
    watches_transitions: bool

    @property
    def in_message(self) -> bool:
        """Whether a DIMSE message has begun and is not complete."""

    @property
    def expects_more(self) -> bool:
        """Whether the peer will send something before we do."""

    @property
    def is_serving(self) -> bool:
        """Whether the association's thread runs a user's handler and cannot look after the end."""

    def feed(self, context_id: int, control: int, data: memoryview, pdv_done: bool) -> Any:
        """Take a part of a PDV; returns a message once it is complete."""

    def flush(self) -> None:
        """Copy or write what `feed` was given; the buffer is about to be used again."""

    def on_message(self, message: Any) -> None:
        """A message is complete."""

    def on_associate(self, pdu: Any) -> frozenset[int]:
        """An A-ASSOCIATE-AC came; returns the accepted context IDs."""

    def on_release(self) -> None:
        """The peer requests release."""

    def on_ended(self) -> None:
        """`DUL.ended` has been set: wake everybody."""

    def on_data(self, data: bytes, sent: bool) -> None:
        """Bytes were received or sent."""

    def on_pdu(self, pdu: Any, sent: bool) -> None:
        """A PDU was received or sent."""

    def on_transition(self, action: str, state: str, event: str, next_state: str) -> None:
        """The state machine has moved."""


class DUL(threading.Thread):
    """The DUL service of one association.

    Parameters
    ----------
    user : User
    connection : Connection
    upper_layer : UpperLayer
    framer : Framer
        May hold bytes that were received already.
    name : str
        Of the thread.

    Attributes
    ----------
    ended : Ended or None
        How the association ended; set once, before anybody is woken.
    """

    def __init__(
        self,
        user: User,
        connection: Connection,
        upper_layer: UpperLayer,
        framer: Framer,
        name: str = "DUL",
    ) -> None:
        super().__init__(name=name, daemon=True)
        self._user = user
        self.connection = connection
        self.upper_layer = upper_layer
        self.framer = framer
        self.ended: Ended | None = None
        self.last_activity = self.last_received = time.monotonic()
        self._write = threading.Lock()
        self._state = threading.Lock()
        # The A-ABORT that waits to be written by whoever has the write lock.
        self._leaving: bytes | None = None
        self._waker: Waker | None = None
        self._finished = False
        self._deaf = False
        self._cut_off: Deadline | None = None
        self._pdvs: list[pdus.PDV] = []
        self._pdv = bytearray()

    # The state machine

    @property
    def state(self) -> str:
        """The state of the state machine, such as ``"Sta6"``."""
        return self.upper_layer.state

    def _take(self, event: str, ended: Ended | None = None) -> Action:
        """Move the state machine, and note how the association ends if it does so by this."""
        with self._state:
            before = self.upper_layer.state
            action = self.upper_layer.take(event)
            after = self.upper_layer.state
            self.framer.accepts_data = after in DATA_STATES
            ends = ended is not None and self.ended is None
            if ends:
                self.ended = ended
            if action.send == "A-ABORT" and ends:
                source = ended.source if ended and ended.source is not None else 0
                self._leaving = pdus.A_ABORT(
                    source=source, reason=(ended.reason if ended else 0) or 0
                ).encode()
                if self._waker is not None:
                    self._waker.set()
        if ends:
            self._user.on_ended()
        if self._user.watches_transitions:
            self._user.on_transition(action.label, before, event, after)
        return action

    # Sending

    def connected(self) -> None:
        """Say that the transport connection is there (AE-1); start the thread after this."""
        self._take("Evt1")

    def perform(self, event: str, pdu: Any, ended: Ended | None = None) -> None:
        """Do what the local user asks for by `event`: take it and send its PDU.

        Raises
        ------
        Stopped
            The association has ended, or the event is not possible any more.
        """
        data = pdu.encode()
        with self._write:
            if not self.upper_layer.knows(event):
                raise Stopped
            self._take(event, ended)
            self._put([data])
        self._after_write()
        self.last_activity = time.monotonic()
        if self._user.watches_data:
            self._user.on_data(data, True)
        if self._user.watches_pdus:
            self._user.on_pdu(pdu, True)

    def send_data(self, batches: Iterable[Sequence[Buffer]]) -> None:
        """Send one message: batches of whole P-DATA-TF PDUs (DT-1, AR-7).

        Raises
        ------
        Stopped
            The association has ended, or its release was requested: nothing or not all was sent.
        Exception
            What `batches` raises. A message that had begun cannot be taken back: the association is aborted.
        """
        user = self._user
        begun = False
        with self._write:
            if self.upper_layer.state not in SENDING_STATES or self.ended is not None:
                raise Stopped
            try:
                for batch in batches:
                    begun = True
                    self._put(batch)
                    if user.watches_data or user.watches_pdus:
                        self._show(batch)
            except Stopped:
                raise
            except Exception as error:
                if begun:
                    self.abort(Ended("aborted", "local", 0, 0, error=error))
                raise
            finally:
                if self._waker is not None:
                    self._drop_waker()
        self.last_activity = time.monotonic()
        self._after_write()

    def _put(self, buffers: Sequence[Buffer]) -> None:
        """Write buffers; each PDU begins at the start of one. The write lock is held."""
        connection = self.connection
        total = sum(map(len, buffers))
        sent = 0
        rest: Sequence[Buffer] = buffers
        while True:
            if self._leaving is not None and sent < total:
                self._leave(buffers, sent)
                raise Stopped
            try:
                count = connection.push(rest)
            except OSError as error:
                self._lost(error)
                raise Stopped from error
            sent += count
            if sent >= total and not connection.pending:
                return
            if count:
                rest = _advance(rest, count)
                if connection.is_tls and not connection.pending:
                    continue
            self._wait_writable()

    def _wait_writable(self) -> None:
        """Wait until the peer reads on, for as long as `network_timeout` allows without progress."""
        with self._state:
            if self._leaving is not None:
                return
            if self._waker is None:
                self._waker = Waker()
            waker = self._waker
        timeout = self._user.network_timeout
        if self.connection.wait_writable(timeout, waker) or self._leaving is not None:
            return
        self.abort(Ended("aborted", "local", 0, 0, timer="network_timeout"))

    def _drop_waker(self) -> None:
        with self._state:
            waker, self._waker = self._waker, None
        if waker is not None:
            waker.close()

    def _show(self, batch: Sequence[Buffer]) -> None:
        """Trigger the events of a batch of P-DATA-TF that was sent."""
        data = b"".join(batch)
        if self._user.watches_data:
            self._user.on_data(data, True)
        while data and self._user.watches_pdus:
            end = 6 + int.from_bytes(data[2:6], "big")
            self._user.on_pdu(pdus.decode_pdu(data[:end]), True)
            data = data[end:]

    # Aborting

    def abort(self, ended: Ended, *, at_once: bool = False, event: str = "") -> bool:
        """Abort the association (AA-1, AA-8); waits for nothing. False when it had ended already.

        Parameters
        ----------
        ended : Ended
            How it is to be recorded; its source and reason go into the A-ABORT. Source 2 is the provider.
        at_once : bool
            Do not give a PDU that has begun the time to be completed.
        event : str
            The event that is the cause, if it is not what `ended` says.
        """
        with self._state:
            if not event:  # in Sta4 nothing can have been received that would be invalid
                invalid = ended.source == 2 and self.upper_layer.knows("Evt19")
                event = "Evt19" if invalid else "Evt15"
            possible = self.ended is None and self.upper_layer.knows(event)
        if not possible:
            if at_once:
                self.connection.cut()
            return False
        try:
            action = self._take(event, ended)
        except RuntimeError:  # another thread was first
            return False
        if action.close:
            self.connection.cut()
        self._after_write()
        if at_once and self._leaving is not None:
            self.connection.cut()
        elif self._user.is_serving or self._leaving is not None:
            self._cut_off = call_at(
                time.monotonic() + (LAST_PDU if self._leaving is not None else LINGER),
                self.connection.cut,
            )
            if self._finished:
                self._cut_off.cancel()
        return True

    def _after_write(self) -> None:
        """Do what others left to the holder of the write lock: an A-ABORT, or TLS's own messages."""
        while (self._leaving is not None or self.connection.pending) and self._write.acquire(
            blocking=False
        ):
            try:
                if self._leaving is not None:
                    self._leave((), 0)
                elif not self._finished:
                    self.connection.push(())
                    return
            except OSError:
                return
            finally:
                self._write.release()

    def _leave(self, buffers: Sequence[Buffer], sent: int) -> None:
        """Complete the PDU that has begun and write the A-ABORT. The write lock is held."""
        abort, self._leaving = self._leaving, None
        if abort is None or self._finished:
            return
        left = [*_rest_of_pdu(buffers, sent), abort]
        with contextlib.suppress(OSError):
            while left:
                count = self.connection.push(left)
                if not count:
                    break
                left = _advance(left, count)
            if left or self.connection.pending:
                # The peer does not read. Whoever was sending is not to wait for that.
                threading.Thread(
                    target=self._finish_writing, args=(left,), name="pynetdicom-abort", daemon=True
                ).start()
                return
        if self._user.watches_data:
            self._user.on_data(abort, True)
        if self._user.watches_pdus:
            self._user.on_pdu(pdus.decode_pdu(abort), True)

    def _finish_writing(self, left: list[Buffer]) -> None:
        """Write the last bytes to a peer that does not read, until `LAST_PDU` has passed."""
        deadline = time.monotonic() + LAST_PDU
        with self._write, contextlib.suppress(OSError):
            while (left or self.connection.pending) and not self._finished:
                count = self.connection.push(left)
                left = _advance(left, count) if count else left
                if not count and not self.connection.wait_writable(
                    max(0.0, deadline - time.monotonic())
                ):
                    break
        if left:
            self.connection.cut()

    def _lost(self, error: BaseException | None) -> None:
        """The transport connection is closed or broken (Evt17)."""
        if self.upper_layer.knows("Evt17"):
            with contextlib.suppress(RuntimeError):
                self._take("Evt17", Ended("aborted", "network", error=error))
        self.connection.cut()

    # Receiving, on the DUL thread

    def run(self) -> None:
        """Read until the connection is closed."""
        try:
            self._understand()
            while not self._finished:
                self._read()
        except Exception as error:
            # A defect of ours must not leave the peer, or a waiting thread, hanging.
            import logging

            logging.getLogger("pynetdicom.dul").exception("the DUL thread failed")
            self.abort(Ended("aborted", "local", 2, 0, error=error))
        finally:
            self._close()

    def _close(self) -> None:
        self._finished = True
        self._lost(None)
        if self._cut_off is not None:
            self._cut_off.cancel()
        # A writer is woken by the cut; the descriptor goes only when he is out, lest he write to its next owner.
        with self._write:
            self.connection.say_goodbye()
            self.connection.close()

    def _read(self) -> None:
        user, connection = self._user, self.connection
        view = self.framer.space()
        connection.set_read_timeout(user.network_timeout)
        try:
            count = connection.recv_into(view)
        except BlockingIOError:
            self._check_silence()
            return
        except OSError as error:
            self._lost(error)
            self._finished = True
            return
        if not count:
            self._lost(None)
            self._finished = True
            return
        self.last_activity = self.last_received = time.monotonic()
        if user.watches_data:
            user.on_data(bytes(view[:count]), False)
        if self._deaf:
            return
        self.framer.received(count)
        self._understand()
        if user.expects_more or self.framer.in_pdu:
            connection.quick_ack()
        if connection.pending:
            self._after_write()

    def _understand(self) -> None:
        """Take what was received apart."""
        user = self._user
        feed = user.feed if not user.watches_pdus else self._feed_and_show
        try:
            for item in self.framer.frames(feed if self.ended is None else _ignore):
                if type(item) is bytes:
                    self._on_pdu(item)
                    if self._finished or self._deaf:
                        break
                elif self.ended is None:
                    user.on_message(item)
        except PDUDecodeError as error:
            self._deaf = True  # where the next PDU begins is not known
            self._invalid(error)
        except DIMSEDecodeError as error:
            self._deaf = True
            self.abort(Ended("aborted", "local", 0, 0, error=error))
        user.flush()

    def _feed_and_show(self, context_id: int, control: int, data: memoryview, done: bool) -> Any:
        """As the user's `feed`, collecting the P-DATA-TF for those who watch PDUs."""
        self._pdv += data
        if done:
            self._pdvs.append(pdus.PDV(context_id, control, bytes(self._pdv)))
            self._pdv.clear()
            if not self.framer.in_p_data:
                shown, self._pdvs = self._pdvs, []
                self._user.on_pdu(pdus.P_DATA_TF(pdvs=shown), False)
        return self._user.feed(context_id, control, data, done)

    def _invalid(self, error: PDUDecodeError) -> None:
        """Evt19: AA-8, or AA-7 when the association has ended already."""
        if self.state == "Sta13":
            self._take("Evt19")
            self._push_abort(2, error.reason)
        else:
            self.abort(Ended("aborted", "local", 2, error.reason, error=error))

    def _push_abort(self, source: int, reason: int) -> None:
        """Send another A-ABORT (AA-7), if nobody is writing and the kernel takes it."""
        if self._write.acquire(blocking=False):
            try:
                with contextlib.suppress(OSError):
                    self.connection.push([pdus.A_ABORT(source=source, reason=reason).encode()])
            finally:
                self._write.release()

    def _on_pdu(self, data: bytes) -> None:
        """A PDU is complete that is not P-DATA-TF in its place."""
        event = EVENT_OF_PDU[data[0]]
        label = TABLE[event, self.state].label
        pdu: Any = None
        if label in _DECODED or (self._user.watches_pdus and data[0] != 0x04):
            try:
                pdu = pdus.decode_pdu(data)
            except PDUDecodeError as error:
                self._invalid(error)
                return
            if self._user.watches_pdus:
                self._user.on_pdu(pdu, False)
        if label == "AA-8":
            unexpected = PDUDecodeError(
                f"not expected in {self.state}", pdu=f"PDU of type {data[0]:#04x}", reason=2
            )
            self.abort(Ended("aborted", "local", 2, 2, error=unexpected), event=event)
            return
        if label == "AE-3":
            self.framer.context_ids = self._user.on_associate(pdu)
        # Another thread may have moved on meanwhile: what was taken counts, not what was looked up.
        label = self._take(event, _ended_by(label, pdu)).label
        if label == "AE-3":
            self._user.on_message(pdu)
        elif label in ("AE-4", "AA-2", "AA-3", "AR-3"):
            self._finished = True
        elif label == "AR-2":
            self._user.on_release()
        elif label in ("AR-8", "AR-10"):
            self._collide()
        elif label == "AA-7":
            self._push_abort(2, 2)

    def _collide(self) -> None:
        """Answer a release collision: the requestor responds first, the acceptor when it got its answer."""
        if self.state == "Sta10":
            return
        ended = Ended("released", "local") if self.state == "Sta12" else None
        with contextlib.suppress(Stopped):
            self.perform("Evt14", pdus.A_RELEASE_RP(), ended)

    def _check_silence(self) -> None:
        """Abort when the peer stopped in the middle of a message or PDU."""
        timeout = self._user.network_timeout
        if timeout is None or self.ended is not None:
            return
        if not (self._user.in_message or self.framer.in_pdu):
            return
        # The kernel counts in ticks of up to 10 ms.
        if time.monotonic() - self.last_received >= timeout - 0.02:
            self.abort(Ended("aborted", "local", 0, 0, timer="network_timeout"))


def _ended_by(label: str, pdu: Any) -> Ended | None:
    """How an action that follows a PDU of the peer ends the association, if it does."""
    if label == "AE-4":
        return Ended("rejected", "peer", pdu.source, pdu.reason, pdu.result)
    if label == "AA-3":
        return Ended("aborted", "peer", pdu.source, pdu.reason)
    if label == "AR-3":
        return Ended("released", "local")
    return None


def _ignore(context_id: int, control: int, data: memoryview, done: bool) -> None:
    """Take PDVs that nobody waits for any more."""


def _advance(buffers: Sequence[Buffer], count: int) -> list[Buffer]:
    """What is left of `buffers` after `count` bytes."""
    for index, buffer in enumerate(buffers):
        if count < len(buffer):
            return [memoryview(buffer)[count:], *buffers[index + 1 :]] if count else list(
                buffers[index:]
            )
        count -= len(buffer)
    return []


def _rest_of_pdu(buffers: Sequence[Buffer], sent: int) -> list[Buffer]:
    """The bytes that complete the PDU in whose middle `sent` lies; none at a boundary."""
    index = position = 0
    while index < len(buffers) and position < sent:
        first, start = index, position
        left = 6 + int.from_bytes(bytes(buffers[index][2:6]), "big")
        while left > 0:
            left -= len(buffers[index])
            position += len(buffers[index])
            index += 1
        if position > sent:
            return _advance(buffers[first:index], sent - start)
    return []
