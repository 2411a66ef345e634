"""Tests of sender.py, with the fixtures that pynetdicom brings for pytest.

python -m pytest examples/tutorials/test_sender.py
"""

from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmread
from sender import send_folder

from pynetdicom.testing import FAULTS, DicomFactory, DicomSCP


@pytest.fixture
def outgoing(tmp_path: Path, dicom_factory: DicomFactory) -> Path:
    """A folder with three images to send."""
    for number, image in enumerate(dicom_factory.series(instances=3)):
        image.save_as(tmp_path / f"{number}.dcm", enforce_file_format=True)
    return tmp_path


def send(outgoing: Path, peer: DicomSCP, **options: Any) -> list[str]:
    """Names of the files that are left after sending, without waiting long."""
    left = send_folder(outgoing, peer.address, **{"pause": 0, "timeout": 0.5, **options})
    return [path.name for path in left]


def test_what_is_stored_is_removed(outgoing: Path, dicom_scp: DicomSCP) -> None:
    assert send(outgoing, dicom_scp) == []
    assert len(dicom_scp.stored) == 3
    assert dicom_scp.stored[0].dataset.PatientName == "Factory^Test"
    assert dicom_scp.stored[0].calling_ae_title == "SENDER"


def test_a_refused_image_stays(outgoing: Path, dicom_scp: DicomSCP) -> None:
    dicom_scp.respond(0xC000, to="C-STORE", skip=1, times=1)  # the second one
    assert send(outgoing, dicom_scp, attempts=1) == ["1.dcm"]


def test_a_warning_says_that_it_is_stored(outgoing: Path, dicom_scp: DicomSCP) -> None:
    dicom_scp.respond(0xB007, to="C-STORE")
    assert send(outgoing, dicom_scp) == []


def test_an_archive_whose_disk_is_full_for_a_while(outgoing: Path, dicom_scp: DicomSCP) -> None:
    dicom_scp.respond(0xA700, to="C-STORE", times=3)
    assert send(outgoing, dicom_scp) == []
    assert [one.status for one in dicom_scp.stored] == [0xA700] * 3 + [0x0000] * 3


def test_an_archive_that_is_not_there(outgoing: Path, dicom_scp: DicomSCP) -> None:
    dicom_scp.close()
    assert len(send(outgoing, dicom_scp)) == 3


@pytest.mark.parametrize("fault", FAULTS)
def test_nothing_is_removed_that_the_archive_does_not_have(
    fault: str, outgoing: Path, dicom_scp: DicomSCP
) -> None:
    """Whatever goes wrong, and however often."""
    uids = {path.name: dcmread(path).SOPInstanceUID for path in outgoing.iterdir()}
    dicom_scp.fault(fault)
    for name in send(outgoing, dicom_scp, attempts=1):
        del uids[name]
    taken = {one.sop_instance_uid for one in dicom_scp.stored if one.status == 0x0000}
    assert taken.issuperset(uids.values())


@pytest.mark.parametrize("fault", FAULTS)
def test_what_goes_wrong_once_is_made_good(fault: str, outgoing: Path, dicom_scp: DicomSCP) -> None:
    dicom_scp.fault(fault, times=1)
    assert send(outgoing, dicom_scp) == []
    assert len({one.sop_instance_uid for one in dicom_scp.stored if one.status == 0x0000}) == 3
