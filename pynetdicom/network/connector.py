"""Connecting to a peer, with TLS if asked for; another thread can give it up."""

from __future__ import annotations

import contextlib
import errno
import os
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pynetdicom.network.addresses import OURS_ALONE, AddressInformation, resolve
from pynetdicom.network.connection import TLSConnection
from pynetdicom.network.deadlines import remaining
from pynetdicom.network.runtime import THREADS, Runtime
from pynetdicom.upper_layer.ended import CLOSED
from pynetdicom.upper_layer.tls_faults import in_words

if TYPE_CHECKING:
    import ssl

_NOT_YET = frozenset((errno.EAGAIN, errno.EWOULDBLOCK, errno.EINPROGRESS, errno.EINTR))


class Connector:
    """One attempt to connect, over all of a peer's addresses; another thread can give it up.

    Until there is a connection, it is what an association has in its place.
    """

    is_tls = pending = False

    def __init__(self, runtime: Runtime = THREADS) -> None:
        self._runtime = runtime
        self._given_up = False
        self._resolved = runtime.latch()
        # Wakes the thread that connects, from whatever it waits for: Windows does not end a
        # connection that is not there yet.
        self._wake: Callable[[], None] = self._resolved.set

    # Without a lock: who gives up says so before it wakes, and who connects looks for that after it
    # has said how it is woken.

    def cut(self) -> None:
        """Have `connect` or `secure` fail now, or as soon as it is called."""
        self._given_up = True
        self._wake()

    def connect(
        self,
        address: AddressInformation,
        deadline: float | None,
        bind_address: tuple[Any, ...] | None = None,
    ) -> socket.socket:
        """Connect to the first of the peer's addresses that answers.

        Raises
        ------
        OSError
            None did by the deadline; the error is that of the last one tried.
        """
        problem: OSError = OSError(f"{address.addr!r} has no address")
        for family, sockaddr in resolve(address, deadline, self._resolved):
            try:
                return self._try(family, sockaddr, deadline, bind_address)
            except OSError as error:
                problem = error
                if self._given_up or isinstance(error, TimeoutError):
                    break
        raise problem

    def _try(
        self,
        family: int,
        sockaddr: tuple[Any, ...],
        deadline: float | None,
        bind_address: tuple[Any, ...] | None,
    ) -> socket.socket:
        sock = socket.socket(family, socket.SOCK_STREAM)
        whom = f"{sockaddr[0]} port {sockaddr[1]}"
        try:
            sock.setblocking(False)
            if bind_address is not None:
                sock.setsockopt(socket.SOL_SOCKET, OURS_ALONE, 1)
                sock.bind(bind_address)
            code = 0 if self._given_up else sock.connect_ex(sockaddr)
            if code in _NOT_YET and not _is_connected(sock):
                if not self._wait_connected(sock, deadline) and not self._given_up:
                    raise TimeoutError(f"no answer from {whom} in time")
                code = sock.getsockopt(socket.SOL_SOCKET, socket.SO_ERROR)
            elif code in _NOT_YET:
                code = 0
            if self._given_up:
                raise ConnectionAbortedError("given up")
            if code:
                raise OSError(code, f"{os.strerror(code)}: {whom}")
            return sock
        except BaseException:
            sock.close()
            raise

    def _wait_connected(self, sock: socket.socket, deadline: float | None) -> bool:
        """Wait for the peer's answer; False when there was none in time, or it was given up."""
        try:
            with contextlib.closing(self._runtime.waker()) as waker:
                self._wake = waker.set
                return not self._given_up and self._runtime.wait_for(
                    sock.fileno(), remaining(deadline), write=True, waker=waker
                )
        finally:
            self._wake = self._resolved.set

    def secure(
        self,
        sock: socket.socket,
        context: ssl.SSLContext,
        hostname: str | None,
        deadline: float | None,
    ) -> TLSConnection:
        """Make the TLS handshake as the connecting side.

        Raises
        ------
        OSError
            The handshake failed (`ssl.SSLError`) or was not done by the deadline (`TimeoutError`).
        """
        try:
            connection = TLSConnection(sock, context, server_side=False, server_hostname=hostname)
        except BaseException as error:
            sock.close()
            if isinstance(error, ValueError):  # no host name, but the context wants to check it
                raise ConnectionError(f"TLS: {error}") from error
            raise
        wait, fd = self._runtime.wait_for, connection.fileno()
        try:
            self._wake = connection.cut
            if self._given_up:
                connection.cut()
            while True:
                is_done = connection.handshake()
                while not connection.flush():
                    _in_time(connection.wait_writable(remaining(deadline), None, wait))
                if is_done:
                    return connection
                _in_time(wait(fd, remaining(deadline)))
                with contextlib.suppress(BlockingIOError):
                    connection.receive()
        except BaseException as error:
            with contextlib.suppress(OSError):
                connection.flush()  # the alert that tells the peer why
            connection.close()
            if isinstance(error, ConnectionError):
                raise ConnectionResetError(in_words(error, CLOSED)) from error
            raise
        finally:
            # From here on the connection is ended by its owner, who has something to say before.
            self._wake = self._resolved.set


def _is_connected(sock: socket.socket) -> bool:
    """Whether the peer has answered already, as on the same machine it has."""
    with contextlib.suppress(OSError):
        sock.getpeername()
        return True
    return False


def _in_time(is_ready: bool) -> None:
    if not is_ready:
        raise TimeoutError("the TLS handshake took too long")
