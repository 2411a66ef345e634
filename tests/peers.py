"""Acceptors made of bare sockets, for the tests of our requestor; and calls in other threads."""

from __future__ import annotations

import contextlib
import queue
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any

# Before anything is timed.
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from pynetdicom import AE
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from tests.faults.peer import CT, IMPLICIT, VERIFICATION, Peer, p_data, pdv

DEADLINE = 300.0
LONG = {"acse_timeout": 3600.0, "dimse_timeout": 3600.0, "network_timeout": 3600.0}
"""Time-outs that end no test: what ends a wait is what the test is about."""


def acceptance(rq: pdus.A_ASSOCIATE_RQ, *contexts: items.PresentationContextAC) -> bytes:
    """An A-ASSOCIATE-AC that accepts all, or answers with `contexts`."""
    return pdus.A_ASSOCIATE_AC(
        called_ae_title=rq.called_ae_title,
        calling_ae_title=rq.calling_ae_title,
        presentation_contexts=list(contexts)
        or [
            items.PresentationContextAC(
                context_id=context.context_id,
                result=0,
                transfer_syntax=context.transfer_syntaxes[0],
            )
            for context in rq.presentation_contexts
        ],
        user_information=[
            items.MaximumLengthNotification(maximum_length_received=16382),
            items.ImplementationClassUIDNotification(implementation_class_uid="1.2.3"),
        ],
    ).encode()


class Acceptor(Peer):
    """The accepted end of a connection, which answers what it is told to."""

    def accept(self, *contexts: items.PresentationContextAC) -> pdus.A_ASSOCIATE_RQ:
        rq = pdus.decode_pdu(self.pdu())
        assert isinstance(rq, pdus.A_ASSOCIATE_RQ)
        self.send(acceptance(rq, *contexts))
        return rq

    def command(self) -> tuple[int, Primitive]:
        """The context ID and the request of the next message, without its data set."""
        data = self.pdu()
        assert data[0] == 4, data
        assert data[11] == 3, data
        return data[10], decode_command(data[12:])

    def respond(self, context_id: int, response: Primitive | bytes) -> None:
        data = response if isinstance(response, bytes) else response.encode()
        self.send(p_data(pdv(context_id, 3, data)))

    def serve_echo(self) -> None:
        context_id, request = self.command()
        self.respond(context_id, request.response(0))


class Listener:
    """Listens, and has a script talk to each peer that connects."""

    def __init__(
        self, script: Callable[[Acceptor], Any], *, receive_buffer: int | None = None
    ) -> None:
        self._script = script
        self._socket = socket.socket()
        if receive_buffer is not None:
            self._socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self._socket.bind(("127.0.0.1", 0))
        self._socket.listen()
        self.port: int = self._socket.getsockname()[1]
        self.problems: list[BaseException] = []
        self._threads: list[threading.Thread] = []
        self._peers: list[Acceptor] = []
        self._start(self._accept)

    def _start(self, call: Callable[..., None], *args: Any) -> None:
        thread = threading.Thread(target=call, args=args)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._socket.accept()
            except OSError:
                return
            peer = Acceptor(sock)
            self._peers.append(peer)
            self._start(self._talk, peer)

    def _talk(self, peer: Acceptor) -> None:
        try:
            self._script(peer)
        except BaseException as error:
            self.problems.append(error)
        finally:
            peer.close()

    def close(self) -> None:
        """Close everything, once all scripts are done; raises what went wrong in them."""
        with contextlib.suppress(OSError):
            self._socket.shutdown(socket.SHUT_RDWR)
        self._socket.close()
        for thread in self._threads:
            thread.join(DEADLINE)
        for peer in self._peers:
            peer.close()
        if self.problems:
            raise self.problems[0]


@contextlib.contextmanager
def listening(script: Callable[[Acceptor], Any], **kwargs: Any) -> Iterator[Listener]:
    listener = Listener(script, **kwargs)
    try:
        yield listener
    finally:
        listener.close()


def requestor(*models: Any, **timeouts: float | None) -> AE:
    """An AE that proposes Verification as context 1, then the models, or CT Image Storage"""
    ae = AE("SCU")
    for model in (VERIFICATION, *(models or (CT,))):
        ae.add_requested_context(model, IMPLICIT)
    for name, value in {**LONG, **timeouts}.items():
        setattr(ae, name, value)
    return ae


class Call(threading.Thread):
    """A call in a thread of its own."""

    def __init__(self, call: Callable[..., Any], *args: Any, **kwargs: Any) -> None:
        super().__init__()
        self._call = call, args, kwargs
        self._result: queue.SimpleQueue[tuple[bool, Any]] = queue.SimpleQueue()
        self.start()

    def run(self) -> None:
        call, args, kwargs = self._call
        try:
            self._result.put((True, call(*args, **kwargs)))
        except BaseException as error:
            self._result.put((False, error))

    def result(self, timeout: float = DEADLINE) -> Any:
        """What the call returned or raised, which must not take longer."""
        good, value = self._result.get(timeout=timeout)
        self.join(timeout)
        if not good:
            raise value
        return value


def ct(size: int = 1000, transfer_syntax: str = IMPLICIT) -> Any:
    """A CT image of about that many bytes."""
    ds = Dataset()
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = UID(transfer_syntax)
    ds.SOPClassUID = CT
    ds.SOPInstanceUID = "1.2.3.4"
    ds.PatientName = "SECRET^PATIENT"
    ds.EncapsulatedDocument = bytes(size + size % 2)
    return ds


@contextlib.contextmanager
def interrupted_when(reached: Callable[[], Any]) -> Iterator[None]:
    """The main thread, which this is, is interrupted as by Ctrl-C once `reached` has returned.

    A signal that comes just before a system call is only seen after it: it is sent again until it
    is, and interrupts once.
    """
    seen = threading.Event()

    def interrupt(*_: Any) -> None:
        if not seen.is_set():
            seen.set()
            raise KeyboardInterrupt

    def send() -> None:
        assert reached()
        while not seen.is_set():
            signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGUSR1)
            seen.wait(0.1)

    before = signal.signal(signal.SIGUSR1, interrupt)
    call = Call(send)
    try:
        yield
    finally:
        call.result()
        signal.signal(signal.SIGUSR1, before)
