"""Folders of received objects: safe names, no two values in one, one for what has none."""

from __future__ import annotations

import itertools
import os
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread

from pynetdicom.apps import sorting
from pynetdicom.apps.sorting import NOTHING, SORTED, folder, safe_name, study_folder
from pynetdicom.data_sets.data_set import encode_dataset
from pynetdicom.data_sets.encoded import InMemory
from tests.apps.conftest import CT, MR
from tests.apps.test_storescp import send
from tests.sampled import sampled

EXPLICIT = "1.2.840.10008.1.2.1"


@pytest.mark.parametrize(
    ("value", "name"),
    [
        (b"1.2.840.1", "1.2.840.1"), (b"PAT-12_3", "PAT-12_3"), (b"a b", "a%20b"),
        (b"", NOTHING), (b".", "%2E"), (b"..", "%2E%2E"), (b"../../etc", "%2E.%2F..%2Fetc"),
        (b"/etc/passwd", "%2Fetc%2Fpasswd"), (b"C:\\x", "C%3A%5Cx"), (b"-rf", "%2Drf"),
        (b"1.2.", "1.2%2E"), (b"CON", "%43ON"), (b"nul.txt", "%6Eul.txt"), (b"com1", "%63om1"),
        (b"COMA", "COMA"), (b"100%", "100%25"), (b"%none", "%25none"), (b"a@b", "a%40b"),
        ("Müller".encode(), "M%C3%BCller"), (b"\0\n\x1b", "%00%0A%1B"), (b"*?<>|\"'$`;", None),
    ],
)  # fmt: skip
def test_safe_names(value: bytes, name: str | None) -> None:
    found = safe_name(value)
    assert name is None or found == name
    assert set(found) <= {*map(chr, sorting._PLAIN), "%"}


def test_no_two_values_have_the_same_name(tmp_path: Path) -> None:
    """Nor one that leads elsewhere; every one can be made."""
    alphabet = (b"A", b"a", b".", b"-", b"/", b"%", b"2", b"E", b"\0", b" ", b"@")
    values = [
        b"".join(some) for size in range(4) for some in itertools.product(alphabet, repeat=size)
    ]
    values += [b"x" * size for size in range(120, 140)] + [b"\xff" * size for size in (42, 43, 64)]
    names = {safe_name(value) for value in values}
    assert len(names) == len(values)
    for name in names:
        assert len(name) <= sorting._LONGEST
        assert os.path.basename(os.path.normpath(tmp_path / name)) == name
    (tmp_path / safe_name(b"\xff" * 64)).mkdir()


def test_folders() -> None:
    values = {sorting.PATIENT_ID: b"P/1", sorting.STUDY: b"1.2", sorting.SERIES: b"1.2.3"}
    found = {sort: folder("d", values, tags).split(os.sep) for sort, tags in SORTED.items()}
    assert found == {
        "study": ["d", "1.2"],
        "series": ["d", "1.2", "1.2.3"],
        "patient": ["d", "P%2F1", "1.2", "1.2.3"],
    }
    assert study_folder("d", values, "patient").split(os.sep) == ["d", "P%2F1", "1.2"]
    assert study_folder("d", values, "series").split(os.sep) == ["d", "1.2"]
    assert study_folder("d", values, None) == "d"
    # The same number elsewhere is another patient; nor is it who has that as his number.
    with_issuer = {**values, sorting.ISSUER: b"H@1"}
    assert folder("d", with_issuer, SORTED["patient"]).split(os.sep)[1] == "P%2F1@H%401"
    assert folder("d", with_issuer, SORTED["study"]).split(os.sep) == ["d", "1.2"]
    assert folder("d", {}, SORTED["series"]).split(os.sep) == ["d", NOTHING, NOTHING]


def test_values_are_without_padding() -> None:
    ds = Dataset()
    ds.PatientID, ds.StudyInstanceUID, ds.SeriesInstanceUID = "P1 ", "1.2.3", ""
    found = sorting.values_of(encode_dataset(ds, EXPLICIT))
    assert found == {sorting.PATIENT_ID: b"P1", sorting.STUDY: b"1.2.3", sorting.SERIES: b""}


def test_what_does_not_decode_has_no_values(caplog: pytest.LogCaptureFixture) -> None:
    assert sorting.values_of(InMemory(b"\x08\0\x18\0UI\xff\xff1.2", EXPLICIT)) == {}
    assert len(caplog.records) == 1


@sampled("sort", SORTED)
def test_storescp_sorts(serve_app: Any, sort: str) -> None:
    """And names no patient in its log."""
    scp = serve_app("storescp", "--sort", sort, "-v")
    hostile = dcmread(MR)
    hostile.PatientID = "../../JANE"
    hostile.file_meta = dcmread(MR).file_meta
    ct = dcmread(CT)
    assert send(scp.port, ct, hostile, ct) == [0x0000] * 3
    found = {
        path.relative_to(scp.directory).parts for path in scp.directory.rglob("*") if path.is_file()
    }
    names = {
        ct.SOPInstanceUID: (ct.PatientID, ct.StudyInstanceUID, ct.SeriesInstanceUID),
        hostile.SOPInstanceUID: (
            "%2E.%2F..%2FJANE", hostile.StudyInstanceUID, hostile.SeriesInstanceUID,
        ),
    }  # fmt: skip
    which = {"study": slice(1, 2), "series": slice(1, 3), "patient": slice(0, 3)}[sort]
    assert found == {(*of[which], f"{uid}.dcm") for uid, of in names.items()}
    assert scp.stop() == 0
    assert f"{ct.SOPInstanceUID}.dcm" in scp.errors()
    assert "JANE" not in scp.errors()
    assert ct.PatientID not in scp.errors()
