"""Hanging Protocol SCP with event handlers: a directory of files, to be found and retrieved.

    python examples/events/hanging_protocol_scp.py 127.0.0.1 11112 --directory protocols

Color palettes, implant templates and defined procedure protocols are served in the same way, by the
names of `pynetdicom.sop_class` for them. Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import re
import signal
import sys
import threading
from pathlib import Path

from pydicom import Dataset, dcmread

from pynetdicom import AE, evt
from pynetdicom.sop_class import (
    HangingProtocolInformationModelFind,
    HangingProtocolInformationModelGet,
    HangingProtocolStorage,
)
from pynetdicom.typing import Instances, Matches


def handle_find(event: evt.CFindEvent, protocols: list[tuple[Path, Dataset]]) -> Matches:
    """Yield a status and an identifier for each match: there are no levels (PS3.4 U.6)."""
    wanted = event.identifier
    pattern = re.escape(str(wanted.get("HangingProtocolName") or "*"))
    pattern = pattern.replace(r"\*", ".*").replace(r"\?", ".")
    for _, ds in protocols:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        if re.fullmatch(pattern, str(ds.get("HangingProtocolName", ""))):
            match = Dataset()
            for element in wanted:
                match.add_new(element.tag, element.VR, ds.get(element.keyword))
            match.SOPClassUID, match.SOPInstanceUID = ds.SOPClassUID, ds.SOPInstanceUID
            yield 0xFF00, match


def handle_get(event: evt.CGetEvent, protocols: list[tuple[Path, Dataset]]) -> Instances:
    """Yield how many, then a status and a file for each."""
    uids = event.identifier.get("SOPInstanceUID") or []
    uids = [uids] if isinstance(uids, str) else uids
    paths = [path for path, ds in protocols if ds.SOPInstanceUID in uids]
    yield len(paths)
    for path in paths:
        yield 0xFF00, path


def main() -> int:
    parser = argparse.ArgumentParser(description="Serve hanging protocols.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path(), help="where the files are")
    args = parser.parse_args()
    protocols = [(path, dcmread(path)) for path in sorted(args.directory.glob("*.dcm"))]

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("HANG_EXAMPLE")
    ae.add_supported_context(HangingProtocolInformationModelFind)
    ae.add_supported_context(HangingProtocolInformationModelGet)
    # What we send in a C-GET, to those who propose to be the SCP of it.
    ae.add_supported_context(HangingProtocolStorage, scu_role=True, scp_role=True)
    server = ae.start_server(
        (args.host, args.port),
        block=False,
        evt_handlers=[
            (evt.EVT_C_FIND, handle_find, [protocols]),
            (evt.EVT_C_GET, handle_get, [protocols]),
        ],
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
