r"""Query/Retrieve SCP with callbacks: a directory of files is the archive.

    python examples/callbacks/qr_scp.py 127.0.0.1 11112 --directory images \
        --destination WORKSTATION:127.0.0.1:11113

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys
from pathlib import Path

from pydicom import Dataset, dcmread

from pynetdicom import AE, QueryRetrievePresentationContexts, StoragePresentationContexts
from pynetdicom.typing import Context, Info, Instances, Matches, Retrieval


class Archive(AE):
    """The files of a directory, by study."""

    def __init__(self, directory: Path, destinations: dict[str, tuple[str, int]]) -> None:
        super().__init__(ae_title=b"ARCHIVE")
        self.destinations = destinations
        self.studies: dict[str, list[tuple[Path, Dataset]]] = {}
        for path in sorted(Path(directory).iterdir()):
            ds = dcmread(path, stop_before_pixels=True)
            self.studies.setdefault(ds.StudyInstanceUID, []).append((path, ds))

    def on_c_find(self, dataset: Dataset, context: Context, info: Info) -> Matches:
        """Yield a status and an identifier for each study; this archive matches the UID only."""
        wanted = dataset.get("StudyInstanceUID")
        for uid, files in self.studies.items():
            if wanted in (None, "", uid):
                match = Dataset()
                match.QueryRetrieveLevel = "STUDY"
                match.StudyInstanceUID = uid
                match.PatientName = files[0][1].get("PatientName")
                yield 0xFF00, match

    def on_c_get(self, dataset: Dataset, context: Context, info: Info) -> Instances:
        """Yield how many, then a status and a file for each."""
        files = self.studies.get(dataset.get("StudyInstanceUID"), [])
        yield len(files)
        for path, _ in files:
            yield 0xFF00, path

    def on_c_move(
        self, dataset: Dataset, move_aet: bytes, context: Context, info: Info
    ) -> Retrieval:
        """Yield where to, or (None, None); then as for a C-GET."""
        yield self.destinations.get(move_aet.decode().strip(), (None, None))
        yield from self.on_c_get(dataset, context, info)


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

    ae = Archive(args.directory, dict([args.destination] if args.destination else []))
    ae.bind_addr, ae.port = args.host, args.port
    ae.supported_contexts = QueryRetrievePresentationContexts
    for context in StoragePresentationContexts:
        # For C-GET: what we send, to those who propose to be the SCP of it.
        ae.add_supported_context(context.abstract_syntax, scu_role=True, scp_role=True)
    ae.requested_contexts = StoragePresentationContexts  # for C-MOVE
    ae.start()
    return 0


if __name__ == "__main__":
    sys.exit(main())
