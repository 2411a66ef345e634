"""Acceptors made of bare sockets, for the tests of our requestor; and calls in other threads."""

from __future__ import annotations

import contextlib
import queue
import signal
import threading
from collections.abc import Callable, Iterator
from typing import Any

# Before anything is timed.
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import UID

from pynetdicom import AE
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.testing.listening import Listener
from pynetdicom.upper_layer import items
from pynetdicom.upper_layer import pdu as pdus
from tests.faults.peer import CT, IMPLICIT, VERIFICATION, Peer, p_data, pdv

DEADLINE = 300.0
LONG = {"acse_timeout": 3600.0, "dimse_timeout": 3600.0, "network_timeout": 3600.0}
"""Time-outs that end no test: what ends a wait is what the test is about."""


class Acceptor(Peer):
    """The accepted end of a connection, which answers what it is told to."""

    def accept(self, *contexts: items.PresentationContextAC) -> pdus.A_ASSOCIATE_RQ:
        rq = self.expect("A-ASSOCIATE-RQ")
        self.send("A-ASSOCIATE-AC", contexts=contexts or None)
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


def listening(
    script: Callable[[Acceptor], Any], **options: Any
) -> contextlib.AbstractContextManager[Listener]:
    """A listener that has the script talk to each peer that connects."""
    return Acceptor.listen(script, **options)


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
