"""A listener for tests: a free port, a thread for each connection, and nothing left at the end."""

from __future__ import annotations

import contextlib
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from functools import partial

from pynetdicom.network import threads

BACKLOG = 128
WAKING = 1.0
"""Seconds within which a listener can be connected to, if only to be told to stop."""


class Listener:
    """Listens on a port of its own, and has each connection talked to in a thread.

    Parameters
    ----------
    talk : callable
        ``talk(socket)``, called in a thread of its own for each connection, which is closed when it
        returns. What it raises is in `problems`.
    host : str
        Where to listen.
    tls : ssl.SSLContext, optional
        A server's. The handshake is left to `talk`.
    receive_buffer : int, optional
        Bytes that the kernel keeps of what a connection has not read.

    Attributes
    ----------
    address : tuple
        Host and port.
    problems : list of BaseException
    """

    def __init__(
        self,
        talk: Callable[[socket.socket], object],
        *,
        host: str = "127.0.0.1",
        tls: ssl.SSLContext | None = None,
        receive_buffer: int | None = None,
    ) -> None:
        self._talk = talk
        self._tls = tls
        self._is_closing = False
        self.problems: list[BaseException] = []
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._open: set[socket.socket] = set()
        self._socket = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        try:
            if receive_buffer is not None:
                self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
            self._socket.bind((host, 0))
            self._socket.listen(BACKLOG)
            self.address: tuple[str, int] = self._socket.getsockname()[:2]
        except BaseException:
            self._socket.close()
            raise
        self._start(self._accept)

    @property
    def port(self) -> int:
        """The port."""
        return self.address[1]

    def _start(self, call: Callable[..., None], *args: socket.socket) -> None:
        self._threads.append(threads.start("pynetdicom-testing", partial(call, *args)))

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._socket.accept()
            except ConnectionAbortedError:  # a peer that was gone before it was accepted
                continue
            except OSError as error:
                if not self._is_closing:
                    self.problems.append(error)
                return
            with self._lock:
                if self._is_closing:
                    connection.close()
                    return
                self._open.add(connection)
                self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._tls is not None:
                connection = self._secured(connection, self._tls)
            self._talk(connection)
        except BaseException as error:
            self.problems.append(error)
        finally:
            with self._lock:
                self._open.discard(connection)
            connection.close()

    def _secured(self, plain: socket.socket, tls: ssl.SSLContext) -> socket.socket:
        """Give what takes the place of a connection."""
        with self._lock:
            self._open.discard(plain)
            secured = tls.wrap_socket(plain, server_side=True, do_handshake_on_connect=False)
            self._open.add(secured)
        return secured

    def stop(self) -> None:
        """Stop listening; what is connected stays so."""
        with self._lock:
            if self._is_closing:
                return
            self._is_closing = True
        # Shutting it down wakes the thread that accepts on some systems, a connection on others.
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(OSError):
            socket.create_connection(self.address, WAKING).close()
        self._socket.close()

    def close(self, patience: float = 0.0, deadline: float = 30.0) -> None:
        """Stop listening, and end all connections.

        Parameters
        ----------
        patience : float
            Seconds for which those who talk may go on until they are done.
        deadline : float
            Seconds after which a thread that has not ended is a problem.
        """
        self.stop()
        self._join(time.monotonic() + patience)
        with self._lock:
            for connection in self._open:
                with contextlib.suppress(OSError):
                    connection.shutdown(socket.SHUT_RDWR)
        if self._join(time.monotonic() + deadline):
            self.problems.append(TimeoutError(f"a thread did not end within {deadline} s"))

    def _join(self, deadline: float) -> bool:
        """Wait for the threads; whether one of them goes on."""
        for thread in self._threads:
            if thread is not threading.current_thread():
                thread.join(max(0.0, deadline - time.monotonic()))
        return any(thread.is_alive() for thread in self._threads)


@contextlib.contextmanager
def ending(listener: Listener, who: str, *, patience: float) -> Iterator[None]:
    """Close a listener at the end, and have seen what went wrong on its threads.

    Parameters
    ----------
    listener : Listener
    who : str
        Whose threads they are.
    patience : float
        As of `Listener.close`.
    """
    error: BaseException | None = None
    try:
        yield
    except BaseException as raised:
        error = raised
        raise
    finally:
        listener.close(patience)
        raise_problems(listener.problems, error, who)


def raise_problems(problems: list[BaseException], error: BaseException | None, who: str) -> None:
    """Have what went wrong in threads seen: raised, or noted in the error that is raised already.

    Parameters
    ----------
    problems : list of BaseException
    error : BaseException or None
        What the test itself has failed with.
    who : str
        Whose threads they were.
    """
    if not problems:
        return
    if error is not None:
        for problem in problems:
            error.add_note(f"{who}: {type(problem).__name__}: {problem}")
    elif len(problems) == 1:
        raise problems[0]
    else:
        raise BaseExceptionGroup(f"{who}: {len(problems)} failures", problems)
