"""The demonstration proves what it says."""

from __future__ import annotations

import shutil
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import pytest
from pydicom import dcmread

from pynetdicom.apps import demo
from tests.apps.conftest import CT


@pytest.mark.parametrize("name", demo.IMAGES)
def test_the_images_are_in_pydicoms_package(name: str) -> None:
    assert demo.bundled(name).is_file()


def test_the_images_are_of_different_instances() -> None:
    headers = [dcmread(demo.bundled(name), stop_before_pixels=True) for name in demo.IMAGES]
    assert len({header.SOPInstanceUID for header in headers}) == len(demo.IMAGES)
    names = {header.SOPClassUID.name for header in headers}
    assert {"CT Image Storage", "MR Image Storage"} <= names
    assert sum(header.file_meta.TransferSyntaxUID.is_compressed for header in headers) >= 5


def test_it_proves_that_all_is_well(python_env: dict[str, str]) -> None:
    result = subprocess.run(
        [sys.executable, "-W", "error", "-m", "pynetdicom.apps.demo"],
        env=python_env,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.count("elements equal, all bytes equal") == len(demo.IMAGES)
    headers = [dcmread(demo.bundled(name), stop_before_pixels=True) for name in demo.IMAGES]
    kinds = {(header.SOPClassUID, header.file_meta.TransferSyntaxUID) for header in headers}
    assert result.stdout.count("accepted") == len(kinds)
    assert "rejected" not in result.stdout
    assert "threads left: none" in result.stdout


def test_equal_files(tmp_path: Path) -> None:
    shutil.copy(CT, tmp_path / "stored")
    finding, well = demo.compare(CT, tmp_path / "stored")
    assert well
    assert "all bytes equal" in finding


def test_a_missing_file(tmp_path: Path) -> None:
    assert demo.compare(CT, tmp_path / "stored") == ("MISSING", False)


def test_a_different_element(tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.PatientName = "Other"
    ds.save_as(tmp_path / "stored")
    assert demo.compare(CT, tmp_path / "stored") == ("DIFFERENT: (0010,0010)", False)


def test_an_element_too_many_and_one_too_few(tmp_path: Path) -> None:
    ds = dcmread(CT)
    del ds.PatientName
    ds.PatientComments = "more"
    ds.save_as(tmp_path / "stored")
    finding, well = demo.compare(CT, tmp_path / "stored")
    assert not well
    assert finding == "DIFFERENT: (0010,0010), (0010,4000)"


def test_different_bytes_of_equal_elements(tmp_path: Path) -> None:
    ds = dcmread(CT)
    ds.StationName = "odd"
    ds.save_as(tmp_path / "sent")
    padded = (tmp_path / "sent").read_bytes()
    (tmp_path / "stored").write_bytes(padded.replace(b"odd ", b"odd\0"))
    assert demo.compare(tmp_path / "sent", tmp_path / "stored") == ("BYTES DIFFER", False)


def test_what_is_not_well_is_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    def check(directory: Path, images: Sequence[Path]) -> bool:
        return False

    assert demo.main(check) == 1
    assert "SOMETHING WENT WRONG" in capsys.readouterr().out
