"""Query SCP with a callback: answer which studies there are.

    python examples/callbacks/find_scp.py 127.0.0.1 11112

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import re
import sys

from pydicom import Dataset

from pynetdicom import AE
from pynetdicom.sop_class import StudyRootQueryRetrieveInformationModelFind, Verification
from pynetdicom.typing import Context, Info, Matches

STUDIES = (("CITIZEN^JAN", "1.2.3.1"), ("CITIZEN^SNIPS", "1.2.3.2"), ("OTHER^ANNE", "1.2.3.3"))


def on_c_find(dataset: Dataset, context: Context, info: Info) -> Matches:
    """Yield a status and a match for each study; the library sends the final response."""
    if dataset.get("QueryRetrieveLevel") != "STUDY":
        yield 0xA900, None  # the identifier does not match the SOP Class
        return
    # An empty value matches everything; ``*`` and ``?`` are wildcards (PS3.4 C.2.2.2). A real
    # archive matches every key that it supports.
    pattern = re.escape(str(dataset.get("PatientName") or "*"))
    pattern = pattern.replace(r"\*", ".*").replace(r"\?", ".")
    for name, uid in STUDIES:
        # Since pynetdicom 1.2, `info` tells whether the peer has cancelled its request.
        if info["cancelled"](info["parameters"]["message_id"]):
            yield 0xFE00, None
            return
        if re.fullmatch(pattern, name) and dataset.get("StudyInstanceUID") in (None, "", uid):
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

    ae = AE(ae_title=b"FIND_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(Verification)
    ae.add_supported_context(StudyRootQueryRetrieveInformationModelFind)
    ae.on_c_find = on_c_find
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
