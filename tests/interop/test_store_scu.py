"""C-STORE as SCU: pydicom's bundled files to DCMTK's storescp."""

from __future__ import annotations

import struct
import warnings
from collections.abc import Callable, Iterable
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread, uid
from pydicom.dataset import Dataset
from pydicom.errors import InvalidDicomError

from pynetdicom import AE
from tests.apps.conftest import CT, CT_JPEG2000, MR, SC_RLE, TEST_FILES, US_JPEG
from tests.sampled import sampled

DEFLATED = TEST_FILES / "image_dfl.dcm"
MR_IMPLICIT = TEST_FILES / "MR_small_implicit.dcm"
MR_BIG_ENDIAN = TEST_FILES / "MR_small_bigendian.dcm"
MR_JPEG_LS = TEST_FILES / "MR_small_jpeg_ls_lossless.dcm"
MISLABELLED = TEST_FILES / "SC_rgb_jpeg.dcm"
"""It is in implicit VR, and says JPEG Baseline."""
SC_JPEG_LOSSLESS = TEST_FILES / "SC_rgb_jpeg_gdcm.dcm"
SC_JPEG_EXTENDED = TEST_FILES / "JPGExtended.dcm"
SR = TEST_FILES / "test-SR.dcm"
ONE_OF_EACH = [CT, MR_IMPLICIT, MR_BIG_ENDIAN, DEFLATED, SC_RLE]
ONE_OF_EACH += [US_JPEG, SC_JPEG_EXTENDED, SC_JPEG_LOSSLESS, MR_JPEG_LS, CT_JPEG2000]


def read(path: Any) -> Dataset:
    """What pydicom makes of a file, its complaints about odd values aside."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        ds = dcmread(path, force=True)
        ds.decode()
        for element in ds.iterall():
            element.value
    return ds


@cache
def bundled(path: Path) -> Dataset:
    """One of pydicom's files, read once."""
    return read(path)


def data_set_bytes(path: Path) -> bytes:
    """The bytes that follow a file's meta information, if it has that."""
    data = path.read_bytes()
    at = 132 if data[128:132] == b"DICM" else 0
    while data[at : at + 2] == b"\x02\x00":
        if data[at + 4 : at + 6] in (b"OB", b"UN"):
            at += 12 + struct.unpack_from("<L", data, at + 8)[0]
        else:
            at += 8 + struct.unpack_from("<H", data, at + 6)[0]
    return data[at:]


def as_sent(path: Path) -> bytes:
    """A data set as it has to travel: a deflated one of odd length is padded (PS3.5 A.5)."""
    data = data_set_bytes(path)
    return data + b"\0" * (len(data) % 2) if syntax_of(bundled(path)) == DEFLATED_SYNTAX else data


DEFLATED_SYNTAX = uid.DeflatedExplicitVRLittleEndian


def syntax_of(ds: Dataset) -> str:
    """The transfer syntax, guessed where there is no meta information."""
    if "TransferSyntaxUID" in ds.file_meta:
        return str(ds.file_meta.TransferSyntaxUID)
    implicit, little = ds.original_encoding
    if implicit:
        return uid.ImplicitVRLittleEndian
    return uid.ExplicitVRLittleEndian if little else uid.ExplicitVRBigEndian


def elements(ds: Dataset) -> dict[Any, Any]:
    """Tag → element, without what DCMTK changes when it writes: group lengths and padding."""
    return {
        element.tag: element
        for element in ds
        if element.tag.element != 0x0000 and element.tag != 0xFFFCFFFC
    }


def assert_same_elements(one: Dataset, other: Dataset) -> None:
    """Compares element by element, so that the first difference is named.

    But for private ones whose type one of both does not know, having come in implicit VR.
    """
    left, right = elements(one), elements(other)
    assert list(left) == list(right)
    for tag, element in left.items():
        match = right[tag]
        if element.VR == match.VR or not tag.is_private:
            assert element.value == match.value, tag


@cache
def sendable() -> tuple[Path, ...]:
    """The bundled files that are whole and say which instance they hold, and how."""
    found = []
    for path in sorted(TEST_FILES.rglob("*")):
        if not path.is_file() or "truncated" in path.name or path.name.startswith("DICOMDIR"):
            continue
        if path == MISLABELLED:
            continue
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                ds = dcmread(path, specific_tags=["SOPClassUID", "SOPInstanceUID"], force=True)
        except (InvalidDicomError, ValueError, NotImplementedError):
            continue
        if ds.get("SOPClassUID") and ds.get("SOPInstanceUID"):
            found.append(path)
    return tuple(found)


def proposals(paths: Iterable[Path]) -> list[tuple[str, str]]:
    """The SOP Class and the transfer syntax of each file, each pair once."""
    data_sets = map(bundled, paths)
    return list(dict.fromkeys((str(ds.SOPClassUID), syntax_of(ds)) for ds in data_sets))


def ae_for(paths: Iterable[Path]) -> AE:
    """An AE that proposes to send the files as they are."""
    ae = AE("STORESCU")
    ae.acse_timeout = ae.dimse_timeout = ae.network_timeout = 60
    for sop_class, syntax in proposals(paths):
        ae.add_requested_context(sop_class, syntax)
    return ae


def stored_in_order(scp: Any) -> list[Path]:
    """The files that storescp wrote, in the order in which it did so."""
    return sorted(scp.files(), key=lambda path: int(path.name.rpartition(".")[2]))


@pytest.fixture
def storescp(dcmtk: Any) -> Any:
    """A storescp that takes everything, changes nothing and gives each object a name of its own."""
    return dcmtk.storescp("+B", "+xa", "+uf")


def assert_stored(path: Path, stored: Path) -> None:
    """What DCMTK has written is the file's data set, byte for byte."""
    original, copy = bundled(path), read(stored)
    assert copy.file_meta.TransferSyntaxUID == syntax_of(original)
    assert copy.file_meta.MediaStorageSOPInstanceUID == original.SOPInstanceUID
    assert data_set_bytes(stored) == as_sent(path)
    assert_same_elements(original, copy)


def test_all_files(storescp: Any) -> None:
    paths = [path for path in sendable() if path != DEFLATED]
    assert len(paths) > 100
    assoc = ae_for(paths).associate("127.0.0.1", storescp.port)
    assert len(assoc.rejected_contexts) == 0
    answers = list(assoc.send_c_stores(paths))
    assoc.release()
    assert [path for path, status in answers] == paths
    assert {status.Status for _, status in answers} == {0x0000}
    assert str(assoc.ended) == "released by the local side"
    stored = stored_in_order(storescp)
    assert len(stored) == len(paths)
    for path, copy in zip(paths, stored, strict=True):
        assert_stored(path, copy)


def test_a_file_that_is_encoded_otherwise_than_it_says(dcmtk: Any) -> None:
    paths = [CT, MISLABELLED, SC_JPEG_LOSSLESS]
    assoc = ae_for(paths).associate("127.0.0.1", dcmtk.storescp("+xa", "+uf").port)
    answers = list(assoc.send_c_stores(paths))
    assoc.release()
    assert [status.get("Status") for _, status in answers] == [0, None, 0]
    assert "implicit VR" in answers[1][1].problem
    # DCMTK, which takes its data sets apart here, would have aborted.
    assert assoc.is_released


def send_path(assoc: Any, path: Path) -> Any:
    return assoc.send_c_store(path)


def send_name(assoc: Any, path: Path) -> Any:
    return assoc.send_c_store(str(path))


def send_data_set(assoc: Any, path: Path) -> Any:
    return assoc.send_c_store(read(path))


@sampled("send", [send_path, send_name])
def test_one_by_one(storescp: Any, send: Callable[[Any, Path], Any]) -> None:
    paths = [path for path in ONE_OF_EACH if path != DEFLATED]
    assoc = ae_for(paths).associate("127.0.0.1", storescp.port)
    assert [send(assoc, path).Status for path in paths] == [0x0000] * len(paths)
    assoc.release()
    for path, copy in zip(paths, stored_in_order(storescp), strict=True):
        assert_stored(path, copy)


def test_data_sets(storescp: Any) -> None:
    assoc = ae_for(ONE_OF_EACH).associate("127.0.0.1", storescp.port)
    assert {send_data_set(assoc, path).Status for path in ONE_OF_EACH} == {0x0000}
    assoc.release()
    for path, copy in zip(ONE_OF_EACH, stored_in_order(storescp), strict=True):
        original, stored = bundled(path), read(copy)
        assert stored.file_meta.TransferSyntaxUID == syntax_of(original)
        assert_same_elements(original, stored)


def test_a_deflated_file_of_odd_length(storescp: Any) -> None:
    assert len(data_set_bytes(DEFLATED)) % 2 == 1
    assoc = ae_for([DEFLATED]).associate("127.0.0.1", storescp.port)
    assert assoc.send_c_store(DEFLATED).get("Status") == 0x0000
    assoc.release()
    (stored,) = storescp.files()
    assert_stored(DEFLATED, stored)


@sampled("option", ["+xi", "+xe", "+xb"])
def test_uncompressed_files_are_sent_as_the_peer_takes_them(dcmtk: Any, option: str) -> None:
    syntaxes = {
        "+xi": uid.ImplicitVRLittleEndian,
        "+xe": uid.ExplicitVRLittleEndian,
        "+xb": uid.ExplicitVRBigEndian,
    }
    scp = dcmtk.storescp(option, "+B", "+uf")
    paths = [SR, TEST_FILES / "rtplan.dcm", TEST_FILES / "reportsi.dcm"]
    ae = AE()
    for path in paths:
        ae.add_requested_context(bundled(path).SOPClassUID, list(syntaxes.values()))
    assoc = ae.associate("127.0.0.1", scp.port)
    assert {status.Status for _, status in assoc.send_c_stores(paths)} == {0x0000}
    assoc.release()
    for path, copy in zip(paths, stored_in_order(scp), strict=True):
        stored = read(copy)
        assert stored.file_meta.TransferSyntaxUID == syntaxes[option]
        assert_same_elements(bundled(path), stored)


def test_what_does_not_fit_is_named_and_the_rest_is_sent(dcmtk: Any) -> None:
    scp = dcmtk.storescp("+B", "+uf")
    paths = [CT_JPEG2000, TEST_FILES / "MR_truncated.dcm", TEST_FILES / "README.txt", MR]
    ae = ae_for([CT, CT_JPEG2000, MR])
    assoc = ae.associate("127.0.0.1", scp.port)
    assert [context.transfer_syntax for context in assoc.rejected_contexts]
    answers = list(assoc.send_c_stores(paths))
    assoc.release()
    assert [status.get("Status") for _, status in answers] == [None, None, None, 0x0000]
    assert all(status.problem for _, status in answers[:3])
    (stored,) = scp.files()
    assert_stored(MR, stored)


@sampled("maximum", [4096, 131072])
def test_the_peers_longest_pdu(dcmtk: Any, maximum: int) -> None:
    scp = dcmtk.storescp("+B", "+xa", "+uf", "-pdu", maximum)
    paths = [CT, US_JPEG, TEST_FILES / "examples_overlay.dcm"]
    assoc = ae_for(paths).associate("127.0.0.1", scp.port)
    assert assoc.acceptor.maximum_length == maximum
    assert {status.Status for _, status in assoc.send_c_stores(paths)} == {0x0000}
    assoc.release()
    for path, copy in zip(paths, stored_in_order(scp), strict=True):
        assert_stored(path, copy)


def test_unwritable(dcmtk: Any, tmp_path: Path) -> None:
    directory = tmp_path / "stored"
    directory.mkdir()
    scp = dcmtk.storescp("+B", directory=directory)
    directory.rmdir()
    assoc = ae_for([CT]).associate("127.0.0.1", scp.port)
    status = assoc.send_c_store(CT)
    assert status.Status & 0xFF00 == 0xA700, "refused: out of resources"
    assert assoc.is_established
    assoc.release()
    assert assoc.is_released


def numbered(directory: Path, count: int) -> list[Path]:
    """So many CT images of different instances."""
    ds, paths = read(CT), []
    for number in range(count):
        ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = f"1.2.826.0.1.3.{number}"
        paths.append(directory / f"{number}.dcm")
        ds.save_as(paths[-1])
    return paths


def test_several_associations(dcmtk: Any, tmp_path: Path) -> None:
    """DCMTK has a process for each, and knows of no window."""
    scp = dcmtk.storescp("--fork")
    paths = numbered(tmp_path, 40)
    assoc = ae_for([CT]).associate("127.0.0.1", scp.port, window=(8, 1))
    results = list(assoc.send_c_stores(paths, associations=4))
    assoc.release()
    assert sorted(path for path, _ in results) == sorted(paths)
    assert {status.Status for _, status in results} == {0x0000}
    assert sorted(read(one).SOPInstanceUID for one in scp.files()) == sorted(
        read(one).SOPInstanceUID for one in paths
    )
