"""N-EVENT-REPORTs that come to a requestor while it does something else (PS3.7 10.1.1)."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.dimse.primitives import N_EVENT_REPORT
from pynetdicom.sop_class import (
    CTImageStorage,
    MediaCreationManagement,
    Printer,
    PrinterInstance,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
)
from tests.association.test_normalized import data_set
from tests.pair import serve
from tests.peers import DEADLINE, Acceptor, Call, ct, listening

FIND, GET = StudyRootQueryRetrieveInformationModelFind, StudyRootQueryRetrieveInformationModelGet
CT_SMALL = get_testdata_file("CT_small.dcm")
STATE = data_set(PrinterStatusInfo="SUPPLY LOW")


class Reported:
    """What the requestor was told, on which thread."""

    def __init__(self) -> None:
        self.types: list[int] = []
        self.handled = threading.Semaphore(0)

    def handle(self, event: Any) -> Any:
        assert event.event_information == STATE
        self.types.append(event.event_type)
        self.handled.release()
        return 0x0000, None


def report(assoc: Any, kind: int = 2) -> Any:
    return assoc.send_n_event_report(STATE, kind, Printer, PrinterInstance)


@contextmanager
def associated(reported: Reported, *handlers: Any, scu: Any = ()) -> Iterator[tuple[Any, Any]]:
    """An association whose acceptor is a printer, an archive and more: its two ends."""
    scp, requestor = AE("SCP"), AE("SCU")
    for uid in (Printer, MediaCreationManagement, FIND, GET):
        scp.add_supported_context(uid)
        requestor.add_requested_context(uid)
    scp.add_supported_context(CTImageStorage, scu_role=True, scp_role=True)
    requestor.add_requested_context(CTImageStorage)
    acceptors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server = serve(
        scp,
        evt_handlers=[(evt.EVT_ESTABLISHED, lambda e: acceptors.put(e.assoc)), *handlers],
    )
    try:
        assoc = requestor.associate(
            *server.server_address[:2],
            evt_handlers=[(evt.EVT_N_EVENT_REPORT, reported.handle), *scu],
            ext_neg=[build_role(CTImageStorage, scu_role=True, scp_role=True)],
        )
        assert assoc.is_established
        with assoc:
            yield assoc, acceptors.get(timeout=DEADLINE)
    finally:
        server.shutdown()
        requestor.shutdown()


def query() -> Dataset:
    return data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID="")


def test_in_a_query_whose_matches_nobody_asks_for() -> None:
    reported = Reported()

    def find(event: Any) -> Any:
        for number in range(3):
            yield 0xFF00, data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID=f"1.2.{number}")
            status, _ = report(event.assoc, 1 + number)
            assert status.Status == 0x0000

    with associated(reported, (evt.EVT_C_FIND, find)) as (assoc, _):
        responses = assoc.send_c_find(query(), FIND)
        for _ in range(3):
            assert reported.handled.acquire(timeout=DEADLINE)
        assert reported.types == [1, 2, 3]
        found = [status.Status for status, _ in responses]
        assert found == [0xFF00] * 3 + [0x0000]


def test_in_a_query_that_was_left() -> None:
    reported = Reported()

    def find(event: Any) -> Any:
        while True:
            yield 0xFF00, data_set(QueryRetrieveLevel="STUDY", StudyInstanceUID="1.2")
            assert report(event.assoc)[0].Status == 0x0000

    with associated(reported, (evt.EVT_C_FIND, find)) as (assoc, acceptor):
        for status, _ in assoc.send_c_find(query(), FIND):
            assert status.Status == 0xFF00
            break
        assert Call(report, acceptor, 3).result(DEADLINE)[0].Status == 0x0000
    assert 3 in reported.types


def test_among_the_sub_operations_of_a_retrieval() -> None:
    reported = Reported()
    stored: list[str] = []

    def get(event: Any) -> Any:
        yield 3
        for number in range(3):
            assert report(event.assoc)[0].Status == 0x0000
            image = ct()
            image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = f"1.2.3.{number}"
            yield 0xFF00, image

    def store(event: Any) -> int:
        stored.append(event.request.AffectedSOPInstanceUID)
        return 0x0000

    handlers = (evt.EVT_C_GET, get), (evt.EVT_C_STORE, store)
    with associated(reported, handlers[0], scu=[handlers[1]]) as (assoc, _):
        *_, (status, _) = assoc.send_c_get(query(), GET)
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 3)
    assert stored == ["1.2.3.0", "1.2.3.1", "1.2.3.2"]
    assert reported.types == [2, 2, 2]


def test_between_the_answers_of_many_stores() -> None:
    reported = Reported()

    def store(event: Any) -> int:
        assert report(event.assoc)[0].Status == 0x0000
        return 0x0000

    with associated(reported, (evt.EVT_C_STORE, store)) as (assoc, _):
        answers = assoc.send_c_stores([CT_SMALL] * 20)
        assert [status.Status for _, status in answers] == [0x0000] * 20
    assert reported.types == [2] * 20


def test_while_a_release_waits_for_what_is_outstanding() -> None:
    """The release goes out after the last answer; until then reports are taken."""
    reported = Reported()
    is_asked, may_answer = threading.Event(), threading.Event()

    def create(event: Any) -> Any:
        is_asked.set()
        assert may_answer.wait(DEADLINE)
        assert report(event.assoc)[0].Status == 0x0000
        return 0x0000, None

    with associated(reported, (evt.EVT_N_CREATE, create)) as (assoc, _):
        asking = Call(assoc.send_n_create, None, MediaCreationManagement, "1.2")
        assert is_asked.wait(DEADLINE)
        releasing = Call(assoc.release)
        may_answer.set()
        assert asking.result(DEADLINE)[0].Status == 0x0000
        releasing.result(DEADLINE)
        assert assoc.is_released
    assert reported.types == [2]


def test_a_report_is_not_answered_any_more() -> None:
    """The requestor releases while its handler is at it: who reports learns how it ended."""
    reported = Reported()
    released = threading.Event()

    def handle(event: Any) -> Any:
        event.assoc.abort()
        released.set()
        return 0x0000

    with associated(reported) as (assoc, acceptor):
        assoc.unbind(evt.EVT_N_EVENT_REPORT, reported.handle)
        assoc.bind(evt.EVT_N_EVENT_REPORT, handle)
        status, reply = Call(report, acceptor).result(DEADLINE)
        assert (len(status), reply) == (0, None)
        assert acceptor.ended.by == "peer"
        assert released.wait(DEADLINE)


def test_who_is_told_may_ask_on_the_same_association() -> None:
    """From the handler of the report, once what the requestor has asked for is answered."""
    told: list[Any] = []

    class Asking(Reported):
        def handle(self, event: Any) -> Any:
            told.append(event.assoc.send_n_get(["PrinterStatus"], Printer, PrinterInstance))
            return super().handle(event)

    reported = Asking()
    answer = data_set(PrinterStatus="WARNING")
    with associated(reported, (evt.EVT_N_GET, lambda event: (0x0000, answer))) as (_, acceptor):
        assert Call(report, acceptor).result(DEADLINE)[0].Status == 0x0000
    [(status, found)] = told
    assert (status.Status, found) == (0x0000, answer)


def test_both_report_at_once() -> None:
    """Each side is SCU and SCP: neither waits for the other to be done with its own."""
    both = threading.Barrier(2)

    def handle(event: Any) -> Any:
        both.wait(DEADLINE)
        return 0x0000

    scp, scu = AE("SCP"), AE("SCU")
    scp.add_supported_context(Printer, scu_role=True, scp_role=True)
    scu.add_requested_context(Printer)
    acceptors: queue.SimpleQueue[Any] = queue.SimpleQueue()
    server = serve(
        scp,
        evt_handlers=[
            (evt.EVT_ESTABLISHED, lambda e: acceptors.put(e.assoc)),
            (evt.EVT_N_EVENT_REPORT, handle),
        ],
    )
    with scu.associate(
        *server.server_address[:2],
        evt_handlers=[(evt.EVT_N_EVENT_REPORT, handle)],
        ext_neg=[build_role(Printer, scu_role=True, scp_role=True)],
    ) as assoc:
        calls = [Call(report, one) for one in (assoc, acceptors.get(timeout=DEADLINE))]
        assert [call.result(DEADLINE)[0].Status for call in calls] == [0x0000] * 2
    server.shutdown()


@pytest.mark.parametrize("asks", [True, False])
def test_a_report_that_crosses_the_release(asks: bool, caplog: pytest.LogCaptureFixture) -> None:
    """After the A-RELEASE-RQ nothing can be answered (PS3.8 Sta7): it is dropped, and said."""
    caplog.set_level("INFO", "pynetdicom")
    reported = Reported()

    def script(peer: Acceptor) -> None:
        peer.accept()
        assert peer.pdu()[0] == 5  # A-RELEASE-RQ
        request = N_EVENT_REPORT(
            MessageID=1,
            AffectedSOPClassUID=Printer,
            AffectedSOPInstanceUID=PrinterInstance,
            EventTypeID=1,
        )
        peer.respond(1, request)
        if asks:  # a second one, which nobody answers either
            peer.respond(1, request)
        peer.send(b"\x06\0\0\0\0\x04\0\0\0\0")  # A-RELEASE-RP
        assert peer.rest() == b""

    with listening(script) as listener:
        ae = AE("SCU")
        ae.add_requested_context(Printer)
        handlers = [(evt.EVT_N_EVENT_REPORT, reported.handle)]
        assoc = ae.associate("127.0.0.1", listener.port, evt_handlers=handlers)
        Call(assoc.release).result(DEADLINE)
        assert assoc.is_released
        ae.shutdown()
    assert reported.types == []
    assert "a N-EVENT-REPORT-RQ that crossed our A-RELEASE-RQ is dropped" in caplog.text


def test_who_reports_learns_that_it_is_released() -> None:
    """The peer's release wakes it: there is no answer, and `ended` says why."""
    is_reported = threading.Event()

    def script(peer: Acceptor) -> None:
        peer.accept()
        _, request = peer.command()
        assert request.name == "N-EVENT-REPORT"
        is_reported.set()
        peer.send(b"\x05\0\0\0\0\x04\0\0\0\0")  # A-RELEASE-RQ, instead of an answer
        peer.rest()

    with listening(script) as listener:
        ae = AE("SCP")
        ae.add_requested_context(Printer)
        role = [build_role(Printer, scu_role=True, scp_role=True)]
        assoc = ae.associate("127.0.0.1", listener.port, ext_neg=role)
        status, reply = Call(report, assoc).result(DEADLINE)
        assert (len(status), reply) == (0, None)
        assert (assoc.ended.kind, assoc.ended.by) == ("released", "peer")
        ae.shutdown()
    assert is_reported.is_set()
