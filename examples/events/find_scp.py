"""Query SCP with an event handler: answer which studies there are.

    python examples/events/find_scp.py 127.0.0.1 11112

Runs until Ctrl-C or SIGTERM, and then ends with 0.
"""

import argparse
import re
import signal
import sys
import threading

from pydicom import Dataset

from pynetdicom import AE, evt
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification
from pynetdicom.typing import Matches

STUDIES = (("CITIZEN^JAN", "1.2.3.1"), ("CITIZEN^SNIPS", "1.2.3.2"), ("OTHER^ANNE", "1.2.3.3"))


def handle_find(event: evt.CFindEvent) -> Matches:
    """Yield a status and a match for each study; the library sends the final response."""
    wanted = event.identifier
    if wanted.get("QueryRetrieveLevel") != "STUDY":
        yield 0xA900, None  # the identifier does not match the SOP Class
        return
    # An empty value matches everything; ``*`` and ``?`` are wildcards (PS3.4 C.2.2.2). A real
    # archive matches every key that it supports.
    pattern = re.escape(str(wanted.get("PatientName") or "*"))
    pattern = pattern.replace(r"\*", ".*").replace(r"\?", ".")
    for name, uid in STUDIES:
        if event.is_cancelled:
            yield 0xFE00, None
            return
        if re.fullmatch(pattern, name) and wanted.get("StudyInstanceUID") in (None, "", uid):
            match = Dataset()
            match.QueryRetrieveLevel = "STUDY"
            match.PatientName = name
            match.StudyInstanceUID = uid
            yield 0xFF00, match


def main() -> int:
    parser = argparse.ArgumentParser(description="Answer C-FIND requests.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    stop = threading.Event()
    for number in (signal.SIGINT, signal.SIGTERM):
        signal.signal(number, lambda *_: stop.set())

    ae = AE("FIND_EXAMPLE")
    ae.add_supported_context(Verification)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    server = ae.start_server(
        (args.host, args.port), block=False, evt_handlers=[(evt.EVT_C_FIND, handle_find)]
    )
    print(f"listening on {server.server_address[0]} port {server.server_address[1]}", flush=True)
    stop.wait()
    ae.shutdown()
    return 0


if __name__ == "__main__":
    sys.exit(main())
