"""The main job, shown and proved: images sent to a Storage SCP are on its disk as they were sent.

``make demo`` runs it. It ends with 0 only if every image arrived, equal element by element and byte
by byte, and everything that was started has stopped.
"""

from __future__ import annotations

import logging
import os
import sys
import tempfile
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from pynetdicom.apps import storescp
from pynetdicom.apps.options import forbid_numpy

if TYPE_CHECKING:
    from pydicom import Dataset

    from pynetdicom.association import Association

# CT, MR and compressed images that come inside pydicom's package, each of another SOP Instance.
IMAGES = (
    "CT_small.dcm",
    "J2K_pixelrep_mismatch.dcm",
    "693_J2KI.dcm",
    "MR_small.dcm",
    "examples_overlay.dcm",
    "examples_ybr_color.dcm",
    "examples_jpeg2k.dcm",
    "JPGExtended.dcm",
    "SC_rgb_jpeg_dcmtk.dcm",
    "SC_rgb_rle.dcm",
    "JPEGLSNearLossless_08.dcm",
    "image_dfl.dcm",
)


def bundled(name: str) -> Path:
    """Path of a file inside pydicom's package; it is never downloaded."""
    import pydicom

    return Path(pydicom.__file__).parent / "data" / "test_files" / name


def print_table(title: str, head: Sequence[str], rows: Sequence[Sequence[str]]) -> None:
    """Print columns as wide as they need to be."""
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    print(f"\n{title}")
    for row in (head, ["-" * width for width in widths], *rows):
        cells = (f"{cell:{width}}" for cell, width in zip(row, widths, strict=True))
        print("  " + "  ".join(cells).rstrip())


def unequal_elements(sent: Dataset, stored: Dataset) -> list[str]:
    """The elements in which two data sets differ."""
    tags = sorted({*sent.keys(), *stored.keys()})
    return [
        str(tag) for tag in tags if tag not in sent or tag not in stored or sent[tag] != stored[tag]
    ]


def data_set_bytes(path: Path) -> bytes:
    """The encoded data set of a file, without preamble and meta information, of even length."""
    from pynetdicom.data_sets.part10 import read_header

    with read_header(str(path)) as header:
        data = path.read_bytes()[header.offset :]
    # What was deflated to an odd length is padded on its way (PS3.5 A.5).
    return data + b"\0" * (len(data) % 2)


def compare(sent: Path, stored: Path) -> tuple[str, bool]:
    """Compare what was sent with what was stored: the finding, and whether all is well."""
    from pydicom import dcmread

    if not stored.exists():
        return "MISSING", False
    one, other = dcmread(sent), dcmread(stored)
    different = unequal_elements(one, other)
    if different:
        return f"DIFFERENT: {', '.join(different)}", False
    if data_set_bytes(sent) != data_set_bytes(stored):
        return "BYTES DIFFER", False
    return f"{len(one)} elements equal, all bytes equal", True


def show_negotiated(assoc: Association) -> None:
    """Print what came of the presentation contexts."""
    contexts = [*assoc.accepted_contexts, *assoc.rejected_contexts]
    rows = [
        (
            str(context.context_id),
            context.abstract_syntax.name if context.abstract_syntax else "",
            context.transfer_syntax[0].name if context.transfer_syntax else "",
            "accepted" if context.result == 0 else "rejected",
        )
        for context in sorted(contexts, key=lambda context: context.context_id or 0)
    ]
    print_table("Negotiated", ("id", "SOP Class", "transfer syntax", "result"), rows)


def send_and_compare(assoc: Association, images: Sequence[Path], directory: Path) -> bool:
    """Send the images, compare each with what was stored, and print what came of it."""
    from pydicom import dcmread

    rows = []
    well = True
    for path, status in assoc.send_c_stores(images):
        image = Path(path)
        header = dcmread(image, stop_before_pixels=True)
        finding, equal = compare(image, directory / f"{header.SOPInstanceUID}.dcm")
        answer = f"0x{status.Status:04X}" if "Status" in status else f"none: {assoc.ended}"
        rows.append((image.name, f"{image.stat().st_size:,}", answer, finding))
        well = well and equal and answer == "0x0000"
    print_table("Sent and stored", ("file", "bytes", "status", "on disk"), rows)
    count = len(list(directory.iterdir()))
    if not len(images) == len(rows) == count:
        print(f"\n{len(images)} images, {len(rows)} answers, {count} files")
        return False
    return well


def run(directory: Path, images: Sequence[Path]) -> bool:
    """Start, send, compare, stop."""
    from pydicom import dcmread

    from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, AllStoragePresentationContexts, evt

    threads = set(threading.enumerate())
    scp = AE("DEMO-SCP")
    for context in AllStoragePresentationContexts:
        scp.add_supported_context(context.abstract_uid, ALL_TRANSFER_SYNTAXES)
    server = scp.start_server(
        ("127.0.0.1", 0),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, storescp.store, [str(directory)])],
        spool_dir=str(directory),
    )
    assert server is not None  # None is given only after having served
    well = False
    try:
        port = server.server_address[1]
        print(f"A Storage SCP listens on port {port}, and stores in {directory}")
        scu = AE("DEMO-SCU")
        headers = [dcmread(image, stop_before_pixels=True) for image in images]
        for kind in dict.fromkeys(
            (header.SOPClassUID, header.file_meta.TransferSyntaxUID) for header in headers
        ):
            scu.add_requested_context(*kind)
        assoc = scu.associate("127.0.0.1", port, ae_title="DEMO-SCP")
        if not assoc.is_established:
            print(f"No association: {assoc.ended}")
            return False
        show_negotiated(assoc)
        well = send_and_compare(assoc, images, directory)
        assoc.release()
        if not assoc.is_released:
            print(f"Not released: {assoc.ended}")
            well = False
    finally:
        scp.shutdown()
    assoc.join(2.0)
    left = [thread.name for thread in threading.enumerate() if thread not in threads]
    print(f"\nReleased and stopped; threads left: {', '.join(left) or 'none'}")
    return well and not left


def main(check: Callable[[Path, Sequence[Path]], bool] = run) -> int:
    """Run the demonstration; gives its exit code."""
    forbid_numpy()
    logging.basicConfig(level=logging.WARNING, format="%(levelname).1s: %(message)s")
    images = [bundled(name) for name in IMAGES]
    with tempfile.TemporaryDirectory(prefix="pynetdicom-demo-") as directory:
        well = check(Path(directory), images)
    print("All is well: what is on disk is what was sent." if well else "SOMETHING WENT WRONG.")
    return 0 if well else 1


if __name__ == "__main__":
    with suppress(KeyboardInterrupt):
        sys.exit(main())
    os._exit(130)
