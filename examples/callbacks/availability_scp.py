"""Instance availability SCP with callbacks: hears what can be had from where.

    python examples/callbacks/availability_scp.py 127.0.0.1 11112

By hand, and so it prints what it hears, and keeps nothing: for that, and for all the attributes,
there is ``pynetdicom.workflows.availability``. Runs until Ctrl-C, and then ends with 0.
"""

import argparse
import sys

from pydicom import Dataset
from pydicom.uid import generate_uid

from pynetdicom import AE
from pynetdicom.sop_class import InstanceAvailabilityNotification
from pynetdicom.typing import Context, Info, Reply

KNOWN = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")


def told(uid: str, notification: Dataset) -> Reply:
    """An N-CREATE, after which nothing more is done with the instance (PS3.4 R.3.2)."""
    # Where one of these is missing, 0x0120 is answered.
    instances = [
        (instance.ReferencedSOPInstanceUID, instance.InstanceAvailability, instance.RetrieveAETitle)
        for series in notification.ReferencedSeriesSequence
        for instance in series.ReferencedSOPSequence
    ]
    if not all(availability in KNOWN for _, availability, _ in instances):
        return 0x0106, None
    for instance in instances:
        print(*instance, flush=True)
    status = Dataset()
    status.Status = 0x0000
    status.AffectedSOPInstanceUID = uid or generate_uid()  # the SCU may leave it to us
    return status, None


def on_n_create(dataset: Dataset, context: Context, info: Info) -> Reply:
    return told(info["parameters"]["requested_sop_instance_uid"], dataset)


def main() -> int:
    parser = argparse.ArgumentParser(description="Hear what can be had from where.")
    parser.add_argument("host", nargs="?", default="127.0.0.1", help="the interface to listen on")
    parser.add_argument("port", nargs="?", type=int, default=11112)
    args = parser.parse_args()

    ae = AE(ae_title=b"RIS", port=args.port)
    ae.bind_addr = args.host
    ae.add_supported_context(InstanceAvailabilityNotification)
    ae.on_n_create = on_n_create
    ae.start()  # returns after Ctrl-C
    return 0


if __name__ == "__main__":
    sys.exit(main())
