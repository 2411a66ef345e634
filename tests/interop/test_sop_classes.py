"""Private SOP Classes, and more of them than one association has contexts for."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from pydicom import uid

from pynetdicom.presentation import AllStoragePresentationContexts
from tests.apps.conftest import MR, RunApp, ServeApp, run_app, serve_app
from tests.conftest import find_free_port
from tests.interop.test_other_tools import by_instance, once_each, profile, tool
from tests.interop.test_store_scp import NO_DELAY, Scp, make_scp
from tests.interop.test_store_scu import (
    ae_for,
    assert_same_elements,
    assert_stored,
    bundled,
    read,
    stored_in_order,
    syntax_of,
)
from tests.sampled import sampled

__all__ = ["make_scp", "run_app", "serve_app", "tool"]  # fixtures

PRIVATE = "1.2.826.0.1.3680043.9.3811.99.1"


def write_as(path: Path, sop_class: str, syntax: str = uid.ExplicitVRLittleEndian) -> Path:
    """The MR image as an instance of another SOP Class."""
    ds = read(MR)
    del ds[0xFFFC, 0xFFFC]
    ds.SOPClassUID = ds.file_meta.MediaStorageSOPClassUID = sop_class
    ds.SOPInstanceUID = ds.file_meta.MediaStorageSOPInstanceUID = uid.generate_uid()
    if syntax == uid.ImplicitVRLittleEndian:
        ds.file_meta.TransferSyntaxUID = uid.UID(syntax)
        ds.save_as(path, implicit_vr=True, little_endian=True)
    else:
        ds.save_as(path)
    return path


def test_a_private_class_to_dcmtk(dcmtk: Any, run_app: RunApp, tmp_path: Path) -> None:
    scp = dcmtk.storescp("-pm", "+B", "+uf")
    private = write_as(tmp_path / "private.dcm", PRIVATE)
    assoc = ae_for([private, MR]).associate("127.0.0.1", scp.port)
    assert {status.Status for _, status in assoc.send_c_stores([private, MR])} == {0x0000}
    assoc.release()
    result = run_app("storescu", "127.0.0.1", scp.port, private)
    assert (result.returncode, result.stderr) == (0, "")
    first, second, third = stored_in_order(scp)
    for path, stored in ((private, first), (MR, second), (private, third)):
        assert_stored(path, stored)


def test_a_private_class_that_dcmtk_does_not_take(
    dcmtk: Any, run_app: RunApp, tmp_path: Path
) -> None:
    scp = dcmtk.storescp("+B")
    private = write_as(tmp_path / "private.dcm", PRIVATE)
    result = run_app("storescu", "127.0.0.1", scp.port, private, MR)
    assert result.returncode == 1
    assert f"storescu: {private}: " in result.stderr
    (stored,) = scp.files()
    assert_stored(MR, stored)


@sampled("unrestricted", [True, False])
def test_a_private_class_from_dcmtk(
    dcmtk: Any, make_scp: Callable[[], Scp], tmp_path: Path, unrestricted: bool
) -> None:
    private = write_as(tmp_path / "private.dcm", PRIVATE)
    classes = [PRIVATE, bundled(MR).SOPClassUID]
    options = profile(tmp_path / "profile.cfg", classes, ["LittleEndianExplicit"])
    scp = make_scp().start(unrestricted_storage=unrestricted)
    result = dcmtk.run("storescu", "-nh", *options, "127.0.0.1", scp.port, private, MR)
    assert str(scp.ended()) == "released by the peer", result.stdout
    files = [private, MR] if unrestricted else [MR]
    assert len(scp.stored) == len(files), result.stdout
    for path, item in zip(files, scp.stored, strict=True):
        assert_same_elements(bundled(path), item.dataset)
        assert item.context.abstract_syntax == bundled(path).SOPClassUID


@pytest.mark.slow
def test_more_contexts_than_fit(dcmtk: Any, run_app: RunApp, tmp_path: Path) -> None:
    """storescu makes as many associations as it needs, and each file gets there."""
    directory = tmp_path / "files"
    directory.mkdir()
    syntaxes = [uid.ExplicitVRLittleEndian, uid.ImplicitVRLittleEndian]
    files = [
        write_as(directory / f"{number:03}.dcm", context.abstract_syntax, syntaxes[number % 2])
        for number, context in enumerate(AllStoragePresentationContexts)
    ]
    assert len(files) == 170
    scp = dcmtk.storescp("-pm", "+xa", "+B", "+uf")
    result = run_app("storescu", "-cx", "-v", "127.0.0.1", scp.port, directory)
    assert result.returncode == 0, result.stderr
    for path, stored in zip(files, stored_in_order(scp), strict=True):
        assert_stored(path, stored)
    scp.stop()
    assert scp.output().count("Association Received") == 2


@pytest.mark.slow
def test_all_files_to_our_storescp(tool: Any, serve_app: ServeApp) -> None:
    """The bundled files by dcmsend, which does not take compressed ones for others."""
    files = once_each()
    scp = serve_app("storescp")
    arguments = ["-dn", "-nuc", "+f", "127.0.0.1", scp.port, *files]
    tool("dcmsend").run("dcmsend", *arguments, env=NO_DELAY, check=True)
    assert scp.errors() == ""
    # By the data set's: dcmsend names an instance as the meta information does.
    stored = by_instance(scp.directory / name for name in scp.files())
    assert len(stored) == len(scp.files()) == len(files)
    for path in files:
        original = bundled(path)
        copy = read(stored[str(original.SOPInstanceUID)])
        if uid.UID(syntax_of(original)).is_compressed:
            assert copy.file_meta.TransferSyntaxUID == syntax_of(original)
        if syntax_of(original) == copy.file_meta.TransferSyntaxUID:
            assert_same_elements(original, copy)


def test_nobody_listens_on_a_port(run_app: RunApp) -> None:
    result = run_app("storescu", "127.0.0.1", find_free_port(), MR)
    assert result.returncode == 1
    assert "Connection refused" in result.stderr
