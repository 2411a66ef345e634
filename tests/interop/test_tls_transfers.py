"""Large objects over TLS, whole and interrupted, with DCMTK's tools in both directions."""

from __future__ import annotations

import signal
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from pynetdicom import AE
from tests.apps.conftest import CT, MR
from tests.interop.test_faults import SIZE
from tests.interop.test_interrupted import DEADLINE, Receiving, Send, ae, held, large, run_out, send
from tests.interop.test_store_scp import Scp, make_scp
from tests.interop.test_store_scu import (
    assert_same_elements,
    assert_stored,
    bundled,
    data_set_bytes,
    stored_in_order,
)
from tests.interop.test_tls import (
    VERSIONS,
    certificates,
    client_context,
    has_tls,
    options,
    server_context,
)

__all__ = ["ae", "certificates", "has_tls", "large", "make_scp", "send"]  # fixtures


def associate(ae: AE, scp: Any, certificates: Path, version: Any = None) -> Any:
    context = client_context(certificates, version)
    assoc = ae.associate("127.0.0.1", scp.port, tls_args=(context, "localhost"))
    assert assoc.is_established, assoc.ended
    return assoc


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_large_object_out(
    dcmtk: Any, ae: AE, certificates: Path, large: Path, version: ssl.TLSVersion
) -> None:
    scp = dcmtk.storescp(*options(certificates, "scp"), "+B", "+uf", "-pdu", 131072)
    assoc = associate(ae, scp, certificates, version)
    assert {status.Status for _, status in assoc.send_c_stores([large, MR])} == {0x0000}
    assoc.release()
    assert str(assoc.ended) == "released by the local side"
    first, second = stored_in_order(scp)
    assert data_set_bytes(first) == data_set_bytes(large)
    assert_stored(MR, second)


@pytest.mark.slow
@pytest.mark.parametrize("version", VERSIONS, ids=lambda version: version.name)
def test_a_large_object_in(
    dcmtk: Any,
    make_scp: Callable[[], Scp],
    certificates: Path,
    large: Path,
    tmp_path: Path,
    version: ssl.TLSVersion,
) -> None:
    scp = make_scp()
    scp.ae.maximum_pdu_size = 131072
    scp.start(ssl_context=server_context(certificates, version), spool_dir=str(tmp_path))
    own = options(certificates, "scu")
    dcmtk.run("storescu", *own, "127.0.0.1", scp.port, large, MR, check=True)
    assert str(scp.ended()) == "released by the peer"
    first, second = scp.stored
    assert data_set_bytes(first.path)[-SIZE:] == data_set_bytes(large)[-SIZE:]
    assert_same_elements(bundled(MR), second.dataset)


@pytest.mark.slow
def test_they_go_on(dcmtk: Any, ae: AE, certificates: Path, large: Path) -> None:
    scp = dcmtk.storescp(*options(certificates, "scp"), "+B", "+uf")
    assoc = associate(ae, scp, certificates)
    with held(assoc, scp, large) as answer:
        pass
    assert answer.result(DEADLINE).Status == 0x0000
    assert assoc.send_c_store(CT).Status == 0x0000
    assoc.release()
    assert assoc.is_released
    first, second = stored_in_order(scp)
    assert data_set_bytes(first) == data_set_bytes(large)
    assert_stored(CT, second)


def kill(assoc: Any, scp: Any) -> None:
    scp.process.send_signal(signal.SIGKILL)


def abort(assoc: Any, scp: Any) -> None:
    assoc.abort()


def nothing(assoc: Any, scp: Any) -> None:
    """The time runs out by itself."""


@pytest.mark.parametrize(
    ("end", "by", "timer"),
    [(kill, "network", None), (abort, "local", None), (nothing, "local", "network_timeout")],
)
def test_an_end_in_the_middle(
    dcmtk: Any,
    ae: AE,
    certificates: Path,
    large: Path,
    end: Callable[[Any, Any], None],
    by: str,
    timer: str | None,
) -> None:
    scp = dcmtk.storescp(*options(certificates, "scp"), "+B")
    assoc = associate(ae, scp, certificates)
    if end is nothing:
        run_out(assoc)
    with held(assoc, scp, large) as answer:
        end(assoc, scp)
        assert "Status" not in answer.result(DEADLINE)
    assert (assoc.ended.kind, assoc.ended.by, assoc.ended.timer) == ("aborted", by, timer)


def test_they_are_killed_while_they_send(
    send: Send, dcmtk: Any, make_scp: Callable[[], Scp], certificates: Path, large: Path
) -> None:
    """Nothing of an incomplete object is kept, and others are served."""
    receiving = Receiving(make_scp(), ssl_context=server_context(certificates))
    scp = receiving.scp
    own = options(certificates, "scu")
    process = send(scp.port, large, options=own)
    receiving.wait()
    process.kill()
    ended = scp.ended()
    assert (ended.kind, ended.by) == ("aborted", "network")
    assert list(scp.directory.iterdir()) == [item.path for item in scp.stored]
    before = len(scp.stored)
    dcmtk.run("storescu", *own, "127.0.0.1", scp.port, CT, check=True)
    assert len(scp.stored) == before + 1
