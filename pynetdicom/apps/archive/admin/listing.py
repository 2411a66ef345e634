"""``qrscp list``: patients, studies, series or objects, and what is known of them."""

from __future__ import annotations

from argparse import Namespace
from typing import TYPE_CHECKING

from pynetdicom.apps import options
from pynetdicom.apps.archive.admin.selection import finder, identifier_of
from pynetdicom.apps.archive.attributes import LEVELS
from pynetdicom.apps.matches import columns_of, make_output
from pynetdicom.apps.progress import Terminal

if TYPE_CHECKING:
    from pynetdicom.apps.archive.handlers import Archive

SHOWN = {
    "PATIENT": ("PatientID", "PatientName", "PatientBirthDate", "NumberOfPatientRelatedStudies"),
    "STUDY": (
        "PatientID", "PatientName", "StudyDate", "ModalitiesInStudy", "StudyDescription",
        "AccessionNumber", "NumberOfStudyRelatedSeries", "NumberOfStudyRelatedInstances",
        "StudyInstanceUID",
    ),
    "SERIES": (
        "PatientID", "StudyInstanceUID", "Modality", "SeriesNumber", "SeriesDescription",
        "NumberOfSeriesRelatedInstances", "SeriesInstanceUID",
    ),
    "IMAGE": (
        "PatientID", "StudyInstanceUID", "SeriesInstanceUID", "InstanceNumber", "SOPClassUID",
        "SOPInstanceUID",
    ),
}  # fmt: skip
"""What is shown of a level, beside what is asked for."""

POSITIONAL = (
    options.option(
        "key", nargs="*", metavar="KEY",
        help="what is to be listed, as for findscu -k: PatientName=Doe*, StudyDate=20260101-,"
        " StudyInstanceUID=1.2.3; of several keys each must hold. A keyword alone is shown, too",
    ),
)  # fmt: skip
OPTIONS = (
    options.option(
        "--level", choices=LEVELS, default="STUDY",
        help="what is listed: PATIENT, STUDY, SERIES or IMAGE (default: {default})",
    ),
    options.option(
        "--json", dest="form", action="store_const", const="json",
        help="as DICOM JSON, one object a line",
    ),
    options.option(
        "--csv", dest="form", action="store_const", const="csv",
        help="as CSV, with the keywords in the first line",
    ),
)  # fmt: skip


def run(archive: Archive, args: Namespace, terminal: Terminal) -> int:
    """List what the keys choose."""
    shown = SHOWN[args.level]
    identifier = identifier_of(args.level, args.key, shown)
    query = finder(archive, identifier)
    # What is asked for, and no UIDs of levels above that nobody has asked for.
    output = make_output(columns_of(identifier, (*shown, *args.key)), args.form)
    count = 0
    for match in query.matches(archive.database, archive.config.ae_title):
        output.show(match)
        count += 1
    output.close(count)
    return 0
