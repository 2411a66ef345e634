"""Print SCP with callbacks: a printer whose films are files.

    python examples/callbacks/print_scp.py 127.0.0.1 11112 --directory printed

Each image of a film that is printed becomes a Secondary Capture file. Runs until Ctrl-C, and then
ends with 0.
"""

import argparse
import re
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pydicom import Dataset
from pydicom.dataset import FileMetaDataset
from pydicom.tag import BaseTag
from pydicom.uid import ExplicitVRLittleEndian, generate_uid

from pynetdicom import AE
from pynetdicom.sop_class import (
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    Printer,
    PrinterInstance,
    SecondaryCaptureImageStorage,
    Verification,
)
from pynetdicom.typing import Context, Info, Reply

# What the printer does where it is not told, which the responses say (PS3.4 H.4.1.2, H.4.2.2).
OF_A_SESSION = {
    "NumberOfCopies": 1,
    "PrintPriority": "MED",
    "MediumType": "PAPER",
    "FilmDestination": "PROCESSOR",
}
OF_A_FILM = {
    "FilmOrientation": "PORTRAIT",
    "FilmSizeID": "A4",
    "MagnificationType": "NONE",
    "MaxDensity": 300,
    "ConfigurationInformation": "",
}
MOST_IMAGES = 100  # on a film


def reference(sop_class: str, sop_instance: str) -> Dataset:
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = sop_class, sop_instance
    return item


def with_defaults(attributes: Dataset, defaults: dict[str, Any]) -> Dataset:
    for keyword, value in defaults.items():
        if attributes.get(keyword) in (None, ""):
            setattr(attributes, keyword, value)
    return attributes


def write(image: Dataset, directory: Path) -> None:
    """Write a printed image as a file; who the patient is, a printer is not told."""
    ds = Dataset()
    ds.update(image)
    ds.SOPClassUID, ds.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid(prefix=None)
    ds.StudyInstanceUID, ds.SeriesInstanceUID = generate_uid(prefix=None), generate_uid(prefix=None)
    ds.Modality, ds.ConversionType = "OT", "WSD"
    for keyword in (
        *("PatientName", "PatientID", "PatientBirthDate", "PatientSex", "StudyDate", "StudyTime"),
        *("StudyID", "AccessionNumber", "ReferringPhysicianName", "SeriesNumber"),
        *("InstanceNumber", "PatientOrientation"),
    ):
        setattr(ds, keyword, None)
    ds.file_meta = FileMetaDataset()
    ds.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    ds["PixelData"].VR = "OW"
    ds.save_as(directory / f"{ds.SOPInstanceUID}.dcm", enforce_file_format=True)


Answer = tuple[int, Dataset | None]


class Job:
    """What an association has created; it ends with the association (PS3.4 H.4.1.2.1.1)."""

    def __init__(self) -> None:
        self.session: str | None = None  # its UID
        self.films: dict[str, list[str]] = {}  # by UID: the UIDs of its image boxes
        # By the UID of the image box: what was set, or None.
        self.images: dict[str, Dataset | None] = {}

    def create_session(self, uid: str, attributes: Dataset) -> Answer:
        if self.session is not None:
            return 0x0213, None  # one at a time
        self.session = uid
        return 0x0000, with_defaults(attributes, OF_A_SESSION)

    def create_film(self, uid: str, attributes: Dataset) -> Answer:
        (session,) = attributes.ReferencedFilmSessionSequence
        if self.session is None or session.ReferencedSOPInstanceUID != self.session:
            return 0x0106, None
        if uid in self.films:
            return 0x0111, None
        layout = re.fullmatch(r"STANDARD\\(\d+),(\d+)", str(attributes.ImageDisplayFormat))
        count = int(layout[1]) * int(layout[2]) if layout else 0
        if not 1 <= count <= MOST_IMAGES:
            return 0x0106, None
        boxes: list[str] = [generate_uid(prefix=None) for _ in range(count)]
        self.films[uid] = boxes
        self.images.update(dict.fromkeys(boxes))
        attributes.ReferencedImageBoxSequence = [
            reference(BasicGrayscaleImageBox, box) for box in boxes
        ]
        return 0x0000, with_defaults(attributes, OF_A_FILM)

    def set_image(self, uid: str, attributes: Dataset) -> Reply:
        if uid not in self.images:
            return 0x0112, None
        images = attributes.BasicGrayscaleImageSequence
        if not images:
            self.images[uid] = None  # cleared
            return 0x0000, None
        image = images[0]
        if len(image.PixelData) < image.Rows * image.Columns * image.BitsAllocated // 8:
            return 0x0106, None
        if attributes.get("Polarity") == "REVERSE":
            other = {"MONOCHROME1": "MONOCHROME2", "MONOCHROME2": "MONOCHROME1"}
            image.PhotometricInterpretation = other[image.PhotometricInterpretation]
        self.images[uid] = image
        return 0x0000, None

    def print_films(self, films: list[str], directory: Path, empty: int) -> int:
        """Print; give the status, which is `empty` if there is no image on one of them."""
        for uid in films:
            for box in self.films[uid]:
                if (image := self.images[box]) is not None:
                    write(image, directory)
        are_full = [any(self.images[box] is not None for box in self.films[uid]) for uid in films]
        return 0x0000 if all(are_full) else empty

    def delete_film(self, uid: str) -> None:
        for box in self.films.pop(uid):
            del self.images[box]

    def delete_session(self) -> None:
        for uid in list(self.films):
            self.delete_film(uid)
        self.session = None


def create(job: Job, sop_class: str, uid: str, attributes: Dataset) -> Reply:
    """An N-CREATE of a film session or a film box."""
    what: dict[str, Callable[[str, Dataset], Answer]] = {
        BasicFilmSession: job.create_session,
        BasicFilmBox: job.create_film,
    }
    if sop_class not in what:
        return 0x0211, None
    uid = uid or generate_uid(prefix=None)
    status = Dataset()
    status.AffectedSOPInstanceUID = uid
    status.Status, made = what[sop_class](uid, attributes)
    return status, made


def change(job: Job, sop_class: str, uid: str, attributes: Dataset) -> Reply:
    """An N-SET."""
    if sop_class == BasicGrayscaleImageBox:
        return job.set_image(uid, attributes)
    # A film session or a film box: of what can be changed there, nothing matters to a file.
    return 0x0000 if uid == job.session or uid in job.films else 0x0112, None


def act(job: Job, sop_class: str, uid: str, directory: Path) -> Reply:
    """An N-ACTION, whose only type is 1: print (PS3.4 H.4.1.2.4, H.4.2.2.4)."""
    if sop_class == BasicFilmBox:
        return job.print_films([uid], directory, 0xB603) if uid in job.films else 0x0112, None
    if uid != job.session:
        return 0x0112, None
    if not job.films:
        return 0xC600, None
    return job.print_films(list(job.films), directory, 0xB602), None


def delete(job: Job, uid: str) -> int:
    """An N-DELETE of a film session, with its film boxes, or of a film box."""
    if uid == job.session:
        job.delete_session()
    elif uid in job.films:
        job.delete_film(uid)
    else:
        return 0x0112
    return 0x0000


def get(sop_class: str, uid: str, tags: list[BaseTag]) -> Reply:
    """An N-GET of the printer's state (PS3.4 H.4.6.2.2)."""
    if (sop_class, uid) != (Printer, PrinterInstance):
        return 0x0112, None
    state = Dataset()
    state.PrinterStatus, state.PrinterStatusInfo = "NORMAL", "NORMAL"
    state.PrinterName = "FILES"
    found = Dataset()
    found.update({tag: state[tag] for tag in tags or state.keys() if tag in state})
    return 0x0000 if all(tag in state for tag in tags) else 0x0107, found


class PrintAE(AE):
    """An AE whose callbacks are methods; assigning functions to it does the same."""

    def __init__(self, directory: Path, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.directory = directory
        # By the peer's address and port: each has a thread of its own.
        self.jobs: dict[tuple[str, int], Job] = {}

    def job(self, info: Info) -> Job:
        """The job of a request's association; those of associations that are no more go."""
        known = list(self.jobs)  # before those who are there: one that is new is in neither
        there = [(a.requestor.address, a.requestor.port) for a in self.active_associations]
        for peer in known:
            if peer not in there:
                self.jobs.pop(peer, None)
        peer = info["requestor"]["address"], info["requestor"]["port"]
        return self.jobs.setdefault(peer, Job())

    def on_n_create(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """A film session or a film box is created: return a status and a data set, or None."""
        return create(self.job(info), *instance(info), dataset)

    def on_n_set(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """An image box gets its image."""
        return change(self.job(info), *instance(info), dataset)

    def on_n_action(self, dataset: Dataset, context: Context, info: Info) -> Reply:
        """A film box, or the film session, is printed."""
        return act(self.job(info), *instance(info), self.directory)

    def on_n_delete(self, context: Context, info: Info) -> int:
        """A film session or a film box is not needed any more: return a status."""
        return delete(self.job(info), instance(info)[1])

    def on_n_get(self, attr: list[BaseTag], context: Context, info: Info) -> Reply:
        """The printer is asked for its state; `attr` is a list of tags, empty for all."""
        return get(*instance(info), attr)


def instance(info: Info) -> tuple[Any, Any]:
    """The SOP Class and the SOP Instance of a request."""
    parameters = info["parameters"]
    return parameters["requested_sop_class_uid"], parameters["requested_sop_instance_uid"]


def main() -> int:
    parser = argparse.ArgumentParser(description="Print into files.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path(), help="where the files go")
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)

    ae = PrintAE(args.directory, ae_title=b"PRINT_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(Verification)
    ae.add_supported_context(BasicGrayscalePrintManagementMeta)
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
