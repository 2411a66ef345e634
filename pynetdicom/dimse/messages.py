"""DIMSE messages: primitives ↔ P-DATA fragments (PS3.7 6.3, PS3.8 Annex E).

Out, `fragments` gives batches of whole P-DATA-TF PDUs: lists of buffers, headers and slices in
turn, each for one `sendmsg`. In, `Assembler` takes the PDVs in whatever slices the socket's reads
gave and hands whole messages on. A data set's bytes are neither joined nor copied here; they go on
to a `Spool`.
"""

from __future__ import annotations

import logging
import struct
from collections.abc import Callable, Iterable, Iterator
from io import BytesIO
from typing import TYPE_CHECKING

from pynetdicom import _config
from pynetdicom.data_sets.element_walk import encoding_of
from pynetdicom.data_sets.encoded import Bytes
from pynetdicom.data_sets.spool import Place, Spool, received
from pynetdicom.dimse.command import NO_DATA_SET
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.errors import DIMSEDecodeError, PDUTooShort, TruncatedFile

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.data_sets.encoded import EncodedDataSet

LOGGER = logging.getLogger("pynetdicom.dimse")

OWN_MAXIMUM_LENGTH = 131072
"""The length of the PDUs to a peer that sets no limit."""

BATCH_BYTES = 1 << 20
BATCH_BUFFERS = 1000

COMMAND = 1
LAST = 2

# A P-DATA-TF with one PDV: PDU type, reserved, PDU length, PDV item length, context ID, message
# control header.
_header = struct.Struct(">BxIIBB").pack

Batch = list[Bytes]


class Message:
    """A DIMSE message as it was received or is going to be sent.

    Attributes
    ----------
    context_id : int
        The presentation context.
    primitive : Primitive
        The command set as a primitive, and with it the data set.
    is_cancelled : bool
        Whether the peer has cancelled it, a request, or is gone, while it was outstanding.
    is_duplicate : bool
        Whether its Message ID was outstanding when it arrived.
    is_beyond : bool
        Whether the peer had as many requests outstanding by then as it may.
    deadline : float or None
        Until when it may take, of `time.monotonic`; then it is as if it were cancelled.
    size : int
        The bytes of its data set.
    """

    __slots__ = (
        *("context_id", "deadline", "is_beyond", "is_cancelled", "is_duplicate", "primitive"),
        "size",
    )

    def __init__(self, primitive: Primitive, context_id: int) -> None:
        self.primitive = primitive
        self.context_id = context_id
        self.is_cancelled = self.is_duplicate = self.is_beyond = False
        self.deadline: float | None = None
        data_set = primitive.data_set
        self.size = 0 if data_set is None else data_set.size

    @property
    def name(self) -> str:
        """The message's name, such as ``"C-STORE-RQ"``."""
        return self.primitive.message_name

    @property
    def command_set(self) -> Dataset:
        """The command set as a pydicom data set."""
        from pydicom.filereader import read_dataset

        return read_dataset(BytesIO(self.primitive.encode()), True, True)

    @property
    def data_set(self) -> BytesIO | None:
        """The encoded data set, if there is one."""
        data_set = self.primitive.data_set
        return None if data_set is None else BytesIO(data_set.getvalue())

    def close(self) -> None:
        """Give back what its data set holds, which nobody was given."""
        data_set = self.primitive.data_set
        if data_set is not None:
            data_set.close()

    def __repr__(self) -> str:
        return f"<{self.name} on context {self.context_id}: {self.primitive!r}>"


def fragments(
    context_id: int, command: bytes, data: EncodedDataSet | None, maximum_length: int
) -> Iterable[Batch]:
    """Cut a message into P-DATA-TF PDUs of one PDV each.

    Parameters
    ----------
    context_id : int
        The presentation context.
    command : bytes
        The encoded command set.
    data : EncodedDataSet or None
        The data set.
    maximum_length : int
        The maximum length of a P-DATA-TF's variable field that the peer announced, 0 for no limit
        (PS3.8 D.1).

    Returns
    -------
    iterable of list of bytes or memoryview
        Buffers that together are whole PDUs: at most 1,000 of them, about 1 MiB. They are valid
        until the next batch is asked for.

    Raises
    ------
    PDUTooShort
        If `maximum_length` leaves no room for two bytes of data.
    """
    if maximum_length == 0:
        maximum_length = OWN_MAXIMUM_LENGTH
    elif maximum_length < 8:
        raise PDUTooShort(
            f"the peer takes PDUs of {maximum_length} bytes at most, too little for any message"
        )
    # A PDU as long as a batch is as good as a longer one, whatever the peer would take.
    length = (min(maximum_length, BATCH_BYTES) - 6) & ~1
    if len(command) > length:
        return _fragment_both(context_id, command, data, length)
    batch: Batch = [_header(4, len(command) + 6, len(command) + 2, context_id, 3) + command]
    if data is None:
        return (batch,)
    memory = data.memory
    size = len(memory or ())
    if memory and size <= length and not size & 1:
        batch += _header(4, size + 6, size + 2, context_id, LAST), memory
        return (batch,)
    return _fragment_data(context_id, data, length, batch)


def _fragment_both(
    context_id: int, command: bytes, data: EncodedDataSet | None, length: int
) -> Iterator[Batch]:
    batch: Batch = []
    for start in range(0, len(command), length):
        piece = command[start : start + length]
        control = COMMAND | (LAST if start + length >= len(command) else 0)
        batch.append(_header(4, len(piece) + 6, len(piece) + 2, context_id, control) + piece)
        if len(batch) == BATCH_BUFFERS or control & LAST:
            yield batch
            batch = []
    if data is not None:
        yield from _fragment_data(context_id, data, length, batch)


def _fragment_data(
    context_id: int, data: EncodedDataSet, length: int, batch: Batch
) -> Iterator[Batch]:
    """Continue `batch` with the data set's fragments of `length` bytes."""
    header = _header(4, length + 6, length + 2, context_id, 0)
    # How many fragments a batch holds, at two buffers each, beside the command set and the last.
    capacity = min(BATCH_BUFFERS // 2 - 2, max(1, BATCH_BYTES // length))
    remaining = data.size
    # The last fragment, full or not, has a header of its own.
    full = max(0, remaining - 1) // length
    tail: Bytes = b""
    for part in data.parts(length):
        view = memoryview(part)[:remaining]
        remaining -= len(view)
        if tail:  # parts of some kinds of data sets do not end with a fragment
            view = memoryview(b"".join((tail, view)))
        count = min(full, len(view) // length)
        full -= count
        end = count * length
        for start in range(0, end, capacity * length):
            if len(batch) > 1:
                yield batch
                batch = []
            stop = min(end, start + capacity * length)
            pair = [header] * ((stop - start) // length * 2)
            pair[1::2] = [view[i : i + length] for i in range(start, stop, length)]  # type: ignore[misc]
            batch += pair
        tail = view[end:]
        if not remaining:
            break
        if batch:
            yield batch
            batch = []
        tail = bytes(tail)  # the part is not there any more when the next one is
    if remaining:
        raise TruncatedFile("the data set is shorter than it was said to be")
    # Fragments are even: a deflated data set is padded on its way (PS3.5 A.5).
    is_padded = len(tail) % 2 == 1 and encoding_of(data.transfer_syntax).deflated
    size = len(tail) + is_padded
    last: Batch = [_header(4, size + 6, size + 2, context_id, LAST), tail, b"\0" * is_padded]
    yield batch + [buffer for buffer in last if buffer]


class Assembler:
    """Puts the messages of one association together from PDVs.

    Parameters
    ----------
    open_data_set : callable
        Called with (context ID, primitive) when a command set is complete that has a data set to
        follow; gives its `Place`, and what comes before it in a file.
    take_request, take_response : callable
        Called with each message that is complete.

    Attributes
    ----------
    context_id : int
        Of the message that has begun and is not complete; 0 between messages.
    maximum_command : int or None
        Bytes that a command set may take; None for `_config.MAXIMUM_COMMAND_SET`.
    """

    def __init__(
        self,
        open_data_set: Callable[[int, Primitive], tuple[Place, bytes]],
        take_request: Callable[[Message], object],
        take_response: Callable[[Message], object],
    ) -> None:
        self._open_data_set = open_data_set
        self.take_request = take_request
        self.take_response = take_response
        # What a peer is tolerated to do is noted once.
        self._told_of_groups = False
        self.context_id = 0
        self.maximum_command: int | None = None
        self._command = bytearray()
        self._primitive: Primitive | None = None
        self._opened: tuple[Place, bytes] | None = None
        self._spool: Spool | None = None

    def feed(self, context_id: int, control: int, data: memoryview, pdv_done: bool) -> None:
        """Take a PDV, or a slice of one; the message that it completes is delivered.

        Parameters
        ----------
        context_id : int
            The presentation context of the PDV.
        control : int
            Its message control header; only its two defined bits are looked at.
        data : memoryview
            A slice of its data. If it is of a data set it is not copied before `flush`.
        pdv_done : bool
            Whether the slice is the last of its PDV.

        Raises
        ------
        DIMSEDecodeError
            If the message is none: data before a command, messages that mix, a command set that
            does not decode.
        """
        if control & COMMAND:
            longest = self.maximum_command or _config.MAXIMUM_COMMAND_SET
            if len(self._command) + len(data) > longest:
                raise DIMSEDecodeError(f"command set: longer than {longest} bytes")
            is_whole = pdv_done and control & LAST != 0
            if self.context_id or not is_whole:
                self._take_command(context_id, data)
                if not is_whole:
                    return
                command, self._command = bytes(self._command), bytearray()
            else:  # in one piece, the rule
                command = bytes(data)
            primitive = decode_command(command)
            values = primitive.__dict__
            if "extra" in values:
                self._note_groups(primitive)
            if values.get("CommandDataSetType", NO_DATA_SET) != NO_DATA_SET:
                self._opened = self._open_data_set(context_id, primitive)
                self.context_id, self._primitive = context_id, primitive
                return
        else:
            begun, opened, spool = self._primitive, self._opened, self._spool
            if begun is None or opened is None:
                raise DIMSEDecodeError("a data set before the command set that it belongs to")
            if context_id != self.context_id:
                raise DIMSEDecodeError(f"{begun.message_name}: its data set is on another context")
            if not (pdv_done and control & LAST):
                if spool is None:
                    spool = self._spool = Spool(*opened)
                spool.add(data)
                return
            primitive, values = begun, begun.__dict__
            self._spool = self._primitive = None
            values["data_set"] = spool.finish(data) if spool else received(*opened, data)
        self.context_id = 0
        take = self.take_request if values["CommandField"] < 0x8000 else self.take_response
        take(Message(primitive, context_id))

    def _note_groups(self, primitive: Primitive) -> None:
        if not self._told_of_groups and max(primitive.extra) > 0xFFFF:
            self._told_of_groups = True
            LOGGER.warning(
                "the peer's %s has elements of other groups than 0000 in its command set: ignored",
                primitive.message_name,
            )

    def _take_command(self, context_id: int, data: memoryview) -> None:
        """Take a part of a command set, the first or a further one."""
        if self._primitive is not None:
            raise DIMSEDecodeError(
                f"{self._primitive.message_name}: a command set in the midst of its data set"
            )
        if self.context_id not in (0, context_id):
            raise DIMSEDecodeError("command set: its fragments are of different contexts")
        self.context_id = context_id
        self._command += data

    def is_filing(self, more: int) -> bool:
        """Whether what is being received is in a file, or may be with so many more bytes."""
        return self._spool is not None and self._spool.is_filing(more)

    def flush(self) -> None:
        """Let the data set take the slices it was given, before their buffer is used again."""
        if self._spool is not None:
            self._spool.flush()

    def discard(self) -> None:
        """Drop the message that has begun, as when the association ends."""
        spool = self._spool
        self._spool = self._primitive = None
        self.context_id = 0
        self._command.clear()
        if spool is not None:
            spool.discard()
