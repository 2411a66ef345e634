"""Web service: what an archive has, by HTTP: queries as JSON, a series as a ZIP file of images.

    python examples/tutorials/web_service.py 127.0.0.1 11112 --title ARCHIVE --http-port 8000

    GET /health                          is the archive there?
    GET /studies?PatientName=Doe*        studies; also PatientID, StudyDate, AccessionNumber
    GET /studies/STUDY/series            the series of a study
    GET /studies/STUDY/series/SERIES     all images of a series

It lets in everybody who reaches it: put it behind something that does not.
"""

import argparse
import sys
import tempfile
import zipfile
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from threading import BoundedSemaphore
from typing import Annotated, Any

from fastapi import FastAPI, HTTPException, Query
from fastapi import Path as PathParameter
from fastapi.responses import FileResponse
from pydicom import Dataset
from starlette.background import BackgroundTask

from pynetdicom import AE, build_context, evt
from pynetdicom.association import Association
from pynetdicom.presentation import PresentationContext, build_contexts_to_receive
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET
from pynetdicom.sop_class import Verification

BAD_GATEWAY, UNAVAILABLE, TIMEOUT = 502, 503, 504
UID = Annotated[str, PathParameter(pattern=r"^[0-9][0-9.]{0,63}$")]

STUDY = ("StudyInstanceUID", "PatientName", "PatientID", "StudyDate", "StudyDescription")
SERIES = ("SeriesInstanceUID", "Modality", "SeriesDescription", "NumberOfSeriesRelatedInstances")


class Archive:
    """The peer that is asked; any number of threads may use it."""

    def __init__(self, host: str, port: int, title: str, associations: int = 4) -> None:
        self.host, self.port, self.title = host, port, title
        self.ae = AE("WEB")
        self.ae.connection_timeout = 5
        self.ae.dimse_timeout = 60
        # Archives take few associations at a time; who comes later waits for a place.
        self.places = BoundedSemaphore(associations)

    @contextmanager
    def association(
        self, contexts: list[PresentationContext], **options: Any
    ) -> Iterator[Association]:
        with (
            self.places,
            self.ae.associate(
                self.host, self.port, contexts, ae_title=self.title, **options
            ) as assoc,
        ):
            if not assoc.is_established:
                raise HTTPException(UNAVAILABLE, f"the archive cannot be asked: {assoc.ended}")
            yield assoc

    def find(
        self, level: str, told: Sequence[str], limit: int | None, **wanted: str
    ) -> tuple[list[Dataset], bool]:
        """Ask for what matches; gives the matches, and whether they are all."""
        keys = Dataset()
        keys.QueryRetrieveLevel = level
        for keyword in told:
            setattr(keys, keyword, None)
        for keyword, value in wanted.items():
            setattr(keys, keyword, value)
        matches: list[Dataset] = []
        with self.association([build_context(FIND)]) as assoc:
            for status, match in assoc.send_c_find(keys, FIND):
                if match is None:
                    check(status, assoc.ended)
                elif len(matches) == limit:
                    return matches, False  # leaving the loop cancels the query
                else:
                    matches.append(match)
        return matches, True

    def get(self, study: str, series: str, directory: Path) -> None:
        """Retrieve a series into a directory; raises unless all of it has come."""
        told = ("SOPInstanceUID", "SOPClassUID")
        images, _ = self.find("IMAGE", told, None, StudyInstanceUID=study, SeriesInstanceUID=series)
        if not images:
            raise HTTPException(404, "the archive has no such series")
        came = set()

        def handle_store(event: evt.CStoreEvent) -> int:
            try:
                event.save_as(directory / event.file_name)
            except OSError:
                return 0xA700  # out of resources
            came.add(event.request.AffectedSOPInstanceUID)
            return 0x0000

        contexts, roles = build_contexts_to_receive({image.SOPClassUID for image in images})
        contexts = [build_context(GET), *contexts]
        handlers = [(evt.EVT_C_STORE, handle_store)]
        keys = Dataset()
        keys.QueryRetrieveLevel = "SERIES"
        keys.StudyInstanceUID, keys.SeriesInstanceUID = study, series
        with self.association(contexts, ext_neg=roles, evt_handlers=handlers) as assoc:
            *_, (status, _) = assoc.send_c_get(keys, GET)
            check(status, assoc.ended)
        missing = {image.SOPInstanceUID for image in images} - came
        if missing:  # a series with a gap looks like a series
            raise HTTPException(BAD_GATEWAY, f"{len(missing)} of {len(images)} did not come")


def check(status: Dataset, ended: object) -> None:
    """Raise what says that the archive did not do all it was asked for."""
    if "Status" not in status:
        raise HTTPException(TIMEOUT, f"the archive did not answer: {ended}")
    if status.Status != 0x0000:
        comment = status.get("ErrorComment", "")
        raise HTTPException(
            BAD_GATEWAY, f"the archive says 0x{status.Status:04X} {comment}".strip()
        )


def plain(match: Dataset, keywords: Sequence[str]) -> dict[str, str]:
    """A match as JSON has it: text, decoded by the match's own character set."""
    return {keyword: str(match.get(keyword) or "") for keyword in keywords}


def to_zip(directory: Path) -> Path:
    """The images of a directory in one file, which is there, too."""
    path = directory / "series.zip"
    with zipfile.ZipFile(path, "w") as file:
        for image in sorted(directory.glob("*.dcm")):
            file.write(image, image.name)
    return path


def make_app(archive: Archive) -> FastAPI:
    """Make the service. FastAPI runs functions that are no coroutines in a pool of threads."""
    app = FastAPI(title="What an archive has")

    @app.get("/health")
    def health() -> dict[str, str]:
        with archive.association([build_context(Verification)]) as assoc:
            check(assoc.send_c_echo(), assoc.ended)
        return {"archive": "is there"}

    @app.get("/studies")
    def studies(
        PatientName: str = "",
        PatientID: str = "",
        StudyDate: str = "",
        AccessionNumber: str = "",
        limit: Annotated[int, Query(ge=1, le=1000)] = 100,
    ) -> dict[str, Any]:
        wanted = {
            "PatientName": PatientName,
            "PatientID": PatientID,
            "StudyDate": StudyDate,
            "AccessionNumber": AccessionNumber,
            "SpecificCharacterSet": "ISO_IR 192",
        }
        if not any((PatientName, PatientID, StudyDate, AccessionNumber)):
            raise HTTPException(400, "say what to look for")
        matches, is_all = archive.find("STUDY", STUDY, limit, **wanted)
        return {"studies": [plain(match, STUDY) for match in matches], "all": is_all}

    @app.get("/studies/{study}/series")
    def series(study: UID, limit: Annotated[int, Query(ge=1, le=1000)] = 100) -> dict[str, Any]:
        matches, is_all = archive.find("SERIES", SERIES, limit, StudyInstanceUID=study)
        return {"series": [plain(match, SERIES) for match in matches], "all": is_all}

    @app.get("/studies/{study}/series/{series}")
    def images(study: UID, series: UID) -> FileResponse:
        place = tempfile.TemporaryDirectory()
        try:
            directory = Path(place.name)
            archive.get(study, series, directory)
            path = to_zip(directory)
        except BaseException:
            place.cleanup()
            raise
        return FileResponse(
            path, filename=f"{series}.zip", background=BackgroundTask(place.cleanup)
        )

    return app


def main(app_of: Callable[[str, int, str], FastAPI]) -> int:
    parser = argparse.ArgumentParser(description="Serve what an archive has by HTTP.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the archive's host")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--title", default="ANY-SCP", help="the archive's AE title")
    parser.add_argument("--http-port", type=int, default=8000, help="where to listen, on 127.0.0.1")
    args = parser.parse_args()

    import uvicorn

    # Its log of requests would have patients' names in it.
    app = app_of(args.host, args.port, args.title)
    uvicorn.run(app, host="127.0.0.1", port=args.http_port, access_log=False)
    return 0


if __name__ == "__main__":
    sys.exit(main(lambda *peer: make_app(Archive(*peer))))
