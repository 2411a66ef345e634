"""Below the upper layer: TCP connections, and TLS over memory BIOs.

A connection is read by the DUL thread, with `recv_now` when there is something to read, and written
by whoever holds the association's write lock, without ever blocking in `push`. Shutting it down
(`cut`) wakes both.
"""

from __future__ import annotations

import contextlib
import select
import socket
import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from pynetdicom.network.buffers import Buffer
from pynetdicom.network.deadlines import after, stretch, wait_until
from pynetdicom.network.latch import Hold
from pynetdicom.upper_layer.tls_faults import in_words

if TYPE_CHECKING:
    import ssl

_QUICKACK: int | None = getattr(socket, "TCP_QUICKACK", None)
_DONTWAIT: int = getattr(socket, "MSG_DONTWAIT", 0)
# Where a single call can be told not to block, the descriptor itself stays blocking: the reader
# then needs one system call for each read instead of two.
_BLOCKING = bool(_DONTWAIT)
_TLS_CHUNK = 256 * 1024


class Waker:
    """Something a thread can wait for beside its socket, which any thread can set.

    A pair of sockets: on Windows nothing else can be waited for together with a socket.

    It takes no lock, so that the handler of a signal may set it in the midst of anything. The
    descriptors must not be somebody else's by the time a thread writes to them: a thread that finds
    another one at that leaves closing them to it. A set's own operations are atomic.
    """

    def __init__(self) -> None:
        self._is_closed = False
        self._setting: set[object] = set()
        self._read, self._write = socket.socketpair()
        self._read.setblocking(False)
        self._write.setblocking(False)

    def fileno(self) -> int:
        return self._read.fileno()

    def set(self) -> None:
        """Wake the thread that waits."""
        me = object()
        self._setting.add(me)
        try:
            if not self._is_closed:
                with contextlib.suppress(OSError):  # it is set many times over
                    self._write.send(b".")
        finally:
            self._setting.discard(me)
            if self._is_closed:
                self.close()

    def clear(self) -> None:
        """Forget that it was set."""
        with contextlib.suppress(OSError):
            self._read.recv(4096)

    def close(self) -> None:
        """Give its descriptors back. Nobody may be waiting."""
        self._is_closed = True
        if not self._setting:
            self._read.close()
            self._write.close()

    def __del__(self) -> None:
        with contextlib.suppress(AttributeError):  # it could not be made
            self.close()


def wait_for(
    fd: int, timeout: float | None, *, write: bool = False, waker: Waker | None = None
) -> bool:
    """Wait until a socket is readable or writable; False when time is up or `waker` was set."""
    wait = _wait_by_poll if hasattr(select, "poll") else _wait_by_select
    ready = wait_until(
        lambda seconds: wait(fd, seconds, write, None if waker is None else waker.fileno()),
        after(timeout),
    )
    return fd in ready


def _wait_by_poll(fd: int, timeout: float | None, write: bool, waker: int | None) -> list[int]:
    """Wait for a socket, and for a waker's to be readable; which of them are ready."""
    poll = select.poll()
    poll.register(fd, select.POLLOUT if write else select.POLLIN)
    if waker is not None:
        poll.register(waker, select.POLLIN)
    return [ready for ready, _ in poll.poll(None if timeout is None else timeout * 1000)]


def _wait_by_select(fd: int, timeout: float | None, write: bool, waker: int | None) -> list[int]:
    """The same where there is only `select`, on Windows."""
    wakers = [] if waker is None else [waker]
    # That connecting has failed is an exceptional condition there; to a reader it would be urgent
    # data, which nobody reads.
    ready = select.select(
        wakers if write else [fd, *wakers], [fd] if write else [], [fd] if write else [], timeout
    )
    return [one for several in ready for one in several]


class Watch:
    """What the DUL thread waits for: its connection, and a word of other threads.

    Parameters
    ----------
    fd : int
        The connection's.
    waker : Waker
    """

    def __init__(self, fd: int, waker: Waker) -> None:
        self._fd = fd
        self._waker: Waker | None = waker
        self._poll = select.poll() if hasattr(select, "poll") else None
        if self._poll is not None:
            self._poll.register(waker.fileno(), select.POLLIN)
            self._poll.register(fd, select.POLLIN)
        self._end_only = False

    def wait(self, timeout: float | None, *, end_only: bool = False) -> bool:
        """Wait until there is something to read; False when time is up or the waker was set.

        With `end_only` what there is to read is no reason to wake, but that the peer has hung up,
        where the system can tell the one from the other.
        """
        assert self._waker is not None
        if self._poll is None:
            if end_only:
                wait_for(self._waker.fileno(), timeout)
                ready = False
            else:
                ready = wait_for(self._fd, timeout, waker=self._waker)
            if not ready:
                self._waker.clear()
            return ready
        if end_only is not self._end_only:
            self._end_only = end_only
            events = getattr(select, "POLLRDHUP", 0) if end_only else select.POLLIN
            self._poll.modify(self._fd, events)
        ready = False
        seconds = stretch(timeout)
        for fd, _ in self._poll.poll(None if seconds is None else seconds * 1000):
            if fd == self._fd:
                ready = True
            else:
                self._waker.clear()
        return ready

    def forget(self) -> None:
        """Let go of the waker: nobody waits any more."""
        self._waker = None


class Cuttable:
    """A socket that any thread may shut down, and one closes.

    Parameters
    ----------
    sock : socket.socket
        It belongs to this from here on.
    """

    def __init__(self, sock: socket.socket) -> None:
        self._socket = sock
        self._closed = False
        self._cutting: set[object] = set()

    def cut(self) -> None:
        """Shut the connection down in both directions, which wakes its reader and its writer.

        From any thread, and in the midst of anything.
        """
        # The descriptor must not be another connection's by now: who finds somebody at it leaves
        # closing it to him. A set's own operations are atomic.
        me = object()
        try:
            try:
                self._cutting.add(me)
                if not self._closed:
                    with contextlib.suppress(OSError):
                        self._socket.shutdown(socket.SHUT_RDWR)
            finally:
                self._cutting.discard(me)
        finally:  # Ctrl-C may come on the way out, too
            self._cutting.discard(me)
            if self._closed:
                self.close()

    def close(self) -> None:
        """Give the descriptor back. Nobody may be reading or writing."""
        self._closed = True
        if not self._cutting:
            self._socket.close()


class Connection(Cuttable):
    """A TCP connection.

    Parameters
    ----------
    sock : socket.socket
        Connected. It belongs to the connection from here on.
    """

    is_tls = False
    heard = b""
    """With TLS the first bytes that the peer has sent, which tell whether it speaks TLS."""

    def __init__(self, sock: socket.socket) -> None:
        super().__init__(sock)
        sock.settimeout(None if _BLOCKING else 0.0)
        self._timeout: float | None = None
        with contextlib.suppress(OSError):  # not TCP: a socketpair in a test
            sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self._sendmsg = getattr(sock, "sendmsg", None)

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

    def set_read_timeout(self, seconds: float | None) -> None:
        """Have `recv_into` raise `BlockingIOError` after so long a silence; None: never."""
        if seconds == self._timeout:
            return
        self._timeout = seconds
        if _BLOCKING:
            # 0 means for ever to the kernel, whose count of seconds would not take any number.
            # Who reads looks at the clock then, and reads on.
            value = max(0.001, stretch(seconds) or 0.0) if seconds is not None else 0.0
            whole = int(value)
            packed = struct.pack("ll", whole, int((value - whole) * 1_000_000))
            with contextlib.suppress(OSError):
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVTIMEO, packed)

    def recv_into(self, view: memoryview) -> int:
        """Wait for bytes and read them; 0 when the peer has closed.

        Raises
        ------
        BlockingIOError
            Nothing came for the time that `set_read_timeout` allows.
        OSError
            The connection is broken.
        """
        if not _BLOCKING and not wait_for(self._socket.fileno(), self._timeout):
            raise BlockingIOError
        return self._socket.recv_into(view)

    def recv_now(self, view: memoryview) -> int:
        """Read what is there, as `recv_into`, but never wait: `BlockingIOError` when nothing is."""
        return self._socket.recv_into(view, 0, _DONTWAIT)

    def push(self, buffers: Sequence[Buffer]) -> int:
        """Hand bytes to the kernel, as many as it takes without waiting; 0 when it takes none."""
        try:
            if self._sendmsg is None:
                return self._socket.send(b"".join(buffers))
            return int(self._sendmsg(buffers, (), _DONTWAIT))
        except BlockingIOError:
            return 0

    def wait_writable(self, timeout: float | None, waker: Waker | None = None) -> bool:
        """Wait until `push` can take something; False when time is up or `waker` was set."""
        return wait_for(self._socket.fileno(), timeout, write=True, waker=waker)

    def quick_ack(self) -> None:
        """Acknowledge at once what arrives next: a peer with Nagle's algorithm on waits for it."""
        if _QUICKACK is not None:
            try:  # noqa: SIM105  # once a read, where `suppress` costs more
                self._socket.setsockopt(socket.IPPROTO_TCP, _QUICKACK, 1)
            except OSError:
                pass

    def say_goodbye(self) -> None:
        """What the transport says before it closes; TCP says nothing."""


_OF_TLS = frozenset(
    (
        "cipher",
        "compression",
        "context",
        "get_channel_binding",
        "getpeercert",
        "selected_alpn_protocol",
        "server_hostname",
        "server_side",
        "session",
        "session_reused",
        "shared_ciphers",
        "version",
    )
)


class _SecuredSocket:
    """A socket that can be asked about its TLS session as well, as an `ssl.SSLSocket` can."""

    def __init__(self, sock: socket.socket, tls: ssl.SSLObject) -> None:
        self._socket = sock
        self._tls = tls

    def __getattr__(self, name: str) -> Any:
        return getattr(self._tls if name in _OF_TLS else self._socket, name)


class TLSConnection(Connection):
    """A TCP connection with TLS: an `ssl.SSLObject` between two memory BIOs.

    One `ssl.SSLSocket` must not be read and written by two threads at once; here each touches the
    object only under a short lock and never while it waits for the network. Ciphertext leaves in
    the order in which it was made: making and sending it happen under the association's write lock.
    """

    is_tls = True

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
        self._touching = Hold()
        self._cipher = memoryview(bytearray(64 * 1024))
        self._waiting: memoryview = memoryview(b"")
        # How reading has ended, where that was seen behind plaintext: 0 for the peer's close.
        self._end: ConnectionError | int | None = None

    @property
    def socket(self) -> Any:
        """The socket itself, with what an `ssl.SSLSocket` tells of the session."""
        return _SecuredSocket(self._socket, self._object)

    @property
    def tls(self) -> ssl.SSLObject:
        """The TLS session: its cipher, version and the peer's certificate."""
        return self._object

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
            self._touching.share(self._object.do_handshake)
        except self._ssl.SSLWantReadError:
            return False
        return True

    def feed(self, data: Buffer) -> None:
        """Take ciphertext from the peer; none means that the peer has closed."""
        if data:
            self.heard = self.heard or bytes(data[:3])
            self._touching.share(self._in.write, data)
        else:
            self._touching.share(self._in.write_eof)

    def receive(self) -> None:
        """Feed what ciphertext one read gives; `BlockingIOError` when nothing is there."""
        self.feed(self._cipher[: super().recv_now(self._cipher)])

    def read_clear(self, view: memoryview) -> int | None:
        """Plaintext of what was fed; None when more ciphertext is needed, 0 at the peer's close."""
        count: int | None = self._touching.share(self._read_records, view)
        return count

    def _read_records(self, view: memoryview) -> int | None:
        count = self._read_record(view)
        # A record has 16 KiB at most: go on, so that what is above us has as much at a time as
        # without TLS.
        while count and count < len(view) and self._end is None:
            try:
                more = self._read_record(view[count:])
            except ConnectionError as error:
                self._end = error  # what came before it counts
                break
            if not more:
                self._end = more
                break
            count += more
        return count

    def _read_record(self, view: memoryview) -> int | None:
        if self._end is not None:
            if isinstance(self._end, ConnectionError):
                raise self._end
            return 0
        try:
            count: Any = self._object.read(len(view), view)
            return int(count)
        except self._ssl.SSLWantReadError:
            return None
        except (self._ssl.SSLZeroReturnError, self._ssl.SSLEOFError):
            return 0
        except self._ssl.SSLError as error:
            raise ConnectionError(in_words(error)) from error

    def recv_into(self, view: memoryview) -> int:
        return self._recv(view, super().recv_into)

    def recv_now(self, view: memoryview) -> int:
        return self._recv(view, super().recv_now)

    def _recv(self, view: memoryview, recv: Any) -> int:
        while (count := self.read_clear(view)) is None:
            received = recv(self._cipher)
            self.feed(self._cipher[:received])
        return count

    def push(self, buffers: Sequence[Buffer]) -> int:
        if not self.flush():
            return 0
        taken = 0
        for buffer in buffers:
            if taken >= _TLS_CHUNK:
                break
            try:
                self._touching.share(self._object.write, buffer)
            except self._ssl.SSLError as error:
                raise ConnectionError(f"TLS: {error.reason or error}") from error
            taken += len(buffer)
        self.flush()
        return taken

    def flush(self) -> bool:
        """Send the ciphertext that was made; False when the kernel does not take all of it now."""
        while True:
            if not self._waiting:
                self._waiting = memoryview(self._touching.share(self._out.read))
                if not self._waiting:
                    return True
            sent = super().push([self._waiting])
            if not sent:
                return False
            self._waiting = self._waiting[sent:]

    def say_goodbye(self) -> None:
        """Send close_notify, without waiting for the peer's."""
        with contextlib.suppress(OSError):
            self._touching.share(self._object.unwrap)
        with contextlib.suppress(OSError):
            self.flush()
