"""Web service over asyncio: as web_service.py, in one thread; studies come as they are found.

    python examples/tutorials/web_service_aio.py 127.0.0.1 11112 --title ARCHIVE --http-port 8000

    GET /studies?PatientName=Doe*      studies, a line of JSON each; the last one says how it ended
    GET /studies/STUDY/series/SERIES   all images of a series

It lets in everybody who reaches it: put it behind something that does not.
"""

import asyncio
import json
import sys
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from fastapi import FastAPI, HTTPException
from fastapi.responses import FileResponse, StreamingResponse
from pydicom import Dataset
from starlette.background import BackgroundTask
from web_service import (
    BAD_GATEWAY,
    STUDY,
    UID,
    UNAVAILABLE,
    check,
    main,
    plain,
    to_zip,
)

from pynetdicom import AE, aio, build_context, evt
from pynetdicom.errors import AssociationError
from pynetdicom.presentation import PresentationContext, build_contexts_to_receive
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind as FIND
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelGet as GET


class Archive:
    """The peer that is asked, by any number of tasks."""

    def __init__(self, host: str, port: int, title: str, associations: int = 4) -> None:
        self.host, self.port, self.title = host, port, title
        self.ae = AE("WEB")
        self.ae.connection_timeout = 5
        self.ae.dimse_timeout = 60
        self.places = asyncio.Semaphore(associations)

    @asynccontextmanager
    async def association(
        self, contexts: list[PresentationContext], **options: Any
    ) -> AsyncIterator[aio.Association]:
        peer = self.host, self.port, contexts, self.title
        async with self.places:
            try:
                assoc = await aio.associate(*peer, ae=self.ae, **options)
            except AssociationError as error:
                raise HTTPException(UNAVAILABLE, f"the archive cannot be asked: {error}") from None
            async with assoc:
                yield assoc

    async def find(
        self, assoc: aio.Association, level: str, told: Sequence[str], **wanted: str
    ) -> AsyncIterator[Dataset]:
        """Give matches as they come; raises in the end where they are not all."""
        keys = Dataset()
        keys.QueryRetrieveLevel = level
        for keyword in told:
            setattr(keys, keyword, None)
        for keyword, value in wanted.items():
            setattr(keys, keyword, value)
        # Leaving this block early, as when the task is cancelled, cancels the query at the archive.
        async with assoc.c_find(keys, FIND) as responses:
            async for status, match in responses:
                if match is not None:
                    yield match
                else:
                    check(status, assoc.ended)

    async def get(self, study: str, series: str, directory: Path) -> None:
        """Retrieve a series into a directory; raises unless all of it has come."""
        above = {"StudyInstanceUID": study, "SeriesInstanceUID": series}
        async with self.association([build_context(FIND)]) as assoc:
            told = ("SOPInstanceUID", "SOPClassUID")
            images = [match async for match in self.find(assoc, "IMAGE", told, **above)]
        if not images:
            raise HTTPException(404, "the archive has no such series")
        came = set()

        def handle_store(event: evt.CStoreEvent) -> int:  # no coroutine: it runs on a thread
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
        last = Dataset()
        async with self.association(contexts, ext_neg=roles, evt_handlers=handlers) as assoc:
            async for status, _ in assoc.c_get(keys, GET):
                last = status
            check(last, assoc.ended)
        missing = {image.SOPInstanceUID for image in images} - came
        if missing:  # a series with a gap looks like a series
            raise HTTPException(BAD_GATEWAY, f"{len(missing)} of {len(images)} did not come")


def make_app(archive: Archive) -> FastAPI:
    """Make the service. All of it runs in FastAPI's event loop."""
    app = FastAPI(title="What an archive has")

    @app.get("/studies")
    async def studies(
        PatientName: str = "", PatientID: str = "", StudyDate: str = ""
    ) -> StreamingResponse:
        wanted = {"PatientName": PatientName, "PatientID": PatientID, "StudyDate": StudyDate}
        if not any(wanted.values()):
            raise HTTPException(400, "say what to look for")

        async def lines() -> AsyncIterator[str]:
            end: dict[str, object] = {"all": True}
            try:
                async with archive.association([build_context(FIND)]) as assoc:
                    wanted["SpecificCharacterSet"] = "ISO_IR 192"
                    async for match in archive.find(assoc, "STUDY", STUDY, **wanted):
                        yield json.dumps(plain(match, STUDY)) + "\n"
            except HTTPException as error:  # the answer has begun: it is too late for its status
                end = {"all": False, "problem": error.detail}
            yield json.dumps(end) + "\n"

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    @app.get("/studies/{study}/series/{series}")
    async def images(study: UID, series: UID) -> FileResponse:
        place = tempfile.TemporaryDirectory()
        try:
            directory = Path(place.name)
            await archive.get(study, series, directory)
            path = await asyncio.to_thread(to_zip, directory)
        except BaseException:
            place.cleanup()
            raise
        return FileResponse(
            path, filename=f"{series}.zip", background=BackgroundTask(place.cleanup)
        )

    return app


if __name__ == "__main__":
    sys.exit(main(lambda *peer: make_app(Archive(*peer))))
