"""Faults as SCP, in DIMSE: messages that are none, requests that are not served.

And what the logs say of all that.

The same association goes on, or another peer is served, after each.
"""

from __future__ import annotations

import errno
import logging
import struct
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, _config, evt
from pynetdicom.data_sets import spool as spool_module
from pynetdicom.dimse.command import encode_element
from pynetdicom.dimse.decoding import decode_command
from pynetdicom.dimse.primitives import (
    C_CANCEL,
    C_ECHO,
    C_FIND,
    C_STORE,
    N_GET,
    Primitive,
)
from pynetdicom.network import dul, lobby
from pynetdicom.upper_layer import items
from tests.faults.conftest import Server
from tests.faults.peer import (
    CT,
    IMPLICIT,
    VERIFICATION,
    Peer,
    abort,
    echo_rq,
    is_served,
    p_data,
    pdv,
    request,
    until,
)


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch) -> None:
    """The wait for the peer's close takes 0.2 s instead of 2."""
    monkeypatch.setattr(dul, "LINGER", 0.2)
    monkeypatch.setattr(lobby, "LINGER", 0.2)


BOTH = request(
    *(
        items.PresentationContextRQ(
            context_id=number, abstract_syntax=uid, transfer_syntaxes=[IMPLICIT]
        )
        for number, uid in ((1, VERIFICATION), (3, CT))
    )
)
PATIENT = b"SECRET^PATIENT"
DATA_SET = struct.pack("<HHI", 0x0010, 0x0010, len(PATIENT)) + PATIENT


def store(message_id: int = 7, has_data_set: bool = True, **fields: Any) -> bytes:
    """A C-STORE-RQ's command set."""
    values = {
        "MessageID": message_id,
        "AffectedSOPClassUID": CT,
        "AffectedSOPInstanceUID": "1.2.3.4",
        "Priority": 2,
        **fields,
    }
    values = {keyword: value for keyword, value in values.items() if value is not None}
    command = C_STORE(**values).encode()
    # CommandDataSetType says that there is one
    absent, present = (
        struct.pack("<HHIH", 0, 0x0800, 2, 0x0101),
        struct.pack("<HHIH", 0, 0x0800, 2, 1),
    )
    assert absent in command
    return command.replace(absent, present) if has_data_set else command


ECHO = C_ECHO(MessageID=7, AffectedSOPClassUID=VERIFICATION).encode()


def without(command: bytes, keyword: str, value: Any) -> bytes:
    """The command set without an element; the group length is left as it was."""
    element = encode_element(keyword, value)
    assert element in command
    return command.replace(element, b"")


def response(peer: Peer) -> Primitive:
    data = peer.pdu()
    assert data[0] == 4, data
    assert data[11] == 3, data
    return decode_command(data[12:])


def whole_store(
    peer: Peer, message_id: int = 7, data: bytes = DATA_SET, **fields: Any
) -> Primitive:
    peer.send(p_data(pdv(3, 1 | 2, store(message_id, **fields))) + fragmented(data))
    return response(peer)


def fragmented(data: bytes, size: int = 16000) -> bytes:
    pieces = [data[i : i + size] for i in range(0, len(data), size)] or [b""]
    last = pieces.pop()
    return b"".join(p_data(pdv(3, 0, piece)) for piece in pieces) + p_data(pdv(3, 2, last))


# Messages that are none


MESSAGES = {
    "data before command": [pdv(3, 2, b"data")],
    "data before command, not the last": [pdv(3, 0, b"data")],
    "command in the midst of a command, other context": [pdv(3, 1, store()[:20]), pdv(1, 3, ECHO)],
    "command in the midst of data": [pdv(3, 3, store()), pdv(3, 0, b"da"), pdv(3, 3, ECHO)],
    "command instead of data": [pdv(3, 3, store()), pdv(1, 3, ECHO)],
    "data in the midst of a command": [pdv(3, 1, store()[:20]), pdv(3, 2, b"data")],
    "data on another context": [pdv(3, 3, store()), pdv(1, 2, b"data")],
    "undecodable: junk": [pdv(1, 3, b"\xff" * 40)],
    "undecodable: element overruns": [pdv(1, 3, ECHO[:-1])],
    "undecodable: another group": [pdv(1, 3, DATA_SET)],
    "empty": [pdv(1, 3, b"")],
    "no Command Field": [pdv(1, 3, without(ECHO, "CommandField", 0x0030))],
    "unknown Command Field": [pdv(1, 3, ECHO.replace(b"\x30\x00", b"\x31\x00", 1))],
    "no Message ID": [pdv(1, 3, without(ECHO, "MessageID", 7))],
    "longer than 64 KiB": [pdv(1, 1, bytes(16000))] * 5,
}


@pytest.mark.parametrize("apart", [False, True])
@pytest.mark.parametrize("fault", MESSAGES)
def test_messages_that_are_none(server: Server, fault: str, apart: bool) -> None:
    pdus = [p_data(one) for one in MESSAGES[fault]]
    with server.connect() as peer:
        peer.associate(BOTH)
        peer.echo()
        for data in pdus if apart else [b"".join(pdus)]:
            peer.send(data)
        assert peer.exactly(10) == abort(0, 0)
        assert peer.rest() == b""
    ended = server.end()
    assert (ended.kind, ended.by, ended.source, ended.reason) == ("aborted", "local", 0, 0)
    assert ended.error is not None
    assert server.stored == []
    is_served(server.address)


# Requests that cannot be served


def test_mandatory_field_missing(server: Server) -> None:
    with server.connect() as peer:
        peer.associate(BOTH)
        for missing in ("AffectedSOPClassUID", "AffectedSOPInstanceUID", "Priority"):
            absent: dict[str, Any] = {missing: None}
            answer = whole_store(peer, **absent)
            assert isinstance(answer, C_STORE)
            assert (answer.Status, answer.MessageIDBeingRespondedTo) == (0x0212, 7)
            assert missing in (answer.ErrorComment or "")
        peer.send(p_data(pdv(1, 3, C_ECHO(MessageID=9).encode())))
        answer = response(peer)
        assert (answer.Status, answer.CommandField) == (0x0212, 0x8030)
        assert server.stored == []
        assert whole_store(peer).Status == 0
        peer.release()


@pytest.mark.parametrize(
    ("context_id", "command", "field"),
    [
        (3, ECHO, 0x8030),
        (1, store(has_data_set=False), 0x8001),
        (
            1,
            C_FIND(MessageID=7, AffectedSOPClassUID=VERIFICATION, Priority=2).encode(),
            0x8020,
        ),
        (
            3,
            N_GET(MessageID=7, RequestedSOPClassUID=CT, RequestedSOPInstanceUID="1.2").encode(),
            0x8110,
        ),
    ],
    ids=["C-ECHO on CT", "C-STORE on Verification", "C-FIND on Verification", "N-GET on CT"],
)
def test_operation_not_of_this_sop_class(
    server: Server, context_id: int, command: bytes, field: int
) -> None:
    with server.connect() as peer:
        peer.associate(BOTH)
        peer.send(p_data(pdv(context_id, 3, command)))
        answer = response(peer)
        assert (answer.Status, answer.CommandField) == (0x0211, field)
        assert answer.MessageIDBeingRespondedTo == 7
        peer.echo()
        peer.release()


class Busy:
    """A C-ECHO handler that does not return before `go_on`."""

    def __init__(self) -> None:
        self.served = threading.Event()
        self.go_on = threading.Event()
        self.calls = 0
        self.assoc: Any = None

    def waiting(self, count: int) -> bool:
        """So many requests have been received and wait."""
        return until(lambda: self.assoc._link.inbox._items.qsize() == count)

    def __call__(self, event: Any) -> int:
        self.calls += 1
        self.assoc = event.assoc
        self.served.set()
        self.go_on.wait(60)
        return 0x0000


@pytest.fixture
def busy() -> Any:
    busy = Busy()
    yield busy
    busy.go_on.set()


def test_duplicate_message_id(make_server: Callable[..., Server], busy: Busy) -> None:
    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, busy)]).start()
    with server.connect() as peer:
        peer.associate()
        peer.send(echo_rq(5))
        assert busy.served.wait(60)
        peer.send(echo_rq(5) + echo_rq(6))
        assert busy.waiting(2)
        busy.go_on.set()
        answers = [response(peer) for _ in range(3)]
        assert [(a.MessageIDBeingRespondedTo, a.Status) for a in answers] == [
            (5, 0),
            (5, 0x0210),
            (6, 0),
        ]
        peer.echo(5)  # free again
        peer.release()
    assert busy.calls == 3


def test_too_many_pending_requests(
    make_server: Callable[..., Server], busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_PENDING_REQUESTS", 4)
    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, busy)]).start()
    with server.connect() as peer:
        peer.associate()
        peer.send(echo_rq(1))
        assert busy.served.wait(60)
        for number in range(2, 6):  # four that wait
            peer.send(echo_rq(number))
        assert busy.waiting(4)
        peer.send(echo_rq(6))
        assert peer.exactly(10) == abort(0, 0)
    busy.go_on.set()
    assert server.end().by == "local"
    is_served(server.address)


def test_too_many_pending_bytes(
    make_server: Callable[..., Server], busy: Busy, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_config, "MAXIMUM_PENDING_BYTES", 100_000)
    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, busy)]).start()
    with server.connect() as peer:
        peer.associate(BOTH)
        # A single one may be larger: it is bounded by maximum_object_bytes.
        assert whole_store(peer, data=bytes(300_000)).Status == 0
        peer.send(echo_rq(1))
        assert busy.served.wait(60)
        for number in range(2, 4):
            peer.send(p_data(pdv(3, 3, store(number))) + fragmented(bytes(40_000)))
        assert busy.waiting(2)
        peer.send(p_data(pdv(3, 3, store(9))) + fragmented(bytes(40_000)))
        assert peer.exactly(10) == abort(0, 0)
    busy.go_on.set()
    assert server.end().by == "local"
    is_served(server.address)


def test_cancel_storm(make_server: Callable[..., Server], busy: Busy) -> None:
    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, busy)]).start()
    storm = b"".join(
        p_data(pdv(1, 3, C_CANCEL(MessageIDBeingRespondedTo=number % 300).encode()))
        for number in range(3000)
    )
    with server.connect() as peer:
        peer.associate()
        peer.send(storm + echo_rq(1))
        assert busy.served.wait(60)
        peer.send(storm)
        busy.go_on.set()
        assert response(peer).Status == 0
        peer.echo(2)
        peer.release()
    assert busy.calls == 2


def command_set(length: int) -> bytes:
    """The PDUs of a C-ECHO request so long, with an unknown element."""
    size = length - len(ECHO) - 8
    command = ECHO + struct.pack("<HHI", 0, 0x5110, size) + bytes(size)
    pieces = [command[i : i + 16000] for i in range(0, len(command), 16000)]
    *first, last = pieces
    return b"".join(p_data(pdv(1, 1, piece)) for piece in first) + p_data(pdv(1, 3, last))


@pytest.mark.parametrize("most", [65536, 400, 200_000])
def test_the_longest_command_set(
    server: Server, monkeypatch: pytest.MonkeyPatch, most: int
) -> None:
    """Up to 64 KiB if nothing else is set: unknown elements are skipped."""
    assert _config.MAXIMUM_COMMAND_SET == 65536
    monkeypatch.setattr(_config, "MAXIMUM_COMMAND_SET", most)
    with server.connect() as peer:
        peer.associate()
        peer.send(command_set(most))
        assert response(peer).Status == 0
        peer.send(command_set(most + 2))
        assert peer.exactly(10) == abort(0, 0)


# What cannot be kept


def test_the_disk_is_full(
    make_server: Callable[..., Server], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    def fails(fd: int, slices: Any) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    server = make_server(spool_dir=str(tmp_path), spool_threshold=100).start()
    with server.connect() as peer:
        peer.associate(BOTH)
        with monkeypatch.context() as patch:
            patch.setattr(spool_module, "write_all", fails)
            for number in range(2):
                answer = whole_store(peer, number + 1, bytes(1_000_000))
                assert answer.Status == 0xA700
                assert "No space" in (answer.ErrorComment or "")
            peer.echo()
        assert server.stored == []
        assert whole_store(peer, data=bytes(1000)).Status == 0
        peer.release()
    assert [len(data) for data in server.stored] == [1000]
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("length", [1, 7])
def test_a_peer_that_takes_no_pdus(
    make_server: Callable[..., Server], caplog: pytest.LogCaptureFixture, length: int
) -> None:
    server = make_server().start()
    with server.connect() as peer:
        length_item = struct.pack(">BxHI", 0x51, 4, 16382)
        peer.associate(BOTH.replace(length_item, length_item[:4] + struct.pack(">I", length)))
        peer.send(echo_rq())
        assert peer.pdu() == abort(0, 0)
    assert f"PDUs of {length} bytes at most" in str(server.end())
    assert "Traceback" not in caplog.text
    is_served(server.address)


def test_the_spool_directory_is_gone(make_server: Callable[..., Server], tmp_path: Path) -> None:
    server = make_server(spool_dir=str(tmp_path / "none"), spool_threshold=100).start()
    with server.connect() as peer:
        peer.associate(BOTH)
        assert whole_store(peer, data=bytes(1000)).Status == 0xA700
        assert whole_store(peer, data=bytes(50)).Status == 0
        peer.release()


def test_maximum_object_bytes(make_server: Callable[..., Server]) -> None:
    server = make_server()
    server.ae.maximum_object_bytes = 100_000
    server.start()
    with server.connect() as peer:
        peer.associate(BOTH)
        assert whole_store(peer, data=bytes(100_000)).Status == 0
        assert whole_store(peer, data=bytes(100_002)).Status == 0xA700
        assert whole_store(peer, data=bytes(3_000_000)).Status == 0xA700
        peer.echo()
        peer.release()
    assert [len(data) for data in server.stored] == [100_000]


# What handlers do


def dataset(**elements: Any) -> Any:
    from pydicom.dataset import Dataset

    ds = Dataset()
    for keyword, value in elements.items():
        setattr(ds, keyword, value)
    return ds


class Odd(Exception):
    def __str__(self) -> str:
        raise RuntimeError("not even that")


def raises(error: BaseException) -> Callable[[Any], Any]:
    def handler(event: Any) -> Any:
        raise error

    return handler


HANDLERS: dict[str, tuple[Callable[[Any], Any], int]] = {
    "raises": (raises(ValueError("SECRET^PATIENT")), 0xC211),
    "raises what cannot be shown": (raises(Odd()), 0xC211),
    "exits": (raises(SystemExit(1)), 0xC211),
    "None": (lambda event: None, 0xC002),
    "text": (lambda event: "0x0000", 0xC002),
    "bool": (lambda event: True, 0xC002),
    "negative": (lambda event: -1, 0xC002),
    "too large": (lambda event: 0x10000, 0xC002),
    "float": (lambda event: 0.0, 0xC002),
    "tuple": (lambda event: (0, None), 0xC002),
    "Dataset without Status": (lambda event: dataset(), 0xC001),
    "Dataset with an empty Status": (lambda event: dataset(Status=None), 0xC001),
    "Dataset": (lambda event: dataset(Status=0xB000, ErrorComment="why\nnot"), 0xB000),
    "a status nobody knows": (lambda event: 0x1234, 0x1234),
    "undecodable": (lambda event: event.dataset.PatientName and 0, 0xC211),
}


@pytest.mark.parametrize("name", HANDLERS)
def test_handlers_of_c_store(
    make_server: Callable[..., Server], name: str, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    handler, status = HANDLERS[name]
    server = make_server(evt_handlers=[(evt.EVT_C_STORE, handler)]).start()
    with server.connect() as peer:
        peer.associate(BOTH)
        data = DATA_SET[:-3] if name == "undecodable" else DATA_SET
        for number in range(2):
            answer = whole_store(peer, number + 1, data)
            assert isinstance(answer, C_STORE)
            assert (answer.Status, answer.MessageIDBeingRespondedTo) == (status, number + 1)
            assert "SECRET" not in (answer.ErrorComment or "")
        peer.echo()
        peer.release()
    check_log(caplog)


@pytest.mark.parametrize("name", [name for name in HANDLERS if name != "undecodable"])
def test_handlers_of_c_echo(make_server: Callable[..., Server], name: str) -> None:
    handler, status = HANDLERS[name]
    server = make_server(evt_handlers=[(evt.EVT_C_ECHO, handler)]).start()
    with server.connect() as peer:
        peer.associate()
        peer.send(echo_rq())
        # Whatever a handler does wrong, the peer has been verified.
        assert response(peer).Status == (status if status in (0xB000, 0x1234) else 0)
        peer.release()


def test_nobody_handles_c_store(make_server: Callable[..., Server]) -> None:
    server = make_server().start()
    server.server.unbind(evt.EVT_C_STORE, server._store)
    with server.connect() as peer:
        peer.associate(BOTH)
        assert whole_store(peer).Status == 0xC211
        peer.release()


def test_what_notification_handlers_do(make_server: Callable[..., Server]) -> None:
    """They harm nothing."""
    notified = [
        (event, raises(ValueError("no")))
        for event in (
            evt.EVT_ACCEPTED,
            evt.EVT_ACSE_RECV,
            evt.EVT_ACSE_SENT,
            evt.EVT_DATA_RECV,
            evt.EVT_DATA_SENT,
            evt.EVT_DIMSE_RECV,
            evt.EVT_DIMSE_SENT,
            evt.EVT_ESTABLISHED,
            evt.EVT_FSM_TRANSITION,
            evt.EVT_PDU_RECV,
            evt.EVT_PDU_SENT,
            evt.EVT_RELEASED,
            evt.EVT_REQUESTED,
        )
    ]
    server = make_server(evt_handlers=notified).start()
    with server.connect() as peer:
        peer.associate(BOTH)
        assert whole_store(peer).Status == 0
        peer.echo()
        peer.release()
    assert server.end().kind == "released"


# Logs


def check_log(caplog: pytest.LogCaptureFixture) -> None:
    """Nothing of the patient, and one event one line that shows no control characters."""
    formatter = logging.Formatter("%(message)s")
    for record in caplog.records:
        if record.levelno < logging.INFO:
            continue
        text = formatter.format(record)
        assert "SECRET" not in text
        assert len(text) < 1200
        assert text.isprintable(), text


HOSTILE = "E\x1b[31m\r\nOK\x00\x85"


def test_peers_text_in_logs(
    make_server: Callable[..., Server], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    server = make_server().start()
    instance = "1.2.3\r\n\x1b[31mSECRET"
    with server.connect() as peer:
        peer.associate(BOTH.replace(b"PEER            ", HOSTILE.encode("latin-1").ljust(16)))
        raw = store().replace(b"1.2.3.4\0", b"1\n\x1b[3m4\0")
        peer.send(p_data(pdv(3, 3, raw)) + fragmented(DATA_SET))
        assert response(peer).Status == 0
        raw = store(Priority=None).replace(b"1.2.3.4\0", b"1\n\x1b[3m4\0")
        peer.send(p_data(pdv(3, 3, raw)) + fragmented(DATA_SET))
        assert response(peer).Status == 0x0212
        peer.send(p_data(pdv(1, 3, store(has_data_set=False))))
        assert response(peer).Status == 0x0211
        peer.send(p_data(pdv(1, 3, b"\x1b[31m\r\n" * 9 + instance.encode())))
        assert peer.exactly(10) == abort(0, 0)
    server.end()
    with server.connect() as peer:
        server.ae.require_called_aet = True
        peer.send(request(called_ae_title="NOBODY").replace(b"NOBODY", b"\x1b[3m\r\n"))
        assert peer.pdu()[0] == 3
    server.end()
    with server.connect() as peer:
        peer.send(request().replace(b"1.2.840.10008.3.1.1.1", b"1.2\r\n\x1b[3m".ljust(21, b"1")))
        assert peer.pdu()[0] == 3
    server.end()
    messages = [record.getMessage() for record in caplog.records]
    assert any("accepted" in message for message in messages)
    check_log(caplog)


class Failing(logging.Handler):
    def emit(self, record: logging.LogRecord) -> None:
        raise OSError(errno.ENOSPC, "No space left for the log")


def test_a_log_that_cannot_be_written(
    server: Server, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    """Neither side's association notices, from its beginning to its end."""
    caplog.set_level(logging.DEBUG, "pynetdicom")
    logger, failing = logging.getLogger("pynetdicom"), Failing()
    logger.addHandler(failing)
    try:
        ae = AE()
        ae.add_requested_context(VERIFICATION)
        assoc = ae.associate(*server.address)
        assert assoc.send_c_echo().Status == 0
        assoc.release()
        assert assoc.is_released
        ended = server.end()
        assert (ended.kind, ended.by) == ("released", "peer")
        with server.connect() as peer:
            peer.associate(BOTH)
            peer.send(p_data(pdv(1, 3, b"junk")))
            assert peer.exactly(10) == abort(0, 0)
        assert server.end().by == "local"
    finally:
        logger.removeHandler(failing)
    assert "No space left for the log" in capsys.readouterr().err
    is_served(server.address)
