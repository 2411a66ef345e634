"""Print management with DCMTK: its printer, dcmprscp, and what prints on ours, dcmprscu."""

from __future__ import annotations

import runpy
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    PresentationLUT,
    Printer,
    PrinterInstance,
)
from tests.apps.conftest import CT, MR
from tests.conftest import ROOT, find_free_port
from tests.interop.conftest import Dcmtk, Listening

META = BasicGrayscalePrintManagementMeta
EXAMPLES = ROOT / "examples"
CONFIG = r"""
[[GENERAL]]
[APPLICATION]
LogDirectory = {directory}/log
[PRINT]
Directory = {directory}/spool
DeletePrintJobs = true
[DATABASE]
Directory = {directory}/database
[LUT]
Directory = {directory}/lut
[NETWORK]
aetitle = DCMPSTATE

[[COMMUNICATION]]
[PRINTER]
Aetitle = PRINTER
Description = a printer
Hostname = localhost
Port = {port}
Type = {kind}
DisplayFormat = 1,1\1,2\2,1\2,2
FilmDestination = MAGAZINE\PROCESSOR
FilmSizeID = 8INX10IN\A4
MagnificationType = REPLICATE\NONE
MaxPDU = 16384
MediumType = PAPER\CLEAR FILM
PresentationLUTMatchRequired = false
Supports12Bit = true
SupportsPresentationLUT = true
"""


class Place:
    """A directory with what the print tools keep, and their configuration file."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        for name in ("log", "spool", "database", "lut"):
            (directory / name).mkdir()

    def config(self, kind: str, port: int) -> Path:
        path = self.directory / f"{kind}.cfg"
        path.write_text(CONFIG.format(directory=self.directory, port=port, kind=kind))
        return path

    def jobs(self) -> list[Path]:
        """What has been printed, or is to be: a file a film."""
        return sorted((self.directory / "database").glob("SP_*.dcm"))

    def images(self, job: Dataset) -> list[Dataset]:
        """The images of a job, by their positions."""
        found = [dcmread(path) for path in (self.directory / "database").glob("HG_*.dcm")]
        by_uid = {image.SOPInstanceUID: image for image in found}
        boxes = sorted(job.ImageBoxContentSequence, key=lambda box: box.ImageBoxPosition)
        return [by_uid[box.ReferencedImageSequence[0].ReferencedSOPInstanceUID] for box in boxes]


@pytest.fixture
def place(tmp_path: Path) -> Place:
    return Place(tmp_path)


@pytest.fixture
def printer(dcmtk: Dcmtk, place: Place) -> Listening:
    """DCMTK's."""
    port = find_free_port()
    config = place.config("LOCALPRINTER", port)
    return dcmtk.start("dcmprscp", "-v", "-c", config, "-p", "PRINTER", port=port)


def data_set(**elements: Any) -> Dataset:
    made = Dataset()
    for keyword, value in elements.items():
        setattr(made, keyword, value)
    return made


def reference(sop_class: str, sop_instance: str) -> Dataset:
    return data_set(ReferencedSOPClassUID=sop_class, ReferencedSOPInstanceUID=sop_instance)


def image_of(rows: int, columns: int, bits: int) -> Dataset:
    """The item of an image box, with every value that its bits allow, in turn."""
    allocated = 8 if bits == 8 else 16
    values = (number * 37 % (1 << bits) for number in range(rows * columns))
    image = data_set(
        SamplesPerPixel=1,
        PhotometricInterpretation="MONOCHROME2",
        Rows=rows,
        Columns=columns,
        BitsAllocated=allocated,
        BitsStored=bits,
        HighBit=bits - 1,
        PixelRepresentation=0,
        PixelData=b"".join(value.to_bytes(allocated // 8, "little") for value in values),
    )
    image["PixelData"].VR = "OW"
    return image


def assert_has(data_set: Dataset, wanted: Dataset, *but: str) -> None:
    """Each element of `wanted` is there, as it is."""
    keywords = [element.keyword for element in wanted if element.keyword not in but]
    assert {keyword: data_set.get(keyword) for keyword in keywords} == {
        keyword: wanted[keyword].value for keyword in keywords
    }


class Scu:
    """Prints by hand."""

    def __init__(self, port: int, *others: str) -> None:
        ae = AE("PRINT_SCU")
        for uid in (META, *others):
            ae.add_requested_context(uid)
        self.assoc = ae.associate("127.0.0.1", port, ae_title="PRINTER")
        assert self.assoc.is_established, self.assoc.ended

    def create(self, sop_class: str, attributes: Dataset | None, uid: str | None = None) -> Any:
        meta = None if sop_class == PresentationLUT else META
        return self.assoc.send_n_create(attributes, sop_class, uid, meta_uid=meta)

    def session(self, **attributes: Any) -> str:
        uid = generate_uid(prefix=None)
        status, _ = self.create(BasicFilmSession, data_set(**attributes) or None, uid)
        assert status.Status == 0x0000
        return str(uid)

    def film(self, session: str, layout: str = "1,1", **attributes: Any) -> tuple[str, list[str]]:
        """A film box and its image boxes."""
        uid = generate_uid(prefix=None)
        status, made = self.create(BasicFilmBox, film(session, layout, **attributes), uid)
        assert status.Status == 0x0000
        boxes = made.ReferencedImageBoxSequence
        assert {box.ReferencedSOPClassUID for box in boxes} == {BasicGrayscaleImageBox}
        return str(uid), [box.ReferencedSOPInstanceUID for box in boxes]

    def set(self, attributes: Dataset, sop_class: str, uid: str) -> Any:
        return self.assoc.send_n_set(attributes, sop_class, uid, meta_uid=META)

    def put(self, box: str, position: int, image: Dataset, **attributes: Any) -> Any:
        content = data_set(
            ImageBoxPosition=position, BasicGrayscaleImageSequence=[image], **attributes
        )
        return self.set(content, BasicGrayscaleImageBox, box)

    def print(self, sop_class: str, uid: str) -> int:
        status, _ = self.assoc.send_n_action(None, 1, sop_class, uid, meta_uid=META)
        return int(status.Status)

    def delete(self, sop_class: str, uid: str) -> int:
        return int(self.assoc.send_n_delete(sop_class, uid, meta_uid=META).Status)

    def release(self) -> None:
        self.assoc.release()
        assert self.assoc.is_released, self.assoc.ended


def film(session: str, layout: str = "1,1", **attributes: Any) -> Dataset:
    return data_set(
        ImageDisplayFormat=f"STANDARD\\{layout}",
        ReferencedFilmSessionSequence=[reference(BasicFilmSession, session)],
        **attributes,
    )


# Ours prints on DCMTK's


def test_a_film(printer: Listening, place: Place) -> None:
    """Each attribute is in the printer's answer, and each pixel in what it has printed."""
    scu = Scu(printer.port)
    status, state = scu.assoc.send_n_get(
        ["PrinterStatus", "PrinterStatusInfo"], Printer, PrinterInstance, meta_uid=META
    )
    assert status.Status == 0x0000
    assert state == data_set(PrinterStatus="NORMAL", PrinterStatusInfo="NORMAL")

    wanted = data_set(
        NumberOfCopies=2,
        PrintPriority="HIGH",
        MediumType="PAPER",
        FilmDestination="MAGAZINE",
        FilmSessionLabel="Label",
        OwnerID="ME",
    )
    session = str(generate_uid(prefix=None))
    status, made = scu.create(BasicFilmSession, wanted, session)
    assert (status.Status, status.AffectedSOPInstanceUID) == (0x0000, session)
    assert made == wanted
    status, made = scu.set(
        data_set(NumberOfCopies=3, FilmDestination="PROCESSOR"), BasicFilmSession, session
    )
    assert (status.Status, made.NumberOfCopies) == (0x0000, 3)

    of_the_film = film(
        session,
        "1,2",
        FilmOrientation="LANDSCAPE",
        FilmSizeID="A4",
        MagnificationType="REPLICATE",
    )
    uid = str(generate_uid(prefix=None))
    status, made = scu.create(BasicFilmBox, of_the_film, uid)
    assert (status.Status, status.AffectedSOPInstanceUID) == (0x0000, uid)
    assert_has(made, of_the_film)
    boxes = [box.ReferencedSOPInstanceUID for box in made.ReferencedImageBoxSequence]
    images = [image_of(8, 10, 8), image_of(90, 100, 12)]
    for position, (box, image) in enumerate(zip(boxes, images, strict=True), 1):
        status, made = scu.put(box, position, image)
        assert (status.Status, made.ImageBoxPosition) == (0x0000, position)
    assert scu.print(BasicFilmBox, uid) == 0x0000
    assert scu.delete(BasicFilmBox, uid) == 0x0000
    assert scu.delete(BasicFilmSession, session) == 0x0000
    scu.release()

    (path,) = place.jobs()
    job = dcmread(path)
    assert_has(job.FilmBoxContentSequence[0], of_the_film, "ReferencedFilmSessionSequence")
    assert job.PrinterCharacteristicsSequence[0].Originator == "PRINT_SCU"
    for printed, image in zip(place.images(job), images, strict=True):
        assert_has(printed, image)


def test_a_presentation_lut(printer: Listening, place: Place) -> None:
    """In a context of its own, besides the one of the Meta SOP Class."""
    scu = Scu(printer.port, PresentationLUT)
    uid = str(generate_uid(prefix=None))
    shape = data_set(PresentationLUTShape="LIN OD")
    status, made = scu.create(PresentationLUT, shape, uid)
    assert (status.Status, status.AffectedSOPInstanceUID, made) == (0x0000, uid, shape)
    lut = [reference(PresentationLUT, uid)]
    number, (box,) = scu.film(scu.session(), ReferencedPresentationLUTSequence=lut)
    assert scu.put(box, 1, image_of(8, 8, 8))[0].Status == 0x0000
    assert scu.print(BasicFilmBox, number) == 0x0000
    assert scu.assoc.send_n_delete(PresentationLUT, uid).Status == 0x0110  # it is in use
    assert scu.delete(BasicFilmBox, number) == 0x0000
    assert scu.assoc.send_n_delete(PresentationLUT, uid).Status == 0x0000
    scu.release()
    (path,) = place.jobs()
    (content,) = dcmread(path).PresentationLUTContentSequence
    assert_has(content, shape)


def test_what_the_printer_refuses(printer: Listening, place: Place) -> None:
    """Its statuses arrive as they are, and the association goes on."""
    scu = Scu(printer.port)
    assert scu.delete(BasicFilmSession, "1.2.3") == 0x0112
    assert scu.create(BasicFilmBox, film("1.2.3"))[0].Status == 0x0117
    session = scu.session()
    assert scu.create(BasicFilmSession, None, session)[0].Status != 0x0000
    assert scu.print(BasicFilmSession, session) == 0xC600
    status, _ = scu.create(BasicFilmBox, data_set(ImageDisplayFormat="STANDARD\\1,1"))
    assert status.Status == 0x0120
    uid, (box,) = scu.film(session)
    assert scu.print(BasicFilmBox, uid) == 0xB603  # there is no image
    image = image_of(8, 8, 8)
    del image.Rows
    assert scu.put(box, 1, image)[0].Status >= 0x0100
    assert scu.put("1.2.3", 1, image_of(8, 8, 8))[0].Status == 0x0112
    scu.release()
    assert place.jobs() == []


@pytest.mark.parametrize("style", ["events", "callbacks"])
def test_the_example_prints(
    style: str, printer: Listening, place: Place, dcmtk: Dcmtk, python_env: dict[str, str]
) -> None:
    script = EXAMPLES / style / "print_scu.py"
    dcmtk._tools["print_scu"] = sys.executable
    arguments = (script, "127.0.0.1", printer.port, CT, MR, CT, "--format", "1,2")
    done = dcmtk.run("print_scu", *arguments, env=python_env, check=True)
    assert done.stdout == "printer: NORMAL NORMAL\nfilm printed\nfilm printed\n"
    jobs = [dcmread(path) for path in place.jobs()]
    printed = sorted([(i.Rows, i.Columns) for i in place.images(job)] for job in jobs)
    ct, mr = ((ds.Rows, ds.Columns) for ds in map(dcmread, (CT, MR)))
    assert printed == sorted([[ct, mr], [ct]])


# DCMTK's prints on ours


class Ours:
    """The printer of the example, which also tells what it was asked for."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.asked: list[tuple[str, str, Dataset | None]] = []
        self.reported: list[int] = []
        self.reports = False
        self._example = runpy.run_path(str(EXAMPLES / "events" / "print_scp.py"))
        self._jobs: dict[Any, Any] = {}
        self.ae = AE("PRINTER")
        self.ae.add_supported_context(META)
        server = self.ae.start_server(("127.0.0.1", 0), block=False, evt_handlers=self._handlers())
        assert server is not None
        self.port = server.server_address[1]

    def _handlers(self) -> list[Any]:
        jobs, directory = self._jobs, self.directory
        return [
            (evt.EVT_N_CREATE, self._handle, ["handle_create", "attribute_list", jobs]),
            (evt.EVT_N_SET, self._handle, ["handle_set", "modification_list", jobs]),
            (evt.EVT_N_ACTION, self._handle, ["handle_action", None, jobs, directory]),
            (evt.EVT_N_DELETE, self._handle, ["handle_delete", None, jobs]),
            (evt.EVT_N_GET, self._handle, ["handle_get", None]),
        ]

    def _handle(self, event: Any, name: str, attribute: str | None, *args: Any) -> Any:
        rq = event.request
        sop_class = rq.AffectedSOPClassUID if attribute == "attribute_list" else None
        given = Dataset()
        given.update(getattr(event, attribute) if attribute else {})
        self.asked.append((rq.name, sop_class or rq.RequestedSOPClassUID, given))
        if self.reports:
            info = data_set(PrinterStatusInfo="SUPPLY LOW", PrinterName="FILES")
            status, _ = event.assoc.send_n_event_report(
                info, 2, Printer, PrinterInstance, meta_uid=META
            )
            self.reported.append(status.Status)
        return self._example[name](event, *args)

    def given(self, operation: str, sop_class: str) -> Iterable[Dataset]:
        return [given for name, uid, given in self.asked if (name, uid) == (operation, sop_class)]

    def printed(self) -> list[Dataset]:
        return [dcmread(path) for path in sorted(self.directory.iterdir())]


@pytest.fixture
def ours(tmp_path: Path) -> Iterator[Ours]:
    directory = tmp_path / "printed"
    directory.mkdir()
    started = Ours(directory)
    yield started
    started.ae.shutdown()


def rendered(dcmtk: Dcmtk, place: Place, config: Path, *options: object) -> Dataset:
    """Have a job made of two images; give it."""
    arguments = ("-c", config, "-p", "PRINTER", "--layout", 1, 2, *options, CT, MR)
    dcmtk.run("dcmpsprt", *arguments, check=True)
    (path,) = place.jobs()
    return dcmread(path)


OF_THE_FILM = {
    "--filmsize": ("FilmSizeID", "A4"),
    "--magnification": ("MagnificationType", "NONE"),
    "--max-density": ("MaxDensity", "300"),
    "--configinfo": ("ConfigurationInformation", "CS000"),
}
OF_THE_SESSION = {
    "--copies": ("NumberOfCopies", 2),
    "--medium-type": ("MediumType", "CLEAR FILM"),
    "--destination": ("FilmDestination", "MAGAZINE"),
    "--label": ("FilmSessionLabel", "Label"),
    "--priority": ("PrintPriority", "LOW"),
    "--owner": ("OwnerID", "ME"),
}


@pytest.mark.parametrize("of", ["film", "session"])
def test_a_job(of: str, dcmtk: Dcmtk, place: Place, ours: Ours) -> None:
    """What is printed is what the job says, element by element, and each pixel."""
    config = place.config("PRINTER", ours.port)
    options = [part for option, (_, value) in OF_THE_FILM.items() for part in (option, value)]
    job = rendered(dcmtk, place, config, "--landscape", *options)
    options = [part for name, (_, value) in OF_THE_SESSION.items() for part in (name, str(value))]
    if of == "session":
        options.append("--session-print")
    done = dcmtk.run("dcmprscu", "-v", "-c", config, *options, *place.jobs(), check=True)
    assert "E: " not in done.stdout

    (session,) = ours.given("N-CREATE", BasicFilmSession)
    assert {element.keyword: element.value for element in session} == dict(OF_THE_SESSION.values())
    (box,) = ours.given("N-CREATE", BasicFilmBox)
    content = job.FilmBoxContentSequence[0]
    # What has no value there is the printer's business, and a LUT needs a context of its own.
    wanted = {
        element.keyword: element.value
        for element in content
        if element.value not in (None, "") and element.keyword not in LUT_S
    }
    sent = {element.keyword: element.value for element in box}
    assert sent.pop("ReferencedFilmSessionSequence")[0].ReferencedSOPClassUID == BasicFilmSession
    assert sent == wanted
    assert dict(OF_THE_FILM.values()).items() <= {k: str(v) for k, v in wanted.items()}.items()

    images = place.images(job)
    boxes = list(ours.given("N-SET", BasicGrayscaleImageBox))
    assert [box.ImageBoxPosition for box in boxes] == [1, 2]
    for box, image in zip(boxes, images, strict=True):
        assert_has(image, box.BasicGrayscaleImageSequence[0])
    assert {ds.PixelData for ds in ours.printed()} == {image.PixelData for image in images}
    asked = [(name, uid) for name, uid, _ in ours.asked if name in ("N-ACTION", "N-DELETE")]
    sop_class = BasicFilmBox if of == "film" else BasicFilmSession
    assert asked[0] == ("N-ACTION", sop_class)
    assert {name for name, _ in asked[1:]} == {"N-DELETE"}


LUT_S = ("Illumination", "ReflectedAmbientLight", "ReferencedPresentationLUTSequence")


def test_the_printer_tells_of_itself(dcmtk: Dcmtk, place: Place, ours: Ours) -> None:
    """DCMTK's answers our events while it waits for a response, and goes on printing."""
    ours.reports = True
    config = place.config("PRINTER", ours.port)
    rendered(dcmtk, place, config)
    dcmtk.run("dcmprscu", "-v", "-c", config, *place.jobs(), check=True)
    assert len(ours.printed()) == 2
    assert len(ours.reported) == len(ours.asked)
    assert set(ours.reported) == {0x0000}


def test_from_ours_to_theirs_and_back(
    printer: Listening, dcmtk: Dcmtk, place: Place, ours: Ours
) -> None:
    """What ours prints on DCMTK's printer, DCMTK prints on ours."""
    scu = Scu(printer.port)
    uid, boxes = scu.film(scu.session(), "2,2")
    images = [image_of(20 + number, 10, 12) for number in range(4)]
    for position, (box, image) in enumerate(zip(boxes, images, strict=True), 1):
        assert scu.put(box, position, image)[0].Status == 0x0000
    assert scu.print(BasicFilmBox, uid) == 0x0000
    scu.release()
    config = place.config("PRINTER", ours.port)
    dcmtk.run("dcmprscu", "-v", "-c", config, *place.jobs(), check=True)
    sent = [
        box.BasicGrayscaleImageSequence[0] for box in ours.given("N-SET", BasicGrayscaleImageBox)
    ]
    for got, image in zip(sent, images, strict=True):
        assert_has(got, image)
    assert {ds.PixelData for ds in ours.printed()} == {image.PixelData for image in images}
