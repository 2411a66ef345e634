"""Association negotiation with DCMTK's tools, in both directions."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE, evt
from pynetdicom.pdu_primitives import UserIdentityNegotiation
from pynetdicom.sop_class import CTImageStorage, Verification
from tests.apps.conftest import CT, MR
from tests.conftest import find_free_port
from tests.interop.test_store_scp import Scp, make_scp, scp
from tests.interop.test_store_scu import ae_for
from tests.sampled import sampled

__all__ = ["make_scp", "scp"]  # fixtures


@pytest.fixture
def ae() -> AE:
    ae = AE("ECHOSCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    ae.add_requested_context(Verification)
    return ae


# DCMTK requests


@sampled("count", [1, 3, 38])
def test_many_transfer_syntaxes(dcmtk: Any, scp: Scp, count: int) -> None:
    dcmtk.run("echoscu", "-pts", count, "127.0.0.1", scp.port, check=True)
    assert str(scp.ended()) == "released by the peer"
    (context,) = scp.associations[0].accepted_contexts
    assert context.transfer_syntax == ["1.2.840.10008.1.2"]


def test_many_contexts(dcmtk: Any, scp: Scp) -> None:
    result = dcmtk.run("echoscu", "-v", "-ppc", 128, "-pts", 38, "127.0.0.1", scp.port, check=True)
    assert "Received Echo Response (Success)" in result.stdout
    assert str(scp.ended()) == "released by the peer"
    accepted = scp.associations[0].accepted_contexts
    assert [context.context_id for context in accepted] == list(range(1, 257, 2))


def test_repeat(dcmtk: Any, scp: Scp) -> None:
    result = dcmtk.run("echoscu", "-v", "--repeat", 50, "127.0.0.1", scp.port, check=True)
    assert result.stdout.count("Received Echo Response (Success)") == 50
    assert str(scp.ended()) == "released by the peer"
    assert len(scp.associations) == 1


@sampled("tool", ["echoscu", "storescu"])
def test_dcmtk_aborts(dcmtk: Any, scp: Scp, tool: str) -> None:
    files = [CT] if tool == "storescu" else []
    dcmtk.run(tool, "--abort", "127.0.0.1", scp.port, *files, check=True)
    ended = scp.ended()
    assert (ended.kind, ended.by, ended.source) == ("aborted", "peer", 0)
    assert scp.associations[0].is_aborted
    dcmtk.run("echoscu", "127.0.0.1", scp.port, check=True)


def assert_rejected(result: Any, how: str, source: str, why: str) -> None:
    assert result.returncode != 0
    assert f"Result: Rejected {how}, Source: Service {source}" in result.stdout
    assert f"Reason: {why}" in result.stdout


@sampled("tool", ["echoscu", "storescu"])
def test_the_called_title(dcmtk: Any, scp: Scp, tool: str) -> None:
    scp.ae.require_called_aet = True
    files = [CT] if tool == "storescu" else []
    result = dcmtk.run(tool, "-aec", "OTHER", "127.0.0.1", scp.port, *files)
    assert_rejected(result, "Permanent", "User", "Called AE Title Not Recognized")
    assert scp.ended().kind == "rejected"
    dcmtk.run(tool, "-aec", "ANY-SCP", "127.0.0.1", scp.port, *files, check=True)
    assert scp.ended().kind == "released"


def test_the_calling_title(dcmtk: Any, scp: Scp) -> None:
    scp.ae.require_calling_aet = ["FRIEND", "SIXTEEN CHARS AE"]
    result = dcmtk.run("echoscu", "-aet", "STRANGER", "127.0.0.1", scp.port)
    assert_rejected(result, "Permanent", "User", "Calling AE Title Not Recognized")
    assert scp.ended().kind == "rejected"
    for title in scp.ae.require_calling_aet:
        dcmtk.run("echoscu", "-aet", title, "127.0.0.1", scp.port, check=True)
        assert scp.ended().kind == "released"


def test_too_many_associations(dcmtk: Any, scp: Scp, ae: AE) -> None:
    scp.ae.maximum_associations = 1
    first = ae.associate("127.0.0.1", scp.port)
    assert first.is_established
    result = dcmtk.run("echoscu", "127.0.0.1", scp.port)
    assert_rejected(result, "Transient", "Provider (Presentation Related)", "Local Limit Exceeded")
    assert scp.ended().kind == "rejected"
    first.release()
    assert scp.ended().kind == "released"
    dcmtk.run("echoscu", "127.0.0.1", scp.port, check=True)


def test_no_context_fits(dcmtk: Any, make_scp: Any) -> None:
    scp = make_scp()
    scp.ae.supported_contexts = []
    scp.ae.add_supported_context(Verification)
    scp.start()
    result = dcmtk.run("storescu", "127.0.0.1", scp.port, CT)
    assert result.returncode != 0
    assert "No Acceptable Presentation Contexts" in result.stdout
    assert scp.stored == []
    scp.ended()
    dcmtk.run("echoscu", "127.0.0.1", scp.port, check=True)


IDENTITIES = {
    ("-usr", "alice"): (1, b"alice", b""),
    ("-usr", "alice", "-pwd", "secret"): (2, b"alice", b"secret"),
    ("-usr", "alice", "-epw"): (2, b"alice", b""),
    ("-kt", "TOKEN"): (3, b"a token", b""),
    ("--saml", "TOKEN"): (4, b"a token", b""),
    ("--jwt", "TOKEN"): (5, b"a token", b""),
}


@sampled("options", IDENTITIES, ids=lambda options: "".join(options))
def test_user_identity(dcmtk: Any, make_scp: Any, tmp_path: Path, options: tuple[str, ...]) -> None:
    """Accepted with a response if that is asked for, else without."""
    token = tmp_path / "token"
    token.write_bytes(b"a token")
    seen: list[Any] = []

    def handle(event: Any) -> tuple[bool, bytes]:
        seen.append((event.user_id_type, event.primary_field, event.secondary_field or b""))
        return True, b"welcome"

    scp = make_scp().start(evt_handlers=[(evt.EVT_USER_ID, handle)])
    given = [str(token) if option == "TOKEN" else option for option in options]
    for asked in ([], ["-rsp"]):
        result = dcmtk.run("storescu", "-d", *given, *asked, "127.0.0.1", scp.port, CT, check=True)
        assert seen.pop() == IDENTITIES[options]
        assert str(scp.ended()) == "released by the peer"
        assert ("Server Response (not dumped) length: 7" in result.stdout) == bool(asked)


def test_an_unknown_user(dcmtk: Any, make_scp: Any) -> None:
    scp = make_scp().start(evt_handlers=[(evt.EVT_USER_ID, lambda event: (False, None))])
    result = dcmtk.run("storescu", "-usr", "mallory", "-rsp", "127.0.0.1", scp.port, CT)
    assert_rejected(result, "Permanent", "User", "No Reason")
    assert scp.ended().kind == "rejected"
    assert scp.stored == []


def test_no_server_no_port(dcmtk: Any, scp: Scp) -> None:
    """After shutdown the port is closed to others too."""
    dcmtk.run("echoscu", "127.0.0.1", scp.port, check=True)
    scp.ae.shutdown()
    result = dcmtk.run("echoscu", "127.0.0.1", scp.port)
    assert result.returncode != 0
    assert "Connection refused" in result.stdout


def test_we_abort(dcmtk: Any, make_scp: Any) -> None:
    """DCMTK is told by an A-ABORT."""

    def handle(event: Any) -> int:
        event.assoc.abort()
        return 0x0000

    scp = make_scp().start(evt_handlers=[(evt.EVT_C_STORE, handle)])
    result = dcmtk.run("storescu", "127.0.0.1", scp.port, CT)
    assert result.returncode != 0
    assert "Peer aborted Association" in result.stdout
    ended = scp.ended()
    assert (ended.kind, ended.by) == ("aborted", "local")


# We request


def test_what_dcmtk_says_of_itself(dcmtk: Any, ae: AE) -> None:
    scp = dcmtk.storescp("-aet", "THEIRS", "-pdu", "8192")
    assoc = ae.associate("127.0.0.1", scp.port, ae_title="THEIRS")
    assert assoc.acceptor.implementation_class_uid.startswith("1.2.276.0.7230010.3.0.3.")
    assert assoc.acceptor.implementation_version_name.startswith("OFFIS_DCMTK_")
    assert assoc.acceptor.maximum_length == 8192
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    assert str(assoc.ended) == "released by the local side"
    assert assoc.is_released
    assert not assoc.is_established


def test_128_contexts(dcmtk: Any, ae: AE) -> None:
    scp = dcmtk.storescp()
    ae.requested_contexts = []
    for _ in range(128):
        ae.add_requested_context(Verification)
    assoc = ae.associate("127.0.0.1", scp.port)
    assert len(assoc.accepted_contexts) == 128
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()


def test_refused(dcmtk: Any, ae: AE) -> None:
    scp = dcmtk.storescp("--refuse")
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.is_rejected
    assert not assoc.is_established
    assert not assoc.is_aborted
    ended = assoc.ended
    assert (ended.kind, ended.by, ended.result, ended.source) == ("rejected", "peer", 1, 1)
    with pytest.raises(RuntimeError):
        assoc.send_c_echo()


def test_reject_without_an_implementation_class_is_not_for_us(dcmtk: Any, ae: AE) -> None:
    """storescp --reject turns away those who do not say what they are."""
    scp = dcmtk.storescp("--reject")
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.is_established
    assoc.release()


def test_partly_accepted(dcmtk: Any, ae: AE) -> None:
    scp = dcmtk.storescp("+xi")
    ae.add_requested_context(CTImageStorage, "1.2.840.10008.1.2.4.50")
    ae.add_requested_context("1.2.3.4.5")
    assoc = ae.associate("127.0.0.1", scp.port)
    assert [context.abstract_syntax for context in assoc.accepted_contexts] == [Verification]
    assert [context.result for context in assoc.rejected_contexts] == [4, 3]
    with pytest.raises(ValueError):
        assoc.send_c_store(CT)
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()


def test_nothing_accepted(dcmtk: Any, ae: AE) -> None:
    scp = dcmtk.storescp()
    ae.requested_contexts = []
    ae.add_requested_context("1.2.3.4.5")
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.accepted_contexts == []
    assert (assoc.is_established, assoc.is_aborted) == (False, True)
    assert "1.2.3.4.5: abstract syntax not supported" in str(assoc.ended)


def test_our_user_identity(dcmtk: Any, ae: AE) -> None:
    """storescp accepts it and does not answer it."""
    identity = UserIdentityNegotiation()
    identity.user_identity_type = 2
    identity.primary_field = b"alice"
    identity.secondary_field = b"secret"
    identity.positive_response_requested = True
    port = find_free_port()
    scp = dcmtk.start("storescp", "-d", port, port=port)
    assoc = ae.associate("127.0.0.1", port, ext_neg=[identity])
    assert assoc.is_established
    assert assoc.send_c_echo().Status == 0x0000
    assoc.release()
    scp.stop()
    said = scp.output()
    assert "Authentication mode 2: Username/Password" in said
    assert "Username: [alice]" in said
    assert "Password: [secret]" in said


def test_our_abort(dcmtk: Any) -> None:
    scp = dcmtk.storescp()
    ae = ae_for([CT, MR])
    assoc = ae.associate("127.0.0.1", scp.port)
    assert assoc.send_c_store(CT).Status == 0x0000
    assoc.abort()
    assert str(assoc.ended) == "aborted by the local side"
    again = ae.associate("127.0.0.1", scp.port)
    assert again.send_c_store(MR).Status == 0x0000
    again.release()
    scp.stop()
    assert "Association Aborted" in scp.output()


def test_nobody_listens(ae: AE) -> None:
    assoc = ae.associate("127.0.0.1", find_free_port())
    assert assoc.is_aborted
    assert assoc.ended.kind == "failed"
    assert str(assoc.ended).startswith("no connection")
