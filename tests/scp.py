"""A scripted SCP for queries and retrieval, made of a bare socket."""

from __future__ import annotations

import contextlib
import ssl
from collections.abc import Callable, Iterator
from typing import Any

from pydicom.dataset import Dataset

from pynetdicom import AE
from pynetdicom.dimse.primitives import Primitive
from pynetdicom.testing import Message, pdus
from tests.faults.peer import IMPLICIT
from tests.peers import DEADLINE, Acceptor, requestor

PATIENT_ROOT = "1.2.840.10008.5.1.4.1.2.1."
FIND, MOVE, GET = (PATIENT_ROOT + number for number in "123")
PENDING = 0xFF00


def identifier(name: str = "ALICE", **elements: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "PATIENT"
    ds.PatientName = name
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def encoded(context_id: int, message: Primitive, data_set: Dataset | bytes | None = None) -> bytes:
    """A message as PDUs."""
    if data_set is not None:
        message.data_set = pdus.encoded(data_set, IMPLICIT)
    return pdus.message(context_id, message, 16382)


class Scp(Acceptor):
    """The peer's end, for messages with a data set."""

    def message(self) -> tuple[int, Primitive, Dataset | None]:
        """The next message: context ID, primitive and data set."""
        return taken(super().message())

    def answer(
        self, context_id: int, message: Primitive, data_set: Dataset | bytes | None = None
    ) -> None:
        self.send(encoded(context_id, message, data_set))

    def serve(self, handle: Callable[[int, Primitive, Dataset | None], None]) -> None:
        """Have every message handled, until the peer releases or aborts the association."""
        while isinstance(came := self.receive(), Message):
            handle(*taken(came))
        if came.name == "A-RELEASE-RQ":
            self.send("A-RELEASE-RP")


def taken(message: Message) -> tuple[int, Primitive, Dataset | None]:
    return message.context_id, message.primitive, message.dataset


def matching(peer: Scp, count: int = 20) -> Callable[[int, Primitive, Dataset | None], None]:
    """Answers a query with that many matches of its name, others with success; cancels nothing."""

    def handle(context_id: int, request: Primitive, asked: Dataset | None) -> None:
        if request.name == "C-CANCEL":
            return
        if asked is not None and request.name != "C-STORE":
            for number in range(count):
                found = identifier(str(asked.PatientName), PatientID=str(number))
                peer.answer(context_id, request.response(PENDING), found)
        peer.answer(context_id, request.response(0x0000))

    return handle


@contextlib.contextmanager
def associated(
    script: Callable[[Scp], Any],
    *models: str,
    ae: AE | None = None,
    ext_neg: list[Any] | None = None,
    evt_handlers: list[Any] | None = None,
    listener: dict[str, Any] | None = None,
    accept: Callable[[Scp], Any] = Acceptor.accept,
    tls: tuple[ssl.SSLContext, ssl.SSLContext] | None = None,
    **timeouts: float | None,
) -> Iterator[Any]:
    """An association with a peer that accepts all and then does as `script` says."""

    def talk(peer: Scp) -> None:
        accept(peer)
        script(peer)

    server = None if tls is None else tls[0]
    with Scp.listen(talk, tls=server, **(listener or {})) as listens:
        ae = ae or requestor(*(models or (FIND,)), **timeouts)
        assoc = ae.associate(
            "127.0.0.1",
            listens.port,
            ext_neg=ext_neg,
            evt_handlers=evt_handlers,
            tls_args=None if tls is None else (tls[1], "localhost"),
        )
        try:
            assert assoc.is_established, assoc.ended
            yield assoc
        finally:
            ae.shutdown()
            assoc.join(DEADLINE)
