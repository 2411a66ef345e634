"""Our archive over TLS: DCMTK's tools and our SCUs as peers, and TLS to move destinations."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    CTImageStorage,
    MRImageStorage,
    StudyRootQueryRetrieveInformationModelGet,
    StudyRootQueryRetrieveInformationModelMove,
)
from tests.apps.archive.conftest import location
from tests.apps.conftest import CT, MR, Served
from tests.conftest import find_free_port
from tests.interop.test_qrscp import Serve, archive, assert_come, keys
from tests.interop.test_store_scu import bundled, read
from tests.interop.test_tls import certificates, client_context, has_tls, options
from tests.peers import DEADLINE
from tests.sampled import sampled

__all__ = ["archive", "certificates", "has_tls", "location"]  # fixtures

pytestmark = pytest.mark.parametrize("location", ["sqlite"], indirect=True)

FILES = (CT, MR)
EXPLICIT = "1.2.840.10008.1.2.1"

Start = Callable[..., Served]


@pytest.fixture
def start(archive: Serve, certificates: Path) -> Start:
    """``start("--workers", 2, DEST=port)`` starts an archive with TLS, also to its destinations."""
    own = {"certificate": "scp.pem", "key": "scp.key", "authorities": "ca.pem"}
    tls = "".join(f'{key} = "{certificates / name}"\n' for key, name in own.items())

    def serve(*more: object, **ports: int) -> Served:
        peers = "".join(
            f'[[peer]]\nae_title = "{title}"\naddress = "localhost"\nport = {port}\ntls = true\n'
            for title, port in ports.items()
        )
        return archive(f"[tls]\n{tls}{peers}", *more)

    return serve


def feed(dcmtk: Any, served: Served, certificates: Path) -> None:
    own = options(certificates, "scu")
    dcmtk.run("storescu", *own, "-xe", "127.0.0.1", served.port, *FILES, check=True)


def associate(served: Served, certificates: Path, *contexts: str, **more: Any) -> Any:
    ae = AE("SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = ae.connection_timeout = DEADLINE
    for context in contexts:
        ae.add_requested_context(context, EXPLICIT)
    tls = (client_context(certificates), "localhost")
    assoc = ae.associate("127.0.0.1", served.port, tls_args=tls, **more)
    assert assoc.is_established, assoc.ended
    return assoc


def study(path: Path) -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "STUDY"
    ds.StudyInstanceUID = bundled(path).StudyInstanceUID
    return ds


def move(served: Served, certificates: Path, title: str = "DEST", path: Path = CT) -> Dataset:
    """The final status of a C-MOVE."""
    model = StudyRootQueryRetrieveInformationModelMove
    assoc = associate(served, certificates, model)
    *_, (status, _) = assoc.send_c_move(study(path), title, model)
    assoc.release()
    assert isinstance(status, Dataset)
    return status


@sampled("workers", [1, 2])
def test_store_find_get_move(
    start: Start, dcmtk: Any, certificates: Path, tmp_path: Path, workers: int
) -> None:
    destination = dcmtk.storescp(*options(certificates, "scp"), "+B")
    served = start("--workers", workers, DEST=destination.port)
    own = options(certificates, "scu")
    dcmtk.run("echoscu", *own, "127.0.0.1", served.port, check=True)
    feed(dcmtk, served, certificates)
    found = tmp_path / "found"
    found.mkdir()
    asked = keys("QueryRetrieveLevel=STUDY", "StudyInstanceUID", "PatientID=1CT1")
    dcmtk.run(
        "findscu", *own, "-S", "-X", "-od", found, *asked, "127.0.0.1", served.port, check=True
    )
    (match,) = map(read, found.iterdir())
    assert match.StudyInstanceUID == bundled(CT).StudyInstanceUID
    got = tmp_path / "got"
    got.mkdir()

    def keep(event: Any) -> int:
        event.save_as(got / str(event.request.AffectedSOPInstanceUID))
        return 0x0000

    model = StudyRootQueryRetrieveInformationModelGet
    assoc = associate(
        served, certificates, model, CTImageStorage, MRImageStorage,
        ext_neg=[build_role(uid, scp_role=True) for uid in (CTImageStorage, MRImageStorage)],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )  # fmt: skip
    for path in FILES:
        *_, (status, _) = assoc.send_c_get(study(path), model)
        assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, 1)
    assoc.release()
    assert_come(got, *FILES)
    for path in FILES:
        assert move(served, certificates, path=path).Status == 0x0000
    assert_come(destination.directory, *FILES)


@pytest.mark.slow
def test_peers_that_are_not_known_do_not_get_in(
    start: Start, dcmtk: Any, certificates: Path
) -> None:
    served = start()
    address = ["127.0.0.1", served.port]
    ca = certificates / "ca.pem"
    stranger = options(certificates / "stranger", "scu", ca)
    for own in ([], stranger, ["+tla", "+cf", ca]):
        for tool, *rest in (("echoscu",), ("storescu", CT), ("findscu", "-S", *keys("StudyID"))):
            arguments = [*address, *rest] if tool == "storescu" else [*rest, *address]
            assert dcmtk.run(tool, *own, *arguments).returncode != 0
    assert list((served.directory / "instances").rglob("*.dcm")) == []
    feed(dcmtk, served, certificates)  # and it goes on


@pytest.mark.slow
def test_destinations_that_are_not_who_they_should_be(
    start: Start, dcmtk: Any, certificates: Path
) -> None:
    """Nothing is sent to one with a certificate of somebody else, to a plain one, or to nobody."""
    stranger = dcmtk.storescp(*options(certificates / "stranger", "scp", certificates / "ca.pem"))
    plain = dcmtk.storescp()
    served = start(STRANGER=stranger.port, PLAIN=plain.port, NOBODY=find_free_port())
    feed(dcmtk, served, certificates)
    for title in ("STRANGER", "PLAIN", "NOBODY"):
        assert move(served, certificates, title).Status == 0xA702, title
    for destination in (stranger, plain):
        assert list(destination.directory.iterdir()) == []
    assert "CompressedSamples" not in served.errors()


@pytest.mark.slow
def test_a_destination_that_does_not_know_the_archive(
    start: Start, dcmtk: Any, certificates: Path
) -> None:
    destination = dcmtk.storescp(
        *options(certificates, "scp", certificates / "stranger" / "ca.pem"), "-v"
    )
    served = start(DEST=destination.port)
    feed(dcmtk, served, certificates)
    assert move(served, certificates).Status == 0xA702
    assert list(destination.directory.iterdir()) == []
