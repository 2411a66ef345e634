"""Storage SCU: send all DICOM files below a directory, as fast as the peer takes them.

    python examples/store_directory.py 127.0.0.1 11112 images/

``send_c_stores`` reads the next file while the peer works on the last one. What cannot be sent is
named with the reason, and the others are sent all the same. Ends with 0 if every file was stored.
"""

import argparse
import sys
from pathlib import Path

from pynetdicom import AE, ALL_TRANSFER_SYNTAXES, StoragePresentationContexts
from pynetdicom.sop_class import CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage
from pynetdicom.status import code_to_category

# An association has room for 128 contexts, and the peer chooses one transfer syntax for each. So
# these get a context for each transfer syntax that their images are likely to have.
IMAGES = (CTImageStorage, MRImageStorage, SecondaryCaptureImageStorage)
COMPRESSED = [
    uid for uid in ALL_TRANSFER_SYNTAXES if uid.endswith((".4.50", ".4.70", ".4.90", ".4.91", ".5"))
]


def main() -> int:
    parser = argparse.ArgumentParser(description="Send all files below a directory.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("directory", nargs="?", type=Path, default=Path())
    args = parser.parse_args()
    paths = sorted(path for path in args.directory.rglob("*.dcm") if path.is_file())

    ae = AE("STORE_EXAMPLE")
    for sop_class in IMAGES:
        for transfer_syntax in COMPRESSED:
            ae.add_requested_context(sop_class, transfer_syntax)
    # The rest of the room: the usual storage classes, uncompressed.
    ae.requested_contexts = StoragePresentationContexts[: 128 - len(ae.requested_contexts)]

    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    stored = 0
    for path, status in assoc.send_c_stores(paths):
        if "Status" not in status:
            print(f"{path}: {status.problem}", file=sys.stderr)
            continue
        category = code_to_category(status.Status)
        print(f"{path}: 0x{status.Status:04X} ({category})")
        stored += category in ("Success", "Warning")

    if assoc.is_established:
        assoc.release()
    print(f"{stored} of {len(paths)} files stored")
    return 0 if stored == len(paths) and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
