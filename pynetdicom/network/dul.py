"""The DUL service of one association: its reader thread; for what it sends see `sending`.

In: bytes from the connection, which `Framer` takes apart; PDUs become events of the state machine,
PDVs go to the user's `feed`.

Who owns what. The DUL thread alone reads, runs the timers, and closes the connection, when nobody
writes. Other threads wake it to have it look again: when the association has ended, when reading is
to go on after a pause, when a time-out was changed.
"""

from __future__ import annotations

import contextlib
import logging
import time
from typing import Any

from pynetdicom import raised
from pynetdicom.errors import DIMSEDecodeError, PDUDecodeError
from pynetdicom.network.connection import Connection, TLSConnection, Watch
from pynetdicom.network.sending import LAST_PDU, Sending, Stopped
from pynetdicom.network.user import User
from pynetdicom.upper_layer import pdu as pdus
from pynetdicom.upper_layer.ended import Ended
from pynetdicom.upper_layer.framing import Framer
from pynetdicom.upper_layer.fsm import EVENT_OF_PDU, TABLE, UpperLayer

__all__ = ["DUL", "LINGER", "Stopped"]

LOGGER = logging.getLogger("pynetdicom.dul")

LINGER = 2.0
"""Seconds that a connection in Sta13 waits for the peer to close it."""

_P_DATA_TF = 0x04

# The actions whose PDU has to be understood before the event is known: a malformed one is Evt19.
_DECODED = frozenset(("AE-3", "AE-4", "AE-6", "AA-2", "AA-3"))


class DUL(Sending):
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
    """

    def __init__(
        self,
        user: User,
        connection: Connection,
        upper_layer: UpperLayer,
        framer: Framer,
        name: str = "DUL",
    ) -> None:
        super().__init__(user, connection, upper_layer, framer, name)
        assert self._waker is not None
        self._watch: Watch = Watch(connection.fileno(), self._waker)
        self._deaf = False
        # Whether a PDU or a message has begun and is not complete, as of the last bytes.
        self._in_midst = False
        # Until when nothing is read, since its consumer lags.
        self._paused_until: float | None = None
        self._pdvs: list[pdus.PDV] = []
        self._pdv = bytearray()

    @property
    def socket(self) -> Connection:
        """The connection; its `socket` knows the peer's address and, with TLS, its certificate."""
        return self.connection

    def start(self) -> None:
        """Start to read.

        Raises
        ------
        RuntimeError
            No thread can be started; the association is aborted and its connection closed.
        """
        try:
            super().start()
        except RuntimeError as error:
            self.abort(Ended("aborted", "local", 2, 0, error=error))
            self._close()
            raise

    def join(self, timeout: float | None = None) -> None:
        """Wait for the thread's end, if it was ever started."""
        if self.ident is not None:
            super().join(timeout)

    def run(self) -> None:
        """Read until the connection is closed."""
        try:
            if self.state == "Sta4":
                # A peer that speaks before it was asked is answered by the states after this one.
                self._requested.wait()
            # What the lobby has received is ours to understand, before anybody else reads on.
            self._understand()
            self._drain()
            while not self._finished:
                paused = self._paused_until is not None
                ready = self._watch.wait(self._patience(), end_only=paused)
                if paused and self._rests(ready):
                    continue
                if ready:
                    self._read()
                if not ready or self.ended is not None:
                    self._check_silence()
        except BaseException as error:
            # A defect of ours must not leave the peer, or a waiting thread, hanging.
            raised.log(LOGGER, "the DUL thread failed:", error)
            self.abort(Ended("aborted", "local", 2, 0, error=error))
        finally:
            try:
                self._close()
            finally:
                self.connection.close()
                # Held events hold their association for as long as it takes; this can be 1 MB.
                self.framer.close()

    # Pausing

    @property
    def is_paused(self) -> bool:
        """Whether nothing is read for the time being."""
        return self._paused_until is not None

    def pause(self, seconds: float) -> None:
        """Read no more for so long, or until `resume`; on the DUL thread.

        The connection's end is seen all the same, where the system can tell.
        """
        self._paused_until = time.monotonic() + seconds
        if self.ended is not None:
            self.resume()

    def resume(self) -> None:
        """Read on, from any thread."""
        if self._paused_until is None:
            return
        # The peer was not silent: it was not listened to.
        self.last_received = time.monotonic()
        self._paused_until = None
        self.wake()

    def _rests(self, hung_up: bool) -> bool:
        """Whether reading is still paused; if its time is up, it is not."""
        until = self._paused_until
        if until is None:
            return False
        if time.monotonic() < until and not hung_up:
            return True
        self._user.on_paused()
        self.resume()
        return False

    def _patience(self) -> float | None:
        """Seconds until the DUL thread looks whether the silence is too long."""
        paused_until = self._paused_until
        if paused_until is not None:
            return max(0.001, paused_until - time.monotonic())
        if self.ended is None:
            if not self._in_midst:
                return None
            timeout = self._user.network_timeout
            return None if timeout is None else self._silence_left(timeout)
        return max(0.001, self._time_left(LINGER))

    def _silence_left(self, timeout: float) -> float:
        """Seconds of silence that are left to the peer in mid-message, since its last bytes."""
        return max(0.001, self.last_received + timeout - time.monotonic())

    def _close(self) -> None:
        self._finished = True
        self._lost(None)
        if not self._over.is_set():  # Ctrl-C came between the end and telling of it
            self._tell_end()
        # A writer is woken by the cut. The descriptor goes only when it is out, lest it write to
        # the next owner's.
        # One that has an A-ABORT to write, after a defect of the DUL thread, has the time for it.
        seconds = 0.0 if self._leaving is None else LAST_PDU
        if not self._write.attempt(self._close_connection, seconds=seconds):
            self.connection.cut()
            self._write.run(self._close_connection)
        self._after_write()
        # Who is about to use one of them keeps it open.
        self._waker = self._write_waker = None
        self._watch.forget()

    def _close_connection(self) -> None:
        if self._leaving is not None:  # a writer was at it until now
            self._leave((), 0)
        self.connection.say_goodbye()
        self.connection.close()

    def _read(self) -> None:
        connection = self.connection
        try:
            count = self.framer.fill(connection.recv_now)
        except BlockingIOError:
            self._check_silence()
            return
        except OSError as error:
            self._problem = self._problem or error
            self._finished = True
            return
        if not count:
            self._finished = True
            return
        self._received(count)
        if connection.is_tls:
            self._drain()
            if connection.pending:
                self._after_write()
        if self._in_midst or self._user.outstanding():
            connection.quick_ack()

    def _received(self, count: int) -> None:
        """Take note of bytes that were read, and take them apart."""
        self.last_activity = self.last_received = time.monotonic()
        if self._user.watches_data:
            self._user.on_data(self.framer.latest(count), False)
        if self._deaf:
            self.framer.drop()
        else:
            self._understand()

    def _drain(self) -> None:
        """Read what TLS has deciphered already: nothing would tell of it any more."""
        connection = self.connection
        if not isinstance(connection, TLSConnection):
            return
        try:
            while not self._finished:
                view = self.framer.space()
                count = connection.read_clear(view)
                if count is None:
                    return
                if count:
                    self.framer.received(count)
                    self._received(count)
                else:
                    self._finished = True
        except OSError as error:
            self._problem = self._problem or error
            self._finished = True

    def _understand(self) -> None:
        """Take what was received apart."""
        framer, user = self.framer, self._user
        feed = self._feed_and_show if user.watches_pdus else user.feed
        try:
            while not self._finished and not self._deaf:
                try:
                    item = framer.next(feed if self.ended is None else _ignore)
                    if item is None:
                        break
                    if type(item) is bytes:
                        self._on_pdu(item)
                    elif self.ended is None:
                        user.on_message(item)
                        if not framer.in_pdu:  # as after most messages
                            self._in_midst = False
                            return
                except DIMSEDecodeError as error:
                    # What follows a message that is none is still understood, in Sta13.
                    self.abort(Ended("aborted", "local", 0, 0, error=error))
        except PDUDecodeError as error:
            self._deaf = True  # where the next PDU begins is not known
            self._invalid(error)
        self._in_midst = user.flush() or framer.in_pdu

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
        if self.abort(Ended("aborted", "local", 2, error.reason, error=error)):
            return
        with contextlib.suppress(RuntimeError):
            self._take("Evt19")
            self._push_abort(2, error.reason)
        self._tell()

    def _push_abort(self, source: int, reason: int) -> None:
        """Send another A-ABORT (AA-7)."""
        self._again = pdus.A_ABORT(source=source, reason=reason).encode()
        self._after_write()

    def _on_pdu(self, data: bytes) -> None:
        """A PDU is complete that is not P-DATA-TF in its place."""
        event = EVENT_OF_PDU[data[0]]
        found = TABLE.get((event, self.state))
        if found is None:  # the connection was lost to a writer meanwhile
            return
        label = found.label
        pdu: Any = None
        if label in _DECODED or (self._user.watches_pdus and data[0] != _P_DATA_TF):
            try:
                pdu = pdus.decode_pdu(data)
            except PDUDecodeError as error:
                self._invalid(error)
                return
            if self._user.watches_pdus:
                self._user.on_pdu(pdu, False)
        # P-DATA-TF comes here when it was not expected at its beginning; its content is lost,
        # whatever the state is now.
        if label == "AA-8" or label in ("DT-2", "AR-6"):
            unexpected = PDUDecodeError(
                f"not expected in {self.state}", pdu=f"PDU of type {data[0]:#04x}", reason=2
            )
            cause = event if label == "AA-8" else "Evt19"
            ended = Ended("aborted", "local", 2, 2, error=unexpected)
            if self.abort(ended, event=cause) or self.ended is not None:
                return
            self._on_pdu(data)  # our own release request was sent meanwhile
            return
        if label == "AE-3":
            self.framer.context_ids = self._user.on_associate(pdu)
        try:
            # Another thread may have moved on meanwhile: what was taken counts, not what was looked
            # up.
            label = self._take(event, _ended_by(label, pdu)).label
        except RuntimeError:
            return
        self._tell()
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
        """Answer a release collision: the requestor first, the acceptor when it got its answer."""
        if self.state == "Sta10":
            return
        ended = Ended("released", "local") if self.state == "Sta12" else None
        with contextlib.suppress(Stopped):
            self.perform("Evt14", pdus.A_RELEASE_RP(), ended)

    def _check_silence(self) -> None:
        """Abort when the peer stopped in mid-message; in Sta13, close when it does not."""
        timeout = self._user.network_timeout
        if self.ended is not None:
            self._help()
            if self._time_left(LINGER) <= 0:
                self._finished = self._expired = True
        elif timeout is None or not self._in_midst:
            return
        elif time.monotonic() - self.last_received >= timeout:
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
