"""Wireshark as a witness: it decodes what we send without complaint."""

from __future__ import annotations

import contextlib
import os
import queue
import re
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from pydicom.datadict import keyword_for_tag
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import (
    CTImageStorage,
    RTConventionalMachineVerification,
    StudyRootQueryRetrieveInformationModelFind,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
    Verification,
)
from tests.apps.conftest import CT, MR, TEST_FILES
from tests.conftest import REQUIRE_INTEROP
from tests.interop.test_store_scp import Scp, make_scp
from tests.interop.test_store_scu import MR_IMPLICIT, SR, ae_for
from tests.peers import DEADLINE

__all__ = ["make_scp"]  # fixtures

FIELDS = [
    "_ws.expert.message",
    "_ws.malformed",
    "dicom.pdu.type",
    "dicom.assoc.ae.called",
    "dicom.assoc.ae.calling",
    "dicom.assoc.reject.result",
    "dicom.assoc.reject.source",
    "dicom.assoc.reject.reason",
    "dicom.assoc.abort.source",
    "dicom.pctx.id",
    "dicom.max_pdu_len",
    "dicom.userinfo.user_identify.type",
    "dicom.userinfo.rolesel.scprole",
    "dicom.pdv.flags",
    "dicom.pdv.len",
]


def cannot(reason: str) -> None:
    """Skips; also where interoperation is required: that is about DCMTK, not about this."""
    if os.environ.get(REQUIRE_INTEROP):
        pytest.xfail(reason)
    pytest.skip(reason)


_GROUP_LENGTH = 0x00000000
_ELEMENT = re.compile(r"\s+\((\w{4}),(\w{4})\)\s+\d+ .{45}(.*)")


class Message(NamedTuple):
    """What Wireshark says of a message: its elements' values as text, by keyword."""

    command: dict[str, str]
    data_set: dict[str, str]

    def fields(self) -> dict[str, int | str]:
        """The command set, without what it says of its own length."""
        named = re.compile(r".*\((0x\w+)\)|([\d.]+) \(.*")
        found: dict[str, int | str] = {}
        for keyword, text in self.command.items():
            known = named.fullmatch(text)
            value = (known[1] or known[2]) if known else text
            is_number = re.fullmatch(r"\d+|0x\w+", value)
            found[keyword] = int(value, 0) if is_number else value
        del found["CommandGroupLength"]
        return found


class Capture:
    """tshark, listening to one port on the loopback interface."""

    def __init__(self, port: int, path: Path) -> None:
        self._port = port
        self._path = path
        fields = [
            "-T",
            "fields",
            "-e",
            "tcp.srcport",
            "-e",
            "tcp.flags.fin",
            "-e",
            "tcp.flags.reset",
        ]
        self.process = subprocess.Popen(
            ["tshark", "-l", "-i", "lo", "-f", f"tcp port {port}", "-w", path, "-P", *fields],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self._said: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._packets: queue.SimpleQueue[str] = queue.SimpleQueue()
        self._readers = [
            threading.Thread(target=self._read, args=(self.process.stderr, self._said)),
            threading.Thread(target=self._read, args=(self.process.stdout, self._packets)),
        ]
        for reader in self._readers:
            reader.start()

    @staticmethod
    def _read(stream: Any, lines: queue.SimpleQueue[str]) -> None:
        for line in stream:
            lines.put(line)
        lines.put("")

    def wait_started(self) -> None:
        said = ""
        while "Capture started" not in said:
            line = self._said.get(timeout=DEADLINE)
            said += line
            if not line:
                cannot(f"tshark cannot capture here: {said}")

    def wait_closed(self) -> None:
        """Wait until both sides have been seen to close the connection."""
        closed = set()
        while len(closed) < 2:
            line = self._packets.get(timeout=DEADLINE)
            assert line, "tshark has ended"
            port, *flags = line.split()
            fin, reset = (flag in ("1", "True") for flag in flags)
            if reset:
                return
            if fin:
                closed.add(port)

    def stop(self) -> None:
        """End it; what was captured until then is in the file."""
        if self.process.poll() is None:
            self.process.send_signal(signal.SIGINT)
            try:
                self.process.wait(DEADLINE)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        for reader in self._readers:
            reader.join(DEADLINE)
        for stream in (self.process.stdout, self.process.stderr):
            assert stream is not None
            stream.close()

    def testimony(self) -> Witness:
        """End the capture and have it decoded."""
        self.stop()
        return Witness(self.decode())

    def messages(self) -> list[Message]:
        """End the capture; the DIMSE messages, in the order in which they were sent."""
        self.stop()
        command = ["tshark", "-r", self._path, "-d", f"tcp.port=={self._port},dicom"]
        result = subprocess.run(
            [*command, "-Y", "dicom", "-O", "dicom"],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        assert "alformed" not in result.stdout
        found: list[Message] = []
        for line in result.stdout.splitlines():
            if element := _ELEMENT.match(line):
                tag = int(element[1] + element[2], 16)
                if tag == _GROUP_LENGTH:
                    found.append(Message({}, {}))
                part = found[-1].command if tag < 0x00080000 else found[-1].data_set
                part[keyword_for_tag(tag)] = element[3].strip()
        return found

    def decode(self) -> list[dict[str, str]]:
        """The fields of each packet that holds DICOM; where one has several values, with commas."""
        wanted = [part for field in FIELDS for part in ("-e", field)]
        command = ["tshark", "-r", self._path, "-d", f"tcp.port=={self._port},dicom"]
        result = subprocess.run(
            [*command, "-Y", "dicom", "-T", "fields", "-E", "separator=;", *wanted],
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
            check=True,
        )
        lines = result.stdout.splitlines()
        return [dict(zip(FIELDS, line.split(";"), strict=True)) for line in lines]


@contextlib.contextmanager
def capturing(port: int, directory: Path) -> Iterator[Capture]:
    """What goes to a port of this machine, and comes from it, until the end."""
    if shutil.which("tshark") is None:
        cannot("tshark is not installed")
    if os.geteuid() != 0:
        cannot("only root may capture packets")
    capture = Capture(port, directory / "captured.pcapng")
    try:
        capture.wait_started()
        yield capture
    finally:
        capture.stop()


class Witness:
    """What Wireshark makes of it."""

    def __init__(self, packets: list[dict[str, str]]) -> None:
        self.packets = packets

    def complaints(self) -> list[str]:
        """What it holds against DICOM; that a window was full is TCP's business."""
        messages = [packet["_ws.expert.message"] for packet in self.packets]
        return [text for text in messages if text and not text.startswith("TCP ")]

    def values(self, field: str) -> list[str]:
        return [value for packet in self.packets for value in packet[field].split(",") if value]


@pytest.fixture
def witnessed(make_scp: Any, tmp_path: Path) -> Iterator[tuple[Scp, Capture]]:
    """A Storage SCP of ours, and a witness of what is said to it."""
    scp = make_scp().start(
        evt_handlers=[
            (evt.EVT_USER_ID, lambda event: (True, b"welcome")),
            (evt.EVT_ASYNC_OPS, lambda event: (event.nr_invoked, event.nr_performed)),
            (evt.EVT_SOP_EXTENDED, lambda event: event.app_info),
        ]
    )
    with capturing(scp.port, tmp_path) as capture:
        yield scp, capture


def everything() -> list[Any]:
    """One of each item of extended negotiation."""
    window = AsynchronousOperationsWindowNegotiation()
    window.maximum_number_operations_invoked = 1
    window.maximum_number_operations_performed = 1
    extended = SOPClassExtendedNegotiation()
    extended.sop_class_uid = CTImageStorage
    extended.service_class_application_information = b"\x02\x00\x03\x00\x01\x00"
    common = SOPClassCommonExtendedNegotiation()
    common.sop_class_uid = CTImageStorage
    common.service_class_uid = "1.2.840.10008.4.2"
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field = b"alice"
    identity.secondary_field = b"secret"
    identity.positive_response_requested = True
    role = build_role(CTImageStorage, scu_role=True, scp_role=True)
    return [window, extended, common, identity, role]


def test_an_association(witnessed: tuple[Scp, Capture]) -> None:
    scp, capture = witnessed
    # Not compressed ones: Wireshark misreads the responses there, between DCMTK's own tools too.
    files = [CT, MR, SR, MR_IMPLICIT, TEST_FILES / "examples_overlay.dcm"]
    ae = ae_for(files)
    ae.add_requested_context(Verification)
    assoc = ae.associate("127.0.0.1", scp.port, ae_title="WITNESSED", ext_neg=everything())
    assert assoc.is_established, assoc.ended
    assert assoc.send_c_echo().Status == 0x0000
    assert {status.Status for _, status in assoc.send_c_stores(files)} == {0x0000}
    assoc.release()
    assert assoc.is_released
    capture.wait_closed()
    witness = capture.testimony()
    assert witness.values("_ws.malformed") == []
    assert witness.complaints() == []
    kinds = witness.values("dicom.pdu.type")
    assert [kind for kind in kinds if kind != "0x04"] == ["0x01", "0x02", "0x05", "0x06"]
    assert {name.strip() for name in witness.values("dicom.assoc.ae.called")} == {"WITNESSED"}
    assert {name.strip() for name in witness.values("dicom.assoc.ae.calling")} == {"STORESCU"}
    ids = [context.context_id for context in assoc.accepted_contexts]
    assert [int(number, 0) for number in witness.values("dicom.pctx.id")] == ids * 2
    assert witness.values("dicom.max_pdu_len") == ["16382", "16382"]
    assert [int(v, 0) for v in witness.values("dicom.userinfo.user_identify.type")] == [2]
    assert int(witness.values("dicom.userinfo.rolesel.scprole")[0], 0) == 1
    flags = [int(value, 16) for value in witness.values("dicom.pdv.flags")]
    # A command each way for the echo, a data set besides for the others.
    assert flags.count(3) == 2 * (1 + len(files))
    assert flags.count(2) == len(files)
    lengths = [int(value) for value in witness.values("dicom.pdv.len")]
    assert all(length % 2 == 0 for length in lengths)
    assert max(lengths) <= 16382 - 4


def test_other_ends(witnessed: tuple[Scp, Capture]) -> None:
    """A rejection and an abort are what they are, and nothing else is wrong."""
    scp, capture = witnessed
    scp.ae.require_called_aet = True
    ae = AE()
    ae.add_requested_context(Verification)
    assert ae.associate("127.0.0.1", scp.port, ae_title="NOBODY").is_rejected
    capture.wait_closed()
    assoc = ae.associate("127.0.0.1", scp.port, ae_title="ANY-SCP")
    assert assoc.send_c_echo().Status == 0x0000
    assoc.abort()
    capture.wait_closed()
    witness = capture.testimony()
    assert witness.values("_ws.malformed") == []
    kinds = witness.values("dicom.pdu.type")
    assert kinds == ["0x01", "0x03", "0x01", "0x02", "0x04", "0x04", "0x07"]
    rejections = ["result", "source", "reason"]
    given = [witness.values(f"dicom.assoc.reject.{name}") for name in rejections]
    assert given == [["1"], ["1"], ["7"]]
    assert witness.values("dicom.assoc.abort.source") == ["0"]


RT = str(RTConventionalMachineVerification)
INSTANCE = "1.3.6.1.4.1.5962.1.1.1.1.1.20040119072730.12322"  # the CT image
FIND = str(StudyRootQueryRetrieveInformationModelFind)
GET = str(StudyRootQueryRetrieveInformationModelGet)
MOVE = str(StudyRootQueryRetrieveInformationModelMove)


def named(name: str) -> Dataset:
    made = Dataset()
    made.PatientName = name
    return made


def affected(instance: str = "", sop_class: str = RT) -> dict[str, str]:
    instances = {"AffectedSOPInstanceUID": instance} if instance else {}
    return {"AffectedSOPClassUID": sop_class, **instances}


def requested(instance: str) -> dict[str, str]:
    return {"RequestedSOPClassUID": RT, "RequestedSOPInstanceUID": instance}


NO_SUB_OPERATIONS = {
    f"NumberOf{kind}Suboperations": 0 for kind in ("Completed", "Failed", "Warning")
}


class Exchange(NamedTuple):
    """A request, and what has to be in it and in its responses."""

    call: Any
    name: str
    request: dict[str, Any]
    responses: list[tuple[int, dict[str, Any]]]
    """By their statuses."""
    has_data: tuple[bool, ...]
    """Whether there is a data set, in the request and in each response."""


EXCHANGES = [
    Exchange(
        lambda assoc, number: assoc.send_n_event_report(named("RQ"), 2, RT, "1.2.1", number),
        "N-EVENT-REPORT",
        {**affected("1.2.1"), "EventTypeID": 2},
        [(0x0000, {**affected("1.2.1"), "EventTypeID": 2})],
        (True, True),
    ),
    Exchange(
        lambda assoc, number: assoc.send_n_get([0x00100010, 0x00100020], RT, "1.2.2", number),
        "N-GET",
        {**requested("1.2.2"), "AttributeIdentifierList": "(0010,0010)(0010,0020)"},
        [(0x0107, affected("1.2.2"))],
        (False, True),
    ),
    Exchange(
        lambda assoc, number: assoc.send_n_set(named("RQ"), RT, "1.2.3", number),
        "N-SET",
        requested("1.2.3"),
        [(0x0116, affected("1.2.3"))],
        (True, True),
    ),
    Exchange(
        lambda assoc, number: assoc.send_n_action(named("RQ"), 1, RT, "1.2.4", number),
        "N-ACTION",
        {**requested("1.2.4"), "ActionTypeID": 1},
        [(0xC112, {**affected("1.2.4"), "ActionTypeID": 1})],
        (True, False),
    ),
    Exchange(
        lambda assoc, number: assoc.send_n_create(named("RQ"), RT, "1.2.5", number),
        "N-CREATE",
        affected("1.2.5"),
        [(0x0111, affected("1.2.5"))],
        (True, False),
    ),
    Exchange(
        lambda assoc, number: assoc.send_n_delete(RT, "1.2.6", number),
        "N-DELETE",
        requested("1.2.6"),
        [(0x0112, affected("1.2.6"))],
        (False, False),
    ),
    Exchange(
        lambda assoc, number: assoc.send_c_echo(number),
        "C-ECHO",
        affected(sop_class=str(Verification)),
        [(0x0000, affected(sop_class=str(Verification)))],
        (False, False),
    ),
    Exchange(
        lambda assoc, number: assoc.send_c_store(CT, number),
        "C-STORE",
        {**affected(INSTANCE, CTImageStorage), "Priority": 2},
        [(0xB000, affected(INSTANCE, CTImageStorage))],
        (True, False),
    ),
    Exchange(
        lambda assoc, number: list(assoc.send_c_find(study(), FIND, number)),
        "C-FIND",
        {**affected(sop_class=FIND), "Priority": 2},
        [(0xFF00, affected(sop_class=FIND)), (0x0000, affected(sop_class=FIND))],
        (True, True, False),
    ),
    Exchange(
        lambda assoc, number: list(assoc.send_c_get(study(), GET, number)),
        "C-GET",
        {**affected(sop_class=GET), "Priority": 2},
        [(0x0000, {**affected(sop_class=GET), **NO_SUB_OPERATIONS})],
        (True, False),
    ),
    Exchange(
        lambda assoc, number: list(assoc.send_c_move(study(), "NOWHERE", MOVE, number)),
        "C-MOVE",
        {**affected(sop_class=MOVE), "MoveDestination": "NOWHERE", "Priority": 2},
        [(0xA801, {**affected(sop_class=MOVE), "ErrorComment": "Unknown move destination"})],
        (True, True),
    ),
]


def study() -> Dataset:
    wanted = named("RQ")
    wanted.QueryRetrieveLevel = "STUDY"
    wanted.StudyInstanceUID = "1.2"
    return wanted


def test_each_message(tmp_path: Path) -> None:
    """Of each Wireshark says what was meant; also of a C-CANCEL, which nobody answers."""
    statuses = {ex.name: ex.responses[-1][0] for ex in EXCHANGES}

    def handle(event: Any) -> Any:
        status = statuses[event.request.name]
        return status, named("RSP") if status in (0x0000, 0x0107, 0x0116) else None

    def find(event: Any) -> Iterator[Any]:
        yield 0xFF00, study()

    ae = AE("WITNESSED")
    for uid in (RT, Verification, CTImageStorage, FIND, GET, MOVE):
        ae.add_supported_context(uid, scu_role=True, scp_role=True)
        ae.add_requested_context(uid)
    n_services = ("EVENT_REPORT", "GET", "SET", "ACTION", "CREATE")
    server = ae.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[
            *((getattr(evt, f"EVT_N_{name}"), handle) for name in n_services),
            (evt.EVT_N_DELETE, lambda event: statuses["N-DELETE"]),
            (evt.EVT_C_STORE, lambda event: statuses["C-STORE"]),
            (evt.EVT_C_FIND, find),
            (evt.EVT_C_GET, lambda event: iter([0])),
            (evt.EVT_C_MOVE, lambda event: iter([(None, None)])),
        ],
    )
    with capturing(server.server_address[1], tmp_path) as capture:
        roles = [build_role(RT, scu_role=True, scp_role=True)]
        assoc = ae.associate("127.0.0.1", server.server_address[1], ext_neg=roles)
        assert assoc.is_established, assoc.ended
        for number, exchange in enumerate(EXCHANGES, 11):
            exchange.call(assoc, number)
        assoc.send_c_cancel(77, query_model=FIND)
        assoc.release()
        capture.wait_closed()
        messages = capture.messages()
    ae.shutdown()
    *messages, cancel = messages
    assert cancel.fields() == {
        "CommandField": "C-CANCEL-RQ",
        "MessageIDBeingRespondedTo": 77,
        "CommandDataSetType": 257,
    }
    told = iter(messages)
    for number, exchange in enumerate(EXCHANGES, 11):
        sent: list[dict[str, Any]] = [
            {"CommandField": f"{exchange.name}-RQ", "MessageID": number, **exchange.request}
        ]
        for status, fields in exchange.responses:
            answered = {"MessageIDBeingRespondedTo": number, "Status": status}
            sent.append({"CommandField": f"{exchange.name}-RSP", **answered, **fields})
        for command, has_data in zip(sent, exchange.has_data, strict=True):
            message = next(told)
            assert message.fields() == {**command, "CommandDataSetType": 1 if has_data else 257}
            assert bool(message.data_set) == has_data
            if has_data and exchange.name.startswith("N-"):
                name = "RSP" if "Status" in command else "RQ"
                assert message.data_set == {"PatientName": name}
    assert list(told) == []
