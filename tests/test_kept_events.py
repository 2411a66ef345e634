"""What was received lives for as long as somebody holds it, and no longer."""

from __future__ import annotations

import gc
import os
import queue
import threading
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.uid import ExplicitVRLittleEndian

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelGet as GET
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelMove as MOVE
from tests.faults.peer import CT
from tests.peers import DEADLINE, ct, requestor

SMALL, LARGE = 100, 300_000
VALUE = 0x00420011


class Receiver:
    """An SCP whose handlers put their events into a queue; the SCU that sends to it."""

    def __init__(self, directory: Path) -> None:
        self.events: queue.Queue[Any] = queue.Queue()
        self.paths: list[str] = []
        self.ae = AE("KEPT")
        self.ae.add_supported_context(CT, ExplicitVRLittleEndian, scu_role=True, scp_role=True)
        for model in (FIND, GET, MOVE):
            self.ae.add_supported_context(model)
        server = self.ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, self._store),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_DIMSE_RECV, lambda event: None),
            ],
            spool_dir=str(directory),
        )
        assert server is not None
        self.port: int = server.server_address[1]
        self.scu = requestor()

    def _store(self, event: evt.Event) -> int:
        self.events.put(event)
        return 0x0000

    def _find(self, event: evt.Event) -> Iterator[tuple[int, Any]]:
        self.events.put(event)
        yield 0xFF00, event.identifier

    def send(self, *sizes: int) -> None:
        assoc = self.scu.associate(
            "127.0.0.1", self.port, contexts=[build_context(CT, ExplicitVRLittleEndian)]
        )
        assert assoc.is_established
        for number, size in enumerate(sizes):
            ds = ct(size)
            ds.SOPInstanceUID = f"1.2.3.{number}"
            ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
            assert assoc.send_c_store(ds).Status == 0
        assoc.release()

    def take(self) -> evt.Event:
        event: evt.Event = self.events.get(timeout=DEADLINE)
        return event


@pytest.fixture
def receiver(tmp_path: Path) -> Iterator[Receiver]:
    made = Receiver(tmp_path)
    yield made
    made.scu.shutdown()
    made.ae.shutdown()


def descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_worker_reads_an_event_when_the_association_has_ended(
    receiver: Receiver, size: int, tmp_path: Path
) -> None:
    receiver.send(size, size)
    for _ in range(2):
        event = receiver.take()
        seen: list[Any] = []

        def work(event: evt.Event = event, seen: list[Any] = seen) -> None:
            seen.append(event.dataset[VALUE].value)
            seen.append(event.encoded_dataset())
            seen.append(event.received.getvalue())
            event.save_as(tmp_path / "first.dcm")
            event.save_as(tmp_path / "second.dcm")
            seen.append(event.request.AffectedSOPInstanceUID)
            seen.append(dict(event.request.data_set.peek(0x00080016)))
            seen.append(event.context.transfer_syntax)

        worker = threading.Thread(target=work)
        worker.start()
        worker.join(DEADLINE)
        assert len(seen) == 6
        assert len(seen[0]) == size
        assert seen[1].endswith(seen[2])
        for name in ("first.dcm", "second.dcm"):
            assert dcmread(tmp_path / name)[VALUE].value == seen[0]


def test_a_held_event_goes_to_another_association(receiver: Receiver) -> None:
    receiver.send(LARGE)
    event = receiver.take()
    assoc = receiver.scu.associate(
        "127.0.0.1", receiver.port, contexts=[build_context(CT, ExplicitVRLittleEndian)]
    )
    for _ in range(2):
        assert assoc.send_c_store(event.received).Status == 0
        assert receiver.take().received.getvalue() == event.received.getvalue()
    assoc.release()
    assert len(event.dataset[VALUE].value) == LARGE


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_held_event_is_yielded_again_and_again(receiver: Receiver, size: int) -> None:
    """By C-GET and C-MOVE handlers, which do not close what is not theirs."""
    receiver.send(size)
    event = receiver.take()
    expected = event.received.getvalue()

    def get(_: evt.Event) -> Iterator[Any]:
        yield 2
        yield 0xFF00, event.received
        yield 0xFF00, event.received

    def move(_: evt.Event) -> Iterator[Any]:
        yield "127.0.0.1", receiver.port
        yield from get(_)

    for server in receiver.ae._running.servers:
        server.bind(evt.EVT_C_GET, get)
        server.bind(evt.EVT_C_MOVE, move)
    assoc = receiver.scu.associate(
        "127.0.0.1",
        receiver.port,
        contexts=[
            *map(build_context, (GET, MOVE)),
            build_context(CT, ExplicitVRLittleEndian),
        ],
        ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, receiver._store)],
    )
    assert assoc.is_established
    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = "x"
    for responses in (assoc.send_c_get(query, GET), assoc.send_c_move(query, "ANY", MOVE)):
        *_, (status, _) = responses
        assert status.Status == 0
        for _ in range(2):
            assert receiver.take().received.getvalue() == expected
    assoc.release()
    assert event.received.getvalue() == expected
    assert len(event.dataset[VALUE].value) == size


def test_the_path_is_the_handlers_own(receiver: Receiver, tmp_path: Path) -> None:
    paths: list[Path] = []

    def store(event: evt.Event) -> int:
        for _ in range(2):
            paths.append(Path(event.dataset_path))
            assert paths[-1].exists()
        receiver.events.put(event)
        return 0x0000

    receiver._store = store  # type: ignore[method-assign]  # which is what the SCP calls
    for server in receiver.ae._running.servers:
        server.bind(evt.EVT_C_STORE, store)
    receiver.send(SMALL, LARGE)
    events = [receiver.take(), receiver.take()]
    assert len(paths) == 4
    assert not any(path.exists() for path in paths)
    for event in events:
        event.save_as(tmp_path / "saved.dcm")
        saved = dcmread(tmp_path / "saved.dcm")
        assert saved[VALUE].value == event.dataset[VALUE].value
        assert Path(event.dataset_path).exists()


def test_descriptors_are_given_back_by_the_last_who_lets_go(receiver: Receiver) -> None:
    receiver.send(LARGE)
    receiver.take()
    gc.collect()
    gc.disable()
    try:
        before = descriptors()
        receiver.send(*[LARGE] * 50)
        events = [receiver.take() for _ in range(50)]
        held = [event.dataset for event in events[:10]]
        requests = [event.request for event in events[10:20]]
        assert descriptors() >= before + 50
        del events
        assert descriptors() <= before + 20 + 8
        assert len(held[3][VALUE].value) == len(requests[3].data_set.decode()[VALUE].value) == LARGE
        del held, requests
        assert descriptors() <= before + 8
    finally:
        gc.enable()


def test_a_held_event_holds_no_buffer(receiver: Receiver) -> None:
    """Of its association, that is: which grows while a large object comes."""
    receiver.send(10 * LARGE)
    event = receiver.take()
    event.assoc.join(DEADLINE)
    event.assoc.dul.join(DEADLINE)
    assert not event.assoc.dul.framer.space()
    assert len(event.dataset[VALUE].value) == 10 * LARGE


@pytest.mark.parametrize("size", [SMALL, LARGE])
def test_a_path_when_what_was_saved_is_gone(receiver: Receiver, size: int, tmp_path: Path) -> None:
    def store(event: evt.Event) -> int:
        event.save_as(tmp_path / "saved.dcm")
        (tmp_path / "saved.dcm").unlink()
        for _ in range(2):
            assert len(dcmread(event.dataset_path)[VALUE].value) == size
        receiver.events.put(event.dataset_path)
        return 0x0000

    for server in receiver.ae._running.servers:
        server.bind(evt.EVT_C_STORE, store)
    receiver.send(size)
    assert not Path(receiver.events.get(timeout=DEADLINE)).exists()


@pytest.mark.slow
def test_thousands_leave_nothing(receiver: Receiver) -> None:
    gc.collect()
    gc.disable()
    try:
        references = []
        receiver.send(LARGE)
        receiver.take()
        before = descriptors()
        for _ in range(4):
            receiver.send(*[SMALL] * 500, LARGE, LARGE)
            for _ in range(502):
                event = receiver.take()
                references.append(weakref.ref(event.request.data_set))
                assert event.dataset.SOPClassUID == CT
                del event
        assert descriptors() <= before + 2
        assert sum(reference() is not None for reference in references) <= 2
    finally:
        gc.enable()


def test_an_idle_association_holds_nothing(receiver: Receiver) -> None:
    gc.collect()
    gc.disable()
    try:
        assoc = receiver.scu.associate(
            "127.0.0.1", receiver.port, contexts=[build_context(CT, ExplicitVRLittleEndian)]
        )
        ds = ct(LARGE)
        ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        gone = threading.Event()
        assert assoc.send_c_store(ds).Status == 0
        event = receiver.take()
        weakref.finalize(event.request.data_set, gone.set)
        del event
        assert gone.wait(DEADLINE)
        assoc.release()
    finally:
        gc.enable()


def test_the_identifier_of_a_held_query(receiver: Receiver) -> None:
    assoc = receiver.scu.associate("127.0.0.1", receiver.port, contexts=[build_context(FIND)])
    messages: list[Any] = []
    assoc.bind(evt.EVT_DIMSE_RECV, lambda event: messages.append(event.message))
    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = "abc"
    list(assoc.send_c_find(query, FIND))
    assoc.release()
    event = receiver.take()
    assert event.identifier.PatientID == event.received.decode().PatientID == "abc"
    # What came to us lives as long.
    assert messages[0].primitive.data_set.decode().PatientID == "abc"
