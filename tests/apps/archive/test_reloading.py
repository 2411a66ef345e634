"""What an archive reads anew on SIGHUP: peers and limits, and no association is lost by it."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
from pydicom import dcmread

from pynetdicom import AE, Association
from pynetdicom.apps.archive import reloading
from pynetdicom.apps.archive.config import Config, Peer
from pynetdicom.sop_class import Verification
from tests.apps.archive.conftest import Start
from tests.apps.conftest import CT, Served
from tests.sampled import sampled

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="there is no SIGHUP")

CONFIG = """
[archive]
unknown_peers = {unknown}
[storage]
location = "{storage}"
[[peer]]
ae_title = "CT1"
may = {may}
"""


def write(path: Path, *, may: str = "[]", storage: str = "objects", unknown: str = "[]") -> None:
    path.write_text(CONFIG.format(may=may, storage=storage, unknown=unknown))


def associate(served: Served, title: str = "CT1") -> Association:
    ae = AE(title)
    ds = dcmread(CT)
    ae.add_requested_context(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID)
    ae.add_requested_context(Verification)
    assoc = ae.associate("127.0.0.1", served.port)
    assert assoc.is_established, assoc.ended
    return assoc


def may_store(served: Served, title: str = "CT1") -> bool:
    assoc = associate(served, title)
    ds = dcmread(CT)
    if may := any(cx.abstract_syntax == ds.SOPClassUID for cx in assoc.accepted_contexts):
        assert assoc.send_c_store(ds).Status == 0x0000
    assoc.release()
    return may


@sampled("workers", [1, 2])
def test_what_peers_may_is_read_anew(start: Start, tmp_path: Path, workers: int) -> None:
    path = tmp_path / "archive.toml"
    write(path)
    served = start("--config", path, "--workers", workers, "-v")
    processes = 1 if workers == 1 else 1 + workers
    assert not may_store(served)
    kept = associate(served)
    write(path, may='["store"]')
    assert not may_store(served), "before it is told"
    served.hang_up("SIGHUP: read anew", processes)
    assert all(may_store(served) for _ in range(4))
    assert not may_store(served, "STRANGER")
    assert kept.send_c_echo().Status == 0x0000
    write(path, unknown='["store"]')
    served.hang_up("SIGHUP: read anew", processes)
    assert may_store(served, "STRANGER")
    assert not may_store(served), "who is named may no more than that"
    assert kept.send_c_echo().Status == 0x0000
    kept.release()
    assert served.stop() == 0


def test_what_is_wrong_changes_nothing(start: Start, tmp_path: Path) -> None:
    """The log names file, key and what is allowed, and the next time is another chance."""
    path = tmp_path / "archive.toml"
    write(path, may='["store"]')
    served = start("--config", path, "-v")
    write(path, may='["fly"]')
    served.hang_up("SIGHUP: all stays as it was: ")
    (line,) = (line for line in served.errors().splitlines() if "all stays" in line)
    assert str(path) in line
    assert "may" in line
    assert may_store(served)
    path.unlink()
    served.hang_up("SIGHUP: all stays as it was: ")
    assert may_store(served)
    write(path)
    served.hang_up("SIGHUP: read anew")
    assert not may_store(served)
    assert served.stop() == 0


def test_what_holds_from_the_start_is_said(caplog: pytest.LogCaptureFixture) -> None:
    old = Config(port=104, instance_location="/a", workers=2)
    fresh = Config(port=105, instance_location="/b", maximum_associations=7, exact_names=True)
    now = reloading.merged(old, fresh)
    assert (now.port, now.instance_location, now.workers) == (104, "/a", 2)
    assert (now.maximum_associations, now.exact_names) == (7, True)
    (message,) = caplog.messages
    for key in ("[archive] port", "[archive] workers", "[storage] location"):
        assert key in message
    assert "maximum_associations" not in message


def test_tls_is_switched_on_and_off_by_the_next_start(caplog: pytest.LogCaptureFixture) -> None:
    """Other files of it hold at once."""
    plain, tls = Config(), Config(tls_certificate="a.pem", tls_crl="crl.pem")
    assert reloading.merged(plain, tls) == plain
    assert "[tls] certificate" in caplog.messages[0]
    other = Config(tls_certificate="b.pem")
    assert reloading.merged(tls, other) == other
    assert len(caplog.messages) == 1


def test_nothing_is_said_where_nothing_changed(caplog: pytest.LogCaptureFixture) -> None:
    config = Config(peers={"A": Peer(ae_title="A")})
    assert reloading.merged(config, config) == config
    assert not caplog.messages


def test_what_holds_from_the_start_are_fields() -> None:
    assert set(vars(Config())) >= reloading.FROM_THE_START


def test_limits_hold_from_the_next_association_on() -> None:
    ae = AE()
    limits = Config(maximum_associations=3, acse_timeout=1.5, max_pdu=1000)
    reloading.limit(ae, limits)
    assert (ae.maximum_associations, ae.acse_timeout, ae.maximum_pdu_size) == (3, 1.5, 1000)
    assert ae.maximum_object_bytes is None
