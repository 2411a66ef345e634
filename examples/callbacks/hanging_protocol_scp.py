"""Hanging Protocol SCP with callbacks: a directory of files, to be found and retrieved.

    python examples/callbacks/hanging_protocol_scp.py 127.0.0.1 11112 --directory protocols

Color palettes, implant templates and defined procedure protocols are served in the same way, by the
names of `pynetdicom.sop_class` for them. Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import re
import sys
from pathlib import Path

from pydicom import Dataset, dcmread

from pynetdicom import AE
from pynetdicom.sop_class import (
    HangingProtocolInformationModelFind,
    HangingProtocolInformationModelGet,
    HangingProtocolStorage,
)
from pynetdicom.typing import Context, Info, Instances, Matches


class Library(AE):
    """An AE whose callbacks are methods; assigning functions to it does the same."""

    def __init__(self, directory: Path) -> None:
        super().__init__(ae_title=b"HANG_EXAMPLE")
        self.protocols = [(path, dcmread(path)) for path in sorted(directory.glob("*.dcm"))]

    def on_c_find(self, dataset: Dataset, context: Context, info: Info) -> Matches:
        """Yield a status and an identifier for each match: there are no levels (PS3.4 U.6)."""
        pattern = re.escape(str(dataset.get("HangingProtocolName") or "*"))
        pattern = pattern.replace(r"\*", ".*").replace(r"\?", ".")
        for _, ds in self.protocols:
            # Since pynetdicom 1.2, `info` tells whether the peer has cancelled its request.
            if info["cancelled"](info["parameters"]["message_id"]):
                yield 0xFE00, None
                return
            if re.fullmatch(pattern, str(ds.get("HangingProtocolName", ""))):
                match = Dataset()
                for element in dataset:
                    match.add_new(element.tag, element.VR, ds.get(element.keyword))
                match.SOPClassUID, match.SOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
                yield 0xFF00, match

    def on_c_get(self, dataset: Dataset, context: Context, info: Info) -> Instances:
        """Yield how many, then a status and a file for each."""
        uids = dataset.get("SOPInstanceUID") or []
        uids = [uids] if isinstance(uids, str) else uids
        paths = [path for path, ds in self.protocols if ds.SOPInstanceUID in uids]
        yield len(paths)
        for path in paths:
            yield 0xFF00, path


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve hanging protocols.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path(), help="where the files are")
    args = parser.parse_args()

    ae = Library(args.directory)
    ae.bind_addr, ae.port = args.host, args.port
    ae.add_supported_context(HangingProtocolInformationModelFind)
    ae.add_supported_context(HangingProtocolInformationModelGet)
    # What we send in a C-GET, to those who propose to be the SCP of it.
    ae.add_supported_context(HangingProtocolStorage, scu_role=True, scp_role=True)
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
