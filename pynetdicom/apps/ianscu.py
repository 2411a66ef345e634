"""ianscu: tell a peer which objects can be had from where, by N-CREATE (PS3.4 Annex R)."""

from __future__ import annotations

import json
import sys
from argparse import Namespace
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from pynetdicom.apps import options, security
from pynetdicom.apps.progress import Terminal
from pynetdicom.apps.query import describe_response
from pynetdicom.apps.requestor import association
from pynetdicom.apps.storescu import FILES, INPUT, find_paths

if TYPE_CHECKING:
    from pydicom.dataset import Dataset

    from pynetdicom.association import Association

option = options.option

TABLE = "PROCEDURE_STEP_STATUS"
AVAILABILITIES = ("ONLINE", "NEARLINE", "OFFLINE", "UNAVAILABLE")

AVAILABILITY = (
    option(
        "-aer", "--retrieve-aet", type=options.ae_title, required=True, metavar="TITLE",
        help="the AE title from which the objects can be retrieved",
    ),
    option(
        "--availability", choices=AVAILABILITIES, default="ONLINE",
        help="how quickly: ONLINE (default), NEARLINE, OFFLINE or UNAVAILABLE",
    ),
    option(
        "--step", metavar="UID",
        help="the SOP Instance UID of the performed procedure step that the objects are of",
    ),
)  # fmt: skip
OUTPUT = (
    option(
        "--json", action="store_true",
        help="print the notifications as JSON, one a line, and nothing else: UID, Study Instance"
        " UID, number of objects, status and comment",
    ),
)  # fmt: skip


def make_parser() -> options.Parser:
    """Make the command line."""
    parser = options.make_parser(
        "ianscu",
        "Tells a peer which objects can be had from where, with an N-CREATE request for each study"
        " among them. The exit code is 0 only if the peer has taken all, with a warning or"
        " without.",
        (*options.PEER, FILES),
    )
    network = (*options.titles("IANSCU"), *options.TIMEOUTS, *options.MAX_PDU_OPTION)
    parser.add_options("network", network)
    security.add_client(parser)
    parser.add_options("input", INPUT)
    parser.add_options("availability", AVAILABILITY)
    parser.add_options("output", OUTPUT)
    return parser


def by_study(paths: Iterable[str], terminal: Terminal) -> dict[str, list[Dataset]]:
    """Give the UIDs of files by study; those that cannot be read are reported."""
    from pydicom import dcmread
    from pydicom.errors import InvalidDicomError

    keywords = ["SOPClassUID", "SOPInstanceUID", "StudyInstanceUID", "SeriesInstanceUID"]
    studies: dict[str, list[Dataset]] = {}
    for path in paths:
        try:
            found = dcmread(path, stop_before_pixels=True, specific_tags=list(keywords))
        except InvalidDicomError:
            terminal.problem(f"{path}: not a DICOM file")
            continue
        except OSError as error:
            terminal.problem(f"{path}: {error.strerror or error}")
            continue
        if lacks := [keyword for keyword in keywords if not found.get(keyword)]:
            terminal.problem(f"{path}: no {', '.join(lacks)}")
        else:
            studies.setdefault(found.StudyInstanceUID, []).append(found)
    return studies


def tell(
    args: Namespace, assoc: Association, study: str, objects: list[Dataset], terminal: Terminal
) -> None:
    """Send the notification of a study, and show what it was answered with."""
    from pydicom.uid import generate_uid

    from pynetdicom.workflows.availability import notification_of, notify
    from pynetdicom.workflows.providing import Refused

    uid = generate_uid(prefix=None)
    notification = notification_of(objects, args.retrieve_aet, args.availability, step=args.step)
    try:
        status, is_taken = notify(assoc, notification, uid), True
    except Refused as refused:
        status, is_taken = refused.status, False
    text = describe_response(status, TABLE)
    if args.json:
        code, comment = status.get("Status"), status.get("ErrorComment")
        row = {"uid": uid, "study": study, "objects": len(objects)}
        print(json.dumps({**row, "status": code, "comment": comment}), flush=True)
    elif is_taken:
        many = f"{len(objects)} object{'' if len(objects) == 1 else 's'}"
        terminal.result(f"{uid}: {many} of study {study}, {text}")
    if not is_taken:
        terminal.problem(f"study {study}: {text}")


def notify_all(args: Namespace, terminal: Terminal) -> int:
    """Send a notification of each study."""
    from pynetdicom.presentation import build_context
    from pynetdicom.sop_class import InstanceAvailabilityNotification

    studies = by_study(find_paths(args.path, args.recurse, terminal), terminal)
    if not studies:
        terminal.problem("no objects: nothing is told")
        return options.FAILED
    contexts = [build_context(InstanceAvailabilityNotification)]
    with association(args, contexts, terminal) as assoc:
        for study, objects in studies.items() if assoc is not None else ():
            assert assoc is not None
            if not assoc.is_established:
                terminal.problem(f"study {study}: not told: {assoc.ended}")
                continue
            tell(args, assoc, study, objects, terminal)
    return options.FAILED if terminal.problems else 0


def main(argv: Sequence[str] | None = None) -> int:
    """Run ianscu; gives its exit code."""
    return options.run(make_parser(), notify_all, argv)


if __name__ == "__main__":
    sys.exit(main())
