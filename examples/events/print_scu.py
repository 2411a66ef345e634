"""Print SCU with event handlers: print images on films.

    python examples/events/print_scu.py 127.0.0.1 11112 --format 2,2 image1.dcm image2.dcm

Images of one sample a pixel, not compressed, are printed with 8 bits, from their least to their
greatest value. Ends with 0 if all was printed, with 1 otherwise.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from pynetdicom import AE, evt
from pynetdicom.association import Association
from pynetdicom.sop_class import (
    BasicFilmBox,
    BasicFilmSession,
    BasicGrayscaleImageBox,
    BasicGrayscalePrintManagementMeta,
    Printer,
    PrinterInstance,
)
from pynetdicom.status import code_to_category
from pynetdicom.typing import Reply

META = BasicGrayscalePrintManagementMeta  # one context for four SOP Classes
PRINT = 1  # the Action Type ID


class NotPrinted(Exception):
    """The printer refuses, or does not answer."""


def checked(what: str, answered: tuple[Dataset, Any]) -> Any:
    """The data set of a response, unless it refuses; a warning says that it was done."""
    status, data_set = answered
    code = status.get("Status")  # None when there was no answer
    if code is None or code_to_category(code) not in ("Success", "Warning"):
        raise NotPrinted(f"{what}: {'no answer' if code is None else f'0x{code:04X}'}")
    if code:
        print(f"{what}: 0x{code:04X}", file=sys.stderr)
    return data_set


def read_image(path: Path) -> Dataset:
    """What an image box is given of an image (PS3.4 H.4.3.1.2.1)."""
    ds = dcmread(path)
    kind: Any = {(8, 0): "B", (8, 1): "b", (16, 0): "H", (16, 1): "h"}.get(
        (ds.get("BitsAllocated"), ds.get("PixelRepresentation"))
    )
    if kind is None or ds.SamplesPerPixel != 1 or int(ds.get("NumberOfFrames") or 1) > 1:
        raise ValueError(f"{path} is not a gray image of one frame")
    if ds.file_meta.TransferSyntaxUID.is_encapsulated:
        raise ValueError(f"{path} is compressed")
    values = memoryview(ds.PixelData).cast(kind)[: ds.Rows * ds.Columns]
    least = min(values)
    scale = 255 / max(max(values) - least, 1)
    pixels = bytes(round((value - least) * scale) for value in values)

    image = Dataset()
    image.SamplesPerPixel = 1
    image.PhotometricInterpretation = ds.PhotometricInterpretation
    image.Rows, image.Columns = ds.Rows, ds.Columns
    image.BitsAllocated, image.BitsStored, image.HighBit = 8, 8, 7
    image.PixelRepresentation = 0
    image.PixelData = pixels + bytes(len(pixels) % 2)
    image["PixelData"].VR = "OB"
    return image


def print_film(assoc: Association, session: str, layout: str, images: list[Dataset]) -> None:
    """Print one film (PS3.4 H.4.2.2)."""
    item = Dataset()
    item.ReferencedSOPClassUID, item.ReferencedSOPInstanceUID = BasicFilmSession, session
    film = Dataset()
    film.ImageDisplayFormat = f"STANDARD\\{layout}"
    film.ReferencedFilmSessionSequence = [item]
    uid = generate_uid(prefix=None)
    made = checked("the film", assoc.send_n_create(film, BasicFilmBox, uid, meta_uid=META))
    boxes = made.ReferencedImageBoxSequence  # which the printer has made, one for each image
    if len(boxes) < len(images):
        raise NotPrinted("the film has not as many image boxes as it has to have")
    for position, (box, image) in enumerate(zip(boxes, images, strict=False), 1):
        content = Dataset()
        content.ImageBoxPosition = position
        content.BasicGrayscaleImageSequence = [image]
        answered = assoc.send_n_set(
            content, BasicGrayscaleImageBox, box.ReferencedSOPInstanceUID, meta_uid=META
        )
        checked(f"image {position}", answered)
    checked("printing", assoc.send_n_action(None, PRINT, BasicFilmBox, uid, meta_uid=META))
    status = assoc.send_n_delete(BasicFilmBox, uid, meta_uid=META)
    checked("the film's end", (status, None))


def print_all(assoc: Association, args: argparse.Namespace, images: list[Dataset]) -> None:
    tags = ["PrinterStatus", "PrinterStatusInfo"]  # what every printer has
    printer = checked("printer", assoc.send_n_get(tags, Printer, PrinterInstance, meta_uid=META))
    print("printer:", printer.PrinterStatus, printer.get("PrinterStatusInfo", ""))
    session = Dataset()
    session.NumberOfCopies = args.copies
    uid = generate_uid(prefix=None)
    checked("the session", assoc.send_n_create(session, BasicFilmSession, uid, meta_uid=META))
    columns, rows = args.format.split(",")
    count = int(columns) * int(rows)
    for first in range(0, len(images), count):
        print_film(assoc, uid, args.format, images[first : first + count])
        print("film printed")
    status = assoc.send_n_delete(BasicFilmSession, uid, meta_uid=META)
    checked("the session's end", (status, None))


def handle_event(event: evt.NEventReportEvent) -> Reply:
    """The printer tells of its state, when it likes (PS3.4 H.4.6.2.1)."""
    told = {1: "normal", 2: "warning", 3: "failure"}
    info = event.event_information.get("PrinterStatusInfo", "")
    print("printer:", told.get(event.event_type), info)
    return 0x0000


def main() -> int:
    parser = argparse.ArgumentParser(description="Print images.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", nargs="+", help="DICOM images")
    parser.add_argument("--format", default="1,1", help="columns, rows of a film")
    parser.add_argument("--copies", type=int, default=1)
    args = parser.parse_args()
    try:
        images = [read_image(path) for path in args.file]
    except (OSError, ValueError) as error:
        print(error, file=sys.stderr)
        return 1

    ae = AE("PRINT_EXAMPLE")
    ae.add_requested_context(META)
    handlers = [(evt.EVT_N_EVENT_REPORT, handle_event)]
    assoc = ae.associate(args.host, args.port, evt_handlers=handlers)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    try:
        print_all(assoc, args, images)
    except (NotPrinted, ValueError) as error:  # or the peer is no printer
        print(f"not printed: {error}", file=sys.stderr)
        return 1
    finally:
        assoc.release()
    return 0


if __name__ == "__main__":
    sys.exit(main())
