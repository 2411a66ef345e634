"""Responses that wait for their consumer: in memory as long as they are few, else in a file.

In: messages, from the one thread that reads the association. Out: the same in their order, to the
one thread that consumes them; that may be a slow one. What was put into the file comes behind what
was in memory by then; once all of it has been consumed the file is gone, and memory is used again.
"""

from __future__ import annotations

import errno
import threading
from queue import Empty, SimpleQueue
from struct import Struct
from typing import TYPE_CHECKING

from pynetdicom import _config
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.descriptor import pread
from pynetdicom.dimse.messages import Message
from pynetdicom.dimse.provisional import ProvisionalFile, system_directory, write_all
from pynetdicom.dimse.spool import ReceivedDataSet

if TYPE_CHECKING:
    from pynetdicom.dimse.encoded import EncodedDataSet

# A message in the file: its context ID, the lengths of its command set and of its data set.
_RECORD = Struct("<BII")
_NO_DATA_SET = 0xFFFFFFFF
_NOT_KEPT = 0xFFFFFFFE
_CHUNK = 65536

# In the queue, where the file comes in its turn.
_IN_FILE = object()


class Backlog:
    """The responses to one operation that nobody has asked for yet.

    Attributes
    ----------
    directory : str or None
        Where the file goes; None for the system's directory for such files.
    """

    def __init__(self) -> None:
        self.directory: str | None = None
        self._queue: SimpleQueue[object] = SimpleQueue()
        self._lock = threading.Lock()
        # Of what is in memory; each is written by one thread only.
        self._added = self._bytes_added = 0
        self._taken = self._bytes_taken = 0
        self._transfer_syntax = ""
        self._file: ProvisionalFile | None = None
        self._written = self._fetched = 0
        # What was read of the file and is not consumed; the consumer has come to the file.
        self._chunk = b""
        self._position = 0
        self._in_file = False
        self._is_discarded = False

    # The reader's side

    @property
    def is_full(self) -> bool:
        """Whether no more should be put into memory."""
        return self._file is None and not self._is_below(1)

    def add(self, message: Message) -> None:
        """Add a response that others will follow.

        Raises
        ------
        OSError
            It cannot be kept: the file cannot be written, or is as long as it may be.
        """
        with self._lock:
            if self._is_discarded:
                message.close()
            elif self._file is None:
                self._keep(message)
            else:
                self._write(self._file, message)

    def put(self, message: Message | None) -> None:
        """Add the final response, or None when the association has ended; nothing follows."""
        with self._lock:
            if message is None:
                self._queue.put(None)
            elif self._is_discarded:
                message.close()
            else:
                if not self._written:  # there is nothing in the file, if there is one
                    self._close_file()
                self._keep(message)

    def _keep(self, message: Message) -> None:
        self._added += 1
        self._bytes_added += message.size
        self._queue.put(message)

    def spill(self) -> None:
        """Put what is added from now on into a file, until its consumer has caught up.

        Raises
        ------
        OSError
            There cannot be one.
        """
        with self._lock:
            if self._file is None and not self._is_discarded:
                self._file = ProvisionalFile(self.directory or system_directory())
                self._written = self._fetched = 0

    def _write(self, file: ProvisionalFile, message: Message) -> None:
        data_set = message.primitive.data_set
        command = message.primitive.encode()
        data = b""
        if data_set is None:
            length = _NO_DATA_SET
        elif getattr(data_set, "error", None) is not None:
            length = _NOT_KEPT
        else:
            self._transfer_syntax = data_set.transfer_syntax
            data = data_set.getvalue()
            length = len(data)
        record = [_RECORD.pack(message.context_id, len(command), length) + command, data]
        size = len(record[0]) + len(data)
        if self._written + size > _config.MAXIMUM_SPOOLED_RESPONSES:
            raise OSError(errno.EFBIG, "more responses wait than may be kept")
        write_all(file.fd, record)
        self._written += size
        if self._written == size:
            self._queue.put(_IN_FILE)
        message.close()

    # The consumer's side

    @property
    def has_room(self) -> bool:
        """Whether reading on is worth it, after it was full."""
        return self._is_below(2)

    def _is_below(self, share: int) -> bool:
        return (
            self._added - self._taken < _config.MAXIMUM_WAITING_RESPONSES // share
            and self._bytes_added - self._bytes_taken < _config.MAXIMUM_WAITING_BYTES // share
        )

    def empty(self) -> bool:
        """Whether there is nothing to get."""
        return not self._in_file and not self._is_discarded and self._queue.empty()

    def get(self, timeout: float | None = None) -> Message | None:
        """Wait for the next response; None when none will come.

        Raises
        ------
        queue.Empty
            `timeout` seconds passed.
        OSError
            The file cannot be read.
        """
        while not self._is_discarded:
            if self._in_file:
                return self._get_from_file()
            item = self._queue.get(timeout=timeout)
            if item is _IN_FILE:
                self._in_file = True
            elif isinstance(item, Message):
                self._taken += 1
                self._bytes_taken += item.size
                return item
            else:
                return None
        return None

    def _get_from_file(self) -> Message | None:
        with self._lock:
            if self._file is None:  # discarded
                return None
            context_id, command_length, length = _RECORD.unpack(self._read(_RECORD.size))
            primitive = decode_command(self._read(command_length))
            if length != _NO_DATA_SET:
                primitive.__dict__["data_set"] = self._data_set(length)
            if self._position == len(self._chunk) and self._fetched == self._written:
                self._close_file()
            return Message(primitive, context_id)

    def _data_set(self, length: int) -> EncodedDataSet:
        if length == _NOT_KEPT:
            error = OSError(errno.EFBIG, "the data set could not be kept")
            return ReceivedDataSet(b"", self._transfer_syntax, 0, None, error=error)
        return ReceivedDataSet(b"", self._transfer_syntax, length, self._read(length))

    def _read(self, count: int) -> bytes:
        """The next bytes of the file."""
        assert self._file is not None
        while len(self._chunk) - self._position < count:
            size = min(max(_CHUNK, count), self._written - self._fetched)
            more = pread(self._file.fd, size, self._fetched) if size > 0 else b""
            if not more:
                raise OSError(errno.EIO, "the spool file became shorter")
            self._fetched += len(more)
            self._chunk = self._chunk[self._position :] + more
            self._position = 0
        start = self._position
        self._position = start + count
        return self._chunk[start : self._position]

    def _close_file(self) -> None:
        file, self._file = self._file, None
        self._in_file = False
        self._chunk = b""
        self._position = 0
        if file is not None:
            file.close()

    # Both

    def discard(self) -> None:
        """Drop what there is and what will come, and wake whoever waits."""
        with self._lock:
            self._is_discarded = True
            try:
                while True:
                    item = self._queue.get_nowait()
                    if isinstance(item, Message):
                        item.close()
            except Empty:
                pass
            self._close_file()
            self._queue.put(None)

    def __del__(self) -> None:
        self._close_file()
