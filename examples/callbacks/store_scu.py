"""Storage SCU: send data sets, which may be changed on the way.

    python examples/callbacks/store_scu.py 127.0.0.1 11112 ct.dcm mr.dcm

Ends with 0 if the peer stored every data set, with 1 otherwise.
"""

import argparse
import sys
from typing import Any

from pydicom import dcmread

from pynetdicom import AE
from pynetdicom.status import code_to_category


def on_association_released(primitive: Any = None) -> None:
    print("released")


def main() -> int:
    parser = argparse.ArgumentParser(description="Send data sets of DICOM files.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("file", nargs="*", help="the files to send")
    args = parser.parse_args()
    if not args.file:
        parser.error("which files?")

    datasets = {path: dcmread(path) for path in args.file}
    ae = AE(ae_title=b"STORE_EXAMPLE")
    ae.on_association_released = on_association_released
    for sop_class, transfer_syntax in sorted(
        {(ds.SOPClassUID, ds.file_meta.TransferSyntaxUID) for ds in datasets.values()}
    ):
        ae.add_requested_context(sop_class, transfer_syntax)

    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    stored = 0
    for path, ds in datasets.items():
        # Unlike a file, which goes as it is, a data set can be changed before it is sent.
        ds.InstitutionName = "Example Hospital"
        try:
            status = assoc.send_c_store(ds)
        except ValueError as error:  # no presentation context for it was accepted
            print(f"{path}: {error}", file=sys.stderr)
            continue
        if "Status" not in status:
            print(f"{path}: no answer, {assoc.ended}", file=sys.stderr)
            break
        category = code_to_category(status.Status)
        print(f"{path}: 0x{status.Status:04X} ({category})")
        stored += category in ("Success", "Warning")

    if assoc.is_established:
        assoc.release()
    assoc.join()  # until on_association_released has been called
    return 0 if stored == len(datasets) and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
