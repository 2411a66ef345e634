"""`ScriptedPeer`: both sides of an association, PDU by PDU, and what failures say."""

from __future__ import annotations

import socket
import struct
from typing import Any

import pytest

from pynetdicom import AE
from pynetdicom.dimse.primitives import C_ECHO
from pynetdicom.sop_class import CTImageStorage, Verification
from pynetdicom.testing import DicomFactory, DicomSCP, ScriptedPeer, TLSPair, Unexpected
from pynetdicom.testing.listening import Listener
from pynetdicom.testing.plugin import ScriptedPeers
from pynetdicom.upper_layer import pdu as pdus


def echoing(peer: ScriptedPeer) -> None:
    peer.expect("A-ASSOCIATE-RQ")
    peer.send("A-ASSOCIATE-AC")
    peer.expect("C-ECHO-RQ")
    peer.send("C-ECHO-RSP")
    peer.expect("A-RELEASE-RQ")
    peer.send("A-RELEASE-RP")


def scu(*uids: str) -> AE:
    ae = AE("SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 3600
    for uid in uids or (Verification, CTImageStorage):
        ae.add_requested_context(uid)
    return ae


def test_the_acceptor(scripted_peer: ScriptedPeers) -> None:
    listener = scripted_peer.listen(echoing)
    assoc = scu().associate(*listener.address)
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert assoc.is_released


def test_the_requestor(scripted_peer: ScriptedPeers, dicom_scp: DicomSCP) -> None:
    peer = scripted_peer.connect(dicom_scp.address)
    peer.send("A-ASSOCIATE-RQ", [Verification, (CTImageStorage, ["1.2.840.10008.1.2.1"])])
    assert isinstance(peer.expect("A-ASSOCIATE-AC"), pdus.A_ASSOCIATE_AC)
    assert peer.contexts[3] == (CTImageStorage, "1.2.840.10008.1.2.1")
    peer.send("C-ECHO-RQ")
    answer = peer.expect("C-ECHO-RSP")
    assert (answer.context_id, answer.primitive.Status, answer.dataset) == (1, 0x0000, None)
    ct = DicomFactory()()
    uids = {"AffectedSOPClassUID": CTImageStorage, "AffectedSOPInstanceUID": ct.SOPInstanceUID}
    peer.send("C-STORE-RQ", data_set=ct, **uids)
    assert peer.expect("C-STORE-RSP").context_id == 3
    peer.send("A-RELEASE-RQ")
    peer.expect("A-RELEASE-RP")
    assert dicom_scp.stored[0].dataset == ct
    assert dicom_scp.stored[0].message_id == 2


def test_a_message_in_its_parts(scripted_peer: ScriptedPeers, dicom_scp: DicomSCP) -> None:
    """As whoever tests framing wants it: any bytes, in any pieces."""
    peer = scripted_peer.connect(dicom_scp.address)
    peer.send("A-ASSOCIATE-RQ")
    peer.expect("A-ASSOCIATE-AC")
    command = C_ECHO(MessageID=7, AffectedSOPClassUID=Verification)
    for byte in peer.encoded(command):
        peer.send(bytes((byte,)))
    header = peer.exactly(6)
    assert header[0] == 4
    peer.exactly(int.from_bytes(header[2:], "big"))
    peer.send("A-ABORT", source=2, reason=6)
    assert peer.rest() == b""
    assert dicom_scp.wait_for_end()[0].ended == "aborted"


@pytest.mark.parametrize(
    ("sent", "came"),
    [
        (pdus.A_ABORT(source=2, reason=6).encode(), r"but A-ABORT \(source 2, reason 6\) came"),
        (
            pdus.A_ASSOCIATE_RJ(result=1, source=3, reason=2).encode(),
            r"but A-ASSOCIATE-RJ \(result 1, source 3, reason 2\) came",
        ),
        (b"", "but the connection was closed"),
        (b"\x04\0", "but the connection was closed"),
        (struct.pack(">BxI", 4, 0xFFFFFFFF), "a PDU of 4294967295 bytes"),
    ],
)
def test_what_came_instead_is_said(sent: bytes, came: str) -> None:
    def talk(sock: socket.socket) -> None:
        sock.sendall(sent)

    listener = Listener(talk)
    with ScriptedPeer.connect(listener.address) as peer, pytest.raises(Unexpected, match=came):
        peer.expect("A-ASSOCIATE-AC")
    listener.close()


def test_what_does_not_come_is_waited_for_so_long(dicom_scp: DicomSCP) -> None:
    with ScriptedPeer.connect(dicom_scp.address, timeout=0.05) as peer:
        with pytest.raises(Unexpected, match=r"expected A-ABORT, but nothing came within 0\.05 s"):
            peer.expect("A-ABORT")
        with pytest.raises(Unexpected, match=r"it was not closed within 0\.05 s"):
            peer.expect_close()
        peer.send("A-ASSOCIATE-RQ")
        with pytest.raises(Unexpected, match="expected a close, but A-ASSOCIATE-AC came"):
            ScriptedPeer.expect_close(closing(peer))


def closing(peer: ScriptedPeer) -> ScriptedPeer:
    """Say that nothing more will be said, which the other side answers with a close."""
    peer.shut()
    return peer


def test_a_reset_is_said(scripted_peer: ScriptedPeers) -> None:
    def script(peer: ScriptedPeer) -> None:
        peer.expect("A-ASSOCIATE-RQ")
        peer.reset()

    peer = scripted_peer.connect(scripted_peer.listen(script).address)
    peer.send("A-ASSOCIATE-RQ")
    with pytest.raises(Unexpected, match="but the connection broke"):
        peer.expect("A-ASSOCIATE-AC")


def test_a_script_that_fails_is_raised_at_the_end() -> None:
    def talks() -> None:
        with ScriptedPeer.listen(lambda peer: peer.expect("A-ABORT")) as listener:
            scu().associate("127.0.0.1", listener.port)

    with pytest.raises(Unexpected, match="expected A-ABORT, but A-ASSOCIATE-RQ came"):
        talks()


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("A-ASSOCIATE-AC", "no A-ASSOCIATE-RQ came"),
        ("C-ECHO-RSP", "no C-ECHO-RQ came"),
        ("C-SHOP-RQ", "C-SHOP-RQ is none of A-ASSOCIATE-RQ, "),
    ],
)
def test_what_cannot_be_said_is_refused(name: str, says: str, dicom_scp: DicomSCP) -> None:
    with ScriptedPeer.connect(dicom_scp.address) as peer, pytest.raises(ValueError, match=says):
        peer.send(name)


def test_over_tls(dicom_tls: TLSPair) -> None:
    with ScriptedPeer.listen(echoing, tls=dicom_tls.server) as listener:
        ae = scu()
        assoc = ae.associate(*listener.address, tls_args=(dicom_tls.client, "localhost"))
        assert assoc.send_c_echo().Status == 0x0000
        assoc.release()
    with (
        DicomSCP(tls=dicom_tls.server) as scp,
        ScriptedPeer.connect(scp.address, tls=dicom_tls.client) as peer,
    ):
        peer.send("A-ASSOCIATE-RQ")
        peer.expect("A-ASSOCIATE-AC")
        peer.send("A-ABORT")


def test_responses_of_each_operation(dicom_scp: DicomSCP) -> None:
    """What a message has to have is filled in."""
    with ScriptedPeer.connect(dicom_scp.address) as peer:
        peer.send("A-ASSOCIATE-RQ", ["1.2.3"])
        peer.expect("A-ASSOCIATE-AC")
        needs: dict[str, dict[str, Any]] = {
            "C-FIND": {"data_set": b""},
            "C-GET": {"data_set": b""},
            "N-GET": {},
            "N-DELETE": {},
            "N-ACTION": {"ActionTypeID": 1},
            "N-EVENT-REPORT": {"EventTypeID": 1},
        }
        for name, fields in needs.items():
            what = "Affected" if name in ("C-FIND", "C-GET", "N-EVENT-REPORT") else "Requested"
            peer.send(f"{name}-RQ", **{f"{what}SOPClassUID": "1.2.3", **fields})
            assert peer.receive().name == f"{name}-RSP"
        peer.send("A-ABORT")
