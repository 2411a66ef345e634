"""The programs of the tutorials, and what becomes of a study when something goes wrong."""

from __future__ import annotations

import asyncio
import csv
import errno
import importlib.util
import io
import json
import os
import re
import shutil
import signal
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt
from pynetdicom.events import Event
from pynetdicom.presentation import build_contexts_for
from pynetdicom.sop_class import (
    BasicTextSRStorage,
    CTImageStorage,
    SecondaryCaptureImageStorage,
    SegmentationStorage,
)
from pynetdicom.testing import DicomFactory, MockPACS
from tests.conftest import find_free_port
from tests.examples.conftest import EXAMPLES, Running, Scripts, pydicom_file, scripts
from tests.peers import DEADLINE
from tests.sampled import sampled

__all__ = ["scripts"]  # a fixture

TUTORIALS = EXAMPLES / "tutorials"
LOCAL = "127.0.0.1"
CT = pydicom_file("CT_small.dcm")
STUDY = "1.3.6.1.4.1.5962.1.2.1.20040119072730.12322"


def load(name: str, folder: Path = TUTORIALS) -> ModuleType:
    """A program as a module of its own, which a test may change."""
    spec = importlib.util.spec_from_file_location(f"{name}_of_a_test", folder / f"{name}.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    before = sys.path[:]
    sys.path.insert(0, str(folder))  # as it is where one is run
    try:
        spec.loader.exec_module(module)
    finally:
        sys.path[:] = before
    return module


def wait_for(condition: Callable[[], Any]) -> Any:
    """Return what a condition gives as soon as that is something."""
    deadline = time.monotonic() + DEADLINE
    pause = threading.Event()
    while not (found := condition()):
        assert time.monotonic() < deadline
        pause.wait(0.01)
    return found


class Archive:
    """A storage SCP that remembers what came, and answers as it is told."""

    def __init__(self, port: int = 0) -> None:
        self.came: list[Dataset] = []
        self.status = 0x0000
        self.ae = AE("ARCHIVE")
        for context in AllStoragePresentationContexts:
            assert context.abstract_syntax is not None
            self.ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        server: Any = self.ae.start_server(
            (LOCAL, port), block=False, evt_handlers=[(evt.EVT_C_STORE, self._store)]
        )
        self.port: int = server.server_address[1]

    def _store(self, event: Event) -> int:
        self.came.append(event.dataset)
        return self.status

    @property
    def uids(self) -> list[str]:
        return [ds.SOPInstanceUID for ds in self.came]


@pytest.fixture
def archive() -> Iterator[Archive]:
    found = Archive()
    yield found
    found.ae.shutdown()


@pytest.fixture
def images(tmp_path: Path) -> list[Path]:
    """Two images of a series."""
    paths = []
    for number in (1, 2):
        image = dcmread(CT)
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.InstanceNumber = number
        image.ImagePositionPatient = [-158.1, -179.0, -75.7 + 5 * number]
        paths.append(tmp_path / f"image{number}.dcm")
        image.save_as(paths[-1])
    return paths


def send(port: int, *paths: Path) -> list[int | None]:
    """Store files; gives the statuses, None for no answer."""
    assoc = AE("SENDER").associate(LOCAL, port, build_contexts_for(paths))
    assert assoc.is_established, assoc.ended
    statuses = [status.get("Status") for _, status in assoc.send_c_stores(paths)]
    assoc.release()
    return statuses


def no_room(*_: object, **__: object) -> None:
    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Programs:
    """Starts programs, and ends them with the test."""

    def __init__(self, directory: Path, env: dict[str, str]) -> None:
        self.directory, self.env = directory, env
        self._started: list[Running] = []

    def __call__(self, name: str, port: int, *arguments: object) -> Running:
        command = [sys.executable, str(TUTORIALS / f"{name}.py"), *map(str, arguments)]
        running = Running(command, port, self.directory, self.env)
        self._started.append(running)
        return running

    def end(self) -> None:
        for running in self._started:
            running.kill()


@pytest.fixture
def start(tmp_path: Path, python_env: dict[str, str]) -> Iterator[Programs]:
    """``start(name, port, …)``, where the port is the one that it listens on."""
    programs = Programs(tmp_path, python_env)
    yield programs
    programs.end()


# The AI pipeline


class Pipelines:
    """Pipelines of the tutorial, with this archive as the destination."""

    def __init__(self, archive: Archive, directory: Path) -> None:
        self.module = load("ai_pipeline")
        self.archive, self.directory = archive, directory

    @contextmanager
    def running(self, kind: str = "picture") -> Iterator[Any]:
        ae = AE("AI_PIPELINE")
        ae.add_supported_context(CTImageStorage)
        destination = (LOCAL, self.archive.port, "ARCHIVE")
        pipeline = self.module.Pipeline(ae, destination, self.directory, 0.2, 0.2, kind)
        handlers = [(evt.EVT_C_STORE, pipeline.handle_store)]
        server: Any = ae.start_server((LOCAL, 0), block=False, evt_handlers=handlers)
        pipeline.port = server.server_address[1]
        worker = threading.Thread(target=pipeline.run)
        # A test says when: what it has sent before is one study, however slowly it was sent.
        pipeline.work = worker.start
        try:
            yield pipeline
        finally:
            pipeline.arrived.put(self.module.STOP)
            if worker.ident is not None:
                worker.join(DEADLINE)
            ae.shutdown()
        assert not worker.is_alive()

    def names(self, folder: str) -> list[str]:
        return sorted(path.name for path in (self.directory / folder).iterdir())


@pytest.fixture
def pipelines(archive: Archive, tmp_path: Path) -> Pipelines:
    pytest.importorskip("numpy")
    return Pipelines(archive, tmp_path / "pipeline")


def test_a_study_comes_back_as_a_result(
    pipelines: Pipelines, archive: Archive, images: list[Path]
) -> None:
    with pipelines.running() as pipeline:
        assert send(pipeline.port, *images) == [0x0000, 0x0000]
        pipeline.work()
        wait_for(lambda: pipelines.names("sent"))
    [result] = archive.came
    source = dcmread(images[0])
    assert result.SOPClassUID == SecondaryCaptureImageStorage
    for keyword in ("PatientName", "PatientID", "StudyInstanceUID", "StudyDate"):
        assert result[keyword] == source[keyword]
    assert result.SeriesInstanceUID != source.SeriesInstanceUID
    assert result.pixel_array.shape == (128, 128, 3)
    # started again it does nothing again
    with pipelines.running() as pipeline:
        pipeline.work_on(pipelines.directory / "studies" / STUDY)
        assert pipeline.send()
    assert len(archive.came) == 1


@pytest.mark.parametrize(
    ("kind", "sop_class"),
    [("segmentation", SegmentationStorage), ("report", BasicTextSRStorage)],
)
def test_kinds_of_results(
    kind: str, sop_class: str, pipelines: Pipelines, archive: Archive, images: list[Path]
) -> None:
    with pipelines.running(kind) as pipeline:
        send(pipeline.port, *images)
        pipeline.work()
        wait_for(lambda: pipelines.names("sent"))
    [result] = archive.came
    assert result.SOPClassUID == sop_class
    if kind == "segmentation":
        masks = [dcmread(path).pixel_array for path in images]
        assert result.pixel_array.shape == (2, *masks[0].shape)
        assert 0 < result.pixel_array.mean() < 0.5


@pytest.mark.interop
def test_dcmtk_reads_the_report(images: list[Path], tmp_path: Path) -> None:
    pytest.importorskip("numpy")
    tool = shutil.which("dsrdump")
    if tool is None:
        pytest.skip("dsrdump is not installed")
    module = load("results")
    uid = generate_uid()[:60]
    report = module.report([dcmread(path) for path in images], uid, "Some voxels are bright.")
    report.save_as(tmp_path / "report.dcm", enforce_file_format=True)
    dumped = subprocess.run(
        [tool, str(tmp_path / "report.dcm")], capture_output=True, text=True, check=True
    )
    assert "voxels are bright" in dumped.stdout


def test_an_image_that_comes_twice(pipelines: Pipelines, images: list[Path]) -> None:
    with pipelines.running() as pipeline:
        assert send(pipeline.port, images[0]) == [0x0000]
        assert send(pipeline.port, images[0]) == [0x0000]
        changed = dcmread(images[0])
        changed.PatientName = "Another^One"
        changed.save_as(images[0])
        assert send(pipeline.port, images[0]) == [0x0111]
    [kept] = (pipelines.directory / "studies").rglob("*.dcm")
    assert dcmread(kept).PatientName == "CompressedSamples^CT1"


def test_a_study_uid_that_leads_elsewhere(pipelines: Pipelines, images: list[Path]) -> None:
    image = dcmread(images[0])
    image.StudyInstanceUID = "../../escaped"
    image.save_as(images[0])
    with pipelines.running() as pipeline:
        assert send(pipeline.port, images[0]) == [0xA900]
    assert not any((pipelines.directory / "studies").iterdir())


def test_the_pipeline_s_disk_is_full(
    pipelines: Pipelines, images: list[Path], archive: Archive, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pipelines.running() as pipeline:
        with monkeypatch.context() as full:
            full.setattr(Event, "save_as", no_room)
            assert send(pipeline.port, images[0]) == [0xA700]
        assert send(pipeline.port, images[0]) == [0x0000]  # what a sender does later
        with monkeypatch.context() as full:
            tried = threading.Event()

            def replace(*_: object) -> None:
                tried.set()
                no_room()

            full.setattr(pipelines.module.os, "replace", replace)
            pipeline.work()
            assert tried.wait(DEADLINE)
        wait_for(lambda: pipelines.names("sent"))
    assert len(archive.came) == 1


def test_a_model_that_fails(
    pipelines: Pipelines, archive: Archive, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:

    def wrong(*_: object) -> None:
        raise RuntimeError("out of GPU memory")

    with monkeypatch.context() as changed:
        changed.setattr(pipelines.module, "model", wrong)
        with pipelines.running() as pipeline:
            send(pipeline.port, *images)
            pipeline.work()
            failed = pipelines.directory / "failed"
            wait_for(lambda: [one for one in failed.iterdir() if one.read_text().endswith("\n")])
            [name] = pipelines.names("failed")
    text = (pipelines.directory / "failed" / name).read_text()
    assert "out of GPU memory" in text
    assert STUDY in text
    # it is tried again when the file is gone
    (pipelines.directory / "failed" / name).unlink()
    with pipelines.running() as pipeline:
        pipeline.work()
        wait_for(lambda: pipelines.names("sent"))
    assert len(archive.came) == 1


def test_what_the_archive_answers(
    pipelines: Pipelines, archive: Archive, images: list[Path]
) -> None:
    archive.status = 0xA700
    with pipelines.running() as pipeline:
        pipeline.work()
        send(pipeline.port, images[0])
        wait_for(lambda: len(archive.came) > 1)  # it is sent again and again
        archive.status = 0x0000
        wait_for(lambda: pipelines.names("sent"))
        assert len(set(archive.uids)) == 1  # and always the same
        archive.status = 0xA900
        send(pipeline.port, images[1])
        wait_for(lambda: pipelines.names("refused"))
    assert pipelines.names("outbox") == []


def test_a_pipeline_that_is_killed_loses_nothing(
    tmp_path: Path, images: list[Path], start: Programs
) -> None:
    pytest.importorskip("numpy")
    port, archive_port = find_free_port(), find_free_port()
    arguments = LOCAL, port, "--to-port", archive_port, "--quiet", 0.2, "--retry", 0.2
    first = start("ai_pipeline", port, *arguments)
    assert send(port, images[0]) == [0x0000]
    outbox = tmp_path / "pipeline" / "outbox"
    wait_for(lambda: list(outbox.glob("*.dcm")))  # and nobody there to send it to
    first.kill()
    archive = Archive(archive_port)
    try:
        second = start("ai_pipeline", port, *arguments)
        wait_for(lambda: list((tmp_path / "pipeline" / "sent").iterdir()))
        assert second.stop(signal.SIGTERM) == 0
    finally:
        archive.ae.shutdown()
    assert len(archive.came) == 1


# The router


class Routers:
    """Routers of the tutorial; everything goes to this archive, and CT images to AI as well."""

    def __init__(self, directory: Path, archive: Archive, ai: Archive) -> None:
        self.module = load("router")
        self.directory, self.archive, self.ai = directory, archive, ai

    @contextmanager
    def running(self) -> Iterator[int]:
        ae = AE("ROUTER")
        for context in AllStoragePresentationContexts:
            assert context.abstract_syntax is not None
            ae.add_supported_context(context.abstract_syntax, ALL_TRANSFER_SYNTAXES)
        to = [("ARCHIVE", LOCAL, self.archive.port), ("AI", LOCAL, self.ai.port)]
        destinations = [self.module.Destination(ae, *one, self.directory, 0.1) for one in to]
        router = self.module.Router(destinations)
        handlers = [(evt.EVT_C_STORE, router.handle_store)]
        server: Any = ae.start_server((LOCAL, 0), block=False, evt_handlers=handlers)
        for destination in destinations:
            destination.thread.start()
        try:
            yield server.server_address[1]
        finally:
            for destination in destinations:
                destination.stop()
            ae.shutdown()
            for destination in destinations:
                destination.thread.join(DEADLINE)
                assert not destination.thread.is_alive()

    def left(self, folder: str = "queue") -> list[Path]:
        return sorted((self.directory / folder).rglob("*.dcm"))


@pytest.fixture
def routers(archive: Archive, tmp_path: Path) -> Iterator[Routers]:
    ai = Archive()
    yield Routers(tmp_path / "router", archive, ai)
    ai.ae.shutdown()


def test_objects_go_where_the_rules_say(
    routers: Routers, archive: Archive, images: list[Path]
) -> None:
    mr, compressed = pydicom_file("MR_small.dcm"), pydicom_file("JPEG2000.dcm")
    with routers.running() as port:
        assert send(port, *images, mr, compressed) == [0x0000] * 4
        wait_for(lambda: not routers.left())
    uids = [dcmread(path).SOPInstanceUID for path in (*images, mr, compressed)]
    assert archive.uids == uids
    assert routers.ai.uids == uids[:2]
    # as it came: not decoded, and not decompressed
    sent, came = dcmread(compressed), archive.came[3]
    assert came.file_meta.TransferSyntaxUID == sent.file_meta.TransferSyntaxUID
    assert came.PixelData == sent.PixelData


def test_the_router_s_disk_is_full(
    routers: Routers, archive: Archive, images: list[Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    with routers.running() as port:
        with monkeypatch.context() as full:
            full.setattr(Event, "save_as", no_room)
            assert send(port, images[0]) == [0xA700]
        assert send(port, images[0]) == [0x0000]
        wait_for(lambda: not routers.left())
    assert len(archive.came) == 1


def test_what_destinations_answer(routers: Routers, archive: Archive, images: list[Path]) -> None:
    archive.status, routers.ai.status = 0xA700, 0xA900
    with routers.running() as port:
        assert send(port, *images) == [0x0000, 0x0000]
        wait_for(lambda: len(routers.left("refused")) == 2)  # by the one
        wait_for(lambda: len(archive.came) > 4)  # and the other has no room, for now
        archive.status = 0x0000
        wait_for(lambda: not routers.left())
    assert {path.parent.name for path in routers.left("refused")} == {"AI"}


def test_a_router_that_is_killed_loses_nothing(
    tmp_path: Path, images: list[Path], start: Programs
) -> None:
    port, archive_port = find_free_port(), find_free_port()
    to = f"{LOCAL}:{archive_port}"
    destinations = "--to", f"ARCHIVE={to}", "--to", f"AI={to}"
    arguments = LOCAL, port, *destinations, "--retry", 0.2
    first = start("router", port, *arguments)
    assert send(port, *images) == [0x0000, 0x0000]
    first.kill()
    archive = Archive(archive_port)
    try:
        second = start("router", port, *arguments)
        wait_for(lambda: not list((tmp_path / "router" / "queue").rglob("*.dcm")))
        assert second.stop(signal.SIGTERM) == 0
    finally:
        archive.ae.shutdown()
    assert set(archive.uids) == {dcmread(path).SOPInstanceUID for path in images}
    assert len(archive.came) == 4


# The cohort pull


class Cohorts:
    """Runs the program against a PACS; gives its report."""

    def __init__(self, pacs: MockPACS, directory: Path, capsys: Any) -> None:
        self.module = load("cohort_pull")
        self.pacs, self.directory, self.capsys = pacs, directory, capsys
        self.list = directory / "patients.csv"

    def pull(self, *options: object) -> tuple[int, list[dict[str, str]]]:
        host, port = self.pacs.address
        words = [host, port, self.list, "--directory", self.directory, *options]
        code = self.module.main(list(map(str, words)))
        with (self.directory / "private" / "report.csv").open(newline="") as file:
            return code, list(csv.DictReader(file))

    def files(self) -> list[Path]:
        return sorted(path for path in (self.directory / "cohort").rglob("*") if path.is_file())


@pytest.fixture
def cohorts(tmp_path: Path, capsys: Any) -> Iterator[Cohorts]:
    factory = DicomFactory()
    with MockPACS() as pacs:
        for patient in ("1", "2"):
            pacs.add(
                factory.study(
                    series=2, PatientID=patient, PatientName=f"Real^Name{patient}",
                    InstitutionName="Real Hospital", ReferringPhysicianName="Real^Doctor",
                    StudyDate=f"2024010{patient}",
                )
            )  # fmt: skip
        found = Cohorts(pacs, tmp_path, capsys)
        found.list.write_text("PatientID\n1\n2\n")
        yield found


def test_a_cohort_has_other_names(cohorts: Cohorts) -> None:
    code, report = cohorts.pull()
    assert code == 0
    assert [(row["Expected"], row["There"], row["Why"]) for row in report] == [("6", "6", "")] * 2
    files = cohorts.files()
    assert len(files) == 12
    originals = {ds.SOPInstanceUID: ds for ds in cohorts.pacs.instances}
    for path in files:
        ds = dcmread(path)
        assert b"Real" not in path.read_bytes()
        assert ds.PatientID == path.parent.parent.name == ds.PatientName
        assert f"{ds.SOPInstanceUID}.dcm" == path.name
        assert ds.file_meta.MediaStorageSOPInstanceUID == ds.SOPInstanceUID not in originals
        assert ds.SOPClassUID == CTImageStorage
    # what belonged together still does
    assert len({dcmread(path).SeriesInstanceUID for path in files}) == 4
    names = (cohorts.directory / "private" / "names.csv").read_text()
    assert {path.parent.parent.name for path in files} == set(re.findall("P[0-9a-f]{12}", names))


def test_a_pull_that_broke_off_goes_on_where_it_was(cohorts: Cohorts) -> None:
    cohorts.pacs.fault("abort instead of a response", to="C-GET", skip=2, times=1)
    code, report = cohorts.pull("--at-a-time", 2)
    assert code == 1
    assert [row["There"] for row in report] == ["5", "6"]
    assert "no answer" in report[0]["Why"]
    before = len([one for one in cohorts.pacs.received if one.operation == "C-GET"])
    code, report = cohorts.pull("--at-a-time", 2)
    assert code == 0
    assert [row["There"] for row in report] == ["6", "6"]
    [again] = [one.dataset for one in cohorts.pacs.received if one.operation == "C-GET"][before:]
    assert again["SOPInstanceUID"].VM == 1  # of twelve


def test_an_image_that_cannot_be_sent_does_not_cost_the_others(cohorts: Cohorts) -> None:
    cohorts.pacs.respond(0xA702, to="C-GET", times=1)
    code, report = cohorts.pull("--at-a-time", 1)
    assert code == 1
    assert [(row["There"], row["Why"]) for row in report] == [("5", "0xA702"), ("6", "")]


def test_a_cohort_comes_by_c_move(cohorts: Cohorts) -> None:
    port = find_free_port()
    cohorts.pacs.destinations["COHORT"] = (LOCAL, port)
    code, report = cohorts.pull("--move", port)
    assert code == 0, report
    assert len(cohorts.files()) == 12


def test_what_is_missing_is_told(cohorts: Cohorts) -> None:
    cohorts.list.write_text("PatientID,StudyDate\n1,20240102-\n2,20240102-\nnobody,\n*,\n,\n")
    code, report = cohorts.pull()
    assert code == 1
    whys = [row["Why"] for row in report]
    assert whys == [
        "no such study",
        "",
        "no such study",
        *["this Patient ID would match others"] * 2,
    ]
    cohorts.pacs.respond(0xA700, to="C-FIND", ErrorComment="busy")
    code, report = cohorts.pull()
    assert report[1]["Why"] == "the query for STUDY: 0xA700 busy"
    assert len(cohorts.files()) == 6


def test_an_archive_that_ignores_a_key(cohorts: Cohorts) -> None:
    """Other patients' studies are not in the cohort, whatever the archive answers."""
    cohorts.list.write_text("PatientID\n1\n")
    keys = {ds.StudyInstanceUID: ds for ds in cohorts.pacs.instances}

    usual: Any = cohorts.pacs.default("C-FIND")

    def all_of_it(request: Any) -> Any:
        if request.dataset.QueryRetrieveLevel != "STUDY":
            return usual(request)
        found = []
        for ds in keys.values():
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            match.PatientID, match.StudyInstanceUID = ds.PatientID, ds.StudyInstanceUID
            found.append(match)
        return found

    cohorts.pacs.respond(all_of_it, to="C-FIND")
    code, report = cohorts.pull()
    assert code == 0
    assert [row["There"] for row in report] == ["6"]


def test_the_cohort_s_disk_is_full(cohorts: Cohorts, monkeypatch: pytest.MonkeyPatch) -> None:
    with monkeypatch.context() as full:
        full.setattr(Dataset, "save_as", no_room)
        with pytest.raises(SystemExit, match="No space left"):
            cohorts.pull()
    assert not cohorts.files()
    assert cohorts.pull()[0] == 0


def test_a_column_that_is_no_key(cohorts: Cohorts) -> None:
    cohorts.list.write_text("PatientID,Modalty\n1,CT\n")  # would be ignored, and all retrieved
    with pytest.raises(SystemExit, match="keywords"):
        cohorts.pull()


def test_an_object_that_nobody_has_asked_for(cohorts: Cohorts, images: list[Path]) -> None:
    port = find_free_port()
    cohorts.pacs.destinations["COHORT"] = (LOCAL, port)
    sent = []

    usual: Any = cohorts.pacs.default("C-MOVE")

    def intrude(request: Any) -> Any:
        sent.append(send(port, images[0]))
        return usual(request)

    cohorts.pacs.respond(intrude, to="C-MOVE", times=1)
    assert cohorts.pull("--move", port)[0] == 0
    assert sent == [[0x0124]]
    assert len(cohorts.files()) == 12


# The modality


@sampled(
    ("breaks_at", "state"),
    [("take_images", "discontinued"), ("deliver", "completed"), ("begin", None)],
)
def test_a_modality_that_is_killed(
    breaks_at: str,
    state: str | None,
    scripts: Scripts,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: Any,
) -> None:
    department = scripts.serve(
        EXAMPLES / "department_scp.py", find_free_port(), "--directory", "archive"
    )
    module = load("modalitys_day", EXAMPLES)
    directory = tmp_path / "modality"
    directory.mkdir()
    right = getattr(module, breaks_at)

    class Killed(BaseException):
        pass

    def take_one(*arguments: Any) -> Iterator[Dataset]:
        yield next(right(*arguments))
        raise Killed

    def kill(*_: Any) -> None:
        raise Killed

    def begin(assoc: Any, item: Any, number: int, folder: Path) -> None:
        monkeypatch.setattr(module.mpps, "begin", kill)
        right(assoc, item, number, folder)

    breaking: dict[str, Any] = {"take_images": take_one, "begin": begin}
    ae = AE("MODALITY")
    for sop_class in (
        module.ModalityWorklistInformationFind, module.ModalityPerformedProcedureStep,
        module.StorageCommitmentPushModel, CTImageStorage,
    ):  # fmt: skip
        ae.add_requested_context(sop_class)
    with monkeypatch.context() as broken, ae.associate(LOCAL, department.port) as assoc:
        broken.setattr(module, breaks_at, breaking.get(breaks_at, kill))
        with pytest.raises(Killed):
            module.work(assoc, 2, directory)
        assoc.abort()
    monkeypatch.undo()
    left = len(list(directory.rglob("*.dcm")))
    assert left == {"take_images": 1, "deliver": 2, "begin": 0}[breaks_at]
    with ae.associate(LOCAL, department.port) as assoc:
        assert module.work(assoc, 2, directory)
    printed = capsys.readouterr().out
    assert f"left behind: {left} of {left} images stored, {left} committed" in printed
    assert "0 steps are left" in printed
    assert not any(directory.iterdir())
    kept = list((department.directory / "archive").glob("*.dcm"))
    assert len(kept) == (4 if breaks_at == "deliver" else 4 + left)
    if state is not None:
        assert state in department.output()


# The web service


class Service:
    """The web service of the tutorial, and the PACS that it asks."""

    def __init__(self, module: ModuleType, pacs: MockPACS) -> None:
        self.pacs = pacs
        self.app = module.make_app(module.Archive(*pacs.address, "PACS"))

    def get(self, path: str, status: int = 200, **query: Any) -> Any:
        answer = asyncio.run(self._get(path, query))
        assert answer.status_code == status, answer.text
        return answer if "zip" in answer.headers["content-type"] else answer.json()

    async def _get(self, path: str, query: dict[str, Any]) -> Any:
        import httpx

        transport = httpx.ASGITransport(self.app)
        async with httpx.AsyncClient(transport=transport, base_url="http://web") as client:
            return await client.get(path, params=query)


@pytest.fixture
def service() -> Iterator[Service]:
    pytest.importorskip("fastapi")
    pytest.importorskip("httpx")
    with MockPACS(DicomFactory().study(series=2, PatientName="Müller^Jörg")) as pacs:
        yield Service(load("web_service"), pacs)


def test_what_is_found_is_json(service: Service) -> None:
    assert service.get("/health") == {"archive": "is there"}
    [study] = service.get("/studies", PatientName="müller*")["studies"]
    assert study["PatientName"] == "Müller^Jörg"
    found = service.get(f"/studies/{study['StudyInstanceUID']}/series")
    assert [one["NumberOfSeriesRelatedInstances"] for one in found["series"]] == ["3", "3"]
    assert found["all"] is True
    assert service.get(f"/studies/{study['StudyInstanceUID']}/series", limit=1)["all"] is False
    assert service.get("/studies", PatientName="Doe") == {"studies": [], "all": True}
    service.get("/studies", 400)
    service.get("/studies/../series", 404)
    service.get("/studies/abc/series", 422)


def test_a_series_is_whole_or_an_error(service: Service) -> None:
    first = service.pacs.instances[0]
    path = f"/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"
    answer = service.get(path)
    with zipfile.ZipFile(io.BytesIO(answer.content)) as file:
        uids = {dcmread(file.open(name)).SOPInstanceUID for name in file.namelist()}
    same = [ds for ds in service.pacs.instances if ds.SeriesInstanceUID == first.SeriesInstanceUID]
    assert uids == {ds.SOPInstanceUID for ds in same}
    service.get(f"{path}.1", 404)
    service.pacs.respond(0x0000, to="C-GET", times=1)  # it says that all is well, and sends nothing
    assert "3 of 3 did not come" in service.get(path, 502)["detail"]
    service.pacs.fault("abort instead of a response", to="C-GET", times=1)
    assert "did not answer" in service.get(path, 504)["detail"]
    service.pacs.respond(0xA701, to="C-GET", ErrorComment="later", times=1)
    assert "0xA701 later" in service.get(path, 502)["detail"]


def test_an_archive_that_is_not_there(service: Service) -> None:
    service.pacs.close()
    assert "cannot be asked" in service.get("/studies", 503, PatientID="1")["detail"]


@pytest.fixture
def service_aio(service: Service) -> Service:
    pytest.importorskip("greenlet")
    return Service(load("web_service_aio"), service.pacs)


def lines_of(service: Service, **query: Any) -> list[dict[str, Any]]:
    """What a stream of lines says."""
    answer = asyncio.run(service._get("/studies", query))
    assert answer.status_code == 200
    return [json.loads(line) for line in answer.text.splitlines()]


def test_studies_come_line_by_line(service_aio: Service) -> None:
    *studies, end = lines_of(service_aio, PatientName="müller*")
    assert [one["PatientName"] for one in studies] == ["Müller^Jörg"]
    assert end == {"all": True}
    service_aio.pacs.respond(0xA700, to="C-FIND", ErrorComment="busy")
    [end] = lines_of(service_aio, PatientName="müller*")
    assert end == {"all": False, "problem": "the archive says 0xA700 busy"}
    service_aio.pacs.close()
    [end] = lines_of(service_aio, PatientName="müller*")
    assert "cannot be asked" in end["problem"]


def test_a_series_over_asyncio(service_aio: Service) -> None:
    first = service_aio.pacs.instances[0]
    path = f"/studies/{first.StudyInstanceUID}/series/{first.SeriesInstanceUID}"
    with zipfile.ZipFile(io.BytesIO(service_aio.get(path).content)) as file:
        assert len(file.namelist()) == 3
    service_aio.get(f"{path}.1", 404)
    service_aio.pacs.respond(0x0000, to="C-GET", times=1)
    assert "3 of 3 did not come" in service_aio.get(path, 502)["detail"]


def test_a_caller_who_is_gone_cancels_the_query(service_aio: Service) -> None:
    def without_end(request: Any) -> Iterator[Dataset]:
        while True:
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            match.PatientName = "Doe"
            yield match

    service_aio.pacs.respond(without_end, to="C-FIND")

    async def ask_and_go() -> None:
        begun = asyncio.Event()
        asked = iter([{"type": "http.request", "body": b"", "more_body": False}])

        async def receive() -> dict[str, Any]:
            for message in asked:
                return message
            await begun.wait()
            return {"type": "http.disconnect"}

        async def send(message: dict[str, Any]) -> None:
            if message["type"] == "http.response.body":
                begun.set()

        scope = {
            "type": "http", "asgi": {"version": "3.0", "spec_version": "2.3"}, "method": "GET",
            "http_version": "1.1", "scheme": "http", "path": "/studies", "raw_path": b"/studies",
            "query_string": b"PatientName=Doe", "root_path": "", "headers": [],
            "server": ("web", 80), "client": ("caller", 1),
        }  # fmt: skip
        await service_aio.app(scope, receive, send)
        await asyncio.to_thread(service_aio.pacs.wait_for, 1, "C-FIND")

    asyncio.run(ask_and_go())
    [query] = service_aio.pacs.received
    assert query.is_cancelled
    assert query.status == 0xFE00


@sampled("name", ["web_service", "web_service_aio"])
def test_a_web_service_is_a_program(name: str, service: Service, start: Programs) -> None:
    pytest.importorskip("uvicorn")
    import httpx

    port = find_free_port()
    running = start(name, port, *service.pacs.address, "--http-port", port)
    answer = httpx.get(f"http://{LOCAL}:{port}/studies", params={"PatientName": "Müller*"})
    first = json.loads(answer.text.splitlines()[0])
    assert first.get("studies", [first])[0]["PatientName"] == "Müller^Jörg"
    running.stop(signal.SIGTERM)
    assert "Traceback" not in running.output()
    assert "ller" not in running.output()  # no names in the log


# Testing one's own code


@pytest.mark.parametrize(
    "chosen",
    ["not fault and not nothing and not wrong", pytest.param("", marks=pytest.mark.slow)],
    ids=["some", "all"],
)
def test_the_tests_of_the_tutorial(chosen: str, tmp_path: Path, python_env: dict[str, str]) -> None:
    for name in ("sender", "test_sender"):
        shutil.copy(TUTORIALS / f"{name}.py", tmp_path)
    ran = subprocess.run(
        [
            sys.executable, "-m", "pytest", "-q", "-p", "no:cacheprovider",
            "-p", "pynetdicom.testing.plugin", "-k", chosen,
        ],
        cwd=tmp_path,
        env=python_env,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert ran.returncode == 0, ran.stdout
    assert re.search(r"\d+ passed", ran.stdout)


def test_the_sender_is_a_program(
    images: list[Path], archive: Archive, python_env: dict[str, str]
) -> None:
    folder = images[0].parent
    command = [sys.executable, str(TUTORIALS / "sender.py"), LOCAL, str(archive.port), str(folder)]
    ran = subprocess.run(command, env=python_env, capture_output=True, text=True, check=False)
    assert (ran.returncode, ran.stdout) == (0, "0 files are left\n")
    assert len(archive.came) == 2
