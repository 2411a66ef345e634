"""pynetdicom.association.serving: what is checked before a handler is asked."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, association, debug_log, evt
from pynetdicom.association import serving
from pynetdicom.data_sets.data_set import encode_dataset
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.primitives import C_CANCEL, C_ECHO, C_FIND, C_STORE
from pynetdicom.network import dul
from pynetdicom.upper_layer.items import PresentationContextRQ
from tests.faults.peer import CT, IMPLICIT, VERIFICATION, Peer, p_data, pdv, request

DATA = struct.pack("<HHI", 0x0008, 0x0060, 2) + b"CT"


class Scp:
    def __init__(self) -> None:
        self.ae = AE("ANY-SCP")
        self.ae.add_supported_context(VERIFICATION)
        self.ae.add_supported_context(CT)
        self.requests: list[Any] = []
        self.answer: Any = lambda event: 0x0000
        self.server: Any = None

    def start(self, **kwargs: Any) -> Peer:
        handlers = [(evt.EVT_C_STORE, self._serve), (evt.EVT_C_ECHO, self._serve)]
        self.server = self.ae.start_server(
            ("127.0.0.1", 0), block=False, evt_handlers=handlers, **kwargs
        )
        peer = Peer.connect(self.server.server_address)
        peer.associate(
            request(
                PresentationContextRQ(1, VERIFICATION, [IMPLICIT]),
                PresentationContextRQ(3, CT, [IMPLICIT]),
            )
        )
        return peer

    def _serve(self, event: evt.Event) -> Any:
        self.requests.append(event.request)
        return self.answer(event)


@pytest.fixture
def scp(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scp]:
    for module in (dul, association):
        monkeypatch.setattr(module, "LINGER", 0.2)
    made = Scp()
    yield made
    made.ae.shutdown()
    made.requests.clear()  # whose data sets live as long


def store(message_id: int = 1, **parameters: Any) -> C_STORE:
    values = {
        "AffectedSOPClassUID": CT,
        "AffectedSOPInstanceUID": "1.2.3",
        "Priority": 0,
        **parameters,
    }
    return C_STORE(MessageID=message_id, **{k: v for k, v in values.items() if v is not None})


def message(primitive: Any, data: bytes | None = DATA, context_id: int = 3) -> bytes:
    values = primitive.__dict__
    values["CommandDataSetType"] = 0x0101 if data is None else 1
    command = p_data(pdv(context_id, 3, primitive.encode()))
    return command if data is None else command + p_data(pdv(context_id, 2, data))


def answered(peer: Peer) -> Any:
    data = peer.pdu()
    assert data[0] == 4, data
    return decode_command(data[12:])


ODD_UIDS = [
    b"1.2." + b"9" * 200,
    b"\xff\xfe\x00\x01",
    b"../../etc/passwd",
    b"1.2.3\x00\x00",
    b"   ",
    b"1.2\n3",
]


def store_of(uid: bytes) -> bytes:
    """A C-STORE on context 3 whose instance has any bytes as its UID."""
    data = message(store(AffectedSOPInstanceUID="9" * 20))
    padded = uid + b"\0" * (len(uid) % 2)
    element = struct.pack("<HHI", 0, 0x1000, 20) + b"9" * 20
    command = data[12 : struct.unpack_from(">I", data, 2)[0] + 6]
    assert element in command
    changed = command.replace(element, struct.pack("<HHI", 0, 0x1000, len(padded)) + padded)
    return p_data(pdv(3, 3, changed)) + p_data(pdv(3, 2, DATA))


@pytest.mark.parametrize("uid", ODD_UIDS)
def test_odd_uids_are_the_handlers_to_judge(scp: Scp, uid: bytes, tmp_path: Path) -> None:
    """The library passes what it got; nothing on the way stumbles over it."""
    seen: list[bytes] = []

    def keep(event: evt.Event) -> int:
        event.save_as(tmp_path / "x.dcm")
        seen.append((tmp_path / "x.dcm").read_bytes())
        _ = (event.file_meta, event.dataset, event.encoded_dataset())
        return 0x0000

    scp.answer = keep
    with scp.start() as peer:
        peer.send(store_of(uid))
        response = answered(peer)
        assert response.MessageIDBeingRespondedTo == 1
        peer.echo(2)
        peer.release()
    if response.Status == 0:
        assert seen[0].endswith(DATA)


@pytest.mark.parametrize(
    ("uid", "status", "name"),
    [
        (b"1.2.3", 0x0000, "1.2.3.dcm"),
        (b"1.2.3\0\0", 0x0000, "1.2.3.dcm"),
        (b"9" * 64, 0x0000, "9" * 64 + ".dcm"),
        (b"9" * 65, 0xC211, None),
        (b"..", 0xC211, None),
        (b"../x", 0xC211, None),
        (b"../1.2.3", 0xC211, None),
        (b"/1.2.3", 0xC211, None),
        (b"1\\2", 0xC211, None),
        (b"\xb2", 0xC211, None),
        (b"1.2\n3", 0xC211, None),
        (b"   ", 0x0212, None),  # which the handler does not see
    ],
)
def test_the_file_name_is_one(
    scp: Scp, uid: bytes, status: int, name: str | None, tmp_path: Path
) -> None:
    directory = tmp_path / "in"
    directory.mkdir()

    def keep(event: evt.Event) -> int:
        event.save_as(directory / event.file_name)
        return 0x0000

    scp.answer = keep
    with scp.start() as peer:
        peer.send(store_of(uid))
        assert answered(peer).Status == status
        peer.echo(2)
        peer.release()
    assert list(tmp_path.rglob("*.*")) == ([] if name is None else [directory / name])


def test_a_c_store_without_its_data_set(scp: Scp) -> None:
    with scp.start() as peer:
        peer.send(message(store(), None))
        response = answered(peer)
        assert response.Status != 0
        assert response.AffectedSOPInstanceUID == "1.2.3"
        peer.echo(2)
    assert [rq.name for rq in scp.requests] == ["C-ECHO"]


def test_an_echo_with_a_data_set(scp: Scp) -> None:
    with scp.start() as peer:
        echo = C_ECHO(MessageID=5, AffectedSOPClassUID=VERIFICATION)
        peer.send(message(echo, DATA, context_id=1))
        assert answered(peer).Status == 0
        peer.echo(6)


def test_a_cancel_that_cancels_nothing(scp: Scp) -> None:
    with scp.start() as peer:
        cancel = C_CANCEL(MessageIDBeingRespondedTo=77)
        peer.send(message(cancel, None) * 50)
        peer.echo()


def test_cancelled_while_it_waits(scp: Scp) -> None:
    seen: list[bool] = []

    def look(event: evt.Event) -> int:
        seen.append(event.assoc._performer.is_cancelled(event.message_id))
        return 0x0000

    scp.answer = look
    with scp.start() as peer:
        cancel = C_CANCEL(MessageIDBeingRespondedTo=2)
        peer.send(message(store(1)) + message(store(2)) + message(cancel, None))
        for _ in range(2):
            assert answered(peer).Status == 0
        peer.echo(3)
    assert seen[0] is False  # the second may have begun before the cancel came
    assert seen[2] is False


def test_a_response_that_answers_nothing(scp: Scp) -> None:
    with scp.start() as peer:
        peer.send(message(C_ECHO(MessageIDBeingRespondedTo=9, Status=0), None, context_id=1))
        peer.echo()


@pytest.mark.parametrize("threshold", [0, 4, 65536])
def test_where_data_sets_are_kept(scp: Scp, tmp_path: Path, threshold: int) -> None:
    paths: list[Path] = []

    def look(event: evt.Event) -> int:
        paths.append(Path(event.dataset_path))
        assert paths[0].read_bytes().endswith(DATA)
        assert event.encoded_dataset()[128:132] == b"DICM"
        assert event.encoded_dataset(include_meta=False) == DATA
        assert event.dataset.Modality == "CT"
        assert event.dataset.file_meta.MediaStorageSOPInstanceUID == "1.2.3"
        event.save_as(tmp_path / "saved.dcm")
        with pytest.raises(FileExistsError):
            event.save_as(tmp_path / "saved.dcm", overwrite=False)
        event.save_as(tmp_path / "saved.dcm", sync=True)
        scp.requests.clear()  # what was received lives for as long as one of its requests
        return 0x0000

    scp.answer = look
    spool = tmp_path / "spool"
    spool.mkdir()
    with scp.start(spool_dir=str(spool), spool_threshold=threshold) as peer:
        peer.send(message(store()))
        assert answered(peer).Status == 0
        peer.release()
        peer.rest()
    assert (tmp_path / "saved.dcm").read_bytes().endswith(DATA)
    assert list(spool.iterdir()) == []
    assert not paths[0].exists()


def test_a_data_set_stays_readable(scp: Scp) -> None:
    kept: list[Any] = []
    scp.answer = lambda event: kept.append(event.dataset) or 0
    large = struct.pack("<HHI", 0x0009, 0x1001, 70000) + bytes(70000)
    with scp.start(spool_threshold=0) as peer:
        rq = store()
        rq.__dict__["CommandDataSetType"] = 1
        peer.send(p_data(pdv(3, 3, rq.encode())))
        for start in range(0, len(large), 10000):
            peer.send(p_data(pdv(3, 0, large[start : start + 10000])))
        peer.send(p_data(pdv(3, 2, b"")))
        assert answered(peer).Status == 0
        peer.release()
    scp.ae.shutdown()
    assert len(kept.pop()[0x00091001].value) == 70000  # it had a descriptor of its own


def test_what_arrives_in_pieces(scp: Scp) -> None:
    """A byte a PDV, several PDVs a PDU, PDUs cut anywhere."""
    data = DATA * 100
    scp.answer = lambda event: 0 if event.encoded_dataset(False) == data else 0xC000
    rq = store()
    rq.__dict__["CommandDataSetType"] = 1
    command = rq.encode()
    pdus = [p_data(pdv(3, 1, command[:7]), pdv(3, 3, command[7:]))]
    for start in range(0, 900, 50):
        pdus.append(p_data(*(pdv(3, 0, data[i : i + 1]) for i in range(start, start + 50))))
    pdus.append(p_data(pdv(3, 0, data[900:]), pdv(3, 2, b"")))
    stream = b"".join(pdus)
    with scp.start() as peer:
        for start in range(0, len(stream), 997):
            peer.send(stream[start : start + 997])
        assert answered(peer).Status == 0


def test_an_identifier_in_the_log_is_one_line_an_element(caplog: pytest.LogCaptureFixture) -> None:
    """Whatever a peer has put into it: nobody writes lines of his own into our log."""
    caplog.set_level("DEBUG", "pynetdicom.service")
    identifier = Dataset()
    identifier.PatientName = "DOE\nE: all is lost\x07"
    find = C_FIND(MessageID=1, data_set=encode_dataset(identifier, "1.2.840.10008.1.2.1"))
    debug_log.log_identifier(serving.LOGGER, find, True)
    head, line = caplog.messages
    assert head == "identifier of the C-FIND-RQ"
    assert "DOE" in line
    assert line.isprintable()
    caplog.clear()
    debug_log.log_identifier(serving.LOGGER, find, False)
    assert not caplog.messages
