"""Instance availability SCU in pynetdicom 1.x's style: tell that an image can be had.

    python examples/callbacks/availability_scu.py 127.0.0.1 11112 image.dcm --availability NEARLINE

Ends with 0 if it was heard, with 1 otherwise.
"""

import argparse
import sys

from pydicom import Dataset, dcmread
from pydicom.errors import InvalidDicomError

from pynetdicom import AE
from pynetdicom.sop_class import InstanceAvailabilityNotification

UIDS = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]


def notification(image: Dataset, availability: str) -> Dataset:
    """A study, its series, their instances (PS3.4 Table R.3.2-1); here one of each."""
    instance, series, study = Dataset(), Dataset(), Dataset()
    instance.ReferencedSOPClassUID = image.SOPClassUID
    instance.ReferencedSOPInstanceUID = image.SOPInstanceUID
    instance.InstanceAvailability = availability
    instance.RetrieveAETitle = "ARCHIVE"
    series.SeriesInstanceUID = image.SeriesInstanceUID
    series.ReferencedSOPSequence = [instance]
    study.StudyInstanceUID = image.StudyInstanceUID
    study.ReferencedSeriesSequence = [series]
    study.ReferencedPerformedProcedureStepSequence = []  # it is not known, but has to be there
    return study


def main() -> int:
    parser = argparse.ArgumentParser(description="Tell that an image can be had.")
    parser.add_argument("host")
    parser.add_argument("port", type=int)
    parser.add_argument("file", help="a DICOM image")
    parser.add_argument("--availability", default="ONLINE")
    args = parser.parse_args()

    ae = AE(ae_title=b"ARCHIVE")
    ae.add_requested_context(InstanceAvailabilityNotification)
    assoc = ae.associate(args.host, args.port)
    if not assoc.is_established:
        print(f"no association: {assoc.ended}", file=sys.stderr)
        return 1
    try:
        told = notification(dcmread(args.file, specific_tags=UIDS), args.availability)
        status, _ = assoc.send_n_create(told, InstanceAvailabilityNotification)
    except (OSError, InvalidDicomError, ValueError) as error:  # no image; or the peer does not hear
        print(error, file=sys.stderr)
        return 1
    finally:
        assoc.release()
    code = status.get("Status")  # None when there was no answer
    print("no answer" if code is None else f"told: 0x{code:04X}")
    return 0 if code == 0x0000 else 1


if __name__ == "__main__":
    sys.exit(main())
