"""Odd data sets over an association: padded, left as they are, named; every fragment even."""

from __future__ import annotations

import logging
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_context, build_role, evt
from pynetdicom.data_sets.part10 import header_builder, read_header
from pynetdicom.dsutils import InMemory
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import PatientRootQueryRetrieveInformationModelGet as GET
from tests.faults.peer import CT
from tests.peers import requestor

EXPLICIT = "1.2.840.10008.1.2.1"
IMPLICIT = "1.2.840.10008.1.2"
BIG = "1.2.840.10008.1.2.2"
INPUTS = Path(__file__).parent / "data" / "inputs"


def short(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sH", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


def long(tag: int, vr: bytes, value: bytes) -> bytes:
    return struct.pack("<HH2sxxI", tag >> 16, tag & 0xFFFF, vr, len(value)) + value


UIDS = short(0x00080016, b"UI", CT.encode() + b"\0" * (len(CT) % 2)) + short(
    0x00080018, b"UI", b"1.2.3\0"
)
ODD = UIDS + short(0x00100020, b"LO", b"odd") + long(0x7FE00010, b"OB", b"12345")
EVEN = UIDS + short(0x00100020, b"LO", b"odd ") + long(0x7FE00010, b"OB", b"12345\0")
STRAY = UIDS + short(0x00100020, b"LO", b"ab") + b"\0\0\0"
HEADER = header_builder(EXPLICIT, implementation_class_uid="2.25.1")(CT, "1.2.3")


class Peer:
    """An SCP that keeps what comes, and the lengths of the fragments; an SCU."""

    def __init__(self) -> None:
        self.lengths: list[int] = []
        self.stored: list[bytes] = []
        self.to_get: list[Any] = []
        self.matches: list[Any] = []
        self.ae = AE("ODD")
        self.ae.add_supported_context(CT, [EXPLICIT, IMPLICIT], scp_role=True, scu_role=True)
        self.ae.add_supported_context(GET)
        self.ae.add_supported_context(FIND, EXPLICIT)
        server = self.ae.start_server(
            ("127.0.0.1", 0),
            block=False,
            evt_handlers=[
                (evt.EVT_C_STORE, self.store),
                (evt.EVT_C_GET, self._get),
                (evt.EVT_C_FIND, self._find),
                (evt.EVT_PDU_RECV, self.watch),
            ],
        )
        assert server is not None
        self.port: int = server.server_address[1]
        self.scu = requestor()

    def watch(self, event: evt.Event) -> None:
        for pdv in getattr(event.pdu, "pdvs", ()):
            self.lengths.append(len(pdv.data))

    def store(self, event: evt.Event) -> int:
        self.stored.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    def _get(self, event: evt.Event) -> Iterator[Any]:
        yield len(self.to_get)
        for one in self.to_get:
            yield 0xFF00, one

    def _find(self, event: evt.Event) -> Iterator[Any]:
        assert event.identifier.PatientID
        for one in self.matches:
            yield 0xFF00, one

    def associate(self, syntax: str = EXPLICIT, **kwargs: Any) -> Any:
        assoc = self.scu.associate(
            "127.0.0.1", self.port, contexts=[build_context(CT, syntax)], **kwargs
        )
        assert assoc.is_established
        return assoc


@pytest.fixture
def peer() -> Iterator[Peer]:
    made = Peer()
    yield made
    made.scu.shutdown()
    made.ae.shutdown()


@pytest.fixture
def odd_file(tmp_path: Path) -> Path:
    path = tmp_path / "odd.dcm"
    path.write_bytes(HEADER + ODD)
    return path


def test_every_way_to_send_pads_odd_values(
    peer: Peer, odd_file: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.WARNING)
    assoc = peer.associate()
    assert assoc.send_c_store(odd_file).Status == 0
    assert assoc.send_c_store(InMemory(ODD, EXPLICIT)).Status == 0
    assert assoc.send_c_store(str(odd_file)).Status == 0
    assert [status.Status for _, status in assoc.send_c_stores([odd_file] * 3)] == [0] * 3
    ahead = assoc.send_c_stores([odd_file] * 3, send_ahead=True)
    assert [status.Status for _, status in ahead] == [0] * 3
    ds = InMemory(ODD, EXPLICIT).decode()
    ds.file_meta = Dataset()
    from pydicom.uid import ExplicitVRLittleEndian

    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    assert assoc.send_c_store(ds).Status == 0
    assoc.release()
    assert peer.stored == [EVEN] * 10
    assert peer.lengths
    assert not any(length % 2 for length in peer.lengths)
    notes = [r.getMessage() for r in caplog.records if "odd length" in r.getMessage()]
    assert len(notes) == 1
    assert "(0010,0020)" in notes[0]
    assert "2" in notes[0]
    assert "12345" not in caplog.text


def test_another_transfer_syntax_pads_too(peer: Peer, odd_file: Path) -> None:
    assoc = peer.associate(IMPLICIT)
    assert assoc.send_c_store(odd_file).Status == 0
    assert assoc.send_c_store(InMemory(ODD, EXPLICIT)).Status == 0
    assoc.release()
    assert not any(length % 2 for length in peer.lengths)
    assert [InMemory(data, IMPLICIT).decode().PatientID for data in peer.stored] == ["odd"] * 2


def test_a_large_odd_file_by_small_fragments(peer: Peer, tmp_path: Path) -> None:
    peer.ae.maximum_pdu_size = 16384
    value = bytes(3_000_001)
    path = tmp_path / "large.dcm"
    path.write_bytes(
        HEADER + UIDS + short(0x00100020, b"LO", b"x") + long(0x7FE00010, b"OB", value)
    )
    assoc = peer.associate()
    assert assoc.send_c_store(path).Status == 0
    [(_, status)] = assoc.send_c_stores([path])
    assert status.Status == 0
    assoc.release()
    assert not any(length % 2 for length in peer.lengths)
    assert (
        peer.stored
        == [UIDS + short(0x00100020, b"LO", b"x ") + long(0x7FE00010, b"OB", value + b"\0")] * 2
    )


def test_what_a_c_get_handler_yields(peer: Peer, odd_file: Path) -> None:
    lengths, stored = [], []

    def store(event: evt.Event) -> int:
        stored.append(event.encoded_dataset(include_meta=False))
        return 0x0000

    def watch(event: evt.Event) -> None:
        lengths.extend(len(pdv.data) for pdv in getattr(event.pdu, "pdvs", ()))

    peer.to_get = [odd_file, InMemory(ODD, EXPLICIT), InMemory(STRAY, EXPLICIT)]
    assoc = peer.scu.associate(
        "127.0.0.1",
        peer.port,
        contexts=[build_context(GET), build_context(CT, EXPLICIT)],
        ext_neg=[build_role(CT, scp_role=True)],
        evt_handlers=[(evt.EVT_C_STORE, store), (evt.EVT_PDU_RECV, watch)],
    )
    query = Dataset()
    query.QueryRetrieveLevel = "PATIENT"
    query.PatientID = "x"
    *_, (status, _) = assoc.send_c_get(query, GET)
    assert status.Status == 0
    assoc.release()
    assert stored == [EVEN, EVEN, STRAY[:-3]]
    assert not any(length % 2 for length in lengths)


def test_identifiers_and_matches(peer: Peer) -> None:
    match = short(0x00100020, b"LO", b"odd")
    peer.matches = [InMemory(match, EXPLICIT)] * 2
    lengths: list[int] = []

    def watch(event: evt.Event) -> None:
        lengths.extend(len(pdv.data) for pdv in getattr(event.pdu, "pdvs", ()))

    assoc = peer.scu.associate(
        "127.0.0.1",
        peer.port,
        contexts=[build_context(FIND, EXPLICIT)],
        evt_handlers=[(evt.EVT_PDU_RECV, watch)],
    )
    query = InMemory(short(0x00080052, b"CS", b"STUDY ") + match, EXPLICIT)
    responses = list(assoc.send_c_find(query, FIND))
    assoc.release()
    assert [identifier.PatientID for _, identifier in responses[:-1]] == ["odd"] * 2
    assert not any(length % 2 for length in peer.lengths + lengths)


def test_what_was_received_odd_is_forwarded_even(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    """Kept on disk as it came; sent on as it should be."""
    from pynetdicom.association import messaging

    router = AE("ROUTER")
    router.add_supported_context(CT, EXPLICIT)
    forwarded = []

    def forward(event: evt.Event) -> int:
        event.save_as(tmp_path / "kept.dcm")
        forwarded.append(event.received.getvalue())
        return int(onward.send_c_store(event.received).Status)

    server = router.start_server(
        ("127.0.0.1", 0), block=False, evt_handlers=[(evt.EVT_C_STORE, forward)]
    )
    assert server is not None
    for data, sent in ((ODD, EVEN), (STRAY, STRAY[:-3])):
        onward = peer.associate()
        assoc = peer.scu.associate(
            "127.0.0.1", server.server_address[1], contexts=[build_context(CT, EXPLICIT)]
        )
        with monkeypatch.context() as patch:
            # A peer that does not pad.
            real = messaging.for_wire
            patch.setattr(
                messaging,
                "for_wire",
                lambda it, real=real: it if type(it) is InMemory else real(it),
            )
            assert assoc.send_c_store(InMemory(data, EXPLICIT)).Status == 0
        assoc.release()
        assert forwarded.pop() == data
        assert (tmp_path / "kept.dcm").read_bytes().endswith(data)
        assert peer.stored.pop() == sent
        # And from the disk.
        assert onward.send_c_store(tmp_path / "kept.dcm").Status == 0
        assert peer.stored.pop() == sent
        onward.release()
    router.shutdown()


def test_stray_bytes_that_are_received(
    peer: Peer, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    from pynetdicom.association import messaging

    caplog.set_level(logging.WARNING)
    names = []

    def store(event: evt.Event) -> int:
        names.append(event.dataset.PatientID)
        return 0x0000

    for server in peer.ae._running.servers:
        server.bind(evt.EVT_C_STORE, store)
    assoc = peer.associate()
    monkeypatch.setattr(messaging, "for_wire", lambda data_set: data_set)
    for count in range(1, 8):
        for stray in (b"\0", b"\xff", b"X"):
            data = InMemory(STRAY[:-3] + stray * count, EXPLICIT)
            assert assoc.send_c_store(data).Status == 0
    assoc.release()
    assert names == ["ab"] * 21
    assert caplog.text.count("bytes after the last element") == 1


@pytest.mark.parametrize("name", ["group2_implicit.dcm", "group2_explicit.dcm"])
def test_group_2_in_a_data_set(peer: Peer, name: str, tmp_path: Path) -> None:
    """Sent, decoded, stored, read back and sent again, byte for byte."""
    path = INPUTS / name
    with read_header(path) as header:
        data = header.data_set().getvalue()
        syntax = header.transfer_syntax
    seen = []

    def store(event: evt.Event) -> int:
        assert event.dataset.SOPInstanceUID == event.request.AffectedSOPInstanceUID
        seen.append(event.encoded_dataset(include_meta=False))
        event.save_as(tmp_path / "stored.dcm")
        return 0x0000

    for server in peer.ae._running.servers:
        server.bind(evt.EVT_C_STORE, store)
    assoc = peer.associate(syntax)
    assert assoc.send_c_store(path).Status == 0
    with read_header(tmp_path / "stored.dcm") as header:
        header.check()
        header.check_encoding()
        assert header.data_set().getvalue() == data
    assert assoc.send_c_store(tmp_path / "stored.dcm").Status == 0
    assoc.release()
    other = peer.associate(IMPLICIT if syntax == EXPLICIT else EXPLICIT)
    assert other.send_c_store(path).Status == 0
    other.release()
    assert seen[:2] == [data] * 2


@pytest.mark.parametrize("name", sorted(path.name for path in INPUTS.glob("*.dcm")))
@pytest.mark.parametrize("syntax", [EXPLICIT, IMPLICIT])
def test_what_real_devices_have(peer: Peer, name: str, syntax: str) -> None:
    assoc = peer.associate(syntax)
    assert assoc.send_c_store(INPUTS / name).Status == 0
    assoc.release()
    assert not any(length % 2 for length in peer.lengths)
    [data] = peer.stored
    InMemory(data, syntax).check_encoding()
    if name == "sq_text.dcm":
        vr = b"\x12\0\x64\0" + (b"UN\0\0" if syntax == EXPLICIT else b"")
        assert vr + b"\x24\0\0\0Siemens" in data
