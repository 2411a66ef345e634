"""Events: their table, what handlers get, when they are called, and what becomes of errors."""

from __future__ import annotations

import copy
import pickle
import subprocess
import sys
import threading
import warnings
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from pydicom.dataset import Dataset
from pydicom.tag import Tag
from pydicom.uid import UID, DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit

from pynetdicom import AE, Association, evt
from pynetdicom.data_sets.data_set import InMemory
from pynetdicom.dimse import primitives as dimse
from pynetdicom.dimse.messages import Message
from pynetdicom.event_kinds import CLASSES, Event
from pynetdicom.handlers import Handlers
from pynetdicom.presentation import PresentationContext
from tests.faults.peer import Peer, request
from tests.pair import CT, EXPLICIT, IMPLICIT, VERIFICATION, Pair, Seen, acceptor_of, ended
from tests.peers import DEADLINE, ct

NOTIFICATION = [
    "CONN_OPEN", "CONN_CLOSE", "REQUESTED", "ACCEPTED", "REJECTED", "ESTABLISHED", "RELEASED",
    "ABORTED", "ACSE_RECV", "ACSE_SENT", "DIMSE_RECV", "DIMSE_SENT", "PDU_RECV", "PDU_SENT",
    "DATA_RECV", "DATA_SENT", "FSM_TRANSITION",
]  # fmt: skip
INTERVENTION = [
    "C_ECHO", "C_STORE", "C_FIND", "C_GET", "C_MOVE", "N_ACTION", "N_CREATE", "N_DELETE",
    "N_EVENT_REPORT", "N_GET", "N_SET", "ASYNC_OPS", "SOP_COMMON", "SOP_EXTENDED", "USER_ID",
]  # fmt: skip


# The table


@pytest.mark.parametrize("name", NOTIFICATION + INTERVENTION)
def test_event(name: str) -> None:
    event = getattr(evt, f"EVT_{name}")
    assert event.name == str(event) == f"EVT_{name}"
    assert event.description
    assert event.name in repr(event)
    assert event.is_intervention is (name in INTERVENTION)
    assert event.is_notification is (name in NOTIFICATION)
    assert isinstance(event, evt.InterventionEvent) is event.is_intervention
    assert isinstance(event, evt.NotificationEvent) is event.is_notification
    assert copy.deepcopy(event) is event
    assert pickle.loads(pickle.dumps(event)) is event


@pytest.mark.parametrize("name", NOTIFICATION + INTERVENTION)
def test_an_event_is_of_the_class_of_its_kind(name: str) -> None:
    event = getattr(evt, f"EVT_{name}")
    made = AE()._make_event(None, event, {}, None)
    cls = CLASSES[event]
    assert type(made) is cls
    assert isinstance(made, evt.Event)
    assert isinstance(made, evt.RequestEvent) is (name in REQUESTS)
    assert event.name in (cls.__doc__ or "")
    assert getattr(evt, cls.__name__) is cls
    assert pickle.loads(pickle.dumps(cls)) is cls


def test_there_are_no_others() -> None:
    ours = {name for name in dir(evt) if name.startswith("EVT_")}
    assert ours == {f"EVT_{name}" for name in NOTIFICATION + INTERVENTION}


# What a handler can ask


def make_event(
    event: evt.EventType, request: Any = None, transfer_syntax: str = IMPLICIT, **attrs: Any
) -> evt.Event:
    context = PresentationContext(CT, [transfer_syntax], 3)
    if request is not None:
        attrs |= {"request": request, "_context": context}
    return evt.Event(Association(AE(), "acceptor"), event, attrs)


def patient() -> InMemory:
    return InMemory(b"\x10\x00\x10\x00\x04\x00\x00\x00A^B ", IMPLICIT)


WHERE: dict[str, Any] = {"RequestedSOPClassUID": "1.2", "RequestedSOPInstanceUID": "1.2.3"}
AFFECTED: dict[str, Any] = {"AffectedSOPClassUID": "1.2", "AffectedSOPInstanceUID": "1.2.3"}
REQUESTS: dict[str, tuple[Any, dict[str, Any]]] = {
    # event: operation, and its parameters beside Message ID and data set
    "C_ECHO": (dimse.C_ECHO, {"AffectedSOPClassUID": VERIFICATION}),
    "C_STORE": (dimse.C_STORE, {"Priority": 0, **AFFECTED}),
    "C_FIND": (dimse.C_FIND, {"AffectedSOPClassUID": "1.2", "Priority": 0}),
    "C_GET": (dimse.C_GET, {"AffectedSOPClassUID": "1.2", "Priority": 0}),
    "C_MOVE": (
        dimse.C_MOVE,
        {"AffectedSOPClassUID": "1.2", "Priority": 0, "MoveDestination": "THERE"},
    ),
    "N_ACTION": (dimse.N_ACTION, {"ActionTypeID": 4, **WHERE}),
    "N_CREATE": (dimse.N_CREATE, AFFECTED),
    "N_DELETE": (dimse.N_DELETE, WHERE),
    "N_EVENT_REPORT": (dimse.N_EVENT_REPORT, {"EventTypeID": 5, **AFFECTED}),
    "N_GET": (dimse.N_GET, {"AttributeIdentifierList": [0x00100010, 0x00100020], **WHERE}),
    "N_SET": (dimse.N_SET, WHERE),
}
WITHOUT_DATA_SET = ("C_ECHO", "N_DELETE", "N_GET")
ATTRIBUTES: dict[str, set[str]] = {
    "C_ECHO": set(),
    "C_STORE": {"dataset", "file_meta", "dataset_path", "file_name"},
    "C_FIND": {"identifier"},
    "C_GET": {"identifier"},
    "C_MOVE": {"identifier", "move_destination"},
    "N_ACTION": {"action_type", "action_information"},
    "N_CREATE": {"attribute_list"},
    "N_DELETE": set(),
    "N_EVENT_REPORT": {"event_type", "event_information"},
    "N_GET": {"attribute_identifiers"},
    "N_SET": {"modification_list", "attribute_list"},
}
ALL_ATTRIBUTES = set().union(*ATTRIBUTES.values())


def request_event(name: str) -> evt.Event:
    operation, parameters = REQUESTS[name]
    data_set = {} if name in WITHOUT_DATA_SET else {"data_set": patient()}
    return make_event(getattr(evt, f"EVT_{name}"), operation(MessageID=9, **parameters, **data_set))


@pytest.mark.parametrize("name", REQUESTS)
def test_attributes_of_a_request(name: str) -> None:
    event = request_event(name)
    assert event.message_id == event.request.MessageID == 9
    assert event.context.context_id == 3
    assert event.context.abstract_syntax == CT
    assert event.context.transfer_syntax == IMPLICIT
    assert isinstance(event.timestamp, datetime)
    for attribute in ALL_ATTRIBUTES - ATTRIBUTES[name]:
        with pytest.raises(AttributeError, match=attribute):
            getattr(event, attribute)
    for attribute in ATTRIBUTES[name] - {"dataset_path"}:
        value = getattr(event, attribute)
        if hasattr(value, "PatientName"):
            assert value.PatientName == "A^B"
            assert getattr(event, attribute) is value
    assert event.is_cancelled is False
    if name != "C_STORE":
        with pytest.raises(AttributeError, match="encoded_dataset"):
            event.encoded_dataset()
        with pytest.raises(AttributeError, match="save_as"):
            event.save_as("nowhere")


def test_values_of_a_request() -> None:
    assert request_event("C_MOVE").move_destination == "THERE"
    assert request_event("C_FIND").is_cancelled is False
    assert request_event("N_ACTION").action_type == 4
    assert request_event("N_EVENT_REPORT").event_type == 5
    tags = request_event("N_GET").attribute_identifiers
    assert tags == [Tag(0x00100010), Tag(0x00100020)]


def test_optional_parts_that_are_missing() -> None:
    assert make_event(evt.EVT_N_GET, dimse.N_GET(MessageID=1, **WHERE)).attribute_identifiers == []
    request = dimse.N_ACTION(MessageID=1, ActionTypeID=1, **WHERE)
    assert len(make_event(evt.EVT_N_ACTION, request).action_information) == 0
    created = dimse.N_CREATE(MessageID=1, **AFFECTED)
    assert len(make_event(evt.EVT_N_CREATE, created).attribute_list) == 0


def test_received() -> None:
    event = request_event("C_STORE")
    assert event.received is event.request.data_set
    finding = request_event("C_FIND")
    assert finding.received is finding.request.data_set
    empty = make_event(evt.EVT_C_STORE, dimse.C_STORE(MessageID=1, Priority=0, **AFFECTED)).received
    assert (empty.getvalue(), empty.transfer_syntax) == (b"", IMPLICIT)
    request = dimse.N_ACTION(MessageID=1, ActionTypeID=1, **WHERE)
    for transfer_syntax in (DeflatedExplicitVRLittleEndian, JPEGBaseline8Bit):
        event = make_event(evt.EVT_N_ACTION, request, transfer_syntax)
        assert event.received.decode() == event.action_information == Dataset()
    with pytest.raises(AttributeError, match="received"):
        _ = make_event(evt.EVT_CONN_OPEN).received


def test_cancelled_once_the_association_has_ended() -> None:
    event = request_event("C_FIND")
    event.assoc.abort()
    assert event.is_cancelled is True


def test_notification_has_nothing_of_a_request() -> None:
    event = make_event(evt.EVT_CONN_OPEN, address=("127.0.0.1", 104))
    assert event.address == ("127.0.0.1", 104)
    assert event.is_cancelled is False
    for name in (*ALL_ATTRIBUTES, "request", "context", "message_id", "pdu", "nonsense"):
        with pytest.raises(AttributeError, match=name):
            getattr(event, name)
    with pytest.raises(AttributeError):
        event.encoded_dataset()


def test_an_event_made_by_hand_is_not_cancelled() -> None:
    """As tests of handlers make one, without a request."""
    assert evt.Event(None, evt.EVT_C_FIND).is_cancelled is False


def test_undecodable_data_set_raises_on_access() -> None:
    from pynetdicom.errors import DataSetDecodeError

    data_set = InMemory(b"\x10\x00\x10\x00\xff\x00\x00\x00A^B ", IMPLICIT)
    event = make_event(
        evt.EVT_C_STORE, dimse.C_STORE(MessageID=1, Priority=0, data_set=data_set, **AFFECTED)
    )
    for _ in range(2):
        with pytest.raises(DataSetDecodeError):
            _ = event.dataset
    assert event.encoded_dataset(include_meta=False) == data_set.getvalue()


# A C-STORE as it really arrives


def stored(size: int, tmp_path: Path, **kwargs: Any) -> dict[str, Any]:
    """What the handler of a C-STORE finds in its event."""
    found: dict[str, Any] = {}

    def handler(event: evt.Event) -> int:
        found["dataset"] = event.dataset
        found["same"] = event.dataset is event.dataset
        found["meta"] = event.file_meta
        found["file"] = event.encoded_dataset()
        found["encoded"] = event.encoded_dataset(include_meta=False)
        found["read"] = dcmread(event.dataset_path)
        found["path"] = event.dataset_path
        event.save_as(tmp_path / "saved.dcm")
        with pytest.raises(FileExistsError):
            event.save_as(tmp_path / "saved.dcm", overwrite=False)
        event.save_as(str(tmp_path / "saved.dcm"), overwrite=True, sync=True)
        found["context"] = event.context
        found["event"] = event
        return 0x0000

    with Pair(scp_handlers=[(evt.EVT_C_STORE, handler)]) as pair:
        assoc = pair.established()
        assert assoc.send_c_store(ct(size), **kwargs).Status == 0x0000
        assoc.release()
    return found


@pytest.mark.parametrize("size", [100, 300_000])
def test_event_of_a_c_store(size: int, tmp_path: Path) -> None:
    sent = ct(size)
    found = stored(size, tmp_path)
    assert found["dataset"] == sent
    assert found["same"]
    assert found["dataset"].file_meta.TransferSyntaxUID == IMPLICIT
    meta = found["meta"]
    assert meta.MediaStorageSOPClassUID == CT
    assert meta.MediaStorageSOPInstanceUID == "1.2.3.4"
    assert meta.TransferSyntaxUID == IMPLICIT
    assert found["file"][128:132] == b"DICM"
    assert found["file"].endswith(found["encoded"])
    assert (tmp_path / "saved.dcm").read_bytes() == found["file"]
    assert dcmread(tmp_path / "saved.dcm") == sent
    assert found["read"].SOPInstanceUID == "1.2.3.4"
    assert found["context"].transfer_syntax == IMPLICIT
    assert found["context"].abstract_syntax == CT


def test_decoded_data_set_stays_readable_after_the_handler(tmp_path: Path) -> None:
    found = stored(300_000, tmp_path)
    assert len(found["dataset"].EncapsulatedDocument) == 300_000
    assert not Path(found["path"]).exists()


def test_timestamps_are_in_the_order_of_what_happened() -> None:
    before = datetime.now()
    seen = Seen()
    handlers = [
        (event, lambda event: seen.add(event))
        for event in (evt.EVT_CONN_OPEN, evt.EVT_REQUESTED, evt.EVT_RELEASED, evt.EVT_CONN_CLOSE)
    ]
    with Pair(scp_handlers=handlers) as pair:
        pair.established().release()
        events = seen.wait(4)
    stamps = [event.timestamp for event in events]
    assert before <= stamps[0]
    assert stamps == sorted(stamps)
    assert stamps[-1] <= datetime.now()


# Binding


def echoes(status: int) -> Any:
    return lambda event, *args: status


def test_bound_with_arguments() -> None:
    seen = Seen()

    def handler(event: evt.Event, *args: Any) -> int:
        seen.add((event.event, args))
        return 0x0000

    handlers = [(evt.EVT_C_ECHO, handler, ["a", 2]), (evt.EVT_ESTABLISHED, handler, None)]
    with Pair(scp_handlers=handlers) as pair:
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0x0000
        acceptor_of(pair).bind(evt.EVT_C_ECHO, handler, [3])
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
    assert seen.notes == [
        (evt.EVT_ESTABLISHED, ()),
        (evt.EVT_C_ECHO, ("a", 2)),
        (evt.EVT_C_ECHO, (3,)),
    ]


def test_intervention_has_the_last_one_bound_and_its_default_back() -> None:
    first, second = echoes(0xC001), echoes(0xC002)
    with Pair() as pair:
        assoc = pair.established()
        acceptor = acceptor_of(pair)
        default = evt.get_default_handler(evt.EVT_C_ECHO)
        assert acceptor.get_handlers(evt.EVT_C_ECHO) == (default, None)
        acceptor.bind(evt.EVT_C_ECHO, first)
        assert assoc.send_c_echo().Status == 0xC001
        acceptor.bind(evt.EVT_C_ECHO, second, [1])
        assert acceptor.get_handlers(evt.EVT_C_ECHO) == (second, [1])
        assert assoc.send_c_echo().Status == 0xC002
        acceptor.unbind(evt.EVT_C_ECHO, first)
        assert assoc.send_c_echo().Status == 0xC002
        acceptor.unbind(evt.EVT_C_ECHO, second)
        assert assoc.send_c_echo().Status == 0x0000
        assert acceptor.get_handlers(evt.EVT_C_ECHO) == (default, None)
        acceptor.unbind(evt.EVT_C_ECHO, second)
        assoc.release()


def test_notification_has_all_that_are_bound_once_each() -> None:
    calls: list[str] = []

    def first(event: evt.Event) -> None:
        calls.append("first")

    def second(event: evt.Event) -> None:
        calls.append("second")

    with Pair() as pair:
        assoc = pair.established()
        for handler in (first, second, first):
            assoc.bind(evt.EVT_DIMSE_SENT, handler)
        assert assoc.get_handlers(evt.EVT_DIMSE_SENT) == [(first, None), (second, None)]
        assoc.send_c_echo()
        assert calls == ["first", "second"]
        assoc.unbind(evt.EVT_DIMSE_SENT, first)
        assoc.send_c_echo()
        assert calls == ["first", "second", "second"]
        assoc.unbind(evt.EVT_DIMSE_SENT, second)
        assoc.send_c_echo()
        assert len(calls) == 3
        assert assoc.get_handlers(evt.EVT_DIMSE_SENT) == []
        assoc.release()


def test_get_events() -> None:
    with Pair(scp_handlers=[(evt.EVT_C_STORE, echoes(0))]) as pair:
        assoc = pair.established()
        assert assoc.get_events() == []
        assoc.bind(evt.EVT_PDU_SENT, print)
        assoc.bind(evt.EVT_C_ECHO, echoes(0))
        assert assoc.get_events() == [evt.EVT_C_ECHO, evt.EVT_PDU_SENT]
        assoc.unbind(evt.EVT_PDU_SENT, print)
        assert assoc.get_events() == [evt.EVT_C_ECHO]
        assert pair.server.get_events() == acceptor_of(pair).get_events() == [evt.EVT_C_STORE]
        assoc.release()


def test_server_binds_on_associations_that_are_there_and_on_those_to_come() -> None:
    handler = echoes(0xC003)
    with Pair() as pair:
        first = pair.established()
        acceptor = acceptor_of(pair)
        pair.server.bind(evt.EVT_C_ECHO, handler)
        assert pair.server.get_handlers(evt.EVT_C_ECHO) == (handler, None)
        assert acceptor.get_handlers(evt.EVT_C_ECHO) == (handler, None)
        second = pair.established()
        assert [a.send_c_echo().Status for a in (first, second)] == [0xC003, 0xC003]
        acceptor.unbind(evt.EVT_C_ECHO, handler)
        assert [a.send_c_echo().Status for a in (first, second)] == [0x0000, 0xC003]
        pair.server.unbind(evt.EVT_C_ECHO, handler)
        third = pair.established()
        assert [a.send_c_echo().Status for a in (first, second, third)] == [0, 0, 0]
        pair.scu.shutdown()


@pytest.mark.parametrize(
    ("event", "handler"), [("EVT_C_ECHO", print), (None, print), (evt.EVT_C_ECHO, None)]
)
def test_what_cannot_be_bound(event: Any, handler: Any) -> None:
    with pytest.raises(TypeError):
        Association(AE(), "requestor").bind(event, handler)


def test_handler_may_unbind_itself() -> None:
    calls: list[str] = []

    def once(event: evt.Event) -> None:
        calls.append("once")
        event.assoc.unbind(event.event, once)

    with Pair() as pair:
        assoc = pair.established()
        assoc.bind(evt.EVT_DIMSE_SENT, once)
        assoc.bind(evt.EVT_DIMSE_SENT, lambda event: calls.append("always"))
        assoc.send_c_echo()
        assoc.send_c_echo()
        assoc.release()
    assert calls == ["once", "always", "always"]


# Errors


@pytest.mark.parametrize("error", [ValueError, SystemExit])
def test_what_notification_handlers_raise_is_logged_and_goes_no_further(
    error: type[BaseException], caplog: pytest.LogCaptureFixture
) -> None:
    seen = Seen()

    def fail(event: evt.Event) -> None:
        raise error("of a handler")

    def note(event: evt.Event) -> None:
        seen.add(event.event.name)

    handlers = [(event, fail) for event in evt.ALL_EVENTS.values() if event.is_notification]
    handlers += [(evt.EVT_CONN_CLOSE, note)]
    with Pair(scp_handlers=handlers, scu_handlers=handlers) as pair:
        assoc = pair.established()
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        assert assoc.is_released
        seen.wait(2)
    messages = " ".join(text for text in caplog.messages if f" raised {error.__name__} at " in text)
    assert "of a handler" not in caplog.text
    for name in NOTIFICATION:
        if name not in ("REJECTED", "ABORTED"):
            assert f"EVT_{name} " in messages


def test_trigger_gives_what_an_intervention_handler_gives_and_raises() -> None:
    def fail(event: evt.Event) -> None:
        raise KeyError("of a handler")

    assoc = Association(AE(), "requestor")
    assoc.bind(evt.EVT_ASYNC_OPS, lambda event: (event.nr_invoked, event.nr_performed))
    given = evt.trigger(assoc, evt.EVT_ASYNC_OPS, {"nr_invoked": 3, "nr_performed": 4})
    assert given == (3, 4)
    assoc.bind(evt.EVT_ASYNC_OPS, fail)
    with pytest.raises(KeyError):
        evt.trigger(assoc, evt.EVT_ASYNC_OPS, {})
    assert evt.trigger(assoc, evt.EVT_ACCEPTED) is None


# The order of events


class Tracks:
    """What happened on one side: on the wire, in the state machine, and to the user."""

    def __init__(self) -> None:
        self.seen = Seen()

    def handlers(self) -> list[tuple[Any, ...]]:
        return [(e, self.note) for e in evt.ALL_EVENTS.values() if e.is_notification]

    def note(self, event: evt.Event) -> None:
        kind = event.event.name.removeprefix("EVT_")
        if kind == "FSM_TRANSITION":
            what = f"{event.action} {event.fsm_event} {event.current_state}>{event.next_state}"
            self.seen.add(("fsm", what))
            return
        detail = ""
        if kind.startswith("PDU"):
            detail = type(event.pdu).__name__
        elif kind.startswith("ACSE"):
            detail = type(event.primitive).__name__
        elif kind.startswith("DIMSE"):
            detail = event.message.name
        elif kind.startswith("DATA"):
            assert isinstance(event.data, bytes)
            assert event.data
        elif kind.startswith("CONN"):
            host, port = event.address
            assert (host, port > 0) == ("127.0.0.1", True)
        track = "wire" if kind[:4] in ("DATA", "PDU_") else "user"
        self.seen.add((track, f"{kind} {detail}".strip()))

    def all(self) -> list[str]:
        return [what for _, what in self.seen.notes]

    def track(self, name: str) -> list[str]:
        return [what for track, what in self.seen.notes if track == name]

    def check(self, *, user: str, wire: str, fsm: str) -> None:
        assert self.track("user") == _lines(user)
        # Each direction by itself: an answer may come before the writer has told of its request.
        for direction in ("PDU_SENT", "PDU_RECV"):
            told = [line for line in self.track("wire") if line.startswith(direction)]
            assert told == [line for line in _lines(wire) if line.startswith(direction)]
        assert self.track("fsm") == _lines(fsm)

    def follow(self, *names: str) -> None:
        """The first of each come in this order, whatever is between them."""
        everything = self.all()
        places = [everything.index(name) for name in names]
        assert places == sorted(places)


def _lines(text: str) -> list[str]:
    return [line.strip() for line in text.strip().splitlines()]


class Sides:
    def __init__(self) -> None:
        self.scp, self.scu = Tracks(), Tracks()
        self.pair = Pair(scp_handlers=self.scp.handlers(), scu_handlers=self.scu.handlers())

    def __enter__(self) -> Sides:
        return self

    def __exit__(self, *error: object) -> None:
        self.pair.close()

    def wait(self) -> None:
        for side in (self.scp, self.scu):
            side.seen.wait_for(("user", "CONN_CLOSE"))


SCP_BEGINS = """
    CONN_OPEN
    ACSE_RECV A_ASSOCIATE
    REQUESTED
"""
SCU_BEGINS = """
    CONN_OPEN
    REQUESTED
    ACSE_SENT A_ASSOCIATE
    ACSE_RECV A_ASSOCIATE
"""
ACCEPTED_BY = """
    ACSE_SENT A_ASSOCIATE
    ACCEPTED
    ESTABLISHED
"""


def test_order_of_events_with_an_operation_and_release() -> None:
    with Sides() as sides:
        assoc = sides.pair.established()
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
        sides.wait()
    sides.scp.check(
        user=f"""{SCP_BEGINS.rstrip()}{ACCEPTED_BY.rstrip()}
            DIMSE_RECV C-ECHO-RQ
            DIMSE_SENT C-ECHO-RSP
            ACSE_RECV A_RELEASE
            ACSE_SENT A_RELEASE
            RELEASED
            CONN_CLOSE""",
        wire="""
            PDU_RECV A_ASSOCIATE_RQ
            PDU_SENT A_ASSOCIATE_AC
            PDU_RECV P_DATA_TF
            PDU_SENT P_DATA_TF
            PDU_RECV A_RELEASE_RQ
            PDU_SENT A_RELEASE_RP""",
        fsm="""
            AE-5 Evt5 Sta1>Sta2
            AE-6 Evt6 Sta2>Sta3
            AE-7 Evt7 Sta3>Sta6
            AR-2 Evt12 Sta6>Sta8
            AR-4 Evt14 Sta8>Sta13
            AR-5 Evt17 Sta13>Sta1""",
    )
    sides.scu.check(
        user=f"""{SCU_BEGINS.rstrip()}
            ACCEPTED
            ESTABLISHED
            DIMSE_SENT C-ECHO-RQ
            DIMSE_RECV C-ECHO-RSP
            ACSE_SENT A_RELEASE
            ACSE_RECV A_RELEASE
            RELEASED
            CONN_CLOSE""",
        wire="""
            PDU_SENT A_ASSOCIATE_RQ
            PDU_RECV A_ASSOCIATE_AC
            PDU_SENT P_DATA_TF
            PDU_RECV P_DATA_TF
            PDU_SENT A_RELEASE_RQ
            PDU_RECV A_RELEASE_RP""",
        fsm="""
            AE-1 Evt1 Sta1>Sta4
            AE-2 Evt2 Sta4>Sta5
            AE-3 Evt3 Sta5>Sta6
            AR-1 Evt11 Sta6>Sta7
            AR-3 Evt13 Sta7>Sta1""",
    )
    for side in (sides.scp, sides.scu):
        assert side.track("wire").count("DATA_RECV") >= 3
        assert side.track("wire").count("DATA_SENT") >= 3
        assert side.all()[-1] == "CONN_CLOSE"
    sides.scp.follow("CONN_OPEN", "DATA_RECV", "PDU_RECV A_ASSOCIATE_RQ", "ACSE_RECV A_ASSOCIATE")
    sides.scp.follow("REQUESTED", "PDU_SENT A_ASSOCIATE_AC", "ACSE_SENT A_ASSOCIATE")
    sides.scp.follow("PDU_RECV P_DATA_TF", "DIMSE_RECV C-ECHO-RQ")
    sides.scp.follow("DIMSE_RECV C-ECHO-RQ", "PDU_SENT P_DATA_TF", "DIMSE_SENT C-ECHO-RSP")
    sides.scp.follow("PDU_RECV A_RELEASE_RQ", "ACSE_RECV A_RELEASE", "PDU_SENT A_RELEASE_RP")
    sides.scu.follow("CONN_OPEN", "DATA_SENT", "PDU_SENT A_ASSOCIATE_RQ", "ACSE_SENT A_ASSOCIATE")
    sides.scu.follow("PDU_RECV A_ASSOCIATE_AC", "ACSE_RECV A_ASSOCIATE")
    sides.scu.follow("ESTABLISHED", "PDU_SENT P_DATA_TF", "DIMSE_SENT C-ECHO-RQ")
    sides.scu.follow("PDU_RECV P_DATA_TF", "DIMSE_RECV C-ECHO-RSP", "PDU_SENT A_RELEASE_RQ")
    sides.scu.follow("PDU_RECV A_RELEASE_RP", "ACSE_RECV A_RELEASE")


@pytest.mark.parametrize("by", ["scu", "scp"])
def test_order_of_events_of_an_abort(by: str) -> None:
    with Sides() as sides:
        assoc = sides.pair.established()
        acceptor = acceptor_of(sides.pair)
        (assoc if by == "scu" else acceptor).abort()
        sides.wait()
    aborting, aborted = (sides.scu, sides.scp) if by == "scu" else (sides.scp, sides.scu)
    assert aborting.track("user")[-3:] == ["ACSE_SENT A_ABORT", "ABORTED", "CONN_CLOSE"]
    assert aborting.track("fsm")[-2:] == ["AA-1 Evt15 Sta6>Sta13", "AR-5 Evt17 Sta13>Sta1"]
    assert aborting.track("wire")[-1] == "PDU_SENT A_ABORT"
    assert aborted.track("user")[-3:] == ["ACSE_RECV A_ABORT", "ABORTED", "CONN_CLOSE"]
    assert aborted.track("fsm")[-1] == "AA-3 Evt16 Sta6>Sta1"
    assert aborted.track("wire")[-1] == "PDU_RECV A_ABORT"


REJECTED_SCU = {
    "user": f"""{SCU_BEGINS.rstrip()}
        REJECTED
        CONN_CLOSE""",
    "wire": """
        PDU_SENT A_ASSOCIATE_RQ
        PDU_RECV A_ASSOCIATE_RJ""",
    "fsm": """
        AE-1 Evt1 Sta1>Sta4
        AE-2 Evt2 Sta4>Sta5
        AE-4 Evt4 Sta5>Sta1""",
}
REJECTED_SCP = {
    "user": f"""{SCP_BEGINS.rstrip()}
        ACSE_SENT A_ASSOCIATE
        REJECTED
        CONN_CLOSE""",
    "wire": """
        PDU_RECV A_ASSOCIATE_RQ
        PDU_SENT A_ASSOCIATE_RJ""",
}


def test_order_of_events_of_a_rejection() -> None:
    with Sides() as sides:
        sides.pair.scp.require_called_aet = True
        assert sides.pair.associate().is_rejected
        sides.wait()
    sides.scu.check(**REJECTED_SCU)
    sides.scp.check(
        **REJECTED_SCP,
        fsm="""
            AE-5 Evt5 Sta1>Sta2
            AE-6 Evt6 Sta2>Sta3
            AE-8 Evt8 Sta3>Sta13
            AR-5 Evt17 Sta13>Sta1""",
    )


def test_order_of_events_of_one_association_too_many() -> None:
    with Pair() as pair:
        pair.scp.maximum_associations = 1
        first = pair.established()
        scp, scu = Tracks(), Tracks()
        acceptor_of(pair)
        associations = Seen()
        for event, handler in scp.handlers():
            pair.server.bind(event, handler)
        pair.server.bind(evt.EVT_REJECTED, lambda event: associations.add(event.assoc))
        assoc = pair.associate(evt_handlers=scu.handlers(), ae_title="CALLED")
        assert assoc.is_rejected
        for side in (scp, scu):
            side.seen.wait_for(("user", "CONN_CLOSE"))
        scu.check(**REJECTED_SCU)
        scp.check(
            **REJECTED_SCP,
            fsm="""
                AE-5 Evt5 Sta1>Sta2
                AE-6 Evt6 Sta2>Sta13""",
        )
        (turned_away,) = associations.notes
        assert turned_away.is_rejected
        assert turned_away.requestor.ae_title == "SCU"
        assert turned_away.acceptor.ae_title == "SCP"
        ending = turned_away.ended
        assert (ending.result, ending.source, ending.reason) == (2, 3, 2)
        assert first.send_c_echo().Status == 0x0000
        first.release()


def test_events_of_a_connection_that_never_came_about(free_port: int) -> None:
    scu = AE()
    scu.add_requested_context(VERIFICATION)
    tracks = Tracks()
    assoc = scu.associate("127.0.0.1", free_port, evt_handlers=tracks.handlers())
    ended(assoc)
    assert "ABORTED" in tracks.track("user")
    assert "CONN_OPEN" not in tracks.all()
    assert "CONN_CLOSE" not in tracks.all()
    assert tracks.track("wire") == []


def test_values_of_dimse_and_acse_events() -> None:
    seen = Seen()
    handlers = [
        (e, lambda event: seen.add(event))
        for e in (evt.EVT_DIMSE_RECV, evt.EVT_DIMSE_SENT, evt.EVT_ACSE_RECV)
    ]
    with Pair(scp_handlers=[(evt.EVT_C_STORE, echoes(0xB000))]) as pair:
        assoc = pair.established(evt_handlers=handlers)
        assert assoc.send_c_store(ct(), msg_id=77).Status == 0xB000
        assoc.release()
    answer, sent, received, _ = seen.notes
    assert answer.primitive.result == 0
    assert answer.primitive.presentation_context_definition_results_list[0].result == 0
    assert isinstance(sent.message, Message)
    assert (sent.message.name, sent.message.context_id) == ("C-STORE-RQ", 3)
    assert sent.message.command_set.MessageID == 77
    assert sent.message.command_set.AffectedSOPInstanceUID == "1.2.3.4"
    assert received.message.command_set.Status == 0xB000
    assert received.message.command_set.MessageIDBeingRespondedTo == 77


# Handlers of EVT_REQUESTED that decide


@pytest.mark.parametrize(
    ("arguments", "outcome"),
    [((), (1, 1, 1)), ((2, 3, 2), (2, 3, 2)), ((1, 1, 7), (1, 1, 7))],
)
@pytest.mark.parametrize("through", ["assoc", "acse"])
def test_requested_handler_rejects(
    through: str, arguments: tuple[int, ...], outcome: tuple[int, int, int]
) -> None:
    tracks = Tracks()

    def refuse(event: evt.Event) -> None:
        if through == "assoc":
            event.assoc.reject(*arguments)
        else:
            event.assoc.acse.send_reject(*(arguments or outcome))

    with Pair(scp_handlers=[(evt.EVT_REQUESTED, refuse), *tracks.handlers()]) as pair:
        assoc = pair.associate()
        assert assoc.is_rejected
        assert not assoc.is_established
        ending = assoc.ended
        assert ending is not None
        assert (ending.result, ending.source, ending.reason) == outcome
        ended(assoc)
        tracks.seen.wait_for(("user", "CONN_CLOSE"))
    user = tracks.track("user")
    assert user.count("REJECTED") == user.count("ACSE_SENT A_ASSOCIATE") == 1
    assert not {"ACCEPTED", "ESTABLISHED", "ABORTED"} & set(user)


@pytest.mark.parametrize(
    ("abort", "source"),
    [
        (lambda assoc: assoc.abort(), 0),
        (lambda assoc: assoc.acse.send_abort(), 0),
        (lambda assoc: assoc.acse.send_abort(0), 0),
        (lambda assoc: assoc.acse.send_abort(2), 2),
    ],
)
def test_requested_handler_aborts(abort: Any, source: int) -> None:
    tracks = Tracks()
    handlers = [(evt.EVT_REQUESTED, lambda event: abort(event.assoc)), *tracks.handlers()]
    with Pair(scp_handlers=handlers) as pair:
        with Peer.connect(("127.0.0.1", pair.port)) as peer:
            peer.send(request())
            assert peer.pdu() == bytes((7, 0, 0, 0, 0, 4, 0, 0, source, 0))
        tracks.seen.wait_for(("user", "CONN_CLOSE"))
    user = tracks.track("user")
    assert "ABORTED" in user
    assert not {"ACCEPTED", "ESTABLISHED", "REJECTED"} & set(user)


@pytest.mark.parametrize("source", [1, 3, "user", None])
def test_abort_from_nowhere(source: Any) -> None:
    with pytest.raises(ValueError):
        Association(AE(), "requestor").acse.send_abort(source)


def test_requested_handler_that_rejects_with_what_the_standard_does_not_have(
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The handler's mistake is logged; nothing of it reaches the peer."""
    handlers = [(evt.EVT_REQUESTED, lambda event: event.assoc.reject(300, 1, 1))]
    with Pair(scp_handlers=handlers) as pair:
        assoc = pair.established()
        assoc.release()
    assert any("EVT_REQUESTED raised ValueError at " in text for text in caplog.messages)


def test_nothing_to_reject_once_it_is_accepted() -> None:
    with Pair() as pair:
        assoc = pair.established()
        for one in (assoc, acceptor_of(pair)):
            with pytest.raises(RuntimeError):
                one.reject()
            with pytest.raises(RuntimeError):
                one.acse.send_reject(1, 1, 1)
        assert assoc.send_c_echo().Status == 0x0000
        assoc.acse.send_release()
        assert assoc.is_released


def test_requested_handler_changes_what_the_acceptor_says() -> None:
    def change(event: evt.Event) -> None:
        acceptor = event.assoc.acceptor
        acceptor.maximum_length = 4321
        acceptor.implementation_version_name = "CHANGED"
        acceptor.supported_contexts = [PresentationContext(CT, [EXPLICIT, IMPLICIT])]

    with Pair(scp_handlers=[(evt.EVT_REQUESTED, change)]) as pair:
        assoc = pair.established()
        assert assoc.acceptor.maximum_length == 4321
        assert assoc.acceptor.implementation_version_name == "CHANGED"
        assert [c.abstract_syntax for c in assoc.accepted_contexts] == [CT]
        assoc.release()


def test_handlers_of_the_end_see_how_it_ended() -> None:
    seen = Seen()
    handlers = [
        (event, lambda event: seen.add((event.event.name, event.assoc.ended.kind)))
        for event in (evt.EVT_RELEASED, evt.EVT_ABORTED, evt.EVT_CONN_CLOSE)
    ]
    with Pair(scp_handlers=handlers) as pair:
        pair.established().release()
        assert seen.wait(2) == [("EVT_RELEASED", "released"), ("EVT_CONN_CLOSE", "released")]
        pair.established().abort()
        assert seen.wait(4)[2:] == [("EVT_ABORTED", "aborted"), ("EVT_CONN_CLOSE", "aborted")]


class _Midst:
    """A handler that something happens at while others are compared with it."""

    def __init__(self, happens: Any) -> None:
        self._happens = happens

    def __call__(self, event: evt.Event) -> None:
        pass

    def __eq__(self, other: object) -> bool:
        happens, self._happens = self._happens, lambda: None
        happens()
        return self is other

    __hash__ = None  # type: ignore[assignment]  # it is compared


@pytest.mark.parametrize("event", [evt.EVT_PDU_SENT, evt.EVT_DIMSE_SENT])
def test_bound_in_the_midst_of_binding(event: evt.EventType) -> None:
    """As a signal's handler may: neither waits for itself, and neither is lost."""

    def inner(happened: evt.Event) -> None:
        pass

    def outer(happened: evt.Event) -> None:
        pass

    assoc = Association(AE(), "requestor")
    first = _Midst(lambda: assoc.bind(event, inner))
    assoc.bind(event, first)
    assoc.bind(event, outer)
    assert [handler for handler, _ in assoc.get_handlers(event)] == [first, outer, inner]
    assoc.unbind(event, inner)
    assoc.unbind(event, outer)
    assoc.unbind(event, first)
    assert assoc.get_events() == assoc.get_handlers(event) == []


def test_who_watches_is_not_forgotten_when_another_thread_binds_meanwhile() -> None:
    """What follows from the handlers belongs to the change: a slower thread knows less."""
    others: list[threading.Thread] = []
    known: list[set[evt.EventType]] = []

    def changed(bound: Handlers) -> None:
        has = set(bound)
        if not others:
            other = threading.Thread(target=bound.bind, args=(evt.EVT_PDU_RECV, print))
            others.append(other)
            other.start()
            # It waits for this thread, or it is faster.
            while other.is_alive() and not bound._changes:
                pass
        known.append(has)

    Handlers(AE(), changed=changed).bind(evt.EVT_DIMSE_SENT, print)
    others[0].join()
    assert known[-1] == {evt.EVT_DIMSE_SENT, evt.EVT_PDU_RECV}


def test_what_is_bound_is_asked_for_while_somebody_binds() -> None:
    """So the listener does, for each peer."""
    handlers = Handlers(AE())

    class Bound(list[Any]):
        def __iter__(self) -> Any:
            handlers.bind(evt.EVT_RELEASED, print)
            return super().__iter__()

    handlers[evt.EVT_ABORTED] = Bound([(print, None)])
    assert handlers.specs() == [(evt.EVT_ABORTED, print, None)]
    assert evt.EVT_RELEASED in handlers


@pytest.mark.parametrize("keyword", ["AffectedSOPClassUID", "RequestedSOPClassUID"])
def test_uids_of_a_request_are_uids(keyword: str) -> None:
    """As scripts for 3.x take them, and as the peer has sent them: nothing is checked."""
    kind = dimse.N_ACTION if keyword.startswith("Requested") else dimse.C_STORE
    request = kind()
    request.__dict__[keyword] = VERIFICATION
    event = Event(None, evt.EVT_N_ACTION, {"request": request})
    uid = getattr(event.request, keyword)
    assert isinstance(uid, UID)
    assert (uid, uid.name, uid.keyword) == (VERIFICATION, "Verification SOP Class", "Verification")
    request.__dict__[keyword] = "no UID"
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        event = Event(None, evt.EVT_N_ACTION, {"request": request})
    assert getattr(event.request, keyword) == "no UID"


_WITHOUT_PYDICOM = """
import sys
from pynetdicom.dimse.primitives import C_STORE
from pynetdicom.event_kinds import Event
request = C_STORE()
request.__dict__["AffectedSOPClassUID"] = "1.2.840.10008.1.1"
uid = Event(None, None, {"request": request}).request.AffectedSOPClassUID
assert uid == "1.2.840.10008.1.1" and "pydicom" not in sys.modules
assert uid.name == "Verification SOP Class" and not hasattr(uid, "other")
"""


def test_uids_without_pydicom() -> None:
    """It is imported when it is asked for something."""
    subprocess.run([sys.executable, "-c", _WITHOUT_PYDICOM], check=True, timeout=DEADLINE)
