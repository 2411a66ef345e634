"""Several operations at a time on one association with the archive, where it is to allow that."""

from __future__ import annotations

from pathlib import Path

from pydicom import Dataset, dcmread

from pynetdicom import AE
from pynetdicom.sop_class import CTImageStorage, PatientRootQueryRetrieveInformationModelFind
from tests.apps.archive.conftest import Start
from tests.apps.conftest import CT, copies

FIND = PatientRootQueryRetrieveInformationModelFind


def test_many_are_kept_and_found(start: Start, tmp_path: Path) -> None:
    """All come to the same series at the same time."""
    config = tmp_path / "archive.toml"
    config.write_text("[limits]\nwindow = 4\n")
    served = start("--config", config)
    paths = copies(CT, tmp_path / "many", 24)
    ae = AE()
    ae.add_requested_context(CTImageStorage, dcmread(CT).file_meta.TransferSyntaxUID)
    ae.add_requested_context(FIND)
    with ae.associate("127.0.0.1", served.port, window=(16, 1)) as assoc:
        assert assoc.acceptor.asynchronous_operations == (4, 1)
        sent = [status.Status for _, status in assoc.send_c_stores(paths)]
        assert sent == [0x0000] * len(paths)
        image, keys = dcmread(CT), Dataset()
        for keyword in ("PatientID", "StudyInstanceUID", "SeriesInstanceUID"):
            setattr(keys, keyword, image[keyword].value)
        keys.QueryRetrieveLevel, keys.SOPInstanceUID = "IMAGE", ""
        found = [match.SOPInstanceUID for _, match in assoc.send_c_find(keys, FIND) if match]
    assert sorted(found) == sorted(f"1.2.3.{number}" for number in range(24))


def test_one_at_a_time_unless_it_is_to_allow_more(start: Start) -> None:
    ae = AE()
    ae.add_requested_context(FIND)
    with ae.associate("127.0.0.1", start().port, window=(16, 1)) as assoc:
        assert assoc.acceptor.asynchronous_operations == (1, 1)
