"""What is sent and received on associations, deciphered, in a file that Wireshark opens.

In: the events of the bytes of associations. Out: pcapng (IETF draft-ietf-opsawg-pcapng), in which
each association is a TCP connection: with a handshake, its bytes in segments, and an end. The
addresses, ports, times and bytes are the real ones; how the bytes are cut into segments is not.

The handlers run on any thread that reads or writes. Each leaves what it was told of in a queue, and
one thread at a time writes what is there: a signal's handler may abort an association in its midst.
A block is written at once, so that whatever ends the process leaves a file that can be read, and
processes made by ``os.fork`` can share it.
"""

from __future__ import annotations

import logging
import os
import struct
from collections import deque
from collections.abc import Callable, Iterable
from functools import partial
from socket import AF_INET, AF_INET6, inet_pton
from typing import TYPE_CHECKING, Any, Self
from weakref import WeakKeyDictionary, finalize

from pynetdicom import event_types as evt
from pynetdicom._version import __version__
from pynetdicom.network.latch import Hold

if TYPE_CHECKING:
    from pynetdicom.network.addresses import AddressInformation

LOGGER = logging.getLogger("pynetdicom.ae")

_SECTION, _INTERFACE, _PACKET = 0x0A0D0D0A, 1, 6
"""Types of blocks."""
_ORDER = 0x1A2B3C4D
_USER_APPLICATION = 4
"""An option of a section."""
_LINKTYPE_RAW = 101
"""Packets begin with the IP header."""

_FIN, _SYN, _ACK = 1, 2, 16
_TCP = 6
_LONGEST = 0xF000
"""Bytes of a segment: with all headers they are less than 64 KiB."""
_SYN_OPTIONS = struct.pack(">BBHBBBB", 2, 4, _LONGEST, 1, 3, 3, 14)
"""How long a segment may be; the window is 2 ** 14 times what it says: it is never full."""
_MAPPED = bytes(10) + b"\xff\xff"
"""How an IPv6 address begins that is one of IPv4."""


class Capture:
    """A file of what is sent and received on associations, as it is before TLS and after it.

    Parameters
    ----------
    path : str or path-like
        The file, which must not be there. It holds patient data and passcodes, whatever comes: only
        its owner may read it.

    Attributes
    ----------
    warning : str
        What is logged at its making.

    Raises
    ------
    OSError
        The file cannot be made, or is there already.

    Examples
    --------
    >>> with Capture("captured.pcapng") as capture:  # doctest: +SKIP
    ...     assoc = ae.associate("127.0.0.1", 11112, capture=capture)
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_APPEND | getattr(os, "O_BINARY", 0)
        self._file: int | None = os.open(path, flags, 0o600)
        # For whoever gives no more than a path: it is closed with the last association that has it.
        self._closer = finalize(self, os.close, self._file)
        self._path = os.fspath(path)
        self._streams: WeakKeyDictionary[Any, _Stream] = WeakKeyDictionary()
        self._waiting: deque[Callable[[], None]] = deque()
        self._writing = Hold()
        name = f"pynetdicom {__version__}".encode()
        option = struct.pack("=HH", _USER_APPLICATION, len(name)) + _padded(name) + bytes(4)
        self._write(_block(_SECTION, struct.pack("=IHHq", _ORDER, 1, 0, -1) + option))
        self._write(_block(_INTERFACE, struct.pack("=HHI", _LINKTYPE_RAW, 0, 0)))
        self.warning = f"all that is sent and received, patient data included, goes to {self._path}"
        LOGGER.warning("%s", self.warning)

    @property
    def handlers(self) -> list[tuple[Any, ...]]:
        """For the ``evt_handlers`` of any number of associations and servers."""
        events = (evt.EVT_CONN_OPEN, evt.EVT_DATA_RECV, evt.EVT_DATA_SENT, evt.EVT_CONN_CLOSE)
        return [(event, self._take) for event in events]

    def close(self) -> None:
        """Write no more."""
        self._do(self._close)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _take(self, event: Any) -> None:
        self._do(partial(self._record, event))

    def _do(self, work: Callable[[], None]) -> None:
        """Do it, after what waits; where this thread is in its midst, when it comes back there."""
        self._waiting.append(work)
        while not self._writing.is_mine():
            self._writing.run(self._work)
            if not self._waiting:
                break

    def _work(self) -> None:
        while self._waiting:
            self._waiting.popleft()()

    def _record(self, event: Any) -> None:
        """Write the packets of an event."""
        assoc = event.assoc
        stream = self._streams.get(assoc)
        if stream is None:
            ends = assoc.requestor.address_info, assoc.acceptor.address_info
            stream = self._streams[assoc] = _Stream(*ends)
            packets = stream.opening()
        else:
            packets = []
        if event.event is evt.EVT_CONN_CLOSE:
            packets += stream.closing()
        elif event.event is not evt.EVT_CONN_OPEN:
            is_sent = event.event is evt.EVT_DATA_SENT
            packets += stream.carrying(event.data, by_acceptor=is_sent != assoc.is_requestor)
        moment = int(event.timestamp.timestamp() * 1_000_000)
        for packet in packets:
            head = struct.pack(
                "=IIIII", 0, moment >> 32, moment & 0xFFFFFFFF, len(packet), len(packet)
            )
            self._write(_block(_PACKET, head + _padded(packet)))

    def _write(self, block: bytes) -> None:
        """Write a block; after the first that cannot be written, none."""
        if self._file is None:
            return
        try:
            written = os.write(self._file, block)
        except OSError as error:
            why = error.strerror or str(error)
        else:
            why = "" if written == len(block) else "there is no room"
        if why:
            LOGGER.error("nothing more is captured in %s: %s", self._path, why)
            self._close()

    def _close(self) -> None:
        self._file = None
        self._closer()


def captured(
    evt_handlers: Iterable[Any] | None, capture: Capture | str | os.PathLike[str]
) -> list[Any]:
    """Add the handlers of a capture, or of one into a new file, to others."""
    if not isinstance(capture, Capture):
        capture = Capture(capture)
    return [*(evt_handlers or ()), *capture.handlers]


def _padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 4)


def _block(kind: int, body: bytes) -> bytes:
    length = struct.pack("=I", len(body) + 12)
    return struct.pack("=I", kind) + length + body + length


class _Stream:
    """The bytes of an association as the packets of a TCP connection. Side 0 is the requestor's."""

    def __init__(self, *ends: AddressInformation | None) -> None:
        hosts = [_packed("0.0.0.0" if one is None else one.address) for one in ends]
        self._is_ipv4 = all(host.startswith(_MAPPED) for host in hosts)
        self._hosts = [host[len(_MAPPED) :] for host in hosts] if self._is_ipv4 else hosts
        self._ports = [0 if one is None else one.port for one in ends]
        self._next = [0, 0]
        """The number of the next byte of each side."""
        self._is_closed = False

    def opening(self) -> list[bytes]:
        """The handshake."""
        return [self._packet(0, _SYN), self._packet(1, _SYN | _ACK), self._packet(0, _ACK)]

    def carrying(self, data: bytes, *, by_acceptor: bool) -> list[bytes]:
        """Bytes of one side, each segment acknowledged by the other."""
        if self._is_closed:  # an A-ABORT of which is told late
            return []
        packets = []
        for start in range(0, len(data), _LONGEST):
            segment = data[start : start + _LONGEST]
            packets.append(self._packet(by_acceptor, _ACK, segment))
            packets.append(self._packet(not by_acceptor, _ACK))
        return packets

    def closing(self) -> list[bytes]:
        """The end, by both sides."""
        self._is_closed = True
        return [self._packet(side, flags) for side, flags in ((0, _FIN | _ACK), (1, _FIN | _ACK))]

    def _packet(self, side: int, flags: int, data: bytes = b"") -> bytes:
        """A packet that one side sends, with what it has received until now acknowledged."""
        other = 1 - side
        number = self._next[side]
        self._next[side] = (number + len(data) + bool(flags & (_SYN | _FIN))) & 0xFFFFFFFF
        acknowledged = self._next[other] if flags & _ACK else 0
        options = _SYN_OPTIONS if flags & _SYN else b""
        words = (20 + len(options)) // 4
        ports = self._ports[side], self._ports[other]
        head = struct.pack(">HHIIBBHI", *ports, number, acknowledged, words << 4, flags, 0xFFFF, 0)
        head += options
        length = len(head) + len(data)
        hosts = self._hosts[side] + self._hosts[other]
        checksum = _checksum(hosts, struct.pack(">II", length, _TCP), head, data)
        head = head[:16] + checksum + head[18:]
        return self._ip_header(length, hosts) + head + data

    def _ip_header(self, length: int, hosts: bytes) -> bytes:
        if not self._is_ipv4:
            return struct.pack(">IHBB", 6 << 28, length, _TCP, 64) + hosts
        start = struct.pack(">BBHHHBB", 0x45, 0, length + 20, 0, 0x4000, 64, _TCP)
        return start + _checksum(start, hosts) + hosts


def _packed(host: str) -> bytes:
    """An address as one of IPv6."""
    host = host.partition("%")[0]
    return inet_pton(AF_INET6, host) if ":" in host else _MAPPED + inet_pton(AF_INET, host)


def _checksum(*parts: bytes) -> bytes:
    """That of the Internet (RFC 1071); none of the parts but the last has an odd length."""
    # 65536 is 1 modulo 65535: the sum of 16-bit words with its carries is one long number's rest.
    total = sum(int.from_bytes(part + bytes(len(part) % 2), "big") for part in parts)
    return struct.pack(">H", 0xFFFF - total % 0xFFFF)
