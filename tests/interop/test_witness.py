"""Wireshark as a witness: it decodes what we send without complaint."""

from __future__ import annotations

import os
import queue
import shutil
import signal
import subprocess
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, build_role, evt
from pynetdicom.pdu_primitives import (
    AsynchronousOperationsWindowNegotiation,
    SOPClassCommonExtendedNegotiation,
    SOPClassExtendedNegotiation,
    UserIdentityNegotiation,
)
from pynetdicom.sop_class import CTImageStorage, Verification
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
    if shutil.which("tshark") is None:
        cannot("tshark is not installed")
    if os.geteuid() != 0:
        cannot("only root may capture packets")
    scp = make_scp().start(
        evt_handlers=[
            (evt.EVT_USER_ID, lambda event: (True, b"welcome")),
            (evt.EVT_ASYNC_OPS, lambda event: (event.nr_invoked, event.nr_performed)),
            (evt.EVT_SOP_EXTENDED, lambda event: event.app_info),
        ]
    )
    capture = Capture(scp.port, tmp_path / "captured.pcapng")
    try:
        capture.wait_started()
        yield scp, capture
    finally:
        capture.stop()


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
