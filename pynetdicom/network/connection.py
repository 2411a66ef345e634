"""Below the upper layer: TCP connections, and TLS over memory BIOs.

A connection is read by the lobby, then by the reader, see `dul`, with `recv` when there is
something; it is written by the thread that holds the association's write lock, without ever
blocking in `push`.
Shutting it down (`cut`) wakes both.
"""

from __future__ import annotations

import contextlib
import socket
from collections.abc import Callable, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

from pynetdicom.network.latch import Hold
from pynetdicom.network.waking import Shared, Waker, wait_for
from pynetdicom.upper_layer.tls_faults import in_words

if TYPE_CHECKING:
    import ssl

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_DONTWAIT: int = getattr(socket, "MSG_DONTWAIT", 0)
_TLS_CHUNK = 256 * 1024

Buffer = bytes | bytearray | memoryview


class Connection(Shared):
    """A TCP connection.

    Parameters
    ----------
    sock : socket.socket
        Connected. It belongs to the connection from here on.

    Attributes
    ----------
    recv : callable
        Writes what one read gives into a buffer: how many bytes, 0 when the peer has closed, None
        when there is nothing to be understood yet. Raises BlockingIOError where nothing is there,
        OSError when the connection is broken.
    """

    is_tls = False
    is_secure = True
    """Whether what is sent is what the peer receives: with TLS, whether the handshake is done."""
    heard = b""
    """With TLS the first bytes that the peer has sent, which tell whether it speaks TLS."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        self._socket = sock
        # Where a single call can be told not to block, the descriptor itself stays blocking: the
        # reader then needs one system call for each read instead of two.
        sock.settimeout(None if _DONTWAIT else 0.0)
        self.recv_now: Callable[[memoryview], int] = partial(
            sock.recv_into, nbytes=0, flags=_DONTWAIT
        )
        self.recv: Callable[[memoryview], int | None] = self.recv_now
        with contextlib.suppress(OSError):  # not TCP: a socketpair in a test
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sendmsg = getattr(sock, "sendmsg", None)

    def cut(self) -> None:
        """Shut the connection down in both directions, which wakes its reader and its writer.

        From any thread, and in the midst of anything.
        """
        self.use(self._socket.shutdown, socket.SHUT_RDWR)

    @property
    def socket(self) -> socket.socket:
        """The socket itself."""
        return self._socket

    def fileno(self) -> int:
        """Its descriptor, or -1 once it is closed."""
        return self._socket.fileno()

    @property
    def pending(self) -> bool:
        """Whether bytes that `push` took have not left for the kernel yet."""
        return False

    def peek(self) -> bytes:
        """The next byte, which is read again; none where the peer has closed."""
        return self._socket.recv(1, _DONTWAIT | socket.MSG_PEEK)

    def recv_more(self, view: memoryview) -> int | None:
        """As `recv`, of what was read already and not given out; None when that is all."""
        return None

    def flush(self) -> bool:
        """Send what was made ready by itself; False when the kernel does not take it all now."""
        return True

    def push(self, buffers: Sequence[Buffer]) -> int:
        """Hand bytes to the kernel, as many as it takes without waiting; 0 when it takes none."""
        try:
            if self._sendmsg is None:
                return self._socket.send(b"".join(buffers))
            return int(self._sendmsg(buffers, (), _DONTWAIT))
        except BlockingIOError:
            return 0

    def wait_writable(
        self,
        timeout: float | None,
        waker: Waker | None = None,
        wait: Callable[..., bool] = wait_for,
    ) -> bool:
        """Wait until `push` can take something; False when time is up or `waker` was set."""
        return wait(self._socket.fileno(), timeout, write=True, waker=waker)

    def quick_ack(self) -> None:
        """Acknowledge at once what arrives next: a peer with Nagle's algorithm on waits for it."""
        if _QUICKACK is not None:
            try:  # noqa: SIM105  # once a read, where `suppress` costs more
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            except OSError:
                pass

    def say_goodbye(self) -> None:
        """What the transport says before it closes; TCP says nothing."""


class _SecuredSocket:
    """A socket that can be asked about its TLS session as well, as an `ssl.SSLSocket` can."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLObject) -> None:
        self._socket = sock
        self._tls = tls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._socket if hasattr(self._socket, name) else self._tls, name)


class TLSConnection(Connection):
    """A TCP connection with TLS: an `ssl.SSLObject` between two memory BIOs.

    One `ssl.SSLSocket` must not be read and written by two threads at once; here the reader and
    the one that sends touch the object only under a short lock and never while they wait for the
    network. Ciphertext leaves in
    the order in which it was made: making and sending it happen under the association's write lock.
    """

    is_tls = True
    is_secure = False

    def __init__(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        *,
        server_side: bool,
        server_hostname: str | None = None,
    ) -> None:
        super().__init__(sock)
        import ssl

        if context.check_hostname and not server_side and not server_hostname:
            # `wrap_bio` would leave the check out without a word, where `wrap_socket` refuses.
            raise ValueError("check_hostname is set, but no host name is given")
        self._ssl = ssl
        self._in = ssl.MemoryBIO()
        self._out = ssl.MemoryBIO()
        self._object = context.wrap_bio(
            self._in, self._out, server_side=server_side, server_hostname=server_hostname or None
        )
        # A finalizer that the reader meets in here may have an A-ABORT sent.
        self._touching = Hold("")
        self._cipher = memoryview(bytearray(64 * 1024))
        self.recv = self._recv_clear
        self._waiting: memoryview = memoryview(b"")
        # How reading has ended, where that was seen behind plaintext: 0 for the peer's close.
        self._end: ConnectionError | int | None = None

    @property
    def socket(self) -> Any:
        """The socket itself, with what an `ssl.SSLSocket` tells of the session."""
        return _SecuredSocket(self._socket, self._object)

    @property
    def pending(self) -> bool:
        return bool(self._waiting) or self._out.pending > 0

    def handshake(self) -> bool:
        """Go on with the handshake; False while it waits for the peer.

        Raises
        ------
        ssl.SSLError
            It failed. The alert that says so is ready to be sent.
        """
        try:
            self._touching.run(self._object.do_handshake)
        except self._ssl.SSLWantReadError:
            return False
        self.is_secure = True
        return True

    def feed(self, data: Buffer) -> None:
        """Take ciphertext from the peer; none means that the peer has closed."""
        if data:
            self.heard = self.heard or bytes(data[:3])
            self._touching.run(self._in.write, data)
        else:
            self._touching.run(self._in.write_eof)

    def receive(self) -> None:
        """Feed what ciphertext one read gives; `BlockingIOError` when nothing is there."""
        self.feed(self._cipher[: self.recv_now(self._cipher)])

    def _recv_clear(self, view: memoryview) -> int | None:
        self.receive()
        return self.recv_more(view)

    def recv_more(self, view: memoryview) -> int | None:
        if not self.is_secure and not self.handshake():
            return None
        count: int | None = self._touching.run(self._read_records, view)
        return count

    def _read_records(self, view: memoryview) -> int | None:
        count = 0
        try:
            # A record has 16 KiB at most: go on, so that what is above us has as much at a time as
            # without TLS.
            while count < len(view) and self._end is None:
                more: Any = self._object.read(len(view) - count, view[count:])
                count += more
                if not more:
                    self._end = 0
        except self._ssl.SSLWantReadError:
            return count or None
        except (self._ssl.SSLZeroReturnError, self._ssl.SSLEOFError):
            self._end = 0
        except self._ssl.SSLError as error:
            self._end = ConnectionError(in_words(error))
            self._end.__cause__ = error
        # What came before the end counts.
        if isinstance(self._end, ConnectionError) and not count:
            raise self._end
        return count

    def push(self, buffers: Sequence[Buffer]) -> int:
        if not self.flush():
            return 0
        taken = 0
        for buffer in buffers:
            if taken >= _TLS_CHUNK:
                break
            try:
                self._touching.run(self._object.write, buffer)
            except self._ssl.SSLError as error:
                raise ConnectionError(f"TLS: {error.reason or error}") from error
            taken += len(buffer)
        self.flush()
        return taken

    def flush(self) -> bool:
        """Send the ciphertext that was made; False when the kernel does not take all of it now."""
        while True:
            if not self._waiting:
                self._waiting = memoryview(self._touching.run(self._out.read))
                if not self._waiting:
                    return True
            sent = super().push([self._waiting])
            if not sent:
                return False
            self._waiting = self._waiting[sent:]

    def say_goodbye(self) -> None:
        """Send close_notify, without waiting for the peer's."""
        with contextlib.suppress(OSError):
            self._touching.run(self._object.unwrap)
        with contextlib.suppress(OSError):
            self.flush()
