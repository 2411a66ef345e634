"""Responses that wait for their consumer: in memory as long as they are few, else in a file.

In: messages, from the one thread that reads the association. Out: the same in their order, to the
one thread that consumes them; that may be a slow one. One queue holds the order: a message, or the
file in which the next one is. Once all that is in the file has been consumed it is gone, and memory
is used again.

There is no lock: each attribute is written by one thread only, and `discard`, which the handler of
a signal or a finalizer may call in the midst of anything, leaves the file to whoever uses it: it is
closed when nobody refers to it any more.
"""

from __future__ import annotations

import errno
import weakref
from contextlib import suppress
from io import BufferedReader
from queue import Empty
from struct import Struct

from pynetdicom import _config
from pynetdicom.data_sets.descriptor import Section
from pynetdicom.data_sets.provisional import ProvisionalFile, system_directory, write_all
from pynetdicom.data_sets.spool import ReceivedDataSet
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.messages import Message
from pynetdicom.network.runtime import THREADS, Queue, Runtime

# A message in the file: its context ID, the lengths of its command set and of its data set.
_RECORD = Struct("<BII")
_NOT_KEPT = 0xFFFFFFFF
_CHUNK = 65536


class _File:
    """Responses one behind the other, and how far they have been read.

    It is gone when neither the queue nor the one who consumes refers to it any more. It has no
    `__del__` itself: while that runs, on the consumer's thread, a weak reference still gives the
    object out, and the reader would write into a file that is being closed.
    """

    def __init__(self, directory: str) -> None:
        self._owned = ProvisionalFile(directory)
        self.fd = self._owned.fd
        section = Section(self._owned.descriptor, 0, _config.MAXIMUM_SPOOLED_RESPONSES)
        self._reader = BufferedReader(section, _CHUNK)

    def read(self, count: int) -> bytes:
        """Give the next bytes."""
        data = self._reader.read(count)
        if len(data) < count:
            raise OSError(errno.EIO, "the spool file became shorter")
        return data


class Backlog:
    """The responses to one operation that nobody has asked for yet.

    Attributes
    ----------
    directory : str or None
        Where the file goes; None for the system's directory for such files.
    empty : callable
        Tells whether there is nothing to get.
    is_paused : bool
        Whether reading was paused since it was full, and its consumer has not looked since.
    """

    def __init__(self, runtime: Runtime = THREADS) -> None:
        self.is_paused = False
        self.directory: str | None = None
        self._queue: Queue = runtime.queue()
        self.empty = self._queue.empty
        self._is_discarded = False
        # Written by the thread that adds.
        self._added = self._bytes_added = 0
        self._transfer_syntax = ""
        # The file: as long as there is nothing in it, and then without keeping it.
        self._empty_file: _File | None = None
        self._used_file: weakref.ref[_File] | None = None
        self._written = 0
        # Written by the thread that consumes, of what was in memory.
        self._taken = self._bytes_taken = 0

    # The reader's side

    def _file(self) -> _File | None:
        """Where the next response goes; None once its consumer has caught up."""
        used = self._used_file
        return self._empty_file or (None if used is None else used())

    @property
    def is_full(self) -> bool:
        """Whether no more should be put into memory."""
        return self._file() is None and not self._is_below(1)

    def add(self, message: Message) -> bool:
        """Add a response that others will follow; whether it is full by then.

        Raises
        ------
        OSError
            It cannot be kept: the file cannot be written, or is as long as it may be.
        """
        # Few have ever had one.
        file = self._file() if self._used_file or self._empty_file else None
        if file is not None:
            if self._is_discarded:
                message.close()
            else:
                self._write(file, message)
            return False
        self._added += 1
        self._bytes_added += message.size
        self._queue.put(message)
        if self._is_discarded:  # perhaps just now
            self._drain()
        return (
            self._added - self._taken >= _config.MAXIMUM_WAITING_RESPONSES
            or self._bytes_added - self._bytes_taken >= _config.MAXIMUM_WAITING_BYTES
        )

    def put(self, message: Message | None) -> None:
        """Add the final response, or None when the association has ended; nothing follows."""
        if message is None:
            self._queue.put(None)
        else:
            self._empty_file = self._used_file = None
            self.add(message)

    def spill(self) -> None:
        """Put what is added from now on into a file, until its consumer has caught up.

        Raises
        ------
        OSError
            There cannot be one.
        """
        if self._file() is None and not self._is_discarded:
            self._written = 0
            self._empty_file = _File(self.directory or system_directory())

    def _write(self, file: _File, message: Message) -> None:
        data_set = message.primitive.data_set
        command = message.primitive.encode()
        data, length = b"", 0
        if getattr(data_set, "error", None) is not None:
            length = _NOT_KEPT
        elif data_set is not None:
            self._transfer_syntax = data_set.transfer_syntax
            data = data_set.getvalue()
            length = len(data)
        record = [_RECORD.pack(message.context_id, len(command), length) + command, data]
        size = len(record[0]) + len(data)
        if self._written + size > _config.MAXIMUM_SPOOLED_RESPONSES:
            raise OSError(errno.EFBIG, "more responses wait than may be kept")
        write_all(file.fd, record)
        self._written += size
        self._queue.put(file)
        self._used_file, self._empty_file = weakref.ref(file), None
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

    def get(self, timeout: float | None = None) -> Message | None:
        """Wait for the next response; None when none will come.

        Raises
        ------
        queue.Empty
            `timeout` seconds passed.
        OSError
            The file cannot be read.
        """
        item = None if self._is_discarded else self._queue.get(timeout=timeout)
        if isinstance(item, Message):
            self._taken += 1
            self._bytes_taken += item.size
            return item
        return None if item is None else self._get_from_file(item)

    def _get_from_file(self, file: _File) -> Message:
        context_id, command_length, length = _RECORD.unpack(file.read(_RECORD.size))
        primitive = decode_command(file.read(command_length))
        if length == _NOT_KEPT:
            error = OSError(errno.EFBIG, "the data set could not be kept")
            data_set = ReceivedDataSet(b"", self._transfer_syntax, 0, None, error=error)
            primitive.__dict__["data_set"] = data_set
        elif primitive.has_data_set:
            data_set = ReceivedDataSet(b"", self._transfer_syntax, length, file.read(length))
            primitive.__dict__["data_set"] = data_set
        return Message(primitive, context_id)

    # Both

    def discard(self) -> None:
        """Drop what there is and what will come, and wake whoever waits; from any thread."""
        self._is_discarded = True
        self._drain()

    def _drain(self) -> None:
        with suppress(Empty):
            while True:
                item = self._queue.get_nowait()
                if isinstance(item, Message):
                    item.close()
        self._empty_file = None
        # Last, and by each who drains: else one could take what another has woken the waiter with.
        self._queue.put(None)
