r"""Query/Retrieve SCP with event handlers: a directory of files is the archive.

    python examples/events/qr_scp.py 127.0.0.1 11112 --directory images \
        --destination WORKSTATION:127.0.0.1:11113

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys
from pathlib import Path

from pydicom import Dataset, dcmread

from pynetdicom import AE, QueryRetrievePresentationContexts, StoragePresentationContexts, evt
from pynetdicom.typing import Instances, Matches, Retrieval

Studies = dict[str, list[tuple[Path, Dataset]]]
Peers = dict[str, tuple[str, int]]


def read_studies(directory: Path) -> Studies:
    """The files of a directory, by study."""
    studies: Studies = {}
    for path in sorted(Path(directory).iterdir()):
        ds = dcmread(path, stop_before_pixels=True)
        studies.setdefault(ds.StudyInstanceUID, []).append((path, ds))
    return studies


def handle_find(event: evt.CFindEvent, studies: Studies) -> Matches:
    """Yield a status and an identifier for each study; this archive matches the UID only."""
    wanted = event.identifier.get("StudyInstanceUID")
    for uid, files in studies.items():
        if event.is_cancelled:
            yield 0xFE00, None
            return
        if wanted in (None, "", uid):
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            match.StudyInstanceUID = uid
            match.PatientName = files[0][1].get("PatientName")
            yield 0xFF00, match


def handle_get(event: evt.CGetEvent | evt.CMoveEvent, studies: Studies) -> Instances:
    """Yield how many, then a status and a file for each."""
    files = studies.get(event.identifier.get("StudyInstanceUID"), [])
    yield len(files)
    for path, _ in files:
        yield 0xFF00, path


def handle_move(event: evt.CMoveEvent, studies: Studies, destinations: Peers) -> Retrieval:
    """Yield where to, or (None, None); then as for a C-GET."""
    yield destinations.get(event.move_destination, (None, None))
    yield from handle_get(event, studies)


def destination(text: str) -> tuple[str, tuple[str, int]]:
    title, host, port = text.split(":")
    return title, (host, int(port))


def main() -> int:
    parser = argparse.ArgumentParser(description="Be an archive of the files of a directory.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", default=".", help="the archive")
    parser.add_argument("--destination", type=destination, metavar="TITLE:HOST:PORT")
    args = parser.parse_args()

    studies = read_studies(args.directory)
    ae = AE("ARCHIVE")
    ae.supported_contexts = QueryRetrievePresentationContexts
    for context in StoragePresentationContexts:
        # For C-GET: what we send, to those who propose to be the SCP of it.
        ae.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
    ae.requested_contexts = StoragePresentationContexts  # for C-MOVE
    handlers = [
        (evt.EVT_C_FIND, handle_find, [studies]),
        (evt.EVT_C_GET, handle_get, [studies]),
        (
            evt.EVT_C_MOVE,
            handle_move,
            [studies, dict([args.destination] if args.destination else [])],
        ),
    ]
    try:
        ae.start_server((args.host, args.port), evt_handlers=handlers)
    except KeyboardInterrupt:
        ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
