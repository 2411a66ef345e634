"""The pytest plugin: cheap where it is not used, and the same however often it is loaded."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

PLUGIN = ("-p", "pynetdicom.testing.plugin")

USES = """
    from pynetdicom import AE
    from pynetdicom.sop_class import CTImageStorage, Verification

    def test_all(dicom_scp, mock_pacs, dicom_factory, scripted_peer, dicom_tls):
        ae = AE("ME")
        ae.add_requested_context(Verification)
        ae.add_requested_context(CTImageStorage)
        assoc = ae.associate(*dicom_scp.address)
        assert assoc.send_c_store(dicom_factory()).Status == 0x0000
        assoc.release()
        assert dicom_scp.stored[0].dataset.PatientName == "Factory^Test"
        assert ae.associate(*mock_pacs.address).is_established
        with scripted_peer.connect(dicom_scp.address) as peer:
            peer.send("A-ASSOCIATE-RQ")
            peer.expect("A-ASSOCIATE-AC")
            peer.send("A-ABORT")
        assert dicom_tls.client
        ae.shutdown()
"""


def run(folder: Path, code: str, *options: str) -> subprocess.CompletedProcess[str]:
    """Run a test module with a pytest of its own."""
    import textwrap

    (folder / "test_it.py").write_text(textwrap.dedent(code))
    command = [sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider", *options, "."]
    return subprocess.run(
        command, cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )


@pytest.fixture(autouse=True)
def here(monkeypatch: pytest.MonkeyPatch, python_env: dict[str, str]) -> None:
    for name, value in python_env.items():
        monkeypatch.setenv(name, value)


@pytest.mark.parametrize("options", [(), PLUGIN, ("-n", "2")], ids=["once", "twice", "xdist"])
def test_every_fixture_works(tmp_path: Path, options: tuple[str, ...]) -> None:
    done = run(tmp_path, USES, *PLUGIN, *options)
    assert done.returncode == 0, done.stdout + done.stderr
    assert "1 passed" in done.stdout
