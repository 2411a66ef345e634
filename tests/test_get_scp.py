"""C-GET as SCP, with peers that are bare sockets."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.data import get_testdata_file
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import JPEG2000, ExplicitVRLittleEndian

from pynetdicom import association, evt
from pynetdicom.data_sets.data_set import InFile, InMemory, encode_dataset
from pynetdicom.data_sets.element_walk import encoding_of, walk
from pynetdicom.data_sets.part10 import read_header
from pynetdicom.network import dul
from pynetdicom.services.instances import KnownPath
from tests.faces import runs_handlers
from tests.faults.peer import CT, IMPLICIT, abort
from tests.pair import DEADLINE, Seen
from tests.query_peer import (
    EXPLICIT,
    GET,
    MR,
    PENDING,
    STORE_CT,
    STORE_MR,
    Message,
    QueryPeer,
    QueryScp,
    cancel,
    element,
)


def image(uid: str = "1.2.3.4", sop_class: str = CT) -> Dataset:
    ds = Dataset()
    ds.SOPClassUID = sop_class
    ds.SOPInstanceUID = uid
    ds.PatientName = "SECRET^PATIENT"
    return ds


def encoded(uid: str = "1.2.3.4") -> bytes:
    return (
        element(0x00080016, CT.encode())
        + element(0x00080018, uid.encode())
        + element(0x00100010, b"SECRET^PATIENT")
    )


@pytest.fixture
def scp(monkeypatch: pytest.MonkeyPatch) -> Iterator[QueryScp]:
    for module in (dul, association):
        monkeypatch.setattr(module, "LINGER", 0.2)
    made = QueryScp()
    yield made
    made.close()


def counters(received: Message) -> tuple[int | None, ...]:
    """Status, remaining, completed, failed, warning."""
    rsp = received.primitive
    return (
        rsp.Status,
        rsp.NumberOfRemainingSuboperations,
        rsp.NumberOfCompletedSuboperations,
        rsp.NumberOfFailedSuboperations,
        rsp.NumberOfWarningSuboperations,
    )


def test_everything_that_can_be_yielded(scp: QueryScp, tmp_path: Path) -> None:
    """Data sets, paths, and what knows its encoded bytes, which are not decoded."""
    data = encoded("1.2.3.6")
    (tmp_path / "raw").write_bytes(b"1234" + data)
    with_meta = image("1.2.3.3")
    with_meta.file_meta = FileMetaDataset()
    with_meta.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    with_meta.save_as(tmp_path / "ct.dcm", enforce_file_format=True)
    with_meta.SOPInstanceUID = "1.2.3.2"
    known: Any = InMemory(b"not looked at ", IMPLICIT)
    known.sop_class_uid, known.sop_instance_uid = CT, "1.2.3.7"
    items = [
        image("1.2.3.1"),
        with_meta,
        tmp_path / "ct.dcm",
        str(tmp_path / "ct.dcm"),
        InMemory(encoded("1.2.3.5"), IMPLICIT),
        InFile(str(tmp_path / "raw"), 4, len(data), IMPLICIT),
        known,
    ]
    scp.handler = lambda event: [len(items), *((PENDING, item) for item in items)]
    stored: list[Message] = []
    with scp.connect() as peer:
        peer.request(GET, 9)
        responses = list(peer.serve(lambda rq: stored.append(rq) or 0, 9))
        peer.is_still_served()
    assert [r.primitive.AffectedSOPInstanceUID for r in stored] == [
        f"1.2.3.{n}" for n in (1, 2, 3, 3, 5, 6, 7)
    ]
    assert {r.primitive.AffectedSOPClassUID for r in stored} == {CT}
    assert {r.context_id for r in stored} == {STORE_CT}
    assert [r.data for r in stored[:2]] == [encoded("1.2.3.1"), encoded("1.2.3.2")]
    assert stored[5].data == data
    assert stored[6].data == b"not looked at "
    # Nothing is said of a C-MOVE.
    assert {r.primitive.MoveOriginatorMessageID for r in stored} == {None}
    assert {r.primitive.MoveOriginatorApplicationEntityTitle for r in stored} == {None}
    assert [counters(r) for r in responses] == [
        *((PENDING, 7 - n, n, 0, 0) for n in range(1, 8)),
        (0, None, 7, 0, 0),
    ]


@pytest.mark.parametrize("priority", [0, 1, 2])
def test_the_priority_travels_along(scp: QueryScp, priority: int) -> None:
    scp.handler = lambda event: [1, (PENDING, image())]
    stored: list[Message] = []
    with scp.connect() as peer:
        peer.request(GET, Priority=priority)
        list(peer.serve(lambda rq: stored.append(rq) or 0))
    assert stored[0].primitive.Priority == priority


def test_mixed_outcomes(scp: QueryScp) -> None:
    answers = {"1.2.0": 0, "1.2.1": 0xB007, "1.2.2": 0xA700, "1.2.3": 0xC123, "1.2.4": 0}
    scp.handler = lambda event: [5, *((PENDING, image(uid)) for uid in answers)]
    with scp.connect() as peer:
        peer.request(GET)
        responses = list(peer.serve(lambda rq: answers[rq.primitive.AffectedSOPInstanceUID or ""]))
        peer.is_still_served()
    assert [counters(r) for r in responses] == [
        (PENDING, 4, 1, 0, 0),
        (PENDING, 3, 1, 0, 1),
        (PENDING, 2, 1, 1, 1),
        (PENDING, 1, 1, 2, 1),
        (PENDING, 0, 2, 2, 1),
        (0xB000, None, 2, 2, 1),
    ]
    assert [r.data for r in responses[:-1]] == [None] * 5
    assert responses[-1].data == element(0x00080058, b"1.2.2\\1.2.3")


def truncated(path: Path) -> Path:
    source = get_testdata_file("CT_small.dcm", read=False)
    path.write_bytes(Path(str(source)).read_bytes()[:-100])
    return path


def test_what_cannot_be_sent_is_counted_as_failed(
    scp: QueryScp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    compressed = dcmread(str(get_testdata_file("JPEG2000.dcm")))
    other = image("1.2.6")
    other.SOPClassUID = "1.2.840.10008.5.1.4.1.1.7"
    lying = image("1.2.7")
    lying.file_meta = FileMetaDataset()
    lying.file_meta.TransferSyntaxUID = JPEG2000
    unencodable = image("1.2.8")
    unencodable.PatientID = "1"
    unencodable["PatientID"]._value = object()
    bad = [
        None,
        5,
        b"bytes",
        tmp_path / "missing^DOE.dcm",
        tmp_path,
        truncated(tmp_path / "short.dcm"),
        Dataset(),
        compressed,
        other,
        lying,
        unencodable,
        InMemory(b"\x08\x00\x16\x00\xff\xff\xff\x7f", IMPLICIT),
        InMemory(element(0x00080018, b"1.2.9"), IMPLICIT),
        InFile(str(tmp_path / "gone"), 0, 10, IMPLICIT),
    ]
    scp.handler = lambda event: [len(bad) + 1, *((PENDING, b) for b in bad), (PENDING, image())]
    with scp.connect() as peer:
        peer.request(GET)
        final = list(peer.serve(lambda rq: 0))[-1]
        peer.is_still_served()
    assert counters(final) == (0xB000, None, 1, len(bad), 0)
    assert final.data is not None
    uids = final.data[8:].rstrip(b"\0").decode().split("\\")
    short = dcmread(str(get_testdata_file("CT_small.dcm"))).SOPInstanceUID
    assert uids == [short, compressed.SOPInstanceUID, "1.2.6", "1.2.7", "1.2.8", "1.2.9"]
    assert "DOE" not in caplog.text
    assert "SECRET" not in caplog.text


def test_a_sub_operation_has_the_checks_of_every_other_c_store(
    scp: QueryScp, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """What is encoded otherwise than it says, or cut off, was sent with success."""
    explicit = encode_dataset(image("1.2.1"), EXPLICIT).getvalue()
    (tmp_path / "raw").write_bytes(explicit)
    ds = image("1.2.2")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds.save_as(tmp_path / "lies.dcm", enforce_file_format=True)
    data = (tmp_path / "lies.dcm").read_bytes()
    start = len(data) - len(encode_dataset(ds, EXPLICIT).getvalue())
    (tmp_path / "lies.dcm").write_bytes(data[:start] + encoded("1.2.2"))
    cut = encoded("1.2.3")[:-2]
    (tmp_path / "cut").write_bytes(cut)
    bad = [
        InMemory(explicit, IMPLICIT),
        InFile(str(tmp_path / "raw"), 0, len(explicit), IMPLICIT),
        tmp_path / "lies.dcm",
        InMemory(cut, IMPLICIT),
        InFile(str(tmp_path / "cut"), 0, len(cut), IMPLICIT),
    ]
    scp.handler = lambda event: [len(bad) + 1, *((PENDING, b) for b in bad), (PENDING, image())]
    stored: list[Message] = []
    with scp.connect() as peer:
        peer.request(GET)
        final = list(peer.serve(lambda rq: stored.append(rq) or 0))[-1]
        peer.is_still_served()
    assert [r.primitive.AffectedSOPInstanceUID for r in stored] == ["1.2.3.4"]
    assert counters(final) == (0xB000, None, 1, len(bad), 0)
    assert final.data == element(0x00080058, b"1.2.1\\1.2.2\\1.2.3")
    assert "explicit VR" in caplog.text
    assert "implicit VR" in caplog.text


def test_instances_whose_files_cannot_be_read_are_listed(scp: QueryScp, tmp_path: Path) -> None:
    """By what is known of them; what is not known is counted."""
    whole = Path(str(get_testdata_file("CT_small.dcm"))).read_bytes()
    uid = dcmread(str(get_testdata_file("CT_small.dcm"))).SOPInstanceUID
    for name, end in [("short.dcm", -100), ("shorter.dcm", 600), ("tiny.dcm", 20)]:
        (tmp_path / name).write_bytes(whole[:end])
    bad: list[Any] = [
        tmp_path / "short.dcm",
        tmp_path / "shorter.dcm",
        tmp_path / "tiny.dcm",
        KnownPath(tmp_path / "missing.dcm", "1.2.77"),
        tmp_path / "missing.dcm",
        None,
    ]
    scp.handler = lambda event: [len(bad), *((PENDING, b) for b in bad)]
    with scp.connect() as peer:
        peer.request(GET)
        final = list(peer.serve(lambda rq: 0))[-1]
    assert counters(final) == (0xA702, None, 0, len(bad), 0)
    assert final.data is not None
    assert final.data[8:].rstrip(b"\0").decode().split("\\") == [uid, "1.2.77"]


@pytest.mark.parametrize(
    ("answers", "items", "status"),
    [
        ([0xB007], [(PENDING, image())], 0xB000),
        ([], [(0xA701, None)], 0xA701),
        ([], [(0xFE00, None)], 0xFE00),
        ([], [], 0xA702),
    ],
)
def test_what_is_no_success_has_a_list_in_any_case(
    scp: QueryScp, answers: list[int], items: list[Any], status: int
) -> None:
    """An empty one, where nothing is known to have failed."""
    scp.handler = lambda event: [1, *items]
    with scp.connect() as peer:
        peer.request(GET)
        final = list(peer.serve(lambda rq: answers[0]))[-1]
        peer.is_still_served()
    assert final.primitive.Status == status
    assert final.data == element(0x00080058, b"")


def test_what_is_not_compressed_may_be_encoded_anew(scp: QueryScp) -> None:
    source = str(get_testdata_file("CT_small.dcm"))
    with read_header(source) as header:
        assert header.transfer_syntax == EXPLICIT
        uid = header.sop_instance_uid
    scp.handler = lambda event: [1, (PENDING, source)]
    stored: list[Message] = []
    with scp.connect() as peer:
        peer.request(GET)
        final = list(peer.serve(lambda rq: stored.append(rq) or 0))[-1]
    assert final.primitive.Status == 0
    (received,) = stored
    assert received.data is not None
    walk(received.data, len(received.data), encoding_of(IMPLICIT))
    got = InMemory(received.data, IMPLICIT).decode()
    assert got.SOPInstanceUID == uid
    assert got.PixelData == dcmread(source).PixelData


def test_without_the_role_nothing_can_be_sent(scp: QueryScp) -> None:
    scp.handler = lambda event: [2, (PENDING, image("1.2.1")), (PENDING, image("1.2.2"))]
    with scp.connect(role=False) as peer:
        peer.request(GET)
        responses = list(peer.responses())
        peer.is_still_served()
    assert counters(responses[-1]) == (0xA702, None, 0, 2, 0)
    assert responses[-1].data == element(0x00080058, b"1.2.1\\1.2.2")


def test_each_class_goes_out_on_its_own_context(scp: QueryScp) -> None:
    scp.handler = lambda event: [2, (PENDING, image("1.2.1", MR)), (PENDING, image("1.2.2"))]
    stored: list[Message] = []
    with scp.connect() as peer:
        peer.request(GET)
        list(peer.serve(lambda rq: stored.append(rq) or 0))
    assert [r.context_id for r in stored] == [STORE_MR, STORE_CT]


def test_a_cancel_while_a_sub_operation_is_in_flight(scp: QueryScp) -> None:
    """It is completed and counted; the handler is asked once more, and closed."""
    told = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield 5
            for number in range(5):
                yield PENDING, image(f"1.2.{number}")
                told.add(event.is_cancelled)
        finally:
            told.add(runs_handlers(event.assoc))

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(GET)

        def store(rq: Message) -> int:
            if rq.primitive.AffectedSOPInstanceUID == "1.2.1":
                peer.cancel(GET)
            return 0xA700 if rq.primitive.AffectedSOPInstanceUID == "1.2.0" else 0

        responses = list(peer.serve(store))
        peer.is_still_served()
    assert [counters(r) for r in responses] == [
        (PENDING, 4, 0, 1, 0),
        (PENDING, 3, 1, 1, 0),
        (0xFE00, 3, 1, 1, 0),
    ]
    assert responses[-1].data == element(0x00080058, b"1.2.0")
    assert told.wait(3) == [False, True, True]


def test_a_cancel_that_is_not_this_ones(scp: QueryScp) -> None:
    scp.handler = lambda event: [2, (PENDING, image("1.2.1")), (PENDING, image("1.2.2"))]
    with scp.connect() as peer:
        peer.request(GET, 4)

        def store(rq: Message) -> int:
            # Not even when it has the Message ID of the sub-operation.
            peer.send(cancel(GET, 5) + cancel(STORE_CT, rq.primitive.MessageID or 0))
            return 0

        assert list(peer.serve(store, 4))[-1].primitive.Status == 0
        peer.is_still_served()


def test_another_request_arrives_meanwhile(scp: QueryScp) -> None:
    """It is served afterwards; the sub-operation's response is told from it."""
    scp.handler = lambda event: [1, (PENDING, image())]
    with scp.connect() as peer:
        peer.request(GET, 1)

        def store(rq: Message) -> int:
            peer.request(GET, 2)
            return 0

        assert list(peer.serve(store, 1))[-1].primitive.Status == 0
        assert list(peer.serve(lambda rq: 0, 2))[-1].primitive.Status == 0
        peer.is_still_served()


@pytest.mark.parametrize("how", ["abort", "reset", "close", "silent"])
def test_a_peer_that_goes_in_a_sub_operation(scp: QueryScp, how: str) -> None:
    scp.ae.dimse_timeout = 0.3 if how == "silent" else DEADLINE
    told = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield 3
            for number in range(3):
                yield PENDING, image(f"1.2.{number}")
        finally:
            told.add((event.is_cancelled, runs_handlers(event.assoc)))
            told.add(event.assoc)

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(GET)
        assert peer.message().primitive.name == "C-STORE"
        {
            "abort": lambda: peer.send(abort(0, 0)),
            "reset": peer.reset,
            "close": peer.close,
            "silent": lambda: None,
        }[how]()
        note, assoc = told.wait(2)
        assert note == (True, True)
        assoc.join(DEADLINE)
        assert not assoc.is_alive()


def test_a_peer_that_releases_in_a_sub_operation(scp: QueryScp) -> None:
    """Our operations end; the C-GET is answered with what failed, then the release."""
    scp.handler = lambda event: [2, (PENDING, image("1.2.1")), (PENDING, image("1.2.2"))]
    with scp.connect() as peer:
        peer.request(GET)
        assert peer.message().primitive.name == "C-STORE"
        peer.send(bytes.fromhex("05 00 00000004 00000000"))
        assert counters(peer.final()) == (0xA702, None, 0, 2, 0)
        assert peer.pdu()[0] == 6


def test_local_abort_in_a_sub_operation(scp: QueryScp) -> None:
    closed = Seen()

    def handler(event: evt.Event) -> Iterator[Any]:
        try:
            yield 1
            yield PENDING, image()
            yield PENDING, image()
        finally:
            closed.add(runs_handlers(event.assoc))

    scp.handler = handler
    with scp.connect() as peer:
        peer.request(GET)
        assert peer.message().primitive.name == "C-STORE"
        (assoc,) = scp.server.active_associations
        assoc.abort(block=False)
        assert closed.wait() == [True]
        assert peer.rest() == abort(0, 0)


def test_counts_that_are_wrong(scp: QueryScp) -> None:
    with scp.connect() as peer:
        for message_id, (items, code) in enumerate(
            [
                ([], 0xC413),
                (["x"], 0xC413),
                ([-1], 0xC413),
                ([65536], 0xC416),
                ([10**30], 0xC416),
                ([(0xA900, None)], 0xA900),
                (None, 0xC411),
                ([1], 0xA702),
                ([0, (PENDING, image())], 0xB000),
            ],
            1,
        ):
            scp.handler = lambda event, items=items: items
            peer.request(GET, message_id)
            assert peer.final(message_id).primitive.Status == code
        peer.is_still_served()


def test_nested_use_in_a_handler(scp: QueryScp) -> None:
    """A C-GET's handler that stores something itself, on the same association."""
    ds = image("1.2.9")
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian

    def handler(event: evt.Event) -> Iterator[Any]:
        yield 1
        assert event.assoc.send_c_store(ds).Status == 0
        yield PENDING, image("1.2.1")

    scp.handler = handler
    stored: list[Message] = []
    with scp.connect() as peer:
        peer.request(GET)
        final = list(peer.serve(lambda rq: stored.append(rq) or 0))[-1]
        peer.is_still_served()
    assert counters(final) == (0, None, 1, 0, 0)
    assert [r.primitive.AffectedSOPInstanceUID for r in stored] == ["1.2.9", "1.2.1"]


def test_thousands_of_failures_are_listed(scp: QueryScp) -> None:
    uids = [f"1.2.840.113619.2.{number:020d}" for number in range(3000)]
    scp.handler = lambda event: [len(uids), *((PENDING, image(uid, "1.2.99")) for uid in uids)]
    with scp.connect() as peer:
        assert isinstance(peer, QueryPeer)
        peer.request(GET)
        final = peer.final()
        peer.is_still_served()
    assert counters(final) == (0xA702, None, 0, 3000, 0)
    assert final.data is not None
    assert final.data[8:].rstrip(b"\0").decode().split("\\") == uids
