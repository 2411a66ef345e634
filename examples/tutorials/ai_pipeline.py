"""AI pipeline: receive studies, run a model on each when it is complete, send the result back.

    python examples/tutorials/ai_pipeline.py 127.0.0.1 11112 --to-host 127.0.0.1 --to-port 11113

Everything it knows is files in its directory, so that it can be killed at any time:

    studies/STUDY/INSTANCE.dcm   what has arrived
    outbox/RESULT.dcm            results that the archive does not have yet
    sent/RESULT.dcm              results that it has
    refused/RESULT.dcm           results that it does not want; the log says why
    failed/RESULT.txt            the model raised an exception, which is in the file

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import os
import signal
import sys
import time
import traceback
from pathlib import Path
from queue import Empty, SimpleQueue

import numpy as np
import results
from pydicom import Dataset, dcmread
from pydicom.uid import generate_uid

from pynetdicom import AE, evt
from pynetdicom.dsutils import same_data_set
from pynetdicom.presentation import build_contexts_for
from pynetdicom.sop_class import CTImageStorage, Verification
from pynetdicom.status import code_to_category
from pynetdicom.utils import is_file_name

KINDS = "picture", "segmentation", "report"
MODEL = "bright-spots 1.0"  # another name makes new results of the same images
STUDY_INSTANCE_UID = 0x0020000D
THRESHOLD = 300  # Hounsfield units

DUPLICATE_INSTANCE = 0x0111
INVALID_INSTANCE = 0x0117
OUT_OF_RESOURCES = 0xA700
NOT_THE_RIGHT_OBJECT = 0xA900
STOP = None


def model(images: list[Dataset], uid: str, kind: str) -> Dataset:
    """Mark what is bright. Put yours here: images come in, one DICOM object goes out."""
    slices = [image.pixel_array * image.RescaleSlope + image.RescaleIntercept for image in images]
    masks = np.array([one > THRESHOLD for one in slices])
    if kind == "report":
        return results.report(images, uid, f"{masks.mean():.1%} of the voxels are bright.")
    if kind == "segmentation":
        return results.segmentation(images, uid, masks, "bright")
    middle = len(images) // 2
    grey = np.clip((slices[middle] + 160) / 400 * 255, 0, 255).astype(np.uint8)
    picture = np.dstack([grey, grey, grey])
    picture[masks[middle]] = 255, 0, 0
    return results.secondary_capture(images, uid, picture, "bright, NOT FOR DIAGNOSIS")


def in_order(paths: list[Path]) -> list[Dataset]:
    """Read images, sorted by series and number."""
    images = [dcmread(path) for path in paths]
    return sorted(images, key=lambda one: (one.SeriesInstanceUID, one.get("InstanceNumber") or 0))


def log(text: str) -> None:
    print(text, flush=True)


class Pipeline:
    """Receives on the associations' threads, and works on one thread."""

    def __init__(
        self,
        ae: AE,
        destination: tuple[str, int, str],
        directory: Path,
        quiet: float,
        retry: int,
        kind: str = "picture",
    ) -> None:
        self.ae = ae
        self.destination = destination  # host, port, AE title
        self.quiet, self.retry, self.kind = quiet, retry, kind
        self.studies, self.outbox, *self.over = (
            directory / name for name in ("studies", "outbox", "sent", "refused", "failed")
        )
        for folder in (self.studies, self.outbox, *self.over):
            folder.mkdir(parents=True, exist_ok=True)
        self.sent, self.refused, self.failed = self.over
        self.arrived: SimpleQueue[str | None] = SimpleQueue()  # Study Instance UIDs, or STOP

    # On the thread of an association

    def handle_store(self, event: evt.CStoreEvent) -> int:
        """Keep an image; what is returned is the status that the sender gets."""
        try:
            study = event.received.text(STUDY_INSTANCE_UID)  # without decoding anything else
            if not is_file_name(study):  # it comes from outside: it may be "../../x"
                return NOT_THE_RIGHT_OBJECT
            path = self.studies / study / event.file_name
        except ValueError:
            return INVALID_INSTANCE
        try:
            path.parent.mkdir(exist_ok=True)
            event.save_as(path, overwrite=False, sync=True)  # on the disk before we say so
        except FileExistsError:
            if not same_data_set(event.received, path):
                log(f"refused: {path.stem} has come before, with another content")
                return DUPLICATE_INSTANCE
        except OSError as error:
            log(f"not stored: {error.strerror}")
            return OUT_OF_RESOURCES
        self.arrived.put(study)
        return 0x0000

    # On the thread that works

    def run(self) -> None:
        """Work on each study when nothing has come for it for some time; until STOP comes."""
        due = {study.name: time.monotonic() + self.quiet for study in self.studies.iterdir()}
        due[self.outbox.name] = time.monotonic()
        while True:
            first = min(due, key=lambda study: due[study], default="")
            wait = max(0, due[first] - time.monotonic()) if first else None
            try:
                study = self.arrived.get(timeout=wait)
            except Empty:  # what has come is in `due` now, and `first` is complete
                del due[first]
                if first != self.outbox.name:
                    self.work_on(self.studies / first)
                if not self.send():
                    due[self.outbox.name] = time.monotonic() + self.retry
            else:
                if study is None:  # STOP
                    return
                due[study] = time.monotonic() + self.quiet

    def work_on(self, study: Path) -> None:
        """Run the model, unless it was run on these very images before."""
        paths = sorted(study.glob("*.dcm"))
        # The same images make the same UID: where its result is says how far a study has come.
        uid = generate_uid(entropy_srcs=[MODEL, self.kind, *(path.stem for path in paths)])[:60]
        names = [folder / f"{uid}.dcm" for folder in (self.outbox, *self.over)]
        failed = self.failed / f"{uid}.txt"
        if not paths or any(path.exists() for path in (*names, failed)):
            return
        log(f"study of {len(paths)} images: {uid}")
        try:
            try:
                result = model(in_order(paths), uid, self.kind)
            except Exception:
                failed.write_text(f"{study}\n\n{traceback.format_exc()}")
                log(f"the model failed, see {failed}")
                return
            part = self.outbox / f"{uid}.part"
            result.save_as(part, enforce_file_format=True)
            os.replace(part, names[0])  # a name is there when its file is complete
        except OSError as error:  # the disk is full: nothing is written, and so it is tried again
            log(f"{uid} is not written: {error.strerror}")
            self.arrived.put(study.name)

    def send(self) -> bool:
        """Send what is in the outbox; gives whether it is empty then."""
        paths = sorted(self.outbox.glob("*.dcm"))
        if not paths:
            return True
        host, port, title = self.destination
        assoc = self.ae.associate(host, port, build_contexts_for(paths), ae_title=title)
        if not assoc.is_established:
            log(f"{len(paths)} results wait: {assoc.ended}")
            return False
        for path, status in assoc.send_c_stores(paths):
            code = status.get("Status")
            if code is None:
                log(f"{path.stem} waits: {status.problem}")
            elif code_to_category(code) in ("Success", "Warning"):
                path.rename(self.sent / path.name)
                log(f"{path.stem} is sent")
            elif code >> 8 == OUT_OF_RESOURCES >> 8:
                log(f"{path.stem} waits: 0x{code:04X}")
            else:
                path.rename(self.refused / path.name)
                log(f"{path.stem} is refused: 0x{code:04X} {status.get('ErrorComment', '')}")
        assoc.release()
        return not any(self.outbox.glob("*.dcm"))


def main() -> int:
    parser = argparse.ArgumentParser(description="Run a model on what is received.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--to-host", default="127.0.0.1", help="where results are sent")
    parser.add_argument("--to-port", type=int, default=11113)
    parser.add_argument("--to-title", default="ARCHIVE", help="its AE title")
    parser.add_argument("--directory", type=Path, default=Path("pipeline"))
    parser.add_argument("--quiet", type=float, default=60, help="seconds without a new image")
    parser.add_argument("--retry", type=float, default=60, help="seconds until results go again")
    parser.add_argument(
        "--result", choices=("picture", "segmentation", "report"), default="picture"
    )
    args = parser.parse_args()

    ae = AE("AI_PIPELINE")
    ae.add_supported_context(Verification)
    # What the model can read, and nothing else: a result that an archive sends round to us again
    # is not accepted, and so never makes another one.
    ae.add_supported_context(CTImageStorage)
    destination = args.to_host, args.to_port, args.to_title
    pipeline = Pipeline(ae, destination, args.directory, args.quiet, args.retry, args.result)
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: pipeline.arrived.put(STOP))
    ae.start_server(
        (args.host, args.port),
        block=False,
        evt_handlers=[(evt.EVT_C_STORE, pipeline.handle_store)],
        spool_dir=str(args.directory),
    )
    log(f"listening on port {args.port}")
    pipeline.run()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
