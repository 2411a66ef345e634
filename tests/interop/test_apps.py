"""Our programs and DCMTK's, in both directions."""

from __future__ import annotations

import hashlib
import shutil
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread

from tests.apps.conftest import (
    CT,
    CT_JPEG2000,
    MR,
    SC_RLE,
    TEST_FILES,
    US_JPEG,
    run_app,
    serve_app,
)
from tests.apps.test_storescp import ODD_UIDS, store_raw
from tests.sampled import sampled

__all__ = ["run_app", "serve_app"]  # fixtures

# Those that DCMTK's storescu proposes a compressed transfer syntax for, when told which.
PROPOSALS = {
    CT: "-xe",
    MR: "-xi",
    CT_JPEG2000: "-xw",
    US_JPEG: "-xy",
    SC_RLE: "-xr",
    TEST_FILES / "image_dfl.dcm": "-xd",
    TEST_FILES / "MR_small_jpeg_ls_lossless.dcm": "-xt",
    TEST_FILES / "MR_small_bigendian.dcm": "-xb",
}


def values(path: Path) -> dict[Any, Any]:
    """Tag → value, without what DCMTK changes of its own accord: group lengths and padding."""
    padding = 0xFFFCFFFC
    return {
        element.tag: element.value
        for element in dcmread(path)
        if element.tag.element != 0x0000 and element.tag != padding
    }


def stored_as(path: Path, directory: Path) -> Path:
    """The one file in a directory that holds the instance of `path`."""
    uid = dcmread(path, stop_before_pixels=True).SOPInstanceUID
    (found,) = (file for file in directory.iterdir() if uid in file.name)
    return found


def test_echoscu(run_app: Any, dcmtk: Any) -> None:
    scp = dcmtk.storescp()
    result = run_app("echoscu", "127.0.0.1", scp.port, "--repeat", "3")
    assert (result.returncode, result.stderr) == (0, "")
    scp.stop()
    assert scp.output().count("Received Echo Request") == 3


@sampled("app", ["echoscp", "storescp"])
def test_echoscp(serve_app: Any, dcmtk: Any, app: str) -> None:
    scp = serve_app(app)
    dcmtk.run("echoscu", "127.0.0.1", scp.port, "--repeat", "3", check=True)
    dcmtk.run("echoscu", "127.0.0.1", scp.port, "--abort", check=True)


def test_storescu(run_app: Any, dcmtk: Any) -> None:
    scp = dcmtk.storescp("+xa")
    sent = [CT, MR, CT_JPEG2000, US_JPEG]
    result = run_app("storescu", "127.0.0.1", scp.port, *sent)
    assert (result.returncode, result.stderr) == (0, "")
    assert len(scp.files()) == len(sent)
    for path in sent:
        stored = stored_as(path, scp.directory)
        assert values(stored) == values(path)
        syntax = dcmread(path, stop_before_pixels=True).file_meta.TransferSyntaxUID
        assert dcmread(stored, stop_before_pixels=True).file_meta.TransferSyntaxUID == syntax


@pytest.mark.slow
def test_storescu_falls_back_to_what_is_accepted(run_app: Any, dcmtk: Any) -> None:
    scp = dcmtk.storescp("+xi")
    result = run_app("storescu", "127.0.0.1", scp.port, CT, CT_JPEG2000)
    assert result.returncode == 1
    assert f"storescu: {CT_JPEG2000}: " in result.stderr
    (stored,) = scp.files()
    assert dcmread(stored).file_meta.TransferSyntaxUID.is_implicit_VR
    assert dcmread(stored).pixel_array.tobytes() == dcmread(CT).pixel_array.tobytes()


@sampled(
    ("option", "reason"),
    [("--refuse", "reject"), ("--abort-after", "abort"), ("--abort-during", "abort")],
)
def test_storescu_says_why_nothing_was_stored(
    run_app: Any, dcmtk: Any, option: str, reason: str
) -> None:
    scp = dcmtk.storescp(option)
    result = run_app("storescu", "127.0.0.1", scp.port, CT, MR)
    assert result.returncode == 1
    assert reason in result.stderr
    assert "2 of 2 files were not stored" in result.stderr
    if option != "--refuse":
        assert f"storescu: {CT}: no answer: " in result.stderr
        # On an association of its own, since the first one was aborted.
        assert f"storescu: {MR}: no answer: " in result.stderr


@sampled("path", PROPOSALS, ids=lambda path: path.stem)
def test_storescp(serve_app: Any, dcmtk: Any, path: Path) -> None:
    scp = serve_app("storescp")
    dcmtk.run("storescu", PROPOSALS[path], "127.0.0.1", scp.port, path, check=True)
    assert scp.errors() == ""
    (name,) = scp.files()
    assert name == f"{dcmread(path).SOPInstanceUID}.dcm"
    assert values(scp.directory / name) == values(path)


def with_uid(path: Path, uid: str) -> Path:
    """Write a CT image that says of itself that it is instance `uid`, which is no UID."""
    ds = dcmread(CT)
    for elements in (ds.file_meta, ds):
        element = elements[0x00020003 if elements is ds.file_meta else 0x00080018]
        element._value = uid
    ds.save_as(path)
    return path


@pytest.mark.slow
@pytest.mark.parametrize("uid", ["../x", "/tmp/x", "1.2.abc", "1.2/3"])
def test_storescp_hashes_uids(serve_app: Any, dcmtk: Any, tmp_path: Path, uid: str) -> None:
    """DCMTK sends such an instance, and reads what was stored."""
    sent = with_uid(tmp_path / "sent.dcm", uid)
    refusing = serve_app("storescp")
    result = dcmtk.run("storescu", "-xe", "-R", "127.0.0.1", refusing.port, sent)
    assert result.returncode != 0
    assert refusing.files() == []
    scp = serve_app("storescp", "--hash-uids")
    for _ in range(2):
        dcmtk.run("storescu", "-xe", "-R", "127.0.0.1", scp.port, sent, check=True)
    assert scp.files() == [f"sha256-{hashlib.sha256(uid.encode()).hexdigest()}.dcm"]
    stored = scp.directory / scp.files()[0]
    dumped = dcmtk.run("dcmdump", "+L", "+P", "SOPInstanceUID", stored, check=True).stdout
    assert f"[{uid}]" in dumped
    assert values(stored) == values(sent)


@pytest.mark.slow
def test_files_of_hashed_uids_can_be_read(serve_app: Any, dcmtk: Any) -> None:
    """By DCMTK, whatever bytes the UID has."""
    scp = serve_app("storescp", "--hash-uids")
    assert set(store_raw(scp.port, *ODD_UIDS)) == {0x0000}
    assert len(scp.files()) == len(ODD_UIDS)
    for name in scp.files():
        dumped = dcmtk.run("dcmdump", scp.directory / name, check=True).stdout
        assert "E: " not in dumped
        assert "(0010,0020) LO [P1]" in dumped


@pytest.mark.slow
def test_storescp_stores_many(serve_app: Any, dcmtk: Any, tmp_path: Path) -> None:
    scp = serve_app("storescp")
    directory = tmp_path / "images"
    directory.mkdir()
    for path in (CT, MR, TEST_FILES / "examples_overlay.dcm", TEST_FILES / "rtplan.dcm"):
        shutil.copy(path, directory)
    for _ in range(2):
        dcmtk.run("storescu", "-xe", "+sd", "127.0.0.1", scp.port, directory, check=True)
    assert len(scp.files()) == 4, "the second copies are the same"
    assert scp.errors() == ""
    for path in directory.iterdir():
        stored = scp.directory / f"{dcmread(path).SOPInstanceUID}.dcm"
        assert values(stored) == values(path)


@pytest.mark.slow
def test_storescp_refuses_what_it_does_not_take(serve_app: Any, dcmtk: Any) -> None:
    scp = serve_app("storescp", "-xi", "--no-echo")
    result = dcmtk.run("storescu", "-xw", "-R", "127.0.0.1", scp.port, CT_JPEG2000)
    assert result.returncode != 0
    assert scp.files() == []
    assert dcmtk.run("echoscu", "127.0.0.1", scp.port).returncode != 0
