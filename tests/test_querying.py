"""pynetdicom.querying and .responses: C-FIND, C-GET, C-MOVE and C-CANCEL, as SCU."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE
from pynetdicom.dimse.messages import fragments
from pynetdicom.dimse.primitives import C_CANCEL, Primitive, decode_command
from pynetdicom.dsutils import decode, encode
from pynetdicom.dimse.data_set import InMemory
from pynetdicom.upper_layer import dul
from tests.faults.peer import IMPLICIT, VERIFICATION
from tests.peers import DEADLINE, Acceptor, Listener, listening

FIND = "1.2.840.10008.5.1.4.1.2.1.1"


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(dul, "LINGER", 0.2)


def identifier(name: str = "ALICE", **elements: Any) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "PATIENT"
    ds.PatientName = name
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


def requestor(*models: str, **timeouts: float) -> AE:
    ae = AE("SCU")
    for model in models or (FIND,):
        ae.add_requested_context(model, IMPLICIT)
    ae.add_requested_context(VERIFICATION, IMPLICIT)
    for name, value in {"acse_timeout": 5, "dimse_timeout": 5, **timeouts}.items():
        setattr(ae, name, value)
    return ae


class Scp(Acceptor):
    """The peer's end, which understands messages with a data set."""

    def message(self) -> tuple[int, Primitive, Dataset | None]:
        """The next message: context ID, primitive and data set."""
        context_id, request = self.command()
        if not request.has_data_set:
            return context_id, request, None
        data = b""
        while True:
            pdu = self.pdu()
            assert pdu[0] == 4, pdu
            data += pdu[12:]
            if pdu[11] & 2:
                return context_id, request, decode(data, True, True)

    def respond(
        self,
        context_id: int,
        response: Primitive,
        found: Dataset | None = None,
    ) -> None:
        self.send(self.encoded(context_id, response, found))

    def encoded(self, context_id: int, response: Primitive, found: Dataset | None = None) -> bytes:
        if found is not None:
            data = encode(found, True, True)
            assert data is not None
            response.data_set = InMemory(data, IMPLICIT)
        batches = fragments(context_id, response.encode(), response.data_set, 16382)
        return b"".join(b"".join(batch) for batch in batches)


@contextlib.contextmanager
def associated(script: Callable[[Scp], Any], *models: str, **timeouts: float) -> Iterator[Any]:
    """An association with a peer that accepts all and then does as `script` says."""

    def talk(acceptor: Acceptor) -> None:
        acceptor.__class__ = Scp
        acceptor.accept()
        script(acceptor)  # type: ignore[arg-type]

    with listening(talk) as listener:
        ae = requestor(*models, **timeouts)
        assoc = ae.associate("127.0.0.1", listener.port)
        assert assoc.is_established, assoc.ended
        try:
            yield assoc
        finally:
            ae.shutdown()
            assoc.join(DEADLINE)


def serve_finds(peer: Scp, count: int = 20) -> None:
    """Answers each C-FIND with `count` matches that have its name; a C-CANCEL ends it."""
    cancelled = 0
    while True:
        try:
            context_id, request, asked = peer.message()
        except (EOFError, AssertionError):
            return
        if request.name == "C-CANCEL":
            cancelled += 1
            continue
        assert asked is not None
        for number in range(count):
            found = identifier(str(asked.PatientName), PatientID=str(number))
            peer.respond(context_id, request.response(0xFF00), found)
        peer.respond(context_id, request.response(0x0000))


def test_leaving_a_query_early_does_not_spoil_the_next() -> None:
    with associated(serve_finds) as assoc:
        for status, found in assoc.send_c_find(identifier("ALICE"), FIND):
            assert status.Status == 0xFF00
            assert found.PatientName == "ALICE"
            break
        results = list(assoc.send_c_find(identifier("BOB"), FIND))
        assert [str(found.PatientName) for _, found in results[:-1]] == ["BOB"] * 20
        assert [status.Status for status, _ in results] == [0xFF00] * 20 + [0]
        assoc.release()
