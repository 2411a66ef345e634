"""Storage SCU: send files, and count the bytes on the wire by an event handler.

    python examples/events/store_scu.py 127.0.0.1 11112 ct.dcm mr.dcm

Ends with 0 if the peer stored every file, with 1 otherwise.
"""

import argparse
import sys
from collections import Counter

from pydicom import dcmread

from pynetdicom import AE, evt
from pynetdicom.status import code_to_category

sent: Counter[str] = Counter()


def on_data_sent(event: evt.DataEvent) -> None:
    # Runs for each write to the socket, so it has to be quick. Nobody pays for this event unless
    # a handler is bound to it.
    sent["bytes"] += len(event.data)


def main() -> int:
    parser = argparse.ArgumentParser(description="Send DICOM files.")
    parser.add_argument("host", nargs="?", default="127.0.0.1")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    parser.add_argument("file", nargs="*", help="the files to send")
    args = parser.parse_args()

    ae = AE("STORE_EXAMPLE")
    # Propose what the files need: each SOP Class in the transfer syntax that the file is in.
    kinds = set()
    for path in args.file:
        ds = dcmread(path, stop_before_pixels=True)
        kinds.add((ds.SOPClassUID, ds.file_meta.TransferSyntaxUID))
    if not kinds:
        parser.error("which files?")
    for sop_class, transfer_syntax in sorted(kinds):
        ae.add_requested_context(sop_class, transfer_syntax)

    assoc = ae.associate(args.host, args.port, evt_handlers=[(evt.EVT_DATA_SENT, on_data_sent)])
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1

    stored = 0
    for path in args.file:
        try:
            # A path is sent as it is, without being decoded; a pydicom Dataset would do as well.
            status = assoc.send_c_store(path)
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
    print(f"{stored} of {len(args.file)} files stored, {sent['bytes']} bytes sent")
    return 0 if stored == len(args.file) and assoc.is_released else 1


if __name__ == "__main__":
    sys.exit(main())
