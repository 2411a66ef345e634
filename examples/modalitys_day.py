"""A modality's day: worklist, images, performed procedure steps, storage, storage commitment.

    python examples/modalitys_day.py 127.0.0.1 11112

Does what ``department_scp.py`` has for it to do: for each scheduled step it tells that it begins,
takes images, tells that it is done, stores the images, and has their keeping confirmed. What is
committed is deleted, and nothing else: ends with 0 if no image is left. The images are copies of
one of pydicom's.

Each step has a folder of its own, which is named by its UID, until all of it is committed. What an
earlier run has left behind is seen to first: a step that was not ended is discontinued, and its
images are stored and committed like others.
"""

import argparse
import sys
from collections.abc import Iterator, Sequence
from datetime import datetime
from pathlib import Path

from pydicom import Dataset, dcmread
from pydicom.data import get_testdata_file
from pydicom.uid import generate_uid

from pynetdicom import AE
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    CTImageStorage,
    ModalityPerformedProcedureStep,
    ModalityWorklistInformationFind,
    StorageCommitmentPushModel,
)
from pynetdicom.workflows import commitment, mpps, worklist
from pynetdicom.workflows.providing import Refused

TITLE = "MODALITY"
BEGUN = "begun"  # a file that is there while the department thinks that a step goes on


def now() -> list[str]:
    """The date and the time, as DICOM has them."""
    return datetime.now().strftime("%Y%m%d %H%M%S").split()


def ask_for_work(assoc: Association) -> list[Dataset]:
    """The steps that are scheduled here today."""
    step = Dataset()
    step.ScheduledStationAETitle = TITLE
    step.ScheduledProcedureStepStartDate, _ = now()
    keys = Dataset()
    keys.ScheduledProcedureStepSequence = [step]
    return worklist.find(assoc, keys)


def begin(assoc: Association, item: Dataset, number: int, folder: Path) -> mpps.Step:
    """Tell that a step has begun."""
    attributes = worklist.performed(item)
    attributes.PerformedProcedureStepID = attributes.StudyID = f"PPS{number}"
    attributes.PerformedStationAETitle = TITLE
    attributes.PerformedProcedureStepStartDate, attributes.PerformedProcedureStepStartTime = now()
    folder.mkdir()
    (folder / BEGUN).touch()  # first, so that a step that was begun is never forgotten
    return mpps.begin(assoc, attributes, folder.name)


def take_images(item: Dataset, step: mpps.Step, count: int) -> Iterator[Dataset]:
    """Images of the patient, study and step of an item: what was told is not typed again."""
    series_uid = generate_uid()
    [scheduled] = item.ScheduledProcedureStepSequence
    for number in range(1, count + 1):
        image = dcmread(str(get_testdata_file("CT_small.dcm")))
        image.SpecificCharacterSet = "ISO_IR 192"
        for keyword in ("PatientName", "PatientID", "PatientBirthDate", "PatientSex"):
            setattr(image, keyword, item.get(keyword))
        image.AccessionNumber = item.AccessionNumber
        image.StudyInstanceUID = item.StudyInstanceUID
        image.SeriesInstanceUID = series_uid
        image.SOPInstanceUID = image.file_meta.MediaStorageSOPInstanceUID = generate_uid()
        image.InstanceNumber = number
        request = Dataset()
        request.RequestedProcedureID = item.RequestedProcedureID
        request.ScheduledProcedureStepID = scheduled.ScheduledProcedureStepID
        image.RequestAttributesSequence = [request]
        performed = Dataset()
        performed.ReferencedSOPClassUID = ModalityPerformedProcedureStep
        performed.ReferencedSOPInstanceUID = step.uid
        image.ReferencedPerformedProcedureStepSequence = [performed]
        yield image


def done(images: Sequence[Dataset]) -> Dataset:
    """What is told when a step ends: the time, and which images there are."""
    series = Dataset()
    series.SeriesInstanceUID = images[0].SeriesInstanceUID if images else generate_uid()
    series.ProtocolName = "Head"
    series.ReferencedImageSequence = []
    for image in images:
        reference = Dataset()
        reference.ReferencedSOPClassUID = image.SOPClassUID
        reference.ReferencedSOPInstanceUID = image.SOPInstanceUID
        series.ReferencedImageSequence.append(reference)
    last = Dataset()
    last.PerformedProcedureStepEndDate, last.PerformedProcedureStepEndTime = now()
    last.PerformedSeriesSequence = [series]
    return last


def deliver(assoc: Association, folder: Path) -> str:
    """Store the images of a step, have their keeping confirmed, and delete what is committed."""
    paths = {path.stem: path for path in sorted(folder.glob("*.dcm"))}
    stored: list[Path] = []
    committed: Sequence[commitment.Reference] = []
    if paths:
        results = list(assoc.send_c_stores(paths.values()))
        stored = [path for path, status in results if status.get("Status") == 0x0000]
        result = commitment.commit(assoc, paths.values(), timeout=60)
        committed = result.committed
        for instance in committed:
            paths[instance.sop_instance].unlink()  # not before
    if len(committed) == len(paths):
        (folder / "part").unlink(missing_ok=True)
        folder.rmdir()
    return f"{len(stored)} of {len(paths)} images stored, {len(committed)} committed"


def see_to_what_is_left(assoc: Association, directory: Path) -> None:
    """Go on where an earlier run has ended, however it has ended."""
    for folder in sorted(directory.iterdir()):
        if (folder / BEGUN).exists():
            images = [dcmread(path, stop_before_pixels=True) for path in folder.glob("*.dcm")]
            try:
                mpps.resume(assoc, folder.name).discontinue(done(images))
            except Refused as error:  # it had been ended, or never begun
                print(error)
            (folder / BEGUN).unlink()
        print(f"left behind: {deliver(assoc, folder)}")


def work(assoc: Association, count: int, directory: Path) -> bool:
    """Do what there is to do; whether no image has to be kept in the directory."""
    see_to_what_is_left(assoc, directory)
    items = ask_for_work(assoc)
    print(f"{len(items)} steps are scheduled")
    for number, item in enumerate(items, 1):
        folder = directory / generate_uid()
        step = begin(assoc, item, number, folder)
        images = []
        for image in take_images(item, step, count):
            part = folder / "part"
            image.save_as(part, enforce_file_format=True)
            part.rename(folder / f"{image.SOPInstanceUID}.dcm")  # when it is complete
            images.append(image)
        step.complete(done(images))
        (folder / BEGUN).unlink()
        print(f"{item.AccessionNumber}: {deliver(assoc, folder)}")
    print(f"{len(ask_for_work(assoc))} steps are left")
    return not any(directory.iterdir())


def main() -> int:
    parser = argparse.ArgumentParser(description="Be a modality for a day.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--images", type=int, default=3, help="how many each step takes")
    parser.add_argument("--directory", type=Path, default=Path("modality"), help="for the images")
    args = parser.parse_args()
    args.directory.mkdir(exist_ok=True)

    ae = AE(TITLE)
    for sop_class in (
        ModalityWorklistInformationFind,
        ModalityPerformedProcedureStep,
        CTImageStorage,
        StorageCommitmentPushModel,
    ):
        ae.add_requested_context(sop_class)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    is_all_well = False
    try:
        is_all_well = work(assoc, args.images, args.directory)
    except (Refused, ValueError, RuntimeError, OSError) as error:
        # No answer, no time, no connection, no room: what is there is seen to by the next run.
        print(error, file=sys.stderr)
    assoc.release()
    return 0 if is_all_well and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
