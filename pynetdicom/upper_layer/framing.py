"""From bytes as they arrive to PDUs, and to PDVs while their P-DATA-TF is still arriving.

In: what the transport writes, for `Framer.fill`. Out, by `Framer.next`: P-DATA-TF as slices of
the receive buffer, handed to a `feed` function (PS3.8 9.3.5); any other PDU as its bytes, once
complete. A slice is valid until the next call of `space`.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from struct import Struct
from typing import TypeVar

from pynetdicom import _config
from pynetdicom.errors import PDUDecodeError

T = TypeVar("T")

Feed = Callable[[int, int, memoryview, bool], T | None]
"""``feed(context_id, control, slice, pdv_done)``: takes a part of a PDV, returns a message once it
is complete."""

_HEADER = Struct(">BxI")
_PDV_HEADER = Struct(">IBB")
_both_headers = Struct(">BxIIBB").unpack_from
_NO_HEADERS = (0, 0, 0, 0, 0)

FIRST_SIZE = 4096
"""One page: enough for most A-ASSOCIATE PDUs."""
SMALL_SIZE = 1024
"""Enough for what most associations are asked for; there may be thousands of them."""
LARGEST_SIZE = 640 * 1024
"""Bytes that are read at a time, at most: what is written to a file at once is in the caches then,
and a slice of 512 by 512 pixels comes in one piece.
"""

_P_DATA_TF = 0x04
_TLS_RECORDS = range(0x14, 0x18)  # change_cipher_spec, alert, handshake, application_data
_ASSOCIATE = frozenset((0x01, 0x02))

_wrong_length = partial(PDUDecodeError, field="PDU-length", offset=2)
_wrong_pdv = partial(PDUDecodeError, pdu="P-DATA-TF")


class Framer:
    """One receive buffer and what has been understood of its bytes.

    Parameters
    ----------
    maximum_length : int
        The longest P-DATA-TF that was announced to the peer; 0 means no limit (PS3.8 D.1).
    size : int
        Bytes of the buffer to begin with. It doubles, up to `LARGEST_SIZE`, while reads fill it.

    Attributes
    ----------
    accepts_data : bool
        Whether P-DATA-TF is expected in the present state; if it is not, its content is skipped and
        the PDU's header is handed out like any other PDU's bytes.
    context_ids : frozenset of int
        The accepted presentation contexts.
    in_pdu : bool
        Whether a PDU has begun and is not complete, once `next` has understood all there is.
    """

    def __init__(self, maximum_length: int = 0, size: int = FIRST_SIZE) -> None:
        self.maximum_length = maximum_length
        self.accepts_data = False
        self.context_ids: frozenset[int] = frozenset()
        self.in_pdu = False
        self._buffer = memoryview(bytearray(size))
        self._start = 0
        self._end = 0
        # What is still to come of the P-DATA-TF and of the PDV that are being received.
        self._pdu_left = 0
        self._pdv_left = 0
        self._in_pdv = False
        self._skip = 0
        self._context_id = 0
        self._control = 0

    @property
    def in_p_data(self) -> bool:
        """Whether more PDVs of the present P-DATA-TF are to come."""
        return self._pdu_left > 0

    @property
    def is_empty(self) -> bool:
        """Whether all that was received was understood."""
        return self._start == self._end

    def space(self) -> memoryview:
        """Room for the next bytes. What `next` has given away before is no longer valid."""
        start, end, buffer = self._start, self._end, self._buffer
        kept = end - start
        size = len(buffer)
        # A PDU other than P-DATA-TF is larger than it, or the last read filled it: the peer is
        # faster.
        if end == size and (start == 0 or size < LARGEST_SIZE):
            size = size * 2 if start == 0 else min(size * 4, LARGEST_SIZE)
            larger = memoryview(bytearray(size))
            larger[:kept] = buffer[start:end]
            self._buffer = buffer = larger
        elif start:
            buffer[:kept] = bytes(buffer[start:end])
        self._start, self._end = 0, kept
        return buffer[kept:]

    def fill(self, recv: Callable[[memoryview], int | None]) -> int | None:
        """Have `recv` write the next bytes; gives how many, as it says."""
        if self._start == self._end < len(self._buffer):  # all was understood
            self._start = self._end = 0
            count = recv(self._buffer)
        else:
            count = recv(self.space())
        self._end += count or 0
        return count

    def latest(self, count: int) -> bytes:
        """The last `count` bytes that were received."""
        return bytes(self._buffer[self._end - count : self._end])

    def drop(self) -> None:
        """Forget what was received and not understood."""
        self._start = self._end = 0
        self.in_pdu = False

    def shrink(self) -> None:
        """Begin with a small buffer again, if all that was received was understood."""
        if self._start == self._end:
            self._buffer = memoryview(bytearray(SMALL_SIZE))
            self._start = self._end = 0

    def close(self) -> None:
        """Give the buffer back; nothing is received any more."""
        self._buffer = memoryview(b"")
        self.drop()

    def next(self, feed: Feed[T]) -> T | bytes | None:
        """Understand what was received, up to the end of a message or of another PDU.

        Parameters
        ----------
        feed : callable
            Takes the parts of PDVs.

        Returns
        -------
        T or bytes or None
            A message that `feed` completed; another PDU than P-DATA-TF; None when that is all.

        Raises
        ------
        PDUDecodeError
            The peer sent something that is no PDU, or a P-DATA-TF that was not negotiated.
        """
        self.in_pdu = True
        while True:
            start = self._start
            available = self._end - start
            if not self._in_pdv:
                if self._pdu_left:
                    if not self._begin_pdv():
                        return None
                elif not available:
                    self.in_pdu = self._skip > 0
                    return None
                elif self._skip:
                    self._skip_content(available)
                    continue
                else:
                    # A P-DATA-TF and its first PDV at once, which is the rule.
                    headers = self.accepts_data and available >= 12
                    pdu_type, length, item, context_id, control = (
                        _both_headers(self._buffer, start) if headers else _NO_HEADERS
                    )
                    if (
                        pdu_type == _P_DATA_TF
                        and 2 <= item <= length - 4
                        and (length <= self.maximum_length or not self.maximum_length)
                        and context_id in self.context_ids
                    ):
                        self._start = start + 12
                        self._pdu_left = length - 6
                        self._pdv_left = item - 2
                        self._context_id, self._control = context_id, control
                    else:
                        pdu = self._begin_pdu()
                        if pdu or pdu is None:
                            return pdu
                        continue
                start = self._start
                available = self._end - start
            left = self._pdv_left
            self._in_pdv = available < left
            if not self._in_pdv:
                available = left
            elif not available:
                return None
            self._start = stop = start + available
            self._pdu_left -= available
            self._pdv_left = left - available
            data = self._buffer[start:stop]
            message = feed(self._context_id, self._control, data, not self._in_pdv)
            if message is not None:
                return message

    def _skip_content(self, available: int) -> None:
        """Pass over what is there of a P-DATA-TF that was not expected."""
        step = min(self._skip, available)
        self._start += step
        self._skip -= step

    def _begin_pdu(self) -> bytes | None:
        """None while a PDU is incomplete, b"" when a P-DATA-TF begins, and else the whole PDU."""
        start = self._start
        available = self._end - start
        if available < 6:
            if available:
                _known_type(self._buffer[start])
            return None
        pdu_type, length = _HEADER.unpack_from(self._buffer, start)
        if pdu_type == _P_DATA_TF:
            self._start = start + 6
            if not self.accepts_data:
                self._skip = length
                return bytes(self._buffer[start : start + 6])
            if self.maximum_length and length > self.maximum_length:
                most = f"but {self.maximum_length} were negotiated"
                raise _wrong_length(f"{length} bytes, {most}", pdu="P-DATA-TF")
            if length < 6:
                raise _wrong_length(f"{length} bytes hold no PDV", pdu="P-DATA-TF")
            self._pdu_left = length
            return b""
        _known_type(pdu_type)
        limit = _config.MAXIMUM_ASSOCIATE_PDU if pdu_type in _ASSOCIATE else 4
        if length > limit or (pdu_type not in _ASSOCIATE and length != 4):
            which = f"PDU of type {pdu_type:#04x}"
            raise _wrong_length(f"{length} bytes, at most {limit} are possible", pdu=which)
        if available < 6 + length:
            return None
        self._start = start + 6 + length
        return bytes(self._buffer[start : self._start])

    def _begin_pdv(self) -> bool:
        """Read the header of the next PDV, if it is there."""
        if self._end - self._start < 6:
            if self._pdu_left < 6:
                raise _wrong_pdv("no room for a PDV", field="PDV item")
            return False
        length, context_id, control = _PDV_HEADER.unpack_from(self._buffer, self._start)
        # The item's length counts the context ID and the message control header, not itself (PS3.8
        # 9.3.5.1).
        if length < 2 or length + 4 > self._pdu_left:
            left = f"{self._pdu_left} are left in the PDU"
            raise _wrong_pdv(f"{length} bytes, {left}", field="PDV Item-length")
        if context_id not in self.context_ids:
            what = f"{context_id} was not accepted"
            raise _wrong_pdv(what, field="Presentation-context-ID", reason=5)
        self._start += 6
        self._pdu_left -= 6
        self._pdv_left = length - 2
        self._context_id, self._control = context_id, control
        self._in_pdv = True
        return True


class TLSRecord(PDUDecodeError):
    """A TLS record where a PDU should be: the peer expects TLS."""


def _known_type(pdu_type: int) -> None:
    """Raise unless PS3.8 9.3.1 knows the PDU type."""
    if pdu_type in _TLS_RECORDS:
        raise TLSRecord(f"type {pdu_type:#04x} is none of a PDU, but of TLS", reason=1)
    if not 1 <= pdu_type <= 7:
        raise PDUDecodeError(f"type {pdu_type:#04x} is not one of the seven PDUs", reason=1)
