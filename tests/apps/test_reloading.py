"""What servers read anew on SIGHUP: access rules, peers, limits; no association is lost by it."""

from __future__ import annotations

import sys
from pathlib import Path
from types import SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pytest

from pynetdicom import AE, Association, build_context
from pynetdicom.access import Rule
from pynetdicom.apps import reloading, security, storescp, workflow_config, workflowscp
from pynetdicom.apps.options import Failure
from pynetdicom.apps.tls import Security
from pynetdicom.apps.workflow_config import FROM_THE_START, SECTIONS, Config, Peer
from pynetdicom.errors import TLSFileProblem
from pynetdicom.sop_class import (
    ModalityPerformedProcedureStep,
    StorageCommitmentPushModel,
    Verification,
)
from pynetdicom.workflows.commitment import Results, commit
from tests.apps.conftest import CT, ServeApp, Served
from tests.apps.test_workflowscp import Start, associate, place, scu, start
from tests.examples.certificates import write_certificates
from tests.pair import serve
from tests.peers import DEADLINE

__all__ = ["place", "scu", "start"]  # fixtures

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")

ANEW = "SIGHUP: read anew"
AS_IT_WAS = "SIGHUP: all stays as it was: "


def rules(*titles: str, may: str = '["echo"]') -> str:
    return f'[[access]]\nname = "rooms"\ncalling = {[*titles]}\nmay = {may}\n'


def visit(served: Served, title: str, uid: str = Verification) -> Association:
    ae = AE(title)
    ae.acse_timeout = DEADLINE
    return ae.associate("127.0.0.1", served.port, [build_context(uid)])


def may_come(served: Served, title: str, uid: str = Verification) -> bool:
    assoc = visit(served, title, uid)
    came = assoc.is_established
    if came:
        assoc.release()
    return came


def said_why(served: Served) -> str:
    (line,) = (line for line in served.errors().splitlines() if AS_IT_WAS in line)
    return line


@pytest.mark.parametrize("app", ["storescp", "echoscp"])
def test_a_file_of_access_rules(serve_app: ServeApp, tmp_path: Path, app: str) -> None:
    path = tmp_path / "access.toml"
    path.write_text(rules("CT"))
    served = serve_app(app, "--access", path, "-v")
    kept = visit(served, "CT")
    assert kept.is_established
    path.write_text(rules("MR"))
    assert not may_come(served, "MR"), "before it is told"
    served.hang_up(ANEW)
    assert may_come(served, "MR")
    assert not may_come(served, "CT")
    path.write_text(rules("CT", may='["fly"]'))
    served.hang_up(AS_IT_WAS)
    for what in (str(path), "[[access]] number 1 may", "a list of some of echo, store"):
        assert what in said_why(served)
    path.unlink()
    served.hang_up(AS_IT_WAS)
    assert may_come(served, "MR")
    assert kept.send_c_echo().Status == 0x0000
    kept.release()


def test_certificates_and_access_rules_are_taken_together_or_not(tmp_path: Path) -> None:
    write_certificates(tmp_path)
    path = tmp_path / "access.toml"
    path.write_text(rules("CT"))
    tls = ["+tls", tmp_path / "scp.key", tmp_path / "scp.pem", "--access", path]
    args = storescp.make_parser().parse_args(["104", *map(str, tls)])
    made = security.of_listener(args, AE())
    server: Any = SimpleNamespace(access=made["access"])
    reload = security.reloading(args, made["tls"])
    assert reload is not None
    path.write_text(rules("MR"))
    whole = (tmp_path / "scp.pem").read_text()
    (tmp_path / "scp.pem").write_text("junk")
    with pytest.raises(TLSFileProblem):
        reload(server)
    assert server.access is made["access"]
    (tmp_path / "scp.pem").write_text(whole)
    reload(server)
    assert server.access.rules[0].calling == ("MR",)
    path.write_text("")
    with pytest.raises(Failure):
        reload(server)
    assert server.access.rules[0].calling == ("MR",)


def test_workflowscp_reports_to_peers_where_they_are_now(
    start: Start, scu: AE, place: Path
) -> None:
    scu.add_supported_context(StorageCommitmentPushModel, scu_role=False, scp_role=True)
    path = place / "scp.toml"
    text = '[commitment]\nobjects = "objects"\n[[peer]]\nae_title = "CT_ROOM"\n'
    scp = None
    for _ in range(2):
        results = Results()
        port = serve(scu, evt_handlers=results.handlers).server_address[1]
        path.write_text(f'{text}address = "127.0.0.1"\nport = {port}\n')
        if scp is None:
            scp = start("--config", path, "-v")
        else:
            scp.hang_up(ANEW)
        assoc = associate(scu, scp)
        result = commit(assoc, [CT], results=results, release=True, timeout=DEADLINE)
        assert result.is_complete


def test_workflowscp_lets_in_whom_it_is_told_now(start: Start, place: Path) -> None:
    path = place / "scp.toml"
    path.write_text(rules("CT"))
    scp = start("--config", path, "-v")
    kept = visit(scp, "CT")
    assert kept.is_established
    path.write_text(rules("MR", may='["echo", "mpps"]'))
    assert not may_come(scp, "MR"), "before it is told"
    scp.hang_up(ANEW)
    assert may_come(scp, "MR", ModalityPerformedProcedureStep)
    assert not may_come(scp, "CT")
    path.write_text('[workflows]\nknown_peers_only = true\n[[peer]]\nae_title = "US"\n')
    scp.hang_up(ANEW)
    assert [may_come(scp, title) for title in ("US", "MR")] == [True, False]
    path.write_text("[limits]\nmaximum_associations = 1\n")
    scp.hang_up(ANEW)
    assert not may_come(scp, "ANY"), "there is one"
    path.write_text("")
    scp.hang_up(ANEW)
    assert may_come(scp, "ANY")
    assert kept.send_c_echo().Status == 0x0000
    kept.release()


def test_workflowscp_stays_as_it_was_where_something_is_wrong(start: Start, place: Path) -> None:
    path = place / "scp.toml"
    path.write_text(rules("CT"))
    scp = start("--config", path, "-v")
    path.write_text(rules("MR") + '[limits]\nkeep_days = "long"\n')
    scp.hang_up(AS_IT_WAS)
    for what in (str(path), "[limits] keep_days", "a whole number"):
        assert what in said_why(scp)
    assert [may_come(scp, title) for title in ("CT", "MR")] == [True, False]
    path.write_text(rules("MR") + '[tls]\ncertificate = "none.pem"\n')
    scp.hang_up(ANEW)
    assert "SIGHUP: not before the next start: [tls] certificate" in scp.errors()
    assert [may_come(scp, title) for title in ("CT", "MR")] == [False, True]


@pytest.mark.parametrize("to_rules", [True, False])
def test_workflowscp_admits_nobody_between_two_ways_of_keeping_out(to_rules: bool) -> None:
    """From known peers to access rules, and back: either holds at each step."""
    known = Config(known_peers_only=True, peers={"CT": Peer("CT")})
    ruled = Config(access=(Rule("rooms", calling=["CT"]),))
    old, fresh = (known, ruled) if to_rules else (ruled, known)
    ae = workflowscp.make_ae(old)
    states: list[bool] = []

    class Server:
        access = workflow_config.access_rules(old)

        def __setattr__(self, name: str, value: object) -> None:
            super().__setattr__(name, value)
            states.append(bool(ae.require_calling_aet) or self.access is not None)

    server: Any = Server()
    current = workflowscp.Current(old, Security())
    current.take(fresh, "scp.toml", ae, server)
    assert all(states)
    assert (server.access is not None, ae.require_calling_aet) == (to_rules, [*fresh.peers])
    assert current.config == fresh


def test_workflowscp_reports_over_tls_from_then_on() -> None:
    current = workflowscp.Current(Config(peers={"CT": Peer("CT", "ct", 104)}), Security())
    assert current.where("CT ") == ("ct", 104, {})
    fresh = Config(peers={"CT": Peer("CT", "ct", 2762, tls=True), "MR": Peer("MR")})
    current.take(fresh, "scp.toml", workflowscp.make_ae(fresh), MagicMock())
    found = current.where("CT")
    assert found is not None
    context, host = found[2]["tls_args"]
    assert (found[:2], host) == (("ct", 2762), "ct")
    assert context is not None
    assert current.where("MR") is None
    assert current.where("US") is None


def test_what_workflowscp_is_told_at_its_start_is_said(caplog: pytest.LogCaptureFixture) -> None:
    old = Config(port=104, store="/a", notify=("A",))
    fresh = Config(port=105, store="/b", objects="/c", max_pdu=7, shutdown_timeout=1.0)
    now = reloading.merged(old, fresh, SECTIONS, FROM_THE_START)
    assert (now.port, now.store, now.objects, now.notify) == (104, "/a", None, ("A",))
    assert (now.max_pdu, now.shutdown_timeout) == (7, 1.0)
    (message,) = caplog.messages
    assert message == (
        "SIGHUP: not before the next start: [workflows] port, [workflows] store, [mpps] notify,"
        " [commitment] objects"
    )
    assert set(vars(Config())) >= FROM_THE_START


def test_each_key_of_workflowscp_is_taken_or_said() -> None:
    """What else there is, `workflowscp.limit` and `Current` take."""
    taken = {name for rows in SECTIONS.values() for name, _ in rows.values()} - FROM_THE_START
    assert {name for name in taken if not name.startswith("tls_")} == {
        "known_peers_only", "maximum_associations", "max_pdu", "acse_timeout", "dimse_timeout",
        "network_timeout", "connection_timeout", "shutdown_timeout",
    }  # fmt: skip
