"""Our archive, with DCMTK's tools as SCUs, on each database and with several processes."""

from __future__ import annotations

import hashlib
import json
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import dcmwrite
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian

from tests.apps.archive.conftest import location
from tests.apps.conftest import CT, MR, TEST_FILES, Served
from tests.interop.test_apps import with_uid
from tests.interop.test_other_tools import tool
from tests.interop.test_store_scu import assert_same_elements, bundled, read
from tests.sampled import sampled

__all__ = ["location", "tool"]  # fixtures

RTPLAN = TEST_FILES / "rtplan.dcm"
OVERLAY = TEST_FILES / "examples_overlay.dcm"
FILES = (CT, MR, RTPLAN, OVERLAY)
PADDING = 0xFFFCFFFC

Serve = Callable[..., Served]


@pytest.fixture
def archive(location: str, python_env: dict[str, str], tmp_path: Path) -> Iterator[Serve]:
    """``archive(more_configuration, "--workers", 2)`` starts qrscp on a free port."""
    started: list[Served] = []

    def serve(more: str = "", *options: object) -> Served:
        place = tmp_path / "qrscp"
        place.mkdir(exist_ok=True)
        (place / "q.toml").write_text(
            '[archive]\nbind_address = "127.0.0.1"\nport = 0\n'
            f"[database]\nlocation = {json.dumps(location)}\n{more}"
        )
        command = [sys.executable, "-m", "pynetdicom", "qrscp", "-c", "q.toml"]
        served = Served([*command, *map(str, options)], python_env, place)
        started.append(served)
        return served

    yield serve
    for served in started:
        if served.process.poll() is None:
            assert served.stop(signal.SIGTERM) == 0, served.errors()
        assert "Traceback" not in served.errors()


def store(dcmtk: Any, port: int, *paths: Path) -> None:
    """Store files with DCMTK's storescu, as they are."""
    dcmtk.run("storescu", "-xe", "-R", "127.0.0.1", port, *paths, check=True)


def without_padding(ds: Dataset) -> Dataset:
    """What DCMTK keeps of a data set: neither group lengths nor padding."""
    kept = Dataset()
    kept.update({e.tag: e for e in ds if e.tag.element and e.tag != PADDING})
    return kept


def assert_come(directory: Path, *paths: Path) -> None:
    """The files of a directory are those that were stored, element by element."""
    found = {str(ds.SOPInstanceUID): ds for ds in map(read, directory.iterdir())}
    assert set(found) == {str(bundled(path).SOPInstanceUID) for path in paths}
    for path in paths:
        ds = bundled(path)
        one = found[str(ds.SOPInstanceUID)]
        assert_same_elements(without_padding(one), without_padding(ds))


def keys(*words: str) -> list[str]:
    return [part for word in words for part in ("-k", word)]


@pytest.fixture
def find(tool: Any, tmp_path: Path) -> Callable[..., list[Dataset]]:
    """``find(port, "STUDY", "PatientID=…")``: the matches that DCMTK's findscu gets."""
    count = 0

    def run(port: int, level: str, *words: str, model: str = "-P") -> list[Dataset]:
        nonlocal count
        count += 1
        place = tmp_path / f"found{count}"
        place.mkdir()
        asked = keys(f"QueryRetrieveLevel={level}", *words) if level else keys(*words)
        result = tool("findscu").run(
            "findscu", model, "-X", "-od", place, *asked, "127.0.0.1", port
        )
        assert result.returncode == 0, result.stdout
        return [read(path) for path in sorted(place.iterdir())]

    return run


@sampled("workers", [1, 2])
def test_store_find_get_move(
    archive: Serve, dcmtk: Any, tool: Any, find: Any, tmp_path: Path, workers: int
) -> None:
    destination = dcmtk.storescp("+xa")
    served = archive(
        f'[[peer]]\nae_title = "DEST"\naddress = "127.0.0.1"\nport = {destination.port}\n',
        "--workers",
        workers,
    )
    dcmtk.run("echoscu", "127.0.0.1", served.port, check=True)
    for path in FILES:  # each on an association, and so in a process, of its own
        store(dcmtk, served.port, path)
    assert len(find(served.port, "IMAGE", *_above(CT), "SOPInstanceUID")) == 1
    assert len(find(served.port, "PATIENT", "PatientID")) == len(FILES)
    got = tmp_path / "got"
    got.mkdir()
    for path in FILES:
        asked = keys("QueryRetrieveLevel=STUDY", *_above(path)[:2])
        tool("getscu").run(
            "getscu", "-P", "+B", "-od", got, *asked, "127.0.0.1", served.port, check=True
        )
        dcmtk.run("movescu", "-P", "-aem", "DEST", *asked, "127.0.0.1", served.port, check=True)
    assert_come(got, *FILES)
    assert_come(destination.directory, *FILES)


def _above(path: Path) -> list[str]:
    """The unique keys of a file's patient, study and series."""
    names = ("PatientID", "StudyInstanceUID", "SeriesInstanceUID")
    return [f"{name}={bundled(path).get(name)}" for name in names]


@pytest.mark.slow
@pytest.mark.parametrize("uid", ["../x", "1.2.abc"])
def test_an_instance_whose_uid_is_hashed(
    archive: Serve, dcmtk: Any, find: Any, tmp_path: Path, uid: str
) -> None:
    sent = with_uid(tmp_path / "sent.dcm", uid)
    destination = dcmtk.storescp("+uf")
    served = archive(
        f'[[peer]]\nae_title = "DEST"\naddress = "127.0.0.1"\nport = {destination.port}\n',
        "--hash-uids",
    )
    store(dcmtk, served.port, sent)
    store(dcmtk, served.port, sent)
    (stored,) = (tmp_path / "qrscp" / "instances").rglob("*.dcm")
    assert stored.name == f"sha256-{hashlib.sha256(uid.encode()).hexdigest()}.dcm"
    dumped = dcmtk.run("dcmdump", "+P", "SOPInstanceUID", stored, check=True).stdout
    assert f"[{uid}]" in dumped
    found = find(served.port, "IMAGE", *_above(CT), f"SOPInstanceUID={uid}")
    assert [str(one["SOPInstanceUID"].value) for one in found] == [uid]
    asked = keys("QueryRetrieveLevel=IMAGE", *_above(CT), f"SOPInstanceUID={uid}")
    dcmtk.run("movescu", "-P", "-aem", "DEST", *asked, "127.0.0.1", served.port, check=True)
    assert [read(path)["SOPInstanceUID"].value for path in destination.files()] == [uid]


@pytest.mark.slow
def test_queries(archive: Serve, dcmtk: Any, find: Any) -> None:
    served = archive()
    store(dcmtk, served.port, *FILES)
    ct, mr = bundled(CT), bundled(MR)
    port = served.port
    for name in ("CompressedSamples*", "compressedsamples^ct1", "Compressed?amples^CT*"):
        found = find(port, "PATIENT", f"PatientName={name}", "PatientID")
        assert ct.PatientID in {one.PatientID for one in found}, name
    assert find(port, "PATIENT", "PatientName=Nobody*", "PatientID") == []
    (study,) = find(
        port,
        "STUDY",
        f"StudyInstanceUID={ct.StudyInstanceUID}",
        "StudyDate",
        "NumberOfStudyRelatedInstances",
        model="-S",
    )
    assert (study.StudyDate, study.NumberOfStudyRelatedInstances) == (ct.StudyDate, 1)
    uids = f"{ct.StudyInstanceUID}\\{mr.StudyInstanceUID}\\1.2.3"
    listed = find(port, "STUDY", f"StudyInstanceUID={uids}", model="-S")
    expected = {ct.StudyInstanceUID, mr.StudyInstanceUID}
    assert {one.StudyInstanceUID for one in listed} == expected
    dates = {bundled(path).StudyInstanceUID: bundled(path).get("StudyDate") for path in FILES}
    for low, high in ((ct.StudyDate, ct.StudyDate), ("", ct.StudyDate), (ct.StudyDate, "")):
        found = find(port, "STUDY", f"StudyDate={low}-{high}", "StudyInstanceUID", model="-S")
        assert {one.StudyInstanceUID for one in found} == {
            uid for uid, date in dates.items() if date and (low or "0") <= date <= (high or "9")
        }
    patient, study_uid, series_uid = _above(CT)
    (series,) = find(port, "SERIES", patient, study_uid, "Modality=C*", "SeriesInstanceUID")
    assert (series.Modality, series.SeriesInstanceUID) == ("CT", ct.SeriesInstanceUID)
    assert find(port, "SERIES", patient, study_uid, "Modality=MR", "SeriesInstanceUID") == []
    (image,) = find(port, "IMAGE", patient, study_uid, series_uid, "InstanceNumber=1", "Rows")
    assert (image.InstanceNumber, image.Rows) == (1, ct.Rows)


@pytest.mark.slow
def test_a_worklist(archive: Serve, find: Any, tmp_path: Path) -> None:
    directory = tmp_path / "qrscp" / "worklist"
    directory.mkdir(parents=True)
    for number, modality in enumerate(("CT", "MR", "CT"), 1):
        item = Dataset()
        item.PatientID = f"W{number}"
        item.PatientName = f"Doe^Jane{number}"
        step = Dataset()
        step.Modality = modality
        step.ScheduledProcedureStepStartDate = f"2026010{number}"
        item.ScheduledProcedureStepSequence = [step]
        item.file_meta = FileMetaDataset()
        item.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
        item.file_meta.MediaStorageSOPClassUID = "1.2.840.10008.5.1.4.31"
        item.file_meta.MediaStorageSOPInstanceUID = f"1.2.{number}"
        dcmwrite(directory / f"{number}.wl", item, enforce_file_format=True)
    (directory / "notes.txt").write_text("not an item")
    served = archive('[worklist]\ndirectory = "worklist"\n')
    place = "ScheduledProcedureStepSequence[0]."

    def ask(*words: str) -> set[str]:
        return {
            str(one.PatientID) for one in find(served.port, "", "PatientID", *words, model="-W")
        }

    assert ask() == {"W1", "W2", "W3"}
    assert ask(f"{place}Modality=CT") == {"W1", "W3"}
    assert ask(f"{place}ScheduledProcedureStepStartDate=20260102-20260103") == {"W2", "W3"}
    assert ask(f"{place}Modality=CT", "PatientName=doe^jane3") == {"W3"}
    assert ask("PatientName=Nobody*") == set()


NO_CONTEXT = "presentation context"
"""What DCMTK's tools say in several ways where none was accepted."""


@pytest.mark.slow
def test_a_peer_without_permission_is_refused(
    archive: Serve, dcmtk: Any, tool: Any, tmp_path: Path
) -> None:
    served = archive(
        '[[peer]]\nae_title = "CT1"\nmay = ["store"]\n[[peer]]\nae_title = "WS"\nmay = ["find"]\n'
    )
    result = dcmtk.run("storescu", "-v", "-aet", "WS", "127.0.0.1", served.port, CT)
    assert result.returncode != 0
    assert NO_CONTEXT in result.stdout.lower(), result.stdout
    assert list((served.directory / "instances").rglob("*.dcm")) == []
    dcmtk.run("storescu", "-aet", "CT1", "127.0.0.1", served.port, CT, check=True)
    asked = keys("QueryRetrieveLevel=STUDY", *_above(CT)[:2])
    where = ("127.0.0.1", served.port)
    got = tmp_path / "got"
    got.mkdir()
    found: dict[str, subprocess.CompletedProcess[str]] = {
        "findscu": tool("findscu").run("findscu", "-v", "-P", "-aet", "CT1", *asked, *where),
        "getscu": tool("getscu").run(
            "getscu", "-v", "-P", "-aet", "WS", "-od", got, *asked, *where
        ),
        "movescu": dcmtk.run("movescu", "-v", "-P", "-aet", "WS", "-aem", "WS", *asked, *where),
    }
    for name, one in found.items():
        assert NO_CONTEXT in one.stdout.lower(), (name, one.stdout)
    assert list(got.iterdir()) == []


@pytest.mark.slow
def test_a_destination_that_is_not_known(archive: Serve, dcmtk: Any) -> None:
    served = archive()
    store(dcmtk, served.port, CT)
    asked = keys("QueryRetrieveLevel=STUDY", *_above(CT)[:2])
    result = dcmtk.run("movescu", "-v", "-P", "-aem", "X", *asked, "127.0.0.1", served.port)
    assert "a801" in result.stdout.lower() or "DestinationUnknown" in result.stdout.replace(" ", "")
