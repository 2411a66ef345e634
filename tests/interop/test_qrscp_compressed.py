"""Our archive with compressed objects: kept, got and moved as they are, or said not to be."""

from __future__ import annotations

import threading
from array import array
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset

from pynetdicom import AE, build_role, evt
from pynetdicom.sop_class import (
    PatientRootQueryRetrieveInformationModelGet,
    PatientRootQueryRetrieveInformationModelMove,
)
from tests.apps.archive.conftest import location
from tests.apps.conftest import run_app
from tests.interop.test_other_tools import tool
from tests.interop.test_qrscp import Serve, archive, keys, without_padding
from tests.interop.test_store_scu import (
    ONE_OF_EACH,
    assert_same_elements,
    bundled,
    data_set_bytes,
    read,
    syntax_of,
)
from tests.peers import DEADLINE

__all__ = ["archive", "location", "run_app", "tool"]  # fixtures

pytestmark = pytest.mark.parametrize("location", ["sqlite"], indirect=True)

PATIENT = "COMPRESSED"
DEFLATED = uid.DeflatedExplicitVRLittleEndian
OPTIONS = {
    # transfer syntax → what has DCMTK's tools propose it
    uid.JPEGBaseline8Bit: "y",
    uid.JPEGExtended12Bit: "x",
    uid.JPEGLosslessSV1: "s",
    uid.JPEGLSLossless: "t",
    uid.JPEG2000: "w",
    uid.RLELossless: "r",
    DEFLATED: "d",
}
UNCOMPRESSED = {
    uid.ExplicitVRLittleEndian,
    uid.ExplicitVRBigEndian,
    uid.ImplicitVRLittleEndian,
}
"""What is not turned to another byte order, since not all values say what they are."""

Files = dict[str, Path]


@pytest.fixture
def files(tmp_path: Path) -> Files:
    """One object of each transfer syntax, each a study of the same patient: by its UID."""
    place = tmp_path / "sent"
    place.mkdir()
    found = {}
    for number, path in enumerate(ONE_OF_EACH, 1):
        ds = dcmread(path)
        ds.file_meta.MediaStorageSOPInstanceUID = ds.SOPInstanceUID = f"1.2.3.{number}"
        ds.StudyInstanceUID, ds.SeriesInstanceUID = f"1.2.3.{number}.1", f"1.2.3.{number}.1.1"
        ds.PatientID = PATIENT
        found[ds.SOPInstanceUID] = place / f"{number}.dcm"
        ds.save_as(found[ds.SOPInstanceUID])
    kinds = {syntax_of(bundled(path)) for path in found.values()}
    assert kinds == {*OPTIONS, *UNCOMPRESSED}
    return found


def compressed(files: Files, *, deflated: bool = False) -> Files:
    plain = set(UNCOMPRESSED) if deflated else {*UNCOMPRESSED, DEFLATED}
    return {name: path for name, path in files.items() if syntax_of(bundled(path)) not in plain}


def assert_identical(found: dict[str, Path], expected: Files) -> None:
    """The same objects, byte for byte, and so element by element."""
    assert set(found) == set(expected)
    for name, path in expected.items():
        one, other = read(found[name]), bundled(path)
        assert one.file_meta.TransferSyntaxUID == syntax_of(other)
        assert_same_elements(one, other)
        sent = data_set_bytes(path)
        assert data_set_bytes(found[name]) == sent + b"\0" * (len(sent) % 2)


def kept(directory: Path) -> dict[str, Path]:
    return {path.stem: path for path in (directory / "instances").rglob("*.dcm")}


def by_uid(directory: Path) -> dict[str, Path]:
    return {str(read(path).SOPInstanceUID): path for path in directory.iterdir()}


def get(port: int, place: Path, kinds: set[tuple[str, str]]) -> tuple[Dataset, Dataset | None]:
    """Get all of the patient with our SCU; gives the final response and its identifier."""
    place.mkdir()
    ae = AE("SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    ae.add_requested_context(PatientRootQueryRetrieveInformationModelGet)
    for sop_class, syntax in sorted(kinds):
        ae.add_requested_context(sop_class, syntax)
    classes = {sop_class for sop_class, _ in kinds}

    def keep(event: Any) -> int:
        event.save_as(place / f"{event.request.AffectedSOPInstanceUID}.dcm")
        return 0x0000

    assoc = ae.associate(
        "127.0.0.1",
        port,
        ext_neg=[build_role(sop_class, scp_role=True) for sop_class in classes],
        evt_handlers=[(evt.EVT_C_STORE, keep)],
    )
    assert assoc.is_established, assoc.ended
    *_, last = assoc.send_c_get(whole(), PatientRootQueryRetrieveInformationModelGet)
    assoc.release()
    return last


def move(port: int, title: str) -> tuple[Dataset, Dataset | None]:
    ae = AE("SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    ae.add_requested_context(PatientRootQueryRetrieveInformationModelMove)
    assoc = ae.associate("127.0.0.1", port)
    assert assoc.is_established, assoc.ended
    *_, last = assoc.send_c_move(whole(), title, PatientRootQueryRetrieveInformationModelMove)
    assoc.release()
    return last


def whole() -> Dataset:
    ds = Dataset()
    ds.QueryRetrieveLevel = "PATIENT"
    ds.PatientID = PATIENT
    return ds


def kind(path: Path) -> tuple[str, str]:
    return str(bundled(path).SOPClassUID), syntax_of(bundled(path))


def destinations(**ports: int) -> str:
    return "".join(
        f'[[peer]]\nae_title = "{title}"\naddress = "127.0.0.1"\nport = {port}\n'
        for title, port in ports.items()
    )


@pytest.mark.slow
def test_ours_to_ours(
    archive: Serve, dcmtk: Any, run_app: Any, files: Files, tmp_path: Path
) -> None:
    """Stored by our storescu, got by our SCU, moved to DCMTK's storescp: each as it was."""
    scp = dcmtk.storescp("+B", "+xa")
    served = archive(destinations(DEST=scp.port))
    result = run_app("storescu", "127.0.0.1", served.port, *files.values())
    assert result.returncode == 0, result.stderr
    assert_identical(kept(served.directory), files)
    status, _ = get(served.port, tmp_path / "got", set(map(kind, files.values())))
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, len(files))
    assert_identical(by_uid(tmp_path / "got"), files)
    status, _ = move(served.port, "DEST")
    assert (status.Status, status.NumberOfCompletedSuboperations) == (0x0000, len(files))
    assert_identical(by_uid(scp.directory), files)


def test_dcmtk_to_dcmtk(
    archive: Serve, dcmtk: Any, tool: Any, files: Files, tmp_path: Path
) -> None:
    """Stored by DCMTK's storescu, got and moved by its tools: what it sent, byte for byte."""
    scp = dcmtk.storescp("+B", "+xa")
    served = archive(destinations(DEST=scp.port))
    some = compressed(files, deflated=True)
    for path in some.values():
        option = f"-x{OPTIONS[syntax_of(bundled(path))]}"  # type: ignore[index]  # is a UID
        dcmtk.run("storescu", option, "127.0.0.1", served.port, path, check=True)
    there = kept(served.directory)
    assert set(there) == set(some)
    for name, path in some.items():  # DCMTK encodes what it sends anew
        assert read(there[name]).file_meta.TransferSyntaxUID == syntax_of(bundled(path))
        ours, theirs = (without_padding(read(one)) for one in (there[name], path))
        assert_same_elements(ours, theirs)
    got = tmp_path / "got"
    got.mkdir()
    for path in some.values():
        option = f"+x{OPTIONS[syntax_of(bundled(path))]}"  # type: ignore[index]  # is a UID
        study = f"StudyInstanceUID={bundled(path).StudyInstanceUID}"
        asked = [*keys("QueryRetrieveLevel=STUDY", study), "127.0.0.1", served.port]
        tool("getscu").run("getscu", "-S", option, "+B", "-od", got, *asked, check=True)
    assert_identical(by_uid(got), there)
    asked = keys("QueryRetrieveLevel=PATIENT", f"PatientID={PATIENT}")
    dcmtk.run("movescu", "-P", "-aem", "DEST", *asked, "127.0.0.1", served.port, check=True)
    assert_identical(by_uid(scp.directory), there)


@pytest.mark.slow
@pytest.mark.parametrize("option", ["+x=", "+xi", "+xe"])
def test_a_destination_that_takes_uncompressed_only(
    archive: Serve, dcmtk: Any, run_app: Any, files: Files, option: str
) -> None:
    """What it does not take fails and is listed, the rest is sent, in what it does take."""
    scp = dcmtk.storescp("+B", option)
    served = archive(destinations(DEST=scp.port))
    run_app("storescu", "127.0.0.1", served.port, *files.values())
    refused = set(compressed(files))
    status, failed = move(served.port, "DEST")
    assert status.Status == 0xB000
    assert (
        status.NumberOfCompletedSuboperations,
        status.NumberOfFailedSuboperations,
        status.NumberOfWarningSuboperations,
    ) == (len(files) - len(refused), len(refused), 0)
    assert failed is not None
    assert set(failed.FailedSOPInstanceUIDList) == refused
    come = by_uid(scp.directory)
    assert set(come) == set(files) - refused
    for name, path in come.items():
        original = deepcopy(bundled(files[name]))
        if syntax_of(original) == uid.ExplicitVRBigEndian and option == "+xi":
            words = array("H", original.PixelData)
            words.byteswap()
            original.PixelData = words.tobytes()
        assert_same_elements(without_padding(read(path)), without_padding(original))
    assert_identical(kept(served.directory), files)


@pytest.mark.slow
def test_an_scu_that_takes_uncompressed_only(
    archive: Serve, run_app: Any, files: Files, tmp_path: Path
) -> None:
    served = archive()
    run_app("storescu", "127.0.0.1", served.port, *files.values())
    kinds = {(kind(path)[0], str(uid.ExplicitVRLittleEndian)) for path in files.values()}
    refused = set(compressed(files))
    status, failed = get(served.port, tmp_path / "got", kinds)
    assert status.Status == 0xB000
    assert status.NumberOfFailedSuboperations == len(refused)
    assert failed is not None
    assert set(failed.FailedSOPInstanceUIDList) == refused
    come = by_uid(tmp_path / "got")
    assert set(come) == set(files) - refused


@pytest.mark.slow
def test_a_destination_that_takes_none_of_them(
    archive: Serve, dcmtk: Any, run_app: Any, files: Files
) -> None:
    """None was sent, so the operation has failed (PS3.4 C.4.2.1.5)."""
    scp = dcmtk.storescp("+B")
    served = archive(destinations(DEST=scp.port))
    some = compressed(files)
    run_app("storescu", "127.0.0.1", served.port, *some.values())
    status, failed = move(served.port, "DEST")
    assert (status.Status, status.NumberOfFailedSuboperations) == (0xA702, len(some))
    assert failed is not None
    assert set(failed.FailedSOPInstanceUIDList) == set(some)
    assert list(scp.directory.iterdir()) == []


@pytest.mark.slow
def test_compressed_objects_from_many_at_a_time(archive: Serve, files: Files) -> None:
    """Each association stores all of them: they are there once, as they were."""
    served = archive("", "--workers", 2)
    ae = AE("SCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = DEADLINE
    for sop_class, syntax in {kind(path) for path in files.values()}:
        ae.add_requested_context(sop_class, syntax)
    statuses: list[int] = []

    def send() -> None:
        assoc = ae.associate("127.0.0.1", served.port)
        statuses.extend(status.Status for _, status in assoc.send_c_stores(list(files.values())))
        assoc.release()

    threads = [threading.Thread(target=send) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(DEADLINE)
        assert not thread.is_alive()
    assert statuses == [0x0000] * 4 * len(files)
    assert_identical(kept(served.directory), files)
