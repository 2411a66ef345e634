"""Storage SCP with a callback: decode what comes, look at it, write it to a file.

    python examples/callbacks/store_scp.py 127.0.0.1 11112 --directory incoming

Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import re
import sys
from pathlib import Path

from pydicom import Dataset

from pynetdicom import AE, StoragePresentationContexts
from pynetdicom.sop_class import Verification
from pynetdicom.typing import Context, Info


class StoreSCP(AE):
    """An AE whose callback is a method; assigning a function to ``ae.on_c_store`` does the same."""

    directory = Path()

    def on_c_store(self, dataset: Dataset, context: Context, info: Info) -> int:
        """Store a data set; what is returned is the status that the peer gets."""
        if not re.fullmatch(r"(?=.*[0-9])[0-9.]{1,64}", dataset.SOPInstanceUID):
            return 0x0117  # invalid SOP Instance: not fit for a file name
        # `dataset.file_meta` has been made by the library. `save_as` of pydicom encodes the data
        # set again; `event.save_as` of an event handler would write the bytes that came.
        try:
            dataset.save_as(
                self.directory / f"{dataset.SOPInstanceUID}.dcm", enforce_file_format=True
            )
        except OSError as error:
            print(f"cannot store: {error.strerror}", file=sys.stderr, flush=True)
            return 0xA700  # out of resources
        print(f"stored {dataset.SOPInstanceUID}, {context.transfer_syntax.name}", flush=True)
        return 0x0000


def main() -> int:
    parser = argparse.ArgumentParser(description="Write what peers send to files.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("--directory", type=Path, default=Path("incoming"))
    args = parser.parse_args()
    args.directory.mkdir(parents=True, exist_ok=True)

    ae = StoreSCP(ae_title=b"STORE_EXAMPLE", port=args.port)
    ae.bind_addr = args.host
    ae.directory = args.directory
    ae.add_supported_context(Verification)
    ae.supported_contexts = StoragePresentationContexts
    ae.start()  # returns after Ctrl-C, or when another thread has called ae.stop()
    return 0


if __name__ == "__main__":
    sys.exit(main())
